//! How the provider is asked: over TLS by rustls, within a time, without following redirects, and no more than it may say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::{Error, Kind, Result};

const TIME: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
const MOST: u64 = 1 << 20;

pub struct Http(ureq::Agent);

/// Why there is no answer.
#[derive(Debug)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl Http {
    /// Trusts these certificates (PEM), or those that are built in.
    pub fn new(trusted: Option<&str>) -> Result<Http> {
        let roots = match trusted {
            None => RootCerts::WebPki,
            Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIME))
            .timeout_connect(Some(CONNECT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .build();
        Ok(Http(config.into()))
    }

    pub fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, Failed> {
        let failed = |e: ureq::Error| Failed(e.to_string());
        let (parts, body) = request.into_parts();
        let answer = if parts.method == "GET" {
            self.0.run(ureq::http::Request::from_parts(parts, ()))
        } else {
            self.0.run(ureq::http::Request::from_parts(parts, body))
        };
        let (parts, mut body) = answer.map_err(failed)?.into_parts();
        let body = body.with_config().limit(MOST).read_to_vec().map_err(failed)?;
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>> {
    let refused = |why: String| Error::new(Kind::Setting, format!("sign_in.ca_file {why}; give certificates as PEM"));
    let mut all = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        match item.map_err(|e| refused(format!("cannot be read ({e})")))? {
            PemItem::Certificate(certificate) => all.push(certificate),
            _ => return Err(refused("holds something else than certificates".into())),
        }
    }
    if all.is_empty() { Err(refused("holds no certificate".into())) } else { Ok(all) }
}
