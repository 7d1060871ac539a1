//! What may stand in an object, made from the tables once: members by their name in JSON, and the rules of the place.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::primitive::Primitive;
use super::rules::{self, Rule};
use crate::fhir::definitions::{Element, TypeKind, TypeRef, ValueSet, all_elements, children, type_named, value_set};

static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::new);

struct Shapes {
    at: HashMap<&'static str, usize>,
    all: Vec<Shape>,
}

/// A type, or a group of elements in one.
pub(super) struct Shape {
    pub place: &'static str,
    pub elements: &'static [Element],
    pub rules: Box<[&'static Rule]>,
    slots: HashMap<Box<str>, Slot>,
}

/// A member.
pub(super) struct Slot {
    /// Which of the shape's elements it is.
    pub nth: usize,
    pub element: &'static Element,
    pub of: Option<&'static TypeRef>,
    pub content: Content,
    pub binding: Option<ValueSet>,
    /// Those of the element, beside those of its type.
    pub rules: Box<[&'static Rule]>,
}

pub(super) enum Content {
    /// And the shape of what may stand under `_name`.
    Primitive(Primitive, usize),
    Complex(usize),
    Resource,
}

/// The shape of a type or group.
pub(super) fn shape(place: &str) -> Option<&'static Shape> {
    SHAPES.at.get(place).and_then(|at| SHAPES.all.get(*at))
}

/// The shape that a slot names by its number.
pub(super) fn numbered(number: usize) -> Option<&'static Shape> {
    SHAPES.all.get(number)
}

/// Reads the tables, so that the first request need not.
pub fn warm() {
    LazyLock::force(&SHAPES);
}

impl Shape {
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.get(name)
    }
}

impl Shapes {
    fn new() -> Shapes {
        let mut at: HashMap<&'static str, usize> = HashMap::new();
        for (place, _) in all_elements().iter().filter_map(|it| it.path.rsplit_once('.')) {
            let next = at.len();
            at.entry(place).or_insert(next);
        }
        let mut places: Vec<(&'static str, usize)> = at.iter().map(|(place, number)| (*place, *number)).collect();
        places.sort_unstable_by_key(|(_, number)| *number);
        let all = places.into_iter().map(|(place, _)| compile(place, &at)).collect();
        Shapes { at, all }
    }
}

fn compile(place: &'static str, at: &HashMap<&'static str, usize>) -> Shape {
    let elements = children(place);
    let mut slots = HashMap::new();
    for (nth, element) in elements.iter().enumerate() {
        if element.types.is_empty() {
            slots.extend(slot(nth, element, None, at).map(|slot| (Box::from(element.name), slot)));
        }
        for of in &element.types {
            slots.extend(slot(nth, element, Some(of), at).map(|slot| (json_name(element, of), slot)));
        }
    }
    let types: Vec<&str> = type_named(place).map_or(vec![place], |it| it.lineage().map(|it| it.name).collect());
    let rules = types.into_iter().flat_map(rules::of).collect();
    Shape { place, elements, rules, slots }
}

fn json_name(element: &Element, of: &TypeRef) -> Box<str> {
    let (first, rest) = of.name.split_at_checked(1).unwrap_or_default();
    match element.choice {
        true => format!("{}{}{rest}", element.name, first.to_ascii_uppercase()).into(),
        false => element.name.into(),
    }
}

fn slot(nth: usize, element: &'static Element, of: Option<&'static TypeRef>, at: &HashMap<&'static str, usize>) -> Option<Slot> {
    let place = element.inside.or(of.map(TypeRef::shape))?;
    let number = *at.get(place)?;
    let content = match of.and_then(|of| Primitive::named(of.name)) {
        Some(primitive) => Content::Primitive(primitive, number),
        None if type_named(place).is_some_and(|it| it.kind == TypeKind::Resource) => Content::Resource,
        None => Content::Complex(number),
    };
    // A group of elements is a shape of its own, and has the rules there.
    let rules = if element.inside.is_some() { Box::default() } else { rules::of(element.path).collect() };
    Some(Slot { nth, element, of, content, binding: element.binding.and_then(value_set), rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_its_slots() {
        let all: usize = SHAPES.all.iter().map(|it| it.slots.len()).sum();
        let wanted: usize = all_elements().iter().map(|it| it.types.len().max(1)).sum();
        assert_eq!(all, wanted);
        let value = shape("Observation").and_then(|it| it.slot("valueQuantity")).expect("there");
        assert_eq!((value.element.path, value.of.map(|it| it.name)), ("Observation.value[x]", Some("Quantity")));
        assert!(matches!(value.content, Content::Complex(number) if numbered(number).is_some_and(|it| it.place == "Quantity")));
        let contained = shape("Patient").and_then(|it| it.slot("contained")).expect("there");
        assert!(matches!(contained.content, Content::Resource));
        assert!(shape("Observation").is_some_and(|it| it.slot("value").is_none() && it.slot("valueMoney").is_none()));
    }
}
