//! What a patch brings: a value of a datatype, a resource, or the elements of one by one
//! (<http://hl7.org/fhir/R4/fhirpatch.html#concept>).

use super::edit::{Pair, put, put_list};
use super::find::named;
use crate::fhir::definitions::{Element, Member, TypeKind, TypeRef, child, type_named};
use crate::fhir::patch::issue;
use crate::fhir::validate::{Issue, Node, Object, quoted};

/// A parameter or a part of one.
#[derive(Debug)]
pub(super) struct Part<'t> {
    pub name: String,
    pub content: Content<'t>,
    /// Where it stands in the body.
    pub at: String,
}

#[derive(Debug)]
pub(super) enum Content<'t> {
    /// `valueQuantity`: the type, the value, and what stands beside it.
    Typed(&'static str, Pair<'t>),
    Resource(Node<'t>),
    Parts(Vec<Part<'t>>),
}

const CONTENT: &str = "Send one of value[x], part and resource.";

impl<'t> Part<'t> {
    pub fn of(node: &Node<'t>, at: String) -> Result<Part<'t>, Issue> {
        let wrong = |member: &str, says: String, remedy: &'static str| {
            let at = if member.is_empty() { at.clone() } else { format!("{at}.{member}") };
            issue("structure", &at, says, remedy)
        };
        let Node::Object(it) = node else {
            return Err(wrong("", format!("It is {} where an object is expected.", node.kind()), "Send a parameter: {\"name\":..}."));
        };
        let mut found: Option<Content<'t>> = None;
        for (name, node) in it.members() {
            let plain = name.strip_prefix('_').unwrap_or(name);
            let content = match plain {
                "name" | "id" | "extension" => continue,
                "part" => Content::Parts(Part::all(node, &at, "part")?),
                "resource" => Content::Resource(node.clone()),
                _ => {
                    let member = child("Parameters.parameter", plain).filter(|it| it.element.name == "value");
                    let Some(of) = member.and_then(|it| it.of) else {
                        return Err(wrong("", format!("{} is no part of an operation.", quoted(name)), CONTENT));
                    };
                    match &mut found {
                        // The other half of it.
                        Some(Content::Typed(it, _)) if *it == of.name => continue,
                        _ => {}
                    }
                    let beside = it.get(&format!("_{plain}")).cloned();
                    Content::Typed(of.name, Pair { value: it.get(plain).cloned(), beside })
                }
            };
            if found.replace(content).is_some() {
                return Err(wrong("", "It has more than one content.".to_owned(), CONTENT));
            }
        }
        let name = it.text("name").ok_or_else(|| wrong("name", "name is missing, or no string.".to_owned(), "Send a name."))?.to_owned();
        let content = found.ok_or_else(|| wrong("", format!("{} has no content.", quoted(&name)), CONTENT))?;
        Ok(Part { name, content, at })
    }

    pub fn all(node: &Node<'t>, at: &str, name: &str) -> Result<Vec<Part<'t>>, Issue> {
        let Node::List(nodes) = node else {
            let says = format!("It is {} where an array is expected.", node.kind());
            return Err(issue("structure", &format!("{at}.{name}"), says, "Put the value between [ and ]."));
        };
        nodes.iter().enumerate().map(|(n, node)| Part::of(node, format!("{at}.{name}[{n}]"))).collect()
    }

    /// The value as it stands in the element, and the name of its member there.
    pub fn fit(self, target: Member) -> Result<(String, Pair<'t>), Issue> {
        let Part { name: own_name, content, at } = self;
        let element = target.element;
        let wrong = |says: String| issue("invalid", &at, says, expected(element));
        let (of, pair) = match content {
            Content::Typed(name, pair) => {
                let of = typed(target, name).ok_or_else(|| wrong(format!("{} takes no {name}.", element.path)))?;
                (Some(of), pair)
            }
            Content::Resource(node) => {
                let takes = target.of.is_some_and(|of| type_named(of.name).is_some_and(|it| it.kind == TypeKind::Resource));
                if !takes {
                    return Err(wrong(format!("{} takes no resource.", element.path)));
                }
                (target.of, Pair { value: Some(node), beside: None })
            }
            Content::Parts(parts) => {
                let complex = |of: &&TypeRef| type_named(of.name).is_some_and(|it| it.kind == TypeKind::Complex);
                let place = element.inside.or_else(|| target.of.filter(complex).map(TypeRef::shape));
                let place = place.ok_or_else(|| wrong(format!("{} takes no parts.", element.path)))?;
                if parts.is_empty() {
                    return Err(wrong(format!("{} has no parts.", quoted(&own_name))));
                }
                (target.of, Pair { value: Some(Node::Object(built(place, parts)?)), beside: None })
            }
        };
        Ok((json_name(element, of), pair))
    }
}

/// The object that parts make up.
fn built<'t>(place: &'static str, parts: Vec<Part<'t>>) -> Result<Object<'t>, Issue> {
    let mut groups: Vec<(&'static Element, String, Vec<Pair<'t>>)> = Vec::new();
    for part in parts {
        let at = part.at.clone();
        let target = named(place, &part.name).map_err(|issue| Issue { at: at.clone(), ..issue })?;
        let (name, pair) = part.fit(target)?;
        match groups.iter_mut().find(|(element, ..)| std::ptr::eq(*element, target.element)) {
            Some((_, _, pairs)) if target.element.repeats() => pairs.push(pair),
            Some(_) => {
                let says = format!("{} stands twice.", target.element.path);
                return Err(issue("structure", &at, says, "Send it once; R4 lets it not repeat."));
            }
            None => groups.push((target.element, name, vec![pair])),
        }
    }
    let mut it = Object::default();
    for (element, name, mut pairs) in groups {
        if element.repeats() {
            put_list(&mut it, &name, pairs);
        } else if let Some(pair) = pairs.pop() {
            put(&mut it, &name, pair);
        }
    }
    Ok(it)
}

/// The type of an element that a value of this type is for. An element of one type takes what specialises it, too: a
/// canonical is a uri.
fn typed(target: Member, name: &str) -> Option<&'static TypeRef> {
    let Member { element, of } = target;
    if element.inside.is_some() {
        return None;
    }
    if element.choice {
        return element.types.iter().find(|it| it.name == name && of.is_none_or(|of| of == *it));
    }
    // Parameters have no value of type xhtml.
    let is_it = |it: &&TypeRef| match it.name {
        "xhtml" => name == "string",
        "Resource" => false,
        own => type_named(name).is_some_and(|given| given.lineage().any(|up| up.name == own)),
    };
    of.filter(is_it)
}

/// `valueQuantity`
fn json_name(element: &Element, of: Option<&TypeRef>) -> String {
    match of {
        Some(of) if element.choice => format!("{}{}", element.name, capital(of.name)),
        _ => element.name.to_owned(),
    }
}

/// Is the element there, with a value or without, of whatever type?
pub(super) fn stands(it: &Object, element: &Element) -> bool {
    let is_it = |plain: &str| match element.choice {
        true => element.types.iter().any(|of| json_name(element, Some(of)) == plain),
        false => element.name == plain,
    };
    it.members().map(|(name, _)| name.strip_prefix('_').unwrap_or(name)).any(|plain| plain.starts_with(element.name) && is_it(plain))
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// What to send for an element.
fn expected(element: &Element) -> String {
    let of: Vec<&str> = element.types.iter().map(|it| it.name).collect();
    let parts = || format!("Send the elements of {} as part, each by its name.", element.path);
    match of[..] {
        _ if element.inside.is_some() => parts(),
        ["Resource"] => "Send a resource.".to_owned(),
        ["xhtml"] => "Send valueString.".to_owned(),
        [one] if child("Parameters.parameter", &format!("value{}", capital(one))).is_none() => parts(),
        _ if of.len() > 12 => "Send value[x] of a type that R4 lists for it.".to_owned(),
        _ => format!("Send {}.", of.iter().map(|it| format!("value{}", capital(it))).collect::<Vec<_>>().join(" or ")),
    }
}
