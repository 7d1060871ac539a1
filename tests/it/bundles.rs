//! Batches and transactions, and patches, through HTTP.

use serde_json::{Value, json};

use crate::support::{Client, Reply};

const NOTHING: &str = "c0ffee00-0000-4000-8000-000000000000";

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

fn entry(method: &str, url: &str, resource: Value) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if !resource.is_null() {
        entry["resource"] = resource;
    }
    entry
}

fn named(name: &str, mut entry: Value) -> Value {
    entry["fullUrl"] = json!(name);
    entry
}

fn transaction(client: &Client<'_>, entries: Vec<Value>) -> Reply {
    client.post("/fhir", &bundle("transaction", entries))
}

fn practitioner(family: &str) -> Value {
    json!({"resourceType": "Practitioner", "name": [{"family": family}], "identifier": [{"system": "urn:x", "value": family}]})
}

fn statuses(reply: &Reply) -> Vec<String> {
    let entries = reply.at("/entry");
    entries.as_array().unwrap().iter().map(|entry| entry["response"]["status"].as_str().unwrap().to_owned()).collect()
}

const PRACTITIONER: &str = "urn:uuid:0fc374a1-a226-4552-9683-55dd510e67c9";
const ORGANIZATION: &str = "urn:uuid:1fc374a1-a226-4552-9683-55dd510e67c9";

both! {
    fn a_transaction_links_what_it_makes(server) {
        let ehr = server.ehr();
        let role = json!({"resourceType": "PractitionerRole", "practitioner": {"reference": PRACTITIONER}, "organization": {"reference": ORGANIZATION},
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{PRACTITIONER}\">who</a></div>")},
            "extension": [{"url": "urn:x", "valueUri": PRACTITIONER}]});
        let done = transaction(&ehr, vec![
            entry("POST", "PractitionerRole", role),
            named(PRACTITIONER, entry("POST", "Practitioner", practitioner("Adams"))),
            named(ORGANIZATION, entry("PUT", "Organization/ward", json!({"resourceType": "Organization", "id": "ward", "name": "Ward"}))),
            entry("GET", "Organization/ward", Value::Null),
        ]);
        let done = done.is(200);
        assert_eq!(done.at("/type"), json!("transaction-response"));
        assert_eq!(statuses(&done), ["201", "201", "201", "200"]);
        let id = ehr.search("Practitioner?family=adams").ids()[0].clone();
        let role = ehr.search(&format!("PractitionerRole?practitioner={id}&organization=ward")).only();
        assert_eq!(role["practitioner"]["reference"], json!(format!("Practitioner/{id}")));
        assert_eq!(role["extension"][0]["valueUri"], json!(format!("Practitioner/{id}")));
        assert!(role["text"]["div"].as_str().unwrap().contains(&format!("<a href=\"Practitioner/{id}\">")));
        assert_eq!(done.at("/entry/3/resource/name"), json!("Ward"));
        assert_eq!(done.at("/entry/1/response/location"), json!(format!("Practitioner/{id}/_history/1")));
        let events = server.auditor().search("AuditEvent?action=C&_count=50").matches();
        assert_eq!(events.iter().filter(|event| event.to_string().contains("Practitioner/")).count(), 1, "one entry each");
    }
}

both! {
    fn all_or_nothing(server) {
        let ehr = server.ehr();
        let refused = transaction(&ehr, vec![
            entry("POST", "Practitioner", practitioner("Baker")),
            entry("POST", "PractitionerRole", json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{NOTHING}")}})),
        ]).is(422);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("Bundle.entry[1].resource.practitioner.reference"));
        assert!(ehr.search("Practitioner?family=baker").ids().is_empty());
        transaction(&ehr, vec![entry("POST", "Practitioner", practitioner("Baker")), entry("GET", &format!("Practitioner/{NOTHING}"), Value::Null)]).is(404);
        assert!(ehr.search("Practitioner?family=baker").ids().is_empty());
        let twice = || entry("PUT", "Organization/one", json!({"resourceType": "Organization", "id": "one", "name": "One"}));
        transaction(&ehr, vec![twice(), entry("DELETE", "Organization/one", Value::Null)]).is(400);
        let same = |name: &str| named(PRACTITIONER, entry("POST", "Practitioner", practitioner(name)));
        transaction(&ehr, vec![same("C"), same("D")]).is(400);
    }
}

both! {
    fn conditions_in_a_transaction(server) {
        let ehr = server.ehr();
        let id = ehr.post("/fhir/Practitioner", &practitioner("Adams")).is(201).text_at("/id");
        let mut maybe = named(PRACTITIONER, entry("POST", "Practitioner", practitioner("Adams")));
        maybe["request"]["ifNoneExist"] = json!("identifier=urn:x|Adams");
        let role = |reference: &str| json!({"resourceType": "PractitionerRole", "practitioner": {"reference": reference}});
        let done = transaction(&ehr, vec![
            maybe.clone(),
            entry("POST", "PractitionerRole", role(PRACTITIONER)),
            entry("POST", "PractitionerRole", role("Practitioner?identifier=urn:x|Adams")),
            entry("POST", "PractitionerRole", role("Practitioner?identifier=urn:x|Zoe")),
            entry("POST", "Practitioner", practitioner("Zoe")),
        ]).is(200);
        assert_eq!(statuses(&done), ["200", "201", "201", "201", "201"], "{}", done.text());
        assert_eq!(ehr.search(&format!("PractitionerRole?practitioner={id}")).ids().len(), 2);
        let zoe = ehr.search("Practitioner?family=zoe").ids();
        assert_eq!(ehr.search(&format!("PractitionerRole?practitioner=Practitioner/{}", zoe[0])).ids().len(), 1);
        transaction(&ehr, vec![entry("POST", "PractitionerRole", role("Practitioner?identifier=urn:x|none"))]).is(422);
        transaction(&ehr, vec![maybe.clone(), { let mut other = maybe; other["fullUrl"] = json!(ORGANIZATION); other["request"]["ifNoneExist"] = json!("identifier=urn:x|new"); other }]).is(200);
        let gone = transaction(&ehr, vec![
            entry("DELETE", "Practitioner?family=zoe", Value::Null),
            entry("DELETE", &format!("PractitionerRole?practitioner={}", zoe[0]), Value::Null),
        ]).is(200);
        assert_eq!(statuses(&gone), ["204", "204"]);
        assert!(ehr.search("Practitioner?family=zoe").ids().is_empty());
    }
}

both! {
    fn a_batch_does_each_entry_alone(server) {
        let ehr = server.ehr();
        let done = ehr.post("/fhir", &bundle("batch", vec![
            entry("POST", "Practitioner", practitioner("Adams")),
            entry("POST", "PractitionerRole", json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{NOTHING}")}})),
            entry("GET", "Practitioner?family=adams", Value::Null),
            entry("GET", &format!("Practitioner/{NOTHING}"), Value::Null),
            entry("GET", "metadata", Value::Null),
            entry("GET", "AuditEvent", Value::Null),
            entry("DELETE", &format!("Practitioner/{NOTHING}"), Value::Null),
            entry("POST", "Practitioner", json!({"resourceType": "Practitioner", "colour": "red"})),
            entry("GET", "/../admin", Value::Null),
        ])).is(200);
        assert_eq!(done.at("/type"), json!("batch-response"));
        assert_eq!(statuses(&done), ["201", "422", "200", "404", "200", "403", "204", "400", "400"], "{}", done.text());
        assert_eq!(done.at("/entry/7/response/outcome/issue/0/expression/0"), json!("Bundle.entry[7].resource.colour"));
        assert_eq!(done.at("/entry/2/resource/entry/0/resource/name/0/family"), json!("Adams"));
        assert_eq!(done.at("/entry/1/response/outcome/issue/0/expression/0"), json!("Bundle.entry[1].resource.practitioner.reference"));
        assert!(done.text_at("/entry/0/response/location").starts_with("Practitioner/"));
        let events = server.auditor().search("AuditEvent?_count=100").matches();
        let of_search = events.iter().filter(|event| event.to_string().contains("search-type") || event["subtype"].to_string().contains("search")).count();
        assert!(of_search >= 1, "each entry leaves its AuditEvent");
    }
}

both! {
    fn a_patch_changes_what_it_names(server) {
        let ehr = server.ehr();
        let id = ehr.post("/fhir/Practitioner", &practitioner("Adams")).is(201).text_at("/id");
        let path = format!("/fhir/Practitioner/{id}");
        let json_patch = ehr.with("content-type", "application/json-patch+json");
        let changed = json_patch.send("PATCH", &path, Some(br#"[{"op":"replace","path":"/name/0/family","value":"Baker"}]"#)).is(200);
        assert_eq!((changed.at("/name/0/family"), changed.header("etag")), (json!("Baker"), Some("W/\"2\"")));
        let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Practitioner"}, {"name": "name", "valueString": "active"}, {"name": "value", "valueBoolean": true}
        ]}]});
        let fhir_patch = ehr.with("content-type", "application/fhir+json");
        let changed = fhir_patch.send("PATCH", &path, Some(parameters.to_string().as_bytes())).is(200);
        assert_eq!((changed.at("/active"), changed.header("etag")), (json!(true), Some("W/\"3\"")));
        let refused = json_patch.send("PATCH", &path, Some(br#"[{"op":"add","path":"/colour","value":"red"}]"#)).is(400);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("Practitioner.colour"));
        let failed = json_patch.send("PATCH", &path, Some(br#"[{"op":"remove","path":"/active"},{"op":"test","path":"/name/0/family","value":"Zoe"}]"#)).is(400);
        assert_eq!(failed.at("/issue/0/expression/0"), json!("Practitioner.name[0].family"));
        assert!(failed.text_at("/issue/0/details/text").starts_with("Operation 1 (test): "), "{}", failed.text());
        json_patch.with("if-match", "W/\"1\"").send("PATCH", &path, Some(b"[]")).is(412);
        assert_eq!(json_patch.send("PATCH", &path, Some(b"[]")).is(200).header("etag"), Some("W/\"3\""));
        let absent = json_patch.send("PATCH", &format!("/fhir/Practitioner/{NOTHING}"), Some(b"[]")).is(404);
        assert_eq!(absent.at("/issue/0/details/text"), json!(format!("there is no Practitioner/{NOTHING}")));
        json_patch.send("PATCH", "/fhir/Practitioner?identifier=urn:x|Adams", Some(br#"[{"op":"remove","path":"/active"}]"#)).is(200);
        ehr.send("PATCH", &path, Some(b"[]")).is(415);
    }
}

both! {
    fn what_is_about_a_patient_belongs_to_the_patient_wherever_it_stands(server) {
        const PATIENT: &str = "urn:uuid:2fc374a1-a226-4552-9683-55dd510e67c9";
        let ehr = server.ehr();
        let flag = json!({"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": {"reference": PATIENT}});
        let made = |method: &str, url: &str, patient: Value| transaction(&ehr, vec![entry("POST", "Flag", flag.clone()), named(PATIENT, entry(method, url, patient))]).is(200);
        let organization = json!({"reference": "Organization?identifier=urn:x|1"});
        ehr.post("/fhir/Organization", &json!({"resourceType": "Organization", "name": "x", "identifier": [{"system": "urn:x", "value": "1"}]})).is(201);
        for done in [
            made("POST", "Patient", json!({"resourceType": "Patient"})),
            made("POST", "Patient", json!({"resourceType": "Patient", "managingOrganization": organization})),
            made("PUT", &format!("Patient/{NOTHING}"), json!({"resourceType": "Patient", "id": NOTHING})),
        ] {
            let at = |n: usize| done.text_at(&format!("/entry/{n}/response/location")).split("/_history").next().unwrap().to_owned();
            let patient = at(1).trim_start_matches("Patient/").to_owned();
            let own = server.nobody().bearer(&server.token(&["--role", "patient", "--patient", &patient]).0);
            own.get(&format!("/fhir/{}", at(0))).is(200);
        }
    }
}

both! {
    fn a_reference_by_a_search_that_finds_nothing_is_named(server) {
        let ehr = server.ehr();
        let role = |practitioner: &str| json!({"resourceType": "PractitionerRole", "identifier": [{"system": "urn:x", "value": "role"}], "practitioner": {"reference": practitioner},
            "organization": {"reference": "Organization?identifier=urn:x|none"}});
        let refused = transaction(&ehr, vec![entry("POST", "Practitioner", practitioner("Adams")), entry("POST", "PractitionerRole", role("Practitioner?identifier=urn:x|none"))]).is(422);
        let named: Vec<Value> = (0..2).map(|n| refused.at(&format!("/issue/{n}/expression/0"))).collect();
        assert_eq!(named, ["Bundle.entry[1].resource.organization.reference", "Bundle.entry[1].resource.practitioner.reference"]);
        assert!(refused.text_at("/issue/1/details/text").contains("Practitioner?identifier=urn:x|none"), "{}", refused.text());
        let part = |n: u32, of: u32| json!({"resourceType": "Organization", "identifier": [{"system": "urn:x", "value": n.to_string()}], "partOf": {"reference": format!("Organization?identifier=urn:x|{of}")}});
        let circle = transaction(&ehr, vec![entry("POST", "Organization", part(1, 2)), entry("POST", "Organization", part(2, 1))]).is(422);
        assert_eq!(circle.at("/issue/0/expression/0"), json!("Bundle.entry[0].resource.partOf.reference"));
        assert!(circle.text_at("/issue/0/details/text").contains("fullUrl"), "{}", circle.text());
        for _ in 0..2 {
            ehr.post("/fhir/Practitioner", &practitioner("Many")).is(201);
        }
        let many = transaction(&ehr, vec![entry("POST", "PractitionerRole", json!({"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner?identifier=urn:x|Many"}}))]).is(412);
        assert_eq!(many.at("/issue/0/expression/0"), json!("Bundle.entry[0].resource.practitioner.reference"));
    }
}

both! {
    fn criteria_that_select_nothing_are_refused_for_what_they_are(server) {
        let ehr = server.ehr();
        let alone = ehr.with("if-none-exist", "_count=1").post("/fhir/Practitioner", &practitioner("Adams")).is(412);
        assert_eq!((alone.code().as_str(), alone.at("/issue/0/code")), ("request.no-criteria", json!("required")));
        assert!(alone.text_at("/issue/0/diagnostics").contains("identifier=SYSTEM|VALUE"), "{}", alone.text());
        let mut create = entry("POST", "Practitioner", practitioner("Adams"));
        create["request"]["ifNoneExist"] = json!("_count=1");
        let refused = transaction(&ehr, vec![create]).is(412);
        assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.no-criteria", json!("Bundle.entry[0].request.ifNoneExist")));
        let refused = transaction(&ehr, vec![entry("PUT", "Practitioner?colour=red", practitioner("Adams"))]).is(400);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("Bundle.entry[0].request.url"));
        let done = ehr.post("/fhir", &bundle("batch", vec![entry("GET", "Practitioner?colour=red", Value::Null)])).is(200);
        assert_eq!(done.at("/entry/0/response/outcome/issue/0/expression/0"), json!("Bundle.entry[0].request.url"));
    }
}

both! {
    fn what_a_transaction_deletes_it_does_not_change_too(server) {
        let ehr = server.ehr();
        let made = |family: &str| ehr.post("/fhir/Practitioner", &practitioner(family)).is(201).text_at("/id");
        let id = made("Adams");
        let patch = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="});
        for change in [entry("PUT", "Practitioner?identifier=urn:x|Adams", practitioner("Adams")), entry("PATCH", "Practitioner?identifier=urn:x|Adams", patch)] {
            for delete in [format!("Practitioner/{id}"), "Practitioner?family=adams".to_owned()] {
                let refused = transaction(&ehr, vec![change.clone(), entry("DELETE", &delete, Value::Null)]).is(400);
                assert_eq!((refused.at("/issue/0/code"), refused.at("/issue/0/expression/0")), (json!("duplicate"), json!("Bundle.entry[0].request.url")));
                let says = refused.text_at("/issue/0/details/text");
                assert!(says.contains("Bundle.entry[1] and Bundle.entry[0] both change"), "{says}");
            }
        }
        assert_eq!(ehr.search("Practitioner?family=adams").ids(), std::slice::from_ref(&id));
        let twin = made("Adams");
        let one_is_left = vec![entry("PUT", "Practitioner?identifier=urn:x|Adams", practitioner("Adams")), entry("DELETE", &format!("Practitioner/{id}"), Value::Null)];
        transaction(&ehr, one_is_left).is(200);
        assert_eq!(ehr.search("Practitioner?family=adams").ids(), [twin]);
    }
}
