//! The keys that sign tokens: made when one is first needed, renewed each quarter, known to every process of a store.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::sealed::{self, Row as Place};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::jose::{Family, KeyRing, SigningKey};
use crate::store::signing_keys::{self as rows, Row};
use crate::store::{Db, Tx, documents};
use crate::vault::Vault;

/// How long a key signs.
pub const IN_USE: Millis = 90 * 86_400_000;
/// How long it verifies after that: longer than anything that it signed, and than another process signs with it still.
pub const VERIFIES: Millis = 2 * 3_600_000;
/// How long another process may not know of a new key.
const STALE: Millis = 60_000;
/// How long what is told to others may be without a key that another process made.
const TOLD: Millis = 2_000;
/// A token that verifies under no key that is known makes us look again, at most this often.
const LOOK_AGAIN: Millis = 250;

/// The keys as they were last read.
pub struct Keys {
    db: Db,
    vault: Arc<Vault>,
    known: Mutex<Option<Known>>,
    /// When somebody looked again.
    again_at: AtomicI64,
}

#[derive(Clone)]
struct Known {
    ring: Arc<KeyRing>,
    read_at: Millis,
}

const fn number(family: Family) -> i16 {
    match family {
        Family::Ed25519 => 1,
        Family::Rsa => 2,
    }
}

fn place(kid: &str) -> Place<'_> {
    Place { kind: "signing-key", id: kid.as_bytes(), version: 1 }
}

impl Keys {
    pub fn new(db: Db, vault: Arc<Vault>) -> Keys {
        Keys { db, vault, known: Mutex::default(), again_at: AtomicI64::new(Millis::MIN) }
    }

    /// The keys that there are, to verify with.
    pub fn ring(&self, now: Millis) -> Result<Arc<KeyRing>> {
        self.not_older(STALE, now)
    }

    fn not_older(&self, age: Millis, now: Millis) -> Result<Arc<KeyRing>> {
        let fresh = |known: &Known| self.db.one_process() || (0..age).contains(&(now - known.read_at));
        match self.last().filter(fresh) {
            Some(known) => Ok(known.ring),
            None => self.read(now),
        }
    }

    /// The same, when a token names a key that is not among them and another process may have made it; None when there
    /// is nothing new to be known.
    pub fn again(&self, now: Millis) -> Result<Option<Arc<KeyRing>>> {
        let last = self.again_at.load(Ordering::SeqCst);
        if self.db.one_process() || (0..LOOK_AGAIN).contains(&now.saturating_sub(last)) {
            return Ok(None);
        }
        self.again_at.store(now, Ordering::SeqCst);
        self.read(now).map(Some)
    }

    /// With a key of each of these families that signs now. Making one takes a while.
    pub fn signing(&self, families: &[Family], now: Millis) -> Result<Arc<KeyRing>> {
        let lacks = |ring: &KeyRing| families.iter().copied().find(|family| !signs(ring, *family, now));
        let mut ring = self.ring(now)?;
        if lacks(&ring).is_some() {
            ring = self.read(now)?;
        }
        for family in families.iter().copied().filter(|family| !signs(&ring, *family, now)) {
            self.make(family, now)?;
        }
        if lacks(&ring).is_some() { self.read(now) } else { Ok(ring) }
    }

    /// All that verifies now, as others are told of it. Another process may sign already with a key that we do not know,
    /// so what was remembered is told for two seconds only.
    pub fn published(&self, now: Millis) -> Result<Arc<KeyRing>> {
        self.signing(&Family::ALL, now)?;
        self.not_older(TOLD, now)
    }

    /// Renews what is in use for too long, and clears away what verifies nothing any more.
    pub fn renew(&self, now: Millis) -> Result<()> {
        let rows = self.db.read("keys.list", rows::list)?;
        for family in Family::ALL {
            let newest = rows.iter().filter(|row| row.family == number(family)).map(|row| row.created_at).max();
            if newest.is_some_and(|at| at + IN_USE <= now) {
                self.make(family, now)?;
            }
        }
        if rows.iter().any(|row| row.retired_at.is_some_and(|at| at < now)) {
            self.db.write("keys.expire", move |tx| rows::expire(tx, now))?;
        }
        self.read(now).map(drop)
    }

    fn last(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read(&self, now: Millis) -> Result<Arc<KeyRing>> {
        let keys: Vec<SigningKey> =
            self.db.statement("keys.list", |tx| rows::list(tx)?.iter().map(|row| opened(&self.vault, row)).collect())?;
        let ring = Arc::new(KeyRing::new(keys)?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { ring: Arc::clone(&ring), read_at: now });
        Ok(ring)
    }

    /// Makes a key, unless another process was first.
    fn make(&self, family: Family, now: Millis) -> Result<()> {
        let der = family.make(self.vault.chance)?;
        let kid = SigningKey::from_pkcs8(family, &der, now, None)?.kid;
        let sealed = sealed::seal_bytes(&self.vault, place(&kid), &der)?;
        let row = Row { kid, family: number(family), sealed, created_at: now, retired_at: None };
        self.db.write("keys.make", move |tx| keep(tx, &row, now))
    }
}

fn signs(ring: &KeyRing, family: Family, now: Millis) -> bool {
    ring.signing(family, now).is_ok_and(|key| key.created_at + IN_USE > now)
}

fn opened(vault: &Vault, row: &Row) -> Result<SigningKey> {
    let family = Family::ALL.into_iter().find(|family| number(*family) == row.family);
    let family = family.ok_or_else(|| Error::bug("a signing key of an unknown family"))?;
    let der = sealed::open_bytes(vault, place(&row.kid), &row.sealed)?;
    SigningKey::from_pkcs8(family, &der, row.created_at, row.retired_at)
}

/// Those who make a key of one family take turns; only the first one's is kept.
fn keep(tx: &mut Tx<'_>, new: &Row, now: Millis) -> Result<()> {
    const TURN: i64 = 0x6b65_7973;
    documents::hold_criteria(tx, TURN + i64::from(new.family))?;
    if rows::list(tx)?.iter().any(|row| row.family == new.family && row.created_at + IN_USE > now) {
        return Ok(());
    }
    rows::retire_others(tx, new.family, &new.kid, now + VERIFIES)?;
    rows::insert(tx, new)
}
