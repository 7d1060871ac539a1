//! Live documents of one type in order: proposed by the index, opened, and judged once more.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::Tx;
use super::binaries::{context, stood_for};
use super::blocks::Templates;
use super::deadline::in_time;
use super::document_search::{Ask, Found, Order, Rare, find, rarest};
use super::documents::body_place;
use super::keys::{self, Whose};
use super::resources::{Reader, values};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::bundle::{Entries, Mode};
use crate::fhir::validate::object;
use crate::id::{PatientId, Shelf};
use crate::policy::{Seen, Visible};
use crate::search::{Criterion, DateRange, Filter, IndexRow, Opened, Query, Reference, Sort, SortKey, Type};
use crate::vault::Vault;

/// One resource of a page, ready to be sent.
#[derive(Debug)]
pub struct Item {
    pub resource: &'static str,
    pub id: String,
    pub json: String,
    /// The shelf it stands on, for the audit entry.
    pub shelf: Shelf,
    pub seen: Seen,
}

/// A page of resources, written as the entries of a Bundle. `next` is the place of its last one when more may follow.
#[derive(Debug)]
pub struct Page {
    pub entries: Entries,
    pub items: Vec<Listed>,
    /// Whose shelves these are, as far as that was learned on the way.
    pub owners: HashMap<Shelf, Whose>,
    pub next: Option<Position>,
    pub total: Option<i64>,
}

/// One resource of a page; `Page::json` has its text.
#[derive(Debug)]
pub struct Listed {
    pub resource: &'static str,
    pub shelf: Shelf,
    json: Range<usize>,
}

impl Page {
    /// `base` is what full URLs begin with.
    pub fn new(base: &str) -> Page {
        Page { entries: Entries::new(base), items: Vec::new(), owners: HashMap::new(), next: None, total: None }
    }

    pub fn push(&mut self, item: Item) {
        let Item { resource, id, json, shelf, seen } = item;
        self.rendered((resource, &id), (shelf, seen), |out| out.push_str(&json));
    }

    /// A resource of that type and id whose text `render` appends.
    pub fn rendered(&mut self, name: (&'static str, &str), (shelf, _): (Shelf, Seen), render: impl FnOnce(&mut String)) {
        let json = self.entries.push(name, Mode::Match, render);
        self.items.push(Listed { resource: name.0, shelf, json });
    }

    /// Makes room for as many resources as the first one is long, and for the Bundle around them.
    pub fn expect(&mut self, more: usize) {
        if let [first] = self.items.as_slice() {
            self.entries.reserve((first.json.len() + 192) * more.min(1_000) + 2_048);
        }
    }

    pub fn json(&self, of: &Listed) -> &str {
        self.entries.json(of.json.clone())
    }
}

/// A place in an order: the sort key and what decides between equal keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub key: i64,
    pub tie: u128,
    pub more: u128,
}

/// What a page is asked for.
pub struct Look<'a> {
    pub query: &'a Query,
    pub visible: &'a Visible,
    pub vault: &'a Vault,
    /// What full URLs begin with.
    pub base: &'a str,
    pub after: Option<Position>,
    pub horizon: Millis,
}

impl Look<'_> {
    /// The order of the page: what was asked for, else newest first.
    pub fn sort(&self) -> Sort {
        let key = if self.query.resource == crate::search::Type::Observation { SortKey::Date } else { SortKey::LastUpdated };
        self.query.sort.unwrap_or(Sort { key, descending: true })
    }
}

/// How many documents are opened before the caller is asked to narrow the search.
const CANDIDATES: usize = 10_000;
/// How many are fetched at first; each time twice as many.
const BATCH: i64 = 64;
const BATCH_MOST: i64 = 1_024;

/// A stream of documents that answer the query.
pub struct Listing<'a> {
    look: &'a Look<'a>,
    filters: Vec<Filter>,
    after: Option<(i64, [u8; 16], i64)>,
    /// With which filter to begin; found out with the first batch.
    rare: Option<Rare>,
    batch: i64,
    waiting: VecDeque<(Position, Item)>,
    opened: usize,
    ended: bool,
}

impl<'a> Listing<'a> {
    /// `known` are owners that the caller has learned already.
    pub fn new(tx: &mut Tx<'_>, look: &'a Look<'a>, known: &HashMap<Shelf, Whose>) -> Result<Listing<'a>> {
        let after = look.after.map(|at| (at.key, at.tie.to_be_bytes(), (at.tie >> 32) as i64));
        let filters = of_persons(tx, look.query, known)?;
        Ok(Listing { filters, after, ended: false, ..Listing::empty(look) })
    }

    /// A stream that has nothing: the caller knows that no document can answer.
    pub fn empty(look: &'a Look<'a>) -> Listing<'a> {
        Listing { look, filters: Vec::new(), after: None, rare: None, batch: BATCH, waiting: VecDeque::new(), opened: 0, ended: true }
    }

    /// The next document without taking it.
    pub fn peek(&mut self, tx: &mut Tx<'_>) -> Result<Option<Position>> {
        while self.waiting.is_empty() && !self.ended {
            self.fetch(tx)?;
        }
        Ok(self.waiting.front().map(|(at, _)| *at))
    }

    pub fn take(&mut self) -> Option<(Position, Item)> {
        self.waiting.pop_front()
    }

    fn fetch(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let sort = self.look.sort();
        let order = if sort.key == SortKey::Date { Order::Start } else { Order::Committed };
        let ask = Ask {
            resource: self.look.query.resource,
            visible: self.look.visible,
            filters: &self.filters,
            bounds: self.look.query.bounds("date"),
            committed: self.look.query.bounds("_lastUpdated"),
            order,
            descending: sort.descending,
            after: self.after,
            limit: self.batch,
        };
        in_time()?;
        let rare = match self.rare.take() {
            Some(rare) => rare,
            None => rarest(tx, self.look.vault, &ask)?,
        };
        let found = find(tx, self.look.vault, &ask, &rare)?;
        self.rare = Some(rare);
        self.ended = found.len() < self.batch as usize;
        self.batch = (self.batch * 2).min(BATCH_MOST);
        for row in found {
            let id: [u8; 16] = row.id.as_slice().try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?;
            let position = match order {
                Order::Start => Position { key: row.lo, tie: u128::from_be_bytes(id), more: 0 },
                Order::Committed => Position { key: row.committed_at, tie: (row.seq as u128) << 32, more: 0 },
            };
            self.after = Some((position.key, id, row.seq));
            if let Some(item) = self.judge(tx, &row, id)? {
                self.waiting.push_back((position, item));
            }
        }
        Ok(())
    }

    fn judge(&mut self, tx: &mut Tx<'_>, row: &Found, id: [u8; 16]) -> Result<Option<Item>> {
        let resource = self.look.query.resource;
        let Some(opened) = opened(tx, self.look.vault, (resource, self.look.visible), (row, id))? else { return Ok(None) };
        // What is hidden does not count: it would tell how much of it there is.
        self.opened += 1;
        if self.opened > CANDIDATES {
            let says = "more than 10,000 resources would have to be opened; add identifier, patient or _id";
            return Err(Error::new(crate::error::Kind::TooCostly, says).at("patient"));
        }
        if row.committed_at > self.look.horizon || !opened.answers(row, &self.filters) {
            return Ok(None);
        }
        Ok(Some(Item { resource: resource.name(), id: opened.id, json: opened.json, shelf: Shelf(row.shelf), seen: opened.seen }))
    }
}

/// A document that the index proposed, and that is visible.
struct Visibly {
    id: String,
    json: String,
    rows: Vec<IndexRow>,
    seen: Seen,
}

impl Visibly {
    fn answers(&self, row: &Found, filters: &[Filter]) -> bool {
        let opened = Opened { id: &self.id, rows: &self.rows, last_updated: DateRange::instant(row.committed_at) };
        filters.iter().all(|filter| opened.answers(filter))
    }
}

fn opened(tx: &mut Tx<'_>, vault: &Vault, by: (Type, &Visible), found: (&Found, [u8; 16])) -> Result<Option<Visibly>> {
    let ((resource, visible), (row, id)) = (by, found);
    let shelf = Shelf(row.shelf);
    let keys = vault.shelf(shelf, &row.wrapped)?;
    let json = String::from_utf8(keys.body.open_packed(body_place(shelf, &id, row.version as u32), &row.body)?).map_err(Error::bug)?;
    let document = object(&json).ok_or_else(|| Error::bug("a stored document is not JSON"))?;
    let id = document.text("id").unwrap_or_default().to_owned();
    let at_once = visible.chosen_at_once();
    let whose = if at_once.is_none() && visible.asks_whose() { keys::patient_of(tx, shelf)? } else { None };
    let rows = values((visible, whose), resource, &document);
    let context = context(resource, &document);
    drop(document);
    let seen = match at_once {
        Some(seen) => Some(seen),
        None => visible.chosen(whose, &Opened { id: &id, rows: &rows, last_updated: DateRange::instant(row.committed_at) }),
    };
    if seen.is_some() && !stood_for(tx, Reader { vault, templates: &Templates::default(), visible }, (&id, context))? {
        return Ok(None);
    }
    Ok(seen.map(|seen| Visibly { id, json, rows, seen }))
}

/// The first documents that answer, for the server's own use: their ids, versions and texts.
pub fn first(tx: &mut Tx<'_>, vault: &Vault, ask: &Ask<'_>) -> Result<Vec<([u8; 16], u32, String)>> {
    let rare = rarest(tx, vault, ask)?;
    let mut first = Vec::new();
    for row in find(tx, vault, ask, &rare)? {
        let id: [u8; 16] = row.id.as_slice().try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?;
        if let Some(opened) = opened(tx, vault, (ask.resource, ask.visible), (&row, id))?.filter(|found| found.answers(&row, ask.filters)) {
            first.push((id, row.version as u32, opened.json));
        }
    }
    Ok(first)
}

/// The filters, in which a reference to a Patient means the person: stored references keep the id they were written with,
/// so each id of those who were merged is looked for. Between Patients themselves an id is meant as it stands.
fn of_persons(tx: &mut Tx<'_>, query: &Query, known: &HashMap<Shelf, Whose>) -> Result<Vec<Filter>> {
    let mut filters = query.filters.clone();
    if query.resource == Type::Patient {
        return Ok(filters);
    }
    for filter in &mut filters {
        let named = |criterion: &Criterion| if let Criterion::Reference(reference) = criterion { reference.patient() } else { None };
        let ids: Vec<PatientId> = filter.any.iter().filter_map(named).collect();
        for id in &ids {
            let now = known.values().find(|whose| whose.born == *id).map(|whose| whose.now);
            let person: Vec<Whose> = match now {
                Some(now) => known.values().filter(|whose| whose.now == now).copied().collect(),
                None => keys::person(tx, *id)?.into_iter().map(|(_, whose)| whose).collect(),
            };
            let others = person.iter().map(|whose| whose.born).filter(|born| born != id);
            filter.any.extend(others.map(|born| Criterion::Reference(Reference { kind: Some("Patient"), id: born.to_string() })));
        }
    }
    Ok(filters)
}

/// A page of Patients or Devices.
pub fn page(tx: &mut Tx<'_>, look: &Look<'_>) -> Result<Page> {
    let mut page = Page::new(look.base);
    let mut listing = Listing::new(tx, look, &HashMap::new())?;
    while page.items.len() < look.query.count as usize {
        let Some(at) = listing.peek(tx)? else { break };
        let Some((_, item)) = listing.take() else { break };
        page.push(item);
        page.next = Some(at);
    }
    if look.query.count == 0 || listing.peek(tx)?.is_none() {
        page.next = None;
    }
    if look.query.count == 0 || look.query.total == Some(crate::search::Total::Accurate) {
        page.total = Some(count(tx, look)?);
    }
    Ok(page)
}

/// How many documents answer, whatever the page.
pub fn count(tx: &mut Tx<'_>, look: &Look<'_>) -> Result<i64> {
    let all = Look { after: None, ..*look };
    let mut listing = Listing::new(tx, &all, &HashMap::new())?;
    let mut total = 0;
    while listing.peek(tx)?.is_some() {
        listing.take();
        total += 1;
    }
    Ok(total)
}
