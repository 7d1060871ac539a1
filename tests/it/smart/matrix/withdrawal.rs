//! What ends access while somebody is at work: a token that is revoked, a Consent that is changed by any way to write, and
//! what a request is for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::care_team::{app, signs_in, soon, with_file};
use crate::consent::consent;
use crate::documents::{created, put};
use crate::smart::doors::{Door, Sights, doors};
use crate::smart::flow::Clinic;
use crate::support::payload::{apple, hearts};
use crate::support::{Client, Reply, TestServer};

/// Within five seconds, whoever is remembered; how long it took to hold.
#[track_caller]
pub fn in_five_seconds(holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < end, "not within five seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn statuses(server: &TestServer, doors: &[Door], token: &str) -> Vec<(&'static str, u16)> {
    doors.iter().map(|door| (door.name, door.bearer(&server.url(), token).status)).collect()
}

both! {
    fn a7_a_revoked_token_ends_by_every_way_and_for_good(server) {
        let (clinic, of) = (Clinic::new(server), server.public_app());
        created(&server.ehr(), &crate::documents::weight(&clinic.patient, "62.1"));
        let scope = "launch/patient offline_access patient/*.rs";
        let by_access = of.launches(&clinic.person, "", scope, &[]);
        let by_refresh = of.launches(&clinic.person, "", scope, &[]);
        let (opaque, id) = server.token(&["--role", "patient", "--patient", &clinic.patient]);
        let revoke = |token: String| drop(server.nobody().form("/oauth/revoke", &[("token", token.as_str()), ("client_id", of.id.as_str())]).is(200));
        let ends: [(String, Box<dyn Fn() + '_>); 3] = [
            (by_access.text_at("/access_token"), Box::new(|| revoke(by_access.text_at("/access_token")))),
            (by_refresh.text_at("/access_token"), Box::new(|| revoke(by_refresh.text_at("/refresh_token")))),
            (opaque, Box::new(|| drop(server.place.tells(&["token", "revoke", &id])))),
        ];
        for (token, end) in ends {
            let next = server.nobody().bearer(&token).search("Observation?_count=1").next().unwrap();
            let doors = doors(&Sights { patient: &clinic.patient, observation: &clinic.observation, next: &next });
            let all = |status: u16| statuses(server, &doors, &token).iter().all(|(_, came)| *came == status);
            assert!(all(200), "{:?}", statuses(server, &doors, &token));
            end();
            in_five_seconds(|| all(401));
            // And when nobody can remember it any more.
            std::thread::sleep(Duration::from_millis(2_500));
            assert!(all(401), "{:?}", statuses(server, &doors, &token));
        }
    }
}

/// A clinician's token, and every way to what is known of the clinic's patient.
fn at_work(clinic: &Clinic<'_>) -> (String, Vec<Door>) {
    created(&clinic.server.ehr(), &crate::documents::weight(&clinic.patient, "62.1"));
    let token = clinic.server.public_app().launches(&clinic.clinician, "", "user/*.rs", &[]).text_at("/access_token");
    let next = clinic.server.nobody().bearer(&token).search("Observation?_count=1").next().unwrap();
    let doors = doors(&Sights { patient: &clinic.patient, observation: &clinic.observation, next: &next });
    (token, doors)
}

both! {
    fn a57_a_role_that_is_taken_ends_by_every_way(server) {
        let clinic = Clinic::new(server);
        let (token, doors) = at_work(&clinic);
        let all = |status: u16| statuses(server, &doors, &token).iter().all(|(_, came)| *came == status);
        assert!(all(200), "{:?}", statuses(server, &doors, &token));
        server.place.tells(&["role", "revoke", "ruiz"]);
        in_five_seconds(|| all(401));
        // The role that is given back does not bring back what was granted by it.
        server.place.tells(&["role", "grant", "ruiz", "clinician"]);
        std::thread::sleep(Duration::from_millis(2_500));
        assert!(all(401), "{:?}", statuses(server, &doors, &token));
    }
}

both! {
    fn a57_what_a_consent_denies_is_shown_by_no_way(server) {
        let clinic = Clinic::new(server);
        let (token, doors) = at_work(&clinic);
        // By which ways the patient or what is known of it is told.
        let shown = || -> Vec<&str> {
            let tells = |reply: &Reply| {
                let mut body = reply.json();
                // Consents themselves are not withheld: who must keep to them must read them.
                let entries = body["entry"].as_array_mut();
                entries.into_iter().for_each(|all| all.retain(|entry| entry["resource"]["resourceType"] != "Consent"));
                body.to_string().contains(&format!("\"Patient/{}\"", clinic.patient)) || body["id"] == clinic.patient.as_str()
            };
            let shows = |door: &&Door| {
                let reply = door.bearer(&server.url(), &token);
                if door.name == "HEAD" { reply.status == 200 } else { tells(&reply) }
            };
            doors.iter().filter(shows).map(|door| door.name).collect()
        };
        let all: Vec<&str> = doors.iter().map(|door| door.name).collect();
        assert_eq!(shown(), all);
        let mut sent = consent(&clinic.patient, json!({"type": "deny"}));
        sent["id"] = json!(created(&server.ehr(), &sent));
        in_five_seconds(|| shown().is_empty());
        sent["status"] = json!("inactive");
        put(&server.ehr(), &format!("/fhir/Consent/{}", id(&sent)), &sent).is(200);
        in_five_seconds(|| shown() == all);
        sent["status"] = json!("active");
        put(&server.ehr(), &format!("/fhir/Consent/{}", id(&sent)), &sent).is(200);
        in_five_seconds(|| shown().is_empty());
    }
}

/// A way to write a Consent: as it is now, and as it shall be.
type Way = (&'static str, fn(&Client<'_>, &Value) -> Reply);

fn patch(status: &str) -> Value {
    json!([{"op": "replace", "path": "/status", "value": status}])
}

fn id(sent: &Value) -> &str {
    sent["id"].as_str().unwrap()
}

fn status(sent: &Value) -> &str {
    sent["status"].as_str().unwrap()
}

fn of_bundle(ehr: &Client<'_>, kind: &str, entry: Value) -> Reply {
    let reply = ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": kind, "entry": [entry]})).is(200);
    assert!(reply.text_at("/entry/0/response/status").starts_with("20"), "{}", reply.text());
    reply
}

fn patched_in(ehr: &Client<'_>, kind: &str, sent: &Value) -> Reply {
    let data = data_encoding::BASE64.encode(patch(status(sent)).to_string().as_bytes());
    let resource = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data});
    of_bundle(ehr, kind, json!({"request": {"method": "PATCH", "url": format!("Consent/{}", id(sent))}, "resource": resource}))
}

fn put_in(ehr: &Client<'_>, kind: &str, sent: &Value) -> Reply {
    of_bundle(ehr, kind, json!({"request": {"method": "PUT", "url": format!("Consent/{}", id(sent))}, "resource": sent}))
}

fn by_fhirpath(ehr: &Client<'_>, sent: &Value) -> Reply {
    let part = json!([{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Consent.status"}, {"name": "value", "valueCode": status(sent)}]);
    let body = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}).to_string();
    ehr.with("content-type", "application/fhir+json").send("PATCH", &format!("/fhir/Consent/{}", id(sent)), Some(body.as_bytes())).is(200)
}

fn by_json_patch(ehr: &Client<'_>, path: &str, sent: &Value) -> Reply {
    let body = patch(status(sent)).to_string();
    ehr.with("content-type", "application/json-patch+json").send("PATCH", path, Some(body.as_bytes())).is(200)
}

const WAYS: [Way; 8] = [
    ("PUT", |ehr, sent| put(ehr, &format!("/fhir/Consent/{}", id(sent)), sent).is(200)),
    ("PATCH", |ehr, sent| by_json_patch(ehr, &format!("/fhir/Consent/{}", id(sent)), sent)),
    ("PATCH by FHIRPath", by_fhirpath),
    ("PATCH by criteria", |ehr, sent| by_json_patch(ehr, &format!("/fhir/Consent?_id={}", id(sent)), sent)),
    ("PUT in a batch", |ehr, sent| put_in(ehr, "batch", sent)),
    ("PUT in a transaction", |ehr, sent| put_in(ehr, "transaction", sent)),
    ("PATCH in a batch", |ehr, sent| patched_in(ehr, "batch", sent)),
    ("PATCH in a transaction", |ehr, sent| patched_in(ehr, "transaction", sent)),
];

both! {
    fn a57_a_consent_takes_effect_in_five_seconds_however_it_is_written(server) {
        let (alice, ehr) = (server.person("alice"), server.ehr());
        alice.stores(&apple(hearts("a", 3)));
        let clinician = server.clinician(&[&alice]);
        let sees = || clinician.search("Observation").matches().len();
        assert_eq!(sees(), 3);
        // The Patient stays to be seen: a transaction keeps no reference to what its writer may not see.
        let denied = json!({"type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]});
        let mut sent = consent(&alice.patient, denied.clone());
        sent["status"] = json!("draft");
        sent["id"] = json!(created(&ehr, &sent));
        for (way, write) in WAYS {
            for (status, rows) in [("active", 0), ("inactive", 3)] {
                println!("{way}: {status}");
                sent["status"] = json!(status);
                write(&ehr, &sent);
                in_five_seconds(|| sees() == rows);
            }
        }
        // And when it is made or deleted in a Bundle.
        for kind in ["batch", "transaction"] {
            let body = consent(&alice.patient, denied.clone());
            let made = of_bundle(&ehr, kind, json!({"request": {"method": "POST", "url": "Consent"}, "resource": body}));
            in_five_seconds(|| sees() == 0);
            let location = made.text_at("/entry/0/response/location");
            let path = location.split("/_history").next().unwrap().rsplit("/fhir/").next().unwrap().to_owned();
            of_bundle(&ehr, kind, json!({"request": {"method": "DELETE", "url": path}}));
            in_five_seconds(|| sees() == 3);
        }
        sent["status"] = json!("active");
        put(&ehr, &format!("/fhir/Consent/{}", id(&sent)), &sent).is(200);
        in_five_seconds(|| sees() == 0 && ehr.search("Observation").matches().is_empty());
        assert_eq!(alice.own().search("Observation").matches().len(), 3);
    }
}

const PURPOSES: &str = "[role.study]\nscopes = \"user/*.rs\"\npatients = \"care-team\"\npurpose = \"HRESCH\"\n\
    [role.ward]\nscopes = \"user/*.rs\"\npatients = \"care-team\"\npurpose = \"TREAT\"\n\
    [role.office]\nscopes = \"user/*.rs\"\npatients = \"care-team\"\n";

fn purpose(code: &str) -> Value {
    json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}])
}

both! {
    fn what_a_role_is_for_decides_about_a_consent(server) {
        with_file(server, PURPOSES);
        let (ehr, of) = (server.ehr(), app(server));
        let alice = created(&ehr, &crate::documents::patient());
        created(&ehr, &crate::documents::weight(&alice, "70.1"));
        let people = ["study", "ward", "office"].map(|role| {
            let practitioner = server.practitioner();
            let team = json!({"resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{alice}")},
                "participant": [{"member": {"reference": practitioner}}]});
            created(&ehr, &team);
            server.account(role, &["--role", role, "--fhir-user", &practitioner]);
            signs_in(server, &of, role)
        });
        let see = || people.each_ref().map(|client| client.search("Observation").matches().len());
        assert_eq!(see(), [1, 1, 1]);
        // Of the office nobody knows what it asks for: what denies is met, what permits is not.
        for (provision, seen) in [
            (json!({"type": "deny", "purpose": purpose("HRESCH")}), [0, 1, 0]),
            (json!({"type": "deny", "purpose": purpose("TREAT")}), [1, 0, 0]),
            (json!({"type": "deny", "purpose": purpose("HMARKT")}), [1, 1, 0]),
            (json!({"type": "deny", "provision": [{"type": "permit", "purpose": purpose("TREAT")}]}), [0, 1, 0]),
            (json!({"type": "deny", "purpose": [purpose("TREAT")[0], purpose("HRESCH")[0]]}), [0, 0, 0]),
        ] {
            let id = created(&ehr, &consent(&alice, provision.clone()));
            soon(server, || see() == seen);
            assert_eq!(see(), seen, "{provision}");
            ehr.delete(&format!("/fhir/Consent/{id}")).is(204);
            soon(server, || see() == [1, 1, 1]);
        }
    }
}

#[test]
fn a_purpose_is_one_that_consents_can_name() {
    let place = crate::support::server::Place::new();
    std::fs::write(place.path().join("firth.toml"), PURPOSES.replace("HRESCH", "SCIENCE")).unwrap();
    let output = place.firth(&["role", "list"]);
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && says.contains("firth.toml: role.study has purpose = \"SCIENCE\"; write one of TREAT, "), "{says}");
}
