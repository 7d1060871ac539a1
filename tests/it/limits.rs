//! What is asked for beyond a limit of the settings is refused or cut, and hurts nobody else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::documents::{created, put};
use crate::support::TestServer;

const WHERE: &str = "/fhir/Organization?identifier=urn:x|1";

fn ward() -> Value {
    json!({"resourceType": "Organization", "name": "Ward", "identifier": [{"system": "urn:x", "value": "1"}]})
}

/// From now on who looks for an identifier waits for ever, until `healed`.
fn endless(server: &TestServer) {
    let view = "CREATE VIEW doc_term AS WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n) \
                SELECT hidden.* FROM hidden, n WHERE n.i < 0";
    server.sql(false, &format!("ALTER TABLE doc_term RENAME TO hidden; {view}")).unwrap();
}

fn healed(server: &TestServer) {
    server.sql(false, "DROP VIEW doc_term; ALTER TABLE hidden RENAME TO doc_term").unwrap();
}

both! {
    fn a_search_without_end_is_ended(server, "FIRTH_QUERY_TIMEOUT_SECS" = "1") {
        let ehr = server.ehr();
        let id = created(&ehr, &ward());
        endless(server);
        let began = Instant::now();
        let refused = ehr.get(WHERE).is(503);
        assert!((Duration::from_millis(900)..Duration::from_secs(8)).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert_eq!((refused.code().as_str(), refused.at("/issue/0/code"), refused.header("retry-after")), ("server.too-slow", json!("too-costly"), Some("5")));
        assert!(refused.text_at("/issue/0/diagnostics").contains("add identifier, patient, _id or a date"), "{}", refused.text());
        ehr.get(&format!("/fhir/Organization/{id}")).is(200);
        healed(server);
        assert_eq!(ehr.search("Organization?identifier=urn:x|1").ids(), [id]);
    }
}

both! {
    fn a_conditional_write_without_end_lets_the_next_writer_in(server, "FIRTH_QUERY_TIMEOUT_SECS" = "1") {
        let ehr = server.ehr();
        created(&ehr, &ward());
        endless(server);
        let began = Instant::now();
        assert_eq!(put(&ehr, WHERE, &ward()).is(503).code(), "server.too-slow");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        healed(server);
        put(&ehr, WHERE, &ward()).is(200);
        assert_eq!(ehr.search("Organization").ids().len(), 1);
    }
}

both! {
    fn a_page_of_history_has_a_limit(server, "FIRTH_MAX_HISTORY_ENTRIES" = "2") {
        let ehr = server.ehr();
        let mut ward = ward();
        ward["id"] = json!("w");
        for name in ["One", "Two", "Three"] {
            ward["name"] = json!(name);
            put(&ehr, "/fhir/Organization/w", &ward);
        }
        for path in ["Organization/w/_history?_count=1000", "Organization/_history?_count=1000", "_history?_count=1000", "Organization/_history"] {
            let page = ehr.search(path);
            assert_eq!(page.0["entry"].as_array().unwrap().len(), 2, "{path}");
            assert!(page.next().is_some(), "{path}");
        }
    }
}
