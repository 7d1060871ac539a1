//! Scopes with constraints: `Observation.rs?category=...|laboratory` on every way that leads to a resource.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::payload::*;
use crate::support::{Bundle, Client, Person, Reply, TestServer};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const LOINC: &str = "http://loinc.org";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ABSENT: &str = "c0ffee00-0000-4000-8000-000000000000";

/// An Observation of a patient that says a little of everything a scope may ask for.
pub fn observation(patient: &str, category: &str, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": "2026-02-24T08:30:00Z",
        "valueString": "something"
    })
}

/// With other members.
pub fn with(mut body: Value, members: Value) -> Value {
    for (name, value) in members.as_object().expect("members") {
        body[name] = value.clone();
    }
    body
}

pub fn put(client: &Client<'_>, body: &Value) -> Reply {
    let (kind, id) = (body["resourceType"].as_str().unwrap(), body["id"].as_str().unwrap());
    client.with("content-type", "application/fhir+json").send("PUT", &format!("/fhir/{kind}/{id}"), Some(body.to_string().as_bytes()))
}

pub fn created(client: &Client<'_>, body: &Value) -> Value {
    client.post(&format!("/fhir/{}", body["resourceType"].as_str().unwrap()), body).is(201).json()
}

/// Somebody of a role with these scopes only.
#[track_caller]
pub fn scoped<'s>(server: &'s TestServer, role: &str, patients: &[&str], scope: &str) -> Client<'s> {
    let mut arguments = vec!["--role", role, "--scope", scope];
    patients.iter().for_each(|patient| arguments.extend(["--patient", patient]));
    server.nobody().bearer(&server.token(&arguments).0)
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

fn entry(method: &str, url: &str) -> Value {
    json!({"request": {"method": method, "url": url}})
}

/// The ids of resources of this type in a Bundle of any kind, also of those within its entries.
fn ids_in(bundle: &Value, of: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        let resource = &entry["resource"];
        match resource["resourceType"].as_str() {
            Some("Bundle") => found.extend(ids_in(resource, of)),
            Some(kind) if kind == of => found.push(id(resource)),
            _ => {}
        }
    }
    found
}

/// A way to resources of a type: its name, and what it showed, as ids.
type Shown = (&'static str, Vec<String>);

/// Every way that shows many, walked to its end.
fn ways(client: &Client<'_>, of: &str) -> Vec<Shown> {
    let all = |first: String| -> Vec<Value> {
        let (mut pages, mut next) = (Vec::new(), Some(first));
        while let Some(path) = next {
            let page = client.get(&path).is(200).json();
            next = Bundle(page.clone()).next();
            pages.push(page);
            assert!(pages.len() < 200, "pages without end");
        }
        pages
    };
    let ids = |pages: Vec<Value>| -> Vec<String> { pages.iter().flat_map(|page| ids_in(page, of)).collect() };
    let form = client.with("content-type", "application/x-www-form-urlencoded");
    let posted = form.send("POST", &format!("/fhir/{of}/_search"), Some(b"_count=1000")).is(200).json();
    let batch =
        client.post("/fhir", &bundle("batch", vec![entry("GET", &format!("{of}?_count=1000")), entry("GET", &format!("{of}/_history"))]));
    let batch = batch.is(200).json();
    let transaction = client.post("/fhir", &bundle("transaction", vec![entry("GET", &format!("{of}?_count=1000"))])).is(200).json();
    vec![
        ("search", ids(all(format!("/fhir/{of}?_count=1000")))),
        ("next links", ids(all(format!("/fhir/{of}?_count=1")))),
        ("next links by commit", ids(all(format!("/fhir/{of}?_count=2&_sort=_lastUpdated")))),
        ("POST _search", ids(vec![posted])),
        ("history of the type", ids(all(format!("/fhir/{of}/_history?_count=3")))),
        ("history of all", ids(all("/fhir/_history?_count=3".to_owned()))),
        ("search in a batch", ids(vec![json!({"entry": [batch["entry"][0]]})])),
        ("history in a batch", ids(vec![json!({"entry": [batch["entry"][1]]})])),
        ("search in a transaction", ids(vec![transaction])),
    ]
}

/// Of every way to the Observations: `seen` is shown, `hidden` is as if it were not there.
#[track_caller]
fn only(client: &Client<'_>, seen: &[String], hidden: &[String]) {
    let wanted: BTreeSet<&String> = seen.iter().collect();
    for (way, shown) in ways(client, "Observation") {
        let shown: BTreeSet<&String> = shown.iter().collect();
        assert_eq!(shown, wanted, "{way}");
    }
    let total = seen.len() as i64;
    for query in ["_count=0", "_total=accurate&_count=1", "_total=accurate"] {
        assert_eq!(client.search(&format!("Observation?{query}")).total(), Some(total), "{query}");
    }
    for id in seen {
        let read = client.get(&format!("/fhir/Observation/{id}")).is(200);
        let version = read.text_at("/meta/versionId");
        client.get(&format!("/fhir/Observation/{id}/_history/{version}")).is(200);
        assert_eq!(client.send("HEAD", &format!("/fhir/Observation/{id}"), None).status, 200);
        assert_eq!(client.search(&format!("Observation/{id}/_history")).total(), Some(1));
        assert_eq!(client.search(&format!("Observation?_id={id}")).ids(), std::slice::from_ref(id));
        let ways = [String::new(), format!("/_history/{version}"), "/_history".to_owned()].map(|more| format!("Observation/{id}{more}"));
        for kind in ["batch", "transaction"] {
            let done = client.post("/fhir", &bundle(kind, ways.each_ref().map(|way| entry("GET", way)).to_vec())).is(200);
            assert_eq!([0, 1, 2].map(|n| done.text_at(&format!("/entry/{n}/response/status"))), ["200"; 3], "{kind} {id}");
        }
    }
    // What is hidden is answered as what is not there, to the letter.
    let words = |reply: &Reply, id: &str| reply.at("/issue/0/details").to_string().replace(id, "ID");
    for id in hidden {
        for more in ["", "/_history/1", "/_history"] {
            let (refused, absent) = (
                client.get(&format!("/fhir/Observation/{id}{more}")).is(404),
                client.get(&format!("/fhir/Observation/{ABSENT}{more}")).is(404),
            );
            assert_eq!((words(&refused, id), refused.header("etag")), (words(&absent, ABSENT), None), "{more}");
        }
        let not_modified = client.with("if-none-match", "W/\"1\"").get(&format!("/fhir/Observation/{id}"));
        assert_eq!((not_modified.status, client.send("HEAD", &format!("/fhir/Observation/{id}"), None).status), (404, 404));
        let found = client.search(&format!("Observation?_id={id}&_total=accurate"));
        assert_eq!((found.ids().len(), found.total()), (0, Some(0)));
        let path = format!("Observation/{id}");
        let ways = [path.clone(), format!("{path}/_history/1"), format!("{path}/_history")];
        let batch = client.post("/fhir", &bundle("batch", ways.each_ref().map(|way| entry("GET", way)).to_vec())).is(200);
        for (n, way) in ways.iter().enumerate() {
            assert_eq!(batch.text_at(&format!("/entry/{n}/response/status")), "404", "{way} in a batch");
            client.post("/fhir", &bundle("transaction", vec![entry("GET", way)])).is(404);
        }
    }
}

fn ids(bodies: &[Value]) -> Vec<String> {
    bodies.iter().map(id).collect()
}

both! {
    fn documents_by_every_kind_of_constraint(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let device = created(&ehr, &json!({"resourceType": "Device", "patient": {"reference": format!("Patient/{}", alice.patient)}}));
        let secret = json!({"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}], "tag": [{"system": "urn:t", "code": "x"}]}});
        let of = |category: &str, code: &str, more: Value| created(&ehr, &with(observation(&alice.patient, category, code), more));
        let plain = of("vital-signs", "1111-1", json!({}));
        let laboratory = of("laboratory", "2345-7", json!({}));
        let restricted = of("survey", "1-8", secret);
        let late = of("activity", "2-6", json!({"effectiveDateTime": "2026-05-01T10:00:00Z", "device": {"reference": format!("Device/{}", id(&device))}}));
        let of_bob = created(&ehr, &observation(&bob.patient, "laboratory", "1111-1"));
        let all = [&plain, &laboratory, &restricted, &late, &of_bob];
        for (scope, seen) in [
            (format!("Observation.rs?category={CATEGORY}|laboratory"), vec![&laboratory, &of_bob]),
            ("Observation.rs?category=laboratory,survey".to_owned(), vec![&laboratory, &of_bob, &restricted]),
            (format!("Observation.rs?code={LOINC}|1111-1 CONTEXT/Observation.rs?code=2-6"), vec![&plain, &of_bob, &late]),
            ("Observation.rs?code=1111-1&category=vital-signs".to_owned(), vec![&plain]),
            (format!("Observation.rs?_security={CONFIDENTIALITY}|R"), vec![&restricted]),
            ("Observation.rs?_tag=urn:t|x".to_owned(), vec![&restricted]),
            ("Observation.rs?date=ge2026-03".to_owned(), vec![&late]),
            ("Observation.rs?date=2026-02-24&category=laboratory".to_owned(), vec![&laboratory, &of_bob]),
            (format!("Observation.rs?device=Device/{}", id(&device)), vec![&late]),
            (format!("Observation.rs?subject=Patient/{}", bob.patient), vec![&of_bob]),
            (format!("Observation.rs?_id={},{}", id(&plain), id(&of_bob)), vec![&plain, &of_bob]),
            ("*.rs?_lastUpdated=ge2020".to_owned(), all.to_vec()),
            ("*.rs?_lastUpdated=lt2020".to_owned(), vec![]),
            ("Observation.rs?code=urn:other|1111-1".to_owned(), vec![]),
        ] {
            for (role, context, patients) in [("ehr-system", "system", &[][..]), ("clinician", "user", &[&alice.patient][..]), ("patient", "patient", &[&alice.patient])] {
                let patients: Vec<&str> = patients.iter().map(|patient| patient.as_str()).collect();
                let client = scoped(server, role, &patients, &format!("{context}/{}", scope.replace("CONTEXT", context)));
                let may = |one: &Value| role == "ehr-system" || one["subject"]["reference"] == format!("Patient/{}", alice.patient);
                let seen: Vec<String> = seen.iter().filter(|one| may(one)).map(|one| id(one)).collect();
                let hidden: Vec<String> = all.iter().map(|one| id(one)).filter(|id| !seen.contains(id)).collect();
                only(&client, &seen, &hidden);
            }
        }
    }
}

fn samples(alice: &Person<'_>) -> (Vec<String>, Vec<String>) {
    let mut records = hearts("h", 3);
    records.extend((0..4).map(|n| record(STEPS, &format!("s-{n}"), &minute(10 + n), "100")));
    alice.stores(&apple(records));
    (alice.finds("&code=8867-4").ids(), alice.finds("&category=activity").ids())
}

both! {
    fn samples_as_documents(server) {
        let alice = server.person("alice");
        let (hearts, steps) = samples(&alice);
        assert_eq!((hearts.len(), steps.len()), (3, 4));
        let all: Vec<String> = [hearts.clone(), steps.clone()].concat();
        let second = alice.finds("&code=8867-4&_sort=date").matches()[1].clone();
        let device = second["device"]["reference"].as_str().unwrap().to_owned();
        for (scope, seen) in [
            (format!("Observation.rs?category={CATEGORY}|vital-signs"), &hearts),
            ("Observation.rs?category=activity".to_owned(), &steps),
            ("Observation.rs?code=8867-4 patient/Observation.rs?category=activity".to_owned(), &all),
            ("Observation.rs?code=8867-4&category=activity".to_owned(), &Vec::new()),
            (format!("Observation.rs?date={}", second["effectiveDateTime"].as_str().unwrap().replace('+', "%2B")), &vec![id(&second)]),
            ("Observation.rs?date=lt2026-03-01T00:10:00Z".to_owned(), &hearts),
            (format!("Observation.rs?_id={}", id(&second)), &vec![id(&second)]),
            (format!("Observation.rs?identifier={}", second["identifier"][0]["value"].as_str().unwrap()), &vec![id(&second)]),
            (format!("Observation.rs?device={device}&status=final"), &all),
            ("Observation.rs?status=amended".to_owned(), &Vec::new()),
            (format!("Observation.rs?patient={}&category=activity", alice.patient), &steps),
            (format!("Observation.rs?subject=Patient/{ABSENT}"), &Vec::new()),
            ("Observation.rs?_security=R".to_owned(), &Vec::new()),
        ] {
            let client = scoped(server, "patient", &[&alice.patient], &format!("patient/{scope}"));
            let hidden: Vec<String> = all.iter().filter(|id| !seen.contains(id)).cloned().collect();
            only(&client, seen, &hidden);
        }
    }
}

both! {
    fn each_version_is_judged_by_itself(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let vital = scoped(server, "patient", &[&alice.patient], "patient/Observation.rs?category=vital-signs");
        let first = created(&ehr, &observation(&alice.patient, "laboratory", "1-8"));
        let moved = with(first.clone(), json!({"category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]}));
        let path = format!("/fhir/Observation/{}", id(&first));
        put(&ehr, &moved).is(200);
        let shown = |path: &str| vital.get(path).status;
        assert_eq!((shown(&path), shown(&format!("{path}/_history/1")), shown(&format!("{path}/_history/2"))), (200, 404, 200));
        put(&ehr, &first).is(200);
        // What it was may be seen, what it is may not.
        assert_eq!(shown(&path), 404);
        assert_eq!([1, 2, 3].map(|version| shown(&format!("{path}/_history/{version}"))), [404, 200, 404]);
        let history = Bundle(vital.get(&format!("{path}/_history")).is(200).json());
        assert_eq!((history.total(), history.0["entry"].as_array().map(Vec::len), &history.0["entry"][0]["resource"]["meta"]["versionId"]), (Some(1), Some(1), &json!("2")));
        let one_a_page = Bundle(vital.get(&format!("{path}/_history?_count=1")).is(200).json());
        assert_eq!((one_a_page.total(), one_a_page.next()), (Some(1), None));
        for way in ["Observation/_history", "_history"] {
            let versions: Vec<Value> = vital.search(way).0["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["meta"]["versionId"].clone()).collect();
            assert_eq!(versions, [json!("2")], "{way}");
        }
        assert_eq!(vital.search("Observation?_total=accurate").total(), Some(0));
        // A deletion is judged by what was deleted.
        ehr.delete(&path).is(204);
        assert_eq!((shown(&path), shown(&format!("{path}/_history/4")), vital.search("Observation/_history").0["entry"].as_array().unwrap().len()), (404, 404, 1));
        put(&ehr, &moved).is(201);
        ehr.delete(&path).is(204);
        let gone = vital.get(&path).is(410);
        assert_eq!((gone.header("etag"), shown(&format!("{path}/_history/6"))), (Some("W/\"6\""), 410));
        assert_eq!(vital.search("Observation/_history").0["entry"].as_array().unwrap().len(), 3);
    }
}

both! {
    fn each_version_of_a_sample_is_judged_by_itself(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let active = scoped(server, "patient", &[&alice.patient], "patient/Observation.rs?category=activity");
        let amended = scoped(server, "patient", &[&alice.patient], "patient/Observation.rs?status=amended");
        for value in ["100", "150"] {
            alice.stores(&apple(vec![record(STEPS, "r", &minute(0), value)]));
        }
        let sample = alice.finds("").only();
        let path = format!("/fhir/Observation/{}", id(&sample));
        let shown = |client: &Client<'_>| [1, 2, 3, 4].map(|version| client.get(&format!("{path}/_history/{version}")).status);
        assert_eq!((shown(&active), shown(&amended)), ([200, 200, 404, 404], [404, 200, 404, 404]));
        assert_eq!(amended.search(&format!("Observation/{}/_history", id(&sample))).total(), Some(1));
        let edited = with(sample.clone(), json!({"category": [{"coding": [{"system": CATEGORY, "code": "survey"}]}], "status": "final"}));
        put(&ehr, &edited).is(200);
        assert_eq!((shown(&active), active.get(&path).status, active.search("Observation").ids().len()), ([200, 200, 404, 404], 404, 0));
        assert_eq!(active.search(&format!("Observation/{}/_history", id(&sample))).total(), Some(2));
        put(&ehr, &sample).is(200);
        assert_eq!((shown(&active), active.search("Observation").ids()), ([200, 200, 404, 200], vec![id(&sample)]));
        // One that nobody had edited: the deletion is judged by what the device measured.
        alice.stores(&apple(vec![heart("q", &minute(9), "60"), record(STEPS, "w", &minute(9), "7")]));
        let (steps, heart) = (alice.finds("&date=ge2026-03-01T00:05:00Z&category=activity").only(), alice.finds("&code=8867-4").only());
        for one in [&steps, &heart] {
            ehr.delete(&format!("/fhir/Observation/{}", id(one))).is(204);
        }
        assert_eq!([&steps, &heart].map(|one| active.get(&format!("/fhir/Observation/{}", id(one))).status), [410, 404]);
    }
}

both! {
    fn an_include_takes_the_letters_and_the_constraints_of_its_type(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let device = |kind: &str| created(&ehr, &json!({"resourceType": "Device", "patient": {"reference": format!("Patient/{}", alice.patient)}, "type": {"coding": [{"system": "urn:d", "code": kind}]}}));
        let (watch, scale) = (device("watch"), device("scale"));
        for one in [&watch, &scale] {
            created(&ehr, &with(observation(&alice.patient, "laboratory", "1-8"), json!({"device": {"reference": format!("Device/{}", id(one))}})));
        }
        let included = |scope: &str| -> Vec<String> {
            let client = scoped(server, "patient", &[&alice.patient], scope);
            let pages = client.pages("Observation?_include=Observation:device&_include=Observation:subject&_count=1");
            assert_eq!(pages.iter().map(|page| page.matches().len()).sum::<usize>(), 2, "{scope}");
            pages.iter().flat_map(Bundle::included).map(|one| id(&one)).collect::<BTreeSet<_>>().into_iter().collect()
        };
        assert_eq!(included("patient/Observation.rs patient/Device.rs?type=watch"), [id(&watch)]);
        assert_eq!(included("patient/Observation.rs patient/Device.r?type=watch patient/Device.s?type=scale"), [""; 0]);
        for scope in ["patient/Observation.rs", "patient/Observation.rs patient/Device.r", "patient/Observation.rs patient/Device.s"] {
            assert_eq!(included(scope), [""; 0], "{scope}");
        }
        let mut all = vec![id(&watch), id(&scale), alice.patient.clone()];
        all.sort();
        assert_eq!(included("patient/*.rs"), all);
    }
}

both! {
    fn each_letter_opens_its_ways_alone(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let one = created(&ehr, &observation(&alice.patient, "laboratory", "1-8"));
        let path = format!("/fhir/Observation/{}", id(&one));
        let client = |letters: &str| scoped(server, "ehr-system", &[], &format!("system/Observation.{letters}?category=laboratory"));
        let (r, s) = (client("r"), client("s"));
        for way in [path.clone(), format!("{path}/_history/1"), format!("{path}/_history")] {
            assert_eq!((r.get(&way).status, s.get(&way).status), (200, 403), "{way}");
        }
        for way in ["/fhir/Observation", "/fhir/Observation/_history", "/fhir/_history"] {
            assert_eq!((r.get(way).status, s.get(way).status), (403, 200), "{way}");
        }
        for (letters, status) in [("rs", 403), ("cu", 403), ("cus", 403)] {
            client(letters).delete(&path).is(status);
            client(letters).delete("/fhir/Observation?code=1-8").is(status);
        }
        // What is done to what is found takes both letters.
        let patch = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
        let patched = |client: &Client<'_>| client.with("content-type", "application/json-patch+json").send("PATCH", "/fhir/Observation?code=1-8", Some(patch.to_string().as_bytes()));
        let updated = |client: &Client<'_>, code: &str| {
            let body = observation(&alice.patient, "laboratory", code);
            client.with("content-type", "application/fhir+json").send("PUT", &format!("/fhir/Observation?code={code}"), Some(body.to_string().as_bytes()))
        };
        let made = |client: &Client<'_>| client.with("if-none-exist", "code=1-8").post("/fhir/Observation", &observation(&alice.patient, "laboratory", "1-8"));
        assert_eq!(["u", "ru", "us", "rus"].map(|letters| patched(&client(letters)).status), [403, 403, 200, 200]);
        assert_eq!((updated(&client("u"), "1-8").status, updated(&client("us"), "1-8").status), (403, 200));
        assert_eq!((updated(&client("us"), "9-9").status, updated(&client("cus"), "9-9").status), (403, 201));
        assert_eq!((made(&client("c")).status, made(&client("cs")).status), (403, 200));
        assert_eq!((client("d").delete("/fhir/Observation?code=1-8").status, client("ds").delete("/fhir/Observation?code=1-8").status), (403, 204));
        // The letters of one scope do not meet the constraints of another.
        let apart = scoped(server, "ehr-system", &[], "system/Observation.r?category=laboratory system/Observation.s?category=survey");
        let two = [created(&ehr, &observation(&alice.patient, "laboratory", "3-3")), created(&ehr, &observation(&alice.patient, "survey", "3-3"))];
        assert_eq!(apart.search("Observation?code=3-3").ids(), [id(&two[1])]);
        assert_eq!(ids(&two).iter().map(|id| apart.get(&format!("/fhir/Observation/{id}")).status).collect::<Vec<_>>(), [200, 404]);
    }
}

both! {
    fn audit_events_by_constraint(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        ehr.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        ehr.search("Patient");
        let all = server.auditor().search("AuditEvent?_count=1000").matches();
        let reads = scoped(server, "auditor", &[], "system/AuditEvent.rs?action=R&type=rest");
        let found = reads.search("AuditEvent?_count=1000&_total=accurate");
        assert!(!found.ids().is_empty() && found.matches().iter().all(|event| event["action"] == "R"));
        assert_eq!(found.total(), Some(found.ids().len() as i64));
        let (read, other) = (found.ids()[0].clone(), all.iter().find(|event| event["action"] == "E").map(id).unwrap());
        for more in ["", "/_history", "/_history/1"] {
            reads.get(&format!("/fhir/AuditEvent/{read}{more}")).is(200);
            reads.get(&format!("/fhir/AuditEvent/{other}{more}")).is(404);
        }
        assert_eq!(reads.search(&format!("AuditEvent?_id={other}&_total=accurate")).total(), Some(0));
        let about = scoped(server, "auditor", &[], &format!("system/AuditEvent.rs?patient=Patient/{}", alice.patient));
        let (found, patient) = (about.search("AuditEvent?_count=1000").matches(), format!("Patient/{}", alice.patient));
        assert!(!found.is_empty() && found.iter().all(|event| event.to_string().contains(&patient)));
        assert!(all.iter().any(|event| !event.to_string().contains(&patient)));
    }
}

both! {
    fn scopes_that_cannot_be_enforced_are_not_issued(server) {
        let alice = server.person("alice");
        for (scope, why) in [
            ("user/Observation.rs?category:not=x", "a modifier"),
            ("user/Observation.rs?subject.name=x", "a chain"),
            ("user/Observation.rs?_profile=http://x", "no token, reference or date"),
            ("user/Observation.rs?subject=https://x.example/fhir/Patient/1", "a value that is none"),
            ("user/Binary.rs?category=x", "does not have here"),
            ("user/Observation.rs?", "an empty constraint"),
            ("user/Observation.read?category=x", "version 1"),
        ] {
            let refused = server.place.firth(&["token", "issue", "--role", "clinician", "--patient", &alice.patient, "--scope", scope]);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && said.contains(why) && said.contains(scope), "{scope}: {said}");
        }
        let listed = scoped(server, "clinician", &[&alice.patient], "user/Observation.rs?category=http://x%7Cy&code=z");
        listed.search("Observation");
        assert!(server.place.tells(&["token", "list"]).contains("user/Observation.rs?category=http://x%7Cy&code=z"));
    }
}
