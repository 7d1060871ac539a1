//! Writes with a token that is not taken: by every way they are refused, and nothing is left of them. A1 to A5 and A7 of the
//! list.

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::tokens::{Bound, Scene, bound, refused};
use super::withdrawal::in_five_seconds;
use crate::documents::{created, weight};
use crate::smart::doors::{Door, changes, tells};
use crate::smart::flow::{CALLBACK, Clinic};
use crate::support::oauth::{base64url, claims, header, now, once, sha256};
use crate::support::{Reply, TestServer};

/// Every version of every Observation.
const ALL: &str = "/fhir/Observation/_history?_count=1000";

fn kept(server: &TestServer) -> Value {
    server.ehr().get(ALL).is(200).at("/entry")
}

/// With a token that is taken each of them leaves something behind.
#[track_caller]
fn all_done(doors: &[Door], kept: impl Fn() -> Value, send: impl Fn(&Door) -> Reply) {
    for door in doors {
        let (before, reply) = (kept(), send(door));
        assert!((200..300).contains(&reply.status), "{}: {} {}", door.name, reply.status, reply.text());
        assert_ne!(kept(), before, "{}", door.name);
    }
}

/// What the deployment signed, or somebody else: wrong in one thing each.
fn wrong(scene: &Scene<'_>) -> Vec<String> {
    let mut all = scene.claims_are(&[
        json!({"aud": "https://other.example/fhir"}),
        json!({"iss": "https://other.example"}),
        json!({"exp": now() - 1}),
        json!({"nbf": now() + 1_800}),
        json!({"sid": once()}),
        json!({"scope": "user/*.cruds system/*.cruds"}),
    ]);
    for of_header in [json!({"alg": "none"}), json!({"kid": once()}), json!({"crit": ["unknown"], "unknown": 1}), json!({"typ": "JWT"})] {
        all.push(scene.signed(&of_header, &json!({})));
    }
    let text = scene.signed(&json!({"alg": "HS256"}), &json!({})).rsplit_once('.').unwrap().0.to_owned();
    let public = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, scene.key.public_key().as_ref());
    all.push(format!("{text}.{}", base64url(ring::hmac::sign(&public, text.as_bytes()))));
    let stranger = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let stranger = Ed25519KeyPair::from_pkcs8(stranger.as_ref()).unwrap();
    let text = scene.token().rsplit_once('.').unwrap().0;
    all.push(format!("{text}.{}", base64url(stranger.sign(text.as_bytes()))));
    let id_token = scene.tokens["id_token"].as_str().unwrap();
    all.push(scene.signs(&header(scene.token()).to_string(), &claims(id_token).to_string()));
    all.extend([id_token, "x", "ft-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"].map(str::to_owned));
    all
}

within! {
    fn a1_to_a4_who_is_not_taken_changes_nothing(server) {
        let scene = Scene::of_writer(server);
        let system = server.token(firth::access::Role::EhrSystem);
        let kept = || server.get(ALL, &system).is(200).at("/entry");
        let [one, other] = &scene.observations;
        let (doors, before) = (changes(&scene.patient.to_string(), [one, other]), kept());
        let (url, wrong) = (&server.url, wrong(&scene));
        let bearer = format!("Bearer {}", scene.token());
        for door in &doors {
            wrong.iter().for_each(|token| drop(refused(&door.bearer(url, token), door, token)));
            let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
            let basic = format!("Basic {}", data_encoding::BASE64.encode(format!("x:{}", scene.token()).as_bytes()));
            for (n, reply) in [
                door.opens(url, &[]),
                door.with(&format!("access_token={}", scene.token())).opens(url, &[]),
                door.opens(url, &twice),
                door.opens(url, &[("authorization", &basic)]),
                door.opens(url, &[("cookie", &format!("access_token={}", scene.token()))]),
            ].iter().enumerate() {
                assert!(reply.status == 401 && !tells(reply), "{} {n}: {} {}", door.name, reply.status, reply.text());
            }
        }
        assert_eq!(kept(), before);
        all_done(&doors, kept, |door| door.bearer(url, scene.token()));
    }
}

both! {
    fn a5_without_the_proof_of_this_request_nothing_is_changed(server) {
        let Bound { key, token, patient, observations: [one, other] } = bound(server, "system/Patient.rs system/Observation.cruds");
        let (stranger, ath, before) = (crate::support::oauth::Pair::new("ES256"), sha256(&token), kept(server));
        let doors = changes(&patient, [&one, &other]);
        let address = |door: &Door| format!("{}{}", server.url(), door.path.split('?').next().unwrap());
        let shown = |door: &Door, scheme: &str, proof: Option<&str>| {
            let authorization = format!("{scheme} {token}");
            let headers = [("authorization", authorization.as_str()), ("dpop", proof.unwrap_or_default())];
            door.opens(&server.url(), &headers[..if proof.is_some() { 2 } else { 1 }])
        };
        for door in &doors {
            let url = address(door);
            let verb = if door.verb == "POST" { "PUT" } else { "POST" };
            for (scheme, proof) in [
                ("Bearer", None), ("DPoP", None), ("Bearer", Some(key.proof(door.verb, &url, &json!({"ath": ath})))),
                ("DPoP", Some(key.proof(verb, &url, &json!({"ath": ath})))), ("DPoP", Some(key.proof(door.verb, &server.url(), &json!({"ath": ath})))),
                ("DPoP", Some(key.proof(door.verb, &url, &json!({})))), ("DPoP", Some(key.proof(door.verb, &url, &json!({"ath": sha256("x")})))),
                ("DPoP", Some(key.proof(door.verb, &url, &json!({"ath": ath, "iat": now() - 120})))),
                ("DPoP", Some(stranger.proof(door.verb, &url, &json!({"ath": ath})))),
            ] {
                let reply = shown(door, scheme, proof.as_deref());
                let challenge = reply.header("www-authenticate").unwrap_or_default();
                assert!(reply.status == 401 && challenge.contains("error=\"invalid_dpop_proof\""), "{} {scheme} {proof:?}: {}", door.name, reply.status);
            }
        }
        assert_eq!(kept(server), before);
        // With its proof each is done, and once.
        all_done(&doors, || kept(server), |door| {
            let proof = key.proof(door.verb, &address(door), &json!({"ath": ath}));
            let done = shown(door, "DPoP", Some(&proof));
            let after = kept(server);
            assert_eq!(shown(door, "DPoP", Some(&proof)).status, 401, "{} again", door.name);
            assert_eq!(kept(server), after, "{} again", door.name);
            done
        });
    }
}

/// A token, and what revokes it.
type End<'e> = (&'e String, Box<dyn Fn() + 'e>);

both! {
    fn a7_a_revoked_token_changes_nothing(server) {
        let clinic = Clinic::new(server);
        let app = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", "user/*.cruds"]);
        let signed = app.launches(&clinic.clinician, "", "user/*.cruds", &[]).text_at("/access_token");
        let (opaque, id) = server.token(&["--role", "clinician", "--patient", &clinic.patient]);
        let ends: [End<'_>; 2] = [
            (&signed, Box::new(|| drop(server.nobody().form("/oauth/revoke", &[("token", &signed), ("client_id", &app.id)]).is(200)))),
            (&opaque, Box::new(|| drop(server.place.tells(&["token", "revoke", &id])))),
        ];
        for (token, end) in ends {
            let [one, other] = ["70.1", "70.2"].map(|value| created(&server.ehr(), &weight(&clinic.patient, value)));
            let doors = changes(&clinic.patient, [&one, &other]);
            // As long as it lasts it changes what there is.
            all_done(&doors[..2], || kept(server), |door| door.bearer(&server.url(), token));
            end();
            in_five_seconds(|| server.nobody().bearer(token).get("/fhir/Observation").status == 401);
            let before = kept(server);
            for door in &doors {
                let reply = door.bearer(&server.url(), token);
                assert!(reply.status == 401 && !tells(&reply), "{}: {} {}", door.name, reply.status, reply.text());
            }
            assert_eq!(kept(server), before);
        }
    }
}
