//! Payloads end to end: our fixtures, the shared samples where they are at hand, and a type nobody has heard of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::payload::*;
use crate::support::{Bundle, Person, TestServer};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// One line of what matters: mapping, time, values with their units, codes.
fn essence(observation: &Value) -> String {
    let quantity = |of: &Value| {
        if of["valueQuantity"].is_null() {
            "-".to_owned()
        } else {
            format!("{} {}", of["valueQuantity"]["value"], of["valueQuantity"]["code"].as_str().unwrap_or(""))
        }
    };
    let codes = |of: &Value| {
        of["coding"]
            .as_array()
            .map(|all| {
                all.iter()
                    .map(|one| format!("{}|{}", one["system"].as_str().unwrap_or(""), one["code"].as_str().unwrap_or("")))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .unwrap_or_default()
    };
    let time = match observation["effectivePeriod"].as_object() {
        Some(period) => format!("{} to {}", period["start"].as_str().unwrap_or(""), period["end"].as_str().unwrap_or("")),
        None => observation["effectiveDateTime"].as_str().unwrap_or("").to_owned(),
    };
    let value = match (observation["component"].as_array(), observation.get("valueCodeableConcept")) {
        (Some(components), _) => components.iter().map(quantity).collect::<Vec<_>>().join(", "),
        (None, Some(concept)) => codes(concept),
        (None, None) => quantity(observation),
    };
    format!("{} {time} {value} {}", observation["meta"]["source"].as_str().unwrap_or(""), codes(&observation["code"]))
}

/// The same line from a golden `measured.json`.
fn essence_of_golden(measured: &Value) -> String {
    let bare = |text: &Value| text.as_str().unwrap_or("").split(' ').next().unwrap_or("").to_owned();
    let codes = |all: &Value| all.as_array().map(|all| all.iter().map(bare).collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let slot = |n: usize, unit: &Value| match measured["slots"][n].as_str() {
        Some(number) => format!("{number} {}", bare(unit)),
        None => "-".to_owned(),
    };
    let value = &measured["value"];
    let value = if let Some(components) = value["components"].as_array() {
        components.iter().enumerate().map(|(n, component)| slot(n, &component["unit"])).collect::<Vec<_>>().join(", ")
    } else if !value["coded"].is_null() {
        codes(&value["coded"])
    } else {
        slot(0, &value["unit"])
    };
    format!(
        "{} {} {value} {}",
        measured["source"].as_str().unwrap_or(""),
        measured["effective"].as_str().unwrap_or(""),
        codes(&measured["codes"])
    )
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join("fixtures/sdk")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Halves that meet are one panel; a golden has one line for each record of it.
fn joined(lines: Vec<String>) -> Vec<String> {
    let mut panels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let mut parts: Vec<&str> = line.split(' ').collect();
        if let Some(at) = parts.iter().position(|part| part.ends_with(',')) {
            let slots = parts.drain(at - usize::from(parts[at] != "-,")..).collect::<Vec<_>>().join(" ");
            panels.entry(parts.join(" ")).or_default().push(slots);
        } else {
            panels.entry(line).or_default();
        }
    }
    let whole = |slots: &[String]| {
        let halves: Vec<Vec<&str>> = slots.iter().map(|slots| slots.splitn(2, ", ").collect()).collect();
        let first = halves.iter().map(|half| half[0]).find(|half| *half != "-").unwrap_or("-").to_owned();
        let second = halves.iter().map(|half| half[1]).find(|half| !half.starts_with("- ")).unwrap_or(halves[0][1]).to_owned();
        format!("{first}, {second}")
    };
    panels.into_iter().map(|(head, slots)| if slots.is_empty() { head } else { format!("{head} {}", whole(&slots)) }).collect()
}

both! {
    fn every_fixture_comes_out_with_value_unit_time_and_code(server) {
        for case in cases() {
            let person = server.person("fen");
            let body = fs::read(case.join("in.json")).unwrap();
            let upload = person.ended(&person.sync(&body).is(202).text_at("/upload_id"));
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            let golden: Vec<Value> = json_of(&case.join("refused.json")).as_array().unwrap().clone();
            let places = |all: &[Value], place: &dyn Fn(&Value) -> String| all.iter().map(place).collect::<Vec<_>>();
            assert_eq!(
                places(upload.at("/refused").as_array().unwrap(), &|one| format!("{}[{}] {}", one["list"].as_str().unwrap(), one["index"], one["code"])),
                places(&golden, &|one| format!("{} {}", one["at"].as_str().unwrap(), one["code"])),
                "{name}"
            );
            let mut found: Vec<String> = person.finds("").matches().iter().map(essence).collect();
            found = joined(found);
            let wanted = joined(json_of(&case.join("measured.json")).as_array().unwrap().iter().map(essence_of_golden).collect());
            assert_eq!(found, wanted, "{name}");
        }
    }
}

fn devices(person: &Person<'_>) -> Bundle {
    person.server.ehr().search(&format!("Device?patient={}", person.patient))
}

both! {
    fn the_shared_samples_come_out_as_observations(server) {
        let Ok(folder) = fs::read_dir(root().join("../shared/samples")) else { return println!("../shared is not here: skipped") };
        let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let mut seen = 0;
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("sdk_") || name.starts_with("sdk_log_") {
                continue;
            }
            seen += 1;
            let body = json_of(&path);
            let count = |list: &str| body["data"][list].as_array().map_or(0, Vec::len) as i64;
            let (mapped, workouts) = (count("records") + count("sleep"), count("workouts"));
            let person = server.person("sample");
            let upload = person.uploads(&body);
            assert_eq!(crate::support::actors::counts(&upload), [mapped, 0, 0, workouts], "{name}: {}", upload.text());
            let unmapped = upload.at("/refused").as_array().unwrap().iter().filter(|one| one["list"] == "workouts" && one["code"] == "type.unmapped").count();
            assert_eq!(unmapped as i64, workouts, "{name}");
            let mut found: Vec<String> = person.finds("&_sort=date").matches().iter().map(essence).collect();
            found.iter_mut().for_each(|line| *line = line.split(' ').skip(1).collect::<Vec<_>>().join(" "));
            let has = |start: &str| assert!(found.iter().any(|line| line.starts_with(start)), "{name}: {found:#?}");
            match name.as_str() {
                "sdk_apple_sync_request.json" => {
                    has("2022-05-28T23:56:11Z to 2022-05-29T00:02:58Z 66 {steps} http://loinc.org|55423-8");
                    has("2025-04-02T21:50:46Z to 2025-04-02T21:50:50Z http://hl7.org/fhir/uv/phr/CodeSystem/sleep-analysis-codes|inBed");
                    assert!(!devices(&person).matches().is_empty());
                }
                "sdk_android_readme_sync_request.json" => has("2025-01-15T10:00:00Z 72.0 /min http://loinc.org|8867-4"),
                "sdk_samsung_sync_request_example.json" => {
                    has("2026-02-24T09:30:00+01:00 122.0 mm[Hg], - http://loinc.org|85354-9");
                    has("2026-02-24T00:10:00+01:00 to 2026-02-24T01:00:00+01:00 http://hl7.org/fhir/uv/phr/CodeSystem/sleep-analysis-codes|asleepCore");
                }
                _ => assert_eq!(found.len() as i64, mapped, "{name}"),
            }
        }
        assert!(seen > 0);
    }
}

const INVENTED: &str = "\
# A type that no shipped mapping reads.
id: tarn.aura
version: 1.0.0
from:
  providers: [apple]
  list: records
  types: [TarnTypeIdentifierAura]
  system: urn:example:tarn
observations:
  - metric: tarn-aura
    time: instant
    categories: [activity]
    codes:
      - {system: 'urn:example:tarn', code: aura, display: Aura}
    value:
      quantity:
        unit: {code: '1', unit: aura}
        accept:
          aura: 1
        range: [0, 9]
";

fn invented(backend: crate::support::Backend) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("tarn")).unwrap();
    fs::write(folder.path().join("tarn/aura.yaml"), INVENTED).unwrap();
    let Some(server) = TestServer::start(backend, &[("FIRTH_MAPPINGS_DIR", &folder.path().to_string_lossy())]) else { return };
    let alice = server.person("alice");
    let aura = but(record("TarnTypeIdentifierAura", "a-1", &minute(0), "7.250"), "unit", json!("aura"));
    alice.stores(&apple(vec![aura, heart("h-1", &minute(0), "70")]));
    let found = alice.finds("&code=urn:example:tarn|aura").only();
    assert_eq!(
        (found["valueQuantity"]["value"].to_string(), &found["meta"]["source"]),
        ("7.250".into(), &json!("urn:firth:mapping:tarn.aura@1.0.0"))
    );
    let id = found["id"].as_str().unwrap();
    assert_eq!(server.ehr().get(&format!("/fhir/Observation/{id}")).is(200).json(), found);
    assert_eq!(alice.finds("&code=http://loinc.org|8867-4").matches().len(), 1, "the shipped mappings still stand");
}

#[test]
fn a_mapping_for_an_invented_type_works_on_sqlite() {
    invented(crate::support::Backend::Sqlite);
}

#[test]
fn a_mapping_for_an_invented_type_works_on_postgres() {
    invented(crate::support::Backend::Postgres);
}
