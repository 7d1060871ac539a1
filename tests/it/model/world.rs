//! The naive model: every version of every resource in memory, and what a server must answer.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::ask::{Ask, Sent, To, bare};
use super::find::{Filter, here};
use super::patch::Patch;

pub const KINDS: [&str; 10] =
    ["Patient", "Practitioner", "Organization", "PractitionerRole", "Observation", "Goal", "Basic", "List", "Encounter", "Flag"];

pub type Key = (&'static str, String);

#[derive(Clone, Debug)]
pub struct Version {
    pub number: u32,
    /// None of a deletion; else without id, versionId and lastUpdated.
    pub body: Option<Rc<Value>>,
    /// How it came to be, as a history tells it.
    pub method: &'static str,
    /// There was nothing before it, or a deletion.
    pub made: bool,
    /// The how many-th change of the world it was.
    pub turn: u64,
}

/// What must come back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Of a refusal.
    pub code: Option<&'static str>,
    /// What the ETag says.
    pub version: Option<u32>,
    /// Which resource it is about.
    pub of: Option<Key>,
    pub body: Option<Rc<Value>>,
    /// Of a search: the resources in any order. Of a history: newest first.
    pub list: Option<Vec<(Key, Version)>>,
    /// Conditions: none, one or many answered.
    pub note: &'static str,
    /// Of a Bundle: each entry's.
    pub parts: Vec<Answer>,
}

impl Answer {
    pub fn or_refused(self, at: usize) -> Result<Answer, (usize, Answer)> {
        if self.code.is_some() { Err((at, self)) } else { Ok(self) }
    }

    /// With the ids that the server has told.
    pub fn named(&self, names: &[(Key, String)]) -> Answer {
        let key = |key: &Key| names.iter().find(|(known, _)| known == key).map_or_else(|| key.clone(), |(_, id)| (key.0, id.clone()));
        let body = |body: &Option<Rc<Value>>| body.as_ref().map(|body| renamed(body, names));
        let version = |version: &Version| Version { body: body(&version.body), ..version.clone() };
        let list = self.list.as_ref().map(|list| list.iter().map(|(of, one)| (key(of), version(one))).collect());
        Answer { of: self.of.as_ref().map(key), body: body(&self.body), list, ..self.clone() }
    }
}

#[derive(Clone, Default)]
pub struct World {
    pub all: BTreeMap<Key, Vec<Version>>,
    /// What our own absolute references begin with.
    pub base: String,
    turn: u64,
    fresh: u32,
}

pub fn refused(status: u16, code: &'static str) -> Answer {
    Answer { status, code: Some(code), ..Answer::default() }
}

impl World {
    pub fn new(base: String) -> World {
        World { base, ..World::default() }
    }

    pub fn now(&self, key: &Key) -> Option<&Version> {
        self.all.get(key)?.last()
    }

    /// What is there, oldest first: an order that does not depend on the ids that the server gives.
    /// Is there a living resource of this id?
    pub fn is_taken(&self, key: &Key) -> bool {
        self.now(key).is_some_and(|now| now.body.is_some())
    }

    pub fn live(&self, kind: &str) -> Vec<(&Key, &Version)> {
        let ever = self.ever(kind).into_iter();
        ever.filter_map(|(key, versions)| Some((key, versions.last()?))).filter(|(_, now)| now.body.is_some()).collect()
    }

    /// What is or was there, oldest first.
    pub fn ever(&self, kind: &str) -> Vec<(&Key, &[Version])> {
        let mut ever: Vec<(&Key, &[Version])> =
            self.all.iter().filter(|(key, _)| key.0 == kind).map(|(key, versions)| (key, versions.as_slice())).collect();
        ever.sort_by_key(|(_, versions)| versions[0].turn);
        ever
    }

    pub fn answer(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Create { kind, sent, unless } => self.create(kind, sent, unless.as_deref()),
            Ask::Update { kind, to: To::Id(id), sent, only } => self.update((kind, id.clone()), sent, only.as_deref()),
            Ask::Update { kind, to: To::Where(filters), sent, only } => self.update_where((kind, filters), sent, only.as_deref()),
            Ask::Delete { kind, to: To::Id(id), only } => self.delete((kind, id.clone()), only.as_deref()),
            Ask::Delete { kind, to: To::Where(filters), only } => match self.one(kind, filters) {
                Err(answer) => answer,
                Ok(None) => Answer { status: 204, note: "none", ..Answer::default() },
                Ok(Some(id)) => Answer { note: "one", ..self.delete((kind, id), only.as_deref()) },
            },
            Ask::Read { kind, id, version, have } => self.read((kind, id.clone()), *version, *have),
            Ask::Search { kind, filters, .. } => {
                let found = self.found(kind, filters).into_iter();
                let list: Vec<(Key, Version)> = found.map(|(key, version)| (key.clone(), version.clone())).collect();
                let note = if list.is_empty() { "none" } else { "some" };
                Answer { status: 200, list: Some(list), note, ..Answer::default() }
            }
            Ask::Changes { kind, .. } => Answer { status: 200, list: Some(self.changes(*kind)), ..Answer::default() },
            Ask::Patch { kind, to: To::Id(id), patch, only } => self.patch((kind, id.clone()), patch, only.as_deref()),
            Ask::Patch { kind, to: To::Where(filters), patch, only } => match self.one(kind, filters) {
                Err(answer) => answer,
                Ok(None) => Answer { note: "none", ..refused(404, "resource.not-found") },
                Ok(Some(id)) => Answer { note: "one", ..self.patch((kind, id), patch, only.as_deref()) },
            },
            Ask::Bundle { whole: true, entries } => self.transact(entries),
            Ask::Bundle { entries, .. } => self.batch(entries),
            Ask::History { kind, id, .. } => {
                let key = (*kind, id.clone());
                let Some(versions) = self.all.get(&key) else { return refused(404, "resource.not-found") };
                let list = versions.iter().rev().map(|version| (key.clone(), version.clone())).collect();
                Answer { status: 200, list: Some(list), of: Some(key), ..Answer::default() }
            }
        }
    }

    /// Every version, newest first.
    fn changes(&self, kind: Option<&str>) -> Vec<(Key, Version)> {
        let all = self.all.iter().filter(|(key, _)| kind.is_none_or(|kind| kind == key.0));
        let mut all: Vec<(Key, Version)> =
            all.flat_map(|(key, versions)| versions.iter().map(|version| (key.clone(), version.clone()))).collect();
        all.sort_by_key(|(_, version)| std::cmp::Reverse(version.turn));
        all
    }

    pub fn found(&self, kind: &str, filters: &[Filter]) -> Vec<(&Key, &Version)> {
        let holds = |(key, version): &(&Key, &Version)| {
            version.body.as_ref().is_some_and(|body| filters.iter().all(|filter| filter.holds(&self.base, &key.1, body)))
        };
        self.live(kind).into_iter().filter(holds).collect()
    }

    /// The one that answers, if any.
    pub fn one(&self, kind: &str, filters: &[Filter]) -> Result<Option<String>, Answer> {
        if filters.is_empty() {
            return Err(refused(412, "request.no-criteria"));
        }
        match self.found(kind, filters).as_slice() {
            [] => Ok(None),
            [(key, _)] => Ok(Some(key.1.clone())),
            _ => Err(Answer { note: "many", ..refused(412, "resource.many-match") }),
        }
    }

    fn create(&mut self, kind: &'static str, sent: &Sent, unless: Option<&[Filter]>) -> Answer {
        if unless.is_some_and(<[Filter]>::is_empty) {
            return refused(412, "request.no-criteria");
        }
        if sent.flawed {
            return refused(400, "request.invalid");
        }
        match unless.map(|filters| self.one(kind, filters)) {
            Some(Err(answer)) => answer,
            Some(Ok(Some(id))) => Answer { note: "one", ..self.told((kind, id), 200) },
            Some(Ok(None)) => Answer { note: "none", ..self.born(kind, sent) },
            None => self.born(kind, sent),
        }
    }

    /// A name of our own until the server has told its id.
    pub fn fresh(&mut self, kind: &'static str) -> Key {
        self.fresh += 1;
        (kind, format!("~{}", self.fresh))
    }

    fn born(&mut self, kind: &'static str, sent: &Sent) -> Answer {
        let key = self.fresh(kind);
        if self.dangles(&key, &sent.json) {
            return refused(422, "reference.not-found");
        }
        self.write(key.clone(), Some(self.kept(&sent.json)), "POST");
        self.told(key, 201)
    }

    fn update(&mut self, key: Key, sent: &Sent, only: Option<&str>) -> Answer {
        if sent.flawed || sent.json["id"].as_str() != Some(&key.1) {
            return refused(400, "request.invalid");
        }
        self.put(key, sent, only)
    }

    fn put(&mut self, key: Key, sent: &Sent, only: Option<&str>) -> Answer {
        if self.dangles(&key, &sent.json) {
            return refused(422, "reference.not-found");
        }
        self.settle(key, sent, only)
    }

    /// The same, whatever it points to.
    pub fn settle(&mut self, key: Key, sent: &Sent, only: Option<&str>) -> Answer {
        if !self.is_at(&key, only) {
            return refused(412, "resource.precondition");
        }
        if key.0 == "Patient" && !self.all.contains_key(&key) && key.1.len() != 36 && !key.1.starts_with('~') {
            return refused(422, "request.unprocessable");
        }
        let (now, bare) = (self.now(&key), self.kept(&sent.json));
        let was = now.and_then(|now| now.body.clone());
        // Members in another order are another text.
        if was.as_ref().map(|was| was.to_string()) == Some(bare.to_string()) {
            return Answer { note: "unchanged", ..self.told(key, 200) };
        }
        self.write(key.clone(), Some(bare), "PUT");
        self.told(key, if was.is_some() { 200 } else { 201 })
    }

    fn update_where(&mut self, of: (&'static str, &[Filter]), sent: &Sent, only: Option<&str>) -> Answer {
        let (kind, filters) = of;
        if filters.is_empty() {
            return refused(412, "request.no-criteria");
        }
        if sent.flawed {
            return refused(400, "request.invalid");
        }
        let said = sent.json["id"].as_str().map(str::to_owned);
        match (self.one(kind, filters), said) {
            (Err(answer), _) => answer,
            (Ok(Some(id)), Some(said)) if id != said => refused(400, "request.invalid"),
            (Ok(Some(id)), _) => Answer { note: "one", ..self.put((kind, id), sent, only) },
            (Ok(None), Some(said)) if self.is_taken(&(kind, said.clone())) => refused(409, "resource.conflict"),
            (Ok(None), Some(said)) => Answer { note: "none, with id", ..self.put((kind, said), sent, only) },
            (Ok(None), None) if only.is_some() => Answer { note: "none", ..refused(412, "resource.precondition") },
            (Ok(None), None) => Answer { note: "none", ..self.born(kind, sent) },
        }
    }

    pub fn patched(&self, key: &Key, patch: &Patch) -> Result<Value, Answer> {
        let Some(now) = self.now(key) else { return Err(refused(404, "resource.not-found")) };
        let Some(body) = &now.body else { return Err(refused(410, "resource.deleted")) };
        patch.applied(body).ok_or_else(|| refused(400, "request.invalid"))
    }

    fn patch(&mut self, key: Key, patch: &Patch, only: Option<&str>) -> Answer {
        match self.patched(&key, patch) {
            Err(answer) => answer,
            Ok(json) => self.put(key, &Sent { json, flawed: false }, only),
        }
    }

    fn delete(&mut self, key: Key, only: Option<&str>) -> Answer {
        let is_there = self.now(&key).is_some_and(|now| now.body.is_some());
        if is_there && self.is_at(&key, only) && self.is_pointed_to(&key) {
            return refused(409, "resource.referenced");
        }
        self.bury(key, only)
    }

    /// The same, whatever points to it.
    pub fn bury(&mut self, key: Key, only: Option<&str>) -> Answer {
        if !self.is_at(&key, only) {
            return refused(412, "resource.precondition");
        }
        match self.now(&key) {
            None => return Answer { status: 204, note: "never was", ..Answer::default() },
            Some(Version { body: None, number, .. }) => {
                return Answer { status: 204, version: Some(*number), note: "again", ..Answer::default() };
            }
            Some(_) => {}
        }
        self.write(key.clone(), None, "DELETE");
        Answer { status: 204, version: self.now(&key).map(|now| now.number), ..Answer::default() }
    }

    fn read(&self, key: Key, which: Option<u32>, have: Option<u32>) -> Answer {
        let versions = self.all.get(&key).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().rev().find(|version| which.is_none_or(|which| which == version.number));
        let Some(found) = found else { return refused(404, "resource.not-found") };
        let version = Some(found.number);
        match &found.body {
            None => Answer { version, ..refused(410, "resource.deleted") },
            Some(_) if have == version => Answer { status: 304, version, ..Answer::default() },
            Some(body) => Answer { status: 200, version, body: Some(Rc::clone(body)), of: Some(key), ..Answer::default() },
        }
    }

    /// As it is stored: references to this server are relative.
    pub fn kept(&self, sent: &Value) -> Value {
        relative(&bare(sent), &self.base)
    }

    /// `If-Match`.
    fn is_at(&self, key: &Key, only: Option<&str>) -> bool {
        let now = self.now(key).filter(|now| now.body.is_some());
        only.is_none_or(|only| now.is_some_and(|now| only == "*" || only == format!("W/\"{}\"", now.number)))
    }

    pub fn told(&self, key: Key, status: u16) -> Answer {
        let now = self.now(&key);
        Answer {
            status,
            version: now.map(|now| now.number),
            body: now.and_then(|now| now.body.clone()),
            of: Some(key),
            ..Answer::default()
        }
    }

    pub fn write(&mut self, key: Key, body: Option<Value>, method: &'static str) {
        self.turn += 1;
        let versions = self.all.entry(key).or_default();
        let made = versions.last().is_none_or(|last| last.body.is_none());
        versions.push(Version { number: versions.len() as u32 + 1, body: body.map(Rc::new), method, made, turn: self.turn });
    }

    /// Does it point to what is not there? Itself it may name.
    pub fn dangles(&self, own: &Key, body: &Value) -> bool {
        pointers(body, &self.base).iter().any(|(kind, id, version)| {
            let is_there = |version: &Version| version.body.is_some();
            let found = self.all.iter().find(|((known, known_id), _)| known == kind && known_id == id).map(|(_, versions)| versions);
            let now = found.is_some_and(|versions| versions.last().is_some_and(is_there));
            let then = version.as_ref().is_none_or(|version| {
                found.is_some_and(|versions| versions.iter().any(|one| one.number.to_string() == *version && is_there(one)))
            });
            let own = version.is_none() && own.0 == kind && own.1 == *id;
            !(own || now && then)
        })
    }

    pub fn is_pointed_to(&self, key: &Key) -> bool {
        let live = self.all.iter().filter(|(other, _)| *other != key).filter_map(|(_, versions)| versions.last()?.body.as_ref());
        live.into_iter().any(|body| pointers(body, &self.base).iter().any(|(kind, id, _)| kind == key.0 && *id == key.1))
    }

    /// The server has told the ids of what had names of our own.
    pub fn named(&mut self, names: &[(Key, String)]) {
        for ((kind, name), id) in names {
            let Some(versions) = self.all.remove(&(*kind, name.clone())) else { continue };
            assert!(self.all.insert((kind, id.clone()), versions).is_none(), "{kind}/{id} is given twice");
        }
        if names.is_empty() {
            return;
        }
        for version in self.all.values_mut().filter_map(|versions| versions.last_mut()) {
            version.body = version.body.as_ref().map(|body| renamed(body, names));
        }
    }
}

/// With references to what now has an id.
fn renamed(body: &Rc<Value>, names: &[(Key, String)]) -> Rc<Value> {
    let mut text = body.to_string();
    if !text.contains("/~") {
        return Rc::clone(body);
    }
    for ((kind, name), id) in names {
        text = text.replace(&format!("\"{kind}/{name}\""), &format!("\"{kind}/{id}\""));
    }
    Rc::new(serde_json::from_str(&text).expect("it was JSON"))
}

fn relative(value: &Value, base: &str) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|value| relative(value, base)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match (name.as_str(), value.as_str()) {
                ("reference", Some(text)) => (name.clone(), json!(text.strip_prefix(&format!("{base}/")).unwrap_or(text))),
                _ => (name.clone(), relative(value, base)),
            };
            members.iter().map(member).collect()
        }
        other => other.clone(),
    }
}

/// Every reference to this server, wherever it stands.
pub fn pointers(value: &Value, base: &str) -> Vec<(String, String, Option<String>)> {
    match value {
        Value::Array(all) => all.iter().flat_map(|value| pointers(value, base)).collect(),
        Value::Object(members) => {
            let own = members.get("reference").and_then(Value::as_str).and_then(|text| here(text, base));
            own.into_iter().chain(members.values().flat_map(|value| pointers(value, base))).collect()
        }
        _ => Vec::new(),
    }
}
