//! What a person may let an app have: what it asks, of that what it was registered for, and of that what the person's role
//! may do. What is left is offered on the page of consent; the person may take away from it, and add nothing.

use super::asked::Asked;
use super::redirect::Told;
use crate::access::{Context, PatientRule, Plain, Reader, Requested, Role, Scopes};
use crate::app::App;
use crate::error::Result;
use crate::ledger::accounts::Account;
use crate::ledger::clients::{Client, REFRESH};
use crate::ledger::grants;
use crate::policy;

#[derive(Clone, Debug)]
pub struct Offered {
    pub role: Role,
    pub resources: Scopes,
    pub plain: Vec<Plain>,
    /// Scopes that were asked and are not offered.
    pub left_out: Vec<String>,
    /// A patient must be established.
    pub needs_patient: bool,
    pub reader: Reader,
}

/// What is refused before anybody signs in: scopes that are badly written, and those of which this client is granted
/// nothing by anybody.
pub fn judged(client: &Client, asked: &Asked) -> Result<(), Told> {
    let requested = requested(asked)?;
    let (registered, known) = registered(client)?;
    let of_people = requested.scopes.of_one_context().is_ok_and(|context| context != Some(Context::System));
    if of_people && !requested.scopes.narrowed(&registered).is_empty() || requested.plain.iter().any(|plain| known.contains(plain)) {
        return Ok(());
    }
    Err(Told::new("invalid_scope", "Nothing of what is asked can be granted to this client.".into()))
}

fn requested(asked: &Asked) -> Result<Requested, Told> {
    Requested::parse(&asked.scope, &policy::offer).map_err(|e| Told::new("invalid_scope", e.says().to_owned()))
}

pub fn offered(app: &App, of: (&Client, &Account), asked: &Asked) -> Result<Offered, Told> {
    let (client, account) = of;
    let requested = requested(asked)?;
    let denied = |says: &str| Told::new("access_denied", says.to_owned());
    let role = account.facts.role.as_deref().and_then(|name| app.roles.named(name));
    let role = role.filter(|role| role.is_granted()).ok_or_else(|| denied("The person has no role on this server."))?;
    let context = requested.scopes.of_one_context().map_err(|e| Told::new("invalid_scope", e.says().to_owned()))?;
    // A system's scopes are for backend services.
    let limit = context.filter(|context| *context != Context::System).map(|context| role.scopes().within(context)).unwrap_or_default();
    let (registered, known) = registered(client)?;
    let resources = requested.scopes.narrowed(&limit).narrowed(&registered);
    let asked_plain = requested.plain.iter().copied();
    let plain: Vec<Plain> =
        asked_plain.filter(|plain| known.contains(plain)).filter(|plain| grantable(*plain, (client, account), asked)).collect();
    let needs_patient =
        asked.launch.is_some() || plain.contains(&Plain::LaunchPatient) || (context == Some(Context::Patient) && !resources.is_empty());
    let left_out = left_out(&requested, &resources, &plain);
    if resources.is_empty() && plain.is_empty() {
        return Err(Told::new("invalid_scope", "Nothing of what is asked can be granted to this client by this person.".into()));
    }
    let reader = if role.rule() == PatientRule::Own { Reader::Patient } else { Reader::Staff };
    Ok(Offered { role, resources, plain, left_out, needs_patient, reader })
}

/// What the client was registered for.
fn registered(client: &Client) -> Result<(Scopes, Vec<Plain>), Told> {
    let scopes = &client.facts.scopes;
    Ok((grants::of_resources(scopes)?, scopes.split_whitespace().filter_map(Plain::parse).collect()))
}

/// Is there anything behind it here?
fn grantable(plain: Plain, of: (&Client, &Account), asked: &Asked) -> bool {
    let (client, account) = of;
    let launched = asked.launch.as_ref().map(|(_, launch)| launch);
    match plain {
        Plain::OpenId | Plain::LaunchPatient => true,
        Plain::FhirUser | Plain::Profile => account.facts.fhir_user.is_some() && asked.has(Plain::OpenId),
        Plain::Launch => launched.is_some(),
        Plain::LaunchEncounter => launched.is_some_and(|launch| launch.encounter.is_some()),
        Plain::OfflineAccess | Plain::OnlineAccess => client.facts.may(REFRESH),
        Plain::OrchestrateLaunch => false,
    }
}

fn left_out(requested: &Requested, resources: &Scopes, plain: &[Plain]) -> Vec<String> {
    let unknown = requested.unknown.iter().map(|one| one.scope.clone());
    let of_plain = requested.plain.iter().filter(|one| !plain.contains(one)).map(|one| one.name().to_owned());
    let of_resources = requested.scopes.words(Reader::Staff).into_iter().map(|(scope, _)| scope);
    let of_resources = of_resources.filter(|scope| Scopes::granular(scope, &policy::offer).is_ok_and(|one| !resources.covers(&one)));
    unknown.chain(of_plain).chain(of_resources).collect()
}

impl Asked {
    pub fn has(&self, plain: Plain) -> bool {
        self.scope.split(' ').any(|word| word == plain.name())
    }
}

impl Offered {
    /// What is offered, as an app asks for it.
    pub fn all(&self) -> Vec<String> {
        let plain = self.plain.iter().map(|plain| plain.name().to_owned());
        plain.chain(self.resources.words(self.reader).into_iter().map(|(scope, _)| scope)).collect()
    }
}
