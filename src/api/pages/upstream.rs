//! Signing in at the upstream provider: the browser is sent there with a sealed `state`, and comes back with a code. The
//! nonce and the PKCE verifier are keyed hashes of the state, so nothing is kept between the two.

use std::sync::{Arc, LazyLock};

use data_encoding::BASE64URL_NOPAD;

use super::form::{self, Carried, Step};
use super::sign_in::{Begin, begin, elsewhere};
use super::{Visit, see_other, visited};
use crate::access::Caller;
use crate::api::limits::Limit;
use crate::api::request::{Reply, Request, decode_pairs};
use crate::app::App;
use crate::audit::{Action, Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::id::EntryId;
use crate::ledger::subjects::{self, Changed, Known, Remedy};
use crate::oidc::{Attempt, Came, Person, Provider};

/// What is left of a minute between the provider's clock and ours.
const SKEW_MS: i64 = 60_000;

/// Ways to the provider and ways back of one address, which may be that of a whole clinic: each costs it and us something,
/// and a sign-in is two of them.
static WAYS: LazyLock<Limit> = LazyLock::new(|| Limit::per_minute(120));

/// `GET /sign-in/upstream`: with `begin` it leads to the provider, with `state` it comes from there.
pub fn upstream(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let provider =
            visit.app.provider.as_ref().ok_or_else(|| Error::new(Kind::NotFound, "People do not sign in elsewhere for this server."))?;
        if !WAYS.allows(&visit.request.address) {
            return Err(Error::new(Kind::Throttled, "Too many sign in from your address at this moment. Try again in a minute."));
        }
        let pairs = decode_pairs(&visit.request.query)?;
        let one = |name: &str| -> Result<Option<String>> {
            let mut values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                _ => Err(Error::new(Kind::Invalid, format!("{name} is given twice."))),
            }
        };
        match (one("begin")?, one("state")?) {
            (Some(field), None) => leave(visit, provider, &field),
            (None, Some(state)) => come_back(visit, provider, &state, (one("code")?, one("error")?, one("iss")?)),
            _ => Err(elsewhere()),
        }
    })
}

fn attempt(visit: &Visit<'_>, state: String, carried: &Carried) -> Attempt {
    let hash = |domain: &str| BASE64URL_NOPAD.encode(&visit.app.vault.index().full(domain, &[state.as_bytes()]));
    let asked = carried.asked.as_ref();
    let max_age = |after: i64| u64::try_from((visit.app.clock.now() - after) / 1_000).unwrap_or_default();
    Attempt {
        redirect_uri: format!("{}/sign-in/upstream", visit.app.public_url),
        nonce: hash("upstream-nonce"),
        verifier: hash("upstream-verifier"),
        max_age: asked.and_then(|asked| asked.fresh_after).map(max_age),
        login_hint: asked.and_then(|asked| asked.login_hint.clone()),
        state,
    }
}

fn leave(visit: &Visit<'_>, provider: &Provider, field: &str) -> Result<Reply> {
    let before = form::open(visit.app, &visit.browser, field)?;
    if before.step != Step::SignIn {
        return Err(elsewhere());
    }
    let carried = Carried { step: Step::Upstream, ..before };
    let state = visit.seal(&carried)?;
    Ok(see_other(&provider.start(&attempt(visit, state, &carried), &visit.app.clock)?))
}

fn come_back(
    visit: &mut Visit<'_>,
    provider: &Provider,
    state: &str,
    came: (Option<String>, Option<String>, Option<String>),
) -> Result<Reply> {
    visit.request.entry.action = Action::SignIn;
    let carried = form::open(visit.app, &visit.browser, state)?;
    if carried.step != Step::Upstream {
        return Err(elsewhere());
    }
    let (code, error, iss) = came;
    let code = match (code, error) {
        (Some(code), None) => code,
        (_, Some(error)) => {
            let says = format!("The sign-in provider did not sign you in. It says: {}.", error.chars().take(60).collect::<String>());
            return Err(Error::new(Kind::Unauthenticated, says));
        }
        (None, None) => return Err(elsewhere()),
    };
    let person = provider.finish(&attempt(visit, state.to_owned(), &carried), &Came { code, iss }, &visit.app.clock)?;
    let asked = carried.asked;
    // A moment that is still to come is none that is known.
    let signed_in_at = person.auth_time.filter(|at| *at <= visit.app.clock.now() + SKEW_MS);
    match (asked.as_ref().and_then(|asked| asked.fresh_after), signed_in_at) {
        (Some(_), None) => return Err(Error::new(Kind::Unauthenticated, UNKNOWN)),
        (Some(after), Some(at)) if at + SKEW_MS < after => {
            return Err(Error::new(Kind::Unauthenticated, "The app asks that you sign in anew, and the sign-in provider did not ask you."));
        }
        _ => {}
    }
    let account = match resolved(visit, provider, &person)? {
        Known::Account(account) => account,
        Known::Refused(why, remedy) => return Err(Error::new(Kind::Forbidden, format!("{why} {}", told(&person, &remedy)))),
    };
    begin(visit, asked, &account, Begin::Upstream(signed_in_at))
}

const UNKNOWN: &str = "The app asks that you sign in anew, and the sign-in provider did not say when you did.";

/// What the operator needs to know.
fn told(person: &Person, remedy: &Remedy) -> String {
    let text = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).take(255).collect::<String>();
    let (issuer, subject) = (text(&person.issuer), text(&person.subject));
    let remedy = match remedy {
        Remedy::Link => format!("; firth account link NAME --issuer {issuer} --subject {subject} lets you in."),
        Remedy::Reset(name) => format!(", with the account {name} here; firth account reset NAME makes it active again."),
        Remedy::Role(name) => {
            format!(
                ", with the account {name} here; a role that fits, by the provider's claims or by firth role grant NAME ROLE, lets you in."
            )
        }
    };
    format!("Tell the people who run this server: you are the subject {subject} at {issuer}{remedy}")
}

fn resolved(visit: &mut Visit<'_>, provider: &Provider, person: &Person) -> Result<Known> {
    let (vault, mut person, given) = (Arc::clone(&visit.app.vault), person.clone(), provider.settings.roles.clone());
    // SMART has the whole address of the record; of another server's nothing is known here.
    let base = format!("{}/fhir/", visit.app.public_url);
    person.fhir_user = person.fhir_user.map(|user| user.strip_prefix(&base).map(str::to_owned).unwrap_or(user));
    let (roles, entry) = (visit.app.roles.clone(), visit.request.entry.clone());
    let (known, changes) = visit.app.db.write("account.upstream", move |tx| {
        let (known, changes) = subjects::known(tx, &vault, &person, &given, &roles)?;
        for Changed { account, action, what } in &changes {
            let entry = entry.again(EntryId::at(tx.committed_at(), vault.chance.bytes()?));
            let entry = Entry { action: *action, account: Some(account.to_string()), ..entry };
            entry.commit(tx, Did::new(200, what.clone()))?;
        }
        Ok((known, changes.len()))
    })?;
    if changes > 0 {
        visit.next_entry(Action::SignIn)?;
    }
    Ok(known)
}
