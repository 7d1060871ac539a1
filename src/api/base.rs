//! The limit that `firth bench` holds the server against: the same framework, a durable commit of the audit log, a static
//! body. Nothing else: no route table, no token, no blocking thread, no log line. What a request brings in its body is
//! committed with its entry.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{App as Actix, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::StreamExt;

use super::Listening;
use super::request::FHIR_JSON;
use crate::app::App;
use crate::audit::{Action, Entry};
use crate::error::{Error, Kind, Result};

/// Binds and prepares to answer every request with `size` bytes.
pub fn listen_base(app: Arc<App>, size: usize) -> Result<Listening> {
    let asked = app.config.listen;
    let body = Bytes::from(vec![b'x'; size]);
    let server = HttpServer::new(move || {
        Actix::new().app_data(Data::from(Arc::clone(&app))).app_data(Data::new(body.clone())).default_service(web::to(answer))
    })
    .disable_signals()
    .workers(std::thread::available_parallelism().map_or(2, usize::from))
    .backlog(4096)
    .bind(asked)
    .map_err(|e| Error::new(Kind::PortBusy, format!("cannot listen on {asked} ({e})")))?;
    let address = server.addrs().first().copied().unwrap_or(asked);
    let server = server.run();
    Ok(Listening { address, handle: server.handle(), server })
}

async fn answer(app: Data<App>, body: Data<Bytes>, http: HttpRequest, mut payload: Payload) -> HttpResponse {
    let mut brought = Vec::new();
    while let Some(Ok(piece)) = payload.next().await {
        brought.extend_from_slice(&piece);
    }
    match audited(&app, &http, &brought).await {
        Ok(()) if http.method() == Method::DELETE => HttpResponse::NoContent().finish(),
        Ok(()) => HttpResponse::Ok().content_type(FHIR_JSON).body(Bytes::clone(&body)),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// An entry as long as that of a search, or as what was brought.
async fn audited(app: &App, http: &HttpRequest, brought: &[u8]) -> Result<()> {
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
    app.log.append(&entry)?.durable().await
}
