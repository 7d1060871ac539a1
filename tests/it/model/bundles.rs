//! Batches and transactions by chance.

use serde_json::{Value, json};

use super::ask::{Ask, Entry, Sent, To, with_id};
use super::bodies::{self, SYSTEMS, VALUES};
use super::dice::Dice;
use super::draw;
use super::world::{KINDS, World};

pub fn draw(dice: &mut Dice, world: &World) -> Ask {
    let whole = dice.percent(70);
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..1 + dice.below(4) {
        entries.extend(entry(dice, world, whole));
    }
    if whole {
        linked(dice, &mut entries);
        if dice.percent(35) {
            entries.push(last(dice, world));
        }
    }
    Ask::Bundle { whole, entries }
}

fn plain(ask: Ask) -> Entry {
    Entry { ask, full_url: None }
}

/// What is done alone, too; None of what a Bundle does not take.
fn entry(dice: &mut Dice, world: &World, whole: bool) -> Option<Entry> {
    let ask = draw::ask(dice, world);
    let empty = |to: &To| matches!(to, To::Where(filters) if filters.is_empty());
    let fits = match &ask {
        Ask::Create { unless: Some(filters), .. } if filters.is_empty() => false,
        Ask::Update { to, .. } | Ask::Delete { to, .. } | Ask::Patch { to, .. } if empty(to) => false,
        // The id that it names when nothing is found may be what another entry changes: the server does not see that.
        Ask::Update { to: To::Where(_), sent, .. } if whole && sent.json["id"].as_str().is_some_and(|id| !id.starts_with('n')) => false,
        Ask::Search { form, count, .. } => !form && count.is_none(),
        // Wrong ones make a whole Bundle wrong: seldom is often enough.
        _ if ask.is_flawed() => whole && dice.percent(10),
        Ask::History { .. } | Ask::Changes { .. } | Ask::Read { .. } if whole => false,
        Ask::Bundle { .. } => false,
        _ => true,
    };
    fits.then(|| plain(ask))
}

fn urn(dice: &mut Dice) -> String {
    format!("urn:uuid:{:08x}-0000-4000-8000-{:012x}", dice.below(1 << 32), dice.below(1 << 40))
}

/// Names one of the entries, or a new one, and points to it from before and behind; points by a search.
fn linked(dice: &mut Dice, entries: &mut Vec<Entry>) {
    let mut targets: Vec<String> = Vec::new();
    for entry in entries.iter_mut().filter(|entry| entry.ask.sent().is_some()) {
        let name = urn(dice);
        entry.full_url = Some(name.clone());
        targets.push(name);
    }
    if dice.percent(40) {
        let name = urn(dice);
        let json = json!({"resourceType": "Organization", "name": "Made together"});
        let ask = Ask::Create { kind: "Organization", sent: Sent { json, flawed: false }, unless: None };
        entries.push(Entry { ask, full_url: Some(name.clone()) });
        targets.push(name);
    }
    if dice.percent(20) {
        targets.push(format!("{}?identifier={}|{}", dice.of(&KINDS), dice.of(&SYSTEMS), dice.of(&VALUES)));
    }
    for to in targets {
        if dice.percent(60) {
            let pointing = pointing(dice, &to);
            let at = dice.below(entries.len() + 1);
            entries.insert(at, plain(pointing));
        }
    }
}

fn pointing(dice: &mut Dice, to: &str) -> Ask {
    let json = json!({"resourceType": "Basic", "code": {"text": "points"}, "subject": {"reference": to}});
    if dice.percent(30) {
        let id = bodies::id(dice, "Basic");
        return Ask::Update {
            kind: "Basic",
            to: To::Id(id.to_owned()),
            sent: Sent { json: with_id(&json, id), flawed: false },
            only: None,
        };
    }
    Ask::Create { kind: "Basic", sent: Sent { json, flawed: false }, unless: None }
}

/// An entry that mostly fails, at the end of the Bundle.
fn last(dice: &mut Dice, world: &World) -> Entry {
    let fixed = |json: Value| Sent { json, flawed: false };
    plain(match dice.below(4) {
        0 => Ask::Read { kind: dice.of(&KINDS), id: "nobody-here".to_owned(), version: None, have: None },
        1 => {
            let json = json!({"resourceType": "Organization", "id": "last", "name": "Last"});
            Ask::Update { kind: "Organization", to: To::Id("last".to_owned()), sent: fixed(json), only: Some("W/\"999\"".to_owned()) }
        }
        2 => {
            let json = json!({"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient/none"}});
            Ask::Create { kind: "Basic", sent: fixed(json), unless: None }
        }
        _ => {
            let pointed = world.live("Patient").into_iter().chain(world.live("Organization"));
            let pointed: Vec<_> = pointed.filter(|(key, _)| world.is_pointed_to(key)).map(|(key, _)| key.clone()).collect();
            match pointed.as_slice() {
                [] => Ask::Read { kind: "Goal", id: "nobody-here".to_owned(), version: None, have: None },
                _ => {
                    let (kind, id) = pointed[dice.below(pointed.len())].clone();
                    Ask::Delete { kind, to: To::Id(id), only: None }
                }
            }
        }
    })
}
