//! Conditional reads (https://hl7.org/fhir/R4/http.html#cread; RFC 9110, section 13): 304 for what the client has.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use actix_web::http::header::HttpDate;

use crate::api::request::Request;
use crate::clock::Millis;

/// A commit stamp as HTTP writes a date: whole seconds.
pub fn http_date(at: Millis) -> String {
    let since = Duration::from_millis(at.unsigned_abs());
    let at = if at < 0 { SystemTime::UNIX_EPOCH.checked_sub(since) } else { SystemTime::UNIX_EPOCH.checked_add(since) };
    HttpDate::from(at.unwrap_or(SystemTime::UNIX_EPOCH)).to_string()
}

/// Has the client this version already? `If-None-Match` decides, and `If-Modified-Since` only where it is absent.
/// A date that cannot be read is ignored, as RFC 9110 says.
pub fn unchanged(request: &Request, version: u32, committed_at: Millis) -> bool {
    if let Some(tags) = request.header("if-none-match") {
        // Compared weakly: W/"2" is "2".
        let same = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == format!("\"{version}\"");
        return tags.split(',').map(str::trim).any(|tag| tag == "*" || same(tag));
    }
    request.header("if-modified-since").and_then(seconds).is_some_and(|since| committed_at.div_euclid(1_000) <= since)
}

/// The seconds since 1970 of HTTP's date.
pub fn seconds(date: &str) -> Option<i64> {
    let at = SystemTime::from(HttpDate::from_str(date.trim()).ok()?);
    i64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn http_dates_are_those_of_the_rfc() {
        assert_eq!(super::http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(super::http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
