//! What clients were granted. A code and the refresh tokens that follow it are secrets of one grant, each good once;
//! showing one a second time ends the grant, and with it every token (RFC 6749 sections 4.1.2 and 10.4, RFC 9700
//! section 4.14.2).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clients::Client;
use super::sealed::{self, Row as Place};
use crate::access::{Plain, Scopes};
use crate::clock::Millis;
use crate::error::{self, Error, Result};
use crate::id::{AccountId, ClientId, GrantId};
use crate::jose::pkce::{self, Challenge};
use crate::policy;
use crate::store::grants::{self as rows, Kind, Made, Secret};
use crate::store::{Tx, sessions};
use crate::vault::{Vault, secret_digest, secrets_equal};

/// How long a code is good (RFC 6749 section 4.1.2 allows ten minutes).
pub const CODE_TTL: Millis = 60_000;
/// How long an access token is good, of a person and of a backend service.
pub const TOKEN_TTL: Millis = 3_600_000;
pub const SERVICE_TTL: Millis = 300_000;
/// A grant outlives its last token by the time that making one may take.
const MARGIN: Millis = 60_000;
/// When `offline_access` ends for good, however often it is refreshed.
pub const OFFLINE_TTL: Millis = 90 * 86_400_000;

/// What was granted, sealed in the row and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// As they are answered: those of resources and the plain ones, separated by blanks.
    pub scopes: String,
    /// The role that the account or the client had.
    pub role: String,
    /// The id of the Patient in context.
    #[serde(default)]
    pub patient: Option<String>,
    /// The id of the Encounter in context.
    #[serde(default)]
    pub encounter: Option<String>,
    #[serde(default)]
    pub fhir_context: Vec<Value>,
    #[serde(default)]
    pub intent: Option<String>,
    #[serde(default)]
    pub need_patient_banner: Option<bool>,
    #[serde(default)]
    pub nonce: Option<String>,
    /// As it came with the authorization request; the token request repeats it.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// `code_challenge`, S256.
    #[serde(default)]
    pub challenge: Option<String>,
    /// When the person signed in.
    #[serde(default)]
    pub auth_time: Option<Millis>,
    #[serde(default)]
    pub acr: Option<String>,
    /// The key that the authorization request named (`dpop_jkt`, RFC 9449 section 10).
    #[serde(default)]
    pub jkt: Option<String>,
}

impl Granted {
    pub fn has(&self, plain: Plain) -> bool {
        has(&self.scopes, plain)
    }
}

/// Is the plain scope one of these?
pub fn has(scopes: &str, plain: Plain) -> bool {
    scopes.split(' ').any(|scope| scope == plain.name())
}

/// Do these give a refresh token?
pub fn is_refreshed(scopes: &str) -> bool {
    has(scopes, Plain::OfflineAccess) || has(scopes, Plain::OnlineAccess)
}

/// Those of resources, out of scopes as they are answered.
pub fn of_resources(scopes: &str) -> Result<Scopes> {
    let of_resources: Vec<&str> = scopes.split_whitespace().filter(|scope| Plain::parse(scope).is_none()).collect();
    policy::scopes(&of_resources.join(" "))
}

/// Who grants to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    pub client: ClientId,
    /// None: the registration of a backend service.
    pub account: Option<AccountId>,
    /// The browser's session: all but what has `offline_access` ends with it.
    pub session: Option<GrantId>,
}

/// A grant that is there, whether or not it still holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: GrantId,
    pub by: By,
    pub granted: Granted,
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
}

impl Held {
    pub fn holds(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}

fn place(id: &GrantId) -> Place<'_> {
    Place { kind: "grant", id: &id.0, version: 1 }
}

fn read(vault: &Vault, made: Made) -> Result<Held> {
    let granted = sealed::open(vault, place(&made.id), &made.sealed)?;
    let by = By { client: made.client, account: made.account, session: made.session };
    let Made { id, created_at, expires_at, revoked_at, .. } = made;
    Ok(Held { id, by, granted, created_at, expires_at, revoked_at })
}

pub fn get(tx: &mut Tx<'_>, vault: &Vault, id: GrantId) -> Result<Option<Held>> {
    rows::get(tx, id)?.map(|made| read(vault, made)).transpose()
}

/// What an account granted and what still holds, newest first.
pub fn of_account(tx: &mut Tx<'_>, vault: &Vault, account: AccountId, now: Millis) -> Result<Vec<Held>> {
    rows::of_account(tx, account, now)?.into_iter().map(|made| read(vault, made)).collect()
}

/// Refuses scopes of two contexts: what is limited to one patient would be reached through the other.
fn insert(tx: &mut Tx<'_>, vault: &Vault, by: &By, granted: &Granted, expires_at: Millis) -> Result<Held> {
    of_resources(&granted.scopes)?.of_one_context()?;
    let id = GrantId::from_random(vault.chance.bytes()?);
    let made = Made {
        id,
        client: by.client,
        account: by.account,
        session: by.session,
        sealed: sealed::seal(vault, place(&id), granted)?,
        created_at: tx.committed_at(),
        expires_at: Some(expires_at),
        revoked_at: None,
    };
    rows::insert(tx, &made)?;
    read(vault, made)
}

fn secret(tx: &mut Tx<'_>, vault: &Vault, grant: GrantId, kind: (Kind, Millis, Option<&str>)) -> Result<String> {
    let (kind, expires_at, jkt) = kind;
    let prefix = if kind == Kind::Code { "fc" } else { "fr" };
    let secret = format!("{prefix}-{}", BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?));
    let jkt = jkt.map(|jkt| jkt.as_bytes().to_vec());
    let new = Secret { grant, kind: kind as i16, issued_at: tx.committed_at(), expires_at, used_at: None, jkt };
    rows::secret_insert(tx, &secret_digest(&secret), &new)?;
    Ok(secret)
}

/// Makes the grant and its code, which is good for a minute and once.
pub fn code(tx: &mut Tx<'_>, vault: &Vault, by: &By, granted: &Granted) -> Result<String> {
    let now = tx.committed_at();
    let gone = || Error::new(error::Kind::Unauthenticated, "You are no longer signed in.");
    // What ends a session must not come between: it ends what was granted before it.
    let signed_in = by.session.map(|session| sessions::hold(tx, session)?.filter(|end| *end > now).ok_or_else(gone)).transpose()?;
    let once = now + CODE_TTL + TOKEN_TTL + MARGIN;
    let expires_at = match signed_in {
        _ if granted.has(Plain::OfflineAccess) => now + OFFLINE_TTL,
        Some(end) if granted.has(Plain::OnlineAccess) => end,
        Some(end) => end.min(once),
        None => once,
    };
    let session = by.session.filter(|_| !granted.has(Plain::OfflineAccess));
    let held = insert(tx, vault, &By { session, ..*by }, granted, expires_at)?;
    secret(tx, vault, held.id, (Kind::Code, now + CODE_TTL, None))
}

/// The grant of a backend service, for one access token.
pub fn service(tx: &mut Tx<'_>, vault: &Vault, client: ClientId, granted: &Granted) -> Result<Held> {
    let expires_at = tx.committed_at() + SERVICE_TTL + MARGIN;
    insert(tx, vault, &By { client, account: None, session: None }, granted, expires_at)
}

/// What came with a code or a refresh token. The client has proved who it is.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub client: &'a Client,
    pub secret: &'a str,
    /// The thumbprint of the key of a DPoP proof that came with the request.
    pub jkt: Option<&'a str>,
}

/// What came with a code besides.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub redirect_uri: Option<&'a str>,
    pub verifier: Option<&'a str>,
}

/// A refusal commits what it had to do, so it is no error of the transaction.
#[derive(Debug)]
pub enum Outcome {
    /// The grant, and its next refresh token if it has any.
    Good(Box<Held>, Option<String>),
    /// Why it is not taken.
    Refused(&'static str),
    /// It was used before: the grant has ended, with all its tokens.
    Reused(Box<Held>),
}

fn refused(why: &'static str) -> Result<Outcome> {
    Ok(Outcome::Refused(why))
}

/// A code for a grant. Whatever is wrong with what its own client sends besides, the code is used up, and its grant ends.
pub fn exchange(tx: &mut Tx<'_>, vault: &Vault, shown: &Shown<'_>, with: &Exchange<'_>) -> Result<Outcome> {
    const UNKNOWN: &str = "The code is not valid.";
    let (held, known) = match taken(tx, vault, shown, Kind::Code)? {
        Taken::Good(held, known) => (held, known),
        Taken::Reused(held) => return Ok(Outcome::Reused(held)),
        Taken::Unknown => return refused(UNKNOWN),
    };
    let granted = &held.granted;
    let challenge = granted.challenge.as_deref().map(|text| Challenge::parse(Some(text), Some(pkce::METHOD))).transpose()?;
    let wrong = if known.expires_at <= tx.committed_at() {
        Some(UNKNOWN)
    } else if granted.redirect_uri.as_deref() != with.redirect_uri {
        Some("redirect_uri is not that of the authorization request.")
    } else if !challenge.is_some_and(|challenge| challenge.fits(with.verifier)) {
        Some("code_verifier does not fit the code_challenge of the authorization request.")
    } else if granted.jkt.is_some() && granted.jkt.as_deref() != shown.jkt {
        Some("The code is bound to another key.")
    } else {
        None
    };
    if let Some(why) = wrong {
        let now = tx.committed_at();
        rows::revoke(tx, held.id, now)?;
        return refused(why);
    }
    let refresh = next_refresh(tx, vault, shown, &held)?;
    Ok(Outcome::Good(held, refresh))
}

/// A refresh token for a grant and the next refresh token. `may` refuses what is asked before the token is used up.
pub fn refresh(tx: &mut Tx<'_>, vault: &Vault, shown: &Shown<'_>, may: impl FnOnce(&mut Tx<'_>, &Held) -> Result<()>) -> Result<Outcome> {
    const UNKNOWN: &str = "The refresh token is not valid.";
    let Some((held, known)) = found(tx, vault, shown, Kind::Refresh)? else { return refused(UNKNOWN) };
    if known.used_at.is_none() {
        if known.expires_at <= tx.committed_at() {
            return refused(UNKNOWN);
        }
        // Bound to the key of who got it (RFC 9449 section 5).
        if known.jkt.as_ref().is_some_and(|jkt| !shown.jkt.is_some_and(|shown| secrets_equal(jkt, shown.as_bytes()))) {
            return refused("The refresh token is bound to a key whose proof did not come with it.");
        }
        may(tx, &held)?;
    }
    match taken(tx, vault, shown, Kind::Refresh)? {
        Taken::Good(held, _) => {
            let next = next_refresh(tx, vault, shown, &held)?;
            Ok(Outcome::Good(held, next))
        }
        Taken::Reused(held) => Ok(Outcome::Reused(held)),
        Taken::Unknown => refused(UNKNOWN),
    }
}

/// The grant behind a secret of this client, if it holds.
fn found(tx: &mut Tx<'_>, vault: &Vault, shown: &Shown<'_>, kind: Kind) -> Result<Option<(Held, Secret)>> {
    let Some(known) = rows::secret_find(tx, &secret_digest(shown.secret))?.filter(|known| known.kind == kind as i16) else {
        return Ok(None);
    };
    let now = tx.committed_at();
    let held = get(tx, vault, known.grant)?.filter(|held| held.by.client == shown.client.id && held.holds(now));
    Ok(held.map(|held| (held, known)))
}

enum Taken {
    Good(Box<Held>, Secret),
    Reused(Box<Held>),
    Unknown,
}

fn taken(tx: &mut Tx<'_>, vault: &Vault, shown: &Shown<'_>, kind: Kind) -> Result<Taken> {
    let Some((held, known)) = found(tx, vault, shown, kind)? else { return Ok(Taken::Unknown) };
    let now = tx.committed_at();
    if rows::secret_use(tx, &secret_digest(shown.secret), now)? {
        return Ok(Taken::Good(Box::new(held), known));
    }
    rows::revoke(tx, held.id, now)?;
    Ok(Taken::Reused(Box::new(held)))
}

/// The refresh token of a grant that has one. Of a public client it is bound to the key of its proof.
fn next_refresh(tx: &mut Tx<'_>, vault: &Vault, shown: &Shown<'_>, held: &Held) -> Result<Option<String>> {
    if !is_refreshed(&held.granted.scopes) {
        return Ok(None);
    }
    let jkt = shown.jkt.filter(|_| shown.client.facts.kind == super::clients::Proof::Public);
    let expires_at = held.expires_at.unwrap_or(held.created_at + OFFLINE_TTL);
    secret(tx, vault, held.id, (Kind::Refresh, expires_at, jkt)).map(Some)
}

/// Ends a grant with all its tokens; false when it had ended.
pub fn revoke(tx: &mut Tx<'_>, id: GrantId) -> Result<bool> {
    let now = tx.committed_at();
    Ok(rows::revoke(tx, id, now)? > 0)
}

/// The grant of a refresh token that is good now, and when the token ends.
pub fn of_refresh(tx: &mut Tx<'_>, vault: &Vault, token: &str, now: Millis) -> Result<Option<(Held, Millis)>> {
    let known = rows::secret_find(tx, &secret_digest(token))?;
    let Some(known) = known.filter(|known| known.kind == Kind::Refresh as i16 && known.used_at.is_none() && known.expires_at > now) else {
        return Ok(None);
    };
    Ok(get(tx, vault, known.grant)?.filter(|held| held.holds(now)).map(|held| (held, known.expires_at)))
}
