//! The writer of read entries: group commit on a thread and a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;

use super::Entry;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::store::{AuditConn, Db, audit};
use crate::vault::Vault;

type Waiting = (Millis, Vec<u8>, oneshot::Sender<Result<()>>);

/// A group is closed when it has this many entries.
const GROUP: usize = 1_024;

#[derive(Clone)]
pub struct Log {
    entries: Sender<Waiting>,
    healthy: Arc<AtomicBool>,
}

/// Waits for the entry to be durable.
pub struct Receipt(oneshot::Receiver<Result<()>>);

impl Receipt {
    /// `Kind::Busy` when the entry could not be written: then the request must fail, too.
    pub async fn durable(self) -> Result<()> {
        self.0.await.map_err(|_| unwritten())?
    }

    pub fn wait(self) -> Result<()> {
        self.0.blocking_recv().map_err(|_| unwritten())?
    }
}

fn unwritten() -> Error {
    Error::new(Kind::Busy, "the audit log cannot be written")
}

impl Log {
    pub fn start(db: &Db, vault: Arc<Vault>, node: [u8; 8]) -> Result<Log> {
        let (entries, queue) = channel();
        let healthy = Arc::new(AtomicBool::new(true));
        let writer = Writer { conn: Some(db.audit_connection()?), db: db.clone(), vault, node, healthy: Arc::clone(&healthy) };
        thread::Builder::new().name("firth-audit".into()).spawn(move || writer.run(&queue)).map_err(Error::bug)?;
        Ok(Log { entries, healthy })
    }

    pub fn append(&self, entry: &Entry) -> Result<Receipt> {
        let (tell, receipt) = oneshot::channel();
        self.entries.send((entry.recorded, entry.encode()?, tell)).map_err(|_| unwritten())?;
        Ok(Receipt(receipt))
    }

    /// Did the last group commit?
    pub fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }
}

struct Writer {
    conn: Option<AuditConn>,
    db: Db,
    vault: Arc<Vault>,
    node: [u8; 8],
    healthy: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Waiting>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            metrics::histogram!("firth_audit_group_entries").record(group.len() as f64);
            let (entries, waiting): (Vec<_>, Vec<_>) = group.into_iter().map(|(at, entry, tell)| ((at, entry), tell)).unzip();
            let outcome = self.commit(&entries);
            self.healthy.store(outcome.is_ok(), Ordering::Relaxed);
            if let Err(e) = &outcome {
                tracing::error!(cause = ?e, "audit entries could not be written");
            }
            for tell in waiting {
                // A request that was given up needs no answer; its entry is kept all the same.
                let _ = tell.send(outcome.as_ref().copied().map_err(|_| unwritten()));
            }
        }
    }

    fn commit(&mut self, entries: &[(Millis, Vec<u8>)]) -> Result<()> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.db.audit_connection()?,
        };
        let now = entries.last().map_or(0, |entry| entry.0);
        conn.commit(now, |tx| audit::insert_block(tx, &self.vault, &self.node, entries))?;
        // A connection that failed is not used again.
        self.conn = Some(conn);
        Ok(())
    }
}
