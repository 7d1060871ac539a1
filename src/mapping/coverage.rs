//! Which source types there are, and why some are not mapped: `mappings/<source>/types.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lint;
use crate::error::Result;

/// Why a known source type has no mapping. A closed list.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It has a mapping (checked at load).
    Mapped,
    /// Planned: codes are known, the file is not written yet.
    Later,
    /// No code system has a code for it.
    NoCode,
    /// The source puts different things under one name.
    Ambiguous,
    /// A figure of the vendor's own making, without a published method.
    Proprietary,
}

impl Reason {
    /// For people.
    pub fn says(self) -> &'static str {
        match self {
            Reason::Mapped => "mapped",
            Reason::Later => "planned, not written yet",
            Reason::NoCode => "no code system has a code for it",
            Reason::Ambiguous => "the source puts different things under one name",
            Reason::Proprietary => "the vendor's own figure, without a published method",
        }
    }
}

/// One `types.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub providers: Vec<String>,
    /// List, then type; the type `*` stands for every record of the list.
    pub lists: BTreeMap<String, BTreeMap<String, Reason>>,
}

impl Known {
    pub fn parse(file: &str, text: &str) -> Result<Known> {
        lint::yaml(file, text)
    }
}

/// One line of `firth mapping coverage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub provider: String,
    pub list: String,
    pub kind: String,
    /// The id of the mapping, if any.
    pub mapping: Option<String>,
    pub reason: Reason,
}
