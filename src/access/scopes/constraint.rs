//! What stands behind the `?` of a scope: plain parameters of R4 search and their values.

use std::fmt;

/// The kinds of search parameters that a constraint may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Token,
    Reference,
    Date,
}

/// What this server says of `param=value` on a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    By(By),
    /// The type has no such parameter here.
    Nothing,
    /// A string, a URI, a number: not what a constraint may name.
    OtherKind,
    /// The value is none of the parameter's, and why.
    Unreadable(String),
    /// It could be answered, but not on every way to the resource.
    NotEnforced,
}

/// Type, parameter and decoded value to what is offered. `search` has the tables and stands beside this room, so who
/// stands above both hands them in.
pub type Offer<'a> = dyn Fn(&str, &str, &str) -> Offered + 'a;

/// The offer of a server whose ways to a resource do not look at constraints: none is granted, so that no token carries
/// what nothing enforces.
pub fn unenforced(_resource: &str, _param: &str, _value: &str) -> Offered {
    Offered::NotEnforced
}

/// One `param=value`: the resource has it, as a search would find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub(super) param: String,
    pub(super) value: String,
    pub(super) by: By,
    /// The value as it was asked, percent-encoded where it was.
    pub(super) text: String,
}

impl Constraint {
    pub fn param(&self) -> &str {
        &self.param
    }

    /// The value of R4 search, decoded; values with a comma between them are alternatives.
    pub fn value(&self) -> &str {
        &self.value
    }

    pub fn by(&self) -> By {
        self.by
    }

    /// Has each resource that meets this one also what `other` asks? Judged by the alternatives alone, so a no may be
    /// wrong and a yes is not.
    pub(super) fn implies(&self, other: &Constraint) -> bool {
        let wide = alternatives(&other.value);
        self.param == other.param && alternatives(&self.value).iter().all(|own| wide.contains(own))
    }
}

/// Does all of one list imply all of the other?
pub(super) fn all_imply(narrow: &[Constraint], wide: &[Constraint]) -> bool {
    wide.iter().all(|asked| narrow.iter().any(|own| own.implies(asked)))
}

/// Cut at each comma that no backslash guards (https://hl7.org/fhir/R4/search.html#escaping).
pub(super) fn alternatives(value: &str) -> Vec<&str> {
    let mut guarded = false;
    let cut = |letter: char| {
        let here = letter == ',' && !guarded;
        guarded = letter == '\\' && !guarded;
        here
    };
    value.split(cut).collect()
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.param, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::{Scopes, universe};

    #[test]
    fn a_token_carries_no_constraint_before_it_is_enforced() {
        let text = "user/Device.rs user/Observation.rs?category=laboratory";
        let refused = Scopes::parse(text).unwrap_err();
        assert!(
            refused.says().contains("'user/Observation.rs?category=laboratory'") && refused.says().contains("not enforced"),
            "{}",
            refused.says()
        );
        assert!(Scopes::granular(text, &universe::offer).is_ok());
    }

    #[test]
    fn a_guarded_comma_is_part_of_the_value() {
        assert_eq!(alternatives("a,b"), ["a", "b"]);
        assert_eq!(alternatives(r"a\,b,c"), [r"a\,b", "c"]);
        assert_eq!(alternatives(r"a\\,b"), [r"a\\", "b"]);
    }

    #[test]
    fn fewer_alternatives_imply_more() {
        let is = |value: &str| Constraint { param: "code".into(), value: value.into(), by: By::Token, text: value.into() };
        assert!(is("a").implies(&is("b,a")) && is("a,b").implies(&is("b,a")));
        assert!(!is("a,b").implies(&is("a")) && !is("b").implies(&is(r"a\,b")));
        assert!(!is("a").implies(&Constraint { param: "category".into(), ..is("a") }));
    }
}
