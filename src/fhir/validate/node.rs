//! A JSON text as a tree that borrows from it. A number stays the text that was written.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'t> {
    Null,
    Boolean(bool),
    /// As written: `0.1000`, `-0`.
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Object(Object<'t>),
}

/// Members in the order of the text. One that `read` let pass has each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'t> {
    pub(crate) members: Vec<(Cow<'t, str>, Node<'t>)>,
}

impl<'t> Node<'t> {
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn object(&self) -> Option<&Object<'t>> {
        match self {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The nodes of an array, or the one that this is.
    pub fn all(&self) -> &[Node<'t>] {
        match self {
            Node::List(nodes) => nodes,
            one => std::slice::from_ref(one),
        }
    }

    /// What JSON calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "a string",
            Node::List(_) => "an array",
            Node::Object(_) => "an object",
        }
    }
}

impl<'t> Object<'t> {
    pub fn members(&self) -> impl Iterator<Item = (&str, &Node<'t>)> {
        self.members.iter().map(|(name, node)| (&**name, node))
    }

    pub fn get(&self, name: &str) -> Option<&Node<'t>> {
        self.members.iter().find(|(it, _)| it == name).map(|(_, node)| node)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The objects that a member is or holds.
    pub fn objects(&self, name: &str) -> impl Iterator<Item = &Object<'t>> {
        self.get(name).map_or(&[][..], Node::all).iter().filter_map(Node::object)
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(&Node::Boolean(true))
    }

    /// Is the element there, with a value or with an extension in its place?
    pub(super) fn has(&self, name: &str) -> bool {
        self.members().any(|(it, _)| it.strip_prefix('_').unwrap_or(it) == name)
    }

    /// The same for an element of several types: `value` is there as `valueQuantity`.
    pub(super) fn has_any(&self, name: &str) -> bool {
        self.members().any(|(it, _)| is_choice(it.strip_prefix('_').unwrap_or(it), name))
    }
}

/// Is `valueQuantity` a name of `value[x]`?
fn is_choice(it: &str, name: &str) -> bool {
    it.strip_prefix(name).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}
