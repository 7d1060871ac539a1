//! Headers, encodings and parameters of HTTP itself, where servers differ most.

use serde_json::json;

use crate::support::payload::*;

both! {
    fn names_of_schemes_and_media_types_have_no_case(server) {
        let (token, _) = server.token(&["--role", "ehr-system"]);
        for scheme in ["Bearer", "bearer", "BEARER"] {
            server.nobody().with("authorization", format!("{scheme} {token}")).get("/fhir/Patient").is(200);
        }
        for accept in ["APPLICATION/FHIR+JSON", "application/xml;q=0, Application/Json", "*/*;q=0.1"] {
            server.ehr().with("accept", accept).get("/fhir/Patient").is(200);
        }
        for accept in ["application/fhir+json;q=0", "application/json; Q=0.000", "text/csv"] {
            server.ehr().with("accept", accept).get("/fhir/Patient").is(406);
        }
        server.ehr().with("prefer", "Handling=Lenient").get("/fhir/Patient?no-such=1").is(200);
        let form = server.ehr().with("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-8");
        form.send("POST", "/fhir/Patient/_search", Some(b"_count=1")).is(200);
        form.with("content-encoding", "gzip").send("POST", "/fhir/Patient/_search", Some(b"_count=1")).is(415);
    }
}

both! {
    fn an_empty_authorization_does_not_hide_the_key(server) {
        let key = server.nobody().with("x-open-wearables-api-key", server.app().api_key.clone());
        key.with("authorization", "").get("/api/v1/users").is(200);
        server.nobody().with("authorization", "").get("/api/v1/users").is(401);
    }
}

both! {
    fn what_is_not_percent_encoded_utf8_is_refused_by_name(server) {
        for (query, named) in [("code=%ff", "code"), ("code=%zz", "code"), ("code=a%2", "code"), ("code=%", "code")] {
            let refused = server.ehr().get(&format!("/fhir/Observation?{query}")).is(400);
            assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("request.parameter", json!(format!("http.{named}"))), "{query}");
        }
        server.ehr().get("/fhir/Observation?%ff=1").is(400);
    }
}

both! {
    fn a_path_says_what_it_takes(server) {
        for (verb, path, allow) in [
            ("GET", "/fhir/Patient/_search", "POST"),
            ("POST", "/fhir/metadata", "GET, HEAD"),
            ("POST", "/fhir/Patient/x", "DELETE, GET, HEAD, PATCH, PUT"),
            ("PUT", "/api/v1/users", "GET, HEAD, POST"),
        ] {
            let refused = server.ehr().send(verb, path, None).is(405);
            let mut takes: Vec<&str> = refused.header("allow").unwrap().split(", ").collect();
            takes.sort_unstable();
            assert_eq!(takes.join(", "), allow, "{verb} {path}");
        }
    }
}

both! {
    fn reads_and_capabilities_know_their_parameters(server) {
        let alice = server.person("alice");
        let path = format!("/fhir/Patient/{}", alice.patient);
        server.ehr().get(&format!("{path}?_summary=true")).is(400);
        server.ehr().with("prefer", "handling=lenient").get(&format!("{path}?_summary=true")).is(200);
        server.nobody().get("/fhir/metadata?mode=full&_format=json").is(200);
        server.nobody().get("/fhir/metadata?mode=terminology").is(400);
        assert_eq!(server.nobody().get("/fhir/metadata?foo=1").is(400).code(), "request.parameter-unknown");
    }
}

both! {
    fn the_capability_statement_says_how_to_sort_and_to_modify(server) {
        let statement = server.nobody().get("/fhir/metadata").is(200).json();
        let rest = &statement["rest"][0];
        for resource in rest["resource"].as_array().unwrap() {
            assert!(resource["documentation"].as_str().unwrap().contains("_lastUpdated"), "{resource}");
            assert_eq!(resource["versioning"], if resource["type"] == "AuditEvent" { "versioned" } else { "versioned-update" });
        }
        let patient = &rest["resource"].as_array().unwrap().iter().find(|one| one["type"] == "Patient").unwrap()["searchParam"];
        let name = patient.as_array().unwrap().iter().find(|param| param["name"] == "name").unwrap();
        assert!(name["documentation"].as_str().unwrap().contains(":exact"), "{name}");
        let count = rest["searchParam"].as_array().unwrap().iter().find(|param| param["name"] == "_count").unwrap();
        assert_eq!(count["type"], "number");
    }
}

both! {
    fn an_audit_event_has_the_headers_and_orders_of_the_others(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 1)));
        let auditor = server.auditor();
        let by_date = auditor.search("AuditEvent?_sort=date&_count=3").ids();
        assert_eq!(auditor.search("AuditEvent?_sort=_lastUpdated&_count=3").ids(), by_date);
        let event = auditor.get(&format!("/fhir/AuditEvent/{}", by_date[0])).is(200);
        assert!(event.header("last-modified").is_some_and(|date| date.ends_with(" GMT")) && event.header("etag") == Some("W/\"1\""));
    }
}

both! {
    fn an_identifier_that_is_a_uuid_is_found_in_either_case(server) {
        let alice = server.person("alice");
        let id = "7C0278DC-1F2A-4B57-9A49-2D3C6F1E8B01";
        alice.stores(&apple(vec![heart(id, &minute(0), "61")]));
        for asked in [id.to_owned(), id.to_lowercase()] {
            assert_eq!(alice.finds(&format!("&identifier={asked}")).matches().len(), 1, "{asked}");
        }
        let app = server.backend_of_app();
        let made = app.post("/api/v1/users", &json!({"external_user_id": id})).is(201).text_at("/patient_id");
        for asked in [id.to_owned(), id.to_lowercase()] {
            assert_eq!(server.ehr().search(&format!("Patient?identifier=urn:firth:external|{asked}")).ids(), [made.as_str()], "{asked}");
        }
    }
}

both! {
    fn a_client_that_has_the_version_gets_304(server) {
        let alice = server.person("alice");
        alice.stores(&apple(vec![heart("r", &minute(0), "61")]));
        let ehr = server.ehr();
        for path in [format!("/fhir/Patient/{}", alice.patient), format!("/fhir/Observation/{}", alice.finds("").ids()[0])] {
            let first = ehr.get(&path).is(200);
            let (tag, date) = (first.header("etag").unwrap().to_owned(), first.header("last-modified").unwrap().to_owned());
            for (name, value) in [("if-none-match", tag.as_str()), ("if-none-match", "\"9\", \"1\""), ("if-none-match", "*"), ("if-modified-since", &date)] {
                let unchanged = ehr.with(name, value).get(&path).is(304);
                assert_eq!((unchanged.header("etag"), unchanged.text().as_str()), (Some(tag.as_str()), ""), "{name}: {value}");
            }
            for (name, value) in [("if-none-match", "W/\"2\""), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"), ("if-modified-since", "yesterday")] {
                ehr.with(name, value).get(&path).is(200);
            }
            ehr.with("if-none-match", "\"9\"").with("if-modified-since", date.as_str()).get(&path).is(200);
        }
    }
}
