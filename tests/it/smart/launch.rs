//! Apps of people: SMART App Launch 2.2, `app-launch` and `scopes-and-launch-context`.

use serde_json::{Value, json};

use super::flow::*;
use crate::documents::created;
use crate::support::browser::{encoded, parameters};

const READS: &str = "launch/patient patient/Patient.rs patient/Observation.rs";

both! {
    fn a_standalone_launch_brings_a_code(server) {
        let clinic = Clinic::new(server);
        let app = server.registered(&["--public", "--redirect-uri", "https://app.example/other", "--redirect-uri", CALLBACK]);
        let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[]));
        shall(53, of(&told, "code").is_some() && of(&told, "error").is_none());
        // Sent to the one of two addresses that was asked for: to no other `brings` goes.
        shall(56, of(&told, "code").is_some());
        shall(57, of(&told, "code").is_some_and(|code| code.len() >= 22));
        shall(59, of(&told, "state") == Some(STATE));
        shall(353, app.exchanges(of(&told, "code").unwrap(), VERIFIER).status == 200);
    }
}

both! {
    fn who_does_not_agree_sends_an_error(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let told = brings(&clinic.person, "", "deny", &asked(&app, READS, &[]));
        shall(54, of(&told, "error") == Some("access_denied") && of(&told, "code").is_none() && of(&told, "state") == Some(STATE));
    }
}

both! {
    fn an_authorization_is_asked_for_by_get_and_by_post(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let query = encoded(&asked(&app, READS, &[]));
        let by_get = clinic.person.get(&format!("/oauth/authorize?{query}"));
        shall(48, by_get.reply.status == 200 && by_get.heading().starts_with("Allow"));
        let by_post = clinic.person.send("POST", "/oauth/authorize", &[], Some(&query));
        let location = by_post.reply.header("location").unwrap_or_default().to_owned();
        let followed = clinic.person.get(&location);
        shall(49, by_post.reply.status == 303 && followed.heading().starts_with("Allow"));
        shall(354, parameters(&location).len() == 8);
    }
}

both! {
    fn the_verifier_is_asked_for_and_compared(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let plain = brings(&clinic.person, "", "allow", &asked(&app, READS, &[("code_challenge", VERIFIER), ("code_challenge_method", "plain")]));
        shall(15, of(&plain, "error") == Some("invalid_request") && of(&plain, "code").is_none());
        for without in [&[("code_challenge", "")][..], &[("code_challenge_method", "")]] {
            assert_eq!(of(&brings(&clinic.person, "", "allow", &asked(&app, READS, without)), "code"), None);
        }
        for wrong in ["", "another-verifier-that-is-long-enough-as-well-0123456789", &challenge(VERIFIER)] {
            let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[]));
            let refused = app.exchanges(of(&told, "code").unwrap(), wrong);
            shall(31, refused.status == 400 && refused.at("/access_token").is_null());
        }
        let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[]));
        shall(14, app.exchanges(of(&told, "code").unwrap(), VERIFIER).status == 200);
    }
}

both! {
    fn only_registered_addresses_get_an_answer(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        for uri in ["https://app.example/callback/", "https://app.example/callback?x=1", "https://APP.example/callback", "https://evil.example/callback", "http://app.example/callback"] {
            let page = clinic.person.get(&format!("/oauth/authorize?{}", encoded(&asked(&app, READS, &[("redirect_uri", uri)]))));
            shall(18, page.reply.status == 400 && page.reply.header("location").is_none());
        }
        let unknown = asked(&app, READS, &[("client_id", "c0ffee00-0000-4000-8000-000000000000")]);
        assert_eq!(clinic.person.get(&format!("/oauth/authorize?{}", encoded(&unknown))).reply.status, 400);
    }
}

both! {
    fn the_token_response_has_what_it_must(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let reply = app.launches(&clinic.person, "", &format!("{READS} patient/Goal.cruds"), &[]);
        let denied = app.exchanges("not-a-code", VERIFIER);
        shall(73, reply.json().is_object() && denied.status == 400 && denied.at("/error") == "invalid_grant");
        shall(74, reply.at("/access_token").is_string());
        shall(75, reply.at("/token_type") == "Bearer");
        let token = server.nobody().bearer(&reply.text_at("/access_token"));
        let goal = json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Sleep"}, "subject": {"reference": format!("Patient/{}", clinic.patient)}});
        let may = (token.get("/fhir/Goal").status, token.post("/fhir/Goal", &goal).status);
        shall(78, sorted(&reply.text_at("/scope")) == sorted(&format!("{READS} patient/Goal.rs")) && may == (200, 403));
        let told_in_headers = reply.headers.iter().any(|(_, value)| value.contains(&reply.text_at("/access_token")));
        shall(84, reply.header("content-type") == Some("application/json") && reply.at("/expires_in").is_u64() && !told_in_headers);
    }
}

both! {
    fn the_token_response_is_kept_nowhere(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let reply = app.launches(&clinic.person, "", READS, &[]);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let token = reply.text_at("/access_token");
        shall(85, token.len() > 20 && token.trim_end_matches('=').bytes().all(plain));
        shall(86, reply.header("cache-control").is_some_and(|value| value.contains("no-store")));
        shall(87, reply.header("pragma").is_some_and(|value| value.contains("no-cache")));
        shall(88, reply.at("/expires_in").as_u64().is_some_and(|seconds| (60..=3600).contains(&seconds)));
        shall(89, reply.at("/refresh_token").is_null());
    }
}

both! {
    fn an_ehr_launch_has_the_context_of_the_ehr(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        clinic.cares_for_both();
        let starts = |more: Value, scope: &str| {
            let launch = clinic.launch(&app, &more);
            (app.launches(&clinic.clinician, "", scope, &[("launch", &launch)]), launch)
        };
        let (reply, launch) = starts(json!({"encounter": clinic.encounter, "need_patient_banner": false}), "launch patient/*.rs");
        let (other, _) = starts(json!({"patient": clinic.other, "need_patient_banner": true}), "launch patient/*.rs");
        shall(352, reply.at("/access_token").is_string());
        shall(361, reply.text_at("/patient") == clinic.patient && other.text_at("/patient") == clinic.other);
        let (asked_for, _) = starts(json!({"encounter": clinic.encounter}), "launch launch/encounter patient/*.rs");
        shall(362, asked_for.text_at("/encounter") == clinic.encounter && other.at("/encounter").is_null());
        shall(359, reply.at("/need_patient_banner") == false && other.at("/need_patient_banner") == true);
        shall(173, reply.at("/need_patient_banner").is_boolean() && asked_for.json().get("need_patient_banner").is_none_or(Value::is_boolean));
        let again = brings(&clinic.clinician, "", "allow", &asked(&app, "launch patient/*.rs", &[("launch", &launch)]));
        assert_eq!(of(&again, "code"), None, "a launch is good once");
    }
}

both! {
    fn the_context_says_what_else_was_open(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let context = json!([{"reference": format!("Observation/{}", clinic.observation)}]);
        let launch = clinic.launch(&app, &json!({"encounter": clinic.encounter, "intent": "summary", "fhirContext": context}));
        let reply = app.launches(&clinic.clinician, "", "launch patient/*.rs", &[("launch", &launch)]);
        shall(171, reply.text_at("/encounter") == clinic.encounter);
        shall(174, reply.text_at("/intent") == "summary");
        assert_eq!(reply.at("/fhirContext"), context);
    }
}

both! {
    fn further_context_is_of_other_resources_or_in_another_role(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let starts = |one: Value| {
            let body = json!({"client_id": app.id, "patient": clinic.patient, "fhirContext": [one]});
            server.ehr().post("/oauth/launch", &body)
        };
        let passed_on = |one: Value| {
            let launch = starts(one.clone()).is(201).text_at("/launch");
            server.plant(&launch);
            app.launches(&clinic.clinician, "", "launch patient/*.rs", &[("launch", &launch)]).at("/fhirContext") == json!([one])
        };
        let refused = |at: &str, all: &[Value]| {
            all.iter().all(|one| {
                let reply = starts(one.clone());
                reply.status == 400 && reply.text_at("/error_description").starts_with(&format!("fhirContext[0]{at}: "))
            })
        };
        let (observation, patient) = (format!("Observation/{}", clinic.observation), format!("Patient/{}", clinic.other));
        shall(172, passed_on(json!({"reference": observation})) && refused("", &[json!({"reference": patient}), json!({"reference": "Encounter/1"}), json!("Observation/1")]));
        shall(177, passed_on(json!({"reference": patient, "role": "https://example.org/role/mother"})) && refused("", &[
            json!({"reference": patient, "role": "launch"}), json!({"type": "Patient", "identifier": {"value": "1"}}), json!({"type": "Encounter", "canonical": "https://example.org/x"}),
        ]));
        shall(178, passed_on(json!({"canonical": "https://example.org/Questionnaire/1|2"})) && passed_on(json!({"type": "ServiceRequest", "identifier": {"value": "1"}})) && refused("", &[json!({}), json!({"type": "Observation"})]));
        shall(188, refused(".role", &[json!({"reference": observation, "role": "no uri"}), json!({"reference": observation, "role": ""}), json!({"reference": observation, "role": null})]));
        for (at, wrong) in [
            (".reference", json!({"reference": null})), (".reference", json!({"reference": 5})), (".reference", json!({"reference": format!("{}/fhir/{observation}", server.url())})),
            (".reference", json!({"reference": "Nothing/1"})), (".reference", json!({"reference": "Observation"})), (".canonical", json!({"canonical": []})), (".canonical", json!({"canonical": "x"})),
            (".identifier", json!({"identifier": "1"})), (".type", json!({"reference": observation, "type": "Patient"})), (".type", json!({"canonical": "https://example.org/x", "type": "Nothing"})),
        ] {
            assert!(refused(at, std::slice::from_ref(&wrong)), "{wrong}: {}", starts(wrong.clone()).text());
        }
    }
}

both! {
    fn a_patient_scope_has_a_patient(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        clinic.cares_for_both();
        let reply = app.launches(&clinic.clinician, &clinic.patient, "patient/Patient.rs", &[]);
        shall(164, reply.text_at("/patient") == clinic.patient);
        shall(168, reply.json().get("patient").is_some());
        shall(169, reply.at("/patient").is_string() && reply.at("/access_token").is_string());
        let reads = server.nobody().bearer(&reply.text_at("/access_token"));
        let read = |id: &str| reads.get(&format!("/fhir/Patient/{id}")).status;
        shall(170, (read(&clinic.patient), read(&clinic.other)) == (200, 404) && reads.search("Patient").ids() == [clinic.patient.as_str()]);
        let other = app.launches(&clinic.clinician, &clinic.other, "launch/patient patient/Patient.rs", &[]);
        shall(363, other.text_at("/patient") == clinic.other);
    }
}

both! {
    fn an_identity_is_told_by_a_token_of_its_own(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let reply = app.launches(&clinic.clinician, &clinic.patient, "openid fhirUser launch/patient patient/Patient.r", &[("nonce", "n-1")]);
        let token = reply.text_at("/id_token");
        let (header, said) = (part(&token, 0), claims(&token));
        shall(200, said["aud"] == json!(app.id) && said["iss"] == json!(server.url()) && said["nonce"] == "n-1");
        let implicit = brings(&clinic.clinician, &clinic.patient, "allow", &asked(&app, "openid", &[("response_type", "id_token")]));
        shall(205, !token.is_empty() && of(&implicit, "error") == Some("unsupported_response_type") && of(&implicit, "id_token").is_none());
        shall(209, said["fhirUser"] == json!(format!("{}/fhir/{}", server.url(), clinic.practitioner)));
        shall(210, header["alg"] == "RS256");
        let keys = server.nobody().get("/oauth/jwks").is(200).at("/keys");
        let key = keys.as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).cloned().unwrap_or_default();
        shall(207, key["kty"] == "RSA" && key.get("x5c").is_none() && key.get("d").is_none() && signed(&token, &key));
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 by a JWK.
fn signed(token: &str, key: &Value) -> bool {
    let number = |name: &str| data_encoding::BASE64URL_NOPAD.decode(key[name].as_str().unwrap_or_default().as_bytes()).unwrap_or_default();
    let (n, e) = (number("n"), number("e"));
    let (text, signature) = token.rsplit_once('.').expect("three parts");
    let signature = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
    let key = ring::signature::RsaPublicKeyComponents { n: &n, e: &e };
    key.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok()
}

both! {
    fn the_user_can_be_read(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let reply = app.launches(&clinic.clinician, "", "openid fhirUser user/Practitioner.r", &[]);
        let user = claims(&reply.text_at("/id_token"))["fhirUser"].as_str().unwrap_or_default().to_owned();
        let read = server.nobody().bearer(&reply.text_at("/access_token")).get(&user);
        shall(198, read.status == 200 && read.at("/resourceType") == "Practitioner");
        shall(358, reply.at("/id_token").is_string());
        server.account("nobody-in-fhir", &["--role", "clinician"]);
        let browser = server.browser();
        browser.signs_in("nobody-in-fhir", crate::sign_in::PASSWORD);
        let told = brings(&browser, "", "allow", &asked(&app, "openid fhirUser user/Practitioner.r", &[]));
        let scope = of(&told, "code").map(|code| app.exchanges(code, VERIFIER).is(200)).map(|reply| (reply.text_at("/scope"), claims(&reply.text_at("/id_token"))));
        shall(197, scope.is_some_and(|(scope, claims)| !scope.contains("fhirUser") && claims.get("fhirUser").is_none()));
    }
}

both! {
    fn a_token_is_renewed(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let first = app.launches(&clinic.person, "", &format!("{READS} offline_access"), &[]);
        let second = app.refreshes(&first.text_at("/refresh_token"), &[]).is(200);
        shall(109, sorted(&second.text_at("/scope")) == sorted(&first.text_at("/scope")));
        shall(110, second.text_at("/access_token") != first.text_at("/access_token"));
        shall(111, second.text_at("/token_type").eq_ignore_ascii_case("bearer"));
        shall(112, second.at("/expires_in").is_u64());
        shall(113, second.at("/scope").is_string());
    }
}

fn sorted(scopes: &str) -> Vec<&str> {
    let mut all: Vec<&str> = scopes.split(' ').collect();
    all.sort_unstable();
    all
}

both! {
    fn what_is_renewed_is_the_same_or_less_and_the_clients_own(server) {
        let (clinic, app, other) = (Clinic::new(server), server.public_app(), server.public_app());
        let wanted = "launch/patient patient/*.cruds offline_access";
        let first = app.launches(&clinic.person, "", wanted, &[]);
        let second = app.refreshes(&first.text_at("/refresh_token"), &[]).is(200);
        shall(114, sorted(&second.text_at("/scope")) == sorted(&first.text_at("/scope")));
        let less = app.refreshes(&second.text_at("/refresh_token"), &[("scope", "patient/Patient.rs")]).is(200);
        let granted = second.text_at("/scope");
        let only_reads = granted.split(' ').filter(|scope| scope.starts_with("patient/")).all(|scope| scope.ends_with(".rs"));
        shall(115, granted != wanted && only_reads && sorted(&granted) == sorted(&first.text_at("/scope")) && less.text_at("/scope") == "patient/Patient.rs");
        let more = app.refreshes(&less.text_at("/refresh_token"), &[("scope", "patient/*.cruds")]);
        shall(104, more.status == 400 && more.at("/error") == "invalid_scope");
        let refresh = app.refreshes(&less.text_at("/refresh_token"), &[]).is(200).text_at("/refresh_token");
        let foreign = other.refreshes(&refresh, &[]);
        shall(103, foreign.status == 400 && foreign.at("/access_token").is_null() && app.refreshes(&refresh, &[]).status == 200);
        shall(365, first.at("/refresh_token").is_string());
    }
}

both! {
    fn online_ends_with_the_session_and_offline_does_not(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let launch = clinic.launch(&app, &json!({}));
        let from_ehr = app.launches(&clinic.clinician, "", "launch patient/*.rs online_access", &[("launch", &launch)]);
        let online = app.launches(&clinic.person, "", &format!("{READS} online_access"), &[]);
        let offline = app.launches(&clinic.person, "", &format!("{READS} offline_access"), &[]);
        let renewed = app.refreshes(&online.text_at("/refresh_token"), &[]).is(200);
        shall(100, renewed.at("/access_token").is_string());
        shall(366, from_ehr.text_at("/scope").contains("online_access") && app.refreshes(&from_ehr.text_at("/refresh_token"), &[]).status == 200);
        let page = clinic.person.get("/account");
        clinic.person.submit(&page.form("/sign-out"), &[], None);
        let ended = app.refreshes(&renewed.text_at("/refresh_token"), &[]);
        assert!(ended.status == 400, "online access ends with the session: {}", ended.text());
        shall(101, app.refreshes(&offline.text_at("/refresh_token"), &[]).status == 200);
    }
}

both! {
    fn the_resource_server_looks_at_every_token(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let reply = app.launches(&clinic.person, "", "launch/patient patient/Observation.rs", &[]);
        let token = server.nobody().bearer(&reply.text_at("/access_token"));
        let path = format!("/fhir/Observation/{}", clinic.observation);
        token.get(&path).is(200);
        shall(95, token.get(&format!("/fhir/Patient/{}", clinic.patient)).status == 403);
        for aud in ["https://evil.example/fhir", &server.url(), ""] {
            let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[("aud", aud)]));
            assert!(of(&told, "code").is_none() && of(&told, "error") == Some("invalid_request"), "{told:?}");
        }
    }
}

both! {
    fn scopes_limit_and_do_not_give(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        clinic.cares_for_both();
        created(&server.ehr(), &crate::documents::weight(&clinic.other, "70"));
        let writer = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", "user/Observation.cruds"]);
        let granted = writer.launches(&clinic.clinician, "", "user/Observation.cruds", &[]);
        let stranger = created(&server.ehr(), &crate::documents::patient());
        let of_stranger = created(&server.ehr(), &crate::documents::weight(&stranger, "80"));
        let writes = |of: &str| writes(server, &granted.text_at("/access_token"), of);
        let reads = server.nobody().bearer(&granted.text_at("/access_token"));
        let unseen = reads.get(&format!("/fhir/Observation/{of_stranger}")).status == 404 && !reads.search("Observation").ids().contains(&of_stranger);
        shall(119, granted.text_at("/scope") == "user/Observation.cruds" && writes(&clinic.patient) == 201 && writes(&stranger) == 403 && unseen);
        let all = app.launches(&clinic.clinician, "", "user/Observation.rs user/Patient.rs", &[]);
        let scope = "launch/patient user/Observation.rs user/Patient.rs";
        let in_context = app.launches(&clinic.clinician, &clinic.patient, scope, &[]);
        shall(149, in_context.text_at("/patient") == clinic.patient && all.at("/patient").is_null());
        let reply = app.launches(&clinic.clinician, &clinic.patient, "launch/patient patient/Observation.rs patient/Patient.rs", &[]);
        let (all, own) = (server.nobody().bearer(&all.text_at("/access_token")), server.nobody().bearer(&reply.text_at("/access_token")));
        let mine = own.search("Observation");
        let of_one = mine.ids().contains(&clinic.observation) && mine.ids().len() == 2;
        shall(136, of_one && own.search("Patient").ids() == [clinic.patient.as_str()] && all.search("Observation").ids().len() == 3 && all.search("Patient").ids().len() == 2);
        let batch = own.post("/fhir", &json!({"resourceType": "Bundle", "type": "batch", "entry": [
            {"request": {"method": "GET", "url": "Observation?_count=0"}}, {"request": {"method": "GET", "url": "Encounter?_count=0"}}]})).is(200);
        let each = batch.at("/entry/0/response/status") == "200" && batch.at("/entry/1/response/status") == "403";
        let transaction = |kind: &str| own.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "GET", "url": "Observation?_count=0"}}, {"request": {"method": "GET", "url": format!("{kind}?_count=0")}}]})).status;
        shall(130, each && transaction("Patient") == 200 && transaction("Encounter") == 403);
        shall(367, own.get("/fhir/Observation").status == 200);
    }
}

both! {
    fn a_user_scope_is_what_the_user_may(server) {
        let (clinic, reader) = (Clinic::new(server), server.public_app());
        // Without a word apps may read; what else they may ask for the operator says.
        let app = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", "user/Observation.cruds user/Patient.rs"]);
        let reply = app.launches(&clinic.clinician, "", "user/Observation.cruds user/Patient.rs", &[]);
        let token = reply.text_at("/access_token");
        let reads = server.nobody().bearer(&token);
        shall(140, reads.search("Patient").ids() == [clinic.patient.as_str()] && reads.get(&format!("/fhir/Patient/{}", clinic.other)).status == 404);
        shall(368, reads.get("/fhir/Observation").status == 200);
        let (updated, made) = (updates(server, &token, (&clinic.observation, &clinic.patient)), writes(server, &token, &clinic.patient));
        assert_eq!((updated, made), (200, 201));
        let only_reads = reader.launches(&clinic.clinician, "", "user/*.rs", &[]).text_at("/access_token");
        let all = server.nobody().bearer(&only_reads);
        let statement = server.nobody().get("/fhir/metadata").is(200).json();
        let searched = |of: &&Value| of["interaction"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == "search-type"));
        let kinds: Vec<&str> = statement["rest"][0]["resource"].as_array().unwrap().iter().filter(searched).filter_map(|of| of["type"].as_str()).collect();
        let refused: Vec<&&str> = kinds.iter().filter(|kind| all.get(&format!("/fhir/{kind}?_count=1")).status != 200).collect();
        // The audit log is of the auditors alone.
        shall(144, kinds.len() > 20 && refused == [&"AuditEvent"]);
    }
}

both! {
    fn scopes_of_either_version_are_understood(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let one = app.launches(&clinic.person, "", "launch/patient patient/Observation.read", &[]);
        shall(369, one.text_at("/scope").contains("patient/Observation.read") && server.nobody().bearer(&one.text_at("/access_token")).get("/fhir/Observation").status == 200);
        // Where the client may only read by id there is no word of v1 for what is left, and the answer is taken back as it was given.
        let by_id = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", "patient/Patient.r patient/Observation.rs launch/patient offline_access"]);
        let mixed = by_id.launches(&clinic.person, "", "launch/patient offline_access patient/Patient.read patient/Observation.read", &[]);
        let again = by_id.refreshes(&mixed.text_at("/refresh_token"), &[("scope", &mixed.text_at("/scope"))]).is(200);
        assert_eq!((mixed.text_at("/scope").contains("patient/Patient.r patient/Observation.read"), again.at("/scope")), (true, mixed.at("/scope")));
        let category = "http://terminology.hl7.org/CodeSystem/observation-category";
        let scope = |code: &str| format!("launch/patient patient/Observation.rs?category={category}|{code}");
        let found = |code: &str| {
            let token = app.launches(&clinic.person, "", &scope(code), &[]).text_at("/access_token");
            server.nobody().bearer(&token).search("Observation?_count=0").total()
        };
        shall(370, (found("vital-signs"), found("laboratory")) == (Some(1), Some(0)));
        shall(355, app.secret.is_none() && one.status == 200);
    }
}

both! {
    fn a_client_with_a_secret_shows_it(server) {
        let clinic = Clinic::new(server);
        let app = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        shall(356, app.launches(&clinic.person, "", READS, &[]).status == 200);
        let wrong = App { secret: Some("cs-wrong".into()), ..app.clone() };
        let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[]));
        assert_eq!(wrong.exchanges(of(&told, "code").unwrap(), VERIFIER).is(401).at("/error"), json!("invalid_client"));
        let alone = App { secret: None, ..app.clone() };
        let told = brings(&clinic.person, "", "allow", &asked(&app, READS, &[]));
        assert_eq!(alone.exchanges(of(&told, "code").unwrap(), VERIFIER).is(401).at("/error"), json!("invalid_client"));
        let service = json!({"client_name": "Service", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic"});
        let registered = server.nobody().post("/oauth/register", &service);
        let granted = app.asks(&[("grant_type", "client_credentials"), ("scope", "system/*.rs")]);
        shall(344, (registered.status, granted.status) == (400, 400) && registered.at("/error") == "invalid_client_metadata" && granted.at("/error") == "unauthorized_client");
    }
}
