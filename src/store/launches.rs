//! EHR launches that wait for their app. What is shown is kept as its SHA-256.

use diesel::prelude::*;

use super::Tx;
use super::schema::launch;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::ClientId;

/// A launch's row.
#[derive(Clone, Debug)]
pub struct Row {
    pub client: ClientId,
    pub sealed: Vec<u8>,
    pub expires_at: Millis,
    pub used_at: Option<Millis>,
}

pub fn insert(tx: &mut Tx<'_>, secret: &[u8; 32], new: &Row) -> Result<()> {
    tx.note_written(&new.sealed);
    let row = (
        launch::secret.eq(secret.as_slice()),
        launch::client.eq(new.client.0.as_slice()),
        launch::sealed.eq(&new.sealed),
        launch::expires_at.eq(new.expires_at),
    );
    on!(tx, c => diesel::insert_into(launch::table).values(row).execute(*c))?;
    Ok(())
}

pub fn find(tx: &mut Tx<'_>, secret: &[u8; 32]) -> Result<Option<Row>> {
    type Columns = (Vec<u8>, Vec<u8>, i64, Option<i64>);
    let columns = (launch::client, launch::sealed, launch::expires_at, launch::used_at);
    let row: Option<Columns> = on!(tx, c => launch::table.find(secret.as_slice()).select(columns).first(*c).optional())?;
    row.map(|(client, sealed, expires_at, used_at)| Ok(Row { client: ClientId::from_slice(&client)?, sealed, expires_at, used_at }))
        .transpose()
}

/// Marks it as used; false when it was already.
pub fn use_up(tx: &mut Tx<'_>, secret: &[u8; 32], now: Millis) -> Result<bool> {
    let unused = launch::table.find(secret.as_slice()).filter(launch::used_at.is_null());
    Ok(on!(tx, c => diesel::update(unused).set(launch::used_at.eq(now)).execute(*c))? > 0)
}

pub fn expire(tx: &mut Tx<'_>, before: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(launch::table.filter(launch::expires_at.lt(before))).execute(*c))?;
    Ok(())
}
