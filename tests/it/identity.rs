//! What is the same sample, what is a newer version of it, and what is another one.

use serde_json::{Value, json};

use crate::support::Person;
use crate::support::actors::counts;
use crate::support::payload::*;

/// The values of all Observations, sorted.
fn values(of: &Person<'_>) -> Vec<String> {
    let mut found: Vec<String> = of.finds("").matches().iter().map(|one| one["valueQuantity"]["value"].to_string()).collect();
    found.sort();
    found
}

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
        assert_eq!(values(&alice), ["72", "73", "74"]);
    }
}

both! {
    fn a_record_without_an_id_is_another_than_one_with(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("a1", &minute(0), "71")]));
        alice.stores(&apple(vec![heart("b1", &minute(0), "80")]));
        let named = alice.finds("&identifier=b1").only();
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("", &minute(0), "90")]))), [1, 0, 0, 0]);
        assert_eq!(alice.finds("&identifier=b1").only(), named);
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("", &minute(0), "91")]))), [0, 0, 1, 0], "the one without an id is corrected");
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("c1", &minute(0), "91")]))), [1, 0, 0, 0]);
        let mixed = vec![heart("b1", &minute(0), "80"), heart("", &minute(0), "91"), heart("a1", &minute(0), "71")];
        assert_eq!(counts(&alice.uploads(&apple(mixed))), [0, 3, 0, 0]);
        assert_eq!(values(&alice), ["71", "80", "91", "91"]);
        let bob = server.person("bob");
        let one_body = vec![heart("", &minute(0), "90"), heart("b1", &minute(0), "80"), heart("", &minute(0), "90")];
        assert_eq!(counts(&bob.uploads(&apple(one_body))), [2, 1, 0, 0]);
        let other_order = vec![heart("a1", &minute(1), "71"), heart("", &minute(1), "90")];
        assert_eq!(counts(&bob.uploads(&apple(other_order))), [2, 0, 0, 0]);
        assert_eq!(values(&bob), ["71", "80", "90", "90"]);
    }
}

/// Every panel as `systolic/diastolic vVERSION`, sorted.
fn panels(of: &Person<'_>) -> Vec<String> {
    let half = |panel: &Value, n: usize| panel["component"][n]["valueQuantity"]["value"].to_string();
    let shown = |panel: &Value| format!("{}/{} v{}", half(panel, 0), half(panel, 1), panel["meta"]["versionId"].as_str().unwrap_or(""));
    let mut all: Vec<String> = of.finds("&code=http://loinc.org|85354-9").matches().iter().map(shown).collect();
    all.sort();
    all
}

both! {
    fn a_second_reading_of_the_same_half_is_another_panel(server) {
        let (s1, s2) = (record(SYSTOLIC, "s1", &minute(0), "124"), record(SYSTOLIC, "s2", &minute(0), "125"));
        let (d1, d2) = (record(DIASTOLIC, "d1", &minute(0), "80"), record(DIASTOLIC, "d2", &minute(0), "81"));
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        assert_eq!(counts(&alice.uploads(&apple(vec![s1.clone(), s2.clone(), d1.clone()]))), [3, 0, 0, 0]);
        assert_eq!(panels(&alice), ["124/80 v1", "125/null v1"]);
        for one in [&s1, &s2, &d1] {
            assert_eq!(counts(&bob.uploads(&apple(vec![one.clone()]))), [1, 0, 0, 0]);
        }
        assert_eq!(panels(&bob), ["124/80 v2", "125/null v1"]);
        for person in [&alice, &bob] {
            assert_eq!(counts(&person.uploads(&apple(vec![d1.clone(), s2.clone(), s1.clone()]))), [0, 3, 0, 0]);
            let again = record(SYSTOLIC, "s1", &minute(0), "126");
            assert_eq!(counts(&person.uploads(&apple(vec![d2.clone(), again]))), [1, 0, 1, 0]);
            let found = panels(person);
            assert!(found.len() == 2 && found[0].starts_with("125/81 ") && found[1].starts_with("126/80 "), "{found:?}");
            assert_eq!(person.finds("&identifier=d2").only()["component"][0]["valueQuantity"]["value"], 125);
        }
    }
}

both! {
    fn a_half_with_an_id_and_one_without_are_one_panel(server) {
        let alice = server.person("alice");
        let (systolic, diastolic) = (record(SYSTOLIC, "s1", &minute(0), "124"), record(DIASTOLIC, "", &minute(0), "80"));
        alice.stores(&apple(vec![systolic.clone()]));
        alice.stores(&apple(vec![diastolic.clone()]));
        assert_eq!(panels(&alice), ["124/80 v2"]);
        assert_eq!(alice.finds("&identifier=s1").ids().len(), 1, "the panel keeps the id of its other half");
        assert_eq!(counts(&alice.uploads(&apple(vec![diastolic.clone(), systolic.clone()]))), [0, 2, 0, 0]);
        let bob = server.person("bob");
        bob.stores(&apple(vec![diastolic, systolic]));
        assert_eq!((panels(&bob).as_slice(), bob.finds("&identifier=s1").ids().len()), (&["124/80 v1".to_owned()][..], 1));
    }
}

both! {
    fn halves_of_no_parent_that_move_keep_the_id_of_their_panel(server) {
        let alice = server.person("alice");
        let halves = |at: i64, systolic: &str| [record(SYSTOLIC, "s1", &minute(at), systolic), record(DIASTOLIC, "d1", &minute(at), "80")];
        alice.stores(&apple(halves(0, "124").to_vec()));
        let id = alice.finds("&code=http://loinc.org|85354-9").ids();
        let [systolic, diastolic] = halves(5, "126");
        assert_eq!(counts(&alice.uploads(&apple(vec![systolic.clone()]))), [0, 0, 1, 0]);
        assert_eq!(panels(&alice), ["126/80 v2"]);
        assert_eq!(counts(&alice.uploads(&apple(vec![diastolic.clone(), systolic]))), [0, 2, 0, 0]);
        assert_eq!(alice.finds("&code=http://loinc.org|85354-9").ids(), id);
        assert_eq!(alice.finds("&identifier=d1").only()["effectiveDateTime"].as_str().and_then(|at| at.get(14..16)), Some("05"));
    }
}

both! {
    fn a_record_that_stands_in_one_body_twice_moves(server) {
        let time = |person: &Person<'_>| person.finds("").only()["effectiveDateTime"].as_str().unwrap()[14..16].to_owned();
        for (name, first, second) in [("later", 0, 5), ("earlier", 5, 0)] {
            let person = server.person(name);
            let twice = apple(vec![heart("a", &minute(first), "70"), heart("b", &minute(20), "60"), heart("a", &minute(second), "71")]);
            assert_eq!(counts(&person.uploads(&twice)), [2, 0, 1, 0]);
            let moved = person.finds("&identifier=a").only();
            assert_eq!((&moved["valueQuantity"]["value"], &moved["meta"]["versionId"]), (&json!(71), &json!("2")), "{moved}");
            let b = person.finds("&identifier=b").only();
            assert_eq!(b["valueQuantity"]["value"], 60);
            assert_eq!(moved["effectiveDateTime"].as_str().and_then(|at| at.get(14..16)), Some(["00", "05"][usize::from(second == 5)]));
        }
        let other = server.person("other");
        let elsewhere = but(heart("a", &minute(0), "70"), "source", json!({"appId": "com.other", "deviceModel": "Other", "deviceType": "watch"}));
        assert_eq!(counts(&other.uploads(&apple(vec![heart("a", &minute(0), "70"), elsewhere]))), [1, 0, 1, 0]);
        assert_eq!((other.finds("").matches().len(), time(&other)), (1, "00".to_owned()));
    }
}

both! {
    fn halves_that_move_in_one_body_stay_one_panel(server) {
        let alice = server.person("alice");
        let at = |n: i64| [record(SYSTOLIC, "s", &minute(n), "120"), record(DIASTOLIC, "d", &minute(n), "80")];
        alice.stores(&apple([at(0), at(5)].concat()));
        assert_eq!(panels(&alice).iter().map(|panel| &panel[..6]).collect::<Vec<_>>(), ["120/80"]);
        assert_eq!(alice.finds("&identifier=d").matches().len(), 1);
        let bob = server.person("bob");
        bob.stores(&apple([at(0).to_vec(), vec![record(SYSTOLIC, "s2", &minute(5), "130")]].concat()));
        bob.stores(&apple(vec![record(DIASTOLIC, "d", &minute(5), "80")]));
        assert_eq!(bob.finds("&identifier=d").matches().len(), 1, "one record stands in one Observation");
    }
}

both! {
    fn an_id_is_found_as_it_was_sent(server) {
        let alice = server.person("alice");
        let uuid = "7C062E26-31D4-4E0B-9A57-6B0D2F0BDE02";
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("xAy", &minute(0), "71"), heart("xay", &minute(0), "72"), heart(uuid, &minute(1), "73")]))), [3, 0, 0, 0]);
        assert_eq!(alice.finds("&identifier=xAy").only()["valueQuantity"]["value"], 71);
        assert_eq!(alice.finds("&identifier=xay").only()["identifier"][0]["value"], "xay");
        assert_eq!(alice.finds(&format!("&identifier={}", uuid.to_lowercase())).only()["valueQuantity"]["value"], 73);
        assert_eq!(counts(&alice.uploads(&apple(vec![heart(&uuid.to_lowercase(), &minute(1), "73")]))), [0, 1, 0, 0], "a UUID has no case");
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

both! {
    fn a_panel_that_moves_keeps_both_halves(server) {
        let alice = server.person("alice");
        let half = |kind: &str, id: &str, at: i64, value: &str| but(record(kind, id, &minute(at), value), "parentId", json!("p"));
        alice.stores(&apple(vec![half(SYSTOLIC, "s1", 0, "124"), half(DIASTOLIC, "d1", 0, "80")]));
        assert_eq!(panels(&alice), ["124/80 v1"]);
        alice.uploads(&apple(vec![half(SYSTOLIC, "s1", 3, "124"), half(DIASTOLIC, "d1", 3, "80")]));
        let found = panels(&alice);
        assert!(found.len() == 1 && found[0].starts_with("124/80 "), "{found:?}");
        assert_eq!(alice.finds("&identifier=s1").ids(), alice.finds("&identifier=d1").ids());
        assert_eq!(counts(&alice.uploads(&apple(vec![half(DIASTOLIC, "d1", 3, "80"), half(SYSTOLIC, "s1", 3, "124")]))), [0, 2, 0, 0]);
        assert_eq!(counts(&alice.uploads(&apple(vec![half(SYSTOLIC, "s1", 3, "126")]))), [0, 0, 1, 0]);
        assert_eq!(counts(&alice.uploads(&apple(vec![half(DIASTOLIC, "d1", 3, "82")]))), [0, 0, 1, 0]);
        assert!(panels(&alice)[0].starts_with("126/82 "), "{:?}", panels(&alice));
    }
}

fn with_parent(half: &Value, parent: &str) -> Value {
    but(half.clone(), "parentId", json!(parent))
}

both! {
    fn a_half_that_brings_its_parent_later_moves_to_its_panel(server) {
        let (s, d) = (record(SYSTOLIC, "s1", &minute(0), "124"), record(DIASTOLIC, "d1", &minute(0), "80"));
        let (sp, dp) = (with_parent(&s, "p"), with_parent(&d, "p"));
        let bodies = [vec![sp.clone(), dp.clone()], vec![dp.clone(), sp.clone()]];
        for (n, body) in bodies.into_iter().enumerate() {
            let person = server.person(["alice", "bob"][n]);
            person.stores(&apple(vec![s.clone()]));
            let id = person.finds("").ids();
            assert_eq!(counts(&person.uploads(&apple(body.clone()))), [[1, 0, 1, 0], [1, 1, 0, 0]][n]);
            assert_eq!(panels(&person), ["124/80 v2"]);
            assert_eq!(person.finds("").ids(), id);
            for identifier in ["p", "s1", "d1"] {
                assert_eq!(person.finds(&format!("&identifier={identifier}")).ids(), id);
            }
            assert_eq!(counts(&person.uploads(&apple([body, vec![s.clone(), d.clone()]].concat()))), [0, 4, 0, 0]);
            assert_eq!(panels(&person), ["124/80 v2"]);
        }
        let carol = server.person("carol");
        assert_eq!(counts(&carol.uploads(&apple(vec![s.clone(), d.clone()]))), [2, 0, 0, 0]);
        assert_eq!(counts(&carol.uploads(&apple(vec![sp.clone()]))), [0, 0, 1, 0]);
        assert_eq!(counts(&carol.uploads(&apple(vec![dp.clone()]))), [0, 1, 0, 0]);
        assert_eq!(panels(&carol), ["124/80 v2"]);
        let dora = server.person("dora");
        assert_eq!(counts(&dora.uploads(&apple(vec![s, sp, dp]))), [2, 1, 0, 0]);
        assert_eq!(panels(&dora), ["124/80 v1"]);
    }
}

both! {
    fn a_half_that_brings_its_parent_and_another_time_takes_its_panel_there(server) {
        let half = |kind: &str, id: &str, at: i64, value: &str| record(kind, id, &minute(at), value);
        let moved = [with_parent(&half(SYSTOLIC, "s1", 5, "124"), "p"), with_parent(&half(DIASTOLIC, "d1", 5, "80"), "p")];
        let (alice, bob, carol) = (server.person("alice"), server.person("bob"), server.person("carol"));
        for person in [&alice, &bob] {
            person.stores(&apple(vec![half(SYSTOLIC, "s1", 0, "124")]));
        }
        alice.stores(&apple(moved.to_vec()));
        bob.stores(&apple(vec![moved[0].clone()]));
        bob.stores(&apple(vec![moved[1].clone()]));
        carol.stores(&apple([vec![half(SYSTOLIC, "s1", 0, "124")], moved.to_vec()].concat()));
        for person in [&alice, &bob, &carol] {
            let found = panels(person);
            assert!(found.len() == 1 && found[0].starts_with("124/80 "), "{found:?}");
            assert_eq!(person.finds("&identifier=p").only()["effectiveDateTime"].as_str().and_then(|at| at.get(14..16)), Some("05"));
            let again = [vec![moved[1].clone(), moved[0].clone()], hearts("r", 1)].concat();
            assert_eq!(counts(&person.uploads(&apple(again))), [1, 2, 0, 0]);
            assert_eq!(panels(person), found);
            let id = &person.finds("&identifier=p").ids()[0];
            let reply = server.ehr().get(&format!("/fhir/Observation/{id}/_history/1")).is(200);
            assert_eq!(reply.at("/component/0/valueQuantity/value"), json!(124));
        }
    }
}

both! {
    fn a_half_that_stood_alone_goes_into_its_parents_panel(server) {
        let (s, d) = (record(SYSTOLIC, "s1", &minute(0), "124"), record(DIASTOLIC, "d1", &minute(0), "80"));
        let (sp, dp) = (with_parent(&s, "p"), with_parent(&d, "p"));
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        alice.stores(&apple(vec![s.clone()]));
        let alone = alice.finds("").ids().remove(0);
        alice.stores(&apple(vec![dp.clone()]));
        let panel = alice.finds("&identifier=p").ids();
        assert_eq!(counts(&alice.uploads(&apple(vec![sp.clone()]))), [0, 0, 1, 0]);
        assert_eq!(counts(&bob.uploads(&apple(vec![dp.clone(), s.clone(), sp.clone()]))), [2, 0, 1, 0]);
        assert_eq!((panels(&alice), panels(&bob)), (vec!["124/80 v2".to_owned()], vec!["124/80 v1".to_owned()]));
        assert_eq!((alice.finds("").ids(), alice.finds("&identifier=s1").ids()), (panel.clone(), panel));
        server.ehr().get(&format!("/fhir/Observation/{alone}")).is(410);
        let history = server.ehr().search(&format!("Observation/{alone}/_history"));
        let methods: Vec<&Value> = history.0["entry"].as_array().unwrap().iter().map(|entry| &entry["request"]["method"]).collect();
        assert_eq!(methods, ["DELETE", "POST"]);
        for person in [&alice, &bob] {
            let before = panels(person);
            assert_eq!(counts(&person.uploads(&apple(vec![sp.clone(), d.clone(), s.clone(), dp.clone()]))), [0, 4, 0, 0]);
            server.place.tells(&["ingest", "--replay"]);
            assert_eq!(panels(person), before);
            assert_eq!(counts(&person.uploads(&apple(vec![but(s.clone(), "value", json!(126))]))), [0, 0, 1, 0]);
            let found = panels(person);
            assert!(found.len() == 1 && found[0].starts_with("126/80 "), "{found:?}");
        }
    }
}

both! {
    fn a_half_or_panel_that_had_moved_becomes_one_panel_too(server) {
        let half = |kind: &str, id: &str, at: i64, value: &str| record(kind, id, &minute(at), value);
        let (s, d) = (half(SYSTOLIC, "s1", 5, "124"), half(DIASTOLIC, "d1", 5, "80"));
        let (sp, dp) = (with_parent(&s, "p"), with_parent(&d, "p"));
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        alice.stores(&apple(vec![half(SYSTOLIC, "s1", 0, "124")]));
        alice.stores(&apple(vec![s.clone()]));
        let alone = alice.finds("").ids().remove(0);
        alice.stores(&apple(vec![dp.clone()]));
        bob.stores(&apple(vec![with_parent(&half(DIASTOLIC, "d1", 0, "80"), "p")]));
        bob.stores(&apple(vec![dp.clone()]));
        bob.stores(&apple(vec![s.clone()]));
        for person in [&alice, &bob] {
            assert_eq!(person.finds("").ids().len(), 2);
            assert_eq!(counts(&person.uploads(&apple(vec![sp.clone(), s.clone()]))), [0, 1, 1, 0]);
            let found = panels(person);
            assert!(found.len() == 1 && found[0].starts_with("124/80 "), "{found:?}");
            assert_eq!(counts(&person.uploads(&apple([vec![s.clone(), sp.clone(), dp.clone()], hearts("r", 1)].concat()))), [1, 3, 0, 0]);
            assert_eq!(panels(person), found);
        }
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{alone}")).is(410).header("etag"), Some("W/\"3\""));
    }
}

both! {
    fn what_holds_more_than_the_half_or_is_pointed_to_stays(server) {
        let (s, d) = (record(SYSTOLIC, "s1", &minute(0), "124"), record(DIASTOLIC, "d1", &minute(0), "80"));
        let dp = with_parent(&record(DIASTOLIC, "d2", &minute(0), "81"), "p");
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        alice.stores(&apple(vec![s.clone(), d]));
        bob.stores(&apple(vec![s.clone()]));
        let id = bob.finds("").ids().remove(0);
        let subject = json!({"resourceType": "Basic", "code": {"text": "note"}, "subject": {"reference": format!("Observation/{id}")}});
        server.ehr().post("/fhir/Basic", &subject).is(201);
        for person in [&alice, &bob] {
            person.stores(&apple(vec![dp.clone()]));
            assert_eq!(counts(&person.uploads(&apple(vec![with_parent(&s, "p")]))), [1, 0, 0, 0]);
        }
        assert_eq!((panels(&alice), panels(&bob)), (vec!["124/80 v1".into(), "124/81 v2".into()], vec!["124/81 v2".to_owned(), "124/null v1".into()]));
        server.ehr().get(&format!("/fhir/Observation/{id}")).is(200);
    }
}
