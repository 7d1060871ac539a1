//! Our access tokens: JSON Web Tokens by RFC 9068, signed with Ed25519 (RFC 8037).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compact::{self, Jws};
use super::{Family, KeyRing, Seconds, Why, in_time, refused};
use crate::clock::Millis;
use crate::error::Result;

const TYP: &str = "at+jwt";

/// The claims of RFC 9068 section 2.2 and ours. Claims that are not here are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    pub iss: String,
    pub exp: Seconds,
    pub nbf: Seconds,
    pub iat: Seconds,
    /// The FHIR base, one string: a token is for nobody else (RFC 8707).
    pub aud: String,
    pub sub: String,
    pub client_id: String,
    pub jti: String,
    /// The grant that the token is of: whether it still holds is asked of that.
    pub sid: String,
    pub scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The id of the Patient in context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter: Option<String>,
    #[serde(default, rename = "fhirUser", skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// A token that has this is good only with a DPoP proof of the key (RFC 9449 section 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// RFC 7800 section 3.1. A confirmation of another kind is refused, for it would not be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    pub jkt: String,
}

/// Whose tokens are taken.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    /// The FHIR base, letter for letter.
    pub audience: &'a str,
    pub now: Millis,
}

pub fn issue(ring: &KeyRing, claims: &AccessToken, now: Millis) -> Result<String> {
    compact::sign(ring.signing(Family::Ed25519, now)?, TYP, claims)
}

/// RFC 9068 section 4. Whether the token was revoked, and whether a proof came with a bound one, is the caller's to ask.
pub fn verify(ring: &KeyRing, token: &str, expected: &Expected<'_>) -> Result<AccessToken> {
    read(ring, token, expected).map_err(|why| refused(why))
}

fn read(ring: &KeyRing, token: &str, expected: &Expected<'_>) -> Result<AccessToken, Why> {
    let jws = Jws::parse(token)?;
    let algorithm = Family::Ed25519.algorithm();
    let kid = jws.ours(algorithm, TYP)?;
    let key = ring.verifying(Family::Ed25519, kid, expected.now).ok_or("kid is not one of our keys")?;
    let claims = jws.claims(algorithm, key)?;
    let claims: AccessToken = serde_json::from_value(Value::Object(claims)).map_err(|_| "a claim is missing or has another type")?;
    if claims.iss != expected.issuer {
        return Err("another issuer");
    }
    if claims.aud != expected.audience {
        return Err("another audience");
    }
    in_time(claims.exp, &[claims.nbf, claims.iat], expected.now)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{forge, id_token};
    use super::*;
    use crate::error::Kind;

    const NOW: Millis = 1_700_000_000_000;
    const AT: Seconds = NOW / 1000;
    const EXPECTED: Expected<'static> = Expected { issuer: "https://firth.example", audience: "https://firth.example/fhir", now: NOW };

    fn claims() -> AccessToken {
        AccessToken {
            iss: EXPECTED.issuer.into(),
            exp: AT + 300,
            nbf: AT,
            iat: AT,
            aud: EXPECTED.audience.into(),
            sub: "u1".into(),
            client_id: "app".into(),
            jti: "j1".into(),
            sid: "g1".into(),
            scope: "patient/*.rs".into(),
            role: Some("patient".into()),
            patient: Some("p1".into()),
            encounter: None,
            fhir_user: Some("https://firth.example/fhir/Patient/p1".into()),
            auth_time: Some(AT - 9),
            acr: None,
            cnf: Some(Confirmation { jkt: "x".into() }),
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(vec![forge::ed25519(1, 0, None), forge::rsa(0, 0)]).unwrap()
    }

    /// Signs what `header` and `payload` say with our own key, whatever that is.
    fn forged(header: &str, payload: &str) -> String {
        forge::token(header, payload, |text| ring().signing(Family::Ed25519, NOW).unwrap().sign(text).unwrap())
    }

    fn header() -> String {
        format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, ring().signing(Family::Ed25519, NOW).unwrap().kid)
    }

    fn payload() -> String {
        serde_json::to_string(&claims()).unwrap()
    }

    /// To the outside all refusals are the same.
    #[track_caller]
    fn refuse(token: &str, why: &str) {
        let error = verify(&ring(), token, &EXPECTED).expect_err(why);
        assert_eq!((error.kind, error.says()), (Kind::Unauthenticated, "The credential is not valid."));
        assert_eq!(error.cause.as_deref(), Some(why));
    }

    #[test]
    fn what_we_issue_we_take() {
        let token = issue(&ring(), &claims(), NOW).unwrap();
        assert_eq!(token, forged(&header(), &payload()));
        assert_eq!(verify(&ring(), &token, &EXPECTED).unwrap(), claims());
        let more = payload().replacen('{', r#"{"new":{"a":[1]},"#, 1);
        assert_eq!(verify(&ring(), &forged(&header(), &more), &EXPECTED).unwrap(), claims());
    }

    #[test]
    fn headers_that_we_do_not_write() {
        let alg = |alg: &str| header().replace("EdDSA", alg);
        for other in ["none", "None", "HS256", "RS256", "ES256", "eddsa", "Ed25519", ""] {
            refuse(&forged(&alg(other), &payload()), "alg is not one of this use");
        }
        for other in ["JWT", "jwt", "AT+JWT", "application/at+jwt", "dpop+jwt", ""] {
            refuse(&forged(&header().replace("at+jwt", other), &payload()), "typ is not that of this use");
        }
        refuse(&forged(&header().replace(r#""typ":"at+jwt","#, ""), &payload()), "typ is not that of this use");
        for more in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""jku":"https://evil.example/jwks""#,
            r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#""x5u":"https://evil.example/x""#,
            r#""x5c":[]"#,
            r#""b64":false"#,
            r#""zip":"DEF""#,
        ] {
            refuse(&forged(&header().replacen('{', &format!("{{{more},"), 1), &payload()), "the header holds what we do not write");
        }
        for kid in ["", "../../dev/null", "/etc/passwd", "a' OR 1=1", "\\u0000"] {
            let kid = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#);
            refuse(&forged(&kid, &payload()), "kid is not one of our keys");
        }
        refuse(&forged(r#"{"alg":"EdDSA","typ":"at+jwt","kid":1}"#, &payload()), "no kid");
        let twice = "not JSON, or a name stands twice in an object";
        refuse(&forged(&header().replacen('{', r#"{"alg":"none","#, 1), &payload()), twice);
        refuse(&forged(&header(), &payload().replacen('{', r#"{"\u0073ub":"u2","#, 1)), twice);
    }

    #[test]
    fn signatures_of_others() {
        let [head, body, _] = forge::parts(&issue(&ring(), &claims(), NOW).unwrap());
        refuse(&format!("{head}.{body}."), "the signature is not that of the key");
        let none = forge::token(r#"{"alg":"none","typ":"at+jwt"}"#, &payload(), |_| Vec::new());
        refuse(&none, "alg is not one of this use");
        // Every public form of our keys as a shared secret.
        let secrets = [ring().jwks(NOW).into_bytes(), forge::ed25519(1, 0, None).public.to_jwk().to_string().into_bytes()];
        for secret in secrets {
            let token = forge::token(&header().replace("EdDSA", "HS256"), &payload(), |text| forge::hmac(&secret, text));
            refuse(&token, "alg is not one of this use");
            refuse(&forge::token(&header(), &payload(), |text| forge::hmac(&secret, text)), "the signature is not that of the key");
        }
        let es256 = forge::Ec::p256();
        refuse(&forge::token(&header(), &payload(), |text| es256.sign(text)), "the signature is not that of the key");
        // Another deployment has other keys, also under the same name and kid.
        let other = forge::ed25519(2, 0, None);
        refuse(&compact::sign(&other, TYP, &claims()).unwrap(), "kid is not one of our keys");
        refuse(&forge::token(&header(), &payload(), |text| other.sign(text).unwrap()), "the signature is not that of the key");
        // The RSA key of the ring is for id_tokens.
        refuse(&compact::sign(&forge::rsa(0, 0), TYP, &claims()).unwrap(), "alg is not one of this use");
        let id = id_token::issue(&ring(), &id_token::tests::claims(), NOW).unwrap();
        refuse(&id, "alg is not one of this use");
        let retired = KeyRing::new(vec![forge::ed25519(1, 0, Some(NOW))]).unwrap();
        let token = issue(&ring(), &claims(), NOW).unwrap();
        assert!(verify(&retired, &token, &Expected { now: NOW - 1, ..EXPECTED }).is_ok());
        assert_eq!(verify(&retired, &token, &EXPECTED).unwrap_err().cause.as_deref(), Some("kid is not one of our keys"));
    }

    #[test]
    fn times() {
        let with = |exp, nbf, iat| issue(&ring(), &AccessToken { exp, nbf, iat, ..claims() }, NOW).unwrap();
        let good = |token: &str| assert!(verify(&ring(), token, &EXPECTED).is_ok());
        good(&with(AT + 1, AT + 30, AT + 30));
        good(&with(Seconds::MAX, Seconds::MIN, AT));
        for exp in [AT, AT - 1, 0, Seconds::MIN] {
            refuse(&with(exp, AT, AT), "exp has passed");
        }
        for (nbf, iat) in [(AT + 31, AT), (AT, AT + 31), (Seconds::MAX, AT)] {
            refuse(&with(AT + 300, nbf, iat), "nbf or iat is still to come");
        }
    }

    #[test]
    fn claims_of_others() {
        let mut other = claims();
        for iss in ["https://firth.example/", "https://FIRTH.example", "http://firth.example", ""] {
            other.iss = iss.into();
            refuse(&issue(&ring(), &other, NOW).unwrap(), "another issuer");
        }
        other = claims();
        for aud in ["https://firth.example", "https://firth.example/fhir/", "https://firth.example/fhir2", "*", ""] {
            other.aud = aud.into();
            refuse(&issue(&ring(), &other, NOW).unwrap(), "another audience");
        }
        let missing = "a claim is missing or has another type";
        for name in ["iss", "exp", "nbf", "iat", "aud", "sub", "client_id", "jti", "sid", "scope"] {
            let mut less = json!(claims());
            less.as_object_mut().unwrap().remove(name);
            refuse(&forged(&header(), &less.to_string()), missing);
            less[name] = json!([EXPECTED.audience]);
            refuse(&forged(&header(), &less.to_string()), missing);
        }
        for (name, value) in
            [("exp", json!("1800000000")), ("exp", json!(1.8e9)), ("cnf", json!({"x5t#S256": "x"})), ("patient", json!(["p1"]))]
        {
            let mut odd = json!(claims());
            odd[name] = value;
            refuse(&forged(&header(), &odd.to_string()), missing);
        }
        for payload in ["[]", "null", "1", "\"{}\"", ""] {
            assert!(verify(&ring(), &forged(&header(), payload), &EXPECTED).is_err(), "{payload}");
        }
        refuse(&forged(&header(), &format!("{}{}", payload(), " ".repeat(1 << 20))), "longer than any token");
    }

    proptest! {
        #[test]
        fn another_byte_anywhere_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let token = issue(&ring(), &claims(), NOW).unwrap();
            forge::with_byte(&token, at, byte, |other| verify(&ring(), other, &EXPECTED).is_ok())?;
        }

        #[test]
        fn noise_is_refused(noise in "[ -~]{0,60}", payload in ".{0,40}") {
            let noisy = [noise.clone(), format!("{noise}.{noise}.{noise}"), forged(&header(), &payload), forged(&noise, &payload)];
            for token in noisy {
                prop_assert!(verify(&ring(), &token, &EXPECTED).is_err());
            }
        }
    }
}
