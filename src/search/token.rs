//! R4 `token` parameters (https://hl7.org/fhir/R4/search.html#token).
//!
//! Codes are compared letter for letter: LOINC, UCUM and the FHIR code systems are case-sensitive
//! or know one case only, and a keyed hash can compare in no other way.

use std::borrow::Cow;

use super::escape::{escape, split, unescape};
use crate::id::is_uuid;

/// What the query says about the system of a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// `code`: whatever the system.
    Any,
    /// `|code`: only where no system is given.
    None,
    /// `system|code` and `system|`.
    Is(String),
}

/// One token; `code: None` is `system|`, which always has a system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub system: System,
    pub code: Option<String>,
}

impl Token {
    /// Reads `code`, `system|code`, `|code` or `system|`.
    pub(super) fn parse(text: &str) -> Option<Token> {
        let plain = |part: &str| unescape(part).filter(|plain| !plain.trim().is_empty());
        match split(text, '|').as_slice() {
            [code] => Some(Token { system: System::Any, code: Some(plain(code)?) }),
            ["", code] => Some(Token { system: System::None, code: Some(plain(code)?) }),
            [system, ""] => Some(Token { system: System::Is(plain(system)?), code: None }),
            [system, code] => Some(Token { system: System::Is(plain(system)?), code: Some(plain(code)?) }),
            _ => None,
        }
    }

    /// Is this coding, identifier or code meant?
    pub fn matches(&self, system: Option<&str>, code: &str) -> bool {
        let system_fits = match &self.system {
            System::Any => true,
            System::None => system.is_none(),
            System::Is(asked) => system == Some(asked),
        };
        system_fits && self.code.as_deref().is_none_or(|asked| asked == code)
    }

    /// The text that reads back as this token.
    pub(super) fn text(&self) -> String {
        let code = self.code.as_deref().map_or_else(String::new, escape);
        match &self.system {
            System::Any => code,
            System::None => format!("|{code}"),
            System::Is(system) => format!("{}|{code}", escape(system)),
        }
    }
}

/// An identifier's value as it is compared: a UUID has one spelling, whatever case it was written in.
pub fn folded(value: &str) -> Cow<'_, str> {
    if is_uuid(value) { value.to_ascii_lowercase().into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms() {
        let read = |text: &str| Token::parse(text).expect(text);
        assert!(read("a").matches(Some("s"), "a") && read("a").matches(None, "a") && !read("a").matches(None, "A"));
        assert!(read("|a").matches(None, "a") && !read("|a").matches(Some("s"), "a"));
        assert!(read("s|").matches(Some("s"), "a") && !read("s|").matches(None, "a"));
        assert!(read("s|a").matches(Some("s"), "a") && !read("s|a").matches(Some("t"), "a"));
        assert!(read(r"a\|b").matches(None, "a|b"));
        for text in ["a", "|a", "s|", "s|a", r"a\|b|c\,d"] {
            assert_eq!(read(text).text(), text);
        }
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "|", " ", "a|b|c", "||a", r"a\x"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
