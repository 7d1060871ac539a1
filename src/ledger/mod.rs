//! THE write path: documents or samples, their index rows, the feed and the audit entry in one `Tx`.

pub mod callers;
pub mod credentials;
mod devices;
pub mod documents;
mod draft;
mod existing;
mod raw;
mod same;
pub mod samples;
mod templates;
pub mod uploads;
pub mod users;
