//! `firth serve --demo` as somebody meets it who has just built it, and the manual that comes with it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::http::{Reply, call};
use crate::support::postgres;
use crate::support::server::Place;

struct Demo {
    child: Child,
    /// What it said on standard output until it was loaded.
    said: String,
    env: HashMap<String, String>,
    took: Duration,
}

impl Demo {
    fn start(place: &Place, more: &[&str]) -> Demo {
        let began = Instant::now();
        let arguments: Vec<&str> = ["serve", "--demo", "--listen", "127.0.0.1:0"].iter().chain(more).copied().collect();
        let mut child = place.command(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("firth runs");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            assert_ne!(out.read_line(&mut said).expect("text"), 0, "the demo ended: {said}");
        }
        let file = said.lines().find_map(|line| line.trim().strip_prefix("tokens  ")).expect("the place of demo.env").to_owned();
        let text = fs::read_to_string(place.path().join(&file)).expect("demo.env");
        let mode = fs::metadata(place.path().join(&file)).expect("demo.env").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let env = text.lines().map(|line| line.split_once('=').expect("name=value")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Demo { child, said, env, took: began.elapsed() }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        call("GET", &format!("{}{path}", self.env["FIRTH_URL"]), &headers, None).expect("an answer")
    }

    fn search(&self, token: &str, query: &str) -> serde_json::Value {
        self.get(&format!("/fhir/{query}"), &[("authorization", &format!("Bearer {}", self.env[token]))]).is(200).json()
    }

    fn total(&self, token: &str) -> i64 {
        self.search(token, "Observation?_count=0")["total"].as_i64().expect("a total")
    }

    /// SIGTERM; it must leave in order.
    fn stop(mut self) {
        let told = Command::new("/bin/sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        assert!(told.expect("a shell").success());
        assert_eq!(self.child.wait().expect("a child").code(), Some(0));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has gone already when the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The header and the URL of a printed curl line.
fn pasted(line: &str) -> (String, String, String) {
    let mut quoted = line.split('\'').skip(1).step_by(2);
    let (header, url) = (quoted.next().expect("a header"), quoted.next().expect("a URL"));
    let (name, value) = header.split_once(": ").expect("a header");
    (name.to_owned(), value.to_owned(), url.to_owned())
}

#[test]
fn every_printed_line_works_and_nothing_stays_behind() {
    let place = Place::new();
    let demo = Demo::start(&place, &[]);
    assert!(demo.took < Duration::from_secs(3) || cfg!(debug_assertions), "loaded after {:?}", demo.took);
    let folder = demo.said.lines().find_map(|line| line.trim().strip_prefix("data    ")).and_then(|rest| rest.split(' ').next());
    let folder = folder.expect("the folder").to_owned();
    assert!(Path::new(&folder).join("root.key").exists());
    let lines: Vec<&str> = demo.said.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 6);
    for line in lines {
        let (name, value, url) = pasted(line);
        let reply = call("GET", &url.replace('|', "%7C"), &[(name, value)], None).expect("an answer").is(200);
        assert!(reply.text().len() > 300, "{line}: {}", reply.text());
    }
    demo.stop();
    assert!(!Path::new(&folder).exists(), "{folder} was left behind");
}

#[test]
fn each_token_sees_what_its_role_sees() {
    let place = Place::new();
    let demo = Demo::start(&place, &[]);
    let (all, three, one) = (demo.total("FIRTH_EHR_TOKEN"), demo.total("FIRTH_CLINICIAN_TOKEN"), demo.total("FIRTH_PATIENT_TOKEN"));
    assert!(all > 1_100 && all == three && one < all / 2, "{all} {three} {one}");
    let patients: Vec<&str> = demo.env["FIRTH_PATIENT_IDS"].split(',').collect();
    let users: Vec<&str> = demo.env["FIRTH_USER_IDS"].split(',').collect();
    assert_eq!((patients.len(), users.len()), (3, 3));
    let own = demo.search("FIRTH_PATIENT_TOKEN", "Patient");
    assert_eq!(own["entry"][0]["resource"]["id"], patients[0]);
    for (user, patient) in users.iter().zip(&patients) {
        let user = demo.get(&format!("/api/v1/users/{user}"), &[("x-open-wearables-api-key", &demo.env["FIRTH_API_KEY"])]).is(200);
        assert_eq!(user.text_at("/patient_id"), *patient);
    }
    assert_eq!(demo.search("FIRTH_AUDITOR_TOKEN", "AuditEvent?_count=1")["entry"][0]["resource"]["resourceType"], "AuditEvent");
    let newest = demo.search("FIRTH_EHR_TOKEN", "Observation?_count=1");
    let at = newest["entry"][0]["resource"]["effectiveDateTime"].as_str().expect("a time").to_owned();
    let at: jiff::Timestamp = at.parse().expect("a time");
    let age = Place::new().path().metadata().expect("a folder").modified().expect("a time").duration_since(at.into()).expect("the past");
    assert!(age < Duration::from_secs(120), "the last sample is {age:?} old");
    demo.stop();
}

fn second_start(place: &Place) {
    let first = Demo::start(place, &["--data-dir", "kept"]);
    let (env, total) = (first.env.clone(), first.total("FIRTH_EHR_TOKEN"));
    first.stop();
    let second = Demo::start(place, &["--data-dir", "kept"]);
    assert_eq!((&second.env["FIRTH_PATIENT_IDS"], &second.env["FIRTH_USER_IDS"]), (&env["FIRTH_PATIENT_IDS"], &env["FIRTH_USER_IDS"]));
    // A heart rate a person that is a minute old, and what the clock has added meanwhile.
    let more = second.total("FIRTH_EHR_TOKEN") - total;
    assert!((0..40).contains(&more), "{more} more Observations");
    second.get("/fhir/Observation", &[("authorization", &format!("Bearer {}", env["FIRTH_EHR_TOKEN"]))]).is(401);
    second.get("/api/v1/users", &[("x-open-wearables-api-key", &env["FIRTH_API_KEY"])]).is(401);
    second.stop();
}

#[test]
fn a_second_start_keeps_people_and_renews_tokens() {
    second_start(&Place::new());
}

#[test]
fn a_second_start_on_postgres_does_the_same() {
    let Some(cluster) = postgres::cluster() else { return };
    let mut place = Place::new();
    place.set("FIRTH_DATABASE_URL", &cluster.database());
    second_start(&place);
}

#[test]
fn told_to_stop_while_it_loads_it_leaves_in_order() {
    let place = Place::new();
    for wait_ms in [0, 60, 120, 240] {
        let mut child = place.command(&["serve", "--demo", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().expect("firth runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        std::thread::sleep(Duration::from_millis(wait_ms));
        let told = Command::new("/bin/sh").args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]).status();
        assert!(told.expect("a shell").success());
        assert_eq!(child.wait().expect("a child").code(), Some(0), "after {wait_ms} ms");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_shows_tokens_to_loopback_names_only() {
    let place = Place::new();
    let demo = Demo::start(&place, &[]);
    let page = demo.get("/", &[]).is(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let text = page.text();
    for patient in demo.env["FIRTH_PATIENT_IDS"].split(',') {
        assert!(text.contains(patient));
    }
    assert!(text.contains(&demo.env["FIRTH_AUDITOR_TOKEN"]));
    for foreign in ["src=\"http", "@import", "url(http", "<link rel=\"stylesheet"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    // What has a display of its own must be hidden all the same, and a record of the future must not stretch a curve.
    assert!(text.contains("[hidden] { display: none !important; }") && text.contains(r#"date: ["ge" + since(DAY), "le" + since(0)]"#));
    let foreign = demo.get("/", &[("host", "firth.example:8080")]).is(200).text();
    assert!(!foreign.contains("ft-") && foreign.contains("/fhir/metadata"));
    demo.stop();
}

#[test]
fn the_demo_serves_its_app_and_tells_the_logins() {
    let place = Place::new();
    let demo = Demo::start(&place, &[]);
    let url = demo.env["FIRTH_URL"].clone();
    assert_eq!(demo.env["FIRTH_VITALS_URL"], format!("{url}/apps/vitals/"));
    let client = demo.get("/apps/vitals/client.json", &[]).is(200);
    assert_eq!(
        (client.at("/client_id"), client.at("/iss")),
        (demo.env["FIRTH_VITALS_CLIENT_ID"].as_str().into(), format!("{url}/fhir").into())
    );
    let page = demo.get("/apps/vitals/", &[]).is(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("connect-src 'self'") && !policy.contains("unsafe"))
    );
    // Built into the binary or not, it says so.
    assert!(page.text().contains("app.js") || page.text().contains("touch build.rs"), "{}", page.text());
    assert_eq!(demo.get("/apps/vitals?x=1", &[]).is(308).header("location"), Some(format!("{url}/apps/vitals/?x=1").as_str()));
    for absent in ["/apps", "/apps/other/", "/apps/vitals/nothing.js", "/apps/vitals/..%2f..%2fCargo.toml"] {
        demo.get(absent, &[]).is(404);
    }
    for who in ["CLINICIAN", "PATIENT"] {
        let (name, password) = (&demo.env[format!("FIRTH_{who}_LOGIN").as_str()], &demo.env[format!("FIRTH_{who}_PASSWORD").as_str()]);
        assert!(demo.said.contains(&format!("sign in as {name} with {password}")), "{}", demo.said);
        assert!(demo.get("/", &[]).is(200).text().contains(password.as_str()));
    }
    let asked = [("authorization", format!("Bearer {}", demo.env["FIRTH_EHR_TOKEN"])), ("content-type", "application/json".to_owned())];
    let patient = demo.env["FIRTH_PATIENT_IDS"].split(',').next().expect("an id").to_owned();
    let body = format!("{{\"client_id\": \"{}\", \"patient\": \"{patient}\"}}", demo.env["FIRTH_VITALS_CLIENT_ID"]);
    let headers: Vec<(String, String)> = asked.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let launch = call("POST", &format!("{url}/oauth/launch"), &headers, Some(body.as_bytes())).expect("an answer").is(201);
    assert!(launch.at("/launch").is_string());
    demo.stop();
}

#[test]
fn the_demo_stays_on_this_machine_and_off_other_stores() {
    let mut place = Place::new();
    fs::create_dir(place.data()).expect("a folder");
    fs::write(place.data().join("firth.db"), "").expect("a file");
    for arguments in [&["serve", "--demo", "--listen", "0.0.0.0:0"][..], &["serve", "--demo", "--data-dir", "data"]] {
        let output = place.firth(arguments);
        assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!place.data().join("root.key").exists());
    place.set("FIRTH_DATABASE_URL", "sqlite://elsewhere");
    assert_eq!(place.firth(&["serve", "--demo"]).status.code(), Some(78));
}

/// Wherever the demo's folder is, and with the words as they stand in the manual.
#[test]
fn the_verbs_in_the_manual_for_apps_work_as_they_are_pasted() {
    let place = Place::new();
    let demo = Demo::start(&place, &["--data-dir", "it's kept here"]);
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/apps.md")).expect("a manual");
    let path = format!("{}:/usr/bin:/bin", Path::new(env!("CARGO_BIN_EXE_firth")).parent().expect("a folder").display());
    let mut before = ". \"./it's kept here/demo.env\"\n".to_owned();
    let (mut said, mut verbs) = (String::new(), 0);
    for line in manual.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines) {
        if line.starts_with("export ") {
            before.push_str(&format!("{line}\n"));
        } else if line.starts_with("firth ") {
            let id = said.lines().find_map(|line| line.strip_prefix("client_id=")).unwrap_or("ID");
            let script = format!("{before}{}", line.replace(" ID", &format!(" {id}")));
            let mut shell = Command::new("/bin/sh");
            shell.args(["-euc", &script]).env_clear().env("PATH", &path).env("HOME", place.path()).current_dir(place.path());
            let output = shell.output().expect("a shell");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            said.push_str(&String::from_utf8_lossy(&output.stdout));
            verbs += 1;
        }
    }
    assert_eq!(verbs, 3, "{said}");
    assert!(said.contains("client_id=") && said.contains("name: My app"), "{said}");
    demo.stop();
}

/// Links between pages that are files of the repository, and the pages that the binary serves.
#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/decisions"] {
        pages.extend(fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("a file").path()));
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(page).expect("text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.starts_with("http")) {
            let target = page.parent().expect("a folder").join(link.split('#').next().expect("a path"));
            assert!(target.exists(), "{} leads to {link}", page.display());
        }
    }
}
