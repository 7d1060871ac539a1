//! Logins by the operator's hand.

use std::sync::Arc;

use serde_json::Value;

use super::{noted, roles, text};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::accounts::{self, Account, Facts, Status, Totp};
use crate::ledger::documents::instant;
use crate::store::accounts::links;
use crate::store::{Tx, sessions};
use crate::vault::{Vault, may_choose, one_time, totp};

/// How long a password that an operator hands over is good.
const FIRST_MS: i64 = 7 * 86_400_000;

/// A password that was given or made: as it is kept, until when it is good if it is to be changed, and what is printed.
struct Password {
    kept: String,
    until: Option<i64>,
    printed: String,
}

fn password(app: &App, order: &Value, name: &str) -> Result<Password> {
    match text(order, "password") {
        Some(given) => {
            may_choose(&given, name)?;
            Ok(Password { kept: app.passwords.hash(app.vault.chance, &given)?, until: None, printed: String::new() })
        }
        None if order["password"].is_string() => Err(Error::new(Kind::Usage, "standard input has no password")),
        None => {
            let made = one_time(app.vault.chance)?;
            let until = app.clock.now() + FIRST_MS;
            let printed = format!("password={made}\npassword_until={}\n", instant(until));
            Ok(Password { kept: app.passwords.hash(app.vault.chance, &made)?, until: Some(until), printed })
        }
    }
}

/// A new secret for an authenticator app, and what is printed of it.
fn second(app: &App, name: &str) -> Result<(Totp, String)> {
    let secret = totp::new_secret(app.vault.chance)?;
    let host = app.public_url.split_once("://").map_or(app.public_url.as_str(), |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let printed = format!("otpauth={}\n", totp::uri(&secret, name, host));
    Ok((Totp { secret }, printed))
}

fn named(order: &Value) -> Result<String> {
    text(order, "name").ok_or_else(|| Error::new(Kind::Usage, "say which account; firth account list shows them"))
}

fn found(tx: &mut Tx<'_>, vault: &Vault, name: &str) -> Result<Account> {
    let unknown = || Error::new(Kind::NotFound, "there is no account of this name; firth account list shows them");
    accounts::by_name(tx, vault, name)?.ok_or_else(unknown)
}

pub(super) fn add(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = named(order)?;
    let role = order["role"].is_string().then(|| roles::named(app, order)).transpose()?;
    if let Some(role) = role.filter(|role| !role.is_granted()) {
        return Err(Error::new(Kind::Usage, format!("nobody signs in with role {}; choose another", role.name())));
    }
    role.map_or(Ok(()), |role| roles::fits(role, text(order, "fhir_user").as_deref()))?;
    let password = if order["no_password"] == true { None } else { Some(password(app, order, &name)?) };
    let second = if order["totp"] == true { Some(second(app, &name)?) } else { None };
    let facts = Facts {
        name,
        role: role.map(|role| role.name().to_owned()),
        fhir_user: text(order, "fhir_user"),
        password: password.as_ref().map(|password| password.kept.clone()),
        password_until: password.as_ref().and_then(|password| password.until),
        totp: second.as_ref().map(|(second, _)| second.clone()),
        by_claims: false,
        // Until an operator says what it is.
        role_by_claims: role.is_none(),
    };
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let made = app.db.write("account.add", move |tx| {
        let made = accounts::add(tx, &vault, facts.clone())?;
        entry.commit(tx, Did::new(201, format!("account/{}", made.id)))?;
        Ok(made)
    })?;
    let printed = password.map(|password| password.printed).unwrap_or_default();
    Ok(format!("account_id={}\n{printed}{}", made.id, second.map(|(_, printed)| printed).unwrap_or_default()))
}

pub(super) fn disable(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let (name, vault, entry) = (named(order)?, Arc::clone(&app.vault), entry.clone());
    let changed = app.db.write("account.disable", move |tx| {
        let account = found(tx, &vault, &name)?;
        let changed = accounts::change(tx, &vault, &account, (Status::Disabled, account.facts.clone()))?;
        entry.commit(tx, Did::new(200, format!("account/{}", changed.id)))?;
        Ok(changed)
    })?;
    Ok(format!("disabled {}\n", changed.id))
}

pub(super) fn reset(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = named(order)?;
    let password = password(app, order, &name)?;
    let new = if order["totp"] == true { Some(second(app, &name)?) } else { None };
    let (kept, until, printed) = (password.kept, password.until, password.printed);
    let (second, none) = (new.as_ref().map(|(second, _)| second.clone()), order["no_totp"] == true);
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let changed = app.db.write("account.reset", move |tx| {
        let account = found(tx, &vault, &name)?;
        let totp = if none { None } else { second.clone().or(account.facts.totp.clone()) };
        let facts = Facts { password: Some(kept.clone()), password_until: until, totp, ..account.facts.clone() };
        let changed = accounts::change(tx, &vault, &account, (Status::Active, facts))?;
        // Whoever knew the old password may still be signed in.
        sessions::end_all(tx, changed.id)?;
        entry.commit(tx, Did::new(200, format!("account/{}", changed.id)))?;
        Ok(changed)
    })?;
    Ok(format!("account_id={}\n{printed}{}", changed.id, new.map(|(_, printed)| printed).unwrap_or_default()))
}

pub(super) fn link(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let given = |name: &str| text(order, name).ok_or_else(|| Error::new(Kind::Usage, format!("add --{name}")));
    let (name, issuer, subject) = (named(order)?, given("issuer")?, given("subject")?);
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let linked = app.db.write("account.link", move |tx| {
        let account = found(tx, &vault, &name)?;
        accounts::link(tx, &vault, account.id, (&issuer, &subject))?;
        entry.commit(tx, Did::new(200, format!("account/{}", account.id)))?;
        Ok(account.id)
    })?;
    Ok(format!("linked {linked}\n"))
}

/// A line an account: id, name, role, fhirUser, how it signs in, state, separated by tabs.
pub(super) fn list(app: &App, entry: &Entry) -> Result<String> {
    let all = app.db.read("account.list", |tx| {
        let all = accounts::list(tx, &app.vault)?;
        all.into_iter().map(|account| Ok((links(tx, account.id)?, account))).collect::<Result<Vec<_>>>()
    })?;
    noted(app, entry)?;
    Ok(all.iter().map(|(links, account)| line(account, *links)).collect())
}

fn line(account: &Account, links: i64) -> String {
    let facts = &account.facts;
    let mut ways = Vec::new();
    ways.extend(facts.password.as_ref().map(|_| if facts.password_until.is_some() { "first-password" } else { "password" }));
    ways.extend(facts.totp.as_ref().map(|_| "totp"));
    ways.extend((links > 0).then_some("upstream"));
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let ways = if ways.is_empty() { "-".to_owned() } else { ways.join("+") };
    format!("{}\t{}\t{}\t{}\t{ways}\t{}\n", account.id, facts.name, or(&facts.role), or(&facts.fhir_user), account.status.word())
}
