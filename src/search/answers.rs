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
        let mut rows = self.rows.iter().filter(|row| row.param() == param);
        match criterion {
            Criterion::Id(id) => id == self.id,
            Criterion::Date(when) if param == "_lastUpdated" => when.matches(self.last_updated),
            Criterion::Date(when) => rows.any(|row| matches!(row, IndexRow::Date { range, .. } if when.matches(*range))),
            Criterion::Token(token) | Criterion::Identifier(token) => {
                rows.any(|row| matches!(row, IndexRow::Token { system, code, .. } if token.matches(system.as_deref(), code)))
            }
            Criterion::Birth { tokens, .. } => rows.any(|row| matches!(row, IndexRow::Token { code, .. } if tokens.contains(code))),
            Criterion::Reference(reference) => {
                rows.any(|row| matches!(row, IndexRow::Reference { kind, id, .. } if reference.matches(kind, id)))
            }
            Criterion::Text(text) => rows.any(|row| matches!(row, IndexRow::Text { text: value, .. } if text.matches(value))),
            Criterion::Uri(uri) => rows.any(|row| matches!(row, IndexRow::Token { code, .. } if code == uri)),
            // `Filter::holds` knows.
            Criterion::Missing(_) => false,
        }
    }
}
