//! Walks a resource beside the tables: which members may stand where, how often, and of what type.

use super::container::Container;
use super::issue::{Issues, quoted};
use super::node::{Node, Object};
use super::place::Place;
use super::primitive::Primitive;
use super::rules::{Here, Rule};
use super::shape::{Content, Shape, Slot, numbered};
use super::{Pointer, coded, extension, narrative};
use crate::fhir::definitions::invariants;

pub(super) struct Walk<'n> {
    pub issues: Issues,
    pub pointers: Vec<Pointer>,
    pub container: Container<'n>,
    /// The URL of the profile that the outermost resource is asked to keep.
    pub profile: Option<&'n str>,
}

/// The resource that something is in.
#[derive(Clone, Copy)]
pub(super) struct Scope<'n> {
    pub resource: &'n Object<'n>,
    /// Is it contained in another?
    pub inside: bool,
    /// The type of the Bundle that it is in.
    pub bundle: Option<&'n str>,
}

/// A value, and what stands under `_name` beside it.
#[derive(Clone, Copy)]
struct Pair<'n> {
    value: Option<&'n Node<'n>>,
    beside: Option<&'n Node<'n>>,
}

const LEAVE_OUT: &str = "Send a value, or leave the element out.";

impl<'n> Walk<'n> {
    /// The members of an object, and the rules of its place.
    pub fn object(&mut self, it: &'n Object<'n>, shape: &'static Shape, place: &Place, scope: Scope<'n>) {
        let mut seen: Vec<Option<&str>> = vec![None; shape.elements.len()];
        let shadows = it.members.iter().any(|(name, _)| name.starts_with('_'));
        for (name, node) in it.members() {
            if self.issues.full() {
                return;
            }
            let plain = name.strip_prefix('_').unwrap_or(name);
            let shadow = plain.len() < name.len();
            let slot = shape.slot(plain).filter(|slot| !shadow || matches!(slot.content, Content::Primitive(..)));
            let Some(slot) = slot else {
                if name != "resourceType" || !std::ptr::eq(it, scope.resource) {
                    self.unknown(name, shape, place);
                }
                continue;
            };
            if shadow && it.get(plain).is_some() {
                continue;
            }
            if let Some(other) = seen.get(slot.nth).copied().flatten().filter(|other| *other != plain) {
                let says = format!("{other} and {plain} stand together; R4 allows one of them.");
                self.issues.add(&place.child(plain), "structure", says, "Send only one.");
            }
            if let Some(seen) = seen.get_mut(slot.nth) {
                *seen = Some(plain);
            }
            let beside = match shadow {
                true => Some(node),
                false => {
                    shadows.then(|| it.members().find(|(name, _)| name.strip_prefix('_') == Some(plain))).flatten().map(|(_, node)| node)
                }
            };
            let pair = Pair { value: (!shadow).then_some(node), beside };
            self.element(pair, slot, &place.child(slot.element.name), scope);
        }
        self.missing(shape, &seen, place);
        self.rules(&shape.rules, it, place, scope);
    }

    fn unknown(&mut self, name: &str, shape: &Shape, place: &Place) {
        let says = format!("{} is no element of {}.", quoted(name), shape.place);
        self.issues.add(
            &place.child(name),
            "structure",
            says,
            "Remove it, or correct its name; what R4 has no element for goes into an extension.",
        );
    }

    fn missing(&mut self, shape: &Shape, seen: &[Option<&str>], place: &Place) {
        for (element, _) in shape.elements.iter().zip(seen).filter(|(element, seen)| element.min > 0 && seen.is_none()) {
            let name = if element.choice { format!("{}[x]", element.name) } else { element.name.to_owned() };
            self.issues.add(&place.child(element.name), "required", format!("{name} is missing."), format!("Send {name}."));
        }
    }

    fn rules(&mut self, rules: &[&Rule], this: &'n Object<'n>, place: &Place, scope: Scope<'n>) {
        for rule in rules {
            if !(rule.holds)(&Here { this, resource: scope.resource }) {
                let human = invariants(rule.path).iter().find(|it| it.key == rule.key).map_or("", |it| it.human.trim_end_matches('.'));
                let says = format!("{}: {human}.", rule.key);
                self.issues.add(place, "invariant", says, "Change the element so that the rule holds.");
            }
        }
    }

    fn element(&mut self, pair: Pair<'n>, slot: &'static Slot, place: &Place, scope: Scope<'n>) {
        if slot.element.max == Some(0) {
            return self.issues.add(place, "structure", "The element may not stand here.", "Remove it.");
        }
        if slot.element.repeats() {
            return self.list(pair, slot, place, scope);
        }
        let list = [pair.value, pair.beside].into_iter().flatten().any(|node| matches!(node, Node::List(_)));
        if list {
            return self.issues.add(place, "structure", "It is an array where one value is expected.", "Send the value without [ ].");
        }
        self.one(pair, slot, place, scope);
    }

    fn list(&mut self, pair: Pair<'n>, slot: &'static Slot, place: &Place, scope: Scope<'n>) {
        let mut lists = [None, None];
        for (list, node) in lists.iter_mut().zip([pair.value, pair.beside]) {
            *list = match node {
                Some(Node::List(nodes)) if nodes.is_empty() => {
                    return self.issues.add(place, "structure", "The array is empty.", LEAVE_OUT);
                }
                Some(Node::List(nodes)) => Some(nodes),
                Some(node) => {
                    let says = format!("It is {} where an array is expected.", node.kind());
                    return self.issues.add(place, "structure", says, "Put the value between [ and ].");
                }
                None => None,
            };
        }
        let [values, besides] = lists;
        if let (Some(values), Some(besides)) = (values, besides)
            && values.len() != besides.len()
        {
            let says = "The array of values and the array of their extensions differ in length.";
            return self.issues.add(place, "structure", says, "Fill the shorter one with null.");
        }
        let length = values.or(besides).map_or(0, Vec::len);
        if slot.element.max.is_some_and(|max| usize::try_from(max).is_ok_and(|max| length > max)) {
            self.issues.add(place, "structure", "There are more than R4 allows.", "Send fewer.");
        }
        for n in 0..length {
            if self.issues.full() {
                return;
            }
            let at = |list: Option<&'n Vec<Node<'n>>>| list.and_then(|list| list.get(n));
            // A null keeps the place of a value that has only extensions, or of an extension that is not there.
            let (value, beside) = (at(values), at(besides));
            let gap = |other: Option<&Node>| matches!(other, Some(other) if *other != Node::Null);
            let pair = Pair {
                value: value.filter(|node| **node != Node::Null || !gap(beside)),
                beside: beside.filter(|node| **node != Node::Null || value.is_none()),
            };
            self.one(pair, slot, &place.at(n), scope);
        }
    }

    fn one(&mut self, pair: Pair<'n>, slot: &'static Slot, place: &Place, scope: Scope<'n>) {
        match slot.content {
            Content::Primitive(primitive, shadow) => {
                if let Some(value) = pair.value {
                    self.primitive(primitive, value, slot, place);
                }
                self.beside(pair, shadow, place, scope);
                if primitive == Primitive::Code && pair.value.is_none() {
                    coded::absent(slot, place, &mut self.issues);
                }
            }
            Content::Complex(number) => {
                let Some(it) = self.an_object(pair.value, place) else { return };
                if it.members.iter().all(|(name, _)| name == "id" || name == "_id") {
                    self.issues.add(place, "invariant", "ele-1: All FHIR elements must have a @value or children.", LEAVE_OUT);
                }
                if let Some(shape) = numbered(number) {
                    self.object(it, shape, place, scope);
                }
                self.rules(&slot.rules, it, place, scope);
                match slot.of.map(|of| of.name) {
                    Some("Reference") => self.reference(it, slot, place, scope),
                    Some("Extension") => extension::judge(it, slot, place, &mut self.issues),
                    Some("CodeableConcept") => coded::concept(it, slot, place, &mut self.issues),
                    _ => {}
                }
            }
            Content::Resource => {
                if let Some(it) = self.an_object(pair.value, place) {
                    self.inner(it, slot, place, scope);
                }
            }
        }
    }

    fn an_object(&mut self, node: Option<&'n Node<'n>>, place: &Place) -> Option<&'n Object<'n>> {
        match node? {
            Node::Object(it) if it.members.is_empty() => self.issues.add(place, "structure", "The object is empty.", LEAVE_OUT),
            Node::Object(it) => return Some(it),
            Node::Null => self.null(place),
            node => self.issues.add(place, "structure", format!("It is {} where an object is expected.", node.kind()), "Send an object."),
        }
        None
    }

    fn null(&mut self, place: &Place) {
        self.issues.add(place, "structure", "It is null.", LEAVE_OUT);
    }

    /// The extensions of a primitive.
    fn beside(&mut self, pair: Pair<'n>, shadow: usize, place: &Place, scope: Scope<'n>) {
        let Some(beside) = pair.beside else { return };
        let Some(it) = self.an_object(Some(beside), place) else { return };
        if pair.value.is_none() && !it.has("extension") {
            self.issues.add(place, "invariant", "ele-1: All FHIR elements must have a @value or children.", LEAVE_OUT);
        }
        if let Some(shape) = numbered(shadow) {
            self.object(it, shape, place, scope);
        }
    }

    fn primitive(&mut self, primitive: Primitive, value: &'n Node<'n>, slot: &'static Slot, place: &Place) {
        if *value == Node::Null {
            return self.null(place);
        }
        if let Err(wrong) = primitive.judge(value) {
            return self.issues.add(place, wrong.code, wrong.says, wrong.remedy);
        }
        let Some(text) = value.text() else { return };
        if primitive.is_link() && text.starts_with('#') {
            self.container.link(text);
        }
        if primitive == Primitive::Code {
            coded::code(text, slot, place, &mut self.issues);
        }
        if primitive == Primitive::Xhtml {
            for (says, remedy) in narrative::judge(text) {
                self.issues.add(place, "invariant", says, remedy);
            }
        }
    }
}
