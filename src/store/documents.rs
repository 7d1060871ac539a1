//! Documents: immutable versions, and the live version's keys. Its search rows are in `document_rows`.

use diesel::prelude::*;

use super::deadline::in_time;
use super::document_change::Change;
pub use super::document_rows::{ANY_REFERENCE, ATTACHED, FoundBy, reference_term};
use super::generations::Changed;
use super::schema::{directory, doc_key, doc_term, document};
use super::{Tx, document_rows, waiting};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{DocumentId, Shelf};
use crate::search::Type;
use crate::vault::{Place, Vault};

/// The rows of one document.
macro_rules! of_key {
    ($table:ident, $key:expr) => {
        $table::table
            .filter($table::shelf.eq($key.shelf.0).and($table::type_.eq($key.resource.number())).and($table::id.eq($key.id.as_slice())))
    };
}

/// What changes of a live document with its version.
macro_rules! columns {
    ($live:expr, $found_by:expr) => {
        (
            doc_key::version.eq($live.version as i32),
            doc_key::seq.eq($live.seq),
            doc_key::committed_at.eq($live.committed_at),
            doc_key::lo.eq($live.lo),
            doc_key::hi.eq($live.hi),
            doc_key::present.eq($live.present as i64),
            doc_key::terms.eq($found_by.packed()),
        )
    };
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
    pub upsert: bool,
}

/// The 16 bytes under which a resource of this id is kept: those of a UUID or of a sample's address, of any other id a
/// keyed hash, for what a client chose may name a person.
pub fn id_bytes(vault: &Vault, resource: Type, id: &str) -> [u8; 16] {
    if resource == Type::Observation
        && let Some(address) = vault.sample_address(id)
    {
        return vault.sample_id(address);
    }
    if let Ok(uuid) = DocumentId::parse(id) {
        return uuid.0;
    }
    let full = vault.index().full("id", &[resource.name().as_bytes(), id.as_bytes()]);
    let mut bytes: [u8; 16] = std::array::from_fn(|at| full[at]);
    // No UUID has this version.
    bytes[6] |= 0xf0;
    bytes
}

/// From version `since` on the document is on this shelf: a read without a patient finds it.
pub fn directory_insert(tx: &mut Tx<'_>, key: &Key, since: u32) -> Result<()> {
    let row = (
        directory::type_.eq(key.resource.number()),
        directory::id.eq(key.id.as_slice()),
        directory::since.eq(since as i32),
        directory::shelf.eq(key.shelf.0),
    );
    on!(tx, c => diesel::insert_into(directory::table).values(row).execute(*c))?;
    Ok(())
}

/// The shelf of the newest version.
pub fn directory_find(tx: &mut Tx<'_>, resource: Type, id: &[u8; 16]) -> Result<Option<Shelf>> {
    Ok(directory_all(tx, resource, id)?.first().map(|(_, shelf)| *shelf))
}

/// The shelves on which a document was and is, newest first, each with the first version there.
pub fn directory_all(tx: &mut Tx<'_>, resource: Type, id: &[u8; 16]) -> Result<Vec<(u32, Shelf)>> {
    let rows: Vec<(i32, i64)> = on!(tx, c => directory::table
        .filter(directory::type_.eq(resource.number()).and(directory::id.eq(id.as_slice())))
        .select((directory::since, directory::shelf))
        .order(directory::since.desc())
        .load(*c))?;
    Ok(rows.into_iter().map(|(since, shelf)| (since as u32, Shelf(shelf))).collect())
}

/// On PostgreSQL a document stays what it is until this transaction ends: a reference to it and its deletion take turns.
/// On SQLite the one writer is that turn already.
pub fn directory_hold(tx: &mut Tx<'_>, resource: Type, id: &[u8; 16], changing: bool) -> Result<()> {
    let one = directory::table.filter(directory::type_.eq(resource.number()).and(directory::id.eq(id.as_slice()))).select(directory::since);
    let held: diesel::QueryResult<Vec<i32>> = match &mut tx.conn {
        super::Conn::Sqlite(_) => return Ok(()),
        super::Conn::Pg(c) if changing => one.for_update().load(*c),
        super::Conn::Pg(c) => one.for_key_share().load(*c),
    };
    held.map(|_| ()).map_err(super::failed)
}

/// The shelf of a document that is there and not deleted. One statement.
pub fn live_shelf(tx: &mut Tx<'_>, resource: Type, id: &[u8; 16]) -> Result<Option<Shelf>> {
    let live = doc_key::shelf.eq(directory::shelf).and(doc_key::type_.eq(directory::type_)).and(doc_key::id.eq(directory::id));
    let one = directory::table
        .inner_join(doc_key::table.on(live))
        .filter(directory::type_.eq(resource.number()).and(directory::id.eq(id.as_slice())))
        .select(doc_key::shelf);
    let found: Option<i64> = on!(tx, c => one.first(*c).optional())?;
    Ok(found.map(Shelf))
}

/// The same of several of one type, which on PostgreSQL stay until the transaction ends: those that are there.
pub fn live_shelves(tx: &mut Tx<'_>, resource: Type, ids: &[[u8; 16]]) -> Result<Vec<([u8; 16], Shelf)>> {
    const SOME: usize = 500;
    let mut found = Vec::new();
    for ids in ids.chunks(SOME) {
        let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
        let all = directory::table.filter(directory::type_.eq(resource.number()).and(directory::id.eq_any(ids)));
        if let super::Conn::Pg(c) = &mut tx.conn {
            // In one order, so that two transactions do not wait for each other.
            let held = all.clone().select(directory::since).order((directory::type_, directory::id)).for_key_share();
            held.load::<i32>(*c).map_err(super::failed)?;
        }
        let live = doc_key::shelf.eq(directory::shelf).and(doc_key::type_.eq(directory::type_)).and(doc_key::id.eq(directory::id));
        let rows: Vec<(Vec<u8>, i64)> =
            on!(tx, c => all.inner_join(doc_key::table.on(live)).select((directory::id, doc_key::shelf)).load(*c))?;
        for (id, shelf) in rows {
            found.push((id.try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?, Shelf(shelf)));
        }
    }
    Ok(found)
}

/// Have these shelves a live document of the type at all? A cheap question before a dear search.
pub fn any(tx: &mut Tx<'_>, resource: Type, shelves: &[Shelf]) -> Result<bool> {
    for shelf in shelves {
        let one = doc_key::table.filter(doc_key::shelf.eq(shelf.0).and(doc_key::type_.eq(resource.number())));
        let found: Option<i32> = on!(tx, c => one.select(doc_key::version).first(*c).optional())?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Holds a conditional interaction's criteria until the transaction ends, so that those who ask the same take turns.
/// On SQLite the one writer is that turn already.
pub fn hold_criteria(tx: &mut Tx<'_>, hash: i64) -> Result<()> {
    if let super::Conn::Pg(c) = &mut tx.conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
            .bind::<diesel::sql_types::BigInt, _>(hash)
            .execute(*c)
            .map_err(super::failed)?;
    }
    Ok(())
}

/// Gives every live document that has one of the terms to `wanted`, until that has seen enough; were all wanted?
pub fn each_referrer(tx: &mut Tx<'_>, terms: &[i64], mut wanted: impl FnMut(&mut Tx<'_>, Key) -> Result<bool>) -> Result<bool> {
    const SOME: i64 = 1_000;
    type Row = (i16, i64, i64, Vec<u8>);
    for term in terms {
        for row in waiting::pointing(tx, *term)? {
            if !wanted(tx, key(row)?)? {
                return Ok(false);
            }
        }
        let mut last: Option<(i16, i64)> = Some((i16::MIN, i64::MIN));
        while let Some((of, doc)) = last {
            in_time()?;
            let later = doc_term::type_.gt(of).or(doc_term::type_.eq(of).and(doc_term::doc.gt(doc)));
            let rows: Vec<Row> = on!(tx, c => doc_term::table
                .inner_join(doc_key::table.on(doc_key::doc.eq(doc_term::doc)))
                .filter(doc_term::hash.eq(term).and(later))
                .select((doc_key::type_, doc_key::doc, doc_key::shelf, doc_key::id))
                .order((doc_term::type_, doc_term::doc))
                .limit(SOME)
                .load(*c))?;
            last = rows.last().filter(|_| rows.len() as i64 == SOME).map(|(of, doc, ..)| (*of, *doc));
            for (of, _, shelf, id) in rows {
                if !wanted(tx, key((shelf, of, id))?)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Does any live document point to the resource?
pub fn is_referred(tx: &mut Tx<'_>, vault: &Vault, of: Type, id: &str) -> Result<bool> {
    each_referrer(tx, &[reference_term(vault.index(), of.name(), id)], |_, _| Ok(false)).map(|none| !none)
}

type VersionRow = (i32, i64, bool, Vec<u8>, bool);

/// The newest version, or the one that is named.
pub fn version(tx: &mut Tx<'_>, key: &Key, which: Option<u32>) -> Result<Option<Version>> {
    let all =
        of_key!(document, key).select((document::version, document::committed_at, document::deleted, document::body, document::upsert));
    let row: Option<VersionRow> = match which {
        None => on!(tx, c => all.order(document::version.desc()).first(*c).optional())?,
        Some(which) => on!(tx, c => all.filter(document::version.eq(which as i32)).first(*c).optional())?,
    };
    let one = |(version, committed_at, deleted, body, upsert): VersionRow| Version {
        version: version as u32,
        committed_at,
        deleted,
        body,
        upsert,
    };
    Ok(row.map(one))
}

/// The keys of a live version that are columns.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub version: u32,
    pub seq: i64,
    pub committed_at: Millis,
    pub lo: Millis,
    pub hi: Millis,
    /// `search::present`.
    pub present: u64,
}

/// Adds a version and makes it the live one: of a document, by an update of what was not there or not.
pub fn insert(tx: &mut Tx<'_>, what: (&Key, bool), live: Live, body: &[u8], found_by: &FoundBy) -> Result<()> {
    let (key, upsert) = what;
    tx.changed |= Changed::by((key.resource, live.version), found_by.restricts);
    version_insert(tx, key, (live.version, live.seq), (false, upsert), body)?;
    if live.version > 1 { index(tx, key, live, found_by) } else { live_insert(tx, key, live, found_by) }
}

/// Adds a version that says that the resource is deleted; nothing of it is found any more.
pub fn tombstone(tx: &mut Tx<'_>, key: &Key, at: (u32, i64), body: &[u8]) -> Result<()> {
    tx.changed |= Changed::by((key.resource, at.0), false);
    version_insert(tx, key, at, (true, false), body)?;
    unindex(tx, key)
}

fn version_insert(tx: &mut Tx<'_>, key: &Key, place: (u32, i64), is: (bool, bool), body: &[u8]) -> Result<()> {
    let ((version, seq), (deleted, upsert)) = (place, is);
    let at = tx.committed_at();
    tx.note_written(body);
    let row = (
        (document::shelf.eq(key.shelf.0), document::type_.eq(key.resource.number()), document::id.eq(key.id.as_slice())),
        (
            document::version.eq(version as i32),
            document::seq.eq(seq),
            document::committed_at.eq(at),
            document::deleted.eq(deleted),
            document::body.eq(body),
            document::upsert.eq(upsert),
        ),
    );
    on!(tx, c => diesel::insert_into(document::table).values(row).execute(*c))?;
    Ok(())
}

/// The number of a live document, and by what it is found.
fn live(tx: &mut Tx<'_>, key: &Key) -> Result<Option<(i64, FoundBy)>> {
    let one = of_key!(doc_key, key).select((doc_key::doc, doc_key::terms));
    let row: Option<(i64, Vec<u8>)> = on!(tx, c => one.first(*c).optional())?;
    row.map(|(doc, terms)| Ok((doc, FoundBy::unpacked(&terms)?))).transpose()
}

/// Takes the live version out of search.
pub fn unindex(tx: &mut Tx<'_>, key: &Key) -> Result<()> {
    let Some((doc, before)) = live(tx, key)? else { return Ok(()) };
    document_rows::change(tx, (key.resource, doc), &before, &FoundBy::default())?;
    on!(tx, c => diesel::delete(doc_key::table.find(doc)).execute(*c))?;
    Ok(())
}

/// A live version as it is found.
#[derive(Clone, Copy, Debug)]
pub struct Indexed {
    pub key: Key,
    pub version: u32,
    pub seq: i64,
    pub committed_at: Millis,
}

/// Live versions in the order of their keys, behind one of them.
pub fn indexed(tx: &mut Tx<'_>, after: Option<&Key>, limit: i64) -> Result<Vec<Indexed>> {
    type Row = (i64, i16, Vec<u8>, i32, i64, i64);
    macro_rules! run {
        ($conn:expr) => {{
            let columns = (doc_key::shelf, doc_key::type_, doc_key::id, doc_key::version, doc_key::seq, doc_key::committed_at);
            let mut query = doc_key::table.select(columns).order((doc_key::shelf, doc_key::type_, doc_key::id)).limit(limit).into_boxed();
            if let Some(Key { shelf, resource, id }) = after {
                let same = doc_key::shelf.eq(shelf.0);
                let later =
                    doc_key::type_.gt(resource.number()).or(doc_key::type_.eq(resource.number()).and(doc_key::id.gt(id.as_slice())));
                query = query.filter(doc_key::shelf.gt(shelf.0).or(same.and(later)));
            }
            query.load::<Row>($conn)
        }};
    }
    let rows = on!(tx, c => run!(*c))?;
    let one = |(shelf, number, id, version, seq, committed_at): Row| {
        Ok(Indexed { key: key((shelf, number, id))?, version: version as u32, seq, committed_at })
    };
    rows.into_iter().map(one).collect()
}

fn key((shelf, number, id): (i64, i16, Vec<u8>)) -> Result<Key> {
    let id = id.try_into().map_err(|_| Error::bug("a document id is not 16 bytes"))?;
    Ok(Key { shelf: Shelf(shelf), resource: Type::numbered(number).ok_or_else(|| Error::bug("an unknown type"))?, id })
}

/// Makes a version that is stored the live one.
pub fn index(tx: &mut Tx<'_>, key: &Key, now: Live, found_by: &FoundBy) -> Result<()> {
    let Some((doc, before)) = live(tx, key)? else { return live_insert(tx, key, now, found_by) };
    document_rows::change(tx, (key.resource, doc), &before, found_by)?;
    let change = Change { set: columns!(now, found_by).as_changeset(), of: doc_key::doc.eq(doc) };
    on!(tx, c => change.execute(*c))?;
    Ok(())
}

fn live_insert(tx: &mut Tx<'_>, key: &Key, now: Live, found_by: &FoundBy) -> Result<()> {
    let row = (
        (doc_key::shelf.eq(key.shelf.0), doc_key::type_.eq(key.resource.number()), doc_key::id.eq(key.id.as_slice())),
        columns!(now, found_by),
    );
    let doc: i64 = on!(tx, c => diesel::insert_into(doc_key::table).values(row).returning(doc_key::doc).get_result(*c))?;
    document_rows::change(tx, (key.resource, doc), &FoundBy::default(), found_by)?;
    waiting::came(tx, (doc, doc))
}
