//! read and vread (https://hl7.org/fhir/R4/http.html#read, #vread).

use super::conditional::{http_date, unchanged};
use super::{binary, caller, resource};
use crate::access::{Caller, Interaction};
use crate::api::error::{self, Form};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::events;
use crate::clock::Millis;
use crate::error::Result;
use crate::ledger::resources;
use crate::policy::Policy;
use crate::search::Type;
use crate::store::keys::Whose;
use crate::store::resources::{Reader, version};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    let visible = Policy::of(who).visible(of, Interaction::Read)?;
    let pairs = request.pairs()?;
    if of == Type::Binary { binary::acceptable(request, &pairs) } else { negotiate::json_only(request, &pairs) }?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let id = request.param("id").to_owned();
    let not_found = || match request.param("version") {
        "" => resources::not_found((of, &id)),
        version => resources::not_found((of, &format!("{id}/_history/{version}"))),
    };
    let which = match request.param("version") {
        "" => None,
        text => Some(text.parse::<u32>().ok().filter(|version| *version > 0 && version.to_string() == text).ok_or_else(not_found)?),
    };
    if of == Type::AuditEvent {
        let found = events::read(&app.index, &app.public_url, &visible, &id)?
            .filter(|_| which.is_none_or(|which| which == 1))
            .ok_or_else(not_found)?;
        let whose = found.patient.into_iter().collect();
        return Ok(answer(request, found.json, (1, found.recorded)).about(format!("AuditEvent/{id}"), whose));
    }
    let reader = Reader { vault: &app.vault, templates: &app.templates, visible: &visible };
    let found = app.db.read("read", |tx| version(tx, reader, (of, &id, which)))?.ok_or_else(not_found)?;
    let whose = found.patient.map(Whose::named).unwrap_or_default();
    let reply = if found.deleted {
        gone(request, (of, &id), (found.version, found.committed_at))
    } else if of == Type::Binary && !unchanged(request, found.version, found.committed_at) {
        stamped(binary::answer(request, &pairs, found.json)?, (found.version, found.committed_at))
    } else {
        answer(request, found.json, (found.version, found.committed_at))
    };
    Ok(reply.about(format!("{}/{id}", of.name()), whose))
}

/// 410 says which version is the deletion (https://hl7.org/fhir/R4/http.html#read).
fn gone(request: &Request, what: (Type, &str), of: (u32, Millis)) -> Reply {
    stamped(error::reply(&resources::gone(what), Form::Fhir, &request.id), of)
}

/// The resource, or 304 when the client has this version.
fn answer(request: &Request, json: String, of: (u32, Millis)) -> Reply {
    let reply = if unchanged(request, of.0, of.1) { Reply::empty(304) } else { Reply::fhir(200, json) };
    stamped(reply, of)
}

/// With the version and when it was made.
fn stamped(reply: Reply, of: (u32, Millis)) -> Reply {
    reply.with("etag", format!("W/\"{}\"", of.0)).with("last-modified", http_date(of.1))
}
