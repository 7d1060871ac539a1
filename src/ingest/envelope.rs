//! The first reading of an upload, before it is acknowledged: is it JSON, and is its envelope right?

use std::io::Read;

use super::walk::{Met, walk};
use crate::error::{Error, Kind, Result};

/// Whose records an SDK upload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    Apple,
    Samsung,
    Google,
}

impl Provider {
    pub const ALL: [Provider; 3] = [Provider::Apple, Provider::Samsung, Provider::Google];

    /// The word of the upload's `provider`.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Apple => "apple",
            Provider::Samsung => "samsung",
            Provider::Google => "google",
        }
    }

    pub fn parse(name: &str) -> Option<Provider> {
        Provider::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// The `Identifier.system` of its source records.
    pub fn system(self) -> &'static str {
        match self {
            Provider::Apple => "urn:firth:record:apple",
            Provider::Samsung => "urn:firth:record:samsung",
            Provider::Google => "urn:firth:record:google",
        }
    }
}

/// What the envelope of an upload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub provider: Provider,
    pub sdk_version: Option<String>,
    pub sync_timestamp: Option<String>,
    /// Records in all lists of `data`.
    pub items_total: u64,
}

/// Reads the body once, to its end. `Kind::Syntax`: it is not one JSON object in UTF-8, a member is there twice, it
/// nests too deep. `Kind::TextNul`. `Kind::Envelope`: no or an unknown `provider`, no `data` object. The element is
/// named. What is wrong inside a record is not judged here. An `Error` inside the reader's io::Error comes back as it is.
pub fn check(mut body: impl Read) -> Result<Envelope> {
    check_dyn(&mut body)
}

fn check_dyn(body: &mut dyn Read) -> Result<Envelope> {
    let (mut provider, mut sdk_version, mut sync_timestamp, mut items_total) = (None, None, None, 0);
    let has_data = walk(body, false, &mut |met| {
        match met {
            Met::Member { name: "provider", text } => provider = Some(word(text)),
            Met::Member { name: "sdkVersion", text } => sdk_version = word(text),
            Met::Member { name: "syncTimestamp", text } => sync_timestamp = word(text),
            Met::Member { .. } => {}
            Met::Element(_) => items_total += 1,
        }
        Ok(())
    })?;
    let wrong = |at: &str, what: &str| Err(Error::new(Kind::Envelope, format!("{at}: {what}")).at(at));
    let Some(given) = provider else { return wrong("provider", "the member is missing") };
    let Some(provider) = given.as_deref().and_then(Provider::parse) else {
        return wrong("provider", "must be apple, samsung or google");
    };
    if !has_data {
        return wrong("data", "the member is missing");
    }
    Ok(Envelope { provider, sdk_version, sync_timestamp, items_total })
}

/// A string of at most 256 bytes; None for anything else.
fn word(text: Option<&str>) -> Option<String> {
    serde_json::from_str::<String>(text?).ok().filter(|word| word.len() <= 256 && !word.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &str) -> Option<Kind> {
        check(body.as_bytes()).err().map(|error| error.kind)
    }

    #[test]
    fn an_envelope_is_read_in_any_order() {
        let body = r#" {"data": {"b": [1, {"x": [[]]}, "c"], "a": [], "n": null, "o": 5}, "more": [1], "sdkVersion": "0.11", "provider": "google"} "#;
        let envelope = check(body.as_bytes()).unwrap();
        assert_eq!(
            envelope,
            Envelope { provider: Provider::Google, sdk_version: Some("0.11".into()), sync_timestamp: None, items_total: 4 }
        );
    }

    #[test]
    fn what_is_not_one_json_text_is_a_syntax_error() {
        let good = r#"{"provider":"apple","data":{"records":[{"value":1}]}}"#;
        assert_eq!(kind(good), None);
        for end in 0..good.len() {
            assert_eq!(kind(&good[..end]), Some(Kind::Syntax), "{}", &good[..end]);
        }
        for value in ["NaN", "Infinity", "-Infinity", "01", "'x'", "undefined", "1,", "\"\u{1}\""] {
            assert_eq!(kind(&good.replace('1', value)), Some(Kind::Syntax), "{value}");
        }
        assert_eq!(kind(&format!("{good}{good}")), Some(Kind::Syntax));
        assert_eq!(kind(&format!("{good},")), Some(Kind::Syntax));
        assert_eq!(kind(&format!("\u{feff}{good}")), Some(Kind::Syntax));
        assert_eq!(kind("[]"), Some(Kind::Syntax));
        assert_eq!(kind("7"), Some(Kind::Syntax));
        let mut bytes = good.as_bytes().to_vec();
        bytes[3] = 0xff;
        assert_eq!(check(&bytes[..]).err().map(|error| error.kind), Some(Kind::Syntax));
    }

    #[test]
    fn a_wrong_envelope_names_the_member() {
        let nested = |levels: usize| format!(r#"{{"provider":"apple","data":{{}},"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        for (body, kind, at) in [
            (r#"{"data":{}}"#, Kind::Envelope, "provider"),
            (r#"{"provider":"fitbit","data":{}}"#, Kind::Envelope, "provider"),
            (r#"{"provider":7,"data":{}}"#, Kind::Envelope, "provider"),
            (r#"{"provider":["apple"],"data":{}}"#, Kind::Envelope, "provider"),
            (r#"{"provider":"apple"}"#, Kind::Envelope, "data"),
            (r#"{"provider":"apple","data":[]}"#, Kind::Envelope, "data"),
            (r#"{"provider":"apple","data":null}"#, Kind::Envelope, "data"),
            (r#"{"provider":"apple","provider":"apple","data":{}}"#, Kind::Syntax, "$"),
            (r#"{"provider":"apple","data":{},"d\u0061ta":{}}"#, Kind::Syntax, "$"),
            (r#"{"provider":"apple","data":{"records":[],"records":[]}}"#, Kind::Syntax, "data"),
            (r#"{"provider":"apple","data":{},"x":[{"y":{"a":1,"a":2}}]}"#, Kind::Syntax, "x"),
            (&nested(64), Kind::Syntax, "x"),
            (&nested(5000), Kind::Syntax, "x"),
            (r#"{"provider":"apple","x":"\u0000","data":{}}"#, Kind::TextNul, "x"),
            (r#"{"provider":"apple","x":{"y":["\\\u0000"]},"data":{}}"#, Kind::TextNul, "x"),
            (r#"{"provider":"apple","x":{"y\u0000":1},"data":{}}"#, Kind::TextNul, "x"),
            (r#"{"provider":"apple","x\u0000":1,"data":{}}"#, Kind::TextNul, "$"),
            (r#"{"provider":"apple","data":{"a\u0000":[{}]}}"#, Kind::TextNul, "data"),
        ] {
            let error = check(body.as_bytes()).unwrap_err();
            assert_eq!((error.kind, error.issues[0].at.as_deref()), (kind, Some(at)), "{body}");
        }
        assert_eq!(kind(&nested(63)), None);
        assert_eq!(
            kind(r#"{"provider":"apple","x":{"y":["\\u0000 \u0100 \u1000", {"y":1}, {"y":2}]},"data":{"a":[{"b":"\u0000"}]}}"#),
            None
        );
    }

    #[test]
    fn what_is_wrong_inside_a_record_is_not_judged_here() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let body = format!(r#"{{"provider":"apple","data":{{"records":[{{"a":1,"a":2}},1e999,{deep}],"x":7}}}}"#);
        assert_eq!(check(body.as_bytes()).unwrap().items_total, 4);
    }

    #[test]
    fn an_error_of_ours_inside_the_reader_is_heard() {
        struct Limited;
        impl Read for Limited {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other(Error::new(Kind::TooLarge, "65 MiB")))
            }
        }
        assert_eq!(check(Limited).err().map(|error| error.kind), Some(Kind::TooLarge));
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
        }
        assert_eq!(check(Broken).err().map(|error| error.kind), Some(Kind::Syntax));
    }
}
