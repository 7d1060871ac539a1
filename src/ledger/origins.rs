//! The web origins of approved clients. They are remembered until a commit changes who may do what.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::clients::{self, Facts};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::Db;
use crate::vault::Vault;

/// Where several processes write to the store, the set is asked for again after so many milliseconds.
const FRESH: Millis = 2_000;

type Set = Arc<HashSet<String>>;

#[derive(Default)]
pub struct Origins(Mutex<Option<Known>>);

struct Known {
    /// `Generation::access` before the set was read.
    generation: u64,
    read_at: Millis,
    set: Set,
}

impl Origins {
    /// The set, when it can be told without the database.
    pub fn known(&self, db: &Db, now: Millis) -> Option<Set> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.generation == db.generation().access)?;
        (db.one_process() || (known.read_at..known.read_at + FRESH).contains(&now)).then(|| Arc::clone(&known.set))
    }

    /// The set as it is now. Blocks on the database.
    pub fn read(&self, db: &Db, vault: &Vault, now: Millis) -> Result<Set> {
        let generation = db.generation().access;
        let approved = db.read("origins", |tx| clients::approved(tx, vault))?;
        let set: Set = Arc::new(approved.iter().flat_map(|client| of(&client.facts)).collect());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { generation, read_at: now, set: Arc::clone(&set) });
        Ok(set)
    }
}

/// The origins that a client registered, else those of its redirect URIs.
fn of(facts: &Facts) -> Vec<String> {
    let said = if facts.origins.is_empty() { &facts.redirect_uris } else { &facts.origins };
    said.iter().filter_map(|uri| origin(uri)).collect()
}

/// The origin of an `http` or `https` URI as a browser writes it: scheme, host and port, no port where it is the usual one
/// (RFC 6454, section 6.2). `None` of any other.
pub fn origin(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty() && !authority.contains('@'))?;
    let authority = authority.to_ascii_lowercase();
    Some(format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(&authority)))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (uri, is) in [
            ("https://app.example/cb?x=1", "https://app.example"),
            ("HTTPS://App.Example:443/", "https://app.example"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("http://127.0.0.1:80/x", "http://127.0.0.1"),
            ("http://[::1]:9000/x#y", "http://[::1]:9000"),
        ] {
            assert_eq!(origin(uri).as_deref(), Some(is), "{uri}");
        }
        for uri in ["com.example.app:/cb", "com.example.app://cb", "https://", "https://user@app.example/", "null", ""] {
            assert_eq!(origin(uri), None, "{uri}");
        }
    }
}
