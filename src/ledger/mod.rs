//! THE write path: documents or samples, their index rows, the feed and the audit entry in one `Tx`.

pub mod callers;
pub mod conditional;
mod creates;
pub mod credentials;
mod devices;
pub mod documents;
mod draft;
mod existing;
pub mod idempotency;
pub mod merge;
pub mod patch;
mod raw;
pub mod references;
pub mod reindex;
pub mod resources;
mod same;
pub mod samples;
pub mod shelves;
pub mod submitted;
mod templates;
pub mod transaction;
pub mod uploads;
pub mod users;
