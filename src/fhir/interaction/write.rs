//! A tree back as text: without white space, members in their order, numbers as they were written.

use std::collections::HashMap;

use crate::fhir::bundle::quote;
use crate::fhir::validate::{Node, Object};

/// Texts that stand in for others, by where those are in the tree.
pub(super) type Changed<'t> = HashMap<*const Node<'t>, String>;

/// The text of what was read.
pub fn write(tree: &Object) -> String {
    changed(tree, &Changed::new())
}

pub(super) fn changed<'t>(tree: &Object<'t>, changed: &Changed<'t>) -> String {
    let mut out = String::new();
    object(&mut out, tree, changed);
    out
}

fn object<'t>(out: &mut String, it: &Object<'t>, changed: &Changed<'t>) {
    out.push('{');
    for (n, (name, value)) in it.members().enumerate() {
        if n > 0 {
            out.push(',');
        }
        quote(out, name);
        out.push(':');
        node(out, value, changed);
    }
    out.push('}');
}

fn node<'t>(out: &mut String, it: &Node<'t>, changed: &Changed<'t>) {
    match it {
        Node::Null => out.push_str("null"),
        Node::Boolean(true) => out.push_str("true"),
        Node::Boolean(false) => out.push_str("false"),
        Node::Number(text) => out.push_str(text),
        Node::Text(text) => quote(out, changed.get(&std::ptr::from_ref(it)).map_or(text, |new| new)),
        Node::List(nodes) => {
            out.push('[');
            for (n, value) in nodes.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                node(out, value, changed);
            }
            out.push(']');
        }
        Node::Object(inner) => object(out, inner, changed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::checked;
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        write(&checked(text).tree)
    }

    #[test]
    fn numbers_and_order_stay() {
        for number in ["0.1000", "-0", "1e5", "1E+5", "-0.00e-10", "123456789012345678901234567890.1"] {
            let text = format!(
                "{{ \"extension\" : [ {{\n\"valueDecimal\":{number} , \"url\":\"http:\\/\\/a\\u0062\" }} ],\t\"resourceType\":\"Patient\",\"active\":true}}"
            );
            let wanted =
                format!(r#"{{"extension":[{{"valueDecimal":{number},"url":"http://ab"}}],"resourceType":"Patient","active":true}}"#);
            assert_eq!(written(&text), wanted);
        }
    }

    #[test]
    fn strings_are_escaped_where_they_must() {
        let text = r#"{"resourceType":"Patient","name":[{"given":["\u00e4\ud83d\ude00\u007f\n\u0009\"\\\/"],"_given":[null]}]}"#;
        let text = text.replace(r#","_given":[null]"#, r#","_family":{"extension":[{"url":"http://a","valueBoolean":false}]}"#);
        let wanted = "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"ä\u{1f600}\u{7f}\\n\\t\\\"\\\\/\"],\
            \"_family\":{\"extension\":[{\"url\":\"http://a\",\"valueBoolean\":false}]}}]}";
        assert_eq!(written(&text), wanted);
        let gaps = r#"{"resourceType":"Patient","name":[{"given":[null,"a"],"_given":[{"id":"x","extension":[{"url":"http://a","valueInteger":-0}]},null]}]}"#;
        assert_eq!(written(gaps), gaps);
    }

    /// A valid extension as somebody may write it, and as we do.
    fn extension() -> impl Strategy<Value = (String, String)> {
        let same = |text: String| (text.clone(), text);
        let number =
            r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?".prop_map(move |text| same(format!(r#""valueDecimal":{text}"#)));
        let truth = any::<bool>().prop_map(move |it| same(format!(r#""valueBoolean":{it}"#)));
        let fits = |c: &char| *c >= ' ' || matches!(c, '\t' | '\n' | '\r');
        let text =
            prop::collection::vec((any::<char>().prop_filter("a control character", fits), any::<bool>()), 1..12).prop_map(|chars| {
                let plain: String = chars.iter().map(|(c, _)| *c).collect();
                let noisy = |(c, escaped): &(char, bool)| match *escaped || *c < ' ' || matches!(c, '"' | '\\') {
                    true => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
                    false => c.to_string(),
                };
                let noisy: String = chars.iter().map(noisy).collect();
                (format!("\"valueString\" : \"{noisy}\""), format!("\"valueString\":{}", serde_json::to_string(&plain).unwrap()))
            });
        prop_oneof![number, truth, text].prop_recursive(5, 40, 4, |inner| {
            prop::collection::vec(inner, 1..4).prop_map(|inner| {
                let join = |between: &str, each: &dyn Fn(&(String, String)) -> String| -> String {
                    inner.iter().map(each).collect::<Vec<_>>().join(between)
                };
                let noisy = join(" ,\n", &|(noisy, _)| format!("{{ {noisy}\t, \"url\":\"http:\\/\\/a\"}}"));
                let plain = join(",", &|(_, plain)| format!(r#"{{{plain},"url":"http://a"}}"#));
                (format!("\"extension\": [ {noisy} ]"), format!(r#""extension":[{plain}]"#))
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(extension in extension()) {
            let around = |(inner, ws): (&str, &str)| {
                format!(r#"{{"resourceType":"Basic","code":{{"text":"x"}},{ws}"extension":[{{{inner},"url":"http://b"}}]{ws}}}"#)
            };
            let (noisy, plain) = (around((&extension.0, " \r\n")), around((&extension.1, "")));
            let read = checked(&noisy);
            let text = write(&read.tree);
            prop_assert_eq!(&text, &plain);
            prop_assert_eq!(&checked(&text).tree, &read.tree);
        }
    }
}
