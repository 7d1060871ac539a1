//! Batches and transactions (<https://hl7.org/fhir/R4/http.html#transaction>) before and after the database: what a
//! Bundle asks for (`read`), in which order that is done (`order`), what its links become (`rewrite`), and the Bundle that
//! answers it (`response`). Nothing here knows a database or a caller; the Bundle was judged by `validate` before.

mod answer;
mod incoming;
mod links;
mod narrative;
mod steps;
mod target;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use answer::{Answered, response};
pub use incoming::{Entry, Incoming, Kind, Method, Options, Refused, read};
pub use links::{Links, conditional, references, rewrite};
pub use steps::{order, overlap};
pub use target::Target;
pub use write::write;

use super::definitions::{Type, type_named};

/// The name of a resource type that a resource can be of.
fn resource_type(name: &str) -> Option<&'static str> {
    type_named(name).filter(|it| Type::is_concrete_resource(it)).map(|it| it.name)
}

/// Words of the sender in our own: cut, though not within `Type/id`, and without control characters.
pub fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    let more = if short.len() < text.len() { ".." } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}

/// What stands before the first colon, when it can be a scheme (RFC 3986, 3.1).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()).then_some(scheme)
}
