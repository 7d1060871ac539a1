//! Who takes part: an app, people with data, and those who read.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Client, Reply};
use super::server::TestServer;

/// An app as `firth app create` made it.
#[derive(Clone, Debug)]
pub struct App {
    pub id: String,
    pub secret: String,
    pub api_key: String,
}

/// `name=value` lines.
pub fn value_of(printed: &str, name: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')));
    line.unwrap_or_else(|| panic!("no {name} in {printed}")).to_owned()
}

impl App {
    pub fn create(server: &TestServer) -> App {
        let printed = server.place.tells(&["app", "create", "--name", "the-testing-app"]);
        server.plant("the-testing-app");
        let [id, secret, api_key] = ["app_id", "app_secret", "api_key"].map(|name| value_of(&printed, name));
        server.plant(&secret);
        server.plant(&api_key);
        App { id, secret, api_key }
    }
}

/// A person with a user, a Patient and the SDK's tokens.
#[derive(Clone)]
pub struct Person<'s> {
    pub server: &'s TestServer,
    pub user: String,
    pub patient: String,
    pub access: String,
    pub refresh: String,
}

impl TestServer {
    /// A token of `firth token issue`, and its id.
    #[track_caller]
    pub fn token(&self, arguments: &[&str]) -> (String, String) {
        let printed = self.place.tells(&[&["token", "issue"], arguments].concat());
        let token = value_of(&printed, "token");
        self.plant(&token);
        (token, value_of(&printed, "token_id"))
    }

    pub fn nobody(&self) -> Client<'_> {
        Client::nobody(self)
    }

    /// The backend of the app.
    pub fn backend_of_app(&self) -> Client<'_> {
        self.nobody().with("X-Open-Wearables-API-Key", &self.app().api_key)
    }

    /// Sees every patient.
    pub fn ehr(&self) -> Client<'_> {
        self.nobody().bearer(self.ehr_token())
    }

    pub fn auditor(&self) -> Client<'_> {
        self.nobody().bearer(&self.token(&["--role", "auditor"]).0)
    }

    pub fn clinician(&self, patients: &[&Person<'_>]) -> Client<'_> {
        let mut arguments = vec!["--role", "clinician"];
        for person in patients {
            arguments.extend(["--patient", person.patient.as_str()]);
        }
        self.nobody().bearer(&self.token(&arguments).0)
    }

    /// Somebody new, whose name must never reach the log.
    #[track_caller]
    pub fn person(&self, name: &str) -> Person<'_> {
        let [first, last, external] = ["first", "last", "external"].map(|part| format!("{name}-{part}-{}", uuid::Uuid::new_v4().simple()));
        let email = format!("{first}@example.org");
        for mark in [&first, &last, &external] {
            self.plant(mark);
        }
        let fields = json!({"first_name": first, "last_name": last, "external_user_id": external, "email": email});
        let made = self.backend_of_app().post("/api/v1/users", &fields).is(201);
        let (user, patient) = (made.text_at("/id"), made.text_at("/patient_id"));
        let app = self.app();
        let pair = self.nobody().post(&format!("/api/v1/users/{user}/token"), &json!({"app_id": app.id, "app_secret": app.secret})).is(200);
        let (access, refresh) = (pair.text_at("/access_token"), pair.text_at("/refresh_token"));
        self.plant(&access);
        self.plant(&refresh);
        Person { server: self, user, patient, access, refresh }
    }
}

impl<'s> Person<'s> {
    /// The SDK on the person's phone.
    pub fn sdk(&self) -> Client<'s> {
        self.server.nobody().bearer(&self.access)
    }

    /// The person with a patient's token.
    pub fn own(&self) -> Client<'s> {
        self.server.nobody().bearer(&self.server.token(&["--role", "patient", "--patient", &self.patient]).0)
    }

    pub fn sync_path(&self) -> String {
        format!("/api/v1/sdk/users/{}/sync", self.user)
    }

    #[track_caller]
    pub fn sync(&self, body: &[u8]) -> Reply {
        self.sdk().with("content-type", "application/json").send("POST", &self.sync_path(), Some(body))
    }

    /// Uploads, waits until the upload has ended, and answers how.
    #[track_caller]
    pub fn uploads(&self, body: &Value) -> Reply {
        let reply = self.sync(body.to_string().as_bytes()).is(202);
        self.ended(&reply.text_at("/upload_id"))
    }

    /// The upload once it has ended.
    #[track_caller]
    pub fn ended(&self, upload: &str) -> Reply {
        // Longer than the lease of a worker that was killed.
        let end = Instant::now() + Duration::from_secs(180);
        loop {
            let reply = self.sdk().get(&format!("/api/v1/sdk/users/{}/uploads/{upload}", self.user)).is(200);
            if reply.at("/status") != json!("in_progress") {
                return reply;
            }
            assert!(Instant::now() < end, "the upload does not end: {}", reply.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Uploads what must be stored without a refusal.
    #[track_caller]
    pub fn stores(&self, body: &Value) -> Reply {
        let reply = self.uploads(body);
        assert_eq!(reply.at("/refused"), json!([]), "{}", reply.text());
        reply
    }

    /// This person's Observations, as a system sees them; `more` are further parameters.
    #[track_caller]
    pub fn finds(&self, more: &str) -> Bundle {
        self.server.ehr().search(&format!("Observation?patient={}&_count=1000{more}", self.patient))
    }
}

/// `stored`, `unchanged`, `corrected`, number of `refused`.
#[track_caller]
pub fn counts(upload: &Reply) -> [i64; 4] {
    let json = upload.json();
    let number = |name: &str| json[name].as_i64().unwrap_or(-1);
    [number("stored"), number("unchanged"), number("corrected"), json["refused"].as_array().map_or(-1, |refused| refused.len() as i64)]
}

/// A searchset.
#[derive(Clone, Debug)]
pub struct Bundle(pub Value);

impl Bundle {
    fn entries(&self) -> Vec<&Value> {
        self.0["entry"].as_array().map(|entries| entries.iter().collect()).unwrap_or_default()
    }

    fn of_mode(&self, mode: &str) -> Vec<Value> {
        self.entries().into_iter().filter(|entry| entry["search"]["mode"] == mode).map(|entry| entry["resource"].clone()).collect()
    }

    pub fn matches(&self) -> Vec<Value> {
        self.of_mode("match")
    }

    pub fn included(&self) -> Vec<Value> {
        self.of_mode("include")
    }

    pub fn outcomes(&self) -> Vec<Value> {
        self.of_mode("outcome")
    }

    pub fn ids(&self) -> Vec<String> {
        self.matches().iter().map(|resource| resource["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn total(&self) -> Option<i64> {
        self.0["total"].as_i64()
    }

    pub fn link(&self, relation: &str) -> Option<String> {
        let links = self.0["link"].as_array()?;
        links.iter().find(|link| link["relation"] == relation)?["url"].as_str().map(str::to_owned)
    }

    pub fn next(&self) -> Option<String> {
        self.link("next")
    }

    /// The one match there must be.
    #[track_caller]
    pub fn only(&self) -> Value {
        let matches = self.matches();
        assert_eq!(matches.len(), 1, "{}", self.0);
        matches[0].clone()
    }
}
