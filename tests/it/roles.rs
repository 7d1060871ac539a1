//! Who sees what: a token narrows silently, hidden and absent look the same.

use serde_json::json;

use crate::support::payload::*;
use crate::support::{Client, Person, TestServer};

fn two(server: &TestServer) -> (Person<'_>, Person<'_>) {
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    alice.stores(&apple(hearts("a", 3)));
    bob.stores(&apple(hearts("b", 4)));
    (alice, bob)
}

fn sees(client: &Client<'_>, query: &str) -> usize {
    client.search(query).matches().len()
}

/// A reader of Alice's compartment only.
fn sees_alice_only(client: &Client<'_>, alice: &Person<'_>, bob: &Person<'_>) {
    let ehr = alice.server.ehr();
    assert_eq!(
        (sees(client, "Observation"), sees(client, "Patient"), sees(client, "Device")),
        (3, 1, sees(&ehr, &format!("Device?patient={}", alice.patient)))
    );
    assert_eq!(sees(client, &format!("Observation?patient={}", alice.patient)), 3);
    for hidden in [
        format!("Observation?patient={}", bob.patient),
        format!("Observation?subject=Patient/{}", bob.patient),
        format!("Patient?_id={}", bob.patient),
        format!("Device?patient={}", bob.patient),
    ] {
        assert_eq!(sees(client, &hidden), 0, "{hidden}");
    }
    assert_eq!(client.search(&format!("Observation?patient={}&_count=0", bob.patient)).total(), Some(0));
    assert_eq!(client.search("Observation?_count=0").total(), Some(3));
    assert_eq!(client.search("Observation?_total=accurate&_count=1").total(), Some(3));
    let foreign = bob.finds("&_include=Observation:device");
    let observation = foreign.ids()[0].clone();
    let device = foreign.included()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(sees(client, &format!("Observation?_id={observation}")), 0);
    assert_eq!(sees(client, &format!("Observation?device=Device/{device}")), 0);
    let absent = uuid::Uuid::new_v4().to_string();
    // What is hidden and what is not there are refused in the same words.
    let shape = |kind: &str, id: &str, more: &str| {
        let json = client.get(&format!("/fhir/{kind}/{id}{more}")).is(404).json();
        json["issue"][0]["details"].to_string().replace(id, "ID")
    };
    for (kind, id) in [("Observation", &observation), ("Patient", &bob.patient), ("Device", &device)] {
        for more in ["", "/_history/1"] {
            assert_eq!(shape(kind, id, more), shape(kind, &absent, more));
        }
    }
    client.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
    client.get(&format!("/fhir/Observation/{}", alice.finds("").ids()[0])).is(200);
    assert_eq!(client.get("/fhir/AuditEvent").is(403).code(), "auth.forbidden");
}

both! {
    fn a_patient_sees_the_own_compartment(server) {
        let (alice, bob) = two(server);
        sees_alice_only(&alice.own(), &alice, &bob);
    }
}

both! {
    fn a_clinician_sees_who_was_named(server) {
        let (alice, bob) = two(server);
        sees_alice_only(&server.clinician(&[&alice]), &alice, &bob);
        assert_eq!(sees(&server.clinician(&[&alice, &bob]), "Observation"), 7);
        let none = server.clinician(&[]);
        for kind in ["Observation", "Patient", "Device"] {
            assert_eq!(sees(&none, kind), 0, "{kind}");
        }
        none.get(&format!("/fhir/Patient/{}", alice.patient)).is(404);
    }
}

both! {
    fn a_system_sees_all_and_no_audit(server) {
        two(server);
        assert_eq!((sees(&server.ehr(), "Observation"), sees(&server.ehr(), "Patient")), (7, 2));
        server.ehr().get("/fhir/AuditEvent").is(403);
    }
}

both! {
    fn an_auditor_reads_audit_events_only(server) {
        let (alice, _) = two(server);
        let auditor = server.auditor();
        assert!(sees(&auditor, "AuditEvent") > 0);
        for path in ["Observation", "Patient", "Device", &format!("Patient/{}", alice.patient), "Observation/x"] {
            let refused = auditor.get(&format!("/fhir/{path}")).is(403);
            assert_eq!(refused.at("/issue/0/code"), "forbidden");
            assert!(refused.header("www-authenticate").is_some());
        }
    }
}

both! {
    fn keys_of_apps_and_tokens_of_sdks_open_nothing_under_fhir(server) {
        let (alice, _) = two(server);
        for client in [server.backend_of_app(), server.nobody().bearer(&server.app().api_key), alice.sdk()] {
            for path in ["Observation", "Patient", "AuditEvent", &format!("Patient/{}", alice.patient), "Observation/x/_history/1"] {
                client.get(&format!("/fhir/{path}")).is(403);
            }
        }
        for role in ["operator", "security-admin"] {
            server.nobody().bearer(&server.token(&["--role", role]).0).get("/fhir/Observation").is(403);
        }
        server.ehr().get("/api/v1/users").is(403);
        server.ehr().post(&alice.sync_path(), &apple(Vec::new())).is(403);
        alice.sdk().get("/api/v1/users").is(403);
    }
}

both! {
    fn scopes_take_away(server) {
        let (alice, _) = two(server);
        let narrow = server.nobody().bearer(&server.token(&["--role", "ehr-system", "--scope", "system/Observation.s"]).0);
        assert_eq!(sees(&narrow, "Observation"), 7);
        narrow.get("/fhir/Patient").is(403);
        let page = narrow.search("Observation?_include=Observation:subject&_include=Observation:device&_count=1");
        assert_eq!((page.matches().len(), page.included().len()), (1, 0), "an include opens what the scopes do not");
        narrow.get(&format!("/fhir/Observation/{}", alice.finds("").ids()[0])).is(403);
    }
}

both! {
    fn tokens_are_refused_with_the_reason(server) {
        let (_, _) = two(server);
        let (token, id) = server.token(&["--role", "ehr-system"]);
        let client = server.nobody().bearer(&token);
        client.get("/fhir/Observation").is(200);
        server.place.tells(&["token", "revoke", &id]);
        client.get("/fhir/Observation").is(401);
        let short = server.nobody().bearer(&server.token(&["--role", "ehr-system", "--ttl", "1s"]).0);
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let expired = short.get("/fhir/Observation").is(401);
        assert_eq!((expired.code().as_str(), expired.at("/issue/0/code")), ("auth.expired", json!("expired")));
        assert!(expired.header("www-authenticate").is_some_and(|header| header.contains("invalid_token")));
        let missing = server.nobody().get("/fhir/Observation").is(401);
        let challenge = format!("Bearer realm=\"firth\", resource_metadata=\"{}/.well-known/oauth-protected-resource/fhir\"", server.url());
        assert_eq!((missing.header("www-authenticate"), missing.at("/resourceType")), (Some(&*challenge), json!("OperationOutcome")));
        server.nobody().bearer("ft-nonsense").get("/fhir/Observation").is(401);
    }
}

both! {
    fn tokens_that_would_see_too_much_or_nobody_are_not_issued(server) {
        let issue = |arguments: &[&str]| server.place.firth(&[&["token", "issue"], arguments].concat());
        let (nobody, alice) = (uuid::Uuid::new_v4().to_string(), server.person("alice"));
        for arguments in [
            &["--role", "researcher"][..],
            &["--role", "patient"],
            &["--role", "nonsense"],
            &["--role", "device-sdk"],
            &["--role", "clinician", "--patient", &nobody],
            &["--role", "clinician", "--scope", "user/Observation.rs?category:not=x"],
            &["--role", "ehr-system", "--ttl", "soon"],
            &["--role", "ehr-system", "--patient", &alice.patient],
            &["--role", "auditor", "--patient", &alice.patient],
            &["--role", "ehr-system", "--scope", ""],
            &["--role", "ehr-system", "--ttl", ""],
            &["--role", "ehr-system", "--scope", "patient/Observation.rs"],
            &["--role", "clinician", "--scope", "user/Patient.r system/Observation.rs"],
        ] {
            let output = issue(arguments);
            assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
            assert!(String::from_utf8_lossy(&output.stderr).starts_with("firth: "), "{arguments:?}");
        }
        let listed = server.place.tells(&["token", "list"]);
        assert!(!listed.contains("ft-") && !listed.contains("ehr-system") && !listed.contains("auditor"), "{listed}");
    }
}
