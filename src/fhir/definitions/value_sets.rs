//! Value sets that a code must be from: <http://hl7.org/fhir/R4/terminologies.html#required>.

use std::sync::LazyLock;

use super::language;
use super::rows::{Grouped, rows};

pub(super) const TABLE: &str = include_str!("valuesets.tsv");

/// In place of a code: every code of the system. Without a system: every code.
const OPEN: &str = "*";

const LANGUAGES: &str = "urn:ietf:bcp:47";

static VALUE_SETS: LazyLock<Grouped<Code>> = LazyLock::new(|| read(TABLE));

/// A member of a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub system: &'static str,
    pub code: &'static str,
}

/// The members of a value set.
#[derive(Clone, Copy, Debug)]
pub struct ValueSet {
    codes: &'static [Code],
}

impl ValueSet {
    /// Is the code a member? An element of type `code` has no system: any system's code of this text will do.
    /// True also for whatever an open part may have (BCP 13, ISO 4217, UCUM); of BCP 47 the form is known.
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        self.codes.iter().any(|it| {
            let of_system = system.is_none_or(|system| it.system == system) || it.system.is_empty();
            of_system && (it.code == code || it.code == OPEN && (it.system != LANGUAGES || language::well_formed(code)))
        })
    }

    /// Has it a part whose codes are not listed? Then `contains` says less.
    pub fn is_open(&self) -> bool {
        self.codes.iter().any(|it| it.code == OPEN)
    }

    /// The listed members, sorted by system and code.
    pub fn codes(&self) -> impl Iterator<Item = &'static Code> {
        self.codes.iter().filter(|it| it.code != OPEN)
    }
}

/// A value set that some element's `binding` names, by its canonical URL without a version.
pub fn value_set(url: &str) -> Option<ValueSet> {
    Some(VALUE_SETS.of(url)).filter(|codes| !codes.is_empty()).map(|codes| ValueSet { codes })
}

pub(super) fn read(table: &'static str) -> Grouped<Code> {
    Grouped::new(rows(table).map(|[url, system, code]| (url, Code { system, code })).collect())
}
