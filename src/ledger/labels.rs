//! Security labels (https://hl7.org/fhir/R4/security-labels.html) that a resource has: an update adds some, and takes none
//! off unless the writer may. Who is bound by labels, or sees some patients alone, could else take off what binds him.

use std::borrow::Cow;

use super::submitted::Submitted;
use crate::error::{Error, Result};
use crate::fhir::body;
use crate::fhir::validate::object;
use crate::search::IndexRow;
use crate::store::Tx;
use crate::store::resources::{Reader, Version, version};

/// The system and the code, which make it the same label.
type Label = (Option<String>, Option<String>);

/// What is submitted, with those labels of the version before that it lacks and may not take off; its `meta.source` is the
/// server's where it was so before. What comes back after a deletion is compared with what was there before it.
pub fn kept<'s>(tx: &mut Tx<'_>, with: Reader<'_>, submitted: &'s Submitted, before: (&str, &Version)) -> Result<Cow<'s, Submitted>> {
    let (id, now) = before;
    let last = if now.deleted { version(tx, with, (submitted.of, id, now.version.checked_sub(1)))? } else { None };
    let last = last.as_ref().unwrap_or(now);
    submitted.comes_from(Some(last))?;
    if with.visible.relabels(now.patient.map(|whose| whose.now)) {
        return Ok(Cow::Borrowed(submitted));
    }
    let (text, mut own, mut lost, mut rows) = (submitted.body.text("", 1, ""), Vec::new(), Vec::new(), Vec::new());
    for one in body::labels(&text) {
        own.push(label(one)?);
    }
    for one in body::labels(&last.json) {
        let (system, code) = label(one)?;
        if own.contains(&(system.clone(), code.clone())) {
            continue;
        }
        lost.push(one);
        rows.extend(code.map(|code| IndexRow::Token { param: "_security", system, code }));
    }
    if lost.is_empty() {
        return Ok(Cow::Borrowed(submitted));
    }
    let mut labelled = submitted.clone();
    labelled.body = submitted.body.labelled(&lost);
    labelled.rows.append(&mut rows);
    Ok(Cow::Owned(labelled))
}

fn label(text: &str) -> Result<Label> {
    let coding = object(text).ok_or_else(|| Error::bug("a label is not JSON"))?;
    Ok((coding.text("system").map(str::to_owned), coding.text("code").map(str::to_owned)))
}
