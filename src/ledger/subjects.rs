//! People who signed in at the upstream provider: to which account they lead. By the link that an operator made, or by the
//! claim that names the person's own record here; who has neither is refused.

use std::collections::BTreeMap;

use super::accounts::{self, Account, Facts, Status};
use crate::audit::Action;
use crate::error::Result;
use crate::id::AccountId;
use crate::oidc::Person;
use crate::store::Tx;
use crate::vault::Vault;

/// What became of a person.
#[derive(Debug)]
pub enum Known {
    Account(Box<Account>),
    /// Why nobody signs in, for the person and the operator.
    Refused(String),
}

/// What was done to an account, for its audit entry.
#[derive(Debug)]
pub struct Changed {
    pub account: AccountId,
    pub action: Action,
    /// `account/ID`, with the role that it has now if that is what changed.
    pub what: String,
}

/// The account of a person, and whether it was made or changed now; `roles` are the values of the claim and the role that
/// each gives.
pub fn known(tx: &mut Tx<'_>, vault: &Vault, person: &Person, roles: &BTreeMap<String, String>) -> Result<(Known, Option<Changed>)> {
    let subject = (person.issuer.as_str(), person.subject.as_str());
    let role = mapped(person, roles);
    let user = claimed(tx, vault, person)?;
    if let Some(account) = accounts::by_link(tx, vault, subject)? {
        return standing(tx, vault, account, (role, user));
    }
    let refused = |why: &str| Ok((Known::Refused(why.into()), None));
    let Some(user) = user else {
        return refused("This server has no account that is linked to you, and the provider does not say which record here is your own.");
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
        (0, Ok(role)) => {
            let (name, role, fhir_user) = (free_name(tx, vault, person)?, Some(role), Some(user));
            let facts = Facts { name, role, fhir_user, by_claims: true, role_by_claims: true, ..Facts::default() };
            let account = accounts::add(tx, vault, facts)?;
            accounts::link(tx, vault, account.id, subject)?;
            let made = Changed { account: account.id, action: Action::Credential, what: format!("account/{}", account.id) };
            Ok((Known::Account(Box::new(account)), Some(made)))
        }
        (0, Err(why)) => refused(&why),
        _ => refused("More than one account here is of your record; an operator must link one of them to you."),
    }
}

/// The one role of the claim's values, or why there is none.
fn mapped(person: &Person, roles: &BTreeMap<String, String>) -> Result<String, String> {
    let mut given: Vec<&String> = person.roles.iter().filter_map(|value| roles.get(value)).collect();
    given.sort();
    given.dedup();
    match given.as_slice() {
        [] => Err("The provider names no role that this server knows, so you may do nothing here.".into()),
        [one] => Ok((*one).clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(format!("The provider gives you more than one role of this server ({}); an account has one.", names.join(", ")))
        }
    }
}

/// The claimed record, if there is one of a type that people have.
fn claimed(tx: &mut Tx<'_>, vault: &Vault, person: &Person) -> Result<Option<String>> {
    let Some(user) = person.fhir_user.as_deref() else { return Ok(None) };
    // What is misspelt or not here names nobody.
    Ok(accounts::fhir_user(tx, vault, user).is_ok().then(|| user.to_owned()))
}

/// An account that is there, with what the claims say of it now. Of its role they say nothing once an operator gave or took
/// it (decision 0026).
fn standing(
    tx: &mut Tx<'_>,
    vault: &Vault,
    account: Account,
    now: (Result<String, String>, Option<String>),
) -> Result<(Known, Option<Changed>)> {
    let (role, user) = now;
    if !account.is_active() {
        return Ok((Known::Refused("Your account on this server is disabled.".into()), None));
    }
    let mut facts = account.facts.clone();
    if facts.by_claims {
        facts.fhir_user = user.or(facts.fhir_user);
    }
    let mut why = None;
    if facts.role_by_claims {
        (facts.role, why) = role.map_or_else(|why| (None, Some(why)), |role| (Some(role), None));
    }
    let (account, changed) = if facts == account.facts { (account, None) } else { changed(tx, vault, &account, facts)? };
    Ok((why.map_or_else(|| Known::Account(Box::new(account)), Known::Refused), changed))
}

fn changed(tx: &mut Tx<'_>, vault: &Vault, account: &Account, facts: Facts) -> Result<(Account, Option<Changed>)> {
    let new = accounts::change(tx, vault, account, (Status::Active, facts))?;
    let (action, what) = match (&account.facts.role, &new.facts.role) {
        (before, now) if before == now => (Action::Credential, format!("account/{}", new.id)),
        (_, now) => (Action::RoleChange, format!("account/{} role {}", new.id, now.as_deref().unwrap_or("none"))),
    };
    let changed = Changed { account: new.id, action, what };
    Ok((new, Some(changed)))
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
