//! Elements: <http://hl7.org/fhir/R4/elementdefinition.html>, <http://hl7.org/fhir/R4/formats.html#choice>.

use std::sync::LazyLock;

use super::rows::{Grouped, rows, some, yes};

pub(super) const TABLE: &str = include_str!("elements.tsv");

/// By the path of what they are in.
static ELEMENTS: LazyLock<Grouped<Element>> = LazyLock::new(|| read(TABLE));

/// An element of a type, or of a group of elements in one.
#[derive(Debug)]
pub struct Element {
    /// `Observation.component.value[x]`
    pub path: &'static str,
    /// The name in JSON; of a choice what the name starts with: `value`.
    pub name: &'static str,
    /// Its name in JSON ends with its type: `valueQuantity`.
    pub choice: bool,
    pub min: u32,
    /// None: any number. More than one, or none: a JSON array.
    pub max: Option<u32>,
    /// One, or those of a choice. Nothing when the content is another element's.
    pub types: Box<[TypeRef]>,
    /// Where the elements in it stand, when its type does not say: its own path for a group of elements, the path of
    /// another for a content reference. To be given to `children`.
    pub inside: Option<&'static str>,
    /// The value set that its code must be from: <http://hl7.org/fhir/R4/terminologies.html#required>.
    pub binding: Option<&'static str>,
    pub modifier: bool,
    /// In the answer to `_summary=true`.
    pub summary: bool,
}

/// A type that an element may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeRef {
    pub name: &'static str,
    /// Types that a Reference or canonical may point to, `|` between; `Resource` is any.
    targets: &'static str,
    /// `SimpleQuantity` for a Quantity.
    pub profile: Option<&'static str>,
}

/// An element as a member of a JSON object names it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub element: &'static Element,
    /// None when the content is another element's.
    pub of: Option<&'static TypeRef>,
}

impl Element {
    /// Is it an array in JSON?
    pub fn repeats(&self) -> bool {
        self.max.is_none_or(|max| max > 1)
    }

    /// The type that a member of this name has, if the name is this element's.
    fn named(&'static self, name: &str) -> Option<Member> {
        let rest = name.strip_prefix(self.name)?;
        let of = if self.choice {
            Some(self.types.iter().find(|it| capital(rest, it.name))?)
        } else if rest.is_empty() {
            self.types.first()
        } else {
            return None;
        };
        Some(Member { element: self, of })
    }
}

/// Is the text this name with a capital first letter?
fn capital(text: &str, name: &str) -> bool {
    let (Some(a), Some(b)) = (text.get(..1), name.get(..1)) else { return false };
    *a == b.to_ascii_uppercase() && text.get(1..) == name.get(1..)
}

impl TypeRef {
    fn parse(text: &'static str) -> TypeRef {
        let (text, profile) = match text.split_once('{') {
            Some((text, profile)) => (text, Some(profile.trim_end_matches('}'))),
            None => (text, None),
        };
        let (name, targets) = text.split_once('(').unwrap_or((text, ""));
        TypeRef { name, targets: targets.trim_end_matches(')'), profile }
    }

    /// The types that a Reference or canonical may point to. `Resource` is any; nothing for a canonical is any, too.
    pub fn targets(&self) -> impl Iterator<Item = &'static str> {
        self.targets.split('|').filter(|target| !target.is_empty())
    }

    /// May a Reference or canonical of this element point to a resource of this type?
    pub fn may_point_to(&self, resource_type: &str) -> bool {
        self.targets.is_empty() || self.targets().any(|target| target == "Resource" || target == resource_type)
    }

    /// What to give to `children` for the elements of a value of this type.
    pub fn shape(&self) -> &'static str {
        self.profile.unwrap_or(self.name)
    }
}

/// The elements directly in a type (`Observation`, `Quantity`, `string`) or in a group of elements
/// (`Observation.component`), in R4's order, inherited ones included. Nothing for a name that R4 does not have.
/// A primitive has `id` and `extension`: what is under `_name` in JSON.
pub fn children(place: &str) -> &'static [Element] {
    ELEMENTS.of(place)
}

/// The element that a JSON member of this name is, in this type or group: `child("Observation", "valueQuantity")`.
/// For `_name` ask for `name`.
pub fn child(place: &str, name: &str) -> Option<Member> {
    children(place).iter().find_map(|element| element.named(name))
}

/// An element by its place and its name without type: `element("Observation", "value")`.
pub fn element(place: &str, name: &str) -> Option<&'static Element> {
    children(place).iter().find(|element| element.name == name)
}

/// Every element of every type.
pub fn all_elements() -> &'static [Element] {
    ELEMENTS.all()
}

pub(super) fn read(table: &'static str) -> Grouped<Element> {
    let all: Vec<[&'static str; 9]> = rows(table).collect();
    let plain: Vec<(&str, Element)> = all.iter().filter_map(row).collect();
    let mut found = Grouped::new(plain);
    let inside: Vec<Option<&'static str>> =
        found.all().iter().map(|it| it.inside.or_else(|| found.has(it.path).then_some(it.path))).collect();
    for (element, inside) in found.all_mut().iter_mut().zip(inside) {
        element.inside = inside;
    }
    found
}

fn row(columns: &[&'static str; 9]) -> Option<(&'static str, Element)> {
    let [path, _, min, max, types, content, binding, modifier, summary] = *columns;
    let (parent, last) = path.rsplit_once('.')?;
    let element = Element {
        path,
        name: last.trim_end_matches("[x]"),
        choice: last.ends_with("[x]"),
        min: min.parse().ok()?,
        max: if max == "*" { None } else { Some(max.parse().ok()?) },
        types: types.split(' ').filter(|text| !text.is_empty()).map(TypeRef::parse).collect(),
        inside: some(content),
        binding: some(binding),
        modifier: yes(modifier),
        summary: yes(summary),
    };
    Some((parent, element))
}
