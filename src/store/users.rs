//! The people whose data is uploaded: a user of `/api/v1` is a pointer to a Patient and its shelf.

use diesel::prelude::*;

use super::Tx;
use super::schema::{app_user, block, invitation};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{PatientId, Shelf, UserId};

#[derive(Clone, Copy, Debug)]
pub struct User {
    pub id: UserId,
    pub patient: PatientId,
    pub shelf: Shelf,
    pub created_at: Millis,
}

/// Hashes of what a user is found by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    pub external: Option<i64>,
    pub email: Option<i64>,
}

type Row = (Vec<u8>, Vec<u8>, i64, i64);

fn user((id, patient, shelf, created_at): Row) -> Result<User> {
    Ok(User { id: UserId::from_slice(&id)?, patient: PatientId::from_slice(&patient)?, shelf: Shelf(shelf), created_at })
}

const COLUMNS: (app_user::user_id, app_user::patient, app_user::shelf, app_user::created_at) =
    (app_user::user_id, app_user::patient, app_user::shelf, app_user::created_at);

pub fn insert(tx: &mut Tx<'_>, new: &User, keys: Keys) -> Result<()> {
    let row = (
        (app_user::user_id.eq(new.id.0.as_slice()), app_user::patient.eq(new.patient.0.as_slice()), app_user::shelf.eq(new.shelf.0)),
        (app_user::created_at.eq(new.created_at), app_user::external_hash.eq(keys.external), app_user::email_hash.eq(keys.email)),
    );
    on!(tx, c => diesel::insert_into(app_user::table).values(row).execute(*c))?;
    Ok(())
}

pub fn update(tx: &mut Tx<'_>, id: UserId, keys: Keys) -> Result<()> {
    let columns = (app_user::external_hash.eq(keys.external), app_user::email_hash.eq(keys.email));
    on!(tx, c => diesel::update(app_user::table.find(id.0.as_slice())).set(columns).execute(*c))?;
    Ok(())
}

pub fn delete(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    tx.changed.access = true;
    on!(tx, c => diesel::delete(app_user::table.find(id.0.as_slice())).execute(*c))?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    let row: Option<Row> = on!(tx, c => app_user::table.find(id.0.as_slice()).select(COLUMNS).first(*c).optional())?;
    row.map(user).transpose()
}

pub fn by_external(tx: &mut Tx<'_>, hash: i64) -> Result<Option<User>> {
    let row: Option<Row> = on!(tx, c => app_user::table.filter(app_user::external_hash.eq(hash)).select(COLUMNS).first(*c).optional())?;
    row.map(user).transpose()
}

pub fn by_patient(tx: &mut Tx<'_>, patient: PatientId) -> Result<Option<User>> {
    let row: Option<Row> =
        on!(tx, c => app_user::table.filter(app_user::patient.eq(patient.0.as_slice())).select(COLUMNS).first(*c).optional())?;
    row.map(user).transpose()
}

/// Which users a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    pub external: Option<i64>,
    pub email: Option<i64>,
    pub ascending: bool,
    pub offset: i64,
    pub limit: i64,
}

/// A page of users by their day of creation, and how many there are.
pub fn list(tx: &mut Tx<'_>, filter: &Filter) -> Result<(Vec<User>, i64)> {
    macro_rules! run {
        ($conn:expr) => {{
            let chosen = || {
                let mut query = app_user::table.into_boxed();
                if let Some(hash) = filter.external {
                    query = query.filter(app_user::external_hash.eq(hash));
                }
                if let Some(hash) = filter.email {
                    query = query.filter(app_user::email_hash.eq(hash));
                }
                query
            };
            let page = if filter.ascending {
                chosen().select(COLUMNS).order((app_user::created_at.asc(), app_user::user_id.asc()))
            } else {
                chosen().select(COLUMNS).order((app_user::created_at.desc(), app_user::user_id.desc()))
            };
            chosen()
                .count()
                .get_result::<i64>($conn)
                .and_then(|total| page.offset(filter.offset).limit(filter.limit).load::<Row>($conn).map(|rows| (rows, total)))
        }};
    }
    let (rows, total) = on!(tx, c => run!(*c))?;
    Ok((rows.into_iter().map(user).collect::<Result<_>>()?, total))
}

/// Does the shelf hold samples, or an upload that may still bring some?
pub fn has_data(tx: &mut Tx<'_>, shelf: Shelf) -> Result<bool> {
    use super::schema::upload;
    let blocks: bool = on!(tx, c => diesel::select(diesel::dsl::exists(block::table.filter(block::shelf.eq(shelf.0)))).get_result(*c))?;
    let uploads: bool = on!(tx, c => diesel::select(diesel::dsl::exists(upload::table.filter(upload::shelf.eq(shelf.0)))).get_result(*c))?;
    Ok(blocks || uploads)
}

pub fn invitation_insert(tx: &mut Tx<'_>, code: &[u8; 32], user: UserId, expires_at: Millis) -> Result<()> {
    let row = (invitation::code.eq(code.as_slice()), invitation::user_id.eq(user.0.as_slice()), invitation::expires_at.eq(expires_at));
    on!(tx, c => diesel::insert_into(invitation::table).values(row).execute(*c))?;
    Ok(())
}

/// Uses up a code that is still good; a code is good once.
pub fn invitation_use(tx: &mut Tx<'_>, code: &[u8; 32], now: Millis) -> Result<Option<UserId>> {
    let good = invitation::table
        .find(code.as_slice())
        .filter(invitation::used_at.is_null().and(invitation::revoked_at.is_null()).and(invitation::expires_at.gt(now)));
    let used = on!(tx, c => diesel::update(good).set(invitation::used_at.eq(now)).execute(*c))?;
    if used == 0 {
        return Ok(None);
    }
    let user: Vec<u8> = on!(tx, c => invitation::table.find(code.as_slice()).select(invitation::user_id).first(*c))?;
    UserId::from_slice(&user).map(Some)
}

pub fn invitations_revoke(tx: &mut Tx<'_>, user: UserId, now: Millis) -> Result<()> {
    on!(tx, c => diesel::update(invitation::table.filter(invitation::user_id.eq(user.0.as_slice()))).set(invitation::revoked_at.eq(now)).execute(*c))?;
    Ok(())
}
