//! `GET /apps/...`: the SMART app of the demo. Only `firth serve --demo` registers it, and only then it is served.

use serde_json::json;

use super::request::{Reply, Request};
use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Kind, Result};

include!(concat!(env!("OUT_DIR"), "/apps.rs"));

/// Its own script, its own style, and this server: nothing else is loaded or called.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Vitals</title>\
    <h1>The app is not in this binary</h1><p>It is bundled with npm when firth is built, and npm was not there or failed: the build said why. \
    Install Node.js 20 or newer with npm, run <code>touch build.rs</code> and build again.</p></html>";

/// Is the app in this binary? `build.rs` takes it in where npm is.
pub fn is_built() -> bool {
    !VITALS.is_empty()
}

/// `GET /apps/vitals` goes to the folder, where the app's own links lead to its files.
pub fn folder(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    client(app, request)?;
    let query = request.uri.split_once('?').map_or_else(String::new, |(_, query)| format!("?{query}"));
    Ok(Reply { audited: true, ..Reply::empty(308) }.with("location", format!("{}/apps/vitals/{query}", app.public_url)))
}

/// A file of the app; without a name its page.
pub fn file(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let client = client(app, request)?;
    let name = match request.param("file") {
        "" => "index.html",
        name => name,
    };
    let found = VITALS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes.to_vec());
    let body = match (name, found) {
        ("client.json", _) => json!({"client_id": client, "iss": format!("{}/fhir", app.public_url)}).to_string().into_bytes(),
        (_, Some(bytes)) => bytes,
        ("index.html", None) => NOT_BUILT.into(),
        _ => return Err(Error::new(Kind::NotFound, "the app has no such file")),
    };
    // The app says nothing of anybody; what it reads leaves its entries under /fhir.
    let reply = Reply { status: 200, content_type: kind(name).into(), body, audited: true, ..Reply::default() };
    Ok(reply.with("content-security-policy", POLICY).with("referrer-policy", "no-referrer"))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}

/// The app's client id: it is there once the demo has registered it.
fn client<'a>(app: &'a App, request: &Request) -> Result<&'a str> {
    let nothing = || Error::new(Kind::NotFound, "nothing is served at this path");
    app.vitals.get().filter(|_| request.param("app") == "vitals").map(String::as_str).ok_or_else(nothing)
}
