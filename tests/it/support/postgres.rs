//! One throw-away PostgreSQL cluster for this test process, on a Unix socket in a temporary folder.
//!
//! A watchdog (a shell that waits for the end of its standard input, which only this process holds) stops
//! the cluster and removes the folder however this process ends.

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

pub struct Cluster {
    bin: PathBuf,
    user: Option<(u32, u32)>,
    /// Holds the socket, the data and the log.
    pub folder: PathBuf,
    next: AtomicU32,
    #[expect(dead_code, reason = "its standard input is held open, not read")]
    watchdog: Child,
}

/// The cluster, started with the first test that asks; None when there are no server binaries.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let Some(bin) = binaries() else {
            println!("PostgreSQL: skipped, no server binaries");
            return None;
        };
        Some(start(&bin, ""))
    });
    assert!(
        cluster.is_some() || env::var("CI").as_deref() != Ok("true"),
        "PostgreSQL: skipped, no server binaries; in CI they must be there"
    );
    cluster.as_ref()
}

/// A cluster for one test, with settings of its own; it ends when it is dropped.
pub fn own(settings: &str) -> Option<Cluster> {
    cluster()?;
    Some(start(&binaries()?, settings))
}

/// The folder with `initdb` and `postgres`: from PATH, else where Debian keeps the newest version.
fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    folders.into_iter().find(|folder| ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).exists()))
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`, or whoever is nobody here.
fn other_user() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().find(|line| line.starts_with("Uid:")).is_some_and(|line| line.split_whitespace().nth(2) == Some("0"));
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??))
    };
    if root { Some(user("postgres").or_else(|| user("nobody")).expect("a user other than root")) } else { None }
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn start(bin: &Path, more: &str) -> Cluster {
    let folder = tempfile::Builder::new().prefix("firth-pg-").tempdir().expect("a temporary folder").keep();
    let user = other_user();
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid)).expect("root may give its folder away");
    }
    let watchdog = watch(bin, &folder, user);
    let data = folder.join("data");
    let initdb = command(&bin.join("initdb"), user)
        .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&data)
        .current_dir(&folder)
        .output()
        .expect("initdb runs");
    assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    let settings = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = on\nsynchronous_commit = on\nmax_connections = 300\nshared_buffers = 64MB\n{more}\n",
        folder.display()
    );
    fs::OpenOptions::new()
        .append(true)
        .open(data.join("postgresql.conf"))
        .and_then(|mut file| file.write_all(settings.as_bytes()))
        .expect("settings");
    let cluster = Cluster { bin: bin.to_path_buf(), user, folder, next: AtomicU32::new(1), watchdog };
    cluster.go_on();
    cluster.template();
    cluster
}

/// Its own process group and deaf ears: a Ctrl-C for the tests must not stop the clean-up.
fn watch(bin: &Path, folder: &Path, user: Option<(u32, u32)>) -> Child {
    let script = r#"trap "" INT TERM HUP; cat >/dev/null; "$0" stop -m immediate -D "$1/data" >/dev/null 2>&1; rm -rf "$1""#;
    let mut shell = command(Path::new("/bin/sh"), user);
    shell.args(["-c", script]).arg(bin.join("pg_ctl")).arg(folder).current_dir("/").process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}

impl Cluster {
    /// Starts it, for the first time or again.
    pub fn go_on(&self) {
        self.pg_ctl(&["start", "-w", "-l", &self.folder.join("log").to_string_lossy()]);
    }

    /// Ends it as a crash would: connections break.
    pub fn stop(&self) {
        self.pg_ctl(&["stop", "-w", "-m", "immediate"]);
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        let mut pg_ctl = command(&self.bin.join("pg_ctl"), self.user);
        pg_ctl.args(arguments).arg("-D").arg(self.folder.join("data")).current_dir(&self.folder).stdout(Stdio::null());
        let ended = pg_ctl.status().expect("pg_ctl runs");
        assert!(ended.success(), "{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@/{database}?host={}", self.folder.display())
    }

    /// A database of the schema of `firth migrate`, which every test copies.
    fn template(&self) {
        self.admin("CREATE DATABASE firth_template");
        let migrate = Command::new(env!("CARGO_BIN_EXE_firth"))
            .arg("migrate")
            .env_clear()
            .env("HOME", &self.folder)
            .env("FIRTH_DATABASE_URL", self.url("firth_template"))
            .current_dir(&self.folder)
            .output()
            .expect("firth runs");
        assert!(migrate.status.success(), "firth migrate: {}", String::from_utf8_lossy(&migrate.stderr));
    }

    fn admin(&self, sql: &str) {
        let mut conn = PgConnection::establish(&self.url("postgres")).expect("the cluster answers");
        conn.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// A fresh database with the schema.
    pub fn database(&self) -> String {
        let name = self.empty_name();
        self.admin(&format!("CREATE DATABASE {name} TEMPLATE firth_template"));
        self.url(&name)
    }

    /// A fresh database without the schema.
    pub fn empty_database(&self) -> String {
        let name = self.empty_name();
        self.admin(&format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    fn empty_name(&self) -> String {
        format!("firth_{}", self.next.fetch_add(1, Ordering::SeqCst))
    }
}
