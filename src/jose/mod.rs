//! DOOR ring, rsa: signed tokens. Ours (access tokens, id_tokens, the keys that sign them) and those of clients
//! (assertions, DPoP proofs, PKCE).
//!
//! Pure: keys, time and randomness come in by argument, and nothing is fetched or kept. Signatures are ring's; the framing
//! of RFC 7515 is here, for no library refuses all that RFC 8725 and the profiles want refused:
//!
//! - each use pins its algorithms and its `typ`; a header never chooses the key, it only names one that is known already;
//! - the signature is verified before the payload is read;
//! - a member that stands twice, padding, spare bits of base64url, `crit`, keys and addresses of keys in a header are refused.
//!
//! A refusal says the same to everybody; the reason is its `cause`, for the log, and holds nothing of the token. What is wrong
//! with an assertion whoever sent it (`assertion::well_formed`) may be told.

pub mod access_token;
pub mod assertion;
mod client_keys;
mod compact;
pub mod dpop;
#[cfg(test)]
mod forge;
pub mod id_token;
mod json;
mod jwk;
mod jwks;
mod key;
pub mod pkce;
mod uri;

pub use client_keys::ClientKeys;
pub use jwk::{Algorithm, PublicKey};
pub use jwks::KeyRing;
pub use key::{Family, SigningKey};

use crate::clock::Millis;
use crate::error::{Error, Kind};

/// A NumericDate (RFC 7519 section 2): seconds since 1970-01-01T00:00:00Z.
pub type Seconds = i64;

/// Why something was refused. Written by us, never by who sent the token, so it may stand in a log.
type Why = &'static str;

/// How far the clock of who wrote `iat` or `nbf` may be ahead of ours. `exp` has no tolerance.
const AHEAD: Seconds = 30;

#[track_caller]
fn refused(why: Why) -> Error {
    Error::new(Kind::Unauthenticated, "The credential is not valid.").because(why)
}

/// `exp` must be later than now; `nbf` and `iat` must have been reached.
fn in_time(exp: Seconds, begun: &[Seconds], now: Millis) -> Result<(), Why> {
    if exp.saturating_mul(1000) <= now {
        return Err("exp has passed");
    }
    if begun.iter().any(|at| at.saturating_sub(AHEAD).saturating_mul(1000) > now) {
        return Err("nbf or iat is still to come");
    }
    Ok(())
}
