//! SQLite: its files, a pool of readers, and the way to the one writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::sync::oneshot::{Receiver, channel};

use super::db::{self, AuditFile, Conn, Tx, writer_gone};
use super::deadline::{Deadline, watch_sqlite};
use super::failed;
use super::generations::Generation;
use super::wal::Wal;
use super::writer::{self, Writing};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};
use crate::vault::Vault;

const MAIN: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const AUDIT: EmbeddedMigrations = embed_migrations!("migrations/audit");

/// How long is waited for a lock.
pub(super) const BUSY: &str = "PRAGMA busy_timeout = 5000";
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 268435456; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON; PRAGMA cache_size = -16000;";
const READERS: u32 = 16;

/// The two database files of a data directory, open and of our schema.
pub struct Files {
    main_path: PathBuf,
    audit_path: PathBuf,
    main: SqliteConnection,
    limit: Duration,
}

impl Files {
    pub fn open(folder: &Path, limit: Duration) -> Result<Files> {
        watch_sqlite();
        let (main_path, audit_path) = (folder.join("firth.db"), folder.join("audit.db"));
        if main_path.exists() && !audit_path.exists() {
            tracing::warn!(file = %audit_path.display(), "the audit log of reads is gone and begins anew; restore it from a backup");
        }
        let mut main = connect(&main_path)?;
        migrate(&mut main, MAIN, &main_path)?;
        migrate(&mut connect(&audit_path)?, AUDIT, &audit_path)?;
        Ok(Files { main_path, audit_path, main, limit })
    }

    pub fn first<T>(&mut self, now: Millis, work: &dyn Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        Tx::new(Conn::Sqlite(&mut self.main), now).savepoint(work)
    }
}

pub(super) fn connect(path: &Path) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| unusable(path, &e))?;
    conn.batch_execute(PRAGMAS).map_err(|e| unusable(path, &e))?;
    Ok(conn)
}

/// The file is damaged or none of ours, or it cannot be had.
fn unusable(path: &Path, e: &dyn std::error::Error) -> Error {
    let (shown, why) = (path.display(), e.to_string());
    if why.contains("not a database") || why.contains("malformed") {
        let says = format!(
            "{shown} is no database that can be read ({why}); restore it from a backup, or name another directory with --data-dir or FIRTH_DATABASE_URL"
        );
        return Error::new(Kind::Setting, says);
    }
    let says = format!(
        "cannot open {shown} ({why}); make its directory, writable for this user, or name another with --data-dir or FIRTH_DATABASE_URL"
    );
    Error::new(Kind::Unwritable, says)
}

/// Applies what is missing; refuses a schema that a newer binary made.
fn migrate(conn: &mut SqliteConnection, migrations: EmbeddedMigrations, path: &Path) -> Result<()> {
    let known = migrations_known(&migrations)?;
    let applied = conn.applied_migrations().map_err(|e| unusable(path, &*e))?;
    if let Some(newer) = applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        return Err(Error::new(
            Kind::Schema,
            format!("{} has schema {newer}, which this binary does not know; run the binary that made it", path.display()),
        ));
    }
    conn.run_pending_migrations(migrations).map_err(Error::bug)?;
    Ok(())
}

pub(super) fn migrations_known(migrations: &EmbeddedMigrations) -> Result<Vec<String>> {
    use diesel::migration::MigrationSource;
    let known: Vec<Box<dyn diesel::migration::Migration<diesel::sqlite::Sqlite>>> = migrations.migrations().map_err(Error::bug)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

#[derive(Debug)]
struct ReadOnly;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for ReadOnly {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        conn.batch_execute(PRAGMAS).and_then(|()| conn.batch_execute("PRAGMA query_only = ON")).map_err(diesel::r2d2::Error::QueryError)
    }
}

type Readers = Pool<ConnectionManager<SqliteConnection>>;

fn readers(path: &Path) -> Result<Readers> {
    Pool::builder()
        .max_size(READERS)
        .min_idle(Some(1))
        .test_on_check_out(false)
        .connection_timeout(Duration::from_secs(1))
        .connection_customizer(Box::new(ReadOnly))
        .build(ConnectionManager::new(path.to_string_lossy()))
        .map_err(Error::bug)
}

pub struct Sqlite {
    readers: Readers,
    audit_readers: Readers,
    main_path: PathBuf,
    audit_path: PathBuf,
    audit_file: Arc<AuditFile>,
    writing: Writing,
    limit: Duration,
}

impl Sqlite {
    pub fn start(files: Files, vault: Arc<Vault>, node: [u8; 8], clock: Clock) -> Result<Sqlite> {
        let writing = writer::start(files.main, &files.main_path, (vault, node, clock))?;
        let wal = Wal::watch(&files.audit_path)?;
        Ok(Sqlite {
            readers: readers(&files.main_path)?,
            audit_readers: readers(&files.audit_path)?,
            audit_file: Arc::new(AuditFile { wal, durable: Arc::clone(&writing.durable), turn: Mutex::default() }),
            writing,
            main_path: files.main_path,
            audit_path: files.audit_path,
            limit: files.limit,
        })
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        view(&self.readers, self.limit, work)
    }

    pub fn read_audit<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        view(&self.audit_readers, self.limit, work)
    }

    pub fn generation(&self) -> Generation {
        self.writing.generations.now()
    }

    /// Moves both WALs into their files: a stopped directory is two files that can be copied. Without it nothing is
    /// lost, so what stands in the way is only told.
    pub fn settle(&self) {
        for path in [&self.main_path, &self.audit_path] {
            // A checkpoint that runs on its own thread ends within moments, and SQLite does not wait for it.
            let settled = (0..20).any(|turn| {
                thread::sleep(Duration::from_millis(if turn == 0 { 0 } else { 50 }));
                Wal::settle(path).is_ok_and(|left| left == 0)
            });
            if !settled {
                tracing::warn!(file = %path.display(), "the write-ahead log could not be emptied; copy it with its database");
            }
        }
    }

    pub fn audit_connection(&self) -> Result<(SqliteConnection, Arc<AuditFile>)> {
        Ok((connect(&self.audit_path)?, Arc::clone(&self.audit_file)))
    }

    pub fn write<T: Send + 'static>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static) -> Result<T> {
        let (answer, wait) = std::sync::mpsc::channel::<Result<T>>();
        self.writing.jobs.send(true, work, move |outcome| {
            // A caller that has gone away no longer needs the answer.
            let _ = answer.send(outcome);
        })?;
        wait.recv().map_err(|_| writer_gone())?
    }

    pub fn write_later<T: Send + 'static>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static) -> Receiver<Result<T>> {
        let (answer, wait) = channel();
        // Where the writer is gone, so is the answer.
        let _ = self.writing.jobs.send(false, work, move |outcome| {
            let _ = answer.send(outcome);
        });
        wait
    }
}

fn view<T>(pool: &Readers, limit: Duration, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let mut conn = pool.get().map_err(|e| Error::new(Kind::Busy, "all readers are busy").because(e))?;
    let mut tx = Tx::new(Conn::Sqlite(&mut conn), 0);
    db::begin(&mut tx.conn)?;
    let outcome = {
        let _end = Deadline::after(limit);
        work(&mut tx)
    };
    db::rollback(&mut tx.conn)?;
    outcome
}

/// The write lock is taken at once: a deferred transaction could fail in its middle.
pub(super) fn immediate(tx: &mut Tx<'_>) -> Result<()> {
    use diesel::connection::{AnsiTransactionManager, TransactionManager};
    match &mut tx.conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(*conn, "BEGIN IMMEDIATE").map_err(failed),
        Conn::Pg(conn) => AnsiTransactionManager::begin_transaction(*conn).map_err(failed),
    }
}
