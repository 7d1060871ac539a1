//! delete and conditional delete of one (https://hl7.org/fhir/R4/http.html#delete, #3.1.0.7.1).

use super::{caller, document, write};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{conditional, resources};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = document(request.param("type"))?;
    who.may(of.name(), Interaction::Delete)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let (id, if_match) = (request.param("id").to_owned(), write::if_match(request)?);
    write::commit(app, request, who, move |tx, writer| resources::delete_alone(tx, writer, (of, &id), if_match.as_ref()))
}

/// `DELETE [type]?criteria`: what answers is deleted, when it is one.
pub fn by_criteria(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = document(request.param("type"))?;
    who.may(of.name(), Interaction::Delete)?;
    let (criteria, if_match) = (super::criteria(app, who, of, &request.pairs()?)?, write::if_match(request)?);
    write::commit(app, request, who, move |tx, writer| match conditional::one(tx, writer, &criteria)? {
        Some(id) => resources::delete_alone(tx, writer, (of, &id), if_match.as_ref()),
        None => Ok(resources::nothing(of, "")),
    })
}
