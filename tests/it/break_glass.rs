//! Emergency access: who gets it, how far it goes, what is recorded of it.

use serde_json::{Value, json};

use crate::care_team::{app, clinician, signs_in, soon, through};
use crate::consent::consent;
use crate::documents::{created, patient, put, weight};
use crate::support::{Client, Reply, TestServer};

const REASON: &str = "unconscious after a fall, allergies unknown";

fn breaks(client: &Client<'_>, patient: &str, parameter: Value) -> Reply {
    let sent = json!({"resourceType": "Parameters", "parameter": parameter});
    client.post(&format!("/fhir/Patient/{patient}/$break-glass"), &sent)
}

fn reason(text: &str) -> Value {
    json!([{"name": "reason", "valueString": text}])
}

/// A Patient, and an Observation of it.
fn person(server: &TestServer) -> (String, String) {
    let ehr = server.ehr();
    let id = created(&ehr, &patient());
    let observation = created(&ehr, &weight(&id, "70.1"));
    (id, observation)
}

both! {
    fn one_patient_is_opened_to_read_and_every_access_is_marked(server) {
        server.plant(REASON);
        let ((alice, weighed), (bob, _)) = (person(server), person(server));
        let (ruiz, practitioner) = clinician(server, "ruiz");
        ruiz.get(&format!("/fhir/Observation/{weighed}")).is(404);
        let opened = breaks(&ruiz, &alice, reason(REASON)).is(200);
        assert_eq!((opened.at("/resourceType"), opened.at("/parameter/0/name")), (json!("Parameters"), json!("expires")));
        assert!(opened.text_at("/parameter/0/valueInstant").ends_with('Z'));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        assert_eq!(ruiz.search("Observation").ids(), std::slice::from_ref(&weighed));
        ruiz.get(&format!("/fhir/Patient/{bob}")).is(404);
        // Nothing can be written.
        let mut changed = weight(&alice, "71.0");
        ruiz.post("/fhir/Observation", &changed).is(403);
        changed["id"] = json!(weighed);
        put(&ruiz, &format!("/fhir/Observation/{weighed}"), &changed).is(403);
        ruiz.delete(&format!("/fhir/Observation/{weighed}")).is(403);
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{weighed}")).is(200).at("/meta/versionId"), json!("1"));

        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&agent={practitioner}&_count=100")).matches();
        let purpose = |event: &Value| event["purposeOfEvent"][0]["coding"][0]["code"] == json!("BTG");
        let read = |event: &&Value| event["subtype"][0]["code"] == json!("read") && event["outcome"] == json!("0");
        assert!(events.iter().filter(read).count() == 1 && events.iter().filter(read).all(purpose), "{events:#?}");
        let search = |event: &&Value| event["subtype"][0]["code"] == json!("search-type");
        assert!(events.iter().filter(search).count() == 1 && events.iter().filter(search).all(purpose));
        let start: Vec<&Value> = events.iter().filter(|event| event["subtype"][0]["code"] == json!("110127")).collect();
        assert!(start.len() == 1 && purpose(start[0]), "{events:#?}");
        assert_eq!(start[0]["type"]["code"], json!("110113"));
    }
}

both! {
    fn what_is_asked_wrongly_is_refused_by_its_reason(server) {
        let (alice, _) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        for (parameter, said) in [
            (json!([{"name": "reason", "valueString": "too short"}]), "fewer than 10 characters"),
            (json!([{"name": "reason", "valueString": "          x"}]), "fewer than 10 characters"),
            (json!([{"name": "note", "valueString": "long enough to be one"}]), "the parameter reason alone"),
            (json!([{"name": "reason", "valueCode": "emergency-room"}]), "valueString"),
        ] {
            let refused = breaks(&ruiz, &alice, parameter).is(422);
            assert!(refused.text().contains(said), "{said}: {}", refused.text());
        }
        breaks(&ruiz, &uuid::Uuid::new_v4().to_string(), reason(REASON)).is(404);
        breaks(&ruiz, "nobody", reason(REASON)).is(404);
        ruiz.get(&format!("/fhir/Patient/{alice}")).is(404);
        // Tokens that nobody signed in for, and roles that it is not for.
        breaks(&server.clinician(&[]), &alice, reason(REASON)).is(403);
        breaks(&server.ehr(), &alice, reason(REASON)).is(403);
    }
}

both! {
    fn it_pierces_consent_and_is_the_user_s_and_the_client_s_alone(server) {
        let ((alice, weighed), ehr) = (person(server), server.ehr());
        let (ruiz, practitioner) = clinician(server, "ruiz");
        let team = json!({
            "resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{alice}")},
            "participant": [{"member": {"reference": practitioner}}]
        });
        created(&ehr, &team);
        created(&ehr, &consent(&alice, json!({"type": "deny"})));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let (other, _) = clinician(server, "silva");
        other.get(&format!("/fhir/Observation/{weighed}")).is(404);
        let elsewhere = signs_in(server, &app(server), "ruiz");
        elsewhere.get(&format!("/fhir/Observation/{weighed}")).is(404);
    }
}

both! {
    fn a_review_lists_what_was_read_and_ends_it(server) {
        server.plant(REASON);
        let (alice, weighed) = person(server);
        let (ruiz, practitioner) = clinician(server, "ruiz");
        assert_eq!(server.place.tells(&["access", "review"]), "");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        let told = server.place.tells(&["access", "review"]);
        let mut lines = told.lines();
        let parts: Vec<&str> = lines.next().unwrap().split('\t').collect();
        assert_eq!(&parts[3..], [&format!("ruiz ({practitioner})"), "Ward", &format!("Patient/{alice}"), REASON], "{told}");
        let read: Vec<&str> = lines.filter(|line| line.contains("\tread\t200\t")).collect();
        assert!(read.len() == 1 && read[0].ends_with(&format!("Observation/{weighed}")), "{told}");
        let unknown = server.place.firth(&["access", "review", "--close", "x", "--disposition", "justified"]);
        let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert!(!unknown.status.success() && said.contains("'x' is not the id of a break-glass access"), "{said}");
        let refused = server.place.firth(&["access", "review", "--close", parts[0]]);
        assert!(!refused.status.success());
        server.place.tells(&["access", "review", "--close", parts[0], "--disposition", "justified: emergency room"]);
        assert_eq!(server.place.tells(&["access", "review"]), "");
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        assert!(!server.place.firth(&["access", "review", "--close", parts[0], "--disposition", "again"]).status.success());
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
        assert_eq!(events.iter().filter(|event| event["subtype"][0]["code"] == json!("110138")).count(), 1, "{events:#?}");
    }
}

both! {
    fn a_review_of_several_of_one_patient_stays_readable(server) {
        let (alice, _) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        breaks(&ruiz, &alice, reason("still unconscious, still unknown")).is(200);
        for _ in 0..2 {
            let told = server.place.tells(&["access", "review"]);
            assert_eq!(told.lines().filter(|line| line.contains(&format!("Patient/{alice}")) && !line.starts_with('\t')).count(), 2, "{told}");
        }
        let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
        let reviews = events.iter().filter(|event| event.to_string().contains("firth access review")).count();
        assert_eq!(reviews, 2, "{events:#?}");
    }
}

both! {
    fn after_an_hour_it_is_over(server) {
        let (alice, weighed) = person(server);
        let (ruiz, _) = clinician(server, "ruiz");
        breaks(&ruiz, &alice, reason(REASON)).is(200);
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 200);
        // As if it had begun an hour before; a resource that says who may see what makes the server look again.
        server.sql(false, "UPDATE break_glass SET granted_at = granted_at - 3600001, expires_at = expires_at - 3600001").unwrap();
        created(&server.ehr(), &json!({"resourceType": "Group", "type": "person", "actual": true}));
        soon(server, || ruiz.get(&format!("/fhir/Observation/{weighed}")).status == 404);
        let ended = || {
            let events = server.auditor().search(&format!("AuditEvent?patient={alice}&_count=100")).matches();
            events.iter().any(|event| event["subtype"][0]["code"] == json!("110138"))
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !ended() {
            assert!(std::time::Instant::now() < end, "the end is not recorded");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}

both! {
    fn an_old_sign_in_opens_nothing(server) {
        let (alice, weighed) = person(server);
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &server.practitioner()]);
        let browser = server.browser();
        through(server, &app(server), &browser, "ruiz");
        server.sql(false, "UPDATE session SET auth_time = auth_time - 300000").unwrap();
        let ruiz = through(server, &app(server), &browser, "ruiz");
        let refused = breaks(&ruiz, &alice, reason(REASON)).is(401);
        let challenge = refused.header("www-authenticate").unwrap();
        for part in ["error=\"insufficient_user_authentication\"", "max_age=\"300\""] {
            assert!(challenge.contains(part), "{challenge}");
        }
        ruiz.get(&format!("/fhir/Observation/{weighed}")).is(404);
        // The reason is judged first.
        breaks(&ruiz, &alice, reason("short")).is(422);
    }
}
