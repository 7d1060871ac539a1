//! The samples of the visible shelves in order: blocks are opened only when their turn may have come.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use diesel::prelude::*;

use super::rows::{Found, Judge, View};
use super::scope::Scope;
use super::{BLOCKS, by_date, ids};
use crate::error::{Error, Kind, Result};
use crate::id::{Address, Shelf};
use crate::policy::Seen;
use crate::search::{Bounds, SortKey};
use crate::series::{Block, RecordId};
use crate::store::blocks::{self, BlockIds, HEADER, Header, HeaderRow, Overrides, Templates};
use crate::store::listing::{Look, Position};
use crate::store::schema::block;
use crate::store::{Tx, keys};
use crate::vault::ShelfKeys;

const HEADERS: i64 = 64;

/// A block that is being read.
pub(in crate::store) struct Open {
    pub header: Header,
    pub keys: Arc<ShelfKeys>,
    pub block: Block,
    ids: BlockIds,
}

impl Open {
    pub fn new(header: Header, keys: Arc<ShelfKeys>, block: Block) -> Open {
        Open { header, keys, block, ids: BlockIds::default() }
    }

    pub fn record_ids(&mut self, tx: &mut Tx<'_>, row: usize) -> Result<Vec<RecordId<'_>>> {
        self.ids.of(tx, &self.keys, (self.header.shelf, self.header.seq), row)
    }
}

/// The next row of one open block.
struct Head {
    at: Position,
    version: u32,
    open: usize,
    row: usize,
    descending: bool,
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        // The heap gives its greatest: the next in order, newest version first.
        let order = self.at.cmp(&other.at);
        let order = if self.descending { order } else { order.reverse() };
        order.then(self.version.cmp(&other.version))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

pub(super) struct Samples<'a> {
    pub look: &'a Look<'a>,
    pub judge: Judge<'a>,
    scope: &'a Scope,
    headers: VecDeque<Header>,
    last_header: Option<(i64, i64)>,
    no_more_headers: bool,
    pub open: Vec<Open>,
    heap: BinaryHeap<Head>,
    overrides: HashMap<Shelf, Overrides>,
    before: Option<u128>,
    named: Option<VecDeque<(Position, View, Seen)>>,
    /// What the query demands of a sample's time.
    bounds: Bounds,
}

impl<'a> Samples<'a> {
    pub fn new(tx: &mut Tx<'_>, look: &'a Look<'a>, templates: &'a Templates, scope: &'a Scope) -> Result<Samples<'a>> {
        let mut samples = Samples {
            look,
            judge: Judge::new(look, templates, scope),
            scope,
            headers: VecDeque::new(),
            last_header: None,
            no_more_headers: scope.shelves.as_ref().is_some_and(Vec::is_empty),
            open: Vec::new(),
            heap: BinaryHeap::new(),
            overrides: HashMap::new(),
            before: None,
            named: None,
            bounds: look.query.bounds("date"),
        };
        if let Some(ids) = ids(look) {
            samples.named = Some(samples.by_id(tx, &ids)?);
        }
        Ok(samples)
    }

    /// The next sample that answers the query.
    pub fn next(&mut self, tx: &mut Tx<'_>) -> Result<Option<(Position, Found)>> {
        if let Some(named) = &mut self.named {
            return Ok(named.pop_front().map(|(at, view, seen)| (at, Found::Named(view, seen))));
        }
        while let Some(head) = self.pop(tx)? {
            let (shelf, start) = (self.open[head.open].header.shelf, self.open[head.open].block.start_ms(head.row));
            let (series, disc, _) = self.open[head.open].block.key(head.row);
            if self.overridden(tx, shelf)?.contains_key(&(series, start, disc)) || self.superseded(tx, &head)? {
                continue;
            }
            if let Some(seen) = self.judge.answers(tx, &mut self.open[head.open], head.row)? {
                return Ok(Some((head.at, Found::Row { open: head.open, row: head.row, seen })));
            }
        }
        Ok(None)
    }

    /// `_id` names addresses: each is read directly, then judged like any other.
    fn by_id(&mut self, tx: &mut Tx<'_>, ids: &[&str]) -> Result<VecDeque<(Position, View, Seen)>> {
        let mut found = Vec::new();
        for id in ids {
            let Some(address) = self.look.vault.sample_address(id) else { continue };
            if self.scope.shelves.as_ref().is_some_and(|shelves| !shelves.contains(&address.shelf)) {
                continue;
            }
            let Some(open) = super::rows::newest(tx, self.look.vault, address)? else { continue };
            let (mut open, row) = open;
            if let Some(seen) = self.judge.answers(tx, &mut open, row)? {
                let at = self.position(&open, row);
                found.push((at, self.judge.view(tx, &mut open, row)?, seen));
            }
        }
        let descending = self.look.sort().descending;
        found.sort_by(|a, b| if descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) });
        found.dedup_by(|a, b| a.0 == b.0);
        found.retain(|(at, ..)| self.look.after.is_none_or(|after| if descending { *at < after } else { *at > after }));
        Ok(found.into())
    }

    fn position(&self, open: &Open, row: usize) -> Position {
        let (series, disc, _) = open.block.key(row);
        if by_date(self.look) {
            let start = open.block.start_ms(row);
            Position { key: start, tie: Address { shelf: open.header.shelf, series, start, disc }.pack(), more: 0 }
        } else {
            Position { key: open.header.committed_at, tie: ((open.header.seq as u128) << 32) | row as u128, more: 0 }
        }
    }

    /// Takes the greatest head, after opening every block that could hold a greater one.
    fn pop(&mut self, tx: &mut Tx<'_>) -> Result<Option<Head>> {
        loop {
            while let Some(header) = self.peek_header(tx)? {
                let bound = self.bound(&header);
                let due = self.heap.peek().is_none_or(|head| if head.descending { bound >= head.at.key } else { bound <= head.at.key });
                if !due {
                    break;
                }
                self.headers.pop_front();
                self.open_block(tx, header)?;
            }
            let Some(head) = self.heap.pop() else { return Ok(None) };
            let step = if head.descending { head.row.checked_sub(1) } else { Some(head.row + 1) };
            if let Some(row) = step {
                self.push(head.open, row);
            }
            if by_date(self.look) {
                if self.before == Some(head.at.tie) {
                    continue;
                }
                self.before = Some(head.at.tie);
            }
            return Ok(Some(head));
        }
    }

    fn bound(&self, header: &Header) -> i64 {
        let sort = self.look.sort();
        match (sort.key, sort.descending) {
            (SortKey::Date, true) => header.start_hi,
            (SortKey::Date, false) => header.start_lo,
            (SortKey::LastUpdated, _) => header.committed_at,
        }
    }

    fn open_block(&mut self, tx: &mut Tx<'_>, header: Header) -> Result<()> {
        let wanted = !by_date(self.look) || self.judge.may_hold(&header);
        if !wanted {
            return Ok(());
        }
        if self.scope.shelves.is_none() && self.open.len() >= BLOCKS {
            return Err(
                Error::new(Kind::TooCostly, "more than 10,000 blocks of samples would have to be opened; add patient").at("patient")
            );
        }
        let keys = keys::opened(tx, self.look.vault, header.shelf)?.ok_or_else(|| Error::bug("a block has no shelf"))?;
        if !self.judge.may_identify(tx, &keys, &header)? {
            return Ok(());
        }
        let block = blocks::hot(tx, &keys, header.shelf, header.seq)?;
        let descending = self.look.sort().descending;
        let mut row = if descending { block.len().checked_sub(1) } else { Some(0) };
        if by_date(self.look) {
            let last = self.bounds.lo_max.into_iter().chain(self.look.after.filter(|_| descending).map(|at| at.key)).min();
            let first = self.bounds.lo_min.into_iter().chain(self.look.after.filter(|_| !descending).map(|at| at.key)).max();
            row = match (descending, last, first) {
                (true, Some(last), _) => block.rows_at(last).end.checked_sub(1),
                (false, _, Some(first)) => Some(block.rows_at(first).start),
                _ => row,
            };
        }
        self.open.push(Open::new(header, keys, block));
        if let Some(row) = row {
            self.push(self.open.len() - 1, row);
        }
        Ok(())
    }

    /// Puts a row on the heap unless it lies behind the window or before the cursor.
    fn push(&mut self, open: usize, mut row: usize) {
        let descending = self.look.sort().descending;
        loop {
            if row >= self.open[open].block.len() {
                return;
            }
            let at = self.position(&self.open[open], row);
            let seen = self.look.after.is_some_and(|after| if descending { at >= after } else { at <= after });
            if !seen {
                let start = self.open[open].block.start_ms(row);
                let behind = by_date(self.look)
                    && if descending {
                        self.bounds.lo_min.is_some_and(|lo| start < lo)
                    } else {
                        self.bounds.lo_max.is_some_and(|hi| start > hi)
                    };
                if !behind {
                    let (_, _, version) = self.open[open].block.key(row);
                    self.heap.push(Head { at, version, open, row, descending });
                }
                return;
            }
            match if descending { row.checked_sub(1) } else { Some(row + 1) } {
                Some(next) => row = next,
                None => return,
            }
        }
    }

    fn overridden(&mut self, tx: &mut Tx<'_>, shelf: Shelf) -> Result<&Overrides> {
        match self.overrides.entry(shelf) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(blocks::overrides(tx, shelf)?)),
        }
    }

    /// In commit order an older version may come up alone: is there a newer one?
    fn superseded(&self, tx: &mut Tx<'_>, head: &Head) -> Result<bool> {
        if by_date(self.look) {
            return Ok(false);
        }
        let open = &self.open[head.open];
        let (series, disc, _) = open.block.key(head.row);
        let start = open.block.start_ms(head.row);
        for header in blocks::covering(tx, open.header.shelf, start)? {
            if header.seq <= open.header.seq || !header.superseding {
                continue;
            }
            let newer = blocks::hot(tx, &open.keys, header.shelf, header.seq)?;
            if newer.rows_at(start).any(|row| (newer.key(row).0, newer.key(row).1) == (series, disc)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn peek_header(&mut self, tx: &mut Tx<'_>) -> Result<Option<Header>> {
        if self.headers.is_empty() && !self.no_more_headers {
            let found = self.more_headers(tx)?;
            self.no_more_headers = found.len() < HEADERS as usize;
            self.last_header = found.last().map(|header| (self.bound(header), header.seq));
            self.headers.extend(found);
        }
        Ok(self.headers.front().cloned())
    }

    /// Headers in the order of their bound, restricted to the shelves, the window and the feed's horizon.
    fn more_headers(&self, tx: &mut Tx<'_>) -> Result<Vec<Header>> {
        let sort = self.look.sort();
        let after = self.look.after.map(|at| at.key);
        macro_rules! run {
            ($column:expr, $conn:expr) => {{
                let mut query = block::table.filter(block::committed_at.le(self.look.horizon)).select(HEADER).into_boxed();
                match self.scope.shelves.as_deref() {
                    None => {}
                    Some([one]) => query = query.filter(block::shelf.eq(one.0)),
                    Some(many) => query = query.filter(block::shelf.eq_any(many.iter().map(|shelf| shelf.0).collect::<Vec<_>>())),
                }
                if let Some(lo) = self.bounds.lo_min {
                    query = query.filter(block::start_hi.ge(lo));
                }
                if let Some(hi) = self.bounds.lo_max {
                    query = query.filter(block::start_lo.le(hi));
                }
                if let Some(hi) = self.bounds.hi_min {
                    // A sample's range ends at most one second after its last moment.
                    query = query.filter(block::end_hi.ge(hi.saturating_sub(1_000)));
                }
                if let (SortKey::Date, Some(key)) = (sort.key, after) {
                    query = if sort.descending { query.filter(block::start_lo.le(key)) } else { query.filter(block::start_hi.ge(key)) };
                }
                if let (SortKey::LastUpdated, Some(key)) = (sort.key, after) {
                    query =
                        if sort.descending { query.filter(block::committed_at.le(key)) } else { query.filter(block::committed_at.ge(key)) };
                }
                if let Some((bound, seq)) = self.last_header {
                    query = if sort.descending {
                        query.filter($column.lt(bound).or($column.eq(bound).and(block::seq.lt(seq))))
                    } else {
                        query.filter($column.gt(bound).or($column.eq(bound).and(block::seq.gt(seq))))
                    };
                }
                query = if sort.descending {
                    query.order(($column.desc(), block::seq.desc()))
                } else {
                    query.order(($column.asc(), block::seq.asc()))
                };
                query.limit(HEADERS).load::<HeaderRow>($conn)
            }};
        }
        let rows = match (sort.key, sort.descending) {
            (SortKey::Date, true) => on!(tx, c => run!(block::start_hi, *c)),
            (SortKey::Date, false) => on!(tx, c => run!(block::start_lo, *c)),
            (SortKey::LastUpdated, _) => on!(tx, c => run!(block::committed_at, *c)),
        }?;
        Ok(rows.into_iter().map(Header::from_row).collect())
    }
}
