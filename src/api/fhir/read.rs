//! read and vread (https://hl7.org/fhir/R4/http.html#read, #vread).

use super::conditional::{http_date, unchanged};
use super::{caller, resource};
use crate::access::{Caller, Interaction};
use crate::api::request::{Reply, Request};
use crate::api::{error, negotiate};
use crate::app::App;
use crate::audit::events;
use crate::clock::Millis;
use crate::error::Result;
use crate::ledger::resources;
use crate::search::Type;
use crate::store::keys::Whose;
use crate::store::resources::{Reader, Version, version};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    who.may(of.name(), Interaction::Read)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
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
        let found =
            events::read(&app.index, &app.public_url, &id)?.filter(|_| which.is_none_or(|which| which == 1)).ok_or_else(not_found)?;
        let whose = found.patient.into_iter().collect();
        return Ok(answer(request, found.json, (1, found.recorded)).about(format!("AuditEvent/{id}"), whose));
    }
    let visible = who.visible();
    let reader = Reader { vault: &app.vault, templates: &app.templates, visible: &visible };
    let found = app.db.read("read", |tx| version(tx, reader, (of, &id, which)))?.ok_or_else(not_found)?;
    let whose = found.patient.map(Whose::named).unwrap_or_default();
    let reply =
        if found.deleted { gone(request, (of, &id), &found) } else { answer(request, found.json, (found.version, found.committed_at)) };
    Ok(reply.about(format!("{}/{id}", of.name()), whose))
}

/// 410 says which version is the deletion (https://hl7.org/fhir/R4/http.html#read).
fn gone(request: &Request, what: (Type, &str), deleted: &Version) -> Reply {
    let reply = error::reply(&resources::gone(what), true, &request.id);
    reply.with("etag", format!("W/\"{}\"", deleted.version)).with("last-modified", http_date(deleted.committed_at))
}

/// The resource, or 304 when the client has this version.
fn answer(request: &Request, json: String, of: (u32, Millis)) -> Reply {
    let (version, committed_at) = of;
    let reply = if unchanged(request, version, committed_at) { Reply::empty(304) } else { Reply::fhir(200, json) };
    reply.with("etag", format!("W/\"{version}\"")).with("last-modified", http_date(committed_at))
}
