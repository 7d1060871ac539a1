//! The User Access Brand Bundle of SMART App Launch 2.2: who runs this server, as people know it, and its endpoint.

use serde_json::{Value, json};

use crate::config::{BrandAddress, BrandLogo, BrandPortal, BrandTable};

const PROFILES: &str = "http://hl7.org/fhir/smart-app-launch/StructureDefinition";
const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition";
const ORGANIZATION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/organization-type";
/// The one Endpoint.
const ENDPOINT: &str = "Endpoint/fhir";

/// The Bundle of a server whose public URL is `url`. It last changed when the table says.
pub fn bundle(brand: &BrandTable, url: &str) -> Value {
    let updated = brand.updated.map(|at| at.to_string());
    let mut entries = vec![entry(url, "Organization/brand", organization(brand, "brand", None))];
    for (n, part) in brand.parts.iter().enumerate() {
        let id = format!("part-{}", n + 1);
        entries.push(entry(url, &format!("Organization/{id}"), organization(part, &id, Some("Organization/brand"))));
    }
    entries.push(entry(url, ENDPOINT, endpoint(brand, url)));
    json!({
        "resourceType": "Bundle",
        "id": "brands",
        "meta": {"lastUpdated": updated, "profile": [format!("{PROFILES}/user-access-brands-bundle")]},
        "type": "collection",
        "timestamp": updated,
        "entry": entries,
    })
}

/// The identifier by which `smart-configuration` names the brand of this server.
pub fn identifier(brand: &BrandTable) -> Option<Value> {
    identifiers(brand).next()
}

fn identifiers(brand: &BrandTable) -> impl Iterator<Item = Value> {
    brand.identifiers.iter().map(|of| without_null(json!({"system": of.system, "value": of.value})))
}

fn entry(url: &str, of: &str, resource: Value) -> Value {
    json!({"fullUrl": format!("{url}/oauth/brands/{of}"), "resource": resource})
}

fn organization(brand: &BrandTable, id: &str, part_of: Option<&str>) -> Value {
    let details = branded(brand).into_iter().filter_map(|parts| extension("organization-brand", parts));
    let portals = brand.portals.iter().filter_map(|portal| extension("organization-portal", portal_of(portal)));
    let categories = brand.categories.iter().map(|code| json!({"coding": [{"system": ORGANIZATION_TYPE, "code": code}]}));
    without_null(json!({
        "resourceType": "Organization",
        "id": id,
        "meta": {"profile": [format!("{PROFILES}/user-access-brand")]},
        "extension": listed(details.chain(portals)),
        "identifier": listed(identifiers(brand)),
        "active": true,
        "type": listed(categories),
        "name": brand.name,
        "alias": listed(brand.aliases.iter().map(|alias| json!(alias))),
        // The website alone: the profile has room for nothing else.
        "telecom": [{"system": "url", "value": brand.website}],
        "address": listed(brand.addresses.iter().map(address)),
        "partOf": part_of.map(|of| json!({"reference": of})),
        "endpoint": [{"reference": ENDPOINT}],
    }))
}

fn endpoint(brand: &BrandTable, url: &str) -> Value {
    json!({
        "resourceType": "Endpoint",
        "id": "fhir",
        "meta": {"profile": [format!("{PROFILES}/user-access-endpoint")]},
        "extension": [{"url": format!("{EXTENSIONS}/endpoint-fhir-version"), "valueCode": "4.0.1"}],
        "status": brand.status.unwrap_or_default(),
        "connectionType": {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
        "name": format!("FHIR R4 of {}", brand.name),
        "managingOrganization": {"reference": "Organization/brand"},
        "contact": contacts(brand),
        "payloadType": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"}]}],
        "address": format!("{url}/fhir"),
    })
}

/// Where developers ask for access. The profile wants one https address at least: the website when there is no other.
fn contacts(brand: &BrandTable) -> Vec<Value> {
    let website = (!brand.contacts.iter().any(|contact| contact.starts_with("https://"))).then_some(&brand.website);
    let all =
        website.into_iter().chain(&brand.contacts).map(|contact| match (contact.strip_prefix("mailto:"), contact.strip_prefix("tel:")) {
            (Some(email), _) => json!({"system": "email", "value": email}),
            (_, Some(phone)) => json!({"system": "phone", "value": phone}),
            _ => json!({"system": "url", "value": contact}),
        });
    all.collect()
}

/// An extension of parts; none without any.
fn extension(name: &str, parts: Vec<Value>) -> Option<Value> {
    (!parts.is_empty()).then(|| json!({"url": format!("{EXTENSIONS}/{name}"), "extension": parts}))
}

/// The parts of each extension: the logos of one licence, and with the first of them the bundle.
fn branded(brand: &BrandTable) -> Vec<Vec<Value>> {
    let mut all: Vec<Vec<Value>> = brand.logos.iter().map(|of| logo("brand", of)).collect();
    if let Some(url) = &brand.bundle {
        let bundle = json!({"url": "brandBundle", "valueUrl": url});
        match all.first_mut() {
            Some(first) => first.push(bundle),
            None => all.push(vec![bundle]),
        }
    }
    all
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
