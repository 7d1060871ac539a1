//! Randomness comes in by argument: `Chance` is the only place that asks the machine for it.

use crate::error::{Error, Result};

/// The operating system's random bytes. Nonces, keys, ids and secrets are drawn here.
#[derive(Clone, Copy, Default)]
pub struct Chance;

impl Chance {
    /// Fails only when the operating system has no entropy source.
    pub fn bytes<const N: usize>(self) -> Result<[u8; N]> {
        let mut bytes = [0u8; N];
        getrandom::fill(&mut bytes).map_err(Error::bug)?;
        Ok(bytes)
    }
}
