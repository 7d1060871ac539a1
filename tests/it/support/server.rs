//! The real binary on a port and a database of its own. When a test drops it, it must leave in order.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::actors::App;
use super::postgres;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A folder with a root key and settings: what a `firth` needs, running or not.
pub struct Place {
    folder: TempDir,
    pub settings: Vec<(String, String)>,
}

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::Builder::new().prefix("firth-it-").tempdir().expect("a temporary folder");
        let key = format!("{}{}\n", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o400).open(folder.path().join("root.key")).expect("a key file");
        file.write_all(key.as_bytes()).expect("a key file");
        let settings = [("FIRTH_DATA_DIR", "data"), ("FIRTH_ROOT_KEY_FILE", "root.key"), ("FIRTH_LISTEN", "127.0.0.1:0")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Place { folder, settings }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The binary with these settings and no others.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firth"));
        command.args(arguments).env_clear().env("HOME", self.path()).current_dir(self.path());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a verb to its end.
    pub fn firth(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("firth runs")
    }

    /// A verb that must succeed, and what it printed.
    #[track_caller]
    pub fn tells(&self, arguments: &[&str]) -> String {
        let output = self.firth(arguments);
        assert!(output.status.success(), "firth {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

struct Running {
    process: Child,
    /// Held: a server whose standard output is gone could not print.
    #[expect(dead_code, reason = "held, not read")]
    stdout: BufReader<ChildStdout>,
}

pub struct TestServer {
    pub backend: Backend,
    pub place: Place,
    running: Mutex<Option<Running>>,
    url: Mutex<String>,
    marks: Mutex<Vec<String>>,
    app: OnceLock<App>,
    ehr: OnceLock<String>,
}

impl TestServer {
    /// None when there is no PostgreSQL to test with.
    pub fn start(backend: Backend, settings: &[(&str, &str)]) -> Option<TestServer> {
        let mut place = Place::new();
        for (name, value) in settings {
            place.set(name, value);
        }
        if backend == Backend::Postgres {
            place.set("FIRTH_DATABASE_URL", &postgres::cluster()?.database());
        }
        Some(TestServer::at(backend, place))
    }

    pub fn at(backend: Backend, place: Place) -> TestServer {
        let server = TestServer {
            backend,
            place,
            running: Mutex::default(),
            url: Mutex::default(),
            marks: Mutex::default(),
            app: OnceLock::new(),
            ehr: OnceLock::new(),
        };
        server.run();
        server
    }

    /// Starts the process, which must not run yet, and waits until it listens.
    pub fn run(&self) {
        self.run_as(self.place.command(&["serve"]));
    }

    /// The same with a command of the caller's, for example one that runs it under strace.
    pub fn run_as(&self, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("firth runs");
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let Some(url) = line.trim().strip_prefix("firth listens on ") else {
            let status = process.wait();
            panic!("firth serve did not start ({status:?}): {line}{}", self.log_end());
        };
        *lock(&self.url) = url.to_owned();
        *lock(&self.running) = Some(Running { process, stdout });
    }

    pub fn url(&self) -> String {
        lock(&self.url).clone()
    }

    /// Tells it to go with SIGTERM; None when it did not run.
    pub fn stop(&self) -> Option<ExitStatus> {
        let mut running = lock(&self.running).take()?;
        let told = Command::new("/bin/sh").args(["-c", "kill -TERM \"$0\"", &running.process.id().to_string()]).status();
        assert!(told.expect("a shell").success());
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            match running.process.try_wait().expect("a child") {
                Some(status) => return Some(status),
                None if Instant::now() > end => {
                    let _ = running.process.kill();
                    panic!("SIGTERM did not end the server within 40 s\n{}", self.log_end());
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// SIGKILL, at once.
    pub fn kill(&self) {
        if let Some(mut running) = lock(&self.running).take() {
            running.process.kill().expect("a child");
            running.process.wait().expect("a child");
        }
    }

    pub fn pid(&self) -> u32 {
        lock(&self.running).as_ref().map_or(0, |running| running.process.id())
    }

    pub fn log_path(&self) -> PathBuf {
        self.place.path().join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// This text must never stand in the log.
    pub fn plant(&self, mark: &str) {
        assert!(mark.len() >= 5, "a mark of {} letters is found by accident", mark.len());
        lock(&self.marks).push(mark.to_owned());
    }

    /// The app that uploads; made with the first call.
    pub fn app(&self) -> &App {
        self.app.get_or_init(|| App::create(self))
    }

    /// The token of a system that sees every patient; issued with the first call.
    pub(super) fn ehr_token(&self) -> &str {
        self.ehr.get_or_init(|| self.token(&["--role", "ehr-system"]).0)
    }

    /// Runs SQL on the database; with `audit` on SQLite's `audit.db`.
    pub fn sql(&self, audit: bool, sql: &str) -> Result<(), String> {
        let told = match self.backend {
            Backend::Sqlite => {
                let path = self.place.data().join(if audit { "audit.db" } else { "firth.db" });
                let mut conn = SqliteConnection::establish(&path.to_string_lossy()).expect("the database opens");
                conn.batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}"))
            }
            Backend::Postgres => {
                let url = self
                    .place
                    .settings
                    .iter()
                    .find(|(name, _)| name == "FIRTH_DATABASE_URL")
                    .map(|(_, url)| url.clone())
                    .unwrap_or_default();
                PgConnection::establish(&url).expect("the database answers").batch_execute(sql)
            }
        };
        told.map_err(|e| e.to_string())
    }

    /// Forgets the log so far: the test broke something that the server depends on.
    pub fn expects_errors(&self) {
        assert!(self.log().contains("\"level\":\"ERROR\""), "nothing was logged as an error");
        fs::write(self.log_path(), "").expect("a log");
    }

    fn check_manners(&self) {
        let log = self.log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
        assert!(errors.is_empty(), "errors in the log: {errors:#?}");
        for mark in lock(&self.marks).iter() {
            assert!(!log.contains(mark.as_str()), "the log holds {mark:?}: {:?}", log.lines().find(|line| line.contains(mark.as_str())));
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the end of the server's log\n{}\n---", self.log_end());
            self.kill();
            return;
        }
        if let Some(status) = self.stop() {
            assert_eq!(status.code(), Some(0), "SIGTERM must end in order\n{}", self.log_end());
        }
        self.check_manners();
    }
}
