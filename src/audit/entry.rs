//! One entry: who did what to which resource of which patient, when, from where, and how it ended.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::access::Emergency;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::audit_event::Action;
use crate::id::{EntryId, PatientId};
use crate::store::Tx;

/// The purpose of use of break-glass (http://terminology.hl7.org/CodeSystem/v3-ActReason).
pub const BREAK_THE_GLASS: &str = "BTG";

/// Kept as canonical JSON: `encode` of the same entry is the same bytes, and the leaf hash is of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: String,
    pub recorded: Millis,
    pub action: Action,
    /// The route's name, or the verb's.
    pub route: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// `Type` or `Type/id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The request as it came, of a search, a conditional interaction or an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Patients whose data the answer holds or the request changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// The credential that was shown; never the secret itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The asker's own Patient, when the token is a patient's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The client to which the token was given, or that asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Who signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Who that is here: `Practitioner/ID`, `Patient/ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<String>,
    /// Who ran a verb, as the system it was run on names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub request: String,
    /// The purpose of use, a code of v3-ActReason, where it is an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whom who asks may see by break-glass: what concerns one of them was done for that purpose. Not kept.
    #[serde(skip)]
    pub emergencies: Vec<Emergency>,
    /// Why it was refused: an error code of `docs/errors.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// SHA-256 of what the transaction wrote, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote: Option<String>,
}

/// What a write did, for its entry.
#[derive(Clone, Debug, Default)]
pub struct Did {
    pub status: u16,
    pub resource: Option<String>,
    pub patients: Vec<String>,
    /// An effect with a refusal, such as revoking tokens of a user that stays.
    pub refused: Option<Kind>,
}

impl Did {
    pub fn new(status: u16, resource: impl Into<String>) -> Did {
        Did { status, resource: Some(resource.into()), ..Did::default() }
    }

    /// A write to one patient's resource.
    pub fn to_patient(status: u16, patient: PatientId) -> Did {
        Did { patients: vec![patient.to_string()], ..Did::new(status, format!("Patient/{patient}")) }
    }

    pub fn refusing(self, kind: Kind) -> Did {
        Did { refused: Some(kind), ..self }
    }
}

impl Entry {
    /// Recorded when its id says.
    pub fn new(id: EntryId, action: Action, route: &str) -> Entry {
        Entry {
            id: id.to_string(),
            recorded: id.recorded(),
            action,
            route: route.to_owned(),
            status: 200,
            resource: None,
            query: None,
            patients: Vec::new(),
            credential: None,
            role: None,
            user: None,
            own: None,
            client: None,
            account: None,
            fhir_user: None,
            operator: None,
            address: None,
            request: String::new(),
            purpose: None,
            emergencies: Vec::new(),
            refused: None,
            wrote: None,
        }
    }

    /// The same activity once more: another entry.
    pub fn again(&self, id: EntryId) -> Entry {
        Entry { id: id.to_string(), recorded: id.recorded(), ..self.clone() }
    }

    /// Commits the entry with the effect that `tx` has: both are durable, or neither.
    pub fn commit(&self, tx: &mut Tx<'_>, did: Did) -> Result<()> {
        let mut entry = self.clone();
        entry.status = did.status;
        entry.refused = did.refused.map(|kind| kind.wire().code.to_owned());
        entry.resource = did.resource.or(entry.resource);
        entry.patients = did.patients;
        entry.wrote = tx.wrote().map(|hash| HEXLOWER.encode(&hash));
        tx.audit(entry.recorded, entry.encode()?);
        Ok(())
    }

    pub fn encode(&self) -> Result<Vec<u8>> {
        match self.marked() {
            Some(marked) => serde_json::to_vec(&marked),
            None => serde_json::to_vec(self),
        }
        .map_err(Error::bug)
    }

    /// The entry of what concerns whom an emergency opens. It names the Patient that was asked for, by whom it is reviewed,
    /// also where it was the data of one merged with that, or nothing at all.
    fn marked(&self) -> Option<Entry> {
        let open = self.emergencies.iter().filter(|_| self.purpose.is_none());
        let touched = open.filter(|one| [one.asked, one.now].iter().any(|patient| self.concerns(&patient.to_string())));
        let asked: BTreeSet<String> = touched.map(|one| one.asked.to_string()).collect();
        let patients = || self.patients.iter().cloned().chain(asked.iter().filter(|one| !self.patients.contains(one)).cloned()).collect();
        (!asked.is_empty()).then(|| Entry { purpose: Some(BREAK_THE_GLASS.to_owned()), patients: patients(), ..self.clone() })
    }

    /// Does the answer hold the patient's data, or did the request name the patient?
    fn concerns(&self, patient: &str) -> bool {
        let named = [&self.resource, &self.query].into_iter().flatten().any(|text| text.contains(patient));
        named || self.patients.iter().any(|known| known == patient)
    }

    pub fn decode(bytes: &[u8]) -> Result<Entry> {
        serde_json::from_slice(bytes).map_err(Error::bug)
    }

    pub fn entry_id(&self) -> Result<EntryId> {
        EntryId::parse(&self.id).map_err(Error::bug)
    }

    /// Each patient once, however often it was noted.
    pub fn patient_ids(&self) -> Result<BTreeSet<PatientId>> {
        self.patients.iter().map(|id| PatientId::parse(id).map_err(Error::bug)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn the_words_of_actions_are_those_of_entries_that_are_kept() {
        use Action::{Activity, Create, Credential, Delete, History, Other, Read, Search, Start, Stop, Update, Upload, Vread};
        use Action::{Batch, HistorySystem, HistoryType, Operation, Patch, Transaction};
        let actions = [Read, Vread, History, Search, Create, Update, Delete, Upload, Credential, Start, Stop, Activity, Other];
        let words = "read vread history search create update delete upload credential start stop activity other";
        let more = [HistoryType, HistorySystem, Patch, Batch, Transaction, Operation];
        let more = more.into_iter().zip("history-type history-system patch batch transaction operation".split(' '));
        for (action, word) in actions.into_iter().zip(words.split(' ')).chain(more) {
            let entry = Entry::new(EntryId::at(0, Chance.bytes().unwrap()), action, "route");
            let text = String::from_utf8(entry.encode().unwrap()).unwrap();
            assert!(text.contains(&format!("\"action\":\"{word}\"")), "{text}");
            assert_eq!(Entry::decode(text.as_bytes()).unwrap(), entry);
        }
    }
}
