//! The one place where fhir-sdk's types become text, and the small parts that all our resources share.

use fhir_sdk::Instant;
use fhir_sdk::r4b::resources::Resource;
use fhir_sdk::r4b::types::{CodeableConcept, Coding, Identifier, Meta, Reference};

use super::stamp::Stamp;
use crate::clock::Millis;
use crate::error::{Error, Result};

/// The resource as FHIR JSON (https://hl7.org/fhir/R4/json.html).
///
/// The only call of serde over fhir-sdk's types: each further one costs most of a minute to compile.
/// A decimal must never come this way, for fhir-sdk keeps it as f64.
pub fn json(resource: Resource) -> Result<String> {
    serde_json::to_string(&resource).map_err(Error::bug)
}

/// A moment of ours as FHIR instant (https://hl7.org/fhir/R4/datatypes.html#instant): UTC, three digits.
pub fn time(at: Millis) -> String {
    Stamp { ms: at, sub_ms_nanos: 0, digits: 3, offset: None }.to_string()
}

/// Text as FHIR allows it (https://hl7.org/fhir/R4/datatypes.html#string): not empty, no control characters
/// but tab and line ends. None when nothing is left.
pub fn text(text: &str) -> Option<String> {
    let fits = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let clean: String = text.chars().map(|c| if fits(c) { c } else { ' ' }).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

pub(super) fn instant(at: Millis) -> Result<Instant> {
    time(at).parse().map_err(Error::bug)
}

/// `versionId` and `lastUpdated`, which every version of a document carries.
pub(super) fn meta(version: u32, last_updated: Millis) -> Result<Meta> {
    let meta = Meta::builder().version_id(version.to_string()).last_updated(instant(last_updated)?);
    meta.build().map_err(Error::bug)
}

pub(super) fn coding(system: &str, code: &str, display: Option<&str>) -> Result<Coding> {
    let mut coding = Coding::builder().system(system.to_owned()).code(code.to_owned()).build().map_err(Error::bug)?;
    coding.display = display.map(str::to_owned);
    Ok(coding)
}

pub(super) fn concept(coding: Coding) -> Result<CodeableConcept> {
    CodeableConcept::builder().coding(vec![Some(coding)]).build().map_err(Error::bug)
}

pub(super) fn named(text: String) -> Result<CodeableConcept> {
    CodeableConcept::builder().text(text).build().map_err(Error::bug)
}

pub(super) fn identifier(system: &str, value: &str) -> Result<Identifier> {
    Identifier::builder().system(system.to_owned()).value(value.to_owned()).build().map_err(Error::bug)
}

pub(super) fn reference(to: String) -> Result<Reference> {
    Reference::builder().reference(to).build().map_err(Error::bug)
}

/// A reference to somebody by an identifier.
pub(super) fn identified(system: &str, value: &str) -> Result<Reference> {
    Reference::builder().identifier(identifier(system, value)?).build().map_err(Error::bug)
}

/// A reference that says no more than a name.
pub(super) fn shown_as(display: &str) -> Result<Reference> {
    Reference::builder().display(display.to_owned()).build().map_err(Error::bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_fhir_allows() {
        assert_eq!(text(" Ada's\u{0}ring\t2 \u{85}").as_deref(), Some("Ada's ring\t2"));
        assert_eq!(text(" \n"), None);
        assert_eq!(text(""), None);
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_771_922_700_120), "2026-02-24T08:45:00.120Z");
        assert_eq!(instant(1_771_922_700_000).unwrap().to_string(), "2026-02-24 8:45:00.0 +00:00:00");
    }
}
