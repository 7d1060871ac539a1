//! A Binary as what it holds, in both directions (https://hl7.org/fhir/R4/binary.html#rest).

use data_encoding::BASE64;

use super::{base, write};
use crate::api::negotiate::{self, FHIR, quality, weight};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::bundle::quote;
use crate::fhir::validate::{Object, Options, object};
use crate::ledger::submitted::{self, Submitted};
use crate::vault::digest;

/// What becomes `securityContext`.
const CONTEXT: &str = "x-security-context";

/// The Binary of a body that is no FHIR; `None` when the body is to be read as a resource.
pub fn submitted(app: &App, request: &mut Request) -> Result<Option<Submitted>> {
    let Some(kind) = native(request)? else {
        if request.header(CONTEXT).is_some() {
            let says = "X-Security-Context goes with content that is no FHIR; a resource says its securityContext itself";
            return Err(Error::new(Kind::Parameter, says).at("X-Security-Context"));
        }
        return Ok(None);
    };
    let content = request.body(app.config.max_request_bytes)?;
    let mut text = String::with_capacity(content.len() / 3 * 4 + 256);
    let mut member = |name: &str, value: &str| {
        text.push_str(if text.is_empty() { "{\"" } else { ",\"" });
        text.push_str(name);
        text.push_str("\":");
        quote(&mut text, value);
    };
    member("resourceType", "Binary");
    Some(request.param("id")).filter(|id| !id.is_empty()).into_iter().for_each(|id| member("id", id));
    member("contentType", &kind);
    if !content.is_empty() {
        member("data", &BASE64.encode(&content));
    }
    if let Some(context) = request.header(CONTEXT) {
        text.push_str(",\"securityContext\":{\"reference\":");
        quote(&mut text, context.trim());
        text.push('}');
    }
    text.push('}');
    if request.header("idempotency-key").is_some() {
        request.body_digest = digest(&[text.as_bytes()]);
    }
    // The content was measured; base64 makes it longer by a third.
    let options = write::options(app);
    submitted::read(crate::search::Type::Binary, text.as_bytes(), &base(app), Options { bytes: 2 * options.bytes + 1024, ..options })
        .map(Some)
}

/// The `contentType` of a body that is no FHIR.
fn native(request: &Request) -> Result<Option<String>> {
    let Some(kind) = negotiate::media_type(request) else { return Ok(None) };
    if FHIR.iter().any(|fhir| fhir.eq_ignore_ascii_case(kind)) || is_fhir(kind) {
        return Ok(None);
    }
    let said: Vec<&str> = request.header("content-type").unwrap_or_default().split_whitespace().collect();
    let said = said.join(" ");
    if is_media_type(&said) {
        Ok(Some(said))
    } else {
        Err(Error::new(Kind::MediaType, "Content-Type is no media type; send one such as image/png"))
    }
}

/// FHIR in a format, which is never somebody's content.
fn is_fhir(kind: &str) -> bool {
    kind.get(..17).is_some_and(|start| start.eq_ignore_ascii_case("application/fhir+"))
}

/// `type/subtype` and its parameters (RFC 9110, section 8.3.1), as a header can hold it.
fn is_media_type(text: &str) -> bool {
    let token = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let plain = text.split(';').next().unwrap_or_default().trim();
    plain.split_once('/').is_some_and(|(group, name)| token(group) && token(name)) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Leaves an `Accept` room for the content, or for FHIR in JSON? Which of them, `answer` decides.
pub fn acceptable(request: &Request, pairs: &[(String, String)]) -> Result<()> {
    match asked(request, pairs) {
        Some(accept) if accept.split(',').map(str::trim).any(|range| !is_fhir(range) && quality(range) > 0) => Ok(()),
        _ => negotiate::json_only(request, pairs),
    }
}

/// `Accept`, unless `_format` overrides it.
fn asked<'r>(request: &'r Request, pairs: &[(String, String)]) -> Option<&'r str> {
    request.header("accept").filter(|_| pairs.iter().all(|(name, _)| name != "_format"))
}

/// The content, where it is wanted more than the resource or the resource is not wanted at all.
pub fn answer(request: &Request, pairs: &[(String, String)], json: String) -> Result<Reply> {
    let binary = object(&json).ok_or_else(|| Error::bug("a Binary that was stored is not JSON"))?;
    let kind = binary.text("contentType").unwrap_or_default();
    let fhir = |accept| FHIR.iter().map(|fhir| weight(accept, fhir)).max().unwrap_or(0);
    let plain = kind.split(';').next().unwrap_or_default().trim();
    let native = asked(request, pairs).is_some_and(|accept| fhir(accept) == 0 || fhir(accept) < weight(accept, plain));
    if native { content(&binary, kind) } else { Ok(Reply::fhir(200, json)) }
}

/// As it was sent, and so that a browser runs nothing of it.
fn content(binary: &Object<'_>, kind: &str) -> Result<Reply> {
    let data: String = binary.text("data").unwrap_or_default().split_whitespace().collect();
    let body = BASE64.decode(data.as_bytes()).map_err(Error::bug)?;
    let content_type = if is_media_type(kind) { kind.to_owned() } else { "application/octet-stream".to_owned() };
    let name = binary.text("id").unwrap_or_default();
    let reply = Reply { status: 200, content_type: content_type.into(), body, ..Reply::default() }
        .with("content-security-policy", "sandbox; default-src 'none'")
        .with("content-disposition", format!("attachment; filename=\"{name}\""));
    let context = binary.objects("securityContext").find_map(|context| context.text("reference"));
    Ok(match context.filter(|context| context.bytes().all(|b| b.is_ascii_graphic())) {
        Some(context) => reply.with("x-security-context", context),
        None => reply,
    })
}
