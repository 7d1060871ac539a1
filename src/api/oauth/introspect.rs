//! `POST /oauth/introspect` (RFC 7662, SMART App Launch 2.2 "token introspection"): what a token is good for. A client that
//! proves who it is asks of its own tokens; a system of role ehr-system or operator, by its token or by its own proof, asks
//! of all. Nobody who signed in does, whatever the role: the app that has the token would learn of other people's.

use serde_json::{Value, json};

use super::form::Form;
use super::proof;
use crate::access::{Caller, Plain, Role, Whom};
use crate::api::presented;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::ledger::access_tokens;
use crate::ledger::clients::{self, Proof};
use crate::ledger::credentials;
use crate::ledger::grants::{self, Held};

/// Whose tokens may be asked about.
enum Asker {
    All,
    Client(ClientId),
}

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let form = Form::read(request)?;
    let asker = asker(app, request, &form)?;
    let token = form.required("token")?;
    // What is wrong with it is nobody's to know (section 2.2).
    let told = match told(app, token) {
        Ok(told) => told.filter(|(client, _)| matches!(asker, Asker::All) || matches!(asker, Asker::Client(own) if Some(own) == *client)),
        Err(e) if e.kind.wire().status < 500 => None,
        Err(e) => return Err(e),
    };
    let body = told.map_or_else(|| json!({"active": false}), |(_, body)| body);
    Ok(Reply::json(200, &body).about("token", Vec::new()))
}

/// RFC 7662 section 2.1: who asks proves who it is.
fn asker(app: &App, request: &mut Request, form: &Form) -> Result<Asker> {
    if request.header("authorization").is_some() && !proof::by_header(request) {
        let caller = presented::caller(app, request, None)?;
        request.entry.client = caller.client.map(|client| client.to_string());
        request.entry.credential = Some(caller.credential.to_string());
        request.entry.role = Some(caller.role.name().to_owned());
        return match caller.account {
            None if asks_of_all(caller.role) => Ok(Asker::All),
            _ => Err(Error::new(Kind::Forbidden, "a system's token of role ehr-system or operator asks of tokens")),
        };
    }
    let proved = proof::alone(app, request, form)?;
    match proved.facts.kind {
        Proof::Public => Err(Error::new(Kind::ClientUnknown, "a public client cannot ask of tokens, for it cannot prove who it is")),
        Proof::Secret | Proof::Keys => {
            let role = proved.facts.role.as_deref().and_then(|role| app.roles.named(role));
            Ok(if role.is_some_and(asks_of_all) { Asker::All } else { Asker::Client(proved.id) })
        }
    }
}

fn asks_of_all(role: Role) -> bool {
    matches!(role, Role::EhrSystem | Role::Operator)
}

/// Whose token it is and what is told of it; None when it is not good.
fn told(app: &App, token: &str) -> Result<Option<(Option<ClientId>, Value)>> {
    let now = app.clock.now();
    if let Some((held, until)) = app.db.read("refresh-token", |tx| grants::of_refresh(tx, &app.vault, token, now))? {
        let scopes = still(app, &held, &held.granted.scopes)?;
        if !grants::is_refreshed(&scopes) {
            return Ok(None);
        }
        let mut body = json!({"active": true, "client_id": held.by.client.to_string(), "exp": until / 1_000, "iss": app.public_url});
        context(&mut body, &held, &scopes);
        return Ok(Some((Some(held.by.client), body)));
    }
    let caller = app.callers.authenticate(token, now)?;
    if !access_tokens::is_signed(token) {
        return Ok(Some((None, issued(app, token, &caller)?)));
    }
    let claims = access_tokens::verify(&app.keys, token, &app.public_url, now)?;
    let held = app.db.read("grant", |tx| grants::get(tx, &app.vault, caller.credential))?;
    let held = held.ok_or_else(|| Error::new(Kind::Unauthenticated, "the grant has ended"))?;
    let mut body = json!(claims);
    body["active"] = json!(true);
    body["token_type"] = json!(if claims.cnf.is_some() { "DPoP" } else { "Bearer" });
    context(&mut body, &held, &still(app, &held, &claims.scope)?);
    Ok(Some((Some(held.by.client), body)))
}

/// Of a token that an operator issued, or an SDK has: no client asked for it, so it stands for itself.
fn issued(app: &App, token: &str, caller: &Caller) -> Result<Value> {
    let id = caller.credential.to_string();
    let mut body = json!({
        "active": true, "iss": app.public_url, "client_id": id, "sub": id, "scope": caller.scopes.to_string(),
        "role": caller.role.name(), "iat": caller.issued_at / 1_000, "token_type": "Bearer"
    });
    if let Some(at) = app.db.read("credential", |tx| credentials::expires_at(tx, token))? {
        body["exp"] = json!(at / 1_000);
    }
    if let Whom::Patients(patients) = &caller.whom
        && let [patient] = patients[..]
    {
        body["patient"] = json!(patient.to_string());
    }
    Ok(body)
}

/// What the client may ask for still, of what the token was made with.
fn still(app: &App, held: &Held, scopes: &str) -> Result<String> {
    let client = app.db.read("client", |tx| clients::get(tx, &app.vault, held.by.client))?;
    client.map_or_else(|| Ok(String::new()), |client| client.facts.still(scopes))
}

/// The scopes, and the launch context as the token response told it.
fn context(body: &mut Value, held: &Held, scopes: &str) {
    body["scope"] = json!(scopes);
    let granted = &held.granted;
    let texts = [("patient", &granted.patient), ("encounter", &granted.encounter), ("intent", &granted.intent)];
    for (name, text) in texts {
        if let Some(text) = text {
            body[name] = json!(text);
        }
    }
    if let Some(banner) = granted.need_patient_banner {
        body["need_patient_banner"] = json!(banner);
    }
    if !granted.fhir_context.is_empty() {
        body["fhirContext"] = Value::Array(granted.fhir_context.clone());
    }
    if let Some(account) = held.by.account.filter(|_| grants::has(scopes, Plain::OpenId)) {
        body["sub"] = json!(account.to_string());
    }
}
