//! Signing in: who has shown a password and a code gets a session, a cookie of 256 random bits that is kept as its SHA-256.
//! It ends 12 hours after the sign-in whatever happens, and what was granted in it ends with it unless it has
//! `offline_access`. After 15 minutes without use the pages ask who is there; what an app was granted is not touched by that,
//! and the app's use of it is no use of the pages.
//!
//! Every try counts as failed before it is judged, so that many at once count as many; one that is right takes its count
//! back, and a sign-in those of its name. From then on each further try waits longer, by name and address together, by
//! name, and by address; none waits for ever, so nobody can lock somebody else out. Names that nobody has count like those
//! of accounts.

use data_encoding::BASE64URL_NOPAD;

use super::accounts::{self, Account};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{AccountId, GrantId};
use crate::store::accounts::{self as rows, Failure};
use crate::store::sessions::{self as kept, Session};
use crate::store::{Tx, grants};
use crate::vault::{Vault, secret_digest, totp};

/// A session that was not used for so long shows no page any more.
pub const IDLE_MS: Millis = 15 * 60_000;
/// It ends so long after the sign-in.
pub const LONGEST_MS: Millis = 12 * 3_600_000;
/// A count of failures is forgotten when nothing failed for so long.
const FORGOTTEN_MS: Millis = 3_600_000;

/// A session that is good, and whose it is.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub session: Session,
    pub account: Account,
}

/// The session of a cookie, with its account, if both are good.
pub fn find(tx: &mut Tx<'_>, vault: &Vault, secret: &str, now: Millis) -> Result<Option<SignedIn>> {
    let live = |session: &Session| session.used_at > now - IDLE_MS && session.expires_at > now;
    let Some(session) = kept::find(tx, &secret_digest(secret))?.filter(live) else { return Ok(None) };
    let account = accounts::get(tx, vault, session.account)?.filter(Account::is_active);
    Ok(account.map(|account| SignedIn { session, account }))
}

/// The same, and it was used now.
pub fn renew(tx: &mut Tx<'_>, vault: &Vault, secret: &str) -> Result<Option<SignedIn>> {
    let now = tx.committed_at();
    let found = find(tx, vault, secret, now)?;
    if found.is_some() {
        kept::used(tx, &secret_digest(secret), now)?;
    }
    Ok(found)
}

/// When a person proved to be who it is.
#[derive(Clone, Copy, Debug)]
pub enum Proved {
    Now,
    /// Elsewhere, or with another password; none if nobody says when.
    Before(Option<Millis>),
}

/// A new session, and the secret for its cookie. It takes the place of one of the same person that the browser had before,
/// so that what was granted there goes on and ends with the sign-out; somebody else's ends.
pub fn begin(tx: &mut Tx<'_>, vault: &Vault, account: AccountId, of: (Option<&str>, Proved)) -> Result<(String, Session)> {
    let (before, proved) = of;
    let before = before.map(|before| kept::find(tx, &secret_digest(before))).transpose()?.flatten();
    let id = match before {
        // A form that is sent twice at once finds it once.
        Some(before) if before.account == account && kept::end(tx, before.id)? => before.id,
        Some(before) => {
            if before.account != account {
                over(tx, before.id)?;
            }
            GrantId::from_random(vault.chance.bytes()?)
        }
        None => GrantId::from_random(vault.chance.bytes()?),
    };
    let secret = BASE64URL_NOPAD.encode(&vault.chance.bytes::<32>()?);
    let now = tx.committed_at();
    let auth_time = match proved {
        Proved::Now => Some(now),
        Proved::Before(at) => at.map(|at| at.min(now)),
    };
    let session = Session { id, account, auth_time, used_at: now, expires_at: now + LONGEST_MS };
    kept::insert(tx, &secret_digest(&secret), &session)?;
    Ok((secret, session))
}

/// The person signs out: what was granted in the session ends with it.
pub fn end(tx: &mut Tx<'_>, secret: &str) -> Result<()> {
    match kept::find(tx, &secret_digest(secret))? {
        Some(session) => over(tx, session.id),
        None => Ok(()),
    }
}

fn over(tx: &mut Tx<'_>, id: GrantId) -> Result<()> {
    let now = tx.committed_at();
    kept::end(tx, id)?;
    grants::revoke_session(tx, id, now).map(drop)
}

/// Forgets sessions and failures that are over.
pub fn expire(tx: &mut Tx<'_>, now: Millis) -> Result<()> {
    rows::failures_expire(tx, now)?;
    kept::expire(tx, now)
}

/// Who tries to sign in: the name as it was typed, and the address or its network.
#[derive(Clone, Debug)]
pub struct Trier {
    pub name: String,
    pub address: String,
}

/// How many tries may fail without a wait, and how long it waits at most. The wait doubles from a second.
struct Limit {
    free: i32,
    longest_ms: Millis,
}

impl Limit {
    const OF_BOTH: Limit = Limit { free: 3, longest_ms: 15 * 60_000 };
    const OF_NAME: Limit = Limit { free: 10, longest_ms: 60_000 };
    /// A whole clinic may have one address.
    const OF_ADDRESS: Limit = Limit { free: 50, longest_ms: 30_000 };

    fn wait(&self, failures: i32) -> Millis {
        match failures - self.free {
            ..=0 => 0,
            doubled => (1_000i64 << (doubled - 1).min(30)).min(self.longest_ms),
        }
    }
}

impl Trier {
    fn counts(&self, vault: &Vault) -> [(i64, Limit); 3] {
        let name = accounts::name_hash(vault, &self.name).to_be_bytes();
        let hash = |domain: &str, parts: &[&[u8]]| vault.index().hash(domain, parts);
        [
            (hash("sign-in-both", &[&name, self.address.as_bytes()]), Limit::OF_BOTH),
            (hash("sign-in-name", &[&name]), Limit::OF_NAME),
            (hash("sign-in-address", &[self.address.as_bytes()]), Limit::OF_ADDRESS),
        ]
    }
}

/// Counts a try as failed, unless it comes too early: then how long it must wait, and it is not counted.
pub fn try_now(tx: &mut Tx<'_>, vault: &Vault, who: &Trier) -> Result<Option<Millis>> {
    let now = tx.committed_at();
    let mut counted = Vec::new();
    let mut wait = 0;
    for (hash, limit) in who.counts(vault) {
        rows::failures_hold(tx, hash)?;
        let (failures, blocked_until) = rows::failures(tx, hash, now)?;
        wait = wait.max(blocked_until - now);
        let blocked_until = now + limit.wait(failures + 1);
        counted.push(Failure { hash, failures: failures + 1, blocked_until, expires_at: blocked_until + FORGOTTEN_MS });
    }
    if wait > 0 {
        return Ok(Some(wait));
    }
    for failure in &counted {
        rows::failed(tx, failure)?;
    }
    Ok(None)
}

/// What was tried is right: the try that was counted is taken back. What failed before it stays, and so does its wait: a
/// password that fits is no sign-in yet where a code is asked for.
pub fn right(tx: &mut Tx<'_>, vault: &Vault, who: &Trier) -> Result<()> {
    let now = tx.committed_at();
    for (hash, limit) in who.counts(vault) {
        rows::failures_hold(tx, hash)?;
        let (failures, blocked_until) = rows::failures(tx, hash, now)?;
        match failures - 1 {
            ..=0 => rows::forgiven(tx, hash)?,
            failures => {
                let blocked_until = blocked_until.min(now + limit.wait(failures));
                rows::failed(tx, &Failure { hash, failures, blocked_until, expires_at: now + FORGOTTEN_MS })?;
            }
        }
    }
    Ok(())
}

/// Somebody signed in. What failed before from the same address with other names stays.
pub fn succeeded(tx: &mut Tx<'_>, vault: &Vault, who: &Trier) -> Result<()> {
    let [(both, _), (name, _), _] = who.counts(vault);
    rows::forgiven(tx, both)?;
    rows::forgiven(tx, name)
}

/// Is it a code of the account's second factor that was not used before? It is used then.
pub fn code_fits(tx: &mut Tx<'_>, account: &Account, code: &str) -> Result<bool> {
    let Some(second) = &account.facts.totp else { return Err(Error::bug("an account without a second factor was asked for a code")) };
    match totp::step_of(&second.secret, code, tx.committed_at())? {
        Some(step) => rows::totp_use(tx, account.id, step),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;

    #[test]
    fn each_further_try_waits_twice_as_long_and_never_for_ever() {
        let waits: Vec<i64> = (0..9).map(|failures| Limit::OF_BOTH.wait(failures)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000]);
        for limit in [Limit::OF_BOTH, Limit::OF_NAME, Limit::OF_ADDRESS] {
            assert_eq!(limit.wait(limit.free), 0);
            assert_eq!(limit.wait(limit.free + 1), 1_000);
            assert_eq!(limit.wait(i32::MAX), limit.longest_ms);
        }
    }
}
