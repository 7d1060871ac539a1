//! Apps and backend services that ask for tokens.

use diesel::prelude::*;

use super::Tx;
use super::schema::client;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::ClientId;

/// A client's row. `sealed` is bound to `version`.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: ClientId,
    pub status: i16,
    pub version: i32,
    /// SHA-256 of its secret, if it has one.
    pub secret: Option<Vec<u8>>,
    pub sealed: Vec<u8>,
    pub created_at: Millis,
}

type Columns = (Vec<u8>, i16, i32, Option<Vec<u8>>, Vec<u8>, i64);

macro_rules! columns {
    () => {
        (client::client_, client::status, client::version, client::secret, client::sealed, client::created_at)
    };
}

fn read(row: Columns) -> Result<Row> {
    let (id, status, version, secret, sealed, created_at) = row;
    Ok(Row { id: ClientId::from_slice(&id)?, status, version, secret, sealed, created_at })
}

/// Whoever remembers what clients registered looks again.
pub fn insert(tx: &mut Tx<'_>, new: &Row) -> Result<()> {
    tx.changed.access = true;
    tx.note_written(&new.sealed);
    let row = (
        client::client_.eq(new.id.0.as_slice()),
        client::status.eq(new.status),
        client::version.eq(new.version),
        client::secret.eq(new.secret.as_deref()),
        client::sealed.eq(&new.sealed),
        (client::created_at.eq(new.created_at), client::changed_at.eq(tx.committed_at())),
    );
    on!(tx, c => diesel::insert_into(client::table).values(row).execute(*c))?;
    Ok(())
}

/// Puts the next version in the place of the one before; false when somebody else was first. Whoever is remembered is
/// asked for anew.
pub fn replace(tx: &mut Tx<'_>, next: &Row) -> Result<bool> {
    tx.changed.access = true;
    tx.note_written(&next.sealed);
    let before = client::table.find(next.id.0.as_slice()).filter(client::version.eq(next.version - 1));
    let row = (
        client::status.eq(next.status),
        client::version.eq(next.version),
        client::secret.eq(next.secret.as_deref()),
        client::sealed.eq(&next.sealed),
        client::changed_at.eq(tx.committed_at()),
    );
    Ok(on!(tx, c => diesel::update(before).set(row).execute(*c))? > 0)
}

pub fn get(tx: &mut Tx<'_>, id: ClientId) -> Result<Option<Row>> {
    let row: Option<Columns> = on!(tx, c => client::table.find(id.0.as_slice()).select(columns!()).first(*c).optional())?;
    row.map(read).transpose()
}

/// In the order in which they were registered.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Row>> {
    let rows: Vec<Columns> = on!(tx, c => client::table.select(columns!()).order((client::created_at, client::client_)).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// Those in this status.
pub fn in_status(tx: &mut Tx<'_>, status: i16) -> Result<Vec<Row>> {
    let rows: Vec<Columns> = on!(tx, c => client::table.filter(client::status.eq(status)).select(columns!()).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// How many are in this status.
pub fn count(tx: &mut Tx<'_>, status: i16) -> Result<i64> {
    on!(tx, c => client::table.filter(client::status.eq(status)).count().get_result(*c))
}

/// Forgets those that have waited in this status since before.
pub fn expire(tx: &mut Tx<'_>, status: i16, before: Millis) -> Result<()> {
    let old = client::table.filter(client::status.eq(status).and(client::changed_at.lt(before)));
    on!(tx, c => diesel::delete(old).execute(*c))?;
    Ok(())
}
