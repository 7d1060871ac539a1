//! history-type and history-system (https://hl7.org/fhir/R4/http.html#history): every version, newest first.

use super::cursor::CursorSeal;
use super::history::{Asked, PARAMS};
use super::{base, caller, resource};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::bundle::{self, Revision};
use crate::policy::{Policy, Visible};
use crate::search::Type;
use crate::search::params::CURSOR;
use crate::store::Tx;
use crate::store::changes::{Ask, Change, Place, Walk};
use crate::store::keys::Whose;
use crate::store::listing::Position;
use crate::store::resources::told;

pub fn of_type(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    let visible = Policy::of(who).visible(of, Interaction::Search)?;
    if of == Type::AuditEvent {
        return Err(Error::new(Kind::NotFound, "an AuditEvent has one version for ever; search AuditEvent by date"));
    }
    answer(app, request, who, (&[(of, visible)], of.name()))
}

/// Of the types that the caller may search: a history of more than one resource goes with the letter `s`
/// (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html).
pub fn of_system(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let policy = Policy::of(who);
    let documents = Type::ALL.iter().copied().filter(|of| of.is_document());
    let types: Vec<(Type, Visible)> = documents.filter_map(|of| Some((of, policy.visible(of, Interaction::Search).ok()?))).collect();
    if types.is_empty() {
        return Err(Error::new(Kind::Forbidden, "the token's role and scopes allow to search no type"));
    }
    answer(app, request, who, (&types, ""))
}

fn answer(app: &App, request: &Request, who: &Caller, of: (&[(Type, Visible)], &str)) -> Result<Reply> {
    let (types, name) = of;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &PARAMS)?;
    let asked = Asked::of(&pairs, app.config.max_history_entries)?;
    let path = if name.is_empty() { "_history".to_owned() } else { format!("{name}/_history") };
    let first = types.first().map_or(Type::Patient, |(of, _)| *of);
    let seal = CursorSeal::of(app, who, first, &format!("{path}?{}", asked.said));
    let before = asked.cursor.as_deref().map(|cursor| seal.open(cursor)).transpose()?.map(place);
    let (vault, templates) = (&*app.vault, &*app.templates);
    let ask = Ask { vault, templates, types, horizon: app.db.settled()?, since: asked.since, before };
    let (page, more) = app.db.read("history", |tx| page(tx, &ask, &asked))?;
    let base = base(app);
    let own = format!("{base}/{path}?{}", asked.said);
    let mut links = vec![("self", own.clone())];
    if let Some(last) = page.last().filter(|_| more) {
        links.push(("next", format!("{own}&{CURSOR}={}", seal.seal(position(last.at))?)));
    }
    let revisions: Vec<Revision<'_>> = page.iter().map(revision).collect();
    let body = bundle::history(&base, None, &links, &revisions);
    let mut patients: Vec<String> = page.iter().filter_map(|change| change.version.patient).flat_map(Whose::named).collect();
    // That of whom an emergency opens nothing has changed tells of them, too.
    if !types.iter().all(|(of, _)| of.is_shared()) {
        patients.extend(who.emergencies.iter().map(|one| one.now.to_string()));
    }
    patients.sort_unstable();
    patients.dedup();
    Ok(Reply::fhir(200, body).about(path, patients))
}

fn revision(change: &Change) -> Revision<'_> {
    let Change { of, id, version, .. } = change;
    Revision {
        name: (of.name(), id),
        json: &version.json,
        version: version.version,
        last_updated: version.committed_at,
        deleted: version.deleted,
        upsert: version.upsert,
    }
}

/// How many versions are looked at for one page of `_at`.
const LOOKED_AT: usize = 10_000;

fn page(tx: &mut Tx<'_>, ask: &Ask<'_>, asked: &Asked) -> Result<(Vec<Change>, bool)> {
    let mut walk = Walk::new(tx, ask)?;
    let (mut page, mut looked) = (Vec::new(), 0);
    while let Some(change) = walk.next(tx)? {
        looked += 1;
        if looked > LOOKED_AT {
            return Err(Error::new(Kind::TooCostly, "more than 10,000 versions would have to be opened; add _since").at("_at"));
        }
        let until = if asked.at.is_some() { next_version(tx, ask, &change)? } else { Millis::MAX };
        if !asked.wants(change.version.committed_at, until) {
            continue;
        }
        if page.len() == asked.count as usize {
            return Ok((page, asked.count > 0));
        }
        page.push(change);
    }
    Ok((page, false))
}

/// When the version after this one was committed.
fn next_version(tx: &mut Tx<'_>, ask: &Ask<'_>, change: &Change) -> Result<Millis> {
    let next = told(tx, ask.reader(change.of)?, (change.of, &change.id, Some(change.version.version + 1)))?;
    Ok(next.map_or(Millis::MAX, |next| next.committed_at))
}

fn position(at: Place) -> Position {
    Position { key: at.committed_at, tie: ((at.seq as u128) << 32) | u128::from(at.row), more: 0 }
}

fn place(at: Position) -> Place {
    Place { committed_at: at.key, seq: (at.tie >> 32) as i64, row: at.tie as u32 }
}
