//! A resource that a client wrote: judged, and ready to become a version. Made before the transaction begins.

use std::borrow::Cow;

use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::body::Body;
use crate::fhir::validate::{self, Node, Object, Options, Severity, object};
use crate::policy::Visible;
use crate::search::{IndexRow, Type, codings, index, reference};
use crate::store::consents::RESTRICTS;
use crate::store::documents::{ANY_REFERENCE, ATTACHED};
use crate::store::resources::Version;

/// What R4 lets stand, without an id and version yet.
#[derive(Clone, Debug)]
pub struct Submitted {
    pub of: Type,
    /// The id that the client wrote.
    pub id: Option<String>,
    pub body: Body,
    /// The values it is found by, and every reference it holds.
    pub rows: Vec<IndexRow>,
    pub targets: Vec<Target>,
    /// `meta.source`, where it names a mapping of this server.
    pub source: Option<String>,
}

/// What the server's own `meta.source` begin with.
const OWN_SOURCE: &str = "urn:firth:";

/// A resource of this server that is pointed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The element, as FHIRPath.
    pub at: String,
    pub kind: String,
    pub id: String,
    pub version: Option<String>,
}

impl Submitted {
    /// The values by which it is judged.
    pub fn values(&self, visible: &Visible) -> Result<Cow<'_, [IndexRow]>> {
        if !visible.asks_codings() {
            return Ok(Cow::Borrowed(&self.rows));
        }
        let text = self.body.text("", 1, "");
        let document = object(&text).ok_or_else(|| Error::bug("a resource that was judged is not JSON"))?;
        Ok(Cow::Owned([self.rows.clone(), codings(&document)].concat()))
    }

    /// Refuses what says to come from a mapping of this server, unless the version before said the same: readers trust that the
    /// server wrote this.
    pub fn comes_from(&self, before: Option<&Version>) -> Result<()> {
        if self.source.is_none() || before.is_some_and(|before| own_source(object(&before.json).as_ref()) == self.source) {
            return Ok(());
        }
        let says = "sources that begin with urn:firth: are named by this server; leave meta.source out, or name a system of yours";
        Err(Error::new(Kind::Unprocessable, says).at(format!("{}.meta.source", self.of.name())))
    }

    /// The resource by which it is decided who may see a Binary.
    pub fn security_context(&self) -> Option<&Target> {
        self.targets.iter().find(|target| self.of == Type::Binary && target.at == "Binary.securityContext.reference")
    }
}

/// Judges the text of a resource. `base` is what our own absolute references begin with.
pub fn read(of: Type, text: &[u8], base: &str, options: Options<'_>) -> Result<Submitted> {
    let local = str::from_utf8(text).map(|text| local(text, base)).unwrap_or_default();
    let text = if local.is_empty() { text } else { local.as_bytes() };
    let checked = validate::validate(text, &Options { expected: Some(of.name()), ..options }).map_err(refused)?;
    let text = str::from_utf8(text).map_err(Error::bug)?;
    let mut targets = Vec::new();
    for pointer in &checked.pointers {
        let to = reference::local(&pointer.to, base).unwrap_or(&pointer.to);
        if to.contains('?') {
            let says = "a reference by a search is resolved in a transaction only; name the resource by its id";
            return Err(Error::new(Kind::Invalid, says).at(pointer.at.clone()));
        }
        if to.starts_with("urn:uuid:") || to.starts_with("urn:oid:") {
            // No entry of a transaction has this name, or it would stand here no more.
            targets.push(Target { at: pointer.at.clone(), kind: String::new(), id: to.to_owned(), version: None });
        }
        if let Some((kind, id)) = reference::stored(to) {
            let version = to.split_once("/_history/").map(|(_, version)| version.to_owned());
            targets.push(Target { at: pointer.at.clone(), kind: kind.to_owned(), id: id.to_owned(), version });
        }
    }
    let (id, source) = (checked.tree.text("id").map(str::to_owned), own_source(Some(&checked.tree)));
    Ok(Submitted { of, id, body: Body::of(text), rows: rows(of, &checked.tree, base), targets, source })
}

/// `meta.source`, where it names a mapping of this server. In a URN neither `urn` nor what follows it has a case.
fn own_source(document: Option<&Object<'_>>) -> Option<String> {
    let source = document?.get("meta")?.object()?.text("source")?;
    source.get(..OWN_SOURCE.len()).filter(|start| start.eq_ignore_ascii_case(OWN_SOURCE)).map(|_| source.to_owned())
}

/// With our own absolute references made relative: as such they are searched for, find their Patient's shelf, and stay
/// true when the server moves. In JSON no string can hold what looks like a member's quoted name.
fn local(text: &str, base: &str) -> String {
    let relative = |part: &str| {
        let to = part.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.strip_prefix(base)?.strip_prefix('/')?;
        reference::stored(to.split('"').next()?).map(|_| format!(":\"{to}"))
    };
    let parts = text.split("\"reference\"").map(|part| relative(part).unwrap_or_else(|| part.to_owned()));
    parts.collect::<Vec<_>>().join("\"reference\"")
}

/// The search rows of a stored document, with one for each reference that stands anywhere in it.
pub fn rows(of: Type, document: &Object<'_>, base: &str) -> Vec<IndexRow> {
    let mut rows = index(of, document);
    pointed(document, base, &mut rows);
    if of == Type::Consent && super::consents::restricts(document) {
        let (system, code) = RESTRICTS;
        rows.push(IndexRow::Token { param: ANY_REFERENCE, system: Some(system.to_owned()), code: code.to_owned() });
    }
    rows
}

fn pointed(object: &Object<'_>, base: &str, rows: &mut Vec<IndexRow>) {
    for (name, node) in object.members() {
        if let ("reference", Some(text)) = (name, node.text())
            && let Some((kind, id)) = reference::stored(reference::local(text, base).unwrap_or(text))
        {
            rows.push(IndexRow::Reference { param: ANY_REFERENCE, kind: kind.to_owned(), id: id.to_owned() });
        }
        if let ("url", Some(text)) = (name, node.text())
            && let Some(("Binary", id)) = reference::stored(reference::local(text, base).unwrap_or(text))
        {
            rows.push(IndexRow::Reference { param: ANY_REFERENCE, kind: ATTACHED.to_owned(), id: id.to_owned() });
        }
        node.all().iter().filter_map(Node::object).for_each(|inner| pointed(inner, base, rows));
    }
}

/// The issues of a resource that may not be stored.
pub fn refused(issues: Vec<validate::Issue>) -> Error {
    let fatal = issues.iter().any(|issue| issue.severity == Severity::Fatal);
    let mut error = Error::new(if fatal { Kind::Syntax } else { Kind::Invalid }, "");
    error.issues = issues
        .into_iter()
        .map(|issue| Issue {
            says: format!("{} {}", issue.says, issue.remedy),
            at: Some(issue.at).filter(|at| !at.is_empty()),
            code: Some(issue.code),
        })
        .collect();
    error
}
