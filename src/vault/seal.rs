//! One cipher under one key: seal and open, bound to a place.

use std::cell::RefCell;
use std::io;

use aes_gcm::aead::{AeadInOut, Nonce, Tag};
use aes_gcm::{Aes256Gcm, KeyInit};
use zstd::bulk::{Compressor, Decompressor};

use crate::chance::Chance;
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;

const FORMAT: u8 = 1;
const AES_256_GCM: u8 = 1;
/// Identity sealing: only the leak test makes it, to prove that its search would find a leak.
const IDENTITY: u8 = 0;
const HEADER: usize = 1 + 1 + 4 + 12;
const TAG: usize = 16;

/// Whether values are really encrypted. No setting reaches `Identity`: the leak test builds it in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    Aes256Gcm,
    Identity,
}

/// Where a sealed value belongs. Nothing in here may ever change for a stored row.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub kind: &'static str,
    pub shelf: Shelf,
    pub id: &'a [u8],
    pub version: u32,
}

/// A key with its version, ready to seal and open.
pub struct Cipher {
    aead: Aes256Gcm,
    sealing: Sealing,
    store: [u8; 16],
    version: u32,
}

impl Cipher {
    pub(super) fn new(key: &[u8; 32], store: [u8; 16], version: u32, sealing: Sealing) -> Cipher {
        Cipher { aead: Aes256Gcm::new(key.into()), sealing, store, version }
    }

    /// Header, ciphertext and tag. The nonce is random; keys are rotated long before 2^32 seals.
    pub fn seal(&self, chance: Chance, place: Place<'_>, clear: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; 12] = chance.bytes()?;
        let mut out = Vec::with_capacity(HEADER + clear.len() + TAG);
        out.push(FORMAT);
        out.push(if self.sealing == Sealing::Identity { IDENTITY } else { AES_256_GCM });
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(clear);
        if self.sealing == Sealing::Aes256Gcm {
            let nonce = Nonce::<Aes256Gcm>::from(nonce);
            let tag = self
                .aead
                .encrypt_inout_detached(&nonce, &self.additional(place), (&mut out[HEADER..]).into())
                .map_err(|_| Error::bug("a value is too long to seal"))?;
            out.extend_from_slice(&tag);
        }
        Ok(out)
    }

    /// The clear bytes, or `Kind::Sealed` when the value was changed, moved or sealed under another key.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let refused = |why: &str| Error::new(Kind::Sealed, "stored data could not be opened").because(format!("{} {why}", place.kind));
        let Some((header, body)) = sealed.split_at_checked(HEADER) else { return Err(refused("is too short")) };
        if header[0] != FORMAT || header[2..6] != self.version.to_be_bytes() {
            return Err(refused("has another format or key version"));
        }
        if self.sealing == Sealing::Identity && header[1] == IDENTITY {
            return Ok(body.to_vec());
        }
        if header[1] != AES_256_GCM || body.len() < TAG {
            return Err(refused("has another algorithm"));
        }
        let (ciphertext, tag) = body.split_at(body.len() - TAG);
        let nonce = Nonce::<Aes256Gcm>::try_from(&header[6..]).map_err(|_| refused("has a bad nonce"))?;
        let tag = Tag::<Aes256Gcm>::try_from(tag).map_err(|_| refused("has a bad tag"))?;
        let mut clear = ciphertext.to_vec();
        self.aead
            .decrypt_inout_detached(&nonce, &self.additional(place), clear.as_mut_slice().into(), &tag)
            .map_err(|_| refused("fails its tag"))?;
        Ok(clear)
    }

    /// zstd, then seal. With identity sealing nothing is compressed, so that the leak test can read it.
    pub fn seal_packed(&self, chance: Chance, place: Place<'_>, clear: &[u8]) -> Result<Vec<u8>> {
        if self.sealing == Sealing::Identity {
            return self.seal(chance, place, clear);
        }
        self.seal(chance, place, &pack(clear).map_err(Error::bug)?)
    }

    pub fn open_packed(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let packed = self.open(place, sealed)?;
        if self.sealing == Sealing::Identity {
            return Ok(packed);
        }
        unpack(&packed).map_err(Error::bug)
    }

    fn additional(&self, place: Place<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        for part in [b"firth/1".as_slice(), &self.store, place.kind.as_bytes(), &place.shelf.0.to_be_bytes(), place.id] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&place.version.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out
    }
}

thread_local! {
    /// Making one costs more than most of what it packs.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    /// The same for what it unpacks.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn pack(clear: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.compress(clear),
        None => kept.insert(Compressor::new(1)?).compress(clear),
    })
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    // What `pack` made says how long it is; a stream does not.
    let Ok(Some(length)) = zstd::zstd_safe::get_frame_content_size(packed) else { return zstd::stream::decode_all(packed) };
    let length = usize::try_from(length).map_err(io::Error::other)?;
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.decompress(packed, length),
        None => kept.insert(Decompressor::new()?).decompress(packed, length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher() -> Cipher {
        Cipher::new(&[3; 32], [9; 16], 1, Sealing::Aes256Gcm)
    }

    fn place(id: &[u8]) -> Place<'_> {
        Place { kind: "document", shelf: Shelf(5), id, version: 1 }
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let sealed = cipher().seal(Chance, place(b"a"), b"61.37").unwrap();
        assert_eq!(cipher().open(place(b"a"), &sealed).unwrap(), b"61.37");
        for elsewhere in [
            place(b"b"),
            Place { shelf: Shelf(6), ..place(b"a") },
            Place { version: 2, ..place(b"a") },
            Place { kind: "block", ..place(b"a") },
        ] {
            assert_eq!(cipher().open(elsewhere, &sealed).unwrap_err().kind, Kind::Sealed);
        }
        let other_store = Cipher::new(&[3; 32], [8; 16], 1, Sealing::Aes256Gcm);
        assert!(other_store.open(place(b"a"), &sealed).is_err());
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let sealed = cipher().seal(Chance, place(b"a"), b"61.37").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(cipher().open(place(b"a"), &bad).is_err(), "bit {bit}");
        }
    }
}
