//! Where clients find what they need: SMART App Launch 2.2, `conformance`, `brands`, and the capabilities.

use serde_json::{Value, json};

use super::flow::*;
use crate::support::TestServer;

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
            shall(30, reply.at("/token_endpoint").is_string());
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
        let addresses = document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri"));
        shall(378, addresses.clone().count() >= 5 && addresses.clone().all(|(_, url)| url.as_str().is_some_and(|url| url.starts_with(&server.url()))));
        for (name, url) in addresses {
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
        shall(228, document["token_endpoint"].is_string() && has(&document, "token_endpoint_auth_methods_supported", &["private_key_jwt"]));
    }
}

both! {
    fn pages_of_any_origin_read_what_is_public_and_registered_ones_the_rest(server) {
        let clinic = Clinic::new(server);
        let app = server.public_app();
        let token = app.launches(&clinic.person, "", "launch/patient patient/*.rs", &[]);
        shall(17, token.header("access-control-allow-origin") == Some("https://app.example"));
        let reads = server.nobody().bearer(&token.text_at("/access_token"));
        let read = |origin: &str| reads.with("origin", origin).get(&format!("/fhir/Patient/{}", clinic.patient)).is(200).header("access-control-allow-origin").map(str::to_owned);
        assert_eq!((read("https://app.example").as_deref(), read("https://evil.example")), (Some("https://app.example"), None));
        for path in [SMART, "/fhir/metadata", "/.well-known/openid-configuration", "/oauth/jwks"] {
            let reply = server.nobody().with("origin", "https://anybody.example").get(path).is(200);
            shall(16, reply.header("access-control-allow-origin") == Some("*") && reply.header("access-control-allow-credentials").is_none());
        }
    }
}

const BRAND: &str = "[brand]\nname = \"Example Health\"\nwebsite = \"https://example.org\"\nupdated = \"2026-03-01T00:00:00Z\"\n\
    identifier = { system = \"https://example.org/ids\", value = \"main\" }\nlogo = { urls = [\"https://example.org/logo.svg\"] }\n\
    portal = { name = \"MyHealth\", url = \"https://portal.example.org\" }\n[[brand.part]]\nname = \"Example Hospital\"\n\
    website = \"https://hospital.example.org\"\nidentifier = { system = \"https://example.org/ids\", value = \"hospital\" }\n";

fn branded() -> TestServer {
    let place = crate::support::server::Place::new();
    std::fs::write(place.path().join("firth.toml"), BRAND).expect("a file");
    TestServer::at(crate::support::Backend::Sqlite, place)
}

fn organizations(bundle: &Value) -> Vec<Value> {
    let all = bundle["entry"].as_array().expect("entries").iter().map(|entry| entry["resource"].clone());
    all.filter(|resource| resource["resourceType"] == "Organization").collect()
}

#[test]
fn a_brand_is_published_for_every_endpoint() {
    let server = branded();
    let reply = server.nobody().with("origin", "https://anybody.example").get("/oauth/brands").is(200);
    let bundle = reply.json();
    let brands = organizations(&bundle);
    shall(396, brands[0]["endpoint"] == json!([{"reference": "Endpoint/fhir"}]) && brands[0].get("partOf").is_none());
    shall(398, bundle["timestamp"] == "2026-03-01T00:00:00Z");
    shall(400, reply.header("access-control-allow-origin") == Some("*"));
    shall(402, brands[0]["extension"].to_string().contains("brandLogo") && brands[0]["telecom"][0]["value"] == "https://example.org");
    shall(403, brands[0]["identifier"] == json!([{"system": "https://example.org/ids", "value": "main"}]));
}

#[test]
fn the_configuration_says_which_brand_is_this_servers() {
    let server = branded();
    let smart = server.nobody().get(SMART).is(200).json();
    let bundle = server.nobody().get(smart["user_access_brand_bundle"].as_str().unwrap()).is(200).json();
    let own = &smart["user_access_brand_identifier"];
    let matching =
        organizations(&bundle).iter().filter(|brand| brand["identifier"].as_array().is_some_and(|all| all.contains(own))).count();
    shall(409, own.is_object());
    shall(410, own["value"] == "main");
    shall(412, matching == 1);
    shall(430, own["value"].as_str().is_some_and(|value| !value.is_empty()));
    shall(432, matching == 1 && organizations(&bundle).len() == 2);
}

#[test]
fn brands_say_when_they_changed_and_what_they_do_not_know_of() {
    let server = branded();
    let preflight = server.nobody().with("origin", "https://anybody.example").with("access-control-request-method", "GET").send(
        "OPTIONS",
        "/oauth/brands",
        None,
    );
    let bundle = server.nobody().get("/oauth/brands").is(200).json();
    shall(417, organizations(&bundle).iter().all(|brand| brand["endpoint"][0]["reference"] == "Endpoint/fhir"));
    shall(418, bundle["timestamp"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    shall(423, preflight.status == 204 && preflight.header("access-control-allow-origin") == Some("*"));
    shall(405, !bundle.to_string().contains("data-absent-reason"));
    shall(421, organizations(&bundle)[1]["identifier"] == json!([{"system": "https://example.org/ids", "value": "hospital"}]));
}

#[test]
fn what_a_brand_must_support_can_be_given() {
    let server = branded();
    let brands = organizations(&server.nobody().get("/oauth/brands").is(200).json());
    shall(436, brands[0]["name"] == "Example Health" && brands[0]["extension"].to_string().contains("portalUrl"));
    shall(431, brands[0]["identifier"][0]["system"] == "https://example.org/ids");
}
