//! Device (https://hl7.org/fhir/R4/device.html): what measured, and the app that passed it on.

use fhir_sdk::r4b::codes::{DeviceNameType, FHIRDeviceStatus};
use fhir_sdk::r4b::resources::{Device, DeviceDeviceName, DeviceVersion};

use super::render::{self, text};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{DocumentId, PatientId};

/// The system of the identifier that a device is found by.
pub const IDENTIFIER: &str = "urn:firth:device";

/// ISO/IEEE 11073-10101, whose codes name the kinds of version (HL7 Personal Health Device guide).
const MDC: &str = "urn:iso:std:iso:11073:10101";

/// What a source says about one device or app of one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub id: DocumentId,
    pub version: u32,
    pub last_updated: Millis,
    pub patient: PatientId,
    /// Keyed hash of what makes it this device and no other.
    pub key_hash: String,
    /// Software, not hardware.
    pub app: bool,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub product_type: Option<String>,
    /// What the user calls it; of an app its name or bundle identifier.
    pub name: Option<String>,
    pub hardware_version: Option<String>,
    /// Of an app its own version.
    pub software_version: Option<String>,
    /// `watch`, `phone`, `ring` ...
    pub kind: Option<String>,
}

/// The Device as it is stored. The same description is always the same text.
pub fn json(described: &Described) -> Result<String> {
    let clean = |value: &Option<String>| value.as_deref().and_then(text);
    let mut device = Device::builder()
        .id(described.id.to_string())
        .meta(render::meta(described.version, described.last_updated)?)
        .identifier(vec![Some(render::identifier(IDENTIFIER, &described.key_hash)?)])
        .status(FHIRDeviceStatus::Active)
        .patient(render::reference(format!("Patient/{}", described.patient))?)
        .build()
        .map_err(Error::bug)?;
    let (name, model) = (clean(&described.name), clean(&described.model));
    device.manufacturer = clean(&described.manufacturer);
    device.model_number = clean(&described.product_type).or_else(|| model.clone());
    let names = [(name, DeviceNameType::UserFriendlyName), (model, DeviceNameType::ModelName)];
    for (name, kind) in names.into_iter().filter_map(|(name, kind)| Some((name?, kind))) {
        device.device_name.push(Some(DeviceDeviceName::builder().name(name).r#type(kind).build().map_err(Error::bug)?));
    }
    device.r#type = clean(&described.kind).map(render::named).transpose()?;
    let software = if described.app { "application" } else { "software" };
    let versions = [("531974", "hardware", &described.hardware_version), ("531975", software, &described.software_version)];
    for (code, words, value) in versions {
        if let Some(value) = clean(value) {
            let mut kind = render::concept(render::coding(MDC, code, None)?)?;
            kind.text = Some(words.to_owned());
            device.version.push(Some(DeviceVersion::builder().r#type(kind).value(value).build().map_err(Error::bug)?));
        }
    }
    render::json(device.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn watch() -> Described {
        Described {
            id: DocumentId::from_random([1; 16]),
            version: 2,
            last_updated: 1_771_922_700_120,
            patient: PatientId::from_random([2; 16]),
            key_hash: "00000000deadbeef".into(),
            app: false,
            manufacturer: Some("Apple Inc.".into()),
            model: Some("Watch".into()),
            product_type: Some("Watch7,12".into()),
            name: Some("Ada's watch".into()),
            hardware_version: Some("Watch7,12".into()),
            software_version: Some("11.2".into()),
            kind: Some("watch".into()),
        }
    }

    fn nothing_known() -> Described {
        let none = || None;
        Described {
            manufacturer: Some(" ".into()),
            model: none(),
            product_type: none(),
            name: none(),
            hardware_version: none(),
            software_version: none(),
            kind: none(),
            ..watch()
        }
    }

    fn value(described: &Described) -> Value {
        serde_json::from_str(&super::json(described).unwrap()).unwrap()
    }

    #[test]
    fn a_watch_is_described_whole() {
        let device = value(&watch());
        assert_eq!(device["resourceType"], "Device");
        assert_eq!(device["meta"], json!({"versionId": "2", "lastUpdated": "2026-02-24T08:45:00.12Z"}));
        assert_eq!(device["identifier"], json!([{"system": "urn:firth:device", "value": "00000000deadbeef"}]));
        assert_eq!((&device["modelNumber"], &device["type"]["text"]), (&json!("Watch7,12"), &json!("watch")));
        assert_eq!(
            device["deviceName"],
            json!([{"name": "Ada's watch", "type": "user-friendly-name"}, {"name": "Watch", "type": "model-name"}])
        );
        assert_eq!(device["version"][1]["type"]["text"], "software");
        assert_eq!(device["patient"]["reference"], format!("Patient/{}", watch().patient));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let device = value(&nothing_known());
        for absent in ["manufacturer", "modelNumber", "deviceName", "version", "type"] {
            assert_eq!(device.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn the_version_of_an_app_is_its_own() {
        let device = value(&Described { app: true, hardware_version: None, ..watch() });
        assert_eq!(device["version"][0]["type"]["text"], "application");
    }
}
