//! Fills the demo through its own listener, then says how to use it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Failed, told};
use super::folder::Folder;
use super::page;
use super::payload::Payload;
use super::people::{PEOPLE, Person};
use super::smart::{self, Smart};
use crate::api;
use crate::app::App;
use crate::control;
use crate::error::{Error, Kind, Result};

/// A role that gets a token, the name of its token in `demo.env`, and the patients it names.
const TOKENS: [(&str, &str, usize); 5] = [
    ("ehr-system", "FIRTH_EHR_TOKEN", 0),
    ("clinician", "FIRTH_CLINICIAN_TOKEN", 3),
    ("patient", "FIRTH_PATIENT_TOKEN", 1),
    ("auditor", "FIRTH_AUDITOR_TOKEN", 0),
    ("operator", "FIRTH_OPERATOR_TOKEN", 0),
];

/// A person who was loaded.
pub struct Loaded {
    pub who: &'static Person,
    pub user: String,
    pub patient: String,
    /// The upload of everything but the heart rate.
    pub upload: String,
}

/// All that the page, the screen and `demo.env` tell.
pub struct Demo {
    pub url: String,
    /// Absolute, so that verbs find the server from everywhere.
    pub data_dir: PathBuf,
    pub app_id: String,
    pub app_secret: String,
    pub api_key: String,
    /// In the order of `TOKENS`.
    pub tokens: Vec<String>,
    pub people: Vec<Loaded>,
    pub records: u64,
    pub smart: Smart,
}

/// Loads on a thread of its own, for the listener is served on this one. `stop` ends the server when
/// loading fails; the thread's result then says why.
pub fn start(folder: &Folder, app: &Arc<App>, address: SocketAddr, stop: impl FnOnce() + Send + 'static) -> Result<JoinHandle<Result<()>>> {
    let (app, path, throw_away) = (Arc::clone(app), folder.path.clone(), folder.throw_away);
    let work = move || match load(&app, address, &path) {
        Ok(demo) => {
            // The page is set once; nobody else sets it.
            let _ = app.demo_page.set(page::text(&demo));
            // Nobody may be there to read it; demo.env and the page tell the same.
            let _ = std::io::stdout().write_all(screen(&demo, &path, throw_away).as_bytes()).and_then(|()| std::io::stdout().flush());
            Ok(())
        }
        Err(Failed::Gone) => {
            eprintln!("firth: the demo was not loaded, for the server stopped");
            Ok(())
        }
        Err(Failed::Refused(e)) => {
            stop();
            Err(e)
        }
    };
    thread::Builder::new().name("firth-demo".into()).spawn(work).map_err(Error::bug)
}

fn load(app: &App, address: SocketAddr, folder: &Path) -> std::result::Result<Demo, Failed> {
    let made = control::carry_out(app, &json!({"verb": "app create", "name": "Firth demo"}))?;
    let api_key = told(&made, "api_key")?;
    let client = Client::new(address, &api_key);
    let file = folder.join("demo.env");
    let earlier = fs::read_to_string(&file).unwrap_or_default();
    revoke(&client, &earlier)?;
    let mut records = 0;
    let mut people = Vec::new();
    for (n, who) in PEOPLE.iter().enumerate() {
        let (user, patient) = person(&client, who)?;
        let now = app.clock.now();
        let sync = format!("/sdk/users/{user}/sync");
        let mut upload = String::new();
        for body in [Payload::new(who, now).heart_rate(), Payload::new(who, now).vitals(n == 0)] {
            let accepted = client.post(&sync, &body)?;
            upload = text(&accepted, "upload_id")?;
            records += settled(&client, &format!("/sdk/users/{user}/uploads/{upload}"))?;
        }
        people.push(Loaded { who, user, patient, upload });
    }
    let smart = smart::prepare(app, &client, &people, told(&earlier, "FIRTH_VITALS_CLIENT_ID").ok().as_deref())?;
    let mut tokens = Vec::new();
    for (role, _, named) in TOKENS {
        let patients: Vec<&str> = people.iter().take(named).map(|one| one.patient.as_str()).collect();
        let made = control::carry_out(app, &json!({"verb": "token issue", "role": role, "patients": patients, "ttl": "7d"}))?;
        tokens.push(told(&made, "token")?);
    }
    let (app_id, app_secret) = (told(&made, "app_id")?, told(&made, "app_secret")?);
    let data_dir = std::path::absolute(folder).map_err(Error::bug)?;
    let demo = Demo { url: app.public_url.clone(), data_dir, app_id, app_secret, api_key, tokens, people, records, smart };
    keep(&file, &env(&demo))?;
    Ok(demo)
}

/// Tokens of an earlier start on this folder end here.
fn revoke(client: &Client, earlier: &str) -> std::result::Result<(), Failed> {
    for line in earlier.lines() {
        if let Some((name, token)) = line.split_once('=')
            && (name.ends_with("_TOKEN") || name == "FIRTH_API_KEY")
        {
            client.post("/token/revoke", &json!({"token": token}))?;
        }
    }
    Ok(())
}

/// The user and Patient of a person: those of an earlier start, or new ones.
fn person(client: &Client, who: &Person) -> std::result::Result<(String, String), Failed> {
    let known = client.get(&format!("/users?external_user_id={}", who.external_id))?;
    let user = match known["items"].get(0) {
        Some(user) => user.clone(),
        None => {
            let fields = json!({"external_user_id": who.external_id, "first_name": who.first, "last_name": who.last, "email": who.email});
            client.post("/users", &fields)?
        }
    };
    Ok((text(&user, "id")?, text(&user, "patient_id")?))
}

/// Waits until an upload is processed; how many records it had.
fn settled(client: &Client, path: &str) -> std::result::Result<u64, Failed> {
    for _ in 0..1_500 {
        let upload = client.get(path)?;
        match upload["stage"].as_str() {
            Some("completed") => return Ok(upload["items_total"].as_u64().unwrap_or(0)),
            Some("failed" | "cancelled") => break,
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(Error::bug("an upload of the demo was not processed").into())
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).ok_or_else(|| Error::bug(format!("an answer has no {name}")))
}

impl Demo {
    /// The token of a role.
    pub fn token(&self, role: &str) -> &str {
        TOKENS.iter().position(|(known, _, _)| *known == role).and_then(|n| self.tokens.get(n)).map_or("", String::as_str)
    }

    fn listed(&self, of: fn(&Loaded) -> &str) -> String {
        self.people.iter().map(of).collect::<Vec<_>>().join(",")
    }
}

fn env(demo: &Demo) -> String {
    let mut text = format!(
        "FIRTH_URL={}\nFIRTH_DATA_DIR={}\nFIRTH_API_KEY={}\nFIRTH_APP_ID={}\nFIRTH_APP_SECRET={}\n",
        demo.url,
        quoted(&demo.data_dir.to_string_lossy()),
        demo.api_key,
        demo.app_id,
        demo.app_secret
    );
    for ((_, name, _), token) in TOKENS.iter().zip(&demo.tokens) {
        text.push_str(&format!("{name}={token}\n"));
    }
    for (name, password) in &demo.smart.logins {
        text.push_str(&format!("FIRTH_{0}_LOGIN={name}\nFIRTH_{0}_PASSWORD={password}\n", name.to_uppercase()));
    }
    text.push_str(&format!("FIRTH_VITALS_URL={}\nFIRTH_VITALS_CLIENT_ID={}\n", demo.smart.app_url, demo.smart.client_id));
    text.push_str(&format!("FIRTH_USER_IDS={}\nFIRTH_PATIENT_IDS={}\n", demo.listed(|one| &one.user), demo.listed(|one| &one.patient)));
    text
}

/// As a shell takes it for one word; what needs no quotation marks has none.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Replaces the file as a whole; only this user may read it.
fn keep(file: &Path, text: &str) -> Result<()> {
    let unwritable = |e: std::io::Error| Error::new(Kind::Unwritable, format!("{} cannot be written ({e})", file.display()));
    let new = file.with_extension("env.new");
    let _ = fs::remove_file(&new);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(unwritable)?;
    out.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, file)).map_err(unwritable)
}

/// What a person sees who started the demo.
fn screen(demo: &Demo, folder: &Path, throw_away: bool) -> String {
    let url = &demo.url;
    let fate = if throw_away { "removed when the server stops" } else { "kept; start again with the same --data-dir" };
    let mut out = format!(
        "\nThe demo is loaded: {} people, {} records of their last 24 hours.\n\n  page    {url}/\n  data    {} ({fate})\n  tokens  {}\n",
        demo.people.len(),
        demo.records,
        folder.display(),
        folder.join("demo.env").display(),
    );
    let app = if api::app_is_built() {
        ""
    } else {
        " (not in this binary: install Node.js 20 or newer with npm, run `touch build.rs` and build it again)"
    };
    out.push_str(&format!("\napp: Vitals, launched by itself{app}\n  {}\n", demo.smart.app_url));
    for (name, password) in &demo.smart.logins {
        out.push_str(&format!("  sign in as {name} with {password}\n"));
    }
    for (role, what, curl) in curls(demo) {
        out.push_str(&format!("\n{role}: {what}\n  {curl}\n"));
    }
    out.push_str("\nCtrl-C stops it.\n");
    out
}

/// Role, what it shows, and the line to paste.
fn curls(demo: &Demo) -> Vec<(&'static str, String, String)> {
    let patient = |n: usize| demo.people.get(n).map_or("", |one| one.patient.as_str());
    let name = |n: usize| demo.people.get(n).map_or_else(String::new, |one| format!("{} {}", one.who.first, one.who.last));
    let bearer = |role: &str, path: String| format!("curl -s -H 'Authorization: Bearer {}' '{}{path}'", demo.token(role), demo.url);
    let key = format!("curl -s -H 'X-Open-Wearables-API-Key: {}' '{}/api/v1/users'", demo.api_key, demo.url);
    vec![
        (
            "ehr-system",
            format!("the newest heart rates of {}", name(0)),
            bearer("ehr-system", format!("/fhir/Observation?patient={}&code=http://loinc.org|8867-4&_count=3", patient(0))),
        ),
        (
            "clinician",
            format!("the blood pressures of {}", name(1)),
            bearer("clinician", format!("/fhir/Observation?patient={}&code=85354-9", patient(1))),
        ),
        (
            "patient",
            format!("{}'s own vital signs, and nobody else's", name(0)),
            bearer("patient", "/fhir/Observation?category=vital-signs&_count=3".into()),
        ),
        ("auditor", format!("who saw what of {}", name(0)), bearer("auditor", format!("/fhir/AuditEvent?patient={}&_count=3", patient(0)))),
        ("operator", "counts and latencies".into(), bearer("operator", "/metrics".into())),
        ("app", "its users, with its API key".into(), key),
    ]
}
