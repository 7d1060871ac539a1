//! How long may be read. A transaction stays on its thread, so the end of its time stands beside the thread: `on!` looks at
//! it before each statement, and SQLite, which has no limit of its own, within the statements. PostgreSQL ends a statement
//! by its `statement_timeout`.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use libsqlite3_sys as raw;

use crate::error::{Error, Kind, Result};

thread_local! {
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// SQLite looks at the clock once in so many steps of its machine: some ten microseconds.
const STEPS: c_int = 1_000;

/// As long as it lives, what this thread asks the database must end in time.
#[must_use]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// An earlier end that is set already stays.
    pub fn after(limit: Duration) -> Deadline {
        let end = Instant::now() + limit;
        Deadline(END.replace(Some(END.get().map_or(end, |set| set.min(end)))))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        END.set(self.0);
    }
}

fn is_over() -> bool {
    END.get().is_some_and(|end| Instant::now() >= end)
}

/// Is there time for another statement?
pub(in crate::store) fn in_time() -> Result<()> {
    if is_over() { Err(too_slow()) } else { Ok(()) }
}

/// What the database was told to stop.
#[track_caller]
pub(in crate::store) fn too_slow() -> Error {
    Error::new(Kind::TooSlow, "the database did not answer within its time")
}

/// From now on every connection to SQLite that this process opens keeps the time. diesel hands out no handle of a
/// connection; SQLite itself does to who wants to see each one that is opened.
pub(in crate::store) fn watch_sqlite() {
    // SAFETY: the function has the form that SQLite calls and lives as long as the process. To register it again is nothing.
    unsafe { raw::sqlite3_auto_extension(Some(opened)) };
}

unsafe extern "C" fn opened(db: *mut raw::sqlite3, _: *mut *mut c_char, _: *const raw::sqlite3_api_routines) -> c_int {
    // SAFETY: the handle is that of the connection which SQLite is opening, and `over` takes no data.
    unsafe { raw::sqlite3_progress_handler(db, STEPS, Some(over), null_mut()) };
    raw::SQLITE_OK
}

/// Anything but 0 ends the statement.
unsafe extern "C" fn over(_: *mut c_void) -> c_int {
    c_int::from(is_over())
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, SqliteConnection};

    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    #[test]
    fn a_statement_without_end_ends_and_the_next_one_runs() {
        watch_sqlite();
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        let began = Instant::now();
        {
            let _end = Deadline::after(Duration::from_millis(50));
            let _later = Deadline::after(Duration::from_secs(60));
            let told = conn.batch_execute(ENDLESS).map_err(crate::store::failed);
            assert_eq!(told.unwrap_err().kind, Kind::TooSlow);
            assert_eq!(in_time().unwrap_err().kind, Kind::TooSlow);
        }
        assert!((50..5_000).contains(&began.elapsed().as_millis()));
        conn.batch_execute("SELECT 1").unwrap();
        assert!(in_time().is_ok());
    }
}
