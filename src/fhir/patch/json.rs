//! JSON Patch: RFC 6902.

use std::mem::replace;

use super::equal::equal;
use super::pointer::{BEHIND, Pointer, element, index, step};
use super::purse::Purse;
use super::{BYTES_MAX, DEPTH_MAX, ISSUES_MAX, OPERATIONS_MAX, issue, no_resource, of_operation, outcome, resource, too_many};
use crate::fhir::validate::{Issue, Node, Object, Options, quoted, read};

/// Section 4, with what it needs beside `path`.
enum Change<'t> {
    Add(Node<'t>),
    Remove,
    Replace(Node<'t>),
    Move(Pointer),
    Copy(Pointer),
    Test(Node<'t>),
}

struct Operation<'t> {
    change: Change<'t>,
    path: Pointer,
}

const ARRAY: &str = "Send one JSON array of operations: [{\"op\":\"replace\",\"path\":\"/active\",\"value\":true}].";
const OPERATIONS: &str = "Send add, remove, replace, move, copy or test.";

/// Changes the text of a resource by a JSON Patch document; see the room for what the caller has to judge after it.
///
/// When the document is wrong, all that is wrong with it is told, and an issue's `at` is a pointer into it (`/3/op`; what
/// is no JSON has `[3].op`, as every text that is read). An operation that cannot be done is the only issue, with the
/// element of the resource.
pub fn json_patch(text: &str, patch: &[u8]) -> Result<String, Vec<Issue>> {
    let operations = operations(patch)?;
    let resource = resource(text)?;
    let kind = resource.text("resourceType").unwrap_or_default().to_owned();
    let mut root = Node::Object(resource);
    let mut purse = Purse::new(text.len());
    for (n, operation) in operations.into_iter().enumerate() {
        let name = operation.change.name();
        operation.run(&mut root, &mut purse).map_err(|issue| {
            let at = if kind.is_empty() { issue.at } else { element(&kind, &issue.at) };
            vec![of_operation(n, name, Issue { at, ..issue })]
        })?;
    }
    match root {
        Node::Object(root) => outcome(&root, text.len()),
        node => Err(vec![no_resource(&node)]),
    }
}

/// Section 3.
fn operations(patch: &[u8]) -> Result<Vec<Operation<'_>>, Vec<Issue>> {
    // The array and the operation are two levels above a value.
    let nodes = match read(patch, &Options { bytes: BYTES_MAX, depth: DEPTH_MAX + 2, ..Options::default() })? {
        Node::List(nodes) => nodes,
        node => return Err(vec![issue("structure", "", format!("It is {} where an array is expected.", node.kind()), ARRAY)]),
    };
    if nodes.len() > OPERATIONS_MAX {
        return Err(vec![too_many(nodes.len())]);
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (n, node) in nodes.into_iter().enumerate() {
        match Operation::of(node) {
            Ok(operation) => found.push(operation),
            Err((member, says, remedy)) => {
                let at = if member.is_empty() { format!("/{n}") } else { format!("/{n}/{member}") };
                wrong.push(issue("invalid", &at, format!("Operation {n}: {says}"), remedy));
            }
        }
    }
    wrong.truncate(ISSUES_MAX);
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// The member that is wrong, what is, and what to do.
type Wrong = (&'static str, String, &'static str);

impl<'t> Operation<'t> {
    fn of(node: Node<'t>) -> Result<Operation<'t>, Wrong> {
        let Node::Object(mut it) = node else {
            return Err(("", format!("It is {} where an object is expected.", node.kind()), ARRAY));
        };
        let op = text(&it, "op", OPERATIONS)?.to_owned();
        let from = || pointer(&it, "from");
        let change = match op.as_str() {
            "remove" => Change::Remove,
            "move" => Change::Move(from()?),
            "copy" => Change::Copy(from()?),
            "add" => Change::Add(value(&mut it)?),
            "replace" => Change::Replace(value(&mut it)?),
            "test" => Change::Test(value(&mut it)?),
            other => return Err(("op", format!("{} is no operation of JSON Patch.", quoted(other)), OPERATIONS)),
        };
        Ok(Operation { change, path: pointer(&it, "path")? })
    }

    fn run(self, root: &mut Node<'t>, purse: &mut Purse) -> Result<(), Issue> {
        let path = &self.path;
        match self.change {
            Change::Add(value) => {
                purse.grow(root, &value, path.len()).map_err(|it| at(it, path))?;
                add(root, path, value, purse)
            }
            Change::Remove => remove(root, path, purse).map(drop),
            Change::Replace(value) => {
                purse.grow(root, &value, path.len()).map_err(|it| at(it, path))?;
                *path.find(path.len(), root, purse)? = value;
                Ok(())
            }
            Change::Move(from) => {
                if path.is_inside(&from) {
                    let says = format!("{} cannot be moved into itself.", quoted(from.text()));
                    return Err(issue("processing", path.text(), says, "Move it elsewhere, or copy it."));
                }
                if path.text() == from.text() {
                    return from.find(from.len(), root, purse).map(drop);
                }
                let value = remove(root, &from, purse)?;
                purse.fits(&value, path.len()).map_err(|it| at(it, path))?;
                add(root, path, value, purse)
            }
            Change::Copy(from) => {
                let found = from.find(from.len(), root, purse)?;
                purse.copy(found)?;
                let value = found.clone();
                purse.grow(root, &value, path.len()).map_err(|it| at(it, path))?;
                add(root, path, value, purse)
            }
            Change::Test(value) => {
                // Comparing takes no longer than the value that was sent.
                if equal(path.find(path.len(), root, purse)?, &value) {
                    return Ok(());
                }
                let says = "The value there is not the one that was sent to compare.";
                Err(issue("processing", path.text(), says, "Read the resource again; it may have been changed since."))
            }
        }
    }
}

impl Change<'_> {
    fn name(&self) -> &'static str {
        match self {
            Change::Add(_) => "add",
            Change::Remove => "remove",
            Change::Replace(_) => "replace",
            Change::Move(_) => "move",
            Change::Copy(_) => "copy",
            Change::Test(_) => "test",
        }
    }
}

fn at(issue: Issue, path: &Pointer) -> Issue {
    Issue { at: super::shown(path.text()), ..issue }
}

fn text<'a>(it: &'a Object, name: &'static str, remedy: &'static str) -> Result<&'a str, Wrong> {
    match it.get(name) {
        Some(Node::Text(text)) => Ok(text),
        Some(node) => Err((name, format!("{name} is {} where a string is expected.", node.kind()), remedy)),
        None => Err((name, format!("{name} is missing."), remedy)),
    }
}

fn pointer(it: &Object, name: &'static str) -> Result<Pointer, Wrong> {
    let remedy = "Send a JSON Pointer such as /name/0/given.";
    Pointer::parse(text(it, name, remedy)?).map_err(|says| (name, says.to_owned(), remedy))
}

/// Takes it out. A value may be null, but not left out.
fn value<'t>(it: &mut Object<'t>) -> Result<Node<'t>, Wrong> {
    match it.members.iter_mut().find(|(name, _)| name == "value") {
        Some((_, node)) => Ok(replace(node, Node::Null)),
        None => Err(("value", "value is missing.".to_owned(), "Send a value; null is one.")),
    }
}

/// Section 4.1.
fn add<'t>(root: &mut Node<'t>, path: &Pointer, value: Node<'t>, purse: &mut Purse) -> Result<(), Issue> {
    let Some(last) = path.last() else {
        *root = value;
        return Ok(());
    };
    let above = path.len() - 1;
    match path.find(above, root, purse)? {
        Node::Object(it) => {
            purse.spend(1 + it.members.len())?;
            match it.members.iter_mut().find(|(name, _)| name == last) {
                Some((_, node)) => *node = value,
                None => it.members.push((last.to_owned().into(), value)),
            }
        }
        Node::List(nodes) => {
            let at = if last == BEHIND { Some(nodes.len()) } else { index(last) };
            let Some(at) = at.filter(|at| *at <= nodes.len()) else {
                let says = format!("{} is no place in an array of {}.", quoted(last), nodes.len());
                return Err(issue("not-found", path.text(), says, format!("Send an index from 0 to {}, or -.", nodes.len())));
            };
            purse.spend(1 + nodes.len() - at)?;
            nodes.insert(at, value);
        }
        other => return Err(path.missing(above, format!("stands {}, to which nothing can be added", other.kind()))),
    }
    Ok(())
}

/// Section 4.2.
fn remove<'t>(root: &mut Node<'t>, path: &Pointer, purse: &mut Purse) -> Result<Node<'t>, Issue> {
    let Some(last) = path.last() else {
        return Err(issue("processing", "", "The whole resource cannot be removed.", "Send DELETE to delete it."));
    };
    let above = path.len() - 1;
    let parent = path.find(above, root, purse)?;
    let at = step(parent, last, purse)?.map_err(|why| path.missing(above, why))?;
    match parent {
        Node::Object(it) => Ok(it.members.remove(at).1),
        Node::List(nodes) => {
            purse.spend(nodes.len() - at)?;
            Ok(nodes.remove(at))
        }
        other => Err(path.missing(above, format!("stands {}", other.kind()))),
    }
}
