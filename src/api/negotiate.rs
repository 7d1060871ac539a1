//! Headers and `_format` to plain values.

use super::request::Request;
use crate::error::{Error, Kind, Result};
use crate::search::Handling;

/// Only JSON is served: another `_format`, or an `Accept` that leaves no room for JSON, is 406.
pub fn json_only(request: &Request, pairs: &[(String, String)]) -> Result<()> {
    const JSON: [&str; 3] = ["json", "application/json", "application/fhir+json"];
    let refused = || Error::new(Kind::NotAcceptable, "only JSON is served; ask for application/fhir+json");
    if let Some((_, format)) = pairs.iter().find(|(name, _)| name == "_format") {
        // A + that was not encoded arrives as a blank.
        let format = format.replace(' ', "+");
        let plain = format.split(';').next().unwrap_or("").trim();
        return if JSON.iter().any(|json| json.eq_ignore_ascii_case(plain)) { Ok(()) } else { Err(refused().at("_format")) };
    }
    let Some(accept) = request.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        // RFC 9110, section 12.4.2: a weight of 0 means "not acceptable".
        let weight =
            |part: &str| part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q")).map(|(_, q)| q.trim().to_owned());
        let wanted = !parts.filter_map(weight).any(|q| q.chars().all(|c| matches!(c, '0' | '.')));
        wanted && (JSON.contains(&kind.as_str()) || ["*/*", "application/*", "text/html"].contains(&kind.as_str()))
    });
    if fits { Ok(()) } else { Err(refused()) }
}

/// Is a body of this media type, whatever its parameters?
pub fn is_media_type(request: &Request, wanted: &str) -> bool {
    let given = request.header("content-type").and_then(|kind| kind.split(';').next());
    given.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// Is the body a FHIR resource in JSON? A client that says nothing of it means JSON.
pub fn is_json(request: &Request) -> bool {
    let json = |kind| is_media_type(request, kind);
    request.header("content-type").is_none() || json("application/fhir+json") || json("application/json") || json("text/json")
}

/// What the answer to a write holds: `Prefer: return=...` (https://hl7.org/fhir/R4/http.html#ops).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    Minimal,
    Representation,
    Outcome,
}

/// What is preferred, when something is.
pub fn preferred_return(request: &Request) -> Option<Return> {
    match preferred(request).find_map(|part| part.strip_prefix("return="))? {
        "minimal" => Some(Return::Minimal),
        "OperationOutcome" => Some(Return::Outcome),
        "representation" => Some(Return::Representation),
        _ => None,
    }
}

pub fn returned(request: &Request) -> Return {
    preferred_return(request).unwrap_or(Return::Representation)
}

/// The parts of all `Prefer` headers.
fn preferred(request: &Request) -> impl Iterator<Item = &str> {
    request.headers.iter().filter(|(name, _)| name == "prefer").flat_map(|(_, value)| value.split([',', ';'])).map(str::trim)
}

/// Refuses what is no parameter of an interaction, unless the client asked for lenient handling.
pub fn only_these(request: &Request, pairs: &[(String, String)], known: &[&str]) -> Result<()> {
    match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) if handling(request) == Handling::Strict => {
            Err(Error::new(Kind::ParameterUnknown, format!("{name} is no parameter of this interaction")).at(name.clone()))
        }
        _ => Ok(()),
    }
}

/// `Prefer: handling=lenient`; strict unless it is said.
pub fn handling(request: &Request) -> Handling {
    let lenient = preferred(request).any(|part| part.eq_ignore_ascii_case("handling=lenient"));
    if lenient { Handling::Lenient } else { Handling::Strict }
}
