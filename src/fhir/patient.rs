//! Patient (https://hl7.org/fhir/R4/patient.html): made for a user of `/api/v1`, read back and amended.
//!
//! A Patient may have come from elsewhere with more elements than we know, so reading and amending work on
//! the JSON itself, with member order and number text kept, and never through fhir-sdk.

use fhir_sdk::r4b::codes::ContactPointSystem;
use fhir_sdk::r4b::resources::Patient;
use fhir_sdk::r4b::types::{ContactPoint, HumanName};
use serde_json::{Map, Value, json};

use super::render::{self, text};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{PatientId, UserId};

/// The system of the identifier that names the user of `/api/v1`.
pub const USER: &str = "urn:firth:user";

/// What `/api/v1` knows of a person: the state that a Patient is made from or brought to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PatientId,
    pub version: u32,
    pub last_updated: Millis,
    pub user: UserId,
    /// System (`FIRTH_EXTERNAL_ID_SYSTEM`) and value.
    pub external: Option<(String, String)>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
}

/// The same fields, as a stored Patient has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub external_id: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
}

/// A new Patient.
pub fn json(person: &Person) -> Result<String> {
    let mut identifiers = vec![Some(render::identifier(USER, &person.user.to_string())?)];
    if let Some((system, value)) = &person.external {
        identifiers.push(Some(render::identifier(system, value)?));
    }
    let mut patient = Patient::builder()
        .id(person.id.to_string())
        .meta(render::meta(person.version, person.last_updated)?)
        .identifier(identifiers)
        .active(true)
        .build()
        .map_err(Error::bug)?;
    let clean = |value: &Option<String>| value.as_deref().and_then(text);
    let (first, last) = (clean(&person.first_name), clean(&person.last_name));
    if first.is_some() || last.is_some() {
        let mut name = HumanName::builder().build().map_err(Error::bug)?;
        name.family = last;
        name.given = first.into_iter().map(Some).collect();
        patient.name.push(Some(name));
    }
    if let Some(email) = clean(&person.email) {
        patient.telecom.push(Some(ContactPoint::builder().system(ContactPointSystem::Email).value(email).build().map_err(Error::bug)?));
    }
    render::json(patient.into())
}

/// Reads the fields of `/api/v1` from a stored Patient: the first name, the first email, the first identifier
/// of `external_system`. Several given names are one first name, joined by spaces.
pub fn read(json: &str, external_system: &str) -> Result<Known> {
    Ok(known(&object(json)?, external_system))
}

/// The stored Patient brought to what `person` says. Only what differs is touched: family and given of the first
/// name (and what would then contradict them: its text and its primitive extensions), the first email, our
/// identifiers, `versionId` and `lastUpdated`. Everything else stays as it was written, in its place.
/// `external: None` leaves external identifiers alone.
pub fn amend(json: &str, person: &Person) -> Result<String> {
    let mut patient = object(json)?;
    let system = person.external.as_ref().map_or("", |(system, _)| system.as_str());
    let before = known(&patient, system);
    let clean = |value: &Option<String>| value.as_deref().and_then(text);
    let (first, last, email) = (clean(&person.first_name), clean(&person.last_name), clean(&person.email));
    if before.last_name != last {
        change(&mut patient, "name", |names| rename(names, "family", last.map(Value::from)));
    }
    if before.first_name != first {
        change(&mut patient, "name", |names| rename(names, "given", first.map(|first| json!([first]))));
    }
    if before.email != email {
        change(&mut patient, "telecom", |telecom| set_email(telecom, email));
    }
    change(&mut patient, "identifier", |identifiers| {
        set_identifier(identifiers, USER, &person.user.to_string());
        if let Some((system, value)) = &person.external {
            set_identifier(identifiers, system, value);
        }
    });
    set_meta(&mut patient, person);
    serde_json::to_string(&patient).map_err(Error::bug)
}

fn object(json: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(json).map_err(Error::bug)? {
        Value::Object(patient) if patient.get("resourceType").is_some_and(|name| name == "Patient") => Ok(patient),
        _ => Err(Error::new(Kind::Invalid, "not a Patient").at("Patient")),
    }
}

fn known(patient: &Map<String, Value>, external_system: &str) -> Known {
    let list = |name: &str| patient.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = |value: &Value| value.as_str().and_then(text);
    let name = list("name").first();
    let given = name.and_then(|name| name.get("given")?.as_array()).map(|given| given.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    Known {
        external_id: list("identifier").iter().find(|found| found["system"] == external_system).and_then(|found| own(&found["value"])),
        first_name: given.and_then(|given| text(&given.join(" "))),
        last_name: name.and_then(|name| own(&name["family"])),
        email: list("telecom").iter().find(|found| found["system"] == "email").and_then(|found| own(&found["value"])),
    }
}

/// Changes a list of the Patient. It is made when it is missing, and gone when it ends empty: FHIR has no empty lists.
fn change(patient: &mut Map<String, Value>, name: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let slot = patient.entry(name).or_insert(Value::Null);
    let mut list = match slot.take() {
        Value::Array(list) => list,
        _ => Vec::new(),
    };
    change(&mut list);
    if list.is_empty() {
        patient.shift_remove(name);
    } else {
        *slot = Value::Array(list);
    }
}

fn rename(names: &mut Vec<Value>, part: &str, to: Option<Value>) {
    if !names.first().is_some_and(Value::is_object) {
        names.insert(0, json!({}));
    }
    if let Some(name) = names[0].as_object_mut() {
        for stale in [&format!("_{part}"), "text", "_text"] {
            name.shift_remove(stale);
        }
        match to {
            Some(to) => name.insert(part.to_owned(), to),
            None => name.shift_remove(part),
        };
        if name.is_empty() {
            names.remove(0);
        }
    }
}

fn set_email(telecom: &mut Vec<Value>, email: Option<String>) {
    let at = telecom.iter().position(|found| found["system"] == "email");
    match (at, email) {
        (None, None) => {}
        (None, Some(email)) => telecom.push(json!({"system": "email", "value": email})),
        (Some(at), None) => drop(telecom.remove(at)),
        (Some(at), Some(email)) => {
            telecom[at]["value"] = email.into();
            telecom[at].as_object_mut().and_then(|found| found.shift_remove("_value"));
        }
    }
}

fn set_identifier(identifiers: &mut Vec<Value>, system: &str, value: &str) {
    match identifiers.iter_mut().find(|found| found["system"] == system) {
        Some(found) => found["value"] = value.into(),
        None => identifiers.push(json!({"system": system, "value": value})),
    }
}

fn set_meta(patient: &mut Map<String, Value>, person: &Person) {
    let meta = patient.entry("meta").or_insert(Value::Null);
    if !meta.is_object() {
        *meta = json!({});
    }
    meta["versionId"] = person.version.to_string().into();
    meta["lastUpdated"] = render::time(person.last_updated).into();
}
