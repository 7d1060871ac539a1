//! What becomes of a Bundle (https://hl7.org/fhir/R4/http.html#transaction): a batch one by one, a transaction as a
//! whole or not at all.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::ask::{Ask, Entry, Sent, To, query};
use super::bodies::identified;
use super::world::{Answer, Key, World, refused};

/// Of which entry it is, and what is wrong.
type Wrong = (usize, Answer);

#[derive(Default)]
struct Links {
    named: BTreeMap<String, Key>,
    /// The resource that each entry means, and is it there already?
    means: BTreeMap<usize, (Key, bool)>,
}

impl World {
    pub fn batch(&mut self, entries: &[Entry]) -> Answer {
        let parts = entries.iter().map(|entry| self.answer(&entry.ask)).collect();
        Answer { status: 200, parts, ..Answer::default() }
    }

    pub fn transact(&mut self, entries: &[Entry]) -> Answer {
        let before = self.clone();
        match self.tries(entries) {
            Ok(parts) => Answer { status: 200, parts, ..Answer::default() },
            Err((at, answer)) => {
                *self = before;
                let last = at + 1 == entries.len() && at > 0;
                Answer { note: if last { "rolled back by the last entry" } else { "rolled back" }, ..answer }
            }
        }
    }

    fn tries(&mut self, entries: &[Entry]) -> Result<Vec<Answer>, Wrong> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|at| entries[*at].ask.step());
        if entries.iter().any(|entry| entry.ask.is_flawed()) || !distinct(entries.iter().filter_map(|entry| entry.ask.changed())) {
            return Err((0, refused(400, "request.invalid")));
        }
        let (mut parts, mut links) = (BTreeMap::new(), Links::default());
        // What is meant before anything is deleted may not be deleted.
        let meant: Vec<Key> = entries.iter().filter_map(|entry| self.one_of(&entry.ask)).collect();
        for at in &order {
            if let Ask::Delete { kind, to, only } = &entries[*at].ask {
                let key = self.meant(kind, to).map_err(|answer| (*at, answer))?;
                links.means.extend(key.clone().map(|key| (*at, (key, true))));
                let gone = key.map_or(Answer { status: 204, ..Answer::default() }, |key| self.bury(key, only.as_deref()));
                parts.insert(*at, gone.or_refused(*at)?);
            }
        }
        if links.means.values().any(|(deleted, _)| meant.contains(deleted)) {
            return Err((0, refused(400, "request.invalid")));
        }
        for at in &order {
            self.identify(*at, &entries[*at], &mut links).map_err(|answer| (*at, answer))?;
        }
        self.disjoint(entries, &links)?;
        let mut written = Vec::new();
        let mut writing = order.clone();
        // Whoever others are about comes first; what a search in it means may be made by others.
        let is_about =
            |ask: &Ask| ask.kind().is_none_or(|kind| !["Patient", "Practitioner", "Organization", "PractitionerRole"].contains(&kind));
        writing.sort_by_key(|at| (is_about(&entries[*at].ask), entries[*at].ask.sent().is_some_and(searches)));
        for at in &writing {
            if let Some((answer, body)) = self.writes(*at, &entries[*at].ask, &links).map_err(|answer| (*at, answer))? {
                written.extend(body.zip(answer.of.clone()).map(|(body, key)| (*at, key, body)));
                parts.insert(*at, answer);
            }
        }
        self.judge(entries, &order, &written)?;
        for at in &order {
            if let Ask::Delete { .. } = &entries[*at].ask
                && let (Some((key, _)), "") = (links.means.get(at), parts[at].note)
                && self.is_pointed_to(key)
            {
                return Err((*at, refused(409, "resource.referenced")));
            }
        }
        Ok((0..entries.len()).map(|at| parts.remove(&at).unwrap_or_else(|| self.answer(&entries[at].ask))).collect())
    }

    /// What is read must be there, and what was written points to nothing that is not.
    fn judge(&mut self, entries: &[Entry], order: &[usize], written: &[(usize, Key, Value)]) -> Result<(), Wrong> {
        for at in order.iter().filter(|at| matches!(entries[**at].ask, Ask::Read { .. })) {
            self.answer(&entries[*at].ask).or_refused(*at)?;
        }
        for (at, key, body) in written {
            if self.dangles(key, body) {
                return Err((*at, refused(422, "reference.not-found")));
            }
        }
        Ok(())
    }

    fn meant(&self, kind: &'static str, to: &To) -> Result<Option<Key>, Answer> {
        match to {
            To::Id(id) => Ok(Some((kind, id.clone()))),
            To::Where(filters) => Ok(self.one(kind, filters)?.map(|id| (kind, id))),
        }
    }

    /// The one that a conditional update or patch finds.
    fn one_of(&self, ask: &Ask) -> Option<Key> {
        match ask {
            Ask::Update { kind, to: To::Where(filters), .. } | Ask::Patch { kind, to: To::Where(filters), .. } => {
                self.one(kind, filters).ok().flatten().map(|id| (*kind, id))
            }
            _ => None,
        }
    }

    fn identify(&mut self, at: usize, entry: &Entry, links: &mut Links) -> Result<(), Answer> {
        let (kind, found, said) = match &entry.ask {
            Ask::Create { kind, unless, .. } => {
                let found = unless.as_ref().map(|filters| self.one(kind, filters)).transpose()?.flatten();
                (*kind, found.map(|id| (*kind, id)), None)
            }
            Ask::Update { kind, to, sent, .. } => (*kind, self.meant(kind, to)?, sent.json["id"].as_str()),
            Ask::Patch { kind, to, .. } => {
                let found = self.meant(kind, to)?;
                (*kind, Some(found.ok_or_else(|| refused(404, "resource.not-found"))?), None)
            }
            _ => return Ok(()),
        };
        let there = found.is_some();
        if let (None, Some(said)) = (&found, said)
            && self.is_taken(&(kind, said.to_owned()))
        {
            return Err(refused(409, "resource.conflict"));
        }
        let key = found.or_else(|| Some((kind, said?.to_owned()))).unwrap_or_else(|| self.fresh(kind));
        links.named.extend(entry.full_url.clone().map(|url| (url, key.clone())));
        links.means.insert(at, (key, there));
        Ok(())
    }

    fn disjoint(&self, entries: &[Entry], links: &Links) -> Result<(), Wrong> {
        let mut changed = Vec::new();
        for (at, (key, there)) in &links.means {
            match &entries[*at].ask {
                Ask::Create { .. } if *there => continue,
                Ask::Create { unless: Some(filters), .. } | Ask::Update { to: To::Where(filters), .. } if !there => {
                    changed.push(format!("{}?{}", key.0, query(filters)));
                }
                _ => {}
            }
            changed.push(format!("{}/{}", key.0, key.1));
        }
        if distinct(changed.into_iter()) { Ok(()) } else { Err((0, refused(400, "request.invalid"))) }
    }

    /// The answer, and what was written with its links resolved.
    fn writes(&mut self, at: usize, ask: &Ask, links: &Links) -> Result<Option<(Answer, Option<Value>)>, Answer> {
        let Some((key, there)) = links.means.get(&at).cloned() else { return Ok(None) };
        match ask {
            Ask::Create { .. } if there => Ok(Some((self.told(key, 200), None))),
            Ask::Create { sent, .. } => {
                let body = self.linked(&sent.json, links)?;
                self.write(key.clone(), Some(self.kept(&body)), "POST");
                Ok(Some((self.told(key, 201), Some(body))))
            }
            Ask::Update { sent, only, .. } => {
                let body = self.linked(&sent.json, links)?;
                if body["id"].as_str().is_some_and(|said| said != key.1) {
                    return Err(refused(400, "request.invalid"));
                }
                let sent = Sent { json: body.clone(), flawed: false };
                let answer = self.settle(key, &sent, only.as_deref());
                Ok(Some((answer.or_refused(at).map_err(|(_, answer)| answer)?, Some(body))))
            }
            Ask::Patch { patch, only, .. } => {
                let body = self.patched(&key, patch)?;
                let sent = Sent { json: body.clone(), flawed: false };
                let answer = self.settle(key, &sent, only.as_deref());
                Ok(Some((answer.or_refused(at).map_err(|(_, answer)| answer)?, Some(body))))
            }
            _ => Ok(None),
        }
    }

    /// With what other entries are called, and what searches find, in the place of their names.
    fn linked(&self, value: &Value, links: &Links) -> Result<Value, Answer> {
        Ok(match value {
            Value::Array(all) => all.iter().map(|value| self.linked(value, links)).collect::<Result<_, _>>()?,
            Value::Object(members) => {
                let mut out = serde_json::Map::new();
                for (name, value) in members {
                    let text = value.as_str().filter(|_| name == "reference");
                    let new = match text {
                        Some(text) => json!(self.link(text, links)?),
                        None => self.linked(value, links)?,
                    };
                    out.insert(name.clone(), new);
                }
                Value::Object(out)
            }
            other => other.clone(),
        })
    }

    fn link(&self, text: &str, links: &Links) -> Result<String, Answer> {
        if let Some((kind, id)) = links.named.get(text) {
            return Ok(format!("{kind}/{id}"));
        }
        let Some((kind, identifier)) = text.split_once("?identifier=") else { return Ok(text.to_owned()) };
        let To::Where(filters) = identified(identifier.to_owned()) else { return Ok(text.to_owned()) };
        let found = self.one(kind, &filters)?;
        found.map(|id| format!("{kind}/{id}")).ok_or_else(|| refused(422, "reference.not-found"))
    }
}

/// Has it a reference by a search?
fn searches(sent: &Sent) -> bool {
    sent.json.to_string().contains("?identifier=")
}

fn distinct(mut all: impl Iterator<Item = String>) -> bool {
    let mut known = HashSet::new();
    all.all(|one| known.insert(one))
}
