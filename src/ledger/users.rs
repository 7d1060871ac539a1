//! The people of `/api/v1`: a user is made with its Patient, found by external id, changed and deleted.

use super::documents::{Put, current, new_shelf, put};
use crate::error::{Error, Kind, Result};
use crate::fhir::patient::{self, Person};
use crate::id::{PatientId, Shelf, UserId};
use crate::policy::Visible;
use crate::search::{self, Bounds, Criterion, System, Token, Type, folded, string};
use crate::store::document_search::{Ask, Order};
use crate::store::documents::{self, Key};
use crate::store::listing::first;
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
    /// Without blanks around them, and only when each may be stored.
    fn checked(&self) -> Result<Fields> {
        let trimmed = |value: &Option<String>| value.as_ref().map(|value| value.trim().to_owned());
        let fields = Fields {
            external_user_id: trimmed(&self.external_user_id),
            first_name: trimmed(&self.first_name),
            last_name: trimmed(&self.last_name),
            email: trimmed(&self.email),
        };
        fields.check().map(|()| fields)
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("external_user_id", &self.external_user_id),
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("email", &self.email),
        ] {
            let Some(value) = value else { continue };
            if value.is_empty() || value.len() > FIELD_MAX || value.chars().any(char::is_control) {
                return Err(Error::new(Kind::Unprocessable, format!("{name} must have 1 to {FIELD_MAX} printable characters")).at(name));
            }
        }
        if self.email.as_deref().is_some_and(|email| !email.contains('@')) {
            return Err(Error::new(Kind::Unprocessable, "email is not an address").at("email"));
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        [&self.external_user_id, &self.first_name, &self.last_name, &self.email].into_iter().filter_map(Option::as_deref)
    }

    fn keys(&self, vault: &Vault) -> Keys {
        let hash = |domain: &str, text: &str| vault.index().hash(domain, &[text.trim().as_bytes()]);
        Keys {
            external: self.external_user_id.as_ref().map(|id| hash("user-external", id)),
            email: self.email.as_ref().map(|email| hash("user-email", &string::normal(email))),
        }
    }
}

/// Makes a user with a Patient of its own, or for the Patient that is named.
pub fn create(tx: &mut Tx<'_>, vault: &Vault, system: &str, new: (&Fields, Option<PatientId>)) -> Result<Shown> {
    let (fields, adopted) = new;
    let fields = &fields.checked()?;
    let id = UserId::from_random(vault.chance.bytes()?);
    let (patient, shelf) = match adopted {
        Some(patient) => (patient, adopt(tx, vault, (id, patient), (fields, system))?),
        None => born(tx, vault, id, (fields, system))?,
    };
    let user = User { id, patient, shelf, created_at: tx.committed_at() };
    // A Patient that is adopted has fields of its own: what it says now is what the user is found by.
    let fields = read(tx, vault, &user, system)?;
    free(tx, vault, system, (&user, &fields))?;
    users::insert(tx, &user, fields.keys(vault))?;
    Ok(Shown { user, fields })
}

/// The external id must lead to one user and to one Patient.
fn free(tx: &mut Tx<'_>, vault: &Vault, system: &str, of: (&User, &Fields)) -> Result<()> {
    let (user, fields) = of;
    let (Some(external), Some(hash)) = (fields.external_user_id.as_deref(), fields.keys(vault).external) else { return Ok(()) };
    let taken = |says: String| Err(Error::new(Kind::Duplicate, says).at("external_user_id"));
    if users::by_external(tx, hash)?.is_some_and(|other| other.id != user.id) {
        return taken("a user with this external_user_id exists already".into());
    }
    let token = Token { system: System::Is(system.to_owned()), code: Some(folded(external).into_owned()) };
    let ask = Ask {
        resource: Type::Patient,
        visible: &Visible::everything(Type::Patient),
        filters: &[search::Filter::any("identifier", vec![Criterion::Token(token)])],
        bounds: Bounds::default(),
        committed: Bounds::default(),
        order: Order::Committed,
        descending: false,
        after: None,
        limit: 100,
    };
    let named = first(tx, vault, &ask)?;
    let others = named.into_iter().map(|(id, ..)| PatientId(id)).filter(|id| *id != user.patient);
    let others: Vec<PatientId> = others.collect();
    if others.is_empty() {
        return Ok(());
    }
    // With whom the user's Patient is merged, it shares identifiers.
    let person: Vec<PatientId> = keys::person(tx, user.patient)?.into_iter().map(|(_, whose)| whose.born).collect();
    match others.iter().find(|other| !person.contains(other)) {
        Some(patient) => taken(format!("Patient/{patient} has this external_user_id as its identifier; give it a user with patient_id")),
        None => Ok(()),
    }
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
    put(tx, vault, &Put { key: key(patient, shelf), version: 1, json: &patient::json(&person)?, upsert: false })?;
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
    put(tx, vault, &Put { key, version: version + 1, json: &json, upsert: false })
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
    let fields = fields.checked()?;
    let before = get(tx, vault, system, id)?;
    let after = Fields {
        external_user_id: fields.external_user_id.clone().or(before.fields.external_user_id),
        first_name: fields.first_name.or(before.fields.first_name),
        last_name: fields.last_name.or(before.fields.last_name),
        email: fields.email.or(before.fields.email),
    };
    if fields.external_user_id.is_some() {
        free(tx, vault, system, (&before.user, &after))?;
    }
    amend(tx, vault, key(before.user.patient, before.user.shelf), (id, &after, system))?;
    users::update(tx, id, after.keys(vault))?;
    Ok(Shown { user: before.user, fields: read(tx, vault, &before.user, system)? })
}

/// A Patient was changed through FHIR: its user is found by what it says now.
pub fn patient_changed(tx: &mut Tx<'_>, vault: &Vault, system: &str, patient: PatientId) -> Result<()> {
    let Some(user) = users::by_patient(tx, patient)? else { return Ok(()) };
    let fields = read(tx, vault, &user, system)?;
    free(tx, vault, system, (&user, &fields))?;
    users::update(tx, user.id, fields.keys(vault))
}

/// Which users a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub external_user_id: Option<String>,
    pub email: Option<String>,
    /// Part of a name, of the email or of the external id.
    pub search: Option<String>,
    pub sort: Sort,
    pub ascending: bool,
    pub offset: i64,
    pub limit: i64,
}

/// What a list is sorted by. All but the time of creation is sealed, so the users must be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    CreatedAt,
    FirstName,
    LastName,
    Email,
}

impl Sort {
    pub fn parse(text: &str) -> Option<Sort> {
        match text {
            "created_at" => Some(Sort::CreatedAt),
            "first_name" => Some(Sort::FirstName),
            "last_name" => Some(Sort::LastName),
            "email" => Some(Sort::Email),
            _ => None,
        }
    }

    fn key(self, of: &Fields) -> String {
        let text = match self {
            Sort::CreatedAt => None,
            Sort::FirstName => of.first_name.as_deref(),
            Sort::LastName => of.last_name.as_deref(),
            Sort::Email => of.email.as_deref(),
        };
        text.map(string::normal).unwrap_or_default()
    }
}

/// How many users are opened for a list before it is refused.
const OPENED: i64 = 10_000;

pub fn list(tx: &mut Tx<'_>, vault: &Vault, system: &str, asked: &Asked) -> Result<(Vec<Shown>, i64)> {
    let wanted = Fields { external_user_id: asked.external_user_id.clone(), email: asked.email.clone(), ..Fields::default() };
    let hashes = wanted.keys(vault);
    let opens = asked.search.is_some() || asked.sort != Sort::CreatedAt;
    let (offset, limit) = if opens { (0, OPENED) } else { (asked.offset, asked.limit) };
    let filter = Filter { external: hashes.external, email: hashes.email, ascending: asked.ascending, offset, limit };
    let (found, total) = users::list(tx, &filter)?;
    let mut shown: Vec<Shown> =
        found.into_iter().map(|user| Ok(Shown { user, fields: read(tx, vault, &user, system)? })).collect::<Result<_>>()?;
    if !opens {
        return Ok((shown, total));
    }
    if total > OPENED {
        let says = "more than 10,000 users would have to be opened; ask by email or external_user_id, or sort by created_at";
        return Err(Error::new(Kind::TooCostly, says).at("external_user_id"));
    }
    if let Some(part) = asked.search.as_deref().map(string::normal) {
        shown.retain(|one| one.fields.all().any(|text| string::normal(text).contains(&part)));
    }
    if asked.sort != Sort::CreatedAt {
        // Stable, so that equal ones stay in the order of their creation.
        shown.sort_by_cached_key(|one| asked.sort.key(&one.fields));
        if !asked.ascending {
            shown.reverse();
        }
    }
    let total = shown.len() as i64;
    Ok((shown.into_iter().skip(asked.offset as usize).take(asked.limit as usize).collect(), total))
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
