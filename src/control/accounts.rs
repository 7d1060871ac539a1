//! Logins by the operator's hand.

use std::sync::Arc;

use serde_json::Value;

use super::{noted, plain, roles, text, unknown};
use crate::access::PatientRule;
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::accounts::{self, Account, Facts, Status, Subject, Totp};
use crate::ledger::documents::instant;
use crate::store::accounts::links;
use crate::store::{Tx, sessions};
use crate::vault::{Vault, may_choose, one_time, totp};

/// How long a password that an operator hands over is good.
const FIRST_MS: i64 = 7 * 86_400_000;

pub(super) fn carry_out(app: &App, verb: &str, order: &Value, entry: &Entry) -> Result<String> {
    match verb {
        "account add" => add(app, order, entry),
        "account disable" => disable(app, order, entry),
        "account reset" => reset(app, order, entry),
        "account link" => link(app, order, entry),
        "account unlink" => unlink(app, order, entry),
        "account list" => list(app, entry),
        "account show" => show(app, order, entry),
        _ => Err(unknown()),
    }
}

/// A password that was given or made, if there is to be one: as it is kept, until when it is good if it is to be changed, and
/// what is printed.
#[derive(Default)]
struct Password {
    kept: Option<String>,
    until: Option<i64>,
    printed: String,
}

fn password(app: &App, order: &Value, name: &str) -> Result<Password> {
    if order["no_password"] == true {
        return Ok(Password::default());
    }
    let kept = |password: &str| app.passwords.hash(app.vault.chance, password).map(Some);
    match text(order, "password") {
        Some(given) => {
            may_choose(&given, name)?;
            Ok(Password { kept: kept(&given)?, ..Password::default() })
        }
        None if order["password"].is_string() => Err(Error::new(Kind::Usage, "standard input has no password")),
        None => {
            let made = one_time(app.vault.chance)?;
            let until = app.clock.now() + FIRST_MS;
            let printed = format!("password={made}\npassword_until={}\n", instant(until));
            Ok(Password { kept: kept(&made)?, until: Some(until), printed })
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

fn add(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = named(order)?;
    let role = order["role"].is_string().then(|| roles::named(app, order)).transpose()?;
    if let Some(role) = role.filter(|role| !role.is_granted()) {
        return Err(Error::new(Kind::Usage, format!("nobody signs in with role {}; choose another", role.name())));
    }
    role.map_or(Ok(()), |role| roles::fits(role, text(order, "fhir_user").as_deref()))?;
    let password = password(app, order, &name)?;
    let second = if order["totp"] == true { Some(second(app, &name)?) } else { None };
    let facts = Facts {
        name,
        role: role.map(|role| role.name().to_owned()),
        fhir_user: text(order, "fhir_user"),
        password: password.kept,
        password_until: password.until,
        totp: second.as_ref().map(|(second, _)| second.clone()),
        by_claims: false,
        // Until an operator says what it is.
        role_by_claims: role.is_none(),
        linked: Vec::new(),
    };
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let made = app.db.write("account.add", move |tx| {
        let made = accounts::add(tx, &vault, facts.clone())?;
        let role = role.map(|role| format!(" role {}", role.name())).unwrap_or_default();
        entry.commit(tx, Did::new(201, format!("account/{}{role}", made.id)))?;
        Ok(made)
    })?;
    let of_nobody = role.filter(|role| role.rule() == PatientRule::CareTeam && order["fhir_user"].is_null());
    let note = of_nobody.map(|role| {
        format!("note=\"role {} sees the patients of its care teams, and without --fhir-user the account is in none\"\n", role.name())
    });
    let second = second.map(|(_, printed)| printed).unwrap_or_default();
    Ok(format!("account_id={}\n{}{second}{}", made.id, password.printed, note.unwrap_or_default()))
}

fn disable(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let (name, vault, entry) = (named(order)?, Arc::clone(&app.vault), entry.clone());
    let changed = app.db.write("account.disable", move |tx| {
        let account = found(tx, &vault, &name)?;
        let changed = accounts::change(tx, &vault, &account, (Status::Disabled, account.facts.clone()))?;
        entry.commit(tx, Did::new(200, format!("account/{}", changed.id)))?;
        Ok(changed)
    })?;
    Ok(format!("disabled {}\n", changed.id))
}

fn reset(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = named(order)?;
    let password = password(app, order, &name)?;
    let new = if order["totp"] == true { Some(second(app, &name)?) } else { None };
    let (kept, until, printed) = (password.kept, password.until, password.printed);
    let (second, none) = (new.as_ref().map(|(second, _)| second.clone()), order["no_totp"] == true);
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let changed = app.db.write("account.reset", move |tx| {
        let account = found(tx, &vault, &name)?;
        let totp = if none { None } else { second.clone().or(account.facts.totp.clone()) };
        let facts = Facts { password: kept.clone(), password_until: until, totp, ..account.facts.clone() };
        let changed = accounts::change(tx, &vault, &account, (Status::Active, facts))?;
        // Whoever knew the old password may still be signed in.
        sessions::end_all(tx, changed.id)?;
        entry.commit(tx, Did::new(200, format!("account/{}", changed.id)))?;
        Ok(changed)
    })?;
    Ok(format!("account_id={}\n{printed}{}", changed.id, new.map(|(_, printed)| printed).unwrap_or_default()))
}

fn subject(order: &Value) -> Result<Subject> {
    let given = |name: &str| text(order, name).ok_or_else(|| Error::new(Kind::Usage, format!("add --{name}")));
    Ok(Subject { issuer: given("issuer")?, subject: given("subject")? })
}

fn link(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let (name, subject, vault, entry) = (named(order)?, subject(order)?, Arc::clone(&app.vault), entry.clone());
    let linked = app.db.write("account.link", move |tx| {
        let account = found(tx, &vault, &name)?;
        accounts::link(tx, &vault, &account, &subject)?;
        entry.commit(tx, Did::new(200, format!("account/{}", account.id)))?;
        Ok(account.id)
    })?;
    Ok(format!("linked {linked}\n"))
}

fn unlink(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let (name, subject, vault, entry) = (named(order)?, subject(order)?, Arc::clone(&app.vault), entry.clone());
    let unlinked = app.db.write("account.unlink", move |tx| {
        let account = found(tx, &vault, &name)?;
        accounts::unlink(tx, &vault, &account, &subject)?;
        entry.commit(tx, Did::new(200, format!("account/{}", account.id)))?;
        Ok(account.id)
    })?;
    Ok(format!("unlinked {unlinked}\n"))
}

/// A line an account: id, name, role, fhirUser, how it signs in, state, separated by tabs.
fn list(app: &App, entry: &Entry) -> Result<String> {
    let all = app.db.read("account.list", |tx| {
        let all = accounts::list(tx, &app.vault)?;
        all.into_iter().map(|account| Ok((links(tx, account.id)?, account))).collect::<Result<Vec<_>>>()
    })?;
    noted(app, entry)?;
    Ok(all.iter().map(|(links, account)| line(account, *links)).collect())
}

/// A line `name: value` for each; each link has a line, issuer and subject separated by a space.
fn show(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = named(order)?;
    let (links, account) = app.db.read("account.show", |tx| {
        let account = found(tx, &app.vault, &name)?;
        Ok((links(tx, account.id)?, account))
    })?;
    noted(app, &Entry { resource: Some(format!("account/{}", account.id)), ..entry.clone() })?;
    let facts = &account.facts;
    let one = |name: &'static str, value: &str| (name, value.to_owned());
    let mut lines = vec![one("account_id", &account.id.to_string()), one("name", &facts.name), one("status", account.status.word())];
    lines.extend(facts.role.as_deref().map(|role| one("role", role)));
    lines.extend(facts.fhir_user.as_deref().map(|user| one("fhir_user", user)));
    lines.push(one("signs_in_by", &ways(facts, links)));
    lines.push(one("made", &instant(account.created_at)));
    lines.extend(facts.linked.iter().map(|of| one("link", &format!("{} {}", of.issuer, of.subject))));
    let earlier = usize::try_from(links).unwrap_or_default().saturating_sub(facts.linked.len());
    lines.extend((earlier > 0).then(|| one("link", &format!("{earlier} made by an earlier version, of which only a hash is kept"))));
    // The provider wrote the subjects.
    Ok(lines.iter().map(|(name, value)| format!("{name}: {}\n", plain(value))).collect())
}

/// How the person signs in.
fn ways(facts: &Facts, links: i64) -> String {
    let mut ways = Vec::new();
    ways.extend(facts.password.as_ref().map(|_| if facts.password_until.is_some() { "first-password" } else { "password" }));
    ways.extend(facts.totp.as_ref().map(|_| "totp"));
    ways.extend((links > 0).then_some("upstream"));
    if ways.is_empty() { "-".to_owned() } else { ways.join("+") }
}

fn line(account: &Account, links: i64) -> String {
    let facts = &account.facts;
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let (role, user, ways) = (or(&facts.role), or(&facts.fhir_user), ways(facts, links));
    format!("{}\t{}\t{role}\t{user}\t{ways}\t{}\n", account.id, facts.name, account.status.word())
}
