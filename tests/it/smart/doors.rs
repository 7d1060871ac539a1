//! Every way in which a token can be shown with a question about one patient's data.

use serde_json::{Value, json};

use crate::support::{Reply, http};

/// A request without its headers.
#[derive(Clone)]
pub struct Door {
    pub name: &'static str,
    pub verb: &'static str,
    /// From the root, with its query.
    pub path: String,
    pub body: Option<(&'static str, String)>,
}

/// What there is to ask for: a Patient, one of its Observations, and a next link that was given for this token's caller.
pub struct Sights<'t> {
    pub patient: &'t str,
    pub observation: &'t str,
    pub next: &'t str,
}

const JSON: &str = "application/fhir+json";

pub fn doors(sights: &Sights<'_>) -> Vec<Door> {
    let Sights { patient, observation, next } = sights;
    let get = |name, path: String| Door { name, verb: "GET", path, body: None };
    let bundle = |kind: &str| {
        let ask = |url: String| json!({"request": {"method": "GET", "url": url}});
        let entries = [ask(format!("Patient/{patient}")), ask("Observation?_count=1".into())];
        Some((JSON, json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string()))
    };
    let next = &next[next.find("/fhir/").expect("a link below /fhir")..];
    vec![
        get("read", format!("/fhir/Patient/{patient}")),
        Door { name: "HEAD", verb: "HEAD", path: format!("/fhir/Patient/{patient}"), body: None },
        get("vread", format!("/fhir/Observation/{observation}/_history/1")),
        get("search", "/fhir/Observation?_count=5".into()),
        Door {
            name: "POST _search",
            verb: "POST",
            path: "/fhir/Observation/_search".into(),
            body: Some(("application/x-www-form-urlencoded", "_count=5".into())),
        },
        Door { name: "batch", verb: "POST", path: "/fhir".into(), body: bundle("batch") },
        Door { name: "transaction", verb: "POST", path: "/fhir".into(), body: bundle("transaction") },
        get("history", format!("/fhir/Observation/{observation}/_history")),
        get("type history", "/fhir/Observation/_history".into()),
        get("system history", "/fhir/_history".into()),
        get("next link", next.to_owned()),
    ]
}

/// Every way to change a patient's data, of which there are two Observations. Done one after the other, each leaves something
/// new behind.
pub fn changes(patient: &str, [one, other]: [&str; 2]) -> Vec<Door> {
    let of = |value: &str| crate::documents::weight(patient, value);
    let whole = |value: &str| {
        let mut body = of(value);
        body["id"] = json!(one);
        body
    };
    let sends = |name, verb, path: &str, body: &Value| {
        let kind = if body.is_array() { "application/json-patch+json" } else { JSON };
        Door { name, verb, path: path.to_owned(), body: Some((kind, body.to_string())) }
    };
    let bundle = |kind: &str, value: &str| {
        let entries = json!([{"request": {"method": "POST", "url": "Observation"}, "resource": of(value)},
            {"request": {"method": "PUT", "url": format!("Observation/{one}")}, "resource": whole(value)}]);
        json!({"resourceType": "Bundle", "type": kind, "entry": entries})
    };
    let (path, found) = (format!("/fhir/Observation/{one}"), format!("/fhir/Observation?_id={one}"));
    vec![
        sends("POST", "POST", "/fhir/Observation", &of("81.1")),
        sends("PUT", "PUT", &path, &whole("82.2")),
        sends("PUT by criteria", "PUT", &found, &whole("83.3")),
        sends("PATCH", "PATCH", &path, &json!([{"op": "replace", "path": "/status", "value": "amended"}])),
        sends("batch of writes", "POST", "/fhir", &bundle("batch", "84.4")),
        sends("transaction of writes", "POST", "/fhir", &bundle("transaction", "85.5")),
        Door { name: "DELETE", verb: "DELETE", path, body: None },
        Door { name: "DELETE by criteria", verb: "DELETE", path: format!("/fhir/Observation?_id={other}"), body: None },
    ]
}

impl Door {
    /// The answer at this server, with these headers.
    #[track_caller]
    pub fn opens(&self, url: &str, headers: &[(&str, &str)]) -> Reply {
        let body = self.body.as_ref().map(|(kind, body)| (("content-type", *kind), body));
        let headers = headers.iter().chain(body.iter().map(|(kind, _)| kind));
        let headers: Vec<(String, String)> = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reply = http::call(self.verb, &format!("{url}{}", self.path), &headers, body.map(|(_, body)| body.as_bytes()));
        reply.unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    #[track_caller]
    pub fn bearer(&self, url: &str, token: &str) -> Reply {
        self.opens(url, &[("authorization", &format!("Bearer {token}"))])
    }

    /// The same address with one more parameter.
    pub fn with(&self, parameter: &str) -> Door {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        Door { name: self.name, verb: self.verb, path: format!("{}{joint}{parameter}", self.path), body: self.body.clone() }
    }
}

/// An answer without the id of its request.
pub fn shape(reply: &Reply) -> String {
    let id = reply.header("x-request-id").unwrap_or("none");
    reply.text().replace(id, "REQUEST")
}

/// Does it show anything of anybody? A refusal is an OperationOutcome.
pub fn tells(reply: &Reply) -> bool {
    !reply.body.is_empty() && reply.at("/resourceType") != "OperationOutcome"
}
