//! Samples: series, templates, the feed, blocks and overrides (docs/architecture.md, "Samples").

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::prelude::*;

use super::Tx;
use super::schema::{block, block_ids, feed, sample_override, series, template};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::validate::object;
use crate::id::{Address, Shelf};
use crate::search::{IndexRow, Type, codings, index};
use crate::series::{Block, RecordId, RecordIds, Template};
use crate::vault::{Place, ShelfKeys, Vault};

/// What a feed row is the arrival of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    Samples = 1,
    Document = 2,
}

/// All series of a shelf: number and identity hash.
pub fn series_all(tx: &mut Tx<'_>, shelf: Shelf) -> Result<Vec<(u32, i64)>> {
    let rows: Vec<(i32, i64)> =
        on!(tx, c => series::table.filter(series::shelf.eq(shelf.0)).select((series::series_no, series::identity_hash)).load(*c))?;
    Ok(rows.into_iter().map(|(no, hash)| (no as u32, hash)).collect())
}

pub fn series_insert(tx: &mut Tx<'_>, shelf: Shelf, no: u32, identity: (i64, Vec<u8>)) -> Result<()> {
    let row =
        (series::shelf.eq(shelf.0), series::series_no.eq(no as i32), series::identity_hash.eq(identity.0), series::sealed.eq(identity.1));
    on!(tx, c => diesel::insert_into(series::table).values(row).execute(*c))?;
    Ok(())
}

/// Every template of a shelf: (series, number, hash of its text).
pub fn templates_all(tx: &mut Tx<'_>, shelf: Shelf) -> Result<Vec<(u32, u32, i64)>> {
    let rows: Vec<(i32, i32, i64)> = on!(tx, c => template::table.filter(template::shelf.eq(shelf.0)).select((template::series_no, template::template_no, template::text_hash)).load(*c))?;
    Ok(rows.into_iter().map(|(series, no, hash)| (series as u32, no as u32, hash)).collect())
}

pub fn template_insert(tx: &mut Tx<'_>, shelf: Shelf, at: (u32, u32), hash: i64, sealed: &[u8]) -> Result<()> {
    let row = (
        template::shelf.eq(shelf.0),
        template::series_no.eq(at.0 as i32),
        template::template_no.eq(at.1 as i32),
        template::text_hash.eq(hash),
        template::sealed.eq(sealed),
    );
    on!(tx, c => diesel::insert_into(template::table).values(row).execute(*c))?;
    Ok(())
}

/// The place of a template's text.
pub fn template_id(series_no: u32, template_no: u32) -> [u8; 8] {
    ((u64::from(series_no) << 32) | u64::from(template_no)).to_be_bytes()
}

/// Opened templates. They never change, so what was once read stays true.
#[derive(Default)]
pub struct Templates(Mutex<HashMap<(Shelf, u32, u32), Arc<Known>>>);

/// A template and the search values that every sample of it has.
pub struct Known {
    template: Arc<Template>,
    pub rows: Vec<IndexRow>,
}

impl Deref for Known {
    type Target = Template;

    fn deref(&self) -> &Template {
        &self.template
    }
}

/// What differs from sample to sample, and is judged there.
const OF_SAMPLES: [&str; 5] = ["date", "identifier", "patient", "status", "subject"];

impl Known {
    fn new(template: Arc<Template>) -> Result<Known> {
        let json = template.example();
        let document = object(&json).ok_or_else(|| Error::bug("a template is not an Observation"))?;
        let mut rows = index(Type::Observation, &document);
        rows.retain(|row| !OF_SAMPLES.contains(&row.param()));
        rows.extend(codings(&document));
        Ok(Known { template, rows })
    }
}

const TEMPLATES_KEPT: usize = 50_000;

impl Templates {
    pub fn get(&self, tx: &mut Tx<'_>, keys: &ShelfKeys, at: (Shelf, u32, u32)) -> Result<Arc<Known>> {
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&at) {
            return Ok(found.clone());
        }
        let found = Arc::new(Known::new(template_open(tx, keys, at)?)?);
        if tx.writes() {
            // It may be undone, and its number given to another.
            return Ok(found);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= TEMPLATES_KEPT {
            kept.clear();
        }
        kept.insert(at, found.clone());
        Ok(found)
    }
}

/// Reads and opens one template.
pub fn template_open(tx: &mut Tx<'_>, keys: &ShelfKeys, at: (Shelf, u32, u32)) -> Result<Arc<Template>> {
    let (shelf, series_no, template_no) = at;
    let sealed: Vec<u8> =
        on!(tx, c => template::table.find((shelf.0, series_no as i32, template_no as i32)).select(template::sealed).first(*c))?;
    let place = Place { kind: "template", shelf, id: &template_id(series_no, template_no), version: 1 };
    let text = String::from_utf8(keys.body.open_packed(place, &sealed)?).map_err(Error::bug)?;
    Ok(Arc::new(Template::read(text)?))
}

/// The arrival of a change; answers its place in the feed.
pub fn feed_insert(tx: &mut Tx<'_>, shelf: Shelf, kind: FeedKind, bloom: u64) -> Result<i64> {
    let row = (
        feed::committed_at.eq(tx.committed_at()),
        feed::shelf.eq(shelf.0),
        feed::kind.eq(kind as i16),
        feed::bloom.eq(bloom as i64),
        feed::extent.eq(Vec::<u8>::new()),
    );
    on!(tx, c => diesel::insert_into(feed::table).values(row).returning(feed::seq).get_result(*c))
}

/// When the newest change was committed.
pub fn feed_newest(tx: &mut Tx<'_>) -> Result<Millis> {
    let newest = feed::table.select(feed::committed_at).order((feed::committed_at.desc(), feed::seq.desc()));
    let newest: Option<Millis> = on!(tx, c => newest.first(*c).optional())?;
    Ok(newest.unwrap_or(Millis::MIN))
}

/// The clear header of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub shelf: Shelf,
    pub seq: i64,
    pub committed_at: Millis,
    pub start_lo: Millis,
    pub start_hi: Millis,
    pub end_hi: Millis,
    pub bloom: u64,
    /// Does it hold a sample of version 2 or more? Only such a block can hide a sample of another.
    pub superseding: bool,
}

pub struct NewBlock<'a> {
    pub header: &'a Header,
    pub n: usize,
    /// Sorted 32-bit fingerprints of the record ids (see `fingerprint`).
    pub filter: &'a [u32],
    pub hot: Vec<u8>,
    /// The record ids of each `IDS_A_PIECE` rows.
    pub ids: Vec<Vec<u8>>,
}

/// So many record ids are sealed together: to render one Observation no more need to be opened.
/// With UUIDs it is one database page.
pub const IDS_A_PIECE: usize = 240;

pub fn block_insert(tx: &mut Tx<'_>, new: NewBlock<'_>) -> Result<()> {
    let header = new.header;
    tx.note_written(&new.hot);
    let filter: Vec<u8> = new.filter.iter().flat_map(|print| print.to_be_bytes()).collect();
    let row = (
        (block::shelf.eq(header.shelf.0), block::seq.eq(header.seq), block::committed_at.eq(header.committed_at)),
        (block::start_lo.eq(header.start_lo), block::start_hi.eq(header.start_hi), block::end_hi.eq(header.end_hi)),
        (block::n.eq(new.n as i32), block::bloom.eq(header.bloom as i64), block::superseding.eq(header.superseding)),
        (block::filter.eq(filter), block::hot.eq(new.hot)),
    );
    on!(tx, c => diesel::insert_into(block::table).values(row).execute(*c))?;
    for (piece, sealed) in new.ids.iter().enumerate() {
        tx.note_written(sealed);
        let row = (
            (block_ids::shelf.eq(header.shelf.0), block_ids::seq.eq(header.seq)),
            (block_ids::piece.eq(piece as i32), block_ids::sealed.eq(sealed)),
        );
        on!(tx, c => diesel::insert_into(block_ids::table).values(row).execute(*c))?;
    }
    Ok(())
}

/// The place of a block's hot part.
pub fn hot_place(shelf: Shelf, seq: &[u8; 8]) -> Place<'_> {
    Place { kind: "block-hot", shelf, id: seq, version: 1 }
}

/// The place of one piece of a block's record ids; `at` is made by `piece_id`.
pub fn ids_place(shelf: Shelf, at: &[u8; 12]) -> Place<'_> {
    Place { kind: "block-ids", shelf, id: at, version: 1 }
}

pub fn piece_id(seq: i64, piece: usize) -> [u8; 12] {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&seq.to_be_bytes());
    id[8..].copy_from_slice(&(piece as u32).to_be_bytes());
    id
}

pub fn hot(tx: &mut Tx<'_>, keys: &ShelfKeys, shelf: Shelf, seq: i64) -> Result<Block> {
    let sealed: Vec<u8> = on!(tx, c => block::table.find((shelf.0, seq)).select(block::hot).first(*c))?;
    Block::decode(&keys.body.open(hot_place(shelf, &seq.to_be_bytes()), &sealed)?)
}

/// The record ids of one block, opened piece by piece as its rows are asked for.
#[derive(Default)]
pub struct BlockIds(HashMap<usize, RecordIds>);

impl BlockIds {
    /// The ids of a row, the identifying one first.
    pub fn of(&mut self, tx: &mut Tx<'_>, keys: &ShelfKeys, at: (Shelf, i64), row: usize) -> Result<Vec<RecordId<'_>>> {
        let (shelf, seq) = at;
        let piece = match self.0.entry(row / IDS_A_PIECE) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let piece = *place.key();
                let find = block_ids::table.find((shelf.0, seq, piece as i32)).select(block_ids::sealed);
                let sealed: Vec<u8> = on!(tx, c => find.first(*c))?;
                place.insert(RecordIds::decode(keys.body.open(ids_place(shelf, &piece_id(seq, piece)), &sealed)?)?)
            }
        };
        Ok(piece.of(row % IDS_A_PIECE).collect())
    }
}

/// 32 bits of a record id under the shelf's index key: says which blocks may hold the record.
pub fn fingerprint(keys: &ShelfKeys, record: &str) -> u32 {
    (keys.index.hash("record", &[record.as_bytes()]) >> 32) as u32
}

type FilterRow = (i64, i64, i64, i64, Vec<u8>);

/// What a block may hold: when it was committed, its window of starts, the sorted fingerprints of its records.
pub struct Prints {
    pub seq: i64,
    pub committed_at: Millis,
    pub window: (Millis, Millis),
    pub prints: Vec<u32>,
}

/// Every block of the shelf, newest first.
pub fn filters(tx: &mut Tx<'_>, shelf: Shelf) -> Result<Vec<Prints>> {
    let rows: Vec<FilterRow> = on!(tx, c => block::table
        .filter(block::shelf.eq(shelf.0))
        .select((block::seq, block::committed_at, block::start_lo, block::start_hi, block::filter))
        .order(block::seq.desc())
        .load(*c))?;
    let one = |(seq, committed_at, lo, hi, bytes): FilterRow| Prints { seq, committed_at, window: (lo, hi), prints: prints(&bytes) };
    Ok(rows.into_iter().map(one).collect())
}

/// The sorted fingerprints of one block.
pub fn filter(tx: &mut Tx<'_>, shelf: Shelf, seq: i64) -> Result<Vec<u32>> {
    let bytes: Vec<u8> = on!(tx, c => block::table.find((shelf.0, seq)).select(block::filter).first(*c))?;
    Ok(prints(&bytes))
}

fn prints(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_be_bytes(*chunk)).collect()
}

/// Blocks of the shelf in which some sample starts at this millisecond, newest first.
pub fn covering(tx: &mut Tx<'_>, shelf: Shelf, start: Millis) -> Result<Vec<Header>> {
    let rows: Vec<HeaderRow> = on!(tx, c => block::table
        .filter(block::shelf.eq(shelf.0).and(block::start_lo.le(start)).and(block::start_hi.ge(start)))
        .select(HEADER)
        .order(block::seq.desc())
        .load(*c))?;
    Ok(rows.into_iter().map(Header::from_row).collect())
}

pub(super) type HeaderRow = (i64, i64, i64, i64, i64, i64, i64, bool);
pub(super) const HEADER: (
    block::shelf,
    block::seq,
    block::committed_at,
    block::start_lo,
    block::start_hi,
    block::end_hi,
    block::bloom,
    block::superseding,
) = (block::shelf, block::seq, block::committed_at, block::start_lo, block::start_hi, block::end_hi, block::bloom, block::superseding);

impl Header {
    pub(super) fn from_row(row: HeaderRow) -> Header {
        let (shelf, seq, committed_at, start_lo, start_hi, end_hi, bloom, superseding) = row;
        Header { shelf: Shelf(shelf), seq, committed_at, start_lo, start_hi, end_hi, bloom: bloom as u64, superseding }
    }
}

/// What became of a sample's Observation when it no longer is a view of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideKind {
    /// A later upload moved its start or series, or its content fits no column.
    Correction = 1,
    /// Somebody changed it through FHIR: later uploads of the record do not undo that.
    Edited = 2,
    /// Somebody deleted it through FHIR.
    Deleted = 3,
    /// Half a panel that stood alone and stands in its parent's panel now: nothing finds the row any more.
    Withdrawn = 4,
}

impl OverrideKind {
    const ALL: [OverrideKind; 4] = [OverrideKind::Correction, OverrideKind::Edited, OverrideKind::Deleted, OverrideKind::Withdrawn];
}

/// Places of a shelf, as (series, start, discriminator), and what became of them.
pub type Overrides = HashMap<(u32, i64, u32), OverrideKind>;

/// The last one counts: an edit replaces a correction.
pub fn override_insert(tx: &mut Tx<'_>, at: Address, kind: OverrideKind) -> Result<()> {
    let before = sample_override::table.find((at.shelf.0, at.series as i32, at.start, at.disc as i32));
    on!(tx, c => diesel::delete(before).execute(*c))?;
    let row = (
        sample_override::shelf.eq(at.shelf.0),
        sample_override::series_no.eq(at.series as i32),
        sample_override::start.eq(at.start),
        sample_override::disc.eq(at.disc as i32),
        sample_override::kind.eq(kind as i16),
    );
    on!(tx, c => diesel::insert_into(sample_override::table).values(row).execute(*c))?;
    Ok(())
}

/// Is the sample at this place hidden behind a document?
pub fn overridden(tx: &mut Tx<'_>, at: Address) -> Result<Option<i16>> {
    let find = sample_override::table.find((at.shelf.0, at.series as i32, at.start, at.disc as i32)).select(sample_override::kind);
    on!(tx, c => find.first(*c).optional())
}

/// The places of a shelf whose samples are hidden behind a document.
pub fn overrides(tx: &mut Tx<'_>, shelf: Shelf) -> Result<Overrides> {
    let rows: Vec<(i32, i64, i32, i16)> = on!(tx, c => sample_override::table
        .filter(sample_override::shelf.eq(shelf.0))
        .select((sample_override::series_no, sample_override::start, sample_override::disc, sample_override::kind))
        .load(*c))?;
    let one = |(series, start, disc, kind): (i32, i64, i32, i16)| {
        let kind = OverrideKind::ALL.into_iter().find(|known| *known as i16 == kind);
        Ok(((series as u32, start, disc as u32), kind.ok_or_else(|| Error::bug("an override has an unknown kind"))?))
    };
    rows.into_iter().map(one).collect()
}

/// The two bits of a coding in a bloom: with its system, and by its code alone.
pub fn bloom(vault: &Vault, param: &str, system: &str, code: &str) -> u64 {
    bloom_bit(vault, param, Some(system), code) | bloom_bit(vault, param, None, code)
}

pub fn bloom_bit(vault: &Vault, param: &str, system: Option<&str>, code: &str) -> u64 {
    let system: &[u8] = system.map_or(&[], str::as_bytes);
    1 << (vault.index().hash("bloom", &[param.as_bytes(), system, code.as_bytes()]) & 63)
}

/// The sealed identity of a series.
pub fn series_sealed(tx: &mut Tx<'_>, shelf: Shelf, no: u32) -> Result<Vec<u8>> {
    on!(tx, c => series::table.find((shelf.0, no as i32)).select(series::sealed).first(*c))
}
