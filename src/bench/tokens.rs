//! How long it takes to know who shows a signed token: the first time, and when it is remembered. In this process, beside
//! an HMAC-SHA-256 of the same bytes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use super::report::{Bar, Report};
use super::server::Home;
use crate::access::Role;
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::ledger::access_tokens::{self, Issuer, Of};
use crate::ledger::clients::{self, CREDENTIALS, Facts, Proof, Status};
use crate::ledger::grants::{self, Granted, Held};
use crate::vault::Sealing;

const TOKENS: usize = 5_000;

/// The aims of docs/performance.md.
const CACHED_US: f64 = 10.0;
const COLD_US: f64 = 300.0;

pub fn measure(home: &Home, report: &mut Report) -> Result<()> {
    let (app, _lock) = build(home)?;
    let held = held(&app)?;
    let tokens = (0..TOKENS).map(|_| token(&app, &held)).collect::<Result<Vec<String>>>()?;
    let known = |token: &String| app.callers.authenticate(token, app.clock.now()).map(drop);
    let cold = median(&tokens, known)?;
    let cached = median(&tokens, known)?;
    let hmac = median(&tokens, |token| {
        black_box(app.vault.index().full("bench", &[token.as_bytes()]));
        Ok(())
    })?;
    let bytes = tokens.first().map_or(0, String::len);
    report.figure(("token", "bytes"), Some(bytes as f64), Bar::None);
    report.figure(("HMAC-SHA-256 of it, median", "us"), Some(hmac), Bar::None);
    report.figure(("token check, remembered, median", "us"), Some(cached), Bar::Below(CACHED_US));
    report.figure(("token check, cold, median", "us"), Some(cold), Bar::Below(COLD_US));
    app.db.settle();
    Ok(())
}

fn build(home: &Home) -> Result<(App, app::Lock)> {
    let path = |name: &str| home.folder.join(name).to_string_lossy().into_owned();
    let mut vars = vec![("FIRTH_DATA_DIR".to_owned(), path("data")), ("FIRTH_ROOT_KEY_FILE".to_owned(), path("root.key"))];
    vars.extend(home.database.iter().map(|url| ("FIRTH_DATABASE_URL".to_owned(), url.clone())));
    let config = Config::read(&vars, None).map_err(|faults| Error::new(Kind::Setting, faults.join("; ")))?;
    let lock = app::lock(&config.data_dir)?;
    Ok((App::build(config, Clock::system(), Sealing::Aes256Gcm)?, lock))
}

/// The grant of a backend service.
fn held(app: &App) -> Result<Held> {
    let mut facts = Facts::new("firth bench", Proof::Keys);
    facts.role = Some(Role::EhrSystem.name().to_owned());
    facts.grant_types = vec![CREDENTIALS.into()];
    facts.scopes = "system/Patient.rs system/Observation.rs".into();
    let granted = Granted { scopes: facts.scopes.clone(), role: Role::EhrSystem.name().into(), ..Granted::default() };
    let vault = Arc::clone(&app.vault);
    app.db.write("bench", move |tx| {
        let client = clients::add(tx, &vault, Status::Approved, &facts)?.client;
        grants::service(tx, &vault, client.id, &granted)
    })
}

fn token(app: &App, held: &Held) -> Result<String> {
    let issuer = Issuer { keys: &app.keys, url: &app.public_url, chance: app.vault.chance, now: app.clock.now() };
    let of = Of { held, scopes: &held.granted.scopes, jkt: None, fhir_user: None };
    Ok(access_tokens::issue(&issuer, &of)?.access)
}

/// Microseconds.
fn median(tokens: &[String], mut work: impl FnMut(&String) -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(tokens.len());
    for token in tokens {
        let began = Instant::now();
        work(token)?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6))
}
