//! `firth bench`: this binary, started with default settings, is driven over HTTP from this process.
//!
//! The bar of a read is a ratio: the same framework that answers a static body of the same size after
//! the same durable audit commit (`api::listen_base`) is measured in turns with the server, in one run.

mod bodies;
mod client;
mod crowd;
mod dice;
mod documents;
mod load;
mod machine;
mod reads;
mod report;
mod resources;
mod server;
mod tokens;
mod upload;
mod uploads;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::api;
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::fhir::stamp::Stamp;
use crate::vault::Sealing;
use client::Client;
use crowd::Crowd;
use report::{Bar, Report};
use server::{Home, Server};

/// Bodies of each patient when reads are measured.
const BLOCKS: usize = 8;
const PATIENTS: usize = 1_000;
const CLIENTS: usize = 32;
const UPLOADERS: usize = 8;
/// Clients of documents, and how many resources are there before they begin.
const WRITERS: usize = 30;
const RESOURCES: usize = 200_000;
/// Shorter runs say little.
const SECONDS: u64 = 10;
/// A median below this is no disk.
const NO_DISK_US: f64 = 10.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Heart-rate bodies of 2,000 records, counted when they are searchable
    Upload,
    /// Observation?patient&code&date, a window of one hour, 100 a page
    Search,
    /// One Observation by its id
    Read,
    /// Create, read, update and delete resources of nine types
    Documents,
    /// Who shows a signed token: the first time, and when it is remembered
    Token,
}

#[derive(Args, Debug)]
pub struct Options {
    what: What,
    /// How long the server is measured
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Patients; fewer than 1,000 are not comparable
    #[arg(long, default_value_t = PATIENTS, value_parser = patients)]
    patients: usize,
    /// Resources that are there before documents are measured; fewer than 200,000 are not comparable
    #[arg(long, default_value_t = RESOURCES, value_parser = resources)]
    resources: usize,
    /// Connections; without it 32 that read, 8 that upload or 30 that write documents
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: Option<u16>,
    /// An empty PostgreSQL database instead of SQLite
    #[arg(long, value_name = "postgres://...")]
    database: Option<String>,
    /// Keep data and keys here, and use what an earlier run left here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `bench` itself starts as the limit of the server.
#[derive(Args, Debug)]
pub struct Base {
    /// Bytes of the static body
    #[arg(long)]
    size: usize,
    #[arg(long)]
    documents: bool,
    #[arg(long)]
    listen: SocketAddr,
}

fn patients(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(|| "must be from 1 to 100000".to_owned())
}

fn resources(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1_000..=10_000_000).contains(n)).ok_or_else(|| "must be from 1000 to 10000000".to_owned())
}

impl What {
    fn clients(self) -> usize {
        match self {
            What::Upload => UPLOADERS,
            What::Search | What::Read => CLIENTS,
            What::Documents => WRITERS,
            What::Token => 1,
        }
    }
}

impl Options {
    fn clients(&self) -> usize {
        self.clients.map_or(self.what.clients(), usize::from)
    }

    /// Users with samples.
    fn users(&self) -> usize {
        if self.what == What::Documents { 0 } else { self.patients }
    }

    fn lasting(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// One run: its folder, its running server, its people, and what it will print.
struct Run<'a> {
    options: &'a Options,
    /// Before `home`: it is stopped before its folder goes.
    server: Server,
    home: Home,
    crowd: Crowd,
    report: Report,
}

pub fn run(options: &Options) -> Result<()> {
    let home = Home::open(options.dir.as_deref(), options.database.as_deref())?;
    let mut report = Report::new(title(options));
    weakened(options, &mut report);
    let sync = machine::fdatasync_us(&home.folder)?;
    if sync < NO_DISK_US {
        report.weakened(format!("{} is in memory or does not sync; name a folder on a disk with --dir", home.folder.display()));
    }
    report.figure(("fdatasync, median", "us"), Some(sync), Bar::None);
    if options.what == What::Token {
        tokens::measure(&home, &mut report)?;
        return printed(options, &report);
    }
    let server = home.serve()?;
    report.figure(("start to ready", "ms"), Some(server.ready_after.as_secs_f64() * 1e3), Bar::Below(1_000.0));
    std::thread::sleep(Duration::from_secs(2));
    report.figure(("idle memory", "MB"), machine::resident_mb(server.pid()), Bar::Below(100.0));
    let crowd = Crowd::gather(&home, &mut Client::connect(server.address)?, options.users())?;
    let mut run = Run { options, home, server, crowd, report };
    match options.what {
        What::Upload => upload::measure(&mut run)?,
        What::Search => reads::search(&mut run)?,
        What::Read => reads::read(&mut run)?,
        What::Documents => documents::measure(&mut run)?,
        What::Token => {}
    }
    if options.database.is_some() {
        // Its processes belong to somebody else, and other databases may be busy beside this one.
        run.report.figure(("CPU of PostgreSQL", ""), None, Bar::None);
    }
    run.report.figure(("fdatasync, median, at the end", "us"), Some(machine::fdatasync_us(&run.home.folder)?), Bar::None);
    printed(options, &run.report)
}

fn printed(options: &Options, report: &Report) -> Result<()> {
    if options.json {
        println!("{}", report.json())
    } else {
        print!("{}", report.text())
    }
    Ok(())
}

/// The limit of reads, until it is told to stop.
pub fn base(config: Config, options: &Base) -> Result<()> {
    let config = Config { listen: options.listen, ..config };
    let _lock = app::lock(&config.data_dir)?;
    let app = Arc::new(App::build(config, Clock::system(), Sealing::Aes256Gcm)?);
    let base = api::Base { size: options.size, documents: options.documents };
    api::block_on(async move { api::until_told(api::listen_base(app, base)?).await })
}

fn title(options: &Options) -> String {
    let now = Stamp { ms: Clock::system().now(), sub_ms_nanos: 0, digits: 0, offset: None };
    let database = if options.database.is_some() { "PostgreSQL" } else { "SQLite" };
    let what = match options.what {
        What::Upload => format!("upload, bodies of {} heart-rate records", bodies::RECORDS),
        What::Search => format!("search, {BLOCKS} blocks of {} samples a patient", bodies::RECORDS),
        What::Read => format!("read by id, {BLOCKS} blocks of {} samples a patient", bodies::RECORDS),
        What::Documents => "documents, create, read, update and delete of nine types".to_owned(),
        What::Token => return format!("firth bench token\n{database}; {}; {now}", machine::name()),
    };
    let (clients, seconds) = (options.clients(), options.seconds);
    let there = match options.what {
        What::Documents => format!("{} resources", options.resources),
        _ => format!("{} patients", options.patients),
    };
    format!("firth bench {what}\n{database}, {there}, {clients} clients, {seconds} s; {}; {now}", machine::name())
}

fn weakened(options: &Options, report: &mut Report) {
    if cfg!(debug_assertions) {
        report.weakened("this is a debug build");
    }
    match options.what {
        What::Documents if options.resources < RESOURCES => {
            report.weakened(format!("{} resources instead of {RESOURCES}", options.resources));
        }
        What::Upload | What::Search | What::Read if options.patients < PATIENTS => {
            report.weakened(format!("{} patients instead of {PATIENTS}", options.patients));
        }
        _ => {}
    }
    if options.what != What::Upload && options.clients() != options.what.clients() {
        report.weakened(format!("{} clients instead of {}", options.clients(), options.what.clients()));
    }
    if options.what != What::Token && options.seconds < SECONDS {
        report.weakened(format!("{} seconds instead of {SECONDS} or more", options.seconds));
    }
}

/// What could not be used, and why.
fn failed(what: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Busy, format!("{what} cannot be used: {why}"))
}
