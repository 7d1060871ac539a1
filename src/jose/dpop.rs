//! DPoP proofs (RFC 9449 section 4.3): a request was sent by who holds a key.

use super::compact::{Jws, encode};
use super::json::{self, Object, text};
use super::{Algorithm, PublicKey, Why, refused, uri};
use crate::clock::Millis;
use crate::error::Result;
use crate::vault::{digest, secrets_equal};

/// `dpop_signing_alg_values_supported` of the discovery documents.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es384];

const TYP: &str = "dpop+jwt";

/// How far `iat` may be from now, to either side.
const WINDOW: Millis = 60_000;

/// Members that change what a signature means, or say of another key.
const REFUSED: [&str; 5] = ["crit", "b64", "jku", "x5u", "x5c"];

/// An access token that came with the proof, and the key to which it is bound (`cnf.jkt`).
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    pub token: &'a str,
    pub jkt: &'a str,
}

/// The request that the proof came with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The address as the client sees it.
    pub uri: &'a str,
    /// `None` at the token endpoint.
    pub presented: Option<Presented<'a>>,
    /// The nonces that are good now; `None` when none is demanded.
    pub nonces: Option<&'a [&'a str]>,
    pub now: Millis,
}

/// A key was proved, if this `jti` was not seen before from it. The caller keeps the pair until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The RFC 7638 thumbprint of the key: `cnf.jkt` of the tokens that are bound to it.
    pub jkt: String,
    pub jti: String,
    /// From then on `iat` refuses the same proof.
    pub until: Millis,
}

/// A proof that is good but for its nonce is answered otherwise (`use_dpop_nonce`, section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    Good(Proof),
    NonceWanted,
}

pub fn verify(proof: &str, request: &Request<'_>) -> Result<Checked> {
    read(proof, request).map_err(|why| refused(why))
}

fn read(proof: &str, request: &Request<'_>) -> Result<Checked, Why> {
    let jws = Jws::parse(proof)?;
    let algorithm = jws.pinned(&ALGORITHMS, TYP)?;
    jws.without(&REFUSED)?;
    let jwk = jws.header.get("jwk").and_then(|jwk| jwk.as_object()).ok_or("no jwk")?;
    let key = PublicKey::from_jwk(jwk)?;
    let claims = jws.claims(algorithm, &key)?;
    let proof = judged(&claims, key.thumbprint(), request)?;
    if let Some(presented) = &request.presented {
        bound(&claims, &proof.jkt, presented)?;
    }
    match request.nonces {
        Some(good) if !good.iter().any(|nonce| text(&claims, "nonce") == Some(nonce)) => Ok(Checked::NonceWanted),
        _ => Ok(Checked::Good(proof)),
    }
}

fn judged(claims: &Object, jkt: String, request: &Request<'_>) -> Result<Proof, Why> {
    if text(claims, "htm") != Some(request.method) {
        return Err("htm is another method");
    }
    let here = uri::normal(request.uri).ok_or("the address of the request has no normal form")?;
    if text(claims, "htu").and_then(uri::normal).as_ref() != Some(&here) {
        return Err("htu is another address");
    }
    let iat = json::seconds(claims, "iat")?.ok_or("no iat")? * 1000;
    if !(iat - WINDOW..=iat + WINDOW).contains(&request.now) {
        return Err("iat is more than 60 seconds away");
    }
    let jti = text(claims, "jti").filter(|jti| (1..=255).contains(&jti.chars().count())).ok_or("no jti of 1 to 255 characters")?;
    Ok(Proof { jkt, jti: jti.to_owned(), until: iat + WINDOW + 1 })
}

/// Steps 10 and 12 of section 4.3.
fn bound(claims: &Object, jkt: &str, presented: &Presented<'_>) -> Result<(), Why> {
    let ath = encode(&digest(&[presented.token.as_bytes()]));
    if !text(claims, "ath").is_some_and(|said| secrets_equal(said.as_bytes(), ath.as_bytes())) {
        return Err("ath is not the hash of the token");
    }
    if !secrets_equal(jkt.as_bytes(), presented.jkt.as_bytes()) {
        return Err("the token is bound to another key");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::forge;
    use super::*;
    use crate::error::Kind;

    const NOW: Millis = 1_700_000_000_000;
    const REQUEST: Request<'static> =
        Request { method: "POST", uri: "https://firth.example/oauth/token", presented: None, nonces: None, now: NOW };

    /// RFC 9449 sections 4.1 and 7.1.
    const AT_TOKEN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    const AT_RESOURCE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    #[test]
    fn proofs_of_the_rfc() {
        let request = Request { uri: "https://server.example.com/token", now: 1_562_262_616_000, ..REQUEST };
        let proof = Proof { jkt: JKT.into(), jti: "-BwC3ESc6acc2lTc".into(), until: 1_562_262_676_001 };
        assert_eq!(verify(AT_TOKEN, &request).unwrap(), Checked::Good(proof));
        let request = Request {
            method: "GET",
            uri: "https://resource.example.org/protectedresource",
            presented: Some(Presented { token: TOKEN, jkt: JKT }),
            nonces: None,
            now: 1_562_262_618_000,
        };
        assert!(matches!(verify(AT_RESOURCE, &request).unwrap(), Checked::Good(_)));
    }

    fn claims() -> Value {
        json!({"jti": "j1", "htm": "POST", "htu": "https://firth.example/oauth/token", "iat": NOW / 1000})
    }

    fn header(ec: &forge::Ec) -> Value {
        json!({"typ": "dpop+jwt", "alg": ec.algorithm.name(), "jwk": ec.public.to_jwk()})
    }

    fn proof(claims: &Value) -> String {
        with_header(header(&forge::Ec::p256()), claims)
    }

    fn with_header(header: Value, claims: &Value) -> String {
        forge::token(&header.to_string(), &claims.to_string(), |text| forge::Ec::p256().sign(text))
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    #[track_caller]
    fn refuse(proof: &str, request: &Request<'_>, why: &str) {
        let error = verify(proof, request).expect_err(why);
        assert_eq!((error.kind, error.says()), (Kind::Unauthenticated, "The credential is not valid."));
        assert_eq!(error.cause.as_deref(), Some(why));
    }

    #[test]
    fn three_algorithms() {
        for ec in [forge::Ec::p256(), forge::Ec::p384()] {
            let token = forge::token(&header(&ec).to_string(), &claims().to_string(), |text| ec.sign(text));
            let good = Proof { jkt: ec.public.thumbprint(), jti: "j1".into(), until: NOW + 60_001 };
            assert_eq!(verify(&token, &REQUEST).unwrap(), Checked::Good(good));
        }
        let ed = forge::ed25519(1, 0, None);
        let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": ed.public.to_jwk(), "kid": "ignored"});
        let token = forge::token(&header.to_string(), &claims().to_string(), |text| ed.sign(text).unwrap());
        assert!(verify(&token, &REQUEST).is_ok());
    }

    #[test]
    fn headers() {
        let p256 = || header(&forge::Ec::p256());
        for alg in ["none", "HS256", "RS256", "PS256", "es256"] {
            refuse(&with_header(with(p256(), "alg", json!(alg)), &claims()), &REQUEST, "alg is not one of this use");
        }
        for alg in ["ES384", "EdDSA"] {
            refuse(&with_header(with(p256(), "alg", json!(alg)), &claims()), &REQUEST, "alg is not one of this key");
        }
        for typ in ["JWT", "at+jwt", "DPOP+JWT"] {
            refuse(&with_header(with(p256(), "typ", json!(typ)), &claims()), &REQUEST, "typ is not that of this use");
        }
        for name in REFUSED {
            refuse(&with_header(with(p256(), name, json!([])), &claims()), &REQUEST, "the header holds a member that is refused");
        }
        for jwk in [Value::Null, json!("x"), json!([])] {
            refuse(&with_header(with(p256(), "jwk", jwk), &claims()), &REQUEST, "no jwk");
        }
        let secret = with(forge::Ec::p256().public.to_jwk(), "d", json!("AQ"));
        refuse(&with_header(with(p256(), "jwk", secret), &claims()), &REQUEST, "a private key");
        let shared = json!({"kty": "oct", "k": "AQ"});
        refuse(&with_header(with(p256(), "jwk", shared), &claims()), &REQUEST, "a private key");
        // Another's public key in the header, and a point that is not on the curve.
        let other = forge::Ec::p384().public.to_jwk();
        refuse(
            &with_header(with(with(p256(), "alg", json!("ES384")), "jwk", other), &claims()),
            &REQUEST,
            "the signature is not that of the key",
        );
        let nowhere = with(forge::Ec::p256().public.to_jwk(), "x", json!(encode(&[1; 32])));
        refuse(&with_header(with(p256(), "jwk", nowhere), &claims()), &REQUEST, "the signature is not that of the key");
    }

    #[test]
    fn the_request_must_be_the_one() {
        refuse(&proof(&claims()), &Request { method: "GET", ..REQUEST }, "htm is another method");
        refuse(&proof(&with(claims(), "htm", json!("post"))), &REQUEST, "htm is another method");
        for uri in ["https://firth.example/oauth/token?a=1", "https://FIRTH.example:443/oauth/./token#x"] {
            assert!(verify(&proof(&claims()), &Request { uri, ..REQUEST }).is_ok());
            assert!(verify(&proof(&with(claims(), "htu", json!(uri))), &REQUEST).is_ok());
        }
        for htu in [
            "http://firth.example/oauth/token",
            "https://firth.example/oauth/token/",
            "https://evil.example/oauth/token",
            "/oauth/token",
            "",
        ] {
            refuse(&proof(&with(claims(), "htu", json!(htu))), &REQUEST, "htu is another address");
        }
        for (off, good) in [(-60_000, true), (60_000, true), (-60_001, false), (60_001, false), (120_000, false), (-120_000, false)] {
            assert_eq!(verify(&proof(&claims()), &Request { now: NOW + off, ..REQUEST }).is_ok(), good, "{off}");
        }
        refuse(&proof(&claims()), &Request { now: NOW + 60_001, ..REQUEST }, "iat is more than 60 seconds away");
        for jti in [json!(""), json!("j".repeat(256)), json!(7)] {
            refuse(&proof(&with(claims(), "jti", jti)), &REQUEST, "no jti of 1 to 255 characters");
        }
        for (name, why) in [
            ("htm", "htm is another method"),
            ("htu", "htu is another address"),
            ("iat", "no iat"),
            ("jti", "no jti of 1 to 255 characters"),
        ] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(name);
            refuse(&proof(&less), &REQUEST, why);
        }
    }

    #[test]
    fn a_token_is_used_by_its_key() {
        let jkt = forge::Ec::p256().public.thumbprint();
        let of = |token, jkt| Request { presented: Some(Presented { token, jkt }), ..REQUEST };
        let good = proof(&with(claims(), "ath", json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")));
        assert!(verify(&good, &of(TOKEN, &jkt)).is_ok());
        refuse(&good, &of("another", &jkt), "ath is not the hash of the token");
        refuse(&proof(&claims()), &of(TOKEN, &jkt), "ath is not the hash of the token");
        refuse(&good, &of(TOKEN, JKT), "the token is bound to another key");
        refuse(&good, &of(TOKEN, ""), "the token is bound to another key");
    }

    #[test]
    fn nonces() {
        let of = |nonces| Request { nonces: Some(nonces), ..REQUEST };
        let (with_a, with_b) = (proof(&with(claims(), "nonce", json!("a"))), proof(&with(claims(), "nonce", json!("b"))));
        assert!(matches!(verify(&with_a, &of(&["z", "a"])).unwrap(), Checked::Good(_)));
        assert!(matches!(verify(&with_a, &REQUEST).unwrap(), Checked::Good(_)), "a nonce that nobody asked for");
        for other in [&with_b, &proof(&claims()), &proof(&with(claims(), "nonce", json!(["a"])))] {
            assert_eq!(verify(other, &of(&["z", "a"])).unwrap(), Checked::NonceWanted);
        }
        assert_eq!(verify(&with_a, &of(&[])).unwrap(), Checked::NonceWanted);
        refuse(&proof(&with(claims(), "htm", json!("GET"))), &of(&["a"]), "htm is another method");
    }

    proptest! {
        #[test]
        fn another_byte_anywhere_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let request = Request { uri: "https://server.example.com/token", now: 1_562_262_616_000, ..REQUEST };
            forge::with_byte(AT_TOKEN, at, byte, |other| verify(other, &request).is_ok())?;
        }

        #[test]
        fn noise_is_refused(noise in "[ -~]{0,60}", claims in ".{0,40}") {
            let signed = forge::token(&header(&forge::Ec::p256()).to_string(), &claims, |text| forge::Ec::p256().sign(text));
            for token in [noise.clone(), format!("{noise}.{noise}.{noise}"), signed] {
                prop_assert!(verify(&token, &REQUEST).is_err());
            }
        }
    }
}
