//! The house: doors, floors, ceilings and words, checked on the text of `src`.
//!
//! Each rule is a function from sources to faults, so that `every_rule_sees_a_violation` can show it red.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`: its path from the repository's root, its whole text, and the text without tests.
#[derive(Clone)]
struct Source {
    path: String,
    text: String,
    production: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), production: production(text) }
    }

    /// The room it is in: the first name below `src`.
    fn room(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
    }

    fn within(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry, ending));
        } else if entry.extension().is_some_and(|extension| extension == ending) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// Every file of `src`. A module that is declared under `#[cfg(test)]` has no production text.
fn sources() -> Vec<Source> {
    let mut all: Vec<Source> = files(&root().join("src"), "rs")
        .into_iter()
        .map(|path| Source::new(&path.strip_prefix(root()).expect("below").to_string_lossy(), &fs::read_to_string(&path).expect("text")))
        .collect();
    let mut tests_only = Vec::new();
    for source in &all {
        for (line, next) in source.text.lines().zip(source.text.lines().skip(1)) {
            if let (true, Some(name)) =
                (line.trim() == "#[cfg(test)]", next.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')))
            {
                let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                tests_only.push(format!("{folder}/{name}.rs"));
            }
        }
    }
    for source in all.iter_mut().filter(|source| tests_only.contains(&source.path)) {
        source.production.clear();
    }
    all
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Without items under `#[cfg(test)]`, and without comments. An item ends at the closing brace of its own
/// indentation, as rustfmt writes it.
fn production(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let depth = indent(line);
            let mut head = lines.next();
            while head.is_some_and(|line| line.trim().starts_with("#[")) {
                head = lines.next();
            }
            if head.is_some_and(|line| line.ends_with(['{', '(', '['])) {
                let ends = |line: &str| indent(line) == depth && line.trim_start().starts_with(['}', ')', ']']);
                let _ = lines.by_ref().find(|line| ends(line));
            }
        } else if !line.trim_start().starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

struct Function<'t> {
    name: &'t str,
    lines: usize,
    text: String,
}

impl Function<'_> {
    fn signature(&self) -> &str {
        let body = self.text.find(" {\n").unwrap_or(self.text.len());
        &self.text[..body]
    }
}

/// Functions with a body, as rustfmt writes them.
fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let start = [
            "fn ",
            "pub fn ",
            "pub const fn ",
            "const fn ",
            "async fn ",
            "pub async fn ",
            "pub(super) fn ",
            "pub(in crate::store) fn ",
            "pub(crate) fn ",
        ];
        let Some(after) = start.iter().find_map(|start| words.strip_prefix(start)) else { continue };
        let name = after.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or("");
        let close = format!("{}}}", " ".repeat(indent(line)));
        let end = if line.ends_with('}') || line.ends_with(';') { Some(n) } else { (n + 1..lines.len()).find(|end| lines[*end] == close) };
        let Some(end) = end.filter(|_| !line.ends_with(';')) else { continue };
        found.push(Function { name, lines: end - n + 1, text: lines[n..=end].join("\n") + "\n" });
    }
    found
}

/// The contents of string literals; good enough for text that rustfmt wrote.
fn literals(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find(['"', '\'']) {
        let after = &rest[open + 1..];
        if rest[open..].starts_with('\'') {
            // '"' and '\'' are characters; a lifetime is not.
            let skip = if after.starts_with('\\') { 3 } else { after.chars().next().map_or(0, char::len_utf8) + 1 };
            rest = if after.get(skip - 1..skip) == Some("'") { &after[skip..] } else { after };
            continue;
        }
        let mut end = None;
        let mut escaped = false;
        for (at, c) in after.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    end = Some(at);
                    break;
                }
                _ => escaped = false,
            }
        }
        let Some(end) = end else { break };
        found.push(after[..end].to_owned());
        rest = &after[end + 1..];
    }
    found
}

/// Does the text name this path's head (`diesel::`) as a word of its own?
fn names(text: &str, head: &str) -> bool {
    text.match_indices(head).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

// ---- doors ----

/// A foreign crate, the one place that may name it, and exceptions with their reason.
type Door = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

const DOORS: &[Door] = &[
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

fn doors(sources: &[Source]) -> Vec<String> {
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
const SAME_FLOOR: &[(&str, &str, &str)] = &[
    ("id", "error", "an id that is misspelt is an error"),
    ("chance", "error", "a machine without randomness is an error"),
    ("config", "telemetry", "a log filter is judged by the room that uses it, with the other settings"),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn floors(sources: &[Source]) -> Vec<String> {
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

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;

/// Tables of data.
const LONG: &[(&str, &str)] = &[("src/store/schema.rs", "the columns of the migrations, one a line")];

fn ceilings(sources: &[Source]) -> Vec<String> {
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

fn bad_names(sources: &[Source]) -> Vec<String> {
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

fn panics(sources: &[Source]) -> Vec<String> {
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

fn machine_paths(sources: &[Source]) -> Vec<String> {
    let here = root().parent().map(|parent| format!("{}/", parent.display())).filter(|parent| parent.len() > 5 && parent != "/tmp/");
    let paths: Vec<String> = [concat!("/", "work/"), "/root/", "/home/"].map(str::to_owned).into_iter().chain(here).collect();
    let bad = |source: &&Source| paths.iter().any(|path| source.text.contains(path.as_str()));
    sources.iter().filter(bad).map(|source| format!("{} names a path of one machine", source.path)).collect()
}

// ---- ingest knows no medicine ----

/// Codes, metric keys and units of the shipped mappings.
fn clinical_words() -> Vec<String> {
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

fn ingest_is_blind(sources: &[Source], words: &[String]) -> Vec<String> {
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

// ---- nobody searches without the access predicate ----

/// Tables with rows of patients.
const OF_PATIENTS: &[&str] =
    &["directory", "document", "doc_key", "doc_term", "doc_date", "series", "template", "feed", "block", "sample_override"];

/// What in a signature bounds the rows: the access predicate itself, or one shelf that the caller was let to.
const BOUNDS: &[&str] = &["Visible", "Look<", "Ask<", "Scope", "Shelf", "&Key", "Address", "ShelfKeys"];

/// Readers that have neither, and why they may.
const UNBOUND: &[(&str, &str, &str)] = &[
    ("src/store/documents.rs", "directory_find", "an id to its shelf; `store::resources` asks `Visible` before it opens anything"),
    ("src/store/documents.rs", "live_shelf", "the same of a live document"),
    ("src/store/documents.rs", "live_shelves", "the same of several"),
    ("src/store/documents.rs", "directory_all", "the same, with the shelves where it was"),
    ("src/store/documents.rs", "directory_hold", "locks a row of the directory and reads nothing of it"),
    ("src/store/blocks.rs", "feed_newest", "the stamp of the newest commit and nothing else"),
    ("src/store/documents.rs", "indexed", "every document's key, for `ledger::reindex` before anybody is served"),
    ("src/store/document_search.rs", "count_terms", "how many have a term, to choose where to begin; asked only for who sees all"),
    ("src/store/waiting.rs", "count", "how many documents wait for their terms to be written"),
    ("src/store/waiting.rs", "any", "whether one does"),
    ("src/store/waiting.rs", "written", "numbers and terms, from one column into the table"),
    ("src/store/waiting.rs", "of", "numbers and terms; `document_search` takes numbers from it as it does from the table of terms"),
    ("src/store/waiting.rs", "pointing", "terms to keys, the same as `each_referrer` and for it"),
    ("src/store/consents.rs", "restricting", "keys of Consents that withhold, to take away from what is visible; nothing of them is shown"),
    ("src/store/documents.rs", "each_referrer", "terms to keys; who is given one asks `Visible` before it is named"),
];

/// `FROM table alias` and `JOIN table alias` of a literal.
fn aliases(literal: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = literal.split_whitespace().collect();
    let mut found = Vec::new();
    for at in 0..words.len().saturating_sub(1) {
        if words[at] == "FROM" || words[at] == "JOIN" {
            let alias = words.get(at + 2).filter(|alias| !["WHERE", "ON", "ORDER", "SET"].contains(alias)).unwrap_or(&words[at + 1]);
            found.push((words[at + 1].to_owned(), (*alias).to_owned()));
        }
    }
    found
}

/// Raw SQL: each alias of a patients' table carries the predicate (`sql.visible("k", ..)`) or is tied to an alias that
/// does: by its shelf, or by the number of the document, which is one of one shelf.
fn raw_sql(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() == "store") {
        let carries = |alias: &str| source.production.contains(&format!(".visible(\"{alias}\""));
        for literal in literals(&source.production) {
            for (table, alias) in aliases(&literal) {
                let ties = |other: &str| {
                    ["shelf", "doc"].into_iter().any(|column| {
                        literal.contains(&format!("{alias}.{column} = {other}.{column}"))
                            || literal.contains(&format!("{other}.{column} IN (SELECT {alias}.{column} FROM {table} {alias} "))
                    })
                };
                let tied = |other: &str| carries(other) && ties(other);
                let tied = ('a'..='z').any(|other| tied(&other.to_string()));
                if OF_PATIENTS.contains(&table.as_str()) && !carries(&alias) && !tied {
                    bad.push(format!("{}: alias {alias} of {table} has no access predicate", source.path));
                }
            }
        }
    }
    bad
}

/// Diesel queries: who reads a patients' table is bounded by the signature, or is a method of what holds a scope.
fn diesel_reads(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() == "store" && !source.path.ends_with("schema.rs")) {
        for function in functions(&source.production) {
            let reads = OF_PATIENTS.iter().find(|table| {
                let named = format!("{table}::table");
                function.text.match_indices(&named).any(|(at, _)| {
                    let before = function.text[..at].trim_end();
                    let foreign = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    let writes = ["insert_into(", "delete(", "update("].iter().any(|word| before.ends_with(word));
                    !foreign && !writes
                })
            });
            let Some(table) = reads else { continue };
            let signature = function.signature();
            let bounded = BOUNDS.iter().any(|bound| signature.contains(bound))
                || (signature.contains("self") && function.text.contains("self.scope."));
            let excepted = UNBOUND.iter().any(|(path, name, _)| (*path, *name) == (source.path.as_str(), function.name));
            if !bounded && !excepted {
                bad.push(format!("{} fn {} reads {table} of any patient", source.path, function.name));
            }
        }
    }
    bad
}

// ---- nothing is shown that was not judged ----

/// Eyes that see without an interaction: whether something is there may be asked with them, and nothing of it is shown.
const EYES: [&str; 3] = ["Visible::everything(", "Visible::of_patient(", ".ruled("];

/// Who looks with them, and why.
const OWN_EYES: &[(&str, &str, &str)] = &[
    ("src/ledger/resources.rs", "of_context", "on which shelf a Binary belongs"),
    ("src/ledger/resources.rs", "taken", "whether an id is free, where only a consent hides"),
    ("src/ledger/merge.rs", "was", "what stood before a merge comes back as what is written, and is judged as that"),
    ("src/ledger/users.rs", "free", "whether an external id is taken"),
    ("src/ledger/panels.rs", "found", "what says whose data a user may see at all; nothing of it is shown"),
    ("src/ledger/devices.rs", "find_or_make", "the Device of an upload, for the upload alone"),
    ("src/ledger/idempotency.rs", "again", "which version was answered before; its text goes through `readable`"),
];

fn own_eyes(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() != "policy") {
        let (mut within, all) = (0, EYES.iter().map(|eyes| source.production.matches(eyes).count()).sum::<usize>());
        for function in functions(&source.production) {
            let seen: usize = EYES.iter().map(|eyes| function.text.matches(eyes).count()).sum();
            within += seen;
            let excepted = OWN_EYES.iter().any(|(path, name, _)| (*path, *name) == (source.path.as_str(), function.name));
            if seen > 0 && !excepted {
                bad.push(format!("{} fn {} sees with the server's own eyes", source.path, function.name));
            }
        }
        if all > within {
            bad.push(format!("{} sees with the server's own eyes outside of a function", source.path));
        }
    }
    bad
}

/// What makes the text of a stored resource: opening a document, filling a template.
const OPENERS: [&str; 6] =
    ["body_place(", ".render_to(", "rendering.write(", "documents::current(", " current(tx, vault,", " current(tx, self."];

/// What judges it: each asks a `Visible`, and answers with a `Seen` or nothing.
const JUDGES: [&str; 4] = [" judged(", ".chosen(", ".at_once(", " of_text("];

/// Who opens without judging, and why.
const OPENED: &[(&str, &str, &str)] = &[
    ("src/store/documents.rs", "body_place", "the place, not the text"),
    ("src/store/resources.rs", "text", "for `opened` and `judged`, which judge"),
    ("src/store/observations/rows.rs", "render", "a row that `answers` has let through: its Seen goes with it"),
    ("src/store/observations/rows.rs", "write", "the rendering itself, for `render` and `row_told`"),
    ("src/ledger/documents.rs", "sealed", "closes a body"),
    ("src/ledger/documents.rs", "current", "for those below"),
    ("src/ledger/consents.rs", "read", "what a Consent says, to withhold by it; nothing of it is shown"),
    ("src/ledger/reindex.rs", "again", "makes search rows anew before anybody is served"),
    ("src/ledger/consents.rs", "read", "a Consent, to withhold by it; nothing of it is shown"),
    ("src/ledger/users.rs", "amend", "the Patient of a user, for the upload API, which knows users and no scopes"),
    ("src/ledger/users.rs", "read", "the same"),
    ("src/ledger/samples/overridden.rs", "document", "what stands before a sample, compared with an upload"),
];

fn opened_and_judged(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| ["store", "ledger", "audit", "api", "control", "jobs"].contains(&source.room())) {
        for function in functions(&source.production) {
            let Some(opener) = OPENERS.iter().find(|opener| function.text.contains(**opener)) else { continue };
            let excepted = OPENED.iter().any(|(path, name, _)| (*path, *name) == (source.path.as_str(), function.name));
            if !excepted && !JUDGES.iter().any(|judge| function.text.contains(judge)) {
                bad.push(format!("{} fn {} opens a resource ({opener}) and does not judge it", source.path, function.name));
            }
        }
    }
    bad
}

/// What an answer is made of carries the proof that it was judged; only `policy` makes one.
const PROVEN: &[(&str, &str)] = &[
    ("src/store/resources.rs", "pub struct Version {"),
    ("src/store/listing.rs", "pub struct Item {"),
    ("src/store/listing.rs", "pub fn rendered("),
    ("src/audit/events.rs", "pub struct Single {"),
];

fn proofs(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for (path, head) in PROVEN {
        for source in sources.iter().filter(|source| source.path == *path) {
            let at = source.production.find(head).map(|at| &source.production[at..]);
            let proven = at.is_some_and(|text| text[..text.find("}").unwrap_or(text.len())].contains("Seen"));
            bad.extend((!proven).then(|| format!("{path}: {head} is had without a proof that it was judged")));
        }
    }
    for source in sources.iter().filter(|source| source.path != "src/policy/visible.rs" && source.production.contains("Seen(")) {
        bad.push(format!("{} makes a proof of its own", source.path));
    }
    for source in sources.iter().filter(|source| source.production.contains("struct Seen(pub")) {
        bad.push(format!("{}: anybody could make a proof", source.path));
    }
    bad
}

/// Whether scopes allow something is asked of `policy` alone: who asks the scopes themselves forgets their constraints.
fn scopes_are_asked_by_policy(sources: &[Source]) -> Vec<String> {
    let asks = [".allow(", ".constraints(", ".permitting("];
    let others = sources.iter().filter(|source| !["access", "policy"].contains(&source.room()));
    let asking = others.filter(|source| asks.iter().any(|word| source.production.contains(word)));
    asking.map(|source| format!("{} asks scopes what they allow; ask policy::Policy", source.path)).collect()
}

/// Readers of one shelf, which judge nothing: they are not for `api`.
const UNJUDGED: &[&str] = &["documents::version(", "documents::current(", "observations::read(", "blocks::hot(", "blocks::covering("];

fn api_reads_what_was_judged(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.within(&["src/api"])) {
        let found = UNJUDGED.iter().find(|reader| source.production.contains(**reader));
        bad.extend(found.map(|reader| format!("{} calls {reader} which shows what nobody has judged", source.path)));
    }
    bad
}

#[track_caller]
fn none(bad: Vec<String>) {
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn foreign_crates_come_in_by_their_door() {
    none(doors(&sources()));
}

#[test]
fn stairs_go_down_only() {
    none(floors(&sources()));
}

#[test]
fn files_and_functions_are_short() {
    none(ceilings(&sources()));
    let clippy = fs::read_to_string(root().join(".clippy.toml")).expect("text");
    assert!(clippy.contains("too-many-arguments-threshold = 5") && clippy.contains("too-many-lines-threshold = 60"));
}

#[test]
fn names_say_something() {
    none(bad_names(&sources()));
}

#[test]
fn production_code_does_not_panic() {
    none(panics(&sources()));
}

#[test]
fn no_path_of_a_machine() {
    none(machine_paths(&sources()));
}

#[test]
fn ingest_names_no_code_unit_or_metric() {
    let words = clinical_words();
    assert!(
        ["heart-rate", "8867-4", "mm[Hg]", "bpm:", "kg"].iter().filter(|word| words.iter().any(|known| known == *word)).count() >= 4,
        "{words:?}"
    );
    none(ingest_is_blind(&sources(), &words));
}

#[test]
fn nothing_in_store_is_searched_without_the_access_predicate() {
    let sources = sources();
    none(raw_sql(&sources));
    none(diesel_reads(&sources));
    assert!(
        sources.iter().any(|source| source.room() == "store" && source.production.contains(".visible(\"k\"")),
        "the rule has nothing to see"
    );
}

#[test]
fn nothing_is_shown_that_the_policy_has_not_judged() {
    let sources = sources();
    none(own_eyes(&sources));
    none(opened_and_judged(&sources));
    none(proofs(&sources));
    none(scopes_are_asked_by_policy(&sources));
    none(api_reads_what_was_judged(&sources));
    for (path, head) in PROVEN {
        assert!(sources.iter().any(|source| source.path == *path && source.production.contains(head)), "{path} has no {head}");
    }
}

#[test]
fn every_exception_is_still_needed() {
    let sources = sources();
    for (path, name, _) in OWN_EYES.iter().chain(OPENED) {
        let source = sources.iter().find(|source| source.path == *path).unwrap_or_else(|| panic!("{path} is gone"));
        let needed =
            |function: &Function<'_>| function.name == *name && EYES.iter().chain(&OPENERS).any(|word| function.text.contains(word));
        assert!(functions(&source.production).iter().any(needed), "{path} fn {name} needs no exception");
    }
    for (path, name, _) in UNBOUND {
        let source = sources.iter().find(|source| source.path == *path).unwrap_or_else(|| panic!("{path} is gone"));
        assert!(functions(&source.production).iter().any(|function| function.name == *name), "{path} fn {name} is gone");
    }
    for (room, other, _) in SAME_FLOOR {
        assert!(
            sources.iter().any(|source| source.room() == *room && source.production.contains(&format!("crate::{other}"))),
            "{room} no longer names {other}"
        );
    }
    for (head, _, exceptions) in DOORS {
        for (place, _) in *exceptions {
            assert!(
                sources.iter().any(|source| source.within(&[place]) && names(&source.production, head)),
                "{place} no longer names {head}"
            );
        }
    }
}

#[test]
fn every_rule_sees_a_violation() {
    let one = |path: &str, text: &str| vec![Source::new(path, text)];
    let words = clinical_words();
    let red = |bad: Vec<String>| assert_eq!(bad.len(), 1, "{bad:?}");
    red(doors(&one("src/ledger/x.rs", "use diesel::prelude::*;\n")));
    red(doors(&one("src/api/x.rs", "fn f() { std::env::var(\"X\"); }\n")));
    red(floors(&one("src/store/x.rs", "use crate::api::ROUTES;\n")));
    red(floors(&one("src/mapping/x.rs", "use crate::access::Role;\n")));
    red(floors(&one("src/cellar/x.rs", "")));
    red(ceilings(&one("src/a.rs", &"//\n".repeat(FILE_LINES + 1))));
    red(ceilings(&one("src/a.rs", &format!("    fn long() {{\n{}    }}\n", "        x();\n".repeat(FUNCTION_LINES)))));
    red(bad_names(&one("src/store/utils.rs", "")));
    red(bad_names(&one("src/common/x.rs", "")));
    red(panics(&one("src/a.rs", "fn f() {\n    x.unwrap();\n}\n")));
    red(machine_paths(&one("src/a.rs", "const A: &str = \"/home/me/x\";\n")));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: &str = \"8867-4\";\n"), &words));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: &str = \"heart-rate\";\n"), &words));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: char = '\"'; const B: &str = \"kg\";\n"), &words));
    red(raw_sql(&one("src/store/a.rs", "sql.text(\"SELECT 1 FROM document d WHERE d.id = \");\n")));
    red(raw_sql(&one("src/store/a.rs", "sql.visible(\"k\", v); sql.text(\"FROM doc_key k JOIN document d ON d.id = k.id\");\n")));
    red(raw_sql(&one("src/store/a.rs", "sql.visible(\"k\", v); sql.text(\"SELECT t.doc FROM doc_term t WHERE t.hash = \");\n")));
    red(diesel_reads(&one(
        "src/store/a.rs",
        "pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Row>> {\n    on!(tx, c => block::table.load(*c))\n}\n",
    )));
    red(own_eyes(&one("src/api/fhir/a.rs", "fn f() {\n    let all = Visible::everything(Type::Patient);\n}\n")));
    red(own_eyes(&one("src/ledger/resources.rs", "fn f() {\n    let all = writer.policy.ruled(of);\n}\n")));
    red(own_eyes(&one("src/ledger/a.rs", "static ALL: LazyLock<Visible> = LazyLock::new(|| Visible::everything(Type::Patient));\n")));
    red(opened_and_judged(&one("src/store/a.rs", "fn f() {\n    keys.body.open_packed(body_place(shelf, &id, 1), &body)\n}\n")));
    red(opened_and_judged(&one("src/store/observations/a.rs", "fn f() {\n    rendering.write(&sample, (&id, &ids), &mut json);\n}\n")));
    red(opened_and_judged(&one("src/ledger/a.rs", "fn f() {\n    let (_, json) = super::documents::current(tx, vault, &key)?;\n}\n")));
    red(proofs(&one("src/store/listing.rs", "pub struct Item {\n    pub seen: Seen,\n}\npub fn rendered(&mut self, shelf: Shelf) {\n}\n")));
    red(proofs(&one("src/store/a.rs", "fn f() -> Seen {\n    Seen(())\n}\n")));
    red(proofs(&one("src/policy/visible.rs", "pub struct Seen(pub ());\n")));
    red(scopes_are_asked_by_policy(&one("src/api/a.rs", "fn f() -> bool {\n    who.scopes.allow(\"Patient\", Interaction::Read)\n}\n")));
    red(api_reads_what_was_judged(&one("src/api/fhir/a.rs", "fn f() {\n    documents::version(tx, &key, None);\n}\n")));
}

/// Files that no `mod` line of their folder names: they are never compiled, so nothing in them holds.
fn undeclared(all: &[(String, String)]) -> Vec<String> {
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

#[test]
fn every_file_is_a_module() {
    let texts = |folder: &str| -> Vec<(String, String)> {
        let files = files(&root().join(folder), "rs").into_iter();
        files
            .map(|path| {
                (path.strip_prefix(root()).expect("below").to_string_lossy().into_owned(), fs::read_to_string(&path).expect("text"))
            })
            .collect()
    };
    for folder in ["tests/it", "src"] {
        assert_eq!(undeclared(&texts(folder)), Vec::<String>::new());
    }
    let lost = [("tests/it/main.rs".to_owned(), "mod a;\n".to_owned()), ("tests/it/b.rs".to_owned(), String::new())];
    assert_eq!(undeclared(&lost).len(), 1);
}

#[test]
fn tests_are_no_production() {
    let source = Source::new(
        "src/a.rs",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {\n        x.unwrap();\n    }\n}\nfn h() {}\n// y.unwrap()\n",
    );
    assert_eq!(source.production, "fn f() {}\nfn h() {}\n");
    none(panics(&[source]));
    none(raw_sql(&[Source::new(
        "src/store/a.rs",
        "sql.visible(\"k\", v); sql.text(\"FROM doc_key k JOIN document d ON d.shelf = k.shelf\");\n",
    )]));
}
