//! The index of the audit log: made from blocks after they are committed, never before.

use std::sync::{Arc, Mutex, PoisonError};

use super::Entry;
use crate::error::Result;
use crate::store::audit::{self, IndexRow};
use crate::store::{AuditConn, Db, Tx};
use crate::vault::Vault;

/// A block of the main database: entries of writes.
pub(super) const MAIN: i16 = 1;
/// A block of the audit log's own database (SQLite): entries of reads.
pub(super) const APART: i16 = 2;

/// Blocks a transaction: the rows of many share the pages that they change.
const BATCH: i64 = 1_024;
/// The same on SQLite, where who reads waits until his entry can be written to the same file.
const BATCH_APART: i64 = 64;

pub struct Index {
    pub(super) db: Db,
    pub(super) vault: Arc<Vault>,
    /// Whoever brings the index up to date holds it; the others wait and find little left to do.
    conn: Mutex<Option<AuditConn>>,
}

/// Blocks that the index has not seen, and the rows that they make.
struct Pending {
    blocks: Vec<i64>,
    rows: Vec<IndexRow>,
}

impl Index {
    pub fn new(db: Db, vault: Arc<Vault>) -> Index {
        Index { db, vault, conn: Mutex::new(None) }
    }

    /// Brings the index up to every block that is committed now. Safe in several processes at once.
    pub fn catch_up(&self) -> Result<()> {
        let mut kept = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = if self.db.audit_is_apart() { BATCH_APART } else { BATCH };
        let newest = (self.db.read("audit.newest", audit::pending_newest)?, self.db.read_audit(audit::pending_newest)?);
        loop {
            let main = self.db.read("audit.pending", |tx| self.pending(tx, MAIN, (newest.0, limit)))?;
            let apart = if self.db.audit_is_apart() {
                self.db.read_audit(|tx| self.pending(tx, APART, (newest.1, limit)))?
            } else {
                Pending { blocks: Vec::new(), rows: Vec::new() }
            };
            if main.blocks.is_empty() && apart.blocks.is_empty() {
                return Ok(());
            }
            let mut conn = match kept.take() {
                Some(conn) => conn,
                None => self.db.audit_connection()?,
            };
            conn.commit(0, |tx| {
                audit::index_insert(tx, &main.rows)?;
                audit::index_insert(tx, &apart.rows)?;
                audit::pending_done(tx, if self.db.audit_is_apart() { &apart.blocks } else { &main.blocks })
            })?;
            // A connection that failed is not used again.
            *kept = Some(conn);
            if self.db.audit_is_apart() && !main.blocks.is_empty() {
                self.db.write("audit.pending.done", move |tx| audit::pending_done(tx, &main.blocks))?;
            }
        }
    }

    /// One row for each patient of an entry.
    fn pending(&self, tx: &mut Tx<'_>, origin: i16, upto: (i64, i64)) -> Result<Pending> {
        let (newest, limit) = upto;
        let blocks = audit::pending(tx, newest, limit)?;
        let mut rows = Vec::new();
        for block in audit::blocks(tx, &blocks)? {
            for (ordinal, bytes) in block.open(&self.vault)?.iter().enumerate() {
                let entry = Entry::decode(bytes)?;
                let id = entry.entry_id()?.0;
                let patients = entry.patient_ids()?;
                let row = |patient: [u8; 16]| IndexRow { entry: id, patient, origin, block: block.block, ordinal: ordinal as i32 };
                if patients.is_empty() {
                    rows.push(row([0; 16]));
                }
                rows.extend(patients.iter().map(|patient| row(patient.0)));
            }
        }
        Ok(Pending { blocks, rows })
    }
}
