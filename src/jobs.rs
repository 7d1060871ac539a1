//! The workers: they claim a job, do it, and take it off the list; a crash gives it back after its lease.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::app::App;
use crate::audit::{Action, Entry};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::UploadId;
use crate::ledger::break_glass;
use crate::ledger::clients::Status;
use crate::ledger::idempotency;
use crate::ledger::sessions;
use crate::ledger::uploads as ledger;
use crate::store::idempotency as answers;
use crate::store::uploads::{self, JobRow, Stage};
use crate::store::waiting;
use crate::store::{clients, grants, launches, shown_once};
use crate::telemetry;

const LEASE_MS: i64 = 120_000;
const BACK_OFF_MS: i64 = 2_000;
/// After so many tries an upload has failed; its raw body is kept for a replay.
const ATTEMPTS: i32 = 8;
const DAY_MS: i64 = 86_400_000;
/// By so much the clocks of several processes may differ.
const MINUTE_MS: i64 = 60_000;

/// Running workers; dropping it stops them after the job they are at.
pub struct Workers {
    stop: Arc<AtomicBool>,
    app: Arc<App>,
    threads: Vec<JoinHandle<()>>,
}

pub fn start(app: &Arc<App>) -> Result<Workers> {
    if app.db.one_process() {
        let now = app.clock.now();
        app.db.write("jobs.release", move |tx| uploads::jobs_release(tx, now))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for (name, work) in [("firth-worker", work as fn(&App, &AtomicBool)), ("firth-keeper", keep)] {
        let (app, stop) = (Arc::clone(app), Arc::clone(&stop));
        threads.push(thread::Builder::new().name(name.into()).spawn(move || work(&app, &stop)).map_err(Error::bug)?);
    }
    Ok(Workers { stop, app: Arc::clone(app), threads })
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.app.wake.notify();
        for thread in self.threads.drain(..) {
            // A worker that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

fn work(app: &App, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        // A panic is a bug of ours in one upload; the others must not wait for it.
        let outcome = catch_unwind(AssertUnwindSafe(|| run_one(app))).unwrap_or_else(|_| Err(Error::bug("a worker panicked")));
        match outcome {
            Ok(true) => {}
            Ok(false) => app.wake.wait(Duration::from_millis(500)),
            Err(e) => {
                tracing::error!(cause = ?e, "a worker could not go on");
                app.wake.wait(Duration::from_secs(1));
            }
        }
    }
}

/// The audit index follows, and raw bodies go when their time has come.
fn keep(app: &App, stop: &AtomicBool) {
    let mut turn = 0u32;
    while !stop.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(200));
        turn += 1;
        if turn.is_multiple_of(10)
            && let Err(e) = app.index.catch_up()
        {
            // Another process that is at the same blocks is no fault; the next turn comes soon.
            match e.kind {
                Kind::Busy => tracing::debug!(cause = ?e, "the audit index waits"),
                _ => tracing::error!(cause = ?e, "the audit index is behind"),
            }
        }
        if turn.is_multiple_of(10)
            && let Err(e) = break_glass::end_due(&app.db, &app.vault, app.clock.now())
        {
            // What is over is over; that it ended is recorded with the next turn.
            tracing::warn!(cause = ?e, "the end of an emergency access could not be recorded");
        }
        if turn.is_multiple_of(10)
            && let Err(e) = index_waiting(app)
        {
            tracing::warn!(cause = ?e, "terms could not be written; they are found where they wait");
        }
        if turn.is_multiple_of(25) {
            telemetry::fold();
        }
        if turn % 300 == 1 {
            compare_clocks(app);
        }
        if turn % 300 == 1
            && let Err(e) = expire(app)
        {
            tracing::error!(cause = ?e, "raw bodies could not be expired");
        }
    }
}

/// Long before it harms: at half a minute a token of one process is of the future in another, and at five minutes who has just
/// signed in did so too long ago for break-glass.
const APART_MS: Millis = 5_000;

fn compare_clocks(app: &App) {
    match app.clocks_apart() {
        Ok(Some(apart)) if apart.abs() > APART_MS => {
            tracing::warn!(database_ahead_ms = apart, "the clocks of PostgreSQL and of this machine differ; synchronise both (NTP)");
        }
        Ok(_) => {}
        Err(e) => tracing::debug!(cause = ?e, "the clocks could not be compared"),
    }
}

/// When nothing comes any more, what waits need not be looked at by every search.
fn index_waiting(app: &App) -> Result<()> {
    if app.db.read("terms.waiting", waiting::any)? {
        app.db.write("terms.write", waiting::written)?;
    }
    Ok(())
}

fn expire(app: &App) -> Result<()> {
    let before = app.clock.now() - app.config.raw_retention_days * DAY_MS;
    let day = app.clock.now() - idempotency::KEPT_MS;
    app.db.write("idempotency.expire", move |tx| answers::expire(tx, day))?;
    expire_grants(app)?;
    while app.db.write("raw.expire", move |tx| uploads::raw_expire(tx, before, 100))? == 100 {}
    Ok(())
}

/// What clients were granted and showed goes when it has ended, a day later where a second showing is still to be noticed;
/// what nobody approved in a month goes, too. Keys are renewed.
fn expire_grants(app: &App) -> Result<()> {
    let now = app.clock.now();
    let day = now - DAY_MS;
    app.db.write("grants.expire", move |tx| {
        grants::expire(tx, day)?;
        launches::expire(tx, day)?;
        shown_once::expire(tx, now - MINUTE_MS)?;
        sessions::expire(tx, now)?;
        clients::expire(tx, Status::Waiting as i16, now - 30 * DAY_MS)
    })?;
    app.keys.renew(now)
}

/// Does one job; false when none is due.
pub fn run_one(app: &App) -> Result<bool> {
    let now = app.clock.now();
    let Some(job) = app.db.write("job.claim", move |tx| uploads::job_claim(tx, now, now + LEASE_MS))? else { return Ok(false) };
    match process(app, &job) {
        Ok(()) => {}
        Err(e) => give_up_or_later(app, &job, &e)?,
    }
    Ok(true)
}

fn process(app: &App, job: &JobRow) -> Result<()> {
    let upload = UploadId::from_slice(&job.subject)?;
    let entry = Entry::new(app.entry_id()?, Action::Activity, "upload-process");
    ledger::process(&app.db, &app.vault, &app.mappings, (upload, &entry))?;
    let no = job.job;
    app.db.write("job.done", move |tx| uploads::job_done(tx, no))
}

fn give_up_or_later(app: &App, job: &JobRow, e: &Error) -> Result<()> {
    tracing::error!(cause = ?e, attempt = job.attempts, "an upload could not be processed");
    let (no, attempts, now) = (job.job, job.attempts, app.clock.now());
    let upload = UploadId::from_slice(&job.subject)?;
    let hopeless = attempts >= ATTEMPTS || e.kind == Kind::Gone;
    app.db.write("job.later", move |tx| {
        if !hopeless {
            return uploads::job_later(tx, no, now + BACK_OFF_MS * i64::from(attempts));
        }
        if let Some(found) = uploads::get(tx, upload)? {
            uploads::progress(tx, upload, Stage::Failed, found.counts)?;
        }
        uploads::job_done(tx, no)
    })
}
