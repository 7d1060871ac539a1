//! The order of a transaction, and what it may not do twice: <https://hl7.org/fhir/R4/http.html#trules>.

use std::collections::HashMap;

use super::incoming::issue;
use super::{Entry, Incoming, Kind, Method, quoted};
use crate::fhir::validate::Issue;

/// Where in `entries` what is done first stands, and so on. What is deleted comes first, then what is created, then
/// what is changed, then what is read; each in the order of the Bundle. A batch is done as it was sent, for none of its
/// entries knows of another.
pub fn order(incoming: &Incoming) -> Vec<usize> {
    let mut order: Vec<usize> = (0..incoming.entries.len()).collect();
    if incoming.kind == Kind::Transaction {
        order.sort_by_key(|at| incoming.entries.get(*at).map(|entry| step(entry.method)));
    }
    order
}

fn step(method: Method) -> u8 {
    match method {
        Method::Delete => 0,
        Method::Post => 1,
        Method::Put | Method::Patch => 2,
        Method::Get | Method::Head => 3,
    }
}

/// Entries that change what another changes, too. Given are entries by their index, each with what it changes
/// (`Patient/1`): after the conditional ones were looked up, this is to be asked again.
pub fn overlap(changes: &[(usize, String)]) -> Vec<Issue> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut issues = Vec::new();
    for (index, changed) in changes {
        let other = *first.entry(changed).or_insert(*index);
        if other != *index {
            let says = format!("Bundle.entry[{other}] and Bundle.entry[{index}] both change {}.", quoted(changed));
            let remedy = "Change a resource once in a transaction; send the other change in another.";
            issues.push(issue("duplicate", format!("Bundle.entry[{index}].request.url"), says, remedy));
        }
    }
    issues
}

pub(super) fn changed_twice(entries: &[Entry]) -> Vec<Issue> {
    let changing = entries.iter().filter(|entry| entry.method.changes());
    let changes: Vec<(usize, String)> = changing.filter_map(|entry| Some((entry.index, entry.target.changed()?))).collect();
    overlap(&changes)
}

/// `validate` lets a fullUrl stand twice for two versions of a resource; in a transaction it is the name that others
/// refer to.
pub(super) fn named_twice(entries: &[Entry]) -> Vec<Issue> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut issues = Vec::new();
    for (index, url) in entries.iter().filter_map(|entry| Some((entry.index, entry.full_url?))) {
        let other = *first.entry(url).or_insert(index);
        if other != index {
            let says = format!("Bundle.entry[{other}] and Bundle.entry[{index}] have the same fullUrl.");
            issues.push(issue("duplicate", format!("Bundle.entry[{index}].fullUrl"), says, "Send a fullUrl of its own for each."));
        }
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::super::tests::{checked, faults, incoming};
    use super::*;
    use serde_json::{Value, json};

    fn requests(kind: &str, requests: &[(&str, &str)]) -> String {
        let entry = |(method, url): &(&str, &str)| {
            let mut entry = json!({"request": {"method": method, "url": url}});
            let (name, id) = url.split_once(['/', '?']).unwrap_or((url, "x"));
            let id = if url.contains('?') { "x" } else { id };
            match *method {
                "PUT" | "POST" => entry["resource"] = json!({"resourceType": name, "id": id}),
                "PATCH" => entry["resource"] = json!({"resourceType": "Parameters"}),
                _ => {}
            }
            entry
        };
        json!({"resourceType": "Bundle", "type": kind, "entry": requests.iter().map(entry).collect::<Vec<Value>>()}).to_string()
    }

    const ALL: &[(&str, &str)] = &[
        ("GET", "Patient"),
        ("PATCH", "Patient/1"),
        ("POST", "Patient"),
        ("HEAD", "Patient/1"),
        ("DELETE", "Patient/2"),
        ("PUT", "Patient/3"),
        ("DELETE", "Patient?a=b"),
        ("GET", "Patient/9"),
    ];

    #[test]
    fn a_transaction_has_an_order() {
        let text = requests("transaction", ALL);
        assert_eq!(order(&incoming(&checked(&text))), [4, 6, 2, 1, 5, 0, 3, 7]);
        let text = requests("batch", ALL);
        assert_eq!(order(&incoming(&checked(&text))), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_resource_changes_once() {
        let twice = [("PUT", "Patient/1"), ("GET", "Patient/1"), ("DELETE", "Patient/1"), ("PATCH", "Patient/1"), ("PUT", "Patient/2")];
        let text = requests("transaction", &twice);
        assert_eq!(faults(&text), ["Bundle.entry[2].request.url", "Bundle.entry[3].request.url"]);
        let checked_text = checked(&text);
        let issues = super::super::read(&checked_text.tree, &Default::default()).err().unwrap();
        assert_eq!(issues[0].says, "Bundle.entry[0] and Bundle.entry[2] both change \"Patient/1\".");
        assert_eq!(faults(&requests("batch", &twice)), [""; 0]);
        let conditional = [("PUT", "Patient?a=b"), ("DELETE", "Patient?a=b"), ("PUT", "Patient?a=c")];
        assert_eq!(faults(&requests("transaction", &conditional)), ["Bundle.entry[1].request.url"]);
        assert!(overlap(&[(0, "Patient/1".to_owned()), (1, "Patient/2".to_owned())]).is_empty());
        assert_eq!(overlap(&[(4, "Patient/1".to_owned()), (7, "Patient/1".to_owned())]).len(), 1);
    }

    #[test]
    fn a_full_url_names_one_entry() {
        let entry = |version: &str, id: &str| {
            let meta = json!({"versionId": version});
            json!({"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "resource": {"resourceType": "Patient", "id": id, "meta": meta},
                "request": {"method": "PUT", "url": format!("Patient/{id}")}})
        };
        let bundle = |kind: &str| json!({"resourceType": "Bundle", "type": kind, "entry": [entry("1", "a"), entry("2", "b")]}).to_string();
        assert_eq!(faults(&bundle("transaction")), ["Bundle.entry[1].fullUrl"]);
        assert_eq!(faults(&bundle("batch")), [""; 0]);
    }
}
