//! capabilities (https://hl7.org/fhir/R4/http.html#capabilities): open, and from the tables that serve.

use super::base;
use super::{break_glass, merge};
use crate::access::Caller;
use crate::api::oauth::discovery;
use crate::api::request::{Reply, Request};
use crate::api::{ROUTES, negotiate};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::capability::{self, Offered, Operation, Served, Statement};
use crate::fhir::validate::profiles;
use crate::search::Type;
use crate::search::params::{Param, RESULT_PARAMS, Searchable};

/// R4's type-restful-interactions and the route that is each. What no route serves is not stated, so that a line of
/// `ROUTES` is all it takes to state it.
const OF_TYPES: &[(&str, &str, &str)] = &[
    ("read", "GET", "/fhir/{type}/{id}"),
    ("vread", "GET", "/fhir/{type}/{id}/_history/{version}"),
    ("update", "PUT", "/fhir/{type}/{id}"),
    ("patch", PATCH.0, PATCH.1),
    ("delete", "DELETE", "/fhir/{type}/{id}"),
    ("history-instance", "GET", "/fhir/{type}/{id}/_history"),
    ("history-type", "GET", "/fhir/{type}/_history"),
    ("create", "POST", "/fhir/{type}"),
    ("search-type", "GET", "/fhir/{type}"),
];

/// The system-restful-interactions in the same way.
const OF_SYSTEM: &[(&str, &str, &str)] =
    &[("transaction", "POST", "/fhir"), ("batch", "POST", "/fhir"), ("history-system", "GET", "/fhir/_history")];

/// Those of AuditEvent, which is a view of the log.
const OF_AUDIT: [&str; 4] = ["read", "vread", "history-instance", "search-type"];

const PATCH: (&str, &str) = ("PATCH", "/fhir/{type}/{id}");
const PATCH_FORMATS: &[&str] = &["application/json-patch+json", "application/fhir+json"];

/// Operations of every type that is written, and the route of each.
const OPERATIONS: &[(Operation<'_>, &str)] =
    &[(Operation { name: "validate", definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate" }, "/fhir/{type}/$validate")];

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    // The statement is normative as a whole; there is no statement of terminology.
    negotiate::only_these(request, &pairs, &["_format", "mode"])?;
    if let Some((name, _)) = pairs.iter().find(|(name, value)| name == "mode" && !["full", "normative"].contains(&value.as_str())) {
        return Err(Error::new(Kind::Parameter, "mode is full or normative; there is no terminology service").at(name.clone()));
    }
    let reply = Reply::fhir(200, statement(&base(app), app.started_at, app.config.references_strict)?);
    Ok(Reply { audited: true, ..reply })
}

/// What a parameter does, and its modifiers: R4 has no element for them.
pub fn documented(param: &Param) -> String {
    match param.modifiers.as_slice() {
        [] => param.doc.clone(),
        modifiers => {
            format!("{} Modifiers: {}.", param.doc, modifiers.iter().map(|modifier| format!(":{modifier}")).collect::<Vec<_>>().join(", "))
        }
    }
}

/// What no element of R4 says of a type.
fn remarks(of: &Searchable) -> String {
    let sorts = format!("Sorted by {}.", of.sorts.join(", "));
    match of.resource {
        Type::Patient => {
            format!("{sorts} An id that a client chooses is a UUID in lower case; the id of another system is sent as an identifier.")
        }
        Type::Observation => format!("{sorts} Samples have ids of 26 letters and digits; a client cannot choose such an id."),
        Type::Binary => format!("{sorts} Sent and read as what it holds, too; seen by those who see what its securityContext names."),
        Type::AuditEvent => format!("{sorts} Recorded by the server and never changed."),
        _ => sorts,
    }
}

fn routed(verb: &str, path: &str) -> bool {
    ROUTES.iter().any(|route| (route.verb, route.path) == (verb, path))
}

fn interactions(table: &'static [(&str, &str, &str)]) -> impl Iterator<Item = &'static str> {
    table.iter().filter(|(_, verb, path)| routed(verb, path)).map(|(code, ..)| *code)
}

fn operations(of: Type) -> Vec<Operation<'static>> {
    let of_all = OPERATIONS.iter().filter(|(_, path)| of.is_document() && routed("POST", path)).map(|(operation, _)| *operation);
    let all = merge::OPERATIONS.iter().chain([&break_glass::OPERATION]);
    let of_patients = all.filter(|_| of == Type::Patient);
    of_all.chain(of_patients.map(|(name, definition)| Operation { name, definition })).collect()
}

fn served(of: &'static Searchable, strict: bool) -> Served<'static> {
    let written = of.resource.is_document();
    let offered = |param: &'static Param| Offered {
        name: param.name,
        fhir_type: param.fhir_type,
        definition: Some(param.definition),
        documentation: documented(param),
    };
    Served {
        type_name: of.resource.name(),
        interactions: interactions(OF_TYPES).filter(|code| written || OF_AUDIT.contains(code)).collect(),
        // An AuditEvent has one version for ever.
        read_history: written,
        written,
        enforced: written && strict,
        profiles: if of.resource == Type::Observation { profiles() } else { &[] },
        operations: operations(of.resource),
        params: of.params.iter().map(offered).collect(),
        includes: of.includes.iter().map(|include| include.text.to_owned()).collect(),
        documentation: Some(remarks(of)),
    }
}

/// The statement for a base URL; `strict` when what is pointed to must exist.
pub fn statement(base: &str, date: i64, strict: bool) -> Result<String> {
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
        resources: Type::ALL.iter().map(|of| served(of.search(), strict)).collect(),
        interactions: interactions(OF_SYSTEM).collect(),
        patch_formats: if routed(PATCH.0, PATCH.1) { PATCH_FORMATS } else { &[] },
        oauth: discovery::oauth_uris(base.strip_suffix("/fhir").unwrap_or(base)),
        common: common.collect(),
    })
}
