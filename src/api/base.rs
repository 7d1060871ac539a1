//! The limit that `firth bench` holds the server against: the same framework, a durable commit of the audit log, a static
//! body. For documents the token is checked, and what changes something is committed by the writer of the main database,
//! as the server does; what a request brings in its body is committed with its entry. Nothing else: no route table, no
//! validation, no row, no log line.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{App as Actix, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::StreamExt;

use super::Listening;
use super::request::FHIR_JSON;
use crate::app::App;
use crate::audit::{Action, Did, Entry};
use crate::error::{Error, Kind, Result};

/// What every request is answered, and after what.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// Bytes of the answer.
    pub size: usize,
    /// Check the token, and commit as a write of documents does.
    pub documents: bool,
}

struct Limit {
    app: Arc<App>,
    body: Bytes,
    documents: bool,
}

/// Binds and prepares to answer every request.
pub fn listen_base(app: Arc<App>, base: Base) -> Result<Listening> {
    let asked = app.config.listen;
    let limit = Arc::new(Limit { app, body: Bytes::from(vec![b'x'; base.size]), documents: base.documents });
    let server = HttpServer::new(move || Actix::new().app_data(Data::from(Arc::clone(&limit))).default_service(web::to(answer)))
        .disable_signals()
        .workers(std::thread::available_parallelism().map_or(2, usize::from))
        .backlog(4096)
        .bind(asked)
        .map_err(|e| Error::new(Kind::PortBusy, format!("cannot listen on {asked} ({e})")))?;
    let address = server.addrs().first().copied().unwrap_or(asked);
    let server = server.run();
    Ok(Listening { address, handle: server.handle(), server })
}

async fn answer(limit: Data<Limit>, http: HttpRequest, mut payload: Payload) -> HttpResponse {
    let mut brought = Vec::new();
    while let Some(Ok(piece)) = payload.next().await {
        brought.extend_from_slice(&piece);
    }
    match audited(limit.clone().into_inner(), &http, &brought).await {
        Ok(()) if http.method() == Method::DELETE => HttpResponse::NoContent().finish(),
        Ok(()) => HttpResponse::Ok().content_type(FHIR_JSON).body(Bytes::clone(&limit.body)),
        Err(e) => HttpResponse::build(actix_web::http::StatusCode::SERVICE_UNAVAILABLE).body(e.to_string()),
    }
}

async fn audited(limit: Arc<Limit>, http: &HttpRequest, brought: &[u8]) -> Result<()> {
    let entry = entry(&limit.app, http, brought)?;
    // Until the token is known it is not said whether a health check has one.
    if limit.documents && http.path() != "/readyz" {
        let changes = http.method() != Method::GET;
        let (app, secret, kept) = (Arc::clone(&limit.app), secret(http), entry.clone());
        let work = tokio::task::spawn_blocking(move || document(&app, &secret, changes.then_some(kept)));
        work.await.map_err(Error::bug)??;
        if changes {
            return Ok(());
        }
    }
    limit.app.log.append(&entry)?.durable().await
}

fn secret(http: &HttpRequest) -> String {
    let said = http.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(' ').next_back().unwrap_or_default().to_owned()
}

/// Who asks, and the commit of what changes something.
fn document(app: &App, secret: &str, changing: Option<Entry>) -> Result<()> {
    app.callers.authenticate(secret, app.clock.now())?;
    match changing {
        None => Ok(()),
        Some(entry) => app.db.write("base", move |tx| entry.commit(tx, Did::new(200, "Observation".to_owned()))),
    }
}

/// An entry as long as that of a search, or as what was brought.
fn entry(app: &App, http: &HttpRequest, brought: &[u8]) -> Result<Entry> {
    let id = app.entry_id()?;
    let mut entry = Entry::new(id, Action::Search, "search");
    entry.request = id.to_string();
    entry.query = match brought {
        [] => http.uri().path_and_query().map(ToString::to_string),
        brought => Some(String::from_utf8_lossy(brought).into_owned()),
    };
    entry.resource = Some("Observation".into());
    entry.patients = vec![id.to_string()];
    entry.credential = Some(id.to_string());
    entry.role = Some("ehr-system".into());
    entry.address = http.peer_addr().map(|peer| peer.ip().to_string());
    Ok(entry)
}
