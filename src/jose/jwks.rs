//! The key ring: which of our keys signs, which verify, and the document that tells others (RFC 7517 section 5).

use serde_json::{Value, json};

use super::{Family, PublicKey, SigningKey};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};

/// Our keys, newest first; of the same time, by `kid`.
pub struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    pub fn new(mut keys: Vec<SigningKey>) -> Result<KeyRing> {
        keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.kid.cmp(&b.kid)));
        let mut kids: Vec<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
        kids.sort_unstable();
        if kids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::new(Kind::Duplicate, "A signing key stands twice in the key ring.").at("kid"));
        }
        Ok(KeyRing(keys))
    }

    /// The newest that is not retired.
    pub fn signing(&self, family: Family, now: Millis) -> Result<&SigningKey> {
        self.in_use(now).find(|key| key.family == family).ok_or_else(|| Error::bug(format!("no {} key is in use; make one", family.name())))
    }

    /// The key of this name and family, if it is not retired. The name is compared and not used otherwise.
    pub(super) fn verifying(&self, family: Family, kid: &str, now: Millis) -> Option<&PublicKey> {
        self.in_use(now).find(|key| key.family == family && key.kid == kid).map(|key| &key.public)
    }

    /// All keys that verify now, as a JWK Set. The same keys give the same bytes.
    pub fn jwks(&self, now: Millis) -> String {
        let keys: Vec<Value> = self.in_use(now).map(published).collect();
        json!({ "keys": keys }).to_string()
    }

    fn in_use(&self, now: Millis) -> impl Iterator<Item = &SigningKey> {
        self.0.iter().filter(move |key| !key.retired(now))
    }
}

fn published(key: &SigningKey) -> Value {
    let mut jwk = key.public.to_jwk();
    for (name, value) in [("use", "sig"), ("alg", key.family.algorithm().name()), ("kid", &key.kid)] {
        jwk[name] = json!(value);
    }
    jwk
}

#[cfg(test)]
mod tests {
    use super::super::forge;
    use super::super::json::object;
    use super::*;

    #[test]
    fn the_newest_signs_and_all_in_use_verify() {
        let (old, new, rsa) = (forge::ed25519(1, 100, Some(900)), forge::ed25519(2, 200, None), forge::rsa(0, 50));
        let kids = [old.kid.clone(), new.kid.clone(), rsa.kid.clone()];
        let ring = KeyRing::new(vec![rsa, old, new]).unwrap();
        let verifies = |now: Millis| kids.each_ref().map(|kid| Family::ALL.map(|family| ring.verifying(family, kid, now).is_some()));
        assert_eq!(ring.signing(Family::Ed25519, 300).unwrap().kid, kids[1]);
        assert_eq!(ring.signing(Family::Rsa, 300).unwrap().kid, kids[2]);
        assert_eq!(verifies(899), [[true, false], [true, false], [false, true]]);
        assert_eq!(verifies(900), [[false, false], [true, false], [false, true]]);
        assert!(ring.verifying(Family::Ed25519, "../../etc/passwd", 1).is_none());
        let none = KeyRing::new(vec![forge::ed25519(1, 100, Some(900))]).unwrap();
        assert_eq!(none.signing(Family::Ed25519, 900).err().map(|e| e.kind), Some(Kind::Bug));
        assert!(KeyRing::new(vec![forge::ed25519(1, 100, None), forge::ed25519(1, 200, None)]).is_err());
    }

    #[test]
    fn the_document_is_public_and_stable() {
        let ring = |turned: bool| {
            let mut keys = vec![forge::ed25519(1, 100, Some(900)), forge::ed25519(2, 100, None), forge::rsa(0, 50)];
            if turned {
                keys.reverse();
            }
            KeyRing::new(keys).unwrap()
        };
        let text = ring(false).jwks(300);
        assert_eq!(text, ring(true).jwks(300));
        let document = object(text.as_bytes()).unwrap();
        let keys = document["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 3);
        assert_eq!(object(ring(false).jwks(900).as_bytes()).unwrap()["keys"].as_array().unwrap().len(), 2);
        for key in keys {
            let jwk = key.as_object().unwrap();
            let public = PublicKey::from_jwk(jwk).expect("nothing private");
            assert_eq!((public.thumbprint().as_str(), "sig"), (jwk["kid"].as_str().unwrap(), jwk["use"].as_str().unwrap()));
            assert_eq!(jwk["alg"], if jwk["kty"] == "RSA" { "RS256" } else { "EdDSA" });
        }
    }
}
