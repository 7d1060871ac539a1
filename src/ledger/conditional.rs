//! Interactions with what a search finds (https://hl7.org/fhir/R4/http.html#cond-update): none, one, or too many.

use super::resources::{Writer, Written, not_found, unchanged};
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::object;
use crate::policy::Visible;
use crate::search::{self, Query, Type};
use crate::store::listing::{self, Look};
use crate::store::resources::version;
use crate::store::{Deadline, Tx, documents, observations};

/// A search that says which resource is meant.
#[derive(Clone, Debug)]
pub struct Criteria {
    pub query: Query,
    /// What may answer: what the caller may search for, and change if that is what it is looked for.
    pub visible: Visible,
    /// May the caller look for a record id across patients?
    pub system: bool,
    /// The text that it was read from, when it is a reference: `Patient?identifier=x`.
    pub said: String,
    /// The element that holds the reference.
    pub at: String,
}

/// The id of the one resource that answers; several are `Kind::ManyMatch`. Who asks the same at the same time waits.
pub fn one(tx: &mut Tx<'_>, writer: &Writer<'_>, criteria: &Criteria) -> Result<Option<String>> {
    let of = criteria.query.resource;
    documents::hold_criteria(
        tx,
        writer.vault.index().hash("criteria", &[of.name().as_bytes(), search::criteria(&criteria.query).as_bytes()]),
    )?;
    let query = Query { count: 2, ..criteria.query.clone() };
    let look = Look { query: &query, visible: &criteria.visible, vault: writer.vault, base: "", after: None, horizon: i64::MAX };
    let _end = Deadline::after(writer.limit);
    let page = match of {
        Type::Observation => observations::page(tx, &look, writer.templates, criteria.system)?,
        _ => listing::page(tx, &look)?,
    };
    match page.items.as_slice() {
        [] => Ok(None),
        [one] => Ok(object(page.json(one)).and_then(|found| found.text("id").map(str::to_owned))),
        _ => Err(Error::new(Kind::ManyMatch, format!("more than one {} answers the criteria", of.name()))),
    }
}

/// What is changed by criteria must be there.
pub fn none(of: Type) -> Error {
    Error::new(Kind::NotFound, format!("no {} answers the criteria", of.name()))
}

/// The resource that answered, as what came of a conditional create. `visible` is what it was looked for with.
pub fn existing(tx: &mut Tx<'_>, writer: &Writer<'_>, visible: &Visible, what: (Type, &str)) -> Result<Written> {
    let (of, id) = what;
    let now = version(tx, writer.reader(visible), (of, id, None))?.ok_or_else(|| not_found(what))?;
    unchanged(tx, writer, what, now)
}
