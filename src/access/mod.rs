//! Who may do what: roles, SMART v2 scopes, and the predicate that every query carries. Pure.

mod scopes;

pub use scopes::{Allowed, By, Constraint, Context, Interaction, Offer, Offered, Plain, Reader, Requested, Scopes, Ungranted, unenforced};

use std::sync::LazyLock;

use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{GrantId, PatientId, UserId};

/// The roles of `docs/roles.md`, by their number in table `credential`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Patient = 1,
    Clinician = 2,
    EhrSystem = 3,
    DeviceSdk = 4,
    Auditor = 5,
    SecurityAdmin = 6,
    Operator = 7,
    /// An app's API key: `/api/v1/users...`, sync and invitations, nothing under `/fhir`.
    App = 8,
}

impl Role {
    pub const ALL: &'static [Role] =
        &[Role::Patient, Role::Clinician, Role::EhrSystem, Role::DeviceSdk, Role::Auditor, Role::SecurityAdmin, Role::Operator, Role::App];

    pub const fn name(self) -> &'static str {
        match self {
            Role::Patient => "patient",
            Role::Clinician => "clinician",
            Role::EhrSystem => "ehr-system",
            Role::DeviceSdk => "device-sdk",
            Role::Auditor => "auditor",
            Role::SecurityAdmin => "security-admin",
            Role::Operator => "operator",
            Role::App => "app",
        }
    }

    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| role.name() == name)
    }

    pub fn numbered(number: i16) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| *role as i16 == number)
    }

    /// What the role may do at most; a token's scopes only take away.
    pub fn scopes(self) -> &'static Scopes {
        static OF_ROLES: LazyLock<Vec<Scopes>> =
            LazyLock::new(|| Role::ALL.iter().map(|role| Scopes::parse(&role.most()).unwrap_or_default()).collect());
        // The roles are numbered from 1, in the order of `ALL`.
        &OF_ROLES[self as usize - 1]
    }

    fn most(self) -> String {
        let of_all = |context: &str, letters: fn(&str) -> &str| {
            DOCUMENTS.iter().map(|name| format!("{context}/{name}.{}", letters(name))).collect::<Vec<_>>().join(" ")
        };
        match self {
            Role::Patient => of_all("patient", |_| "rs"),
            Role::Clinician => of_all("user", |name| if BY_CLINICIANS.contains(&name) { "cruds" } else { "rs" }),
            Role::EhrSystem => of_all("system", |_| "cruds"),
            Role::Auditor => "system/AuditEvent.rs".into(),
            Role::DeviceSdk | Role::SecurityAdmin | Role::Operator | Role::App => String::new(),
        }
    }

    /// May the role look across patients where only a scan can answer?
    pub const fn is_system(self) -> bool {
        matches!(self, Role::EhrSystem)
    }
}

/// The resource types that people write: all that are served but AuditEvent.
pub const DOCUMENTS: [&str; 26] = [
    "Patient",
    "Device",
    "Observation",
    "DeviceMetric",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "CareTeam",
    "Group",
    "RelatedPerson",
    "Consent",
    "Provenance",
    "DocumentReference",
    "Binary",
    "Questionnaire",
    "QuestionnaireResponse",
    "DiagnosticReport",
    "Encounter",
    "Goal",
    "CarePlan",
    "Flag",
    "DetectedIssue",
    "Communication",
    "List",
    "Basic",
];

/// What clinicians write, of patients they may see.
const BY_CLINICIANS: [&str; 6] = ["Observation", "QuestionnaireResponse", "CarePlan", "Goal", "Flag", "Communication"];

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
    /// The patient rule: an EHR sees all, a clinician and a patient those that were named.
    pub fn visible(&self) -> Visible {
        match self.role {
            Role::EhrSystem | Role::Auditor => Visible::All,
            _ => Visible::Patients(self.patients.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_of_each_role_are_read_and_of_one_context() {
        for role in Role::ALL {
            let most = Scopes::parse(&role.most()).unwrap();
            assert_eq!((role.scopes(), most.to_string()), (&most, role.most()));
            assert_eq!(most.of_one_context().unwrap().is_none(), most.is_empty(), "{role:?}");
        }
    }
}
