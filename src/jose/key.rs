//! Our private keys: made, kept as PKCS#8 for the vault to seal, and used.

use rand_chacha::ChaCha20Rng;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::{Algorithm, PublicKey};
use crate::chance::Chance;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};

/// What a key of ours is for: Ed25519 signs access tokens, RSA signs id_tokens, which OpenID Connect Core section 15.1 wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ed25519,
    Rsa,
}

/// Of new RSA keys. A token lives for minutes and the keys rotate (docs/decisions/0021-signed-tokens.md).
const RSA_BITS: usize = 2048;

impl Family {
    pub const ALL: [Family; 2] = [Family::Ed25519, Family::Rsa];

    pub const fn algorithm(self) -> Algorithm {
        match self {
            Family::Ed25519 => Algorithm::EdDsa,
            Family::Rsa => Algorithm::Rs256,
        }
    }

    /// As it is kept beside the sealed key.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Ed25519 => "Ed25519",
            Family::Rsa => "RSA",
        }
    }

    pub fn named(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// A new private key as PKCS#8 DER (RFC 5958), to be sealed and never written in clear. RSA takes a fifth of a second
    /// and more, so not while somebody waits.
    pub fn make(self, chance: Chance) -> Result<Zeroizing<Vec<u8>>> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(chance.bytes()?);
        match self {
            Family::Ed25519 => Ok(ed25519(&seed)),
            Family::Rsa => rsa(&seed),
        }
    }
}

/// RFC 8410 section 7: version 0, the algorithm 1.3.101.112, and 32 octets in an octet string in an octet string.
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn ed25519(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut der = Zeroizing::new(Vec::with_capacity(ED25519_PKCS8.len() + seed.len()));
    der.extend_from_slice(&ED25519_PKCS8);
    der.extend_from_slice(seed);
    der
}

/// The search for primes draws an unknown number of bytes and cannot be told that the machine has none, so it draws from
/// ChaCha20 under 256 bits that were had before.
fn rsa(seed: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>> {
    let mut stream = ChaCha20Rng::from_seed(*seed);
    let key = RsaPrivateKey::new(&mut stream, RSA_BITS).map_err(Error::bug)?;
    let der = key.to_pkcs8_der().map_err(Error::bug)?;
    Ok(Zeroizing::new(der.as_bytes().to_vec()))
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A private key that is in use.
pub struct SigningKey {
    pub family: Family,
    /// The RFC 7638 thumbprint of the public key.
    pub kid: String,
    pub public: PublicKey,
    pub created_at: Millis,
    /// From then on it neither signs nor verifies.
    pub retired_at: Option<Millis>,
    pair: Pair,
}

impl SigningKey {
    /// Opens what `Family::make` made.
    pub fn from_pkcs8(family: Family, der: &[u8], created_at: Millis, retired_at: Option<Millis>) -> Result<SigningKey> {
        let unusable = |why| Error::new(Kind::Sealed, "A signing key could not be opened.").because(format!("{}: {why}", family.name()));
        let (pair, public) = match family {
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(unusable)?;
                let public = PublicKey::Ed25519(pair.public_key().as_ref().to_vec());
                (Pair::Ed25519(pair), public)
            }
            Family::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(unusable)?;
                let PublicKeyComponents { n, e } = pair.public().into();
                (Pair::Rsa(Box::new(pair)), PublicKey::Rsa { n, e })
            }
        };
        Ok(SigningKey { family, kid: public.thumbprint(), public, created_at, retired_at, pair })
    }

    pub fn retired(&self, now: Millis) -> bool {
        self.retired_at.is_some_and(|at| at <= now)
    }

    /// Both algorithms are deterministic: ring asks for a source of randomness for RSA and takes nothing from it (RFC 8017
    /// section 8.2, RFC 8032 section 5.1.6).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(Error::bug)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.1 to A.4.
    #[test]
    fn ed25519_of_the_rfc() {
        let seed = super::super::compact::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_pkcs8(Family::Ed25519, &ed25519(&seed.try_into().unwrap()), 0, None).unwrap();
        assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
        assert_eq!(
            super::super::compact::encode(&signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn made_keys_open_and_sign() {
        for (family, der) in [(Family::Ed25519, Family::Ed25519.make(Chance).unwrap()), (Family::Rsa, rsa(&[5; 32]).unwrap())] {
            let key = SigningKey::from_pkcs8(family, &der, 1, Some(2)).unwrap();
            let signature = key.sign(b"text").unwrap();
            assert_eq!(signature, key.sign(b"text").unwrap());
            assert_eq!(key.public.verify(family.algorithm(), b"text", &signature), Ok(()));
            assert!(key.public.verify(family.algorithm(), b"Text", &signature).is_err());
            assert!(!key.retired(1) && key.retired(2));
            assert_eq!(Family::named(family.name()), Some(family));
            let other = if family == Family::Rsa { Family::Ed25519 } else { Family::Rsa };
            for bad in [SigningKey::from_pkcs8(other, &der, 1, None), SigningKey::from_pkcs8(family, &der[1..], 1, None)] {
                assert_eq!(bad.err().map(|e| e.kind), Some(Kind::Sealed));
            }
        }
        assert_ne!(Family::Ed25519.make(Chance).unwrap(), Family::Ed25519.make(Chance).unwrap());
    }
}
