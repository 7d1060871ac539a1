//! What a mapping says an Observation looks like, before any sample fills it.

/// A FHIR Coding; `display` is the code system's own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coding {
    pub system: String,
    pub code: String,
    pub display: Option<String>,
}

/// A UCUM unit as it stands in a Quantity: `code` is case-sensitive UCUM, `unit` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    pub unit: String,
    pub code: String,
}

/// The constant part of every Observation that one mapping makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// `Observation.meta.source`: `urn:firth:mapping:<id>@<version>`.
    pub source: String,
    /// `Observation.meta.profile`, canonical URLs.
    pub profiles: Vec<String>,
    pub categories: Vec<Coding>,
    /// `Observation.code.coding`: LOINC first, HL7 PHR second, the source's own type last.
    pub codes: Vec<Coding>,
    pub value: ValueShape,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueShape {
    /// One number in one unit: slot 0.
    Quantity(Unit),
    /// A coded value, the same for every sample of the template.
    Coded(Vec<Coding>),
    /// A panel: component n is slot n; a slot without a number gets a dataAbsentReason.
    Components(Vec<Component>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Component {
    pub codes: Vec<Coding>,
    pub unit: Unit,
}
