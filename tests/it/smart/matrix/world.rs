//! Two patients, what is kept about them, and every way to ask for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::documents::{created, put};
use crate::support::payload::{apple, hearts};
use crate::support::{Client, Person, Reply, TestServer};

pub const ABSENT: &str = "c0ffee00-0000-4000-8000-000000000000";
pub const MRN: &str = "urn:example:mrn";

/// Alice, Bob and their resources.
pub struct World<'s> {
    pub server: &'s TestServer,
    pub a: Person<'s>,
    pub b: Person<'s>,
    /// A written Observation of Alice, and one of Bob.
    pub a1: String,
    pub b1: String,
    /// A report on Alice whose result is Bob's Observation.
    pub ra: String,
    /// Alice's list with Bob's Observation in it.
    pub la: String,
    /// A group of both.
    pub g: String,
    /// Where Bob's Observation comes from.
    pub pb: String,
    /// Devices of Alice, of Bob and of nobody.
    pub da: String,
    pub db: String,
    pub d0: String,
    /// Who made both Observations.
    pub by: String,
}

pub fn patient(id: &str) -> Value {
    json!({"reference": format!("Patient/{id}")})
}

pub fn observation(of: &str, value: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final", "code": {"text": "mood"}, "subject": patient(of),
        "effectiveDateTime": "2026-02-24T08:30:00Z", "valueString": value
    })
}

/// Somebody with three heart rates and a record number.
fn person<'s>(server: &'s TestServer, name: &str) -> Person<'s> {
    let one = server.person(name);
    one.stores(&apple(hearts(name, 3)));
    let path = format!("/fhir/Patient/{}", one.patient);
    let mut known = server.ehr().get(&path).is(200).json();
    known["identifier"] = json!([{"system": MRN, "value": format!("mrn-{name}")}]);
    put(&server.ehr(), &path, &known).is(200);
    one
}

impl<'s> World<'s> {
    pub fn new(server: &'s TestServer) -> World<'s> {
        let (a, b, ehr) = (person(server, "alice"), person(server, "bobby"), server.ehr());
        let by = created(&ehr, &json!({"resourceType": "Practitioner", "name": [{"family": "Adams"}]}));
        let of = |id: &str| {
            let mut made = observation(id, "well");
            made["performer"] = json!([{"reference": format!("Practitioner/{by}")}]);
            made["identifier"] = json!([{"system": "urn:example:obs", "value": "same"}]);
            created(&ehr, &made)
        };
        let (a1, b1) = (of(&a.patient), of(&b.patient));
        let bobs = json!({"reference": format!("Observation/{b1}")});
        let device = |of: Option<&str>| {
            let mut made = json!({"resourceType": "Device", "deviceName": [{"name": "Cuff", "type": "user-friendly-name"}]});
            if let Some(of) = of {
                made["patient"] = patient(of);
            }
            created(&ehr, &made)
        };
        let (da, db, d0) = (device(Some(&a.patient)), device(Some(&b.patient)), device(None));
        let ra = created(
            &ehr,
            &json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "report"},
            "subject": patient(&a.patient), "result": [bobs]}),
        );
        let la = created(
            &ehr,
            &json!({"resourceType": "List", "status": "current", "mode": "working",
            "subject": patient(&a.patient), "entry": [{"item": bobs}]}),
        );
        let g = created(
            &ehr,
            &json!({"resourceType": "Group", "type": "person", "actual": true,
            "member": [{"entity": patient(&a.patient)}, {"entity": patient(&b.patient)}]}),
        );
        let pb = created(
            &ehr,
            &json!({"resourceType": "Provenance", "target": [bobs], "recorded": "2026-02-24T08:30:00Z",
            "agent": [{"who": {"reference": format!("Practitioner/{by}")}}]}),
        );
        World { server, a, b, a1, b1, ra, la, g, pb, da, db, d0, by }
    }

    /// Two Observations of Alice that were made with Bob's Device, in an Encounter of his.
    pub fn point_to_bobs(&self) -> [String; 2] {
        let ehr = self.server.ehr();
        let encounter =
            json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient(&self.b.patient)});
        let encounter = created(&ehr, &encounter);
        ["one", "two"].map(|value| {
            let mut made = observation(&self.a.patient, value);
            made["device"] = json!({"reference": format!("Device/{}", self.db)});
            made["encounter"] = json!({"reference": format!("Encounter/{encounter}")});
            created(&ehr, &made)
        })
    }

    /// Alice with her own token.
    pub fn alice(&self) -> Client<'s> {
        self.a.own()
    }

    /// A clinician whose only patient is Alice.
    pub fn clinician(&self) -> Client<'s> {
        self.server.clinician(&[&self.a])
    }

    /// The same, and what may be asked is said.
    pub fn scoped(&self, scope: &str) -> Client<'s> {
        self.server.nobody().bearer(&self.server.token(&["--role", "clinician", "--patient", &self.a.patient, "--scope", scope]).0)
    }
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    pub status: u16,
    /// The code of a refusal.
    pub code: String,
    /// `match Observation/1`, sorted.
    pub entries: BTreeSet<String>,
    pub total: Option<i64>,
}

fn came(status: u16, body: &Value) -> Came {
    let entries = body["entry"].as_array().into_iter().flatten().filter(|entry| entry.get("resource").is_some());
    let named = |entry: &Value| {
        let resource = &entry["resource"];
        let mode = entry["search"]["mode"].as_str().unwrap_or("version");
        format!("{mode} {}/{}", resource["resourceType"].as_str().unwrap_or("?"), resource["id"].as_str().unwrap_or("?"))
    };
    let code = body.pointer("/issue/0/details/coding/0/code").and_then(Value::as_str).unwrap_or_default().to_owned();
    Came { status, code, entries: entries.map(named).collect(), total: body["total"].as_i64() }
}

/// The one entry of a Bundle that asks this.
pub fn bundled(client: &Client<'_>, kind: &str, request: &Value, resource: Option<&Value>) -> Reply {
    let mut entry = json!({"request": request});
    if let Some(resource) = resource {
        entry["resource"] = resource.clone();
    }
    client.post("/fhir", &json!({"resourceType": "Bundle", "type": kind, "entry": [entry]}))
}

/// What a GET in a batch came to: its status and its body or outcome.
fn in_batch(client: &Client<'_>, url: &str) -> (u16, Value) {
    let reply = bundled(client, "batch", &json!({"method": "GET", "url": url}), None).is(200);
    let status = reply.text_at("/entry/0/response/status")[..3].parse().expect("a status");
    let body = if status < 300 { reply.at("/entry/0/resource") } else { reply.at("/entry/0/response/outcome") };
    (status, body)
}

/// The same in a transaction, whose refusal is of the whole.
fn in_transaction(client: &Client<'_>, url: &str) -> (u16, Value) {
    let reply = bundled(client, "transaction", &json!({"method": "GET", "url": url}), None);
    if reply.status != 200 {
        return (reply.status, reply.json());
    }
    let status = reply.text_at("/entry/0/response/status")[..3].parse().expect("a status");
    assert!(status < 400, "{url}: refused within a transaction that was done: {}", reply.text());
    (status, reply.at("/entry/0/resource"))
}

fn got(reply: &Reply) -> Came {
    came(reply.status, &reply.json())
}

/// What is no search, by itself and in Bundles: the way, the status, and the body or the outcome.
pub fn bodies(client: &Client<'_>, url: &str) -> [(&'static str, u16, Value); 3] {
    let (batch, transaction) = (in_batch(client, url), in_transaction(client, url));
    let alone = client.get(&format!("/fhir/{url}"));
    [("GET", alone.status, alone.json()), ("batch", batch.0, batch.1), ("transaction", transaction.0, transaction.1)]
}

/// What each of them came to.
pub fn alone_and_bundled(client: &Client<'_>, url: &str) -> [(&'static str, Came); 3] {
    bodies(client, url).map(|(way, status, body)| (way, came(status, &body)))
}

/// A write by itself, in a batch and in a transaction: how it, its entry, or the transaction ended. What is no object is a
/// JSON Patch.
#[track_caller]
pub fn written(client: &Client<'_>, method: &str, url: &str, body: Option<&Value>) -> [u16; 3] {
    answered(client, method, url, body).map(|(status, _)| status)
}

/// The same, with the body of the answer or of the entry's outcome.
#[track_caller]
pub fn answered(client: &Client<'_>, method: &str, url: &str, body: Option<&Value>) -> [(u16, Value); 3] {
    let patches = body.is_some_and(Value::is_array);
    let kind = if patches { "application/json-patch+json" } else { "application/fhir+json" };
    let text = body.map(Value::to_string);
    let alone = client.with("content-type", kind).send(method, &format!("/fhir/{url}"), text.as_deref().map(str::as_bytes));
    let data = text.filter(|_| patches).map(|text| data_encoding::BASE64.encode(text.as_bytes()));
    let patch = data.map(|data| json!({"resourceType": "Binary", "contentType": kind, "data": data}));
    let request = |kind: &str| {
        let reply = bundled(client, kind, &json!({"method": method, "url": url}), patch.as_ref().or(body));
        match reply.status {
            200 => {
                let status = reply.text_at("/entry/0/response/status")[..3].parse().expect("a status");
                (status, reply.at("/entry/0/response/outcome"))
            }
            refused if kind == "transaction" => (refused, reply.json()),
            _ => panic!("a batch is answered: {}", reply.text()),
        }
    };
    let body = if alone.body.is_empty() { Value::Null } else { alone.json() };
    [(alone.status, body), request("batch"), request("transaction")]
}

/// The text of a refusal without the id of the request, and with this id made equal.
pub fn told(body: &Value, id: &str) -> String {
    let mut body = body.clone();
    if let Some(issue) = body.pointer_mut("/issue/0") {
        let said = issue["diagnostics"].as_str().unwrap_or_default().split(" Request id:").next().unwrap_or_default().to_owned();
        issue["diagnostics"] = json!(said);
    }
    body.to_string().replace(id, "ID")
}

/// A search in every way: GET, POST, an entry of a batch, one of a transaction, and page by page.
#[track_caller]
pub fn ways(client: &Client<'_>, query: &str) -> Vec<(&'static str, Came)> {
    let query = query.replace(' ', "%20").replace('|', "%7C");
    let (kind, asked) = query.split_once('?').unwrap_or((&query, ""));
    let form = client.with("content-type", "application/x-www-form-urlencoded");
    let posted = form.send("POST", &format!("/fhir/{kind}/_search"), Some(asked.as_bytes()));
    let (batch, transaction) = (in_batch(client, &query), in_transaction(client, &query));
    vec![
        ("GET", got(&client.get(&format!("/fhir/{query}")))),
        ("POST _search", got(&posted)),
        ("batch", came(batch.0, &batch.1)),
        ("transaction", came(transaction.0, &transaction.1)),
        ("next link", paged(client, kind, asked)),
    ]
}

/// Page by page, one match each; the total is that of the first page.
#[track_caller]
fn paged(client: &Client<'_>, kind: &str, asked: &str) -> Came {
    let asked: Vec<&str> = asked.split('&').filter(|part| !part.is_empty() && !part.starts_with("_count=")).chain(["_count=1"]).collect();
    let mut reply = client.get(&format!("/fhir/{kind}?{}", asked.join("&")));
    let mut all = got(&reply);
    for _ in 0..100 {
        let next = reply.status == 200;
        let Some(next) = next
            .then(|| reply.at("/link").as_array().cloned().unwrap_or_default())
            .into_iter()
            .flatten()
            .find(|link| link["relation"] == "next")
        else {
            return all;
        };
        reply = client.get(next["url"].as_str().expect("a link")).is(200);
        all.entries.extend(got(&reply).entries);
    }
    panic!("next links without end");
}

/// In every way a search finds these and nothing else, and counts them right.
#[track_caller]
pub fn finds(client: &Client<'_>, query: &str, expected: &[String]) {
    let expected: BTreeSet<String> = expected.iter().map(|one| format!("match {one}")).collect();
    let more = if query.contains('?') { "&" } else { "?" };
    for (way, came) in ways(client, &format!("{query}{more}_total=accurate")) {
        assert_eq!((came.status, &came.entries, came.total), (200, &expected, Some(expected.len() as i64)), "{way} {query}");
    }
}

/// In every way a search is refused so.
#[track_caller]
pub fn refuses(client: &Client<'_>, query: &str, status: u16, code: &str) {
    for (way, came) in ways(client, query) {
        assert_eq!((came.status, came.code.as_str()), (status, code), "{way} {query}");
    }
}

/// A resource in every way it can be read.
const READS: [&str; 3] = ["", "/_history/1", "/_history"];

#[track_caller]
pub fn reads(client: &Client<'_>, of: &str) {
    for more in READS {
        client.get(&format!("/fhir/{of}{more}")).is(200);
        client.send("HEAD", &format!("/fhir/{of}{more}"), None).is(200);
        assert_eq!(in_batch(client, &format!("{of}{more}")).0, 200, "batch {of}{more}");
        assert_eq!(in_transaction(client, &format!("{of}{more}")).0, 200, "transaction {of}{more}");
    }
}

/// What is hidden is refused as what never was, letter for letter but for the id and the request's.
#[track_caller]
pub fn absent(client: &Client<'_>, of: &str) {
    let (kind, id) = of.split_once('/').expect("Type/id");
    let nowhere = format!("{kind}/{ABSENT}");
    for more in READS {
        let (hidden, never) = (client.get(&format!("/fhir/{of}{more}")).is(404), client.get(&format!("/fhir/{nowhere}{more}")).is(404));
        assert_eq!(told(&hidden.json(), id), told(&never.json(), ABSENT), "{of}{more}");
        let names = |reply: &Reply| reply.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&hidden), names(&never), "{of}{more}");
        client.send("HEAD", &format!("/fhir/{of}{more}"), None).is(404);
        for ask in [in_batch, in_transaction] {
            let (hidden, never) = (ask(client, &format!("{of}{more}")), ask(client, &format!("{nowhere}{more}")));
            assert_eq!((hidden.0, told(&hidden.1, id)), (404, told(&never.1, ABSENT)), "{of}{more}");
        }
    }
}
