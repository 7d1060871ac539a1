//! The root key: 32 random bytes as 64 hexadecimal digits in a file outside the database.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use zeroize::Zeroizing;

use crate::chance::Chance;
use crate::error::{Error, Kind, Result};

pub struct RootKey(pub(super) Zeroizing<[u8; 32]>);

impl RootKey {
    /// Makes a new key file with mode 0400; an existing file is never replaced.
    pub fn create(path: &Path, chance: Chance) -> Result<RootKey> {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(chance.bytes()?);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| unwritable(path, e))?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(Kind::Setting, format!("{} exists already and is left as it is; data sealed under it needs it", path.display()))
            }
            _ => unwritable(path, e),
        })?;
        let text = Zeroizing::new(HEX.encode(&*key) + "\n");
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| unwritable(path, e))?;
        Ok(RootKey(key))
    }

    /// Reads the key; refuses a missing, short or readable-by-others file with the command that fixes it.
    pub fn load(path: &Path) -> Result<RootKey> {
        let shown = path.display();
        let meta = fs::metadata(path).map_err(|e| {
            Error::new(Kind::Setting, format!("no root key at {shown} ({e}); make one with: firth keys init --root-key {shown}"))
        })?;
        // Not `is_file`: a key may also come through a pipe.
        if meta.is_dir() {
            return Err(Error::new(
                Kind::Setting,
                format!("the root key {shown} is a directory; name the file in it with --root-key FILE or FIRTH_ROOT_KEY_FILE"),
            ));
        }
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::new(
                Kind::Setting,
                format!("the root key {shown} has mode {mode:04o}, so others may read it; run: chmod 0400 {shown}"),
            ));
        }
        let text = Zeroizing::new(
            fs::read_to_string(path)
                .map_err(|e| Error::new(Kind::Setting, format!("the root key {shown} is not readable ({e}); run: chmod 0400 {shown}")))?,
        );
        let short = || {
            Error::new(
                Kind::Setting,
                format!(
                    "the root key {shown} is not 64 hexadecimal digits; restore it from its backup, or for a new store: rm -f {shown} && firth keys init --root-key {shown}"
                ),
            )
        };
        let bytes = Zeroizing::new(HEX.decode(text.trim().as_bytes()).map_err(|_| short())?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| short())?;
        Ok(RootKey(Zeroizing::new(key)))
    }
}

fn unwritable(path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Unwritable, format!("cannot write {} ({e}); make its directory writable for this user", path.display()))
}
