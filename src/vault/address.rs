//! The address cipher: a sample's address is one AES-256 block under the permanent id key,
//! printed as 26 characters of lower-case base32. Opaque, stable, decoded without an index.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use data_encoding::{Encoding, Specification};

use crate::id::Address;

pub(super) struct AddressCipher {
    block: Aes256,
    base32: Encoding,
}

impl AddressCipher {
    pub(super) fn new(key: &[u8; 32]) -> AddressCipher {
        let mut spec = Specification::new();
        spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        // The alphabet above is fixed and valid, so the fallback is never taken.
        let base32 = spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD);
        AddressCipher { block: Aes256::new(key.into()), base32 }
    }

    pub(super) fn encrypt(&self, address: Address) -> [u8; 16] {
        let mut block = Array::from(address.pack().to_be_bytes());
        self.block.encrypt_block(&mut block);
        block.into()
    }

    pub(super) fn text(&self, bytes: &[u8; 16]) -> String {
        self.base32.encode(bytes)
    }

    /// `None` for anything that is not the one canonical spelling: 26 characters, lower case, spare bits zero.
    pub(super) fn decode(&self, text: &str) -> Option<Address> {
        if text.len() != 26 {
            return None;
        }
        let bytes: [u8; 16] = self.base32.decode(text.as_bytes()).ok()?.try_into().ok()?;
        let mut block = Array::from(bytes);
        self.block.decrypt_block(&mut block);
        Some(Address::unpack(u128::from_be_bytes(block.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Shelf;

    #[test]
    fn one_spelling_for_one_address() {
        let cipher = AddressCipher::new(&[1; 32]);
        let address = Address { shelf: Shelf(12), series: 3, start: 1_770_000_000_123, disc: 1 };
        let text = cipher.text(&cipher.encrypt(address));
        assert_eq!(text.len(), 26);
        assert_eq!(cipher.decode(&text), Some(address));
        assert_eq!(cipher.decode(&text.to_uppercase()), None);
        let last = text.pop_last();
        for other in "abcdefghijklmnopqrstuvwxyz234567".chars().filter(|c| *c != last.1) {
            assert!(cipher.decode(&format!("{}{other}", last.0)).is_none_or(|found| found != address));
        }
    }

    trait PopLast {
        fn pop_last(&self) -> (String, char);
    }

    impl PopLast for String {
        fn pop_last(&self) -> (String, char) {
            let mut rest = self.clone();
            let last = rest.pop().unwrap_or('a');
            (rest, last)
        }
    }
}
