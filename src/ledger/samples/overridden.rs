//! Samples whose Observation is no view of their row: a document or a tombstone stands before it.

use serde_json::{Value, json};

use super::{Fate, Found, Slice, place};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::number::Number;
use crate::fhir::stamp::Stamp;
use crate::id::Address;
use crate::ledger::documents::{Put, bury, current, instant, put_override};
use crate::ledger::draft::Draft;
use crate::ledger::same::{Held, held_by, same};
use crate::search::Type;
use crate::series::template::Filling;
use crate::series::{RecordId, Sample};
use crate::store::Tx;
use crate::store::blocks::{self, OverrideKind};
use crate::store::documents::{Key, is_referred};

impl Slice<'_> {
    /// What was written through FHIR stays so, whatever an upload brings.
    pub(super) fn kept(&self, found: &Found) -> Option<Fate> {
        let sample = self.sample(found);
        let kind = match self.existing.overrides.get(&place(sample))? {
            OverrideKind::Edited => Kind::SampleEdited,
            OverrideKind::Deleted => Kind::SampleDeleted,
            OverrideKind::Correction | OverrideKind::Withdrawn => return None,
        };
        Some(Fate::Kept(kind, self.address(sample)))
    }

    /// Was it stored after the upload that is replayed? What this very transaction has stored is no newer than what it
    /// stores now.
    pub(super) fn is_newer(&self, tx: &Tx<'_>, at: Millis) -> bool {
        self.as_of.is_some_and(|as_of| at > as_of && at != tx.committed_at())
    }

    fn document_key(&self, address: Address) -> Key {
        Key { shelf: address.shelf, resource: Type::Observation, id: self.owner.vault.sample_id(address) }
    }

    fn document(&self, tx: &mut Tx<'_>, address: Address) -> Result<Option<(u32, Value)>> {
        let document = current(tx, self.owner.vault, &self.document_key(address))?;
        document.map(|(version, json)| Ok((version, serde_json::from_str(&json).map_err(Error::bug)?))).transpose()
    }

    /// The Observation keeps its id and becomes a document. `held`: what it has while there is no document.
    pub(super) fn replace(&mut self, tx: &mut Tx<'_>, draft: &mut Draft<'_>, at: (Address, u32), held: Held) -> Result<Fate> {
        let (address, version) = at;
        let vault = self.owner.vault;
        let document = self.document(tx, address)?;
        draft.keeps(document.as_ref().map_or(held, |(_, document)| held_by(document)));
        let draft = &*draft;
        let (_, template) = self.templates.of_draft(tx, draft, &draft.slots)?;
        let id = vault.sample_text(address);
        let record_ids: Vec<RecordId<'_>> = draft.record_ids.iter().map(|id| RecordId::Text(id.into())).collect();
        let render = |version: u32, last_updated: &str| {
            let sample = Sample {
                series: draft.series,
                disc: 0,
                version,
                template: 0,
                start: draft.of.start,
                end: draft.of.end,
                slots: draft.slots.clone(),
            };
            template.render(&Filling {
                id: &id,
                patient: &self.owner.patient.to_string(),
                last_updated,
                record_ids: &record_ids,
                sample: &sample,
                wide: &draft.wide,
            })
        };
        let mut next = version;
        if let Some((current, document)) = document {
            if self.is_newer(tx, last_updated(&document)) {
                return Ok(Fate::Unchanged);
            }
            let again = render(current, document["meta"]["lastUpdated"].as_str().unwrap_or_default());
            if same(&document, &serde_json::from_str(&again).map_err(Error::bug)?) {
                return Ok(Fate::Unchanged);
            }
            next = current + 1;
        } else {
            blocks::override_insert(tx, address, OverrideKind::Correction)?;
            self.existing.overrides.insert((address.series, address.start, address.disc), OverrideKind::Correction);
        }
        let json = render(next, &instant(tx.committed_at()));
        put_override(tx, vault, &Put { key: self.document_key(address), version: next, json: &json, upsert: false })?;
        Ok(Fate::Corrected)
    }

    /// Half a panel stands in its parent's panel now: the Observation in which it stood alone goes, unless something
    /// points to it. Did it go?
    pub(super) fn withdraw(&mut self, tx: &mut Tx<'_>, left: &Found) -> Result<bool> {
        let sample = self.sample(left);
        let (address, place, version) = (self.address(sample), place(sample), sample.version);
        let document = self.document(tx, address)?;
        let (numbers, record_ids) = match (&document, left) {
            (Some((_, document)), _) => held_by(document),
            (None, Found::InSlice(row)) => (numbers(sample), self.rows[*row].record_ids.clone()),
            (None, Found::Stored(stored)) => (numbers(sample), stored.record_ids.clone()),
        };
        let id = self.owner.vault.sample_text(address);
        let alone = record_ids.len() == 1 && numbers.iter().flatten().count() == 1;
        if !alone || is_referred(tx, self.owner.vault, Type::Observation, &id)? {
            return Ok(false);
        }
        blocks::override_insert(tx, address, OverrideKind::Withdrawn)?;
        self.existing.overrides.insert(place, OverrideKind::Withdrawn);
        let version = document.map_or(version, |(version, _)| version) + 1;
        let json = json!({"resourceType": Type::Observation.name(), "id": id}).to_string();
        bury(tx, self.owner.vault, &Put { key: self.document_key(address), version, json: &json, upsert: false })?;
        Ok(true)
    }
}

/// The numbers of a sample's slots.
pub(super) fn numbers(sample: &Sample) -> Vec<Option<Number>> {
    sample.slots.iter().map(|slot| slot.map(Number::Fits)).collect()
}

fn last_updated(document: &Value) -> Millis {
    let text = document["meta"]["lastUpdated"].as_str().unwrap_or_default();
    Stamp::parse(text, None).map_or(Millis::MIN, |stamp| stamp.ms)
}
