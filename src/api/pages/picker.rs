//! The page on which a person chooses a patient: nothing is shown before something is searched for, and each search is a
//! read in the audit log.

use askama::Template;

use super::form::{Carried, Form, Searched, Step};
use super::shell::{Fault, Shell, page};
use super::sign_in::elsewhere;
use super::{Visit, visited};
use crate::access::Caller;
use crate::api::authorize::{self, Asked, Found, Row};
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Kind, Result};

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage<'a> {
    shell: Shell,
    form: String,
    app: &'a str,
    asked: &'a Searched,
    searched: bool,
    rows: &'a [Row],
    first: u32,
    last: u32,
    more: bool,
}

/// Letters of a name, or of a number, before anything is searched for.
const LEAST: usize = 2;
const LONGEST: usize = 200;

const NO_DATE: &str = "Write the birth date as year-month-day, for example 1987-03-24.";

/// The page, with what was found if something was searched for.
pub fn patients_page(visit: &Visit<'_>, of: (Asked, &str), searched: Searched, found: Option<&Found>) -> Result<Reply> {
    shown(visit, of, searched, (found, Vec::new()))
}

fn shown(visit: &Visit<'_>, of: (Asked, &str), searched: Searched, with: (Option<&Found>, Vec<Fault>)) -> Result<Reply> {
    let ((asked, app), (found, faults)) = (of, with);
    let redirect_uri = asked.redirect_uri.clone();
    let rows = found.map_or(&[][..], |found| &found.rows);
    let (before, here) = (searched.before, u32::try_from(rows.len()).unwrap_or_default());
    let next = found.and_then(|found| found.next.clone());
    // The form goes on where this page ends.
    let carried = Searched { after: next.clone(), before: before + here, ..searched.clone() };
    let form = visit.seal(&Carried { asked: Some(asked), step: Step::Patient(carried) })?;
    let status = if faults.is_empty() { 200 } else { 422 };
    let shown = PatientsPage {
        shell: visit.shell(faults),
        form,
        app,
        asked: &searched,
        searched: found.is_some(),
        rows,
        first: before + 1,
        last: before + here,
        more: next.is_some(),
    };
    page(status, &shown, Some(&redirect_uri))
}

/// `POST /oauth/patient`: search, the next page, a choice, or none.
pub fn patient(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let form = Form::of(visit.app, visit.request, &visit.browser)?;
        let (Some(asked), Step::Patient(before)) = (form.carried.asked.clone(), form.carried.step.clone()) else { return Err(elsewhere()) };
        let picked = form.one("patient")?;
        if !picked.is_empty() {
            visit.request.entry.action = crate::audit::Action::Activity;
            return authorize::picked(visit, asked, &picked);
        }
        match form.one("do")?.as_str() {
            "cancel" => {
                visit.request.entry.action = crate::audit::Action::Activity;
                authorize::agreed(visit, asked, None, None)
            }
            "next" if before.after.is_some() => search(visit, asked, before),
            _ => {
                let searched = Searched {
                    name: form.one("name")?,
                    birthdate: form.one("birthdate")?,
                    identifier: form.one("identifier")?,
                    ..Searched::default()
                };
                search(visit, asked, searched)
            }
        }
    })
}

fn search(visit: &mut Visit<'_>, asked: Asked, searched: Searched) -> Result<Reply> {
    let faults = faults(&searched);
    let client = authorize::client_name(visit.app, &asked)?;
    if !faults.is_empty() {
        return Ok(shown(visit, (asked, &client), searched, (None, faults))?.with("x-firth-error", Kind::Parameter.wire().code));
    }
    let found = match authorize::find(visit, &asked, &searched) {
        Ok(found) => found,
        Err(e) if e.kind == Kind::Parameter => {
            let at = e.issues.first().and_then(|issue| issue.at.as_deref());
            let fault = match at {
                Some("birthdate") => Fault::new("birthdate", NO_DATE),
                Some("identifier") => Fault::new("identifier", "This cannot be a record number."),
                _ => Fault::new("name", "This cannot be a part of a name."),
            };
            let faults = vec![fault];
            return Ok(shown(visit, (asked, &client), searched, (None, faults))?.with("x-firth-error", Kind::Parameter.wire().code));
        }
        Err(e) => return Err(e),
    };
    let ids = found.rows.iter().map(|row| row.id.clone()).collect();
    let mut reply = shown(visit, (asked, &client), searched, (Some(&found), Vec::new()))?.about("Patient", ids);
    reply.asked = Some(format!("/oauth/patient?{}", found.asked));
    Ok(reply)
}

fn faults(searched: &Searched) -> Vec<Fault> {
    let Searched { name, birthdate, identifier, .. } = searched;
    let short = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() < LEAST;
    let mut faults = Vec::new();
    if [name, birthdate, identifier].iter().all(|field| field.is_empty()) {
        faults.push(Fault::new("name", "Write a part of the name, a birth date or a record number."));
    }
    if name.split_whitespace().any(short) {
        faults.push(Fault::new("name", "Write at least two letters of each name."));
    }
    let digits = |at: std::ops::Range<usize>| birthdate.get(at).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let date = birthdate.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10) && birthdate.matches('-').count() == 2;
    if !birthdate.is_empty() && !date {
        faults.push(Fault::new("birthdate", NO_DATE));
    }
    if !identifier.is_empty() && short(identifier) {
        faults.push(Fault::new("identifier", "Write the whole record number."));
    }
    for (at, text) in [("name", name), ("identifier", identifier)] {
        if text.len() > LONGEST {
            faults.push(Fault::new(at, format!("This is longer than {LONGEST} letters.")));
        }
    }
    faults
}
