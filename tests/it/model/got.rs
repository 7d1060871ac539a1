//! An answer as it came, alone or as an entry of a Bundle.

use serde_json::Value;

use super::ask::Ask;
use super::world::{Answer, Key};
use crate::support::Reply;

#[derive(Clone, Debug)]
pub struct Got {
    pub status: u16,
    pub etag: Option<String>,
    /// Relative to the server.
    pub location: Option<String>,
    /// Of a refusal.
    pub code: Option<String>,
    pub body: Option<Value>,
    /// A Bundle may answer shortly what was written.
    pub short: bool,
}

impl Got {
    pub fn alone(reply: &Reply, base: &str) -> Got {
        let location =
            reply.header("location").map(|location| location.strip_prefix(base).unwrap_or("elsewhere").trim_start_matches('/').to_owned());
        Got {
            status: reply.status,
            etag: reply.header("etag").map(str::to_owned),
            location,
            code: (reply.status >= 400).then(|| reply.code()),
            body: (reply.status < 400 && !reply.body.is_empty()).then(|| reply.json()),
            short: false,
        }
    }

    pub fn entry(entry: &Value) -> Got {
        let response = &entry["response"];
        let text = |name: &str| response[name].as_str().map(str::to_owned);
        Got {
            status: text("status").and_then(|status| status.get(..3)?.parse().ok()).unwrap_or_default(),
            etag: text("etag"),
            location: text("location"),
            code: response["outcome"]["issue"][0]["details"]["coding"][0]["code"].as_str().map(str::to_owned),
            body: entry.get("resource").cloned(),
            short: true,
        }
    }

    /// The id of what was made, when the model had a name of its own for it.
    pub fn names(&self, answer: &Answer) -> Result<Option<(Key, String)>, String> {
        let Some(key) = answer.of.clone().filter(|key| key.1.starts_with('~')) else { return Ok(None) };
        let location = self.location.as_deref().unwrap_or_default();
        let id = location.strip_prefix(key.0).and_then(|rest| rest.strip_prefix('/')?.split_once("/_history/"));
        id.map(|(id, _)| Some((key.clone(), id.to_owned()))).ok_or_else(|| format!("no location of a new {}: {self:?}", key.0))
    }
}

/// The answers of a Bundle's entries, or the one.
pub fn parts(ask: &Ask, reply: &Reply, base: &str) -> Vec<Got> {
    match ask {
        Ask::Bundle { .. } if reply.status == 200 => {
            let bundle = reply.json();
            bundle["entry"].as_array().map(|entries| entries.iter().map(Got::entry).collect()).unwrap_or_default()
        }
        _ => vec![Got::alone(reply, base)],
    }
}
