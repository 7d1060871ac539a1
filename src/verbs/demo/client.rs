//! The demo as a client of its own listener.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::error::{Error, Result};

/// Speaks for an app with its API key.
pub struct Client {
    agent: Agent,
    base: String,
    key: String,
    fhir: String,
}

/// Why a call came to nothing.
pub enum Failed {
    /// The server is gone: it was told to stop while the demo was loaded.
    Gone,
    Refused(Error),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Failed {
        Failed::Refused(e)
    }
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Client {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(Duration::from_secs(30)));
        Client {
            agent: config.build().into(),
            base: format!("http://{address}/api/v1"),
            key: key.to_owned(),
            fhir: format!("http://{address}/fhir"),
        }
    }

    pub fn get(&self, path: &str) -> std::result::Result<Value, Failed> {
        let asked = self.agent.get(format!("{}{path}", self.base)).header("x-open-wearables-api-key", &self.key).call();
        answer(path, asked)
    }

    pub fn post(&self, path: &str, body: &Value) -> std::result::Result<Value, Failed> {
        let asked = self.agent.post(format!("{}{path}", self.base)).header("x-open-wearables-api-key", &self.key).send_json(body);
        answer(path, asked)
    }

    /// Puts a resource under `/fhir` with a token.
    pub fn put(&self, token: &str, path: &str, body: &Value) -> std::result::Result<Value, Failed> {
        let asked = self.agent.put(format!("{}/{path}", self.fhir)).header("authorization", format!("Bearer {token}")).send_json(body);
        answer(path, asked)
    }
}

fn answer(path: &str, asked: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> std::result::Result<Value, Failed> {
    let mut response = asked.map_err(|_| Failed::Gone)?;
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().map_err(|_| Failed::Gone)?;
    if !(200..300).contains(&status) {
        return Err(Error::bug(format!("the demo's own {path} was answered {status}: {text}")).into());
    }
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text).map_err(Error::bug)? })
}

/// The lines `name=value` that a verb prints.
pub fn told(lines: &str, name: &str) -> Result<String> {
    let found = lines.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')));
    found.map(str::to_owned).ok_or_else(|| Error::bug(format!("a verb did not say its {name}")))
}
