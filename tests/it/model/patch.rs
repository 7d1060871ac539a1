//! Small patches: what they are on the wire, and what becomes of a resource.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::bodies::{self, TITLES};
use super::dice::Dice;
use super::world::World;

/// One change of a member at the root of a resource.
#[derive(Clone, Debug)]
pub enum Edit {
    /// JSON Patch `add`: replaces what is there.
    Set(&'static str, Value),
    /// JSON Patch `remove`: of what is there only.
    Remove(&'static str),
    Test(&'static str, Value),
    /// FHIRPath Patch `add`: where there is none.
    Add(&'static str, Value),
    /// FHIRPath Patch `replace`: what is there.
    Replace(&'static str, Value),
    /// FHIRPath Patch `delete`.
    Delete(&'static str),
}

#[derive(Clone, Debug)]
pub struct Patch {
    pub edits: Vec<Edit>,
    /// RFC 6902, else FHIRPath Patch.
    pub json: bool,
}

/// Elements that occur once: the name, the value as FHIRPath Patch sends it, and may it be left out?
type Single = (&'static str, &'static str, bool);

fn single(kind: &str) -> &'static [Single] {
    match kind {
        "Patient" | "Practitioner" => &[("active", "valueBoolean", true), ("gender", "valueCode", true)],
        "Organization" => &[("active", "valueBoolean", true), ("name", "valueString", true)],
        "PractitionerRole" => &[("active", "valueBoolean", true)],
        "Goal" => &[("lifecycleStatus", "valueCode", false), ("startDate", "valueDate", true)],
        "Basic" => &[("created", "valueDate", true)],
        "List" => &[("status", "valueCode", false), ("title", "valueString", true)],
        _ => &[("status", "valueCode", false)],
    }
}

fn value(dice: &mut Dice, kind: &str, of: Single) -> Value {
    match of {
        ("gender", _, _) => json!(dice.of(&["male", "female", "other"])),
        (_, "valueBoolean", _) => json!(dice.percent(50)),
        (_, "valueCode", _) => json!(dice.of(bodies::statuses(kind))),
        (_, "valueString", _) => json!(dice.of(&TITLES)),
        _ => json!(dice.of(&["2026-01-31", "2026-02-24"])),
    }
}

pub fn draw(dice: &mut Dice, world: &World, kind: &'static str) -> Patch {
    let of = dice.of(single(kind));
    let new = value(dice, kind, of);
    let json = dice.percent(50);
    // The name of an Organization stays: without it, it would need an identifier.
    let leave = of.2 && of.0 != "name";
    let edits = match (json, dice.below(10)) {
        (true, 0..2) if leave => vec![Edit::Remove(of.0)],
        (true, 2..4) => vec![Edit::Test(of.0, value(dice, kind, of)), Edit::Set(of.0, new)],
        (true, 4) => vec![Edit::Set("colour", new)],
        (true, 5..7) => match bodies::body(dice, world, kind).get("identifier") {
            Some(identifiers) => vec![Edit::Set("identifier", identifiers.clone())],
            None => Vec::new(),
        },
        (true, 7) if ["Observation", "List", "Encounter", "Basic"].contains(&kind) => {
            let id = super::draw::some_id(dice, world, "Patient");
            vec![Edit::Set("subject", json!({"reference": format!("Patient/{id}")}))]
        }
        (true, _) => vec![Edit::Set(of.0, new)],
        (false, 0..3) if of.0 != "name" => vec![Edit::Delete(of.0)],
        (false, 3..5) => vec![Edit::Add(of.0, new)],
        (false, _) => vec![Edit::Replace(of.0, new)],
    };
    Patch { edits, json }
}

impl Patch {
    /// The new resource; None when it cannot be, or is none that R4 knows.
    pub fn applied(&self, body: &Value) -> Option<Value> {
        let kind = body["resourceType"].as_str()?;
        let mut out = body.clone();
        let members = out.as_object_mut()?;
        for edit in &self.edits {
            match edit {
                Edit::Set(name, value) => {
                    members.insert((*name).to_owned(), value.clone());
                }
                Edit::Remove(name) => {
                    members.shift_remove(*name)?;
                }
                Edit::Test(name, value) if members.get(*name) != Some(value) => return None,
                Edit::Test(..) => {}
                Edit::Add(name, _) if members.contains_key(*name) => return None,
                Edit::Add(name, value) => {
                    members.insert((*name).to_owned(), value.clone());
                }
                Edit::Replace(name, value) => *members.get_mut(*name)? = value.clone(),
                Edit::Delete(name) => {
                    members.shift_remove(*name);
                }
            }
        }
        let must = single(kind).iter().filter(|(_, _, free)| !free).all(|(name, _, _)| members.contains_key(*name));
        (must && !members.contains_key("colour")).then_some(out)
    }

    pub fn content_type(&self) -> &'static str {
        if self.json { "application/json-patch+json" } else { "application/fhir+json" }
    }

    pub fn body(&self, kind: &str) -> Value {
        if self.json { self.operations() } else { self.parameters(kind) }
    }

    /// As it stands in a Bundle.
    pub fn resource(&self, kind: &str) -> Value {
        if !self.json {
            return self.parameters(kind);
        }
        let data = BASE64.encode(self.operations().to_string().as_bytes());
        json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data})
    }

    fn operations(&self) -> Value {
        let operation = |edit: &Edit| match edit {
            Edit::Set(name, value) => json!({"op": "add", "path": format!("/{name}"), "value": value}),
            Edit::Test(name, value) => json!({"op": "test", "path": format!("/{name}"), "value": value}),
            Edit::Remove(name) => json!({"op": "remove", "path": format!("/{name}")}),
            other => panic!("no JSON Patch: {other:?}"),
        };
        self.edits.iter().map(operation).collect()
    }

    fn parameters(&self, kind: &str) -> Value {
        let part = |name: &str, of: &str, value: Value| json!({"name": name, (of): value});
        let code = |code: &str| part("type", "valueCode", json!(code));
        let path = |path: String| part("path", "valueString", json!(path));
        let typed = |name: &str, value: &Value| {
            let of = single(kind).iter().find(|(single, _, _)| *single == name).map_or("valueString", |(_, of, _)| of);
            part("value", of, value.clone())
        };
        let operation = |edit: &Edit| match edit {
            Edit::Add(name, value) => {
                vec![code("add"), path(kind.to_owned()), part("name", "valueString", json!(name)), typed(name, value)]
            }
            Edit::Replace(name, value) => vec![code("replace"), path(format!("{kind}.{name}")), typed(name, value)],
            Edit::Delete(name) => vec![code("delete"), path(format!("{kind}.{name}"))],
            other => panic!("no FHIRPath Patch: {other:?}"),
        };
        let all: Vec<Value> = self.edits.iter().map(|edit| json!({"name": "operation", "part": operation(edit)})).collect();
        json!({"resourceType": "Parameters", "parameter": all})
    }
}
