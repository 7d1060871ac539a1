//! What is remembered of who may do what, and since when: each commit that changes it counts one up.

use std::ops::BitOrAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::search::Type;

/// What a transaction changes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Changed {
    /// Credentials, clients, accounts, grants, break-glass, who is whom, and what is withheld: it may concern any caller.
    pub access: bool,
    /// Who is in which team, role, group or organization, and who stands by whom: it concerns those alone who have a
    /// `fhirUser`, by which resources name them.
    pub teams: bool,
}

impl Changed {
    /// By a version of a resource of the type. What a new Organization is part of concerns nobody yet, nor does a new
    /// Consent that withholds nothing: of one that does its rows tell (`restricts`).
    pub const fn by(of: (Type, u32), restricts: bool) -> Changed {
        let teams = match of {
            (Type::CareTeam | Type::Group | Type::PractitionerRole | Type::RelatedPerson, _) => true,
            (Type::Organization, version) => version > 1,
            _ => false,
        };
        Changed { access: restricts || matches!(of, (Type::Consent, 2..)), teams }
    }
}

impl BitOrAssign for Changed {
    fn bitor_assign(&mut self, more: Changed) {
        self.access |= more.access;
        self.teams |= more.teams;
    }
}

/// The counts when something was read.
#[derive(Clone, Copy, Debug)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_that_says_who_sees_what_counts_where_it_belongs() {
        let counted = |of, restricts| {
            let generations = Generations::default();
            generations.count(Changed::by(of, restricts));
            let now = generations.now();
            (now.access, now.teams)
        };
        for (of, restricts, expected) in [
            ((Type::Patient, 1), false, (0, 0)),
            ((Type::Practitioner, 2), false, (0, 0)),
            ((Type::CareTeam, 1), false, (0, 1)),
            ((Type::Group, 1), false, (0, 1)),
            ((Type::PractitionerRole, 3), false, (0, 1)),
            ((Type::RelatedPerson, 1), false, (0, 1)),
            ((Type::Organization, 1), false, (0, 0)),
            ((Type::Organization, 2), false, (0, 1)),
            ((Type::Consent, 1), false, (0, 0)),
            ((Type::Consent, 1), true, (1, 0)),
            ((Type::Consent, 2), false, (1, 0)),
        ] {
            assert_eq!(counted(of, restricts), expected, "{of:?}");
        }
    }
}
