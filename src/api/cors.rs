//! Who may read an answer in a browser (the Fetch standard, section 3.2; SMART App Launch 2.2, "Considerations for
//! Cross-Origin Resource Sharing").
//!
//! Public documents are for pages of any origin; the API is for those of the origins that approved clients registered.
//! Never with credentials: a token is sent by the page itself, and no cookie counts under `/fhir`.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::error::{Error, Result};

/// What a page may ask with.
const SENT: &str = "Authorization, Content-Type, Accept, If-Match, If-None-Match, If-None-Exist, If-Modified-Since, If-Unmodified-Since, \
                    Prefer, DPoP, Idempotency-Key, X-Request-Id";
/// What a page may read of an answer, besides what every page may.
const SHOWN: &str =
    "Location, ETag, Content-Location, Link, X-Request-Id, Retry-After, X-Progress, WWW-Authenticate, Last-Modified, DPoP-Nonce";
/// Seconds for which a browser need not ask again.
const REMEMBERED: &str = "600";

/// For whom a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    /// A document that says nothing of anybody: GET and HEAD, from any origin.
    Public,
    /// What approved clients call; the methods that it takes.
    Registered(&'static str),
    /// Pages and everything else.
    No,
}

fn shared(path: &str) -> Shared {
    match path {
        "/fhir/metadata" | "/oauth/jwks" | "/oauth/brands" => Shared::Public,
        _ if path.starts_with("/.well-known/") || path.starts_with("/fhir/.well-known/") => Shared::Public,
        "/oauth/token" | "/oauth/revoke" | "/oauth/introspect" => Shared::Registered("POST"),
        "/fhir" => Shared::Registered("POST"),
        _ if path.starts_with("/fhir/") => Shared::Registered("GET, HEAD, POST, PUT, PATCH, DELETE"),
        _ => Shared::No,
    }
}

/// The answer to a preflight, when the origin may ask what it asks for; `None` lets the request be answered as any other.
pub async fn preflight(app: &Arc<App>, http: &HttpRequest) -> Option<HttpResponse> {
    let method = http.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD)?.to_str().ok()?;
    if http.method() != Method::OPTIONS || !http.headers().contains_key(header::ORIGIN) {
        return None;
    }
    let (origin, methods) = match shared(http.path()) {
        Shared::Public => ("*".to_owned(), "GET, HEAD"),
        Shared::Registered(methods) => (registered(app, http.headers()).await?, methods),
        Shared::No => return None,
    };
    if !methods.split(", ").any(|one| one == method) {
        return None;
    }
    let mut response = HttpResponse::NoContent();
    response
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header((header::VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, SENT))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, REMEMBERED));
    if let Ok(id) = app.entry_id() {
        response.insert_header(("x-request-id", id.to_string()));
    }
    Some(response.finish())
}

/// The answer with what lets a page of a permitted origin read it.
pub async fn share(app: &Arc<App>, http: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let origin = match shared(http.path()) {
        Shared::No => return response,
        Shared::Public if [Method::GET, Method::HEAD].contains(http.method()) => Some("*".to_owned()),
        Shared::Public => None,
        Shared::Registered(methods) => {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
            // A refusal of another method, or of what no page may ask for, is nothing to read.
            let taken = methods.split(", ").any(|one| one == http.method().as_str());
            if taken { registered(app, http.headers()).await } else { None }
        }
    };
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
    }
    response
}

/// The origin of a request, letter for letter, when an approved client registered it. When that cannot be found out it
/// is none: the page learns nothing.
async fn registered(app: &Arc<App>, headers: &HeaderMap) -> Option<String> {
    let mut said = headers.get_all(header::ORIGIN);
    let (origin, None) = (said.next()?.to_str().ok()?, said.next()) else { return None };
    match origins(app).await {
        Ok(origins) => origins.contains(origin).then(|| origin.to_owned()),
        Err(e) => {
            tracing::error!(code = e.kind.wire().code, raised = %e.raised, cause = e.cause.as_deref(), "origins could not be read");
            None
        }
    }
}

/// The registered origins: what is remembered, or else read away from this thread.
async fn origins(app: &Arc<App>) -> Result<Arc<HashSet<String>>> {
    if let Some(known) = app.origins.known(&app.db, app.clock.now()) {
        return Ok(known);
    }
    let app = Arc::clone(app);
    let read = move || app.origins.read(&app.db, &app.vault, app.clock.now());
    tokio::task::spawn_blocking(read).await.map_err(Error::bug)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_for_those_it_is_meant_for() {
        for path in
            ["/fhir/metadata", "/fhir/.well-known/smart-configuration", "/.well-known/openid-configuration", "/oauth/jwks", "/oauth/brands"]
        {
            assert_eq!(shared(path), Shared::Public, "{path}");
        }
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/fhir", "/fhir/Patient/1", "/fhir/metadata/"] {
            assert!(matches!(shared(path), Shared::Registered(_)), "{path}");
        }
        for path in ["/", "/oauth/authorize", "/oauth/register", "/oauth/token/", "/fhirx", "/api/v1/users", "/metrics", "/apps/vitals"] {
            assert_eq!(shared(path), Shared::No, "{path}");
        }
    }
}
