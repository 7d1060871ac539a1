//! TLS: the certificate and key of the settings, read anew when their files change.
//!
//! The files are looked at during a handshake, at most every few seconds. What cannot be read, is no
//! pair or is half written is logged once, and the pair that worked stays.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::{Error, Kind, Result};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// TLS 1.2 and 1.3 with what the files hold now and will hold later.
pub fn tls(cert: &Path, key: &Path) -> Result<ServerConfig> {
    let files = Files { cert: cert.to_owned(), key: key.to_owned(), provider: Arc::new(rustls::crypto::ring::default_provider()) };
    let provider = Arc::clone(&files.provider);
    let kept = Kept { state: Mutex::new(State { marks: files.marks(), pair: files.pair()?, looked: Instant::now() }), files };
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::bug)?;
    Ok(config.with_no_client_auth().with_cert_resolver(Arc::new(kept)))
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
}

/// When a file was written last, and its length; `None` when it is not there.
type Mark = Option<(SystemTime, u64)>;

impl Files {
    fn marks(&self) -> [Mark; 2] {
        [&self.cert, &self.key].map(|path| fs::metadata(path).and_then(|meta| Ok((meta.modified()?, meta.len()))).ok())
    }

    fn pair(&self) -> Result<Arc<CertifiedKey>> {
        let refused = |path: &Path, why: &dyn fmt::Display| {
            let says = format!("{} is not a PEM file for TLS ({why}); correct FIRTH_TLS_CERT and FIRTH_TLS_KEY", path.display());
            Error::new(Kind::Setting, says)
        };
        let pem = fs::read(&self.cert).map_err(|e| refused(&self.cert, &e))?;
        let chain: std::result::Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|e| refused(&self.cert, &e))?;
        if chain.is_empty() {
            return Err(refused(&self.cert, &"it holds no certificate"));
        }
        let pem = fs::read(&self.key).map_err(|e| refused(&self.key, &e))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| refused(&self.key, &e))?;
        CertifiedKey::from_der(chain, key, &self.provider).map(Arc::new).map_err(|e| refused(&self.cert, &e))
    }
}

struct State {
    pair: Arc<CertifiedKey>,
    /// Of the files that were tried last, good or not.
    marks: [Mark; 2],
    looked: Instant,
}

struct Kept {
    files: Files,
    state: Mutex<State>,
}

impl Kept {
    fn pair(&self) -> Arc<CertifiedKey> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let marks = self.files.marks();
            if marks != state.marks {
                state.marks = marks;
                match self.files.pair() {
                    Ok(pair) => {
                        state.pair = pair;
                        tracing::info!("the TLS certificate was read anew");
                    }
                    Err(e) => tracing::error!(cause = e.says(), "the new TLS files cannot be used; the certificate stays as it was"),
                }
            }
        }
        Arc::clone(&state.pair)
    }
}

impl ResolvesServerCert for Kept {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("cert", &self.files.cert).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new certificate for this name and its key, as PEM.
    fn pair(name: &str) -> [String; 2] {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        [made.cert.pem(), made.signing_key.serialize_pem()]
    }

    /// The subject of what is served once the files have been looked at again.
    fn served(kept: &Kept) -> &'static str {
        kept.state.lock().unwrap().looked -= LOOK_EVERY;
        let der = kept.pair().cert[0].to_vec();
        ["one", "two"]
            .into_iter()
            .find(|name| der.windows(name.len() + 8).any(|part| part == format!("{name}.example").as_bytes()))
            .unwrap()
    }

    #[test]
    fn new_files_are_taken_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let ([one, one_key], [two, two_key]) = (pair("one.example"), pair("two.example"));
        let (cert, key) = (folder.path().join("c"), folder.path().join("k"));
        fs::write(&cert, &one).unwrap();
        fs::write(&key, &one_key).unwrap();
        let files = Files { cert: cert.clone(), key: key.clone(), provider: Arc::new(rustls::crypto::ring::default_provider()) };
        let state = State { marks: files.marks(), pair: files.pair().unwrap(), looked: Instant::now() };
        let kept = Kept { state: Mutex::new(state), files };
        assert_eq!(served(&kept), "one");
        fs::write(&cert, &two).unwrap();
        assert_eq!(served(&kept), "one", "half a renewal is no pair");
        fs::write(&key, &two_key).unwrap();
        assert_eq!(served(&kept), "two");
        fs::write(&cert, "no certificate").unwrap();
        assert_eq!(served(&kept), "two");
        fs::remove_file(&key).unwrap();
        assert_eq!(served(&kept), "two");
        fs::write(&cert, format!("{one}\n")).unwrap();
        fs::write(&key, format!("{one_key}\n")).unwrap();
        assert_eq!(served(&kept), "one");
    }

    #[test]
    fn a_start_with_broken_files_names_them() {
        let refused = tls(Path::new("nowhere.crt"), Path::new("nowhere.key")).unwrap_err();
        assert!(refused.kind == Kind::Setting && refused.says().contains("nowhere.crt"), "{refused}");
    }
}
