//! Many documents that were not there, in few statements: what each costs by itself is what a transaction of hundreds
//! would wait for.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, SmallInt};

use super::blocks::FeedKind;
use super::document_rows::{FoundBy, Range, unnest};
use super::documents::{Key, Live};
use super::generations::Changed;
use super::schema::{directory, doc_date, doc_key, doc_term, document, feed};
use super::{Conn, Tx, waiting};
use crate::error::{Error, Result};

diesel::define_sql_function! {
    #[sql_name = "unnest"]
    fn unnest_small(values: Array<SmallInt>) -> SmallInt;
}

/// A document and its first version.
pub struct New {
    pub key: Key,
    /// Its `seq` is given here.
    pub live: Live,
    /// `blocks::bloom` of its codes.
    pub bloom: u64,
    /// Sealed.
    pub body: Vec<u8>,
    pub found_by: FoundBy,
}

/// Rows of a statement: every one is values to bind, of which there is a limit.
const ROWS: usize = 200;
const TERMS: usize = 2_000;

pub fn insert(tx: &mut Tx<'_>, all: &mut [New]) -> Result<()> {
    for some in all.chunks_mut(ROWS) {
        places(tx, some)?;
        versions(tx, some)?;
        found_by(tx, some)?;
    }
    Ok(())
}

/// In the directory and in the feed.
fn places(tx: &mut Tx<'_>, all: &mut [New]) -> Result<()> {
    let row = |new: &New| {
        let Key { shelf, resource, id } = new.key;
        (directory::type_.eq(resource.number()), directory::id.eq(id.to_vec()), directory::since.eq(1), directory::shelf.eq(shelf.0))
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    on!(tx, c => diesel::insert_into(directory::table).values(&rows).execute(*c))?;
    let at = tx.committed_at();
    let row = |new: &New| {
        let which = (feed::committed_at.eq(at), feed::shelf.eq(new.key.shelf.0), feed::kind.eq(FeedKind::Document as i16));
        (which, feed::bloom.eq(new.bloom as i64), feed::extent.eq(Vec::<u8>::new()))
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let columns = (feed::shelf, feed::bloom, feed::seq);
    let mut placed: Vec<(i64, i64, i64)> = on!(tx, c => diesel::insert_into(feed::table).values(&rows).returning(columns).get_results(*c))?;
    // In which order they are told is not said. Rows that say the same are alike; the last is taken first.
    placed.sort_unstable_by(|a, b| b.cmp(a));
    let mut seqs: HashMap<(i64, i64), Vec<i64>> = HashMap::new();
    for (shelf, bloom, seq) in placed {
        seqs.entry((shelf, bloom)).or_default().push(seq);
    }
    for new in all {
        let seq = seqs.get_mut(&(new.key.shelf.0, new.bloom as i64)).and_then(Vec::pop);
        new.live.seq = seq.ok_or_else(|| Error::bug("a row of the feed was not told"))?;
    }
    Ok(())
}

fn versions(tx: &mut Tx<'_>, all: &[New]) -> Result<()> {
    let at = tx.committed_at();
    all.iter().for_each(|new| tx.note_written(&new.body));
    all.iter().for_each(|new| tx.changed |= Changed::by((new.key.resource, 1), new.found_by.restricts));
    let row = |new: &New| {
        let Key { shelf, resource, id } = new.key;
        (
            (document::shelf.eq(shelf.0), document::type_.eq(resource.number()), document::id.eq(id.to_vec()), document::version.eq(1)),
            (document::seq.eq(new.live.seq), document::committed_at.eq(at), document::deleted.eq(false)),
            (document::body.eq(new.body.clone()), document::upsert.eq(false)),
        )
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    on!(tx, c => diesel::insert_into(document::table).values(&rows).execute(*c))?;
    Ok(())
}

fn found_by(tx: &mut Tx<'_>, all: &[New]) -> Result<()> {
    let row = |new: &New| {
        let (Key { shelf, resource, id }, live) = (new.key, new.live);
        (
            (doc_key::shelf.eq(shelf.0), doc_key::type_.eq(resource.number()), doc_key::id.eq(id.to_vec())),
            (doc_key::version.eq(1), doc_key::seq.eq(live.seq), doc_key::committed_at.eq(live.committed_at)),
            (doc_key::lo.eq(live.lo), doc_key::hi.eq(live.hi), doc_key::present.eq(live.present as i64)),
            doc_key::terms.eq(new.found_by.packed()),
        )
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let columns = (doc_key::type_, doc_key::id, doc_key::doc);
    let numbered: Vec<(i16, Vec<u8>, i64)> =
        on!(tx, c => diesel::insert_into(doc_key::table).values(&rows).returning(columns).get_results(*c))?;
    let numbers: HashMap<(i16, Vec<u8>), i64> = numbered.into_iter().map(|(of, id, doc)| ((of, id), doc)).collect();
    let (mut terms, mut dates) = (Vec::new(), Vec::new());
    for new in all {
        let number = new.key.resource.number();
        let doc = *numbers.get(&(number, new.key.id.to_vec())).ok_or_else(|| Error::bug("a document was not numbered"))?;
        if !waiting::waits(tx, doc)? {
            terms.extend(new.found_by.terms.iter().map(|term| (*term, number, doc)));
        }
        let date = |Range { param, lo, hi }: &Range| {
            (doc_date::doc.eq(doc), doc_date::param_hash.eq(*param), doc_date::lo.eq(*lo), doc_date::hi.eq(*hi))
        };
        dates.extend(new.found_by.dates.iter().map(date));
    }
    if !dates.is_empty() {
        on!(tx, c => diesel::insert_into(doc_date::table).values(&dates).execute(*c))?;
    }
    insert_terms(tx, terms)?;
    match (numbers.values().min(), numbers.values().max()) {
        (Some(first), Some(last)) => waiting::came(tx, (*first, *last)),
        _ => Ok(()),
    }
}

/// Terms, types and documents.
pub(super) fn insert_terms(tx: &mut Tx<'_>, mut terms: Vec<(i64, i16, i64)>) -> Result<()> {
    // Neighbours in the table are written one after the other.
    terms.sort_unstable();
    terms.chunks(TERMS).try_for_each(|some| insert_some(tx, some))
}

fn insert_some(tx: &mut Tx<'_>, terms: &[(i64, i16, i64)]) -> Result<()> {
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            let row = |(hash, of, doc): &(i64, i16, i64)| (doc_term::hash.eq(*hash), doc_term::type_.eq(*of), doc_term::doc.eq(*doc));
            let rows: Vec<_> = terms.iter().map(row).collect();
            diesel::insert_into(doc_term::table).values(&rows).execute(*c)
        }
        Conn::Pg(c) => {
            let hashes: Vec<i64> = terms.iter().map(|term| term.0).collect();
            let types: Vec<i16> = terms.iter().map(|term| term.1).collect();
            let docs: Vec<i64> = terms.iter().map(|term| term.2).collect();
            diesel::select((unnest(hashes), unnest_small(types), unnest(docs)))
                .insert_into(doc_term::table)
                .into_columns((doc_term::hash, doc_term::type_, doc_term::doc))
                .execute(*c)
        }
    }
    .map_err(super::failed)?;
    Ok(())
}
