//! Apps and bearer secrets. A secret is kept as its SHA-256 and shown once.

use diesel::prelude::*;

use super::Tx;
use super::schema::{app, app_user, credential, credential_patient, patient_shelf};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{GrantId, PatientId, UserId};

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Access = 1,
    Refresh = 2,
    ApiKey = 3,
}

/// A secret's row.
#[derive(Clone, Debug)]
pub struct Credential {
    pub id: GrantId,
    pub family: GrantId,
    pub kind: i16,
    pub role: i16,
    pub scopes: String,
    pub user: Option<UserId>,
    pub issued_at: Millis,
    pub expires_at: Option<Millis>,
    pub used_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
}

type Row = (Vec<u8>, Vec<u8>, i16, i16, String, Option<Vec<u8>>, i64, Option<i64>, Option<i64>, Option<i64>);

fn read(row: Row) -> Result<Credential> {
    let (id, family, kind, role, scopes, user, issued_at, expires_at, used_at, revoked_at) = row;
    let user = user.map(|user| UserId::from_slice(&user)).transpose()?;
    Ok(Credential {
        id: GrantId::from_slice(&id)?,
        family: GrantId::from_slice(&family)?,
        kind,
        role,
        scopes,
        user,
        issued_at,
        expires_at,
        used_at,
        revoked_at,
    })
}

macro_rules! columns {
    () => {
        (
            credential::credential_,
            credential::family,
            credential::kind,
            credential::role,
            credential::scopes,
            credential::user_id,
            credential::issued_at,
            credential::expires_at,
            credential::used_at,
            credential::revoked_at,
        )
    };
}

pub fn insert(tx: &mut Tx<'_>, secret: &[u8; 32], new: &Credential, patients: &[PatientId]) -> Result<()> {
    let row = (
        (
            credential::secret.eq(secret.as_slice()),
            credential::credential_.eq(new.id.0.as_slice()),
            credential::family.eq(new.family.0.as_slice()),
        ),
        (credential::kind.eq(new.kind), credential::role.eq(new.role), credential::scopes.eq(&new.scopes)),
        (
            credential::user_id.eq(new.user.map(|user| user.0.to_vec())),
            credential::issued_at.eq(new.issued_at),
            credential::expires_at.eq(new.expires_at),
        ),
    );
    on!(tx, c => diesel::insert_into(credential::table).values(row).execute(*c))?;
    for patient in patients {
        let row = (credential_patient::credential.eq(new.id.0.as_slice()), credential_patient::patient.eq(patient.0.as_slice()));
        on!(tx, c => diesel::insert_into(credential_patient::table).values(row).execute(*c))?;
    }
    Ok(())
}

pub fn by_secret(tx: &mut Tx<'_>, secret: &[u8; 32]) -> Result<Option<Credential>> {
    let row: Option<Row> = on!(tx, c => credential::table.find(secret.as_slice()).select(columns!()).first(*c).optional())?;
    row.map(read).transpose()
}

/// What a secret opens: its row, the patients it names (of one who was merged the one into whom), and the Patient of its
/// user.
pub struct Shown {
    pub credential: Credential,
    pub patients: Vec<PatientId>,
    pub of_user: Option<PatientId>,
}

/// The same with everything that a request's caller is made of, in one statement.
pub fn shown(tx: &mut Tx<'_>, secret: &[u8; 32]) -> Result<Option<Shown>> {
    type Id = Option<Vec<u8>>;
    type Joined = (Row, Id, Id, Id);
    let rows: Vec<Joined> = on!(tx, c => credential::table
        .left_join(credential_patient::table.on(credential_patient::credential.eq(credential::credential_)))
        .left_join(patient_shelf::table.on(patient_shelf::born.nullable().eq(credential_patient::patient.nullable())))
        .left_join(app_user::table.on(credential::user_id.eq(app_user::user_id.nullable())))
        .filter(credential::secret.eq(secret.as_slice()))
        .select((columns!(), credential_patient::patient.nullable(), patient_shelf::patient.nullable(), app_user::patient.nullable()))
        .order(credential_patient::patient)
        .load(*c))?;
    let patients = rows.iter().filter_map(|(_, named, now, _)| Some(PatientId::from_slice(now.as_deref().or(named.as_deref())?)));
    let mut patients: Vec<PatientId> = patients.collect::<Result<_>>()?;
    patients.dedup();
    let Some((row, _, _, of_user)) = rows.into_iter().next() else { return Ok(None) };
    let of_user = of_user.map(|patient| PatientId::from_slice(&patient)).transpose()?;
    Ok(Some(Shown { credential: read(row)?, patients, of_user }))
}

pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Credential>> {
    let rows: Vec<Row> =
        on!(tx, c => credential::table.select(columns!()).order((credential::issued_at, credential::credential_)).load(*c))?;
    rows.into_iter().map(read).collect()
}

/// Marks a refresh token as used; false when another request was first.
pub fn use_up(tx: &mut Tx<'_>, secret: &[u8; 32], now: Millis) -> Result<bool> {
    let unused = credential::table.find(secret.as_slice()).filter(credential::used_at.is_null());
    Ok(on!(tx, c => diesel::update(unused).set(credential::used_at.eq(now)).execute(*c))? > 0)
}

pub fn revoke_family(tx: &mut Tx<'_>, family: GrantId, now: Millis) -> Result<usize> {
    tx.changed.access = true;
    let live = credential::table.filter(credential::family.eq(family.0.as_slice()).and(credential::revoked_at.is_null()));
    on!(tx, c => diesel::update(live).set(credential::revoked_at.eq(now)).execute(*c))
}

pub fn revoke(tx: &mut Tx<'_>, id: GrantId, now: Millis) -> Result<usize> {
    tx.changed.access = true;
    let live = credential::table.filter(credential::credential_.eq(id.0.as_slice()).and(credential::revoked_at.is_null()));
    on!(tx, c => diesel::update(live).set(credential::revoked_at.eq(now)).execute(*c))
}

pub fn revoke_user(tx: &mut Tx<'_>, user: UserId, now: Millis) -> Result<usize> {
    tx.changed.access = true;
    let live = credential::table.filter(credential::user_id.eq(user.0.to_vec()).and(credential::revoked_at.is_null()));
    on!(tx, c => diesel::update(live).set(credential::revoked_at.eq(now)).execute(*c))
}

pub fn app_insert(tx: &mut Tx<'_>, id: GrantId, name: &[u8], secret: &[u8; 32]) -> Result<()> {
    let row = (app::app_.eq(id.0.as_slice()), app::name.eq(name), app::secret.eq(secret.as_slice()), app::created_at.eq(tx.committed_at()));
    on!(tx, c => diesel::insert_into(app::table).values(row).execute(*c))?;
    Ok(())
}

pub fn app_secret(tx: &mut Tx<'_>, id: GrantId) -> Result<Option<Vec<u8>>> {
    on!(tx, c => app::table.find(id.0.as_slice()).select(app::secret).first(*c).optional())
}
