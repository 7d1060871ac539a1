//! Resources as a hospital writes them, about 1.5 KB each: nine types that point to each other. What is loaded has ids
//! that can be computed, so that nothing needs to be remembered to point to it.

use super::dice::Dice;

/// The place of each type in `TEXTS`, in an order in which nothing is pointed to before it is there.
const ORGANIZATION: usize = 0;
const PRACTITIONER: usize = 1;
pub const PATIENT: usize = 2;
pub const ENCOUNTER: usize = 4;
pub const OBSERVATION: usize = 5;
pub const KINDS: usize = 9;

/// Type, how many of a thousand resources are of it, and its text. `%` and a letter stand for a value.
const TEXTS: [(&str, usize, &str); KINDS] = [
    ("Organization", 1, include_str!("resources/organization.json")),
    ("Practitioner", 5, include_str!("resources/practitioner.json")),
    ("Patient", 50, include_str!("resources/patient.json")),
    ("PractitionerRole", 5, include_str!("resources/practitioner_role.json")),
    ("Encounter", 150, include_str!("resources/encounter.json")),
    ("Observation", 600, include_str!("resources/observation.json")),
    ("Goal", 50, include_str!("resources/goal.json")),
    ("Flag", 39, include_str!("resources/flag.json")),
    ("DiagnosticReport", 100, include_str!("resources/diagnostic_report.json")),
];
const ID: &str = "\"id\":\"%i\",";
const FAMILIES: [&str; 12] =
    ["Becker", "Fischer", "Hoffmann", "Koch", "Meyer", "Neumann", "Richter", "Schulz", "Wagner", "Weber", "Wolf", "Zimmermann"];
const GIVEN: [&str; 8] = ["Anna", "Clara", "Emma", "Greta", "Ida", "Lena", "Marie", "Sophie"];

/// System of the identifier that every resource has.
pub const SYSTEM: &str = "urn:x-firth:bench";

struct Kind {
    name: &'static str,
    with_id: String,
    without: String,
    /// How many are loaded.
    there: usize,
}

/// The types, and how many of each are loaded.
pub struct Resources(Vec<Kind>);

impl Resources {
    pub fn new(all: usize) -> Resources {
        let kind = |(name, share, text): &(&'static str, usize, &str)| {
            let with_id = text.replace('\n', "");
            Kind { name, without: with_id.replacen(ID, "", 1), with_id, there: (all * share / 1_000).max(1) }
        };
        Resources(TEXTS.iter().map(kind).collect())
    }

    pub fn name(&self, of: usize) -> &'static str {
        self.0[of].name
    }

    /// How many are loaded of a type.
    pub fn there(&self, of: usize) -> usize {
        self.0[of].there
    }

    /// The text of the resource that has this number. `value` is what an update changes.
    pub fn text(&self, of: usize, number: u64, id: Option<&str>, value: usize) -> String {
        let mut dice = Dice::of(number);
        let (family, given) = (FAMILIES[dice.below(FAMILIES.len())], GIVEN[dice.below(GIVEN.len())]);
        let day = format!("{}-{:02}-{:02}", 2020 + dice.below(6), 1 + dice.below(12), 1 + dice.below(28));
        let pointed = |of: usize| self.loaded(of, dice.below(self.0[of].there));
        let targets = [ORGANIZATION, PRACTITIONER, PATIENT, ENCOUNTER, OBSERVATION].map(pointed);
        let [organization, practitioner, patient, encounter, observation] = &targets;
        let (number, value) = (format!("{number:016x}"), (60 + value % 40).to_string());
        let template = if id.is_some() { &self.0[of].with_id } else { &self.0[of].without };
        fill(template, |letter| match letter {
            'i' => id.unwrap_or_default(),
            'n' => &number,
            'v' => &value,
            'd' => &day,
            'f' => family,
            'g' => given,
            'o' => organization,
            'q' => practitioner,
            'p' => patient,
            'e' => encounter,
            's' => observation,
            _ => "",
        })
    }

    /// The id of the `n`th resource of a type that is loaded.
    pub fn loaded(&self, of: usize, n: usize) -> String {
        uuid(loaded_number(of, n))
    }
}

/// The UUID that belongs to a number.
pub fn uuid(number: u64) -> String {
    let mut dice = Dice::of(number);
    let (high, low) = (dice.roll(), dice.roll());
    let (node, variant) = (low & 0xffff_ffff_ffff, 0x8000 | (low >> 50));
    format!("{:08x}-{:04x}-4{:03x}-{variant:04x}-{node:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xfff)
}

/// The number of the `n`th resource of a type that is loaded; what is made later has the highest bit.
pub fn loaded_number(of: usize, n: usize) -> u64 {
    ((of as u64) << 32) | n as u64
}

/// A number that no other resource has.
pub fn new_number(dice: &mut Dice) -> u64 {
    dice.roll() | 1 << 63
}

fn fill<'a>(template: &str, value: impl Fn(char) -> &'a str) -> String {
    let mut out = String::with_capacity(template.len() + 512);
    let mut parts = template.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let mut rest = part.chars();
        out.push_str(rest.next().map_or("", &value));
        out.push_str(rest.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::validate::Options;
    use crate::ledger::submitted;
    use crate::search::Type;

    #[test]
    fn every_text_may_be_stored_and_is_about_as_long_as_is_said() {
        let all = Resources::new(1_000);
        let mut lengths = Vec::new();
        for of in 0..KINDS {
            for id in [None, Some("00000000-0000-4000-8000-000000000000")] {
                let text = all.text(of, new_number(&mut Dice::of(7)), id, 5);
                assert!(!text.contains('%'), "{text}");
                let read =
                    submitted::read(Type::parse(all.name(of)).unwrap(), text.as_bytes(), "http://localhost/fhir", Options::default());
                assert_eq!(read.unwrap().id.as_deref(), id);
                lengths.push(text.len());
            }
        }
        lengths.sort_unstable();
        assert!((1_400..1_900).contains(&lengths[KINDS]), "{lengths:?}");
    }

    #[test]
    fn ids_are_uuids_and_no_two_are_the_same() {
        let all = Resources::new(1_000);
        let ids: std::collections::HashSet<String> =
            (0..KINDS).flat_map(|of| (0..all.there(of)).map(|n| all.loaded(of, n)).collect::<Vec<_>>()).collect();
        assert_eq!(ids.len(), (0..KINDS).map(|of| all.there(of)).sum::<usize>());
        assert!(ids.iter().all(|id| crate::id::DocumentId::parse(id).is_ok()));
    }
}
