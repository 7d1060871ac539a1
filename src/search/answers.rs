//! The index only proposes: whether an opened document answers a filter is decided here.

use serde_json::Value;

use super::date::DateRange;
use super::index::IndexRow;
use super::query::{Criterion, Filter};

/// What is judged: the document, its index rows, and what the server knows of it.
pub struct Opened<'a> {
    pub id: &'a str,
    pub document: &'a Value,
    pub rows: &'a [IndexRow],
    pub last_updated: DateRange,
}

impl Opened<'_> {
    /// Does any of the filter's criteria hold?
    pub fn answers(&self, filter: &Filter) -> bool {
        filter.any.iter().any(|criterion| self.meets(filter.param, criterion))
    }

    fn meets(&self, param: &str, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Id(id) => id == self.id,
            Criterion::Date(when) if param == "_lastUpdated" => when.matches(self.last_updated),
            Criterion::Date(when) => self.rows.iter().any(
                |row| matches!(row, IndexRow::Date { param: p, lo, hi } if *p == param && when.matches(DateRange { lo: *lo, hi: *hi })),
            ),
            Criterion::Token(token) | Criterion::Identifier(token) => self.rows.iter().any(
                |row| matches!(row, IndexRow::Token { param: p, system, code } if *p == param && token.matches(system.as_deref(), code)),
            ),
            Criterion::Birth { tokens, .. } => {
                self.rows.iter().any(|row| matches!(row, IndexRow::Token { param: p, code, .. } if *p == param && tokens.contains(code)))
            }
            Criterion::Reference(reference) => self
                .rows
                .iter()
                .any(|row| matches!(row, IndexRow::Reference { param: p, kind, id } if *p == param && reference.matches(kind, id))),
            Criterion::Text(text) => self.names(param).iter().any(|value| text.matches(value)),
        }
    }

    /// The texts of a Patient's string parameter, as written.
    fn names(&self, param: &str) -> Vec<&str> {
        let mut texts = Vec::new();
        for name in self.document["name"].as_array().into_iter().flatten() {
            for (part, params) in [
                ("family", ["family", "name"]),
                ("given", ["given", "name"]),
                ("text", ["name", ""]),
                ("prefix", ["name", ""]),
                ("suffix", ["name", ""]),
            ] {
                if params.contains(&param) {
                    let value = &name[part];
                    texts.extend(value.as_str());
                    texts.extend(value.as_array().into_iter().flatten().filter_map(Value::as_str));
                }
            }
        }
        texts
    }
}
