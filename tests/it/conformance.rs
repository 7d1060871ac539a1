//! One output of every mapping and of every kind that is emitted, received over HTTP and kept for the
//! official validator (`conformance/run`), with the list of what must be among it.

use std::fs;

use serde_json::json;

use crate::documents::{created, patient, put, weight};
use crate::support::{Backend, Bundle, Client, Person, TestServer, received};
use firth::mapping::Mappings;

/// Every `in.json` under `fixtures/sdk`.
fn fixtures() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sdk");
    let mut cases: Vec<_> = fs::read_dir(folder).expect("fixtures").map(|case| case.expect("a case").path().join("in.json")).collect();
    cases.sort();
    cases.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// What is written through FHIR, and each way in which it is refused.
fn written(server: &TestServer, alice: &Person<'_>) {
    let ehr = server.ehr();
    let ward = json!({"resourceType": "Organization", "name": "Ward", "identifier": [{"system": "urn:x", "value": "1"}]});
    let id = created(&ehr, &ward);
    let path = format!("/fhir/Organization/{id}");
    let mut wing = ward.clone();
    (wing["id"], wing["name"]) = (json!(id), json!("Wing"));
    put(&ehr.with("if-match", "W/\"7\""), &path, &wing).is(412);
    put(&ehr.with("prefer", "return=OperationOutcome"), &path, &wing).is(200);
    put(&ehr, "/fhir/Organization/other", &wing).is(400);
    let role = created(&ehr, &json!({"resourceType": "PractitionerRole", "organization": {"reference": format!("Organization/{id}")}}));
    ehr.delete(&path).is(409);
    created(&ehr, &ward);
    ehr.with("if-none-exist", "identifier=urn:x|1").post("/fhir/Organization", &ward).is(412);
    ehr.delete(&format!("/fhir/PractitionerRole/{role}")).is(204);
    ehr.get(&format!("/fhir/PractitionerRole/{role}")).is(410);
    ehr.get(&format!("/fhir/PractitionerRole/{role}/_history")).is(200);
    let kept = created(&ehr, &weight(&alice.patient, "70.50"));
    put(&ehr, &format!("/fhir/Observation/{kept}"), &{
        let mut other = weight(&alice.patient, "70.60");
        other["id"] = json!(kept);
        other
    })
    .is(200);
    ehr.delete(&format!("/fhir/Observation/{kept}")).is(204);
    let person = created(&ehr, &patient());
    ehr.delete(&format!("/fhir/Patient/{person}")).is(204);
    ehr.get(&format!("/fhir/Patient/{person}/_history")).is(200);
    refused(server, &ehr);
    let entry =
        |url: &str| json!({"request": {"method": "POST", "url": url}, "resource": {"resourceType": "Organization", "name": "Ward"}});
    for (kind, urls) in [("transaction", ["Organization", "Organization"]), ("batch", ["Organization", "Patient"])] {
        let entries = urls.map(entry);
        ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": kind, "entry": entries})).is(200);
    }
    ehr.get("/fhir/Organization/_history").is(200);
    ehr.get("/fhir/_history?_count=10").is(200);
    for (to, body) in [
        ("Patient/$validate", patient()),
        ("Patient/$validate", json!({"resourceType": "Patient", "gender": "x", "birthDate": "2026-02-30", "colour": 1})),
        ("Patient/$validate?profile=http://example.org/none", patient()),
        ("Observation/$validate?profile=http://hl7.org/fhir/StructureDefinition/bp", weight(&alice.patient, "70")),
        ("Organization/$validate?mode=update", ward),
    ] {
        ehr.post(&format!("/fhir/{to}"), &body).is(200);
    }
    ehr.get(&format!("{path}/$validate?mode=delete")).is(200);
}

fn refused(server: &TestServer, ehr: &Client<'_>) {
    ehr.post("/fhir/PractitionerRole", &json!({"resourceType": "PractitionerRole", "practitioner": {"reference": "Practitioner/none"}}))
        .is(422);
    ehr.post("/fhir/Patient", &json!({"resourceType": "Patient", "gender": "x", "birthDate": "2026-02-30", "colour": 1})).is(400);
    put(ehr, "/fhir/Patient/mrn-1", &json!({"resourceType": "Patient", "id": "mrn-1"})).is(422);
    let raw = |kind: &str, text: &str| ehr.with("content-type", kind).send("POST", "/fhir/Patient", Some(text.as_bytes()));
    raw("application/fhir+json", "{").is(400);
    raw("application/fhir+xml", "<Patient/>").is(415);
    ehr.post("/fhir/Medication", &json!({"resourceType": "Medication"})).is(404);
    ehr.post("/fhir/AuditEvent", &json!({"resourceType": "AuditEvent"})).is(405);
    server.clinician(&[]).post("/fhir/Patient", &patient()).is(403);
}

/// What is read, and each way in which reading is refused; answers every Observation.
fn read(server: &TestServer, alice: &Person<'_>) -> Bundle {
    let ehr = server.ehr();
    let found = ehr.search("Observation?_count=1000&_include=Observation:device&_include=Observation:subject&_total=accurate");
    let one = found.matches()[0]["id"].as_str().unwrap_or_default().to_owned();
    for path in [
        "metadata",
        "Patient",
        "Device",
        &format!("Observation/{one}"),
        &format!("Observation/{one}/_history/1"),
        &format!("Observation/{one}/_history"),
        &format!("Patient/{}", alice.patient),
    ] {
        ehr.get(&format!("/fhir/{path}")).is(200);
    }
    ehr.with("prefer", "handling=lenient").get("/fhir/Patient?no-such=1").is(200);
    ehr.get("/fhir/Observation?date=2026-02-30").is(400);
    ehr.get("/fhir/Observation?no-such=1").is(400);
    ehr.get("/fhir/Patient?name=a").is(400);
    ehr.get("/fhir/Observation/none").is(404);
    ehr.get("/fhir/AuditEvent").is(403);
    ehr.with("accept", "application/fhir+xml").get("/fhir/Patient").is(406);
    ehr.send("PATCH", "/fhir/metadata", None).is(405);
    server.nobody().get("/fhir/Patient").is(401);
    alice.own().get("/fhir/Observation?_count=5").is(200);
    let (app, gone) = (server.backend_of_app(), server.person("gone"));
    app.patch(&format!("/api/v1/users/{}", gone.user), &json!({"first_name": "Ada"})).is(200);
    app.delete(&format!("/api/v1/users/{}", gone.user)).is(200);
    ehr.search("Patient?name=nobody-of-this-name");
    found
}

/// What must be among what was received.
fn expected() -> Vec<String> {
    let mappings = Mappings::shipped().expect("the shipped mappings");
    let mut expected: Vec<String> = mappings.iter().map(|mapping| format!("mapping {}", mapping.shape(0).source)).collect();
    let kinds = [
        "Observation",
        "Patient",
        "Device",
        "AuditEvent",
        "CapabilityStatement",
        "Bundle:searchset",
        "Bundle:history",
        "Bundle:transaction-response",
        "Bundle:batch-response",
        "OperationOutcome",
    ];
    expected.extend(kinds.map(|kind| format!("type {kind}")));
    // One of each reason that can be given without breaking the server, and the words when nothing is wrong.
    let issues = "informational structure invalid not-supported too-costly login forbidden not-found deleted conflict multiple-matches \
                  code-invalid invariant value";
    expected.extend(issues.split_whitespace().map(|code| format!("type OperationOutcome:{code}")));
    let balp =
        ["PatientRead", "Read", "PatientQuery", "Query", "PatientCreate", "Create", "PatientUpdate", "Update", "PatientDelete", "Delete"];
    expected.extend(balp.map(|name| format!("profile https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{name}")));
    expected.sort();
    expected
}

#[test]
fn every_mapping_and_every_kind_is_received() {
    let Some(server) = TestServer::start(Backend::Sqlite, &[]) else { return };
    let alice = server.person("alice");
    for body in fixtures() {
        let reply = alice.sync(&body);
        if reply.status == 202 {
            alice.ended(&reply.text_at("/upload_id"));
        }
    }
    let found = read(&server, &alice);
    written(&server, &alice);
    let auditor = server.auditor();
    let started = &auditor.search("AuditEvent?_sort=date&_count=1").ids()[0];
    auditor.get(&format!("/fhir/AuditEvent/{started}")).is(200);
    let events = auditor.search("AuditEvent?_count=1000");

    let expected = expected();
    for event in events.matches() {
        let profile = event["meta"]["profile"][0].as_str();
        assert!(profile.is_none_or(|url| expected.contains(&format!("profile {url}"))), "{profile:?} is not in the list");
    }
    fs::create_dir_all(received::folder()).expect("target can be written");
    fs::write(received::folder().join("expected.txt"), expected.join("\n") + "\n").expect("target can be written");
    let sources: Vec<&str> = expected.iter().filter_map(|line| line.strip_prefix("mapping ")).collect();
    for source in sources {
        assert!(found.matches().iter().any(|one| one["meta"]["source"] == source), "no Observation of {source}");
    }
}
