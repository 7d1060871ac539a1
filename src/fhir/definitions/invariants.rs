//! Rules that the definitions write in FHIRPath: <http://hl7.org/fhir/R4/conformance-rules.html#constraints>.

use std::sync::LazyLock;

use super::rows::{Grouped, rows};

pub(super) const TABLE: &str = include_str!("invariants.tsv");

static INVARIANTS: LazyLock<Grouped<Invariant>> = LazyLock::new(|| read(TABLE));

/// A rule of severity error.
#[derive(Debug)]
pub struct Invariant {
    /// The type or element that it is about, and the context of its expression.
    pub path: &'static str,
    /// `obs-6`
    pub key: &'static str,
    /// The rule in words.
    pub human: &'static str,
    /// The rule in FHIRPath.
    pub expression: &'static str,
}

/// The rules defined at a type or element, by its path. A type has those of its `lineage` as well, an element those of
/// its type; every element those of `Element`.
pub fn invariants(path: &str) -> &'static [Invariant] {
    INVARIANTS.of(path)
}

/// Every rule, sorted by path and key.
pub fn all_invariants() -> &'static [Invariant] {
    INVARIANTS.all()
}

pub(super) fn read(table: &'static str) -> Grouped<Invariant> {
    let row = |[path, key, severity, human, expression]: [&'static str; 5]| {
        (severity == "error").then_some((path, Invariant { path, key, human, expression }))
    };
    Grouped::new(rows(table).filter_map(row).collect())
}
