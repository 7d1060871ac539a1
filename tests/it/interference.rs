//! Non-interference: what a caller may not see changes nothing of what it is answered.
//!
//! The answers of many requests are recorded, resources that are hidden from the caller are added, and the same requests
//! are sent again. Nothing may differ but the request's id, the time of the answer and the ciphertext of cursors, whose
//! length stays; what a cursor leads to is compared as well.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::granular::{created, observation, put, scoped, with};
use crate::support::payload::*;
use crate::support::{Bundle, Client, Person, Reply, TestServer};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// A request: which kind of path it is, and what is sent.
#[derive(Clone)]
struct Ask {
    path: &'static str,
    verb: &'static str,
    url: String,
    body: Option<(&'static str, String)>,
}

/// Kinds of paths that must occur.
const PATHS: [&str; 15] = [
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
    "batch",
    "transaction",
    "$validate",
    "conditional",
];

fn get(path: &'static str, url: impl Into<String>) -> Ask {
    Ask { path, verb: "GET", url: format!("/fhir/{}", url.into()), body: None }
}

fn post(path: &'static str, url: &str, kind: &'static str, body: String) -> Ask {
    Ask { path, verb: "POST", url: format!("/fhir{url}"), body: Some((kind, body)) }
}

fn send(client: &Client<'_>, ask: &Ask) -> Reply {
    match &ask.body {
        None => client.send(ask.verb, &ask.url, None),
        Some((kind, body)) => client.with("content-type", *kind).send(ask.verb, &ask.url, Some(body.as_bytes())),
    }
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

const KINDS: [&str; 5] = ["Observation", "Device", "Patient", "Encounter", "Practitioner"];

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
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated",
        "_sort=date",
    ] {
        all.push(format!("Observation?{more}"));
        all.push(format!("Observation?patient={}&{more}", alice.patient));
    }
    all
}

fn asks(alice: &Person<'_>, seen: &[Value]) -> Vec<Ask> {
    let mut all = Vec::new();
    for query in queries(alice) {
        let and = |more: &str| format!("{query}{}{more}", if query.contains('?') { '&' } else { '?' });
        all.push(get("search", query.clone()));
        all.push(get("total", and("_total=accurate")));
        all.push(get("count", and("_count=0")));
        all.push(get("next link", and("_count=1")));
        if let Some((kind, form)) = query.split_once('?') {
            all.push(post("_search", &format!("/{kind}/_search"), "application/x-www-form-urlencoded", form.to_owned()));
            all.push(get("include", and("_include=Observation:device&_include=Observation:subject")));
        }
    }
    // Only what is hidden answers these criteria.
    for (verb, url) in [
        ("PATCH", "Observation?code=4444-4"),
        ("DELETE", "Observation?code=4444-4"),
        ("DELETE", "Observation?code=4444-4&category=vital-signs"),
    ] {
        let body = Some(("application/json-patch+json", r#"[{"op": "replace", "path": "/status", "value": "final"}]"#.to_owned()));
        all.push(Ask { path: "conditional", verb, url: format!("/fhir/{url}"), body: body.filter(|_| verb == "PATCH") });
        let resource = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="});
        let entry = json!({"request": {"method": verb, "url": url}, "resource": resource});
        let entry = if verb == "PATCH" { entry } else { json!({"request": entry["request"]}) };
        for kind in ["batch", "transaction"] {
            let body = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
            all.push(post("conditional", "", "application/fhir+json", body.to_string()));
        }
    }
    for kind in KINDS {
        all.push(get("type history", format!("{kind}/_history")));
        all.push(get("next link", format!("{kind}/_history?_count=1")));
    }
    all.push(get("system history", "_history"));
    all.push(get("next link", "_history?_count=2"));
    for one in seen {
        let kind = one["resourceType"].as_str().unwrap();
        let path = format!("{kind}/{}", id(one));
        all.push(get("read", path.clone()));
        all.push(get("vread", format!("{path}/_history/1")));
        all.push(get("history", format!("{path}/_history")));
        let entries: Vec<Value> = [path.clone(), format!("{path}/_history"), "Observation?_total=accurate".into()]
            .iter()
            .map(|url| json!({"request": {"method": "GET", "url": url}}))
            .collect();
        for kind in ["batch", "transaction"] {
            let body = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
            all.push(post(if kind == "batch" { "batch" } else { "transaction" }, "", "application/fhir+json", body.to_string()));
        }
        all.push(post("$validate", &format!("/{path}/$validate?mode=delete"), "application/fhir+json", String::new()));
        for mode in ["update", "create"] {
            all.push(post("$validate", &format!("/{kind}/$validate?mode={mode}"), "application/fhir+json", one.to_string()));
        }
    }
    all
}

/// What is compared: all of the answer, without the request's id and time, cursors by their length.
fn told(reply: &Reply, kept: &mut Vec<String>) -> String {
    let request = reply.header("x-request-id").unwrap_or("none").to_owned();
    let mut headers: Vec<String> =
        reply.headers.iter().filter(|(name, _)| name != "date").map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let text = format!("{}\n{}\n{}", reply.status, headers.join("\n"), reply.text()).replace(&request, "REQUEST");
    let mut parts = text.split("_cursor=");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(part.len());
        kept.push(part[..end].to_owned());
        all.push_str(&format!("_cursor={}{}", "X".repeat(end), &part[end..]));
    }
    all
}

/// Every answer, and those that its next links lead to.
fn answers(client: &Client<'_>, asks: &[Ask]) -> Vec<(Ask, String)> {
    let mut all = Vec::new();
    for ask in asks {
        let reply = send(client, ask);
        assert!(reply.status < 500, "{}: {}", ask.url, reply.text());
        all.push((ask.clone(), told(&reply, &mut Vec::new())));
        let mut next = serde_json::from_slice(&reply.body).ok().and_then(|body| Bundle(body).next());
        while let Some(url) = next {
            let reply = client.get(&url).is(200);
            all.push((ask.clone(), told(&reply, &mut Vec::new())));
            next = Bundle(reply.json()).next();
        }
    }
    all
}

/// A world of two people: what of Alice's may be seen is returned.
fn world(server: &TestServer, alice: &Person<'_>) -> Vec<Value> {
    let ehr = server.ehr();
    let patient = json!({"reference": format!("Patient/{}", alice.patient)});
    let device = created(&ehr, &json!({"resourceType": "Device", "patient": patient, "identifier": [{"system": "urn:i", "value": "1"}]}));
    let mut seen = vec![device.clone()];
    for n in 0..4 {
        let more =
            json!({"effectiveDateTime": format!("2026-02-2{n}T08:30:00Z"), "device": {"reference": format!("Device/{}", id(&device))}});
        seen.push(created(&ehr, &with(observation(&alice.patient, "vital-signs", "1111-1"), more)));
    }
    put(&ehr, &with(seen[1].clone(), json!({"status": "amended"}))).is(200);
    // One that is gone, and one whose first version was of another kind.
    ehr.delete(&format!("/fhir/Observation/{}", id(&seen[4]))).is(204);
    let moved = created(&ehr, &observation(&alice.patient, "laboratory", "1111-1"));
    put(&ehr, &with(moved.clone(), json!({"category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]}))).is(200);
    seen.push(moved);
    seen.push(created(&ehr, &json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient})));
    seen.push(created(&ehr, &json!({"resourceType": "Practitioner", "name": [{"family": "Shared"}]})));
    alice.stores(&apple([hearts("h", 3), vec![heart("", &minute(40), "71")]].concat()));
    for value in ["60", "61"] {
        alice.stores(&apple(vec![heart("twice", &minute(50), value)]));
    }
    seen.extend(alice.finds("&code=8867-4").matches().into_iter().take(3));
    seen
}

/// What nobody of this test may see: another's, and Alice's own outside of the constraint. Ids by type.
fn hidden(server: &TestServer, alice: &Person<'_>, bob: &Person<'_>) -> BTreeMap<&'static str, Vec<String>> {
    let ehr = server.ehr();
    let mut all: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for n in 0..6 {
        let outside =
            with(observation(&alice.patient, "laboratory", "1111-1"), json!({"effectiveDateTime": format!("2026-02-2{n}T08:30:00Z")}));
        let of_bob =
            with(observation(&bob.patient, "vital-signs", "1111-1"), json!({"effectiveDateTime": format!("2026-02-2{n}T08:29:00Z")}));
        for body in [outside, of_bob] {
            all.entry("Observation").or_default().push(id(&created(&ehr, &body)));
        }
        let patient = json!({"reference": format!("Patient/{}", bob.patient)});
        all.entry("Device").or_default().push(id(&created(
            &ehr,
            &json!({"resourceType": "Device", "patient": patient, "identifier": [{"system": "urn:i", "value": "1"}]}),
        )));
        all.entry("Encounter").or_default().push(id(&created(
            &ehr,
            &json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient}),
        )));
    }
    for body in [
        observation(&alice.patient, "laboratory", "4444-4"),
        observation(&alice.patient, "survey", "4444-4"),
        observation(&bob.patient, "vital-signs", "4444-4"),
        observation(&bob.patient, "vital-signs", "4444-4"),
    ] {
        all.entry("Observation").or_default().push(id(&created(&ehr, &body)));
    }
    let gone = created(&ehr, &observation(&alice.patient, "laboratory", "2222-2"));
    ehr.delete(&format!("/fhir/Observation/{}", id(&gone))).is(204);
    // A device of Alice's own measures what is not asked for, and Bob's what is.
    alice.stores(&apple((0..9).map(|n| record(STEPS, &format!("s{n}"), &minute(n), "7")).collect()));
    bob.stores(&apple(hearts("b", 9)));
    all.entry("Observation").or_default().extend(alice.finds("&category=activity").ids());
    all.entry("Observation").or_default().extend(bob.finds("&code=8867-4").ids());
    all
}

/// Records, adds, asks again, and compares.
fn nothing_shows(server: &TestServer, who: &[(&str, String)]) {
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    let seen = world(server, &alice);
    let asks = asks(&alice, &seen);
    for path in PATHS {
        assert!(asks.iter().any(|ask| ask.path == path), "no {path}");
    }
    let clients: Vec<(&str, Client<'_>)> =
        who.iter().map(|(role, scope)| (*role, scoped(server, role, &[&alice.patient], scope))).collect();
    let before: Vec<Vec<(Ask, String)>> = clients.iter().map(|(_, client)| answers(client, &asks)).collect();
    let added = hidden(server, &alice, &bob);
    for ((role, client), before) in clients.iter().zip(&before) {
        let rows = before
            .iter()
            .filter(|(_, answer)| answer.contains("\"resourceType\":\"Observation\"") || answer.contains("\"resourceType\":\"Device\""))
            .count();
        assert!(rows * 2 >= before.len(), "{role}: only {rows} of {} answers show anything", before.len());
        let after = answers(client, &asks);
        assert_eq!(before.len(), after.len(), "{role}");
        for ((ask, before), (_, after)) in before.iter().zip(&after) {
            assert_eq!(before, after, "{role}: {} {} {:?}", ask.verb, ask.url, ask.body);
        }
        for (kind, ids) in &added {
            for id in ids {
                assert!(after.iter().all(|(_, answer)| !answer.contains(id.as_str())), "{role} was shown {kind}/{id}");
            }
        }
    }
    // Each addition would have been there to be seen.
    let system = server.ehr();
    let shown: Vec<String> = answers(&system, &asks).into_iter().map(|(_, answer)| answer).collect();
    for (kind, ids) in &added {
        for id in ids {
            assert!(shown.iter().any(|answer| answer.contains(id.as_str())), "{kind}/{id} is nowhere in what a system is answered");
        }
    }
}

both! {
    fn what_is_hidden_changes_no_byte(server) {
        const REST: &str = "Device.rs?identifier=urn:i%7C1 CONTEXT/Patient.rs CONTEXT/Encounter.rs CONTEXT/Practitioner.rs";
        let scopes = |context: &str, letters: &str| format!("CONTEXT/Observation.{letters}?category=vital-signs CONTEXT/{REST}").replace("CONTEXT", context);
        nothing_shows(server, &[("patient", scopes("patient", "rs")), ("clinician", scopes("user", "cruds"))]);
    }
}
