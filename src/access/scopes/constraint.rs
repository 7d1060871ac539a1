//! What stands behind the `?` of a scope: plain parameters of R4 search and their values.

use std::fmt;

use super::grammar::{Read, malformed, served};

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
}

/// Type, parameter and decoded value to what is offered. `search` has the tables and stands beside this room, so who
/// stands above both hands them in.
pub type Offer<'a> = dyn Fn(&str, &str, &str) -> Offered + 'a;

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

/// One `param=value` that is well written.
#[derive(Debug)]
pub(super) struct Pair<'t> {
    param: &'t str,
    text: &'t str,
    value: String,
}

/// Parameters that follow references or shape an answer: as constraints they would reach beyond the resource itself.
const BEYOND: [&str; 7] = ["_has", "_filter", "_include", "_revinclude", "_list", "_query", "_contained"];

/// One `param=value`. The specification calls modifiers, chains and `_filter` experimental.
pub(super) fn pair(text: &str) -> Read<Pair<'_>> {
    let Some((param, value)) = text.split_once('=') else {
        return malformed(if text.is_empty() { "has an empty constraint" } else { "has a constraint without a value" });
    };
    let (bare, _) = param.split_once([':', '.']).unwrap_or((param, ""));
    if BEYOND.contains(&bare) {
        return malformed(format!("has {bare}, which is no constraint on the resource itself"));
    }
    if param.contains(':') {
        return malformed("has a modifier, which constraints do not take");
    }
    if param.contains('.') {
        return malformed("has a chain, which constraints do not take");
    }
    if param.is_empty() || !param.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return malformed("has a constraint whose name is none of a parameter");
    }
    if value.is_empty() {
        return malformed(format!("has an empty value of {param}"));
    }
    let Some(plain) = decode(value) else {
        return malformed(format!("has a value of {param} that is not percent-encoded UTF-8 text; = ? # and + stand as %3D %3F %23 %2B"));
    };
    Ok(Pair { param, text: value, value: plain })
}

/// Decodes once. Characters that mean something else in a query or in a form are refused where they stand bare: two
/// readers would read two values.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'=' | b'?' | b'#' | b'+' => return None,
            b'%' => {
                let ([high, low], after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|plain| !plain.contains(char::is_control))
}

impl Pair<'_> {
    /// With `*`, every type must have the parameter, or the scope would mean less than it says.
    pub(super) fn judged(&self, resource: Option<&'static str>, offer: &Offer<'_>) -> Read<Constraint> {
        let by = match resource {
            Some(resource) => self.on(resource, offer)?,
            None => {
                let mut all = served().map(|resource| self.on(resource, offer)).collect::<Read<Vec<By>>>()?;
                all.dedup();
                let [by] = all[..] else {
                    return malformed(format!("constrains {}, which is not the same on all types", self.param));
                };
                by
            }
        };
        Ok(Constraint { param: self.param.into(), value: self.value.clone(), by, text: self.text.into() })
    }

    fn on(&self, resource: &str, offer: &Offer<'_>) -> Read<By> {
        let param = self.param;
        malformed(match offer(resource, param, &self.value) {
            Offered::By(by) => return Ok(by),
            Offered::Nothing => format!("constrains {param}, which {resource} does not have here"),
            Offered::OtherKind => format!("constrains {param}, which is no token, reference or date of {resource}"),
            Offered::Unreadable(why) => format!("constrains {param} of {resource} by a value that is none: {why}"),
        })
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
    use crate::access::scopes::universe::{parse, refused};

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

    #[test]
    fn bad_constraints_are_refused_by_name_and_reason() {
        for (query, why) in [
            ("", "an empty constraint"),
            ("active", "without a value"),
            ("code", "without a value"),
            ("code=", "an empty value of code"),
            ("=a", "none of a parameter"),
            ("code=a&", "an empty constraint"),
            ("&code=a", "an empty constraint"),
            ("code=a&&code=b", "an empty constraint"),
            ("code:in=http://x", "a modifier"),
            ("code:not=a", "a modifier"),
            ("code:missing=true", "a modifier"),
            ("subject:Patient=x", "a modifier"),
            ("subject.name=x", "a chain"),
            ("subject:Patient.name=x", "a modifier"),
            ("_has:Provenance:target:agent=x", "_has"),
            ("_filter=code%20eq%20a", "_filter"),
            ("_include=Observation:subject", "_include"),
            ("_include:iterate=Observation:subject", "_include"),
            ("_revinclude=Provenance:target", "_revinclude"),
            ("_count=1", "does not have here"),
            ("_sort=date", "does not have here"),
            ("_cursor=x", "does not have here"),
            ("name=ann", "does not have here"),
            ("Code=a", "does not have here"),
            ("_profile=http://x", "no token, reference or date"),
            ("_source=http://x", "no token, reference or date"),
            ("co%64e=a", "none of a parameter"),
            ("code=a=b", "percent-encoded"),
            ("code=a?b", "percent-encoded"),
            ("code=a#b", "percent-encoded"),
            ("code=a+b", "percent-encoded"),
            ("code=%", "percent-encoded"),
            ("code=%4", "percent-encoded"),
            ("code=%4g", "percent-encoded"),
            ("code=%+4", "percent-encoded"),
            ("code=%ff", "percent-encoded"),
            ("code=a%00", "percent-encoded"),
            ("code=a%0A", "percent-encoded"),
            ("code=a,", "a value that is none"),
            ("code=a|b|c", "a value that is none"),
            ("code=%20", "a value that is none"),
            ("date=yesterday", "a value that is none"),
            ("subject=Organization/x", "a value that is none"),
            ("code=\u{e9}", "no scope has"),
            ("code=\"a\"", "no scope has"),
            (r"code=a\,b", "no scope has"),
            ("code=a\tb", "no scope has"),
        ] {
            refused(&format!("user/Observation.rs?{query}"), why);
        }
        refused("user/Observation.read?code=a", "version 1");
        refused("user/Observation.*?code=a", "version 1");
    }

    #[test]
    fn a_wildcard_is_constrained_by_what_every_type_has() {
        assert!(parse("patient/*.rs?_id=a&_lastUpdated=ge2026").is_ok());
        refused("patient/*.rs?_security=R", "AuditEvent does not have here");
        refused("patient/*.rs?category=laboratory", "does not have here");
        assert!(parse("patient/Observation.rs?_security=R&_tag=a").is_ok());
        refused("system/AuditEvent.rs?_security=R", "does not have here");
    }

    #[test]
    fn a_value_is_decoded_once() {
        for (text, value) in [
            ("s|c", "s|c"),
            ("s%7Cc", "s|c"),
            ("a%2526b", "a%26b"),
            ("a%26b%3Dc", "a&b=c"),
            ("%C3%A9", "\u{e9}"),
            ("a%5C%2Cb", r"a\,b"),
            ("a,b", "a,b"),
        ] {
            let scopes = parse(&format!("user/Observation.rs?code={text}")).unwrap();
            assert_eq!(scopes.0[0].constraints[0].value(), value);
        }
    }

    #[test]
    fn kinds_of_parameters_are_told_apart() {
        let scopes = parse("user/Observation.rs?code=a&date=2026&subject=Patient/x&_id=a").unwrap();
        let kinds: Vec<By> = scopes.0[0].constraints.iter().map(Constraint::by).collect();
        assert_eq!(kinds, [By::Token, By::Date, By::Reference, By::Token]);
        assert_eq!(parse("user/Patient.rs?birthdate=1980").unwrap().0[0].constraints[0].by(), By::Date);
    }
}
