//! Backend services: a client proves who it is by `private_key_jwt` and gets an access token for scopes of `system/`.

use serde_json::{Value, json};

use crate::support::oauth::{ASSERTION, Pair, basic, claims, header, now, once, refused};
use crate::support::{TestServer, oauth};

const SCOPES: &[&str] = &["--role", "ehr-system", "--scope", "system/Patient.rs system/Observation.rs"];

both! {
    fn a_service_gets_a_token_and_reads(server) {
        let alice = server.person("alice");
        for alg in ["ES384", "RS384"] {
            let service = server.service(alg, SCOPES);
            let reply = service.ask(&service.assertion(&json!({}), &json!({})), "system/Patient.rs").is(200);
            assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
            let body = reply.json();
            assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&json!("Bearer"), &json!(300), &json!("system/Patient.rs")));
            assert_eq!((body.get("refresh_token"), body.get("id_token")), (None, None));
            let token = reply.text_at("/access_token");
            server.plant(&token);
            let base = format!("{}/fhir", server.url());
            let said = claims(&token);
            assert_eq!(header(&token)["typ"], "at+jwt");
            assert_eq!((&said["aud"], &said["client_id"], &said["sub"], &said["iss"]), (&json!(base), &json!(service.id), &json!(service.id), &json!(server.url())));
            let ehr = server.nobody().bearer(&token);
            ehr.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
            // Twice: the second one is remembered.
            ehr.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
            let refused = ehr.get("/fhir/Device").is(403);
            assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
        }
    }
}

both! {
    fn assertions_that_are_none(server) {
        let service = server.service("ES384", SCOPES);
        let wrong = |assertion: &str| refused(&service.ask(assertion, "system/Patient.rs"), 401, "invalid_client");
        let token_url = server.token_url();
        let empty = json!({});
        for claims in [
            json!({"aud": format!("{}/fhir", server.url())}),
            json!({"aud": server.url()}),
            json!({"aud": null}),
            json!({"aud": format!("{token_url}/")}),
            json!({"exp": now() - 1}),
            json!({"exp": now() + 3_600}),
            json!({"exp": now() + 400}),
            json!({"exp": null}),
            json!({"jti": null}),
            json!({"jti": ""}),
            json!({"sub": once()}),
            json!({"iss": once()}),
            json!({"iss": null}),
            json!({"nbf": now() + 100}),
        ] {
            wrong(&service.assertion(&empty, &claims));
        }
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS256"}),
            json!({"alg": "ES256"}),
            json!({"alg": "RS384"}),
            json!({"kid": null}),
            json!({"kid": "another"}),
            json!({"kid": "../../etc/passwd"}),
            json!({"typ": null}),
            json!({"typ": "at+jwt"}),
            json!({"jku": "https://evil.example/jwks"}),
            json!({"jwk": service.pair.jwk}),
            json!({"crit": ["exp"]}),
            json!({"x5u": "https://evil.example/x"}),
        ] {
            wrong(&service.assertion(&header, &empty));
        }
        let unsigned = service.assertion(&json!({"alg": "none"}), &empty);
        wrong(&format!("{}.", unsigned.rsplit_once('.').unwrap().0));
        // Another key under the same name.
        let other = oauth::Service { server, id: service.id.clone(), pair: Pair { kid: service.pair.kid.clone(), ..Pair::new("ES384") } };
        wrong(&other.assertion(&empty, &empty));
        // HMAC under what everybody knows.
        let text = service.assertion(&json!({"alg": "HS256"}), &empty);
        let text = text.rsplit_once('.').unwrap().0;
        for secret in [service.pair.jwks().to_string(), service.pair.jwk.to_string()] {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
            wrong(&format!("{text}.{}", oauth::base64url(ring::hmac::sign(&key, text.as_bytes()))));
        }
        for garbage in ["x", "a.b.c", "..", ""] {
            refused(&service.ask(garbage, "system/Patient.rs"), 401, "invalid_client");
        }
        service.ask(&service.assertion(&empty, &json!({"aud": [token_url]})), "system/Patient.rs").is(200);
    }
}

both! {
    fn what_is_wrong_with_an_assertion_is_said_unless_it_tells_who_is_a_client(server) {
        let service = server.service("ES384", SCOPES);
        let says = |service: &oauth::Service<'_>, header: Value, claims: Value| {
            let reply = service.ask(&service.assertion(&header, &claims), "system/Patient.rs");
            refused(&reply, 401, "invalid_client");
            reply.text_at("/error_description")
        };
        let stranger = oauth::Service { server, id: once(), pair: Pair::new("ES384") };
        for (header, claims, why) in [
            (json!({}), json!({"aud": server.url()}), "aud is not the token endpoint"),
            (json!({}), json!({"exp": now() - 1}), "exp has passed"),
            (json!({}), json!({"exp": now() + 400}), "exp is more than 5 minutes ahead"),
            (json!({}), json!({"jti": null}), "no jti"),
            (json!({}), json!({"sub": once()}), "iss and sub are not both the client_id"),
            (json!({"kid": null}), json!({}), "no kid"),
            (json!({"alg": "RS256"}), json!({}), "alg is not one of this use"),
        ] {
            let told = says(&service, header.clone(), claims.clone());
            assert!(told.contains(why), "{told}");
            assert_eq!(told, says(&stranger, header, claims));
        }
        let unknown = says(&stranger, json!({}), json!({}));
        assert!(["no such client", "kid", "signature", "jku"].iter().all(|word| unknown.contains(word)), "{unknown}");
        let forger = oauth::Service { server, id: service.id.clone(), pair: Pair { kid: service.pair.kid.clone(), ..Pair::new("ES384") } };
        assert_eq!(says(&forger, json!({}), json!({})), unknown);
        assert_eq!(says(&service, json!({"kid": "another"}), json!({})), unknown);
        assert_eq!(says(&service, json!({"jku": "https://evil.example/jwks"}), json!({})), unknown);
        let (public, _) = server.client(&["--name", "Public", "--public", "--redirect-uri", "https://app.example/cb"]);
        assert_eq!(says(&oauth::Service { server, id: public, pair: Pair::new("ES384") }, json!({}), json!({})), unknown);
    }
}

both! {
    fn an_assertion_is_good_once(server) {
        let service = server.service("ES384", SCOPES);
        let assertion = service.assertion(&json!({}), &json!({}));
        service.ask(&assertion, "system/Patient.rs").is(200);
        refused(&service.ask(&assertion, "system/Patient.rs"), 401, "invalid_client");
        // Also one that was refused for another reason, and one that went elsewhere.
        let assertion = service.assertion(&json!({}), &json!({}));
        refused(&service.ask(&assertion, "system/Device.rs"), 400, "invalid_scope");
        refused(&service.ask(&assertion, "system/Patient.rs"), 401, "invalid_client");
        let assertion = service.assertion(&json!({}), &json!({}));
        let pairs = [("token", "x"), ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
        server.nobody().form("/oauth/introspect", &pairs).is(200);
        refused(&service.ask(&assertion, "system/Patient.rs"), 401, "invalid_client");
        // Another client may say the same jti.
        let other = server.service("ES384", SCOPES);
        let jti = json!({"jti": "the-same"});
        service.ask(&service.assertion(&json!({}), &jti), "system/Patient.rs").is(200);
        other.ask(&other.assertion(&json!({}), &jti), "system/Patient.rs").is(200);
        refused(&other.ask(&other.assertion(&json!({}), &jti), "system/Patient.rs"), 401, "invalid_client");
    }
}

both! {
    fn scopes_are_those_of_registration_and_role(server) {
        let service = server.service("ES384", SCOPES);
        let ask = |scope: &str| service.ask(&service.assertion(&json!({}), &json!({})), scope);
        assert_eq!(ask("system/*.rs").is(200).text_at("/scope"), "system/Patient.rs system/Observation.rs");
        assert_eq!(ask("system/Patient.read").is(200).text_at("/scope"), "system/Patient.read");
        assert_eq!(ask("system/Patient.cruds").is(200).text_at("/scope"), "system/Patient.rs");
        for scope in [
            "",
            "system/Device.rs",
            "system/Patient.rs system/Device.rs",
            "system/Patient.d",
            "user/Patient.rs",
            "patient/Patient.rs",
            "system/Patient.rs patient/Patient.rs",
            "system/Patient.dus",
            "system/Patient.rr",
            "system/Patient.read-only",
            "system/Immunization.rs",
            "system/Patient.rs system/Observation.rs?bogus=1",
            "openid",
            "nonsense",
        ] {
            refused(&ask(scope), 400, "invalid_scope");
        }
        let auditor = server.service("ES384", &["--role", "auditor"]);
        let token = auditor.token("system/AuditEvent.rs");
        server.nobody().bearer(&token).get("/fhir/AuditEvent").is(200);
        refused(&auditor.ask(&auditor.assertion(&json!({}), &json!({})), "system/Patient.rs"), 400, "invalid_scope");
    }
}

both! {
    fn a_client_is_what_it_was_registered_as(server) {
        let service = server.service("ES384", SCOPES);
        let (secret_id, secret) = server.client(&["--name", "Secret", "--secret", "--redirect-uri", "https://app.example/cb"]);
        let (public_id, _) = server.client(&["--name", "Public", "--public", "--redirect-uri", "https://app.example/cb"]);
        let secret = secret.unwrap();
        let nobody = server.nobody();
        let assertion = || service.assertion(&json!({}), &json!({}));
        let grant = ("grant_type", "client_credentials");
        let scope = ("scope", "system/Patient.rs");
        let with = |pairs: &[(&str, &str)]| nobody.form("/oauth/token", &[&[grant, scope], pairs].concat());
        // Each in another's way, or in none.
        refused(&with(&[("client_id", &service.id)]), 401, "invalid_client");
        refused(&with(&[("client_id", &service.id), ("client_secret", &secret)]), 401, "invalid_client");
        refused(&with(&[("client_id", &secret_id)]), 401, "invalid_client");
        refused(&with(&[("client_id", &secret_id), ("client_secret", "wrong")]), 401, "invalid_client");
        refused(&with(&[("client_id", &public_id), ("client_secret", &secret)]), 401, "invalid_client");
        refused(&with(&[("client_id", &once()), ("client_secret", &secret)]), 401, "invalid_client");
        refused(&with(&[]), 401, "invalid_client");
        refused(&with(&[("client_id", &secret_id), ("client_assertion_type", ASSERTION), ("client_assertion", &assertion())]), 401, "invalid_client");
        refused(&with(&[("client_assertion_type", "urn:x"), ("client_assertion", &assertion())]), 401, "invalid_client");
        refused(&with(&[("client_assertion", &assertion())]), 401, "invalid_client");
        // Two ways at once.
        refused(&with(&[("client_secret", &secret), ("client_assertion_type", ASSERTION), ("client_assertion", &assertion())]), 400, "invalid_request");
        let both = nobody.with("authorization", basic(&secret_id, &secret));
        refused(&both.form("/oauth/token", &[grant, ("client_secret", &secret)]), 400, "invalid_request");
        // The right way, and then the wrong grant.
        refused(&with(&[("client_id", &secret_id), ("client_secret", &secret)]), 400, "unauthorized_client");
        let basic_refused = both.form("/oauth/token", &[grant, scope]);
        refused(&basic_refused, 400, "unauthorized_client");
        refused(&with(&[("client_id", &public_id)]), 400, "unauthorized_client");
        let challenged = nobody.with("authorization", basic(&secret_id, "wrong")).form("/oauth/token", &[grant, scope]);
        refused(&challenged, 401, "invalid_client");
        assert_eq!(challenged.header("www-authenticate"), Some("Basic realm=\"firth\""));
    }
}

both! {
    fn guessing_a_secret_is_slowed_down(server) {
        let (id, secret) = server.client(&["--name", "Secret", "--secret", "--redirect-uri", "https://app.example/cb"]);
        let ask = |secret: &str| server.nobody().form("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", secret)]);
        let mut tries = (0..150).map(|_| ask("wrong"));
        let throttled = tries.find(|reply| reply.status != 401).expect("an end");
        assert_eq!((throttled.status, throttled.header("retry-after"), throttled.at("/error")), (429, Some("60"), json!("temporarily_unavailable")));
        // Who knows the secret is let in all the same.
        refused(&ask(&secret.unwrap()), 400, "unauthorized_client");
    }
}

both! {
    fn requests_that_are_none(server) {
        let service = server.service("ES384", SCOPES);
        let nobody = server.nobody();
        let assertion = || service.assertion(&json!({}), &json!({}));
        let proof = |assertion: &str| [("client_assertion_type".to_owned(), ASSERTION.to_owned()), ("client_assertion".to_owned(), assertion.to_owned())];
        let ask = |pairs: &[(&str, &str)]| {
            let proof = proof(&assertion());
            let proof: Vec<(&str, &str)> = proof.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            nobody.form("/oauth/token", &[pairs, &proof].concat())
        };
        let (grant, scope) = (("grant_type", "client_credentials"), ("scope", "system/Patient.rs"));
        refused(&ask(&[scope]), 400, "invalid_request");
        refused(&ask(&[("grant_type", ""), scope]), 400, "invalid_request");
        refused(&ask(&[grant, grant, scope]), 400, "invalid_request");
        refused(&ask(&[grant, scope, ("scope", "")]), 400, "invalid_request");
        refused(&ask(&[("grant_type", "password"), scope]), 400, "unsupported_grant_type");
        refused(&ask(&[("grant_type", "authorization_code"), ("code", "x")]), 400, "unauthorized_client");
        refused(&ask(&[grant, scope, ("resource", "https://other.example/fhir")]), 400, "invalid_target");
        // What is not known is passed over.
        ask(&[grant, scope, ("audience", "x"), ("unknown", "y"), ("resource", &format!("{}/fhir", server.url()))]).is(200);
        let json = nobody.post("/oauth/token", &json!({"grant_type": "client_credentials"}));
        refused(&json, 400, "invalid_request");
        refused(&nobody.with("content-type", "application/x-www-form-urlencoded").send("POST", "/oauth/token", Some(b"a=%zz")), 400, "invalid_request");
        let get = nobody.get("/oauth/token");
        assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
        assert_eq!(get.at("/error"), json!("invalid_request"));
    }
}

/// Who is shown the token of a service.
fn seen(server: &TestServer, token: &str) -> u16 {
    server.nobody().bearer(token).get("/fhir/Patient").status
}

both! {
    fn what_was_granted_ends_with_the_client(server) {
        let service = server.service("ES384", SCOPES);
        let token = service.token("system/Patient.rs");
        assert_eq!((seen(server, &token), seen(server, &token)), (200, 200));
        server.place.tells(&["client", "disable", &service.id]);
        let refusal = server.nobody().bearer(&token).get("/fhir/Patient").is(401);
        assert!(refusal.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        refused(&service.ask(&service.assertion(&json!({}), &json!({})), "system/Patient.rs"), 401, "invalid_client");
        server.place.tells(&["client", "approve", &service.id]);
        assert_eq!(seen(server, &token), 401, "what had ended does not come back");
        assert_eq!(seen(server, &service.token("system/Patient.rs")), 200);
    }
}

both! {
    fn a_token_of_another_role_ends(server) {
        let service = server.service("ES384", &["--role", "ehr-system", "--scope", "system/Patient.rs system/AuditEvent.rs"]);
        let token = service.token("system/Patient.rs");
        assert_eq!(seen(server, &token), 200);
        server.place.tells(&["client", "approve", &service.id, "--role", "auditor"]);
        assert_eq!(seen(server, &token), 401);
    }
}

both! {
    fn new_keys_take_the_place_of_old_ones(server) {
        let service = server.service("ES384", SCOPES);
        let pair = Pair::new("RS384");
        server.place.tells(&["client", "rotate", &service.id, "--jwks", &server.jwks_file(&pair)]);
        refused(&service.ask(&service.assertion(&json!({}), &json!({})), "system/Patient.rs"), 401, "invalid_client");
        let renewed = oauth::Service { server, id: service.id.clone(), pair };
        renewed.token("system/Patient.rs");
    }
}

both! {
    fn tokens_that_are_not_ours(server) {
        let service = server.service("ES384", SCOPES);
        let token = service.token("system/Patient.rs");
        let refusal = |token: &str| {
            let reply = server.nobody().bearer(token).get("/fhir/Patient").is(401);
            assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{token}");
            reply.text_at("/issue/0/details/text")
        };
        let [head, body, signature]: [String; 3] = token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        let altered = |header: &Value, payload: &Value| format!("{}.{}.{signature}", oauth::base64url(header.to_string()), oauth::base64url(payload.to_string()));
        let (said, kid) = (claims(&token), header(&token));
        let mut of_all = vec![
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{token}x"),
            altered(&json!({"alg": "none", "typ": "at+jwt"}), &said),
            altered(&json!({"alg": "HS256", "typ": "at+jwt", "kid": kid["kid"]}), &said),
            altered(&json!({"alg": "EdDSA", "typ": "JWT", "kid": kid["kid"]}), &said),
            service.assertion(&json!({}), &json!({})),
            service.pair.sign(&json!({"alg": "ES384", "typ": "at+jwt", "kid": kid["kid"]}), &said),
        ];
        for (name, value) in [("aud", json!("https://other.example/fhir")), ("iss", json!("https://other.example")), ("scope", json!("system/*.cruds")), ("exp", json!(now() + 9_999))] {
            let mut other = said.clone();
            other[name] = value;
            of_all.push(altered(&kid, &other));
        }
        let says: Vec<String> = of_all.iter().map(|token| refusal(token)).collect();
        assert!(says.iter().all(|one| *one == says[0]), "{says:?}");
        // Another deployment's, though it is as good as ours there.
        let Some(other) = TestServer::start(server.backend, &[]) else { return };
        let foreign = other.service("ES384", SCOPES);
        assert_eq!(refusal(&foreign.token("system/Patient.rs")), says[0]);
        // Without any token nothing is said of one.
        let nothing = server.nobody().get("/fhir/Patient").is(401);
        let challenge = nothing.header("www-authenticate").unwrap();
        assert!(!challenge.contains("error=") && challenge.contains(&format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/fhir\"", server.url())), "{challenge}");
    }
}

both! {
    fn a_token_is_shown_once_and_in_its_header(server) {
        let token = server.service("ES384", SCOPES).token("system/Patient.rs");
        let nobody = server.nobody();
        assert_eq!(nobody.get(&format!("/fhir/Patient?access_token={token}")).is(401).code(), "auth.token-place");
        let lenient = nobody.bearer(&token).with("prefer", "handling=lenient");
        lenient.get(&format!("/fhir/Patient?access_token={token}")).is(401);
        let mut twice = nobody.bearer(&token);
        twice.headers.push(("authorization".into(), format!("Bearer {token}")));
        let refused = twice.get("/fhir/Patient").is(401);
        assert_eq!(refused.at("/issue/0/expression/0"), json!("http.Authorization"));
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
    }
}

both! {
    fn a_bound_token_needs_its_proof(server) {
        let service = server.service("ES384", SCOPES);
        let key = Pair::new("ES256");
        let ask = |proof: &str| {
            let pairs = [
                ("grant_type", "client_credentials"),
                ("scope", "system/Patient.rs"),
                ("client_assertion_type", ASSERTION),
                ("client_assertion", &service.assertion(&json!({}), &json!({}))),
            ];
            server.nobody().with("dpop", proof).form("/oauth/token", &pairs)
        };
        let none = json!({});
        let proof = key.proof("POST", &server.token_url(), &none);
        let made = ask(&proof).is(200);
        assert_eq!(made.at("/token_type"), json!("DPoP"));
        let token = made.text_at("/access_token");
        server.plant(&token);
        assert_eq!(claims(&token)["cnf"]["jkt"], key.thumbprint());
        for bad in [
            proof.clone(),
            key.proof("GET", &server.token_url(), &none),
            key.proof("POST", &server.url(), &none),
            key.proof("POST", &server.token_url(), &json!({"iat": now() - 120})),
            key.proof("POST", &server.token_url(), &json!({"jti": null})),
            "x".to_owned(),
        ] {
            refused(&ask(&bad), 400, "invalid_dpop_proof");
        }
        let url = format!("{}/fhir/Patient", server.url());
        let shown = |scheme: &str, proof: Option<&str>| {
            let client = server.nobody().with("authorization", format!("{scheme} {token}"));
            proof.map_or(client.clone(), |proof| client.with("dpop", proof)).get("/fhir/Patient?_count=1")
        };
        let ath = |more: Value| {
            let mut claims = json!({"ath": oauth::sha256(&token)});
            oauth::merge(&mut claims, &more);
            claims
        };
        let good = key.proof("GET", &url, &ath(json!({})));
        shown("DPoP", Some(&good)).is(200);
        let other = Pair::new("ES256");
        for (scheme, proof) in [
            ("Bearer", None),
            ("DPoP", None),
            ("Bearer", Some(key.proof("GET", &url, &ath(json!({}))))),
            ("DPoP", Some(good.clone())),
            ("DPoP", Some(key.proof("POST", &url, &ath(json!({}))))),
            ("DPoP", Some(key.proof("GET", &server.url(), &ath(json!({}))))),
            ("DPoP", Some(key.proof("GET", &url, &none))),
            ("DPoP", Some(key.proof("GET", &url, &ath(json!({"ath": oauth::sha256("x")}))))),
            ("DPoP", Some(key.proof("GET", &url, &ath(json!({"iat": now() - 120}))))),
            ("DPoP", Some(other.proof("GET", &url, &ath(json!({}))))),
        ] {
            let refusal = shown(scheme, proof.as_deref()).is(401);
            let challenge = refusal.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_dpop_proof\""), "{challenge}");
        }
        server.nobody().form("/oauth/revoke", &[("token", token.as_str()), ("client_assertion_type", ASSERTION), ("client_assertion", &service.assertion(&json!({}), &json!({})))]).is(200);
        let refusal = shown("DPoP", Some(&key.proof("GET", &url, &ath(json!({}))))).is(401);
        let challenge = refusal.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_token\"") && challenge.contains("algs=\"ES256"), "{challenge}");
        let unbound = service.token("system/Patient.rs");
        server.nobody().with("authorization", format!("DPoP {unbound}")).with("dpop", key.proof("GET", &url, &none)).get("/fhir/Patient").is(401);
    }
}

both! {
    fn a_client_of_bound_tokens_takes_no_others(server) {
        let bound = server.service("ES384", &[SCOPES, &["--dpop-bound"]].concat());
        refused(&bound.ask(&bound.assertion(&json!({}), &json!({})), "system/Patient.rs"), 400, "invalid_dpop_proof");
    }
}

both! {
    fn tokens_are_named_in_the_audit_log(server) {
        let service = server.service("ES384", SCOPES);
        let token = service.token("system/Patient.rs");
        server.nobody().bearer(&token).get("/fhir/Patient").is(200);
        let auditor = server.auditor();
        let events = auditor.search(&format!("AuditEvent?agent:identifier=urn:firth:client|{}", service.id));
        let resources: Vec<Value> = events.matches();
        let routes: Vec<String> = resources.iter().map(|event| event["subtype"].to_string()).collect();
        assert!(routes.iter().any(|route| route.contains("\"token\"")) && routes.iter().any(|route| route.contains("search-type")), "{routes:?}");
        let asked = resources.iter().find(|event| event["subtype"].to_string().contains("search-type")).unwrap();
        assert_eq!(asked["agent"][0]["who"]["identifier"], json!({"system": "urn:firth:client", "value": service.id}));
    }
}
