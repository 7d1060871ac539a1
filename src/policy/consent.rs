//! What Consents withhold, as filters of search: so it is judged by the same values as everything else.

use std::sync::Arc;

use super::Withheld;
use crate::access::consent::{Coding, Fact, Group, Literal};
use crate::id::PatientId;
use crate::search::{Criterion, DateRange, Filter, How, Nanos, Prefix, System, Token, Type, When};

/// What is withheld of a type, in the words of its search parameters. What a parameter cannot ask counts as so.
pub(super) fn withheld(of: Type, group: &Group, patients: &Arc<[PatientId]>) -> Vec<Withheld> {
    let alternatives = group.any.iter().flat_map(|all| filters(of, all));
    alternatives.map(|filters| Withheld { patients: Some(Arc::clone(patients)), filters }).collect()
}

/// All of the literals must hold: as alternatives of filters that must.
fn filters(of: Type, all: &[Literal]) -> Vec<Vec<Filter>> {
    let mut alternatives = vec![Vec::new()];
    for literal in all {
        let either = match literal {
            Literal::May(fact) => may(of, fact),
            Literal::Not(fact) => vec![not(of, fact)],
        };
        let both = |one: &Vec<Filter>| either.iter().map(|more| [one.as_slice(), more.as_slice()].concat()).collect::<Vec<_>>();
        alternatives = alternatives.iter().flat_map(both).collect();
    }
    alternatives
}

/// Alternatives; one without filters says nothing, and none at all is never.
fn may(of: Type, fact: &Fact) -> Vec<Vec<Filter>> {
    match fact {
        Fact::Coded(codings) => {
            let each: Vec<Vec<Filter>> = coded(of).map(|param| vec![Filter::any(param, tokens(codings))]).collect();
            if each.is_empty() { vec![Vec::new()] } else { each }
        }
        Fact::Labelled(codings) => vec![vec![Filter::any("_security", tokens(codings))]],
        Fact::LabelledBy(systems) => {
            let label = |system: &Option<String>| match system {
                Some(system) => Criterion::Token(Token { system: System::Is(system.clone()), code: None }),
                None => Criterion::Missing(false),
            };
            vec![vec![Filter::any("_security", systems.iter().map(label).collect())]]
        }
        Fact::Dated(start, end) => {
            let mut filters = Vec::new();
            if has_date(of) {
                // Its range ends after the start, and begins before the end.
                let after = start.map(|start| (Prefix::Gt, DateRange { lo: nanos(start) - 1, hi: nanos(start) }));
                let before = end.map(|end| (Prefix::Lt, DateRange { lo: nanos(end), hi: nanos(end) + 1 }));
                let either = [after, before].into_iter().flatten();
                filters.extend(either.map(|date| Filter::any("date", vec![Criterion::Missing(true), when(date)])));
            }
            vec![filters]
        }
        Fact::Is(names) => {
            let ids = ids(of, names);
            if ids.is_empty() { Vec::new() } else { vec![vec![Filter::any("_id", ids)]] }
        }
    }
}

fn not(of: Type, fact: &Fact) -> Vec<Filter> {
    let none = |param, any| Filter { param, not: true, any };
    match fact {
        Fact::Coded(codings) => coded(of).map(|param| none(param, tokens(codings))).collect(),
        Fact::Labelled(codings) => vec![none("_security", tokens(codings))],
        Fact::LabelledBy(_) => Vec::new(),
        Fact::Dated(start, end) => {
            let range = DateRange { lo: start.map_or(DateRange::OPEN_LO, nanos), hi: end.map_or(DateRange::OPEN_HI, nanos) };
            if has_date(of) { vec![none("date", vec![when((Prefix::Eq, range))])] } else { Vec::new() }
        }
        Fact::Is(names) => {
            let ids = ids(of, names);
            if ids.is_empty() { Vec::new() } else { vec![none("_id", ids)] }
        }
    }
}

fn nanos(at: i64) -> Nanos {
    Nanos::from(at) * 1_000_000
}

fn when((prefix, range): (Prefix, DateRange)) -> Criterion {
    Criterion::Date(When { prefix, range, text: String::new() })
}

/// The parameters whose values are codes of a terminology.
fn coded(of: Type) -> impl Iterator<Item = &'static str> {
    let params = of.search().params.iter().filter(|param| param.how == How::Token && !param.name.starts_with('_'));
    params.filter(|param| param.paths.iter().any(|path| ["CodeableConcept", "Coding"].contains(&path.leaf))).map(|param| param.name)
}

fn has_date(of: Type) -> bool {
    of.search().param("date").is_some_and(|param| param.how == How::Date)
}

fn tokens(codings: &[Coding]) -> Vec<Criterion> {
    let one = |coding: &Coding| {
        let system = coding.system.clone().map_or(System::Any, System::Is);
        Criterion::Token(Token { system, code: Some(coding.code.clone()) })
    };
    codings.iter().map(one).collect()
}

fn ids(of: Type, names: &[String]) -> Vec<Criterion> {
    let id = |name: &String| name.split_once('/').filter(|(kind, _)| *kind == of.name()).map(|(_, id)| Criterion::Id(id.to_owned()));
    names.iter().filter_map(id).collect()
}
