//! Uploads: the raw body is sealed before it is acknowledged, its records are judged one by one,
//! and what became of them is counted. A clean body of up to 64 KiB is processed in the
//! transaction that acknowledges it, a larger one by a worker.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::raw::{Kept, Raw, Segments, Tee, segment_id};
use super::samples::{self, Fate};
use crate::audit::{Did, Entry};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{EntryId, Shelf, UploadId, UserId};
use crate::ingest::{self, Envelope, Provider};
use crate::mapping::{Mappings, Measured, Refusal};
use crate::store::keys::Whose;
use crate::store::uploads::{self, Counts, New, Stage, Upload};
use crate::store::{Db, Tx, keys};
use crate::vault::{Place, ShelfKeys, Vault};

/// A body up to this many bytes is processed before it is acknowledged.
pub const AT_ONCE: usize = 64 * 1024;
/// Records a write transaction takes at most, so that no other write waits long.
const SLICE: usize = 4_096;
/// Notices are kept in lists of at most this many bytes (or one notice): who reads them holds one list.
const LIST: usize = 64 * 1024;

/// Whose upload it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub user: UserId,
    pub whose: Whose,
    pub shelf: Shelf,
}

/// The envelope and where it came from, kept sealed: provider names are never in clear.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detail {
    pub provider: String,
    pub source: String,
    #[serde(default)]
    pub sdk_version: Option<String>,
    #[serde(default)]
    pub sync_timestamp: Option<String>,
}

/// A body that was read once: judged by its envelope, sealed, not yet acknowledged.
pub struct Received {
    pub id: UploadId,
    pub envelope: Envelope,
    pub bytes: usize,
    body_hash: [u8; 32],
    raw: Kept,
    small: Option<Vec<u8>>,
}

/// Reads a body to its end: `Kind::Syntax`, `Kind::Envelope`, or what the reader itself raises. What does not
/// fit in memory is spooled, sealed, in the folder.
pub fn receive(vault: &Vault, keys: &ShelfKeys, owner: Owner, body: impl Read, folder: &Path) -> Result<Received> {
    let id = UploadId::from_random(vault.chance.bytes()?);
    let mut tee = Tee::new(body, Raw::new((vault, keys), (owner.shelf, id), folder), AT_ONCE);
    let envelope = ingest::check(&mut tee)?;
    let passed = tee.end()?;
    Ok(Received { id, envelope, bytes: passed.bytes, body_hash: passed.hash, raw: passed.kept, small: passed.small })
}

/// One record with what the mappings made of it.
#[derive(Clone)]
struct Item {
    list: String,
    index: usize,
    kind: String,
    outcome: std::result::Result<Vec<Measured>, Refusal>,
}

/// What an uploader is told of one record.
#[derive(Serialize)]
struct Notice<'a> {
    list: &'a str,
    index: usize,
    #[serde(rename = "type")]
    kind: &'a str,
    code: &'static str,
    reason: String,
    remedy: &'static str,
}

/// Of which records an uploader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Those that were refused.
    Refused,
    /// Those whose Observation was written through FHIR and is left as it is.
    Kept,
}

impl Told {
    /// What stands around the notices of a list, and so tells one kind of list from the other.
    const fn marks(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Told::Refused => (b"[", b"]"),
            Told::Kept => (b"{\"kept\":[", b"]}"),
        }
    }
}

/// What acknowledging came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub upload: UploadId,
    /// The same bytes were there already.
    pub again: bool,
    /// A worker must process it.
    pub waits: bool,
}

/// The kind of the job that processes an upload.
pub const JOB: i16 = 1;

/// Everything `accept` needs, prepared outside the transaction.
pub struct Prepared {
    owner: Owner,
    received: Received,
    items: Option<Vec<Item>>,
}

/// Maps a small body now, so that the transaction only stores.
pub fn prepare(mappings: &Mappings, owner: Owner, received: Received) -> Result<Prepared> {
    let items = match &received.small {
        None => None,
        Some(body) => {
            let mut items = Vec::new();
            cut(body.as_slice(), received.envelope.provider, mappings, &mut |item| {
                items.push(item);
                Ok(())
            })?;
            Some(items)
        }
    };
    Ok(Prepared { owner, received, items })
}

fn cut(body: impl Read, provider: Provider, mappings: &Mappings, sink: &mut dyn FnMut(Item) -> Result<()>) -> Result<()> {
    ingest::read(body, provider, mappings, &mut |judged| {
        sink(Item { list: judged.list.to_owned(), index: judged.index, kind: judged.kind.to_owned(), outcome: judged.outcome })
    })
}

/// Acknowledges: the sealed body, its outcome or the job, in one transaction.
pub fn accept(tx: &mut Tx<'_>, vault: &Vault, prepared: &Prepared, source: &str) -> Result<Accepted> {
    let Prepared { owner, received, items } = prepared;
    let wrapped = keys::shelf_lock(tx, owner.shelf)?;
    if let Some(upload) = uploads::by_body(tx, owner.shelf, &received.body_hash)? {
        return Ok(Accepted { upload, again: true, waits: false });
    }
    let keys = vault.shelf(owner.shelf, &wrapped)?;
    let detail = Detail {
        provider: received.envelope.provider.name().into(),
        source: source.into(),
        sdk_version: received.envelope.sdk_version.clone(),
        sync_timestamp: received.envelope.sync_timestamp.clone(),
    };
    let detail =
        keys.body.seal(vault.chance, detail_place(owner.shelf, &received.id), &serde_json::to_vec(&detail).map_err(Error::bug)?)?;
    let new = New {
        id: received.id,
        shelf: owner.shelf,
        user: owner.user,
        body_hash: &received.body_hash,
        items: u32::try_from(received.envelope.items_total).map_err(Error::bug)?,
        detail: &detail,
        segments: received.raw.segments(),
        raw: &|no| received.raw.read(no),
    };
    uploads::accept(tx, &new)?;
    let counts = Counts { items: new.items, ..Counts::default() };
    match items {
        Some(items) => slice(tx, vault, &Work { id: received.id, owner: *owner, counts, last: true, as_of: None }, items).map(|_| ())?,
        None => uploads::job_insert(tx, JOB, &received.id.0, tx.committed_at())?,
    }
    Ok(Accepted { upload: received.id, again: false, waits: items.is_none() })
}

fn detail_place(shelf: Shelf, upload: &UploadId) -> Place<'_> {
    Place { kind: "upload", shelf, id: &upload.0, version: 1 }
}

/// A slice of an upload that is about to be stored.
struct Work {
    id: UploadId,
    owner: Owner,
    counts: Counts,
    last: bool,
    /// When it was done before, if this is a replay.
    as_of: Option<Millis>,
}

/// Stores the samples of some records, notes what their uploader is told of them and how far the upload is.
fn slice(tx: &mut Tx<'_>, vault: &Vault, work: &Work, items: &[Item]) -> Result<Counts> {
    let measured: Vec<Measured> = items.iter().filter_map(|item| item.outcome.as_ref().ok()).flatten().cloned().collect();
    let fates = samples::store(tx, vault, (work.owner.shelf, work.owner.whose.born), &measured, work.as_of)?;
    let mut fates = fates.into_iter();
    let (mut counts, mut refused, mut kept) = (work.counts, Vec::new(), Vec::new());
    for item in items {
        counts.done += 1;
        match &item.outcome {
            Ok(made) => {
                let of_item: Vec<Fate> = fates.by_ref().take(made.len()).collect();
                let count = if of_item.contains(&Fate::Stored) {
                    &mut counts.stored
                } else if of_item.contains(&Fate::Corrected) {
                    &mut counts.corrected
                } else {
                    &mut counts.unchanged
                };
                *count += 1;
                if let Some((kind, says)) = of_item.iter().find_map(|fate| left_alone(vault, *fate)) {
                    append(&mut kept, counts.done, &told(item, kind, says))?;
                }
            }
            Err(refusal) => {
                counts.refused += 1;
                let reason = refusal.at.as_ref().map_or_else(|| refusal.reason.clone(), |at| format!("{at}: {}", refusal.reason));
                append(&mut refused, counts.done, &told(item, refusal.kind, reason))?;
            }
        }
    }
    keep(tx, vault, work, (Told::Refused, &refused))?;
    keep(tx, vault, work, (Told::Kept, &kept))?;
    let before = work.counts;
    for (outcome, n) in [
        ("stored", counts.stored - before.stored),
        ("unchanged", counts.unchanged - before.unchanged),
        ("corrected", counts.corrected - before.corrected),
        ("refused", counts.refused - before.refused),
    ] {
        metrics::counter!("firth_records_total", "outcome" => outcome).increment(u64::from(n));
    }
    uploads::progress(tx, work.id, if work.last { Stage::Completed } else { Stage::Saving }, counts)?;
    Ok(counts)
}

/// Adds a notice to the last list, or to a new one when that is full. A list goes by how far the upload was, which is
/// the record of its last notice: no two lists share that.
fn append(lists: &mut Vec<(u32, Vec<u8>)>, done: u32, notice: &Notice<'_>) -> Result<()> {
    let text = serde_json::to_vec(notice).map_err(Error::bug)?;
    match lists.last_mut().filter(|(_, list)| list.len() + text.len() + 2 <= LIST) {
        Some((until, list)) => {
            list.push(b',');
            list.extend(text);
            *until = done;
        }
        None => lists.push((done, text)),
    }
    Ok(())
}

fn keep(tx: &mut Tx<'_>, vault: &Vault, work: &Work, what: (Told, &[(u32, Vec<u8>)])) -> Result<()> {
    let ((open, close), lists) = (what.0.marks(), what.1);
    if lists.is_empty() {
        return Ok(());
    }
    let wrapped = keys::shelf_key(tx, work.owner.shelf)?.ok_or_else(|| Error::bug("an upload has no shelf"))?;
    let keys = vault.shelf(work.owner.shelf, &wrapped)?;
    for (done, list) in lists {
        let id = segment_id(work.id, *done, false);
        let place = Place { kind: "refusals", shelf: work.owner.shelf, id: &id, version: 1 };
        let sealed = keys.body.seal_packed(vault.chance, place, &[open, list.as_slice(), close].concat())?;
        uploads::refusals_insert(tx, work.id, *done, &sealed)?;
    }
    Ok(())
}

fn told(item: &Item, kind: Kind, reason: String) -> Notice<'_> {
    let wire = kind.wire();
    Notice { list: &item.list, index: item.index, kind: &item.kind, code: wire.code, reason, remedy: wire.remedy }
}

fn left_alone(vault: &Vault, fate: Fate) -> Option<(Kind, String)> {
    let Fate::Kept(kind, address) = fate else { return None };
    let what = if kind == Kind::SampleDeleted { "deleted" } else { "edited" };
    Some((kind, format!("Observation/{} was {what} through FHIR", vault.sample_text(address))))
}

/// Processes an upload that waits, from where it was left; also a replay of a kept body.
/// Each committed slice leaves an audit entry like `entry`.
pub fn process(db: &Db, vault: &Arc<Vault>, mappings: &Mappings, of: (UploadId, &Entry)) -> Result<Counts> {
    let (id, entry) = of;
    let (upload, owner, keys) = db.read("upload.open", |tx| {
        let upload = uploads::get(tx, id)?.ok_or_else(|| Error::new(Kind::NotFound, "no such upload"))?;
        let (wrapped, whose) = keys::owned(tx, upload.shelf)?.ok_or_else(|| Error::bug("an upload's shelf has no patient"))?;
        let owner = Owner { user: upload.user, whose, shelf: upload.shelf };
        Ok((upload.clone(), owner, vault.shelf(upload.shelf, &wrapped)?))
    })?;
    let provider = detail(&keys, &upload)?.provider;
    let provider = Provider::parse(&provider).ok_or_else(|| Error::bug("an upload has an unknown provider"))?;
    let as_of = upload.ended_at;
    let (mut counts, mut waiting, mut seen) = (upload.counts, Vec::new(), 0u32);
    let body = Segments::of(db, &keys, (owner.shelf, id));
    let save = |items: Vec<Item>, counts: Counts, last: bool| {
        let (vault, entry) = (Arc::clone(vault), entry.clone());
        db.write("upload.slice", move |tx| {
            let counts = slice(tx, &vault, &Work { id, owner, counts, last, as_of }, &items)?;
            let entry = entry.again(EntryId::at(tx.committed_at(), vault.chance.bytes()?));
            entry.commit(tx, Did { patients: owner.whose.named(), ..Did::new(200, format!("upload/{id}")) })?;
            Ok(counts)
        })
    };
    cut(body, provider, mappings, &mut |item| {
        seen += 1;
        if seen <= upload.counts.done {
            return Ok(());
        }
        waiting.push(item);
        if waiting.len() == SLICE {
            counts = save(std::mem::take(&mut waiting), counts, false)?;
        }
        Ok(())
    })?;
    save(waiting, counts, true)
}

/// What an upload says of itself.
pub fn detail(keys: &ShelfKeys, upload: &Upload) -> Result<Detail> {
    serde_json::from_slice(&keys.body.open(detail_place(upload.shelf, &upload.id), &upload.detail)?).map_err(Error::bug)
}

/// The next list of what an upload's owner is told, after so many of its records: JSON objects with commas between them,
/// and how far it goes. `None` past the last one.
pub fn notices(db: &Db, keys: &ShelfKeys, upload: &Upload, which: (Told, u32)) -> Result<Option<(u32, Vec<u8>)>> {
    let ((open, close), mut after) = (which.0.marks(), which.1);
    loop {
        let next = db.read("upload.notices", |tx| uploads::refusals_next(tx, upload.id, after))?;
        // The counts that were told belong to what was done then.
        let Some((done, sealed)) = next.filter(|(done, _)| *done <= upload.counts.done) else { return Ok(None) };
        let id = segment_id(upload.id, done, false);
        let list = keys.body.open_packed(Place { kind: "refusals", shelf: upload.shelf, id: &id, version: 1 }, &sealed)?;
        if let Some(list) = list.strip_prefix(open).and_then(|list| list.strip_suffix(close)) {
            return Ok(Some((done, list.to_vec())));
        }
        after = done;
    }
}
