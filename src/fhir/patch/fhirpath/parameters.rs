//! The body of a FHIRPath Patch: a Parameters resource (<http://hl7.org/fhir/R4/parameters.html>) with a parameter
//! `operation` for each of its operations.

use super::edit::Pair;
use super::expression::Expression;
use super::value::{Content, Part};
use crate::fhir::patch::{BYTES_MAX, DEPTH_MAX, ISSUES_MAX, OPERATIONS_MAX, issue, too_many};
use crate::fhir::validate::{Issue, Node, Options, quoted, read};

#[derive(Debug)]
pub(super) struct Operation<'t> {
    pub change: Change<'t>,
    pub path: Expression,
}

#[derive(Debug)]
pub(super) enum Change<'t> {
    /// The name of the element to add.
    Add(String, Part<'t>),
    Insert(usize, Part<'t>),
    Delete,
    Replace(Part<'t>),
    Move {
        source: usize,
        destination: usize,
    },
}

impl Change<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Change::Add(..) => "add",
            Change::Insert(..) => "insert",
            Change::Delete => "delete",
            Change::Replace(_) => "replace",
            Change::Move { .. } => "move",
        }
    }
}

const BODY: &str = "Send a Parameters resource with a parameter named operation for each operation.";
const KINDS: &str = "Send add, insert, delete, replace or move.";
const ROOT: &str = "Parameters.parameter";

/// All that is wrong with the body is told at once.
pub(super) fn operations(patch: &[u8]) -> Result<Vec<Operation<'_>>, Vec<Issue>> {
    let body = read(patch, &Options { bytes: BYTES_MAX, depth: DEPTH_MAX, ..Options::default() })?;
    let it = match body.object() {
        Some(it) if it.text("resourceType") == Some("Parameters") => it,
        _ => return Err(vec![issue("invalid", "", "The body is no Parameters resource.", BODY)]),
    };
    let nodes = match it.get("parameter") {
        None => return Ok(Vec::new()),
        Some(Node::List(nodes)) => nodes,
        Some(node) => return Err(vec![issue("structure", ROOT, format!("It is {} where an array is expected.", node.kind()), BODY)]),
    };
    if nodes.len() > OPERATIONS_MAX {
        return Err(vec![too_many(nodes.len())]);
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (n, node) in nodes.iter().enumerate() {
        match Part::of(node, format!("{ROOT}[{n}]")).and_then(Operation::of) {
            Ok(operation) => found.push(operation),
            Err(issue) => wrong.push(Issue { says: format!("Operation {n}: {}", issue.says), ..issue }),
        }
    }
    wrong.truncate(ISSUES_MAX);
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// The parts of an operation, taken out one by one.
struct Parts<'t> {
    all: Vec<Part<'t>>,
    at: String,
}

impl<'t> Operation<'t> {
    fn of(parameter: Part<'t>) -> Result<Operation<'t>, Issue> {
        let Part { name, content, at } = parameter;
        if name != "operation" {
            return Err(issue("invalid", &at, format!("The parameter is named {}.", quoted(&name)), "Name it operation."));
        }
        let Content::Parts(all) = content else {
            return Err(issue("invalid", &at, "The operation has no parts.", "Send its type, path and so on as part."));
        };
        let mut parts = Parts { all, at };
        let kind = parts.text("type", KINDS)?;
        let path = parts.text("path", "Send valueString with a FHIRPath expression: Patient.name[0].")?;
        let change = match kind.as_str() {
            "add" => Change::Add(parts.text("name", "Send valueString with the name of the element to add.")?, parts.value()?),
            "insert" => Change::Insert(parts.index("index")?, parts.value()?),
            "delete" => Change::Delete,
            "replace" => Change::Replace(parts.value()?),
            "move" => Change::Move { source: parts.index("source")?, destination: parts.index("destination")? },
            other => return Err(issue("invalid", &parts.at, format!("{} is no type of operation.", quoted(other)), KINDS)),
        };
        if let Some(part) = parts.all.first() {
            let says = format!("{} has no part {} here.", change.name(), quoted(&part.name));
            return Err(issue("invalid", &part.at, says, "Remove it, or correct its name; each part stands once."));
        }
        Ok(Operation { change, path: Expression::parse(&path)? })
    }
}

impl<'t> Parts<'t> {
    fn take(&mut self, name: &str, remedy: &'static str) -> Result<Part<'t>, Issue> {
        match self.all.iter().position(|part| part.name == name) {
            Some(at) => Ok(self.all.remove(at)),
            None => Err(issue("invalid", &self.at, format!("The part {name} is missing."), remedy)),
        }
    }

    fn value(&mut self) -> Result<Part<'t>, Issue> {
        self.take("value", "Send value[x]; what has no datatype goes as part.")
    }

    fn text(&mut self, name: &str, remedy: &'static str) -> Result<String, Issue> {
        let part = self.take(name, remedy)?;
        match &part.content {
            Content::Typed(_, pair) => pair.value.as_ref().and_then(Node::text).map(str::to_owned),
            _ => None,
        }
        .ok_or_else(|| issue("invalid", &part.at, format!("{name} is no text."), remedy))
    }

    fn index(&mut self, name: &str) -> Result<usize, Issue> {
        let remedy = "Send valueInteger with a whole number from 0 on.";
        let part = self.take(name, remedy)?;
        match &part.content {
            Content::Typed(_, Pair { value: Some(Node::Number(text)), .. }) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| issue("invalid", &part.at, format!("{name} is no index."), remedy))
    }
}
