//! What `firth` can be told on the command line. `serve` runs the server; the others act through its
//! control socket while it runs, and take the data directory's lock when it does not.

mod access;
mod accounts;
mod ask;
mod clients;
mod demo;
mod print;
mod serve;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app;
use crate::bench;
use crate::chance::Chance;
use crate::error::{Error, Kind, Result};
use crate::vault::RootKey;

/// A FHIR R4 server for wearable data: encrypted, audited, in one binary.
#[derive(Parser, Debug)]
#[command(name = "firth", version, about)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Where,
}

/// Flags of every verb; each is also a setting.
#[derive(Args, Clone, Debug, Default)]
pub struct Where {
    /// The settings file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the databases, the lock and the control socket live
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The root key's file
    #[arg(long, global = true, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Run the server
    Serve(Serve),
    /// Bring a PostgreSQL schema up to date (SQLite does it by itself)
    Migrate {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the root key
    Keys {
        #[command(subcommand)]
        what: Keys,
    },
    /// Apps that upload
    App {
        #[command(subcommand)]
        what: AppVerb,
    },
    /// People whose data is uploaded
    User {
        #[command(subcommand)]
        what: UserVerb,
    },
    /// Bearer tokens for the FHIR API
    Token {
        #[command(subcommand)]
        what: TokenVerb,
    },
    /// Logins: who may sign in, as whom, in which role
    Account {
        #[command(subcommand)]
        what: accounts::AccountVerb,
    },
    /// Apps and backend services that ask for tokens
    Client {
        #[command(subcommand)]
        what: clients::ClientVerb,
    },
    /// What a role may do, and whose data it is about
    Role {
        #[command(subcommand)]
        what: access::RoleVerb,
    },
    /// Emergency access that nobody has looked at yet
    Access {
        #[command(subcommand)]
        what: access::AccessVerb,
    },
    /// Read an upload from a file, or process kept uploads again
    Ingest(Ingest),
    /// Look at mappings
    Mapping {
        #[command(subcommand)]
        what: MappingVerb,
    },
    /// Print a table of this binary
    Print { table: print::Table },
    /// Measure this binary: it is started as a server and driven over HTTP
    Bench(bench::Options),
    /// The limit that `bench` holds the server against
    #[command(hide = true)]
    BenchBase(bench::Base),
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Try it: throw-away data, demo patients, tokens for everybody
    #[arg(long)]
    demo: bool,
    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve plain HTTP on an address that is not loopback
    #[arg(long)]
    insecure_plain_http: bool,
    /// Plain HTTP is fine: connections come from a proxy in this network
    #[arg(long, value_name = "CIDR")]
    behind_proxy: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Keys {
    /// Make a random root key, mode 0400; an existing one is left alone
    Init,
}

#[derive(Subcommand, Debug)]
enum AppVerb {
    /// Make an app; its secrets are printed once
    Create {
        #[arg(long)]
        name: String,
    },
}

#[derive(Subcommand, Debug)]
enum UserVerb {
    /// Make a user with a Patient
    Add {
        #[arg(long)]
        external_user_id: Option<String>,
        #[arg(long)]
        first_name: Option<String>,
        #[arg(long)]
        last_name: Option<String>,
        #[arg(long)]
        email: Option<String>,
        /// Adopt this Patient instead of making one
        #[arg(long)]
        patient_id: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
enum TokenVerb {
    /// Issue a token; it is printed once
    Issue {
        /// patient, clinician, ehr-system, auditor, security-admin or operator; those of firth.toml are for accounts and clients
        #[arg(long)]
        role: String,
        /// A Patient the token may see; may be given more than once
        #[arg(long)]
        patient: Vec<String>,
        /// SMART v2 scopes that narrow the role's, for example user/Observation.rs
        #[arg(long)]
        scope: Vec<String>,
        /// How long it is good
        #[arg(long, default_value = "1h")]
        ttl: String,
    },
    /// List tokens and keys; never their secrets
    List,
    /// Revoke a token by its id
    Revoke { id: String },
}

#[derive(Args, Debug)]
pub struct Ingest {
    /// An SDK upload body (JSON)
    #[arg(required_unless_present = "replay")]
    file: Option<PathBuf>,
    /// apple, samsung or google
    #[arg(long, required_unless_present = "replay")]
    provider: Option<String>,
    #[arg(long, required_unless_present = "replay")]
    patient: Option<String>,
    /// Process every kept raw body again
    #[arg(long, conflicts_with_all = ["file", "provider", "patient"])]
    replay: bool,
}

#[derive(Subcommand, Debug)]
enum MappingVerb {
    /// Lint mapping files
    Check {
        /// A folder of mappings; without it the shipped ones and FIRTH_MAPPINGS_DIR
        dir: Option<PathBuf>,
    },
    /// Which source types are mapped, and why the others are not
    Coverage,
    /// Show what an upload body becomes
    Run { file: PathBuf },
}

/// The exit code of a refusal (docs/errors.md); 70 for what is our fault.
pub fn exit_code(e: &Error) -> u8 {
    match e.kind {
        Kind::Usage | Kind::Unreachable | Kind::Unwritable | Kind::Locked | Kind::Schema | Kind::Setting | Kind::PortBusy => {
            e.kind.wire().status as u8
        }
        Kind::MappingInvalid => Kind::Setting.wire().status as u8,
        Kind::Busy => Kind::Unreachable.wire().status as u8,
        Kind::Bug | Kind::Sealed => 70,
        _ => 65,
    }
}

pub fn run(command: Command) -> Result<()> {
    let place = command.place;
    match command.verb {
        Verb::Serve(options) => serve::run(&place, &options),
        Verb::Keys { what: Keys::Init } => keys_init(&place),
        Verb::Migrate { dry_run } => ask::migrate(&place, dry_run),
        Verb::Print { table } => print::run(&table),
        Verb::Bench(options) => bench::run(&options),
        Verb::BenchBase(options) => bench::base(settings::read(&place)?, &options),
        Verb::Mapping { what } => ask::mapping(&place, &what),
        Verb::App { what: AppVerb::Create { name } } => ask::tell(&place, &serde_json::json!({"verb": "app create", "name": name})),
        Verb::User { what: UserVerb::Add { external_user_id, first_name, last_name, email, patient_id } } => {
            let fields = serde_json::json!({"external_user_id": external_user_id, "first_name": first_name, "last_name": last_name, "email": email, "patient_id": patient_id});
            ask::tell(&place, &serde_json::json!({"verb": "user add", "fields": fields}))
        }
        Verb::Token { what: TokenVerb::Issue { role, patient, scope, ttl } } => ask::tell(
            &place,
            &serde_json::json!({"verb": "token issue", "role": role, "patients": patient, "scopes": (!scope.is_empty()).then(|| scope.join(" ")), "ttl": ttl}),
        ),
        Verb::Token { what: TokenVerb::List } => ask::tell(&place, &serde_json::json!({"verb": "token list"})),
        Verb::Token { what: TokenVerb::Revoke { id } } => ask::tell(&place, &serde_json::json!({"verb": "token revoke", "id": id})),
        Verb::Account { what } => ask::tell(&place, &what.order()?),
        Verb::Role { what } => ask::tell(&place, &what.order()),
        Verb::Access { what } => ask::tell(&place, &what.order()),
        Verb::Client { what } => clients::run(&place, &what),
        Verb::Ingest(options) => ask::ingest(&place, &options),
    }
}

fn keys_init(place: &Where) -> Result<()> {
    let config = settings::read(place)?;
    app::key_apart(&config)?;
    RootKey::create(&config.root_key_file, Chance)?;
    println!("root key: {}", config.root_key_file.display());
    println!("Keep a copy of it apart from the database: without it nothing can be read.");
    Ok(())
}
