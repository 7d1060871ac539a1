//! Clients: who they are, how they prove it, what they may ask for. A new one waits until an operator approves it, unless
//! the operator made it.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::break_glass;
use super::grants as granted;
use super::sealed::{self, Row as Place};
use crate::access::Plain;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::store::break_glass::Asker;
use crate::store::clients::{self as rows, Row};
use crate::store::{Tx, grants};
use crate::vault::{Vault, secret_digest, secrets_equal};

/// May it ask for tokens?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Waiting = 1,
    Approved = 2,
    Disabled = 3,
}

impl Status {
    pub const ALL: [Status; 3] = [Status::Waiting, Status::Approved, Status::Disabled];

    pub const fn name(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::Approved => "approved",
            Status::Disabled => "disabled",
        }
    }

    fn numbered(number: i16) -> Result<Status> {
        Status::ALL.into_iter().find(|status| *status as i16 == number).ok_or_else(|| Error::bug("a client has an unknown status"))
    }
}

/// How a client proves who it is (RFC 7591 section 2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// `none`: a public client, which can keep no secret.
    Public,
    /// `client_secret_basic` or `client_secret_post`.
    Secret,
    /// `private_key_jwt`.
    Keys,
}

/// Of `grant_types`.
pub const CODE: &str = "authorization_code";
pub const REFRESH: &str = "refresh_token";
pub const CREDENTIALS: &str = "client_credentials";

/// What was registered (RFC 7591 section 2), sealed in the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub name: String,
    pub kind: Proof,
    /// Each is compared letter for letter.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// What may be asked at most, plain scopes too; what was granted before is held to it as well. An app of people is
    /// limited by who it is used by besides.
    #[serde(default)]
    pub scopes: String,
    /// The role of a backend service, which an operator gives it.
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub grant_types: Vec<String>,
    /// A JWK Set as it was registered.
    #[serde(default)]
    pub jwks: Option<String>,
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// May its `jwks_uri` be on this machine or in a private network? Only an operator says so.
    #[serde(default)]
    pub jwks_private: bool,
    /// Origins that may call from a browser.
    #[serde(default)]
    pub origins: Vec<String>,
    #[serde(default)]
    pub launch_uri: Option<String>,
    #[serde(default)]
    pub logo_uri: Option<String>,
    #[serde(default)]
    pub client_uri: Option<String>,
    #[serde(default)]
    pub contacts: Vec<String>,
    /// Takes and shows bound tokens only (RFC 9449 section 5.2, `dpop_bound_access_tokens`).
    #[serde(default)]
    pub dpop_bound: bool,
}

impl Facts {
    /// Those of the scopes that were granted for which the client may ask still, as far as it may.
    pub fn still(&self, granted: &str) -> Result<String> {
        let (of_resources, registered) = (granted::of_resources(granted)?, granted::of_resources(&self.scopes)?);
        let known = |word: &&str| Plain::parse(word).is_some_and(|plain| granted::has(&self.scopes, plain));
        let plain: Vec<&str> = granted.split_whitespace().filter(|word| Plain::parse(word).is_some()).collect();
        if registered.covers(&of_resources) && plain.iter().all(&known) {
            return Ok(granted.to_owned());
        }
        let left = of_resources.narrowed(&registered).to_string();
        let words: Vec<&str> = plain.into_iter().filter(known).chain(left.split_whitespace()).collect();
        Ok(words.join(" "))
    }

    /// With nothing but a name and a way to prove it.
    pub fn new(name: impl Into<String>, kind: Proof) -> Facts {
        Facts {
            name: name.into(),
            kind,
            redirect_uris: Vec::new(),
            scopes: String::new(),
            role: None,
            grant_types: Vec::new(),
            jwks: None,
            jwks_uri: None,
            jwks_private: false,
            origins: Vec::new(),
            launch_uri: None,
            logo_uri: None,
            client_uri: None,
            contacts: Vec::new(),
            dpop_bound: false,
        }
    }

    pub fn may(&self, grant_type: &str) -> bool {
        self.grant_types.iter().any(|known| known == grant_type)
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    pub status: Status,
    pub facts: Facts,
    pub created_at: Millis,
    secret: Option<Vec<u8>>,
    version: i32,
}

impl Client {
    /// Is this its secret? Compared in constant time.
    pub fn knows(&self, secret: &str) -> bool {
        self.secret.as_ref().is_some_and(|kept| secrets_equal(kept, &secret_digest(secret)))
    }

    fn place(id: &ClientId, version: i32) -> Place<'_> {
        Place { kind: "client", id: &id.0, version: version as u32 }
    }
}

fn read(vault: &Vault, row: Row) -> Result<Client> {
    let facts = sealed::open(vault, Client::place(&row.id, row.version), &row.sealed)?;
    let status = Status::numbered(row.status)?;
    Ok(Client { id: row.id, status, facts, created_at: row.created_at, secret: row.secret, version: row.version })
}

pub fn get(tx: &mut Tx<'_>, vault: &Vault, id: ClientId) -> Result<Option<Client>> {
    rows::get(tx, id)?.map(|row| read(vault, row)).transpose()
}

/// Those that an operator approved: so many as operators made, however many ask.
pub fn approved(tx: &mut Tx<'_>, vault: &Vault) -> Result<Vec<Client>> {
    rows::in_status(tx, Status::Approved as i16)?.into_iter().map(|row| read(vault, row)).collect()
}

pub fn list(tx: &mut Tx<'_>, vault: &Vault) -> Result<Vec<Client>> {
    rows::list(tx)?.into_iter().map(|row| read(vault, row)).collect()
}

/// A client and, once, its secret: 256 bits.
pub struct Made {
    pub client: Client,
    pub secret: Option<String>,
}

fn secret_of(vault: &Vault, kind: Proof) -> Result<Option<String>> {
    match kind {
        Proof::Secret => Ok(Some(format!("cs-{}", BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?)))),
        Proof::Public | Proof::Keys => Ok(None),
    }
}

pub fn add(tx: &mut Tx<'_>, vault: &Vault, status: Status, facts: &Facts) -> Result<Made> {
    let id = ClientId::from_random(vault.chance.bytes()?);
    let secret = secret_of(vault, facts.kind)?;
    let row = Row {
        id,
        status: status as i16,
        version: 1,
        secret: secret.as_deref().map(|secret| secret_digest(secret).to_vec()),
        sealed: sealed::seal(vault, Client::place(&id, 1), facts)?,
        created_at: tx.committed_at(),
    };
    rows::insert(tx, &row)?;
    Ok(Made { client: read(vault, row)?, secret })
}

/// Puts what `change` makes of a client in its place. `Kind::NotFound` without one, `Kind::Busy` when somebody else
/// changes it now.
pub fn change(tx: &mut Tx<'_>, vault: &Vault, id: ClientId, change: impl FnOnce(&mut Status, &mut Facts) -> Result<()>) -> Result<Client> {
    let before =
        get(tx, vault, id)?.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no client {id}; firth client list shows them")))?;
    let mut next = before.clone();
    change(&mut next.status, &mut next.facts)?;
    next.version += 1;
    store(tx, vault, &next)?;
    if next.status == Status::Disabled {
        let now = tx.committed_at();
        grants::revoke_client(tx, id, now)?;
        break_glass::end_of(tx, vault, Asker::Client(id))?;
    }
    Ok(next)
}

/// A new secret in the place of the old one, which ends at once. `Kind::Invalid` for a client that has none.
pub fn rotate(tx: &mut Tx<'_>, vault: &Vault, id: ClientId) -> Result<Made> {
    let none = || Error::new(Kind::NotFound, format!("there is no client {id}; firth client list shows them"));
    let mut client = get(tx, vault, id)?.ok_or_else(none)?;
    let secret = secret_of(vault, client.facts.kind)?;
    if secret.is_none() {
        return Err(Error::new(Kind::Invalid, "the client has no secret; give its new keys with --jwks or --jwks-uri").at("secret"));
    }
    client.secret = secret.as_deref().map(|secret| secret_digest(secret).to_vec());
    client.version += 1;
    store(tx, vault, &client)?;
    Ok(Made { client, secret })
}

fn store(tx: &mut Tx<'_>, vault: &Vault, next: &Client) -> Result<()> {
    let row = Row {
        id: next.id,
        status: next.status as i16,
        version: next.version,
        secret: next.secret.clone(),
        sealed: sealed::seal(vault, Client::place(&next.id, next.version), &next.facts)?,
        created_at: next.created_at,
    };
    if rows::replace(tx, &row)? { Ok(()) } else { Err(Error::new(Kind::Busy, "the client is being changed by somebody else")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_still_be_asked_for_of_what_was_granted() {
        const GRANTED: &str = "openid offline_access patient/Patient.read patient/Observation.read";
        for (registered, left) in [
            (GRANTED, GRANTED),
            ("offline_access openid patient/*.cruds user/*.rs", GRANTED),
            ("openid patient/Patient.rs", "openid patient/Patient.read"),
            ("openid patient/Observation.r patient/Patient.s", "openid patient/Patient.s patient/Observation.r"),
            ("offline_access user/*.rs", "offline_access"),
            ("", ""),
        ] {
            let facts = Facts { scopes: registered.into(), ..Facts::new("An app", Proof::Public) };
            assert_eq!(facts.still(GRANTED).unwrap(), left, "{registered}");
        }
    }
}
