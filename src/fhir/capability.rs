//! CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html): what can be asked, from the tables
//! that answer it. The tables live on a higher floor and come in as plain data.

use fhir_sdk::DateTime;
use fhir_sdk::r4b::codes::{
    CapabilityStatementKind, ConditionalReadStatus, FHIRVersion, PublicationStatus, ResourceVersionPolicy, RestfulCapabilityMode,
    SearchParamType,
};
use fhir_sdk::r4b::resources::{
    CapabilityStatement, CapabilityStatementImplementation, CapabilityStatementRest, CapabilityStatementRestResource,
    CapabilityStatementRestResourceInteraction, CapabilityStatementRestResourceOperation, CapabilityStatementRestResourceSearchParam,
    CapabilityStatementRestSecurity, CapabilityStatementSoftware,
};

use super::render;
use crate::clock::Millis;
use crate::error::{Error, Result};

/// Everything that is served.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    pub software_version: &'a str,
    /// The FHIR base, absolute: `FIRTH_PUBLIC_URL` and `/fhir`.
    pub base: &'a str,
    /// When this software or its settings last changed.
    pub date: Millis,
    pub resources: Vec<Served<'a>>,
    /// What may be sent with every search (`_count`, `_sort` ...).
    pub common: Vec<Offered<'a>>,
}

/// One resource type.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    pub type_name: &'a str,
    /// R4 type-restful-interaction codes: `read`, `vread`, `search-type`.
    pub interactions: Vec<&'a str>,
    /// Does vread answer versions before the current one?
    pub read_history: bool,
    pub params: Vec<Offered<'a>>,
    /// Operations on the type: name and definition.
    pub operations: Vec<(&'a str, &'a str)>,
    /// Values of `_include`.
    pub includes: Vec<String>,
    pub documentation: Option<String>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct Offered<'a> {
    pub name: &'a str,
    /// R4 search-param-type: `token`, `date`, `reference`, `string`, `number` ...
    pub fhir_type: &'a str,
    /// Canonical URL of the SearchParameter.
    pub definition: Option<&'a str>,
    pub documentation: String,
}

const LIMITS: &str = "Everything clinical is sealed at rest and found by keyed hashes. \
Dates, `_lastUpdated` and `_id` are compared and sorted; tokens and references match exactly; names match by their \
start, compared by their first 2, 3 and 4 letters and in full. What no hash can answer is compared by opening \
candidates, at most 10,000 of them; a query that would need more is refused with 400 `too-costly`, naming the \
parameter to add. A query with patient and (date or code) is never too costly. `_text` and `_content` are not \
offered. A parameter that is not listed is refused with 400, or with `Prefer: handling=lenient` left out and named \
in an OperationOutcome of the answer. Search is by GET and by POST to `_search`.";

const SECURITY: &str = "Every request but this one needs `Authorization: Bearer TOKEN`. A token has a role and SMART \
v2 scopes and sees the patients it was issued for; what it may not see looks like what does not exist. Every access \
leaves an AuditEvent.";

/// The CapabilityStatement of this instance.
pub fn json(statement: &Statement<'_>) -> Result<String> {
    let software = CapabilityStatementSoftware::builder().name("Firth".into()).version(statement.software_version.to_owned());
    let implementation =
        CapabilityStatementImplementation::builder().description("FHIR server for wearable data".into()).url(statement.base.to_owned());
    let made = CapabilityStatement::builder()
        .url(format!("{}/metadata", statement.base))
        .version(statement.software_version.to_owned())
        .name("Firth".into())
        .title("Firth".into())
        .status(PublicationStatus::Active)
        .date(DateTime::DateTime(render::instant(statement.date)?))
        .description("What this Firth serves.".into())
        .kind(CapabilityStatementKind::Instance)
        .software(software.build().map_err(Error::bug)?)
        .implementation(implementation.build().map_err(Error::bug)?)
        .fhir_version(FHIRVersion::N401)
        .format(vec![Some("application/fhir+json".into()), Some("json".into())])
        .rest(vec![Some(rest(statement)?)])
        .build()
        .map_err(Error::bug)?;
    render::json(made.into())
}

fn rest(statement: &Statement<'_>) -> Result<CapabilityStatementRest> {
    let security = CapabilityStatementRestSecurity::builder().description(SECURITY.into()).build().map_err(Error::bug)?;
    let resources = statement.resources.iter().map(|served| resource(served).map(Some)).collect::<Result<_>>()?;
    let mut rest = CapabilityStatementRest::builder()
        .mode(RestfulCapabilityMode::Server)
        .documentation(LIMITS.into())
        .security(security)
        .resource(resources)
        .build()
        .map_err(Error::bug)?;
    rest.search_param = params(&statement.common)?;
    Ok(rest)
}

fn resource(served: &Served<'_>) -> Result<CapabilityStatementRestResource> {
    let interaction =
        |code: &&str| CapabilityStatementRestResourceInteraction::builder().code((*code).to_owned()).build().map(Some).map_err(Error::bug);
    let mut made = CapabilityStatementRestResource::builder()
        .r#type(served.type_name.parse().map_err(Error::bug)?)
        .interaction(served.interactions.iter().map(interaction).collect::<Result<_>>()?)
        .versioning(ResourceVersionPolicy::Versioned)
        .read_history(served.read_history)
        .update_create(false)
        .conditional_create(false)
        .conditional_update(false)
        .conditional_read(ConditionalReadStatus::FullSupport)
        .build()
        .map_err(Error::bug)?;
    made.documentation = served.documentation.clone();
    let operation = |(name, definition): &(&str, &str)| {
        CapabilityStatementRestResourceOperation::builder()
            .name((*name).to_owned())
            .definition((*definition).to_owned())
            .build()
            .map(Some)
            .map_err(Error::bug)
    };
    made.operation = served.operations.iter().map(operation).collect::<Result<_>>()?;
    made.search_include = served.includes.iter().cloned().map(Some).collect();
    made.search_param = params(&served.params)?;
    Ok(made)
}

fn params(offered: &[Offered<'_>]) -> Result<Vec<Option<CapabilityStatementRestResourceSearchParam>>> {
    let one = |offered: &Offered<'_>| {
        let kind: SearchParamType = offered.fhir_type.parse().map_err(Error::bug)?;
        let mut made =
            CapabilityStatementRestResourceSearchParam::builder().name(offered.name.to_owned()).r#type(kind).build().map_err(Error::bug)?;
        made.definition = offered.definition.map(str::to_owned);
        made.documentation = render::text(&offered.documentation);
        Ok(Some(made))
    };
    offered.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn offered(name: &'static str, fhir_type: &'static str) -> Offered<'static> {
        Offered { name, fhir_type, definition: None, documentation: "What it does.".into() }
    }

    fn statement() -> Statement<'static> {
        let date = Offered { definition: Some("http://hl7.org/fhir/SearchParameter/clinical-date"), ..offered("date", "date") };
        let observation = Served {
            type_name: "Observation",
            interactions: vec!["read", "vread", "search-type"],
            read_history: true,
            params: vec![date],
            operations: vec![("merge", "http://hl7.org/fhir/OperationDefinition/Patient-merge")],
            includes: vec!["Observation:device".into()],
            documentation: None,
        };
        let audit = Served { type_name: "AuditEvent", read_history: false, includes: vec![], params: vec![], ..observation.clone() };
        Statement {
            software_version: "0.1.0",
            base: "https://firth.example/fhir",
            date: 1_771_922_700_000,
            resources: vec![observation, audit],
            common: vec![offered("_count", "number")],
        }
    }

    #[test]
    fn the_tables_are_shown() {
        let shown: Value = serde_json::from_str(&super::json(&statement()).unwrap()).unwrap();
        assert_eq!((&shown["fhirVersion"], &shown["url"]), (&json!("4.0.1"), &json!("https://firth.example/fhir/metadata")));
        let rest = &shown["rest"][0];
        assert_eq!(rest["resource"][0]["interaction"], json!([{"code": "read"}, {"code": "vread"}, {"code": "search-type"}]));
        assert_eq!(
            rest["resource"][0]["searchParam"],
            json!([{"name": "date", "definition": "http://hl7.org/fhir/SearchParameter/clinical-date", "type": "date", "documentation": "What it does."}])
        );
        assert_eq!(rest["resource"][0]["searchInclude"], json!(["Observation:device"]));
        assert_eq!(rest["resource"][0]["operation"][0]["name"], "merge");
        assert_eq!((&rest["resource"][1]["readHistory"], rest["resource"][1].get("searchParam")), (&json!(false), None));
        assert_eq!(rest["security"].get("service"), None);
        assert_eq!(rest["searchParam"][0]["name"], "_count");
    }

    #[test]
    fn a_table_with_a_typing_error_is_a_bug() {
        let mut wrong = statement();
        wrong.common[0].fhir_type = "text";
        assert!(super::json(&wrong).is_err());
    }
}
