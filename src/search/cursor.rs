//! Where a page ended. The vault seals it, so a client sees an opaque text; every cursor has the
//! same length, so a link tells nothing about the position.

/// A place between two resources of one sorted query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The sort key of the last resource sent.
    pub sort_key: i64,
    /// Its address or id: orders what has the same key.
    pub tie: u128,
    /// Orders what has the same tie: the patient of an AuditEvent; 0 elsewhere.
    pub more: u128,
}

impl Cursor {
    pub const LEN: usize = 41;
    const FORMAT: u8 = 1;

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(Self::FORMAT);
        bytes.extend(self.sort_key.to_be_bytes());
        bytes.extend(self.tie.to_be_bytes());
        bytes.extend(self.more.to_be_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Cursor> {
        let (format, rest) = bytes.split_first()?;
        let (sort_key, rest) = rest.split_first_chunk()?;
        let (tie, rest) = rest.split_first_chunk()?;
        let more = rest.try_into().ok()?;
        (*format == Self::FORMAT).then_some(Cursor {
            sort_key: i64::from_be_bytes(*sort_key),
            tie: u128::from_be_bytes(*tie),
            more: u128::from_be_bytes(more),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(sort_key: i64, tie: u128, more: u128) {
            let cursor = Cursor { sort_key, tie, more };
            let bytes = cursor.encode();
            prop_assert_eq!(bytes.len(), Cursor::LEN);
            prop_assert_eq!(Cursor::decode(&bytes), Some(cursor));
            prop_assert_eq!(Cursor::decode(&bytes[1..]), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(Cursor::decode(&bytes).is_none_or(|cursor| cursor.encode() == bytes));
        }
    }
}
