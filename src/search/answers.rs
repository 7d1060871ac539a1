//! The index only proposes: whether an opened document answers a filter is decided here.

use super::date::DateRange;
use super::index::IndexRow;
use super::query::{Criterion, Filter};

/// What is judged: the document's index rows, and what the server knows of it.
pub struct Opened<'a> {
    pub id: &'a str,
    pub rows: &'a [IndexRow],
    pub last_updated: DateRange,
}

impl Opened<'_> {
    pub fn answers(&self, filter: &Filter) -> bool {
        let there = || self.rows.iter().any(|row| row.param() == filter.param);
        filter.holds(there, |criterion| self.meets(filter.param, criterion))
    }

    fn meets(&self, param: &str, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Id(id) => id == self.id,
            Criterion::Date(when) if param == "_lastUpdated" => when.matches(self.last_updated),
            _ => self.rows.iter().any(|row| row.param() == param && is_met(criterion, row)),
        }
    }
}

fn is_met(criterion: &Criterion, row: &IndexRow) -> bool {
    match (criterion, row) {
        (Criterion::Date(when), IndexRow::Date { range, .. }) => when.matches(*range),
        (Criterion::Token(token) | Criterion::Identifier(token), IndexRow::Token { system, code, .. }) => {
            token.matches(system.as_deref(), code)
        }
        (Criterion::Birth { tokens, .. }, IndexRow::Token { code, .. }) => tokens.contains(code),
        (Criterion::Uri(uri), IndexRow::Token { code, .. }) => code == uri,
        (Criterion::Reference(reference), IndexRow::Reference { kind, id, .. }) => reference.matches(kind, id),
        (Criterion::Text(text), IndexRow::Text { text: value, .. }) => text.matches(value),
        // Of what is missing `Filter::holds` knows.
        _ => false,
    }
}
