//! On which shelf a document stands: that of the Patient it is about, or one of those of nobody.

use crate::error::{Error, Result};
use crate::id::{PatientId, Shelf};
use crate::search::{IndexRow, Type};
use crate::store::documents::directory_find;
use crate::store::{Db, Tx, keys};
use crate::vault::Vault;

/// Shelves of resources that are about no Patient, by hash of type and id.
const COMMON: u8 = 64;

/// Makes the shelves of nobody; those that are there stay.
pub fn found(db: &Db, vault: &std::sync::Arc<Vault>) -> Result<()> {
    let vault = std::sync::Arc::clone(vault);
    db.write("shelves.found", move |tx| {
        for n in 0..COMMON {
            let shelf = common(&vault, n);
            if keys::shelf_key(tx, shelf)?.is_none() {
                keys::shelf_insert(tx, shelf, &vault.new_shelf_key(shelf)?, None)?;
            }
        }
        Ok(())
    })
}

fn common(vault: &Vault, n: u8) -> Shelf {
    let hash = vault.index().hash("common-shelf", &[&[n]]);
    Shelf((hash & ((1 << Shelf::BITS) - 1)).max(1))
}

/// Where a document with these rows belongs: by its parameter `patient`, when that Patient is here.
pub fn of_document(tx: &mut Tx<'_>, vault: &Vault, what: (Type, &[u8; 16]), rows: &[IndexRow]) -> Result<Shelf> {
    let (of, id) = what;
    for row in rows {
        if let IndexRow::Reference { param: "patient", kind, id } = row
            && kind == "Patient"
            && let Ok(patient) = PatientId::parse(id)
            && let Some(shelf) = directory_find(tx, Type::Patient, &patient.0)?
        {
            return Ok(shelf);
        }
    }
    let hash = vault.index().full("common-shelf-of", &[of.name().as_bytes(), id]);
    Ok(common(vault, hash[0] % COMMON))
}

/// The shelf of a new Patient.
pub fn of_patient(tx: &mut Tx<'_>, vault: &Vault, patient: PatientId) -> Result<Shelf> {
    loop {
        let (shelf, wrapped) = super::documents::new_shelf(tx, vault)?;
        if (0..COMMON).all(|n| common(vault, n) != shelf) {
            keys::shelf_insert(tx, shelf, &wrapped, Some(patient))?;
            return Ok(shelf);
        }
    }
}

/// Is anything on the Patient's shelves but the Patient itself?
pub fn has_data(tx: &mut Tx<'_>, patient: PatientId) -> Result<bool> {
    for shelf in keys::shelves_of(tx, patient)? {
        if keys::holds_more(tx, shelf, patient)? {
            return Ok(true);
        }
    }
    Ok(crate::store::users::by_patient(tx, patient)?.is_some())
}

/// Whose document it is.
pub fn patient(tx: &mut Tx<'_>, shelf: Shelf) -> Result<Option<PatientId>> {
    keys::patient_of(tx, shelf)
}

/// A document's shelf must be open to whoever writes.
pub fn hidden() -> Error {
    Error::new(crate::error::Kind::Forbidden, "the token may write resources of the patients it was issued for only")
}
