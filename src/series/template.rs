//! Observation templates: the JSON of an Observation with holes, rendered by splicing.
//!
//! A hole is a control character, which JSON text never holds, followed by a letter. Nothing is parsed
//! on the way out; what is missing (a component, an offset) is another template, not an optional hole.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{RecordId, Sample};
use crate::error::{Error, Result};
use crate::fhir::decimal::Decimal;
use crate::fhir::shape::{Coding, Shape, ValueShape};
use crate::fhir::stamp::Stamp;

const HOLE: char = '\u{1}';

/// What a template holds besides the mapping's shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Particulars {
    /// `Device/<id>` of the recording device.
    pub device: Option<String>,
    /// `Device/<id>` of the app that passed the record on (extension observation-gatewayDevice).
    pub gateway: Option<String>,
    /// The namespace of the source's record ids; `None` when the record has no id.
    pub identifier_system: Option<String>,
    /// Is the effective time a period?
    pub period: bool,
    /// The source gave no offset: said in a tag, not invented.
    pub offset_unknown: bool,
    /// Which components have a number; the others say why not.
    pub present: Vec<bool>,
}

/// What search asks of a template; the same for every sample of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub codes: Vec<(String, String)>,
    pub categories: Vec<(String, String)>,
    pub device: Option<String>,
    pub identifier_system: Option<String>,
    /// A coded value: it is part of the template, so a change of it is a change of template.
    pub value: Option<(String, String)>,
}

#[derive(Debug)]
pub struct Template {
    pieces: Vec<(String, Option<Hole>)>,
    length: usize,
    pub facts: Facts,
}

/// What stands between two pieces of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    Id,
    Version,
    LastUpdated,
    Patient,
    Status,
    Start,
    End,
    RecordIds,
    Number(usize),
}

/// What fills the holes.
pub struct Filling<'a> {
    pub id: &'a str,
    pub patient: &'a str,
    pub last_updated: &'a str,
    pub record_ids: &'a [RecordId<'a>],
    pub sample: &'a Sample,
    /// Numbers of more than 18 digits, by slot: they are not in the sample.
    pub wide: &'a [(usize, String)],
}

impl Template {
    /// The text of a template: stored sealed, and hashed to find it again.
    pub fn text(shape: &Shape, of: &Particulars) -> String {
        let hole = |letter: char| format!("{HOLE}{letter}");
        let mut meta = json!({"versionId": hole('v'), "lastUpdated": hole('u'), "source": shape.source});
        if !shape.profiles.is_empty() {
            meta["profile"] = json!(shape.profiles);
        }
        if of.offset_unknown {
            meta["tag"] = json!([{"system": "urn:firth:time", "code": "offset-unknown"}]);
        }
        let mut observation = json!({"resourceType": "Observation", "id": hole('i'), "meta": meta});
        if let Some(gateway) = &of.gateway {
            observation["extension"] = json!([{"url": "http://hl7.org/fhir/StructureDefinition/observation-gatewayDevice", "valueReference": {"reference": gateway}}]);
        }
        if let Some(system) = &of.identifier_system {
            observation["identifier"] = json!([{"system": system, "value": hole('r')}]);
        }
        observation["status"] = json!(hole('s'));
        observation["category"] = json!(shape.categories.iter().map(|category| json!({"coding": [coding(category)]})).collect::<Vec<_>>());
        observation["code"] = concept(&shape.codes);
        observation["subject"] = json!({"reference": format!("Patient/{}", hole('p'))});
        if of.period {
            observation["effectivePeriod"] = json!({"start": hole('b'), "end": hole('e')});
        } else {
            observation["effectiveDateTime"] = json!(hole('b'));
        }
        value(&mut observation, shape, of);
        if let Some(device) = &of.device {
            observation["device"] = json!({"reference": device});
        }
        // serde_json writes the control character as \u0001; in the text it stands as itself.
        observation.to_string().replace("\\u0001", "\u{1}")
    }

    pub fn read(text: String) -> Result<Template> {
        let damaged = || Error::bug("a template is not an Observation");
        let facts = facts(&text).ok_or_else(damaged)?;
        let mut pieces: Vec<(String, Option<Hole>)> = Vec::new();
        let mut texts = text.split(HOLE);
        let mut before = texts.next().unwrap_or_default().to_owned();
        for piece in texts {
            let (letter, mut rest) = piece.split_at_checked(1).ok_or_else(damaged)?;
            let hole = match letter {
                "i" => Hole::Id,
                "v" => Hole::Version,
                "u" => Hole::LastUpdated,
                "p" => Hole::Patient,
                "s" => Hole::Status,
                "b" => Hole::Start,
                "e" => Hole::End,
                "r" => Hole::RecordIds,
                "n" => {
                    // A number has no quotes: those around its hole are dropped.
                    let (slot, after) = rest.split_once('"').ok_or_else(damaged)?;
                    rest = after;
                    before.pop();
                    Hole::Number(slot.parse().map_err(|_| damaged())?)
                }
                _ => return Err(damaged()),
            };
            pieces.push((std::mem::replace(&mut before, rest.to_owned()), Some(hole)));
        }
        pieces.push((before, None));
        Ok(Template { pieces, length: text.len() + 160, facts })
    }

    /// Does the Observation point to this: `Device/<id>`?
    pub fn names(&self, reference: &str) -> bool {
        let quoted = format!("\"{reference}\"");
        self.pieces.iter().any(|(text, _)| text.contains(&quoted))
    }

    /// The Observation's JSON.
    pub fn render(&self, with: &Filling<'_>) -> String {
        let mut out = String::with_capacity(self.length);
        self.render_to(&mut out, with);
        out
    }

    /// The Observation of some sample: its coded elements are those of every sample.
    pub fn example(&self) -> String {
        let start = Stamp { ms: 0, sub_ms_nanos: 0, digits: 0, offset: None };
        let sample = Sample { series: 0, disc: 0, version: 1, template: 0, start, end: None, slots: Vec::new() };
        self.render(&Filling { id: "x", patient: "x", last_updated: "", record_ids: &[], sample: &sample, wide: &[] })
    }

    /// Appends the Observation's JSON.
    pub fn render_to(&self, out: &mut String, with: &Filling<'_>) {
        let mut stamp = [0; Stamp::TEXT_MAX];
        out.reserve(self.length);
        for (text, hole) in &self.pieces {
            out.push_str(text);
            match hole {
                Some(Hole::Id) => out.push_str(with.id),
                Some(Hole::Version) => Decimal { mantissa: i64::from(with.sample.version), scale: 0 }.push(out),
                Some(Hole::LastUpdated) => out.push_str(with.last_updated),
                Some(Hole::Patient) => out.push_str(with.patient),
                Some(Hole::Status) => out.push_str(status(with.sample.version)),
                Some(Hole::Start) => out.push_str(with.sample.start.write(&mut stamp)),
                Some(Hole::End) => out.push_str(with.sample.end.unwrap_or(with.sample.start).write(&mut stamp)),
                Some(Hole::RecordIds) => self.identifiers(out, with.record_ids),
                Some(Hole::Number(slot)) => number(out, with, *slot),
                None => {}
            }
        }
    }

    /// The value of the first identifier; each further id repeats the object around the hole.
    fn identifiers(&self, out: &mut String, ids: &[RecordId<'_>]) {
        for (n, id) in ids.iter().enumerate() {
            if n > 0 {
                let system = Value::from(self.facts.identifier_system.as_deref().unwrap_or(""));
                _ = write!(out, "\"}},{{\"system\":{system},\"value\":\"");
            }
            id.read(|id| {
                if id.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                    out.push_str(id);
                } else {
                    let quoted = Value::from(id).to_string();
                    out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or(""));
                }
            });
        }
    }
}

/// A sample that was changed after it was first stored is amended (R4 observation-status).
pub fn status(version: u32) -> &'static str {
    if version > 1 { "amended" } else { "final" }
}

fn coding(coding: &Coding) -> Value {
    let mut out = json!({"system": coding.system, "code": coding.code});
    if let Some(display) = &coding.display {
        out["display"] = json!(display);
    }
    out
}

fn concept(codings: &[Coding]) -> Value {
    json!({"coding": codings.iter().map(coding).collect::<Vec<_>>()})
}

/// The number's hole is a string that starts with the mark; rendering drops its quotes.
fn quantity(slot: usize, unit: &crate::fhir::shape::Unit) -> Value {
    json!({"value": format!("{HOLE}n{slot}"), "unit": unit.unit, "system": "http://unitsofmeasure.org", "code": unit.code})
}

fn absent() -> Value {
    json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown", "display": "Unknown"}]})
}

fn value(observation: &mut Value, shape: &Shape, of: &Particulars) {
    let present = |slot: usize| of.present.get(slot).copied().unwrap_or(false);
    match &shape.value {
        ValueShape::Quantity(unit) if present(0) => observation["valueQuantity"] = quantity(0, unit),
        ValueShape::Quantity(_) => observation["dataAbsentReason"] = absent(),
        ValueShape::Coded(codings) => observation["valueCodeableConcept"] = concept(codings),
        ValueShape::Components(components) => {
            let components = components.iter().enumerate().map(|(slot, component)| {
                let mut out = json!({"code": concept(&component.codes)});
                if present(slot) {
                    out["valueQuantity"] = quantity(slot, &component.unit);
                } else {
                    out["dataAbsentReason"] = absent();
                }
                out
            });
            observation["component"] = components.collect();
        }
    }
}

fn number(out: &mut String, with: &Filling<'_>, slot: usize) {
    match (with.sample.slots.get(slot).copied().flatten(), with.wide.iter().find(|(wide, _)| *wide == slot)) {
        (_, Some((_, text))) => out.push_str(text),
        (Some(number), None) => number.push(out),
        (None, None) => out.push_str("null"),
    }
}

fn facts(text: &str) -> Option<Facts> {
    let observation: Value = serde_json::from_str(&text.replace('\u{1}', "\\u0001")).ok()?;
    let codings = |concept: &Value| -> Vec<(String, String)> {
        let pair = |coding: &Value| Some((coding["system"].as_str()?.to_owned(), coding["code"].as_str()?.to_owned()));
        concept["coding"].as_array().into_iter().flatten().filter_map(pair).collect()
    };
    Some(Facts {
        codes: codings(&observation["code"]),
        categories: observation["category"].as_array()?.iter().flat_map(codings).collect(),
        device: observation["device"]["reference"].as_str().map(str::to_owned),
        value: codings(&observation["valueCodeableConcept"]).into_iter().next(),
        identifier_system: observation["identifier"][0]["system"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::shape::{Component, Unit};

    fn coding(system: &str, code: &str) -> Coding {
        Coding { system: system.into(), code: code.into(), display: None }
    }

    fn shape(value: ValueShape) -> Shape {
        Shape {
            source: "urn:firth:mapping:t@1.0.0".into(),
            profiles: vec![],
            categories: vec![coding("c", "vital-signs")],
            codes: vec![coding("l", "1-8")],
            value,
        }
    }

    fn unit() -> Unit {
        Unit { unit: "beats/minute".into(), code: "/min".into() }
    }

    fn rendered(shape: &Shape, present: Vec<bool>, slots: Vec<Option<Decimal>>) -> Value {
        let of = Particulars {
            device: Some("Device/d".into()),
            gateway: None,
            identifier_system: Some("urn:x".into()),
            period: false,
            offset_unknown: true,
            present,
        };
        let template = Template::read(Template::text(shape, &of)).unwrap();
        let start = Stamp::parse("2026-02-24T08:30:00.5Z", None).unwrap();
        let sample = Sample { series: 0, disc: 0, version: 2, template: 0, start, end: None, slots };
        let ids = [RecordId::Text("a\"b".into()), RecordId::Text("c".into())];
        let text = template.render(&Filling {
            id: "i1",
            patient: "p1",
            last_updated: "2026-01-01T00:00:00Z",
            record_ids: &ids,
            sample: &sample,
            wide: &[],
        });
        assert!(!text.contains('\u{1}'), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_hole_is_filled() {
        let json = rendered(&shape(ValueShape::Quantity(unit())), vec![true], vec![Some(Decimal { mantissa: 7210, scale: 2 })]);
        assert_eq!(
            json["valueQuantity"].to_string(),
            r#"{"value":72.10,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}"#
        );
        assert_eq!(json["identifier"].to_string(), r#"[{"system":"urn:x","value":"a\"b"},{"system":"urn:x","value":"c"}]"#);
        assert_eq!(
            (json["id"].as_str(), json["status"].as_str(), json["meta"]["versionId"].as_str()),
            (Some("i1"), Some("amended"), Some("2"))
        );
        assert_eq!(json["effectiveDateTime"], "2026-02-24T08:30:00.5Z");
        assert_eq!(json["subject"]["reference"], "Patient/p1");
    }

    #[test]
    fn a_missing_half_says_why() {
        let component = |code: &str| Component { codes: vec![coding("l", code)], unit: unit() };
        let json = rendered(
            &shape(ValueShape::Components(vec![component("s"), component("d")])),
            vec![false, true],
            vec![None, Some(Decimal { mantissa: 80, scale: 0 })],
        );
        assert_eq!(json["component"][0]["dataAbsentReason"]["coding"][0]["code"], "unknown");
        assert_eq!(json["component"][1]["valueQuantity"]["value"].to_string(), "80");
    }
}
