//! Our verdicts beside those of HL7's validator, on the resources of `conformance/cases`: 100 that are right, and four
//! hundred that break one rule each. Every difference stands with its reason in docs/api/validate.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MARK: &str = "\u{1}what is changed\u{1}";

struct Case {
    name: String,
    text: String,
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).expect("text")
}

fn table(path: &str) -> Vec<Vec<String>> {
    let lines = file(path);
    lines.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn right() -> Vec<Case> {
    let named = |line: &str| {
        let tree: Value = serde_json::from_str(line).expect(line);
        Case { name: tree["id"].as_str().expect("an id").to_owned(), text: line.to_owned() }
    };
    file("conformance/cases/valid.ndjson").lines().map(named).collect()
}

/// One of the right ones with one change, made in the text so that it need not be JSON any more.
fn changed(base: &str, path: &str, value: &str) -> String {
    let Some((up, name)) = path.rsplit_once('/') else { return value.to_owned() };
    let mut tree: Value = serde_json::from_str(base).expect("JSON");
    match tree.pointer_mut(up).unwrap_or_else(|| panic!("nothing at {up} of {base}")) {
        Value::Object(members) if value.is_empty() => drop(members.shift_remove(name).expect(path)),
        Value::Object(members) => drop(members.insert(name.to_owned(), MARK.into())),
        Value::Array(items) => match name.parse::<usize>().expect("an index") {
            at if value.is_empty() => drop(items.remove(at)),
            at if at == items.len() => items.push(MARK.into()),
            at => items[at] = MARK.into(),
        },
        other => panic!("{path} is in {other}"),
    }
    tree.to_string().replace(&Value::from(MARK).to_string(), value)
}

fn mutated(right: &[Case]) -> Vec<Case> {
    let case = |row: Vec<String>| {
        let [name, base, path, value] = <[String; 4]>::try_from(row).expect("four columns");
        let base = right.iter().find(|it| it.name == base).unwrap_or_else(|| panic!("{name}: no {base}"));
        let text = changed(&base.text, &path, &value);
        assert_ne!(text, base.text, "{name} changes nothing");
        Case { name, text }
    };
    table("conformance/cases/mutations.tsv").into_iter().map(case).collect()
}

/// For `conformance/run --verdicts`, which judges them with HL7's validator.
fn written(cases: &[Case]) {
    let folder = Path::new(ROOT).join("target/conformance/cases");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for case in cases {
        fs::write(folder.join(format!("{}.json", case.name)), &case.text).expect("room");
    }
}

fn errors(case: &Case) -> Vec<String> {
    let issues = validate(case.text.as_bytes(), &Options::default()).err().unwrap_or_default();
    issues.into_iter().map(|it| format!("{}: {}", it.at, it.says)).collect()
}

/// The names in the first column of the table of differences in the docs.
fn documented() -> BTreeSet<String> {
    let page = file("docs/api/validate.md");
    let (_, table) = page.split_once("## Where we and HL7's validator differ").expect("the section of differences");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn our_verdicts_are_those_of_hl7s_validator() {
    let right = right();
    let mutated = mutated(&right);
    let (rights, mutations) = (right.len(), mutated.len());
    let cases: Vec<Case> = right.into_iter().chain(mutated).collect();
    assert!(rights >= 100 && mutations >= 200, "{rights} right, {mutations} mutated");
    assert_eq!(cases.iter().map(|it| &it.name).collect::<BTreeSet<_>>().len(), cases.len(), "a name stands twice");
    written(&cases);

    let official = table("conformance/cases/verdicts.tsv");
    let mut differ = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let found = errors(case);
        assert!(n >= rights || found.is_empty(), "{}: {found:?}", case.name);
        let row = official.iter().find(|row| row[0] == case.name);
        let there = row.unwrap_or_else(|| panic!("conformance/cases/verdicts.tsv has no {}", case.name))[1].as_str();
        if (there == "accepted") != found.is_empty() {
            println!("{}: there {there}, here {found:?}", case.name);
            differ.push(case.name.clone());
        }
    }
    let agree = cases.len() - differ.len();
    println!("{agree} of {} verdicts are the same", cases.len());
    assert!(agree * 100 >= cases.len() * 98, "{differ:?}");
    assert_eq!(official.len(), cases.len(), "conformance/cases/verdicts.tsv has more");
    assert_eq!(differ.into_iter().collect::<BTreeSet<_>>(), documented(), "the table in docs/api/validate.md");
}
