//! The integration tests: one binary. A test arranges actors, does one thing, and asserts JSON by path.
//!
//! `both!` runs a test against the built binary on SQLite and on PostgreSQL.

#[macro_use]
mod support;

mod conformance;
mod generated;
mod house_rules;
mod identity;
mod mappings;
mod sdk_clients;
mod sdk_refusals;
mod sdk_upload;
mod start;
mod users;
