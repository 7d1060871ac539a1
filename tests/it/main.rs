//! The integration tests: one binary. A test arranges actors, does one thing, and asserts JSON by path.
//!
//! `both!` runs a test against the released binary on SQLite and on PostgreSQL.

#[macro_use]
mod support;

mod house_rules;
mod upload;
