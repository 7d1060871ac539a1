//! What is the same sample, what is a newer version of it, and what is another one.

use serde_json::{Value, json};

use crate::support::actors::counts;
use crate::support::payload::*;

both! {
    fn the_same_records_cut_into_other_bodies_are_not_stored_again(server) {
        let alice = server.person("alice");
        let records = hearts("r", 60);
        alice.stores(&apple(records.clone()));
        let ids = alice.finds("&_sort=date").ids();
        for part in records.chunks(25) {
            let mut part = part.to_vec();
            part.reverse();
            let upload = alice.uploads(&apple(part.clone()));
            assert_eq!(counts(&upload), [0, part.len() as i64, 0, 0]);
        }
        assert_eq!(alice.finds("&_sort=date").ids(), ids);
        assert!(alice.finds("").matches().iter().all(|one| one["meta"]["versionId"] == "1"));
    }
}

both! {
    fn records_without_ids_are_known_by_source_and_time(server) {
        let alice = server.person("alice");
        let records: Vec<Value> = (0..10).map(|n| heart("", &minute(n), "70")).collect();
        alice.stores(&apple(records.clone()));
        let mut newer = records;
        for record in &mut newer {
            record["source"]["deviceSoftwareVersion"] = json!("10.4");
        }
        assert_eq!(counts(&alice.uploads(&apple(newer.clone()))), [0, 10, 0, 0]);
        for record in &mut newer {
            record["source"]["productType"] = json!("Watch9,9");
            record["source"]["deviceHardwareVersion"] = json!("Watch9,9");
        }
        assert_eq!(counts(&alice.uploads(&apple(newer))), [10, 0, 0, 0], "another device measured it, too");
    }
}

both! {
    fn an_equal_number_in_another_spelling_or_unit_is_no_change(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![record(WEIGHT, "w-1", &minute(0), "72.5")]));
        assert_eq!(counts(&alice.uploads(&apple(vec![record(WEIGHT, "w-1", &minute(0), "72.50")]))), [0, 1, 0, 0]);
        let grams = but(record(WEIGHT, "w-1", &minute(0), "72500"), "unit", json!("g"));
        assert_eq!(counts(&alice.uploads(&apple(vec![grams]))), [0, 1, 0, 0]);
        assert_eq!(alice.finds("").only()["meta"]["versionId"], "1");
    }
}

both! {
    fn growing_steps_are_the_next_version(server) {
        let alice = server.person("alice");
        let steps = |count: &str, end: i64| but(record(STEPS, "st-1", &minute(0), count), "endDate", json!(minute(end)));
        alice.stores(&apple(vec![steps("100", 10)]));
        let first = alice.finds("").only();
        assert_eq!(counts(&alice.uploads(&apple(vec![steps("180", 20)]))), [0, 0, 1, 0]);
        let second = alice.finds("").only();
        assert_eq!((&second["id"], &second["meta"]["versionId"], &second["valueQuantity"]["value"]), (&first["id"], &json!("2"), &json!(180)));
        assert_eq!(second["status"], "amended");
        let id = first["id"].as_str().unwrap();
        let vread = |version: u32| server.ehr().get(&format!("/fhir/Observation/{id}/_history/{version}")).is(200).json();
        assert_eq!((vread(1), vread(2)), (first.clone(), second));
        server.ehr().get(&format!("/fhir/Observation/{id}/_history/3")).is(404);
    }
}

both! {
    fn a_correction_of_the_start_keeps_the_id_and_both_versions(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("r-1", &minute(0), "72"), heart("r-2", &minute(5), "80")]));
        let first = alice.finds("&identifier=r-1").only();
        let id = first["id"].as_str().unwrap();
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("r-1", &minute(3), "73")]))), [0, 0, 1, 0]);
        let moved = alice.finds("&identifier=r-1").only();
        assert_eq!((&moved["id"], &moved["meta"]["versionId"], &moved["valueQuantity"]["value"]), (&first["id"], &json!("2"), &json!(73)));
        assert_eq!(moved["effectiveDateTime"], "2026-03-01T01:03:00+01:00");
        assert_eq!(alice.finds("").matches().len(), 2);
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{id}")).is(200).json(), moved);
        let vread = |version: u32| server.ehr().get(&format!("/fhir/Observation/{id}/_history/{version}")).is(200).json();
        assert_eq!((vread(1), vread(2)), (first.clone(), moved.clone()));
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("r-1", &minute(3), "73"), heart("r-9", &minute(9), "70")]))), [1, 1, 0, 0]);
        assert_eq!(alice.finds("&identifier=r-1").only(), moved, "the same correction again changes nothing");
        assert_eq!(alice.finds("&date=2026-03-01T00:00:00Z&_sort=date").matches().len(), 0, "the old place is empty");
    }
}

both! {
    fn two_samples_of_one_moment_are_two(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("r-1", &minute(0), "72"), heart("r-2", &minute(0), "73")]));
        alice.stores(&apple(vec![heart("r-3", &minute(0), "74")]));
        let mut found: Vec<String> = alice.finds("").matches().iter().map(|one| one["valueQuantity"]["value"].to_string()).collect();
        found.sort();
        assert_eq!(found, ["72", "73", "74"]);
    }
}

both! {
    fn people_do_not_share_records(server) {
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        for person in [&alice, &bob] {
            assert_eq!(counts(&person.uploads(&apple(hearts("r", 3)))), [3, 0, 0, 0]);
        }
        let (a, b) = (alice.finds("").ids(), bob.finds("").ids());
        assert!(a.iter().all(|id| !b.contains(id)));
    }
}
