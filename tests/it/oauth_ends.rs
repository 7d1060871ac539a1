//! When what a client was granted ends or becomes less: signing out, somebody else at the browser, a secret that is shown a
//! second time, a registration that is narrowed. And what is recorded of it.

use serde_json::{Value, json};

use crate::care_team::soon;
use crate::documents::{created, put};
use crate::sign_in::PASSWORD;
use crate::smart::flow::{App, CALLBACK, Clinic, VERIFIER, asked, brings, of};
use crate::support::oauth::refused;
use crate::support::{Client, Reply, TestServer};

const READS: &str = "launch/patient patient/Patient.rs patient/Observation.rs";

fn bearer<'s>(server: &'s TestServer, tokens: &Reply) -> Client<'s> {
    server.nobody().bearer(&tokens.text_at("/access_token"))
}

fn reads(clinic: &Clinic<'_>, tokens: &Reply) -> u16 {
    bearer(clinic.server, tokens).get(&format!("/fhir/Observation/{}", clinic.observation)).status
}

fn launched(clinic: &Clinic<'_>, app: &App<'_>, more: &str) -> Reply {
    app.launches(&clinic.person, "", &format!("{READS}{more}"), &[])
}

fn refreshed(app: &App<'_>, tokens: &Reply) -> Reply {
    app.refreshes(&tokens.text_at("/refresh_token"), &[])
}

fn signs_out(clinic: &Clinic<'_>) {
    let form = clinic.person.get("/account").form("/sign-out");
    clinic.person.submit(&form, &[], None);
}

both! {
    fn signing_out_ends_all_but_offline_access_at_once(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let [online, short, offline] = [" online_access", "", " offline_access"].map(|more| launched(&clinic, &app, more));
        let elsewhere = server.browser();
        elsewhere.signs_in("marlow", PASSWORD);
        let other = app.launches(&elsewhere, "", &format!("{READS} online_access"), &[]);
        for tokens in [&online, &short, &offline, &other] {
            assert_eq!(reads(&clinic, tokens), 200);
        }
        signs_out(&clinic);
        assert_eq!([&online, &short, &offline, &other].map(|tokens| reads(&clinic, tokens)), [401, 401, 200, 200]);
        refused(&refreshed(&app, &online), 400, "invalid_grant");
        assert_eq!(reads(&clinic, &refreshed(&app, &offline).is(200)), 200);
        assert_eq!(reads(&clinic, &refreshed(&app, &other).is(200)), 200);
        // What has ended is not among the apps that have access.
        assert_eq!(elsewhere.get("/account").text().matches("<li><h3>").count(), 2);
    }
}

both! {
    fn online_access_goes_on_while_no_page_is_used(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let online = launched(&clinic, &app, " online_access");
        server.sql(false, &format!("UPDATE session SET used_at = used_at - {}", 16 * 60_000)).unwrap();
        let tokens = refreshed(&app, &online).is(200);
        assert_eq!(reads(&clinic, &tokens), 200);
        // The pages do not notice that the app was used.
        assert_eq!(clinic.person.get("/account").heading(), "Sign in");
        // Who signs in again is who was signed in: it goes on, and ends with the sign-out.
        clinic.person.signs_in("marlow", PASSWORD);
        let tokens = refreshed(&app, &tokens).is(200);
        assert_eq!(reads(&clinic, &tokens), 200);
        signs_out(&clinic);
        assert_eq!(reads(&clinic, &tokens), 401);
        refused(&refreshed(&app, &tokens), 400, "invalid_grant");
    }
}

both! {
    fn online_access_ends_when_somebody_else_signs_in_at_the_browser(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let [online, offline] = [" online_access", " offline_access"].map(|more| launched(&clinic, &app, more));
        server.sql(false, &format!("UPDATE session SET used_at = used_at - {}", 16 * 60_000)).unwrap();
        clinic.person.signs_in("ruiz", PASSWORD);
        assert_eq!((reads(&clinic, &online), reads(&clinic, &offline)), (401, 200));
        refused(&refreshed(&app, &online), 400, "invalid_grant");
    }
}

both! {
    fn no_token_outlives_the_session(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        server.sql(false, &format!("UPDATE session SET expires_at = expires_at - {}", (12 * 60 - 5) * 60_000)).unwrap();
        let lasts = |more: &str| launched(&clinic, &app, more).at("/expires_in").as_i64().unwrap();
        for more in ["", " online_access"] {
            assert!((1..=300).contains(&lasts(more)), "{more}");
        }
        assert_eq!(lasts(" offline_access"), 3_600);
        // Nor does one that was had by a refresh.
        let renewed = refreshed(&app, &launched(&clinic, &app, " online_access")).is(200);
        assert!((1..=300).contains(&renewed.at("/expires_in").as_i64().unwrap()));
    }
}

both! {
    fn resetting_an_account_ends_what_was_granted_in_its_sessions(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let online = launched(&clinic, &app, " online_access");
        server.place.tells(&["account", "reset", "marlow"]);
        assert_eq!(reads(&clinic, &online), 401);
        refused(&refreshed(&app, &online), 400, "invalid_grant");
    }
}

/// What the log says of a secret that was shown again.
fn alerts(server: &TestServer, client: &str) -> Vec<Value> {
    let asked = format!("AuditEvent?agent:identifier=urn:firth:client|{client}&outcome=4&_count=50");
    let events = server.auditor().search(&asked).matches();
    events.into_iter().filter(|event| event["outcomeDesc"] == json!("oauth.grant-reused")).collect()
}

both! {
    fn a_secret_that_is_shown_again_ends_the_family_and_is_an_alert(server) {
        let (clinic, app) = (Clinic::new(server), server.public_app());
        let account = server.place.tells(&["account", "list"]).lines().find(|line| line.contains("marlow")).unwrap().split('\t').next().unwrap().to_owned();
        let told = brings(&clinic.person, "", "allow", &asked(&app, &format!("{READS} offline_access"), &[]));
        let code = of(&told, "code").unwrap().to_owned();
        let tokens = app.exchanges(&code, VERIFIER).is(200);
        assert_eq!(alerts(server, &app.id).len(), 0);
        let again = app.exchanges(&code, VERIFIER);
        refused(&again, 400, "invalid_grant");
        assert_eq!(again.header("x-firth-error"), Some("oauth.grant-reused"));
        assert_eq!(reads(&clinic, &tokens), 401);
        refused(&refreshed(&app, &tokens), 400, "invalid_grant");
        let first = launched(&clinic, &app, " offline_access");
        let second = refreshed(&app, &first).is(200);
        refused(&refreshed(&app, &first), 400, "invalid_grant");
        assert_eq!((reads(&clinic, &first), reads(&clinic, &second)), (401, 401));
        refused(&refreshed(&app, &second), 400, "invalid_grant");
        // Each of the two is one alert, which says whose it was.
        let alerts = alerts(server, &app.id);
        assert_eq!(alerts.len(), 2, "{alerts:#?}");
        for alert in &alerts {
            assert_eq!((&alert["type"]["code"], &alert["outcome"]), (&json!("110113"), &json!("4")));
            let text = alert.to_string();
            for part in [&account, &format!("Patient/{}", clinic.patient), &"grant/".to_owned()] {
                assert!(text.contains(part), "{part}: {alert:#}");
            }
        }
    }
}

both! {
    fn what_a_client_may_no_longer_ask_for_is_in_no_token(server) {
        let clinic = Clinic::new(server);
        let app = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", &format!("{READS} offline_access")]);
        let tokens = launched(&clinic, &app, " offline_access");
        let has = |tokens: &Reply, kind: &str| bearer(server, tokens).get(&format!("/fhir/{kind}?_count=0")).status;
        assert_eq!((has(&tokens, "Patient"), has(&tokens, "Observation")), (200, 200));
        let limit = |scopes: &str| server.place.tells(&["client", "approve", &app.id, "--scope", scopes]);
        limit("launch/patient patient/Patient.rs offline_access");
        soon(server, || has(&tokens, "Observation") == 403);
        assert_eq!(has(&tokens, "Patient"), 200);
        let told = |tokens: &Reply, which: &str| {
            let asks = server.ehr().with("content-type", "application/x-www-form-urlencoded");
            asks.send("POST", "/oauth/introspect", Some(format!("token={}", tokens.text_at(which)).as_bytes())).is(200)
        };
        for which in ["/access_token", "/refresh_token"] {
            assert_eq!(told(&tokens, which).at("/scope"), json!("launch/patient offline_access patient/Patient.rs"));
        }
        let more = app.refreshes(&tokens.text_at("/refresh_token"), &[("scope", "patient/Observation.rs")]);
        refused(&more, 400, "invalid_scope");
        let tokens = refreshed(&app, &tokens).is(200);
        assert_eq!(tokens.at("/scope"), json!("launch/patient offline_access patient/Patient.rs"));
        assert_eq!((has(&tokens, "Patient"), has(&tokens, "Observation")), (200, 403));
        // What is registered again is granted again.
        limit(&format!("{READS} offline_access"));
        soon(server, || has(&launched(&clinic, &app, " offline_access"), "Observation") == 200);
        limit("launch/patient patient/Patient.rs");
        refused(&refreshed(&app, &tokens), 400, "invalid_grant");
        assert_eq!(told(&tokens, "/refresh_token").at("/active"), json!(false));
        assert_eq!(has(&tokens, "Patient"), 200);
        // With nothing left it opens nothing.
        limit("openid");
        soon(server, || has(&tokens, "Patient") == 403);
    }
}

both! {
    fn a_service_that_was_narrowed_has_less(server) {
        let service = server.service("ES384", &["--role", "ehr-system", "--scope", "system/Patient.rs system/Observation.rs"]);
        let token = service.token("system/Patient.rs system/Observation.rs");
        let has = |kind: &str| server.nobody().bearer(&token).get(&format!("/fhir/{kind}?_count=0")).status;
        assert_eq!((has("Patient"), has("Observation")), (200, 200));
        server.place.tells(&["client", "approve", &service.id, "--scope", "system/Observation.rs"]);
        soon(server, || has("Patient") == 403);
        assert_eq!(has("Observation"), 200);
    }
}

both! {
    fn an_sdk_s_refresh_token_that_is_shown_again_is_an_alert(server) {
        let alice = server.person("alice");
        let refresh = || server.nobody().post("/api/v1/token/refresh", &json!({"refresh_token": alice.refresh}));
        let access = refresh().is(200).text_at("/access_token");
        server.plant(&access);
        assert_eq!(refresh().is(401).header("x-firth-error"), Some("auth.refresh-reused"));
        let own = format!("/api/v1/sdk/users/{}/uploads/x", alice.user);
        assert_eq!(server.nobody().bearer(&access).get(&own).status, 401);
        let events = server.auditor().search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&outcome=4").matches();
        let alerts: Vec<&Value> = events.iter().filter(|event| event["outcomeDesc"] == json!("auth.refresh-reused")).collect();
        assert!(alerts.len() == 1 && alerts[0].to_string().contains(&format!("user/{}", alice.user)), "{events:#?}");
    }
}

both! {
    fn a_new_secret_ends_the_old_one_and_nothing_that_was_granted(server) {
        let clinic = Clinic::new(server);
        let old = server.registered(&["--secret", "--redirect-uri", CALLBACK]);
        let tokens = launched(&clinic, &old, " offline_access");
        let printed = server.place.tells(&["client", "rotate", &old.id]);
        let secret = crate::support::actors::value_of(&printed, "client_secret");
        server.plant(&secret);
        let new = App { secret: Some(secret), ..old.clone() };
        assert_eq!(reads(&clinic, &tokens), 200);
        refused(&refreshed(&old, &tokens), 401, "invalid_client");
        assert_eq!(reads(&clinic, &refreshed(&new, &tokens).is(200)), 200);
    }
}

both! {
    fn whose_record_is_gone_can_still_be_shut_out(server) {
        let app = server.public_app();
        let practitioner = server.practitioner();
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        let tokens = app.launches(&browser, "", "user/Organization.rs", &[]);
        server.ehr().delete(&format!("/fhir/{practitioner}")).is(204);
        server.place.tells(&["role", "revoke", "ruiz"]);
        server.place.tells(&["role", "grant", "ruiz", "clinician"]);
        server.place.tells(&["account", "disable", "ruiz"]);
        assert_eq!(bearer(server, &tokens).get("/fhir/Organization").status, 401);
        server.place.tells(&["account", "reset", "ruiz"]);
    }
}

both! {
    fn a_record_is_named_by_whatever_id_it_has(server) {
        let clinic = Clinic::new(server);
        let named = json!({"resourceType": "Practitioner", "id": "dr-ruiz", "name": [{"family": "Ruiz"}]});
        put(&server.ehr(), "/fhir/Practitioner/dr-ruiz", &named).is(201);
        let team = json!({"resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{}", clinic.other)},
            "participant": [{"member": {"reference": "Practitioner/dr-ruiz"}}]});
        created(&server.ehr(), &team);
        server.account("dr", &["--role", "clinician", "--fhir-user", "Practitioner/dr-ruiz"]);
        let browser = server.browser();
        browser.signs_in("dr", PASSWORD);
        let tokens = server.public_app().launches(&browser, "", "user/Patient.rs", &[]);
        assert_eq!(bearer(server, &tokens).search("Patient").ids(), [clinic.other.as_str()]);
        let refused = server.place.firth(&["account", "add", "nobody", "--role", "clinician", "--fhir-user", "Practitioner/dr-nobody"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no Practitioner/dr-nobody"), "{refused:?}");
    }
}

both! {
    fn an_auditor_signs_in_to_an_app_that_reads_the_log(server) {
        let clinic = Clinic::new(server);
        let app = server.public_app();
        server.account("okoye", &["--role", "auditor"]);
        let browser = server.browser();
        browser.signs_in("okoye", PASSWORD);
        let tokens = app.launches(&browser, "", "user/AuditEvent.rs user/Patient.rs", &[]);
        assert_eq!(tokens.at("/scope"), json!("user/AuditEvent.rs"));
        let reads = bearer(server, &tokens);
        assert!(!reads.search(&format!("AuditEvent?patient={}", clinic.patient)).ids().is_empty());
        assert_eq!(reads.get(&format!("/fhir/Patient/{}", clinic.patient)).status, 403);
        // Those who do not audit are granted nothing of it.
        let of_clinician = app.launches(&clinic.clinician, "", "user/AuditEvent.rs user/Patient.rs", &[]);
        assert_eq!(of_clinician.at("/scope"), json!("user/Patient.rs"));
    }
}
