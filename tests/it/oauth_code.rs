//! Codes, refresh tokens and what is made of them. The codes are made where a person has agreed; the rest is HTTP.

use firth::access::Role;
use firth::clock::Clock;
use firth::id::PatientId;
use firth::ledger::accounts::{self, Account};
use firth::ledger::clients::{Client, Proof, Status};
use firth::ledger::grants::{self, By, Granted};
use serde_json::{Value, json};

use crate::support::oauth::{Pair, basic, claims, now, once, refused, sha256};
use crate::support::within::{REDIRECT, VERIFIER, Within};
use crate::support::{Backend, Bundle, Reply, http};

/// A clinician, an app, and a patient.
struct Scene<'w> {
    server: &'w Within,
    client: Client,
    account: Account,
    patient: PatientId,
}

impl<'w> Scene<'w> {
    fn new(server: &'w Within) -> Scene<'w> {
        let (client, _) = server.client(Proof::Public);
        let patient = server.patient();
        let account = server.account("alice", Role::Patient, Some(format!("Patient/{patient}")));
        Scene { server, client, account, patient }
    }

    fn by(&self) -> By {
        By { client: self.client.id, account: Some(self.account.id), session: None }
    }

    fn granted(&self, scopes: &str) -> Granted {
        self.server.granted(Role::Patient, scopes, Some(self.patient))
    }

    fn code(&self, scopes: &str) -> String {
        self.server.code(self.by(), &self.granted(scopes))
    }

    #[track_caller]
    fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Reply {
        let id = self.client.id.to_string();
        let mut pairs = vec![("grant_type", "authorization_code"), ("code", code), ("client_id", &id)];
        for (name, value) in [("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)] {
            if !more.iter().any(|(other, _)| *other == name) {
                pairs.push((name, value));
            }
        }
        self.server.form("/oauth/token", &[&pairs, more].concat(), &[])
    }

    #[track_caller]
    fn tokens(&self, scopes: &str) -> Reply {
        self.exchange(&self.code(scopes), &[]).is(200)
    }

    #[track_caller]
    fn refresh(&self, token: &str, more: &[(&str, &str)]) -> Reply {
        let id = self.client.id.to_string();
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &id)];
        self.server.form("/oauth/token", &[&pairs, more].concat(), &[])
    }

    fn reads(&self, token: &str) -> u16 {
        self.server.get(&format!("/fhir/Patient/{}", self.patient), token).status
    }
}

const LASTING: &str = "launch/patient offline_access patient/Patient.rs patient/Observation.rs";

within! {
    fn a_code_is_exchanged_for_what_was_granted(server) {
        let scene = Scene::new(server);
        let other = server.patient();
        let granted = Granted {
            encounter: Some("e1".into()),
            intent: Some("reconcile".into()),
            need_patient_banner: Some(false),
            fhir_context: vec![json!({"reference": "DiagnosticReport/1"})],
            ..scene.granted("openid fhirUser launch/patient patient/Patient.read")
        };
        let reply = scene.exchange(&server.code(scene.by(), &granted), &[]).is(200);
        assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
        let body = reply.json();
        assert_eq!(body["scope"], "openid fhirUser launch/patient patient/Patient.read");
        assert_eq!((&body["token_type"], body["expires_in"].as_i64()), (&json!("Bearer"), Some(3_600)));
        assert_eq!((&body["patient"], &body["encounter"], &body["intent"]), (&json!(scene.patient.to_string()), &json!("e1"), &json!("reconcile")));
        assert_eq!((&body["need_patient_banner"], &body["fhirContext"]), (&json!(false), &json!([{"reference": "DiagnosticReport/1"}])));
        for absent in ["refresh_token", "tenant", "smart_style_url"] {
            assert_eq!(body.get(absent), None, "{absent}");
        }
        let (access, id) = (reply.text_at("/access_token"), reply.text_at("/id_token"));
        let said = claims(&id);
        let user = format!("{}/fhir/Patient/{}", server.url, scene.patient);
        assert_eq!((&said["iss"], &said["aud"], &said["sub"]), (&json!(server.url), &json!(scene.client.id.to_string()), &json!(scene.account.id.to_string())));
        assert_eq!((&said["nonce"], &said["fhirUser"]), (&json!("n-1"), &json!(user)));
        let hash = ring::digest::digest(&ring::digest::SHA256, access.as_bytes());
        assert_eq!(said["at_hash"], json!(crate::support::oauth::base64url(&hash.as_ref()[..16])));
        assert!(said["exp"].as_i64() > said["iat"].as_i64() && said["auth_time"].is_i64());
        // It is signed with a key of the published set.
        let keys = http::call("GET", &format!("{}/oauth/jwks", server.url), &[], None).unwrap().is(200).json();
        let kid = crate::support::oauth::header(&id)["kid"].clone();
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone();
        let public = firth::jose::PublicKey::from_jwk(key.as_object().unwrap()).unwrap();
        let (text, signature) = id.rsplit_once('.').unwrap();
        let signature = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        assert!(public.verify(firth::jose::Algorithm::Rs256, text.as_bytes(), &signature).is_ok());
        // What the token is good for.
        assert_eq!(scene.reads(&access), 200);
        server.get(&format!("/fhir/Patient/{other}"), &access).is(404);
        server.get("/fhir/Observation", &access).is(403);
        // An id_token is none.
        server.get("/fhir/Patient", &id).is(401);
    }
}

within! {
    fn what_was_not_granted_is_not_told(server) {
        let scene = Scene::new(server);
        let body = scene.tokens("launch/patient patient/Patient.rs").json();
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
        let openid = scene.tokens("openid patient/Patient.rs").text_at("/id_token");
        assert_eq!((claims(&openid).get("fhirUser"), claims(&openid).get("profile")), (None, None));
        let profile = claims(&scene.tokens("openid profile patient/Patient.rs").text_at("/id_token"));
        let user = format!("{}/fhir/Patient/{}", server.url, scene.patient);
        assert_eq!((profile.get("fhirUser"), profile.get("profile")), (None, Some(&json!(user))));
    }
}

within! {
    fn codes_that_are_not_taken(server) {
        let scene = Scene::new(server);
        for more in [
            ("code_verifier", "x"),
            ("code_verifier", "another-verifier-of-43-characters-or-more-0123456789"),
            ("code_verifier", &sha256(VERIFIER)),
            ("redirect_uri", "https://app.example/cb?a=b/"),
            ("redirect_uri", "https://app.example/cb"),
            ("redirect_uri", "https://app.example/CB?a=b"),
            ("redirect_uri", "https://app.example/cb?a=b&c=d"),
        ] {
            let code = scene.code(LASTING);
            refused(&scene.exchange(&code, &[more]), 400, "invalid_grant");
            refused(&scene.exchange(&code, &[]), 400, "invalid_grant");
        }
        // What is missing is named, and the code stays good.
        for missing in ["code_verifier", "redirect_uri"] {
            let code = scene.code(LASTING);
            let reply = scene.exchange(&code, &[(missing, "")]);
            refused(&reply, 400, "invalid_request");
            assert!(reply.text_at("/error_description").starts_with(missing), "{}", reply.text());
            scene.exchange(&code, &[]).is(200);
        }
        refused(&scene.exchange("fc-unknown", &[]), 400, "invalid_grant");
        refused(&scene.exchange("", &[]), 400, "invalid_request");
        // Without a challenge there is no verifier that fits.
        let code = server.code(scene.by(), &Granted { challenge: None, ..scene.granted(LASTING) });
        refused(&scene.exchange(&code, &[]), 400, "invalid_grant");
        // Another client's, which stays good.
        let code = scene.code(LASTING);
        let (other, _) = server.client(Proof::Public);
        let thief = Scene { client: other, account: scene.account.clone(), ..Scene { server, client: scene.client.clone(), account: scene.account.clone(), patient: scene.patient } };
        refused(&thief.exchange(&code, &[]), 400, "invalid_grant");
        scene.exchange(&code, &[]).is(200);
    }
}

within! {
    fn a_code_that_is_shown_twice_ends_the_grant(server) {
        let scene = Scene::new(server);
        let code = scene.code(LASTING);
        let first = scene.exchange(&code, &[]).is(200);
        let (access, refresh) = (first.text_at("/access_token"), first.text_at("/refresh_token"));
        assert_eq!(scene.reads(&access), 200);
        refused(&scene.exchange(&code, &[]), 400, "invalid_grant");
        assert_eq!(scene.reads(&access), 401);
        refused(&scene.refresh(&refresh, &[]), 400, "invalid_grant");
    }
}

within! {
    fn a_refresh_token_is_good_once(server) {
        let scene = Scene::new(server);
        let first = scene.tokens(LASTING);
        let old = first.text_at("/refresh_token");
        let second = scene.refresh(&old, &[]).is(200);
        assert_eq!((second.at("/scope"), second.at("/patient")), (json!(LASTING), json!(scene.patient.to_string())));
        let (new, access) = (second.text_at("/refresh_token"), second.text_at("/access_token"));
        assert_ne!(old, new);
        assert_eq!((scene.reads(&access), scene.reads(&first.text_at("/access_token"))), (200, 200));
        // Shown again, it takes the whole family with it.
        refused(&scene.refresh(&old, &[]), 400, "invalid_grant");
        refused(&scene.refresh(&new, &[]), 400, "invalid_grant");
        assert_eq!((scene.reads(&access), scene.reads(&first.text_at("/access_token"))), (401, 401));
    }
}

within! {
    fn a_refresh_may_ask_for_less(server) {
        let scene = Scene::new(server);
        let token = scene.tokens(LASTING).text_at("/refresh_token");
        for wider in ["patient/Device.rs", "patient/Patient.cruds", "patient/*.rs", "user/Patient.rs", "openid", "nonsense", "launch/patient patient/Patient.rs online_access"] {
            refused(&scene.refresh(&token, &[("scope", wider)]), 400, "invalid_scope");
        }
        let less = scene.refresh(&token, &[("scope", "patient/Patient.r")]).is(200);
        assert_eq!(less.at("/scope"), json!("patient/Patient.r"));
        let access = less.text_at("/access_token");
        assert_eq!((scene.reads(&access), server.get("/fhir/Observation", &access).status), (200, 403));
        // The grant is as it was.
        let all = scene.refresh(&less.text_at("/refresh_token"), &[]).is(200);
        assert_eq!(all.at("/scope"), json!(LASTING));
        server.get("/fhir/Observation", &all.text_at("/access_token")).is(200);
    }
}

within! {
    fn a_refresh_token_is_its_client_s(server) {
        let scene = Scene::new(server);
        let token = scene.tokens(LASTING).text_at("/refresh_token");
        let (other, _) = server.client(Proof::Public);
        let id = other.id.to_string();
        refused(&server.form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", &id)], &[]), 400, "invalid_grant");
        // A code is no refresh token, and a refresh token no code.
        refused(&scene.refresh(&scene.code(LASTING), &[]), 400, "invalid_grant");
        refused(&scene.exchange(&token, &[]), 400, "invalid_grant");
        server.get("/fhir/Patient", &token).is(401);
        scene.refresh(&token, &[]).is(200);
    }
}

within! {
    fn a_confidential_client_proves_who_it_is(server) {
        let scene = Scene::new(server);
        let (client, secret) = server.client(Proof::Secret);
        let (id, secret) = (client.id.to_string(), secret.unwrap());
        let scene = Scene { client, ..scene };
        let code = scene.code(LASTING);
        refused(&scene.exchange(&code, &[]), 401, "invalid_client");
        refused(&scene.exchange(&code, &[("client_secret", "wrong")]), 401, "invalid_client");
        let token = scene.exchange(&code, &[("client_secret", &secret)]).is(200).text_at("/refresh_token");
        refused(&scene.refresh(&token, &[]), 401, "invalid_client");
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        server.form("/oauth/token", &pairs, &[("authorization", &basic(&id, &secret))]).is(200);
    }
}

within! {
    fn access_ends_with_the_account_its_role_and_the_client(server) {
        let end: [fn(&Scene<'_>); 3] = [
            |scene| scene.server.change_account(scene.account.id, |status, _| *status = accounts::Status::Disabled),
            |scene| scene.server.change_account(scene.account.id, |_, facts| facts.role = Some("clinician".into())),
            |scene| scene.server.change_client(scene.client.id, Status::Disabled),
        ];
        let scene = Scene::new(server);
        for (n, end) in end.into_iter().enumerate() {
            let (client, _) = server.client(Proof::Public);
            let patient = server.patient();
            let account = server.account(&format!("bob-{n}"), Role::Patient, Some(format!("Patient/{patient}")));
            let scene = Scene { client, account, patient, ..Scene { server, client: scene.client.clone(), account: scene.account.clone(), patient } };
            let tokens = scene.tokens(LASTING);
            let (access, refresh) = (tokens.text_at("/access_token"), tokens.text_at("/refresh_token"));
            assert_eq!(scene.reads(&access), 200);
            end(&scene);
            assert_eq!(scene.reads(&access), 401, "{n}");
            let refusal = scene.refresh(&refresh, &[]);
            assert!([(400, json!("invalid_grant")), (401, json!("invalid_client"))].contains(&(refusal.status, refusal.at("/error"))), "{n}");
        }
    }
}

within! {
    fn online_access_ends_with_the_session(server) {
        let scene = Scene::new(server);
        let (session, secret) = server.session(scene.account.id);
        let by = By { session: Some(session), ..scene.by() };
        let granted = scene.granted("launch/patient online_access patient/Patient.rs");
        let token = scene.exchange(&server.code(by, &granted), &[]).is(200).text_at("/refresh_token");
        let next = scene.refresh(&token, &[]).is(200).text_at("/refresh_token");
        server.sign_out(&secret);
        refused(&scene.refresh(&next, &[]), 400, "invalid_grant");
    }
}

within! {
    fn scopes_of_a_patient_without_one_are_none(server) {
        let scene = Scene::new(server);
        let granted = Granted { patient: None, ..scene.granted("patient/Patient.rs") };
        let token = scene.exchange(&server.code(scene.by(), &granted), &[]).is(200).text_at("/access_token");
        for path in ["/fhir/Patient", "/fhir/Observation", &format!("/fhir/Patient/{}", scene.patient)] {
            server.get(path, &token).is(401);
        }
        // A patient whom the role does not let through is as hidden as anybody else.
        let other = server.patient();
        let granted = Granted { patient: Some(other.to_string()), ..scene.granted("patient/Patient.rs") };
        let token = scene.exchange(&server.code(scene.by(), &granted), &[]).is(200).text_at("/access_token");
        assert!(Bundle(server.get("/fhir/Patient", &token).is(200).json()).matches().is_empty());
        for patient in [&other, &scene.patient] {
            server.get(&format!("/fhir/Patient/{patient}"), &token).is(404);
        }
        // Two contexts are not granted together.
        let (vault, by, both) = (std::sync::Arc::clone(&server.app.vault), scene.by(), scene.granted("patient/Patient.rs user/Patient.rs"));
        let refused = server.app.db.write("test", move |tx| grants::code(tx, &vault, &by, &both)).expect_err("two contexts");
        assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (firth::error::Kind::Invalid, Some("scope")));
    }
}

within! {
    fn a_public_client_s_refresh_token_is_bound_to_its_key(server) {
        let scene = Scene::new(server);
        let key = Pair::new("ES256");
        let url = format!("{}/oauth/token", server.url);
        let id = scene.client.id.to_string();
        let code = scene.code(LASTING);
        let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("client_id", &id), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
        let tokens = server.form("/oauth/token", &pairs, &[("dpop", &key.proof("POST", &url, &json!({})))]).is(200);
        assert_eq!(tokens.at("/token_type"), json!("DPoP"));
        let token = tokens.text_at("/refresh_token");
        refused(&scene.refresh(&token, &[]), 400, "invalid_grant");
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", &id)];
        let other = Pair::new("ES256").proof("POST", &url, &json!({}));
        refused(&server.form("/oauth/token", &pairs, &[("dpop", &other)]), 400, "invalid_grant");
        server.form("/oauth/token", &pairs, &[("dpop", &key.proof("POST", &url, &json!({})))]).is(200);
        // The key that the authorization request named.
        let granted = Granted { jkt: Some(key.thumbprint()), ..scene.granted(LASTING) };
        refused(&scene.exchange(&server.code(scene.by(), &granted), &[]), 400, "invalid_grant");
    }
}

within! {
    fn tokens_are_told_of_to_whom_they_concern(server) {
        let scene = Scene::new(server);
        let (client, secret) = server.client(Proof::Secret);
        let (id, secret) = (client.id.to_string(), secret.unwrap());
        let scene = Scene { client, ..scene };
        let granted = Granted { intent: Some("order".into()), ..scene.granted("openid fhirUser offline_access launch/patient patient/Patient.rs") };
        let tokens = scene.exchange(&server.code(scene.by(), &granted), &[("client_secret", &secret)]).is(200);
        let (access, refresh) = (tokens.text_at("/access_token"), tokens.text_at("/refresh_token"));
        let own = basic(&id, &secret);
        let ehr = format!("Bearer {}", server.token(Role::EhrSystem));
        let operator = format!("Bearer {}", server.token(Role::Operator));
        let told = |authorization: &str, token: &str| server.form("/oauth/introspect", &[("token", token)], &[("authorization", authorization)]);
        for authorization in [&own, &ehr, &operator] {
            let body = told(authorization, &access).is(200).json();
            assert_eq!((&body["active"], &body["client_id"], &body["scope"]), (&json!(true), &json!(id), &json!(granted.scopes)));
            assert_eq!((&body["iss"], &body["sub"]), (&json!(server.url), &json!(scene.account.id.to_string())));
            assert_eq!(body["fhirUser"], json!(format!("{}/fhir/Patient/{}", server.url, scene.patient)));
            assert_eq!((&body["patient"], &body["intent"]), (&json!(scene.patient.to_string()), &json!("order")));
            assert!(body["exp"].as_i64().unwrap() > now());
            assert_eq!(told(authorization, &refresh).is(200).at("/active"), json!(true));
        }
        // Others, and what is no token, are told nothing.
        let (other, other_secret) = server.client(Proof::Secret);
        let other = basic(&other.id.to_string(), &other_secret.unwrap());
        for (authorization, token) in [(&other, access.as_str()), (&other, refresh.as_str()), (&own, "nonsense"), (&own, "a.b.c"), (&ehr, "x")] {
            assert_eq!(told(authorization, token).is(200).text(), r#"{"active":false}"#);
        }
        // Who asks proves who it is.
        refused(&server.form("/oauth/introspect", &[("token", &access)], &[]), 401, "invalid_client");
        let (public, _) = server.client(Proof::Public);
        refused(&server.form("/oauth/introspect", &[("token", &access), ("client_id", &public.id.to_string())], &[]), 401, "invalid_client");
        assert_eq!(told(&format!("Bearer {access}"), &access).is(403).at("/error"), json!("insufficient_scope"));
        assert_eq!(told("Bearer nonsense", &access).is(401).at("/error"), json!("invalid_token"));
        refused(&server.form("/oauth/introspect", &[], &[("authorization", &own)]), 400, "invalid_request");
        // After it was revoked.
        server.form("/oauth/revoke", &[("token", &refresh)], &[("authorization", &own)]).is(200);
        for token in [&access, &refresh] {
            assert_eq!(told(&ehr, token).is(200).text(), r#"{"active":false}"#);
        }
    }
}

within! {
    fn a_client_gives_back_its_tokens(server) {
        let scene = Scene::new(server);
        let id = scene.client.id.to_string();
        for which in ["/refresh_token", "/access_token"] {
            let tokens = scene.tokens(LASTING);
            let (access, refresh) = (tokens.text_at("/access_token"), tokens.text_at("/refresh_token"));
            // Another client cannot.
            let (other, _) = server.client(Proof::Public);
            server.form("/oauth/revoke", &[("token", &tokens.text_at(which)), ("client_id", &other.id.to_string())], &[]).is(200);
            assert_eq!(scene.reads(&access), 200);
            let given = server.form("/oauth/revoke", &[("token", &tokens.text_at(which)), ("token_type_hint", "x"), ("client_id", &id)], &[]).is(200);
            assert_eq!(given.text(), "");
            assert_eq!(scene.reads(&access), 401, "{which}");
            refused(&scene.refresh(&refresh, &[]), 400, "invalid_grant");
        }
        server.form("/oauth/revoke", &[("token", "unknown"), ("client_id", &id)], &[]).is(200);
        refused(&server.form("/oauth/revoke", &[("token", "unknown")], &[]), 401, "invalid_client");
        refused(&server.form("/oauth/revoke", &[("token", "unknown"), ("client_id", &once())], &[]), 401, "invalid_client");
        refused(&server.form("/oauth/revoke", &[("client_id", &id)], &[]), 400, "invalid_request");
    }
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

#[test]
fn what_was_granted_ends_in_time() {
    let server = Within::start(Backend::Sqlite, Clock::fixed(now() * 1_000)).expect("SQLite");
    let scene = Scene::new(&server);
    let code = scene.code(LASTING);
    server.clock.advance(MINUTE - 1);
    let mut token = scene.exchange(&code, &[]).is(200).text_at("/refresh_token");
    let late = scene.code(LASTING);
    server.clock.advance(MINUTE);
    refused(&scene.exchange(&late, &[]), 400, "invalid_grant");
    let access = scene.refresh(&token, &[]).is(200);
    token = access.text_at("/refresh_token");
    let access = access.text_at("/access_token");
    server.clock.advance(59 * MINUTE);
    assert_eq!(scene.reads(&access), 200);
    server.clock.advance(MINUTE);
    assert_eq!(scene.reads(&access), 401);
    // However often it is refreshed, it ends 90 days after it began.
    server.clock.advance(89 * DAY);
    token = scene.refresh(&token, &[]).is(200).text_at("/refresh_token");
    server.clock.advance(DAY);
    refused(&scene.refresh(&token, &[]), 400, "invalid_grant");
}

#[test]
fn keys_are_renewed_and_old_ones_verify_as_long_as_they_must() {
    let server = Within::start(Backend::Sqlite, Clock::fixed(now() * 1_000)).expect("SQLite");
    let scene = Scene::new(&server);
    let kids = || -> Vec<Value> {
        let keys = http::call("GET", &format!("{}/oauth/jwks", server.url), &[], None).unwrap().is(200).json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    };
    let kid = |token: &str| crate::support::oauth::header(token)["kid"].clone();
    let first = kids();
    assert_eq!(first.len(), 2);
    server.clock.advance(90 * DAY - 30 * MINUTE);
    let before = scene.tokens("patient/Patient.rs").text_at("/access_token");
    assert!(first.contains(&kid(&before)));
    server.clock.advance(30 * MINUTE);
    server.app.keys.renew(server.clock.now()).expect("keys");
    let second = kids();
    assert_eq!(second.len(), 4);
    let after = scene.tokens("patient/Patient.rs").text_at("/access_token");
    assert!(!first.contains(&kid(&after)));
    assert_eq!((scene.reads(&before), scene.reads(&after)), (200, 200));
    server.clock.advance(120 * MINUTE);
    server.app.keys.renew(server.clock.now()).expect("keys");
    let third = kids();
    assert!(third.len() == 2 && third.iter().all(|kid| !first.contains(kid)), "{third:?}");
}

within! {
    fn keys_are_opened_once_in_a_while_and_not_for_each_who_asks(server) {
        let keys = firth::ledger::signing_keys::Keys::new(server.app.db.clone(), std::sync::Arc::clone(&server.app.vault));
        let now = server.clock.now();
        let told = keys.published(now).expect("keys");
        assert!(std::sync::Arc::ptr_eq(&told, &keys.published(now + 1_999).expect("keys")));
        // What another process made meanwhile is seen after two seconds; where there is none nothing is looked for.
        let again = keys.published(now + 2_000).expect("keys");
        assert_eq!(std::sync::Arc::ptr_eq(&told, &again), server.app.db.one_process());
    }
}

/// Two processes of one PostgreSQL: what one signs the other takes, and what one revokes the other refuses.
#[test]
fn processes_of_one_database_agree() {
    let Some(one) = crate::support::TestServer::start(Backend::Postgres, &[]) else { return };
    let mut place = crate::support::server::Place::new();
    let public = one.url();
    for (name, value) in one.place.settings.iter().filter(|(name, _)| name == "FIRTH_DATABASE_URL") {
        place.set(name, value);
    }
    let key = one.place.path().join("root.key");
    place.set("FIRTH_ROOT_KEY_FILE", &key.to_string_lossy());
    place.set("FIRTH_PUBLIC_URL", &public);
    let two = crate::support::TestServer::at(Backend::Postgres, place);
    let service = one.service("ES384", &["--role", "ehr-system", "--scope", "system/Patient.rs"]);
    // The other one has seen no key yet, and then one of its own making, which is the same.
    let token = service.token("system/Patient.rs");
    two.plant(&token);
    two.nobody().bearer(&token).get("/fhir/Patient").is(200);
    assert_eq!(one.nobody().get("/oauth/jwks").is(200).json(), two.nobody().get("/oauth/jwks").is(200).json());
    one.nobody().bearer(&token).get("/fhir/Patient").is(200);
    one.place.tells(&["client", "disable", &service.id]);
    one.nobody().bearer(&token).get("/fhir/Patient").is(401);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while two.nobody().bearer(&token).get("/fhir/Patient").status != 401 {
        assert!(std::time::Instant::now() < end, "a revocation takes effect within 5 s");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
