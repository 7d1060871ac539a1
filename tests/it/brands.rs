//! `GET /oauth/brands`: who runs the server, as people know it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::server::Place;
use crate::support::{Backend, TestServer};

/// Everything that can be given, and more than one of what there may be several of.
pub const FILE: &str = r#"
[brand]
name = "Example Health"
website = "https://example.org"
updated = "2026-03-01T01:00:00+01:00"
identifier = [{ system = "https://example.org/ids", value = "main" }, { system = "urn:ietf:rfc:3986", value = "https://example.org" }]
aliases = ["EH", "Example Clinics"]
categories = ["prov", "laboratory"]
addresses = [
  { line = ["1 Main St"], city = "Springfield", state = "IL", postal_code = "62701", country = "US" },
  { postal_code = "62702" },
]
logo = [
  { urls = ["https://example.org/logo.svg", "data:image/svg+xml;base64,PHN2Zy8+"], license = "https://example.org/licence", license_type = "https://example.org/types|open" },
  { urls = ["https://example.org/logo.png"] },
]
bundle = "https://example.org/brands.json"
contact = ["mailto:developers@example.org", "https://developers.example.org", "tel:+1-555-0100"]
status = "test"

[[brand.portal]]
name = "MyHealth"
url = "https://portal.example.org"
description = "For *you*"
logo = { urls = ["https://portal.example.org/logo.svg"], license = "https://portal.example.org/licence", license_type = "https://example.org/types|open" }

[[brand.portal]]
name = "MyHealth for children"
url = "https://children.example.org"

[[brand.part]]
name = "Example Hospital"
website = "https://hospital.example.org"
identifier = { value = "hospital" }
portal = { name = "MyHospital", url = "https://portal.hospital.example.org" }
"#;

/// What cannot be left out.
const LEAST: &str = r#"
[brand]
name = "Example Health"
website = "https://example.org"
updated = "2026-03-01T00:00:00Z"
"#;

fn server(file: &str) -> TestServer {
    let place = Place::new();
    fs::write(place.path().join("firth.toml"), file).expect("a file");
    TestServer::at(Backend::Sqlite, place)
}

fn published(server: &TestServer) -> Value {
    let bundle = server.nobody().get("/oauth/brands").is(200).json();
    conforms(&bundle, &server.url());
    bundle
}

pub fn resources(bundle: &Value, kind: &str) -> Vec<Value> {
    let entries = bundle["entry"].as_array().expect("entries").iter().map(|entry| entry["resource"].clone());
    entries.filter(|resource| resource["resourceType"] == kind).collect()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The extensions of this name, each with its parts: the name, and the value without its type.
pub fn extensions(of: &Value, name: &str) -> Vec<Vec<(String, Value)>> {
    let url = json!(format!("http://hl7.org/fhir/StructureDefinition/{name}"));
    let parts = |extension: Value| {
        let parts = list(&extension["extension"]).into_iter();
        parts.map(|part| {
            let value = part.as_object().unwrap().iter().find(|(member, _)| member.starts_with("value")).unwrap().1;
            (part["url"].as_str().unwrap().to_owned(), value.clone())
        })
    };
    list(&of["extension"]).into_iter().filter(|one| one["url"] == url).map(|one| parts(one).collect()).collect()
}

/// What the profiles `user-access-brands-bundle`, `user-access-brand` and `user-access-endpoint` of SMART App Launch 2.2.0 ask
/// for beyond R4.
#[track_caller]
pub fn conforms(bundle: &Value, server: &str) {
    let of = |name: &str| json!([format!("http://hl7.org/fhir/smart-app-launch/StructureDefinition/{name}")]);
    let is_url = |value: &Value, start: &str| value.as_str().is_some_and(|url| url.starts_with(start) && url.len() > start.len());
    let instant = |at: &Value| at.as_str().is_some_and(|at| at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok());
    let (brands, endpoints) = (resources(bundle, "Organization"), resources(bundle, "Endpoint"));
    assert_eq!((&bundle["type"], &bundle["meta"]["profile"]), (&json!("collection"), &of("user-access-brands-bundle")));
    assert!(instant(&bundle["meta"]["lastUpdated"]) && instant(&bundle["timestamp"]), "{bundle}");
    let endpoint_ids: Vec<Value> =
        endpoints.iter().map(|one| json!({"reference": format!("Endpoint/{}", one["id"].as_str().unwrap())})).collect();
    for brand in &brands {
        assert_eq!(brand["meta"]["profile"], of("user-access-brand"));
        assert!(is_url(&brand["name"], ""), "{brand}");
        let telecom = list(&brand["telecom"]);
        assert!(telecom.len() == 1 && telecom[0]["system"] == "url" && is_url(&telecom[0]["value"], "http"), "{brand}");
        let own = list(&brand["endpoint"]);
        assert!(own.iter().all(|endpoint| endpoint_ids.contains(endpoint)), "{brand}");
        // uab-1
        let of_portals = extensions(brand, "organization-portal").concat().into_iter().filter(|(name, _)| name == "portalEndpoint");
        assert!(of_portals.into_iter().all(|(_, endpoint)| own.contains(&endpoint)), "{brand}");
        let above = brands.iter().find(|other| brand["partOf"]["reference"] == format!("Organization/{}", other["id"].as_str().unwrap()));
        assert!(brand.get("partOf").is_none() || above.is_some_and(|above| above.get("partOf").is_none()), "{brand}");
    }
    for endpoint in &endpoints {
        assert_eq!(endpoint["meta"]["profile"], of("user-access-endpoint"));
        assert_eq!(
            endpoint["extension"],
            json!([{"url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version", "valueCode": "4.0.1"}])
        );
        let (system, code) = ("http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "hl7-fhir-rest");
        assert_eq!(endpoint["connectionType"], json!({"system": system, "code": code}));
        let none = json!({"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"});
        assert_eq!(endpoint["payloadType"], json!([{"coding": [none]}]));
        assert_eq!(endpoint["address"], format!("{server}/fhir"));
        assert!(["active", "suspended", "error", "off", "entered-in-error", "test"].iter().any(|status| endpoint["status"] == *status));
        // The slice configuration-url: every contact of system url is one, and there is one.
        let urls: Vec<Value> = list(&endpoint["contact"]).into_iter().filter(|contact| contact["system"] == "url").collect();
        assert!(!urls.is_empty() && urls.iter().all(|contact| is_url(&contact["value"], "https://")), "{endpoint}");
    }
}

#[test]
fn every_element_of_the_profiles_can_be_given() {
    let server = server(FILE);
    let reply = server.nobody().get("/oauth/brands").is(200);
    assert_eq!(reply.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    let bundle = published(&server);
    assert_eq!((&bundle["timestamp"], &bundle["meta"]["lastUpdated"]), (&json!("2026-03-01T00:00:00Z"), &json!("2026-03-01T00:00:00Z")));
    let (organizations, endpoints) = (resources(&bundle, "Organization"), resources(&bundle, "Endpoint"));
    assert_eq!((organizations.len(), endpoints.len()), (2, 1));
    let (brand, endpoint) = (&organizations[0], &endpoints[0]);
    let identifiers = [("https://example.org/ids", "main"), ("urn:ietf:rfc:3986", "https://example.org")];
    assert_eq!(brand["identifier"], json!(identifiers.map(|(system, value)| json!({"system": system, "value": value}))));
    assert_eq!(
        (&brand["alias"], &brand["active"], &brand["endpoint"]),
        (&json!(["EH", "Example Clinics"]), &json!(true), &json!([{"reference": "Endpoint/fhir"}]))
    );
    assert_eq!(brand["telecom"], json!([{"system": "url", "value": "https://example.org"}]));
    assert_eq!(list(&brand["type"]).iter().map(|kind| kind["coding"][0]["code"].clone()).collect::<Vec<_>>(), ["prov", "laboratory"]);
    assert_eq!(
        brand["address"],
        json!([
            {"line": ["1 Main St"], "city": "Springfield", "state": "IL", "postalCode": "62701", "country": "US"},
            {"postalCode": "62702"}
        ])
    );
    assert_eq!(
        (&organizations[1]["partOf"], &organizations[1]["name"]),
        (&json!({"reference": "Organization/brand"}), &json!("Example Hospital"))
    );
    assert_eq!(organizations[1]["identifier"], json!([{"value": "hospital"}]));
    assert_eq!(
        endpoint["contact"],
        json!([
            {"system": "email", "value": "developers@example.org"},
            {"system": "url", "value": "https://developers.example.org"},
            {"system": "phone", "value": "+1-555-0100"}
        ])
    );
    assert_eq!(endpoint["status"], "test");
    assert!(!bundle.to_string().contains("data-absent-reason"));
    // R4 takes both as they are.
    for resource in organizations {
        server.ehr().post("/fhir/Organization/$validate", &resource).is(200);
    }
}

#[test]
fn each_logo_has_its_licence_and_each_portal_its_own() {
    let server = server(FILE);
    let brands = resources(&published(&server), "Organization");
    let named = |parts: &[(&str, Value)]| parts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Vec<_>>();
    let open = json!({"system": "https://example.org/types", "code": "open"});
    let first = [
        ("brandLogo", json!("https://example.org/logo.svg")),
        ("brandLogo", json!("data:image/svg+xml;base64,PHN2Zy8+")),
        ("brandLogoLicenseType", open.clone()),
        ("brandLogoLicense", json!("https://example.org/licence")),
        ("brandBundle", json!("https://example.org/brands.json")),
    ];
    let second = [("brandLogo", json!("https://example.org/logo.png"))];
    assert_eq!(extensions(&brands[0], "organization-brand"), [named(&first), named(&second)]);
    let endpoint = ("portalEndpoint", json!({"reference": "Endpoint/fhir"}));
    let first = [
        ("portalName", json!("MyHealth")),
        ("portalDescription", json!("For *you*")),
        ("portalUrl", json!("https://portal.example.org")),
        ("portalLogo", json!("https://portal.example.org/logo.svg")),
        ("portalLogoLicenseType", open),
        ("portalLogoLicense", json!("https://portal.example.org/licence")),
        endpoint.clone(),
    ];
    let second = [("portalName", json!("MyHealth for children")), ("portalUrl", json!("https://children.example.org")), endpoint.clone()];
    assert_eq!(extensions(&brands[0], "organization-portal"), [named(&first), named(&second)]);
    let own = [("portalName", json!("MyHospital")), ("portalUrl", json!("https://portal.hospital.example.org")), endpoint];
    assert_eq!(extensions(&brands[1], "organization-portal"), [named(&own)]);
    assert!(extensions(&brands[1], "organization-brand").is_empty());
}

#[test]
fn the_example_of_the_manual_is_published_as_the_profiles_ask() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/apps.md")).expect("the manual");
    let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let server = server(example);
    assert_eq!(resources(&published(&server), "Organization").len(), 2);
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
fn a_brand_that_needs_nothing_more_has_a_name_a_website_and_when_it_changed() {
    let server = server(LEAST);
    let bundle = published(&server);
    let endpoint = &resources(&bundle, "Endpoint")[0];
    assert_eq!(endpoint["contact"], json!([{"system": "url", "value": "https://example.org"}]));
    assert_eq!(endpoint["status"], "active");
    assert_eq!(bundle["timestamp"], "2026-03-01T00:00:00Z");
    assert_eq!(server.nobody().get("/fhir/.well-known/smart-configuration").is(200).at("/user_access_brand_identifier"), Value::Null);
}

#[test]
fn who_gives_no_address_of_their_own_for_developers_sends_them_to_the_website() {
    let server = server(&format!("{LEAST}contact = \"mailto:developers@example.org\"\n"));
    let endpoint = resources(&published(&server), "Endpoint").remove(0);
    let contact = json!([{"system": "url", "value": "https://example.org"}, {"system": "email", "value": "developers@example.org"}]);
    assert_eq!(endpoint["contact"], contact);
}

#[test]
fn what_would_break_the_profiles_is_refused_at_the_start_with_the_remedy() {
    let http = LEAST.replace("https://example.org", "http://example.org");
    for (file, said) in [
        (
            LEAST.replace("updated", "# updated"),
            "brand: updated is missing; write when this table last changed, like updated = \"2026-03-01T00:00:00Z\"",
        ),
        (LEAST.replace("2026-03-01T00:00:00Z", "yesterday"), "brand: updated must be an instant like 2026-03-01T00:00:00Z"),
        (format!("{LEAST}contact = \"ask us\"\n"), "brand: contact ask us must be an https address, mailto: or tel:"),
        (
            format!("{LEAST}contact = [\"https://a.example\", \"http://b.example\"]\n"),
            "brand: contact http://b.example must be an https address",
        ),
        (format!("{LEAST}contact = \"mailto:\"\n"), "brand: contact mailto: must be an https address"),
        (http.clone(), "brand: developers need an https address; add one to contact, for website is none"),
        (format!("{http}contact = \"tel:+1-555-0100\"\n"), "brand: developers need an https address"),
        (format!("{LEAST}status = \"closed\"\n"), "brand: unknown variant `closed`, expected one of `active`, "),
        (
            format!("{LEAST}logo = {{ urls = [\"http://example.org/logo.svg\"] }}\n"),
            "brand: logo http://example.org/logo.svg must be an https or data: address",
        ),
        (format!("{LEAST}phone = \"+1 555 0100\"\n"), "brand: unknown field `phone`"),
        (format!("{LEAST}identifier = [{{ value = \"a\" }}, {{ value = \"a\" }}]\n"), "brand: an identifier stands there twice"),
        (format!("{LEAST}identifier = [{{ value = \"a\" }}, {{ value = \" \" }}]\n"), "brand: name and identifier.value must not be empty"),
        (
            format!("{LEAST}[[brand.part]]\nname = \"A\"\nwebsite = \"https://a.example\"\nstatus = \"off\"\n"),
            "brand.part[0]: part, contact, status and updated stand in [brand] itself",
        ),
    ] {
        let place = Place::new();
        fs::write(place.path().join("firth.toml"), &file).expect("a file");
        let output = place.firth(&["role", "list"]);
        let says = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{file}{says}");
        assert!(says.contains(said), "{said}: {says}");
    }
}
