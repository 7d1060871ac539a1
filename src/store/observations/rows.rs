//! One row of one block: does it answer, and what is its Observation?

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::blocks::{Open, Samples};
use super::scope::Scope;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::stamp::Stamp;
use crate::id::{Address, Shelf};
use crate::policy::{Certain, Seen, Visible};
use crate::search::{Criterion, DateRange, Filter, IndexRow, Nanos, Opened, folded};
use crate::series::template::{Filling, status};
use crate::series::{RecordId, Sample, Template};
use crate::store::blocks::{self, Header, Known, Templates, bloom_bit};
use crate::store::keys::Whose;
use crate::store::listing::{Item, Look, Page};
use crate::store::resources::{Reader, Told, Version};
use crate::store::{Tx, keys};
use crate::vault::{ShelfKeys, Vault};

/// What an Observation search found, before it is rendered.
pub enum Found {
    Document(Item),
    Row { open: usize, row: usize, seen: Seen },
    Named(View, Seen),
}

/// A rendered sample.
pub struct View {
    pub id: String,
    pub json: String,
    pub shelf: Shelf,
}

impl Found {
    pub(super) fn push(self, tx: &mut Tx<'_>, samples: &mut Samples<'_>, page: &mut Page) -> Result<()> {
        match self {
            Found::Document(item) => page.push(item),
            Found::Named(View { id, json, shelf, .. }, seen) => page.push(Item { resource: OBSERVATION, id, json, shelf, seen }),
            Found::Row { open, row, seen } => {
                let (open, judge) = (&mut samples.open[open], &mut samples.judge);
                let shelf = open.header.shelf;
                judge.render(tx, open, row, |id, write| page.rendered((OBSERVATION, id), (shelf, seen), write))?;
            }
        }
        Ok(())
    }
}

const OBSERVATION: &str = "Observation";
/// What samples of one template do not share, besides whose they are.
const OF_ROWS: [&str; 5] = ["date", "identifier", "status", "_id", "_lastUpdated"];
const STATUS: &str = "http://hl7.org/fhir/observation-status";

/// Judges rows by the query and renders them; remembers what it learned of templates and shelves.
pub(super) struct Judge<'a> {
    look: &'a Look<'a>,
    templates: &'a Templates,
    by_template: HashMap<(Shelf, u32, u32), bool>,
    /// The same of the last row's template.
    answered: Option<((Shelf, u32, u32), bool)>,
    /// The filters that each row answers for itself.
    own: Vec<&'a Filter>,
    /// What is certain of the visibility of all samples of a template.
    certain: HashMap<(Shelf, u32, u32), Certain>,
    owners: HashMap<Shelf, Option<Whose>>,
    /// The id that samples have as their subject, which no merge changes, as text; and the commit stamp that was written last, as text.
    patients: HashMap<Shelf, String>,
    stamp: (Millis, String),
    /// The template of the last row: its neighbours mostly have the same.
    template: Option<((Shelf, u32, u32), Arc<Known>)>,
    masks: Vec<u64>,
    limits: Blooms,
}

/// The bloom bits of what scopes limit: of each limit, any of these lists.
pub(in crate::store) struct Blooms(Vec<Vec<Vec<u64>>>);

impl Blooms {
    pub fn of(vault: &Vault, visible: &Visible) -> Blooms {
        Blooms(visible.limits().map(|any| any.iter().map(|all| masks(vault, all)).collect()).collect())
    }

    /// Can a block of this header have a row that may be shown?
    pub fn may_hold(&self, header: &Header) -> bool {
        self.0.iter().all(|any| any.iter().any(|all| holds(header, all)))
    }
}

fn masks(vault: &Vault, filters: &[Filter]) -> Vec<u64> {
    filters.iter().filter_map(|filter| mask(vault, filter)).collect()
}

fn holds(header: &Header, masks: &[u64]) -> bool {
    masks.iter().all(|mask| header.bloom & mask != 0)
}

impl<'a> Judge<'a> {
    pub fn new(look: &'a Look<'a>, templates: &'a Templates, scope: &Scope) -> Judge<'a> {
        let patients = scope.owners.iter().map(|(shelf, whose)| (*shelf, whose.born.to_string())).collect();
        let limits = Blooms::of(look.vault, look.visible);
        let (by_template, answered, certain) = (HashMap::new(), None, HashMap::new());
        let own = look.query.filters.iter().filter(|filter| OF_ROWS.contains(&filter.param)).collect();
        let owners = scope.owners.iter().map(|(shelf, whose)| (*shelf, Some(*whose))).collect();
        let (stamp, masks) = ((Millis::MIN, String::new()), masks(look.vault, &look.query.filters));
        Judge { look, templates, by_template, answered, own, certain, owners, patients, stamp, template: None, masks, limits }
    }

    /// Can a block of this header hold an answer, by its bloom of codes and categories?
    pub fn may_hold(&self, header: &Header) -> bool {
        // A newer version may be coded otherwise than the one it hides, so its block is always read.
        header.superseding || (holds(header, &self.masks) && self.limits.may_hold(header))
    }

    /// Can a block hold the record that is asked for, by its fingerprints? A block that may hide a sample is always read.
    pub fn may_identify(&self, tx: &mut Tx<'_>, keys: &ShelfKeys, header: &Header) -> Result<bool> {
        for filter in self.look.query.filters_on("identifier").filter(|filter| !filter.not) {
            let named = filter.any.iter().map(|criterion| match criterion {
                Criterion::Token(token) => token.code.as_deref(),
                _ => None,
            });
            // A search by system alone names no record.
            let Some(named) = named.collect::<Option<Vec<&str>>>() else { continue };
            let prints = blocks::filter(tx, header.shelf, header.seq)?;
            let held = named.iter().any(|id| prints.binary_search(&blocks::fingerprint(keys, id)).is_ok());
            if !held && !header.superseding {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does it answer the query, and may it be shown?
    pub fn answers(&mut self, tx: &mut Tx<'_>, open: &mut Open, row: usize) -> Result<Option<Seen>> {
        let (series, _, version) = open.block.key(row);
        if !self.template_answers(tx, open, (open.header.shelf, series, open.block.template(row)))? {
            return Ok(None);
        }
        for filter in &self.own {
            let there = || true;
            let holds = match filter.param {
                "date" => {
                    let range = range(open.block.time(row));
                    filter.holds(there, |criterion| matches!(criterion, Criterion::Date(when) if when.matches(range)))
                }
                "_lastUpdated" => {
                    let range = DateRange::instant(open.header.committed_at);
                    filter.holds(there, |criterion| matches!(criterion, Criterion::Date(when) if when.matches(range)))
                }
                "status" => filter.holds(there, |criterion| is(criterion, STATUS, status(version))),
                "identifier" => self.identified(tx, open, row, filter)?,
                // `_id` was looked for by itself.
                _ => true,
            };
            if !holds {
                return Ok(None);
            }
        }
        self.seen(tx, open, row)
    }

    /// Can samples of the template answer?
    fn template_answers(&mut self, tx: &mut Tx<'_>, open: &Open, at: (Shelf, u32, u32)) -> Result<bool> {
        if let Some((_, answers)) = self.answered.filter(|(of, _)| *of == at) {
            return Ok(answers);
        }
        let answers = match self.by_template.entry(at) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let template = self.templates.get(tx, &open.keys, at)?;
                *place.insert(self.look.query.filters.iter().all(|filter| template_answers(&template, filter)))
            }
        };
        self.answered = Some((at, answers));
        Ok(answers)
    }

    /// May a row be shown that the scope of the search has chosen?
    fn seen(&mut self, tx: &mut Tx<'_>, open: &mut Open, row: usize) -> Result<Option<Seen>> {
        let visible = self.look.visible;
        if let Some(seen) = visible.chosen_at_once() {
            return Ok(Some(seen));
        }
        let shelf = open.header.shelf;
        let at = (shelf, open.block.key(row).0, open.block.template(row));
        let template = self.templates.get(tx, &open.keys, at)?;
        let whose = if visible.asks_whose() { self.owner(tx, shelf)? } else { None };
        if let Some(seen) = self.certain.entry(at).or_insert_with(|| certain(visible, whose, &template)).of_one() {
            return Ok(seen);
        }
        let Some(whose) = self.owner(tx, shelf)? else { return Ok(None) };
        judged(tx, (self.look.vault, visible), (&template, whose), (open, row))
    }

    fn owner(&mut self, tx: &mut Tx<'_>, shelf: Shelf) -> Result<Option<Whose>> {
        match self.owners.entry(shelf) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(place) => Ok(*place.insert(keys::whose(tx, shelf)?)),
        }
    }

    fn identified(&self, tx: &mut Tx<'_>, open: &mut Open, row: usize, filter: &Filter) -> Result<bool> {
        let (series, _, _) = open.block.key(row);
        let template = self.templates.get(tx, &open.keys, (open.header.shelf, series, open.block.template(row)))?;
        let Some(system) = template.facts.identifier_system.clone() else { return Ok(filter.holds(|| false, |_| false)) };
        let ids = open.record_ids(tx, row)?;
        Ok(filter.holds(|| !ids.is_empty(), |criterion| ids.iter().any(|id| id.read(|id| is(criterion, &system, id)))))
    }

    pub fn view(&mut self, tx: &mut Tx<'_>, open: &mut Open, row: usize) -> Result<View> {
        let (id, json) = self.render(tx, open, row, |id, write| {
            let mut json = String::new();
            write(&mut json);
            (id.to_owned(), json)
        })?;
        Ok(View { id, json, shelf: open.header.shelf })
    }

    /// Gives the row's id to `to`, and what appends its Observation.
    fn render<T>(&mut self, tx: &mut Tx<'_>, open: &mut Open, row: usize, to: impl FnOnce(&str, &dyn Fn(&mut String)) -> T) -> Result<T> {
        let shelf = open.header.shelf;
        if let Entry::Vacant(place) = self.patients.entry(shelf) {
            place.insert(patient(tx, shelf)?);
        }
        if self.stamp.0 != open.header.committed_at {
            self.stamp = (open.header.committed_at, instant(open.header.committed_at));
        }
        let sample = open.block.sample(row);
        let at = (shelf, sample.series, sample.template);
        let template = match &self.template {
            Some((of, template)) if *of == at => template,
            _ => &self.template.insert((at, self.templates.get(tx, &open.keys, at)?)).1,
        };
        let ids = if template.facts.identifier_system.is_some() { open.record_ids(tx, row)? } else { Vec::new() };
        let patient = self.patients.get(&shelf).map(String::as_str).unwrap_or_default();
        let rendering = Rendering { vault: self.look.vault, template, shelf, patient, last_updated: &self.stamp.1 };
        let id = rendering.id(&sample);
        Ok(to(&id, &|out: &mut String| rendering.write(&sample, (&id, &ids), out)))
    }
}

fn patient(tx: &mut Tx<'_>, shelf: Shelf) -> Result<String> {
    let whose = keys::whose(tx, shelf)?.ok_or_else(|| Error::bug("a shelf of samples has no patient"))?;
    Ok(whose.born.to_string())
}

fn instant(ms: Millis) -> String {
    Stamp { ms, sub_ms_nanos: 0, digits: 3, offset: None }.to_string()
}

/// What all rows of one block share when they are rendered.
struct Rendering<'a> {
    vault: &'a Vault,
    template: &'a Template,
    shelf: Shelf,
    patient: &'a str,
    last_updated: &'a str,
}

impl Rendering<'_> {
    fn id(&self, sample: &Sample) -> String {
        self.vault.sample_text(Address { shelf: self.shelf, series: sample.series, start: sample.start.ms, disc: sample.disc })
    }

    fn write(&self, sample: &Sample, ids: (&str, &[RecordId<'_>]), out: &mut String) {
        let (id, record_ids) = ids;
        let filling = Filling { id, patient: self.patient, last_updated: self.last_updated, record_ids, sample, wide: &[] };
        self.template.render_to(out, &filling);
    }
}

/// The newest row of an address; `None` when nothing is there.
pub(super) fn newest(tx: &mut Tx<'_>, vault: &Vault, address: Address) -> Result<Option<(Open, usize)>> {
    if blocks::overridden(tx, address)?.is_some() {
        return Ok(None);
    }
    versions(tx, vault, address, None)
}

fn versions(tx: &mut Tx<'_>, vault: &Vault, address: Address, which: Option<u32>) -> Result<Option<(Open, usize)>> {
    let Some(keys) = keys::opened(tx, vault, address.shelf)? else { return Ok(None) };
    let mut best: Option<(u32, Open, usize)> = None;
    for header in blocks::covering(tx, address.shelf, address.start)? {
        // Newest block first: once a version is known, only a superseding block could hold a newer one, and it came before.
        if which.is_none() && best.is_some() {
            break;
        }
        let block = blocks::hot(tx, &keys, header.shelf, header.seq)?;
        let found = block.rows_at(address.start).find(|row| {
            let (series, disc, version) = block.key(*row);
            (series, disc) == (address.series, address.disc) && which.is_none_or(|which| which == version)
        });
        if let Some(row) = found {
            let version = block.key(row).2;
            best = Some((version, Open::new(header, Arc::clone(&keys), block), row));
        }
    }
    Ok(best.map(|(_, open, row)| (open, row)))
}

/// The Observation at an address, or one of its versions. The caller has asked the patient rule of its shelf, which was made
/// for `patient`.
pub fn read(tx: &mut Tx<'_>, with: Reader<'_>, patient: Whose, at: (Address, Option<u32>)) -> Result<Option<Told>> {
    let (address, version) = at;
    let Some((mut open, row)) = versions(tx, with.vault, address, version)? else { return Ok(None) };
    row_told(tx, with, patient, (&mut open, row)).map(|(_, told)| Some(told))
}

/// The Observation of `patient` that a row is, with its id; shown if it may be seen.
pub(in crate::store) fn row_told(tx: &mut Tx<'_>, with: Reader<'_>, patient: Whose, at: (&mut Open, usize)) -> Result<(String, Told)> {
    let (open, row) = at;
    let (sample, shelf, committed_at) = (open.block.sample(row), open.header.shelf, open.header.committed_at);
    let template = with.templates.get(tx, &open.keys, (shelf, sample.series, sample.template))?;
    let born = patient.born.to_string();
    let rendering = Rendering { vault: with.vault, template: &template, shelf, patient: &born, last_updated: &instant(committed_at) };
    let id = rendering.id(&sample);
    let seen = judged(tx, (with.vault, with.visible), (&template, patient), (open, row))?;
    let mut told = Told { version: sample.version, committed_at, patient: Some(patient), shown: None };
    if let Some(seen) = seen {
        let ids = open.record_ids(tx, row)?;
        let mut json = String::new();
        rendering.write(&sample, (&id, &ids), &mut json);
        let (version, deleted, upsert) = (sample.version, false, false);
        told.shown = Some(Version { json, version, committed_at, deleted, upsert, shelf, patient: Some(patient), seen });
    }
    Ok((id, told))
}

/// What is certain of all samples of a template.
fn certain(visible: &Visible, whose: Option<Whose>, template: &Known) -> Certain {
    const OWN: [&str; 7] = ["date", "identifier", "patient", "status", "subject", "_id", "_lastUpdated"];
    visible.certain(whose.map(|whose| whose.now), &Opened { id: "", rows: &template.rows, last_updated: DateRange::instant(0) }, &OWN)
}

/// May a row be shown, by the values of its template and its own?
fn judged(tx: &mut Tx<'_>, by: (&Vault, &Visible), of: (&Known, Whose), at: (&mut Open, usize)) -> Result<Option<Seen>> {
    let ((vault, visible), (template, whose), (open, row)) = (by, of, at);
    if !visible.by_content() {
        return Ok(visible.at_once(Some(whose.now)));
    }
    let (series, disc, version) = open.block.key(row);
    let mut rows = template.rows.clone();
    rows.push(IndexRow::Date { param: "date", range: range(open.block.time(row)) });
    rows.push(IndexRow::Token { param: "status", system: Some(STATUS.to_owned()), code: status(version).to_owned() });
    for param in ["patient", "subject"] {
        rows.push(IndexRow::Reference { param, kind: "Patient".to_owned(), id: whose.born.to_string() });
    }
    if let Some(system) = &template.facts.identifier_system {
        for id in open.record_ids(tx, row)? {
            let code = id.read(|id| folded(id).into_owned());
            rows.push(IndexRow::Token { param: "identifier", system: Some(system.clone()), code });
        }
    }
    let id = vault.sample_text(Address { shelf: open.header.shelf, series, start: open.block.start_ms(row), disc });
    let opened = Opened { id: &id, rows: &rows, last_updated: DateRange::instant(open.header.committed_at) };
    Ok(visible.judge(Some(whose.now), &opened))
}

/// What a template says holds for every sample of it.
fn template_answers(template: &Known, filter: &Filter) -> bool {
    if ["patient", "subject"].contains(&filter.param) {
        // Every sample has one; which patients is what the scope says.
        return filter.holds(|| true, |criterion| !matches!(criterion, Criterion::Missing(_)));
    }
    OF_ROWS.contains(&filter.param) || Opened { id: "", rows: &template.rows, last_updated: DateRange::instant(0) }.answers(filter)
}

fn is(criterion: &Criterion, system: &str, code: &str) -> bool {
    matches!(criterion, Criterion::Token(token) if token.matches(Some(system), code))
}

/// The bloom bits of which a block must have one, if the filter names codes.
fn mask(vault: &Vault, filter: &Filter) -> Option<u64> {
    if filter.not || !["code", "category"].contains(&filter.param) {
        return None;
    }
    let bits = filter.any.iter().map(|criterion| match criterion {
        Criterion::Token(token) => match (&token.system, &token.code) {
            (crate::search::System::Is(system), Some(code)) => Some(bloom_bit(vault, filter.param, Some(system), code)),
            (crate::search::System::Any, Some(code)) => Some(bloom_bit(vault, filter.param, None, code)),
            _ => None,
        },
        _ => None,
    });
    bits.collect::<Option<Vec<u64>>>().map(|bits| bits.into_iter().fold(0, |all, bit| all | bit))
}

/// The range of time a sample's effective[x] covers, to the precision in which it is written.
fn range((start, end): (Stamp, Option<Stamp>)) -> DateRange {
    let at = |stamp: Stamp| Nanos::from(stamp.ms) * 1_000_000 + Nanos::from(stamp.sub_ms_nanos);
    let last = end.unwrap_or(start);
    let length = if last.digits == 0 { 1_000_000_000 - at(last).rem_euclid(1_000_000_000) } else { 1 };
    DateRange { lo: at(start), hi: at(last) + length }
}
