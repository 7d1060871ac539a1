//! One output of every mapping and of every kind that is emitted, received over HTTP and kept for the
//! official validator (`conformance/run`), with the list of what must be among it.

use std::fs;

use serde_json::json;

use crate::support::{Backend, TestServer, received};
use firth::mapping::Mappings;

/// Every `in.json` under `fixtures/sdk`.
fn fixtures() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sdk");
    let mut cases: Vec<_> = fs::read_dir(folder).expect("fixtures").map(|case| case.expect("a case").path().join("in.json")).collect();
    cases.sort();
    cases.into_iter().filter_map(|path| fs::read(path).ok()).collect()
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
    let auditor = server.auditor();
    let started = &auditor.search("AuditEvent?_sort=date&_count=1").ids()[0];
    auditor.get(&format!("/fhir/AuditEvent/{started}")).is(200);
    let events = auditor.search("AuditEvent?_count=1000");

    let mappings = Mappings::shipped().expect("the shipped mappings");
    let mut expected: Vec<String> = mappings.iter().map(|mapping| format!("mapping {}", mapping.shape(0).source)).collect();
    let kinds =
        ["Observation", "Patient", "Device", "AuditEvent", "CapabilityStatement", "Bundle:searchset", "Bundle:history", "OperationOutcome"];
    expected.extend(kinds.map(|kind| format!("type {kind}")));
    let balp = ["PatientRead", "Read", "PatientQuery", "Query", "PatientCreate", "PatientUpdate"];
    expected.extend(balp.map(|name| format!("profile https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{name}")));
    for event in events.matches() {
        let profile = event["meta"]["profile"][0].as_str();
        assert!(profile.is_none_or(|url| expected.contains(&format!("profile {url}"))), "{profile:?} is not in the list");
    }
    expected.sort();
    expected.dedup();
    fs::create_dir_all(received::folder()).expect("target can be written");
    fs::write(received::folder().join("expected.txt"), expected.join("\n") + "\n").expect("target can be written");
    let sources: Vec<&str> = expected.iter().filter_map(|line| line.strip_prefix("mapping ")).collect();
    for source in sources {
        assert!(found.matches().iter().any(|one| one["meta"]["source"] == source), "no Observation of {source}");
    }
}
