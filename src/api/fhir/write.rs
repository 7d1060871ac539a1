//! What create, update and delete share: the body, the transaction with its audit entry, and the answer.

use std::sync::Arc;

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
use crate::ledger::resources::{Effect, IfMatch, Writer, Written};
use crate::ledger::submitted::{self, Submitted};
use crate::search::Type;
use crate::store::Tx;
use crate::store::blocks::Templates;
use crate::store::keys::Whose;
use crate::vault::Vault;

/// What a write takes to the thread of the transaction.
pub struct Writing {
    vault: Arc<Vault>,
    templates: Arc<Templates>,
    visible: Visible,
    strict: bool,
    external_system: String,
}

impl Writing {
    pub fn of(app: &App, who: &Caller) -> Writing {
        Writing {
            vault: Arc::clone(&app.vault),
            templates: Arc::clone(&app.templates),
            visible: who.visible(),
            strict: app.config.references_strict,
            external_system: app.config.external_id_system.clone(),
        }
    }

    pub fn writer(&self) -> Writer<'_> {
        Writer {
            vault: &self.vault,
            templates: &self.templates,
            visible: &self.visible,
            strict: self.strict,
            external_system: &self.external_system,
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
    let written = app.db.write("resource.write", move |tx| {
        let written = work(tx, &writing.writer())?;
        noted(tx, &entry, &written)?;
        Ok(written)
    })?;
    Ok(answer(app, request, &written))
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
    let options = Options { bytes: app.config.max_request_bytes, depth: app.config.max_depth, ..Options::default() };
    submitted::read(of, &text, &base(app), options)
}

/// `If-Match`: `*`, or versions as `W/"2"`, `"2"` or bare.
pub fn if_match(request: &Request) -> Result<Option<IfMatch>> {
    let Some(text) = request.header("if-match") else { return Ok(None) };
    if text.trim() == "*" {
        return Ok(Some(IfMatch::Any));
    }
    let version = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').parse::<u32>().ok();
    let versions: Option<Vec<u32>> = text.split(',').map(version).collect();
    let refused = || Error::new(Kind::Precondition, "If-Match names no version; send an ETag as it was given: W/\"2\"");
    versions.map(|versions| Some(IfMatch::Versions(versions))).ok_or_else(refused)
}
