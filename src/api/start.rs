//! `GET /`: the demo page under `--demo`, else where to go from here. `GET /docs/{page}`: the manual.

use super::request::{Reply, Request};
use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Kind, Result};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Nothing is loaded from elsewhere, and the page cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PLAIN: &str = include_str!("../demo/start.html");

macro_rules! manual {
    ($($name:literal)*) => {
        /// The pages of `docs/`, as they were when this binary was built.
        const MANUAL: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../docs/", $name)))),*];
    };
}

manual! {
    "README.md" "apps.md" "architecture.md" "break-glass.md" "consent.md" "ehr.md" "errors.md" "logging.md" "mappings.md" "oauth.md" "operations.md"
    "performance.md" "roles.md" "routes.md" "search.md" "security.md" "settings.md" "sign-in.md" "smart-requirements.md" "uploads.md" "writing.md"
}

/// The demo page holds tokens: it is for browsers that asked for this machine by a loopback name, not
/// for a foreign page whose name was made to resolve to it.
pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let page = app.demo_page.get().filter(|_| request.header("host").is_some_and(is_loopback));
    let text = page.map_or(PLAIN, String::as_str);
    let reply = Reply { status: 200, content_type: HTML.into(), body: text.as_bytes().to_vec(), ..Reply::default() };
    Ok(reply.with("content-security-policy", POLICY).with("referrer-policy", "no-referrer"))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub fn docs(_: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let asked = request.param("page");
    let (_, text) = MANUAL
        .iter()
        .find(|(name, _)| *name == asked)
        .ok_or_else(|| Error::new(Kind::NotFound, "the manual has no such page; GET /docs/README.md lists them"))?;
    // The manual says nothing of anybody: it is logged, not audited.
    Ok(Reply { status: 200, content_type: TEXT.into(), body: text.as_bytes().to_vec(), audited: true, ..Reply::default() })
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_names_get_the_tokens() {
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "127.0.0.9"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["firth.example", "127.0.0.1.example:8080", "localhost.example", "10.0.0.1", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
