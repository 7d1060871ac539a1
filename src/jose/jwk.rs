//! Public keys: RFC 7517 (JWK), RFC 7518 section 6 (RSA and EC), RFC 8037 (Ed25519), RFC 7638 (thumbprint).

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Why;
use super::compact::{decode, encode};
use super::json::{Object, text};
use crate::vault::digest;

/// The algorithms of RFC 7518 section 3.1 and RFC 8037 that some use of ours knows. There is none without a signature and
/// none with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    EdDsa,
    Rs256,
    Rs384,
    Es256,
    Es384,
}

impl Algorithm {
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    Ed25519(Vec<u8>),
    /// Uncompressed points: 4, x, y (SEC 1 section 2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    /// Big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// Members of private and of shared keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

pub(super) fn is_private(jwk: &Object) -> bool {
    PRIVATE.iter().any(|name| jwk.contains_key(*name))
}

/// The curve or, for RSA, the type.
pub(super) fn sort(jwk: &Object) -> Option<&str> {
    match text(jwk, "kty")? {
        "RSA" => Some("RSA"),
        "EC" => text(jwk, "crv").filter(|curve| ["P-256", "P-384"].contains(curve)),
        "OKP" => text(jwk, "crv").filter(|curve| *curve == "Ed25519"),
        _ => None,
    }
}

impl PublicKey {
    /// The key of a JWK, which must hold nothing private.
    pub fn from_jwk(jwk: &serde_json::Map<String, Value>) -> Result<PublicKey, &'static str> {
        if is_private(jwk) {
            return Err("a private key");
        }
        match sort(jwk) {
            Some("RSA") => rsa(jwk),
            Some("P-256") => Ok(PublicKey::P256(point(jwk, 32)?)),
            Some("P-384") => Ok(PublicKey::P384(point(jwk, 48)?)),
            Some("Ed25519") => Ok(PublicKey::Ed25519(octets(jwk, "x", 32)?)),
            _ => Err("a type or curve of key that is not known here"),
        }
    }

    /// The members that RFC 7638 section 3.2 and RFC 8037 section 2 want, in the order of their names.
    pub fn to_jwk(&self) -> Value {
        match self {
            PublicKey::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(x)}),
            PublicKey::P256(point) => ec("P-256", point),
            PublicKey::P384(point) => ec("P-384", point),
            PublicKey::Rsa { n, e } => json!({"e": encode(e), "kty": "RSA", "n": encode(n)}),
        }
    }

    /// RFC 7638 with SHA-256, in base64url: our `kid`, and the `jkt` of RFC 9449.
    pub fn thumbprint(&self) -> String {
        // serde_json keeps the order in which `to_jwk` writes, and no value needs an escape.
        encode(&digest(&[self.to_jwk().to_string().as_bytes()]))
    }

    /// Both the algorithm and the type of the key decide; a pair that does not fit is refused.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), &'static str> {
        let verified = match (self, algorithm) {
            (PublicKey::Ed25519(x), Algorithm::EdDsa) => UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signature),
            (PublicKey::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (PublicKey::P384(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (PublicKey::Rsa { n, e }, Algorithm::Rs256) => {
                RsaPublicKeyComponents { n, e }.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (PublicKey::Rsa { n, e }, Algorithm::Rs384) => {
                RsaPublicKeyComponents { n, e }.verify(&signature::RSA_PKCS1_2048_8192_SHA384, message, signature)
            }
            _ => return Err("alg is not one of this key"),
        };
        verified.map_err(|_| "the signature is not that of the key")
    }
}

fn ec(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"crv": curve, "kty": "EC", "x": encode(x), "y": encode(y)})
}

fn octets(jwk: &Object, name: &str, length: usize) -> Result<Vec<u8>, Why> {
    let bytes = decode(text(jwk, name).ok_or("a coordinate is missing")?)?;
    if bytes.len() == length { Ok(bytes) } else { Err("a coordinate has not the length of its curve") }
}

fn point(jwk: &Object, length: usize) -> Result<Vec<u8>, Why> {
    Ok([vec![4], octets(jwk, "x", length)?, octets(jwk, "y", length)?].concat())
}

fn rsa(jwk: &Object) -> Result<PublicKey, Why> {
    let number = |name| decode(text(jwk, name).ok_or("n or e is missing")?);
    let (n, e) = (number("n")?, number("e")?);
    if n.first() == Some(&0) || e.first() == Some(&0) {
        return Err("n or e begins with a zero octet");
    }
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err("n has less than 2048 or more than 8192 bits");
    }
    // ring takes exponents from 3 to 33 bits.
    if e.len() > 4 || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
        return Err("e is not an odd number from 3 to 4294967295");
    }
    Ok(PublicKey::Rsa { n, e })
}

#[cfg(test)]
mod tests {
    use super::super::json::object;
    use super::*;

    const RFC_7638: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    const RFC_8037: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn key(jwk: &str) -> Result<PublicKey, Why> {
        PublicKey::from_jwk(&object(jwk.as_bytes()).unwrap())
    }

    #[test]
    fn thumbprints_of_the_rfcs() {
        assert_eq!(key(RFC_7638).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(key(RFC_8037).unwrap().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 8037 appendix A.5.
    #[test]
    fn ed25519_of_the_rfc() {
        let (key, signed) = (key(RFC_8037).unwrap(), b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        let signature = decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg").unwrap();
        assert_eq!(key.verify(Algorithm::EdDsa, signed, &signature), Ok(()));
        assert!(key.verify(Algorithm::EdDsa, &signed[1..], &signature).is_err());
        for other in [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Rs384] {
            assert_eq!(key.verify(other, signed, &signature), Err("alg is not one of this key"));
        }
    }

    #[test]
    fn keys_are_written_as_they_were_read() {
        for jwk in [RFC_7638, RFC_8037] {
            let key = key(jwk).unwrap();
            assert_eq!(PublicKey::from_jwk(key.to_jwk().as_object().unwrap()), Ok(key));
        }
        let ec = json!({"crv": "P-384", "kty": "EC", "x": encode(&[7; 48]), "y": encode(&[9; 48])});
        assert_eq!(PublicKey::from_jwk(ec.as_object().unwrap()).unwrap().to_jwk(), ec);
    }

    #[test]
    fn malformed_and_private_keys_are_refused() {
        let bytes = |length: usize| encode(&vec![0xff; length]);
        let rsa = |n: String, e: &str| json!({"kty": "RSA", "n": n, "e": e});
        let bad = [
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "oct"}),
            json!({"kty": "EC", "crv": "P-521", "x": bytes(66), "y": bytes(66)}),
            json!({"kty": "EC", "crv": "secp256k1", "x": bytes(32), "y": bytes(32)}),
            json!({"kty": "EC", "crv": "P-384", "x": bytes(32), "y": bytes(32)}),
            json!({"kty": "EC", "crv": "P-384", "x": bytes(48)}),
            json!({"kty": "EC", "crv": "P-384", "x": bytes(48), "y": bytes(48), "d": bytes(48)}),
            json!({"kty": "OKP", "crv": "X25519", "x": bytes(32)}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": bytes(31)}),
            rsa(bytes(255), "AQAB"),
            rsa(bytes(1025), "AQAB"),
            rsa(encode(&[&[0][..], &[0xff; 256]].concat()), "AQAB"),
            rsa(bytes(256), "AQ"),
            rsa(bytes(256), "AQAA"),
            rsa(bytes(256), "AAEAAQ"),
            rsa(bytes(256), "AQAAAAAB"),
            rsa(bytes(256), ""),
            json!({"kty": "RSA", "n": bytes(256)}),
            json!({"kty": "RSA", "n": bytes(256), "e": 65537}),
            json!({"kty": "RSA", "n": bytes(256), "e": "AQAB", "p": "AQ"}),
        ];
        for bad in bad {
            assert!(PublicKey::from_jwk(bad.as_object().unwrap()).is_err(), "{bad}");
        }
        assert!(PublicKey::from_jwk(rsa(bytes(256), "AQAB").as_object().unwrap()).is_ok());
    }
}
