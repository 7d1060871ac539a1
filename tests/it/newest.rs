//! The newest documents are found like all others, whatever the store does with their index meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use crate::documents::{created, put};
use crate::support::{Bundle, Client};

const SYSTEM: &str = "urn:newest";

fn practitioner(n: usize, family: &str) -> Value {
    json!({"resourceType": "Practitioner", "identifier": [{"system": SYSTEM, "value": n.to_string()}],
           "name": [{"family": family}], "gender": if n.is_multiple_of(2) { "female" } else { "male" }})
}

fn role(practitioner: &str) -> Value {
    json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{practitioner}")}})
}

fn together(all: impl Iterator<Item = Value>) -> Value {
    let entry = |resource: Value| json!({"request": {"method": "POST", "url": resource["resourceType"]}, "resource": resource});
    json!({"resourceType": "Bundle", "type": "transaction", "entry": all.map(entry).collect::<Vec<_>>()})
}

fn how_many(ehr: &Client<'_>, query: &str) -> usize {
    ehr.pages(query).iter().map(|page: &Bundle| page.ids().len()).sum()
}

both! {
    fn what_is_new_is_found_like_what_is_old(server) {
        let ehr = server.ehr();
        let ids: Vec<String> = (0..150).map(|n| created(&ehr, &practitioner(n, ["Alba", "Alder", "Birke"][n % 3]))).collect();
        ehr.post("/fhir", &together((150..400).map(|n| practitioner(n, ["Alba", "Alder", "Birke"][n % 3])))).is(200);
        let roles: Vec<String> = (0..20).map(|n| created(&ehr, &role(&ids[n]))).collect();
        for id in &ids[100..120] {
            let mut changed = ehr.get(&format!("/fhir/Practitioner/{id}")).is(200).json();
            changed["name"][0]["family"] = json!("Cedar");
            put(&ehr, &format!("/fhir/Practitioner/{id}"), &changed).is(200);
        }
        ids[120..150].iter().for_each(|id| drop(ehr.delete(&format!("/fhir/Practitioner/{id}")).is(204)));
        // Twice: as it was written, and after the keeper had its turn.
        for _ in 0..2 {
            for (query, wanted) in [
                ("Practitioner?_count=100", 370),
                ("Practitioner?family=alba&_count=100", 118),
                ("Practitioner?family=al&_count=100", 234),
                ("Practitioner?family=birke&gender=female&_count=100", 59),
                ("Practitioner?family=cedar&_sort=-_lastUpdated&_count=7", 20),
                ("Practitioner?family=cedar,birke&family:exact=Cedar", 20),
                ("Practitioner?gender:not=male&_count=100", 185),
                ("Practitioner?identifier=urn:newest|399", 1),
                ("Practitioner?identifier=urn:newest|5", 1),
                ("Practitioner?identifier=urn:newest|130", 0),
                ("Practitioner?identifier=urn:newest|400", 0),
            ] {
                assert_eq!(how_many(&ehr, query), wanted, "{query}");
            }
            assert_eq!(ehr.search(&format!("PractitionerRole?practitioner={}", ids[7])).ids(), std::slice::from_ref(&roles[7]));
            let named = ehr.delete(&format!("/fhir/Practitioner/{}", ids[7])).is(409).text();
            assert!(named.contains(&roles[7]), "{named}");
            let again = ehr.with("if-none-exist", "identifier=urn:newest|399").post("/fhir/Practitioner", &practitioner(399, "Dorn"));
            again.is(200);
            std::thread::sleep(Duration::from_secs(5));
        }
    }
}
