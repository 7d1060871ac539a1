//! What the model asks of each type; the server offers more.

use super::find::Way;
use super::world::KINDS;

/// A search parameter: its name, how it compares, and where its values are.
pub type Param = (&'static str, Way, &'static [&'static str]);

pub const IDENTIFIER: Param = ("identifier", Way::Identifier, &["identifier"]);
const ID: Param = ("_id", Way::Id, &[]);
const TAG: Param = ("_tag", Way::Coding, &["meta.tag"]);
const ACTIVE: Param = ("active", Way::Bool, &["active"]);
const GENDER: Param = ("gender", Way::Code("http://hl7.org/fhir/administrative-gender"), &["gender"]);
const NAME: Param = ("name", Way::Text, &["name.family", "name.given"]);
const FAMILY: Param = ("family", Way::Text, &["name.family"]);
const GIVEN: Param = ("given", Way::Text, &["name.given"]);
const PATIENT: Param = ("patient", Way::Refer(&["Patient"]), &["subject"]);
const ENCOUNTER: Param = ("encounter", Way::Refer(&["Encounter"]), &["encounter"]);
const WHO: &[&str] = &["Practitioner", "PractitionerRole", "Organization", "Patient"];
const ANY: &[&str] = &KINDS;

const TABLE: [(&str, &[Param]); 10] = [
    (
        "Patient",
        &[
            NAME,
            FAMILY,
            GIVEN,
            GENDER,
            ACTIVE,
            ("birthdate", Way::Date, &["birthDate"]),
            ("organization", Way::Refer(&["Organization"]), &["managingOrganization"]),
            ("general-practitioner", Way::Refer(&["Practitioner", "Organization", "PractitionerRole"]), &["generalPractitioner"]),
        ],
    ),
    ("Practitioner", &[NAME, FAMILY, GIVEN, GENDER, ACTIVE]),
    ("Organization", &[ACTIVE, ("name", Way::Text, &["name", "alias"]), ("partof", Way::Refer(&["Organization"]), &["partOf"])]),
    (
        "PractitionerRole",
        &[
            ACTIVE,
            ("practitioner", Way::Refer(&["Practitioner"]), &["practitioner"]),
            ("organization", Way::Refer(&["Organization"]), &["organization"]),
        ],
    ),
    (
        "Observation",
        &[
            ("status", Way::Code("http://hl7.org/fhir/observation-status"), &["status"]),
            ("code", Way::Coding, &["code"]),
            PATIENT,
            ("subject", Way::Refer(&["Patient"]), &["subject"]),
            ENCOUNTER,
            ("performer", Way::Refer(WHO), &["performer"]),
            ("date", Way::Date, &["effectiveDateTime", "effectivePeriod"]),
        ],
    ),
    (
        "Goal",
        &[
            ("lifecycle-status", Way::Code("http://hl7.org/fhir/goal-status"), &["lifecycleStatus"]),
            PATIENT,
            ("subject", Way::Refer(&["Patient", "Organization"]), &["subject"]),
            ("start-date", Way::Date, &["startDate"]),
        ],
    ),
    (
        "Basic",
        &[
            ("code", Way::Coding, &["code"]),
            PATIENT,
            ("subject", Way::Refer(ANY), &["subject"]),
            ("author", Way::Refer(WHO), &["author"]),
            ("created", Way::Date, &["created"]),
        ],
    ),
    (
        "List",
        &[
            ("status", Way::Code("http://hl7.org/fhir/list-status"), &["status"]),
            ("title", Way::Text, &["title"]),
            ("code", Way::Coding, &["code"]),
            PATIENT,
            ("subject", Way::Refer(&["Patient"]), &["subject"]),
            ENCOUNTER,
            ("item", Way::Refer(ANY), &["entry.item"]),
            ("source", Way::Refer(&["Practitioner", "PractitionerRole", "Patient"]), &["source"]),
            ("date", Way::Date, &["date"]),
        ],
    ),
    (
        "Encounter",
        &[
            ("status", Way::Code("http://hl7.org/fhir/encounter-status"), &["status"]),
            ("class", Way::Coding, &["class"]),
            PATIENT,
            ("subject", Way::Refer(&["Patient"]), &["subject"]),
            ("service-provider", Way::Refer(&["Organization"]), &["serviceProvider"]),
            ("part-of", Way::Refer(&["Encounter"]), &["partOf"]),
            ("date", Way::Date, &["period"]),
        ],
    ),
    (
        "Flag",
        &[
            PATIENT,
            ("subject", Way::Refer(&["Patient", "Organization", "Practitioner"]), &["subject"]),
            ENCOUNTER,
            ("author", Way::Refer(WHO), &["author"]),
            ("date", Way::Date, &["period"]),
        ],
    ),
];

pub fn params(kind: &str) -> Vec<Param> {
    let own = TABLE.iter().find(|(of, _)| *of == kind).map(|(_, own)| *own).expect("a type of the model");
    [own, &[ID, TAG, IDENTIFIER]].concat()
}
