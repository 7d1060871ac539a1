//! On which shelf a document stands: that of the Patient it is about, or one of those of nobody.

use crate::error::{Error, Kind, Result};
use crate::id::{PatientId, Shelf};
use crate::policy::Policy;
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

/// The Patients that the parameter `patient` of these rows names.
pub fn patients_of(rows: &[IndexRow]) -> impl Iterator<Item = PatientId> {
    rows.iter().filter_map(|row| match row {
        IndexRow::Reference { param: "patient", kind, id } if kind == "Patient" => PatientId::parse(id).ok(),
        _ => None,
    })
}

/// Where a document with these rows belongs: to the first Patient it names who is here.
pub fn of_document(tx: &mut Tx<'_>, vault: &Vault, what: (Type, &[u8; 16]), rows: &[IndexRow]) -> Result<Shelf> {
    for patient in patients_of(rows) {
        if let Some(shelf) = directory_find(tx, Type::Patient, &patient.0)? {
            return Ok(shelf);
        }
    }
    Ok(of_nobody(vault, what))
}

/// Where a document of nobody is.
pub fn of_nobody(vault: &Vault, what: (Type, &[u8; 16])) -> Shelf {
    let (of, id) = what;
    let hash = vault.index().full("common-shelf-of", &[of.name().as_bytes(), id]);
    common(vault, hash[0] % COMMON)
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

/// Refuses to delete a Patient that is merged, or has anything but itself on its shelves.
pub fn deserted(tx: &mut Tx<'_>, patient: PatientId) -> Result<()> {
    let kept = |says: String| Err(Error::new(Kind::Referenced, says));
    let person = keys::person(tx, patient)?;
    if person.len() > 1 {
        return kept(format!("Patient/{patient} is merged with another; take that back first by $unmerge"));
    }
    for (shelf, _) in person {
        if keys::holds_more(tx, shelf, patient)? {
            return kept(format!("Patient/{patient} has data or a user"));
        }
    }
    match crate::store::users::by_patient(tx, patient)? {
        Some(_) => kept(format!("Patient/{patient} has data or a user")),
        None => Ok(()),
    }
}

/// A document's shelf must be open to whoever writes. Whom an emergency opens is told apart: the caller knows of it.
pub(super) fn closed(policy: &Policy, patient: Option<PatientId>) -> Error {
    let open = patient.filter(|patient| policy.reads_only(*patient));
    let hidden = || Error::new(Kind::Forbidden, "the token may write resources of the patients it was issued for only");
    open.map_or_else(hidden, read_alone)
}

/// Whom an emergency opens.
pub(super) fn read_alone(patient: PatientId) -> Error {
    Error::new(Kind::Forbidden, "in an emergency a patient's data is open to read alone").about(patient)
}
