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
use super::generations::Generations;
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
    /// It failed, and the transaction with it.
    Ended,
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
        let (outcome, spoilt) = if guarded || self.guarded { (tx.savepoint(&self.work), false) } else { tx.unguarded(&self.work) };
        let ours = outcome.as_ref().is_err_and(|e| e.kind.wire().status >= 500);
        self.outcome = Some(outcome);
        match spoilt {
            _ if ours && tx.ended() => Ran::Ended,
            true => Ran::Spoilt,
            false => Ran::Well,
        }
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
        if synced.is_some_and(|synced| synced >= wanted) { Ok(()) } else { Err(not_kept()) }
    }

    fn lost(&self) -> bool {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn reached(&self, group: Option<u64>) {
        *self.synced.lock().unwrap_or_else(PoisonError::into_inner) = group;
        self.changed.notify_all();
    }
}

fn not_kept() -> Error {
    Error::new(Kind::Busy, "the disk did not keep what was written")
}

/// Starts the threads.
pub fn start(conn: SqliteConnection, path: &Path, with: (Arc<Vault>, [u8; 8], Clock)) -> Result<Writing> {
    let mut conn = conn;
    conn.batch_execute(PRAGMAS).map_err(failed)?;
    let (jobs, queue) = channel();
    let (commits, committed) = channel();
    let durable = Arc::new(Durable { begun: AtomicU64::new(0), synced: Mutex::new(Some(0)), changed: Condvar::new() });
    let generations = Arc::<Generations>::default();
    // SQLite follows a link, and the log is where the file is.
    let mut log = path.canonicalize().map_err(Error::bug)?.into_os_string();
    log.push("-wal");
    let syncer = Syncer { path: log.into(), file: None, durable: Arc::clone(&durable) };
    let (vault, node, clock) = with;
    let wal = Wal::watch(path)?;
    let (written, counted) = (Arc::clone(&durable), Arc::clone(&generations));
    let writer = Writer { conn, vault, node, clock, last: 0, generations: counted, wal, commits, durable: written };
    thread::Builder::new().name("firth-sync".into()).spawn(move || syncer.run(&committed)).map_err(Error::bug)?;
    thread::Builder::new().name("firth-writer".into()).spawn(move || writer.run(&queue)).map_err(Error::bug)?;
    Ok(Writing { jobs: Jobs(jobs), durable, generations })
}

/// What the store knows of its writer.
pub struct Writing {
    pub jobs: Jobs,
    pub durable: Arc<Durable>,
    pub generations: Arc<Generations>,
}

/// A group that ended, and who waits for it.
struct Group {
    number: u64,
    jobs: Vec<Box<dyn Job>>,
    outcome: Result<()>,
    wrote: bool,
}

struct Writer {
    conn: SqliteConnection,
    vault: Arc<Vault>,
    node: [u8; 8],
    clock: Clock,
    /// The last commit stamp: a clock that steps back must not reorder the feed.
    last: Millis,
    generations: Arc<Generations>,
    wal: Arc<Wal>,
    commits: Sender<Group>,
    durable: Arc<Durable>,
}

impl Writer {
    /// Takes what is queued, commits it once, and hands the group over. What comes meanwhile is the next group, so that
    /// some write while others are made durable or answered.
    fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            if self.durable.lost() {
                return;
            }
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
        let before = begun.is_ok().then(|| tx.changes());
        let outcome = begun.and_then(|()| all(&mut tx, &mut jobs));
        let entries = tx.take_entries();
        let outcome = outcome.and_then(|()| tx.write_entries(&self.vault, &self.node, &entries)).and_then(|()| {
            self.durable.begun.store(number, Ordering::SeqCst);
            db::commit(&mut tx.conn)
        });
        if outcome.is_err() {
            let _ = db::rollback(&mut tx.conn);
            self.durable.begun.store(number, Ordering::SeqCst);
        }
        self.generations.count(tx.changed);
        let wrote = outcome.is_ok() && before.and_then(Result::ok) != tx.changes().ok();
        Group { number, jobs, outcome, wrote }
    }
}

/// Runs every job of a group.
fn all(tx: &mut Tx<'_>, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    for n in 0..jobs.len() {
        match jobs[n].run(tx, false) {
            Ran::Well => {}
            Ran::Spoilt => return again(tx, jobs, n),
            Ran::Ended => return Err(full()),
        }
    }
    Ok(())
}

/// One job failed and left something written: all of it is undone, and the others are run again, guarded.
fn again(tx: &mut Tx<'_>, jobs: &mut [Box<dyn Job>], spoiler: usize) -> Result<()> {
    tx.undo()?;
    immediate(tx)?;
    for (n, job) in jobs.iter_mut().enumerate() {
        if n != spoiler && job.run(tx, true) == Ran::Ended {
            return Err(full());
        }
    }
    Ok(())
}

fn full() -> Error {
    Error::new(Kind::Busy, "the data cannot be stored now")
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
            let synced = if groups.iter().any(|group| group.wrote) { self.sync() } else { Ok(()) };
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
                break;
            }
        }
        // Without a writer nothing that is begun will ever be durable.
        self.durable.reached(None);
    }

    fn sync(&mut self) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().write(true).open(&self.path).map_err(|e| not_kept().because(e))?,
        };
        file.sync_data().map_err(|e| not_kept().because(e))?;
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use diesel::RunQueryDsl;

    use super::*;
    use crate::chance::Chance;
    use crate::vault::{RootKey, Sealing};

    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }

    fn insert(tx: &mut Tx<'_>, n: i64, bytes: usize) -> Result<()> {
        let Conn::Sqlite(conn) = &mut tx.conn else { return Err(Error::bug("another database")) };
        let row = diesel::sql_query(format!("INSERT INTO t VALUES ({n}, zeroblob({bytes}))"));
        row.execute(*conn).map_err(failed).map(|_| ())
    }

    type Step = fn(&mut Tx<'_>) -> Result<()>;

    /// Runs the steps as one group, each guarded or not; what each was told, and the rows that stay.
    fn group(steps: &[(bool, Step)]) -> (Vec<Option<Kind>>, Vec<i64>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut conn = super::super::sqlite::connect(&path).unwrap();
        conn.batch_execute("CREATE TABLE t (n INTEGER, b BLOB); PRAGMA max_page_count = 40").unwrap();
        let root = RootKey::create(&folder.path().join("root.key"), Chance).unwrap();
        let kept = Vault::found(&root, [2; 16], Chance).unwrap();
        let vault = Arc::new(Vault::open(&root, [2; 16], &kept, Sealing::Aes256Gcm).unwrap());
        let (commits, committed) = channel();
        let durable = Durable { begun: AtomicU64::new(0), synced: Mutex::new(Some(0)), changed: Condvar::new() };
        let wal = Wal::watch(&path).unwrap();
        let generations = Arc::default();
        let clock = Clock::system();
        let mut writer = Writer { conn, vault, node: [0; 8], clock, last: 0, generations, wal, commits, durable: Arc::new(durable) };
        let (tell, told) = channel();
        let jobs = steps.iter().map(|(guarded, step)| -> Box<dyn Job> {
            let (tell, step) = (tell.clone(), *step);
            let tell = move |outcome: Result<()>| tell.send(outcome.err().map(|e| e.kind)).unwrap();
            Box::new(Work { work: step, guarded: *guarded, tell, outcome: None })
        });
        let group = writer.commit(jobs.collect());
        drop((writer.commits, committed));
        for job in group.jobs {
            job.answer(group.outcome.as_ref().copied().map_err(|e| Error::new(e.kind, "")));
        }
        let mut conn = super::super::sqlite::connect(&path).unwrap();
        let rows: Vec<Number> = diesel::sql_query("SELECT n FROM t ORDER BY n").load(&mut conn).unwrap();
        (told.try_iter().collect(), rows.into_iter().map(|row| row.n).collect())
    }

    const ONE: Step = |tx| insert(tx, 1, 1);
    const TWO: Step = |tx| insert(tx, 2, 1);
    const REFUSED: Step = |_| Err(Error::new(Kind::NotFound, "there is none"));
    const HALF: Step = |tx| insert(tx, 3, 1).and_then(|()| Err(Error::new(Kind::Conflict, "too late")));
    const TOO_MUCH: Step = |tx| insert(tx, 4, 4_000_000);

    #[test]
    fn a_refused_job_costs_the_others_nothing() {
        let wanted = (vec![None, Some(Kind::NotFound), None], vec![1, 2]);
        assert_eq!(group(&[(false, ONE), (false, REFUSED), (false, TWO)]), wanted);
        assert_eq!(group(&[(true, ONE), (true, REFUSED), (false, TWO)]), wanted);
    }

    #[test]
    fn what_a_job_wrote_before_it_failed_is_undone() {
        let wanted = (vec![None, Some(Kind::Conflict), None], vec![1, 2]);
        for guarded in [false, true] {
            assert_eq!(group(&[(false, ONE), (guarded, HALF), (guarded, TWO)]), wanted, "{guarded}");
        }
    }

    #[test]
    fn when_the_disk_is_full_nothing_of_the_group_stays() {
        for guarded in [false, true] {
            let (told, rows) = group(&[(guarded, ONE), (guarded, TOO_MUCH), (guarded, TWO), (guarded, HALF)]);
            assert!(rows.is_empty(), "{guarded}: {rows:?}");
            assert_eq!(told, [Some(Kind::Busy); 4], "{guarded}");
        }
    }
}
