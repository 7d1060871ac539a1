//! Scopes with constraints on what changes: what was there, what comes of it, and what is looked for.

use serde_json::{Value, json};

use crate::granular::{created, observation, put, scoped, with};
use crate::support::payload::*;
use crate::support::{Bundle, Client, Reply, TestServer};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const ABSENT: &str = "c0ffee00-0000-4000-8000-000000000000";
const VITAL: &str = "user/Observation.cruds?category=vital-signs";

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

fn category(code: &str) -> Value {
    json!([{"coding": [{"system": CATEGORY, "code": code}]}])
}

fn becoming(body: &Value, code: &str) -> Value {
    with(body.clone(), json!({"category": category(code)}))
}

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

fn entry(method: &str, url: &str, resource: &Value) -> Value {
    if resource.is_null() {
        json!({"request": {"method": method, "url": url}})
    } else {
        json!({"request": {"method": method, "url": url}, "resource": resource})
    }
}

/// Both patches that give an Observation another category.
fn patches(code: &str) -> [(&'static str, Value); 2] {
    let parameter = json!({"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.category.coding.code"}, {"name": "value", "valueCode": code}]});
    [
        ("application/json-patch+json", json!([{"op": "replace", "path": "/category/0/coding/0/code", "value": code}])),
        ("application/fhir+json", json!({"resourceType": "Parameters", "parameter": [parameter]})),
    ]
}

fn patch(client: &Client<'_>, url: &str, of: &(&str, Value)) -> Reply {
    client.with("content-type", of.0).send("PATCH", &format!("/fhir/{url}"), Some(of.1.to_string().as_bytes()))
}

/// A refusal names the scopes that limit the type.
#[track_caller]
fn refused(reply: Reply) {
    let reply = reply.is(403);
    assert!(reply.code() == "auth.forbidden" && reply.text().contains("Observation.cruds?category=vital-signs"), "{}", reply.text());
    assert!(reply.header("www-authenticate").is_some_and(|header| header.contains("insufficient_scope")));
}

/// What is hidden is answered as what is not there.
#[track_caller]
fn as_absent(id: &str, hidden: &Reply, absent: &Reply) {
    let words = |reply: &Reply, id: &str| reply.text().replace(id, "ID").replace(reply.header("x-request-id").unwrap_or("?"), "REQUEST");
    assert_eq!((hidden.status, words(hidden, id), hidden.header("etag")), (absent.status, words(absent, ABSENT), absent.header("etag")));
}

/// Versions, so that what was not changed can be told.
fn version(server: &TestServer, id: &str) -> String {
    server.ehr().get(&format!("/fhir/Observation/{id}")).is(200).text_at("/meta/versionId")
}

both! {
    fn what_is_made_or_changed_stays_within_the_scope(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let who = scoped(server, "clinician", &[&alice.patient], &format!("{VITAL} user/Patient.rs"));
        let (inside, outside) = (observation(&alice.patient, "vital-signs", "1-8"), observation(&alice.patient, "laboratory", "2-6"));
        refused(who.post("/fhir/Observation", &outside));
        assert_eq!(ehr.search("Observation?code=2-6&_total=accurate").total(), Some(0));
        let mine = created(&who, &inside);
        let hidden = created(&ehr, &outside);
        let (of_mine, of_hidden, absent) = (format!("Observation/{}", id(&mine)), format!("Observation/{}", id(&hidden)), format!("Observation/{ABSENT}"));
        // Moved out: refused, and nothing is stored.
        refused(put(&who, &becoming(&mine, "laboratory")));
        for one in patches("laboratory") {
            refused(patch(&who, &of_mine, &one));
            refused(patch(&who, "Observation?code=1-8", &one));
        }
        assert_eq!(version(server, &id(&mine)), "1");
        // What is hidden is not there, whatever is done to it: neither moved in, nor kept, nor deleted.
        for body in [becoming(&hidden, "vital-signs"), hidden.clone()] {
            let elsewhere = with(body.clone(), json!({"id": ABSENT}));
            for condition in [("if-match", "W/\"1\""), ("if-match", "W/\"7\""), ("if-match", "*"), ("if-none-match", "*"), ("prefer", "return=minimal")] {
                let client = who.with(condition.0, condition.1);
                as_absent(&id(&hidden), &put(&client, &body), &put(&client, &elsewhere));
            }
        }
        for one in patches("vital-signs") {
            as_absent(&id(&hidden), &patch(&who, &of_hidden, &one), &patch(&who, &absent, &one));
        }
        for condition in [("prefer", "return=minimal"), ("if-match", "W/\"1\"")] {
            let client = who.with(condition.0, condition.1);
            as_absent(&id(&hidden), &client.delete(&format!("/fhir/{of_hidden}")), &client.delete(&format!("/fhir/{absent}")));
        }
        assert_eq!(version(server, &id(&hidden)), "1");
        // Within the scope all of it is done.
        let mut changed = mine.clone();
        changed["status"] = json!("amended");
        put(&who, &changed).is(200);
        patch(&who, &of_mine, &("application/json-patch+json", json!([{"op": "replace", "path": "/status", "value": "final"}]))).is(200);
        who.delete(&format!("/fhir/{of_mine}")).is(204);
        ehr.get(&format!("/fhir/{of_mine}")).is(410);
    }
}

both! {
    fn what_is_looked_for_is_looked_for_within_the_scope(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let who = scoped(server, "clinician", &[&alice.patient], &format!("{VITAL} user/Patient.rs"));
        let hidden = created(&ehr, &observation(&alice.patient, "laboratory", "1-8"));
        let inside = observation(&alice.patient, "vital-signs", "1-8");
        // Only the hidden one answers: it is as if none did.
        let none = who.delete("/fhir/Observation?code=1-8").is(204);
        assert_eq!(none.header("etag"), None);
        for one in patches("vital-signs") {
            patch(&who, "Observation?code=1-8", &one).is(404);
        }
        let made = who.with("if-none-exist", "code=1-8").post("/fhir/Observation", &inside).is(201);
        assert_ne!(made.text_at("/id"), id(&hidden));
        // Two answer, one of them hidden: it is as if one did.
        let found = who.with("if-none-exist", "code=1-8").post("/fhir/Observation", &inside).is(200);
        assert_eq!(found.text_at("/id"), made.text_at("/id"));
        let by_code = |body: &Value| who.with("content-type", "application/fhir+json").send("PUT", "/fhir/Observation?code=1-8", Some(body.to_string().as_bytes()));
        assert_eq!(by_code(&with(inside.clone(), json!({"status": "amended"}))).is(200).text_at("/id"), made.text_at("/id"));
        refused(by_code(&becoming(&inside, "laboratory")));
        // The id of what is hidden is not told to be taken.
        let there = by_code(&with(inside.clone(), json!({"id": id(&hidden)})));
        as_absent(&id(&hidden), &there, &by_code(&with(inside.clone(), json!({"id": ABSENT}))));
        let other = |code: &str, id: &str| {
            let body = with(observation(&alice.patient, "vital-signs", code), json!({"id": id}));
            who.with("content-type", "application/fhir+json").send("PUT", &format!("/fhir/Observation?code={code}"), Some(body.to_string().as_bytes()))
        };
        as_absent(&id(&hidden), &other("7-5", &id(&hidden)), &other("7-5", ABSENT));
        let step = |kind: &str, id: &str| who.post("/fhir", &bundle(kind, vec![entry("PUT", "Observation?code=7-5", &with(inside.clone(), json!({"id": id})))]));
        as_absent(&id(&hidden), &step("transaction", &id(&hidden)), &step("transaction", ABSENT));
        // In a transaction as alone.
        let steps = |method: &str, resource: &Value| who.post("/fhir", &bundle("transaction", vec![entry(method, "Observation?code=1-8", resource)]));
        assert_eq!(steps("PUT", &inside).is(200).at("/entry/0/response/status"), json!("200"));
        steps("DELETE", &Value::Null).is(200);
        assert_eq!((version(server, &id(&hidden)), who.search("Observation?code=1-8").ids().len(), ehr.search("Observation?code=1-8").ids().len()), ("1".into(), 0, 1));
    }
}

both! {
    fn one_entry_beyond_the_scope_refuses_a_transaction_and_itself_in_a_batch(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let who = scoped(server, "clinician", &[&alice.patient], &format!("{VITAL} user/Patient.rs"));
        let hidden = created(&ehr, &observation(&alice.patient, "laboratory", "2-6"));
        let mine = created(&who, &observation(&alice.patient, "vital-signs", "3-4"));
        let (inside, outside) = (observation(&alice.patient, "vital-signs", "1-8"), observation(&alice.patient, "laboratory", "1-8"));
        let url = |one: &Value| format!("Observation/{}", id(one));
        let patched = |one: &Value| entry("PATCH", &url(one), &patches("laboratory")[1].1);
        for (beyond, status) in [
            (entry("POST", "Observation", &outside), 403),
            (entry("PUT", &url(&mine), &becoming(&mine, "laboratory")), 403),
            (entry("PUT", &url(&hidden), &becoming(&hidden, "vital-signs")), 404),
            (patched(&mine), 403),
            (patched(&hidden), 404),
            (entry("GET", &url(&hidden), &Value::Null), 404),
            (entry("DELETE", "Patient/x", &Value::Null), 403),
        ] {
            let all = vec![entry("POST", "Observation", &inside), beyond];
            who.post("/fhir", &bundle("transaction", all.clone())).is(status);
            assert_eq!(ehr.search("Observation?code=1-8&_total=accurate").total(), Some(0), "{status}");
            let batch = who.post("/fhir", &bundle("batch", all)).is(200);
            let statuses = ["/entry/0/response/status", "/entry/1/response/status"].map(|at| batch.text_at(at));
            assert_eq!(statuses, ["201".to_owned(), status.to_string()]);
            for id in ehr.search("Observation?code=1-8").ids() {
                ehr.delete(&format!("/fhir/Observation/{id}")).is(204);
            }
        }
        assert_eq!((version(server, &id(&hidden)), version(server, &id(&mine))), ("1".into(), "1".into()));
        // Deleting what is hidden deletes nothing, there as here.
        who.post("/fhir", &bundle("transaction", vec![entry("DELETE", &url(&hidden), &Value::Null)])).is(200);
        assert_eq!(version(server, &id(&hidden)), "1");
    }
}

both! {
    fn nobody_gets_back_what_he_may_not_read(server) {
        let alice = server.person("alice");
        let body = observation(&alice.patient, "laboratory", "1-8");
        for (scope, shown) in [
            ("user/Observation.cud", false),
            ("user/Observation.cud user/Observation.r?category=vital-signs", false),
            ("user/Observation.cud user/Observation.r?category=laboratory", true),
            ("user/Observation.crud", true),
        ] {
            let who = scoped(server, "clinician", &[&alice.patient], scope).with("prefer", "return=representation");
            let made = who.with("idempotency-key", scope.replace(' ', "+")).post("/fhir/Observation", &body).is(201);
            let again = who.with("idempotency-key", scope.replace(' ', "+")).post("/fhir/Observation", &body).is(201);
            let id = made.header("location").unwrap().split('/').nth_back(2).unwrap().to_owned();
            let changed = put(&who, &with(body.clone(), json!({"id": id, "status": "amended"}))).is(200);
            let unchanged = put(&who, &with(body.clone(), json!({"id": id, "status": "amended"}))).is(200);
            let replies = [(&made, 1), (&again, 1), (&changed, 2), (&unchanged, 2)];
            let patched = patch(&who, &format!("Observation/{id}"), &("application/json-patch+json", json!([{"op": "replace", "path": "/status", "value": "final"}])));
            assert_eq!(patched.status, if shown { 200 } else { 403 }, "{scope}");
            for (reply, version) in replies.into_iter().chain(shown.then_some((&patched, 3))) {
                assert_eq!((reply.text().contains("1-8"), reply.header("etag")), (shown, Some(format!("W/\"{version}\"").as_str())), "{scope}");
                assert!(shown || (reply.body.is_empty() && reply.header("preference-applied").is_none()), "{scope}: {:?}", reply.headers);
            }
            let steps = vec![entry("POST", "Observation", &body), entry("PUT", &format!("Observation/{id}"), &with(body.clone(), json!({"id": id, "status": "amended"})))];
            for kind in ["transaction", "batch"] {
                let done = who.post("/fhir", &bundle(kind, steps.clone())).is(200);
                assert_eq!([0, 1].map(|n| !done.at(&format!("/entry/{n}/resource")).is_null()), [shown; 2], "{kind} {scope}");
            }
        }
    }
}

both! {
    fn nothing_points_to_what_is_hidden(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let device = |kind: &str| created(&ehr, &json!({"resourceType": "Device", "patient": {"reference": format!("Patient/{}", alice.patient)}, "type": {"coding": [{"system": "urn:d", "code": kind}]}}));
        let (watch, scale) = (device("watch"), device("scale"));
        let who = scoped(server, "ehr-system", &[], "system/Observation.cruds?category=vital-signs system/Device.rd?type=watch system/Patient.rs");
        let from = |id: &str| with(observation(&alice.patient, "vital-signs", "1-8"), json!({"device": {"reference": format!("Device/{id}")}}));
        let made = created(&who, &from(&id(&watch)));
        let (hidden, absent) = (who.post("/fhir/Observation", &from(&id(&scale))), who.post("/fhir/Observation", &from(ABSENT)));
        assert_eq!(hidden.status, 422);
        as_absent(&id(&scale), &hidden, &absent);
        for way in ["$validate?mode=create", "$validate"] {
            let tried = |id: &str| who.post(&format!("/fhir/Observation/{way}"), &from(id));
            as_absent(&id(&scale), &tried(&id(&scale)), &tried(ABSENT));
        }
        let steps = |id: &str| who.post("/fhir", &bundle("transaction", vec![entry("POST", "Observation", &from(id))]));
        as_absent(&id(&scale), &steps(&id(&scale)), &steps(ABSENT));
        steps(&id(&watch)).is(200);
        // What points is told only to who sees it, and what is hidden does not keep.
        let refused = who.delete(&format!("/fhir/Device/{}", id(&watch))).is(409);
        assert!(refused.text().contains(&id(&made)));
        for one in who.search("Observation").ids() {
            who.delete(&format!("/fhir/Observation/{one}")).is(204);
        }
        created(&ehr, &with(observation(&alice.patient, "laboratory", "1-8"), json!({"device": {"reference": format!("Device/{}", id(&watch))}})));
        who.delete(&format!("/fhir/Device/{}", id(&watch))).is(204);
    }
}

both! {
    fn a_device_of_hidden_samples_is_let_go(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![record(STEPS, "s", &minute(1), "7")]));
        let device = alice.finds("").only()["device"]["reference"].as_str().unwrap().to_owned();
        let device_type = "system/Device.rd system/Patient.rs system/Observation.rs";
        for (constraint, status) in [("?category=activity", 409), ("?date=2026-03-01", 409), ("?date=2027", 204)] {
            scoped(server, "ehr-system", &[], &format!("{device_type}{constraint}")).delete(&format!("/fhir/{device}")).is(status);
        }
    }
}

both! {
    fn validate_tells_what_the_write_would(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let who = scoped(server, "clinician", &[&alice.patient], &format!("{VITAL} user/Patient.rs"));
        let hidden = created(&ehr, &observation(&alice.patient, "laboratory", "2-6"));
        let asks = |path: &str, body: &Value| who.post(&format!("/fhir/Observation{path}"), body);
        let outside = asks("/$validate?mode=create", &observation(&alice.patient, "laboratory", "2-6")).is(200);
        assert_eq!(outside.at("/issue/0/code"), json!("forbidden"), "{}", outside.text());
        assert_eq!(asks("/$validate?mode=create", &observation(&alice.patient, "vital-signs", "2-6")).is(200).at("/issue/0/severity"), json!("information"));
        for (method, path) in [("GET", "/$validate"), ("POST", "/$validate?mode=delete")] {
            let tried = |id: &str| who.send(method, &format!("/fhir/Observation/{id}{path}"), None);
            as_absent(&id(&hidden), &tried(&id(&hidden)), &tried(ABSENT));
        }
    }
}

both! {
    fn patients_are_merged_within_the_scope(server) {
        let ehr = server.ehr();
        let patient = |code: &str| created(&ehr, &json!({"resourceType": "Patient", "meta": {"tag": [{"system": "urn:t", "code": code}]}, "identifier": [{"system": "urn:i", "value": code}]}));
        let (a, b, hidden) = (patient("x"), patient("x"), patient("y"));
        let who = |letters: &str| scoped(server, "ehr-system", &[], &format!("system/Patient.{letters}?_tag=urn:t|x"));
        let merge = |client: &Client<'_>, source: &str, target: &str| {
            let named = |name: &str, id: &str| json!({"name": name, "valueReference": {"reference": format!("Patient/{id}")}});
            client.post("/fhir/Patient/$merge", &json!({"resourceType": "Parameters", "parameter": [named("source-patient", source), named("target-patient", target)]}))
        };
        who("rs").post("/fhir/Patient/$merge", &json!({"resourceType": "Parameters"})).is(403);
        for (source, target) in [(&hidden, &a), (&a, &hidden)] {
            let refused = merge(&who("ru"), &id(source), &id(target)).is(422);
            assert!(refused.text().contains(&format!("there is no Patient/{}", id(&hidden))), "{}", refused.text());
        }
        // By identifiers it is a search, too.
        let by_identifier = |client: &Client<'_>| {
            let named = |name: &str, value: &str| json!({"name": name, "valueIdentifier": {"system": "urn:i", "value": value}});
            client.post("/fhir/Patient/$merge", &json!({"resourceType": "Parameters", "parameter": [named("source-patient-identifier", "y"), named("target-patient-identifier", "x")]}))
        };
        by_identifier(&who("ru")).is(403);
        assert!(by_identifier(&who("rus")).is(422).text().contains("no Patient has these identifiers"));
        let done = merge(&who("u"), &id(&a), &id(&b)).is(200);
        let names: Vec<Value> = done.json()["parameter"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, [json!("input"), json!("outcome")], "what may not be read came back");
        let undo = json!({"resourceType": "Parameters", "parameter": [{"name": "source-patient", "valueReference": {"reference": format!("Patient/{}", id(&a))}}]});
        let undone = who("ru").post(&format!("/fhir/Patient/{}/$unmerge", id(&b)), &undo).is(200);
        assert_eq!(undone.at("/parameter/2/resource/id"), json!(id(&b)));
        assert_eq!(Bundle(who("rs").get("/fhir/Patient").is(200).json()).ids().len(), 2);
    }
}

both! {
    fn a_patch_tells_nothing_of_what_may_not_be_read(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let made = created(&ehr, &observation(&alice.patient, "laboratory", "1-8"));
        let path = format!("Observation/{}", id(&made));
        let json = |operations: Value| ("application/json-patch+json", operations);
        let pathed = |path: &str, value: &str| json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": path}, {"name": "value", "valueCode": value}]}]});
        let asked = [
            json(json!([{"op": "test", "path": "/valueString", "value": "something"}])),
            json(json!([{"op": "test", "path": "/valueString", "value": "another"}])),
            json(json!([{"op": "copy", "from": "/valueString", "path": "/effectiveDateTime"}])),
            json(json!([{"op": "replace", "path": "/category/0/coding/0/code", "value": "vital-signs"}])),
            ("application/fhir+json", pathed("Observation.where(value = 'something').status", "amended")),
        ];
        let answers = |scope: &str| -> Vec<u16> {
            let who = scoped(server, "clinician", &[&alice.patient], scope);
            let answers: Vec<Reply> = asked.iter().map(|one| patch(&who, &path, one)).collect();
            assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "auth.forbidden"), "{scope}");
            answers.iter().map(|answer| answer.status).collect()
        };
        let some = "user/Observation.u user/Observation.rs?category=vital-signs";
        assert_eq!([answers("user/Observation.u"), answers(some)], [[403; 5], [403; 5]]);
        let steps = vec![json!({"request": {"method": "PATCH", "url": path}, "resource": pathed("Observation.status", "amended")})];
        scoped(server, "clinician", &[&alice.patient], some).post("/fhir", &bundle("transaction", steps)).is(403);
        assert_eq!(version(server, &id(&made)), "1");
        let who = scoped(server, "clinician", &[&alice.patient], "user/Observation.ru?category=laboratory");
        patch(&who, &path, &asked[0]).is(200);
        let before = patch(&who, &path, &asked[1]);
        assert_ne!((before.status, version(server, &id(&made)).as_str()), (200, "2"));
        // A search shows it, too.
        patch(&scoped(server, "clinician", &[&alice.patient], "user/Observation.us"), &path, &asked[3]).is(200);
    }
}

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn labels(codes: &[&str]) -> Value {
    json!({"security": codes.iter().map(|code| json!({"system": CONFIDENTIALITY, "code": code})).collect::<Vec<_>>()})
}

fn labelled(client: &Client<'_>, id: &str) -> Vec<String> {
    let resource = client.get(&format!("/fhir/Observation/{id}")).is(200).json();
    let all = resource["meta"]["security"].as_array().cloned().unwrap_or_default();
    all.iter().map(|label| label["code"].as_str().unwrap().to_owned()).collect()
}

both! {
    fn labels_are_taken_off_by_those_alone_whom_they_do_not_bind(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let body = observation(&alice.patient, "laboratory", "1-8");
        let bound = scoped(server, "ehr-system", &[], "system/Observation.cruds?_security=N,R");
        let clinician = scoped(server, "clinician", &[&alice.patient], "user/Observation.cruds");
        let blind = scoped(server, "clinician", &[&alice.patient], "user/Observation.u");
        for who in [&bound, &clinician, &blind] {
            let made = created(&ehr, &with(body.clone(), json!({"meta": labels(&["N", "R"])})));
            let id = id(&made);
            put(who, &with(body.clone(), json!({"id": id, "status": "amended"}))).is(200);
            assert_eq!(labelled(&ehr, &id), ["N", "R"]);
            put(who, &with(body.clone(), json!({"id": id, "meta": labels(&["V", "N"])}))).is(200);
            assert_eq!(labelled(&ehr, &id), ["V", "N", "R"]);
            assert_eq!(ehr.search(&format!("Observation?_id={id}&_security=R")).ids(), std::slice::from_ref(&id));
            let steps = vec![entry("PUT", &format!("Observation/{id}"), &with(body.clone(), json!({"id": id})))];
            who.post("/fhir", &bundle("transaction", steps)).is(200);
            assert_eq!(labelled(&ehr, &id), ["V", "N", "R"]);
            patch(who, &format!("Observation/{id}"), &("application/json-patch+json", json!([{"op": "remove", "path": "/meta/security"}])));
            assert_eq!(labelled(&ehr, &id), ["V", "N", "R"]);
            put(&ehr, &with(body.clone(), json!({"id": id, "meta": labels(&["N"])}))).is(200);
            assert_eq!(labelled(&ehr, &id), ["N"]);
        }
        // Nor by deleting it first.
        let (ruiz, id) = (scoped(server, "clinician", &[&alice.patient], "user/Observation.cruds"), id(&created(&ehr, &with(body.clone(), json!({"meta": labels(&["R"])})))));
        ruiz.delete(&format!("/fhir/Observation/{id}")).is(204);
        put(&ruiz, &with(body.clone(), json!({"id": id}))).is(201);
        assert_eq!(labelled(&ehr, &id), ["R"]);
    }
}
