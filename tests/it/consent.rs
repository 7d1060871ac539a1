//! What a patient withholds by Consent is hidden on every way to it, at once, and from whom it names alone.

use serde_json::{Value, json};

use crate::documents::{created, patient, put, weight};
use crate::support::payload::*;
use crate::support::{Client, Person, TestServer};

const LOINC: &str = "http://loinc.org";

/// An active Consent of scope patient-privacy with this provision.
pub fn consent(patient: &str, provision: Value) -> Value {
    json!({
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "dateTime": "2026-01-01",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": provision
    })
}

fn class(of: &str) -> Value {
    json!([{"system": "http://hl7.org/fhir/resource-types", "code": of}])
}

fn code(code: &str) -> Value {
    json!([{"coding": [{"system": LOINC, "code": code}]}])
}

fn observation(patient: &str, code: &str, when: &str) -> Value {
    let mut made = weight(patient, "70.1");
    made["code"]["coding"][0]["code"] = json!(code);
    if code == "8302-2" {
        made["valueQuantity"] = json!({"value": 170, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"});
    }
    made["effectiveDateTime"] = json!(when);
    made
}

fn count(client: &Client<'_>, query: &str) -> usize {
    client.search(query).matches().len()
}

/// Two people with samples, the reader of both, and who writes.
fn two(server: &TestServer) -> (Person<'_>, Person<'_>) {
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    alice.stores(&apple(hearts("a", 3)));
    bob.stores(&apple(hearts("b", 4)));
    (alice, bob)
}

both! {
    fn a_deny_of_everything_hides_the_patient_from_all_but_the_patient(server) {
        let (alice, bob) = two(server);
        let (ehr, clinician) = (server.ehr(), server.clinician(&[&alice, &bob]));
        let seen = alice.finds("").ids()[0].clone();
        let before = (count(&ehr, "Observation"), count(&clinician, "Observation"));
        assert_eq!(before, (7, 7));
        let id = created(&ehr, &consent(&alice.patient, json!({"type": "deny"})));
        for client in [&ehr, &clinician] {
            assert_eq!((count(client, "Observation"), count(client, "Patient")), (4, 1));
            assert_eq!(client.search("Observation?_count=0").total(), Some(4));
            assert_eq!(client.search("Observation?_total=accurate&_count=1").total(), Some(4));
            assert_eq!(client.search(&format!("Observation?patient={}&_count=0", alice.patient)).total(), Some(0));
            for path in [format!("Patient/{}", alice.patient), format!("Observation/{seen}"), format!("Observation/{seen}/_history/1")] {
                client.get(&format!("/fhir/{path}")).is(404);
            }
            client.get(&format!("/fhir/Observation/{seen}/_history")).is(404);
            // The Consent itself is what the role may read.
            client.get(&format!("/fhir/Consent/{id}")).is(200);
        }
        let own = alice.own();
        assert_eq!((count(&own, "Observation"), count(&own, "Patient")), (3, 1));
        own.get(&format!("/fhir/Observation/{seen}")).is(200);
    }
}

both! {
    fn withdrawal_and_return_take_effect_with_the_next_request(server) {
        let (alice, bob) = two(server);
        let (ehr, clinician) = (server.ehr(), server.clinician(&[&alice, &bob]));
        let sees = |wanted: usize| {
            // Where other processes write, a caller is remembered for two seconds.
            let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while count(&clinician, "Observation") != wanted {
                let late = server.backend == crate::support::Backend::Sqlite || std::time::Instant::now() > end;
                assert!(!late, "the caller still sees {}", count(&clinician, "Observation"));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        };
        sees(7);
        let mut sent = consent(&alice.patient, json!({"type": "deny"}));
        let id = created(&ehr, &sent);
        sees(4);
        sent["status"] = json!("inactive");
        sent["id"] = json!(id);
        put(&ehr, &format!("/fhir/Consent/{id}"), &sent).is(200);
        sees(7);
        sent["status"] = json!("active");
        put(&ehr, &format!("/fhir/Consent/{id}"), &sent).is(200);
        sees(4);
        ehr.delete(&format!("/fhir/Consent/{id}")).is(204);
        sees(7);
    }
}

both! {
    fn a_class_a_code_and_a_time_are_withheld_alone(server) {
        let ehr = server.ehr();
        let alice = created(&ehr, &patient());
        let early = created(&ehr, &observation(&alice, "29463-7", "2025-05-01"));
        let late = created(&ehr, &observation(&alice, "29463-7", "2026-05-01"));
        let height = created(&ehr, &observation(&alice, "8302-2", "2026-05-01"));
        let goal = created(&ehr, &json!({
            "resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "move"},
            "subject": {"reference": format!("Patient/{alice}")}
        }));
        let left = |provision: Value| {
            let id = created(&ehr, &consent(&alice, json!({"type": "permit", "provision": [provision]})));
            let clinician = server.nobody().bearer(&server.token(&["--role", "clinician", "--patient", &alice]).0);
            let mut all = clinician.search("Observation").ids();
            all.extend(clinician.search("Goal").ids());
            ehr.delete(&format!("/fhir/Consent/{id}"));
            all.sort();
            all
        };
        let all = |ids: &[&String]| {
            let mut ids: Vec<String> = ids.iter().map(|id| id.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(left(json!({"type": "deny", "class": class("Observation")})), all(&[&goal]));
        assert_eq!(left(json!({"type": "deny", "class": class("Observation"), "code": code("8302-2")})), all(&[&early, &late, &goal]));
        let since = json!({"type": "deny", "class": class("Observation"), "dataPeriod": {"start": "2026-01-01"}});
        assert_eq!(left(since), all(&[&early, &goal]));
        let except = json!({"type": "deny", "class": class("Observation"), "provision": [{"type": "permit", "code": code("8302-2")}]});
        assert_eq!(left(except), all(&[&height, &goal]));
        let one = json!({"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": format!("Observation/{late}")}}]});
        assert_eq!(left(one), all(&[&early, &height, &goal]));
        assert_eq!(left(json!({"type": "deny", "period": {"end": "2020-01-01"}})), all(&[&early, &late, &height, &goal]));
        assert_eq!(left(json!({"type": "deny", "purpose": [{"code": "HRESCH"}]})), all(&[&early, &late, &height, &goal]));
        assert_eq!(left(json!({"type": "deny", "purpose": [{"code": "TREAT"}]})), Vec::<String>::new());
        // Who treats does not claim an emergency; any other code below a general one may be meant.
        for (below, seen) in [("ETREAT", all(&[&early, &late, &height, &goal])), ("BTG", all(&[&early, &late, &height, &goal])), ("CAREMGT", Vec::new())] {
            assert_eq!(left(json!({"type": "deny", "purpose": [{"code": below}]})), seen, "{below}");
        }
        // A token without a client may be used by any.
        let client = json!({"role": {"coding": [{"code": "PRCP"}]}, "reference": {"identifier": {"system": "urn:firth:client", "value": "another"}}});
        assert_eq!(left(json!({"type": "deny", "actor": [client]})), Vec::<String>::new());
        // What cannot be told counts as met.
        assert_eq!(left(json!({"type": "deny", "class": [{"system": "urn:mine", "code": "notes"}]})), Vec::<String>::new());
    }
}

both! {
    fn a_code_is_withheld_whichever_element_has_it(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let subject = json!({"reference": format!("Patient/{}", alice.patient)});
        let goal = |description: Value| json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": description, "subject": subject});
        let coded = json!({"coding": [{"system": LOINC, "code": "8302-2"}]});
        let plain = created(&ehr, &goal(json!({"coding": [{"system": LOINC, "code": "29463-7"}]})));
        let mut of_extension = goal(json!({"text": "grow"}));
        of_extension["extension"] = json!([{"url": "urn:x", "valueCoding": {"system": LOINC, "code": "8302-2"}}]);
        let mut within = goal(json!({"text": "grow"}));
        within["contained"] = json!([{"resourceType": "Condition", "id": "c", "code": coded, "subject": subject}]);
        within["addresses"] = json!([{"reference": "#c"}]);
        let secret: Vec<String> = [goal(coded), of_extension, within].iter().map(|one| created(&ehr, one)).collect();
        let sample = { alice.stores(&apple(hearts("a", 1))); alice.finds("").ids().remove(0) };
        let body = goal(json!({"coding": [{"system": LOINC, "code": "8302-2"}]}));
        let id = created(&ehr, &consent(&alice.patient, json!({"type": "deny", "code": code("8302-2")})));
        let bystander = server.clinician(&[&alice]);
        for client in [&ehr, &bystander] {
            assert_eq!((client.search("Goal").ids(), client.search("Goal?_total=accurate").total()), (vec![plain.clone()], Some(1)));
            for hidden in &secret {
                client.get(&format!("/fhir/Goal/{hidden}")).is(404);
                client.get(&format!("/fhir/Goal/{hidden}/_history/1")).is(404);
            }
            client.get(&format!("/fhir/Goal/{plain}")).is(200);
            client.get(&format!("/fhir/Observation/{sample}")).is(200);
            // Nor may it be made.
            client.post("/fhir/Goal", &body).is(403);
        }
        assert_eq!(alice.own().search("Goal").ids().len(), 4);
        ehr.delete(&format!("/fhir/Consent/{id}")).is(204);
        // The same of what devices measure, and as an exception.
        for (provision, seen) in [
            (json!({"type": "deny", "code": code("8867-4")}), [4, 0]),
            (json!({"type": "deny", "provision": [{"type": "permit", "code": code("8302-2")}]}), [3, 0]),
            (json!({"type": "deny", "provision": [{"type": "permit", "code": code("8867-4")}]}), [0, 1]),
        ] {
            let id = created(&ehr, &consent(&alice.patient, provision.clone()));
            assert_eq!(["Goal", "Observation"].map(|of| count(&server.clinician(&[&alice]), of)), seen, "{provision}");
            ehr.delete(&format!("/fhir/Consent/{id}")).is(204);
        }
    }
}

both! {
    fn labels_are_withheld_and_the_rest_is_not(server) {
        let ehr = server.ehr();
        let alice = created(&ehr, &patient());
        let mut labelled = observation(&alice, "29463-7", "2026-05-01");
        labelled["meta"] = json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
        created(&ehr, &labelled);
        let plain = created(&ehr, &observation(&alice, "29463-7", "2026-05-01"));
        let label = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]);
        created(&ehr, &consent(&alice, json!({"type": "deny", "securityLabel": label})));
        assert_eq!(ehr.search("Observation").ids(), [plain]);
    }
}

both! {
    fn what_is_withheld_is_no_match_no_include_and_no_entry_of_a_batch(server) {
        let (alice, _) = two(server);
        let ehr = server.ehr();
        let own = created(&ehr, &observation(&alice.patient, "29463-7", "2026-05-01"));
        let first = created(&ehr, &consent(&alice.patient, json!({"type": "deny", "class": class("Patient")})));
        // The Observations are to be seen, and their subject is not included.
        let found = ehr.search(&format!("Observation?_id={own}&_include=Observation:subject"));
        assert_eq!((found.ids(), found.included().len()), (vec![own.clone()], 0));
        let asked = json!({"resourceType": "Bundle", "type": "batch", "entry": [
            {"request": {"method": "GET", "url": format!("Patient/{}", alice.patient)}},
            {"request": {"method": "GET", "url": format!("Observation/{own}")}}
        ]});
        let answers = ehr.post("/fhir", &asked).is(200).json();
        let status = |n: usize| answers["entry"][n]["response"]["status"].as_str().unwrap()[..3].to_owned();
        assert_eq!((status(0), status(1)), ("404".to_owned(), "200".to_owned()));
        let both = json!({"type": "deny", "class": [class("Patient")[0], class("Observation")[0]]});
        let mut wider = consent(&alice.patient, both);
        wider["id"] = json!(first);
        put(&ehr, &format!("/fhir/Consent/{first}"), &wider).is(200);
        let mut body = observation(&alice.patient, "29463-7", "2026-05-01");
        body["id"] = json!(own);
        // A hidden one does not match, and nothing of it is changed.
        ehr.get(&format!("/fhir/Observation/{own}")).is(404);
        assert_eq!(count(&ehr, &format!("Observation?_id={own}")), 0);
        ehr.delete(&format!("/fhir/Observation?_id={own}")).is(204);
        // Its subject is as hidden as it is itself.
        put(&ehr, &format!("/fhir/Observation/{own}"), &body).is(422);
        let history = ehr.get("/fhir/Observation/_history").is(200).json();
        let of_alice = |entry: &Value| entry["resource"]["subject"]["reference"] == json!(format!("Patient/{}", alice.patient));
        assert!(!history["entry"].as_array().unwrap().iter().any(of_alice), "{history}");
        assert_eq!(count(&alice.own(), &format!("Observation?_id={own}")), 1);
    }
}

both! {
    fn a_consent_that_only_permits_gives_nothing_and_takes_nothing(server) {
        let (alice, bob) = two(server);
        created(&server.ehr(), &consent(&alice.patient, json!({"type": "permit"})));
        assert_eq!(count(&server.clinician(&[&bob]), "Observation"), 4);
        assert_eq!(count(&server.clinician(&[&alice]), "Observation"), 3);
    }
}

both! {
    fn a_draft_and_a_consent_to_something_else_restrict_nothing(server) {
        let (alice, _) = two(server);
        let ehr = server.ehr();
        for (element, value) in [
            ("status", json!("draft")),
            ("scope", json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]})),
        ] {
            let mut sent = consent(&alice.patient, json!({"type": "deny"}));
            sent[element] = value;
            created(&ehr, &sent);
        }
        assert_eq!(count(&ehr, &format!("Observation?patient={}", alice.patient)), 3);
    }
}

both! {
    fn a_consent_of_a_patient_who_is_not_here_is_refused_for_it_would_bind_nobody(server, "FIRTH_REFERENCES" = "types") {
        let ehr = server.ehr();
        let id = "c0ffee00-0000-4000-8000-000000000001";
        let denies = consent(id, json!({"type": "deny", "class": class("Observation")}));
        let refused = ehr.post("/fhir/Consent", &denies).is(422);
        assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("reference.not-found", json!("Consent.patient")));
        let entry = |method: &str, url: String, resource: Value| json!({"request": {"method": method, "url": url}, "resource": resource});
        let mut own = patient();
        own["id"] = json!(id);
        let alone = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry("POST", "Consent".into(), denies.clone())]});
        ehr.post("/fhir", &alone).is(422);
        // In one transaction the Patient is there first, whatever the order.
        let both = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            entry("POST", "Observation".into(), observation(id, "29463-7", "2026-05-01")),
            entry("POST", "Consent".into(), denies),
            entry("PUT", format!("Patient/{id}"), own)
        ]});
        ehr.post("/fhir", &both).is(200);
        assert_eq!((count(&server.ehr(), "Patient"), count(&server.ehr(), "Observation")), (1, 0));
        // One that withholds nothing binds nobody anyway.
        ehr.post("/fhir/Consent", &consent("c0ffee00-0000-4000-8000-000000000002", json!({"type": "permit"}))).is(201);
    }
}

both! {
    fn a_consent_that_withholds_something_names_a_patient_who_is_here(server) {
        let (ehr, alice) = (server.ehr(), created(&server.ehr(), &json!({
            "resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]
        })));
        let of = |patient: Value| {
            let mut sent = consent(&alice, json!({"type": "deny"}));
            match patient {
                Value::Null => drop(sent.as_object_mut().unwrap().remove("patient")),
                patient => sent["patient"] = patient,
            }
            sent
        };
        let mut contained = of(json!({"reference": "#p"}));
        contained["contained"] = json!([{"resourceType": "Patient", "id": "p"}]);
        let nobody = [
            of(Value::Null),
            of(json!({"identifier": {"system": "urn:mrn", "value": "1"}})),
            of(json!({"type": "Patient", "identifier": {"system": "urn:mrn", "value": "1"}})),
            of(json!({"display": "Alice"})),
            of(json!({"reference": format!("http://elsewhere.example/fhir/Patient/{alice}")})),
            contained,
        ];
        for sent in &nobody {
            let refused = ehr.post("/fhir/Consent", sent).is(422);
            assert_eq!(refused.at("/issue/0/expression/0"), json!("Consent.patient"), "{}", sent["patient"]);
            assert!(refused.text().contains("would bind nobody"), "{}", refused.text());
            let entry = json!({"request": {"method": "POST", "url": "Consent"}, "resource": sent});
            ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})).is(422);
            // What withholds nothing may be of whomever it says.
            let mut draft = sent.clone();
            draft["status"] = json!("draft");
            created(&ehr, &draft);
        }
        let id = created(&ehr, &of(json!({"reference": format!("Patient/{alice}")})));
        let patch = json!([{"op": "remove", "path": "/patient/reference"}, {"op": "add", "path": "/patient/display", "value": "Alice"}]).to_string();
        ehr.with("content-type", "application/json-patch+json").send("PATCH", &format!("/fhir/Consent/{id}"), Some(patch.as_bytes())).is(422);
        ehr.get(&format!("/fhir/Patient/{alice}")).is(404);
    }
}

both! {
    fn a_consent_that_hides_its_patient_is_changed_in_a_transaction_too(server) {
        let (ehr, alice) = (server.ehr(), created(&server.ehr(), &patient()));
        let mut sent = consent(&alice, Value::Null);
        sent.as_object_mut().unwrap().remove("provision");
        sent["policyRule"]["coding"][0]["code"] = json!("OPTOUT");
        sent["identifier"] = json!([{"system": "urn:paper", "value": "7"}]);
        let id = created(&ehr, &sent);
        sent["id"] = json!(id);
        let hidden = || ehr.get(&format!("/fhir/Patient/{alice}")).status == 404;
        let transaction = |method: &str, url: &str, resource: &Value| {
            let entry = json!({"request": {"method": method, "url": url}, "resource": resource});
            ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
        };
        let mut relaxed = sent.clone();
        relaxed["policyRule"]["coding"][0]["code"] = json!("OPTIN");
        let path = format!("Consent/{id}");
        let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Consent.status"}, {"name": "value", "valueCode": "inactive"}
        ]}]});
        for (method, url, resource) in [
            ("PUT", path.as_str(), &relaxed),
            ("PUT", "Consent?identifier=urn:paper|7", &relaxed),
            ("PATCH", path.as_str(), &patch),
            ("PATCH", "Consent?identifier=urn:paper|7", &patch),
        ] {
            put(&ehr, &format!("/fhir/{path}"), &sent).is(200);
            crate::care_team::soon(server, hidden);
            // As it is, too.
            transaction("PUT", &path, &sent).is(200);
            transaction(method, url, resource).is(200);
            crate::care_team::soon(server, || !hidden());
        }
        // Not to another whom the writer does not see.
        let bob = created(&ehr, &patient());
        created(&ehr, &consent(&bob, json!({"type": "deny"})));
        let mut moved = sent.clone();
        moved["patient"]["reference"] = json!(format!("Patient/{bob}"));
        crate::care_team::soon(server, || ehr.get(&format!("/fhir/Patient/{bob}")).status == 404);
        assert_eq!(transaction("PUT", &path, &moved).is(422).code(), "reference.not-found");
        // Nor do others point to whom one may go on pointing to.
        let carol = created(&ehr, &patient());
        let mut note = json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": format!("Patient/{carol}")}});
        note["id"] = json!(created(&ehr, &note));
        put(&ehr, &format!("/fhir/{path}"), &sent).is(200);
        crate::care_team::soon(server, hidden);
        note["recipient"] = json!([{"reference": format!("Patient/{alice}")}]);
        let entry = |url: &str, resource: &Value| json!({"request": {"method": "PUT", "url": url}, "resource": resource});
        let both = [entry(&path, &relaxed), entry(&format!("Communication/{}", note["id"].as_str().unwrap()), &note)];
        let refused = ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": both})).is(422);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("Bundle.entry[1].resource.recipient[0].reference"));
    }
}

both! {
    fn what_a_transaction_deletes_is_not_pointed_to_for_having_been(server) {
        let (ehr, alice) = (server.ehr(), created(&server.ehr(), &patient()));
        let ward = created(&ehr, &json!({"resourceType": "Organization", "name": "Ward"}));
        let mut sent = consent(&alice, json!({"type": "permit"}));
        sent["organization"] = json!([{"reference": format!("Organization/{ward}")}]);
        let id = created(&ehr, &sent);
        sent["id"] = json!(id);
        sent["dateTime"] = json!("2026-02-01");
        let both = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "DELETE", "url": format!("Organization/{ward}")}},
            {"request": {"method": "PUT", "url": format!("Consent/{id}")}, "resource": sent}
        ]});
        assert_eq!(ehr.post("/fhir", &both).is(422).code(), "reference.not-found");
        ehr.get(&format!("/fhir/Organization/{ward}")).is(200);
    }
}

both! {
    fn the_highest_label_of_a_resource_counts(server) {
        let ehr = server.ehr();
        let alice = created(&ehr, &patient());
        let label = |code: &str| json!({"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code});
        let labelled = |codes: &[&str]| {
            let mut made = observation(&alice, "29463-7", "2026-05-01");
            made["meta"] = json!({"security": codes.iter().map(|code| label(code)).collect::<Vec<_>>()});
            created(&ehr, &made)
        };
        let low = labelled(&["L", "N"]);
        labelled(&["N", "V"]);
        labelled(&["R"]);
        created(&ehr, &consent(&alice, json!({"type": "deny", "class": class("Observation"), "provision": [{"type": "permit", "securityLabel": [label("N")]}]})));
        assert_eq!(server.ehr().search("Observation").ids(), [low]);
    }
}
