//! Where clients find what they need: SMART App Launch 2.2, `conformance`, `brands`, and the capabilities.

use serde_json::{Value, json};

use super::flow::*;
use crate::brands::{extensions, resources};
use crate::care_team::with_file;
use crate::support::{Reply, TestServer};

const SMART: &str = "/fhir/.well-known/smart-configuration";

fn list(document: &Value, name: &str) -> Vec<String> {
    document[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has(document: &Value, name: &str, all: &[&str]) -> bool {
    let known = list(document, name);
    all.iter().all(|one| known.iter().any(|other| other == one))
}

both! {
    fn the_configuration_is_json_whatever_is_accepted(server) {
        for accept in ["application/json", "application/fhir+json", "text/html", "application/xml", "*/*"] {
            let reply = server.nobody().with("accept", accept).get(SMART);
            shall(372, reply.status == 200);
            shall(374, reply.json().is_object());
            shall(377, reply.header("content-type") == Some("application/json"));
            shall(380, reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
            let document = reply.json();
            let texts = ["issuer", "jwks_uri", "authorization_endpoint", "token_endpoint"];
            let lists = ["grant_types_supported", "capabilities", "code_challenge_methods_supported"];
            shall(30, texts.iter().all(|name| document[name].is_string()) && lists.iter().all(|name| !list(&document, name).is_empty()));
        }
    }
}

both! {
    fn the_configuration_names_what_it_must(server) {
        let document = server.nobody().get(SMART).is(200).json();
        shall(373, document["authorization_endpoint"].is_string() && document["capabilities"].is_array());
        shall(384, has(&document, "grant_types_supported", &["authorization_code", "client_credentials"]));
        shall(385, document["token_endpoint"] == json!(format!("{}/oauth/token", server.url())));
        shall(393, !list(&document, "capabilities").is_empty());
        shall(394, list(&document, "code_challenge_methods_supported") == ["S256"]);
    }
}

both! {
    fn addresses_are_absolute_and_lead_somewhere(server) {
        let document = server.nobody().get(SMART).is(200).json();
        let addresses = |document: &Value| -> Vec<(String, Value)> {
            let known = document.as_object().unwrap().iter();
            let known = known.filter(|(name, _)| ["_endpoint", "_uri", "_bundle"].iter().any(|end| name.ends_with(end)));
            known.map(|(name, url)| (name.clone(), url.clone())).collect()
        };
        let branded = branded();
        let published = addresses(&branded.nobody().get(SMART).is(200).json());
        let of = |url: &Value, server: &TestServer| url.as_str().is_some_and(|url| url.starts_with(&format!("{}/", server.url())));
        shall(378, addresses(&document).len() >= 7 && addresses(&document).iter().all(|(_, url)| of(url, server))
            && published.iter().any(|(name, _)| name == "user_access_brand_bundle") && published.iter().all(|(_, url)| of(url, &branded)));
        for (name, url) in addresses(&document) {
            let verb = if ["jwks_uri", "authorization_endpoint", "management_endpoint"].contains(&name.as_str()) { "GET" } else { "POST" };
            assert!(![404, 405].contains(&server.nobody().with("content-type", "application/x-www-form-urlencoded").send(verb, url.as_str().unwrap(), (verb == "POST").then_some(b"")).status), "{name}");
        }
        shall(383, document["authorization_endpoint"] == json!(format!("{}/oauth/authorize", server.url())));
        shall(381, document["issuer"] == json!(server.url()));
        shall(382, server.nobody().get(document["jwks_uri"].as_str().unwrap()).is(200).at("/keys").is_array());
    }
}

both! {
    fn clients_with_keys_find_what_they_need(server) {
        let document = server.nobody().get(SMART).is(200).json();
        shall(285, has(&document, "capabilities", &["client-confidential-asymmetric"]));
        shall(286, document["token_endpoint"].is_string());
        shall(287, has(&document, "scopes_supported", &["system/*.rs"]));
        shall(288, has(&document, "token_endpoint_auth_methods_supported", &["private_key_jwt"]));
        shall(289, has(&document, "token_endpoint_auth_signing_alg_values_supported", &["RS384", "ES384"]));
    }
}

both! {
    fn every_set_of_capabilities_is_whole(server) {
        let document = server.nobody().get(SMART).is(200).json();
        let all = |names: &[&str]| has(&document, "capabilities", names);
        let client = all(&["client-public", "client-confidential-symmetric"]);
        shall(348, client && all(&["launch-standalone", "context-standalone-patient", "permission-patient"]));
        shall(349, client && all(&["launch-ehr", "context-ehr-patient", "permission-patient"]));
        shall(350, client && all(&["launch-standalone", "permission-user", "permission-patient"]));
        shall(351, client && all(&["launch-ehr", "context-ehr-patient", "context-ehr-encounter", "permission-patient", "permission-user"]));
        let algorithms = ["RS384", "ES384"].iter().any(|name| has(&document, "token_endpoint_auth_signing_alg_values_supported", &[name]));
        shall(228, all(&["client-confidential-asymmetric"]) && document["token_endpoint"].is_string() && !list(&document, "scopes_supported").is_empty()
            && has(&document, "token_endpoint_auth_methods_supported", &["private_key_jwt"]) && algorithms);
    }
}

both! {
    fn pages_of_any_origin_read_what_is_public_and_registered_ones_the_rest(server) {
        let clinic = Clinic::new(server);
        let app = server.public_app();
        let token = app.launches(&clinic.person, "", "launch/patient patient/*.rs", &[]);
        let path = format!("/fhir/Patient/{}", clinic.patient);
        let reads = |origin: &str| server.nobody().bearer(&token.text_at("/access_token")).with("origin", origin).get(&path).is(200);
        let preflight = |origin: &str, verb: &str, path: &str| {
            let asks = server.nobody().with("origin", origin).with("access-control-request-method", verb);
            asks.with("access-control-request-headers", "authorization,content-type").send("OPTIONS", path, None)
        };
        let own = "https://app.example";
        let may = |reply: &Reply| reply.header("access-control-allow-origin") == Some(own);
        let asks = |origin: &str| [("POST", "/oauth/token"), ("GET", path.as_str())].map(|(verb, path)| preflight(origin, verb, path));
        shall(17, may(&token) && may(&reads(own)) && asks(own).iter().all(|reply| reply.status == 204 && may(reply)));
        let others = [&asks("https://evil.example")[..], &[reads("https://evil.example")]].concat();
        assert!(others.iter().all(|reply| reply.header("access-control-allow-origin").is_none()));
        for path in [SMART, "/fhir/metadata", "/.well-known/openid-configuration", "/oauth/jwks"] {
            let reply = server.nobody().with("origin", "https://anybody.example").get(path).is(200);
            shall(16, reply.header("access-control-allow-origin") == Some("*") && reply.header("access-control-allow-credentials").is_none());
        }
    }
}

both! {
    fn what_is_not_there_is_not_among_the_capabilities(server) {
        let clinic = Clinic::new(server);
        let capabilities = list(&server.nobody().get(SMART).is(200).json(), "capabilities");
        let named = |name: &str| capabilities.iter().any(|known| known == name);
        let reply = server.public_app().launches(&clinic.person, "", "launch/patient patient/*.rs", &[]).json();
        shall(360, !named("context-style") && reply.get("smart_style_url").is_none());
        shall(364, !named("context-standalone-encounter") && reply.get("encounter").is_none());
        shall(371, !named("smart-app-state"));
        assert!(named("context-standalone-patient") && reply["patient"] == json!(clinic.patient));
    }
}

const BRAND: &str = r#"
[brand]
name = "Example Health"
website = "https://example.org"
updated = "2026-03-01T00:00:00Z"
identifier = { system = "https://example.org/ids", value = "main" }
aliases = ["EH"]
categories = ["prov"]
addresses = [{ city = "Springfield", state = "IL" }]
logo = { urls = ["https://example.org/logo.svg"] }
portal = { name = "MyHealth", url = "https://portal.example.org" }
contact = "https://developers.example.org"
status = "test"

[[brand.part]]
name = "Example Hospital"
website = "https://hospital.example.org"
identifier = { system = "https://example.org/ids", value = "hospital" }
"#;

fn branded() -> TestServer {
    let place = crate::support::server::Place::new();
    std::fs::write(place.path().join("firth.toml"), BRAND).expect("a file");
    TestServer::at(crate::support::Backend::Sqlite, place)
}

fn bundle(server: &TestServer) -> Value {
    let bundle = server.nobody().get("/oauth/brands").is(200).json();
    crate::brands::conforms(&bundle, &server.url());
    bundle
}

/// The values of the parts of this name, of every extension of this name.
fn parts(brand: &Value, extension: &str, part: &str) -> Vec<Value> {
    extensions(brand, extension).concat().into_iter().filter(|(name, _)| name == part).map(|(_, value)| value).collect()
}

/// The elements that must be supported in the profiles of Brand and Endpoint and are the provider's to say: their names and values.
/// The others are fixed by the profiles, or by what this server is: address, FHIR version, connection and payload type.
fn managed(bundle: &Value) -> Vec<(&'static str, Value)> {
    let (brands, endpoints) = (resources(bundle, "Organization"), resources(bundle, "Endpoint"));
    let brand = &brands[0];
    vec![
        ("identifier", brand["identifier"].clone()),
        ("type", brand["type"].as_array().into_iter().flatten().map(|one| one["coding"][0]["code"].clone()).collect()),
        ("name", brand["name"].clone()),
        ("alias", brand["alias"].clone()),
        ("telecom", brand["telecom"].clone()),
        ("address", brand["address"].clone()),
        ("brand", parts(brand, "organization-brand", "brandLogo").into()),
        ("portal", parts(brand, "organization-portal", "portalUrl").into()),
        ("endpoint", brand["endpoint"].clone()),
        ("partOf", brands.iter().map(|one| one["partOf"]["reference"].clone()).collect()),
        ("status", endpoints[0]["status"].clone()),
        ("contact", endpoints[0]["contact"].clone()),
    ]
}

#[test]
fn a_brand_is_published_for_every_endpoint() {
    let server = branded();
    let reply = server.nobody().with("origin", "https://anybody.example").get("/oauth/brands").is(200);
    let bundle = bundle(&server);
    let (brands, endpoints) = (resources(&bundle, "Organization"), resources(&bundle, "Endpoint"));
    let referenced = |brand: &Value, endpoint: &Value| {
        let reference = json!({"reference": format!("Endpoint/{}", endpoint["id"].as_str().unwrap())});
        brand["endpoint"].as_array().is_some_and(|all| all.contains(&reference))
    };
    let base = json!(format!("{}/fhir", server.url()));
    let every = endpoints.iter().all(|one| one["address"] == base && referenced(&brands[0], one));
    shall(396, !endpoints.is_empty() && every && brands[0].get("partOf").is_none());
    shall(398, bundle["timestamp"] == "2026-03-01T00:00:00Z" && bundle["meta"]["lastUpdated"] == bundle["timestamp"]);
    shall(400, reply.header("access-control-allow-origin") == Some("*"));
    shall(403, brands[0]["identifier"] == json!([{"system": "https://example.org/ids", "value": "main"}]));
    shall(417, !endpoints.is_empty() && endpoints.iter().all(|one| brands.iter().any(|brand| referenced(brand, one))));
}

#[test]
fn the_configuration_says_which_brand_is_this_servers() {
    let server = branded();
    let smart = server.nobody().get(SMART).is(200).json();
    let bundle = server.nobody().get(smart["user_access_brand_bundle"].as_str().unwrap()).is(200).json();
    let own = &smart["user_access_brand_identifier"];
    let brands = resources(&bundle, "Organization");
    let matching = brands.iter().filter(|brand| brand["identifier"].as_array().is_some_and(|all| all.contains(own))).count();
    shall(409, own.is_object());
    shall(410, own["value"] == "main");
    shall(412, matching == 1);
    shall(430, own["value"].as_str().is_some_and(|value| !value.is_empty()));
    shall(432, matching == 1 && brands.len() == 2);
}

#[test]
fn brands_say_when_they_changed_and_what_they_do_not_know_of() {
    let server = branded();
    let preflight = server.nobody().with("origin", "https://anybody.example").with("access-control-request-method", "GET").send(
        "OPTIONS",
        "/oauth/brands",
        None,
    );
    let before = bundle(&server);
    shall(423, preflight.status == 204 && preflight.header("access-control-allow-origin") == Some("*"));
    shall(405, !before.to_string().contains("data-absent-reason"));
    let brands = resources(&before, "Organization");
    shall(421, brands[1]["identifier"] == json!([{"system": "https://example.org/ids", "value": "hospital"}]));
    // A start changes nothing; who changes the table says when.
    with_file(&server, BRAND);
    let again = bundle(&server);
    with_file(&server, &BRAND.replace("2026-03-01", "2026-04-01").replace("Example Health", "Health of Example"));
    let after = bundle(&server);
    shall(418, again["timestamp"] == before["timestamp"] && after["timestamp"] == "2026-04-01T00:00:00Z" && after != before);
}

#[test]
fn what_a_brand_must_support_can_be_given_and_changed() {
    let server = branded();
    let before = managed(&bundle(&server));
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    assert!(before.iter().all(|(_, value)| !empty(value)), "{before:?}");
    let mut changed = BRAND.replace("example.org", "example.com").replace("Springfield", "Shelbyville").replace("[\"EH\"]", "[\"EC\"]");
    changed =
        changed.replace("\"prov\"", "\"laboratory\"").replace("Example Health", "Health of Example").replace("\"test\"", "\"active\"");
    changed = changed.split("[[brand.part]]").next().unwrap().to_owned();
    with_file(&server, &changed);
    let after = managed(&bundle(&server));
    let same: Vec<&str> = before.iter().zip(&after).filter(|(one, other)| one == other).map(|((name, _), _)| *name).collect();
    // The one endpoint is the server itself.
    shall(402, before.len() == after.len() && same == ["endpoint"]);
    shall(431, server.nobody().get(SMART).is(200).at("/user_access_brand_identifier/system") == "https://example.com/ids");
}

#[test]
fn of_what_there_may_be_several_several_can_be_given() {
    let server = branded();
    with_file(&server, crate::brands::FILE);
    let all = managed(&bundle(&server));
    let of = |name: &str| all.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_array()).map_or(0, Vec::len);
    let brand = resources(&bundle(&server), "Organization").remove(0);
    let extended = ["organization-brand", "organization-portal"].iter().all(|name| extensions(&brand, name).len() == 2);
    shall(436, extended && ["identifier", "type", "alias", "address", "contact"].iter().all(|name| of(name) >= 2));
    // The first identifier is the one by which the configuration names the brand.
    assert_eq!(server.nobody().get(SMART).is(200).at("/user_access_brand_identifier/value"), "main");
}
