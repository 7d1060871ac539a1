//! Samples that somebody edited or deleted through FHIR: no upload undoes that, and each says so.

use serde_json::{Value, json};

use crate::support::actors::counts;
use crate::support::payload::*;
use crate::support::{Person, Reply, TestServer};

/// Writes the Observation with another number (`at` is where that stands), or deletes it.
#[track_caller]
fn edit(server: &TestServer, observation: &Value, at: &str, value: i64) -> Reply {
    let mut edited = observation.clone();
    *edited.pointer_mut(at).unwrap_or_else(|| panic!("no {at} in {observation}")) = json!(value);
    let path = format!("/fhir/Observation/{}", observation["id"].as_str().unwrap());
    server.ehr().with("content-type", "application/fhir+json").send("PUT", &path, Some(edited.to_string().as_bytes()))
}

#[track_caller]
fn delete(server: &TestServer, observation: &Value) {
    server.ehr().delete(&format!("/fhir/Observation/{}", observation["id"].as_str().unwrap())).is(204);
}

const VALUE: &str = "/valueQuantity/value";

/// `INDEX CODE` of every record whose Observation was left alone.
#[track_caller]
fn kept(upload: &Reply) -> Vec<String> {
    let json = upload.json();
    let all = json["kept"].as_array().unwrap_or_else(|| panic!("no kept in {json}"));
    all.iter().map(|one| format!("{} {}", one["index"], one["code"].as_str().unwrap())).collect()
}

fn elsewhere(record: Value) -> Value {
    but(record, "source", json!({"appId": "com.other", "deviceModel": "Other", "deviceType": "watch"}))
}

both! {
    fn a_record_of_an_edited_sample_is_left_alone(server) {
        let alice = server.person("alice");
        let first = vec![heart("a", &minute(0), "60"), heart("b", &minute(1), "61"), heart("", &minute(2), "62"), heart("d", &minute(3), "63")];
        alice.stores(&apple(first.clone()));
        let mut found = alice.finds("&_sort=date").matches();
        // The record is known even when its identifier was taken away.
        found[0].as_object_mut().unwrap().remove("identifier");
        edit(server, &found[0], VALUE, 99).is(200);
        delete(server, &found[1]);
        edit(server, &found[2], VALUE, 98).is(200);
        let before = alice.finds("&_sort=date").matches();
        let same_but_bytes = but(first[0].clone(), "metadata", json!({"HKWasUserEntered": "0"}));
        let again = alice.uploads(&apple(vec![same_but_bytes, first[1].clone(), first[2].clone(), first[3].clone()]));
        assert_eq!((counts(&again), kept(&again)), ([0, 4, 0, 0], vec!["0 sample.edited".into(), "1 sample.deleted".into(), "2 sample.edited".into()]));
        let told = again.at("/kept/0");
        assert_eq!((&told["list"], &told["type"], &told["reason"]), (&json!("records"), &json!(HEART_RATE), &json!(format!("Observation/{} was edited through FHIR", found[0]["id"].as_str().unwrap()))));
        assert!(told["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()) && again.at("/status") == "success" && again.at("/refused") == json!([]), "{told}");
        let changed = vec![
            heart("a", &minute(0), "70"), heart("b", &minute(1), "71"), heart("", &minute(2), "72"),
            heart("a", &minute(20), "70"), heart("b", &minute(21), "71"),
            elsewhere(heart("a", &minute(0), "60")), elsewhere(heart("b", &minute(31), "60")), heart("d", &minute(3), "64"),
        ];
        let upload = alice.uploads(&apple(changed));
        let codes = ["0 sample.edited", "1 sample.deleted", "2 sample.edited", "3 sample.edited", "4 sample.deleted", "5 sample.edited", "6 sample.deleted"];
        assert_eq!((counts(&upload), kept(&upload)), ([0, 7, 1, 0], codes.map(str::to_owned).to_vec()));
        let after = alice.finds("&_sort=date").matches();
        assert_eq!((&after[..2], &after[2]["valueQuantity"]["value"], after.len()), (&before[..2], &json!(64), 3));
        server.ehr().get(&format!("/fhir/Observation/{}", found[1]["id"].as_str().unwrap())).is(410);
        let printed = server.place.tells(&["ingest", "--replay"]);
        assert!(printed.contains("items=8 stored=0 unchanged=8 corrected=0 refused=0") && !printed.contains("corrected=1"), "{printed}");
        assert_eq!(alice.finds("&_sort=date").matches(), after);
        assert_eq!(kept(&alice.ended(&upload.text_at("/upload_id"))), codes);
    }
}

both! {
    fn of_many_records_each_is_told_in_its_list(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("a", &minute(0), "60")]));
        edit(server, &alice.finds("").only(), VALUE, 99).is(200);
        let each = |n: i64| [heart("a", &minute(0), "61"), but(heart("x", &minute(n), "60"), "unit", json!("furlongs"))];
        let upload = alice.uploads(&apple((0..1_200).flat_map(each).collect()));
        assert_eq!(counts(&upload), [0, 1_200, 0, 1_200]);
        let kept = kept(&upload);
        assert_eq!((kept.len(), kept[0].as_str(), kept[1_199].as_str()), (1_200, "0 sample.edited", "2398 sample.edited"));
        let refused = upload.at("/refused");
        assert_eq!((&refused[0]["index"], &refused[1_199]["index"]), (&json!(1), &json!(2_399)));
    }
}

/// A half of a blood pressure; an empty parent is none.
fn half(kind: &str, id: &str, value: &str, parent: &str) -> Value {
    let parent = if parent.is_empty() { Value::Null } else { json!(parent) };
    but(record(kind, id, &minute(0), value), "parentId", parent)
}

const HALF: &str = "/component/0/valueQuantity/value";

both! {
    fn a_half_of_an_edited_panel_is_left_alone(server) {
        for (name, parent) in [("alice", ""), ("bob", "p")] {
            let person = server.person(name);
            person.stores(&apple(vec![half(SYSTOLIC, "s", "124", parent)]));
            edit(server, &person.finds("").only(), HALF, 111).is(200);
            let edited = person.finds("").only();
            let both = vec![half(SYSTOLIC, "s", "125", parent), half(DIASTOLIC, "d", "80", parent), half(DIASTOLIC, "d", "81", parent)];
            for _ in 0..2 {
                let upload = person.uploads(&apple(both.clone()));
                assert_eq!((counts(&upload), kept(&upload).len()), ([0, 3, 0, 0], 3), "{}", upload.text());
                person.uploads(&apple(hearts("r", 1)));
                assert_eq!(person.finds("&code=85354-9").only(), edited);
            }
        }
    }
}

both! {
    fn a_half_that_was_deleted_stays_out_of_its_parents_panel(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![half(SYSTOLIC, "s", "124", "")]));
        delete(server, &alice.finds("").only());
        alice.stores(&apple(vec![half(DIASTOLIC, "d", "80", "p")]));
        let panel = alice.finds("").only();
        let upload = alice.uploads(&apple(vec![half(SYSTOLIC, "s", "124", "p")]));
        assert_eq!((counts(&upload), kept(&upload)), ([0, 1, 0, 0], vec!["0 sample.deleted".to_owned()]));
        assert_eq!(alice.finds("").only(), panel);
    }
}

both! {
    fn a_half_prefers_a_panel_that_nobody_edited(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![half(SYSTOLIC, "s1", "124", ""), half(SYSTOLIC, "s2", "125", "")]));
        edit(server, &alice.finds("&identifier=s1").only(), HALF, 111).is(200);
        assert_eq!(counts(&alice.uploads(&apple(vec![half(DIASTOLIC, "d", "80", "")]))), [1, 0, 0, 0]);
        assert_eq!(alice.finds("&identifier=d").ids(), alice.finds("&identifier=s2").ids());
    }
}

both! {
    fn an_edit_of_a_sample_that_had_moved_stays(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("a", &minute(0), "60")]));
        assert_eq!(counts(&alice.uploads(&apple(vec![heart("a", &minute(5), "61")]))), [0, 0, 1, 0]);
        edit(server, &alice.finds("").only(), VALUE, 99).is(200);
        let edited = alice.finds("").only();
        assert_eq!(edited["meta"]["versionId"], "3");
        for (at, value) in [(5, "62"), (9, "61"), (0, "60")] {
            let upload = alice.uploads(&apple(vec![heart("a", &minute(at), value), heart("a", &minute(at), "63")]));
            assert_eq!((counts(&upload), kept(&upload).len()), ([0, 2, 0, 0], 2));
        }
        server.place.tells(&["ingest", "--replay"]);
        assert_eq!(alice.finds("").only(), edited);
    }
}

both! {
    fn what_was_deleted_is_put_back_and_stays(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("a", &minute(0), "60")]));
        let first = alice.finds("").only();
        delete(server, &first);
        assert_eq!(kept(&alice.uploads(&apple(vec![heart("a", &minute(0), "61")]))), ["0 sample.deleted"]);
        assert_eq!(edit(server, &first, VALUE, 99).is(201).header("etag"), Some("W/\"3\""));
        let back = alice.finds("").only();
        assert_eq!((&back["id"], &back["valueQuantity"]["value"]), (&first["id"], &json!(99)));
        for record in [heart("a", &minute(0), "62"), heart("a", &minute(7), "60")] {
            let upload = alice.uploads(&apple(vec![record]));
            assert_eq!((counts(&upload), kept(&upload)), ([0, 1, 0, 0], vec!["0 sample.edited".to_owned()]));
        }
        assert_eq!(alice.finds("").only(), back);
        delete(server, &back);
        assert_eq!(kept(&alice.uploads(&apple(vec![heart("a", &minute(0), "63")]))), ["0 sample.deleted"]);
    }
}

/// All pages of a search, which each say `total`.
#[track_caller]
fn paged(of: &Person<'_>, query: &str, total: i64) -> Vec<Value> {
    let pages = of.server.ehr().pages(&format!("Observation?patient={}&_total=accurate{query}", of.patient));
    assert!(
        pages.iter().all(|page| page.total() == Some(total)),
        "{query}: {:?}",
        pages.iter().map(|page| page.total()).collect::<Vec<_>>()
    );
    pages.iter().flat_map(|page| page.matches()).collect()
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap_or_default()
}

both! {
    fn searches_give_an_edited_sample_once_where_it_is_now(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 4)));
        alice.stores(&apple(vec![heart("s", &minute(10), "60"), heart("t", &minute(11), "61")]));
        let was = alice.finds("&_sort=date").matches();
        edit(server, &was[1], VALUE, 99).is(200);
        delete(server, &was[2]);
        // A sample that an upload moved, and one of two versions, are edited, too.
        alice.stores(&apple(vec![heart("r-3", &minute(20), "70"), heart("s", &minute(10), "64")]));
        for record in ["r-3", "s"] {
            edit(server, &alice.finds(&format!("&identifier={record}")).only(), VALUE, 97).is(200);
        }
        let mut later = alice.finds("&identifier=t").only();
        later["effectiveDateTime"] = json!("2026-03-05T00:00:00Z");
        edit(server, &later, VALUE, 96).is(200);
        let now = [(id(&was[0]), 55), (id(&was[1]), 99), (id(&was[4]), 97), (id(&was[3]), 97), (id(&was[5]), 96)];
        let seen = |found: &[Value]| -> Vec<(String, i64)> {
            found.iter().map(|one| (id(one).to_owned(), one["valueQuantity"]["value"].as_i64().unwrap())).collect()
        };
        let in_time = now.map(|(id, value)| (id.to_owned(), value)).to_vec();
        let reversed = in_time.iter().rev().cloned().collect::<Vec<_>>();
        let changed = [0, 1, 3, 2, 4].map(|n| in_time[n].clone()).to_vec();
        let changed_last = changed.iter().rev().cloned().collect::<Vec<_>>();
        for count in [1, 2, 50] {
            for (sort, wanted) in [("date", &in_time), ("-date", &reversed), ("_lastUpdated", &changed), ("-_lastUpdated", &changed_last)] {
                assert_eq!(&seen(&paged(&alice, &format!("&_sort={sort}&_count={count}"), 5)), wanted, "{sort} {count}");
            }
        }
        let edited = alice.finds(&format!("&_id={}", id(&was[1]))).only();
        let at = edited["meta"]["lastUpdated"].as_str().unwrap();
        assert_eq!(seen(&paged(&alice, &format!("&_lastUpdated=ge{at}&_sort=_lastUpdated"), 4)), changed[1..]);
        assert_eq!(seen(&paged(&alice, &format!("&_lastUpdated=lt{at}"), 1)), changed[..1]);
        let ids = was.iter().map(id).collect::<Vec<_>>().join(",");
        for sort in ["date", "_lastUpdated"] {
            let wanted = if sort == "date" { &in_time } else { &changed };
            assert_eq!(&seen(&paged(&alice, &format!("&_id={ids}&_sort={sort}&_count=2"), 5)), wanted, "{sort}");
        }
        assert_eq!(paged(&alice, &format!("&_id={}", id(&was[2])), 0), [Value::Null; 0]);
        let of_system = server.ehr().search(&format!("Observation?_id={}&_total=accurate", id(&was[1])));
        assert_eq!((of_system.total(), of_system.only()), (Some(1), edited));
        assert!(server.ehr().search(&format!("Observation?_id={}", id(&was[2]))).matches().is_empty());
    }
}
