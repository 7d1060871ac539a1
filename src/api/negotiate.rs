//! Headers and `_format` to plain values.

use super::request::{Reply, Request};
use crate::error::{Error, Kind, Result};
use crate::search::Handling;

/// The media types of FHIR in JSON.
pub const FHIR: [&str; 2] = ["application/fhir+json", "application/json"];

/// Only JSON is served: another `_format`, or an `Accept` that leaves no room for JSON, is 406.
pub fn json_only(request: &Request, pairs: &[(String, String)]) -> Result<()> {
    let refused = || Error::new(Kind::NotAcceptable, "only JSON is served; ask for application/fhir+json");
    if let Some((_, format)) = pairs.iter().find(|(name, _)| name == "_format") {
        // A + that was not encoded arrives as a blank.
        let format = format.replace(' ', "+");
        let plain = format.split(';').next().unwrap_or("").trim();
        let fits = FHIR.iter().chain(&["json"]).any(|json| json.eq_ignore_ascii_case(plain));
        return if fits { Ok(()) } else { Err(refused().at("_format")) };
    }
    // Who looks with a browser may see JSON, too.
    let fits = |accept| FHIR.iter().chain(&["text/html"]).any(|kind| weight(accept, kind) > 0);
    if request.header("accept").is_none_or(fits) { Ok(()) } else { Err(refused()) }
}

/// How much an `Accept` wants a media type (RFC 9110, section 12.5.1), from 0 to 1,000: the narrowest range decides.
pub fn weight(accept: &str, kind: &str) -> u32 {
    let group = kind.split('/').next().unwrap_or_default();
    let ranges = accept.split(',').filter_map(|range| {
        let named = range.split(';').next().unwrap_or_default().trim();
        let narrow = if named.eq_ignore_ascii_case(kind) {
            2
        } else if named.strip_suffix("/*").is_some_and(|named| named.eq_ignore_ascii_case(group)) {
            1
        } else if named == "*/*" {
            0
        } else {
            return None;
        };
        Some((narrow, quality(range)))
    });
    ranges.max().map_or(0, |(_, weight)| weight)
}

/// The weight that a range says, in thousandths; without one it is the highest.
pub fn quality(range: &str) -> u32 {
    let mut named = range.split(';').skip(1).filter_map(|part| part.split_once('='));
    let Some((_, q)) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) else { return 1_000 };
    let (whole, fraction) = q.trim().split_once('.').unwrap_or((q.trim(), ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    if whole == "0" { digits.parse().unwrap_or(0) } else { 1_000 }
}

/// The media type of a body, without its parameters.
pub fn media_type(request: &Request) -> Option<&str> {
    request.header("content-type").and_then(|kind| kind.split(';').next()).map(str::trim)
}

/// Is a body of this media type, whatever its parameters?
pub fn is_media_type(request: &Request, wanted: &str) -> bool {
    media_type(request).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
}

/// Refuses a body that is of none of these media types, or not of R4 in UTF-8; `says` what to send.
pub fn sent_as(request: &Request, kinds: &[&str], says: &str) -> Result<()> {
    let refused = |says: String| Err(Error::new(Kind::MediaType, says));
    let Some(sent) = request.header("content-type") else { return refused(format!("there is no Content-Type; {says}")) };
    if !kinds.iter().any(|kind| is_media_type(request, kind)) {
        return refused(says.to_owned());
    }
    for (name, value) in sent.split(';').skip(1).filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
            return refused(format!("JSON is UTF-8 and has no other charset; {says}"));
        }
        // https://hl7.org/fhir/R4/http.html#version-parameter
        if name.eq_ignore_ascii_case("fhirVersion") && value != "4.0" && value != "4.0.1" {
            return refused(format!("this server speaks R4, which is fhirVersion=4.0; {says}"));
        }
    }
    Ok(())
}

/// What the answer to a write holds: `Prefer: return=...` (https://hl7.org/fhir/R4/http.html#ops).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    Minimal,
    Representation,
    Outcome,
}

/// The preferences that were asked for, and that the answer keeps to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honoured {
    handling: Option<Handling>,
    returned: Option<Return>,
}

/// What is preferred, when something is.
pub fn preferred_return(request: &Request) -> Option<Return> {
    let returned = match preferred(request, "return")? {
        "minimal" => Return::Minimal,
        "OperationOutcome" => Return::Outcome,
        "representation" => Return::Representation,
        _ => return None,
    };
    request.honoured.set(Honoured { returned: Some(returned), ..request.honoured.get() });
    Some(returned)
}

pub fn returned(request: &Request) -> Return {
    preferred_return(request).unwrap_or(Return::Representation)
}

/// That the whole resource comes back is not said where part of what is written may be hidden from who writes it.
pub fn not_promised(request: &Request) {
    request.honoured.set(Honoured { returned: None, ..request.honoured.get() });
}

/// The value of a preference, where it stands first (RFC 7240, section 2).
fn preferred<'r>(request: &'r Request, wanted: &str) -> Option<&'r str> {
    let parts = request.headers.iter().filter(|(name, _)| name == "prefer").flat_map(|(_, value)| value.split([',', ';']));
    let mut named = parts.filter_map(|part| part.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"'))
}

/// Refuses what is no parameter of an interaction, unless the client asked for lenient handling.
pub fn only_these(request: &Request, pairs: &[(String, String)], known: &[&str]) -> Result<()> {
    let strict = handling(request) == Handling::Strict;
    match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) if strict => {
            Err(Error::new(Kind::ParameterUnknown, format!("{name} is no parameter of this interaction")).at(name.clone()))
        }
        _ => Ok(()),
    }
}

/// `Prefer: handling=lenient`; strict unless it is said.
pub fn handling(request: &Request) -> Handling {
    let known = [("lenient", Handling::Lenient), ("strict", Handling::Strict)];
    let said = preferred(request, "handling").and_then(|said| known.iter().find(|(name, _)| name.eq_ignore_ascii_case(said)));
    let Some((_, handling)) = said else { return Handling::Strict };
    request.honoured.set(Honoured { handling: Some(*handling), ..request.honoured.get() });
    *handling
}

/// Says which preferences were kept to: `Preference-Applied` (RFC 7240, section 3).
pub fn applied(request: &Request, reply: Reply) -> Reply {
    let Honoured { handling, returned } = request.honoured.get();
    let handling = handling.map(|handling| if handling == Handling::Lenient { "handling=lenient" } else { "handling=strict" });
    let returned = returned.map(|returned| match returned {
        Return::Minimal => "return=minimal",
        Return::Representation => "return=representation",
        Return::Outcome => "return=OperationOutcome",
    });
    let applied: Vec<&str> = [handling, returned].into_iter().flatten().collect();
    if applied.is_empty() || reply.status >= 400 { reply } else { reply.with("preference-applied", applied.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn the_narrowest_range_decides() {
        for (accept, wanted) in [
            ("image/png", 1_000),
            ("image/*;q=0.25, */*", 250),
            ("*/*;q=0.1, IMAGE/PNG;level=1;Q=0.5", 500),
            ("image/png;q=0, image/*", 0),
            ("text/plain", 0),
            ("", 0),
            ("*/*;q=1.000", 1_000),
        ] {
            assert_eq!(weight(accept, "image/png"), wanted, "{accept}");
        }
    }
}
