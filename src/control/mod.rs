//! The control socket: while `serve` holds the lock, other verbs act through `DATA_DIR/firth.sock`
//! (mode 0600). One order a connection, a line of JSON; the answer is what the verb prints.

mod accounts;
mod clients;
mod emergencies;
mod roles;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::access::Role;
use crate::app::App;
use crate::audit::{Action, Did, Entry};
use crate::error::{Error, Kind, Result};
use crate::id::{GrantId, PatientId};
use crate::ingest::Provider;
use crate::ledger::credentials::{self, Grant};
use crate::ledger::documents::instant;
use crate::ledger::uploads::{self as ledger, Owner};
use crate::ledger::users::{self, Fields};
use crate::policy;
use crate::search::Type;
use crate::store::{Tx, credentials as rows, documents, keys, uploads, users as people};

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("firth.sock")
}

/// The server's answer; `None` when no server runs on this data directory.
pub fn ask(data_dir: &Path, order: &Value) -> Result<Option<String>> {
    let Ok(mut stream) = UnixStream::connect(socket(data_dir)) else { return Ok(None) };
    let mut answer = String::new();
    let said = writeln!(stream, "{order}").and_then(|()| stream.read_to_string(&mut answer));
    said.map_err(|e| Error::new(Kind::Busy, format!("the running server did not answer ({e}); try again")))?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|e| Error::new(Kind::Busy, "the running server gave no answer; try again").because(e))?;
    match answer["refused"].as_str() {
        None => Ok(Some(answer["text"].as_str().unwrap_or_default().to_owned())),
        Some(code) => {
            let kind = Kind::ALL.iter().copied().find(|kind| kind.wire().code == code).unwrap_or(Kind::Bug);
            Err(Error::new(kind, answer["says"].as_str().unwrap_or_default()))
        }
    }
}

/// Removes its socket when it is dropped.
pub struct Control(PathBuf);

impl Drop for Control {
    fn drop(&mut self) {
        // A socket that is left over is taken over by the next server, which has the lock.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens for orders until the process ends. The caller holds the lock.
pub fn listen(app: &Arc<App>) -> Result<Control> {
    let path = socket(&app.config.data_dir);
    if path.exists() {
        fs::remove_file(&path)
            .map_err(|e| Error::new(Kind::Unwritable, format!("{} cannot be replaced ({e}); remove it", path.display())))?;
    }
    let unwritable = |e: std::io::Error| {
        Error::new(Kind::Unwritable, format!("{} cannot be made ({e}); use a shorter or writable --data-dir", path.display()))
    };
    let listener = UnixListener::bind(&path).map_err(unwritable)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(unwritable)?;
    let app = Arc::clone(app);
    thread::Builder::new()
        .name("firth-control".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(e) = answer(&app, stream) {
                    tracing::warn!(cause = ?e, "an order was not answered");
                }
            }
        })
        .map_err(Error::bug)?;
    Ok(Control(path))
}

fn answer(app: &App, mut stream: UnixStream) -> Result<()> {
    let mut line = String::new();
    BufReader::new(&stream).take(1 << 20).read_line(&mut line).map_err(Error::bug)?;
    let order: Value = serde_json::from_str(&line).map_err(Error::bug)?;
    let answer = match carry_out(app, &order) {
        Ok(text) => json!({"text": text}),
        Err(e) => json!({"refused": e.kind.wire().code, "says": e.says()}),
    };
    writeln!(stream, "{answer}").map_err(Error::bug)
}

/// Does what a verb asks, leaves an audit entry, and answers what it prints.
pub fn carry_out(app: &App, order: &Value) -> Result<String> {
    let verb = order["verb"].as_str().unwrap_or_default();
    let of_credentials = ["token ", "app ", "client ", "account "].iter().any(|what| verb.starts_with(what));
    let action = match verb {
        "role grant" | "role revoke" => Action::RoleChange,
        _ if verb.ends_with(" list") || verb.ends_with(" show") => Action::Activity,
        "client add" | "client approve" if text(order, "role").is_some() => Action::RoleChange,
        _ if of_credentials => Action::Credential,
        _ => Action::Activity,
    };
    let mut entry = Entry::new(app.entry_id()?, action, &format!("firth {verb}"));
    entry.request.clone_from(&entry.id);
    entry.role = Some(Role::Operator.name().to_owned());
    let operator = text(order, "operator").map(|name| plain(&name).trim().chars().take(OPERATOR_MAX).collect::<String>());
    entry.operator = operator.filter(|name| !name.is_empty());
    let outcome = match verb {
        "app create" => app_create(app, order, &entry),
        "user add" => user_add(app, order, &entry),
        "token issue" => token_issue(app, order, &entry),
        "token revoke" => token_revoke(app, order, &entry),
        "ingest" => ingest(app, order, &entry),
        verb if verb.starts_with("account ") => accounts::carry_out(app, verb, order, &entry),
        verb if verb.starts_with("client ") => clients::carry_out(app, verb, order, &entry),
        "access review" => emergencies::review(app, order, &entry),
        "role grant" => roles::grant(app, order, &entry),
        "role revoke" => roles::revoke(app, order, &entry),
        "role list" => roles::list(app, &entry),
        "token list" => token_list(app).and_then(|text| noted(app, &entry).map(|()| text)),
        "ingest replay" => noted(app, &entry).and_then(|()| replay(app, &entry)),
        _ => Err(unknown()),
    };
    outcome.or_else(|e| {
        entry.status = 400;
        entry.refused = Some(e.kind.wire().code.to_owned());
        match noted(app, &entry) {
            // What keeps the entry from being written is what kept the verb from being done.
            Err(_) if e.kind == Kind::Busy => Err(e),
            unwritten => unwritten.and(Err(e)),
        }
    })
}

/// No user's name is longer.
const OPERATOR_MAX: usize = 100;

fn unknown() -> Error {
    Error::new(Kind::Usage, "this server does not know the verb; use the firth that runs it")
}

/// An entry without an effect in the database.
fn noted(app: &App, entry: &Entry) -> Result<()> {
    app.log.append(entry)?.wait()
}

fn text(order: &Value, name: &str) -> Option<String> {
    order[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A text that stays on its line.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn app_create(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let name = text(order, "name").ok_or_else(|| Error::new(Kind::Usage, "an app has a name; add --name N"))?;
    let vault = Arc::clone(&app.vault);
    let entry = entry.clone();
    let made = app.db.write("app.create", move |tx| {
        let made = credentials::app_create(tx, &vault, &name)?;
        entry.commit(tx, Did::new(201, format!("app/{}", made.id)))?;
        Ok(made)
    })?;
    Ok(format!("app_id={}\napp_secret={}\napi_key={}\n", made.id, made.secret, made.api_key))
}

fn user_add(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    // An empty text is a value, and is refused as such.
    let given = |name: &str| order["fields"][name].as_str().map(str::to_owned);
    let fields = Fields {
        external_user_id: given("external_user_id"),
        first_name: given("first_name"),
        last_name: given("last_name"),
        email: given("email"),
    };
    let adopted = given("patient_id").map(|id| PatientId::parse(&id)).transpose()?;
    let (vault, system) = (Arc::clone(&app.vault), app.config.external_id_system.clone());
    let entry = entry.clone();
    let made = app.db.write("user.create", move |tx| {
        let made = users::create(tx, &vault, &system, (&fields, adopted))?;
        entry.commit(tx, Did::to_patient(201, made.user.patient))?;
        Ok(made)
    })?;
    Ok(format!("user_id={}\npatient_id={}\n", made.user.id, made.user.patient))
}

fn token_issue(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let role = roles::named(app, order)?;
    let patients = order["patients"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let patients = patients.map(|id| PatientId::parse(id.trim_start_matches("Patient/"))).collect::<Result<BTreeSet<_>>>()?;
    let patients = patients.into_iter().collect();
    // An empty text is a variable that was not set: it must not stand for everything.
    let scopes = order["scopes"].as_str();
    if scopes.is_some_and(|scopes| scopes.trim().is_empty()) {
        return Err(Error::new(Kind::Invalid, "--scope is empty; leave it out for all that the role may").at("scope"));
    }
    let scopes = scopes.map(policy::scopes).transpose()?;
    let grant = Grant { role, scopes, patients, ttl: credentials::ttl(order["ttl"].as_str().unwrap_or("1h"))? };
    let vault = Arc::clone(&app.vault);
    let entry = entry.clone();
    let made = app.db.write("token.issue", move |tx| {
        let made = credentials::issue(tx, &vault, &grant)?;
        let did = Did::new(201, format!("token/{}", made.id));
        entry.commit(tx, Did { patients: grant.patients.iter().map(ToString::to_string).collect(), ..did })?;
        Ok(made)
    })?;
    Ok(format!("token_id={}\ntoken={}\nexpires_at={}\n", made.id, made.secret, made.expires_at.map_or_else(|| "never".into(), instant)))
}

fn token_list(app: &App) -> Result<String> {
    let all = app.db.read("token.list", rows::list)?;
    let now = app.clock.now();
    let mut out = String::new();
    for one in all {
        let state = match (one.revoked_at, one.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            _ => "good",
        };
        let role = Role::numbered(one.role).map_or("unknown", Role::name);
        let kind = ["", "access", "refresh", "api-key"].get(one.kind as usize).copied().unwrap_or("");
        out.push_str(&format!(
            "{}\t{role}\t{kind}\t{state}\t{}\t{}\n",
            one.id,
            one.expires_at.map_or_else(|| "never".into(), instant),
            credentials::scopes(&app.vault, &one)?
        ));
    }
    Ok(out)
}

fn token_revoke(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let id = GrantId::parse(&text(order, "id").unwrap_or_default())?;
    let now = app.clock.now();
    let entry = entry.clone();
    let revoked = app.db.write("token.revoke", move |tx| {
        let revoked = rows::revoke(tx, id, now)?;
        if revoked > 0 {
            entry.commit(tx, Did::new(200, format!("token/{id}")))?;
        }
        Ok(revoked)
    })?;
    match revoked {
        0 => Err(Error::new(Kind::NotFound, "there is no such token that is good; firth token list shows them")),
        _ => Ok(format!("revoked {id}\n")),
    }
}

/// A file goes the same way as an upload: received, sealed, mapped, stored.
fn ingest(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    let provider = text(order, "provider").unwrap_or_default();
    if Provider::parse(&provider).is_none() {
        return Err(Error::new(Kind::Usage, "ingest reads SDK uploads (JSON) of the providers apple, samsung and google"));
    }
    let patient = PatientId::parse(text(order, "patient").unwrap_or_default().trim_start_matches("Patient/"))?;
    let (owner, wrapped) = app.db.read("user", |tx| owner(tx, patient))?;
    let path = text(order, "file").unwrap_or_default();
    let file = fs::File::open(&path).map_err(|e| Error::new(Kind::Usage, format!("{path} cannot be read: {e}")))?;
    let keys = app.vault.shelf(owner.shelf, &wrapped)?;
    let received = ledger::receive(&app.vault, &keys, owner, BufReader::new(file), &app.config.data_dir);
    let received = received.map_err(|e| {
        if e.kind == Kind::Syntax {
            Error::new(Kind::Usage, format!("{path} is no SDK upload; ingest reads SDK uploads (JSON): {}", e.says()))
        } else {
            e
        }
    })?;
    if received.envelope.provider.name() != provider {
        return Err(Error::new(Kind::Usage, format!("the file says provider {}, not {provider}", received.envelope.provider.name())));
    }
    let prepared = Arc::new(ledger::prepare(&app.mappings, owner, received)?);
    let vault = Arc::clone(&app.vault);
    let noted = entry.clone();
    let accepted = app.db.write("upload.accept", move |tx| {
        let accepted = ledger::accept(tx, &vault, &prepared, "file")?;
        let did = Did { patients: owner.whose.named(), ..Did::new(202, format!("upload/{}", accepted.upload)) };
        noted.commit(tx, did)?;
        Ok(accepted)
    })?;
    if accepted.waits {
        ledger::process(&app.db, &app.vault, &app.mappings, (accepted.upload, entry))?;
    }
    summary(app, accepted.upload)
}

/// The user whose Patient this is, with the key of its shelf.
fn owner(tx: &mut Tx<'_>, patient: PatientId) -> Result<(Owner, Vec<u8>)> {
    if let Some(user) = people::by_patient(tx, patient)? {
        let (wrapped, whose) = keys::owned(tx, user.shelf)?.ok_or_else(|| Error::bug("a user has no shelf"))?;
        return Ok((Owner { user: user.id, whose, shelf: user.shelf }, wrapped));
    }
    let says = match documents::directory_find(tx, Type::Patient, &patient.0)? {
        Some(_) => format!("Patient/{patient} has no user; make one with: firth user add --patient-id {patient}"),
        None => format!("there is no Patient/{patient}; firth user add makes a user with a Patient and prints its id"),
    };
    Err(Error::new(Kind::NotFound, says))
}

fn summary(app: &App, id: crate::id::UploadId) -> Result<String> {
    let upload = app.db.read("upload.read", |tx| uploads::get(tx, id))?.ok_or_else(|| Error::bug("an upload vanished"))?;
    let n = upload.counts;
    Ok(format!(
        "upload_id={id} items={} stored={} unchanged={} corrected={} refused={}\n",
        n.items, n.stored, n.unchanged, n.corrected, n.refused
    ))
}

fn replay(app: &App, entry: &Entry) -> Result<String> {
    let mut out = String::new();
    for id in app.db.read("upload.kept", uploads::kept)? {
        app.db.write("upload.reset", move |tx| uploads::reset(tx, id))?;
        match ledger::process(&app.db, &app.vault, &app.mappings, (id, entry)) {
            Ok(_) => out.push_str(&summary(app, id)?),
            Err(e) if e.kind == Kind::Gone => out.push_str(&format!("upload_id={id} {}\n", e.says())),
            Err(e) => return Err(e),
        }
    }
    Ok(out)
}
