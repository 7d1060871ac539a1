//! Changes to a resource that somebody sends instead of the whole: <http://hl7.org/fhir/R4/http.html#patch>.
//!
//! - `json_patch`: JSON Patch (RFC 6902) with pointers of RFC 6901, `application/json-patch+json`.
//! - `fhirpath_patch`: FHIRPath Patch (<http://hl7.org/fhir/R4/fhirpatch.html>), a Parameters resource.
//!
//! Both take the text of a resource and the body, and give the new text: all operations, one after the other, or none.
//! Members keep their order and numbers their digits; space between them is not kept, and a string is escaped only
//! where JSON demands it.
//!
//! FHIRPath Patch leaves nothing empty behind; JSON Patch does what it is told, and R4 refuses an array that it emptied.
//!
//! What comes out is JSON and no more. It is the caller who then validates it as R4 (R4: "Servers SHALL return an error
//! if the outcome is not valid"), and who judges what no patch may change: `resourceType`, `id`, `meta.versionId` and
//! `meta.lastUpdated`. JSON Patch can change each of them, FHIRPath Patch all but `resourceType` at the root.
//!
//! Limits: 1,000 operations; 64 MiB of text and 64 levels in the outcome and at every moment before; and a budget of
//! work (`Purse`), as a short patch can ask for much of it.

mod equal;
mod fhirpath;
mod json;
mod pointer;
mod purse;
mod write;

#[cfg(test)]
mod json_tests;

pub use fhirpath::fhirpath_patch;
pub use json::json_patch;

use std::borrow::Cow;

use crate::fhir::validate::{Issue, Node, Object, Options, Severity, read};

/// Operations in one patch.
pub const OPERATIONS_MAX: usize = 1_000;
/// Bytes of the outcome.
pub const BYTES_MAX: usize = 64 << 20;
/// Arrays and objects in each other.
pub const DEPTH_MAX: usize = 64;

/// Issues told in one answer.
const ISSUES_MAX: usize = 100;

fn issue(code: &'static str, at: &str, says: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> Issue {
    Issue { severity: Severity::Error, code, at: shown(at), says: says.into(), remedy: remedy.into() }
}

/// Says of which operation it is, counted from 0.
fn of_operation(number: usize, name: &str, issue: Issue) -> Issue {
    Issue { says: format!("Operation {number} ({name}): {}", issue.says), ..issue }
}

/// A path of the sender in our own words: not endless, and without control characters.
fn shown(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars().take(200) {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// The resource that is patched.
fn resource(text: &str) -> Result<Object<'_>, Vec<Issue>> {
    match read(text.as_bytes(), &Options { bytes: BYTES_MAX, depth: DEPTH_MAX, ..Options::default() })? {
        Node::Object(it) => Ok(it),
        node => Err(vec![no_resource(&node)]),
    }
}

fn no_resource(node: &Node) -> Issue {
    issue("invalid", "", format!("It is {} where a resource is expected.", node.kind()), "Let the outcome be one JSON object.")
}

/// The text of the outcome.
fn outcome(root: &Object, near: usize) -> Result<String, Vec<Issue>> {
    let text = write::text(root, near);
    if text.len() > BYTES_MAX { Err(vec![purse::too_large()]) } else { Ok(text) }
}

fn too_many(found: usize) -> Issue {
    let says = format!("There are {found} operations; {OPERATIONS_MAX} are the limit.");
    issue("too-costly", "", says, "Send fewer, or send the whole resource by PUT.")
}
