//! Documents: a new version with its search rows and its place in the feed.

use super::{consents, submitted};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::stamp::Stamp;
use crate::fhir::validate::object;
use crate::id::Shelf;
use crate::search::{IndexRow, Type, present};
use crate::store::blocks::{FeedKind, bloom, feed_insert};
use crate::store::documents::{self, FoundBy, Key, Live, body_place};
use crate::store::{Tx, keys};
use crate::vault::Vault;

/// A version to be written; `json` holds its id, versionId and lastUpdated already.
pub struct Put<'a> {
    pub key: Key,
    pub version: u32,
    pub json: &'a str,
    /// An update makes what was not there, or was deleted.
    pub upsert: bool,
}

/// Writes the version. The caller holds the shelf.
pub fn put(tx: &mut Tx<'_>, vault: &Vault, put: &Put<'_>) -> Result<()> {
    if put.version == 1 {
        documents::directory_insert(tx, &put.key, 1)?;
    }
    put_override(tx, vault, put)
}

/// A document that stands before a sample: its id is the sample's address, so no directory leads to it.
pub fn put_override(tx: &mut Tx<'_>, vault: &Vault, put: &Put<'_>) -> Result<()> {
    let document = object(put.json).ok_or_else(|| Error::bug("a document is not JSON"))?;
    write(tx, vault, put, &submitted::rows(put.key.resource, &document, ""))
}

/// Writes a version whose search rows are known.
pub fn write(tx: &mut Tx<'_>, vault: &Vault, put: &Put<'_>, rows: &[IndexRow]) -> Result<()> {
    let found_by = FoundBy::of(vault.index(), put.key.resource, rows);
    if found_by.restricts {
        consents::binds(rows, keys::whose(tx, put.key.shelf)?)?;
    }
    let seq = feed_insert(tx, put.key.shelf, FeedKind::Document, bits(vault, rows))?;
    let body = sealed(tx, vault, put)?;
    let live = live(put.key.resource, (put.version, seq, tx.committed_at()), rows);
    documents::insert(tx, (&put.key, put.upsert), live, &body, &found_by)
}

/// Writes that the resource is deleted; `json` is its last text, so that history can say what it was.
pub fn bury(tx: &mut Tx<'_>, vault: &Vault, put: &Put<'_>) -> Result<()> {
    let seq = feed_insert(tx, put.key.shelf, FeedKind::Document, 0)?;
    let body = sealed(tx, vault, put)?;
    documents::tombstone(tx, &put.key, (put.version, seq), &body)
}

/// The columns of a live version: its number, its place in the feed, when it was committed.
pub(super) fn live(of: Type, at: (u32, i64, Millis), rows: &[IndexRow]) -> Live {
    let ((version, seq, committed_at), (lo, hi)) = (at, effective(rows));
    Live { version, seq, committed_at, lo, hi, present: present(of, rows) }
}

pub(super) fn sealed(tx: &mut Tx<'_>, vault: &Vault, put: &Put<'_>) -> Result<Vec<u8>> {
    let keys = keys::opened(tx, vault, put.key.shelf)?.ok_or_else(|| Error::bug("a document has no shelf"))?;
    keys.body.seal_packed(vault.chance, body_place(put.key.shelf, &put.key.id, put.version), put.json.as_bytes())
}

/// The live text of a document; `None` when there is none.
pub fn current(tx: &mut Tx<'_>, vault: &Vault, key: &Key) -> Result<Option<(u32, String)>> {
    let Some(version) = documents::version(tx, key, None)? else { return Ok(None) };
    let wrapped = keys::shelf_key(tx, key.shelf)?.ok_or_else(|| Error::bug("a document has no shelf"))?;
    let shelf = vault.shelf(key.shelf, &wrapped)?;
    let body = shelf.body.open_packed(body_place(key.shelf, &key.id, version.version), &version.body)?;
    Ok(Some((version.version, String::from_utf8(body).map_err(Error::bug)?)))
}

/// A new random shelf with its key.
pub fn new_shelf(tx: &mut Tx<'_>, vault: &Vault) -> Result<(Shelf, Vec<u8>)> {
    loop {
        let shelf = Shelf(i64::from_be_bytes(vault.chance.bytes()?) & ((1 << Shelf::BITS) - 1));
        if shelf.0 != 0 && keys::shelf_key(tx, shelf)?.is_none() {
            return Ok((shelf, vault.new_shelf_key(shelf)?));
        }
    }
}

/// A commit stamp as FHIR writes an instant.
pub fn instant(ms: i64) -> String {
    Stamp { ms, sub_ms_nanos: 0, digits: 3, offset: None }.to_string()
}

/// The bits of its codes, for the feed.
pub(super) fn bits(vault: &Vault, rows: &[IndexRow]) -> u64 {
    rows.iter().fold(0, |bits, row| match row {
        IndexRow::Token { param, system: Some(system), code } if ["code", "category"].contains(param) => {
            bits | bloom(vault, param, system, code)
        }
        _ => bits,
    })
}

/// What a document is sorted and bounded by: the range of its parameter `date`, or nothing.
fn effective(rows: &[IndexRow]) -> (i64, i64) {
    let dates = rows.iter().filter_map(|row| if let IndexRow::Date { param: "date", range } = row { Some(range.millis()) } else { None });
    dates.reduce(|(lo, hi), (l, h)| (lo.min(l), hi.max(h))).unwrap_or((0, 0))
}
