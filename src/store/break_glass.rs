//! Emergency access: one user, one client, one patient, for a time. Nothing is deleted; a review is added.

use diesel::prelude::*;

use super::Tx;
use super::schema::break_glass;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{AccountId, ClientId, GrantId, PatientId};

#[derive(Clone, Debug)]
pub struct Row {
    pub id: GrantId,
    pub account: AccountId,
    pub client: ClientId,
    /// Who was asked for, whoever that is merged with.
    pub patient: PatientId,
    /// Why, and as whom; sealed.
    pub sealed: Vec<u8>,
    pub granted_at: Millis,
    pub expires_at: Millis,
    /// When its end was recorded.
    pub ended_at: Option<Millis>,
    pub reviewed_at: Option<Millis>,
}

/// A half of those to whom an emergency is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    Account(AccountId),
    Client(ClientId),
}

type Tuple = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, i64, Option<i64>, Option<i64>);

macro_rules! columns {
    () => {
        (
            break_glass::break_glass_,
            break_glass::account,
            break_glass::client,
            break_glass::patient,
            break_glass::sealed,
            break_glass::granted_at,
            break_glass::expires_at,
            break_glass::ended_at,
            break_glass::reviewed_at,
        )
    };
}

fn read(row: Tuple) -> Result<Row> {
    let (id, account, client, patient, sealed, granted_at, expires_at, ended_at, reviewed_at) = row;
    Ok(Row {
        id: GrantId::from_slice(&id)?,
        account: AccountId::from_slice(&account)?,
        client: ClientId::from_slice(&client)?,
        patient: PatientId::from_slice(&patient)?,
        sealed,
        granted_at,
        expires_at,
        ended_at,
        reviewed_at,
    })
}

pub fn insert(tx: &mut Tx<'_>, new: &Row) -> Result<()> {
    tx.changed.access = true;
    tx.note_written(&new.sealed);
    let row = (
        (break_glass::break_glass_.eq(new.id.0.as_slice()), break_glass::account.eq(new.account.0.as_slice())),
        (break_glass::client.eq(new.client.0.as_slice()), break_glass::patient.eq(new.patient.0.as_slice())),
        (break_glass::sealed.eq(&new.sealed), break_glass::granted_at.eq(new.granted_at), break_glass::expires_at.eq(new.expires_at)),
    );
    on!(tx, c => diesel::insert_into(break_glass::table).values(row).execute(*c))?;
    Ok(())
}

/// Whom the user may see with the client, and until when.
pub fn of(tx: &mut Tx<'_>, who: (AccountId, ClientId), now: Millis) -> Result<Vec<(PatientId, Millis)>> {
    let own = break_glass::account.eq(who.0.0.as_slice().to_vec()).and(break_glass::client.eq(who.1.0.as_slice().to_vec()));
    let open = break_glass::table.filter(own).filter(break_glass::expires_at.gt(now));
    let rows: Vec<(Vec<u8>, i64)> = on!(tx, c => open.select((break_glass::patient, break_glass::expires_at)).load(*c))?;
    rows.into_iter().map(|(patient, expires_at)| Ok((PatientId::from_slice(&patient)?, expires_at))).collect()
}

/// Those that are over, and whose end was not recorded yet.
pub fn due(tx: &mut Tx<'_>, now: Millis) -> Result<Vec<Row>> {
    const SOME: i64 = 100;
    let due = break_glass::table.filter(break_glass::ended_at.is_null()).filter(break_glass::expires_at.le(now));
    let rows: Vec<Tuple> = on!(tx, c => due.select(columns!()).order(break_glass::expires_at).limit(SOME).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// Those that still last: of one user, whichever client it is, or of one client, whoever uses it.
pub fn lasting(tx: &mut Tx<'_>, of: Asker, now: Millis) -> Result<Vec<Row>> {
    let open = break_glass::table.filter(break_glass::ended_at.is_null()).filter(break_glass::expires_at.gt(now));
    let rows: Vec<Tuple> = match of {
        Asker::Account(id) => on!(tx, c => open.filter(break_glass::account.eq(id.0.to_vec())).select(columns!()).load(*c))?,
        Asker::Client(id) => on!(tx, c => open.filter(break_glass::client.eq(id.0.to_vec())).select(columns!()).load(*c))?,
    };
    rows.into_iter().map(read).collect()
}

/// Records an end, at which it is over; false when that was done already.
pub fn end(tx: &mut Tx<'_>, row: &Row, at: Millis) -> Result<bool> {
    tx.changed.access = true;
    let open = break_glass::table.filter(break_glass::break_glass_.eq(row.id.0.as_slice())).filter(break_glass::ended_at.is_null());
    let set = (break_glass::ended_at.eq(at), break_glass::expires_at.eq(row.expires_at.min(at)));
    Ok(on!(tx, c => diesel::update(open).set(set).execute(*c))? > 0)
}

/// Those that nobody has reviewed, oldest first.
pub fn unreviewed(tx: &mut Tx<'_>) -> Result<Vec<Row>> {
    let open = break_glass::table.filter(break_glass::reviewed_at.is_null());
    let rows: Vec<Tuple> = on!(tx, c => open.select(columns!()).order((break_glass::granted_at, break_glass::break_glass_)).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// Keeps a sealed review; false when there is one.
pub fn review(tx: &mut Tx<'_>, id: GrantId, sealed: &[u8]) -> Result<bool> {
    tx.note_written(sealed);
    let open = break_glass::table.filter(break_glass::break_glass_.eq(id.0.as_slice())).filter(break_glass::reviewed_at.is_null());
    let set = (break_glass::reviewed_at.eq(tx.committed_at()), break_glass::review.eq(sealed));
    Ok(on!(tx, c => diesel::update(open).set(set).execute(*c))? > 0)
}
