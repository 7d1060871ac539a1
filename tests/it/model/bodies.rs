//! Resources from small pools, so that they collide, point to each other and answer the same searches.

use serde_json::{Map, Value, json};

use super::ask::To;
use super::dice::Dice;
use super::find::Filter;
use super::params::IDENTIFIER;
use super::world::{KINDS, World};

pub const FAMILIES: [&str; 7] = ["Müller", "Mullins", "Muldoon", "Groß", "de la Cruz", "Ñandú", "Ada"];
pub const GIVEN: [&str; 5] = ["Ada", "Adam", "Adé", "Søren", "Li"];
pub const TITLES: [&str; 5] = ["Ward", "Ward 7", "Warden's Office", "Áreá Una", "Lab"];
pub const DATES: [&str; 12] = [
    "2025",
    "2025-12",
    "2026-01-31",
    "2026-02",
    "2026-02-24",
    "2026-02-24T08:30:00Z",
    "2026-02-24T10:30:00+02:00",
    "2026-02-24T08:30:00.5Z",
    "2026-02-24T08:30:00.5001Z",
    "2026-02-24T08:30:00.50012Z",
    "2026-02-24T08:30:00.501Z",
    "2026-03-01",
];
pub const BIRTHS: [&str; 6] = ["1979", "1980", "1980-05", "1980-05-11", "1980-05-12", "2000-02-29"];
pub const CODES: [(&str, &str); 3] = [("urn:c", "a"), ("urn:c", "b"), ("urn:d", "a")];
pub const IDS: [&str; 5] = ["a", "b", "C-1", "x.9", "0"];
pub const PATIENT_IDS: [&str; 4] = [
    "7d4ef8ae-1f2c-11ee-be56-0242ac120001",
    "7d4ef8ae-1f2c-11ee-be56-0242ac120002",
    "7d4ef8ae-1f2c-11ee-be56-0242ac120003",
    "7d4ef8ae-1f2c-11ee-be56-0242ac120004",
];
pub const SYSTEMS: [&str; 2] = ["urn:a", "urn:b"];
pub const VALUES: [&str; 6] = ["1", "2", "3", "4", "5", "C0FFEE00-0000-4000-8000-00000000000A"];

/// Whatever has this identifier.
pub fn identified(value: String) -> To {
    To::Where(vec![Filter { param: IDENTIFIER, modifier: None, values: vec![value] }])
}

/// The values of `status`, the first of which nothing forbids.
pub fn statuses(kind: &str) -> &'static [&'static str] {
    match kind {
        "Observation" => &["final", "amended", "preliminary"],
        "Goal" => &["active", "planned", "completed"],
        "List" => &["current", "retired"],
        "Encounter" => &["finished", "in-progress", "planned"],
        _ => &["active", "inactive"],
    }
}

/// A client's own id of that type.
pub fn id(dice: &mut Dice, kind: &str) -> &'static str {
    if kind == "Patient" { dice.of(&PATIENT_IDS) } else { dice.of(&IDS) }
}

struct Draw<'a> {
    dice: &'a mut Dice,
    world: &'a World,
    out: Map<String, Value>,
}

/// A resource without an id.
pub fn body(dice: &mut Dice, world: &World, kind: &'static str) -> Value {
    let mut draw = Draw { dice, world, out: Map::new() };
    draw.put("resourceType", json!(kind));
    if draw.dice.percent(15) {
        let (system, code) = draw.dice.of(&CODES);
        draw.put("meta", json!({"tag": [{"system": system, "code": code}]}));
    }
    draw.identifiers();
    match kind {
        "Patient" | "Practitioner" => draw.person(kind),
        "Organization" => draw.organization(),
        "PractitionerRole" => draw.role(),
        "Observation" => draw.observation(),
        "List" => draw.list(),
        "Encounter" => draw.encounter(),
        "Goal" => draw.goal(),
        "Flag" => draw.flag(),
        _ => draw.basic(),
    }
    Value::Object(draw.out)
}

impl Draw<'_> {
    fn put(&mut self, name: &str, value: Value) {
        self.out.insert(name.to_owned(), value);
    }

    fn identifiers(&mut self) {
        let mut all = Vec::new();
        for _ in 0..self.dice.of(&[0, 1, 1, 1, 2]) {
            let mut one = json!({});
            if self.dice.percent(85) {
                one["system"] = json!(self.dice.of(&SYSTEMS));
            }
            let value = self.dice.of(&VALUES);
            one["value"] = if self.dice.percent(50) { json!(value) } else { json!(value.to_lowercase()) };
            all.push(one);
        }
        if !all.is_empty() {
            self.put("identifier", json!(all));
        }
    }

    fn maybe(&mut self, percent: usize, name: &str, value: fn(&mut Dice) -> Value) {
        if self.dice.percent(percent) {
            let value = value(self.dice);
            self.put(name, value);
        }
    }

    fn status(&mut self, name: &str, kind: &str) {
        let status = self.dice.of(statuses(kind));
        self.put(name, json!(status));
    }

    fn code(&mut self, name: &str) {
        let (system, code) = self.dice.of(&CODES);
        let concept = match self.dice.below(10) {
            0 => json!({"text": "in words"}),
            1 | 2 => json!({"coding": [{"code": code}]}),
            _ => json!({"coding": [{"system": system, "code": code}]}),
        };
        self.put(name, concept);
    }

    /// To something that is there, mostly; else to nothing, elsewhere, or to a version.
    fn reference(&mut self, kinds: &[&'static str]) -> Option<Value> {
        let kind = self.dice.of(kinds);
        let live = self.world.live(kind);
        let there = (!live.is_empty()).then(|| live[self.dice.below(live.len())]);
        let to = match (self.dice.below(100), there) {
            (0..4, _) => format!("{kind}/{}", id(self.dice, kind)),
            (4..7, Some((key, version))) => format!("{kind}/{}/_history/{}", key.1, self.dice.below(version.number as usize + 1) + 1),
            (7..11, Some((key, _))) => format!("{}/{kind}/{}", self.world.base, key.1),
            (11..15, _) => format!("https://ehr.example/fhir/{kind}/1"),
            (_, Some((key, _))) => format!("{kind}/{}", key.1),
            (_, None) => return None,
        };
        Some(json!({"reference": to}))
    }

    fn refer(&mut self, percent: usize, name: &str, kinds: &[&'static str]) {
        if self.dice.percent(percent)
            && let Some(reference) = self.reference(kinds)
        {
            self.put(name, reference);
        }
    }

    fn refer_list(&mut self, name: &str, kinds: &[&'static str]) {
        let all: Vec<Value> = (0..self.dice.of(&[0, 0, 1, 2])).filter_map(|_| self.reference(kinds)).collect();
        if !all.is_empty() {
            self.put(name, json!(all));
        }
    }

    /// Of an element that must be there.
    fn subject(&mut self, kinds: &[&'static str]) {
        let nobody = json!({"display": "somebody else"});
        let reference = self.reference(kinds).unwrap_or(nobody);
        self.put("subject", reference);
    }

    fn person(&mut self, kind: &str) {
        self.maybe(60, "active", |dice| json!(dice.percent(50)));
        self.maybe(80, "name", |dice| json!([{"family": dice.of(&FAMILIES), "given": [dice.of(&GIVEN)]}]));
        self.maybe(50, "gender", |dice| json!(dice.of(&["male", "female", "unknown"])));
        if kind == "Patient" {
            self.maybe(70, "birthDate", |dice| json!(dice.of(&BIRTHS)));
            self.refer_list("generalPractitioner", &["Practitioner", "Organization", "PractitionerRole"]);
            self.refer(25, "managingOrganization", &["Organization"]);
        }
    }

    fn organization(&mut self) {
        self.maybe(60, "active", |dice| json!(dice.percent(50)));
        self.maybe(100, "name", |dice| json!(dice.of(&TITLES)));
        self.maybe(20, "alias", |dice| json!([dice.of(&TITLES)]));
        self.refer(30, "partOf", &["Organization"]);
    }

    fn role(&mut self) {
        self.maybe(60, "active", |dice| json!(dice.percent(50)));
        self.refer(80, "practitioner", &["Practitioner"]);
        self.refer(70, "organization", &["Organization"]);
    }

    fn observation(&mut self) {
        self.status("status", "Observation");
        self.code("code");
        self.refer(80, "subject", &["Patient"]);
        self.refer(30, "encounter", &["Encounter"]);
        match self.dice.below(3) {
            0 => self.maybe(100, "effectiveDateTime", |dice| json!(dice.of(&DATES))),
            1 => self.period("effectivePeriod"),
            _ => {}
        }
        self.refer_list("performer", &["Practitioner", "PractitionerRole", "Organization", "Patient"]);
        // Digits stand as they were written: 1.50 is not 1.5.
        self.maybe(60, "valueQuantity", |dice| {
            let number: serde_json::Number = dice.of(&["1.50", "1.5", "0.0", "72", "1e2"]).parse().expect("a number");
            json!({"value": number, "unit": "kg"})
        });
    }

    fn period(&mut self, name: &str) {
        let start = self.dice.of(&["2025-12-01", "2026-02-24T08:00:00Z", "2026-01"]);
        let end = self.dice.of(&["2026-02-25", "2026-03", "2026-02-24T12:00:00Z"]);
        let period = match self.dice.below(3) {
            0 => json!({"start": start}),
            1 => json!({"end": end}),
            _ => json!({"start": start, "end": end}),
        };
        self.put(name, period);
    }

    fn goal(&mut self) {
        self.status("lifecycleStatus", "Goal");
        self.put("description", json!({"text": "walk"}));
        self.subject(&["Patient", "Patient", "Organization"]);
        self.maybe(60, "startDate", |dice| json!(dice.of(&["2026-01-31", "2026-02-24", "2026-03-01"])));
    }

    fn basic(&mut self) {
        self.code("code");
        self.refer(60, "subject", &KINDS);
        self.maybe(50, "created", |dice| json!(dice.of(&["2026-01-31", "2026-02-24", "2026"])));
        self.refer(40, "author", &["Practitioner", "PractitionerRole", "Organization", "Patient"]);
    }

    fn list(&mut self) {
        self.status("status", "List");
        self.put("mode", json!("working"));
        self.maybe(60, "title", |dice| json!(dice.of(&TITLES)));
        if self.dice.percent(50) {
            self.code("code");
        }
        self.refer(60, "subject", &["Patient"]);
        self.refer(20, "encounter", &["Encounter"]);
        self.maybe(50, "date", |dice| json!(dice.of(&DATES)));
        self.refer(30, "source", &["Practitioner", "PractitionerRole", "Patient"]);
        let items: Vec<Value> = (0..self.dice.below(4)).filter_map(|_| self.reference(&KINDS)).map(|item| json!({"item": item})).collect();
        if !items.is_empty() {
            self.put("entry", json!(items));
        }
    }

    fn encounter(&mut self) {
        self.status("status", "Encounter");
        let (system, code) = self.dice.of(&CODES);
        self.put("class", json!({"system": system, "code": code}));
        self.refer(80, "subject", &["Patient"]);
        if self.dice.percent(60) {
            self.period("period");
        }
        self.refer(40, "serviceProvider", &["Organization"]);
        self.refer(20, "partOf", &["Encounter"]);
    }

    fn flag(&mut self) {
        self.status("status", "Flag");
        self.code("code");
        self.subject(&["Patient", "Patient", "Organization", "Practitioner"]);
        if self.dice.percent(50) {
            self.period("period");
        }
        self.refer(20, "encounter", &["Encounter"]);
        self.refer(30, "author", &["Practitioner", "PractitionerRole", "Organization", "Patient"]);
    }
}
