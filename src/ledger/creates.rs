//! The creates of a transaction: each is made ready by itself, and they are written together.

use std::collections::HashMap;

use super::documents::{Put, bits, instant, live, sealed};
use super::resources::{Effect, Writer, Written};
use super::submitted::Submitted;
use super::{consents, shelves};
use crate::access::Interaction;
use crate::error::Result;
use crate::id::{PatientId, Shelf};
use crate::store::documents::{FoundBy, Key, directory_find};
use crate::store::keys::{self, Whose};
use crate::store::new_documents::{self, New};
use crate::store::{Tx, documents};

/// Resources that wait to be written, with what was learned of their Patients.
pub struct Creates<'a> {
    writer: &'a Writer<'a>,
    patients: HashMap<PatientId, Option<Shelf>>,
    owners: HashMap<Shelf, Option<Whose>>,
    waiting: Vec<(usize, New, Written)>,
}

impl<'a> Creates<'a> {
    pub fn new(writer: &'a Writer<'a>) -> Creates<'a> {
        Creates { writer, patients: HashMap::new(), owners: HashMap::new(), waiting: Vec::new() }
    }

    /// Makes the resource of step `n` ready. It is no Patient, and no Binary, which may belong to what waits here.
    pub fn add(&mut self, tx: &mut Tx<'_>, n: usize, submitted: &Submitted, id: &str) -> Result<()> {
        submitted.comes_from(None)?;
        let (of, vault) = (submitted.of, self.writer.vault);
        let bytes = documents::id_bytes(vault, of, id);
        let shelf = match self.patient(tx, submitted)? {
            Some(shelf) => shelf,
            None => shelves::of_nobody(vault, (of, &bytes)),
        };
        let patient = self.owner(tx, shelf)?;
        let visible = self.writer.policy.visible(of, Interaction::Create)?;
        let now = patient.map(|whose| whose.now);
        if !visible.owns(now) {
            return Err(shelves::closed(self.writer.policy, now));
        }
        let (key, committed_at) = (Key { shelf, resource: of, id: bytes }, tx.committed_at());
        self.writer.within(&visible, patient, (submitted, id, committed_at))?;
        let json = submitted.body.text(id, 1, &instant(committed_at));
        let new = New {
            key,
            live: live(of, (1, 0, committed_at), &submitted.rows),
            bloom: bits(vault, &submitted.rows),
            body: sealed(tx, vault, &Put { key, version: 1, json: &json, upsert: false })?,
            found_by: FoundBy::of(vault.index(), of, &submitted.rows),
        };
        if new.found_by.restricts {
            consents::binds(&submitted.rows, patient)?;
        }
        let json = self.writer.readable(tx, (of, patient), (json, committed_at))?;
        let written = Written { effect: Effect::Created, of, id: id.to_owned(), version: 1, committed_at, json, patient };
        self.waiting.push((n, new, written));
        Ok(())
    }

    /// Writes what waits; which step wrote what.
    pub fn write(&mut self, tx: &mut Tx<'_>) -> Result<Vec<(usize, Written)>> {
        let (mut all, mut done) = (Vec::with_capacity(self.waiting.len()), Vec::with_capacity(self.waiting.len()));
        for (n, new, written) in self.waiting.drain(..) {
            all.push(new);
            done.push((n, written));
        }
        new_documents::insert(tx, &mut all)?;
        Ok(done)
    }

    fn patient(&mut self, tx: &mut Tx<'_>, submitted: &Submitted) -> Result<Option<Shelf>> {
        for patient in shelves::patients_of(&submitted.rows) {
            let shelf = match self.patients.get(&patient) {
                Some(known) => *known,
                None => {
                    let found = directory_find(tx, crate::search::Type::Patient, &patient.0)?;
                    *self.patients.entry(patient).or_insert(found)
                }
            };
            if shelf.is_some() {
                return Ok(shelf);
            }
        }
        Ok(None)
    }

    fn owner(&mut self, tx: &mut Tx<'_>, shelf: Shelf) -> Result<Option<Whose>> {
        if let Some(known) = self.owners.get(&shelf) {
            return Ok(*known);
        }
        let whose = keys::whose(tx, shelf)?;
        Ok(*self.owners.entry(shelf).or_insert(whose))
    }
}
