//! R4 `reference` parameters (https://hl7.org/fhir/R4/search.html#reference).

use super::params::Param;
use crate::error::{Error, Kind, Result};
pub use crate::fhir::validate::is_id;
use crate::id::PatientId;

/// A reference that is searched for; `kind` is `None` when any of the parameter's types will do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    pub kind: Option<&'static str>,
    pub id: String,
}

impl Reference {
    /// Reads `id`, `Type/id` or this server's absolute URL; `kind` is the type that a modifier names.
    pub(super) fn parse(param: &Param, kind: Option<&'static str>, text: &str, base: &str) -> Result<Reference> {
        let local = if text.contains("://") { on_this_server(text, base)? } else { text };
        let (named, id) = match local.split_once('/') {
            Some((named, id)) => (Some(target(param, named)?), id),
            None => (None, local),
        };
        if !is_id(id) || (named.is_none() && local != text) {
            return Err(Error::new(Kind::Parameter, "the value is not an id, Type/id or an absolute URL of this server"));
        }
        match (kind, named) {
            (Some(kind), Some(named)) if kind != named => {
                Err(Error::new(Kind::Parameter, format!("the modifier says {kind}, the value {named}")))
            }
            _ => Ok(Reference { kind: kind.or(named).or(only(param)), id: id.to_owned() }),
        }
    }

    pub fn matches(&self, kind: &str, id: &str) -> bool {
        self.kind.is_none_or(|asked| asked == kind) && self.id == id
    }

    /// The Patient that is named, if it may be one.
    pub fn patient(&self) -> Option<PatientId> {
        self.kind.is_none_or(|kind| kind == "Patient").then(|| PatientId::parse(&self.id).ok()).flatten()
    }

    pub(super) fn text(&self) -> String {
        match self.kind {
            Some(kind) => format!("{kind}/{}", self.id),
            None => self.id.clone(),
        }
    }
}

/// The type and id of a stored relative reference; the version of a versioned one is left out.
/// Contained, logical and foreign references have no type and id here.
pub fn stored(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('/');
    let (kind, id) = (parts.next()?, parts.next()?);
    let relative = match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => true,
        (Some("_history"), Some(version), None) => is_id(version),
        _ => false,
    };
    let named = kind.starts_with(|first: char| first.is_ascii_uppercase()) && kind.bytes().all(|byte| byte.is_ascii_alphabetic());
    (relative && named && is_id(id)).then_some((kind, id))
}

/// What follows `base` in an absolute URL of this server.
pub fn local<'t>(text: &'t str, base: &str) -> Option<&'t str> {
    text.strip_prefix(base.trim_end_matches('/'))?.strip_prefix('/')
}

/// The type that a stored reference names, also one to another server.
pub(super) fn kind_named(text: &str) -> Option<&str> {
    let text = text.split_once("/_history/").map_or(text, |(current, _)| current);
    let (before, _) = text.rsplit_once('/')?;
    before.rsplit('/').next()
}

fn only(param: &Param) -> Option<&'static str> {
    match param.targets.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

fn target(param: &Param, named: &str) -> Result<&'static str> {
    param
        .targets
        .iter()
        .copied()
        .find(|target| *target == named)
        .ok_or_else(|| Error::new(Kind::Parameter, format!("the value must name one of {}", param.targets.join(", "))))
}

fn on_this_server<'a>(text: &'a str, base: &str) -> Result<&'a str> {
    // Only the origin is named: the path of a foreign URL may name a patient, and words reach logs.
    let origin = || text.splitn(4, '/').take(3).collect::<Vec<_>>().join("/").chars().take(100).collect::<String>();
    local(text, base).ok_or_else(|| Error::new(Kind::Parameter, format!("{} is not this server, which is {base}", origin())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::params::Type;

    const BASE: &str = "https://firth.example/fhir";

    fn read(name: &str, kind: Option<&'static str>, text: &str) -> Result<Reference> {
        Reference::parse(Type::Observation.search().param(name).expect(name), kind, text, BASE)
    }

    #[test]
    fn forms_of_one_reference() {
        for text in ["x1", "Patient/x1", "https://firth.example/fhir/Patient/x1"] {
            assert_eq!(read("patient", None, text).unwrap(), Reference { kind: Some("Patient"), id: "x1".into() });
        }
        assert_eq!(read("subject", None, "x1").unwrap().kind, None);
        assert_eq!(read("subject", Some("Patient"), "x1").unwrap().kind, Some("Patient"));
        assert_eq!(read("subject", None, "Group/x1").unwrap().kind, Some("Group"));
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "/x",
            "Patient/",
            "Group/x",
            "Patient/x/_history/1",
            "urn:uuid:1",
            "#x",
            "https://firth.example/fhir/x1",
            "https://firth.example/fhirPatient/x",
            "a b",
        ] {
            assert_eq!(read("patient", None, text).unwrap_err().kind, Kind::Parameter, "{text}");
        }
        assert!(read("subject", Some("Patient"), "Group/x").is_err());
        let foreign = read("patient", None, "http://ehr.example/fhir/Patient/secret").unwrap_err();
        assert!(foreign.says().contains("http://ehr.example") && !foreign.says().contains("secret"));
    }

    #[test]
    fn stored_references() {
        assert_eq!(stored("Patient/x"), Some(("Patient", "x")));
        assert_eq!(stored("Patient/x/_history/2"), Some(("Patient", "x")));
        for text in ["#x", "x", "urn:uuid:1", "http://a/Patient/x", "Patient/x/y", "Patient/x/_history", "patient/x", ""] {
            assert_eq!(stored(text), None, "{text}");
        }
    }
}
