//! The patient picker, launches from an EHR, and what every page has.

use serde_json::{Value, json};

use crate::sign_in::PASSWORD;
use crate::support::TestServer;
use crate::support::actors::Person;
use crate::support::browser::{Browser, Page};

/// A clinician with these patients in a CareTeam, signed in for the app, at the picker.
#[track_caller]
fn picks(browser: &Browser<'_>, path: &str) -> Page {
    let page = browser.sign_in(&browser.get(path), "ruiz", PASSWORD).is(200);
    assert_eq!(page.heading(), "Choose a patient", "{}", page.text());
    page
}

fn clinician(server: &TestServer, patients: &[&str]) {
    let practitioner = server.practitioner();
    server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
    for patient in patients {
        let team = json!({"resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{patient}")},
            "participant": [{"member": {"reference": practitioner}}]});
        server.ehr().post("/fhir/CareTeam", &team).is(201);
    }
}

fn patient(server: &TestServer, name: &str, born: &str, identifier: &str) -> String {
    server.plant(identifier);
    let (given, family) = name.split_once(' ').unwrap();
    let patient = json!({"resourceType": "Patient", "name": [{"given": [given], "family": family}], "birthDate": born, "gender": "female",
        "identifier": [{"system": "urn:mrn", "value": identifier}]});
    server.ehr().post("/fhir/Patient", &patient).is(201).text_at("/id")
}

fn search(browser: &Browser<'_>, page: &Page, fields: &[(&str, &str)]) -> Page {
    browser.submit(&page.form("/oauth/patient"), fields, Some(("do", "search")))
}

/// The ids on the page.
fn shown(page: &Page) -> Vec<String> {
    page.forms().into_iter().flat_map(|form| form.buttons).filter(|(name, _)| name == "patient").map(|(_, id)| id).collect()
}

both! {
    fn the_picker_shows_whom_the_person_cares_for_once_something_is_searched_for(server) {
        let ana = patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147");
        let anton = patient(server, "Anton Solveig", "1990-01-01", "MRN-00471148");
        patient(server, "Anabel Hidden", "1987-03-24", "MRN-00471149");
        clinician(server, &[&ana, &anton]);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let page = picks(&browser, &app.path(&[]));
        assert!(shown(&page).is_empty() && !page.text().contains("Solveig"));
        for (fields, says) in [
            (vec![], "Write a part of the name"),
            (vec![("name", "A")], "at least two letters"),
            (vec![("name", "Anabel S")], "at least two letters"),
            (vec![("birthdate", "24.03.1987")], "year-month-day"),
            (vec![("birthdate", "1987-13-24")], "year-month-day"),
            (vec![("identifier", "4")], "whole record number"),
        ] {
            let page = search(&browser, &page, &fields).is(422);
            assert!(shown(&page).is_empty() && page.faults().iter().any(|fault| fault.contains(says)), "{fields:?} {:?}", page.faults());
        }
        let both = search(&browser, &page, &[("name", "an so")]).is(200);
        assert_eq!(shown(&both).len(), 2, "{}", both.text());
        for (fields, found) in [
            (vec![("name", "anab")], vec![&ana]),
            (vec![("birthdate", "1990-01-01")], vec![&anton]),
            (vec![("identifier", "MRN-00471147")], vec![&ana]),
            (vec![("identifier", "MRN-00471149")], vec![]),
            (vec![("name", "hidden")], vec![]),
            (vec![("name", "anabel"), ("birthdate", "1990-01-01")], vec![]),
        ] {
            let page = search(&browser, &page, &fields).is(200);
            assert_eq!(shown(&page).iter().collect::<Vec<_>>(), found, "{fields:?}");
        }
        let one = search(&browser, &page, &[("name", "anab")]);
        assert!(!one.text().contains("0047114"), "only the last digits of a number are shown");
        assert!(["Anabel Solveig", "1987-03-24", "female", "\u{2026}1147"].iter().all(|text| one.text().contains(text)), "{}", one.text());
        let consent = browser.submit(&one.form_with(("patient", &ana)), &[], Some(("patient", &ana))).is(200);
        assert!(consent.text().contains("Anabel Solveig, born 1987-03-24, sex female, record number \u{2026}1147"));
        let sent = browser.submit(&consent.form("/oauth/consent"), &[], Some(("decision", "allow")));
        let token = app.token(&sent.told("code"));
        assert_eq!(token["patient"], json!(ana));
        let client = server.nobody().bearer(token["access_token"].as_str().unwrap());
        client.get(&format!("/fhir/Patient/{ana}")).is(200);
        client.get(&format!("/fhir/Patient/{anton}")).is(404);
    }
}

both! {
    fn a_patient_who_is_not_cared_for_cannot_be_picked(server) {
        let (ana, bea) = (patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147"), patient(server, "Bea Solveig", "1987-03-25", "MRN-00471148"));
        let hidden = patient(server, "Anabel Hidden", "1987-03-24", "MRN-00471149");
        clinician(server, &[&ana, &bea]);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let page = picks(&browser, &app.path(&[]));
        let unknown = uuid::Uuid::new_v4().to_string();
        let form = page.form("/oauth/patient");
        let said: Vec<String> = [&hidden, &unknown].iter().map(|id| {
            let page = browser.submit(&form, &[], Some(("patient", id))).is(400);
            page.text().split("<p class=\"hint\">").next().unwrap().to_owned()
        }).collect();
        assert_eq!(said[0], said[1]);
        let cancelled = browser.submit(&form, &[], Some(("do", "cancel")));
        assert_eq!(cancelled.told("error"), "access_denied");
        assert_eq!(browser.get(&app.path(&[("prompt", Some("none"))])).told("error"), "interaction_required");
    }
}

/// All pages of the picker to the word, but for what is sealed in them: it has the time, and is packed.
fn walked(server: &TestServer, path: &str) -> Vec<String> {
    let browser = server.browser();
    let mut page = search(&browser, &picks(&browser, path), &[("name", "paula")]).is(200);
    let mut all = Vec::new();
    loop {
        let text = page.text();
        let mut parts = text.split("name=\"form\" value=\"");
        let mut told = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (_, rest) = part.split_once('"').expect("the end of a value");
            told.push_str(rest);
        }
        all.push(told);
        let Some(form) = page.forms().into_iter().find(|form| form.buttons.contains(&("do".into(), "next".into()))) else { return all };
        page = browser.submit(&form, &[], Some(("do", "next"))).is(200);
    }
}

both! {
    fn the_picker_tells_nothing_of_whom_the_person_does_not_care_for(server) {
        let named = |n: usize| json!({"resourceType": "Patient", "name": [{"given": ["Paula"], "family": format!("Paging{n}")}]});
        let made = |from: usize| {
            let entries: Vec<Value> = (from..from + 45).map(|n| json!({"request": {"method": "POST", "url": "Patient"}, "resource": named(n)})).collect();
            let done = server.ehr().post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200).json();
            let id = |entry: &Value| entry["response"]["location"].as_str().and_then(|at| at.split("Patient/").nth(1)?.split('/').next().map(str::to_owned));
            done["entry"].as_array().unwrap().iter().map(|entry| id(entry).unwrap()).collect::<Vec<String>>()
        };
        // Some of the others are older, some newer.
        made(100);
        clinician(server, &made(0).iter().map(String::as_str).collect::<Vec<_>>());
        let app = server.app_of_people(&[]);
        let path = app.path(&[]);
        let before = walked(server, &path);
        assert_eq!((before.len(), before.iter().filter(|page| page.contains("Paging1</")).count()), (3, 1));
        let others = made(200);
        assert_eq!(walked(server, &path), before);
        let by_system = server.ehr().search("Patient?name=paula&_count=200").ids();
        assert!(by_system.len() == 135 && others.iter().all(|one| by_system.contains(one)));
    }
}

both! {
    fn the_picker_goes_on_by_twenties(server) {
        let all: Vec<String> = (0..45).map(|n| patient(server, &format!("Paula Paging{n}"), "1980-01-01", &format!("MRN-number-{n}"))).collect();
        clinician(server, &all.iter().map(String::as_str).collect::<Vec<_>>());
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let mut page = search(&browser, &picks(&browser, &app.path(&[])), &[("name", "paula")]).is(200);
        let (mut seen, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let here = shown(&page);
            sizes.push(here.len());
            seen.extend(here);
            let Some(form) = page.forms().into_iter().find(|form| form.buttons.contains(&("do".into(), "next".into()))) else { break };
            page = browser.submit(&form, &[], Some(("do", "next"))).is(200);
        }
        assert_eq!(sizes, [20, 20, 5]);
        assert!(page.text().contains("Patients 41 to 45"));
        seen.sort();
        let mut wanted = all.clone();
        wanted.sort();
        assert_eq!(seen, wanted);
    }
}

both! {
    fn searches_of_the_picker_are_reads_in_the_audit_log(server) {
        let (ana, bea) = (patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147"), patient(server, "Bea Solveig", "1987-03-25", "MRN-00471148"));
        clinician(server, &[&ana, &bea]);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let found = search(&browser, &picks(&browser, &app.path(&[])), &[("name", "solveig")]).is(200);
        browser.submit(&found.form_with(("patient", &ana)), &[], Some(("patient", &ana))).is(200);
        let of = |patient: &str| -> Vec<Value> {
            let events = server.auditor().search(&format!("AuditEvent?patient={patient}&_count=100")).matches();
            events.into_iter().filter(|event| event.to_string().contains("\"clinician\"")).collect()
        };
        let codes = |events: &[Value]| -> Vec<String> { events.iter().map(|event| event["subtype"][0]["code"].as_str().unwrap().to_owned()).collect() };
        let mut of_ana = codes(&of(&ana));
        of_ana.sort();
        assert_eq!((of_ana, codes(&of(&bea))), (vec!["read".to_owned(), "search-type".into()], vec!["search-type".to_owned()]));
    }
}

both! {
    fn what_is_not_known_of_a_patient_is_left_out(server) {
        let named = json!({"resourceType": "Patient", "name": [{"given": ["Ines"], "family": "Marlow"}]});
        let ines = server.ehr().post("/fhir/Patient", &named).is(201).text_at("/id");
        clinician(server, &[&ines]);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = browser.sign_in(&browser.get(&app.path(&[])), "ruiz", PASSWORD).is(200);
        assert!(consent.text().contains("<dd>Ines Marlow</dd>"), "{}", consent.text());
    }
}

both! {
    fn all_types_at_once_are_shown_and_answered_type_by_type(server) {
        let ana = server.person("ana");
        of_herself(server, &ana);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let path = app.path(&[("scope", Some("launch/patient patient/*.rs"))]);
        let consent = browser.sign_in(&browser.get(&path), "ana", PASSWORD).is(200);
        assert!(consent.text().contains("value=\"patient/Observation.rs\"") && !consent.text().contains("value=\"patient/*.rs\""), "{}", consent.text());
        let token = app.token(&browser.submit(&consent.form("/oauth/consent"), &[], Some(("decision", "allow"))).told("code"));
        let scope = token["scope"].as_str().unwrap();
        assert!(scope.contains("patient/Observation.rs") && !scope.contains('*'), "{scope}");
    }
}

both! {
    fn the_account_names_the_patients_of_its_apps(server) {
        let ana = patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147");
        clinician(server, &[&ana]);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let consent = browser.sign_in(&browser.get(&app.path(&[])), "ruiz", PASSWORD).is(200);
        app.token(&browser.submit(&consent.form("/oauth/consent"), &[], Some(("decision", "allow"))).told("code"));
        let reads = || {
            let events = server.auditor().search(&format!("AuditEvent?patient={ana}&_count=100")).matches();
            let of = |event: &&Value| event.to_string().contains("\"clinician\"") && event["subtype"][0]["code"] == json!("read");
            events.iter().filter(of).count()
        };
        let before = reads();
        let page = browser.get("/account").is(200).text();
        assert!(page.contains("for Anabel Solveig</p>") && !page.contains(&ana), "{page}");
        assert_eq!(reads(), before + 1, "the name that is shown is a read");
        // Of whom the person may not see any more the id alone is told.
        let team = server.ehr().search(&format!("CareTeam?patient={ana}")).matches()[0]["id"].as_str().unwrap().to_owned();
        server.ehr().delete(&format!("/fhir/CareTeam/{team}"));
        let page = browser.get("/account").is(200).text();
        assert!(page.contains(&format!("for Patient/{ana}</p>")) && !page.contains("Anabel"), "{page}");
        assert_eq!(reads(), before + 1);
    }
}

/// A launch of this app by the EHR, for the patient.
fn launch(server: &TestServer, app: &str, patient: &str, more: &Value) -> String {
    let mut body = json!({"client_id": app, "patient": patient});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    server.ehr().post("/oauth/launch", &body).is(201).text_at("/launch")
}

both! {
    fn a_launch_brings_its_patient_once_and_to_its_own_app(server) {
        let (ana, bea) = (patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147"), patient(server, "Bea Solveig", "1987-03-25", "MRN-00471148"));
        let hidden = patient(server, "Cleo Solveig", "1987-03-26", "MRN-00471149");
        clinician(server, &[&ana, &bea]);
        let (app, other) = (server.app_of_people(&[]), server.app_of_people(&[]));
        let scope = ("scope", Some("launch patient/Patient.rs"));
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        let context = json!({"intent": "review", "need_patient_banner": false});
        let opened = launch(server, &app.id, &ana, &context);
        assert_eq!(browser.get(&other.path(&[scope, ("launch", Some(&opened))])).told("error"), "invalid_request");
        // The page may be loaded again.
        let pages = [(); 2].map(|()| browser.get(&app.path(&[scope, ("launch", Some(&opened))])).is(200));
        assert!(pages[1].text().contains("Anabel Solveig"), "{}", pages[1].text());
        let allow = |page: &Page| browser.submit(&page.form("/oauth/consent"), &[], Some(("decision", "allow")));
        let token = app.token(&allow(&pages[0]).told("code"));
        for used in [allow(&pages[0]), allow(&pages[1]), browser.get(&app.path(&[scope, ("launch", Some(&opened))]))] {
            assert_eq!(used.told("error"), "invalid_request", "one launch is one code");
        }
        assert_eq!((&token["patient"], &token["intent"], &token["need_patient_banner"]), (&json!(ana), &json!("review"), &json!(false)));
        let of_hidden = launch(server, &app.id, &hidden, &json!({}));
        assert_eq!(browser.get(&app.path(&[scope, ("launch", Some(&of_hidden))])).told("error"), "access_denied");
        let late = launch(server, &app.id, &bea, &json!({}));
        server.sql(false, "UPDATE launch SET expires_at = expires_at - 300001").unwrap();
        assert_eq!(browser.get(&app.path(&[scope, ("launch", Some(&late))])).told("error"), "invalid_request");
    }
}

both! {
    fn who_sees_one_patient_or_none_does_not_pick(server) {
        let ana = patient(server, "Anabel Solveig", "1987-03-24", "MRN-00471147");
        clinician(server, &[&ana]);
        server.account("idle", &["--role", "clinician"]);
        server.account("nobody", &[]);
        let app = server.app_of_people(&[]);
        let consent = server.browser();
        assert!(consent.sign_in(&consent.get(&app.path(&[])), "ruiz", PASSWORD).is(200).text().contains("Anabel Solveig"));
        for name in ["idle", "nobody"] {
            let browser = server.browser();
            assert_eq!(browser.sign_in(&browser.get(&app.path(&[])), name, PASSWORD).told("error"), "access_denied", "{name}");
        }
        let browser = server.browser();
        let user = browser.sign_in(&browser.get(&app.path(&[("scope", Some("user/Patient.rs"))])), "ruiz", PASSWORD).is(200);
        assert_eq!(user.heading(), "Allow The Vitals to see and do this?");
        assert!(!user.text().contains("Anabel"), "a scope of the user's needs no patient");
    }
}

both! {
    fn pages_load_nothing_from_elsewhere_and_are_not_framed(server) {
        let ana = server.person("ana");
        of_herself(server, &ana);
        let app = server.app_of_people(&[]);
        let browser = server.browser();
        let sign_in = browser.get(&app.path(&[]));
        let consent = browser.sign_in(&sign_in, "ana", PASSWORD).is(200);
        let account = browser.get("/account").is(200);
        let failed = browser.get("/oauth/authorize").is(400);
        for (page, onward) in [(&sign_in, " https:"), (&consent, " https:"), (&account, ""), (&failed, "")] {
            let header = |name: &str| page.reply.header(name).unwrap_or_default().to_owned();
            let policy = format!("default-src 'none'; style-src 'self'; form-action 'self'{onward}; base-uri 'none'; frame-ancestors 'none'");
            assert_eq!(header("content-security-policy"), policy);
            assert_eq!((header("cache-control"), header("referrer-policy"), header("x-content-type-options")), ("no-store".into(), "no-referrer".into(), "nosniff".into()));
            let text = page.text();
            assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{text}");
            assert!(["<script", " style=", "onclick", "onsubmit", "http-equiv"].iter().all(|word| !text.contains(word)), "{text}");
        }
        assert_eq!(browser.get("/pages/firth.css").is(200).reply.header("content-type"), Some("text/css; charset=utf-8"));
    }
}

fn of_herself(server: &TestServer, person: &Person<'_>) {
    server.account("ana", &["--role", "patient", "--fhir-user", &format!("Patient/{}", person.patient)]);
}
