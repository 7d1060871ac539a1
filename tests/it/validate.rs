//! `$validate`: every fault of a resource, or that a write would be taken; nothing is stored.

use serde_json::{Value, json};

use crate::documents::{created, patient, put, weight};
use crate::support::{Client, Reply};

/// Severity and code of the first issue.
fn issue(reply: &Reply) -> (String, String) {
    (reply.text_at("/issue/0/severity"), reply.text_at("/issue/0/code"))
}

#[track_caller]
fn fine(reply: Reply) {
    let reply = reply.is(200);
    assert_eq!(issue(&reply), ("information".into(), "informational".into()), "{}", reply.text());
    assert_eq!(reply.at("/issue").as_array().unwrap().len(), 1);
}

#[track_caller]
fn wrong(reply: Reply, code: &str) -> Reply {
    let reply = reply.is(200);
    assert_eq!(issue(&reply), ("error".into(), code.into()), "{}", reply.text());
    assert!(reply.at("/issue/0/diagnostics").is_string());
    reply
}

fn judge(client: &Client<'_>, to: &str, body: &Value) -> Reply {
    client.post(&format!("/fhir/{to}"), body)
}

fn parameters(resource: &Value, more: &[(&str, &str, &str)]) -> Value {
    let more = more.iter().map(|(name, kind, value)| {
        let mut one = json!({"name": name});
        one[*kind] = json!(value);
        one
    });
    let parameter: Vec<Value> = [json!({"name": "resource", "resource": resource})].into_iter().chain(more).collect();
    json!({"resourceType": "Parameters", "parameter": parameter})
}

const BP: &str = "http://hl7.org/fhir/StructureDefinition/bp";
const WEIGHT: &str = "http://hl7.org/fhir/StructureDefinition/bodyweight";

both! {
    fn every_fault_is_named_and_nothing_is_stored(server) {
        let ehr = server.ehr();
        let bad = json!({"resourceType": "Patient", "gender": "x", "birthDate": "2026-02-30", "colour": 1});
        for body in [bad.clone(), parameters(&bad, &[])] {
            let told = wrong(judge(&ehr, "Patient/$validate", &body), "code-invalid");
            let mut named: Vec<String> = told.at("/issue").as_array().unwrap().iter().map(|one| one["expression"][0].as_str().unwrap().to_owned()).collect();
            named.sort();
            assert_eq!(named, ["Patient.birthDate", "Patient.colour", "Patient.gender"]);
        }
        for mode in ["", "?mode=create", "?mode=profile"] {
            fine(judge(&ehr, &format!("Patient/$validate{mode}"), &patient()));
        }
        fine(judge(&ehr, "Patient/$validate", &parameters(&patient(), &[("mode", "valueCode", "create")])));
        assert!(ehr.search("Patient").ids().is_empty());
        wrong(judge(&ehr, "Patient/$validate", &json!({"resourceType": "Device"})), "invalid");
        let raw = |text: &str| ehr.with("content-type", "application/fhir+json").send("POST", "/fhir/Patient/$validate", Some(text.as_bytes()));
        wrong(raw("{"), "structure");
        wrong(raw(r#"{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","active":true,"active":true}}]}"#), "structure");
    }
}

both! {
    fn a_profile_is_judged_when_it_is_asked_for(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let seventy = weight(&alice.patient, "70");
        fine(judge(&ehr, &format!("Observation/$validate?profile={WEIGHT}"), &seventy));
        wrong(judge(&ehr, &format!("Observation/$validate?profile={BP}"), &seventy), "invariant");
        wrong(judge(&ehr, "Observation/$validate", &parameters(&seventy, &[("profile", "valueUri", BP)])), "invariant");
        let unknown = wrong(judge(&ehr, "Observation/$validate?profile=http://example.org/none", &seventy), "not-supported");
        assert!(unknown.text().contains(WEIGHT), "what is offered is listed");
        let id = created(&ehr, &seventy);
        fine(ehr.get(&format!("/fhir/Observation/{id}/$validate")));
        fine(ehr.get(&format!("/fhir/Observation/{id}/$validate?mode=profile&profile={WEIGHT}")));
        wrong(ehr.get(&format!("/fhir/Observation/{id}/$validate?profile={BP}")), "invariant");
        fine(ehr.send("POST", &format!("/fhir/Observation/{id}/$validate"), None));
    }
}

both! {
    fn a_mode_says_what_the_write_would_say(server) {
        let ehr = server.ehr();
        let ward = json!({"resourceType": "Organization", "name": "Ward"});
        let id = created(&ehr, &ward);
        let mut changed = ward.clone();
        wrong(judge(&ehr, "Organization/$validate?mode=update", &ward), "invalid");
        wrong(judge(&ehr, &format!("Organization/{id}/$validate?mode=update"), &ward), "invalid");
        changed["id"] = json!(id);
        changed["name"] = json!("Wing");
        fine(judge(&ehr, "Organization/$validate?mode=update", &changed));
        fine(judge(&ehr, &format!("Organization/{id}/$validate?mode=update"), &changed));
        wrong(judge(&ehr.with("if-match", "W/\"7\""), &format!("Organization/{id}/$validate?mode=update"), &changed), "conflict");
        wrong(judge(&ehr, "Organization/other/$validate?mode=update", &changed), "invalid");
        let mrn = json!({"resourceType": "Patient", "id": "mrn-1"});
        let told = wrong(judge(&ehr, "Patient/$validate?mode=update", &mrn), "invalid");
        assert_eq!(told.at("/issue/0/expression/0"), json!("Patient.id"));
        let role = json!({"resourceType": "PractitionerRole", "organization": {"reference": "Organization/none"}});
        fine(judge(&ehr, "PractitionerRole/$validate", &role));
        let told = wrong(judge(&ehr, "PractitionerRole/$validate?mode=create", &role), "not-found");
        assert_eq!(told.at("/issue/0/expression/0"), json!("PractitionerRole.organization.reference"));
        assert_eq!(ehr.get(&format!("/fhir/Organization/{id}")).is(200).header("etag"), Some("W/\"1\""));
        assert_eq!(put(&ehr, &format!("/fhir/Organization/{id}"), &changed).is(200).header("etag"), Some("W/\"2\""));
    }
}

both! {
    fn a_deletion_is_judged_and_not_done(server) {
        let ehr = server.ehr();
        let ward = created(&ehr, &json!({"resourceType": "Organization", "name": "Ward"}));
        let path = format!("Organization/{ward}/$validate?mode=delete");
        fine(judge(&ehr, &format!("Organization/{ward}/$validate"), &json!({"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]})));
        fine(ehr.send("POST", &format!("/fhir/{path}"), None));
        fine(ehr.get(&format!("/fhir/{path}")));
        let role = created(&ehr, &json!({"resourceType": "PractitionerRole", "organization": {"reference": format!("Organization/{ward}")}}));
        let told = wrong(ehr.get(&format!("/fhir/{path}")), "conflict");
        assert!(told.text().contains(&format!("PractitionerRole/{role}")), "{}", told.text());
        fine(judge(&ehr, "PractitionerRole/$validate?mode=delete", &json!({"resourceType": "PractitionerRole", "id": role})));
        wrong(ehr.send("POST", "/fhir/PractitionerRole/$validate?mode=delete", None), "invalid");
        ehr.get(&format!("/fhir/Organization/{ward}")).is(200);
        ehr.get("/fhir/Organization/none/$validate?mode=delete").is(404);
        ehr.get("/fhir/Organization/none/$validate").is(404);
        ehr.delete(&format!("/fhir/PractitionerRole/{role}")).is(204);
        fine(ehr.get(&format!("/fhir/{path}")));
        ehr.delete(&format!("/fhir/Organization/{ward}")).is(204);
        ehr.get(&format!("/fhir/{path}")).is(410);
        ehr.get(&format!("/fhir/Organization/{ward}/$validate")).is(410);
    }
}

both! {
    fn who_may_not_write_may_not_ask(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let clinician = server.clinician(&[&alice]);
        fine(judge(&clinician, "Observation/$validate?mode=create", &weight(&alice.patient, "70")));
        wrong(judge(&clinician, "Observation/$validate?mode=create", &weight(&bob.patient, "70")), "forbidden");
        judge(&clinician, "Patient/$validate", &patient()).is(403);
        judge(&alice.own(), "Observation/$validate", &weight(&alice.patient, "70")).is(403);
        judge(&server.auditor(), "AuditEvent/$validate", &json!({"resourceType": "AuditEvent"})).is(403);
        let hidden = created(&ehr, &weight(&bob.patient, "70"));
        clinician.get(&format!("/fhir/Observation/{hidden}/$validate")).is(404);
        clinician.get(&format!("/fhir/Observation/{hidden}/$validate?mode=delete")).is(404);
        let own = created(&clinician, &weight(&alice.patient, "70"));
        fine(clinician.get(&format!("/fhir/Observation/{own}/$validate?mode=delete")));
        clinician.get(&format!("/fhir/Observation/{own}")).is(200);
        fine(clinician.get(&format!("/fhir/Observation/{own}/$validate")));
        let events = server.auditor().search(&format!("AuditEvent?patient={}&action=E&_count=100", alice.patient)).matches();
        let about = |event: &Value| event["entity"].to_string().contains(&format!("Observation/{own}"));
        assert_eq!(events.iter().filter(|event| about(event)).count(), 1, "{events:?}");
    }
}

both! {
    fn what_cannot_be_asked_is_refused(server) {
        let ehr = server.ehr();
        assert_eq!(judge(&ehr, "Patient/$validate?mode=replace", &patient()).is(400).code(), "request.parameter");
        assert_eq!(judge(&ehr, "Patient/$validate?mode=create&mode=create", &patient()).is(400).code(), "request.parameter");
        assert_eq!(judge(&ehr, "Patient/$validate?colour=red", &patient()).is(400).code(), "request.parameter-unknown");
        assert_eq!(ehr.send("POST", "/fhir/Patient/$validate", None).is(400).code(), "request.syntax");
        let broken = json!({"resourceType": "Parameters", "parameter": 5});
        assert_eq!(judge(&ehr, "Patient/$validate", &broken).is(400).code(), "request.syntax");
        let named = parameters(&patient(), &[("colour", "valueCode", "red")]);
        assert_eq!(judge(&ehr, "Patient/$validate", &named).is(400).at("/issue/0/expression/0"), json!("Parameters.parameter[1]"));
        judge(&ehr, "Patient/$validate?mode=create", &parameters(&patient(), &[("mode", "valueCode", "create")])).is(400);
        let xml = ehr.with("content-type", "application/fhir+xml").send("POST", "/fhir/Patient/$validate", Some(b"<Patient/>"));
        assert_eq!(xml.is(415).code(), "request.media-type");
        judge(&ehr, "Medication/$validate", &json!({"resourceType": "Medication"})).is(404);
        ehr.get("/fhir/Patient/$validate").is(405);
        ehr.delete("/fhir/Patient/x/$validate").is(405);
    }
}
