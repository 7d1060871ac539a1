//! `POST /oauth/token` (RFC 6749 section 3.2, SMART App Launch 2.2 "obtain access token"): a code, a refresh token or a
//! backend service's own proof for an access token.

use std::sync::Arc;

use serde_json::{Value, json};

use super::form::Form;
use super::proof::{self, Once, Proved};
use super::service;
use crate::access::{Caller, Requested, Roles};
use crate::api::error;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::access_tokens::{self, Issuer, Of};
use crate::ledger::clients::{self, Client};
use crate::ledger::grants::{self, Exchange, Held, Outcome, Shown};
use crate::policy;
use crate::store::Tx;
use crate::vault::Vault;

/// A request whose client and key are proved, and what it is judged by.
pub struct Asking {
    pub client: Client,
    pub form: Form,
    pub roles: Roles,
    /// `scope`, if it was sent: read before anything waits for the writer.
    scopes: Option<Result<Requested>>,
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
    let asking = asking(app, request, form);
    let asking = asking.inspect_err(|(e, client)| unanswered(request, client.as_deref(), e)).map_err(|(e, _)| e)?;
    match settle(app, &request.entry, &asking)? {
        Ok(settled) => answer(app, &asking, &settled).map(Reply::committed),
        Err(e) => {
            unanswered(request, request.entry.client.as_deref(), &e);
            Ok(error::reply(&e, error::Form::OAuth, &request.id).committed())
        }
    }
}

/// Who asks for what; with the refusal the client that it claims to be.
fn asking(app: &App, request: &mut Request, form: Form) -> Result<Arc<Asking>, (Error, Option<String>)> {
    let Proved { client, once } = proof::client(app, request, &form).map_err(|e| (e, proof::claimed(request, &form)))?;
    let key = proof::key(app, request).map_err(|e| (e, Some(client.id.to_string())))?;
    let (jkt, of_key) = key.map_or((None, None), |(jkt, once)| (Some(jkt), Some(once)));
    let once = once.into_iter().chain(of_key).collect();
    let read = if form.get("grant_type") == Some("refresh_token") { Requested::of_refresh } else { Requested::parse };
    let scopes = form.get("scope").map(|scopes| read(scopes, &policy::offer));
    Ok(Arc::new(Asking { client, form, roles: app.roles.clone(), scopes, once, jkt, base: format!("{}/fhir", app.public_url) }))
}

/// The log says what its client is not told. Causes are written by us and hold nothing of what was sent.
fn unanswered(request: &Request, client: Option<&str>, e: &Error) {
    let (error, code, cause) = (error::oauth_code(e.kind), e.kind.wire().code, e.cause.as_deref());
    tracing::info!(request_id = request.id, client, error, code, cause, "no token was given");
}

/// What was shown once and what comes of it are committed together, a refusal too: an assertion that was refused for
/// another reason is good no second time.
fn settle(app: &App, entry: &Entry, asking: &Arc<Asking>) -> Result<Result<Settled>> {
    let (vault, entry, asking) = (Arc::clone(&app.vault), entry.clone(), Arc::clone(asking));
    app.db.write("token", move |tx| {
        let mut reused = None;
        let outcome = match noted(tx, &asking).and_then(|()| granted(tx, &vault, &asking, &mut reused)) {
            Err(e) if e.kind.wire().status >= 500 => return Err(e),
            outcome => outcome,
        };
        let mut entry = entry.clone();
        let held = outcome.as_ref().map_or(reused.as_deref(), |settled| Some(&settled.held));
        let mut did = held.map_or_else(|| Did::new(200, "token"), |held| Did::new(200, format!("grant/{}", held.id)));
        if let Some(held) = held {
            entry.account = held.by.account.map(|account| account.to_string());
            entry.credential = Some(held.id.to_string());
            entry.role = Some(held.granted.role.clone());
            did.patients = held.granted.patient.iter().cloned().collect();
        }
        match &outcome {
            Ok(settled) => entry.fhir_user.clone_from(&settled.fhir_user),
            Err(e) => (did.status, did.refused) = (e.kind.wire().status, Some(e.kind)),
        }
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

/// A grant that has ended because one of its secrets was shown again.
type Reused = Option<Box<Held>>;

/// Refuses before it writes anything, but what a refusal itself has to write.
fn granted(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking, reused: &mut Reused) -> Result<Settled> {
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
        clients::CODE => exchange(tx, vault, asking, reused),
        clients::REFRESH => refresh(tx, vault, asking, reused),
        _ => service::granted(tx, vault, asking),
    }
}

impl Asking {
    /// What is asked; None without a word.
    pub fn scopes(&self) -> Result<Option<&Requested>> {
        let refused = |says: String| Error::new(Kind::ScopeRefused, says).at("scope");
        let Some(asked) = &self.scopes else { return Ok(None) };
        let asked = asked.as_ref().map_err(|e| refused(e.says().to_owned()))?;
        match asked.unknown.first() {
            Some(ungranted) => Err(refused(format!("'{}' {}", ungranted.scope, ungranted.why))),
            None => Ok(Some(asked)),
        }
    }
}

fn exchange(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking, reused: &mut Reused) -> Result<Settled> {
    let form = &asking.form;
    let shown = Shown { client: &asking.client, secret: form.required("code")?, jkt: asking.jkt.as_deref() };
    // What is not there is no wrong try at the code, which stays good (RFC 6749 section 5.2, invalid_request).
    let with = Exchange { redirect_uri: Some(form.required("redirect_uri")?), verifier: Some(form.required("code_verifier")?) };
    let (held, refresh) = good(grants::exchange(tx, vault, &shown, &with)?, reused)?;
    let fhir_user = match access_tokens::standing(tx, vault, &held, &asking.roles) {
        Ok(standing) => standing.fhir_user,
        Err(e) => return Err(refused("The account may not do this any more.").because(e.cause.unwrap_or_default())),
    };
    let scopes = asking.client.facts.still(&held.granted.scopes)?;
    let refresh = refresh.filter(|_| grants::is_refreshed(&scopes));
    Ok(Settled { held: *held, scopes, refresh, fhir_user })
}

fn refresh(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking, reused: &mut Reused) -> Result<Settled> {
    let form = &asking.form;
    let shown = Shown { client: &asking.client, secret: form.required("refresh_token")?, jkt: asking.jkt.as_deref() };
    let (mut scopes, mut fhir_user) = (String::new(), None);
    let may = |tx: &mut Tx<'_>, held: &Held| {
        scopes = asking.client.facts.still(&held.granted.scopes)?;
        if !grants::is_refreshed(&scopes) {
            return Err(refused("The client may not refresh any more.").because("it was narrowed"));
        }
        if asking.scopes()?.is_some_and(|asked| !narrower(&scopes, asked)) {
            return Err(Error::new(Kind::ScopeRefused, "the scopes are not all of those that were granted").at("scope"));
        }
        let ended = |e: Error| refused("What was granted has ended.").because(e.cause.unwrap_or_default());
        fhir_user = access_tokens::standing(tx, vault, held, &asking.roles).map_err(ended)?.fhir_user;
        Ok(())
    };
    let (held, refresh) = good(grants::refresh(tx, vault, &shown, may)?, reused)?;
    if let Some(asked) = form.get("scope") {
        scopes = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    Ok(Settled { held: *held, scopes, refresh, fhir_user })
}

fn good(outcome: Outcome, reused: &mut Reused) -> Result<(Box<Held>, Option<String>)> {
    match outcome {
        Outcome::Good(held, refresh) => Ok((held, refresh)),
        Outcome::Refused(why) => Err(refused(why)),
        Outcome::Reused(held) => {
            *reused = Some(held);
            Err(Error::new(Kind::GrantReused, "It was used before; all that came of it is revoked."))
        }
    }
}

#[track_caller]
fn refused(says: &str) -> Error {
    Error::new(Kind::GrantUnknown, says)
}

/// Are all of these among those that were granted, or parts of them (RFC 6749 section 6)?
fn narrower(granted: &str, asked: &Requested) -> bool {
    let plain = asked.plain.iter().all(|plain| grants::has(granted, *plain));
    plain && grants::of_resources(granted).is_ok_and(|granted| granted.covers(&asked.scopes))
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
