//! Every access leaves an entry that can be searched and read, and that nothing can change.

use serde_json::{Value, json};

use crate::support::actors::value_of;
use crate::support::payload::*;
use crate::support::{Backend, Bundle, Client, TestServer};

fn events(auditor: &Client<'_>, query: &str) -> Vec<Value> {
    auditor.pages(&format!("AuditEvent?_count=200&_sort=date&{query}")).iter().flat_map(Bundle::matches).collect()
}

/// Subtype code, or the operation when there is none of FHIR.
fn word(event: &Value) -> String {
    let subtypes = event["subtype"].as_array().cloned().unwrap_or_default();
    let of = |system: &str| subtypes.iter().find(|one| one["system"] == system).and_then(|one| one["code"].as_str()).map(str::to_owned);
    of("urn:firth:operation").or_else(|| of("http://hl7.org/fhir/restful-interaction")).unwrap_or_default()
}

fn of_request(auditor: &Client<'_>, request: &str) -> Vec<Value> {
    let has = |event: &Value| {
        event["entity"].as_array().is_some_and(|all| all.iter().any(|entity| entity["what"]["identifier"]["value"] == request))
    };
    events(auditor, "").into_iter().filter(has).collect()
}

both! {
    fn each_read_search_refusal_and_upload_leaves_an_entry(server) {
        let (alice, auditor) = (server.person("alice"), server.auditor());
        let upload = alice.sync(apple(hearts("r", 2)).to_string().as_bytes()).is(202);
        let search = server.ehr().get(&format!("/fhir/Observation?patient={}", alice.patient)).is(200);
        let id = Bundle(search.json()).ids()[0].clone();
        let read = server.ehr().get(&format!("/fhir/Observation/{id}")).is(200);
        let vread = server.ehr().get(&format!("/fhir/Observation/{id}/_history/1")).is(200);
        let hidden = server.clinician(&[]).get(&format!("/fhir/Observation/{id}")).is(404);
        let stranger = server.nobody().get("/fhir/Observation").is(401);
        let forbidden = alice.sdk().get("/fhir/Observation").is(403);
        let malformed = server.ehr().get("/fhir/Observation?date=x").is(400);
        let nowhere = server.nobody().get("/nothing").is(404);
        let users = server.backend_of_app().get(&format!("/api/v1/users/{}", alice.user)).is(200);
        for (reply, wanted, action, outcome, of_patient) in [
            (&upload, "sync", "C", "0", true),
            (&search, "search-type", "E", "0", true),
            (&read, "read", "R", "0", true),
            (&vread, "vread", "R", "0", true),
            (&hidden, "read", "R", "4", false),
            (&stranger, "search-type", "E", "4", false),
            (&forbidden, "search-type", "E", "4", false),
            (&malformed, "search-type", "E", "4", false),
            (&nowhere, "unrouted", "E", "4", false),
            (&users, "read", "R", "0", true),
        ] {
            let found = of_request(&auditor, reply.header("x-request-id").unwrap());
            assert_eq!(found.len(), 1, "{wanted}: {found:#?}");
            let event = &found[0];
            assert_eq!((word(event).as_str(), &event["action"], &event["outcome"]), (wanted, &json!(action), &json!(outcome)), "{event}");
            let names = event["entity"].as_array().unwrap().iter().any(|entity| entity["what"]["reference"] == format!("Patient/{}", alice.patient));
            assert_eq!(names, of_patient, "{wanted}: {event}");
        }
    }
}

both! {
    fn audit_events_are_found_by_patient_date_agent_and_type(server) {
        let (alice, bob, auditor) = (server.person("alice"), server.person("bob"), server.auditor());
        alice.stores(&apple(hearts("r", 2)));
        bob.stores(&apple(hearts("r", 2)));
        let (token, grant) = server.token(&["--role", "patient", "--patient", &alice.patient]);
        let own = server.nobody().bearer(&token);
        own.search("Observation");
        own.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        let of_patient = events(&auditor, &format!("patient={}", alice.patient));
        assert!(of_patient.len() >= 5, "{}", of_patient.len());
        let names = |event: &Value, patient: &str| event["entity"].as_array().unwrap().iter().any(|entity| entity["what"]["reference"] == format!("Patient/{patient}"));
        assert!(of_patient.iter().all(|event| names(event, &alice.patient) && !names(event, &bob.patient)));
        let by_agent = events(&auditor, &format!("agent:identifier=urn:firth:credential|{grant}"));
        let mut words: Vec<String> = by_agent.iter().map(word).collect();
        words.sort();
        assert_eq!(words, ["read", "search-type"]);
        assert_eq!(events(&auditor, &format!("agent=Patient/{}", alice.patient)).len(), 2);
        let uploads = events(&auditor, "type=http://dicom.nema.org/resources/ontology/DCM|110107");
        assert!(uploads.iter().filter(|event| word(event) == "sync").count() == 2 && !uploads.is_empty());
        assert!(events(&auditor, "type=rest&action=R").iter().all(|event| event["action"] == "R"));
        assert_eq!(events(&auditor, "date=lt2020-01-01").len(), 0);
        let recorded = by_agent[0]["recorded"].as_str().unwrap();
        let since = events(&auditor, &format!("patient={}&date=ge{recorded}", alice.patient));
        // Compared as times: zeros at the end of a fraction are not written.
        let moment = |event: &Value| event["recorded"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let before: Vec<&Value> = of_patient.iter().filter(|event| moment(event) < moment(&by_agent[0])).collect();
        assert!(!before.is_empty() && before.iter().all(|event| !since.contains(event)), "{recorded}");
        assert!(since.iter().any(|event| event["id"] == by_agent[0]["id"]), "{recorded}");
        for event in &of_patient {
            assert_eq!(auditor.get(&format!("/fhir/AuditEvent/{}", event["id"].as_str().unwrap())).is(200).json(), *event);
        }
        auditor.get("/fhir/AuditEvent/nothing").is(404);
        auditor.get(&format!("/fhir/AuditEvent/{}", uuid::Uuid::new_v4())).is(404);
    }
}

both! {
    fn pages_that_go_forwards_in_time_end(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 1)));
        let auditor = server.auditor();
        let all = auditor.search("AuditEvent?_count=1000").ids().len();
        // Each page leaves entries of its own; none of them is on a later page.
        let pages = auditor.pages("AuditEvent?_sort=date&_count=1");
        assert!((all..all + 3).contains(&pages.len()), "{} pages of {all}", pages.len());
    }
}

both! {
    fn a_search_over_two_patients_is_one_event_of_each(server) {
        let (alice, bob, auditor) = (server.person("alice"), server.person("bob"), server.auditor());
        alice.stores(&apple(hearts("r", 2)));
        bob.stores(&apple(hearts("r", 2)));
        let request = server.ehr().get("/fhir/Observation").is(200).header("x-request-id").unwrap().to_owned();
        let found = of_request(&auditor, &request);
        let mut ids: Vec<&str> = found.iter().filter_map(|event| event["id"].as_str()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((found.len(), ids.len()), (2, 2));
        for event in &found {
            assert_eq!(event["meta"]["profile"][0], "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery");
            auditor.get(&format!("/fhir/AuditEvent/{}", event["id"].as_str().unwrap())).is(200);
        }
    }
}

both! {
    fn verbs_are_audited_too(server) {
        let auditor = server.auditor();
        let printed = server.place.tells(&["user", "add", "--first-name", "Ines"]);
        let patient = value_of(&printed, "patient_id");
        assert!(events(&auditor, &format!("patient={patient}")).iter().any(|event| word(event).contains("user add")));
        for of in ["token", "client", "account", "role"] {
            let verb = format!("{of} list");
            server.place.tells(&[of, "list"]);
            let of_it: Vec<Value> = events(&auditor, "").into_iter().filter(|event| word(event).contains(&verb)).collect();
            // Who looks changes nothing (DCM 110113 is an alert of changed security).
            assert!(of_it.len() == 1 && of_it[0]["type"]["code"] == "110100", "{of_it:#?}");
        }
    }
}

both! {
    fn entries_outlive_a_restart(server) {
        let alice = server.person("alice");
        server.ehr().get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        let before = events(&server.auditor(), &format!("patient={}", alice.patient));
        server.stop();
        server.run();
        let after = events(&server.auditor(), &format!("patient={}", alice.patient));
        assert!(before.len() >= 2 && before.iter().all(|event| after.contains(event)));
    }
}

fn refuses(server: &TestServer, audit: bool, sql: &str) {
    let told = server.sql(audit, sql);
    assert!(told.as_ref().is_err_and(|says| says.contains("append-only")), "{sql}: {told:?}");
}

both! {
    fn the_tables_refuse_every_change(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 2)));
        server.ehr().get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        let before = events(&server.auditor(), &format!("patient={}", alice.patient)).len();
        let columns = "node, recorded_lo, recorded_hi, n, leaves, sealed";
        match server.backend {
            Backend::Sqlite => {
                for audit in [false, true] {
                    refuses(server, audit, "UPDATE audit_block SET n = 0");
                    refuses(server, audit, "DELETE FROM audit_block");
                    refuses(server, audit, &format!("REPLACE INTO audit_block (block, {columns}) SELECT block, {columns} FROM audit_block"));
                    refuses(server, audit, &format!("INSERT INTO audit_block (block, {columns}) SELECT block, {columns} FROM audit_block WHERE 1 ON CONFLICT DO UPDATE SET n = 0"));
                }
                refuses(server, true, "UPDATE audit_index SET ordinal = 0");
                refuses(server, true, "DELETE FROM audit_index");
                refuses(server, true, "REPLACE INTO audit_index SELECT * FROM audit_index");
            }
            Backend::Postgres => {
                for table in ["audit_block", "audit_index"] {
                    refuses(server, false, &format!("DELETE FROM {table}"));
                    refuses(server, false, &format!("TRUNCATE {table}"));
                    refuses(server, false, &format!("SET session_replication_role = replica; DELETE FROM {table}"));
                }
                refuses(server, false, "UPDATE audit_block SET n = 0");
                refuses(server, false, "UPDATE audit_index SET ordinal = 0");
                refuses(server, false, &format!("INSERT INTO audit_block (block, {columns}) SELECT block, {columns} FROM audit_block ON CONFLICT (block) DO UPDATE SET n = 0"));
            }
        }
        assert!(events(&server.auditor(), &format!("patient={}", alice.patient)).len() >= before);
    }
}

both! {
    fn each_kind_of_interaction_has_its_code(server) {
        let (ehr, auditor) = (server.ehr(), server.auditor());
        let fhir = ehr.with("content-type", "application/fhir+json");
        let ward = json!({"resourceType": "Organization", "name": "Ward", "identifier": [{"system": "urn:x", "value": "1"}]});
        let id = ehr.post("/fhir/Organization", &ward).is(201).text_at("/id");
        let put = |path: &str| fhir.send("PUT", path, Some(ward.to_string().as_bytes()));
        let bundle = |kind: &str| json!({"resourceType": "Bundle", "type": kind, "entry": [
            {"request": {"method": "PUT", "url": "Organization?identifier=urn:x|1"}, "resource": ward},
            {"request": {"method": "GET", "url": format!("Organization/{id}")}},
        ]});
        // What the entry tells: its codes, and what was asked where that is not in its other elements.
        let told = |event: &Value| {
            let subtypes = event["subtype"].as_array().cloned().unwrap_or_default();
            let codes: Vec<&str> = subtypes.iter().filter_map(|one| one["code"].as_str()).collect();
            let detail = event["entity"][0]["detail"].as_array().cloned().unwrap_or_default();
            let query = detail.iter().find(|one| one["type"] == "query").and_then(|one| one["valueBase64Binary"].as_str().map(str::to_owned));
            let query = query.map(|query| String::from_utf8(data_encoding::BASE64.decode(query.as_bytes()).unwrap()).unwrap());
            format!("{} {} {}", codes.join(" "), event["action"].as_str().unwrap(), query.unwrap_or_default()).trim_end().to_owned()
        };
        let ask = "/fhir/Organization?identifier=urn:x|1";
        for (reply, wanted) in [
            (ehr.get(&format!("/fhir/Organization/{id}/_history")), vec!["history-instance history R"]),
            (ehr.get("/fhir/Organization/_history"), vec!["history-type history-type R"]),
            (ehr.get("/fhir/_history"), vec!["history-system history-system R"]),
            (put(ask), vec!["update U PUT /fhir/Organization?identifier=urn:x|1"]),
            (ehr.with("content-type", "application/json-patch+json").send("PATCH", &format!("/fhir/Organization/{id}"), Some(b"[]")), vec!["patch U"]),
            (ehr.with("if-none-exist", "identifier=urn:x|1").post("/fhir/Organization", &ward), vec!["create C POST /fhir/Organization\nIf-None-Exist: identifier=urn:x|1"]),
            (ehr.get(&format!("/fhir/Organization/{id}/$validate")), vec![&*format!("operation validate E GET /fhir/Organization/{id}/$validate")]),
            (ehr.post("/fhir", &bundle("batch")), vec!["batch batch E", "read R", "update U PUT /fhir/Organization?identifier=urn:x|1"]),
            (ehr.post("/fhir", &bundle("transaction")), vec!["read R", "transaction transaction E", "update U PUT /fhir/Organization?identifier=urn:x|1"]),
            (fhir.send("DELETE", ask, None), vec!["delete D DELETE /fhir/Organization?identifier=urn:x|1"]),
        ] {
            assert!(reply.status < 300, "{}", reply.text());
            let mut found: Vec<String> = of_request(&auditor, reply.header("x-request-id").unwrap()).iter().map(told).collect();
            found.sort();
            assert_eq!(found, wanted);
        }
    }
}
