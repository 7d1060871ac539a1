//! Backend services and clients with keys: SMART App Launch 2.2, `backend-services`, `client-confidential-asymmetric`,
//! `token-introspection`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::flow::*;
use crate::documents::created;
use crate::support::oauth::{ASSERTION, basic, refused};
use crate::support::{Reply, TestServer};

/// A key of ES384 that nobody has had before.
struct Key {
    pair: EcdsaKeyPair,
    kid: String,
}

impl Key {
    fn new(kid: &str) -> Key {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, document.as_ref(), &random).expect("a key");
        Key { pair, kid: kid.to_owned() }
    }

    fn jwks(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(48);
        json!({"keys": [{"kty": "EC", "crv": "P-384", "alg": "ES384", "use": "sig", "kid": self.kid, "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)}]})
    }

    fn signs(&self, header: &Value, claims: &Value) -> String {
        let text =
            format!("{}.{}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()), BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
        format!("{text}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a client has its own clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A file with a key's public half, for `firth client add`.
fn file_of(server: &TestServer, key: &Key) -> String {
    let file = server.place.path().join(format!("{}.jwks", uuid::Uuid::new_v4().simple()));
    std::fs::write(&file, key.jwks().to_string()).expect("a file");
    file.to_string_lossy().into_owned()
}

/// A client with a key, most often a backend service of role ehr-system.
struct Service<'s> {
    app: App<'s>,
    key: Key,
}

impl<'s> Service<'s> {
    #[track_caller]
    fn new(server: &'s TestServer, more: &[&str]) -> Service<'s> {
        let key = Key::new("one");
        let app = server.registered(&[&["--role", "ehr-system", "--jwks", &file_of(server, &key)], more].concat());
        Service { app, key }
    }

    /// One that registered itself, and waits for an operator.
    #[track_caller]
    fn waiting(server: &'s TestServer) -> Service<'s> {
        let key = Key::new("one");
        let made = server.nobody().post("/oauth/register", &asks_to_be_one(&key)).is(201);
        Service { app: App { server, id: made.text_at("/client_id"), secret: None }, key }
    }

    fn header(&self) -> Value {
        json!({"alg": "ES384", "kid": self.key.kid, "typ": "JWT"})
    }

    fn claims(&self) -> Value {
        let token_url = format!("{}/oauth/token", self.app.server.url());
        json!({"iss": self.app.id, "sub": self.app.id, "aud": token_url, "exp": now() + 240, "jti": uuid::Uuid::new_v4().to_string()})
    }

    fn assertion(&self, header: &[(&str, Value)], claims: &[(&str, Value)]) -> String {
        let (mut of_header, mut of_claims) = (self.header(), self.claims());
        header.iter().for_each(|(name, value)| of_header[*name] = value.clone());
        claims.iter().for_each(|(name, value)| of_claims[*name] = value.clone());
        self.key.signs(&of_header, &of_claims)
    }

    /// A request of the token endpoint.
    fn sends(&self, assertion: &str, more: &[(&str, &str)]) -> Reply {
        let shown = [("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
        self.app.server.nobody().form("/oauth/token", &[&shown, more].concat())
    }

    fn shows(&self, assertion: &str, scope: &str) -> Reply {
        self.sends(assertion, &[("grant_type", "client_credentials"), ("scope", scope)])
    }

    fn asks(&self, scope: &str) -> Reply {
        let reply = self.shows(&self.assertion(&[], &[]), scope);
        if reply.status == 200 {
            self.app.server.plant(&reply.text_at("/access_token"));
        }
        reply
    }
}

/// What a backend service sends to be registered.
fn asks_to_be_one(key: &Key) -> Value {
    json!({"client_name": "Registered", "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"],
        "response_types": [], "scope": "system/Patient.rs", "jwks": key.jwks()})
}

both! {
    fn a_service_gets_what_it_was_registered_for(server) {
        let service = Service::new(server, &["--scope", "system/Patient.rs system/Observation.rs"]);
        let mut patients = [(), ()].map(|()| created(&server.ehr(), &crate::documents::patient()));
        patients.sort();
        created(&server.ehr(), &crate::documents::weight(&patients[0], "70"));
        let token = server.nobody().bearer(&service.asks("system/Patient.rs").is(200).text_at("/access_token"));
        shall(241, token.get("/fhir/Patient").status == 200 && token.get("/fhir/Observation").status == 403);
        // Of every patient what it was registered for, and of none what it was not, whatever another one of its role sees.
        let mut found = token.search("Patient").ids();
        found.sort();
        let read = patients.iter().all(|one| token.get(&format!("/fhir/Patient/{one}")).at("/id") == json!(one));
        let other = Service::new(server, &["--scope", "system/Observation.rs"]).asks("system/Observation.rs").is(200).text_at("/access_token");
        let other = server.nobody().bearer(&other);
        shall(142, read && found == patients && other.search("Observation").ids().len() == 1 && other.get("/fhir/Patient").status == 403);
        shall(250, service.asks("system/Device.rs").status == 400);
    }
}

both! {
    fn a_service_gets_nothing_before_an_operator_gave_it_its_rights(server) {
        let service = Service::waiting(server);
        let without = |status: u16, error: &str| {
            let reply = service.asks("system/Patient.rs");
            (reply.status, reply.at("/error"), reply.at("/access_token")) == (status, json!(error), Value::Null)
        };
        let waiting = without(400, "unauthorized_client");
        server.place.tells(&["client", "approve", &service.app.id, "--role", "ehr-system"]);
        let approved = service.asks("system/Patient.rs").status == 200;
        server.place.tells(&["client", "disable", &service.app.id]);
        shall(240, waiting && approved && without(401, "invalid_client"));
    }
}

both! {
    fn errors_are_those_of_oauth(server) {
        let service = Service::new(server, &["--scope", "system/Patient.rs"]);
        let stranger = Key::new("one").signs(&service.header(), &service.claims());
        let app = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let replies = [
            (service.asks("system/Device.rs"), 400, "invalid_scope"),
            (service.sends(&service.assertion(&[], &[]), &[("grant_type", "password")]), 400, "unsupported_grant_type"),
            (service.sends(&service.assertion(&[], &[]), &[("scope", "system/Patient.rs")]), 400, "invalid_request"),
            (service.shows(&stranger, "system/Patient.rs"), 401, "invalid_client"),
            (app.asks(&[("grant_type", "client_credentials"), ("scope", "system/Patient.rs")]), 400, "unauthorized_client"),
            (app.exchanges("never-a-code", VERIFIER), 400, "invalid_grant"),
        ];
        shall(251, replies.iter().all(|(reply, status, error)| (reply.status, reply.at("/error")) == (*status, json!(error))));
        replies.iter().for_each(|(reply, status, error)| refused(reply, *status, error));
    }
}

both! {
    fn a_service_is_answered_as_it_must(server) {
        let service = Service::new(server, &[]);
        let reply = service.asks("system/*.rs").is(200);
        let token = server.nobody().bearer(&reply.text_at("/access_token"));
        shall(253, token.get("/fhir/Patient").status == 200 && server.nobody().get("/fhir/Patient").status == 401);
        shall(254, reply.at("/access_token").is_string());
        shall(255, reply.text_at("/token_type").eq_ignore_ascii_case("bearer"));
        shall(256, reply.at("/expires_in").is_u64());
        shall(258, reply.at("/scope").is_string());
    }
}

both! {
    fn a_services_token_is_limited(server) {
        let service = Service::new(server, &["--scope", "system/Patient.rs"]);
        let reply = service.asks("system/Patient.cruds").is(200);
        shall(259, reply.text_at("/scope") == "system/Patient.rs");
        let token = server.nobody().bearer(&reply.text_at("/access_token"));
        shall(266, token.get("/fhir/Patient").status == 200 && token.post("/fhir/Patient", &crate::documents::patient()).status == 403);
        shall(249, service.shows(&service.assertion(&[], &[("aud", json!(format!("{}/fhir", server.url())))]), "system/Patient.rs").at("/error") == "invalid_client");
    }
}

both! {
    fn the_letter_u_is_for_updates_that_create_as_well(server) {
        let puts = |letter: &str| {
            let scope = format!("system/Organization.{letter}");
            let token = Service::new(server, &["--scope", &scope]).asks(&scope).is(200).text_at("/access_token");
            let body = json!({"resourceType": "Organization", "id": format!("by-{letter}"), "name": "Ward"});
            crate::documents::put(&server.nobody().bearer(&token), &format!("/fhir/Organization/by-{letter}"), &body).status
        };
        shall(123, puts("u") == 201 && server.ehr().get("/fhir/Organization/by-u").status == 200);
        assert_eq!((puts("c"), server.ehr().get("/fhir/Organization/by-c").status), (403, 404));
    }
}

both! {
    fn an_assertion_is_good_once(server) {
        let (service, other) = (Service::new(server, &[]), Service::new(server, &[]));
        let jti = ("jti", json!(uuid::Uuid::new_v4().to_string()));
        let once = service.assertion(&[], std::slice::from_ref(&jti));
        service.shows(&once, "system/*.rs").is(200);
        let again = [once, service.assertion(&[], &[jti.clone(), ("exp", json!(now() + 200))])].map(|assertion| service.shows(&assertion, "system/*.rs"));
        // The jti is the client's own: another one may use the same text.
        let of_other = other.shows(&other.assertion(&[], &[jti]), "system/*.rs");
        shall(336, again.iter().all(|reply| (reply.status, reply.at("/error")) == (401, json!("invalid_client"))) && of_other.status == 200);
    }
}

both! {
    fn an_assertion_is_of_the_client_that_it_names(server) {
        let (service, other) = (Service::new(server, &[]), Service::new(server, &[]));
        let is = |name: &'static str, id: &str| (name, json!(id));
        let unknown = "c0ffee00-0000-4000-8000-000000000000";
        let form = |assertion: &str, id: &str| service.sends(assertion, &[("grant_type", "client_credentials"), ("scope", "system/*.rs"), ("client_id", id)]);
        let wrong = [
            service.shows(&service.assertion(&[], &[is("iss", unknown), is("sub", unknown)]), "system/*.rs"),
            service.shows(&service.assertion(&[], &[is("sub", unknown)]), "system/*.rs"),
            service.shows(&service.assertion(&[], &[is("iss", &other.app.id)]), "system/*.rs"),
            service.shows(&service.assertion(&[], &[is("sub", &other.app.id)]), "system/*.rs"),
            service.shows(&service.assertion(&[], &[is("iss", &other.app.id), is("sub", &other.app.id)]), "system/*.rs"),
            form(&service.assertion(&[], &[]), &other.app.id),
        ];
        let refused = wrong.iter().all(|reply| (reply.status, reply.at("/error"), reply.at("/access_token")) == (401, json!("invalid_client"), Value::Null));
        shall(337, refused && form(&service.assertion(&[], &[]), &service.app.id).status == 200);
    }
}

both! {
    fn an_assertion_is_judged_by_its_signature_and_its_claims(server) {
        let service = Service::new(server, &[]);
        let refused = |assertion: &str| {
            let reply = service.shows(assertion, "system/*.rs");
            assert!(reply.status == 401 && reply.at("/access_token").is_null(), "{}", reply.text());
            reply.text_at("/error")
        };
        shall(335, refused(&Key::new("one").signs(&service.header(), &service.claims())) == "invalid_client");
        let none = format!("{}.{}.", BASE64URL_NOPAD.encode(br#"{"alg":"none","kid":"one"}"#), BASE64URL_NOPAD.encode(service.claims().to_string().as_bytes()));
        let wrong = [
            none, service.assertion(&[("alg", json!("HS256"))], &[]), service.assertion(&[("kid", json!("two"))], &[]),
            service.assertion(&[], &[("exp", json!(now() - 10))]), service.assertion(&[], &[("exp", json!(now() + 3_600))]),
            service.assertion(&[], &[("aud", json!(server.url() + "/fhir"))]),
        ];
        shall(340, wrong.iter().all(|assertion| refused(assertion) == "invalid_client"));
        shall(310, service.asks("system/*.rs").status == 200);
    }
}

/// A web server with one document, and how often it was asked for. It ends with the process.
fn publishes(body: String, cache_control: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (url, asked) = (format!("http://{}/jwks", listener.local_addr().expect("an address")), Arc::new(AtomicUsize::new(0)));
    let (count, head) = (
        Arc::clone(&asked),
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: {cache_control}\r\nconnection: close\r\n"),
    );
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut got, mut piece) = (Vec::new(), [0; 1024]);
            while let Ok(n @ 1..) = stream.read(&mut piece) {
                got.extend_from_slice(&piece[..n]);
                if got.windows(4).any(|end| end == b"\r\n\r\n") {
                    break;
                }
            }
            if got.starts_with(b"GET /jwks ") {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let _ = stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    (url, asked)
}

both! {
    fn keys_are_registered_or_fetched_from_where_they_were_registered(server) {
        let inline = Service::new(server, &[]);
        shall(297, inline.asks("system/*.rs").status == 200);
        let fetched = |cache: &str| {
            let key = Key::new("remote");
            let (url, asked) = publishes(key.jwks().to_string(), cache);
            let app = server.registered(&["--role", "ehr-system", "--jwks-uri", &url, "--private-jwks-uri"]);
            (Service { app, key }, url, asked)
        };
        let (service, url, asked) = fetched("max-age=3600");
        shall(296, service.asks("system/*.rs").status == 200);
        shall(339, asked.load(Ordering::SeqCst) == 1);
        service.asks("system/*.rs").is(200);
        shall(342, asked.load(Ordering::SeqCst) == 1);
        let named = service.shows(&service.assertion(&[("jku", json!(url))], &[]), "system/*.rs").status;
        let elsewhere = service.shows(&service.assertion(&[("jku", json!("https://evil.example/jwks"))], &[]), "system/*.rs");
        // Whose keys were registered directly has no registered URL.
        let without = inline.shows(&inline.assertion(&[("jku", json!(url))], &[]), "system/*.rs");
        shall(338, named == 200 && [elsewhere, without].iter().all(|reply| (reply.status, reply.at("/error")) == (401, json!("invalid_client"))));
        let (service, _, asked) = fetched("no-store");
        (0..3).for_each(|_| { service.asks("system/*.rs").is(200); });
        assert!(asked.load(Ordering::SeqCst) == 3, "what may not be kept was kept: asked {} times", asked.load(Ordering::SeqCst));
    }
}

both! {
    fn keys_are_not_kept_longer_than_they_may(server) {
        let key = Key::new("remote");
        let (url, asked) = publishes(key.jwks().to_string(), "max-age=1");
        let service = Service { app: server.registered(&["--role", "ehr-system", "--jwks-uri", &url, "--private-jwks-uri"]), key };
        service.asks("system/*.rs").is(200);
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        service.asks("system/*.rs").is(200);
        shall(341, asked.load(Ordering::SeqCst) == 2);
    }
}

both! {
    fn who_registers_gets_an_id_and_nothing_changes_the_keys(server) {
        let key = Key::new("mine");
        let body = json!({"client_name": "Registered", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks()});
        let made = server.nobody().post("/oauth/register", &body).is(201);
        shall(316, made.at("/client_id").is_string());
        shall(24, made.at("/redirect_uris") == json!([CALLBACK]) && made.at("/client_id").is_string());
        let service = Service::waiting(server);
        server.place.tells(&["client", "approve", &service.app.id, "--role", "ehr-system"]);
        let other = Key::new("one");
        let mut body = asks_to_be_one(&other);
        body["client_id"] = json!(service.app.id);
        let again = server.nobody().post("/oauth/register", &body);
        let path = format!("/oauth/register/{}", service.app.id);
        let changed = ["POST", "PUT", "PATCH", "DELETE", "GET"].map(|verb| {
            let body = (verb != "GET").then(|| body.to_string());
            server.nobody().with("content-type", "application/json").send(verb, &path, body.as_deref().map(str::as_bytes)).status
        });
        let of_other = service.shows(&other.signs(&service.header(), &service.claims()), "system/Patient.rs");
        shall(305, again.at("/client_id") != json!(service.app.id) && changed == [404; 5]
            && (of_other.status, of_other.at("/error")) == (401, json!("invalid_client")) && service.asks("system/Patient.rs").status == 200);
    }
}

both! {
    fn an_app_with_keys_exchanges_a_code(server) {
        let clinic = Clinic::new(server);
        let key = Key::new("one");
        let app = Service { app: server.registered(&["--jwks", &file_of(server, &key), "--redirect-uri", CALLBACK]), key };
        let told = brings(&clinic.person, "", "allow", &asked(&app.app, "launch/patient patient/Patient.rs", &[]));
        let form = [("grant_type", "authorization_code"), ("code", of(&told, "code").unwrap()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        let without = server.nobody().form("/oauth/token", &[&form[..], &[("client_id", &app.app.id)]].concat());
        let reply = app.sends(&app.assertion(&[], &[]), &form);
        let reads = server.nobody().bearer(&reply.text_at("/access_token")).get(&format!("/fhir/Patient/{}", clinic.patient)).status;
        shall(357, (without.status, without.at("/error")) == (401, json!("invalid_client")) && (reply.status, reads) == (200, 200));
    }
}

both! {
    fn a_token_tells_who_asks_what_it_is_good_for(server) {
        let clinic = Clinic::new(server);
        let app = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let reply = app.launches(&clinic.person, "", "launch/patient openid patient/Patient.rs", &[]);
        let (token, asks) = (reply.text_at("/access_token"), &server.ehr().headers[0].1);
        let told = introspects(server, asks, &token).is(200);
        let never = introspects(server, asks, "never-a-token");
        let nobody = server.nobody().form("/oauth/introspect", &[("token", &token)]);
        shall(271, told.header("content-type") == Some("application/json") && told.json().is_object() && nobody.status == 401
            && (never.status, never.json()) == (200, json!({"active": false})));
        shall(273, told.at("/scope") == reply.at("/scope"));
        shall(274, told.at("/client_id") == json!(app.id));
        shall(275, told.at("/exp").as_i64().is_some_and(|at| at > now()));
        let own = server.nobody().with("authorization", basic(&app.id, app.secret.as_deref().unwrap()));
        own.form("/oauth/revoke", &[("token", &token)]).is(200);
        shall(272, told.at("/active") == true && introspects(server, asks, &token).is(200).json() == json!({"active": false}));
    }
}

fn introspects(server: &TestServer, authorization: &str, token: &str) -> Reply {
    server.nobody().with("authorization", authorization).form("/oauth/introspect", &[("token", token)])
}

both! {
    fn what_is_told_of_a_token_is_what_was_told_with_it(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let context = json!([{"reference": format!("Observation/{}", clinic.observation)}]);
        let launch = clinic.launch(&app, &json!({"encounter": clinic.encounter, "intent": "summary", "need_patient_banner": false, "fhirContext": context}));
        let reply = app.launches(&clinic.clinician, "", "launch openid fhirUser patient/Patient.rs", &[("launch", &launch)]);
        let told = introspects(server, &server.ehr().headers[0].1, &reply.text_at("/access_token")).is(200);
        let issued = claims(&reply.text_at("/access_token"))["iat"].as_i64().unwrap_or_default();
        shall(276, told.at("/exp").as_i64() == Some(issued + reply.at("/expires_in").as_i64().unwrap_or_default()));
        let context = ["/patient", "/encounter", "/intent", "/need_patient_banner", "/fhirContext"];
        shall(277, context.iter().all(|at| !reply.at(at).is_null() && told.at(at) == reply.at(at)));
        let id = claims(&reply.text_at("/id_token"));
        shall(278, id["iss"] == json!(server.url()) && told.at("/iss") == id["iss"]);
        shall(279, id["sub"].as_str().is_some_and(|sub| !sub.is_empty()) && told.at("/sub") == id["sub"]);
    }
}

both! {
    fn who_may_ask_asks_of_every_clients_tokens(server) {
        let clinic = Clinic::new(server);
        let (service, app) = (Service::new(server, &[]), server.public_app());
        let bearer = format!("Bearer {}", service.asks("system/*.rs").is(200).text_at("/access_token"));
        let token = app.launches(&clinic.person, "", "launch/patient patient/Patient.rs", &[]).text_at("/access_token");
        shall(282, introspects(server, &bearer, &token).status == 200);
        shall(283, introspects(server, &bearer, &token).at("/client_id") == json!(app.id));
        let stranger = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let stranger = basic(&stranger.id, stranger.secret.as_deref().unwrap());
        assert_eq!(introspects(server, &stranger, &token).is(200).json(), json!({"active": false}));
    }
}

both! {
    fn a_service_of_role_operator_asks_by_its_assertion_alone(server) {
        let clinic = Clinic::new(server);
        let (key, app) = (Key::new("one"), server.public_app());
        let service = Service { app: server.registered(&["--role", "operator", "--jwks", &file_of(server, &key)]), key };
        let token = app.launches(&clinic.person, "", "launch/patient patient/Patient.rs", &[]).text_at("/access_token");
        let assertion = service.assertion(&[], &[]);
        let form = [("token", token.as_str()), ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
        assert_eq!(server.nobody().form("/oauth/introspect", &form).is(200).at("/client_id"), json!(app.id));
        refused(&service.asks("system/*.rs"), 400, "invalid_scope");
        // A token that an operator issued is taken.
        let (issued, _) = server.token(&["--role", "operator"]);
        assert_eq!(introspects(server, &format!("Bearer {issued}"), &token).is(200).at("/client_id"), json!(app.id));
    }
}
