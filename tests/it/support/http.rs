//! A client that shows everything the server sends, whatever the status.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::server::TestServer;
use super::{Bundle, received};

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {} {}", self.status, self.text()))
    }

    /// What stands at a JSON pointer; null when nothing does.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or_default()
    }

    /// The text at a JSON pointer.
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("no text at {pointer}: {}", self.text())).to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The stable code of a refusal, in whichever of the three forms it came.
    #[track_caller]
    pub fn code(&self) -> String {
        let json = self.json();
        if json["error"].is_string() {
            return self.header("x-firth-error").unwrap_or_else(|| panic!("no code: {json}")).to_owned();
        }
        let code = json.pointer("/issue/0/details/coding/0/code").or_else(|| json.pointer("/issue/0/code"));
        code.and_then(Value::as_str).unwrap_or_else(|| panic!("no code: {json}")).to_owned()
    }
}

fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .accept(ureq::config::AutoHeaderValue::None)
            .accept_encoding(ureq::config::AutoHeaderValue::None)
            .max_redirects(0)
            .build();
        config.into()
    })
}

/// One request, as it is; `Err` when there was no answer at all.
pub fn call(verb: &str, url: &str, headers: &[(String, String)], body: Option<&[u8]>) -> Result<Reply, ureq::Error> {
    let mut request = ureq::http::Request::builder().method(verb).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut response = match body {
        Some(body) => agent().run(request.body(body)?)?,
        None => agent().run(request.body(())?)?,
    };
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let body = response.body_mut().with_config().limit(256 << 20).read_to_vec()?;
    Ok(Reply { status: response.status().as_u16(), headers, body })
}

/// Somebody who calls a server with the same headers each time.
#[derive(Clone)]
pub struct Client<'s> {
    pub server: &'s TestServer,
    pub headers: Vec<(String, String)>,
}

impl<'s> Client<'s> {
    pub fn nobody(server: &'s TestServer) -> Client<'s> {
        Client { server, headers: Vec::new() }
    }

    pub fn with(&self, name: &str, value: impl Into<String>) -> Client<'s> {
        let mut headers: Vec<_> = self.headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name)).cloned().collect();
        headers.push((name.to_owned(), value.into()));
        Client { server: self.server, headers }
    }

    pub fn bearer(&self, token: &str) -> Client<'s> {
        self.with("authorization", format!("Bearer {token}"))
    }

    #[track_caller]
    pub fn send(&self, verb: &str, path: &str, body: Option<&[u8]>) -> Reply {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.server.url()) };
        let reply = call(verb, &url, &self.headers, body).unwrap_or_else(|e| panic!("{verb} {url}: {e}\n{}", self.server.log_end()));
        received::keep(&reply);
        reply
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.with("content-type", "application/json").send("POST", path, Some(body.to_string().as_bytes()))
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        self.with("content-type", "application/json").send("PATCH", path, Some(body.to_string().as_bytes()))
    }

    /// A search that must succeed: `Observation?code=x`.
    #[track_caller]
    pub fn search(&self, query: &str) -> Bundle {
        Bundle(self.get(&format!("/fhir/{query}")).is(200).json())
    }

    /// Every page of a search, by its next links.
    #[track_caller]
    pub fn pages(&self, query: &str) -> Vec<Bundle> {
        let mut pages = vec![self.search(query)];
        while let Some(next) = pages.last().and_then(Bundle::next) {
            pages.push(Bundle(self.get(&next).is(200).json()));
            assert!(pages.len() < 500, "next links without end");
        }
        pages
    }
}
