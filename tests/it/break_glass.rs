//! Emergency access: who gets it, how far it goes, what is recorded of it.

use serde_json::{Value, json};

use crate::care_team::{app, clinician, signs_in, soon, team, through};
use crate::consent::consent;
use crate::documents::{created, patient, put, weight};
use crate::support::{Client, Reply, TestServer};

const REASON: &str = "unconscious after a fall, allergies unknown";

fn breaks(client: &Client<'_>, patient: &str, parameter: Value) -> Reply {
    let sent = json!({"resourceType": "Parameters", "parameter": parameter});
    client.post(&format!("/fhir/Patient/{patient}/$break-glass"), &sent)
}

fn reason(text: &str) -> Value {
    json!([{"name": "reason", "valueString": text}])
}

/// A Patient, and an Observation of it.
fn person(server: &TestServer) -> (String, String) {
    let ehr = server.ehr();
    let id = created(&ehr, &patient());
    let observation = created(&ehr, &weight(&id, "70.1"));
    (id, observation)
}

both! {
    fn one_patient_is_opened_to_read_and_every_access_is_marked(server) {
        server.plant(REASON);
        let ((alice, weighed), (bob, _)) = (person(server), person(server));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        ruiz.get(&format!("/fhir/Observation/{weighed}")).is(404);
        let opened = breaks(&ruiz, &alice, reason(REASON)).is(200);
        assert_eq!((opened.at("/resourceType"), opened.at("/parameter/0/name")), (json!("Parameters"), json!("expires")));
        assert!(opened.text_at("/parameter/0/valueInstant").ends_with('Z'));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        assert_eq!(ruiz.search("Observation").ids(), std::slice::from_ref(&weighed));
        ruiz.get(&format!("/fhir/Patient/{bob}")).is(404);
        // Nothing can be written.
        let mut changed = weight(&alice, "71.0");
        ruiz.post("/fhir/Observation", &changed).is(403);
        let entry = json!({"request": {"method": "POST", "url": "Observation"}, "resource": changed});
        ruiz.post("/fhir", &json!({"resourceType": "Bundle", "type": "batch", "entry": [entry]})).is(200);
        ruiz.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})).is(403);
        changed["id"] = json!(weighed);
        put(&ruiz, &format!("/fhir/Observation/{weighed}"), &changed).is(403);
        let patch = json!([{"op": "replace", "path": "/status", "value": "amended"}]).to_string();
        ruiz.with("content-type", "application/json-patch+json").send("PATCH", &format!("/fhir/Observation/{weighed}"), Some(patch.as_bytes())).is(403);
        ruiz.delete(&format!("/fhir/Observation/{weighed}")).is(403);
        let tried = ruiz.post(&format!("/fhir/Observation/{weighed}/$validate?mode=update"), &changed).is(200);
        assert!(tried.text().contains("open to read alone"), "{}", tried.text());
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{weighed}")).is(200).at("/meta/versionId"), json!("1"));

        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&agent={practitioner}&_count=100")).matches();
        let purpose = |event: &Value| event["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG");
        let read = |event: &&Value| event["subtype"][0]["code"] == json!("read") && event["outcome"] == json!("0");
        assert!(events.iter().filter(read).count() == 1 && events.iter().filter(read).all(purpose), "{events:#?}");
        let search = |event: &&Value| event["subtype"][0]["code"] == json!("search-type");
        assert!(events.iter().filter(search).count() == 1 && events.iter().filter(search).all(purpose));
        // What was tried is to be reviewed, too.
        for (tried, times) in [("create", 2), ("transaction", 1), ("update", 1), ("patch", 1), ("delete", 1)] {
            let found: Vec<&Value> = events.iter().filter(|event| event["subtype"][0]["code"] == json!(tried)).collect();
            assert!(found.len() == times && found.iter().all(|event| purpose(event) && event["outcome"] == json!("4")), "{tried}: {events:#?}");
        }
        let review = server.place.tells(&["access", "review"]);
        assert!(["create\t403", "update\t403", "patch\t403", "delete\t403", "$validate?mode=update"].iter().all(|tried| review.contains(tried)), "{review}");
        let start: Vec<&Value> = events.iter().filter(|event| event["subtype"][0]["code"] == json!("110127")).collect();
        assert!(start.len() == 1 && purpose(start[0]), "{events:#?}");
        assert_eq!(start[0]["type"]["code"], json!("110113"));
    }
}

both! {
    fn what_is_asked_wrongly_is_refused_by_its_reason(server) {
        let (alice, _) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        for (parameter, said) in [
            (json!([{"name": "reason", "valueString": "too short"}]), "fewer than 10 characters"),
            (json!([{"name": "reason", "valueString": "          x"}]), "fewer than 10 characters"),
            (json!([{"name": "note", "valueString": "long enough to be one"}]), "the parameter reason alone"),
            (json!([{"name": "reason", "valueCode": "emergency-room"}]), "valueString"),
        ] {
            let refused = breaks(&ruiz, &alice, parameter).is(422);
            assert!(refused.text().contains(said), "{said}: {}", refused.text());
        }
        breaks(&ruiz, &uuid::Uuid::new_v4().to_string(), reason(REASON)).is(404);
        breaks(&ruiz, "nobody", reason(REASON)).is(404);
        ruiz.get(&format!("/fhir/Patient/{alice}")).is(404);
        // Tokens that nobody signed in for, and roles that it is not for.
        breaks(&server.clinician(&[]), &alice, reason(REASON)).is(403);
        breaks(&server.ehr(), &alice, reason(REASON)).is(403);
    }
}

both! {
    fn it_pierces_consent_and_is_the_user_s_and_the_client_s_alone(server) {
        let ((alice, weighed), ehr) = (person(server), server.ehr());
        let (ruiz, practitioner) = clinician(server, "ruiz");
        let team = json!({
            "resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{alice}")},
            "participant": [{"member": {"reference": practitioner}}]
        });
        created(&ehr, &team);
        created(&ehr, &consent(&alice, json!({"type": "deny"})));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let (other, _) = clinician(server, "silva");
        other.get(&format!("/fhir/Observation/{weighed}")).is(404);
        let elsewhere = signs_in(server, &app(server), "ruiz");
        elsewhere.get(&format!("/fhir/Observation/{weighed}")).is(404);
    }
}

both! {
    fn a_review_lists_what_was_read_and_ends_it(server) {
        server.plant(REASON);
        let (alice, weighed) = person(server);
        let (ruiz, practitioner) = clinician(server, "ruiz");
        assert_eq!(server.place.tells(&["access", "review"]), "");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let told = server.place.tells(&["access", "review"]);
        let mut lines = told.lines();
        let parts: Vec<&str> = lines.next().unwrap().split('\t').collect();
        assert_eq!(&parts[3..], [&format!("ruiz ({practitioner})"), "Ward", &format!("Patient/{alice}"), REASON], "{told}");
        let read: Vec<&str> = lines.filter(|line| line.contains("\tread\t200\t")).collect();
        assert!(read.len() == 1 && read[0].ends_with(&format!("Observation/{weighed}")), "{told}");
        let unknown = server.place.firth(&["access", "review", "--close", "x", "--disposition", "justified"]);
        let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert!(!unknown.status.success() && said.contains("'x' is not the id of a break-glass access"), "{said}");
        let refused = server.place.firth(&["access", "review", "--close", parts[0]]);
        assert!(!refused.status.success());
        server.place.tells(&["access", "review", "--close", parts[0], "--disposition", "justified: emergency room"]);
        assert_eq!(server.place.tells(&["access", "review"]), "");
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        assert!(!server.place.firth(&["access", "review", "--close", parts[0], "--disposition", "again"]).status.success());
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
        assert_eq!(events.iter().filter(|event| event["subtype"][0]["code"] == json!("110138")).count(), 1, "{events:#?}");
    }
}

both! {
    fn a_review_of_several_of_one_patient_stays_readable(server) {
        let (alice, _) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        breaks(&ruiz, &alice, reason("still unconscious, still unknown")).is(200);
        for _ in 0..2 {
            let told = server.place.tells(&["access", "review"]);
            assert_eq!(told.lines().filter(|line| line.contains(&format!("Patient/{alice}")) && !line.starts_with('\t')).count(), 2, "{told}");
        }
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
        let reviews = events.iter().filter(|event| event.to_string().contains("firth access review")).count();
        assert_eq!(reviews, 2, "{events:#?}");
    }
}

both! {
    fn after_an_hour_it_is_over(server) {
        let (alice, weighed) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        // As if it had begun an hour before; a resource that says who may see what makes the server look again.
        server.sql(false, "UPDATE break_glass SET granted_at = granted_at - 3600001, expires_at = expires_at - 3600001").unwrap();
        created(&server.ehr(), &json!({"resourceType": "Group", "type": "person", "actual": true}));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        let ended = || {
            let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
            events.iter().any(|event| event["subtype"][0]["code"] == json!("110138"))
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !ended() {
            assert!(std::time::Instant::now() < end, "the end is not recorded");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}

both! {
    fn an_old_sign_in_opens_nothing(server) {
        let (alice, weighed) = person(server);
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &server.practitioner()]);
        let browser = server.browser();
        through(server, &app(server), &browser, "ruiz");
        server.sql(false, "UPDATE session SET auth_time = auth_time - 300000").unwrap();
        let ruiz = through(server, &app(server), &browser, "ruiz");
        let refused = breaks(&ruiz, &alice, reason(REASON)).is(401);
        let challenge = refused.header("www-authenticate").unwrap();
        for part in ["error=\"insufficient_user_authentication\"", "max_age=\"300\""] {
            assert!(challenge.contains(part), "{challenge}");
        }
        ruiz.get(&format!("/fhir/Observation/{weighed}")).is(404);
        // The reason is judged first.
        breaks(&ruiz, &alice, reason("short")).is(422);
    }
}

/// The requests that the review tells of this kind, without their base.
fn reviewed(server: &TestServer, route: &str) -> Vec<String> {
    let told = server.place.tells(&["access", "review"]);
    let of_route = |line: &&str| line.starts_with('\t') && line.contains(&format!("\t{route}\t"));
    told.lines().filter(of_route).map(|line| line.rsplit('\t').next().unwrap().replace("/fhir/", "")).collect()
}

both! {
    fn a_number_alone_and_that_nothing_is_found_are_marked(server) {
        let ((alice, weighed), (bob, _)) = (person(server), person(server));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        created(&server.ehr(), &team(&format!("Patient/{bob}"), &practitioner));
        soon(server, || ruiz.get(&format!("/fhir/Patient/{bob}")).status == 200);
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let of_alice = [
            "Observation?code=29463-7&_count=0".to_owned(),
            format!("Observation?_id={weighed}&_count=0"),
            "Observation?date=ge2000&_count=0".to_owned(),
            "Patient?_lastUpdated=ge2000&_count=0".to_owned(),
            format!("Patient?_id={alice}&_count=0"),
            "Observation?code=nothing-has-it".to_owned(),
            format!("Goal?patient={alice}"),
            format!("Observation?subject=Patient/{bob},Patient/{alice}&_count=0"),
        ];
        for (asked, total) in of_alice.iter().zip([2, 1, 2, 2, 1, 0, 0, 2]) {
            let found = ruiz.search(asked);
            assert_eq!(found.total().unwrap_or(found.matches().len() as i64), total, "{asked}");
        }
        ruiz.get("/fhir/Observation/_history?_since=2999-01-01T00:00:00Z").is(200);
        // Of these nothing is about the patient.
        let of_others = ["Organization?_count=0".to_owned(), format!("Observation?patient={bob}&_count=0"), format!("Patient?_id={bob}&_count=0")];
        of_others.iter().for_each(|asked| drop(ruiz.search(asked)));
        ruiz.get("/fhir/Organization/_history").is(200);

        assert_eq!((reviewed(server, "search"), reviewed(server, "history-type").len()), (of_alice.to_vec(), 1));
        let marked = |of: &str, what: &str| {
            let events = server.auditor().search(&format!("AuditEvent?patient={of}&agent={practitioner}&_count=100")).matches();
            let emergency = |event: &&Value| event["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG");
            events.iter().filter(emergency).filter(|event| event["subtype"][0]["code"] == json!(what)).count()
        };
        assert_eq!((marked(&alice, "search-type"), marked(&alice, "history-type")), (of_alice.len(), 1));
        // What found something of both is an event of both.
        assert_eq!((marked(&bob, "search-type"), marked(&bob, "history-type")), (0, 0));
    }
}

both! {
    fn what_a_write_looks_for_finds_nothing_of_the_patient(server) {
        let ((alice, weighed), (bob, _)) = (person(server), person(server));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        created(&server.ehr(), &team(&format!("Patient/{bob}"), &practitioner));
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let own = weight(&bob, "71.0");
        let if_none_exist = format!("_id={weighed}");
        ruiz.with("if-none-exist", &if_none_exist).post("/fhir/Observation", &own).is(201);
        let mut derived = own;
        derived["derivedFrom"] = json!([{"reference": format!("Observation?_id={weighed}")}]);
        let entry = json!({"request": {"method": "POST", "url": "Observation"}, "resource": derived});
        ruiz.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})).is(422);
        derived["derivedFrom"] = json!([{"reference": format!("Observation/{weighed}")}]);
        ruiz.post("/fhir/Observation", &derived).is(422);
    }
}

both! {
    fn a_transaction_that_fails_tells_of_what_it_asked(server) {
        let (alice, weighed) = person(server);
        let (ruiz, practitioner) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let asked = format!("Observation/{weighed}/_history");
        let entries = json!([{"request": {"method": "GET", "url": asked}}, {"request": {"method": "DELETE", "url": "Organization/none"}}]);
        ruiz.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(403);
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&agent={practitioner}&_count=100")).matches();
        let of_transaction = |event: &&Value| event["subtype"][0]["code"] == json!("transaction");
        let found: Vec<&Value> = events.iter().filter(of_transaction).collect();
        assert!(found.len() == 1 && found[0]["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG"), "{events:#?}");
        // One patient is one event.
        let id = found[0]["id"].as_str().unwrap();
        server.auditor().get(&format!("/fhir/AuditEvent/{id}")).is(200);
        server.auditor().get(&format!("/fhir/AuditEvent/{}.1", id.split('.').next().unwrap())).is(404);
    }
}

both! {
    fn an_emergency_is_of_whom_it_was_asked_for_and_goes_no_further_than_a_merge(server) {
        let ((source, of_source), (target, of_target), ehr) = (person(server), person(server), server.ehr());
        let parameter = |name: &str, id: &str| json!({"name": name, "valueReference": {"reference": format!("Patient/{id}")}});
        let merged = json!({"resourceType": "Parameters", "parameter": [parameter("source-patient", &source), parameter("target-patient", &target)]});
        ehr.post("/fhir/Patient/$merge", &merged).is(200);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &source, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{of_source}")).status == 200);
        ruiz.get(&format!("/fhir/Observation/{of_target}")).is(200);
        let parted = json!({"resourceType": "Parameters", "parameter": [parameter("source-patient", &source)]});
        ehr.post(&format!("/fhir/Patient/{target}/$unmerge"), &parted).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{of_target}")).status == 404);
        ruiz.get(&format!("/fhir/Patient/{target}")).is(404);
        for asked in [format!("Patient/{source}"), format!("Observation/{of_source}")] {
            ruiz.get(&format!("/fhir/{asked}")).is(200);
        }
        // The review is of the one that was asked for, and tells of the other what was read while they were one.
        let told = server.place.tells(&["access", "review"]);
        assert!(told.lines().next().unwrap().contains(&format!("\tPatient/{source}\t")), "{told}");
        let wanted = [format!("Observation/{of_source}"), format!("Observation/{of_target}"), format!("Patient/{source}")];
        let missing: Vec<&String> = wanted.iter().filter(|one| !told.lines().any(|line| line.ends_with(one.as_str()))).collect();
        assert!(missing.is_empty(), "{missing:?}: {told}");
    }
}

both! {
    fn a_patient_who_was_deleted_is_opened_to_nobody(server) {
        let ehr = server.ehr();
        let alice = created(&ehr, &patient());
        ehr.delete(&format!("/fhir/Patient/{alice}")).is(204);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(404);
        assert_eq!(server.place.tells(&["access", "review"]), "");
    }
}

both! {
    fn what_is_opened_is_not_patched_and_criteria_do_not_find_it(server) {
        let (alice, weighed) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let patches = |path: &str| {
            let patch = json!([{"op": "replace", "path": "/status", "value": "amended"}]).to_string();
            ruiz.with("content-type", "application/json-patch+json").send("PATCH", path, Some(patch.as_bytes()))
        };
        patches(&format!("/fhir/Observation/{weighed}")).is(403);
        patches("/fhir/Observation/nothing-here").is(404);
        patches(&format!("/fhir/Observation?_id={weighed}")).is(404);
        ruiz.delete(&format!("/fhir/Observation?_id={weighed}")).is(204);
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{weighed}")).is(200).at("/meta/versionId"), json!("1"));
    }
}

both! {
    fn what_ends_a_grant_ends_the_emergency_that_was_opened_by_it(server) {
        let (alice, weighed) = person(server);
        let (practitioner, ward) = (server.practitioner(), app(server));
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
        let ends: [&[&[&str]]; 3] = [
            &[&["role", "revoke", "ruiz"], &["role", "grant", "ruiz", "clinician"]],
            &[&["role", "grant", "ruiz", "auditor"], &["role", "grant", "ruiz", "clinician"]],
            &[&["client", "disable", &ward], &["client", "approve", &ward]],
        ];
        let mut ruiz = signs_in(server, &ward, "ruiz");
        for (n, verbs) in ends.iter().enumerate() {
            breaks(&ruiz, &alice, reason(REASON)).is(200);
            soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
            verbs.iter().for_each(|verb| { server.place.tells(verb); });
            ruiz = signs_in(server, &ward, "ruiz");
            ruiz.get(&format!("/fhir/Observation/{weighed}")).is(404);
            let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=200")).matches();
            assert_eq!(events.iter().filter(|event| event["subtype"][0]["code"] == json!("110138")).count(), n + 1, "{verbs:?}");
        }
    }
}
