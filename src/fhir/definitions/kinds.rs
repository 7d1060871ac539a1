//! Types: <http://hl7.org/fhir/R4/datatypes.html>, <http://hl7.org/fhir/R4/resourcelist.html>.

use std::sync::LazyLock;

use super::rows::{rows, some, yes};

pub(super) const TABLE: &str = include_str!("types.tsv");

/// Sorted by name.
static TYPES: LazyLock<Box<[Type]>> = LazyLock::new(|| read(TABLE));

/// What a type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A JSON string, number or boolean, with an Element beside it under `_name`.
    Primitive,
    /// A JSON object without `resourceType`.
    Complex,
    /// A JSON object with `resourceType`.
    Resource,
}

/// A datatype or resource type of R4.
#[derive(Debug)]
pub struct Type {
    pub name: &'static str,
    pub kind: TypeKind,
    /// No instance is of this very type: Element, BackboneElement, Resource, DomainResource.
    pub is_abstract: bool,
    /// What it specialises (`uri` for `canonical`), or constrains (`Quantity` for `SimpleQuantity`).
    pub base: Option<&'static str>,
    /// What the whole text of a primitive must match. For `date`, `dateTime` and `instant` it lets days pass that no
    /// month has; for `xhtml` there is none.
    pub regex: Option<&'static str>,
}

impl Type {
    /// This type, what it is based on, and so on up: `Age`, `Quantity`, `Element`.
    pub fn lineage(&'static self) -> impl Iterator<Item = &'static Type> {
        std::iter::successors(Some(self), |at| at.base.and_then(type_named))
    }

    /// Is it a resource type that a resource can be of?
    pub fn is_concrete_resource(&self) -> bool {
        self.kind == TypeKind::Resource && !self.is_abstract
    }
}

/// Every type, sorted by name.
pub fn all_types() -> &'static [Type] {
    &TYPES
}

/// The type of this name, written as in R4: `Observation`, `dateTime`, `SimpleQuantity`.
pub fn type_named(name: &str) -> Option<&'static Type> {
    TYPES.binary_search_by(|it| it.name.cmp(name)).ok().and_then(|at| TYPES.get(at))
}

pub(super) fn read(table: &'static str) -> Box<[Type]> {
    let row = |[name, kind, is_abstract, base, regex]: [&'static str; 5]| {
        let kind = match kind {
            "primitive" => TypeKind::Primitive,
            "complex" => TypeKind::Complex,
            "resource" => TypeKind::Resource,
            _ => return None,
        };
        Some(Type { name, kind, is_abstract: yes(is_abstract), base: some(base), regex: some(regex) })
    };
    rows(table).filter_map(row).collect()
}
