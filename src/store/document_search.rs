//! Which live documents may answer a search: SQL over keyed hashes, put together filter by filter.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Integer};

use super::document_rows::{code_hash, date_hash, system_hash, target_hash, word_hash};
use super::documents::id_bytes;
use super::schema::doc_token;
use super::{Conn, Tx};
use crate::access::Visible;
use crate::error::Result;
use crate::search::{Bounds, Criterion, Filter, Reference, System, Token, Type};
use crate::vault::{Hasher, Vault};

/// SQL with its values, in the order in which both backends number them.
#[derive(Default)]
struct Sql {
    text: String,
    binds: Vec<Bind>,
}

enum Bind {
    Int(i64),
    Bytes(Vec<u8>),
}

impl Sql {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn int(&mut self, value: i64) {
        self.binds.push(Bind::Int(value));
        self.text.push_str(&format!("${}", self.binds.len()));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.binds.push(Bind::Bytes(value.to_vec()));
        self.text.push_str(&format!("${}", self.binds.len()));
    }

    fn ints(&mut self, values: impl Iterator<Item = i64>) {
        // An empty list is no SQL; NULL is in nothing.
        self.text("NULL");
        for value in values {
            self.text(", ");
            self.int(value);
        }
    }

    /// The access predicate of one alias. Every alias of a query that serves a caller has one. A patient who was merged
    /// sees with the one into whom.
    fn visible(&mut self, alias: &str, visible: &Visible) {
        match visible {
            Visible::All => self.text("1 = 1"),
            Visible::Patients(patients) if patients.is_empty() => self.text("1 = 0"),
            Visible::Patients(patients) => {
                self.text(&format!(
                    "{alias}.shelf IN (SELECT p.shelf FROM patient_shelf p JOIN patient_shelf q ON q.patient = p.patient WHERE q.born IN ("
                ));
                for (n, patient) in patients.iter().enumerate() {
                    self.text(if n > 0 { ", " } else { "" });
                    self.bytes(&patient.0);
                }
                self.text("))");
            }
        }
    }

    /// That a range of two columns lies as the bounds say.
    fn within(&mut self, columns: (&str, &str), bounds: Bounds) {
        let (lo, hi) = columns;
        for (column, compare, value) in
            [(lo, ">=", bounds.lo_min), (lo, "<=", bounds.lo_max), (hi, ">=", bounds.hi_min), (hi, "<=", bounds.hi_max)]
        {
            if let Some(value) = value {
                self.text(&format!(" AND {column} {compare} "));
                self.int(value);
            }
        }
    }

    fn load(self, tx: &mut Tx<'_>) -> Result<Vec<Found>> {
        macro_rules! run {
            ($backend:ty, $conn:expr) => {{
                let mut query = sql_query(self.text).into_boxed::<$backend>();
                for bind in self.binds {
                    query = match bind {
                        Bind::Int(value) => query.bind::<BigInt, _>(value),
                        Bind::Bytes(value) => query.bind::<Binary, _>(value),
                    };
                }
                query.load::<Found>($conn)
            }};
        }
        match &mut tx.conn {
            Conn::Sqlite(c) => run!(diesel::sqlite::Sqlite, *c),
            Conn::Pg(c) => run!(diesel::pg::Pg, *c),
        }
        .map_err(super::failed)
    }
}

/// A live document that the index proposes; the opened body decides.
#[derive(Debug, QueryableByName)]
pub struct Found {
    #[diesel(sql_type = BigInt)]
    pub shelf: i64,
    #[diesel(sql_type = Binary)]
    pub id: Vec<u8>,
    #[diesel(sql_type = Integer)]
    pub version: i32,
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
    #[diesel(sql_type = BigInt)]
    pub committed_at: i64,
    #[diesel(sql_type = BigInt)]
    pub lo: i64,
    #[diesel(sql_type = BigInt)]
    pub hi: i64,
    #[diesel(sql_type = Binary)]
    pub body: Vec<u8>,
    #[diesel(sql_type = Binary)]
    pub wrapped: Vec<u8>,
}

/// In what order documents come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// (lo, id)
    Start,
    /// (committed_at, seq)
    Committed,
}

pub struct Ask<'a> {
    pub resource: Type,
    pub visible: &'a Visible,
    pub filters: &'a [Filter],
    /// What the filters on `date` demand together.
    pub bounds: Bounds,
    /// What those on `_lastUpdated` demand.
    pub committed: Bounds,
    pub order: Order,
    pub descending: bool,
    /// The last place before this page: the sort key and, in order `Start`, the id, else the seq.
    pub after: Option<(i64, [u8; 16], i64)>,
    pub limit: i64,
}

/// Live documents that may match, in order.
pub fn find(tx: &mut Tx<'_>, vault: &Vault, ask: &Ask<'_>) -> Result<Vec<Found>> {
    if absent(tx, vault.index(), ask)? {
        return Ok(Vec::new());
    }
    let mut sql = Sql::default();
    sql.text(
        "SELECT k.shelf, k.id, k.version, k.seq, k.committed_at, k.lo, k.hi, d.body, s.wrapped FROM doc_key k \
         JOIN document d ON d.shelf = k.shelf AND d.type = k.type AND d.id = k.id AND d.version = k.version \
         JOIN shelf s ON s.shelf = k.shelf ",
    );
    driven(&mut sql, vault, ask);
    sql.text("WHERE k.type = ");
    sql.int(i64::from(ask.resource.number()));
    sql.text(" AND ");
    sql.visible("k", ask.visible);
    sql.within(("k.lo", "k.hi"), ask.bounds);
    sql.within(("k.committed_at", "k.committed_at + 1"), ask.committed);
    ask.filters.iter().for_each(|filter| wanted(&mut sql, vault, ask.resource, filter));
    let (key, tie) = match ask.order {
        Order::Start => ("k.lo", "k.id"),
        Order::Committed => ("k.committed_at", "k.seq"),
    };
    let (compare, direction) = if ask.descending { ("<", "DESC") } else { (">", "ASC") };
    if let Some((at, id, seq)) = &ask.after {
        sql.text(&format!(" AND ({key} {compare} "));
        sql.int(*at);
        sql.text(&format!(" OR ({key} = "));
        sql.int(*at);
        sql.text(&format!(" AND {tie} {compare} "));
        match ask.order {
            Order::Start => sql.bytes(id),
            Order::Committed => sql.int(*seq),
        }
        sql.text("))");
    }
    sql.text(&format!(" ORDER BY {key} {direction}, {tie} {direction} LIMIT "));
    sql.int(ask.limit);
    let mut found = sql.load(tx)?;
    // A document that came back to a shelf is in the directory with it twice.
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// The one identifier that is asked for, if it is, as hashes of its system and its code. Without a system a document may
/// have it twice.
fn identifier(index: &Hasher, ask: &Ask<'_>) -> Option<(i64, i64)> {
    ask.filters.iter().find_map(|filter| match filter.any.as_slice() {
        [Criterion::Token(Token { system: System::Is(system), code: Some(code), .. })] if filter.param == "identifier" && !filter.not => {
            Some((system_hash(index, "identifier", Some(system)), code_hash(index, "identifier", code)))
        }
        _ => None,
    })
}

/// Has no document the identifier? Most who ask by one before they create ask in vain, and this question is prepared.
fn absent(tx: &mut Tx<'_>, index: &Hasher, ask: &Ask<'_>) -> Result<bool> {
    let Some((system, code)) = identifier(index, ask) else { return Ok(false) };
    let of = doc_token::type_.eq(ask.resource.number());
    let one = doc_token::table.filter(of.and(doc_token::code_hash.eq(code)).and(doc_token::system_hash.eq(system)));
    let found: Option<i64> = on!(tx, c => one.select(doc_token::shelf).first(*c).optional())?;
    Ok(found.is_none())
}

/// An identifier stands in few documents, and few point to one resource: they are found from those rows. Left to the
/// order of the page, the database would ask every document of the type whether it has it.
fn driven(sql: &mut Sql, vault: &Vault, ask: &Ask<'_>) {
    let index = vault.index();
    // The key begins with the shelf, which the directory knows; samples are not in it.
    let id = ask.filters.iter().filter(|_| ask.resource != Type::Observation).find_map(|filter| match filter.any.as_slice() {
        [Criterion::Id(id)] => Some(id_bytes(vault, ask.resource, id)),
        _ => None,
    });
    let pointing = ask.filters.iter().filter(|filter| !filter.not).find_map(|filter| match filter.any.as_slice() {
        [Criterion::Reference(Reference { kind: Some(kind), id })] => Some(target_hash(index, filter.param, kind, id)),
        _ => None,
    });
    if let Some((system, code)) = identifier(index, ask) {
        sql.text("JOIN doc_token i ON i.shelf = k.shelf AND i.type = k.type AND i.id = k.id AND i.type = ");
        sql.int(i64::from(ask.resource.number()));
        sql.text(" AND i.code_hash = ");
        sql.int(code);
        sql.text(" AND i.system_hash = ");
        sql.int(system);
        sql.text(" ");
    } else if let Some(id) = id {
        sql.text("JOIN directory i ON i.shelf = k.shelf AND i.type = k.type AND i.id = k.id AND i.type = ");
        sql.int(i64::from(ask.resource.number()));
        sql.text(" AND i.id = ");
        sql.bytes(&id);
        sql.text(" ");
    } else if let Some(target) = pointing {
        sql.text("JOIN doc_reference i ON i.shelf = k.shelf AND i.type = k.type AND i.id = k.id AND i.type = ");
        sql.int(i64::from(ask.resource.number()));
        sql.text(" AND i.target_hash = ");
        sql.int(target);
        sql.text(" ");
    }
}

/// Any of the filter's criteria, or none of them with `:not`.
fn wanted(sql: &mut Sql, vault: &Vault, resource: Type, filter: &Filter) {
    // These bound the row itself; a date with `:missing` is asked of the bits.
    if ["date", "_lastUpdated"].contains(&filter.param) && filter.any.iter().all(|criterion| matches!(criterion, Criterion::Date(_))) {
        return;
    }
    sql.text(if filter.not { " AND NOT (" } else { " AND (" });
    for (n, criterion) in filter.any.iter().enumerate() {
        sql.text(if n > 0 { " OR " } else { "" });
        one(sql, vault, (resource, filter.param), criterion);
    }
    sql.text(")");
}

fn one(sql: &mut Sql, vault: &Vault, of: (Type, &str), criterion: &Criterion) {
    let (index, (resource, param)) = (vault.index(), of);
    match criterion {
        Criterion::Id(id) => {
            sql.text("k.id = ");
            sql.bytes(&id_bytes(vault, resource, id));
        }
        Criterion::Token(token) => token_exists(sql, index, param, token),
        Criterion::Uri(uri) => token_exists(sql, index, param, &Token { system: System::None, code: Some(uri.clone()) }),
        Criterion::Birth { tokens, .. } => {
            sql.text("EXISTS (SELECT 1 FROM doc_token t WHERE t.shelf = k.shelf AND t.type = k.type AND t.id = k.id AND t.code_hash IN (");
            sql.ints(tokens.iter().map(|token| code_hash(index, param, token)));
            sql.text("))");
        }
        Criterion::Reference(reference) => {
            sql.text(
                "EXISTS (SELECT 1 FROM doc_reference r WHERE r.shelf = k.shelf AND r.type = k.type AND r.id = k.id AND r.target_hash IN (",
            );
            sql.ints(targets(resource, param, reference).into_iter().map(|kind| target_hash(index, param, kind, &reference.id)));
            sql.text("))");
        }
        Criterion::Text(text) => {
            let (length, word) = text.probe();
            sql.text("EXISTS (SELECT 1 FROM doc_word w WHERE w.shelf = k.shelf AND w.type = k.type AND w.id = k.id AND w.hash = ");
            sql.int(word_hash(index, param, length, &word));
            sql.text(")");
        }
        Criterion::Date(when) => {
            sql.text("EXISTS (SELECT 1 FROM doc_date x WHERE x.shelf = k.shelf AND x.type = k.type AND x.id = k.id AND x.param_hash = ");
            sql.int(date_hash(index, param));
            sql.within(("x.lo", "x.hi"), when.bounds());
            sql.text(")");
        }
        Criterion::Missing(missing) => {
            sql.text("(k.present & ");
            sql.int(resource.search().param(param).map_or(0, |param| 1i64 << param.bit));
            sql.text(if *missing { ") = 0" } else { ") <> 0" });
        }
        // No document has it.
        Criterion::Identifier(_) => sql.text("1 = 1"),
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

fn token_exists(sql: &mut Sql, index: &Hasher, param: &str, token: &Token) {
    sql.text("EXISTS (SELECT 1 FROM doc_token t WHERE t.shelf = k.shelf AND t.type = k.type AND t.id = k.id");
    let system = match &token.system {
        System::Any => None,
        System::None => Some(system_hash(index, param, None)),
        System::Is(system) => Some(system_hash(index, param, Some(system))),
    };
    if let Some(system) = system {
        sql.text(" AND t.system_hash = ");
        sql.int(system);
    } else if token.code.is_none() {
        sql.text(" AND 1 = 0");
    }
    if let Some(code) = &token.code {
        sql.text(" AND t.code_hash = ");
        sql.int(code_hash(index, param, code));
    }
    sql.text(")");
}
