//! Profiles that a resource names in `meta.profile`, or that somebody asks for by their canonical URL.

use std::borrow::Cow;

use super::issue::{Issue, Issues, Severity, quoted};
use super::place::Place;
use crate::fhir::definitions::{Type, type_named};

const R4: &str = "http://hl7.org/fhir/StructureDefinition/";
const VERSION: &str = "4.0.1";

/// Profiles of Observation: `vital_signs`.
const OFFERED: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/bmi",
    "http://hl7.org/fhir/StructureDefinition/bodyheight",
    "http://hl7.org/fhir/StructureDefinition/bodytemp",
    "http://hl7.org/fhir/StructureDefinition/bodyweight",
    "http://hl7.org/fhir/StructureDefinition/bp",
    "http://hl7.org/fhir/StructureDefinition/headcircum",
    "http://hl7.org/fhir/StructureDefinition/heartrate",
    "http://hl7.org/fhir/StructureDefinition/oxygensat",
    "http://hl7.org/fhir/StructureDefinition/resprate",
    "http://hl7.org/fhir/StructureDefinition/vitalsigns",
    "http://hl7.org/fhir/StructureDefinition/vitalspanel",
];

/// The profiles that `Options::profile` may name, beside R4's definition of each resource type.
pub fn profiles() -> &'static [&'static str] {
    OFFERED
}

/// What R4 calls a definition of its own: `bp` for `http://hl7.org/fhir/StructureDefinition/bp|4.0.1`.
pub(super) fn name(url: &str) -> Option<&str> {
    let (url, version) = url.split_once('|').unwrap_or((url, VERSION));
    url.strip_prefix(R4).filter(|_| version == VERSION)
}

/// Whether a resource of this type can be judged by the profile at all; what the profile says is judged with the resource.
pub(super) fn judge(url: &str, resource_type: &str, place: &Place, issues: &mut Issues) {
    let offered = |name: &&str| OFFERED.iter().any(|it| it.strip_prefix(R4) == Some(name));
    let of = name(url).and_then(|it| match offered(&it) {
        true => Some("Observation"),
        false => type_named(it).filter(|it| Type::is_concrete_resource(it)).map(|it| it.name),
    });
    match of {
        None => issues.all.push(Issue {
            severity: Severity::Error,
            code: "not-supported",
            at: String::new(),
            says: format!("The profile {} is not known.", quoted(url)),
            remedy: Cow::Owned(format!("Name one of {}, or {R4} and a resource type, or no profile.", OFFERED.join(", "))),
        }),
        Some(of) if of != resource_type => {
            let says = format!("The profile {} is one of {of}, and the resource is of type {resource_type}.", quoted(url));
            issues.add(place, "invalid", says, format!("Send a resource of type {of}, or name another profile."));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fhir::validate::tests::{fine, observation, wrong};
    use crate::fhir::validate::{Options, validate};

    fn judged(value: &Value, profile: &str) -> Vec<Issue> {
        let options = Options { profile: Some(profile), ..Options::default() };
        validate(value.to_string().as_bytes(), &options).err().unwrap_or_default()
    }

    fn rate() -> Value {
        json!({"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "valueQuantity": {"value": 61, "unit": "x", "system": "http://unitsofmeasure.org", "code": "/min"}})
    }

    #[test]
    fn a_profile_that_is_offered_is_asked_for_by_its_url() {
        for profile in [
            "http://hl7.org/fhir/StructureDefinition/heartrate",
            "http://hl7.org/fhir/StructureDefinition/heartrate|4.0.1",
            "http://hl7.org/fhir/StructureDefinition/vitalsigns",
            "http://hl7.org/fhir/StructureDefinition/Observation",
        ] {
            assert_eq!(judged(&rate(), profile), [], "{profile}");
        }
        for profile in profiles().iter().filter(|it| !it.ends_with("/heartrate") && !it.ends_with("/vitalsigns")) {
            let issues = judged(&rate(), profile);
            assert!(issues.iter().any(|it| it.at == "Observation.code" && it.says.starts_with(profile)), "{profile} {issues:?}");
        }
        let places: Vec<String> = judged(&observation(json!({})), profiles()[9]).into_iter().map(|it| it.at).collect();
        assert_eq!(places, ["Observation.category", "Observation.subject", "Observation.effective", "Observation"]);
    }

    #[test]
    fn another_profile_or_type_is_told() {
        for profile in ["http://example.org/bp", "bp", "http://hl7.org/fhir/StructureDefinition/bp|5.0.0", "", &"x".repeat(10_000)] {
            let issues = judged(&rate(), profile);
            assert!(matches!(&issues[..], [one] if one.code == "not-supported" && one.remedy.contains(OFFERED[4])), "{issues:?}");
        }
        let basic = json!({"resourceType": "Basic", "code": {"text": "x"}});
        for profile in ["http://hl7.org/fhir/StructureDefinition/bp", "http://hl7.org/fhir/StructureDefinition/Patient"] {
            let issues = judged(&basic, profile);
            assert!(matches!(&issues[..], [one] if one.code == "invalid" && one.at == "Basic"), "{issues:?}");
        }
    }

    #[test]
    fn a_resource_may_name_its_profile() {
        let named = |url: &str| {
            let mut some = rate();
            some["meta"] = json!({"profile": [url]});
            some
        };
        fine(named("http://hl7.org/fhir/StructureDefinition/heartrate"));
        fine(named("http://example.org/none"));
        wrong(named("http://hl7.org/fhir/StructureDefinition/resprate"), &["Observation.code"]);
        fine(json!({"resourceType": "Basic", "code": {"text": "x"}, "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bp"]}}));
    }
}
