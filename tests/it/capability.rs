//! What the server says of itself: the CapabilityStatement and the OpenAPI description, both from the tables that serve.

use std::collections::HashSet;

use firth::api::{ROUTES, Route};
use firth::search::Type;
use firth::search::params::RESULT_PARAMS;
use serde_json::{Value, json};

use crate::support::{Backend, TestServer};

#[test]
fn the_capability_statement_says_what_may_be_written() {
    let Some(server) = TestServer::start(Backend::Sqlite, &[]) else { return };
    let statement = server.nobody().get("/fhir/metadata").is(200).json();
    assert_eq!(statement["patchFormat"], json!(["application/json-patch+json", "application/fhir+json"]));
    let system: Vec<&str> = statement["rest"][0]["interaction"].as_array().unwrap().iter().filter_map(|it| it["code"].as_str()).collect();
    assert_eq!(system, ["transaction", "batch", "history-system"]);
    for of in Type::ALL {
        let resources = statement["rest"][0]["resource"].as_array().unwrap();
        let one = resources.iter().find(|one| one["type"] == of.name()).unwrap();
        let codes: Vec<&str> = one["interaction"].as_array().unwrap().iter().filter_map(|it| it["code"].as_str()).collect();
        let always: &[&str] = match of {
            Type::AuditEvent => &["read", "vread", "history-instance", "search-type"],
            _ => &["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"],
        };
        assert_eq!(codes, always, "{of:?}");
        let written = of.is_document();
        for name in ["updateCreate", "conditionalCreate", "conditionalUpdate", "readHistory"] {
            assert_eq!(one[name], json!(written), "{of:?} {name}");
        }
        assert_eq!(one["conditionalRead"], "full-support");
        assert_eq!(one["conditionalDelete"], if written { "single" } else { "not-supported" });
        assert_eq!(one["referencePolicy"], if written { json!(["literal", "logical", "enforced"]) } else { json!(["literal", "logical"]) });
        assert_eq!(one["operation"].to_string().contains("OperationDefinition/Resource-validate"), written, "{of:?}");
        let profiles = one["supportedProfile"].as_array().map_or(0, Vec::len);
        assert_eq!(profiles, if *of == Type::Observation { firth::fhir::validate::profiles().len() } else { 0 }, "{of:?}");
    }
    assert!(statement.to_string().contains("is a UUID in lower case"));
}

#[test]
fn references_that_are_not_enforced_are_not_said_to_be() {
    let Some(server) = TestServer::start(Backend::Sqlite, &[("FIRTH_REFERENCES", "types")]) else { return };
    let statement = server.nobody().get("/fhir/metadata").is(200).json();
    assert_eq!(statement["rest"][0]["resource"][0]["referencePolicy"], json!(["literal", "logical"]));
}

/// The paths that stand for a route.
fn paths(route: &Route) -> Vec<String> {
    if route.path != "/fhir/{type}" {
        return vec![route.path.to_owned()];
    }
    let types = Type::ALL.iter().filter(|of| of.is_document() || route.verb == "GET");
    types.map(|of| format!("/fhir/{}", of.name())).collect()
}

/// What a `$ref` leads to, or the value itself.
fn at<'v>(whole: &'v Value, value: &'v Value) -> &'v Value {
    let Some(to) = value["$ref"].as_str() else { return value };
    let found = to.strip_prefix('#').and_then(|to| whole.pointer(to));
    found.unwrap_or_else(|| panic!("{to} leads nowhere"))
}

fn references<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => {
            if members.contains_key("$ref") {
                found.push(value);
            }
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(values) => values.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn the_openapi_description_has_every_route_and_every_parameter() {
    let Some(server) = TestServer::start(Backend::Sqlite, &[]) else { return };
    let reply = server.nobody().get("/fhir/openapi.json").is(200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    let whole = reply.json();
    assert_eq!((&whole["openapi"], &whole["servers"][0]["url"]), (&json!("3.1.0"), &json!(server.url())));
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/fhir") || route.path.starts_with("/api/v1")) {
        for path in paths(route) {
            let operation = &whole["paths"][&path][route.verb.to_ascii_lowercase()];
            assert!(operation["summary"].is_string(), "{} {path}", route.verb);
            assert_eq!(operation["security"] == json!([]), route.need == firth::api::Need::Nothing, "{path}");
        }
    }
    for of in Type::ALL {
        let search = &whole["paths"][format!("/fhir/{}", of.name())]["get"]["parameters"];
        let offered: Vec<&Value> = search.as_array().unwrap().iter().map(|one| &at(&whole, one)["name"]).collect();
        let names = of.search().params.iter().map(|param| param.name).chain(RESULT_PARAMS.iter().map(|param| param.name));
        names.for_each(|name| assert!(offered.contains(&&json!(name)), "{of:?} {name}"));
    }
    assert!(whole["paths"]["/fhir/AuditEvent"].get("post").is_none());
}

#[test]
fn the_openapi_description_keeps_the_rules_of_openapi() {
    let Some(server) = TestServer::start(Backend::Sqlite, &[]) else { return };
    let whole = server.nobody().get("/fhir/openapi.json").is(200).json();
    let mut found = Vec::new();
    references(&whole, &mut found);
    assert!(found.len() > 300);
    found.into_iter().for_each(|one| assert!(at(&whole, one).is_object()));
    let key = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    for (kind, named) in whole["components"].as_object().unwrap() {
        named.as_object().unwrap().keys().for_each(|name| assert!(key(name), "{kind} {name}"));
    }
    let mut ids = HashSet::new();
    for (path, item) in whole["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            assert!(["get", "post", "put", "patch", "delete"].contains(&verb.as_str()), "{verb}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{} is there twice", operation["operationId"]);
            let parameters: Vec<&Value> = operation["parameters"].as_array().unwrap().iter().map(|one| at(&whole, one)).collect();
            let mut names = HashSet::new();
            for one in &parameters {
                assert!(names.insert((one["in"].to_string(), one["name"].to_string())), "{verb} {path}: {} twice", one["name"]);
                assert!(one["schema"].is_object() && (one["in"] != "path" || one["required"] == true), "{one}");
            }
            let placed: Vec<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            let of_path: Vec<&str> = parameters.iter().filter(|one| one["in"] == "path").filter_map(|one| one["name"].as_str()).collect();
            assert_eq!(placed, of_path, "{verb} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.len() > 1 && responses.values().all(|one| at(&whole, one)["description"].is_string()), "{verb} {path}");
            for scheme in operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys()) {
                assert!(whole["components"]["securitySchemes"][scheme].is_object());
            }
            if let Some(body) = operation.get("requestBody") {
                assert!(verb != "get" && body["content"].as_object().is_some_and(|content| !content.is_empty()), "{verb} {path}");
            }
        }
    }
}
