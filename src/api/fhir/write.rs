//! What create, update and delete share: the body, the transaction with its audit entry, and the answer.

use std::sync::Arc;
use std::time::Duration;

use super::base;
use super::conditional::http_date;
use crate::access::{Caller, Visible};
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
use crate::search::Type;
use crate::store::Tx;
use crate::store::blocks::Templates;
use crate::store::keys::Whose;
use crate::vault::{Vault, digest};

/// What a write takes to the thread of the transaction.
pub struct Writing {
    vault: Arc<Vault>,
    templates: Arc<Templates>,
    visible: Visible,
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
            visible: who.visible(),
            strict: app.config.references_strict,
            external_system: app.config.external_id_system.clone(),
            base: base(app),
            options: options(app),
            limit: app.config.query_timeout,
        }
    }

    pub fn writer(&self) -> Writer<'_> {
        Writer {
            vault: &self.vault,
            templates: &self.templates,
            visible: &self.visible,
            strict: self.strict,
            external_system: &self.external_system,
            base: &self.base,
            options: self.options,
            limit: self.limit,
        }
    }
}

/// Does `work` and commits the audit entry with it, and answers.
pub fn commit(
    app: &App,
    request: &Request,
    who: &Caller,
    work: impl Fn(&mut Tx<'_>, &Writer<'_>) -> Result<Written> + Send + 'static,
) -> Result<Reply> {
    let (writing, entry) = (Writing::of(app, who), request.entry.clone());
    let key = idempotency(app, request, who);
    let written = app.db.write("resource.write", move |tx| {
        let writer = writing.writer();
        let mut done = once(tx, &writer, key.as_ref(), |tx| Ok(vec![Some(work(tx, &writer)?)]))?;
        let written = done.pop().flatten().ok_or_else(|| Error::bug("a write that wrote nothing"))?;
        noted(tx, &entry, &written)?;
        Ok(written)
    })?;
    Ok(answer(app, request, &written))
}

/// The key of a POST that may be sent again. Its body was read before.
pub fn idempotency(app: &App, request: &Request, who: &Caller) -> Option<Key> {
    let header = request.header("idempotency-key").filter(|_| request.verb == "POST")?;
    let parts: [&[u8]; 3] = [&who.credential.0, request.uri.as_bytes(), header.as_bytes()];
    let condition = request.header("if-none-exist").unwrap_or_default();
    Some(Key { hash: app.vault.index().full("idempotency", &parts), request: digest(&[&request.body_digest, condition.as_bytes()]) })
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
fn answer(app: &App, request: &Request, written: &Written) -> Reply {
    let status = status(written.effect);
    let name = format!("{}/{}", written.of.name(), written.id);
    let reply = match (status, negotiate::returned(request)) {
        (204, _) => Reply::fhir(204, String::new()),
        (_, Return::Minimal) => Reply::fhir(status, String::new()),
        (_, Return::Outcome) => Reply::fhir(status, outcome::done(&format!("{name} has version {}", written.version))),
        (_, Return::Representation) => Reply::fhir(status, written.json.clone()),
    };
    let reply = match written.effect {
        Effect::Nothing if written.version == 0 => reply,
        _ => reply.with("etag", format!("W/\"{}\"", written.version)).with("last-modified", http_date(written.committed_at)),
    };
    let reply = match written.effect {
        Effect::Created | Effect::Updated | Effect::Unchanged => {
            reply.with("location", format!("{}/{name}/_history/{}", base(app), written.version))
        }
        Effect::Deleted | Effect::Nothing => reply,
    };
    reply.committed()
}

/// Reads and judges the resource in the body.
pub fn submitted(app: &App, request: &mut Request, of: Type) -> Result<Submitted> {
    if !negotiate::is_json(request) {
        return Err(Error::new(Kind::MediaType, "a resource is sent as application/fhir+json"));
    }
    let text = request.body(app.config.max_request_bytes)?;
    submitted::read(of, &text, &base(app), options(app))
}

/// The limits of a resource.
pub fn options(app: &App) -> Options<'static> {
    Options { bytes: app.config.max_request_bytes, depth: app.config.max_depth, ..Options::default() }
}

/// `If-Match`.
pub fn if_match(request: &Request) -> Result<Option<IfMatch>> {
    if request.verb == "PUT" && request.header("if-match").is_none() && request.header("if-none-match").is_some_and(|tag| tag.trim() == "*")
    {
        return Ok(Some(IfMatch::Absent));
    }
    request.header("if-match").map(versions).transpose()
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
