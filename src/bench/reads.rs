//! `firth bench search` and `firth bench read`: in turns with the group-commit base.

use std::time::{Duration, Instant};

use super::bodies::{EVERY_MS, FIRST_MS, RECORDS};
use super::client::Client;
use super::dice::Dice;
use super::load::{Lap, Round, drive, refused};
use super::report::Bar;
use super::server::{Home, Server};
use super::uploads::{self, Plan};
use super::{BLOCKS, Run, UPLOADERS, failed, machine, upload};
use crate::error::Result;
use crate::fhir::stamp::Stamp;

const BAR: f64 = 25.0;
/// The server and its base are measured in so many turns, so that a noisy machine is noisy for both.
pub const TURNS: u64 = 3;
pub const WARM: Duration = Duration::from_secs(2);
const HOUR_MS: i64 = 3_600_000;
/// Ids that reads pick from.
const IDS: usize = 20_000;
/// The audit index may follow for so long before the base has its turn.
const QUIET: Duration = Duration::from_secs(60);

/// Heart rate in LOINC, as a client writes it in a URL.
pub const CODE: &str = "http%3A%2F%2Floinc.org%7C8867-4";

/// What a client asks next.
#[derive(Clone, Copy)]
struct Ask<'a> {
    token: &'a str,
    path: &'a (dyn Fn(&mut Dice) -> String + Sync),
}

/// A token that may see every patient, issued by the verb of the running server.
pub fn token(home: &Home) -> Result<String> {
    token_of(home, "data")
}

/// A token of a data directory.
pub fn token_of(home: &Home, data: &str) -> Result<String> {
    let issued = home.verb_on(data, &["token", "issue", "--role", "ehr-system", "--ttl", "1d"])?;
    issued.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token).ok_or_else(|| failed("token issue", "it printed no token"))
}

pub fn search(run: &mut Run<'_>) -> Result<()> {
    load(run)?;
    let token = token(&run.home)?;
    let patients: Vec<String> = run.crowd.seed.users.iter().map(|user| user.patient.clone()).collect();
    turns(run, Ask { token: &token, path: &|dice| window(&patients[dice.below(patients.len())], dice) })
}

/// `Observation?patient&code&date`: an hour somewhere in what the patient has sent.
fn window(patient: &str, dice: &mut Dice) -> String {
    let sent = (BLOCKS * RECORDS) as i64 * EVERY_MS - HOUR_MS;
    let from = FIRST_MS + (dice.below((sent / 1_000) as usize) as i64) * 1_000;
    let at = |ms: i64| Stamp { ms, sub_ms_nanos: 0, digits: 0, offset: None }.to_string();
    format!("/fhir/Observation?patient={patient}&code={CODE}&date=ge{}&date=lt{}&_count=100", at(from), at(from + HOUR_MS))
}

pub fn read(run: &mut Run<'_>) -> Result<()> {
    load(run)?;
    let token = token(&run.home)?;
    let ids = ids(run, &token)?;
    turns(run, Ask { token: &token, path: &|dice| format!("/fhir/Observation/{}", ids[dice.below(ids.len())]) })
}

/// Ids of Observations all over the patients and their time.
fn ids(run: &Run<'_>, token: &str) -> Result<Vec<String>> {
    let mut client = Client::connect(run.server.address)?;
    let (mut dice, mut ids) = (Dice::of(0), Vec::new());
    while ids.len() < IDS {
        let user = dice.below(run.crowd.seed.users.len());
        let path = window(&run.crowd.seed.users[user].patient, &mut dice);
        let page = client.get(&path, token)?.json(200)?;
        let found = page["entry"].as_array().into_iter().flatten().filter_map(|entry| entry["resource"]["id"].as_str());
        let before = ids.len();
        ids.extend(found.map(str::to_owned));
        if ids.len() == before {
            return Err(failed("the seeded data", "a window of an hour is empty"));
        }
    }
    Ok(ids)
}

/// Brings every patient to eight bodies, and tells how the server starts with them.
fn load(run: &mut Run<'_>) -> Result<()> {
    let there = run.crowd.seed.blocks;
    if there < BLOCKS {
        run.crowd.keep(&run.home)?;
        let plan = Plan { clients: UPLOADERS, from: there, most: BLOCKS - there, until: None };
        let loaded = uploads::run(&run.server, &run.crowd, &plan)?;
        run.report.figure(("loading", "records/s"), Some(loaded.stored as f64 / loaded.took.as_secs_f64().max(1e-9)), Bar::None);
        run.crowd.seed.blocks = BLOCKS;
        run.crowd.keep(&run.home)?;
        quiet(&run.server)?;
        run.server.stop();
        upload::on_disk(run, (BLOCKS * RECORDS * run.options.patients) as f64, "bytes/sample");
        run.server = run.home.serve()?;
        run.report.figure(("start to ready, loaded", "ms"), Some(run.server.ready_after.as_secs_f64() * 1e3), Bar::Below(1_000.0));
    }
    Ok(())
}

/// Server and base in turns; the base answers as many bytes as the server did on average.
fn turns(run: &mut Run<'_>, ask: Ask<'_>) -> Result<()> {
    let round = |number: u64, lasting: Duration| Round { clients: run.options.clients(), lasting, number };
    let step = |client: &mut Client, dice: &mut Dice, lap: &mut Lap| {
        let path = (ask.path)(dice);
        let sent = Instant::now();
        let answer = client.get(&path, ask.token)?;
        if answer.status != 200 {
            return Err(refused(answer.status, answer.body));
        }
        lap.count(sent.elapsed(), answer.body.len());
        Ok(true)
    };
    let warm = drive(&run.server, round(0, WARM), &step)?;
    quiet(&run.server)?;
    let base_server = run.home.base(warm.mean_bytes())?;
    drive(&base_server, round(0, WARM / 2), &step)?;
    let (mut own, mut base, mut followed) = (Lap::default(), Lap::default(), Duration::ZERO);
    for number in 1..=TURNS {
        let lasting = run.options.lasting() / TURNS as u32;
        own.then(drive(&run.server, round(number, lasting), &step)?);
        followed += quiet(&run.server)?;
        base.then(drive(&base_server, round(number, lasting), &step)?);
    }
    run.report.laps(own, base, BAR);
    run.report.figure(("audit index followed after", "ms"), Some(followed.as_secs_f64() * 1e3 / TURNS as f64), Bar::None);
    run.report.figure(("peak memory", "MB"), machine::peak_mb(run.server.pid()), Bar::None);
    Ok(())
}

/// Waits until the audit index has followed, so that its work does not fall into the base's turn; for how long?
pub fn quiet(server: &Server) -> Result<Duration> {
    let began = Instant::now();
    let mut client = Client::connect(server.address)?;
    while began.elapsed() < QUIET {
        let answer = client.get("/metrics", "none")?;
        let text = String::from_utf8_lossy(answer.body);
        let left = text.lines().find_map(|line| line.strip_prefix("firth_audit_backlog ")).and_then(|n| n.trim().parse::<f64>().ok());
        if left.is_none_or(|left| left == 0.0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(began.elapsed())
}
