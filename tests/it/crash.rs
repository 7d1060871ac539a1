//! SIGKILL to the real server, again and again, while it is uploaded to and read from: what it has
//! acknowledged is there afterwards, once, and every read that was answered is in the audit log.
//!
//! A kill leaves the page cache alone, so it cannot show that anything was flushed. For that one run is
//! watched with strace, and PostgreSQL is asked for its settings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::json;

use crate::support::http::call;
use crate::support::payload::{apple, heart, second};
use crate::support::{Backend, Client, Person, Reply, TestServer, postgres};

const UPLOADERS: usize = 3;
const READERS: usize = 3;

/// SplitMix64: small, and the same again with the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }
}

/// `FIRTH_CRASH_SEED` repeats a run that was printed.
fn seed() -> u64 {
    let given = env::var("FIRTH_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    println!("FIRTH_CRASH_SEED={seed}");
    seed
}

/// One client of the crowd, from kill to kill.
struct Uploader<'s> {
    person: &'s Person<'s>,
    name: String,
    dice: Dice,
    made: usize,
    /// Not acknowledged yet: sent again, as an SDK does, so that a doubled record would show.
    pending: Option<(Vec<String>, Vec<u8>)>,
    /// By the 202s: uploads, and the ids of their records.
    uploads: Vec<String>,
    records: BTreeSet<String>,
}

impl Uploader<'_> {
    /// Mostly small bodies; one in five is longer than 64 KiB, which a worker processes after the 202.
    fn body(&mut self) -> (Vec<String>, Vec<u8>) {
        let n = if self.dice.between(1, 5) == 1 { self.dice.between(150, 200) } else { self.dice.between(1, 20) };
        let ids: Vec<String> = (self.made..self.made + n as usize).map(|i| format!("{}-{i}", self.name)).collect();
        let records = ids.iter().enumerate().map(|(i, id)| heart(id, &second((self.made + i) as i64), &format!("{}", 55 + i % 60)));
        let body = apple(records.collect()).to_string().into_bytes();
        self.made += n as usize;
        (ids, body)
    }

    /// One upload; false when no answer came.
    fn uploads(&mut self, url: &str) -> bool {
        let (ids, body) = self.pending.take().unwrap_or_else(|| self.body());
        let client = self.person.sdk().with("content-type", "application/json");
        let Ok(reply) = call("POST", &format!("{url}{}", self.person.sync_path()), &client.headers, Some(&body)) else {
            self.pending = Some((ids, body));
            return false;
        };
        if busy(&reply) {
            self.pending = Some((ids, body));
            return true;
        }
        let reply = reply.is(202);
        self.uploads.push(reply.text_at("/upload_id"));
        self.records.extend(ids);
        true
    }
}

/// A server that says it is too busy has acknowledged nothing; the client comes again.
fn busy(reply: &Reply) -> bool {
    matches!(reply.status, 429 | 503)
}

struct Reader<'s> {
    client: Client<'s>,
    patient: String,
    known: Vec<String>,
    dice: Dice,
    /// The request ids of the answers.
    answered: Vec<String>,
}

impl Reader<'_> {
    /// A search, or a read of what a search has found; false when no answer came.
    fn reads(&mut self, url: &str) -> bool {
        let id = self.known.get(self.dice.next() as usize % self.known.len().max(1)).filter(|_| !self.dice.next().is_multiple_of(3));
        let path = match id {
            Some(id) => format!("/fhir/Observation/{id}"),
            None => format!("/fhir/Observation?patient={}&_count=20", self.patient),
        };
        let Ok(reply) = call("GET", &format!("{url}{path}"), &self.client.headers, None) else { return false };
        if busy(&reply) {
            return true;
        }
        let reply = reply.is(200);
        self.answered.push(reply.header("x-request-id").expect("each answer has a request id").to_owned());
        let entries = reply.at("/entry");
        for found in entries.as_array().into_iter().flatten() {
            self.known.extend(found["resource"]["id"].as_str().map(str::to_owned));
        }
        true
    }
}

/// Works until the server is killed; counts the call that the kill has cut, when it began before.
fn until_killed(killed: &AtomicBool, cut: &AtomicUsize, mut work: impl FnMut() -> bool) {
    loop {
        let before = !killed.load(Ordering::SeqCst);
        if !work() {
            assert!(killed.load(Ordering::SeqCst), "no answer from a server that runs");
            cut.fetch_add(usize::from(before), Ordering::SeqCst);
            return;
        }
    }
}

/// One life of the server. Did the kill land with uploads and reads in flight?
fn life(server: &TestServer, uploaders: &mut [Uploader<'_>], readers: &mut [Reader<'_>], ms: u64) -> bool {
    let (killed, cut_uploads, cut_reads) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let url = server.url();
    thread::scope(|scope| {
        for uploader in uploaders {
            scope.spawn(|| until_killed(&killed, &cut_uploads, || uploader.uploads(&url)));
        }
        for reader in readers {
            scope.spawn(|| until_killed(&killed, &cut_reads, || reader.reads(&url)));
        }
        thread::sleep(Duration::from_millis(ms));
        killed.store(true, Ordering::SeqCst);
        server.kill();
    });
    cut_uploads.into_inner() > 0 && cut_reads.into_inner() > 0
}

/// Every acknowledged upload ends well, and its records are there once; nothing else is.
fn nothing_lost_or_doubled(uploader: &Uploader<'_>) {
    for upload in &uploader.uploads {
        let ended = uploader.person.ended(upload);
        assert_eq!((ended.at("/stage"), ended.at("/refused")), (json!("completed"), json!([])), "{}", ended.text());
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for page in uploader.person.server.ehr().pages(&format!("Observation?patient={}&_count=1000", uploader.person.patient)) {
        for observation in page.matches() {
            let identifiers = observation["identifier"].as_array().cloned().unwrap_or_default();
            let id = identifiers.iter().find_map(|one| one["value"].as_str().filter(|value| value.starts_with(&uploader.name)));
            *found.entry(id.unwrap_or_else(|| panic!("not of this test: {observation}")).to_owned()).or_default() += 1;
        }
    }
    let lost: Vec<&String> = uploader.records.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let doubled: Vec<_> = found.iter().filter(|(id, n)| **n != 1 || !uploader.records.contains(*id)).collect();
    assert!(doubled.is_empty(), "more than once, or never acknowledged: {doubled:?}");
}

fn every_read_is_audited(server: &TestServer, readers: &[Reader<'_>]) {
    let mut audited = BTreeSet::new();
    for page in server.auditor().pages("AuditEvent?type=rest&_count=1000") {
        for event in page.matches() {
            let entities = event["entity"].as_array().cloned().unwrap_or_default();
            let request = entities.iter().find(|entity| entity["type"]["code"] == "XrequestId");
            audited.extend(request.and_then(|entity| entity["what"]["identifier"]["value"].as_str()).map(str::to_owned));
        }
    }
    let missing: Vec<_> = readers.iter().flat_map(|reader| &reader.answered).filter(|id| !audited.contains(*id)).collect();
    assert!(missing.is_empty(), "answered without an audit entry: {missing:?}");
}

fn survives(server: &TestServer, kills: usize) {
    let mut dice = Dice(seed());
    let people: Vec<Person<'_>> = (0..UPLOADERS).map(|i| server.person(&format!("crash-{i}"))).collect();
    let mut uploaders: Vec<Uploader<'_>> = people
        .iter()
        .enumerate()
        .map(|(i, person)| Uploader {
            person,
            name: format!("crash-record-{i}"),
            dice: Dice(dice.next()),
            made: 0,
            pending: None,
            uploads: Vec::new(),
            records: BTreeSet::new(),
        })
        .collect();
    let mut readers: Vec<Reader<'_>> = (0..READERS)
        .map(|i| Reader {
            client: server.ehr(),
            patient: people[i % UPLOADERS].patient.clone(),
            known: Vec::new(),
            dice: Dice(dice.next()),
            answered: Vec::new(),
        })
        .collect();
    let began = Instant::now();
    let mut landed = 0;
    for _ in 0..kills {
        let ms = dice.between(5, 500);
        landed += usize::from(life(server, &mut uploaders, &mut readers, ms));
        server.run();
    }
    let (uploads, records) = uploaders.iter().fold((0, 0), |(u, r), one| (u + one.uploads.len(), r + one.records.len()));
    let reads: usize = readers.iter().map(|reader| reader.answered.len()).sum();
    println!(
        "{kills} kills in {:?}, {landed} in flight; acknowledged: {uploads} uploads, {records} records; {reads} reads",
        began.elapsed()
    );
    assert!(landed * 4 >= kills * 3, "{landed} of {kills} kills landed with uploads and reads in flight");
    assert!(uploads > 0 && reads > 0, "the crowd did nothing");
    for uploader in &mut uploaders {
        while uploader.pending.is_some() {
            assert!(uploader.uploads(&server.url()), "no answer from a server that runs");
        }
    }
    if server.backend == Backend::Postgres {
        // Another node might still be at it: a killed worker's job is leased for two minutes more, and the test
        // does not wait for that. On SQLite the next start gives it back.
        server.sql(false, "UPDATE job SET run_at = 0").unwrap();
    }
    uploaders.iter().for_each(nothing_lost_or_doubled);
    every_read_is_audited(server, &readers);
}

both! {
    fn a_kill_loses_nothing_that_was_acknowledged(server) {
        let long = env::var("FIRTH_LONG").as_deref() == Ok("1");
        // The flushes of PostgreSQL are its own; a few kills show that Firth relies on them rightly.
        survives(server, match (long, server.backend) {
            (true, _) => 200,
            (false, Backend::Sqlite) => 20,
            (false, Backend::Postgres) => 5,
        });
    }
}

/// A system call by the lines on which it began and ended: two threads' calls overlap.
struct Traced {
    began: usize,
    ended: usize,
    text: String,
}

fn traced(trace: &str) -> Vec<Traced> {
    let (mut calls, mut open) = (Vec::new(), HashMap::<&str, (usize, &str)>::new());
    for (no, line) in trace.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            open.insert(thread, (no, begun));
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let Some((began, begun)) = open.remove(thread) else { continue };
            let rest = rest.split_once("resumed>").map_or("", |(_, rest)| rest);
            calls.push(Traced { began, ended: no, text: format!("{begun}{rest}") });
        } else {
            calls.push(Traced { began: no, ended: no, text: text.to_owned() });
        }
    }
    calls
}

/// Between the arrival of the request and the first byte of its answer the file was flushed.
fn flushed_between(calls: &[Traced], request: &str, file: &str, answer: &str) -> Result<(), String> {
    let arrived = calls.iter().find(|call| call.text.contains(request)).ok_or(format!("no {request} in the trace"))?;
    let later = calls.iter().filter(|call| call.began > arrived.ended && call.text.contains(answer));
    let left = later.min_by_key(|call| call.began).ok_or(format!("no {answer} after {request} in the trace"))?;
    let flush = calls.iter().find(|call| {
        let sync = call.text.starts_with("fdatasync(") || call.text.starts_with("fsync(");
        let good = call.text.contains(&format!("/{file}>")) && call.text.trim_end().ends_with("= 0");
        sync && good && call.began > arrived.ended && call.ended < left.began
    });
    flush.map(|_| ()).ok_or(format!("{file} was not flushed between {request} and {answer}"))
}

fn strace() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("strace")).find(|program| program.exists());
    if found.is_none() {
        println!("strace: skipped, not installed");
        assert!(env::var("CI").as_deref() != Ok("true"), "strace: skipped, not installed; in CI it must be there");
    }
    found
}

/// `-D`: firth stays this process's child, so that its signals reach it and not strace.
fn under_strace(strace: &Path, server: &TestServer, trace: &Path) -> Command {
    let plain = server.place.command(&["serve"]);
    let mut command = Command::new(strace);
    command.args(["-D", "-f", "-y", "-s", "64", "-e", "trace=fdatasync,fsync,sendto,sendmsg,write,writev,recvfrom,recvmsg,read", "-o"]);
    command.arg(trace).arg(plain.get_program()).args(plain.get_args()).current_dir(server.place.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn a_request_is_flushed_before_its_answer_begins() {
    let Some(strace) = strace() else { return };
    let server = TestServer::start(Backend::Sqlite, &[]).expect("SQLite is always there");
    let alice = server.person("alice");
    alice.stores(&apple(vec![heart("before", &second(0), "61")]));
    let id = alice.finds("").ids().remove(0);
    server.stop();
    let trace = server.place.path().join("trace");
    server.run_as(under_strace(&strace, &server, &trace));
    alice.sync(apple(vec![heart("traced", &second(1), "62")]).to_string().as_bytes()).is(202);
    server.ehr().get(&format!("/fhir/Observation/{id}")).is(200);
    server.stop();
    let end = Instant::now() + Duration::from_secs(10);
    let mut text = String::new();
    while !text.contains("+++ exited with") && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
        text = String::from_utf8_lossy(&fs::read(&trace).unwrap_or_default()).into_owned();
    }
    let calls = traced(&text);
    flushed_between(&calls, "\"POST /api/v1/sdk", "firth.db-wal", "\"HTTP/1.1 202").unwrap();
    flushed_between(&calls, "\"GET /fhir/Observation/", "audit.db-wal", "\"HTTP/1.1 200").unwrap();
}

#[test]
fn the_reader_of_traces_sees_a_late_flush() {
    let trace = |between: &str, after: &str| {
        format!("7 read(9<s>, \"GET /x\", 64) = 6\n{between}7 write(9<s>, \"HTTP/1.1 200\", 12) = 12\n{after}")
    };
    let told = |text: String| flushed_between(&traced(&text), "\"GET /x", "a.db-wal", "\"HTTP/1.1 200").is_ok();
    assert!(told(trace("8 fdatasync(4</d/a.db-wal>) = 0\n", "")));
    assert!(told(trace("8 fdatasync(4</d/a.db-wal> <unfinished ...>\n8 <... fdatasync resumed>) = 0\n", "")));
    assert!(!told(trace("8 fdatasync(4</d/a.db-wal> <unfinished ...>\n", "8 <... fdatasync resumed>) = 0\n")));
    assert!(!told(trace("8 fdatasync(4</d/a.db-wal>) = -1 EIO\n", "")));
    assert!(!told(trace("8 fdatasync(4</d/b.db-wal>) = 0\n", "8 fdatasync(4</d/a.db-wal>) = 0\n")));
}

/// A database whose default is to lose commits: each of Firth's sessions says otherwise.
#[test]
fn postgres_flushes_whatever_the_default_of_its_database_is() {
    let Some(cluster) = postgres::cluster() else { return };
    let server = TestServer::start(Backend::Postgres, &[]).expect("the cluster is there");
    let on = "DO $$ BEGIN ASSERT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on'; END $$";
    server.sql(false, on).unwrap();
    let set = |setting: &str| format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$");
    server.stop();
    server.sql(false, &set("synchronous_commit = off")).unwrap();
    assert!(server.sql(false, on).is_err(), "the default of the database is off now");
    // Only this database writes its statements into the cluster's log.
    server.sql(false, &set("log_statement = ''all''")).unwrap();
    server.run();
    let log = fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
    for session in ["firth-write", "firth-read"] {
        let mut opened = log.lines().filter(|line| line.contains(&format!("SET application_name = '{session}'"))).peekable();
        assert!(opened.peek().is_some(), "no {session} in the log");
        assert!(opened.all(|line| line.contains("SET synchronous_commit = on")), "a {session} that does not flush");
    }
}
