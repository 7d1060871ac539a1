//! OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html): how the one error looks under `/fhir`.

use fhir_sdk::r4b::codes::{IssueSeverity, IssueType};
use fhir_sdk::r4b::resources::{OperationOutcome, OperationOutcomeIssue};

use super::render::{self, text};
use crate::error::{Error, Issue, Kind, Result, Wire};

/// The code system of `docs/errors.md`.
pub const SYSTEM: &str = "urn:firth:error";

/// Answered when the outcome itself could not be made.
const LAST_RESORT: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception"}]}"#;

/// The error as OperationOutcome: each of its issues is one issue. The client reads our words, or only the
/// remedy where the kind of failure does not speak.
pub fn of(error: &Error, request_id: &str) -> String {
    let nameless = [Issue::new("", None)];
    let issues = if error.issues.is_empty() { &nameless[..] } else { &error.issues };
    issues
        .iter()
        .map(|issue| failure(error.kind, issue, request_id))
        .collect::<Result<_>>()
        .and_then(whole)
        .unwrap_or_else(|_| LAST_RESORT.into())
}

/// What a lenient search left out (https://hl7.org/fhir/R4/search.html#errors): for the entry of a Bundle with
/// search mode `outcome`. `at` is the parameter's name. None when there is nothing to say.
pub fn warning(ignored: &[Issue]) -> Option<String> {
    if ignored.is_empty() {
        return None;
    }
    let one = |issue: &Issue| {
        let mut made = bare(IssueSeverity::Warning, IssueType::NotSupported, Kind::ParameterUnknown.wire().code, text(&issue.says))?;
        made.expression = parameter(issue).into_iter().map(Some).collect();
        Ok(made)
    };
    Some(ignored.iter().map(one).collect::<Result<_>>().and_then(whole).unwrap_or_else(|_| LAST_RESORT.into()))
}

/// That something was done.
pub fn done(says: &str) -> String {
    let one = || {
        let mut made = OperationOutcomeIssue::builder().severity(IssueSeverity::Information).code(IssueType::Informational).build();
        if let Ok(made) = &mut made {
            made.diagnostics = text(says);
        }
        whole(vec![made.map_err(Error::bug)?])
    };
    one().unwrap_or_else(|_| LAST_RESORT.into())
}

fn whole(issues: Vec<OperationOutcomeIssue>) -> Result<String> {
    let outcome = OperationOutcome::builder().issue(issues.into_iter().map(Some).collect()).build().map_err(Error::bug)?;
    render::json(outcome.into())
}

fn failure(kind: Kind, issue: &Issue, request_id: &str) -> Result<OperationOutcomeIssue> {
    let wire = kind.wire();
    let severity = if wire.status >= 500 { IssueSeverity::Fatal } else { IssueSeverity::Error };
    let says = if wire.speaks { text(&issue.says) } else { None };
    let code = issue.code.and_then(|code| code.parse().ok()).unwrap_or_else(|| issue_type(wire));
    let mut made = bare(severity, code, wire.code, says.or_else(|| text(wire.remedy)))?;
    let at = if wire.speaks { issue.at.as_deref().and_then(text) } else { None };
    let expression = match kind {
        // In a Bundle it is the entry that is wrong.
        Kind::Parameter | Kind::ParameterUnknown | Kind::TooCostly | Kind::TokenPlace | Kind::LinkOver
            if !at.as_deref().is_some_and(|at| at.starts_with("Bundle.")) =>
        {
            parameter(issue)
        }
        _ => at.as_deref().filter(|at| is_path(at)).map(str::to_owned),
    };
    let mut help = vec![wire.remedy.to_owned()];
    if let (Some(at), None) = (at, &expression) {
        help.push(format!("At: {at}."));
    }
    if let Some(id) = text(request_id) {
        help.push(format!("Request id: {id}."));
    }
    made.diagnostics = Some(help.join(" "));
    made.expression = expression.into_iter().map(Some).collect();
    Ok(made)
}

fn bare(severity: IssueSeverity, code: IssueType, ours: &str, says: Option<String>) -> Result<OperationOutcomeIssue> {
    let mut details = render::concept(render::coding(SYSTEM, ours, None)?)?;
    details.text = says;
    OperationOutcomeIssue::builder().severity(severity).code(code).details(details).build().map_err(Error::bug)
}

fn issue_type(wire: Wire) -> IssueType {
    wire.issue.parse().unwrap_or(IssueType::Exception)
}

/// `http.` and the parameter's name, without its modifier: R4 says so of `issue.location`, which it replaces
/// by `issue.expression`.
fn parameter(issue: &Issue) -> Option<String> {
    let name = issue.at.as_deref()?.split([':', '.']).next()?;
    let names = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (!name.is_empty() && name.bytes().all(names)).then(|| format!("http.{name}"))
}

/// The simple FHIRPath of `issue.expression` (https://hl7.org/fhir/R4/fhirpath.html#simple): element names,
/// indexes and dots.
fn is_path(path: &str) -> bool {
    let name = |part: &str| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    path.split('.').all(|part| match part.split_once('[') {
        None => name(part),
        Some((before, index)) => {
            name(before) && index.strip_suffix(']').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(error: &Error) -> Value {
        serde_json::from_str(&of(error, "req-1")).unwrap()
    }

    #[test]
    fn every_kind_has_an_issue_type_of_r4() {
        for kind in Kind::ALL {
            assert_eq!(issue_type(kind.wire()).as_ref(), kind.wire().issue, "{kind:?}");
            let issue = &shown(&Error::new(*kind, "words"))["issue"][0];
            assert_eq!(issue["details"]["coding"][0]["code"], kind.wire().code);
        }
    }

    #[test]
    fn a_refusal_names_parameter_and_remedy() {
        let outcome = shown(&Error::new(Kind::Parameter, "date: 13 is no month").at("date:missing"));
        assert_eq!(
            outcome,
            json!({"resourceType": "OperationOutcome", "issue": [{
                "severity": "error",
                "code": "invalid",
                "details": {"coding": [{"system": "urn:firth:error", "code": "request.parameter"}], "text": "date: 13 is no month"},
                "diagnostics": "Correct the named parameter; the manual and GET /fhir/metadata list what each accepts. Request id: req-1.",
                "expression": ["http.date"],
            }]})
        );
    }

    #[test]
    fn what_is_no_path_is_told_in_words() {
        let issue = |at: &str| shown(&Error::new(Kind::Invalid, "x").at(at))["issue"][0].clone();
        assert_eq!(issue("Patient.name[0].family")["expression"], json!(["Patient.name[0].family"]));
        assert_eq!(issue("$.data.records[0]")["expression"], Value::Null);
        assert!(issue("$.data.records[0]")["diagnostics"].as_str().unwrap().contains("At: $.data.records[0]."));
        for path in ["", "a..b", "a[]", "a[x]", "a[0]b", "1a", "a-b", "a[0"] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn a_bug_says_nothing_of_itself() {
        let text = of(&Error::bug("the secret cause").at("secret"), "req-1");
        assert!(!text.contains("secret") && text.contains("\"fatal\"") && text.contains("req-1"));
    }

    #[test]
    fn each_issue_of_an_error_is_told() {
        let mut error = Error::new(Kind::Invalid, "a").at("Patient.name");
        error.issues.push(Issue::new("b", None));
        assert_eq!(shown(&error)["issue"].as_array().unwrap().len(), 2);
        error.issues.clear();
        assert_eq!(shown(&error)["issue"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_was_ignored_is_a_warning() {
        assert_eq!(warning(&[]), None);
        let ignored = Issue::new("colour is not a search parameter of Observation", Some("colour".into()));
        let outcome: Value = serde_json::from_str(&warning(&[ignored]).unwrap()).unwrap();
        assert_eq!((&outcome["issue"][0]["severity"], &outcome["issue"][0]["expression"]), (&json!("warning"), &json!(["http.colour"])));
    }
}
