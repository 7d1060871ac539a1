//! DOOR diesel and libsqlite3-sys: every SQL statement. Takes `&mut Tx`, returns our types, knows no policy.
//!
//! `Db::read` and `Db::write` are the only ways to a transaction. Statements that differ between
//! SQLite and PostgreSQL live in `sqlite.rs` and `pg.rs`; the rest is written once and run on
//! whichever connection the transaction has, through `on!`.

/// Runs one diesel expression on the transaction's own kind of connection, so that both
/// backends keep their prepared-statement caches and their own SQL (see docs/decisions/0003).
/// When the time of a read is over it is not run.
macro_rules! on {
    ($tx:expr, $conn:ident => $body:expr) => {
        match ($crate::store::deadline::in_time(), &mut $tx.conn) {
            (Err(e), _) => Err(e),
            (Ok(()), $crate::store::Conn::Sqlite($conn)) => $body.map_err($crate::store::failed),
            (Ok(()), $crate::store::Conn::Pg($conn)) => $body.map_err($crate::store::failed),
        }
    };
}

mod db;
mod deadline;
mod pg;
mod schema;
mod sqlite;
pub mod waiting;
mod wal;
mod writer;

pub mod accounts;
pub mod audit;
mod binaries;
pub mod blocks;
pub mod break_glass;
pub mod changes;
pub mod clients;
pub mod consents;
pub mod credentials;
mod document_change;
mod document_rows;
pub mod document_search;
mod document_terms;
pub mod documents;
mod generations;
pub mod grants;
pub mod idempotency;
pub mod keys;
pub mod launches;
pub mod listing;
pub mod merges;
pub mod new_documents;
pub mod observations;
pub mod resources;
pub mod sessions;
pub mod shown_once;
pub mod signing_keys;
pub mod uploads;
pub mod users;

pub use db::{AuditConn, Conn, Db, Opened, Place, Tx};
pub use deadline::Deadline;
pub use generations::Generation;

use diesel::result::{DatabaseErrorKind, Error as Diesel};

use crate::error::{Error, Kind};

/// Brings a PostgreSQL schema up to date; answers the names of what was applied, or would be.
pub fn migrate_postgres(url: &str, dry_run: bool) -> crate::error::Result<Vec<String>> {
    pg::Pool::migrate(url, dry_run)
}

/// What a failed statement means to us.
#[track_caller]
pub(in crate::store) fn failed(e: Diesel) -> Error {
    match &e {
        Diesel::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Error::new(Kind::Conflict, "it exists already").because(e),
        Diesel::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Error::new(Kind::Busy, "the database is busy").because(e),
        Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand, _) => gone(&e),
        Diesel::DatabaseError(_, info) if late(info.message()) => deadline::too_slow(),
        Diesel::DatabaseError(_, info) if cut(info.message()) => gone(&e),
        Diesel::DatabaseError(_, info) if starved(info.message()) => Error::new(Kind::Busy, "the data cannot be stored now").because(e),
        _ => Error::bug(e),
    }
}

/// The connection was lost, perhaps in the middle of a commit: whether to try again is for the client to say.
pub(in crate::store) const GONE: &str = "PostgreSQL does not answer any more; start PostgreSQL, or try again";

#[track_caller]
fn gone(e: &Diesel) -> Error {
    Error::new(Kind::Busy, GONE).because(e)
}

/// What libpq says of a connection whose other end is gone; it has no error code of its own.
fn cut(message: &str) -> bool {
    ["server closed the connection", "terminating connection", "no connection to the server", "the database system is"]
        .iter()
        .any(|text| message.contains(text))
}

/// It was told to stop because its time was over.
fn late(message: &str) -> bool {
    message == "interrupted" || message.contains("due to statement timeout")
}

/// Conditions of the machine that pass: the client is told to come back, and loses nothing.
fn starved(message: &str) -> bool {
    [
        "disk is full",
        "database is locked",
        "disk I/O error",
        "readonly database",
        "No space left",
        "deadlock detected",
        "canceling statement",
        "could not resize",
    ]
    .iter()
    .any(|text| message.contains(text))
}
