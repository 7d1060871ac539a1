//! The Devices of a patient: the one that measured, and the app that passed the record on.

use crate::error::Result;
use crate::fhir::device::{self, Described};
use crate::id::{DocumentId, PatientId, Shelf};
use crate::mapping::Source;
use crate::policy::Visible;
use crate::search::Bounds;
use crate::search::{Criterion, Filter, System, Token, Type};
use crate::store::Tx;
use crate::store::document_search::{Ask, Order};
use crate::store::documents::Key;
use crate::store::listing::first;
use crate::vault::Vault;

use super::documents::{Put, put};

/// Whose device it is.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub vault: &'a Vault,
    pub shelf: Shelf,
    pub patient: PatientId,
}

/// `Device/<id>` of the recording device and of the app; each is made when it is first seen.
pub fn of_source(tx: &mut Tx<'_>, owner: Owner<'_>, source: &Source) -> Result<(Option<String>, Option<String>)> {
    let device = source.device_key().map(|key| find_or_make(tx, owner, source, (&key, false))).transpose()?;
    let app = source.app.as_ref().or(source.app_name.as_ref()).map(|app| find_or_make(tx, owner, source, (app, true))).transpose()?;
    Ok((device, app))
}

fn find_or_make(tx: &mut Tx<'_>, owner: Owner<'_>, source: &Source, which: (&str, bool)) -> Result<String> {
    let (key, app) = which;
    let hash = format!("{:016x}", owner.vault.index().hash(if app { "device-app" } else { "device" }, &[&owner.patient.0, key.as_bytes()]));
    let token = Token { system: System::Is(device::IDENTIFIER.into()), code: Some(hash.clone()) };
    let filters = [Filter::any("identifier", vec![Criterion::Token(token)])];
    let ask = Ask {
        resource: Type::Device,
        visible: &Visible::of_patient(Type::Device, owner.patient),
        filters: &filters,
        bounds: Bounds::default(),
        committed: Bounds::default(),
        order: Order::Committed,
        descending: false,
        after: None,
        limit: 100,
    };
    let mut described = describe(tx, owner, source, (hash, app))?;
    let (id, version, before) = match first(tx, owner.vault, &ask)?.pop() {
        None => (described.id, 1, None),
        Some((id, version, json)) => (DocumentId(id), version + 1, Some((version, json))),
    };
    described.id = id;
    if let Some((current, json)) = before {
        // An update brings new firmware or a new app version; what is equal makes no new version.
        let stamp = stamp_of(&json);
        let same = device::json(&Described { version: current, last_updated: stamp, ..described.clone() })?;
        if same == json {
            return Ok(format!("Device/{id}"));
        }
        described.version = version;
    }
    let json = device::json(&described)?;
    put(
        tx,
        owner.vault,
        &Put { key: Key { shelf: owner.shelf, resource: Type::Device, id: id.0 }, version: described.version, json: &json, upsert: false },
    )?;
    Ok(format!("Device/{id}"))
}

fn stamp_of(json: &str) -> i64 {
    let document: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    document["meta"]["lastUpdated"].as_str().and_then(|text| crate::fhir::stamp::Stamp::parse(text, None).ok()).map_or(0, |stamp| stamp.ms)
}

fn describe(tx: &mut Tx<'_>, owner: Owner<'_>, source: &Source, which: (String, bool)) -> Result<Described> {
    let (key_hash, app) = which;
    let id = DocumentId::from_random(owner.vault.chance.bytes()?);
    let device = |value: &Option<String>| if app { None } else { value.clone() };
    Ok(Described {
        id,
        version: 1,
        last_updated: tx.committed_at(),
        patient: owner.patient,
        key_hash,
        app,
        manufacturer: device(&source.manufacturer),
        model: device(&source.model),
        product_type: device(&source.product_type),
        name: if app { source.app_name.clone().or_else(|| source.app.clone()) } else { source.device_name.clone() },
        hardware_version: device(&source.hardware_version),
        software_version: if app { source.app_version.clone() } else { source.software_version.clone() },
        kind: if app { Some("Application".into()) } else { source.device_type.clone() },
    })
}
