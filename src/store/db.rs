//! The database: readers, the one way to write, and the proof that a transaction is open.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::{PgConnection, SqliteConnection};
use tokio::sync::oneshot::{Receiver, channel};

use super::generations::{Changed, Generation};
use super::wal::Wal;
use super::writer::Durable;
use super::{audit, pg, sqlite};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};
use crate::vault::{Vault, digest};

pub enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Pg(&'a mut PgConnection),
}

diesel::define_sql_function! {
    /// https://www.sqlite.org/lang_corefunc.html#total_changes
    fn total_changes() -> diesel::sql_types::BigInt;
}

/// Proof that a transaction is open. Only `Db` makes one.
pub struct Tx<'a> {
    pub(in crate::store) conn: Conn<'a>,
    committed_at: Millis,
    entries: Vec<(Millis, Vec<u8>)>,
    wrote: Vec<[u8; 32]>,
    pub(in crate::store) changed: Changed,
    /// What `waiting` last read here.
    pub(in crate::store) indexed: Option<i64>,
}

impl<'a> Tx<'a> {
    pub(in crate::store) fn new(conn: Conn<'a>, committed_at: Millis) -> Tx<'a> {
        Tx { conn, committed_at, entries: Vec::new(), wrote: Vec::new(), changed: Changed::default(), indexed: None }
    }

    /// The stamp of everything this transaction writes; never goes back. One that only reads has none: what is compared
    /// with it there has ended.
    pub fn committed_at(&self) -> Millis {
        debug_assert!(self.writes(), "a transaction that reads has no time of commit");
        if self.writes() { self.committed_at } else { Millis::MAX }
    }

    /// Is it one that writes?
    pub(in crate::store) fn writes(&self) -> bool {
        self.committed_at != 0
    }

    /// Adds an audit entry that is committed with this transaction or not at all.
    pub fn audit(&mut self, recorded: Millis, entry: Vec<u8>) {
        self.entries.push((recorded, entry));
    }

    /// Remembers a sealed value that this unit of work wrote.
    pub(in crate::store) fn note_written(&mut self, sealed: &[u8]) {
        self.wrote.push(digest(&[sealed]));
    }

    /// SHA-256 of the hashes of what this unit of work wrote; `None` when it wrote nothing sealed.
    pub fn wrote(&self) -> Option<[u8; 32]> {
        (!self.wrote.is_empty()).then(|| digest(&self.wrote.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>()))
    }

    pub(in crate::store) fn take_entries(&mut self) -> Vec<(Millis, Vec<u8>)> {
        std::mem::take(&mut self.entries)
    }

    /// Seals the collected audit entries as one block of this transaction.
    pub(in crate::store) fn write_entries(&mut self, vault: &Vault, node: &[u8; 8], entries: &[(Millis, Vec<u8>)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        audit::insert_block(self, vault, node, entries)
    }

    /// Runs `work` so that its failure undoes its own statements and nothing else.
    pub(in crate::store) fn savepoint<T>(&mut self, work: &dyn Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let before = self.entries.len();
        self.wrote.clear();
        begin(&mut self.conn)?;
        match work(self) {
            Ok(value) => commit(&mut self.conn).map(|()| value),
            Err(e) => {
                self.entries.truncate(before);
                self.indexed = None;
                rollback(&mut self.conn)?;
                Err(e)
            }
        }
    }

    /// Runs `work` without a savepoint (SQLite). Did it fail and leave something written?
    pub(in crate::store) fn unguarded<T>(&mut self, work: &dyn Fn(&mut Tx<'_>) -> Result<T>) -> (Result<T>, bool) {
        let (before, changes) = (self.entries.len(), self.changes());
        self.wrote.clear();
        let outcome = work(self);
        let spoilt = outcome.is_err() && (changes.is_err() || changes.ok() != self.changes().ok());
        if outcome.is_err() {
            self.entries.truncate(before);
        }
        (outcome, spoilt)
    }

    /// Rows that this connection has changed since it was opened.
    pub(in crate::store) fn changes(&mut self) -> Result<i64> {
        on!(self, c => diesel::RunQueryDsl::get_result(diesel::select(total_changes()), *c))
    }

    /// When the disk is full, SQLite may end the transaction by itself, and every statement after that would stand for
    /// itself. Did it? Then a new one, which is empty, stands in its place.
    pub(in crate::store) fn ended(&mut self) -> bool {
        match &mut self.conn {
            Conn::Sqlite(conn) => conn.batch_execute("BEGIN").is_ok(),
            Conn::Pg(_) => false,
        }
    }

    /// Nothing of this transaction stays.
    pub(in crate::store) fn undo(&mut self) -> Result<()> {
        self.entries.clear();
        self.indexed = None;
        rollback(&mut self.conn)
    }
}

pub(in crate::store) fn begin(conn: &mut Conn<'_>) -> Result<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction(*conn),
        Conn::Pg(conn) => AnsiTransactionManager::begin_transaction(*conn),
    }
    .map_err(super::failed)
}

pub(in crate::store) fn commit(conn: &mut Conn<'_>) -> Result<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::commit_transaction(*conn),
        Conn::Pg(conn) => AnsiTransactionManager::commit_transaction(*conn),
    }
    .map_err(super::failed)
}

pub(in crate::store) fn rollback(conn: &mut Conn<'_>) -> Result<()> {
    match conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(*conn),
        Conn::Pg(conn) => AnsiTransactionManager::rollback_transaction(*conn),
    }
    .map_err(super::failed)
}

/// Where the data lives.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder with `firth.db` and `audit.db`.
    Sqlite(PathBuf),
    /// A libpq URL.
    Postgres(String),
}

/// A database whose keys can be read, before anything else may.
pub struct Opened {
    backend: Backend,
    clock: Clock,
}

enum Backend {
    Sqlite(sqlite::Files),
    Postgres(pg::Pool),
}

impl Opened {
    /// Connects and brings the schema up to date (SQLite) or checks it (PostgreSQL).
    /// A read that takes longer than `limit` is ended.
    pub fn at(place: &Place, clock: Clock, limit: Duration) -> Result<Opened> {
        let backend = match place {
            Place::Sqlite(folder) => Backend::Sqlite(sqlite::Files::open(folder, limit)?),
            Place::Postgres(url) => Backend::Postgres(pg::Pool::open(url, limit)?),
        };
        Ok(Opened { backend, clock })
    }

    /// One transaction before the keys are open: only `store::keys` uses it.
    pub fn first<T>(&mut self, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let now = self.clock.now();
        match &mut self.backend {
            Backend::Sqlite(files) => files.first(now, &work),
            Backend::Postgres(pool) => pool.write(None, &work),
        }
    }

    /// Starts the writers.
    pub fn start(self, vault: Arc<Vault>, node: [u8; 8]) -> Result<Db> {
        Ok(match self.backend {
            Backend::Sqlite(files) => Db::Sqlite(Arc::new(sqlite::Sqlite::start(files, vault, node, self.clock)?)),
            Backend::Postgres(pool) => Db::Postgres(Arc::new(pg::Postgres::start(pool, vault, node)?)),
        })
    }
}

/// An open database. Cloning is cheap.
#[derive(Clone)]
pub enum Db {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<pg::Postgres>),
}

impl Db {
    /// One consistent view. Blocks the calling thread.
    pub fn read<T>(&self, name: &'static str, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let _span = tracing::debug_span!("db.read", name).entered();
        match self {
            Db::Sqlite(db) => db.read(work),
            Db::Postgres(db) => db.read(work),
        }
    }

    /// The same for `work` that is one statement and so has one view by itself: on PostgreSQL without the two round
    /// trips of a transaction around it. Blocks the calling thread; `work` may run more than once.
    pub fn statement<T>(&self, name: &'static str, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let _span = tracing::debug_span!("db.statement", name).entered();
        match self {
            Db::Sqlite(db) => db.read(work),
            Db::Postgres(db) => db.statement(work),
        }
    }

    /// All or nothing, durable when it returns. Blocks the calling thread. `work` may run more than once.
    pub fn write<T: Send + 'static>(&self, name: &'static str, work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static) -> Result<T> {
        let _span = tracing::debug_span!("db.write", name).entered();
        match self {
            Db::Sqlite(db) => db.write(work),
            Db::Postgres(db) => db.write(work),
        }
    }

    /// The same for who need not block (SQLite); on PostgreSQL it is done when this returns. The receiver ends without
    /// an answer when the server goes down. What fails should do so before it writes anything: else the whole group is
    /// run again.
    pub fn write_later<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Receiver<Result<T>> {
        let _span = tracing::debug_span!("db.write", name).entered();
        match self {
            Db::Sqlite(db) => db.write_later(work),
            Db::Postgres(db) => {
                let (answer, wait) = channel();
                let _ = answer.send(db.write(work));
                wait
            }
        }
    }

    /// The connection on which the audit room commits entries of reads.
    pub fn audit_connection(&self) -> Result<AuditConn> {
        match self {
            Db::Sqlite(db) => db.audit_connection().map(|(conn, apart)| AuditConn::Sqlite(conn, apart)),
            Db::Postgres(db) => db.connection().map(|conn| AuditConn::Postgres(conn, Arc::clone(db))),
        }
    }

    /// One consistent view of the audit log's own database.
    pub fn read_audit<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match self {
            Db::Sqlite(db) => db.read_audit(work),
            Db::Postgres(db) => db.read(work),
        }
    }

    /// Are audit blocks of writes in a database of their own (SQLite), apart from those of reads?
    pub fn audit_is_apart(&self) -> bool {
        matches!(self, Db::Sqlite(_))
    }

    /// Does the store belong to this process alone?
    pub fn one_process(&self) -> bool {
        matches!(self, Db::Sqlite(_))
    }

    /// Changes with every commit of this process that changes who may do what. What was read after it was taken holds as
    /// long as it stays the same, unless another process commits (`one_process`).
    pub fn generation(&self) -> Generation {
        match self {
            Db::Sqlite(db) => db.generation(),
            Db::Postgres(db) => db.generation(),
        }
    }

    /// Before an orderly end: leaves the database files whole by themselves (SQLite).
    pub fn settle(&self) {
        if let Db::Sqlite(db) = self {
            db.settle();
        }
    }

    /// The newest commit stamp that a feed may show: nothing older can still appear.
    /// The horizon, once it has passed the newest commit there is: what a client wrote before is in every feed it walks.
    /// `Kind::Busy` when a transaction holds it back for six seconds.
    pub fn settled(&self) -> Result<Millis> {
        const STEPS: u32 = 300;
        let newest = self.read("feed.newest", super::blocks::feed_newest)?;
        for _ in 0..STEPS {
            let horizon = self.horizon()?;
            if horizon >= newest {
                return Ok(horizon);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err(Error::new(Kind::Busy, "a transaction holds back what was committed last"))
    }

    /// The time by the clock of a database that has its own, which stamps what is written.
    pub fn clock(&self) -> Result<Option<Millis>> {
        match self {
            Db::Sqlite(_) => Ok(None),
            Db::Postgres(db) => db.clock().map(Some),
        }
    }

    pub fn horizon(&self) -> Result<Millis> {
        match self {
            Db::Sqlite(_) => Ok(Millis::MAX),
            Db::Postgres(db) => db.horizon(),
        }
    }
}

/// The audit writer's own connection.
pub enum AuditConn {
    Sqlite(SqliteConnection, Arc<AuditFile>),
    Postgres(PgConnection, Arc<pg::Postgres>),
}

/// What the connections to the audit log's own file share.
pub struct AuditFile {
    pub(in crate::store) wal: Arc<Wal>,
    pub(in crate::store) durable: Arc<Durable>,
    /// Whose turn it is to write. SQLite lets who comes second sleep and ask again, for longer and longer.
    pub(in crate::store) turn: Mutex<()>,
}

impl AuditConn {
    /// Commits durably before it returns.
    pub fn commit<T>(&mut self, now: Millis, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match self {
            AuditConn::Postgres(conn, db) => {
                db.begin(conn)?;
                committed(Tx::new(Conn::Pg(conn), now), work)
            }
            AuditConn::Sqlite(conn, file) => {
                // What was read must not be lost when the entry that says so is not.
                file.durable.wait()?;
                let _turn = file.turn.lock().unwrap_or_else(PoisonError::into_inner);
                let mut tx = Tx::new(Conn::Sqlite(conn), now);
                sqlite::immediate(&mut tx)?;
                let done = committed(tx, work);
                if done.is_ok() {
                    file.wal.renew(conn);
                }
                done
            }
        }
    }
}

/// What has begun.
fn committed<T>(mut tx: Tx<'_>, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let done = work(&mut tx).and_then(|value| commit(&mut tx.conn).map(|()| value));
    if done.is_err() {
        // A commit that failed leaves the transaction open on SQLite; the next one must start clean.
        let _ = rollback(&mut tx.conn);
    }
    done
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Db::Sqlite(_) => "Db::Sqlite",
            Db::Postgres(_) => "Db::Postgres",
        })
    }
}

/// A worker that must exist does not answer: the server is going down.
pub(in crate::store) fn writer_gone() -> Error {
    Error::new(Kind::Busy, "the server is stopping")
}
