//! update, also as create, and conditional update (https://hl7.org/fhir/R4/http.html#update, #cond-update).

use super::write;
use crate::access::{Caller, Interaction};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::ledger::resources::IfMatch;
use crate::ledger::{conditional, references, resources};
use crate::search::reference::is_id;

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, of, .. } = write::open_plain(request, who, Interaction::Update)?;
    let id = request.param("id").to_owned();
    if !is_id(&id) {
        return Err(
            Error::new(Kind::Invalid, "the id in the path is no FHIR id: 1 to 64 letters, digits, - and .").at(format!("{}.id", of.name()))
        );
    }
    let if_match = write::if_match(request)?;
    let submitted = write::submitted(app, request, of)?;
    match &submitted.id {
        Some(said) if *said == id => {}
        said => {
            let says =
                if said.is_none() { "the resource has no id; send that of the path" } else { "the resource has another id than the path" };
            return Err(Error::new(Kind::Invalid, says).at(format!("{}.id", of.name())));
        }
    }
    write::commit(app, request, who, move |tx, writer| {
        references::check(tx, writer, (of, &id), &submitted.targets)?;
        resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
    })
}

/// `PUT [type]?criteria`: what answers is updated; when nothing does, it is created.
pub fn by_criteria(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, policy, of, pairs } = write::open(request, who, Interaction::Update)?;
    let (criteria, if_match) = (super::criteria(app, &policy, (of, Some(Interaction::Update)), &pairs)?, write::if_match(request)?);
    let submitted = write::submitted(app, request, of)?;
    write::commit(app, request, who, move |tx, writer| {
        let found = conditional::one(tx, writer, &criteria)?;
        if let (Some(found), Some(said)) = (&found, &submitted.id)
            && found != said
        {
            return Err(Error::new(Kind::Invalid, "the resource that answers has another id").at(format!("{}.id", of.name())));
        }
        if let (None, Some(said)) = (&found, &submitted.id) {
            resources::free(tx, writer, (of, said))?;
        }
        let id = match found.or_else(|| submitted.id.clone()) {
            Some(id) => id,
            None => {
                // No version is the one that was named.
                if matches!(if_match, Some(IfMatch::Any | IfMatch::Versions(_))) {
                    return Err(Error::new(Kind::Precondition, "nothing answers the criteria, so there is no version to match"));
                }
                let id = writer.new_id()?;
                references::check(tx, writer, (of, &id.to_string()), &submitted.targets)?;
                return resources::create(tx, writer, &submitted, id);
            }
        };
        references::check(tx, writer, (of, &id), &submitted.targets)?;
        resources::update(tx, writer, &submitted, (&id, if_match.as_ref()))
    })
}
