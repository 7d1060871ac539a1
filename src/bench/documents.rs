//! `firth bench documents`: create, read, update and delete of nine types in turns with the group-commit base; then
//! creates with `If-None-Exist` beside plain ones, and transactions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::{Client, Sent};
use super::dice::Dice;
use super::load::{Lap, Round, drive, refused};
use super::reads::{TURNS, WARM, quiet, token, token_of};
use super::report::Bar;
use super::resources::{ENCOUNTER, KINDS, OBSERVATION, PATIENT, Resources, SYSTEM, loaded_number, new_number, uuid};
use super::{Run, UPLOADERS, machine, upload};
use crate::error::Result;

const BAR: f64 = 35.0;
/// Requests a second that Helios publishes of its own server on another machine.
const HELIOS: f64 = 6_391.0;
/// A create with `If-None-Exist` may take so many times a create.
const TWICE: f64 = 2.0;
/// Resources of a transaction, and how many a second are to be made by them.
const ENTRIES: usize = 200;
const TRANSACTIONS: f64 = 5_000.0;
/// Loading ends by itself.
const LOADING: Duration = Duration::from_secs(3_600);
/// What is asked of the base, which gives no ids.
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The interactions by their place in `Lap::by_kind`.
const READ: usize = 0;
const CREATE: usize = 1;
const UPDATE: usize = 2;
const DELETE: usize = 3;

/// One client's requests.
#[derive(Clone, Copy)]
struct Asking<'a> {
    resources: &'a Resources,
    token: &'a str,
}

impl Asking<'_> {
    /// Sends, counts, and answers the id in the answer.
    fn send(&self, client: &mut Client, sent: &Sent<'_>, to: (&mut Lap, usize)) -> Result<Option<String>> {
        let began = Instant::now();
        let answer = client.send(sent)?;
        let (lap, kind) = to;
        if answer.status / 100 != 2 {
            return Err(refused(answer.status, answer.body));
        }
        lap.count_as(kind, began.elapsed(), answer.body.len());
        Ok(if kind == CREATE { id_of(answer.body) } else { None })
    }

    fn sent<'s>(&'s self, method: &'s str, path: &'s str, body: &'s str) -> Sent<'s> {
        Sent { method, path, token: self.token, more: "", body: body.as_bytes() }
    }

    /// A resource is made, read, changed and deleted.
    fn cycle(&self, client: &mut Client, dice: &mut Dice, lap: &mut Lap) -> Result<bool> {
        let (of, number) = (dice.below(KINDS), new_number(dice));
        let path = format!("/fhir/{}", self.resources.name(of));
        let text = self.resources.text(of, number, None, 0);
        let id = self.send(client, &self.sent("POST", &path, &text), (&mut *lap, CREATE))?.unwrap_or_else(|| NO_ID.to_owned());
        let path = format!("{path}/{id}");
        self.send(client, &self.sent("GET", &path, ""), (&mut *lap, READ))?;
        let text = self.resources.text(of, number, Some(&id), 1);
        self.send(client, &self.sent("PUT", &path, &text), (&mut *lap, UPDATE))?;
        self.send(client, &self.sent("DELETE", &path, ""), (&mut *lap, DELETE))?;
        Ok(true)
    }

    /// A create, with a condition when it is asked for, of what is not there yet.
    fn create(&self, client: &mut Client, dice: &mut Dice, to: (&mut Lap, bool)) -> Result<bool> {
        let (of, number) = (dice.below(KINDS), new_number(dice));
        let (lap, conditional) = to;
        let path = format!("/fhir/{}", self.resources.name(of));
        let text = self.resources.text(of, number, None, 0);
        let more = if conditional { format!("if-none-exist: identifier={SYSTEM}%7C{number:016x}\r\n") } else { String::new() };
        self.send(client, &Sent { more: &more, ..self.sent("POST", &path, &text) }, (lap, CREATE))?;
        Ok(true)
    }
}

/// A Bundle that makes a Patient and what is about them.
fn bundle(resources: &Resources, dice: &mut Dice) -> String {
    let person = uuid(new_number(dice));
    let mut text = String::from("{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[");
    for n in 0..ENTRIES {
        // Most are Observations, as in what is loaded.
        let of = if n == 0 {
            PATIENT
        } else {
            *[OBSERVATION, ENCOUNTER, OBSERVATION + 1, KINDS - 2, KINDS - 1].get(dice.below(20)).unwrap_or(&OBSERVATION)
        };
        let number = new_number(dice);
        let (name, own) = (resources.name(of), if n == 0 { person.clone() } else { uuid(number) });
        let one = resources.text(of, number, None, n);
        let one = match one.split_once("\"Patient/") {
            Some((before, after)) => format!("{before}\"urn:uuid:{person}{}", after.get(person.len()..).unwrap_or_default()),
            None => one,
        };
        let comma = if n == 0 { "" } else { "," };
        text.push_str(&format!(
            "{comma}{{\"fullUrl\":\"urn:uuid:{own}\",\"resource\":{one},\"request\":{{\"method\":\"POST\",\"url\":\"{name}\"}}}}"
        ));
    }
    text.push_str("]}");
    text
}

/// Transactions of many resources that point to one of them.
fn transactions(run: &mut Run<'_>, asking: &Asking<'_>) -> Result<()> {
    let step = |client: &mut Client, dice: &mut Dice, lap: &mut Lap| {
        let text = bundle(asking.resources, dice);
        asking.send(client, &asking.sent("POST", "/fhir", &text), (lap, CREATE))?;
        Ok(true)
    };
    // Numbers of their own again, behind those of the conditions.
    let round = Round { clients: UPLOADERS, lasting: run.options.lasting() / TURNS as u32, number: 4 * TURNS };
    let mut lap = drive(&run.server, round, &step)?;
    let made = (lap.requests * ENTRIES as u64) as f64;
    let rate = made / lap.wall.as_secs_f64().max(1e-9);
    run.report.figure(("in transactions of 200", "resources/s"), Some(rate), Bar::AtLeast(TRANSACTIONS));
    run.report.figure(("transaction, p50", "ms"), lap.quantile_ms(0.5), Bar::None);
    run.report.figure(("transaction, p99", "ms"), lap.quantile_ms(0.99), Bar::None);
    run.report.figure(("server CPU a resource in one", "us"), lap.cpu.map(|cpu| cpu.0 * 1e6 / made.max(1.0)), Bar::None);
    Ok(())
}

/// The id of a resource as the server writes it: behind its type.
fn id_of(body: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(body.get(..120)?).ok()?;
    let (_, rest) = head.split_once("\"id\":\"")?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

pub fn measure(run: &mut Run<'_>) -> Result<()> {
    let resources = Resources::new(run.options.resources);
    let issued = token(&run.home)?;
    let asking = Asking { resources: &resources, token: &issued };
    load(run, &asking)?;
    turns(run, &asking)?;
    conditions(run, &asking)?;
    transactions(run, &asking)?;
    run.report.figure(("peak memory", "MB"), machine::peak_mb(run.server.pid()), Bar::None);
    Ok(())
}

/// Brings the resources that the others point to, type by type, and tells how the server starts with them.
fn load(run: &mut Run<'_>, asking: &Asking<'_>) -> Result<()> {
    let (resources, all) = (asking.resources, run.options.resources);
    if run.crowd.seed.resources >= all {
        return Ok(());
    }
    let mut loaded = Lap::default();
    for of in 0..KINDS {
        let next = AtomicUsize::new(0);
        let step = |client: &mut Client, _: &mut Dice, lap: &mut Lap| {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= resources.there(of) {
                return Ok(false);
            }
            let id = resources.loaded(of, n);
            let (path, text) = (format!("/fhir/{}/{id}", resources.name(of)), resources.text(of, loaded_number(of, n), Some(&id), n));
            asking.send(client, &asking.sent("PUT", &path, &text), (lap, UPDATE))?;
            Ok(true)
        };
        loaded.then(drive(&run.server, Round { clients: run.options.clients(), lasting: LOADING, number: 0 }, &step)?);
    }
    run.report.figure(("loading", "resources/s"), Some(loaded.per_sec()), Bar::None);
    run.crowd.seed.resources = all;
    run.crowd.keep(&run.home)?;
    quiet(&run.server)?;
    run.server.stop();
    upload::on_disk(run, all as f64, "bytes/resource");
    run.server = run.home.serve()?;
    run.report.figure(("start to ready, loaded", "ms"), Some(run.server.ready_after.as_secs_f64() * 1e3), Bar::Below(1_000.0));
    Ok(())
}

/// Server and base in turns. What has an answer is answered as many bytes by the base as by the server on average.
fn turns(run: &mut Run<'_>, asking: &Asking<'_>) -> Result<()> {
    let round = |number: u64, lasting: Duration| Round { clients: run.options.clients(), lasting, number };
    let step = |client: &mut Client, dice: &mut Dice, lap: &mut Lap| asking.cycle(client, dice, lap);
    let warm = drive(&run.server, round(0, WARM), &step)?;
    quiet(&run.server)?;
    let theirs = token_of(&run.home, "base")?;
    let of_base = Asking { token: &theirs, ..*asking };
    let of_base = |client: &mut Client, dice: &mut Dice, lap: &mut Lap| of_base.cycle(client, dice, lap);
    let base_server = run.home.base_of_documents(warm.mean_bytes() * 4 / 3)?;
    drive(&base_server, round(0, WARM / 2), &of_base)?;
    let (mut own, mut base) = (Lap::default(), Lap::default());
    for number in 1..=TURNS {
        let lasting = run.options.lasting() / TURNS as u32;
        own.then(drive(&run.server, round(number, lasting), &step)?);
        quiet(&run.server)?;
        base.then(drive(&base_server, round(number, lasting), &of_base)?);
    }
    for (kind, p50, p99) in [
        (CREATE, "create, p50", "create, p99"),
        (READ, "read, p50", "read, p99"),
        (UPDATE, "update, p50", "update, p99"),
        (DELETE, "delete, p50", "delete, p99"),
    ] {
        run.report.beside((p50, "ms"), own.quantile_of_kind_ms(kind, 0.5), base.quantile_of_kind_ms(kind, 0.5));
        run.report.beside((p99, "ms"), own.quantile_of_kind_ms(kind, 0.99), base.quantile_of_kind_ms(kind, 0.99));
    }
    run.report.laps(own, base, BAR);
    run.report.figure(("Helios, as published", "requests/s"), Some(HELIOS), Bar::None);
    Ok(())
}

/// Creates with and without `If-None-Exist`, in turns.
fn conditions(run: &mut Run<'_>, asking: &Asking<'_>) -> Result<()> {
    let (mut plain, mut conditional) = (Lap::default(), Lap::default());
    let lasting = run.options.lasting() / TURNS as u32 / 2;
    for number in 0..TURNS {
        for (lap, with) in [(&mut plain, false), (&mut conditional, true)] {
            let step = |client: &mut Client, dice: &mut Dice, lap: &mut Lap| asking.create(client, dice, (lap, with));
            // Numbers of their own, so that nothing is made twice.
            let number = TURNS + 1 + number * 2 + u64::from(with);
            lap.then(drive(&run.server, Round { clients: run.options.clients(), lasting, number }, &step)?);
            quiet(&run.server)?;
        }
    }
    let (alone, found) = (plain.per_sec(), conditional.per_sec());
    run.report.figure(("create", "requests/s"), Some(alone), Bar::None);
    run.report.figure(("create, If-None-Exist", "requests/s"), Some(found), Bar::None);
    run.report.figure(("If-None-Exist to create", "times"), Some(alone / found), Bar::Below(TWICE));
    Ok(())
}
