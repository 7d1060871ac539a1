//! Searching: parameters, dates, pages, cursors, what is added, and how it may be asked.

use serde_json::{Value, json};

use crate::documents::put;
use crate::support::payload::*;
use crate::support::{Bundle, Person, TestServer};

/// Values of each way of reading that no parameter of it may take.
fn malformed(how: firth::search::How) -> &'static [&'static str] {
    use firth::search::How;
    match how {
        How::Id => &["a/b", "a b", "", "$"],
        How::Token => &["|", "a|b|c", "a\\x", ",a", ""],
        How::Date | How::BirthDate => &["2011jasdlka-03-04", "1980-13", "xx1980", "ge", "1980-5-1", "2026-02-30", "2020,", ""],
        How::Reference => &["Group/", "a b", "http://ehr.example/fhir/Patient/1", "Patient/x/y", "Nonsense/1", ""],
        How::Text => &["", "\u{301}"],
        How::Uri => &["", "a\\x"],
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

both! {
    fn every_parameter_refuses_what_is_malformed_and_is_named(server) {
        let (ehr, auditor) = (server.ehr(), server.auditor());
        for searchable in firth::search::Type::ALL.iter().map(|of| of.search()) {
            let kind = searchable.resource.name();
            let client = if kind == "AuditEvent" { &auditor } else { &ehr };
            let refused = |name: &str, value: &str| {
                let reply = client.get(&format!("/fhir/{kind}?{name}={}", encoded(value))).is(400);
                assert_eq!(reply.at("/issue/0/expression/0"), json!(format!("http.{name}")), "{kind}?{name}={value}: {}", reply.text());
                assert_eq!((reply.at("/resourceType"), reply.code().as_str()), (json!("OperationOutcome"), "request.parameter"), "{name}={value}");
            };
            for param in &searchable.params {
                malformed(param.how).iter().for_each(|value| refused(param.name, value));
                ["maybe", "True", "urn:x|1"].iter().filter(|_| param.is_boolean()).for_each(|value| refused(param.name, value));
            }
            for (name, values) in [("_count", ["-1", "ten", ""]), ("_sort", ["colour", "date,-date", ""]), ("_total", ["all", "1", ""]), ("_include", ["*", "Observation:performer", ""])] {
                values.iter().for_each(|value| refused(name, value));
            }
            refused("_cursor", "");
            refused("_cursor", "AAAA");
            refused("_cursor", "not base64!");
        }
    }
}

both! {
    fn what_is_not_offered_is_refused_unless_lenient(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 2)));
        let ehr = server.ehr();
        for name in ["colour", "value-quantity", "code:in", "date:above", "patient.name", "_has:Device:patient:status", "_summary", "_text"] {
            let reply = ehr.get(&format!("/fhir/Observation?{name}=x")).is(400);
            assert_eq!((reply.code().as_str(), reply.at("/issue/0/code")), ("request.parameter-unknown", json!("not-supported")), "{name}");
        }
        let lenient = ehr.with("prefer", "handling=lenient");
        let bundle = lenient.search(&format!("Observation?patient={}&colour=red&_count=1", alice.patient));
        assert_eq!((bundle.matches().len(), bundle.outcomes().len()), (1, 1));
        assert_eq!(bundle.outcomes()[0]["issue"][0]["severity"], "warning");
        assert!(!bundle.link("self").unwrap().contains("colour"));
        lenient.get("/fhir/Observation?colour=red&date=nonsense").is(400);
        ehr.get("/fhir/Patient?name=a").is(400);
    }
}

/// Ten heart rates a minute apart and one walk of twenty minutes.
fn day(server: &TestServer) -> Person<'_> {
    let alice = server.person("alice");
    let mut records = hearts("r", 10);
    records.push(but(record(STEPS, "st", &minute(100), "500"), "endDate", json!(minute(120))));
    alice.stores(&apple(records));
    alice
}

both! {
    fn dates_select_by_containment(server) {
        let alice = day(server);
        let steps = "code=http://loinc.org|55423-8";
        let hearts = "code=http://loinc.org|8867-4";
        for (query, wanted) in [
            (format!("{hearts}&date=2026-03-01T00:03Z"), 1),
            (format!("{hearts}&date=2026-03-01"), 10),
            (format!("{hearts}&date=2026-03"), 10),
            (format!("{hearts}&date=2026-03-02"), 0),
            (format!("{hearts}&date=ne2026-03-01T00:03Z"), 9),
            (format!("{hearts}&date=ge2026-03-01T00:03:00Z"), 7),
            (format!("{hearts}&date=gt2026-03-01T00:03:00Z"), 6),
            (format!("{hearts}&date=le2026-03-01T00:03:00Z"), 4),
            (format!("{hearts}&date=lt2026-03-01T00:03:00Z"), 3),
            (format!("{hearts}&date=sa2026-03-01T00:03:00Z"), 6),
            (format!("{hearts}&date=eb2026-03-01T00:03:00Z"), 3),
            // A moment covers its second: what begins where it ends lies after it.
            (format!("{hearts}&date=sa2026-03-01T00:02:59Z"), 7),
            (format!("{hearts}&date=eb2026-03-01T00:03:01Z"), 4),
            (format!("{hearts}&date=ge2026-03-01T00:02:00Z&date=lt2026-03-01T00:05:00Z"), 3),
            (format!("{hearts}&date=2026-03-01T00:02Z,2026-03-01T00:05Z"), 2),
            (format!("{hearts}&date=ge2026-03-01T01:03:00%2B01:00"), 7),
            (format!("{hearts}&date=ap2026-03-01"), 10),
            // The walk is from 01:40 to 02:00: a range must contain all of it.
            (format!("{steps}&date=2026-03-01"), 1),
            (format!("{steps}&date=2026-03-01T01:50Z"), 0),
            (format!("{steps}&date=ne2026-03-01T01:50Z"), 1),
            (format!("{steps}&date=gt2026-03-01T01:50:00Z"), 1),
            (format!("{steps}&date=lt2026-03-01T01:50:00Z"), 1),
            (format!("{steps}&date=sa2026-03-01T01:50:00Z"), 0),
            (format!("{steps}&date=eb2026-03-01T01:50:00Z"), 0),
            (format!("{steps}&date=sa2026-03-01T01:30:00Z"), 1),
            (format!("{steps}&date=eb2026-03-01T02:30:00Z"), 1),
            (format!("{steps}&date=gt2026-03-01T02:30:00Z"), 0),
        ] {
            let found = server.ehr().search(&format!("Observation?patient={}&_count=100&{query}", alice.patient));
            assert_eq!(found.matches().len(), wanted, "{query}");
            let counted = server.ehr().search(&format!("Observation?patient={}&_count=0&{query}", alice.patient));
            assert_eq!(counted.total(), Some(wanted as i64), "{query}");
        }
    }
}

/// What of three moments within a millisecond, and one after them, answers each search.
const FINER: [(&str, &str); 25] = [
    ("00.1234", "bc"),
    ("00.123400", "b"),
    ("00.1233", ""),
    ("00.123", "abc"),
    ("00.1", ""),
    ("00", "abcd"),
    ("ne00.123400", "acd"),
    ("gt00.123400", "cd"),
    ("gt00.123", "d"),
    ("gt00.12339", "bcd"),
    ("ge00.1234", "bcd"),
    ("ge00.12341", "cd"),
    ("lt00.1234", "a"),
    ("lt00.12341", "ab"),
    ("lt00.123", ""),
    ("le00.123400", "ab"),
    ("le00.12339", "a"),
    ("sa00.123400", "cd"),
    ("sa00.1233", "bcd"),
    ("eb00.1234", "a"),
    ("eb00.124", "abc"),
    ("eb00.1235", "abc"),
    ("ap00.1234", "abcd"),
    ("00.123456789", "c"),
    ("ge00.1235", "d"),
];

/// The moments of `FINER`, each with its name.
const MOMENTS: [(&str, &str); 4] = [("a", "00.123"), ("b", "00.1234"), ("c", "00.123456789"), ("d", "00.124")];

/// With its second as a time: `ge00.5` is `ge2026-03-01T00:00:00.5Z`.
fn finer(text: &str) -> String {
    format!("{}Z", text.replacen("00", "2026-03-01T00:00:00", 1))
}

both! {
    fn dates_of_documents_select_finer_than_a_millisecond(server) {
        let ehr = server.ehr();
        for (id, second) in MOMENTS {
            let list = json!({"resourceType": "List", "id": id, "status": "current", "mode": "working", "date": finer(second)});
            put(&ehr, &format!("/fhir/List/{id}"), &list).is(201);
            let sent = json!({"resourceType": "Communication", "id": id, "status": "completed", "sent": finer(second)});
            put(&ehr, &format!("/fhir/Communication/{id}"), &sent).is(201);
        }
        for (asked, wanted) in FINER {
            for search in ["List?date", "Communication?sent"] {
                let mut found = ehr.search(&format!("{search}={}", finer(asked))).ids();
                found.sort();
                assert_eq!(found.concat(), wanted, "{search}={asked}");
            }
        }
    }
}

both! {
    fn dates_of_samples_select_finer_than_a_millisecond(server) {
        let alice = server.person("alice");
        alice.stores(&apple(MOMENTS.iter().map(|(id, second)| heart(id, &finer(second), "61")).collect()));
        for (asked, wanted) in FINER {
            let found = alice.finds(&format!("&date={}", finer(asked))).matches();
            let mut found: Vec<&str> = found.iter().filter_map(|one| one["identifier"][0]["value"].as_str()).collect();
            found.sort_unstable();
            assert_eq!(found.concat(), wanted, "{asked}");
        }
    }
}

both! {
    fn missing_asks_for_the_element_and_not_for_what_is_found(server) {
        let ehr = server.ehr();
        let foreign = json!({"reference": "https://ehr.example/fhir/Patient/1"});
        for (id, subject, code) in [
            ("foreign", foreign, json!({"text": "in words"})),
            ("known", json!({"identifier": {"system": "urn:mrn", "value": "1"}}), json!({"coding": [{"display": "in words"}]})),
            ("named", json!({"display": "somebody"}), json!({"coding": [{"code": "x"}]})),
            ("group", json!({"reference": "https://ehr.example/fhir/Group/1"}), json!({"text": "x"})),
            ("nothing", json!(null), json!({"text": "x"})),
        ] {
            let mut list = json!({"resourceType": "List", "id": id, "status": "current", "mode": "working", "code": code, "subject": subject});
            if list["subject"].is_null() {
                list.as_object_mut().unwrap().retain(|name, _| !["subject", "code"].contains(&name.as_str()));
            }
            put(&ehr, &format!("/fhir/List/{id}"), &list).is(201);
        }
        let unsaid = json!({"resourceType": "Practitioner", "id": "unsaid", "_active": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}});
        put(&ehr, "/fhir/Practitioner/unsaid", &unsaid).is(201);
        for (query, wanted) in [
            ("List?subject:missing=true", "nothing"),
            ("List?subject:missing=false", "foreign group known named"),
            // What is known to be a Patient.
            ("List?patient:missing=false", "foreign"),
            ("List?patient:missing=true", "group known named nothing"),
            ("List?code:missing=true", "nothing"),
            ("List?code:missing=false", "foreign group known named"),
            ("List?code:not=x", "foreign group known nothing"),
            ("Practitioner?active:missing=true", "unsaid"),
        ] {
            let mut found = ehr.search(query).ids();
            found.sort();
            assert_eq!(found.join(" "), wanted, "{query}");
        }
    }
}

both! {
    fn documents_that_an_older_binary_indexed_are_indexed_anew(server) {
        let list = json!({"resourceType": "List", "id": "old", "status": "current", "mode": "working", "code": {"text": "in words"}});
        put(&server.ehr(), "/fhir/List/old", &list).is(201);
        server.stop();
        server.sql(false, "UPDATE doc_key SET present = 0; DELETE FROM meta WHERE name = 'index_version'").unwrap();
        server.run();
        assert_eq!(server.ehr().search("List?code:missing=false").ids(), ["old"]);
    }
}

both! {
    fn a_boolean_is_true_or_false(server) {
        let ehr = server.ehr();
        put(&ehr, "/fhir/Practitioner/at-work", &json!({"resourceType": "Practitioner", "id": "at-work", "active": true})).is(201);
        let special = "http://terminology.hl7.org/CodeSystem/special-values";
        for (asked, wanted) in [("active=true", 1), ("active=false", 0), ("active:not=false", 1), (&format!("active={special}|true"), 1), (&format!("active={special}|"), 1), ("active=urn:x|true", 0), ("gender=nonsense", 0)] {
            assert_eq!(ehr.search(&format!("Practitioner?{}", asked.replace('|', "%7C"))).ids().len(), wanted, "{asked}");
        }
        for asked in ["active=maybe", "active=True", "active=1", "active=true,maybe", "active:not=maybe"] {
            let refused = ehr.get(&format!("/fhir/Practitioner?{asked}")).is(400);
            assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.parameter", json!("http.active")), "{asked}");
            assert!(refused.text().contains("true or false"), "{}", refused.text());
        }
    }
}

both! {
    fn tokens_references_and_ids_select(server) {
        let (alice, bob) = (day(server), server.person("bob"));
        bob.stores(&apple(hearts("b", 3)));
        let ehr = server.ehr();
        let count = |query: &str| ehr.search(&format!("Observation?_count=100&{query}")).matches().len();
        let patient = format!("patient={}", alice.patient);
        for (query, wanted) in [
            ("code=8867-4", 10),
            ("code=http://loinc.org|8867-4", 10),
            ("code=http://loinc.org|", 11),
            ("code=|8867-4", 0),
            ("code=http://snomed.info/sct|8867-4", 0),
            ("code=8867-4,55423-8", 11),
            ("code=8867-4&code=55423-8", 0),
            ("code=8867-4&code=heartRate", 10),
            ("category=vital-signs", 10),
            ("category=activity", 1),
            ("status=final", 11),
            ("status=amended", 0),
            ("identifier=st", 1),
            ("identifier=urn:firth:record:apple|st", 1),
            ("identifier=urn:firth:record:google|st", 0),
            ("identifier=nothing", 0),
        ] {
            assert_eq!(count(&format!("{patient}&{query}")), wanted, "{query}");
        }
        for form in [&alice.patient, &format!("Patient/{}", alice.patient), &format!("{}/fhir/Patient/{}", server.url(), alice.patient)] {
            assert_eq!((count(&format!("patient={form}")), count(&format!("subject={form}"))), (11, 11), "{form}");
        }
        assert_eq!(count(&format!("subject:Patient={}", alice.patient)), 11);
        assert_eq!(count(&format!("patient={},{}", alice.patient, bob.patient)), 14);
        assert_eq!(count(&format!("patient={}&patient={}", alice.patient, bob.patient)), 0);
        assert_eq!(count("patient=nobody"), 0);
        let found = ehr.search(&format!("Observation?{patient}&_count=2"));
        let ids = found.ids();
        assert_eq!(count(&format!("_id={}", ids[0])), 1);
        assert_eq!(count(&format!("_id={},{}", ids[0], ids[1])), 2);
        assert_eq!(count(&format!("_id={}&code=8480-6", ids[0])), 0);
        assert_eq!(count("_id=nothing"), 0);
        let device = found.matches()[0]["device"]["reference"].as_str().unwrap().to_owned();
        assert_eq!((count(&format!("device={device}")), count("device=Device/nothing")), (11, 0));
        assert_eq!(count("_lastUpdated=gt2020-01-01"), 14);
        assert_eq!(count("_lastUpdated=lt2020-01-01"), 0);
    }
}

both! {
    fn patients_are_found_by_name_identifier_and_devices_by_patient(server) {
        let app = server.backend_of_app();
        let ehr = server.ehr();
        let fields = json!({"first_name": "Zoë", "last_name": "Marchetti", "external_user_id": "mrn|7,1"});
        let patient = app.post("/api/v1/users", &fields).is(201).text_at("/patient_id");
        let finds = |query: &str| ehr.search(&format!("Patient?{query}")).ids().contains(&patient);
        for query in ["family=march", "family=MARCHETTI", "given=zoe", "name=zoe", "name=marchetti", "family:exact=Marchetti", &format!("_id={patient}"), "identifier=mrn%5C%7C7%5C%2C1", "identifier=urn:firth:external%7Cmrn%5C%7C7%5C%2C1"] {
            assert!(finds(query), "{query}");
        }
        for query in ["family=chetti", "given=march", "family:exact=marchetti", "identifier=mrn", "birthdate=1980"] {
            assert!(!finds(query), "{query}");
        }
        let alice = day(server);
        let devices = ehr.search(&format!("Device?patient={}", alice.patient));
        assert!(devices.matches().iter().all(|device| device["patient"]["reference"] == format!("Patient/{}", alice.patient)) && !devices.matches().is_empty());
        let id = &devices.ids()[0];
        ehr.get(&format!("/fhir/Device/{id}")).is(200);
        ehr.get(&format!("/fhir/Device/{id}/_history/1")).is(200);
        assert_eq!(ehr.search(&format!("Device?_include=Device:patient&_id={id}")).included().len(), 1);
    }
}

fn walked(pages: &[Bundle]) -> Vec<String> {
    pages.iter().flat_map(Bundle::ids).collect()
}

both! {
    fn pages_hold_everything_once_and_in_order(server) {
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        // Several blocks that overlap, equal times, a document among samples, corrections of all sorts.
        alice.stores(&apple(hearts("a", 20)));
        alice.stores(&apple((5..25).map(|n| heart(&format!("b-{n}"), &minute(n), "61.5")).collect()));
        bob.stores(&apple(hearts("c", 6)));
        alice.stores(&apple(vec![heart("wide", &minute(7), "61.3700000000000000000000001")]));
        alice.uploads(&apple(vec![heart("a-3", &minute(3), "99"), heart("a-4", &minute(40), "98")]));
        alice.uploads(&apple(vec![heart("a-3", &minute(3), "100")]));
        let ehr = server.ehr();
        for (scope, wanted) in [(format!("patient={}", alice.patient), 41), ("code=8867-4".to_owned(), 47), (format!("patient={},{}", alice.patient, bob.patient), 47)] {
            for sort in ["date", "-date", "_lastUpdated", "-_lastUpdated"] {
                let pages = ehr.pages(&format!("Observation?{scope}&_sort={sort}&_count=7&_total=accurate"));
                let ids = walked(&pages);
                let mut distinct = ids.clone();
                distinct.sort();
                distinct.dedup();
                assert_eq!((ids.len(), distinct.len()), (wanted, wanted), "{scope} {sort}");
                assert!(pages.iter().all(|page| page.total() == Some(wanted as i64)), "{scope} {sort}");
                assert!(pages[..pages.len() - 1].iter().all(|page| page.matches().len() == 7));
                let key = |one: &Value| match sort.trim_start_matches('-') {
                    "date" => one["effectiveDateTime"].clone(),
                    _ => one["meta"]["lastUpdated"].clone(),
                };
                let keys: Vec<String> = pages.iter().flat_map(Bundle::matches).map(|one| key(&one).as_str().unwrap().to_owned()).collect();
                let mut sorted = keys.clone();
                sorted.sort();
                if sort.starts_with('-') {
                    sorted.reverse();
                }
                assert_eq!(keys, sorted, "{scope} {sort}");
                let whole = ehr.search(&format!("Observation?{scope}&_sort={sort}&_count=1000"));
                assert_eq!((whole.ids(), whole.next()), (ids, None), "{scope} {sort}");
            }
        }
    }
}

both! {
    fn patients_devices_and_audit_events_have_pages_too(server) {
        for n in 0..9 {
            let person = server.person(&format!("person{n}"));
            person.stores(&apple(hearts("r", 1)));
        }
        for (client, kind) in [(server.ehr(), "Patient"), (server.ehr(), "Device"), (server.auditor(), "AuditEvent")] {
            let sorts: &[&str] = if kind == "AuditEvent" { &["date", "-date"] } else { &["_lastUpdated", "-_lastUpdated"] };
            for sort in sorts {
                let date = if kind == "AuditEvent" { "&action=C&type=110107,rest" } else { "" };
                let pages = client.pages(&format!("{kind}?_sort={sort}&_count=4{date}"));
                let ids = walked(&pages);
                let mut distinct = ids.clone();
                distinct.sort();
                distinct.dedup();
                assert_eq!(ids.len(), distinct.len(), "{kind} {sort}");
                assert!(ids.len() >= 9, "{kind} {sort}: {}", ids.len());
            }
        }
    }
}

both! {
    fn new_data_does_not_disturb_pages_that_go_backwards_in_time(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 20)));
        let first = server.ehr().search(&format!("Observation?patient={}&_sort=-date&_count=7", alice.patient));
        alice.stores(&apple((30..40).map(|n| heart(&format!("n-{n}"), &minute(n), "70")).collect()));
        let mut ids = first.ids();
        let mut next = first.next();
        while let Some(link) = next {
            let page = Bundle(server.ehr().get(&link).is(200).json());
            ids.extend(page.ids());
            next = page.next();
        }
        let old: Vec<String> = alice.finds("&_sort=-date&date=lt2026-03-01T00:20:00Z").ids();
        assert_eq!(ids, old);
    }
}

both! {
    fn a_cursor_belongs_to_its_query_and_its_token(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 20)));
        let next = server.ehr().search(&format!("Observation?patient={}&_count=7", alice.patient)).next().unwrap();
        let cursor = next.split("_cursor=").nth(1).unwrap();
        server.ehr().get(&next).is(200);
        let refused = |client: &crate::support::Client<'_>, url: &str| {
            let reply = client.get(url).is(400);
            assert_eq!((reply.code().as_str(), reply.at("/issue/0/expression/0")), ("request.parameter", json!("http._cursor")), "{url}");
        };
        let other = server.nobody().bearer(&server.token(&["--role", "ehr-system"]).0);
        assert_eq!(other.get(&next).is(403).code(), "auth.forbidden");
        refused(&server.ehr(), &next.replace("_count=7", "_count=8"));
        refused(&server.ehr(), &format!("/fhir/Observation?code=8867-4&_count=7&_cursor={cursor}"));
        refused(&server.ehr(), &format!("/fhir/Patient?_cursor={cursor}"));
        let mut broken = next.clone();
        let last = broken.pop().unwrap();
        broken.push(if last == 'A' { 'B' } else { 'A' });
        refused(&server.ehr(), &broken);
    }
}

both! {
    fn counts_and_totals_are_as_asked(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 60)));
        let search = |more: &str| server.ehr().search(&format!("Observation?patient={}{more}", alice.patient));
        assert_eq!((search("").matches().len(), search("").total()), (50, None));
        assert!(search("").next().is_some());
        let total = search("&_count=0");
        assert_eq!((total.total(), total.matches().len(), total.next()), (Some(60), 0, None));
        assert_eq!((search("&_total=accurate&_count=5").total(), search("&_total=none").total()), (Some(60), None));
        assert_eq!(search("&_count=99999").matches().len(), 60);
        let page = search("&_count=60");
        assert_eq!((page.matches().len(), page.next()), (60, None));
        assert_eq!((&page.0["resourceType"], &page.0["type"]), (&json!("Bundle"), &json!("searchset")));
        assert!(page.link("self").unwrap().starts_with(&format!("{}/fhir/Observation?", server.url())));
        let entry = &page.0["entry"][0];
        assert_eq!(entry["fullUrl"], json!(format!("{}/fhir/Observation/{}", server.url(), page.ids()[0])));
    }
}

both! {
    fn includes_are_added_once(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 5)));
        let bundle = server.ehr().search(&format!("Observation?patient={}&_include=Observation:device&_include=Observation:subject", alice.patient));
        let mut kinds: Vec<String> = bundle.included().iter().map(|one| one["resourceType"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        assert_eq!((bundle.matches().len(), kinds), (5, vec!["Device".to_owned(), "Patient".to_owned()]));
    }
}

both! {
    fn a_search_may_be_posted(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 9)));
        let ehr = server.ehr();
        let post = |path: &str, kind: &str, form: &str| ehr.with("content-type", kind).send("POST", path, Some(form.as_bytes()));
        let form = "application/x-www-form-urlencoded";
        let asked = format!("patient={}&code=http%3A%2F%2Floinc.org%7C8867-4&_count=4", alice.patient);
        let posted = Bundle(post("/fhir/Observation/_search", form, &asked).is(200).json());
        assert_eq!(posted.ids(), ehr.search(&format!("Observation?{asked}")).ids());
        assert_eq!(Bundle(ehr.get(&posted.next().unwrap()).is(200).json()).matches().len(), 4);
        let mixed = Bundle(post("/fhir/Observation/_search?_count=2", form, &format!("patient={}", alice.patient)).is(200).json());
        assert_eq!(mixed.matches().len(), 2);
        assert_eq!(post("/fhir/Observation/_search", "application/json", "{}").is(415).code(), "request.media-type");
        post("/fhir/Observation/_search", form, "date=nonsense").is(400);
    }
}

both! {
    fn heads_formats_methods_and_encodings(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("a", 60)));
        let ehr = server.ehr();
        let path = format!("/fhir/Observation?patient={}", alice.patient);
        let head = ehr.send("HEAD", &path, None).is(200);
        assert_eq!((head.body.len(), head.header("content-type")), (0, Some("application/fhir+json; charset=utf-8")));
        for accept in ["application/fhir+xml", "application/xml", "text/turtle"] {
            let refused = ehr.with("accept", accept).get(&path).is(406);
            assert_eq!(refused.code(), "request.not-acceptable");
            assert!(refused.text().contains("application/fhir+json"));
        }
        ehr.with("accept", "application/fhir+xml, application/fhir+json;q=0.5").get(&path).is(200);
        ehr.with("accept", "*/*").get(&path).is(200);
        ehr.get(&format!("{path}&_format=xml")).is(406);
        ehr.get(&format!("{path}&_format=json")).is(200);
        ehr.with("accept", "application/fhir+xml").get(&format!("{path}&_format=application/fhir%2Bjson")).is(200);
        for (verb, path, allow) in [("PATCH", "/fhir/metadata", "GET"), ("POST", "/fhir/Patient/x", "GET"), ("POST", "/fhir/metadata", "GET"), ("PUT", "/api/v1/users", "POST")] {
            let refused = ehr.send(verb, path, if verb == "DELETE" { None } else { Some(b"{}") }).is(405);
            assert!(refused.header("allow").is_some_and(|header| header.contains(allow)), "{verb} {path}: {:?}", refused.header("allow"));
            assert_eq!(refused.code(), "request.method");
        }
        let packed = ehr.with("accept-encoding", "gzip").get(&path).is(200);
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut clear = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.body.as_slice()), &mut clear).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&clear).unwrap()["type"], "searchset");
        for path in ["/oauth/nothing", "/console", "/apps/x", "/.well-known/smart-configuration", "/fhir/.well-known/nothing", "/fhir/Nonsense", "/fhir/Nonsense/1", "/nothing"] {
            ehr.get(path).is(404);
        }
    }
}

both! {
    fn links_are_those_of_the_public_url(server, "FIRTH_PUBLIC_URL" = "https://health.example/base/") {
        let alice = server.person("alice");
        let reply = alice.sync(apple(hearts("a", 9)).to_string().as_bytes()).is(202);
        assert!(reply.header("location").unwrap().starts_with("https://health.example/base/api/v1/sdk/users/"));
        let bundle = server.ehr().search(&format!("Observation?patient={}&_count=4", alice.patient));
        assert!(bundle.link("self").unwrap().starts_with("https://health.example/base/fhir/Observation?"));
        let next = bundle.next().unwrap().replace("https://health.example/base", &server.url());
        assert_eq!(Bundle(server.ehr().get(&next).is(200).json()).matches().len(), 4);
        assert_eq!(server.ehr().search("Observation?patient=https://health.example/base/fhir/Patient/x").matches().len(), 0);
    }
}

both! {
    fn the_capability_statement_offers_what_is_served(server) {
        let statement = server.nobody().get("/fhir/metadata").is(200);
        assert_eq!((statement.at("/resourceType"), statement.at("/fhirVersion")), (json!("CapabilityStatement"), json!("4.0.1")));
        let resources = statement.at("/rest/0/resource");
        for searchable in firth::search::Type::ALL.iter().map(|of| of.search()) {
            let one = resources.as_array().unwrap().iter().find(|one| one["type"] == searchable.resource.name()).unwrap();
            let offered: Vec<&str> = one["searchParam"].as_array().unwrap().iter().filter_map(|param| param["name"].as_str()).collect();
            for param in &searchable.params {
                assert!(offered.contains(&param.name), "{}", param.name);
            }
        }
        assert!(statement.text().contains("oauth-uris"));
    }
}
