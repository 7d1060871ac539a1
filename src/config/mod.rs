//! DOOR the environment and `firth.toml`. One table is parser, default and manual.
//!
//! An environment variable wins over the file; the file's keys are the names in lower case without
//! `FIRTH_`. Tables are the file's alone: `[role.NAME]` is read by `roles`, `[brand]` by `brand`, `[sign_in]` by
//! `sign_in`. Every fault is reported at once, an unknown `FIRTH_*` name too.

mod brand;
mod roles;
mod sign_in;

pub use brand::{BrandAddress, BrandIdentifier, BrandLogo, BrandPortal, BrandTable};
pub use roles::RoleTable;
pub use sign_in::SignIn;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::telemetry;

/// What the server is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub listen: SocketAddr,
    pub public_url: Option<String>,
    pub root_key_file: PathBuf,
    pub max_upload_bytes: usize,
    pub body_timeout_secs: u64,
    pub query_timeout: Duration,
    pub raw_retention_days: i64,
    pub mappings_dir: Option<PathBuf>,
    pub external_id_system: String,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// The network that proxies connect from; a flag of `serve`, not a setting.
    pub behind_proxy: Option<String>,
    pub references_strict: bool,
    pub max_request_bytes: usize,
    pub max_depth: usize,
    pub max_bundle_entries: usize,
    pub max_history_entries: u32,
    pub log: String,
    /// The tables `[role.NAME]`, as they are written; `access::Roles` judges them.
    pub roles: Vec<RoleTable>,
    /// The OpenID Provider at which people sign in.
    pub sign_in: Option<SignIn>,
    /// The table `[brand]`.
    pub brand: Option<BrandTable>,
}

/// One row of the table.
pub struct Setting {
    pub name: &'static str,
    /// As it would be written; empty when there is none.
    pub default: &'static str,
    pub help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

macro_rules! settings {
    ($($name:literal $default:literal $help:literal |$config:ident, $value:ident| $set:expr;)*) => {
        /// Every setting there is. `docs/settings.md` is printed from this table.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            default: $default,
            help: $help,
            set: |$config, $value| { $set; Ok(()) },
        }),*];
    };
}

settings! {
    "FIRTH_DATA_DIR" "firth-data" "Where SQLite databases, the lock and the control socket live." |c, v| c.data_dir = PathBuf::from(v);
    "FIRTH_DATABASE_URL" "" "sqlite://DIR or postgres://... (socket or loopback only); without it SQLite in the data directory." |c, v| c.database_url = Some(database_url(v)?);
    "FIRTH_LISTEN" "127.0.0.1:8080" "Address and port." |c, v| c.listen = v.parse().map_err(|_| "must be ADDRESS:PORT".to_owned())?;
    "FIRTH_PUBLIC_URL" "" "The base of every absolute link; without it http://LISTEN (https with TLS)." |c, v| c.public_url = Some(public_url(v)?);
    "FIRTH_ROOT_KEY_FILE" "$XDG_CONFIG_HOME/firth/root.key" "The root key, outside the data directory, mode 0400." |c, v| c.root_key_file = PathBuf::from(v);
    "FIRTH_MAX_UPLOAD_BYTES" "67108864" "The largest upload after decompression." |c, v| c.max_upload_bytes = number(v, 1024, 1 << 30)? as usize;
    "FIRTH_BODY_TIMEOUT_SECS" "60" "How long a client may take to send a body." |c, v| c.body_timeout_secs = number(v, 1, 3600)? as u64;
    "FIRTH_QUERY_TIMEOUT_SECS" "10" "How long a read, or the search of a conditional write, may ask the database; on PostgreSQL also each statement of a write." |c, v| c.query_timeout = Duration::from_secs(number(v, 1, 3600)? as u64);
    "FIRTH_RAW_RETENTION_DAYS" "30" "How long raw uploads are kept for replay; 0 = until they are processed." |c, v| c.raw_retention_days = number(v, 0, 36500)?;
    "FIRTH_MAPPINGS_DIR" "" "A folder of mappings that are added to the shipped ones or take their place." |c, v| c.mappings_dir = Some(PathBuf::from(v));
    "FIRTH_EXTERNAL_ID_SYSTEM" "urn:firth:external" "Identifier.system of external_user_id: the namespace of your record numbers." |c, v| c.external_id_system = v.to_owned();
    "FIRTH_REFERENCES" "strict" "strict: what a resource points to must exist; types: only its type is judged." |c, v| c.references_strict = one_of(v, ["types", "strict"])? == 1;
    "FIRTH_MAX_REQUEST_BYTES" "67108864" "The largest body of a request under /fhir, after decompression." |c, v| c.max_request_bytes = number(v, 1024, 1 << 30)? as usize;
    "FIRTH_MAX_DEPTH" "64" "How deep the JSON of a resource may nest." |c, v| c.max_depth = number(v, 8, 64)? as usize;
    "FIRTH_MAX_BUNDLE_ENTRIES" "5000" "How many entries a batch or transaction may have." |c, v| c.max_bundle_entries = number(v, 1, 100_000)? as usize;
    "FIRTH_MAX_HISTORY_ENTRIES" "1000" "How many versions a page of _history may have; a larger _count is taken as this." |c, v| c.max_history_entries = number(v, 1, 5_000)? as u32;
    "FIRTH_TLS_CERT" "" "PEM file with the certificate chain; with FIRTH_TLS_KEY the server speaks HTTPS." |c, v| c.tls_cert = Some(PathBuf::from(v));
    "FIRTH_TLS_KEY" "" "PEM file with the private key." |c, v| c.tls_key = Some(PathBuf::from(v));
    "FIRTH_LOG" "info" "The log's level: error, warn, info, debug or a tracing filter." |c, v| c.log = telemetry::filter(v)?;
}

/// Names that `demo.env` and the test harness use: never unknown settings.
const NOT_SETTINGS: &[&str] = &[
    "FIRTH_URL",
    "FIRTH_API_KEY",
    "FIRTH_APP_ID",
    "FIRTH_APP_SECRET",
    "FIRTH_EHR_TOKEN",
    "FIRTH_CLINICIAN_TOKEN",
    "FIRTH_PATIENT_TOKEN",
    "FIRTH_AUDITOR_TOKEN",
    "FIRTH_OPERATOR_TOKEN",
    "FIRTH_CLINICIAN_LOGIN",
    "FIRTH_CLINICIAN_PASSWORD",
    "FIRTH_PATIENT_LOGIN",
    "FIRTH_PATIENT_PASSWORD",
    "FIRTH_VITALS_URL",
    "FIRTH_VITALS_CLIENT_ID",
    "FIRTH_USER_IDS",
    "FIRTH_PATIENT_IDS",
    "FIRTH_LONG",
];

fn number(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let number: i64 = text.parse().map_err(|_| "must be a whole number".to_owned())?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(format!("must be from {least} to {most}")) }
}

/// The place of a word among those that are allowed.
fn one_of(text: &str, words: [&str; 2]) -> Result<usize, String> {
    words.iter().position(|word| *word == text).ok_or_else(|| format!("must be {}", words.join(" or ")))
}

fn public_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['?', '#', ' ']) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must be an http or https URL without query".into()),
    }
}

fn database_url(text: &str) -> Result<String, String> {
    if text == "sqlite://" {
        return Err("must name a directory after sqlite://".into());
    }
    if ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        Ok(text.to_owned())
    } else {
        Err("must start with sqlite:// or postgres://".into())
    }
}

impl Config {
    /// Reads variables, and a settings file by its name and its text. `Err` has a line for each fault.
    pub fn read(vars: &[(String, String)], file: Option<(&str, &str)>) -> Result<Config, Vec<String>> {
        Config::judged(vars, file, |_| Vec::new())
    }

    /// The same; what stands on a higher floor adds the faults that it finds, so that all are told at once.
    pub fn judged(
        vars: &[(String, String)],
        file: Option<(&str, &str)>,
        judge: impl Fn(&Config) -> Vec<String>,
    ) -> Result<Config, Vec<String>> {
        let var = |name: &str| vars.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let home = var("XDG_CONFIG_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.unwrap_or_else(|| Path::new(&var("HOME").unwrap_or_else(|| ".".into())).join(".config"));
        let mut config = Config::unset(&home);
        let mut faults = Vec::new();
        let mut table = file.map(|(file, text)| file_table(file, text, &mut faults)).unwrap_or_default();
        let named = file.map_or("", |(file, _)| file);
        config.roles = table.remove("role").map(|tables| roles::read(named, tables, &mut faults)).unwrap_or_default();
        config.sign_in = table.remove("sign_in").and_then(|table| sign_in::read(named, table, &mut faults));
        config.brand = table.remove("brand").and_then(|table| brand::read(named, table, &mut faults));
        let given = file_values(named, table, &mut faults);
        for setting in SETTINGS {
            let from_var = || var(setting.name).map(|value| (setting.name.to_owned(), value));
            let from_file = || given.iter().find(|one| one.setting == setting.name).map(|one| (one.named.clone(), one.value.clone()));
            let default = || Some(setting.default.to_owned()).filter(|default| !default.is_empty() && !default.starts_with('$'));
            let default = || default().map(|value| (setting.name.to_owned(), value));
            let Some((named, value)) = from_var().or_else(from_file).or_else(default) else { continue };
            if let Err(why) = (setting.set)(&mut config, &value) {
                faults.push(format!("{named} {why}; correct it (firth print settings)"));
            }
        }
        for (name, _) in vars {
            if name.starts_with("FIRTH_") && !SETTINGS.iter().any(|setting| setting.name == name) && !NOT_SETTINGS.contains(&name.as_str())
            {
                faults.push(unknown(name, str::to_owned));
            }
        }
        if config.tls_cert.is_some() != config.tls_key.is_some() {
            faults.push("FIRTH_TLS_CERT and FIRTH_TLS_KEY go together; set both or none".into());
        }
        faults.extend(judge(&config));
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Before the table of settings has filled it.
    fn unset(home: &Path) -> Config {
        Config {
            data_dir: PathBuf::new(),
            database_url: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            root_key_file: home.join("firth").join("root.key"),
            max_upload_bytes: 0,
            body_timeout_secs: 0,
            query_timeout: Duration::ZERO,
            raw_retention_days: 0,
            mappings_dir: None,
            external_id_system: String::new(),
            tls_cert: None,
            tls_key: None,
            behind_proxy: None,
            references_strict: true,
            max_request_bytes: 0,
            max_depth: 0,
            max_bundle_entries: 0,
            max_history_entries: 0,
            log: String::new(),
            roles: Vec::new(),
            sign_in: None,
            brand: None,
        }
    }
}

/// Names the setting that was probably meant, as it is `spelt` where the wrong one was read.
fn unknown(name: &str, spelt: fn(&str) -> String) -> String {
    let close = SETTINGS.iter().map(|setting| spelt(setting.name)).min_by_key(|known| distance(known, name));
    match close.filter(|known| distance(known, name) <= 4) {
        Some(known) => format!("{name} is no setting; did you mean {known}?"),
        None => format!("{name} is no setting; firth print settings lists them all"),
    }
}

/// A setting's name in a file.
fn key(name: &str) -> String {
    name.trim_start_matches("FIRTH_").to_lowercase()
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

/// A value of the settings file.
struct Given {
    setting: &'static str,
    /// The file and the key, for a fault.
    named: String,
    value: String,
}

fn file_table(file: &str, text: &str, faults: &mut Vec<String>) -> toml::Table {
    text.parse().unwrap_or_else(|e: toml::de::Error| {
        faults.push(format!("{file} is not TOML: {}; correct that line", e.to_string().lines().next().unwrap_or_default()));
        toml::Table::new()
    })
}

fn file_values(file: &str, table: toml::Table, faults: &mut Vec<String>) -> Vec<Given> {
    let mut values = Vec::new();
    for (name, value) in table {
        let named = format!("{file}: {name}");
        let Some(setting) = SETTINGS.iter().map(|setting| setting.name).find(|setting| key(setting) == name) else {
            faults.push(format!("{file}: {}", unknown(&name, key)));
            continue;
        };
        match value {
            toml::Value::String(value) => values.push(Given { setting, named, value }),
            toml::Value::Integer(number) => values.push(Given { setting, named, value: number.to_string() }),
            _ => faults.push(format!("{named} must be a text or a whole number")),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)], file: Option<&str>) -> Result<Config, Vec<String>> {
        let vars: Vec<(String, String)> = vars.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Config::read(&vars, file.map(|text| ("firth.toml", text)))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = read(&[("FIRTH_LISTEN", "127.0.0.1:1")], Some("listen = \"127.0.0.1:2\"\nraw_retention_days = 7")).unwrap();
        assert_eq!((config.listen.port(), config.raw_retention_days), (1, 7));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faults =
            read(&[("FIRTH_LISTEM", "x"), ("FIRTH_LISTEN", "nowhere"), ("FIRTH_MAX_UPLOAD_BYTES", "-1")], Some("data_dri = \"x\""))
                .unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("did you mean FIRTH_LISTEN?")));
        assert!(faults.iter().any(|fault| fault.contains("firth.toml: data_dri is no setting; did you mean data_dir?")));
    }

    #[test]
    fn names_of_the_demo_file_are_no_settings() {
        assert!(read(&[("FIRTH_EHR_TOKEN", "x"), ("FIRTH_LONG", "1")], None).is_ok());
    }
}
