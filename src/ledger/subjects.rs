//! People who signed in at the upstream provider: to which account they lead. By the link that an operator made, or by the
//! claim that names the person's own record here; who has neither is refused.

use std::collections::BTreeMap;

use super::accounts::{self, Account, Facts, Status, Subject};
use crate::access::Roles;
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
    Refused(String, Remedy),
}

/// What would let the person in.
#[derive(Debug)]
pub enum Remedy {
    /// No account is linked to the subject.
    Link,
    /// The account of this name is disabled.
    Reset(String),
    /// The account of this name has no role, or none that goes with its record.
    Role(String),
}

/// What was done to an account, for its audit entry.
#[derive(Debug)]
pub struct Changed {
    pub account: AccountId,
    pub action: Action,
    /// `account/ID`, with the role that it has now if that is what changed.
    pub what: String,
}

impl Changed {
    fn of(account: &Account) -> Changed {
        Changed { account: account.id, action: Action::Credential, what: format!("account/{}", account.id) }
    }
}

/// What the claims say now: the role or why there is none, and the record.
struct Said {
    role: Result<String, String>,
    user: Option<String>,
}

/// The account of a person, and what was done to it now; `given` are the values of the role's claim and the role that each
/// gives.
pub fn known(
    tx: &mut Tx<'_>,
    vault: &Vault,
    person: &Person,
    given: &BTreeMap<String, String>,
    roles: &Roles,
) -> Result<(Known, Vec<Changed>)> {
    let subject = Subject { issuer: person.issuer.clone(), subject: person.subject.clone() };
    let said = Said { role: mapped(person, given), user: claimed(tx, vault, person)? };
    if let Some(account) = accounts::by_link(tx, vault, &subject)? {
        return standing(tx, vault, account, said, roles);
    }
    let refused = |why: &str| Ok((Known::Refused(why.into(), Remedy::Link), Vec::new()));
    let Some(user) = said.user.clone() else {
        return refused(match person.fhir_user {
            None => "This server has no account that is linked to you, and the provider does not say which record here is your own.",
            Some(_) => "This server has no account that is linked to you, and the record that the provider calls your own is not here.",
        });
    };
    let mut of_user = accounts::by_fhir_user(tx, vault, &user)?;
    let (account, mut changes) = match (of_user.len(), said.role.clone()) {
        (1, _) => match standing(tx, vault, of_user.remove(0), said, roles)? {
            (Known::Account(account), changes) => (*account, changes),
            refused => return Ok(refused),
        },
        (0, Ok(role)) => {
            let (name, role, fhir_user) = (free_name(tx, vault, person)?, Some(role), Some(user));
            let facts = Facts { name, role, fhir_user, by_claims: true, role_by_claims: true, ..Facts::default() };
            if let Some(why) = misfit(roles, &facts) {
                return refused(&why);
            }
            (accounts::add(tx, vault, facts)?, Vec::new())
        }
        (0, Err(why)) => return refused(&why),
        _ => return refused("More than one account here is of your record; an operator must link one of them to you."),
    };
    let account = accounts::link(tx, vault, &account, &subject)?;
    changes.push(Changed::of(&account));
    Ok((Known::Account(Box::new(account)), changes))
}

/// The one role of the claim's values, or why there is none.
fn mapped(person: &Person, given: &BTreeMap<String, String>) -> Result<String, String> {
    let mut names: Vec<&str> = person.roles.iter().filter_map(|value| given.get(value)).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => Err("The provider names no role that this server knows, so you may do nothing here.".into()),
        // Roles that nobody signs in with are refused in the settings.
        [one] => Ok((*one).to_owned()),
        several => Err(format!("The provider gives you more than one role of this server ({}); an account has one.", several.join(", "))),
    }
}

/// Why role and record do not go together.
fn misfit(roles: &Roles, facts: &Facts) -> Option<String> {
    let role = facts.role.as_deref().and_then(|name| roles.named(name))?;
    let (why, _) = accounts::misfit(role, facts.fhir_user.as_deref())?;
    Some(format!("Your role and your record do not go together: {why}."))
}

/// The claimed record, if there is one of a type that people have.
fn claimed(tx: &mut Tx<'_>, vault: &Vault, person: &Person) -> Result<Option<String>> {
    let Some(user) = person.fhir_user.as_deref() else { return Ok(None) };
    // What is misspelt or not here names nobody.
    Ok(accounts::fhir_user(tx, vault, user).is_ok().then(|| user.to_owned()))
}

/// An account that is there, with what the claims say of it now. Of its role they say nothing once an operator gave or took
/// it (decision 0026). A role that does not go with the record is as good as none; an operator's stays, and so does the
/// record that goes with it.
fn standing(tx: &mut Tx<'_>, vault: &Vault, account: Account, said: Said, roles: &Roles) -> Result<(Known, Vec<Changed>)> {
    let mut facts = account.facts.clone();
    if !account.is_active() {
        return Ok((Known::Refused("Your account on this server is disabled.".into(), Remedy::Reset(facts.name)), Vec::new()));
    }
    let remedy = Remedy::Role(facts.name.clone());
    if facts.by_claims {
        facts.fhir_user = said.user.or(facts.fhir_user);
    }
    let mut why = None;
    if facts.role_by_claims {
        (facts.role, why) = said.role.map_or_else(|why| (None, Some(why)), |role| (Some(role), None));
    }
    if let Some(misfit) = misfit(roles, &facts) {
        if !facts.role_by_claims {
            return Ok((Known::Refused(misfit, remedy), Vec::new()));
        }
        (facts.role, why) = (None, Some(misfit));
    }
    let (account, changes) = if facts == account.facts { (account, Vec::new()) } else { changed(tx, vault, &account, facts)? };
    Ok((why.map_or_else(|| Known::Account(Box::new(account)), |why| Known::Refused(why, remedy)), changes))
}

fn changed(tx: &mut Tx<'_>, vault: &Vault, account: &Account, facts: Facts) -> Result<(Account, Vec<Changed>)> {
    let new = accounts::change(tx, vault, account, (Status::Active, facts))?;
    let mut changed = Changed::of(&new);
    if account.facts.role != new.facts.role {
        changed.action = Action::RoleChange;
        changed.what = format!("account/{} role {}", new.id, new.facts.role.as_deref().unwrap_or("none"));
    }
    Ok((new, vec![changed]))
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
