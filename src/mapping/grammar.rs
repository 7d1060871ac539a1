//! The closed grammar of a mapping file; `docs` of each field are the reference for those who write one.
//! A member that is not here is an error. Scalars that stand for numbers are read as text, so no digit is lost.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// `provider.metric`, unique; a file in FIRTH_MAPPINGS_DIR with the id of a shipped one replaces it.
    pub id: Spanned<String>,
    /// `major.minor.patch`; shown in `meta.source`. A new version makes no new samples.
    pub version: Spanned<String>,
    pub from: From,
    /// What one record becomes: usually one Observation.
    pub observations: Vec<Observation>,
}

/// Which records this file is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    pub providers: Vec<Spanned<String>>,
    /// The list of the upload, for example `records`.
    pub list: Spanned<String>,
    /// The record types; left out: every record of the list.
    #[serde(default)]
    pub types: Vec<Spanned<String>>,
    /// The code system of the type: each Observation also carries its type in it.
    pub system: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The metric key. It is part of the identity of stored samples and may never change.
    pub metric: Spanned<String>,
    /// For example `daily`: samples of different levels are different samples.
    #[serde(default)]
    pub aggregation: Option<Spanned<String>>,
    pub time: Time,
    /// A record without this value is not refused as long as it gives another Observation.
    #[serde(default)]
    pub optional: bool,
    /// The record holds an array of samples; `@` then starts at one of them.
    #[serde(default)]
    pub each: Option<Each>,
    #[serde(default)]
    pub profiles: Vec<Spanned<String>>,
    pub categories: Vec<Category>,
    pub codes: Vec<Code>,
    pub value: Spanned<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// `effectiveDateTime` is the start.
    Instant,
    /// `effectivePeriod` from start to end.
    Period,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// Selects the array.
    pub list: Spanned<String>,
    pub start: Spanned<String>,
    #[serde(default)]
    pub end: Option<Spanned<String>>,
}

/// http://terminology.hl7.org/CodeSystem/observation-category
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    SocialHistory,
    VitalSigns,
    Imaging,
    Laboratory,
    Procedure,
    Survey,
    Exam,
    Therapy,
    Activity,
}

/// One coding: `loinc`, `phr`, or `system` with `code`. `display` only when it is the system's own wording.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    #[serde(default)]
    pub loinc: Option<Spanned<String>>,
    /// http://hl7.org/fhir/uv/phr/CodeSystem/observation-pghd-codes
    #[serde(default)]
    pub phr: Option<Spanned<String>>,
    #[serde(default)]
    pub system: Option<Spanned<String>>,
    #[serde(default)]
    pub code: Option<Spanned<String>>,
    #[serde(default)]
    pub display: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Quantity(Box<Reading>),
    Coded(Coded),
    Panel(Vec<Component>),
}

/// A number: where it stands, the units it may come in, the range it must be in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Left out: `$.value`, inside `each` `@.value`.
    #[serde(default)]
    pub from: Option<Spanned<String>>,
    /// Where the source's unit stands. Left out: `$.unit`, inside `each` `@.unit`.
    #[serde(default)]
    pub unit_from: Option<Spanned<String>>,
    /// What is stored: UCUM `code`, and `unit` for people.
    pub unit: Unit,
    /// Each unit text of the source with the factor that makes it `unit`; `''` is a record without one.
    pub accept: BTreeMap<String, Spanned<String>>,
    /// Least and greatest value, in `unit`.
    pub range: Spanned<(String, String)>,
    /// Numbers that mean "not measured".
    #[serde(default)]
    pub sentinels: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub code: Spanned<String>,
    pub unit: String,
}

/// A value from a fixed list of words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coded {
    pub from: Spanned<String>,
    /// The code system of the source's word, which becomes the last coding of the value.
    pub system: Spanned<String>,
    /// Each word with its codings; none means that no code system has it.
    pub map: BTreeMap<String, Vec<Code>>,
}

/// A component of a panel. With `type` it is filled by records of that type, which the panel then groups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    #[serde(default, rename = "type")]
    pub kind: Option<Spanned<String>>,
    pub codes: Vec<Code>,
    pub reading: Reading,
}
