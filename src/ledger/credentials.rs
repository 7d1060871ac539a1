//! Credentials: bearer tokens with a role, SDK token pairs, apps and their keys. A secret leaves
//! this room once, when it is made; what is kept is its SHA-256.

use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use super::sealed;
use crate::access::{Caller, PatientRule, Role, Scopes, Whom};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{GrantId, PatientId, Shelf, UserId};
use crate::policy;
use crate::store::Tx;
use crate::store::credentials::{self as rows, Credential, Kind as Secret};
use crate::vault::{Place, Vault, secret_digest, secrets_equal};

/// An SDK access token lives an hour, as the SDKs expect.
pub const SDK_TTL: Millis = 3_600_000;

const APP: i16 = number(Role::App);
const DEVICE_SDK: i16 = number(Role::DeviceSdk);

/// Of a built-in role.
const fn number(role: Role) -> i16 {
    match role.number() {
        Some(number) => number,
        None => 0,
    }
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct Grant {
    pub role: Role,
    pub scopes: Option<Scopes>,
    pub patients: Vec<PatientId>,
    pub ttl: Millis,
}

/// A new secret and the id under which it is listed and revoked.
#[derive(Clone, Debug)]
pub struct Issued {
    pub secret: String,
    pub id: GrantId,
    pub expires_at: Option<Millis>,
}

/// Issues a bearer token for `/fhir`. What would narrow nothing although it reads as if it did is refused.
pub fn issue(tx: &mut Tx<'_>, vault: &Vault, grant: &Grant) -> Result<Issued> {
    if !grant.role.is_granted() {
        return Err(Error::new(
            Kind::Invalid,
            format!("role {} has its own way to a token: firth app create, POST /api/v1/users/ID/token", grant.role.name()),
        )
        .at("role"));
    }
    if grant.role == Role::Patient && grant.patients.len() != 1 {
        return Err(Error::new(Kind::Invalid, "a patient token names its one patient; add --patient ID").at("patient"));
    }
    if !grant.patients.is_empty() && !matches!(grant.role, Role::Patient | Role::Clinician) {
        let says = format!("a token of role {} is not bound to patients; leave --patient out, or use role clinician", grant.role.name());
        return Err(Error::new(Kind::Invalid, says).at("patient"));
    }
    if let Some(scope) = grant.scopes.as_ref().and_then(|scopes| scopes.foreign(grant.role.scopes())) {
        let says = format!("scope '{scope}' has another context than those of role {} ({})", grant.role.name(), grant.role.scopes());
        return Err(Error::new(Kind::Invalid, says).at("scope"));
    }
    for patient in &grant.patients {
        if crate::store::keys::person(tx, *patient)?.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("there is no Patient/{patient}")).at("patient"));
        }
    }
    let scopes = grant.scopes.clone().unwrap_or_else(|| grant.role.scopes().clone());
    let number = grant.role.number().ok_or_else(|| {
        let says = format!("role {} is of firth.toml: give it to an account (firth role grant) or to a client", grant.role.name());
        Error::new(Kind::Invalid, says).at("role")
    })?;
    let id = GrantId::from_random(vault.chance.bytes()?);
    let new = Credential {
        id,
        family: GrantId::from_random(vault.chance.bytes()?),
        kind: Secret::Access as i16,
        role: number,
        scopes: kept(vault, id, &scopes.to_string())?,
        user: None,
        issued_at: tx.committed_at(),
        expires_at: Some(tx.committed_at() + grant.ttl),
        used_at: None,
        revoked_at: None,
    };
    keep(tx, vault, "ft-", new, &grant.patients)
}

/// A scope with a constraint names codes and ids, so it is sealed; others say nothing of anybody.
const SEALED: &str = "sealed:";

fn place(id: &GrantId) -> sealed::Row<'_> {
    sealed::Row { kind: "credential", id: &id.0, version: 1 }
}

fn kept(vault: &Vault, id: GrantId, scopes: &str) -> Result<String> {
    if !scopes.contains('?') {
        return Ok(scopes.to_owned());
    }
    Ok(format!("{SEALED}{}", BASE64URL_NOPAD.encode(&sealed::seal(vault, place(&id), &scopes)?)))
}

/// When a token ends; None when nothing but its revocation ends it.
pub fn expires_at(tx: &mut Tx<'_>, token: &str) -> Result<Option<Millis>> {
    Ok(rows::shown(tx, &secret_digest(token))?.and_then(|shown| shown.credential.expires_at))
}

/// The scopes of a credential, as they were issued.
pub fn scopes(vault: &Vault, of: &Credential) -> Result<String> {
    match of.scopes.strip_prefix(SEALED) {
        None => Ok(of.scopes.clone()),
        Some(text) => sealed::open(vault, place(&of.id), &BASE64URL_NOPAD.decode(text.as_bytes()).map_err(Error::bug)?),
    }
}

fn keep(tx: &mut Tx<'_>, vault: &Vault, prefix: &str, new: Credential, patients: &[PatientId]) -> Result<Issued> {
    let secret = format!("{prefix}{}", BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?));
    rows::insert(tx, &secret_digest(&secret), &new, patients)?;
    Ok(Issued { secret, id: new.id, expires_at: new.expires_at })
}

/// An app: its id, its secret, and the API key of its backend.
pub struct App {
    pub id: GrantId,
    pub secret: String,
    pub api_key: String,
}

pub fn app_create(tx: &mut Tx<'_>, vault: &Vault, name: &str) -> Result<App> {
    let id = GrantId::from_random(vault.chance.bytes()?);
    let secret = format!("as-{}", BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?));
    let sealed = vault.operations()?.seal(vault.chance, Place { kind: "app", shelf: Shelf(0), id: &id.0, version: 1 }, name.as_bytes())?;
    rows::app_insert(tx, id, &sealed, &secret_digest(&secret))?;
    let api_key = format!("sk-{}", HEXLOWER.encode(&vault.chance.bytes::<16>()?));
    let key = Credential {
        id: GrantId::from_random(vault.chance.bytes()?),
        family: id,
        kind: Secret::ApiKey as i16,
        role: APP,
        scopes: String::new(),
        user: None,
        issued_at: tx.committed_at(),
        expires_at: None,
        used_at: None,
        revoked_at: None,
    };
    rows::insert(tx, &secret_digest(&api_key), &key, &[])?;
    Ok(App { id, secret, api_key })
}

/// Do this id and secret belong to an app?
pub fn app_known(tx: &mut Tx<'_>, id: &str, secret: &str) -> Result<GrantId> {
    let unknown = || Error::new(Kind::Unauthenticated, "app_id or app_secret is wrong");
    let id = GrantId::parse(id).map_err(|_| unknown())?;
    let kept = rows::app_secret(tx, id)?.ok_or_else(unknown)?;
    if secrets_equal(&kept, &secret_digest(secret)) { Ok(id) } else { Err(unknown()) }
}

/// An SDK's tokens. The pair is a family: reuse of a spent refresh token revokes it whole.
pub struct Pair {
    pub access: String,
    pub refresh: String,
    pub expires_in_secs: i64,
}

pub fn pair(tx: &mut Tx<'_>, vault: &Vault, user: UserId, family: Option<GrantId>) -> Result<Pair> {
    let family = match family {
        Some(family) => family,
        None => GrantId::from_random(vault.chance.bytes()?),
    };
    let now = tx.committed_at();
    let mut secrets = Vec::new();
    for (kind, expires_at, prefix) in [(Secret::Access, Some(now + SDK_TTL), "ft-"), (Secret::Refresh, None, "rt-")] {
        let new = Credential {
            id: GrantId::from_random(vault.chance.bytes()?),
            family,
            kind: kind as i16,
            role: DEVICE_SDK,
            scopes: String::new(),
            user: Some(user),
            issued_at: now,
            expires_at,
            used_at: None,
            revoked_at: None,
        };
        secrets.push(keep(tx, vault, prefix, new, &[])?.secret);
    }
    let (Some(refresh), Some(access)) = (secrets.pop(), secrets.pop()) else { return Err(Error::bug("two secrets were made")) };
    Ok(Pair { access, refresh, expires_in_secs: SDK_TTL / 1_000 })
}

/// What a refresh came to; a reuse must commit its revocation, so it is not an error of the transaction.
pub enum Refreshed {
    Pair(Pair, UserId),
    Reused(UserId),
    Unknown,
}

pub fn refresh(tx: &mut Tx<'_>, vault: &Vault, token: &str) -> Result<Refreshed> {
    let digest = secret_digest(token);
    let Some(known) = rows::by_secret(tx, &digest)? else { return Ok(Refreshed::Unknown) };
    let (now, Some(user)) = (tx.committed_at(), known.user) else { return Ok(Refreshed::Unknown) };
    if known.kind != Secret::Refresh as i16 || known.revoked_at.is_some() || known.expires_at.is_some_and(|at| at <= now) {
        return Ok(Refreshed::Unknown);
    }
    if !rows::use_up(tx, &digest, now)? {
        rows::revoke_family(tx, known.family, now)?;
        return Ok(Refreshed::Reused(user));
    }
    Ok(Refreshed::Pair(pair(tx, vault, user, Some(known.family))?, user))
}

/// Revokes the family of a token; an unknown token is no error (RFC 7009).
pub fn revoke(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    if let Some(known) = rows::by_secret(tx, &secret_digest(token))? {
        let now = tx.committed_at();
        rows::revoke_family(tx, known.family, now)?;
    }
    Ok(())
}

/// Who shows this secret? `Kind::Expired` and `Kind::Unauthenticated` are told apart, for SDKs refresh on 401.
/// One statement. `secret` is the digest of what was shown; with the caller comes the moment at which the secret expires.
pub fn authenticate(tx: &mut Tx<'_>, vault: &Vault, secret: &[u8; 32], now: Millis) -> Result<(Caller, Option<Millis>)> {
    // In the words of a signed token that is not ours.
    let unknown = || Error::new(Kind::Unauthenticated, "The credential is not valid.").because("the token is not known");
    let shown = rows::shown(tx, secret)?.ok_or_else(unknown)?;
    let known = shown.credential;
    if known.kind == Secret::Refresh as i16 {
        return Err(Error::new(Kind::Unauthenticated, "a refresh token is no access token"));
    }
    if known.revoked_at.is_some() {
        return Err(Error::new(Kind::Unauthenticated, "the token was revoked"));
    }
    if known.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::new(Kind::Expired, "the token has expired"));
    }
    let role = Role::numbered(known.role).ok_or_else(|| Error::bug("a credential has an unknown role"))?;
    let patients: Vec<PatientId> = match (role, known.user) {
        (Role::DeviceSdk, Some(_)) => shown.of_user.into_iter().collect(),
        _ => shown.patients,
    };
    let whom = if role.rule() == PatientRule::All { Whom::Everybody } else { Whom::Patients(patients.into()) };
    let scopes = policy::scopes(&scopes(vault, &known)?)?;
    let caller = Caller {
        credential: known.id,
        role,
        scopes,
        user: known.user,
        whom,
        issued_at: known.issued_at,
        client: None,
        account: None,
        fhir_user: None,
        auth_time: None,
        context: None,
        jkt: None,
        emergencies: Arc::default(),
        withheld: Arc::default(),
        until: None,
    };
    Ok((caller, known.expires_at))
}

/// `30s`, `15m`, `1h`, `7d`.
pub fn ttl(text: &str) -> Result<Millis> {
    let refused = || Error::new(Kind::Invalid, format!("'{text}' is no duration; write 30s, 15m, 1h or 7d")).at("ttl");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refused)?;
    let number: i64 = number.parse().map_err(|_| refused())?;
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    number.checked_mul(unit).filter(|ttl| *ttl > 0 && *ttl <= 365 * 86_400_000).ok_or_else(refused)
}
