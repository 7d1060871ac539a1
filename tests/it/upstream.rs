//! Signing in at an upstream OpenID Provider: a small one in this process, which lies as a test tells it to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::sign_in::PASSWORD;
use crate::smart::flow::{asked, claims};
use crate::support::browser::{Browser, Page, encoded, escaped, parameters};
use crate::support::server::Place;
use crate::support::{Backend, TestServer, postgres};

/// An OpenID Provider. What its token endpoint says of a code is put there by the test.
struct Upstream {
    issuer: String,
    codes: Arc<Mutex<HashMap<String, Answer>>>,
    pair: Arc<EcdsaKeyPair>,
}

/// What a code is worth.
#[derive(Clone)]
struct Answer {
    id_token: String,
    challenge: String,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

#[expect(clippy::disallowed_methods, reason = "the provider has its own clock")]
fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

fn signed(pair: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let made = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", encode(made))
}

impl Upstream {
    /// Listens until the process ends.
    fn start(says_iss: bool) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (pair, codes) = (Arc::new(pair()), Arc::new(Mutex::new(HashMap::<String, Answer>::new())));
        let upstream = Upstream { issuer: issuer.clone(), codes: Arc::clone(&codes), pair: Arc::clone(&pair) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &issuer, &pair, (&codes, says_iss));
            }
        });
        upstream
    }

    /// The person signs in there; `lie` may change what the id_token says. The answer to the browser.
    fn signs_in(&self, url: &str, subject: &str, lie: impl FnOnce(&mut Value, &mut Value)) -> String {
        assert!(url.starts_with(&format!("{}/authorize?", self.issuer)), "{url}");
        let asked: HashMap<String, String> = parameters(url).into_iter().collect();
        assert_eq!(
            (asked["response_type"].as_str(), asked["client_id"].as_str(), asked["code_challenge_method"].as_str()),
            ("code", "firth", "S256")
        );
        let mut header = json!({"alg": "ES256", "kid": "k1", "typ": "JWT"});
        let mut claims = json!({"iss": self.issuer, "sub": subject, "aud": "firth", "exp": now() + 300, "iat": now(), "nonce": asked["nonce"],
            "auth_time": now(), "updated_at": 1_700_000_000, "preferred_username": "dr.ruiz", "email_verified": true});
        lie(&mut header, &mut claims);
        let mut id_token = signed(&self.pair, &header, &claims);
        if header["alg"] == "none" {
            id_token = format!("{}.{}.", encode(header.to_string()), encode(claims.to_string()));
        }
        let code = uuid::Uuid::new_v4().to_string();
        let answer = Answer { id_token, challenge: asked["code_challenge"].clone() };
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone(), answer);
        format!("{}?code={code}&state={}&iss={}", asked["redirect_uri"], escaped(&asked["state"]), escaped(&self.issuer))
    }

    /// The table of the settings file.
    fn table(&self, more: &str) -> String {
        format!(
            "[sign_in]\nissuer = \"{}\"\nclient_id = \"firth\"\nclient_secret = \"a secret\"\nlabel = \"Sign in at the clinic\"\n{more}\n",
            self.issuer
        )
    }
}

fn serve(mut stream: TcpStream, issuer: &str, pair: &EcdsaKeyPair, with: (&Mutex<HashMap<String, Answer>>, bool)) {
    let (codes, says_iss) = with;
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let point = &pair.public_key().as_ref()[1..];
    let (status, answer) = match path {
        "/.well-known/openid-configuration" => (
            200,
            json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": says_iss}),
        ),
        "/jwks" => (
            200,
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": encode(&point[..32]), "y": encode(&point[32..])}]}),
        ),
        "/token" => {
            let sent: HashMap<String, String> = parameters(&format!("?{}", String::from_utf8(body).unwrap())).into_iter().collect();
            let known = codes.lock().unwrap_or_else(PoisonError::into_inner).remove(&sent["code"]);
            let challenge = encode(ring::digest::digest(&ring::digest::SHA256, sent["code_verifier"].as_bytes()));
            match known.filter(|known| known.challenge == challenge) {
                Some(known) => (200, json!({"access_token": "upstream", "token_type": "Bearer", "id_token": known.id_token})),
                None => (400, json!({"error": "invalid_grant"})),
            }
        }
        _ => (404, json!({})),
    };
    let text = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).unwrap();
}

/// A server with this settings file; None without PostgreSQL.
pub fn server(backend: Backend, toml: &str) -> Option<TestServer> {
    let mut place = Place::new();
    if backend == Backend::Postgres {
        place.set("FIRTH_DATABASE_URL", &postgres::cluster()?.database());
    }
    std::fs::write(place.path().join("firth.toml"), toml).unwrap();
    Some(TestServer::at(backend, place))
}

/// Runs a test on both databases with a provider whose table has these lines.
fn both(more: &str, test: impl Fn(&TestServer, &Upstream)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let upstream = Upstream::start(true);
        if let Some(server) = server(backend, &upstream.table(more)) {
            test(&server, &upstream);
        }
    }
}

/// To the provider: the address to which the browser is sent.
#[track_caller]
fn leaves(browser: &Browser<'_>) -> String {
    follows(browser, &browser.get("/sign-in").is(200))
}

/// The same from a page of sign-in.
#[track_caller]
fn follows(browser: &Browser<'_>, page: &Page) -> String {
    assert!(page.text().contains("Sign in at the clinic"));
    let text = page.text();
    let link = text.split("/sign-in/upstream?begin=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let sent = browser.get(&format!("/sign-in/upstream?begin={link}"));
    assert_eq!(sent.reply.status, 303, "{}", sent.text());
    sent.reply.header("location").unwrap().to_owned()
}

#[track_caller]
fn signs_in(browser: &Browser<'_>, upstream: &Upstream, subject: &str, lie: impl FnOnce(&mut Value, &mut Value)) -> Page {
    let back = upstream.signs_in(&leaves(browser), subject, lie);
    browser.get(&back)
}

fn honest(_: &mut Value, _: &mut Value) {}

fn link(server: &TestServer, upstream: &Upstream, name: &str, subject: &str) {
    server.place.tells(&["account", "link", name, "--issuer", &upstream.issuer, "--subject", subject]);
}

#[test]
fn a_linked_subject_signs_in_and_nobody_else() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        let unknown = signs_in(&browser, upstream, "4711", honest).is(403);
        assert!(
            unknown.text().contains("firth account link NAME --issuer") && unknown.text().contains("--subject 4711"),
            "{}",
            unknown.text()
        );
        link(server, upstream, "ruiz", "4711");
        let page = signs_in(&browser, upstream, "4711", honest);
        assert_eq!(page.reply.header("location"), Some("/account"), "{}", page.text());
        assert!(browser.get("/account").text().contains("ruiz"));
        signs_in(&server.browser(), upstream, "4712", honest).is(403);
        server.place.tells(&["account", "disable", "ruiz"]);
        assert!(signs_in(&server.browser(), upstream, "4711", honest).is(403).text().contains("disabled"));
        let local = server.browser();
        server.account("sol", &["--role", "clinician"]);
        local.signs_in("sol", PASSWORD);
    });
}

/// The same sub at another issuer is somebody else (row A72).
#[test]
fn a_subject_is_one_of_its_issuer() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        server.place.tells(&["account", "link", "ruiz", "--issuer", "https://other.example", "--subject", "4711"]);
        signs_in(&server.browser(), upstream, "4711", honest).is(403);
        link(server, upstream, "ruiz", "4711");
        signs_in(&server.browser(), upstream, "4711", honest).is(303);
    });
}

/// The events of a security alert with this subtype that name all of these.
fn alerts(server: &TestServer, code: &str, named: &[&str]) -> usize {
    let all = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&_count=100").matches();
    all.iter().filter(|event| event["subtype"][0]["code"] == code && named.iter().all(|text| event.to_string().contains(text))).count()
}

#[track_caller]
fn refused(server: &TestServer, arguments: &[&str], wanted: &str) {
    let output = server.place.firth(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(wanted), "{arguments:?}: {said}");
}

#[test]
fn a_link_is_shown_and_taken_back_and_what_came_by_it_ends() {
    both("", |server, upstream| {
        let (id, app) = (server.account("ruiz", &["--role", "clinician", "--fhir-user", &server.practitioner()]), server.public_app());
        server.account("sol", &["--role", "clinician"]);
        let of = |verb: &'static str, name: &'static str, subject: &'static str| {
            ["account", verb, name, "--issuer", &upstream.issuer, "--subject", subject].map(str::to_owned)
        };
        let tells = |arguments: [String; 7]| server.place.tells(&arguments.each_ref().map(String::as_str));
        let refuses = |arguments: [String; 7], wanted: &str| refused(server, &arguments.each_ref().map(String::as_str), wanted);
        tells(of("link", "ruiz", "4711"));
        tells(of("link", "ruiz", "4712"));
        let shown = server.place.tells(&["account", "show", "ruiz"]);
        for line in [&format!("account_id: {id}"), "name: ruiz", "role: clinician", "status: active", "signs_in_by: password+upstream"] {
            assert!(shown.lines().any(|known| known == line), "{line}: {shown}");
        }
        let links = |name: &str| -> Vec<String> {
            let shown = server.place.tells(&["account", "show", name]);
            shown.lines().filter_map(|line| line.strip_prefix("link: ")).map(str::to_owned).collect()
        };
        let [one, two] = ["4711", "4712"].map(|subject| format!("{} {subject}", upstream.issuer));
        assert_eq!(links("ruiz"), [one.clone(), two.clone()]);
        refuses(of("link", "sol", "4711"), "linked to account ruiz already; firth account unlink");
        refuses(of("unlink", "sol", "4711"), "firth account show sol");
        refuses(of("unlink", "ruiz", "4713"), "firth account show ruiz");
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", honest).is(303);
        let token = app.launches(&browser, "", "user/*.rs offline_access", &[]);
        let client = server.nobody().bearer(&token.text_at("/access_token"));
        client.get("/fhir/Observation").is(200);
        tells(of("unlink", "ruiz", "4711"));
        assert_eq!(browser.get("/account").heading(), "Sign in");
        client.get("/fhir/Observation").is(401);
        app.refreshes(&token.text_at("/refresh_token"), &[]).is(400);
        assert_eq!(links("ruiz"), [two]);
        assert_eq!(alerts(server, "110137", &["firth account unlink", &id]), 1);
        signs_in(&server.browser(), upstream, "4711", honest).is(403);
        signs_in(&server.browser(), upstream, "4712", honest).is(303);
        // It is free for the account to which it belongs.
        tells(of("link", "sol", "4711"));
        assert_eq!(links("sol"), [one]);
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", honest).is(303);
        assert!(browser.get("/account").text().contains("<dd>sol</dd>"));
    });
}

#[test]
fn a_link_of_an_earlier_version_holds_and_is_taken_back_too() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        server.account("sol", &["--role", "clinician"]);
        link(server, upstream, "sol", "4711");
        // It is ruiz's now, and what is kept of ruiz does not name it.
        let other = "(SELECT account.account FROM account WHERE account.account <> account_link.account)";
        server.sql(false, &format!("UPDATE account_link SET account = {other}")).unwrap();
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", honest).is(303);
        assert!(browser.get("/account").text().contains("<dd>ruiz</dd>"));
        let shown = || server.place.tells(&["account", "show", "ruiz"]);
        assert!(shown().contains("\nlink: 1 made by an earlier version"), "{}", shown());
        link(server, upstream, "ruiz", "4711");
        assert!(shown().ends_with(&format!("\nlink: {} 4711\n", upstream.issuer)), "{}", shown());
        server.place.tells(&["account", "unlink", "ruiz", "--issuer", &upstream.issuer, "--subject", "4711"]);
        assert!(!shown().contains("link: ") && shown().contains("signs_in_by: password\n"), "{}", shown());
    });
}

/// Only the provider opens an account that was made so, also after it was disabled.
#[test]
fn an_account_without_a_password_is_active_again_without_one() {
    both("", |server, upstream| {
        server.place.tells(&["account", "add", "ruiz", "--role", "clinician", "--no-password"]);
        link(server, upstream, "ruiz", "4711");
        server.place.tells(&["account", "disable", "ruiz"]);
        signs_in(&server.browser(), upstream, "4711", honest).is(403);
        let printed = server.place.tells(&["account", "reset", "ruiz", "--no-password"]);
        assert!(!printed.contains("password"), "{printed}");
        signs_in(&server.browser(), upstream, "4711", honest).is(303);
        assert!(server.place.tells(&["account", "list"]).contains("ruiz\tclinician\t-\tupstream\tactive"));
        server.place.tells(&["account", "reset", "ruiz"]);
        assert!(server.place.tells(&["account", "list"]).contains("\tfirst-password+upstream\tactive"));
        server.place.tells(&["account", "reset", "ruiz", "--no-password"]);
        assert!(server.place.tells(&["account", "list"]).contains("\tupstream\tactive"), "a password that was there is taken away");
    });
}

type Lie = fn(&mut Value, &mut Value);

#[test]
fn what_the_provider_did_not_say_is_not_believed() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        link(server, upstream, "ruiz", "4711");
        let lies: [(&str, Lie); 9] = [
            ("another nonce", |_, claims| claims["nonce"] = json!("another")),
            ("no nonce", |_, claims| claims["nonce"] = Value::Null),
            ("another issuer", |_, claims| claims["iss"] = json!("https://other.example")),
            ("another audience", |_, claims| claims["aud"] = json!("another")),
            ("two audiences", |_, claims| claims["aud"] = json!(["firth", "another"])),
            ("expired", |_, claims| claims["exp"] = json!(now() - 10)),
            ("unsigned", |header, _| header["alg"] = json!("none")),
            ("signed by a shared key", |header, _| header["alg"] = json!("HS256")),
            ("at_hash of another token", |_, claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ];
        for (what, lie) in lies {
            let page = signs_in(&server.browser(), upstream, "4711", lie);
            assert_eq!(page.reply.status, 401, "{what}: {}", page.text());
            assert!(page.text().contains("cannot be trusted"), "{what}");
        }
        let stranger = Upstream { issuer: upstream.issuer.clone(), codes: Arc::clone(&upstream.codes), pair: Arc::new(pair()) };
        signs_in(&server.browser(), &stranger, "4711", honest).is(401);
        signs_in(&server.browser(), upstream, "4711", honest).is(303);
    });
}

#[test]
fn an_answer_comes_back_to_the_browser_that_asked_and_from_the_provider_that_was_asked() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        link(server, upstream, "ruiz", "4711");
        let browser = server.browser();
        let back = upstream.signs_in(&leaves(&browser), "4711", honest);
        let other = server.browser();
        other.get("/sign-in");
        assert_eq!(other.get(&back).is(400).heading(), "This does not work", "another browser");
        let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let (head, tail) = state.split_at(state.len() / 2);
        let changed = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
        browser.get(&back.replace(&state, &changed)).is(400);
        browser.get(&back.replace(&state, "")).is(400);
        let (before, iss) = back.split_once("&iss=").unwrap();
        browser.get(&format!("{before}&iss=https%3A%2F%2Fevil.example")).is(401);
        browser.get(before).is(401);
        assert!(!browser.get(&back).text().contains(iss));
        assert_eq!(browser.get("/account").heading(), "Your account");
        browser.get(&back).is(400);
        let denied = server.browser();
        leaves(&denied);
        let url = leaves(&denied);
        let state = parameters(&url).into_iter().find(|(name, _)| name == "state").unwrap().1;
        let page = denied.get(&format!("/sign-in/upstream?error=access_denied&state={state}&iss={}", escaped(&upstream.issuer)));
        assert!(page.is(401).text().contains("access_denied"));
    });
}

#[test]
fn claims_make_an_account_and_give_its_role() {
    both(
        "role_claim = \"realm_access.roles\"\nlocal = false\n[sign_in.roles]\nstaff = \"clinician\"\nwatch = \"auditor\"",
        |server, upstream| {
            let practitioner = server.practitioner();
            let claims = |user: &str, roles: Value| {
                let user = user.to_owned();
                move |_: &mut Value, claims: &mut Value| {
                    claims["fhirUser"] = json!(user);
                    claims["realm_access"] = json!({"roles": roles});
                }
            };
            signs_in(&server.browser(), upstream, "4711", honest).is(403);
            let unknown = signs_in(&server.browser(), upstream, "4711", claims("Practitioner/unknown", json!(["staff"]))).is(403);
            assert!(unknown.text().contains("calls your own is not here"), "{}", unknown.text());
            signs_in(&server.browser(), upstream, "4711", claims("Device/1", json!(["staff"]))).is(403);
            signs_in(&server.browser(), upstream, "4711", claims(&practitioner, json!(["other"]))).is(403);
            signs_in(&server.browser(), upstream, "4711", claims(&practitioner, json!(["staff", "watch"]))).is(403);
            assert_eq!(server.place.tells(&["account", "list"]), "");
            let browser = server.browser();
            signs_in(&browser, upstream, "4711", claims(&practitioner, json!(["staff", "other"]))).is(303);
            // SMART's fhirUser is the whole address; that of a record of the same id elsewhere is none here.
            signs_in(&server.browser(), upstream, "4711", claims(&format!("{}/fhir/{practitioner}", server.url()), json!(["staff"])))
                .is(303);
            signs_in(
                &server.browser(),
                upstream,
                "4712",
                claims(&format!("https://elsewhere.example/fhir/{practitioner}"), json!(["staff"])),
            )
            .is(403);
            let listed = server.place.tells(&["account", "list"]);
            assert!(listed.contains(&format!("dr.ruiz\tclinician\t{practitioner}\tupstream\tactive")), "{listed}");
            signs_in(&server.browser(), upstream, "4711", claims(&practitioner, json!("watch"))).is(303);
            assert!(server.place.tells(&["account", "list"]).contains("\tauditor\t"));
            signs_in(&server.browser(), upstream, "4711", claims(&practitioner, json!([]))).is(403);
            assert!(server.place.tells(&["account", "list"]).contains("dr.ruiz\t-\t"), "what the claims no longer give is taken away");
            let page = server.browser().get("/sign-in");
            assert!(page.forms().is_empty(), "nobody signs in with a password: {}", page.text());
        },
    );
}

#[test]
fn a_provider_that_does_not_answer_is_told_as_such() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let toml = format!("[sign_in]\nissuer = \"http://{closed}\"\nclient_id = \"firth\"\nlabel = \"Sign in at the clinic\"\n");
        let Some(server) = server(backend, &toml) else { continue };
        let browser = server.browser();
        let text = browser.get("/sign-in").text();
        let link = text.split("/sign-in/upstream?begin=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let page = browser.get(&format!("/sign-in/upstream?begin={link}")).is(503);
        assert!(page.text().contains("does not answer") && page.reply.header("retry-after").is_some());
        server.expects_errors();
    }
}

/// Sets the role's claim, and whose record it is.
fn gives(practitioner: &str, roles: Value) -> impl FnOnce(&mut Value, &mut Value) {
    let user = practitioner.to_owned();
    move |_, claims| {
        claims["fhirUser"] = json!(user);
        claims["groups"] = roles;
    }
}

const GROUPS: &str = "role_claim = \"groups\"\n[sign_in.roles]\nstaff = \"clinician\"\nwatch = \"auditor\"";

#[test]
fn a_role_of_claims_ends_with_them_and_so_does_what_was_granted_in_it() {
    both(GROUPS, |server, upstream| {
        let (practitioner, app) = (server.practitioner(), server.public_app());
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", gives(&practitioner, json!(["staff"]))).is(303);
        let token = app.launches(&browser, "", "user/*.rs offline_access", &[]);
        let client = server.nobody().bearer(&token.text_at("/access_token"));
        client.get("/fhir/Observation").is(200);
        // Two are as good as none.
        signs_in(&server.browser(), upstream, "4711", gives(&practitioner, json!(["staff", "watch"]))).is(403);
        client.get("/fhir/Observation").is(401);
        app.refreshes(&token.text_at("/refresh_token"), &[]).is(400);
        signs_in(&server.browser(), upstream, "4711", gives(&practitioner, json!(["watch"]))).is(303);
        let changes = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&_count=100").matches();
        let changes = changes.iter().filter(|event| event["subtype"][0]["code"] == "110136").count();
        assert_eq!(changes, 2, "taken away, and given");
    });
}

#[test]
fn an_operators_word_about_a_role_holds_whatever_the_claims_say() {
    both(GROUPS, |server, upstream| {
        let practitioner = server.practitioner();
        signs_in(&server.browser(), upstream, "4711", gives(&practitioner, json!(["staff"]))).is(303);
        server.place.tells(&["role", "revoke", "dr.ruiz"]);
        signs_in(&server.browser(), upstream, "4711", gives(&practitioner, json!(["staff"]))).is(303);
        assert!(server.place.tells(&["account", "list"]).contains("dr.ruiz\t-\t"), "the claims gave back what an operator took");
        server.place.tells(&["role", "grant", "dr.ruiz", "auditor"]);
        for roles in [json!(["staff"]), json!([]), json!(["staff", "watch"])] {
            signs_in(&server.browser(), upstream, "4711", gives(&practitioner, roles)).is(303);
            assert!(server.place.tells(&["account", "list"]).contains("dr.ruiz\tauditor\t"));
        }
        // Who has no role by an operator gets the one of the claims.
        server.place.tells(&["account", "add", "sol", "--no-password"]);
        link(server, upstream, "sol", "4712");
        signs_in(&server.browser(), upstream, "4712", gives("", json!([]))).is(403);
        signs_in(&server.browser(), upstream, "4712", gives("", json!(["watch"]))).is(303);
        assert!(server.place.tells(&["account", "list"]).contains("sol\tauditor\t"));
    });
}

/// What `firth account add` and `firth role grant` refuse, claims do not make.
#[test]
fn a_role_of_claims_that_does_not_fit_the_record_is_as_good_as_none() {
    both(&format!("{GROUPS}\nown = \"patient\""), |server, upstream| {
        let (practitioner, app) = (server.practitioner(), server.public_app());
        let [ana, ben] = ["ana", "ben"].map(|name| format!("Patient/{}", server.person(name).patient));
        let refused = |user: &str, role: &str, wanted: &str| {
            let page = signs_in(&server.browser(), upstream, "4711", gives(user, json!([role]))).is(403);
            assert!(page.text().contains(wanted), "{user} {role}: {}", page.text());
        };
        refused(&ana, "staff", "role clinician sees whom the person cares for; a Patient cares for nobody.");
        refused(&practitioner, "own", "or a RelatedPerson");
        assert_eq!(server.place.tells(&["account", "list"]), "", "an account was made");

        // A role that was there ends, and what was granted in it.
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", gives(&ana, json!(["own"]))).is(303);
        let token = app.launches(&browser, "", "patient/*.rs", &[]);
        let client = server.nobody().bearer(&token.text_at("/access_token"));
        client.get("/fhir/Observation").is(200);
        refused(&ana, "staff", "a Patient cares for nobody");
        client.get("/fhir/Observation").is(401);
        assert!(server.place.tells(&["account", "list"]).contains(&format!("dr.ruiz\t-\t{ana}\t")));

        // A record by an operator, a role by claims.
        server.place.tells(&["account", "add", "sol", "--fhir-user", &ben, "--no-password"]);
        let page = signs_in(&server.browser(), upstream, "4712", gives(&ben, json!(["staff"]))).is(403);
        assert!(page.text().contains("a Patient cares for nobody"), "{}", page.text());
        assert!(server.place.tells(&["account", "list"]).contains(&format!("sol\t-\t{ben}\t-\t")), "it was given the role, or linked");

        // A record by claims, a role by an operator: neither is touched.
        let third = |user: &str| signs_in(&server.browser(), upstream, "4713", gives(user, json!(["staff"])));
        third(&practitioner).is(303);
        let listed = server.place.tells(&["account", "list"]);
        let name = listed.lines().find(|line| line.contains(&practitioner)).and_then(|line| line.split('\t').nth(1)).unwrap();
        server.place.tells(&["role", "grant", name, "clinician"]);
        assert!(third(&ana).is(403).text().contains("a Patient cares for nobody"));
        assert!(server.place.tells(&["account", "list"]).contains(&format!("\tclinician\t{practitioner}\tupstream\tactive")));
        third(&practitioner).is(303);
    });
}

#[test]
fn a_link_that_claims_make_leaves_an_entry() {
    both(GROUPS, |server, upstream| {
        let (one, two) = (server.practitioner(), server.practitioner());
        let ruiz = server.account("ruiz", &["--role", "clinician", "--fhir-user", &one]);
        let sol = server.account("sol", &["--fhir-user", &two]);
        let entries = |account: &str| ["110136", "110137"].map(|code| alerts(server, code, &["sign-in-upstream", account]));
        for _ in 0..2 {
            signs_in(&server.browser(), upstream, "4711", gives(&one, json!(["staff"]))).is(303);
            assert_eq!(entries(&ruiz), [0, 1], "linked once");
        }
        signs_in(&server.browser(), upstream, "4712", gives(&two, json!(["staff"]))).is(303);
        assert_eq!(entries(&sol), [1, 1], "given a role, and linked");
        assert!(server.place.tells(&["account", "show", "sol"]).contains(&format!("link: {} 4712\n", upstream.issuer)));
    });
}

#[test]
fn the_page_says_what_would_let_the_person_in() {
    both(GROUPS, |server, upstream| {
        let practitioner = server.practitioner();
        let page = |roles: Value| signs_in(&server.browser(), upstream, "4711", gives(&practitioner, roles));
        let says = |roles: Value, wanted: &str| {
            let text = page(roles).is(403).text();
            let known = ["firth account link NAME --issuer", "firth account reset NAME", "firth role grant NAME ROLE"];
            assert_eq!(known.into_iter().filter(|remedy| text.contains(remedy)).collect::<Vec<_>>(), [wanted], "{text}");
            assert!(text.contains("the subject 4711 at") && (wanted == known[0] || text.contains("the account dr.ruiz")), "{text}");
        };
        says(json!([]), "firth account link NAME --issuer");
        page(json!(["staff"])).is(303);
        says(json!([]), "firth role grant NAME ROLE");
        says(json!(["staff", "watch"]), "firth role grant NAME ROLE");
        server.place.tells(&["role", "grant", "dr.ruiz", "clinician"]);
        page(json!([])).is(303);
        server.place.tells(&["account", "disable", "dr.ruiz"]);
        says(json!(["staff"]), "firth account reset NAME");
        server.place.tells(&["account", "reset", "dr.ruiz", "--no-password"]);
        page(json!([])).is(303);
    });
}

#[test]
fn one_address_goes_there_and_comes_back_sixty_times_a_minute() {
    both("", |server, _| {
        let browser = server.browser();
        let text = browser.get("/sign-in").is(200).text();
        let begin = text.split("/sign-in/upstream?begin=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for n in 0..60 {
            let sent = browser.get(&format!("/sign-in/upstream?begin={begin}")).is(303);
            let state = sent.told("state");
            let back = browser.get(&format!("/sign-in/upstream?error=access_denied&state={}", escaped(&state)));
            assert_eq!(back.reply.status, 401, "{n}: {}", back.text());
        }
    });
}

#[test]
fn when_somebody_signed_in_is_not_made_up() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        link(server, upstream, "ruiz", "4711");
        let app = server.public_app();
        let asks = |more: &[(&str, &str)]| format!("/oauth/authorize?{}", encoded(&asked(&app, "openid user/*.rs", more)));
        let silent = |_: &mut Value, claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("auth_time"));
        let browser = server.browser();
        signs_in(&browser, upstream, "4711", silent).is(303);
        let token = app.launches(&browser, "", "openid user/*.rs", &[]);
        for name in ["/access_token", "/id_token"] {
            assert_eq!(claims(&token.text_at(name)).get("auth_time"), None, "{name}");
        }
        // An unknown moment is never fresh: the provider is asked to say it, and must.
        for (lie, status) in [(silent as Lie, 401), (honest as Lie, 303)] {
            let page = browser.get(&asks(&[("max_age", "3600")])).is(200);
            assert_eq!(page.heading(), "Sign in", "{}", page.text());
            let url = follows(&browser, &page);
            let sent: HashMap<String, String> = parameters(&url).into_iter().collect();
            assert_eq!(sent["prompt"], "login");
            assert!((3_600..7_200).contains(&sent["max_age"].parse::<u32>().unwrap()), "{}", sent["max_age"]);
            let page = browser.get(&upstream.signs_in(&url, "4711", lie)).is(status);
            assert_eq!(page.text().contains("did not say when"), status == 401, "{}", page.text());
        }
        let token = app.launches(&browser, "", "openid user/*.rs", &[("max_age", "3600")]);
        assert!(claims(&token.text_at("/id_token"))["auth_time"].as_i64().is_some_and(|at| at <= now()));
    });
}

/// Nothing of what a person or the provider keeps to itself stands in the log, but why a sign-in was refused does.
#[test]
fn why_a_sign_in_was_refused_stands_in_the_log() {
    both("", |server, upstream| {
        server.account("ruiz", &["--role", "clinician"]);
        link(server, upstream, "ruiz", "4711");
        let back = upstream.signs_in(&leaves(&server.browser()), "4711", honest);
        let browser = server.browser();
        let back_of_ours = upstream.signs_in(&leaves(&browser), "4711", |_, claims| claims["nonce"] = json!("another"));
        for back in [&back, &back_of_ours] {
            for (name, value) in parameters(back).into_iter().filter(|(name, _)| name == "code" || name == "state") {
                assert!(!name.is_empty());
                server.plant(&value);
            }
        }
        browser.get(&back_of_ours).is(401);
        let log = server.log();
        let line = log.lines().find(|line| line.contains("nonce")).unwrap_or_else(|| panic!("{}", server.log_end()));
        assert!(line.contains("auth.required") && line.contains("request_id"), "{line}");
    });
}
