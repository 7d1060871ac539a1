//! A server in this process: a test holds its clock and its ledgers, and speaks with it by HTTP.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use firth::access::Role;
use firth::api::{self, Security};
use firth::app::App;
use firth::clock::Clock;
use firth::config::Config;
use firth::id::{AccountId, ClientId, GrantId, PatientId};
use firth::jose::Family;
use firth::ledger::accounts::{self, Account};
use firth::ledger::clients::{self, CODE, Client, Facts, Proof, REFRESH, Status};
use firth::ledger::grants::{self, By, Granted};
use firth::ledger::sessions::Proved;
use firth::ledger::users::{self, Fields};
use firth::ledger::{credentials, sealed, sessions};
use firth::vault::Sealing;
use serde_json::Value;

use super::http::{self, Reply};
use super::oauth::{post, sha256};
use super::server::Place;
use super::{Backend, postgres};

pub struct Within {
    pub app: Arc<App>,
    pub clock: Clock,
    pub url: String,
    stop: Box<dyn Fn()>,
    thread: Option<JoinHandle<()>>,
    _place: Place,
}

/// Makes a test of each backend, on a server in this process: `within! { fn name(server) { ... } }`, or with a clock
/// `within! { fn name(server, Clock::fixed(0)) { ... } }`.
macro_rules! within {
    (fn $name:ident($server:ident) $body:block) => {
        within! { fn $name($server, firth::clock::Clock::system()) $body }
    };
    (fn $name:ident($server:ident, $clock:expr) $body:block) => {
        each_backend! {
            fn $name($server: |backend| $crate::support::within::Within::start(backend, $clock)) $body
        }
    };
}

pub const REDIRECT: &str = "https://app.example/cb?a=b";
pub const VERIFIER: &str = "a-verifier-of-43-characters-or-more.~_0123456789";

impl Within {
    pub fn start(backend: Backend, clock: Clock) -> Option<Within> {
        let mut place = Place::new();
        if backend == Backend::Postgres {
            place.set("FIRTH_DATABASE_URL", &postgres::cluster()?.database());
        }
        let folder = place.path().to_path_buf();
        for (name, file) in [("FIRTH_DATA_DIR", "data"), ("FIRTH_ROOT_KEY_FILE", "root.key")] {
            place.set(name, &folder.join(file).to_string_lossy());
        }
        std::fs::create_dir_all(place.data()).expect("a folder");
        let mut config = Config::read(&place.settings, None).expect("settings");
        let (tell, told) = channel();
        let ticking = clock.clone();
        let thread = thread::spawn(move || {
            let served = api::block_on(async move {
                let socket = api::bind(config.listen).await?;
                config.listen = socket.local_addr().expect("an address");
                let url = format!("http://{}", config.listen);
                let app = Arc::new(App::build(config, ticking, Sealing::Aes256Gcm)?);
                let listening = api::listen(Arc::clone(&app), Security::Plain, socket)?;
                tell.send((app, url, listening.handle.clone())).expect("a test");
                listening.server.await.expect("a server");
                Ok(())
            });
            served.expect("a server");
        });
        let (app, url, handle) = told.recv().expect("a server");
        Some(Within { app, clock, url, stop: Box::new(move || drop(handle.stop(false))), thread: Some(thread), _place: place })
    }

    pub fn client(&self, kind: Proof) -> (Client, Option<String>) {
        self.client_of(kind, |_| {})
    }

    pub fn client_of(&self, kind: Proof, change: impl FnOnce(&mut Facts)) -> (Client, Option<String>) {
        let mut facts = Facts::new("An app", kind);
        facts.redirect_uris = vec![REDIRECT.into()];
        facts.grant_types = vec![CODE.into(), REFRESH.into()];
        facts.scopes = "openid fhirUser profile launch/patient offline_access online_access patient/*.rs user/*.rs".into();
        change(&mut facts);
        let vault = Arc::clone(&self.app.vault);
        let made = self.app.db.write("test", move |tx| {
            let made = clients::add(tx, &vault, Status::Approved, &facts)?;
            Ok((made.client, made.secret))
        });
        made.expect("a client")
    }

    pub fn change_client(&self, id: ClientId, status: Status) {
        let vault = Arc::clone(&self.app.vault);
        let changed = self.app.db.write("test", move |tx| {
            clients::change(tx, &vault, id, |of, _| {
                *of = status;
                Ok(())
            })
        });
        changed.expect("a client");
    }

    pub fn patient(&self) -> PatientId {
        let vault = Arc::clone(&self.app.vault);
        let made = self.app.db.write("test", move |tx| users::create(tx, &vault, "urn:test", (&Fields::default(), None)));
        made.expect("a user").user.patient
    }

    pub fn account(&self, name: &str, role: Role, fhir_user: Option<String>) -> Account {
        let facts = accounts::Facts { name: name.into(), role: Some(role.name().into()), fhir_user, ..accounts::Facts::default() };
        let vault = Arc::clone(&self.app.vault);
        self.app.db.write("test", move |tx| accounts::add(tx, &vault, facts.clone())).expect("an account")
    }

    pub fn change_account(&self, id: AccountId, change: impl Fn(&mut accounts::Status, &mut accounts::Facts) + Send + 'static) {
        let vault = Arc::clone(&self.app.vault);
        let changed = self.app.db.write("test", move |tx| {
            let account = accounts::get(tx, &vault, id)?.expect("an account");
            let (mut status, mut facts) = (account.status, account.facts.clone());
            change(&mut status, &mut facts);
            accounts::change(tx, &vault, &account, (status, facts))
        });
        changed.expect("an account");
    }

    /// A session of a browser, and its secret.
    pub fn session(&self, account: AccountId) -> (GrantId, String) {
        let vault = Arc::clone(&self.app.vault);
        let (secret, session) =
            self.app.db.write("test", move |tx| sessions::begin(tx, &vault, account, (None, Proved::Now))).expect("a session");
        (session.id, secret)
    }

    pub fn sign_out(&self, secret: &str) {
        let secret = secret.to_owned();
        self.app.db.write("test", move |tx| sessions::end(tx, &secret)).expect("an end");
    }

    /// What a person grants who agrees: with these scopes, of this patient.
    pub fn granted(&self, role: Role, scopes: &str, patient: Option<PatientId>) -> Granted {
        Granted {
            scopes: scopes.into(),
            role: role.name().into(),
            patient: patient.map(|patient| patient.to_string()),
            redirect_uri: Some(REDIRECT.into()),
            challenge: Some(sha256(VERIFIER)),
            nonce: Some("n-1".into()),
            auth_time: Some(self.clock.now()),
            ..Granted::default()
        }
    }

    pub fn code(&self, by: By, granted: &Granted) -> String {
        let (vault, granted) = (Arc::clone(&self.app.vault), granted.clone());
        self.app.db.write("test", move |tx| grants::code(tx, &vault, &by, &granted)).expect("a code")
    }

    /// A token of `firth token issue`.
    pub fn token(&self, role: Role) -> String {
        let vault = Arc::clone(&self.app.vault);
        let grant = credentials::Grant { role, scopes: None, patients: Vec::new(), ttl: 3_600_000 };
        self.app.db.write("test", move |tx| credentials::issue(tx, &vault, &grant)).expect("a token").secret
    }

    #[track_caller]
    pub fn form(&self, path: &str, pairs: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        post(&format!("{}{path}", self.url), pairs, headers)
    }

    /// The key that signs access tokens, as the store keeps it: its `kid`, and PKCS #8.
    pub fn signing_key(&self) -> (String, Vec<u8>) {
        let now = self.clock.now();
        let ring = self.app.keys.signing(&[Family::Ed25519], now).expect("a key");
        let kid = ring.signing(Family::Ed25519, now).expect("a key").kid.clone();
        let rows = self.app.db.read("test", firth::store::signing_keys::list).expect("keys");
        let row = rows.into_iter().find(|row| row.kid == kid).expect("the key");
        let place = sealed::Row { kind: "signing-key", id: kid.as_bytes(), version: 1 };
        let der = sealed::open_bytes(&self.app.vault, place, &row.sealed).expect("the key opens").to_vec();
        (kid, der)
    }

    /// A resource that a system creates; its id.
    #[track_caller]
    pub fn created(&self, body: &Value) -> String {
        let kind = body["resourceType"].as_str().expect("a type");
        let headers =
            [("content-type", "application/fhir+json".to_owned()), ("authorization", format!("Bearer {}", self.token(Role::EhrSystem)))];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let sent = http::call("POST", &format!("{}/fhir/{kind}", self.url), &headers, Some(body.to_string().as_bytes()));
        sent.expect("an answer").is(201).text_at("/id")
    }

    #[track_caller]
    pub fn get(&self, path: &str, token: &str) -> Reply {
        let headers = [("authorization".to_owned(), format!("Bearer {token}"))];
        http::call("GET", &format!("{}{path}", self.url), &headers, None).expect("an answer")
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        (self.stop)();
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(ended.is_some_and(|ended| ended.is_ok()), "the server ends in order");
        }
    }
}
