//! patch and conditional patch (https://hl7.org/fhir/R4/http.html#patch).

use super::{caller, document, write};
use crate::access::{Caller, Interaction};
use crate::api::negotiate::{self, is_media_type};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::ledger::patch::{Patch, patched};
use crate::ledger::{conditional, references, resources};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = document(request.param("type"))?;
    who.may(of.name(), Interaction::Update)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let (id, if_match, patch) = (request.param("id").to_owned(), write::if_match(request)?, body(app, request)?);
    write::commit(app, request, who, move |tx, writer| {
        let submitted = patched(tx, writer, (of, &id), &patch)?;
        references::check(tx, writer, (of, &id), &submitted.targets)?;
        resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
    })
}

/// `PATCH [type]?criteria`: what answers is changed.
pub fn by_criteria(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = document(request.param("type"))?;
    who.may(of.name(), Interaction::Update)?;
    let criteria = super::criteria(app, who, of, &request.pairs()?)?;
    let (if_match, patch) = (write::if_match(request)?, body(app, request)?);
    write::commit(app, request, who, move |tx, writer| {
        let id = conditional::one(tx, writer, &criteria)?.ok_or_else(|| conditional::none(of))?;
        let submitted = patched(tx, writer, (of, &id), &patch)?;
        references::check(tx, writer, (of, &id), &submitted.targets)?;
        resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
    })
}

/// The media type says which kind of patch it is.
fn body(app: &App, request: &mut Request) -> Result<Patch> {
    let json = is_media_type(request, "application/json-patch+json");
    if !json && !is_media_type(request, "application/fhir+json") {
        let says = "a patch is sent as application/json-patch+json, or as Parameters in application/fhir+json";
        return Err(Error::new(Kind::MediaType, says));
    }
    let body = request.body(app.config.max_request_bytes)?;
    Ok(if json { Patch::Json(body) } else { Patch::FhirPath(body) })
}
