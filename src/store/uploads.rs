//! Uploads: the sealed raw body, the counts, the refusals, and the jobs that wait.

use diesel::prelude::*;

use super::Tx;
use super::schema::{job, raw_segment, upload, upload_refusal};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{Shelf, UploadId, UserId};

/// Where an upload is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Queued = 1,
    Started = 2,
    Processing = 3,
    Saving = 4,
    Completed = 5,
    Failed = 6,
    Cancelled = 7,
}

impl Stage {
    const ALL: [Stage; 7] =
        [Stage::Queued, Stage::Started, Stage::Processing, Stage::Saving, Stage::Completed, Stage::Failed, Stage::Cancelled];

    pub const fn word(self) -> &'static str {
        match self {
            Stage::Queued => "queued",
            Stage::Started => "started",
            Stage::Processing => "processing",
            Stage::Saving => "saving",
            Stage::Completed => "completed",
            Stage::Failed => "failed",
            Stage::Cancelled => "cancelled",
        }
    }
}

/// Counts of source records. `stored + unchanged + corrected + refused` is `items` when it is completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub items: u32,
    pub done: u32,
    pub stored: u32,
    pub unchanged: u32,
    pub corrected: u32,
    pub refused: u32,
}

/// An upload's row.
#[derive(Clone, Debug)]
pub struct Upload {
    pub id: UploadId,
    pub shelf: Shelf,
    pub user: UserId,
    pub stage: Stage,
    pub accepted_at: Millis,
    pub started_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    pub counts: Counts,
    /// Provider, source and the rest of the envelope, sealed.
    pub detail: Vec<u8>,
}

pub struct New<'a> {
    pub id: UploadId,
    pub shelf: Shelf,
    pub user: UserId,
    pub body_hash: &'a [u8; 32],
    pub items: u32,
    pub detail: &'a [u8],
    /// How many sealed segments the raw body has, and each of them.
    pub segments: u32,
    pub raw: &'a dyn Fn(u32) -> Result<Vec<u8>>,
}

/// The upload of the same bytes for the same shelf, while its row exists.
pub fn by_body(tx: &mut Tx<'_>, shelf: Shelf, body_hash: &[u8; 32]) -> Result<Option<UploadId>> {
    let id: Option<Vec<u8>> = on!(tx, c => upload::table.filter(upload::shelf.eq(shelf.0).and(upload::body_hash.eq(body_hash.as_slice()))).select(upload::upload_).first(*c).optional())?;
    id.map(|id| UploadId::from_slice(&id)).transpose()
}

pub fn accept(tx: &mut Tx<'_>, new: &New<'_>) -> Result<()> {
    let row = (
        (
            upload::upload_.eq(new.id.0.as_slice()),
            upload::shelf.eq(new.shelf.0),
            upload::user_id.eq(new.user.0.as_slice()),
            upload::body_hash.eq(new.body_hash.as_slice()),
        ),
        (
            upload::stage.eq(Stage::Queued as i16),
            upload::accepted_at.eq(tx.committed_at()),
            upload::items.eq(new.items as i32),
            upload::done.eq(0),
        ),
        (upload::stored.eq(0), upload::unchanged.eq(0), upload::corrected.eq(0), upload::refused.eq(0), upload::detail.eq(new.detail)),
    );
    on!(tx, c => diesel::insert_into(upload::table).values(row).execute(*c))?;
    for no in 0..new.segments {
        let segment = (new.raw)(no)?;
        tx.note_written(&segment);
        let row = (raw_segment::upload.eq(new.id.0.as_slice()), raw_segment::no.eq(no as i32), raw_segment::sealed.eq(segment));
        on!(tx, c => diesel::insert_into(raw_segment::table).values(row).execute(*c))?;
    }
    Ok(())
}

type Row = (Vec<u8>, i64, Vec<u8>, i16, i64, Option<i64>, Option<i64>, (i32, i32, i32, i32, i32, i32), Vec<u8>);

pub fn get(tx: &mut Tx<'_>, id: UploadId) -> Result<Option<Upload>> {
    let columns = (
        upload::upload_,
        upload::shelf,
        upload::user_id,
        upload::stage,
        upload::accepted_at,
        upload::started_at,
        upload::ended_at,
        (upload::items, upload::done, upload::stored, upload::unchanged, upload::corrected, upload::refused),
        upload::detail,
    );
    let row: Option<Row> = on!(tx, c => upload::table.find(id.0.as_slice()).select(columns).first(*c).optional())?;
    let Some((id, shelf, user, stage, accepted_at, started_at, ended_at, n, detail)) = row else { return Ok(None) };
    let counts = Counts {
        items: n.0 as u32,
        done: n.1 as u32,
        stored: n.2 as u32,
        unchanged: n.3 as u32,
        corrected: n.4 as u32,
        refused: n.5 as u32,
    };
    let stage = Stage::ALL.into_iter().find(|known| *known as i16 == stage).ok_or_else(|| Error::bug("an upload has an unknown stage"))?;
    Ok(Some(Upload {
        id: UploadId::from_slice(&id)?,
        shelf: Shelf(shelf),
        user: UserId::from_slice(&user)?,
        stage,
        accepted_at,
        started_at,
        ended_at,
        counts,
        detail,
    }))
}

/// Uploads that have a raw body, oldest first: what a replay goes through.
pub fn kept(tx: &mut Tx<'_>) -> Result<Vec<UploadId>> {
    let ids: Vec<Vec<u8>> = on!(tx, c => upload::table.select(upload::upload_).order((upload::accepted_at, upload::upload_)).load(*c))?;
    ids.iter().map(|id| UploadId::from_slice(id)).collect()
}

/// Notes how far an upload is. The counts are those of all its slices so far.
pub fn progress(tx: &mut Tx<'_>, id: UploadId, stage: Stage, counts: Counts) -> Result<()> {
    let at = tx.committed_at();
    let columns = (
        (upload::stage.eq(stage as i16), upload::items.eq(counts.items as i32), upload::done.eq(counts.done as i32)),
        (
            upload::stored.eq(counts.stored as i32),
            upload::unchanged.eq(counts.unchanged as i32),
            upload::corrected.eq(counts.corrected as i32),
            upload::refused.eq(counts.refused as i32),
        ),
    );
    on!(tx, c => diesel::update(upload::table.find(id.0.as_slice())).set(columns).execute(*c))?;
    on!(tx, c => diesel::update(upload::table.find(id.0.as_slice()).filter(upload::started_at.is_null())).set(upload::started_at.eq(at)).execute(*c))?;
    if matches!(stage, Stage::Completed | Stage::Failed | Stage::Cancelled) {
        // A replay does not change when the upload was first done: what came after that is newer.
        let first = upload::table.find(id.0.as_slice()).filter(upload::ended_at.is_null());
        on!(tx, c => diesel::update(first).set(upload::ended_at.eq(at)).execute(*c))?;
    }
    Ok(())
}

/// What an uploader is told of some records, sealed; `done` is the last of them and so names the list.
pub fn refusals_insert(tx: &mut Tx<'_>, id: UploadId, done: u32, sealed: &[u8]) -> Result<()> {
    let row = (upload_refusal::upload.eq(id.0.as_slice()), upload_refusal::done.eq(done as i32), upload_refusal::sealed.eq(sealed));
    on!(tx, c => diesel::insert_into(upload_refusal::table).values(row).execute(*c))?;
    Ok(())
}

/// The next list that ends after `after` records.
pub fn refusals_next(tx: &mut Tx<'_>, id: UploadId, after: u32) -> Result<Option<(u32, Vec<u8>)>> {
    let row: Option<(i32, Vec<u8>)> = on!(tx, c => upload_refusal::table
        .filter(upload_refusal::upload.eq(id.0.as_slice()).and(upload_refusal::done.gt(after as i32)))
        .select((upload_refusal::done, upload_refusal::sealed))
        .order(upload_refusal::done)
        .first(*c)
        .optional())?;
    Ok(row.map(|(done, sealed)| (done as u32, sealed)))
}

/// One segment of a raw body; `None` past the last one or when the body is no longer kept.
pub fn segment(tx: &mut Tx<'_>, id: UploadId, no: u32) -> Result<Option<Vec<u8>>> {
    on!(tx, c => raw_segment::table.find((id.0.as_slice(), no as i32)).select(raw_segment::sealed).first(*c).optional())
}

/// Forgets raw bodies of uploads that ended before this moment; answers how many uploads were touched.
pub fn raw_expire(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let ids: Vec<Vec<u8>> = on!(tx, c => upload::table
        .filter(upload::ended_at.lt(before))
        .filter(diesel::dsl::exists(raw_segment::table.filter(raw_segment::upload.eq(upload::upload_))))
        .select(upload::upload_)
        .limit(limit)
        .load(*c))?;
    for id in &ids {
        on!(tx, c => diesel::delete(raw_segment::table.filter(raw_segment::upload.eq(id))).execute(*c))?;
    }
    Ok(ids.len())
}

/// Work that waits: its number, kind, subject, and how often it was tried.
#[derive(Clone, Debug)]
pub struct JobRow {
    pub job: i64,
    pub kind: i16,
    pub subject: Vec<u8>,
    pub attempts: i32,
}

pub fn job_insert(tx: &mut Tx<'_>, kind: i16, subject: &[u8], run_at: Millis) -> Result<()> {
    let row = (job::kind.eq(kind), job::subject.eq(subject), job::run_at.eq(run_at), job::attempts.eq(0));
    on!(tx, c => diesel::insert_into(job::table).values(row).execute(*c))?;
    Ok(())
}

/// Takes the next job that is due and holds it until `until`, so that a crash gives it back.
pub fn job_claim(tx: &mut Tx<'_>, now: Millis, until: Millis) -> Result<Option<JobRow>> {
    let due = job::table
        .filter(job::run_at.le(now))
        .order((job::run_at, job::job_))
        .select((job::job_, job::kind, job::subject, job::attempts))
        .limit(1);
    let row: Option<(i64, i16, Vec<u8>, i32)> = match &mut tx.conn {
        super::Conn::Sqlite(c) => due.first(*c).optional(),
        super::Conn::Pg(c) => due.for_update().skip_locked().first(*c).optional(),
    }
    .map_err(super::failed)?;
    let Some((no, kind, subject, attempts)) = row else { return Ok(None) };
    on!(tx, c => diesel::update(job::table.find(no)).set((job::run_at.eq(until), job::attempts.eq(attempts + 1))).execute(*c))?;
    Ok(Some(JobRow { job: no, kind, subject, attempts: attempts + 1 }))
}

/// Gives back what a process that is gone had claimed. Only for a store that one process has to itself.
pub fn jobs_release(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    let claimed = job::table.filter(job::run_at.gt(now));
    on!(tx, c => diesel::update(claimed).set((job::run_at.eq(now), job::attempts.eq(job::attempts - 1))).execute(*c))?;
    Ok(())
}

pub fn job_done(tx: &mut Tx<'_>, no: i64) -> Result<()> {
    on!(tx, c => diesel::delete(job::table.find(no)).execute(*c))?;
    Ok(())
}

pub fn job_later(tx: &mut Tx<'_>, no: i64, run_at: Millis) -> Result<()> {
    on!(tx, c => diesel::update(job::table.find(no)).set(job::run_at.eq(run_at)).execute(*c))?;
    Ok(())
}

/// How much waits: the inbox depth.
pub fn jobs_waiting(tx: &mut Tx<'_>) -> Result<i64> {
    on!(tx, c => job::table.count().get_result(*c))
}

/// Forgets what became of an upload, so that its body can be processed once more.
pub fn reset(tx: &mut Tx<'_>, id: UploadId) -> Result<()> {
    let kept: bool = on!(tx, c => diesel::select(diesel::dsl::exists(raw_segment::table.filter(raw_segment::upload.eq(id.0.as_slice())))).get_result(*c))?;
    if !kept {
        return Ok(());
    }
    on!(tx, c => diesel::delete(upload_refusal::table.filter(upload_refusal::upload.eq(id.0.as_slice()))).execute(*c))?;
    let zero = (
        upload::done.eq(0),
        upload::stored.eq(0),
        upload::unchanged.eq(0),
        upload::corrected.eq(0),
        upload::refused.eq(0),
        upload::stage.eq(Stage::Queued as i16),
    );
    on!(tx, c => diesel::update(upload::table.find(id.0.as_slice())).set(zero).execute(*c))?;
    Ok(())
}
