//! Which conditions of a provision hold of a request, before any resource is looked at.

use super::{Actor, Coding, Concept};
use crate::access::party::{CLIENT_SYSTEM, Party};

/// Is a condition met?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Yes,
    No,
    /// It cannot be told.
    Unknown,
}

impl Met {
    pub(super) fn and(self, other: Met) -> Met {
        match (self, other) {
            (Met::No, _) | (_, Met::No) => Met::No,
            (Met::Unknown, _) | (_, Met::Unknown) => Met::Unknown,
            _ => Met::Yes,
        }
    }

    /// Any of several; none at all is no condition.
    pub(super) fn any(all: impl Iterator<Item = Met>) -> Met {
        let (mut some, mut unknown) = (false, false);
        for met in all {
            match met {
                Met::Yes => return Met::Yes,
                Met::Unknown => unknown = true,
                Met::No => {}
            }
            some = true;
        }
        match (some, unknown) {
            (false, _) => Met::Yes,
            (true, true) => Met::Unknown,
            (true, false) => Met::No,
        }
    }
}

fn of_system(coding: &Coding, system: &str) -> bool {
    coding.system.as_deref().is_none_or(|own| own == system)
}

/// Who receives (http://hl7.org/fhir/ValueSet/security-role-type). An actor with another role says whose data it is, who
/// wrote it or who agreed, and none of that is known of a request.
const RECIPIENTS: [&str; 4] = ["PRCP", "IRCP", "GRANTEE", "DELEGATEE"];
/// The types of which a reference names a person.
const PEOPLE: [&str; 5] = ["Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "CareTeam"];

pub(super) fn actor(actor: &Actor, party: &Party, is_system: bool) -> Met {
    if !actor.role.iter().any(|role| RECIPIENTS.contains(&role.code.as_str())) {
        return Met::Unknown;
    }
    if let Some((system, value)) = &actor.identifier
        && system == CLIENT_SYSTEM
    {
        let Some(client) = party.client else { return Met::Unknown };
        return if client.to_string() == *value { Met::Yes } else { Met::No };
    }
    let Some((kind, id)) = &actor.reference else { return Met::Unknown };
    if party.is(kind, id) {
        return Met::Yes;
    }
    let person = PEOPLE.contains(&kind.as_str());
    match party.user() {
        // A user is none of the persons and organizations that the user is not known to be or to be in.
        Some(_) if !party.unsure && (person || kind == "Organization") => Met::No,
        None if is_system && person => Met::No,
        _ => Met::Unknown,
    }
}

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// The general purposes of v3-ActReason, of which none is another.
pub const PURPOSES: [&str; 7] = ["TREAT", "HPAYMT", "HOPERAT", "PUBHLTH", "HMARKT", "HRESCH", "PATRQT"];

pub(super) fn purpose(purpose: &Coding, asked: Option<&str>) -> Met {
    let Some(asked) = asked.filter(|_| of_system(purpose, REASON)) else { return Met::Unknown };
    let code = purpose.code.as_str();
    if code == asked || code == "PurposeOfUse" {
        return Met::Yes;
    }
    // Emergency treatment and break-glass are kinds of treatment, and who treats does not claim them.
    if PURPOSES.contains(&code) || ["ETREAT", "BTG"].contains(&code) { Met::No } else { Met::Unknown }
}

const ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
/// What a request does to see something.
pub(super) const SEE: [&str; 3] = ["access", "use", "disclose"];
/// What it does to change something.
pub(super) const CHANGE: [&str; 2] = ["collect", "correct"];

pub(super) fn action(concept: &Concept, done: &[&str]) -> Met {
    let one = |coding: &Coding| {
        let code = coding.code.as_str();
        match of_system(coding, ACTION) {
            true if done.contains(&code) => Met::Yes,
            true if SEE.contains(&code) || CHANGE.contains(&code) => Met::No,
            _ => Met::Unknown,
        }
    };
    if concept.is_empty() { Met::Unknown } else { Met::any(concept.iter().map(one)) }
}

const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

pub(super) fn class(class: &Coding, of: &str) -> Met {
    match class.system.as_deref() {
        Some(RESOURCE_TYPES) if class.code == of => Met::Yes,
        Some(RESOURCE_TYPES) => Met::No,
        _ => Met::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientId;

    fn coding(code: &str) -> Coding {
        Coding { system: None, code: code.into() }
    }

    fn named(role: &str, kind: &str, id: &str) -> Actor {
        Actor { role: vec![coding(role)], reference: Some((kind.into(), id.into())), identifier: None }
    }

    #[test]
    fn an_actor_is_met_by_any_name_of_the_user() {
        let mut user = Party::default();
        user.add("Practitioner", "p");
        user.add("Organization", "o");
        for (kind, id, met) in [
            ("Practitioner", "p", Met::Yes),
            ("Practitioner", "q", Met::No),
            ("Organization", "o", Met::Yes),
            ("Organization", "x", Met::No),
            ("CareTeam", "t", Met::No),
            ("Group", "g", Met::Unknown),
            ("Device", "d", Met::Unknown),
        ] {
            assert_eq!(actor(&named("IRCP", kind, id), &user, false), met, "{kind}/{id}");
        }
        assert_eq!(actor(&named("CST", "Practitioner", "p"), &user, false), Met::Unknown);
    }

    #[test]
    fn a_system_is_no_person_and_a_nameless_user_may_be_anybody() {
        let nobody = Party::default();
        assert_eq!(actor(&named("PRCP", "Practitioner", "p"), &nobody, true), Met::No);
        assert_eq!(actor(&named("PRCP", "Organization", "o"), &nobody, true), Met::Unknown);
        assert_eq!(actor(&named("PRCP", "Practitioner", "p"), &nobody, false), Met::Unknown);
    }

    #[test]
    fn a_client_is_named_by_its_identifier() {
        let client = ClientId::from_random([7; 16]);
        let party = Party { client: Some(client), ..Party::default() };
        let by =
            |value: &str| Actor { role: vec![coding("PRCP")], reference: None, identifier: Some((CLIENT_SYSTEM.into(), value.into())) };
        assert_eq!(actor(&by(&client.to_string()), &party, true), Met::Yes);
        assert_eq!(actor(&by("another"), &party, true), Met::No);
        assert_eq!(actor(&by("another"), &Party::default(), true), Met::Unknown);
    }

    #[test]
    fn purposes_and_actions_and_classes() {
        assert_eq!(purpose(&coding("TREAT"), Some("TREAT")), Met::Yes);
        assert_eq!(purpose(&coding("HRESCH"), Some("TREAT")), Met::No);
        assert_eq!(purpose(&coding("BTG"), Some("TREAT")), Met::No);
        assert_eq!(purpose(&coding("CAREMGT"), Some("TREAT")), Met::Unknown);
        assert_eq!(purpose(&coding("TREAT"), None), Met::Unknown);
        assert_eq!(action(&vec![coding("access")], &SEE), Met::Yes);
        assert_eq!(action(&vec![coding("collect")], &SEE), Met::No);
        assert_eq!(action(&vec![coding("sell")], &SEE), Met::Unknown);
        assert_eq!(action(&Vec::new(), &SEE), Met::Unknown);
        let class_of = |system: &str| Coding { system: Some(system.into()), code: "Observation".into() };
        assert_eq!(class(&class_of(RESOURCE_TYPES), "Observation"), Met::Yes);
        assert_eq!(class(&class_of(RESOURCE_TYPES), "Device"), Met::No);
        assert_eq!(class(&class_of("urn:mine"), "Observation"), Met::Unknown);
    }
}
