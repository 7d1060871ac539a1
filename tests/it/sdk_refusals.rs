//! Bad bodies: refused whole with 4xx, or record by record; never stored in part, never a 500.

use std::io::{Read, Write};
use std::net::TcpStream;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::actors::counts;
use crate::support::payload::*;
use crate::support::{Reply, TestServer};

fn gzip(of: &mut dyn Read) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(of, &mut out).unwrap();
    out.finish().unwrap()
}

both! {
    fn what_is_not_an_envelope_is_refused_whole(server) {
        let alice = server.person("alice");
        let deep = format!(r#"{{"provider":"apple","data":{{}},"x":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        let bodies: &[(&[u8], u16, &str)] = &[
            (b"", 400, "request.syntax"),
            (b"{", 400, "request.syntax"),
            (b"<xml/>", 400, "request.syntax"),
            (br#"{"provider":"apple","data":{}} trailing"#, 400, "request.syntax"),
            (b"{\"provider\":\"app\xffle\",\"data\":{}}", 400, "request.syntax"),
            (br#"{"provider":"apple","data":{"records":[{"value":NaN}]}}"#, 400, "request.syntax"),
            (br#"{"provider":"apple","data":{"records":[{"value":-Infinity}]}}"#, 400, "request.syntax"),
            (b"[]", 400, "request.syntax"),
            (b"7", 400, "request.syntax"),
            (br#"{"provider":"apple","provider":"apple","data":{}}"#, 400, "request.syntax"),
            (br#"{"provider":"apple","data":{"records":[],"records":[]}}"#, 400, "request.syntax"),
            (deep.as_bytes(), 400, "request.syntax"),
            (br#"{"provider":"apple","x":"\u0000","data":{}}"#, 422, "text.nul"),
            (br#"{"provider":"apple","data":{"a\u0000":[{}]}}"#, 422, "text.nul"),
            (br#"{"data":{}}"#, 422, "request.envelope"),
            (br#"{"provider":"fitbit","data":{}}"#, 422, "request.envelope"),
            (br#"{"provider":"apple"}"#, 422, "request.envelope"),
            (br#"{"provider":"apple","data":[]}"#, 422, "request.envelope"),
        ];
        for (body, status, code) in bodies {
            let reply = alice.sync(body).is(*status);
            assert_eq!(reply.code(), *code, "{}", String::from_utf8_lossy(body));
            assert!(reply.at("/detail").is_string() && reply.at("/request_id").is_string());
        }
        assert_eq!(alice.sync(br#"{"provider":"fitbit","data":{}}"#).at("/issue/0/at"), "provider");
        assert_eq!(alice.sync(deep.as_bytes()).at("/issue/0/at"), "x");
        assert_eq!(alice.finds("").matches().len(), 0);
    }
}

both! {
    fn a_bad_record_never_costs_its_neighbours(server) {
        let alice = server.person("alice");
        let good = |n: i64| heart(&format!("good-{n}"), &minute(n), "70").to_string();
        let bad = |id: &str, member: &str, value: Value| but(heart(id, &minute(30), "70"), member, value).to_string();
        let late = |member: &str, value: &str| but(but(heart("b", &minute(30), "70"), "zoneOffset", Value::Null), member, json!(value)).to_string();
        let huge = heart("b", &minute(30), "70").to_string().replace("\"value\":70", "\"value\":1e999");
        let twice = heart("b", &minute(30), "70").to_string().replace("\"unit\"", "\"value\":71,\"unit\"");
        let deep = heart("b", &minute(30), "70").to_string().replace("\"metadata\":null", &format!("\"metadata\":{}{}", "[".repeat(70), "]".repeat(70)));
        let table: Vec<(String, &str)> = vec![
            (twice, "json.duplicate-key"),
            (deep, "json.depth"),
            (huge, "value.not-a-number"),
            (bad("b", "value", json!("70")), "value.not-a-number"),
            (bad("b\u{0}", "value", json!(70)), "text.nul"),
            (bad("b", "unit", json!("furlong")), "unit.unknown"),
            (bad("b", "value", json!(401)), "value.range"),
            (late("startDate", "2026-03-14T08:00:00"), "time.no-zone"),
            (but(record(STEPS, "b", &minute(30), "70"), "endDate", json!(minute(29))).to_string(), "time.reversed"),
            (record(STEPS, "b", &minute(30), "-1").to_string(), "value.range"),
            (record("HKQuantityTypeIdentifierOxygenSaturation", "b", &minute(30), "140").to_string().replace("\"unit\":\"\"", "\"unit\":\"%\""), "value.range"),
            ("7".into(), "json.shape"),
            (record("HKQuantityTypeIdentifierNeverHeardOf", "b", &minute(30), "1").to_string(), "type.unmapped"),
        ];
        let mut records = vec![good(0)];
        for (n, (record, _)) in table.iter().enumerate() {
            records.extend([record.clone(), good(n as i64 + 1)]);
        }
        let body = format!(r#"{{"provider":"apple","data":{{"records":[{}]}}}}"#, records.join(","));
        let reply = alice.sync(body.as_bytes()).is(202);
        let upload = alice.ended(&reply.text_at("/upload_id"));
        assert_eq!((counts(&upload), upload.at("/status")), ([table.len() as i64 + 1, 0, 0, table.len() as i64], json!("partial")));
        for (n, (_, code)) in table.iter().enumerate() {
            let refused = upload.at(&format!("/refused/{n}"));
            assert_eq!((&refused["code"], &refused["index"]), (&json!(code), &json!(2 * n + 1)), "{refused}");
            assert_eq!(refused["type"] == "", *code == "json.shape", "{refused}");
        }
        assert_eq!(alice.finds("").matches().len(), table.len() + 1);
    }
}

both! {
    fn a_local_time_with_an_offset_beside_it_is_read(server) {
        let alice = server.person("alice");
        let local = but(but(heart("r-1", "2026-03-14T08:00:00", "72"), "endDate", json!("2026-03-14T08:00:00")), "zoneOffset", json!("-05:00"));
        alice.stores(&apple(vec![local]));
        assert_eq!(alice.finds("").only()["effectiveDateTime"], "2026-03-14T08:00:00-05:00");
    }
}

fn too_large(server: &TestServer) {
    let alice = server.person("alice");
    let pad = |bytes: usize| format!(r#"{{"provider":"apple","data":{{}},"pad":"{}"}}"#, "x".repeat(bytes));
    alice.sync(pad(3_900).as_bytes()).is(202);
    assert_eq!(alice.sync(pad(4_200).as_bytes()).is(413).code(), "request.too-large");
    let client = alice.sdk().with("content-encoding", "gzip");
    let bomb = gzip(&mut pad(20_000_000).as_bytes());
    assert_eq!(client.send("POST", &alice.sync_path(), Some(&bomb)).is(413).code(), "request.too-large");
    let mut cut = gzip(&mut pad(100).as_bytes());
    cut.truncate(cut.len() - 6);
    assert_eq!(client.send("POST", &alice.sync_path(), Some(&cut)).is(400).code(), "request.syntax");
    assert_eq!(client.send("POST", &alice.sync_path(), Some(b"no gzip")).is(400).code(), "request.syntax");
}

both! {
    fn more_than_the_limit_is_413_before_and_after_decompression(server, "FIRTH_MAX_UPLOAD_BYTES" = "4096") {
        too_large(server);
    }
}

/// Writes these bytes and reads what comes back until the connection ends.
fn raw(server: &TestServer, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.write_all(bytes).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") || !answer.ends_with(b"}") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

both! {
    fn a_body_that_does_not_arrive_in_time_is_408(server, "FIRTH_BODY_TIMEOUT_SECS" = "1") {
        let alice = server.person("alice");
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 5000\r\n\r\n", alice.sync_path(), alice.access);
        let half = format!("{head}{{\"provider\":\"apple\",\"data\":{{\"records\":[");
        let reply = raw(server, half.as_bytes());
        assert_eq!((reply.status, reply.code().as_str()), (408, "request.timeout"));
        assert_eq!(alice.finds("").matches().len(), 0);
        alice.stores(&apple(hearts("r", 2)));
    }
}

both! {
    fn a_connection_that_breaks_in_the_body_leaves_nothing(server) {
        let alice = server.person("alice");
        let body = apple(hearts("r", 400)).to_string();
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n", alice.sync_path(), alice.access, body.len());
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
        drop(stream);
        assert_eq!(counts(&alice.uploads(&apple(hearts("r", 400)))), [400, 0, 0, 0]);
    }
}

/// The most memory a process had so far, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_gzip_bomb_does_not_fill_the_memory() {
    let server = TestServer::start(crate::support::Backend::Sqlite, &[]).unwrap();
    let alice = server.person("alice");
    alice.stores(&apple(hearts("r", 10)));
    let before = peak(server.pid());
    let blanks = std::io::repeat(b' ').take(100 << 20);
    let bomb = gzip(&mut br#"{"provider":"apple","data":{"records":["#.chain(blanks));
    assert!(bomb.len() < 1 << 20);
    assert_eq!(
        alice.sdk().with("content-encoding", "gzip").send("POST", &alice.sync_path(), Some(&bomb)).is(413).code(),
        "request.too-large"
    );
    let grown = peak(server.pid()) - before;
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

#[test]
fn clients_that_never_read_an_outcome_hold_no_thread_and_little_memory() {
    let server = TestServer::start(crate::support::Backend::Sqlite, &[]).unwrap();
    let alice = server.person("alice");
    let n = 60_000;
    let body = format!(r#"{{"provider":"apple","data":{{"records":[0{}]}}}}"#, ",0".repeat(n - 1));
    let upload = alice.sync(body.as_bytes()).is(202).text_at("/upload_id");
    let outcome = alice.ended(&upload);
    let (before, threads_before) = (peak(server.pid()), threads(server.pid()));
    let readers = 8.max(2 * std::thread::available_parallelism().unwrap().get());
    let ask = format!(
        "GET /api/v1/sdk/users/{}/uploads/{upload} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        alice.user, alice.access
    );
    let open = |_| {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        stream.write_all(ask.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        stream
    };
    let _stalled: Vec<TcpStream> = (0..readers + 40).map(open).collect();
    // Whoever does read is served meanwhile, and everything is there in its order.
    let again = alice.ended(&upload);
    assert_eq!(again.body, outcome.body);
    let refused = again.json()["refused"].as_array().unwrap().iter().map(|one| one["index"].as_u64()).collect::<Vec<_>>();
    assert!(refused.into_iter().eq((0..n as u64).map(Some)));
    assert!(threads(server.pid()) <= threads_before + readers, "{} threads, {threads_before} before", threads(server.pid()));
    let grown = peak(server.pid()) - before;
    // Connections to the database have warmed up, too. It was 16 MiB a client.
    assert!(grown < 192 << 20, "{} MiB", grown >> 20);
}

#[test]
fn a_large_body_stays_within_the_memory_of_a_request() {
    let server = TestServer::start(crate::support::Backend::Sqlite, &[]).unwrap();
    let alice = server.person("alice");
    alice.stores(&apple(hearts("r", 10)));
    let before = peak(server.pid());
    // Records of random text do not compress: what is held of them is seen.
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letters = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + 2 + (noise >> 33) as u8 % 57)
    };
    let mut text = String::from(r#"{"provider":"apple","data":{"records":["#);
    while text.len() < 60 << 20 {
        let pad: String = (0..8_000).map(|_| letters()).filter(|letter| *letter != '\\').collect();
        text.push_str(&format!("{{\"type\":\"x\",\"pad\":\"{pad}\"}},"));
    }
    text.push_str("7]}}");
    alice.sync(text.as_bytes()).is(202);
    let grown = peak(server.pid()) - before;
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
}

#[test]
fn a_database_that_is_locked_is_503_and_the_next_write_goes_through() {
    let server = TestServer::start(crate::support::Backend::Sqlite, &[]).unwrap();
    let alice = server.person("alice");
    assert_eq!(alice.finds("").matches().len(), 0);
    let path = server.place.data().join("firth.db");
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    let (uploads, user) = (apple(hearts("r", 3)), json!({"external_user_id": "mrn-locked"}));
    other.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    let refused = alice.sync(uploads.to_string().as_bytes()).is(503);
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("server.busy", Some("5")));
    // Who only reads is served meanwhile.
    assert_eq!(alice.finds("").matches().len(), 0);
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(counts(&alice.stores(&uploads)), [3, 0, 0, 0]);
    server.backend_of_app().post("/api/v1/users", &user).is(201);
    assert_eq!(alice.finds("").matches().len(), 3);
    server.expects_errors();
}
