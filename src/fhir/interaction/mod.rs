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
use super::validate::{quoted, scheme};

/// The name of a resource type that a resource can be of.
fn resource_type(name: &str) -> Option<&'static str> {
    type_named(name).filter(|it| Type::is_concrete_resource(it)).map(|it| it.name)
}
