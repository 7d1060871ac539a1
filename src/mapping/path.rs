//! Singular selectors of RFC 9535 (`$.value`, `$['a b'].c[0]`, `@.x`), compiled once at load.

use super::tree::{Token, Tree};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// A path to at most one value. `$` starts at the record, `@` at the sample of an `each`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub relative: bool,
    steps: Vec<Step>,
    text: String,
}

impl Path {
    /// Compiles a selector; the error says in a few words what is wrong with it.
    pub fn parse(text: &str) -> Result<Path, &'static str> {
        let relative = text.starts_with('@');
        let mut rest = text.strip_prefix(['$', '@']).ok_or("a selector starts with $ or @")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = if let Some(after) = rest.strip_prefix('.') { dotted(after)? } else { bracketed(rest)? };
            steps.push(step);
            rest = left;
        }
        Ok(Path { relative, steps, text: text.to_owned() })
    }

    /// The value it names, and None where there is none or it is null.
    pub fn find(&self, tree: &Tree<'_>, sample: usize) -> Option<usize> {
        let mut at = if self.relative { sample } else { 0 };
        for step in &self.steps {
            at = match step {
                Step::Name(name) => tree.member(at, name)?,
                Step::Index(_) if tree.node(at).token != Token::Array => return None,
                Step::Index(index) => tree.children(at).nth(*index)?,
            };
        }
        (tree.node(at).token != Token::Null).then_some(at)
    }

    /// Does it start with this member of the record?
    pub fn enters(&self, name: &str) -> bool {
        !self.relative && self.steps.first() == Some(&Step::Name(name.to_owned()))
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

fn dotted(rest: &str) -> Result<(Step, &str), &'static str> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let name = &rest[..end];
    let starts = name.chars().next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii());
    if !starts || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()) {
        return Err("a name behind a dot has letters, digits and _ only; write ['any name'] otherwise");
    }
    Ok((Step::Name(name.to_owned()), &rest[end..]))
}

fn bracketed(rest: &str) -> Result<(Step, &str), &'static str> {
    let inner = rest.strip_prefix('[').ok_or("a selector goes on with . or [")?;
    if let Some(quote @ ('\'' | '"')) = inner.chars().next() {
        let (name, left) = inner[1..].split_once(quote).ok_or("a quoted name must end")?;
        let left = left.strip_prefix(']').ok_or("a bracket must end with ]")?;
        if name.contains('\\') {
            return Err("names with escapes are not supported");
        }
        return Ok((Step::Name(name.to_owned()), left));
    }
    let (index, left) = inner.split_once(']').ok_or("a bracket must end with ]")?;
    let canonical = index == "0" || (!index.starts_with('0') && index.bytes().all(|b| b.is_ascii_digit()));
    let index = index.parse().ok().filter(|_| canonical).ok_or("only ['name'] and [0] name one value")?;
    Ok((Step::Index(index), left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn selectors_name_one_value() {
        let mut nodes = Vec::new();
        let tree = Tree::parse(r#"{"a":{"b c":[10,{"d":"x"}]},"n":null}"#, &mut nodes, None).unwrap();
        let raw = |text: &str| Path::parse(text).unwrap().find(&tree, 0).map(|id| tree.raw(id));
        assert_eq!(raw("$.a['b c'][0]"), Some("10"));
        assert_eq!(raw("$['a'][\"b c\"][1].d"), Some("\"x\""));
        assert_eq!(raw("$.n"), None);
        assert_eq!(raw("$.a.b"), None);
        assert_eq!(raw("$.a[0]"), None);
    }

    #[test]
    fn what_may_name_several_is_refused() {
        for text in ["", "a", "$..a", "$.*", "$[*]", "$[-1]", "$[0:1]", "$[?@.a]", "$['a'", "$[01]", "$.a b", "$[0", "$.1a"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_compiles_or_not(text in ".{0,30}") {
            let _ = Path::parse(&text);
        }
    }
}
