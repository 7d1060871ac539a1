//! SIGKILL during transactions: each is there as a whole or not at all, and history and audit log agree with that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::http::call;

const CLIENTS: usize = 4;
/// Flags that one transaction makes, with a List that points to them.
const FLAGS: usize = 12;

fn bundle(name: &str, patient: &str) -> Value {
    let url = |n: usize| format!("urn:uuid:00000000-0000-4000-8000-{n:012}");
    let flag = |n: usize| {
        let flag = json!({
            "resourceType": "Flag", "status": "active", "code": {"text": name}, "subject": {"reference": format!("Patient/{patient}")},
            "identifier": [{"system": "urn:crash", "value": name}]
        });
        json!({"fullUrl": url(n), "resource": flag, "request": {"method": "POST", "url": "Flag"}})
    };
    let items: Vec<Value> = (0..FLAGS).map(|n| json!({"item": {"reference": url(n)}})).collect();
    let list = json!({
        "resourceType": "List", "status": "current", "mode": "working", "entry": items,
        "identifier": [{"system": "urn:crash", "value": name}]
    });
    let list = json!({"resource": list, "request": {"method": "POST", "url": "List"}});
    let entries: Vec<Value> = [list].into_iter().chain((0..FLAGS).map(flag)).collect();
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

fn survives(server: &TestServer, kills: usize) {
    let patient = server.ehr().post("/fhir/Patient", &json!({"resourceType": "Patient"})).is(201).text_at("/id");
    let ehr = server.ehr().with("content-type", "application/fhir+json");
    let (sent, acknowledged) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let (next, in_flight) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut landed = 0;
    for kill in 0..kills {
        let url = server.url();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        let name = format!("t{}", next.fetch_add(1, Ordering::SeqCst));
                        sent.lock().unwrap().insert(name.clone());
                        in_flight.fetch_add(1, Ordering::SeqCst);
                        let body = bundle(&name, &patient).to_string();
                        let Ok(reply) = call("POST", &format!("{url}/fhir"), &ehr.headers, Some(body.as_bytes())) else { return };
                        in_flight.fetch_sub(1, Ordering::SeqCst);
                        match reply.status {
                            200 => drop(acknowledged.lock().unwrap().insert(name)),
                            503 => {}
                            other => panic!("{other}: {}", reply.text()),
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(20 + (kill as u64 * 97) % 400));
            // A machine that has other things to do may not have begun.
            let met = || in_flight.load(Ordering::SeqCst) > 0 && (kill + 1 < kills || !acknowledged.lock().unwrap().is_empty());
            let end = Instant::now() + Duration::from_secs(30);
            while !met() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            landed += usize::from(in_flight.load(Ordering::SeqCst) > 0);
            server.kill();
        });
        in_flight.store(0, Ordering::SeqCst);
        server.run();
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    println!("{kills} kills, {landed} in flight; {} of {} transactions acknowledged", acknowledged.len(), sent.lock().unwrap().len());
    assert!(!acknowledged.is_empty() && landed * 4 >= kills * 3, "the kills met nothing");
    let stored = stored(server);
    for (name, (flags, lists)) in &stored {
        assert_eq!((*flags, *lists), (FLAGS, 1), "{name} is there in part");
    }
    let missing: Vec<_> = acknowledged.iter().filter(|name| !stored.contains_key(*name)).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
    let made = stored.len() * (FLAGS + 1);
    assert_eq!(history(server), made, "the history has what is there");
    assert_eq!(audited(server), made, "each has its AuditEvent, and nothing else has one");
}

/// How many Flags and Lists of each transaction are there.
fn stored(server: &TestServer) -> BTreeMap<String, (usize, usize)> {
    let mut found: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for kind in ["Flag", "List"] {
        for page in server.ehr().pages(&format!("{kind}?identifier=urn:crash|&_count=1000")) {
            for one in page.matches() {
                let of = found.entry(one["identifier"][0]["value"].as_str().unwrap().to_owned()).or_default();
                *(if kind == "Flag" { &mut of.0 } else { &mut of.1 }) += 1;
            }
        }
    }
    found
}

fn history(server: &TestServer) -> usize {
    let entries = |kind: &str| -> usize {
        let pages = server.ehr().pages(&format!("{kind}/_history?_count=1000"));
        pages.iter().map(|page| page.0["entry"].as_array().map_or(0, Vec::len)).sum()
    };
    entries("Flag") + entries("List")
}

fn audited(server: &TestServer) -> usize {
    let of_ours = |event: &Value| event["entity"].to_string().contains("Flag/") || event["entity"].to_string().contains("List/");
    let pages = server.auditor().pages("AuditEvent?action=C&_count=1000");
    pages.iter().map(|page| page.matches().iter().filter(|event| of_ours(event)).count()).sum()
}

both! {
    fn a_kill_leaves_whole_transactions(server) {
        survives(server, if env::var("FIRTH_LONG").as_deref() == Ok("1") { 100 } else { 6 });
    }
}
