//! Where a demo lives: a folder that is removed at exit, or the one that was named.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::chance::Chance;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::vault::RootKey;
use crate::verbs::Where;

/// The data directory of a demo. A throw-away one is removed when this is dropped.
pub struct Folder {
    pub path: PathBuf,
    pub throw_away: bool,
}

/// Turns the settings into those of a demo, and makes its folder and its root key.
pub fn prepare(config: &mut Config, place: &Where) -> Result<Folder> {
    if !config.listen.ip().is_loopback() {
        let says = format!("--demo hands its tokens to everybody who asks, and {} is not a loopback address; use 127.0.0.1", config.listen);
        return Err(Error::new(Kind::Setting, says));
    }
    if config.database_url.is_some() && place.data_dir.is_none() {
        let says = "a demo on FIRTH_DATABASE_URL keeps its key in its data directory; add --data-dir DIR, so that it is not thrown away";
        return Err(Error::new(Kind::Setting, says));
    }
    let folder = match &place.data_dir {
        Some(path) => Folder { path: path.clone(), throw_away: false },
        None => throw_away()?,
    };
    config.data_dir.clone_from(&folder.path);
    config.root_key_file = place.root_key.clone().unwrap_or_else(|| folder.path.join("root.key"));
    // It is loopback: plain HTTP will do, and a curl line needs no certificate.
    (config.tls_cert, config.tls_key) = (None, None);
    // The screen is for the curl lines; FIRTH_LOG=debug or a filter brings the request log back.
    if config.log == "info" {
        config.log = "warn".to_owned();
    }
    if !config.root_key_file.exists() {
        if folder.path.join("firth.db").exists() {
            let says =
                format!("{} holds a store that is no demo (it has no root.key); name another with --data-dir", folder.path.display());
            return Err(Error::new(Kind::Setting, says));
        }
        make(&folder.path)?;
        RootKey::create(&config.root_key_file, Chance)?;
    }
    Ok(folder)
}

fn throw_away() -> Result<Folder> {
    let name = format!("firth-demo-{}", HEXLOWER.encode(&Chance.bytes::<6>()?));
    let path = std::env::temp_dir().join(name);
    make(&path)?;
    Ok(Folder { path, throw_away: true })
}

/// For this user alone: it holds the key.
fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .map_err(|e| Error::new(Kind::Unwritable, format!("{} cannot be made ({e}); name another with --data-dir", path.display())))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The database's last checkpoint may make a file while the folder goes; the second try gets it.
        if self.throw_away && fs::remove_dir_all(&self.path).is_err() && self.path.exists() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
