//! What is told to the server in confidence stands nowhere in clear: not in the database, its write-ahead log,
//! temporary files, nor any log. The same search over a store that seals nothing finds every word of it; a
//! search that could not would prove nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firth::app::{self, App};
use firth::clock::Clock;
use firth::config::Config;
use firth::control::carry_out;
use firth::vault::Sealing;
use serde_json::{Value, json};

use crate::support::actors::value_of;
use crate::support::payload::{apple, but, heart, minute};
use crate::support::server::Place;
use crate::support::{Backend, TestServer, postgres};

/// What must not be found. Each stands in a store without sealing as text: values do so in the raw body only,
/// for blocks of samples keep them as binary numbers. Tokens and secrets are not here, as only their digests
/// are kept under whatever sealing; `secrets` has them.
const NEEDLES: &[&str] = &[
    // People and apps.
    "tarnfen-first",
    "tarnfen-last",
    "tarnfen-external",
    "@example.org",
    "the-testing-app",
    // Values, as digits.
    "61.377925",
    "6137.2519",
    "41.8731",
    "61.3700000000000000000000001",
    // LOINC codes. Where the group before the dash is that of a UUID, one could hold it by chance.
    "\"8867-4\"",
    "\"8480-6\"",
    "29463-7",
    // Metric keys, source types and units.
    "heart-rate",
    "HKQuantityTypeIdentifierHeartRate",
    "HKQuantityTypeIdentifierTarnIndex",
    "BLOOD_PRESSURE_DIASTOLIC",
    "beats/minute",
    "breaths/min",
    // Providers: bare words are too short to tell anything.
    "\"provider\":\"apple\"",
    "\"provider\":\"samsung\"",
    "\"provider\":\"google\"",
    // Record ids, devices and apps of the fixtures.
    "hc-71-s0",
    "sh-4-dia",
    "7C009E37-31D4-4E0B-9A57-6B0D2F012FCD",
    "tarnfen-record",
    "Fen's Watch",
    "Tarn Ring",
    "R9ZT60QX417",
    "com.apple.health.8A1F",
    "com.example.tarnring",
];

/// In every database, whatever its sealing: the search sees the files that matter.
const CONTROL: &str = "__diesel_schema_migrations";

/// The needles that stand somewhere in these files and folders. The search is grep's: a cluster's write-ahead
/// log is long.
fn found(places: &[PathBuf], needles: &BTreeSet<String>) -> BTreeSet<String> {
    for one in needles {
        let others = needles.iter().filter(|other| *other != one);
        assert!(others.clone().all(|other| !other.contains(one.as_str())), "grep -o shows the longer one only: {one:?}");
    }
    let list = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(list.path(), needles.iter().map(|needle| format!("{needle}\n")).collect::<String>()).expect("a temporary file");
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").args(["-r", "-a", "-o", "-h", "-F", "-f"]).arg(list.path()).arg("--").args(places);
    let output = grep.stdin(Stdio::null()).output().expect("grep runs");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    // A server that runs removes files and has sockets; both are passed over.
    let odd: Vec<&str> = says.lines().filter(|line| !line.contains("No such file") && !line.contains("No such device")).collect();
    assert!(odd.is_empty(), "grep: {odd:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn all(more: &[&str]) -> BTreeSet<String> {
    NEEDLES.iter().chain(more).map(|needle| (*needle).to_owned()).collect()
}

/// What the fixtures do not have: values and ids that occur nowhere else.
fn planted() -> Value {
    let note = but(heart("tarnfen-record-2", &minute(2), "62"), "metadata", json!({"note": "6137.2519"}));
    apple(vec![heart("tarnfen-record-1", &minute(1), "61.377925"), note])
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sdk");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("an entry").path().join("in.json")).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    files
}

/// The files of the server, and all of the PostgreSQL cluster: data, temporary files, write-ahead log and log.
/// Other tests use the cluster as well, and what they tell must not be there either.
fn places(server: &TestServer) -> Vec<PathBuf> {
    let mut places = vec![server.place.path().to_owned()];
    if let (Backend::Postgres, Some(cluster)) = (server.backend, postgres::cluster()) {
        server.sql(false, "CHECKPOINT").expect("the harness is a superuser");
        places.push(cluster.folder.clone());
    }
    places
}

both! {
    fn nothing_that_is_told_in_confidence_stands_in_clear(server) {
        let tarnfen = server.person("tarnfen");
        for file in fixtures() {
            let reply = tarnfen.sync(&fs::read(&file).unwrap()).is(202);
            tarnfen.ended(&reply.text_at("/upload_id"));
        }
        tarnfen.stores(&planted());
        // Queries are kept in the audit log, answers in nothing.
        assert!(!tarnfen.finds("&code=http://loinc.org|8867-4").ids().is_empty());
        assert_eq!(tarnfen.finds("&identifier=tarnfen-record-1").ids().len(), 1);
        assert_eq!(server.ehr().search("Patient?name=tarnfen-first").ids().len(), 1);
        server.ehr().get("/fhir/Observation?patient=tarnfen-last&code=8480-6&tarnfen-external=1").is(400);
        // A token says what it is for only to who shows it.
        let scope = "user/Observation.rs?code=http://loinc.org|8867-4";
        let issued = server.place.tells(&["token", "issue", "--role", "clinician", "--patient", &tarnfen.patient, "--scope", scope]);
        assert!(server.place.tells(&["token", "list"]).contains(scope), "{issued}");
        server.place.tells(&["client", "add", "--name", "tarnring", "--public", "--redirect-uri", "https://app.example/cb", "--scope", scope]);
        let app = server.app();
        let own = tarnfen.own().headers[0].1.trim_start_matches("Bearer ").to_owned();
        let secrets = [app.secret.as_str(), app.api_key.as_str(), tarnfen.access.as_str(), tarnfen.refresh.as_str(), own.as_str()];
        // While it runs, with a write-ahead log that is full, and when it has left.
        assert_eq!(found(&places(server), &all(&secrets)), BTreeSet::new());
        server.stop();
        assert_eq!(found(&places(server), &all(&secrets)), BTreeSet::new());
        assert_eq!(found(&places(server), &[CONTROL.to_owned()].into()), [CONTROL.to_owned()].into());
    }
}

/// Carries an order out as `firth` does, and answers what it prints.
fn ordered(app: &App, order: Value) -> String {
    carry_out(app, &order).unwrap_or_else(|e| panic!("{order}: {e:?}"))
}

#[test]
fn the_same_search_finds_everything_in_a_store_that_seals_nothing() {
    let place = Place::new();
    let absolute = [("FIRTH_DATA_DIR", place.data()), ("FIRTH_ROOT_KEY_FILE", place.path().join("root.key"))];
    let settings: Vec<_> = absolute.iter().map(|(name, path)| ((*name).to_owned(), path.to_string_lossy().into_owned())).collect();
    let lock = app::lock(&place.data()).unwrap();
    let app = App::build(Config::read(&settings, None).unwrap(), Clock::system(), Sealing::Identity).unwrap();
    ordered(&app, json!({"verb": "app create", "name": "the-testing-app"}));
    let [first, last, external] = ["first", "last", "external"].map(|part| format!("tarnfen-{part}-1"));
    let email = format!("{first}@example.org");
    let fields = json!({"first_name": first, "last_name": last, "external_user_id": external, "email": email});
    let patient = value_of(&ordered(&app, json!({"verb": "user add", "fields": fields})), "patient_id");
    // Not below the data directory, which is searched.
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("planted.json");
    fs::write(&own, planted().to_string()).unwrap();
    for file in fixtures().into_iter().chain([own]) {
        let body = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let provider = ["apple", "samsung", "google"].into_iter().find(|name| body.contains(&format!("{name}\""))).unwrap();
        ordered(&app, json!({"verb": "ingest", "file": file, "provider": provider, "patient": patient}));
    }
    let needles = all(&[]);
    let clear = found(&[place.data()], &needles);
    assert_eq!(needles.difference(&clear).collect::<Vec<_>>(), Vec::<&String>::new(), "the search does not see these");
    drop(app);
    drop(lock);
    let clear = found(&[place.data()], &needles);
    assert_eq!(needles.difference(&clear).collect::<Vec<_>>(), Vec::<&String>::new(), "once it has ended");
}
