//! PostgreSQL 14 or newer: a pool, retried write transactions, and the visibility horizon.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection};
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::db::{self, Conn, Tx};
use super::deadline::Deadline;
use super::generations::{Changed, Generation, Generations};
use super::{GONE, failed, sqlite};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::vault::Vault;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
/// Write transactions are found by this name when the horizon is computed.
const NAME: &str = "firth-write";
/// Readers have another name: an old snapshot that only reads holds nothing back.
const READER: &str = "firth-read";
const WRITERS: u32 = 12;
const READERS: u32 = 8;
const ATTEMPTS: u32 = 4;
/// How often a connection fails until libpq knows that its other end is gone, and it is thrown away.
const LOST: u32 = 2;

#[derive(Debug)]
struct Session(&'static str, Duration);

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for Session {
    fn on_acquire(&self, conn: &mut PgConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        prepare(conn, self.0, self.1).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// A `limit` of zero is none. A lock is given up before it, for that is tried again.
fn prepare(conn: &mut PgConnection, name: &str, limit: Duration) -> diesel::QueryResult<()> {
    let limit = limit.as_millis();
    let lock = if limit == 0 { 4_000 } else { (limit * 2 / 5).min(4_000) };
    conn.batch_execute(&format!(
        "SET application_name = '{name}'; SET statement_timeout = {limit}; SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = '30s'; SET synchronous_commit = on;"
    ))
}

type Pooled = diesel::r2d2::PooledConnection<ConnectionManager<PgConnection>>;

#[derive(Clone)]
pub struct Pool {
    url: String,
    limit: Duration,
    writers: diesel::r2d2::Pool<ConnectionManager<PgConnection>>,
    readers: diesel::r2d2::Pool<ConnectionManager<PgConnection>>,
    generations: Arc<Generations>,
}

impl Pool {
    /// Connects; refuses a schema that is newer than this binary, or older (`firth migrate` brings it up).
    pub fn open(url: &str, limit: Duration) -> Result<Pool> {
        let mut conn = connect(url, limit)?;
        let known = sqlite::migrations_known(&MIGRATIONS)?;
        let applied: Vec<String> = conn.applied_migrations().map_err(Error::bug)?.iter().map(ToString::to_string).collect();
        if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
            return Err(Error::new(
                Kind::Schema,
                format!("the database has schema {newer}, which this binary does not know; run the binary that made it"),
            ));
        }
        if applied.len() < known.len() {
            return Err(Error::new(Kind::Schema, "the database's schema is older than this binary; run: firth migrate"));
        }
        durable(&mut conn)?;
        let pool = |size, name| {
            diesel::r2d2::Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .test_on_check_out(false)
                .connection_timeout(Duration::from_secs(1))
                .connection_customizer(Box::new(Session(name, limit)))
                .build(ConnectionManager::new(url))
                .map_err(|e| Error::new(Kind::Unreachable, format!("PostgreSQL does not answer: {e}")))
        };
        Ok(Pool { url: url.into(), limit, writers: pool(WRITERS, NAME)?, readers: pool(READERS, READER)?, generations: Arc::default() })
    }

    /// Brings the schema up to date; answers the names of what was applied, or would be with `dry_run`.
    pub fn migrate(url: &str, dry_run: bool) -> Result<Vec<String>> {
        // What rewrites a table takes as long as it takes.
        let mut conn = connect(url, Duration::ZERO)?;
        let pending = conn.pending_migrations(MIGRATIONS).map_err(Error::bug)?;
        let names = pending.iter().map(|migration| migration.name().to_string()).collect();
        if !dry_run {
            conn.run_pending_migrations(MIGRATIONS).map_err(Error::bug)?;
        }
        Ok(names)
    }

    /// One transaction, run again when another one was in its way, and when it could not begin.
    pub fn write<T>(&self, seal: Option<(&Vault, &[u8; 8])>, work: &dyn Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let (mut attempt, mut lost) = (0, 0);
        loop {
            attempt += 1;
            let mut begun = false;
            match self.attempt(seal, work, &mut begun) {
                Err(e) if e.says() == GONE && !begun && lost < LOST * WRITERS => (attempt, lost) = (attempt - 1, lost + 1),
                // A key that another transaction took meanwhile is seen, and answered for, by the next attempt.
                Err(e)
                    if (e.kind == Kind::Busy && e.says() != GONE && attempt < ATTEMPTS)
                        || (e.kind == Kind::Conflict && e.cause.is_some() && attempt == 1) =>
                {
                    thread::sleep(Duration::from_millis(u64::from(attempt * attempt) * 7))
                }
                outcome => return outcome,
            }
        }
    }

    fn attempt<T>(&self, seal: Option<(&Vault, &[u8; 8])>, work: &dyn Fn(&mut Tx<'_>) -> Result<T>, begun: &mut bool) -> Result<T> {
        let mut conn = self.writers.get().map_err(none_free)?;
        let mut changed = Changed::default();
        let outcome = conn.transaction::<T, Failure, _>(|conn| {
            *begun = true;
            let at: Stamp = sql_query("SELECT (extract(epoch FROM transaction_timestamp()) * 1000)::bigint AS at").get_result(conn)?;
            let mut tx = Tx::new(Conn::Pg(conn), at.at);
            let value = work(&mut tx).map_err(Failure::Ours)?;
            let entries = tx.take_entries();
            if let Some((vault, node)) = seal {
                tx.write_entries(vault, node, &entries).map_err(Failure::Ours)?;
            }
            changed = tx.changed;
            Ok(value)
        });
        // Also when the commit failed: it may have been done all the same.
        self.generations.count(changed);
        outcome.map_err(|failure| match failure {
            Failure::Ours(e) => e,
            Failure::Theirs(e) => failed(e),
        })
    }

    /// Does on a reader's connection what may be done twice. After PostgreSQL was started anew each that was open before
    /// fails: another one is tried, as often as there can be such.
    fn reading<T>(&self, work: impl Fn(Pooled) -> Result<T>) -> Result<T> {
        let mut lost = 0;
        loop {
            match work(self.readers.get().map_err(none_free)?) {
                Err(e) if e.says() == GONE && lost < LOST * READERS => lost += 1,
                outcome => return outcome,
            }
        }
    }
}

fn none_free(e: diesel::r2d2::PoolError) -> Error {
    Error::new(Kind::Busy, "PostgreSQL does not answer or has no connection free; start PostgreSQL, or try again").because(e)
}

enum Failure {
    Ours(Error),
    Theirs(diesel::result::Error),
}

impl From<diesel::result::Error> for Failure {
    fn from(e: diesel::result::Error) -> Failure {
        Failure::Theirs(e)
    }
}

#[derive(diesel::QueryableByName)]
struct Stamp {
    #[diesel(sql_type = BigInt)]
    at: i64,
}

#[derive(diesel::QueryableByName)]
struct Settings {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    ok: bool,
}

fn connect(url: &str, limit: Duration) -> Result<PgConnection> {
    local_only(url)?;
    let mut conn = PgConnection::establish(url)
        .map_err(|e| Error::new(Kind::Unreachable, format!("PostgreSQL does not answer: {}", e.to_string().trim().replace('\n', " "))))?;
    prepare(&mut conn, NAME, limit).map_err(failed)?;
    Ok(conn)
}

/// This build has no TLS for PostgreSQL, so the connection must not leave the machine.
fn local_only(url: &str) -> Result<()> {
    let refused = || {
        Error::new(
            Kind::Setting,
            "this build reaches PostgreSQL over a Unix socket or loopback only (it has no TLS for it); put host=/run/postgresql or 127.0.0.1 into FIRTH_DATABASE_URL",
        )
    };
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let authority = rest.split(['/', '?']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let host = host.rsplit_once(':').filter(|(_, port)| port.chars().all(|c| c.is_ascii_digit())).map_or(host, |(host, _)| host);
    let named = query.split('&').filter_map(|pair| pair.strip_prefix("host=").or_else(|| pair.strip_prefix("hostaddr=")));
    for host in std::iter::once(host).chain(named) {
        let host = host.replace("%2F", "/").replace("%2f", "/");
        if !(host.is_empty() || host.starts_with('/') || ["localhost", "127.0.0.1", "[::1]", "::1"].contains(&host.as_str())) {
            return Err(refused());
        }
    }
    Ok(())
}

/// A 2xx means durable, so a server that does not flush is refused. `synchronous_commit` is each session's own
/// and `prepare` turns it on.
fn durable(conn: &mut PgConnection) -> Result<()> {
    let settings: Settings = sql_query("SELECT current_setting('fsync') = 'on' AS ok").get_result(conn).map_err(failed)?;
    if settings.ok { Ok(()) } else { Err(Error::new(Kind::Setting, "PostgreSQL runs with fsync off; set fsync = on in postgresql.conf")) }
}

pub struct Postgres {
    pool: Pool,
    vault: Arc<Vault>,
    node: [u8; 8],
}

impl Postgres {
    pub fn start(pool: Pool, vault: Arc<Vault>, node: [u8; 8]) -> Result<Postgres> {
        Ok(Postgres { pool, vault, node })
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let begin = |mut conn: Pooled| {
            conn.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(failed)?;
            Ok(conn)
        };
        let mut conn = self.pool.reading(begin)?;
        let outcome = {
            let _end = Deadline::after(self.pool.limit);
            work(&mut Tx::new(Conn::Pg(&mut conn), 0))
        };
        conn.batch_execute("ROLLBACK").map_err(failed)?;
        outcome
    }

    pub fn statement<T>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.pool.reading(|mut conn| {
            let _end = Deadline::after(self.pool.limit);
            work(&mut Tx::new(Conn::Pg(&mut conn), 0))
        })
    }

    pub fn write<T>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.pool.write(Some((&self.vault, &self.node)), &work)
    }

    pub fn generation(&self) -> Generation {
        self.pool.generations.now()
    }

    pub fn connection(&self) -> Result<PgConnection> {
        connect(&self.pool.url, self.pool.limit)
    }

    /// On a connection that is kept. One that PostgreSQL ended since cannot begin, so nothing was done: another is made.
    pub(super) fn begin(&self, conn: &mut PgConnection) -> Result<()> {
        match db::begin(&mut Conn::Pg(conn)) {
            Err(e) if e.says() == GONE => {
                *conn = self.connection()?;
                db::begin(&mut Conn::Pg(conn))
            }
            begun => begun,
        }
    }

    pub fn clock(&self) -> Result<Millis> {
        let asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at";
        self.pool.reading(|mut conn| sql_query(asked).get_result(&mut conn).map_err(failed).map(|at: Stamp| at.at))
    }

    /// Older than the oldest write transaction that is still open: what a feed shows up to here is complete.
    pub fn horizon(&self) -> Result<Millis> {
        let asked = format!(
            "SELECT least((extract(epoch FROM clock_timestamp()) * 1000)::bigint,
                coalesce((SELECT min((extract(epoch FROM xact_start) * 1000)::bigint) FROM pg_stat_activity
                    WHERE application_name = '{NAME}' AND datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()), 9223372036854775807)) - 1 AS at"
        );
        self.pool.reading(|mut conn| sql_query(&asked).get_result(&mut conn).map_err(failed).map(|at: Stamp| at.at))
    }
}
