//! The documents by which clients find the authorization server, registration, and launches.

use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::oauth::{Pair, now, once, refused};

fn document(server: &TestServer, path: &str) -> Value {
    // JSON whatever is asked for (SMART App Launch 2.2, "SMART on FHIR OAuth authorization endpoints").
    for accept in ["application/json", "text/html", "application/fhir+xml", "image/png"] {
        let reply = server.nobody().with("accept", accept).get(path).is(200);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{path}");
    }
    server.nobody().get(path).is(200).json()
}

both! {
    fn the_authorization_server_is_told_of(server) {
        let url = server.url();
        let smart = document(server, "/fhir/.well-known/smart-configuration");
        let endpoints = [
            ("authorization_endpoint", "/oauth/authorize"),
            ("token_endpoint", "/oauth/token"),
            ("introspection_endpoint", "/oauth/introspect"),
            ("revocation_endpoint", "/oauth/revoke"),
            ("registration_endpoint", "/oauth/register"),
            ("management_endpoint", "/account"),
        ];
        for (name, path) in endpoints {
            assert_eq!(smart[name], json!(format!("{url}{path}")), "{name}");
        }
        assert_eq!((&smart["issuer"], &smart["jwks_uri"]), (&json!(url), &json!(format!("{url}/oauth/jwks"))));
        assert_eq!(smart["code_challenge_methods_supported"], json!(["S256"]));
        assert!(smart["grant_types_supported"].as_array().unwrap().contains(&json!("client_credentials")));
        let methods = smart["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(methods.contains(&json!("private_key_jwt")) && methods.contains(&json!("client_secret_basic")));
        assert_eq!(smart["token_endpoint_auth_signing_alg_values_supported"], json!(["RS384", "ES384"]));
        let capabilities = smart["capabilities"].as_array().unwrap();
        assert!(capabilities.contains(&json!("client-confidential-asymmetric")) && capabilities.contains(&json!("permission-v2")));
        assert!(capabilities.contains(&json!("launch-standalone")));
        let asked: Vec<&str> = smart["scopes_supported"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        assert!(asked.contains(&"system/*.rs"), "{asked:?}");
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let metadata = document(server, path);
            assert_eq!((&metadata["issuer"], &metadata["token_endpoint"]), (&smart["issuer"], &smart["token_endpoint"]));
            assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["RS256"]));
            server.nobody().get(&format!("{path}/elsewhere")).is(404);
        }
        for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/fhir"] {
            let resource = document(server, path);
            assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(format!("{url}/fhir")), &json!([url])));
        }
        server.nobody().get("/.well-known/oauth-protected-resource/other").is(404);
        server.nobody().get("/.well-known/other").is(404);
        server.nobody().get("/fhir/.well-known/other").is(404);
        // What PyPI's fhirclient reads.
        let security = server.nobody().get("/fhir/metadata").is(200).at("/rest/0/security");
        assert_eq!(security["service"][0]["coding"][0]["code"], json!("SMART-on-FHIR"));
        assert_eq!(security["extension"][0]["url"], json!("http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"));
        let uris = security["extension"][0]["extension"].as_array().unwrap();
        let token = uris.iter().find(|uri| uri["url"] == json!("token")).unwrap();
        assert_eq!(token["valueUri"], smart["token_endpoint"]);
        assert_eq!(uris.iter().any(|uri| uri["url"] == json!("authorize")), smart.get("authorization_endpoint").is_some());
    }
}

both! {
    fn keys_are_published_without_what_is_private(server) {
        let reply = server.nobody().get("/oauth/jwks").is(200);
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        let mut algorithms: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        algorithms.sort_unstable();
        assert_eq!(algorithms, ["EdDSA", "RS256"]);
        for key in &keys {
            assert_eq!(key["use"], json!("sig"));
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(key.get(private), None);
            }
        }
        assert_eq!(server.nobody().get("/oauth/jwks").is(200).json(), reply.json());
    }
}

both! {
    fn links_start_with_the_public_url(server, "FIRTH_PUBLIC_URL" = "https://health.example/firth") {
        let url = "https://health.example/firth";
        assert_eq!(document(server, "/fhir/.well-known/smart-configuration")["token_endpoint"], json!(format!("{url}/oauth/token")));
        // RFC 8414, section 3.1, and RFC 9728, section 3.1: the path stands behind the well-known name.
        for path in ["/.well-known/oauth-authorization-server/firth", "/.well-known/openid-configuration/firth", "/.well-known/openid-configuration"] {
            assert_eq!(document(server, path)["issuer"], json!(url), "{path}");
        }
        assert_eq!(document(server, "/.well-known/oauth-protected-resource/firth/fhir")["resource"], json!(format!("{url}/fhir")));
        server.nobody().get("/.well-known/oauth-protected-resource/fhir").is(404);
        let challenge = server.nobody().get("/fhir/Patient").is(401).header("www-authenticate").unwrap().to_owned();
        assert!(challenge.contains("resource_metadata=\"https://health.example/.well-known/oauth-protected-resource/firth/fhir\""), "{challenge}");
    }
}

/// What a backend service sends to be registered.
fn metadata(pair: &Pair) -> Value {
    json!({"client_name": "A new service", "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"],
        "response_types": [], "jwks": pair.jwks(), "scope": "system/Patient.rs system/Immunization.rs", "software_id": "x"})
}

both! {
    fn a_client_that_registers_waits_for_an_operator(server) {
        let pair = Pair::new("ES384");
        let made = server.nobody().post("/oauth/register", &metadata(&pair)).is(201);
        assert_eq!((made.at("/scope"), made.at("/client_secret"), made.at("/jwks")), (json!("system/Patient.rs"), Value::Null, pair.jwks()));
        let id = made.text_at("/client_id");
        let service = crate::support::oauth::Service { server, id: id.clone(), pair };
        let ask = || service.ask(&service.assertion(&json!({}), &json!({})), "system/Patient.rs");
        refused(&ask(), 400, "unauthorized_client");
        assert!(server.place.tells(&["client", "list"]).lines().any(|line| line.starts_with(&id) && line.contains("\twaiting\tkeys\t")));
        // A backend service is approved with a role.
        let refusal = server.place.firth(&["client", "approve", &id]);
        assert!(!refusal.status.success() && String::from_utf8_lossy(&refusal.stderr).contains("--role"));
        refused(&ask(), 400, "unauthorized_client");
        server.place.tells(&["client", "approve", &id, "--role", "ehr-system"]);
        ask().is(200);
    }
}

both! {
    fn metadata_that_is_refused(server) {
        let pair = Pair::new("ES384");
        let app = json!({"client_name": "An app", "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"});
        for (change, error) in [
            (json!({"redirect_uris": ["http://app.example/cb"]}), "invalid_redirect_uri"),
            (json!({"redirect_uris": ["https://app.example/cb#x"]}), "invalid_redirect_uri"),
            (json!({"redirect_uris": []}), "invalid_redirect_uri"),
            (json!({"token_endpoint_auth_method": "client_secret_jwt"}), "invalid_client_metadata"),
        ] {
            let mut sent = app.clone();
            crate::support::oauth::merge(&mut sent, &change);
            refused(&server.nobody().post("/oauth/register", &sent), 400, error);
        }
        // Five a minute.
        let mut private = metadata(&pair);
        private["jwks"]["keys"][0]["d"] = json!("AAAA");
        refused(&server.nobody().post("/oauth/register", &private), 400, "invalid_client_metadata");
        let throttled = server.nobody().post("/oauth/register", &app).is(429);
        assert!(throttled.header("retry-after").is_some());
    }
}

both! {
    fn an_app_gets_its_secret_once(server) {
        let app = json!({"client_name": "An app", "redirect_uris": ["https://app.example/cb", "com.example.app:/cb"], "jwks_uri": null});
        let made = server.nobody().post("/oauth/register", &app).is(201);
        assert_eq!((made.header("cache-control"), made.header("pragma")), (Some("no-store"), Some("no-cache")));
        assert_eq!((made.at("/client_secret_expires_at"), made.at("/grant_types"), made.at("/response_types")), (json!(0), json!(["authorization_code"]), json!(["code"])));
        assert_eq!(made.at("/token_endpoint_auth_method"), json!("client_secret_basic"));
        assert!((now() - made.at("/client_id_issued_at").as_i64().unwrap()).abs() < 60);
        let (id, secret) = (made.text_at("/client_id"), made.text_at("/client_secret"));
        server.plant(&secret);
        let ask = |secret: &str| server.nobody().form("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", secret)]);
        assert_eq!(ask(&secret).at("/error_description").as_str().map(|says| says.contains("waits")), Some(true));
        refused(&ask("wrong"), 401, "invalid_client");
        // An operator gives it another one.
        let printed = server.place.tells(&["client", "rotate", &id]);
        let renewed = crate::support::actors::value_of(&printed, "client_secret");
        server.plant(&renewed);
        refused(&ask(&secret), 401, "invalid_client");
        server.place.tells(&["client", "approve", &id]);
        refused(&ask(&renewed), 400, "unauthorized_client");
    }
}

both! {
    fn keys_are_fetched_where_they_were_registered(server) {
        let pair = Pair::new("ES384");
        let set = std::sync::Arc::new(std::sync::Mutex::new(pair.jwks().to_string()));
        let address = served(std::sync::Arc::clone(&set));
        let uri = format!("http://{address}/jwks");
        // This machine is no place for keys, unless the operator says so.
        let refusal = server.place.firth(&["client", "add", "--name", "A service", "--role", "ehr-system", "--jwks-uri", &uri]);
        assert!(!refusal.status.success());
        let (id, _) = server.client(&["--name", "A service", "--role", "ehr-system", "--jwks-uri", &uri, "--private-jwks-uri"]);
        let service = crate::support::oauth::Service { server, id: id.clone(), pair };
        service.token("system/Patient.rs");
        let jku = |jku: &str| service.ask(&service.assertion(&json!({"jku": jku}), &json!({})), "system/Patient.rs");
        jku(&uri).is(200);
        refused(&jku("https://evil.example/jwks"), 401, "invalid_client");
        refused(&jku(&format!("{uri}/")), 401, "invalid_client");
        // A key that came a moment ago is not looked for at once: the set was fetched within the minute.
        let new = Pair::new("ES384");
        *set.lock().unwrap() = new.jwks().to_string();
        let renewed = crate::support::oauth::Service { server, id, pair: new };
        refused(&renewed.ask(&renewed.assertion(&json!({}), &json!({})), "system/Patient.rs"), 401, "invalid_client");
        service.token("system/Patient.rs");
        // What leads elsewhere, or gives no set, is no set.
        *set.lock().unwrap() = "redirect".into();
        let (id, _) = server.client(&["--name", "Moved", "--role", "ehr-system", "--jwks-uri", &format!("{uri}?moved"), "--private-jwks-uri"]);
        let moved = crate::support::oauth::Service { server, id, pair: Pair::new("ES384") };
        refused(&moved.ask(&moved.assertion(&json!({}), &json!({})), "system/Patient.rs"), 401, "invalid_client");
    }
}

/// A server of a client's key set: each request is answered with what `set` holds then.
fn served(set: std::sync::Arc<std::sync::Mutex<String>>) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer);
            let body = set.lock().unwrap().clone();
            let answer = match body.as_str() {
                "redirect" => {
                    format!("HTTP/1.1 302 Found\r\nlocation: http://{address}/other\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                }
                body => format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

both! {
    fn an_ehr_starts_an_app(server) {
        let alice = server.person("alice");
        let bob = server.person("bob");
        let (client, _) = server.client(&["--name", "An app", "--public", "--redirect-uri", "https://app.example/cb"]);
        let ehr = server.ehr();
        let encounter = |patient: &str| json!({"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": format!("Patient/{patient}")},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}});
        let made = |patient: &str| ehr.with("content-type", "application/fhir+json").send("POST", "/fhir/Encounter", Some(encounter(patient).to_string().as_bytes())).is(201).text_at("/id");
        let (own, other) = (made(&alice.patient), made(&bob.patient));
        let launch = |more: Value| {
            let mut body = json!({"client_id": client, "patient": alice.patient});
            crate::support::oauth::merge(&mut body, &more);
            ehr.post("/oauth/launch", &body)
        };
        let started = launch(json!({"encounter": own, "intent": "reconcile-medications"})).is(201);
        assert_eq!(started.at("/expires_in"), json!(300));
        server.plant(&started.text_at("/launch"));
        assert_ne!(launch(json!({})).is(201).at("/launch"), started.at("/launch"));
        for wrong in [
            json!({"patient": once()}),
            json!({"patient": null}),
            json!({"patient": 7}),
            json!({"client_id": once()}),
            json!({"client_id": null}),
            json!({"encounter": other}),
            json!({"encounter": once()}),
            json!({"intent": 7}),
            json!({"need_patient_banner": "yes"}),
            json!({"fhirContext": [{"reference": "Patient/x"}]}),
            json!({"fhirContext": [{}]}),
            json!({"unknown": 1}),
        ] {
            refused(&launch(wrong), 400, "invalid_request");
        }
        let service = server.service("ES384", &["--role", "ehr-system"]);
        let of_service = launch(json!({"client_id": service.id}));
        refused(&of_service, 400, "invalid_request");
        assert!(of_service.text_at("/error_description").starts_with("client_id: the client has no redirect URI"), "{}", of_service.text());
        for (nobody, status) in [(server.nobody(), 401), (alice.own(), 403), (server.clinician(&[&alice]), 403), (server.auditor(), 403)] {
            nobody.post("/oauth/launch", &json!({"client_id": client, "patient": alice.patient})).is(status);
        }
    }
}

both! {
    fn operators_add_clients_with_care(server) {
        let fails = |arguments: &[&str], says: &str| {
            let output = server.place.firth(&[&["client", "add"], arguments].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
        };
        fails(&["--name", "X", "--redirect-uri", "https://app.example/cb"], "--public");
        fails(&["--name", "X", "--public"], "--redirect-uri");
        fails(&["--name", "X", "--public", "--redirect-uri", "http://app.example/cb"], "redirect URI");
        fails(&["--name", "X", "--secret", "--role", "ehr-system"], "private_key_jwt");
        fails(&["--name", "X", "--public", "--redirect-uri", "https://app.example/cb", "--scope", "patient/Immunization.rs"], "no scope");
        fails(&["--name", "X", "--public", "--redirect-uri", "https://app.example/cb", "--origin", "*"], "origin");
        let file = server.jwks_file(&Pair::new("ES384"));
        fails(&["--name", "X", "--jwks", &file, "--role", "nobody"], "there is no role");
        fails(&["--name", "X", "--jwks", &file, "--role", "device-sdk"], "cannot have role");
        fails(&["--name", "X", "--jwks", "/nowhere", "--role", "ehr-system"], "cannot be read");
        assert!(!server.place.firth(&["client", "disable", &once()]).status.success());
        let (id, _) = server.client(&["--name", "An app", "--public", "--redirect-uri", "https://app.example/cb"]);
        let rotated = server.place.firth(&["client", "rotate", &id]);
        assert!(!rotated.status.success());
        // Each of them left an entry.
        let events = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&_count=50").matches();
        assert!(events.iter().any(|event| event.to_string().contains("firth client add") && event.to_string().contains("110137")));
    }
}

both! {
    fn the_three_commands_of_the_manual_work(server) {
        let tools = ["curl", "openssl", "basenc"].iter().all(|tool| std::process::Command::new(tool).arg("--version").output().is_ok());
        assert!(tools || std::env::var("CI").as_deref() != Ok("true"), "curl, openssl or basenc is not installed; in CI they must be there");
        if !tools {
            println!("skipped: curl, openssl or basenc is not installed");
            return;
        }
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/oauth.md")).unwrap();
        let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|block| block.split("```\n").next().unwrap()).collect();
        assert_eq!(blocks.len(), 4);
        let alice = server.person("alice");
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_firth")).parent().unwrap().to_string_lossy().into_owned();
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-euc", &blocks.join("\necho ======\n")]).current_dir(server.place.path());
        shell.envs(server.place.settings.iter().map(|(name, value)| (name, value)));
        shell.env("PATH", format!("{binary}:{}", std::env::var("PATH").unwrap())).env("FIRTH_URL", server.url());
        let ran = shell.output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{out}\n{errors}");
        let parts: Vec<&str> = out.split("======\n").collect();
        assert!(parts[1].starts_with("client_id="), "{out}");
        let token: Value = serde_json::from_str(parts[2]).unwrap();
        server.plant(token["access_token"].as_str().unwrap());
        assert_eq!((&token["token_type"], &token["expires_in"], &token["scope"]), (&json!("Bearer"), &json!(300), &json!("system/Patient.rs")));
        assert!(parts[3].contains(&alice.patient), "{out}");
    }
}

both! {
    fn an_operator_sees_what_is_approved(server) {
        let app = json!({"client_name": "An app", "redirect_uris": ["https://app.example/cb", "com.example.app:/cb"],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"], "scope": "openid patient/Patient.rs",
            "contacts": ["a@app.example\nrole: operator"], "logo_uri": "https://app.example/logo", "initiate_login_uri": "https://app.example/launch",
            "dpop_bound_access_tokens": true});
        let id = server.nobody().post("/oauth/register", &app).is(201).text_at("/client_id");
        let shown = server.place.tells(&["client", "show", &id]);
        let lines: Vec<&str> = shown.lines().collect();
        let of_id = format!("client_id: {id}");
        for line in [
            of_id.as_str(),
            "status: waiting",
            "name: An app",
            "kind: public",
            "grant_types: authorization_code refresh_token",
            "scope: openid patient/Patient.rs",
            "redirect_uri: https://app.example/cb",
            "redirect_uri: com.example.app:/cb",
            "launch_uri: https://app.example/launch",
            "logo_uri: https://app.example/logo",
            "contact: a@app.example role: operator",
            "dpop_bound: yes",
        ] {
            assert!(lines.contains(&line), "{line}: {shown}");
        }
        // What somebody registered makes no line of its own.
        assert!(!shown.contains("\nrole:") && !shown.contains("jwks") && lines.iter().any(|line| line.starts_with("registered: 20")), "{shown}");
        let approved = server.place.tells(&["client", "approve", &id]);
        assert_eq!(approved, format!("approved {id}\n{}", shown.replace("status: waiting", "status: approved")));
        let service = server.service("ES384", &["--role", "ehr-system"]);
        let shown = server.place.tells(&["client", "show", &service.id]);
        assert!(shown.contains(&format!("\njwks: kid {}\n", service.pair.kid)) && shown.contains("\nrole: ehr-system\n"), "{shown}");
        let unknown = server.place.firth(&["client", "show", &once()]);
        assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("firth client list shows them"));
        let events = server.auditor().search("AuditEvent?_count=100").matches();
        let of_verb: Vec<&Value> = events.iter().filter(|event| event.to_string().contains("firth client show") && event["outcome"] == json!("0")).collect();
        // Who looks changes nothing.
        assert!(of_verb.len() == 2 && of_verb.iter().all(|event| event["type"]["code"] == json!("110100")), "{of_verb:#?}");
    }
}

both! {
    fn what_can_never_work_is_not_registered(server) {
        let refuses = |change: Value, error: &str, says: &str| {
            let mut app = json!({"client_name": "An app", "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"});
            crate::support::oauth::merge(&mut app, &change);
            let reply = server.nobody().post("/oauth/register", &app);
            refused(&reply, 400, error);
            assert!(reply.text_at("/error_description").contains(says), "{}", reply.text());
        };
        refuses(json!({"redirect_uris": ["https://*.example/cb"]}), "invalid_redirect_uri", "redirect_uris: a redirect URI is compared letter for letter");
        refuses(json!({"grant_types": ["implicit"]}), "invalid_client_metadata", "grant_types: they are");
        let file = server.jwks_file(&Pair::new("ES384"));
        for (arguments, says) in [
            (vec!["--jwks", &file, "--role", "clinician"], "is for people"),
            (vec!["--public", "--redirect-uri", "https://*.example/cb"], "letter for letter"),
        ] {
            let output = server.place.firth(&[&["client", "add", "--name", "X"], arguments.as_slice()].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
        }
    }
}
