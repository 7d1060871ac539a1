//! What comes next in an authorization: sign in, choose a patient, agree, and then the code. Nothing is remembered between
//! the steps but what the sealed field carries; each step looks at client, account and role as they are now.

use std::sync::Arc;

use super::Parameters;
use super::asked::{self, Asked, Prompt};
use super::offer::{Offered, judged, offered};
use super::patients::{self, Chosen, Found};
use super::redirect::{Told, answer, tell};
use crate::access::Plain;
use crate::api::pages::{Searched, Visit, ask_for_sign_in, consent_page, patients_page};
use crate::api::request::Reply;
use crate::app::App;
use crate::audit::{Action, Did};
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::ledger::clients::{self, Client, Status};
use crate::ledger::grants::{self, By, Granted};
use crate::ledger::launches;
use crate::ledger::sessions::SignedIn;

/// A new authorization request.
pub fn begin(visit: &mut Visit<'_>, parameters: &Parameters) -> Result<Reply> {
    let (client, back) = asked::who(visit.app, parameters)?;
    visit.request.entry.client = Some(client.id.to_string());
    let read = asked::what(visit.app, &client, &back, parameters).and_then(|asked| judged(&client, &asked).map(|_| asked));
    let asked = match read {
        Ok(asked) => asked,
        Err(told) => return tell(visit, &back, &told),
    };
    let Some(launch) = parameters.one("launch") else { return go_on(visit, asked) };
    match launched(visit, launch, client.id)? {
        Some(of) => go_on(visit, Asked { launch: Some((launch.to_owned(), of)), ..asked }),
        None => tell(visit, &back, &Told::new("invalid_request", USED.into())),
    }
}

const USED: &str = "launch is not valid: it is unknown, was used, has expired, or is another app's.";

/// It is used up with the code, so a page that is loaded again finds it.
fn launched(visit: &Visit<'_>, launch: &str, client: ClientId) -> Result<Option<launches::Launch>> {
    let now = visit.app.clock.now();
    visit.app.db.read("launch.find", |tx| launches::find(tx, &visit.app.vault, launch, (client, now)))
}

/// The next step, or the answer to the app.
fn go_on(visit: &mut Visit<'_>, asked: Asked) -> Result<Reply> {
    let client = approved(visit, &asked)?;
    let signed_in = visit.signed_in()?;
    match signed_in.filter(|who| is_fresh(who, &asked)) {
        Some(who) => with(visit, asked, &client, &who),
        None if asked.prompt == Prompt::None => {
            tell(visit, &asked.back(), &Told::new("login_required", "Nobody is signed in, or too long ago.".into()))
        }
        None => ask_for_sign_in(visit, Some((asked, &client.facts.name)), Vec::new(), ""),
    }
}

/// Nobody knows of some sign-ins elsewhere when they were: those are not fresh.
fn is_fresh(who: &SignedIn, asked: &Asked) -> bool {
    asked.fresh_after.is_none_or(|after| who.session.auth_time.is_some_and(|at| at >= after))
}

/// Somebody signed in for this request.
pub fn signed_in(visit: &mut Visit<'_>, asked: Asked, who: &SignedIn) -> Result<Reply> {
    let client = approved(visit, &asked)?;
    with(visit, asked, &client, who)
}

/// The same once it is known who asks.
fn with(visit: &mut Visit<'_>, asked: Asked, client: &Client, who: &SignedIn) -> Result<Reply> {
    let offered = match offered(visit.app, (client, &who.account), &asked) {
        Ok(offered) => offered,
        Err(told) => return tell(visit, &asked.back(), &told),
    };
    let patient = match patients::established(visit.app, (&asked, &offered), who)? {
        Chosen::Nobody => None,
        Chosen::One(patient) => Some(patient),
        Chosen::ByThePerson if asked.prompt == Prompt::None => {
            return tell(visit, &asked.back(), &Told::new("interaction_required", "A patient must be chosen.".into()));
        }
        Chosen::ByThePerson => return patients_page(visit, (asked, &client.facts.name), Searched::default(), None),
        Chosen::Hidden(says) => return tell(visit, &asked.back(), &Told::new("access_denied", says.into())),
    };
    decide(visit, asked, (client, who, &offered), patient)
}

/// Asks the person, unless it agreed to the very same before and that still holds.
fn decide(visit: &mut Visit<'_>, asked: Asked, of: (&Client, &SignedIn, &Offered), patient: Option<String>) -> Result<Reply> {
    let (client, who, offered) = of;
    let all = offered.all();
    let known = asked.prompt != Prompt::Consent && known(visit, &asked, (client, who, &all), patient.as_deref())?;
    match (known, asked.prompt) {
        (true, _) => code(visit, &asked, (client, who, offered), (all, patient)),
        (false, Prompt::None) => tell(visit, &asked.back(), &Told::new("consent_required", "The person must agree first.".into())),
        (false, _) => consent_page(visit, asked, (client, who, offered), patient),
    }
}

/// A grant of this person to this client for the same patient and the same scopes, neither more nor fewer, that holds. An
/// app whose answer goes to the person's own machine may be any program there: it is asked for each time (RFC 8252 section
/// 8.6).
fn known(visit: &Visit<'_>, asked: &Asked, of: (&Client, &SignedIn, &[String]), patient: Option<&str>) -> Result<bool> {
    let (client, who, all) = of;
    if !asked.redirect_uri.starts_with("https://") {
        return Ok(false);
    }
    let (app, now) = (visit.app, visit.app.clock.now());
    let held = app.db.read("grant.list", |tx| grants::of_account(tx, &app.vault, who.account.id, now))?;
    let set = |scopes: &str| -> std::collections::BTreeSet<String> { scopes.split_whitespace().map(str::to_owned).collect() };
    let wanted = set(&all.join(" "));
    let same = |one: &grants::Held| one.granted.patient.as_deref() == patient && set(&one.granted.scopes) == wanted;
    Ok(held.iter().any(|one| one.by.client == client.id && same(one)))
}

/// A patient was picked on the page: it must be one whom the person may see.
pub fn picked(visit: &mut Visit<'_>, asked: Asked, patient: &str) -> Result<Reply> {
    let client = approved(visit, &asked)?;
    let who = visit.must_be_signed_in()?;
    let offered = match offered(visit.app, (&client, &who.account), &asked) {
        Ok(offered) => offered,
        Err(told) => return tell(visit, &asked.back(), &told),
    };
    if !patients::sees(visit.app, &who, offered.role, patient)? {
        return Err(Error::new(Kind::Invalid, "There is no such patient, or you may not see the record."));
    }
    decide(visit, asked, (&client, &who, &offered), Some(patient.to_owned()))
}

/// The person answered: these scopes, or None for no.
pub fn agreed(visit: &mut Visit<'_>, asked: Asked, patient: Option<String>, ticked: Option<Vec<String>>) -> Result<Reply> {
    let client = approved(visit, &asked)?;
    let who = visit.must_be_signed_in()?;
    let denied = |says: &str| Told::new("access_denied", says.into());
    let Some(ticked) = ticked else { return tell(visit, &asked.back(), &denied("The person did not allow it.")) };
    let offered = match offered(visit.app, (&client, &who.account), &asked) {
        Ok(offered) => offered,
        Err(told) => return tell(visit, &asked.back(), &told),
    };
    // Whatever the form says, nothing is granted that was not offered.
    let kept: Vec<String> = offered.all().into_iter().filter(|scope| ticked.contains(scope)).collect();
    if kept.is_empty() {
        return tell(visit, &asked.back(), &denied("The person allowed nothing of what was asked."));
    }
    if let Some(patient) = &patient
        && !patients::sees(visit.app, &who, offered.role, patient)?
    {
        return tell(visit, &asked.back(), &denied("The person may not see this patient any more."));
    }
    code(visit, &asked, (&client, &who, &offered), (kept, patient))
}

/// Grants, and sends the code.
fn code(visit: &mut Visit<'_>, asked: &Asked, of: (&Client, &SignedIn, &Offered), what: (Vec<String>, Option<String>)) -> Result<Reply> {
    let (client, who, offered) = of;
    let (scopes, patient) = what;
    let launch = asked.launch.as_ref().map(|(_, launch)| launch);
    let has = |plain: Plain| scopes.iter().any(|scope| scope == plain.name());
    let granted = Granted {
        scopes: scopes.join(" "),
        role: offered.role.name().to_owned(),
        patient,
        // A standalone launch has no encounter to offer.
        encounter: launch.and_then(|launch| launch.encounter.clone()).filter(|_| has(Plain::Launch) || has(Plain::LaunchEncounter)),
        fhir_context: launch.map(|launch| launch.fhir_context.clone()).unwrap_or_default(),
        intent: launch.and_then(|launch| launch.intent.clone()),
        need_patient_banner: launch.and_then(|launch| launch.need_patient_banner),
        nonce: asked.nonce.clone(),
        redirect_uri: Some(asked.redirect_uri.clone()),
        challenge: Some(asked.challenge.clone()),
        auth_time: who.session.auth_time,
        acr: None,
        jkt: asked.jkt.clone(),
    };
    let by = By { client: client.id, account: Some(who.account.id), session: Some(who.session.id) };
    let mut entry = visit.request.entry.clone();
    entry.action = Action::Credential;
    let (vault, launched) = (Arc::clone(&visit.app.vault), asked.launch.as_ref().map(|(launch, _)| launch.clone()));
    let code = visit.app.db.write("grant.code", move |tx| {
        if let Some(launch) = &launched
            && !launches::use_up(tx, launch)?
        {
            return Ok(None);
        }
        let code = grants::code(tx, &vault, &by, &granted)?;
        let of = if launched.is_some() { " launch" } else { "" };
        let did = Did { patients: granted.patient.iter().cloned().collect(), ..Did::new(303, format!("client/{}{of}", by.client)) };
        entry.commit(tx, did)?;
        Ok(Some(code))
    })?;
    match code {
        Some(code) => Ok(answer(visit, &asked.back(), &[("code", &code)]).committed()),
        None => tell(visit, &asked.back(), &Told::new("invalid_request", USED.into())),
    }
}

/// The client, if it still may ask.
fn approved(visit: &mut Visit<'_>, asked: &Asked) -> Result<Client> {
    visit.request.entry.client = Some(asked.client.clone());
    let id = ClientId::parse(&asked.client)?;
    let client = visit.app.db.read("client", |tx| clients::get(tx, &visit.app.vault, id))?;
    let gone = || Error::new(Kind::Invalid, "The app is not allowed on this server any more.");
    client.filter(|client| client.status == Status::Approved).ok_or_else(gone)
}

/// What the app is called.
pub fn client_name(app: &App, asked: &Asked) -> Result<String> {
    let id = ClientId::parse(&asked.client)?;
    let client = app.db.read("client", |tx| clients::get(tx, &app.vault, id))?;
    Ok(client.map(|client| client.facts.name).unwrap_or_default())
}

/// Patients that fit, of those whom the person may see.
pub fn find(visit: &mut Visit<'_>, asked: &Asked, searched: &Searched) -> Result<Found> {
    approved(visit, asked)?;
    let who = visit.must_be_signed_in()?;
    let role = who.account.facts.role.as_deref().and_then(|name| visit.app.roles.named(name));
    let role = role.ok_or_else(|| Error::new(Kind::Forbidden, "You have no role on this server."))?;
    patients::find(visit.app, &who, role, searched)
}
