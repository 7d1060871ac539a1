//! Logins: one row an account, whose sealed column is bound to its version; links to subjects of the upstream provider;
//! and the sign-ins that failed.

use diesel::prelude::*;

use super::Tx;
use super::schema::{account, account_link, sign_in_failure};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::AccountId;

/// An account's row.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: AccountId,
    pub status: i16,
    pub version: i32,
    pub sealed: Vec<u8>,
    pub created_at: Millis,
    pub changed_at: Millis,
}

/// Keyed hashes of what an account is found by.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    pub name: i64,
    pub fhir_user: Option<i64>,
}

type Columns = (Vec<u8>, i16, i32, Vec<u8>, i64, i64);

const COLUMNS: (account::account_, account::status, account::version, account::sealed, account::created_at, account::changed_at) =
    (account::account_, account::status, account::version, account::sealed, account::created_at, account::changed_at);

fn read((id, status, version, sealed, created_at, changed_at): Columns) -> Result<Row> {
    Ok(Row { id: AccountId::from_slice(&id)?, status, version, sealed, created_at, changed_at })
}

/// `Kind::Conflict` when the name is taken.
pub fn insert(tx: &mut Tx<'_>, new: &Row, keys: Keys) -> Result<()> {
    tx.note_written(&new.sealed);
    let row = (
        (account::account_.eq(new.id.0.as_slice()), account::name_hash.eq(keys.name), account::fhir_user_hash.eq(keys.fhir_user)),
        (account::status.eq(new.status), account::version.eq(new.version), account::sealed.eq(&new.sealed)),
        (account::created_at.eq(new.created_at), account::changed_at.eq(new.changed_at)),
    );
    on!(tx, c => diesel::insert_into(account::table).values(row).execute(*c))?;
    Ok(())
}

/// Puts `new` in the place of the version before it; `Kind::Conflict` when that is not the one in force.
pub fn update(tx: &mut Tx<'_>, new: &Row, keys: Keys) -> Result<()> {
    tx.changed.access = true;
    tx.note_written(&new.sealed);
    let before = account::table.find(new.id.0.as_slice()).filter(account::version.eq(new.version - 1));
    let columns = (
        (account::name_hash.eq(keys.name), account::fhir_user_hash.eq(keys.fhir_user), account::status.eq(new.status)),
        (account::version.eq(new.version), account::sealed.eq(&new.sealed), account::changed_at.eq(new.changed_at)),
    );
    match on!(tx, c => diesel::update(before).set(columns).execute(*c))? {
        0 => Err(Error::new(Kind::Conflict, "somebody else changed the account at the same time; try again")),
        _ => Ok(()),
    }
}

pub fn get(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Row>> {
    let row: Option<Columns> = on!(tx, c => account::table.find(id.0.as_slice()).select(COLUMNS).first(*c).optional())?;
    row.map(read).transpose()
}

pub fn by_name(tx: &mut Tx<'_>, hash: i64) -> Result<Option<Row>> {
    let row: Option<Columns> = on!(tx, c => account::table.filter(account::name_hash.eq(hash)).select(COLUMNS).first(*c).optional())?;
    row.map(read).transpose()
}

/// The accounts of one `fhirUser`, of any status.
pub fn by_fhir_user(tx: &mut Tx<'_>, hash: i64) -> Result<Vec<Row>> {
    let rows: Vec<Columns> = on!(tx, c => account::table
        .filter(account::fhir_user_hash.eq(hash))
        .select(COLUMNS)
        .order((account::created_at, account::account_))
        .load(*c))?;
    rows.into_iter().map(read).collect()
}

pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Row>> {
    let rows: Vec<Columns> = on!(tx, c => account::table.select(COLUMNS).order((account::created_at, account::account_)).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// Uses up the codes of a step of TOTP and of all before it; false when it or a later one was used already (RFC 6238,
/// section 5.2).
pub fn totp_use(tx: &mut Tx<'_>, id: AccountId, step: i64) -> Result<bool> {
    let unused = account::table.find(id.0.as_slice()).filter(account::totp_step.is_null().or(account::totp_step.lt(step)));
    Ok(on!(tx, c => diesel::update(unused).set(account::totp_step.eq(step)).execute(*c))? > 0)
}

/// Links a subject; `Kind::Conflict` when it is linked already.
pub fn link_insert(tx: &mut Tx<'_>, subject: &[u8; 32], id: AccountId) -> Result<()> {
    let row = (
        account_link::subject.eq(subject.as_slice()),
        account_link::account.eq(id.0.as_slice()),
        account_link::created_at.eq(tx.committed_at()),
    );
    on!(tx, c => diesel::insert_into(account_link::table).values(row).execute(*c))?;
    Ok(())
}

/// Takes the link of a subject to this account; false when there is none.
pub fn link_delete(tx: &mut Tx<'_>, subject: &[u8; 32], id: AccountId) -> Result<bool> {
    let link = account_link::table.find(subject.as_slice()).filter(account_link::account.eq(id.0.as_slice()));
    Ok(on!(tx, c => diesel::delete(link).execute(*c))? > 0)
}

pub fn linked(tx: &mut Tx<'_>, subject: &[u8; 32]) -> Result<Option<AccountId>> {
    let id: Option<Vec<u8>> =
        on!(tx, c => account_link::table.find(subject.as_slice()).select(account_link::account).first(*c).optional())?;
    id.map(|id| AccountId::from_slice(&id)).transpose()
}

/// How many subjects lead to the account.
pub fn links(tx: &mut Tx<'_>, id: AccountId) -> Result<i64> {
    on!(tx, c => account_link::table.filter(account_link::account.eq(id.0.as_slice())).count().get_result(*c))
}

/// Holds the count until the transaction ends, so that tries at the same time are counted one after the other.
pub fn failures_hold(tx: &mut Tx<'_>, hash: i64) -> Result<()> {
    let new = (sign_in_failure::hash.eq(hash), sign_in_failure::failures.eq(0), sign_in_failure::blocked_until.eq(0));
    let new = (new, sign_in_failure::expires_at.eq(0));
    on!(tx, c => diesel::insert_into(sign_in_failure::table)
        .values(new)
        .on_conflict(sign_in_failure::hash)
        .do_update()
        .set(sign_in_failure::hash.eq(hash))
        .execute(*c))?;
    Ok(())
}

/// How many tries have failed, and until when none is judged; none that is over.
pub fn failures(tx: &mut Tx<'_>, hash: i64, now: Millis) -> Result<(i32, Millis)> {
    let kept = sign_in_failure::table.find(hash).filter(sign_in_failure::expires_at.gt(now));
    let row: Option<(i32, i64)> =
        on!(tx, c => kept.select((sign_in_failure::failures, sign_in_failure::blocked_until)).first(*c).optional())?;
    Ok(row.unwrap_or((0, 0)))
}

/// What failed now in the place of what failed before.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub hash: i64,
    pub failures: i32,
    pub blocked_until: Millis,
    pub expires_at: Millis,
}

pub fn failed(tx: &mut Tx<'_>, now: &Failure) -> Result<()> {
    let columns = (
        sign_in_failure::failures.eq(now.failures),
        sign_in_failure::blocked_until.eq(now.blocked_until),
        sign_in_failure::expires_at.eq(now.expires_at),
    );
    on!(tx, c => diesel::insert_into(sign_in_failure::table)
        .values((sign_in_failure::hash.eq(now.hash), columns))
        .on_conflict(sign_in_failure::hash)
        .do_update()
        .set(columns)
        .execute(*c))?;
    Ok(())
}

pub fn forgiven(tx: &mut Tx<'_>, hash: i64) -> Result<()> {
    on!(tx, c => diesel::delete(sign_in_failure::table.find(hash)).execute(*c))?;
    Ok(())
}

/// Forgets what is over.
pub fn failures_expire(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(sign_in_failure::table.filter(sign_in_failure::expires_at.le(now))).execute(*c))?;
    Ok(())
}
