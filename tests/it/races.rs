//! Many clients at the same resources at the same time: of each race there is one winner, and nothing hangs.

use std::thread;

use serde_json::{Value, json};

use crate::support::http::call;
use crate::support::payload::*;
use crate::support::server::Place;
use crate::support::{Backend, Client, Reply, TestServer, postgres};

const CLIENTS: usize = 32;

/// What came of the same request from every client, spread over the servers.
fn all_at_once(servers: &[&TestServer], client: &Client<'_>, ask: impl Fn(usize) -> (&'static str, String, Value) + Sync) -> Vec<Reply> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (ask, url) = (&ask, servers[n % servers.len()].url());
                scope.spawn(move || {
                    let (verb, path, body) = ask(n);
                    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
                    // A transaction that met another is tried again by its client, as 503 says.
                    (0..20)
                        .map(|_| call(verb, &format!("{url}{path}"), &client.headers, body.as_deref()).unwrap())
                        .find(|reply| reply.status != 503)
                        .expect("an answer within the retry bound")
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

fn organization(id: Option<&str>, name: &str) -> Value {
    let mut made = json!({"resourceType": "Organization", "name": name, "identifier": [{"system": "urn:race", "value": "1"}]});
    if let Some(id) = id {
        made["id"] = json!(id);
    }
    made
}

fn races(servers: &[&TestServer]) {
    let ehr = servers[0].ehr().with("content-type", "application/fhir+json");
    let conditional = ehr.with("if-none-exist", "identifier=urn:race|1");
    let made = all_at_once(servers, &conditional, |n| ("POST", "/fhir/Organization".into(), organization(None, &format!("Org {n}"))));
    assert_eq!((count(&made, 201), count(&made, 200)), (1, CLIENTS - 1), "one conditional create makes it, the others find it");
    let id = made[0].text_at("/id");
    assert!(made.iter().all(|reply| reply.text_at("/id") == id));
    let path = format!("/fhir/Organization/{id}");

    let matching = ehr.with("if-match", "W/\"1\"");
    let changed = all_at_once(servers, &matching, |n| ("PUT", path.clone(), organization(Some(&id), &format!("Name {n}"))));
    assert_eq!((count(&changed, 200), count(&changed, 412) + count(&changed, 409)), (1, CLIENTS - 1), "one update wins");
    assert_eq!(servers[0].ehr().get(&path).is(200).header("etag"), Some("W/\"2\""));

    let swap = |n: usize| {
        let entry =
            |url: String, resource: Value| json!({"resource": resource, "request": {"method": "PUT", "url": url, "ifMatch": "W/\"2\""}});
        let new = json!({"resource": {"resourceType": "Basic", "code": {"text": format!("race {n}")}}, "request": {"method": "POST", "url": "Basic"}});
        let bundle = vec![new, entry(format!("Organization/{id}"), organization(Some(&id), &format!("Swap {n}")))];
        ("POST", "/fhir".to_owned(), json!({"resourceType": "Bundle", "type": "transaction", "entry": bundle}))
    };
    let done = all_at_once(servers, &ehr, swap);
    assert_eq!((count(&done, 200), count(&done, 412) + count(&done, 409)), (1, CLIENTS - 1), "one transaction wins");
    assert_eq!(servers[0].ehr().search("Basic?_total=accurate&_count=0").total(), Some(1), "the others left nothing");

    let chosen =
        all_at_once(servers, &ehr, |n| ("PUT", "/fhir/Organization/chosen".into(), organization(Some("chosen"), &format!("By {n}"))));
    assert_eq!(count(&chosen, 201), 1, "an id is taken once");
    assert!(chosen.iter().all(|reply| [200, 201, 409].contains(&reply.status)));

    let practitioner = servers[0].ehr().post("/fhir/Practitioner", &json!({"resourceType": "Practitioner"})).is(201).text_at("/id");
    let role = json!({"resourceType": "PractitionerRole", "practitioner": {"reference": format!("Practitioner/{practitioner}")}});
    let mixed = all_at_once(servers, &ehr, |n| match n % 2 {
        0 => ("POST", "/fhir/PractitionerRole".into(), role.clone()),
        _ => ("DELETE", format!("/fhir/Practitioner/{practitioner}"), Value::Null),
    });
    assert!(
        mixed.iter().all(|reply| [201, 204, 409, 422].contains(&reply.status)),
        "{:?}",
        mixed.iter().map(|reply| reply.status).collect::<Vec<_>>()
    );
    let roles = servers[0].ehr().search(&format!("PractitionerRole?practitioner={practitioner}")).ids().len();
    let alive = servers[0].ehr().get(&format!("/fhir/Practitioner/{practitioner}")).status == 200;
    assert_eq!(roles > 0, alive, "no reference is left to what was deleted: {roles} roles");
}

both! {
    fn of_each_race_there_is_one_winner(server) {
        races(&[server]);
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 1)));
    }
}

#[test]
fn of_each_race_between_two_servers_there_is_one_winner() {
    let Some(cluster) = postgres::cluster() else { return };
    let url = cluster.database();
    let (mut first, mut second) = (Place::new(), Place::new());
    std::fs::remove_file(second.path().join("root.key")).unwrap();
    std::fs::copy(first.path().join("root.key"), second.path().join("root.key")).unwrap();
    [&mut first, &mut second].into_iter().for_each(|place| place.set("FIRTH_DATABASE_URL", &url));
    let (one, two) = (TestServer::at(Backend::Postgres, first), TestServer::at(Backend::Postgres, second));
    races(&[&one, &two]);
}

both! {
    fn one_that_fails_late_costs_the_others_nothing(server) {
        let app = server.backend_of_app();
        ["mrn-1", "mrn-2"].iter().for_each(|id| drop(app.post("/api/v1/users", &json!({"external_user_id": id})).is(201)));
        let ehr = server.ehr().with("content-type", "application/fhir+json");
        let mut patient = ehr.search("Patient?identifier=urn:firth:external|mrn-2").only();
        let path = format!("/fhir/Patient/{}", patient["id"].as_str().unwrap());
        let identifiers = patient["identifier"].as_array_mut().unwrap();
        identifiers.iter_mut().filter(|one| one["value"] == "mrn-2").for_each(|one| one["value"] = json!("mrn-1"));
        // The id of another user is found out only after the Patient was written.
        let ended = all_at_once(&[server], &ehr, |n| {
            if n % 4 == 0 { ("PUT", path.clone(), patient.clone()) } else { ("POST", "/fhir/Organization".into(), organization(None, &format!("Org {n}"))) }
        });
        assert_eq!((count(&ended, 409), count(&ended, 201)), (CLIENTS / 4, CLIENTS - CLIENTS / 4));
        assert_eq!(ehr.search("Organization?identifier=urn:race|1&_count=100").ids().len(), CLIENTS - CLIENTS / 4);
        assert_eq!(ehr.get(&path).is(200).at("/meta/versionId"), json!("1"));
        assert_eq!(ehr.search("Patient?identifier=urn:firth:external|mrn-2").ids().len(), 1);
    }
}
