//! The audit log's rows: sealed blocks of entries, and the index that is made from them afterwards.

use diesel::prelude::*;

use super::schema::{audit_block, audit_index, audit_pending};
use super::{Conn, Tx};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{EntryId, Shelf};
use crate::vault::{Place, Vault, digest};

const DAY_MS: i64 = 86_400_000;

/// A block as it is read back.
pub struct Stored {
    pub block: i64,
    node: Vec<u8>,
    recorded_hi: Millis,
    leaves: Vec<u8>,
    sealed: Vec<u8>,
}

/// RFC 9162 leaf hash: SHA-256 of 0x00 and the entry.
pub fn leaf(entry: &[u8]) -> [u8; 32] {
    digest(&[&[0], entry])
}

/// Seals the entries of one commit as one row, with one leaf hash each, and marks it for the index.
pub fn insert_block(tx: &mut Tx<'_>, vault: &Vault, node: &[u8; 8], entries: &[(Millis, Vec<u8>)]) -> Result<()> {
    let (Some(lo), Some(hi)) = (entries.iter().map(|e| e.0).min(), entries.iter().map(|e| e.0).max()) else { return Ok(()) };
    let mut clear = Vec::new();
    let mut leaves = Vec::with_capacity(entries.len() * 32);
    for (_, entry) in entries {
        clear.extend_from_slice(&(entry.len() as u32).to_be_bytes());
        clear.extend_from_slice(entry);
        leaves.extend_from_slice(&leaf(entry));
    }
    // Bound to its leaves, which are unique: block numbers are only known after the insert.
    let sealed = vault.day("audit", hi / DAY_MS, node)?.seal_packed(vault.chance, place(&leaves), &clear)?;
    let row = (
        audit_block::node.eq(node.as_slice()),
        audit_block::recorded_lo.eq(lo),
        audit_block::recorded_hi.eq(hi),
        audit_block::n.eq(entries.len() as i32),
        audit_block::leaves.eq(&leaves),
        audit_block::sealed.eq(sealed),
    );
    let block: i64 = on!(tx, c => diesel::insert_into(audit_block::table).values(row).returning(audit_block::block).get_result(*c))?;
    on!(tx, c => diesel::insert_into(audit_pending::table).values(audit_pending::block.eq(block)).execute(*c))?;
    Ok(())
}

fn place(leaves: &[u8]) -> Place<'_> {
    Place { kind: "audit-block", shelf: Shelf(0), id: leaves, version: 1 }
}

impl Stored {
    /// The entries, each checked against its leaf hash.
    pub fn open(&self, vault: &Vault) -> Result<Vec<Vec<u8>>> {
        let clear = vault.day("audit", self.recorded_hi / DAY_MS, &self.node)?.open_packed(place(&self.leaves), &self.sealed)?;
        let mut entries = Vec::new();
        let mut rest = clear.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (entry, after) = after.split_at_checked(length).ok_or_else(|| Error::bug("an audit block is cut"))?;
            entries.push(entry.to_vec());
            rest = after;
        }
        let leaves: Vec<u8> = entries.iter().flat_map(|entry| leaf(entry)).collect();
        if leaves == self.leaves { Ok(entries) } else { Err(Error::bug("audit entries do not match their leaf hashes")) }
    }
}

/// Blocks up to `newest` that the index has not seen, oldest first.
pub fn pending(tx: &mut Tx<'_>, newest: i64, limit: i64) -> Result<Vec<i64>> {
    let upto = audit_pending::table.filter(audit_pending::block.le(newest));
    on!(tx, c => upto.select(audit_pending::block).order(audit_pending::block).limit(limit).load(*c))
}

/// The newest block that the index has not seen; 0 when it has seen all.
pub fn pending_newest(tx: &mut Tx<'_>) -> Result<i64> {
    let newest: Option<i64> = on!(tx, c => audit_pending::table.select(diesel::dsl::max(audit_pending::block)).first(*c))?;
    Ok(newest.unwrap_or(0))
}

pub fn pending_count(tx: &mut Tx<'_>) -> Result<i64> {
    on!(tx, c => audit_pending::table.count().get_result(*c))
}

pub fn pending_done(tx: &mut Tx<'_>, blocks: &[i64]) -> Result<()> {
    on!(tx, c => diesel::delete(audit_pending::table.filter(audit_pending::block.eq_any(blocks.to_vec()))).execute(*c))?;
    Ok(())
}

type BlockRow = (i64, Vec<u8>, i64, Vec<u8>, Vec<u8>);

pub fn blocks(tx: &mut Tx<'_>, which: &[i64]) -> Result<Vec<Stored>> {
    let rows: Vec<BlockRow> = on!(tx, c => audit_block::table
        .filter(audit_block::block.eq_any(which.to_vec()))
        .select((audit_block::block, audit_block::node, audit_block::recorded_hi, audit_block::leaves, audit_block::sealed))
        .order(audit_block::block)
        .load(*c))?;
    Ok(rows.into_iter().map(|(block, node, recorded_hi, leaves, sealed)| Stored { block, node, recorded_hi, leaves, sealed }).collect())
}

/// One row of the index: an entry, seen from one patient (16 zero bytes: no patient).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexRow {
    pub entry: [u8; 16],
    pub patient: [u8; 16],
    pub origin: i16,
    pub block: i64,
    pub ordinal: i32,
}

/// Adds the rows of blocks that are not there yet. All rows of a block are given together.
pub fn index_insert(tx: &mut Tx<'_>, rows: &[IndexRow]) -> Result<()> {
    macro_rules! values {
        ($row:expr) => {
            (
                audit_index::entry.eq($row.entry.as_slice()),
                audit_index::patient.eq($row.patient.as_slice()),
                audit_index::origin.eq($row.origin),
                audit_index::block.eq($row.block),
                audit_index::ordinal.eq($row.ordinal),
            )
        };
    }
    match &mut tx.conn {
        // Another process may be at the same blocks.
        Conn::Pg(c) => rows.chunks(1_000).try_for_each(|rows| {
            let values: Vec<_> = rows.iter().map(|row| values!(row)).collect();
            diesel::insert_into(audit_index::table).values(values).on_conflict_do_nothing().execute(*c).map(|_| ())
        }),
        // The write lock is held, and what was indexed before a crash was indexed by whole blocks.
        Conn::Sqlite(c) => rows.chunk_by(|a, b| a.block == b.block).try_for_each(|rows| {
            let Some(first) = rows.first() else { return Ok(()) };
            let there = audit_index::table.find((first.entry.as_slice(), first.patient.as_slice()));
            if diesel::select(diesel::dsl::exists(there)).get_result(*c)? {
                return Ok(());
            }
            rows.iter().try_for_each(|row| diesel::insert_into(audit_index::table).values(values!(row)).execute(*c).map(|_| ()))
        }),
    }
    .map_err(super::failed)
}

/// What an AuditEvent search asks of the index. `after` is the last row of the page before.
pub struct Window {
    pub from: Millis,
    pub to: Millis,
    pub patient: Option<[u8; 16]>,
    pub entry: Option<[u8; 16]>,
    pub descending: bool,
    pub after: Option<([u8; 16], [u8; 16])>,
    pub limit: i64,
}

type IndexTuple = (Vec<u8>, Vec<u8>, i16, i64, i32);

/// Rows of the window in the order of (entry, patient), which is that of time.
pub fn index_page(tx: &mut Tx<'_>, window: &Window) -> Result<Vec<IndexRow>> {
    macro_rules! run {
        ($conn:expr) => {{
            let mut query = audit_index::table.into_boxed();
            if window.from > 0 {
                query = query.filter(audit_index::entry.ge(EntryId::first(window.from).to_vec()));
            }
            if window.to < i64::MAX {
                query = query.filter(audit_index::entry.lt(EntryId::first(window.to).to_vec()));
            }
            if let Some(patient) = &window.patient {
                query = query.filter(audit_index::patient.eq(patient.as_slice()));
            }
            if let Some(entry) = &window.entry {
                query = query.filter(audit_index::entry.eq(entry.as_slice()));
            }
            if let Some((entry, patient)) = &window.after {
                let (entry, patient) = (entry.as_slice(), patient.as_slice());
                query = if window.descending {
                    query.filter(audit_index::entry.le(entry)).filter(audit_index::entry.lt(entry).or(audit_index::patient.lt(patient)))
                } else {
                    query.filter(audit_index::entry.ge(entry)).filter(audit_index::entry.gt(entry).or(audit_index::patient.gt(patient)))
                };
            }
            query = if window.descending {
                query.order((audit_index::entry.desc(), audit_index::patient.desc()))
            } else {
                query.order((audit_index::entry.asc(), audit_index::patient.asc()))
            };
            query.limit(window.limit).load::<IndexTuple>($conn)
        }};
    }
    let rows = on!(tx, c => run!(*c))?;
    rows.into_iter()
        .map(|(entry, patient, origin, block, ordinal)| {
            let sixteen = |bytes: Vec<u8>| <[u8; 16]>::try_from(bytes).map_err(|_| Error::bug("an audit index id is not 16 bytes"));
            Ok(IndexRow { entry: sixteen(entry)?, patient: sixteen(patient)?, origin, block, ordinal })
        })
        .collect()
}
