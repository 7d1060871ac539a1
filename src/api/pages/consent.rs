//! The page on which a person says what an app may have.

use askama::Template;

use super::form::{Carried, Form, Step};
use super::shell::{Shell, page};
use super::sign_in::elsewhere;
use super::{Visit, visited};
use crate::access::{Caller, Plain};
use crate::api::authorize::{self, Asked, Offered, Row, summary};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Action;
use crate::error::Result;
use crate::ledger::clients::Client;
use crate::ledger::sessions::SignedIn;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    shell: Shell,
    form: String,
    app: &'a str,
    place: &'a str,
    you: String,
    patient: String,
    resources: Vec<Tick>,
    plain: Vec<Tick>,
    left_out: String,
    lasting: &'static str,
}

struct Tick {
    scope: String,
    words: String,
}

/// Asks the person. Who the patient is stands on the page, so the audit log has it as a read.
pub fn consent_page(visit: &mut Visit<'_>, asked: Asked, of: (&Client, &SignedIn, &Offered), patient: Option<String>) -> Result<Reply> {
    let (client, who, offered) = of;
    let named = match &patient {
        None => String::new(),
        Some(id) => {
            let row = summary(visit.app, who, offered.role, id)?;
            visit.read_patients(&format!("Patient/{id}"), vec![id.clone()])?;
            told(&row)
        }
    };
    let redirect_uri = asked.redirect_uri.clone();
    let form = visit.seal(&Carried { asked: Some(asked), step: Step::Consent(patient) })?;
    let facts = &who.account.facts;
    let shown = ConsentPage {
        shell: visit.shell(Vec::new()),
        form,
        app: &client.facts.name,
        place: host(&redirect_uri),
        you: format!("{} (role {})", facts.name, offered.role.name()),
        patient: named,
        resources: offered.resources.words(offered.reader).into_iter().map(|(scope, words)| Tick { scope, words }).collect(),
        plain: offered.plain.iter().map(|plain| Tick { scope: plain.name().into(), words: plain.words().into() }).collect(),
        left_out: offered.left_out.join(", "),
        lasting: lasting(offered),
    };
    page(200, &shown, Some(&redirect_uri))
}

/// What tells the patient from others, as far as it is known.
fn told(row: &Row) -> String {
    let name = if row.name.is_empty() { format!("Patient/{}", row.id) } else { row.name.clone() };
    let more = [("born", &row.born), ("sex", &row.sex), ("record number", &row.identifier)];
    let more = more.into_iter().filter(|(_, value)| !value.is_empty());
    std::iter::once(name).chain(more.map(|(of, value)| format!("{of} {value}"))).collect::<Vec<_>>().join(", ")
}

/// Where the person is sent afterwards: what an app calls itself proves nothing, its address does.
fn host(uri: &str) -> &str {
    match uri.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?']).next().unwrap_or(rest),
        None => uri.split(':').next().unwrap_or(uri),
    }
}

fn lasting(offered: &Offered) -> &'static str {
    match () {
        () if offered.plain.contains(&Plain::OfflineAccess) => "Its access lasts up to 90 days, also when you are signed out.",
        () if offered.plain.contains(&Plain::OnlineAccess) => "Its access lasts for as long as you are signed in here.",
        () => "Its access lasts for an hour.",
    }
}

/// `POST /oauth/consent`.
pub fn consent(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let form = Form::of(visit.app, visit.request, &visit.browser)?;
        let (Some(asked), Step::Consent(patient)) = (form.carried.asked.clone(), form.carried.step.clone()) else {
            return Err(elsewhere());
        };
        visit.request.entry.action = Action::Credential;
        let ticked = match form.one("decision")?.as_str() {
            "allow" => Some(form.all("scope").into_iter().map(str::to_owned).collect()),
            _ => None,
        };
        authorize::agreed(visit, asked, patient, ticked)
    })
}
