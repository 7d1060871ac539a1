//! A reference in what is written tells nothing of what it leads to: hidden and missing are refused in the same words.

use serde_json::{Value, json};

use super::world::*;
use crate::documents::created;
use crate::support::Client;

/// What a refusal says by each way, where the id that is spoken of is made equal.
#[track_caller]
fn refusals(client: &Client<'_>, (method, url): (&str, &str), body: &Value, id: &str) -> [(u16, String); 3] {
    answered(client, method, url, Some(body)).map(|(status, said)| {
        assert!(
            said["issue"][0]["diagnostics"].as_str().is_some_and(|text| text.contains("Request id:")),
            "{method} {url}: {status} {said}"
        );
        (status, told(&said, id))
    })
}

/// The same Observation of Alice with a member that refers to this.
fn leading(w: &World<'_>, member: &str, to: &str) -> Value {
    let mut body = observation(&w.a.patient, "x");
    let reference = json!({"reference": to});
    body[member] = if ["hasMember", "performer"].contains(&member) { json!([reference]) } else { reference };
    body
}

both! {
    fn a67_what_is_hidden_and_what_is_missing_are_refused_in_the_same_words(server) {
        let w = World::new(server);
        let encounter = json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient(&w.b.patient)});
        let encounter = created(&server.ehr(), &encounter);
        let one = format!("Observation/{}", w.a1);
        let before = server.ehr().get(&format!("/fhir/{one}")).is(200).text();
        for (member, kind, hidden, status) in [
            ("hasMember", "Observation", &w.b1, 422), ("device", "Device", &w.db, 422), ("device", "Device", &w.d0, 422),
            ("encounter", "Encounter", &encounter, 422), ("performer", "Patient", &w.b.patient, 422), ("subject", "Patient", &w.b.patient, 403),
        ] {
            let to = |id: &str| leading(&w, member, &format!("{kind}/{id}"));
            let patched = |id: &str| json!([{"op": "add", "path": format!("/{member}"), "value": to(id)[member]}]);
            let put = |id: &str| { let mut body = to(id); body["id"] = json!(w.a1); body };
            let found = "Observation?identifier=urn:example:obs%7Csame";
            for (method, url, body) in [
                ("POST", "Observation", &to as &dyn Fn(&str) -> Value), ("PUT", &one, &put), ("PUT", found, &put), ("PATCH", &one, &patched), ("PATCH", found, &patched),
            ] {
                let of = |id: &str| refusals(&w.clinician(), (method, url), &body(id), id);
                let (of_hidden, of_missing) = (of(hidden), of(ABSENT));
                assert_eq!(of_hidden, of_missing, "{method} {url} with {member}");
                assert_eq!(of_hidden.map(|(came, _)| came), [status; 3], "{method} {url} with {member}");
            }
        }
        assert_eq!(server.ehr().get(&format!("/fhir/{one}")).is(200).text(), before);
    }
}

both! {
    fn a67_the_refusal_names_where_the_reference_stands(server) {
        let w = World::new(server);
        for id in [w.b1.as_str(), ABSENT] {
            let refused = w.clinician().post("/fhir/Observation", &leading(&w, "hasMember", &format!("Observation/{id}"))).is(422);
            assert_eq!(refused.at("/issue/0/expression/0"), json!("Observation.hasMember[0].reference"));
        }
        // What is seen may be referred to, and by who sees it all what another may not.
        w.clinician().post("/fhir/Observation", &leading(&w, "hasMember", &format!("Observation/{}", w.a1))).is(201);
        server.ehr().post("/fhir/Observation", &leading(&w, "hasMember", &format!("Observation/{}", w.b1))).is(201);
    }
}
