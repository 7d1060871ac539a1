//! One JSON element as a flat list of nodes over its own text: nothing is copied, numbers stay text.
//!
//! RFC 8259. An element with a duplicate member name, too many levels or a NUL is refused on its own.

use std::borrow::Cow;

use super::parser::Parser;
use crate::error::Kind;

/// The most levels one element may nest; the element itself is the first.
pub const DEPTH_MAX: usize = 64;
/// A record of more values, such as a list of a million zeros, would fill the memory; a day's route has a tenth of them.
pub const NODES_MAX: usize = 500_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

/// A value: where its member name (without quotes) and its text stand, and where the next sibling is.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub token: Token,
    pub(super) name: (u32, u32),
    pub(super) value: (u32, u32),
    pub(super) next: u32,
    pub(super) name_escaped: bool,
}

/// A member whose text was read before: where it stands again, letter for letter, it is not read again.
/// Its node then has no children.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// Why an element cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON at this byte of the element.
    Syntax(usize),
    /// JSON that we refuse: a duplicate key, too much depth, a NUL.
    Refused(Kind),
}

/// Parsed element. Node 0 is the element itself.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    text: &'a str,
    nodes: &'a [Node],
}

impl<'a> Tree<'a> {
    /// Reads one JSON value that fills `text` (white space around it allowed). `nodes` is scratch space
    /// that the caller keeps, so that reading many elements allocates nothing.
    pub fn parse(text: &'a str, nodes: &'a mut Vec<Node>, known: Option<Known<'_>>) -> Result<Tree<'a>, Fault> {
        nodes.clear();
        let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, nodes, known, refused: None };
        parser.space();
        parser.value((0, 0, false), 1)?;
        parser.space();
        if parser.at != text.len() {
            return Err(Fault::Syntax(parser.at));
        }
        match parser.refused {
            Some(kind) => Err(Fault::Refused(kind)),
            None => Ok(Tree { text, nodes }),
        }
    }

    pub fn node(&self, id: usize) -> &'a Node {
        &self.nodes[id]
    }

    /// The value as it stands in the text.
    pub fn raw(&self, id: usize) -> &'a str {
        let (from, to) = self.nodes[id].value;
        &self.text[from as usize..to as usize]
    }

    /// A string without its quotes and escapes; None when it is not a string, or not Unicode (`\ud800`).
    pub fn string(&self, id: usize) -> Option<Cow<'a, str>> {
        if self.nodes[id].token != Token::Text {
            return None;
        }
        let raw = self.raw(id);
        let inner = &raw[1..raw.len() - 1];
        if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
    }

    /// The children of an object or array, in order.
    pub fn children(&self, id: usize) -> impl Iterator<Item = usize> + use<'a> {
        let nodes = self.nodes;
        let end = nodes[id].next as usize;
        let mut at = id + 1;
        std::iter::from_fn(move || {
            let here = at;
            (here < end).then(|| {
                at = nodes[here].next as usize;
                here
            })
        })
    }

    pub fn member(&self, id: usize, name: &str) -> Option<usize> {
        if self.nodes[id].token != Token::Object {
            return None;
        }
        self.children(id).find(|child| {
            let node = &self.nodes[*child];
            name_of(self.text, node) == name || (node.name_escaped && decoded(self.text, node) == name)
        })
    }

    /// The name of a member, without escapes.
    pub fn name(&self, id: usize) -> String {
        decoded(self.text, &self.nodes[id])
    }
}

pub(super) fn name_of<'a>(text: &'a str, node: &Node) -> &'a str {
    &text[node.name.0 as usize..node.name.1 as usize]
}

pub(super) fn decoded(text: &str, node: &Node) -> String {
    let raw = name_of(text, node);
    serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> Option<Fault> {
        Tree::parse(text, &mut Vec::new(), None).err()
    }

    #[test]
    fn members_are_found() {
        let mut nodes = Vec::new();
        let tree = Tree::parse(r#" {"a":[1,{"b":"x\ny"}],"\u0063":2.50,"d":null} "#, &mut nodes, None).unwrap();
        let list = tree.member(0, "a").unwrap();
        let second = tree.children(list).nth(1).unwrap();
        assert_eq!(tree.string(tree.member(second, "b").unwrap()).as_deref(), Some("x\ny"));
        assert_eq!(tree.raw(tree.member(0, "c").unwrap()), "2.50");
        assert_eq!(tree.children(0).map(|id| tree.name(id)).collect::<Vec<_>>(), ["a", "c", "d"]);
    }

    #[test]
    fn a_known_member_is_not_read_again() {
        let text = r#"{"s":{"x":1},"v":2}"#;
        let mut nodes = Vec::new();
        let tree = Tree::parse(text, &mut nodes, Some(Known { name: "s", text: r#"{"x":1}"# })).unwrap();
        assert_eq!(tree.raw(tree.member(0, "s").unwrap()), r#"{"x":1}"#);
        assert_eq!(tree.raw(tree.member(0, "v").unwrap()), "2");
    }

    #[test]
    fn what_one_element_may_not_be() {
        assert_eq!(fault(r#"{"a":1,"a":2}"#), Some(Fault::Refused(Kind::JsonDuplicateKey)));
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), Some(Fault::Refused(Kind::JsonDuplicateKey)));
        assert_eq!(fault(r#"{"a":{"b":1,"b":2}}"#), Some(Fault::Refused(Kind::JsonDuplicateKey)));
        let many: String = (0..40).map(|n| format!("\"k{}\":0,", n % 39)).collect();
        assert_eq!(fault(&format!("{{{}\"z\":0}}", many)), Some(Fault::Refused(Kind::JsonDuplicateKey)));
        assert_eq!(fault(&format!("{}{}", "[".repeat(65), "]".repeat(65))), Some(Fault::Refused(Kind::JsonDepth)));
        assert_eq!(fault(&format!("{}{}", "[".repeat(64), "]".repeat(64))), None);
        assert_eq!(fault(&format!("[{}0]", "0,".repeat(NODES_MAX))), Some(Fault::Refused(Kind::FieldTooLong)));
        assert_eq!(fault(r#"["a\u0000b"]"#), Some(Fault::Refused(Kind::TextNul)));
        for text in ["", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", "NaN", "-", "\"\t\"", "\"\\x\"", "[1 2]", "1 1", "tru"] {
            assert!(matches!(fault(text), Some(Fault::Syntax(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9a\\ube. tn-]{0,24}"#) {
            let theirs: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&text);
            match fault(&text) {
                Some(Fault::Syntax(_)) => prop_assert!(theirs.is_err() , "{}", text),
                Some(Fault::Refused(_)) => {}
                None => prop_assert!(theirs.is_ok() || text.contains("\\u"), "{}", text),
            }
        }
    }
}
