//! Codes from the value set that an element requires: <http://hl7.org/fhir/R4/terminologies.html#required>.

use super::issue::{Issues, quoted};
use super::node::Object;
use super::place::Place;
use super::shape::Slot;
use crate::fhir::definitions::ValueSet;

/// A remedy names all codes of a value set that has no more than this many.
const NAMED: usize = 16;

pub(super) fn code(code: &str, slot: &Slot, place: &Place, issues: &mut Issues) {
    let Some(set) = slot.binding.filter(|set| !set.contains(None, code)) else { return };
    issues.add(place, "code-invalid", format!("The code {} is not in the value set of the element.", quoted(code)), remedy(set, slot));
}

/// An extension stands where the code should.
pub(super) fn absent(slot: &Slot, place: &Place, issues: &mut Issues) {
    if let Some(set) = slot.binding.filter(|set| !set.is_open()) {
        let says = "An extension stands in place of a code that R4 requires to be from a value set.";
        issues.add(place, "code-invalid", says, remedy(set, slot));
    }
}

/// One coding of a concept must be from the set. Where the set is open words will do: R4 binds languages no further than
/// their codes.
pub(super) fn concept(it: &Object, slot: &Slot, place: &Place, issues: &mut Issues) {
    let Some(set) = slot.binding else { return };
    let member =
        |coding: &Object| coding.text("code").is_some_and(|code| set.contains(Some(coding.text("system").unwrap_or_default()), code));
    if (it.has("coding") || !set.is_open()) && !it.objects("coding").any(member) {
        issues.add(place, "code-invalid", "No coding is from the value set of the element.", remedy(set, slot));
    }
}

fn remedy(set: ValueSet, slot: &Slot) -> String {
    let codes: Vec<&str> = set.codes().take(NAMED + 1).map(|it| it.code).collect();
    if codes.len() > NAMED || set.is_open() {
        return format!("Send a code of {}.", slot.element.binding.unwrap_or_default());
    }
    let system = slot.of.filter(|of| of.name != "code").and_then(|_| set.codes().next()).map(|it| format!(" of {}", it.system));
    format!("Send one of {}{}.", codes.join(", "), system.unwrap_or_default())
}
