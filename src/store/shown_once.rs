//! Hashes of what may be shown once only until it expires.

use diesel::prelude::*;

use super::Tx;
use super::schema::shown_once;
use crate::clock::Millis;
use crate::error::Result;

/// Notes that it was shown; false when it was already.
pub fn first(tx: &mut Tx<'_>, hash: &[u8; 32], expires_at: Millis) -> Result<bool> {
    let old = shown_once::table.find(hash.as_slice()).filter(shown_once::expires_at.lt(tx.committed_at()));
    on!(tx, c => diesel::delete(old).execute(*c))?;
    let row = (shown_once::hash.eq(hash.as_slice()), shown_once::expires_at.eq(expires_at));
    Ok(on!(tx, c => diesel::insert_into(shown_once::table).values(row).on_conflict_do_nothing().execute(*c))? > 0)
}

pub fn expire(tx: &mut Tx<'_>, before: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(shown_once::table.filter(shown_once::expires_at.lt(before))).execute(*c))?;
    Ok(())
}
