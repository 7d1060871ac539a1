//! Roles: a named set of scopes and whose data they are about. Eight are built in; others are tables of `firth.toml`:
//!
//! ```toml
//! [role.nurse]
//! scopes = "user/*.rs user/Observation.cruds"
//! patients = "care-team"
//! ```

use std::fmt;
use std::sync::LazyLock;

use super::consent::PURPOSES;
use super::scopes::{Context, Interaction, Offer, Scopes};
use crate::config::RoleTable;

/// The roles of `docs/roles.md`. Cheap to copy: what the file says of one lives as long as the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Patient,
    Clinician,
    EhrSystem,
    DeviceSdk,
    Auditor,
    SecurityAdmin,
    Operator,
    /// An app's API key: `/api/v1/users...`, sync and invitations, nothing under `/fhir`.
    App,
    /// A role of `firth.toml`.
    Named(&'static Named),
}

/// What a table of `firth.toml` says.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    name: String,
    scopes: Scopes,
    rule: PatientRule,
    purpose: Option<&'static str>,
}

/// Whose data a role is about. What is nobody's is not asked here: the shared types everybody sees whose scopes allow
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatientRule {
    /// Everybody's.
    All,
    /// That of the patients whom the user cares for, by CareTeam and Group; of a token of `firth token issue` those it
    /// names.
    CareTeam,
    /// The user's own; of a RelatedPerson that of the patient it stands by.
    Own,
    /// Nobody's.
    None,
}

impl PatientRule {
    const ALL: [PatientRule; 4] = [PatientRule::All, PatientRule::CareTeam, PatientRule::Own, PatientRule::None];

    pub const fn name(self) -> &'static str {
        match self {
            PatientRule::All => "all",
            PatientRule::CareTeam => "care-team",
            PatientRule::Own => "self",
            PatientRule::None => "none",
        }
    }

    fn named(name: &str) -> Option<PatientRule> {
        PatientRule::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// Why there is no role of this name, in the list of roles and in the file alike.
pub const NO_RESEARCHER: &str = "researchers have no role: what they may see is not decided before there is de-identification";

impl Role {
    /// In the order of their numbers in table `credential`, from 1.
    pub const BUILT_IN: [Role; 8] =
        [Role::Patient, Role::Clinician, Role::EhrSystem, Role::DeviceSdk, Role::Auditor, Role::SecurityAdmin, Role::Operator, Role::App];

    pub fn name(self) -> &'static str {
        match self {
            Role::Patient => "patient",
            Role::Clinician => "clinician",
            Role::EhrSystem => "ehr-system",
            Role::DeviceSdk => "device-sdk",
            Role::Auditor => "auditor",
            Role::SecurityAdmin => "security-admin",
            Role::Operator => "operator",
            Role::App => "app",
            Role::Named(named) => &named.name,
        }
    }

    /// Its number in table `credential`; a role of the file has none, for the file may change.
    pub const fn number(self) -> Option<i16> {
        Some(match self {
            Role::Patient => 1,
            Role::Clinician => 2,
            Role::EhrSystem => 3,
            Role::DeviceSdk => 4,
            Role::Auditor => 5,
            Role::SecurityAdmin => 6,
            Role::Operator => 7,
            Role::App => 8,
            Role::Named(_) => return None,
        })
    }

    pub fn numbered(number: i16) -> Option<Role> {
        Role::BUILT_IN.into_iter().find(|role| role.number() == Some(number))
    }

    /// What the role may do at most; a token's scopes only take away.
    pub fn scopes(self) -> &'static Scopes {
        static NO_SCOPES: LazyLock<Scopes> = LazyLock::new(Scopes::default);
        static BUILT_IN: LazyLock<Vec<Scopes>> =
            LazyLock::new(|| Role::BUILT_IN.iter().map(|role| Scopes::parse(&role.most()).unwrap_or_default()).collect());
        match self {
            Role::Named(named) => &named.scopes,
            role => Role::BUILT_IN.iter().position(|one| *one == role).and_then(|n| BUILT_IN.get(n)).unwrap_or(&NO_SCOPES),
        }
    }

    fn most(self) -> String {
        let of_all = |context: &str, letters: fn(&str) -> &str| {
            DOCUMENTS.iter().map(|name| format!("{context}/{name}.{}", letters(name))).collect::<Vec<_>>().join(" ")
        };
        match self {
            Role::Patient => of_all("patient", |_| "rs"),
            Role::Clinician => of_all("user", |name| if BY_CLINICIANS.contains(&name) { "cruds" } else { "rs" }),
            Role::EhrSystem => of_all("system", |_| "cruds"),
            Role::Auditor => "system/AuditEvent.rs".into(),
            Role::DeviceSdk | Role::SecurityAdmin | Role::Operator | Role::App => String::new(),
            Role::Named(named) => named.scopes.to_string(),
        }
    }

    pub const fn rule(self) -> PatientRule {
        match self {
            Role::Patient | Role::DeviceSdk => PatientRule::Own,
            Role::Clinician => PatientRule::CareTeam,
            Role::EhrSystem | Role::Auditor => PatientRule::All,
            Role::SecurityAdmin | Role::Operator | Role::App => PatientRule::None,
            Role::Named(named) => named.rule,
        }
    }

    /// What its requests are for, of the general purposes of v3-ActReason; None where nobody said.
    pub const fn purpose(self) -> Option<&'static str> {
        match self {
            Role::Clinician | Role::EhrSystem => Some("TREAT"),
            Role::Patient => Some("PATRQT"),
            Role::Named(named) => named.purpose,
            Role::DeviceSdk | Role::Auditor | Role::SecurityAdmin | Role::Operator | Role::App => None,
        }
    }

    /// May the role look across patients where only a scan can answer?
    pub const fn is_system(self) -> bool {
        matches!(self, Role::EhrSystem)
    }

    /// Can whoever asks for scopes of this context do anything with it, as far as it has scopes at all?
    pub fn fits(self, context: Context) -> bool {
        self.scopes().is_empty() || !self.scopes().within(context).is_empty()
    }

    /// May an account or a client have it? The others have their own way to a secret, and none to `/fhir`.
    pub const fn is_granted(self) -> bool {
        !matches!(self, Role::App | Role::DeviceSdk)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The resource types that people write: all that are served but AuditEvent.
pub const DOCUMENTS: [&str; 26] = [
    "Patient",
    "Device",
    "Observation",
    "DeviceMetric",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "CareTeam",
    "Group",
    "RelatedPerson",
    "Consent",
    "Provenance",
    "DocumentReference",
    "Binary",
    "Questionnaire",
    "QuestionnaireResponse",
    "DiagnosticReport",
    "Encounter",
    "Goal",
    "CarePlan",
    "Flag",
    "DetectedIssue",
    "Communication",
    "List",
    "Basic",
];

/// What clinicians write, of patients they may see.
const BY_CLINICIANS: [&str; 6] = ["Observation", "QuestionnaireResponse", "CarePlan", "Goal", "Flag", "Communication"];

/// The roles of a server: the built-in ones, and those of its settings file.
#[derive(Clone, Debug)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// `Err` has a line for each fault of the tables, with what to do about it. `offer` says which granular scopes can be
    /// enforced. Called once a process: the tables are kept until it ends.
    pub fn of(tables: &[RoleTable], offer: &Offer<'_>) -> Result<Roles, Vec<String>> {
        let faults = Roles::faults(tables, offer);
        if !faults.is_empty() {
            return Err(faults);
        }
        let of_file = tables.iter().filter_map(|table| named(table, offer).ok());
        let of_file = of_file.map(|named| Role::Named(Box::leak(Box::new(named))));
        Ok(Roles(Role::BUILT_IN.into_iter().chain(of_file).collect()))
    }

    /// The lines alone.
    pub fn faults(tables: &[RoleTable], offer: &Offer<'_>) -> Vec<String> {
        let of_one = |table| named(table, offer).err().into_iter().flatten().map(|why| format!("{} {why}", table.named));
        tables.iter().flat_map(of_one).collect()
    }

    pub fn named(&self, name: &str) -> Option<Role> {
        self.iter().find(|role| role.name() == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }
}

fn named(table: &RoleTable, offer: &Offer<'_>) -> Result<Named, Vec<String>> {
    let mut faults = Vec::new();
    faults.extend(misnamed(&table.name));
    let rule = PatientRule::named(&table.patients);
    if rule.is_none() {
        faults.push(format!("has patients = \"{}\"; write all, care-team, self or none", table.patients));
    }
    let known = |purpose: &str| PURPOSES.into_iter().find(|known| *known == purpose);
    let purpose = table.purpose.as_deref().and_then(known);
    if let Some(other) = table.purpose.as_deref().filter(|_| purpose.is_none()) {
        faults.push(format!("has purpose = \"{other}\"; write one of {}", PURPOSES.join(", ")));
    }
    let (mut scopes, mut read) = (Scopes::default(), true);
    match Scopes::granular(&table.scopes, offer).and_then(|_| Scopes::granular(&spelt(&table.scopes), offer)) {
        Ok(all) => scopes = all,
        Err(e) => {
            read = false;
            faults.push(format!("has a scope that is none here: {}", e.says()));
        }
    }
    if read {
        faults.extend(unfit(&scopes, rule));
    }
    match rule {
        Some(rule) if faults.is_empty() => Ok(Named { name: table.name.clone(), scopes, rule, purpose }),
        _ => Err(faults),
    }
}

fn misnamed(name: &str) -> Option<String> {
    if name == "researcher" {
        return Some(format!("cannot be: {NO_RESEARCHER}"));
    }
    if Role::BUILT_IN.iter().any(|role| role.name() == name) {
        return Some("is built in and means the same on every server; choose another name".into());
    }
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let fine = letters && name.len() <= 40 && name.starts_with(|first: char| first.is_ascii_lowercase());
    (!fine).then(|| "has a name that is none; write up to 40 lower-case letters, digits and hyphens, the first a letter".into())
}

/// In a role `*` is every type but AuditEvent: who may read the log is said by its name.
fn spelt(scopes: &str) -> String {
    let each = |scope: &str| match scope.split_once("/*.") {
        Some((context, rest)) => DOCUMENTS.map(|resource| format!("{context}/{resource}.{rest}")).join(" "),
        None => scope.to_owned(),
    };
    scopes.split(' ').map(each).collect::<Vec<_>>().join(" ")
}

/// What no role may be, whatever its name.
fn unfit(scopes: &Scopes, rule: Option<PatientRule>) -> Option<String> {
    use Interaction::{Create, Delete, Read, Search, Update};
    let any = |resource: &str, of: &[Interaction]| of.iter().any(|one| scopes.constraints(resource, *one).is_some());
    if scopes.is_empty() {
        return Some("has no scopes; name at least one, such as user/Observation.rs".into());
    }
    if let Err(e) = scopes.of_one_context() {
        return Some(format!("mixes contexts: {}", e.says()));
    }
    let audit = any("AuditEvent", &[Read, Search]);
    if audit && DOCUMENTS.iter().any(|resource| any(resource, &[Create, Read, Update, Delete, Search])) {
        let says = "would hold the audit log and other data (separation of duty); make two roles of it";
        return Some(says.into());
    }
    if any("AuditEvent", &[Create, Update, Delete]) {
        return Some("would write AuditEvents, which only the server records; leave it at AuditEvent.rs".into());
    }
    if audit && rule.is_some_and(|rule| rule != PatientRule::All) {
        return Some("reads the audit log, which is of all patients; write patients = \"all\"".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::offer;

    fn table(name: &str, scopes: &str, patients: &str) -> RoleTable {
        RoleTable {
            named: format!("firth.toml: role.{name}"),
            name: name.to_owned(),
            scopes: scopes.to_owned(),
            patients: patients.to_owned(),
            purpose: None,
        }
    }

    fn of(tables: &[RoleTable]) -> Result<Roles, Vec<String>> {
        Roles::of(tables, &offer)
    }

    #[test]
    fn the_scopes_of_each_role_are_read_and_of_one_context() {
        for role in Role::BUILT_IN {
            let most = Scopes::parse(&role.most()).unwrap();
            assert_eq!((role.scopes(), most.to_string()), (&most, role.most()));
            assert_eq!(most.of_one_context().unwrap().is_none(), most.is_empty(), "{role:?}");
        }
    }

    #[test]
    fn numbers_of_stored_credentials_stay() {
        let names = ["patient", "clinician", "ehr-system", "device-sdk", "auditor", "security-admin", "operator", "app"];
        for (number, name) in (1..).zip(names) {
            assert_eq!(Role::numbered(number).unwrap().name(), name);
        }
        assert_eq!((Role::numbered(0), Role::numbered(9)), (None, None));
    }

    #[test]
    fn a_role_of_the_file_is_as_it_is_written() {
        let roles = of(&[table("nurse", "user/*.rs user/Observation.cruds", "care-team")]).unwrap();
        let nurse = roles.named("nurse").unwrap();
        assert_eq!((nurse.name(), nurse.rule(), nurse.number()), ("nurse", PatientRule::CareTeam, None));
        assert!(nurse.scopes().allow("Observation", Interaction::Delete) && !nurse.scopes().allow("Patient", Interaction::Update));
        let read: Vec<&str> = DOCUMENTS.into_iter().filter(|resource| nurse.scopes().allow(resource, Interaction::Read)).collect();
        assert_eq!((&read[..], nurse.scopes().allow("AuditEvent", Interaction::Read)), (&DOCUMENTS[..], false));
        assert_eq!(roles.iter().count(), 9);
        assert_eq!(roles.named("clinician"), Some(Role::Clinician));
        assert_eq!(roles.named("doctor"), None);
        let limited = of(&[table("lab", "user/Observation.rs?category=laboratory", "all")]).unwrap().named("lab").unwrap();
        assert!(!limited.scopes().allow("Observation", Interaction::Read));
        assert!(limited.scopes().constraints("Observation", Interaction::Read).is_some());
    }

    #[test]
    fn what_no_role_may_be_is_refused_by_its_reason() {
        for (name, scopes, patients, said) in [
            ("auditor", "user/Patient.rs", "all", "is built in"),
            ("researcher", "user/Patient.rs", "none", "de-identification"),
            ("Nurse", "user/Patient.rs", "all", "lower-case"),
            ("1st", "user/Patient.rs", "all", "lower-case"),
            ("", "user/Patient.rs", "all", "lower-case"),
            ("nurse", "user/Patient.rs", "team", "write all, care-team, self or none"),
            ("nurse", "user/Patient.sr", "all", "in this order"),
            ("nurse", "user/Immunization.rs", "all", "not served"),
            ("nurse", "", "all", "has no scopes"),
            ("nurse", "user/Patient.rs system/Device.rs", "all", "mixes contexts"),
            ("watch", "system/AuditEvent.rs system/Consent.r", "all", "separation of duty"),
            ("watch", "system/AuditEvent.s system/Binary.d", "all", "separation of duty"),
            ("watch", "system/AuditEvent.r system/*.r", "all", "separation of duty"),
            ("watch", "system/AuditEvent.cruds", "all", "only the server records"),
            ("watch", "system/AuditEvent.rs", "none", "of all patients"),
        ] {
            let faults = of(&[table(name, scopes, patients)]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(said), "{name} {scopes} {patients}: {faults:?}");
        }
        let several = of(&[table("app", "user/Patient.", "team"), table("b", "user/Patient.rs", "x")]).unwrap_err();
        assert_eq!(several.len(), 4, "{several:?}");
    }
}
