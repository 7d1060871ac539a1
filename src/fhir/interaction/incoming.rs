//! A Bundle of type batch or transaction as it came in: <https://hl7.org/fhir/R4/bundle.html>.

use super::target::Wrong;
use super::{Target, quoted, steps};
use crate::fhir::validate::{Issue, Object, Severity};

/// Issues told in one answer; a last one says when there are more.
const ISSUES_MAX: usize = 100;

#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// What the URLs of this server begin with, without a slash at the end.
    pub base: &'o str,
    /// How many entries there may be.
    pub entries: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { base: "", entries: 5_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each entry stands for itself.
    Batch,
    /// All or nothing.
    Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// What a Bundle asks for.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    pub kind: Kind,
    pub entries: Vec<Entry<'a>>,
    /// Entries of a batch that ask for nothing that can be done: the others are done nevertheless. Of a transaction
    /// there are none.
    pub refused: Vec<Refused>,
}

/// What one entry asks for.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Which of the Bundle's it is: answers stand in this order.
    pub index: usize,
    pub full_url: Option<&'a str>,
    pub method: Method,
    pub target: Target<'a>,
    /// Its text is made by `write`, or by `rewrite` when it may have links to other entries.
    pub resource: Option<&'a Object<'a>>,
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub if_modified_since: Option<&'a str>,
    /// The search of a conditional create, as it would stand behind a question mark.
    pub if_none_exist: Option<&'a str>,
}

/// An entry of a batch, and why it is not done.
#[derive(Clone, Debug)]
pub struct Refused {
    pub index: usize,
    pub issue: Issue,
}

impl Method {
    fn named(name: &str) -> Option<Method> {
        Some(match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            _ => return None,
        })
    }

    /// Does it change the resource that its URL names?
    pub fn changes(self) -> bool {
        matches!(self, Method::Put | Method::Patch | Method::Delete)
    }
}

/// Reads what `validate` let pass. A transaction is read as a whole or not at all.
pub fn read<'a>(tree: &'a Object<'a>, options: &Options) -> Result<Incoming<'a>, Vec<Issue>> {
    let kind = kind(tree).map_err(|issue| vec![issue])?;
    let count = tree.objects("entry").count();
    if count > options.entries {
        let says = format!("The Bundle has {count} entries; {} are the limit.", options.entries);
        return Err(vec![issue("too-costly", "Bundle.entry".to_owned(), says, "Send the entries in several Bundles.")]);
    }
    let mut incoming = Incoming { kind, entries: Vec::with_capacity(count), refused: Vec::new() };
    for (index, it) in tree.objects("entry").enumerate() {
        match entry(index, it, options.base) {
            Ok(entry) => incoming.entries.push(entry),
            Err(wrong) => {
                let at = format!("Bundle.entry[{index}].{}", wrong.at);
                incoming.refused.push(Refused { index, issue: issue(wrong.code, at, wrong.says, wrong.remedy) });
            }
        }
    }
    if kind == Kind::Batch {
        return Ok(incoming);
    }
    let mut issues: Vec<Issue> = incoming.refused.drain(..).map(|refused| refused.issue).collect();
    issues.extend(steps::named_twice(&incoming.entries));
    issues.extend(steps::changed_twice(&incoming.entries));
    if issues.is_empty() { Ok(incoming) } else { Err(capped(issues)) }
}

pub(super) fn issue(code: &'static str, at: String, says: String, remedy: &'static str) -> Issue {
    Issue { severity: Severity::Error, code, at, says, remedy: remedy.into() }
}

fn capped(mut issues: Vec<Issue>) -> Vec<Issue> {
    if issues.len() > ISSUES_MAX {
        issues.truncate(ISSUES_MAX);
        let says = format!("There are more than {ISSUES_MAX} errors; the rest is not listed.");
        issues.push(issue("too-costly", String::new(), says, "Correct those that are listed and send it again."));
    }
    issues
}

fn kind(tree: &Object) -> Result<Kind, Issue> {
    let name = tree.text("resourceType").unwrap_or_default();
    if name != "Bundle" {
        let says = format!("The resource is of type {}, not Bundle.", quoted(name));
        return Err(issue("invalid", "Bundle".to_owned(), says, "Send a Bundle, or send it to the path of its own type."));
    }
    match tree.text("type").unwrap_or_default() {
        "batch" => Ok(Kind::Batch),
        "transaction" => Ok(Kind::Transaction),
        other => {
            let says = format!("A Bundle of type {} asks for nothing.", quoted(other));
            Err(issue("invalid", "Bundle.type".to_owned(), says, "Send a batch or a transaction; POST others to Bundle to keep them."))
        }
    }
}

fn entry<'a>(index: usize, it: &'a Object<'a>, base: &str) -> Result<Entry<'a>, Wrong> {
    let request = it.objects("request").next().ok_or_else(|| wrong("request", "required", "There is no request.", "Send a request."))?;
    let method = request.text("method").unwrap_or_default();
    let method = Method::named(method).ok_or_else(|| {
        let says = format!("The method {} is none of R4's.", quoted(method));
        wrong("request.method", "value", says, "Send GET, HEAD, POST, PUT, PATCH or DELETE.")
    })?;
    let entry = Entry {
        index,
        full_url: it.text("fullUrl"),
        method,
        target: Target::parse(request.text("url").unwrap_or_default(), base)?,
        resource: it.objects("resource").next(),
        if_match: request.text("ifMatch"),
        if_none_match: request.text("ifNoneMatch"),
        if_modified_since: request.text("ifModifiedSince"),
        if_none_exist: request.text("ifNoneExist"),
    };
    fits(&entry, request.text("url").unwrap_or_default())?;
    let if_none_exist = condition(&entry)?;
    Ok(Entry { if_none_exist, ..entry })
}

fn wrong(at: &'static str, code: &'static str, says: impl Into<String>, remedy: &'static str) -> Wrong {
    Wrong { at, code, says: says.into(), remedy }
}

/// The method, the URL and the resource belong together.
fn fits(entry: &Entry, url: &str) -> Result<(), Wrong> {
    let Entry { method, target, .. } = entry;
    if !target.allows(*method) {
        let says = format!("{} takes no {}.", quoted(url), format!("{method:?}").to_uppercase());
        let remedy = "Send POST with Type or an operation; PUT, PATCH or DELETE with Type/id or Type?search; GET with any URL.";
        return Err(wrong("request.url", "not-supported", says, remedy));
    }
    let Some(resource) = entry.resource.filter(|_| target.operation.is_none()) else { return Ok(()) };
    let name = resource.text("resourceType").unwrap_or_default();
    if *method == Method::Patch {
        return match name {
            "Parameters" | "Binary" => Ok(()),
            _ => Err(wrong(
                "resource",
                "invalid",
                format!("A resource of type {name} is no patch."),
                "Send Parameters, or a Binary with a JSON Patch.",
            )),
        };
    }
    if Some(name) != target.resource_type {
        let says = format!("The resource is of type {name}, and the URL names {}.", target.resource_type.unwrap_or_default());
        return Err(wrong("request.url", "invalid", says, "Make both the same type."));
    }
    match (target.id, resource.text("id")) {
        (Some(_), None) => Err(wrong("resource.id", "required", "The resource has no id.", "Send the id that the URL names.")),
        (Some(named), Some(id)) if named != id => {
            let says = format!("The resource has the id {}, and the URL names {}.", quoted(id), quoted(named));
            Err(wrong("resource.id", "value", says, "Make both the same."))
        }
        _ => Ok(()),
    }
}

/// `ifNoneExist` is what follows the question mark; some send what stands before it, too.
fn condition<'a>(entry: &Entry<'a>) -> Result<Option<&'a str>, Wrong> {
    const AT: &str = "request.ifNoneExist";
    let Some(text) = entry.if_none_exist else { return Ok(None) };
    if entry.method != Method::Post || entry.target.operation.is_some() {
        return Err(wrong(AT, "invalid", "Only a create has this condition.", "Send POST and Type, or leave the condition out."));
    }
    let typed = entry.target.resource_type.and_then(|name| text.strip_prefix(name)).filter(|rest| rest.starts_with('?'));
    let search = typed.unwrap_or(text);
    match search.strip_prefix('?').unwrap_or(search) {
        "" => Err(wrong(AT, "value", "The condition is empty.", "Send a search, such as identifier=system|value.")),
        search => Ok(Some(search)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{checked, faults, incoming};
    use super::*;

    fn bundle(kind: &str, entries: Value) -> String {
        json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string()
    }

    fn patient(id: &str) -> Value {
        json!({"resourceType": "Patient", "id": id})
    }

    #[test]
    fn entries_say_what_they_ask_for() {
        let text = bundle(
            "transaction",
            json!([
                {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "resource": {"resourceType": "Patient"},
                 "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=a|b"}},
                {"resource": patient("1"), "request": {"method": "PUT", "url": "Patient/1", "ifMatch": "W/\"2\""}},
                {"request": {"method": "GET", "url": "Patient/1?_summary=true", "ifNoneMatch": "W/\"1\"",
                 "ifModifiedSince": "2026-01-01T00:00:00Z"}},
                {"request": {"method": "DELETE", "url": "Patient?identifier=x"}},
                {"resource": {"resourceType": "Parameters"}, "request": {"method": "PATCH", "url": "Patient/3"}},
            ]),
        );
        let checked = checked(&text);
        let read = incoming(&checked);
        assert_eq!((read.kind, read.entries.len(), read.refused.len()), (Kind::Transaction, 5, 0));
        let [create, update, get, delete, patch] = &read.entries[..] else { panic!("five") };
        assert_eq!(create.full_url, Some("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"));
        assert_eq!((create.method, create.if_none_exist, create.target.id), (Method::Post, Some("identifier=a|b"), None));
        assert_eq!((update.index, update.method, update.target.id, update.if_match), (1, Method::Put, Some("1"), Some("W/\"2\"")));
        assert_eq!(update.resource.and_then(|it| it.text("id")), Some("1"));
        assert_eq!((get.method, get.target.query, get.if_none_match), (Method::Get, Some("_summary=true"), Some("W/\"1\"")));
        assert_eq!((get.if_modified_since, get.resource.is_none()), (Some("2026-01-01T00:00:00Z"), true));
        assert_eq!((delete.method, delete.target.query), (Method::Delete, Some("identifier=x")));
        assert_eq!((patch.method, patch.target.id), (Method::Patch, Some("3")));
    }

    #[test]
    fn a_condition_may_bring_its_type() {
        for text in ["identifier=a", "?identifier=a", "Patient?identifier=a"] {
            let text = bundle(
                "batch",
                json!([{"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient", "ifNoneExist": text}}]),
            );
            let checked = checked(&text);
            assert_eq!(incoming(&checked).entries[0].if_none_exist, Some("identifier=a"));
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let entry = |method: &str, url: &str, resource: Option<Value>| {
            let mut entry = json!({"request": {"method": method, "url": url}});
            entry.as_object_mut().unwrap().extend(resource.map(|it| ("resource".to_owned(), it)));
            entry
        };
        let cases = [
            (entry("PUT", "Patient/2", Some(patient("1"))), "resource.id"),
            (entry("PUT", "Patient/2", Some(json!({"resourceType": "Patient"}))), "resource.id"),
            (entry("PUT", "Device/1", Some(patient("1"))), "request.url"),
            (entry("PUT", "Patient", Some(patient("1"))), "request.url"),
            (entry("POST", "Patient/1", Some(patient("1"))), "request.url"),
            (entry("POST", "Patient?identifier=a", Some(patient("1"))), "request.url"),
            (entry("POST", "Nothing", Some(patient("1"))), "request.url"),
            (entry("DELETE", "Patient", None), "request.url"),
            (entry("DELETE", "Patient/1/_history/1", None), "request.url"),
            (entry("GET", "Patient/1/2", None), "request.url"),
            (entry("PATCH", "Patient/1", Some(patient("1"))), "resource"),
            (
                json!({"resource": patient("1"), "request": {"method": "PUT", "url": "Patient/1", "ifNoneExist": "a=b"}}),
                "request.ifNoneExist",
            ),
            (json!({"resource": patient("1"), "request": {"method": "POST", "url": "Patient", "ifNoneExist": "?"}}), "request.ifNoneExist"),
        ];
        let fine = || entry("GET", "Patient", None);
        for (bad, at) in cases {
            let place = format!("Bundle.entry[1].{at}");
            assert_eq!(faults(&bundle("transaction", json!([fine(), bad]))), std::slice::from_ref(&place), "{bad}");
            let text = bundle("batch", json!([fine(), bad, fine()]));
            let checked = checked(&text);
            let read = incoming(&checked);
            assert_eq!(read.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [0, 2]);
            assert_eq!(read.refused.iter().map(|it| (it.index, it.issue.at.as_str())).collect::<Vec<_>>(), [(1, place.as_str())]);
        }
    }

    #[test]
    fn only_batches_and_transactions_ask() {
        assert_eq!(faults(r#"{"resourceType":"Bundle","type":"collection"}"#), ["Bundle.type"]);
        assert_eq!(faults(r#"{"resourceType":"Patient"}"#), ["Bundle"]);
        assert_eq!(faults(r#"{"resourceType":"Bundle","type":"batch"}"#), [""; 0]);
    }

    #[test]
    fn entries_and_issues_have_a_limit() {
        let entries: Vec<Value> = (0..200).map(|_| json!({"request": {"method": "DELETE", "url": "Patient"}})).collect();
        let text = bundle("transaction", entries.into());
        let issues = faults(&text);
        assert_eq!((issues.len(), issues.last().map(String::as_str)), (101, Some("")));
        let checked = checked(&text);
        let few = Options { entries: 199, ..Options::default() };
        let issues = read(&checked.tree, &few).err().unwrap();
        assert_eq!((issues.len(), issues[0].at.as_str(), issues[0].code), (1, "Bundle.entry", "too-costly"));
    }
}
