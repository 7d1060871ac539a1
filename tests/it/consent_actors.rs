//! Whom a Consent means: the user by all that resources say of who that is, whatever the role's patient rule.

use serde_json::{Value, json};

use crate::care_team::{app, clinician, signs_in, soon, team, with_file};
use crate::consent::consent;
use crate::documents::{created, patient, weight};
use crate::support::{Client, TestServer};

/// A role of all patients.
const REVIEWER: &str = "[role.reviewer]\nscopes = \"user/*.rs\"\npatients = \"all\"\n";

fn deny_to(whom: &str) -> Value {
    let receives = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
    json!({"type": "permit", "provision": [{"type": "deny", "actor": [{"role": receives, "reference": {"reference": whom}}]}]})
}

fn observations(client: &Client<'_>) -> usize {
    client.search("Observation").matches().len()
}

/// A Patient with one Observation.
fn person(ehr: &Client<'_>) -> String {
    let id = created(ehr, &patient());
    created(ehr, &weight(&id, "70.1"));
    id
}

/// Somebody with a login in the role of all patients.
fn reviewer<'s>(server: &'s TestServer, name: &str, fhir_user: &str) -> Client<'s> {
    server.account(name, &["--role", "reviewer", "--fhir-user", fhir_user]);
    signs_in(server, &app(server), name)
}

both! {
    fn a_denial_to_a_care_team_binds_its_members_in_every_role(server) {
        with_file(server, REVIEWER);
        let ehr = server.ehr();
        let alice = person(&ehr);
        let practitioner = server.practitioner();
        let (member, other) = (reviewer(server, "ruiz", &practitioner), reviewer(server, "ortiz", &server.practitioner()));
        let team = created(&ehr, &team(&format!("Patient/{alice}"), &practitioner));
        created(&ehr, &consent(&alice, deny_to(&format!("CareTeam/{team}"))));
        soon(server, || observations(&member) == 0);
        assert_eq!(observations(&other), 1);
    }
}

both! {
    fn a_denial_binds_all_roles_of_the_person_who_signed_in_as_one(server) {
        with_file(server, REVIEWER);
        let ehr = server.ehr();
        let alice = person(&ehr);
        let practitioner = server.practitioner();
        let role = || created(&ehr, &json!({"resourceType": "PractitionerRole", "practitioner": {"reference": practitioner}}));
        let (signed_in, other) = (role(), role());
        let ruiz = reviewer(server, "ruiz", &format!("PractitionerRole/{signed_in}"));
        assert_eq!(observations(&ruiz), 1);
        created(&ehr, &consent(&alice, deny_to(&format!("PractitionerRole/{other}"))));
        soon(server, || observations(&ruiz) == 0);
    }
}

both! {
    fn who_has_no_record_may_be_whom_a_consent_denies(server) {
        with_file(server, REVIEWER);
        let ehr = server.ehr();
        let alice = person(&ehr);
        server.account("ruiz", &["--role", "reviewer"]);
        let ruiz = signs_in(server, &app(server), "ruiz");
        assert_eq!(observations(&ruiz), 1);
        created(&ehr, &consent(&alice, deny_to(&server.practitioner())));
        soon(server, || observations(&ruiz) == 0);
        // A system is no Practitioner.
        assert_eq!(observations(&ehr), 1);
    }
}

both! {
    fn a_membership_that_only_its_author_understands_may_be_one(server) {
        let ehr = server.ehr();
        let alice = person(&ehr);
        let (ruiz, practitioner) = clinician(server, "ruiz");
        created(&ehr, &team(&format!("Patient/{alice}"), &practitioner));
        soon(server, || observations(&ruiz) == 1);
        let mut unclear = team(&format!("Patient/{alice}"), &practitioner);
        unclear["modifierExtension"] = json!([{"url": "urn:mine:not", "valueBoolean": true}]);
        let unclear = created(&ehr, &unclear);
        created(&ehr, &consent(&alice, deny_to(&format!("CareTeam/{unclear}"))));
        soon(server, || observations(&ruiz) == 0);
    }
}
