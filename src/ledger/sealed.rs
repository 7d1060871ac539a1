//! What is kept of nobody's shelf: clients, grants, launches, accounts. JSON, sealed under the key of operations and bound
//! to its row.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::id::Shelf;
use crate::vault::{Place, Vault};

/// The row that a value belongs to: its table, its key, its version.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub kind: &'static str,
    pub id: &'a [u8],
    pub version: u32,
}

impl<'a> Row<'a> {
    fn place(self) -> Place<'a> {
        Place { kind: self.kind, shelf: Shelf(0), id: self.id, version: self.version }
    }
}

pub fn seal(vault: &Vault, row: Row<'_>, value: &impl Serialize) -> Result<Vec<u8>> {
    seal_bytes(vault, row, &serde_json::to_vec(value).map_err(Error::bug)?)
}

pub fn seal_bytes(vault: &Vault, row: Row<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    vault.operations()?.seal(vault.chance, row.place(), bytes)
}

pub fn open<T: DeserializeOwned>(vault: &Vault, row: Row<'_>, sealed: &[u8]) -> Result<T> {
    serde_json::from_slice(&open_bytes(vault, row, sealed)?).map_err(Error::bug)
}

/// Cleared from memory when it is dropped.
pub fn open_bytes(vault: &Vault, row: Row<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    vault.operations()?.open(row.place(), sealed).map(Zeroizing::new)
}
