//! The index of the audit log: made from blocks after they are committed, never before.

use super::Entry;
use crate::error::Result;
use crate::store::audit::{self, IndexRow};
use crate::store::{Db, Tx};
use crate::vault::Vault;

/// A block of the main database: entries of writes.
pub(super) const MAIN: i16 = 1;
/// A block of the audit log's own database (SQLite): entries of reads.
pub(super) const APART: i16 = 2;

const BATCH: i64 = 256;

/// Brings the index up to every block that is committed now. Safe to run twice at once.
pub fn catch_up(db: &Db, vault: &Vault) -> Result<()> {
    loop {
        let main = db.read("audit.pending", |tx| read_pending(tx, vault, MAIN))?;
        let apart = if db.audit_is_apart() { db.read_audit(|tx| read_pending(tx, vault, APART))? } else { (Vec::new(), Vec::new()) };
        if main.0.is_empty() && apart.0.is_empty() {
            return Ok(());
        }
        let mut conn = db.audit_connection()?;
        conn.commit(0, |tx| {
            audit::index_insert(tx, &main.1)?;
            audit::index_insert(tx, &apart.1)?;
            audit::pending_done(tx, if db.audit_is_apart() { &apart.0 } else { &main.0 })
        })?;
        if db.audit_is_apart() && !main.0.is_empty() {
            let done = main.0;
            db.write("audit.pending.done", move |tx| audit::pending_done(tx, &done))?;
        }
    }
}

/// Pending blocks and their index rows: one row for each patient of an entry.
fn read_pending(tx: &mut Tx<'_>, vault: &Vault, origin: i16) -> Result<(Vec<i64>, Vec<IndexRow>)> {
    let which = audit::pending(tx, BATCH)?;
    let mut rows = Vec::new();
    for block in audit::blocks(tx, &which)? {
        for (ordinal, bytes) in block.open(vault)?.iter().enumerate() {
            let entry = Entry::decode(bytes)?;
            let id = entry.entry_id()?.0;
            let patients = entry.patient_ids()?;
            let row = |patient: [u8; 16]| IndexRow {
                recorded: entry.recorded,
                entry: id,
                patient,
                origin,
                block: block.block,
                ordinal: ordinal as i32,
            };
            if patients.is_empty() {
                rows.push(row([0; 16]));
            }
            rows.extend(patients.iter().map(|patient| row(patient.0)));
        }
    }
    Ok((which, rows))
}
