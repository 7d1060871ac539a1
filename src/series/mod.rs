//! Samples: the block codec and the Observation templates. Pure.
//!
//! A dense wearable sample is not worth a row. An upload's samples are one block of columns; what all
//! of them share (codes, unit, device, mapping version) is a template: the Observation with holes.

pub mod block;
pub mod columns;
pub mod template;

pub use block::{Block, RecordId, RecordIds, Sample};
pub use template::{Facts, Template};
