//! read and vread (https://hl7.org/fhir/R4/http.html#read, #vread).

use super::{caller, resource, sees};
use crate::access::{Caller, Interaction, Visible};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::events;
use crate::error::{Error, Kind, Result};
use crate::fhir::stamp::Stamp;
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
        return Ok(Reply::fhir(200, found.json)
            .with("etag", "W/\"1\"")
            .with("last-modified", http_date(found.recorded))
            .about(format!("AuditEvent/{id}"), found.patient.into_iter().collect()));
    }
    let visible = who.visible();
    let found = app.db.read("read", |tx| run(tx, app, &visible, (of, &id, which)))?.ok_or_else(not_found)?;
    let whose = found.patient.iter().map(PatientId::to_string).collect();
    let modified = http_date(found.committed_at);
    Ok(Reply::fhir(200, found.json)
        .with("etag", format!("W/\"{}\"", found.version))
        .with("last-modified", modified)
        .about(format!("{}/{id}", of.name()), whose))
}

/// Hidden and absent look the same.
fn not_found() -> Error {
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

/// An HTTP date (RFC 9110, 5.6.7).
fn http_date(ms: i64) -> String {
    let iso = Stamp { ms, sub_ms_nanos: 0, digits: 0, offset: None }.to_string();
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day = DAYS[ms.div_euclid(86_400_000).rem_euclid(7) as usize];
    let month =
        iso.get(5..7).and_then(|month| month.parse::<usize>().ok()).and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"Jan");
    format!("{day}, {} {month} {} {} GMT", iso.get(8..10).unwrap_or(""), iso.get(0..4).unwrap_or(""), iso.get(11..19).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn http_dates_are_those_of_the_rfc() {
        assert_eq!(super::http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
