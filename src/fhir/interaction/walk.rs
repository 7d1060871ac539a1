//! Finds the links of a resource by the tables: where a text is a reference, a URI or a narrative.

use std::fmt;

use crate::fhir::definitions::{Member, child};
use crate::fhir::validate::{Node, Object};

use super::resource_type;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `Reference.reference`
    Reference,
    /// A uri or url. A canonical is none: R4 says that it stays as it is.
    Uri,
    /// An oid or uuid, which may not be anything but a URN.
    Urn,
    /// XHTML, with links in it.
    Narrative,
}

/// Where something is, as FHIRPath.
#[derive(Clone, Copy)]
pub(super) struct Way<'w> {
    up: Option<&'w Way<'w>>,
    name: &'static str,
    index: Option<usize>,
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            write!(f, "{up}.")?;
        }
        f.write_str(self.name)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// What is told of every text that has a role.
pub(super) type Tell<'t, 'f> = dyn FnMut(&Way, Role, &'t Node<'t>) + 'f;

/// Walks a resource, and those in it.
pub(super) fn each<'t>(tree: &'t Object<'t>, tell: &mut Tell<'t, '_>) {
    if let Some(name) = tree.text("resourceType").and_then(resource_type) {
        object(tree, name, &Way { up: None, name, index: None }, tell);
    }
}

fn object<'t>(it: &'t Object<'t>, place: &'static str, way: &Way, tell: &mut Tell<'t, '_>) {
    for (name, node) in it.members() {
        let Some(member) = child(place, name.strip_prefix('_').unwrap_or(name)) else { continue };
        let way = Way { up: Some(way), name: member.element.name, index: None };
        match node {
            Node::List(nodes) => {
                for (n, node) in nodes.iter().enumerate() {
                    one(node, (place, member), &Way { index: Some(n), ..way }, tell);
                }
            }
            node => one(node, (place, member), &way, tell),
        }
    }
}

fn one<'t>(node: &'t Node<'t>, (place, member): (&str, Member), way: &Way, tell: &mut Tell<'t, '_>) {
    match node {
        Node::Text(_) => {
            if let Some(role) = role(place, member) {
                tell(way, role, node);
            }
        }
        Node::Object(inner) => {
            // A resource in this one says its own type.
            let named = inner.text("resourceType").and_then(resource_type).filter(|_| holds_resource(member));
            if let Some(place) = named.or(member.element.inside).or(member.of.map(|of| of.shape())) {
                object(inner, place, way, tell);
            }
        }
        _ => {}
    }
}

fn holds_resource(member: Member) -> bool {
    member.of.is_some_and(|of| of.name == "Resource" || resource_type(of.name).is_some())
}

fn role(place: &str, member: Member) -> Option<Role> {
    match (place, member.of?.name) {
        ("Reference", _) if member.element.name == "reference" => Some(Role::Reference),
        (_, "uri" | "url") => Some(Role::Uri),
        (_, "oid" | "uuid") => Some(Role::Urn),
        (_, "xhtml") => Some(Role::Narrative),
        _ => None,
    }
}
