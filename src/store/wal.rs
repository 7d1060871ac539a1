//! The write-ahead log of a SQLite file (https://www.sqlite.org/wal.html). A thread moves what is committed into the
//! database file, beside the writer. That alone never empties the log while there is always something new in it, so the
//! writer begins it anew between two commits: it stays small, and is written where there is file already.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{RunQueryDsl, SqliteConnection};

use super::failed;
use super::sqlite::{BUSY, connect};
use crate::error::{Error, Result};

/// Pages of a log that is begun anew: 128 MB. Pages that change again and again are moved the less often the longer it is.
const LONG: i32 = 32_768;
const EVERY: Duration = Duration::from_millis(1_000);
/// Pages that the writer may be left to move: a few milliseconds.
const REST: i32 = 512;
/// Moving the rest of the rest of a busy log ends by itself.
const PASSES: usize = 5;

#[derive(diesel::QueryableByName, Debug)]
pub(super) struct Moved {
    /// Was somebody in the way?
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pub busy: i32,
    /// Pages in the log, and how many of them are in the file.
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pub log: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pub checkpointed: i32,
}

pub struct Wal {
    path: PathBuf,
    /// From how many pages on the log is begun anew.
    long: i32,
    /// Shall the writer begin the log anew?
    due: AtomicBool,
}

impl Wal {
    /// Starts the thread; it ends when the file goes.
    pub fn watch(path: &Path) -> Result<Arc<Wal>> {
        let wal = Arc::new(Wal { path: path.to_owned(), long: LONG, due: AtomicBool::new(false) });
        let watched = Arc::clone(&wal);
        thread::Builder::new().name("firth-checkpoint".into()).spawn(move || watched.run()).map_err(Error::bug)?;
        Ok(wal)
    }

    fn run(&self) {
        let Ok(mut conn) = checkpointer(&self.path) else { return };
        let Ok(file) = File::options().write(true).open(&self.path) else { return };
        while self.path.exists() {
            let long = match self.pass(&mut conn, &file) {
                Ok(moved) => moved.log > self.long,
                Err(e) => {
                    tracing::debug!(error = %e, "checkpoint put off");
                    false
                }
            };
            self.due.store(long, Ordering::Relaxed);
            thread::sleep(EVERY);
        }
    }

    /// `file` is the database. It stays open as long as this process has the database open: with any handle of it that a
    /// process closes, all its locks of the file go (https://www.sqlite.org/howtocorrupt.html, 2.2), and another process
    /// might remove the log.
    fn pass(&self, conn: &mut SqliteConnection, file: &File) -> Result<Moved> {
        let mut moved = checkpoint(conn, "PASSIVE")?;
        for _ in 1..PASSES {
            if moved.log <= self.long || moved.log - moved.checkpointed < REST {
                break;
            }
            moved = checkpoint(conn, "PASSIVE")?;
        }
        if moved.log > self.long {
            // A pass that does not reach the end of the log leaves this to the one that does: the writer's.
            file.sync_data().map_err(Error::bug)?;
        }
        Ok(moved)
    }

    /// For who writes, between two transactions. Readers who still look at the log are waited for a moment only.
    pub fn renew(&self, conn: &mut SqliteConnection) {
        if !self.due.swap(false, Ordering::Relaxed) {
            return;
        }
        let renewed = conn
            .batch_execute("PRAGMA busy_timeout = 20")
            .map_err(failed)
            .and_then(|()| checkpoint(conn, "RESTART"))
            .and_then(|moved| conn.batch_execute(BUSY).map_err(failed).map(|()| moved));
        // Where it did not work it is tried again: nothing is lost, the log is only longer.
        tracing::debug!(?renewed, "log begun anew");
    }

    /// Moves all of it and leaves an empty file, unless somebody is in the way; how many are?
    pub fn settle(path: &Path) -> Result<i32> {
        let mut conn = connect(path)?;
        // A reader of another process must not hold up the end for long.
        conn.batch_execute("PRAGMA busy_timeout = 250").map_err(failed)?;
        Ok(checkpoint(&mut conn, "TRUNCATE")?.busy)
    }
}

fn checkpoint(conn: &mut SqliteConnection, mode: &str) -> Result<Moved> {
    diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn).map_err(failed)
}

/// It must wait for nobody.
fn checkpointer(path: &Path) -> Result<SqliteConnection> {
    let mut conn = connect(path)?;
    conn.batch_execute("PRAGMA busy_timeout = 0").map_err(failed)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn files() -> (tempfile::TempDir, Wal, SqliteConnection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = connect(&path).unwrap();
        writer.batch_execute("CREATE TABLE t (n BLOB)").unwrap();
        (folder, Wal { path, long: 0, due: AtomicBool::new(true) }, writer)
    }

    #[test]
    fn the_writer_begins_the_log_anew() {
        let (_folder, wal, mut writer) = files();
        for _ in 0..20 {
            writer.batch_execute("INSERT INTO t VALUES (randomblob(100000))").unwrap();
            wal.due.store(true, Ordering::Relaxed);
            wal.renew(&mut writer);
        }
        let log = std::fs::metadata(wal.path.with_extension("db-wal")).unwrap().len();
        assert!(log < 400_000, "{log}");
        assert_eq!(Wal::settle(&wal.path).unwrap(), 0);
    }

    #[test]
    fn nobody_is_waited_for_long() {
        let (_folder, wal, mut writer) = files();
        let (mut other, mut conn) = (connect(&wal.path).unwrap(), checkpointer(&wal.path).unwrap());
        let file = File::options().write(true).open(&wal.path).unwrap();
        for in_the_way in ["BEGIN IMMEDIATE; INSERT INTO t VALUES (0)", "BEGIN; SELECT count(*) FROM t"] {
            writer.batch_execute("INSERT INTO t VALUES (1)").unwrap();
            other.batch_execute(in_the_way).unwrap();
            let began = Instant::now();
            wal.pass(&mut conn, &file).unwrap();
            wal.due.store(true, Ordering::Relaxed);
            wal.renew(&mut writer);
            // Everybody else waits for 5 seconds.
            assert!(began.elapsed() < Duration::from_secs(2), "{in_the_way}: {:?}", began.elapsed());
            other.batch_execute("COMMIT").unwrap();
            writer.batch_execute("INSERT INTO t VALUES (3)").unwrap();
        }
        assert_eq!(checkpoint(&mut conn, "RESTART").unwrap().busy, 0);
    }

    /// Without its lock another process that opens the database and closes it again would remove the log.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_locks_of_the_file_stay() {
        use std::os::unix::fs::MetadataExt;
        let (_folder, wal, mut writer) = files();
        writer.batch_execute("INSERT INTO t VALUES (1)").unwrap();
        let inode = format!(":{} ", std::fs::metadata(&wal.path).unwrap().ino());
        let locks = || std::fs::read_to_string("/proc/locks").unwrap().lines().filter(|line| line.contains(&inode)).count();
        let before = locks();
        let file = File::options().write(true).open(&wal.path).unwrap();
        let moved = wal.pass(&mut checkpointer(&wal.path).unwrap(), &file).unwrap();
        assert!(moved.log > wal.long);
        assert_eq!((locks(), before), (1, 1));
    }
}
