//! What is asked: every kind of path to what a store holds.

use serde_json::{Value, json};

use crate::granular::{observation, with};
use crate::support::{Client, Person, Reply};

/// A request: which kind of path it is, and what is sent.
#[derive(Clone)]
pub struct Ask {
    pub path: &'static str,
    pub verb: &'static str,
    pub url: String,
    pub header: Option<(&'static str, String)>,
    pub body: Option<(&'static str, String)>,
}

/// Kinds of paths that must occur.
pub const PATHS: [&str; 18] = [
    "read",
    "vread",
    "history",
    "search",
    "_search",
    "total",
    "count",
    "include",
    "next link",
    "type history",
    "system history",
    "history in a bundle",
    "batch",
    "transaction",
    "$validate",
    "conditional",
    "hidden id",
    "audit",
];

/// Of these none shows a resource: a number alone, or only whether something was done.
pub const WITHOUT_ROWS: [&str; 5] = ["count", "$validate", "conditional", "hidden id", "audit"];

/// Observations that will be added under these ids, which are asked for before they are there too. The last is deleted.
pub const HIDDEN_IDS: [&str; 3] = ["hidden-of-alice", "hidden-of-bob", "hidden-and-gone"];
/// The same of other types.
pub const HIDDEN_PATHS: [&str; 3] = ["Patient/c0ffee00-0000-4000-8000-00000000000b", "Device/hidden-device", "Binary/hidden-binary"];

/// The identifier of one Observation that is seen, and of some that are hidden.
pub const SHARED: &str = "identifier=urn:shared|1";

/// Types of what somebody has, or that are shared.
pub const KINDS: [&str; 19] = [
    "Observation",
    "Device",
    "Patient",
    "Encounter",
    "Practitioner",
    "Basic",
    "Binary",
    "CarePlan",
    "CareTeam",
    "Communication",
    "DetectedIssue",
    "DiagnosticReport",
    "DocumentReference",
    "Flag",
    "Goal",
    "List",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
];

const FHIR: &str = "application/fhir+json";

pub fn get(path: &'static str, url: impl Into<String>) -> Ask {
    Ask { path, verb: "GET", url: format!("/fhir/{}", url.into()), header: None, body: None }
}

fn post(path: &'static str, url: &str, kind: &'static str, body: String) -> Ask {
    Ask { path, verb: "POST", url: format!("/fhir{url}"), header: None, body: Some((kind, body)) }
}

/// The entries in a batch, and in a transaction.
fn bundles(path: impl Fn(&str) -> &'static str, entries: &[Value]) -> Vec<Ask> {
    let of = |kind: &str| post(path(kind), "", FHIR, json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string());
    ["batch", "transaction"].map(of).into()
}

fn entry(method: &str, url: &str) -> Value {
    json!({"request": {"method": method, "url": url}})
}

/// What a patch is in a Bundle.
fn patch_of(operations: &Value) -> Value {
    let data = data_encoding::BASE64.encode(operations.to_string().as_bytes());
    json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data})
}

pub fn send(client: &Client<'_>, ask: &Ask) -> Reply {
    let client = match &ask.header {
        Some((name, value)) => client.with(name, value.clone()),
        None => client.clone(),
    };
    match &ask.body {
        None => client.send(ask.verb, &ask.url, None),
        Some((kind, body)) => client.with("content-type", *kind).send(ask.verb, &ask.url, Some(body.as_bytes())),
    }
}

pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

/// Searches of the types and of what the documents of this test are found by.
fn queries(alice: &Person<'_>) -> Vec<String> {
    let mut all: Vec<String> = KINDS.iter().map(|kind| kind.to_string()).collect();
    for more in [
        "category=vital-signs",
        "category=laboratory",
        "code=1111-1",
        "code=2222-2,8867-4",
        "code:not=8867-4",
        "date=ge2026-02",
        "date=lt2026-03-01T00:02:00Z",
        "status=final,amended",
        "_tag:missing=true",
        "_lastUpdated=ge2020",
        "device:missing=false",
        "identifier:missing=false",
        SHARED,
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated",
        "_sort=date",
    ] {
        all.push(format!("Observation?{more}"));
        all.push(format!("Observation?patient={}&{more}", alice.patient));
    }
    all.extend(["Patient?name=alice", "Patient?identifier=urn:firth:user|", "Device?identifier=urn:i|1"].map(str::to_owned));
    all
}

/// What can be done with an id that is known or guessed.
fn by_id(alice: &Person<'_>, id: &str) -> Vec<Ask> {
    let path = format!("Observation/{id}");
    let mut all = reads_of(&path);
    all.push(get("hidden id", format!("Observation?_id={id}&_total=accurate")));
    let body = with(observation(&alice.patient, "vital-signs", "1111-1"), json!({"id": id}));
    let patch = json!([{"op": "remove", "path": "/status"}]);
    let send = |verb, kind, body: &Value| Ask { verb, ..post("hidden id", &format!("/{path}"), kind, body.to_string()) };
    all.push(send("PUT", FHIR, &body));
    all.push(send("PATCH", "application/json-patch+json", &patch));
    for mode in ["update", "delete"] {
        let sent = if mode == "update" { body.to_string() } else { String::new() };
        all.push(post("hidden id", &format!("/{path}/$validate?mode={mode}"), FHIR, sent));
    }
    let put = with(entry("PUT", &path), json!({"resource": body}));
    let patch = with(entry("PATCH", &path), json!({"resource": patch_of(&patch)}));
    for one in [put, patch] {
        all.extend(bundles(|_| "hidden id", &[one]));
    }
    all
}

/// Without saying what it would be.
fn reads_of(path: &str) -> Vec<Ask> {
    let mut all: Vec<Ask> = ["", "/_history/1", "/_history/2", "/_history"].map(|more| get("hidden id", format!("{path}{more}"))).into();
    for verb in ["HEAD", "DELETE"] {
        all.push(Ask { verb, ..get("hidden id", path) });
    }
    for one in [entry("GET", path), entry("GET", &format!("{path}/_history")), entry("DELETE", path)] {
        all.extend(bundles(|_| "hidden id", &[one]));
    }
    all
}

/// By criteria: some that only what is hidden answers, and some that one answers which is seen.
fn by_criteria(alice: &Person<'_>, shared: &Value) -> Vec<Ask> {
    let mut all = Vec::new();
    let patch = json!([{"op": "replace", "path": "/status", "value": shared["status"]}]);
    for (verb, criteria) in [
        ("PATCH", "code=4444-4"),
        ("DELETE", "code=4444-4"),
        ("DELETE", "code=4444-4&category=vital-signs"),
        // Nothing is changed by these, so that they can be asked again.
        ("PATCH", SHARED),
        ("PUT", SHARED),
    ] {
        let url = format!("Observation?{criteria}");
        let (kind, direct, resource) = match verb {
            "PATCH" => ("application/json-patch+json", Some(patch.to_string()), Some(patch_of(&patch))),
            "PUT" => (FHIR, Some(shared.to_string()), Some(shared.clone())),
            _ => (FHIR, None, None),
        };
        all.push(Ask { verb, body: direct.map(|body| (kind, body)), ..get("conditional", url.clone()) });
        let one = resource.map_or_else(|| entry(verb, &url), |resource| with(entry(verb, &url), json!({"resource": resource})));
        all.extend(bundles(|_| "conditional", &[one]));
    }
    let body = observation(&alice.patient, "vital-signs", "1111-1");
    all.push(Ask { header: Some(("if-none-exist", SHARED.to_owned())), ..post("conditional", "/Observation", FHIR, body.to_string()) });
    let one = json!({"request": {"method": "POST", "url": "Observation", "ifNoneExist": SHARED}, "resource": body});
    all.extend(bundles(|_| "conditional", &[one]));
    all
}

/// Histories of more than one resource.
fn histories() -> Vec<Ask> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.push(get("type history", format!("{kind}/_history")));
        all.push(get("next link", format!("{kind}/_history?_count=1")));
    }
    all.push(get("system history", "_history"));
    all.push(get("next link", "_history?_count=2"));
    let entries = ["Observation/_history", "Device/_history?_count=2", "Encounter/_history", "_history", "_history?_count=3"];
    for url in entries {
        all.extend(bundles(|_| "history in a bundle", &[entry("GET", url)]));
    }
    all
}

/// By the id of one that is seen.
fn of_seen(one: &Value) -> Vec<Ask> {
    let kind = one["resourceType"].as_str().unwrap();
    let path = format!("{kind}/{}", id(one));
    let mut all = vec![
        get("read", path.clone()),
        get("vread", format!("{path}/_history/1")),
        get("history", format!("{path}/_history")),
        post("$validate", &format!("/{path}/$validate?mode=delete"), FHIR, String::new()),
    ];
    let entries =
        [path.clone(), format!("{path}/_history"), format!("{kind}?_id={}&_total=accurate", id(one))].map(|url| entry("GET", &url));
    all.extend(bundles(|kind| if kind == "batch" { "batch" } else { "transaction" }, &entries));
    for mode in ["update", "create"] {
        all.push(post("$validate", &format!("/{kind}/$validate?mode={mode}"), FHIR, one.to_string()));
    }
    all
}

/// All of it. `seen` is what of Alice's may be seen, `shared` the one of it that has the identifier of hidden ones.
pub fn asks(alice: &Person<'_>, seen: &[Value], shared: &Value) -> Vec<Ask> {
    let mut all = Vec::new();
    for query in queries(alice) {
        let and = |more: &str| format!("{query}{}{more}", if query.contains('?') { '&' } else { '?' });
        all.push(get("search", query.clone()));
        all.push(get("total", and("_total=accurate")));
        all.push(get("count", and("_count=0")));
        all.push(get("next link", and("_count=1")));
        if let Some((kind, form)) = query.split_once('?') {
            all.push(post("_search", &format!("/{kind}/_search"), "application/x-www-form-urlencoded", form.to_owned()));
        }
        match query.split('?').next().unwrap_or_default() {
            "Observation" => all.push(get("include", and("_include=Observation:device&_include=Observation:subject"))),
            "Device" => all.push(get("include", and("_include=Device:patient"))),
            _ => {}
        }
    }
    all.extend(["AuditEvent", "AuditEvent?date=ge2020", "AuditEvent/_history"].map(|url| get("audit", url)));
    all.push(get("audit", format!("AuditEvent?patient={}", alice.patient)));
    all.extend(by_criteria(alice, shared));
    all.extend(HIDDEN_IDS.iter().flat_map(|id| by_id(alice, id)));
    all.extend(HIDDEN_PATHS.iter().flat_map(|path| reads_of(path)));
    all.extend(histories());
    all.extend(seen.iter().flat_map(of_seen));
    all
}
