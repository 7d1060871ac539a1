//! Who was merged into whom. The pointers of the shelves say what follows from it.

use diesel::prelude::*;

use super::Tx;
use super::schema::{patient_merge, patient_shelf};
use crate::error::Result;
use crate::id::PatientId;

/// One merge.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    pub source: PatientId,
    pub target: PatientId,
    /// The versions that the two had before it.
    pub before: (u32, u32),
}

pub fn insert(tx: &mut Tx<'_>, new: &Merge) -> Result<()> {
    let row = (
        patient_merge::source.eq(new.source.0.as_slice()),
        patient_merge::target.eq(new.target.0.as_slice()),
        patient_merge::source_before.eq(new.before.0 as i32),
        patient_merge::target_before.eq(new.before.1 as i32),
    );
    on!(tx, c => diesel::insert_into(patient_merge::table).values(row).execute(*c))?;
    Ok(())
}

pub fn delete(tx: &mut Tx<'_>, source: PatientId) -> Result<()> {
    on!(tx, c => diesel::delete(patient_merge::table.find(source.0.as_slice())).execute(*c))?;
    Ok(())
}

/// What became of a Patient.
pub fn of(tx: &mut Tx<'_>, source: PatientId) -> Result<Option<Merge>> {
    type Row = (Vec<u8>, i32, i32);
    let columns = (patient_merge::target, patient_merge::source_before, patient_merge::target_before);
    let row: Option<Row> = on!(tx, c => patient_merge::table.find(source.0.as_slice()).select(columns).first(*c).optional())?;
    row.map(|(target, before, of_target)| {
        Ok(Merge { source, target: PatientId::from_slice(&target)?, before: (before as u32, of_target as u32) })
    })
    .transpose()
}

/// A Patient, those that were merged into it, and into them.
pub fn family(tx: &mut Tx<'_>, root: PatientId) -> Result<Vec<PatientId>> {
    let (mut all, mut next) = (vec![root], vec![root.0.to_vec()]);
    while !next.is_empty() {
        let into = patient_merge::table.filter(patient_merge::target.eq_any(std::mem::take(&mut next))).select(patient_merge::source);
        next = on!(tx, c => into.load::<Vec<u8>>(*c))?;
        for source in &next {
            all.push(PatientId::from_slice(source)?);
        }
    }
    Ok(all)
}

/// Lets the shelves that were made for these patients point to one. Tokens follow, so who may see what has changed.
pub fn point(tx: &mut Tx<'_>, born: &[PatientId], to: PatientId) -> Result<()> {
    tx.changed.access = true;
    let born: Vec<Vec<u8>> = born.iter().map(|patient| patient.0.to_vec()).collect();
    let theirs = patient_shelf::table.filter(patient_shelf::born.eq_any(born));
    on!(tx, c => diesel::update(theirs).set(patient_shelf::patient.eq(to.0.as_slice())).execute(*c))?;
    Ok(())
}
