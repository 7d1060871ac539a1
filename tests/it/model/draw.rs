//! The next thing to do, by chance and by what there is.

use std::rc::Rc;

use serde_json::{Value, json};

use super::ask::{Ask, Sent, To, with_id};
use super::bodies::{self, BIRTHS, CODES, DATES, FAMILIES, GIVEN, SYSTEMS, TITLES, VALUES, identified};
use super::bundles;
use super::dates::PREFIXES;
use super::dice::Dice;
use super::find::{self, Filter, Way};
use super::params::{IDENTIFIER, Param, params};
use super::patch;
use super::world::{KINDS, Version, World};

/// More of a type than this, and it is rather deleted than made.
const ENOUGH: usize = 14;

pub fn ask(dice: &mut Dice, world: &World) -> Ask {
    let kind = dice.of(&KINDS);
    let many = world.live(kind).len() >= ENOUGH;
    match dice.below(140) {
        0..16 if !many => create(dice, world, kind),
        0..36 => update(dice, world, kind),
        36..40 => {
            let to = condition(dice, world, kind);
            // What an If-Match says of a resource that is yet to be made, R4 leaves open.
            let found = matches!(&to, To::Where(filters) if !world.found(kind, filters).is_empty());
            Ask::Update { kind, to, sent: sent(dice, world, kind), only: only(dice, world, None).filter(|_| found) }
        }
        40..44 => {
            let to = condition(dice, world, kind);
            let mut sent = sent(dice, world, kind);
            if dice.percent(40) {
                sent.json = with_id(&sent.json, &some_id(dice, world, kind));
            }
            Ask::Update { kind, to, sent, only: None }
        }
        44..54 => {
            let id = some_id(dice, world, kind);
            Ask::Delete { kind, only: only(dice, world, Some((kind, &id))), to: To::Id(id) }
        }
        54..60 => Ask::Delete { kind, to: condition(dice, world, kind), only: None },
        60..70 => read(dice, world, kind),
        70..76 => Ask::History { kind, id: some_id(dice, world, kind), count: dice.percent(30).then(|| 1 + dice.below(3)) },
        76..82 => seldom(dice, world, kind),
        82..86 => Ask::Patch { kind, to: condition(dice, world, kind), patch: patch::draw(dice, world, kind), only: None },
        86..94 => {
            let id = some_id(dice, world, kind);
            Ask::Patch { kind, only: only(dice, world, Some((kind, &id))), to: To::Id(id), patch: patch::draw(dice, world, kind) }
        }
        94..98 => Ask::Changes { kind: dice.percent(70).then_some(kind), count: 1 + dice.below(12), whole: false },
        98..120 => bundles::draw(dice, world),
        _ => search(dice, world, kind),
    }
}

/// What chance alone would bring too seldom to count on.
fn seldom(dice: &mut Dice, world: &World, kind: &'static str) -> Ask {
    let plain = Sent { json: bodies::body(dice, world, kind), flawed: false };
    let dead = world.ever(kind).into_iter().filter_map(|(key, versions)| Some((key.1.clone(), versions.last()?)));
    let dead: Vec<(String, &Version)> = dead.filter(|(_, now)| now.body.is_none()).collect();
    let dead = (!dead.is_empty()).then(|| dead[dice.below(dead.len())].clone());
    match (dice.below(10), dead) {
        (0..2, Some((id, _))) => Ask::Read { kind, id, version: None, have: None },
        (2, Some((id, _))) => Ask::Patch { kind, to: To::Id(id), patch: patch::draw(dice, world, kind), only: None },
        (9, _) if dice.percent(50) => Ask::Delete { kind, to: To::Where(Vec::new()), only: None },
        (3, Some((id, now))) => Ask::Read { kind, id, version: Some(now.number), have: None },
        (4..6, Some((id, _))) => Ask::Delete { kind, to: To::Id(id), only: None },
        (6, _) => {
            let sent = Sent { json: with_id(&bodies::body(dice, world, "Patient"), "nobody"), flawed: false };
            Ask::Update { kind: "Patient", to: To::Id("nobody".to_owned()), sent, only: None }
        }
        (7, _) if kind != "Patient" => {
            let id = format!("n{}", dice.below(10_000));
            let to = identified(format!("{}|never", dice.of(&SYSTEMS)));
            Ask::Update { kind, to, sent: Sent { json: with_id(&plain.json, &id), flawed: false }, only: None }
        }
        (8, _) => {
            let flaws = Sent { flawed: true, json: json!({"resourceType": kind, "colour": "red"}) };
            Ask::Create { kind, sent: flaws, unless: None }
        }
        _ => {
            let (name, id) = ("Basic", dice.of(&["none", "nobody", "gone"]));
            let json = json!({"resourceType": name, "code": {"text": "x"}, "subject": {"reference": format!("{kind}/{id}")}});
            Ask::Create { kind: name, sent: Sent { json, flawed: false }, unless: None }
        }
    }
}

fn create(dice: &mut Dice, world: &World, kind: &'static str) -> Ask {
    let unless = dice.percent(40).then(|| match condition(dice, world, kind) {
        To::Where(filters) => filters,
        To::Id(_) => Vec::new(),
    });
    Ask::Create { kind, sent: sent(dice, world, kind), unless }
}

pub fn sent(dice: &mut Dice, world: &World, kind: &'static str) -> Sent {
    let mut json = bodies::body(dice, world, kind);
    let flawed = dice.percent(3);
    if flawed {
        let (name, value) = dice.of(&[("colour", "red"), ("identifier", "1"), ("resourceType", "Device"), ("language", "")]);
        json[name] = json!(value);
    }
    Sent { json, flawed }
}

/// An id that is there, was there, or may never have been.
pub fn some_id(dice: &mut Dice, world: &World, kind: &'static str) -> String {
    let live = world.live(kind);
    let ever: Vec<&String> = world.ever(kind).into_iter().map(|(key, _)| &key.1).collect();
    match dice.below(100) {
        0..70 if !live.is_empty() => live[dice.below(live.len())].0.1.clone(),
        70..85 if !ever.is_empty() => ever[dice.below(ever.len())].clone(),
        85..87 => "nobody".to_owned(),
        _ => bodies::id(dice, kind).to_owned(),
    }
}

fn update(dice: &mut Dice, world: &World, kind: &'static str) -> Ask {
    let id = some_id(dice, world, kind);
    let mut sent = sent(dice, world, kind);
    let now = world.now(&(kind, id.clone())).and_then(|now| Some((now.number, Rc::clone(now.body.as_ref()?))));
    match (dice.below(100), now) {
        (0..2, _) => {}
        (2..4, _) => sent.json = with_id(&sent.json, "another"),
        // What is there already, as it is read.
        (4..16, Some((number, now))) => {
            let mut body = Value::clone(&now);
            body["meta"]["versionId"] = json!(number.to_string());
            let said = with_id(&json!({"resourceType": kind, "meta": body["meta"]}), &id);
            let rest = body.as_object().into_iter().flatten().filter(|(name, _)| !["resourceType", "meta"].contains(&name.as_str()));
            let all = said.as_object().into_iter().flatten().chain(rest);
            sent = Sent { json: Value::Object(all.map(|(name, value)| (name.clone(), value.clone())).collect()), flawed: false };
        }
        (16..30, Some((_, now))) => sent = Sent { json: with_id(&now, &id), flawed: false },
        _ => {
            if !sent.flawed {
                sent.json = with_id(&sent.json, &id);
            }
            // Some may point to themselves.
            if kind == "Organization" && dice.percent(10) {
                sent.json["partOf"] = json!({"reference": format!("Organization/{id}")});
            }
        }
    }
    Ask::Update { kind, only: only(dice, world, Some((kind, &id))), to: To::Id(id), sent }
}

/// An `If-Match`, right or wrong; mostly none.
pub fn only(dice: &mut Dice, world: &World, of: Option<(&'static str, &str)>) -> Option<String> {
    let number = of.and_then(|(kind, id)| world.now(&(kind, id.to_owned()))).map_or(1, |now| now.number);
    match dice.below(100) {
        0..20 => Some(format!("W/\"{number}\"")),
        20..28 => Some(format!("W/\"{}\"", number + 1)),
        28..32 => Some("*".to_owned()),
        32..35 => Some("W/\"1\"".to_owned()),
        _ => None,
    }
}

fn read(dice: &mut Dice, world: &World, kind: &'static str) -> Ask {
    let id = some_id(dice, world, kind);
    let number = world.now(&(kind, id.clone())).map_or(1, |now| now.number) as usize;
    if dice.percent(50) {
        return Ask::Read { kind, id, version: Some(dice.below(number + 1) as u32 + 1), have: None };
    }
    Ask::Read { kind, id, version: None, have: dice.percent(30).then(|| dice.below(number) as u32 + 1) }
}

fn search(dice: &mut Dice, world: &World, kind: &'static str) -> Ask {
    let filters = (0..dice.of(&[0, 1, 1, 1, 1, 2, 2])).map(|_| filter(dice, world, kind)).collect();
    Ask::Search { kind, filters, form: dice.percent(20), count: dice.percent(20).then(|| 1 + dice.below(5)) }
}

/// What a conditional interaction looks for: an identifier, mostly.
pub fn condition(dice: &mut Dice, world: &World, kind: &'static str) -> To {
    let live = world.live(kind);
    let taken: Vec<String> = live
        .iter()
        .filter_map(|(_, now)| Some(find::tokens(IDENTIFIER, now.body.as_ref()?)))
        .flatten()
        .map(|(system, code)| format!("{}|{code}", system.unwrap_or_default()))
        .collect();
    match dice.below(100) {
        0..10 => To::Where(Vec::new()),
        10..50 if !taken.is_empty() => identified(taken[dice.below(taken.len())].clone()),
        50..60 => identified(format!("{}|never", dice.of(&SYSTEMS))),
        60..80 => identified(format!("{}|{}", dice.of(&SYSTEMS), dice.of(&VALUES))),
        _ => To::Where(vec![filter(dice, world, kind)]),
    }
}

fn filter(dice: &mut Dice, world: &World, kind: &'static str) -> Filter {
    let all = params(kind);
    let param = dice.of(&all);
    if param.1 != Way::Id && dice.percent(8) {
        return Filter { param, modifier: Some("missing"), values: vec![dice.percent(50).to_string()] };
    }
    let modifier = match param.1 {
        Way::Text if dice.percent(25) => Some("exact"),
        Way::Identifier | Way::Coding | Way::Code(_) | Way::Bool if dice.percent(15) => Some("not"),
        Way::Refer(kinds) if kinds.len() > 1 && dice.percent(15) => Some(dice.of(kinds)),
        _ => None,
    };
    let values = (0..dice.of(&[1, 1, 1, 2])).map(|_| value(dice, world, (kind, param), modifier)).collect();
    Filter { param, modifier, values }
}

/// A value that somebody has, or one out of the pools.
fn value(dice: &mut Dice, world: &World, of: (&'static str, Param), modifier: Option<&'static str>) -> String {
    let (kind, param) = of;
    let live = world.live(kind);
    let somebody = (dice.percent(60) && !live.is_empty()).then(|| live[dice.below(live.len())]);
    let body = somebody.and_then(|(_, now)| now.body.clone());
    match param.1 {
        Way::Id => somebody.map_or_else(|| some_id(dice, world, kind), |(key, _)| key.1.clone()),
        Way::Refer(kinds) => {
            let there = body.map(|body| find::references(kinds, param.2, &world.base, &body)).unwrap_or_default();
            let (kind, id) = match there.first() {
                Some((kind, id)) if modifier.is_none_or(|modifier| modifier == kind) => (kind.clone(), id.clone()),
                _ => {
                    let kind = modifier.unwrap_or_else(|| dice.of(kinds));
                    (kind.to_owned(), some_id(dice, world, kind))
                }
            };
            match dice.below(4) {
                0 => id,
                1 => format!("{}/{kind}/{id}", world.base),
                _ => format!("{kind}/{id}"),
            }
        }
        Way::Text => {
            let texts = body.map(|body| find::texts(param.2, &body)).unwrap_or_default();
            let text = texts.first().cloned().unwrap_or_else(|| {
                let pool: &[&str] = dice.of(&[&FAMILIES[..], &GIVEN, &TITLES]);
                dice.of(pool).to_owned()
            });
            if modifier == Some("exact") && dice.percent(80) {
                return text;
            }
            let length = 2 + dice.below(text.chars().count());
            let start: String = text.chars().take(length).collect();
            let start = start.trim_end().to_owned();
            if dice.percent(50) { start.to_lowercase() } else { start }
        }
        Way::Date => {
            let pool: &[&str] = if param.0 == "birthdate" { &BIRTHS } else { &DATES };
            format!("{}{}", dice.of(&PREFIXES), dice.of(pool))
        }
        _ => {
            let there = body.map(|body| find::tokens(param, &body)).unwrap_or_default();
            let (system, code) = there.first().cloned().unwrap_or_else(|| pool(dice, kind, param.1));
            match (dice.below(6), system) {
                (0, Some(system)) => format!("{system}|"),
                (1, _) => format!("|{code}"),
                (2 | 3, Some(system)) => format!("{system}|{code}"),
                _ => code,
            }
        }
    }
}

fn pool(dice: &mut Dice, kind: &str, way: Way) -> (Option<String>, String) {
    let (system, code) = match way {
        Way::Identifier => (dice.of(&SYSTEMS), dice.of(&VALUES)),
        Way::Coding => dice.of(&CODES),
        Way::Code(system) => (system, dice.of(bodies::statuses(kind))),
        _ => ("http://terminology.hl7.org/CodeSystem/special-values", dice.of(&["true", "false"])),
    };
    (Some(system.to_owned()), code.to_owned())
}
