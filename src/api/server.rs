//! The listener: sockets, TLS, and the actix application made from `ROUTES`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::Compress;
use actix_web::{App as Actix, HttpRequest, HttpResponse, HttpServer, guard, web};
use tokio::net::TcpSocket;
use tracing_actix_web::{RootSpanBuilder, TracingLogger};

use super::proxy::Network;
use super::readers::Readers;
use super::unrouted::UNROUTED;
use super::{ROUTES, Route, cors, gate};
use crate::app::App;
use crate::error::{Error, Kind, Result};

/// How connections are secured.
pub enum Security {
    Plain,
    Tls(Box<rustls::ServerConfig>),
}

/// A server that accepts connections once it is awaited.
pub struct Listening {
    pub address: SocketAddr,
    pub handle: ServerHandle,
    pub server: Server,
}

/// Seconds that requests in flight may take after SIGTERM.
const DRAIN_SECS: u64 = 30;
/// Requests without a body that are answered at once, at least: on PostgreSQL and on a cold disk they do wait.
const READERS: usize = 8;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long a client may take nothing of an answer that waits for it; then its connection is cut.
#[cfg(target_os = "linux")]
const TAKE: std::time::Duration = std::time::Duration::from_secs(30);

/// Takes the address, with port 0 any free port; `Kind::PortBusy` when somebody listens there.
pub async fn bind(asked: SocketAddr) -> Result<TcpListener> {
    let socket = || {
        let socket = if asked.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(asked)?;
        let socket = socket.listen(BACKLOG)?.into_std()?;
        // Connections have it from their listener. actix looks at no connection whose client takes nothing.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(TAKE))?;
        Ok(socket)
    };
    socket().map_err(|e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            Error::new(Kind::PortBusy, format!("{asked} is in use; stop what listens there, or choose another with --listen"))
        }
        _ => Error::new(Kind::Setting, format!("cannot listen on {asked} ({e}); choose another with --listen")),
    })
}

/// Prepares to serve on a socket of `bind`.
pub fn listen(app: Arc<App>, security: Security, socket: TcpListener) -> Result<Listening> {
    let proxy = web::Data::new(app.config.behind_proxy.as_deref().map(Network::parse).transpose()?);
    let data = web::Data::from(app);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let readers = web::Data::new(Readers::start(READERS.max(2 * cores))?);
    let server = HttpServer::new(move || {
        let mut actix = Actix::new()
            .app_data(data.clone())
            .app_data(proxy.clone())
            .app_data(readers.clone())
            .app_data(web::PayloadConfig::new(usize::MAX))
            .wrap(Compress::default())
            .wrap(TracingLogger::<Span>::new());
        for path in paths() {
            let mut resource = web::resource(path);
            for route in ROUTES.iter().filter(|route| route.path == path) {
                let serve = move |app: web::Data<App>, http: HttpRequest, payload: web::Payload| served(app, route, http, payload);
                resource = match route.verb {
                    // A HEAD is a GET whose body is not sent.
                    "GET" => resource.route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(serve)),
                    "POST" => resource.route(web::post().to(serve)),
                    "PUT" => resource.route(web::put().to(serve)),
                    "PATCH" => resource.route(web::patch().to(serve)),
                    _ => resource.route(web::delete().to(serve)),
                };
            }
            actix = actix.service(resource.default_service(web::to(unrouted)));
        }
        actix.default_service(web::to(unrouted))
    })
    .disable_signals()
    .shutdown_timeout(DRAIN_SECS)
    .workers(cores);
    let address = socket.local_addr().map_err(Error::bug)?;
    let bound = match security {
        Security::Plain => server.listen_auto_h2c(socket),
        Security::Tls(config) => server.listen_rustls_0_23(socket, *config),
    };
    let bound = bound.map_err(Error::bug)?;
    let server = bound.run();
    Ok(Listening { address, handle: server.handle(), server })
}

/// Each path of the table once, in its order, those of FHIR first: they are tried one after the other, and most requests
/// are for those.
fn paths() -> Vec<&'static str> {
    let mut paths: Vec<&str> = Vec::new();
    for Route { path, .. } in ROUTES {
        if !paths.contains(path) {
            paths.push(path);
        }
    }
    paths.sort_by_key(|path| !path.starts_with("/fhir/"));
    paths
}

/// A request's span has no path and no query: they may hold identifiers.
pub struct Span;

impl RootSpanBuilder for Span {
    fn on_request_start(_: &ServiceRequest) -> tracing::Span {
        tracing::info_span!("request")
    }

    fn on_request_end<B: actix_web::body::MessageBody>(_: tracing::Span, _: &std::result::Result<ServiceResponse<B>, actix_web::Error>) {}
}

/// The gate's answer, with what lets pages read it that may.
async fn served(app: web::Data<App>, route: &'static Route, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let inner = Arc::clone(&app);
    let response = gate::serve(app, route, http.clone(), payload).await;
    cors::share(&inner, &http, response).await
}

/// What no route serves passes the gate all the same, and leaves its audit entry. A preflight that is allowed says nothing
/// of anybody, and leaves none.
async fn unrouted(app: web::Data<App>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    match cors::preflight(&app, &http).await {
        Some(response) => response,
        None => served(app, &UNROUTED, http, payload).await,
    }
}

/// Runs the server's own runtime until `work` is done.
pub fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    actix_web::rt::System::new().block_on(work)
}

/// Serves until SIGTERM or SIGINT, then stops accepting and lets requests in flight end.
pub async fn until_told(listening: Listening) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::bug)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::bug)?;
    let handle = listening.handle.clone();
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.stop(true).await;
    });
    listening.server.await.map_err(Error::bug)
}
