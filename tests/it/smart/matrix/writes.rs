//! Writing: no path changes, finds or tells of another patient.

use serde_json::{Value, json};

use super::world::*;
use crate::documents::put;
use crate::support::{Client, Reply};

/// `w.clinician()` may write Observations; what there is of Bob is the same afterwards.
fn untouched(w: &World<'_>, work: impl FnOnce(&Client<'_>)) {
    let all = || {
        let ehr = w.server.ehr();
        let found = ehr.search(&format!("Observation?patient={}&_count=1000", w.b.patient));
        (found.matches(), ehr.get(&format!("/fhir/Observation/{}/_history", w.b1)).is(200).at("/total"))
    };
    let before = all();
    work(&w.clinician());
    assert_eq!(all(), before);
}

fn patch(client: &Client<'_>, path: &str, operations: &Value) -> Reply {
    client.with("content-type", "application/json-patch+json").send("PATCH", path, Some(operations.to_string().as_bytes()))
}

/// A POST by itself, in a batch and in a transaction; the status of each.
fn posted(client: &Client<'_>, body: &Value) -> [u16; 3] {
    written(client, "POST", body["resourceType"].as_str().unwrap(), Some(body))
}

/// How many Observations there are of everybody and of nobody.
fn all(w: &World<'_>) -> Option<i64> {
    w.server.ehr().search("Observation?_count=0").total()
}

both! {
    fn a34_nobody_writes_of_another_patient(server) {
        let w = World::new(server);
        untouched(&w, |client| {
            let mut contained = observation(&w.b.patient, "x");
            contained["contained"] = json!([{"resourceType": "Patient", "id": "p"}]);
            contained["subject"] = json!({"reference": "#p"});
            let mut without = observation(&w.b.patient, "x");
            without.as_object_mut().unwrap().remove("subject");
            for (body, status) in [(observation(&w.b.patient, "x"), 403), (observation(ABSENT, "x"), 403), (without, 403), (contained, 403)] {
                let before = all(&w);
                assert_eq!(posted(client, &body), [status; 3], "{body}");
                assert_eq!(all(&w), before, "{body}");
            }
            assert_eq!(posted(client, &observation(&w.a.patient, "x")), [201; 3]);
        });
        let before = all(&w);
        assert_eq!(posted(&w.alice(), &observation(&w.a.patient, "x")), [403; 3]);
        assert_eq!(all(&w), before);
    }
}

both! {
    fn a35_nothing_is_moved_to_another_patient(server) {
        let w = World::new(server);
        let path = format!("/fhir/Observation/{}", w.a1);
        let before = server.ehr().get(&path).is(200).text();
        let mut moved = server.ehr().get(&path).is(200).json();
        moved["subject"] = patient(&w.b.patient);
        untouched(&w, |client| {
            put(client, &path, &moved).is(403);
            patch(client, &path, &json!([{"op": "replace", "path": "/subject/reference", "value": format!("Patient/{}", w.b.patient)}])).is(403);
            patch(client, &path, &json!([{"op": "add", "path": "/focus", "value": [patient(&w.b.patient), patient(&w.a.patient)]}, {"op": "move", "from": "/focus/0", "path": "/subject"}])).is(403);
            let fhirpath = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
                {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.subject"}, {"name": "value", "valueReference": patient(&w.b.patient)}]}]});
            let sent = client.with("content-type", "application/fhir+json").send("PATCH", &path, Some(fhirpath.to_string().as_bytes()));
            sent.is(403);
            let replace = json!([{"op": "replace", "path": "/subject/reference", "value": format!("Patient/{}", w.b.patient)}]);
            for to in [format!("Observation/{}", w.a1), "Observation?identifier=urn:example:obs%7Csame".to_owned()] {
                assert_eq!(written(client, "PUT", &to, Some(&moved)), [403; 3], "{to}");
                assert_eq!(written(client, "PATCH", &to, Some(&replace)), [403; 3], "{to}");
                assert_eq!(written(client, "PATCH", &to, Some(&fhirpath)), [403; 3], "{to}");
            }
        });
        assert_eq!(server.ehr().get(&path).is(200).text(), before);
    }
}

both! {
    fn a36_a_hidden_id_is_neither_taken_nor_in_the_way(server) {
        let w = World::new(server);
        untouched(&w, |client| {
            let body = |id: &str| { let mut body = observation(&w.a.patient, "x"); body["id"] = json!(id); body };
            for (name, value, deleted) in [("x-none", "", 204), ("if-match", "W/\"1\"", 412), ("if-match", "W/\"7\"", 412)] {
                let client = client.with(name, value);
                let (hidden, never) = (put(&client, &format!("/fhir/Observation/{}", w.b1), &body(&w.b1)), put(&client, &format!("/fhir/Observation/{ABSENT}"), &body(ABSENT)));
                assert_eq!((hidden.status, hidden.code()), (404, never.code()), "{name} {value}");
                assert_eq!(never.status, 404, "{name} {value}");
                let nothing = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
                for id in [w.b1.as_str(), ABSENT] {
                    client.delete(&format!("/fhir/Observation/{id}")).is(deleted);
                    patch(&client, &format!("/fhir/Observation/{id}"), &nothing).is(404);
                    for (method, resource, status) in [("PUT", Some(body(id)), "404"), ("DELETE", None, &*deleted.to_string())] {
                        let mut request = json!({"method": method, "url": format!("Observation/{id}")});
                        if name == "if-match" {
                            request["ifMatch"] = json!(value);
                        }
                        let batch = bundled(&w.clinician(), "batch", &request, resource.as_ref()).is(200);
                        assert_eq!(batch.text_at("/entry/0/response/status")[..3], *status, "{method} {id} {name} {value}");
                        let whole = bundled(&w.clinician(), "transaction", &request, resource.as_ref()).status;
                        assert_eq!(whole.to_string(), if status == "204" { "200" } else { status }, "{method} {id} {name} {value}");
                    }
                }
            }
        });
    }
}

both! {
    fn a37_a_condition_is_met_by_what_is_visible(server) {
        let w = World::new(server);
        let mut bobs = observation(&w.b.patient, "x");
        bobs["identifier"] = json!([{"system": "urn:example:obs", "value": "bobs"}]);
        let hidden = server.ehr().post("/fhir/Observation", &bobs).is(201).text_at("/id");
        untouched(&w, |client| {
            let made = client.with("if-none-exist", "identifier=urn:example:obs|bobs").post("/fhir/Observation", &observation(&w.a.patient, "x")).is(201);
            assert!(!made.header("location").unwrap().contains(&hidden));
            let entry = json!({"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:example:obs|bobs"});
            for kind in ["batch", "transaction"] {
                let reply = bundled(client, kind, &entry, Some(&observation(&w.a.patient, "y"))).is(200);
                assert_eq!(reply.text_at("/entry/0/response/status"), "201", "{kind}");
            }
        });
    }
}

both! {
    fn a38_criteria_find_the_own_only(server) {
        let w = World::new(server);
        // `same` is the identifier of an Observation of Alice and of one of Bob.
        untouched(&w, |client| {
            let mut next = observation(&w.a.patient, "next");
            next["identifier"] = json!([{"system": "urn:example:obs", "value": "same"}]);
            let changed = put(client, "/fhir/Observation?identifier=urn:example:obs|same", &next).is(200);
            assert_eq!(changed.text_at("/id"), w.a1);
            let operation = json!([{"op": "replace", "path": "/valueString", "value": "patched"}]);
            assert_eq!(patch(client, "/fhir/Observation?identifier=urn:example:obs|same", &operation).is(200).text_at("/id"), w.a1);
            let same = "Observation?identifier=urn:example:obs%7Csame";
            assert_eq!(written(client, "PUT", same, Some(&next)), [200; 3]);
            assert_eq!(written(client, "PATCH", same, Some(&operation)), [200; 3]);
            assert_eq!(written(client, "DELETE", same, None), [204; 3]);
            client.get(&format!("/fhir/Observation/{}", w.a1)).is(410);
        });
    }
}

both! {
    fn a39_a_conditional_delete_needs_delete(server) {
        let w = World::new(server);
        let client = w.scoped("user/Observation.cus");
        for criteria in ["same", "none"] {
            let url = format!("Observation?identifier=urn:example:obs%7C{criteria}");
            assert_eq!(written(&client, "DELETE", &url, None), [403; 3], "{criteria}");
            for scope in ["user/Observation.cud", "user/Observation.d"] {
                assert_eq!(written(&w.scoped(scope), "DELETE", &url, None), [403; 3], "{scope} lacks search");
            }
        }
        assert_eq!(w.scoped("user/Observation.c").with("if-none-exist", "identifier=urn:example:obs|same").post("/fhir/Observation", &observation(&w.a.patient, "x")).status, 403);
        put(&w.scoped("user/Observation.cu"), "/fhir/Observation?identifier=urn:example:obs|same", &observation(&w.a.patient, "x")).is(403);
        reads(&server.ehr(), &format!("Observation/{}", w.a1));
    }
}

both! {
    fn a40_who_may_read_does_not_delete(server) {
        let w = World::new(server);
        for client in [w.alice(), w.scoped("user/*.rs")] {
            for path in [format!("Observation/{}", w.a1), format!("Patient/{}", w.a.patient), format!("Observation/{}", w.b1), format!("Observation/{ABSENT}")] {
                assert_eq!(client.delete(&format!("/fhir/{path}")).is(403).code(), "auth.forbidden", "{path}");
                assert_eq!(written(&client, "DELETE", &path, None), [403; 3], "{path}");
            }
        }
        reads(&server.ehr(), &format!("Observation/{}", w.a1));
    }
}

both! {
    fn a41_each_entry_is_judged_alone_and_a_transaction_as_a_whole(server) {
        let w = World::new(server);
        let entries = |denied: Value| {
            json!([{"request": {"method": "POST", "url": "Observation"}, "resource": observation(&w.a.patient, "mine")}, denied])
        };
        let bundle = |kind: &str, entries: &Value| json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        let count = || w.clinician().search("Observation?_count=0").total();
        for (denied, status) in [
            (json!({"request": {"method": "GET", "url": "AuditEvent?_count=1"}}), "403"),
            (json!({"request": {"method": "GET", "url": format!("Observation/{}", w.b1)}}), "404"),
            (json!({"request": {"method": "DELETE", "url": format!("Patient/{}", w.a.patient)}}), "403"),
            (json!({"request": {"method": "GET", "url": format!("Observation/{}/_history", w.b1)}}), "404"),
            (json!({"request": {"method": "GET", "url": format!("Patient/{}/_history", w.b.patient)}}), "404"),
            (json!({"request": {"method": "GET", "url": "AuditEvent/_history"}}), "403"),
            (json!({"request": {"method": "GET", "url": "Observation?nonsense=1"}}), "400"),
            (json!({"request": {"method": "GET", "url": "$export"}}), "404"),
            (json!({"request": {"method": "GET", "url": format!("Patient/{}?nonsense=1", w.a.patient)}}), "400"),
            (json!({"request": {"method": "GET", "url": format!("Patient/{}/_history?nonsense=1", w.a.patient)}}), "400"),
        ] {
            let before = count();
            let refused = w.clinician().post("/fhir", &bundle("transaction", &entries(denied.clone())));
            assert_eq!((refused.status.to_string().as_str(), count()), (status, before), "{denied}");
            let done = w.clinician().post("/fhir", &bundle("batch", &entries(denied.clone()))).is(200);
            assert_eq!((done.at("/entry/0/response/status"), done.at("/entry/1/response/status")), (json!("201"), json!(status)), "{denied}");
            assert_eq!(count(), before.map(|before| before + 1));
        }
        // What the transaction itself makes has a history when it is asked for, and can be validated.
        let made = json!([{"request": {"method": "PUT", "url": "Organization/made-here"}, "resource": {"resourceType": "Organization", "id": "made-here", "name": "Ward"}},
            {"request": {"method": "GET", "url": "Organization/made-here/_history"}},
            {"request": {"method": "GET", "url": "Organization/made-here/$validate"}}]);
        let mut operation = made.clone();
        operation[1]["request"]["url"] = json!("Organization/made-here/$everything");
        server.ehr().post("/fhir", &bundle("transaction", &operation)).is(404);
        server.ehr().get("/fhir/Organization/made-here").is(404);
        let done = server.ehr().post("/fhir", &bundle("transaction", &made)).is(200);
        assert_eq!((done.at("/entry/0/response/status"), done.at("/entry/1/resource/total")), (json!("201"), json!(1)));
        assert_eq!(done.at("/entry/2/response/status"), json!("200"));
    }
}

both! {
    fn a42_a_transaction_does_not_read_what_it_could_not_write(server) {
        let w = World::new(server);
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": "urn:uuid:0fc374a1-a226-4552-9683-55dd510e67c9", "request": {"method": "POST", "url": "Observation"}, "resource": observation(&w.b.patient, "x")},
            {"request": {"method": "GET", "url": format!("Observation?patient={}", w.b.patient)}}]});
        untouched(&w, |client| {
            client.post("/fhir", &bundle).is(403);
        });
    }
}

both! {
    fn a62_the_audit_log_is_read_only(server) {
        let w = World::new(server);
        w.alice().get(&format!("/fhir/Patient/{}", w.a.patient)).is(200);
        let event = server.auditor().search("AuditEvent?_count=1").only();
        let id = event["id"].as_str().unwrap();
        for client in [server.auditor(), server.ehr(), w.alice()] {
            for (status, reply) in [
                (405, put(&client, &format!("/fhir/AuditEvent/{id}"), &event)),
                (405, client.delete(&format!("/fhir/AuditEvent/{id}"))),
                (405, patch(&client, &format!("/fhir/AuditEvent/{id}"), &json!([{"op": "remove", "path": "/outcome"}]))),
                (405, client.post("/fhir/AuditEvent", &event)),
                (405, client.delete("/fhir/AuditEvent?date=lt2030-01-01")),
            ] {
                assert_eq!(reply.status, status, "{}", reply.text());
            }
            let request = json!({"method": "DELETE", "url": format!("AuditEvent/{id}")});
            assert_eq!(bundled(&client, "transaction", &request, None).status, 405);
            assert_eq!(bundled(&client, "batch", &request, None).is(200).at("/entry/0/response/status"), json!("405"));
        }
        assert_eq!(server.auditor().get(&format!("/fhir/AuditEvent/{id}")).is(200).json(), event);
    }
}

both! {
    fn a64_what_the_server_sets_cannot_be_sent(server) {
        let w = World::new(server);
        let mut body = observation(&w.a.patient, "x");
        body["id"] = json!(ABSENT);
        body["meta"] = json!({"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z", "source": "urn:example:chart"});
        let client = w.clinician();
        let in_bundle = |kind: &str, request: Value, body: &Value| bundled(&client, kind, &request, Some(body)).is(200);
        let location = |reply: &Reply| reply.text_at("/entry/0/response/location").split("/fhir/").last().unwrap().to_owned();
        let path = |made: Value| format!("Observation/{}/_history/{}", made["id"].as_str().unwrap(), made["meta"]["versionId"].as_str().unwrap());
        let mut written = vec![(path(client.post("/fhir/Observation", &body).is(201).json()), "1")];
        for kind in ["batch", "transaction"] {
            written.push((location(&in_bundle(kind, json!({"method": "POST", "url": "Observation"}), &body)), "1"));
        }
        body["id"] = json!(w.a1);
        written.push((path(put(&client, &format!("/fhir/Observation/{}", w.a1), &body).is(200).json()), "2"));
        for (n, kind) in ["batch", "transaction"].into_iter().enumerate() {
            body["valueString"] = json!(kind);
            let request = json!({"method": "PUT", "url": format!("Observation/{}", w.a1)});
            written.push((location(&in_bundle(kind, request, &body)), ["3", "4"][n]));
        }
        let stored = |path: &str| server.ehr().get(&format!("/fhir/{path}")).is(200).json();
        for (at, version) in written {
            let found = stored(&at);
            assert_ne!(found["id"], ABSENT, "{at}");
            assert_eq!(found["meta"]["versionId"], version, "{at}");
            assert!(found["meta"]["lastUpdated"].as_str().is_some_and(|when| !when.starts_with("1999")), "{at}: {found}");
        }
        // A patch that says them changes none of them.
        let operations = json!([{"op": "replace", "path": "/meta/versionId", "value": "77"}, {"op": "replace", "path": "/meta/lastUpdated", "value": "1999-01-01T00:00:00Z"}, {"op": "replace", "path": "/valueString", "value": "patched"}]);
        let patched = patch(&client, &format!("/fhir/Observation/{}", w.a1), &operations);
        assert_eq!(patched.status, 200, "{}", patched.text());
        let now = stored(&format!("Observation/{}", w.a1));
        assert!(now["meta"]["versionId"] == "5" && !now["meta"]["lastUpdated"].to_string().contains("1999"), "{now}");
        let renamed = patch(&client, &format!("/fhir/Observation/{}", w.a1), &json!([{"op": "replace", "path": "/id", "value": ABSENT}]));
        assert_eq!(renamed.status, 422, "{}", renamed.text());
        absent(&client, &format!("Observation/{}", w.b1));
        // Who says to be somebody's Patient is not.
        let mut claim = crate::documents::patient();
        claim["identifier"] = json!([{"system": "urn:firth:user", "value": w.a.user}]);
        let other = server.ehr().post("/fhir/Patient", &claim).is(201).text_at("/id");
        w.a.stores(&crate::support::payload::apple(crate::support::payload::hearts("after", 1)));
        assert_eq!(server.ehr().search(&format!("Observation?patient={other}&_count=0")).total(), Some(0));
        assert_eq!(server.backend_of_app().get(&format!("/api/v1/users/{}", w.a.user)).is(200).text_at("/patient_id"), w.a.patient);
    }
}

both! {
    fn a64_who_writes_does_not_say_that_a_mapping_of_the_server_did(server) {
        let w = World::new(server);
        let client = w.clinician();
        let own = w.a.finds("&code=8867-4").matches()[0].clone();
        let source = own["meta"]["source"].as_str().unwrap().to_owned();
        assert!(source.starts_with("urn:firth:mapping:"), "{source}");
        let before = all(&w);
        for claim in [source.as_str(), "urn:firth:mapping:x@1", "URN:Firth:anything"] {
            let mut body = observation(&w.a.patient, "x");
            body["meta"] = json!({"source": claim});
            let refused = client.post("/fhir/Observation", &body).is(422);
            assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.unprocessable", json!("Observation.meta.source")));
            assert_eq!(posted(&client, &body), [422; 3]);
            body["id"] = json!(w.a1);
            let written_to = format!("Observation/{}", w.a1);
            assert_eq!(written(&client, "PUT", &written_to, Some(&body)), [422; 3]);
            assert_eq!(written(&client, "PATCH", &written_to, Some(&json!([{"op": "add", "path": "/meta/source", "value": claim}]))), [422; 3]);
            body.as_object_mut().unwrap().remove("id");
            assert_eq!(written(&client, "PUT", "Observation?identifier=urn:example:obs%7Cnew", Some(&body)), [422; 3]);
        }
        assert_eq!(all(&w), before);
        // What the server said itself may be sent back: as it is, edited, and after a deletion. What comes from another mapping is not.
        let path = format!("/fhir/Observation/{}", own["id"].as_str().unwrap());
        assert_eq!(put(&client, &path, &own).is(200).header("etag"), Some("W/\"1\""));
        let mut other = own.clone();
        other["meta"]["source"] = json!("urn:firth:mapping:x@1");
        put(&client, &path, &other).is(422);
        let mut edited = own.clone();
        edited["note"] = json!([{"text": "moved while measuring"}]);
        assert_eq!(put(&client, &path, &edited).is(200).at("/meta/source"), json!(source));
        client.delete(&path).is(204);
        put(&client, &path, &other).is(422);
        assert_eq!(put(&client, &path, &edited).is(201).at("/meta/source"), json!(source));
        // Without it, it is the writer's for good.
        let mut own_word = edited.clone();
        own_word["meta"].as_object_mut().unwrap().remove("source");
        put(&client, &path, &own_word).is(200);
        put(&client, &path, &edited).is(422);
    }
}

both! {
    fn a70_a_write_shows_nothing_that_could_not_be_read(server) {
        let w = World::new(server);
        let client = w.scoped("user/Observation.cu").with("prefer", "return=representation");
        let made = client.post("/fhir/Observation", &observation(&w.a.patient, "unseen")).is(201);
        assert!(!made.text().contains("unseen"), "{}", made.text());
        let id = made.header("location").unwrap().split('/').nth_back(2).unwrap().to_owned();
        let mut next = observation(&w.a.patient, "still unseen");
        next["id"] = json!(id);
        let changed = put(&client, &format!("/fhir/Observation/{id}"), &next).is(200);
        assert!(!changed.text().contains("unseen"), "{}", changed.text());
        let patched = patch(&client, &format!("/fhir/Observation/{id}"), &json!([{"op": "replace", "path": "/status", "value": "amended"}])).is(403);
        assert!(!patched.text().contains("unseen"), "{}", patched.text());
        for kind in ["batch", "transaction"] {
            for (method, url) in [("POST", "Observation".to_owned()), ("PUT", format!("Observation/{id}"))] {
                next["valueString"] = json!(format!("unseen by {method} in a {kind}"));
                let done = bundled(&client, kind, &json!({"method": method, "url": url}), Some(&next)).is(200);
                assert!(done.text_at("/entry/0/response/status").starts_with("20") && !done.text().contains("unseen"), "{kind}: {}", done.text());
            }
        }
    }
}
