//! Those whom the server asks and who do not answer, and those who ask it too often: nobody else waits for them.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use serde_json::json;

use crate::sign_in::PASSWORD;
use crate::support::browser::Browser;
use crate::support::oauth::{Pair, Service};
use crate::support::{Backend, Reply, TestServer};
use crate::upstream::server;

/// The link to the provider on the page of sign-in.
#[track_caller]
fn link(browser: &Browser<'_>) -> String {
    let text = browser.get("/sign-in").is(200).text();
    let sealed = text.split("/sign-in/upstream?begin=").nth(1).and_then(|rest| rest.split('"').next());
    format!("/sign-in/upstream?begin={}", sealed.expect("a link"))
}

/// Does the server still wait for an answer on this connection?
fn is_waited_for(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut piece = [0; 4_096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Many more than there are threads that answer reads.
const MANY: usize = 24;
/// One asks, and so many wait for what it hears.
const WAIT: usize = 9;

#[test]
fn nobody_waits_for_a_provider_that_does_not_answer() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let provider = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = provider.local_addr().unwrap();
        let toml = format!("[sign_in]\nissuer = \"http://{issuer}\"\nclient_id = \"firth\"\n");
        let Some(server) = server(backend, &toml) else { continue };
        let browser = server.browser();
        let path = link(&browser);
        thread::scope(|scope| {
            let (tell, told) = channel();
            for _ in 0..MANY {
                let (tell, browser, path) = (tell.clone(), &browser, &path);
                scope.spawn(move || tell.send(browser.get(path)).unwrap());
            }
            drop(tell);
            let (mut held, _) = provider.accept().unwrap();
            for _ in WAIT..MANY {
                let page = told.recv().unwrap().is(503);
                assert!(page.reply.header("retry-after").is_some() && !page.heading().is_empty(), "{}", page.text());
            }
            server.nobody().get("/fhir/metadata").is(200);
            assert!(is_waited_for(&mut held), "the provider was given up before others were answered");
            drop(held);
            for _ in 0..WAIT {
                told.recv().unwrap().is(503);
            }
        });
        // Who failed a moment ago is not asked again at once.
        browser.get(&path).is(503);
        provider.set_nonblocking(true).unwrap();
        assert_eq!(provider.accept().map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock));
        server.expects_errors();
    }
}

both! {
    fn one_fetch_of_a_key_set_serves_all_who_wait_for_it_and_holds_up_no_other_client(server) {
        let (pair, listener) = (Pair::new("ES384"), TcpListener::bind("127.0.0.1:0").unwrap());
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let (id, _) = server.client(&["--name", "Slow", "--role", "ehr-system", "--jwks-uri", &uri, "--private-jwks-uri"]);
        let slow = Service { server, id, pair };
        let (pair, set) = (Pair::new("ES384"), TcpListener::bind("127.0.0.1:0").unwrap());
        let uri = format!("http://{}/jwks", set.local_addr().unwrap());
        let (id, _) = server.client(&["--name", "Quick", "--role", "ehr-system", "--jwks-uri", &uri, "--private-jwks-uri"]);
        let jwks = pair.jwks().to_string();
        let quick = Service { server, id, pair };
        thread::spawn(move || {
            let (mut stream, _) = set.accept().unwrap();
            // Who closes with something unread cuts off its own answer.
            let _ = stream.read(&mut [0; 4_096]);
            publish(&mut stream, &jwks);
        });
        thread::scope(|scope| {
            let (tell, told) = channel::<Reply>();
            for _ in 0..MANY {
                let (tell, slow) = (tell.clone(), &slow);
                scope.spawn(move || tell.send(slow.ask(&slow.assertion(&json!({}), &json!({})), "system/Patient.rs")).unwrap());
            }
            drop(tell);
            let (mut held, _) = listener.accept().unwrap();
            for _ in WAIT..MANY {
                let busy = told.recv().unwrap().is(503);
                assert_eq!((busy.at("/error"), busy.header("retry-after").is_some()), (json!("temporarily_unavailable"), true));
            }
            // Another client whose keys are elsewhere is answered meanwhile.
            quick.token("system/Patient.rs");
            assert!(is_waited_for(&mut held), "the slow set was given up before another client was answered");
            held.set_nonblocking(false).unwrap();
            publish(&mut held, &slow.pair.jwks().to_string());
            for _ in 0..WAIT {
                told.recv().unwrap().is(200);
            }
        });
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock), "it was fetched more than once");
    }
}

/// Answers a request for a set that must not be kept.
fn publish(stream: &mut TcpStream, jwks: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{jwks}", jwks.len()).as_bytes()).unwrap();
}

/// Starts it again: it believes now what the tests say of their address.
fn behind_proxy(server: &TestServer) {
    server.stop();
    server.run_as(server.place.command(&["serve", "--behind-proxy", "127.0.0.1"]));
}

#[test]
fn one_address_may_start_and_end_so_many_sign_ins_elsewhere() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let toml = "[sign_in]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"firth\"\n";
        let Some(server) = server(backend, toml) else { continue };
        behind_proxy(&server);
        let browser = server.browser();
        let from = |address: &str, path: &str| browser.send("GET", path, &[("x-forwarded-for", address)], None).reply;
        let statuses: Vec<u16> = (0..300).map(|n| from(&format!("2001:db8:0:1::{n:x}"), "/sign-in/upstream?begin=none").status).collect();
        assert_eq!((statuses[0], statuses.contains(&429)), (400, true));
        let refused =
            (0..300).map(|_| from("2001:db8:0:1:ffff::1", "/sign-in/upstream?state=none&code=1")).find(|reply| reply.status == 429);
        assert!(refused.expect("a refusal").header("retry-after").is_some());
        assert_eq!(from("2001:db8:0:2::1", "/sign-in/upstream?state=none&code=1").status, 400);
    }
}

both! {
    fn addresses_of_one_network_are_one_who_tries(server) {
        behind_proxy(server);
        server.account("ruiz", &["--role", "clinician"]);
        let browser = server.browser();
        let tries = |address: &str, password: &str| {
            let body = browser.get("/sign-in").form("/sign-in").body(&[("name", "ruiz"), ("password", password)], None);
            browser.send("POST", "/sign-in", &[("x-forwarded-for", address)], Some(&body)).reply.status
        };
        for n in 1..5 {
            assert_eq!(tries(&format!("2001:db8:0:1::{n}"), "wrong password"), 403);
        }
        server.sql(false, "UPDATE sign_in_failure SET blocked_until = blocked_until + 600000 WHERE blocked_until > 1000000 AND failures = 4 \
                           AND blocked_until = (SELECT MAX(blocked_until) FROM sign_in_failure)").unwrap();
        assert_eq!(tries("2001:db8:0:1:ffff:ffff:ffff:ffff", PASSWORD), 429);
        assert_eq!(tries("2001:db8:0:2::1", PASSWORD), 303);
    }
}
