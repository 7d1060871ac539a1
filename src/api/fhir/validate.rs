//! `$validate` (https://hl7.org/fhir/R4/resource-operation-validate.html): what a write would be told, without the write.
//!
//! Without a mode the resource alone is judged. With one the write is done in a transaction that is undone, so that
//! what is answered here is what the write itself would answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::write::{self, Writing};
use super::{base, caller, document};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::outcome;
use crate::fhir::validate::{Options, object};
use crate::ledger::resources::{self, Effect, IfMatch, Writer, Written, gone, not_found};
use crate::ledger::{references, submitted};
use crate::policy::Policy;
use crate::search::Type;
use crate::search::reference::is_id;
use crate::store::Tx;
use crate::store::keys::Whose;
use crate::store::resources::{Reader, version};

/// http://hl7.org/fhir/R4/valueset-resource-validation-mode.html
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    Delete,
    Profile,
}

#[derive(Default)]
struct Asked {
    mode: Option<Mode>,
    profile: Option<String>,
    resource: Option<String>,
}

#[derive(Deserialize)]
struct Kinded {
    #[serde(rename = "resourceType")]
    kind: String,
}

/// Of a Parameters; the text of the resource is kept as it was sent.
#[derive(Deserialize)]
struct Parameters<'t> {
    #[serde(borrow, default)]
    parameter: Vec<Parameter<'t>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter<'t> {
    name: String,
    #[serde(borrow)]
    resource: Option<&'t RawValue>,
    value_code: Option<String>,
    value_uri: Option<String>,
    value_canonical: Option<String>,
}

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = document(request.param("type"))?;
    let policy = Policy::of(who);
    allowed(&policy, of, None)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format", "mode", "profile"])?;
    let id = Some(request.param("id").to_owned()).filter(|id| !id.is_empty());
    let if_match = write::if_match(request)?;
    let mut asked = Asked::default();
    for (name, value) in &pairs {
        asked.take(name, value)?;
    }
    asked.read(&body(app, request)?)?;
    allowed(&policy, of, asked.mode)?;
    let mut whose = None;
    if asked.resource.is_none()
        && asked.mode != Some(Mode::Delete)
        && let Some(id) = &id
    {
        let (text, patient) = stored(app, &policy, (of, id))?;
        (asked.resource, whose) = (Some(text), patient);
    }
    let fault = judged(app, who, &asked, (of, id.as_deref(), if_match))?;
    let told = match &fault {
        Some(fault) => outcome::of(fault, &request.id),
        None => outcome::done(&asked.fine(of)),
    };
    let name = id.map_or_else(|| of.name().to_owned(), |id| format!("{}/{id}", of.name()));
    let mut patients = whose.map(Whose::named).unwrap_or_default();
    patients.extend(fault.and_then(|fault| fault.about));
    Ok(Reply::fhir(200, told).about(name, patients))
}

/// Who may do it may ask whether it could be done; without a mode, who may write the type at all.
fn allowed(policy: &Policy, of: Type, mode: Option<Mode>) -> Result<()> {
    let may = |interaction| policy.may(of, interaction);
    match mode {
        Some(Mode::Create) => may(Interaction::Create),
        Some(Mode::Update) => may(Interaction::Update),
        Some(Mode::Delete) => may(Interaction::Delete),
        Some(Mode::Profile) | None => may(Interaction::Create).or_else(|_| may(Interaction::Update)).or_else(|_| may(Interaction::Delete)),
    }
}

fn body(app: &App, request: &mut Request) -> Result<Vec<u8>> {
    let body = request.body(app.config.max_request_bytes)?;
    if !body.is_empty() {
        negotiate::sent_as(request, &negotiate::FHIR, "a resource is sent as application/fhir+json")?;
    }
    Ok(body)
}

impl Asked {
    /// A parameter of the query or of a Parameters, each once.
    fn take(&mut self, name: &str, value: &str) -> Result<()> {
        let refused = |says: &str| Error::new(Kind::Parameter, says).at(name.to_owned());
        let twice = match name {
            "mode" => {
                let mode = match value {
                    "create" => Mode::Create,
                    "update" => Mode::Update,
                    "delete" => Mode::Delete,
                    "profile" => Mode::Profile,
                    _ => return Err(refused("mode is create, update, delete or profile")),
                };
                self.mode.replace(mode).is_some()
            }
            "profile" => self.profile.replace(value.to_owned()).is_some(),
            _ => false,
        };
        if twice { Err(refused("the parameter is given twice")) } else { Ok(()) }
    }

    /// The body: nothing, a resource, or a Parameters with one.
    fn read(&mut self, body: &[u8]) -> Result<()> {
        let Ok(text) = str::from_utf8(body) else { return Err(Error::new(Kind::Syntax, "the body is not UTF-8")) };
        if text.trim().is_empty() {
            return Ok(());
        }
        // What is no Parameters is the resource, and is judged as one.
        if serde_json::from_str::<Kinded>(text).map_or(true, |it| it.kind != "Parameters") {
            self.resource = Some(text.to_owned());
            return Ok(());
        }
        let unread = |e| Error::new(Kind::Syntax, format!("the Parameters cannot be read: {e}"));
        let parameters: Parameters<'_> = serde_json::from_str(text).map_err(unread)?;
        for (n, one) in parameters.parameter.iter().enumerate() {
            let at = |says: &str| Error::new(Kind::Invalid, says).at(format!("Parameters.parameter[{n}]"));
            let value = match one.name.as_str() {
                "resource" => {
                    let resource = one.resource.ok_or_else(|| at("the parameter resource has no resource"))?;
                    if self.resource.replace(resource.get().to_owned()).is_some() {
                        return Err(at("there is another resource"));
                    }
                    continue;
                }
                "mode" => one.value_code.as_ref().ok_or_else(|| at("mode is sent as valueCode"))?,
                "profile" => one.value_uri.as_ref().or(one.value_canonical.as_ref()).ok_or_else(|| at("profile is sent as valueUri"))?,
                _ => return Err(at("$validate takes resource, mode and profile")),
            };
            self.take(&one.name, value)?;
        }
        Ok(())
    }

    /// The words when nothing is wrong.
    fn fine(&self, of: Type) -> String {
        let profile = self.profile.as_ref().map_or_else(String::new, |url| format!(" It keeps {url}."));
        match self.mode {
            Some(Mode::Create) => format!("The {} could be created.{profile}", of.name()),
            Some(Mode::Update) => format!("The {} could be updated.{profile}", of.name()),
            Some(Mode::Delete) => format!("The {} could be deleted.", of.name()),
            Some(Mode::Profile) | None => format!("The {} keeps the rules of R4.{profile}", of.name()),
        }
    }
}

/// The current version and whose it is, for who may read it.
fn stored(app: &App, policy: &Policy, what: (Type, &str)) -> Result<(String, Option<Whose>)> {
    let visible = policy.visible(what.0, Interaction::Read)?;
    let reader = Reader { vault: &app.vault, templates: &app.templates, visible: &visible };
    let found = app.db.read("read", |tx| version(tx, reader, (what.0, what.1, None)))?.ok_or_else(|| not_found(what))?;
    if found.deleted {
        return Err(gone(what));
    }
    Ok((found.json, found.patient))
}

/// What is wrong, if anything; `Err` when it could not be judged.
fn judged(app: &App, who: &Caller, asked: &Asked, what: (Type, Option<&str>, Option<IfMatch>)) -> Result<Option<Error>> {
    let (of, id, if_match) = what;
    if asked.mode == Some(Mode::Delete) {
        let said = asked.resource.as_deref().and_then(object).and_then(|resource| resource.text("id").map(str::to_owned));
        let id = match id.map(str::to_owned).or(said) {
            Some(id) => id,
            None => return Ok(Some(nameless(of, "a deletion names the resource by its id"))),
        };
        return tried(app, who, move |tx, writer| {
            let deleted = resources::delete_alone(tx, writer, (of, &id), if_match.as_ref())?;
            match deleted.effect {
                Effect::Nothing if deleted.version > 0 => Err(gone((of, &id))),
                Effect::Nothing => Err(not_found((of, &id))),
                _ => Ok(deleted),
            }
        });
    }
    let Some(text) = &asked.resource else { return Err(Error::new(Kind::Syntax, "send the resource that is to be judged")) };
    let options = Options { profile: asked.profile.as_deref(), ..write::options(app) };
    let submitted = match submitted::read(of, text.as_bytes(), &base(app), options) {
        Ok(submitted) => submitted,
        Err(fault) => return Ok(Some(fault)),
    };
    match asked.mode {
        Some(Mode::Create) => tried(app, who, move |tx, writer| {
            let id = writer.new_id()?;
            references::check(tx, writer, (of, &id.to_string()), &submitted.targets)?;
            resources::create(tx, writer, &submitted, id)
        }),
        Some(Mode::Update) => match updated(of, id, submitted.id.as_deref()) {
            Err(fault) => Ok(Some(fault)),
            Ok(id) => tried(app, who, move |tx, writer| {
                references::check(tx, writer, (of, &id), &submitted.targets)?;
                resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
            }),
        },
        _ => Ok(None),
    }
}

fn nameless(of: Type, says: &str) -> Error {
    Error::new(Kind::Invalid, says).at(format!("{}.id", of.name()))
}

/// The id of the resource that would be updated: that of the path, which the resource repeats.
fn updated(of: Type, id: Option<&str>, said: Option<&str>) -> Result<String> {
    match (id, said) {
        (Some(id), Some(said)) if id != said => Err(nameless(of, "the resource has another id than the path")),
        (_, Some(said)) if !is_id(said) => Err(nameless(of, "the id is no FHIR id: 1 to 64 letters, digits, - and .")),
        (_, Some(said)) => Ok(said.to_owned()),
        (Some(_), None) => Err(nameless(of, "the resource has no id; send that of the path")),
        (None, None) => Err(nameless(of, "the resource has no id; an update names one")),
    }
}

/// Does `work`, undoes it, and tells what was wrong.
fn tried(app: &App, who: &Caller, work: impl Fn(&mut Tx<'_>, &Writer<'_>) -> Result<Written> + Send + 'static) -> Result<Option<Error>> {
    let writing = Writing::of(app, who);
    let ended = app.db.write("resource.try", move |tx| -> Result<()> {
        work(tx, &writing.writer())?;
        // Only an error undoes a transaction; one without an issue says that nothing was wrong.
        Err(Error { issues: Vec::new(), ..Error::new(Kind::Invalid, "") })
    });
    match ended {
        Ok(()) => Ok(None),
        Err(e) if e.issues.is_empty() => Ok(None),
        // There is nothing to judge, or it is our fault.
        Err(e) if [Kind::NotFound, Kind::Gone].contains(&e.kind) || e.kind.wire().status >= 500 => Err(e),
        Err(e) => Ok(Some(e)),
    }
}
