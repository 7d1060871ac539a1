//! Judges a resource that somebody wrote by the tables of R4: `validate`. Nothing here knows a database or a caller;
//! whether the target of a reference exists is asked elsewhere, with the `pointers` of what was let pass.
//!
//! All errors come in one answer, each with the element and what to do. Text that cannot be read as JSON is one fatal
//! issue. Decimals are never numbers of the machine: what was sent is what is kept.
//!
//! The rules that R4 writes in FHIRPath are written by hand in `rules`: docs/decisions/0016-invariants.md.

mod bundle;
mod coded;
mod container;
mod extension;
mod issue;
mod json;
mod moment;
mod narrative;
mod node;
mod place;
mod primitive;
mod profile;
mod reference;
mod resource;
mod rules;
mod shape;
mod vital_signs;
mod walk;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod verdicts;

use std::borrow::Cow;

pub(crate) use issue::quoted;
pub use issue::{Issue, Severity};
pub(crate) use moment::instant as is_instant;
pub use node::{Node, Object};
pub use primitive::id as is_id;
pub(crate) use primitive::scheme;
pub use profile::profiles;
pub use reference::is_type;
pub use shape::warm;

use container::Container;
use issue::Issues;
use json::{Fault, Step};
use place::Place;
use resource::Role;
use walk::Walk;

use crate::fhir::definitions::type_named;

/// What is asked of a text beyond R4's rules.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// The resource type that it must have.
    pub expected: Option<&'o str>,
    /// The canonical URL of a profile that it must keep as well: one of `profiles`, or of a resource type.
    pub profile: Option<&'o str>,
    /// Its length at most.
    pub bytes: usize,
    /// Arrays and objects in each other.
    pub depth: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { expected: None, profile: None, bytes: 64 << 20, depth: 64 }
    }
}

/// A resource that R4 lets stand.
#[derive(Clone, Debug)]
pub struct Checked<'t> {
    pub resource_type: &'static str,
    pub tree: Object<'t>,
    /// Every reference to a resource outside of it.
    pub pointers: Vec<Pointer>,
}

/// A literal reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The element, as FHIRPath.
    pub at: String,
    /// `Patient/1`, `urn:uuid:..`, `https://..`; in a transaction also `Patient?identifier=..`.
    pub to: String,
}

/// Judges the text of one resource.
pub fn validate<'t>(text: &'t [u8], options: &Options) -> Result<Checked<'t>, Vec<Issue>> {
    let text = utf8(text, options)?;
    let tree = json::read(text, options.depth).map_err(|fault| vec![told(&fault, text, options)])?;
    let (issues, pointers) = walk(&tree, options);
    if !issues.is_empty() {
        return Err(issues);
    }
    // The walk has found it to be one of R4's.
    let resource_type = type_name(&tree).and_then(type_named).map_or("", |it| it.name);
    Ok(Checked { resource_type, tree, pointers })
}

/// Reads a text that was judged before; None when it is not one JSON object.
pub fn object(text: &str) -> Option<Object<'_>> {
    json::read(text, Options::default().depth).ok()
}

/// Reads a JSON text of any kind as strictly as `validate` does, and judges nothing in it.
pub(crate) fn read<'t>(text: &'t [u8], options: &Options) -> Result<Node<'t>, Vec<Issue>> {
    let tree = utf8(text, options).and_then(|text| json::value(text, options.depth).map_err(|fault| vec![told(&fault, text, options)]));
    tree.map_err(|mut issues| {
        // It need not be an object here.
        for issue in issues.iter_mut().filter(|issue| issue.remedy == json::GRAMMAR) {
            issue.remedy = "Send well-formed JSON encoded as UTF-8.".into();
        }
        issues
    })
}

fn utf8<'t>(text: &'t [u8], options: &Options) -> Result<&'t str, Vec<Issue>> {
    if text.len() > options.bytes {
        let says = format!("The resource has {} bytes; {} are the limit.", text.len(), options.bytes);
        return Err(vec![fatal("too-long", String::new(), says, "Send less; large contents go into a Binary each.")]);
    }
    str::from_utf8(text).map_err(|error| {
        let says = format!("The text is not UTF-8 from byte {} on.", error.valid_up_to());
        vec![fatal("structure", String::new(), says, json::GRAMMAR)]
    })
}

/// Judges what was read.
fn walk<'n>(tree: &'n Object<'n>, options: &Options<'n>) -> (Vec<Issue>, Vec<Pointer>) {
    let mut walk = Walk { issues: Issues::default(), pointers: Vec::new(), container: Container::default(), profile: options.profile };
    let name = type_name(tree);
    let place = Place::root(name.or(options.expected).unwrap_or("Resource"));
    if let (Some(name), Some(expected)) = (name, options.expected)
        && name != expected
    {
        let says = format!("The resource is of type {}, not {expected}.", quoted(name));
        walk.issues.add(&place, "invalid", says, format!("Send a resource of type {expected}, or send it to the path of its own type."));
        return (walk.issues.all, Vec::new());
    }
    if let (Some(url), Some(name)) = (options.profile, name) {
        profile::judge(url, name, &place, &mut walk.issues);
    }
    walk.resource(tree, &place, Role::Top);
    (walk.issues.all, walk.pointers)
}

fn type_name<'a>(tree: &'a Object) -> Option<&'a str> {
    tree.text("resourceType")
}

fn fatal(code: &'static str, at: String, says: String, remedy: &'static str) -> Issue {
    Issue { severity: Severity::Fatal, code, at, says, remedy: Cow::Borrowed(remedy) }
}

/// A fault of the reader, with its line and element.
fn told(fault: &Fault, text: &str, options: &Options) -> Issue {
    let before = text.get(..fault.at).unwrap_or(text);
    let (line, column) = (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    let root = options.expected.or_else(|| first_type(text));
    fatal(fault.code, way(&fault.way, root), format!("{} (line {line}, column {column})", fault.says), fault.remedy)
}

/// The resource type of a text that may be no JSON further on, when the text begins with it.
fn first_type(text: &str) -> Option<&'static str> {
    let parts = ["{", "\"resourceType\"", ":", "\""];
    let name = parts.iter().try_fold(text, |rest, part| rest.trim_start().strip_prefix(part))?;
    type_named(name.split('"').next()?).map(|it| it.name)
}

fn way(steps: &[Step], root: Option<&str>) -> String {
    let mut path = root.unwrap_or_default().to_owned();
    for step in steps.iter().rev() {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Name(name) if path.is_empty() => path = Place::root(name).to_string(),
            Step::Name(name) => path = format!("{path}.{}", Place::root(name)),
        }
    }
    path
}
