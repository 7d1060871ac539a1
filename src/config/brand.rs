//! The table `[brand]` of the settings file: the organisation as people know it, for `GET /oauth/brands`.

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

/// The organisation that runs this server, or a part of it. What SMART App Launch 2.2 marks as "must support" in its profiles
/// of brand and endpoint, and does not fix, has its place here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandTable {
    pub name: String,
    /// An http or https address.
    pub website: String,
    /// One or many. By the first one `smart-configuration` names this server's brand.
    #[serde(default, rename = "identifier", deserialize_with = "one_or_many")]
    pub identifiers: Vec<BrandIdentifier>,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Codes of `http://terminology.hl7.org/CodeSystem/organization-type`.
    #[serde(default)]
    pub categories: Vec<String>,
    #[serde(default)]
    pub addresses: Vec<BrandAddress>,
    /// One or many: each has a licence of its own.
    #[serde(default, rename = "logo", deserialize_with = "one_or_many")]
    pub logos: Vec<BrandLogo>,
    /// Where the brand's own bundle is, when another publishes it too.
    #[serde(default)]
    pub bundle: Option<String>,
    /// One or many.
    #[serde(default, rename = "portal", deserialize_with = "one_or_many")]
    pub portals: Vec<BrandPortal>,
    /// Where developers ask for access, one or many: an https address, `mailto:` or `tel:`. Without an address of their own
    /// they find the website.
    #[serde(default, rename = "contact", deserialize_with = "one_or_many")]
    pub contacts: Vec<String>,
    /// Of the endpoint: active when it is left out.
    #[serde(default)]
    pub status: Option<EndpointStatus>,
    /// When this table last changed: always there in `[brand]`.
    #[serde(default, deserialize_with = "instant")]
    pub updated: Option<Timestamp>,
    /// Hospitals, practices and the like with a name of their own: `[[brand.part]]`.
    #[serde(default, rename = "part")]
    pub parts: Vec<BrandTable>,
}

/// The codes of `http://hl7.org/fhir/ValueSet/endpoint-status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointStatus {
    #[default]
    Active,
    Suspended,
    Error,
    Off,
    EnteredInError,
    Test,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandIdentifier {
    #[serde(default)]
    pub system: Option<String>,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandAddress {
    #[serde(default)]
    pub line: Vec<String>,
    #[serde(default)]
    pub city: Option<String>,
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub postal_code: Option<String>,
    #[serde(default)]
    pub country: Option<String>,
}

/// Pictures, best first, and what may be done with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandLogo {
    #[serde(default)]
    pub urls: Vec<String>,
    /// The address of the licence.
    #[serde(default)]
    pub license: Option<String>,
    /// `system|code`.
    #[serde(default)]
    pub license_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandPortal {
    pub name: String,
    pub url: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub logo: BrandLogo,
}

/// What stands there alone, or a list.
fn one_or_many<'de, D: Deserializer<'de>, T: DeserializeOwned>(of: D) -> Result<Vec<T>, D::Error> {
    let many = match toml::Value::deserialize(of)? {
        toml::Value::Array(many) => many,
        one => vec![one],
    };
    many.into_iter().map(|one| one.try_into().map_err(|e: toml::de::Error| D::Error::custom(e.message()))).collect()
}

fn instant<'de, D: Deserializer<'de>>(of: D) -> Result<Option<Timestamp>, D::Error> {
    let refused = |_| D::Error::custom("updated must be an instant like 2026-03-01T00:00:00Z");
    let text = match toml::Value::deserialize(of)? {
        toml::Value::String(text) => text,
        // A date and time of TOML, or what is none.
        other => other.to_string(),
    };
    text.parse().map(Some).map_err(refused)
}

/// The table, or a fault that names it.
pub(super) fn read(file: &str, value: toml::Value, faults: &mut Vec<String>) -> Option<BrandTable> {
    let brand = match value.try_into::<BrandTable>() {
        Ok(brand) => brand,
        Err(e) => {
            faults.push(format!("{file}: brand: {}; docs/apps.md has an example", e.message()));
            return None;
        }
    };
    let before = faults.len();
    for (n, one) in std::iter::once(&brand).chain(&brand.parts).enumerate() {
        let named = if n == 0 { format!("{file}: brand") } else { format!("{file}: brand.part[{}]", n - 1) };
        judge(&named, one, n > 0, faults);
    }
    let all: Vec<&BrandIdentifier> = std::iter::once(&brand).chain(&brand.parts).flat_map(|one| &one.identifiers).collect();
    if all.iter().enumerate().any(|(n, one)| all[..n].contains(one)) {
        faults.push(format!("{file}: brand: an identifier stands there twice; an app would not know which brand this is"));
    }
    if brand.updated.is_none() {
        faults.push(format!(
            "{file}: brand: updated is missing; write when this table last changed, like updated = \"2026-03-01T00:00:00Z\""
        ));
    }
    if !https(&brand.website) && !brand.contacts.iter().any(|contact| https(contact)) {
        faults.push(format!("{file}: brand: developers need an https address; add one to contact, for website is none"));
    }
    if !brand.parts.is_empty() && brand.identifiers.is_empty() {
        faults.push(format!("{file}: brand: with parts it needs an identifier, which says which brand is this server's; add identifier"));
    }
    (faults.len() == before).then_some(brand)
}

fn has(text: &str, start: &str) -> bool {
    text.strip_prefix(start).is_some_and(|rest| !rest.trim().is_empty())
}

fn https(url: &str) -> bool {
    has(url, "https://")
}

fn judge(named: &str, brand: &BrandTable, part: bool, faults: &mut Vec<String>) {
    let logos = || brand.logos.iter().chain(brand.portals.iter().map(|portal| &portal.logo));
    let addresses = [&brand.website].into_iter().chain(&brand.bundle).chain(brand.portals.iter().map(|portal| &portal.url));
    let addresses = addresses.chain(logos().flat_map(|logo| &logo.license)).filter(|url| !https(url) && !has(url, "http://"));
    faults.extend(addresses.map(|url| format!("{named}: {url} must be an http or https address")));
    let pictures = logos().flat_map(|logo| &logo.urls).filter(|url| !https(url) && !has(url, "data:"));
    faults.extend(pictures.map(|url| format!("{named}: logo {url} must be an https or data: address")));
    let types = logos().filter_map(|logo| logo.license_type.as_ref()).filter(|code| !code.contains('|'));
    faults.extend(types.map(|code| format!("{named}: license_type {code} must be system|code")));
    let contacts = brand.contacts.iter().filter(|contact| !https(contact) && !has(contact, "mailto:") && !has(contact, "tel:"));
    faults.extend(contacts.map(|contact| format!("{named}: contact {contact} must be an https address, mailto: or tel:")));
    if [&brand.name].into_iter().chain(brand.identifiers.iter().map(|of| &of.value)).any(|text| text.trim().is_empty()) {
        faults.push(format!("{named}: name and identifier.value must not be empty"));
    }
    if part && (!brand.parts.is_empty() || !brand.contacts.is_empty() || brand.status.is_some() || brand.updated.is_some()) {
        faults.push(format!("{named}: part, contact, status and updated stand in [brand] itself"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read(&[], Some(("firth.toml", text)))
    }

    const LEAST: &str = "[brand]\nname = \"Example Health\"\nwebsite = \"https://example.org\"\nupdated = \"2026-03-01T00:00:00Z\"\n";

    #[test]
    fn a_brand_needs_a_name_a_website_and_when_it_changed() {
        assert_eq!(read(LEAST).unwrap().brand.unwrap().name, "Example Health");
        assert_eq!(read("").unwrap().brand, None);
        let with = |more: &str| format!("{LEAST}{more}");
        for wrong in [
            "brand = 1".to_owned(),
            LEAST.replace("website", "# website"),
            LEAST.replace("updated", "# updated"),
            LEAST.replace("https://", ""),
            LEAST.replace("Example Health", " "),
            LEAST.replace("2026-03-01T00:00:00Z", "yesterday"),
            LEAST.replace("\"2026-03-01T00:00:00Z\"", "2026-03-01"),
            with("colour = \"red\""),
            with("logo = { urls = [\"logo.svg\"] }"),
            with("logo = [{ urls = [\"https://example.org/logo.svg\"], colour = \"red\" }]"),
            with("[[brand.part]]\nname = \"y\"\nwebsite = \"https://y.example.org\""),
        ] {
            let faults = read(&wrong).unwrap_err();
            assert!(faults.iter().all(|fault| fault.starts_with("firth.toml: brand")), "{wrong}: {faults:?}");
        }
    }

    #[test]
    fn one_is_a_list_of_one() {
        let brand = |more: &str| read(&format!("{LEAST}{more}")).unwrap().brand.unwrap();
        assert_eq!(brand("identifier = { value = \"a\" }"), brand("identifier = [{ value = \"a\" }]"));
        assert_eq!(brand("contact = \"tel:1\""), brand("contact = [\"tel:1\"]"));
        assert_eq!(read(&LEAST.replace("\"2026-03-01T00:00:00Z\"", "2026-03-01T01:00:00+01:00")).unwrap().brand.unwrap(), brand(""));
        let portal = "name = \"A\"\nurl = \"https://a.example\"\n";
        assert_eq!(brand(&format!("[brand.portal]\n{portal}")), brand(&format!("[[brand.portal]]\n{portal}")));
    }
}
