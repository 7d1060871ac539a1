//! What may be registered of a client (RFC 7591 section 2), whoever registers it.

use super::addresses;
use super::clients::{CODE, CREDENTIALS, Facts, Proof, REFRESH};
use crate::access::{Context, Requested};
use crate::error::{Error, Kind, Result};
use crate::jose::ClientKeys;
use crate::policy;

/// What an app may ask for that names nothing.
pub const DEFAULT_SCOPES: &str =
    "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.rs user/*.rs";

const MOST: usize = 20;

fn refused(at: &'static str, says: impl Into<String>) -> Error {
    Error::new(Kind::MetadataRefused, says).at(at)
}

/// Refuses what does not go together, and what could not be used safely.
pub fn check(facts: &Facts) -> Result<()> {
    let name = facts.name.trim();
    if name.is_empty() || facts.name.chars().count() > 200 || facts.name.chars().any(char::is_control) {
        return Err(refused("client_name", "a name has 1 to 200 characters and no control characters"));
    }
    grant_types(facts)?;
    if facts.redirect_uris.len() > MOST || facts.contacts.len() > MOST || facts.origins.len() > MOST {
        return Err(refused("redirect_uris", "there are at most 20 redirect URIs, contacts and origins"));
    }
    if facts.contacts.iter().any(|contact| contact.len() > 200) {
        return Err(refused("contacts", "a contact has at most 200 bytes"));
    }
    facts.redirect_uris.iter().try_for_each(|uri| addresses::redirect(uri))?;
    facts.origins.iter().try_for_each(|origin| addresses::origin(origin))?;
    for (name, uri) in [("logo_uri", &facts.logo_uri), ("client_uri", &facts.client_uri), ("launch_uri", &facts.launch_uri)] {
        uri.as_deref().map_or(Ok(()), |uri| addresses::page(name, uri))?;
    }
    keys(facts)
}

pub fn grant_types(facts: &Facts) -> Result<()> {
    if facts.grant_types.is_empty() || facts.grant_types.iter().any(|known| ![CODE, REFRESH, CREDENTIALS].contains(&known.as_str())) {
        return Err(refused("grant_types", "they are authorization_code, refresh_token and client_credentials"));
    }
    if facts.may(CREDENTIALS) && facts.kind != Proof::Keys {
        return Err(refused("grant_types", "client_credentials is for clients that prove who they are by private_key_jwt"));
    }
    if facts.may(REFRESH) && !facts.may(CODE) {
        return Err(refused("grant_types", "refresh_token goes with authorization_code"));
    }
    if facts.may(CODE) == facts.redirect_uris.is_empty() {
        let says = if facts.may(CODE) { "authorization_code needs a redirect URI" } else { "a redirect URI goes with authorization_code" };
        return Err(Error::new(Kind::RedirectRefused, says).at("redirect_uris"));
    }
    Ok(())
}

fn keys(facts: &Facts) -> Result<()> {
    match (facts.kind, &facts.jwks, &facts.jwks_uri) {
        (Proof::Keys, Some(jwks), None) => ClientKeys::parse(jwks).map(drop).map_err(|e| {
            let at = e.issues.first().and_then(|issue| issue.at.clone()).unwrap_or_else(|| "jwks".into());
            Error::new(Kind::MetadataRefused, e.says().to_owned()).at(at)
        }),
        (Proof::Keys, None, Some(uri)) => addresses::key_set(uri, facts.jwks_private),
        (Proof::Keys, ..) => Err(refused("jwks", "private_key_jwt needs either jwks or jwks_uri")),
        (_, None, None) => Ok(()),
        _ => Err(refused("jwks", "keys go with private_key_jwt")),
    }
}

/// The scopes that can be granted to such a client, of those that are asked to be registered: of several contexts, if they
/// are. What is badly written is refused; what is not served, or is not had by its grant types, is left out.
pub fn scopes(text: &str, facts: &Facts) -> Result<String> {
    let mut known: Vec<String> = Vec::new();
    if text.len() > 8_192 {
        return Err(refused("scope", "the scopes are longer than 8,192 bytes"));
    }
    for word in text.split_whitespace() {
        let asked = Requested::parse(word, &policy::offer).map_err(|e| refused("scope", e.says().to_owned()))?;
        // A system's are had by client_credentials, all others by who signs in.
        let of_system = asked.scopes.of_one_context()? == Some(Context::System);
        let granted_by = if of_system { CREDENTIALS } else { CODE };
        if asked.unknown.is_empty() && facts.may(granted_by) && !known.iter().any(|one| one == word) {
            known.push(word.to_owned());
        }
    }
    Ok(known.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> Facts {
        let mut facts = Facts::new("An app", Proof::Public);
        facts.redirect_uris = vec!["https://app.example/cb".into()];
        facts.grant_types = vec![CODE.into(), REFRESH.into()];
        facts
    }

    #[test]
    fn what_goes_together() {
        assert!(check(&app()).is_ok());
        let changed = |change: fn(&mut Facts)| {
            let mut facts = app();
            change(&mut facts);
            check(&facts).expect_err("is refused").issues[0].at.clone().unwrap_or_default()
        };
        for (change, at) in [
            ((|f| f.name = " ".into()) as fn(&mut Facts), "client_name"),
            (|f| f.name = "a\nb".into(), "client_name"),
            (|f| f.grant_types.clear(), "grant_types"),
            (|f| f.grant_types = vec!["password".into()], "grant_types"),
            (|f| f.grant_types = vec!["implicit".into()], "grant_types"),
            (|f| f.grant_types.push(CREDENTIALS.into()), "grant_types"),
            (|f| f.grant_types = vec![REFRESH.into()], "grant_types"),
            (|f| f.redirect_uris.clear(), "redirect_uris"),
            (|f| f.redirect_uris.push("http://app.example/".into()), "redirect_uris"),
            (|f| f.origins.push("*".into()), "origin"),
            (|f| f.logo_uri = Some("javascript:x".into()), "logo_uri"),
            (|f| f.jwks_uri = Some("https://app.example/jwks".into()), "jwks"),
            (|f| f.kind = Proof::Keys, "jwks"),
            (|f| (f.kind, f.jwks) = (Proof::Keys, Some("{}".into())), "jwks.keys"),
            (|f| (f.kind, f.jwks_uri) = (Proof::Keys, Some("http://app.example/jwks".into())), "jwks_uri"),
        ] {
            assert_eq!(changed(change), at);
        }
    }

    #[test]
    fn scopes_that_cannot_be_granted_are_left_out() {
        let asked = "openid system/Patient.rs patient/Patient.read system/Immunization.rs openid";
        let of = |grant_types: &[&str]| Facts { grant_types: grant_types.iter().map(ToString::to_string).collect(), ..app() };
        for (grant_types, left) in [
            (vec![CODE, REFRESH], "openid patient/Patient.read"),
            (vec![CREDENTIALS], "system/Patient.rs"),
            (vec![CODE, CREDENTIALS], "openid system/Patient.rs patient/Patient.read"),
        ] {
            assert_eq!(scopes(asked, &of(&grant_types)).unwrap(), left, "{grant_types:?}");
        }
        assert!(scopes("patient/Patient.sr", &app()).is_err());
        assert_eq!(scopes(DEFAULT_SCOPES, &app()).unwrap(), DEFAULT_SCOPES);
    }
}
