//! From an SDK's body to Observations that can be searched, read and read back by version.

use serde_json::{Value, json};

use crate::support::actors::counts;
use crate::support::payload::*;

both! {
    fn a_heart_rate_goes_from_upload_to_search_read_and_vread(server) {
        let alice = server.person("alice");
        let upload = alice.uploads(&apple(vec![heart("r-1", "2026-03-14T08:00:00Z", "72.10")]));
        assert_eq!((counts(&upload), upload.at("/status")), ([1, 0, 0, 0], json!("success")));
        let found = alice.finds("&code=http://loinc.org|8867-4").only();
        assert_eq!(found["valueQuantity"]["value"].to_string(), "72.10");
        assert_eq!(found["valueQuantity"]["code"], "/min");
        assert_eq!(found["effectiveDateTime"], "2026-03-14T09:00:00+01:00");
        assert_eq!(found["subject"]["reference"], format!("Patient/{}", alice.patient));
        let id = found["id"].as_str().unwrap();
        let read = server.ehr().get(&format!("/fhir/Observation/{id}")).is(200);
        assert_eq!((read.json(), read.header("etag")), (found.clone(), Some("W/\"1\"")));
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{id}/_history/1")).is(200).json(), found);
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{id}/_history/2")).is(404).code(), "resource.not-found");
    }
}

both! {
    fn the_answer_is_that_of_the_sdks_and_names_the_upload(server) {
        let alice = server.person("alice");
        let reply = alice.sync(apple(vec![heart("r-1", &minute(0), "72")]).to_string().as_bytes()).is(202);
        let upload = reply.text_at("/upload_id");
        assert_eq!(
            reply.json(),
            json!({"status_code": 202, "response": "Import task queued successfully", "user_id": alice.user, "upload_id": upload})
        );
        let place = format!("{}/api/v1/sdk/users/{}/uploads/{upload}", server.url(), alice.user);
        assert_eq!(reply.header("location"), Some(place.as_str()));
        let outcome = alice.sdk().get(&place).is(200);
        assert_eq!((outcome.text_at("/upload_id"), outcome.text_at("/run_id"), outcome.text_at("/provider")), (upload.clone(), upload, "apple".into()));
        assert_eq!((outcome.at("/stage"), outcome.at("/items_total"), outcome.at("/items_processed")), (json!("completed"), json!(1), json!(1)));
        assert!(outcome.at("/started_at").is_string() && outcome.at("/ended_at").is_string());
    }
}

both! {
    fn counts_add_up_and_each_refusal_has_a_reason(server) {
        let alice = server.person("alice");
        let records = vec![
            heart("r-1", &minute(0), "72"),
            record("HKQuantityTypeIdentifierNikeFuel", "r-2", &minute(0), "5"),
            heart("r-3", &minute(1), "4000"),
            heart("r-1", &minute(0), "72"),
        ];
        let upload = alice.uploads(&apple(records));
        assert_eq!((counts(&upload), upload.at("/items_total"), upload.at("/status")), ([1, 1, 0, 2], json!(4), json!("partial")));
        let refused = |n: usize, member: &str| upload.at(&format!("/refused/{n}/{member}"));
        assert_eq!((refused(0, "list"), refused(0, "index"), refused(0, "code")), (json!("records"), json!(1), json!("type.unmapped")));
        assert_eq!(refused(0, "type"), "HKQuantityTypeIdentifierNikeFuel");
        assert_eq!((refused(1, "index"), refused(1, "code")), (json!(2), json!("value.range")));
        assert!(refused(1, "reason").is_string() && refused(1, "remedy").is_string());
    }
}

both! {
    fn two_records_make_one_blood_pressure(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![record(SYSTOLIC, "bp-1", &minute(0), "121"), record(DIASTOLIC, "bp-2", &minute(0), "79")]));
        let panel = alice.finds("&code=http://loinc.org|85354-9").only();
        let component = |n: usize, path: &str| panel.pointer(&format!("/component/{n}{path}")).cloned().unwrap_or_default();
        assert_eq!((component(0, "/code/coding/0/code"), component(0, "/valueQuantity/value")), (json!("8480-6"), json!(121)));
        assert_eq!((component(1, "/code/coding/0/code"), component(1, "/valueQuantity/value")), (json!("8462-4"), json!(79)));
        assert_eq!((&panel["meta"]["versionId"], panel.get("valueQuantity")), (&json!("1"), None));
    }
}

both! {
    fn the_other_half_of_a_blood_pressure_in_a_later_upload_is_the_next_version(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![record(SYSTOLIC, "bp-1", &minute(0), "121")]));
        let half = alice.finds("&code=http://loinc.org|85354-9").only();
        assert_eq!(half["component"][1]["dataAbsentReason"]["coding"][0]["code"], "unknown");
        assert_eq!(half["component"][1].get("valueQuantity"), None);
        let upload = alice.uploads(&apple(vec![record(DIASTOLIC, "bp-2", &minute(0), "79")]));
        assert_eq!(counts(&upload), [1, 0, 0, 0], "a record that was not there is stored, not corrected");
        let whole = alice.finds("&code=http://loinc.org|85354-9").only();
        assert_eq!((&whole["id"], &whole["meta"]["versionId"]), (&half["id"], &json!("2")));
        assert_eq!((&half["status"], &whole["status"]), (&json!("final"), &json!("amended")));
        assert_eq!((&whole["component"][0]["valueQuantity"]["value"], &whole["component"][1]["valueQuantity"]["value"]), (&json!(121), &json!(79)));
        let id = whole["id"].as_str().unwrap();
        let before = server.ehr().get(&format!("/fhir/Observation/{id}/_history/1")).is(200).json();
        assert_eq!(before["component"][1].get("valueQuantity"), None);
    }
}

both! {
    fn a_night_is_one_observation_a_segment(server) {
        let alice = server.person("alice");
        let segments = vec![
            sleep("s-1", "light", "2026-03-13T23:10:00Z", "2026-03-14T00:00:00Z"),
            sleep("s-2", "deep", "2026-03-14T00:00:00Z", "2026-03-14T00:40:00Z"),
            sleep("s-3", "rem", "2026-03-14T00:40:00Z", "2026-03-14T01:00:00Z"),
        ];
        alice.stores(&night(segments));
        let found = alice.finds("&_sort=date").matches();
        let stages: Vec<Value> = found.iter().map(|one| one["valueCodeableConcept"]["coding"][0]["code"].clone()).collect();
        assert_eq!(stages, ["asleepCore", "asleepDeep", "asleepREM"]);
        assert_eq!(found[0]["effectivePeriod"], json!({"start": "2026-03-14T00:10:00+01:00", "end": "2026-03-14T01:00:00+01:00"}));
        assert_eq!(found[0]["category"][0]["coding"][0]["code"], "social-history");
    }
}

both! {
    fn a_time_without_zone_is_said_to_have_none(server) {
        let alice = server.person("alice");
        let far = but(heart("r-1", "2026-03-14T08:00:00Z", "72"), "zoneOffset", Value::Null);
        alice.stores(&apple(vec![far]));
        let found = alice.finds("").only();
        assert_eq!((&found["effectiveDateTime"], &found["meta"]["tag"][0]["code"]), (&json!("2026-03-14T08:00:00Z"), &json!("offset-unknown")));
    }
}

both! {
    fn a_file_goes_the_way_of_an_upload(server) {
        let alice = server.person("alice");
        let file = server.place.path().join("body.json");
        std::fs::write(&file, apple(hearts("f", 3)).to_string()).unwrap();
        let arguments = ["ingest", "body.json", "--provider", "apple", "--patient", alice.patient.as_str()];
        let printed = server.place.tells(&arguments);
        assert!(printed.contains("items=3 stored=3 unchanged=0 corrected=0 refused=0"), "{printed}");
        assert_eq!(alice.finds("").matches().len(), 3);
        std::fs::write(&file, "<xml/>").unwrap();
        let refused = server.place.firth(&arguments);
        let says = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{says}");
        assert!(says.contains("ingest reads SDK uploads (JSON)"), "{says}");
    }
}

both! {
    fn kept_bodies_are_replayed_without_doubling(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 5)));
        let printed = server.place.tells(&["ingest", "--replay"]);
        assert!(printed.contains("items=5 stored=0 unchanged=5 corrected=0 refused=0"), "{printed}");
        assert_eq!(alice.finds("").matches().len(), 5);
    }
}

both! {
    fn a_replay_of_an_older_body_leaves_what_came_later(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("one", &minute(0), "60"), heart("two", &minute(1), "70")]));
        alice.stores(&apple(vec![heart("one", &minute(0), "61")]));
        // The second record has moved in time: its Observation is a document.
        alice.stores(&apple(vec![heart("two", &minute(9), "71")]));
        let before = alice.finds("&_sort=date").matches();
        for _ in 0..2 {
            server.place.tells(&["ingest", "--replay"]);
        }
        assert_eq!(alice.finds("&_sort=date").matches(), before);
        assert_eq!(before.len(), 2);
    }
}
