//! Who a client is, proved as it was registered (RFC 6749 section 2.3, RFC 7523, SMART App Launch 2.2 "client
//! authentication"), and the key that it proves to hold (RFC 9449 section 5).

use std::sync::{Arc, LazyLock};

use data_encoding::BASE64;

use super::form::Form;
use super::key_sets;
use crate::api::limits::Limit;
use crate::api::presented;
use crate::api::request::{Request, decode_pairs};
use crate::app::App;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::jose::dpop::{self, Checked};
use crate::jose::{ClientKeys, assertion};
use crate::ledger::clients::{self, Client, Proof, Status};
use crate::store::{Tx, shown_once};
use crate::vault::digest;

/// What was shown and must not be shown again: noted with whatever the request does.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    hash: [u8; 32],
    until: Millis,
    kind: Kind,
}

impl Once {
    /// Notes it; the refusal when it was noted before.
    pub fn note(self, tx: &mut Tx<'_>) -> Result<Option<Error>> {
        let says = if self.kind == Kind::ClientUnknown { "the client assertion was sent before" } else { "the DPoP proof was sent before" };
        Ok((!shown_once::first(tx, &self.hash, self.until)?).then(|| Error::new(self.kind, says)))
    }
}

/// A client that proved who it is.
pub struct Proved {
    pub client: Client,
    pub once: Option<Once>,
}

/// Proofs of one address that failed: secrets cannot be guessed, but trying costs us something.
static FAILURES: LazyLock<Limit> = LazyLock::new(|| Limit::per_minute(100));

/// The client of a request, if it is approved. Nothing tells an unknown client from a wrong secret.
pub fn client(app: &App, request: &mut Request, form: &Form) -> Result<Proved> {
    let proved = of_request(app, request, form);
    match &proved {
        Ok(proved) => request.entry.client = Some(proved.client.id.to_string()),
        Err(e) if e.kind == Kind::ClientUnknown && !FAILURES.allows(&request.address) => {
            return Err(Error::new(Kind::Throttled, "too many clients from this address were not what they said"));
        }
        Err(_) => {}
    }
    let proved = proved?;
    match proved.client.status {
        Status::Approved => Ok(proved),
        Status::Waiting => Err(Error::new(Kind::ClientUnfit, "the client waits until an operator approves it")),
        Status::Disabled => Err(unknown().because("the client is disabled")),
    }
}

/// The same where nothing else is committed with what was shown once.
pub fn alone(app: &App, request: &mut Request, form: &Form) -> Result<Client> {
    let Proved { client: known, once } = client(app, request, form)?;
    let refusal = once.map(|once| app.db.write("proof", move |tx| once.note(tx))).transpose()?.flatten();
    refusal.map_or(Ok(known), Err)
}

#[track_caller]
fn unknown() -> Error {
    Error::new(Kind::ClientUnknown, "The client is unknown, or did not prove who it is.")
}

/// How a request says who its client is.
enum Said<'f> {
    Basic(String, String),
    Post(&'f str),
    Assertion(&'f str),
    Nothing,
}

/// Who the client of a request says it is, for the log.
pub fn claimed(request: &Request, form: &Form) -> Option<String> {
    said(request, form).and_then(|said| named(&said, form)).ok().map(|id| id.to_string())
}

fn named(said: &Said<'_>, form: &Form) -> Result<ClientId> {
    let named = match said {
        Said::Basic(id, _) => Some(id.clone()),
        Said::Assertion(assertion) => {
            Some(assertion::claimed_client(assertion).map_err(|e| unknown().because(e.cause.unwrap_or_default()))?)
        }
        Said::Post(_) | Said::Nothing => None,
    };
    let id = match (named, form.get("client_id")) {
        (Some(named), Some(id)) if named != id => return Err(unknown().because("client_id is another")),
        (Some(named), _) => named,
        (None, Some(id)) => id.to_owned(),
        (None, None) => return Err(unknown().because("no client_id")),
    };
    ClientId::parse(&id).map_err(|_| unknown().because("client_id is none of ours"))
}

fn of_request(app: &App, request: &Request, form: &Form) -> Result<Proved> {
    let said = said(request, form)?;
    if let Said::Assertion(shown) = said {
        let judged = assertion::well_formed(shown, &token_endpoint(app), app.clock.now());
        let why = judged.map_err(|e| e.cause.unwrap_or_default());
        why.map_err(|why| Error::new(Kind::ClientUnknown, format!("The client assertion is not valid: {why}.")).because(why))?;
        let told = |e: Error| if e.kind == Kind::ClientUnknown { unsigned().because(e.cause.unwrap_or_default()) } else { e };
        return known(app, said, form).map_err(told);
    }
    known(app, said, form)
}

/// All that is told of an assertion that is well written, whether there is such a client or not.
#[track_caller]
fn unsigned() -> Error {
    let says =
        "There is no such client, or it has no key of this kid and alg, or the signature is not of that key, or jku is not registered.";
    Error::new(Kind::ClientUnknown, says)
}

fn token_endpoint(app: &App) -> String {
    format!("{}/oauth/token", app.public_url)
}

fn known(app: &App, said: Said<'_>, form: &Form) -> Result<Proved> {
    let id = named(&said, form)?;
    let client = app.db.read("client", |tx| clients::get(tx, &app.vault, id))?;
    let client = client.ok_or_else(|| unknown().because("there is no such client"))?;
    let once = match (client.facts.kind, said) {
        (Proof::Public, Said::Nothing) => None,
        (Proof::Secret, Said::Basic(_, secret)) if client.knows(&secret) => None,
        (Proof::Secret, Said::Post(secret)) if client.knows(secret) => None,
        // Nothing is fetched for who only asked to be a client.
        (Proof::Keys, Said::Assertion(_)) if client.facts.jwks_uri.is_some() && client.status != Status::Approved => {
            return Err(unknown().because("its keys are elsewhere, and it is not approved"));
        }
        (Proof::Keys, Said::Assertion(assertion)) => Some(by_key(app, &client, assertion)?),
        _ => return Err(unknown().because("not proved as it was registered")),
    };
    Ok(Proved { client, once })
}

/// RFC 6749 section 2.3: one way at a time.
fn said<'f>(request: &Request, form: &'f Form) -> Result<Said<'f>> {
    let basic = request.header("authorization").filter(|value| scheme(value, "Basic")).map(credentials).transpose()?;
    let assertion = match (form.get("client_assertion_type"), form.get("client_assertion")) {
        (None, None) => None,
        (Some(assertion::TYPE), Some(assertion)) => Some(assertion),
        _ => return Err(unknown().because("client_assertion_type")),
    };
    let secret = form.get("client_secret");
    match (basic, secret, assertion) {
        (Some((id, secret)), None, None) => Ok(Said::Basic(id, secret)),
        (None, Some(secret), None) => Ok(Said::Post(secret)),
        (None, None, Some(assertion)) => Ok(Said::Assertion(assertion)),
        (None, None, None) => Ok(Said::Nothing),
        _ => Err(Error::new(Kind::Parameter, "the client proves who it is in more than one way")),
    }
}

fn scheme(value: &str, wanted: &str) -> bool {
    value.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(wanted))
}

/// Is there a header that says who the client is?
pub fn by_header(request: &Request) -> bool {
    request.header("authorization").is_some_and(|value| scheme(value, "Basic"))
}

/// client_id and secret of `Authorization: Basic`, each encoded as in a form (RFC 6749 section 2.3.1).
fn credentials(value: &str) -> Result<(String, String)> {
    let decoded = || {
        let text = BASE64.decode(value.split_once(' ')?.1.trim().as_bytes()).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (id, secret) = text.split_once(':')?;
        let plain = |text: &str| decode_pairs(&format!("v={text}")).ok()?.into_iter().next().map(|(_, value)| value);
        (!secret.contains('&') && !id.contains('&')).then_some(())?;
        Some((plain(id)?, plain(secret)?))
    };
    decoded().ok_or_else(|| unknown().because("Basic credentials are not well encoded"))
}

fn by_key(app: &App, client: &Client, shown: &str) -> Result<Once> {
    let facts = &client.facts;
    let keys = match (&facts.jwks, &facts.jwks_uri) {
        (Some(jwks), _) => Arc::new(ClientKeys::parse(jwks).map_err(|e| unknown().because(e))?),
        (None, Some(uri)) => {
            let kid = assertion::claimed_key(shown).unwrap_or_default();
            let at = key_sets::Where { uri, private: facts.jwks_private };
            key_sets::find(&at, &kid, &app.clock).map_err(|e| if e.kind == Kind::Busy { e } else { unknown().because(e) })?
        }
        (None, None) => return Err(unknown().because("no keys are registered")),
    };
    let id = client.id.to_string();
    let expected = assertion::Expected {
        client_id: &id,
        keys: &keys,
        jwks_url: facts.jwks_uri.as_deref(),
        token_endpoint: &token_endpoint(app),
        now: app.clock.now(),
    };
    let proved = assertion::verify(shown, &expected).map_err(|e| unknown().because(e.cause.unwrap_or_default()))?;
    let hash = digest(&[b"assertion\0", id.as_bytes(), b"\0", proved.jti.as_bytes()]);
    Ok(Once { hash, until: proved.exp, kind: Kind::ClientUnknown })
}

/// The thumbprint of the key that a DPoP proof at the token endpoint proves.
pub fn key(app: &App, request: &Request) -> Result<Option<(String, Once)>> {
    let Some(proof) = presented::proof(request, Kind::ProofInvalid)? else { return Ok(None) };
    let refused = |why: String| Error::new(Kind::ProofInvalid, "The DPoP proof is not valid.").because(why);
    let uri = format!("{}{}", app.public_url, request.uri);
    let asked = dpop::Request { method: &request.verb, uri: &uri, presented: None, nonces: None, now: app.clock.now() };
    match dpop::verify(proof, &asked).map_err(|e| refused(e.cause.unwrap_or_default()))? {
        Checked::Good(proof) => {
            let once = Once { hash: presented::once(&proof.jkt, &proof.jti), until: proof.until, kind: Kind::ProofInvalid };
            Ok(Some((proof.jkt, once)))
        }
        Checked::NonceWanted => Err(refused("nonce".into())),
    }
}
