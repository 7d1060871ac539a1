//! PostgreSQL is brought up to date by `firth migrate` and by nothing else; SQLite does it by itself.

use crate::support::server::Place;
use crate::support::{Backend, TestServer, postgres};

fn refused(place: &Place, code: i32, words: &str) {
    let output = place.firth(&["serve"]);
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{says}");
    assert!(says.lines().filter(|line| line.starts_with("firth: ")).count() == 1 && says.contains(words), "{says}");
}

#[test]
fn an_empty_postgresql_is_served_only_after_migrate() {
    let Some(cluster) = postgres::cluster() else { return };
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", &cluster.empty_database());
    refused(&place, 76, "firth migrate");
    assert!(place.tells(&["migrate", "--dry-run"]).contains("would apply "));
    refused(&place, 76, "firth migrate");
    assert!(place.tells(&["migrate"]).contains("applied "));
    assert_eq!(place.tells(&["migrate"]), "the schema is up to date\n");
    let server = TestServer::at(Backend::Postgres, place);
    server.nobody().get("/readyz").is(200);
}

#[test]
fn a_postgresql_schema_of_a_newer_binary_is_refused() {
    let Some(server) = TestServer::start(Backend::Postgres, &[]) else { return };
    server.stop();
    server.sql(false, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    refused(&server.place, 76, "run the binary that made it");
}

#[test]
fn a_postgresql_that_does_not_flush_is_refused() {
    let Some(cluster) = postgres::own("fsync = off") else { return };
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", &cluster.database());
    refused(&place, 78, "fsync");
}

#[test]
fn sqlite_needs_no_migrate() {
    let place = Place::new();
    assert!(place.tells(&["migrate"]).contains("SQLite migrates itself"));
    TestServer::at(Backend::Sqlite, place).nobody().get("/readyz").is(200);
}

#[test]
fn two_servers_share_one_postgresql() {
    let Some(cluster) = postgres::cluster() else { return };
    let url = cluster.database();
    let first = Place::new();
    let node = |place: Place| TestServer::at(Backend::Postgres, place);
    let second = Place::new();
    std::fs::remove_file(second.path().join("root.key")).unwrap();
    std::fs::copy(first.path().join("root.key"), second.path().join("root.key")).unwrap();
    let [one, two] = [first, second].map(|mut place| {
        place.set("FIRTH_DATABASE_URL", &url);
        node(place)
    });
    let alice = one.person("alice");
    alice.stores(&crate::support::payload::apple(crate::support::payload::hearts("r", 3)));
    let found = two.nobody().with("authorization", alice.own().headers[0].1.clone()).search("Observation");
    assert_eq!(found.matches().len(), 3);
    let events = two.auditor().search(&format!("AuditEvent?patient={}", alice.patient));
    assert!(events.matches().len() >= 3, "{}", events.0);
}
