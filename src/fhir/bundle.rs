//! Bundle of type searchset (https://hl7.org/fhir/R4/bundle.html): stored text is spliced in, nothing is parsed.

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
    /// Absolute URL without a version. Empty for what has no id, such as an OperationOutcome: every entry must have
    /// one, so it gets a `urn:uuid:` made from its text.
    pub full_url: String,
    /// The resource, one JSON object.
    pub json: &'a str,
    pub mode: Mode,
}

/// One page. `links` are relation and absolute URL (`self`, `next`); `total` counts matches on all pages.
pub fn searchset(total: Option<i64>, links: &[(&str, String)], entries: &[Entry<'_>], last_updated: Option<Millis>) -> String {
    let of_links: usize = links.iter().map(|(relation, url)| relation.len() + url.len() + 32).sum();
    let of_entries: usize = entries.iter().map(|entry| entry.full_url.len() + entry.json.len() + 64).sum();
    let mut out = String::with_capacity(160 + of_links + of_entries);
    out.push_str(r#"{"resourceType":"Bundle""#);
    if let Some(at) = last_updated {
        out.push_str(r#","meta":{"lastUpdated":""#);
        out.push_str(&render::time(at));
        out.push_str("\"}");
    }
    out.push_str(r#","type":"searchset""#);
    if let Some(total) = total {
        let _ = write!(out, r#","total":{total}"#);
    }
    for (at, (relation, url)) in links.iter().enumerate() {
        out.push_str(if at == 0 { r#","link":[{"relation":"# } else { r#",{"relation":"# });
        quote(&mut out, relation);
        out.push_str(r#","url":"#);
        quote(&mut out, url);
        out.push('}');
    }
    out.push_str(if links.is_empty() { "" } else { "]" });
    for (at, entry) in entries.iter().enumerate() {
        out.push_str(if at == 0 { r#","entry":[{"# } else { ",{" });
        push_entry(&mut out, entry);
    }
    out.push_str(if entries.is_empty() { "}" } else { "]}" });
    out
}

fn push_entry(out: &mut String, entry: &Entry<'_>) {
    out.push_str(r#""fullUrl":"#);
    if entry.full_url.is_empty() {
        let name = digest(&[entry.json.as_bytes()]);
        let _ = write!(out, r#""urn:uuid:{}""#, DocumentId::from_random(std::array::from_fn(|at| name[at])));
    } else {
        quote(out, &entry.full_url);
    }
    out.push_str(r#","resource":"#);
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
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn an_empty_page_has_no_empty_lists() {
        assert_eq!(searchset(Some(0), &[], &[], None), r#"{"resourceType":"Bundle","type":"searchset","total":0}"#);
        assert_eq!(searchset(None, &[], &[], None), r#"{"resourceType":"Bundle","type":"searchset"}"#);
    }

    #[test]
    fn stored_text_is_spliced_as_it_is() {
        let stored = r#"{"resourceType":"Observation","id":"a","valueQuantity":{"value":72.10}}"#;
        let entries = [
            Entry { full_url: "https://x/fhir/Observation/a".into(), json: stored, mode: Mode::Match },
            Entry { full_url: "https://x/fhir/Device/b".into(), json: r#"{"resourceType":"Device","id":"b"}"#, mode: Mode::Include },
            Entry { full_url: String::new(), json: r#"{"resourceType":"OperationOutcome"}"#, mode: Mode::Outcome },
        ];
        let links = [("self", "https://x/fhir/Observation?code=\"\\\n".to_owned()), ("next", "https://x/n".to_owned())];
        let text = searchset(Some(1), &links, &entries, Some(1_771_922_700_000));
        assert!(text.contains(stored));
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle["link"][0], json!({"relation": "self", "url": "https://x/fhir/Observation?code=\"\\\n"}));
        assert_eq!(bundle["meta"]["lastUpdated"], "2026-02-24T08:45:00.000Z");
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
