//! AuditEvents: a view of entries, one event for each patient of an entry (IHE BALP).

use std::collections::HashMap;

use super::Entry;
use super::index::{APART, Index};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::audit_event::{self, Asker, Event};
use crate::id::{EntryId, PatientId, Shelf};
use crate::policy::{Seen, Visible};
use crate::search::{Criterion, DateRange, Filter, IndexRow, Opened, Query, Total};
use crate::store::Db;
use crate::store::audit::{self, IndexRow as Row, Window};
use crate::store::listing::{Item, Page, Position};
use crate::vault::Vault;

/// A page of AuditEvents and the patients it speaks of.
pub struct Found {
    pub page: Page,
    pub patients: Vec<String>,
}

/// How many entries are opened for one page before the search must be narrowed.
const OPENED: usize = 100_000;
const BATCH: i64 = 256;

/// Waits for the index, then walks it in the order of time. What is recorded after the first page (`now`) is on no
/// page: each page leaves an entry itself, and walking them forwards would never end.
pub fn search(index: &Index, server: &str, by: (Millis, &Visible), ask: (&Query, Option<Position>)) -> Result<Found> {
    let ((now, visible), (query, after)) = (by, ask);
    let newest = after.map_or(now, |at| at.key);
    index.catch_up()?;
    let (db, vault) = (&index.db, &*index.vault);
    let mut walk = Walk::new((db, vault), server, (visible, query), newest);
    let mut page = Page::new(&format!("{server}/fhir"));
    let mut patients = Vec::new();
    walk.start(after);
    while page.items.len() < query.count as usize {
        let Some((at, item, patient)) = walk.next()? else { break };
        patients.extend(patient);
        page.push(item);
        page.next = Some(at);
    }
    if page.next.is_some() && walk.next()?.is_none() {
        page.next = None;
    }
    if query.count == 0 || query.total == Some(Total::Accurate) {
        let mut walk = Walk::new((db, vault), server, (visible, query), newest);
        let mut total = 0;
        while walk.next()?.is_some() {
            total += 1;
        }
        page.total = Some(total);
    }
    patients.sort_unstable();
    patients.dedup();
    Ok(Found { page, patients })
}

/// One AuditEvent, when it was recorded, and the patient it speaks of.
pub struct Single {
    pub json: String,
    pub recorded: Millis,
    pub patient: Option<String>,
    pub seen: Seen,
}

/// One AuditEvent by its id, if it may be seen.
pub fn read(index: &Index, server: &str, visible: &Visible, id: &str) -> Result<Option<Single>> {
    let Ok((entry, ordinal)) = audit_event::parse_id(id) else { return Ok(None) };
    index.catch_up()?;
    let (db, vault) = (&index.db, &*index.vault);
    let window = Window { from: i64::MIN, to: i64::MAX, patient: None, entry: Some(entry.0), descending: false, after: None, limit: 1 };
    let rows = db.read_audit(|tx| audit::index_page(tx, &window))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let entry = Blocks { db, vault, opened: HashMap::new() }.entry(row)?;
    let patient = entry.patients.get(ordinal as usize).cloned();
    if patient.is_none() && ordinal > 0 {
        return Ok(None);
    }
    let rows = index_rows(&entry, patient.as_deref());
    let judged = Opened { id, rows: &rows, last_updated: DateRange::instant(entry.recorded) };
    let whose = patient.as_deref().map(PatientId::parse).transpose()?;
    let Some(seen) = visible.judge(whose, &judged) else { return Ok(None) };
    let json = audit_event::json(&event(&entry, patient.as_deref(), server)?)?;
    Ok(Some(Single { json, recorded: entry.recorded, patient, seen }))
}

/// The entries of a time that concern a patient, oldest first.
pub fn entries(index: &Index, patient: PatientId, time: (Millis, Millis)) -> Result<Vec<Entry>> {
    index.catch_up()?;
    let (db, vault) = (&index.db, &*index.vault);
    let mut blocks = Blocks { db, vault, opened: HashMap::new() };
    let (patient, mut after, mut found) = (Some(patient.0), None, Vec::new());
    loop {
        let window = Window { from: time.0, to: time.1, patient, entry: None, descending: false, after, limit: BATCH };
        let rows = db.read_audit(|tx| audit::index_page(tx, &window))?;
        for row in &rows {
            found.push(blocks.entry(row)?);
        }
        match rows.last() {
            Some(last) if rows.len() == BATCH as usize => after = Some((last.entry, last.patient)),
            _ => return Ok(found),
        }
    }
}

fn patient_of(row: &Row) -> Option<PatientId> {
    (row.patient != [0; 16]).then_some(PatientId(row.patient))
}

/// Blocks that were opened for this walk.
struct Blocks<'a> {
    db: &'a Db,
    vault: &'a Vault,
    opened: HashMap<(i16, i64), Vec<Vec<u8>>>,
}

impl Blocks<'_> {
    fn entry(&mut self, row: &Row) -> Result<Entry> {
        let key = (row.origin, row.block);
        if !self.opened.contains_key(&key) {
            let stored = if row.origin == APART {
                self.db.read_audit(|tx| audit::blocks(tx, &[row.block]))?
            } else {
                self.db.read("audit.block", |tx| audit::blocks(tx, &[row.block]))?
            };
            let stored = stored.first().ok_or_else(|| Error::bug("an indexed audit block is missing"))?;
            if self.opened.len() > 256 {
                self.opened.clear();
            }
            self.opened.insert(key, stored.open(self.vault)?);
        }
        let bytes = self
            .opened
            .get(&key)
            .and_then(|entries| entries.get(row.ordinal as usize))
            .ok_or_else(|| Error::bug("an indexed audit entry is missing"))?;
        Entry::decode(bytes)
    }
}

struct Walk<'a> {
    blocks: Blocks<'a>,
    visible: &'a Visible,
    query: &'a Query,
    server: &'a str,
    window: Window,
    /// Nothing newer is shown; the cursor carries it.
    newest: Millis,
    rows: std::vec::IntoIter<Row>,
    opened: usize,
    ended: bool,
}

impl<'a> Walk<'a> {
    fn new(of: (&'a Db, &'a Vault), server: &'a str, asked: (&'a Visible, &'a Query), newest: Millis) -> Walk<'a> {
        let ((db, vault), (visible, query)) = (of, asked);
        let bounds = query.bounds("date");
        let patient = query.filters_on("patient").next().and_then(one_patient);
        let window = Window {
            from: bounds.lo_min.unwrap_or(i64::MIN),
            to: bounds.lo_max.unwrap_or(i64::MAX).min(newest).saturating_add(1),
            patient,
            entry: None,
            descending: query.sort.is_none_or(|sort| sort.descending),
            after: None,
            limit: BATCH,
        };
        Walk {
            blocks: Blocks { db, vault, opened: HashMap::new() },
            visible,
            query,
            server,
            window,
            newest,
            rows: Vec::new().into_iter(),
            opened: 0,
            ended: false,
        }
    }

    fn start(&mut self, after: Option<Position>) {
        self.window.after = after.map(|at| (at.tie.to_be_bytes(), at.more.to_be_bytes()));
    }

    fn next(&mut self) -> Result<Option<(Position, Item, Option<String>)>> {
        loop {
            let Some(row) = self.rows.next() else {
                if self.ended {
                    return Ok(None);
                }
                let rows = self.blocks.db.read_audit(|tx| audit::index_page(tx, &self.window))?;
                self.ended = rows.len() < BATCH as usize;
                self.window.after = rows.last().map(|row| (row.entry, row.patient)).or(self.window.after);
                self.opened += rows.len();
                if self.opened > OPENED {
                    return Err(Error::new(
                        crate::error::Kind::TooCostly,
                        "more than 100,000 audit entries would have to be opened; add date or patient",
                    )
                    .at("date"));
                }
                self.rows = rows.into_iter();
                continue;
            };
            let entry = self.blocks.entry(&row)?;
            let patient = patient_of(&row).map(|patient| patient.to_string());
            let id = audit_event::id(EntryId(row.entry), ordinal(&entry, patient.as_deref()));
            let index = index_rows(&entry, patient.as_deref());
            let range = DateRange::instant(entry.recorded);
            let judged = Opened { id: &id, rows: &index, last_updated: range };
            if !self.query.filters.iter().all(|filter| judged.answers(filter)) {
                continue;
            }
            let Some(seen) = self.visible.judge(patient_of(&row), &judged) else { continue };
            let json = audit_event::json(&event(&entry, patient.as_deref(), self.server)?)?;
            let item = Item { resource: "AuditEvent", id, json, shelf: Shelf(0), seen };
            return Ok(Some((
                Position { key: self.newest, tie: u128::from_be_bytes(row.entry), more: u128::from_be_bytes(row.patient) },
                item,
                patient,
            )));
        }
    }
}

fn one_patient(filter: &Filter) -> Option<[u8; 16]> {
    match filter.any.as_slice() {
        [Criterion::Reference(reference)] => PatientId::parse(&reference.id).ok().map(|patient| patient.0),
        _ => None,
    }
}

/// What AuditEvent search parameters see of an entry.
fn index_rows(entry: &Entry, patient: Option<&str>) -> Vec<IndexRow> {
    let mut rows = vec![IndexRow::Date { param: "date", range: DateRange::instant(entry.recorded) }];
    let reference = |param: &'static str, id: &str| IndexRow::Reference { param, kind: "Patient".into(), id: id.to_owned() };
    rows.extend(patient.map(|patient| reference("patient", patient)));
    rows.extend(entry.own.iter().map(|own| reference("agent", own)));
    let token = |param: &'static str, (system, code): (&str, &str)| IndexRow::Token {
        param,
        system: Some(system.to_owned()),
        code: code.to_owned(),
    };
    rows.push(token("type", entry.action.event_type()));
    rows.push(token("action", ("http://hl7.org/fhir/audit-event-action", entry.action.code())));
    rows.push(token("outcome", ("http://terminology.hl7.org/CodeSystem/audit-event-outcome", audit_event::outcome(entry.status))));
    rows.extend(entry.credential.iter().map(|id| token("agent", (audit_event::CREDENTIAL, id))));
    rows.extend(entry.user.iter().map(|id| token("agent", (audit_event::USER, id))));
    rows.extend(entry.client.iter().map(|id| token("agent", (audit_event::CLIENT, id))));
    rows.extend(entry.account.iter().map(|id| token("agent", (audit_event::ACCOUNT, id))));
    rows.extend(entry.operator.iter().map(|name| token("agent", (audit_event::OPERATOR, name))));
    let of_user = entry.fhir_user.as_deref().and_then(|user| user.split_once('/'));
    rows.extend(of_user.map(|(kind, id)| IndexRow::Reference { param: "agent", kind: kind.into(), id: id.to_owned() }));
    rows
}

/// Which of the entry's patients this is.
fn ordinal(entry: &Entry, patient: Option<&str>) -> u32 {
    entry.patients.iter().position(|known| Some(known.as_str()) == patient).unwrap_or(0) as u32
}

fn event<'a>(entry: &'a Entry, patient: Option<&str>, server: &'a str) -> Result<Event<'a>> {
    let parsed = |id: Option<&str>| id.map(PatientId::parse).transpose().map_err(Error::bug);
    let asker = Asker {
        client: entry.client.as_deref(),
        user: entry.user.as_deref(),
        account: entry.account.as_deref(),
        fhir_user: entry.fhir_user.as_deref(),
        operator: entry.operator.as_deref(),
        credential: entry.credential.as_deref(),
        role: entry.role.as_deref(),
        patient: parsed(entry.own.as_deref())?,
        address: entry.address.as_deref(),
    };
    Ok(Event {
        entry: entry.entry_id()?,
        ordinal: ordinal(entry, patient),
        patient: parsed(patient)?,
        recorded: entry.recorded,
        action: entry.action,
        operation: &entry.route,
        resource: entry.resource.as_deref(),
        query: entry.query.as_deref(),
        status: entry.status,
        outcome: entry.refused.as_deref(),
        asker,
        server: host(server),
        request_id: &entry.request,
        purpose: entry.purpose.as_deref(),
        wrote: entry.wrote.as_deref(),
    })
}

/// The host of a base URL: what an agent's network names.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(authority, |(host, _)| host)
}
