//! Who may ask what of the authorization server, how long it may be, and what is recorded of it.

use serde_json::{Value, json};

use crate::care_team::CALLBACK as WARD;
use crate::smart::flow::{CALLBACK, Clinic};
use crate::support::oauth::{ASSERTION, Pair, refused};
use crate::support::{Reply, TestServer};

const READS: &str = "launch/patient patient/Patient.rs patient/Observation.rs";

fn introspects(server: &TestServer, authorization: &str, token: &str) -> Reply {
    let asks = server.nobody().with("content-type", "application/x-www-form-urlencoded").with("authorization", authorization);
    asks.send("POST", "/oauth/introspect", Some(format!("token={token}").as_bytes()))
}

both! {
    fn nobody_who_signed_in_asks_of_others_tokens(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let token = app.launches(&clinic.person, "", READS, &[]).text_at("/access_token");
        for role in ["operator", "security-admin"] {
            let name = format!("a-person-as-{role}");
            server.account(&name, &["--role", role]);
            let browser = server.browser();
            browser.signs_in(&name, crate::sign_in::PASSWORD);
            let own = app.launches(&browser, "", "openid", &[]).text_at("/access_token");
            let told = introspects(server, &format!("Bearer {own}"), &token);
            assert_eq!((told.status, told.at("/error")), (403, json!("insufficient_scope")), "{role}");
        }
    }
}

both! {
    fn a_service_asks_of_all_tokens_by_its_token_or_its_own_proof(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let token = app.launches(&clinic.person, "", READS, &[]).text_at("/access_token");
        let service = server.service("ES384", &["--role", "ehr-system", "--scope", "system/Patient.rs"]);
        let bearer = format!("Bearer {}", service.token("system/Patient.rs"));
        assert_eq!(introspects(server, &bearer, &token).is(200).at("/client_id"), json!(app.id));
        let proof = service.assertion(&json!({}), &json!({}));
        let pairs = [("token", token.as_str()), ("client_assertion_type", ASSERTION), ("client_assertion", &proof)];
        assert_eq!(server.nobody().form("/oauth/introspect", &pairs).is(200).at("/client_id"), json!(app.id));
        // A service of another role asks of its own alone.
        let service = server.service("ES384", &["--role", "auditor", "--scope", "system/AuditEvent.rs"]);
        let own = service.token("system/AuditEvent.rs");
        introspects(server, &format!("Bearer {own}"), &token).is(403);
        for (asked, active) in [(&token, false), (&own, true)] {
            let proof = service.assertion(&json!({}), &json!({}));
            let pairs = [("token", asked.as_str()), ("client_assertion_type", ASSERTION), ("client_assertion", &proof)];
            assert_eq!(server.nobody().form("/oauth/introspect", &pairs).is(200).at("/active"), json!(active));
        }
    }
}

both! {
    fn of_a_token_that_was_issued_all_is_told_that_bounds_it(server) {
        let alice = server.person("alice");
        let (own, id) = server.token(&["--role", "patient", "--patient", &alice.patient, "--ttl", "1h"]);
        let (asks, _) = server.token(&["--role", "ehr-system"]);
        let told = introspects(server, &format!("Bearer {asks}"), &own).is(200).json();
        assert_eq!((&told["active"], &told["iss"], &told["patient"]), (&json!(true), &json!(server.url()), &json!(alice.patient)), "{told}");
        assert_eq!((&told["client_id"], &told["sub"]), (&json!(id), &json!(id)));
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 3_600);
    }
}

both! {
    fn what_is_too_long_is_refused_by_its_name(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let tokens = app.launches(&clinic.person, "", &format!("{READS} offline_access"), &[]);
        let refresh = tokens.text_at("/refresh_token");
        let scopes = "patient/Patient.rs ".repeat(500);
        for (name, value) in [("scope", scopes.as_str()), ("code_verifier", &"v".repeat(2_049)), ("resource", &"x".repeat(2_049))] {
            let reply = app.refreshes(&refresh, &[(name, value)]);
            refused(&reply, 400, "invalid_request");
            assert!(reply.text_at("/error_description").starts_with(name), "{}", reply.text());
        }
        // None of them used it up; and what is not known is passed over, long as it is.
        let pairs = [("scope", "patient/Patient.rs patient/Patient.rs"), ("whatever", &"x".repeat(20_000))];
        assert_eq!(app.refreshes(&refresh, &pairs).is(200).at("/scope"), json!("patient/Patient.rs patient/Patient.rs"));
    }
}

both! {
    fn the_log_says_why_no_token_was_given(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let tokens = app.launches(&clinic.person, "", &format!("{READS} offline_access"), &[]);
        let refresh = tokens.text_at("/refresh_token");
        server.place.tells(&["account", "disable", "marlow"]);
        let reply = app.refreshes(&refresh, &[]);
        refused(&reply, 400, "invalid_grant");
        let service = server.service("ES384", &["--role", "ehr-system", "--scope", "system/Patient.rs"]);
        let late = service.ask(&service.assertion(&json!({}), &json!({"exp": 7})), "system/Patient.rs");
        refused(&late, 401, "invalid_client");
        let log = server.log();
        let line = |reply: &Reply| -> Value {
            let id = reply.text_at("/request_id");
            let line = log.lines().find(|line| line.contains(&id) && line.contains("no token was given")).unwrap_or_else(|| panic!("{log}"));
            serde_json::from_str(line).unwrap()
        };
        let of_app = line(&reply);
        assert_eq!((&of_app["client"], &of_app["error"]), (&json!(app.id), &json!("invalid_grant")), "{of_app}");
        let of_service = line(&late);
        assert_eq!((&of_service["client"], &of_service["error"]), (&json!(service.id), &json!("invalid_client")), "{of_service}");
        assert_eq!(of_service["cause"], json!("exp has passed"));
        // Elsewhere the answer is the same whatever is wrong.
        let access = tokens.text_at("/access_token");
        let [head, claims, _]: [&str; 3] = access.split('.').collect::<Vec<_>>().try_into().unwrap();
        let altered = server.nobody().bearer(&format!("{head}.{claims}.AAAA")).get("/fhir/Patient").is(401);
        let id = altered.header("x-request-id").unwrap().to_owned();
        let log = server.log();
        assert!(log.lines().any(|line| line.contains(&id) && line.contains("\"cause\"") && line.contains("a credential was not taken")), "{log}");
    }
}

both! {
    fn a_role_that_a_client_gets_is_a_change_of_roles(server) {
        let file = server.jwks_file(&Pair::new("ES384"));
        let (id, _) = server.client(&["--name", "A service", "--jwks", &file, "--role", "ehr-system", "--scope", "system/Patient.rs"]);
        server.place.tells(&["client", "approve", &id, "--role", "auditor"]);
        server.place.tells(&["client", "approve", &id, "--scope", "system/AuditEvent.rs"]);
        let (app, _) = server.client(&["--name", "An app", "--public", "--redirect-uri", WARD]);
        server.place.tells(&["client", "disable", &app]);
        let events = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&_count=50&_sort=date").matches();
        let of = |client: &str| -> Vec<Value> {
            let own = events.iter().filter(|event| event.to_string().contains(&format!("client/{client}")));
            own.map(|event| event["subtype"][0]["code"].clone()).collect()
        };
        assert_eq!(of(&id), ["110136", "110136", "110137"]);
        assert_eq!(of(&app), ["110137", "110137"]);
        assert!(events.iter().any(|event| event.to_string().contains(&format!("client/{id} role auditor"))), "{events:#?}");
    }
}

both! {
    fn a_launch_that_is_taken_leaves_an_entry(server) {
        let (clinic, app) = (Clinic::new(server), server.registered(&["--public", "--redirect-uri", CALLBACK]));
        let launch = clinic.launch(&app, &json!({"encounter": clinic.encounter}));
        let taken = || {
            let asked = format!("AuditEvent?patient={}&agent:identifier=urn:firth:client|{}&_count=50", clinic.patient, app.id);
            let events = server.auditor().search(&asked).matches();
            events.iter().filter(|event| event.to_string().contains(&format!("client/{} launch", app.id))).count()
        };
        let reply = app.launches(&clinic.clinician, "", "launch patient/Patient.rs", &[("launch", &launch)]);
        assert_eq!((reply.at("/patient"), reply.at("/encounter")), (json!(clinic.patient), json!(clinic.encounter)));
        assert_eq!(taken(), 1);
        // One that is not there any more takes nothing.
        let told = crate::smart::flow::brings(&clinic.clinician, "", "allow", &crate::smart::flow::asked(&app, "launch patient/Patient.rs", &[("launch", &launch)]));
        assert!(told.iter().any(|(name, value)| name == "error" && value == "invalid_request"), "{told:?}");
        assert_eq!(taken(), 1);
    }
}

both! {
    fn break_glass_takes_a_token_that_reads(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let breaks = |scope: &str| {
            let token = app.launches(&clinic.clinician, "", scope, &[]).text_at("/access_token");
            let sent = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious after a fall"}]});
            server.nobody().bearer(&token).post(&format!("/fhir/Patient/{}/$break-glass", clinic.other), &sent).status
        };
        assert_eq!(breaks("openid"), 403);
        assert_eq!(breaks("openid user/Practitioner.rs"), 403);
        assert_eq!(breaks("openid user/Observation.rs"), 200);
    }
}

both! {
    fn who_a_person_is_here_is_no_person_resource(server) {
        let output = server.place.firth(&["account", "add", "somebody", "--role", "clinician", "--fhir-user", "Person/1"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("Person") && said.contains("that it links to"), "{said}");
    }
}
