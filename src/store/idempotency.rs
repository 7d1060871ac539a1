//! What was answered to a request that its client may send again.

use diesel::prelude::*;

use super::Tx;
use super::schema::idempotency;
use crate::clock::Millis;
use crate::error::Result;

/// The digest of the request and the sealed answer, when the key was used since then.
pub fn find(tx: &mut Tx<'_>, key: &[u8; 32], since: Millis) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let one = idempotency::table.find(key.as_slice()).filter(idempotency::at.ge(since));
    on!(tx, c => one.select((idempotency::request, idempotency::sealed)).first(*c).optional())
}

/// Keeps an answer; one that is older than a day gives way.
pub fn insert(tx: &mut Tx<'_>, key: &[u8; 32], request: &[u8; 32], sealed: &[u8]) -> Result<()> {
    on!(tx, c => diesel::delete(idempotency::table.find(key.as_slice())).execute(*c))?;
    let row = (
        idempotency::key.eq(key.as_slice()),
        idempotency::at.eq(tx.committed_at()),
        idempotency::request.eq(request.as_slice()),
        idempotency::sealed.eq(sealed),
    );
    on!(tx, c => diesel::insert_into(idempotency::table).values(row).execute(*c))?;
    Ok(())
}

pub fn expire(tx: &mut Tx<'_>, before: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(idempotency::table.filter(idempotency::at.lt(before))).execute(*c))?;
    Ok(())
}
