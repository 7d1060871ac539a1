//! Whose data a user sees by CareTeam and Group, and when that ends.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::documents::{created, patient, put, weight};
use crate::sign_in::PASSWORD;
use crate::support::actors::value_of;
use crate::support::browser::{Browser, encoded};
use crate::support::{Backend, Client, TestServer};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "https://app.example/cb";

/// What the app of a test asks for, unless the test says otherwise.
pub const ALL: &str = "user/*.cruds";

/// The id of a public app that was registered.
pub fn app(server: &TestServer) -> String {
    let printed = server.place.tells(&["client", "add", "--name", "Ward", "--public", "--redirect-uri", CALLBACK, "--scope", ALL]);
    value_of(&printed, "client_id")
}

/// Signs in, allows the app what it asks, and answers as the app with its token.
#[track_caller]
pub fn signs_in<'s>(server: &'s TestServer, app: &str, name: &str) -> Client<'s> {
    through(server, app, &server.browser(), name)
}

/// The same in a browser in which somebody may be signed in already.
#[track_caller]
pub fn through<'s>(server: &'s TestServer, app: &str, browser: &Browser<'_>, name: &str) -> Client<'s> {
    let aud = format!("{}/fhir", server.url());
    let asked = [
        ("response_type", "code"),
        ("client_id", app),
        ("redirect_uri", CALLBACK),
        ("scope", ALL),
        ("state", "state"),
        ("aud", &aud),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let pairs =
        |pairs: &[(&str, &str)]| encoded(&pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>());
    let page = browser.get(&format!("/oauth/authorize?{}", pairs(&asked))).is(200);
    let consent = if page.heading() == "Sign in" { browser.sign_in(&page, name, PASSWORD).is(200) } else { page };
    let code = browser.submit(&consent.form("/oauth/consent"), &[], Some(("decision", "allow"))).told("code");
    let shown = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("client_id", app),
        ("code_verifier", VERIFIER),
    ];
    let client = server.nobody().with("content-type", "application/x-www-form-urlencoded");
    let token = client.send("POST", "/oauth/token", Some(pairs(&shown).as_bytes())).is(200).text_at("/access_token");
    server.plant(&token);
    server.nobody().bearer(&token)
}

/// Starts the server again with this settings file.
pub fn with_file(server: &TestServer, toml: &str) {
    fs::write(server.place.path().join("firth.toml"), toml).unwrap();
    server.stop();
    server.run();
}

/// A clinician with a login, and the Practitioner.
pub fn clinician<'s>(server: &'s TestServer, name: &str) -> (Client<'s>, String) {
    let practitioner = server.practitioner();
    server.account(name, &["--role", "clinician", "--fhir-user", &practitioner]);
    (signs_in(server, &app(server), name), practitioner)
}

/// Where other processes write, what was found out is believed for two seconds; here the next request knows.
pub fn soon(server: &TestServer, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(server.backend == Backend::Postgres && Instant::now() < end, "the change has no effect");
        thread::sleep(Duration::from_millis(100));
    }
}

pub fn team(subject: &str, member: &str) -> Value {
    json!({
        "resourceType": "CareTeam", "status": "active", "subject": {"reference": subject},
        "participant": [{"member": {"reference": member}}]
    })
}

/// A Patient with one Observation.
fn person(ehr: &Client<'_>) -> String {
    let id = created(ehr, &patient());
    created(ehr, &weight(&id, "70.1"));
    id
}

fn sees(client: &Client<'_>, mut wanted: Vec<&String>) -> bool {
    let mut ids = client.search("Patient").ids();
    ids.sort();
    wanted.sort();
    let all = client.search("Observation").matches().len();
    ids.iter().eq(wanted.iter().copied()) && all == wanted.len()
}

both! {
    fn a_clinician_sees_the_patients_of_the_own_active_care_teams(server) {
        let ehr = server.ehr();
        let (alice, bob) = (person(&ehr), person(&ehr));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        assert!(sees(&ruiz, vec![]));
        ruiz.get(&format!("/fhir/Patient/{alice}")).is(404);
        let mut sent = team(&format!("Patient/{alice}"), &practitioner);
        let id = created(&ehr, &sent);
        sent["id"] = json!(id);
        soon(server, || sees(&ruiz, vec![&alice]));
        ruiz.get(&format!("/fhir/Patient/{bob}")).is(404);
        for (element, value) in [
            ("status", json!("suspended")),
            ("period", json!({"end": "2020-01-01"})),
            ("period", json!({"start": "2999-01-01"})),
            ("participant", json!([{"member": {"reference": practitioner}, "period": {"end": "2020-01-01"}}])),
            ("participant", json!([{"member": {"reference": server.practitioner()}}])),
        ] {
            let mut changed = sent.clone();
            changed[element] = value;
            put(&ehr, &format!("/fhir/CareTeam/{id}"), &changed).is(200);
            soon(server, || sees(&ruiz, vec![]));
            put(&ehr, &format!("/fhir/CareTeam/{id}"), &sent).is(200);
            soon(server, || sees(&ruiz, vec![&alice]));
        }
        ehr.delete(&format!("/fhir/CareTeam/{id}")).is(204);
        soon(server, || sees(&ruiz, vec![]));
    }
}

both! {
    fn roles_organizations_and_groups_lead_to_patients(server) {
        let ehr = server.ehr();
        let (alice, bob, carol) = (person(&ehr), person(&ehr), person(&ehr));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        let ward = format!("Organization/{}", created(&ehr, &json!({"resourceType": "Organization", "name": "Ward"})));
        let role = created(&ehr, &json!({
            "resourceType": "PractitionerRole", "practitioner": {"reference": practitioner}, "organization": {"reference": ward}
        }));
        created(&ehr, &team(&format!("Patient/{alice}"), &format!("PractitionerRole/{role}")));
        soon(server, || sees(&ruiz, vec![&alice]));
        created(&ehr, &team(&format!("Patient/{bob}"), &ward));
        soon(server, || sees(&ruiz, vec![&alice, &bob]));
        let group = json!({
            "resourceType": "Group", "type": "person", "actual": true, "managingEntity": {"reference": practitioner},
            "member": [
                {"entity": {"reference": format!("Patient/{carol}")}},
                {"entity": {"reference": format!("Patient/{}", person(&ehr))}, "inactive": true},
                {"entity": {"reference": format!("Patient/{}", person(&ehr))}, "period": {"end": "2020-01-01"}}
            ]
        });
        created(&ehr, &group);
        soon(server, || sees(&ruiz, vec![&alice, &bob, &carol]));
        put(&ehr, &format!("/fhir/PractitionerRole/{role}"), &json!({
            "resourceType": "PractitionerRole", "id": role, "active": false,
            "practitioner": {"reference": practitioner}, "organization": {"reference": ward}
        })).is(200);
        soon(server, || sees(&ruiz, vec![&carol]));
    }
}

both! {
    fn whoever_signs_in_as_a_role_is_it_while_it_lasts(server) {
        let ehr = server.ehr();
        let alice = person(&ehr);
        let mut sent = json!({"resourceType": "PractitionerRole", "active": true, "practitioner": {"reference": server.practitioner()}});
        let role = created(&ehr, &sent);
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &format!("PractitionerRole/{role}")]);
        let ruiz = signs_in(server, &app(server), "ruiz");
        created(&ehr, &team(&format!("Patient/{alice}"), &format!("PractitionerRole/{role}")));
        soon(server, || sees(&ruiz, vec![&alice]));
        sent["id"] = json!(role);
        // Another role of the same person is another way to sign in.
        let other = json!({"resourceType": "PractitionerRole", "active": true, "practitioner": sent["practitioner"]});
        let (other, bob) = (created(&ehr, &other), person(&ehr));
        created(&ehr, &team(&format!("Patient/{bob}"), &format!("PractitionerRole/{other}")));
        soon(server, || sees(&ruiz, vec![&alice]));
        sent["active"] = json!(false);
        put(&ehr, &format!("/fhir/PractitionerRole/{role}"), &sent).is(200);
        soon(server, || sees(&ruiz, vec![]));
    }
}

both! {
    fn an_organization_above_that_of_the_role_opens_nothing(server) {
        let ehr = server.ehr();
        let (alice, bob) = (person(&ehr), person(&ehr));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        let organization = |name: &str, above: Option<&str>| {
            let mut made = json!({"resourceType": "Organization", "name": name});
            if let Some(above) = above {
                made["partOf"] = json!({"reference": above});
            }
            format!("Organization/{}", created(&ehr, &made))
        };
        let hospital = organization("Hospital", None);
        let ward = organization("Ward", Some(&hospital));
        created(&ehr, &json!({
            "resourceType": "PractitionerRole", "practitioner": {"reference": practitioner}, "organization": {"reference": ward}
        }));
        created(&ehr, &team(&format!("Patient/{alice}"), &hospital));
        created(&ehr, &team(&format!("Patient/{bob}"), &ward));
        soon(server, || sees(&ruiz, vec![&bob]));
    }
}

both! {
    fn a_group_is_the_subject_of_a_care_team(server) {
        let ehr = server.ehr();
        let (alice, bob) = (person(&ehr), person(&ehr));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        let members: Vec<Value> = [&alice, &bob].iter().map(|id| json!({"entity": {"reference": format!("Patient/{id}")}})).collect();
        let group = created(&ehr, &json!({"resourceType": "Group", "type": "person", "actual": true, "member": members}));
        created(&ehr, &team(&format!("Group/{group}"), &practitioner));
        soon(server, || sees(&ruiz, vec![&alice, &bob]));
    }
}

both! {
    fn a_role_that_is_taken_or_changed_ends_what_was_granted(server) {
        let ehr = server.ehr();
        let alice = person(&ehr);
        let (ruiz, practitioner) = clinician(server, "ruiz");
        created(&ehr, &team(&format!("Patient/{alice}"), &practitioner));
        soon(server, || sees(&ruiz, vec![&alice]));
        let auditor = server.auditor();
        server.place.tells(&["role", "revoke", "ruiz"]);
        soon(server, || ruiz.get("/fhir/Patient").status == 401);
        let changed = auditor.search("AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110113&_count=200").matches();
        let subtype = |event: &&Value| event["subtype"][0]["code"] == json!("110136");
        assert_eq!(changed.iter().filter(subtype).count(), 1);
        // By whom is what the system says on which it was done.
        let by = |name: &str| auditor.search(&format!("AuditEvent?agent:identifier=urn:firth:operator|{name}")).matches();
        assert!(server.place.command(&["role", "grant", "ruiz", "clinician"]).env("USER", "root").env("SUDO_USER", "ada").status().expect("firth runs").success());
        assert!(server.place.command(&["role", "revoke", "ruiz"]).env("USER", "bob").status().expect("firth runs").success());
        for name in ["ada", "bob"] {
            let found = by(name);
            let agents: Vec<(&Value, &Value)> = found.iter().flat_map(|event| event["agent"].as_array().unwrap()).map(|agent| (&agent["who"], &agent["requestor"])).collect();
            let operator = json!({"identifier": {"system": "urn:firth:operator", "value": name}});
            assert_eq!(agents, [(&json!({"display": "command line"}), &json!(false)), (&json!({"display": "Firth"}), &json!(false)), (&operator, &json!(true))]);
            assert_eq!((found.len(), &found[0]["subtype"][0]["code"]), (1, &json!("110136")));
        }
        let of_systems = server.place.firth(&["role", "grant", "ruiz", "ehr-system"]);
        assert!(String::from_utf8_lossy(&of_systems.stderr).contains("role ehr-system is of systems"), "{of_systems:?}");
        server.place.tells(&["role", "grant", "ruiz", "auditor"]);
        soon(server, || ruiz.get("/fhir/Patient").status == 401);
    }
}

both! {
    fn a_token_for_one_patient_sees_nobody_while_the_user_may_not_see_it(server) {
        let ehr = server.ehr();
        let alice = person(&ehr);
        let practitioner = server.practitioner();
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
        let mut cares = team(&format!("Patient/{alice}"), &practitioner);
        let id = created(&ehr, &cares);
        let scopes = "launch/patient offline_access patient/*.rs user/*.rs";
        let app = server.registered(&["--public", "--redirect-uri", crate::smart::flow::CALLBACK, "--scope", scopes]);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        let tokens = app.launches(&browser, "", "launch/patient offline_access patient/*.rs", &[]);
        let of_user = app.launches(&browser, "", "user/*.rs", &[]).text_at("/access_token");
        let of_user = server.nobody().bearer(&of_user);
        let refreshed = app.refreshes(&tokens.text_at("/refresh_token"), &[]).is(200).text_at("/access_token");
        let client = server.nobody().bearer(&refreshed);
        let path = format!("/fhir/Patient/{alice}");
        assert_eq!((tokens.at("/patient"), sees(&client, vec![&alice])), (json!(alice), true));
        cares["id"] = json!(id);
        cares["status"] = json!("inactive");
        put(&ehr, &format!("/fhir/CareTeam/{id}"), &cares).is(200);
        // What is hidden is as good as absent; a 401 would have the app refresh for ever.
        soon(server, || client.get(&path).status == 404);
        assert!(sees(&client, vec![]) && client.search("Observation").ids().is_empty());
        client.post("/fhir/Observation", &weight(&alice, "70.1")).is(403);
        // Nor does an emergency of the same user and app open it to this token.
        let reason = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious after a fall"}]});
        client.post(&format!("{path}/$break-glass"), &reason).is(403);
        of_user.post(&format!("{path}/$break-glass"), &reason).is(200);
        soon(server, || of_user.get(&path).status == 200);
        client.get(&path).is(404);
        // It comes back with the care.
        cares["status"] = json!("active");
        put(&ehr, &format!("/fhir/CareTeam/{id}"), &cares).is(200);
        soon(server, || sees(&client, vec![&alice]));
    }
}

both! {
    fn a_related_person_sees_the_patient_it_stands_by(server) {
        with_file(server, "[role.parent]\nscopes = \"user/*.rs\"\npatients = \"self\"\n");
        let ehr = server.ehr();
        let (alice, _) = (person(&ehr), person(&ehr));
        let mut related = json!({"resourceType": "RelatedPerson", "active": true, "patient": {"reference": format!("Patient/{alice}")}});
        let id = created(&ehr, &related);
        server.account("dana", &["--role", "parent", "--fhir-user", &format!("RelatedPerson/{id}")]);
        let dana = signs_in(server, &app(server), "dana");
        assert!(sees(&dana, vec![&alice]));
        related["id"] = json!(id);
        related["active"] = json!(false);
        put(&ehr, &format!("/fhir/RelatedPerson/{id}"), &related).is(200);
        soon(server, || sees(&dana, vec![]));
    }
}
