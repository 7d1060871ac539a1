//! Who may do what: roles, SMART v2 scopes, and the predicate that every query carries. Pure.

mod roles;
mod scopes;

pub use roles::{DOCUMENTS, NO_RESEARCHER, Named, PatientRule, Role, Roles};
pub use scopes::{Allowed, By, Constraint, Context, Interaction, Offer, Offered, Plain, Reader, Requested, Scopes, Ungranted, unenforced};

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

/// The rows a caller may see. Every alias of every query in `store` carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    All,
    /// Rows of these patients' shelves; none named is none seen.
    Patients(Vec<PatientId>),
}

impl Visible {
    /// May a resource on a shelf of this patient be seen? What is nobody's is seen by those who see all, and by everybody
    /// when its type is `shared`.
    pub fn sees(&self, shared: bool, patient: Option<PatientId>) -> bool {
        match self {
            Visible::All => true,
            Visible::Patients(patients) => patient.map_or(shared, |patient| patients.contains(&patient)),
        }
    }
}

impl Caller {
    /// The patient rule: all, or those that were named or found for the caller.
    pub fn visible(&self) -> Visible {
        match self.role.rule() {
            PatientRule::All => Visible::All,
            PatientRule::CareTeam | PatientRule::Own | PatientRule::None => Visible::Patients(self.patients.clone()),
        }
    }

    /// Role and scopes together; `Kind::Forbidden` names what was missing.
    pub fn may(&self, resource: &str, interaction: Interaction) -> Result<()> {
        if self.role.scopes().allow(resource, interaction) && self.scopes.allow(resource, interaction) {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, format!("the token's role and scopes do not allow {} on {resource}", interaction.word())))
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
