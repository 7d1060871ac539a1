//! The User Access Brand Bundle of SMART App Launch 2.2: who runs this server, as people know it, and its endpoint.

use serde_json::{Value, json};

use super::render;
use crate::clock::Millis;
use crate::config::{BrandAddress, BrandLogo, BrandPortal, BrandTable};

const PROFILES: &str = "http://hl7.org/fhir/smart-app-launch/StructureDefinition";
const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition";
const ORGANIZATION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/organization-type";
/// The one Endpoint.
const ENDPOINT: &str = "Endpoint/fhir";

/// The Bundle of a server whose public URL is `url`. It last changed when the table says, else when the server started.
pub fn bundle(brand: &BrandTable, url: &str, started: Millis) -> Value {
    let mut entries = vec![entry(url, "Organization/brand", organization(brand, "brand", None))];
    for (n, part) in brand.parts.iter().enumerate() {
        let id = format!("part-{}", n + 1);
        entries.push(entry(url, &format!("Organization/{id}"), organization(part, &id, Some("Organization/brand"))));
    }
    entries.push(entry(url, ENDPOINT, endpoint(brand, url)));
    json!({
        "resourceType": "Bundle",
        "id": "brands",
        "meta": {"profile": [format!("{PROFILES}/user-access-brands-bundle")]},
        "type": "collection",
        "timestamp": brand.updated.clone().unwrap_or_else(|| render::time(started)),
        "entry": entries,
    })
}

/// The identifier by which `smart-configuration` names the brand of this server.
pub fn identifier(brand: &BrandTable) -> Option<Value> {
    brand.identifier.as_ref().map(|of| without_null(json!({"system": of.system, "value": of.value})))
}

fn entry(url: &str, of: &str, resource: Value) -> Value {
    json!({"fullUrl": format!("{url}/oauth/brands/{of}"), "resource": resource})
}

fn organization(brand: &BrandTable, id: &str, part_of: Option<&str>) -> Value {
    let mut extensions: Vec<Value> = extension("organization-brand", branded(brand)).into_iter().collect();
    extensions.extend(brand.portal.as_ref().and_then(|portal| extension("organization-portal", portal_of(portal))));
    let telecom = [("url", Some(&brand.website)), ("phone", brand.phone.as_ref()), ("email", brand.email.as_ref())];
    let telecom = telecom.into_iter().filter_map(|(system, value)| value.map(|value| json!({"system": system, "value": value})));
    let categories = brand.categories.iter().map(|code| json!({"coding": [{"system": ORGANIZATION_TYPE, "code": code}]}));
    without_null(json!({
        "resourceType": "Organization",
        "id": id,
        "meta": {"profile": [format!("{PROFILES}/user-access-brand")]},
        "extension": listed(extensions),
        "identifier": listed(identifier(brand)),
        "active": true,
        "type": listed(categories),
        "name": brand.name,
        "alias": listed(brand.aliases.iter().map(|alias| json!(alias))),
        "telecom": listed(telecom),
        "address": listed(brand.addresses.iter().map(address)),
        "partOf": part_of.map(|of| json!({"reference": of})),
        "endpoint": [{"reference": ENDPOINT}],
    }))
}

fn endpoint(brand: &BrandTable, url: &str) -> Value {
    let contact = brand.contact.as_ref().unwrap_or(&brand.website);
    let contact = match (contact.strip_prefix("mailto:"), contact.strip_prefix("tel:")) {
        (Some(email), _) => json!({"system": "email", "value": email}),
        (_, Some(phone)) => json!({"system": "phone", "value": phone}),
        _ => json!({"system": "url", "value": contact}),
    };
    json!({
        "resourceType": "Endpoint",
        "id": "fhir",
        "meta": {"profile": [format!("{PROFILES}/user-access-endpoint")]},
        "extension": [{"url": format!("{EXTENSIONS}/endpoint-fhir-version"), "valueCode": "4.0.1"}],
        "status": "active",
        "connectionType": {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
        "name": format!("FHIR R4 of {}", brand.name),
        "managingOrganization": {"reference": "Organization/brand"},
        "contact": [contact],
        "payloadType": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"}]}],
        "address": format!("{url}/fhir"),
    })
}

/// An extension of parts; none without any.
fn extension(name: &str, parts: Vec<Value>) -> Option<Value> {
    (!parts.is_empty()).then(|| json!({"url": format!("{EXTENSIONS}/{name}"), "extension": parts}))
}

fn branded(brand: &BrandTable) -> Vec<Value> {
    let mut parts = logo("brand", &brand.logo);
    parts.extend(brand.bundle.as_ref().map(|url| json!({"url": "brandBundle", "valueUrl": url})));
    parts
}

fn portal_of(portal: &BrandPortal) -> Vec<Value> {
    let mut parts = vec![json!({"url": "portalName", "valueString": portal.name})];
    parts.extend(portal.description.as_ref().map(|text| json!({"url": "portalDescription", "valueMarkdown": text})));
    parts.push(json!({"url": "portalUrl", "valueUrl": portal.url}));
    parts.extend(logo("portal", &portal.logo));
    parts.push(json!({"url": "portalEndpoint", "valueReference": {"reference": ENDPOINT}}));
    parts
}

fn logo(of: &str, logo: &BrandLogo) -> Vec<Value> {
    let mut parts: Vec<Value> = logo.urls.iter().map(|url| json!({"url": format!("{of}Logo"), "valueUrl": url})).collect();
    let kind = logo.license_type.as_ref().and_then(|code| code.split_once('|'));
    let coded =
        |(system, code): (&str, &str)| json!({"url": format!("{of}LogoLicenseType"), "valueCoding": {"system": system, "code": code}});
    parts.extend(kind.map(coded));
    parts.extend(logo.license.as_ref().map(|url| json!({"url": format!("{of}LogoLicense"), "valueUrl": url})));
    parts
}

fn address(of: &BrandAddress) -> Value {
    without_null(json!({
        "line": listed(of.line.iter().map(|line| json!(line))),
        "city": of.city,
        "state": of.state,
        "postalCode": of.postal_code,
        "country": of.country,
    }))
}

/// A list, or null where there is nothing: an empty list is no JSON of FHIR.
fn listed(values: impl IntoIterator<Item = Value>) -> Value {
    let values: Vec<Value> = values.into_iter().collect();
    if values.is_empty() { Value::Null } else { values.into() }
}

fn without_null(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}
