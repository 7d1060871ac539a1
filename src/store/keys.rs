//! Who the store is, its wrapped keys, and the shelves with theirs.

use std::sync::Arc;

use diesel::prelude::*;

use super::Tx;
use super::schema::{block, doc_key, meta, patient_shelf, shelf, store_key};
use crate::error::{Error, Result};
use crate::id::{PatientId, Shelf};
use crate::search::Type;
use crate::vault::{Kept, ShelfKeys, Vault};

/// The store's random id, if it has been founded.
pub fn store_id(tx: &mut Tx<'_>) -> Result<Option<[u8; 16]>> {
    let value: Option<Vec<u8>> = on!(tx, c => meta::table.find("store_id").select(meta::value).first(*c).optional())?;
    value.map(|bytes| bytes.try_into().map_err(|_| Error::bug("the store id is not 16 bytes"))).transpose()
}

/// By which rows documents are found (`search::INDEX_VERSION`); none before any were made.
pub fn index_version(tx: &mut Tx<'_>) -> Result<Option<u32>> {
    let value: Option<Vec<u8>> = on!(tx, c => meta::table.find("index_version").select(meta::value).first(*c).optional())?;
    Ok(value.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes))
}

pub fn index_version_set(tx: &mut Tx<'_>, version: u32) -> Result<()> {
    on!(tx, c => diesel::delete(meta::table.find("index_version")).execute(*c))?;
    let row = (meta::name.eq("index_version"), meta::value.eq(version.to_be_bytes().to_vec()));
    on!(tx, c => diesel::insert_into(meta::table).values(row).execute(*c))?;
    Ok(())
}

pub fn found(tx: &mut Tx<'_>, id: [u8; 16], keys: &[Kept]) -> Result<()> {
    on!(tx, c => diesel::insert_into(meta::table).values((meta::name.eq("store_id"), meta::value.eq(id.as_slice()))).execute(*c))?;
    for key in keys {
        let row = (store_key::kind.eq(key.kind), store_key::version.eq(key.version), store_key::wrapped.eq(&key.wrapped));
        on!(tx, c => diesel::insert_into(store_key::table).values(row).execute(*c))?;
    }
    Ok(())
}

pub fn kept(tx: &mut Tx<'_>) -> Result<Vec<Kept>> {
    let rows: Vec<(i16, i32, Vec<u8>)> = on!(tx, c => store_key::table.load(*c))?;
    Ok(rows.into_iter().map(|(kind, version, wrapped)| Kept { kind, version, wrapped }).collect())
}

pub fn shelf_insert(tx: &mut Tx<'_>, at: Shelf, wrapped: &[u8], patient: Option<PatientId>) -> Result<()> {
    on!(tx, c => diesel::insert_into(shelf::table).values((shelf::shelf_.eq(at.0), shelf::wrapped.eq(wrapped))).execute(*c))?;
    if let Some(patient) = patient {
        let id = patient.0.as_slice();
        let row = (patient_shelf::shelf.eq(at.0), patient_shelf::patient.eq(id), patient_shelf::born.eq(id));
        on!(tx, c => diesel::insert_into(patient_shelf::table).values(row).execute(*c))?;
    }
    Ok(())
}

/// A shelf's wrapped key; `None` when there is no such shelf.
pub fn shelf_key(tx: &mut Tx<'_>, at: Shelf) -> Result<Option<Vec<u8>>> {
    on!(tx, c => shelf::table.find(at.0).select(shelf::wrapped).first(*c).optional())
}

/// A shelf's keys, open; `None` when there is no such shelf. What is open already is not fetched again.
pub fn opened(tx: &mut Tx<'_>, vault: &Vault, at: Shelf) -> Result<Option<Arc<ShelfKeys>>> {
    if let Some(known) = vault.known(at) {
        return Ok(Some(known));
    }
    shelf_key(tx, at)?.map(|wrapped| vault.shelf(at, &wrapped)).transpose()
}

/// Holds the shelf until the transaction ends, so that writers of one shelf take turns.
/// On SQLite the one writer is that turn already.
pub fn shelf_lock(tx: &mut Tx<'_>, at: Shelf) -> Result<Vec<u8>> {
    match &mut tx.conn {
        super::Conn::Sqlite(c) => shelf::table.find(at.0).select(shelf::wrapped).first(*c),
        super::Conn::Pg(c) => shelf::table.find(at.0).select(shelf::wrapped).for_update().first(*c),
    }
    .map_err(super::failed)
}

/// The patient that a shelf was made for, and the one whose it is: another when the first was merged into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    pub born: PatientId,
    pub now: PatientId,
}

impl Whose {
    /// Of a patient that was not merged.
    pub const fn alone(patient: PatientId) -> Whose {
        Whose { born: patient, now: patient }
    }

    pub fn is_merged(&self) -> bool {
        self.born != self.now
    }

    /// Both ids, each once: what an audit entry names.
    pub fn ids(self) -> impl Iterator<Item = PatientId> {
        std::iter::once(self.now).chain(self.is_merged().then_some(self.born))
    }

    /// The same as text.
    pub fn named(self) -> Vec<String> {
        self.ids().map(|id| id.to_string()).collect()
    }
}

pub fn whose(tx: &mut Tx<'_>, at: Shelf) -> Result<Option<Whose>> {
    type Row = (Vec<u8>, Vec<u8>);
    let one = patient_shelf::table.find(at.0).select((patient_shelf::born, patient_shelf::patient));
    let row: Option<Row> = on!(tx, c => one.first(*c).optional())?;
    row.map(|(born, now)| Ok(Whose { born: PatientId::from_slice(&born)?, now: PatientId::from_slice(&now)? })).transpose()
}

/// A patient's shelf: its wrapped key, and whose it is. One statement.
pub fn owned(tx: &mut Tx<'_>, at: Shelf) -> Result<Option<(Vec<u8>, Whose)>> {
    type Row = (Vec<u8>, Vec<u8>, Vec<u8>);
    let one = shelf::table
        .inner_join(patient_shelf::table.on(patient_shelf::shelf.eq(shelf::shelf_)))
        .filter(shelf::shelf_.eq(at.0))
        .select((shelf::wrapped, patient_shelf::born, patient_shelf::patient));
    let row: Option<Row> = on!(tx, c => one.first(*c).optional())?;
    row.map(|(wrapped, born, now)| Ok((wrapped, Whose { born: PatientId::from_slice(&born)?, now: PatientId::from_slice(&now)? })))
        .transpose()
}

/// Whose a shelf is now.
pub fn patient_of(tx: &mut Tx<'_>, at: Shelf) -> Result<Option<PatientId>> {
    Ok(whose(tx, at)?.map(|whose| whose.now))
}

diesel::alias!(patient_shelf as named: Named);

type PersonRow = (i64, Vec<u8>, Vec<u8>);

fn of_person((shelf, born, now): PersonRow) -> Result<(Shelf, Whose)> {
    Ok((Shelf(shelf), Whose { born: PatientId::from_slice(&born)?, now: PatientId::from_slice(&now)? }))
}

/// The shelves of the person whom the id names: those of all Patients that are merged with it. One statement: a join, for
/// which SQLite makes no table of its own as for a list.
pub fn person(tx: &mut Tx<'_>, patient: PatientId) -> Result<Vec<(Shelf, Whose)>> {
    let all = named
        .inner_join(patient_shelf::table.on(patient_shelf::patient.eq(named.field(patient_shelf::patient))))
        .filter(named.field(patient_shelf::born).eq(patient.0.as_slice()));
    let rows: Vec<PersonRow> = on!(tx, c => all.select((patient_shelf::shelf, patient_shelf::born, patient_shelf::patient)).load(*c))?;
    rows.into_iter().map(of_person).collect()
}

/// The same of many, a few statements for thousands.
pub fn persons(tx: &mut Tx<'_>, patients: &[PatientId]) -> Result<Vec<(Shelf, Whose)>> {
    const SOME: usize = 1_000;
    let mut all = Vec::new();
    for some in patients.chunks(SOME) {
        let some: Vec<&[u8]> = some.iter().map(|patient| patient.0.as_slice()).collect();
        let now = named.filter(named.field(patient_shelf::born).eq_any(some)).select(named.field(patient_shelf::patient));
        let those = patient_shelf::table.filter(patient_shelf::patient.eq_any(now));
        let rows: Vec<PersonRow> =
            on!(tx, c => those.select((patient_shelf::shelf, patient_shelf::born, patient_shelf::patient)).load(*c))?;
        all.extend(rows.into_iter().map(of_person).collect::<Result<Vec<_>>>()?);
    }
    Ok(all)
}

/// Is there anything on the shelf that lives, besides this Patient?
pub fn holds_more(tx: &mut Tx<'_>, at: Shelf, patient: PatientId) -> Result<bool> {
    let documents = doc_key::table.filter(doc_key::shelf.eq(at.0)).select((doc_key::type_, doc_key::id)).limit(2);
    let documents: Vec<(i16, Vec<u8>)> = on!(tx, c => documents.load(*c))?;
    if documents.iter().any(|(of, id)| (*of, id.as_slice()) != (Type::Patient.number(), patient.0.as_slice())) {
        return Ok(true);
    }
    let samples: Option<i64> = on!(tx, c => block::table.filter(block::shelf.eq(at.0)).select(block::seq).first(*c).optional())?;
    Ok(samples.is_some())
}

/// Whom these ids name now, of those who are here: of one who was merged the one into whom.
pub fn people(tx: &mut Tx<'_>, ids: &[PatientId]) -> Result<Vec<PatientId>> {
    const SOME: usize = 500;
    let mut people = Vec::new();
    for ids in ids.chunks(SOME) {
        let ids: Vec<&[u8]> = ids.iter().map(|id| id.0.as_slice()).collect();
        let all = patient_shelf::table.filter(patient_shelf::born.eq_any(ids)).select(patient_shelf::patient);
        let rows: Vec<Vec<u8>> = on!(tx, c => all.load(*c))?;
        for row in rows {
            people.push(PatientId::from_slice(&row)?);
        }
    }
    Ok(people)
}
