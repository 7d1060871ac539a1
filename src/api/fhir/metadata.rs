//! capabilities (https://hl7.org/fhir/R4/http.html#capabilities): open, and from the tables that serve.

use super::base;
use crate::access::Caller;
use crate::api::negotiate;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::Result;
use crate::fhir::capability::{self, Offered, Served, Statement};
use crate::search::{PARAMS, Type, params::RESULT_PARAMS};

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    let reply = Reply::fhir(200, statement(&base(app), app.started_at)?);
    Ok(Reply { audited: true, ..reply })
}

/// The statement for a base URL.
pub fn statement(base: &str, date: i64) -> Result<String> {
    let resources = PARAMS.iter().map(|searchable| Served {
        type_name: searchable.resource.name(),
        interactions: vec!["read", "vread", "search-type"],
        versioned: searchable.resource != Type::AuditEvent,
        read_history: searchable.resource != Type::AuditEvent,
        params: searchable
            .params
            .iter()
            .map(|param| Offered {
                name: param.name,
                fhir_type: param.how.fhir_type(),
                definition: Some(param.definition),
                documentation: param.doc.to_owned(),
            })
            .collect(),
        includes: searchable.includes.iter().map(|include| include.text.to_owned()).collect(),
        documentation: None,
    });
    let common =
        RESULT_PARAMS.iter().map(|(name, doc)| Offered { name, fhir_type: "special", definition: None, documentation: (*doc).to_owned() });
    capability::json(&Statement {
        software_version: env!("CARGO_PKG_VERSION"),
        base,
        date,
        resources: resources.collect(),
        common: common.collect(),
    })
}
