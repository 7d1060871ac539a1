//! Roles by the operator's hand: what there is, and who has which.

use std::sync::Arc;

use serde_json::Value;

use super::{noted, text};
use crate::access::{NO_RESEARCHER, Role};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::accounts::{self, Facts};

/// The role of this name, which an account, a client or a token may have.
pub(super) fn named(app: &App, order: &Value) -> Result<Role> {
    let name = text(order, "role").unwrap_or_default();
    if name == "researcher" {
        return Err(Error::new(Kind::Usage, NO_RESEARCHER));
    }
    app.roles.named(&name).ok_or_else(|| {
        let known: Vec<&str> = app.roles.iter().filter(|role| role.is_granted()).map(Role::name).collect();
        Error::new(Kind::Usage, format!("there is no role '{name}'; choose one of {}", known.join(", ")))
    })
}

/// Refuses a role that does not go with the record.
pub(super) fn fits(role: Role, fhir_user: Option<&str>) -> Result<()> {
    match accounts::misfit(role, fhir_user) {
        None => Ok(()),
        Some((why, remedy)) => Err(Error::new(Kind::Usage, format!("{why}: {remedy}"))),
    }
}

/// A line a role: name, whose data, scopes, separated by tabs.
pub(super) fn list(app: &App, entry: &Entry) -> Result<String> {
    let line = |role: Role| format!("{}\t{}\t{}\n", role.name(), role.rule().name(), role.scopes());
    let lines = app.roles.iter().map(line).collect();
    noted(app, entry).map(|()| lines)
}

/// Gives an account the role in the place of the one that it had.
pub(super) fn grant(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let role = named(app, order)?;
    if !role.is_granted() {
        return Err(Error::new(Kind::Usage, format!("nobody signs in with role {}; choose another", role.name())));
    }
    change(app, order, entry, Some(role))
}

/// Takes it: who has none may do nothing.
pub(super) fn revoke(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    change(app, order, entry, None)
}

/// What was granted to the account in its role before is refused from then on.
fn change(app: &App, order: &Value, entry: &Entry, role: Option<Role>) -> Result<String> {
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let name = text(order, "name").unwrap_or_default();
    let changed = app.db.write("role.change", move |tx| {
        let unknown = || Error::new(Kind::NotFound, "there is no account of this name; firth account list shows them");
        let account = accounts::by_name(tx, &vault, &name)?.ok_or_else(unknown)?;
        role.map_or(Ok(()), |role| fits(role, account.facts.fhir_user.as_deref()))?;
        // From now on the claims of the provider say nothing of it.
        let facts = Facts { role: role.map(|role| role.name().to_owned()), role_by_claims: false, ..account.facts.clone() };
        let changed = accounts::change(tx, &vault, &account, (account.status, facts))?;
        let role = role.map_or("none", Role::name);
        entry.commit(tx, Did::new(200, format!("account/{} role {role}", changed.id)))?;
        Ok(changed)
    })?;
    Ok(format!("account_id={}\nrole={}\n", changed.id, changed.facts.role.as_deref().unwrap_or("none")))
}
