//! By what live documents are found: terms, which are keyed 64-bit hashes of values, and ranges of time.
//!
//! A term says that a value stands somewhere in a document, not where: the index only proposes, and the opened body
//! decides. So a code, a name or a reference that several parameters share is kept once.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, SmallInt};

use super::consents::RESTRICTS;
use super::schema::{doc_date, doc_term};
use super::{Conn, Tx, waiting};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::search::{IndexRow, SPECIAL, Text, Type};
use crate::vault::Hasher;

diesel::define_sql_function! {
    /// A row for each element; several in one SELECT go in step (https://www.postgresql.org/docs/14/xfunc-sql.html).
    fn unnest(values: Array<BigInt>) -> BigInt;
}

/// The parameter under which every reference of a document stands, whatever element it is in.
pub const ANY_REFERENCE: &str = "";

/// As what a Binary stands there when an Attachment.url names it: what it says may hide the Binary, and keeps nobody from
/// deleting it.
pub const ATTACHED: &str = "Attachment.url";

/// All that a document is found by, each once and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundBy {
    pub terms: Vec<i64>,
    pub dates: Vec<Range>,
    /// Does it say that something is withheld (`consents::RESTRICTS`)? Not kept: what stood before may have.
    pub restricts: bool,
}

/// A value of a date parameter other than `date`, which is `Live::lo` and `hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    pub param: i64,
    pub lo: Millis,
    pub hi: Millis,
}

impl FoundBy {
    /// The terms and dates of search rows.
    pub fn of(index: &Hasher, of: Type, rows: &[IndexRow]) -> FoundBy {
        let mut found = FoundBy::default();
        for row in rows {
            match row {
                IndexRow::Token { param, system, code } => {
                    found.restricts |= (system.as_deref(), code.as_str()) == (Some(RESTRICTS.0), RESTRICTS.1);
                    found.terms.push(code_term(index, param, (system.as_deref(), code)));
                    if let Some(system) = system.as_deref().filter(|_| is_identifier(of, param)) {
                        found.terms.push(system_term(index, system));
                    }
                }
                IndexRow::Text { normal, .. } => found.terms.push(word_term(index, of, normal)),
                IndexRow::Reference { kind, id, .. } => found.terms.push(reference_term(index, kind, id)),
                IndexRow::Date { param: "date", .. } => {}
                IndexRow::Date { param, range } => {
                    let (lo, hi) = range.millis();
                    found.dates.push(Range { param: date_hash(index, param), lo, hi });
                }
                // It is one of the bits of `Live::present`.
                IndexRow::Present { .. } => {}
            }
        }
        found.terms.sort_unstable();
        found.terms.dedup();
        found.dates.sort_unstable();
        found.dates.dedup();
        found
    }

    /// As it is kept beside the document, so that a change touches only what differs: the number of terms, the terms, and
    /// three numbers for each date, in eight bytes each.
    pub(super) fn packed(&self) -> Vec<u8> {
        let dates = self.dates.iter().flat_map(|date| [date.param, date.lo, date.hi]);
        let numbers = std::iter::once(self.terms.len() as i64).chain(self.terms.iter().copied()).chain(dates);
        numbers.flat_map(i64::to_be_bytes).collect()
    }

    pub(super) fn unpacked(bytes: &[u8]) -> Result<FoundBy> {
        let (numbers, []) = bytes.as_chunks::<8>() else { return Err(Error::bug("terms are cut short")) };
        let mut numbers = numbers.iter().map(|number| i64::from_be_bytes(*number));
        let count = numbers.next().unwrap_or_default();
        let terms = numbers.by_ref().take(usize::try_from(count).map_err(Error::bug)?).collect();
        let rest: Vec<i64> = numbers.collect();
        let (dates, _) = rest.as_chunks::<3>();
        Ok(FoundBy {
            terms,
            dates: dates.iter().map(|[param, lo, hi]| Range { param: *param, lo: *lo, hi: *hi }).collect(),
            restricts: false,
        })
    }
}

/// Makes a document found by `now` instead of `before`; what stays is not touched.
pub(super) fn change(tx: &mut Tx<'_>, which: (Type, i64), before: &FoundBy, now: &FoundBy) -> Result<()> {
    let without = |all: &[i64], other: &[i64]| -> Vec<i64> { all.iter().filter(|term| !other.contains(term)).copied().collect() };
    let (gone, new) = (without(&before.terms, &now.terms), without(&now.terms, &before.terms));
    if !waiting::waits(tx, which.1)? {
        match &mut tx.conn {
            // A statement that is prepared already costs less than one that is longer.
            Conn::Sqlite(c) => one_by_one(c, which, &gone, &new),
            Conn::Pg(c) => at_once(c, which, gone, new),
        }
        .map_err(super::failed)?;
    }
    if before.dates != now.dates {
        let (_, doc) = which;
        on!(tx, c => diesel::delete(doc_date::table.filter(doc_date::doc.eq(doc))).execute(*c))?;
        for Range { param, lo, hi } in &now.dates {
            let row = (doc_date::doc.eq(doc), doc_date::param_hash.eq(param), doc_date::lo.eq(lo), doc_date::hi.eq(hi));
            on!(tx, c => diesel::insert_into(doc_date::table).values(row).execute(*c))?;
        }
    }
    Ok(())
}

fn one_by_one(c: &mut SqliteConnection, which: (Type, i64), gone: &[i64], new: &[i64]) -> QueryResult<()> {
    let (number, doc) = (which.0.number(), which.1);
    for term in gone {
        diesel::delete(doc_term::table.find((term, number, doc))).execute(c)?;
    }
    for term in new {
        let row = (doc_term::hash.eq(term), doc_term::type_.eq(number), doc_term::doc.eq(doc));
        diesel::insert_into(doc_term::table).values(row).execute(c)?;
    }
    Ok(())
}

/// One message for those that go, and one for those that come.
fn at_once(c: &mut PgConnection, which: (Type, i64), gone: Vec<i64>, new: Vec<i64>) -> QueryResult<()> {
    let (number, doc) = (which.0.number(), which.1);
    if !gone.is_empty() {
        let which = doc_term::hash.eq_any(gone).and(doc_term::type_.eq(number)).and(doc_term::doc.eq(doc));
        diesel::delete(doc_term::table).filter(which).execute(c)?;
    }
    if !new.is_empty() {
        diesel::select((unnest(new), number.into_sql::<SmallInt>(), doc.into_sql::<BigInt>()))
            .insert_into(doc_term::table)
            .into_columns((doc_term::hash, doc_term::type_, doc_term::doc))
            .execute(c)?;
    }
    Ok(())
}

/// Systems are searched for by themselves where they say what an identifier is.
pub(super) fn is_identifier(of: Type, param: &str) -> bool {
    of.search().param(param).is_some_and(crate::search::Param::is_identifier)
}

/// Of a code, whatever its system: few codes stand in two. True and false tell nothing without their parameter.
pub(super) fn code_term(index: &Hasher, param: &str, token: (Option<&str>, &str)) -> i64 {
    match token {
        (Some(SPECIAL), code) => boolean_term(index, param, code),
        (_, code) => index.hash("code", &[code.as_bytes()]),
    }
}

pub(super) fn boolean_term(index: &Hasher, param: &str, code: &str) -> i64 {
    index.hash("boolean", &[param.as_bytes(), code.as_bytes()])
}

pub(super) fn system_term(index: &Hasher, system: &str) -> i64 {
    index.hash("system", &[system.as_bytes()])
}

pub fn reference_term(index: &Hasher, kind: &str, id: &str) -> i64 {
    index.hash("reference", &[kind.as_bytes(), id.as_bytes()])
}

pub(super) fn date_hash(index: &Hasher, param: &str) -> i64 {
    index.hash("date", &[param.as_bytes()])
}

/// How many letters the first three parts of a word's term tell.
const STARTS: [usize; 3] = [2, 3, 4];

/// Sixteen bits each of its first 2, 3 and 4 letters and of the whole: those that begin alike stand together.
fn word_term(index: &Hasher, of: Type, normal: &str) -> i64 {
    let part = |length: usize, text: &str| index.hash("word", &[of.name().as_bytes(), &[length as u8], text.as_bytes()]) as u64 >> 48;
    let starts = STARTS.iter().fold(0, |term, length| {
        let start: String = normal.chars().take(*length).collect();
        term << 16 | part(*length, &start)
    });
    (starts << 16 | part(0, normal)) as i64
}

/// The terms, from and to, of the words that answer; `None` when one letter is all that is known of them.
pub(super) fn word_terms(index: &Hasher, of: Type, asked: &Text) -> Option<(i64, i64)> {
    let normal = crate::search::normal(&asked.text);
    let term = word_term(index, of, &normal);
    let told = STARTS.iter().filter(|length| normal.chars().count() >= **length).count() as u32;
    match told {
        _ if asked.exact => Some((term, term)),
        0 => None,
        told => {
            let open = (1i64 << (16 * (4 - told))) - 1;
            Some((term & !open, term | open))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> Hasher {
        Hasher::new(&[7; 32])
    }

    proptest! {
        #[test]
        fn what_matches_is_proposed(value in "\\PC{0,9}", length in 1..9_usize, exact: bool) {
            let normal = crate::search::normal(&value);
            let text: String = if exact { value.clone() } else { normal.chars().take(length).collect() };
            let asked = Text { text, exact };
            prop_assume!(asked.matches(&value));
            if let Some((from, to)) = word_terms(&index(), Type::Patient, &asked) {
                prop_assert!((from..=to).contains(&word_term(&index(), Type::Patient, &normal)));
            }
        }

        #[test]
        fn packing_loses_nothing(mut terms: Vec<i64>, dates: Vec<(i64, i64, i64)>) {
            terms.sort_unstable();
            let found = FoundBy { terms, dates: dates.into_iter().map(|(param, lo, hi)| Range { param, lo, hi }).collect(), restricts: false };
            prop_assert_eq!(FoundBy::unpacked(&found.packed()).unwrap(), found);
        }
    }

    #[test]
    fn other_words_are_not_proposed() {
        let asked = |text: &str| word_terms(&index(), Type::Patient, &Text { text: text.into(), exact: false }).unwrap();
        let term = word_term(&index(), Type::Patient, "lovelace");
        for (text, proposed) in [("lo", true), ("LOV", true), ("lovel", true), ("la", false), ("loe", false), ("lova", false)] {
            let (from, to) = asked(text);
            assert_eq!((from..=to).contains(&term), proposed, "{text}");
        }
    }

    #[test]
    fn terms_that_were_never_made_are_none() {
        assert_eq!(FoundBy::unpacked(&[]).unwrap(), FoundBy::default());
        assert!(FoundBy::unpacked(&[0; 9]).is_err());
    }
}
