//! What people write: create, read, update, delete and their conditions, through HTTP.

use serde_json::{Value, json};

use crate::support::payload::*;
use crate::support::{Client, Reply};

pub fn patient() -> Value {
    json!({"resourceType": "Patient", "active": true, "name": [{"family": "Firth", "given": ["Ada"]}], "birthDate": "1980-05-11"})
}

pub fn weight(patient: &str, value: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": "2026-02-24T08:30:00Z",
        "valueQuantity": {"value": number(value), "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    })
}

pub fn put(client: &Client<'_>, path: &str, body: &Value) -> Reply {
    client.with("content-type", "application/fhir+json").send("PUT", path, Some(body.to_string().as_bytes()))
}

pub fn created(client: &Client<'_>, body: &Value) -> String {
    let kind = body["resourceType"].as_str().unwrap();
    client.post(&format!("/fhir/{kind}"), body).is(201).text_at("/id")
}

both! {
    fn what_is_created_is_read_found_changed_and_deleted(server) {
        let ehr = server.ehr();
        let made = ehr.post("/fhir/Patient", &patient()).is(201);
        let id = made.text_at("/id");
        assert_eq!(made.header("location"), Some(format!("{}/fhir/Patient/{id}/_history/1", server.url()).as_str()));
        assert_eq!((made.header("etag"), made.at("/meta/versionId")), (Some("W/\"1\""), json!("1")));
        assert_eq!(ehr.get(&format!("/fhir/Patient/{id}")).is(200).text(), made.text());
        assert_eq!(ehr.search("Patient?family=firth&birthdate=1980-05&active=true").ids(), std::slice::from_ref(&id));
        let mut changed = made.json();
        changed["active"] = json!(false);
        let second = put(&ehr, &format!("/fhir/Patient/{id}"), &changed).is(200);
        assert_eq!(second.header("etag"), Some("W/\"2\""));
        assert!(ehr.search("Patient?family=firth&active=true").ids().is_empty());
        assert_eq!(ehr.search("Patient?family=firth&active:not=true").ids(), std::slice::from_ref(&id));
        let deleted = ehr.delete(&format!("/fhir/Patient/{id}")).is(204);
        assert_eq!(deleted.header("etag"), Some("W/\"3\""));
        let gone = ehr.get(&format!("/fhir/Patient/{id}")).is(410);
        assert_eq!((gone.code().as_str(), gone.header("etag")), ("resource.deleted", Some("W/\"3\"")));
        ehr.get(&format!("/fhir/Patient/{id}/_history/3")).is(410);
        assert_eq!(ehr.get(&format!("/fhir/Patient/{id}/_history/1")).is(200).text(), made.text());
        assert!(ehr.search("Patient?family=firth").ids().is_empty());
        let history = ehr.get(&format!("/fhir/Patient/{id}/_history")).is(200).json();
        let methods: Vec<&Value> = history["entry"].as_array().unwrap().iter().map(|entry| &entry["request"]["method"]).collect();
        assert_eq!(methods, ["DELETE", "PUT", "POST"]);
        assert_eq!(history["entry"][0].get("resource"), None);
        ehr.delete(&format!("/fhir/Patient/{id}")).is(204);
        assert_eq!(put(&ehr, &format!("/fhir/Patient/{id}"), &changed).is(201).header("etag"), Some("W/\"4\""));
    }
}

both! {
    fn text_comes_back_letter_for_letter(server) {
        let ehr = server.ehr();
        let sent = r#"{ "resourceType" : "Basic", "code": {"text": "a\u00e9\n b"},
            "extension": [{"url": "urn:x:a", "valueDecimal": 0.1000}, {"url": "urn:x:b", "valueDecimal": -0}, {"url": "urn:x:c", "valueDecimal": 1E3}] }"#;
        let made = ehr.with("content-type", "application/fhir+json").send("POST", "/fhir/Basic", Some(sent.as_bytes())).is(201);
        let text = ehr.get(&format!("/fhir/Basic/{}", made.text_at("/id"))).is(200).text();
        for kept in [r#""code":{"text":"a\u00e9\n b"}"#, r#""valueDecimal":0.1000}"#, r#""valueDecimal":-0}"#, r#""valueDecimal":1E3}"#] {
            assert!(text.contains(kept), "{text}");
        }
        let same = ehr.with("content-type", "application/fhir+json").send("PUT", &format!("/fhir/Basic/{}", made.text_at("/id")), Some(text.as_bytes())).is(200);
        assert_eq!(same.header("etag"), Some("W/\"1\""), "nothing changed, so no version is made");
    }
}

both! {
    fn a_client_may_choose_the_id(server) {
        let ehr = server.ehr();
        let organization = json!({"resourceType": "Organization", "id": "ward-7.a", "name": "Ward"});
        put(&ehr, "/fhir/Organization/ward-7.a", &organization).is(201);
        assert_eq!(ehr.search("Organization?name=ward").ids(), ["ward-7.a"]);
        assert_eq!(ehr.search("Organization?_id=ward-7.a").ids(), ["ward-7.a"]);
        let refused = put(&ehr, "/fhir/Organization/other", &organization).is(400);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("Organization.id"));
        put(&ehr, "/fhir/Organization/a_b", &organization).is(400);
        let patient = json!({"resourceType": "Patient", "id": "mrn-1"});
        put(&ehr, "/fhir/Patient/mrn-1", &patient).is(422);
        let uuid = json!({"resourceType": "Patient", "id": "7d4ef8ae-1f2c-11ee-be56-0242ac120002"});
        put(&ehr, "/fhir/Patient/7d4ef8ae-1f2c-11ee-be56-0242ac120002", &uuid).is(201);
    }
}

both! {
    fn if_match_names_the_current_version(server) {
        let ehr = server.ehr();
        let id = created(&ehr, &json!({"resourceType": "Organization", "name": "One"}));
        let (path, two) = (format!("/fhir/Organization/{id}"), json!({"resourceType": "Organization", "id": id, "name": "Two"}));
        assert_eq!(put(&ehr.with("if-match", "W/\"7\""), &path, &two).is(412).code(), "resource.precondition");
        put(&ehr.with("if-match", "W/\"1\""), &path, &two).is(200);
        put(&ehr.with("if-match", "W/\"1\""), &path, &json!({"resourceType": "Organization", "id": id, "name": "Three"})).is(412);
        ehr.with("if-match", "W/\"1\"").delete(&path).is(412);
        ehr.with("if-match", "W/\"2\"").delete(&path).is(204);
        put(&ehr.with("if-match", "*"), "/fhir/Organization/none", &json!({"resourceType": "Organization", "id": "none", "name": "x"})).is(412);
    }
}

both! {
    fn conditions_find_none_one_or_many(server) {
        let ehr = server.ehr();
        let organization = |name: &str| json!({"resourceType": "Organization", "name": name, "identifier": [{"system": "urn:x", "value": "1"}]});
        let conditional = ehr.with("if-none-exist", "identifier=urn:x|1");
        let first = conditional.post("/fhir/Organization", &organization("A")).is(201);
        let again = conditional.post("/fhir/Organization", &organization("B")).is(200);
        assert_eq!((again.header("location"), again.at("/name")), (first.header("location"), json!("A")));
        put(&ehr, "/fhir/Organization?identifier=urn:x|1", &organization("C")).is(200);
        let id = first.text_at("/id");
        assert_eq!(ehr.get(&format!("/fhir/Organization/{id}")).is(200).at("/name"), json!("C"));
        put(&ehr, "/fhir/Organization?identifier=urn:x|2", &json!({"resourceType": "Organization", "name": "Dee"})).is(201);
        ehr.post("/fhir/Organization", &organization("E")).is(201);
        assert_eq!(conditional.post("/fhir/Organization", &organization("F")).is(412).code(), "resource.many-match");
        put(&ehr, "/fhir/Organization?identifier=urn:x|1", &organization("G")).is(412);
        ehr.delete("/fhir/Organization?identifier=urn:x|1").is(412);
        ehr.delete("/fhir/Organization?name=Dee").is(204);
        ehr.delete("/fhir/Organization?name=Dee").is(204);
        assert!(ehr.search("Organization?name=Dee").ids().is_empty());
        ehr.delete("/fhir/Organization").is(412);
        assert_eq!(put(&ehr, "/fhir/Organization?colour=red", &organization("H")).is(400).code(), "request.parameter-unknown");
    }
}

both! {
    fn references_hold(server) {
        let ehr = server.ehr();
        let dangling = json!({"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner/none"}, "organization": {"reference": "Organization/none"}});
        let refused = ehr.post("/fhir/PractitionerRole", &dangling).is(422);
        let named: Vec<Value> = refused.at("/issue").as_array().unwrap().iter().map(|issue| issue["expression"][0].clone()).collect();
        assert_eq!((refused.code().as_str(), named), ("reference.not-found", vec![json!("PractitionerRole.practitioner.reference"), json!("PractitionerRole.organization.reference")]));
        let id = created(&ehr, &json!({"resourceType": "Practitioner", "active": true}));
        let role = created(&ehr, &json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{id}")}}));
        let kept = ehr.delete(&format!("/fhir/Practitioner/{id}")).is(409);
        assert!(kept.code() == "resource.referenced" && kept.text().contains(&format!("PractitionerRole/{role}")), "{}", kept.text());
        ehr.delete(&format!("/fhir/PractitionerRole/{role}")).is(204);
        ehr.delete(&format!("/fhir/Practitioner/{id}")).is(204);
        ehr.post("/fhir/PractitionerRole", &json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{id}")}})).is(422);
        let foreign = json!({"resourceType": "PractitionerRole", "practitioner": {"reference": "https://ehr.example/fhir/Practitioner/1"}});
        ehr.post("/fhir/PractitionerRole", &foreign).is(201);
    }
}

both! {
    fn a_patient_with_data_stays(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        assert_eq!(ehr.delete(&format!("/fhir/Patient/{}", alice.patient)).is(409).code(), "resource.referenced");
        let id = created(&ehr, &patient());
        let goal = created(&ehr, &weight(&id, "70.0"));
        ehr.delete(&format!("/fhir/Patient/{id}")).is(409);
        ehr.delete(&format!("/fhir/Observation/{goal}")).is(204);
        ehr.delete(&format!("/fhir/Patient/{id}")).is(204);
    }
}

both! {
    fn an_edited_sample_stays_as_it_was_edited(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let records = apple(vec![heart("a", &minute(0), "60"), heart("b", &minute(1), "61")]);
        alice.stores(&records);
        let found = ehr.search(&format!("Observation?patient={}&code=8867-4&_sort=date", alice.patient)).matches();
        let (one, two) = (found[0]["id"].as_str().unwrap().to_owned(), found[1]["id"].as_str().unwrap().to_owned());
        let mut edited = found[0].clone();
        edited["valueQuantity"]["value"] = json!(99);
        let reply = put(&ehr, &format!("/fhir/Observation/{one}"), &edited).is(200);
        assert_eq!(reply.header("etag"), Some("W/\"2\""));
        assert_eq!(ehr.get(&format!("/fhir/Observation/{one}")).is(200).at("/valueQuantity/value"), json!(99));
        ehr.delete(&format!("/fhir/Observation/{two}")).is(204);
        ehr.get(&format!("/fhir/Observation/{two}")).is(410);
        let left = ehr.search(&format!("Observation?patient={}&code=8867-4&_sort=date", alice.patient)).matches();
        assert_eq!((left.len(), &left[0]["id"], &left[0]["valueQuantity"]["value"]), (1, &json!(one), &json!(99)));
        assert_eq!(ehr.get(&format!("/fhir/Observation/{one}/_history/1")).is(200).at("/valueQuantity/value"), json!(60));
        let device = found[0]["device"]["reference"].as_str().unwrap();
        ehr.delete(&format!("/fhir/{device}")).is(409);
    }
}

both! {
    fn a_document_follows_its_patient(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let id = created(&ehr, &weight(&alice.patient, "70"));
        let of_alice = server.clinician(&[&alice]);
        of_alice.get(&format!("/fhir/Observation/{id}")).is(200);
        let mut moved = weight(&bob.patient, "70");
        moved["id"] = json!(id);
        put(&ehr, &format!("/fhir/Observation/{id}"), &moved).is(200);
        of_alice.get(&format!("/fhir/Observation/{id}")).is(404);
        of_alice.get(&format!("/fhir/Observation/{id}/_history/1")).is(404);
        let of_bob = server.clinician(&[&bob]);
        assert_eq!(of_bob.get(&format!("/fhir/Observation/{id}")).is(200).header("etag"), Some("W/\"2\""));
        of_bob.get(&format!("/fhir/Observation/{id}/_history/1")).is(404);
        assert!(of_alice.search(&format!("Observation?patient={}", alice.patient)).ids().is_empty());
        assert_eq!(of_bob.search(&format!("Observation?patient={}", bob.patient)).ids(), [id]);
    }
}

both! {
    fn clinicians_write_what_is_theirs_to_write(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let clinician = server.clinician(&[&alice]);
        let id = created(&clinician, &weight(&alice.patient, "70"));
        clinician.delete(&format!("/fhir/Observation/{id}")).is(204);
        assert_eq!(clinician.post("/fhir/Observation", &weight(&bob.patient, "70")).is(403).code(), "auth.forbidden");
        clinician.post("/fhir/Patient", &patient()).is(403);
        clinician.post("/fhir/Organization", &json!({"resourceType": "Organization", "name": "x"})).is(403);
        let organization = created(&ehr, &json!({"resourceType": "Organization", "name": "Ward"}));
        clinician.get(&format!("/fhir/Organization/{organization}")).is(200);
        let hidden = created(&ehr, &weight(&bob.patient, "70"));
        let mut stolen = weight(&alice.patient, "70");
        for id in [hidden.as_str(), "c0ffee00-0000-4000-8000-000000000000"] {
            stolen["id"] = json!(id);
            put(&clinician, &format!("/fhir/Observation/{id}"), &stolen).is(404);
            clinician.delete(&format!("/fhir/Observation/{id}")).is(204);
        }
        ehr.get(&format!("/fhir/Observation/{hidden}")).is(200);
        alice.own().post("/fhir/Observation", &weight(&alice.patient, "70")).is(403);
    }
}

both! {
    fn what_r4_does_not_allow_is_refused_by_element(server) {
        let ehr = server.ehr();
        let refused = ehr.post("/fhir/Patient", &json!({"resourceType": "Patient", "gender": "x", "birthDate": "2026-02-30", "colour": 1})).is(400);
        let named: Vec<Value> = refused.at("/issue").as_array().unwrap().iter().map(|issue| issue["expression"][0].clone()).collect();
        assert_eq!(named.len(), 3);
        for element in ["Patient.gender", "Patient.birthDate", "Patient.colour"] {
            assert!(named.contains(&json!(element)), "{named:?}");
        }
        let raw = |text: &str| ehr.with("content-type", "application/fhir+json").send("POST", "/fhir/Patient", Some(text.as_bytes()));
        for text in ["", "[]", "{", r#"{"resourceType":"Patient","active":true,"active":true}"#, r#"{"resourceType":"Patient","name":[{"text":"\ud800"}]}"#] {
            assert_eq!(raw(text).is(400).code(), "request.syntax", "{text}");
        }
        raw(r#"{"resourceType":"Device"}"#).is(400);
        assert_eq!(ehr.with("content-type", "application/fhir+xml").send("POST", "/fhir/Patient", Some(b"<Patient/>")).is(415).code(), "request.media-type");
        ehr.post("/fhir/Medication", &json!({"resourceType": "Medication"})).is(404);
        assert!(ehr.search("Patient").ids().is_empty());
    }
}

both! {
    fn the_answer_is_as_long_as_it_is_preferred(server) {
        let ehr = server.ehr();
        let minimal = ehr.with("prefer", "return=minimal").post("/fhir/Patient", &patient()).is(201);
        assert!(minimal.text().is_empty() && minimal.header("location").is_some());
        let outcome = ehr.with("prefer", "return=OperationOutcome").post("/fhir/Patient", &patient()).is(201);
        assert_eq!(outcome.at("/resourceType"), json!("OperationOutcome"));
        let events = server.auditor().search("AuditEvent?action=C&_count=10").matches();
        assert!(events.iter().any(|event| event["entity"].to_string().contains("Patient/")), "{events:?}");
    }
}

both! {
    fn a_post_that_is_sent_again_with_its_key_does_nothing(server) {
        let ehr = server.ehr();
        let once = ehr.with("idempotency-key", "k1");
        let first = once.post("/fhir/Patient", &patient()).is(201);
        let again = once.post("/fhir/Patient", &patient()).is(201);
        assert_eq!((first.header("location"), first.text()), (again.header("location"), again.text()));
        once.post("/fhir/Patient", &json!({"resourceType": "Patient"})).is(422);
        assert_eq!(ehr.search("Patient?family=firth").ids().len(), 1);
        server.ehr().with("idempotency-key", "k2").post("/fhir/Patient", &patient()).is(201);
        assert_eq!(ehr.search("Patient?family=firth").ids().len(), 2);
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": patient(), "request": {"method": "POST", "url": "Patient"}}]});
        let done = once.post("/fhir", &bundle).is(200);
        assert_eq!(once.post("/fhir", &bundle).is(200).text(), done.text());
        assert_eq!(ehr.search("Patient?family=firth").ids().len(), 3);
    }
}

both! {
    fn nothing_is_overwritten_that_was_not_meant(server) {
        let ehr = server.ehr();
        let organization = |name: &str| json!({"resourceType": "Organization", "id": "taken", "name": name});
        put(&ehr.with("if-none-match", "*"), "/fhir/Organization/taken", &organization("One")).is(201);
        put(&ehr.with("if-none-match", "*"), "/fhir/Organization/taken", &organization("Two")).is(412);
        put(&ehr, "/fhir/Organization?identifier=urn:none|1", &organization("Three")).is(409);
        assert_eq!(ehr.get("/fhir/Organization/taken").is(200).at("/name"), json!("One"));
        let dangling = json!({"resourceType": "Organization", "name": "Part", "partOf": {"reference": "urn:uuid:11111111-2222-4333-8444-555555555555"}});
        assert_eq!(ehr.post("/fhir/Organization", &dangling).is(422).code(), "reference.not-found");
    }
}

both! {
    fn a_reference_that_stood_before_may_stay(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let seen = created(&ehr, &weight(&alice.patient, "70"));
        let mut hidden = weight(&bob.patient, "70");
        hidden["derivedFrom"] = json!([{"reference": format!("Observation/{seen}")}]);
        let id = created(&ehr, &hidden);
        server.clinician(&[&alice]).delete(&format!("/fhir/Observation/{seen}")).is(204);
        hidden["id"] = json!(id);
        hidden["note"] = json!([{"text": "checked"}]);
        put(&ehr, &format!("/fhir/Observation/{id}"), &hidden).is(200);
        hidden["derivedFrom"][0]["reference"] = json!("Observation/none");
        put(&ehr, &format!("/fhir/Observation/{id}"), &hidden).is(422);
    }
}
