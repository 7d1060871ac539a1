//! Who shows a token: callers are remembered until a commit changes who may do what, so that the request of a known one
//! asks nothing of the database. Where other processes commit unseen they are remembered for two seconds at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::access_tokens;
use super::break_glass;
use super::consents::Consents;
use super::credentials::authenticate;
use super::panels::{self, Panel};
use super::sessions::SignedIn;
use super::signing_keys::Keys;
use crate::access::{Caller, Moment, Party, PatientRule, Role, Roles};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Db, Generation, Tx};
use crate::vault::{Vault, secret_digest};

const KEPT: usize = 10_000;

/// How long what another process may have changed is believed.
const BELIEVED: Millis = 2_000;

pub struct Callers {
    db: Db,
    vault: Arc<Vault>,
    roles: Roles,
    keys: Arc<Keys>,
    /// The issuer of signed tokens.
    url: String,
    consents: Consents,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

struct Known {
    caller: Arc<Caller>,
    expires_at: Option<Millis>,
    /// As it was before the caller was read.
    generation: Generation,
    read_at: Millis,
}

impl Callers {
    pub fn new(of: (Db, Arc<Vault>), roles: Roles, keys: Arc<Keys>, url: String) -> Callers {
        let (db, vault) = of;
        Callers { db, vault, roles, keys, url, consents: Consents::default(), known: Mutex::default() }
    }

    /// Who shows it, if that is remembered: nothing is asked of the database.
    pub fn remembered(&self, token: &str, now: Millis) -> Option<Arc<Caller>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |known: &&Known| self.holds(known, now) && known.expires_at.is_none_or(|at| at > now);
        known.get(&secret_digest(token)).filter(good).map(|known| Arc::clone(&known.caller))
    }

    fn holds(&self, known: &Known, now: Millis) -> bool {
        let lives = [known.caller.until, known.expires_at].into_iter().flatten().all(|end| now < end);
        let now_is = self.db.generation();
        // Who has no `fhirUser` is in no team, and no Consent can name him by one.
        let in_teams = known.caller.fhir_user.is_some();
        let same = known.generation.access == now_is.access && (known.generation.teams == now_is.teams || !in_teams);
        lives && same && (self.db.one_process() || (0..BELIEVED).contains(&(now - known.read_at)))
    }

    /// `Kind::Unauthenticated` and, of a token that is not signed, `Kind::Expired`. Whether a proof comes with a token that
    /// is bound to a key is the caller's to ask.
    pub fn authenticate(&self, token: &str, now: Millis) -> Result<Arc<Caller>> {
        let digest = secret_digest(token);
        let generation = self.db.generation();
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)
            && self.holds(known, now)
        {
            return Ok(Arc::clone(&known.caller));
        }
        let (caller, expires_at) = self.look(token, &digest, now)?;
        let caller = Arc::new(caller);
        let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(digest, Known { caller: Arc::clone(&caller), expires_at, generation, read_at: now });
        Ok(caller)
    }

    fn look(&self, token: &str, digest: &[u8; 32], now: Millis) -> Result<(Caller, Option<Millis>)> {
        if !access_tokens::is_signed(token) {
            let (caller, expires_at) = self.db.statement("authenticate", |tx| authenticate(tx, &self.vault, digest, now))?;
            let caller = match caller.role.scopes().is_empty() {
                // Nobody withholds anything from who sees nothing under /fhir.
                true => caller,
                false => self.db.read("consents", |tx| self.whole(tx, (caller, &Party::default()), now))?,
            };
            return Ok((caller, expires_at));
        }
        let claims = access_tokens::verify(&self.keys, token, &self.url, now)?;
        let caller = self.db.read("authenticate", |tx| {
            let (caller, mut party) = access_tokens::caller(tx, &self.vault, &self.roles, &claims, now)?;
            party.client = caller.client;
            self.whole(tx, (caller, &party), now)
        })?;
        Ok((caller, Some(claims.exp.saturating_mul(1_000))))
    }

    /// Who has signed in to a browser, as with a token that takes nothing away from the role: what the pages show is seen
    /// with the same eyes as what the app will see.
    pub fn person(&self, tx: &mut Tx<'_>, who: &SignedIn, role: Role, now: Millis) -> Result<Caller> {
        let fhir_user = who.account.facts.fhir_user.clone();
        let Panel { whom, party, until } = panels::panel(tx, &self.vault, role, fhir_user.as_deref(), now)?;
        let caller = Caller {
            credential: who.session.id,
            role,
            scopes: role.scopes().clone(),
            user: None,
            whom,
            issued_at: who.session.used_at,
            client: None,
            account: Some(who.account.id),
            fhir_user,
            auth_time: who.session.auth_time,
            context: None,
            jkt: None,
            emergencies: Arc::default(),
            withheld: Arc::default(),
            until,
        };
        self.whole(tx, (caller, &party), now)
    }

    /// With what patients withhold by Consent.
    fn whole(&self, tx: &mut Tx<'_>, of: (Caller, &Party), now: Millis) -> Result<Caller> {
        let (mut caller, party) = of;
        let mut moment = Moment::new(now);
        caller.until.into_iter().for_each(|at| moment.ends(at));
        if let (Some(account), Some(client)) = (caller.account, caller.client)
            && caller.context.is_none()
            && caller.role.rule() == PatientRule::CareTeam
        {
            caller.emergencies = break_glass::of(tx, (account, client), &mut moment)?.into();
        }
        caller.withheld = Arc::new(self.consents.against(tx, &self.vault, (&caller, party), &mut moment)?);
        caller.until = moment.until();
        Ok(caller)
    }
}
