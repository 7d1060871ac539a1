//! What clients were granted, and the codes and refresh tokens of it. A secret is kept as its SHA-256.

use diesel::prelude::*;

use super::Tx;
use super::schema::{grant_made, grant_secret};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{AccountId, ClientId, GrantId};

/// A grant's row.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: GrantId,
    pub client: ClientId,
    /// Who granted it; a backend service is granted by its registration.
    pub account: Option<AccountId>,
    /// The browser's session with which it ends.
    pub session: Option<GrantId>,
    pub sealed: Vec<u8>,
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
}

type Columns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, i64, Option<i64>, Option<i64>);

macro_rules! columns {
    () => {
        (
            grant_made::grant_made_,
            grant_made::client,
            grant_made::account,
            grant_made::session,
            grant_made::sealed,
            grant_made::created_at,
            grant_made::expires_at,
            grant_made::revoked_at,
        )
    };
}

fn read(row: Columns) -> Result<Made> {
    let (id, client, account, session, sealed, created_at, expires_at, revoked_at) = row;
    Ok(Made {
        id: GrantId::from_slice(&id)?,
        client: ClientId::from_slice(&client)?,
        account: account.map(|account| AccountId::from_slice(&account)).transpose()?,
        session: session.map(|session| GrantId::from_slice(&session)).transpose()?,
        sealed,
        created_at,
        expires_at,
        revoked_at,
    })
}

pub fn insert(tx: &mut Tx<'_>, new: &Made) -> Result<()> {
    tx.note_written(&new.sealed);
    let row = (
        grant_made::grant_made_.eq(new.id.0.as_slice()),
        grant_made::client.eq(new.client.0.as_slice()),
        grant_made::account.eq(new.account.map(|account| account.0.to_vec())),
        grant_made::session.eq(new.session.map(|session| session.0.to_vec())),
        grant_made::sealed.eq(&new.sealed),
        (grant_made::created_at.eq(new.created_at), grant_made::expires_at.eq(new.expires_at)),
    );
    on!(tx, c => diesel::insert_into(grant_made::table).values(row).execute(*c))?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: GrantId) -> Result<Option<Made>> {
    let row: Option<Columns> = on!(tx, c => grant_made::table.find(id.0.as_slice()).select(columns!()).first(*c).optional())?;
    row.map(read).transpose()
}

/// The grants that an account made and that hold, newest first.
pub fn of_account(tx: &mut Tx<'_>, account: AccountId, now: Millis) -> Result<Vec<Made>> {
    let holds = grant_made::expires_at.is_null().or(grant_made::expires_at.gt(now));
    let all = grant_made::table.filter(grant_made::account.eq(account.0.to_vec()).and(grant_made::revoked_at.is_null()));
    let rows: Vec<Columns> = on!(tx, c => all.filter(holds).select(columns!()).order(grant_made::created_at.desc()).load(*c))?;
    rows.into_iter().map(read).collect()
}

macro_rules! revoke {
    ($($(#[$meta:meta])* $name:ident $id:ident $column:ident;)*) => {
        $($(#[$meta])*
        pub fn $name(tx: &mut Tx<'_>, id: $id, now: Millis) -> Result<usize> {
            tx.changed.access = true;
            let live = grant_made::table.filter(grant_made::$column.eq(id.0.to_vec())).filter(grant_made::revoked_at.is_null());
            on!(tx, c => diesel::update(live).set(grant_made::revoked_at.eq(now)).execute(*c))
        })*
    };
}

revoke! {
    /// Ends one grant; answers 0 when it had ended.
    revoke GrantId grant_made_;
    revoke_client ClientId client;
    revoke_account AccountId account;
    /// Ends what ends with a browser's session.
    revoke_session GrantId session;
}

/// What a secret of a grant is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Code = 1,
    Refresh = 2,
}

/// A secret's row.
#[derive(Clone, Debug)]
pub struct Secret {
    pub grant: GrantId,
    pub kind: i16,
    pub issued_at: Millis,
    pub expires_at: Millis,
    pub used_at: Option<Millis>,
    /// The thumbprint of the key whose proof must come with it.
    pub jkt: Option<Vec<u8>>,
}

pub fn secret_insert(tx: &mut Tx<'_>, secret: &[u8; 32], new: &Secret) -> Result<()> {
    let row = (
        grant_secret::secret.eq(secret.as_slice()),
        grant_secret::grant_made.eq(new.grant.0.as_slice()),
        grant_secret::kind.eq(new.kind),
        grant_secret::issued_at.eq(new.issued_at),
        grant_secret::expires_at.eq(new.expires_at),
        grant_secret::jkt.eq(new.jkt.as_deref()),
    );
    on!(tx, c => diesel::insert_into(grant_secret::table).values(row).execute(*c))?;
    Ok(())
}

pub fn secret_find(tx: &mut Tx<'_>, secret: &[u8; 32]) -> Result<Option<Secret>> {
    type Columns = (Vec<u8>, i16, i64, i64, Option<i64>, Option<Vec<u8>>);
    let columns = (
        grant_secret::grant_made,
        grant_secret::kind,
        grant_secret::issued_at,
        grant_secret::expires_at,
        grant_secret::used_at,
        grant_secret::jkt,
    );
    let row: Option<Columns> = on!(tx, c => grant_secret::table.find(secret.as_slice()).select(columns).first(*c).optional())?;
    row.map(|(grant, kind, issued_at, expires_at, used_at, jkt)| {
        Ok(Secret { grant: GrantId::from_slice(&grant)?, kind, issued_at, expires_at, used_at, jkt })
    })
    .transpose()
}

/// Marks a secret as used; false when it was already.
pub fn secret_use(tx: &mut Tx<'_>, secret: &[u8; 32], now: Millis) -> Result<bool> {
    let unused = grant_secret::table.find(secret.as_slice()).filter(grant_secret::used_at.is_null());
    Ok(on!(tx, c => diesel::update(unused).set(grant_secret::used_at.eq(now)).execute(*c))? > 0)
}

/// Clears away what ended before.
pub fn expire(tx: &mut Tx<'_>, before: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(grant_secret::table.filter(grant_secret::expires_at.lt(before))).execute(*c))?;
    let ended = grant_made::table.filter(grant_made::expires_at.lt(before).or(grant_made::revoked_at.lt(before)));
    on!(tx, c => diesel::delete(ended).execute(*c))?;
    Ok(())
}
