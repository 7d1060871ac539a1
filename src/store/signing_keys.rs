//! The keys that sign tokens, sealed.

use diesel::prelude::*;

use super::Tx;
use super::schema::signing_key;
use crate::clock::Millis;
use crate::error::Result;

/// A key's row.
#[derive(Clone, Debug)]
pub struct Row {
    pub kid: String,
    pub family: i16,
    pub sealed: Vec<u8>,
    pub created_at: Millis,
    pub retired_at: Option<Millis>,
}

pub fn insert(tx: &mut Tx<'_>, new: &Row) -> Result<()> {
    tx.note_written(&new.sealed);
    let row = (
        signing_key::kid.eq(&new.kid),
        signing_key::family.eq(new.family),
        signing_key::sealed.eq(&new.sealed),
        signing_key::created_at.eq(new.created_at),
    );
    on!(tx, c => diesel::insert_into(signing_key::table).values(row).execute(*c))?;
    Ok(())
}

/// Newest first.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Row>> {
    type Columns = (String, i16, Vec<u8>, i64, Option<i64>);
    let columns = (signing_key::kid, signing_key::family, signing_key::sealed, signing_key::created_at, signing_key::retired_at);
    let rows: Vec<Columns> =
        on!(tx, c => signing_key::table.select(columns).order((signing_key::created_at.desc(), signing_key::kid)).load(*c))?;
    let row = |(kid, family, sealed, created_at, retired_at)| Row { kid, family, sealed, created_at, retired_at };
    Ok(rows.into_iter().map(row).collect())
}

/// Says when the other keys of the family end.
pub fn retire_others(tx: &mut Tx<'_>, family: i16, kid: &str, at: Millis) -> Result<()> {
    let others = signing_key::table.filter(signing_key::family.eq(family).and(signing_key::kid.ne(kid)));
    let others = others.filter(signing_key::retired_at.is_null());
    on!(tx, c => diesel::update(others).set(signing_key::retired_at.eq(at)).execute(*c))?;
    Ok(())
}

pub fn expire(tx: &mut Tx<'_>, before: Millis) -> Result<()> {
    on!(tx, c => diesel::delete(signing_key::table.filter(signing_key::retired_at.lt(before))).execute(*c))?;
    Ok(())
}
