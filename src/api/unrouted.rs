//! Requests that no route serves: 404, or 405 with the methods that the path takes.

use super::request::{Reply, Request};
use super::{Need, ROUTES, Route, error};
use crate::access::Caller;
use crate::app::App;
use crate::audit::Action;
use crate::error::{Error, Kind, Result};

pub static UNROUTED: Route = Route { verb: "*", path: "*", name: "unrouted", need: Need::Nothing, action: Action::Other, to: handler };

fn handler(_: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let path = request.uri.split('?').next().unwrap_or_default();
    // As the router does, the first pattern that fits decides.
    let Some(pattern) = ROUTES.iter().map(|route| route.path).find(|pattern| fits(pattern, path)) else {
        return Err(Error::new(Kind::NotFound, "nothing is served at this path"));
    };
    let verbs: Vec<&str> = ROUTES.iter().filter(|route| route.path == pattern).map(|route| route.verb).collect();
    let allow = verbs.join(", ").replace("GET", "GET, HEAD");
    let refusal = Error::new(Kind::Method, format!("this path takes {allow}"));
    Ok(error::reply(&refusal, path.starts_with("/fhir"), &request.id).with("allow", allow))
}

/// The route of a path that no connection brought, with what stands in its `{parts}`.
pub fn routed(verb: &str, path: &str) -> Option<(&'static Route, Vec<(String, String)>)> {
    let pattern = ROUTES.iter().map(|route| route.path).find(|pattern| fits(pattern, path))?;
    let route = ROUTES.iter().find(|route| route.path == pattern && route.verb == verb)?;
    let parts = pattern.split('/').zip(path.split('/'));
    let named = parts.filter_map(|(part, value)| Some((part.strip_prefix('{')?.strip_suffix('}')?.to_owned(), value.to_owned())));
    Some((route, named.collect()))
}

/// Does a path fit a pattern whose `{parts}` stand for anything?
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}
