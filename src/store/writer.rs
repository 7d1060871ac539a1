//! The one writer of a SQLite store: group commit, and durable before anybody is answered.
//!
//! The connection commits without waiting for the disk. A thread of its own makes the log durable and answers then,
//! while the writer is at its next group: what came in meanwhile.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;

use super::db::{self, Conn, Tx, writer_gone};
use super::failed;
use super::sqlite::immediate;
use super::wal::Wal;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};
use crate::vault::Vault;

/// Pages that a large transaction changes are written once, at its commit, as long as they have room here. The log is
/// made durable by `Syncer`.
const PRAGMAS: &str = "PRAGMA cache_size = -24000; PRAGMA synchronous = NORMAL";
/// A group is closed when it has this many jobs: the first of them has waited long enough.
const GROUP: usize = 256;
/// No disk takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A unit of work that waits for its turn, and then for its answer.
trait Job: Send {
    /// Runs it, perhaps once more. Without a guard it may end `Spoilt`.
    fn run(&mut self, tx: &mut Tx<'_>, guarded: bool) -> Ran;
    fn answer(self: Box<Self>, committed: Result<()>);
}

#[derive(PartialEq, Eq)]
enum Ran {
    Well,
    /// It failed and left something written.
    Spoilt,
}

struct Work<T, W, A> {
    work: W,
    guarded: bool,
    tell: A,
    outcome: Option<Result<T>>,
}

impl<T, W, A> Job for Work<T, W, A>
where
    T: Send,
    W: Fn(&mut Tx<'_>) -> Result<T> + Send,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>, guarded: bool) -> Ran {
        let (outcome, ran) = if guarded || self.guarded {
            (tx.savepoint(&self.work), Ran::Well)
        } else {
            let (outcome, spoilt) = tx.unguarded(&self.work);
            (outcome, if spoilt { Ran::Spoilt } else { Ran::Well })
        };
        self.outcome = Some(outcome);
        ran
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        (self.tell)(committed.and(self.outcome.unwrap_or_else(|| Err(writer_gone()))));
    }
}

/// The way to the writer. It ends when this goes.
pub struct Jobs(Sender<Box<dyn Job>>);

impl Jobs {
    /// `tell` is called with the outcome once it is durable. What is not `guarded` fails as a rule before it writes
    /// anything, and is spared a savepoint.
    pub fn send<T: Send + 'static>(
        &self,
        guarded: bool,
        work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
        tell: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let job = Work { work, guarded, tell, outcome: None };
        self.0.send(Box::new(job)).map_err(|_| writer_gone())
    }
}

/// How much of what was committed is on disk.
pub struct Durable {
    /// The number of the newest group that was committed, or is about to be.
    begun: AtomicU64,
    /// The newest one that is on disk; `None` when the disk failed.
    synced: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Durable {
    /// Waits until everything that a reader may have seen by now is on disk.
    pub fn wait(&self) -> Result<()> {
        let wanted = self.begun.load(Ordering::SeqCst);
        let synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(synced, PATIENCE, |synced| synced.is_some_and(|synced| synced < wanted));
        let (synced, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if synced.is_some_and(|synced| synced >= wanted) { Ok(()) } else { Err(lost()) }
    }

    fn reached(&self, group: Option<u64>) {
        *self.synced.lock().unwrap_or_else(PoisonError::into_inner) = group;
        self.changed.notify_all();
    }
}

fn lost() -> Error {
    Error::new(Kind::Busy, "the disk did not keep what was written")
}

/// Starts the threads.
pub fn start(conn: SqliteConnection, path: &Path, with: (Arc<Vault>, [u8; 8], Clock)) -> Result<Writing> {
    let mut conn = conn;
    conn.batch_execute(PRAGMAS).map_err(failed)?;
    let (jobs, queue) = channel();
    let (commits, committed) = channel();
    let (durable, access) =
        (Arc::new(Durable { begun: AtomicU64::new(0), synced: Mutex::new(Some(0)), changed: Condvar::new() }), Arc::new(AtomicU64::new(0)));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let syncer = Syncer { path: log.into(), file: None, durable: Arc::clone(&durable) };
    let (vault, node, clock) = with;
    let wal = Wal::watch(path)?;
    let (written, changed) = (Arc::clone(&durable), Arc::clone(&access));
    let writer = Writer { conn, vault, node, clock, last: 0, access: changed, wal, commits, durable: written };
    thread::Builder::new().name("firth-sync".into()).spawn(move || syncer.run(&committed)).map_err(Error::bug)?;
    thread::Builder::new().name("firth-writer".into()).spawn(move || writer.run(&queue)).map_err(Error::bug)?;
    Ok(Writing { jobs: Jobs(jobs), durable, access })
}

/// What the store knows of its writer.
pub struct Writing {
    pub jobs: Jobs,
    pub durable: Arc<Durable>,
    /// Counts commits that changed who may do what.
    pub access: Arc<AtomicU64>,
}

/// A group that ended, and who waits for it.
struct Group {
    number: u64,
    jobs: Vec<Box<dyn Job>>,
    outcome: Result<()>,
}

struct Writer {
    conn: SqliteConnection,
    vault: Arc<Vault>,
    node: [u8; 8],
    clock: Clock,
    /// The last commit stamp: a clock that steps back must not reorder the feed.
    last: Millis,
    access: Arc<AtomicU64>,
    wal: Arc<Wal>,
    commits: Sender<Group>,
    durable: Arc<Durable>,
}

impl Writer {
    /// Takes what is queued, commits it once, and hands the group over. What comes meanwhile is the next group, so that
    /// some write while others are made durable or answered.
    fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let jobs: Vec<_> = std::iter::once(first).chain(queue.try_iter()).take(GROUP).collect();
            metrics::histogram!("firth_group_commit_jobs").record(jobs.len() as f64);
            let group = self.commit(jobs);
            if self.commits.send(group).is_err() {
                return;
            }
            self.wal.renew(&mut self.conn);
        }
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) -> Group {
        self.last = self.last.max(self.clock.now());
        let number = self.durable.begun.load(Ordering::SeqCst) + 1;
        let mut tx = Tx::new(Conn::Sqlite(&mut self.conn), self.last);
        let begun = immediate(&mut tx);
        if let Err(e) = &begun {
            // Each job is told by running it against a transaction that refuses to begin.
            tx.refuse(e.kind);
        }
        let spoilt = jobs.iter_mut().position(|job| job.run(&mut tx, false) == Ran::Spoilt);
        let outcome = match (begun, spoilt) {
            (Err(e), _) => Err(e),
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(spoiler)) => again(&mut tx, &mut jobs, spoiler),
        };
        let entries = tx.take_entries();
        let outcome = outcome.and_then(|()| tx.write_entries(&self.vault, &self.node, &entries)).and_then(|()| {
            self.durable.begun.store(number, Ordering::SeqCst);
            db::commit(&mut tx.conn)
        });
        if outcome.is_err() {
            let _ = db::rollback(&mut tx.conn);
            self.durable.begun.store(number, Ordering::SeqCst);
        }
        if tx.changed_access {
            self.access.fetch_add(1, Ordering::SeqCst);
        }
        Group { number, jobs, outcome }
    }
}

/// One job failed and left something written: all of it is undone, and the others are run again, guarded.
fn again(tx: &mut Tx<'_>, jobs: &mut [Box<dyn Job>], spoiler: usize) -> Result<()> {
    tx.undo()?;
    immediate(tx)?;
    for (n, job) in jobs.iter_mut().enumerate() {
        if n != spoiler {
            job.run(tx, true);
        }
    }
    Ok(())
}

/// Makes the log durable and then answers.
struct Syncer {
    path: PathBuf,
    file: Option<File>,
    durable: Arc<Durable>,
}

impl Syncer {
    fn run(mut self, committed: &Receiver<Group>) {
        while let Ok(first) = committed.recv() {
            let groups: Vec<Group> = std::iter::once(first).chain(committed.try_iter()).collect();
            let synced = if groups.iter().any(|group| group.outcome.is_ok()) { self.sync() } else { Ok(()) };
            self.durable.reached(groups.last().map(|group| group.number).filter(|_| synced.is_ok()));
            for Group { jobs, outcome, .. } in groups {
                let outcome = outcome.as_ref().and(synced.as_ref());
                for job in jobs {
                    job.answer(outcome.copied().map_err(|e| Error::new(e.kind, "the data could not be stored").because(e)));
                }
            }
            if let Err(e) = synced {
                // What the disk holds is not known any more, so nothing may be added: the way to the writer ends here.
                tracing::error!(cause = ?e, "the log could not be made durable; nothing is written any more, restart the server");
                return;
            }
        }
    }

    fn sync(&mut self) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().write(true).open(&self.path).map_err(|e| lost().because(e))?,
        };
        file.sync_data().map_err(|e| lost().because(e))?;
        self.file = Some(file);
        Ok(())
    }
}
