//! Who is remembered is remembered no longer than what it may see: a token, an emergency, a care team and a Consent end
//! when they end, though the request before was answered. The clock stands still until the test moves it.

use firth::access::Role;
use firth::clock::Clock;
use firth::ledger::clients::Proof;
use firth::ledger::grants::By;
use serde_json::{Value, json};

use crate::consent::consent;
use crate::documents::{patient, weight};
use crate::smart::doors::{Door, Sights, doors, tells};
use crate::smart::flow::shall;
use crate::support::oauth::now;
use crate::support::within::{REDIRECT, VERIFIER, Within};
use crate::support::{Bundle, Reply, http};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

fn still() -> Clock {
    Clock::fixed(now() * SECOND)
}

/// A clinician who signed in just now, an app, a patient with two weights.
struct Ward<'w> {
    server: &'w Within,
    client: String,
    by: By,
    practitioner: String,
    patient: String,
    observation: String,
}

impl<'w> Ward<'w> {
    /// Whose clinician has this name.
    fn of(server: &'w Within, name: &str) -> Ward<'w> {
        let practitioner = format!("Practitioner/{}", server.created(&json!({"resourceType": "Practitioner", "name": [{"family": name}]})));
        let account = server.account(name, Role::Clinician, Some(practitioner.clone())).id;
        let (client, _) = server.client(Proof::Public);
        let patient = server.created(&patient());
        let [observation, _] = ["70.1", "70.2"].map(|value| server.created(&weight(&patient, value)));
        let by = By { client: client.id, account: Some(account), session: None };
        Ward { server, client: client.id.to_string(), by, practitioner, patient, observation }
    }

    fn new(server: &'w Within) -> Ward<'w> {
        Ward::of(server, "ruiz")
    }

    /// Tokens for what a clinician may read.
    fn tokens(&self) -> Value {
        let code = self.server.code(self.by, &self.server.granted(Role::Clinician, "offline_access user/*.rs", None));
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("client_id", &self.client),
        ];
        self.server.form("/oauth/token", &pairs, &[]).is(200).json()
    }

    fn token(&self) -> String {
        self.tokens()["access_token"].as_str().unwrap().to_owned()
    }

    fn refreshed(&self, tokens: &Value) -> String {
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &self.client)];
        self.server.form("/oauth/token", &pairs, &[]).is(200).text_at("/access_token")
    }

    /// The end of something, in whole seconds.
    fn at(&self, after: i64) -> String {
        jiff::Timestamp::from_millisecond(self.server.clock.now() + after).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Every way to the patient's data; the caller is remembered then.
    fn doors(&self, token: &str) -> Vec<Door> {
        let next = Bundle(self.server.get("/fhir/Observation?_count=1", token).is(200).json()).next().unwrap();
        doors(&Sights { patient: &self.patient, observation: &self.observation, next: &next })
    }

    /// Which ways show the patient or what is known of it.
    fn shown(&self, doors: &[Door], token: &str) -> Vec<&'static str> {
        let shows = |door: &Door, reply: &Reply| match door.name {
            "HEAD" => reply.status == 200,
            _ => reply.text().contains(&format!("\"Patient/{}\"", self.patient)) || reply.at("/id") == self.patient.as_str(),
        };
        doors.iter().filter(|door| shows(door, &door.bearer(&self.server.url, token))).map(|door| door.name).collect()
    }

    #[track_caller]
    fn sees_all(&self, doors: &[Door], token: &str) {
        assert_eq!(self.shown(doors, token), doors.iter().map(|door| door.name).collect::<Vec<_>>());
    }

    #[track_caller]
    fn sees_nothing(&self, doors: &[Door], token: &str) {
        assert_eq!(self.shown(doors, token), Vec::<&str>::new());
    }

    fn cares(&self, more: &Value) {
        let mut team = json!({
            "resourceType": "CareTeam", "status": "active", "subject": {"reference": format!("Patient/{}", self.patient)},
            "participant": [{"member": {"reference": self.practitioner}}]
        });
        crate::support::oauth::merge(&mut team, more);
        self.server.created(&team);
    }
}

within! {
    fn a_remembered_token_ends_when_it_expires(server, still()) {
        let ward = Ward::new(server);
        ward.cares(&json!({}));
        let signed = ward.token();
        let opaque = server.token(Role::EhrSystem);
        let doors = ward.doors(&signed);
        server.clock.advance(60 * MINUTE - SECOND);
        ward.sees_all(&doors, &signed);
        server.get("/fhir/Observation", &opaque).is(200);
        server.clock.advance(SECOND);
        for door in &doors {
            let late = door.bearer(&server.url, &signed);
            shall(77, late.status == 401);
            let challenge = late.header("www-authenticate").unwrap_or_default();
            shall(94, late.status == 401 && challenge.contains("error=\"invalid_token\""));
            // In the words of any other token that is none.
            let none = door.bearer(&server.url, &format!("{signed}x"));
            assert_eq!(crate::smart::doors::shape(&late), crate::smart::doors::shape(&none), "{}", door.name);
        }
        // PostgreSQL counts from its own clock, which goes on.
        server.clock.advance(MINUTE);
        assert_eq!(server.get("/fhir/Observation", &opaque).is(401).code(), "auth.expired");
        ward.sees_all(&doors[..9], &ward.token());
    }
}

within! {
    fn a26_a_next_link_ends_after_a_day(server, still()) {
        let ward = Ward::new(server);
        ward.cares(&json!({}));
        let tokens = ward.tokens();
        let token = tokens["access_token"].as_str().unwrap();
        let paths = ["Observation?_count=1", "Observation/_history?_count=1", "_history?_count=1"];
        let links = paths.map(|path| Bundle(server.get(&format!("/fhir/{path}"), token).is(200).json()).next().unwrap());
        let links = links.map(|link| link[link.find("/fhir/").unwrap()..].to_owned());
        server.clock.advance(24 * 60 * MINUTE - MINUTE);
        let later = ward.refreshed(&tokens);
        let follow = |status: u16| {
            for link in &links {
                let reply = server.get(link, &later).is(status);
                assert!(status == 200 || (!tells(&reply) && reply.code() == "request.link-over"), "{}", reply.text());
                let entry = json!({"request": {"method": "GET", "url": link.trim_start_matches("/fhir/")}});
                let headers = [("content-type", "application/fhir+json".to_owned()), ("authorization", format!("Bearer {later}"))];
                let headers = headers.map(|(name, value)| (name.to_owned(), value));
                let bundled = |kind: &str| {
                    let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]}).to_string();
                    http::call("POST", &format!("{}/fhir", server.url), &headers, Some(bundle.as_bytes())).expect("an answer")
                };
                assert_eq!(&bundled("batch").is(200).text_at("/entry/0/response/status")[..3], status.to_string(), "{link}");
                // What a transaction asks is refused with it.
                let whole = bundled("transaction").is(status);
                assert!(status == 200 || (!tells(&whole) && whole.code() == "request.link-over"), "{link}: {}", whole.text());
            }
        };
        follow(200);
        server.clock.advance(MINUTE);
        follow(200);
        server.clock.advance(MINUTE);
        follow(410);
    }
}

within! {
    fn a_services_token_ends_after_five_minutes(server, still()) {
        let pair = crate::support::oauth::Pair::new("ES384");
        let (client, _) = server.client_of(Proof::Keys, |facts| {
            facts.redirect_uris.clear();
            facts.grant_types = vec![firth::ledger::clients::CREDENTIALS.into()];
            facts.role = Some("ehr-system".into());
            facts.scopes = "system/Patient.rs".into();
            facts.jwks = Some(pair.jwks().to_string());
        });
        let (id, url) = (client.id.to_string(), format!("{}/oauth/token", server.url));
        let assertion = pair.sign(
            &json!({"alg": "ES384", "typ": "JWT", "kid": pair.kid}),
            &json!({"iss": id, "sub": id, "aud": url, "exp": server.clock.now() / SECOND + 200, "jti": crate::support::oauth::once()}),
        );
        let pairs = [
            ("grant_type", "client_credentials"), ("scope", "system/Patient.rs"),
            ("client_assertion_type", crate::support::oauth::ASSERTION), ("client_assertion", &assertion),
        ];
        let reply = server.form("/oauth/token", &pairs, &[]).is(200);
        let (token, lasts) = (reply.text_at("/access_token"), reply.at("/expires_in").as_i64().unwrap_or(i64::MAX));
        shall(261, (1..=300).contains(&lasts));
        server.clock.advance((lasts - 1) * SECOND);
        server.get("/fhir/Patient", &token).is(200);
        server.clock.advance(SECOND);
        shall(265, server.get("/fhir/Patient", &token).status == 401);
    }
}

within! {
    fn a_remembered_emergency_ends_after_an_hour(server, still()) {
        let ward = Ward::new(server);
        let tokens = ward.tokens();
        let first = tokens["access_token"].as_str().unwrap().to_owned();
        assert_eq!(server.get(&format!("/fhir/Patient/{}", ward.patient), &first).status, 404);
        let reason = json!({"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "unconscious after a fall"}]});
        let headers = [("content-type", "application/json".to_owned()), ("authorization", format!("Bearer {first}"))];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let path = format!("{}/fhir/Patient/{}/$break-glass", server.url, ward.patient);
        let opened = http::call("POST", &path, &headers, Some(reason.to_string().as_bytes())).expect("an answer").is(200);
        let expires: jiff::Timestamp = opened.text_at("/parameter/0/valueInstant").parse().expect("an instant");
        // PostgreSQL counts from its own clock, which goes on.
        let lasts = expires.as_millisecond() - server.clock.now();
        assert!(lasts >= 60 * MINUTE, "{lasts} ms");
        server.clock.advance(59 * MINUTE);
        let later = ward.refreshed(&tokens);
        let doors = ward.doors(&later);
        ward.sees_all(&doors, &later);
        server.clock.advance(lasts - 59 * MINUTE - 1);
        ward.sees_all(&doors, &later);
        server.clock.advance(1);
        ward.sees_nothing(&doors, &later);
        assert_eq!(server.get(&format!("/fhir/Patient/{}", ward.patient), &later).status, 404);
        assert_eq!(server.get("/fhir/Observation?_total=accurate", &later).is(200).at("/total"), json!(0));
    }
}

within! {
    fn a_remembered_care_team_ends_with_its_period(server, still()) {
        for kind in ["team", "participant", "group"] {
            let ward = Ward::of(server, kind);
            let period = json!({"end": ward.at(10 * MINUTE)});
            match kind {
                "team" => ward.cares(&json!({"period": period})),
                "participant" => ward.cares(&json!({"participant": [{"member": {"reference": ward.practitioner}, "period": period}]})),
                _ => drop(server.created(&json!({
                    "resourceType": "Group", "type": "person", "actual": true, "managingEntity": {"reference": ward.practitioner},
                    "member": [{"entity": {"reference": format!("Patient/{}", ward.patient)}, "period": period}]
                }))),
            }
            let token = ward.token();
            let doors = ward.doors(&token);
            server.clock.advance(10 * MINUTE - SECOND + 1);
            ward.sees_all(&doors, &token);
            // The last second counts to its end; and where other processes write, two seconds would be enough to look again.
            server.clock.advance(2 * SECOND - 1);
            ward.sees_nothing(&doors, &token);
        }
    }
}

within! {
    fn a_consent_begins_and_ends_for_who_is_remembered(server, still()) {
        let ward = Ward::new(server);
        ward.cares(&json!({}));
        let period = json!({"start": ward.at(10 * MINUTE), "end": ward.at(20 * MINUTE)});
        server.created(&consent(&ward.patient, json!({"type": "deny", "period": period})));
        let token = ward.token();
        let mut doors = ward.doors(&token);
        // Who is withheld the patient sees of the ward what says nothing of it.
        doors.retain(|door| door.name != "system history");
        server.clock.advance(10 * MINUTE - SECOND);
        ward.sees_all(&doors, &token);
        server.clock.advance(SECOND);
        ward.sees_nothing(&doors, &token);
        server.clock.advance(10 * MINUTE);
        ward.sees_nothing(&doors, &token);
        server.clock.advance(SECOND);
        ward.sees_all(&doors, &token);
    }
}
