//! Which live documents may answer a search: SQL over terms, put together filter by filter.
//!
//! Two ways lead to a page. Common terms are met in the order of the page: each document is asked whether it has them. Of
//! a rare one the few documents that have it are fetched and put in order.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Integer};

use super::document_rows::date_hash;
use super::document_terms::{terms, terms_of};
use super::documents::id_bytes;
use super::schema::doc_term;
use super::waiting::Waiting;
use super::{Conn, Tx};
use crate::error::Result;
use crate::id::PatientId;
use crate::policy::Visible;
use crate::search::{Bounds, Criterion, Filter, Type};
use crate::vault::Vault;

/// SQL with its values, in the order in which both backends number them.
#[derive(Default)]
struct Sql {
    text: String,
    binds: Vec<Bind>,
    /// Documents of the type whose terms are not in the table yet.
    waiting: Waiting,
}

enum Bind {
    Int(i64),
    Bytes(Vec<u8>),
}

/// As many patients who withhold everything are left out by the database itself.
const MANY: usize = 1_000;

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

    /// `before` up to the condition that a term `t` of the type is any of these, from and to.
    fn among(&mut self, before: &str, of: Type, terms: &[(i64, i64)]) {
        self.text(&format!("{before}t.type = {} AND (", of.number()));
        if terms.is_empty() {
            self.text("1 = 0");
        }
        for (n, (from, to)) in terms.iter().enumerate() {
            self.text(if n > 0 { " OR " } else { "" });
            if from == to {
                self.text("t.hash = ");
                self.int(*from);
            } else {
                self.text("t.hash BETWEEN ");
                self.int(*from);
                self.text(" AND ");
                self.int(*to);
            }
        }
        self.text(")");
    }

    /// The numbers of those that wait and have any of the terms, after `before`; nothing when there is none.
    fn waiting(&mut self, terms: &[(i64, i64)], (before, between, after): (&str, &str, &str)) {
        let docs: Vec<String> = self.waiting.having(terms).iter().map(ToString::to_string).collect();
        if !docs.is_empty() {
            self.text(&format!("{before}{}{after}", docs.join(between)));
        }
    }

    /// The access predicate of one alias. Every alias of a query that serves a caller has one. A patient who was merged
    /// sees with the one into whom.
    fn visible(&mut self, alias: &str, visible: &Visible) {
        match visible.patients() {
            None => self.text("1 = 1"),
            Some(patients) => self.of_patients(alias, patients),
        }
        // The opened document is judged all the same; a statement may not grow with those who withhold.
        let whole: Vec<PatientId> = visible.withheld_whole().take(MANY).collect();
        if !whole.is_empty() {
            self.text(" AND NOT (");
            self.of_patients(alias, &whole);
            self.text(")");
        }
    }

    fn of_patients(&mut self, alias: &str, patients: &[PatientId]) {
        if patients.is_empty() {
            return self.text("1 = 0");
        }
        self.text(&format!(
            "{alias}.shelf IN (SELECT p.shelf FROM patient_shelf p JOIN patient_shelf q ON q.patient = p.patient WHERE q.born IN ("
        ));
        for (n, patient) in patients.iter().enumerate() {
            self.text(if n > 0 { ", " } else { "" });
            self.bytes(&patient.0);
        }
        self.text("))");
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

/// The fewest documents that one of the filters leaves.
#[derive(Clone, Debug, Default)]
pub struct Rare {
    /// Terms, from and to, of which each document that answers has one.
    terms: Option<Vec<(i64, i64)>>,
    /// No document has any of them.
    pub nothing: bool,
}

/// So many documents are fetched and put in order; more are asked one by one in the order of the page.
const FEW: i64 = 4_096;

/// Numbers as further rows of a SELECT.
const UNITED: (&str, &str, &str) = (" UNION ALL VALUES (", "), (", ")");

/// Finds out, once for a search, which filter is best begun with. Who sees the documents of a few Patients only begins with
/// their shelves.
pub fn rarest(tx: &mut Tx<'_>, vault: &Vault, ask: &Ask<'_>) -> Result<Rare> {
    let mut rare = Rare::default();
    if ask.visible.patients().is_some() {
        return Ok(rare);
    }
    let mut fewest = FEW;
    let waiting = Waiting::of(tx, ask.resource)?;
    for filter in ask.filters {
        let Some(terms) = terms(vault, ask.resource, filter) else { continue };
        let mut count = (waiting.having(&terms).len() as i64).min(fewest);
        for (from, to) in &terms {
            count += count_terms(tx, ask.resource, (*from, *to), fewest - count)?;
        }
        if count < fewest {
            fewest = count;
            rare = Rare { terms: Some(terms), nothing: count == 0 };
        }
        if count == 0 {
            break;
        }
    }
    Ok(rare)
}

/// How many there are, as far as `most`. The question is prepared: most who ask by an identifier before they create ask
/// in vain.
fn count_terms(tx: &mut Tx<'_>, of: Type, range: (i64, i64), most: i64) -> Result<i64> {
    let all = doc_term::table.filter(doc_term::hash.between(range.0, range.1).and(doc_term::type_.eq(of.number())));
    let docs: Vec<i64> = on!(tx, c => all.select(doc_term::doc).limit(most).load(*c))?;
    Ok(docs.len() as i64)
}

/// Live documents that may match, in order.
pub fn find(tx: &mut Tx<'_>, vault: &Vault, ask: &Ask<'_>, rare: &Rare) -> Result<Vec<Found>> {
    if rare.nothing {
        return Ok(Vec::new());
    }
    let mut sql = Sql { waiting: Waiting::of(tx, ask.resource)?, ..Sql::default() };
    // A plus before a column keeps the database from walking its index: a rare term or the shelves of a few Patients lead to
    // fewer documents.
    let plus = if rare.terms.is_some() || ask.visible.patients().is_some() { "+" } else { "" };
    // The keys of the page first, then a body for each: joined together, PostgreSQL may read all bodies of a shelf for each key.
    sql.text(
        "SELECT k.shelf, k.id, k.version, k.seq, k.committed_at, k.lo, k.hi, \
         (SELECT d.body FROM document d WHERE d.shelf = k.shelf AND d.type = k.type AND d.id = k.id AND d.version = k.version) AS body, \
         (SELECT s.wrapped FROM shelf s WHERE s.shelf = k.shelf) AS wrapped FROM (SELECT * FROM doc_key k ",
    );
    // The number as it is: an index of one type is used only where the type can be read.
    sql.text(&format!("WHERE {plus}k.type = {} AND ", ask.resource.number()));
    sql.visible("k", ask.visible);
    if let Some(terms) = &rare.terms {
        sql.text(" AND ");
        sql.among("k.doc IN (SELECT t.doc FROM doc_term t WHERE ", ask.resource, terms);
        sql.waiting(terms, UNITED);
        sql.text(")");
    }
    sql.within(("k.lo", "k.hi"), ask.bounds);
    sql.within(("k.committed_at", "k.committed_at + 1"), ask.committed);
    ask.filters.iter().for_each(|filter| wanted(&mut sql, vault, (ask.resource, rare), filter));
    ask.visible.limits().for_each(|any| limited(&mut sql, vault, ask.resource, any));
    let (key, tie) = match ask.order {
        Order::Start => ("k.lo", "k.id"),
        Order::Committed => ("k.committed_at", "k.seq"),
    };
    let (compare, direction) = if ask.descending { ("<", "DESC") } else { (">", "ASC") };
    if let Some((at, id, seq)) = &ask.after {
        sql.text(&format!(" AND {key} {compare}= "));
        sql.int(*at);
        sql.text(&format!(" AND ({key} {compare} "));
        sql.int(*at);
        sql.text(&format!(" OR {tie} {compare} "));
        match ask.order {
            Order::Start => sql.bytes(id),
            Order::Committed => sql.int(*seq),
        }
        sql.text(")");
    }
    sql.text(&format!(" ORDER BY {plus}{key} {direction}, {tie} {direction} LIMIT "));
    sql.int(ask.limit);
    sql.text(&format!(") k ORDER BY {key} {direction}, {tie} {direction}"));
    sql.load(tx)
}

/// Any of the filter's criteria, or none of them with `:not`.
fn wanted(sql: &mut Sql, vault: &Vault, of: (Type, &Rare), filter: &Filter) {
    let (resource, rare) = of;
    // These bound the row itself; a date with `:missing` is asked of the bits.
    if ["date", "_lastUpdated"].contains(&filter.param) && filter.any.iter().all(|criterion| matches!(criterion, Criterion::Date(_))) {
        return;
    }
    // What a term does not tell, the opened document does: of what is not wanted it would tell too much.
    let bits = |criterion: &Criterion| matches!(criterion, Criterion::Missing(_) | Criterion::Date(_) | Criterion::Id(_));
    if filter.not && !filter.any.iter().all(bits) {
        return;
    }
    if rare.terms.is_some() && terms(vault, resource, filter) == rare.terms {
        return;
    }
    sql.text(if filter.not { " AND NOT (" } else { " AND (" });
    for (n, criterion) in filter.any.iter().enumerate() {
        sql.text(if n > 0 { " OR " } else { "" });
        one(sql, vault, (resource, filter.param), criterion);
    }
    sql.text(")");
}

/// Any of the lists that a scope limits the type to, as far as terms tell; the opened document decides.
fn limited(sql: &mut Sql, vault: &Vault, resource: Type, any: &[Vec<Filter>]) {
    sql.text(" AND (1 = 0");
    for all in any {
        sql.text(" OR (1 = 1");
        for filter in all.iter().filter(|filter| !filter.not) {
            sql.text(" AND (1 = 0");
            for criterion in &filter.any {
                sql.text(" OR (");
                match (filter.param, criterion) {
                    ("date", Criterion::Date(when)) => {
                        sql.text("1 = 1");
                        sql.within(("k.lo", "k.hi"), when.bounds());
                    }
                    ("_lastUpdated", Criterion::Date(when)) => {
                        sql.text("1 = 1");
                        sql.within(("k.committed_at", "k.committed_at + 1"), when.bounds());
                    }
                    _ => one(sql, vault, (resource, filter.param), criterion),
                }
                sql.text(")");
            }
            sql.text(")");
        }
        sql.text(")");
    }
    sql.text(")");
}

fn one(sql: &mut Sql, vault: &Vault, of: (Type, &str), criterion: &Criterion) {
    let (resource, param) = of;
    match criterion {
        Criterion::Id(id) => {
            // The key begins with the shelf, which the directory knows; samples are not in it.
            let id = id_bytes(vault, resource, id);
            sql.text("k.id = ");
            sql.bytes(&id);
            if resource != Type::Observation {
                sql.text(&format!(" AND k.shelf IN (SELECT i.shelf FROM directory i WHERE i.type = {} AND i.id = ", resource.number()));
                sql.bytes(&id);
                sql.text(")");
            }
        }
        Criterion::Date(when) => {
            sql.text("EXISTS (SELECT 1 FROM doc_date x WHERE x.doc = k.doc AND x.param_hash = ");
            sql.int(date_hash(vault.index(), param));
            sql.within(("x.lo", "x.hi"), when.bounds());
            sql.text(")");
        }
        Criterion::Missing(missing) => {
            sql.text("(k.present & ");
            sql.int(resource.search().param(param).map_or(0, |param| 1i64 << param.bit));
            sql.text(if *missing { ") = 0" } else { ") <> 0" });
        }
        criterion => match terms_of(vault, of, criterion) {
            None => sql.text("1 = 1"),
            // One value is looked for in each document; words that begin alike are fetched once.
            Some(terms) if terms.iter().all(|(from, to)| from == to) => {
                sql.among("(EXISTS (SELECT 1 FROM doc_term t WHERE t.doc = k.doc AND ", resource, &terms);
                sql.text(")");
                sql.waiting(&terms, (" OR k.doc IN (", ", ", ")"));
                sql.text(")");
            }
            Some(terms) => {
                sql.among("+k.doc IN (SELECT t.doc FROM doc_term t WHERE ", resource, &terms);
                sql.waiting(&terms, UNITED);
                sql.text(")");
            }
        },
    }
}
