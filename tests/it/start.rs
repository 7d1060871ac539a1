//! Refusals to start: an exit code and one line that names the remedy.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::server::Place;
use crate::support::{Backend, TestServer, postgres};

#[track_caller]
fn refused(output: &Output, code: i32, remedy: &str) {
    let says = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = says.lines().filter(|line| line.starts_with("firth: ")).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(code), 1), "{says}");
    assert!(lines[0].contains(remedy), "{says}");
}

#[test]
fn a_word_that_is_no_verb_is_usage() {
    let output = Place::new().firth(&["sreve"]);
    assert_eq!(output.status.code(), Some(64), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_missing_root_key_names_the_command_that_makes_one() {
    let place = Place::new();
    fs::remove_file(place.path().join("root.key")).unwrap();
    refused(&place.firth(&["serve"]), 78, "firth keys init");
}

#[test]
fn a_short_root_key_is_refused() {
    let place = Place::new();
    let path = place.path().join("root.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "abcdef\n").unwrap();
    refused(&place.firth(&["serve"]), 78, "64 hexadecimal digits");
}

#[test]
fn a_root_key_that_others_may_read_names_chmod() {
    let place = Place::new();
    fs::set_permissions(place.path().join("root.key"), fs::Permissions::from_mode(0o440)).unwrap();
    refused(&place.firth(&["serve"]), 78, "chmod 0400");
}

#[test]
fn a_root_key_beside_the_data_is_refused() {
    let mut place = Place::new();
    place.set("FIRTH_ROOT_KEY_FILE", "data/root.key");
    refused(&place.firth(&["keys", "init"]), 78, "--root-key");
    place.set("FIRTH_DATA_DIR", "elsewhere");
    place.set("FIRTH_DATABASE_URL", "sqlite://data");
    refused(&place.firth(&["keys", "init"]), 78, "--root-key");
}

#[test]
fn a_directory_is_no_root_key() {
    let place = Place::new();
    refused(&place.firth(&["serve", "--root-key", "/"]), 78, "the root key / is a directory; name the file");
}

#[test]
fn keys_init_never_replaces_a_key() {
    let place = Place::new();
    let before = fs::read(place.path().join("root.key")).unwrap();
    refused(&place.firth(&["keys", "init"]), 78, "exists already");
    assert_eq!(fs::read(place.path().join("root.key")).unwrap(), before);
}

#[test]
fn a_new_key_is_for_its_owner_only() {
    let mut place = Place::new();
    place.set("FIRTH_ROOT_KEY_FILE", "other/root.key");
    place.tells(&["keys", "init"]);
    assert_eq!(fs::metadata(place.path().join("other/root.key")).unwrap().permissions().mode() & 0o777, 0o400);
}

#[test]
fn a_mistyped_setting_names_the_one_that_was_meant() {
    let mut place = Place::new();
    place.set("FIRTH_LISTEM", "127.0.0.1:1");
    refused(&place.firth(&["serve"]), 78, "FIRTH_LISTEN");
}

#[test]
fn a_log_filter_that_is_none_is_refused() {
    for filter in ["inof", "!!", "", "firth=inof", "warn,inof"] {
        let mut place = Place::new();
        place.set("FIRTH_LOG", filter);
        refused(&place.firth(&["token", "list"]), 78, "FIRTH_LOG must be");
    }
    let mut place = Place::new();
    place.set("FIRTH_LOG", "warn,firth=debug,actix_server=off");
    place.tells(&["token", "list"]);
}

#[test]
fn a_fault_in_a_file_is_told_in_the_words_of_the_file() {
    let place = Place::new();
    for (text, says) in [
        ("listn = \"127.0.0.1:0\"", "bad.toml: listn is no setting; did you mean listen?"),
        ("body_timeout_secs = -1", "bad.toml: body_timeout_secs must be from 1 to 3600"),
        ("listen = [1]", "bad.toml: listen must be a text or a whole number"),
        ("listen", "bad.toml is not TOML"),
    ] {
        fs::write(place.path().join("bad.toml"), text).unwrap();
        refused(&place.firth(&["token", "list", "--config", "bad.toml"]), 78, says);
    }
}

#[test]
fn names_of_the_demo_file_are_no_mistakes() {
    let mut place = Place::new();
    place.set("FIRTH_EHR_TOKEN", "x");
    place.set("FIRTH_LONG", "1");
    place.tells(&["print", "settings"]);
    place.tells(&["token", "list"]);
}

#[test]
fn plain_http_stays_on_this_machine() {
    let mut place = Place::new();
    place.set("FIRTH_LISTEN", "0.0.0.0:0");
    refused(&place.firth(&["serve"]), 78, "FIRTH_TLS_CERT");
}

#[test]
fn a_second_server_on_one_directory_is_refused() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    refused(&server.place.firth(&["serve"]), 75, "--data-dir");
}

#[test]
fn a_busy_port_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut place = Place::new();
    place.set("FIRTH_LISTEN", &taken.local_addr().unwrap().to_string());
    refused(&place.firth(&["serve"]), 98, "--listen");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let mut place = Place::new();
    // A file in the way: root may write everywhere else.
    fs::write(place.path().join("file"), "").unwrap();
    place.set("FIRTH_DATA_DIR", "file/data");
    refused(&place.firth(&["serve"]), 73, "--data-dir");
}

#[test]
fn a_sqlite_url_names_a_directory_that_exists() {
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", "sqlite://");
    refused(&place.firth(&["serve"]), 78, "FIRTH_DATABASE_URL must name a directory");
    assert!(!place.path().join("firth.db").exists());
    place.set("FIRTH_DATABASE_URL", "sqlite://nowhere/data");
    refused(&place.firth(&["serve"]), 73, "make its directory");
}

#[test]
fn a_file_that_is_no_database_is_not_taken_for_one() {
    for name in ["firth.db", "audit.db"] {
        let place = Place::new();
        fs::create_dir(place.data()).unwrap();
        fs::write(place.data().join(name), "junk ".repeat(1_000)).unwrap();
        refused(&place.firth(&["serve"]), 78, "restore it from a backup");
    }
}

#[test]
fn a_damaged_database_is_said_to_be_one() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    server.stop();
    let path = server.place.data().join("firth.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..4_096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    refused(&server.place.firth(&["serve"]), 78, "restore it from a backup");
}

#[test]
fn an_audit_log_that_vanished_is_told_in_the_log() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    assert!(!server.log().contains("audit.db"), "a new store has lost nothing");
    server.stop();
    fs::remove_file(server.place.data().join("audit.db")).unwrap();
    server.run();
    let log = server.log();
    assert!(log.lines().any(|line| line.contains("\"level\":\"WARN\"") && line.contains("audit.db")), "{log}");
}

#[test]
fn a_stopped_directory_is_two_files() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    server.person("alice");
    let logs = || ["firth.db-wal", "audit.db-wal"].map(|name| fs::metadata(server.place.data().join(name)).map_or(0, |meta| meta.len()));
    assert_ne!(logs(), [0, 0], "there is something to move");
    server.stop();
    assert_eq!(logs(), [0, 0]);
    server.place.tells(&["user", "add", "--first-name", "Ada"]);
    assert_eq!(logs(), [0, 0], "a verb without a server leaves no more");
}

#[test]
fn a_wrong_mapping_is_the_same_refusal_for_every_verb() {
    let mut place = Place::new();
    fs::create_dir(place.path().join("wrong")).unwrap();
    fs::write(place.path().join("wrong/x.yaml"), "nonsense: 1\n").unwrap();
    refused(&place.firth(&["mapping", "check", "wrong"]), 78, "x.yaml");
    place.set("FIRTH_MAPPINGS_DIR", "wrong");
    refused(&place.firth(&["serve"]), 78, "x.yaml");
}

#[test]
fn a_schema_of_a_newer_binary_is_refused() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    server.stop();
    server.sql(false, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    refused(&server.place.firth(&["serve"]), 76, "run the binary that made it");
}

#[test]
fn another_root_key_is_refused() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    server.stop();
    let path = server.place.path().join("root.key");
    fs::remove_file(&path).unwrap();
    server.place.tells(&["keys", "init"]);
    refused(&server.place.firth(&["serve"]), 78, "--root-key");
}

#[test]
fn a_database_that_does_not_answer_is_unreachable() {
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", "postgres:///firth?host=/nowhere");
    refused(&place.firth(&["serve"]), 69, "PostgreSQL does not answer");
}

#[test]
fn postgresql_on_another_machine_is_refused() {
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", "postgres://db.example.org/firth");
    refused(&place.firth(&["serve"]), 78, "loopback");
}

#[test]
fn verbs_answer_alike_with_and_without_a_server() {
    let server = TestServer::start(Backend::Sqlite, &[]).unwrap();
    let told = |arguments: &[&str]| {
        let output = server.place.firth(arguments);
        let names: Vec<String> =
            String::from_utf8_lossy(&output.stdout).lines().map(|line| line.split(['=', '\t']).next().unwrap_or("").to_owned()).collect();
        (output.status.code(), names.len(), if names.len() > 1 { names[1..].to_vec() } else { names })
    };
    let verbs: [&[&str]; 5] = [
        &["app", "create", "--name", "n"],
        &["user", "add", "--first-name", "Ada"],
        &["token", "issue", "--role", "auditor"],
        &["token", "issue", "--role", "researcher"],
        &["token", "revoke", "nope"],
    ];
    let with: Vec<_> = verbs.iter().map(|verb| told(verb)).collect();
    server.stop();
    let without: Vec<_> = verbs.iter().map(|verb| told(verb)).collect();
    assert_eq!(with, without);
    assert_eq!(with[3].0, Some(64));
}

both! {
    fn sigterm_ends_it_in_order(server) {
        let alice = server.person("alice");
        assert_eq!(server.stop().and_then(|status| status.code()), Some(0));
        server.run();
        assert_eq!(server.backend_of_app().get(&format!("/api/v1/users/{}", alice.user)).is(200).text_at("/id"), alice.user);
    }
}

both! {
    fn verbs_say_what_was_given_and_what_it_should_be(server) {
        let nobody = uuid::Uuid::new_v4().to_string();
        fs::write(server.place.path().join("body.json"), "{}").unwrap();
        let ingest = |patient: &str| server.place.firth(&["ingest", "body.json", "--provider", "apple", "--patient", patient]);
        refused(&server.place.firth(&["token", "revoke", "nope"]), 65, "'nope' is not the id of a token");
        refused(&server.place.firth(&["token", "issue", "--role", "patient", "--patient", "nope"]), 65, "'nope' is not the id of a Patient");
        refused(&ingest("nope"), 65, "'nope' is not the id of a Patient");
        refused(&ingest(&nobody), 65, &format!("there is no Patient/{nobody}"));
        refused(&server.place.firth(&["user", "add", "--first-name", ""]), 65, "first_name must have");
        let alice = server.person("alice");
        server.backend_of_app().delete(&format!("/api/v1/users/{}", alice.user)).is(200);
        refused(&ingest(&alice.patient), 65, &format!("firth user add --patient-id {}", alice.patient));
    }
}

#[test]
fn after_postgresql_ended_all_connections_nothing_is_refused() {
    let Some(server) = TestServer::start(Backend::Postgres, &[]) else { return };
    let (ehr, basic) = (server.ehr(), json!({"resourceType": "Basic", "code": {"text": "something"}}));
    // So that every connection of the pools is open.
    thread::scope(|all| {
        for _ in 0..24 {
            all.spawn(|| (0..8).for_each(|_| drop((ehr.post("/fhir/Basic", &basic).is(201), ehr.search("Basic?_count=1")))));
        }
    });
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    server.sql(false, end).expect("connections end");
    for _ in 0..30 {
        ehr.post("/fhir/Basic", &basic).is(201);
        assert_eq!(ehr.search("Basic?_count=1").matches().len(), 1);
    }
    // What the server was doing by itself may have been cut off in its middle.
    if server.log().contains("\"level\":\"ERROR\"") {
        server.expects_errors();
    }
}

#[test]
fn while_postgresql_is_down_nothing_says_it_is_up() {
    let Some(cluster) = postgres::own("") else { return };
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", &cluster.database());
    let server = TestServer::at(Backend::Postgres, place);
    server.nobody().get("/readyz").is(200);
    cluster.stop();
    let ready = server.nobody().get("/readyz").is(503);
    assert_eq!((ready.at("/database"), ready.at("/audit"), ready.at("/keys")), (json!("down"), json!("down"), json!("up")));
    for _ in 0..2 {
        refused(&server.place.firth(&["token", "list"]), 69, "start PostgreSQL");
        refused(&server.place.firth(&["app", "create", "--name", "n"]), 69, "start PostgreSQL");
    }
    cluster.go_on();
    // Each connection of the pool finds out by itself that the other end is gone.
    let end = Instant::now() + Duration::from_secs(30);
    while server.nobody().get("/readyz").status != 200 {
        assert!(Instant::now() < end, "{}", server.nobody().get("/readyz").text());
        thread::sleep(Duration::from_millis(100));
    }
    server.place.tells(&["token", "list"]);
    server.expects_errors();
}
