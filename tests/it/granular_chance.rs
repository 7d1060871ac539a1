//! Policies, searches and data that chance gives, against a naive reading of all three: what SQL proposes and the server
//! judges is what the words say, and a narrower scope never shows more. `FIRTH_LONG=1` tries 10,000 of them, otherwise 200.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::granular::{created, observation, put, scoped, with};
use crate::model::dice::Dice;
use crate::support::payload::*;
use crate::support::{Client, TestServer};

/// A constraint or a search parameter, as it is written.
type Pair = (&'static str, String);

/// Codings at a place.
fn codings(found: &Value) -> Vec<(String, String)> {
    let of = |coding: &Value| Some((coding["system"].as_str().unwrap_or_default().to_owned(), coding["code"].as_str()?.to_owned()));
    let concepts: Vec<&Value> = found.as_array().map_or_else(|| vec![found], |all| all.iter().collect());
    let inner = concepts.into_iter().flat_map(|one| one["coding"].as_array().map_or_else(|| vec![one], |all| all.iter().collect()));
    inner.filter_map(of).collect()
}

/// Has the resource any of the values?
fn has(resource: &Value, (param, values): &Pair) -> bool {
    let (param, not) = param.strip_suffix(":not").map_or((*param, false), |param| (param, true));
    let day = |text: &str| text.chars().take(10).collect::<String>();
    // A period of this world is within a day.
    let date = resource["effectiveDateTime"].as_str().or(resource["effectivePeriod"]["start"].as_str()).map(day);
    let any = values.split(',').any(|value| match param {
        "date" => date.as_ref().is_some_and(|date| match value.split_at(2) {
            ("ge", from) => date.as_str() >= from,
            ("lt", to) => date.as_str() < to,
            _ => panic!("no such date: {value}"),
        }),
        "subject" => resource["subject"]["reference"] == value,
        "_id" => resource["id"] == value,
        "status" => resource["status"] == value,
        _ => {
            let found = match param {
                "category" | "code" => codings(&resource[param]),
                _ => codings(&resource["meta"][&param[1..]]),
            };
            match value.split_once('|') {
                Some((system, code)) => found.iter().any(|one| (one.0.as_str(), one.1.as_str()) == (system, code)),
                None => found.iter().any(|one| one.1 == value),
            }
        }
    });
    any != not
}

/// A set of scopes: any of these lists, of which all must be met.
type Scopes = Vec<Vec<Pair>>;

/// Scopes, and whose patients' data they are about; None: everybody's.
#[derive(Clone)]
struct Policy {
    scopes: Scopes,
    whom: Option<Vec<String>>,
}

impl Policy {
    fn allows(&self, resource: &Value) -> bool {
        let of = |patient: &String| resource["subject"]["reference"] == format!("Patient/{patient}");
        self.whom.as_ref().is_none_or(|whom| whom.iter().any(of))
            && self.scopes.iter().any(|all| all.iter().all(|pair| has(resource, pair)))
    }

    fn text(&self) -> String {
        let context = if self.whom.is_some() { "user" } else { "system" };
        let one = |all: &Vec<Pair>| {
            let pairs: Vec<String> = all.iter().map(|(param, value)| format!("{param}={value}")).collect();
            format!("{context}/Observation.rs{}{}", if pairs.is_empty() { "" } else { "?" }, pairs.join("&"))
        };
        self.scopes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn client<'s>(&self, server: &'s TestServer) -> Client<'s> {
        let patients: Vec<&str> = self.whom.iter().flatten().map(String::as_str).collect();
        scoped(server, if self.whom.is_some() { "clinician" } else { "ehr-system" }, &patients, &self.text())
    }
}

const CODES: [&str; 5] = ["1111-1", "2222-2", "3333-3", "8867-4", "55423-8"];
const CATEGORIES: [&str; 5] = ["laboratory", "survey", "activity", "vital-signs", "imaging"];
const DATES: [&str; 4] = ["ge2026-02-15", "lt2026-04-15", "ge2026-05-15", "lt2026-02-15"];

fn one_of<'a, T>(dice: &mut Dice, all: &'a [T]) -> &'a T {
    &all[dice.below(all.len())]
}

fn pair(dice: &mut Dice, all: &[Value], patients: &[String]) -> Pair {
    let several = |dice: &mut Dice, of: &[&str]| -> String {
        let first = dice.of(of).to_string();
        if dice.below(3) == 0 { format!("{first},{}", dice.of(of)) } else { first }
    };
    match dice.below(9) {
        0 | 1 => ("code", several(dice, &CODES)),
        2 | 3 => ("category", several(dice, &CATEGORIES)),
        4 => ("date", dice.of(&DATES).to_string()),
        5 => ("_tag", several(dice, &["urn:t|x", "urn:t|y", "x", "urn:u|x"])),
        6 => ("_security", several(dice, &["R", "urn:s|N", "urn:s|R"])),
        7 => ("subject", format!("Patient/{}", one_of(dice, patients))),
        _ => match dice.below(2) {
            0 => ("status", several(dice, &["final", "amended", "preliminary"])),
            _ => ("_id", one_of(dice, all)["id"].as_str().unwrap().to_owned()),
        },
    }
}

fn ids(all: &[Value]) -> BTreeSet<String> {
    all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// An Observation of one of them.
fn made(dice: &mut Dice, patients: &[String]) -> Value {
    let of = one_of(dice, patients).as_str();
    let body = observation(of, dice.of(&CATEGORIES), dice.of(&CODES[..3]));
    let meta = json!({
        "tag": [{"system": dice.of(&["urn:t", "urn:u"]), "code": dice.of(&["x", "y"])}],
        "security": [{"system": "urn:s", "code": dice.of(&["R", "N"])}],
    });
    let when = format!("2026-0{}-{:02}T10:00:00Z", 1 + dice.below(6), 1 + dice.below(28));
    with(body, json!({"meta": meta, "effectiveDateTime": when, "status": dice.of(&["final", "amended", "preliminary"])}))
}

fn everything(server: &TestServer) -> Vec<Value> {
    server.ehr().search("Observation?_count=1000").matches()
}

fn world(server: &TestServer, dice: &mut Dice) -> (Vec<Value>, Vec<String>) {
    let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
    let patients = vec![alice.patient.clone(), bob.patient.clone()];
    for _ in 0..60 {
        created(&ehr, &made(dice, &patients));
    }
    let steps = (0..8).map(|n| record(STEPS, &format!("s{n}"), &minute(100 + n), "7"));
    alice.stores(&apple(hearts("h", 8).into_iter().chain(steps).collect()));
    bob.stores(&apple(hearts("b", 4)));
    (everything(server), patients)
}

/// Other content for some of them, of either patient.
fn changed(server: &TestServer, dice: &mut Dice, of: (&[Value], &[String])) -> Vec<Value> {
    let (all, patients) = of;
    let written: Vec<&Value> = all.iter().filter(|one| one["meta"]["security"].is_array()).collect();
    for _ in 0..12 {
        let id = one_of(dice, &written)["id"].clone();
        put(&server.ehr(), &with(made(dice, patients), json!({"id": id}))).is(200);
    }
    everything(server)
}

/// Whatever the page size and the order, a search shows what both words say.
fn agrees(client: &Client<'_>, (policy, said): (&Policy, &str), all: &[Value], query: &[Pair]) -> BTreeSet<String> {
    let wanted: Vec<Value> = all.iter().filter(|one| policy.allows(one) && query.iter().all(|pair| has(one, pair))).cloned().collect();
    let asked: Vec<String> = query.iter().map(|(param, value)| format!("{param}={value}")).collect();
    let (asked, total) = (asked.join("&"), wanted.len() as i64);
    let found = client.search(&format!("Observation?_count=1000&_total=accurate&{asked}"));
    assert_eq!((ids(&found.matches()), found.total()), (ids(&wanted), Some(total)), "{said} asks {asked}");
    assert_eq!(client.search(&format!("Observation?_count=0&{asked}")).total(), Some(total), "{said} counts {asked}");
    let pages = client.pages(&format!("Observation?_count=7&_sort=-_lastUpdated&{asked}"));
    let walked: Vec<Value> = pages.iter().flat_map(|page| page.matches()).collect();
    assert_eq!((ids(&walked), walked.len()), (ids(&wanted), wanted.len()), "{said} walks {asked}");
    ids(&wanted)
}

/// Rounds of eight triples.
fn rounds() -> usize {
    if std::env::var_os("FIRTH_LONG").is_some() { 1_250 } else { 25 }
}

/// Of everybody, or of one or both of the patients.
fn policy(dice: &mut Dice, all: &[Value], patients: &[String]) -> Policy {
    let lists = 1 + dice.below(3);
    let scopes = (0..lists).map(|_| (0..1 + dice.below(2)).map(|_| pair(dice, all, patients)).collect()).collect();
    let whom = match dice.below(4) {
        0 | 1 => None,
        2 => Some(vec![one_of(dice, patients).clone()]),
        _ => Some(patients.to_vec()),
    };
    Policy { scopes, whom }
}

/// With a further constraint on each scope, a scope less, or a patient less.
fn narrowed(dice: &mut Dice, of: &Policy, world: (&[Value], &[String])) -> Policy {
    let mut less = of.clone();
    match &mut less.whom {
        Some(whom) if whom.len() > 1 && dice.below(2) == 0 => drop(whom.pop()),
        _ if less.scopes.len() > 1 && dice.below(2) == 0 => drop(less.scopes.pop()),
        _ => less.scopes.iter_mut().for_each(|all_of| all_of.push(pair(dice, world.0, world.1))),
    }
    less
}

both! {
    fn words_of_chance_mean_what_they_say(server) {
        let seed = uuid::Uuid::new_v4().as_u128() as u64;
        let dice = &mut Dice::new(seed);
        let (mut all, patients) = world(server, dice);
        assert_eq!(all.len(), 80);
        let (mut shown, mut tried) = (0, 0);
        for round in 0..rounds() {
            if round % 8 == 7 {
                all = changed(server, dice, (&all, &patients));
            }
            let policy = policy(dice, &all, &patients);
            let said = format!("seed {seed} round {round}: {} of {:?}", policy.text(), policy.whom);
            let client = policy.client(server);
            let narrower = narrowed(dice, &policy, (&all, &patients));
            let narrow = narrower.client(server);
            for n in 0..4 {
                let mut query: Vec<Pair> = (0..n.min(2)).map(|_| pair(dice, &all, &patients)).collect();
                if n == 3 {
                    query.push(("code:not", dice.of(&CODES).to_string()));
                }
                let wide = agrees(&client, (&policy, &said), &all, &query);
                let less = agrees(&narrow, (&narrower, &format!("{said} narrowed to {} of {:?}", narrower.text(), narrower.whom)), &all, &query);
                assert!(less.is_subset(&wide), "{said} shows less than {}", narrower.text());
                (shown, tried) = (shown + wide.len(), tried + 2);
            }
            for one in (0..6).map(|_| one_of(dice, &all)).collect::<Vec<_>>() {
                let read = client.get(&format!("/fhir/Observation/{}", one["id"].as_str().unwrap())).status;
                assert_eq!(read, if policy.allows(one) { 200 } else { 404 }, "{said} reads {one}");
            }
        }
        assert!(tried >= 200 && shown > 100, "seed {seed}: {tried} tried, hardly anything was allowed: {shown}");
    }
}
