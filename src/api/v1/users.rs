//! Users: the people whose data is uploaded.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{text, user};
use crate::access::Caller;
use crate::api::error::{self, Form};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::id::PatientId;
use crate::ledger::documents::instant;
use crate::ledger::users::{self, Asked, Fields, Shown, Sort};

const FIELDS: [&str; 5] = ["external_user_id", "first_name", "last_name", "email", "patient_id"];

fn fields(body: &serde_json::Map<String, Value>) -> Result<Fields> {
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Error::new(Kind::Unprocessable, format!("a user has no member {unknown}")).at(unknown.clone()));
    }
    Ok(Fields {
        external_user_id: text(body, "external_user_id")?,
        first_name: text(body, "first_name")?,
        last_name: text(body, "last_name")?,
        email: text(body, "email")?,
    })
}

fn shown(shown: &Shown) -> Value {
    let Shown { user, fields } = shown;
    json!({
        "id": user.id.to_string(), "patient_id": user.patient.to_string(), "created_at": instant(user.created_at),
        "external_user_id": fields.external_user_id, "first_name": fields.first_name, "last_name": fields.last_name, "email": fields.email,
    })
}

fn about(reply: Reply, who: &Shown) -> Reply {
    let patient = who.user.patient.to_string();
    reply.about(format!("Patient/{patient}"), vec![patient])
}

pub fn create(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let body = request.json()?;
    let adopted = text(&body, "patient_id")?
        .map(|id| PatientId::parse(&id).map_err(|_| Error::new(Kind::Unprocessable, "patient_id is no id of a Patient").at("patient_id")))
        .transpose()?;
    let fields = fields(&body)?;
    let (vault, system) = (Arc::clone(&app.vault), app.config.external_id_system.clone());
    let entry = request.entry.clone();
    let made = app.db.write("user.create", move |tx| {
        let made = users::create(tx, &vault, &system, (&fields, adopted))?;
        entry.commit(tx, Did::to_patient(201, made.user.patient))?;
        Ok(made)
    })?;
    Ok(Reply::json(201, &shown(&made)).with("location", format!("{}/api/v1/users/{}", app.public_url, made.user.id)).committed())
}

pub fn read(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let id = user(request, who)?;
    let found = app.db.read("user.read", |tx| users::get(tx, &app.vault, &app.config.external_id_system, id))?;
    Ok(about(Reply::json(200, &shown(&found)), &found))
}

pub fn patch(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let id = user(request, who)?;
    let body = request.json()?;
    if body.contains_key("patient_id") {
        return Err(Error::new(Kind::Unprocessable, "a user keeps its Patient").at("patient_id"));
    }
    let fields = fields(&body)?;
    let (vault, system) = (Arc::clone(&app.vault), app.config.external_id_system.clone());
    let entry = request.entry.clone();
    let found = app.db.write("user.patch", move |tx| {
        let found = users::patch(tx, &vault, &system, (id, &fields))?;
        entry.commit(tx, Did::to_patient(200, found.user.patient))?;
        Ok(found)
    })?;
    Ok(Reply::json(200, &shown(&found)).committed())
}

pub fn delete(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let id = user(request, who)?;
    let before = app.db.read("user.read", |tx| users::get(tx, &app.vault, &app.config.external_id_system, id))?;
    let (entry, patient) = (request.entry.clone(), before.user.patient);
    let gone = app.db.write("user.delete", move |tx| {
        let gone = users::delete(tx, id)?;
        let did = Did { patients: vec![patient.to_string()], ..Did::new(200, format!("user/{id}")) };
        entry.commit(tx, if gone { did } else { Did { status: 409, ..did }.refusing(Kind::UserHasData) })?;
        Ok(gone)
    })?;
    if gone {
        return Ok(Reply::json(200, &shown(&before)).committed());
    }
    let stays = Error::new(Kind::UserHasData, "the user has data and stays; its tokens and codes were revoked");
    Ok(error::reply(&stays, Form::Plain, &request.id).committed())
}

/// `page`, `limit`, `sort_by`, `sort_order`, `search`, `email`, `external_user_id`.
pub fn list(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let mut asked = Asked { limit: 20, ..Asked::default() };
    let mut page = 1;
    for (name, value) in request.pairs()? {
        let refused = |what: &str| Error::new(Kind::Parameter, format!("{name} {what}")).at(name.clone());
        match name.as_str() {
            "page" => {
                page = value.parse().ok().filter(|page| (1..=1_000_000).contains(page)).ok_or_else(|| refused("must be a number from 1"))?
            }
            "limit" => {
                asked.limit =
                    value.parse().ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| refused("must be a number from 1 to 100"))?
            }
            "sort_by" => asked.sort = Sort::parse(&value).ok_or_else(|| refused("must be created_at, first_name, last_name or email"))?,
            "search" if value.trim().is_empty() => {}
            "search" => asked.search = Some(value),
            "sort_order" => {
                asked.ascending =
                    ["desc", "asc"].iter().position(|order| *order == value).ok_or_else(|| refused("must be asc or desc"))? == 1
            }
            "email" => asked.email = Some(value),
            "external_user_id" => asked.external_user_id = Some(value),
            _ => return Err(Error::new(Kind::Parameter, format!("{name} is no parameter of the list")).at(name)),
        }
    }
    asked.offset = (page - 1) * asked.limit;
    let (found, total) = app.db.read("user.list", |tx| users::list(tx, &app.vault, &app.config.external_id_system, &asked))?;
    let pages = (total + asked.limit - 1) / asked.limit;
    let items: Vec<Value> = found.iter().map(shown).collect();
    let body = json!({"items": items, "total": total, "page": page, "limit": asked.limit, "pages": pages, "has_next": page < pages, "has_prev": page > 1});
    Ok(Reply::json(200, &body).about("Patient", found.iter().map(|who| who.user.patient.to_string()).collect()))
}
