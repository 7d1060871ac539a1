//! An authorization request, once it is known to be one of an approved client with a redirect_uri of its own.

use serde::{Deserialize, Serialize};

use super::Parameters;
use super::redirect::Told;
use crate::app::App;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::ClientId;
use crate::jose::pkce::Challenge;
use crate::ledger::clients::{self, CODE, Client, Status};
use crate::ledger::launches::Launch;

/// What the app asked for; it goes from page to page in the sealed field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub client: String,
    pub redirect_uri: String,
    pub state: String,
    pub scope: String,
    pub challenge: String,
    pub nonce: Option<String>,
    /// `dpop_jkt` (RFC 9449 section 10).
    pub jkt: Option<String>,
    /// The parameter, and what the EHR had open.
    pub launch: Option<(String, Launch)>,
    /// The person must have signed in after this moment.
    pub fresh_after: Option<Millis>,
    pub prompt: Prompt,
    /// What the app believes that the person types to sign in.
    pub login_hint: Option<String>,
}

/// OpenID Connect Core 1.0, section 3.1.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    #[default]
    Absent,
    /// No page may be shown.
    None,
    /// The person is asked to agree, whatever was agreed before.
    Consent,
}

/// Where errors go.
#[derive(Clone, Debug)]
pub struct Back {
    pub redirect_uri: String,
    pub state: Option<String>,
}

/// Longer ones are no honest `state`, `nonce` or `login_hint`.
const LONGEST: usize = 2_048;

/// Whose request it is and where the answer goes; `Kind::Invalid` is for a page. Nothing is sent to an address that nobody
/// registered.
pub fn who(app: &App, parameters: &Parameters) -> Result<(Client, Back)> {
    let refused = |says: &str| Error::new(Kind::Invalid, says.to_owned());
    if let Some(name) = parameters.twice(&["client_id", "redirect_uri"]) {
        return Err(refused(&format!("The app sent {name} twice.")));
    }
    let unknown = || refused("The app that sent you here is not known to this server. Tell its makers that its client_id is wrong.");
    let id = parameters.one("client_id").and_then(|id| ClientId::parse(id).ok()).ok_or_else(unknown)?;
    let client = app.db.read("client", |tx| clients::get(tx, &app.vault, id))?.ok_or_else(unknown)?;
    match client.status {
        Status::Approved => {}
        Status::Waiting => {
            let says = format!(
                "{} is registered here but not approved yet. Ask the people who run this server to approve the client {id}.",
                client.facts.name
            );
            return Err(refused(&says));
        }
        Status::Disabled => return Err(refused(&format!("{} is not allowed on this server any more.", client.facts.name))),
    }
    let Some(redirect_uri) = parameters.one("redirect_uri").filter(|uri| !uri.is_empty()) else {
        return Err(refused(&format!("{} did not say where it wants to be answered: redirect_uri is missing.", client.facts.name)));
    };
    if !client.facts.redirect_uris.iter().any(|known| fits(known, redirect_uri)) {
        let says =
            format!("{} wants to be answered at an address that is not registered for it, so you are sent nowhere.", client.facts.name);
        return Err(refused(&says));
    }
    let state = parameters.one("state").filter(|_| parameters.twice(&["state"]).is_none()).map(str::to_owned);
    Ok((client, Back { redirect_uri: redirect_uri.to_owned(), state }))
}

/// Letter for letter (RFC 9700 section 2.1); of an app on the person's own machine the port may differ (RFC 8252 section
/// 7.3).
fn fits(known: &str, given: &str) -> bool {
    known == given || matches!((loopback(known), loopback(given)), (Some(known), Some(given)) if known == given)
}

/// Host and path of an app on the person's own machine, without the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| authority.starts_with(host))?;
    let port = &authority[host.len()..];
    let fine = port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    fine.then_some((host, path))
}

/// Parameters that this server reads.
const READ: [&str; 19] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "aud",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "launch",
    "prompt",
    "max_age",
    "login_hint",
    "response_mode",
    "request",
    "request_uri",
    "dpop_jkt",
    "id_token_hint",
    "acr_values",
];

/// What is asked, without its launch; the error goes to the app.
pub fn what(app: &App, client: &Client, back: &Back, parameters: &Parameters) -> Result<Asked, Told> {
    let invalid = |says: String| Told::new("invalid_request", says);
    if let Some(name) = parameters.twice(&READ) {
        return Err(invalid(format!("{name} is given twice.")));
    }
    for (name, error) in [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")] {
        if parameters.one(name).is_some() {
            return Err(Told::new(error, format!("{name} is not supported; send each parameter by itself.")));
        }
    }
    match parameters.one("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing; it is code.".into())),
        Some(_) => return Err(Told::new("unsupported_response_type", "response_type must be code.".into())),
    }
    if !client.facts.may(CODE) {
        return Err(Told::new("unauthorized_client", "The client is not registered for the authorization code grant.".into()));
    }
    if parameters.one("response_mode").is_some_and(|mode| mode != "query") {
        return Err(invalid("response_mode must be query.".into()));
    }
    let state = back.state.clone().ok_or_else(|| invalid("state is missing; it must hold what cannot be guessed.".into()))?;
    for name in ["state", "nonce", "login_hint", "launch"] {
        if parameters.one(name).is_some_and(|value| value.len() > LONGEST) {
            return Err(invalid(format!("{name} is longer than {LONGEST} bytes.")));
        }
    }
    audience(app, parameters)?;
    let challenge = Challenge::parse(parameters.one("code_challenge"), parameters.one("code_challenge_method"));
    let challenge = challenge.map_err(|e| invalid(e.says().to_owned()))?;
    let (prompt, fresh_after) = freshness(app, parameters)?;
    Ok(Asked {
        client: client.id.to_string(),
        redirect_uri: back.redirect_uri.clone(),
        state,
        scope: parameters.one("scope").unwrap_or_default().to_owned(),
        challenge: challenge.text(),
        nonce: parameters.one("nonce").map(str::to_owned),
        jkt: thumbprint(parameters)?,
        launch: None,
        fresh_after,
        prompt,
        login_hint: parameters.one("login_hint").map(str::to_owned),
    })
}

/// `aud` names this server's FHIR base (SMART App Launch 2.2), so that a token is not fetched here for a server that only
/// claims to be this one. `resource` (RFC 8707) says the same, and may stand more than once.
fn audience(app: &App, parameters: &Parameters) -> Result<(), Told> {
    let base = format!("{}/fhir", app.public_url);
    let ours = |value: &str| value.strip_suffix('/').unwrap_or(value) == base;
    if parameters.0.iter().any(|(name, value)| name == "resource" && !ours(value)) {
        return Err(Told::new("invalid_target", format!("resource must be {base}.")));
    }
    match parameters.one("aud").or_else(|| parameters.one("resource")) {
        Some(value) if ours(value) => Ok(()),
        Some(_) => Err(Told::new("invalid_request", format!("aud must be {base}."))),
        None => Err(Told::new("invalid_request", format!("aud is missing; it is {base}."))),
    }
}

fn freshness(app: &App, parameters: &Parameters) -> Result<(Prompt, Option<Millis>), Told> {
    let invalid = |says: &str| Told::new("invalid_request", says.to_owned());
    let now = app.clock.now();
    let words: Vec<&str> = parameters.one("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    if let Some(word) = words.iter().find(|word| !["none", "login", "consent", "select_account"].contains(word)) {
        return Err(invalid(&format!("prompt does not know {word}.")));
    }
    if words.contains(&"none") && words.len() > 1 {
        return Err(invalid("prompt is none or something else, not both."));
    }
    // A session is of one account: to choose another is to sign in.
    let again = words.contains(&"login") || words.contains(&"select_account");
    let max_age = match parameters.one("max_age").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(now - i64::from(seconds) * 1_000),
        Some(Err(_)) => return Err(invalid("max_age is a number of seconds.")),
    };
    let prompt = match () {
        () if words.contains(&"none") => Prompt::None,
        () if words.contains(&"consent") => Prompt::Consent,
        () => Prompt::Absent,
    };
    Ok((prompt, if again { Some(now) } else { max_age }))
}

fn thumbprint(parameters: &Parameters) -> Result<Option<String>, Told> {
    let Some(jkt) = parameters.one("dpop_jkt") else { return Ok(None) };
    let good = jkt.len() == 43 && jkt.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if good { Ok(Some(jkt.to_owned())) } else { Err(Told::new("invalid_request", "dpop_jkt is a SHA-256 thumbprint in base64url.".into())) }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn only_the_port_of_an_app_on_the_own_machine_may_differ() {
        for (known, given, wanted) in [
            ("https://app.example/cb", "https://app.example/cb", true),
            ("https://app.example/cb", "https://app.example/cb/", false),
            ("https://app.example/cb", "https://app.example/cb?x=1", false),
            ("https://app.example/cb", "https://app.example/CB", false),
            ("https://app.example/cb", "https://app.example:444/cb", false),
            ("https://app.example/cb", "https://app.example.evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:4711/cb", true),
            ("http://[::1]:1/cb", "http://[::1]:4711/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:4711/other", false),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:4711@evil.example/cb", false),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1.evil.example/cb", false),
            ("http://localhost:1/cb", "http://localhost:2/cb", false),
            ("https://127.0.0.1:1/cb", "https://127.0.0.1:2/cb", false),
            ("", "", true),
        ] {
            assert_eq!(fits(known, given), wanted, "{known} {given}");
        }
    }
}
