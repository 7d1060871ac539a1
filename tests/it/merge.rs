//! Merge of Patients and its undoing, through HTTP.

use std::thread;

use serde_json::{Value, json};

use crate::support::payload::*;
use crate::support::{Client, Reply};

const MRN: &str = "urn:example:mrn";

fn patient(mrn: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": MRN, "value": mrn}], "name": [{"family": format!("family-{mrn}")}]})
}

fn created(client: &Client<'_>, body: &Value) -> String {
    let kind = body["resourceType"].as_str().unwrap();
    client.post(&format!("/fhir/{kind}"), body).is(201).text_at("/id")
}

fn put(client: &Client<'_>, path: &str, body: &Value) -> Reply {
    client.with("content-type", "application/fhir+json").send("PUT", path, Some(body.to_string().as_bytes()))
}

fn reference(name: &str, id: &str) -> Value {
    json!({"name": name, "valueReference": {"reference": format!("Patient/{id}")}})
}

fn named(name: &str, value: &str) -> Value {
    json!({"name": name, "valueIdentifier": {"system": MRN, "value": value}})
}

fn post(client: &Client<'_>, path: &str, parameters: &[Value]) -> Reply {
    client.post(path, &json!({"resourceType": "Parameters", "parameter": parameters}))
}

fn merge(client: &Client<'_>, parameters: &[Value]) -> Reply {
    post(client, "/fhir/Patient/$merge", parameters)
}

fn merges(client: &Client<'_>, source: &str, target: &str) -> Reply {
    merge(client, &[reference("source-patient", source), reference("target-patient", target)])
}

fn unmerges(client: &Client<'_>, source: &str, target: &str) -> Reply {
    post(client, &format!("/fhir/Patient/{target}/$unmerge"), &[reference("source-patient", source)])
}

fn read(client: &Client<'_>, id: &str) -> Value {
    client.get(&format!("/fhir/Patient/{id}")).is(200).json()
}

fn link(id: &str, kind: &str) -> Value {
    json!({"other": {"reference": format!("Patient/{id}")}, "type": kind})
}

fn goal(patient: &str) -> Value {
    json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "walk"}, "subject": {"reference": format!("Patient/{patient}")}})
}

fn weight(patient: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final", "code": {"text": "mood"},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": "2026-02-24T08:30:00Z", "valueString": "well"
    })
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// The subjects of what a search finds, each once.
fn subjects(client: &Client<'_>, query: &str) -> Vec<String> {
    let mut all: Vec<String> =
        client.search(query).matches().iter().map(|one| one["subject"]["reference"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// A refusal that names the parameter or the element in it, and where that stands or should.
#[track_caller]
fn refused(reply: Reply, status: u16, parameter: &str) {
    let reply = reply.is(status);
    let (says, at) = (reply.text_at("/issue/0/details/text"), reply.text_at("/issue/0/expression/0"));
    assert!((says.contains(parameter) || at.contains(parameter)) && at.starts_with("Parameters.parameter"), "{}", reply.text());
}

both! {
    fn a_merge_says_so_on_both_sides(server) {
        let ehr = server.ehr();
        let (source, target) = (created(&ehr, &patient("a")), created(&ehr, &patient("b")));
        let reply = merges(&ehr, &source, &target).is(200).json();
        let names: Vec<&Value> = reply["parameter"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
        assert_eq!((&reply["resourceType"], names), (&json!("Parameters"), vec![&json!("input"), &json!("outcome"), &json!("result")]));
        assert_eq!(reply["parameter"][0]["resource"]["parameter"][0], reference("source-patient", &source));
        assert_eq!(reply["parameter"][1]["resource"]["issue"][0]["severity"], "information");
        let (old, new) = (read(&ehr, &source), read(&ehr, &target));
        assert_eq!(reply["parameter"][2]["resource"], new);
        assert_eq!((&old["active"], &old["link"], &old["meta"]["versionId"]), (&json!(false), &json!([link(&target, "replaced-by")]), &json!("2")));
        assert_eq!((new.get("active"), &new["link"]), (None, &json!([link(&source, "replaces")])));
        assert_eq!(new["identifier"], json!([{"system": MRN, "value": "b"}, {"system": MRN, "value": "a", "use": "old"}]));
        assert_eq!(sorted(ehr.search(&format!("Patient?identifier={MRN}|a")).ids()), sorted(vec![source.clone(), target.clone()]));
        assert_eq!(ehr.search("Patient?family=family-a").ids(), std::slice::from_ref(&source));
        assert_eq!(ehr.search(&format!("Patient?link=Patient/{source}")).ids(), std::slice::from_ref(&target));
        for id in [&source, &target] {
            let events = server.auditor().search(&format!("AuditEvent?patient={id}&action=E")).matches();
            let merges = |event: &&Value| ["operation", "merge"].iter().enumerate().all(|(n, code)| event["subtype"][n]["code"] == *code);
            assert_eq!(events.iter().filter(merges).count(), 1, "{events:#?}");
        }
        let statement = server.nobody().get("/fhir/metadata").json().to_string();
        assert!(statement.contains("OperationDefinition/Patient-merge") && statement.contains("Patient-unmerge"));
    }
}

both! {
    fn data_is_found_by_either_id_and_keeps_its_subject(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        alice.stores(&apple(vec![heart("a", &minute(0), "60"), heart("b", &minute(1), "61")]));
        bob.stores(&apple(vec![heart("c", &minute(2), "62")]));
        let (of_alice, of_bob) = (created(&ehr, &goal(&alice.patient)), created(&ehr, &goal(&bob.patient)));
        created(&ehr, &weight(&alice.patient));
        let sample = ehr.search(&format!("Observation?patient={}&code=8867-4", alice.patient)).matches()[0].clone();
        let path = format!("/fhir/Observation/{}", sample["id"].as_str().unwrap());
        merges(&ehr, &alice.patient, &bob.patient).is(200);
        let both = [format!("Patient/{}", alice.patient), format!("Patient/{}", bob.patient)].map(String::from);
        let both = sorted(both.to_vec());
        for id in [&alice.patient, &bob.patient] {
            for query in ["patient", "subject"] {
                assert_eq!(ehr.search(&format!("Observation?{query}={id}&code=8867-4")).ids().len(), 3, "{query}={id}");
                assert_eq!(ehr.search(&format!("Observation?{query}={id}&_total=accurate")).total(), Some(4));
            }
            assert_eq!(subjects(&ehr, &format!("Observation?patient={id}")), both);
            assert_eq!(sorted(ehr.search(&format!("Goal?patient={id}")).ids()), sorted(vec![of_alice.clone(), of_bob.clone()]));
            assert_eq!(sorted(ehr.search(&format!("Goal?subject=Patient/{id}")).ids()).len(), 2);
            assert!(ehr.search(&format!("Device?patient={id}")).ids().len() >= 2);
            assert_eq!(ehr.search(&format!("Observation?patient={id}&subject={}", bob.patient)).ids().len(), 4);
        }
        assert_eq!(subjects(&ehr, "Observation?code=8867-4"), both);
        assert_eq!(ehr.get(&path).is(200).json(), sample, "a stored sample is what it was");
        assert_eq!(ehr.get(&format!("/fhir/Goal/{of_alice}")).is(200).at("/subject/reference"), json!(format!("Patient/{}", alice.patient)));
        let seen = server.auditor().search(&format!("AuditEvent?patient={}&action=R", bob.patient)).matches();
        let named = seen.iter().any(|event| event.to_string().contains(sample["id"].as_str().unwrap()));
        assert!(named, "who reads the source's data reads the target's: {seen:?}");
    }
}

both! {
    fn a_merge_that_is_sent_again_is_answered_as_before(server) {
        let ehr = server.ehr();
        let (source, target) = (created(&ehr, &patient("a")), created(&ehr, &patient("b")));
        let keyed = ehr.with("idempotency-key", "merge-1");
        let first = merges(&keyed, &source, &target).is(200);
        assert_eq!(merges(&keyed, &source, &target).is(200).text(), first.text());
        assert_eq!((&read(&ehr, &source)["meta"]["versionId"], &read(&ehr, &target)["meta"]["versionId"]), (&json!("2"), &json!("2")));
        merges(&keyed, &target, &source).is(422);
        let back = ehr.with("idempotency-key", "unmerge-1");
        let undone = unmerges(&back, &source, &target).is(200);
        assert_eq!(unmerges(&back, &source, &target).is(200).text(), undone.text());
        assert_eq!(merges(&keyed, &source, &target).is(200).text(), first.text());
        assert_eq!(read(&ehr, &source)["meta"]["versionId"], "3");
    }
}

both! {
    fn uploads_go_on_after_a_merge(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let first = apple(vec![heart("a", &minute(0), "60")]);
        alice.stores(&first);
        let devices = ehr.search(&format!("Device?patient={}", alice.patient)).ids();
        merges(&ehr, &alice.patient, &bob.patient).is(200);
        let again = alice.stores(&apple(vec![heart("a", &minute(0), "60"), heart("b", &minute(1), "61")]));
        assert_eq!((again.at("/unchanged"), again.at("/stored")), (json!(1), json!(1)));
        bob.stores(&first);
        assert_eq!(subjects(&ehr, &format!("Observation?patient={}&date=ge{}", bob.patient, minute(1))), [format!("Patient/{}", alice.patient)]);
        let found = ehr.search(&format!("Observation?patient={}", alice.patient));
        assert_eq!(found.ids().len(), 3);
        let now = ehr.search(&format!("Device?patient={}", alice.patient)).ids();
        assert!(devices.iter().all(|device| now.contains(device)) && now.len() == 2 * devices.len(), "{devices:?} {now:?}");
        let new = created(&ehr, &weight(&alice.patient));
        assert!(ehr.search(&format!("Observation?patient={}", bob.patient)).ids().contains(&new));
        let changed = server.backend_of_app().patch(&format!("/api/v1/users/{}", alice.user), &json!({"first_name": "annabella", "external_user_id": "annabella-1"})).is(200);
        server.plant("annabella");
        assert_eq!(changed.at("/external_user_id"), json!("annabella-1"));
        assert_eq!(read(&ehr, &alice.patient)["active"], json!(false));
        let events = server.auditor().search(&format!("AuditEvent?patient={}&type=110107", bob.patient)).matches();
        assert_eq!(events.len(), 2, "{events:?}");
    }
}

both! {
    fn tokens_follow_the_merge(server) {
        let (ehr, alice, bob, carol) = (server.ehr(), server.person("alice"), server.person("bob"), server.person("carol"));
        alice.stores(&apple(vec![heart("a", &minute(0), "60")]));
        bob.stores(&apple(vec![heart("b", &minute(1), "61")]));
        carol.stores(&apple(vec![heart("c", &minute(2), "62")]));
        let (of_alice, of_bob) = (server.clinician(&[&alice]), server.clinician(&[&bob]));
        let own = alice.own();
        let goal = created(&ehr, &goal(&alice.patient));
        assert_eq!(of_bob.search("Observation").ids().len(), 1);
        of_bob.get(&format!("/fhir/Goal/{goal}")).is(404);
        merges(&ehr, &alice.patient, &bob.patient).is(200);
        let issued_after = server.clinician(&[&alice]);
        for client in [&of_alice, &of_bob, &own, &issued_after] {
            for query in ["Observation".to_owned(), format!("Observation?patient={}", alice.patient), format!("Observation?patient={}", bob.patient)] {
                assert_eq!(client.search(&query).ids().len(), 2, "{query}");
            }
            assert_eq!(client.search("Patient").ids().len(), 2);
            client.get(&format!("/fhir/Goal/{goal}")).is(200);
            for id in [&alice.patient, &bob.patient] {
                client.get(&format!("/fhir/Patient/{id}")).is(200);
            }
            client.get(&format!("/fhir/Patient/{}", carol.patient)).is(404);
            assert!(client.search(&format!("Observation?patient={}", carol.patient)).ids().is_empty());
        }
        for id in [&alice.patient, &bob.patient] {
            created(&of_bob, &weight(id));
        }
        unmerges(&ehr, &alice.patient, &bob.patient).is(200);
        assert_eq!((of_bob.search("Observation").ids().len(), of_alice.search("Observation").ids().len()), (2, 2));
        of_bob.get(&format!("/fhir/Goal/{goal}")).is(404);
        of_bob.get(&format!("/fhir/Patient/{}", alice.patient)).is(404);
        own.get(&format!("/fhir/Patient/{}", bob.patient)).is(404);
        own.get(&format!("/fhir/Patient/{}", alice.patient)).is(200);
    }
}

both! {
    fn what_is_merged_is_taken_back_whole(server) {
        let ehr = server.ehr();
        let mut one = patient("a");
        one["active"] = json!(true);
        let (source, target) = (created(&ehr, &one), created(&ehr, &patient("b")));
        let goal = created(&ehr, &goal(&source));
        let (before_source, before_target) = (read(&ehr, &source), read(&ehr, &target));
        merges(&ehr, &source, &target).is(200);
        let mut gender = read(&ehr, &target);
        gender["gender"] = json!("female");
        put(&ehr, &format!("/fhir/Patient/{target}"), &gender).is(200);
        let reply = unmerges(&ehr, &source, &target).is(200);
        let plain = |mut one: Value| {
            one.as_object_mut().unwrap().remove("meta");
            one
        };
        assert_eq!(plain(read(&ehr, &source)), plain(before_source));
        let mut wanted = plain(before_target);
        wanted["gender"] = json!("female");
        assert_eq!(plain(read(&ehr, &target)), wanted);
        assert_eq!(plain(reply.at("/parameter/2/resource")), wanted);
        assert_eq!(ehr.search(&format!("Goal?patient={source}")).ids(), [goal]);
        assert!(ehr.search(&format!("Goal?patient={target}")).ids().is_empty());
        assert_eq!(ehr.search(&format!("Patient?identifier={MRN}|a")).ids(), std::slice::from_ref(&source));
        assert_eq!(ehr.get(&format!("/fhir/Patient/{source}/_history")).is(200).at("/total"), json!(3));
        refused(unmerges(&ehr, &source, &target), 422, "source-patient");
        merges(&ehr, &source, &target).is(200);
        ehr.delete(&format!("/fhir/Patient/{target}")).is(409);
    }
}

both! {
    fn a_chain_is_taken_apart_in_any_order(server) {
        let ehr = server.ehr();
        let [a, b, c] = ["a", "b", "c"].map(|mrn| created(&ehr, &patient(mrn)));
        let goals = [&a, &b, &c].map(|id| created(&ehr, &goal(id)));
        let found = |id: &str| sorted(ehr.search(&format!("Goal?patient={id}")).ids());
        let of = |which: &[usize]| sorted(which.iter().map(|n| goals[*n].clone()).collect());
        merges(&ehr, &a, &b).is(200);
        refused(merges(&ehr, &c, &a), 422, "target-patient");
        refused(merges(&ehr, &a, &c), 422, "source-patient");
        merges(&ehr, &b, &c).is(200);
        for id in [&a, &b, &c] {
            assert_eq!(found(id), of(&[0, 1, 2]));
        }
        refused(unmerges(&ehr, &a, &c), 422, "source-patient");
        // The end of the chain first: the middle keeps what came to it.
        unmerges(&ehr, &b, &c).is(200);
        assert_eq!((found(&a), found(&b), found(&c)), (of(&[0, 1]), of(&[0, 1]), of(&[2])));
        merges(&ehr, &b, &c).is(200);
        // Its beginning first, while the middle stays merged.
        unmerges(&ehr, &a, &b).is(200);
        assert_eq!((found(&a), found(&b), found(&c)), (of(&[0]), of(&[1, 2]), of(&[1, 2])));
        assert_eq!(read(&ehr, &b)["active"], json!(false));
        assert_eq!(ehr.search(&format!("Patient?identifier={MRN}|a")).ids(), std::slice::from_ref(&a));
        unmerges(&ehr, &b, &c).is(200);
        assert_eq!((found(&a), found(&b), found(&c)), (of(&[0]), of(&[1]), of(&[2])));
        for id in [&a, &b, &c] {
            let now = read(&ehr, id);
            assert!(now.get("active").is_none() && now.get("link").is_none() && now["identifier"].as_array().unwrap().len() == 1, "{now}");
        }
    }
}

both! {
    fn a_preview_changes_nothing(server) {
        let ehr = server.ehr();
        let (source, target) = (created(&ehr, &patient("a")), created(&ehr, &patient("b")));
        let goal = created(&ehr, &goal(&source));
        let before = [read(&ehr, &source), read(&ehr, &target)];
        let preview = json!({"name": "preview", "valueBoolean": true});
        let reply = merge(&ehr, &[reference("source-patient", &source), reference("target-patient", &target), preview]).is(200);
        assert_eq!(reply.at("/parameter/2/resource/link"), json!([link(&source, "replaces")]));
        assert_eq!(reply.at("/parameter/2/resource/identifier/1/use"), json!("old"));
        assert_eq!([read(&ehr, &source), read(&ehr, &target)], before);
        assert!(ehr.search(&format!("Goal?patient={target}")).ids().is_empty());
        assert_eq!(ehr.search(&format!("Goal?patient={source}")).ids(), [goal]);
        ehr.delete(&format!("/fhir/Patient/{target}")).is(204);
    }
}

both! {
    fn identifiers_lead_to_one_patient(server) {
        let ehr = server.ehr();
        let [a, b] = ["a", "b"].map(|mrn| created(&ehr, &patient(mrn)));
        created(&ehr, &patient("twice"));
        created(&ehr, &patient("twice"));
        let target = || reference("target-patient", &b);
        refused(merge(&ehr, &[named("source-patient-identifier", "none"), target()]), 422, "source-patient-identifier");
        refused(merge(&ehr, &[named("source-patient-identifier", "twice"), target()]), 422, "source-patient-identifier");
        refused(merge(&ehr, &[reference("source-patient", &a), named("source-patient-identifier", "b"), target()]), 422, "source-patient-identifier");
        refused(merge(&ehr, &[reference("source-patient", &a), named("target-patient-identifier", "a")]), 422, "target-patient");
        refused(merge(&ehr, &[named("source-patient-identifier", "a"), named("source-patient-identifier", "b"), target()]), 422, "source-patient-identifier");
        let nameless = json!({"name": "target-patient-identifier", "valueIdentifier": {"system": MRN}});
        refused(merge(&ehr, &[reference("source-patient", &a), nameless]), 400, "target-patient-identifier");
        merge(&ehr, &[named("source-patient-identifier", "a"), named("target-patient-identifier", "b")]).is(200);
        assert_eq!(read(&ehr, &a)["link"], json!([link(&b, "replaced-by")]));
    }
}

both! {
    fn a_result_is_what_the_target_becomes(server) {
        let ehr = server.ehr();
        let [a, b] = ["a", "b"].map(|mrn| created(&ehr, &patient(mrn)));
        let with = |result: &Value| {
            let result = json!({"name": "result-patient", "resource": result});
            merge(&ehr, &[reference("source-patient", &a), named("target-patient-identifier", "b"), result])
        };
        let mut wanted = patient("b");
        refused(with(&wanted), 422, "result-patient");
        wanted["id"] = json!(a);
        refused(with(&wanted), 422, "result-patient");
        wanted["id"] = json!(b);
        let mut wrong = wanted.clone();
        wrong["identifier"] = json!([{"system": MRN, "value": "other"}]);
        refused(with(&wrong), 422, "result-patient");
        wrong = wanted.clone();
        wrong["link"] = json!([link(&a, "replaced-by")]);
        refused(with(&wrong), 422, "result-patient");
        wrong = wanted.clone();
        wrong["managingOrganization"] = json!({"reference": "Organization/none"});
        refused(with(&wrong), 422, "managingOrganization");
        wrong = wanted.clone();
        wrong["meta"] = json!({"source": "urn:firth:mapping:x@1"});
        refused(with(&wrong), 422, "result-patient.meta.source");
        wrong = wanted.clone();
        wrong["gender"] = json!("x");
        refused(with(&wrong), 400, "gender");
        refused(with(&json!({"resourceType": "Basic", "code": {"text": "x"}})), 400, "result-patient");
        wanted["birthDate"] = json!("1980-05-11");
        let reply = with(&wanted).is(200);
        let now = read(&ehr, &b);
        assert_eq!((&now["birthDate"], &now["link"], &now["identifier"]), (&json!("1980-05-11"), &json!([link(&a, "replaces")]), &wanted["identifier"]));
        assert_eq!(reply.at("/parameter/2/resource"), now);
        unmerges(&ehr, &a, &b).is(200);
        assert_eq!((read(&ehr, &b)["birthDate"].clone(), read(&ehr, &b).get("link")), (json!("1980-05-11"), None));
    }
}

both! {
    fn what_cannot_be_merged_is_refused_by_parameter(server) {
        let ehr = server.ehr();
        let [a, b] = ["a", "b"].map(|mrn| created(&ehr, &patient(mrn)));
        let (source, target) = (|| reference("source-patient", &a), || reference("target-patient", &b));
        let none = "c0ffee00-0000-4000-8000-000000000000";
        refused(merge(&ehr, &[target()]), 400, "source-patient");
        refused(merge(&ehr, &[source()]), 400, "target-patient");
        refused(merge(&ehr, &[source(), source(), target()]), 400, "source-patient");
        refused(merge(&ehr, &[source(), target(), json!({"name": "colour", "valueString": "red"})]), 400, "colour");
        refused(merge(&ehr, &[source(), json!({"name": "target-patient", "valueString": b})]), 400, "target-patient");
        refused(merge(&ehr, &[source(), json!({"name": "target-patient", "valueReference": {"reference": "Group/1"}})]), 400, "target-patient");
        refused(merge(&ehr, &[source(), target(), json!({"name": "preview", "valueString": "yes"})]), 400, "preview");
        refused(merges(&ehr, &a, &a), 422, "target-patient");
        refused(merges(&ehr, none, &b), 422, "source-patient");
        refused(merges(&ehr, &a, none), 422, "target-patient");
        refused(merges(&ehr, "mrn-1", &b), 422, "source-patient");
        let gone = created(&ehr, &patient("gone"));
        ehr.delete(&format!("/fhir/Patient/{gone}")).is(204);
        refused(merges(&ehr, &gone, &b), 422, "source-patient");
        refused(merges(&ehr, &a, &gone), 422, "target-patient");
        let mut replaced = patient("by-hand");
        replaced["link"] = json!([link(&b, "replaced-by")]);
        let replaced = created(&ehr, &replaced);
        refused(merges(&ehr, &replaced, &a), 422, "source-patient");
        ehr.post("/fhir/Patient/$merge", &patient("a")).is(400);
        assert_eq!(ehr.get("/fhir/Patient/$merge").is(405).header("allow"), Some("POST"));
        refused(ehr.post(&format!("/fhir/Patient/{b}/$unmerge"), &json!({"resourceType": "Parameters"})), 400, "source-patient");
        refused(post(&ehr, &format!("/fhir/Patient/{b}/$unmerge"), &[source(), target()]), 400, "target-patient");
        refused(unmerges(&ehr, &a, &b), 422, "source-patient");
        unmerges(&ehr, &a, none).is(404);
        let ehr_reads = server.nobody().bearer(&server.token(&["--role", "ehr-system", "--scope", "system/Patient.rs"]).0);
        let alice = server.person("alice");
        for client in [server.clinician(&[&alice]), alice.own(), ehr_reads] {
            merges(&client, &a, &b).is(403);
            unmerges(&client, &a, &b).is(403);
        }
        assert_eq!(read(&ehr, &a)["meta"]["versionId"], "1");
    }
}

both! {
    fn a_merged_source_stays_what_it_is(server) {
        let ehr = server.ehr();
        let [a, b] = ["a", "b"].map(|mrn| created(&ehr, &patient(mrn)));
        merges(&ehr, &a, &b).is(200);
        let path = format!("/fhir/Patient/{a}");
        let kept = ehr.delete(&path).is(409);
        assert!(kept.code() == "resource.referenced" && kept.text().contains("merge"), "{}", kept.text());
        ehr.delete(&format!("/fhir/Patient/{b}")).is(409);
        let mut awake = read(&ehr, &a);
        awake["active"] = json!(true);
        put(&ehr, &path, &awake).is(422);
        let mut unlinked = read(&ehr, &a);
        unlinked.as_object_mut().unwrap().remove("link");
        put(&ehr, &path, &unlinked).is(422);
        let mut named = read(&ehr, &a);
        named["gender"] = json!("male");
        put(&ehr, &path, &named).is(200);
        // References to it still hold.
        created(&ehr, &weight(&a));
        let included = ehr.search(&format!("Observation?patient={b}&_include=Observation:patient")).included();
        assert_eq!(included.iter().map(|one| one["id"].clone()).collect::<Vec<_>>(), [json!(a)]);
        unmerges(&ehr, &a, &b).is(200);
        assert_eq!(read(&ehr, &a)["gender"], json!("male"));
    }
}

both! {
    fn merges_at_the_same_time_take_turns(server) {
        let ehr = server.ehr();
        for round in 0..4 {
            let [a, b, c] = ["a", "b", "c"].map(|mrn| created(&ehr, &patient(&format!("{mrn}{round}"))));
            let goals = [&a, &b, &c].map(|id| created(&ehr, &goal(id)));
            let statuses: Vec<u16> = thread::scope(|scope| {
                let jobs = [(&a, &b), (&b, &a), (&b, &c), (&a, &b)];
                let jobs = jobs.map(|(source, target)| scope.spawn(|| merges(&ehr, source, target).status));
                jobs.map(|job| job.join().unwrap()).to_vec()
            });
            assert!(statuses.iter().all(|status| [200, 422].contains(status)) && statuses.contains(&200), "{statuses:?}");
            let merged = [&a, &b, &c].iter().filter(|id| read(&ehr, id)["active"] == json!(false)).count();
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), merged, "{statuses:?}");
            let counts: Vec<usize> = [&a, &b, &c].iter().map(|id| ehr.search(&format!("Goal?patient={id}")).ids().len()).collect();
            match merged {
                2 => assert_eq!(counts, [3, 3, 3], "{goals:?}"),
                _ => assert_eq!(counts.iter().sum::<usize>(), 5, "{counts:?}"),
            }
        }
    }
}
