//! People who signed in at the upstream provider: to which account they lead. By the link that an operator made, or by the
//! claim that names the person's own record here; who has neither is refused.

use std::collections::BTreeMap;

use super::accounts::{self, Account, Facts, Status};
use crate::error::Result;
use crate::oidc::Person;
use crate::store::Tx;
use crate::vault::Vault;

/// What became of a person.
#[derive(Debug)]
pub enum Known {
    /// The account, and whether it was made or changed now.
    Account(Box<Account>, bool),
    /// Why nobody signs in, for the person and the operator.
    Refused(String),
}

/// The account of a person; `roles` are the values of the claim and the role that each gives.
pub fn known(tx: &mut Tx<'_>, vault: &Vault, person: &Person, roles: &BTreeMap<String, String>) -> Result<Known> {
    let subject = (person.issuer.as_str(), person.subject.as_str());
    let role = match mapped(person, roles) {
        Ok(role) => role,
        Err(why) => return Ok(Known::Refused(why)),
    };
    let user = claimed(tx, person)?;
    if let Some(account) = accounts::by_link(tx, vault, subject)? {
        return standing(tx, vault, account, (role, user));
    }
    let Some(user) = user else {
        return Ok(Known::Refused(
            "This server has no account that is linked to you, and the provider does not say which record here is your own.".into(),
        ));
    };
    let mut of_user = accounts::by_fhir_user(tx, vault, &user)?;
    match (of_user.len(), role) {
        (1, role) => {
            let account = of_user.remove(0);
            if account.is_active() {
                accounts::link(tx, vault, account.id, subject)?;
            }
            standing(tx, vault, account, (role, None))
        }
        (0, Some(role)) => {
            let facts =
                Facts { name: free_name(tx, vault, person)?, role: Some(role), fhir_user: Some(user), by_claims: true, ..Facts::default() };
            let account = accounts::add(tx, vault, facts)?;
            accounts::link(tx, vault, account.id, subject)?;
            Ok(Known::Account(Box::new(account), true))
        }
        (0, None) => Ok(Known::Refused("The provider names no role that this server knows, so you may do nothing here.".into())),
        _ => Ok(Known::Refused("More than one account here is of your record; an operator must link one of them to you.".into())),
    }
}

/// The one role of the claim's values.
fn mapped(person: &Person, roles: &BTreeMap<String, String>) -> Result<Option<String>, String> {
    let mut given: Vec<&String> = person.roles.iter().filter_map(|value| roles.get(value)).collect();
    given.sort();
    given.dedup();
    match given.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(format!("The provider gives you more than one role of this server ({}); an account has one.", names.join(", ")))
        }
    }
}

/// The claimed record, if there is one of a type that people have.
fn claimed(tx: &mut Tx<'_>, person: &Person) -> Result<Option<String>> {
    let Some(user) = person.fhir_user.as_deref() else { return Ok(None) };
    // What is misspelt or not here names nobody.
    Ok(accounts::fhir_user(tx, user).is_ok().then(|| user.to_owned()))
}

/// An account that is there, with what the claims say of it now.
fn standing(tx: &mut Tx<'_>, vault: &Vault, account: Account, now: (Option<String>, Option<String>)) -> Result<Known> {
    let (role, user) = now;
    if !account.is_active() {
        return Ok(Known::Refused("Your account on this server is disabled.".into()));
    }
    if account.facts.by_claims && role.is_none() {
        return Ok(Known::Refused("The provider names no role that this server knows any more, so you may do nothing here.".into()));
    }
    let user = user.filter(|_| account.facts.by_claims);
    let facts =
        Facts { role: role.or(account.facts.role.clone()), fhir_user: user.or(account.facts.fhir_user.clone()), ..account.facts.clone() };
    if facts == account.facts {
        return Ok(Known::Account(Box::new(account), false));
    }
    let changed = accounts::change(tx, vault, &account, (Status::Active, facts))?;
    Ok(Known::Account(Box::new(changed), true))
}

/// A name that no other account has.
fn free_name(tx: &mut Tx<'_>, vault: &Vault, person: &Person) -> Result<String> {
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(48).collect::<String>();
    let name = person.name.as_deref().map(short).filter(|name| !name.trim().is_empty()).unwrap_or_else(|| short(&person.subject));
    match accounts::by_name(tx, vault, &name)? {
        None => Ok(name),
        Some(_) => Ok(format!("{name} ({})", short(&person.subject))),
    }
}
