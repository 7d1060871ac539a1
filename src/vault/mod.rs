//! DOOR aes_gcm: keys, sealing, keyed hashes and the address cipher.
//!
//! ```text
//! root key      file outside the database, 32 bytes               wraps
//!  store key    table store_key, versioned                        wraps
//!   shelf key   table shelf, one a shelf, random                  -> HKDF body, raw, index
//!   id key      table store_key, permanent: ids depend on it
//!   index key   table store_key: hashes that are searched across shelves
//!   day keys    HKDF(store key, purpose, day, node): audit, cursor
//! ```
//!
//! A sealed value is `format u8 | algorithm u8 | key version u32 BE | nonce 12 | ciphertext | tag 16`.
//! Its additional data is length-prefixed: format, store id, kind, shelf, id, version, key version
//! (immutable identity only), so a ciphertext opens in its own place and nowhere else.

mod address;
mod hash;
mod password;
mod ring;
mod root;
mod seal;
pub mod totp;

pub use hash::{Hasher, digest, secret_digest, secrets_equal};
pub use password::{Passwords, may_choose, one_time};
pub use ring::{Kept, KeyKind, ShelfKeys, Vault};
pub use root::RootKey;
pub use seal::{Cipher, Place, Sealing};
