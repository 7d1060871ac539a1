//! Observations: views of samples, and the documents that stand beside or before them.
//!
//! `page` is the one way to search them. It merges the blocks of the visible shelves with the documents,
//! newest version of an address first, in the order (start, address) or (committed_at, seq).

mod blocks;
mod rows;
mod scope;

pub(super) use blocks::Open;
pub(super) use rows::{Blooms, row_told};
pub use rows::{Found, read};
pub use scope::Scope;

use super::blocks::Templates;
use super::listing::{Listing, Look, Page, Position};
use super::{Tx, documents};
use crate::error::{Error, Kind, Result};
use crate::search::{Criterion, SortKey, Total, Type};
use blocks::Samples;

/// How many blocks are opened for a search without a patient before it is refused.
const BLOCKS: usize = 10_000;

/// A page of Observations. `system` callers may look for a record id across patients.
pub fn page(tx: &mut Tx<'_>, look: &Look<'_>, templates: &Templates, system: bool) -> Result<Page> {
    let scope = Scope::of(tx, look)?;
    if scope.shelves.is_none() && !system && look.query.filters_on("identifier").next().is_some() {
        return Err(Error::new(Kind::TooCostly, "a record id is found within one patient; add patient").at("patient"));
    }
    let mut page = Page::new(look.base);
    page.owners.clone_from(&scope.owners);
    if look.query.count > 0 {
        let mut merge = Merge::new(tx, look, templates, &scope)?;
        while page.items.len() < look.query.count as usize {
            let Some((at, found)) = merge.next(tx)? else { break };
            found.push(tx, &mut merge.samples, &mut page)?;
            page.expect(look.query.count as usize);
            page.next = Some(at);
        }
        if page.next.is_some() && merge.next(tx)?.is_none() {
            page.next = None;
        }
    }
    if look.query.count == 0 || look.query.total == Some(Total::Accurate) {
        let all = Look { after: None, ..*look };
        let mut merge = Merge::new(tx, &all, templates, &scope)?;
        let mut total = 0;
        while merge.next(tx)?.is_some() {
            total += 1;
        }
        page.total = Some(total);
    }
    Ok(page)
}

/// Names any sample that is found this Device?
pub fn any_names(tx: &mut Tx<'_>, look: &Look<'_>, templates: &Templates, reference: &str) -> Result<bool> {
    let scope = Scope::of(tx, look)?;
    let mut samples = Samples::new(tx, look, templates, &scope)?;
    while let Some((_, found)) = samples.next(tx)? {
        let Found::Row { open, row, .. } = found else { continue };
        let open = &samples.open[open];
        let at = (open.header.shelf, open.block.key(row).0, open.block.template(row));
        if templates.get(tx, &open.keys, at)?.names(reference) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Merge<'a> {
    descending: bool,
    samples: Samples<'a>,
    documents: Listing<'a>,
    waiting: Option<(Position, Found)>,
}

impl<'a> Merge<'a> {
    fn new(tx: &mut Tx<'_>, look: &'a Look<'a>, templates: &'a Templates, scope: &'a Scope) -> Result<Merge<'a>> {
        let documents = match scope.shelves.as_deref() {
            Some(shelves) if !documents::any(tx, Type::Observation, shelves)? => Listing::empty(look),
            _ => Listing::new(tx, look, &scope.owners)?,
        };
        Ok(Merge { descending: look.sort().descending, samples: Samples::new(tx, look, templates, scope)?, documents, waiting: None })
    }

    /// The next Observation of the order, from whichever side it is.
    fn next(&mut self, tx: &mut Tx<'_>) -> Result<Option<(Position, Found)>> {
        if self.waiting.is_none() {
            self.waiting = self.samples.next(tx)?;
        }
        let document = self.documents.peek(tx)?;
        let first = match (&self.waiting, document) {
            (None, None) => return Ok(None),
            (Some((sample, _)), Some(document)) => (document < *sample) != self.descending,
            (waiting, _) => waiting.is_none(),
        };
        if first { Ok(self.documents.take().map(|(at, item)| (at, Found::Document(item)))) } else { Ok(self.waiting.take()) }
    }
}

/// The ids of an `_id` filter, when there is one.
fn ids<'a>(look: &'a Look<'_>) -> Option<Vec<&'a str>> {
    let filter = look.query.filters_on("_id").next()?;
    Some(filter.any.iter().filter_map(|criterion| if let Criterion::Id(id) = criterion { Some(id.as_str()) } else { None }).collect())
}

fn by_date(look: &Look<'_>) -> bool {
    look.sort().key == SortKey::Date
}
