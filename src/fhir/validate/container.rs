//! Contained resources and what points at them: <http://hl7.org/fhir/R4/references.html#contained>.

use std::collections::{HashMap, HashSet};

use super::issue::Issues;
use super::node::Object;
use super::place::Place;

/// What is known of the resource that is walked, and of those in it.
#[derive(Default)]
pub(super) struct Container<'n> {
    /// The type of each contained resource by its id.
    types: HashMap<&'n str, &'n str>,
    /// Every `#id` that was met.
    links: HashSet<&'n str>,
    /// How many `#` were met: links from a contained resource to its container.
    up: usize,
    /// The contained resources that hold one.
    pointing_up: HashSet<&'n str>,
}

impl<'n> Container<'n> {
    pub fn of(it: &'n Object<'n>) -> Container<'n> {
        let named = |one: &'n Object<'n>| Some((one.text("id")?, one.text("resourceType").unwrap_or_default()));
        Container { types: it.objects("contained").filter_map(named).collect(), ..Container::default() }
    }

    /// Notes a link inside the resource.
    pub fn link(&mut self, text: &'n str) {
        if text == "#" {
            self.up += 1;
        } else {
            self.links.insert(text);
        }
    }

    /// The type of the contained resource that `#id` names.
    pub fn type_of(&self, id: &str) -> Option<&'n str> {
        self.types.get(id).copied()
    }

    pub fn ups(&self) -> usize {
        self.up
    }

    pub fn points_up(&mut self, id: &'n str) {
        self.pointing_up.insert(id);
    }

    /// After all was walked: the ids differ, and each contained resource belongs to the rest.
    pub fn judge(&self, it: &Object, place: &Place, issues: &mut Issues) {
        let mut ids = HashSet::new();
        for (n, one) in it.objects("contained").enumerate() {
            let place = place.child("contained").at(n);
            let Some(id) = one.text("id") else {
                issues.add(
                    &place.child("id"),
                    "required",
                    "A contained resource has no id.",
                    "Send an id, and refer to it by # and the id.",
                );
                continue;
            };
            if !ids.insert(id) {
                issues.add(&place.child("id"), "duplicate", "Another contained resource has this id.", "Give each an id of its own.");
            }
            if !self.links.contains(format!("#{id}").as_str()) && !self.pointing_up.contains(id) {
                let says = "dom-3: Nothing in the resource refers to this contained resource.";
                issues.add(&place, "invariant", says, format!("Refer to it by #{id}, or remove it."));
            }
        }
    }
}

/// dom-4 and dom-5.
pub(super) fn meta(it: &Object, place: &Place, issues: &mut Issues) {
    let rules = [("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")];
    for (name, key) in rules {
        if it.objects("meta").any(|meta| meta.has(name)) {
            let says = format!("{key}: A contained resource has meta.{name}.");
            issues.add(&place.child("meta").child(name), "invariant", says, "Remove it; only the resource that contains it may have one.");
        }
    }
}
