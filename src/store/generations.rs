//! What is remembered of who may do what, and since when: each commit that changes it counts one up.

use std::ops::BitOrAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a transaction changes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Changed {
    /// Credentials, clients, accounts, grants, break-glass, who is whom, and what is withheld: it may concern any caller.
    pub access: bool,
    /// Who is in which team, role, group or organization: it concerns people alone.
    pub teams: bool,
}

impl BitOrAssign for Changed {
    fn bitor_assign(&mut self, more: Changed) {
        self.access |= more.access;
        self.teams |= more.teams;
    }
}

/// The counts when something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    pub access: u64,
    pub teams: u64,
}

#[derive(Debug, Default)]
pub(in crate::store) struct Generations {
    access: AtomicU64,
    teams: AtomicU64,
}

impl Generations {
    pub fn now(&self) -> Generation {
        Generation { access: self.access.load(Ordering::SeqCst), teams: self.teams.load(Ordering::SeqCst) }
    }

    pub fn count(&self, changed: Changed) {
        if changed.access {
            self.access.fetch_add(1, Ordering::SeqCst);
        }
        if changed.teams {
            self.teams.fetch_add(1, Ordering::SeqCst);
        }
    }
}
