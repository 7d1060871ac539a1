//! Patients that are merged (https://hl7.org/fhir/R4/patient.html#links): the links that say so, and the identifiers
//! that go over. Every other member stays as it was written.

use serde_json::{Value, json};

use super::patient::{Members, OLD};
use crate::error::Result;
use crate::id::PatientId;

/// The Patient on the other side. `base` is what our own absolute references begin with.
#[derive(Clone, Copy, Debug)]
pub struct Other<'a> {
    pub id: PatientId,
    pub base: &'a str,
}

impl Other<'_> {
    fn is_in(&self, link: &Value, kind: &str) -> bool {
        let named = link["other"]["reference"].as_str().unwrap_or_default();
        let local = named.strip_prefix(self.base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(named);
        link["type"] == kind && local == format!("Patient/{}", self.id)
    }

    fn link(&self, patient: &mut Members, kind: &str) -> Result<()> {
        edit(patient, "link", |links| {
            if !links.iter().any(|link| self.is_in(link, kind)) {
                links.push(json!({"other": {"reference": format!("Patient/{}", self.id)}, "type": kind}));
            }
        })
    }

    /// Takes the link away, unless it was there before.
    fn unlink(&self, patient: &mut Members, before: &Members, kind: &str) -> Result<()> {
        if before.list("link").iter().any(|link| self.is_in(link, kind)) {
            return Ok(());
        }
        edit(patient, "link", |links| links.retain(|link| !self.is_in(link, kind)))
    }
}

const BY: &str = "replaced-by";
const REPLACES: &str = "replaces";

/// Does a link say that another Patient is to be used?
pub fn is_replaced(json: &str) -> Result<bool> {
    Ok(Members::read(json)?.list("link").iter().any(|link| link["type"] == BY))
}

/// Is it also marked as no longer in use?
pub fn is_retired(json: &str) -> Result<bool> {
    Ok(is_replaced(json)? && Members::read(json)?.value("active") == false)
}

/// A Patient that is merged into another.
pub fn replaced(json: &str, by: Other<'_>) -> Result<String> {
    let mut patient = Members::read(json)?;
    patient.set("active", &json!(false))?;
    by.link(&mut patient, BY)?;
    Ok(patient.write())
}

/// The Patient that stays, with a link to the other.
pub fn replacing(json: &str, other: Other<'_>) -> Result<String> {
    let mut patient = Members::read(json)?;
    other.link(&mut patient, REPLACES)?;
    Ok(patient.write())
}

/// With the identifiers of the other that it lacks, as old ones.
pub fn identified(json: &str, other: &str) -> Result<String> {
    let (mut patient, other) = (Members::read(json)?, Members::read(other)?);
    edit(&mut patient, "identifier", |identifiers| {
        for mut identifier in other.list("identifier") {
            if !identifiers.iter().any(|own| same(own, &identifier)) && identifier.is_object() {
                identifier["use"] = OLD.into();
                identifiers.push(identifier);
            }
        }
    })?;
    Ok(patient.write())
}

/// A Patient that is no longer merged into another; `before` is its version before it was.
pub fn restored(json: &str, before: &str, by: Other<'_>) -> Result<String> {
    let (mut patient, before) = (Members::read(json)?, Members::read(before)?);
    match before.value("active") {
        Value::Null => patient.remove("active"),
        active => patient.set("active", &active)?,
    }
    by.unlink(&mut patient, &before, BY)?;
    Ok(patient.write())
}

/// The Patient that stayed, without what came of the other; `before` are the versions of the two before that, its own
/// and the other's.
pub fn parted(json: &str, before: (&str, &str), other: Other<'_>) -> Result<String> {
    let (mut patient, before, source) = (Members::read(json)?, Members::read(before.0)?, Members::read(before.1)?);
    other.unlink(&mut patient, &before, REPLACES)?;
    let (own, theirs) = (before.list("identifier"), source.list("identifier"));
    let came = |one: &Value| theirs.iter().any(|other| same(one, other)) && !own.iter().any(|known| same(one, known));
    edit(&mut patient, "identifier", |identifiers| identifiers.retain(|one| !came(one)))?;
    Ok(patient.write())
}

/// Do two identifiers name the same? `use`, `period` and the rest say nothing of that.
fn same(one: &Value, other: &Value) -> bool {
    if one["value"].is_null() { one == other } else { one["system"] == other["system"] && one["value"] == other["value"] }
}

/// Changes a list; what stays the same keeps its text, and an empty list is none.
fn edit(patient: &mut Members, name: &str, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
    let before = patient.list(name);
    let mut list = before.clone();
    change(&mut list);
    match list {
        list if list == before => Ok(()),
        list if list.is_empty() => {
            patient.remove(name);
            Ok(())
        }
        list => patient.set(name, &Value::Array(list)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(last: u8) -> Other<'static> {
        Other { id: PatientId::from_random([last; 16]), base: "https://firth.example/fhir" }
    }

    const A: &str = r#"{"resourceType":"Patient","name":[{"text":"\u00e9"}],"identifier":[{"use":"usual","system":"urn:x","value":"1"},{"value":"2"}]}"#;
    const B: &str = r#"{"resourceType":"Patient","active":true,"identifier":[{"system":"urn:x","value":"1","use":"official"}]}"#;

    #[test]
    fn what_a_merge_does_is_undone() {
        let (a, b) = (other(1), other(2));
        let source = replaced(A, b).unwrap();
        assert!(is_retired(&source).unwrap() && !is_replaced(A).unwrap() && source.contains(r#""\u00e9""#), "{source}");
        assert_eq!(replaced(&source, b).unwrap(), source);
        let target = identified(&replacing(B, a).unwrap(), A).unwrap();
        let read: Value = serde_json::from_str(&target).unwrap();
        assert_eq!(read["identifier"], json!([{"system": "urn:x", "value": "1", "use": "official"}, {"value": "2", "use": "old"}]));
        assert_eq!(read["link"], json!([{"other": {"reference": format!("Patient/{}", a.id)}, "type": "replaces"}]));
        assert_eq!(restored(&source, A, b).unwrap(), A);
        assert_eq!(parted(&target, (B, A), a).unwrap(), B);
    }

    #[test]
    fn what_was_there_before_stays() {
        let (a, b) = (other(1), other(2));
        let linked = replacing(B, a).unwrap().replace("\"Patient/", "\"https://firth.example/fhir/Patient/");
        assert_eq!(replacing(&linked, a).unwrap(), linked);
        assert_eq!(parted(&linked, (&linked, A), a).unwrap(), linked);
        assert_eq!(restored(&replaced(B, b).unwrap(), B, b).unwrap(), B);
    }
}
