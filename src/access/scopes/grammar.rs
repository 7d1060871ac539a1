//! One scope, read whole: `(patient|user|system)/(Type|*).(c?r?u?d?s?)(?param=value(&param=value)*)?`, or with `read`,
//! `write` or `*` in the place of the letters. Nothing before, between or behind is passed over.

use super::constraint::{By, Constraint, Offer, Offered};
use super::{Context, Form, Interaction, Scope};
use crate::access::DOCUMENTS;
use crate::error::{Error, Kind};

/// Why a scope is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no scope of SMART, or one that asks for what scopes here cannot say.
    Malformed(String),
    /// It is well written and asks for what is not here.
    NotServed(String),
}

impl Refusal {
    pub(super) fn why(&self) -> &str {
        match self {
            Refusal::Malformed(why) | Refusal::NotServed(why) => why,
        }
    }

    pub(super) fn of(&self, text: &str) -> Error {
        Error::new(Kind::Invalid, format!("scope '{}' {}; a scope looks like user/Observation.rs", clip(text), self.why())).at("scope")
    }
}

type Read<T> = std::result::Result<T, Refusal>;

fn malformed<T>(why: impl Into<String>) -> Read<T> {
    Err(Refusal::Malformed(why.into()))
}

/// A scope as it may be repeated: a client's own text, so neither long nor with control characters.
pub(super) fn clip(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// The scopes of a list. RFC 6749 section 3.3 has one blank between two; more say no more.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|token| !token.is_empty())
}

/// The types that are served.
pub(super) fn served() -> impl Iterator<Item = &'static str> {
    DOCUMENTS.iter().copied().chain(["AuditEvent"])
}

/// A scope that is well written; whether it can be had here is not asked yet.
#[derive(Debug)]
pub(super) struct Written<'t> {
    context: Context,
    resource: &'t str,
    letters: u8,
    form: Form,
    constraints: Vec<Pair<'t>>,
}

#[derive(Debug)]
struct Pair<'t> {
    param: &'t str,
    text: &'t str,
    value: String,
}

pub(super) fn read(text: &str) -> Read<Written<'_>> {
    // RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return malformed("has a character that no scope has (RFC 6749 section 3.3); percent-encode it in a value");
    }
    let Some((context, rest)) = text.split_once('/') else { return malformed("has no context") };
    let Some(context) = Context::ALL.into_iter().find(|known| known.name() == context) else {
        return malformed("has another context than patient, user or system");
    };
    let (head, query) = rest.split_once('?').map_or((rest, None), |(head, query)| (head, Some(query)));
    let Some((resource, asked)) = head.split_once('.') else { return malformed("has no interactions") };
    let named = resource.starts_with(|c: char| c.is_ascii_uppercase()) && resource.bytes().all(|byte| byte.is_ascii_alphabetic());
    if resource != "*" && !named {
        return malformed("names no resource type");
    }
    let v1 = Scope::V1.iter().find(|(word, _)| *word == asked);
    let (form, letters) = match v1 {
        Some(_) if query.is_some() => return malformed("is of SMART version 1, which knows no constraints; write the letters"),
        Some((_, letters)) => (Form::V1, *letters),
        None => (Form::V2, letters(asked)?),
    };
    let constraints = query.map_or_else(|| Ok(Vec::new()), |query| query.split('&').map(pair).collect())?;
    Ok(Written { context, resource, letters, form, constraints })
}

fn letters(asked: &str) -> Read<u8> {
    let (mut bits, mut last) = (0u8, 0u8);
    for letter in asked.chars() {
        let bit = Interaction::LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit as u8);
        let Some(bit) = bit.filter(|bit| *bit > last) else {
            return malformed("has interactions that are not c, r, u, d, s in this order, each once");
        };
        bits |= bit;
        last = bit;
    }
    if bits == 0 { malformed("has no interactions") } else { Ok(bits) }
}

/// Parameters that follow references or shape an answer: as constraints they would reach beyond the resource itself.
const BEYOND: [&str; 7] = ["_has", "_filter", "_include", "_revinclude", "_list", "_query", "_contained"];

/// One `param=value`. The specification calls modifiers, chains and `_filter` experimental.
fn pair(text: &str) -> Read<Pair<'_>> {
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

impl Written<'_> {
    pub(super) fn judged(self, offer: &Offer<'_>) -> Read<Scope> {
        let resource = match self.resource {
            "*" => None,
            named => match served().find(|known| *known == named) {
                None => return Err(Refusal::NotServed("names a resource type that is not served".into())),
                known => known,
            },
        };
        let constraints = self.constraints.iter().map(|pair| pair.judged(resource, offer)).collect::<Read<_>>()?;
        Ok(Scope { context: self.context, resource, letters: self.letters, form: self.form, constraints })
    }
}

impl Pair<'_> {
    /// With `*`, every type must have the parameter, or the scope would mean less than it says.
    fn judged(&self, resource: Option<&'static str>, offer: &Offer<'_>) -> Read<Constraint> {
        let by = match resource {
            Some(resource) => self.on(resource, offer)?,
            None => {
                let mut all = served().map(|resource| self.on(resource, offer)).collect::<Read<Vec<By>>>()?;
                all.dedup();
                let [by] = all[..] else {
                    return Err(Refusal::NotServed(format!("constrains {}, which is not the same on all types", self.param)));
                };
                by
            }
        };
        Ok(Constraint { param: self.param.into(), value: self.value.clone(), by, text: self.text.into() })
    }

    fn on(&self, resource: &str, offer: &Offer<'_>) -> Read<By> {
        let param = self.param;
        Err(match offer(resource, param, &self.value) {
            Offered::By(by) => return Ok(by),
            Offered::Nothing => Refusal::NotServed(format!("constrains {param}, which {resource} does not have here")),
            Offered::OtherKind => Refusal::NotServed(format!("constrains {param}, which is no token, reference or date of {resource}")),
            Offered::Unreadable(why) => Refusal::Malformed(format!("constrains {param} of {resource} by a value that is none: {why}")),
            Offered::NotEnforced => {
                Refusal::NotServed("has a constraint, and constraints are not enforced by this server; ask for it without the ?".into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::{Scopes, universe};
    use proptest::prelude::*;

    fn parse(text: &str) -> crate::error::Result<Scopes> {
        Scopes::granular(text, &universe::offer)
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let refused = parse(text).expect_err(text);
        assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::Invalid, Some("scope")), "{text}");
        assert!(refused.says().contains(why) && refused.says().contains(&clip(text)), "{text}: {}", refused.says());
    }

    #[test]
    fn bad_forms_are_refused_by_name_and_reason() {
        for (text, why) in [
            ("Observation.rs", "no context"),
            ("all/Observation.rs", "another context"),
            ("Patient/Observation.rs", "another context"),
            ("/Observation.rs", "another context"),
            ("patient%2fObservation.rs", "no context"),
            ("user/Observation", "no interactions"),
            ("user/Observation.", "no interactions"),
            ("user/Observation.?code=a", "no interactions"),
            ("user/Observation.sr", "in this order"),
            ("user/Observation.dus", "in this order"),
            ("user/Observation.rr", "each once"),
            ("user/Observation.RS", "in this order"),
            ("patient/*.RS", "in this order"),
            ("user/Observation.read-only", "in this order"),
            ("user/Observation.Read", "in this order"),
            ("user/Observation.rs,", "in this order"),
            ("user/Observation.rs.rs", "in this order"),
            ("user/Observation.**", "in this order"),
            ("user/observation.rs", "no resource type"),
            ("user/Obs*.rs", "no resource type"),
            ("user/.rs", "no resource type"),
            ("patient//*.rs", "no resource type"),
            ("patient/*/*.rs", "no resource type"),
            ("user/%4Fbservation.rs", "no resource type"),
            ("user/Observations.rs", "not served"),
            ("user/Immunization.rs", "not served"),
            ("user/DomainResource.rs", "not served"),
        ] {
            refused(text, why);
        }
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

    /// Every scope without constraints that there is.
    fn all_plain() -> Vec<String> {
        let mut all = Vec::new();
        for context in ["patient", "user", "system"] {
            for resource in served().chain(["*"]) {
                for bits in 1..32 {
                    let letters: String = "cruds".chars().enumerate().filter(|(n, _)| bits & (1 << n) != 0).map(|(_, c)| c).collect();
                    all.push(format!("{context}/{resource}.{letters}"));
                }
                all.extend(["read", "write", "*"].map(|word| format!("{context}/{resource}.{word}")));
            }
        }
        all
    }

    #[test]
    fn every_plain_scope_is_read_and_cut_or_stretched_only_what_is_one_again() {
        let all: std::collections::HashSet<String> = all_plain().into_iter().collect();
        assert_eq!(all.len(), 3 * 28 * 34);
        for scope in &all {
            assert_eq!(parse(scope).expect(scope).to_string(), *scope);
            for more in ["c", "r", "s", "x", "-", "*", ".", "/", "?", "&", "\t", "\u{a0}", "%", "%20", "\0"] {
                for stretched in [format!("{scope}{more}"), format!("{more}{scope}")] {
                    assert_eq!(parse(&stretched).is_ok(), all.contains(&stretched), "{stretched}");
                }
            }
            for cut in [&scope[1..], &scope[..scope.len() - 1]] {
                assert_eq!(parse(cut).is_ok(), all.contains(cut), "{cut}");
            }
        }
    }

    /// Texts near scopes, so that many are read.
    fn near() -> impl Strategy<Value = String> {
        let context = prop_oneof![9 => "patient|user|system", 1 => "[a-z%/]{0,4}"];
        let resource = prop_oneof![9 => "Observation|Patient|AuditEvent|[*]", 1 => "[A-Za-z*]{0,5}"];
        let letters = prop_oneof![9 => "c?r?u?d?s?|read|write|[*]", 1 => "[a-z*. -]{0,5}"];
        let value = prop_oneof![5 => "[a-z|,]{1,3}", 2 => "ge20[0-9]{2}|Patient/[a-z]", 2 => "(%[0-9a-fA-F]{2}){1,3}", 1 => "[!-~]{0,4}"];
        let param = prop_oneof![9 => "code|category|_id|_tag|date|subject|patient|action", 1 => "[a-z_.:]{0,6}"];
        let query = prop_oneof![
            1 => Just(String::new()),
            2 => prop::collection::vec((param, value), 1..3).prop_map(|pairs| {
                let pairs: Vec<String> = pairs.into_iter().map(|(param, value)| format!("{param}={value}")).collect();
                format!("?{}", pairs.join("&"))
            }),
        ];
        (context, resource, letters, query).prop_map(|(context, resource, letters, query)| format!("{context}/{resource}.{letters}{query}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn what_is_read_prints_back_to_the_letter(text in prop_oneof![9 => near(), 1 => any::<String>()]) {
            match parse(&text) {
                Ok(scopes) => {
                    let printed = scopes.to_string();
                    let blanks: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
                    prop_assert_eq!(&printed, &blanks.join(" "), "something before, between or behind was passed over");
                    prop_assert_eq!(parse(&printed).unwrap(), scopes);
                }
                Err(refused) => prop_assert!(refused.says().starts_with("scope '"), "{}", refused.says()),
            }
        }

        #[test]
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0..30usize) {
            let mut text = b"patient/Observation.rs?code=s%7Cc".to_vec();
            text.splice(at..at, bytes.iter().copied());
            for text in [&bytes, &text] {
                let text = String::from_utf8_lossy(text);
                let _ = (parse(&text), Scopes::parse(&text), super::super::Requested::parse(&text, &universe::offer));
            }
        }
    }
}
