//! The parts of a running server, and how they are put together. No rules, no globals.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::access::Roles;
use crate::audit::{Action, Entry, Index, Log};
use crate::clock::{Clock, Millis};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::id::EntryId;
use crate::ledger::callers::Callers;
use crate::ledger::origins::Origins;
use crate::ledger::signing_keys::Keys;
use crate::ledger::{reindex, shelves};
use crate::mapping::Mappings;
use crate::oidc::Provider;
use crate::policy;
use crate::store::blocks::Templates;
use crate::store::{Db, Opened, Place, keys};
use crate::vault::{Passwords, RootKey, Sealing, Vault};

pub struct App {
    pub config: Config,
    pub db: Db,
    pub vault: Arc<Vault>,
    /// The built-in roles and those of `firth.toml`.
    pub roles: Roles,
    /// The provider at which people sign in, if there is one.
    pub provider: Option<Provider>,
    /// Works on a few passwords at once.
    pub passwords: Passwords,
    pub mappings: Arc<Mappings>,
    pub templates: Arc<Templates>,
    /// Who shows which token.
    pub callers: Callers,
    /// From where browsers may call.
    pub origins: Origins,
    /// The keys that sign tokens.
    pub keys: Arc<Keys>,
    pub log: Log,
    /// What AuditEvents are found by.
    pub index: Index,
    pub clock: Clock,
    /// `FIRTH_PUBLIC_URL`, or what is listened on; without a slash at the end.
    pub public_url: String,
    pub started_at: Millis,
    /// Tells the workers that something waits.
    pub wake: Wake,
    /// The client of the demo's app, once it is registered.
    pub vitals: OnceLock<String>,
    /// The start page of a demo, once it is loaded.
    pub demo_page: OnceLock<String>,
}

/// The exclusive right to a data directory; given back when it is dropped or the process ends.
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl App {
    /// Opens the store under the root key; a new store is founded.
    pub fn build(config: Config, clock: Clock, sealing: Sealing) -> Result<App> {
        let roles = Roles::of(&config.roles, &policy::offer).map_err(|faults| Error::new(Kind::Setting, faults.join("; ")))?;
        let provider = config.sign_in.clone().map(Provider::of).transpose()?;
        let root = RootKey::load(&config.root_key_file)?;
        let mut opened = Opened::at(&place(&config), clock.clone(), config.query_timeout)?;
        let vault = Arc::new(open_vault(&mut opened, &root, sealing)?);
        let node: [u8; 8] = vault.chance.bytes()?;
        let db = opened.start(Arc::clone(&vault), node)?;
        shelves::found(&db, &vault)?;
        let log = Log::start(&db, Arc::clone(&vault), node)?;
        let index = Index::new(db.clone(), Arc::clone(&vault));
        let mappings = match &config.mappings_dir {
            Some(dir) => Mappings::with_dir(dir),
            None => Mappings::shipped(),
        };
        let mappings = Arc::new(mappings.map_err(|e| Error::new(Kind::Setting, e.says().to_owned()))?);
        let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
        let public_url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", config.listen));
        reindex::run(&db, &vault, &format!("{public_url}/fhir"))?;
        let keys = Arc::new(Keys::new(db.clone(), Arc::clone(&vault)));
        let callers = Callers::new((db.clone(), Arc::clone(&vault)), roles.clone(), Arc::clone(&keys), public_url.clone());
        Ok(App {
            config,
            db,
            vault,
            roles,
            provider,
            passwords: Passwords::default(),
            mappings,
            templates: Arc::default(),
            origins: Origins::default(),
            callers,
            keys,
            log,
            index,
            started_at: clock.now(),
            clock,
            public_url,
            wake: Wake::default(),
            vitals: OnceLock::new(),
            demo_page: OnceLock::new(),
        })
    }

    /// Notes in the audit log that the server starts or stops.
    pub async fn note(&self, action: Action, what: &str) -> Result<()> {
        let mut entry = Entry::new(self.entry_id()?, action, what);
        entry.request.clone_from(&entry.id);
        self.log.append(&entry)?.durable().await
    }

    /// By how much the clock of the database is ahead of this machine's: what is written has its time, and when a token, a
    /// code or an assertion ends is judged by ours.
    pub fn clocks_apart(&self) -> Result<Option<Millis>> {
        Ok(self.db.clock()?.map(|at| at - self.clock.now()))
    }

    pub fn entry_id(&self) -> Result<EntryId> {
        Ok(EntryId::at(self.clock.now(), self.vault.chance.bytes()?))
    }
}

/// Where the settings say the data lives.
pub fn place(config: &Config) -> Place {
    match config.database_url.as_deref() {
        Some(url) if url.starts_with("postgres") => Place::Postgres(url.to_owned()),
        Some(url) => Place::Sqlite(PathBuf::from(url.trim_start_matches("sqlite://"))),
        None => Place::Sqlite(config.data_dir.clone()),
    }
}

fn open_vault(opened: &mut Opened, root: &RootKey, sealing: Sealing) -> Result<Vault> {
    let (id, kept) = opened.first(|tx| {
        let id = match keys::store_id(tx)? {
            Some(id) => id,
            None => {
                let chance = crate::chance::Chance;
                let id = chance.bytes()?;
                keys::found(tx, id, &Vault::found(root, id, chance)?)?;
                id
            }
        };
        Ok((id, keys::kept(tx)?))
    })?;
    Vault::open(root, id, &kept, sealing)
}

/// A root key beside the data it opens protects nothing: refused, except for the demo.
pub fn key_apart(config: &Config) -> Result<()> {
    // What does not exist yet has no canonical form; its absolute one is good enough.
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf());
    let folder = config.root_key_file.parent().map(real).unwrap_or_default();
    let database = match place(config) {
        Place::Sqlite(database) => database,
        Place::Postgres(_) => config.data_dir.clone(),
    };
    if ![&config.data_dir, &database].into_iter().any(|data| folder.starts_with(real(data))) {
        return Ok(());
    }
    let says = format!(
        "the root key {} is inside the data directory; move it elsewhere and name it with --root-key FILE",
        config.root_key_file.display()
    );
    Err(Error::new(Kind::Setting, says))
}

/// Takes the data directory for this process alone: `Kind::Unwritable`, or `Kind::Locked` when another has it.
pub fn lock(data_dir: &Path) -> Result<Lock> {
    let unwritable = |e: std::io::Error| {
        Error::new(
            Kind::Unwritable,
            format!("{} cannot be written ({e}); make it writable for this user, or name another with --data-dir", data_dir.display()),
        )
    };
    // What is in there is for this user alone.
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unwritable)?;
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.join("lock")).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Kind::Locked,
            format!("{} is in use by another firth; stop it, or name another directory with --data-dir", data_dir.display()),
        )),
        Err(TryLockError::Error(e)) => Err(unwritable(e)),
    }
}

/// A bell: `notify` ends somebody's `wait`.
#[derive(Default)]
pub struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    pub fn notify(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_one();
    }

    /// Until somebody rings, or for this long.
    pub fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self.bell.wait_timeout_while(rung, at_most, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}
