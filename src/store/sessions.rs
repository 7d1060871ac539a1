//! Browsers in which somebody has signed in; of the cookie there is the SHA-256.

use diesel::prelude::*;

use super::Tx;
use super::schema::session;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{AccountId, GrantId};

/// A session's row.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub id: GrantId,
    pub account: AccountId,
    /// When the person last proved to be who it is, if that is known.
    pub auth_time: Option<Millis>,
    pub used_at: Millis,
    /// Whatever happens, it ends then.
    pub expires_at: Millis,
}

type Row = (Vec<u8>, Vec<u8>, Option<i64>, i64, i64);

fn read((id, account, auth_time, used_at, expires_at): Row) -> Result<Session> {
    Ok(Session { id: GrantId::from_slice(&id)?, account: AccountId::from_slice(&account)?, auth_time, used_at, expires_at })
}

pub fn insert(tx: &mut Tx<'_>, secret: &[u8; 32], new: &Session) -> Result<()> {
    let row = (
        (session::secret.eq(secret.as_slice()), session::session_.eq(new.id.0.as_slice()), session::account.eq(new.account.0.as_slice())),
        (session::auth_time.eq(new.auth_time), session::used_at.eq(new.used_at), session::expires_at.eq(new.expires_at)),
    );
    on!(tx, c => diesel::insert_into(session::table).values(row).execute(*c))?;
    Ok(())
}

/// The session of a secret, whether or not it is over.
pub fn find(tx: &mut Tx<'_>, secret: &[u8; 32]) -> Result<Option<Session>> {
    let columns = (session::session_, session::account, session::auth_time, session::used_at, session::expires_at);
    let row: Option<Row> = on!(tx, c => session::table.find(secret.as_slice()).select(columns).first(*c).optional())?;
    row.map(read).transpose()
}

/// When the session of this id ends, None of one that has; whoever would end it waits until this transaction is over.
pub fn hold(tx: &mut Tx<'_>, id: GrantId) -> Result<Option<Millis>> {
    let held = session::table.filter(session::session_.eq(id.0.as_slice()));
    on!(tx, c => diesel::update(held).set(session::used_at.eq(session::used_at)).execute(*c))?;
    on!(tx, c => held.select(session::expires_at).first(*c).optional())
}

/// It was used now.
pub fn used(tx: &mut Tx<'_>, secret: &[u8; 32], now: Millis) -> Result<()> {
    on!(tx, c => diesel::update(session::table.find(secret.as_slice())).set(session::used_at.eq(now)).execute(*c))?;
    Ok(())
}

pub fn end(tx: &mut Tx<'_>, id: GrantId) -> Result<bool> {
    tx.changed.access = true;
    Ok(on!(tx, c => diesel::delete(session::table.filter(session::session_.eq(id.0.as_slice()))).execute(*c))? > 0)
}

/// Ends all sessions of an account.
pub fn end_all(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    tx.changed.access = true;
    on!(tx, c => diesel::delete(session::table.filter(session::account.eq(account.0.as_slice()))).execute(*c))?;
    Ok(())
}

/// Removes what has ended.
pub fn expire(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(session::table.filter(session::expires_at.le(now))).execute(*c))?;
    Ok(())
}
