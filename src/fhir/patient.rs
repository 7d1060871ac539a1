//! Patient (https://hl7.org/fhir/R4/patient.html): made for a user of `/api/v1`, read back and amended.
//!
//! A Patient may have come from elsewhere with more elements than we know, so reading and amending work on
//! the JSON itself, with member order and number text kept, and never through fhir-sdk.

use std::fmt;

use fhir_sdk::r4b::codes::ContactPointSystem;
use fhir_sdk::r4b::resources::Patient;
use fhir_sdk::r4b::types::{ContactPoint, HumanName};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::render::{self, text};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{PatientId, UserId};

/// The system of the identifier that names the user of `/api/v1`.
pub const USER: &str = "urn:firth:user";

/// The use of what is no longer in use, as identifiers of a Patient that was merged into this one.
pub(super) const OLD: &str = "old";

/// What `/api/v1` knows of a person: what a Patient is made from or amended with.
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
/// of `external_system` that is not of old. Several given names are one first name, joined by spaces.
pub fn read(json: &str, external_system: &str) -> Result<Known> {
    Ok(known(&Members::read(json)?, external_system))
}

/// The stored Patient with what `person` says; what it does not say (None) is left alone. Only what differs is
/// touched: family and given of the first name (and what would then contradict them: its text and its primitive
/// extensions), the first email, our identifiers, `versionId` and `lastUpdated`. Everything else stays as it was
/// written, in its place.
pub fn amend(json: &str, person: &Person) -> Result<String> {
    let mut patient = Members::read(json)?;
    let before = known(&patient, "");
    let given =
        |value: &Option<String>, before: &Option<String>| value.as_deref().and_then(text).filter(|value| before.as_ref() != Some(value));
    if let Some(last) = given(&person.last_name, &before.last_name) {
        patient.change("name", |names| rename(names, "family", last.into()))?;
    }
    if let Some(first) = given(&person.first_name, &before.first_name) {
        patient.change("name", |names| rename(names, "given", json!([first])))?;
    }
    if let Some(email) = given(&person.email, &before.email) {
        patient.change("telecom", |telecom| set_email(telecom, email))?;
    }
    patient.change("identifier", |identifiers| {
        set_identifier(identifiers, USER, &person.user.to_string());
        if let Some((system, value)) = &person.external {
            set_identifier(identifiers, system, value);
        }
    })?;
    let mut meta = Some(patient.value("meta")).filter(Value::is_object).unwrap_or_else(|| json!({}));
    meta["versionId"] = person.version.to_string().into();
    meta["lastUpdated"] = render::time(person.last_updated).into();
    patient.set("meta", &meta)?;
    Ok(patient.write())
}

/// The members of a Patient in their order, each as the text it was written in.
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Members, D::Error> {
        from.deserialize_map(Members(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut from: A) -> std::result::Result<Members, A::Error> {
        while let Some(member) = from.next_entry()? {
            self.0.push(member);
        }
        Ok(self)
    }
}

impl Members {
    pub(super) fn read(json: &str) -> Result<Members> {
        let members: Members = serde_json::from_str(json).map_err(Error::bug)?;
        let kind = members.value("resourceType");
        if kind == "Patient" { Ok(members) } else { Err(Error::new(Kind::Invalid, "not a Patient").at("Patient")) }
    }

    /// One member; null when it is missing.
    pub(super) fn value(&self, name: &str) -> Value {
        self.0.iter().find(|(found, _)| found == name).and_then(|(_, raw)| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    pub(super) fn list(&self, name: &str) -> Vec<Value> {
        match self.value(name) {
            Value::Array(list) => list,
            _ => Vec::new(),
        }
    }

    /// Puts a member in its place, or at the end.
    pub(super) fn set(&mut self, name: &str, value: &Value) -> Result<()> {
        let raw = serde_json::value::to_raw_value(value).map_err(Error::bug)?;
        match self.0.iter_mut().find(|(found, _)| found == name) {
            Some(member) => member.1 = raw,
            None => self.0.push((name.to_owned(), raw)),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(found, _)| found != name);
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let mut list = self.list(name);
        change(&mut list);
        self.set(name, &Value::Array(list))
    }

    pub(super) fn write(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, raw)| format!("{}:{raw}", Value::from(name.as_str()))).collect();
        format!("{{{}}}", members.join(","))
    }
}

fn known(patient: &Members, external_system: &str) -> Known {
    let own = |value: &Value| value.as_str().and_then(text);
    let first = |list: &str, member: &str, wanted: &str| {
        patient.list(list).iter().find(|found| found[member] == wanted && found["use"] != OLD).and_then(|found| own(&found["value"]))
    };
    let names = patient.value("name");
    let given: Vec<_> = names[0]["given"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Known {
        external_id: first("identifier", "system", external_system),
        first_name: text(&given.join(" ")),
        last_name: own(&names[0]["family"]),
        email: first("telecom", "system", "email"),
    }
}

fn rename(names: &mut Vec<Value>, part: &str, to: Value) {
    if !names.first().is_some_and(Value::is_object) {
        names.insert(0, json!({}));
    }
    if let Some(name) = names[0].as_object_mut() {
        for stale in [&format!("_{part}"), "text", "_text"] {
            name.shift_remove(stale);
        }
        name.insert(part.to_owned(), to);
    }
}

fn set_email(telecom: &mut Vec<Value>, email: String) {
    match telecom.iter_mut().find(|found| found["system"] == "email").and_then(Value::as_object_mut) {
        None => telecom.push(json!({"system": "email", "value": email})),
        Some(found) => {
            found.shift_remove("_value");
            found.insert("value".into(), email.into());
        }
    }
}

fn set_identifier(identifiers: &mut Vec<Value>, system: &str, value: &str) {
    match identifiers.iter_mut().find(|found| found["system"] == system && found["use"] != OLD) {
        Some(found) => found["value"] = value.into(),
        None => identifiers.push(json!({"system": system, "value": value})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MRN: &str = "urn:example:mrn";

    fn ada() -> Person {
        Person {
            id: PatientId::from_random([1; 16]),
            version: 1,
            last_updated: 1_771_922_700_000,
            user: UserId::from_random([2; 16]),
            external: Some((MRN.into(), "4711".into())),
            first_name: Some("Ada".into()),
            last_name: Some("Example".into()),
            email: Some("ada@example.org".into()),
        }
    }

    fn nameless() -> Person {
        Person { external: None, first_name: None, last_name: Some(" ".into()), email: None, ..ada() }
    }

    fn known_of(person: &Person) -> Known {
        Known {
            external_id: person.external.as_ref().map(|(_, value)| value.clone()),
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            email: person.email.clone(),
        }
    }

    #[test]
    fn a_new_patient_is_read_back() {
        let made = super::json(&ada()).unwrap();
        assert_eq!(read(&made, MRN).unwrap(), known_of(&ada()));
        assert_eq!(read(&made, "urn:example:other").unwrap().external_id, None);
        let patient: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(patient["identifier"][0], json!({"system": USER, "value": ada().user.to_string()}));
        assert_eq!((&patient["active"], &patient["meta"]["versionId"]), (&json!(true), &json!("1")));
        let bare = super::json(&nameless()).unwrap();
        assert_eq!(read(&bare, MRN).unwrap(), Known::default());
        assert!(!bare.contains("name") && !bare.contains("telecom"));
    }

    #[test]
    fn amending_a_patient_from_elsewhere_touches_only_what_differs() {
        let before = concat!(
            r#"{"resourceType":"Patient","meta":{"versionId":"3","source":"x","lastUpdated":"2020-01-01T00:00:00Z"},"id":"a","#,
            r#""extension":[{"url":"urn:x","valueDecimal":1.50E+2}],"telecom":[{"system":"phone","value":"1"},{"rank":1,"system":"email","value":"old@example.org"}],"#,
            r#""name":[{"use":"official","text":"Ada Maria Old","family":"Old","_family":{"id":"f"},"given":["Ada","Maria"]},{"family":"Maiden"}],"gender":"female"}"#
        );
        assert_eq!(read(before, MRN).unwrap().first_name.as_deref(), Some("Ada Maria"));
        let person = Person { version: 4, first_name: Some("Ada Maria".into()), external: None, ..ada() };
        let after = concat!(
            r#"{"resourceType":"Patient","meta":{"versionId":"4","source":"x","lastUpdated":"2026-02-24T08:45:00.000Z"},"id":"a","#,
            r#""extension":[{"url":"urn:x","valueDecimal":1.50E+2}],"telecom":[{"system":"phone","value":"1"},{"rank":1,"system":"email","value":"ada@example.org"}],"#,
            r#""name":[{"use":"official","family":"Example","given":["Ada","Maria"]},{"family":"Maiden"}],"gender":"female","#,
            r#""identifier":[{"system":"urn:firth:user","value":"02020202-0202-4202-8202-020202020202"}]}"#
        );
        assert_eq!(amend(before, &person).unwrap(), after);
    }

    #[test]
    fn amending_sets_and_replaces_and_leaves_alone_what_is_not_said() {
        let made = super::json(&nameless()).unwrap();
        let named = amend(&made, &ada()).unwrap();
        assert_eq!(read(&named, MRN).unwrap(), known_of(&ada()));
        let renamed = Person { first_name: Some("Grace".into()), external: Some((MRN.into(), "4712".into())), version: 2, ..ada() };
        let again = amend(&named, &renamed).unwrap();
        assert_eq!(read(&again, MRN).unwrap(), known_of(&renamed));
        assert_eq!(again.matches(MRN).count(), 1);
        let unsaid = amend(&again, &nameless()).unwrap();
        assert_eq!(read(&unsaid, MRN).unwrap(), known_of(&renamed));
    }

    #[test]
    fn only_a_patient_is_read() {
        for text in ["{}", "[]", "x", r#"{"resourceType":"Device"}"#] {
            assert!(read(text, MRN).is_err() && amend(text, &ada()).is_err(), "{text}");
        }
        let odd = r#"{"resourceType":"Patient","name":"x","telecom":[1],"identifier":{},"meta":[]}"#;
        assert_eq!(read(&amend(odd, &ada()).unwrap(), MRN).unwrap(), known_of(&ada()));
    }
}
