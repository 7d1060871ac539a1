//! batch (https://hl7.org/fhir/R4/http.html#batch): each entry of a Bundle as if it had been sent alone.

use std::cell::Cell;
use std::str::FromStr;
use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use data_encoding::{BASE64, HEXLOWER};

use crate::access::Caller;
use crate::api::error::{self, Form};
use crate::api::request::{Body, Reply, Request, asked};
use crate::api::{Need, Route, unrouted};
use crate::app::App;
use crate::error::{Error, Issue, Kind as Wrong, Result};
use crate::fhir::interaction::{Answered, Entry, Incoming, Kind, Method, response, write};
use crate::fhir::outcome;
use crate::fhir::validate::{self, Object, Severity};
use crate::ledger::submitted::refused;
use crate::vault::digest;

pub fn run(app: &App, request: &Request, who: &Caller, incoming: &Incoming<'_>) -> Result<Reply> {
    super::write::idempotency(app, request, who)?;
    let mut answers: Vec<(usize, Answered)> = Vec::with_capacity(incoming.entries.len());
    for one in &incoming.refused {
        let outcome = outcome::of(&refused(vec![one.issue.clone()]), &request.id);
        answers.push((one.index, Answered { status: 400, outcome: Some(outcome), ..Answered::default() }));
    }
    for entry in &incoming.entries {
        answers.push((entry.index, one(app, request, who, entry)?));
    }
    answers.sort_by_key(|(index, _)| *index);
    let answers: Vec<Answered> = answers.into_iter().map(|(_, answered)| answered).collect();
    Ok(Reply::fhir(200, response(Kind::Batch, &answers)).about("Bundle", Vec::new()))
}

/// Is all that is wrong with a batch within its entries? Each is judged again when its turn comes.
pub fn judges_alone(bundle: &Object<'_>, issues: &[validate::Issue]) -> bool {
    let inside = |issue: &validate::Issue| {
        let at = issue.at.strip_prefix("Bundle.entry[").unwrap_or_default();
        let whole = at.ends_with("].resource") && issue.code == "invariant";
        issue.severity == Severity::Error && (whole || at.contains("].resource.") || at.contains("].request."))
    };
    bundle.text("type") == Some("batch") && issues.iter().all(inside)
}

/// Does one entry as its own request with its own audit entry.
pub fn one(app: &App, request: &Request, who: &Caller, entry: &Entry<'_>) -> Result<Answered> {
    let routed = match routed(entry) {
        Ok(routed) => routed,
        Err(e) => return Ok(Answered { status: 404, outcome: Some(outcome::of(&e, &request.id)), ..Answered::default() }),
    };
    let mut inner = alone(app, request, entry, &routed)?;
    let outcome = answer(app, routed.0, &mut inner, who);
    request.honoured.set(inner.honoured.get());
    let reply = outcome.unwrap_or_else(|e| error::reply(&placed(e, entry.index), Form::Fhir, &request.id));
    let reply = audited(app, inner.entry, reply)?;
    Ok(answered(read(reply, entry.method)))
}

/// Would an entry that only reads be refused as things are? What it reads is told to nobody, so it has no audit entry.
pub fn refusal(app: &App, request: &Request, who: &Caller, entry: &Entry<'_>) -> Result<()> {
    let routed = routed(entry)?;
    let mut inner = alone(app, request, entry, &routed)?;
    answer(app, routed.0, &mut inner, who).map(drop).map_err(|e| placed(e, entry.index))
}

/// Has any route what the entry asks for?
pub fn is_served(entry: &Entry<'_>) -> bool {
    routed(entry).is_ok()
}

type Routed = (&'static Route, Vec<(String, String)>);

fn routed(entry: &Entry<'_>) -> Result<Routed> {
    let url = url(entry);
    let path = url.split('?').next().unwrap_or_default();
    unrouted::routed(verb(entry.method), path).ok_or_else(|| {
        let e = unrouted::unknown_operation(path).unwrap_or_else(|| Error::new(Wrong::NotFound, "nothing is served at this URL"));
        e.at(format!("Bundle.entry[{}].request.url", entry.index))
    })
}

/// The entry as if it had been sent alone.
fn alone(app: &App, request: &Request, entry: &Entry<'_>, routed: &Routed) -> Result<Request> {
    let (verb, url, (route, params)) = (verb(entry.method), url(entry), routed);
    let of = request.entry.again(app.entry_id()?);
    let mut inner = Request {
        verb: verb.to_owned(),
        uri: url.clone(),
        path: params.clone(),
        query: url.split_once('?').map_or_else(String::new, |(_, query)| query.to_owned()),
        headers: headers(request, entry),
        address: request.address.clone(),
        id: request.id.clone(),
        entry: crate::audit::Entry {
            action: route.action,
            route: route.name.to_owned(),
            query: asked(route.action, (verb, &url), entry.if_none_exist),
            resource: None,
            ..of
        },
        body: Body::of(body(entry)?),
        body_digest: [0; 32],
        honoured: Cell::clone(&request.honoured),
    };
    // What is refused names what was asked for, too.
    inner.entry.resource = Some(inner.named()).filter(|named| !named.is_empty());
    Ok(inner)
}

fn answer(app: &App, route: &'static Route, inner: &mut Request, who: &Caller) -> Result<Reply> {
    match route.need {
        Need::Nothing | Need::Token => unrouted::answer(app, route, inner, Some(who)).and_then(settled),
        Need::App | Need::Sdk => Err(Error::new(Wrong::NotFound, "nothing is served at this URL")),
    }
}

/// The reply, once what it waits for is committed.
fn settled(reply: Reply) -> Result<Reply> {
    match reply.later {
        Some(later) => later.wait(),
        None => Ok(reply),
    }
}

/// The entry of the audit log is durable before the Bundle is answered.
fn audited(app: &App, mut entry: crate::audit::Entry, mut reply: Reply) -> Result<Reply> {
    if !reply.audited {
        entry.status = reply.status;
        entry.refused = reply.headers.iter().find(|(name, _)| *name == "x-firth-error").map(|(_, code)| code.clone());
        entry.resource = reply.resource.take().or(entry.resource);
        entry.patients = std::mem::take(&mut reply.patients);
        app.log.append(&entry)?.wait()?;
    }
    Ok(reply)
}

pub fn verb(method: Method) -> &'static str {
    match method {
        Method::Get | Method::Head => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

pub fn url(entry: &Entry<'_>) -> String {
    let target = &entry.target;
    let version = target.version.map(|version| format!("_history/{version}"));
    let parts = [target.resource_type, target.id, target.history.then_some("_history"), version.as_deref(), target.operation];
    let path: String = parts.into_iter().flatten().map(|part| format!("/{part}")).collect();
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/fhir{path}{query}")
}

/// What the Bundle's own request preferred, and the conditions of the entry.
fn headers(request: &Request, entry: &Entry<'_>) -> Vec<(String, String)> {
    let kept = request.headers.iter().filter(|(name, _)| name == "prefer").cloned();
    let json_patch = entry.method == Method::Patch && is_binary(entry);
    let kind = if json_patch { "application/json-patch+json" } else { "application/fhir+json" };
    let own = [
        // What a Bundle holds is a resource, of a Binary as well.
        ("accept", Some("application/fhir+json")),
        ("content-type", Some(kind)),
        ("if-match", entry.if_match),
        ("if-none-match", entry.if_none_match),
        ("if-none-exist", entry.if_none_exist),
    ];
    // Each create has a key of its own, that of the Bundle and its place.
    let key = request.header("idempotency-key").map(|key| HEXLOWER.encode(&digest(&[key.as_bytes(), &entry.index.to_be_bytes()])));
    let key = key.map(|key| ("idempotency-key".to_owned(), key));
    let since = entry.if_modified_since.and_then(http_date).map(|date| ("if-modified-since".to_owned(), date));
    kept.chain(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))).chain(since).chain(key).collect()
}

/// An instant of FHIR as HTTP writes a date.
fn http_date(instant: &str) -> Option<String> {
    let range = crate::search::DateRange::stored(instant)?;
    Some(super::conditional::http_date(range.millis().0))
}

fn body(entry: &Entry<'_>) -> Result<Vec<u8>> {
    if entry.method == Method::Patch
        && let Some(json) = json_patch(entry)?
    {
        return Ok(json);
    }
    Ok(entry.resource.map(|resource| write(resource).into_bytes()).unwrap_or_default())
}

fn is_binary(entry: &Entry<'_>) -> bool {
    entry.resource.is_some_and(|resource| resource.text("resourceType") == Some("Binary"))
}

/// The JSON Patch that a Binary holds (https://hl7.org/fhir/R4/http.html#jsonpatch); None when the resource is another.
pub fn json_patch(entry: &Entry<'_>) -> Result<Option<Vec<u8>>> {
    let Some(binary) = entry.resource.filter(|_| is_binary(entry)) else { return Ok(None) };
    let at = |element: &str| format!("Bundle.entry[{}].resource.{element}", entry.index);
    let kind = binary.text("contentType").unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json-patch+json")) {
        return Err(Error::new(Wrong::Invalid, "a Binary that patches has contentType application/json-patch+json").at(at("contentType")));
    }
    let data: String = binary.text("data").unwrap_or_default().split_whitespace().collect();
    let decoded = BASE64.decode(data.as_bytes());
    decoded.map(Some).map_err(|_| Error::new(Wrong::Invalid, "the data is not base64").at(at("data")))
}

/// An error with the entry that it is of.
pub fn placed(mut error: Error, index: usize) -> Error {
    let entry = format!("Bundle.entry[{index}]");
    let of_search = matches!(error.kind, Wrong::Parameter | Wrong::ParameterUnknown | Wrong::TooCostly | Wrong::LinkOver);
    let place = |at: Option<String>| match at {
        Some(at) if at.starts_with("Bundle.") => at,
        Some(_) if of_search => format!("{entry}.request.url"),
        Some(at) => at.split_once('.').map_or_else(|| entry.clone(), |(_, rest)| format!("{entry}.resource.{rest}")),
        None => entry.clone(),
    };
    error.issues = error.issues.into_iter().map(|issue| Issue { at: Some(place(issue.at)), ..issue }).collect();
    error
}

/// What a reply says, as the entry of a Bundle says it.
fn read(reply: Reply, method: Method) -> Answered {
    let header = |name: &str| reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let version = header("etag").and_then(|tag| tag.trim_start_matches("W/").trim_matches('"').parse().ok());
    let modified = header("last-modified").and_then(|date| HttpDate::from_str(date).ok()).map(SystemTime::from);
    let modified = modified.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|at| at.as_millis() as i64);
    let location = header("location").and_then(|url| url.split_once("/fhir/")).map(|(_, location)| location.to_owned());
    let text = String::from_utf8(reply.body).ok().filter(|text| !text.is_empty() && method != Method::Head);
    let (resource, outcome) = if reply.status < 400 { (text, None) } else { (None, text) };
    Answered { full_url: None, status: reply.status, location, version, last_modified: modified, resource, outcome }
}

/// An OperationOutcome that answers a write is its outcome and not its resource.
pub fn answered(answer: Answered) -> Answered {
    match &answer.resource {
        Some(text) if text.starts_with("{\"resourceType\":\"OperationOutcome\"") => {
            Answered { outcome: answer.resource, resource: None, ..answer }
        }
        _ => answer,
    }
}
