//! patch and conditional patch (https://hl7.org/fhir/R4/http.html#patch).

use super::write;
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::Result;
use crate::ledger::patch::{Patch, patched};
use crate::ledger::{conditional, references, resources};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, of, .. } = write::open_plain(request, who, Interaction::Update)?;
    let (id, if_match, patch) = (request.param("id").to_owned(), write::if_match(request)?, body(app, request)?);
    write::commit(app, request, who, move |tx, writer| {
        let submitted = patched(tx, writer, (of, &id), &patch)?;
        references::check(tx, writer, (of, &id), &submitted.targets)?;
        resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
    })
}

/// `PATCH [type]?criteria`: what answers is changed.
pub fn by_criteria(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, policy, of, pairs } = write::open(request, who, Interaction::Update)?;
    let criteria = super::criteria(app, &policy, (of, Some(Interaction::Update)), &pairs)?;
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
    const JSON: &str = "application/json-patch+json";
    let says = "a patch is sent as application/json-patch+json, or as Parameters in application/fhir+json";
    negotiate::sent_as(request, &[JSON, "application/fhir+json"], says)?;
    let json = negotiate::is_media_type(request, JSON);
    let body = request.body(app.config.max_request_bytes)?;
    Ok(if json { Patch::Json(body) } else { Patch::FhirPath(body) })
}
