//! Error to reply: an OperationOutcome under `/fhir`, `{"detail", "issue"}` elsewhere.

use serde_json::json;

use super::request::Reply;
use crate::error::{Error, Kind};
use crate::fhir::outcome;

/// Seconds a client waits after a 503.
const RETRY_AFTER: &str = "5";

pub fn reply(error: &Error, fhir: bool, request_id: &str) -> Reply {
    let wire = error.kind.wire();
    // Refusals to start never reach a client; if one did, it would be our fault.
    let status = if (400..600).contains(&wire.status) { wire.status } else { 500 };
    let mut reply =
        if fhir { Reply::fhir(status, outcome::of(error, request_id)) } else { Reply::json(status, &detail(error, request_id)) };
    match error.kind {
        Kind::Unauthenticated => reply = reply.with("www-authenticate", "Bearer realm=\"firth\""),
        Kind::Expired => {
            reply = reply
                .with("www-authenticate", "Bearer realm=\"firth\", error=\"invalid_token\", error_description=\"the token has expired\"")
        }
        Kind::Forbidden => reply = reply.with("www-authenticate", "Bearer realm=\"firth\", error=\"insufficient_scope\""),
        Kind::Busy | Kind::TooSlow => reply = reply.with("retry-after", RETRY_AFTER),
        Kind::Throttled => reply = reply.with("retry-after", "60"),
        _ => {}
    }
    // The gate takes this for the audit entry's reason.
    reply.with("x-firth-error", wire.code)
}

fn detail(error: &Error, request_id: &str) -> serde_json::Value {
    let wire = error.kind.wire();
    let says = |says: &str| if wire.speaks { says.to_owned() } else { wire.remedy.to_owned() };
    let issues: Vec<_> = error
        .issues
        .iter()
        .map(|issue| json!({"code": wire.code, "says": says(&issue.says), "at": issue.at, "remedy": wire.remedy}))
        .collect();
    json!({"detail": says(error.says()), "issue": issues, "request_id": request_id})
}
