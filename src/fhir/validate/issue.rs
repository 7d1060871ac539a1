//! What is wrong with a resource.

use std::borrow::Cow;

use super::place::Place;

/// <http://hl7.org/fhir/R4/valueset-issue-severity.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The text could not be read; nothing else was judged.
    Fatal,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    pub severity: Severity,
    /// R4 IssueType: <http://hl7.org/fhir/R4/valueset-issue-type.html>.
    pub code: &'static str,
    /// The element as FHIRPath; empty when the text as a whole is meant.
    pub at: String,
    /// What is wrong.
    pub says: String,
    /// What to do.
    pub remedy: Cow<'static, str>,
}

/// Issues told in one answer; a last one says when there are more.
const ISSUES_MAX: usize = 100;

#[derive(Default)]
pub(super) struct Issues {
    pub all: Vec<Issue>,
}

impl Issues {
    /// Are there so many that nobody will read another?
    pub fn full(&self) -> bool {
        self.all.len() > ISSUES_MAX
    }

    pub fn add(&mut self, place: &Place, code: &'static str, says: impl Into<String>, remedy: impl Into<Cow<'static, str>>) {
        if self.all.len() < ISSUES_MAX {
            let (at, says, remedy) = (place.to_string(), says.into(), remedy.into());
            self.all.push(Issue { severity: Severity::Error, code, at, says, remedy });
        } else if !self.full() {
            self.all.push(Issue {
                severity: Severity::Error,
                code: "too-costly",
                at: String::new(),
                says: format!("There are more than {ISSUES_MAX} errors; the rest is not listed."),
                remedy: "Correct those that are listed and send it again.".into(),
            });
        }
    }
}

/// Words of the sender in our own: cut, though not within `Type/id`, and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    let more = if short.len() < text.len() { ".." } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}
