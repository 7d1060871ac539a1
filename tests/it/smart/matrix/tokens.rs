//! Tokens that the deployment's own key signed, each wrong in one thing: the look at that thing refuses them. A1 to A5 of
//! the list, by every way to ask.

use firth::access::Role;
use firth::id::PatientId;
use firth::ledger::clients::Proof;
use firth::ledger::grants::{By, Granted};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::documents::weight;
use crate::smart::doors::{Door, Sights, doors, shape, tells};
use crate::smart::flow::shall;
use crate::support::oauth::{Pair, base64url, claims, header, merge, now, once};
use crate::support::within::{REDIRECT, VERIFIER, Within};
use crate::support::{Bundle, Reply, TestServer};

/// An app with a token, and the key that signed it.
pub struct Scene<'w> {
    pub server: &'w Within,
    pub patient: PatientId,
    pub observations: [String; 2],
    pub tokens: Value,
    pub key: Ed25519KeyPair,
    pub kid: String,
    pub doors: Vec<Door>,
}

impl<'w> Scene<'w> {
    /// Of a person, who reads.
    pub fn new(server: &'w Within) -> Scene<'w> {
        let (client, _) = server.client(Proof::Public);
        let patient = server.patient();
        let account = server.account("alice", Role::Patient, Some(format!("Patient/{patient}")));
        let by = By { client: client.id, account: Some(account.id), session: None };
        Scene::of(server, patient, by, &server.granted(Role::Patient, "openid launch/patient patient/*.rs", Some(patient)))
    }

    /// Of a clinician who cares for the patient, and writes.
    pub fn of_writer(server: &'w Within) -> Scene<'w> {
        let (client, _) = server.client_of(Proof::Public, |facts| facts.scopes = "openid user/*.cruds".into());
        let patient = server.patient();
        let practitioner = server.created(&json!({"resourceType": "Practitioner", "name": [{"family": "Ruiz"}]}));
        let practitioner = format!("Practitioner/{practitioner}");
        server.created(&crate::care_team::team(&format!("Patient/{patient}"), &practitioner));
        let account = server.account("ruiz", Role::Clinician, Some(practitioner));
        let by = By { client: client.id, account: Some(account.id), session: None };
        Scene::of(server, patient, by, &server.granted(Role::Clinician, "openid user/*.cruds", None))
    }

    fn of(server: &'w Within, patient: PatientId, by: By, granted: &Granted) -> Scene<'w> {
        let observations = ["70.1", "70.2"].map(|value| server.created(&weight(&patient.to_string(), value)));
        let (code, id) = (server.code(by, granted), by.client.to_string());
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("client_id", &id),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let tokens = server.form("/oauth/token", &pairs, &[]).is(200).json();
        let next =
            Bundle(server.get("/fhir/Observation?_count=1", tokens["access_token"].as_str().unwrap()).is(200).json()).next().unwrap();
        let doors = doors(&Sights { patient: &patient.to_string(), observation: &observations[0], next: &next });
        let (kid, der) = server.signing_key();
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("the key");
        Scene { server, patient, observations, tokens, key, kid, doors }
    }

    pub fn token(&self) -> &str {
        self.tokens["access_token"].as_str().unwrap()
    }

    /// The same token with other members in its header and its claims, signed by the deployment; null takes one away.
    pub fn signed(&self, of_header: &Value, of_claims: &Value) -> String {
        let (mut head, mut body) = (header(self.token()), claims(self.token()));
        merge(&mut head, of_header);
        merge(&mut body, of_claims);
        self.signs(&head.to_string(), &body.to_string())
    }

    pub fn signs(&self, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.key.sign(text.as_bytes());
        format!("{text}.{}", base64url(signature.as_ref()))
    }

    pub fn claims_are(&self, all: &[Value]) -> Vec<String> {
        all.iter().map(|claims| self.signed(&json!({}), claims)).collect()
    }

    /// What the test signs is taken: of what is refused it is not the signature.
    #[track_caller]
    fn takes(&self, token: &str) {
        for door in &self.doors {
            let reply = door.bearer(&self.server.url, token);
            assert_eq!(reply.status, 200, "{}: {}", door.name, reply.text());
            assert!(door.name == "HEAD" || tells(&reply), "{}", door.name);
        }
    }

    /// By every way 401 with a challenge, in the same words whatever is wrong.
    #[track_caller]
    fn refuses(&self, tokens: &[String]) {
        for door in &self.doors {
            let words = shape(&refused(&door.bearer(&self.server.url, "x"), door, "x"));
            for token in tokens {
                let reply = door.bearer(&self.server.url, token);
                assert_eq!(shape(&refused(&reply, door, token)), words, "{}: {token}", door.name);
                assert!(!tells(&reply) && !reply.text().contains(&self.patient.to_string()), "{}", door.name);
            }
        }
    }
}

#[track_caller]
pub fn refused(reply: &Reply, door: &Door, token: &str) -> Reply {
    let shown = claims_of(token);
    assert_eq!(reply.status, 401, "{}: {shown} {}", door.name, reply.text());
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{}: {challenge}", door.name);
    reply.clone()
}

/// For the eyes of who reads a failure.
fn claims_of(token: &str) -> String {
    let part =
        |part: &str| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    token.split('.').take(2).filter_map(|text| part(text).ok()).collect::<Vec<_>>().join(" ")
}

within! {
    fn a1_what_is_said_in_a_signed_token_must_be_true_here(server) {
        let scene = Scene::new(server);
        scene.takes(scene.token());
        scene.takes(&scene.signed(&json!({}), &json!({"jti": once(), "exp": now() + 60})));
        let base = format!("{}/fhir", server.url);
        let mut wrong = scene.claims_are(&[
            json!({"aud": "https://other.example/fhir"}), json!({"aud": server.url}), json!({"aud": format!("{base}/")}), json!({"aud": null}),
            json!({"aud": [base, "https://other.example/fhir"]}),
            json!({"iss": "https://other.example"}), json!({"iss": format!("{}/", server.url)}), json!({"iss": null}),
            json!({"exp": now() - 1}), json!({"exp": null}), json!({"exp": "9999999999"}),
            json!({"nbf": now() + 1_800}), json!({"iat": now() + 1_800}),
            json!({"sid": once()}), json!({"sid": null}), json!({"client_id": once()}),
        ]);
        wrong.extend(["x", "a.b.c", "..", "ft-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"].map(str::to_owned));
        scene.refuses(&wrong);
        for door in &scene.doors {
            let reply = door.opens(&server.url, &[]);
            let challenge = reply.header("www-authenticate").unwrap_or_default().to_owned();
            assert!(reply.status == 401 && !challenge.is_empty() && !challenge.contains("error="), "{}: {challenge}", door.name);
            // Who sent none is told so (docs/decisions/0028-first-statuses.md).
            assert!(door.name == "HEAD" || reply.text().contains("no token was sent"), "{}: {}", door.name, reply.text());
        }
        scene.takes(scene.token());
    }
}

within! {
    fn the_audience_of_a_token_is_this_fhir_endpoint(server) {
        let scene = Scene::new(server);
        scene.takes(&scene.signed(&json!({}), &json!({"aud": format!("{}/fhir", server.url)})));
        for aud in ["https://other.example/fhir", "", "*"] {
            let token = scene.signed(&json!({}), &json!({"aud": aud}));
            shall(96, scene.doors.iter().all(|door| door.bearer(&server.url, &token).status == 401));
        }
    }
}

within! {
    fn a12_a_token_of_two_contexts_is_none(server) {
        let scene = Scene::new(server);
        let of = |scope: &str| scene.signed(&json!({}), &json!({"scope": scope}));
        scene.takes(&of("patient/*.rs"));
        scene.refuses(&["patient/*.rs system/*.rs", "patient/Observation.rs user/Patient.rs", "system/*.rs patient/*.rs user/*.rs"].map(of));
    }
}

within! {
    fn a2_what_a_header_says_does_not_choose_how_a_token_is_looked_at(server) {
        let scene = Scene::new(server);
        scene.takes(&scene.signed(&json!({}), &json!({"jti": once()})));
        let public = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(scene.key.public_key().as_ref())});
        let mut wrong: Vec<String> = [
            json!({"alg": "none"}), json!({"alg": "HS256"}), json!({"alg": "RS256"}), json!({"alg": "ES256"}), json!({"alg": null}),
            json!({"kid": "../../../../dev/null"}), json!({"kid": "/etc/passwd"}), json!({"kid": ""}), json!({"kid": null}), json!({"kid": once()}),
            json!({"jku": "https://evil.example/jwks"}), json!({"jku": format!("{}/oauth/jwks", server.url)}), json!({"jwk": public}),
            json!({"x5u": "https://evil.example/x"}), json!({"x5c": []}), json!({"crit": ["unknown"], "unknown": 1}), json!({"crit": []}), json!({"b64": false}),
        ].iter().map(|header| scene.signed(header, &json!({}))).collect();
        let unsigned = scene.signed(&json!({"alg": "none"}), &json!({}));
        wrong.push(format!("{}.", unsigned.rsplit_once('.').unwrap().0));
        // HMAC under every form of what everybody knows.
        let symmetric = scene.signed(&json!({"alg": "HS256"}), &json!({}));
        let text = symmetric.rsplit_once('.').unwrap().0;
        let jwks = crate::support::http::call("GET", &format!("{}/oauth/jwks", server.url), &[], None).expect("an answer").is(200);
        let rsa = jwks.at("/keys").as_array().unwrap().iter().find(|key| key["kty"] == "RSA").cloned().unwrap();
        for secret in [scene.key.public_key().as_ref().to_vec(), public.to_string().into_bytes(), jwks.body.clone(), rsa.to_string().into_bytes()] {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
            wrong.push(format!("{text}.{}", base64url(ring::hmac::sign(&key, text.as_bytes()))));
        }
        // A key that the token brings along, and one that another deployment has under the same name.
        let foreign = Pair::new("ES256");
        wrong.push(foreign.sign(&json!({"alg": "ES256", "typ": "at+jwt", "kid": scene.kid, "jwk": foreign.jwk}), &claims(scene.token())));
        let other = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap().as_ref()).unwrap();
        let text = scene.token().rsplit_once('.').unwrap().0.to_owned();
        wrong.push(format!("{text}.{}", base64url(other.sign(text.as_bytes()).as_ref())));
        // A name twice: whoever reads the first one sees another token than who reads the last.
        wrong.push(scene.signs(&header(scene.token()).to_string().replacen('{', "{\"alg\":\"none\",", 1), &claims(scene.token()).to_string()));
        scene.refuses(&wrong);
    }
}

within! {
    fn a3_a_token_of_another_kind_is_no_access_token(server) {
        let scene = Scene::new(server);
        let id = scene.tokens["id_token"].as_str().unwrap().to_owned();
        let mut wrong = vec![id.clone()];
        for typ in [json!(null), json!("JWT"), json!("jwt"), json!("at+JWT"), json!("application/at+jwt"), json!("dpop+jwt"), json!(1)] {
            wrong.push(scene.signed(&json!({"typ": typ}), &json!({})));
        }
        // The claims of the id_token under the header of an access token, and the other way round.
        wrong.push(scene.signs(&header(scene.token()).to_string(), &claims(&id).to_string()));
        wrong.push(scene.signs(&header(&id).to_string(), &claims(scene.token()).to_string()));
        scene.refuses(&wrong);
        scene.takes(scene.token());
    }
}

/// A backend service whose token is bound to a key, a patient, and two of its Observations.
pub struct Bound {
    pub key: Pair,
    pub token: String,
    pub patient: String,
    pub observations: [String; 2],
}

pub fn bound(server: &TestServer, scopes: &str) -> Bound {
    let patient = crate::documents::created(&server.ehr(), &crate::documents::patient());
    let observations = ["70.1", "70.2"].map(|value| crate::documents::created(&server.ehr(), &weight(&patient, value)));
    let service = server.service("ES384", &["--role", "ehr-system", "--scope", scopes]);
    let key = Pair::new("ES256");
    let assertion = service.assertion(&json!({}), &json!({}));
    let pairs = [
        ("grant_type", "client_credentials"),
        ("scope", scopes),
        ("client_assertion_type", crate::support::oauth::ASSERTION),
        ("client_assertion", &assertion),
    ];
    let proof = key.proof("POST", &server.token_url(), &json!({}));
    let token = server.nobody().with("dpop", proof).form("/oauth/token", &pairs).is(200).text_at("/access_token");
    server.plant(&token);
    Bound { key, token, patient, observations }
}

both! {
    fn a5_a_bound_token_is_shown_with_the_proof_of_this_request(server) {
        let Bound { key, token, patient, observations: [first, _] } = bound(server, "system/Patient.rs system/Observation.rs");
        let url = format!("{}/fhir/Observation", server.url());
        let proof = key.proof("GET", &url, &json!({"ath": crate::support::oauth::sha256(&token)}));
        let asking = server.nobody().with("authorization", format!("DPoP {token}")).with("dpop", proof);
        let next = asking.search("Observation?_count=1").next().unwrap();
        let doors = doors(&Sights { patient: &patient, observation: &first, next: &next });
        let (stranger, ath) = (Pair::new("ES256"), crate::support::oauth::sha256(&token));
        for door in &doors {
            // Without query and fragment (RFC 9449 section 4.2).
            let url = format!("{}{}", server.url(), door.path.split('?').next().unwrap());
            let proof = |by: &Pair, verb: &str, url: &str, more: Value| {
                let mut claims = json!({"ath": ath});
                merge(&mut claims, &more);
                by.proof(verb, url, &claims)
            };
            let shown = |scheme: &str, proof: Option<&str>| {
                let authorization = format!("{scheme} {token}");
                let headers = [("authorization", authorization.as_str()), ("dpop", proof.unwrap_or_default())];
                door.opens(&server.url(), &headers[..if proof.is_some() { 2 } else { 1 }])
            };
            let good = proof(&key, door.verb, &url, json!({}));
            assert_eq!(shown("DPoP", Some(&good)).status, 200, "{}", door.name);
            let other = if door.verb == "POST" { "GET" } else { "POST" };
            for (scheme, proof) in [
                ("Bearer", None), ("DPoP", None), ("DPoP", Some(good.clone())), ("Bearer", Some(proof(&key, door.verb, &url, json!({})))),
                ("DPoP", Some(proof(&key, other, &url, json!({})))), ("DPoP", Some(proof(&key, door.verb, &server.url(), json!({})))),
                ("DPoP", Some(proof(&key, door.verb, &url.replace("http://", "https://"), json!({})))),
                ("DPoP", Some(proof(&key, door.verb, &url, json!({"ath": null})))), ("DPoP", Some(proof(&key, door.verb, &url, json!({"ath": crate::support::oauth::sha256("x")})))),
                ("DPoP", Some(proof(&key, door.verb, &url, json!({"iat": now() - 120})))), ("DPoP", Some(proof(&key, door.verb, &url, json!({"iat": now() + 120})))),
                ("DPoP", Some(proof(&stranger, door.verb, &url, json!({})))), ("DPoP", Some("x".to_owned())),
            ] {
                let reply = shown(scheme, proof.as_deref());
                let challenge = reply.header("www-authenticate").unwrap_or_default();
                assert_eq!(reply.status, 401, "{} {scheme} {proof:?}", door.name);
                assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_dpop_proof\""), "{}: {challenge}", door.name);
                assert!(!tells(&reply), "{}", door.name);
            }
        }
    }
}

both! {
    fn a4_a_token_is_sent_in_one_header_by_every_way(server) {
        let patient = crate::documents::created(&server.ehr(), &crate::documents::patient());
        let [first, _] = ["70.1", "70.2"].map(|value| crate::documents::created(&server.ehr(), &weight(&patient, value)));
        let (token, _) = server.token(&["--role", "patient", "--patient", &patient]);
        let next = server.nobody().bearer(&token).search("Observation?_count=1").next().unwrap();
        let bearer = format!("Bearer {token}");
        for door in doors(&Sights { patient: &patient, observation: &first, next: &next }) {
            let url = server.url();
            assert_eq!(door.bearer(&url, &token).status, 200, "{}", door.name);
            let by_form = Door { body: door.body.as_ref().map(|(kind, body)| (*kind, format!("{body}&access_token={token}"))), ..door.with("_count=1") };
            let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
            let mut replies = vec![
                door.with(&format!("access_token={token}")).opens(&url, &[]),
                door.with(&format!("token={token}")).opens(&url, &[]),
                door.opens(&url, &twice),
                door.opens(&url, &[("authorization", &format!("{bearer}, {bearer}"))]),
                door.opens(&url, &[("authorization", &format!("{bearer} {token}"))]),
                door.opens(&url, &[("authorization", &format!("Basic {}", data_encoding::BASE64.encode(format!("x:{token}").as_bytes())))]),
                door.opens(&url, &[("cookie", &format!("access_token={token}"))]),
            ];
            if door.name == "POST _search" {
                replies.push(by_form.opens(&url, &[]));
            }
            for (n, reply) in replies.iter().enumerate() {
                assert!(reply.status == 401 && !tells(reply), "{} {n}: {} {}", door.name, reply.status, reply.text());
            }
            // In the address, and twice.
            for reply in [&replies[0], &replies[2]] {
                let challenge = reply.header("www-authenticate").unwrap_or_default();
                assert!(challenge.contains("error=\"invalid_request\""), "{}: {challenge}", door.name);
            }
        }
    }
}
