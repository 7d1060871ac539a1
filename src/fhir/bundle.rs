//! Bundles of type searchset and history (https://hl7.org/fhir/R4/bundle.html): stored text is spliced in, nothing is
//! parsed.

use std::fmt::Write;

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

/// One resource of the page.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Type and id. `None` for what has no id, such as an OperationOutcome: every entry must have a `fullUrl`, so it
    /// gets a `urn:uuid:` made from its text.
    pub name: Option<(&'a str, &'a str)>,
    /// The resource, one JSON object.
    pub json: &'a str,
    pub mode: Mode,
}

/// One page. `base` is what full URLs begin with; `links` are relation and absolute URL (`self`, `next`); `total` counts
/// matches on all pages.
pub fn searchset(base: &str, total: Option<i64>, links: &[(&str, String)], entries: &[Entry<'_>]) -> String {
    let of_links: usize = links.iter().map(|(relation, url)| relation.len() + url.len() + 32).sum();
    let of_entries: usize = entries.iter().map(|entry| base.len() + entry.json.len() + 128).sum();
    let mut out = String::with_capacity(160 + of_links + of_entries);
    let mut escaped = String::new();
    escape(&mut escaped, base);
    head(&mut out, "searchset", total, links);
    for (at, entry) in entries.iter().enumerate() {
        out.push_str(if at == 0 { r#","entry":[{"# } else { ",{" });
        push_entry(&mut out, &escaped, entry);
    }
    out.push_str(if entries.is_empty() { "}" } else { "]}" });
    out
}

/// One version of a resource; all of a page are of the same one.
#[derive(Clone, Debug)]
pub struct Revision<'a> {
    pub json: &'a str,
    pub version: u32,
    pub last_updated: Millis,
}

/// One page of an instance's history, newest first. The first version was created, the others were updates.
pub fn history(of: (&str, &str, &str), total: i64, links: &[(&str, String)], revisions: &[Revision<'_>]) -> String {
    let (base, resource, id) = of;
    let mut out = String::with_capacity(512 + revisions.iter().map(|revision| revision.json.len() + 512).sum::<usize>());
    let mut url = String::new();
    escape(&mut url, &format!("{resource}/{id}"));
    let mut escaped = String::new();
    escape(&mut escaped, base);
    head(&mut out, "history", Some(total), links);
    for (at, revision) in revisions.iter().enumerate() {
        out.push_str(if at == 0 { r#","entry":[{"# } else { ",{" });
        let _ = write!(out, r#""fullUrl":"{escaped}/{url}","resource":{}"#, revision.json);
        let (method, target, status) = if revision.version == 1 { ("POST", resource, "201") } else { ("PUT", url.as_str(), "200") };
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

fn push_entry(out: &mut String, base: &str, entry: &Entry<'_>) {
    out.push_str(r#""fullUrl":""#);
    if let Some((resource, id)) = entry.name {
        out.push_str(base);
        for part in [resource, id] {
            out.push('/');
            escape(out, part);
        }
    } else {
        let name = digest(&[entry.json.as_bytes()]);
        let _ = write!(out, "urn:uuid:{}", DocumentId::from_random(std::array::from_fn(|at| name[at])));
    }
    out.push_str(r#"","resource":"#);
    out.push_str(entry.json);
    out.push_str(match entry.mode {
        Mode::Match => r#","search":{"mode":"match"}}"#,
        Mode::Include => r#","search":{"mode":"include"}}"#,
        Mode::Outcome => r#","search":{"mode":"outcome"}}"#,
    });
}

/// A JSON string (RFC 8259 section 7).
fn quote(out: &mut String, text: &str) {
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
        assert_eq!(searchset("", Some(0), &[], &[]), r#"{"resourceType":"Bundle","type":"searchset","total":0}"#);
        assert_eq!(searchset("", None, &[], &[]), r#"{"resourceType":"Bundle","type":"searchset"}"#);
    }

    #[test]
    fn stored_text_is_spliced_as_it_is() {
        let stored = r#"{"resourceType":"Observation","id":"a","valueQuantity":{"value":72.10}}"#;
        let entries = [
            Entry { name: Some(("Observation", "a")), json: stored, mode: Mode::Match },
            Entry { name: Some(("Device", "b")), json: r#"{"resourceType":"Device","id":"b"}"#, mode: Mode::Include },
            Entry { name: None, json: r#"{"resourceType":"OperationOutcome"}"#, mode: Mode::Outcome },
        ];
        let links = [("self", "https://x/fhir/Observation?code=\"\\\n".to_owned()), ("next", "https://x/n".to_owned())];
        let text = searchset("https://x/fhir", Some(1), &links, &entries);
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
