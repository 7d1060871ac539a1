//! Cuts vendor bytes into records: one file per provider of bytes. Pure; names no code, unit or metric.
//!
//! `envelope::check` reads an upload before it is acknowledged and judges only its envelope;
//! `sdk::read` judges each record on its own. Both read a stream and hold one element at a time.

pub mod envelope;
mod frame;
#[cfg(test)]
mod goldens;
mod scan;
pub mod sdk;
mod stream;
mod walk;

pub use envelope::{Envelope, Provider, check};
pub use sdk::{Judged, read};
