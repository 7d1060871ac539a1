//! Emergency access opens a patient to read: what changes it is refused by every way, and marked.

use serde_json::{Value, json};

use super::world::*;
use crate::care_team::{clinician, soon};
use crate::documents::{created, patient as somebody, weight};
use crate::support::{Client, TestServer};

/// A clinician to whom an emergency opened a patient with one Observation: who asks, the Practitioner, the patient, the
/// Observation.
fn opened(server: &TestServer) -> (Client<'_>, String, String, String) {
    let alice = created(&server.ehr(), &somebody());
    let weighed = created(&server.ehr(), &weight(&alice, "70.1"));
    let (ruiz, practitioner) = clinician(server, "ruiz");
    let reason = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious after a fall"}]});
    ruiz.post(&format!("/fhir/Patient/{alice}/$break-glass"), &reason).is(200);
    soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
    (ruiz, practitioner, alice, weighed)
}

/// How many Observations the patient has, and all that was ever said of this one.
fn kept(server: &TestServer, alice: &str, weighed: &str) -> (Option<i64>, String) {
    let ehr = server.ehr();
    let history = ehr.get(&format!("/fhir/Observation/{weighed}/_history")).is(200).at("/entry");
    (ehr.search(&format!("Observation?patient={alice}&_total=accurate")).total(), history.to_string())
}

both! {
    fn a56_what_an_emergency_opens_is_written_by_no_way(server) {
        let (ruiz, practitioner, alice, weighed) = opened(server);
        let before = kept(server, &alice, &weighed);
        let mut changed = weight(&alice, "71.0");
        assert_eq!(written(&ruiz, "POST", "Observation", Some(&changed)), [403; 3]);
        changed["id"] = json!(weighed);
        let one = format!("Observation/{weighed}");
        assert_eq!(written(&ruiz, "PUT", &one, Some(&changed)), [403; 3]);
        let by_path = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [{"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "Observation.status"}, {"name": "value", "valueCode": "amended"}]}]});
        for patch in [json!([{"op": "replace", "path": "/status", "value": "amended"}]), by_path] {
            assert_eq!(written(&ruiz, "PATCH", &one, Some(&patch)), [403; 3], "{patch}");
        }
        assert_eq!(written(&ruiz, "DELETE", &one, None), [403; 3]);
        assert_eq!(kept(server, &alice, &weighed), before);
        // Each of them is to be reviewed: alone and in a batch by what it was, in a transaction as that.
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&agent={practitioner}&_count=200")).matches();
        let refused = |event: &&Value| event["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG") && event["outcome"] == json!("4");
        for (what, times) in [("create", 2), ("update", 2), ("patch", 4), ("delete", 2), ("transaction", 5)] {
            let found = events.iter().filter(refused).filter(|event| event["subtype"][0]["code"] == json!(what)).count();
            assert_eq!(found, times, "{what}: {events:#?}");
        }
    }
}

both! {
    fn a56_what_the_scopes_forbid_is_reviewed_when_it_names_the_patient(server) {
        let (ruiz, practitioner, alice, weighed) = opened(server);
        let before = kept(server, &alice, &weighed);
        let one = format!("Patient/{alice}");
        let mut changed = somebody();
        changed["id"] = json!(alice);
        assert_eq!(written(&ruiz, "PUT", &one, Some(&changed)), [403; 3]);
        assert_eq!(written(&ruiz, "DELETE", &one, None), [403; 3]);
        assert_eq!(kept(server, &alice, &weighed), before);
        // By itself and as an entry of a batch.
        let review = server.place.tells(&["access", "review"]);
        for tried in ["update", "delete"] {
            let told = review.lines().filter(|line| line.ends_with(&format!("\t{tried}\t403\t{one}"))).count();
            assert_eq!(told, 2, "{tried}: {review}");
        }
        // And the transactions that had it.
        assert_eq!(review.lines().filter(|line| line.contains("\ttransaction\t403\t")).count(), 2, "{review}");
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&agent={practitioner}&_count=200")).matches();
        let marked = |event: &&Value| event["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG") && event["outcome"] == json!("4");
        assert_eq!(events.iter().filter(marked).count(), 6, "{events:#?}");
    }
}

both! {
    fn a56_criteria_do_not_find_what_an_emergency_opens(server) {
        let (ruiz, _, alice, weighed) = opened(server);
        let before = kept(server, &alice, &weighed);
        let (found, changed) = (format!("Observation?_id={weighed}"), weight(&alice, "71.0"));
        // As if nothing were there: there is nothing to patch and nothing to delete, and what would be made is refused.
        assert_eq!(written(&ruiz, "PUT", &found, Some(&changed)), [403; 3]);
        assert_eq!(written(&ruiz, "PATCH", &found, Some(&json!([{"op": "replace", "path": "/status", "value": "amended"}]))), [404; 3]);
        assert_eq!(written(&ruiz, "DELETE", &found, None), [204, 204, 204]);
        for kind in ["batch", "transaction"] {
            let entry = json!({"method": "POST", "url": "Observation", "ifNoneExist": format!("_id={weighed}")});
            let reply = bundled(&ruiz, kind, &entry, Some(&changed));
            let came = if reply.status == 200 { reply.text_at("/entry/0/response/status") } else { reply.status.to_string() };
            assert_eq!(came, "403", "{kind}");
        }
        assert_eq!(kept(server, &alice, &weighed), before);
    }
}
