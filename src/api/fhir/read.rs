//! read and vread (https://hl7.org/fhir/R4/http.html#read, #vread).

use super::conditional::{http_date, unchanged};
use super::{caller, resource, sees};
use crate::access::{Caller, Interaction, Visible};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::events;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{Address, DocumentId, PatientId, Shelf};
use crate::search::Type;
use crate::store::documents::{self, Key, body_place};
use crate::store::{Tx, blocks, keys, observations};

/// A version of a resource.
pub struct Version {
    pub json: String,
    pub version: u32,
    pub committed_at: i64,
    pub shelf: Shelf,
    /// Whose shelf it is; `None` when it is nobody's.
    pub patient: Option<PatientId>,
}

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    who.may(of.name(), Interaction::Read)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let which = match request.param("version") {
        "" => None,
        text => Some(text.parse::<u32>().ok().filter(|version| *version > 0 && version.to_string() == text).ok_or_else(not_found)?),
    };
    let id = request.param("id").to_owned();
    if of == Type::AuditEvent {
        let found =
            events::read(&app.index, &app.public_url, &id)?.filter(|_| which.is_none_or(|which| which == 1)).ok_or_else(not_found)?;
        let whose = found.patient.into_iter().collect();
        return Ok(answer(request, found.json, (1, found.recorded)).about(format!("AuditEvent/{id}"), whose));
    }
    let visible = who.visible();
    let found = app.db.read("read", |tx| run(tx, app, &visible, (of, &id, which)))?.ok_or_else(not_found)?;
    let whose = found.patient.iter().map(PatientId::to_string).collect();
    Ok(answer(request, found.json, (found.version, found.committed_at)).about(format!("{}/{id}", of.name()), whose))
}

/// The resource, or 304 when the client has this version.
fn answer(request: &Request, json: String, of: (u32, Millis)) -> Reply {
    let (version, committed_at) = of;
    let reply = if unchanged(request, version, committed_at) { Reply::empty(304) } else { Reply::fhir(200, json) };
    reply.with("etag", format!("W/\"{version}\"")).with("last-modified", http_date(committed_at))
}

/// Hidden and absent look the same.
pub fn not_found() -> Error {
    Error::new(Kind::NotFound, "there is no such resource")
}

/// The newest version or the one that is named, if the caller may see it.
pub fn run(tx: &mut Tx<'_>, app: &App, visible: &Visible, what: (Type, &str, Option<u32>)) -> Result<Option<Version>> {
    let (of, id, which) = what;
    if of == Type::Observation
        && let Some(address) = app.vault.sample_address(id)
    {
        return sample(tx, app, visible, (address, which));
    }
    let Ok(id) = DocumentId::parse(id) else { return Ok(None) };
    let Some(shelf) = documents::directory_find(tx, of, &id.0)? else { return Ok(None) };
    document(tx, app, visible, (Key { shelf, resource: of, id: id.0 }, which))
}

fn document(tx: &mut Tx<'_>, app: &App, visible: &Visible, what: (Key, Option<u32>)) -> Result<Option<Version>> {
    let (key, which) = what;
    let patient = keys::patient_of(tx, key.shelf)?;
    if !sees(visible, patient) {
        return Ok(None);
    }
    let Some(found) = documents::version(tx, &key, which)? else { return Ok(None) };
    let wrapped = keys::shelf_key(tx, key.shelf)?.ok_or_else(|| Error::bug("a document has no shelf"))?;
    let body = app.vault.shelf(key.shelf, &wrapped)?.body.open_packed(body_place(key.shelf, &key.id, found.version), &found.body)?;
    Ok(Some(Version {
        json: String::from_utf8(body).map_err(Error::bug)?,
        version: found.version,
        committed_at: found.committed_at,
        shelf: key.shelf,
        patient,
    }))
}

/// A sample's Observation: the document that stands before it, if there is one, else the view of its row.
fn sample(tx: &mut Tx<'_>, app: &App, visible: &Visible, what: (Address, Option<u32>)) -> Result<Option<Version>> {
    let (address, which) = what;
    let Some(patient) = keys::patient_of(tx, address.shelf)? else { return Ok(None) };
    if !sees(visible, Some(patient)) {
        return Ok(None);
    }
    if blocks::overridden(tx, address)? {
        let key = Key { shelf: address.shelf, resource: Type::Observation, id: app.vault.sample_id(address) };
        if let Some(found) = document(tx, app, visible, (key, which))? {
            return Ok(Some(found));
        }
    }
    let view = observations::read(tx, (&app.vault, &app.templates), patient, (address, which))?;
    Ok(view.map(|view| Version {
        json: view.json,
        version: view.version,
        committed_at: view.committed_at,
        shelf: view.shelf,
        patient: Some(patient),
    }))
}
