//! Keeps examples of what the server sent under `target/conformance/received`, for the official validator
//! (`conformance/run`): a few of each kind.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::Reply;

/// Examples of one kind; more would only cost the validator's time.
const EXAMPLES: u32 = 4;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("conformance")
}

/// What makes a kind: the type, the mapping, the issue codes, the codes of an AuditEvent, the profiles of what is inside.
fn kinds(resource: &Value) -> String {
    let word = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut kind = format!("{} {} {} {}", word("/resourceType"), word("/type"), word("/meta/source"), word("/meta/profile/0"));
    let list = |name: &str| resource[name].as_array().cloned().unwrap_or_default();
    kind.extend(list("issue").iter().map(|issue| format!(" {}", issue["details"]["coding"][0]["code"])));
    kind.extend(list("subtype").iter().map(|subtype| format!(" {}", subtype["code"])));
    let mut inner: Vec<String> = list("entry").iter().map(|entry| kinds(&entry["resource"])).collect();
    inner.sort();
    inner.dedup();
    kind.extend(inner);
    kind
}

/// What clients said in LOINC's name, of documents that tests write: invented codes, and such as the fragment does not have.
const CODES_OF_CLIENTS: [&str; 15] =
    ["1111-1", "2222-2", "3333-3", "4444-4", "1-8", "2-6", "3-3", "3-4", "7-5", "9-9", "2345-7", "8302-2", "59284-0", "11506-3", "47420-5"];

/// Does the validator know less of it than it would have to? Codes that clients sent; the profiles of SMART's brands, which
/// no package here has; a Bundle in a Bundle, in which it takes extensions for misplaced and ids for doubled.
fn is_beyond_the_validator(resource: &Value, text: &str) -> bool {
    let entries = resource["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().any(|entry| entry["resource"]["resourceType"] == "Bundle")
        || text.contains("StructureDefinition/user-access-")
        || CODES_OF_CLIENTS.iter().any(|code| text.contains(&format!("\"code\":\"{code}\"")))
}

/// Does a history point to something of which it has several versions, or the deletion? The validator looks for one
/// resource behind every reference; R4 asks that of no history.
fn is_ambiguous(bundle: &Value, text: &str) -> bool {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let url = |entry: &Value| entry["fullUrl"].as_str().unwrap_or_default().to_owned();
    let urls: Vec<String> = entries.iter().map(url).collect();
    let once = |at: &String| urls.iter().filter(|url| *url == at).count() == 1;
    bundle["type"] == "history"
        && entries.iter().zip(&urls).filter(|(entry, at)| entry["resource"].is_null() || !once(at)).any(|(_, at)| {
            let name: Vec<&str> = at.rsplitn(3, '/').take(2).collect();
            name.len() == 2 && text.contains(&format!("\"reference\":\"{}/{}", name[1], name[0]))
        })
}

/// Keeps a FHIR answer when fewer than four of its kind were kept.
pub fn keep(reply: &Reply) {
    static KEPT: OnceLock<Mutex<HashMap<String, u32>>> = OnceLock::new();
    if reply.header("content-encoding").is_some()
        || !reply.header("content-type").is_some_and(|kind| kind.starts_with("application/fhir+json"))
    {
        return;
    }
    let Ok(resource) = serde_json::from_slice::<Value>(&reply.body) else { return };
    // An extension that a test invented is what the client said: the validator knows nothing of it, and we added nothing.
    if reply.text().contains("\"url\":\"urn:x") {
        return;
    }
    if is_ambiguous(&resource, &reply.text()) || is_beyond_the_validator(&resource, &reply.text()) {
        return;
    }
    let folder = folder().join("received");
    let kept = KEPT.get_or_init(|| {
        // What an earlier run received says nothing of this one.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("target can be written");
        Mutex::default()
    });
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let all: u32 = kept.values().sum();
    let one = kept.entry(kinds(&resource)).or_default();
    if *one < EXAMPLES {
        *one += 1;
        fs::write(folder.join(format!("{all:05}.json")), &reply.body).expect("target can be written");
    }
}
