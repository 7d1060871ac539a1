//! The pages on which people sign in, choose a patient, agree and look after their account: HTML without script. Each form
//! carries what the next page needs in one sealed field, bound to the browser (decision 0024).

mod account;
mod browser;
mod consent;
mod form;
mod picker;
mod shell;
mod sign_in;
mod upstream;

pub use account::{account, new_password, revoke, sign_out};
pub use browser::Browser;
pub use consent::{consent, consent_page};
pub use form::Searched;
pub use picker::{patient, patients_page};
pub use shell::{Fault, Shell};
pub use sign_in::{ask_for_sign_in, code, first_password, open, sign_in};
pub use upstream::upstream;

use form::Carried;
use shell::failed;

use super::request::{Reply, Request};
use crate::access::Caller;
use crate::app::App;
use crate::audit::Action;
use crate::error::{Error, Kind, Result};
use crate::ledger::sessions::{self, SignedIn};

/// A request of somebody who looks at a page.
pub struct Visit<'a> {
    pub app: &'a App,
    pub request: &'a mut Request,
    pub browser: Browser,
}

impl Visit<'_> {
    /// Who is signed in in this browser. Asking renews the session, and the audit entry names who it is.
    pub fn signed_in(&mut self) -> Result<Option<SignedIn>> {
        let Some(secret) = self.browser.shown.clone() else { return Ok(None) };
        let vault = std::sync::Arc::clone(&self.app.vault);
        let found = self.app.db.write("session.renew", move |tx| sessions::renew(tx, &vault, &secret))?;
        if let Some(found) = &found {
            self.names(found);
        }
        Ok(found)
    }

    /// The same of somebody who must be there: a form that only they were shown was sent.
    pub fn must_be_signed_in(&mut self) -> Result<SignedIn> {
        self.signed_in()?.ok_or_else(|| Error::new(Kind::Unauthenticated, "You are no longer signed in."))
    }

    /// The audit entry says who it is.
    pub fn names(&mut self, who: &SignedIn) {
        let entry = &mut self.request.entry;
        entry.credential = Some(who.session.id.to_string());
        entry.account = Some(who.account.id.to_string());
        entry.role.clone_from(&who.account.facts.role);
        entry.fhir_user.clone_from(&who.account.facts.fhir_user);
        let own = who.account.facts.fhir_user.as_deref().and_then(|user| user.strip_prefix("Patient/"));
        entry.own = own.map(str::to_owned);
    }

    /// What follows in this request has an entry of its own.
    pub fn next_entry(&mut self, action: Action) -> Result<()> {
        self.request.entry = self.request.entry.again(self.app.entry_id()?);
        self.request.entry.action = action;
        Ok(())
    }

    /// The page shows who a patient is: an entry of its own says so, and is durable before the page leaves.
    pub fn read_patients(&self, resource: &str, patients: Vec<String>) -> Result<()> {
        let mut entry = self.request.entry.again(self.app.entry_id()?);
        entry.action = Action::Read;
        entry.resource = Some(resource.to_owned());
        entry.patients = patients;
        self.app.log.append(&entry)?.wait()
    }

    /// The shell of a page, with what is wrong with the form that was sent.
    pub fn shell(&self, faults: Vec<Fault>) -> Shell {
        Shell { root: root(self.app), faults }
    }

    pub fn seal(&self, carried: &Carried) -> Result<String> {
        form::seal(self.app, &self.browser, carried)
    }
}

/// What a route of pages answers: a refusal is a page, too, and a browser that had no cookie gets one.
pub fn visited(app: &App, request: &mut Request, work: impl FnOnce(&mut Visit<'_>) -> Result<Reply>) -> Result<Reply> {
    let browser = Browser::of(app, request)?;
    let mut visit = Visit { app, request, browser };
    let mut reply = match work(&mut visit) {
        Ok(reply) => reply,
        Err(e) => failed(&visit, &e)?,
    };
    reply.headers.extend(visit.browser.cookie(app).map(|cookie| ("set-cookie", cookie)));
    Ok(reply)
}

/// What paths begin with, when the public base has a path of its own.
pub fn root(app: &App) -> String {
    let rest = app.public_url.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or(String::new(), |at| rest[at..].trim_end_matches('/').to_owned())
}

/// 303 (RFC 9700, section 4.12): what was posted is not posted again.
pub fn see_other(to: &str) -> Reply {
    Reply { status: 303, content_type: "text/plain; charset=utf-8".into(), ..Reply::default() }
        .with("location", to)
        .with("referrer-policy", "no-referrer")
}

const STYLE: &str = include_str!("templates/firth.css");

/// The one style sheet.
pub fn style(_: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    // It says nothing of anybody: it is logged, not audited.
    Ok(Reply {
        status: 200,
        content_type: "text/css; charset=utf-8".into(),
        body: STYLE.as_bytes().to_vec(),
        audited: true,
        ..Reply::default()
    })
}
