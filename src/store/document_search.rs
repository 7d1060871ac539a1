//! Which live documents may answer a search: SQL over keyed hashes, put together filter by filter.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Integer};

use super::documents::{code_hash, number, system_hash, target_hash, word_hash};
use super::{Conn, Tx};
use crate::access::Visible;
use crate::error::Result;
use crate::search::{Bounds, Criterion, Filter, System, Token, Type};
use crate::vault::Hasher;

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

    /// The access predicate of one alias. Every alias of a query that serves a caller has one.
    fn visible(&mut self, alias: &str, visible: &Visible) {
        match visible {
            Visible::All => self.text("1 = 1"),
            Visible::Patients(patients) if patients.is_empty() => self.text("1 = 0"),
            Visible::Patients(patients) => {
                self.text(&format!("{alias}.shelf IN (SELECT p.shelf FROM patient_shelf p WHERE p.patient IN ("));
                for (n, patient) in patients.iter().enumerate() {
                    self.text(if n > 0 { ", " } else { "" });
                    self.bytes(&patient.0);
                }
                self.text("))");
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
    pub bounds: Bounds,
    pub order: Order,
    pub descending: bool,
    /// The last place before this page: the sort key and, in order `Start`, the id, else the seq.
    pub after: Option<(i64, [u8; 16], i64)>,
    pub limit: i64,
}

/// Live documents that may match, in order.
pub fn find(tx: &mut Tx<'_>, index: &Hasher, ask: &Ask<'_>) -> Result<Vec<Found>> {
    let mut sql = Sql::default();
    sql.text(
        "SELECT k.shelf, k.id, k.version, k.seq, k.committed_at, k.lo, k.hi, d.body, s.wrapped FROM doc_key k \
         JOIN document d ON d.shelf = k.shelf AND d.type = k.type AND d.id = k.id AND d.version = k.version \
         JOIN shelf s ON s.shelf = k.shelf WHERE k.type = ",
    );
    sql.int(i64::from(number(ask.resource)));
    sql.text(" AND ");
    sql.visible("k", ask.visible);
    for (column, compare, value) in
        [("lo", ">=", ask.bounds.lo_min), ("lo", "<=", ask.bounds.lo_max), ("hi", ">=", ask.bounds.hi_min), ("hi", "<=", ask.bounds.hi_max)]
    {
        if let Some(value) = value {
            sql.text(&format!(" AND k.{column} {compare} "));
            sql.int(value);
        }
    }
    ask.filters.iter().for_each(|filter| exists(&mut sql, index, filter));
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
    sql.load(tx)
}

/// Any of the filter's criteria. Dates are bounds of the row; ids and the rest are hashes.
fn exists(sql: &mut Sql, index: &Hasher, filter: &Filter) {
    if filter.any.iter().any(|criterion| matches!(criterion, Criterion::Date(_) | Criterion::Identifier(_) | Criterion::Id(_))) {
        return id_in(sql, filter);
    }
    sql.text(" AND (");
    for (n, criterion) in filter.any.iter().enumerate() {
        sql.text(if n > 0 { " OR " } else { "" });
        match criterion {
            Criterion::Token(token) => token_exists(sql, index, filter.param, token),
            Criterion::Birth { tokens, .. } => {
                sql.text(
                    "EXISTS (SELECT 1 FROM doc_token t WHERE t.shelf = k.shelf AND t.type = k.type AND t.id = k.id AND t.code_hash IN (",
                );
                for (n, token) in tokens.iter().enumerate() {
                    sql.text(if n > 0 { ", " } else { "" });
                    sql.int(code_hash(index, filter.param, token));
                }
                sql.text("))");
            }
            Criterion::Reference(reference) => {
                sql.text("EXISTS (SELECT 1 FROM doc_reference r WHERE r.shelf = k.shelf AND r.type = k.type AND r.id = k.id AND r.target_hash = ");
                sql.int(target_hash(index, filter.param, reference.kind.unwrap_or("Patient"), &reference.id));
                sql.text(")");
            }
            Criterion::Text(text) => {
                let (length, word) = text.probe();
                sql.text("EXISTS (SELECT 1 FROM doc_word w WHERE w.shelf = k.shelf AND w.type = k.type AND w.id = k.id AND w.hash = ");
                sql.int(word_hash(index, filter.param, length, &word));
                sql.text(")");
            }
            Criterion::Date(_) | Criterion::Identifier(_) | Criterion::Id(_) => sql.text("1 = 1"),
        }
    }
    sql.text(")");
}

/// `_id`: documents have UUIDs; another spelling is the id of nothing.
fn id_in(sql: &mut Sql, filter: &Filter) {
    let mut ids = filter.any.iter().filter_map(|criterion| match criterion {
        Criterion::Id(id) => Some(crate::id::DocumentId::parse(id).map(|id| id.0)),
        _ => None,
    });
    if !filter.any.iter().all(|criterion| matches!(criterion, Criterion::Id(_))) {
        return;
    }
    sql.text(" AND k.id IN (");
    let none = [0u8; 16];
    sql.bytes(&none);
    for id in ids.by_ref().flatten() {
        sql.text(", ");
        sql.bytes(&id);
    }
    sql.text(")");
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
