//! Every request passes here: its id, its caller, its handler, its audit entry, its log line.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use tokio::sync::mpsc::{Sender, channel};

use super::error::{self, Form};
use super::pieces::pieces;
use super::readers::Readers;
use super::request::{Body, Reply, Request, asked};
use super::{Need, Route, negotiate, oauth, presented, proxy, unrouted};
use crate::access::{Caller, Role};
use crate::app::App;
use crate::audit::{Action, Entry};
use crate::error::{Error, Kind, Result};

/// Pieces of a body that wait to be read; more of them would only fill memory.
const PIECES: usize = 16;

pub async fn serve(app: web::Data<App>, route: &'static Route, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let began = Instant::now();
    let app = app.into_inner();
    let deadline = Duration::from_secs(app.config.body_timeout_secs);
    let length = length(&http);
    let (body, pump) = match length {
        Length::None => (Body::empty(), None),
        Length::Short => (Body::whole(whole(payload, deadline).await), None),
        Length::Long => {
            let (send, receive) = channel(PIECES);
            (Body::new(receive), Some(pump(payload, send, deadline)))
        }
    };

    let request = match plain(&app, route, &http, body) {
        Ok(request) => request,
        Err(e) => return respond(error::reply(&e, Form::of(http.path()), "unknown"), &http, "unknown"),
    };
    let (id, form, shown) = (request.id.clone(), Form::of(&request.uri), presented::scheme(&request));
    let hands_over = hands_over(&app, route, &request);
    // It may wait for a provider elsewhere: that takes none of the few threads that answer reads.
    let asks_elsewhere = route.path == "/sign-in/upstream";
    let on_the_spot = hands_over.is_some();
    let work = {
        let app = Arc::clone(&app);
        move || handle(&app, route, request, hands_over.flatten())
    };
    let handled = match (pump, http.app_data::<web::Data<Readers>>()) {
        (None, _) if on_the_spot && length != Length::Long => Ok(std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)),
        (None, Some(readers)) if length == Length::None && !asks_elsewhere => readers.run(work).await,
        (None, _) => tokio::task::spawn_blocking(work).await,
        (Some(pump), _) => tokio::join!(tokio::task::spawn_blocking(work), pump).0,
    };
    let (entry, outcome) = handled.unwrap_or_else(|e| (None, Err(Error::bug(e))));
    let outcome = match outcome {
        Ok(Reply { later: Some(later), headers, .. }) => {
            later.ready().await.map(|reply| Reply { headers: [reply.headers, headers].concat(), ..reply })
        }
        outcome => outcome,
    };
    let reply = audited(&app, entry, outcome, (form, &id)).await;
    let reply = error::challenged(reply, shown, || oauth::resource_metadata(&app.public_url));
    log_line(route.name, &http, &reply, (&id, began));
    respond(reply, &http, &id)
}

/// Does the handler leave the waiting to the writer, and is who asks known, or nobody? Then it is done where it came in: to
/// hand it to another thread takes longer than it does. Who asks goes with it, and is not looked up there.
fn hands_over(app: &App, route: &Route, request: &Request) -> Option<Option<Arc<Caller>>> {
    let writes = matches!(route.action, Action::Create | Action::Update | Action::Patch | Action::Delete);
    if !writes || !app.db.one_process() || !route.path.starts_with("/fhir/") {
        return None;
    }
    match presented::token(request) {
        None => Some(None),
        Some(token) if token.proved => None,
        Some(token) => app.callers.remembered(token.text, app.clock.now()).map(Some),
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> (Option<Entry>, Result<Reply>) {
    (None, Err(Error::bug("a handler panicked")))
}

/// How a body is taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    None,
    /// So short that it may be here as a whole before anybody looks at it.
    Short,
    Long,
}

/// A request has a body when it says so (RFC 9112, section 6.3; in HTTP/2 only the stream tells).
fn length(http: &HttpRequest) -> Length {
    use actix_web::http::{Version, header};
    const SHORT: usize = 16 * 1024;
    let (length, packed) = (http.headers().get(header::CONTENT_LENGTH), http.headers().contains_key(header::CONTENT_ENCODING));
    match length {
        Some(length) if !packed && length.to_str().is_ok_and(|length| length.parse().is_ok_and(|length: usize| length <= SHORT)) => {
            Length::Short
        }
        Some(_) => Length::Long,
        None if http.version() == Version::HTTP_2 || http.headers().contains_key(header::TRANSFER_ENCODING) => Length::Long,
        None => Length::None,
    }
}

/// All of a short body.
async fn whole(mut payload: web::Payload, deadline: Duration) -> Result<web::Bytes> {
    let all = async {
        let mut all = web::BytesMut::new();
        while let Some(piece) = payload.next().await {
            all.extend_from_slice(&piece.map_err(ended)?);
        }
        Ok(all.freeze())
    };
    tokio::time::timeout(deadline, all).await.unwrap_or_else(|_| Err(late(deadline)))
}

fn ended(e: actix_web::error::PayloadError) -> Error {
    Error::new(Kind::Syntax, "the body ended early").because(e)
}

fn late(deadline: Duration) -> Error {
    Error::new(Kind::Timeout, format!("the body did not arrive within {} seconds", deadline.as_secs()))
}

fn plain(app: &App, route: &Route, http: &HttpRequest, body: Body) -> Result<Request> {
    let id = app.entry_id()?.to_string();
    let mut entry = Entry::new(app.entry_id()?, route.action, route.name);
    entry.request.clone_from(&id);
    let headers = http
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Request {
        verb: http.method().as_str().to_owned(),
        uri: http.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        path: http.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        query: http.query_string().to_owned(),
        headers,
        address: proxy::client(http),
        id,
        entry,
        body,
        body_digest: [0; 32],
        honoured: Cell::default(),
    })
}

/// Hands the body on piece by piece; ends with an error when the client is too slow or gone.
async fn pump(mut payload: web::Payload, send: Sender<Result<web::Bytes>>, deadline: Duration) {
    let whole = async {
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(ended);
            let last = piece.is_err();
            // A handler that has read enough drops its end.
            if send.send(piece).await.is_err() || last {
                return;
            }
        }
    };
    if tokio::time::timeout(deadline, whole).await.is_err() {
        // The reader may be gone already; then nobody needs to know.
        let _ = send.send(Err(late(deadline))).await;
    }
}

/// On a blocking thread: who asks, may they, and what is the answer?
fn handle(app: &App, route: &'static Route, mut request: Request, known: Option<Arc<Caller>>) -> (Option<Entry>, Result<Reply>) {
    let caller = authenticate(app, route, &request, known);
    request.entry.query = asked(route.action, (&request.verb, &request.uri), request.header("if-none-exist"));
    let entry = &mut request.entry;
    entry.address = Some(request.address.clone());
    if let Ok(Some(caller)) = &caller {
        entry.credential = Some(caller.credential.to_string());
        entry.role = Some(caller.role.name().to_owned());
        entry.user = caller.user.map(|user| user.to_string());
        entry.client = caller.client.map(|client| client.to_string());
        entry.account = caller.account.map(|account| account.to_string());
        entry.fhir_user.clone_from(&caller.fhir_user);
        entry.emergencies = caller.emergencies.to_vec();
        entry.own = caller.whom.first().filter(|_| caller.role == Role::Patient).map(|own| own.to_string());
    }
    if request.uri.starts_with("/fhir/") {
        request.entry.resource = Some(request.named());
    }
    let outcome = caller.and_then(|caller| unrouted::answer(app, route, &mut request, caller.as_deref()));
    let outcome = outcome.map(|reply| negotiate::applied(&request, reply));
    (Some(request.entry), outcome)
}

/// Who asks, if the route is theirs; `known` when that was found out already.
fn authenticate(app: &App, route: &Route, request: &Request, known: Option<Arc<Caller>>) -> Result<Option<Arc<Caller>>> {
    if route.need == Need::Nothing {
        return Ok(None);
    }
    // A well-known document is no resource type: what is not served yet is absent for everybody.
    if request.param("type").starts_with('.') {
        return Err(Error::new(Kind::NotFound, "nothing is served at this path"));
    }
    let caller = presented::caller(app, request, known)?;
    let fits = match route.need {
        Need::Nothing => true,
        Need::Token => !matches!(caller.role, Role::App | Role::DeviceSdk),
        Need::App => caller.role == Role::App,
        Need::Sdk => matches!(caller.role, Role::App | Role::DeviceSdk),
    };
    if fits {
        Ok(Some(caller))
    } else {
        Err(Error::new(Kind::Forbidden, format!("a token of role {} is of no use here", caller.role.name())))
    }
}

/// The reply, once its audit entry is durable; without the entry there is no reply but 503.
async fn audited(app: &App, entry: Option<Entry>, outcome: Result<Reply>, of: (Form, &str)) -> Reply {
    let (form, id) = of;
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(e) => {
            // What the client did wrong is no failure of ours; why a token was not taken only the log tells.
            if let (401, Some(cause)) = (e.kind.wire().status, e.cause.as_deref().filter(|_| form != Form::OAuth)) {
                tracing::info!(request_id = id, code = e.kind.wire().code, cause, "a credential was not taken");
            }
            if e.cause.is_some() && e.kind.wire().status >= 500 {
                tracing::error!(request_id = id, code = e.kind.wire().code, raised = %e.raised, cause = e.cause.as_deref(), "request failed");
            }
            error::reply(&e, form, id)
        }
    };
    if reply.audited {
        return reply;
    }
    let written = async {
        let mut entry = entry.ok_or_else(|| Error::bug("no randomness for an audit entry"))?;
        entry.status = reply.status;
        entry.refused = reply.headers.iter().find(|(name, _)| *name == "x-firth-error").map(|(_, code)| code.clone());
        if let Some(resource) = reply.resource.take() {
            entry.resource = Some(resource);
        }
        if let Some(asked) = reply.asked.take() {
            entry.query = Some(asked);
        }
        entry.patients.append(&mut reply.patients);
        app.log.append(&entry)?.durable().await
    };
    match written.await {
        Ok(()) => reply,
        Err(e) => error::reply(&e, form, id),
    }
}

fn log_line(route: &'static str, http: &HttpRequest, reply: &Reply, of: (&str, Instant)) {
    let (id, began) = of;
    let took = began.elapsed();
    let trace = http.headers().get("traceparent").and_then(|value| value.to_str().ok()).and_then(trace_id);
    metrics::counter!("firth_requests_total", "route" => route, "status" => reply.status.to_string()).increment(1);
    metrics::histogram!("firth_request_seconds", "route" => route).record(took.as_secs_f64());
    tracing::info!(request_id = id, route, status = reply.status, ms = took.as_millis() as u64, trace_id = trace, "request");
}

/// The trace id of a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`; anything else is left out.
fn trace_id(value: &str) -> Option<&str> {
    let hex = |text: &&str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    };
    let parts: Vec<&str> = value.split('-').collect();
    match parts.as_slice() {
        [version, trace, parent, flags] if hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) => Some(trace),
        _ => None,
    }
}

fn respond(reply: Reply, http: &HttpRequest, id: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(reply.status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response
        .insert_header(("x-request-id", id))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"));
    if Form::of(http.path()) == Form::OAuth {
        // RFC 6749, section 5.1.
        response.insert_header(("pragma", "no-cache"));
    }
    if http.app_data::<web::Data<App>>().is_some_and(|app| app.config.tls_cert.is_some()) {
        // Over TLS alone (RFC 6797, section 7.2); a proxy before us says it itself.
        response.insert_header(("strict-transport-security", "max-age=31536000"));
    }
    for (name, value) in &reply.headers {
        response.insert_header((*name, value.as_str()));
    }
    if ![204, 304].contains(&reply.status) {
        response.content_type(reply.content_type.as_ref());
    }
    match reply.rest {
        None => response.body(reply.body),
        Some(rest) => response.streaming(pieces(reply.body, rest, http.app_data().cloned())),
    }
}
