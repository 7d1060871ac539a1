//! create, update and delete of one resource (https://hl7.org/fhir/R4/http.html): a new version with its search rows,
//! its place in the feed and nothing else. The audit entry is the caller's.

use std::time::Duration;

use super::documents::{Put, bury, instant, write};
use super::submitted::{self, Submitted};
use super::{references, shelves};
use crate::access::Visible;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::Options;
use crate::id::{Address, DocumentId, PatientId, Shelf};
use crate::search::Type;
use crate::store::blocks::{self, OverrideKind, Templates};
use crate::store::documents::{self, Key, id_bytes};
use crate::store::keys::Whose;
use crate::store::resources::{self, Reader, Version};
use crate::store::{Tx, keys};
use crate::vault::Vault;

/// Who writes, and with what.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub vault: &'a Vault,
    pub templates: &'a Templates,
    pub visible: &'a Visible,
    /// Must what is pointed to exist (`FIRTH_REFERENCES`)?
    pub strict: bool,
    /// Of the identifiers by which users are found.
    pub external_system: &'a str,
    /// What our own absolute references begin with.
    pub base: &'a str,
    /// The limits of a resource.
    pub options: Options<'static>,
    /// How long it may be searched for what is meant: others wait for the transaction.
    pub limit: Duration,
}

impl<'a> Writer<'a> {
    pub fn reader(&self) -> Reader<'a> {
        Reader { vault: self.vault, templates: self.templates, visible: self.visible }
    }

    /// Judges a text that was made here out of what a client sent.
    pub fn judge(&self, of: Type, text: &[u8]) -> Result<Submitted> {
        submitted::read(of, text, self.base, self.options)
    }

    /// For a resource that the client gave none.
    pub fn new_id(&self) -> Result<DocumentId> {
        Ok(DocumentId::from_random(self.vault.chance.bytes()?))
    }

    /// Whether there is a resource at all is asked with eyes that see everything.
    fn all(&self) -> Reader<'a> {
        Reader { visible: &Visible::All, ..self.reader() }
    }
}

/// `If-Match` (RFC 9110, section 13.1.1), compared weakly as R4 does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    Any,
    Versions(Vec<u32>),
    /// `If-None-Match: *`: only what is not there is made.
    Absent,
    /// `If-Unmodified-Since`, in seconds: HTTP's dates have no more. What never was has no date that could be later.
    Unmodified(i64),
}

impl IfMatch {
    fn holds(&self, now: Option<&Version>) -> bool {
        match (self, now.filter(|now| !now.deleted)) {
            // A deletion is a modification, too.
            (IfMatch::Unmodified(since), _) => now.is_none_or(|now| now.committed_at.div_euclid(1_000) <= *since),
            (IfMatch::Absent, now) => now.is_none(),
            (_, None) => false,
            (IfMatch::Any, Some(_)) => true,
            (IfMatch::Versions(versions), Some(now)) => versions.contains(&now.version),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Created,
    Updated,
    /// What was sent is what is there.
    Unchanged,
    Deleted,
    /// There was nothing to delete.
    Nothing,
}

/// What became of a resource.
#[derive(Clone, Debug)]
pub struct Written {
    pub effect: Effect,
    pub of: Type,
    pub id: String,
    pub version: u32,
    pub committed_at: Millis,
    pub json: String,
    pub patient: Option<Whose>,
}

/// A resource with an id of ours.
pub fn create(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, id: DocumentId) -> Result<Written> {
    let id = id.to_string();
    born(tx, writer, submitted, (&id, false))
}

/// A resource that was not there.
fn born(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, what: (&str, bool)) -> Result<Written> {
    let (id, upsert) = what;
    let (of, bytes) = (submitted.of, id_bytes(writer.vault, submitted.of, id));
    let shelf = if of == Type::Patient {
        let says = "a Patient's id is a UUID in lower case; send the id of your own system as an identifier";
        let patient = PatientId::parse(id).map_err(|_| Error::new(Kind::Unprocessable, says).at("Patient.id"))?;
        if *writer.visible != Visible::All {
            return Err(shelves::hidden());
        }
        shelves::of_patient(tx, writer.vault, patient)?
    } else {
        open_shelf(tx, writer, submitted, &bytes)?
    };
    let key = Key { shelf, resource: of, id: bytes };
    documents::directory_insert(tx, &key, 1)?;
    put(tx, writer, submitted, (key, id, 1, upsert))
}

/// Where the document belongs, if the caller may write there.
fn open_shelf(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, bytes: &[u8; 16]) -> Result<Shelf> {
    let shelf = match of_context(tx, writer, submitted)? {
        Some(shelf) => shelf,
        None => shelves::of_document(tx, writer.vault, (submitted.of, bytes), &submitted.rows)?,
    };
    // What is shared is read by many and written by those who see all.
    if *writer.visible != Visible::All && !writer.visible.sees(false, keys::patient_of(tx, shelf)?) {
        return Err(shelves::hidden());
    }
    Ok(shelf)
}

/// A Binary belongs to whose resource its securityContext names (https://hl7.org/fhir/R4/binary.html#security).
fn of_context(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted) -> Result<Option<Shelf>> {
    let Some(context) = submitted.security_context() else { return Ok(None) };
    let Some(of) = Type::parse(&context.kind) else { return Ok(None) };
    let found = resources::version(tx, writer.all(), (of, &context.id, None))?;
    Ok(found.filter(|found| found.patient.is_some()).map(|found| found.shelf))
}

fn put(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, what: (Key, &str, u32, bool)) -> Result<Written> {
    let (key, id, version, upsert) = what;
    let committed_at = tx.committed_at();
    let json = submitted.body.text(id, version, &instant(committed_at));
    write(tx, writer.vault, &Put { key, version, json: &json, upsert }, &submitted.rows)?;
    if submitted.of == Type::Patient && version > 1 {
        super::users::patient_changed(tx, writer.vault, writer.external_system, PatientId(key.id))?;
    }
    let effect = if version == 1 || upsert { Effect::Created } else { Effect::Updated };
    let patient = keys::whose(tx, key.shelf)?;
    Ok(Written { effect, of: submitted.of, id: id.to_owned(), version, committed_at, json, patient })
}

/// update, also as create (https://hl7.org/fhir/R4/http.html#upsert).
pub fn update(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, to: (&str, Option<&IfMatch>)) -> Result<Written> {
    let (id, if_match) = to;
    let of = submitted.of;
    let now = held(tx, writer, (of, id), Part::All)?;
    if let Some(if_match) = if_match
        && !if_match.holds(now.as_ref())
    {
        return Err(Error::new(Kind::Precondition, "the current version is another than the request names"));
    }
    let sample = sample(writer, of, id);
    let Some(now) = now else {
        // To whom a resource may be hidden, none may seem to be there to be made.
        if *writer.visible != Visible::All {
            return Err(not_found((of, id)));
        }
        if sample.is_some() {
            return Err(Error::new(Kind::Unprocessable, "ids of this form are given to samples by the server").at("Observation.id"));
        }
        return born(tx, writer, submitted, (id, true));
    };
    if !now.deleted && submitted.body.text(id, now.version, &instant(now.committed_at)) == now.json {
        return Ok(unchanged(of, id, now));
    }
    if of == Type::Patient && now.patient.is_some_and(|whose| whose.is_merged()) {
        super::merge::stays(submitted, id)?;
    }
    let bytes = id_bytes(writer.vault, of, id);
    let shelf = if of == Type::Patient { now.shelf } else { open_shelf(tx, writer, submitted, &bytes)? };
    let key = Key { shelf, resource: of, id: bytes };
    match sample {
        Some(_) if shelf != now.shelf => {
            let says = "what a device measured stays with its patient; delete it and create it anew";
            return Err(Error::new(Kind::Unprocessable, says).at("Observation.subject"));
        }
        Some(address) => blocks::override_insert(tx, address, OverrideKind::Edited)?,
        None if shelf != now.shelf => {
            documents::unindex(tx, &Key { shelf: now.shelf, ..key })?;
            documents::directory_insert(tx, &key, now.version + 1)?;
        }
        None => {}
    }
    // What was deleted is created once more.
    put(tx, writer, submitted, (key, id, now.version + 1, now.deleted))
}

/// delete. What is not there, or hidden, is deleted already.
pub fn delete(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), if_match: Option<&IfMatch>) -> Result<Written> {
    match doomed(tx, writer, what, if_match)? {
        Ok(now) => bury_now(tx, writer, what, &now),
        Err(nothing) => Ok(nothing),
    }
}

/// The same of one resource alone: refused before anything is written when what the caller sees points to it.
pub fn delete_alone(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), if_match: Option<&IfMatch>) -> Result<Written> {
    match doomed(tx, writer, what, if_match)? {
        Ok(now) => {
            references::released(tx, writer, what, now.patient)?;
            bury_now(tx, writer, what, &now)
        }
        Err(nothing) => Ok(nothing),
    }
}

/// The version that is about to go, or that there is none.
fn doomed(
    tx: &mut Tx<'_>,
    writer: &Writer<'_>,
    what: (Type, &str),
    if_match: Option<&IfMatch>,
) -> Result<std::result::Result<Version, Written>> {
    let (of, id) = what;
    let now = held(tx, writer, what, Part::Head)?;
    if let Some(if_match) = if_match
        && !if_match.holds(now.as_ref())
    {
        return Err(Error::new(Kind::Precondition, "the current version is another than the request names"));
    }
    match now {
        None => Ok(Err(nothing(of, id))),
        Some(now) if now.deleted => {
            let (version, committed_at, patient) = (now.version, now.committed_at, now.patient);
            Ok(Err(Written { version, committed_at, patient, ..nothing(of, id) }))
        }
        Some(now) if !writer.visible.sees(false, now.patient.map(|whose| whose.now)) => Err(shelves::hidden()),
        Some(now) => Ok(Ok(now)),
    }
}

fn bury_now(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), now: &Version) -> Result<Written> {
    let (of, id) = what;
    let (committed_at, version) = (tx.committed_at(), now.version + 1);
    if let Some(address) = sample(writer, of, id) {
        blocks::override_insert(tx, address, OverrideKind::Deleted)?;
    }
    let key = Key { shelf: now.shelf, resource: of, id: id_bytes(writer.vault, of, id) };
    let json = serde_json::json!({"resourceType": of.name(), "id": id}).to_string();
    bury(tx, writer.vault, &Put { key, version, json: &json, upsert: false })?;
    Ok(Written { effect: Effect::Deleted, version, committed_at, patient: now.patient, ..nothing(of, id) })
}

/// The current version, held until the transaction ends; `None` also for what is hidden.
fn held(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), part: Part) -> Result<Option<Version>> {
    let (of, id) = what;
    documents::directory_hold(tx, of, &id_bytes(writer.vault, of, id), true)?;
    let found = match part {
        Part::Head => resources::head(tx, writer.all(), what)?,
        Part::All => resources::version(tx, writer.all(), (of, id, None))?,
    };
    if let Some(found) = &found
        && sample(writer, of, id).is_some()
    {
        keys::shelf_lock(tx, found.shelf)?;
        return resources::version(tx, writer.reader(), (of, id, None));
    }
    Ok(found.filter(|found| writer.visible.sees(of.is_shared(), found.patient.map(|whose| whose.now))))
}

/// How much of a version is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Not its text.
    Head,
    All,
}

fn sample(writer: &Writer<'_>, of: Type, id: &str) -> Option<Address> {
    (of == Type::Observation).then(|| writer.vault.sample_address(id)).flatten()
}

/// There was nothing to delete, and there never was.
pub fn nothing(of: Type, id: &str) -> Written {
    Written { effect: Effect::Nothing, of, id: id.to_owned(), version: 0, committed_at: 0, json: String::new(), patient: None }
}

fn unchanged(of: Type, id: &str, now: Version) -> Written {
    Written {
        effect: Effect::Unchanged,
        of,
        id: id.to_owned(),
        version: now.version,
        committed_at: now.committed_at,
        json: now.json,
        patient: now.patient,
    }
}

/// Hidden and absent look the same.
pub fn not_found(what: (Type, &str)) -> Error {
    Error::new(Kind::NotFound, format!("there is no {}/{}", what.0.name(), what.1))
}

pub fn gone(what: (Type, &str)) -> Error {
    Error::new(Kind::Gone, format!("{}/{} was deleted", what.0.name(), what.1))
}

/// An id that a client chose for what answers no criteria must be free: else another resource would be overwritten.
pub fn free(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str)) -> Result<()> {
    let (of, id) = what;
    match resources::version(tx, writer.all(), (of, id, None))? {
        Some(now) if !now.deleted => {
            let says = "a resource of this id is there, and it does not answer the criteria";
            Err(Error::new(Kind::Conflict, says).at(format!("{}.id", of.name())))
        }
        _ => Ok(()),
    }
}
