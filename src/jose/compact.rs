//! The compact serialisation of a signature (RFC 7515 section 7.1): three parts of base64url.

use data_encoding::BASE64URL_NOPAD as BASE64URL;
use serde::Serialize;

use super::json::{self, Object};
use super::{Algorithm, PublicKey, SigningKey, Why};
use crate::error::{Error, Result};

/// No token of ours comes near, and a header of HTTP is not longer than 8 KiB at most servers.
const LONGEST: usize = 16 * 1024;

/// A token taken apart. Its payload can be had only together with a verified signature.
pub(super) struct Jws<'t> {
    pub header: Object,
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    pub fn parse(token: &'t str) -> Result<Jws<'t>, Why> {
        if token.len() > LONGEST {
            return Err("longer than any token");
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err("not three parts");
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        Ok(Jws { header: json::object(&decode(header)?)?, signed, payload, signature: decode(signature)? })
    }

    /// A token of ours: its header holds what we write and nothing else, so no `crit`, `jwk`, `jku`, `x5u`, `b64`. Answers
    /// its `kid`, which is only compared with those of our keys.
    pub fn ours(&self, algorithm: Algorithm, typ: &str) -> Result<&str, Why> {
        self.pinned(&[algorithm], typ)?;
        if self.header.len() != 3 {
            return Err("the header holds what we do not write");
        }
        json::text(&self.header, "kid").ok_or("no kid")
    }

    /// The algorithm, which must be one of these, and exactly this `typ`.
    pub fn pinned(&self, algorithms: &[Algorithm], typ: &str) -> Result<Algorithm, Why> {
        let named = json::text(&self.header, "alg");
        let algorithm = algorithms.iter().find(|algorithm| named == Some(algorithm.name()));
        let algorithm = algorithm.ok_or("alg is not one of this use")?;
        if json::text(&self.header, "typ") != Some(typ) {
            return Err("typ is not that of this use");
        }
        Ok(*algorithm)
    }

    /// Members that change what a signature means or say where a key is (RFC 7515 section 4.1, RFC 7797, RFC 7516).
    pub fn without(&self, names: &[&str]) -> Result<(), Why> {
        match names.iter().any(|name| self.header.contains_key(*name)) {
            true => Err("the header holds a member that is refused"),
            false => Ok(()),
        }
    }

    /// The claims, after the signature.
    pub fn claims(&self, algorithm: Algorithm, key: &PublicKey) -> Result<Object, Why> {
        key.verify(algorithm, self.signed.as_bytes(), &self.signature)?;
        self.unverified()
    }

    /// What the token claims without proof: only to look up whose keys could prove it.
    pub fn unverified(&self) -> Result<Object, Why> {
        json::object(&decode(self.payload)?)
    }
}

/// Base64url without padding, of which every byte has one spelling.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Why> {
    BASE64URL.decode(text.as_bytes()).map_err(|_| "not base64url without padding")
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// Signs claims with a key of ours.
pub(super) fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String> {
    let header = Header { alg: key.family.algorithm().name(), typ, kid: &key.kid };
    let mut token = encode(&serde_json::to_vec(&header).map_err(Error::bug)?);
    token.push('.');
    token.push_str(&encode(&serde_json::to_vec(claims).map_err(Error::bug)?));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&encode(&signature));
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_of_plain_base64url() {
        let good = "eyJhIjoxfQ.e30.AA";
        assert!(Jws::parse(good).is_ok());
        let bad = [
            "",
            ".",
            "..",
            "eyJhIjoxfQ.e30",
            "eyJhIjoxfQ.e30.AA.AA",
            "eyJhIjoxfQ.e30.AA.",
            "eyJhIjoxfQ==.e30.AA",
            "eyJhIjoxfR.e30.AA",
            "eyJhIjoxfQ.e30.AB",
            "eyJhIjoxfQ.e30.A",
            "eyJhIjoxfQ.e30.A A",
            "eyJhIjoxfQ.e30.A+",
            "eyJhIjoxfQ.e30.AA\n",
            " eyJhIjoxfQ.e30.AA",
            "W10.e30.AA",
        ];
        for bad in bad {
            assert!(Jws::parse(bad).is_err(), "{bad:?}");
        }
        let spare = Jws::parse("eyJhIjoxfQ.e31.AA").unwrap();
        assert_eq!(spare.unverified(), Err("not base64url without padding"));
        let long = format!("eyJhIjoxfQ.{}.AA", "e".repeat(1 << 20));
        assert_eq!(Jws::parse(&long).err(), Some("longer than any token"));
    }
}
