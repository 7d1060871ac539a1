//! history-instance (https://hl7.org/fhir/R4/http.html#history): its versions, newest first.

use super::cursor::CursorSeal;
use super::{base, caller, resource};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::events;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::bundle::{self, Revision};
use crate::fhir::validate::is_instant;
use crate::id::PatientId;
use crate::ledger::resources::not_found;
use crate::policy::{Policy, Visible};
use crate::search::params::CURSOR;
use crate::search::{DateRange, Query, Type, count};
use crate::store::Tx;
use crate::store::keys::Whose;
use crate::store::listing::Position;
use crate::store::resources::{Reader, Told, Version, told};

pub(super) const PARAMS: [&str; 5] = ["_count", "_since", "_at", "_format", CURSOR];

/// What was asked.
pub(super) struct Asked {
    pub count: u32,
    /// Only versions of this instant or later.
    pub since: Option<Millis>,
    /// Only versions that were the current one at some time in this range.
    pub at: Option<DateRange>,
    pub cursor: Option<String>,
    /// The parameters but the cursor: the self link, and what the cursor is bound to.
    pub said: String,
}

impl Asked {
    /// `most` is how many versions a page may have.
    pub fn of(pairs: &[(String, String)], most: u32) -> Result<Asked> {
        let mut asked = Asked { count: Query::COUNT.min(most), since: None, at: None, cursor: None, said: String::new() };
        let (mut since, mut at) = (String::new(), String::new());
        for (place, (name, value)) in pairs.iter().enumerate() {
            let refused = |says: &str| Error::new(Kind::Parameter, says).at(name.clone());
            if PARAMS.contains(&name.as_str()) && pairs.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(refused("the parameter is given twice"));
            }
            match name.as_str() {
                "_count" => asked.count = count(value, most).map_err(|error| error.at(name.clone()))?,
                "_since" => {
                    // A + that was not encoded arrives as a blank.
                    let range = DateRange::parse(value).filter(|_| is_instant(&value.replace(' ', "+")));
                    let says = "_since is an instant: YYYY-MM-DDThh:mm:ss with Z or an offset such as +01:00";
                    asked.since = Some(range.ok_or_else(|| refused(says))?.first_milli());
                    since = format!("&_since={}", value.replace(['+', ' '], "%2B"));
                }
                "_at" => {
                    asked.at = Some(DateRange::parse(value).ok_or_else(|| refused("_at is a date, with a time or without"))?);
                    at = format!("&_at={}", value.replace(['+', ' '], "%2B"));
                }
                CURSOR => asked.cursor = Some(value.clone()),
                _ => {}
            }
        }
        asked.said = format!("_count={}{since}{at}", asked.count);
        Ok(asked)
    }

    /// Is a version wanted that was current from `from` until the next one was committed?
    pub fn wants(&self, from: Millis, until: Millis) -> bool {
        let at = |moment| DateRange::instant(moment).lo;
        self.since.is_none_or(|since| from >= since) && self.at.is_none_or(|asked| at(from) < asked.hi && at(until) > asked.lo)
    }
}

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    let visible = Policy::of(who).visible(of, Interaction::Read)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &PARAMS)?;
    let (asked, id) = (Asked::of(&pairs, app.config.max_history_entries)?, request.param("id").to_owned());
    let seal = CursorSeal::of(app, who, of, &format!("{id}/_history?{}", asked.said));
    let before = match &asked.cursor {
        Some(cursor) => u32::try_from(seal.open(cursor)?.key).unwrap_or(u32::MAX),
        None => u32::MAX,
    };
    let found = if of == Type::AuditEvent {
        audit_event(app, &visible, &asked, &id)?
    } else {
        let reader = Reader { vault: &app.vault, templates: &app.templates, visible: &visible };
        app.db.read("history", |tx| versions(tx, &asked, before, |tx, which| told(tx, reader, (of, &id, which))))?
    };
    let found = found.ok_or_else(|| not_found((of, &id)))?;
    let (base, name) = (base(app), of.name());
    let own = format!("{base}/{name}/{id}/_history?{}", asked.said);
    let mut links = vec![("self", own.clone())];
    if let Some(last) = found.page.last().filter(|_| found.more) {
        let next = seal.seal(Position { key: i64::from(last.version), tie: 0, more: 0 })?;
        links.push(("next", format!("{own}&{CURSOR}={next}")));
    }
    let revision = |one: &Version| (one.version, one.committed_at);
    let revisions: Vec<Revision<'_>> = found
        .page
        .iter()
        .map(|one| Revision {
            name: (name, &id),
            json: &one.json,
            version: revision(one).0,
            last_updated: revision(one).1,
            deleted: one.deleted,
            upsert: one.upsert,
        })
        .collect();
    let body = bundle::history(&base, Some(found.total), &links, &revisions);
    Ok(Reply::fhir(200, body).about(format!("{name}/{id}"), found.patient.map(Whose::named).unwrap_or_default()))
}

/// A page of versions. `more` have come after it in the order.
struct Found {
    page: Vec<Version>,
    total: i64,
    more: bool,
    patient: Option<Whose>,
}

/// Walks from the newest version back. `read` answers the newest one or the one that is named.
fn versions(
    tx: &mut Tx<'_>,
    asked: &Asked,
    before: u32,
    mut read: impl FnMut(&mut Tx<'_>, Option<u32>) -> Result<Option<Told>>,
) -> Result<Option<Found>> {
    let Some(newest) = read(tx, None)? else { return Ok(None) };
    let (mut found, mut until) = (Found { page: Vec::new(), total: 0, more: false, patient: newest.patient }, Millis::MAX);
    let (mut next, mut any) = (Some(newest), false);
    while let Some(Told { version, committed_at, shown, .. }) = next {
        any |= shown.is_some();
        if let Some(one) = shown.filter(|_| asked.wants(committed_at, until)) {
            found.total += 1;
            if version < before {
                match found.page.len() < asked.count as usize {
                    true => found.page.push(one),
                    false => found.more = true,
                }
            }
        }
        until = committed_at;
        next = None;
        // A version that is a document need not have one before it among documents or rows.
        for older in (1..version).rev() {
            next = read(tx, Some(older))?;
            if next.is_some() {
                break;
            }
        }
    }
    // Of which no version may be seen, that is not there.
    Ok(any.then_some(found))
}

/// An AuditEvent has one version for ever.
fn audit_event(app: &App, visible: &Visible, asked: &Asked, id: &str) -> Result<Option<Found>> {
    let Some(one) = events::read(&app.index, &app.public_url, visible, id)? else { return Ok(None) };
    let wanted = asked.wants(one.recorded, Millis::MAX);
    let patient = one.patient.as_deref().map(PatientId::parse).transpose()?.map(Whose::alone);
    let shelf = crate::id::Shelf(0);
    let (seen, committed_at) = (one.seen, one.recorded);
    let version = Version { json: one.json, version: 1, committed_at, deleted: false, upsert: false, shelf, patient, seen };
    let page = if wanted && asked.count > 0 && asked.cursor.is_none() { vec![version] } else { Vec::new() };
    Ok(Some(Found { page, total: i64::from(wanted), more: false, patient }))
}
