//! How the Open Wearables SDKs behave (`open-wearables.md` 4.4), as scripted clients.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::actors::counts;
use crate::support::payload::*;

both! {
    fn a_raw_token_an_api_key_and_a_bearer_are_all_heard(server) {
        let alice = server.person("alice");
        let body = |id: &str| apple(vec![heart(id, &minute(0), "72")]).to_string();
        let nobody = server.nobody().with("content-type", "application/json");
        let send = |client: crate::support::Client<'_>, id: &str| client.send("POST", &alice.sync_path(), Some(body(id).as_bytes())).status;
        assert_eq!(send(nobody.with("Authorization", &alice.access), "a"), 202, "a raw token, as iOS sent it until 0.10");
        assert_eq!(send(nobody.with("Authorization", format!("Bearer {}", alice.access)), "b"), 202);
        assert_eq!(send(nobody.with("X-Open-Wearables-API-Key", &server.app().api_key), "c"), 202);
        assert_eq!(send(nobody.with("Authorization", format!("Bearer {}", server.app().api_key)), "d"), 202);
        assert_eq!(send(nobody, "e"), 401);
    }
}

both! {
    fn after_a_401_an_sdk_refreshes_and_sends_again(server) {
        let alice = server.person("alice");
        let body = apple(vec![heart("r-1", &minute(0), "72")]).to_string();
        server.sql(false, "UPDATE credential SET expires_at = 1 WHERE expires_at IS NOT NULL AND user_id IS NOT NULL").unwrap();
        let refused = alice.sync(body.as_bytes()).is(401);
        assert_eq!((refused.code().as_str(), refused.at("/detail").is_string()), ("auth.expired", true));
        let fresh = server.nobody().post("/api/v1/token/refresh", &json!({"refresh_token": alice.refresh})).is(200);
        assert_eq!((fresh.at("/token_type"), fresh.at("/expires_in")), (json!("bearer"), json!(3600)));
        assert!(fresh.text_at("/refresh_token").starts_with("rt-") && fresh.text_at("/refresh_token") != alice.refresh);
        let again = crate::support::Person { access: fresh.text_at("/access_token"), ..alice };
        again.sync(body.as_bytes()).is(202);
        assert_eq!(again.finds("").matches().len(), 1);
    }
}

both! {
    fn a_refresh_token_that_is_used_twice_revokes_its_family(server) {
        let alice = server.person("alice");
        let refresh = |token: &str| server.nobody().post("/api/v1/token/refresh", &json!({"refresh_token": token}));
        let fresh = refresh(&alice.refresh).is(200);
        refresh(&alice.refresh).is(401);
        let stolen = crate::support::Person { access: fresh.text_at("/access_token"), ..alice.clone() };
        stolen.sync(apple(Vec::new()).to_string().as_bytes()).is(401);
        alice.sync(apple(Vec::new()).to_string().as_bytes()).is(401);
        refresh(&fresh.text_at("/refresh_token")).is(401);
        assert_eq!(refresh("rt-unknown").is(401).code(), "auth.required");
    }
}

both! {
    fn a_token_that_was_revoked_is_of_no_use(server) {
        let alice = server.person("alice");
        server.nobody().post("/api/v1/token/revoke", &json!({"refresh_token": alice.refresh})).is(204);
        alice.sync(apple(Vec::new()).to_string().as_bytes()).is(401);
        server.nobody().post("/api/v1/token/revoke", &json!({"refresh_token": "rt-unknown"})).is(204);
        server.nobody().post("/api/v1/token/revoke", &json!({})).is(422);
    }
}

both! {
    fn bodies_of_two_thousand_and_of_a_hundred_records_are_stored_whole(server) {
        let alice = server.person("alice");
        let large = alice.uploads(&apple(hearts("fore", 2_000)));
        assert_eq!((counts(&large), large.at("/status")), ([2_000, 0, 0, 0], json!("success")));
        let small = alice.uploads(&apple(hearts("back", 100)));
        assert_eq!(counts(&small), [100, 0, 0, 0]);
        let all = server.ehr().search(&format!("Observation?patient={}&_count=0", alice.patient));
        assert_eq!((all.total(), all.matches().len()), (Some(2_100), 0));
    }
}

both! {
    fn the_same_bytes_again_are_the_same_upload(server) {
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        let body = apple(hearts("r", 3)).to_string();
        let first = alice.sync(body.as_bytes()).is(202).text_at("/upload_id");
        assert_eq!(alice.sync(body.as_bytes()).is(202).text_at("/upload_id"), first);
        assert_ne!(bob.sync(body.as_bytes()).is(202).text_at("/upload_id"), first);
        assert_eq!(alice.finds("").matches().len(), 3);
    }
}

both! {
    fn a_gzip_body_is_the_same_as_its_clear_text(server) {
        let alice = server.person("alice");
        let body = apple(hearts("r", 200)).to_string();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(body.as_bytes()).unwrap();
        let client = alice.sdk().with("content-type", "application/json");
        let upload = client.with("content-encoding", "gzip").send("POST", &alice.sync_path(), Some(&gzip.finish().unwrap())).is(202).text_at("/upload_id");
        assert_eq!(counts(&alice.ended(&upload)), [200, 0, 0, 0]);
        assert_eq!(alice.sync(body.as_bytes()).is(202).text_at("/upload_id"), upload, "resent without gzip");
        assert_eq!(client.with("content-encoding", "br").send("POST", &alice.sync_path(), Some(b"x")).is(415).code(), "request.media-type");
    }
}

both! {
    fn an_outcome_with_many_refusals_is_whole(server) {
        let alice = server.person("alice");
        let records = vec!["5"; 9_000].join(",");
        let body = format!(r#"{{"provider":"apple","sdkVersion":"1","data":{{"records":[{records}]}}}}"#);
        let upload = alice.sync(body.as_bytes()).is(202).text_at("/upload_id");
        let outcome = alice.ended(&upload);
        let refused = outcome.at("/refused");
        let refused = refused.as_array().unwrap();
        assert_eq!((outcome.at("/items_total"), refused.len()), (json!(9_000), 9_000));
        assert!(refused.iter().enumerate().all(|(n, one)| one["index"] == n && one["code"] == "json.shape"), "{}", refused[0]);
        assert!(outcome.at("/ended_at").is_string() && outcome.at("/stage") == "completed");
    }
}

both! {
    fn an_sdk_token_learns_nothing_of_other_users(server) {
        let (alice, bob) = (server.person("alice"), server.person("bob"));
        let body = apple(Vec::new()).to_string();
        let path = |user: &str| format!("/api/v1/sdk/users/{user}/sync");
        let unknown = uuid::Uuid::new_v4().to_string();
        let shape = |user: &str| {
            let mut json = alice.sdk().send("POST", &path(user), Some(body.as_bytes())).is(403).json();
            json["request_id"] = json!("r");
            json
        };
        assert_eq!(shape(&bob.user), shape(&unknown));
        assert_eq!(shape(&bob.user), shape("not-a-uuid"));
        assert_eq!(shape(&bob.user)["issue"][0]["code"], "auth.forbidden");
        let key = server.backend_of_app();
        assert_eq!(key.send("POST", &path(&unknown), Some(body.as_bytes())).is(404).code(), "resource.not-found");
        key.send("POST", &path("not-a-uuid"), Some(body.as_bytes())).is(404);
        key.send("POST", &path(&bob.user), Some(body.as_bytes())).is(202);
        alice.sdk().get(&format!("/api/v1/sdk/users/{}/uploads/{unknown}", bob.user)).is(403);
        alice.sdk().get(&format!("/api/v1/sdk/users/{}/uploads/{unknown}", alice.user)).is(404);
    }
}

both! {
    fn what_sdks_tell_of_themselves_is_accepted(server) {
        let alice = server.person("alice");
        let logs = |events: serde_json::Value| alice.sdk().post(&format!("/api/v1/sdk/users/{}/logs", alice.user), &json!({"events": events}));
        logs(json!([{"eventType": "device_state", "timestamp": minute(0)}])).is(202);
        logs(json!([{"eventType": "historical_data_type_sync_end", "timestamp": minute(0)}])).is(202);
        logs(json!([{"eventType": "something_else"}])).is(422);
        logs(json!([])).is(422);
    }
}
