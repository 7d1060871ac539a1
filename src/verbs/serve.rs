//! `firth serve`: open the store, listen, work, and leave in order when told to.

use std::sync::Arc;

use futures_util::future::join;

use super::{Serve, Where, demo, settings};
use crate::api::{self, Security};
use crate::app::{self, App};
use crate::audit::Action;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::vault::Sealing;
use crate::{control, jobs, telemetry};

pub fn run(place: &Where, options: &Serve) -> Result<()> {
    let mut config = settings::read(place)?;
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    config.behind_proxy.clone_from(&options.behind_proxy);
    // Dropped last: a throw-away folder goes when nothing uses it any more.
    let folder = options.demo.then(|| demo::prepare(&mut config, place)).transpose()?;
    plain_http_allowed(&config, options)?;
    if folder.is_none() {
        app::key_apart(&config)?;
    }
    telemetry::start(&config.log);
    telemetry::record();
    let _lock = app::lock(&config.data_dir)?;
    let security = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Security::Tls(Box::new(api::tls(cert, key)?)),
        _ => Security::Plain,
    };
    api::block_on(async {
        let socket = api::bind(config.listen).await?;
        // With port 0 the system has chosen one.
        config.listen = socket.local_addr().map_err(Error::bug)?;
        let app = Arc::new(App::build(config, Clock::system(), Sealing::Aes256Gcm)?);
        let listening = api::listen(Arc::clone(&app), security, socket)?;
        app.note(Action::Start, "serve").await?;
        let workers = jobs::start(&app)?;
        let control = control::listen(&app)?;
        let scheme = if app.config.tls_cert.is_some() { "https" } else { "http" };
        let stop = listening.handle.clone();
        let (address, stop) = (listening.address, move || drop(stop.stop(false)));
        let loading = folder.as_ref().map(|folder| demo::start(folder, &app, address, stop)).transpose()?;
        // Said once signals are listened to: whoever reads it may tell the server to stop.
        let says = async {
            println!("firth listens on {scheme}://{address}");
            if app.config.public_url.is_some() {
                println!("links start with {}", app.public_url);
            }
        };
        let (served, ()) = join(api::until_told(listening), says).await;
        served?;
        let loaded = loading.map_or(Ok(()), |thread| thread.join().unwrap_or_else(|_| Err(Error::bug("loading the demo panicked"))));
        drop((workers, control));
        app.note(Action::Stop, "serve").await?;
        app.db.settle();
        loaded
    })
}

/// Plain HTTP stays on this machine unless a flag says otherwise.
fn plain_http_allowed(config: &Config, options: &Serve) -> Result<()> {
    if config.tls_cert.is_some() || config.listen.ip().is_loopback() || options.insecure_plain_http || options.behind_proxy.is_some() {
        return Ok(());
    }
    let says = format!(
        "{} is not a loopback address and there is no TLS; set FIRTH_TLS_CERT and FIRTH_TLS_KEY, or say --behind-proxy CIDR or --insecure-plain-http",
        config.listen
    );
    Err(Error::new(Kind::Setting, says))
}
