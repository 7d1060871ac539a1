//! Does what chance gives, at the server and in the model, and compares.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use serde_json::{Value, json};

use super::ask::{Ask, bare};
use super::dice::Dice;
use super::draw;
use super::world::{Answer, Key, Version, World};
use crate::support::{Bundle, Client, Reply, TestServer};

/// So many of the last interactions a failure tells.
const TOLD: usize = 15;

pub struct Run<'s> {
    client: Client<'s>,
    seed: u64,
    dice: Dice,
    pub world: World,
    step: usize,
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
        Run { client: server.ehr(), seed, dice: Dice::new(seed), world, step: 0, last, met, began: Instant::now() }
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
        let mut answer = self.world.answer(ask);
        if self.last.len() == TOLD {
            self.last.pop_front();
        }
        self.last.push_back(format!("{} -> {} {}", wire.said(), answer.status, answer.note));
        let reply = client.send(wire.verb, &format!("/fhir/{}", wire.path), wire.body.as_deref());
        agree!(
            "status",
            (reply.status, reply.text()),
            (answer.status, if reply.status == answer.status { reply.text() } else { String::new() })
        );
        self.named(&mut answer, &reply)?;
        let what = answer.code.unwrap_or(answer.note);
        *self.met.entry(format!("{} {} {what}", ask.name(), answer.status).trim_end().to_owned()).or_default() += 1;
        match ask {
            Ask::Search { kind, .. } => self.searched(kind, &reply, &answer),
            Ask::History { .. } => self.told_history(&reply, &answer),
            _ => self.one(ask, &reply, &answer),
        }
    }

    /// Learns the id of what was created.
    fn named(&mut self, answer: &mut Answer, reply: &Reply) -> Result<(), Fault> {
        let Some(key) = answer.of.clone().filter(|key| key.1.starts_with('~')) else { return Ok(()) };
        let location = reply.header("location").unwrap_or_default().to_owned();
        let id = location.strip_prefix(&format!("{}/{}/", self.world.base, key.0)).and_then(|rest| rest.strip_suffix("/_history/1"));
        let Some(id) = id else { return Err(format!("no location of a new {}: {location}", key.0)) };
        self.world.named(&key, id);
        answer.of = Some((key.0, id.to_owned()));
        Ok(())
    }

    /// An answer about one resource.
    fn one(&self, ask: &Ask, reply: &Reply, answer: &Answer) -> Result<(), Fault> {
        let etag = answer.version.map(|version| format!("W/\"{version}\""));
        agree!("ETag", reply.header("etag").map(str::to_owned), etag);
        if let Some(code) = answer.code {
            agree!("code", reply.code(), code);
            return Ok(());
        }
        let (Some(body), Some(key), Some(version)) = (&answer.body, &answer.of, answer.version) else {
            agree!("text", reply.text(), "");
            return Ok(());
        };
        if !matches!(ask, Ask::Read { .. }) {
            let place = format!("{}/{}/{}/_history/{version}", self.world.base, key.0, key.1);
            agree!("Location", reply.header("location"), Some(place.as_str()));
        }
        same(&reply.json(), key, version, body)
    }

    fn searched(&self, kind: &str, reply: &Reply, answer: &Answer) -> Result<(), Fault> {
        let pages = self.pages(reply);
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
    fn pages(&self, reply: &Reply) -> Vec<Bundle> {
        let mut pages = vec![Bundle(reply.json())];
        while let Some(next) = pages.last().and_then(Bundle::next) {
            pages.push(Bundle(self.client.get(&next).is(200).json()));
            assert!(pages.len() < 500, "next links without end");
        }
        pages
    }

    fn told_history(&self, reply: &Reply, answer: &Answer) -> Result<(), Fault> {
        let Some(want) = &answer.list else {
            agree!("code", Some(reply.code().as_str()), answer.code);
            return Ok(());
        };
        let pages = self.pages(reply);
        agree!("total", pages[0].total(), Some(want.len() as i64));
        let got: Vec<Value> = pages.iter().flat_map(|page| page.0["entry"].as_array().cloned().unwrap_or_default()).collect();
        agree!("entries", got.len(), want.len());
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
        // A first version is told as a creation, whichever way it was made.
        let method = if version.number == 1 { "POST" } else { version.method };
        agree!("method", got["request"]["method"], json!(method));
        agree!("url", got["request"]["url"], if method == "POST" { json!(key.0) } else { json!(name) });
        match &version.body {
            Some(body) => same(&got["resource"], key, version.number, body),
            None => Ok(()),
        }
    }

    /// Everything there is, compared once more, and what must have occurred.
    pub fn ends(mut self, must: &[&str]) {
        let keys: Vec<Key> = self.world.all.keys().cloned().collect();
        let cases = self.step;
        for (kind, id) in keys {
            self.last.clear();
            let ask = Ask::History { kind, id, count: None };
            if let Err(fault) = self.does(&ask) {
                panic!("FIRTH_MODEL_SEED={} at the end on {:?}: {}\n{fault}", self.seed, self.client.server.backend, ask.wire().said());
            }
        }
        println!("{:?}: {cases} interactions in {:.1} s", self.client.server.backend, self.began.elapsed().as_secs_f64());
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
