//! Cursors as clients see them: sealed for a day to the query, and with whom they were given to within.

use data_encoding::BASE64URL_NOPAD;

use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;
use crate::search::{self, Cursor, Type};
use crate::store::listing::Position;
use crate::vault::{Cipher, Place, digest};

/// Seals cursors to the query, and opens them for the caller with the scopes to whom they were given.
pub struct CursorSeal<'a> {
    app: &'a App,
    query: [u8; 32],
    caller: [u8; 32],
}

const MINUTE_MS: i64 = 60_000;
/// How long a next link may be followed, in minutes.
const LIVES: u32 = 24 * 60;

impl<'a> CursorSeal<'a> {
    pub fn of(app: &'a App, who: &Caller, resource: Type, asked: &str) -> CursorSeal<'a> {
        let query = digest(&[resource.name().as_bytes(), b"\0", asked.as_bytes()]);
        let caller = digest(&[&who.credential.0, who.scopes.to_string().as_bytes()]);
        CursorSeal { app, query, caller }
    }

    /// The key and the place of a cursor that was made in this minute.
    fn sealing(&self, made: u32) -> Result<(Cipher, Place<'_>)> {
        let place = Place { kind: "cursor", shelf: Shelf(0), id: &self.query, version: made };
        Ok((self.app.vault.day("cursor", i64::from(made / LIVES), &[])?, place))
    }

    fn now(&self) -> u32 {
        (self.app.clock.now() / MINUTE_MS) as u32
    }

    pub fn seal(&self, at: Position) -> Result<String> {
        let made = self.now();
        let (cipher, place) = self.sealing(made)?;
        let cursor = Cursor { sort_key: at.key, tie: at.tie, more: at.more };
        let mut bytes = made.to_be_bytes().to_vec();
        bytes.extend(cipher.seal(self.app.vault.chance, place, &[&self.caller[..], &cursor.encode()].concat())?);
        Ok(BASE64URL_NOPAD.encode(&bytes))
    }

    pub fn open(&self, text: &str) -> Result<Position> {
        let says = "the cursor does not belong to this search; follow the next link as it is";
        let foreign = || Error::new(Kind::Parameter, says).at(search::params::CURSOR);
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| foreign())?;
        let (made, sealed) = bytes.split_first_chunk::<4>().ok_or_else(foreign)?;
        let made = u32::from_be_bytes(*made);
        let (cipher, place) = self.sealing(made)?;
        let clear = cipher.open(place, sealed).map_err(|_| foreign())?;
        let (caller, clear) = clear.split_first_chunk::<32>().ok_or_else(foreign)?;
        if *caller != self.caller {
            let says = "the next link was given to another caller, or to a token of other scopes; search anew";
            return Err(Error::new(Kind::Forbidden, says));
        }
        if is_over(made, self.now()) {
            return Err(Error::new(Kind::LinkOver, "the next link is older than a day").at(search::params::CURSOR));
        }
        let cursor = Cursor::decode(clear).ok_or_else(foreign)?;
        Ok(Position { key: cursor.sort_key, tie: cursor.tie, more: cursor.more })
    }
}

/// Minutes; the clock of another process may be a little ahead.
fn is_over(made: u32, now: u32) -> bool {
    now.saturating_sub(made) > LIVES
}

#[cfg(test)]
mod tests {
    use super::{LIVES, is_over};

    #[test]
    fn a_next_link_is_good_for_a_day() {
        assert!(!is_over(100, 100) && !is_over(101, 100) && !is_over(100, 100 + LIVES));
        assert!(is_over(100, 101 + LIVES));
    }
}
