//! Signing in: name and password, then the code of the second factor, then a new password if the first was good once. A
//! session begins only after the last of them. Unknown names, wrong passwords and disabled accounts are answered in the
//! same words after the same work.

use std::sync::Arc;

use askama::Template;

use super::form::{Carried, Form, Half, Step};
use super::shell::{Fault, Shell, page};
use super::{Visit, root, see_other, visited};
use crate::access::Caller;
use crate::api::authorize::{self, Asked};
use crate::api::limits::network;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::{Action, Did};
use crate::error::{Error, Kind, Result};
use crate::id::AccountId;
use crate::ledger::accounts::{self, Account, Facts, Status};
use crate::ledger::sessions::{self, Proved, SignedIn, Trier};
use crate::vault::may_choose;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    form: String,
    notice: &'a str,
    app: &'a str,
    upstream: String,
    local: bool,
    name: &'a str,
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    shell: Shell,
    form: String,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    shell: Shell,
    form: String,
    first: bool,
    name: &'a str,
}

/// `GET /sign-in`.
pub fn open(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| match visit.signed_in()? {
        Some(_) => Ok(see_other(&format!("{}/account", root(visit.app)))),
        None => ask_for_sign_in(visit, None, Vec::new(), ""),
    })
}

/// The page of sign-in, for an app or for the person's own account.
pub fn ask_for_sign_in(visit: &Visit<'_>, asked: Option<(Asked, &str)>, faults: Vec<Fault>, name: &str) -> Result<Reply> {
    let (asked, client) = asked.map_or((None, ""), |(asked, client)| (Some(asked), client));
    let onward = asked.as_ref().map(|asked| asked.redirect_uri.clone());
    let hint = asked.as_ref().and_then(|asked| asked.login_hint.clone()).unwrap_or_default();
    let form = visit.seal(&Carried { asked, step: Step::SignIn })?;
    let signed_out = visit.request.query == "signed-out";
    let settings = visit.app.config.sign_in.as_ref();
    let shown = SignInPage {
        shell: visit.shell(faults),
        form,
        notice: if signed_out { "You are signed out." } else { "" },
        app: client,
        upstream: settings.map(|settings| settings.label.clone()).unwrap_or_default(),
        local: settings.is_none_or(|settings| settings.local),
        name: if name.is_empty() { &hint } else { name },
    };
    page(200, &shown, onward.as_deref())
}

/// Why a try did not succeed, for a page.
enum Refused {
    Wrong(&'static str, &'static str),
    TooEarly(i64),
}

/// The same page once more, with what was wrong.
fn again(visit: &Visit<'_>, refused: &Refused, shown: impl FnOnce(&Visit<'_>, Vec<Fault>) -> Result<Reply>) -> Result<Reply> {
    let (fault, status, kind) = match refused {
        Refused::Wrong(at, says) => (Fault::new(at, *says), 403, Kind::Unauthenticated),
        Refused::TooEarly(ms) => {
            let seconds = (ms + 999) / 1_000;
            let plural = if seconds == 1 { "" } else { "s" };
            (Fault::new("", format!("Too many tries have failed. Try again in {seconds} second{plural}.")), 429, Kind::Throttled)
        }
    };
    let reply = Reply { status, ..shown(visit, vec![fault])? }.with("x-firth-error", kind.wire().code);
    Ok(match refused {
        Refused::TooEarly(ms) => reply.with("retry-after", ((ms + 999) / 1_000).to_string()),
        Refused::Wrong(..) => reply,
    })
}

fn trier(visit: &Visit<'_>, name: &str) -> Trier {
    Trier { name: name.to_owned(), address: network(&visit.request.address).to_string() }
}

/// Counts the try, and hands over the account of the name, if there is one, unless it comes too early.
fn try_now(visit: &Visit<'_>, name: &str) -> Result<std::result::Result<Option<Account>, Refused>> {
    let (vault, who) = (Arc::clone(&visit.app.vault), trier(visit, name));
    visit.app.db.write("sign-in.try", move |tx| match sessions::try_now(tx, &vault, &who)? {
        Some(wait) => Ok(Err(Refused::TooEarly(wait))),
        None => Ok(Ok(accounts::by_name(tx, &vault, &who.name)?)),
    })
}

/// `POST /sign-in` with name and password.
pub fn sign_in(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let form = Form::of(visit.app, visit.request, &visit.browser)?;
        let Carried { asked, step: Step::SignIn } = form.carried.clone() else { return Err(elsewhere()) };
        if visit.app.config.sign_in.as_ref().is_some_and(|settings| !settings.local) {
            return Err(elsewhere());
        }
        let (name, password) = (form.one("name")?, form.exact("password")?);
        let client = client_name(visit, asked.as_ref())?;
        let shown = |visit: &Visit<'_>, faults| ask_for_sign_in(visit, asked.clone().zip(client.as_deref()), faults, &name);
        match proved(visit, &name, &password)? {
            Err(refused) => again(visit, &refused, shown),
            Ok(account) => after_password(visit, asked, &account, &name),
        }
    })
}

/// The account whose name and password these are.
fn proved(visit: &Visit<'_>, name: &str, password: &str) -> Result<std::result::Result<Account, Refused>> {
    let account = match try_now(visit, name)? {
        Err(refused) => return Ok(Err(refused)),
        Ok(account) => account,
    };
    let kept = account.as_ref().and_then(|account| account.facts.password.as_deref());
    let fits = visit.app.passwords.fits(password, kept);
    let now = visit.app.clock.now();
    let good = |account: &Account| account.is_active() && account.facts.password_until.is_none_or(|until| until > now);
    let account = account.filter(|account| matches!(fits, Ok(true)) && good(account));
    // What was not judged is no failure.
    if account.is_some() || fits.is_err() {
        let (vault, who) = (Arc::clone(&visit.app.vault), trier(visit, name));
        visit.app.db.write("sign-in.right", move |tx| sessions::right(tx, &vault, &who))?;
    }
    fits.map(|_| account.ok_or(Refused::Wrong("name", "The name or the password is not right.")))
}

fn after_password(visit: &mut Visit<'_>, asked: Option<Asked>, account: &Account, name: &str) -> Result<Reply> {
    let half = Half::of(account, name, visit.app.clock.now());
    if account.facts.totp.is_some() {
        halfway(visit, account);
        return code_page(visit, &Carried { asked, step: Step::Code(half) }, Vec::new());
    }
    after_code(visit, asked, account, half)
}

fn after_code(visit: &mut Visit<'_>, asked: Option<Asked>, account: &Account, half: Half) -> Result<Reply> {
    if account.facts.password_until.is_some() {
        halfway(visit, account);
        return password_page(visit, &Carried { asked, step: Step::FirstPassword(half) }, Vec::new(), &account.facts.name);
    }
    begin(visit, asked, account, Begin::Name(&half.name))
}

/// The audit entry says whose sign-in went one step on. Nobody is signed in yet.
fn halfway(visit: &mut Visit<'_>, account: &Account) {
    visit.request.entry.action = Action::Activity;
    visit.request.entry.account = Some(account.id.to_string());
}

fn onward(carried: &Carried) -> Option<&str> {
    carried.asked.as_ref().map(|asked| asked.redirect_uri.as_str())
}

fn code_page(visit: &Visit<'_>, carried: &Carried, faults: Vec<Fault>) -> Result<Reply> {
    page(200, &CodePage { shell: visit.shell(faults), form: visit.seal(carried)? }, onward(carried))
}

/// The page on which the account of this name gets another password; the name is there for password managers.
pub fn password_page(visit: &Visit<'_>, carried: &Carried, faults: Vec<Fault>, name: &str) -> Result<Reply> {
    let first = matches!(carried.step, Step::FirstPassword(_));
    let shown = PasswordPage { shell: visit.shell(faults), form: visit.seal(carried)?, first, name };
    page(200, &shown, onward(carried))
}

/// `POST /sign-in/code` with a code of the authenticator app.
pub fn code(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let form = Form::of(visit.app, visit.request, &visit.browser)?;
        let carried = form.carried.clone();
        let Step::Code(half) = carried.step.clone() else { return Err(elsewhere()) };
        let (id, code) = (AccountId::parse(&half.account)?, form.one("code")?);
        // The password was theirs: a code that is wrong is a failure of this account.
        visit.request.entry.account = Some(half.account.clone());
        match judged(visit, id, &half, code)? {
            Ok(account) => after_code(visit, carried.asked.clone(), &account, half),
            Err(refused) => again(visit, &refused, |visit, faults| code_page(visit, &carried, faults)),
        }
    })
}

/// Counts the try and judges it at once.
fn judged(visit: &Visit<'_>, id: AccountId, half: &Half, code: String) -> Result<std::result::Result<Account, Refused>> {
    let (vault, half, who) = (Arc::clone(&visit.app.vault), half.clone(), trier(visit, &half.name));
    visit.app.db.write("sign-in.code", move |tx| {
        let now = tx.committed_at();
        let account = accounts::get(tx, &vault, id)?.filter(|account| half.holds(account, now) && account.facts.totp.is_some());
        let account = account.ok_or_else(elsewhere)?;
        if let Some(wait) = sessions::try_now(tx, &vault, &who)? {
            return Ok(Err(Refused::TooEarly(wait)));
        }
        if !sessions::code_fits(tx, &account, &code)? {
            return Ok(Err(Refused::Wrong("code", "The code is not right, or was used before.")));
        }
        sessions::right(tx, &vault, &who)?;
        Ok(Ok(account))
    })
}

/// `POST /sign-in/password`: the first password is changed, or a later one by who is signed in.
pub fn first_password(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let form = Form::of(visit.app, visit.request, &visit.browser)?;
        let carried = form.carried.clone();
        match &carried.step {
            Step::FirstPassword(half) => {
                let id = AccountId::parse(&half.account)?;
                visit.request.entry.account = Some(half.account.clone());
                let account = visit.app.db.read("account", |tx| accounts::get(tx, &visit.app.vault, id))?;
                // Who changed it in the meantime begins again.
                let account = account.filter(|account| half.holds(account, visit.app.clock.now())).ok_or_else(elsewhere)?;
                let Some(changed) = chosen(visit, &form, &account)? else { return unfit(visit, &form, &account) };
                begin(visit, carried.asked.clone(), &changed, Begin::Name(&half.name))
            }
            Step::Account => {
                let who = visit.must_be_signed_in()?;
                let name = who.account.facts.name.clone();
                if let Err(refused) = proved(visit, &name, &form.exact("current")?)? {
                    let refused = match refused {
                        Refused::Wrong(..) => Refused::Wrong("current", "This is not your password."),
                        early => early,
                    };
                    return again(visit, &refused, |visit, faults| password_page(visit, &carried, faults, &name));
                }
                let Some(changed) = chosen(visit, &form, &who.account)? else { return unfit(visit, &form, &who.account) };
                // A password alone is no sign-in anew of who has a second factor.
                begin(visit, None, &changed, Begin::NewPassword(who.session.auth_time))
            }
            _ => Err(elsewhere()),
        }
    })
}

/// What is wrong with a new password.
fn faults(form: &Form, account: &Account) -> Result<Vec<Fault>> {
    let (password, again) = (form.exact("password")?, form.exact("again")?);
    let mut faults: Vec<Fault> =
        may_choose(&password, &account.facts.name).err().into_iter().map(|e| Fault::new("password", e.says())).collect();
    if password != again {
        faults.push(Fault::new("again", "The two passwords are not the same."));
    }
    Ok(faults)
}

fn unfit(visit: &Visit<'_>, form: &Form, account: &Account) -> Result<Reply> {
    let mut faults = faults(form, account)?;
    if faults.is_empty() {
        faults.push(Fault::new("password", "This is the password that you have; choose another."));
    }
    let reply = password_page(visit, &form.carried, faults, &account.facts.name)?;
    Ok(Reply { status: 422, ..reply }.with("x-firth-error", Kind::Unprocessable.wire().code))
}

/// The account with its new password, if that will do. Every session ends: whoever knew the old one may be signed in.
fn chosen(visit: &mut Visit<'_>, form: &Form, account: &Account) -> Result<Option<Account>> {
    let password = form.exact("password")?;
    if !faults(form, account)?.is_empty() || visit.app.passwords.fits(&password, account.facts.password.as_deref())? {
        return Ok(None);
    }
    let kept = visit.app.passwords.hash(visit.app.vault.chance, &password)?;
    let facts = Facts { password: Some(kept), password_until: None, ..account.facts.clone() };
    let (vault, account) = (Arc::clone(&visit.app.vault), account.clone());
    let mut entry = visit.request.entry.clone();
    entry.action = Action::Credential;
    let changed = visit.app.db.write("account.password", move |tx| {
        let changed = accounts::change(tx, &vault, &account, (Status::Active, facts.clone()))?;
        crate::store::sessions::end_all(tx, account.id)?;
        entry.commit(tx, Did::new(200, format!("account/{}", account.id)))?;
        Ok(changed)
    })?;
    visit.next_entry(Action::SignIn)?;
    Ok(Some(changed))
}

/// How somebody proved to be who it is.
pub enum Begin<'a> {
    /// By this name and its password.
    Name(&'a str),
    /// At the upstream provider, then.
    Upstream(Option<i64>),
    /// In the session that ended with the old password.
    NewPassword(Option<i64>),
}

/// A new session, and what the person came for.
pub fn begin(visit: &mut Visit<'_>, asked: Option<Asked>, account: &Account, by: Begin<'_>) -> Result<Reply> {
    let (vault, id, before) = (Arc::clone(&visit.app.vault), account.id, visit.browser.shown.clone());
    let (trier, proved) = match by {
        Begin::Name(name) => (Some(trier(visit, name)), Proved::Now),
        Begin::Upstream(at) | Begin::NewPassword(at) => (None, Proved::Before(at)),
    };
    let mut entry = visit.request.entry.clone();
    entry.action = Action::SignIn;
    entry.account = Some(id.to_string());
    entry.role.clone_from(&account.facts.role);
    entry.fhir_user.clone_from(&account.facts.fhir_user);
    let (secret, session) = visit.app.db.write("session.begin", move |tx| {
        let (secret, session) = sessions::begin(tx, &vault, id, (before.as_deref(), proved))?;
        if let Some(trier) = &trier {
            sessions::succeeded(tx, &vault, trier)?;
        }
        let entry = crate::audit::Entry { credential: Some(session.id.to_string()), ..entry.clone() };
        entry.commit(tx, Did::new(200, format!("account/{id}")))?;
        Ok((secret, session))
    })?;
    visit.browser.become_new(secret);
    visit.next_entry(Action::Activity)?;
    let who = SignedIn { session, account: account.clone() };
    visit.names(&who);
    match asked {
        Some(asked) => authorize::signed_in(visit, asked, &who),
        None => Ok(see_other(&format!("{}/account", root(visit.app)))),
    }
}

/// The name of the app that waits.
fn client_name(visit: &Visit<'_>, asked: Option<&Asked>) -> Result<Option<String>> {
    asked.map(|asked| authorize::client_name(visit.app, asked)).transpose()
}

/// A form that was sent where it does not belong.
pub fn elsewhere() -> Error {
    Error::new(Kind::Invalid, "This form does not belong here. Go back to where you came from and start again.")
}
