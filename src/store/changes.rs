//! Every version of documents and samples, newest first: the history of a type, or of all.
//!
//! A document's version and a block of samples each have one place in the feed, (committed_at, seq); the rows of a block
//! are walked from its last one.

use std::collections::VecDeque;
use std::sync::Arc;

use diesel::prelude::*;

use super::blocks::Templates;
use super::blocks::{self, HEADER, Header, HeaderRow};
use super::documents::{self, Key};
use super::keys::Whose;
use super::observations::{Blooms, Open, Scope, row_told};
use super::resources::{self, Found, Reader, Version};
use super::schema::{block, document};
use super::{Tx, keys};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::validate::object;
use crate::id::Shelf;
use crate::policy::Visible;
use crate::search::Type;
use crate::vault::Vault;

/// A place in the order. Rows of a block count from 1; the version of a document is row 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub committed_at: Millis,
    pub seq: i64,
    pub row: u32,
}

/// One version of one resource.
pub struct Change {
    pub at: Place,
    pub of: Type,
    pub id: String,
    pub version: Version,
}

pub struct Ask<'a> {
    pub vault: &'a Vault,
    pub templates: &'a Templates,
    /// The types that are walked, and what may be seen of each.
    pub types: &'a [(Type, Visible)],
    /// Nothing newer is complete yet.
    pub horizon: Millis,
    pub since: Option<Millis>,
    pub before: Option<Place>,
}

impl<'a> Ask<'a> {
    /// What reads one of the types.
    pub fn reader(&self, of: Type) -> Result<Reader<'a>> {
        let visible = self.types.iter().find(|(kind, _)| *kind == of).map(|(_, visible)| visible);
        let visible = visible.ok_or_else(|| Error::bug("a type that is not walked"))?;
        Ok(Reader { vault: self.vault, templates: self.templates, visible })
    }
}

const BATCH: i64 = 64;
const BLOCKS: i64 = 8;

/// Walks back from a place.
pub struct Walk<'a> {
    ask: &'a Ask<'a>,
    scope: Scope,
    documents: Vec<Documents>,
    headers: VecDeque<Header>,
    no_more_headers: bool,
    last_header: Option<(Millis, i64)>,
    open: Option<(Open, u32, Whose)>,
    /// Which blocks can have a sample that may be seen.
    blooms: Option<Blooms>,
}

/// The versions of one type that wait for their turn.
struct Documents {
    of: Type,
    waiting: VecDeque<Row>,
    last: Option<(Millis, i64)>,
    ended: bool,
}

type Row = (i64, Vec<u8>, i32, i64, i64, bool, Vec<u8>, bool);

impl<'a> Walk<'a> {
    pub fn new(tx: &mut Tx<'_>, ask: &'a Ask<'a>) -> Result<Walk<'a>> {
        let scope = match ask.types.first() {
            Some((_, visible)) => Scope::of_visible(tx, visible)?,
            None => return Err(Error::bug("a history of no type")),
        };
        let from = ask.before.map(|at| (at.committed_at, at.seq));
        let documents = ask.types.iter().map(|(of, _)| Documents { of: *of, waiting: VecDeque::new(), last: from, ended: false }).collect();
        // A cursor within a block comes back to that block.
        let last_header = ask.before.map(|at| (at.committed_at, if at.row > 1 { at.seq + 1 } else { at.seq }));
        let samples = ask.types.iter().find(|(of, _)| *of == Type::Observation);
        let blooms = samples.map(|(_, visible)| Blooms::of(ask.vault, visible));
        let no_more_headers = samples.is_none();
        Ok(Walk { ask, scope, documents, headers: VecDeque::new(), no_more_headers, last_header, open: None, blooms })
    }

    /// The next older version that may be seen.
    pub fn next(&mut self, tx: &mut Tx<'_>) -> Result<Option<Change>> {
        loop {
            if self.open.is_some() {
                match self.of_open(tx)? {
                    Some(change) => return Ok(Some(change)),
                    None => continue,
                }
            }
            let header = self.header(tx)?;
            let mut newest: Option<(Millis, i64, usize)> = None;
            for n in 0..self.documents.len() {
                if let Some((committed_at, seq)) = self.document(tx, n)? {
                    newest = newest.max(Some((committed_at, seq, n)));
                }
            }
            match (header, newest) {
                (Some(header), newest) if newest.is_none_or(|(committed_at, seq, _)| header > (committed_at, seq)) => {
                    self.open_block(tx)?;
                }
                (_, Some((_, _, n))) => {
                    if let Some(change) = self.take(tx, n)? {
                        return Ok(Some(change));
                    }
                }
                (_, None) => return Ok(None),
            }
        }
    }

    /// The next row of the block that is open, if it may be seen.
    fn of_open(&mut self, tx: &mut Tx<'_>) -> Result<Option<Change>> {
        let Some((open, row, patient)) = &mut self.open else { return Ok(None) };
        let Some(at) = row.checked_sub(1) else {
            self.open = None;
            return Ok(None);
        };
        let place = Place { committed_at: open.header.committed_at, seq: open.header.seq, row: *row };
        *row = at;
        let (id, told) = row_told(tx, self.ask.reader(Type::Observation)?, *patient, (open, at as usize))?;
        Ok(told.shown.map(|version| Change { at: place, of: Type::Observation, id, version }))
    }

    fn open_block(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let Some(header) = self.headers.pop_front() else { return Ok(()) };
        if self.blooms.as_ref().is_some_and(|blooms| !blooms.may_hold(&header)) {
            return Ok(());
        }
        let keys = keys::opened(tx, self.ask.vault, header.shelf)?.ok_or_else(|| Error::bug("a block has no shelf"))?;
        let block = blocks::hot(tx, &keys, header.shelf, header.seq)?;
        let patient = keys::whose(tx, header.shelf)?.ok_or_else(|| Error::bug("a shelf of samples has no patient"))?;
        let mut rows = u32::try_from(block.len()).map_err(Error::bug)?;
        if let Some(before) = self.ask.before.filter(|before| (before.committed_at, before.seq) == (header.committed_at, header.seq)) {
            rows = rows.min(before.row.saturating_sub(1));
        }
        self.open = Some((Open::new(header, Arc::clone(&keys), block), rows, patient));
        Ok(())
    }

    fn header(&mut self, tx: &mut Tx<'_>) -> Result<Option<(Millis, i64)>> {
        if self.headers.is_empty() && !self.no_more_headers {
            let found = self.more_headers(tx)?;
            self.no_more_headers = found.len() < BLOCKS as usize;
            self.last_header = found.last().map(|header| (header.committed_at, header.seq)).or(self.last_header);
            self.headers.extend(found);
        }
        Ok(self.headers.front().map(|header| (header.committed_at, header.seq)))
    }

    fn more_headers(&self, tx: &mut Tx<'_>) -> Result<Vec<Header>> {
        macro_rules! run {
            ($conn:expr) => {{
                let mut query = block::table.filter(block::committed_at.le(self.ask.horizon)).select(HEADER).into_boxed();
                if let Some(shelves) = &self.scope.shelves {
                    query = query.filter(block::shelf.eq_any(shelves.iter().map(|shelf| shelf.0).collect::<Vec<_>>()));
                }
                if let Some(since) = self.ask.since {
                    query = query.filter(block::committed_at.ge(since));
                }
                if let Some((at, seq)) = self.last_header {
                    query = query.filter(block::committed_at.lt(at).or(block::committed_at.eq(at).and(block::seq.lt(seq))));
                }
                query.order((block::committed_at.desc(), block::seq.desc())).limit(BLOCKS).load::<HeaderRow>($conn)
            }};
        }
        let rows = on!(tx, c => run!(*c))?;
        Ok(rows.into_iter().map(Header::from_row).collect())
    }

    /// The place of the next version of one type.
    fn document(&mut self, tx: &mut Tx<'_>, n: usize) -> Result<Option<(Millis, i64)>> {
        if self.documents[n].waiting.is_empty() && !self.documents[n].ended {
            let found = self.more_documents(tx, self.documents[n].of, self.documents[n].last)?;
            let of = &mut self.documents[n];
            of.ended = found.len() < BATCH as usize;
            of.last = found.last().map(|(_, _, _, seq, committed_at, ..)| (*committed_at, *seq)).or(of.last);
            of.waiting.extend(found);
        }
        Ok(self.documents[n].waiting.front().map(|(_, _, _, seq, committed_at, ..)| (*committed_at, *seq)))
    }

    fn more_documents(&self, tx: &mut Tx<'_>, of: Type, before: Option<(Millis, i64)>) -> Result<Vec<Row>> {
        macro_rules! run {
            ($conn:expr) => {{
                let columns = (
                    document::shelf,
                    document::id,
                    document::version,
                    document::seq,
                    document::committed_at,
                    document::deleted,
                    document::body,
                    document::upsert,
                );
                let mut query = document::table
                    .filter(document::type_.eq(of.number()).and(document::committed_at.le(self.ask.horizon)))
                    .select(columns)
                    .into_boxed();
                if let Some(shelves) = self.scope.shelves.as_ref().filter(|_| !of.is_shared()) {
                    query = query.filter(document::shelf.eq_any(shelves.iter().map(|shelf| shelf.0).collect::<Vec<_>>()));
                }
                if let Some(since) = self.ask.since {
                    query = query.filter(document::committed_at.ge(since));
                }
                if let Some((at, seq)) = before {
                    query = query.filter(document::committed_at.lt(at).or(document::committed_at.eq(at).and(document::seq.lt(seq))));
                }
                query.order((document::committed_at.desc(), document::seq.desc())).limit(BATCH).load::<Row>($conn)
            }};
        }
        on!(tx, c => run!(*c))
    }

    fn take(&mut self, tx: &mut Tx<'_>, n: usize) -> Result<Option<Change>> {
        let of = self.documents[n].of;
        let row = self.documents[n].waiting.pop_front().ok_or_else(|| Error::bug("no version waits"))?;
        let (shelf, id, version, seq, committed_at, deleted, body, upsert) = row;
        let id: [u8; 16] = id.try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?;
        let key = Key { shelf: Shelf(shelf), resource: of, id };
        let version = documents::Version { version: version as u32, committed_at, deleted, body, upsert };
        let (reader, patient) = (self.ask.reader(of)?, keys::whose(tx, key.shelf)?);
        let moved = if reader.visible.is_everything() { None } else { resources::moved(tx, &key)? };
        let told = resources::opened(tx, reader, Found { key, version, patient, moved })?;
        Ok(told.shown.map(|version| {
            let id = object(&version.json).and_then(|document| document.text("id").map(str::to_owned)).unwrap_or_default();
            Change { at: Place { committed_at, seq, row: 1 }, of, id, version }
        }))
    }
}
