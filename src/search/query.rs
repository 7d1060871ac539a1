//! What a search asks for, read once and in our words.

use super::date::{Bounds, When};
use super::escape::escape;
use super::params::{Include, Type};
use super::reference::Reference;
use super::string::Text;
use super::token::Token;

/// A search of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub resource: Type,
    /// All of them must hold.
    pub filters: Vec<Filter>,
    /// 0 asks for the total alone.
    pub count: u32,
    pub sort: Option<Sort>,
    pub total: Option<Total>,
    pub includes: Vec<Include>,
    /// The sealed cursor of a next link, as it came.
    pub cursor: Option<String>,
    /// Parameters that lenient handling left out.
    pub ignored: Vec<String>,
}

/// One parameter: any of the criteria will do, or with `:not` none of them may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub param: &'static str,
    pub not: bool,
    pub any: Vec<Criterion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criterion {
    Id(String),
    Token(Token),
    Date(When),
    /// A birth date; `tokens` are the index tokens (see `birth`) of which a match has one.
    Birth {
        when: When,
        tokens: Vec<String>,
    },
    Reference(Reference),
    /// `:identifier` on a reference.
    Identifier(Token),
    Text(Text),
    Uri(String),
    /// `:missing`: true wants what has no value.
    Missing(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    Date,
    LastUpdated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Total {
    None,
    Estimate,
    Accurate,
}

impl Query {
    /// `_count` unless given, and its ceiling.
    pub const COUNT: u32 = 50;
    pub const COUNT_MAX: u32 = 1_000;

    pub fn new(resource: Type) -> Query {
        let (filters, includes, ignored) = (Vec::new(), Vec::new(), Vec::new());
        Query { resource, filters, count: Self::COUNT, sort: None, total: None, includes, cursor: None, ignored }
    }

    /// The filters on one parameter.
    pub fn filters_on<'a>(&'a self, param: &'a str) -> impl Iterator<Item = &'a Filter> {
        self.filters.iter().filter(move |filter| filter.param == param)
    }

    /// What all date filters on `param` together demand of a resource's range.
    pub fn bounds(&self, param: &str) -> Bounds {
        self.filters_on(param).map(Filter::bounds).fold(Bounds::default(), Bounds::and)
    }
}

impl Filter {
    /// That a parameter has any of the values.
    pub fn any(param: &'static str, any: Vec<Criterion>) -> Filter {
        Filter { param, not: false, any }
    }

    /// Does it hold of something that `meets` a criterion or not, and has (`there`) a value or not?
    pub fn holds(&self, there: impl Fn() -> bool, meets: impl Fn(&Criterion) -> bool) -> bool {
        let any = self.any.iter().any(|criterion| match criterion {
            Criterion::Missing(missing) => there() != *missing,
            criterion => meets(criterion),
        });
        any != self.not
    }

    fn bounds(&self) -> Bounds {
        let dates = self.any.iter().map(|criterion| match criterion {
            Criterion::Date(when) => when.bounds(),
            _ => Bounds::default(),
        });
        dates.reduce(Bounds::or).unwrap_or_default()
    }
}

impl Criterion {
    fn text(&self) -> String {
        match self {
            Criterion::Id(id) => id.clone(),
            Criterion::Token(token) | Criterion::Identifier(token) => token.text(),
            Criterion::Date(when) | Criterion::Birth { when, .. } => when.said(),
            Criterion::Reference(reference) => reference.text(),
            Criterion::Text(text) => escape(&text.text),
            Criterion::Uri(uri) => escape(uri),
            Criterion::Missing(missing) => missing.to_string(),
        }
    }
}

impl Sort {
    const fn text(self) -> &'static str {
        match (self.key, self.descending) {
            (SortKey::Date, false) => "date",
            (SortKey::Date, true) => "-date",
            (SortKey::LastUpdated, false) => "_lastUpdated",
            (SortKey::LastUpdated, true) => "-_lastUpdated",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Sort> {
        let all = [SortKey::Date, SortKey::LastUpdated].map(|key| [false, true].map(|descending| Sort { key, descending }));
        all.into_iter().flatten().find(|sort| sort.text() == text)
    }
}

impl Total {
    pub(super) const ALL: [Total; 3] = [Total::None, Total::Estimate, Total::Accurate];

    pub const fn text(self) -> &'static str {
        match self {
            Total::None => "none",
            Total::Estimate => "estimate",
            Total::Accurate => "accurate",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Total> {
        Total::ALL.into_iter().find(|total| total.text() == text)
    }
}

/// The parameters that were used, for the self link (https://hl7.org/fhir/R4/search.html#conformance):
/// not the cursor, not what was ignored. They parse to the same query; their order is fixed.
pub fn self_link_params(query: &Query) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = query.filters.iter().map(pair).collect();
    pairs.sort();
    let mut say = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    for include in query.resource.search().includes.iter().filter(|include| query.includes.contains(include)) {
        say("_include", include.text);
    }
    if let Some(sort) = query.sort {
        say("_sort", sort.text());
    }
    if let Some(total) = query.total {
        say("_total", total.text());
    }
    say("_count", &query.count.to_string());
    pairs
}

fn pair(filter: &Filter) -> (String, String) {
    let modifier = match filter.any.first() {
        Some(Criterion::Text(text)) if text.exact => ":exact",
        Some(Criterion::Identifier(_)) => ":identifier",
        Some(Criterion::Missing(_)) => ":missing",
        _ if filter.not => ":not",
        _ => "",
    };
    let mut values: Vec<String> = filter.any.iter().map(Criterion::text).collect();
    values.sort();
    (format!("{}{modifier}", filter.param), values.join(","))
}

/// One text for one query whatever the order it was asked in: a query string without the cursor.
/// It is the self link's query, what a cursor is bound to, and what the audit entry holds.
pub fn canonical(query: &Query) -> String {
    joined(&self_link_params(query))
}

/// What selects, and nothing of what shapes the answer: one text for the criteria of a conditional interaction.
pub fn criteria(query: &Query) -> String {
    let mut pairs: Vec<(String, String)> = query.filters.iter().map(pair).collect();
    pairs.sort();
    joined(&pairs)
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// Percent-encodes what RFC 3986 does not allow in a query, and what forms read otherwise.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
