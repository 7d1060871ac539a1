//! `POST /fhir/Patient/{id}/$break-glass`: docs/break-glass.md.

use std::sync::Arc;

use super::caller;
use super::merge::parameters;
use crate::access::Caller;
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{BREAK_THE_GLASS, Did};
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::object;
use crate::ledger::break_glass as ledger;
use crate::ledger::documents::instant;

/// By name and definition.
pub const OPERATION: (&str, &str) = ("break-glass", "urn:firth:operation:Patient-break-glass");

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    ledger::asker(who)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let reason = ledger::reason(&sent(&parameters(app, request)?)?)?;
    ledger::fresh(who, app.clock.now())?;
    let (who, id, vault) = (who.clone(), request.param("id").to_owned(), Arc::clone(&app.vault));
    let mut entry = request.entry.clone();
    entry.purpose = Some(BREAK_THE_GLASS.to_owned());
    let expires_at = app.db.write("break-glass", move |tx| {
        let (expires_at, patients) = ledger::begin(tx, &vault, &who, (&id, &reason))?;
        entry.commit(tx, Did { patients, ..Did::new(200, format!("Patient/{id}")) })?;
        Ok(expires_at)
    })?;
    let expires = instant(expires_at);
    let text = format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"expires","valueInstant":"{expires}"}}]}}"#);
    Ok(Reply::fhir(200, text).committed())
}

/// The one parameter there is.
fn sent(text: &str) -> Result<String> {
    let parameters = object(text).ok_or_else(|| Error::bug("Parameters that were judged are no JSON"))?;
    let mut reasons = Vec::new();
    for parameter in parameters.objects("parameter") {
        match (parameter.text("name"), parameter.text("valueString")) {
            (Some("reason"), Some(reason)) => reasons.push(reason.to_owned()),
            (Some("reason"), None) => {
                return Err(
                    Error::new(Kind::Unprocessable, "reason is sent as valueString").at("Parameters.parameter.where(name='reason')")
                );
            }
            _ => {
                let says = "$break-glass takes the parameter reason alone";
                return Err(Error::new(Kind::Unprocessable, says).at("Parameters.parameter"));
            }
        }
    }
    match reasons.len() {
        0 => Ok(String::new()),
        1 => Ok(reasons.remove(0)),
        _ => Err(Error::new(Kind::Unprocessable, "reason is given once").at("Parameters.parameter")),
    }
}
