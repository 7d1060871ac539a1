//! Where in a resource an expression leads to.

use std::rc::Rc;

use super::expression::{Expression, Step, Term};
use super::literal::Literal;
use crate::fhir::definitions::{Element, Member, TypeKind, TypeRef, child, element, type_named};
use crate::fhir::patch::equal::same_number;
use crate::fhir::patch::issue;
use crate::fhir::patch::purse::Purse;
use crate::fhir::validate::{Issue, Node, Object, quoted};

/// A step down to an object, in JSON's names: `_given` and 1.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub name: Rc<str>,
    /// None when it is not in an array.
    pub index: Option<usize>,
}

/// An element that is there.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// The way to the object that it is a member of.
    pub owner: Rc<[Hop]>,
    /// Its name there, without the underscore of a primitive's extensions.
    pub name: Rc<str>,
    pub index: Option<usize>,
    pub element: &'static Element,
    pub of: Option<&'static TypeRef>,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Root,
    Element(Spot),
}

/// What an entry costs of the purse: it is looked at here, and a list is taken apart to be changed.
pub(super) const ITEM: usize = 16;

impl Spot {
    /// A primitive has its own elements beside it.
    pub fn is_primitive(&self) -> bool {
        self.of.and_then(|of| type_named(of.name)).is_some_and(|it| it.kind == TypeKind::Primitive)
    }

    fn is_of_many(&self) -> bool {
        self.element.choice || self.of.is_some_and(|of| of.name == "Resource")
    }
}

impl Item {
    /// The way to the object that its own elements are in.
    pub fn way(&self) -> Rc<[Hop]> {
        match self {
            Item::Root => Rc::new([]),
            Item::Element(spot) => {
                let name = if spot.is_primitive() { shadow(&spot.name).into() } else { spot.name.clone() };
                spot.owner.iter().cloned().chain([Hop { name, index: spot.index }]).collect()
            }
        }
    }
}

/// The member with the id and extensions of a primitive: <http://hl7.org/fhir/R4/json.html#primitive>.
pub(super) fn shadow(name: &str) -> String {
    format!("_{name}")
}

/// An element by the name that FHIRPath or JSON has for it; its type is None when it is a choice without one.
pub(super) fn named(place: &str, name: &str) -> Result<Member, Issue> {
    child(place, name).or_else(|| element(place, name).map(|element| Member { element, of: None })).ok_or_else(|| {
        let says = format!("{} is no element of {place}.", quoted(name));
        issue("invalid", "", says, "Correct the name; what R4 has no element for goes into an extension.")
    })
}

pub(super) struct Finder<'a, 't> {
    pub root: &'a Object<'t>,
    pub purse: &'a mut Purse,
}

impl<'a, 't> Finder<'a, 't> {
    /// All that the expression leads to.
    pub fn all(&mut self, expression: &Expression) -> Result<Vec<Item>, Issue> {
        self.root_is(expression)?;
        self.run(&expression.steps, vec![Item::Root])
    }

    fn root_is(&self, expression: &Expression) -> Result<(), Issue> {
        let own = self.root.text("resourceType").unwrap_or_default();
        let known = type_named(own).filter(|it| it.is_concrete_resource());
        let Some(known) = known else {
            let says = format!("{} is no type of resource.", quoted(own));
            return Err(issue("invalid", "", says, "Patch a resource of R4."));
        };
        match &expression.root {
            Some(root) if !known.lineage().any(|it| it.name == root) => {
                let says = format!("The resource is of type {own}, not {}.", quoted(root));
                Err(issue("invalid", &expression.text, says, format!("Let the path start with {own}.")))
            }
            _ => Ok(()),
        }
    }

    /// What stands in one owner under one name, as a list: all steps but the last lead to the owner.
    pub fn owner(&mut self, expression: &Expression) -> Result<(Vec<Item>, Option<String>), Issue> {
        self.root_is(expression)?;
        match expression.steps.split_last() {
            Some((Step::Name(name), above)) => Ok((self.run(above, vec![Item::Root])?, Some(name.clone()))),
            _ => Ok((Vec::new(), None)),
        }
    }

    fn run(&mut self, steps: &[Step], from: Vec<Item>) -> Result<Vec<Item>, Issue> {
        let mut items = from;
        for step in steps {
            self.purse.spend(items.len().saturating_mul(ITEM))?;
            items = match step {
                Step::Name(name) => self.named(&items, name)?,
                Step::Index(index) => items.into_iter().nth(*index).into_iter().collect(),
                Step::First => items.into_iter().next().into_iter().collect(),
                Step::Last => items.pop().into_iter().collect(),
                Step::Where(terms) => self.kept(items, |finder, item| finder.holds(terms, item))?,
                Step::Extension(url) => {
                    let extensions = self.named(&items, "extension")?;
                    self.kept(extensions, |finder, item| Ok(finder.body(item)?.is_some_and(|it| it.text("url") == Some(url))))?
                }
                Step::OfType(name) => {
                    if type_named(name).is_none() {
                        let says = format!("{} is no type of R4.", quoted(name));
                        return Err(issue("invalid", "", says, "Correct the name of the type."));
                    }
                    self.kept(items, |finder, item| finder.is_of(item, name))?
                }
            };
        }
        Ok(items)
    }

    fn kept(&mut self, items: Vec<Item>, keep: impl Fn(&mut Self, &Item) -> Result<bool, Issue>) -> Result<Vec<Item>, Issue> {
        let mut kept = Vec::new();
        for item in items {
            if keep(self, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    fn holds(&mut self, terms: &[Term], item: &Item) -> Result<bool, Issue> {
        for term in terms {
            let found = self.run(&term.path, vec![item.clone()])?;
            // FHIRPath compares collections: one literal equals one element.
            let [Item::Element(spot)] = &found[..] else { return Ok(false) };
            let node = self.object(&spot.owner)?.and_then(|it| it.get(&spot.name)).and_then(|node| entry(node, spot.index));
            let same = match (node, &term.equals) {
                (Some(Node::Text(text)), Literal::Text(other)) => text == other,
                (Some(Node::Number(number)), Literal::Number(other)) => same_number(number, other),
                (Some(Node::Boolean(it)), Literal::Boolean(other)) => it == other,
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_of(&mut self, item: &Item, name: &str) -> Result<bool, Issue> {
        let own = match item {
            Item::Root => self.place(item)?,
            Item::Element(spot) => match spot.of.map(|of| of.name) {
                Some("Resource") => self.place(item)?,
                of => of,
            },
        };
        Ok(own.and_then(type_named).is_some_and(|own| own.lineage().any(|it| it.name == name)))
    }

    fn named(&mut self, items: &[Item], name: &str) -> Result<Vec<Item>, Issue> {
        let mut found = Vec::new();
        for item in items {
            let Some(place) = self.place(item)? else { continue };
            match named(place, name) {
                Ok(member) => self.children(item, place, member, &mut found)?,
                // Another type that it may have can have such an element.
                Err(_) if matches!(item, Item::Element(spot) if spot.is_of_many()) => {}
                Err(issue) => return Err(issue),
            }
        }
        Ok(found)
    }

    fn children(&mut self, item: &Item, place: &'static str, wanted: Member, found: &mut Vec<Item>) -> Result<(), Issue> {
        let Some(body) = self.body(item)? else { return Ok(()) };
        let owner = item.way();
        for (name, _) in body.members() {
            let plain = name.strip_prefix('_').unwrap_or(name);
            let Some(member) = child(place, plain).filter(|it| std::ptr::eq(it.element, wanted.element)) else { continue };
            let met_already = name.len() > plain.len() && body.get(plain).is_some();
            if met_already || (wanted.of.is_some() && wanted.of != member.of) {
                continue;
            }
            let (value, beside) = (body.get(plain), body.get(&shadow(plain)));
            let length = [value, beside].into_iter().flatten().filter_map(length).max();
            self.purse.spend(length.unwrap_or(1).saturating_mul(ITEM))?;
            let spot = Spot { owner: owner.clone(), name: plain.into(), index: None, element: member.element, of: member.of };
            match length {
                Some(length) => found.extend((0..length).map(|n| Item::Element(Spot { index: Some(n), ..spot.clone() }))),
                None => found.push(Item::Element(spot)),
            }
        }
        Ok(())
    }

    /// Where the tables have the elements of an item; None for a resource without a type.
    pub fn place(&mut self, item: &Item) -> Result<Option<&'static str>, Issue> {
        let spot = match item {
            Item::Root => return Ok(resource_type(self.root)),
            Item::Element(spot) => spot,
        };
        match (spot.element.inside, spot.of) {
            (Some(inside), _) => Ok(Some(inside)),
            (None, Some(of)) if of.name == "Resource" => Ok(self.body(item)?.and_then(resource_type)),
            (None, of) => Ok(of.map(TypeRef::shape)),
        }
    }

    fn body(&mut self, item: &Item) -> Result<Option<&'a Object<'t>>, Issue> {
        self.object(&item.way())
    }

    fn object(&mut self, way: &[Hop]) -> Result<Option<&'a Object<'t>>, Issue> {
        let mut at = self.root;
        self.purse.spend(1 + at.members.len())?;
        for hop in way {
            match at.get(&hop.name).and_then(|node| entry(node, hop.index)) {
                Some(Node::Object(it)) => at = it,
                _ => return Ok(None),
            }
            self.purse.spend(1 + at.members.len())?;
        }
        Ok(Some(at))
    }
}

fn resource_type(it: &Object) -> Option<&'static str> {
    it.text("resourceType").and_then(type_named).map(|it| it.name)
}

fn length(node: &Node) -> Option<usize> {
    match node {
        Node::List(nodes) => Some(nodes.len()),
        _ => None,
    }
}

fn entry<'n, 't>(node: &'n Node<'t>, index: Option<usize>) -> Option<&'n Node<'t>> {
    match (node, index) {
        (Node::List(nodes), Some(index)) => nodes.get(index),
        (node, None) => Some(node),
        _ => None,
    }
}
