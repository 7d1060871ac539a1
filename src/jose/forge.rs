//! Test only: keys that are no secret, and tokens signed by hand.

use std::sync::LazyLock;

use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::compact::encode;
use super::{Algorithm, Family, PublicKey, SigningKey};
use crate::chance::Chance;
use crate::clock::Millis;

pub fn ed25519(seed: u8, created_at: Millis, retired_at: Option<Millis>) -> SigningKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    SigningKey::from_pkcs8(Family::Ed25519, &der, created_at, retired_at).unwrap()
}

/// Two pairs, the same ones during a run: no private key stands in the sources.
static RSA: LazyLock<[Zeroizing<Vec<u8>>; 2]> = LazyLock::new(|| [0, 1].map(|_| Family::Rsa.make(Chance).unwrap()));

fn rsa_pkcs8(which: usize) -> &'static [u8] {
    &RSA[which]
}

pub fn rsa(which: usize, created_at: Millis) -> SigningKey {
    SigningKey::from_pkcs8(Family::Rsa, rsa_pkcs8(which), created_at, None).unwrap()
}

pub fn rs384(which: usize, text: &[u8]) -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(rsa_pkcs8(which)).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA384, &SystemRandom::new(), text, &mut signature).unwrap();
    signature
}

/// A pair for ES256 or ES384, the same one during a run.
#[derive(Clone)]
pub struct Ec {
    pub algorithm: Algorithm,
    pub public: PublicKey,
    pkcs8: Vec<u8>,
}

static P256: LazyLock<Ec> = LazyLock::new(|| Ec::new(Algorithm::Es256));
static P384: LazyLock<Ec> = LazyLock::new(|| Ec::new(Algorithm::Es384));

impl Ec {
    pub fn p256() -> Ec {
        P256.clone()
    }

    pub fn p384() -> Ec {
        P384.clone()
    }

    fn signing(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
        match algorithm {
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    fn new(algorithm: Algorithm) -> Ec {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(Ec::signing(algorithm), &random).unwrap().as_ref().to_vec();
        let point = EcdsaKeyPair::from_pkcs8(Ec::signing(algorithm), &pkcs8, &random).unwrap().public_key().as_ref().to_vec();
        let public = if algorithm == Algorithm::Es256 { PublicKey::P256(point) } else { PublicKey::P384(point) };
        Ec { algorithm, public, pkcs8 }
    }

    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(Ec::signing(self.algorithm), &self.pkcs8, &random).unwrap();
        pair.sign(&random, text).unwrap().as_ref().to_vec()
    }
}

pub fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    ring::hmac::sign(&key, text).as_ref().to_vec()
}

pub fn named(key: &PublicKey, kid: &str) -> Value {
    let mut jwk = key.to_jwk();
    jwk["kid"] = json!(kid);
    jwk
}

pub fn token(header: &str, payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", encode(&signature))
}

pub fn parts(token: &str) -> [String; 3] {
    token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

/// `token` with another byte at one place, is taken only if that is the same byte.
pub fn with_byte(token: &str, at: proptest::sample::Index, byte: u8, taken: impl Fn(&str) -> bool) -> Result<(), TestCaseError> {
    for byte in [byte, b'A' + byte % 26, b'.', b'='] {
        let mut bytes = token.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = std::str::from_utf8(&bytes) {
            prop_assert_eq!(taken(other), other == token);
        }
    }
    Ok(())
}
