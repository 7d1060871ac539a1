//! What can be searched: one table for the parser, the CapabilityStatement and the refusal tests.
//! The parameters of a type come from R4 itself (`table`). Names and definitions are those of R4 (https://hl7.org/fhir/R4/searchparameter-registry.html).

use super::table;

macro_rules! types {
    ($($name:ident $number:literal;)*) => {
        /// The resource types that are served. The numbers stand in every table of the store and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum Type { $($name = $number),* }

        impl Type {
            pub const ALL: &'static [Type] = &[$(Type::$name),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Type::$name => stringify!($name)),*
                }
            }
        }
    };
}

types! {
    Patient 1;
    Device 2;
    Observation 3;
    AuditEvent 4;
    DeviceMetric 5;
    Practitioner 6;
    PractitionerRole 7;
    Organization 8;
    Location 9;
    CareTeam 10;
    Group 11;
    RelatedPerson 12;
    Consent 13;
    Provenance 14;
    DocumentReference 15;
    Binary 16;
    Questionnaire 17;
    QuestionnaireResponse 18;
    DiagnosticReport 19;
    Encounter 20;
    Goal 21;
    CarePlan 22;
    Flag 23;
    DetectedIssue 24;
    Communication 25;
    List 26;
    Basic 27;
}

impl Type {
    /// The number in the tables of the store.
    pub const fn number(self) -> i16 {
        self as i16
    }

    pub fn numbered(number: i16) -> Option<Type> {
        Type::ALL.iter().copied().find(|resource| resource.number() == number)
    }

    pub fn parse(name: &str) -> Option<Type> {
        Type::ALL.iter().copied().find(|resource| resource.name() == name)
    }

    /// What may be asked of this type.
    pub fn search(self) -> &'static Searchable {
        table::of(self)
    }

    /// May clients write it? An AuditEvent is a view of the log.
    pub const fn is_document(self) -> bool {
        !matches!(self, Type::AuditEvent)
    }

    /// Is it about nobody, so that whoever may read the type sees all of it?
    pub const fn is_shared(self) -> bool {
        matches!(self, Type::Practitioner | Type::PractitionerRole | Type::Organization | Type::Location | Type::Questionnaire)
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
    Uri,
}

/// One search parameter of one type.
#[derive(Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    pub how: How,
    /// R4 search-param-type, as the CapabilityStatement names it.
    pub fhir_type: &'static str,
    /// The canonical URL of the R4 SearchParameter.
    pub definition: &'static str,
    pub doc: String,
    pub modifiers: Vec<&'static str>,
    /// For a reference: the types it may point to.
    pub targets: Vec<&'static str>,
    /// The ways to its values in a document.
    pub paths: Vec<Path>,
    /// Its place among those of its type: which bit says that a document has a value of it.
    pub bit: u32,
}

/// A way down to the values of a parameter, in JSON's names.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub steps: Vec<String>,
    /// The type of what stands there: `CodeableConcept`, `dateTime`.
    pub leaf: &'static str,
    /// Only References to this type count.
    pub resolves_to: Option<&'static str>,
    /// For an element of type `code`: the system that its binding implies.
    pub system: Option<&'static str>,
}

impl Param {
    /// Are its values identifiers, whose UUIDs are compared in one spelling?
    pub fn is_identifier(&self) -> bool {
        self.paths.iter().any(|path| path.leaf == "Identifier")
    }

    /// Are its values true and false alone?
    pub fn is_boolean(&self) -> bool {
        !self.paths.is_empty() && self.paths.iter().all(|path| path.leaf == "boolean")
    }
}

/// One value of `_include`: `text` is what the client sends, `param` the reference that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    pub text: &'static str,
    pub param: &'static str,
    pub target: Type,
}

/// Everything that may be asked of one type.
#[derive(Debug, PartialEq, Eq)]
pub struct Searchable {
    pub resource: Type,
    pub params: Vec<Param>,
    /// The values of `_sort`.
    pub sorts: &'static [&'static str],
    pub includes: &'static [Include],
}

impl Searchable {
    pub fn param(&'static self, name: &str) -> Option<&'static Param> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for resource in Type::ALL {
            let search = resource.search();
            assert_eq!((search.resource, Type::numbered(resource.number())), (*resource, Some(*resource)));
            let mut bits = 0u64;
            for param in &search.params {
                assert!(param.definition.starts_with("http://hl7.org/fhir/SearchParameter/") && !param.doc.is_empty());
                assert_eq!(search.param(param.name), Some(param), "a name stands twice");
                assert_eq!(param.how == How::Reference, !param.targets.is_empty(), "{resource:?} {}", param.name);
                let known =
                    |modifier: &&str| ["exact", "identifier", "missing", "not"].contains(modifier) || param.targets.contains(modifier);
                assert!(param.modifiers.iter().all(known), "{}", param.name);
                assert_eq!(bits & (1 << param.bit), 0, "two parameters of {resource:?} share a bit");
                bits |= 1 << param.bit;
            }
            for include in search.includes {
                assert!(search.param(include.param).is_some());
                assert_eq!(include.text, format!("{}:{}", search.resource.name(), include.param));
            }
        }
    }

    #[test]
    fn what_is_a_plain_path_is_offered() {
        let names = |resource: Type| resource.search().params.iter().map(|param| param.name).collect::<Vec<_>>().join(" ");
        let encounter = "_id _lastUpdated _profile _security _source _tag account appointment based-on class date diagnosis \
                         episode-of-care identifier location location-period part-of participant participant-type patient practitioner \
                         reason-code reason-reference service-provider special-arrangement status subject type";
        assert_eq!(names(Type::Encounter), encounter);
        assert_eq!(names(Type::AuditEvent), "_id _lastUpdated action agent date outcome patient type");
        assert_eq!(names(Type::Binary), "_id _lastUpdated _profile _security _source _tag");
    }

    #[test]
    fn names_are_read_back() {
        assert!(Type::ALL.iter().all(|resource| Type::parse(resource.name()) == Some(*resource)));
        assert_eq!(Type::parse("observation"), None);
    }
}
