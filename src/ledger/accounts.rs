//! Accounts: who may sign in, in which role, and as which Practitioner, Patient or other person. What is known of an account
//! is sealed, bound to its version; it is found by keyed hashes of its name and of its `fhirUser`.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::break_glass;
use super::sealed::{self, Row as Place};
use crate::access::{Context, PatientRule, Role};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::AccountId;
use crate::search::Type;
use crate::store::accounts::{self as rows, Keys, Row};
use crate::store::break_glass::Asker;
use crate::store::{Tx, documents, grants, sessions};
use crate::vault::Vault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active = 1,
    Disabled = 2,
}

impl Status {
    pub const fn word(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Disabled => "disabled",
        }
    }
}

/// An account as it is now.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub status: Status,
    /// Counts the changes from 1.
    pub version: u32,
    pub facts: Facts,
    pub created_at: Millis,
    pub changed_at: Millis,
}

/// What is known of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What the person types to sign in.
    pub name: String,
    /// The role's name; without one nobody may do anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `Practitioner/ID`, `Patient/ID`: see `FHIR_USERS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<String>,
    /// argon2id in PHC form; without one only the upstream provider lets the person in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The password is good once, until then, and is changed at that sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_until: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
    /// Made by the claims of the upstream provider, not by an operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_claims: bool,
    /// The role is the one that those claims give at each sign-in, for no operator gave or took it (decision 0026).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub role_by_claims: bool,
    /// Who may sign in to it at the upstream provider, in the order in which they were linked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<Subject>,
}

/// A person at a provider. A subject is one of its issuer only (OpenID Connect Core 1.0, section 5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// As the provider's tokens say it.
    pub issuer: String,
    /// The person's `sub` there.
    pub subject: String,
}

/// The second factor of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totp {
    /// Base 32, as an otpauth URI carries it.
    pub secret: String,
}

/// The types that `fhirUser` may name, of those that SMART App Launch 2.2 lists ("Scopes for requesting identity data");
/// Person is not served.
pub const FHIR_USERS: [Type; 4] = [Type::Practitioner, Type::PractitionerRole, Type::Patient, Type::RelatedPerson];

const NAME_MAX: usize = 128;

impl Account {
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }
}

/// The account as it is now, whatever its status.
pub fn get(tx: &mut Tx<'_>, vault: &Vault, id: AccountId) -> Result<Option<Account>> {
    rows::get(tx, id)?.map(|row| open(vault, row)).transpose()
}

/// The account of a name, however it is capitalised.
pub fn by_name(tx: &mut Tx<'_>, vault: &Vault, name: &str) -> Result<Option<Account>> {
    rows::by_name(tx, name_hash(vault, name))?.map(|row| open(vault, row)).transpose()
}

/// The accounts of one `fhirUser`, in the order in which they were made.
pub fn by_fhir_user(tx: &mut Tx<'_>, vault: &Vault, fhir_user: &str) -> Result<Vec<Account>> {
    rows::by_fhir_user(tx, user_hash(vault, fhir_user))?.into_iter().map(|row| open(vault, row)).collect()
}

pub fn list(tx: &mut Tx<'_>, vault: &Vault) -> Result<Vec<Account>> {
    rows::list(tx)?.into_iter().map(|row| open(vault, row)).collect()
}

/// Makes an account. `Kind::Duplicate` when the name is taken, `Kind::Invalid` or `Kind::NotFound` when name or `fhirUser`
/// cannot be.
pub fn add(tx: &mut Tx<'_>, vault: &Vault, facts: Facts) -> Result<Account> {
    let facts = checked((tx, vault), facts, None)?;
    let id = AccountId::from_random(vault.chance.bytes()?);
    if rows::by_name(tx, name_hash(vault, &facts.name))?.is_some() {
        return Err(Error::new(Kind::Duplicate, "an account of this name exists already").at("name"));
    }
    let now = tx.committed_at();
    let account = Account { id, status: Status::Active, version: 1, facts, created_at: now, changed_at: now };
    rows::insert(tx, &row(vault, &account)?, keys(vault, &account.facts))?;
    Ok(account)
}

/// Puts new facts or another status in the place of those of `account`, which was read in the same transaction. Its
/// sessions end when it is disabled. What it granted ends then, with its role, with its record and with its password: whoever
/// knew the old one may have granted something that would outlive it.
pub fn change(tx: &mut Tx<'_>, vault: &Vault, account: &Account, to: (Status, Facts)) -> Result<Account> {
    let (status, facts) = to;
    let facts = checked((tx, vault), facts, account.facts.fhir_user.as_deref())?;
    let changed = Account { status, version: account.version + 1, facts, changed_at: tx.committed_at(), ..account.clone() };
    rows::update(tx, &row(vault, &changed)?, keys(vault, &changed.facts))?;
    if status == Status::Disabled {
        sessions::end_all(tx, account.id)?;
    }
    let (old, new) = (&account.facts, &changed.facts);
    let same = (&old.role, &old.fhir_user, &old.password) == (&new.role, &new.fhir_user, &new.password);
    if status == Status::Disabled || !same {
        end_grants(tx, vault, account.id)?;
    }
    Ok(changed)
}

/// With what was granted an emergency ends that was opened by it.
fn end_grants(tx: &mut Tx<'_>, vault: &Vault, id: AccountId) -> Result<()> {
    let now = tx.committed_at();
    grants::revoke_account(tx, id, now)?;
    break_glass::end_of(tx, vault, Asker::Account(id))
}

/// Lets this person sign in to the account, which was read in the same transaction. `Kind::Duplicate` when the subject is
/// linked to another one.
pub fn link(tx: &mut Tx<'_>, vault: &Vault, account: &Account, of: &Subject) -> Result<Account> {
    let hash = subject_hash(vault, of);
    match by_link(tx, vault, of)? {
        Some(known) if known.id == account.id => {}
        Some(known) => {
            let says = format!("the subject is linked to account {} already; firth account unlink takes that back", known.facts.name);
            return Err(Error::new(Kind::Duplicate, says).at("subject"));
        }
        None => rows::link_insert(tx, &hash, account.id)?,
    }
    if account.facts.linked.contains(of) {
        return Ok(account.clone());
    }
    let mut facts = account.facts.clone();
    facts.linked.push(of.clone());
    change(tx, vault, account, (account.status, facts))
}

/// Takes that back. The account's sessions end and what it granted does, for nobody knows what of it came by this link.
/// `Kind::NotFound` when the subject is not linked to the account.
pub fn unlink(tx: &mut Tx<'_>, vault: &Vault, account: &Account, of: &Subject) -> Result<Account> {
    if !rows::link_delete(tx, &subject_hash(vault, of), account.id)? {
        let says = format!("the subject is not linked to this account; firth account show {} lists who is", account.facts.name);
        return Err(Error::new(Kind::NotFound, says).at("subject"));
    }
    let mut facts = account.facts.clone();
    facts.linked.retain(|known| known != of);
    let changed = change(tx, vault, account, (account.status, facts))?;
    sessions::end_all(tx, account.id)?;
    end_grants(tx, vault, account.id)?;
    Ok(changed)
}

/// The account to which the subject is linked.
pub fn by_link(tx: &mut Tx<'_>, vault: &Vault, of: &Subject) -> Result<Option<Account>> {
    match rows::linked(tx, &subject_hash(vault, of))? {
        Some(id) => get(tx, vault, id),
        None => Ok(None),
    }
}

/// Judges `Type/id` of a `fhirUser`: `Kind::Invalid` when it is none, `Kind::NotFound` when there is no such resource.
pub fn fhir_user(tx: &mut Tx<'_>, vault: &Vault, text: &str) -> Result<()> {
    let known = FHIR_USERS.map(Type::name).join(", ");
    let refused = || Error::new(Kind::Invalid, format!("fhirUser is one of {known}, written Type/id")).at("fhirUser");
    let (name, id) = text.split_once('/').ok_or_else(refused)?;
    if name == "Person" {
        let says = format!("a Person is not served here; name the one that it links to, of {known}");
        return Err(Error::new(Kind::Invalid, says).at("fhirUser"));
    }
    let of = Type::parse(name).filter(|of| FHIR_USERS.contains(of)).ok_or_else(refused)?;
    match documents::live_shelf(tx, of, &documents::id_bytes(vault, of, id))? {
        Some(_) => Ok(()),
        None => Err(Error::new(Kind::NotFound, format!("there is no {text}; make it first")).at("fhirUser")),
    }
}

/// Why an account of this `fhirUser` would see nobody in the role, or what it was not meant to see; and what an operator can
/// do about it.
pub fn misfit(role: Role, fhir_user: Option<&str>) -> Option<(String, &'static str)> {
    let of = fhir_user.and_then(|user| user.split('/').next());
    let (why, remedy) = match (role.rule(), of) {
        _ if !role.fits(Context::User) => (
            "is of systems: its scopes are of system/, and who signs in with it could do nothing",
            "choose a role with scopes of user/ or patient/; firth role list shows them",
        ),
        (PatientRule::CareTeam, Some("Patient")) => (
            "sees whom the person cares for; a Patient cares for nobody",
            "name the Practitioner or PractitionerRole by --fhir-user, or choose role patient",
        ),
        (PatientRule::Own, None) => {
            ("sees the person's own record, and there is none", "say which by --fhir-user Patient/ID or --fhir-user RelatedPerson/ID")
        }
        (PatientRule::Own, Some("Practitioner" | "PractitionerRole")) => {
            ("sees the person's own record, which is a Patient's or a RelatedPerson's", "name that by --fhir-user, or choose another role")
        }
        _ => return None,
    };
    Some((format!("role {} {why}", role.name()), remedy))
}

/// Facts as they may be kept. Who is `known` already may be deleted since: the account can still be disabled.
fn checked(with: (&mut Tx<'_>, &Vault), facts: Facts, known: Option<&str>) -> Result<Facts> {
    let name = facts.name.trim().to_owned();
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Error::new(Kind::Invalid, format!("an account's name has 1 to {NAME_MAX} printable characters")).at("name"));
    }
    if let Some(user) = facts.fhir_user.as_deref().filter(|user| known != Some(user)) {
        fhir_user(with.0, with.1, user)?;
    }
    Ok(Facts { name, ..facts })
}

fn place(id: &AccountId, version: u32) -> Place<'_> {
    Place { kind: "account", id: &id.0, version }
}

fn row(vault: &Vault, account: &Account) -> Result<Row> {
    Ok(Row {
        id: account.id,
        status: account.status as i16,
        version: i32::try_from(account.version).map_err(Error::bug)?,
        sealed: sealed::seal(vault, place(&account.id, account.version), &account.facts)?,
        created_at: account.created_at,
        changed_at: account.changed_at,
    })
}

fn open(vault: &Vault, row: Row) -> Result<Account> {
    let version = u32::try_from(row.version).map_err(Error::bug)?;
    let facts = sealed::open(vault, place(&row.id, version), &row.sealed)?;
    let status = match row.status {
        1 => Status::Active,
        2 => Status::Disabled,
        other => return Err(Error::bug(format!("an account has the unknown status {other}"))),
    };
    Ok(Account { id: row.id, status, version, facts, created_at: row.created_at, changed_at: row.changed_at })
}

fn keys(vault: &Vault, facts: &Facts) -> Keys {
    Keys { name: name_hash(vault, &facts.name), fhir_user: facts.fhir_user.as_deref().map(|user| user_hash(vault, user)) }
}

/// One spelling of a name, however it is typed.
fn normal(name: &str) -> String {
    name.trim().nfkc().collect::<String>().to_lowercase()
}

pub(super) fn name_hash(vault: &Vault, name: &str) -> i64 {
    vault.index().hash("account-name", &[normal(name).as_bytes()])
}

fn user_hash(vault: &Vault, fhir_user: &str) -> i64 {
    vault.index().hash("account-fhir-user", &[fhir_user.as_bytes()])
}

fn subject_hash(vault: &Vault, of: &Subject) -> [u8; 32] {
    vault.index().full("account-link", &[of.issuer.as_bytes(), of.subject.as_bytes()])
}
