//! Where things stand: doors, floors, ceilings and names; and that `ingest` knows no medicine.

use std::fs;

use super::source::{Source, files, functions, literals, names, root};

// ---- doors ----

/// A foreign crate, the one place that may name it, and exceptions with their reason.
pub type Door = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

pub const DOORS: &[Door] = &[
    ("actix_web::", &["src/api"], &[]),
    ("diesel::", &["src/store"], &[]),
    ("diesel_migrations::", &["src/store"], &[]),
    ("libsqlite3_sys", &["src/store"], &[]),
    ("fhir_sdk::", &["src/fhir"], &[]),
    ("quick_xml::", &["src/fhir/validate"], &[]),
    ("aes_gcm::", &["src/vault"], &[]),
    ("aes::", &["src/vault"], &[]),
    ("argon2::", &["src/vault"], &[]),
    ("zxcvbn::", &["src/vault"], &[]),
    ("sha1::", &["src/vault"], &[]),
    ("askama::", &["src/api/pages"], &[]),
    ("openidconnect::", &["src/oidc"], &[]),
    ("chrono::", &["src/oidc"], &[]),
    ("hkdf::", &["src/vault"], &[]),
    ("hmac::", &["src/vault"], &[]),
    ("sha2::", &["src/vault"], &[]),
    ("ring::", &["src/jose"], &[("src/vault", "has a file of that name")]),
    ("rsa::", &["src/jose"], &[]),
    ("rand_chacha::", &["src/jose"], &[]),
    ("rustls::", &["src/api", "src/oidc"], &[]),
    ("socket2::", &["src/api"], &[]),
    ("governor::", &["src/api/limits.rs"], &[]),
    ("flate2::", &["src/api"], &[]),
    ("tracing_subscriber::", &["src/telemetry.rs"], &[]),
    ("metrics_exporter_prometheus::", &["src/telemetry.rs"], &[]),
    ("serde_saphyr::", &["src/mapping"], &[]),
    ("getrandom::", &["src/chance.rs"], &[]),
    ("uuid::", &["src/id.rs"], &[("src/series", "source record ids that are UUIDs are kept as 16 bytes")]),
    ("clap::", &["src/verbs"], &[("src/main.rs", "shows clap's own words on wrong usage"), ("src/bench", "its options are a verb's")]),
    ("ureq::", &["src/bench", "src/verbs/demo", "src/api/oauth/key_sets.rs", "src/oidc"], &[]),
    (
        "std::env",
        &["src/config", "src/verbs/settings.rs"],
        &[
            ("src/verbs/demo", "the throw-away folder is in the system's temporary directory"),
            ("src/bench", "starts its own binary on a throw-away folder, without the caller's settings"),
        ],
    ),
];

pub fn doors(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for (head, door, exceptions) in DOORS {
        for source in sources.iter().filter(|source| !source.within(door)) {
            if names(&source.production, head) && !exceptions.iter().any(|(place, _)| source.within(&[place])) {
                bad.push(format!("{} names {head}, whose door is {}", source.path, door.join(", ")));
            }
        }
    }
    bad
}

// ---- floors ----

/// Rooms from the bottom up; a room may name only rooms of lower floors.
const FLOORS: &[&[&str]] = &[
    &["error", "id", "clock", "chance"],
    &["vault", "telemetry", "config", "outside"],
    &["fhir", "jose"],
    &["mapping", "search", "access", "oidc", "series"],
    &["ingest", "policy"],
    &["store"],
    &["audit", "notify", "queue"],
    &["ledger"],
    &["app"],
    &["api", "jobs", "control"],
    &["bench"],
    &["verbs"],
    &["main"],
];

/// Names that stand on one floor and are used from the same one.
pub const SAME_FLOOR: &[(&str, &str, &str)] = &[
    ("id", "error", "an id that is misspelt is an error"),
    ("chance", "error", "a machine without randomness is an error"),
    ("config", "telemetry", "a log filter is judged by the room that uses it, with the other settings"),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

pub fn floors(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.path != "src/lib.rs") {
        let here = source.room();
        let Some(own) = floor(here) else {
            bad.push(format!("{} is a room without a floor; give it one in FLOORS", source.path));
            continue;
        };
        let crates = if here == "main" { "firth::" } else { "crate::" };
        for word in source.production.split(crates).skip(1) {
            let other: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A brace list at the root, or a macro of this crate.
            if other.is_empty() || word[other.len()..].starts_with('!') {
                continue;
            }
            let fine = other == here
                || floor(&other).is_some_and(|other| other < own)
                || SAME_FLOOR.iter().any(|(a, b, _)| (*a, *b) == (here, &*other));
            let said = format!("{} (floor {own}) names {other}", source.path);
            if !fine && !bad.contains(&said) {
                bad.push(said);
            }
        }
    }
    bad
}

// ---- ceilings ----

pub const FILE_LINES: usize = 400;
pub const FUNCTION_LINES: usize = 60;

/// Tables of data.
const LONG: &[(&str, &str)] = &[("src/store/schema.rs", "the columns of the migrations, one a line")];

pub fn ceilings(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| !LONG.iter().any(|(path, _)| *path == source.path)) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            bad.push(format!("{} has {lines} lines; split it by meaning", source.path));
        }
        let long = functions(&source.text).into_iter().filter(|function| function.lines > FUNCTION_LINES);
        bad.extend(long.map(|function| format!("{} fn {} has {} lines", source.path, function.name, function.lines)));
    }
    bad
}

// ---- words ----

const BAD_NAMES: &[&str] = &["utils", "util", "common", "types", "helpers", "helper", "models", "services", "misc", "managers"];

pub fn bad_names(sources: &[Source]) -> Vec<String> {
    let says_nothing = |path: &str| path.trim_end_matches(".rs").split('/').any(|part| BAD_NAMES.contains(&part));
    sources.iter().filter(|source| says_nothing(&source.path)).map(|source| format!("{}: a name that says nothing", source.path)).collect()
}

/// Production code never gives up by itself.
const PANICS: &[&str] = &[
    ".unwrap()",
    ".unwrap_err()",
    ".expect(\"",
    ".expect(&",
    ".expect_err(",
    "panic!(",
    "unreachable!(",
    "todo!(",
    "unimplemented!(",
    "assert!(",
    "assert_eq!(",
];

pub fn panics(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources {
        for line in source.production.lines() {
            let found = PANICS
                .iter()
                .find(|word| line.contains(**word) && !line.contains(&format!("debug_{word}")) && !line.contains("const _: () = "));
            bad.extend(found.map(|word| format!("{}: {word} in {}", source.path, line.trim())));
        }
    }
    bad
}

pub fn machine_paths(sources: &[Source]) -> Vec<String> {
    let here = root().parent().map(|parent| format!("{}/", parent.display())).filter(|parent| parent.len() > 5 && parent != "/tmp/");
    let paths: Vec<String> = [concat!("/", "work/"), "/root/", "/home/"].map(str::to_owned).into_iter().chain(here).collect();
    let bad = |source: &&Source| paths.iter().any(|path| source.text.contains(path.as_str()));
    sources.iter().filter(bad).map(|source| format!("{} names a path of one machine", source.path)).collect()
}

// ---- ingest knows no medicine ----

/// Codes, metric keys and units of the shipped mappings.
pub fn clinical_words() -> Vec<String> {
    let mut words = Vec::new();
    for path in files(&root().join("mappings"), "yaml") {
        for line in fs::read_to_string(path).expect("text").lines() {
            for key in ["metric: ", "loinc: ", "phr: ", "code: ", "unit: "] {
                let Some((_, rest)) = line.split_once(key) else { continue };
                let word: String = rest.trim_start_matches(['\'', '"', '{']).chars().take_while(|c| !" ,}'\"".contains(*c)).collect();
                if !word.is_empty() && word != "code:" {
                    words.push(word);
                }
            }
        }
    }
    words.sort();
    words.dedup();
    words
}

fn is_loinc(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_digit() || c == '-')).any(|word| {
        let mut parts = word.split('-');
        let (number, check, more) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
        (4..=6).contains(&number.len()) && check.len() == 1 && more.is_none()
    })
}

pub fn ingest_is_blind(sources: &[Source], words: &[String]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() == "ingest") {
        for literal in literals(&source.production) {
            if is_loinc(&literal) || words.contains(&literal) {
                bad.push(format!("{} names {literal:?}; codes, units and metrics stand in mappings/", source.path));
            }
        }
    }
    bad
}

// ---- modules ----

/// Files that no `mod` line of their folder names: they are never compiled, so nothing in them holds.
pub fn undeclared(all: &[(String, String)]) -> Vec<String> {
    let mut bad = Vec::new();
    for (path, _) in all {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (parent, module) = match name.trim_end_matches(".rs") {
            "mod" => folder.rsplit_once('/').unwrap_or(("", folder)),
            "main" | "lib" => continue,
            module => (folder, module),
        };
        let heads = [format!("{parent}/mod.rs"), format!("{parent}/main.rs"), format!("{parent}/lib.rs")];
        let said =
            |text: &str| text.lines().any(|line| line.trim_start().trim_start_matches("pub ").starts_with(&format!("mod {module};")));
        if !all.iter().any(|(path, text)| heads.contains(path) && said(text)) {
            bad.push(format!("{path} is no module; name it in the mod.rs or main.rs above it"));
        }
    }
    bad
}
