//! The sealed field of a form: what the next page needs to know, for ten minutes and for this browser. Nobody else can read,
//! change or make one, so a form that another site sends has none (decision 0024).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::Browser;
use crate::api::authorize::Asked;
use crate::api::negotiate;
use crate::api::request::{Request, decode_pairs};
use crate::app::App;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;
use crate::ledger::accounts::Account;
use crate::vault::{Place, secret_digest};

const GOOD_MS: Millis = 600_000;
const DAY_MS: Millis = 86_400_000;

/// What a form carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The authorization request that waits; None: the person came by itself.
    pub asked: Option<Asked>,
    pub step: Step,
}

/// Which form it is, and what was found out before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    SignIn,
    /// The password fitted; the second factor is asked for.
    Code(Half),
    /// All fitted, and the password is good once.
    FirstPassword(Half),
    /// The upstream provider is asked who it is.
    Upstream,
    Patient(Searched),
    /// The patient for whom the person is asked to agree.
    Consent(Option<String>),
    Account,
}

/// Half a sign-in: whose password fitted, and what the account was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    pub account: String,
    pub version: u32,
    /// As it was typed.
    pub name: String,
    /// However often its form is shown again.
    pub until: Millis,
}

impl Half {
    pub fn of(account: &Account, name: &str, now: Millis) -> Half {
        Half { account: account.id.to_string(), version: account.version, name: name.to_owned(), until: now + GOOD_MS }
    }

    /// Is there time left, and is the account what it was? Whoever disabled or reset it meant this sign-in, too.
    pub fn holds(&self, account: &Account, now: Millis) -> bool {
        account.is_active() && account.version == self.version && now < self.until
    }
}

/// What was searched for, and the place after which the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    pub name: String,
    pub birthdate: String,
    pub identifier: String,
    pub after: Option<(i64, String, String)>,
    /// Patients on the pages before.
    pub before: u32,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    until: Millis,
    carried: Carried,
}

fn place(binding: &[u8; 32]) -> Place<'_> {
    Place { kind: "form", shelf: Shelf(0), id: binding, version: 1 }
}

pub fn seal(app: &App, browser: &Browser, carried: &Carried) -> Result<String> {
    browser.bound.set(true);
    let now = app.clock.now();
    let kept = serde_json::to_vec(&Kept { until: now + GOOD_MS, carried: carried.clone() }).map_err(Error::bug)?;
    let cipher = app.vault.day("form", now / DAY_MS, &[])?;
    let sealed = cipher.seal_packed(app.vault.chance, place(&secret_digest(&browser.secret)), &kept)?;
    Ok(BASE64URL_NOPAD.encode(&sealed))
}

/// What a sealed field carries; `Kind::Invalid` when it is too old, another browser's or none of ours.
pub fn open(app: &App, browser: &Browser, field: &str) -> Result<Carried> {
    let refused = || {
        Error::new(
            Kind::Invalid,
            "This page is too old, or was opened in another window or before you signed in. Go back to where you came from and start again.",
        )
    };
    let now = app.clock.now();
    let sealed = BASE64URL_NOPAD.decode(field.as_bytes()).map_err(|_| refused())?;
    let shown = browser.shown.as_deref().ok_or_else(refused)?;
    let binding = secret_digest(shown);
    for day in [now / DAY_MS, now / DAY_MS - 1] {
        if let Ok(kept) = app.vault.day("form", day, &[])?.open_packed(place(&binding), &sealed) {
            let kept: Kept = serde_json::from_slice(&kept).map_err(Error::bug)?;
            return if kept.until > now { Ok(kept.carried) } else { Err(refused()) };
        }
    }
    Err(refused())
}

/// A form that was sent from one of our pages.
pub struct Form {
    pub carried: Carried,
    pairs: Vec<(String, String)>,
}

impl Form {
    /// `Kind::Forbidden` when the browser says that another site sent it, `Kind::Invalid` when its sealed field is not good.
    pub fn of(app: &App, request: &mut Request, browser: &Browser) -> Result<Form> {
        own_origin(app, request)?;
        let pairs = sent(request)?;
        let mut fields = pairs.iter().filter(|(name, _)| name == "form");
        let field = fields.next().filter(|_| fields.next().is_none()).map(|(_, value)| value.clone()).unwrap_or_default();
        Ok(Form { carried: open(app, browser, &field)?, pairs })
    }

    /// The field's value, without blanks around it; what stands twice is refused.
    pub fn one(&self, name: &str) -> Result<String> {
        Ok(self.exact(name)?.trim().to_owned())
    }

    /// The field's value as it was typed.
    pub fn exact(&self, name: &str) -> Result<String> {
        match self.all(name).as_slice() {
            [] => Ok(String::new()),
            [one] => Ok((*one).to_owned()),
            _ => Err(Error::new(Kind::Invalid, format!("The form has {name} twice."))),
        }
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The decoded pairs of a form that came as a body.
pub fn sent(request: &mut Request) -> Result<Vec<(String, String)>> {
    let form = negotiate::is_media_type(request, "application/x-www-form-urlencoded");
    let body = request.small_body()?;
    if !form {
        return Err(Error::new(Kind::MediaType, "a form comes as application/x-www-form-urlencoded"));
    }
    let text = String::from_utf8(body).map_err(|_| Error::new(Kind::Syntax, "the form is not UTF-8"))?;
    decode_pairs(&text)
}

/// Browsers say where a request comes from; a program need not. `null` is what they say under `Referrer-Policy: no-referrer`.
fn own_origin(app: &App, request: &Request) -> Result<()> {
    let refused = |says: String| Err(Error::new(Kind::Forbidden, says));
    if let Some(site) = request.header("sec-fetch-site").filter(|site| !["same-origin", "none"].contains(site)) {
        return refused(format!("Your browser says that another site sent this form ({site})."));
    }
    match request.header("origin") {
        Some(origin) if origin != "null" && origin != own(app) => {
            refused(format!("This form was sent from {origin}; open this server as {} and start again.", own(app)))
        }
        _ => Ok(()),
    }
}

/// The origin of the public base.
fn own(app: &App) -> String {
    let (scheme, rest) = app.public_url.split_once("://").unwrap_or(("http", &app.public_url));
    format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest)).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AccountId;
    use crate::ledger::accounts::{Facts, Status};

    #[test]
    fn half_a_sign_in_ends_with_its_time_and_with_the_account_as_it_was() {
        let account = |status, version| Account {
            id: AccountId::from_random([7; 16]),
            status,
            version,
            facts: Facts::default(),
            created_at: 0,
            changed_at: 0,
        };
        let half = Half::of(&account(Status::Active, 3), "ruiz", 1_000);
        assert!(half.holds(&account(Status::Active, 3), 1_000 + GOOD_MS - 1));
        assert!(!half.holds(&account(Status::Active, 3), 1_000 + GOOD_MS));
        assert!(!half.holds(&account(Status::Active, 4), 1_000));
        assert!(!half.holds(&account(Status::Disabled, 3), 1_000));
    }
}
