//! `firth bench upload`: records a second from the first body to the last completed outcome.

use std::time::Instant;

use super::bodies::RECORDS;
use super::client::Client;
use super::report::Bar;
use super::uploads::{self, Loaded, Plan};
use super::{Run, failed, machine, reads};
use crate::error::Result;

const BAR: f64 = 20_000.0;
/// How many patients are counted again by a search.
const COUNTED: usize = 50;

pub fn measure(run: &mut Run<'_>) -> Result<()> {
    let mut client = Client::connect(run.server.address)?;
    for user in 0..run.crowd.seed.users.len() {
        run.crowd.token(&mut client, user)?;
    }
    let (pid, from) = (run.server.pid(), run.crowd.seed.blocks);
    let cpu = || (machine::cpu_secs(pid), machine::cpu_secs(std::process::id()));
    let before = cpu();
    let until = Instant::now() + run.options.lasting();
    let plan = Plan { clients: run.options.clients(), from, most: usize::MAX >> 32, until: Some(until) };
    let mut loaded = uploads::run(&run.server, &run.crowd, &plan)?;
    let after = cpu();
    let secs = loaded.took.as_secs_f64();
    let records = loaded.stored as f64;
    run.report.figure(("searchable", "records/s"), Some(records / secs), Bar::AtLeast(BAR));
    run.report.figure(("bodies", ""), Some(loaded.accepted.requests as f64), Bar::None);
    run.report.figure(("body, mean", "bytes"), Some(loaded.accepted.mean_bytes() as f64), Bar::None);
    run.report.figure(("until 202, p50", "ms"), loaded.accepted.quantile_ms(0.5), Bar::None);
    run.report.figure(("until 202, p99", "ms"), loaded.accepted.quantile_ms(0.99), Bar::None);
    let used = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
    let (own, ours) = (used(before.0, after.0), used(before.1, after.1));
    run.report.figure(("server CPU a record", "us"), own.map(|secs| secs * 1e6 / records.max(1.0)), Bar::None);
    run.report.figure(("client CPU a record", "us"), ours.map(|secs| secs * 1e6 / records.max(1.0)), Bar::None);
    run.report.figure(("server cores busy", ""), own.map(|cpu| cpu / secs), Bar::None);
    run.report.figure(("client cores busy", ""), ours.map(|cpu| cpu / secs), Bar::None);
    verify(run, &loaded)?;
    run.report.figure(("peak memory", "MB"), machine::peak_mb(pid), Bar::None);
    run.server.stop();
    on_disk(run, records + (from * RECORDS * run.options.patients) as f64, "bytes/sample");
    let least = loaded.bodies.iter().min().copied().unwrap_or(0);
    if loaded.bodies.iter().any(|bodies| *bodies != least) {
        return Ok(());
    }
    run.crowd.seed.blocks = from + least;
    run.crowd.keep(&run.home)
}

/// The samples are found: the totals of some patients are what was stored for them.
fn verify(run: &mut Run<'_>, loaded: &Loaded) -> Result<()> {
    let token = reads::token(&run.home)?;
    let mut client = Client::connect(run.server.address)?;
    let users = run.crowd.seed.users.len();
    let mut counted = 0;
    for user in (0..users).step_by(users.div_ceil(COUNTED)) {
        let path =
            format!("/fhir/Observation?patient={}&code={}&_total=accurate&_count=0", run.crowd.seed.users[user].patient, reads::CODE);
        let total = client.get(&path, &token)?.json(200)?["total"].as_u64();
        let expected = ((run.crowd.seed.blocks + loaded.bodies[user]) * RECORDS) as u64;
        if total != Some(expected) {
            return Err(failed("the count", format!("a search finds {total:?} samples of a patient who sent {expected}")));
        }
        counted += expected;
    }
    run.report.figure(("found again by search", "records"), Some(counted as f64), Bar::None);
    Ok(())
}

/// Bytes of each of `things` in the database files of a server that has stopped; with the raw bodies of uploads, which are
/// kept 30 days.
pub fn on_disk(run: &mut Run<'_>, things: f64, unit: &'static str) {
    let data = run.home.data("data");
    let each = |file: &str| machine::bytes(&data.join(file)).filter(|_| things > 0.0).map(|bytes| bytes / things);
    run.report.figure(("on disk", unit), each("firth.db"), Bar::None);
    run.report.figure(("audit log on disk", unit), each("audit.db"), Bar::None);
}
