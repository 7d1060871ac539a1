//! Our id_tokens: OpenID Connect Core 1.0 section 2, signed with RS256, as SMART App Launch 2.2 wants.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compact::{self, Jws, encode};
use super::{Family, KeyRing, Seconds, Why, in_time, refused};
use crate::clock::Millis;
use crate::error::Result;
use crate::vault::digest;

const TYP: &str = "JWT";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdToken {
    pub iss: String,
    pub sub: String,
    /// The client, one string.
    pub aud: String,
    pub exp: Seconds,
    pub iat: Seconds,
    /// As it came with the authorization request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Seconds>,
    /// The absolute URL of who signed in (SMART App Launch 2.2, scopes for requesting identity data).
    #[serde(default, rename = "fhirUser", skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<String>,
    /// The same, for scope `profile` (SMART App Launch 1.0; OpenID Connect Core 1.0 section 5.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `at_hash` of the access token that is handed out beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
}

/// The left half of the SHA-256 of the access token (OpenID Connect Core 1.0 section 3.1.3.6).
pub fn at_hash(access_token: &str) -> String {
    encode(&digest(&[access_token.as_bytes()])[..16])
}

pub fn issue(ring: &KeyRing, claims: &IdToken, now: Millis) -> Result<String> {
    compact::sign(ring.signing(Family::Rsa, now)?, TYP, claims)
}

/// An id_token of ours that a client of ours shows again.
pub fn verify(ring: &KeyRing, token: &str, issuer: &str, client_id: &str, now: Millis) -> Result<IdToken> {
    read(ring, token, now).and_then(|claims| judged(claims, issuer, client_id, now)).map_err(|why| refused(why))
}

fn read(ring: &KeyRing, token: &str, now: Millis) -> Result<IdToken, Why> {
    let jws = Jws::parse(token)?;
    let algorithm = Family::Rsa.algorithm();
    let kid = jws.ours(algorithm, TYP)?;
    let key = ring.verifying(Family::Rsa, kid, now).ok_or("kid is not one of our keys")?;
    let claims = jws.claims(algorithm, key)?;
    serde_json::from_value(Value::Object(claims)).map_err(|_| "a claim is missing or has another type")
}

fn judged(claims: IdToken, issuer: &str, client_id: &str, now: Millis) -> Result<IdToken, Why> {
    if claims.iss != issuer {
        return Err("another issuer");
    }
    if claims.aud != client_id {
        return Err("another audience");
    }
    in_time(claims.exp, &[claims.iat], now)?;
    Ok(claims)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::forge;
    use super::*;

    const NOW: Millis = 1_700_000_000_000;
    const AT: Seconds = NOW / 1000;
    const ISSUER: &str = "https://firth.example";

    pub(in crate::jose) fn claims() -> IdToken {
        IdToken {
            iss: ISSUER.into(),
            sub: "u1".into(),
            aud: "app".into(),
            exp: AT + 300,
            iat: AT,
            nonce: Some("n".into()),
            auth_time: Some(AT),
            fhir_user: Some("https://firth.example/fhir/Practitioner/p".into()),
            profile: None,
            at_hash: Some(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")),
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(vec![forge::ed25519(1, 0, None), forge::rsa(0, 0)]).unwrap()
    }

    fn why(token: &str) -> Option<String> {
        verify(&ring(), token, ISSUER, "app", NOW).err().map(|error| error.cause.unwrap())
    }

    #[test]
    fn what_we_issue_we_take() {
        let token = issue(&ring(), &claims(), NOW).unwrap();
        assert_eq!(verify(&ring(), &token, ISSUER, "app", NOW).unwrap(), claims());
        let [head, ..] = forge::parts(&token);
        let header = String::from_utf8(compact::decode(&head).unwrap()).unwrap();
        assert_eq!(header, format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{}"}}"#, forge::rsa(0, 0).kid));
        // The pair of the specification's examples (OpenID Connect Core 1.0 appendix A.3).
        assert_eq!(claims().at_hash.as_deref(), Some("77QmUPtjPfzWtF2AnpK9RQ"));
    }

    #[test]
    fn others_are_refused() {
        let of = |change: fn(&mut IdToken)| {
            let mut other = claims();
            change(&mut other);
            why(&issue(&ring(), &other, NOW).unwrap()).expect("refused")
        };
        assert_eq!(of(|it| it.iss = "https://other.example".into()), "another issuer");
        assert_eq!(of(|it| it.aud = "other".into()), "another audience");
        assert_eq!(of(|it| it.exp = AT), "exp has passed");
        assert_eq!(of(|it| it.iat = AT + 31), "nbf or iat is still to come");
        let signed = |key: &super::super::SigningKey, typ: &str| why(&compact::sign(key, typ, &claims()).unwrap());
        assert_eq!(signed(&forge::rsa(0, 0), "JWT"), None);
        assert_eq!(signed(&forge::rsa(0, 0), "at+jwt").as_deref(), Some("typ is not that of this use"));
        assert_eq!(signed(&forge::rsa(1, 0), "JWT").as_deref(), Some("kid is not one of our keys"));
        assert_eq!(signed(&forge::ed25519(1, 0, None), "JWT").as_deref(), Some("alg is not one of this use"));
    }

    proptest! {
        #[test]
        fn another_byte_anywhere_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let token = issue(&ring(), &claims(), NOW).unwrap();
            forge::with_byte(&token, at, byte, |other| why(other).is_none())?;
        }
    }
}
