//! DOOR openidconnect: the OpenID Provider at which people sign in. Discovery, the code flow with PKCE and nonce, and the
//! id_token's signature, issuer, audience, nonce and time (OpenID Connect Core 1.0, section 3.1.3.7). Blocks the calling
//! thread; nothing here touches the database.

mod http;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, LoginHint, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl,
    RequestTokenError, Scope, StandardErrorResponse, TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Clock, Millis};
use crate::config::SignIn;
use crate::error::{Error, Kind, Result};
use crate::outside::{Published, Turns};

/// What the provider says of itself beyond OpenID Connect Discovery.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct More {
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// How long what the provider says of itself is believed, and how soon it may be asked again when a key is not known.
const KEPT_MS: Millis = 3_600_000;
const AGAIN_MS: Millis = 10_000;
/// So many may wait for the provider at once.
const AT_ONCE: usize = 8;

/// Signatures that only the provider can make. HMAC is none: the key is shared.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The provider of `[sign_in]`.
pub struct Provider {
    pub settings: SignIn,
    secret: Option<String>,
    http: http::Http,
    known: Published<Metadata>,
    turns: Turns,
}

/// One sign-in: what is sent and must come back, and what only this server knows of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where the provider sends the browser.
    pub redirect_uri: String,
    pub state: String,
    pub nonce: String,
    pub verifier: String,
    /// The person must sign in there now, whoever is signed in, and the provider say when: in no more than so many seconds
    /// before now.
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
}

/// What came back with the browser.
#[derive(Clone, Debug)]
pub struct Came {
    pub code: String,
    /// RFC 9207.
    pub iss: Option<String>,
}

/// Who the provider says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub issuer: String,
    pub subject: String,
    /// What the person is called there, for the list of accounts.
    pub name: Option<String>,
    pub fhir_user: Option<String>,
    /// Values of the claim of roles.
    pub roles: Vec<String>,
    pub auth_time: Option<Millis>,
}

const SILENT: &str = "The sign-in provider does not answer.";

/// The person gets no more than that; why stands in the log.
#[track_caller]
fn refused(cause: impl std::fmt::Display) -> Error {
    Error::new(Kind::Unauthenticated, "What the sign-in provider answered cannot be trusted, so you are not signed in. Start again.")
        .because(cause)
}

#[track_caller]
fn unreachable(cause: impl std::fmt::Display) -> Error {
    Error::new(Kind::Busy, SILENT).because(cause)
}

/// Why the token endpoint gave no token. What it sent is not repeated: it may hold one.
fn unanswered(e: RequestTokenError<http::Failed, StandardErrorResponse<CoreErrorResponseType>>) -> Error {
    use RequestTokenError::{Other, Parse, Request, ServerResponse};
    match e {
        Request(e) => unreachable(e),
        ServerResponse(said) => refused(format!("the token endpoint says {}", said.error().as_ref())),
        Parse(at, _) => refused(format!("the answer of the token endpoint cannot be read: {}", at.path())),
        Other(why) => refused(why),
    }
}

impl Provider {
    /// Reads the files that the settings name: `Kind::Setting` when one cannot be read.
    pub fn of(settings: SignIn) -> Result<Provider> {
        let read = |path: &std::path::Path, key: &str| {
            let says = |e| Error::new(Kind::Setting, format!("sign_in.{key} {} cannot be read ({e}); correct it", path.display()));
            std::fs::read_to_string(path).map_err(says)
        };
        let secret = match (&settings.client_secret, &settings.client_secret_file) {
            (Some(secret), _) => Some(secret.0.clone()),
            (None, Some(path)) => Some(read(path, "client_secret_file")?.trim().to_owned()),
            (None, None) => None,
        };
        let trusted = settings.ca_file.as_deref().map(|path| read(path, "ca_file")).transpose()?;
        Ok(Provider {
            http: http::Http::new(trusted.as_deref())?,
            settings,
            secret,
            known: Published::default(),
            turns: Turns::new(AT_ONCE),
        })
    }

    /// Where the browser goes to sign in. `Kind::Busy` when the provider does not answer, or too many wait for it.
    pub fn start(&self, attempt: &Attempt, clock: &Clock) -> Result<String> {
        let metadata = self.metadata(clock, KEPT_MS)?;
        let client = self.client(&metadata, attempt)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, || CsrfToken::new(state), || Nonce::new(nonce))
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if let Some(seconds) = attempt.max_age {
            // With max_age the id_token must have auth_time (OpenID Connect Core 1.0, section 3.1.2.1).
            request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::from_secs(seconds));
        }
        if let Some(hint) = &attempt.login_hint {
            request = request.set_login_hint(LoginHint::new(hint.clone()));
        }
        Ok(request.url().0.to_string())
    }

    /// Who signed in. What does not fit is `Kind::Unauthenticated`.
    pub fn finish(&self, attempt: &Attempt, came: &Came, clock: &Clock) -> Result<Person> {
        let metadata = self.metadata(clock, KEPT_MS)?;
        let now = clock.now();
        self.answered_by(&metadata, came)?;
        let client = self.client(&metadata, attempt)?;
        let request = client.exchange_code(AuthorizationCode::new(came.code.clone())).map_err(refused)?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let answer = {
            let _turn = self.turns.take()?;
            request.request(&|request| self.http.call(request)).map_err(unanswered)?
        };
        let token = answer.id_token().ok_or_else(|| refused("there is no id_token"))?;
        let nonce = Nonce::new(attempt.nonce.clone());
        let verified = |metadata: &Metadata| -> Result<String> {
            let client = self.client(metadata, attempt)?;
            let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || moment(now));
            let claims = token.claims(&verifier, &nonce).map_err(refused)?;
            if let Some(wanted) = claims.access_token_hash() {
                let (algorithm, key) = (token.signing_alg().map_err(refused)?, token.signing_key(&verifier).map_err(refused)?);
                let own = openidconnect::AccessTokenHash::from_token(answer.access_token(), algorithm, key).map_err(refused)?;
                if own != *wanted {
                    return Err(refused("at_hash is that of another access token"));
                }
            }
            Ok(token.to_string())
        };
        // Its keys may be new since they were last asked for.
        let whole = verified(&metadata).or_else(|e| match self.metadata(clock, AGAIN_MS) {
            Ok(newer) if !Arc::ptr_eq(&newer, &metadata) => verified(&newer),
            _ => Err(e),
        })?;
        self.person(&whole)
    }

    /// RFC 9207, section 2.4: the answer of another provider is not taken for one of this.
    fn answered_by(&self, metadata: &Metadata, came: &Came) -> Result<()> {
        match came.iss.as_deref() {
            Some(iss) if iss == self.settings.issuer => Ok(()),
            Some(iss) => Err(refused(format!("another issuer answers: {iss}"))),
            None if metadata.additional_metadata().authorization_response_iss_parameter_supported => Err(refused("the answer has no iss")),
            None => Ok(()),
        }
    }

    /// What the provider says of itself, and its keys, no older than so long.
    fn metadata(&self, clock: &Clock, oldest: Millis) -> Result<Arc<Metadata>> {
        let now = clock.now();
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(Error::bug)?;
        let ask = || Metadata::discover(&issuer, &|request| self.http.call(request)).map_err(|e| unreachable(format!("{e:?}")));
        let known = self.known.get((clock, &self.turns), |at, _| now < at + oldest, ask)?;
        known.ok_or_else(|| Error::new(Kind::Busy, SILENT))
    }

    fn client(&self, metadata: &Metadata, attempt: &Attempt) -> Result<Client> {
        let secret = self.secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(self.settings.client_id.clone()), secret);
        Ok(client.set_redirect_uri(RedirectUrl::new(attempt.redirect_uri.clone()).map_err(Error::bug)?))
    }

    /// The claims of an id_token that was verified.
    fn person(&self, token: &str) -> Result<Person> {
        let part = token.split('.').nth(1).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).map_err(refused)?).map_err(refused)?;
        let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let roles = self.settings.role_claim.as_deref().map(|claim| values(within(&claims, claim))).unwrap_or_default();
        Ok(Person {
            issuer: self.settings.issuer.clone(),
            subject: text("sub").ok_or_else(|| refused("there is no sub"))?,
            name: text("preferred_username").or_else(|| text("email")).or_else(|| text("name")),
            fhir_user: within(&claims, &self.settings.fhir_user_claim).as_str().map(str::to_owned),
            roles,
            auth_time: claims["auth_time"].as_i64().map(|seconds| seconds.saturating_mul(1_000)),
        })
    }
}

/// A claim by its name, or one inside another: `realm_access.roles`.
fn within<'c>(claims: &'c Value, claim: &str) -> &'c Value {
    match claims.get(claim) {
        Some(found) => found,
        None => claim.split('.').fold(claims, |at, part| &at[part]),
    }
}

/// One text, or a list of them.
fn values(claim: &Value) -> Vec<String> {
    let all = claim.as_array().map_or_else(|| std::slice::from_ref(claim), Vec::as_slice);
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn moment(now: Millis) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_found_by_name_and_inside_others() {
        let claims = json!({"groups": ["a", 7, "b"], "role": "c", "realm_access": {"roles": ["d"]}, "https://x.example/r": "e"});
        for (claim, wanted) in [
            ("groups", vec!["a", "b"]),
            ("role", vec!["c"]),
            ("realm_access.roles", vec!["d"]),
            ("https://x.example/r", vec!["e"]),
            ("none", vec![]),
        ] {
            assert_eq!(values(within(&claims, claim)), wanted, "{claim}");
        }
    }
}
