//! Tokens that are guessed, and what is not there for anybody.

use serde_json::{Value, json};

use super::world::*;
use crate::smart::flow::{CALLBACK, Clinic, VERIFIER};
use crate::support::{Client, Reply};

both! {
    fn a48_a49_a51_a59_what_is_not_there_is_absent_for_everybody(server) {
        let w = World::new(server);
        for path in ["/fhir/$export-poll-status", "/fhir/$export?_type=Patient", "/exports/1", "/api/v1/webhooks", "/fhir/Subscription/1", "/fhir/_async/1"] {
            for client in [server.nobody().bearer("nonsense"), w.alice(), w.clinician(), server.ehr()] {
                let reply = client.get(path);
                assert!([401, 404].contains(&reply.status), "{path}: {}", reply.text());
            }
            assert_eq!(server.ehr().get(path).status, 404, "{path}");
        }
    }
}

/// An answer without what differs from one to the next.
/// What a refusal tells, without the request's id.
fn shape(reply: &Reply) -> (u16, String) {
    let mut told = reply.json();
    told["request_id"] = Value::Null;
    (reply.status, told.to_string())
}

both! {
    fn a74_a_guess_is_as_wrong_as_any_other(server) {
        let app = server.public_app();
        let guesses: Vec<Reply> = (0..40).map(|n| app.exchanges(&format!("fc-guess-{n}-0123456789abcdef0123456789abcdef"), VERIFIER)).collect();
        let first = shape(&guesses[0]);
        assert!(first.0 == 400 && first.1.contains("invalid_grant"), "{first:?}");
        assert!(guesses.iter().all(|guess| shape(guess) == first || guess.status == 429));
        let refreshes: Vec<Reply> = (0..10).map(|n| app.refreshes(&format!("fr-guess-{n}"), &[])).collect();
        assert!(refreshes.iter().all(|guess| shape(guess) == shape(&refreshes[0]) && [400, 429].contains(&guess.status)));
        let secret = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let tries: Vec<Reply> = (0..10).map(|n| crate::smart::flow::App { secret: Some(format!("cs-{n}")), ..secret.clone() }.exchanges("x", VERIFIER)).collect();
        assert!(tries.iter().all(|guess| shape(guess) == shape(&tries[0]) && [401, 429].contains(&guess.status)));
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever looks has a clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn emergency(client: &Client<'_>, patient: &str, reason: &str) -> Reply {
    let body = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": reason}]});
    client.post(&format!("/fhir/Patient/{patient}/$break-glass"), &body)
}

const REASON: &str = "Unconscious in the ambulance";

both! {
    fn a55_an_emergency_opens_a_patient_and_is_told_of(server) {
        let clinic = Clinic::new(server);
        let token = server.public_app().launches(&clinic.clinician, "", "user/*.cruds", &[]).text_at("/access_token");
        let client = server.nobody().bearer(&token);
        absent(&client, &format!("Patient/{}", clinic.other));
        let opened = emergency(&client, &clinic.other, REASON).is(200);
        assert_eq!(opened.at("/parameter/0/name"), json!("expires"));
        let expires: jiff::Timestamp = opened.text_at("/parameter/0/valueInstant").parse().expect("an instant");
        let minutes = expires.duration_since(now()).as_mins();
        assert!((58..=60).contains(&minutes), "{minutes} minutes");
        client.get(&format!("/fhir/Patient/{}", clinic.other)).is(200);
        let events = server.auditor().search(&format!("AuditEvent?patient={}&_count=20", clinic.other)).matches();
        assert!(events.iter().any(|event| event.to_string().contains("110127")), "{events:?}");
        assert!(events.iter().any(|event| event["purposeOfEvent"].to_string().contains("BTG")), "{events:?}");
    }
}

both! {
    fn a56_an_emergency_opens_one_patient_to_read_and_needs_a_reason(server) {
        let clinic = Clinic::new(server);
        let third = crate::documents::created(&server.ehr(), &crate::documents::patient());
        let writer = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", "user/Observation.cruds user/Patient.rs"]);
        let client = server.nobody().bearer(&writer.launches(&clinic.clinician, "", "user/Observation.cruds user/Patient.rs", &[]).text_at("/access_token"));
        client.post("/fhir/Observation", &observation(&clinic.patient, "x")).is(201);
        for reason in ["short", "nine char"] {
            emergency(&client, &clinic.other, reason).is(422);
        }
        client.post(&format!("/fhir/Patient/{}/$break-glass", clinic.other), &json!({"resourceType": "Parameters"})).is(422);
        emergency(&client, ABSENT, REASON).is(404);
        client.get(&format!("/fhir/Patient/{}", clinic.other)).is(404);
        emergency(&client, &clinic.other, REASON).is(200);
        absent(&client, &format!("Patient/{third}"));
        assert_eq!(client.post("/fhir/Observation", &observation(&clinic.other, "x")).status, 403);
        assert_eq!(client.get("/fhir/$export").status, 404);
        let own = server.nobody().bearer(&server.public_app().launches(&clinic.person, "", "launch/patient patient/*.rs", &[]).text_at("/access_token"));
        assert_eq!(emergency(&own, &clinic.other, REASON).status, 403);
        assert_eq!(emergency(&server.ehr(), &clinic.other, REASON).status, 403);
    }
}
