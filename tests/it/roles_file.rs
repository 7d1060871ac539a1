//! Roles of `firth.toml`: what they may be, and how they are told.

use std::fs;

use crate::support::server::Place;

fn place(toml: &str) -> Place {
    let place = Place::new();
    fs::write(place.path().join("firth.toml"), toml).unwrap();
    place
}

/// Name, rule and scopes of `firth role list`.
fn listed(place: &Place) -> Vec<[String; 3]> {
    let parts = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    place.tells(&["role", "list"]).lines().map(parts).collect()
}

#[test]
fn roles_of_the_file_stand_behind_the_built_in_ones() {
    let place = place("[role.nurse]\nscopes = \"user/Patient.rs user/Observation.cruds\"\npatients = \"care-team\"\n");
    let roles = listed(&place);
    let names: Vec<&str> = roles.iter().map(|[name, ..]| name.as_str()).collect();
    let built_in = ["patient", "clinician", "ehr-system", "device-sdk", "auditor", "security-admin", "operator", "app"];
    assert_eq!(names, [&built_in[..], &["nurse"]].concat());
    let rules: Vec<&str> = roles.iter().map(|[_, rule, _]| rule.as_str()).collect();
    assert_eq!(rules, ["self", "care-team", "all", "self", "all", "none", "none", "none", "care-team"]);
    assert_eq!(roles[8][2], "user/Patient.rs user/Observation.cruds");
}

#[test]
fn every_fault_of_the_file_is_told_at_once() {
    let text = "listn = \"x\"\n[role.auditor]\nscopes = \"user/Patient.rs\"\npatients = \"all\"\n\
        [role.watch]\nscopes = \"system/AuditEvent.rs system/*.rs\"\npatients = \"all\"\n\
        [role.nurse]\nscopes = \"user/Patient.sr\"\npatients = \"team\"\n[role.doctor]\nscopes = \"user/*.rs\"\n\
        [role.researcher]\nscopes = \"user/*.rs\"\npatients = \"all\"\n";
    let output = place(text).firth(&["serve"]);
    let says = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{says}");
    for said in [
        "firth.toml: listn is no setting; did you mean listen?",
        "firth.toml: role.auditor is built in and means the same on every server; choose another name",
        "firth.toml: role.watch would hold the audit log and other data (separation of duty); make two roles of it",
        "firth.toml: role.nurse has patients = \"team\"; write all, care-team, self or none",
        "firth.toml: role.nurse has a scope that is none here: scope 'user/Patient.sr'",
        "firth.toml: role.doctor has no patients; add patients = \"...\"",
        "firth.toml: role.researcher cannot be: researchers have no role",
    ] {
        assert!(says.contains(said), "{said}: {says}");
    }
}

#[test]
fn a_script_s_token_has_a_built_in_role() {
    let place = place("[role.nurse]\nscopes = \"user/Patient.rs\"\npatients = \"care-team\"\n");
    for (role, said) in [
        ("nurse", "is of firth.toml: give it to an account"),
        ("nusre", "there is no role 'nusre'; choose one of patient, clinician, ehr-system, auditor, security-admin, operator, nurse"),
        ("researcher", "researchers have no role"),
    ] {
        let output = place.firth(&["token", "issue", "--role", role]);
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && says.contains(said), "{role}: {says}");
    }
}

#[test]
fn a_backend_service_has_a_role_of_systems() {
    let place = place(
        "[role.desk]\nscopes = \"user/Patient.rs\"\npatients = \"all\"\n[role.lab]\nscopes = \"system/Observation.cruds\"\npatients = \"all\"\n",
    );
    let add = |role: &str| place.firth(&["client", "add", "--name", "Lab", "--role", role, "--jwks-uri", "https://lab.example/jwks"]);
    let refused = add("desk");
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && says.contains("role desk has scopes of user/ or patient/"), "{says}");
    let added = add("lab");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
}

#[test]
fn claims_give_roles_that_people_have() {
    for (role, refused) in
        [("king", true), ("device-sdk", true), ("ehr-system", true), ("lab", true), ("desk", false), ("clinician", false)]
    {
        let place = place(&format!(
            "[role.desk]\nscopes = \"user/Patient.rs\"\npatients = \"all\"\n[role.lab]\nscopes = \"system/*.rs\"\npatients = \"all\"\n[sign_in]\nissuer = \"https://id.example\"\nclient_id = \"firth\"\n\
             role_claim = \"groups\"\n[sign_in.roles]\nstaff = \"{role}\"\n"
        ));
        let output = place.firth(&["role", "list"]);
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if refused { 78 } else { 0 }), "{role}: {says}");
        assert_eq!(says.contains(&format!("sign_in.roles gives staff the role '{role}'")), refused, "{says}");
    }
}
