//! Makes the search rows of all documents anew when this binary finds them by other rows than the one before.

use std::sync::Arc;

use super::documents::live;
use super::submitted::rows;
use crate::error::{Error, Result};
use crate::fhir::validate::object;
use crate::search::INDEX_VERSION;
use crate::store::documents::{self, FoundBy, Indexed};
use crate::store::{Db, Tx, keys};
use crate::vault::Vault;

const BATCH: i64 = 2_000;

/// Before the server is ready. Each batch is a transaction; one that is cut short is begun again.
pub fn run(db: &Db, vault: &Arc<Vault>, base: &str) -> Result<()> {
    if db.read("index.version", keys::index_version)? == Some(INDEX_VERSION) {
        return Ok(());
    }
    let mut after = None;
    loop {
        let (vault, base) = (Arc::clone(vault), base.to_owned());
        let from = after;
        let done = db.write("reindex", move |tx| {
            let found = documents::indexed(tx, from.as_ref(), BATCH)?;
            found.iter().try_for_each(|one| again(tx, &vault, &base, one))?;
            Ok(found)
        })?;
        match done.last() {
            Some(last) => after = Some(last.key),
            None => break,
        }
    }
    db.write("index.version", |tx| keys::index_version_set(tx, INDEX_VERSION))
}

fn again(tx: &mut Tx<'_>, vault: &Vault, base: &str, one: &Indexed) -> Result<()> {
    let (_, json) = super::documents::current(tx, vault, &one.key)?.ok_or_else(|| Error::bug("an indexed document is missing"))?;
    let document = object(&json).ok_or_else(|| Error::bug("a stored document is not JSON"))?;
    let rows = rows(one.key.resource, &document, base);
    let live = live(one.key.resource, (one.version, one.seq, one.committed_at), &rows);
    documents::index(tx, &one.key, live, &FoundBy::of(vault.index(), one.key.resource, &rows))
}
