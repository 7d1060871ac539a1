//! Typed ids. Ids of documents are random UUIDs; ids of samples are addresses (see `vault::address`).

use std::fmt;

use crate::error::{Error, Kind, Result};

/// The owner of rows and of a key: 40 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shelf(pub i64);

impl Shelf {
    pub const BITS: u32 = 40;
}

/// The place of a sample, and with it the id of its Observation:
/// shelf 40 | series 20 | start ms 48 signed | discriminator 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub shelf: Shelf,
    pub series: u32,
    pub start: i64,
    pub disc: u32,
}

impl Address {
    pub const SERIES_MAX: u32 = (1 << 20) - 1;
    pub const DISC_MAX: u32 = (1 << 20) - 1;
    pub const START_MIN: i64 = -(1 << 47);
    pub const START_MAX: i64 = (1 << 47) - 1;

    /// The 128 bits, most significant first. The start is shifted so that order is kept.
    pub fn pack(self) -> u128 {
        let start = (self.start - Self::START_MIN) as u128;
        ((self.shelf.0 as u128) << 88) | (u128::from(self.series) << 68) | (start << 20) | u128::from(self.disc)
    }

    pub fn unpack(bits: u128) -> Address {
        Address {
            shelf: Shelf((bits >> 88) as i64),
            series: ((bits >> 68) as u32) & Self::SERIES_MAX,
            start: ((bits >> 20) & ((1 << 48) - 1)) as i64 + Self::START_MIN,
            disc: (bits as u32) & Self::DISC_MAX,
        }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident $called:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A version 4 UUID from 16 random bytes.
            pub fn from_random(mut bytes: [u8; 16]) -> $name {
                bytes[6] = (bytes[6] & 0x0f) | 0x40;
                bytes[8] = (bytes[8] & 0x3f) | 0x80;
                $name(bytes)
            }

            /// The canonical lower-case spelling only: another spelling would be a second id of one thing.
            pub fn parse(text: &str) -> Result<$name> {
                let refused = || {
                    Error::new(Kind::NotFound, format!(concat!("'{}' is not ", $called, "; give it as it was printed, a lower-case UUID"), text))
                };
                let uuid = uuid::Uuid::try_parse(text).map_err(|_| refused())?;
                if uuid.hyphenated().to_string() != text {
                    return Err(refused());
                }
                Ok($name(uuid.into_bytes()))
            }

            pub fn from_slice(bytes: &[u8]) -> Result<$name> {
                Ok($name(bytes.try_into().map_err(|_| Error::bug("an id in the database is not 16 bytes"))?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
    };
}

uuid_id!(
    /// A FHIR Patient.
    PatientId "the id of a Patient"
);
uuid_id!(
    /// The person whose data is uploaded, in the words of `/api/v1`.
    UserId "the id of a user"
);
uuid_id!(
    /// Any document: the `id` of a resource that is not a sample.
    DocumentId "the id of a resource"
);
uuid_id!(
    /// One upload.
    UploadId "the id of an upload"
);
uuid_id!(
    /// An app, a token or another credential's row.
    GrantId "the id of a token or an app"
);
uuid_id!(
    /// An app or a backend service that asks for tokens: its `client_id`.
    ClientId "a client_id"
);
uuid_id!(
    /// A login.
    AccountId "the id of an account"
);
uuid_id!(
    /// One entry of the audit log.
    EntryId "the id of an audit entry"
);

/// Is this a UUID with its hyphens, in whatever case?
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

impl EntryId {
    /// A version 7 UUID (RFC 9562, section 5.7) of this millisecond: ids order as their entries were recorded, so that an index of
    /// them grows at its end.
    pub fn at(recorded: i64, random: [u8; 16]) -> EntryId {
        let mut id = EntryId::from_random(random).0;
        id[..6].copy_from_slice(&EntryId::first(recorded)[..6]);
        id[6] = (id[6] & 0x0f) | 0x70;
        EntryId(id)
    }

    /// When the entry was recorded.
    pub fn recorded(self) -> i64 {
        self.0[..6].iter().fold(0, |ms, byte| (ms << 8) | i64::from(*byte))
    }

    /// What the ids of this millisecond begin with: none of them is smaller.
    pub fn first(recorded: i64) -> [u8; 16] {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&recorded.clamp(0, (1 << 48) - 1).to_be_bytes()[2..]);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_ids_order_as_they_were_recorded() {
        let ids = [0, 1, 1_770_000_000_122, 1_770_000_000_123, (1 << 48) - 1].map(|ms| EntryId::at(ms, [0xff; 16]));
        assert!(ids.is_sorted());
        assert_eq!(ids.map(EntryId::recorded), [0, 1, 1_770_000_000_122, 1_770_000_000_123, (1 << 48) - 1]);
        assert!(ids.iter().all(|id| EntryId::first(id.recorded()) <= id.0 && EntryId::first(id.recorded() - 1) < id.0));
        assert_eq!(uuid::Uuid::from_bytes(ids[3].0).get_version_num(), 7);
    }

    #[test]
    fn an_address_survives_packing() {
        for start in [Address::START_MIN, -1, 0, 1, 1_770_000_000_123, Address::START_MAX] {
            let address = Address { shelf: Shelf((1 << 40) - 1), series: 77, start, disc: Address::DISC_MAX };
            assert_eq!(Address::unpack(address.pack()), address);
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = PatientId::from_random([0xab; 16]);
        assert_eq!(PatientId::parse(&id.to_string()).ok(), Some(id));
        assert!(PatientId::parse(&id.to_string().to_uppercase()).is_err());
        assert!(PatientId::parse(&id.to_string().replace('-', "")).is_err());
    }
}
