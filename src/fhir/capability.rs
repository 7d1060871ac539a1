//! CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html): what can be asked, from the tables
//! that answer it. The tables live on a higher floor and come in as plain data.

use fhir_sdk::DateTime;
use fhir_sdk::r4b::codes::{
    CapabilityStatementKind, ConditionalDeleteStatus, ConditionalReadStatus, FHIRVersion, PublicationStatus, ReferenceHandlingPolicy,
    ResourceVersionPolicy, RestfulCapabilityMode, SearchParamType,
};
use fhir_sdk::r4b::resources::{
    CapabilityStatement, CapabilityStatementImplementation, CapabilityStatementRest, CapabilityStatementRestInteraction,
    CapabilityStatementRestResource, CapabilityStatementRestResourceInteraction, CapabilityStatementRestResourceOperation,
    CapabilityStatementRestResourceSearchParam, CapabilityStatementRestSecurity, CapabilityStatementSoftware,
};
use fhir_sdk::r4b::types::{Extension, ExtensionValue};

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
    /// R4 system-restful-interaction codes: `transaction`, `batch`, `history-system`.
    pub interactions: Vec<&'a str>,
    /// Media types of PATCH; none when there is no PATCH.
    pub patch_formats: &'a [&'a str],
    /// The endpoints of the authorization server: `authorize`, `token` ... and where they are.
    pub oauth: Vec<(&'a str, String)>,
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
    /// May clients write it? Then they may do so by every condition, and choose its id.
    pub written: bool,
    /// Must the resources of this server that it points to exist?
    pub enforced: bool,
    /// Canonical URLs of the profiles by which it is judged when one is named.
    pub profiles: &'a [&'a str],
    pub operations: Vec<Operation<'a>>,
    pub params: Vec<Offered<'a>>,
    /// Values of `_include`.
    pub includes: Vec<String>,
    pub documentation: Option<String>,
}

/// One operation, called with a `$` before its name.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    pub name: &'a str,
    /// Canonical URL of the OperationDefinition.
    pub definition: &'a str,
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

const WRITES: &str = "What is written is judged by R4 and by the vital signs profiles, and every fault is named. It comes \
back letter for letter. `If-Match` is honoured and not asked for; a condition that more than one resource answers is \
412. A POST that is sent again with its `Idempotency-Key` is answered as before. What is pointed to on this server must exist, unless it was told otherwise, and what is pointed to cannot be \
deleted. A token that sees the patients it was issued for creates by POST and not by PUT.";

const SECURITY: &str = "Every request but this one and those of `.well-known` needs `Authorization: Bearer TOKEN`. Tokens \
are issued by SMART App Launch 2.2 (`.well-known/smart-configuration`) and by the operator. A token has a role and SMART \
scopes and sees the patients it was issued for; what it may not see looks like what does not exist. Every access \
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
        .patch_format(statement.patch_formats.iter().map(|format| Some((*format).to_owned())).collect())
        .rest(vec![Some(rest(statement)?)])
        .build()
        .map_err(Error::bug)?;
    render::json(made.into())
}

fn rest(statement: &Statement<'_>) -> Result<CapabilityStatementRest> {
    let security = security(&statement.oauth)?;
    let resources = statement.resources.iter().map(|served| resource(served).map(Some)).collect::<Result<_>>()?;
    let mut rest = CapabilityStatementRest::builder()
        .mode(RestfulCapabilityMode::Server)
        .documentation(format!("{LIMITS}\n\n{WRITES}"))
        .security(security)
        .resource(resources)
        .build()
        .map_err(Error::bug)?;
    let interaction =
        |code: &&str| CapabilityStatementRestInteraction::builder().code((*code).to_owned()).build().map(Some).map_err(Error::bug);
    rest.interaction = statement.interactions.iter().map(interaction).collect::<Result<_>>()?;
    rest.search_param = params(&statement.common)?;
    Ok(rest)
}

/// Where clients of SMART on FHIR find the authorization server that do not read its own documents (SMART App Launch 2.2
/// "conformance": the extension is deprecated, and read).
fn security(oauth: &[(&str, String)]) -> Result<CapabilityStatementRestSecurity> {
    let mut made = CapabilityStatementRestSecurity::builder().description(SECURITY.into()).build().map_err(Error::bug)?;
    if oauth.is_empty() {
        return Ok(made);
    }
    let uri = |(name, address): &(&str, String)| {
        Extension::builder().url((*name).to_owned()).value(ExtensionValue::Uri(address.clone())).build().map_err(Error::bug)
    };
    let uris = oauth.iter().map(uri).collect::<Result<_>>()?;
    made.extension.push(Extension::builder().url(OAUTH_URIS.into()).extension(uris).build().map_err(Error::bug)?);
    let smart = render::coding("http://terminology.hl7.org/CodeSystem/restful-security-service", "SMART-on-FHIR", Some("SMART-on-FHIR"))?;
    made.service.push(Some(render::concept(smart)?));
    Ok(made)
}

/// http://hl7.org/fhir/smart-app-launch/StructureDefinition/oauth-uris
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

fn resource(served: &Served<'_>) -> Result<CapabilityStatementRestResource> {
    let interaction =
        |code: &&str| CapabilityStatementRestResourceInteraction::builder().code((*code).to_owned()).build().map(Some).map_err(Error::bug);
    let mut made = CapabilityStatementRestResource::builder()
        .r#type(served.type_name.parse().map_err(Error::bug)?)
        .interaction(served.interactions.iter().map(interaction).collect::<Result<_>>()?)
        .versioning(versioning(served.written))
        .read_history(served.read_history)
        .update_create(served.written)
        .conditional_create(served.written)
        .conditional_update(served.written)
        .conditional_delete(if served.written { ConditionalDeleteStatus::Single } else { ConditionalDeleteStatus::NotSupported })
        .conditional_read(ConditionalReadStatus::FullSupport)
        .build()
        .map_err(Error::bug)?;
    made.supported_profile = served.profiles.iter().map(|url| Some((*url).to_owned())).collect();
    made.reference_policy = references(served);
    made.operation = served.operations.iter().map(operation).collect::<Result<_>>()?;
    made.documentation = served.documentation.clone();
    made.search_include = served.includes.iter().cloned().map(Some).collect();
    made.search_param = params(&served.params)?;
    Ok(made)
}

/// R4 says of `versioned-update` that "the server supports all the versioning features, including using e-tags for version
/// integrity in the API": an `If-Match` that is sent must be right. It need not be sent, which no code of R4 can tell;
/// `versioned` alone would make a client think that its `If-Match` is not read.
const fn versioning(written: bool) -> ResourceVersionPolicy {
    if written { ResourceVersionPolicy::VersionedUpdate } else { ResourceVersionPolicy::Versioned }
}

/// Other servers may be pointed to, so never `local`; logical references are kept as they are, so never `resolves`.
fn references(served: &Served<'_>) -> Vec<Option<ReferenceHandlingPolicy>> {
    let enforced = served.enforced.then_some(ReferenceHandlingPolicy::Enforced);
    [ReferenceHandlingPolicy::Literal, ReferenceHandlingPolicy::Logical].into_iter().chain(enforced).map(Some).collect()
}

fn operation(of: &Operation<'_>) -> Result<Option<CapabilityStatementRestResourceOperation>> {
    let made = CapabilityStatementRestResourceOperation::builder().name(of.name.to_owned()).definition(of.definition.to_owned());
    made.build().map(Some).map_err(Error::bug)
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
            written: true,
            enforced: true,
            profiles: &["http://hl7.org/fhir/StructureDefinition/bp"],
            operations: vec![Operation { name: "validate", definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate" }],
            params: vec![date],
            includes: vec!["Observation:device".into()],
            documentation: None,
        };
        let audit = Served {
            type_name: "AuditEvent",
            read_history: false,
            written: false,
            enforced: false,
            profiles: &[],
            operations: vec![],
            includes: vec![],
            params: vec![],
            ..observation.clone()
        };
        Statement {
            software_version: "0.1.0",
            base: "https://firth.example/fhir",
            date: 1_771_922_700_000,
            resources: vec![observation, audit],
            interactions: vec!["batch"],
            patch_formats: &[],
            oauth: vec![("token", "https://firth.example/oauth/token".into())],
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
        assert_eq!((&rest["resource"][1]["readHistory"], rest["resource"][1].get("searchParam")), (&json!(false), None));
        assert_eq!(rest["security"]["service"][0]["coding"][0]["code"], "SMART-on-FHIR");
        assert_eq!(
            rest["security"]["extension"],
            json!([{"url": OAUTH_URIS, "extension": [{"url": "token", "valueUri": "https://firth.example/oauth/token"}]}])
        );
        assert_eq!(rest["searchParam"][0]["name"], "_count");
    }

    #[test]
    fn what_may_be_written_is_told() {
        let shown: Value = serde_json::from_str(&super::json(&statement()).unwrap()).unwrap();
        assert_eq!((shown.get("patchFormat"), &shown["rest"][0]["interaction"]), (None, &json!([{"code": "batch"}])));
        let resource = |n: usize, name: &str| shown["rest"][0]["resource"][n][name].clone();
        for name in ["updateCreate", "conditionalCreate", "conditionalUpdate"] {
            assert_eq!((resource(0, name), resource(1, name)), (json!(true), json!(false)), "{name}");
        }
        assert_eq!((resource(0, "conditionalDelete"), resource(1, "conditionalDelete")), (json!("single"), json!("not-supported")));
        assert_eq!((resource(0, "versioning"), resource(1, "versioning")), (json!("versioned-update"), json!("versioned")));
        assert_eq!(resource(0, "referencePolicy"), json!(["literal", "logical", "enforced"]));
        assert_eq!(resource(1, "referencePolicy"), json!(["literal", "logical"]));
        assert_eq!(resource(0, "operation")[0]["name"], "validate");
        assert_eq!(resource(0, "supportedProfile"), json!(["http://hl7.org/fhir/StructureDefinition/bp"]));
    }

    #[test]
    fn a_table_with_a_typing_error_is_a_bug() {
        let mut wrong = statement();
        wrong.common[0].fhir_type = "text";
        assert!(super::json(&wrong).is_err());
    }
}
