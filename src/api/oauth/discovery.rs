//! The documents in which clients find the authorization server: SMART App Launch 2.2 (`.well-known/smart-configuration`),
//! RFC 8414 and OpenID Connect Discovery 1.0 (the same document), RFC 9728, and the keys (RFC 7517 section 5).

use serde_json::{Value, json};

use crate::access::{Caller, Context, Plain, Scopes};
use crate::api::ROUTES;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::brands;
use crate::jose::{Algorithm, assertion, dpop, pkce};
use crate::ledger::clients;

/// What `capabilities` may name, and the route or the grant that it needs.
const CAPABILITIES: &[(&str, &str)] = &[
    ("launch-ehr", AUTHORIZE),
    ("launch-standalone", AUTHORIZE),
    ("authorize-post", AUTHORIZE_POST),
    ("client-public", AUTHORIZE),
    ("client-confidential-symmetric", TOKEN),
    ("client-confidential-asymmetric", TOKEN),
    ("sso-openid-connect", AUTHORIZE),
    ("context-banner", AUTHORIZE),
    ("context-ehr-patient", AUTHORIZE),
    ("context-ehr-encounter", AUTHORIZE),
    ("context-standalone-patient", AUTHORIZE),
    ("permission-offline", AUTHORIZE),
    ("permission-online", AUTHORIZE),
    ("permission-patient", AUTHORIZE),
    ("permission-user", AUTHORIZE),
    ("permission-v1", TOKEN),
    ("permission-v2", TOKEN),
];

pub const AUTHORIZE: &str = "GET /oauth/authorize";
const AUTHORIZE_POST: &str = "POST /oauth/authorize";
pub const TOKEN: &str = "POST /oauth/token";

/// Is this route served?
fn served(route: &str) -> bool {
    route.split_once(' ').is_some_and(|of| ROUTES.iter().any(|route| (route.verb, route.path) == of))
}

/// The member of each endpoint, and its route.
const ENDPOINTS: &[(&str, &str)] = &[
    ("authorization_endpoint", AUTHORIZE),
    ("token_endpoint", TOKEN),
    ("introspection_endpoint", "POST /oauth/introspect"),
    ("revocation_endpoint", "POST /oauth/revoke"),
    ("registration_endpoint", "POST /oauth/register"),
    ("management_endpoint", "GET /account"),
];

/// The endpoints that are there, by their names in the documents: name and absolute address.
pub fn endpoints(url: &str) -> impl Iterator<Item = (&'static str, String)> {
    ENDPOINTS.iter().filter(|(_, route)| served(route)).filter_map(move |(name, route)| {
        let (_, path) = route.split_once(' ')?;
        Some((*name, format!("{url}{path}")))
    })
}

/// Those that the extension `oauth-uris` of the CapabilityStatement has a name for.
pub fn oauth_uris(url: &str) -> Vec<(&'static str, String)> {
    const NAMES: [(&str, &str); 4] = [
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("registration_endpoint", "register"),
        ("management_endpoint", "manage"),
    ];
    let named = |name| NAMES.iter().find(|(known, _)| *known == name).map(|(_, short)| *short);
    endpoints(url).filter_map(|(name, address)| Some((named(name)?, address))).collect()
}

/// Scopes that are granted: the plain ones, and all of resources.
fn scopes() -> Vec<String> {
    let person = served(AUTHORIZE);
    let plain = Plain::ALL.iter().filter(|plain| person && **plain != Plain::OrchestrateLaunch).map(|plain| plain.name().to_owned());
    let contexts = [Context::Patient, Context::User, Context::System].into_iter().filter(|context| person || *context == Context::System);
    let of_resources = contexts.flat_map(|context| ["*.cruds", "*.rs"].map(|rest| format!("{}/{rest}", context.name())));
    plain.chain(of_resources.filter(|scope| Scopes::parse(scope).is_ok())).collect()
}

fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|algorithm| algorithm.name()).collect()
}

fn grant_types() -> Vec<&'static str> {
    let person: &[&str] = if served(AUTHORIZE) { &[clients::CODE, clients::REFRESH] } else { &[] };
    person.iter().copied().chain([clients::CREDENTIALS]).collect()
}

/// What all documents say of the authorization server.
fn server(url: &str) -> Value {
    let mut document = json!({
        "issuer": url,
        "jwks_uri": format!("{url}/oauth/jwks"),
        "grant_types_supported": grant_types(),
        "response_types_supported": if served(AUTHORIZE) { vec!["code"] } else { vec![] },
        "scopes_supported": scopes(),
        "code_challenge_methods_supported": [pkce::METHOD],
        "dpop_signing_alg_values_supported": names(&dpop::ALGORITHMS),
    });
    for (name, address) in endpoints(url) {
        document[name] = json!(address);
    }
    let proofs = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    for endpoint in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        if document.get(endpoint).is_some() {
            let public: &[&str] = if endpoint == "introspection_endpoint" { &[] } else { &["none"] };
            document[format!("{endpoint}_auth_methods_supported")] = json!([&proofs[..], public].concat());
            document[format!("{endpoint}_auth_signing_alg_values_supported")] = json!(names(&assertion::ALGORITHMS));
        }
    }
    document
}

fn shown(document: &Value) -> Reply {
    // It says nothing of anybody.
    Reply { audited: true, ..Reply::json(200, document) }.with("cache-control", "public, max-age=300")
}

/// `GET /fhir/.well-known/smart-configuration`: JSON whatever `Accept` says.
pub fn smart(app: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let mut document = server(&app.public_url);
    let capabilities = CAPABILITIES.iter().filter(|(_, route)| served(route)).map(|(name, _)| *name);
    document["capabilities"] = capabilities.collect();
    if let Some(brand) = &app.config.brand {
        document["user_access_brand_bundle"] = json!(format!("{}/oauth/brands", app.public_url));
        if let Some(identifier) = brands::identifier(brand) {
            document["user_access_brand_identifier"] = identifier;
        }
    }
    Ok(shown(&document))
}

/// `GET /.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`.
pub fn metadata(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    here(request, "issuer", path_of(&app.public_url))?;
    let mut document = server(&app.public_url);
    document["response_modes_supported"] = json!(["query"]);
    document["subject_types_supported"] = json!(["public"]);
    document["id_token_signing_alg_values_supported"] = json!(names(&[Algorithm::Rs256]));
    document["claims_supported"] = json!(["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "at_hash", "fhirUser", "profile"]);
    document["claims_parameter_supported"] = json!(false);
    document["request_parameter_supported"] = json!(false);
    document["request_uri_parameter_supported"] = json!(false);
    document["authorization_response_iss_parameter_supported"] = json!(served(AUTHORIZE));
    document["protected_resources"] = json!([format!("{}/fhir", app.public_url)]);
    Ok(shown(&document))
}

/// `GET /.well-known/oauth-protected-resource`: the FHIR base (RFC 9728 section 2).
pub fn resource(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let base = format!("{}/fhir", app.public_url);
    here(request, "resource", path_of(&base))?;
    Ok(shown(&json!({
        "resource": base,
        "authorization_servers": [app.public_url],
        "bearer_methods_supported": ["header"],
        "scopes_supported": scopes(),
        "dpop_signing_alg_values_supported": names(&dpop::ALGORITHMS),
        "dpop_bound_access_tokens_required": false,
        "resource_name": "Firth",
        "resource_documentation": format!("{}/docs/oauth.md", app.public_url),
    })))
}

/// `GET /oauth/jwks`: the keys that verify now.
pub fn jwks(app: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let now = app.clock.now();
    let body = app.keys.published(now)?.jwks(now).into_bytes();
    let reply = Reply { status: 200, content_type: "application/jwk-set+json".into(), body, audited: true, ..Reply::default() };
    Ok(reply.with("cache-control", "public, max-age=300"))
}

/// Where a 401 sends clients that know nothing (RFC 9728 section 3.1: before the path of the resource).
pub fn resource_metadata(url: &str) -> String {
    let base = format!("{url}/fhir");
    let path = path_of(&base);
    let origin = base.strip_suffix(path).unwrap_or(&base);
    format!("{origin}/.well-known/oauth-protected-resource{path}")
}

/// The path of an absolute URL, without a slash at the end: empty or from its slash.
fn path_of(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    url[after..].find('/').map_or("", |at| &url[after + at..])
}

/// A document has its address with the path of what it is about, and without one.
fn here(request: &Request, name: &str, path: &str) -> Result<()> {
    let asked = request.param(name);
    if asked.is_empty() || format!("/{asked}") == path {
        return Ok(());
    }
    Err(Error::new(Kind::NotFound, "nothing is served at this path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_resource_stands_behind_the_well_known_name() {
        for (url, metadata) in [
            ("https://firth.example", "https://firth.example/.well-known/oauth-protected-resource/fhir"),
            ("https://firth.example:8443/a/b", "https://firth.example:8443/.well-known/oauth-protected-resource/a/b/fhir"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/.well-known/oauth-protected-resource/fhir"),
        ] {
            assert_eq!(resource_metadata(url), metadata);
        }
    }

    #[test]
    fn scopes_are_told_that_can_be_had() {
        let told = scopes();
        assert!(told.contains(&"system/*.rs".to_owned()) && told.iter().all(|scope| !scope.contains("smart/orchestrate_launch")));
    }
}
