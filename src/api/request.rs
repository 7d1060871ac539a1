//! A request and a reply in plain words, so that handlers know nothing of actix.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read};

use actix_web::web::Bytes;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::negotiate::Honoured;
use crate::audit::{Action, Entry};
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::{self, Options};
use crate::ledger::resources::Written;
use crate::ledger::submitted::refused;
use crate::vault::digest;

/// The pieces of a body as they arrive, or why they stopped.
pub type Pieces = Receiver<std::result::Result<Bytes, Error>>;

pub struct Request {
    pub verb: String,
    /// Path and query as they came.
    pub uri: String,
    pub path: Vec<(String, String)>,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub address: String,
    pub id: String,
    /// What the audit log will say; a write commits it with its effect.
    pub entry: Entry,
    pub body: Body,
    /// SHA-256 of the body under `/fhir`, once it was read.
    pub body_digest: [u8; 32],
    /// The preferences that the answer keeps to.
    pub honoured: Cell<Honoured>,
}

impl Request {
    /// A path parameter; the route has it.
    pub fn param(&self, name: &str) -> &str {
        self.path.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// `Type` or `Type/id`, as the path names it.
    pub fn named(&self) -> String {
        let parts = [self.param("type"), self.param("id")];
        parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
    }

    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Decoded name/value pairs of the query string, in order.
    pub fn pairs(&self) -> Result<Vec<(String, String)>> {
        decode_pairs(&self.query)
    }

    /// Does the query string name this parameter?
    pub fn asks(&self, name: &str) -> bool {
        let mut named = self.query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
        named.any(|said| said == name || (said.contains(['%', '+']) && decode(said).is_some_and(|said| said == name)))
    }

    /// A small JSON body as an object; `Kind::Syntax` or `Kind::Unprocessable`.
    pub fn json(&mut self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let bytes = self.small_body()?;
        // serde_json takes the last of two members of a name without a word, a proxy before us the first.
        validate::read(&bytes, &Options::default()).map_err(refused)?;
        match serde_json::from_slice(&bytes) {
            Ok(serde_json::Value::Object(object)) => Ok(object),
            Ok(_) => Err(Error::new(Kind::Unprocessable, "the body must be a JSON object")),
            Err(e) => Err(Error::new(Kind::Syntax, format!("the body is not JSON: {e}"))),
        }
    }

    /// A body of at most so many bytes after decompression.
    pub fn body(&mut self, most: usize) -> Result<Vec<u8>> {
        let gzip = match self.header("content-encoding").map(str::trim) {
            None | Some("identity") => false,
            Some("gzip" | "x-gzip") => true,
            Some(_) => return Err(Error::new(Kind::MediaType, "a body is sent plain or with Content-Encoding: gzip")),
        };
        // What it says of its length is believed as far as it costs little.
        let said = self.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(said.min(most).min(1 << 20) + 1);
        let limit = most as u64 + 1;
        let read = if gzip {
            flate2::read::MultiGzDecoder::new(&mut self.body).take(limit).read_to_end(&mut bytes)
        } else {
            (&mut self.body).take(limit).read_to_end(&mut bytes)
        };
        read.map_err(from_io)?;
        if bytes.len() > most {
            return Err(Error::new(Kind::TooLarge, format!("the body has more than {most} bytes")));
        }
        if self.header("idempotency-key").is_some() {
            self.body_digest = digest(&[&bytes]);
        }
        Ok(bytes)
    }

    /// A body of at most 256 KiB.
    pub fn small_body(&mut self) -> Result<Vec<u8>> {
        const MOST: u64 = 256 * 1024;
        let mut bytes = Vec::new();
        (&mut self.body).take(MOST + 1).read_to_end(&mut bytes).map_err(from_io)?;
        if bytes.len() as u64 > MOST {
            return Err(Error::new(Kind::TooLarge, "the body has more than 256 KiB"));
        }
        Ok(bytes)
    }
}

/// `application/x-www-form-urlencoded`, as a query string or a body. What is not well encoded is refused: a library
/// that puts U+FFFD in its place would search for something else.
pub fn decode_pairs(text: &str) -> Result<Vec<(String, String)>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or_else(|| Error::new(Kind::Parameter, "a parameter's name is not percent-encoded UTF-8"))?;
        let refused = || Error::new(Kind::Parameter, "the value is not percent-encoded UTF-8").at(name.clone());
        let value = decode(value).ok_or_else(refused)?;
        Ok((name, value))
    });
    pairs.collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (code, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
                digit(code[0])? << 4 | digit(code[1])?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What an entry of the audit log repeats of the request itself: a search, the criteria of a conditional interaction, the
/// call of an operation.
pub fn asked(action: Action, of: (&str, &str), if_none_exist: Option<&str>) -> Option<String> {
    let (verb, uri) = of;
    let criteria = uri.split_once('?').is_some_and(|(path, query)| path.matches('/').count() == 2 && !query.is_empty());
    match action {
        Action::Search => Some(uri.to_owned()),
        Action::Operation => Some(format!("{verb} {uri}")),
        Action::Create => if_none_exist.map(|criteria| format!("{verb} {uri}\nIf-None-Exist: {criteria}")),
        Action::Update | Action::Patch | Action::Delete if criteria => Some(format!("{verb} {uri}")),
        _ => None,
    }
}

/// Our own error inside an io::Error comes back as it is.
pub fn from_io(e: io::Error) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        if let Some(Ok(ours)) = e.into_inner().map(|inner| inner.downcast::<Error>()) {
            return *ours;
        }
        return Error::bug("an error of ours was lost");
    }
    match e.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            Error::new(Kind::Syntax, format!("the body cannot be read: {e}"))
        }
        _ => Error::bug(e),
    }
}

/// The body as a blocking reader over what the connection delivers.
pub struct Body {
    pieces: Option<Pieces>,
    piece: Bytes,
    /// Why it did not come.
    failed: Option<Error>,
}

impl Body {
    pub fn new(pieces: Pieces) -> Body {
        Body { pieces: Some(pieces), piece: Bytes::new(), failed: None }
    }

    /// A body that is here already.
    pub fn of(bytes: Vec<u8>) -> Body {
        Body::whole(Ok(bytes.into()))
    }

    /// The same, or why it did not come.
    pub fn whole(body: Result<Bytes>) -> Body {
        let (piece, failed) = match body {
            Ok(piece) => (piece, None),
            Err(e) => (Bytes::new(), Some(e)),
        };
        Body { pieces: None, piece, failed }
    }

    pub fn empty() -> Body {
        Body::whole(Ok(Bytes::new()))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(e) = self.failed.take() {
            return Err(io::Error::other(e));
        }
        while self.piece.is_empty() {
            match self.pieces.as_mut().and_then(Pieces::blocking_recv) {
                None => return Ok(0),
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(e)) => return Err(io::Error::other(e)),
            }
        }
        let n = buffer.len().min(self.piece.len());
        buffer[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}

/// The next piece of what follows of a body; `None` past the last one.
pub type Rest = Box<dyn FnMut() -> Result<Option<Vec<u8>>> + Send>;

/// An answer that waits for a commit: what is to be committed, and the answer that it makes.
pub struct Later {
    pub written: oneshot::Receiver<Result<Written>>,
    pub answer: Box<dyn FnOnce(&Written) -> Reply + Send>,
}

impl Later {
    pub async fn ready(self) -> Result<Reply> {
        let written = self.written.await.map_err(stopping)??;
        Ok((self.answer)(&written))
    }

    /// The same. Blocks the calling thread.
    pub fn wait(self) -> Result<Reply> {
        let written = self.written.blocking_recv().map_err(stopping)??;
        Ok((self.answer)(&written))
    }
}

fn stopping(_: oneshot::error::RecvError) -> Error {
    Error::new(Kind::Busy, "the server is stopping")
}

/// An answer, and what the audit entry says of it.
#[derive(Default)]
pub struct Reply {
    /// The answer comes from this; what stands here as headers is added to it.
    pub later: Option<Later>,
    pub status: u16,
    pub content_type: Cow<'static, str>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What follows of a long body; it is asked for when the client takes it.
    pub rest: Option<Rest>,
    /// Patients whose data it holds, or whom the request changed.
    pub patients: Vec<String>,
    /// `Type` or `Type/id`.
    pub resource: Option<String>,
    /// What a search asked, when it came in a body.
    pub asked: Option<String>,
    /// The audit entry was committed with the effect.
    pub audited: bool,
}

pub const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
pub const JSON: &str = "application/json";

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Reply {
        Reply { status, content_type: Cow::Borrowed(JSON), body: body.to_string().into_bytes(), ..Reply::default() }
    }

    pub fn fhir(status: u16, body: String) -> Reply {
        Reply { status, content_type: Cow::Borrowed(FHIR_JSON), body: body.into_bytes(), ..Reply::default() }
    }

    pub fn empty(status: u16) -> Reply {
        Reply { status, content_type: Cow::Borrowed(JSON), ..Reply::default() }
    }

    /// The answer comes once something is committed.
    pub fn later(written: oneshot::Receiver<Result<Written>>, answer: impl FnOnce(&Written) -> Reply + Send + 'static) -> Reply {
        Reply { later: Some(Later { written, answer: Box::new(answer) }), ..Reply::default() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Its audit entry was committed with the effect.
    pub fn committed(self) -> Reply {
        Reply { audited: true, ..self }
    }

    pub fn about(mut self, resource: impl Into<String>, patients: Vec<String>) -> Reply {
        self.resource = Some(resource.into());
        self.patients = patients;
        self
    }
}
