//! Name and value pairs to a `Query` (https://hl7.org/fhir/R4/search.html#Introduction).
//!
//! Nothing is silently ignored: what is not in the table of `params` is refused, or noted in
//! `ignored` when the client asked for lenient handling
//! (https://hl7.org/fhir/R4/search.html#errors). A malformed value is refused in both. All faults
//! are reported at once; words name parameters and never repeat values.

use super::birth::birthdate_tokens;
use super::date::When;
use super::escape::{split, unescape};
use super::params::{How, Param, Type};
use super::query::{Criterion, Filter, Query};
use super::reference::{Reference, is_id};
use super::result::{is_result, result};
use super::string::{Text, normal};
use super::token::{Token, folded};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};

/// `Prefer: handling=...`; strict is the default of this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    #[default]
    Strict,
    Lenient,
}

/// What reading a query depends on besides the query.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub handling: Handling,
    /// The absolute URL of `/fhir`, to know our own references.
    pub base: &'a str,
    /// For `ap`.
    pub now: Millis,
}

/// More pairs, or more values in all of them, than any honest query has.
const PAIRS_MAX: usize = 100;
const VALUES_MAX: usize = 200;

/// Reads the decoded pairs of a query string or form.
pub fn parse(resource: Type, pairs: &[(String, String)], terms: &Terms<'_>) -> Result<Query> {
    if let Some((name, _)) = pairs.get(PAIRS_MAX) {
        return Err(Error::new(Kind::Parameter, format!("a search takes at most {PAIRS_MAX} parameters")).at(clip(name)));
    }
    let mut query = Query::new(resource);
    let mut faults: Option<Error> = None;
    for (place, (name, value)) in pairs.iter().enumerate() {
        let read = if is_result(name) {
            let again = name != "_include" && pairs.iter().take(place).any(|(earlier, _)| earlier == name);
            if again { Err(Error::new(Kind::Parameter, format!("{name} is given twice"))) } else { result(&mut query, name, value) }
        } else {
            filter(&mut query, name, value, terms)
        };
        if let Err(fault) = read {
            let fault = fault.at(clip(name));
            match &mut faults {
                Some(first) => first.issues.extend(fault.issues),
                None => faults = Some(fault),
            }
        }
    }
    faults.map_or(Ok(query), Err)
}

/// A parameter that selects.
fn filter(query: &mut Query, name: &str, value: &str, terms: &Terms<'_>) -> Result<()> {
    let (bare, modifier) = match name.split_once(':') {
        Some((bare, modifier)) => (bare, Some(modifier)),
        None => (name, None),
    };
    let param = query.resource.search().param(bare);
    let known = param.and_then(|param| match modifier {
        None => Some((param, None)),
        Some(asked) => param.modifiers.iter().copied().find(|offered| *offered == asked).map(|offered| (param, Some(offered))),
    });
    let Some((param, modifier)) = known else {
        if terms.handling == Handling::Lenient {
            query.ignored.push(clip(name));
            return Ok(());
        }
        return Err(unknown(query.resource, name, param));
    };
    if value.is_empty() {
        return Err(empty());
    }
    let values = split(value, ',');
    if values.len() + query.filters.iter().map(|filter| filter.any.len()).sum::<usize>() > VALUES_MAX {
        return Err(Error::new(Kind::Parameter, format!("a search takes at most {VALUES_MAX} values")));
    }
    let any = values.into_iter().map(|value| criterion(param, modifier, value, terms)).collect::<Result<_>>()?;
    query.filters.push(Filter { param: param.name, not: modifier == Some("not"), any });
    Ok(())
}

fn criterion(param: &Param, modifier: Option<&'static str>, value: &str, terms: &Terms<'_>) -> Result<Criterion> {
    let malformed = |says: &str| Error::new(Kind::Parameter, says);
    if value.is_empty() {
        return Err(empty());
    }
    if modifier == Some("missing") {
        return match value {
            "true" => Ok(Criterion::Missing(true)),
            "false" => Ok(Criterion::Missing(false)),
            _ => Err(malformed("with :missing the value is true or false")),
        };
    }
    let plain = unescape(value).ok_or_else(|| malformed("a backslash may only stand before , | $ or another backslash"))?;
    let when =
        || When::parse(&plain, terms.now).ok_or_else(|| malformed("the value is not a prefix (eq ne gt lt ge le sa eb ap) and a date"));
    let token = || Token::parse(value).ok_or_else(|| malformed("the value is not code, system|code, |code or system|"));
    Ok(match param.how {
        How::Id if is_id(&plain) => Criterion::Id(plain),
        How::Id => return Err(malformed("the value is not an id")),
        How::Token => {
            let token = token()?;
            match token.code.as_deref() {
                Some(code) if param.is_identifier() => Criterion::Token(Token { code: Some(folded(code).into_owned()), ..token }),
                Some(code) if param.is_boolean() && !["true", "false"].contains(&code) => {
                    return Err(malformed("the value is true or false"));
                }
                _ => Criterion::Token(token),
            }
        }
        How::Date => Criterion::Date(when()?),
        How::BirthDate => {
            let when = when()?;
            Criterion::Birth { tokens: birthdate_tokens(when.prefix, when.range), when }
        }
        How::Reference if modifier == Some("identifier") => Criterion::Identifier(token()?),
        How::Reference => Criterion::Reference(Reference::parse(param, modifier, &plain, terms.base)?),
        How::Text => Criterion::Text(text(plain, modifier == Some("exact"))?),
        How::Uri => Criterion::Uri(plain),
    })
}

fn text(text: String, exact: bool) -> Result<Text> {
    match normal(&text).chars().count() {
        0 => Err(Error::new(Kind::Parameter, "the value has no letter")),
        1 if !exact => Err(Error::new(Kind::TooCostly, "one letter finds too many; give two or more, or use :exact")),
        _ => Ok(Text { text, exact }),
    }
}

fn unknown(resource: Type, name: &str, param: Option<&Param>) -> Error {
    let name = clip(name);
    Error::new(
        Kind::ParameterUnknown,
        match param {
            Some(param) => format!("{name}: this modifier is not offered on {}", param.name),
            None => format!("{name} is not a search parameter that is offered on {}", resource.name()),
        },
    )
}

pub(super) fn empty() -> Error {
    Error::new(Kind::Parameter, "the value is empty")
}

/// A name as it may be repeated: a client's own text, so neither long nor with control characters.
fn clip(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::params::{CURSOR, RESULT_PARAMS};
    use super::super::{Sort, SortKey, canonical, self_link_params};
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms<'static> = Terms { handling: Handling::Strict, base: "https://firth.example/fhir", now: 1_770_000_000_000 };

    fn read(resource: Type, query: &[(&str, &str)], handling: Handling) -> Result<Query> {
        let pairs: Vec<_> = query.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        parse(resource, &pairs, &Terms { handling, ..TERMS })
    }

    fn strict(query: &[(&str, &str)]) -> Result<Query> {
        read(Type::Observation, query, Handling::Strict)
    }

    #[test]
    fn an_ordinary_query() {
        let query = strict(&[
            ("patient", "Patient/p1"),
            ("code", "http://loinc.org|8867-4,8310-5"),
            ("date", "ge2026-01-01"),
            ("date", "lt2026-02-01"),
            ("_sort", "-date"),
            ("_count", "5000"),
            ("_include", "Observation:device"),
        ])
        .unwrap();
        assert_eq!(
            query.filters.iter().map(|filter| (filter.param, filter.any.len())).collect::<Vec<_>>(),
            [("patient", 1), ("code", 2), ("date", 1), ("date", 1)]
        );
        assert_eq!((query.count, query.sort), (1_000, Some(Sort { key: SortKey::Date, descending: true })));
        assert_eq!(
            canonical(&query),
            "code=8310-5,http://loinc.org%7C8867-4&date=ge2026-01-01&date=lt2026-02-01&patient=Patient/p1&_include=Observation:device&_sort=-date&_count=1000"
        );
        let bounds = query.bounds("date");
        assert_eq!((bounds.hi_min, bounds.lo_max), (Some(1_767_225_600_001), Some(1_769_903_999_999)));
    }

    #[test]
    fn a_malformed_value_is_refused_by_name() {
        for (name, value) in [
            ("date", "2011jasdlka-03-04"),
            ("date", "1980-13"),
            ("date", "1980-05-11T25:00Z"),
            ("date", "xx1980"),
            ("date", "ge"),
            ("date", ""),
            ("date", "2020,"),
            ("date", "1980-5-1"),
            ("date", "1980T10:00"),
            ("date", "0000"),
            ("date", "1980-05-11T10"),
            ("date", "1980-05-11T10:00+15:00"),
            ("_lastUpdated", "yesterday"),
            ("_count", "-1"),
            ("_count", "ten"),
            ("_count", ""),
            ("_sort", "code"),
            ("_sort", "date,-date"),
            ("_total", "all"),
            ("_include", "*"),
            ("_include", "Observation:performer"),
            ("patient", "Group/x"),
            ("patient", "http://ehr.example/fhir/Patient/1"),
            ("patient", "a b"),
            ("subject:Patient", "Group/x"),
            ("_id", "a/b"),
            ("code", "|"),
            ("code", "a|b|c"),
            ("code", r"a\x"),
            ("code", ",a"),
            ("_cursor", ""),
        ] {
            let error = read(Type::Observation, &[(name, value)], Handling::Lenient).unwrap_err();
            assert_eq!((error.kind, error.issues[0].at.as_deref()), (Kind::Parameter, Some(name)), "{name}={value}");
        }
    }

    #[test]
    fn the_unknown_is_refused_or_noted() {
        for name in [
            "foo",
            "",
            "code:in",
            "date:above",
            "_lastUpdated:missing",
            "patient.name",
            "patient:Device",
            "_has:Device:patient:status",
            "_summary",
            "_pretty",
            "_count:exact",
            "value-quantity",
            "name",
        ] {
            let error = strict(&[(name, "")]).unwrap_err();
            assert_eq!((error.kind, error.issues[0].at.as_deref()), (Kind::ParameterUnknown, Some(name)));
            let lenient = read(Type::Observation, &[(name, "x"), ("code", "y")], Handling::Lenient).unwrap();
            assert_eq!((lenient.ignored, lenient.filters.len()), (vec![name.to_owned()], 1));
        }
    }

    #[test]
    fn all_faults_at_once() {
        let error = strict(&[("date", "x"), ("foo", "1"), ("_count", "2"), ("_count", "3"), ("code", "ok")]).unwrap_err();
        assert_eq!(error.issues.iter().filter_map(|issue| issue.at.as_deref()).collect::<Vec<_>>(), ["date", "foo", "_count"]);
    }

    #[test]
    fn limits() {
        let many = |times: usize| vec![("code", "a,b,c,d,e,f,g,h,i,j,k"); times];
        assert!(strict(&many(18)).is_ok() && strict(&many(19)).is_err());
        assert!(strict(&vec![("foo", ""); 101]).unwrap_err().issues.len() == 1);
        assert_eq!(strict(&[("_count", "99999999999999999999")]).unwrap().count, 1_000);
        assert_eq!(strict(&[("_count", "0")]).unwrap().count, 0);
    }

    #[test]
    fn names_and_births() {
        let patient = |query: &[(&str, &str)]| read(Type::Patient, query, Handling::Strict);
        let error = patient(&[("name", "É")]).unwrap_err();
        assert_eq!((error.kind, error.issues[0].at.as_deref()), (Kind::TooCostly, Some("name")));
        assert!(patient(&[("name:exact", "É")]).is_ok());
        assert_eq!(patient(&[("name", "\u{301}")]).unwrap_err().kind, Kind::Parameter);
        let query = patient(&[("birthdate", "1980-05")]).unwrap();
        assert!(matches!(&query.filters[0].any[0], Criterion::Birth { tokens, .. } if tokens == &["1980-05"]));
    }

    #[test]
    fn a_blank_was_a_plus() {
        let query = strict(&[("date", "eq1980-05-11T16:32:15 02:00")]).unwrap();
        assert_eq!(canonical(&query), "date=1980-05-11T16:32:15%2B02:00&_count=50");
        assert_eq!(query, strict(&[("date", "1980-05-11T16:32:15+02:00")]).unwrap());
    }

    /// Names and values near the valid ones, so that many parse.
    fn pair() -> impl Strategy<Value = (String, String)> {
        let names: Vec<&'static str> = Type::ALL
            .iter()
            .flat_map(|resource| &resource.search().params)
            .map(|param| param.name)
            .chain(RESULT_PARAMS.iter().map(|param| param.name))
            .chain([CURSOR, "subject:Patient", "name:exact", "agent:identifier", "code:not", "date:missing"])
            .collect();
        let values = prop::sample::select(vec![
            "a",
            "Patient/x",
            "s|c",
            "|c",
            "s|",
            r"a\,b,c",
            "2020",
            "ge2020-01-31T10:00:00+01:00",
            "ap1970-01,ne1980",
            "date",
            "-_lastUpdated",
            "7",
            "accurate",
            "Observation:device:Device",
            "json",
            "ann,bob",
        ]);
        (
            prop_oneof![9 => prop::sample::select(names).prop_map(str::to_owned), 1 => any::<String>()],
            prop_oneof![9 => values.prop_map(str::to_owned), 1 => any::<String>(), 1 => "(eq|ge|x)?[0-9T:.Z+ -]{0,25}"],
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn any_pairs_parse_or_name_a_parameter(pairs in prop::collection::vec(pair(), 0..4), resource in prop::sample::select(Type::ALL), lenient: bool) {
            let handling = if lenient { Handling::Lenient } else { Handling::Strict };
            match parse(resource, &pairs, &Terms { handling, ..TERMS }) {
                Err(error) => prop_assert!(error.issues.iter().all(|issue| issue.at.is_some())),
                Ok(query) => {
                    let links = self_link_params(&query);
                    let again = parse(resource, &links, &TERMS).unwrap();
                    prop_assert_eq!(canonical(&again), canonical(&query));
                    prop_assert_eq!((again.filters.len(), again.count, again.sort, again.total), (query.filters.len(), query.count, query.sort, query.total));
                    let mut turned = pairs.clone();
                    turned.reverse();
                    prop_assert_eq!(canonical(&parse(resource, &turned, &Terms { handling, ..TERMS }).unwrap()), canonical(&query));
                }
            }
        }
    }
}
