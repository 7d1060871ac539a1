//! Cursors as clients see them: sealed for a day's key, to the caller, the scopes and the query.

use data_encoding::BASE64URL_NOPAD;

use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;
use crate::search::{self, Cursor, Type};
use crate::store::listing::Position;
use crate::vault::{Cipher, Place, digest};

/// Seals cursors to the caller, the scopes and the query: a cursor of anybody else's is none.
pub struct CursorSeal<'a> {
    app: &'a App,
    bound: [u8; 32],
}

const DAY_MS: i64 = 86_400_000;

impl<'a> CursorSeal<'a> {
    pub fn of(app: &'a App, who: &Caller, resource: Type, asked: &str) -> CursorSeal<'a> {
        let bound = digest(&[&who.credential.0, who.scopes.to_string().as_bytes(), b"\0", resource.name().as_bytes(), asked.as_bytes()]);
        CursorSeal { app, bound }
    }

    fn cipher(&self, day: u32) -> Result<Cipher> {
        self.app.vault.day("cursor", i64::from(day), &[])
    }

    fn place(&self) -> Place<'_> {
        Place { kind: "cursor", shelf: Shelf(0), id: &self.bound, version: 1 }
    }

    pub fn seal(&self, at: Position) -> Result<String> {
        let day = (self.app.clock.now() / DAY_MS) as u32;
        let cursor = Cursor { sort_key: at.key, tie: at.tie, more: at.more };
        let mut bytes = day.to_be_bytes().to_vec();
        bytes.extend(self.cipher(day)?.seal(self.app.vault.chance, self.place(), &cursor.encode())?);
        Ok(BASE64URL_NOPAD.encode(&bytes))
    }

    pub fn open(&self, text: &str) -> Result<Position> {
        let refused = || {
            Error::new(Kind::Parameter, "the cursor does not belong to this search; follow the next link as it is")
                .at(search::params::CURSOR)
        };
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| refused())?;
        let (day, sealed) = bytes.split_first_chunk::<4>().ok_or_else(refused)?;
        let clear = self.cipher(u32::from_be_bytes(*day))?.open(self.place(), sealed).map_err(|_| refused())?;
        let cursor = Cursor::decode(&clear).ok_or_else(refused)?;
        Ok(Position { key: cursor.sort_key, tie: cursor.tie, more: cursor.more })
    }
}
