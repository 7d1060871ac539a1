//! The released binary as another process: started with default settings, watched, stopped.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;
use super::failed;
use crate::error::{Error, Kind, Result};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(40);

/// Where one run lives: keys, data directories, logs.
pub struct Home {
    pub folder: PathBuf,
    pub database: Option<String>,
    keep: bool,
}

impl Home {
    /// `folder` is kept for the next run; without one a fresh folder that goes with this value.
    pub fn open(folder: Option<&Path>, database: Option<&str>) -> Result<Home> {
        let keep = folder.is_some();
        let folder = folder.map_or_else(|| std::env::temp_dir().join(format!("firth-bench-{}", std::process::id())), Path::to_path_buf);
        fs::create_dir_all(&folder).map_err(|e| Error::new(Kind::Unwritable, format!("{} cannot be written ({e})", folder.display())))?;
        let folder = folder.canonicalize().map_err(|e| failed("the folder", e))?;
        let home = Home { folder, database: database.map(str::to_owned), keep };
        if !home.root_key().exists() {
            home.verb(&["keys", "init"])?;
        }
        if home.database.is_some() {
            home.verb(&["migrate"])?;
        }
        Ok(home)
    }

    fn root_key(&self) -> PathBuf {
        self.folder.join("root.key")
    }

    /// The data directory of the server (`data`) or of the base (`base`).
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// This binary, without any setting of the caller's environment or of a `firth.toml`.
    fn command(&self, data: &str) -> Result<Command> {
        let exe = std::env::current_exe().map_err(|e| failed("this binary", e))?;
        let mut command = Command::new(exe);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FIRTH_")) {
            command.env_remove(name);
        }
        if let Some(url) = &self.database {
            command.env("FIRTH_DATABASE_URL", url);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.arg("--data-dir").arg(self.data(data)).arg("--root-key").arg(self.root_key());
        Ok(command)
    }

    /// Runs a verb on the server's data directory and answers its `name=value` lines.
    pub fn verb(&self, words: &[&str]) -> Result<Vec<(String, String)>> {
        self.verb_on("data", words)
    }

    /// The same on one that is named.
    pub fn verb_on(&self, data: &str, words: &[&str]) -> Result<Vec<(String, String)>> {
        let out = self.command(data)?.args(words).output().map_err(|e| failed("this binary", e))?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
            return Err(Error::new(Kind::Busy, format!("firth {} failed: {said}", words.join(" "))));
        }
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub fn serve(&self) -> Result<Server> {
        self.start("data", &["serve"])
    }

    /// The same framework that answers `size` bytes after the same audit commit.
    pub fn base(&self, size: usize) -> Result<Server> {
        self.start("base", &["bench-base", "--size", &size.to_string()])
    }

    /// The same that also checks the token, and commits writes as the server does.
    pub fn base_of_documents(&self, size: usize) -> Result<Server> {
        self.start("base", &["bench-base", "--documents", "--size", &size.to_string()])
    }

    fn start(&self, data: &str, words: &[&str]) -> Result<Server> {
        // The port is free a moment before the server takes it; nobody else asks for it in between.
        let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|port| port.local_addr()).map_err(|e| failed("loopback", e))?;
        let log_path = self.folder.join(format!("{data}.log"));
        let log = File::create(&log_path).map_err(|e| failed(&log_path.display().to_string(), e))?;
        let mut command = self.command(data)?;
        command.args(words).arg("--listen").arg(address.to_string()).stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let child = command.spawn().map_err(|e| failed("this binary", e))?;
        let mut server = Server { child, address, ready_after: Duration::ZERO };
        server.ready(began, &log_path)?;
        Ok(server)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep {
            // What is left in the temporary folder harms nobody.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A running server; stopped when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub ready_after: Duration,
}

impl Server {
    fn ready(&mut self, began: Instant, log: &Path) -> Result<()> {
        while began.elapsed() < START {
            let answered =
                Client::connect(self.address).is_ok_and(|mut client| client.get("/readyz", "none").is_ok_and(|a| a.status == 200));
            if answered {
                self.ready_after = began.elapsed();
                return Ok(());
            }
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        Err(Error::new(Kind::Busy, format!("the server did not start: {}", said.lines().last().unwrap_or("it said nothing"))))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order, as an operator would; without effect on one that has ended.
    pub fn stop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        let began = Instant::now();
        while told && began.elapsed() < STOP {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It did not leave in order, or there is no `kill` here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
