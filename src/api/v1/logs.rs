//! What SDKs report of themselves: sync starts, ends of types, the device's state. It is checked and
//! counted; nothing of it is kept but the count, for nothing is asked of it yet.

use serde_json::{Value, json};

use super::user;
use crate::access::Caller;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};

const EVENTS: [&str; 3] = ["historical_data_sync_start", "historical_data_type_sync_end", "device_state"];

pub fn handler(_: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let user = user(request, who)?;
    let body = request.json()?;
    let wrong = |at: &str, what: &str| Error::new(Kind::Unprocessable, format!("{at} {what}")).at(at);
    let events = body
        .get("events")
        .and_then(Value::as_array)
        .filter(|events| (1..=100).contains(&events.len()))
        .ok_or_else(|| wrong("events", "must be a list of 1 to 100"))?;
    for (n, event) in events.iter().enumerate() {
        let kind = event["eventType"].as_str().and_then(|kind| EVENTS.iter().find(|known| **known == kind));
        let kind = kind.ok_or_else(|| wrong(&format!("events[{n}].eventType"), "is not known"))?;
        metrics::counter!("firth_sdk_events_total", "event" => *kind).increment(1);
    }
    Ok(Reply::json(202, &json!({"status_code": 202, "response": "Log events accepted", "user_id": user.to_string()}))
        .about(format!("user/{user}"), Vec::new()))
}
