//! A person's own page: which apps have access, taking it back (OWASP ASVS 5.0, 10.7.3), a new password, and signing out.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;

use super::form::{Carried, Form, Step};
use super::shell::{Shell, page};
use super::sign_in::{ask_for_sign_in, elsewhere, password_page};
use super::{Visit, root, see_other, visited};
use crate::access::{Caller, PatientRule, Plain, Reader};
use crate::api::authorize::name_of;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{Action, Did};
use crate::error::{Error, Kind, Result};
use crate::id::GrantId;
use crate::ledger::clients;
use crate::ledger::documents::instant;
use crate::ledger::grants::{self, Held};
use crate::ledger::sessions::{self, SignedIn};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    shell: Shell,
    form: String,
    notice: &'a str,
    name: &'a str,
    role: &'a str,
    fhir_user: &'a str,
    has_password: bool,
    apps: Vec<Access>,
}

/// What one app has.
struct Access {
    grant: String,
    name: String,
    since: String,
    patient: String,
    words: Vec<String>,
}

/// `GET /account`.
pub fn account(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| match visit.signed_in()? {
        Some(who) => shown(visit, &who, ""),
        None => ask_for_sign_in(visit, None, Vec::new(), ""),
    })
}

fn shown(visit: &Visit<'_>, who: &SignedIn, notice: &str) -> Result<Reply> {
    let facts = &who.account.facts;
    let mut apps = accesses(visit, who)?;
    name_patients(visit, who, &mut apps)?;
    let page_of = AccountPage {
        shell: visit.shell(Vec::new()),
        form: visit.seal(&Carried { asked: None, step: Step::Account })?,
        notice,
        name: &facts.name,
        role: facts.role.as_deref().unwrap_or("none"),
        fhir_user: facts.fhir_user.as_deref().unwrap_or_default(),
        has_password: facts.password.is_some(),
        apps,
    };
    page(200, &page_of, None)
}

fn accesses(visit: &Visit<'_>, who: &SignedIn) -> Result<Vec<Access>> {
    let (app, now) = (visit.app, visit.app.clock.now());
    let role = who.account.facts.role.as_deref().and_then(|name| app.roles.named(name));
    let reader = if role.is_some_and(|role| role.rule() == PatientRule::Own) { Reader::Patient } else { Reader::Staff };
    app.db.read("grant.list", |tx| {
        let held = grants::of_account(tx, &app.vault, who.account.id, now)?;
        held.into_iter()
            .map(|held| {
                let client = clients::get(tx, &app.vault, held.by.client)?;
                let name = client.map_or_else(|| "An app that is gone".to_owned(), |client| client.facts.name);
                Ok(Access {
                    grant: held.id.to_string(),
                    name,
                    since: since(&held),
                    words: words(&held, reader)?,
                    patient: held.granted.patient.unwrap_or_default(),
                })
            })
            .collect()
    })
}

/// Puts names in the place of the ids of patients, as far as the person may see them; each is a read in the audit log.
fn name_patients(visit: &Visit<'_>, who: &SignedIn, apps: &mut [Access]) -> Result<()> {
    let role = who.account.facts.role.as_deref().and_then(|name| visit.app.roles.named(name));
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for app in apps.iter_mut().filter(|app| !app.patient.is_empty()) {
        let id = &app.patient;
        if !known.contains_key(id) {
            let named = role.map_or(Ok(None), |role| name_of(visit.app, who, role, id))?;
            if named.is_some() {
                visit.read_patients(&format!("Patient/{id}"), vec![id.clone()])?;
            }
            known.insert(id.clone(), named.unwrap_or_else(|| format!("Patient/{id}")));
        }
        app.patient = known.get(id).cloned().unwrap_or_default();
    }
    Ok(())
}

fn since(held: &Held) -> String {
    let at = instant(held.created_at);
    format!("{} {} UTC", at.get(..10).unwrap_or_default(), at.get(11..16).unwrap_or_default())
}

fn words(held: &Held, reader: Reader) -> Result<Vec<String>> {
    let resources = grants::of_resources(&held.granted.scopes)?.words(reader).into_iter().map(|(_, words)| words);
    let plain = Plain::ALL.iter().filter(|plain| held.granted.has(**plain)).map(|plain| plain.words().to_owned());
    Ok(resources.chain(plain).collect())
}

/// A form of the account's page, and who sent it.
fn own(visit: &mut Visit<'_>) -> Result<(Form, SignedIn)> {
    let form = Form::of(visit.app, visit.request, &visit.browser)?;
    match &form.carried.step {
        Step::Account => Ok((form, visit.must_be_signed_in()?)),
        _ => Err(elsewhere()),
    }
}

/// `POST /account/revoke`: the grant ends, and with it every token of it.
pub fn revoke(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let (form, who) = own(visit)?;
        let unknown = || Error::new(Kind::Invalid, "There is no such access any more.");
        let id = GrantId::parse(&form.one("grant")?).map_err(|_| unknown())?;
        let (vault, account, entry) = (Arc::clone(&visit.app.vault), who.account.id, visit.request.entry.clone());
        let revoked = visit.app.db.write("grant.revoke", move |tx| {
            let Some(held) = grants::get(tx, &vault, id)?.filter(|held| held.by.account == Some(account)) else { return Ok(false) };
            grants::revoke(tx, id)?;
            let entry = crate::audit::Entry { action: Action::Credential, client: Some(held.by.client.to_string()), ..entry.clone() };
            entry.commit(tx, Did::new(200, format!("grant/{id}")))?;
            Ok(true)
        })?;
        if !revoked {
            return Err(unknown());
        }
        Ok(shown(visit, &who, "The app has no access any more.")?.committed())
    })
}

/// `GET /account/password`.
pub fn new_password(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| match visit.signed_in()? {
        Some(who) if who.account.facts.password.is_some() => {
            password_page(visit, &Carried { asked: None, step: Step::Account }, Vec::new(), &who.account.facts.name)
        }
        Some(who) => shown(visit, &who, "You sign in without a password of this server."),
        None => ask_for_sign_in(visit, None, Vec::new(), ""),
    })
}

/// `POST /sign-out`: the session ends, and with it what has `online_access`.
pub fn sign_out(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let (_, who) = own(visit)?;
        let (entry, secret) = (visit.request.entry.clone(), visit.browser.secret.clone());
        visit.app.db.write("session.end", move |tx| {
            sessions::end(tx, &secret)?;
            entry.commit(tx, Did::new(303, format!("account/{}", who.account.id)))
        })?;
        Ok(see_other(&format!("{}/sign-in?signed-out", root(visit.app))).committed())
    })
}
