//! The Bundle that answers a batch or a transaction: texts are spliced in, nothing is parsed.

use std::fmt::Write;

use super::Kind;
use crate::clock::Millis;
use crate::fhir::bundle::quote;
use crate::fhir::render;

/// What became of an entry: <https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.response>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    pub full_url: Option<String>,
    /// HTTP's.
    pub status: u16,
    /// Where the version is that was made: `Patient/1/_history/1`.
    pub location: Option<String>,
    /// The version, which makes the ETag.
    pub version: Option<u32>,
    pub last_modified: Option<Millis>,
    /// The text of the resource, or of the Bundle of a search.
    pub resource: Option<String>,
    /// The text of an OperationOutcome.
    pub outcome: Option<String>,
}

/// The Bundle. `entries` are in the order of those that were sent, whatever the order they were done in.
pub fn response(kind: Kind, entries: &[Answered]) -> String {
    let long = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let length: usize = entries.iter().map(|it| long(&it.resource) + long(&it.outcome) + 256).sum();
    let mut out = String::with_capacity(64 + length);
    let kind = match kind {
        Kind::Batch => "batch-response",
        Kind::Transaction => "transaction-response",
    };
    let _ = write!(out, r#"{{"resourceType":"Bundle","type":"{kind}""#);
    for (at, it) in entries.iter().enumerate() {
        out.push_str(if at == 0 { r#","entry":[{"# } else { ",{" });
        entry(&mut out, it);
    }
    out.push_str(if entries.is_empty() { "}" } else { "]}" });
    out
}

fn entry(out: &mut String, it: &Answered) {
    if let Some(url) = &it.full_url {
        out.push_str(r#""fullUrl":"#);
        quote(out, url);
        out.push(',');
    }
    if let Some(resource) = &it.resource {
        let _ = write!(out, r#""resource":{resource},"#);
    }
    let _ = write!(out, r#""response":{{"status":"{}""#, it.status);
    if let Some(location) = &it.location {
        out.push_str(r#","location":"#);
        quote(out, location);
    }
    if let Some(version) = it.version {
        let _ = write!(out, r#","etag":"W/\"{version}\"""#);
    }
    if let Some(at) = it.last_modified {
        let _ = write!(out, r#","lastModified":"{}""#, render::time(at));
    }
    if let Some(outcome) = &it.outcome {
        let _ = write!(out, r#","outcome":{outcome}"#);
    }
    out.push_str("}}");
}

#[cfg(test)]
mod tests {
    use super::super::tests::checked;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn an_answer_of_nothing_has_no_entries() {
        assert_eq!(response(Kind::Batch, &[]), r#"{"resourceType":"Bundle","type":"batch-response"}"#);
        assert_eq!(response(Kind::Transaction, &[]), r#"{"resourceType":"Bundle","type":"transaction-response"}"#);
    }

    #[test]
    fn texts_are_spliced_as_they_are() {
        let stored = r#"{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"valueQuantity":{"value":72.10}}"#;
        let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}"#;
        let created = Answered {
            full_url: Some("https://x/fhir/Observation/a".to_owned()),
            status: 201,
            location: Some("Observation/a/_history/1".to_owned()),
            version: Some(1),
            last_modified: Some(1_771_922_700_120),
            resource: Some(stored.to_owned()),
            outcome: None,
        };
        let failed = Answered { status: 404, outcome: Some(outcome.to_owned()), ..Answered::default() };
        let deleted = Answered { status: 204, version: Some(2), ..Answered::default() };
        let text = response(Kind::Transaction, &[created, failed, deleted]);
        assert!(text.contains(stored) && text.contains(outcome));
        checked(&text);
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle["entry"][0]["fullUrl"], "https://x/fhir/Observation/a");
        assert_eq!(
            bundle["entry"][0]["response"],
            json!({"status": "201", "location": "Observation/a/_history/1", "etag": "W/\"1\"", "lastModified": "2026-02-24T08:45:00.120Z"})
        );
        assert_eq!(bundle["entry"][1]["response"]["outcome"]["issue"][0]["code"], "not-found");
        assert_eq!(bundle["entry"][2], json!({"response": {"status": "204", "etag": "W/\"2\""}}));
    }

    proptest! {
        #[test]
        fn any_location_is_quoted(location in any::<String>(), url in any::<String>(), count in 1usize..4) {
            let one = Answered { status: 200, location: Some(location.clone()), full_url: Some(url.clone()), ..Answered::default() };
            let text = response(Kind::Batch, &vec![one; count]);
            let bundle: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(bundle["entry"].as_array().unwrap().len(), count);
            prop_assert_eq!(&bundle["entry"][count - 1]["response"]["location"], &location);
            prop_assert_eq!(&bundle["entry"][0]["fullUrl"], &url);
        }
    }
}
