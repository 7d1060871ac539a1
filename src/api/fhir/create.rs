//! create and conditional create (https://hl7.org/fhir/R4/http.html#create, #ccreate).

use super::write;
use crate::access::{Caller, Interaction};
use crate::api::request::{Reply, Request, decode_pairs};
use crate::app::App;
use crate::error::Result;
use crate::ledger::{conditional, references, resources};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let write::Opened { who, policy, of, .. } = write::open_plain(request, who, Interaction::Create)?;
    write::no_version(request.header("if-match"))?;
    let criteria = request.header("if-none-exist").map(|text| decode_pairs(text.split_once('?').map_or(text, |(_, query)| query)));
    let criteria = criteria.transpose()?.map(|pairs| super::criteria(app, &policy, (of, None), &pairs)).transpose()?;
    let submitted = write::submitted(app, request, of)?;
    write::commit(app, request, who, move |tx, writer| {
        if let Some(criteria) = &criteria
            && let Some(found) = conditional::one(tx, writer, criteria)?
        {
            return conditional::existing(tx, writer, &criteria.visible, (of, &found));
        }
        let id = writer.new_id()?;
        references::check(tx, writer, (of, &id.to_string()), &submitted.targets)?;
        resources::create(tx, writer, &submitted, id)
    })
}
