//! A resource as a whole: its type, its place in another, and what goes beyond one element.

use super::bundle;
use super::container::{self, Container};
use super::issue::quoted;
use super::node::Object;
use super::place::Place;
use super::shape::{Slot, shape};
use super::vital_signs;
use super::walk::{Scope, Walk};
use crate::fhir::definitions::{Type, type_named};

/// How a resource stands.
#[derive(Clone, Copy)]
pub(super) enum Role<'n> {
    /// By itself.
    Top,
    /// In a resource of this type of Bundle, or in a Parameters.
    Entry(Option<&'n str>),
    /// In `contained`.
    Contained(Option<&'n str>),
}

impl<'n> Walk<'n> {
    pub fn resource(&mut self, it: &'n Object<'n>, place: &Place, role: Role<'n>) {
        let Some(name) = it.text("resourceType") else {
            return self.issues.add(
                &place.child("resourceType"),
                "required",
                "resourceType is missing.",
                "Send the name of the resource type.",
            );
        };
        let kind = type_named(name).filter(|it| Type::is_concrete_resource(it));
        let Some((kind, shape)) = kind.and_then(|kind| Some((kind, shape(kind.name)?))) else {
            let says = format!("R4 has no resource type {}.", quoted(name));
            return self.issues.add(&place.child("resourceType"), "value", says, "Send the name of a resource type of R4.");
        };
        let bundle = if kind.name == "Bundle" { it.text("type") } else { None };
        let (inside, around) = match role {
            Role::Top => (false, None),
            Role::Entry(around) => (false, around),
            Role::Contained(around) => (true, around),
        };
        let scope = Scope { resource: it, inside, bundle: bundle.or(around) };
        let outer = (!inside).then(|| std::mem::replace(&mut self.container, Container::of(it)));
        self.object(it, shape, place, scope);
        match kind.name {
            "Observation" => {
                let asked = self.profile.filter(|_| matches!(role, Role::Top));
                vital_signs::judge(it, place, asked, &mut self.issues);
            }
            "Bundle" => bundle::judge(it, place, &mut self.issues),
            _ => {}
        }
        if let Some(outer) = outer {
            let inner = std::mem::replace(&mut self.container, outer);
            inner.judge(it, place, &mut self.issues);
        }
    }

    /// A resource in another.
    pub fn inner(&mut self, it: &'n Object<'n>, slot: &Slot, place: &Place, scope: Scope<'n>) {
        if slot.element.name != "contained" {
            return self.resource(it, place, Role::Entry(scope.bundle));
        }
        if scope.inside {
            let says = "dom-2: A contained resource contains another.";
            return self.issues.add(place, "invariant", says, "Contain it in the outermost resource, beside the other.");
        }
        let ups = self.container.ups();
        self.resource(it, place, Role::Contained(scope.bundle));
        if let Some(id) = it.text("id").filter(|_| self.container.ups() > ups) {
            self.container.points_up(id);
        }
        container::meta(it, place, &mut self.issues);
    }
}
