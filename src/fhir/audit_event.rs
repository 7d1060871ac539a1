//! AuditEvent (https://hl7.org/fhir/R4/auditevent.html): the view of one audit entry for one patient.
//!
//! REST interactions that succeed follow IHE BALP 1.1 (https://profiles.ihe.net/ITI/BALP/) and name its profile;
//! what failed has the same form without the profile; operations of this server carry DICOM codes (PS3.16).

use fhir_sdk::Base64Binary;
use fhir_sdk::r4b::codes::{AuditEventAction, AuditEventAgentNetworkType, AuditEventOutcome};
use fhir_sdk::r4b::resources::{
    AuditEvent, AuditEventAgent, AuditEventAgentNetwork, AuditEventEntity, AuditEventEntityDetail, AuditEventEntityDetailValue,
    AuditEventSource,
};
use fhir_sdk::r4b::types::{CodeableConcept, Coding, Identifier, Meta, Reference};

use super::render::{self, coding, text};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{EntryId, PatientId};

/// The systems of the identifiers that agents and objects carry.
pub const CLIENT: &str = "urn:firth:client";
pub const USER: &str = super::patient::USER;
pub const CREDENTIAL: &str = "urn:firth:credential";
pub const ROLE: &str = "urn:firth:role";
pub const OPERATION: &str = "urn:firth:operation";

const PROFILE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const PROVENANCE: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const ENTITY: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT: &str = "http://terminology.hl7.org/CodeSystem/object-role";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Read,
    Vread,
    Search,
    Create,
    Update,
    Patch,
    Delete,
    /// An upload was accepted.
    Upload,
    /// A credential was made, refreshed or revoked, or what a credential may do was changed.
    Credential,
    /// Somebody signed in.
    Login,
    /// Keys were made or changed.
    Keys,
    Start,
    Stop,
    /// Anything else that the server does or is asked.
    Activity,
}

/// How an action looks: BALP profile or none, type, subtype, action code.
struct Looks {
    profile: &'static str,
    dicom: Option<(&'static str, &'static str)>,
    subtype: Option<(&'static str, &'static str)>,
    action: AuditEventAction,
}

impl Action {
    fn looks(self) -> Looks {
        let rest = |profile, code, action| Looks { profile, dicom: None, subtype: Some((code, "")), action };
        let own = |dicom, subtype, action| Looks { profile: "", dicom: Some(dicom), subtype, action };
        let (activity, alert) = (("110100", "Application Activity"), ("110113", "Security Alert"));
        use AuditEventAction as Code;
        match self {
            Action::Read => rest("Read", "read", Code::R),
            Action::Vread => rest("Read", "vread", Code::R),
            Action::Search => rest("Query", "search-type", Code::E),
            Action::Create => rest("Create", "create", Code::C),
            Action::Update => rest("Update", "update", Code::U),
            Action::Patch => rest("Update", "patch", Code::U),
            Action::Delete => rest("Delete", "delete", Code::D),
            Action::Upload => own(("110107", "Import"), None, Code::C),
            Action::Credential => own(alert, Some(("110137", "User security Attributes Changed")), Code::E),
            Action::Login => own(("110114", "User Authentication"), Some(("110122", "Login")), Code::E),
            Action::Keys => own(alert, Some(("110129", "Security Configuration")), Code::E),
            Action::Start => own(activity, Some(("110120", "Application Start")), Code::E),
            Action::Stop => own(activity, Some(("110121", "Application Stop")), Code::E),
            Action::Activity => own(activity, None, Code::E),
        }
    }

    /// Types of the client's and the server's agent; the data flows from 110153 to 110152.
    fn roles(self) -> [(&'static str, &'static str, &'static str); 2] {
        let (source, destination) = ((DCM, "110153", "Source Role ID"), (DCM, "110152", "Destination Role ID"));
        match self {
            Action::Read | Action::Vread => [destination, source],
            Action::Delete => [(DCM, "110150", "Application"), (PROVENANCE, "custodian", "Custodian")],
            _ => [source, destination],
        }
    }
}

/// Who asked, and from where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// The app's id, or a verb's name.
    pub client: Option<&'a str>,
    pub user: Option<&'a str>,
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
    /// The raw request of a search: method and URI.
    pub query: Option<&'a str>,
    pub status: u16,
    pub outcome: Option<&'a str>,
    pub asker: Asker<'a>,
    /// The server's host name.
    pub server: &'a str,
    pub request_id: &'a str,
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
    let looks = event.action.looks();
    let mut made = AuditEvent::builder()
        .id(id(event.entry, event.ordinal))
        .meta(meta(event, &looks)?)
        .r#type(match looks.dicom {
            None => coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", Some("RESTful Operation"))?,
            Some((code, display)) => coding(DCM, code, Some(display))?,
        })
        .subtype(subtype(event, &looks)?)
        .action(looks.action)
        .recorded(render::instant(event.recorded)?)
        .outcome(match event.status {
            0..400 => AuditEventOutcome::N0,
            400..500 => AuditEventOutcome::N4,
            _ => AuditEventOutcome::N8,
        })
        .agent(agents(event)?)
        .source(source(event)?)
        .entity(entities(event)?)
        .build()
        .map_err(Error::bug)?;
    made.outcome_desc = event.outcome.and_then(text);
    render::json(made.into())
}

/// The profile is claimed only by what succeeded and has all that the profile asks for.
fn meta(event: &Event<'_>, looks: &Looks) -> Result<Meta> {
    let mut meta = Meta::builder().last_updated(render::instant(event.recorded)?).build().map_err(Error::bug)?;
    let whole = if event.action == Action::Search { event.query.is_some() } else { target(event).is_some() };
    if !looks.profile.is_empty() && event.status < 400 && whole {
        let of_patient = if event.patient.is_some() { "Patient" } else { "" };
        meta.profile.push(Some(format!("{PROFILE}{of_patient}{}", looks.profile)));
    }
    Ok(meta)
}

fn subtype(event: &Event<'_>, looks: &Looks) -> Result<Vec<Option<Coding>>> {
    let mut all = Vec::new();
    match (looks.dicom, looks.subtype) {
        (None, Some((code, _))) => all.push(Some(coding("http://hl7.org/fhir/restful-interaction", code, None)?)),
        (Some(_), Some((code, display))) => all.push(Some(coding(DCM, code, Some(display))?)),
        _ => {}
    }
    if looks.dicom.is_some() && !event.operation.is_empty() {
        all.push(Some(coding(OPERATION, event.operation, None)?));
    }
    Ok(all)
}

fn agents(event: &Event<'_>) -> Result<Vec<Option<AuditEventAgent>>> {
    let asker = &event.asker;
    let [client_type, server_type] = event.action.roles();
    let signed_in = asker.user.is_some() || asker.credential.is_some();
    let client = AuditEventAgent::builder()
        .r#type(concept(client_type)?)
        .who(match (asker.client, asker.credential) {
            (Some(client), _) => identified(CLIENT, client)?,
            (None, Some(credential)) => identified(CREDENTIAL, credential)?,
            (None, None) => named("unknown client")?,
        })
        .requestor(!signed_in)
        .network(network(asker.address.unwrap_or("localhost"))?);
    let server = AuditEventAgent::builder()
        .r#type(concept(server_type)?)
        .who(named("Firth")?)
        .requestor(false)
        .network(network(event.server)?);
    let mut all = vec![Some(client.build().map_err(Error::bug)?), Some(server.build().map_err(Error::bug)?)];
    if signed_in {
        all.push(Some(user(event)?));
    }
    Ok(all)
}

/// The person or system behind the token: its reader, or the author of what was written.
fn user(event: &Event<'_>) -> Result<AuditEventAgent> {
    let asker = &event.asker;
    let kind = match event.action {
        Action::Read | Action::Vread | Action::Search => (PARTICIPATION, "IRCP", "information recipient"),
        _ => (PARTICIPATION, "AUT", "author (originator)"),
    };
    let mut who = match (asker.user, asker.credential) {
        (Some(user), _) => identified(USER, user)?,
        (None, credential) => identified(CREDENTIAL, credential.unwrap_or_default())?,
    };
    who.reference = asker.patient.map(|patient| format!("Patient/{patient}"));
    let mut made = AuditEventAgent::builder().r#type(concept(kind)?).who(who).requestor(true).build().map_err(Error::bug)?;
    if let Some(role) = asker.role {
        made.role.push(Some(render::concept(coding(ROLE, role, None)?)?));
    }
    made.policy = asker.credential.map(|credential| Some(format!("{CREDENTIAL}:{credential}"))).into_iter().collect();
    Ok(made)
}

fn source(event: &Event<'_>) -> Result<AuditEventSource> {
    let mut made = AuditEventSource::builder().observer(named("Firth")?).build().map_err(Error::bug)?;
    made.site = text(event.server);
    made.r#type.push(Some(coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", Some("Application Server"))?));
    Ok(made)
}

fn entities(event: &Event<'_>) -> Result<Vec<Option<AuditEventEntity>>> {
    let mut all = Vec::new();
    if let Some(query) = event.query.filter(|_| event.action == Action::Search) {
        let mut entity = entity(("2", "System Object"), Some(("24", "Query")))?;
        entity.query = Some(Base64Binary(query.as_bytes().to_vec()));
        all.push(Some(entity));
    } else if event.resource.is_some() || event.wrote.is_some() {
        all.push(Some(data(event)?));
    }
    if let Some(patient) = event.patient {
        let mut entity = entity(("1", "Person"), Some(("1", "Patient")))?;
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
    let mut made = entity(("2", "System Object"), target(event).map(|_| ("4", "Domain Resource")))?;
    match target(event) {
        Some(target) => made.what = Some(render::reference(target.to_owned())?),
        None => made.name = event.resource.and_then(text),
    }
    if let Some(wrote) = event.wrote {
        let value = AuditEventEntityDetailValue::String(wrote.to_owned());
        made.detail.push(Some(AuditEventEntityDetail::builder().r#type("sha-256".into()).value(value).build().map_err(Error::bug)?));
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

fn entity(kind: (&str, &str), role: Option<(&str, &str)>) -> Result<AuditEventEntity> {
    let mut made = AuditEventEntity::builder().r#type(coding(ENTITY, kind.0, Some(kind.1))?).build().map_err(Error::bug)?;
    made.role = role.map(|(code, display)| coding(OBJECT, code, Some(display))).transpose()?;
    Ok(made)
}

fn concept((system, code, display): (&str, &str, &str)) -> Result<CodeableConcept> {
    render::concept(coding(system, code, Some(display))?)
}

fn named(display: &str) -> Result<Reference> {
    Reference::builder().display(display.to_owned()).build().map_err(Error::bug)
}

fn identified(system: &str, value: &str) -> Result<Reference> {
    Reference::builder().identifier(render::identifier(system, value)?).build().map_err(Error::bug)
}

/// https://hl7.org/fhir/R4/valueset-network-type.html: 1 a machine's name, 2 an IP address.
fn network(address: &str) -> Result<AuditEventAgentNetwork> {
    let kind = if address.parse::<std::net::IpAddr>().is_ok() { AuditEventAgentNetworkType::N2 } else { AuditEventAgentNetworkType::N1 };
    AuditEventAgentNetwork::builder().address(address.to_owned()).r#type(kind).build().map_err(Error::bug)
}
