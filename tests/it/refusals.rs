//! Every route of the table, so that none can be missed: who may not, is refused.

use firth::api::{Need, ROUTES, Route};
use serde_json::json;

use crate::support::{Backend, Client, Reply};

/// The route with something in each of its places.
fn path(route: &Route) -> String {
    let path = route.path.replace("{type}", "Observation").replace("{version}", "1").replace("{page}", "README");
    let mut out = String::new();
    for part in path.split_inclusive('}') {
        match part.split_once('{') {
            Some((before, _)) => out.push_str(&format!("{before}00000000-0000-4000-8000-000000000000")),
            None => out.push_str(part),
        }
    }
    out
}

fn ask(client: &Client<'_>, route: &Route) -> Reply {
    let body: Option<&[u8]> = if ["POST", "PATCH"].contains(&route.verb) { Some(b"{}") } else { None };
    client.with("content-type", "application/json").send(route.verb, &path(route), body)
}

both! {
    fn without_a_token_every_closed_route_is_401(server) {
        for client in [server.nobody(), server.nobody().bearer("nonsense"), server.nobody().with("authorization", "Basic eDp5")] {
            for route in ROUTES.iter().filter(|route| route.need != Need::Nothing) {
                let reply = ask(&client, route);
                assert_eq!((reply.status, reply.header("x-firth-error")), (401, Some("auth.required")), "{} {}", route.verb, route.path);
                assert!(reply.header("www-authenticate").is_some_and(|header| header.starts_with("Bearer")), "{} {}", route.verb, route.path);
                let form = [reply.at("/resourceType") == json!("OperationOutcome"), reply.at("/error").is_string(), reply.at("/detail").is_string()];
                let (fhir, oauth) = (route.path.starts_with("/fhir"), route.path.starts_with("/oauth"));
                assert_eq!(form, [fhir, oauth, !fhir && !oauth], "{}", route.path);
                assert!(reply.header("x-request-id").is_some());
            }
        }
    }
}

both! {
    fn with_a_token_of_the_wrong_kind_every_closed_route_is_403(server) {
        let alice = server.person("alice");
        let (app, sdk, ehr) = (server.backend_of_app(), alice.sdk(), server.ehr());
        for route in ROUTES.iter().filter(|route| route.need != Need::Nothing) {
            let wrong: &[&Client<'_>] = match route.need {
                Need::Token => &[&app, &sdk],
                Need::App => &[&ehr, &sdk],
                Need::Sdk => &[&ehr],
                _ => &[],
            };
            assert!(!wrong.is_empty(), "a need without a wrong token: {}", route.path);
            for client in wrong {
                let reply = ask(client, route);
                assert_eq!((reply.status, reply.header("x-firth-error")), (403, Some("auth.forbidden")), "{} {}", route.verb, route.path);
            }
        }
    }
}

both! {
    fn open_routes_are_these_and_no_others(server) {
        let mut open: Vec<&str> = ROUTES.iter().filter(|route| route.need == Need::Nothing).map(|route| route.name).collect();
        open.dedup();
        assert_eq!(open, ["start", "docs", "healthz", "readyz", "metrics", "oauth-metadata", "resource-metadata", "token", "introspect", "revoke", "register", "jwks", "brands", "smart-configuration", "authorize", "patient-picker", "consent", "sign-in-page", "sign-in", "new-password", "sign-in-upstream", "sign-out", "account", "grant-revoke", "style", "app", "capabilities", "openapi", "token-issue", "redeem", "token-refresh", "token-revoke"]);
        for path in ["/healthz", "/readyz", "/metrics", "/fhir/metadata", "/fhir/openapi.json"] {
            server.nobody().get(path).is(200);
        }
        let metrics = server.nobody().get("/metrics").text();
        let by_clocks = metrics.lines().find_map(|line| line.strip_prefix("firth_database_clock_offset_seconds ")?.parse::<f64>().ok());
        assert_eq!(by_clocks.map(|apart| apart.abs() < 5.0), (server.backend == Backend::Postgres).then_some(true), "{metrics}");
        for name in ["firth_requests_total", "firth_request_seconds", "firth_inbox_depth", "firth_audit_backlog"] {
            assert!(metrics.contains(name), "{name}");
        }
    }
}

both! {
    fn no_request_is_a_failure_of_the_server(server) {
        let alice = server.person("alice");
        for client in [server.nobody(), server.backend_of_app(), alice.sdk(), server.ehr(), server.auditor()] {
            for route in ROUTES {
                let reply = ask(&client, route);
                assert!(reply.status < 500, "{} {}: {}", route.verb, route.path, reply.text());
            }
        }
    }
}

both! {
    fn what_is_not_served_is_absent(server) {
        for path in ["/console", "/apps", "/apps/vitals", "/apps/vitals/", "/apps/vitals/client.json", "/.well-known/smart-configuration", "/oauth/brands"] {
            let refused = server.nobody().get(path).is(404);
            assert_eq!(refused.header("x-firth-error"), Some("resource.not-found"), "{path}");
        }
    }
}
