//! What is asked of the server, as a value: the world answers it, and it is sent.

use serde_json::{Value, json};

use super::find::{Filter, encoded};
use super::patch::Patch;

/// One resource, by its id or by what is true of it.
#[derive(Clone, Debug)]
pub enum To {
    Id(String),
    Where(Vec<Filter>),
}

/// A resource as it is sent; `flawed` ones break a rule of R4.
#[derive(Clone, Debug)]
pub struct Sent {
    pub json: Value,
    pub flawed: bool,
}

#[derive(Clone, Debug)]
pub enum Ask {
    Create {
        kind: &'static str,
        sent: Sent,
        unless: Option<Vec<Filter>>,
    },
    Update {
        kind: &'static str,
        to: To,
        sent: Sent,
        only: Option<String>,
    },
    Delete {
        kind: &'static str,
        to: To,
        only: Option<String>,
    },
    Read {
        kind: &'static str,
        id: String,
        version: Option<u32>,
        have: Option<u32>,
    },
    Search {
        kind: &'static str,
        filters: Vec<Filter>,
        form: bool,
        count: Option<usize>,
    },
    History {
        kind: &'static str,
        id: String,
        count: Option<usize>,
    },
    /// The history of a type or of everything; of the newest pages only, unless `whole`.
    Changes {
        kind: Option<&'static str>,
        count: usize,
        whole: bool,
    },
    Patch {
        kind: &'static str,
        to: To,
        patch: Patch,
        only: Option<String>,
    },
    /// A transaction, or a batch.
    Bundle {
        whole: bool,
        entries: Vec<Entry>,
    },
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub ask: Ask,
    pub full_url: Option<String>,
}

impl Entry {
    fn json(&self) -> Value {
        let wire = self.ask.wire();
        let mut entry = json!({"request": {"method": wire.verb, "url": wire.path}});
        for (header, member) in [("if-match", "ifMatch"), ("if-none-match", "ifNoneMatch"), ("if-none-exist", "ifNoneExist")] {
            if let Some((_, value)) = wire.headers.iter().find(|(name, _)| *name == header) {
                entry["request"][member] = json!(value);
            }
        }
        match &self.ask {
            Ask::Patch { kind, patch, .. } => entry["resource"] = patch.resource(kind),
            ask => entry.as_object_mut().expect("an object").extend(ask.sent().map(|sent| ("resource".to_owned(), sent.json.clone()))),
        }
        if let Some(full_url) = &self.full_url {
            entry["fullUrl"] = json!(full_url);
        }
        entry
    }
}

/// An ask as HTTP has it; the path is that below `/fhir/`.
#[derive(Clone, Debug)]
pub struct Wire {
    pub verb: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

impl Wire {
    fn new(verb: &'static str, path: String) -> Wire {
        Wire { verb, path, headers: Vec::new(), body: None }
    }

    fn resource(mut self, body: &Value) -> Wire {
        self.headers.push(("content-type", "application/fhir+json".to_owned()));
        self.body = Some(body.to_string().into_bytes());
        self
    }

    fn with(mut self, name: &'static str, value: &Option<String>) -> Wire {
        self.headers.extend(value.clone().map(|value| (name, value)));
        self
    }

    /// For the list of what was done last.
    pub fn said(&self) -> String {
        let headers: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let body = self.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
        format!("{} {} [{}] {body}", self.verb, self.path, headers.join(", "))
    }
}

pub fn query(filters: &[Filter]) -> String {
    filters.iter().map(Filter::text).collect::<Vec<_>>().join("&")
}

fn place(kind: &str, to: &To) -> String {
    match to {
        To::Id(id) => format!("{kind}/{}", encoded(id)),
        To::Where(filters) if filters.is_empty() => kind.to_owned(),
        To::Where(filters) => format!("{kind}?{}", query(filters)),
    }
}

impl Ask {
    pub fn wire(&self) -> Wire {
        match self {
            Ask::Create { kind, sent, unless } => {
                let unless = unless.as_ref().map(|filters| query(filters));
                Wire::new("POST", (*kind).to_owned()).resource(&sent.json).with("if-none-exist", &unless)
            }
            Ask::Update { kind, to, sent, only } => Wire::new("PUT", place(kind, to)).resource(&sent.json).with("if-match", only),
            Ask::Delete { kind, to, only } => Wire::new("DELETE", place(kind, to)).with("if-match", only),
            Ask::Read { kind, id, version, have } => {
                let version = version.map(|version| format!("/_history/{version}")).unwrap_or_default();
                let have = have.map(|have| format!("W/\"{have}\""));
                Wire::new("GET", format!("{kind}/{id}{version}")).with("if-none-match", &have)
            }
            Ask::Search { kind, filters, form, count } => {
                let mut asked: Vec<String> = filters.iter().map(Filter::text).collect();
                asked.push(format!("_count={}", count.unwrap_or(1_000)));
                asked.push("_total=accurate".to_owned());
                let asked = asked.join("&");
                if !form {
                    return Wire::new("GET", format!("{kind}?{asked}"));
                }
                let mut wire = Wire::new("POST", format!("{kind}/_search"));
                wire.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
                wire.body = Some(asked.into_bytes());
                wire
            }
            Ask::History { kind, id, count } => {
                let count = count.map(|count| format!("?_count={count}")).unwrap_or_default();
                Wire::new("GET", format!("{kind}/{id}/_history{count}"))
            }
            Ask::Changes { kind, count, .. } => {
                let place = kind.map(|kind| format!("{kind}/")).unwrap_or_default();
                Wire::new("GET", format!("{place}_history?_count={count}"))
            }
            Ask::Patch { kind, to, patch, only } => {
                let mut wire = Wire::new("PATCH", place(kind, to)).with("if-match", only);
                wire.headers.push(("content-type", patch.content_type().to_owned()));
                wire.body = Some(patch.body(kind).to_string().into_bytes());
                wire
            }
            Ask::Bundle { whole, entries } => {
                let kind = if *whole { "transaction" } else { "batch" };
                let entries: Vec<Value> = entries.iter().map(Entry::json).collect();
                let mut bundle = json!({"resourceType": "Bundle", "type": kind});
                if !entries.is_empty() {
                    bundle["entry"] = json!(entries);
                }
                Wire::new("POST", String::new()).resource(&bundle)
            }
        }
    }

    /// The name in the table of what must have occurred.
    pub fn name(&self) -> &'static str {
        match self {
            Ask::Create { unless: None, .. } => "create",
            Ask::Create { .. } => "create if none",
            Ask::Update { to: To::Id(_), only: None, .. } => "update",
            Ask::Update { to: To::Id(_), .. } => "update if match",
            Ask::Update { .. } => "update where",
            Ask::Delete { to: To::Id(_), only: None, .. } => "delete",
            Ask::Delete { to: To::Id(_), .. } => "delete if match",
            Ask::Delete { .. } => "delete where",
            Ask::Read { version: Some(_), .. } => "vread",
            Ask::Read { .. } => "read",
            Ask::Search { form: true, .. } => "search by form",
            Ask::Search { .. } => "search",
            Ask::History { .. } => "history",
            Ask::Changes { kind: Some(_), .. } => "history of a type",
            Ask::Changes { .. } => "history of all",
            Ask::Patch { to: To::Where(_), .. } => "patch where",
            Ask::Patch { patch: Patch { json: true, .. }, .. } => "json patch",
            Ask::Patch { .. } => "fhirpath patch",
            Ask::Bundle { whole: true, .. } => "transaction",
            Ask::Bundle { .. } => "batch",
        }
    }

    pub fn sent(&self) -> Option<&Sent> {
        match self {
            Ask::Create { sent, .. } | Ask::Update { sent, .. } => Some(sent),
            _ => None,
        }
    }

    /// The type of what it writes.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Ask::Create { kind, .. } | Ask::Update { kind, .. } | Ask::Delete { kind, .. } | Ask::Patch { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// Is it wrong by itself, whatever there is?
    pub fn is_flawed(&self) -> bool {
        let other_id = match self {
            Ask::Update { to: To::Id(id), sent, .. } => sent.json["id"].as_str() != Some(id),
            _ => false,
        };
        other_id || self.sent().is_some_and(|sent| sent.flawed)
    }

    /// In which turn a transaction does it.
    pub fn step(&self) -> u8 {
        match self {
            Ask::Delete { .. } => 0,
            Ask::Create { .. } => 1,
            Ask::Update { .. } | Ask::Patch { .. } => 2,
            _ => 3,
        }
    }

    /// What it changes, by the name or the search that its URL has.
    pub fn changed(&self) -> Option<String> {
        match self {
            Ask::Delete { kind, to, .. } | Ask::Update { kind, to, .. } | Ask::Patch { kind, to, .. } => Some(place(kind, to)),
            _ => None,
        }
    }
}

/// With the id that the path names, where a server would have written it.
pub fn with_id(body: &Value, id: &str) -> Value {
    let mut out = json!({"resourceType": body["resourceType"], "id": id});
    for (name, value) in body.as_object().into_iter().flatten().filter(|(name, _)| !["resourceType", "id"].contains(&name.as_str())) {
        out[name] = value.clone();
    }
    out
}

/// Without what the server sets.
pub fn bare(body: &Value) -> Value {
    let mut out = body.clone();
    let Some(members) = out.as_object_mut() else { return out };
    members.shift_remove("id");
    if let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) {
        meta.shift_remove("versionId");
        meta.shift_remove("lastUpdated");
        if meta.is_empty() {
            members.shift_remove("meta");
        }
    }
    out
}
