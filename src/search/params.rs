//! What can be searched: one table for the parser, the CapabilityStatement and the refusal tests.
//! Names and definitions are those of R4 (https://hl7.org/fhir/R4/searchparameter-registry.html).

/// The resource types that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    Patient,
    Device,
    Observation,
    AuditEvent,
}

impl Type {
    pub const ALL: &'static [Type] = &[Type::Patient, Type::Device, Type::Observation, Type::AuditEvent];

    pub const fn name(self) -> &'static str {
        match self {
            Type::Patient => "Patient",
            Type::Device => "Device",
            Type::Observation => "Observation",
            Type::AuditEvent => "AuditEvent",
        }
    }

    pub fn parse(name: &str) -> Option<Type> {
        Type::ALL.iter().copied().find(|resource| resource.name() == name)
    }

    /// What may be asked of this type.
    pub const fn search(self) -> &'static Searchable {
        match self {
            Type::Patient => &PATIENT,
            Type::Device => &DEVICE,
            Type::Observation => &OBSERVATION,
            Type::AuditEvent => &AUDIT_EVENT,
        }
    }
}

/// How a parameter is read and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `_id`: a token without a system, checked as a FHIR id.
    Id,
    Token,
    Date,
    /// A date of day, month or year that is answered by tokens, see `birth`.
    BirthDate,
    Reference,
    Text,
}

impl How {
    /// The R4 search parameter type, as the CapabilityStatement names it.
    pub const fn fhir_type(self) -> &'static str {
        match self {
            How::Id | How::Token => "token",
            How::Date | How::BirthDate => "date",
            How::Reference => "reference",
            How::Text => "string",
        }
    }
}

/// One search parameter of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    pub how: How,
    /// The canonical URL of the R4 SearchParameter.
    pub definition: &'static str,
    pub doc: &'static str,
    pub modifiers: &'static [&'static str],
    /// For a reference: the types it may point to.
    pub targets: &'static [&'static str],
    /// For an element of type `code`: the system that its binding implies.
    pub system: Option<&'static str>,
}

/// One value of `_include`: `text` is what the client sends, `param` the reference that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    pub text: &'static str,
    pub param: &'static str,
    pub target: Type,
}

/// Everything that may be asked of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Searchable {
    pub resource: Type,
    pub params: &'static [Param],
    /// The values of `_sort`.
    pub sorts: &'static [&'static str],
    pub includes: &'static [Include],
}

impl Searchable {
    pub fn param(&self, name: &str) -> Option<&'static Param> {
        self.params.iter().find(|param| param.name == name)
    }
}

/// Parameters that shape the answer and do not select: offered on every type.
pub const RESULT_PARAMS: &[ResultParam] = &[
    ResultParam {
        name: "_count",
        fhir_type: "number",
        doc: "Resources on a page: 50 unless given, never more than 1,000; 0 answers the total alone.",
    },
    ResultParam { name: "_sort", fhir_type: "string", doc: "One key, a leading - for descending; each type names its keys." },
    ResultParam { name: "_total", fhir_type: "token", doc: "none, estimate or accurate." },
    ResultParam { name: "_include", fhir_type: "string", doc: "Adds the resources that a reference points to." },
    ResultParam { name: "_format", fhir_type: "token", doc: "json; another format is answered 406." },
];

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct ResultParam {
    pub name: &'static str,
    pub fhir_type: &'static str,
    pub doc: &'static str,
}

/// The parameter of our own next links.
pub const CURSOR: &str = "_cursor";

macro_rules! param {
    ($how:ident $name:literal $definition:literal $doc:literal) => {
        Param {
            name: $name,
            how: How::$how,
            definition: concat!("http://hl7.org/fhir/SearchParameter/", $definition),
            doc: $doc,
            modifiers: &[],
            targets: &[],
            system: None,
        }
    };
    ($how:ident $name:literal $definition:literal $doc:literal, $($field:ident: $value:expr),+) => {
        Param { $($field: $value,)+ ..param!($how $name $definition $doc) }
    };
}

const ID: Param = param!(Id "_id" "Resource-id" "The logical id.");
const LAST_UPDATED: Param = param!(Date "_lastUpdated" "Resource-lastUpdated" "When this version was committed.");

const PATIENT: Searchable = Searchable {
    resource: Type::Patient,
    params: &[
        ID,
        LAST_UPDATED,
        param!(Text "name" "Patient-name" "Start of any part of any name.", modifiers: &["exact"]),
        param!(Text "family" "individual-family" "Start of a family name.", modifiers: &["exact"]),
        param!(Text "given" "individual-given" "Start of a given name.", modifiers: &["exact"]),
        param!(BirthDate "birthdate" "individual-birthdate" "The date of birth, 1850 to 2149."),
        param!(Token "identifier" "Patient-identifier" "A business identifier."),
    ],
    sorts: &["_lastUpdated", "-_lastUpdated"],
    includes: &[],
};

const DEVICE: Searchable = Searchable {
    resource: Type::Device,
    params: &[
        ID,
        LAST_UPDATED,
        param!(Reference "patient" "Device-patient" "Who wears it.", targets: &["Patient"]),
        param!(Token "identifier" "Device-identifier" "An instance identifier."),
        param!(Token "status" "Device-status" "active, inactive, entered-in-error or unknown.",
            system: Some("http://hl7.org/fhir/device-status")),
    ],
    sorts: &["_lastUpdated", "-_lastUpdated"],
    includes: &[Include { text: "Device:patient", param: "patient", target: Type::Patient }],
};

const OBSERVATION: Searchable = Searchable {
    resource: Type::Observation,
    params: &[
        ID,
        LAST_UPDATED,
        param!(Reference "patient" "clinical-patient" "The subject, when it is a Patient.", targets: &["Patient"]),
        param!(Reference "subject" "Observation-subject" "The subject.",
            modifiers: &["Patient", "Group", "Device", "Location"], targets: &["Patient", "Group", "Device", "Location"]),
        param!(Token "code" "clinical-code" "What was observed."),
        param!(Token "category" "Observation-category" "The kind of observation."),
        param!(Date "date" "clinical-date" "The effective time; a range must contain all of it."),
        param!(Reference "device" "Observation-device" "What measured it.",
            modifiers: &["Device", "DeviceMetric"], targets: &["Device", "DeviceMetric"]),
        param!(Token "status" "Observation-status" "registered, preliminary, final, amended and so on.",
            system: Some("http://hl7.org/fhir/observation-status")),
        param!(Token "identifier" "clinical-identifier" "A business identifier, such as the source record's."),
    ],
    sorts: &["date", "-date", "_lastUpdated", "-_lastUpdated"],
    includes: &[
        Include { text: "Observation:device", param: "device", target: Type::Device },
        Include { text: "Observation:subject", param: "subject", target: Type::Patient },
        Include { text: "Observation:patient", param: "patient", target: Type::Patient },
    ],
};

const AGENTS: &[&str] = &["Patient", "Device", "Practitioner", "PractitionerRole", "Organization", "RelatedPerson"];

const AUDIT_EVENT: Searchable = Searchable {
    resource: Type::AuditEvent,
    params: &[
        ID,
        LAST_UPDATED,
        param!(Reference "patient" "AuditEvent-patient" "Whose data it was.", targets: &["Patient"]),
        param!(Date "date" "AuditEvent-date" "When it was recorded."),
        param!(Reference "agent" "AuditEvent-agent" "Who did it; :identifier takes system|value.",
            modifiers: &["identifier", "Patient", "Device", "Practitioner", "PractitionerRole", "Organization", "RelatedPerson"],
            targets: AGENTS),
        param!(Token "type" "AuditEvent-type" "The type of event."),
        param!(Token "action" "AuditEvent-action" "C, R, U, D or E.", system: Some("http://hl7.org/fhir/audit-event-action")),
        param!(Token "outcome" "AuditEvent-outcome" "0, 4, 8 or 12.", system: Some("http://hl7.org/fhir/audit-event-outcome")),
    ],
    // An AuditEvent is recorded once and never changed: both keys are the same time.
    sorts: &["date", "-date", "_lastUpdated", "-_lastUpdated"],
    includes: &[],
};

/// The whole table.
pub const PARAMS: &[&Searchable] = &[&PATIENT, &DEVICE, &OBSERVATION, &AUDIT_EVENT];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for search in PARAMS {
            assert_eq!(search.resource.search(), *search);
            for param in search.params {
                assert!(param.definition.starts_with("http://hl7.org/fhir/SearchParameter/") && !param.doc.is_empty());
                assert_eq!(search.param(param.name), Some(param), "a name stands twice");
                assert_eq!(param.how == How::Reference, !param.targets.is_empty());
                let known = |modifier: &&str| ["exact", "identifier"].contains(modifier) || param.targets.contains(modifier);
                assert!(param.modifiers.iter().all(known), "{}", param.name);
            }
            for include in search.includes {
                assert!(search.param(include.param).is_some());
                assert_eq!(include.text, format!("{}:{}", search.resource.name(), include.param));
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        assert!(Type::ALL.iter().all(|resource| Type::parse(resource.name()) == Some(*resource)));
        assert_eq!(Type::parse("observation"), None);
    }
}
