//! The audit log: an entry for every request that touches the API, durable before its answer leaves.
//!
//! Entries of writes are committed in the transaction of their effect (`store::Tx::audit`). Entries of
//! reads and refusals go through `Log`: one sealed block per group commit, with a leaf hash each.
//! AuditEvents are a view of entries (`events`); their index is made afterwards (`index`), and a search
//! of AuditEvents waits for it.

mod entry;
pub mod events;
mod index;
mod log;

pub use crate::fhir::audit_event::Action;
pub use entry::{BREAK_THE_GLASS, Did, Entry};
pub use events::entries;
pub use index::Index;
pub use log::{Log, Receipt};
