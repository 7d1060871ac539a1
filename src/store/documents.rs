//! Documents: immutable versions, the live version's keys, and search rows of keyed hashes.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Integer};

use super::schema::{directory, doc_key, doc_reference, doc_token, doc_word, document};
use super::{Conn, Tx};
use crate::access::Visible;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::Shelf;
use crate::search::{Bounds, Criterion, Filter, IndexRow, System, Token, Type, string};
use crate::vault::{Hasher, Place};

/// The number of a resource type in every table; never changed.
pub const fn number(resource: Type) -> i16 {
    match resource {
        Type::Patient => 1,
        Type::Device => 2,
        Type::Observation => 3,
        Type::AuditEvent => 4,
    }
}

/// The place of a document's body.
pub fn body_place(shelf: Shelf, id: &[u8; 16], version: u32) -> Place<'_> {
    Place { kind: "document", shelf, id, version }
}

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub shelf: Shelf,
    pub resource: Type,
    pub id: [u8; 16],
}

/// A version as it is kept.
#[derive(Clone, Debug)]
pub struct Version {
    pub version: u32,
    pub committed_at: Millis,
    pub deleted: bool,
    pub body: Vec<u8>,
}

/// Makes the id known, so that a read without a patient finds the shelf.
pub fn directory_insert(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let row = (directory::type_.eq(number(key.resource)), directory::id.eq(key.id.as_slice()), directory::shelf.eq(key.shelf.0));
    on!(tx, c => diesel::insert_into(directory::table).values(row).execute(*c))?;
    Ok(())
}

pub fn directory_find(tx: &mut Tx<'_>, resource: Type, id: &[u8; 16]) -> Result<Option<Shelf>> {
    let shelf: Option<i64> = on!(tx, c => directory::table.find((number(resource), id.as_slice())).select(directory::shelf).first(*c).optional())?;
    Ok(shelf.map(Shelf))
}

/// The shelf of a document that the caller may see, and only then.
pub fn visible_shelf(tx: &mut Tx<'_>, visible: &Visible, shelf: Shelf) -> Result<bool> {
    match visible {
        Visible::All => Ok(true),
        Visible::Patients(patients) => Ok(super::keys::patient_of(tx, shelf)?.is_some_and(|patient| patients.contains(&patient))),
    }
}

type VersionRow = (i32, i64, bool, Vec<u8>);

/// The newest version, or the one that is named.
pub fn version(tx: &mut Tx<'_>, key: &Key, which: Option<u32>) -> Result<Option<Version>> {
    macro_rules! run {
        ($conn:expr) => {{
            let mut query = document::table
                .filter(document::shelf.eq(key.shelf.0).and(document::type_.eq(number(key.resource))).and(document::id.eq(key.id.as_slice())))
                .select((document::version, document::committed_at, document::deleted, document::body))
                .order(document::version.desc())
                .into_boxed();
            if let Some(which) = which {
                query = query.filter(document::version.eq(which as i32));
            }
            query.first::<VersionRow>($conn).optional()
        }};
    }
    let row = on!(tx, c => run!(*c))?;
    Ok(row.map(|(version, committed_at, deleted, body)| Version { version: version as u32, committed_at, deleted, body }))
}

/// The sort keys of a live version.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub version: u32,
    pub seq: i64,
    pub lo: Millis,
    pub hi: Millis,
}

/// Adds a version and makes it the live one with its search rows.
pub fn insert(tx: &mut Tx<'_>, key: &Key, live: Live, body: &[u8], rows: &[Hashed]) -> Result<()> {
    let at = tx.committed_at();
    let row = (
        (document::shelf.eq(key.shelf.0), document::type_.eq(number(key.resource)), document::id.eq(key.id.as_slice())),
        (document::version.eq(live.version as i32), document::seq.eq(live.seq), document::committed_at.eq(at), document::deleted.eq(false), document::body.eq(body)),
    );
    on!(tx, c => diesel::insert_into(document::table).values(row).execute(*c))?;
    let (shelf, number, id) = (key.shelf.0, number(key.resource), key.id.as_slice());
    if live.version > 1 {
        on!(tx, c => diesel::delete(doc_key::table.find((shelf, number, id))).execute(*c))?;
        on!(tx, c => diesel::delete(doc_token::table.filter(doc_token::shelf.eq(shelf).and(doc_token::type_.eq(number)).and(doc_token::id.eq(id)))).execute(*c))?;
        on!(tx, c => diesel::delete(doc_word::table.filter(doc_word::shelf.eq(shelf).and(doc_word::type_.eq(number)).and(doc_word::id.eq(id)))).execute(*c))?;
        on!(tx, c => diesel::delete(doc_reference::table.filter(doc_reference::shelf.eq(shelf).and(doc_reference::type_.eq(number)).and(doc_reference::id.eq(id)))).execute(*c))?;
    }
    let row = (
        (doc_key::shelf.eq(shelf), doc_key::type_.eq(number), doc_key::id.eq(id)),
        (doc_key::version.eq(live.version as i32), doc_key::seq.eq(live.seq), doc_key::committed_at.eq(at), doc_key::lo.eq(live.lo), doc_key::hi.eq(live.hi)),
    );
    on!(tx, c => diesel::insert_into(doc_key::table).values(row).execute(*c))?;
    for row in rows {
        match *row {
            Hashed::Token { system, code } => {
                let row = (doc_token::shelf.eq(shelf), doc_token::type_.eq(number), doc_token::id.eq(id), doc_token::system_hash.eq(system), doc_token::code_hash.eq(code));
                on!(tx, c => diesel::insert_into(doc_token::table).values(row).execute(*c))?;
            }
            Hashed::Word(hash) => {
                let row = (doc_word::shelf.eq(shelf), doc_word::type_.eq(number), doc_word::id.eq(id), doc_word::hash.eq(hash));
                on!(tx, c => diesel::insert_into(doc_word::table).values(row).execute(*c))?;
            }
            Hashed::Reference(target) => {
                let row = (doc_reference::shelf.eq(shelf), doc_reference::type_.eq(number), doc_reference::id.eq(id), doc_reference::target_hash.eq(target));
                on!(tx, c => diesel::insert_into(doc_reference::table).values(row).execute(*c))?;
            }
        }
    }
    Ok(())
}

/// A search row as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hashed {
    Token { system: i64, code: i64 },
    Word(i64),
    Reference(i64),
}

fn system_hash(index: &Hasher, param: &str, system: Option<&str>) -> i64 {
    index.hash("system", &[param.as_bytes(), system.unwrap_or("").as_bytes()])
}

fn code_hash(index: &Hasher, param: &str, code: &str) -> i64 {
    index.hash("code", &[param.as_bytes(), code.as_bytes()])
}

fn word_hash(index: &Hasher, param: &str, length: u8, word: &str) -> i64 {
    index.hash("word", &[param.as_bytes(), &[length], word.as_bytes()])
}

fn target_hash(index: &Hasher, param: &str, kind: &str, id: &str) -> i64 {
    index.hash("reference", &[param.as_bytes(), kind.as_bytes(), id.as_bytes()])
}

/// The kept form of search rows, each once. Dates of an Observation are `Live::lo` and `hi`.
pub fn hashed(index: &Hasher, rows: &[IndexRow]) -> Vec<Hashed> {
    let mut out: Vec<Hashed> = Vec::new();
    for row in rows {
        match row {
            IndexRow::Token { param, system, code } => {
                out.push(Hashed::Token { system: system_hash(index, param, system.as_deref()), code: code_hash(index, param, code) });
            }
            IndexRow::Text { param, normal } => {
                out.extend(string::prefixes(normal).iter().map(|(length, word)| Hashed::Word(word_hash(index, param, *length, word))));
            }
            IndexRow::Reference { param, kind, id } => out.push(Hashed::Reference(target_hash(index, param, kind, id))),
            IndexRow::Date { .. } => {}
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// SQL with its values, in the order in which both backends number them.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    binds: Vec<Bind>,
}

enum Bind {
    Int(i64),
    Bytes(Vec<u8>),
}

impl Sql {
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn int(&mut self, value: i64) {
        self.binds.push(Bind::Int(value));
        self.text.push_str(&format!("${}", self.binds.len()));
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.binds.push(Bind::Bytes(value.to_vec()));
        self.text.push_str(&format!("${}", self.binds.len()));
    }

    /// The access predicate of one alias. Every alias of a query that serves a caller has one.
    pub(super) fn visible(&mut self, alias: &str, visible: &Visible) {
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
    for (column, compare, value) in [("lo", ">=", ask.bounds.lo_min), ("lo", "<=", ask.bounds.lo_max), ("hi", ">=", ask.bounds.hi_min), ("hi", "<=", ask.bounds.hi_max)] {
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
                sql.text("EXISTS (SELECT 1 FROM doc_token t WHERE t.shelf = k.shelf AND t.type = k.type AND t.id = k.id AND t.code_hash IN (");
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
