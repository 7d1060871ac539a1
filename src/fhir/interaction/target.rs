//! The URL of an entry's request: <https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.request.url>.

use super::{Method, quoted, resource_type};
use crate::fhir::validate;

const FORMS: &str = "Send Type, Type/id, Type/id/_history/version or Type?search, without the base of the server.";

/// What a URL below the base names. With nothing set it is the server as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    pub resource_type: Option<&'static str>,
    pub id: Option<&'a str>,
    pub version: Option<&'a str>,
    /// It ends with `_history`: all versions are meant.
    pub history: bool,
    /// `$name`; or `metadata`, which is called like one.
    pub operation: Option<&'a str>,
    /// What stands behind the question mark, as it was written.
    pub query: Option<&'a str>,
}

/// What is wrong with an entry: the element in it, and what to do.
pub(super) struct Wrong {
    pub at: &'static str,
    pub code: &'static str,
    pub says: String,
    pub remedy: &'static str,
}

impl<'a> Target<'a> {
    /// A URL below `base`, or one that begins with it.
    pub(super) fn parse(url: &'a str, base: &str) -> Result<Target<'a>, Wrong> {
        let url = below(url, base).unwrap_or(url);
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let target = Target::at(path).ok_or_else(|| wrong(path, url))?;
        Ok(Target { query: Some(query).filter(|query| !query.is_empty()), ..target })
    }

    fn at(path: &'a str) -> Option<Target<'a>> {
        let parts: Vec<&'a str> = path.split('/').filter(|_| !path.is_empty()).collect();
        let whole = Target::default();
        let (first, rest) = match parts.split_first() {
            None => return Some(whole),
            Some((&"_history", [])) => return Some(Target { history: true, ..whole }),
            Some((&"metadata", [])) => return Some(Target { operation: Some("metadata"), ..whole }),
            Some((name, [])) if is_operation(name) => return Some(Target { operation: Some(name), ..whole }),
            Some(split) => split,
        };
        let of = Target { resource_type: Some(resource_type(first)?), ..whole };
        let (id, rest) = match rest {
            [] => return Some(of),
            [id, rest @ ..] if is_id(id) => (Some(*id), rest),
            rest => (None, rest),
        };
        let of = Target { id, ..of };
        match rest {
            [] => Some(of),
            ["_history"] => Some(Target { history: true, ..of }),
            ["_history", version] if id.is_some() && is_id(version) => Some(Target { version: Some(version), ..of }),
            [name] if is_operation(name) => Some(Target { operation: Some(name), ..of }),
            _ => None,
        }
    }

    /// Is this an interaction of R4, a conditional one included?
    pub(super) fn allows(&self, method: Method) -> bool {
        let plain = self.resource_type.is_some() && self.version.is_none() && !self.history && self.operation.is_none();
        match method {
            Method::Get | Method::Head => true,
            // The condition of a create has an element of its own; one in the URL would pass unnoticed.
            Method::Post => self.operation.is_some_and(is_operation) || plain && self.id.is_none() && self.query.is_none(),
            Method::Put | Method::Patch | Method::Delete => plain && self.id.is_some() != self.query.is_some(),
        }
    }

    /// What a PUT, PATCH or DELETE changes, as far as the URL tells: `Patient/1`, `Patient?identifier=x`.
    pub(super) fn changed(&self) -> Option<String> {
        let name = self.resource_type?;
        self.id.map(|id| format!("{name}/{id}")).or_else(|| self.query.map(|query| format!("{name}?{query}")))
    }
}

/// What follows the base in an absolute URL.
fn below<'a>(url: &'a str, base: &str) -> Option<&'a str> {
    let rest = url.strip_prefix(base).filter(|_| !base.is_empty())?;
    match rest.strip_prefix('/') {
        Some(path) => Some(path),
        None => (base.ends_with('/') || rest.is_empty() || rest.starts_with('?')).then_some(rest),
    }
}

fn wrong(path: &str, url: &str) -> Wrong {
    let at = "request.url";
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let word = first.bytes().all(|b| b.is_ascii_alphabetic()) && !first.is_empty();
    if word && resource_type(first).is_none() {
        let says = format!("R4 has no resource type {}.", quoted(first));
        return Wrong { at, code: "value", says, remedy: "Send the name of a resource type of R4." };
    }
    if rest == "_search" {
        let says = "An entry of a Bundle cannot send the form of a search.".to_owned();
        return Wrong { at, code: "not-supported", says, remedy: "Send GET and Type?search." };
    }
    Wrong { at, code: "value", says: format!("{} names nothing on this server.", quoted(url)), remedy: FORMS }
}

/// None that is a step in the path of a URL.
fn is_id(text: &str) -> bool {
    !matches!(text, "." | "..") && validate::is_id(text)
}

fn is_operation(text: &str) -> bool {
    let name = text.strip_prefix('$').unwrap_or_default();
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "https://x/fhir";

    fn parsed(url: &str) -> Option<Target<'_>> {
        Target::parse(url, BASE).ok()
    }

    #[test]
    fn every_form_is_parsed() {
        let whole = Target::default();
        let patient = Target { resource_type: Some("Patient"), ..whole };
        let one = Target { id: Some("a-1.b"), ..patient };
        let good = [
            ("", whole),
            ("?_type=Patient", Target { query: Some("_type=Patient"), ..whole }),
            ("_history", Target { history: true, ..whole }),
            ("metadata", Target { operation: Some("metadata"), ..whole }),
            ("$convert", Target { operation: Some("$convert"), ..whole }),
            ("Patient", patient),
            ("Patient?", patient),
            ("Patient?a=b?c/d", Target { query: Some("a=b?c/d"), ..patient }),
            ("Patient/_history", Target { history: true, ..patient }),
            ("Patient/$match", Target { operation: Some("$match"), ..patient }),
            ("Patient/a-1.b", one),
            ("Patient/a-1.b?_summary=true", Target { query: Some("_summary=true"), ..one }),
            ("Patient/a-1.b/_history", Target { history: true, ..one }),
            ("Patient/a-1.b/_history?_count=1", Target { history: true, query: Some("_count=1"), ..one }),
            ("Patient/a-1.b/_history/2", Target { version: Some("2"), ..one }),
            ("Patient/a-1.b/$everything", Target { operation: Some("$everything"), ..one }),
        ];
        for (url, target) in good {
            assert_eq!(parsed(url), Some(target), "{url}");
            assert_eq!(parsed(&format!("{BASE}/{url}")), Some(target), "{url}");
            assert_eq!(Target::parse(&format!("{BASE}/{url}"), &format!("{BASE}/")).ok(), Some(target), "{url}");
        }
        assert_eq!(parsed(BASE), Some(whole));
        assert_eq!(parsed("https://x/fhir?a=b"), Some(Target { query: Some("a=b"), ..whole }));
    }

    #[test]
    fn other_urls_name_nothing() {
        let wrong = [
            "/Patient",
            "Patient/",
            "Patient//1",
            "patient/1",
            "Patients",
            "Resource/1",
            "Patient/a_b",
            "Patient/1/_history/",
            "Patient/1/_history/2/3",
            "Patient/_history/2",
            "Patient/1/Observation",
            "Patient/_search",
            "Patient/..",
            "Patient/.",
            "../Patient/1",
            "$",
            "$a b",
            "Patient/$",
            "_history/1",
            "metadata/1",
            "https://y/fhir/Patient/1",
            "https://x/fhirPatient",
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        ];
        for url in wrong {
            let wrong = Target::parse(url, BASE).err();
            assert!(wrong.is_some_and(|wrong| !wrong.says.is_empty()), "{url}");
        }
        let says = |url: &str| Target::parse(url, "").err().map(|wrong| wrong.says);
        assert_eq!(says("Patients/1").as_deref(), Some("R4 has no resource type \"Patients\"."));
        assert_eq!(says("https://x/Patient/1").as_deref(), Some("\"https://x/Patient/1\" names nothing on this server."));
    }

    #[test]
    fn methods_have_their_targets() {
        let allowed = |url: &str| -> String {
            let target = parsed(url).unwrap_or_else(|| panic!("{url}"));
            let all = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
            let letter = |method: &Method| format!("{method:?}").chars().nth(1).unwrap();
            all.iter().filter(|method| target.allows(**method)).map(letter).collect()
        };
        for (url, methods) in [
            ("", "ee"),
            ("_history", "ee"),
            ("metadata", "ee"),
            ("$a", "eeo"),
            ("Patient", "eeo"),
            ("Patient/$a", "eeo"),
            ("Patient/1/$a", "eeo"),
            ("Patient/1", "eeuae"),
            ("Patient?a=b", "eeuae"),
            ("Patient/1?a=b", "ee"),
            ("Patient/1/_history/1", "ee"),
        ] {
            assert_eq!(allowed(url), methods, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_url_is_parsed_or_refused(url in r"(https://x/fhir)?[/?$_.a-zA-Z0-9ä:]{0,20}") {
            let _ = Target::parse(&url, BASE);
        }
    }
}
