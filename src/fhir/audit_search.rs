//! What the search parameters of AuditEvent see of an action, in the words of `audit_event`.

use super::audit_event::Action;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REST: (&str, &str) = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest");

impl Action {
    /// `AuditEvent.type`: system and code.
    pub const fn event_type(self) -> (&'static str, &'static str) {
        match self {
            Action::Read | Action::Vread | Action::Search | Action::Create | Action::Update | Action::Patch | Action::Delete => REST,
            Action::Upload => (DCM, "110107"),
            Action::Credential | Action::Keys => (DCM, "110113"),
            Action::Login => (DCM, "110114"),
            Action::Start | Action::Stop | Action::Activity => (DCM, "110100"),
        }
    }

    /// `AuditEvent.action` (https://hl7.org/fhir/R4/valueset-audit-event-action.html).
    pub const fn code(self) -> &'static str {
        match self {
            Action::Read | Action::Vread => "R",
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
