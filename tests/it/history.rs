//! The history of one resource: samples, what stands before them, and documents.

use serde_json::{Value, json};

use crate::consent::consent;
use crate::documents::{created, put, weight};
use crate::granular::with;
use crate::support::payload::*;
use crate::support::{Bundle, Client, Person};

fn grown(alice: &Person<'_>) -> String {
    let at = minute(0);
    for value in ["100", "150", "220"] {
        alice.stores(&apple(vec![heart("r", &at, value)]));
    }
    alice.finds("").ids().remove(0)
}

fn versions(page: &Bundle) -> Vec<String> {
    let version = |entry: &Value| entry["resource"]["meta"]["versionId"].as_str().unwrap().to_owned();
    page.0["entry"].as_array().map(|entries| entries.iter().map(version).collect()).unwrap_or_default()
}

both! {
    fn each_version_is_there_newest_first(server) {
        let alice = server.person("alice");
        let id = grown(&alice);
        let path = format!("Observation/{id}/_history");
        let history = server.ehr().search(&path);
        assert_eq!((&history.0["type"], history.total(), versions(&history)), (&json!("history"), Some(3), vec!["3".into(), "2".into(), "1".into()]));
        for entry in history.0["entry"].as_array().unwrap() {
            let version = entry["resource"]["meta"]["versionId"].as_str().unwrap();
            let read = server.ehr().get(&format!("/fhir/{path}/{version}")).is(200);
            assert_eq!((entry["resource"].clone(), &entry["response"]["etag"]), (read.json(), &json!(read.header("etag"))));
            let wanted = if version == "1" { json!({"method": "POST", "url": "Observation"}) } else { json!({"method": "PUT", "url": format!("Observation/{id}")}) };
            assert_eq!(entry["request"], wanted);
            assert_eq!(entry["response"]["lastModified"], entry["resource"]["meta"]["lastUpdated"]);
        }
        let pages = server.ehr().pages(&format!("{path}?_count=1"));
        assert_eq!(pages.iter().flat_map(versions).collect::<Vec<_>>(), ["3", "2", "1"]);
        assert!(pages.iter().all(|page| page.total() == Some(3)));
        assert_eq!(versions(&server.ehr().search(&format!("{path}?_count=0"))), [""; 0]);
        let second = history.0["entry"][1]["resource"]["meta"]["lastUpdated"].as_str().unwrap();
        assert_eq!(versions(&server.ehr().search(&format!("{path}?_since={second}"))), ["3", "2"]);
        assert_eq!(versions(&server.ehr().search(&format!("{path}?_at={second}"))), ["2"]);
        assert_eq!(versions(&server.ehr().search(&format!("{path}?_at=2001"))), [""; 0]);
    }
}

both! {
    fn a_sample_that_moved_and_a_document_have_theirs(server) {
        let alice = server.person("alice");
        let id = grown(&alice);
        alice.stores(&apple(vec![heart("r", &minute(7), "220")]));
        assert_eq!(versions(&server.ehr().search(&format!("Observation/{id}/_history"))), ["4", "3", "2", "1"]);
        let patient = format!("/fhir/Patient/{}/_history", alice.patient);
        server.backend_of_app().patch(&format!("/api/v1/users/{}", alice.user), &json!({"last_name": "Ferro"})).is(200);
        assert_eq!(alice.own().get(&patient).is(200).at("/total"), 2);
        let bob = server.person("bob");
        bob.own().get(&patient).is(404);
        bob.own().get(&format!("/fhir/Observation/{id}/_history")).is(404);
        server.ehr().get("/fhir/Patient/nobody/_history").is(404);
        server.nobody().get(&patient).is(401);
        let events = server.auditor().search(&format!("AuditEvent?patient={}&type=rest", alice.patient));
        let history = events.matches().into_iter().find(|event| event["subtype"][0]["code"] == "history-instance").unwrap();
        assert_eq!((&history["action"], history["meta"].get("profile")), (&json!("R"), None));
        let one = server.auditor().search(&format!("AuditEvent/{}/_history", history["id"].as_str().unwrap()));
        assert_eq!((one.total(), &one.0["entry"][0]["resource"]), (Some(1), &history));
    }
}

both! {
    fn a_malformed_history_is_refused_by_name(server) {
        let alice = server.person("alice");
        let path = format!("/fhir/Patient/{}/_history", alice.patient);
        for (query, named) in [("_since=yesterday", "_since"), ("_at=x", "_at"), ("_count=-1", "_count"), ("_cursor=AAAA", "_cursor"), ("_sort=date", "_sort"), ("_count=1&_count=2", "_count")] {
            let refused = server.ehr().get(&format!("{path}?{query}")).is(400);
            assert_eq!(refused.at("/issue/0/expression/0"), json!(format!("http.{named}")), "{query}");
        }
        server.ehr().with("prefer", "handling=lenient").get(&format!("{path}?_sort=date")).is(200);
    }
}

both! {
    fn the_history_of_a_type_and_of_all_is_complete(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        alice.stores(&apple(hearts("h", 5)));
        let put = |path: &str, body: &Value| ehr.with("content-type", "application/fhir+json").send("PUT", path, Some(body.to_string().as_bytes()));
        let organization = |name: &str| json!({"resourceType": "Organization", "id": "o", "name": name});
        put("/fhir/Organization/o", &organization("One")).is(201);
        let second = put("/fhir/Organization/o", &organization("Two")).is(200);
        ehr.delete("/fhir/Organization/o").is(204);
        let methods = |bundle: &Bundle| -> Vec<String> {
            let entries = bundle.0["entry"].as_array().cloned().unwrap_or_default();
            entries.iter().map(|entry| format!("{} {}", entry["request"]["method"].as_str().unwrap(), entry["request"]["url"].as_str().unwrap())).collect()
        };
        let all = Bundle(ehr.get("/fhir/Organization/_history").is(200).json());
        assert_eq!(methods(&all), ["DELETE Organization/o", "PUT Organization/o", "PUT Organization/o"]);
        let statuses: Vec<&Value> = all.0["entry"].as_array().unwrap().iter().map(|entry| &entry["response"]["status"]).collect();
        assert_eq!(statuses, [&json!("204"), &json!("200"), &json!("201")]);
        let since = second.at("/meta/lastUpdated").as_str().unwrap().to_owned();
        assert_eq!(methods(&Bundle(ehr.get(&format!("/fhir/Organization/_history?_since={since}")).is(200).json())).len(), 2);
        assert_eq!(methods(&Bundle(ehr.get(&format!("/fhir/Organization/_history?_at={since}")).is(200).json())), ["PUT Organization/o"]);
        assert_eq!(methods(&Bundle(ehr.get("/fhir/Observation/_history").is(200).json())), vec!["POST Observation"; 5]);
        let whole = methods(&Bundle(ehr.get("/fhir/_history").is(200).json()));
        let (mut pages, mut next) = (Vec::new(), Some("/fhir/_history?_count=2".to_owned()));
        while let Some(path) = next {
            let page = Bundle(ehr.get(&path).is(200).json());
            pages.extend(methods(&page));
            next = page.next();
        }
        assert_eq!(pages, whole);
        assert!(whole.len() >= 10, "{whole:?}");
        let of_bob = server.clinician(&[&server.person("bob")]);
        assert_eq!(methods(&Bundle(of_bob.get("/fhir/Observation/_history").is(200).json())), Vec::<String>::new());
        server.auditor().get("/fhir/_history").is(403);
        ehr.get("/fhir/Organization/_history?_colour=1").is(400);
    }
}

both! {
    fn what_was_filed_wrongly_is_gone_from_every_history_of_whose_it_is_not(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let id = created(&ehr, &weight(&bob.patient, "70.1"));
        let kept = created(&ehr, &weight(&alice.patient, "60"));
        let (of_alice, of_bob) = (server.clinician(&[&alice]), server.clinician(&[&bob]));
        let path = format!("/fhir/Observation/{id}");
        let versions = |client: &Client<'_>, way: &str| {
            let reply = client.get(way).is(200).json();
            let named = |entry: &Value| entry["resource"]["id"] == json!(id);
            reply["entry"].as_array().map_or(0, |all| all.iter().filter(|entry| named(entry)).count())
        };
        assert_eq!(versions(&of_bob, "/fhir/_history"), 1);
        put(&ehr, &path, &with(weight(&alice.patient, "70.1"), json!({"id": id}))).is(200);
        for one in ["", "/_history", "/_history/1", "/_history/2"] {
            of_bob.get(&format!("{path}{one}")).is(404);
        }
        for way in ["/fhir/Observation/_history", "/fhir/_history", "/fhir/_history?_at=2020"] {
            assert_eq!(versions(&of_bob, way), 0, "{way}");
        }
        // Of the one whose it is now each version is judged by itself, and who sees both sees all of it.
        assert_eq!((versions(&of_alice, &format!("{path}/_history")), versions(&of_alice, "/fhir/Observation/_history")), (1, 1));
        of_alice.get(&format!("{path}/_history/1")).is(404);
        let both = server.clinician(&[&alice, &bob]);
        for client in [&both, &ehr] {
            assert_eq!((versions(client, &format!("{path}/_history")), versions(client, "/fhir/Observation/_history")), (2, 2));
            client.get(&format!("{path}/_history/1")).is(200);
        }
        // Whoever withholds what is now of alice withholds what it was.
        created(&ehr, &consent(&alice.patient, json!({"type": "deny"})));
        assert_eq!((ehr.get(&format!("{path}/_history/1")).status, versions(&ehr, "/fhir/Observation/_history")), (404, 0));
        both.get(&format!("/fhir/Observation/{kept}")).is(404);
    }
}
