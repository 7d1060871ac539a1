//! Who may do what: roles and SMART v2 scopes; room `policy` makes of them the predicate that every query carries. Pure.

pub mod consent;
mod party;
mod period;
mod roles;
mod scopes;

pub use party::{CLIENT_SYSTEM, Party};
pub use period::{Moment, Period};
pub use roles::{DOCUMENTS, NO_RESEARCHER, Named, PatientRule, Role, Roles};
pub use scopes::{Allowed, By, Constraint, Context, Interaction, Offer, Offered, Plain, Reader, Requested, Scopes, Ungranted};

use std::sync::Arc;

use consent::Withholding;

use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{AccountId, ClientId, GrantId, PatientId, UserId};

/// Who makes a request, as the token says it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub credential: GrantId,
    pub role: Role,
    pub scopes: Scopes,
    /// The person an SDK token uploads for.
    pub user: Option<UserId>,
    /// Whose data the role, the user and the token allow at all.
    pub whom: Whom,
    pub issued_at: Millis,
    /// The client to which the token was given; None of a token of `firth token issue` and of an app's.
    pub client: Option<ClientId>,
    /// Who signed in; None of a backend service.
    pub account: Option<AccountId>,
    /// Who that is here: `Practitioner/ID`, `Patient/ID`.
    pub fhir_user: Option<String>,
    /// When the person signed in.
    pub auth_time: Option<Millis>,
    /// The Patient in context: a token with scopes of `patient/` sees nobody else.
    pub context: Option<PatientId>,
    /// The thumbprint of the key to which the token is bound (RFC 9449): without a proof of it the token is none.
    pub jkt: Option<String>,
    /// Whom the user may see besides, to read alone, until it ends: break-glass.
    pub emergencies: Arc<[Emergency]>,
    /// What patients withhold by Consent.
    pub withheld: Arc<Withholding>,
    /// When some of this must be found out anew, though nothing was written: a period ends or begins.
    pub until: Option<Millis>,
}

/// One whom break-glass opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Emergency {
    /// The Patient it was asked for, by whom it is recorded and reviewed.
    pub asked: PatientId,
    /// Who that is as long as they are merged.
    pub now: PatientId,
}

/// The patient rule: whose data a caller may have at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Everybody,
    /// What is on these patients' shelves; none named is none seen.
    Patients(Arc<[PatientId]>),
}

impl FromIterator<PatientId> for Whom {
    fn from_iter<I: IntoIterator<Item = PatientId>>(patients: I) -> Whom {
        Whom::Patients(patients.into_iter().collect())
    }
}

impl Whom {
    pub fn nobody() -> Whom {
        Whom::Patients([].into())
    }

    pub fn first(&self) -> Option<PatientId> {
        match self {
            Whom::Everybody => None,
            Whom::Patients(patients) => patients.first().copied(),
        }
    }

    pub fn has(&self, patient: PatientId) -> bool {
        match self {
            Whom::Everybody => true,
            Whom::Patients(patients) => patients.contains(&patient),
        }
    }
}

impl Caller {
    /// May the caller act for this user under `/api/v1`?
    pub fn may_act_for(&self, user: UserId) -> Result<()> {
        match self.role {
            Role::App => Ok(()),
            Role::DeviceSdk if self.user == Some(user) => Ok(()),
            _ => Err(Error::new(Kind::Forbidden, "the token does not belong to this user")),
        }
    }
}
