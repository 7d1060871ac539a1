//! The keys that a client registered: a JWK Set (RFC 7517 section 5) with keys for RS384 and ES384, which SMART App Launch
//! 2.2 names for client assertions.

use serde_json::Value;

use super::json::{self, Object, text};
use super::jwk::{is_private, sort};
use super::{Algorithm, PublicKey};
use crate::error::{Error, Kind, Result};

const MOST_KEYS: usize = 20;
const MOST_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
struct ClientKey {
    kid: String,
    key: PublicKey,
    algorithm: Algorithm,
}

/// At least one key that may verify client assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKeys(Vec<ClientKey>);

fn wrong(at: impl Into<String>, says: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, says).at(at)
}

impl ClientKeys {
    /// Keys of other types and for other uses are passed over (RFC 7517 section 5). A private key, a `kid` that stands
    /// twice and a key that is meant for us and malformed are refused, with the element that is wrong.
    pub fn parse(jwks: &str) -> Result<ClientKeys> {
        if jwks.len() > MOST_BYTES {
            return Err(wrong("jwks", "The key set has more than 64 KiB."));
        }
        let set = json::object(jwks.as_bytes()).map_err(|why| wrong("jwks", format!("The key set is not usable: {why}.")))?;
        let Some(Value::Array(all)) = set.get("keys") else {
            return Err(wrong("jwks.keys", "The key set has no array of keys."));
        };
        if all.len() > MOST_KEYS {
            return Err(wrong("jwks.keys", "The key set has more than 20 keys."));
        }
        let mut kids: Vec<&str> = Vec::with_capacity(all.len());
        let mut keys = Vec::new();
        for (n, jwk) in all.iter().enumerate() {
            let at = format!("jwks.keys[{n}]");
            let jwk = jwk.as_object().ok_or_else(|| wrong(&at, "A key is not an object."))?;
            if is_private(jwk) {
                return Err(wrong(&at, "The key is private. Make a new one and register only its public part."));
            }
            if let Some(kid) = text(jwk, "kid") {
                if kids.contains(&kid) {
                    return Err(wrong(format!("{at}.kid"), "The kid stands twice in the set."));
                }
                kids.push(kid);
            }
            keys.extend(client_key(jwk, &at)?);
        }
        if keys.is_empty() {
            return Err(wrong("jwks.keys", "No key is for RS384 or ES384; register an RSA or P-384 key with use sig."));
        }
        Ok(ClientKeys(keys))
    }

    /// The key of this name, if it is for this algorithm.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.kid == kid && key.algorithm == algorithm).map(|key| &key.key)
    }

    /// Names of the usable keys, to be shown to an operator.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }
}

/// `None`: a key that is not meant for client assertions.
fn client_key(jwk: &Object, at: &str) -> Result<Option<ClientKey>> {
    let algorithm = match sort(jwk) {
        Some("RSA") => Algorithm::Rs384,
        Some("P-384") => Algorithm::Es384,
        _ => return Ok(None),
    };
    let other = |name, good: &str| jwk.get(name).is_some_and(|value| value.as_str() != Some(good));
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(all)) => all.iter().any(|op| op.as_str() == Some("verify")),
        Some(_) => return Err(wrong(format!("{at}.key_ops"), "The operations of a key are an array.")),
    };
    if other("use", "sig") || other("alg", algorithm.name()) || !verifies {
        return Ok(None);
    }
    let kid = text(jwk, "kid").filter(|kid| !kid.is_empty() && kid.len() <= 255);
    let kid = kid.ok_or_else(|| wrong(format!("{at}.kid"), "The key has no kid of 1 to 255 bytes, so no assertion can name it."))?;
    let key = PublicKey::from_jwk(jwk).map_err(|why| wrong(at, format!("The key is not usable: {why}.")))?;
    Ok(Some(ClientKey { kid: kid.to_owned(), key, algorithm }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::forge;
    use super::*;

    fn rsa() -> Value {
        forge::named(&forge::rsa(0, 0).public, "r")
    }

    fn p384() -> Value {
        forge::named(&forge::Ec::p384().public, "e")
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    fn kids(keys: &[Value]) -> Vec<String> {
        ClientKeys::parse(&json!({"keys": keys}).to_string()).unwrap().kids().map(str::to_owned).collect()
    }

    #[track_caller]
    fn at(keys: &[Value]) -> String {
        let error = ClientKeys::parse(&json!({"keys": keys}).to_string()).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        error.issues[0].at.clone().unwrap()
    }

    #[test]
    fn keys_for_assertions_are_taken() {
        assert_eq!(kids(&[rsa(), p384()]), ["r", "e"]);
        assert_eq!(kids(&[with(rsa(), "use", json!("sig")), with(p384(), "alg", json!("ES384"))]), ["r", "e"]);
        assert_eq!(kids(&[with(rsa(), "key_ops", json!(["verify"])), with(p384(), "ext", json!(true))]), ["r", "e"]);
        let keys = ClientKeys::parse(&json!({"keys": [rsa(), p384()]}).to_string()).unwrap();
        assert!(keys.find("r", Algorithm::Rs384).is_some() && keys.find("e", Algorithm::Es384).is_some());
        for (kid, algorithm) in [("r", Algorithm::Es384), ("r", Algorithm::Rs256), ("e", Algorithm::Rs384), ("", Algorithm::Rs384)] {
            assert!(keys.find(kid, algorithm).is_none());
        }
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        let others = [
            with(rsa(), "use", json!("enc")),
            with(rsa(), "alg", json!("RS256")),
            with(rsa(), "alg", json!("ES384")),
            with(rsa(), "use", json!(1)),
            with(rsa(), "key_ops", json!(["sign", "encrypt"])),
            with(rsa(), "key_ops", json!([])),
            forge::named(&forge::Ec::p256().public, "x"),
            forge::named(&forge::ed25519(1, 0, None).public, "x"),
            json!({"kty": "new"}),
            json!({}),
        ];
        for other in others {
            assert_eq!(kids(&[p384(), other.clone()]), ["e"], "{other}");
            assert_eq!(at(&[other]), "jwks.keys");
        }
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(at(&[p384(), with(rsa(), "d", json!("AQ"))]), "jwks.keys[1]");
        assert_eq!(at(&[p384(), json!({"kty": "oct", "k": "AQ"})]), "jwks.keys[1]");
        assert_eq!(at(&[p384(), with(rsa(), "kid", json!("e"))]), "jwks.keys[1].kid");
        assert_eq!(at(&[p384(), json!({"kty": "new", "kid": "e"})]), "jwks.keys[1].kid");
        for kid in [json!(""), json!(1), json!("k".repeat(256)), Value::Null] {
            assert_eq!(at(&[with(rsa(), "kid", kid)]), "jwks.keys[0].kid");
        }
        assert_eq!(at(&[with(rsa(), "n", json!("AQAB"))]), "jwks.keys[0]");
        assert_eq!(at(&[with(p384(), "x", json!("AQAB"))]), "jwks.keys[0]");
        assert_eq!(at(&[with(rsa(), "key_ops", json!("verify"))]), "jwks.keys[0].key_ops");
        assert_eq!(at(&[json!("key")]), "jwks.keys[0]");
        let many = |count: usize| (0..count).map(|n| with(rsa(), "kid", json!(n.to_string()))).collect::<Vec<_>>();
        assert_eq!(kids(&many(20)).len(), 20);
        assert_eq!(at(&many(21)), "jwks.keys");
        assert_eq!(at(&[]), "jwks.keys");
        for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(ClientKeys::parse(text).is_err(), "{text}");
        }
        let twice = json!({"keys": [rsa()]}).to_string().replacen("{\"e\"", "{\"kid\":\"x\",\"e\"", 1);
        assert!(ClientKeys::parse(&twice).is_err());
        let long = format!("{}{}", json!({"keys": [rsa()]}), " ".repeat(MOST_BYTES));
        assert_eq!(ClientKeys::parse(&long).unwrap_err().says(), "The key set has more than 64 KiB.");
    }

    proptest! {
        #[test]
        fn noise_is_refused(noise in ".{0,80}", kty in "RSA|EC|OKP", member in "[a-z]{1,3}") {
            prop_assert!(ClientKeys::parse(&noise).is_err());
            let set = json!({"keys": [{"kty": kty, "crv": "P-384", "kid": "a", member: noise}]}).to_string();
            prop_assert!(ClientKeys::parse(&set).is_err());
        }
    }
}
