//! Clients of the authorization server: their keys, their assertions, their requests.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use super::actors::value_of;
use super::http::{self, Client, Reply};
use super::server::TestServer;

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a client has its own clock")]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() as i64
}

pub fn once() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// SHA-256 in base64url: a code challenge, `ath`.
pub fn sha256(text: &str) -> String {
    base64url(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}

/// A key pair of a client, by the name of its algorithm.
pub struct Pair {
    pub alg: &'static str,
    pub kid: String,
    pub jwk: Value,
    pub pkcs8: Vec<u8>,
}

static RSA: LazyLock<Vec<u8>> = LazyLock::new(|| firth::jose::Family::Rsa.make(firth::chance::Chance).expect("a key").to_vec());

fn curve(alg: &str) -> &'static EcdsaSigningAlgorithm {
    if alg == "ES256" { &signature::ECDSA_P256_SHA256_FIXED_SIGNING } else { &signature::ECDSA_P384_SHA384_FIXED_SIGNING }
}

impl Pair {
    /// ES256 or ES384: a new one. RS384: the same one during a run.
    pub fn new(alg: &'static str) -> Pair {
        let random = SystemRandom::new();
        let kid = once();
        let (pkcs8, mut jwk) = if alg == "RS384" {
            let pair = RsaKeyPair::from_pkcs8(&RSA).expect("a key");
            let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
            (RSA.clone(), json!({"kty": "RSA", "n": base64url(public.n), "e": base64url(public.e)}))
        } else {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve(alg), &random).expect("a key").as_ref().to_vec();
            let pair = EcdsaKeyPair::from_pkcs8(curve(alg), &pkcs8, &random).expect("a key");
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            (pkcs8, json!({"crv": if alg == "ES256" { "P-256" } else { "P-384" }, "kty": "EC", "x": base64url(x), "y": base64url(y)}))
        };
        if alg != "ES256" {
            jwk["kid"] = json!(kid);
        }
        Pair { alg, kid, jwk, pkcs8 }
    }

    fn signature(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        if self.alg == "RS384" {
            let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).expect("a key");
            let mut made = vec![0; pair.public().modulus_len()];
            pair.sign(&signature::RSA_PKCS1_SHA384, &random, text, &mut made).expect("a signature");
            return made;
        }
        let pair = EcdsaKeyPair::from_pkcs8(curve(self.alg), &self.pkcs8, &random).expect("a key");
        pair.sign(&random, text).expect("a signature").as_ref().to_vec()
    }

    /// A JWS of what is said, whatever the header says of it.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let made = self.signature(text.as_bytes());
        format!("{text}.{}", base64url(made))
    }

    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk]})
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        let of = |name: &str| self.jwk[name].as_str().expect("a member");
        sha256(&format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, of("crv"), of("x"), of("y")))
    }

    /// A DPoP proof; `more` changes its claims.
    pub fn proof(&self, method: &str, uri: &str, more: &Value) -> String {
        let mut claims = json!({"jti": once(), "htm": method, "htu": uri, "iat": now()});
        merge(&mut claims, more);
        self.sign(&json!({"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk}), &claims)
    }
}

/// Puts members in the place of others; null takes one away.
pub fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(into.as_object_mut().expect("an object").remove(name)),
            value => into[name] = value.clone(),
        }
    }
}

fn escaped(text: &str) -> String {
    let one = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A form to an address, with headers.
#[track_caller]
pub fn post(url: &str, pairs: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<(String, String)> = headers.iter().chain(&[FORM]).map(|(name, value)| ((*name).into(), (*value).into())).collect();
    http::call("POST", url, &headers, Some(form(pairs).as_bytes())).unwrap_or_else(|e| panic!("POST {url}: {e}"))
}

pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{}:{}", escaped(id), escaped(secret)).as_bytes()))
}

/// The middle of a JWS.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON")
}

pub fn header(token: &str) -> Value {
    let part = token.split('.').next().expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON")
}

/// What RFC 6749 section 5.2 wants of a refusal.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status, reply.at("/error")), (status, json!(error)), "{}", reply.text());
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
    let says = reply.text_at("/error_description");
    assert!(says.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'), "{says}");
}

impl Client<'_> {
    #[track_caller]
    pub fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        self.with(FORM.0, FORM.1).send("POST", path, Some(form(pairs).as_bytes()))
    }
}

/// A backend service: a client with a key and a role.
pub struct Service<'s> {
    pub server: &'s TestServer,
    pub id: String,
    pub pair: Pair,
}

pub const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl TestServer {
    /// A client of `firth client add`, and its secret.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> (String, Option<String>) {
        let printed = self.place.tells(&[&["client", "add"], arguments].concat());
        let secret = printed.contains("client_secret=").then(|| value_of(&printed, "client_secret"));
        secret.iter().for_each(|secret| self.plant(secret));
        (value_of(&printed, "client_id"), secret)
    }

    /// Writes a JWK Set to a file that verbs can read.
    pub fn jwks_file(&self, pair: &Pair) -> String {
        let path = self.place.path().join(format!("{}.json", pair.kid));
        std::fs::write(&path, pair.jwks().to_string()).expect("a file");
        path.to_string_lossy().into_owned()
    }

    #[track_caller]
    pub fn service(&self, alg: &'static str, arguments: &[&str]) -> Service<'_> {
        let pair = Pair::new(alg);
        let file = self.jwks_file(&pair);
        let (id, _) = self.client(&[&["--name", "A service", "--jwks", &file], arguments].concat());
        Service { server: self, id, pair }
    }

    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.url())
    }
}

impl Service<'_> {
    /// An assertion as SMART App Launch 2.2 wants it; `header` and `claims` change it.
    pub fn assertion(&self, header: &Value, claims: &Value) -> String {
        let mut head = json!({"alg": self.pair.alg, "typ": "JWT", "kid": self.pair.kid});
        let mut body = json!({"iss": self.id, "sub": self.id, "aud": self.server.token_url(), "exp": now() + 200, "jti": once()});
        merge(&mut head, header);
        merge(&mut body, claims);
        self.pair.sign(&head, &body)
    }

    #[track_caller]
    pub fn ask(&self, assertion: &str, scope: &str) -> Reply {
        let pairs =
            [("grant_type", "client_credentials"), ("scope", scope), ("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
        self.server.nobody().form("/oauth/token", &pairs)
    }

    /// An access token.
    #[track_caller]
    pub fn token(&self, scope: &str) -> String {
        let token = self.ask(&self.assertion(&json!({}), &json!({})), scope).is(200).text_at("/access_token");
        self.server.plant(&token);
        token
    }
}
