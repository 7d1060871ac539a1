//! The key ring: which key wraps which, and the shelf keys that are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::address::AddressCipher;
use super::{Cipher, Hasher, Place, RootKey, Sealing};
use crate::chance::Chance;
use crate::error::{Error, Kind, Result};
use crate::id::{Address, Shelf};

/// The keys kept in table `store_key`, by their number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Store = 1,
    Id = 2,
    Index = 3,
}

/// A wrapped key as the database keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    pub kind: i16,
    pub version: i32,
    pub wrapped: Vec<u8>,
}

/// The keys of one shelf.
pub struct ShelfKeys {
    pub body: Cipher,
    pub raw: Cipher,
    pub index: Hasher,
}

/// All keys of one store, open.
pub struct Vault {
    pub chance: Chance,
    sealing: Sealing,
    store_id: [u8; 16],
    store_key: Zeroizing<[u8; 32]>,
    wrap: Cipher,
    addresses: AddressCipher,
    index: Hasher,
    shelves: Mutex<HashMap<Shelf, Arc<ShelfKeys>>>,
}

/// Version 1 is the only one until the key lifecycle exists; the header carries it already.
const VERSION: u32 = 1;
const SHELVES_KEPT: usize = 10_000;

impl Vault {
    /// New random keys for an empty store, wrapped and ready to be kept.
    pub fn found(root: &RootKey, store_id: [u8; 16], chance: Chance) -> Result<Vec<Kept>> {
        let root = Cipher::new(&root.0, store_id, VERSION, Sealing::Aes256Gcm);
        let store: Zeroizing<[u8; 32]> = Zeroizing::new(chance.bytes()?);
        let wrap = wrapping(&store, store_id)?;
        let mut kept = vec![keep(&root, KeyKind::Store, &store, chance)?];
        for kind in [KeyKind::Id, KeyKind::Index] {
            kept.push(keep(&wrap, kind, &Zeroizing::new(chance.bytes()?), chance)?);
        }
        Ok(kept)
    }

    /// Opens the kept keys. A root key of another store is refused before anything is touched.
    pub fn open(root: &RootKey, store_id: [u8; 16], kept: &[Kept], sealing: Sealing) -> Result<Vault> {
        let root = Cipher::new(&root.0, store_id, VERSION, Sealing::Aes256Gcm);
        let store_key = take(&root, KeyKind::Store, kept).map_err(|e| {
            Error::new(Kind::Setting, "the root key does not open this store; name the right one with --root-key FILE").because(e)
        })?;
        let wrap = wrapping(&store_key, store_id)?;
        let addresses = AddressCipher::new(&*take(&wrap, KeyKind::Id, kept)?);
        let index = Hasher::new(&*take(&wrap, KeyKind::Index, kept)?);
        Ok(Vault { chance: Chance, sealing, store_id, store_key, wrap, addresses, index, shelves: Mutex::default() })
    }

    /// Hashes that are searched across shelves: codes, identifiers, names.
    pub fn index(&self) -> &Hasher {
        &self.index
    }

    pub fn sealing(&self) -> Sealing {
        self.sealing
    }

    /// A new random key for a shelf, wrapped under the store key.
    pub fn new_shelf_key(&self, shelf: Shelf) -> Result<Vec<u8>> {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(self.chance.bytes()?);
        self.wrap.seal(self.chance, shelf_place(shelf), &*key)
    }

    /// The shelf's keys, when they are open already.
    pub fn known(&self, shelf: Shelf) -> Option<Arc<ShelfKeys>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).get(&shelf).cloned()
    }

    /// The shelf's keys; `wrapped` comes with the row that is about to be opened.
    pub fn shelf(&self, shelf: Shelf, wrapped: &[u8]) -> Result<Arc<ShelfKeys>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = shelves.get(&shelf) {
            return Ok(keys.clone());
        }
        let key = key_bytes(self.wrap.open(shelf_place(shelf), wrapped)?)?;
        let part = |info: &str| derive(&key, &[info.as_bytes()]);
        let keys = Arc::new(ShelfKeys {
            body: Cipher::new(&*part("body")?, self.store_id, VERSION, self.sealing),
            raw: Cipher::new(&*part("raw")?, self.store_id, VERSION, self.sealing),
            index: Hasher::new(&*part("index")?),
        });
        if shelves.len() >= SHELVES_KEPT {
            shelves.clear();
        }
        shelves.insert(shelf, keys.clone());
        Ok(keys)
    }

    /// The key of one purpose ("audit", "cursor") for one day and node, so that no key seals too often.
    pub fn day(&self, purpose: &str, day: i64, node: &[u8]) -> Result<Cipher> {
        let key = derive(&self.store_key, &[purpose.as_bytes(), &day.to_be_bytes(), node])?;
        Ok(Cipher::new(&key, self.store_id, VERSION, self.sealing))
    }

    /// A cipher for operational secrets of nobody in particular, such as an app's name.
    pub fn operations(&self) -> Result<Cipher> {
        let key = derive(&self.store_key, &[b"operations"])?;
        Ok(Cipher::new(&key, self.store_id, VERSION, self.sealing))
    }

    /// The 16 bytes under which an Observation of this address is known.
    pub fn sample_id(&self, address: Address) -> [u8; 16] {
        self.addresses.encrypt(address)
    }

    /// The `id` of the Observation at this address.
    pub fn sample_text(&self, address: Address) -> String {
        self.addresses.text(&self.addresses.encrypt(address))
    }

    /// The address behind an Observation's `id`, if it is one in canonical spelling.
    pub fn sample_address(&self, id: &str) -> Option<Address> {
        self.addresses.decode(id)
    }
}

fn shelf_place(shelf: Shelf) -> Place<'static> {
    Place { kind: "shelf-key", shelf, id: b"", version: 1 }
}

fn key_place(kind: KeyKind) -> Place<'static> {
    let kind = match kind {
        KeyKind::Store => "store-key",
        KeyKind::Id => "id-key",
        KeyKind::Index => "index-key",
    };
    Place { kind, shelf: Shelf(0), id: b"", version: 1 }
}

/// Keys are always really encrypted, also under the leak test's identity sealing.
fn wrapping(store_key: &[u8; 32], store_id: [u8; 16]) -> Result<Cipher> {
    Ok(Cipher::new(&*derive(store_key, &[b"wrap"])?, store_id, VERSION, Sealing::Aes256Gcm))
}

fn keep(by: &Cipher, kind: KeyKind, key: &[u8; 32], chance: Chance) -> Result<Kept> {
    Ok(Kept { kind: kind as i16, version: VERSION as i32, wrapped: by.seal(chance, key_place(kind), key)? })
}

fn take(by: &Cipher, kind: KeyKind, kept: &[Kept]) -> Result<Zeroizing<[u8; 32]>> {
    let row = kept.iter().find(|row| row.kind == kind as i16).ok_or_else(|| Error::bug(format!("the store has no {kind:?} key")))?;
    key_bytes(by.open(key_place(kind), &row.wrapped)?)
}

fn key_bytes(bytes: Vec<u8>) -> Result<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(bytes);
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| Error::bug("a kept key is not 32 bytes"))?))
}

/// HKDF-SHA-256 (RFC 5869) expansion; the parts of `info` are length-prefixed.
fn derive(key: &[u8; 32], info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>> {
    let mut text = b"firth/1".to_vec();
    for part in info {
        text.extend_from_slice(&(part.len() as u32).to_be_bytes());
        text.extend_from_slice(part);
    }
    let mut out = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::from_prk(key).map_err(Error::bug)?.expand(&text, &mut *out).map_err(Error::bug)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_root_key_opens_nothing() {
        let root = RootKey(Zeroizing::new([1; 32]));
        let kept = Vault::found(&root, [2; 16], Chance).unwrap();
        assert!(Vault::open(&root, [2; 16], &kept, Sealing::Aes256Gcm).is_ok());
        let other = RootKey(Zeroizing::new([3; 32]));
        assert_eq!(Vault::open(&other, [2; 16], &kept, Sealing::Aes256Gcm).err().map(|e| e.kind), Some(Kind::Setting));
    }

    #[test]
    fn shelves_have_keys_of_their_own() {
        let root = RootKey(Zeroizing::new([1; 32]));
        let kept = Vault::found(&root, [2; 16], Chance).unwrap();
        let vault = Vault::open(&root, [2; 16], &kept, Sealing::Aes256Gcm).unwrap();
        let (one, two) = (vault.new_shelf_key(Shelf(1)).unwrap(), vault.new_shelf_key(Shelf(2)).unwrap());
        assert!(vault.shelf(Shelf(3), &one).is_err());
        let (one, two) = (vault.shelf(Shelf(1), &one).unwrap(), vault.shelf(Shelf(2), &two).unwrap());
        assert_ne!(one.index.hash("x", &[b"same"]), two.index.hash("x", &[b"same"]));
    }
}
