//! One resource by its type and id: a document, the view of a sample, or the document that stands before a sample.

use super::binaries::{context, stood_for};
use super::documents::{self, Key, body_place, id_bytes};
use super::keys::Whose;
use super::{Tx, blocks, keys, observations};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::validate::{Object, object};
use crate::id::{Address, PatientId, Shelf};
use crate::policy::{Seen, Visible};
use crate::search::{DateRange, IndexRow, Opened, Type, codings, index};
use crate::store::blocks::Templates;
use crate::vault::Vault;

/// A version of a resource.
#[derive(Debug)]
pub struct Version {
    /// Of a deleted one there is its type and id.
    pub json: String,
    pub version: u32,
    pub committed_at: Millis,
    pub deleted: bool,
    /// An update made what was not there.
    pub upsert: bool,
    pub shelf: Shelf,
    /// Whose shelf it is; `None` when it is nobody's.
    pub patient: Option<Whose>,
    pub seen: Seen,
}

/// That there is a version, by the patient rule, and the version where it may be seen.
#[derive(Debug)]
pub struct Told {
    pub version: u32,
    pub committed_at: Millis,
    pub patient: Option<Whose>,
    pub shown: Option<Version>,
}

/// What reading takes besides the transaction.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub vault: &'a Vault,
    pub templates: &'a Templates,
    pub visible: &'a Visible,
}

/// The newest version or the one that is named, if it may be seen. Each version is judged by its own shelf and its own
/// content, and by the shelf on which the resource stands now.
pub fn version(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str, Option<u32>)) -> Result<Option<Version>> {
    Ok(told(tx, with, what)?.and_then(|told| told.shown))
}

/// The same, and what is before it in a history where it may not.
pub fn told(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str, Option<u32>)) -> Result<Option<Told>> {
    let (of, id, which) = what;
    if of == Type::Observation
        && let Some(address) = with.vault.sample_address(id)
    {
        return sample(tx, with, (address, which));
    }
    kept(tx, with, what)?.map(|found| opened(tx, with, found)).transpose()
}

/// The newest version without its text, if it may be seen: a document is not opened for that, unless it is visible by what
/// it says.
pub fn head(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str)) -> Result<Option<Version>> {
    let (of, id) = what;
    if with.visible.by_content() || (of == Type::Observation && with.vault.sample_address(id).is_some()) {
        return version(tx, with, (of, id, None));
    }
    let Some(Found { key, version, patient, .. }) = kept(tx, with, (of, id, None))? else { return Ok(None) };
    let seen = with.visible.at_once(now(patient));
    Ok(seen.map(|seen| shown(String::new(), (key, &version, patient), seen)))
}

/// The live version of a document, if it may be seen.
pub fn of_key(tx: &mut Tx<'_>, with: Reader<'_>, key: Key) -> Result<Option<Version>> {
    let told = found(tx, with, (key, None))?.map(|found| opened(tx, with, found)).transpose()?;
    Ok(told.and_then(|told| told.shown))
}

/// A version as it is kept, and whose shelf that is.
pub(super) struct Found {
    pub key: Key,
    pub version: documents::Version,
    pub patient: Option<Whose>,
    /// Of a version from before the resource moved: whose it is now.
    pub moved: Option<Option<Whose>>,
}

fn now(patient: Option<Whose>) -> Option<PatientId> {
    patient.map(|whose| whose.now)
}

/// A version of a document as it is kept.
fn kept(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str, Option<u32>)) -> Result<Option<Found>> {
    let (of, id, which) = what;
    let id = id_bytes(with.vault, of, id);
    let shelves = documents::directory_all(tx, of, &id)?;
    let at = shelves.iter().find(|(since, _)| which.is_none_or(|which| which >= *since));
    let Some((_, shelf)) = at else { return Ok(None) };
    let Some(found) = found(tx, with, (Key { shelf: *shelf, resource: of, id }, which))? else { return Ok(None) };
    let moved = match shelves.first() {
        Some((_, current)) if current != shelf => Some(keys::whose(tx, *current)?),
        _ => None,
    };
    Ok(Some(Found { moved, ..found }).filter(|found| found.moved.is_none_or(|current| with.visible.reaches(now(current)))))
}

/// Whose a resource is now, when that is another than whose shelf a version of it stands on.
pub(super) fn moved(tx: &mut Tx<'_>, key: &Key) -> Result<Option<Option<Whose>>> {
    match documents::directory_find(tx, key.resource, &key.id)? {
        Some(current) if current != key.shelf => Ok(Some(keys::whose(tx, current)?)),
        _ => Ok(None),
    }
}

/// Is it there, not deleted, and may it be seen? A document need not be opened for that.
pub fn alive(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str)) -> Result<bool> {
    let (of, id) = what;
    if with.visible.by_content() || (of == Type::Observation && with.vault.sample_address(id).is_some()) {
        return Ok(version(tx, with, (of, id, None))?.is_some_and(|found| !found.deleted));
    }
    let id = id_bytes(with.vault, of, id);
    let Some(shelf) = documents::live_shelf(tx, of, &id)? else { return Ok(false) };
    Ok(with.visible.is_everything() || with.visible.reaches(keys::patient_of(tx, shelf)?))
}

fn found(tx: &mut Tx<'_>, with: Reader<'_>, what: (Key, Option<u32>)) -> Result<Option<Found>> {
    let (key, which) = what;
    let patient = keys::whose(tx, key.shelf)?;
    if !with.visible.reaches(now(patient)) {
        return Ok(None);
    }
    Ok(documents::version(tx, &key, which)?.map(|version| Found { key, version, patient, moved: None }))
}

/// A version of a document, opened and judged.
pub(super) fn opened(tx: &mut Tx<'_>, with: Reader<'_>, what: Found) -> Result<Told> {
    let Found { key, version: found, patient, moved } = what;
    let json = text(tx, with.vault, (&key, found.version, &found.body))?;
    let mut seen = judged(tx, with, (&key, patient), (&found, &json))?;
    if let (true, Some(current)) = (seen.is_some(), moved) {
        seen = judged(tx, with, (&key, current), (&found, &json))?;
    }
    let shown = seen.map(|seen| shown(json, (key, &found, patient), seen));
    Ok(Told { version: found.version, committed_at: found.committed_at, patient, shown })
}

fn text(tx: &mut Tx<'_>, vault: &Vault, of: (&Key, u32, &[u8])) -> Result<String> {
    let (key, version, sealed) = of;
    let keys = keys::opened(tx, vault, key.shelf)?.ok_or_else(|| Error::bug("a document has no shelf"))?;
    String::from_utf8(keys.body.open_packed(body_place(key.shelf, &key.id, version), sealed)?).map_err(Error::bug)
}

/// May a version that was opened be shown? A deletion says nothing itself: it is judged by what was deleted.
fn judged(tx: &mut Tx<'_>, with: Reader<'_>, of: (&Key, Option<Whose>), opened: (&documents::Version, &str)) -> Result<Option<Seen>> {
    let ((key, patient), (found, json)) = (of, opened);
    let whose = now(patient);
    if !with.visible.by_content() {
        return Ok(with.visible.at_once(whose));
    }
    if !found.deleted {
        return of_text(tx, with, (key.resource, whose), (json, found.committed_at));
    }
    let before = Some(found.version.saturating_sub(1));
    if let Some(last) = documents::version(tx, key, before)?.filter(|last| !last.deleted) {
        let json = text(tx, with.vault, (key, last.version, &last.body))?;
        return of_text(tx, with, (key.resource, whose), (&json, found.committed_at));
    }
    // What a device measured, and nobody had edited.
    let id = object(json).and_then(|document| document.text("id").map(str::to_owned)).unwrap_or_default();
    let address = with.vault.sample_address(&id).filter(|_| key.resource == Type::Observation);
    let (Some(address), Some(patient)) = (address, patient) else { return Ok(None) };
    let last = observations::read(tx, with, patient, (address, before))?;
    Ok(last.and_then(|told| told.shown).map(|shown| shown.seen))
}

/// The judgement of a resource by its text and the time of its commit.
pub fn of_text(tx: &mut Tx<'_>, with: Reader<'_>, of: (Type, Option<PatientId>), what: (&str, Millis)) -> Result<Option<Seen>> {
    let ((of, whose), (json, committed_at)) = (of, what);
    if !with.visible.by_content() {
        return Ok(with.visible.at_once(whose));
    }
    let document = object(json).ok_or_else(|| Error::bug("a stored document is not JSON"))?;
    let (id, rows) = (document.text("id").unwrap_or_default(), values((with.visible, whose), of, &document));
    let seen = with.visible.judge(whose, &Opened { id, rows: &rows, last_updated: DateRange::instant(committed_at) });
    let shown = seen.is_some() && stood_for(tx, with, (id, context(of, &document)))?;
    Ok(seen.filter(|_| shown))
}

/// The values by which an opened document is judged.
pub fn values(visible: (&Visible, Option<PatientId>), of: Type, document: &Object<'_>) -> Vec<IndexRow> {
    let (visible, whose) = visible;
    let mut rows = index(of, document);
    if visible.asks_codings_of(whose) {
        rows.extend(codings(document));
    }
    rows
}

fn shown(json: String, of: (Key, &documents::Version, Option<Whose>), seen: Seen) -> Version {
    let (key, found, patient) = of;
    Version {
        json,
        version: found.version,
        committed_at: found.committed_at,
        deleted: found.deleted,
        upsert: found.upsert,
        shelf: key.shelf,
        patient,
        seen,
    }
}

/// A sample's Observation: the document that stands before it, if there is one, else the view of its row.
fn sample(tx: &mut Tx<'_>, with: Reader<'_>, what: (Address, Option<u32>)) -> Result<Option<Told>> {
    let (address, which) = what;
    let Some(patient) = keys::whose(tx, address.shelf)? else { return Ok(None) };
    if !with.visible.reaches(Some(patient.now)) {
        return Ok(None);
    }
    if blocks::overridden(tx, address)?.is_some() {
        let key = Key { shelf: address.shelf, resource: Type::Observation, id: with.vault.sample_id(address) };
        if let Some(found) = found(tx, with, (key, which))? {
            return opened(tx, with, found).map(Some);
        }
    }
    observations::read(tx, with, patient, what)
}
