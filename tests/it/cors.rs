//! Who may read an answer in a browser.

use crate::smart::flow::CALLBACK;
use crate::support::{Client, Reply, TestServer};

const ORIGIN: &str = "https://app.example";
/// Like the registered one, and another.
const OTHERS: [&str; 12] = [
    "null",
    "https://evil.example",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://sub.app.example",
    "https://app.example:8443",
    "http://app.example",
    "https://app.exampl",
    "https://app.example/",
    "https://APP.example",
    "https://app.example, https://evil.example",
    "https://app.example@evil.example",
];
const PUBLIC: [&str; 6] = [
    "/fhir/metadata",
    "/fhir/.well-known/smart-configuration",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/oauth/jwks",
];

fn allowed(reply: &Reply) -> Option<&str> {
    assert!(reply.header("access-control-allow-credentials").is_none(), "never with credentials");
    reply.header("access-control-allow-origin")
}

fn preflight(server: &TestServer, origin: &str, verb: &str, path: &str) -> Reply {
    let asking = server.nobody().with("origin", origin).with("access-control-request-method", verb);
    asking.with("access-control-request-headers", "authorization,content-type").send("OPTIONS", path, None)
}

fn from<'s>(client: &Client<'s>, origin: &str) -> Client<'s> {
    client.with("origin", origin)
}

both! {
    fn pages_of_any_origin_read_what_is_public(server) {
        for path in PUBLIC {
            for origin in OTHERS {
                let reply = from(&server.nobody(), origin).get(path).is(200);
                assert_eq!(allowed(&reply), Some("*"), "{path} {origin}");
            }
            assert_eq!(allowed(&from(&server.nobody(), "https://evil.example").send("HEAD", path, None).is(200)), Some("*"));
            let asked = preflight(server, "https://evil.example", "GET", path).is(204);
            assert_eq!((allowed(&asked), asked.header("access-control-allow-methods")), (Some("*"), Some("GET, HEAD")), "{path}");
            assert_eq!(allowed(&preflight(server, "https://evil.example", "POST", path)), None, "{path}");
        }
    }
}

both! {
    fn pages_of_other_origins_read_nothing(server) {
        server.public_app();
        let ehr = server.ehr();
        for origin in OTHERS {
            for path in ["/fhir/Patient", "/fhir/Patient/c0ffee00-0000-4000-8000-000000000000", "/fhir/openapi.json", "/healthz", "/"] {
                assert_eq!(allowed(&from(&ehr, origin).with("cookie", "a=b").get(path)), None, "{path} {origin}");
                let asked = preflight(server, origin, "GET", path);
                assert!(allowed(&asked).is_none() && asked.status != 204, "{path} {origin}");
            }
            for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/register", "/oauth/launch"] {
                let asking = from(&server.nobody(), origin).with("content-type", "application/x-www-form-urlencoded");
                assert_eq!(allowed(&asking.send("POST", path, Some(b"a=b"))), None, "{path} {origin}");
                assert_eq!(allowed(&preflight(server, origin, "POST", path)), None, "{path} {origin}");
            }
        }
        let mut twice = from(&ehr, ORIGIN);
        twice.headers.push(("origin".into(), ORIGIN.into()));
        assert_eq!(allowed(&twice.get("/fhir/Patient")), None);
    }
}

both! {
    fn pages_of_registered_origins_call_the_api(server) {
        server.public_app();
        let ehr = from(&server.ehr(), ORIGIN);
        for reply in [ehr.get("/fhir/Patient").is(200), ehr.get("/fhir/Nothing").is(404), from(&server.nobody(), ORIGIN).get("/fhir/Patient").is(401)] {
            assert_eq!((allowed(&reply), reply.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin"))), (Some(ORIGIN), true));
            let shown = reply.header("access-control-expose-headers").unwrap_or_default().to_owned();
            for name in ["Location", "ETag", "Content-Location", "Link", "X-Request-Id", "Retry-After", "X-Progress", "WWW-Authenticate"] {
                assert!(shown.split(", ").any(|one| one == name), "{name}: {shown}");
            }
        }
        for (verb, path) in [("PUT", "/fhir/Patient/1"), ("DELETE", "/fhir/Patient/1"), ("POST", "/fhir"), ("POST", "/oauth/token"), ("POST", "/oauth/revoke"), ("POST", "/oauth/introspect")] {
            let asked = preflight(server, ORIGIN, verb, path).is(204);
            assert_eq!(allowed(&asked), Some(ORIGIN), "{verb} {path}");
            assert!(asked.header("access-control-allow-methods").unwrap_or_default().split(", ").any(|one| one == verb));
            let sent = asked.header("access-control-allow-headers").unwrap_or_default();
            for name in ["Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match", "If-None-Exist", "Prefer", "DPoP"] {
                assert!(sent.split(", ").any(|one| one == name), "{name}: {sent}");
            }
            assert!(asked.header("vary").is_some());
        }
        for (verb, path) in [("PUT", "/oauth/token"), ("GET", "/oauth/authorize"), ("TRACE", "/fhir/Patient/1"), ("POST", "/api/v1/users")] {
            assert_eq!(allowed(&preflight(server, ORIGIN, verb, path)), None, "{verb} {path}");
        }
        // Whoever sends no Origin is answered as before, and caches are told that it matters.
        let plain = server.ehr().get("/fhir/Patient").is(200);
        assert!(allowed(&plain).is_none() && plain.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")));
    }
}

both! {
    fn origins_come_and_go_with_their_clients(server) {
        let reads = |origin: &str| allowed(&from(&server.ehr(), origin).get("/fhir/Patient").is(200)).map(str::to_owned);
        let becomes = |origin: &str, open: bool| {
            for n in 0..60 {
                if reads(origin).is_some() == open {
                    return;
                }
                assert!(n < 59, "{origin} is not {open} within six seconds");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        };
        assert_eq!(reads(ORIGIN), None);
        let app = server.public_app();
        becomes(ORIGIN, true);
        server.place.tells(&["client", "disable", &app.id]);
        becomes(ORIGIN, false);
        server.registered(&["--public", "--redirect-uri", CALLBACK, "--origin", "https://pages.example"]);
        becomes("https://pages.example", true);
        assert_eq!(reads(ORIGIN), None, "origins that were named take the place of those of the redirect URIs");
        // Who waits for an operator calls from nowhere.
        server.nobody().post("/oauth/register", &serde_json::json!({"client_name": "Waits", "redirect_uris": ["https://waits.example/cb"], "token_endpoint_auth_method": "none"})).is(201);
        assert_eq!(reads("https://waits.example"), None);
    }
}
