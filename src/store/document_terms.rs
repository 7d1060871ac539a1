//! By which terms a criterion proposes documents. Pure.

use super::document_rows::{boolean_term, code_term, is_identifier, reference_term, system_term, word_terms};
use crate::search::{Criterion, Filter, Reference, System, Token, Type};
use crate::vault::Vault;

/// The terms, from and to, of which each document that answers has one. `None` when terms cannot tell.
pub(super) fn terms(vault: &Vault, of: Type, filter: &Filter) -> Option<Vec<(i64, i64)>> {
    if filter.not {
        return None;
    }
    let mut terms = Vec::new();
    for criterion in &filter.any {
        terms.extend(terms_of(vault, (of, filter.param), criterion)?);
    }
    Some(terms)
}

pub(super) fn terms_of(vault: &Vault, of: (Type, &str), criterion: &Criterion) -> Option<Vec<(i64, i64)>> {
    let (index, (resource, param)) = (vault.index(), of);
    let exactly = |terms: &[i64]| Some(terms.iter().map(|term| (*term, *term)).collect());
    match criterion {
        Criterion::Token(Token { system: System::Is(system), code: None }) => {
            if is_identifier(resource, param) {
                exactly(&[system_term(index, system)])
            } else {
                None
            }
        }
        Criterion::Token(Token { system, code: Some(code) }) => match (system, code.as_str()) {
            (System::Is(system), code) => exactly(&[code_term(index, param, (Some(system), code))]),
            (System::Any, "true" | "false") => exactly(&[boolean_term(index, param, code), code_term(index, param, (None, code))]),
            (_, code) => exactly(&[code_term(index, param, (None, code))]),
        },
        Criterion::Uri(uri) => exactly(&[code_term(index, param, (None, uri))]),
        Criterion::Birth { tokens, .. } => exactly(&tokens.iter().map(|token| code_term(index, param, (None, token))).collect::<Vec<_>>()),
        Criterion::Reference(reference) => {
            let kinds = targets(resource, param, reference).into_iter();
            exactly(&kinds.map(|kind| reference_term(index, kind, &reference.id)).collect::<Vec<_>>())
        }
        Criterion::Text(text) => word_terms(index, resource, text).map(|range| vec![range]),
        _ => None,
    }
}

/// The types that a reference may name; of a parameter that may point to anything, those that are served.
fn targets(resource: Type, param: &str, reference: &Reference) -> Vec<&'static str> {
    match reference.kind {
        Some(kind) => vec![kind],
        None => {
            let served = |kind: &&'static str| Type::parse(kind).is_some();
            let all = resource.search().param(param).map_or(&[][..], |param| &param.targets);
            all.iter().copied().filter(served).collect()
        }
    }
}
