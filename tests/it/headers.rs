//! What the headers of a write and of a read ask for, and what is answered to them.

use serde_json::{Value, json};

use crate::documents::{created, patient, put};
use crate::support::server::Place;
use crate::support::{Backend, Client, Reply, TestServer};

const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn organization(id: &str, name: &str) -> Value {
    json!({"resourceType": "Organization", "id": id, "name": name})
}

fn patch(client: &Client<'_>, path: &str, operations: &Value) -> Reply {
    client.with("content-type", "application/json-patch+json").send("PATCH", path, Some(operations.to_string().as_bytes()))
}

both! {
    fn a_write_says_what_it_sends(server) {
        let ehr = server.ehr();
        let (text, id) = (patient().to_string(), created(&ehr, &patient()));
        let path = format!("/fhir/Patient/{id}");
        for (verb, path) in [("POST", "/fhir/Patient"), ("PUT", path.as_str()), ("POST", "/fhir"), ("POST", "/fhir/Patient/$validate"), ("PATCH", path.as_str())] {
            let refused = ehr.send(verb, path, Some(text.as_bytes())).is(415);
            assert_eq!(refused.code(), "request.media-type", "{verb} {path}");
            assert!(refused.text().contains("application/fhir+json") && refused.text().contains("Content-Type"), "{}", refused.text());
            for kind in ["text/json", "text/plain", "application/fhir+json; charset=iso-8859-1", "application/fhir+json; charset=\"utf-16\"", "application/fhir+json; fhirVersion=5.0"] {
                let refused = ehr.with("content-type", kind).send(verb, path, Some(text.as_bytes())).is(415);
                assert!(refused.text().contains("application/fhir+json"), "{verb} {path} {kind}");
            }
        }
        for kind in ["application/fhir+json", "application/json", "Application/FHIR+JSON; Charset=\"UTF-8\"", "application/fhir+json; fhirVersion=4.0; charset=utf-8"] {
            ehr.with("content-type", kind).send("POST", "/fhir/Patient", Some(text.as_bytes())).is(201);
        }
    }
}

both! {
    fn a_create_matches_no_version(server) {
        let ehr = server.ehr();
        for tag in ["W/\"1\"", "*"] {
            assert_eq!(ehr.with("if-match", tag).post("/fhir/Patient", &patient()).is(412).code(), "resource.precondition");
        }
        let entry = |kind: &str| json!({"resourceType": "Bundle", "type": kind, "entry": [
            {"resource": patient(), "request": {"method": "POST", "url": "Patient", "ifMatch": "W/\"1\""}}]});
        assert_eq!(ehr.post("/fhir", &entry("transaction")).is(412).at("/issue/0/expression/0"), json!("Bundle.entry[0]"));
        assert_eq!(ehr.post("/fhir", &entry("batch")).is(200).at("/entry/0/response/status"), json!("412"));
        assert!(ehr.search("Patient").ids().is_empty());
    }
}

both! {
    fn what_was_modified_since_is_not_overwritten(server) {
        let ehr = server.ehr();
        let path = "/fhir/Organization/ward";
        let made = put(&ehr.with("if-unmodified-since", PAST), path, &organization("ward", "One")).is(201);
        let (early, then) = (ehr.with("if-unmodified-since", PAST), ehr.with("if-unmodified-since", made.header("last-modified").unwrap()));
        assert_eq!(put(&early, path, &organization("ward", "Two")).is(412).code(), "resource.precondition");
        patch(&early, path, &json!([{"op": "replace", "path": "/name", "value": "Two"}])).is(412);
        early.delete(path).is(412);
        put(&early, "/fhir/Organization?name=One", &organization("ward", "Two")).is(412);
        early.delete("/fhir/Organization?name=One").is(412);
        // If-Match decides where it stands, and a date that is none is none.
        put(&early.with("if-match", "W/\"1\""), path, &organization("ward", "Two")).is(200);
        put(&ehr.with("if-unmodified-since", "yesterday"), path, &organization("ward", "Three")).is(200);
        put(&then.with("if-unmodified-since", "Fri, 31 Dec 2100 23:59:59 GMT"), path, &organization("ward", "Four")).is(200);
        let last = ehr.get(path).is(200).header("last-modified").unwrap().to_owned();
        ehr.with("if-unmodified-since", last).delete(path).is(204);
        put(&early, path, &organization("ward", "Five")).is(412);
    }
}

both! {
    fn what_is_not_there_is_made_by_criteria_when_nothing_may_be_there(server) {
        let ehr = server.ehr().with("if-none-match", "*");
        let ward = json!({"resourceType": "Organization", "name": "Ward", "identifier": [{"system": "urn:x", "value": "1"}]});
        put(&ehr, "/fhir/Organization?identifier=urn:x|1", &ward).is(201);
        put(&ehr, "/fhir/Organization?identifier=urn:x|1", &ward).is(412);
    }
}

both! {
    fn the_date_that_was_given_is_that_of_what_the_client_has(server) {
        let ehr = server.ehr();
        let path = format!("/fhir/Patient/{}", created(&ehr, &patient()));
        let date = ehr.get(&path).is(200).header("last-modified").unwrap().to_owned();
        for path in [path.clone(), format!("{path}/_history/1")] {
            ehr.with("if-modified-since", &date).get(&path).is(304);
        }
        let entry = |at: &Value| json!({"resourceType": "Bundle", "type": "batch", "entry": [
            {"request": {"method": "GET", "url": path.trim_start_matches("/fhir/"), "ifModifiedSince": at}}]});
        let updated = ehr.get(&path).is(200).at("/meta/lastUpdated");
        assert_eq!(ehr.post("/fhir", &entry(&updated)).is(200).at("/entry/0/response/status"), json!("304"));
    }
}

both! {
    fn the_preferences_that_were_kept_to_are_told(server) {
        let ehr = server.ehr();
        let applied = |reply: &Reply| reply.header("preference-applied").map(str::to_owned);
        for prefer in ["return=minimal", "return=representation", "return=OperationOutcome"] {
            assert_eq!(applied(&ehr.with("prefer", prefer).post("/fhir/Patient", &patient()).is(201)).as_deref(), Some(prefer));
        }
        let both = ehr.with("prefer", "Return=\"minimal\"; x=y, handling=strict").post("/fhir/Patient", &patient()).is(201);
        assert_eq!((applied(&both).as_deref(), both.text().as_str()), (Some("handling=strict, return=minimal"), ""));
        let path = format!("/fhir/Patient/{}", created(&ehr, &patient()));
        let lenient = ehr.with("prefer", "handling=lenient, return=minimal");
        for path in ["/fhir/Patient?colour=red", "/fhir/Patient", path.as_str(), "/fhir/Patient/_history", "/fhir/metadata"] {
            assert_eq!(applied(&lenient.get(path).is(200)).as_deref(), Some("handling=lenient"), "{path}");
        }
        let entries = json!([{"resource": patient(), "request": {"method": "POST", "url": "Patient"}}, {"request": {"method": "GET", "url": path.trim_start_matches("/fhir/")}}]);
        for kind in ["batch", "transaction"] {
            let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
            assert_eq!(applied(&ehr.with("prefer", "return=representation").post("/fhir", &bundle).is(200)).as_deref(), Some("return=representation"), "{kind}");
        }
        for (client, verb) in [(&ehr, "GET"), (&ehr.with("prefer", "return=everything"), "GET"), (&ehr.with("prefer", "return=representation"), "DELETE")] {
            assert_eq!(applied(&client.send(verb, &path, None)), None);
        }
    }
}

both! {
    fn a_key_is_that_of_method_path_and_body(server) {
        let ehr = server.ehr();
        let once = ehr.with("idempotency-key", "b1f1a7f0-6d0e-4d3a-9df8-1c3f0f6c2d11");
        let first = once.post("/fhir/Patient", &patient()).is(201);
        for path in ["/fhir/Patient?_format=json", "/fhir/Patient"] {
            assert_eq!(once.post(path, &patient()).is(201).header("location"), first.header("location"), "{path}");
        }
        let lenient = once.with("prefer", "handling=lenient");
        for path in ["/fhir/Patient?a=1&b=2", "/fhir/Patient?b=2&a=1"] {
            assert_eq!(lenient.post(path, &patient()).is(201).header("location"), first.header("location"), "{path}");
        }
        assert_eq!(ehr.search("Patient").ids().len(), 1);
        once.post("/fhir/Organization", &json!({"resourceType": "Organization", "name": "x"})).is(201);
        assert_eq!(once.post("/fhir/Patient", &json!({"resourceType": "Patient"})).is(422).code(), "request.unprocessable");
    }
}

both! {
    fn a_key_that_is_none_is_refused_by_name(server) {
        let ehr = server.ehr();
        let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": patient(), "request": {"method": "POST", "url": "Patient"}}]});
        let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": patient(), "request": {"method": "POST", "url": "Patient"}}]});
        for key in ["", "a b", "a\tb", "schlüssel", &"k".repeat(256)] {
            let client = ehr.with("idempotency-key", key);
            for (path, body) in [("/fhir/Patient", &patient()), ("/fhir", &transaction), ("/fhir", &batch)] {
                let refused = client.post(path, body).is(400);
                assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.parameter", json!("http.Idempotency-Key")), "{key}");
            }
        }
        ehr.with("idempotency-key", "k".repeat(255)).post("/fhir/Patient", &patient()).is(201);
        assert_eq!(ehr.search("Patient").ids().len(), 1);
    }
}

both! {
    fn the_creates_of_a_batch_that_is_sent_again_are_done_once(server) {
        let ehr = server.ehr();
        let batch = |name: &str| json!({"resourceType": "Bundle", "type": "batch", "entry": [
            {"resource": patient(), "request": {"method": "POST", "url": "Patient"}},
            {"resource": {"resourceType": "Organization", "name": name}, "request": {"method": "POST", "url": "Organization"}},
            {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}]});
        let once = ehr.with("idempotency-key", "k".repeat(255));
        let first = once.post("/fhir", &batch("A")).is(200);
        assert_eq!(once.post("/fhir", &batch("A")).is(200).text(), first.text());
        assert_eq!((ehr.search("Patient").ids().len(), ehr.search("Organization").ids().len()), (2, 1));
        let other = once.post("/fhir", &batch("B")).is(200);
        assert_eq!([0, 1, 2].map(|at| other.at(&format!("/entry/{at}/response/status"))), [json!("201"), json!("422"), json!("201")]);
    }
}

both! {
    fn what_the_server_sets_cannot_be_patched(server) {
        let ehr = server.ehr();
        let path = format!("/fhir/Patient/{}", created(&ehr, &patient()));
        let same = patch(&ehr, &path, &json!([{"op": "replace", "path": "/meta/versionId", "value": "7"}, {"op": "remove", "path": "/meta/lastUpdated"}])).is(200);
        assert_eq!((same.header("etag"), same.at("/meta/versionId"), same.at("/meta/lastUpdated").is_string()), (Some("W/\"1\""), json!("1"), true));
        let next = patch(&ehr, &path, &json!([{"op": "replace", "path": "/meta/versionId", "value": "7"}, {"op": "replace", "path": "/active", "value": false}])).is(200);
        assert_eq!((next.header("etag"), next.at("/meta/versionId")), (Some("W/\"2\""), json!("2")));
    }
}

both! {
    fn since_is_an_instant(server) {
        let ehr = server.ehr();
        let id = created(&ehr, &patient());
        for path in [format!("/fhir/Patient/{id}/_history"), "/fhir/Patient/_history".to_owned(), "/fhir/_history".to_owned()] {
            for value in ["2026", "2026-01", "2026-01-01", "2026-01-01T10:00Z", "2026-01-01T10:00:00", "2026-02-30T10:00:00Z", ""] {
                let refused = ehr.get(&format!("{path}?_since={value}")).is(400);
                assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.parameter", json!("http._since")), "{value}");
            }
            for value in ["2020-01-01T10:00:00Z", "2020-01-01T10:00:00.123456Z", "2020-01-01T10:00:00%2B01:00", "2020-01-01T10:00:00+01:00"] {
                assert_eq!(ehr.search(&format!("{}?_since={value}", &path[6..])).0["entry"].as_array().map(Vec::len), Some(1), "{value}");
            }
        }
    }
}

both! {
    fn refusals_show_no_parameter_that_was_not_sent(server) {
        let ehr = server.ehr();
        let entry = || json!({"resource": {"resourceType": "Organization", "name": "x"}, "request": {"method": "POST", "url": "Organization", "ifNoneExist": "identifier=urn:x|1"}});
        let refused = ehr.post("/fhir", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry(), entry()]})).is(400).text();
        assert!(refused.contains("Organization?identifier=") && !refused.contains("_count"), "{refused}");
    }
}

both! {
    fn an_operation_that_there_is_not_is_named(server) {
        let alice = server.person("alice");
        let ehr = server.ehr();
        let of_one = format!("/fhir/Patient/{}", alice.patient);
        for (path, there) in [("/fhir", "none"), ("/fhir/Patient", "$validate, $merge"), ("/fhir/Observation", "$validate"), (of_one.as_str(), "$validate, $break-glass, $unmerge")] {
            for verb in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let refused = ehr.with("content-type", "application/fhir+json").send(verb, &format!("{path}/$foo?x=1"), Some(b"{}")).is(404);
                assert_eq!(refused.at("/resourceType"), json!("OperationOutcome"));
                let says = refused.text_at("/issue/0/details/text");
                assert!(says.contains("\"$foo\"") && says.ends_with(&format!("those there are: {there}")), "{verb} {path}: {says}");
            }
        }
        ehr.get("/fhir/Observation/$merge").is(404);
        assert!(ehr.get("/fhir/Patient/%24foo").is(404).text().contains("there is no operation"));
        ehr.post("/fhir/Patient/%24validate", &patient()).is(200);
        let wrong = ehr.get("/fhir/Patient/$validate").is(405);
        assert_eq!(wrong.header("allow"), Some("POST"));
        let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/$foo"}}]});
        assert!(ehr.post("/fhir", &batch).is(200).text().contains("there is no operation"));
    }
}

both! {
    fn a_resource_of_another_type_is_refused_in_words(server) {
        let refused = server.ehr().post("/fhir/Observation", &patient()).is(400).text();
        assert!(refused.contains("The resource is of type \\\"Patient\\\", not Observation."), "{refused}");
    }
}

/// Browsers that were here over TLS come by nothing else; plain HTTP says nothing of it (RFC 6797, section 7.2).
#[test]
fn answers_over_tls_say_that_browsers_stay_with_it() {
    let mut place = Place::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, file, text) in
        [("FIRTH_TLS_CERT", "cert.pem", made.cert.pem()), ("FIRTH_TLS_KEY", "key.pem", made.signing_key.serialize_pem())]
    {
        std::fs::write(place.path().join(file), text).unwrap();
        place.set(name, file);
    }
    let server = TestServer::at(Backend::Sqlite, place);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true).unversioned_rustls_crypto_provider(provider).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into();
    for path in ["/healthz", "/fhir/Patient", "/sign-in", "/none"] {
        let answer = agent.get(format!("{}{path}", server.url())).call().unwrap();
        assert_eq!(
            answer.headers().get("strict-transport-security").map(|value| value.as_bytes()),
            Some(&b"max-age=31536000"[..]),
            "{path}"
        );
    }
    let plain = TestServer::start(Backend::Sqlite, &[]).unwrap();
    assert_eq!(plain.nobody().get("/healthz").header("strict-transport-security"), None);
}
