//! Tokens, headers and open documents.

use super::world::*;
use crate::smart::doors::{Sights, changes, doors, tells};
use crate::smart::flow::{Clinic, asked, brings, of};
use crate::support::Client;

both! {
    fn a11_a12_a13_no_token_without_patient_of_two_contexts_or_of_other_words(server) {
        let w = World::new(server);
        let refused = |arguments: &[&str]| {
            let output = server.place.firth(&[&["token", "issue"], arguments].concat());
            assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        };
        // Whoever is asked by an app grants none of them.
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let refuses = |scope: &str| {
            let told = brings(&clinic.clinician, "", "allow", &asked(&app, scope, &[]));
            assert!(of(&told, "code").is_none() && of(&told, "error").is_some(), "{scope}: {told:?}");
        };
        refused(&["--role", "patient"]);
        refused(&["--role", "clinician", "--patient", &w.a.patient, "--scope", "user/Observation.rs system/Observation.rs"]);
        refused(&["--role", "patient", "--patient", &w.a.patient, "--scope", "patient/Observation.rs user/Observation.rs"]);
        for scope in [
            "user/Observation.dus", "user/Observation.rr", "user/Observation.read-only", "user/Observation.rs?active", "user/Observation.rs?code:in=x",
            "user/Observation.rs?subject.name=x", "user/*.RS", "user//*.rs", "user%2fObservation.rs", "user/Observation.", "user/Nothing.rs", "USER/Observation.rs",
        ] {
            refused(&["--role", "clinician", "--patient", &w.a.patient, "--scope", scope]);
            refuses(scope);
        }
        refuses("patient/Observation.rs user/Observation.rs");
        refuses("user/Observation.rs system/Observation.rs");
    }
}

both! {
    fn a61_who_keeps_the_log_sees_no_patient_and_who_runs_it_neither(server) {
        let w = World::new(server);
        let path = format!("/fhir/Patient/{}", w.a.patient);
        assert!(!server.auditor().search("AuditEvent?_count=1").matches().is_empty());
        let nothing = |client: &Client<'_>| {
            client.get(&path).is(403);
            for kind in ["Patient", "Observation", "Device"] {
                refuses(client, kind, 403, "auth.forbidden");
            }
            for url in [format!("Patient/{}", w.a.patient), format!("Observation/{}/_history/1", w.a1), "Observation/_history".to_owned(), "_history".to_owned()] {
                for (way, came) in alone_and_bundled(client, &url) {
                    assert_eq!((came.status, came.entries.len()), (403, 0), "{way} {url}");
                }
            }
        };
        nothing(&server.auditor());
        for role in ["security-admin", "operator"] {
            let client = server.nobody().bearer(&server.token(&["--role", role]).0);
            nothing(&client);
            refuses(&client, "AuditEvent", 403, "auth.forbidden");
        }
        let metrics = server.nobody().get("/metrics").is(200).text();
        for known in [&w.a.patient, &w.b.patient, &w.a1, &w.by] {
            assert!(!metrics.contains(known.as_str()) && !server.log().contains(known.as_str()), "{known}");
        }
    }
}

both! {
    fn a63_a_device_writes_its_own_uploads_only(server) {
        let w = World::new(server);
        let upload = w.a.stores(&crate::support::payload::apple(crate::support::payload::hearts("mine", 1))).text_at("/upload_id");
        w.a.sdk().get(&format!("/api/v1/sdk/users/{}/uploads/{upload}", w.a.user)).is(200);
        for (client, user) in [(w.a.sdk(), &w.b.user), (w.b.sdk(), &w.a.user)] {
            client.get(&format!("/api/v1/sdk/users/{user}/uploads/{upload}")).is(403);
            client.post(&format!("/api/v1/sdk/users/{user}/sync"), &crate::support::payload::apple(Vec::new())).is(403);
        }
        assert_eq!(w.a.sdk().delete(&format!("/api/v1/sdk/users/{}/uploads/{upload}", w.a.user)).status, 405);
        assert_eq!(w.a.sdk().delete(&format!("/fhir/Observation/{}", w.a1)).status, 403);
    }
}

both! {
    fn a63_below_fhir_a_device_reads_and_writes_nothing(server) {
        let w = World::new(server);
        let next = w.alice().search("Observation?_count=1").next().unwrap();
        let other = crate::documents::created(&server.ehr(), &observation(&w.a.patient, "other"));
        let ways = [doors(&Sights { patient: &w.a.patient, observation: &w.a1, next: &next }), changes(&w.a.patient, [&w.a1, &other])].concat();
        let kept = || server.ehr().get("/fhir/Observation/_history?_count=1000").is(200).at("/entry");
        let before = kept();
        for door in &ways {
            // Its own patient's, and nobody else's.
            let refused = door.bearer(&server.url(), &w.a.access);
            assert_eq!(refused.status, 403, "{}: {}", door.name, refused.text());
            assert!(!tells(&refused) && (door.name == "HEAD" || refused.code() == "auth.forbidden"), "{}: {}", door.name, refused.text());
        }
        assert_eq!(kept(), before);
    }
}

both! {
    fn a68_head_is_get_and_no_header_changes_the_method(server) {
        let w = World::new(server);
        let (own, other) = (format!("/fhir/Observation/{}", w.a1), format!("/fhir/Observation/{}", w.b1));
        for client in [w.alice(), w.clinician()] {
            let (head, get) = (client.send("HEAD", &own, None).is(200), client.get(&own).is(200));
            assert!(head.body.is_empty() && head.header("etag") == get.header("etag"));
            client.send("HEAD", &other, None).is(404);
            for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
                client.with(name, "DELETE").get(&own).is(200);
                client.with(name, "DELETE").with("content-type", "application/x-www-form-urlencoded").send("POST", "/fhir/Observation/_search", Some(b"")).is(200);
            }
            for verb in ["TRACE", "OPTIONS"] {
                assert_eq!(client.send(verb, &own, None).status, 405, "{verb}");
            }
        }
        reads(&server.ehr(), &format!("Observation/{}", w.a1));
    }
}

both! {
    fn a71_open_documents_tell_nothing_of_anybody(server) {
        let w = World::new(server);
        for path in [
            "/fhir/metadata", "/fhir/openapi.json", "/healthz", "/readyz", "/metrics", "/", "/docs/README.md", "/fhir/.well-known/smart-configuration",
            "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource", "/oauth/jwks",
        ] {
            let text = server.nobody().get(path).is(200).text();
            for known in [&w.a.patient, &w.b.patient, &w.a.user, &w.a1, &server.app().id] {
                assert!(!text.contains(known.as_str()), "{path} names {known}");
            }
        }
    }
}
