//! Does what chance gives, at the server and in the model, and compares.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use serde_json::{Value, json};

use super::ask::{Ask, bare};
use super::dice::Dice;
use super::draw;
use super::got::{Got, parts};
use super::world::{Answer, Key, Version, World};
use crate::support::{Bundle, Client, TestServer};

/// So many of the last interactions a failure tells.
const TOLD: usize = 15;

/// More than any search or history here has.
const PAGES: usize = 500;

pub struct Run<'s> {
    client: Client<'s>,
    seed: u64,
    dice: Dice,
    pub world: World,
    step: usize,
    entries: usize,
    last: VecDeque<String>,
    met: BTreeMap<String, u32>,
    began: Instant,
}

/// What does not agree.
type Fault = String;

macro_rules! agree {
    ($what:literal, $got:expr, $want:expr) => {
        match (&$got, &$want) {
            (got, want) if got == want => {}
            (got, want) => return Err(format!("{}:\n  the server says {got:?}\n  the model says  {want:?}", $what)),
        }
    };
}

impl<'s> Run<'s> {
    pub fn new(server: &'s TestServer, seed: u64) -> Run<'s> {
        println!("{:?}: FIRTH_MODEL_SEED={seed}", server.backend);
        let world = World::new(format!("{}/fhir", server.url()));
        let (last, met) = (VecDeque::new(), BTreeMap::new());
        Run { client: server.ehr(), seed, dice: Dice::new(seed), world, step: 0, entries: 0, last, met, began: Instant::now() }
    }

    pub fn step(&mut self) {
        self.step += 1;
        let ask = draw::ask(&mut self.dice, &self.world);
        let told = self.does(&ask);
        if let Err(fault) = told {
            let last: Vec<String> = self.last.iter().cloned().collect();
            panic!("FIRTH_MODEL_SEED={} step {} on {:?}\n{}\n{fault}", self.seed, self.step, self.client.server.backend, last.join("\n"));
        }
    }

    fn does(&mut self, ask: &Ask) -> Result<(), Fault> {
        let wire = ask.wire();
        let client = wire.headers.iter().fold(self.client.clone(), |client, (name, value)| client.with(name, value));
        let answer = self.world.answer(ask);
        if self.last.len() == TOLD {
            self.last.pop_front();
        }
        self.last.push_back(format!("{} -> {} {}", wire.said(), answer.status, answer.note));
        let reply = client.send(wire.verb, format!("/fhir/{}", wire.path).trim_end_matches('/'), wire.body.as_deref());
        agree!(
            "status",
            (reply.status, reply.text()),
            (answer.status, if reply.status == answer.status { reply.text() } else { String::new() })
        );
        self.counts(ask, &answer);
        let got = parts(ask, &reply, &self.world.base);
        let both: Vec<(&Ask, Got, Answer)> = match ask {
            Ask::Bundle { entries, .. } if reply.status == 200 => {
                agree!("entries", got.len(), answer.parts.len());
                self.entries += entries.len();
                entries.iter().map(|entry| &entry.ask).zip(got).zip(answer.parts).map(|((ask, got), answer)| (ask, got, answer)).collect()
            }
            _ => got.into_iter().map(|got| (ask, got, answer.clone())).collect(),
        };
        let mut names = Vec::new();
        for (_, got, answer) in &both {
            agree!("status of an entry", (got.status, &got.code), (answer.status, &answer.code.map(str::to_owned)));
            names.extend(got.names(answer)?);
        }
        self.world.named(&names);
        for (ask, got, answer) in &both {
            self.one(ask, got, &answer.named(&names))?;
        }
        Ok(())
    }

    fn counts(&mut self, ask: &Ask, answer: &Answer) {
        let what = [answer.code.unwrap_or_default(), answer.note].join(" ");
        let name = format!("{} {} {}", ask.name(), answer.status, what.trim());
        *self.met.entry(name.trim_end().to_owned()).or_default() += 1;
    }

    /// One answer.
    fn one(&self, ask: &Ask, got: &Got, answer: &Answer) -> Result<(), Fault> {
        match (ask, &answer.list) {
            (Ask::Search { kind, .. }, Some(_)) => return self.searched(kind, got, answer),
            (Ask::History { .. } | Ask::Changes { .. }, Some(want)) => return self.told_history(ask, got, want),
            _ => {}
        }
        // A Bundle tells no version of what it refuses.
        if !(got.short && answer.code.is_some()) {
            agree!("ETag", got.etag, answer.version.map(|version| format!("W/\"{version}\"")));
        }
        let (Some(body), Some(key), Some(version)) = (&answer.body, &answer.of, answer.version) else {
            agree!("body", got.body, None);
            return Ok(());
        };
        if !matches!(ask, Ask::Read { .. }) {
            agree!("Location", got.location, Some(format!("{}/{}/_history/{version}", key.0, key.1)));
        }
        match &got.body {
            None if got.short => Ok(()),
            got => same(got.as_ref().unwrap_or(&Value::Null), key, version, body),
        }
    }

    fn searched(&self, kind: &str, got: &Got, answer: &Answer) -> Result<(), Fault> {
        let pages = self.pages(got, PAGES);
        let got: Vec<Value> = pages.iter().flat_map(Bundle::matches).collect();
        let want: BTreeMap<&str, &Version> = answer.list.iter().flatten().map(|(key, version)| (key.1.as_str(), version)).collect();
        let mut ids: Vec<&str> = got.iter().filter_map(|found| found["id"].as_str()).collect();
        // Observations come by their date, the rest by their last change, newest first.
        let turns: Vec<u64> = ids.iter().filter_map(|id| want.get(id)).map(|version| version.turn).collect();
        ids.sort_unstable();
        agree!("found", ids, want.keys().copied().collect::<Vec<_>>());
        agree!("total", pages[0].total(), Some(want.len() as i64));
        if kind != "Observation" {
            agree!("order", turns.is_sorted_by(|a, b| a >= b), true);
        }
        for found in &got {
            let (id, version) = want.get_key_value(found["id"].as_str().unwrap_or_default()).expect("compared above");
            same(found, &("", (*id).to_owned()), version.number, version.body.as_ref().expect("it is live"))?;
        }
        Ok(())
    }

    /// This page and those that follow it.
    fn pages(&self, got: &Got, most: usize) -> Vec<Bundle> {
        let mut pages = vec![Bundle(got.body.clone().unwrap_or_default())];
        while let Some(next) = pages.last().filter(|_| pages.len() < most).and_then(Bundle::next) {
            pages.push(Bundle(self.client.get(&next).is(200).json()));
            assert!(pages.len() < PAGES, "next links without end");
        }
        pages
    }

    fn told_history(&self, ask: &Ask, got: &Got, want: &[(Key, Version)]) -> Result<(), Fault> {
        let most = if matches!(ask, Ask::Changes { whole: false, .. }) { 3 } else { PAGES };
        let pages = self.pages(got, most);
        if let Ask::History { .. } = ask {
            agree!("total", pages[0].total(), Some(want.len() as i64));
        }
        let got: Vec<Value> = pages.iter().flat_map(|page| page.0["entry"].as_array().cloned().unwrap_or_default()).collect();
        let ended = pages.last().and_then(Bundle::next).is_none();
        agree!("entries", got.len(), if ended { want.len() } else { got.len().min(want.len()) });
        for (got, (key, version)) in got.iter().zip(want) {
            self.revision(got, key, version)?;
        }
        Ok(())
    }

    fn revision(&self, got: &Value, key: &Key, version: &Version) -> Result<(), Fault> {
        let name = format!("{}/{}", key.0, key.1);
        agree!("fullUrl", got["fullUrl"], json!(format!("{}/{name}", self.world.base)));
        agree!("etag", got["response"]["etag"], json!(format!("W/\"{}\"", version.number)));
        agree!("is deleted", got.get("resource").is_none(), version.body.is_none());
        agree!("method", got["request"]["method"], json!(version.method));
        agree!("url", got["request"]["url"], if version.method == "POST" { json!(key.0) } else { json!(name) });
        let status = match version {
            Version { body: None, .. } => "204",
            Version { made: true, .. } => "201",
            _ => "200",
        };
        agree!("status in the history", got["response"]["status"], json!(status));
        match &version.body {
            Some(body) => same(&got["resource"], key, version.number, body),
            None => Ok(()),
        }
    }

    /// Everything there is, compared once more, and what must have occurred.
    pub fn ends(mut self, must: &[&str]) {
        let (cases, keys) = (self.step, self.world.all.keys().cloned().collect::<Vec<Key>>());
        let each = keys.into_iter().map(|(kind, id)| Ask::History { kind, id, count: None });
        for ask in each.chain([Ask::Changes { kind: None, count: 250, whole: true }]) {
            self.last.clear();
            if let Err(fault) = self.does(&ask) {
                panic!("FIRTH_MODEL_SEED={} at the end on {:?}: {}\n{fault}", self.seed, self.client.server.backend, ask.wire().said());
            }
        }
        println!(
            "{:?}: {cases} interactions, {} entries of Bundles in {:.1} s",
            self.client.server.backend,
            self.entries,
            self.began.elapsed().as_secs_f64()
        );
        println!("{:#?}", self.met);
        let met: HashSet<&str> = self.met.keys().map(String::as_str).collect();
        let missed: Vec<&&str> = must.iter().filter(|name| !met.contains(**name)).collect();
        assert!(missed.is_empty(), "FIRTH_MODEL_SEED={}: never met: {missed:?}", self.seed);
    }
}

/// The resource, its id and its version.
fn same(got: &Value, key: &Key, version: u32, want: &Rc<Value>) -> Result<(), Fault> {
    agree!("body", bare(got).to_string(), want.to_string());
    agree!("id", got["id"].as_str(), Some(key.1.as_str()));
    agree!("versionId", got["meta"]["versionId"].as_str(), Some(version.to_string().as_str()));
    agree!("lastUpdated", got["meta"]["lastUpdated"].is_string(), true);
    Ok(())
}
