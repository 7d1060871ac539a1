//! The token that a request shows, and the proof that comes with it: RFC 6750 section 2.1, RFC 9449 section 7.

use std::sync::Arc;

use super::error::Scheme;
use super::request::Request;
use crate::access::Caller;
use crate::app::App;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::jose::dpop::{self, Checked, Presented};
use crate::store::shown_once;
use crate::vault::digest;

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'r> {
    pub text: &'r str,
    /// `Authorization: DPoP`, with a proof of the key.
    pub proved: bool,
}

/// The token from `Authorization` (with or without its scheme) or `X-Open-Wearables-API-Key`.
pub fn token(request: &Request) -> Option<Token<'_>> {
    let said = |token: &Token<'_>| !token.text.is_empty();
    let bearer = request.header("authorization").map(of_header).filter(said);
    let key = || request.header("x-open-wearables-api-key").map(|key| Token { text: key.trim(), proved: false });
    bearer.or_else(|| key().filter(said))
}

/// How a token is shown, if one is.
pub fn scheme(request: &Request) -> Option<Scheme> {
    token(request).map(|token| if token.proved { Scheme::DPoP } else { Scheme::Bearer })
}

fn of_header(value: &str) -> Token<'_> {
    // RFC 9110, section 11.1: the scheme's case does not matter. SDKs send the token without one.
    match value.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("Bearer") => Token { text: text.trim(), proved: false },
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("DPoP") => Token { text: text.trim(), proved: true },
        _ => Token { text: value.trim(), proved: false },
    }
}

/// Who shows it, `known` when that was found out already. Two tokens, and a token in the address, are none: which of the two
/// a proxy before us has looked at nobody knows, and what stands in an address stands in logs.
pub fn caller(app: &App, request: &Request, known: Option<Arc<Caller>>) -> Result<Arc<Caller>> {
    if request.headers.iter().filter(|(name, _)| name == "authorization").count() > 1 {
        return Err(Error::new(Kind::TokenPlace, "the Authorization header stands twice").at("Authorization"));
    }
    if request.asks("access_token") {
        return Err(Error::new(Kind::TokenPlace, "a token is sent in the Authorization header, never in the address").at("access_token"));
    }
    let token = token(request).ok_or_else(|| Error::new(Kind::Unauthenticated, "no token was sent"))?;
    let now = app.clock.now();
    let caller = known.map_or_else(|| app.callers.authenticate(token.text, now), Ok)?;
    match (&caller.jkt, token.proved) {
        (None, false) => {}
        (Some(jkt), true) => proved(app, request, &Presented { token: token.text, jkt }, now)?,
        (Some(_), false) => {
            return Err(Error::new(Kind::ProofRefused, "the token is bound to a key; send it with the scheme DPoP and a proof"));
        }
        (None, true) => return Err(Error::new(Kind::ProofRefused, "the token is bound to no key; send it with the scheme Bearer")),
    }
    Ok(caller)
}

fn proved(app: &App, request: &Request, presented: &Presented<'_>, now: Millis) -> Result<()> {
    let refused = |e: Error| Error {
        kind: Kind::ProofRefused,
        ..Error::new(Kind::ProofRefused, "The DPoP proof is not valid.").because(e.cause.unwrap_or_default())
    };
    let uri = format!("{}{}", app.public_url, request.uri);
    let asked = dpop::Request { method: &request.verb, uri: &uri, presented: Some(*presented), nonces: None, now };
    let proof = proof(request, Kind::ProofRefused)?.ok_or_else(|| Error::new(Kind::ProofRefused, "no DPoP proof was sent"))?;
    let Checked::Good(proof) = dpop::verify(proof, &asked).map_err(refused)? else {
        return Err(Error::new(Kind::ProofRefused, "The DPoP proof is not valid."));
    };
    let hash = once(&proof.jkt, &proof.jti);
    match app.db.write("proof", move |tx| shown_once::first(tx, &hash, proof.until))? {
        true => Ok(()),
        false => Err(Error::new(Kind::ProofRefused, "the DPoP proof was sent before")),
    }
}

/// The one `DPoP` header of a request; more than one are refused (RFC 9449 section 4.3, step 1).
pub fn proof(request: &Request, kind: Kind) -> Result<Option<&str>> {
    let mut proofs = request.headers.iter().filter(|(name, _)| name == "dpop").map(|(_, value)| value.as_str());
    match (proofs.next(), proofs.next()) {
        (_, Some(_)) => Err(Error::new(kind, "the DPoP header stands twice")),
        (proof, None) => Ok(proof),
    }
}

/// A proof by what may be shown once: of each key its own.
pub fn once(jkt: &str, jti: &str) -> [u8; 32] {
    digest(&[b"dpop\0", jkt.as_bytes(), b"\0", jti.as_bytes()])
}
