//! Who makes a request, in the words of resources: all that a CareTeam or a Consent may name the person by.

use crate::id::ClientId;

/// The references that name who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Type and id: `fhirUser` first, then the roles, organizations, teams and groups that the person is in.
    pub named: Vec<(String, String)>,
    pub client: Option<ClientId>,
    /// The person may be in more than these: something that says so says besides what is not known here.
    pub unsure: bool,
}

/// The identifier by which a resource names a client of this server.
pub const CLIENT_SYSTEM: &str = "urn:firth:client";

impl Party {
    pub fn is(&self, kind: &str, id: &str) -> bool {
        self.named.iter().any(|(own, own_id)| own == kind && own_id == id)
    }

    /// The same once more has no effect.
    pub fn add(&mut self, kind: &str, id: &str) {
        if !self.is(kind, id) {
            self.named.push((kind.to_owned(), id.to_owned()));
        }
    }

    /// The record of the person, `fhirUser`.
    pub fn user(&self) -> Option<(&str, &str)> {
        self.named.first().map(|(kind, id)| (kind.as_str(), id.as_str()))
    }
}
