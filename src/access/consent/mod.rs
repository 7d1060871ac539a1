//! Consent (https://hl7.org/fhir/R4/consent.html): what a patient withholds from whom. Pure; `ledger::consents` reads the
//! resources, `policy` makes search filters of what comes out.
//!
//! A condition of a provision is met, not met, or cannot be told. What cannot be told counts as met where the provision
//! denies and as not met where it permits, so nothing that is written is passed over in the direction of showing more.
//! A provision that permits only takes back what one around it denies: no Consent lets anybody see more than the role.

mod matching;
mod withholding;

pub use matching::PURPOSES;
pub use withholding::{Asker, Fact, Group, Literal, Withholding};

use super::period::Period;

/// `type` of a provision, or what the policy of the whole says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Permit,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coding {
    pub system: Option<String>,
    pub code: String,
}

/// The codings of a CodeableConcept; none of one in words alone.
pub type Concept = Vec<Coding>;

/// An active Consent of scope `patient-privacy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// What `policyRule` says where no provision speaks: OPTIN permits, OPTOUT denies, another says nothing here.
    pub base: Option<Effect>,
    pub root: Option<Provision>,
    /// It says something that only its author understands (`modifierExtension`, `implicitRules`).
    pub foreign: bool,
}

/// `Consent.provision`; within one element any of its values will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provision {
    pub effect: Option<Effect>,
    pub period: Period,
    pub actors: Vec<Actor>,
    pub actions: Vec<Concept>,
    pub labels: Vec<Coding>,
    pub purposes: Vec<Coding>,
    pub classes: Vec<Coding>,
    pub codes: Vec<Concept>,
    pub data_period: Option<Period>,
    pub data: Vec<Datum>,
    pub foreign: bool,
    pub nested: Vec<Provision>,
}

/// `provision.actor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub role: Concept,
    /// Type and id of a resource of this server.
    pub reference: Option<(String, String)>,
    /// System and value.
    pub identifier: Option<(String, String)>,
}

/// `provision.data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datum {
    /// Is it `instance`: the resource itself?
    pub instance: bool,
    /// Type and id of a resource of this server.
    pub reference: Option<(String, String)>,
}

impl Consent {
    /// Does it deny anything to anybody? One that does not is never opened to answer a request.
    pub fn restricts(&self) -> bool {
        self.base == Some(Effect::Deny) || self.root.as_ref().is_some_and(Provision::denies)
    }
}

impl Provision {
    fn denies(&self) -> bool {
        self.effect == Some(Effect::Deny) || self.nested.iter().any(Provision::denies)
    }
}
