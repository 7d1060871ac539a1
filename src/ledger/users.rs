//! The people of `/api/v1`: a user is made with its Patient, found by external id, changed and deleted.

use super::documents::{Put, current, new_shelf, put};
use crate::error::{Error, Kind, Result};
use crate::fhir::patient::{self, Person};
use crate::id::{PatientId, Shelf, UserId};
use crate::search::{Type, string};
use crate::store::documents::{self, Key};
use crate::store::users::{self, Filter, Keys, User};
use crate::store::{Tx, credentials, keys};
use crate::vault::Vault;

/// What a client says of a user; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub external_user_id: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
}

/// A user as a client reads it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub user: User,
    pub fields: Fields,
}

const FIELD_MAX: usize = 255;

impl Fields {
    fn checked(&self) -> Result<()> {
        for (name, value) in [
            ("external_user_id", &self.external_user_id),
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("email", &self.email),
        ] {
            let Some(value) = value else { continue };
            if value.trim().is_empty() || value.len() > FIELD_MAX || value.chars().any(char::is_control) {
                return Err(Error::new(Kind::Unprocessable, format!("{name} must have 1 to {FIELD_MAX} printable characters")).at(name));
            }
        }
        if self.email.as_deref().is_some_and(|email| !email.contains('@')) {
            return Err(Error::new(Kind::Unprocessable, "email is not an address").at("email"));
        }
        Ok(())
    }

    fn keys(&self, vault: &Vault) -> Keys {
        let hash = |domain: &str, text: &String| vault.index().hash(domain, &[text.as_bytes()]);
        Keys {
            external: self.external_user_id.as_ref().map(|id| hash("user-external", id)),
            email: self.email.as_ref().map(|email| hash("user-email", &string::normal(email))),
        }
    }
}

/// Makes a user with a Patient of its own, or for the Patient that is named.
pub fn create(tx: &mut Tx<'_>, vault: &Vault, system: &str, new: (&Fields, Option<PatientId>)) -> Result<Shown> {
    let (fields, adopted) = new;
    fields.checked()?;
    let hashes = fields.keys(vault);
    if let Some(hash) = hashes.external
        && users::by_external(tx, hash)?.is_some()
    {
        return Err(Error::new(Kind::Duplicate, "a user with this external_user_id exists already").at("external_user_id"));
    }
    let id = UserId::from_random(vault.chance.bytes()?);
    let (patient, shelf) = match adopted {
        Some(patient) => (patient, adopt(tx, vault, (id, patient), (fields, system))?),
        None => born(tx, vault, id, (fields, system))?,
    };
    let user = User { id, patient, shelf, created_at: tx.committed_at() };
    users::insert(tx, &user, hashes)?;
    Ok(Shown { user, fields: read(tx, vault, &user, system)? })
}

fn key(patient: PatientId, shelf: Shelf) -> Key {
    Key { shelf, resource: Type::Patient, id: patient.0 }
}

fn born(tx: &mut Tx<'_>, vault: &Vault, user: UserId, of: (&Fields, &str)) -> Result<(PatientId, Shelf)> {
    let (fields, system) = of;
    let patient = PatientId::from_random(vault.chance.bytes()?);
    let (shelf, wrapped) = new_shelf(tx, vault)?;
    keys::shelf_insert(tx, shelf, &wrapped, Some(patient))?;
    let person = Person {
        id: patient,
        version: 1,
        last_updated: tx.committed_at(),
        user,
        external: fields.external_user_id.clone().map(|id| (system.to_owned(), id)),
        first_name: fields.first_name.clone(),
        last_name: fields.last_name.clone(),
        email: fields.email.clone(),
    };
    put(tx, vault, &Put { key: key(patient, shelf), version: 1, json: &patient::json(&person)? })?;
    Ok((patient, shelf))
}

fn adopt(tx: &mut Tx<'_>, vault: &Vault, who: (UserId, PatientId), of: (&Fields, &str)) -> Result<Shelf> {
    let (user, patient) = who;
    if users::by_patient(tx, patient)?.is_some() {
        return Err(Error::new(Kind::Duplicate, "this Patient belongs to another user already").at("patient_id"));
    }
    let shelf = documents::directory_find(tx, Type::Patient, &patient.0)?
        .ok_or_else(|| Error::new(Kind::NotFound, "there is no such Patient").at("patient_id"))?;
    amend(tx, vault, key(patient, shelf), (user, of.0, of.1))?;
    Ok(shelf)
}

/// A new version of the Patient with the fields that are given.
fn amend(tx: &mut Tx<'_>, vault: &Vault, key: Key, with: (UserId, &Fields, &str)) -> Result<()> {
    let (user, fields, system) = with;
    keys::shelf_lock(tx, key.shelf)?;
    let (version, json) = current(tx, vault, &key)?.ok_or_else(|| Error::bug("a user has no Patient"))?;
    let changed = Person {
        id: PatientId(key.id),
        version: version + 1,
        last_updated: tx.committed_at(),
        user,
        external: fields.external_user_id.clone().map(|id| (system.to_owned(), id)),
        first_name: fields.first_name.clone(),
        last_name: fields.last_name.clone(),
        email: fields.email.clone(),
    };
    let json = patient::amend(&json, &changed)?;
    put(tx, vault, &Put { key, version: version + 1, json: &json })
}

/// The user with what its Patient says.
pub fn get(tx: &mut Tx<'_>, vault: &Vault, system: &str, id: UserId) -> Result<Shown> {
    let user = users::get(tx, id)?.ok_or_else(|| Error::new(Kind::NotFound, "there is no such user"))?;
    Ok(Shown { user, fields: read(tx, vault, &user, system)? })
}

fn read(tx: &mut Tx<'_>, vault: &Vault, user: &User, system: &str) -> Result<Fields> {
    let (_, json) = current(tx, vault, &key(user.patient, user.shelf))?.ok_or_else(|| Error::bug("a user has no Patient"))?;
    let said = patient::read(&json, system)?;
    Ok(Fields { external_user_id: said.external_id, first_name: said.first_name, last_name: said.last_name, email: said.email })
}

pub fn patch(tx: &mut Tx<'_>, vault: &Vault, system: &str, change: (UserId, &Fields)) -> Result<Shown> {
    let (id, fields) = change;
    fields.checked()?;
    let before = get(tx, vault, system, id)?;
    let after = Fields {
        external_user_id: fields.external_user_id.clone().or(before.fields.external_user_id),
        first_name: fields.first_name.clone().or(before.fields.first_name),
        last_name: fields.last_name.clone().or(before.fields.last_name),
        email: fields.email.clone().or(before.fields.email),
    };
    let hashes = after.keys(vault);
    if let Some(hash) = hashes.external
        && users::by_external(tx, hash)?.is_some_and(|other| other.id != id)
    {
        return Err(Error::new(Kind::Duplicate, "a user with this external_user_id exists already").at("external_user_id"));
    }
    amend(tx, vault, key(before.user.patient, before.user.shelf), (id, &after, system))?;
    users::update(tx, id, hashes)?;
    Ok(Shown { user: before.user, fields: read(tx, vault, &before.user, system)? })
}

/// Which users a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub external_user_id: Option<String>,
    pub email: Option<String>,
    pub ascending: bool,
    pub offset: i64,
    pub limit: i64,
}

pub fn list(tx: &mut Tx<'_>, vault: &Vault, system: &str, asked: &Asked) -> Result<(Vec<Shown>, i64)> {
    let wanted = Fields { external_user_id: asked.external_user_id.clone(), email: asked.email.clone(), ..Fields::default() };
    let hashes = wanted.keys(vault);
    let filter =
        Filter { external: hashes.external, email: hashes.email, ascending: asked.ascending, offset: asked.offset, limit: asked.limit };
    let (found, total) = users::list(tx, &filter)?;
    let shown = found.into_iter().map(|user| Ok(Shown { user, fields: read(tx, vault, &user, system)? })).collect::<Result<_>>()?;
    Ok((shown, total))
}

/// Revokes the user's tokens and codes; answers whether the user itself is gone. A user with data stays
/// until the key lifecycle can erase it.
pub fn delete(tx: &mut Tx<'_>, id: UserId) -> Result<bool> {
    let user = users::get(tx, id)?.ok_or_else(|| Error::new(Kind::NotFound, "there is no such user"))?;
    let now = tx.committed_at();
    credentials::revoke_user(tx, id, now)?;
    users::invitations_revoke(tx, id, now)?;
    if users::has_data(tx, user.shelf)? {
        return Ok(false);
    }
    users::delete(tx, id)?;
    Ok(true)
}
