//! The invariants of the types that are served and of the types in them, by hand: docs/decisions/0016-invariants.md.
//! Each function says whether the rule of this key holds; R4 words it in FHIRPath in `definitions::invariants`.
//!
//! What is missing or of a wrong type is told by the walk; here it counts as not there.

mod datatypes;
mod questionnaires;
mod resources;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::node::Object;

/// What a rule is asked about.
pub(super) struct Here<'h> {
    /// The element that it is defined at.
    pub this: &'h Object<'h>,
    /// The resource that this is in: `%resource`.
    pub resource: &'h Object<'h>,
}

pub(super) struct Rule {
    pub path: &'static str,
    pub key: &'static str,
    pub holds: fn(&Here) -> bool,
}

static BY_PATH: LazyLock<HashMap<&'static str, Vec<&'static Rule>>> = LazyLock::new(|| {
    let mut all: HashMap<&'static str, Vec<&'static Rule>> = HashMap::new();
    for rule in [datatypes::RULES, questionnaires::RULES, resources::RULES].into_iter().flatten() {
        all.entry(rule.path).or_default().push(rule);
    }
    all
});

/// Those defined at a type or element.
pub(super) fn of(path: &str) -> impl Iterator<Item = &'static Rule> {
    BY_PATH.get(path).into_iter().flatten().copied()
}

impl Here<'_> {
    fn has(&self, name: &str) -> bool {
        self.this.has(name)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.this.text(name) == Some(value)
    }
}

/// How often an element stands: 2 for an array of two.
fn count(it: &Object, name: &str) -> usize {
    it.get(name).map_or(0, |node| node.all().len())
}

#[cfg(test)]
mod cases;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::fhir::definitions::{all_elements, all_invariants, type_named};

    /// The types of the table in the issue, and those that interactions speak of.
    const SERVED: &str = "Patient Device DeviceMetric Observation Practitioner PractitionerRole Organization Location CareTeam Group \
        RelatedPerson Consent Provenance DocumentReference Binary Questionnaire QuestionnaireResponse DiagnosticReport Encounter Goal \
        CarePlan Flag DetectedIssue Communication List Basic Bundle Parameters OperationOutcome AuditEvent";

    /// Judged where the element is walked, because they need more than the element.
    const ELSEWHERE: &[(&str, &str)] = &[
        ("dom-2", "resource::inner: the walk does not go into it"),
        ("dom-3", "container::judge: links are collected during the walk"),
        ("dom-4", "container::meta"),
        ("dom-5", "container::meta"),
        ("ele-1", "walk: every element"),
        ("ref-1", "reference: the contained resources are known by id"),
        ("sqty-1", "walk: the comparator of a SimpleQuantity may stand 0 times"),
        ("txt-1", "narrative"),
        ("txt-2", "narrative"),
    ];

    /// A type, what it is based on, and the types of its elements.
    fn reached() -> BTreeSet<&'static str> {
        let mut todo: Vec<&str> = SERVED.split_whitespace().collect();
        let mut seen = BTreeSet::new();
        while let Some(kind) = todo.pop().and_then(type_named) {
            if seen.insert(kind.name) {
                todo.extend(kind.base);
                let own = all_elements().iter().filter(|it| it.path.split('.').next() == Some(kind.name));
                todo.extend(own.flat_map(|it| it.types.iter().flat_map(|of| [of.name, of.shape()])));
            }
        }
        seen
    }

    #[test]
    fn every_invariant_of_what_is_served_is_judged() {
        let reached = reached();
        let type_of = |path: &'static str| path.split('.').next().unwrap_or(path);
        let wanted: BTreeSet<(&str, &str)> =
            all_invariants().iter().filter(|it| reached.contains(type_of(it.path))).map(|it| (it.path, it.key)).collect();
        let elsewhere = |key: &str| ELSEWHERE.iter().any(|(it, _)| *it == key);
        let ours: BTreeSet<(&str, &str)> = super::BY_PATH.values().flatten().map(|rule| (rule.path, rule.key)).collect();
        let missing: Vec<_> = wanted.iter().filter(|(path, key)| !ours.contains(&(*path, *key)) && !elsewhere(key)).collect();
        assert!(missing.is_empty(), "no rule for {missing:?}");
        let foreign: Vec<_> = ours.iter().filter(|it| !wanted.contains(*it)).collect();
        assert!(foreign.is_empty(), "not in the table: {foreign:?}");
        assert!(ELSEWHERE.iter().all(|(key, _)| wanted.iter().any(|(_, it)| it == key)));
        println!("{} rules, {} by hand here, {} elsewhere", wanted.len(), ours.len(), ELSEWHERE.len());
    }
}
