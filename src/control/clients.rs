//! Clients by the operator's hand: made, approved, given new secrets, disabled, shown.

use std::sync::Arc;

use serde_json::Value;

use super::{noted, plain, roles, text, unknown};
use crate::access::{Context, PatientRule, Role};
use crate::app::App;
use crate::audit::{Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::jose::ClientKeys;
use crate::ledger::clients::{self, CODE, CREDENTIALS, Client, Facts, Made, Proof, REFRESH, Status};
use crate::ledger::documents::instant;
use crate::ledger::registration;

pub(super) fn carry_out(app: &App, verb: &str, order: &Value, entry: &Entry) -> Result<String> {
    match verb {
        "client add" => add(app, order, entry),
        "client approve" => approve(app, order, entry),
        "client rotate" => rotate(app, order, entry),
        "client disable" => disable(app, order, entry),
        "client list" => list(app, entry),
        "client show" => show(app, order, entry),
        _ => Err(unknown()),
    }
}

fn texts(order: &Value, name: &str) -> Vec<String> {
    order[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn id(order: &Value) -> Result<ClientId> {
    ClientId::parse(&text(order, "id").unwrap_or_default())
}

/// The role of a backend service, if one is named.
fn role(app: &App, order: &Value) -> Result<Option<Role>> {
    if text(order, "role").is_none() {
        return Ok(None);
    }
    let role = roles::named(app, order)?;
    let refused = |says: String| Err(Error::new(Kind::Usage, says));
    match role.rule() {
        _ if !role.is_granted() => refused(format!("a client cannot have role {}", role.name())),
        PatientRule::All | PatientRule::None if role.fits(Context::System) => Ok(Some(role)),
        PatientRule::All | PatientRule::None => refused(format!(
            "role {} has scopes of user/ or patient/, a backend service asks for those of system/; firth role list shows the roles",
            role.name()
        )),
        // It is nobody's record and in nobody's care team.
        rule => refused(format!(
            "role {} is for people (its patients are {}), a backend service sees all patients or none; firth role list shows the roles",
            role.name(),
            rule.name()
        )),
    }
}

/// What may be asked, as far as it is served; without a word what the role may do, or what apps usually ask.
fn scopes(order: &Value, facts: &Facts, role: Option<Role>) -> Result<String> {
    let asked = texts(order, "scopes");
    if asked.is_empty() {
        let of_role = role.map(|role| role.scopes().to_string()).unwrap_or_default();
        let of_apps = if facts.may(CODE) { registration::DEFAULT_SCOPES } else { "" };
        return Ok(format!("{of_apps} {of_role}").trim().to_owned());
    }
    let asked = asked.join(" ");
    let known = registration::scopes(&asked, facts)?;
    match asked.split_whitespace().find(|word| !known.split(' ').any(|one| one == *word)) {
        Some(unknown) => {
            Err(Error::new(Kind::Invalid, format!("'{unknown}' is no scope that such a client can be granted here")).at("scope"))
        }
        None => Ok(known),
    }
}

/// New keys in the place of those before.
fn keys(order: &Value, facts: &mut Facts) {
    (facts.jwks, facts.jwks_uri) = (text(order, "jwks"), text(order, "jwks_uri"));
    facts.jwks_private = order["jwks_private"].as_bool().unwrap_or_default();
}

fn add(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let kind = match order["kind"].as_str() {
        Some("public") => Proof::Public,
        Some("secret") => Proof::Secret,
        Some("keys") => Proof::Keys,
        _ => return Err(Error::new(Kind::Usage, "say how the client proves who it is: --public, --secret, --jwks FILE or --jwks-uri URL")),
    };
    let mut facts = Facts::new(text(order, "name").unwrap_or_default(), kind);
    let role = role(app, order)?;
    facts.redirect_uris = texts(order, "redirect_uris");
    if !facts.redirect_uris.is_empty() {
        facts.grant_types = vec![CODE.into(), REFRESH.into()];
    }
    if let Some(role) = role {
        facts.grant_types.push(CREDENTIALS.into());
        facts.role = Some(role.name().to_owned());
    }
    if facts.grant_types.is_empty() {
        return Err(Error::new(Kind::Usage, "an app of people has a --redirect-uri, a backend service a --role"));
    }
    facts.scopes = scopes(order, &facts, role)?;
    keys(order, &mut facts);
    facts.origins = texts(order, "origins");
    facts.contacts = texts(order, "contacts");
    facts.launch_uri = text(order, "launch_uri");
    facts.logo_uri = text(order, "logo_uri");
    facts.dpop_bound = order["dpop_bound"].as_bool().unwrap_or_default();
    registration::check(&facts)?;
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let made = app.db.write("client.add", move |tx| {
        let made = clients::add(tx, &vault, Status::Approved, &facts)?;
        entry.commit(tx, Did::new(201, named(made.client.id, role)))?;
        Ok(made)
    })?;
    Ok(printed(&made))
}

/// The client in the audit log, with the role that it gets.
fn named(id: ClientId, role: Option<Role>) -> String {
    role.map_or_else(|| format!("client/{id}"), |role| format!("client/{id} role {}", role.name()))
}

fn printed(made: &Made) -> String {
    let secret = made.secret.as_ref().map_or_else(String::new, |secret| format!("client_secret={secret}\n"));
    format!("client_id={}\n{secret}", made.client.id)
}

/// Approves what waits or was disabled; a role makes it a backend service.
fn approve(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let (id, role) = (id(order)?, role(app, order)?);
    let order = order.clone();
    let changed = change(app, entry, (id, role), move |status, facts| {
        if let Some(role) = role {
            facts.role = Some(role.name().to_owned());
            if !facts.may(CREDENTIALS) {
                facts.grant_types.push(CREDENTIALS.into());
            }
        }
        if facts.may(CREDENTIALS) && facts.role.is_none() {
            return Err(Error::new(Kind::Usage, "the client is a backend service; give it a role with --role"));
        }
        if !texts(&order, "scopes").is_empty() {
            facts.scopes = scopes(&order, facts, role)?;
        }
        *status = Status::Approved;
        registration::check(facts)
    })?;
    Ok(format!("approved {}\n{}", changed.id, described(&changed)?))
}

fn disable(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let id = id(order)?;
    change(app, entry, (id, None), |status, _| {
        *status = Status::Disabled;
        Ok(())
    })?;
    Ok(format!("disabled {id}\n"))
}

fn change(
    app: &App,
    entry: &Entry,
    of: (ClientId, Option<Role>),
    how: impl Fn(&mut Status, &mut Facts) -> Result<()> + Send + 'static,
) -> Result<Client> {
    let (vault, entry, (id, role)) = (Arc::clone(&app.vault), entry.clone(), of);
    app.db.write("client.change", move |tx| {
        let changed = clients::change(tx, &vault, id, &how)?;
        entry.commit(tx, Did::new(200, named(id, role)))?;
        Ok(changed)
    })
}

/// A new secret, or new keys.
fn rotate(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let id = id(order)?;
    if text(order, "jwks").is_some() || text(order, "jwks_uri").is_some() {
        let order = order.clone();
        change(app, entry, (id, None), move |_, facts| {
            keys(&order, facts);
            registration::check(facts)
        })?;
        return Ok(format!("rotated {id}\n"));
    }
    let (vault, entry) = (Arc::clone(&app.vault), entry.clone());
    let made = app.db.write("client.rotate", move |tx| {
        let made = clients::rotate(tx, &vault, id)?;
        entry.commit(tx, Did::new(200, format!("client/{id}")))?;
        Ok(made)
    })?;
    Ok(printed(&made))
}

/// A line a client: id, status, how it proves who it is, what it may ask for, its role, its name; separated by tabs.
fn list(app: &App, entry: &Entry) -> Result<String> {
    let all = app.db.read("client.list", |tx| clients::list(tx, &app.vault))?;
    noted(app, entry)?;
    let line = |client: Client| {
        let facts = client.facts;
        let kind = kind(&facts);
        let role = facts.role.unwrap_or_else(|| "-".into());
        format!(
            "{}\t{}\t{kind}\t{}\t{role}\t{}\t{}\n",
            client.id,
            client.status.name(),
            facts.grant_types.join(","),
            facts.name,
            facts.scopes
        )
    };
    Ok(all.into_iter().map(line).collect())
}

const fn kind(facts: &Facts) -> &'static str {
    match facts.kind {
        Proof::Public => "public",
        Proof::Secret => "secret",
        Proof::Keys => "keys",
    }
}

/// All that was registered of one client, for who decides about it.
fn show(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let id = id(order)?;
    let unknown = || Error::new(Kind::NotFound, "there is no such client; firth client list shows them");
    let client = app.db.read("client.show", |tx| clients::get(tx, &app.vault, id))?.ok_or_else(unknown)?;
    let lines = described(&client)?;
    noted(app, &Entry { resource: Some(named(id, None)), ..entry.clone() })?;
    Ok(lines)
}

/// A line `name: value` for each; what a client may have more than once has a line each, what it has not has none.
fn described(client: &Client) -> Result<String> {
    let facts = &client.facts;
    let (grant_types, registered) = (facts.grant_types.join(" "), instant(client.created_at));
    let keys = facts.jwks.as_deref().map(ClientKeys::parse).transpose()?;
    let keys = keys.map(|keys| format!("kid {}", keys.kids().collect::<Vec<_>>().join(", ")));
    let all = |name: &'static str, values: &'_ [String]| values.iter().map(|value| (name, value.clone())).collect::<Vec<_>>();
    let one = |name: &'static str, value: Option<String>| value.map(|value| (name, value)).into_iter().collect::<Vec<_>>();
    let is = |name: &'static str, so: bool| one(name, so.then(|| "yes".to_owned()));
    let lines = [
        one("client_id", Some(client.id.to_string())),
        one("status", Some(client.status.name().to_owned())),
        one("name", Some(facts.name.clone())),
        one("kind", Some(kind(facts).to_owned())),
        one("registered", Some(registered)),
        one("grant_types", Some(grant_types)),
        one("scope", Some(facts.scopes.clone())),
        one("role", facts.role.clone()),
        all("redirect_uri", &facts.redirect_uris),
        all("origin", &facts.origins),
        one("jwks", keys),
        one("jwks_uri", facts.jwks_uri.clone()),
        is("private_jwks_uri", facts.jwks_private),
        one("launch_uri", facts.launch_uri.clone()),
        one("client_uri", facts.client_uri.clone()),
        one("logo_uri", facts.logo_uri.clone()),
        all("contact", &facts.contacts),
        is("dpop_bound", facts.dpop_bound),
    ];
    // Whoever registered it wrote the values: none of them can look like a line of ours.
    Ok(lines.concat().iter().map(|(name, value)| format!("{name}: {}\n", plain(value))).collect())
}
