//! Scopes in plain English, for the page on which a person is asked to agree.

use super::constraint::{By, Constraint, alternatives};
use super::{Context, Interaction, Scope, Scopes};

/// Who reads the page: the patient, or somebody who treats the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Patient,
    Staff,
}

impl Scopes {
    /// Each scope as it is written, and in words.
    pub fn words(&self, reader: Reader) -> Vec<(String, String)> {
        self.0.iter().map(|scope| (scope.to_string(), scope.words(reader))).collect()
    }
}

/// In the order in which they are said.
const DEEDS: [(Interaction, &str); 5] = [
    (Interaction::Read, "read"),
    (Interaction::Search, "search"),
    (Interaction::Create, "create"),
    (Interaction::Update, "change"),
    (Interaction::Delete, "delete"),
];

/// Types that are about nobody, so nobody's.
const SHARED: [&str; 5] = ["Practitioner", "PractitionerRole", "Organization", "Location", "Questionnaire"];

impl Scope {
    fn words(&self, reader: Reader) -> String {
        let deeds: Vec<&str> = DEEDS.iter().filter(|(deed, _)| self.letters & *deed as u8 != 0).map(|(_, word)| *word).collect();
        let deeds = capital(&listed(&deeds, "and"));
        let limits: Vec<String> = self.constraints.iter().map(Constraint::words).collect();
        let limits = if limits.is_empty() { String::new() } else { format!(" with {}", limits.join(" and ")) };
        let things = self.resource.map_or_else(|| "records".to_owned(), plural);
        let all = if self.resource.is_none() { "all " } else { "" };
        match (self.context, reader) {
            (Context::Patient, _) if self.resource.is_some_and(|resource| SHARED.contains(&resource)) => {
                format!("{deeds} {things}{limits}")
            }
            (Context::Patient, Reader::Patient) => format!("{deeds} {all}your {things}{limits}"),
            (Context::Patient, Reader::Staff) => format!("{deeds} {all}the patient's {things}{limits}"),
            (Context::User, _) => format!("{deeds} {all}{things}{limits}, as far as you may yourself"),
            (Context::System, _) => format!("{deeds} all {things}{limits} on this server"),
        }
    }
}

impl Constraint {
    fn words(&self) -> String {
        let name = match self.param.as_str() {
            "_id" => "id".to_owned(),
            "_lastUpdated" => "last change".to_owned(),
            "_security" => "security label".to_owned(),
            "_tag" => "tag".to_owned(),
            other => other.replace('-', " "),
        };
        let values: Vec<String> = alternatives(&self.value).into_iter().map(|value| self.value_words(value)).collect();
        format!("{name} {}", listed(&values.iter().map(String::as_str).collect::<Vec<_>>(), "or"))
    }

    fn value_words(&self, value: &str) -> String {
        match self.by {
            By::Token => match value.rsplit_once('|') {
                Some((system, "")) => format!("of {}", bare(system)),
                Some((_, code)) => bare(code),
                None => bare(value),
            },
            By::Reference => bare(value),
            By::Date => match PREFIXES.iter().find_map(|(prefix, word)| Some((word, value.strip_prefix(prefix)?))) {
                Some((word, day)) => format!("{word} {}", bare(day)),
                None => format!("of {}", bare(value)),
            },
        }
    }
}

/// https://hl7.org/fhir/R4/search.html#prefix
const PREFIXES: [(&str, &str); 9] = [
    ("eq", "of"),
    ("ne", "other than"),
    ("ge", "from"),
    ("gt", "after"),
    ("le", "up to"),
    ("lt", "before"),
    ("sa", "after"),
    ("eb", "before"),
    ("ap", "about"),
];

/// A value is the app's own text: what is more than a code stands in quotes, so that it cannot pass for our words.
fn bare(value: &str) -> String {
    let simple = value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte));
    if simple { value.to_owned() } else { format!("{value:?}") }
}

fn listed(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [before @ .., end] => format!("{} {last} {end}", before.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// `CareTeam` to `Care Teams`.
fn plural(resource: &str) -> String {
    let mut words = String::new();
    for letter in resource.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter);
    }
    match resource {
        "Basic" | "Patient" | "Provenance" => words + " records",
        "Binary" => words + " files",
        _ => words + "s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::universe::offer;

    fn said(scope: &str, reader: Reader) -> String {
        let words = Scopes::granular(scope, &offer).unwrap().words(reader);
        assert_eq!((words.len(), words[0].0.as_str()), (1, scope));
        words[0].1.clone()
    }

    #[test]
    fn to_a_patient() {
        for (scope, words) in [
            ("patient/Observation.rs", "Read and search your Observations"),
            (
                "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
                "Read and search your Observations with category laboratory",
            ),
            (
                "patient/Observation.rs?category=laboratory,vital-signs",
                "Read and search your Observations with category laboratory or vital-signs",
            ),
            ("patient/Observation.r?code=8867-4&date=ge2026-01-01", "Read your Observations with code 8867-4 and date from 2026-01-01"),
            ("patient/Observation.s?date=2026", "Search your Observations with date of 2026"),
            ("patient/Patient.read", "Read and search your Patient records"),
            ("patient/*.rs", "Read and search all your records"),
            ("patient/CareTeam.*", "Read, search, create, change and delete your Care Teams"),
            ("patient/Organization.rs", "Read and search Organizations"),
            ("patient/DetectedIssue.r?_security=http://x|", "Read your Detected Issues with security label of http://x"),
        ] {
            assert_eq!(said(scope, Reader::Patient), words);
        }
    }

    #[test]
    fn to_others() {
        for (scope, words) in [
            ("patient/Observation.rs", "Read and search the patient's Observations"),
            ("patient/Patient.r", "Read the patient's Patient records"),
            ("patient/*.rs", "Read and search all the patient's records"),
            ("user/Observation.cu?code=a", "Create and change Observations with code a, as far as you may yourself"),
            ("user/*.rs", "Read and search all records, as far as you may yourself"),
            ("system/Observation.write", "Create, change and delete all Observations on this server"),
            ("system/*.cruds", "Read, search, create, change and delete all records on this server"),
        ] {
            assert_eq!(said(scope, Reader::Staff), words);
        }
    }

    #[test]
    fn an_app_does_not_speak_in_our_place() {
        let spoof = "patient/Observation.rs?code=a.%20This%20app%20is%20safe%20%E2%80%AE";
        assert_eq!(said(spoof, Reader::Patient), r#"Read and search your Observations with code "a. This app is safe \u{202e}""#);
    }
}
