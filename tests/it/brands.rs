//! `GET /oauth/brands`: who runs the server, as people know it.

use std::fs;

use serde_json::{Value, json};

use crate::support::server::Place;
use crate::support::{Backend, TestServer};

const FILE: &str = r#"
[brand]
name = "Example Health"
website = "https://example.org"
identifier = { system = "https://example.org/ids", value = "main" }
aliases = ["EH"]
categories = ["prov"]
phone = "+1 555 0100"
email = "help@example.org"
addresses = [{ line = ["1 Main St"], city = "Springfield", state = "IL", postal_code = "62701", country = "US" }]
logo = { urls = ["https://example.org/logo.svg"], license = "https://example.org/licence", license_type = "https://example.org/types|open" }
bundle = "https://example.org/brands.json"
portal = { name = "MyHealth", url = "https://portal.example.org", description = "For *you*", logo = { urls = ["https://portal.example.org/logo.svg"] } }
contact = "mailto:developers@example.org"
updated = "2026-03-01T00:00:00Z"

[[brand.part]]
name = "Example Hospital"
website = "https://hospital.example.org"
identifier = { value = "hospital" }
"#;

fn server(file: &str) -> TestServer {
    let place = Place::new();
    fs::write(place.path().join("firth.toml"), file).expect("a file");
    TestServer::at(Backend::Sqlite, place)
}

fn resources(bundle: &Value, kind: &str) -> Vec<Value> {
    let entries = bundle["entry"].as_array().expect("entries").iter().map(|entry| entry["resource"].clone());
    entries.filter(|resource| resource["resourceType"] == kind).collect()
}

#[test]
fn every_element_of_the_profiles_can_be_given() {
    let server = server(FILE);
    let reply = server.nobody().get("/oauth/brands").is(200);
    assert_eq!(reply.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    let bundle = reply.json();
    assert_eq!(
        (&bundle["resourceType"], &bundle["type"], &bundle["timestamp"]),
        (&json!("Bundle"), &json!("collection"), &json!("2026-03-01T00:00:00Z"))
    );
    let (organizations, endpoints) = (resources(&bundle, "Organization"), resources(&bundle, "Endpoint"));
    assert_eq!((organizations.len(), endpoints.len()), (2, 1));
    let (brand, endpoint) = (&organizations[0], &endpoints[0]);
    assert_eq!(brand["identifier"], json!([{"system": "https://example.org/ids", "value": "main"}]));
    assert_eq!(
        (&brand["alias"], &brand["active"], &brand["endpoint"]),
        (&json!(["EH"]), &json!(true), &json!([{"reference": "Endpoint/fhir"}]))
    );
    assert_eq!(brand["telecom"][0], json!({"system": "url", "value": "https://example.org"}));
    assert_eq!(brand["type"][0]["coding"][0]["code"], "prov");
    assert_eq!(
        brand["address"][0],
        json!({"line": ["1 Main St"], "city": "Springfield", "state": "IL", "postalCode": "62701", "country": "US"})
    );
    let text = brand["extension"].to_string();
    for part in [
        "brandLogo",
        "brandLogoLicense",
        "brandLogoLicenseType",
        "brandBundle",
        "portalName",
        "portalUrl",
        "portalDescription",
        "portalLogo",
        "portalEndpoint",
    ] {
        assert!(text.contains(&format!("\"{part}\"")), "{part}: {text}");
    }
    assert_eq!(
        (&organizations[1]["partOf"], &organizations[1]["name"]),
        (&json!({"reference": "Organization/brand"}), &json!("Example Hospital"))
    );
    assert_eq!(endpoint["address"], json!(format!("{}/fhir", server.url())));
    assert_eq!(endpoint["contact"], json!([{"system": "email", "value": "developers@example.org"}]));
    assert_eq!((&endpoint["status"], &endpoint["connectionType"]["code"]), (&json!("active"), &json!("hl7-fhir-rest")));
    assert!(!bundle.to_string().contains("data-absent-reason"));
    // R4 takes both as they are.
    for resource in organizations {
        server.ehr().post("/fhir/Organization/$validate", &resource).is(200);
    }
}

#[test]
fn the_bundle_is_found_read_by_every_page_and_not_sent_twice() {
    let server = server(FILE);
    let smart = server.nobody().get("/fhir/.well-known/smart-configuration").is(200);
    assert_eq!(smart.at("/user_access_brand_bundle"), json!(format!("{}/oauth/brands", server.url())));
    assert_eq!(smart.at("/user_access_brand_identifier"), json!({"system": "https://example.org/ids", "value": "main"}));
    let reply = server.nobody().with("origin", "https://anywhere.example").get("/oauth/brands").is(200);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let tag = reply.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = server.nobody().with("if-none-match", &tag).get("/oauth/brands").is(304);
    assert!(again.body.is_empty() && again.header("etag") == Some(&tag));
    server.nobody().with("if-none-match", "W/\"0000000000000000\"").get("/oauth/brands").is(200);
    let found = resources(&reply.json(), "Organization").iter().filter(|one| one["identifier"][0]["value"] == "main").count();
    assert_eq!(found, 1, "the identifier names one brand");
}

#[test]
fn without_a_brand_nothing_is_said_of_one() {
    let server = server("");
    server.nobody().get("/oauth/brands").is(404);
    let smart = server.nobody().get("/fhir/.well-known/smart-configuration").is(200).json();
    assert!(smart.get("user_access_brand_bundle").is_none() && smart.get("user_access_brand_identifier").is_none());
}

#[test]
fn a_brand_that_needs_nothing_more_has_a_name_and_a_website() {
    let server = server("[brand]\nname = \"Example Health\"\nwebsite = \"https://example.org\"\n");
    let bundle = server.nobody().get("/oauth/brands").is(200).json();
    assert_eq!(resources(&bundle, "Endpoint")[0]["contact"][0]["value"], "https://example.org");
    assert!(bundle["timestamp"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert_eq!(server.nobody().get("/fhir/.well-known/smart-configuration").is(200).at("/user_access_brand_identifier"), Value::Null);
}
