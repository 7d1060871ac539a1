//! The limit that `firth bench` holds reads against: the same framework, a durable audit commit, a static body.
//! Nothing else: no route table, no token, no blocking thread, no log line.

use std::sync::Arc;

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
    while let Some(Ok(_)) = payload.next().await {}
    match audited(&app, &http).await {
        Ok(()) => HttpResponse::Ok().content_type(FHIR_JSON).body(Bytes::clone(&body)),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// An entry as long as that of a search.
async fn audited(app: &App, http: &HttpRequest) -> Result<()> {
    let id = app.entry_id()?;
    let mut entry = Entry::new(id, Action::Search, "search");
    entry.request = id.to_string();
    entry.query = http.uri().path_and_query().map(ToString::to_string);
    entry.resource = Some("Observation".into());
    entry.patients = vec![id.to_string()];
    entry.credential = Some(id.to_string());
    entry.role = Some("ehr-system".into());
    entry.address = http.peer_addr().map(|peer| peer.ip().to_string());
    app.log.append(&entry)?.durable().await
}
