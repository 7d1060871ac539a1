//! A tree as JSON text (RFC 8259).

use std::fmt::Write;

use crate::fhir::validate::{Node, Object};

/// `near` is how long it will be, roughly.
pub(super) fn text(root: &Object, near: usize) -> String {
    let mut out = String::with_capacity(near);
    object(&mut out, root);
    out
}

fn object(out: &mut String, it: &Object) {
    out.push('{');
    for (n, (name, node)) in it.members().enumerate() {
        if n > 0 {
            out.push(',');
        }
        quote(out, name);
        out.push(':');
        value(out, node);
    }
    out.push('}');
}

fn value(out: &mut String, node: &Node) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Boolean(true) => out.push_str("true"),
        Node::Boolean(false) => out.push_str("false"),
        Node::Number(text) => out.push_str(text),
        Node::Text(text) => quote(out, text),
        Node::Object(it) => object(out, it),
        Node::List(nodes) => {
            out.push('[');
            for (n, node) in nodes.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                value(out, node);
            }
            out.push(']');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, found) = rest.split_at(at);
        out.push_str(plain);
        let mut found = found.chars();
        match found.next() {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            // Writing to a String does not fail.
            Some(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            None => {}
        }
        rest = found.as_str();
    }
    out.push_str(rest);
    out.push('"');
}
