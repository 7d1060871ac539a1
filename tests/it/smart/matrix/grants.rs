//! Tokens that are guessed, and what is not there for anybody.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::*;
use crate::smart::flow::{CALLBACK, Clinic, VERIFIER};
use crate::support::{Client, Reply};

both! {
    fn a48_a49_a51_a59_what_is_not_there_is_absent_for_everybody(server) {
        let w = World::new(server);
        for path in ["/fhir/$export-poll-status", "/fhir/$export?_type=Patient", "/exports/1", "/api/v1/webhooks", "/fhir/Subscription/1", "/fhir/_async/1"] {
            for client in [w.alice(), w.clinician(), server.ehr()] {
                client.get(path).is(404);
            }
            // Below /fhir nobody is told what there is who has not said who asks; where nothing is served there is nothing to tell.
            let unknown = if path.starts_with("/fhir/") { 401 } else { 404 };
            for client in [server.nobody(), server.nobody().bearer("nonsense")] {
                client.get(path).is(unknown);
            }
            // What was asked for is named, or that the path is none.
            let said = server.ehr().get(path).is(404).text();
            let named = path.split(['/', '?']).any(|part| (part.starts_with('$') || part == "Subscription" || part == "_async") && said.contains(part));
            assert!(named || said.contains("nothing is served at this path"), "{path}: {said}");
        }
    }
}

/// What a refusal tells, without the request's id.
fn shape(reply: &Reply) -> (u16, String) {
    let mut told = reply.json();
    told["request_id"] = Value::Null;
    (reply.status, told.to_string())
}

/// So many guesses of each kind; with `FIRTH_LONG=1` the 10,000 of the list.
fn guesses() -> usize {
    if std::env::var_os("FIRTH_LONG").is_some() { 10_000 } else { 150 }
}

/// How the guesses ended, each way once.
fn ends(mut guess: impl FnMut(usize) -> Reply) -> BTreeSet<(u16, String)> {
    (0..guesses()).map(|n| shape(&guess(n))).collect()
}

both! {
    fn a74_a_guess_is_as_wrong_as_any_other(server) {
        let app = server.public_app();
        let codes = ends(|n| app.exchanges(&format!("fc-guess-{n}-0123456789abcdef0123456789abcdef"), VERIFIER));
        let refreshes = ends(|n| app.refreshes(&format!("fr-guess-{n}"), &[]));
        // A code and a refresh token have 256 bits: each guess is refused in the same words, and how many there were is no matter.
        for told in [codes, refreshes] {
            assert!(told.len() == 1 && told.iter().all(|(status, words)| *status == 400 && words.contains("invalid_grant")), "{told:?}");
        }
        let secret = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let secrets = ends(|n| crate::smart::flow::App { secret: Some(format!("cs-{n}")), ..secret.clone() }.exchanges("x", VERIFIER));
        // Of each status in the same words; after a hundred a minute nobody looks.
        assert_eq!(secrets.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [401, 429], "{secrets:?}");
        let known = secret.exchanges("x", VERIFIER);
        assert_eq!((known.status, known.at("/error")), (400, json!("invalid_grant")), "who knows the secret is let in all the same");
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
