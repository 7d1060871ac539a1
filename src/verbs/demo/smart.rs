//! What the demo needs to be signed in to: a clinician and a patient with logins, who cares for whom, and an app.

use serde_json::{Value, json};

use super::client::{Client, Failed, told};
use super::load::Loaded;
use crate::app::App;
use crate::control;
use crate::error::{Kind, Result};

/// The clinician's Practitioner, and the CareTeam in which the three are patients.
const CLINICIAN: &str = "Practitioner/0b0e5bb6-6d9a-4f0e-8f5c-2f6a6c0d1e01";
const LOGINS: [&str; 2] = ["clinician", "patient"];
/// What the app may ask for.
const SCOPES: &str = "launch launch/patient openid fhirUser online_access patient/Patient.r patient/Observation.rs";

/// Names and passwords of the logins, and the app.
pub struct Smart {
    pub logins: [(&'static str, String); 2],
    pub client_id: String,
    /// Where the app is.
    pub app_url: String,
}

/// Makes them, or gives what an earlier start made new passwords. `earlier` is the client of an earlier start.
pub fn prepare(app: &App, client: &Client, people: &[Loaded], earlier: Option<&str>) -> std::result::Result<Smart, Failed> {
    let ehr = control::carry_out(app, &json!({"verb": "token issue", "role": "ehr-system", "ttl": "10m"}))?;
    let (token, id) = (told(&ehr, "token")?, told(&ehr, "token_id")?);
    let practitioner = json!({"resourceType": "Practitioner", "id": CLINICIAN.trim_start_matches("Practitioner/"), "active": true,
        "name": [{"family": "Okafor", "given": ["Ruth"], "prefix": ["Dr."]}]});
    client.put(&token, CLINICIAN, &practitioner)?;
    for (n, one) in people.iter().enumerate() {
        let team = json!({"resourceType": "CareTeam", "id": format!("demo-{}", n + 1), "status": "active",
            "subject": {"reference": format!("Patient/{}", one.patient)}, "participant": [{"member": {"reference": CLINICIAN}}]});
        client.put(&token, &format!("CareTeam/demo-{}", n + 1), &team)?;
    }
    control::carry_out(app, &json!({"verb": "token revoke", "id": id}))?;
    let own = people.first().map(|one| format!("Patient/{}", one.patient)).unwrap_or_default();
    let [clinician, patient] = LOGINS;
    let logins = [(clinician, login(app, clinician, CLINICIAN)?), (patient, login(app, patient, &own)?)];
    if let Some(earlier) = earlier {
        // Its address may have been another.
        let gone = control::carry_out(app, &json!({"verb": "client disable", "id": earlier}));
        gone.map(|_| ()).or_else(|e| if e.kind == Kind::NotFound { Ok(()) } else { Err(e) })?;
    }
    let app_url = format!("{}/apps/vitals/", app.public_url);
    let made = control::carry_out(
        app,
        &json!({"verb": "client add", "name": "Vitals", "kind": "public", "redirect_uris": [app_url], "launch_uri": app_url, "scopes": [SCOPES]}),
    )?;
    let client_id = told(&made, "client_id")?;
    // Said once; nobody else says it.
    let _ = app.vitals.set(client_id.clone());
    Ok(Smart { logins, client_id, app_url })
}

/// A login with a password of chance, which is answered.
fn login(app: &App, name: &str, fhir_user: &str) -> Result<String> {
    let random: [u8; 10] = app.vault.chance.bytes()?;
    let text = data_encoding::BASE32_NOPAD.encode(&random).to_lowercase();
    let password = [0, 4, 8, 12].map(|at| &text[at..at + 4]).join("-");
    let order = |verb: &str| -> Value { json!({"verb": verb, "name": name, "role": name, "fhir_user": fhir_user, "password": password}) };
    match control::carry_out(app, &order("account add")) {
        Ok(_) => {}
        // It is there from an earlier start.
        Err(e) if e.kind == Kind::Duplicate => control::carry_out(app, &order("account reset")).map(|_| ())?,
        Err(e) => return Err(e),
    }
    Ok(password)
}
