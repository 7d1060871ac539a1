//! AuditEvent (https://hl7.org/fhir/R4/auditevent.html): the view of one audit entry for one patient.
//!
//! REST interactions that succeed follow IHE BALP 1.1 (https://profiles.ihe.net/ITI/BALP/) and name its profile;
//! what failed has the same form without the profile; operations of this server carry DICOM codes (PS3.16).

use fhir_sdk::Base64Binary;
use fhir_sdk::r4b::codes::{AuditEventAgentNetworkType, AuditEventOutcome};
use fhir_sdk::r4b::resources::{
    AuditEvent, AuditEventAgent, AuditEventAgentNetwork, AuditEventEntity, AuditEventEntityDetail, AuditEventEntityDetailValue,
    AuditEventSource,
};
use fhir_sdk::r4b::types::{Coding, Identifier, Meta, Reference};

use super::audit_action::Code;
pub use super::audit_action::{Action, outcome};
use super::render::{self, coding, text};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{EntryId, PatientId};

/// The systems of the identifiers that agents and objects carry.
pub const CLIENT: &str = "urn:firth:client";
pub const USER: &str = super::patient::USER;
pub const ACCOUNT: &str = "urn:firth:account";
/// A user of the system on which a verb was run.
pub const OPERATOR: &str = "urn:firth:operator";
pub const CREDENTIAL: &str = "urn:firth:credential";
pub const ROLE: &str = "urn:firth:role";
pub const OPERATION: &str = "urn:firth:operation";

const PROFILE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ENTITY: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const THING: Code = (ENTITY, "2", "System Object");
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const OBJECT: &str = "http://terminology.hl7.org/CodeSystem/object-role";

/// Who asked, and from where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// The app's id, or a verb's name.
    pub client: Option<&'a str>,
    pub user: Option<&'a str>,
    /// Who signed in.
    pub account: Option<&'a str>,
    /// Who that is here: `Practitioner/ID`, `Patient/ID`.
    pub fhir_user: Option<&'a str>,
    /// Who ran a verb, as the system it was run on names them.
    pub operator: Option<&'a str>,
    /// The id of the token or key, never the secret itself.
    pub credential: Option<&'a str>,
    pub role: Option<&'a str>,
    /// The asker's own Patient, when the token is a patient's.
    pub patient: Option<PatientId>,
    /// IP address or host name; None is this machine.
    pub address: Option<&'a str>,
}

/// One entry of the audit log, for one of its patients.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub entry: EntryId,
    /// Which of the entry's patients: 0 for the first or none.
    pub ordinal: u32,
    pub patient: Option<PatientId>,
    pub recorded: Millis,
    pub action: Action,
    /// The route's or verb's name: the subtype of what is no FHIR interaction.
    pub operation: &'a str,
    /// `Type/id`, `Type/id/_history/n`, or what else it was about in words.
    pub resource: Option<&'a str>,
    /// The request itself, of a search, a conditional interaction or an operation.
    pub query: Option<&'a str>,
    pub status: u16,
    pub outcome: Option<&'a str>,
    pub asker: Asker<'a>,
    /// The server's host name.
    pub server: &'a str,
    pub request_id: &'a str,
    /// A code of v3-ActReason.
    pub purpose: Option<&'a str>,
    /// SHA-256 of what the transaction wrote, in hexadecimal.
    pub wrote: Option<&'a str>,
}

/// The id of the AuditEvent: the entry's, with `.n` for its second and further patients.
pub fn id(entry: EntryId, ordinal: u32) -> String {
    if ordinal == 0 { entry.to_string() } else { format!("{entry}.{ordinal}") }
}

/// The other way round; another spelling is not found.
pub fn parse_id(text: &str) -> Result<(EntryId, u32)> {
    let refused = || Error::new(Kind::NotFound, "no AuditEvent has such an id");
    let (entry, ordinal) = text.split_once('.').map_or((text, Ok(0)), |(entry, ordinal)| (entry, ordinal.parse()));
    let found = (EntryId::parse(entry).map_err(|_| refused())?, ordinal.map_err(|_| refused())?);
    if id(found.0, found.1) == text { Ok(found) } else { Err(refused()) }
}

/// The AuditEvent.
pub fn json(event: &Event<'_>) -> Result<String> {
    let (profile, kind, subtype, action) = event.action.looks();
    let mut subtypes: Vec<_> = subtype.map(coded).transpose()?.into_iter().map(Some).collect();
    if profile.is_none() && !event.operation.is_empty() {
        subtypes.push(Some(coding(OPERATION, event.operation, None)?));
    }
    let outcome = match event.status {
        0..400 => AuditEventOutcome::N0,
        400..500 => AuditEventOutcome::N4,
        _ => AuditEventOutcome::N8,
    };
    let mut made = AuditEvent::builder()
        .id(id(event.entry, event.ordinal))
        .meta(meta(event, profile)?)
        .r#type(coded(kind)?)
        .subtype(subtypes)
        .action(action)
        .recorded(render::instant(event.recorded)?)
        .outcome(outcome)
        .agent(agents(event)?)
        .source(source(event)?)
        .entity(entities(event)?)
        .build()
        .map_err(Error::bug)?;
    made.outcome_desc = event.outcome.and_then(text);
    let purpose = event.purpose.map(|code| render::concept(coding(REASON, code, None)?)).transpose()?;
    made.purpose_of_event = purpose.into_iter().map(Some).collect();
    render::json(made.into())
}

/// The profile is claimed only by what succeeded and has all that the profile asks for.
fn meta(event: &Event<'_>, profile: Option<&str>) -> Result<Meta> {
    let mut meta = Meta::builder().last_updated(render::instant(event.recorded)?).build().map_err(Error::bug)?;
    let whole = if event.action == Action::Search { event.query.is_some() } else { target(event).is_some() };
    if let Some(profile) = profile.filter(|_| event.status < 400 && whole) {
        let of_patient = if event.patient.is_some() { "Patient" } else { "" };
        meta.profile.push(Some(format!("{PROFILE}{of_patient}{profile}")));
    }
    Ok(meta)
}

fn agents(event: &Event<'_>) -> Result<Vec<Option<AuditEventAgent>>> {
    let asker = &event.asker;
    let [client_type, server_type] = event.action.roles();
    let who = match (asker.client, asker.credential) {
        (Some(client), _) => render::identified(CLIENT, client)?,
        (None, Some(credential)) => render::identified(CREDENTIAL, credential)?,
        (None, None) if asker.operator.is_some() => render::shown_as("command line")?,
        // What comes from no address the server does of itself.
        (None, None) if asker.address.is_none() => render::shown_as("Firth")?,
        (None, None) => render::shown_as("unknown client")?,
    };
    let mut client = machine(client_type, who, asker.address)?;
    let somebody = [asker.user, asker.account, asker.operator, asker.credential].iter().any(Option::is_some);
    let user = somebody.then(|| user(event)).transpose()?;
    client.requestor = user.is_none();
    let server = machine(server_type, render::shown_as("Firth")?, Some(event.server))?;
    Ok([Some(client), Some(server), user].into_iter().filter(Option::is_some).collect())
}

/// https://hl7.org/fhir/R4/valueset-network-type.html: 1 a machine's name, 2 an IP address.
fn machine(kind: Code, who: Reference, address: Option<&str>) -> Result<AuditEventAgent> {
    use AuditEventAgentNetworkType::{N1, N2};
    let address = address.and_then(text).unwrap_or_else(|| "localhost".into());
    let network = if address.parse::<std::net::IpAddr>().is_ok() { N2 } else { N1 };
    let network = AuditEventAgentNetwork::builder().address(address).r#type(network).build().map_err(Error::bug)?;
    let made = AuditEventAgent::builder().r#type(render::concept(coded(kind)?)?).who(who).requestor(false).network(network);
    made.build().map_err(Error::bug)
}

/// The person or system behind the token: its reader, or the author of what was written.
fn user(event: &Event<'_>) -> Result<AuditEventAgent> {
    let asker = &event.asker;
    let reads = event.action.reads() || event.action == Action::Search;
    let kind = if reads { (PARTICIPATION, "IRCP", "information recipient") } else { (PARTICIPATION, "AUT", "author (originator)") };
    let mut who = match (asker.user, asker.account, asker.operator) {
        (Some(user), ..) => render::identified(USER, user)?,
        (None, Some(account), _) => render::identified(ACCOUNT, account)?,
        (None, None, Some(operator)) => render::identified(OPERATOR, operator)?,
        (None, None, None) => render::identified(CREDENTIAL, asker.credential.unwrap_or_default())?,
    };
    let own = || asker.patient.map(|patient| format!("Patient/{patient}"));
    who.reference = asker.fhir_user.map(str::to_owned).or_else(own);
    let made = AuditEventAgent::builder().r#type(render::concept(coded(kind)?)?).who(who).requestor(true).build();
    let mut made = made.map_err(Error::bug)?;
    made.role = asker.role.map(|role| render::concept(coding(ROLE, role, None)?)).transpose()?.into_iter().map(Some).collect();
    made.policy = asker.credential.map(|credential| Some(format!("{CREDENTIAL}:{credential}"))).into_iter().collect();
    Ok(made)
}

fn source(event: &Event<'_>) -> Result<AuditEventSource> {
    let mut made = AuditEventSource::builder().observer(render::shown_as("Firth")?).build().map_err(Error::bug)?;
    made.site = text(event.server);
    made.r#type.push(Some(coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", Some("Application Server"))?));
    Ok(made)
}

fn entities(event: &Event<'_>) -> Result<Vec<Option<AuditEventEntity>>> {
    let mut all = Vec::new();
    if let Some(query) = event.query.filter(|_| event.action == Action::Search) {
        let mut entity = entity(THING, Some((OBJECT, "24", "Query")))?;
        entity.query = Some(Base64Binary(query.as_bytes().to_vec()));
        all.push(Some(entity));
    } else if event.resource.is_some() || event.wrote.is_some() {
        all.push(Some(data(event)?));
    }
    if let Some(patient) = event.patient {
        let mut entity = entity((ENTITY, "1", "Person"), Some((OBJECT, "1", "Patient")))?;
        entity.what = Some(render::reference(format!("Patient/{patient}"))?);
        all.push(Some(entity));
    }
    if let Some(request) = text(event.request_id) {
        let request = Identifier::builder().value(request).build().map_err(Error::bug)?;
        let what = Reference::builder().identifier(request).build().map_err(Error::bug)?;
        let kind = coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", None)?;
        all.push(Some(AuditEventEntity::builder().what(what).r#type(kind).build().map_err(Error::bug)?));
    }
    Ok(all)
}

fn data(event: &Event<'_>) -> Result<AuditEventEntity> {
    let target = target(event);
    let mut made = entity(THING, target.map(|_| (OBJECT, "4", "Domain Resource")))?;
    made.what = target.map(|target| render::reference(target.to_owned())).transpose()?;
    made.name = event.resource.filter(|_| target.is_none()).and_then(text);
    // BALP takes one entity of this type, so that what was asked stands in it.
    let asked = event.query.map(|query| ("query", AuditEventEntityDetailValue::Base64Binary(Base64Binary(query.as_bytes().to_vec()))));
    let wrote = event.wrote.map(|wrote| ("sha-256", AuditEventEntityDetailValue::String(wrote.to_owned())));
    for (kind, value) in asked.into_iter().chain(wrote) {
        made.detail.push(Some(AuditEventEntityDetail::builder().r#type(kind.into()).value(value).build().map_err(Error::bug)?));
    }
    Ok(made)
}

/// `Type/id`, and nothing that only looks like a path.
fn target<'a>(event: &Event<'a>) -> Option<&'a str> {
    let resource = event.resource?;
    let (kind, id) = resource.split_once('/')?;
    let kind_fits = kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.bytes().all(|b| b.is_ascii_alphabetic());
    let (id, version) = id.split_once("/_history/").map_or((id, "1"), |(id, version)| (id, version));
    let fits = |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    (kind_fits && fits(id) && fits(version)).then_some(resource)
}

fn entity(kind: Code, role: Option<Code>) -> Result<AuditEventEntity> {
    let mut made = AuditEventEntity::builder().r#type(coded(kind)?).build().map_err(Error::bug)?;
    made.role = role.map(coded).transpose()?;
    Ok(made)
}

fn coded((system, code, display): Code) -> Result<Coding> {
    coding(system, code, Some(display).filter(|display| !display.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read() -> Event<'static> {
        let asker = Asker { user: Some("u1"), credential: Some("c1"), role: Some("clinician"), ..Asker::default() };
        Event {
            entry: EntryId::from_random([1; 16]),
            ordinal: 0,
            patient: Some(PatientId::from_random([2; 16])),
            recorded: 1_771_922_700_123,
            action: Action::Read,
            operation: "fhir.read",
            resource: Some("Observation/x"),
            query: None,
            status: 200,
            outcome: None,
            asker,
            server: "firth.example",
            request_id: "req-1",
            purpose: None,
            wrote: None,
        }
    }

    fn shown(event: &Event<'_>) -> Value {
        serde_json::from_str(&super::json(event).unwrap()).unwrap()
    }

    fn profile(event: &Event<'_>) -> String {
        shown(event)["meta"]["profile"][0].as_str().unwrap_or("").replace(PROFILE, "")
    }

    #[test]
    fn each_interaction_names_its_profile_and_code() {
        use Action::{Create, Delete, Patch, Read, Search, Update, Vread};
        let wanted = ["Read R", "Read R", "Query E", "Create C", "Update U", "Update U", "Delete D"];
        for (action, wanted) in [Read, Vread, Search, Create, Update, Patch, Delete].into_iter().zip(wanted) {
            let event = Event { action, query: Some("GET /fhir/Observation?code=8867-4"), ..read() };
            let told = |event: &Event<'_>| format!("{} {}", profile(event), shown(event)["action"].as_str().unwrap());
            assert_eq!(told(&event), format!("Patient{wanted}"));
            assert_eq!(told(&Event { patient: None, ..event }), wanted);
            assert_eq!(profile(&Event { status: 403, ..event }), "");
        }
        assert_eq!(profile(&Event { resource: Some("Observation"), ..read() }), "");
        assert_eq!(profile(&Event { action: Action::Search, ..read() }), "");
    }

    #[test]
    fn a_query_is_kept_in_base64_and_names_nothing() {
        let event = Event { action: Action::Search, query: Some("GET /fhir/Observation"), resource: Some("Observation"), ..read() };
        let entity = &shown(&event)["entity"][0];
        assert_eq!(entity["query"], "R0VUIC9maGlyL09ic2VydmF0aW9u");
        assert!(["what", "name", "detail"].iter().all(|absent| entity.get(absent).is_none()));
    }

    #[test]
    fn what_is_no_interaction_of_balp_has_its_code_and_its_name() {
        use Action::{Batch, History, HistorySystem, HistoryType, Operation, Transaction};
        for (action, code) in [
            (History, "history-instance R"),
            (HistoryType, "history-type R"),
            (HistorySystem, "history-system R"),
            (Batch, "batch E"),
            (Transaction, "transaction E"),
            (Operation, "operation E"),
        ] {
            let event = shown(&Event { action, operation: "merge", ..read() });
            let [code_of, name_of] = [0, 1].map(|n| event["subtype"][n]["code"].as_str().unwrap());
            assert_eq!((format!("{code_of} {}", event["action"].as_str().unwrap()).as_str(), name_of), (code, "merge"));
            assert_eq!((&event["type"]["code"], event["meta"].get("profile")), (&json!("rest"), None));
            assert_eq!((action.event_type().1, action.code()), ("rest", event["action"].as_str().unwrap()));
        }
    }

    #[test]
    fn criteria_stand_in_the_entity_of_what_they_found() {
        let event = Event { action: Action::Update, query: Some("PUT /fhir/Observation?code=x"), ..read() };
        assert_eq!(profile(&event), "PatientUpdate");
        let detail = shown(&event)["entity"][0]["detail"].clone();
        assert_eq!(detail, json!([{"type": "query", "valueBase64Binary": "UFVUIC9maGlyL09ic2VydmF0aW9uP2NvZGU9eA=="}]));
    }

    #[test]
    fn agents_say_who_and_from_where() {
        let agents = shown(&read())["agent"].clone();
        assert_eq!(agents[0]["network"], json!({"address": "localhost", "type": "1"}));
        assert_eq!(agents[0]["who"]["identifier"], json!({"system": CREDENTIAL, "value": "c1"}));
        assert_eq!(agents[2]["who"]["identifier"], json!({"system": USER, "value": "u1"}));
        assert_eq!((&agents[2]["requestor"], &agents[2]["policy"]), (&json!(true), &json!(["urn:firth:credential:c1"])));
        assert_eq!(agents[2]["role"][0]["coding"][0]["code"], "clinician");
        let asker = Asker { address: Some("2001:db8::1"), ..Asker::default() };
        let stranger = shown(&Event { asker, status: 401, ..read() });
        assert_eq!(stranger["agent"][0]["network"]["type"], "2");
        assert_eq!((stranger["agent"].as_array().map(Vec::len), &stranger["agent"][0]["requestor"]), (Some(2), &json!(true)));
    }

    #[test]
    fn failures_have_their_outcome() {
        for (status, outcome) in [(200, "0"), (304, "0"), (400, "4"), (404, "4"), (500, "8"), (503, "8")] {
            assert_eq!(shown(&Event { status, ..read() })["outcome"], outcome);
        }
        assert_eq!(shown(&Event { status: 403, outcome: Some("auth.forbidden"), ..read() })["outcomeDesc"], "auth.forbidden");
    }

    #[test]
    fn what_is_no_reference_is_a_name() {
        let entity = |resource: &str| shown(&Event { resource: Some(resource), ..read() })["entity"][0].clone();
        for resource in ["Observation/a.b-1", "Observation/a/_history/2"] {
            assert_eq!((&entity(resource)["what"]["reference"], entity(resource).get("name")), (&json!(resource), None));
        }
        for resource in ["Observation", "Observation/", "Observation/a/b", "observation/a", "Observation/a b", "/a"] {
            assert_eq!((&entity(resource)["name"], entity(resource).get("what")), (&json!(resource), None));
        }
    }

    #[test]
    fn ids_are_read_back() {
        let entry = EntryId::from_random([7; 16]);
        for ordinal in [0, 1, u32::MAX] {
            let text = id(entry, ordinal);
            assert!(text.len() <= 64);
            assert_eq!(parse_id(&text).unwrap(), (entry, ordinal));
        }
        for wrong in [format!("{entry}.0"), format!("{entry}.01"), format!("{entry}."), format!("{entry}.+1"), "x".into()] {
            assert!(parse_id(&wrong).is_err(), "{wrong}");
        }
    }
}
