//! The answer to the app: a code or an error, at its `redirect_uri`, with its `state` and with who answers (RFC 9207).

use super::asked::{Asked, Back};
use crate::api::pages::{Visit, see_other};
use crate::api::request::Reply;
use crate::error::{Error, Kind, Result};

/// An error for the app: the code of RFC 6749 section 4.1.2.1 or of a specification that adds to it, and words.
#[derive(Clone, Debug)]
pub struct Told {
    pub error: &'static str,
    pub says: String,
}

impl Told {
    pub fn new(error: &'static str, says: String) -> Told {
        Told { error, says }
    }

    /// What the audit entry says of it.
    fn kind(&self) -> Kind {
        match self.error {
            "access_denied" => Kind::Forbidden,
            "login_required" | "consent_required" | "interaction_required" => Kind::Unauthenticated,
            "server_error" => Kind::Bug,
            _ => Kind::Parameter,
        }
    }
}

/// A failure of ours while the answer is being made is told to the app, too; its cause is in the log.
impl From<Error> for Told {
    fn from(e: Error) -> Told {
        let wire = e.kind.wire();
        tracing::error!(code = wire.code, raised = %e.raised, cause = e.cause.as_deref(), "an authorization request failed");
        match e.kind {
            Kind::Busy | Kind::TooSlow => Told::new("temporarily_unavailable", wire.remedy.to_owned()),
            _ => Told::new("server_error", wire.remedy.to_owned()),
        }
    }
}

impl Asked {
    pub fn back(&self) -> Back {
        Back { redirect_uri: self.redirect_uri.clone(), state: Some(self.state.clone()) }
    }
}

/// Sends the browser to the app with an error, once the audit entry is durable.
pub fn tell(visit: &mut Visit<'_>, back: &Back, told: &Told) -> Result<Reply> {
    let mut entry = visit.request.entry.clone();
    let kind = told.kind();
    entry.status = kind.wire().status;
    entry.refused = Some(kind.wire().code.to_owned());
    visit.app.log.append(&entry)?.wait()?;
    Ok(answer(visit, back, &[("error", told.error), ("error_description", &plain(&told.says))]).committed())
}

/// The redirect with these parameters, `state` and `iss`.
pub fn answer(visit: &Visit<'_>, back: &Back, parameters: &[(&str, &str)]) -> Reply {
    let mut to = back.redirect_uri.clone();
    let state = back.state.as_deref().map(|state| ("state", state));
    let all = parameters.iter().copied().chain(state).chain([("iss", visit.app.public_url.as_str())]);
    for (name, value) in all {
        to.push(if to.contains('?') { '&' } else { '?' });
        to.push_str(name);
        to.push('=');
        to.push_str(&escaped(value));
    }
    see_other(&to)
}

/// What `error_description` may hold (RFC 6749 section 4.1.2.1).
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' }).collect()
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
