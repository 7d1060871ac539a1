//! Scopes of few letters and of constraints, by every way there is to ask.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::*;
use crate::granular::{created, observation, put, scoped, with};
use crate::support::payload::{STEPS, apple, minute, record};
use crate::support::{Bundle, Client};

const VITAL: &str = "patient/Observation.rs?category=vital-signs";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}"))
}

/// The versions of an Observation that a history tells of, newest first.
fn versions(history: &Value, of: &str) -> Vec<String> {
    let entries = history["entry"].as_array().into_iter().flatten();
    let of_it = entries.filter(|entry| entry["fullUrl"].as_str().is_some_and(|url| url.ends_with(of)));
    of_it.map(|entry| entry["response"]["etag"].as_str().unwrap_or("no etag").replace(['W', '/', '"'], "")).collect()
}

/// An Observation whose versions end so when each is asked for, 404 being that it is not shown: by itself, in Bundles, in
/// histories and page by page.
#[track_caller]
fn shows(client: &Client<'_>, of: &str, ends: &[u16]) {
    for (version, end) in (1..).zip(ends) {
        for (way, status, body) in bodies(client, &format!("Observation/{of}/_history/{version}")) {
            assert_eq!(status, *end, "{way} of version {version}: {body}");
            let told = body["meta"]["versionId"].as_str().and_then(|told| told.parse::<i32>().ok());
            assert!(status != 200 || told == Some(version), "{way} of version {version}: {body}");
        }
    }
    let now = ends.last().expect("a version");
    for (way, status, body) in bodies(client, &format!("Observation/{of}")) {
        assert_eq!(status, *now, "{way}: {body}");
    }
    let seen: Vec<String> = ends.iter().enumerate().rev().filter(|(_, end)| **end != 404).map(|(n, _)| (n + 1).to_string()).collect();
    for url in [format!("Observation/{of}/_history"), "Observation/_history".to_owned(), "_history".to_owned()] {
        let whole = if seen.is_empty() && url.contains(of) { 404 } else { 200 };
        for (way, status, body) in bodies(client, &url) {
            assert_eq!((status, versions(&body, of)), (whole, seen.clone()), "{way} {url}");
        }
        if whole == 200 {
            let pages: Vec<String> = client.pages(&format!("{url}?_count=1")).iter().flat_map(|page| versions(&page.0, of)).collect();
            assert_eq!(pages, seen, "next links of {url}");
        }
    }
    finds(client, &format!("Observation?_id={of}"), &if *now == 200 { vec![format!("Observation/{of}")] } else { Vec::new() });
}

both! {
    fn a31_a_version_is_judged_by_itself_by_every_way(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let who = scoped(server, "patient", &[&alice.patient], VITAL);
        let first = created(&ehr, &observation(&alice.patient, "laboratory", "1-8"));
        let moved = with(first.clone(), json!({"category": observation(&alice.patient, "vital-signs", "1-8")["category"]}));
        shows(&who, id(&first), &[404]);
        put(&ehr, &moved).is(200);
        shows(&who, id(&first), &[404, 200]);
        put(&ehr, &first).is(200);
        shows(&who, id(&first), &[404, 200, 404]);
        // That it was deleted is told of what was seen until then.
        ehr.delete(&format!("/fhir/Observation/{}", id(&first))).is(204);
        shows(&who, id(&first), &[404, 200, 404, 404]);
        put(&ehr, &moved).is(201);
        ehr.delete(&format!("/fhir/Observation/{}", id(&first))).is(204);
        shows(&who, id(&first), &[404, 200, 404, 404, 200, 410]);
    }
}

both! {
    fn a31_a_version_of_a_sample_is_judged_by_itself_by_every_way(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let of = |scope: &str| scoped(server, "patient", &[&alice.patient], scope);
        let (active, amended) = (of("patient/Observation.rs?category=activity"), of("patient/Observation.rs?status=amended"));
        for value in ["100", "150"] {
            alice.stores(&apple(vec![record(STEPS, "r", &minute(0), value)]));
        }
        let sample = alice.finds("").only();
        shows(&active, id(&sample), &[200, 200]);
        shows(&amended, id(&sample), &[404, 200]);
        let survey = observation(&alice.patient, "survey", "1-8")["category"].clone();
        put(&ehr, &with(sample.clone(), json!({"category": survey, "status": "final"}))).is(200);
        shows(&active, id(&sample), &[200, 200, 404]);
        shows(&amended, id(&sample), &[404, 200, 404]);
        put(&ehr, &sample).is(200);
        shows(&active, id(&sample), &[200, 200, 404, 200]);
    }
}

both! {
    fn a30_what_is_included_is_within_the_scopes_by_every_way(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let device = |kind: &str| created(&ehr, &json!({"resourceType": "Device", "patient": {"reference": format!("Patient/{}", alice.patient)}, "type": {"coding": [{"system": "urn:d", "code": kind}]}}));
        let devices = [device("watch"), device("scale")].map(|one| format!("Device/{}", id(&one)));
        let measured = |by: &String| created(&ehr, &with(observation(&alice.patient, "vital-signs", "1-8"), json!({"device": {"reference": by}})));
        let matches = devices.each_ref().map(|by| format!("match Observation/{}", id(&measured(by))));
        let [watch, scale] = &devices;
        let of_alice = format!("Patient/{}", alice.patient);
        for (scopes, included) in [
            (VITAL.to_owned(), vec![]),
            ("patient/Observation.rs".to_owned(), vec![]),
            (format!("{VITAL} patient/Device.r"), vec![]),
            (format!("{VITAL} patient/Device.s"), vec![]),
            (format!("{VITAL} patient/Device.r?type=watch patient/Device.s?type=scale"), vec![]),
            (format!("{VITAL} patient/Device.rs?type=watch"), vec![watch]),
            (format!("{VITAL} patient/Device.rs"), vec![watch, scale]),
            ("patient/*.rs".to_owned(), vec![watch, scale, &of_alice]),
        ] {
            let client = scoped(server, "patient", &[&alice.patient], &scopes);
            let included = included.iter().map(|one| format!("include {one}"));
            let expected: BTreeSet<String> = matches.iter().cloned().chain(included).collect();
            for (way, came) in ways(&client, "Observation?_include=Observation:device&_include=Observation:subject") {
                assert_eq!((came.status, &came.entries), (200, &expected), "{way} by {scopes}");
            }
        }
    }
}

both! {
    fn a29_what_is_beyond_the_scope_is_absent_by_every_way(server) {
        let w = World::new(server);
        let laboratory = created(&server.ehr(), &observation(&w.a.patient, "laboratory", "1-8"));
        let vital = created(&server.ehr(), &observation(&w.a.patient, "vital-signs", "1-8"));
        for (role, scope) in [("patient", VITAL), ("clinician", "user/Observation.rs?category=vital-signs")] {
            let client = scoped(server, role, &[&w.a.patient], scope);
            reads(&client, &format!("Observation/{}", id(&vital)));
            for hidden in [id(&laboratory), &w.a1, &w.b1] {
                absent(&client, &format!("Observation/{hidden}"));
            }
            finds(&client, "Observation?code=1-8", &[format!("Observation/{}", id(&vital))]);
        }
    }
}

fn of_fhirpath(kind: &str, path: &str, value: Option<&str>) -> Value {
    let mut part = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": path})];
    part.extend(value.map(|value| json!({"name": "value", "valueCode": value})));
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]})
}

both! {
    fn a39_what_is_done_to_what_is_found_needs_search(server) {
        let w = World::new(server);
        let without = w.scoped("user/Observation.crud");
        let all = || server.ehr().search("Observation?_count=0").total();
        let before = (all(), server.ehr().get(&format!("/fhir/Observation/{}", w.a1)).is(200).text());
        let body = observation(&w.a.patient, "survey", "1-8");
        let patches = [json!([{"op": "replace", "path": "/status", "value": "amended"}]), of_fhirpath("replace", "Observation.status", Some("amended"))];
        // Whether there is anything to be found makes no difference.
        for criteria in ["same", "none"] {
            let url = format!("Observation?identifier=urn:example:obs%7C{criteria}");
            assert_eq!(written(&without, "PUT", &url, Some(&body)), [403; 3], "PUT {criteria}");
            for patch in &patches {
                assert_eq!(written(&without, "PATCH", &url, Some(patch)), [403; 3], "PATCH {criteria}");
            }
            assert_eq!(written(&without, "DELETE", &url, None), [403; 3], "DELETE {criteria}");
            let unless = format!("identifier=urn:example:obs|{criteria}");
            without.with("if-none-exist", &unless).post("/fhir/Observation", &body).is(403);
            let entry = json!({"method": "POST", "url": "Observation", "ifNoneExist": unless});
            let batch = bundled(&without, "batch", &entry, Some(&body)).is(200);
            assert_eq!(batch.text_at("/entry/0/response/status"), "403", "POST {criteria} in a batch");
            bundled(&without, "transaction", &entry, Some(&body)).is(403);
        }
        assert_eq!((all(), server.ehr().get(&format!("/fhir/Observation/{}", w.a1)).is(200).text()), before);
        // With it they are done.
        let able = w.scoped("user/Observation.cruds");
        let found = "Observation?identifier=urn:example:obs%7Csame";
        assert_eq!(written(&able, "PATCH", found, Some(&patches[0])), [200; 3]);
        assert_eq!(written(&able, "PATCH", found, Some(&patches[1])), [200; 3]);
        let entry = json!({"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:example:obs|same"});
        for kind in ["batch", "transaction"] {
            assert_eq!(bundled(&able, kind, &entry, Some(&body)).is(200).text_at("/entry/0/response/status"), "200", "{kind}");
        }
    }
}

/// How to write an Observation without its label: the method, by its criteria or by its id, and what is sent.
fn without_label(id: &str, body: &Value) -> Vec<(&'static str, String, Value)> {
    let whole = with(body.clone(), json!({"id": id}));
    let json_patch = json!([{"op": "remove", "path": "/meta/security"}]);
    let by_path = of_fhirpath("delete", "Observation.meta.security.where(code = 'R')", None);
    let urls = [format!("Observation/{id}"), format!("Observation?_id={id}")];
    let sent = [("PUT", whole), ("PATCH", json_patch), ("PATCH", by_path)];
    urls.iter().flat_map(|url| sent.clone().map(|(method, sent)| (method, url.clone(), sent))).collect()
}

both! {
    fn a65_a_label_stays_however_it_is_taken_off(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let body = observation(&alice.patient, "laboratory", "1-8");
        let label = json!([{"system": CONFIDENTIALITY, "code": "R"}]);
        let labelled = with(body.clone(), json!({"meta": {"security": label}}));
        let of = |id: &str| ehr.get(&format!("/fhir/Observation/{id}")).is(200).at("/meta/security");
        let bound = scoped(server, "ehr-system", &[], "system/Observation.cruds?_security=R");
        let clinician = scoped(server, "clinician", &[&alice.patient], "user/Observation.cruds");
        let blind = scoped(server, "clinician", &[&alice.patient], "user/Observation.u");
        for (name, who) in [("bound", &bound), ("clinician", &clinician), ("blind", &blind)] {
            let made = created(&ehr, &labelled);
            for (method, url, sent) in without_label(id(&made), &body) {
                // Who does not see what there is neither patches nor looks for it.
                let able = name != "blind" || (method == "PUT" && !url.contains('?'));
                assert_eq!(written(who, method, &url, Some(&sent)), [if able { 200 } else { 403 }; 3], "{name}: {method} {url} {sent}");
                assert_eq!(of(id(&made)), label, "{name}: {method} {url} {sent}");
            }
        }
        // Whom it does not bind takes it off by each of them.
        for n in 0..6 {
            let made = created(&ehr, &labelled);
            let (method, url, sent) = without_label(id(&made), &body).swap_remove(n);
            let [alone, ..] = written(&ehr, method, &url, Some(&sent));
            assert_eq!((alone, of(id(&made))), (200, Value::Null), "{method} {url} {sent}");
        }
    }
}

both! {
    fn a33_searching_alone_reads_no_version_by_any_way(server) {
        let w = World::new(server);
        let s = w.scoped("user/Observation.s");
        assert!(!Bundle(s.get("/fhir/Observation").is(200).json()).matches().is_empty());
        // The answer does not depend on what there is.
        for of in [w.a1.as_str(), w.b1.as_str(), ABSENT] {
            for more in ["", "/_history/1", "/_history", "/_history?_count=1"] {
                for (way, came) in alone_and_bundled(&s, &format!("Observation/{of}{more}")) {
                    assert_eq!((came.status, came.code.as_str(), came.entries.len()), (403, "auth.forbidden", 0), "{way} {of}{more}");
                }
            }
        }
    }
}
