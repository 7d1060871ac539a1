//! What the tests of this room share, and the room as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::fhir::validate::{Checked, Options as Judging, Pointer, validate};

#[track_caller]
pub(super) fn checked(text: &str) -> Checked<'_> {
    validate(text.as_bytes(), &Judging::default()).unwrap_or_else(|issues| panic!("{text} {issues:#?}"))
}

#[track_caller]
pub(super) fn incoming<'a>(checked: &'a Checked<'a>) -> Incoming<'a> {
    read(&checked.tree, &Options::default()).unwrap_or_else(|issues| panic!("{issues:#?}"))
}

/// The elements that are named by what is refused.
#[track_caller]
pub(super) fn faults(text: &str) -> Vec<String> {
    let issues = read(&checked(text).tree, &Options::default()).err().unwrap_or_default();
    assert!(issues.iter().all(|it| !it.says.is_empty() && !it.remedy.is_empty()), "{issues:?}");
    issues.into_iter().map(|it| it.at).collect()
}

/// Two resources that refer to each other, one that is looked up, and what a caller does with them.
#[test]
fn a_transaction_from_end_to_end() {
    const A: &str = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
    const B: &str = "urn:uuid:c757873d-ec9a-4326-a141-556f43239521";
    let text = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": A, "resource": {"resourceType": "Patient", "link": [{"other": {"reference": B}, "type": "seealso"}]},
            "request": {"method": "POST", "url": "Patient"}},
        {"fullUrl": B, "resource": {"resourceType": "Patient", "id": "b", "link": [{"other": {"reference": A}, "type": "seealso"}],
            "managingOrganization": {"reference": "Organization?identifier=x"}}, "request": {"method": "PUT", "url": "Patient/b"}},
        {"request": {"method": "DELETE", "url": "Patient/c"}},
    ]})
    .to_string();
    let checked = checked(&text);
    let incoming = incoming(&checked);
    assert_eq!(order(&incoming), [2, 0, 1]);
    let mut links = Links::default();
    links.put(A, "Patient/new", 1);
    links.put(B, "Patient/b", 7);
    let asked = incoming.entries.iter().filter_map(|entry| entry.resource).flat_map(references);
    let asked: Vec<Pointer> = asked.filter(|it| conditional(&it.to).is_some()).collect();
    assert_eq!(asked.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(), ["Patient.managingOrganization.reference"]);
    links.put(asked[0].to.clone(), "Organization/o", 1);
    let texts: Vec<String> =
        incoming.entries.iter().filter_map(|entry| Some(rewrite(entry.resource?, &|link| links.resolve(entry.full_url, link)))).collect();
    assert_eq!(texts[0], r#"{"resourceType":"Patient","link":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}"#);
    assert_eq!(
        texts[1],
        r#"{"resourceType":"Patient","id":"b","link":[{"other":{"reference":"Patient/new"},"type":"seealso"}],"managingOrganization":{"reference":"Organization/o"}}"#
    );
}

/// Every JSON file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|it| it.path());
    let mut found: Vec<PathBuf> = entries.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect();
    found.retain(|it| it.extension().is_some_and(|extension| extension == "json"));
    found
}

/// What is written is what was read, and the references are those that `validate` found.
#[test]
fn the_shared_examples_are_written_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let (mut written, mut acting) = (0, 0);
    for file in files(&folder) {
        let text = fs::read_to_string(&file).expect("text");
        let Ok(it) = validate(text.as_bytes(), &Judging::default()) else { continue };
        let back = write(&it.tree);
        // Serde writes an exponent in its own way: both are compared as it writes them.
        let serde = |text: &str| serde_json::from_str::<Value>(text).expect("JSON").to_string();
        assert_eq!(serde(&back), serde(&text), "{file:?}");
        assert_eq!(checked(&back).tree, it.tree, "{file:?}");
        assert_eq!(rewrite(&it.tree, &|_| None), back, "{file:?}");
        let sorted = |mut all: Vec<Pointer>| {
            all.sort_by(|a, b| (&a.at, &a.to).cmp(&(&b.at, &b.to)));
            all
        };
        assert_eq!(sorted(references(&it.tree)), sorted(it.pointers.clone()), "{file:?}");
        written += 1;
        if matches!(it.tree.text("type"), Some("batch" | "transaction")) && it.resource_type == "Bundle" {
            let read = read(&it.tree, &Options::default()).unwrap_or_else(|issues| panic!("{file:?} {issues:#?}"));
            assert_eq!(read.refused.len(), 0, "{file:?}");
            acting += 1;
        }
    }
    println!(
        "{}{written} written back, {acting} of them batches and transactions",
        if written == 0 { "../shared is not here: " } else { "" }
    );
}
