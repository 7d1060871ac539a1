//! The search rows of live documents: keyed 64-bit hashes, a table for each kind.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, SmallInt};

use super::documents::Key;
use super::schema::{doc_date, doc_reference, doc_token, doc_word};
use super::{Conn, Tx};
use crate::clock::Millis;
use crate::error::Result;
use crate::search::{IndexRow, string};
use crate::vault::Hasher;

diesel::define_sql_function! {
    /// A row for each element; several in one SELECT go in step (https://www.postgresql.org/docs/14/xfunc-sql.html).
    fn unnest(values: Array<BigInt>) -> BigInt;
}

/// Adds rows that are not there yet.
pub(super) fn add(tx: &mut Tx<'_>, key: &Key, rows: &[Hashed]) -> Result<()> {
    match &mut tx.conn {
        // A statement that is prepared already costs less than one that is longer.
        Conn::Sqlite(c) => rows.iter().try_for_each(|row| add_one(c, key, *row)),
        Conn::Pg(c) => add_all(c, key, rows),
    }
    .map_err(super::failed)
}

fn add_one(c: &mut SqliteConnection, key: &Key, row: Hashed) -> QueryResult<()> {
    let (shelf, number, id) = (key.shelf.0, key.resource.number(), key.id.as_slice());
    macro_rules! row {
        ($table:ident $($column:ident $value:expr),*) => {{
            let row = ($table::shelf.eq(shelf), $table::type_.eq(number), $table::id.eq(id), $($table::$column.eq($value)),*);
            diesel::insert_into($table::table).values(row).execute(c)?;
        }};
    }
    match row {
        Hashed::Token { system, code } => row!(doc_token system_hash system, code_hash code),
        Hashed::Word(hash) => row!(doc_word hash hash),
        Hashed::Reference(target) => row!(doc_reference target_hash target),
        Hashed::Date { param, lo, hi } => row!(doc_date param_hash param, lo lo, hi hi),
    }
    Ok(())
}

/// One message for each table.
fn add_all(c: &mut PgConnection, key: &Key, rows: &[Hashed]) -> QueryResult<()> {
    let (shelf, number, id) = (key.shelf.0, key.resource.number(), key.id.as_slice());
    macro_rules! rows {
        ($table:ident $pattern:pat => $($column:ident $value:ident),*) => {{
            $(let mut $column: Vec<i64> = Vec::new();)*
            let mut any = false;
            for row in rows {
                if let $pattern = row {
                    any = true;
                    $($column.push(*$value);)*
                }
            }
            if any {
                let which = (shelf.into_sql::<BigInt>(), number.into_sql::<SmallInt>(), id.into_sql::<Binary>(), $(unnest($column)),*);
                diesel::select(which)
                    .insert_into($table::table)
                    .into_columns(($table::shelf, $table::type_, $table::id, $($table::$column),*))
                    .execute(c)?;
            }
        }};
    }
    rows!(doc_token Hashed::Token { system, code } => system_hash system, code_hash code);
    rows!(doc_word Hashed::Word(word) => hash word);
    rows!(doc_reference Hashed::Reference(target) => target_hash target);
    rows!(doc_date Hashed::Date { param, lo: from, hi: to } => param_hash param, lo from, hi to);
    Ok(())
}

/// Makes the rows of a document these; what stays is not touched.
pub(super) fn change(tx: &mut Tx<'_>, key: &Key, rows: &[Hashed]) -> Result<()> {
    let kept = kept(tx, key)?;
    let new: Vec<Hashed> = rows.iter().filter(|row| !kept.contains(row)).copied().collect();
    for row in kept.iter().filter(|row| !rows.contains(row)) {
        remove(tx, key, *row)?;
    }
    add(tx, key, &new)
}

fn kept(tx: &mut Tx<'_>, key: &Key) -> Result<Vec<Hashed>> {
    let (shelf, number, id) = (key.shelf.0, key.resource.number(), key.id.as_slice());
    macro_rules! load {
        ($table:ident $columns:expr) => {{
            let of = $table::shelf.eq(shelf).and($table::type_.eq(number)).and($table::id.eq(id));
            on!(tx, c => $table::table.filter(of).select($columns).load(*c))?
        }};
    }
    let tokens: Vec<(i64, i64)> = load!(doc_token(doc_token::system_hash, doc_token::code_hash));
    let words: Vec<i64> = load!(doc_word doc_word::hash);
    let references: Vec<i64> = load!(doc_reference doc_reference::target_hash);
    let dates: Vec<(i64, i64, i64)> = load!(doc_date(doc_date::param_hash, doc_date::lo, doc_date::hi));
    let tokens = tokens.into_iter().map(|(system, code)| Hashed::Token { system, code });
    let rest = words.into_iter().map(Hashed::Word).chain(references.into_iter().map(Hashed::Reference));
    Ok(tokens.chain(rest).chain(dates.into_iter().map(|(param, lo, hi)| Hashed::Date { param, lo, hi })).collect())
}

fn remove(tx: &mut Tx<'_>, key: &Key, row: Hashed) -> Result<()> {
    let (shelf, number, id) = (key.shelf.0, key.resource.number(), key.id.as_slice());
    macro_rules! row {
        ($table:ident $($value:expr),*) => {
            on!(tx, c => diesel::delete($table::table.find((shelf, number, id, $($value),*))).execute(*c))?
        };
    }
    match row {
        Hashed::Token { system, code } => row!(doc_token code, system),
        Hashed::Word(hash) => row!(doc_word hash),
        Hashed::Reference(target) => row!(doc_reference target),
        Hashed::Date { param, lo, hi } => row!(doc_date param, lo, hi),
    };
    Ok(())
}

/// Removes all rows of a document.
pub(super) fn clear(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let (shelf, number, id) = (key.shelf.0, key.resource.number(), key.id.as_slice());
    macro_rules! rows {
        ($($table:ident)*) => {
            $(on!(tx, c => diesel::delete($table::table.filter($table::shelf.eq(shelf).and($table::type_.eq(number)).and($table::id.eq(id)))).execute(*c))?;)*
        };
    }
    rows!(doc_token doc_word doc_reference doc_date);
    Ok(())
}

/// A search row as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hashed {
    Token { system: i64, code: i64 },
    Word(i64),
    Reference(i64),
    Date { param: i64, lo: Millis, hi: Millis },
}

pub(super) fn system_hash(index: &Hasher, param: &str, system: Option<&str>) -> i64 {
    index.hash("system", &[param.as_bytes(), system.unwrap_or("").as_bytes()])
}

pub(super) fn code_hash(index: &Hasher, param: &str, code: &str) -> i64 {
    index.hash("code", &[param.as_bytes(), code.as_bytes()])
}

pub(super) fn word_hash(index: &Hasher, param: &str, length: u8, word: &str) -> i64 {
    index.hash("word", &[param.as_bytes(), &[length], word.as_bytes()])
}

pub(super) fn target_hash(index: &Hasher, param: &str, kind: &str, id: &str) -> i64 {
    index.hash("reference", &[param.as_bytes(), kind.as_bytes(), id.as_bytes()])
}

pub(super) fn date_hash(index: &Hasher, param: &str) -> i64 {
    index.hash("date", &[param.as_bytes()])
}

/// The parameter under which every reference of a document stands, whatever element it is in.
pub const ANY_REFERENCE: &str = "";

/// The kept form of search rows, each once. The parameter `date` of a type is `Live::lo` and `hi`.
pub fn hashed(index: &Hasher, rows: &[IndexRow]) -> Vec<Hashed> {
    let mut out: Vec<Hashed> = Vec::new();
    for row in rows {
        match row {
            IndexRow::Token { param, system, code } => {
                out.push(Hashed::Token { system: system_hash(index, param, system.as_deref()), code: code_hash(index, param, code) });
            }
            IndexRow::Text { param, normal, .. } => {
                out.extend(string::prefixes(normal).iter().map(|(length, word)| Hashed::Word(word_hash(index, param, *length, word))));
            }
            IndexRow::Reference { param, kind, id } => out.push(Hashed::Reference(target_hash(index, param, kind, id))),
            IndexRow::Date { param: "date", .. } => {}
            IndexRow::Date { param, range } => {
                let (lo, hi) = range.millis();
                out.push(Hashed::Date { param: date_hash(index, param), lo, hi });
            }
            // It is one of the bits of `Live::present`.
            IndexRow::Present { .. } => {}
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
