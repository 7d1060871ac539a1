//! What R4 (4.0.1) says about its types, from the tables beside this file. `conformance/definitions` prints them from
//! HL7's definitions and describes each column; nothing in them is written by hand.
//!
//! A table is read on its first use, all of them in a few milliseconds. Who never asks pays with nothing but the size
//! of the binary.

mod elements;
mod invariants;
mod kinds;
mod language;
mod rows;
mod search;
mod value_sets;

pub use elements::{Element, Member, TypeRef, all_elements, child, children, element};
pub use invariants::{Invariant, all_invariants, invariants};
pub use kinds::{Type, TypeKind, all_types, type_named};
pub use search::{CompartmentMember, PlainPath, SearchParameter, SearchType, compartment, search_parameter, search_parameters};
pub use value_sets::{Code, ValueSet, value_set};

#[cfg(test)]
mod tests;
