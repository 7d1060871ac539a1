//! What create, update and delete share: the body, the transaction with its audit entry, and the answer.

use std::sync::Arc;
use std::time::Duration;

use super::conditional::{http_date, seconds};
use super::{base, binary, caller, resource, written};
use crate::access::{Caller, Interaction};
use crate::api::negotiate::{self, Return};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::fhir::outcome;
use crate::fhir::validate::Options;
use crate::ledger::idempotency::{Key, once};
use crate::ledger::resources::{Effect, IfMatch, Writer, Written};
use crate::ledger::submitted::{self, Submitted};
use crate::policy::Policy;
use crate::search::Type;
use crate::store::Tx;
use crate::store::blocks::Templates;
use crate::store::keys::Whose;
use crate::vault::{Vault, digest};

/// What a write takes to the thread of the transaction.
pub struct Writing {
    vault: Arc<Vault>,
    templates: Arc<Templates>,
    policy: Policy,
    strict: bool,
    external_system: String,
    base: String,
    options: Options<'static>,
    limit: Duration,
}

impl Writing {
    pub fn of(app: &App, who: &Caller) -> Writing {
        Writing {
            vault: Arc::clone(&app.vault),
            templates: Arc::clone(&app.templates),
            policy: Policy::of(who),
            strict: app.config.references_strict,
            external_system: app.config.external_id_system.clone(),
            base: base(app),
            options: options(app),
            limit: app.config.query_timeout,
        }
    }

    /// Is whatever is written of the type shown to who writes it?
    pub fn shows(&self, of: Option<Type>) -> bool {
        of.is_some_and(|of| self.policy.visible(of, Interaction::Read).is_ok_and(|visible| !visible.by_content()))
    }

    pub fn writer(&self) -> Writer<'_> {
        Writer {
            vault: &self.vault,
            templates: &self.templates,
            policy: &self.policy,
            strict: self.strict,
            external_system: &self.external_system,
            base: &self.base,
            options: self.options,
            limit: self.limit,
        }
    }
}

/// A write that may begin.
pub struct Opened<'c> {
    pub who: &'c Caller,
    pub policy: Policy,
    pub of: Type,
    pub pairs: Vec<(String, String)>,
}

/// How every write begins: who does it, of which type, and whether they may.
pub fn open<'c>(request: &Request, who: Option<&'c Caller>, to: Interaction) -> Result<Opened<'c>> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    written(of)?;
    let policy = Policy::of(who);
    policy.may(of, to)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    Ok(Opened { who, policy, of, pairs })
}

/// The same for one that takes no criteria.
pub fn open_plain<'c>(request: &Request, who: Option<&'c Caller>, to: Interaction) -> Result<Opened<'c>> {
    let opened = open(request, who, to)?;
    negotiate::only_these(request, &opened.pairs, &["_format"])?;
    Ok(opened)
}

/// Does `work` and commits the audit entry with it, and answers.
pub fn commit(
    app: &App,
    request: &Request,
    who: &Caller,
    work: impl Fn(&mut Tx<'_>, &Writer<'_>) -> Result<Written> + Send + 'static,
) -> Result<Reply> {
    let (writing, entry) = (Writing::of(app, who), request.entry.clone());
    let key = idempotency(app, request, who)?;
    // A delete is answered without a body, so nothing is preferred.
    let returned = if request.verb == "DELETE" { Return::Minimal } else { negotiate::returned(request) };
    if returned == Return::Representation && !writing.shows(Type::parse(request.param("type"))) {
        negotiate::not_promised(request);
    }
    let written = app.db.write_later("resource.write", move |tx| {
        let writer = writing.writer();
        let mut done = once(tx, &writer, key.as_ref(), |tx| Ok(vec![Some(work(tx, &writer)?)]))?;
        let written = done.pop().flatten().ok_or_else(|| Error::bug("a write that wrote nothing"))?;
        noted(tx, &entry, &written)?;
        Ok(written)
    });
    let base = base(app);
    Ok(Reply::later(written, move |written| answer(&base, returned, written)))
}

/// The key of a POST that may be sent again. Its body was read before. No parameter changes what such a POST does, so
/// the path alone says what it is.
pub fn idempotency(app: &App, request: &Request, who: &Caller) -> Result<Option<Key>> {
    /// No honest key is longer.
    const MOST: usize = 255;
    let Some(key) = request.header("idempotency-key").filter(|_| request.verb == "POST") else { return Ok(None) };
    if key.is_empty() || key.len() > MOST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let says = format!("Idempotency-Key is 1 to {MOST} visible ASCII characters, none of them a blank; send a UUID");
        return Err(Error::new(Kind::Parameter, says).at("Idempotency-Key"));
    }
    let path = request.uri.split('?').next().unwrap_or_default();
    let parts: [&[u8]; 4] = [&who.credential.0, request.verb.as_bytes(), path.as_bytes(), key.as_bytes()];
    let condition = request.header("if-none-exist").unwrap_or_default();
    let (hash, request) = (app.vault.index().full("idempotency", &parts), digest(&[&request.body_digest, condition.as_bytes()]));
    Ok(Some(Key { hash, request }))
}

fn noted(tx: &mut Tx<'_>, entry: &Entry, written: &Written) -> Result<()> {
    let patients = written.patient.map(Whose::named).unwrap_or_default();
    let resource = format!("{}/{}", written.of.name(), written.id);
    entry.commit(tx, Did { patients, ..Did::new(status(written.effect), resource) })
}

pub fn status(effect: Effect) -> u16 {
    match effect {
        Effect::Created => 201,
        Effect::Updated | Effect::Unchanged => 200,
        Effect::Deleted | Effect::Nothing => 204,
    }
}

/// The body as `Prefer: return` asks (https://hl7.org/fhir/R4/http.html#ops).
fn answer(base: &str, returned: Return, written: &Written) -> Reply {
    let status = status(written.effect);
    let name = format!("{}/{}", written.of.name(), written.id);
    let body = || match returned {
        Return::Minimal => String::new(),
        Return::Outcome => outcome::done(&format!("{name} has version {}", written.version)),
        // Who may not read what was written gets no body of it.
        Return::Representation => written.json.clone().unwrap_or_default(),
    };
    let reply = Reply::fhir(status, if status == 204 { String::new() } else { body() });
    let reply = match written.effect {
        Effect::Nothing if written.version == 0 => reply,
        _ => reply.with("etag", format!("W/\"{}\"", written.version)).with("last-modified", http_date(written.committed_at)),
    };
    let reply = match written.effect {
        Effect::Created | Effect::Updated | Effect::Unchanged => {
            reply.with("location", format!("{base}/{name}/_history/{}", written.version))
        }
        Effect::Deleted | Effect::Nothing => reply,
    };
    reply.committed()
}

/// Reads and judges the resource in the body.
pub fn submitted(app: &App, request: &mut Request, of: Type) -> Result<Submitted> {
    if of == Type::Binary
        && let Some(submitted) = binary::submitted(app, request)?
    {
        return Ok(submitted);
    }
    let text = body(app, request, "a resource is sent as application/fhir+json")?;
    submitted::read(of, &text, &base(app), options(app))
}

/// The text of a body that is FHIR in JSON.
pub fn body(app: &App, request: &mut Request, says: &str) -> Result<Vec<u8>> {
    negotiate::sent_as(request, &negotiate::FHIR, says)?;
    request.body(app.config.max_request_bytes)
}

/// The limits of a resource.
pub fn options(app: &App) -> Options<'static> {
    Options { bytes: app.config.max_request_bytes, depth: app.config.max_depth, ..Options::default() }
}

/// On which versions the request is to be done (RFC 9110, section 13.2.2): `If-Unmodified-Since` counts only where
/// `If-Match` is absent, and a date that cannot be read is none.
pub fn if_match(request: &Request) -> Result<Option<IfMatch>> {
    if let Some(tags) = request.header("if-match") {
        return versions(tags).map(Some);
    }
    if request.verb == "PUT" && request.header("if-none-match").is_some_and(|tag| tag.trim() == "*") {
        return Ok(Some(IfMatch::Absent));
    }
    Ok(request.header("if-unmodified-since").and_then(seconds).map(IfMatch::Unmodified))
}

/// A create makes what is not there yet: no version of it can be named.
pub fn no_version(if_match: Option<&str>) -> Result<()> {
    let says = "a create has no version that If-Match could name; leave it out, or PUT to the id";
    if_match.map_or(Ok(()), |_| Err(Error::new(Kind::Precondition, says)))
}

/// `*`, or versions as `W/"2"`, `"2"` or bare.
pub fn versions(text: &str) -> Result<IfMatch> {
    if text.trim() == "*" {
        return Ok(IfMatch::Any);
    }
    let version = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').parse::<u32>().ok();
    let versions: Option<Vec<u32>> = text.split(',').map(version).collect();
    let refused = || Error::new(Kind::Precondition, "If-Match names no version; send an ETag as it was given: W/\"2\"");
    versions.map(IfMatch::Versions).ok_or_else(refused)
}
