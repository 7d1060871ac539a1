//! capabilities (https://hl7.org/fhir/R4/http.html#capabilities): open, and from the tables that serve.

use super::base;
use super::merge::OPERATIONS;
use crate::access::Caller;
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::capability::{self, Offered, Served, Statement};
use crate::search::Type;
use crate::search::params::{Param, RESULT_PARAMS};

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    // The statement is normative as a whole; there is no statement of terminology.
    negotiate::only_these(request, &pairs, &["_format", "mode"])?;
    if let Some((name, _)) = pairs.iter().find(|(name, value)| name == "mode" && !["full", "normative"].contains(&value.as_str())) {
        return Err(Error::new(Kind::Parameter, "mode is full or normative; there is no terminology service").at(name.clone()));
    }
    let reply = Reply::fhir(200, statement(&base(app), app.started_at)?);
    Ok(Reply { audited: true, ..reply })
}

/// What a parameter does, and its modifiers: R4 has no element for them.
fn documented(param: &Param) -> String {
    match param.modifiers.as_slice() {
        [] => param.doc.clone(),
        modifiers => {
            format!("{} Modifiers: {}.", param.doc, modifiers.iter().map(|modifier| format!(":{modifier}")).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The statement for a base URL.
pub fn statement(base: &str, date: i64) -> Result<String> {
    let resources = Type::ALL.iter().map(|resource| resource.search()).map(|searchable| Served {
        type_name: searchable.resource.name(),
        interactions: vec!["read", "vread", "history-instance", "search-type"],
        // An AuditEvent has one version for ever.
        read_history: searchable.resource != Type::AuditEvent,
        params: searchable
            .params
            .iter()
            .map(|param| Offered {
                name: param.name,
                fhir_type: param.fhir_type,
                definition: Some(param.definition),
                documentation: documented(param),
            })
            .collect(),
        operations: if searchable.resource == Type::Patient { OPERATIONS.to_vec() } else { Vec::new() },
        includes: searchable.includes.iter().map(|include| include.text.to_owned()).collect(),
        documentation: Some(format!("Sorted by {}.", searchable.sorts.join(", "))),
    });
    let common = RESULT_PARAMS.iter().map(|param| Offered {
        name: param.name,
        fhir_type: param.fhir_type,
        definition: None,
        documentation: param.doc.to_owned(),
    });
    capability::json(&Statement {
        software_version: env!("CARGO_PKG_VERSION"),
        base,
        date,
        resources: resources.collect(),
        common: common.collect(),
    })
}
