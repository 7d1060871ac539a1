//! Non-interference: what a caller may not see changes nothing of what it is answered.
//!
//! The answers of many requests are recorded, resources that are hidden from the caller are added, and the same requests
//! are sent again. Nothing may differ but the request's id, the time of the answer and the ciphertext of cursors, whose
//! length stays. What a cursor leads to is compared as well, and at the end the cursors are opened with the keys of the
//! store: the places in them may not differ either.

use std::collections::BTreeMap;

use firth::api::CursorSeal;
use firth::app::App;
use firth::clock::Clock;
use firth::config::Config;
use firth::search::Type;
use firth::store::listing::Position;
use firth::vault::Sealing;
use serde_json::{Value, json};

use crate::consent::consent;
use crate::granular::{created, observation, put, scoped, with};
use crate::sign_in::PASSWORD;
use crate::smart::flow::CALLBACK;
use crate::support::payload::*;
use crate::support::{Bundle, Client, Person, Reply, TestServer};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// A request: which kind of path it is, and what is sent.
#[derive(Clone)]
struct Ask {
    path: &'static str,
    verb: &'static str,
    url: String,
    body: Option<(&'static str, String)>,
}

/// Kinds of paths that must occur.
const PATHS: [&str; 16] = [
    "read",
    "vread",
    "history",
    "search",
    "_search",
    "total",
    "count",
    "include",
    "next link",
    "type history",
    "system history",
    "batch",
    "transaction",
    "$validate",
    "conditional",
    "hidden id",
];

/// Of these none shows a resource: a number alone, or only whether something was done.
const WITHOUT_ROWS: [&str; 4] = ["count", "$validate", "conditional", "hidden id"];

/// Resources that will be added under these ids, which are asked for before they are there too.
const HIDDEN_IDS: [&str; 2] = ["hidden-of-alice", "hidden-of-bob"];

fn get(path: &'static str, url: impl Into<String>) -> Ask {
    Ask { path, verb: "GET", url: format!("/fhir/{}", url.into()), body: None }
}

fn post(path: &'static str, url: &str, kind: &'static str, body: String) -> Ask {
    Ask { path, verb: "POST", url: format!("/fhir{url}"), body: Some((kind, body)) }
}

fn send(client: &Client<'_>, ask: &Ask) -> Reply {
    match &ask.body {
        None => client.send(ask.verb, &ask.url, None),
        Some((kind, body)) => client.with("content-type", *kind).send(ask.verb, &ask.url, Some(body.as_bytes())),
    }
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

const KINDS: [&str; 5] = ["Observation", "Device", "Patient", "Encounter", "Practitioner"];

/// Searches of the types and of what the documents of this test are found by.
fn queries(alice: &Person<'_>) -> Vec<String> {
    let mut all: Vec<String> = KINDS.iter().map(|kind| kind.to_string()).collect();
    for more in [
        "category=vital-signs",
        "category=laboratory",
        "code=1111-1",
        "code=2222-2,8867-4",
        "code:not=8867-4",
        "date=ge2026-02",
        "date=lt2026-03-01T00:02:00Z",
        "status=final,amended",
        "_tag:missing=true",
        "_lastUpdated=ge2020",
        "device:missing=false",
        "identifier:missing=false",
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated",
        "_sort=date",
    ] {
        all.push(format!("Observation?{more}"));
        all.push(format!("Observation?patient={}&{more}", alice.patient));
    }
    all
}

/// What can be done with an id that is known or guessed.
fn by_id(alice: &Person<'_>, id: &str) -> Vec<Ask> {
    let path = format!("Observation/{id}");
    let mut all: Vec<Ask> = ["", "/_history/1", "/_history"].into_iter().map(|more| get("hidden id", format!("{path}{more}"))).collect();
    all.push(get("hidden id", format!("Observation?_id={id}&_total=accurate")));
    let body = with(observation(&alice.patient, "vital-signs", "1111-1"), json!({"id": id}));
    let send = |verb, kind, body: Option<String>| Ask {
        path: "hidden id",
        verb,
        url: format!("/fhir/{path}"),
        body: body.map(|body| (kind, body)),
    };
    all.push(send("HEAD", "", None));
    all.push(send("PUT", "application/fhir+json", Some(body.to_string())));
    all.push(send("PATCH", "application/json-patch+json", Some(json!([{"op": "remove", "path": "/status"}]).to_string())));
    all.push(send("DELETE", "", None));
    for mode in ["update", "delete"] {
        let sent = if mode == "update" { body.to_string() } else { String::new() };
        all.push(post("hidden id", &format!("/{path}/$validate?mode={mode}"), "application/fhir+json", sent));
    }
    for kind in ["batch", "transaction"] {
        for request in [json!({"method": "GET", "url": path}), json!({"method": "DELETE", "url": path})] {
            let sent = json!({"resourceType": "Bundle", "type": kind, "entry": [{"request": request}]});
            all.push(post("hidden id", "", "application/fhir+json", sent.to_string()));
        }
    }
    all
}

fn asks(alice: &Person<'_>, seen: &[Value]) -> Vec<Ask> {
    let mut all = Vec::new();
    for query in queries(alice) {
        let and = |more: &str| format!("{query}{}{more}", if query.contains('?') { '&' } else { '?' });
        all.push(get("search", query.clone()));
        all.push(get("total", and("_total=accurate")));
        all.push(get("count", and("_count=0")));
        all.push(get("next link", and("_count=1")));
        if let Some((kind, form)) = query.split_once('?') {
            all.push(post("_search", &format!("/{kind}/_search"), "application/x-www-form-urlencoded", form.to_owned()));
            all.push(get("include", and("_include=Observation:device&_include=Observation:subject")));
        }
    }
    // Only what is hidden answers these criteria.
    for (verb, url) in [
        ("PATCH", "Observation?code=4444-4"),
        ("DELETE", "Observation?code=4444-4"),
        ("DELETE", "Observation?code=4444-4&category=vital-signs"),
    ] {
        let body = Some(("application/json-patch+json", r#"[{"op": "replace", "path": "/status", "value": "final"}]"#.to_owned()));
        all.push(Ask { path: "conditional", verb, url: format!("/fhir/{url}"), body: body.filter(|_| verb == "PATCH") });
        let resource = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="});
        let entry = json!({"request": {"method": verb, "url": url}, "resource": resource});
        let entry = if verb == "PATCH" { entry } else { json!({"request": entry["request"]}) };
        for kind in ["batch", "transaction"] {
            let body = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
            all.push(post("conditional", "", "application/fhir+json", body.to_string()));
        }
    }
    for id in HIDDEN_IDS {
        all.extend(by_id(alice, id));
    }
    for kind in KINDS {
        all.push(get("type history", format!("{kind}/_history")));
        all.push(get("next link", format!("{kind}/_history?_count=1")));
    }
    all.push(get("system history", "_history"));
    all.push(get("next link", "_history?_count=2"));
    for one in seen {
        let kind = one["resourceType"].as_str().unwrap();
        let path = format!("{kind}/{}", id(one));
        all.push(get("read", path.clone()));
        all.push(get("vread", format!("{path}/_history/1")));
        all.push(get("history", format!("{path}/_history")));
        let entries: Vec<Value> = [path.clone(), format!("{path}/_history"), "Observation?_total=accurate".into()]
            .iter()
            .map(|url| json!({"request": {"method": "GET", "url": url}}))
            .collect();
        for kind in ["batch", "transaction"] {
            let body = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
            all.push(post(if kind == "batch" { "batch" } else { "transaction" }, "", "application/fhir+json", body.to_string()));
        }
        all.push(post("$validate", &format!("/{path}/$validate?mode=delete"), "application/fhir+json", String::new()));
        for mode in ["update", "create"] {
            all.push(post("$validate", &format!("/{kind}/$validate?mode={mode}"), "application/fhir+json", one.to_string()));
        }
    }
    all
}

/// A cursor, and what stands before it in its link: `Observation?code=x&_count=1`.
type Kept = (String, String);

/// What is compared: all of the answer, without the request's id and time, cursors by their length.
fn told(reply: &Reply, kept: &mut Vec<Kept>) -> String {
    let request = reply.header("x-request-id").unwrap_or("none").to_owned();
    let mut headers: Vec<String> =
        reply.headers.iter().filter(|(name, _)| name != "date").map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let text = format!("{}\n{}\n{}", reply.status, headers.join("\n"), reply.text()).replace(&request, "REQUEST");
    let mut parts = text.split("_cursor=");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let link = all.rsplit("/fhir/").next().unwrap_or_default().trim_end_matches('&').to_owned();
        let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(part.len());
        kept.push((link, part[..end].to_owned()));
        all.push_str(&format!("_cursor={}{}", "X".repeat(end), &part[end..]));
    }
    all
}

/// Every answer, and those that its next links lead to; and the cursors in them.
#[derive(Default)]
struct Answers {
    all: Vec<(Ask, String)>,
    cursors: Vec<Kept>,
}

fn answers(client: &Client<'_>, asks: &[Ask]) -> Answers {
    let mut told_of = Answers::default();
    for ask in asks {
        let reply = send(client, ask);
        assert!(reply.status < 500, "{}: {}", ask.url, reply.text());
        told_of.all.push((ask.clone(), told(&reply, &mut told_of.cursors)));
        let mut next = serde_json::from_slice(&reply.body).ok().and_then(|body| Bundle(body).next());
        while let Some(url) = next {
            let reply = client.get(&url).is(200);
            told_of.all.push((ask.clone(), told(&reply, &mut told_of.cursors)));
            next = Bundle(reply.json()).next();
        }
    }
    told_of
}

fn shows_rows(answer: &str) -> bool {
    KINDS.iter().any(|kind| answer.contains(&format!("\"resourceType\":\"{kind}\"")))
}

/// Is the resource in one of the answers? What repeats the id that was sent does not count.
fn shown_in(told_of: &Answers, id: &str) -> bool {
    let said = |ask: &Ask| ask.url.contains(id) || ask.body.as_ref().is_some_and(|(_, body)| body.contains(id));
    told_of.all.iter().any(|(ask, answer)| answer.contains(id) && !said(ask))
}

/// The places in the cursors of a caller, opened by the keys of the store. The server has stopped.
fn opened(app: &App, client: &Client<'_>, cursors: &[Kept]) -> Vec<(String, Position)> {
    let token = client.headers.iter().find_map(|(_, value)| value.strip_prefix("Bearer ")).expect("a token");
    let caller = app.callers.authenticate(token, app.clock.now()).expect("a caller");
    let open = |(link, cursor): &Kept| {
        let (path, query) = link.split_once('?').expect("a query");
        // What a cursor is sealed to.
        let (kinds, asked) = match path.split('/').collect::<Vec<_>>()[..] {
            ["_history"] => (Type::ALL.to_vec(), link.clone()),
            [kind, "_history"] => (vec![Type::parse(kind).expect("a type")], link.clone()),
            [kind, id, "_history"] => (vec![Type::parse(kind).expect("a type")], format!("{id}/_history?{query}")),
            [kind] => (vec![Type::parse(kind).expect("a type")], query.to_owned()),
            _ => panic!("a next link of another path: {link}"),
        };
        let place = kinds.into_iter().find_map(|kind| CursorSeal::of(app, &caller, kind, &asked).open(cursor).ok());
        (link.clone(), place.unwrap_or_else(|| panic!("the cursor of {link} does not open")))
    };
    cursors.iter().map(open).collect()
}

/// The store of the server, which has stopped.
fn store(server: &TestServer) -> App {
    let mut settings = server.place.settings.clone();
    for (name, path) in [("FIRTH_DATA_DIR", server.place.data()), ("FIRTH_ROOT_KEY_FILE", server.place.path().join("root.key"))] {
        settings.retain(|(known, _)| known != name);
        settings.push((name.to_owned(), path.to_string_lossy().into_owned()));
    }
    let mut config = Config::read(&settings, None).expect("settings");
    config.public_url = Some(server.url());
    App::build(config, Clock::system(), Sealing::Aes256Gcm).expect("the store opens")
}

/// A world of two people: what of Alice's may be seen is returned.
fn world(server: &TestServer, alice: &Person<'_>) -> Vec<Value> {
    let ehr = server.ehr();
    let patient = json!({"reference": format!("Patient/{}", alice.patient)});
    let device = created(&ehr, &json!({"resourceType": "Device", "patient": patient, "identifier": [{"system": "urn:i", "value": "1"}]}));
    let mut seen = vec![device.clone()];
    for n in 0..4 {
        let more =
            json!({"effectiveDateTime": format!("2026-02-2{n}T08:30:00Z"), "device": {"reference": format!("Device/{}", id(&device))}});
        seen.push(created(&ehr, &with(observation(&alice.patient, "vital-signs", "1111-1"), more)));
    }
    put(&ehr, &with(seen[1].clone(), json!({"status": "amended"}))).is(200);
    // One that is gone, and one whose first version was of another kind.
    ehr.delete(&format!("/fhir/Observation/{}", id(&seen[4]))).is(204);
    let moved = created(&ehr, &observation(&alice.patient, "laboratory", "1111-1"));
    put(&ehr, &with(moved.clone(), json!({"category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]}))).is(200);
    seen.push(moved);
    seen.push(created(&ehr, &json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient})));
    seen.push(created(&ehr, &json!({"resourceType": "Practitioner", "name": [{"family": "Shared"}]})));
    alice.stores(&apple([hearts("h", 3), vec![heart("", &minute(40), "71")]].concat()));
    for value in ["60", "61"] {
        alice.stores(&apple(vec![heart("twice", &minute(50), value)]));
    }
    seen.extend(alice.finds("&code=8867-4").matches().into_iter().take(3));
    seen
}

/// What nobody of this test may see: another's, and Alice's own outside of the constraint. Ids by type.
fn hidden(server: &TestServer, alice: &Person<'_>, bob: &Person<'_>) -> BTreeMap<&'static str, Vec<String>> {
    let ehr = server.ehr();
    let mut all: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (id, body) in [
        (HIDDEN_IDS[0], restricted(observation(&alice.patient, "laboratory", "1111-1"))),
        (HIDDEN_IDS[1], observation(&bob.patient, "vital-signs", "1111-1")),
    ] {
        put(&ehr, &with(body, json!({"id": id}))).is(201);
        all.entry("Observation").or_default().push(id.to_owned());
    }
    for n in 0..6 {
        let outside = with(
            restricted(observation(&alice.patient, "laboratory", "1111-1")),
            json!({"effectiveDateTime": format!("2026-02-2{n}T08:30:00Z")}),
        );
        let of_bob =
            with(observation(&bob.patient, "vital-signs", "1111-1"), json!({"effectiveDateTime": format!("2026-02-2{n}T08:29:00Z")}));
        for body in [outside, of_bob] {
            all.entry("Observation").or_default().push(id(&created(&ehr, &body)));
        }
        let patient = json!({"reference": format!("Patient/{}", bob.patient)});
        all.entry("Device").or_default().push(id(&created(
            &ehr,
            &json!({"resourceType": "Device", "patient": patient, "identifier": [{"system": "urn:i", "value": "1"}]}),
        )));
        all.entry("Encounter").or_default().push(id(&created(
            &ehr,
            &json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "subject": patient}),
        )));
    }
    for body in [
        restricted(observation(&alice.patient, "laboratory", "4444-4")),
        restricted(observation(&alice.patient, "survey", "4444-4")),
        observation(&bob.patient, "vital-signs", "4444-4"),
        observation(&bob.patient, "vital-signs", "4444-4"),
    ] {
        all.entry("Observation").or_default().push(id(&created(&ehr, &body)));
    }
    let gone = created(&ehr, &restricted(observation(&alice.patient, "laboratory", "2222-2")));
    ehr.delete(&format!("/fhir/Observation/{}", id(&gone))).is(204);
    // A device of Alice's own measures what is not asked for, and Bob's what is.
    alice.stores(&apple((0..9).map(|n| record(STEPS, &format!("s{n}"), &minute(n), "7")).collect()));
    bob.stores(&apple(hearts("b", 9)));
    all.entry("Observation").or_default().extend(alice.finds("&category=activity").ids());
    all.entry("Observation").or_default().extend(bob.finds("&code=8867-4").ids());
    all
}

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// The LOINC code of steps.
const STEPS_CODE: &str = "55423-8";

/// With the label that Alice's Consent withholds.
fn restricted(body: Value) -> Value {
    with(body, json!({"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}))
}

/// A caller: how it comes to see what it sees.
type Asker<'s> = (&'static str, Client<'s>);

/// Somebody who signs in and lets an app ask for this.
fn signed_in<'s>(server: &'s TestServer, name: &str, practitioner: &str, scope: &str) -> Client<'s> {
    server.account(name, &["--role", "clinician", "--fhir-user", practitioner]);
    let browser = server.browser();
    browser.signs_in(name, PASSWORD);
    let app = server.registered(&["--public", "--redirect-uri", CALLBACK, "--scope", scope]);
    server.nobody().bearer(&app.launches(&browser, "", scope, &[]).text_at("/access_token"))
}

fn cares(server: &TestServer, practitioner: &str, patient: &str) {
    let team = json!({
        "resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{patient}")},
        "participant": [{"member": {"reference": practitioner}}]
    });
    created(&server.ehr(), &team);
}

const REST: &str = "CONTEXT/Device.rs?identifier=urn:i%7C1 CONTEXT/Patient.rs CONTEXT/Encounter.rs CONTEXT/Practitioner.rs";

/// Scopes of Observations, and of what goes with them.
fn scopes(context: &str, observations: &str) -> String {
    format!("CONTEXT/Observation.{observations} {REST}").replace("CONTEXT", context)
}

/// Tokens of scripts whose scopes are narrow.
fn of_tokens<'s>(server: &'s TestServer, alice: &Person<'_>) -> Vec<Asker<'s>> {
    let own = |role, scope: String| scoped(server, role, &[&alice.patient], &scope);
    vec![
        ("a patient", own("patient", scopes("patient", "rs?category=vital-signs"))),
        ("a clinician", own("clinician", scopes("user", "cruds?category=vital-signs"))),
    ]
}

/// People: by a care team, under a Consent of Alice's that names them, and in an emergency.
fn of_people<'s>(server: &'s TestServer, alice: &Person<'_>) -> Vec<Asker<'s>> {
    let [ruiz, silva, moreau] = [(); 3].map(|()| server.practitioner());
    cares(server, &ruiz, &alice.patient);
    cares(server, &silva, &alice.patient);
    let recipient = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
    let denied = |more: Value| {
        let actor = json!([{"role": recipient, "reference": {"reference": silva}}]);
        with(
            json!({"type": "deny", "actor": actor, "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}),
            more,
        )
    };
    let provisions = [
        denied(json!({"securityLabel": [{"system": CONFIDENTIALITY, "code": "R"}]})),
        denied(json!({"code": [{"coding": [{"system": "http://loinc.org", "code": STEPS_CODE}]}]})),
    ];
    created(&server.ehr(), &consent(&alice.patient, json!({"type": "permit", "provision": provisions})));
    let narrow = scopes("user", "cruds?category=vital-signs");
    let emergency = signed_in(server, "moreau", &moreau, &narrow);
    let reason = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious after a fall"}]});
    emergency.post(&format!("/fhir/Patient/{}/$break-glass", alice.patient), &reason).is(200);
    crate::care_team::soon(server, || emergency.get(&format!("/fhir/Patient/{}", alice.patient)).status == 200);
    vec![
        ("a care team", signed_in(server, "ruiz", &ruiz, &narrow)),
        ("under a Consent", signed_in(server, "silva", &silva, &scopes("user", "cruds"))),
        ("an emergency", emergency),
    ]
}

/// Records, adds, asks again, and compares.
fn nothing_shows<'s>(server: &'s TestServer, askers: impl FnOnce(&'s TestServer, &Person<'_>) -> Vec<Asker<'s>>) {
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    let seen = world(server, &alice);
    let askers = askers(server, &alice);
    let asks = asks(&alice, &seen);
    let before: Vec<Answers> = askers.iter().map(|(_, client)| answers(client, &asks)).collect();
    for ((who, _), before) in askers.iter().zip(&before) {
        let of_path = |path: &str| before.all.iter().filter(|(ask, _)| ask.path == path).collect::<Vec<_>>();
        for path in PATHS {
            let shows = WITHOUT_ROWS.contains(&path) || of_path(path).iter().any(|(_, answer)| shows_rows(answer));
            assert!(!of_path(path).is_empty() && shows, "{who}: nothing is seen by {path}");
        }
        let rows = before.all.iter().filter(|(_, answer)| shows_rows(answer)).count();
        assert!(rows * 2 >= before.all.len(), "{who}: only {rows} of {} answers show anything", before.all.len());
    }
    let added = hidden(server, &alice, &bob);
    let after: Vec<Answers> = askers.iter().map(|(_, client)| answers(client, &asks)).collect();
    for (((who, _), before), after) in askers.iter().zip(&before).zip(&after) {
        assert_eq!(before.all.len(), after.all.len(), "{who}");
        for ((ask, before), (_, after)) in before.all.iter().zip(&after.all) {
            assert_eq!(before, after, "{who}: {} {} {:?}", ask.verb, ask.url, ask.body);
        }
        for (kind, id) in added.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
            assert!(!shown_in(after, id), "{who} was shown {kind}/{id}");
        }
    }
    // Each addition would have been there to be seen.
    let shown = answers(&server.ehr(), &asks);
    for (kind, id) in added.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
        assert!(shown_in(&shown, id), "{kind}/{id} is nowhere in what a system is answered");
    }
    server.stop();
    let app = store(server);
    for (((who, client), before), after) in askers.iter().zip(&before).zip(&after) {
        let (first, second) = (opened(&app, client, &before.cursors), opened(&app, client, &after.cursors));
        assert!(first.len() > 200, "{who} was given {} cursors", first.len());
        assert!(first.iter().any(|(_, place)| *place != first[0].1), "{who}: every cursor is of one place");
        assert_eq!(first, second, "{who}: a cursor tells of what is hidden");
    }
}

both! {
    fn what_is_hidden_changes_no_byte(server) {
        nothing_shows(server, of_tokens);
    }
}

both! {
    fn what_is_hidden_from_people_changes_no_byte(server) {
        nothing_shows(server, of_people);
    }
}
