//! Error to reply: an OperationOutcome under `/fhir`, `{"error", "error_description"}` (RFC 6749 section 5.2) under
//! `/oauth` and `/.well-known`, `{"detail", "issue"}` elsewhere.

use serde_json::json;

use super::request::Reply;
use crate::error::{Error, Kind};
use crate::fhir::outcome;
use crate::jose::dpop;
use crate::ledger::break_glass;

/// Seconds a client waits after a 503.
const RETRY_AFTER: &str = "5";

/// The three renderings of the one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Fhir,
    OAuth,
    Plain,
}

impl Form {
    /// The one of a path.
    pub fn of(path: &str) -> Form {
        let path = path.split('?').next().unwrap_or_default();
        let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            _ if below("/oauth") || below("/.well-known") => Form::OAuth,
            _ if path.starts_with("/fhir") => Form::Fhir,
            _ => Form::Plain,
        }
    }
}

pub fn reply(error: &Error, form: Form, request_id: &str) -> Reply {
    let wire = error.kind.wire();
    // Refusals to start never reach a client; if one did, it would be our fault.
    let status = if (400..600).contains(&wire.status) { wire.status } else { 500 };
    let mut reply = match form {
        Form::Fhir => Reply::fhir(status, outcome::of(error, request_id)),
        Form::OAuth => Reply::json(status, &oauth(error, request_id)),
        Form::Plain => Reply::json(status, &detail(error, request_id)),
    };
    match error.kind {
        Kind::Unauthenticated | Kind::Reused => reply = reply.with("www-authenticate", BEARER),
        Kind::Expired => {
            reply =
                reply.with("www-authenticate", format!("{BEARER}, error=\"invalid_token\", error_description=\"the token has expired\""))
        }
        // What a route takes replaces this; a resource that is only read has no other.
        Kind::Method => reply = reply.with("allow", "GET, HEAD"),
        Kind::Forbidden => reply = reply.with("www-authenticate", format!("{BEARER}, error=\"insufficient_scope\"")),
        Kind::TokenPlace => reply = reply.with("www-authenticate", format!("{BEARER}, error=\"invalid_request\"")),
        Kind::ProofRefused => reply = reply.with("www-authenticate", proof_wanted("invalid_dpop_proof")),
        Kind::SignInStale => reply = reply.with("www-authenticate", stale()),
        Kind::ClientUnknown => reply = reply.with("www-authenticate", "Basic realm=\"firth\""),
        Kind::Busy | Kind::TooSlow => reply = reply.with("retry-after", RETRY_AFTER),
        Kind::Throttled => reply = reply.with("retry-after", "60"),
        _ => {}
    }
    reply.patients.extend(error.about.clone());
    // The gate takes this for the audit entry's reason.
    reply.with("x-firth-error", wire.code)
}

/// How a token was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Bearer,
    DPoP,
}

const BEARER: &str = "Bearer realm=\"firth\"";

/// RFC 9470 section 3.
fn stale() -> String {
    let seconds = break_glass::FRESH / 1_000;
    format!("{BEARER}, error=\"insufficient_user_authentication\", error_description=\"a fresh sign-in is needed\", max_age=\"{seconds}\"")
}

/// RFC 9449 section 7.1.
fn proof_wanted(error: &str) -> String {
    format!("DPoP realm=\"firth\", error=\"{error}\", {}", algorithms())
}

fn algorithms() -> String {
    let names: Vec<&str> = dpop::ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
    format!("algs=\"{}\"", names.join(" "))
}

/// The challenge of a refusal, once it is known by which scheme a token was shown, if any was (RFC 6750 section 3.1: without
/// one nothing is said but the scheme), and where the authorization server is told of (RFC 9728 section 5.1).
pub fn challenged(mut reply: Reply, shown: Option<Scheme>, metadata: impl Fn() -> String) -> Reply {
    let status = reply.status;
    for (_, value) in reply.headers.iter_mut().filter(|(name, value)| *name == "www-authenticate" && !value.starts_with("Basic")) {
        if status == 401 && shown.is_some() && !value.contains("error=") {
            value.push_str(", error=\"invalid_token\"");
        }
        if let (Some(Scheme::DPoP), Some(rest)) = (shown, value.strip_prefix("Bearer ")) {
            *value = format!("DPoP {rest}, {}", algorithms());
        }
        value.push_str(&format!(", resource_metadata=\"{}\"", metadata()));
    }
    reply
}

/// The code of RFC 6749 section 5.2 and of the specifications that add to it.
pub fn oauth_code(kind: Kind) -> &'static str {
    match kind {
        Kind::ClientUnknown => "invalid_client",
        Kind::ClientUnfit => "unauthorized_client",
        Kind::GrantUnknown | Kind::GrantReused => "invalid_grant",
        Kind::GrantType => "unsupported_grant_type",
        Kind::ScopeRefused => "invalid_scope",
        Kind::TargetRefused => "invalid_target",
        Kind::ProofInvalid | Kind::ProofRefused => "invalid_dpop_proof",
        Kind::RedirectRefused => "invalid_redirect_uri",
        Kind::MetadataRefused => "invalid_client_metadata",
        Kind::Unauthenticated | Kind::Reused | Kind::Expired => "invalid_token",
        Kind::Forbidden => "insufficient_scope",
        Kind::Busy | Kind::TooSlow | Kind::Throttled => "temporarily_unavailable",
        _ if kind.wire().status >= 500 => "server_error",
        _ => "invalid_request",
    }
}

fn oauth(error: &Error, request_id: &str) -> serde_json::Value {
    let wire = error.kind.wire();
    let says = if wire.speaks { error.says() } else { wire.remedy };
    let at = error.issues.first().and_then(|issue| issue.at.as_deref()).map_or_else(String::new, |at| format!("{at}: "));
    json!({"error": oauth_code(error.kind), "error_description": described(&format!("{at}{says}")), "request_id": request_id})
}

/// What RFC 6749 section 5.2 lets stand in `error_description`: printable ASCII without `"` and `\`.
fn described(text: &str) -> String {
    let plain = |c: char| match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(plain).collect()
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
