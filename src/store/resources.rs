//! One resource by its type and id: a document, the view of a sample, or the document that stands before a sample.

use super::documents::{self, Key, body_place, id_bytes};
use super::keys::Whose;
use super::{Tx, blocks, keys, observations};
use crate::access::Visible;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{Address, Shelf};
use crate::search::Type;
use crate::store::blocks::Templates;
use crate::vault::Vault;

/// A version of a resource.
#[derive(Clone, Debug)]
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
}

/// What reading takes besides the transaction.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub vault: &'a Vault,
    pub templates: &'a Templates,
    pub visible: &'a Visible,
}

/// The newest version or the one that is named, if it may be seen. Each version is judged by its own shelf.
pub fn version(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str, Option<u32>)) -> Result<Option<Version>> {
    let (of, id, which) = what;
    if of == Type::Observation
        && let Some(address) = with.vault.sample_address(id)
    {
        return sample(tx, with, (address, which));
    }
    match kept(tx, with, what)? {
        Some((key, found, patient)) => opened(tx, with, (key, found, patient)).map(Some),
        None => Ok(None),
    }
}

/// The newest version without its text, if it may be seen: a document is not opened for that.
pub fn head(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str)) -> Result<Option<Version>> {
    let (of, id) = what;
    if of == Type::Observation && with.vault.sample_address(id).is_some() {
        return version(tx, with, (of, id, None));
    }
    let found = kept(tx, with, (of, id, None))?;
    Ok(found.map(|(key, found, patient)| shown(String::new(), (key, &found, patient))))
}

type Found = (Key, documents::Version, Option<Whose>);

/// A version of a document as it is kept.
fn kept(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str, Option<u32>)) -> Result<Option<Found>> {
    let (of, id, which) = what;
    let id = id_bytes(with.vault, of, id);
    let shelves = documents::directory_all(tx, of, &id)?;
    let at = shelves.iter().find(|(since, _)| which.is_none_or(|which| which >= *since));
    let Some((_, shelf)) = at else { return Ok(None) };
    found(tx, with, (Key { shelf: *shelf, resource: of, id }, which))
}

/// Is it there, not deleted, and may it be seen? A document need not be opened for that.
pub fn alive(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str)) -> Result<bool> {
    let (of, id) = what;
    if of == Type::Observation && with.vault.sample_address(id).is_some() {
        return Ok(version(tx, with, (of, id, None))?.is_some_and(|found| !found.deleted));
    }
    let id = id_bytes(with.vault, of, id);
    let Some(shelf) = documents::live_shelf(tx, of, &id)? else { return Ok(false) };
    Ok(*with.visible == Visible::All || with.visible.sees(of.is_shared(), keys::patient_of(tx, shelf)?))
}

fn found(tx: &mut Tx<'_>, with: Reader<'_>, what: (Key, Option<u32>)) -> Result<Option<Found>> {
    let (key, which) = what;
    let patient = keys::whose(tx, key.shelf)?;
    if !with.visible.sees(key.resource.is_shared(), patient.map(|whose| whose.now)) {
        return Ok(None);
    }
    Ok(documents::version(tx, &key, which)?.map(|found| (key, found, patient)))
}

fn opened(tx: &mut Tx<'_>, with: Reader<'_>, what: Found) -> Result<Version> {
    let (key, found, patient) = what;
    let keys = keys::opened(tx, with.vault, key.shelf)?.ok_or_else(|| Error::bug("a document has no shelf"))?;
    let body = keys.body.open_packed(body_place(key.shelf, &key.id, found.version), &found.body)?;
    Ok(shown(String::from_utf8(body).map_err(Error::bug)?, (key, &found, patient)))
}

fn shown(json: String, of: (Key, &documents::Version, Option<Whose>)) -> Version {
    let (key, found, patient) = of;
    Version {
        json,
        version: found.version,
        committed_at: found.committed_at,
        deleted: found.deleted,
        upsert: found.upsert,
        shelf: key.shelf,
        patient,
    }
}

/// A sample's Observation: the document that stands before it, if there is one, else the view of its row.
fn sample(tx: &mut Tx<'_>, with: Reader<'_>, what: (Address, Option<u32>)) -> Result<Option<Version>> {
    let (address, which) = what;
    let Some(patient) = keys::whose(tx, address.shelf)? else { return Ok(None) };
    if !with.visible.sees(false, Some(patient.now)) {
        return Ok(None);
    }
    if blocks::overridden(tx, address)?.is_some() {
        let key = Key { shelf: address.shelf, resource: Type::Observation, id: with.vault.sample_id(address) };
        if let Some(found) = found(tx, with, (key, which))? {
            return opened(tx, with, found).map(Some);
        }
    }
    let view = observations::read(tx, (with.vault, with.templates), patient.born, (address, which))?;
    Ok(view.map(|view| Version {
        json: view.json,
        version: view.version,
        committed_at: view.committed_at,
        deleted: false,
        upsert: false,
        shelf: view.shelf,
        patient: Some(patient),
    }))
}
