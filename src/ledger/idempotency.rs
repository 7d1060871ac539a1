//! A POST that is sent again with its `Idempotency-Key` is answered as before, for 24 hours, and does nothing.

use serde::{Deserialize, Serialize};

use super::resources::{Effect, Writer, Written, not_found};
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;
use crate::search::Type;
use crate::store::resources::version;
use crate::store::{Tx, documents, idempotency};
use crate::vault::Place;

pub const KEPT_MS: i64 = 86_400_000;

/// Whose key it is, and for which request.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// A keyed hash of the caller, the route and the header.
    pub hash: [u8; 32],
    /// A digest of the request's body and conditions.
    pub request: [u8; 32],
}

/// What is remembered of one answer.
#[derive(Serialize, Deserialize)]
struct Kept {
    created: bool,
    of: i16,
    id: String,
    version: u32,
}

/// Does `work`, unless it was done under this key.
pub fn once(
    tx: &mut Tx<'_>,
    writer: &Writer<'_>,
    key: Option<&Key>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<Vec<Option<Written>>>,
) -> Result<Vec<Option<Written>>> {
    let Some(key) = key else { return work(tx) };
    documents::hold_criteria(tx, i64::from_be_bytes(std::array::from_fn(|at| key.hash[at])))?;
    let place = Place { kind: "idempotency", shelf: Shelf(0), id: &key.hash, version: 1 };
    if let Some((request, sealed)) = idempotency::find(tx, &key.hash, tx.committed_at() - KEPT_MS)? {
        if request != key.request {
            return Err(Error::new(Kind::Unprocessable, "this Idempotency-Key was used for another request"));
        }
        let kept: Vec<Option<Kept>> = serde_json::from_slice(&writer.vault.operations()?.open(place, &sealed)?).map_err(Error::bug)?;
        return kept.into_iter().map(|kept| kept.map(|kept| again(tx, writer, kept)).transpose()).collect();
    }
    let done = work(tx)?;
    let kept = |written: &Written| Kept {
        created: written.effect == Effect::Created,
        of: written.of.number(),
        id: written.id.clone(),
        version: written.version,
    };
    let kept: Vec<Option<Kept>> = done.iter().map(|written| written.as_ref().map(kept)).collect();
    let sealed = writer.vault.operations()?.seal(writer.vault.chance, place, &serde_json::to_vec(&kept).map_err(Error::bug)?)?;
    idempotency::insert(tx, &key.hash, &key.request, &sealed)?;
    Ok(done)
}

fn again(tx: &mut Tx<'_>, writer: &Writer<'_>, kept: Kept) -> Result<Written> {
    let of = Type::numbered(kept.of).ok_or_else(|| Error::bug("an unknown type"))?;
    if kept.version == 0 {
        return Ok(super::resources::nothing(of, &kept.id));
    }
    // The caller was answered so before; its text is judged as it was then.
    let ruled = writer.policy.ruled(of);
    let now = version(tx, writer.reader(&ruled), (of, &kept.id, Some(kept.version)))?.ok_or_else(|| not_found((of, &kept.id)))?;
    let effect = match (now.deleted, kept.created) {
        (true, _) => Effect::Deleted,
        (false, true) => Effect::Created,
        (false, false) => Effect::Updated,
    };
    let (version, committed_at, patient) = (now.version, now.committed_at, now.patient);
    let json = writer.readable(tx, (of, patient), (now.json, committed_at))?;
    Ok(Written { effect, of, id: kept.id, version, committed_at, json, patient })
}
