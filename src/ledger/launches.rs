//! EHR launches: what was open in the EHR when it started an app, for that app and once, within five minutes.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sealed::{self, Row as Place};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::ClientId;
use crate::store::Tx;
use crate::store::launches::{self as rows, Row};
use crate::vault::{Vault, secret_digest};

/// How long the app may take from its start to the authorization request.
pub const TTL: Millis = 300_000;

/// What the EHR had open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The id of a Patient.
    pub patient: String,
    /// The id of an Encounter of this Patient.
    #[serde(default)]
    pub encounter: Option<String>,
    #[serde(default)]
    pub intent: Option<String>,
    /// Does the app have to show who the patient is? The EHR knows; without a word it does.
    #[serde(default)]
    pub need_patient_banner: Option<bool>,
    /// Further resources in context (SMART App Launch 2.2, `fhirContext`).
    #[serde(default)]
    pub fhir_context: Vec<Value>,
}

/// Keeps it and answers the `launch` parameter that opens it once.
pub fn make(tx: &mut Tx<'_>, vault: &Vault, client: ClientId, launch: &Launch) -> Result<String> {
    let secret = format!("fl-{}", BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?));
    let digest = secret_digest(&secret);
    let sealed = sealed::seal(vault, Place { kind: "launch", id: &digest, version: 1 }, launch)?;
    let row = Row { client, sealed, expires_at: tx.committed_at() + TTL, used_at: None };
    rows::insert(tx, &digest, &row)?;
    Ok(secret)
}

/// The launch behind a `launch` parameter; None when it is unknown, another client's, expired by now or was used.
pub fn find(tx: &mut Tx<'_>, vault: &Vault, launch: &str, of: (ClientId, Millis)) -> Result<Option<Launch>> {
    let ((client, now), digest) = (of, secret_digest(launch));
    let good = |row: &Row| row.client == client && row.expires_at > now && row.used_at.is_none();
    let Some(row) = rows::find(tx, &digest)?.filter(good) else { return Ok(None) };
    sealed::open(vault, Place { kind: "launch", id: &digest, version: 1 }, &row.sealed).map(Some)
}

/// Notes that a code was made of it, however long the person took; false when one was made before.
pub fn use_up(tx: &mut Tx<'_>, launch: &str) -> Result<bool> {
    let now = tx.committed_at();
    rows::use_up(tx, &secret_digest(launch), now)
}
