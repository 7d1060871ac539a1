//! The table `[sign_in]` of the settings file: the OpenID Provider at which people sign in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A text that is not shown when the settings are.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// One upstream OpenID Provider. docs/sign-in.md tells what each key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// As the provider's tokens say it, letter for letter.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Hidden>,
    pub client_secret_file: Option<PathBuf>,
    /// Besides `openid`.
    pub scopes: Vec<String>,
    /// What stands on the button.
    pub label: String,
    /// PEM with the certificates that are trusted instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    pub fhir_user_claim: String,
    pub role_claim: Option<String>,
    /// Values of that claim, and the role that each gives.
    pub roles: BTreeMap<String, String>,
    /// May accounts with a password of this server sign in as well?
    pub local: bool,
}

const TEXTS: [&str; 9] =
    ["issuer", "client_id", "client_secret", "client_secret_file", "scopes", "label", "ca_file", "fhir_user_claim", "role_claim"];

/// The table, if it is whole; what is wrong with it are faults.
pub(super) fn read(file: &str, value: toml::Value, faults: &mut Vec<String>) -> Option<SignIn> {
    let before = faults.len();
    let toml::Value::Table(mut table) = value else {
        faults.push(format!("{file}: sign_in must be a table; write [sign_in], and issuer and client_id below it"));
        return None;
    };
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for name in TEXTS {
        match table.remove(name) {
            None => {}
            Some(toml::Value::String(text)) if !text.trim().is_empty() => drop(texts.insert(name, text)),
            Some(_) => faults.push(format!("{file}: sign_in.{name} must be a text; put it in quotation marks")),
        }
    }
    let local = match table.remove("local") {
        None => true,
        Some(toml::Value::Boolean(local)) => local,
        Some(_) => {
            faults.push(format!("{file}: sign_in.local must be true or false"));
            true
        }
    };
    let roles = table.remove("roles").map(|roles| read_roles(file, roles, faults)).unwrap_or_default();
    faults
        .extend(table.keys().map(|key| format!("{file}: sign_in.{key} is no key of [sign_in]; it has {}, local, roles", TEXTS.join(", "))));
    let mut needed = |name: &str| {
        let text = texts.remove(name);
        if text.is_none() {
            faults.push(format!("{file}: sign_in has no {name}; add {name} = \"...\""));
        }
        text
    };
    let (issuer, client_id) = (needed("issuer"), needed("client_id"));
    if let Some(issuer) = issuer.as_deref().filter(|issuer| !trusted(issuer)) {
        faults.push(format!("{file}: sign_in.issuer {issuer} must be an https URL without query; http is for loopback only"));
    }
    if texts.contains_key("client_secret") && texts.contains_key("client_secret_file") {
        faults.push(format!("{file}: sign_in has client_secret and client_secret_file; set one of them"));
    }
    if texts.contains_key("role_claim") == roles.is_empty() {
        faults.push(format!("{file}: sign_in.role_claim and the table [sign_in.roles] go together; set both or none"));
    }
    let mut take = |name: &str| texts.remove(name);
    let scopes = take("scopes").unwrap_or_else(|| "profile".into());
    let made = SignIn {
        issuer: issuer.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret: take("client_secret").map(Hidden),
        client_secret_file: take("client_secret_file").map(PathBuf::from),
        scopes: scopes.split_whitespace().filter(|scope| *scope != "openid").map(str::to_owned).collect(),
        label: take("label").unwrap_or_else(|| "Sign in with your organisation".into()),
        ca_file: take("ca_file").map(PathBuf::from),
        fhir_user_claim: take("fhir_user_claim").unwrap_or_else(|| "fhirUser".into()),
        role_claim: take("role_claim"),
        roles,
        local,
    };
    (faults.len() == before).then_some(made)
}

fn read_roles(file: &str, value: toml::Value, faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let toml::Value::Table(table) = value else {
        faults.push(format!("{file}: sign_in.roles must be a table; write [sign_in.roles], and VALUE = \"ROLE\" below it"));
        return BTreeMap::new();
    };
    let mut roles = BTreeMap::new();
    for (claim, role) in table {
        match role {
            toml::Value::String(role) => drop(roles.insert(claim, role)),
            _ => faults.push(format!("{file}: sign_in.roles.{claim} must be the name of a role in quotation marks")),
        }
    }
    roles
}

/// Who answers at this address decides who somebody is.
fn trusted(issuer: &str) -> bool {
    let plain = !issuer.contains(['?', '#', ' ', '@']);
    let loopback = ["127.0.0.1", "[::1]", "localhost"];
    let on_loopback = issuer.strip_prefix("http://").is_some_and(|rest| {
        let authority = rest.split('/').next().unwrap_or_default();
        loopback.iter().any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')))
    });
    plain && (issuer.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()) || on_loopback)
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read(&[], Some(("firth.toml", text)))
    }

    #[test]
    fn a_table_is_read_with_its_defaults() {
        let config = read("[sign_in]\nissuer = \"https://idp.example/realm\"\nclient_id = \"firth\"\nclient_secret = \"s3cret\"").unwrap();
        let sign_in = config.sign_in.as_ref().unwrap();
        assert_eq!((&*sign_in.issuer, &*sign_in.fhir_user_claim, sign_in.local), ("https://idp.example/realm", "fhirUser", true));
        assert_eq!(sign_in.scopes, ["profile"]);
        assert!(!format!("{config:?}").contains("s3cret"));
        let text = "[sign_in]\nissuer = \"http://localhost:1\"\nclient_id = \"a\"\nrole_claim = \"groups\"\nlocal = false\n[sign_in.roles]\nstaff = \"clinician\"";
        let sign_in = read(text).unwrap().sign_in.unwrap();
        assert_eq!((sign_in.roles["staff"].as_str(), sign_in.local), ("clinician", false));
    }

    #[test]
    fn every_fault_is_told() {
        for (text, said) in [
            ("sign_in = 1", "sign_in must be a table"),
            ("[sign_in]\nclient_id = \"a\"", "sign_in has no issuer"),
            ("[sign_in]\nissuer = \"https://a\"", "sign_in has no client_id"),
            ("[sign_in]\nissuer = \"http://idp.example\"\nclient_id = \"a\"", "must be an https URL"),
            ("[sign_in]\nissuer = \"http://127.0.0.1.evil.example\"\nclient_id = \"a\"", "must be an https URL"),
            ("[sign_in]\nissuer = \"http://localhost@evil.example\"\nclient_id = \"a\"", "must be an https URL"),
            ("[sign_in]\nissuer = \"https://a\"\nclient_id = 7", "sign_in.client_id must be a text"),
            ("[sign_in]\nissuer = \"https://a\"\nclient_id = \"a\"\nclientsecret = \"x\"", "sign_in.clientsecret is no key"),
            ("[sign_in]\nissuer = \"https://a\"\nclient_id = \"a\"\nclient_secret = \"x\"\nclient_secret_file = \"y\"", "set one of them"),
            ("[sign_in]\nissuer = \"https://a\"\nclient_id = \"a\"\nrole_claim = \"x\"", "go together"),
            ("[sign_in]\nissuer = \"https://a\"\nclient_id = \"a\"\nlocal = \"no\"", "true or false"),
        ] {
            let faults = read(text).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(said)), "{text}: {faults:?}");
        }
    }
}
