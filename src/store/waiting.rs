//! The newest documents of SQLite: found by the terms beside them, which are not in the table of terms yet.
//!
//! A term's place in that table is anywhere, so each costs a page. Documents wait until there are enough of them; then
//! their terms are written in order, neighbours on one page, and of what was deleted meanwhile nothing is written.

use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::document_rows::FoundBy;
use super::new_documents::insert_terms;
use super::schema::{doc_key, meta};
use super::{Conn, Tx};
use crate::error::{Error, Result};
use crate::search::Type;

diesel::define_sql_function! {
    /// Where the second stands in the first, from 1 (https://www.sqlite.org/lang_corefunc.html#instr).
    fn instr(text: Binary, part: Binary) -> Integer;
}

/// So many may wait: a search looks at all of its type.
const MOST: i64 = 128;
/// How often they are counted: numbers have gaps where documents were deleted.
const EACH: i64 = 16;

const NAME: &str = "indexed";

/// The number above which documents wait. On PostgreSQL none does, for there numbers do not come in the order of commits.
fn above(tx: &mut Tx<'_>) -> Result<Option<i64>> {
    if let Conn::Pg(_) = tx.conn {
        return Ok(None);
    }
    if let Some(known) = tx.indexed {
        return Ok(Some(known));
    }
    let text: Vec<u8> = on!(tx, c => meta::table.find(NAME).select(meta::value).first(*c))?;
    let number = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| Error::bug("the number of the last document with terms is none"))?;
    tx.indexed = Some(number);
    Ok(Some(number))
}

/// Does this document wait?
pub fn waits(tx: &mut Tx<'_>, doc: i64) -> Result<bool> {
    Ok(above(tx)?.is_some_and(|above| doc > above))
}

/// After documents came, from one number to another: are there enough?
pub fn came(tx: &mut Tx<'_>, docs: (i64, i64)) -> Result<()> {
    let (from, to) = docs;
    match above(tx)? {
        Some(above) if to > above + MOST && to / EACH > (from - 1) / EACH && count(tx, above)? > MOST => written(tx),
        _ => Ok(()),
    }
}

fn count(tx: &mut Tx<'_>, above: i64) -> Result<i64> {
    on!(tx, c => doc_key::table.filter(doc_key::doc.gt(above)).count().get_result(*c))
}

/// Writes the terms of all that wait.
pub fn written(tx: &mut Tx<'_>) -> Result<()> {
    let Some(above) = above(tx)? else { return Ok(()) };
    let all = doc_key::table.filter(doc_key::doc.gt(above)).select((doc_key::doc, doc_key::type_, doc_key::terms));
    let rows: Vec<(i64, i16, Vec<u8>)> = on!(tx, c => all.order(doc_key::doc).load(*c))?;
    let Some((last, ..)) = rows.last() else { return Ok(()) };
    let last = *last;
    let mut terms = Vec::new();
    for (doc, of, packed) in rows {
        terms.extend(FoundBy::unpacked(&packed)?.terms.into_iter().map(|term| (term, of, doc)));
    }
    insert_terms(tx, terms)?;
    let value = last.to_string().into_bytes();
    on!(tx, c => diesel::update(meta::table.find(NAME)).set(meta::value.eq(&value)).execute(*c))?;
    tx.indexed = Some(last);
    Ok(())
}

/// Is there any? A cheap question before a transaction that writes.
pub fn any(tx: &mut Tx<'_>) -> Result<bool> {
    let Some(above) = above(tx)? else { return Ok(false) };
    let one = doc_key::table.filter(doc_key::doc.gt(above)).select(doc_key::doc);
    let found: Option<i64> = on!(tx, c => one.first(*c).optional())?;
    Ok(found.is_some())
}

/// Documents of a type that wait, each with its terms.
#[derive(Debug, Default)]
pub struct Waiting(Vec<(i64, Vec<i64>)>);

impl Waiting {
    pub fn of(tx: &mut Tx<'_>, of: Type) -> Result<Waiting> {
        let Some(above) = above(tx)? else { return Ok(Waiting::default()) };
        // By the sum no index is walked: those that wait are few, those of a type are many.
        let all = doc_key::table.filter(doc_key::doc.gt(above)).filter((doc_key::type_ + 0).eq(of.number()));
        let rows: Vec<(i64, Vec<u8>)> = on!(tx, c => all.select((doc_key::doc, doc_key::terms)).load(*c))?;
        let one = |(doc, packed): (i64, Vec<u8>)| Ok((doc, FoundBy::unpacked(&packed)?.terms));
        rows.into_iter().map(one).collect::<Result<_>>().map(Waiting)
    }

    /// Those that have any of the terms, from and to.
    pub fn having(&self, terms: &[(i64, i64)]) -> Vec<i64> {
        let has = |own: &Vec<i64>| own.iter().any(|own| terms.iter().any(|(from, to)| (from..=to).contains(&own)));
        self.0.iter().filter(|(_, own)| has(own)).map(|(doc, _)| *doc).collect()
    }
}

/// The keys of documents of any type that wait and have the term.
pub fn pointing(tx: &mut Tx<'_>, term: i64) -> Result<Vec<(i64, i16, Vec<u8>)>> {
    let Some(above) = above(tx)? else { return Ok(Vec::new()) };
    let has = instr(doc_key::terms, term.to_be_bytes().to_vec()).gt(0);
    let all = doc_key::table.filter(doc_key::doc.gt(above)).filter(has);
    on!(tx, c => all.select((doc_key::shelf, doc_key::type_, doc_key::id)).load(*c))
}
