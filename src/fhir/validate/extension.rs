//! Extensions: <http://hl7.org/fhir/R4/extensibility.html>. Which there are is not our business; that each has a URL, and
//! either a value or parts, is. Where one may stand the table says.

use super::issue::Issues;
use super::node::Object;
use super::place::Place;
use super::primitive::is_absolute;
use super::shape::Slot;

/// A part of an extension has a name of its own; any other has an absolute URL. (A missing one the table tells.)
pub(super) fn judge(it: &Object, slot: &Slot, place: &Place, issues: &mut Issues) {
    let part = slot.element.path == "Extension.extension";
    if it.text("url").is_some_and(|url| !part && !is_absolute(url)) {
        issues.add(
            &place.child("url"),
            "value",
            "The URL of an extension must be absolute.",
            "Send the canonical URL of the extension's definition.",
        );
    }
}
