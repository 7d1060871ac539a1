//! Requests that no route serves: 404, or 405 with the methods that the path takes.
//!
//! An operation that there is not fits the pattern of an id or a type, so it is looked for before a route is taken.

use super::error::{self, Form};
use super::request::{Reply, Request};
use super::{Need, ROUTES, Route};
use crate::access::Caller;
use crate::app::App;
use crate::audit::Action;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::quoted;
use crate::search::Type;

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
    Ok(error::reply(&refusal, Form::of(path), &request.id).with("allow", allow))
}

/// What the route answers, unless the path names an operation that there is not.
pub fn answer(app: &App, route: &Route, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    match unknown_operation(request.uri.split('?').next().unwrap_or_default()) {
        Some(refusal) => Err(refusal),
        None => (route.to)(app, request, who),
    }
}

/// The refusal of a path that ends with an operation, when no route has it: it says which there are.
pub fn unknown_operation(path: &str) -> Option<Error> {
    let path = path.replace("%24", "$");
    let (on, asked) = path.strip_prefix("/fhir")?.rsplit_once('/').filter(|(_, asked)| asked.starts_with('$'))?;
    let parts: Vec<&str> = on.split('/').skip(1).collect();
    // A type that is not served is another refusal.
    let (of, level) = match parts.as_slice() {
        [] => (None, "the system".to_owned()),
        [name] => (Type::parse(name), format!("type {name}")),
        [name, _] => (Type::parse(name), format!("a resource of type {name}")),
        _ => return None,
    };
    if of.is_none() && !parts.is_empty() {
        return None;
    }
    let named = ROUTES.iter().filter_map(|route| Some((route.path, route.path.rsplit('/').next().filter(|name| name.starts_with('$'))?)));
    let mut offered: Vec<&str> = named.filter(|(path, name)| fits(path, &format!("/fhir{on}/{name}"))).map(|(_, name)| name).collect();
    offered.dedup();
    if offered.contains(&asked) {
        return None;
    }
    offered.retain(|_| of.is_none_or(Type::is_document));
    let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    Some(Error::new(Kind::NotFound, format!("there is no operation {} on {level}; those there are: {offered}", quoted(asked))))
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
