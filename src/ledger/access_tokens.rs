//! Access tokens and id_tokens: made of a grant, and judged by what the grant, its client and its account are now.

use std::sync::Arc;

use super::accounts::{self, Account};
use super::clients::{self, Status};
use super::grants::{self, Held};
use super::panels::{self, Panel};
use super::signing_keys::Keys;
use crate::access::{Caller, Context, Party, Plain, Role, Roles, Whom};
use crate::chance::Chance;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{AccountId, GrantId, PatientId};
use crate::jose::access_token::{self, AccessToken, Confirmation, Expected};
use crate::jose::id_token::{self, IdToken};
use crate::jose::{Family, Seconds};
use crate::store::{Tx, keys};
use crate::vault::Vault;

/// Who makes tokens: its keys and its address, without a slash at the end.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    pub keys: &'a Keys,
    pub url: &'a str,
    pub chance: Chance,
    pub now: Millis,
}

/// What a token is made of.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    pub held: &'a Held,
    /// Those of the grant, or fewer.
    pub scopes: &'a str,
    /// The key to which it is bound.
    pub jkt: Option<&'a str>,
    /// `Practitioner/ID`, `Patient/ID`: who signed in.
    pub fhir_user: Option<&'a str>,
}

pub struct Tokens {
    pub access: String,
    pub id: Option<String>,
    pub expires_in: Seconds,
}

/// An access token, and an id_token when `openid` was granted.
pub fn issue(issuer: &Issuer<'_>, of: &Of<'_>) -> Result<Tokens> {
    let Of { held, scopes, .. } = *of;
    let (now, openid) = (issuer.now, grants::has(scopes, Plain::OpenId));
    let ttl = if held.by.account.is_some() { grants::TOKEN_TTL } else { grants::SERVICE_TTL };
    let until = held.expires_at.map_or(now + ttl, |at| at.min(now + ttl));
    let user = |plain| of.fhir_user.filter(|_| grants::has(scopes, plain)).map(|user| format!("{}/fhir/{user}", issuer.url));
    let (fhir_user, profile) = (user(Plain::FhirUser), user(Plain::Profile));
    let subject = held.by.account.map_or_else(|| held.by.client.to_string(), |account| account.to_string());
    let granted = &held.granted;
    let claims = AccessToken {
        iss: issuer.url.to_owned(),
        exp: until / 1_000,
        nbf: now / 1_000,
        iat: now / 1_000,
        aud: format!("{}/fhir", issuer.url),
        sub: subject.clone(),
        client_id: held.by.client.to_string(),
        jti: GrantId::from_random(issuer.chance.bytes()?).to_string(),
        sid: held.id.to_string(),
        scope: scopes.to_owned(),
        role: Some(granted.role.clone()),
        patient: granted.patient.clone(),
        encounter: granted.encounter.clone(),
        fhir_user: fhir_user.clone(),
        auth_time: granted.auth_time.map(|at| at / 1_000),
        acr: granted.acr.clone(),
        cnf: of.jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
    };
    let families: &[Family] = if openid { &Family::ALL } else { &[Family::Ed25519] };
    let ring = issuer.keys.signing(families, now)?;
    let access = access_token::issue(&ring, &claims, now)?;
    let id = openid.then(|| {
        let claims = IdToken {
            iss: claims.iss.clone(),
            sub: subject,
            aud: claims.client_id.clone(),
            exp: claims.exp,
            iat: claims.iat,
            nonce: granted.nonce.clone(),
            auth_time: claims.auth_time,
            fhir_user,
            profile,
            at_hash: Some(id_token::at_hash(&access)),
        };
        id_token::issue(&ring, &claims, now)
    });
    Ok(Tokens { id: id.transpose()?, access, expires_in: claims.exp - claims.iat })
}

/// Is this text one of ours by its form? An opaque token holds no dot.
pub fn is_signed(token: &str) -> bool {
    token.contains('.')
}

/// The claims of a token that we signed for ourselves and that has not expired.
pub fn verify(keys: &Keys, token: &str, url: &str, now: Millis) -> Result<AccessToken> {
    let audience = format!("{url}/fhir");
    let expected = Expected { issuer: url, audience: &audience, now };
    match access_token::verify(&*keys.ring(now)?, token, &expected) {
        Ok(claims) => Ok(claims),
        Err(e) => match keys.again(now)? {
            Some(ring) => access_token::verify(&ring, token, &expected),
            None => Err(e),
        },
    }
}

/// The same words for everybody; why stands in the log.
#[track_caller]
fn refused(why: &'static str) -> Error {
    Error::new(Kind::Unauthenticated, "The credential is not valid.").because(why)
}

/// Who shows a token with these claims, also in the words of resources, if its grant, its client, its account and their roles still are what they were.
pub fn caller(tx: &mut Tx<'_>, vault: &Vault, roles: &Roles, claims: &AccessToken, now: Millis) -> Result<(Caller, Party)> {
    let held = GrantId::parse(&claims.sid).map_err(|_| refused("sid is no grant"))?;
    let held = grants::get(tx, vault, held)?.filter(|held| held.holds(now)).ok_or_else(|| refused("the grant has ended"))?;
    let client = clients::get(tx, vault, held.by.client)?.filter(|client| client.status == Status::Approved);
    let client = client.ok_or_else(|| refused("the client is not approved"))?;
    if client.id.to_string() != claims.client_id || (client.facts.dpop_bound && claims.cnf.is_none()) {
        return Err(refused("the token is not one of this client"));
    }
    let Standing { role, fhir_user } = standing(tx, vault, &held, roles)?;
    let claimed = grants::of_resources(&claims.scope)?;
    let context = claimed.of_one_context().map_err(|_| refused("scopes of two contexts"))?;
    // The client may have been narrowed since.
    let scopes = claimed.narrowed(&grants::of_resources(&client.facts.scopes)?);
    let Panel { whom, party, until } = panels::panel(tx, vault, role, fhir_user.as_deref(), now)?;
    let patient = held.granted.patient.as_deref().map(|id| patient_now(tx, id)).transpose()?.flatten();
    let whom = match (context, patient) {
        // What is limited to one patient must never be seen without the limit.
        (Some(Context::Patient), None) => return Err(refused("a scope of patient/ without a patient")),
        // Whom the user may not see at the time is as hidden as anybody else; that may change again.
        (Some(Context::Patient), Some(patient)) => Whom::Patients(whom.has(patient).then_some(patient).into_iter().collect()),
        _ => whom,
    };
    let caller = Caller {
        credential: held.id,
        role,
        scopes,
        user: None,
        whom,
        issued_at: claims.iat * 1_000,
        client: Some(client.id),
        account: held.by.account,
        fhir_user,
        auth_time: held.granted.auth_time,
        context: patient.filter(|_| context == Some(Context::Patient)),
        jkt: claims.cnf.as_ref().map(|cnf| cnf.jkt.clone()),
        emergencies: Arc::default(),
        withheld: Arc::default(),
        until,
    };
    Ok((caller, party))
}

/// In which role a grant is used, and by whom.
#[derive(Clone, Debug)]
pub struct Standing {
    pub role: Role,
    /// `Practitioner/ID`, `Patient/ID`.
    pub fhir_user: Option<String>,
}

/// As whom a grant is used, if its account is active and account or client have the role that they had.
pub fn standing(tx: &mut Tx<'_>, vault: &Vault, held: &Held, roles: &Roles) -> Result<Standing> {
    let role = roles.named(&held.granted.role).ok_or_else(|| refused("the role is gone"))?;
    let (of_now, fhir_user) = match held.by.account {
        Some(account) => person(tx, vault, account)?,
        None => (clients::get(tx, vault, held.by.client)?.and_then(|client| client.facts.role), None),
    };
    if of_now.as_deref() != Some(role.name()) {
        return Err(refused("the account or the client has another role now"));
    }
    Ok(Standing { role, fhir_user })
}

/// Role and `fhirUser` of an account that is active.
fn person(tx: &mut Tx<'_>, vault: &Vault, account: AccountId) -> Result<(Option<String>, Option<String>)> {
    let account = accounts::get(tx, vault, account)?.filter(Account::is_active).ok_or_else(|| refused("the account is not active"))?;
    Ok((account.facts.role, account.facts.fhir_user))
}

/// The id under which a Patient is known now; None when there is none.
fn patient_now(tx: &mut Tx<'_>, id: &str) -> Result<Option<PatientId>> {
    let Ok(patient) = PatientId::parse(id) else { return Ok(None) };
    Ok(keys::person(tx, patient)?.first().map(|(_, whose)| whose.now))
}
