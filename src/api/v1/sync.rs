//! SDK uploads: 202 once the body is durable, and what became of it afterwards.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use serde_json::json;

use super::user;
use crate::access::Caller;
use crate::api::request::{Reply, Request, Rest};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::id::UploadId;
use crate::ledger::documents::instant;
use crate::ledger::uploads::{self as ledger, Owner, Told};
use crate::store::keys::Whose;
use crate::store::uploads::{self, Stage, Upload};
use crate::store::{Db, keys, users};
use crate::vault::ShelfKeys;

/// Receives, maps what is small, and acknowledges in one transaction with its audit entry.
pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let id = user(request, who)?;
    let (owner, wrapped) = app.db.read("user", |tx| {
        let user = users::get(tx, id)?.ok_or_else(|| Error::new(Kind::NotFound, "there is no such user"))?;
        let (wrapped, whose) = keys::owned(tx, user.shelf)?.ok_or_else(|| Error::bug("a user has no shelf"))?;
        Ok((Owner { user: id, whose, shelf: user.shelf }, wrapped))
    })?;
    let keys = app.vault.shelf(owner.shelf, &wrapped)?;
    let gzip = request.header("content-encoding").is_some_and(|coding| coding.trim().eq_ignore_ascii_case("gzip"));
    if !gzip && request.header("content-encoding").is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
        return Err(Error::new(Kind::MediaType, "only gzip is read as content-encoding").at("Content-Encoding"));
    }
    let most = app.config.max_upload_bytes;
    let plain = Limited { body: &mut request.body, left: most, most };
    let spool = &app.config.data_dir;
    let received = if gzip {
        ledger::receive(
            &app.vault,
            &keys,
            owner,
            Limited { body: MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, plain)), left: most, most },
            spool,
        )
    } else {
        ledger::receive(&app.vault, &keys, owner, plain, spool)
    }?;
    let (bytes, items) = (received.bytes, received.envelope.items_total);
    let prepared = Arc::new(ledger::prepare(&app.mappings, owner, received)?);
    let (entry, vault) = (request.entry.clone(), Arc::clone(&app.vault));
    let accepted = app.db.write("upload.accept", move |tx| {
        let accepted = ledger::accept(tx, &vault, &prepared, "sdk")?;
        let did = Did { patients: owner.whose.named(), ..Did::new(202, format!("upload/{}", accepted.upload)) };
        entry.commit(tx, did)?;
        Ok(accepted)
    });
    // Old SDKs take a 4xx as done and lose the data: what is not the body's fault is told as 503.
    let accepted = accepted.map_err(|e| {
        if e.kind.wire().status >= 500 { Error::new(Kind::Busy, "the data cannot be stored now").because(format!("{e:?}")) } else { e }
    })?;
    metrics::counter!("firth_upload_bytes_total").increment(bytes as u64);
    metrics::counter!("firth_upload_records_total").increment(items);
    if accepted.waits {
        app.wake.notify();
    }
    let location = format!("{}/api/v1/sdk/users/{id}/uploads/{}", app.public_url, accepted.upload);
    let body = json!({"status_code": 202, "response": "Import task queued successfully", "user_id": id.to_string(), "upload_id": accepted.upload.to_string()});
    Ok(Reply::json(202, &body).with("location", location).committed())
}

/// A reader that refuses to give more than was allowed.
struct Limited<R> {
    body: R,
    left: usize,
    most: usize,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(buffer)?;
        if n > self.left {
            return Err(io::Error::other(Error::new(Kind::TooLarge, format!("the body has more than {} bytes", self.most))));
        }
        self.left -= n;
        Ok(n)
    }
}

/// What is told of an upload of more records than this is not held in memory.
const AT_ONCE: u32 = 2_000;

/// `GET .../uploads/{upload}`: counts, and a reason for each record that was refused or whose Observation is left alone.
pub fn read(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let id = user(request, who)?;
    let not_found = || Error::new(Kind::NotFound, "there is no such upload");
    let upload = UploadId::parse(request.param("upload")).map_err(|_| not_found())?;
    let (upload, keys, detail, patient) = app.db.read("upload.read", |tx| {
        let upload = uploads::get(tx, upload)?.filter(|upload| upload.user == id).ok_or_else(not_found)?;
        let wrapped = keys::shelf_key(tx, upload.shelf)?.ok_or_else(not_found)?;
        let keys = app.vault.shelf(upload.shelf, &wrapped)?;
        let patient = keys::whose(tx, upload.shelf)?;
        let detail = ledger::detail(&keys, &upload)?;
        Ok((upload, keys, detail, patient))
    })?;
    let counts = upload.counts;
    let status = match upload.stage {
        Stage::Completed if counts.refused == 0 => "success",
        Stage::Completed if counts.refused == counts.items => "failed",
        Stage::Completed => "partial",
        Stage::Failed => "failed",
        Stage::Cancelled => "cancelled",
        _ => "in_progress",
    };
    let head = json!({
        "upload_id": upload.id.to_string(), "run_id": upload.id.to_string(), "provider": detail.provider, "source": detail.source,
        "stage": upload.stage.word(), "status": status, "items_total": counts.items, "items_processed": counts.done,
        "stored": counts.stored, "unchanged": counts.unchanged, "corrected": counts.corrected,
    });
    let tail = json!({"started_at": upload.started_at.map(instant), "ended_at": upload.ended_at.map(instant)});
    let mut reply = Reply::json(200, &head).about("upload", patient.map(Whose::named).unwrap_or_default());
    // The lists go between the two, which lose the brace that stands there.
    reply.body.pop();
    reply.body.extend_from_slice(b",\"refused\":[");
    let mut rest = notices(app.db.clone(), keys, upload, [b"],", &tail.to_string().as_bytes()[1..]].concat());
    if counts.done > AT_ONCE {
        return Ok(Reply { rest: Some(rest), ..reply });
    }
    while let Some(piece) = rest()? {
        reply.body.extend(piece);
    }
    Ok(reply)
}

/// The lists of an upload from within the first one on, piece by piece, and `tail` behind the last.
fn notices(db: Db, keys: Arc<ShelfKeys>, upload: Upload, tail: Vec<u8>) -> Rest {
    let (mut at, mut tail) = (Some((Told::Refused, 0)), tail);
    Box::new(move || {
        let Some((told, from)) = at else { return Ok(None) };
        let next = ledger::notices(&db, &keys, &upload, (told, from))?;
        Ok(Some(match (next, told) {
            (Some((done, list)), _) => {
                at = Some((told, done));
                if from == 0 { list } else { [b",", list.as_slice()].concat() }
            }
            (None, Told::Refused) => {
                at = Some((Told::Kept, 0));
                b"],\"kept\":[".to_vec()
            }
            (None, Told::Kept) => {
                at = None;
                std::mem::take(&mut tail)
            }
        }))
    })
}
