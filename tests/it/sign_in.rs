//! Local accounts: passwords, second factors, back-off, sessions.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::support::TestServer;
use crate::support::actors::value_of;
use crate::support::browser::{Browser, Page, encoded};

pub const PASSWORD: &str = "violet tractor hums backwards";

impl TestServer {
    /// A verb with a line on its standard input, which must succeed.
    #[track_caller]
    pub fn tells_with(&self, arguments: &[&str], line: &str) -> String {
        let mut verb = self.place.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(verb.stdin.take().unwrap(), "{line}").unwrap();
        let output = verb.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An account whose password is `PASSWORD`, and its id.
    #[track_caller]
    pub fn account(&self, name: &str, more: &[&str]) -> String {
        self.plant(PASSWORD);
        value_of(&self.tells_with(&[&["account", "add", name, "--password-stdin"], more].concat(), PASSWORD), "account_id")
    }

    #[track_caller]
    pub fn practitioner(&self) -> String {
        let made = self.ehr().post("/fhir/Practitioner", &json!({"resourceType": "Practitioner", "name": [{"family": "Ruiz"}]})).is(201);
        format!("Practitioner/{}", made.text_at("/id"))
    }
}

fn refused(browser: &Browser<'_>, name: &str, password: &str) -> Page {
    browser.sign_in(&browser.get("/sign-in"), name, password)
}

/// A code of the secret in an otpauth URI, so many steps from now.
#[expect(clippy::disallowed_methods, reason = "an authenticator app has its own clock")]
pub fn code(otpauth: &str, away: i64) -> String {
    let secret = otpauth.split("secret=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let mac = ring::hmac::sign(&key, &(seconds / 30 + away).to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let four = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", four % 1_000_000)
}

both! {
    fn a_first_password_is_changed_at_the_first_sign_in(server) {
        let printed = server.place.tells(&["account", "add", "ruiz", "--role", "clinician", "--fhir-user", &server.practitioner()]);
        let first = value_of(&printed, "password");
        server.plant(&first);
        let browser = server.browser();
        let page = browser.sign_in(&browser.get("/sign-in"), "Ruiz ", &first).is(200);
        assert_eq!(page.heading(), "Choose a new password");
        assert_eq!(browser.get("/account").heading(), "Sign in");
        let form = page.form("/sign-in/password");
        let weak = browser.submit(&form, &[("password", "password1234"), ("again", "password123")], None).is(422);
        assert_eq!(weak.faults().len(), 2, "{:?}", weak.faults());
        let same = browser.submit(&form, &[("password", &first), ("again", &first)], None).is(422);
        assert!(same.faults()[0].contains("the password that you have"));
        let changed = browser.submit(&form, &[("password", PASSWORD), ("again", PASSWORD)], None).is(303);
        assert_eq!(changed.sent_to().0, "/account");
        assert_eq!(browser.get("/account").is(200).heading(), "Your account");
        let other = server.browser();
        assert_eq!(refused(&other, "ruiz", &first).is(403).faults(), ["The name or the password is not right."]);
        other.signs_in("ruiz", PASSWORD);
    }
}

both! {
    fn whoever_is_unknown_wrong_or_disabled_is_told_the_same(server) {
        server.account("ruiz", &["--role", "clinician"]);
        server.account("gone", &["--role", "clinician"]);
        server.place.tells(&["account", "disable", "gone"]);
        server.place.tells(&["account", "add", "upstream-only", "--role", "clinician", "--no-password"]);
        let browser = server.browser();
        let pages = [("nobody", PASSWORD), ("ruiz", "another password"), ("gone", PASSWORD), ("upstream-only", PASSWORD)];
        let said: Vec<String> = pages.iter().map(|(name, password)| {
            let page = refused(&browser, name, password).is(403);
            assert_eq!(page.reply.header("x-firth-error"), Some("auth.required"));
            let form = page.form("/sign-in").values("form").remove(0);
            page.text().replace(&form, "").replace(name, "")
        }).collect();
        assert!(said.iter().all(|text| *text == said[0]), "{said:#?}");
        assert!(said[0].contains("The name or the password is not right."));
        server.place.tells(&["account", "reset", "gone", "--no-totp"]);
        assert!(server.place.tells(&["account", "list"]).contains("gone\tclinician\t-\tfirst-password\tactive"));
    }
}

both! {
    fn further_tries_wait_for_names_that_nobody_has_as_well(server) {
        server.account("ruiz", &["--role", "clinician"]);
        server.account("sol", &["--role", "clinician"]);
        let browser = server.browser();
        for name in ["ruiz", "nobody"] {
            for _ in 0..4 {
                refused(&browser, name, "wrong password").is(403);
            }
            // The wait of a second, made long enough for a slow machine.
            let waiting = "failures = 4 AND blocked_until > (SELECT MIN(blocked_until) FROM sign_in_failure WHERE failures = 4)";
            server.sql(false, &format!("UPDATE sign_in_failure SET blocked_until = blocked_until + 600000 WHERE {waiting}")).unwrap();
            let early = refused(&browser, name, PASSWORD).is(429);
            assert!(early.faults()[0].starts_with("Too many tries have failed."), "{:?}", early.faults());
            assert!(early.reply.header("retry-after").unwrap().parse::<u32>().unwrap() > 500);
        }
        // Another name from the same address is not held up.
        server.browser().signs_in("sol", PASSWORD);
        refused(&browser, "ruiz", PASSWORD).is(429);
        server.sql(false, "UPDATE sign_in_failure SET blocked_until = 0").unwrap();
        browser.signs_in("ruiz", PASSWORD);
        // What failed before is forgotten with that.
        let browser = server.browser();
        for _ in 0..3 {
            refused(&browser, "ruiz", "wrong password").is(403);
        }
        browser.signs_in("ruiz", PASSWORD);
    }
}

both! {
    fn a_code_is_asked_for_and_good_once(server) {
        let printed = server.tells_with(&["account", "add", "ruiz", "--role", "clinician", "--totp", "--password-stdin"], PASSWORD);
        let otpauth = value_of(&printed, "otpauth");
        assert!(otpauth.starts_with("otpauth://totp/127.0.0.1"), "{otpauth}");
        let browser = server.browser();
        let asked = browser.sign_in(&browser.get("/sign-in"), "ruiz", PASSWORD).is(200);
        assert_eq!(asked.heading(), "Enter your code");
        assert_eq!(browser.get("/account").heading(), "Sign in");
        let form = asked.form("/sign-in/code");
        let right = code(&otpauth, 0);
        let wrong = if right == "000000" { "000001" } else { "000000" };
        assert_eq!(browser.submit(&form, &[("code", wrong)], None).is(403).faults(), ["The code is not right, or was used before."]);
        browser.submit(&form, &[("code", &right)], None).is(303);
        assert_eq!(browser.get("/account").heading(), "Your account");
        let other = server.browser();
        let asked = other.sign_in(&other.get("/sign-in"), "ruiz", PASSWORD).is(200);
        other.submit(&asked.form("/sign-in/code"), &[("code", &right)], None).is(403);
        other.submit(&asked.form("/sign-in/code"), &[("code", &code(&otpauth, 1))], None).is(303);
    }
}

both! {
    fn who_knows_the_password_has_no_further_tries_at_the_code(server) {
        let printed = server.tells_with(&["account", "add", "ruiz", "--role", "clinician", "--totp", "--password-stdin"], PASSWORD);
        let otpauth = value_of(&printed, "otpauth");
        let browser = server.browser();
        let asked = || browser.sign_in(&browser.get("/sign-in"), "ruiz", PASSWORD).is(200).form("/sign-in/code");
        let right = code(&otpauth, 0);
        let wrong = if right == "000000" { "000001" } else { "000000" };
        // A password that fits is no failure: three codes may be wrong, and the next one is judged at once.
        for _ in 0..3 {
            let form = asked();
            browser.submit(&form, &[("code", wrong)], None).is(403);
        }
        browser.submit(&asked(), &[("code", &right)], None).is(303);
        let browser = server.browser();
        let asked = || browser.sign_in(&browser.get("/sign-in"), "ruiz", PASSWORD).is(200).form("/sign-in/code");
        let form = asked();
        for _ in 0..3 {
            browser.submit(&form, &[("code", wrong)], None).is(403);
            asked();
        }
        browser.submit(&form, &[("code", wrong)], None).is(403);
        server.sql(false, "UPDATE sign_in_failure SET blocked_until = blocked_until + 600000 WHERE failures = 4 AND blocked_until > \
                           (SELECT MIN(blocked_until) FROM sign_in_failure WHERE failures = 4)").unwrap();
        browser.submit(&form, &[("code", &code(&otpauth, 1))], None).is(429);
    }
}

both! {
    fn half_a_sign_in_is_worth_nothing_once_the_account_is_changed(server) {
        let printed = server.tells_with(&["account", "add", "ruiz", "--role", "clinician", "--totp", "--password-stdin"], PASSWORD);
        let otpauth = value_of(&printed, "otpauth");
        let browser = server.browser();
        let form = browser.sign_in(&browser.get("/sign-in"), "ruiz", PASSWORD).is(200).form("/sign-in/code");
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], "another tractor hums violet");
        browser.submit(&form, &[("code", &code(&otpauth, 0))], None).is(400);
        assert_eq!(browser.get("/account").heading(), "Sign in");

        let first = value_of(&server.place.tells(&["account", "add", "sol", "--role", "clinician"]), "password");
        let form = browser.sign_in(&browser.get("/sign-in"), "sol", &first).is(200).form("/sign-in/password");
        let second = value_of(&server.place.tells(&["account", "reset", "sol"]), "password");
        browser.submit(&form, &[("password", PASSWORD), ("again", PASSWORD)], None).is(400);
        assert_eq!(browser.sign_in(&browser.get("/sign-in"), "sol", &second).is(200).heading(), "Choose a new password");
    }
}

both! {
    fn a_new_password_is_no_sign_in_anew(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let app = server.public_app();
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        server.sql(false, "UPDATE session SET auth_time = auth_time - 3600000").unwrap();
        let form = browser.get("/account/password").form("/sign-in/password");
        assert_eq!(form.values("username"), ["ruiz"], "for the password manager");
        let new = "orchid ladder sings sideways";
        browser.submit(&form, &[("current", PASSWORD), ("password", new), ("again", new)], None).is(303);
        let asked = encoded(&crate::smart::flow::asked(&app, "user/*.rs", &[("max_age", "1800")]));
        assert_eq!(browser.get(&format!("/oauth/authorize?{asked}")).heading(), "Sign in");
        let asked = encoded(&crate::smart::flow::asked(&app, "user/*.rs", &[("max_age", "7200")]));
        assert_ne!(browser.get(&format!("/oauth/authorize?{asked}")).heading(), "Sign in");
    }
}

both! {
    fn each_step_of_a_sign_in_says_whose_it_is_in_the_audit_log(server) {
        let printed = server.tells_with(&["account", "add", "ruiz", "--role", "clinician", "--totp", "--password-stdin"], PASSWORD);
        let (id, otpauth) = (value_of(&printed, "account_id"), value_of(&printed, "otpauth"));
        let browser = server.browser();
        let form = browser.sign_in(&browser.get("/sign-in"), "ruiz", PASSWORD).is(200).form("/sign-in/code");
        let right = code(&otpauth, 0);
        browser.submit(&form, &[("code", if right == "000000" { "000001" } else { "000000" })], None).is(403);
        browser.submit(&form, &[("code", &right)], None).is(303);
        let told = |kind: &str| -> Vec<String> {
            let events = server.auditor().search(&format!("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|{kind}&_sort=date&_count=100")).matches();
            events.iter().filter(|event| event.to_string().contains(&id)).map(|event| event["outcome"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(told("110114"), ["4", "0"], "the wrong code, and the right one");
        assert_eq!(told("110100").first().map(String::as_str), Some("0"), "the password");
    }
}

both! {
    fn a_session_has_another_cookie_than_the_page_before_it(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let (browser, thief) = (server.browser(), server.browser());
        let page = browser.get("/sign-in");
        let (name, before) = browser.cookie().unwrap();
        let set = page.reply.header("set-cookie").unwrap().to_owned();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax") && name == "firth", "{set}");
        browser.sign_in(&page, "ruiz", PASSWORD).is(303);
        assert_ne!(browser.cookie().unwrap().1, before);
        thief.put_cookie(&name, &before);
        assert_eq!(thief.get("/account").heading(), "Sign in");
        assert_eq!(browser.get("/account").heading(), "Your account");
        // Signing in once more ends the session before.
        let (name, old) = browser.cookie().unwrap();
        let page = browser.get("/account/password");
        let form = page.form("/sign-in/password");
        browser.submit(&form, &[("current", PASSWORD), ("password", "orchid ladder sings sideways"), ("again", "orchid ladder sings sideways")], None).is(303);
        thief.put_cookie(&name, &old);
        assert_eq!(thief.get("/account").heading(), "Sign in");
        assert_eq!(browser.get("/account").heading(), "Your account");
    }
}

both! {
    fn a_form_is_good_in_its_own_browser_and_from_our_own_pages_only(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let (browser, other) = (server.browser(), server.browser());
        let form = browser.get("/sign-in").form("/sign-in");
        other.get("/sign-in");
        let body = form.body(&[("name", "ruiz"), ("password", PASSWORD)], None);
        other.send("POST", "/sign-in", &[], Some(&body)).is(400);
        server.browser().send("POST", "/sign-in", &[], Some(&body)).is(400);
        browser.send("POST", "/sign-in", &[], Some("name=ruiz&password=x")).is(400);
        browser.send("POST", "/sign-out", &[], Some(&body)).is(400);
        for header in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")] {
            let page = browser.send("POST", "/sign-in", &[header], Some(&body)).is(403);
            assert_eq!(page.heading(), "You cannot go on");
        }
        let own = server.url();
        // What browsers say under Referrer-Policy: no-referrer.
        browser.send("POST", "/sign-in", &[("origin", "null"), ("sec-fetch-site", "same-origin")], Some(&body)).is(303);
        let form = server.browser();
        let page = form.get("/sign-in");
        let body = page.form("/sign-in").body(&[("name", "ruiz"), ("password", PASSWORD)], None);
        form.send("POST", "/sign-in", &[("origin", &own), ("sec-fetch-site", "same-origin")], Some(&body)).is(303);
    }
}

both! {
    fn a_session_ends_when_it_is_not_used_and_when_its_time_is_over(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        let minutes = |column: &str, minutes: i64| {
            server.sql(false, &format!("UPDATE session SET {column} = {column} - {}", minutes * 60_000)).unwrap();
        };
        browser.signs_in("ruiz", PASSWORD);
        minutes("used_at", 14);
        assert_eq!(browser.get("/account").heading(), "Your account");
        minutes("used_at", 14);
        assert_eq!(browser.get("/account").heading(), "Your account", "use renews it");
        minutes("used_at", 16);
        assert_eq!(browser.get("/account").heading(), "Sign in");
        browser.signs_in("ruiz", PASSWORD);
        minutes("expires_at", 12 * 60 + 1);
        assert_eq!(browser.get("/account").heading(), "Sign in");
    }
}

both! {
    fn signing_out_ends_the_session(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        let form = browser.get("/account").form("/sign-out");
        let out = browser.submit(&form, &[], None);
        assert_eq!(out.reply.header("location"), Some("/sign-in?signed-out"));
        assert!(browser.get("/sign-in?signed-out").text().contains("You are signed out."));
        assert_eq!(browser.get("/account").heading(), "Sign in");
    }
}

both! {
    fn disabling_and_resetting_end_what_is_signed_in(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        server.place.tells(&["account", "disable", "ruiz"]);
        assert_eq!(browser.get("/account").heading(), "Sign in");
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], PASSWORD);
        browser.signs_in("ruiz", PASSWORD);
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], PASSWORD);
        assert_eq!(browser.get("/account").heading(), "Sign in");
    }
}

both! {
    fn who_would_see_nobody_is_told_to_the_operator(server) {
        let note = |more: &[&str]| server.place.tells(&[&["account", "add", "--role", "clinician"], more].concat()).contains("note=\"role clinician sees");
        assert!(note(&["ruiz"]) && !note(&["sol", "--fhir-user", &server.practitioner()]));
    }
}

both! {
    fn sign_ins_are_in_the_audit_log(server) {
        let id = server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        refused(&browser, "ruiz", "wrong password").is(403);
        browser.signs_in("ruiz", PASSWORD);
        let form = browser.get("/account").form("/sign-out");
        browser.submit(&form, &[], None).is(303);
        let events = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110114&_sort=date").matches();
        let told: Vec<(&str, &str)> =
            events.iter().map(|event| (event["subtype"][0]["code"].as_str().unwrap(), event["outcome"].as_str().unwrap())).collect();
        assert_eq!(told, [("110122", "4"), ("110122", "0"), ("110123", "0")], "{events:#?}");
        assert!(events[1].to_string().contains(&id) && events[2].to_string().contains(&id));
        let made = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113").matches();
        assert!(made.iter().any(|event| event["subtype"][0]["code"] == "110137" && event.to_string().contains(&id)), "{made:#?}");
    }
}

both! {
    fn what_an_account_cannot_be_is_refused(server) {
        server.account("ruiz", &["--role", "clinician"]);
        let unknown = format!("Practitioner/{}", uuid::Uuid::new_v4());
        let (practitioner, patient) = (server.practitioner(), format!("Patient/{}", server.person("ana").patient));
        for (arguments, says) in [
            (vec!["account", "add", "Ruiz", "--role", "clinician"], "exists already"),
            (vec!["account", "add", "sol", "--role", "king"], "there is no role 'king'"),
            (vec!["account", "add", "sol", "--role", "device-sdk"], "nobody signs in with role device-sdk"),
            (vec!["account", "add", "sol", "--fhir-user", "Device/1"], "fhirUser is one of"),
            (vec!["account", "add", "sol", "--fhir-user", &unknown], "make it first"),
            (vec!["account", "add", "sol", "--role", "patient"], "say which by --fhir-user"),
            (vec!["account", "add", "sol", "--role", "patient", "--fhir-user", &practitioner], "a Patient's or a RelatedPerson's"),
            (vec!["account", "add", "sol", "--role", "clinician", "--fhir-user", &patient], "choose role patient"),
            (vec!["role", "grant", "ruiz", "patient"], "say which by --fhir-user"),
            (vec!["account", "disable", "sol"], "there is no account of this name"),
            (vec!["account", "link", "sol", "--issuer", "https://idp.example", "--subject", "1"], "there is no account of this name"),
        ] {
            let output = server.place.firth(&arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(says), "{arguments:?}: {said}");
        }
    }
}

both! {
    fn what_an_account_granted_ends_when_it_is_disabled_and_with_its_password(server) {
        let clinic = crate::smart::flow::Clinic::new(server);
        let app = server.public_app();
        let granted = |browser: &Browser<'_>| app.launches(browser, "", "user/*.rs offline_access", &[]);
        let first = granted(&clinic.clinician);
        server.place.tells(&["account", "disable", "ruiz"]);
        server.nobody().bearer(&first.text_at("/access_token")).get("/fhir/Observation").is(401);
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], PASSWORD);
        app.refreshes(&first.text_at("/refresh_token"), &[]).is(400);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        let second = granted(&browser);
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], "another tractor hums violet");
        server.nobody().bearer(&second.text_at("/access_token")).get("/fhir/Observation").is(401);
        app.refreshes(&second.text_at("/refresh_token"), &[]).is(400);
    }
}
