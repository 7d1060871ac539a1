//! The table `[brand]` of the settings file: the organisation as people know it, for `GET /oauth/brands`.

use serde::Deserialize;

/// The organisation that runs this server, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandTable {
    pub name: String,
    /// An http or https address.
    pub website: String,
    #[serde(default)]
    pub identifier: Option<BrandIdentifier>,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Codes of `http://terminology.hl7.org/CodeSystem/organization-type`.
    #[serde(default)]
    pub categories: Vec<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub addresses: Vec<BrandAddress>,
    #[serde(default)]
    pub logo: BrandLogo,
    /// Where the brand's own bundle is, when another publishes it too.
    #[serde(default)]
    pub bundle: Option<String>,
    #[serde(default)]
    pub portal: Option<BrandPortal>,
    /// Whom developers ask: an address, `mailto:` or `tel:`. The website when it is left out.
    #[serde(default)]
    pub contact: Option<String>,
    /// When this table last changed, an instant. The start of the server when it is left out.
    #[serde(default)]
    pub updated: Option<String>,
    /// Hospitals, practices and the like with a name of their own: `[[brand.part]]`.
    #[serde(default, rename = "part")]
    pub parts: Vec<BrandTable>,
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
    let all: Vec<&BrandIdentifier> = std::iter::once(&brand).chain(&brand.parts).filter_map(|one| one.identifier.as_ref()).collect();
    if all.iter().enumerate().any(|(n, one)| all[..n].contains(one)) {
        faults.push(format!("{file}: brand: two brands have the same identifier; an app would not know which one this is"));
    }
    if !brand.parts.is_empty() && brand.identifier.is_none() {
        faults.push(format!("{file}: brand: with parts it needs an identifier, which says which brand is this server's; add identifier"));
    }
    (faults.len() == before).then_some(brand)
}

fn judge(named: &str, brand: &BrandTable, part: bool, faults: &mut Vec<String>) {
    let web = |url: &str| url.strip_prefix("https://").or(url.strip_prefix("http://")).is_some_and(|rest| !rest.is_empty());
    let portal = brand.portal.as_ref();
    let addresses = [&brand.website].into_iter().chain(&brand.bundle).chain(portal.map(|portal| &portal.url));
    let logos = [Some(&brand.logo), portal.map(|portal| &portal.logo)].into_iter().flatten();
    let addresses = addresses.chain(logos.clone().flat_map(|logo| logo.urls.iter().chain(&logo.license)));
    faults.extend(addresses.filter(|url| !web(url)).map(|url| format!("{named}: {url} must be an http or https address")));
    let types = logos.filter_map(|logo| logo.license_type.as_ref()).filter(|code| !code.contains('|'));
    faults.extend(types.map(|code| format!("{named}: license_type {code} must be system|code")));
    if brand.updated.as_ref().is_some_and(|at| at.parse::<jiff::Timestamp>().is_err()) {
        faults.push(format!("{named}: updated must be an instant like 2026-03-01T00:00:00Z"));
    }
    if [Some(&brand.name), brand.identifier.as_ref().map(|of| &of.value)].into_iter().flatten().any(|text| text.trim().is_empty()) {
        faults.push(format!("{named}: name and identifier.value must not be empty"));
    }
    if part && (!brand.parts.is_empty() || brand.contact.is_some() || brand.updated.is_some()) {
        faults.push(format!("{named}: part, contact and updated stand in [brand] itself"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read(&[], Some(("firth.toml", text)))
    }

    #[test]
    fn a_brand_needs_a_name_and_a_website() {
        let config = read("[brand]\nname = \"Example Health\"\nwebsite = \"https://example.org\"").unwrap();
        assert_eq!(config.brand.unwrap().name, "Example Health");
        assert_eq!(read("").unwrap().brand, None);
        for wrong in [
            "[brand]\nname = \"Example Health\"",
            "brand = 1",
            "[brand]\nname = \"x\"\nwebsite = \"example.org\"",
            "[brand]\nname = \" \"\nwebsite = \"https://example.org\"",
            "[brand]\nname = \"x\"\nwebsite = \"https://example.org\"\ncolour = \"red\"",
            "[brand]\nname = \"x\"\nwebsite = \"https://example.org\"\nupdated = \"yesterday\"",
            "[brand]\nname = \"x\"\nwebsite = \"https://example.org\"\nlogo = { urls = [\"logo.svg\"] }",
            "[brand]\nname = \"x\"\nwebsite = \"https://example.org\"\n[[brand.part]]\nname = \"y\"\nwebsite = \"https://y.example.org\"",
        ] {
            let faults = read(wrong).unwrap_err();
            assert!(faults.iter().all(|fault| fault.starts_with("firth.toml: brand")), "{wrong}: {faults:?}");
        }
    }
}
