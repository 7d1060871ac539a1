//! Bundles of type searchset and history (https://hl7.org/fhir/R4/bundle.html): stored text is spliced in, nothing is
//! parsed.

use std::fmt::Write;
use std::ops::Range;

use super::render;
use crate::clock::Millis;
use crate::id::DocumentId;
use crate::vault::digest;

/// Why an entry is on the page (https://hl7.org/fhir/R4/valueset-search-entry-mode.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Match,
    Include,
    Outcome,
}

/// The entries of a page, each written as it is found into the text that becomes the Bundle's own.
#[derive(Debug)]
pub struct Entries {
    base: String,
    text: String,
}

impl Entries {
    /// `base` is what full URLs begin with.
    pub fn new(base: &str) -> Entries {
        let mut escaped = String::new();
        escape(&mut escaped, base);
        Entries { base: escaped, text: String::new() }
    }

    /// The resource of that type and id, one JSON object that `write` appends. Answers where it stands.
    pub fn push(&mut self, name: (&str, &str), mode: Mode, write: impl FnOnce(&mut String)) -> Range<usize> {
        self.begin();
        self.text.push_str(&self.base);
        for part in [name.0, name.1] {
            self.text.push('/');
            escape(&mut self.text, part);
        }
        self.end(mode, write)
    }

    /// What has no id, such as an OperationOutcome: every entry must have a `fullUrl`, so it gets a `urn:uuid:` made
    /// from its text.
    pub fn push_unnamed(&mut self, json: &str, mode: Mode) {
        self.begin();
        let name = digest(&[json.as_bytes()]);
        let _ = write!(self.text, "urn:uuid:{}", DocumentId::from_random(std::array::from_fn(|at| name[at])));
        self.end(mode, |out| out.push_str(json));
    }

    /// Where the resource that `push` wrote stands.
    pub fn json(&self, at: Range<usize>) -> &str {
        self.text.get(at).unwrap_or_default()
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    fn begin(&mut self) {
        self.text.push_str(if self.text.is_empty() { r#"{"fullUrl":""# } else { r#",{"fullUrl":""# });
    }

    fn end(&mut self, mode: Mode, write: impl FnOnce(&mut String)) -> Range<usize> {
        self.text.push_str(r#"","resource":"#);
        let from = self.text.len();
        write(&mut self.text);
        let at = from..self.text.len();
        self.text.push_str(match mode {
            Mode::Match => r#","search":{"mode":"match"}}"#,
            Mode::Include => r#","search":{"mode":"include"}}"#,
            Mode::Outcome => r#","search":{"mode":"outcome"}}"#,
        });
        at
    }
}

/// One page. `links` are relation and absolute URL (`self`, `next`); `total` counts matches on all pages.
pub fn searchset(total: Option<i64>, links: &[(&str, String)], entries: Entries) -> String {
    let mut start = String::new();
    head(&mut start, "searchset", total, links);
    let mut out = entries.text;
    if out.is_empty() {
        start.push('}');
        return start;
    }
    start.push_str(r#","entry":["#);
    out.insert_str(0, &start);
    out.push_str("]}");
    out
}

/// One version of a resource.
#[derive(Clone, Debug)]
pub struct Revision<'a> {
    /// Type and id.
    pub name: (&'a str, &'a str),
    pub json: &'a str,
    pub version: u32,
    pub last_updated: Millis,
    /// A deletion has no resource.
    pub deleted: bool,
    /// An update made what was not there.
    pub upsert: bool,
}

/// One page of a history, newest first. The first version was created, if not by an update; the others were
/// updates or deletions.
pub fn history(base: &str, total: Option<i64>, links: &[(&str, String)], revisions: &[Revision<'_>]) -> String {
    let mut out = String::with_capacity(512 + revisions.iter().map(|revision| revision.json.len() + 512).sum::<usize>());
    let mut escaped = String::new();
    escape(&mut escaped, base);
    head(&mut out, "history", total, links);
    for (at, revision) in revisions.iter().enumerate() {
        let (resource, id) = revision.name;
        let mut url = String::new();
        escape(&mut url, &format!("{resource}/{id}"));
        out.push_str(if at == 0 { r#","entry":[{"# } else { ",{" });
        let _ = write!(out, r#""fullUrl":"{escaped}/{url}""#);
        if !revision.deleted {
            let _ = write!(out, r#","resource":{}"#, revision.json);
        }
        let (method, target, status) = match revision {
            Revision { deleted: true, .. } => ("DELETE", url.as_str(), "204"),
            Revision { upsert: true, .. } => ("PUT", url.as_str(), "201"),
            Revision { version: 1, .. } => ("POST", resource, "201"),
            _ => ("PUT", url.as_str(), "200"),
        };
        let _ = write!(out, r#","request":{{"method":"{method}","url":"{target}"}},"response":{{"status":"{status}","#);
        let _ = write!(out, r#""etag":"W/\"{}\"","lastModified":"{}"}}}}"#, revision.version, render::time(revision.last_updated));
    }
    out.push_str(if revisions.is_empty() { "}" } else { "]}" });
    out
}

fn head(out: &mut String, kind: &str, total: Option<i64>, links: &[(&str, String)]) {
    let _ = write!(out, r#"{{"resourceType":"Bundle","type":"{kind}""#);
    if let Some(total) = total {
        let _ = write!(out, r#","total":{total}"#);
    }
    for (at, (relation, url)) in links.iter().enumerate() {
        out.push_str(if at == 0 { r#","link":[{"relation":"# } else { r#",{"relation":"# });
        quote(out, relation);
        out.push_str(r#","url":"#);
        quote(out, url);
        out.push('}');
    }
    out.push_str(if links.is_empty() { "" } else { "]" });
}

/// A JSON string (RFC 8259 section 7).
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text);
    out.push('"');
}

fn escape(out: &mut String, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn an_empty_page_has_no_empty_lists() {
        assert_eq!(searchset(Some(0), &[], Entries::new("")), r#"{"resourceType":"Bundle","type":"searchset","total":0}"#);
        assert_eq!(searchset(None, &[], Entries::new("")), r#"{"resourceType":"Bundle","type":"searchset"}"#);
    }

    #[test]
    fn stored_text_is_spliced_as_it_is() {
        let stored = r#"{"resourceType":"Observation","id":"a","valueQuantity":{"value":72.10}}"#;
        let mut entries = Entries::new("https://x/fhir");
        let at = entries.push(("Observation", "a"), Mode::Match, |out| out.push_str(stored));
        assert_eq!(entries.json(at), stored);
        entries.push(("Device", "b"), Mode::Include, |out| out.push_str(r#"{"resourceType":"Device","id":"b"}"#));
        entries.push_unnamed(r#"{"resourceType":"OperationOutcome"}"#, Mode::Outcome);
        let links = [("self", "https://x/fhir/Observation?code=\"\\\n".to_owned()), ("next", "https://x/n".to_owned())];
        let text = searchset(Some(1), &links, entries);
        assert!(text.contains(stored));
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle["link"][0], json!({"relation": "self", "url": "https://x/fhir/Observation?code=\"\\\n"}));
        assert_eq!(bundle["entry"][0]["fullUrl"], "https://x/fhir/Observation/a");
        let modes: Vec<_> = bundle["entry"].as_array().unwrap().iter().map(|entry| entry["search"]["mode"].clone()).collect();
        assert_eq!(modes, ["match", "include", "outcome"]);
        let name = bundle["entry"][2]["fullUrl"].as_str().and_then(|url| url.strip_prefix("urn:uuid:")).unwrap();
        assert!(DocumentId::parse(name).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_quoted(text in any::<String>()) {
            let mut out = String::new();
            quote(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
