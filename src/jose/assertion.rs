//! Client assertions: RFC 7523 section 3 as SMART App Launch 2.2 profiles it (client authentication: asymmetric).

use serde_json::Value;

use super::compact::Jws;
use super::json::{self, Object, text};
use super::{Algorithm, ClientKeys, Seconds, Why, in_time, refused};
use crate::clock::Millis;
use crate::error::Result;

/// `client_assertion_type` of the token request.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Both are verified; the discovery documents name them.
pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs384, Algorithm::Es384];

const TYP: &str = "JWT";

/// `exp` is at most this far ahead.
const LONGEST: Seconds = 300;

/// Members that change what a signature means, or bring a key. `jku` is judged apart.
const REFUSED: [&str; 5] = ["crit", "b64", "jwk", "x5u", "x5c"];

/// Who is expected, with what was registered.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub client_id: &'a str,
    pub keys: &'a ClientKeys,
    /// The registered address of the keys, if they were registered by one.
    pub jwks_url: Option<&'a str>,
    pub token_endpoint: &'a str,
    pub now: Millis,
}

/// A client proved itself, if this `jti` was not seen before from it. The caller keeps the pair as long as the same
/// assertion would be taken again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub client_id: String,
    pub jti: String,
    pub exp: Millis,
}

/// Who an assertion says to be from, without proof: only to look up the keys that `verify` needs, for a backend service
/// sends no `client_id` beside it.
pub fn claimed_client(assertion: &str) -> Result<String> {
    let claimed = || {
        let claims = Jws::parse(assertion)?.unverified()?;
        text(&claims, "iss").map(str::to_owned).ok_or("no iss")
    };
    claimed().map_err(|why| refused(why))
}

/// Which key an assertion names, without proof: only to see whether it is one of those that are known.
pub fn claimed_key(assertion: &str) -> Option<String> {
    Jws::parse(assertion).ok().and_then(|jws| text(&jws.header, "kid").map(str::to_owned))
}

/// What can be judged of an assertion without knowing whose it is: how it is written, for whom and for how long. Nothing of
/// it is believed by that, but a refusal tells nothing of any client, so its maker may be told why (the `cause`).
pub fn well_formed(assertion: &str, token_endpoint: &str, now: Millis) -> Result<()> {
    let judged = || {
        let jws = Jws::parse(assertion)?;
        head(&jws)?;
        let claims = jws.unverified()?;
        if text(&claims, "iss").is_none() || text(&claims, "iss") != text(&claims, "sub") {
            return Err("iss and sub are not both the client_id");
        }
        once(&claims, (token_endpoint, now)).map(drop)
    };
    judged().map_err(|why| refused(why))
}

pub fn verify(assertion: &str, expected: &Expected<'_>) -> Result<Assertion> {
    read(assertion, expected).map_err(|why| refused(why))
}

fn read(assertion: &str, expected: &Expected<'_>) -> Result<Assertion, Why> {
    let jws = Jws::parse(assertion)?;
    let (algorithm, kid) = head(&jws)?;
    if jws.header.contains_key("jku") && (expected.jwks_url.is_none() || text(&jws.header, "jku") != expected.jwks_url) {
        return Err("jku is not the registered address of the keys");
    }
    let key = expected.keys.find(kid, algorithm).ok_or("kid is not a key of the client for this alg")?;
    let claims = jws.claims(algorithm, key)?;
    if ["iss", "sub"].iter().any(|name| text(&claims, name) != Some(expected.client_id)) {
        return Err("iss or sub is not the client");
    }
    let (jti, exp) = once(&claims, (expected.token_endpoint, expected.now))?;
    Ok(Assertion { client_id: expected.client_id.to_owned(), jti, exp })
}

/// The algorithm, and which key it names.
fn head<'j>(jws: &'j Jws<'_>) -> Result<(Algorithm, &'j str), Why> {
    let algorithm = jws.pinned(&ALGORITHMS, TYP)?;
    jws.without(&REFUSED)?;
    Ok((algorithm, text(&jws.header, "kid").ok_or("no kid")?))
}

/// By what the assertion is known when it comes again, and until when it is good: if it is for this endpoint, now.
fn once(claims: &Object, (token_endpoint, now): (&str, Millis)) -> Result<(String, Millis), Why> {
    let for_us = |value: &Value| value.as_str() == Some(token_endpoint);
    let addressed = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(for_us),
        Some(one) => for_us(one),
        None => false,
    };
    if !addressed {
        return Err("aud is not the token endpoint");
    }
    let exp = json::seconds(claims, "exp")?.ok_or("no exp")?;
    let begun: Vec<Seconds> = [json::seconds(claims, "nbf")?, json::seconds(claims, "iat")?].into_iter().flatten().collect();
    in_time(exp, &begun, now)?;
    if (exp - LONGEST).saturating_mul(1000) > now {
        return Err("exp is more than 5 minutes ahead");
    }
    let jti = text(claims, "jti").filter(|jti| (1..=255).contains(&jti.chars().count())).ok_or("no jti of 1 to 255 characters")?;
    Ok((jti.to_owned(), exp * 1000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::forge;
    use super::*;
    use crate::error::Kind;

    const NOW: Millis = 1_700_000_000_000;
    const AT: Seconds = NOW / 1000;
    const TOKEN: &str = "https://firth.example/oauth/token";
    const JWKS: &str = "https://client.example/jwks";

    fn keys() -> ClientKeys {
        let keys = [forge::named(&forge::rsa(0, 0).public, "r"), forge::named(&forge::Ec::p384().public, "e")];
        ClientKeys::parse(&json!({"keys": keys}).to_string()).unwrap()
    }

    fn header() -> Value {
        json!({"alg": "ES384", "typ": "JWT", "kid": "e"})
    }

    fn claims() -> Value {
        json!({"iss": "app", "sub": "app", "aud": TOKEN, "exp": AT + 300, "jti": "j1"})
    }

    fn es384(header: &Value, claims: &Value) -> String {
        forge::token(&header.to_string(), &claims.to_string(), |text| forge::Ec::p384().sign(text))
    }

    fn judge(token: &str) -> Result<Assertion> {
        let keys = keys();
        let before = well_formed(token, TOKEN, NOW);
        let expected = Expected { client_id: "app", keys: &keys, jwks_url: Some(JWKS), token_endpoint: TOKEN, now: NOW };
        let judged = verify(token, &expected);
        // What is refused for its form is refused with the keys as well.
        assert!(before.is_ok() || judged.is_err(), "{token}");
        judged
    }

    #[test]
    fn the_form_is_judged_without_a_key() {
        let of = |header: &Value, claims: &Value| {
            well_formed(&forge::token(&header.to_string(), &claims.to_string(), |_| Vec::new()), TOKEN, NOW)
                .map_err(|e| e.cause.unwrap_or_default())
        };
        assert_eq!(of(&with(header(), "kid", json!("nobody's")), &claims()), Ok(()));
        for (header, claims, why) in [
            (without(header(), "kid"), claims(), "no kid"),
            (with(header(), "alg", json!("none")), claims(), "alg is not one of this use"),
            (header(), with(claims(), "sub", json!("other")), "iss and sub are not both the client_id"),
            (header(), without(without(claims(), "iss"), "sub"), "iss and sub are not both the client_id"),
            (header(), with(claims(), "aud", json!("x")), "aud is not the token endpoint"),
            (header(), with(claims(), "exp", json!(AT)), "exp has passed"),
            (header(), with(claims(), "exp", json!(AT + 301)), "exp is more than 5 minutes ahead"),
            (header(), without(claims(), "jti"), "no jti of 1 to 255 characters"),
        ] {
            assert_eq!(of(&header, &claims), Err(why.to_owned()));
        }
    }

    #[track_caller]
    fn refuse(token: &str, why: &str) {
        let error = judge(token).expect_err(why);
        assert_eq!((error.kind, error.says()), (Kind::Unauthenticated, "The credential is not valid."));
        assert_eq!(error.cause.as_deref(), Some(why));
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    fn without(mut value: Value, name: &str) -> Value {
        value.as_object_mut().unwrap().remove(name);
        value
    }

    #[test]
    fn both_algorithms_are_taken() {
        let answer = Assertion { client_id: "app".into(), jti: "j1".into(), exp: (AT + 300) * 1000 };
        assert_eq!(judge(&es384(&header(), &claims())).unwrap(), answer);
        let rs384 = json!({"alg": "RS384", "typ": "JWT", "kid": "r", "jku": JWKS, "unknown": 1});
        let token = forge::token(&rs384.to_string(), &claims().to_string(), |text| forge::rs384(0, text));
        assert_eq!(judge(&token).unwrap(), answer);
        assert_eq!(claimed_client(&token).unwrap(), "app");
        for aud in [json!([TOKEN]), json!(["https://other.example", TOKEN])] {
            assert_eq!(judge(&es384(&header(), &with(claims(), "aud", aud))).unwrap(), answer);
        }
        let more = with(with(with(claims(), "iat", json!(AT + 30)), "nbf", json!(AT + 30)), "exp", json!(AT as f64 + 300.9));
        assert_eq!(judge(&es384(&header(), &more)).unwrap(), answer);
    }

    #[test]
    fn headers() {
        let alg = "alg is not one of this use";
        for other in ["none", "HS256", "HS384", "RS256", "ES256", "PS384", "EdDSA", "es384"] {
            refuse(&es384(&with(header(), "alg", json!(other)), &claims()), alg);
        }
        refuse(&es384(&without(header(), "alg"), &claims()), alg);
        for other in [json!("at+jwt"), json!("jwt"), json!(1), Value::Null] {
            refuse(&es384(&with(header(), "typ", other), &claims()), "typ is not that of this use");
        }
        refuse(&es384(&without(header(), "typ"), &claims()), "typ is not that of this use");
        refuse(&es384(&without(header(), "kid"), &claims()), "no kid");
        for kid in ["r", "x", "", "../e", "e\u{0}"] {
            refuse(&es384(&with(header(), "kid", json!(kid)), &claims()), "kid is not a key of the client for this alg");
        }
        for name in REFUSED {
            refuse(&es384(&with(header(), name, json!([])), &claims()), "the header holds a member that is refused");
        }
        let jku = "jku is not the registered address of the keys";
        for other in [json!("https://evil.example/jwks"), json!("https://client.example/jwks/"), json!(1), Value::Null] {
            refuse(&es384(&with(header(), "jku", other), &claims()), jku);
        }
        let (keys, token) = (keys(), es384(&with(header(), "jku", json!(1)), &claims()));
        for token in [token, es384(&with(header(), "jku", json!(JWKS)), &claims())] {
            let inline = Expected { client_id: "app", keys: &keys, jwks_url: None, token_endpoint: TOKEN, now: NOW };
            assert_eq!(verify(&token, &inline).unwrap_err().cause.as_deref(), Some(jku));
        }
    }

    #[test]
    fn signatures_of_others() {
        let bad = "the signature is not that of the key";
        let hmac = |text: &[u8]| forge::hmac(forge::Ec::p384().public.to_jwk().to_string().as_bytes(), text);
        refuse(&forge::token(&header().to_string(), &claims().to_string(), hmac), bad);
        refuse(&forge::token(&header().to_string(), &claims().to_string(), |_| Vec::new()), bad);
        refuse(&forge::token(&header().to_string(), &claims().to_string(), |_| vec![0; 96]), bad);
        let rs384 = json!({"alg": "RS384", "typ": "JWT", "kid": "r"});
        refuse(&forge::token(&rs384.to_string(), &claims().to_string(), |text| forge::rs384(1, text)), bad);
        // RS256 over the same text.
        refuse(&forge::token(&rs384.to_string(), &claims().to_string(), |text| forge::rsa(0, 0).sign(text).unwrap()), bad);
    }

    #[test]
    fn claims_are_judged() {
        let of = |claims: Value, why: &str| refuse(&es384(&header(), &claims), why);
        for name in ["iss", "sub"] {
            of(with(claims(), name, json!("other")), "iss or sub is not the client");
            of(without(claims(), name), "iss or sub is not the client");
        }
        for aud in [json!("https://firth.example/fhir"), json!([]), json!([[TOKEN]]), json!({"a": TOKEN}), json!(format!("{TOKEN}/"))] {
            of(with(claims(), "aud", aud), "aud is not the token endpoint");
        }
        of(without(claims(), "aud"), "aud is not the token endpoint");
        of(without(claims(), "exp"), "no exp");
        of(with(claims(), "exp", json!(AT)), "exp has passed");
        for exp in [AT + 301, AT + 3600] {
            of(with(claims(), "exp", json!(exp)), "exp is more than 5 minutes ahead");
        }
        of(with(claims(), "exp", json!("1")), "a time is not a number of seconds since 1970");
        of(with(claims(), "exp", json!(9e18)), "a time is not a number of seconds since 1970");
        for name in ["nbf", "iat"] {
            of(with(claims(), name, json!(AT + 31)), "nbf or iat is still to come");
        }
        for jti in [json!(""), json!("j".repeat(256)), json!(1), Value::Null] {
            of(with(claims(), "jti", jti), "no jti of 1 to 255 characters");
        }
        of(without(claims(), "jti"), "no jti of 1 to 255 characters");
        assert!(judge(&es384(&header(), &with(claims(), "jti", json!("é".repeat(255))))).is_ok());
        let twice = claims().to_string().replacen('{', r#"{"sub":"app","#, 1);
        let twice = forge::token(&header().to_string(), &twice, |text| forge::Ec::p384().sign(text));
        refuse(&twice, "not JSON, or a name stands twice in an object");
    }

    proptest! {
        #[test]
        fn another_byte_anywhere_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let token = es384(&header(), &claims());
            forge::with_byte(&token, at, byte, |other| judge(other).is_ok())?;
        }

        #[test]
        fn noise_is_refused(noise in "[ -~]{0,60}", claims in ".{0,40}") {
            let signed = forge::token(&header().to_string(), &claims, |text| forge::Ec::p384().sign(text));
            for token in [noise.clone(), format!("{noise}.{noise}.{noise}"), signed] {
                prop_assert!(judge(&token).is_err());
                let _ = claimed_client(&token);
            }
        }
    }
}
