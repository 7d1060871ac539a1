//! SQLite: one writer thread with group commit, and a pool of readers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::db::{self, Conn, Tx, writer_gone};
use super::deadline::{Deadline, watch_sqlite};
use super::failed;
use super::wal::Wal;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};
use crate::vault::Vault;

const MAIN: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const AUDIT: EmbeddedMigrations = embed_migrations!("migrations/audit");

/// How long is waited for a lock.
pub(super) const BUSY: &str = "PRAGMA busy_timeout = 5000";
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 268435456; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON; PRAGMA cache_size = -16000;";
/// Pages that a large transaction changes are written once, at its commit, as long as they have room here.
const WRITERS_CACHE: &str = "PRAGMA cache_size = -24000";
const READERS: u32 = 16;
/// A group is closed when it has this many jobs: the first of them has waited long enough.
const GROUP: usize = 256;

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

/// What the writer thread tells a job after the group's commit; called with the commit's outcome.
type Done = Box<dyn FnOnce(Result<()>) + Send>;
type Job = Box<dyn FnOnce(&mut Tx<'_>) -> Done + Send>;

pub struct Sqlite {
    readers: Readers,
    audit_readers: Readers,
    main_path: PathBuf,
    audit_path: PathBuf,
    audit_wal: Arc<Wal>,
    jobs: Sender<Job>,
    access: Arc<AtomicU64>,
    limit: Duration,
}

impl Sqlite {
    pub fn start(files: Files, vault: Arc<Vault>, node: [u8; 8], clock: Clock) -> Result<Sqlite> {
        let (jobs, queue) = channel::<Job>();
        let access = Arc::new(AtomicU64::new(0));
        let sqlite = Sqlite {
            readers: readers(&files.main_path)?,
            audit_readers: readers(&files.audit_path)?,
            main_path: files.main_path.clone(),
            audit_path: files.audit_path.clone(),
            jobs,
            audit_wal: Wal::watch(&files.audit_path)?,
            access: Arc::clone(&access),
            limit: files.limit,
        };
        let mut main = files.main;
        main.batch_execute(WRITERS_CACHE).map_err(failed)?;
        let wal = Wal::watch(&files.main_path)?;
        let writer = Writer { conn: main, vault, node, clock, last: 0, access, wal };
        thread::Builder::new().name("firth-writer".into()).spawn(move || writer.run(&queue)).map_err(Error::bug)?;
        Ok(sqlite)
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        view(&self.readers, self.limit, work)
    }

    pub fn read_audit<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        view(&self.audit_readers, self.limit, work)
    }

    pub fn access_generation(&self) -> u64 {
        self.access.load(Ordering::SeqCst)
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

    pub fn audit_connection(&self) -> Result<(SqliteConnection, Arc<Wal>)> {
        Ok((connect(&self.audit_path)?, Arc::clone(&self.audit_wal)))
    }

    pub fn write<T: Send + 'static>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static) -> Result<T> {
        let (answer, wait) = channel::<Result<T>>();
        let job: Job = Box::new(move |tx| {
            let outcome = tx.savepoint(&work);
            Box::new(move |committed| {
                // A caller that has gone away no longer needs the answer.
                let _ = answer.send(committed.and(outcome));
            })
        });
        self.jobs.send(job).map_err(|_| writer_gone())?;
        wait.recv().map_err(|_| writer_gone())?
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

struct Writer {
    conn: SqliteConnection,
    vault: Arc<Vault>,
    node: [u8; 8],
    clock: Clock,
    /// The last commit stamp: a clock that steps back must not reorder the feed.
    last: Millis,
    /// Counts commits that changed who may do what.
    access: Arc<AtomicU64>,
    wal: Arc<Wal>,
}

impl Writer {
    /// Takes what is queued, and what comes meanwhile, runs each job in a savepoint, commits once, then answers all.
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let jobs = std::iter::once(first).chain(queue.try_iter()).take(GROUP);
            let done = self.commit(jobs);
            metrics::histogram!("firth_group_commit_jobs").record(done as f64);
            self.wal.renew(&mut self.conn);
        }
    }

    /// How many jobs there were.
    fn commit(&mut self, group: impl Iterator<Item = Job>) -> usize {
        self.last = self.last.max(self.clock.now());
        let mut tx = Tx::new(Conn::Sqlite(&mut self.conn), self.last);
        if let Err(e) = immediate(&mut tx) {
            // Each job is told by running it against a transaction that refuses to begin.
            tx.refuse(e.kind);
            let (kind, says) = (e.kind, e.to_string());
            let told = group.map(|job| job(&mut tx)(Err(Error::new(kind, says.clone()))));
            return told.count();
        }
        let answers: Vec<Done> = group.map(|job| job(&mut tx)).collect();
        let done = answers.len();
        let entries = tx.take_entries();
        let committed = tx.write_entries(&self.vault, &self.node, &entries).and_then(|()| db::commit(&mut tx.conn));
        if committed.is_err() {
            let _ = db::rollback(&mut tx.conn);
        }
        if tx.changed_access {
            self.access.fetch_add(1, Ordering::SeqCst);
        }
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(e) => Err(Error::new(e.kind, "the data could not be stored").because(e)),
            });
        }
        done
    }
}

/// The write lock is taken at once: a deferred transaction could fail in its middle.
pub(super) fn immediate(tx: &mut Tx<'_>) -> Result<()> {
    use diesel::connection::{AnsiTransactionManager, TransactionManager};
    match &mut tx.conn {
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(*conn, "BEGIN IMMEDIATE").map_err(failed),
        Conn::Pg(conn) => AnsiTransactionManager::begin_transaction(*conn).map_err(failed),
    }
}
