//! `POST /oauth/register` (RFC 7591): anybody may ask for a client to be registered. Nothing is granted to it until an
//! operator has approved it.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::api::limits::Limit;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::ledger::clients::{self, CODE, CREDENTIALS, Facts, Made, Proof, Status};
use crate::ledger::registration;
use crate::store::clients as rows;

const BYTES: usize = 64 * 1024;
/// So many may wait for an operator.
const WAITING: i64 = 1_000;

/// Registrations of one address.
static TRIES: LazyLock<Limit> = LazyLock::new(|| Limit::per_minute(5));

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    if !TRIES.allows(&request.address) {
        return Err(Error::new(Kind::Throttled, "five clients a minute may be registered"));
    }
    let body = request.json()?;
    if body.values().map(|value| value.to_string().len()).sum::<usize>() > BYTES {
        return Err(Error::new(Kind::TooLarge, "the metadata is longer than 64 KiB"));
    }
    let (facts, method) = facts(&body)?;
    registration::check(&facts)?;
    let (vault, entry, new) = (Arc::clone(&app.vault), request.entry.clone(), facts.clone());
    let made = app.db.write("client.register", move |tx| {
        if rows::count(tx, Status::Waiting as i16)? >= WAITING {
            return Err(Error::new(Kind::Throttled, "too many clients wait for an operator"));
        }
        let made = clients::add(tx, &vault, Status::Waiting, &new)?;
        entry.commit(tx, Did::new(201, format!("client/{}", made.client.id)))?;
        Ok(made)
    })?;
    Ok(Reply::json(201, &registered(&made, &method)).committed())
}

fn facts(body: &Map<String, Value>) -> Result<(Facts, String)> {
    let method = text(body, "token_endpoint_auth_method")?.unwrap_or_else(|| "client_secret_basic".into());
    let kind = match method.as_str() {
        "none" => Proof::Public,
        "client_secret_basic" | "client_secret_post" => Proof::Secret,
        "private_key_jwt" => Proof::Keys,
        _ => return Err(refused("token_endpoint_auth_method", "it is none, client_secret_basic, client_secret_post or private_key_jwt")),
    };
    let mut facts = Facts::new(text(body, "client_name")?.unwrap_or_else(|| "A client without a name".into()), kind);
    facts.redirect_uris = texts(body, "redirect_uris")?;
    facts.grant_types = texts(body, "grant_types")?;
    if facts.grant_types.is_empty() {
        facts.grant_types = vec![CODE.into()];
    }
    if texts(body, "response_types")?.iter().any(|kind| kind != "code") {
        return Err(refused("response_types", "the one response type is code"));
    }
    // By them some scopes are had and others not.
    registration::grant_types(&facts)?;
    let asked = text(body, "scope")?;
    if asked.is_none() && !facts.may(CODE) && facts.may(CREDENTIALS) {
        return Err(refused("scope", "a backend service names the scopes that it will ask for"));
    }
    facts.scopes = registration::scopes(asked.as_deref().unwrap_or(registration::DEFAULT_SCOPES), &facts)?;
    if facts.scopes.is_empty() {
        return Err(refused("scope", "none of the scopes can be granted here"));
    }
    facts.jwks = match body.get("jwks") {
        None | Some(Value::Null) => None,
        Some(jwks @ Value::Object(_)) => Some(jwks.to_string()),
        Some(_) => return Err(refused("jwks", "it is a JWK Set")),
    };
    facts.jwks_uri = text(body, "jwks_uri")?;
    facts.logo_uri = text(body, "logo_uri")?;
    facts.client_uri = text(body, "client_uri")?;
    facts.launch_uri = text(body, "initiate_login_uri")?;
    facts.contacts = texts(body, "contacts")?;
    facts.dpop_bound = match body.get("dpop_bound_access_tokens") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(bound)) => *bound,
        Some(_) => return Err(refused("dpop_bound_access_tokens", "it is true or false")),
    };
    Ok((facts, method))
}

/// What was registered, and what the client needs to know of it (section 3.2.1).
fn registered(made: &Made, method: &str) -> Value {
    let facts = &made.client.facts;
    let mut body = json!({
        "client_id": made.client.id.to_string(),
        "client_id_issued_at": made.client.created_at / 1_000,
        "client_name": facts.name,
        "token_endpoint_auth_method": method,
        "grant_types": facts.grant_types,
        "response_types": if facts.may(CODE) { vec!["code"] } else { vec![] },
        "scope": facts.scopes,
        "dpop_bound_access_tokens": facts.dpop_bound,
    });
    let jwks = facts.jwks.as_deref().and_then(|jwks| serde_json::from_str(jwks).ok());
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let list = |all: &[String]| (!all.is_empty()).then(|| json!(all));
    let more = [
        ("client_secret", text(&made.secret)),
        // It does not expire; an operator rotates it.
        ("client_secret_expires_at", made.secret.as_ref().map(|_| json!(0))),
        ("redirect_uris", list(&facts.redirect_uris)),
        ("contacts", list(&facts.contacts)),
        ("jwks", jwks),
        ("jwks_uri", text(&facts.jwks_uri)),
        ("logo_uri", text(&facts.logo_uri)),
        ("client_uri", text(&facts.client_uri)),
        ("initiate_login_uri", text(&facts.launch_uri)),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

fn refused(at: &'static str, says: &str) -> Error {
    Error::new(Kind::MetadataRefused, says).at(at)
}

fn text(body: &Map<String, Value>, name: &'static str) -> Result<Option<String>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(refused(name, "it is a text")),
    }
}

fn texts(body: &Map<String, Value>, name: &'static str) -> Result<Vec<String>> {
    let all = match body.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) => all,
        Some(_) => return Err(refused(name, "it is a list of texts")),
    };
    let texts = all.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>();
    texts.ok_or_else(|| refused(name, "it is a list of texts"))
}
