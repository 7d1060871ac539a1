//! delete and conditional delete of one (https://hl7.org/fhir/R4/http.html#delete, #3.1.0.7.1).

use super::write;
use crate::access::{Caller, Interaction};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{conditional, resources};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, of, .. } = write::open_plain(request, who, Interaction::Delete)?;
    let (id, if_match) = (request.param("id").to_owned(), write::if_match(request)?);
    write::commit(app, request, who, move |tx, writer| resources::delete_alone(tx, writer, (of, &id), if_match.as_ref()))
}

/// `DELETE [type]?criteria`: what answers is deleted, when it is one.
pub fn by_criteria(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, policy, of, pairs } = write::open(request, who, Interaction::Delete)?;
    let (criteria, if_match) = (super::criteria(app, &policy, (of, Some(Interaction::Delete)), &pairs)?, write::if_match(request)?);
    write::commit(app, request, who, move |tx, writer| match conditional::one(tx, writer, &criteria)? {
        Some(id) => resources::delete_alone(tx, writer, (of, &id), if_match.as_ref()),
        None => Ok(resources::nothing(of, "")),
    })
}
