//! DOOR ureq: the keys of clients that registered the address of their key set. What is fetched is bounded in size and
//! time, comes without redirects, and only from public addresses, unless the operator said otherwise of this client. Nobody
//! waits for the set of another client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::clock::{Clock, Millis};
use crate::error::{Error, Kind, Result};
use crate::jose::ClientKeys;
use crate::ledger::addresses::{is_public, key_set};
use crate::outside::{Published, Turns};

const TIME: Duration = Duration::from_secs(5);
const BYTES: u64 = 64 * 1024;
/// How long a set is kept when its server does not say, and at most.
const KEPT: Millis = 300_000;
const LONGEST: Millis = 3_600_000;
/// How often a `kid` that is not in the set makes us look again.
const LOOK_AGAIN: Millis = 60_000;
/// Sets that are fetched at once.
const AT_ONCE: usize = 8;
/// Sets that are remembered.
const MOST: usize = 1_000;

/// A registered address, and whether it may be one of this machine or of a private network.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    pub uri: &'a str,
    pub private: bool,
}

struct Set {
    keys: Arc<ClientKeys>,
    /// For how long.
    kept: Millis,
}

type Sets = Mutex<HashMap<(String, bool), Arc<Published<Set>>>>;

/// The set at an address: fetched when its time is over, or when it has no key of this name. `Kind::Busy` when too many are
/// being waited for, `Kind::ClientUnknown` when there is none.
pub fn find(at: &Where<'_>, kid: &str, clock: &Clock) -> Result<Arc<ClientKeys>> {
    static SETS: OnceLock<Sets> = OnceLock::new();
    static TURNS: Turns = Turns::new(AT_ONCE);
    let published = {
        let mut sets = SETS.get_or_init(Sets::default).lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST {
            sets.clear();
        }
        Arc::clone(sets.entry((at.uri.to_owned(), at.private)).or_default())
    };
    let now = clock.now();
    let good = |fetched_at: Millis, set: &Set| {
        now < fetched_at + set.kept && (now < fetched_at + LOOK_AGAIN || set.keys.kids().any(|known| known == kid))
    };
    match published.get((clock, &TURNS), good, || fetch(at))? {
        Some(set) => Ok(Arc::clone(&set.keys)),
        None => Err(gone("it did not answer a moment ago")),
    }
}

#[track_caller]
fn gone(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::ClientUnknown, "the client's key set could not be had").because(why)
}

fn fetch(at: &Where<'_>) -> Result<Set> {
    key_set(at.uri, at.private)?;
    let mut response = agent(at.private).get(at.uri).header("accept", "application/json").call().map_err(gone)?;
    if response.status().as_u16() != 200 {
        return Err(gone(format!("its status is {}", response.status().as_u16())));
    }
    let kept = kept(response.headers().get_all("cache-control").iter().filter_map(|value| value.to_str().ok()));
    let text = response.body_mut().with_config().limit(BYTES).read_to_string().map_err(gone)?;
    Ok(Set { keys: Arc::new(ClientKeys::parse(&text)?), kept })
}

/// How long the set may be kept (RFC 9111 section 5.2.2).
fn kept<'h>(headers: impl Iterator<Item = &'h str>) -> Millis {
    let mut kept = None;
    for word in headers.flat_map(|header| header.split(',')).map(str::trim) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return 0,
            "max-age" => kept = Some(value.trim_matches('"').parse::<Millis>().map_or(0, |seconds| seconds.saturating_mul(1_000))),
            _ => {}
        }
    }
    kept.unwrap_or(KEPT).clamp(0, LONGEST)
}

fn agent(private: bool) -> &'static Agent {
    static PUBLIC: OnceLock<Agent> = OnceLock::new();
    static PRIVATE: OnceLock<Agent> = OnceLock::new();
    let cell = if private { &PRIVATE } else { &PUBLIC };
    cell.get_or_init(|| {
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider())).build();
        let config = Config::builder().timeout_global(Some(TIME)).max_redirects(0).http_status_as_error(false).proxy(None);
        let config = config.tls_config(tls).build();
        Agent::with_parts(config, DefaultConnector::default(), Addresses { private, all: DefaultResolver::default() })
    })
}

/// Names are resolved once, and only addresses that may be asked are connected to.
#[derive(Debug)]
struct Addresses {
    private: bool,
    all: DefaultResolver,
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let all = self.all.resolve(uri, config, timeout)?;
        let mut some = self.empty();
        for address in all.iter().filter(|address| self.private || is_public(address.ip())) {
            some.push(*address);
        }
        if some.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_as_long_as_its_server_says() {
        for (headers, wanted) in [
            (vec![], KEPT),
            (vec!["max-age=10"], 10_000),
            (vec!["public, max-age=\"7\""], 7_000),
            (vec!["max-age=999999999"], LONGEST),
            (vec!["max-age=60", "no-store"], 0),
            (vec!["No-Cache"], 0),
            (vec!["max-age=x"], 0),
            (vec!["private"], KEPT),
        ] {
            assert_eq!(kept(headers.iter().copied()), wanted, "{headers:?}");
        }
    }
}
