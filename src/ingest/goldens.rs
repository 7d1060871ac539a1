//! Walks `fixtures/sdk/`: each folder is a case of `why.md`, `in.json`, `measured.json`, `refused.json`.
//! `UPDATE=1` writes the two outputs anew; CI never sets it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Judged, check, read};
use crate::fhir::shape::{Coding, Unit, ValueShape};
use crate::mapping::{Mappings, Measured, Source};

#[test]
fn goldens() {
    let mut seen = Vec::new();
    let mappings = Mappings::shipped().unwrap();
    for case in cases() {
        let body = std::fs::read(case.join("in.json")).unwrap();
        assert!(case.join("why.md").exists(), "{} does not say why", case.display());
        let (measured, refused) = judge(&body, &mappings, &mut seen);
        same(&case.join("measured.json"), &measured);
        same(&case.join("refused.json"), &refused);
    }
    let unseen = |one: &str| !seen.iter().any(|(id, _)| id == one);
    let missing: Vec<&str> = mappings.iter().map(|mapping| mapping.id.as_str()).filter(|id| unseen(id)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
    let all: usize = mappings.iter().map(|mapping| mapping.shapes().count()).sum();
    assert_eq!(seen.len(), all, "every variant of every mapping is shown");
}

pub fn cases() -> Vec<PathBuf> {
    let root = Path::new(file!()).ancestors().nth(3).unwrap().join("fixtures/sdk");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn judge(body: &[u8], mappings: &Mappings, seen: &mut Vec<(String, usize)>) -> (Value, Value) {
    let envelope = check(body).unwrap();
    let (mut measured, mut refused, mut items) = (Vec::new(), Vec::new(), 0);
    read(body, envelope.provider, mappings, &mut |judged: Judged<'_>| {
        items += 1;
        let place = format!("{}[{}]", judged.list, judged.index);
        match judged.outcome {
            Ok(all) => {
                for one in all {
                    let variant = (one.mapping.id.clone(), one.variant);
                    if !seen.contains(&variant) {
                        seen.push(variant);
                    }
                    measured.push(shown(&place, &one));
                }
            }
            Err(refusal) => refused.push(json!({
                "at": place, "type": judged.kind, "code": refusal.kind.wire().code, "reason": refusal.reason, "element": refusal.at,
            })),
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(items, envelope.items_total);
    (Value::Array(measured), Value::Array(refused))
}

fn shown(place: &str, one: &Measured) -> Value {
    let shape = one.shape();
    let value = match &shape.value {
        ValueShape::Quantity(unit) => json!({"unit": unit_of(unit)}),
        ValueShape::Coded(codes) => json!({"coded": codings(codes)}),
        ValueShape::Components(all) => {
            json!({"components": all.iter().map(|one| json!({"codes": codings(&one.codes), "unit": unit_of(&one.unit)})).collect::<Vec<_>>()})
        }
    };
    json!({
        "at": place,
        "source": shape.source,
        "metric": one.metric(),
        "record": one.record,
        "identifier": one.identifier.as_ref().map(|id| format!("{}|{}", id.system, id.value)),
        "effective": match one.end { None => one.start.to_string(), Some(end) => format!("{} to {}", one.start, end) },
        "slots": one.slots.iter().map(|slot| slot.as_ref().map(ToString::to_string)).collect::<Vec<_>>(),
        "value": value,
        "codes": codings(&shape.codes),
        "categories": codings(&shape.categories),
        "profiles": shape.profiles,
        "origin": origin(&one.source),
    })
}

fn codings(codes: &[Coding]) -> Vec<String> {
    codes
        .iter()
        .map(|one| format!("{}|{}{}", one.system, one.code, one.display.as_ref().map_or(String::new(), |says| format!(" {says}"))))
        .collect()
}

fn unit_of(unit: &Unit) -> String {
    format!("{} ({})", unit.code, unit.unit)
}

fn origin(source: &Source) -> Value {
    json!({
        "key": source.key().replace('\u{1f}', "|"),
        "device": source.device_key().map(|key| key.replace('\u{1f}', "|")),
        "names": [source.app_name, source.device_name, source.device_type, source.recording_method],
        "versions": [source.app_version, source.os_version, source.hardware_version, source.software_version],
    })
}

fn same(file: &Path, found: &Value) {
    let found = format!("{}\n", serde_json::to_string_pretty(found).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let wanted = std::fs::read_to_string(file).unwrap_or_default();
    assert!(wanted == found, "{} differs; UPDATE=1 rewrites it:\n{found}", file.display());
}
