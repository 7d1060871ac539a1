//! Non-interference: what a caller may not see changes nothing of what it is answered.
//!
//! The answers of many requests are recorded, resources that are hidden from the caller are added, and the same requests
//! are sent again. Nothing may differ but the request's id, the time of the answer and the ciphertext of cursors, whose
//! length stays. What a cursor leads to is compared as well, and at the end the cursors are opened with the keys of the
//! store: the places in them may not differ either.

use std::collections::HashSet;

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
use crate::interference_asks::*;
use crate::interference_system;
use crate::sign_in::PASSWORD;
use crate::smart::flow::CALLBACK;
use crate::support::payload::*;
use crate::support::{Bundle, Client, Person, Reply, TestServer};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// A cursor, and what stands before it in its link: `Observation?code=x&_count=1`.
pub type Kept = (String, String);

/// What is compared: all of the answer, without the request's id and time, cursors by their length.
pub fn told(reply: &Reply, kept: &mut Vec<Kept>) -> String {
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
pub struct Answers {
    pub all: Vec<(Ask, String)>,
    pub cursors: Vec<Kept>,
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

/// The words of a text that can be ids.
fn words(text: &str) -> HashSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')).collect()
}

/// Every word of the answers. What repeats a word that was sent does not count.
pub fn shown(told_of: &Answers) -> HashSet<&str> {
    let mut all = HashSet::new();
    for (ask, answer) in &told_of.all {
        let mut said = words(&ask.url);
        said.extend(ask.body.iter().flat_map(|(_, body)| words(body)));
        all.extend(words(answer).into_iter().filter(|word| !said.contains(word)));
    }
    all
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

/// What somebody has, one of each type.
fn of_each_type(of: &str, device: &str, observation: &str) -> Vec<Value> {
    let (patient, words) = (json!({"reference": format!("Patient/{of}")}), json!({"text": "something"}));
    let (device, observation) =
        (json!({"reference": format!("Device/{device}")}), json!({"reference": format!("Observation/{observation}")}));
    let mut all: Vec<Value> = [
        json!({"resourceType": "Basic", "code": words}),
        json!({"resourceType": "CarePlan", "status": "active", "intent": "plan"}),
        json!({"resourceType": "CareTeam", "status": "active"}),
        json!({"resourceType": "Communication", "status": "completed"}),
        json!({"resourceType": "DiagnosticReport", "status": "final", "code": words}),
        json!({"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"title": "A letter"}}]}),
        json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}}),
        json!({"resourceType": "Flag", "status": "active", "code": words}),
        json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": words}),
        json!({"resourceType": "List", "status": "current", "mode": "working", "entry": [{"item": observation}]}),
        json!({"resourceType": "QuestionnaireResponse", "status": "completed"}),
    ]
    .map(|body| with(body, json!({"subject": patient})))
    .into();
    all.extend([
        json!({"resourceType": "Binary", "contentType": "text/plain", "securityContext": patient, "data": "aGVsbG8="}),
        json!({"resourceType": "DetectedIssue", "status": "final", "patient": patient}),
        json!({"resourceType": "Provenance", "target": [observation], "recorded": "2026-02-24T08:30:00Z", "agent": [{"who": device}]}),
        json!({"resourceType": "RelatedPerson", "patient": patient}),
    ]);
    all
}

fn device(of: &str) -> Value {
    let patient = json!({"reference": format!("Patient/{of}")});
    json!({"resourceType": "Device", "patient": patient, "identifier": [{"system": "urn:i", "value": "1"}]})
}

fn shared(body: Value) -> Value {
    with(body, json!({"identifier": [{"system": "urn:shared", "value": "1"}]}))
}

/// What is there before anything is recorded.
struct World {
    /// What of Alice's may be seen.
    seen: Vec<Value>,
    /// One of it.
    shared: Value,
    /// A Device of Bob's, to which two Observations of Alice's point.
    bobs: Value,
    /// A Practitioner who asks nothing: those are seen by everybody.
    stranger: String,
}

/// A world of two people.
fn world(server: &TestServer, alice: &Person<'_>, bob: &Person<'_>) -> World {
    let ehr = server.ehr();
    let own = created(&ehr, &device(&alice.patient));
    let bobs = created(&ehr, &device(&bob.patient));
    let mut seen = vec![own.clone()];
    for (n, device) in [&own, &own, &bobs, &bobs, &own].into_iter().enumerate() {
        let device = json!({"reference": format!("Device/{}", id(device))});
        let more = json!({"effectiveDateTime": format!("2026-02-2{n}T08:30:00Z"), "device": device});
        seen.push(created(&ehr, &with(observation(&alice.patient, "vital-signs", "1111-1"), more)));
    }
    put(&ehr, &with(seen[1].clone(), json!({"status": "amended"}))).is(200);
    // One that is gone, and one whose first version was of another kind.
    ehr.delete(&format!("/fhir/Observation/{}", id(&seen[5]))).is(204);
    let moved = created(&ehr, &observation(&alice.patient, "laboratory", "1111-1"));
    put(&ehr, &with(moved.clone(), json!({"category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]}))).is(200);
    let shared = created(&ehr, &shared(observation(&alice.patient, "vital-signs", "1111-1")));
    seen.extend([moved, shared.clone()]);
    seen.push(created(&ehr, &json!({"resourceType": "Practitioner", "name": [{"family": "Shared"}]})));
    seen.extend(of_each_type(&alice.patient, &id(&own), &id(&shared)).iter().map(|body| created(&ehr, body)));
    alice.stores(&apple([hearts("h", 3), vec![heart("", &minute(40), "71")]].concat()));
    for value in ["60", "61"] {
        alice.stores(&apple(vec![heart("twice", &minute(50), value)]));
    }
    seen.extend(alice.finds("&code=8867-4").matches().into_iter().take(3));
    World { seen, shared, bobs, stranger: server.practitioner() }
}

/// What was added, and shall not be seen.
#[derive(Default)]
pub struct Hidden {
    /// `Observation/1`.
    pub live: Vec<String>,
    /// Of these there is a history only.
    pub gone: Vec<String>,
}

/// How many documents are added in transactions; with `FIRTH_LONG=1` the 10,000 of the list.
fn many() -> usize {
    if std::env::var_os("FIRTH_LONG").is_some() { 10_000 } else { 200 }
}

/// More of Alice's own between two that are seen than a search fetches at once, and the rest of others.
fn crowd(server: &TestServer, alice: &str, others: &[&str]) -> Vec<String> {
    let own = 100.max(many() / 10);
    let entry = |n: usize| {
        let second = |hour: usize| format!("2026-02-21T{hour}:{:02}:{:02}Z", n / 60 % 60, n % 60);
        let (body, when) = match n < own {
            true => (restricted(observation(alice, "laboratory", "1111-1")), second(12)),
            false => (observation(others[n % others.len()], "vital-signs", "1111-1"), second(n % 10 + 10)),
        };
        json!({"request": {"method": "POST", "url": "Observation"}, "resource": with(body, json!({"effectiveDateTime": when}))})
    };
    let entries: Vec<Value> = (0..many()).map(entry).collect();
    let of = |entries: &[Value]| json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let done = entries.chunks(500).map(|entries| server.ehr().post("/fhir", &of(entries)).is(200).json());
    let named = |entry: &Value| {
        entry["response"]["location"].as_str().and_then(|at| at.split("/fhir/").last()?.split("/_history").next().map(str::to_owned))
    };
    done.flat_map(|bundle| {
        bundle["entry"].as_array().expect("entries").iter().map(|entry| named(entry).expect("a location")).collect::<Vec<_>>()
    })
    .collect()
}

/// What nobody of this test may see: another's, and Alice's own outside of the constraint.
fn hidden(server: &TestServer, alice: &Person<'_>, bob: &Person<'_>, world: &World) -> Hidden {
    let (ehr, bobs) = (server.ehr(), &world.bobs);
    let mut all = Hidden::default();
    // Somebody new under Alice's name, in the care of nobody of this test.
    let [new, device_id, binary] = HIDDEN_PATHS.map(|path| path.split_once('/').expect("a path").1);
    let name = server.backend_of_app().get(&format!("/api/v1/users/{}", alice.user)).is(200).text_at("/first_name");
    let bodies = [
        json!({"resourceType": "Patient", "id": new, "name": [{"given": [name]}], "active": true}),
        with(device(new), json!({"id": device_id})),
        json!({"resourceType": "Binary", "id": binary, "contentType": "text/plain", "data": "aGVsbG8=", "securityContext": {"reference": format!("Patient/{new}")}}),
        with(restricted(observation(&alice.patient, "laboratory", "1111-1")), json!({"id": HIDDEN_IDS[0]})),
        with(observation(&bob.patient, "vital-signs", "1111-1"), json!({"id": HIDDEN_IDS[1]})),
        with(observation(&bob.patient, "vital-signs", "1111-1"), json!({"id": HIDDEN_IDS[2]})),
    ];
    for body in &bodies {
        put(&ehr, body).is(201);
        all.live.push(format!("{}/{}", body["resourceType"].as_str().expect("a type"), id(body)));
    }
    cares(server, &world.stranger, new);
    // To what Alice's Observations point, there is a new version.
    put(&ehr, &with(bobs.clone(), json!({"deviceName": [{"name": "Cuff", "type": "user-friendly-name"}]}))).is(200);
    let mut bodies = Vec::new();
    for n in 0..6 {
        bodies.push(restricted(observation(&alice.patient, "laboratory", "1111-1")));
        bodies.push(observation(&bob.patient, "vital-signs", "1111-1"));
        for body in &mut bodies[2 * n..] {
            body["effectiveDateTime"] = json!(format!("2026-02-2{n}T08:29:00Z"));
        }
    }
    bodies.extend([device(&bob.patient), device(new), shared(observation(&bob.patient, "vital-signs", "1111-1"))]);
    bodies.push(shared(restricted(observation(&alice.patient, "laboratory", "1111-1"))));
    for code in ["laboratory", "survey"] {
        bodies.push(restricted(observation(&alice.patient, code, "4444-4")));
        bodies.push(observation(&bob.patient, "vital-signs", "4444-4"));
    }
    let gone = [restricted(observation(&alice.patient, "laboratory", "2222-2")), observation(new, "vital-signs", "2222-2")];
    for of in [&bob.patient, new] {
        bodies.extend(of_each_type(of, &id(bobs), HIDDEN_IDS[1]));
    }
    let make = |body: &Value| format!("{}/{}", body["resourceType"].as_str().expect("a type"), id(&created(&ehr, body)));
    all.live.extend(bodies.iter().map(make));
    all.live.extend(crowd(server, &alice.patient, &[&bob.patient, new]));
    all.gone.extend(gone.iter().map(make));
    all.gone.push(format!("Observation/{}", HIDDEN_IDS[2]));
    all.live.retain(|path| !all.gone.contains(path));
    for path in &all.gone {
        ehr.delete(&format!("/fhir/{path}")).is(204);
    }
    // A device of Alice's own measures what is not asked for, and Bob's what is.
    alice.stores(&apple((0..9).map(|n| record(STEPS, &format!("s{n}"), &minute(n), "7")).collect()));
    bob.stores(&apple(hearts("b", 9)));
    let samples = [alice.finds("&category=activity").ids(), bob.finds("&code=8867-4").ids()].concat();
    assert_eq!(samples.len(), 18);
    all.live.extend(samples.iter().map(|id| format!("Observation/{id}")));
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

/// Scopes of Observations, and of what goes with them.
fn scopes(context: &str, observations: &str) -> String {
    let of = |kind: &str| match kind {
        "Observation" => format!("{context}/Observation.{observations}"),
        "Device" => format!("{context}/Device.rs?identifier=urn:i%7C1"),
        kind => format!("{context}/{kind}.rs"),
    };
    KINDS.map(of).join(" ")
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

/// Each path is walked, and shows something to who asks.
fn are_of_use(who: &str, answers: &Answers) {
    for path in PATHS {
        let mut of_path = answers.all.iter().filter(|(ask, _)| ask.path == path).map(|(_, answer)| answer).peekable();
        assert!(of_path.peek().is_some(), "{who} asks nothing by {path}");
        let shows = WITHOUT_ROWS.contains(&path) || of_path.any(|answer| shows_rows(answer));
        assert!(shows, "{who}: nothing is seen by {path}");
    }
    let rows = answers.all.iter().filter(|(_, answer)| shows_rows(answer)).count();
    assert!(rows * 2 >= answers.all.len(), "{who}: only {rows} of {} answers show anything", answers.all.len());
    let done = answers
        .all
        .iter()
        .filter(|(ask, answer)| ask.path == "conditional" && answer.starts_with("200\n") && answer.contains("\"urn:shared\""));
    // In an emergency nothing is written, and a patient writes nothing.
    assert!(done.count() >= 3 || ["a patient", "an emergency"].contains(&who), "{who}: no criteria were answered by what is seen");
}

/// Records, adds, asks again, and compares.
fn nothing_shows<'s>(server: &'s TestServer, askers: impl FnOnce(&'s TestServer, &Person<'_>) -> Vec<Asker<'s>>) {
    let (alice, bob) = (server.person("alice"), server.person("bob"));
    let world = world(server, &alice, &bob);
    let askers = askers(server, &alice);
    let asks = asks(&alice, &world.seen, &world.shared);
    let before: Vec<Answers> = askers.iter().map(|(_, client)| answers(client, &asks)).collect();
    for ((who, _), before) in askers.iter().zip(&before) {
        are_of_use(who, before);
    }
    let of_system = interference_system::answered(&server.ehr(), &asks);
    let added = hidden(server, &alice, &bob, &world);
    let after: Vec<Answers> = askers.iter().map(|(_, client)| answers(client, &asks)).collect();
    let bobs = format!("/fhir/Device/{}\"", id(&world.bobs));
    for (((who, _), before), after) in askers.iter().zip(&before).zip(&after) {
        for ((ask, before), (_, after)) in before.all.iter().zip(&after.all) {
            assert_eq!(before, after, "{who}: {} {} {:?}", ask.verb, ask.url, ask.body);
            assert!(!after.contains(&bobs), "{who} was shown another's Device by {}", ask.url);
        }
        assert_eq!(before.all.len(), after.all.len(), "{who}");
        let shown = shown(after);
        for path in added.live.iter().chain(&added.gone) {
            assert!(!shown.contains(path.split_once('/').expect("a path").1), "{who} was shown {path}");
        }
    }
    // Each addition would have been there to be seen, by the same requests.
    interference_system::meets(&of_system, &interference_system::answered(&server.ehr(), &asks), &added);
    interference_system::writes(&server.ehr(), &asks, &after.iter().collect::<Vec<_>>());
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
