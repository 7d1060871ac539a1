//! JSON Pointer (RFC 6901): a way down a tree.

use std::borrow::Cow;

use super::issue;
use super::purse::Purse;
use crate::fhir::validate::{Issue, Node, quoted};

pub(super) struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// What the last token of a pointer to an addition names in an array: RFC 6902 section 4.1.
pub(super) const BEHIND: &str = "-";

impl Pointer {
    /// Section 3 and 4. The error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Pointer, &'static str> {
        let mut tokens = Vec::new();
        if !text.is_empty() {
            let rest = text.strip_prefix('/').ok_or("A pointer is empty or starts with a slash.")?;
            for token in rest.split('/') {
                tokens.push(unescaped(token).ok_or("A ~ in a pointer is written ~0, and a / in a name ~1.")?.into_owned());
            }
        }
        Ok(Pointer { text: text.to_owned(), tokens })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The last token, and what is above it; None at the root.
    pub fn last(&self) -> Option<&str> {
        self.tokens.last().map(String::as_str)
    }

    /// Does it lead to something inside of what the other leads to?
    pub fn is_inside(&self, other: &Pointer) -> bool {
        self.tokens.len() > other.tokens.len() && self.tokens.starts_with(&other.tokens)
    }

    /// The text of its first tokens.
    fn upto(&self, count: usize) -> &str {
        self.text.match_indices('/').nth(count).map_or(&self.text, |(end, _)| &self.text[..end])
    }

    /// The value that its first tokens lead to.
    pub fn find<'n, 't>(&self, count: usize, root: &'n mut Node<'t>, purse: &mut Purse) -> Result<&'n mut Node<'t>, Issue> {
        let mut at = root;
        for (n, token) in self.tokens.iter().take(count).enumerate() {
            let nth = step(at, token, purse)?.map_err(|says| self.missing(n, says))?;
            let next = match at {
                Node::Object(it) => it.members.get_mut(nth).map(|(_, node)| node),
                Node::List(nodes) => nodes.get_mut(nth),
                _ => None,
            };
            at = next.ok_or_else(|| self.missing(n, String::new()))?;
        }
        Ok(at)
    }

    /// Nothing stands where the token leads.
    pub fn missing(&self, token: usize, why: String) -> Issue {
        let above = self.upto(token);
        let above = if above.is_empty() { "the resource".to_owned() } else { super::shown(above) };
        let says = format!("Nothing stands at the pointer; in {above} {why}.");
        issue("not-found", self.upto(token + 1), says, "Read the resource again and point to what is there.")
    }
}

/// The element that a pointer leads to, as FHIRPath: in a Patient `/name/0/given/-` is `Patient.name[0].given`.
pub(super) fn element(kind: &str, pointer: &str) -> String {
    let mut path = kind.to_owned();
    for token in pointer.split('/').skip(1).filter(|token| *token != BEHIND) {
        match index(token) {
            Some(at) => path.push_str(&format!("[{at}]")),
            // What stands beside a value is written with an underscore in JSON and is one element with it.
            None => path.push_str(&format!(".{}", unescaped(token.trim_start_matches('_')).unwrap_or_default())),
        }
    }
    path
}

/// `~1` is `/` and `~0` is `~`, in this order. None for another `~`.
fn unescaped(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let wrong = token.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    (!wrong).then(|| Cow::Owned(token.replace("~1", "/").replace("~0", "~")))
}

/// Section 4: digits without a leading zero.
pub(super) fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    token.parse().ok().filter(|_| plain)
}

/// Which member or entry a token names; else why there is none.
pub(super) fn step(node: &Node, token: &str, purse: &mut Purse) -> Result<Result<usize, String>, Issue> {
    Ok(match node {
        Node::Object(it) => {
            purse.spend(1 + it.members.len())?;
            it.members.iter().position(|(name, _)| name == token).ok_or_else(|| format!("no member is named {}", quoted(token)))
        }
        Node::List(_) if token == BEHIND => Err("- names the place behind the last entry".to_owned()),
        Node::List(nodes) => match index(token) {
            Some(at) if at < nodes.len() => Ok(at),
            Some(_) => Err(format!("are {} entries, counted from 0", nodes.len())),
            None => Err(format!("are entries, and {} is no index (0, 1, 2..)", quoted(token))),
        },
        other => Err(format!("stands {}, which has no members", other.kind())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6901 section 5.
    #[test]
    fn the_examples_of_rfc_6901() {
        let text = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        let mut root = crate::fhir::validate::read(text.as_bytes(), &Default::default()).unwrap();
        let mut found = |pointer: &str| {
            let pointer = Pointer::parse(pointer).unwrap();
            pointer.find(pointer.len(), &mut root, &mut Purse::new(0)).unwrap().clone()
        };
        assert_eq!(found("/foo").all().len(), 2);
        assert_eq!(found("/foo/0").text(), Some("bar"));
        for (n, pointer) in ["/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"].into_iter().enumerate() {
            assert_eq!(found(pointer), Node::Number(&n.to_string()), "{pointer}");
        }
        assert!(found("").object().is_some());
    }

    #[test]
    fn a_pointer_leads_to_an_element() {
        for (pointer, path) in [
            ("", "Patient"),
            ("/active", "Patient.active"),
            ("/name/0/given/-", "Patient.name[0].given"),
            ("/_birthDate/extension/1/url", "Patient.birthDate.extension[1].url"),
            ("/a~1b/01", "Patient.a/b.01"),
        ] {
            assert_eq!(element("Patient", pointer), path);
        }
    }

    #[test]
    fn what_is_no_pointer_or_index_is_refused() {
        for text in ["a", "a/b", "#/a", "/~", "/a~2", "/~~1", " /a"] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
        for text in ["01", "00", "-1", "-", "+1", "1.0", "1e0", "", " 1", "a", "99999999999999999999999", "\u{661}"] {
            assert_eq!(index(text), None, "{text}");
        }
        assert_eq!((index("0"), index("10")), (Some(0), Some(10)));
        assert_eq!(Pointer::parse("/~01").unwrap().last(), Some("~1"));
    }

    proptest! {
        #[test]
        fn any_name_can_be_pointed_to(name in ".{0,12}") {
            let pointer = Pointer::parse(&format!("/{}", name.replace('~', "~0").replace('/', "~1"))).unwrap();
            prop_assert_eq!(pointer.last(), Some(name.as_str()));
        }
    }
}
