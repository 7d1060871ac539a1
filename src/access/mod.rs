//! Who may do what: roles and SMART v2 scopes; room `policy` makes of them the predicate that every query carries. Pure.

mod roles;
mod scopes;

pub use roles::{DOCUMENTS, NO_RESEARCHER, Named, PatientRule, Role, Roles};
pub use scopes::{Allowed, By, Constraint, Context, Interaction, Offer, Offered, Plain, Reader, Requested, Scopes, Ungranted};

use std::sync::Arc;

use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{GrantId, PatientId, UserId};

/// Who makes a request, as the token says it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub credential: GrantId,
    pub role: Role,
    pub scopes: Scopes,
    /// The person an SDK token uploads for.
    pub user: Option<UserId>,
    /// The patients that were named when the token was issued.
    pub patients: Vec<PatientId>,
    pub issued_at: Millis,
}

/// The patient rule: whose data a caller may have at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Everybody,
    /// What is on these patients' shelves; none named is none seen.
    Patients(Arc<[PatientId]>),
}

impl Caller {
    /// The patient rule: all, or those that were named or found for the caller.
    pub fn whom(&self) -> Whom {
        match self.role.rule() {
            PatientRule::All => Whom::Everybody,
            PatientRule::CareTeam | PatientRule::Own | PatientRule::None => Whom::Patients(Arc::from(self.patients.as_slice())),
        }
    }

    /// May the caller act for this user under `/api/v1`?
    pub fn may_act_for(&self, user: UserId) -> Result<()> {
        match self.role {
            Role::App => Ok(()),
            Role::DeviceSdk if self.user == Some(user) => Ok(()),
            _ => Err(Error::new(Kind::Forbidden, "the token does not belong to this user")),
        }
    }
}
