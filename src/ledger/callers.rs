//! Who shows a secret: callers are remembered until a commit changes who may do what, so that the request
//! of a known one asks nothing of the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::credentials::authenticate;
use crate::access::Caller;
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::store::Db;
use crate::vault::secret_digest;

const KEPT: usize = 10_000;

#[derive(Default)]
pub struct Callers(Mutex<HashMap<[u8; 32], Known>>);

struct Known {
    caller: Arc<Caller>,
    expires_at: Option<Millis>,
    /// `Db::access_generation` before the caller was read.
    generation: u64,
}

impl Callers {
    /// Will `authenticate` answer without the database?
    pub fn knows(&self, db: &Db, secret: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&secret_digest(secret)).map(|known| known.generation);
        known.is_some() && known == db.access_generation()
    }

    /// As `credentials::authenticate`; in a store of several processes it asks the database each time.
    pub fn authenticate(&self, db: &Db, secret: &str, now: Millis) -> Result<Arc<Caller>> {
        let secret = secret_digest(secret);
        let generation = db.access_generation();
        if let (Some(generation), Some(known)) = (generation, self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&secret))
            && known.generation == generation
        {
            return match known.expires_at {
                Some(at) if at <= now => Err(Error::new(Kind::Expired, "the token has expired")),
                _ => Ok(Arc::clone(&known.caller)),
            };
        }
        let (caller, expires_at) = db.statement("authenticate", |tx| authenticate(tx, &secret, now))?;
        let caller = Arc::new(caller);
        if let Some(generation) = generation {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(secret, Known { caller: Arc::clone(&caller), expires_at, generation });
        }
        Ok(caller)
    }
}
