//! Keyed 64-bit hashes for equality search, and digests of secrets.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// HMAC-SHA-256 cut to 64 bits. `domain` keeps equal texts in different columns apart.
#[derive(Clone)]
pub struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(crate) fn new(key: &[u8; 32]) -> Hasher {
        // HMAC pads a shorter key with zeros to the block size (RFC 2104).
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(key);
        Hasher(Hmac::new(&block.into()))
    }

    /// `parts` are length-prefixed, so that ("ab","c") and ("a","bc") differ.
    pub fn hash(&self, domain: &str, parts: &[&[u8]]) -> i64 {
        let full = self.full(domain, parts);
        i64::from_be_bytes([full[0], full[1], full[2], full[3], full[4], full[5], full[6], full[7]])
    }

    pub fn full(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// A keyed hash of a stream, fed piece by piece.
    pub fn stream(&self) -> impl FnMut(Option<&[u8]>) -> [u8; 32] + use<> {
        let mut mac = Some(self.0.clone());
        move |piece| match (piece, mac.as_mut()) {
            (Some(piece), Some(mac)) => {
                mac.update(piece);
                [0; 32]
            }
            (None, Some(_)) => mac.take().map_or([0; 32], |mac| mac.finalize().into_bytes().into()),
            (_, None) => [0; 32],
        }
    }
}

/// SHA-256, for leaf hashes and for what a transaction wrote.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    sha.finalize().into()
}

/// How a bearer token or another random secret is stored: it has 128 bits or more, so one SHA-256 is enough.
pub fn secret_digest(secret: &str) -> [u8; 32] {
    digest(&[secret.as_bytes()])
}

/// Compares two digests in constant time.
pub fn secrets_equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
