//! `POST /oauth/launch`: an EHR says what is open in it and gets the `launch` parameter with which it starts an app (SMART
//! App Launch 2.2 "EHR launch").

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::access::{Caller, Interaction, Role};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::{is_id, is_type, scheme};
use crate::id::{ClientId, PatientId};
use crate::ledger::clients::{self, Status};
use crate::ledger::launches::{self, Launch};
use crate::policy::Policy;
use crate::search::Type;
use crate::store::Tx;
use crate::store::blocks::Templates;
use crate::store::resources::{self, Reader};
use crate::vault::Vault;

const MEMBERS: [&str; 6] = ["client_id", "patient", "encounter", "intent", "need_patient_banner", "fhirContext"];

/// JSON `{client_id, patient, encounter?, intent?, need_patient_banner?, fhirContext?}`, answered 201
/// `{launch, expires_in}`.
pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = who.filter(|who| who.role == Role::EhrSystem);
    let policy = Policy::of(who.ok_or_else(|| Error::new(Kind::Forbidden, "a token of role ehr-system starts apps"))?);
    let body = request.json()?;
    if let Some(unknown) = body.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(Error::new(Kind::Invalid, "there is no such member").at(unknown.clone()));
    }
    let text = |name: &'static str| text(&body, name);
    let missing = |name: &'static str| Error::new(Kind::Invalid, "the member is missing").at(name);
    let client = ClientId::parse(&text("client_id")?.ok_or_else(|| missing("client_id"))?).map_err(|_| no_client())?;
    let patient = text("patient")?.ok_or_else(|| missing("patient"))?;
    let patient = PatientId::parse(patient.trim_start_matches("Patient/")).map_err(|_| no_patient())?;
    let encounter = text("encounter")?.map(|encounter| encounter.trim_start_matches("Encounter/").to_owned());
    let banner = match body.get("need_patient_banner") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(banner)) => Some(*banner),
        Some(_) => return Err(Error::new(Kind::Invalid, "it is true or false").at("need_patient_banner")),
    };
    let launch = Launch {
        patient: patient.to_string(),
        encounter,
        intent: text("intent")?,
        need_patient_banner: banner,
        fhir_context: further(&body)?,
    };
    let (vault, templates, entry) = (Arc::clone(&app.vault), Arc::clone(&app.templates), request.entry.clone());
    let secret = app.db.write("launch", move |tx| {
        let known = clients::get(tx, &vault, client)?.filter(|client| client.status == Status::Approved).ok_or_else(no_client)?;
        if known.facts.redirect_uris.is_empty() {
            return Err(Error::new(Kind::Invalid, "the client has no redirect URI: nobody can start a backend service").at("client_id"));
        }
        in_context(tx, (&vault, &templates, &policy), (patient, launch.encounter.as_deref()))?;
        let secret = launches::make(tx, &vault, client, &launch)?;
        entry.commit(tx, Did { patients: vec![patient.to_string()], ..Did::new(201, format!("client/{client}")) })?;
        Ok(secret)
    })?;
    Ok(Reply::json(201, &json!({"launch": secret, "expires_in": launches::TTL / 1_000})).committed())
}

fn no_client() -> Error {
    Error::new(Kind::Invalid, "there is no approved client of this client_id").at("client_id")
}

fn no_patient() -> Error {
    Error::new(Kind::Invalid, "there is no such Patient").at("patient")
}

fn text(body: &Map<String, Value>, name: &'static str) -> Result<Option<String>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 1_024 => Ok(Some(text.clone())),
        Some(_) => Err(Error::new(Kind::Invalid, "it is a text of 1 to 1,024 bytes").at(name)),
    }
}

/// SMART App Launch 2.2, `fhirContext`, with the objects as they came.
fn further(body: &Map<String, Value>) -> Result<Vec<Value>> {
    let all = match body.get("fhirContext") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= 32 => all,
        Some(_) => return Err(Error::new(Kind::Invalid, "it is a list of at most 32 objects").at("fhirContext")),
    };
    for (n, one) in all.iter().enumerate() {
        let refused = |(member, says): (&str, &str)| Error::new(Kind::Invalid, says).at(format!("fhirContext[{n}]{member}"));
        in_further_context(one).map_err(refused)?;
    }
    Ok(all.clone())
}

/// One of its objects: at least a relative reference, a canonical or an identifier, perhaps the type of what is meant, and
/// its role: `launch`, which is meant without one, or an absolute URI. The refusal names the member.
fn in_further_context(one: &Value) -> std::result::Result<(), (&'static str, &'static str)> {
    let one = one.as_object().ok_or(("", "it is no object"))?;
    let text = |name: &str, member: &'static str| match one.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err((member, "it is no text")),
    };
    let reference = match text("reference", ".reference")?.map(|text| text.split_once('/')) {
        None => None,
        Some(Some((kind, id))) if is_type(kind) && is_id(id) => Some(kind),
        Some(_) => return Err((".reference", "it is a type and an id, as in Observation/1")),
    };
    let canonical = text("canonical", ".canonical")?;
    if canonical.is_some_and(|canonical| scheme(canonical).is_none()) {
        return Err((".canonical", "it is an absolute URI"));
    }
    let identified = match one.get("identifier") {
        None => false,
        Some(Value::Object(identifier)) if !identifier.is_empty() => true,
        Some(_) => return Err((".identifier", "it is an Identifier")),
    };
    let kind = text("type", ".type")?;
    if kind.is_some_and(|kind| !is_type(kind) || reference.is_some_and(|of| of != kind)) {
        return Err((".type", "it is the type of the resource that is meant"));
    }
    if reference.is_none() && canonical.is_none() && !identified {
        return Err(("", "it has no reference, canonical or identifier"));
    }
    let role = text("role", ".role")?.filter(|role| *role != "launch");
    if role.is_some_and(|role| scheme(role).is_none()) {
        return Err((".role", "it is launch or an absolute URI"));
    }
    match reference.or(kind) {
        Some("Patient" | "Encounter") if role.is_none() => {
            Err(("", "Patient and Encounter have their own members, but for those in another role"))
        }
        _ => Ok(()),
    }
}

/// The Patient is there, and the Encounter is there and is this Patient's.
fn in_context(tx: &mut Tx<'_>, with: (&Vault, &Templates, &Policy), of: (PatientId, Option<&str>)) -> Result<()> {
    let (vault, templates, policy) = with;
    let (patient, encounter) = of;
    let visible = policy.visible(Type::Patient, Interaction::Read)?;
    let found = resources::head(tx, Reader { vault, templates, visible: &visible }, (Type::Patient, &patient.to_string()))?;
    if found.is_none_or(|found| found.deleted) {
        return Err(no_patient());
    }
    let Some(encounter) = encounter else { return Ok(()) };
    let visible = policy.visible(Type::Encounter, Interaction::Read)?;
    let found =
        resources::head(tx, Reader { vault, templates, visible: &visible }, (Type::Encounter, encounter))?.filter(|found| !found.deleted);
    let whose = found.and_then(|found| found.patient);
    if whose.is_some_and(|whose| whose.now == patient || whose.born == patient) {
        return Ok(());
    }
    Err(Error::new(Kind::Invalid, "there is no such Encounter of this Patient").at("encounter"))
}
