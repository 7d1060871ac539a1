//! From an SDK's body to an Observation that can be searched, read and read back by version.

use serde_json::json;

use crate::support::actors::counts;
use crate::support::payload::*;

both! {
    fn a_heart_rate_goes_from_upload_to_search_read_and_vread(server) {
        let alice = server.person("alice");
        let upload = alice.uploads(&apple(vec![heart("r-1", "2026-03-14T08:00:00Z", "72.10")]));
        assert_eq!((counts(&upload), upload.at("/status")), ([1, 0, 0, 0], json!("success")));
        let found = alice.finds("&code=http://loinc.org|8867-4").only();
        assert_eq!(found["valueQuantity"]["value"].to_string(), "72.10");
        assert_eq!(found["valueQuantity"]["code"], "/min");
        assert_eq!(found["effectiveDateTime"], "2026-03-14T09:00:00+01:00");
        assert_eq!(found["subject"]["reference"], format!("Patient/{}", alice.patient));
        let id = found["id"].as_str().unwrap();
        let read = server.ehr().get(&format!("/fhir/Observation/{id}")).is(200);
        assert_eq!((read.json(), read.header("etag")), (found.clone(), Some("W/\"1\"")));
        assert_eq!(server.ehr().get(&format!("/fhir/Observation/{id}/_history/1")).is(200).json(), found);
        server.ehr().get(&format!("/fhir/Observation/{id}/_history/2")).is(404);
    }
}
