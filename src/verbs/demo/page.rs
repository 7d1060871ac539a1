//! The demo page: one HTML text with its style, its script and the demo's tokens inside.

use serde_json::json;

use super::load::Demo;
use super::people::Phone;

const HTML: &str = include_str!("../../demo/page.html");
const CSS: &str = include_str!("../../demo/page.css");
const JS: &str = include_str!("../../demo/page.js");

pub fn text(demo: &Demo) -> String {
    let people: Vec<_> = demo
        .people
        .iter()
        .map(|one| {
            json!({
                "name": format!("{} {}", one.who.first, one.who.last), "says": one.who.says, "zone": one.who.zone,
                "source": if one.who.phone == Phone::Apple { "Apple Health" } else { "Health Connect" },
                "user": one.user, "patient": one.patient, "upload": one.upload,
            })
        })
        .collect();
    let data = json!({
        "people": people, "apiKey": demo.api_key, "launch": {"client": demo.smart.client_id, "url": demo.smart.app_url},
        "logins": demo.smart.logins,
        "tokens": {
            "ehr-system": demo.token("ehr-system"), "clinician": demo.token("clinician"), "patient": demo.token("patient"),
            "auditor": demo.token("auditor"), "operator": demo.token("operator"),
        },
    });
    // A name with "</script>" must not end the element.
    let data = data.to_string().replace('<', "\\u003c");
    HTML.replace("/* style */", CSS).replace("/* data */", &data).replace("/* script */", JS)
}
