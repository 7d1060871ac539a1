//! References: <http://hl7.org/fhir/R4/references.html>. Whether the target exists is for others to find out.

use super::Pointer;
use super::issue::quoted;
use super::node::Object;
use super::place::Place;
use super::primitive::{id, scheme};
use super::shape::Slot;
use super::walk::{Scope, Walk};
use crate::fhir::definitions::{Type, type_named};

const FORMS: &str = "Send Type/id, an absolute http(s) URL, urn:uuid: or urn:oid:, or # and the id of a contained resource.";

/// Targets that the table does not have, and that HL7's own examples refer to.
const BEYOND: &[(&str, &str)] = &[("DeviceMetric.parent", "DeviceDefinition")];

/// What the text of a reference names.
#[derive(Debug, PartialEq, Eq)]
enum Target<'t> {
    /// A resource of this type.
    Type(&'t str),
    /// A resource of a type that cannot be told.
    Any,
    Fragment(&'t str),
    /// `Patient?identifier=x`, to be looked up by a transaction.
    Conditional(&'t str),
}

impl<'n> Walk<'n> {
    pub(super) fn reference(&mut self, it: &'n Object<'n>, slot: &Slot, place: &Place, scope: Scope<'n>) {
        let said = it.text("type");
        if let Some(said) = said.filter(|said| scheme(said).is_none() && !is_type(said)) {
            let says = format!("R4 has no resource type {}.", quoted(said));
            self.issues.add(&place.child("type"), "value", says, "Send the name of a resource type, or leave type out.");
        }
        let Some(text) = it.text("reference").filter(|text| !text.is_empty()) else {
            return self.judge_type(said.filter(|said| is_type(said)), slot, &place.child("type"));
        };
        let place_of_text = place.child("reference");
        let named = match target(text) {
            None => {
                let says = format!("{} is no reference.", quoted(text));
                return self.issues.add(&place_of_text, "value", says, FORMS);
            }
            Some(Target::Conditional(_)) if scope.bundle != Some("transaction") => {
                let says = "A conditional reference stands outside a transaction.";
                return self.issues.add(
                    &place_of_text,
                    "value",
                    says,
                    "Send Type/id; only entries of a transaction may refer by a search.",
                );
            }
            Some(Target::Conditional(name) | Target::Type(name)) => Some(name),
            Some(Target::Any) => None,
            Some(Target::Fragment("")) if scope.inside => {
                self.container.link("#");
                return;
            }
            Some(Target::Fragment(id)) => {
                self.container.link(text);
                let Some(name) = self.container.type_of(id) else {
                    let says = format!("ref-1: No contained resource has the id {}.", quoted(id));
                    return self.issues.add(&place_of_text, "invariant", says, "Contain the resource, or refer to one outside.");
                };
                Some(name)
            }
        };
        self.judge_type(named, slot, &place_of_text);
        if let (Some(said), Some(named)) = (said, named)
            && is_type(said)
            && said != named
        {
            let says = format!("The type is {said}, and the reference names {named}.");
            self.issues.add(&place.child("type"), "value", says, "Make both say the same, or leave type out.");
        }
        if !text.starts_with('#') {
            self.pointers.push(Pointer { at: place_of_text.to_string(), to: text.to_owned() });
        }
    }

    fn judge_type(&mut self, name: Option<&str>, slot: &Slot, place: &Place) {
        let beyond = |name: &str| BEYOND.iter().any(|(path, more)| *path == slot.element.path && *more == name);
        let Some(of) = slot.of else { return };
        let Some(name) = name.filter(|name| is_type(name) && !of.may_point_to(name) && !beyond(name)) else { return };
        let targets: Vec<&str> = of.targets().collect();
        let says = format!("The element may not refer to a resource of type {name}.");
        self.issues.add(place, "value", says, format!("Refer to one of {}.", targets.join(", ")));
    }
}

/// Is it the name of a resource type that there are instances of?
pub fn is_type(name: &str) -> bool {
    type_named(name).is_some_and(Type::is_concrete_resource)
}

/// None when the text is no reference.
fn target(text: &str) -> Option<Target<'_>> {
    if let Some(fragment) = text.strip_prefix('#') {
        return Some(Target::Fragment(fragment));
    }
    match scheme(text) {
        Some("http" | "https") => Some(literal(path(text)).map_or(Target::Any, Target::Type)),
        Some("urn") => Some(Target::Any),
        Some(_) => None,
        None => {
            let conditional = || text.split_once('?').filter(|(name, query)| is_type(name) && !query.is_empty());
            literal(text).map(Target::Type).or_else(|| conditional().map(|(name, _)| Target::Conditional(name)))
        }
    }
}

/// The end of a URL that may be the path of a resource: `Patient/1` of `http://a/fhir/Patient/1`.
fn path(url: &str) -> &str {
    let from = url.match_indices('/').map(|(at, _)| at + 1).rev().find(|at| {
        let name = url.get(*at..).and_then(|rest| rest.split('/').next());
        name.is_some_and(is_type)
    });
    from.and_then(|from| url.get(from..)).unwrap_or_default()
}

/// The type of `Type/id` or `Type/id/_history/version`.
fn literal(text: &str) -> Option<&str> {
    let mut parts = text.split('/');
    let (name, first) = (parts.next().filter(|name| is_type(name))?, parts.next()?);
    let version = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => true,
        (Some("_history"), Some(version), None) => id(version),
        _ => false,
    };
    (id(first) && version).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_type_or_nothing() {
        let patient = Some(Target::Type("Patient"));
        for text in
            ["Patient/1", "Patient/1/_history/2", "http://a/b/Patient/1", "https://a/Patient/1/_history/2", "http://a/Patient/Patient/1"]
        {
            assert_eq!(target(text), patient, "{text}");
        }
        for text in ["http://a/b", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "urn:oid:1.2.3", "http://a/Patient/"] {
            assert_eq!(target(text), Some(Target::Any), "{text}");
        }
        assert_eq!(target("#a"), Some(Target::Fragment("a")));
        assert_eq!(target("Patient?identifier=a|b"), Some(Target::Conditional("Patient")));
        let wrong = [
            "Patient",
            "Patient/",
            "Patient/a_b",
            "patient/1",
            "Nothing/1",
            "Patient/1/2",
            "/Patient/1",
            "../Patient/1",
            "javascript:x",
            "file:///a",
            "Patient/1/_history",
            "Patient/1/_history/a b",
            "Resource/1",
            "a",
            "Patient?",
            "Nothing?a=b",
            "Patient/1#a",
            "//evil/Patient/1",
        ];
        for text in wrong {
            assert_eq!(target(text), None, "{text}");
        }
        assert_eq!(target(&format!("Patient/{}", "a".repeat(65))), None);
    }
}
