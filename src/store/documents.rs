//! Documents: immutable versions, the live version's keys, and search rows of keyed hashes.

use diesel::prelude::*;

use super::Tx;
use super::schema::{directory, doc_key, doc_reference, doc_token, doc_word, document};
use crate::access::Visible;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::Shelf;
use crate::search::{IndexRow, Type, string};
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
    let shelf: Option<i64> =
        on!(tx, c => directory::table.find((number(resource), id.as_slice())).select(directory::shelf).first(*c).optional())?;
    Ok(shelf.map(Shelf))
}

/// Have these shelves a live document of the type at all? A cheap question before a dear search.
pub fn any(tx: &mut Tx<'_>, resource: Type, shelves: &[Shelf]) -> Result<bool> {
    for shelf in shelves {
        let one = doc_key::table.filter(doc_key::shelf.eq(shelf.0).and(doc_key::type_.eq(number(resource))));
        let found: Option<i32> = on!(tx, c => one.select(doc_key::version).first(*c).optional())?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
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
                .filter(
                    document::shelf.eq(key.shelf.0).and(document::type_.eq(number(key.resource))).and(document::id.eq(key.id.as_slice())),
                )
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
    tx.note_written(body);
    let row = (
        (document::shelf.eq(key.shelf.0), document::type_.eq(number(key.resource)), document::id.eq(key.id.as_slice())),
        (
            document::version.eq(live.version as i32),
            document::seq.eq(live.seq),
            document::committed_at.eq(at),
            document::deleted.eq(false),
            document::body.eq(body),
        ),
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
        (
            doc_key::version.eq(live.version as i32),
            doc_key::seq.eq(live.seq),
            doc_key::committed_at.eq(at),
            doc_key::lo.eq(live.lo),
            doc_key::hi.eq(live.hi),
        ),
    );
    on!(tx, c => diesel::insert_into(doc_key::table).values(row).execute(*c))?;
    rows.iter().try_for_each(|row| insert_row(tx, key, *row))
}

fn insert_row(tx: &mut Tx<'_>, key: &Key, row: Hashed) -> Result<()> {
    let (shelf, number, id) = (key.shelf.0, number(key.resource), key.id.as_slice());
    match row {
        Hashed::Token { system, code } => {
            let row = (
                doc_token::shelf.eq(shelf),
                doc_token::type_.eq(number),
                doc_token::id.eq(id),
                doc_token::system_hash.eq(system),
                doc_token::code_hash.eq(code),
            );
            on!(tx, c => diesel::insert_into(doc_token::table).values(row).execute(*c))?;
        }
        Hashed::Word(hash) => {
            let row = (doc_word::shelf.eq(shelf), doc_word::type_.eq(number), doc_word::id.eq(id), doc_word::hash.eq(hash));
            on!(tx, c => diesel::insert_into(doc_word::table).values(row).execute(*c))?;
        }
        Hashed::Reference(target) => {
            let row = (
                doc_reference::shelf.eq(shelf),
                doc_reference::type_.eq(number),
                doc_reference::id.eq(id),
                doc_reference::target_hash.eq(target),
            );
            on!(tx, c => diesel::insert_into(doc_reference::table).values(row).execute(*c))?;
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
