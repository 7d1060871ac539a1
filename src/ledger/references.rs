//! Referential integrity (https://hl7.org/fhir/R4/references.html): what is pointed to exists, and what is pointed to
//! stays. Both are judged by what the caller may see: a hidden resource is as good as none.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::resources::Writer;
use super::shelves;
use super::submitted::Target;
use crate::access::Interaction;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::validate::object;
use crate::id::{PatientId, Shelf};
use crate::policy::Visible;
use crate::search::{Criterion, Filter, IndexRow, Query, Reference, Type};
use crate::store::documents::{self, id_bytes};
use crate::store::keys::Whose;
use crate::store::listing::Look;
use crate::store::resources;
use crate::store::{Deadline, Tx, blocks, keys, observations};

/// A type and an id.
type Name = (String, String);

/// Refuses a reference to what is not there, naming each. The resource is not written yet.
pub fn check(tx: &mut Tx<'_>, writer: &Writer<'_>, own: (Type, &str), targets: &[Target]) -> Result<()> {
    checked(tx, writer, own, targets, &|tx| stood(tx, writer, own, None)).map(drop)
}

/// The same, of what is written already. `before` is the number of the version before, which may have pointed to the same,
/// and what was deleted since. Answers which are not there, or not to be seen, and may stay.
pub fn check_written(
    tx: &mut Tx<'_>,
    writer: &Writer<'_>,
    own: (Type, &str),
    targets: &[Target],
    before: (u32, &HashSet<Name>),
) -> Result<Vec<Name>> {
    checked(tx, writer, own, targets, &|tx| {
        let stood = stood(tx, writer, own, Some(before.0))?;
        Ok(stood.into_iter().filter(|name| !before.1.contains(name)).collect())
    })
}

fn checked(
    tx: &mut Tx<'_>,
    writer: &Writer<'_>,
    own: (Type, &str),
    targets: &[Target],
    stood: &dyn Fn(&mut Tx<'_>) -> Result<Vec<Name>>,
) -> Result<Vec<Name>> {
    let (mut missing, mut stay, mut before) = (Vec::new(), Vec::new(), None);
    if !writer.strict {
        return Ok(stay);
    }
    for target in targets {
        if (target.kind.as_str(), target.id.as_str()) == (own.0.name(), own.1) && target.version.is_none() {
            continue;
        }
        if exists(tx, writer, target)? {
            continue;
        }
        // What stood there before may stay: its target may have been deleted by somebody who could not see this.
        let before = match &before {
            Some(before) => before,
            None => before.insert(stood(tx)?),
        };
        let named = (target.kind.clone(), target.id.clone());
        if target.version.is_none() && before.contains(&named) {
            stay.push(named);
            continue;
        }
        // To whom the resource would belong is asked before to what it points, and in the same words of whom nobody knows.
        if !writer.policy.is_system() && names_whose(target, own.0) {
            let named = PatientId::parse(&target.id).ok().filter(|_| writer.policy.has_emergencies());
            // By any id of those that were merged.
            let now = named.map(|id| keys::person(tx, id)).transpose()?.and_then(|all| all.first().map(|(_, whose)| whose.now));
            return Err(shelves::closed(writer.policy, now));
        }
        let name = if target.kind.is_empty() { target.id.clone() } else { format!("{}/{}", target.kind, target.id) };
        missing.push(Issue::new(format!("there is no {name}"), Some(target.at.clone())));
    }
    if missing.is_empty() {
        return Ok(stay);
    }
    Err(Error { issues: missing, ..Error::new(Kind::ReferenceUnknown, "") })
}

/// Is this the element by which a resource is a patient's?
fn names_whose(target: &Target, of: Type) -> bool {
    let element = target.at.strip_prefix(of.name()).unwrap_or_default();
    target.kind == Type::Patient.name() && [".subject.reference", ".patient.reference"].contains(&element)
}

/// Which of these are there, and may be seen? Of those that are not in the answer each is to be asked for by itself.
pub fn present<'t>(tx: &mut Tx<'_>, writer: &Writer<'_>, targets: impl Iterator<Item = &'t Target>) -> Result<HashSet<(String, String)>> {
    let mut asked: BTreeMap<i16, HashMap<[u8; 16], (String, String)>> = BTreeMap::new();
    for target in targets.filter(|target| target.version.is_none()) {
        let Some(of) = Type::parse(&target.kind) else { continue };
        if of != Type::Observation || writer.vault.sample_address(&target.id).is_none() {
            let id = id_bytes(writer.vault, of, &target.id);
            asked.entry(of.number()).or_default().insert(id, (target.kind.clone(), target.id.clone()));
        }
    }
    let mut there = HashSet::new();
    for (number, mut named) in asked {
        let Some(of) = Type::numbered(number) else { continue };
        let mut ids: Vec<[u8; 16]> = named.keys().copied().collect();
        ids.sort_unstable();
        let visible = writer.policy.pointed(of);
        if visible.by_content() {
            continue;
        }
        for (id, shelf) in documents::live_shelves(tx, of, &ids)? {
            if visible.is_everything() || visible.reaches(keys::patient_of(tx, shelf)?) {
                there.extend(named.remove(&id));
            }
        }
    }
    Ok(there)
}

/// What the current version points to, or another one.
fn stood(tx: &mut Tx<'_>, writer: &Writer<'_>, own: (Type, &str), which: Option<u32>) -> Result<Vec<Name>> {
    let Ok(visible) = writer.policy.visible(own.0, Interaction::Update) else { return Ok(Vec::new()) };
    let found = resources::version(tx, writer.reader(&visible), (own.0, own.1, which))?;
    let Some(document) = found.as_ref().and_then(|found| object(&found.json)) else { return Ok(Vec::new()) };
    let rows = super::submitted::rows(own.0, &document, writer.base).into_iter();
    let named = rows.filter_map(|row| match row {
        IndexRow::Reference { param: documents::ANY_REFERENCE, kind, id } => Some((kind, id)),
        _ => None,
    });
    Ok(named.collect())
}

fn exists(tx: &mut Tx<'_>, writer: &Writer<'_>, target: &Target) -> Result<bool> {
    let Some(of) = Type::parse(&target.kind) else { return Ok(false) };
    let visible = writer.policy.pointed(of);
    let reader = writer.reader(&visible);
    documents::directory_hold(tx, of, &id_bytes(reader.vault, of, &target.id), false)?;
    if !resources::alive(tx, reader, (of, &target.id))? {
        return Ok(false);
    }
    match target.version.as_deref().map(str::parse::<u32>) {
        None => Ok(true),
        Some(Ok(version)) => Ok(resources::version(tx, reader, (of, &target.id, Some(version)))?.is_some_and(|found| !found.deleted)),
        Some(Err(_)) => Ok(false),
    }
}

/// How many of those that point to a resource are named.
const NAMED: usize = 10;

/// Refuses that a resource was deleted which one that the caller sees points to, and a Patient that has data.
pub fn released(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), patient: Option<Whose>) -> Result<()> {
    let (of, id) = what;
    if of == Type::Patient
        && let Ok(patient) = PatientId::parse(id)
    {
        shelves::deserted(tx, patient)?;
    }
    let (mut named, own) = (Vec::new(), id_bytes(writer.vault, of, id));
    documents::each_referrer(tx, &[documents::reference_term(writer.vault.index(), of.name(), id)], |tx, key| {
        if (key.resource, key.id) != (of, own) {
            let visible = writer.policy.pointed(key.resource);
            let found = resources::of_key(tx, writer.reader(&visible), key)?;
            named.extend(found.map(|found| format!("{}/{}", key.resource.name(), text_id(&found.json))));
        }
        Ok(named.len() < NAMED)
    })?;
    if named.is_empty() && of == Type::Device && measured(tx, writer, id, patient)? {
        named.push("Observations of samples".to_owned());
    }
    if named.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Referenced, format!("{}/{id} is pointed to by {}", of.name(), named.join(", "))))
}

fn text_id(json: &str) -> String {
    object(json).and_then(|document| document.text("id").map(str::to_owned)).unwrap_or_default()
}

/// Do samples of the patient name the Device, that the writer sees?
fn measured(tx: &mut Tx<'_>, writer: &Writer<'_>, id: &str, patient: Option<Whose>) -> Result<bool> {
    let (reference, visible) = (format!("Device/{id}"), writer.policy.pointed(Type::Observation));
    let shelves: Vec<(Shelf, Whose)> = patient.map(|whose| keys::person(tx, whose.now)).transpose()?.unwrap_or_default();
    for (shelf, _) in shelves {
        let Some(keys) = keys::opened(tx, writer.vault, shelf)? else { continue };
        for (series, template, _) in blocks::templates_all(tx, shelf)? {
            let template = writer.templates.get(tx, &keys, (shelf, series, template))?;
            if template.names(&reference) {
                return if visible.by_content() { measured_visibly(tx, (writer, &visible), (&reference, patient)) } else { Ok(true) };
            }
        }
    }
    Ok(false)
}

/// The same where each sample is judged by itself.
fn measured_visibly(tx: &mut Tx<'_>, by: (&Writer<'_>, &Visible), what: (&str, Option<Whose>)) -> Result<bool> {
    let ((writer, visible), (reference, patient)) = (by, what);
    let mut query = Query::new(Type::Observation);
    query.filters.extend(patient.map(|whose| Filter::any("patient", vec![Criterion::Reference(patient_reference(whose))])));
    let look = Look { query: &query, visible, vault: writer.vault, base: "", after: None, horizon: i64::MAX };
    let _end = Deadline::after(writer.limit);
    observations::any_names(tx, &look, writer.templates, reference)
}

fn patient_reference(whose: Whose) -> Reference {
    Reference { kind: Some(Type::Patient.name()), id: whose.now.to_string() }
}
