//! The shared examples of R4, and whatever else there may be.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Every JSON file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|it| it.path());
    let mut found: Vec<PathBuf> = entries.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect();
    found.retain(|it| it.extension().is_some_and(|extension| extension == "json"));
    found.sort();
    found
}

/// Examples that are wrong, and where.
///
/// R4 binds the components of vital signs to its units, coded values included; the guides of these examples do not. The
/// official validator agrees.
const WRONG: &[(&str, &[&str])] = &[
    ("us-core/observation-satO2-fiO2.json", &["Observation.component[0].value.code"]),
    ("hl7-phd/bundle-example-1.json", &["Bundle.entry[4].resource.component[0].value", "Bundle.entry[5].resource.component[0].value"]),
    ("hl7-phd/numeric-spo2-alarm.json", &["Observation.component[0].value"]),
    ("hl7-phd/numeric-spotnumeric.json", &["Observation.component[0].value"]),
];

#[test]
fn the_shared_examples_are_let_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let all = files(&folder);
    if all.is_empty() {
        return println!("../shared is not here: skipped");
    }
    let mut bad = Vec::new();
    for file in &all {
        let text = fs::read(file).expect("text");
        let places: Vec<String> = match validate(&text, &Options::default()) {
            Ok(_) => Vec::new(),
            Err(issues) => issues.into_iter().map(|it| format!("{}: {} {}", it.at, it.says, it.remedy)).collect(),
        };
        let name = file.strip_prefix(&folder).expect("below").display().to_string();
        let known = WRONG.iter().find(|(it, _)| *it == name).map_or(&[][..], |(_, places)| places);
        let same = places.len() == known.len() && places.iter().zip(known).all(|(a, b)| a.starts_with(&format!("{b}: ")));
        if !same {
            bad.push(format!("{name}: {places:#?}"));
        }
    }
    println!("{} examples", all.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// What a judgement costs; nothing is asserted of the time.
#[test]
fn judging_takes_microseconds() {
    let names: Vec<Value> = (0..12)
        .map(|n| serde_json::json!({"use": "old", "family": format!("Name{n}"), "given": ["A", "B"], "period": {"start": "2020"}}))
        .collect();
    let text = serde_json::json!({"resourceType": "Patient", "active": true, "gender": "other", "birthDate": "2000-01-01", "name": names})
        .to_string();
    warm();
    let (start, times) = (Instant::now(), 100);
    assert!((0..times).all(|_| validate(text.as_bytes(), &Options::default()).is_ok()));
    println!("{} bytes in {:?}", text.len(), start.elapsed() / times);
}

/// JSON of the shape of resources, with a fault here and there.
fn any_resource() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "resourceType",
        "id",
        "meta",
        "text",
        "div",
        "contained",
        "extension",
        "url",
        "valueString",
        "_valueString",
        "subject",
        "reference",
        "type",
        "code",
        "coding",
        "system",
        "component",
        "entry",
        "request",
        "resource",
        "item",
        "linkId",
        "name",
        "given",
        "_given",
        "status",
        "effectiveDateTime",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "Patient",
            "Observation",
            "Bundle",
            "Questionnaire",
            "#a",
            "a",
            "final",
            "http://loinc.org",
            "8867-4",
            "85354-9",
            "transaction",
            "Patient/1",
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
            "2020-01-01"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let object = prop::collection::vec((name.clone(), inner.clone()), 0..6)
            .prop_map(|members| members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect::<Value>());
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), object]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = validate(&bytes, &Options::default());
    }

    #[test]
    fn any_tree_is_judged(mut value in any_resource(), kind in prop::sample::select(vec!["Patient", "Observation", "Bundle", "Questionnaire", "Provenance"])) {
        if let Some(members) = value.as_object_mut() {
            members.insert("resourceType".to_owned(), kind.into());
        }
        let text = value.to_string();
        let _ = validate(text.as_bytes(), &Options::default());
        for end in (0..text.len()).step_by(7) {
            prop_assert!(validate(&text.as_bytes()[..end], &Options::default()).is_err());
        }
    }
}
