//! Proof Key for Code Exchange (RFC 7636), S256 only, as SMART App Launch 2.2 wants (`plain` is refused).

use super::compact::{decode, encode};
use crate::error::{Error, Kind, Result};
use crate::vault::{digest, secrets_equal};

pub const METHOD: &str = "S256";

/// A code challenge as it came with the authorization request: SHA-256 of the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Both parameters of the authorization request. An absent method means `plain` (section 4.3).
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Challenge> {
        if method != Some(METHOD) {
            return Err(Error::new(Kind::Parameter, "The code challenge method must be S256.").at("code_challenge_method"));
        }
        let bytes = challenge.and_then(|text| decode(text).ok()).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| {
            Error::new(Kind::Parameter, "The code challenge must be a SHA-256 digest in base64url, 43 characters.").at("code_challenge")
        })?;
        Ok(Challenge(bytes))
    }

    /// As it came, to be kept beside the code.
    pub fn text(&self) -> String {
        encode(&self.0)
    }

    /// Section 4.6, in constant time. No verifier and a misspelt one never fit.
    pub fn fits(&self, verifier: Option<&str>) -> bool {
        verifier.is_some_and(|verifier| well_formed(verifier) && secrets_equal(&digest(&[verifier.as_bytes()]), &self.0))
    }
}

/// 43 to 128 unreserved characters (section 4.1).
fn well_formed(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len()) && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// RFC 7636 appendix B.
    #[test]
    fn the_verifier_of_the_rfc_fits() {
        let challenge = Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.fits(Some(VERIFIER)));
        assert_eq!(challenge.text(), CHALLENGE);
        assert!(!challenge.fits(None));
        assert!(!challenge.fits(Some("")));
        assert!(!challenge.fits(Some(CHALLENGE)), "the challenge is no verifier");
        assert!(!challenge.fits(Some(&VERIFIER.to_lowercase())));
    }

    #[test]
    fn only_digests_by_s256() {
        for method in [None, Some(""), Some("plain"), Some("s256"), Some("S512")] {
            assert_eq!(Challenge::parse(Some(CHALLENGE), method).unwrap_err().issues[0].at.as_deref(), Some("code_challenge_method"));
        }
        let long = format!("{CHALLENGE}AA");
        for bad in [None, Some(""), Some(&CHALLENGE[1..]), Some(&long), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=")] {
            assert_eq!(Challenge::parse(bad, Some("S256")).unwrap_err().issues[0].at.as_deref(), Some("code_challenge"));
        }
        let spare = CHALLENGE.replace("cM", "cN");
        assert!(Challenge::parse(Some(&spare), Some("S256")).is_err());
    }

    #[test]
    fn verifiers_have_43_to_128_unreserved_characters() {
        let of = |text: &str| Challenge(digest(&[text.as_bytes()])).fits(Some(text));
        for (text, good) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("~".repeat(128), true),
            ("a".repeat(129), false),
            ("a".repeat(42) + "+", false),
            ("a".repeat(42) + "=", false),
            ("a".repeat(42) + " ", false),
            ("é".repeat(43), false),
        ] {
            assert_eq!(of(&text), good, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_fits(text in ".{0,200}") {
            let challenge = Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
            prop_assert!(text == VERIFIER || !challenge.fits(Some(&text)));
            let _ = Challenge::parse(Some(&text), Some("S256"));
        }
    }
}
