//! `Patient/$merge` as R5 has it (https://hl7.org/fhir/R5/patient-operation-merge.html), and `$unmerge`, which takes it
//! back: docs/api/merge.md.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::write::{self, Writing};
use super::{base, caller};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::fhir::outcome;
use crate::fhir::validate::{Options, validate};
use crate::id::PatientId;
use crate::ledger::conditional;
use crate::ledger::idempotency::once;
use crate::ledger::merge::{self, Asked, Done, Named};
use crate::ledger::resources::{Writer, Written, not_found};
use crate::ledger::submitted::{self, Submitted};
use crate::policy::Policy;
use crate::search::reference::{local, stored};
use crate::search::{System, Token, Type, folded};
use crate::store::Tx;

/// The operations on Patients, by name and definition.
pub const OPERATIONS: [(&str, &str); 2] =
    [("merge", "http://hl7.org/fhir/OperationDefinition/Patient-merge"), ("unmerge", "urn:firth:operation:Patient-unmerge")];

const SOURCE: &str = "source-patient";
const TARGET: &str = "target-patient";
const RESULT: &str = "result-patient";
const PREVIEW: &str = "preview";

/// `POST /fhir/Patient/$merge`.
pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = may(request, who)?;
    let input = parameters(app, request)?;
    let (sent, base) = (Sent::read(&input)?, base(app));
    let asked = sent.asked(app, &base).map_err(|e| sent.placed(e))?;
    let word = if asked.preview { "would be" } else { "was" };
    let of = (who, asked.preview);
    let done = commit(app, request, of, move |tx, writer| merge::merge(tx, writer, &base, &asked)).map_err(|e| sent.placed(e))?;
    let says = format!("Patient/{} {word} merged into Patient/{}", done.source, done.target);
    Ok(answer(&input, &says, &done))
}

/// `POST /fhir/Patient/{id}/$unmerge`.
pub fn unmerge(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = may(request, who)?;
    let input = parameters(app, request)?;
    let (sent, base) = (Sent::read(&input)?, base(app));
    let target = PatientId::parse(request.param("id")).map_err(|_| not_found((Type::Patient, request.param("id"))))?;
    let source = sent.source(&base).map_err(|e| sent.placed(e))?;
    let done = commit(app, request, (who, false), move |tx, writer| merge::unmerge(tx, writer, &base, (target, source)));
    let done = done.map_err(|e| sent.placed(e))?;
    let says = format!("Patient/{} is no longer merged into Patient/{}", done.source, done.target);
    Ok(answer(&input, &says, &done))
}

/// Who changes whose data is whose must see all of them.
fn may<'c>(request: &Request, who: Option<&'c Caller>) -> Result<&'c Caller> {
    let who = caller(who)?;
    Policy::of(who).may(Type::Patient, Interaction::Update)?;
    if !who.role.is_system() {
        return Err(Error::new(Kind::Forbidden, "Patients are merged with a token of role ehr-system"));
    }
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    Ok(who)
}

/// The text of the Parameters in the body, judged by R4.
pub(super) fn parameters(app: &App, request: &mut Request) -> Result<String> {
    let text = write::body(app, request, "Parameters are sent as application/fhir+json")?;
    validate(&text, &Options { expected: Some("Parameters"), ..options(app) }).map_err(submitted::refused)?;
    String::from_utf8(text).map_err(Error::bug)
}

fn options(app: &App) -> Options<'static> {
    Options { bytes: app.config.max_request_bytes, depth: app.config.max_depth, ..Options::default() }
}

/// Does `work` with its audit entry, which names every Patient that was changed. A preview changes nothing, so it is made
/// anew each time, whatever its Idempotency-Key.
fn commit(
    app: &App,
    request: &Request,
    (who, preview): (&Caller, bool),
    work: impl Fn(&mut Tx<'_>, &Writer<'_>) -> Result<Done> + Send + 'static,
) -> Result<Done> {
    let (writing, entry) = (Writing::of(app, who), request.entry.clone());
    let key = write::idempotency(app, request, who)?.filter(|_| !preview);
    app.db.write("patient.merge", move |tx| {
        let writer = writing.writer();
        let done = match &key {
            None => work(tx, &writer)?,
            Some(key) => told(once(tx, &writer, Some(key), |tx| {
                let done = work(tx, &writer)?;
                changed(tx, &writer, &done)
            })?)?,
        };
        let patients = [done.target, done.source].iter().chain(&done.further).map(PatientId::to_string).collect();
        entry.commit(tx, Did { patients, ..Did::new(200, format!("Patient/{}", done.target)) })?;
        Ok(done)
    })
}

/// The Patients that were changed as they are now: the target, the source, those that are merged with it.
fn changed(tx: &mut Tx<'_>, writer: &Writer<'_>, done: &Done) -> Result<Vec<Option<Written>>> {
    let all = [done.target, done.source].into_iter().chain(done.further.iter().copied());
    let visible = writer.policy.visible(Type::Patient, Interaction::Update)?;
    all.map(|id| conditional::existing(tx, writer, &visible, (Type::Patient, &id.to_string())).map(Some)).collect()
}

/// The same, read back from what was remembered.
fn told(changed: Vec<Option<Written>>) -> Result<Done> {
    let mut changed = changed.into_iter().flatten();
    let gone = || Error::bug("a merge without two Patients");
    let (target, source) = (changed.next().ok_or_else(gone)?, changed.next().ok_or_else(gone)?);
    let further = changed.map(|one| PatientId::parse(&one.id)).collect::<Result<_>>()?;
    Ok(Done { target: PatientId::parse(&target.id)?, source: PatientId::parse(&source.id)?, further, json: target.json })
}

fn answer(input: &str, says: &str, done: &Done) -> Reply {
    let said = outcome::done(says);
    let parts = [("input", Some(input)), ("outcome", Some(said.as_str())), ("result", done.json.as_deref())].into_iter();
    let parts = parts.filter_map(|(name, resource)| Some(format!(r#"{{"name":"{name}","resource":{}}}"#, resource?)));
    let parts = parts.collect::<Vec<_>>().join(",");
    Reply::fhir(200, format!(r#"{{"resourceType":"Parameters","parameter":[{parts}]}}"#)).committed()
}

/// Parameters as they were sent.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    parameter: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    #[serde(default)]
    name: String,
    value_reference: Option<Value>,
    value_identifier: Option<Value>,
    value_boolean: Option<bool>,
    resource: Option<Box<RawValue>>,
}

impl Sent {
    fn read(text: &str) -> Result<Sent> {
        serde_json::from_str(text).map_err(Error::bug)
    }

    /// What is to be merged.
    fn asked(&self, app: &App, base: &str) -> Result<Asked> {
        self.only(&[SOURCE, TARGET, "source-patient-identifier", "target-patient-identifier", RESULT, PREVIEW])?;
        let (source, target) = (self.patient(SOURCE, base)?, self.patient(TARGET, base)?);
        Ok(Asked { source, target, result: self.result(app, base)?, preview: self.preview()? })
    }

    /// Whose merge is to be taken back.
    fn source(&self, base: &str) -> Result<PatientId> {
        self.only(&[SOURCE])?;
        self.reference(SOURCE, base)?.ok_or_else(|| Error::new(Kind::Invalid, "source-patient is missing").at(SOURCE))
    }

    /// An error of a parameter, or of the Patient in one, with its name in words and its place in what was sent.
    fn placed(&self, mut error: Error) -> Error {
        for issue in &mut error.issues {
            let Some(at) = issue.at.take_if(|at| !at.starts_with("Parameters.")) else { continue };
            let (name, rest) = at.strip_prefix("Patient").map_or((at.as_str(), String::new()), |rest| (RESULT, format!(".resource{rest}")));
            if rest.is_empty() && !issue.says.contains(name) {
                issue.says = format!("{name}: {}", issue.says);
            }
            let nth = self.parameter.iter().position(|parameter| parameter.name == name);
            issue.at = Some(nth.map_or_else(|| "Parameters.parameter".to_owned(), |nth| format!("Parameters.parameter[{nth}]{rest}")));
        }
        error
    }

    /// Refuses what the operation does not know, and twice what it takes once.
    fn only(&self, names: &[&str]) -> Result<()> {
        for (n, parameter) in self.parameter.iter().enumerate() {
            let name = &parameter.name;
            if !names.contains(&name.as_str()) {
                return Err(Error::new(Kind::Invalid, format!("{name} is no parameter of this operation")).at(name.clone()));
            }
            let repeats = name.ends_with("-identifier");
            if !repeats && self.parameter.iter().take(n).any(|earlier| earlier.name == *name) {
                return Err(Error::new(Kind::Invalid, format!("{name} is given twice")).at(format!("Parameters.parameter[{n}]")));
            }
        }
        Ok(())
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Parameter> {
        self.parameter.iter().filter(move |parameter| parameter.name == name)
    }

    /// A Patient by its reference, its identifiers or both.
    fn patient(&self, param: &'static str, base: &str) -> Result<Named> {
        let named = Named { param, id: self.reference(param, base)?, identifiers: self.identifiers(&format!("{param}-identifier"))? };
        if named.id.is_none() && named.identifiers.is_empty() {
            let says = format!("{param} is missing; send it, or {param}-identifier");
            return Err(Error::new(Kind::Invalid, says).at(param));
        }
        Ok(named)
    }

    fn reference(&self, name: &str, base: &str) -> Result<Option<PatientId>> {
        let Some(sent) = self.all(name).next() else { return Ok(None) };
        let text = sent.value_reference.as_ref().and_then(|reference| reference["reference"].as_str());
        let refused = || Error::new(Kind::Invalid, format!("{name} is a valueReference whose reference is Patient/ID")).at(name);
        let text = text.ok_or_else(refused)?;
        let local = local(text, base).unwrap_or(text);
        let Some(("Patient", id)) = stored(local).filter(|_| !local.contains("/_history/")) else { return Err(refused()) };
        let unknown = |_| Error::new(Kind::ReferenceUnknown, format!("{name}: there is no Patient/{id}")).at(name);
        PatientId::parse(id).map(Some).map_err(unknown)
    }

    fn identifiers(&self, name: &str) -> Result<Vec<Token>> {
        let token = |sent: &Parameter| {
            let text = |member: &str| sent.value_identifier.as_ref().and_then(|identifier| identifier[member].as_str());
            let refused = || Error::new(Kind::Invalid, format!("{name} is a valueIdentifier with a value")).at(name);
            let value = text("value").ok_or_else(refused)?;
            let system = text("system").map_or(System::None, |system| System::Is(system.to_owned()));
            Ok(Token { system, code: Some(folded(value).into_owned()) })
        };
        self.all(name).map(token).collect()
    }

    /// What the target is to say afterwards.
    fn result(&self, app: &App, base: &str) -> Result<Option<Submitted>> {
        let Some(sent) = self.all(RESULT).next() else { return Ok(None) };
        let refused = || Error::new(Kind::Invalid, "result-patient is a resource, a Patient").at(RESULT);
        let text = sent.resource.as_ref().ok_or_else(refused)?.get();
        let kind: Value = serde_json::from_str(text).map_err(Error::bug)?;
        if kind["resourceType"] != Type::Patient.name() {
            return Err(refused());
        }
        submitted::read(Type::Patient, text.as_bytes(), base, options(app)).map(Some)
    }

    fn preview(&self) -> Result<bool> {
        let refused = || Error::new(Kind::Invalid, "preview is a valueBoolean").at(PREVIEW);
        self.all(PREVIEW).next().map_or(Ok(false), |sent| sent.value_boolean.ok_or_else(refused))
    }
}
