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
        return if JSON.contains(&plain) { Ok(()) } else { Err(refused().at("_format")) };
    }
    let Some(accept) = request.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("");
        let wanted = !parts.any(|part| part == "q=0" || part == "q=0.0");
        wanted && (JSON.contains(&kind) || ["*/*", "application/*", "text/html"].contains(&kind))
    });
    if fits { Ok(()) } else { Err(refused()) }
}

/// `Prefer: handling=lenient`; strict unless it is said.
pub fn handling(request: &Request) -> Handling {
    let lenient = request
        .headers
        .iter()
        .filter(|(name, _)| name == "prefer")
        .flat_map(|(_, value)| value.split([',', ';']))
        .any(|part| part.trim() == "handling=lenient");
    if lenient { Handling::Lenient } else { Handling::Strict }
}
