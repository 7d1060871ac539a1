//! Which Consents restrict anything: found by a term that their search rows have for it.

use diesel::prelude::*;

use super::Tx;
use super::document_rows::code_term;
use super::documents::Key;
use super::schema::{doc_key, doc_term, patient_shelf};
use super::waiting::Waiting;
use crate::error::{Error, Result};
use crate::id::{PatientId, Shelf};
use crate::search::Type;
use crate::vault::Vault;

/// The system and code of the term.
pub const RESTRICTS: (&str, &str) = ("urn:firth:consent", "restricts");

/// A live Consent and whose it is now.
#[derive(Clone, Copy, Debug)]
pub struct Restricting {
    pub key: Key,
    pub version: u32,
    pub patient: PatientId,
}

type Row = (i64, Vec<u8>, i32, Vec<u8>);

/// Those of everybody, or of these patients. They are not opened; few patients have any.
pub fn restricting(tx: &mut Tx<'_>, vault: &Vault, of: Option<&[PatientId]>) -> Result<Vec<Restricting>> {
    const SOME: usize = 500;
    let term = code_term(vault.index(), "", (Some(RESTRICTS.0), RESTRICTS.1));
    let waiting = Waiting::of(tx, Type::Consent)?.having(&[(term, term)]);
    let columns = (doc_key::shelf, doc_key::id, doc_key::version, patient_shelf::patient);
    let owned = || doc_key::table.inner_join(patient_shelf::table.on(patient_shelf::shelf.eq(doc_key::shelf)));
    let written = || {
        let have = doc_term::table.filter(doc_term::hash.eq(term).and(doc_term::type_.eq(Type::Consent.number()))).select(doc_term::doc);
        owned().filter(doc_key::doc.eq_any(have)).select(columns)
    };
    let mut rows: Vec<Row> = Vec::new();
    match of {
        None => rows.extend(on!(tx, c => written().load::<Row>(*c))?),
        Some(patients) => {
            for some in patients.chunks(SOME) {
                let some: Vec<&[u8]> = some.iter().map(|patient| patient.0.as_slice()).collect();
                rows.extend(on!(tx, c => written().filter(patient_shelf::patient.eq_any(some)).load::<Row>(*c))?);
            }
        }
    }
    if !waiting.is_empty() {
        let new: Vec<Row> = on!(tx, c => owned().filter(doc_key::doc.eq_any(waiting)).select(columns).load(*c))?;
        let asked = |row: &Row| of.is_none_or(|patients| patients.iter().any(|patient| patient.0.as_slice() == row.3));
        rows.extend(new.into_iter().filter(asked));
    }
    rows.into_iter().map(read).collect()
}

fn read((shelf, id, version, patient): Row) -> Result<Restricting> {
    let id = id.try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?;
    let key = Key { shelf: Shelf(shelf), resource: Type::Consent, id };
    Ok(Restricting { key, version: version as u32, patient: PatientId::from_slice(&patient)? })
}
