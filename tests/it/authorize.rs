//! `/oauth/authorize`: what is asked, who may be asked, and what the answer holds.

use serde_json::{Value, json};

use crate::sign_in::PASSWORD;
use crate::support::TestServer;
use crate::support::actors::{Person, value_of};
use crate::support::browser::{Browser, Page, encoded};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/cb";

/// An app that was registered.
pub struct App<'s> {
    server: &'s TestServer,
    pub id: String,
}

impl TestServer {
    /// A public app that may ask for anything.
    #[track_caller]
    pub fn app_of_people(&self, more: &[&str]) -> App<'_> {
        let arguments = [&["client", "add", "--name", "The Vitals", "--public", "--redirect-uri", CALLBACK], more].concat();
        App { server: self, id: value_of(&self.place.tells(&arguments), "client_id") }
    }
}

impl App<'_> {
    fn parameters(&self, changes: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
        let aud = format!("{}/fhir", self.server.url());
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", CALLBACK),
            ("scope", "launch/patient patient/Observation.rs patient/Patient.rs"),
            ("state", "a state/of+the app"),
            ("aud", &aud),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let changed = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        kept.copied().chain(changed).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The usual request, with some parameters changed or left out.
    pub fn path(&self, changes: &[(&str, Option<&str>)]) -> String {
        format!("/oauth/authorize?{}", encoded(&self.parameters(changes)))
    }

    /// Exchanges the code.
    #[track_caller]
    pub fn token(&self, code: &str) -> Value {
        let redirect_uri = CALLBACK.to_owned();
        self.exchange(code, &redirect_uri)
    }

    #[track_caller]
    fn exchange(&self, code: &str, redirect_uri: &str) -> Value {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", &self.id),
            ("code_verifier", VERIFIER),
        ];
        let body = encoded(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let client = self.server.nobody().with("content-type", "application/x-www-form-urlencoded");
        let answer = client.send("POST", "/oauth/token", Some(body.as_bytes())).is(200);
        self.server.plant(&answer.text_at("/access_token"));
        answer.json()
    }
}

/// A patient with a login of its own.
fn patient<'s>(server: &'s TestServer, name: &str) -> Person<'s> {
    let person = server.person(name);
    server.account(name, &["--role", "patient", "--fhir-user", &format!("Patient/{}", person.patient)]);
    person
}

/// Signs in and comes to the page of consent.
#[track_caller]
fn asked(browser: &Browser<'_>, path: &str, name: &str) -> Page {
    let page = browser.get(path).is(200);
    assert_eq!(page.heading(), "Sign in", "{}", page.text());
    browser.sign_in(&page, name, PASSWORD)
}

fn allow(browser: &Browser<'_>, page: &Page) -> Page {
    browser.submit(&page.form("/oauth/consent"), &[], Some(("decision", "allow")))
}

both! {
    fn a_patient_allows_an_app(server) {
        let alice = patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = asked(&browser, &app.path(&[]), "alice").is(200);
        assert_eq!(consent.heading(), "Allow The Vitals to see and do this?");
        assert!(consent.text().contains("Read and search your Observations") && consent.text().contains("alice-last"), "{}", consent.text());
        let sent = allow(&browser, &consent);
        let (to, parameters) = sent.sent_to();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((to.as_str(), names), (CALLBACK, vec!["code", "state", "iss"]));
        assert_eq!((sent.told("state"), sent.told("iss")), ("a state/of+the app".to_owned(), server.url()));
        let token = app.token(&sent.told("code"));
        assert_eq!(token["scope"], "launch/patient patient/Observation.rs patient/Patient.rs");
        assert_eq!(token["patient"], json!(alice.patient));
        let client = server.nobody().bearer(token["access_token"].as_str().unwrap());
        client.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        client.get(&format!("/fhir/Patient/{}", server.person("bob").patient)).is(404);
    }
}

both! {
    fn what_is_unticked_is_not_granted(server) {
        patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = asked(&browser, &app.path(&[("scope", Some("openid fhirUser launch/patient offline_access patient/Observation.rs patient/Patient.rs"))]), "alice");
        let form = consent.form("/oauth/consent");
        assert_eq!(form.values("scope"), ["patient/Observation.rs", "patient/Patient.rs", "openid", "fhirUser", "launch/patient", "offline_access"]);
        let form = form.unticked("patient/Observation.rs").unticked("offline_access");
        let sent = browser.submit(&form, &[], Some(("decision", "allow")));
        let token = app.token(&sent.told("code"));
        assert_eq!(token["scope"], "openid fhirUser launch/patient patient/Patient.rs");
        assert!(token.get("refresh_token").is_none() && token.get("id_token").is_some());
        let client = server.nobody().bearer(token["access_token"].as_str().unwrap());
        client.get("/fhir/Observation").is(403);
        client.get("/fhir/Patient").is(200);
    }
}

both! {
    fn nothing_is_granted_that_was_not_offered(server) {
        patient(server, "alice");
        let app = server.app_of_people(&["--scope", "patient/Observation.rs launch/patient"]);
        let browser = server.browser();
        let path = app.path(&[("scope", Some("launch/patient offline_access patient/Observation.cruds patient/Device.rs"))]);
        let consent = asked(&browser, &path, "alice").is(200);
        let form = consent.form("/oauth/consent");
        assert_eq!(form.values("scope"), ["patient/Observation.rs", "launch/patient"]);
        assert!(consent.text().contains("It also asked for"), "{}", consent.text());
        let more = browser.submit(&form, &[], Some(("scope", "patient/Device.rs")));
        assert_eq!(more.told("error"), "access_denied", "a form without a decision is a no");
        let consent = browser.get(&path).is(200);
        let mut form = consent.form("/oauth/consent");
        form.fields.push(("scope".into(), "patient/Device.rs".into()));
        form.fields.push(("scope".into(), "user/Observation.rs".into()));
        let sent = browser.submit(&form, &[], Some(("decision", "allow")));
        assert_eq!(app.token(&sent.told("code"))["scope"], "launch/patient patient/Observation.rs");
        for (scope, error) in [("patient/Device.rs", "invalid_scope"), ("system/Observation.rs", "invalid_scope"), ("patient/Observation.sr", "invalid_scope"), ("patient/Observation.rs user/Observation.rs", "invalid_scope"), ("", "invalid_scope")] {
            let refused = browser.get(&app.path(&[("scope", Some(scope))]));
            assert_eq!(refused.told("error"), error, "{scope}");
        }
    }
}

both! {
    fn denying_is_told_to_the_app(server) {
        patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = asked(&browser, &app.path(&[]), "alice");
        let denied = browser.submit(&consent.form("/oauth/consent"), &[], Some(("decision", "deny")));
        assert_eq!((denied.told("error"), denied.told("state"), denied.told("iss")), ("access_denied".into(), "a state/of+the app".into(), server.url()));
        let mut none = browser.get(&app.path(&[])).form("/oauth/consent");
        none.fields.retain(|(name, _)| name != "scope");
        assert_eq!(browser.submit(&none, &[], Some(("decision", "allow"))).told("error"), "access_denied");
        let events = server.auditor().search("AuditEvent?outcome=4").matches();
        assert!(events.iter().any(|event| event.to_string().contains("\"consent\"")), "{events:#?}");
    }
}

both! {
    fn whom_nobody_registered_is_answered_nowhere(server) {
        let app = server.app_of_people(&[]);
        let waiting = uuid::Uuid::new_v4().to_string();
        let other = server.app_of_people(&[]);
        server.place.tells(&["client", "disable", &other.id]);
        let native = "http://127.0.0.1:4711/cb";
        for changes in [
            vec![("client_id", None)],
            vec![("client_id", Some("x"))],
            vec![("client_id", Some(waiting.as_str()))],
            vec![("client_id", Some(other.id.as_str()))],
            vec![("redirect_uri", None)],
            vec![("redirect_uri", Some("https://app.example/cb/"))],
            vec![("redirect_uri", Some("https://app.example/cb?x=1"))],
            vec![("redirect_uri", Some("https://app.example/CB"))],
            vec![("redirect_uri", Some("https://evil.example/cb"))],
            vec![("redirect_uri", Some("https://app.example@evil.example/cb"))],
            vec![("redirect_uri", Some("//evil.example"))],
            vec![("redirect_uri", Some(native))],
        ] {
            let page = server.browser().get(&app.path(&changes)).is(400);
            assert!(page.reply.header("location").is_none() && page.heading() == "This does not work", "{changes:?}");
        }
        let missing = server.browser().get(&app.path(&[("redirect_uri", None)])).is(400);
        assert!(missing.text().contains("redirect_uri is missing"), "{}", missing.text());
        let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", app.path(&[]));
        server.browser().get(&twice).is(400);
        let native_app = server.app_of_people(&["--redirect-uri", "http://127.0.0.1/cb"]);
        assert_eq!(server.browser().get(&native_app.path(&[("redirect_uri", Some(native))])).is(200).heading(), "Sign in");
    }
}

both! {
    fn each_fault_of_a_request_is_told_to_the_app(server) {
        let app = server.app_of_people(&[]);
        let base = format!("{}/fhir", server.url());
        let (slash, elsewhere) = (format!("{base}/"), "https://evil.example/fhir");
        for (changes, error) in [
            (vec![("response_type", None)], "invalid_request"),
            (vec![("response_type", Some("token"))], "unsupported_response_type"),
            (vec![("response_type", Some("code id_token"))], "unsupported_response_type"),
            (vec![("response_mode", Some("fragment"))], "invalid_request"),
            (vec![("aud", None)], "invalid_request"),
            (vec![("aud", Some(elsewhere))], "invalid_request"),
            (vec![("resource", Some(elsewhere))], "invalid_target"),
            (vec![("code_challenge", None)], "invalid_request"),
            (vec![("code_challenge", Some("short"))], "invalid_request"),
            (vec![("code_challenge_method", None)], "invalid_request"),
            (vec![("code_challenge_method", Some("plain"))], "invalid_request"),
            (vec![("scope", Some("patient/Observation.RS"))], "invalid_scope"),
            // A constraint that cannot be enforced is refused, whatever stands beside it.
            (vec![("scope", Some("patient/Observation.rs?bogus=1 patient/Patient.rs"))], "invalid_scope"),
            (vec![("scope", Some("patient/Observation.rs?value-quantity=5 patient/Patient.rs"))], "invalid_scope"),
            (vec![("scope", Some("patient/Observation.rs?category:not=x patient/Patient.rs"))], "invalid_scope"),
            // So is what this client is granted by nobody, before anybody signs in.
            (vec![("scope", Some("nonsense patient/Immunization.rs"))], "invalid_scope"),
            (vec![("scope", Some("system/Observation.rs"))], "invalid_scope"),
            (vec![("scope", Some(""))], "invalid_scope"),
            (vec![("prompt", Some("none login"))], "invalid_request"),
            (vec![("prompt", Some("create"))], "invalid_request"),
            (vec![("prompt", Some("none"))], "login_required"),
            (vec![("max_age", Some("-1"))], "invalid_request"),
            (vec![("launch", Some("unknown"))], "invalid_request"),
            (vec![("request", Some("x"))], "request_not_supported"),
            (vec![("request_uri", Some("https://evil.example"))], "request_uri_not_supported"),
            (vec![("dpop_jkt", Some("x"))], "invalid_request"),
            (vec![("scope", Some("openid")), ("scope", Some("openid"))], "invalid_request"),
        ] {
            let refused = server.browser().get(&app.path(&changes));
            assert_eq!((refused.sent_to().0.as_str(), refused.told("error").as_str()), (CALLBACK, error), "{changes:?}");
            assert_eq!((refused.told("state"), refused.told("iss")), ("a state/of+the app".to_owned(), server.url()), "{changes:?}");
            assert!(!refused.told("error_description").is_empty());
        }
        for changes in [vec![("state", None)], vec![("state", Some(""))]] {
            let refused = server.browser().get(&app.path(&changes));
            assert_eq!(refused.told("error"), "invalid_request");
            assert!(!refused.sent_to().1.iter().any(|(name, _)| name == "state"));
        }
        for changes in [vec![("aud", Some(slash.as_str()))], vec![("aud", None), ("resource", Some(base.as_str()))], vec![("unknown", Some("x")), ("unknown", Some("y"))]] {
            assert_eq!(server.browser().get(&app.path(&changes)).is(200).heading(), "Sign in", "{changes:?}");
        }
    }
}

both! {
    fn a_request_by_post_is_answered_as_one_by_get(server) {
        patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        browser.signs_in("alice", PASSWORD);
        let before = browser.cookie();
        let path = app.path(&[]);
        let (_, query) = path.split_once('?').unwrap();
        // A form of another site comes without the cookie, and must not take it away.
        let foreign = server.browser().send("POST", "/oauth/authorize", &[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")], Some(query));
        assert!(foreign.reply.status == 303 && foreign.reply.header("set-cookie").is_none());
        let to = foreign.reply.header("location").unwrap().to_owned();
        assert_eq!(browser.get(&to).is(200).heading(), "Allow The Vitals to see and do this?");
        assert_eq!(browser.cookie(), before);
    }
}

both! {
    fn signing_in_again_and_its_age_are_kept_to(server) {
        patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        browser.signs_in("alice", PASSWORD);
        let consent = "Allow The Vitals to see and do this?";
        assert_eq!(browser.get(&app.path(&[])).heading(), consent);
        assert_eq!(browser.get(&app.path(&[("max_age", Some("3600"))])).heading(), consent);
        assert_eq!(browser.get(&app.path(&[("max_age", Some("0"))])).heading(), "Sign in");
        let hinted = browser.get(&app.path(&[("prompt", Some("login")), ("login_hint", Some("alice"))]));
        assert_eq!((hinted.heading().as_str(), hinted.form("/sign-in").values("name")), ("Sign in", vec!["alice".to_owned()]));
        assert_eq!(browser.sign_in(&hinted, "alice", PASSWORD).is(200).heading(), consent);
        server.sql(false, "UPDATE session SET auth_time = auth_time - 7200000").unwrap();
        assert_eq!(browser.get(&app.path(&[("max_age", Some("3600"))])).heading(), "Sign in");
        assert_eq!(browser.get(&app.path(&[("max_age", Some("3600")), ("prompt", Some("none"))])).told("error"), "login_required");
    }
}

both! {
    fn what_was_agreed_is_asked_again_unless_it_is_the_very_same(server) {
        patient(server, "alice");
        let app = server.app_of_people(&["--redirect-uri", "http://127.0.0.1/cb"]);
        let browser = server.browser();
        let consent = asked(&browser, &app.path(&[]), "alice");
        assert_eq!(browser.get(&app.path(&[("prompt", Some("none"))])).told("error"), "consent_required");
        allow(&browser, &consent).told("code");
        browser.get(&app.path(&[])).told("code");
        browser.get(&app.path(&[("prompt", Some("none"))])).told("code");
        assert_eq!(browser.get(&app.path(&[("prompt", Some("consent"))])).is(200).heading(), consent.heading());
        for scope in ["launch/patient patient/Observation.rs", "launch/patient patient/Observation.rs patient/Patient.rs patient/Device.rs"] {
            assert_eq!(browser.get(&app.path(&[("scope", Some(scope))])).is(200).heading(), consent.heading());
        }
        // Any program of the machine may wait at such an address.
        let native = [("redirect_uri", Some("http://127.0.0.1:4711/cb"))];
        assert_eq!(browser.get(&app.path(&native)).is(200).heading(), consent.heading());
        let account = browser.get("/account");
        let grants = account.form("/account/revoke").buttons;
        assert_eq!(grants.len(), 3);
        for (name, value) in &grants {
            browser.submit(&browser.get("/account").form("/account/revoke"), &[], Some((name, value))).is(200);
        }
        assert!(browser.get("/account").text().contains("No app has access by you."));
        assert_eq!(browser.get(&app.path(&[])).is(200).heading(), consent.heading());
    }
}

both! {
    fn taking_back_ends_the_token(server) {
        let alice = patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = asked(&browser, &app.path(&[]), "alice");
        let token = app.token(&allow(&browser, &consent).told("code"));
        let client = server.nobody().bearer(token["access_token"].as_str().unwrap());
        client.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        let account = browser.get("/account");
        let form = account.form("/account/revoke");
        let (name, value) = form.buttons[0].clone();
        patient(server, "mallory");
        let mallory = server.browser();
        mallory.signs_in("mallory", PASSWORD);
        let own = mallory.get("/account").form("/sign-out");
        let stolen = mallory.send("POST", "/account/revoke", &[], Some(&own.body(&[(&name, &value)], None)));
        stolen.is(400);
        client.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
        browser.submit(&form, &[], Some((&name, &value))).is(200);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while client.get(&format!("/fhir/Patient/{}", alice.patient)).status != 401 {
            assert!(std::time::Instant::now() < end, "the token still opens something");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

both! {
    fn a_form_of_one_step_is_none_of_another(server) {
        patient(server, "alice");
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let page = browser.get(&app.path(&[]));
        let form = page.form("/sign-in").body(&[("decision", "allow"), ("scope", "patient/Patient.rs")], None);
        browser.send("POST", "/oauth/consent", &[], Some(&form)).is(400);
        browser.send("POST", "/oauth/patient", &[], Some(&form)).is(400);
        browser.send("POST", "/sign-in/code", &[], Some(&form)).is(400);
        let consent = browser.sign_in(&page, "alice", PASSWORD);
        let stale = page.form("/sign-in").body(&[("name", "alice"), ("password", PASSWORD)], None);
        browser.send("POST", "/sign-in", &[], Some(&stale)).is(400);
        server.sql(false, "DELETE FROM session").unwrap();
        let late = allow(&browser, &consent).is(401);
        assert!(late.text().contains("You are no longer signed in."));
    }
}
