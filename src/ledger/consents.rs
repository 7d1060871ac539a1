//! Consents as they stand: read once, remembered by id and version, and held against whoever asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::documents::current;
use super::panels::{self, plain};
use crate::access::consent::{Actor, Asker, Coding, Concept, Consent, Datum, Effect, Provision, Withholding};
use crate::access::{Caller, Moment, Party, PatientRule, Whom};
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::{Object, object};
use crate::id::PatientId;
use crate::search::{IndexRow, Type, reference};
use crate::store::keys::Whose;
use crate::store::{Tx, consents as rows};
use crate::vault::Vault;

/// The Consents that restrict anything. Those that do not are never opened.
#[derive(Default)]
pub struct Consents(Mutex<HashMap<Version, Arc<Consent>>>);

/// The id and the version of a document.
type Version = ([u8; 16], u32);

/// More are forgotten and read again.
const KEPT: usize = 100_000;

impl Consents {
    /// What patients withhold from the caller, who is `party`. What depends on the time is noted in `moment`.
    pub fn against(&self, tx: &mut Tx<'_>, vault: &Vault, who: (&Caller, &Party), moment: &mut Moment) -> Result<Withholding> {
        let (caller, party) = who;
        if caller.role.scopes().is_empty() {
            return Ok(Withholding::default());
        }
        // Whoever sees the own record withholds nothing from himself.
        let own = caller.role.rule() == PatientRule::Own && party.user().is_none_or(|(kind, _)| kind == "Patient");
        let mut patients = match &caller.whom {
            Whom::Everybody => None,
            Whom::Patients(_) if own => return Ok(Withholding::default()),
            Whom::Patients(patients) => Some(patients.to_vec()),
        };
        if let Some(patients) = &mut patients {
            patients.extend(caller.emergencies.iter().map(|one| one.now).filter(|patient| !caller.whom.has(*patient)));
        }
        let found = rows::restricting(tx, vault, patients.as_deref())?;
        let mut all: Vec<(PatientId, Arc<Consent>)> = Vec::with_capacity(found.len());
        for one in found {
            all.push((one.patient, self.read(tx, vault, &one)?));
        }
        let asker =
            Asker { party, is_system: caller.account.is_none() && caller.role.rule() == PatientRule::All, purpose: caller.role.purpose() };
        Ok(Withholding::new(all.iter().map(|(patient, consent)| (*patient, &**consent)), asker, moment))
    }

    fn read(&self, tx: &mut Tx<'_>, vault: &Vault, one: &rows::Restricting) -> Result<Arc<Consent>> {
        let name = (one.key.id, one.version);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(known));
        }
        let (_, text) = current(tx, vault, &one.key)?.ok_or_else(|| Error::bug("an indexed document is missing"))?;
        let document = object(&text).ok_or_else(|| Error::bug("a stored document is not JSON"))?;
        let consent = Arc::new(read(&document).unwrap_or_default());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, Arc::clone(&consent));
        Ok(consent)
    }
}

/// Does the document say that anything is withheld? So its search rows say, by which it is found.
pub(super) fn restricts(document: &Object<'_>) -> bool {
    read(document).is_some_and(|consent| consent.restricts())
}

/// Refuses a Consent that withholds something and names no Patient who is here: it would stand on nobody's shelf and bind
/// nobody, also once the Patient came.
pub(super) fn binds(rows: &[IndexRow], patient: Option<Whose>) -> Result<()> {
    if patient.is_some() {
        return Ok(());
    }
    let named = rows.iter().find_map(|row| match row {
        IndexRow::Reference { param: "patient", kind, id } if kind == Type::Patient.name() => Some(id),
        _ => None,
    });
    let says = match named {
        Some(id) => format!("there is no Patient/{id}, so the Consent would bind nobody; write the Patient first"),
        None => "the Consent withholds something and would bind nobody; let patient.reference be Patient/ID of a Patient here".to_owned(),
    };
    Err(Error::new(Kind::ReferenceUnknown, says).at("Consent.patient"))
}

const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const ACT: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// None of one that is not active, or is about something else than who may have the data.
fn read(document: &Object<'_>) -> Option<Consent> {
    let has = |element: &str, system: &str, codes: &[&str]| {
        let codings = document.objects(element).flat_map(|concept| concept.objects("coding"));
        codings.into_iter().any(|coding| {
            coding.text("system").is_none_or(|own| own == system) && coding.text("code").is_some_and(|code| codes.contains(&code))
        })
    };
    if document.text("status") != Some("active") || !has("scope", SCOPE, &["patient-privacy"]) {
        return None;
    }
    let base = match () {
        () if has("policyRule", ACT, &["OPTOUT", "OPTOUTE"]) => Some(Effect::Deny),
        () if has("policyRule", ACT, &["OPTIN", "OPTINR"]) => Some(Effect::Permit),
        () => None,
    };
    Some(Consent { base, root: document.objects("provision").next().map(provision), foreign: !plain(document) })
}

fn provision(of: &Object<'_>) -> Provision {
    Provision {
        effect: match of.text("type") {
            Some("deny") => Some(Effect::Deny),
            Some("permit") => Some(Effect::Permit),
            _ => None,
        },
        period: panels::period(of, "period"),
        actors: of.objects("actor").map(actor).collect(),
        actions: of.objects("action").map(concept).collect(),
        labels: of.objects("securityLabel").map(coding).collect(),
        purposes: of.objects("purpose").map(coding).collect(),
        classes: of.objects("class").map(coding).collect(),
        codes: of.objects("code").map(concept).collect(),
        data_period: of.objects("dataPeriod").next().map(|_| panels::period(of, "dataPeriod")),
        data: of.objects("data").map(datum).collect(),
        foreign: !plain(of),
        nested: of.objects("provision").map(provision).collect(),
    }
}

/// One without a code is met by nothing that is known.
fn coding(of: &Object<'_>) -> Coding {
    Coding { system: of.text("system").map(str::to_owned), code: of.text("code").unwrap_or_default().to_owned() }
}

fn concept(of: &Object<'_>) -> Concept {
    of.objects("coding").filter(|coding| coding.text("code").is_some()).map(coding).collect()
}

fn actor(of: &Object<'_>) -> Actor {
    let identifier = of.objects("reference").next().and_then(|reference| reference.objects("identifier").next());
    let identifier = identifier.and_then(|one| Some((one.text("system")?.to_owned(), one.text("value")?.to_owned())));
    Actor { role: of.objects("role").flat_map(concept).collect(), reference: named(of, "reference"), identifier }
}

fn datum(of: &Object<'_>) -> Datum {
    Datum { instance: of.text("meaning") == Some("instance"), reference: named(of, "reference") }
}

fn named(of: &Object<'_>, element: &str) -> Option<(String, String)> {
    let (kind, id) = reference::stored(of.objects(element).next()?.text("reference")?)?;
    Some((kind.to_owned(), id.to_owned()))
}
