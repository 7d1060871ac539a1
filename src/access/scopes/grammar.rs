//! One scope, read whole: `(patient|user|system)/(Type|*).(c?r?u?d?s?)(?param=value(&param=value)*)?`, or with `read`,
//! `write` or `*` in the place of the letters. Nothing before, between or behind is passed over.

use super::constraint::{Offer, Pair, pair};
use super::{Context, Form, Interaction, Scope};
use crate::access::DOCUMENTS;
use crate::error::{Error, Kind};

/// Why a scope is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no scope of SMART, or has a constraint that cannot be enforced here.
    Malformed(String),
    /// It is well written and names what is not here: nothing of it is granted.
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

pub(super) type Read<T> = std::result::Result<T, Refusal>;

pub(super) fn malformed<T>(why: impl Into<String>) -> Read<T> {
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
    pub(super) context: Context,
    resource: &'t str,
    letters: u8,
    pub(super) form: Form,
    constraints: Vec<Pair<'t>>,
}

pub(super) fn read(text: &str) -> Read<Written<'_>> {
    // RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return malformed("has a character that no scope has (RFC 6749 section 3.3); percent-encode it in a value");
    }
    let Some((context, rest)) = text.split_once('/') else { return malformed("has no context") };
    let Some(context) = Context::named(context) else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scopes::Scopes;
    use crate::access::scopes::universe::{offer, parse, refused};
    use proptest::prelude::*;

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
    fn the_types_are_those_that_can_be_searched() {
        let mut searched: Vec<&str> = crate::search::Type::ALL.iter().map(|resource| resource.name()).collect();
        let mut all: Vec<&str> = served().collect();
        searched.sort_unstable();
        all.sort_unstable();
        assert_eq!(all, searched);
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
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0..33usize, end in 0..100usize) {
            let mut text = b"patient/Observation.rs?code=s%7Cc".to_vec();
            text.splice(at..at, bytes.iter().take(end % 3).copied());
            text.truncate(end);
            for text in [&bytes, &text] {
                let text = String::from_utf8_lossy(text);
                let _ = (parse(&text), Scopes::parse(&text), super::super::Requested::parse(&text, &offer));
            }
        }
    }
}
