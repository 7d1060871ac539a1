//! Declarative mappings: `mappings/<source>/<metric>.yaml` says what a source record becomes in FHIR.
//!
//! `Mappings` loads and lints them (a fault is fatal, with file, line, rule and remedy); a `Mapping` turns a
//! `Record` into `Measured` samples or a `Refusal`. Pure but for `Mappings::with_dir`, which reads files.
//! `grammar` has every member a file may have, `lint` the rules it must keep; `tree` and `path` read records.

mod apply;
pub mod compile;
pub mod coverage;
pub mod grammar;
mod lint;
pub mod load;
mod parser;
pub mod path;
pub mod record;
mod shipped;
pub mod source;
pub mod tree;

pub use compile::Mapping;
pub use load::Mappings;
pub use parser::plain;
pub use record::{Identifier, Measured, Record, Refusal};
pub use source::Source;
