//! create, update and delete of one resource (https://hl7.org/fhir/R4/http.html): a new version with its search rows,
//! its place in the feed and nothing else. The audit entry is the caller's.

use std::time::Duration;

use super::documents::{Put, bury, instant, write};
use super::submitted::{self, Submitted};
use super::{labels, references, shelves};
use crate::access::Interaction;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::Options;
use crate::id::{Address, DocumentId, PatientId, Shelf};
use crate::policy::{Policy, Visible};
use crate::search::{DateRange, Opened, Type};
use crate::store::blocks::{self, OverrideKind, Templates};
use crate::store::documents::{self, Key, id_bytes};
use crate::store::keys::Whose;
use crate::store::resources::{self, Reader, Version};
use crate::store::{Deadline, Tx, keys};
use crate::vault::Vault;

/// Who writes, and with what.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub vault: &'a Vault,
    pub templates: &'a Templates,
    pub policy: &'a Policy,
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
    /// What reads with these eyes.
    pub fn reader<'v>(&self, visible: &'v Visible) -> Reader<'v>
    where
        'a: 'v,
    {
        Reader { vault: self.vault, templates: self.templates, visible }
    }

    /// Judges a text that was made here out of what a client sent.
    pub fn judge(&self, of: Type, text: &[u8]) -> Result<Submitted> {
        submitted::read(of, text, self.base, self.options)
    }

    /// For a resource that the client gave none.
    pub fn new_id(&self) -> Result<DocumentId> {
        Ok(DocumentId::from_random(self.vault.chance.bytes()?))
    }

    /// The text of what was written, where the writer may read it.
    pub fn readable(&self, tx: &mut Tx<'_>, of: (Type, Option<Whose>), what: (String, Millis)) -> Result<Option<String>> {
        let (of, patient) = of;
        let Ok(visible) = self.policy.visible(of, Interaction::Read) else { return Ok(None) };
        let (json, committed_at) = what;
        let _end = Deadline::after(self.limit);
        let seen = resources::of_text(tx, self.reader(&visible), (of, patient.map(|whose| whose.now)), (&json, committed_at))?;
        Ok(seen.map(|_| json))
    }

    /// Refuses what the writer's scopes do not let be written: whatever it was before, what it becomes must be within them.
    pub fn within(&self, visible: &Visible, patient: Option<Whose>, what: (&Submitted, &str, Millis)) -> Result<()> {
        let (submitted, id, committed_at) = what;
        if !visible.by_content() {
            return Ok(());
        }
        let rows = submitted.values(visible)?;
        let opened = Opened { id, rows: &rows, last_updated: DateRange::instant(committed_at) };
        if visible.chosen(patient.map(|whose| whose.now), &opened).is_some() {
            return Ok(());
        }
        let name = submitted.of.name();
        let says = match visible.said() {
            said if said.is_empty() => format!("a consent keeps such a {name} from the token"),
            said => format!("the token's scopes limit {name} to {said}, and what would be stored is not among them"),
        };
        Err(Error::new(Kind::Forbidden, says).at(name))
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
    /// Its text, where the writer may read it; None also of what is there no more.
    pub json: Option<String>,
    pub patient: Option<Whose>,
}

/// A resource with an id of ours.
pub fn create(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, id: DocumentId) -> Result<Written> {
    let id = id.to_string();
    born(tx, (writer, &writer.policy.visible(submitted.of, Interaction::Create)?), submitted, (&id, false))
}

/// An update by criteria that nothing answers: it is a create, and needs what a create needs.
pub fn made(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, id: &str) -> Result<Written> {
    born(tx, (writer, &writer.policy.visible(submitted.of, Interaction::Create)?), submitted, (id, true))
}

/// Who writes, and what by this interaction.
type Writing<'a> = (&'a Writer<'a>, &'a Visible);

/// A resource that was not there.
fn born(tx: &mut Tx<'_>, (writer, visible): Writing<'_>, submitted: &Submitted, what: (&str, bool)) -> Result<Written> {
    let (id, upsert) = what;
    submitted.comes_from(None)?;
    let (of, bytes) = (submitted.of, id_bytes(writer.vault, submitted.of, id));
    let shelf = if of == Type::Patient {
        let says = "a Patient's id is a UUID in lower case; send the id of your own system as an identifier";
        let patient = PatientId::parse(id).map_err(|_| Error::new(Kind::Unprocessable, says).at("Patient.id"))?;
        if visible.rule().is_some() {
            return Err(shelves::closed(writer.policy, Some(patient)));
        }
        shelves::of_patient(tx, writer.vault, patient)?
    } else {
        open_shelf(tx, (writer, visible), submitted, &bytes)?
    };
    let key = Key { shelf, resource: of, id: bytes };
    documents::directory_insert(tx, &key, 1)?;
    put(tx, (writer, visible), submitted, (key, id, 1, upsert))
}

/// Where the document belongs, if the caller may write there.
fn open_shelf(tx: &mut Tx<'_>, (writer, visible): Writing<'_>, submitted: &Submitted, bytes: &[u8; 16]) -> Result<Shelf> {
    let shelf = match of_context(tx, writer, submitted)? {
        Some(shelf) => shelf,
        None => shelves::of_document(tx, writer.vault, (submitted.of, bytes), &submitted.rows)?,
    };
    // What is shared is read by many and written by those who see all.
    if visible.rule().is_none() {
        return Ok(shelf);
    }
    let patient = keys::patient_of(tx, shelf)?;
    if visible.owns(patient) { Ok(shelf) } else { Err(shelves::closed(writer.policy, patient)) }
}

/// A Binary belongs to whose resource its securityContext names (https://hl7.org/fhir/R4/binary.html#security).
fn of_context(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted) -> Result<Option<Shelf>> {
    let Some(context) = submitted.security_context() else { return Ok(None) };
    let Some(of) = Type::parse(&context.kind) else { return Ok(None) };
    let all = Visible::everything(of);
    let found = resources::version(tx, writer.reader(&all), (of, &context.id, None))?;
    Ok(found.filter(|found| found.patient.is_some()).map(|found| found.shelf))
}

fn put(tx: &mut Tx<'_>, (writer, visible): Writing<'_>, submitted: &Submitted, what: (Key, &str, u32, bool)) -> Result<Written> {
    let (key, id, version, upsert) = what;
    let (of, committed_at, patient) = (submitted.of, tx.committed_at(), keys::whose(tx, key.shelf)?);
    writer.within(visible, patient, (submitted, id, committed_at))?;
    let json = submitted.body.text(id, version, &instant(committed_at));
    write(tx, writer.vault, &Put { key, version, json: &json, upsert }, &submitted.rows)?;
    if of == Type::Patient && version > 1 {
        super::users::patient_changed(tx, writer.vault, writer.external_system, PatientId(key.id))?;
    }
    let effect = if version == 1 || upsert { Effect::Created } else { Effect::Updated };
    let json = writer.readable(tx, (of, patient), (json, committed_at))?;
    Ok(Written { effect, of, id: id.to_owned(), version, committed_at, json, patient })
}

/// update, also as create (https://hl7.org/fhir/R4/http.html#upsert).
pub fn update(tx: &mut Tx<'_>, writer: &Writer<'_>, submitted: &Submitted, to: (&str, Option<&IfMatch>)) -> Result<Written> {
    let ((id, if_match), of) = (to, submitted.of);
    let visible = writer.policy.visible(of, Interaction::Update)?;
    let now = held(tx, (writer, &visible), (of, id), Part::All)?;
    // To whom one may be hidden, none may seem to be there to be made, whatever the condition (RFC 9110, section 13.2.1).
    if now.is_none() && (!visible.is_unlimited() || taken(tx, writer, (of, id), &visible)?) {
        return Err(not_found((of, id)));
    }
    if let Some(if_match) = if_match
        && !if_match.holds(now.as_ref())
    {
        return Err(Error::new(Kind::Precondition, "the current version is another than the request names"));
    }
    let sample = sample(writer, of, id);
    let Some(now) = now else {
        if sample.is_some() {
            return Err(Error::new(Kind::Unprocessable, "ids of this form are given to samples by the server").at("Observation.id"));
        }
        return born(tx, (writer, &visible), submitted, (id, true));
    };
    let submitted = &*labels::kept(tx, writer.reader(&visible), submitted, (id, &now))?;
    if !now.deleted && submitted.body.text(id, now.version, &instant(now.committed_at)) == now.json {
        return unchanged(tx, writer, (of, id), now);
    }
    if of == Type::Patient && now.patient.is_some_and(|whose| whose.is_merged()) {
        super::merge::stays(submitted, id)?;
    }
    let bytes = id_bytes(writer.vault, of, id);
    let shelf = if of == Type::Patient { now.shelf } else { open_shelf(tx, (writer, &visible), submitted, &bytes)? };
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
    put(tx, (writer, &visible), submitted, (key, id, now.version + 1, now.deleted))
}

/// Is there one that a consent withholds? It is not made anew; else whoever withholds one resource would keep a system from
/// making any.
fn taken(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), visible: &Visible) -> Result<bool> {
    let ((of, id), all) = (what, Visible::everything(what.0));
    Ok(visible.by_content() && resources::told(tx, writer.reader(&all), (of, id, None))?.is_some())
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
    let visible = writer.policy.visible(of, Interaction::Delete)?;
    let now = held(tx, (writer, &visible), what, Part::Head)?;
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
        // What is shared is written by those who see all.
        Some(now) if !visible.owns(now.patient.map(|whose| whose.now)) => Err(shelves::closed(writer.policy, None)),
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
fn held(tx: &mut Tx<'_>, (writer, visible): Writing<'_>, what: (Type, &str), part: Part) -> Result<Option<Version>> {
    let ((of, id), reader) = (what, writer.reader(visible));
    documents::directory_hold(tx, of, &id_bytes(writer.vault, of, id), true)?;
    let found = match part {
        Part::Head => resources::head(tx, reader, what)?,
        Part::All => resources::version(tx, reader, (of, id, None))?,
    };
    if found.is_none() {
        readable(tx, writer, what)?;
    }
    match (found, sample(writer, of, id)) {
        (Some(found), Some(_)) => {
            // It may be another one once the shelf is held.
            keys::shelf_lock(tx, found.shelf)?;
            resources::version(tx, reader, (of, id, None))
        }
        (found, _) => Ok(found),
    }
}

/// What an emergency opens is no secret to who writes, so it is refused as what it is: to be read alone.
pub(super) fn readable(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str)) -> Result<()> {
    let (of, id) = what;
    if !writer.policy.has_emergencies() {
        return Ok(());
    }
    let Ok(seen) = writer.policy.visible(of, Interaction::Read) else { return Ok(()) };
    match resources::head(tx, writer.reader(&seen), (of, id))?.and_then(|found| found.patient) {
        Some(whose) if writer.policy.reads_only(whose.now) => Err(shelves::read_alone(whose.now)),
        _ => Ok(()),
    }
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
    Written { effect: Effect::Nothing, of, id: id.to_owned(), version: 0, committed_at: 0, json: None, patient: None }
}

/// What is there, as what came of a write that changed nothing.
pub fn unchanged(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), now: Version) -> Result<Written> {
    let ((of, id), Version { json, version, committed_at, patient, .. }) = (what, now);
    let json = writer.readable(tx, (of, patient), (json, committed_at))?;
    Ok(Written { effect: Effect::Unchanged, of, id: id.to_owned(), version, committed_at, json, patient })
}

/// Hidden and absent look the same.
pub fn not_found(what: (Type, &str)) -> Error {
    Error::new(Kind::NotFound, format!("there is no {}/{}", what.0.name(), what.1))
}

pub fn gone(what: (Type, &str)) -> Error {
    Error::new(Kind::Gone, format!("{}/{} was deleted", what.0.name(), what.1))
}

/// An id that a client chose for what answers no criteria must be free: else another resource would be overwritten. To whom
/// one may be hidden, the update says that there is none.
pub fn free(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str)) -> Result<()> {
    let (of, id) = what;
    let visible = writer.policy.visible(of, Interaction::Update)?;
    match resources::version(tx, writer.reader(&visible), (of, id, None))? {
        Some(now) if !now.deleted => {
            let says = "a resource of this id is there, and it does not answer the criteria";
            Err(Error::new(Kind::Conflict, says).at(format!("{}.id", of.name())))
        }
        _ => Ok(()),
    }
}
