//! `POST /oauth/token` (RFC 6749 section 3.2, SMART App Launch 2.2 "obtain access token"): a code, a refresh token or a
//! backend service's own proof for an access token.

use std::sync::Arc;

use serde_json::{Value, json};

use super::form::Form;
use super::proof::{self, Once, Proved};
use super::service;
use crate::access::{Caller, Plain, Roles};
use crate::api::error;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::access_tokens::{self, Issuer, Of};
use crate::ledger::clients::{self, Client};
use crate::ledger::grants::{self, Exchange, Held, Outcome, Shown};
use crate::store::Tx;
use crate::vault::Vault;

/// A request whose client and key are proved, and what it is judged by.
pub struct Asking {
    pub client: Client,
    pub form: Form,
    pub roles: Roles,
    once: Vec<Once>,
    /// The key that the token is bound to.
    jkt: Option<String>,
    /// The FHIR base.
    base: String,
}

/// What a token is made of.
pub struct Settled {
    pub held: Held,
    pub scopes: String,
    pub refresh: Option<String>,
    pub fhir_user: Option<String>,
}

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let form = Form::read(request)?;
    let Proved { client, once } = proof::client(app, request, &form)?;
    let key = proof::key(app, request)?;
    let (jkt, of_key) = key.map_or((None, None), |(jkt, once)| (Some(jkt), Some(once)));
    let once = once.into_iter().chain(of_key).collect();
    let asking = Arc::new(Asking { client, form, roles: app.roles.clone(), once, jkt, base: format!("{}/fhir", app.public_url) });
    match settle(app, &request.entry, &asking)? {
        Ok(settled) => answer(app, &asking, &settled).map(Reply::committed),
        Err(e) => Ok(error::reply(&e, error::Form::OAuth, &request.id).committed()),
    }
}

/// What was shown once and what comes of it are committed together, a refusal too: an assertion that was refused for
/// another reason is good no second time.
fn settle(app: &App, entry: &Entry, asking: &Arc<Asking>) -> Result<Result<Settled>> {
    let (vault, entry, asking) = (Arc::clone(&app.vault), entry.clone(), Arc::clone(asking));
    app.db.write("token", move |tx| {
        let outcome = match noted(tx, &asking).and_then(|()| granted(tx, &vault, &asking)) {
            Err(e) if e.kind.wire().status >= 500 => return Err(e),
            outcome => outcome,
        };
        let mut entry = entry.clone();
        let did = match &outcome {
            Ok(Settled { held, fhir_user, .. }) => {
                entry.account = held.by.account.map(|account| account.to_string());
                entry.credential = Some(held.id.to_string());
                entry.fhir_user.clone_from(fhir_user);
                entry.role = Some(held.granted.role.clone());
                Did { patients: held.granted.patient.iter().cloned().collect(), ..Did::new(200, format!("grant/{}", held.id)) }
            }
            Err(e) => Did::new(e.kind.wire().status, "token").refusing(e.kind),
        };
        entry.commit(tx, did)?;
        Ok(outcome)
    })
}

fn noted(tx: &mut Tx<'_>, asking: &Asking) -> Result<()> {
    let mut shown_before = None;
    for once in &asking.once {
        shown_before = shown_before.or(once.note(tx)?);
    }
    shown_before.map_or(Ok(()), Err)
}

/// Refuses before it writes anything, but what a refusal itself has to write.
fn granted(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking) -> Result<Settled> {
    let grant_type = asking.form.required("grant_type")?;
    if asking.client.facts.dpop_bound && asking.jkt.is_none() {
        return Err(Error::new(Kind::ProofInvalid, "the client is registered for bound tokens; send a DPoP proof"));
    }
    if asking.form.all("resource").any(|resource| resource != asking.base) {
        return Err(Error::new(Kind::TargetRefused, format!("tokens are for {}", asking.base)).at("resource"));
    }
    if ![clients::CODE, clients::REFRESH, clients::CREDENTIALS].contains(&grant_type) {
        return Err(Error::new(Kind::GrantType, "it is authorization_code, refresh_token or client_credentials").at("grant_type"));
    }
    if !asking.client.facts.may(grant_type) {
        return Err(Error::new(Kind::ClientUnfit, format!("the client is not registered for {grant_type}")));
    }
    match grant_type {
        clients::CODE => exchange(tx, vault, asking),
        clients::REFRESH => refresh(tx, vault, asking),
        _ => service::granted(tx, vault, asking),
    }
}

fn exchange(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking) -> Result<Settled> {
    let form = &asking.form;
    let shown = Shown { client: &asking.client, secret: form.required("code")?, jkt: asking.jkt.as_deref() };
    let with = Exchange { redirect_uri: form.get("redirect_uri"), verifier: form.get("code_verifier") };
    let (held, refresh) = good(grants::exchange(tx, vault, &shown, &with)?)?;
    let fhir_user = match access_tokens::standing(tx, vault, &held, &asking.roles) {
        Ok(standing) => standing.fhir_user,
        Err(e) => return Err(refused("The account may not do this any more.").because(e.cause.unwrap_or_default())),
    };
    Ok(Settled { scopes: held.granted.scopes.clone(), held: *held, refresh, fhir_user })
}

fn refresh(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking) -> Result<Settled> {
    let form = &asking.form;
    let shown = Shown { client: &asking.client, secret: form.required("refresh_token")?, jkt: asking.jkt.as_deref() };
    let asked = form.get("scope");
    let mut fhir_user = None;
    let may = |tx: &mut Tx<'_>, held: &Held| {
        if asked.is_some_and(|asked| !narrower(&held.granted.scopes, asked)) {
            return Err(Error::new(Kind::ScopeRefused, "the scopes are not all of those that were granted").at("scope"));
        }
        let ended = |e: Error| refused("What was granted has ended.").because(e.cause.unwrap_or_default());
        fhir_user = access_tokens::refreshed(tx, vault, held, &asking.roles).map_err(ended)?.fhir_user;
        Ok(())
    };
    let (held, refresh) = good(grants::refresh(tx, vault, &shown, may)?)?;
    let scopes = asked.map_or_else(|| held.granted.scopes.clone(), |asked| asked.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(Settled { held: *held, scopes, refresh, fhir_user })
}

fn good(outcome: Outcome) -> Result<(Box<Held>, Option<String>)> {
    match outcome {
        Outcome::Good(held, refresh) => Ok((held, refresh)),
        Outcome::Refused(why) => Err(refused(why.why)),
    }
}

#[track_caller]
fn refused(says: &str) -> Error {
    Error::new(Kind::GrantUnknown, says)
}

/// Are all of these among those that were granted, or parts of them (RFC 6749 section 6)?
fn narrower(granted: &str, asked: &str) -> bool {
    let plain = asked.split_whitespace().filter_map(Plain::parse).all(|plain| grants::has(granted, plain));
    let of_resources = grants::of_resources(granted).and_then(|granted| Ok(granted.covers(&grants::of_resources(asked)?)));
    plain && of_resources.unwrap_or(false)
}

/// RFC 6749 section 5.1, with the launch context of SMART App Launch 2.2.
fn answer(app: &App, asking: &Asking, settled: &Settled) -> Result<Reply> {
    let Settled { held, scopes, refresh, fhir_user } = settled;
    let issuer = Issuer { keys: &app.keys, url: &app.public_url, chance: app.vault.chance, now: app.clock.now() };
    let of = Of { held, scopes, jkt: asking.jkt.as_deref(), fhir_user: fhir_user.as_deref() };
    let tokens = access_tokens::issue(&issuer, &of)?;
    let mut body = json!({
        "access_token": tokens.access,
        "token_type": if asking.jkt.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": tokens.expires_in,
        "scope": scopes,
    });
    let mut with = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    with("refresh_token", text(refresh));
    with("id_token", text(&tokens.id));
    let granted = &held.granted;
    with("patient", text(&granted.patient));
    with("encounter", text(&granted.encounter));
    with("intent", text(&granted.intent));
    with("need_patient_banner", granted.need_patient_banner.map(Value::Bool));
    with("fhirContext", (!granted.fhir_context.is_empty()).then(|| Value::Array(granted.fhir_context.clone())));
    Ok(Reply::json(200, &body))
}
