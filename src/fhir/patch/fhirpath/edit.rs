//! Changes to an object of a resource: a value and what stands beside it under `_name` go together, also in arrays
//! (<http://hl7.org/fhir/R4/json.html#primitive>).

use std::mem::replace;

use super::find::{Hop, shadow};
use crate::fhir::validate::{Node, Object};

/// A value, and what stands under `_name` beside it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair<'t> {
    pub value: Option<Node<'t>>,
    pub beside: Option<Node<'t>>,
}

impl<'t> Pair<'t> {
    fn is_empty(&self) -> bool {
        self.value.is_none() && self.beside.is_none()
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node<'t>> {
        [&self.value, &self.beside].into_iter().flatten()
    }
}

fn find<'o, 't>(it: &'o mut Object<'t>, name: &str) -> Option<&'o mut Node<'t>> {
    it.members.iter_mut().find(|(member, _)| member == name).map(|(_, node)| node)
}

/// Takes the entries out of an array; null is there to be put back.
fn list<'t>(it: &mut Object<'t>, name: &str) -> Vec<Option<Node<'t>>> {
    match find(it, name).map(|node| replace(node, Node::Null)) {
        None | Some(Node::Null) => Vec::new(),
        Some(Node::List(nodes)) => nodes.into_iter().map(|node| Some(node).filter(|node| *node != Node::Null)).collect(),
        Some(one) => vec![Some(one)],
    }
}

/// Takes all of an element that repeats; `put_list` follows.
pub(super) fn take_list<'t>(it: &mut Object<'t>, name: &str) -> Vec<Pair<'t>> {
    let (mut values, mut besides) = (list(it, name), list(it, &shadow(name)));
    let length = values.len().max(besides.len());
    values.resize(length, None);
    besides.resize(length, None);
    values.into_iter().zip(besides).map(|(value, beside)| Pair { value, beside }).collect()
}

pub(super) fn put_list<'t>(it: &mut Object<'t>, name: &str, pairs: Vec<Pair<'t>>) {
    let (values, besides): (Vec<_>, Vec<_>) = pairs.into_iter().map(|pair| (pair.value, pair.beside)).unzip();
    let list = |nodes: Vec<Option<Node<'t>>>| {
        let any = nodes.iter().any(Option::is_some);
        any.then(|| Node::List(nodes.into_iter().map(|node| node.unwrap_or(Node::Null)).collect()))
    };
    put(it, name, Pair { value: list(values), beside: list(besides) });
}

/// Puts one behind the others. Only where some have something beside them is all of the list touched.
pub(super) fn push<'t>(it: &mut Object<'t>, name: &str, pair: Pair<'t>) {
    let alone = pair.beside.is_none() && it.get(&shadow(name)).is_none();
    match find(it, name) {
        Some(Node::List(nodes)) if alone => nodes.push(pair.value.unwrap_or(Node::Null)),
        _ => {
            let mut pairs = take_list(it, name);
            pairs.push(pair);
            put_list(it, name, pairs);
        }
    }
}

/// Takes an element that stands alone; `put` follows.
pub(super) fn take<'t>(it: &mut Object<'t>, name: &str) -> Pair<'t> {
    let mut one = |name: &str| find(it, name).map(|node| replace(node, Node::Null));
    Pair { value: one(name), beside: one(&shadow(name)) }
}

/// Puts both where they were, or the value at the end and what is beside it behind it. None is taken away.
pub(super) fn put<'t>(it: &mut Object<'t>, name: &str, pair: Pair<'t>) {
    let beside_name = shadow(name);
    set(it, name, pair.value, None);
    let behind = it.members.iter().position(|(member, _)| member == name).map(|at| at + 1);
    set(it, &beside_name, pair.beside, behind);
}

fn set<'t>(it: &mut Object<'t>, name: &str, node: Option<Node<'t>>, new_at: Option<usize>) {
    let at = it.members.iter().position(|(member, _)| member == name);
    match (at, node) {
        (Some(at), Some(node)) => it.members[at].1 = node,
        (Some(at), None) => drop(it.members.remove(at)),
        (None, Some(node)) => it.members.insert(new_at.unwrap_or(it.members.len()), (name.to_owned().into(), node)),
        (None, None) => {}
    }
}

/// The element gets another type, and so another name, where it stands.
pub(super) fn rename(it: &mut Object, from: &str, to: &str) {
    for (from, to) in [(from.to_owned(), to.to_owned()), (shadow(from), shadow(to))] {
        if let Some((member, _)) = it.members.iter_mut().find(|(member, _)| *member == from) {
            *member = to.into();
        }
    }
}

/// The object at the end of a way. The place for a primitive's extensions is made when it is not there.
pub(super) fn object<'o, 't>(root: &'o mut Object<'t>, way: &[Hop]) -> Option<&'o mut Object<'t>> {
    let mut at = root;
    for hop in way {
        if let Some(plain) = hop.name.strip_prefix('_') {
            change(at, plain, hop.index, |pair| {
                let _ = pair.beside.get_or_insert_with(|| Node::Object(Object::default()));
            });
        }
        let node = match (find(at, &hop.name)?, hop.index) {
            (Node::List(nodes), Some(index)) => nodes.get_mut(index)?,
            (node, None) => node,
            _ => return None,
        };
        let Node::Object(it) = node else { return None };
        at = it;
    }
    Some(at)
}

/// Changes one element, alone or of a list; when nothing is left of it, it is taken away.
pub(super) fn change<'t>(it: &mut Object<'t>, name: &str, index: Option<usize>, change: impl FnOnce(&mut Pair<'t>)) {
    let Some(index) = index else {
        let mut pair = take(it, name);
        change(&mut pair);
        return put(it, name, pair);
    };
    let mut pairs = take_list(it, name);
    if let Some(pair) = pairs.get_mut(index) {
        change(pair);
        if pair.is_empty() {
            pairs.remove(index);
        }
    }
    put_list(it, name, pairs);
}

/// Takes an element away, and all above it that is empty then: FHIR has no empty objects and arrays
/// (<http://hl7.org/fhir/R4/json.html>).
pub(super) fn delete(root: &mut Object, way: &[Hop], name: &str, index: Option<usize>) {
    if let Some(it) = object(root, way) {
        change(it, name, index, |pair| *pair = Pair::default());
        prune(root, way);
    }
}

fn prune(root: &mut Object, way: &[Hop]) {
    let Some((last, above)) = way.split_last() else { return };
    if !object(root, way).is_some_and(|it| it.members.is_empty()) {
        return;
    }
    let Some(it) = object(root, above) else { return };
    match last.name.strip_prefix('_') {
        // The value of a primitive stays when there is one.
        Some(plain) => change(it, plain, last.index, |pair| pair.beside = None),
        None => change(it, &last.name, last.index, |pair| *pair = Pair::default()),
    }
    prune(root, above);
}
