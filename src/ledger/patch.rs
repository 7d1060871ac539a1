//! patch (https://hl7.org/fhir/R4/http.html#patch): what the current version becomes, judged like any other.

use super::resources::{Writer, gone, not_found, readable};
use super::submitted::{Submitted, refused};
use crate::access::Interaction;
use crate::error::{Error, Kind, Result};
use crate::fhir::patch::{fhirpath_patch, json_patch};
use crate::search::Type;
use crate::store::Tx;
use crate::store::resources::{Version, version};

/// The changes, as they came.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(Vec<u8>),
    /// A Parameters resource (https://hl7.org/fhir/R4/fhirpatch.html).
    FhirPath(Vec<u8>),
}

/// The resource with the changes, to be written by `resources::update`. Whether a `test` holds, a path leads somewhere or
/// a `copy` succeeds tells what is there, and what is copied may be read elsewhere: so a patch takes what reading takes.
pub fn patched(tx: &mut Tx<'_>, writer: &Writer<'_>, what: (Type, &str), patch: &Patch) -> Result<Submitted> {
    let (of, id) = what;
    let visible = writer.policy.visible(of, Interaction::Update)?;
    let Some(now) = version(tx, writer.reader(&visible), (of, id, None))? else {
        readable(tx, writer, what)?;
        return Err(not_found(what));
    };
    if now.deleted {
        return Err(gone(what));
    }
    if !may_read(tx, writer, what, &now)? {
        let says = format!("a patch tells what is there, so it takes the right to read this {}; an update does not", of.name());
        return Err(Error::new(Kind::Forbidden, says).at(of.name()));
    }
    let text = match patch {
        Patch::Json(patch) => json_patch(&now.json, patch),
        Patch::FhirPath(patch) => fhirpath_patch(&now.json, patch),
    };
    let submitted = writer.judge(of, text.map_err(refused)?.as_bytes())?;
    if submitted.id.as_deref() != Some(id) {
        return Err(Error::new(Kind::Unprocessable, "a patch does not change the id").at(format!("{}.id", of.name())));
    }
    Ok(submitted)
}

/// Does a read or a search show this version?
fn may_read(tx: &mut Tx<'_>, writer: &Writer<'_>, (of, id): (Type, &str), now: &Version) -> Result<bool> {
    for how in [Interaction::Read, Interaction::Search] {
        let Ok(visible) = writer.policy.visible(of, how) else { continue };
        if visible.is_everything() || version(tx, writer.reader(&visible), (of, id, Some(now.version)))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
