//! How each action looks in an AuditEvent, and what the search parameters of AuditEvent see of it.

use fhir_sdk::r4b::codes::AuditEventAction;
use serde::{Deserialize, Serialize};

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REST: Code = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation");
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const ALERT: Code = (DCM, "110113", "Security Alert");
const AUTHENTICATION: Code = (DCM, "110114", "User Authentication");
const ACTIVITY: Code = (DCM, "110100", "Application Activity");
const PROVENANCE: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// What was done: the FHIR interactions, and the operations of this server. Stored entries have these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Read,
    Vread,
    /// All versions of one resource. BALP has no profile for this, nor for the other histories.
    History,
    HistoryType,
    HistorySystem,
    Search,
    Create,
    Update,
    Patch,
    Delete,
    /// A Bundle as a whole; each of its entries has its own action.
    Batch,
    Transaction,
    /// `$name`; the route says which.
    Operation,
    /// An upload was accepted or its outcome asked for.
    Upload,
    /// A credential was made, refreshed or revoked.
    Credential,
    /// An account was given another role, or none.
    RoleChange,
    /// Somebody was let to see a patient in an emergency, and that has ended.
    EmergencyStart,
    EmergencyStop,
    /// Somebody signed in, or did not; somebody signed out.
    SignIn,
    SignOut,
    Start,
    Stop,
    /// What the server does by itself, or a verb asks of it.
    Activity,
    /// A request that no route serves.
    Other,
}

/// System, code, display; an empty display is left out.
pub(super) type Code = (&'static str, &'static str, &'static str);

/// How an action looks: its BALP profile, its type, its subtype, its action code.
pub(super) type Looks = (Option<&'static str>, Code, Option<Code>, AuditEventAction);

impl Action {
    pub(super) fn looks(self) -> Looks {
        use AuditEventAction::{C, D, E, R, U};
        let rest = |profile, code, action| (Some(profile), REST, Some((INTERACTION, code, "")), action);
        let plain = |code, action| (None, REST, Some((INTERACTION, code, "")), action);
        let own = |kind, subtype, action| (None, kind, subtype, action);
        match self {
            Action::Read => rest("Read", "read", R),
            Action::Vread => rest("Read", "vread", R),
            Action::History => plain("history-instance", R),
            Action::HistoryType => plain("history-type", R),
            Action::HistorySystem => plain("history-system", R),
            Action::Search => rest("Query", "search-type", E),
            Action::Create => rest("Create", "create", C),
            Action::Update => rest("Update", "update", U),
            Action::Patch => rest("Update", "patch", U),
            Action::Delete => rest("Delete", "delete", D),
            Action::Batch => plain("batch", E),
            Action::Transaction => plain("transaction", E),
            Action::Operation => plain("operation", E),
            Action::Upload => own((DCM, "110107", "Import"), None, C),
            Action::Credential => own(ALERT, Some((DCM, "110137", "User security Attributes Changed")), E),
            Action::RoleChange => own(ALERT, Some((DCM, "110136", "Security Roles Changed")), E),
            Action::EmergencyStart => own(ALERT, Some((DCM, "110127", "Emergency Override Started")), E),
            Action::EmergencyStop => own(ALERT, Some((DCM, "110138", "Emergency Override Stopped")), E),
            Action::SignIn => own(AUTHENTICATION, Some((DCM, "110122", "Login")), E),
            Action::SignOut => own(AUTHENTICATION, Some((DCM, "110123", "Logout")), E),
            Action::Start => own(ACTIVITY, Some((DCM, "110120", "Application Start")), E),
            Action::Stop => own(ACTIVITY, Some((DCM, "110121", "Application Stop")), E),
            Action::Activity | Action::Other => own(ACTIVITY, None, E),
        }
    }

    /// Types of the client's and the server's agent; the data flows from 110153 to 110152.
    pub(super) fn roles(self) -> [Code; 2] {
        let (source, destination) = ((DCM, "110153", "Source Role ID"), (DCM, "110152", "Destination Role ID"));
        match self {
            _ if self.reads() => [destination, source],
            Action::Delete => [(DCM, "110150", "Application"), (PROVENANCE, "custodian", "Custodian")],
            _ => [source, destination],
        }
    }
}

impl Action {
    /// Does it only show what is there by its name?
    pub(super) const fn reads(self) -> bool {
        matches!(self, Action::Read | Action::Vread | Action::History | Action::HistoryType | Action::HistorySystem)
    }

    /// `AuditEvent.type`: system and code.
    pub const fn event_type(self) -> (&'static str, &'static str) {
        match self {
            Action::Upload => (DCM, "110107"),
            Action::Credential | Action::RoleChange | Action::EmergencyStart | Action::EmergencyStop => (ALERT.0, ALERT.1),
            Action::SignIn | Action::SignOut => (AUTHENTICATION.0, AUTHENTICATION.1),
            Action::Start | Action::Stop | Action::Activity | Action::Other => (ACTIVITY.0, ACTIVITY.1),
            _ => (REST.0, REST.1),
        }
    }

    /// `AuditEvent.action` (https://hl7.org/fhir/R4/valueset-audit-event-action.html).
    pub const fn code(self) -> &'static str {
        match self {
            _ if self.reads() => "R",
            Action::Create | Action::Upload => "C",
            Action::Update | Action::Patch => "U",
            Action::Delete => "D",
            _ => "E",
        }
    }
}

/// `AuditEvent.outcome`: 0 success, 4 refused, 8 a failure of the server.
pub const fn outcome(status: u16) -> &'static str {
    match status {
        0..400 => "0",
        400..500 => "4",
        _ => "8",
    }
}
