//! An app, the person before it, and the way from one to the other.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::documents::{created, put};
use crate::sign_in::PASSWORD;
use crate::support::actors::value_of;
use crate::support::browser::{Browser, encoded};
use crate::support::{Reply, TestServer};

pub const CALLBACK: &str = "https://app.example/callback";
pub const VERIFIER: &str = "a-verifier-of-this-test-that-is-long-enough-0123456789";
pub const STATE: &str = "state of 1 & of 2/ü";

/// A row of `requirements`: what it says holds, and its number is printed.
#[track_caller]
pub fn shall(number: u16, holds: bool) {
    assert!(holds, "requirement {number} does not hold");
    println!("requirement {number}");
}

pub fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()).as_ref())
}

/// The claims of a JWT, its signature aside.
pub fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

/// A part of a JWT: 0 its header, 1 its claims.
pub fn part(jwt: &str, n: usize) -> Value {
    let part = BASE64URL_NOPAD.decode(jwt.split('.').nth(n).expect("a part").as_bytes()).expect("base64url");
    serde_json::from_slice(&part).expect("JSON")
}

/// A registered app.
#[derive(Clone)]
pub struct App<'s> {
    pub server: &'s TestServer,
    pub id: String,
    pub secret: Option<String>,
}

impl TestServer {
    /// An app that `firth client add` made, with these further arguments.
    #[track_caller]
    pub fn registered(&self, more: &[&str]) -> App<'_> {
        let printed = self.place.tells(&[&["client", "add", "--name", "Testing app"], more].concat());
        let secret = printed.contains("client_secret=").then(|| value_of(&printed, "client_secret"));
        if let Some(secret) = &secret {
            self.plant(secret);
        }
        App { server: self, id: value_of(&printed, "client_id"), secret }
    }

    /// A public app of people.
    #[track_caller]
    pub fn public_app(&self) -> App<'_> {
        self.registered(&["--public", "--redirect-uri", CALLBACK])
    }
}

/// Somebody whom a clinician cares for, the clinician's browser, and the person's own.
pub struct Clinic<'s> {
    pub server: &'s TestServer,
    pub patient: String,
    pub other: String,
    pub observation: String,
    pub encounter: String,
    pub practitioner: String,
    pub clinician: Browser<'s>,
    pub person: Browser<'s>,
}

impl<'s> Clinic<'s> {
    #[track_caller]
    pub fn new(server: &'s TestServer) -> Clinic<'s> {
        let ehr = server.ehr();
        let patient =
            |family: &str| created(&ehr, &json!({"resourceType": "Patient", "name": [{"family": family}], "birthDate": "1980-05-11"}));
        let (one, other) = (patient("Marlow"), patient("Renn"));
        let practitioner = server.practitioner();
        created(
            &ehr,
            &json!({"resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{one}")},
            "participant": [{"member": {"reference": practitioner}}]}),
        );
        let observation = created(&ehr, &crate::documents::weight(&one, "61.3"));
        let encounter = created(
            &ehr,
            &json!({"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": format!("Patient/{one}")},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}),
        );
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
        server.account("marlow", &["--role", "patient", "--fhir-user", &format!("Patient/{one}")]);
        let (clinician, person) = (server.browser(), server.browser());
        clinician.signs_in("ruiz", PASSWORD);
        person.signs_in("marlow", PASSWORD);
        Clinic { server, patient: one, other, observation, encounter, practitioner, clinician, person }
    }

    /// The clinician cares for the other one as well.
    #[track_caller]
    pub fn cares_for_both(&self) {
        created(
            &self.server.ehr(),
            &json!({"resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{}", self.other)},
            "participant": [{"member": {"reference": self.practitioner}}]}),
        );
    }

    /// The EHR starts the app with the patient open, and whatever else is said.
    #[track_caller]
    pub fn launch(&self, app: &App<'_>, more: &Value) -> String {
        let mut body = json!({"client_id": app.id, "patient": self.patient});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let launch = self.server.ehr().post("/oauth/launch", &body).is(201).text_at("/launch");
        self.server.plant(&launch);
        launch
    }
}

/// The parameters of an authorization request; `more` takes the place of what has the same name, and without a value leaves
/// it out.
pub fn asked(app: &App<'_>, scope: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let aud = format!("{}/fhir", app.server.url());
    let challenge = challenge(VERIFIER);
    let usual = [
        ("response_type", "code"),
        ("client_id", app.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("state", STATE),
        ("aud", aud.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    kept.chain(more).filter(|(_, value)| !value.is_empty()).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What a browser of somebody who is signed in brings back to the app: parameters of its address. On the way a patient is
/// picked if there is a choice, and what `decision` says is pressed.
#[track_caller]
pub fn brings(browser: &Browser<'_>, pick: &str, decision: &str, parameters: &[(String, String)]) -> Vec<(String, String)> {
    let mut page = browser.get(&format!("/oauth/authorize?{}", encoded(parameters)));
    for _ in 0..6 {
        if page.reply.status == 303 {
            let (to, told) = page.sent_to();
            if to == CALLBACK {
                return told;
            }
            page = browser.get(page.reply.header("location").expect("a location"));
        } else if page.heading() == "Choose a patient" {
            page = browser.submit(&page.form("/oauth/patient"), &[], Some(("patient", pick)));
        } else {
            page = browser.submit(&page.form("/oauth/consent"), &[], Some(("decision", decision)));
        }
    }
    panic!("the way does not end: {}", page.text());
}

pub fn of<'t>(told: &'t [(String, String)], name: &str) -> Option<&'t str> {
    told.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl App<'_> {
    /// A request of the token endpoint.
    pub fn asks(&self, more: &[(&str, &str)]) -> Reply {
        let mut form: Vec<(String, String)> = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if self.secret.is_none() {
            form.push(("client_id".into(), self.id.clone()));
        }
        let mut client =
            self.server.nobody().with("content-type", "application/x-www-form-urlencoded").with("origin", "https://app.example");
        if let Some(secret) = &self.secret {
            client =
                client.with("authorization", format!("Basic {}", data_encoding::BASE64.encode(format!("{}:{secret}", self.id).as_bytes())));
        }
        let reply = client.send("POST", "/oauth/token", Some(encoded(&form).as_bytes()));
        if reply.status == 200 {
            for name in ["access_token", "refresh_token", "id_token"] {
                if let Some(secret) = reply.json()[name].as_str() {
                    self.server.plant(secret);
                }
            }
        }
        reply
    }

    pub fn exchanges(&self, code: &str, verifier: &str) -> Reply {
        self.asks(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", verifier)])
    }

    /// A standalone launch to its end: the token response.
    #[track_caller]
    pub fn launches(&self, browser: &Browser<'_>, pick: &str, scope: &str, more: &[(&str, &str)]) -> Reply {
        let told = brings(browser, pick, "allow", &asked(self, scope, more));
        let code = of(&told, "code").unwrap_or_else(|| panic!("no code: {told:?}")).to_owned();
        self.exchanges(&code, VERIFIER).is(200)
    }

    pub fn refreshes(&self, refresh_token: &str, more: &[(&str, &str)]) -> Reply {
        self.asks(&[&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], more].concat())
    }
}

/// An Observation of somebody.
pub fn writes(server: &TestServer, token: &str, of: &str) -> u16 {
    server.nobody().bearer(token).post("/fhir/Observation", &crate::documents::weight(of, "70")).status
}

/// An update by PUT; its status.
pub fn updates(server: &TestServer, token: &str, of: (&str, &str)) -> u16 {
    let mut body = crate::documents::weight(of.1, "71");
    body["id"] = json!(of.0);
    put(&server.nobody().bearer(token), &format!("/fhir/Observation/{}", of.0), &body).status
}
