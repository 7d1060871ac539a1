//! The 172 requirements of SMART App Launch 2.2.0 on servers, by the numbers of its published list, and the attempts of the
//! matrix: what shows that each holds, or why a server cannot break it. `docs/smart-requirements.md` is made from this.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::house_rules::source::{production, says};
use Proof::{Partly, Reason, Test, Tests, Unserved};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// `file::test` of `tests/it`.
    Test(&'static str),
    /// The same, of what is not served: the test sees the refusal by name.
    Unserved(&'static str),
    /// Several, each of which shows a part.
    Tests(&'static [&'static str]),
    /// The same, but for what is not served: that, and the test that sees it refused by name.
    Partly(&'static [&'static str], &'static str, &'static str),
    Reason(&'static str),
}

impl Proof {
    /// The one test of a requirement.
    fn test(self) -> Option<&'static str> {
        match self {
            Test(name) | Unserved(name) => Some(name),
            Tests(_) | Partly(..) | Reason(_) => None,
        }
    }

    fn tests(self) -> Vec<&'static str> {
        match self {
            Tests(names) => names.to_vec(),
            Partly(names, _, refused) => [names, &[refused][..]].concat(),
            one => one.test().into_iter().collect(),
        }
    }
}

/// Number, what it asks for, and what shows it.
const REQUIREMENTS: &[(u16, &str, Proof)] = &[
    (14, "S256 is a challenge method", Test("smart::launch::the_verifier_is_asked_for_and_compared")),
    (15, "plain is none", Test("smart::launch::the_verifier_is_asked_for_and_compared")),
    (
        16,
        "pages of any origin read the discovery documents",
        Test("smart::discovery::pages_of_any_origin_read_what_is_public_and_registered_ones_the_rest"),
    ),
    (
        17,
        "pages of registered origins call the token endpoint and the API",
        Test("smart::discovery::pages_of_any_origin_read_what_is_public_and_registered_ones_the_rest"),
    ),
    (18, "every address of an app is registered", Test("smart::launch::only_registered_addresses_get_an_answer")),
    (24, "who registers is told its client_id", Test("smart::services::who_registers_gets_an_id_and_nothing_changes_the_keys")),
    (30, "the configuration is answered as JSON", Test("smart::discovery::the_configuration_is_json_whatever_is_accepted")),
    (31, "the verifier is there and right when the code is exchanged", Test("smart::launch::the_verifier_is_asked_for_and_compared")),
    (48, "authorize takes GET", Test("smart::launch::an_authorization_is_asked_for_by_get_and_by_post")),
    (49, "authorize takes POST", Test("smart::launch::an_authorization_is_asked_for_by_get_and_by_post")),
    (53, "access that is granted is told by a code", Test("smart::launch::a_standalone_launch_brings_a_code")),
    (54, "access that is denied is told by an error", Test("smart::launch::who_does_not_agree_sends_an_error")),
    (56, "the browser goes to the redirect_uri", Test("smart::launch::a_standalone_launch_brings_a_code")),
    (57, "code is there", Test("smart::launch::a_standalone_launch_brings_a_code")),
    (59, "state comes back letter for letter", Test("smart::launch::a_standalone_launch_brings_a_code")),
    (73, "the token endpoint answers a JSON object", Test("smart::launch::the_token_response_has_what_it_must")),
    (74, "access_token is there", Test("smart::launch::the_token_response_has_what_it_must")),
    (75, "token_type is Bearer", Test("smart::launch::the_token_response_has_what_it_must")),
    (77, "an expired token is not taken", Test("smart::matrix::expiry::a_remembered_token_ends_when_it_expires")),
    (78, "scope is there and says what was granted", Test("smart::launch::the_token_response_has_what_it_must")),
    (84, "the parameters are in the body", Test("smart::launch::the_token_response_has_what_it_must")),
    (85, "an access token is printable text", Test("smart::launch::the_token_response_is_kept_nowhere")),
    (86, "Cache-Control: no-store", Test("smart::launch::the_token_response_is_kept_nowhere")),
    (87, "Pragma: no-cache", Test("smart::launch::the_token_response_is_kept_nowhere")),
    (88, "the server decides expires_in", Test("smart::launch::the_token_response_is_kept_nowhere")),
    (89, "the server decides whether there is a refresh token", Test("smart::launch::the_token_response_is_kept_nowhere")),
    (94, "the resource server refuses what has expired", Test("smart::matrix::expiry::a_remembered_token_ends_when_it_expires")),
    (95, "and what the scope does not cover", Test("smart::launch::the_resource_server_looks_at_every_token")),
    (96, "and aud must be its own FHIR base", Test("smart::matrix::tokens::the_audience_of_a_token_is_this_fhir_endpoint")),
    (
        100,
        "online access lasts as long as the person is signed in",
        Test("smart::launch::online_ends_with_the_session_and_offline_does_not"),
    ),
    (101, "offline access lasts without the person", Test("smart::launch::online_ends_with_the_session_and_offline_does_not")),
    (103, "a refresh token is bound to its client", Test("smart::launch::what_is_renewed_is_the_same_or_less_and_the_clients_own")),
    (104, "and never has more than what was granted", Test("smart::launch::what_is_renewed_is_the_same_or_less_and_the_clients_own")),
    (109, "a refresh without scope asks for the same", Test("smart::launch::a_token_is_renewed")),
    (110, "a refresh answers a new access_token", Test("smart::launch::a_token_is_renewed")),
    (111, "its token_type is Bearer", Test("smart::launch::a_token_is_renewed")),
    (112, "its expires_in", Test("smart::launch::a_token_is_renewed")),
    (113, "its scope", Test("smart::launch::a_token_is_renewed")),
    (114, "which is that of the original token", Test("smart::launch::what_is_renewed_is_the_same_or_less_and_the_clients_own")),
    (115, "or what was asked, when that is less", Test("smart::launch::what_is_renewed_is_the_same_or_less_and_the_clients_own")),
    (119, "the role decides, whatever the scope says", Test("smart::launch::scopes_limit_and_do_not_give")),
    (123, "an update that creates is an update", Test("smart::services::the_letter_u_is_for_updates_that_create_as_well")),
    (130, "each entry of a batch is judged by itself", Test("smart::launch::scopes_limit_and_do_not_give")),
    (136, "patient scopes are about one patient", Test("smart::launch::scopes_limit_and_do_not_give")),
    (
        139,
        "what merged patients mean is documented",
        Reason(
            "The documentation says it (docs/roles.md): who may see one of two merged patients sees both, and a link that was written opens nothing. Text cannot be asked by HTTP.",
        ),
    ),
    (140, "user scopes are what the user may see", Test("smart::launch::a_user_scope_is_what_the_user_may")),
    (142, "system scopes are what the client may see", Test("smart::services::a_service_gets_what_it_was_registered_for")),
    (144, "a wildcard means every type", Test("smart::launch::a_user_scope_is_what_the_user_may")),
    (149, "context scopes ask for context", Test("smart::launch::scopes_limit_and_do_not_give")),
    (164, "a patient scope has a patient in context", Test("smart::launch::a_patient_scope_has_a_patient")),
    (168, "the token response has the context", Test("smart::launch::a_patient_scope_has_a_patient")),
    (169, "as JSON members beside the token", Test("smart::launch::a_patient_scope_has_a_patient")),
    (170, "patient is the id of the Patient, and its resources can be read", Test("smart::launch::a_patient_scope_has_a_patient")),
    (171, "encounter is the id of the Encounter", Test("smart::launch::the_context_says_what_else_was_open")),
    (172, "fhirContext is a list of objects", Test("smart::launch::further_context_is_of_other_resources_or_in_another_role")),
    (173, "need_patient_banner is a boolean", Test("smart::launch::an_ehr_launch_has_the_context_of_the_ehr")),
    (174, "intent is a text", Test("smart::launch::the_context_says_what_else_was_open")),
    (175, "smart_style_url is a URL", Reason("Optional, and never sent: the server has no style for apps.")),
    (176, "tenant is a text", Reason("Optional, and never sent: there is one organisation a deployment.")),
    (177, "other resources stand in fhirContext", Test("smart::launch::further_context_is_of_other_resources_or_in_another_role")),
    (
        178,
        "each with a reference, canonical or identifier",
        Test("smart::launch::further_context_is_of_other_resources_or_in_another_role"),
    ),
    (188, "roles of others are absolute URIs", Test("smart::launch::further_context_is_of_other_resources_or_in_another_role")),
    (194, "intents are agreed with the app", Reason("An agreement of people. The server passes the intent on as it is.")),
    (197, "who is no resource has no fhirUser", Test("smart::launch::the_user_can_be_read")),
    (198, "fhirUser is a Patient, Practitioner or the like", Test("smart::launch::the_user_can_be_read")),
    (200, "openid brings an id_token", Test("smart::launch::an_identity_is_told_by_a_token_of_its_own")),
    (205, "the authorization code flow is supported", Test("smart::launch::an_identity_is_told_by_a_token_of_its_own")),
    (207, "public keys are bare JWKs", Test("smart::launch::an_identity_is_told_by_a_token_of_its_own")),
    (209, "the id_token has fhirUser", Test("smart::launch::an_identity_is_told_by_a_token_of_its_own")),
    (210, "it is signed by RS256", Test("smart::launch::an_identity_is_told_by_a_token_of_its_own")),
    (228, "backend services find the configuration", Test("smart::discovery::every_set_of_capabilities_is_whole")),
    (
        231,
        "exchanges are by TLS 1.2 or newer",
        Reason(
            "TLS 1.2 or 1.3 is the listener's. Without it a start off loopback is refused, unless a flag says that a proxy has it or that nobody needs it (docs/operations.md). The tests run on loopback.",
        ),
    ),
    (
        240,
        "a service was given its rights beforehand",
        Test("smart::services::a_service_gets_nothing_before_an_operator_gave_it_its_rights"),
    ),
    (241, "scopes limit what it may", Test("smart::services::a_service_gets_what_it_was_registered_for")),
    (
        247,
        "the server decides when a token is needed",
        Reason("A rule for who writes the policy: every route under /fhir but the public documents needs a token (docs/routes.md)."),
    ),
    (249, "its assertion is judged by the rules", Test("smart::services::a_services_token_is_limited")),
    (250, "scopes stay within the registration", Test("smart::services::a_service_gets_what_it_was_registered_for")),
    (251, "errors are those of RFC 6749", Test("smart::services::errors_are_those_of_oauth")),
    (253, "a valid request is answered with a token", Test("smart::services::a_service_is_answered_as_it_must")),
    (254, "access_token is there", Test("smart::services::a_service_is_answered_as_it_must")),
    (255, "token_type is bearer", Test("smart::services::a_service_is_answered_as_it_must")),
    (256, "expires_in is there", Test("smart::services::a_service_is_answered_as_it_must")),
    (258, "scope is there", Test("smart::services::a_service_is_answered_as_it_must")),
    (259, "and may be less than was asked", Test("smart::services::a_services_token_is_limited")),
    (261, "tokens of services are short-lived", Test("smart::matrix::expiry::a_services_token_ends_after_five_minutes")),
    (265, "the resource server refuses what has expired", Test("smart::matrix::expiry::a_services_token_ends_after_five_minutes")),
    (266, "and what the scope does not cover", Test("smart::services::a_services_token_is_limited")),
    (271, "introspection is that of RFC 7662", Test("smart::services::a_token_tells_who_asks_what_it_is_good_for")),
    (272, "active is there", Test("smart::services::a_token_tells_who_asks_what_it_is_good_for")),
    (273, "scope as it was told with the token", Test("smart::services::a_token_tells_who_asks_what_it_is_good_for")),
    (274, "client_id", Test("smart::services::a_token_tells_who_asks_what_it_is_good_for")),
    (275, "exp is when it ends", Test("smart::services::a_token_tells_who_asks_what_it_is_good_for")),
    (276, "which agrees with expires_in", Test("smart::services::what_is_told_of_a_token_is_what_was_told_with_it")),
    (277, "launch context as it was told with the token", Test("smart::services::what_is_told_of_a_token_is_what_was_told_with_it")),
    (278, "iss of the id_token", Test("smart::services::what_is_told_of_a_token_is_what_was_told_with_it")),
    (279, "sub of the id_token", Test("smart::services::what_is_told_of_a_token_is_what_was_told_with_it")),
    (
        282,
        "who may introspect, a system of role ehr-system or operator, does so with an access token (decision 0024)",
        Test("smart::services::who_may_ask_asks_of_every_clients_tokens"),
    ),
    (283, "of the tokens of every client", Test("smart::services::who_may_ask_asks_of_every_clients_tokens")),
    (285, "asymmetric clients are a capability", Test("smart::discovery::clients_with_keys_find_what_they_need")),
    (286, "with token_endpoint", Test("smart::discovery::clients_with_keys_find_what_they_need")),
    (287, "scopes_supported", Test("smart::discovery::clients_with_keys_find_what_they_need")),
    (288, "private_key_jwt among the methods", Test("smart::discovery::clients_with_keys_find_what_they_need")),
    (289, "RS384 or ES384 among the algorithms", Test("smart::discovery::clients_with_keys_find_what_they_need")),
    (296, "keys can be registered by URL", Test("smart::services::keys_are_registered_or_fetched_from_where_they_were_registered")),
    (297, "and directly", Test("smart::services::keys_are_registered_or_fetched_from_where_they_were_registered")),
    (305, "what was registered is protected", Test("smart::services::who_registers_gets_an_id_and_nothing_changes_the_keys")),
    (310, "RS384 or ES384 is verified", Test("smart::services::an_assertion_is_judged_by_its_signature_and_its_claims")),
    (316, "a registered client has a client_id", Test("smart::services::who_registers_gets_an_id_and_nothing_changes_the_keys")),
    (335, "the assertion's signature is verified", Test("smart::services::an_assertion_is_judged_by_its_signature_and_its_claims")),
    (336, "a jti is good once", Test("smart::services::an_assertion_is_good_once")),
    (337, "the client is known and is iss", Test("smart::services::an_assertion_is_of_the_client_that_it_names")),
    (338, "jku must be the registered URL", Test("smart::services::keys_are_registered_or_fetched_from_where_they_were_registered")),
    (339, "keys are fetched by GET", Test("smart::services::keys_are_registered_or_fetched_from_where_they_were_registered")),
    (340, "what fails is invalid_client", Test("smart::services::an_assertion_is_judged_by_its_signature_and_its_claims")),
    (341, "keys are not kept longer than Cache-Control says", Test("smart::services::keys_are_not_kept_longer_than_they_may")),
    (342, "and as long as it says", Test("smart::services::keys_are_registered_or_fetched_from_where_they_were_registered")),
    (344, "services do not use secrets", Test("smart::launch::a_client_with_a_secret_shows_it")),
    (348, "patient access, standalone", Test("smart::discovery::every_set_of_capabilities_is_whole")),
    (349, "patient access, from an EHR", Test("smart::discovery::every_set_of_capabilities_is_whole")),
    (350, "clinician access, standalone", Test("smart::discovery::every_set_of_capabilities_is_whole")),
    (351, "clinician access, from an EHR", Test("smart::discovery::every_set_of_capabilities_is_whole")),
    (352, "launch-ehr", Test("smart::launch::an_ehr_launch_has_the_context_of_the_ehr")),
    (353, "launch-standalone", Test("smart::launch::a_standalone_launch_brings_a_code")),
    (354, "authorize-post", Test("smart::launch::an_authorization_is_asked_for_by_get_and_by_post")),
    (355, "client-public", Test("smart::launch::scopes_of_either_version_are_understood")),
    (356, "client-confidential-symmetric", Test("smart::launch::a_client_with_a_secret_shows_it")),
    (357, "client-confidential-asymmetric", Test("smart::services::an_app_with_keys_exchanges_a_code")),
    (358, "sso-openid-connect", Test("smart::launch::the_user_can_be_read")),
    (359, "context-banner", Test("smart::launch::an_ehr_launch_has_the_context_of_the_ehr")),
    (360, "context-style is not claimed", Test("smart::discovery::what_is_not_there_is_not_among_the_capabilities")),
    (361, "context-ehr-patient", Test("smart::launch::an_ehr_launch_has_the_context_of_the_ehr")),
    (362, "context-ehr-encounter", Test("smart::launch::an_ehr_launch_has_the_context_of_the_ehr")),
    (363, "context-standalone-patient", Test("smart::launch::a_patient_scope_has_a_patient")),
    (364, "context-standalone-encounter is not claimed", Test("smart::discovery::what_is_not_there_is_not_among_the_capabilities")),
    (365, "permission-offline", Test("smart::launch::what_is_renewed_is_the_same_or_less_and_the_clients_own")),
    (366, "permission-online", Test("smart::launch::online_ends_with_the_session_and_offline_does_not")),
    (367, "permission-patient", Test("smart::launch::scopes_limit_and_do_not_give")),
    (368, "permission-user", Test("smart::launch::a_user_scope_is_what_the_user_may")),
    (369, "permission-v1", Test("smart::launch::scopes_of_either_version_are_understood")),
    (370, "permission-v2", Test("smart::launch::scopes_of_either_version_are_understood")),
    (371, "smart-app-state is not claimed", Test("smart::discovery::what_is_not_there_is_not_among_the_capabilities")),
    (372, "the configuration stands below the FHIR base", Test("smart::discovery::the_configuration_is_json_whatever_is_accepted")),
    (373, "and names the endpoints and capabilities", Test("smart::discovery::the_configuration_names_what_it_must")),
    (374, "as JSON whatever Accept says", Test("smart::discovery::the_configuration_is_json_whatever_is_accepted")),
    (377, "Content-Type is application/json", Test("smart::discovery::the_configuration_is_json_whatever_is_accepted")),
    (378, "addresses are absolute", Test("smart::discovery::addresses_are_absolute_and_lead_somewhere")),
    (380, "the media type is that of JSON", Test("smart::discovery::the_configuration_is_json_whatever_is_accepted")),
    (381, "issuer, with sso-openid-connect", Test("smart::discovery::addresses_are_absolute_and_lead_somewhere")),
    (382, "jwks_uri, with sso-openid-connect", Test("smart::discovery::addresses_are_absolute_and_lead_somewhere")),
    (383, "authorization_endpoint, with launches", Test("smart::discovery::addresses_are_absolute_and_lead_somewhere")),
    (384, "grant_types_supported", Test("smart::discovery::the_configuration_names_what_it_must")),
    (385, "token_endpoint", Test("smart::discovery::the_configuration_names_what_it_must")),
    (393, "capabilities", Test("smart::discovery::the_configuration_names_what_it_must")),
    (394, "code_challenge_methods_supported with S256 and without plain", Test("smart::discovery::the_configuration_names_what_it_must")),
    (396, "a primary brand names each endpoint", Test("smart::discovery::a_brand_is_published_for_every_endpoint")),
    (398, "the bundle says when it last changed", Test("smart::discovery::a_brand_is_published_for_every_endpoint")),
    (400, "pages of any origin read it", Test("smart::discovery::a_brand_is_published_for_every_endpoint")),
    (402, "what must be supported is the provider's to say", Test("smart::discovery::what_a_brand_must_support_can_be_given_and_changed")),
    (403, "identifiers are those of the organisation", Test("smart::discovery::a_brand_is_published_for_every_endpoint")),
    (
        405,
        "no reason for absent data but asked-declined and asked-unknown",
        Test("smart::discovery::brands_say_when_they_changed_and_what_they_do_not_know_of"),
    ),
    (409, "the configuration names the primary brand", Test("smart::discovery::the_configuration_says_which_brand_is_this_servers")),
    (410, "by a value", Test("smart::discovery::the_configuration_says_which_brand_is_this_servers")),
    (412, "which is one brand's in the bundle", Test("smart::discovery::the_configuration_says_which_brand_is_this_servers")),
    (417, "each endpoint has a brand", Test("smart::discovery::a_brand_is_published_for_every_endpoint")),
    (418, "the bundle has a timestamp", Test("smart::discovery::brands_say_when_they_changed_and_what_they_do_not_know_of")),
    (
        419,
        "resources may say when they changed",
        Reason("A recommendation for systems that track each resource; the settings have one time for all."),
    ),
    (421, "identifiers have system and value", Test("smart::discovery::brands_say_when_they_changed_and_what_they_do_not_know_of")),
    (423, "pages of any origin read the artefacts", Test("smart::discovery::brands_say_when_they_changed_and_what_they_do_not_know_of")),
    (430, "the identifier has a value", Test("smart::discovery::the_configuration_says_which_brand_is_this_servers")),
    (431, "and a system when one was given", Test("smart::discovery::what_a_brand_must_support_can_be_given_and_changed")),
    (432, "one brand of the bundle matches", Test("smart::discovery::the_configuration_says_which_brand_is_this_servers")),
    (
        436,
        "what must be supported has a place in the settings, as often as it may be there",
        Test("smart::discovery::of_what_there_may_be_several_several_can_be_given"),
    ),
];

/// At most so many are not tested.
const REASONS: usize = 60;
/// A test shows at most so many requirements.
const A_TEST: usize = 5;

/// The attempts: A1 to A78.
const MATRIX: &[(u16, &str, Proof)] = &[
    (
        1,
        "no token, garbage, expired, still to come, other audience or issuer: signed by the own key",
        Tests(&[
            "smart::matrix::tokens::a1_what_is_said_in_a_signed_token_must_be_true_here",
            "smart::matrix::expiry::a_remembered_token_ends_when_it_expires",
            "oauth_service::tokens_that_are_not_ours",
            "smart::matrix::changes::a1_to_a4_who_is_not_taken_changes_nothing",
        ]),
    ),
    (
        2,
        "alg none, HS256 by a public key, kid, jku, jwk, crit",
        Tests(&[
            "smart::matrix::tokens::a2_what_a_header_says_does_not_choose_how_a_token_is_looked_at",
            "smart::matrix::changes::a1_to_a4_who_is_not_taken_changes_nothing",
        ]),
    ),
    (
        3,
        "an id_token as access token, another typ or none",
        Tests(&[
            "smart::matrix::tokens::a3_a_token_of_another_kind_is_no_access_token",
            "smart::matrix::changes::a1_to_a4_who_is_not_taken_changes_nothing",
        ]),
    ),
    (
        4,
        "a token in the address, two Authorization headers",
        Tests(&[
            "smart::matrix::tokens::a4_a_token_is_sent_in_one_header_by_every_way",
            "smart::matrix::changes::a1_to_a4_who_is_not_taken_changes_nothing",
        ]),
    ),
    (
        5,
        "DPoP: bound token as Bearer, wrong proof, replay",
        Tests(&[
            "smart::matrix::tokens::a5_a_bound_token_is_shown_with_the_proof_of_this_request",
            "oauth_service::a_bound_token_needs_its_proof",
            "smart::matrix::changes::a5_without_the_proof_of_this_request_nothing_is_changed",
        ]),
    ),
    (6, "mTLS", Reason("There is no mTLS here.")),
    (
        7,
        "a revoked token, signed or not, and what else ends while it is remembered",
        Tests(&[
            "smart::matrix::withdrawal::a7_a_revoked_token_ends_by_every_way_and_for_good",
            "smart::matrix::changes::a7_a_revoked_token_changes_nothing",
            "smart::matrix::expiry::a_remembered_emergency_ends_after_an_hour",
            "smart::matrix::expiry::a_remembered_care_team_ends_with_its_period",
        ]),
    ),
    (
        8,
        "a refresh token shown twice, and its alert",
        Tests(&["oauth_code::a_refresh_token_is_good_once", "oauth_ends::a_secret_that_is_shown_again_ends_the_family_and_is_an_alert"]),
    ),
    (
        9,
        "a code twice, without verifier, plain, another redirect_uri",
        Tests(&[
            "oauth_code::a_code_that_is_shown_twice_ends_the_grant",
            "smart::launch::the_verifier_is_asked_for_and_compared",
            "oauth_code::codes_that_are_not_taken",
        ]),
    ),
    (
        10,
        "client assertion: replay, too long, other audience",
        Tests(&["smart::services::an_assertion_is_good_once", "smart::services::an_assertion_is_judged_by_its_signature_and_its_claims"]),
    ),
    (11, "patient scopes without a patient", Test("oauth_code::scopes_of_a_patient_without_one_are_none")),
    (
        12,
        "two contexts in one token: none is issued, and one that is signed is refused",
        Tests(&[
            "smart::matrix::rows::a11_a12_a13_no_token_without_patient_of_two_contexts_or_of_other_words",
            "smart::matrix::tokens::a12_a_token_of_two_contexts_is_none",
        ]),
    ),
    (13, "scopes of other words", Test("smart::matrix::rows::a11_a12_a13_no_token_without_patient_of_two_contexts_or_of_other_words")),
    (
        14,
        "reads of another patient and of nobody (but for the timing)",
        Test("smart::matrix::hidden::a14_a_read_of_somebody_else_is_a_read_of_nobody"),
    ),
    (15, "search by _id and identifier", Test("smart::matrix::hidden::a15_a_search_by_id_or_identifier_finds_the_own_only")),
    (
        16,
        "every spelling of another patient",
        Partly(
            &["smart::matrix::hidden::a16_every_spelling_of_another_patient_finds_nothing"],
            "chains and :identifier are",
            "smart::matrix::hidden::a16_every_spelling_of_another_patient_finds_nothing",
        ),
    ),
    (17, "compartments by path", Unserved("smart::matrix::unserved::a17_a_compartment_is_no_path")),
    (18, "_has", Unserved("smart::matrix::unserved::a18_reverse_chains_are_not_offered")),
    (19, "bisection by _has", Unserved("smart::matrix::unserved::a19_no_bit_is_learned_by_bisection")),
    (20, "_include of a result", Unserved("smart::matrix::unserved::a20_a_report_includes_no_result")),
    (21, "Coverage", Unserved("smart::matrix::unserved::a21_there_is_no_coverage")),
    (22, "_revinclude by focus", Unserved("smart::matrix::unserved::a22_nothing_is_included_backwards")),
    (23, "_include:iterate", Unserved("smart::matrix::unserved::a23_an_include_does_not_iterate")),
    (24, "_revinclude:iterate", Unserved("smart::matrix::unserved::a24_nothing_is_included_backwards_again")),
    (
        25,
        "what is included: nothing of another patient, and pages are full",
        Partly(
            &[
                "smart::matrix::hidden::a25_what_is_visible_does_not_lead_to_what_is_not",
                "smart::matrix::hidden::a25_included_is_only_what_is_visible_and_the_page_is_full",
            ],
            "_include=* is",
            "smart::matrix::unserved::a25_an_include_of_everything_is_not_offered",
        ),
    ),
    (
        26,
        "next links of others, of another query, changed, and after a day",
        Tests(&[
            "smart::matrix::hidden::a26_a_next_link_is_of_who_was_given_it",
            "smart::matrix::expiry::a26_a_next_link_ends_after_a_day",
        ]),
    ),
    (
        27,
        "totals",
        Partly(
            &["smart::matrix::hidden::a27_what_is_hidden_is_not_counted"],
            "_summary is",
            "smart::matrix::hidden::a27_what_is_hidden_is_not_counted",
        ),
    ),
    (
        28,
        "sort and cursor, also when the cursors are opened",
        Tests(&[
            "smart::matrix::hidden::a28_a_cursor_is_as_long_whatever_is_newer_and_hidden",
            "interference::what_is_hidden_changes_no_byte",
        ]),
    ),
    (
        29,
        "a granular scope reads",
        Tests(&[
            "granular::documents_by_every_kind_of_constraint",
            "smart::matrix::constraints::a29_what_is_beyond_the_scope_is_absent_by_every_way",
        ]),
    ),
    (
        30,
        "a granular scope includes",
        Tests(&[
            "granular::an_include_takes_the_letters_and_the_constraints_of_its_type",
            "smart::matrix::constraints::a30_what_is_included_is_within_the_scopes_by_every_way",
        ]),
    ),
    (
        31,
        "a granular scope and versions",
        Tests(&[
            "granular::each_version_is_judged_by_itself",
            "smart::matrix::constraints::a31_a_version_is_judged_by_itself_by_every_way",
            "smart::matrix::constraints::a31_a_version_of_a_sample_is_judged_by_itself_by_every_way",
        ]),
    ),
    (
        32,
        "histories",
        Tests(&[
            "smart::matrix::hidden::a32_history_is_of_the_own_only_and_needs_search",
            "smart::matrix::hidden::a32_a_version_of_when_it_was_ones_own_is_no_longer",
        ]),
    ),
    (
        33,
        "r without s, s without r",
        Tests(&[
            "smart::matrix::hidden::a33_reading_and_searching_are_two_scopes",
            "smart::matrix::constraints::a33_searching_alone_reads_no_version_by_any_way",
        ]),
    ),
    (34, "creates for another patient", Test("smart::matrix::writes::a34_nobody_writes_of_another_patient")),
    (35, "moves to another patient", Test("smart::matrix::writes::a35_nothing_is_moved_to_another_patient")),
    (36, "PUT of a hidden id", Test("smart::matrix::writes::a36_a_hidden_id_is_neither_taken_nor_in_the_way")),
    (37, "If-None-Exist", Test("smart::matrix::writes::a37_a_condition_is_met_by_what_is_visible")),
    (38, "conditional update and delete", Test("smart::matrix::writes::a38_criteria_find_the_own_only")),
    (
        39,
        "conditional delete without d, and what is looked for without s",
        Tests(&[
            "smart::matrix::writes::a39_a_conditional_delete_needs_delete",
            "smart::matrix::constraints::a39_what_is_done_to_what_is_found_needs_search",
        ]),
    ),
    (40, "delete with rs", Test("smart::matrix::writes::a40_who_may_read_does_not_delete")),
    (
        41,
        "batch and transaction with a denied entry",
        Test("smart::matrix::writes::a41_each_entry_is_judged_alone_and_a_transaction_as_a_whole"),
    ),
    (
        42,
        "a transaction that reads what it made for another",
        Test("smart::matrix::writes::a42_a_transaction_does_not_read_what_it_could_not_write"),
    ),
    (43, "$everything", Unserved("smart::matrix::unserved::a43_a44_a45_a47_operations_that_there_are_not_are_named")),
    (44, "$lastn, $stats", Unserved("smart::matrix::unserved::a43_a44_a45_a47_operations_that_there_are_not_are_named")),
    (45, "$export with a person's token", Unserved("smart::matrix::unserved::a43_a44_a45_a47_operations_that_there_are_not_are_named")),
    (
        46,
        "$export of a type beyond the scopes",
        Unserved("smart::matrix::unserved::a43_a44_a45_a47_operations_that_there_are_not_are_named"),
    ),
    (47, "Group/$export", Unserved("smart::matrix::unserved::a43_a44_a45_a47_operations_that_there_are_not_are_named")),
    (48, "another client's export job", Unserved("smart::matrix::grants::a48_a49_a51_a59_what_is_not_there_is_absent_for_everybody")),
    (49, "what an export leaves out", Unserved("smart::matrix::grants::a48_a49_a51_a59_what_is_not_there_is_absent_for_everybody")),
    (50, "Devices", Test("smart::matrix::hidden::a50_a_device_is_its_patients")),
    (51, "Binary of another patient; raw bodies are no Binary", Test("smart::matrix::hidden::a51_a_binary_is_its_patients")),
    (
        52,
        "shared types",
        Partly(
            &["smart::matrix::hidden::a52_who_is_shared_leads_to_nobody_hidden"],
            "_revinclude is",
            "smart::matrix::hidden::a52_who_is_shared_leads_to_nobody_hidden",
        ),
    ),
    (
        53,
        "List, Group and report that point to another patient",
        Partly(
            &["smart::matrix::hidden::a53_what_points_to_somebody_else_opens_nothing"],
            "Composition, Bundle as a resource, and _include of items and results are",
            "smart::matrix::hidden::a53_what_points_to_somebody_else_opens_nothing",
        ),
    ),
    (54, "Provenance and AuditEvent", Test("smart::matrix::hidden::a54_where_data_comes_from_and_who_saw_it_is_not_told")),
    (
        55,
        "break-glass opens one patient, for an hour",
        Tests(&[
            "smart::matrix::grants::a55_an_emergency_opens_a_patient_and_is_told_of",
            "smart::matrix::expiry::a_remembered_emergency_ends_after_an_hour",
        ]),
    ),
    (
        56,
        "break-glass and what it does not open, and for whom",
        Partly(
            &[
                "smart::matrix::grants::a56_an_emergency_opens_one_patient_to_read_and_needs_a_reason",
                "break_glass::an_old_sign_in_opens_nothing",
                "smart::matrix::emergency::a56_what_an_emergency_opens_is_written_by_no_way",
                "smart::matrix::emergency::a56_criteria_do_not_find_what_an_emergency_opens",
                "smart::matrix::emergency::a56_what_the_scopes_forbid_is_reviewed_when_it_names_the_patient",
            ],
            "$export is",
            "smart::matrix::grants::a56_an_emergency_opens_one_patient_to_read_and_needs_a_reason",
        ),
    ),
    (
        57,
        "a role that is taken away, a consent withdrawn (there are no streams that could go on)",
        Tests(&[
            "care_team::a_role_that_is_taken_or_changed_ends_what_was_granted",
            "smart::matrix::withdrawal::a57_a_role_that_is_taken_ends_by_every_way",
            "smart::matrix::withdrawal::a57_what_a_consent_denies_is_shown_by_no_way",
            "smart::matrix::withdrawal::a57_a_consent_takes_effect_in_five_seconds_however_it_is_written",
            "smart::matrix::expiry::a_consent_begins_and_ends_for_who_is_remembered",
            "smart::matrix::withdrawal::what_a_role_is_for_decides_about_a_consent",
        ]),
    ),
    (58, "Subscription", Unserved("smart::matrix::unserved::a58_there_are_no_subscriptions")),
    (59, "webhooks", Unserved("smart::matrix::grants::a48_a49_a51_a59_what_is_not_there_is_absent_for_everybody")),
    (60, "tenants", Reason("There is one organisation a deployment.")),
    (61, "roles without clinical data", Test("smart::matrix::rows::a61_who_keeps_the_log_sees_no_patient_and_who_runs_it_neither")),
    (62, "writes of AuditEvents", Test("smart::matrix::writes::a62_the_audit_log_is_read_only")),
    (
        63,
        "an SDK's token",
        Tests(&[
            "smart::matrix::rows::a63_a_device_writes_its_own_uploads_only",
            "smart::matrix::rows::a63_below_fhir_a_device_reads_and_writes_nothing",
        ]),
    ),
    (
        64,
        "what the server sets is not the client's; labels of meta.security are what its author says",
        Tests(&[
            "smart::matrix::writes::a64_what_the_server_sets_cannot_be_sent",
            "smart::matrix::writes::a64_who_writes_does_not_say_that_a_mapping_of_the_server_did",
        ]),
    ),
    (
        65,
        "a label that cannot be seen is removed",
        Tests(&[
            "granular_writes::labels_are_taken_off_by_those_alone_whom_they_do_not_bind",
            "smart::matrix::constraints::a65_a_label_stays_however_it_is_taken_off",
        ]),
    ),
    (66, "masks", Reason("There are no masks here.")),
    (
        67,
        "hidden and missing references",
        Tests(&[
            "smart::matrix::references::a67_what_is_hidden_and_what_is_missing_are_refused_in_the_same_words",
            "smart::matrix::references::a67_the_refusal_names_where_the_reference_stands",
        ]),
    ),
    (68, "HEAD, OPTIONS, TRACE, method override", Test("smart::matrix::rows::a68_head_is_get_and_no_header_changes_the_method")),
    (69, "conditional reads of what is hidden", Test("smart::matrix::hidden::a69_nothing_hidden_is_unmodified")),
    (70, "return=representation without r", Test("smart::matrix::writes::a70_a_write_shows_nothing_that_could_not_be_read")),
    (71, "open documents", Test("smart::matrix::rows::a71_open_documents_tell_nothing_of_anybody")),
    (
        72,
        "sign-in by an upstream provider: nonce, unsigned, state, iss, a subject of another issuer",
        Tests(&[
            "upstream::what_the_provider_did_not_say_is_not_believed",
            "upstream::an_answer_comes_back_to_the_browser_that_asked_and_from_the_provider_that_was_asked",
            "upstream::a_subject_is_one_of_its_issuer",
        ]),
    ),
    (
        73,
        "open redirects (signing out leads to no address of a client's, and no iss of a launch is fetched)",
        Test("smart::launch::only_registered_addresses_get_an_answer"),
    ),
    (
        74,
        "guessing at the token endpoint (10,000 times with FIRTH_LONG=1): secrets are throttled; codes and refresh tokens of 256 bits are refused in the same words",
        Tests(&["smart::matrix::grants::a74_a_guess_is_as_wrong_as_any_other", "oauth_service::guessing_a_secret_is_slowed_down"]),
    ),
    (75, "CORS", Test("cors::pages_of_other_origins_read_nothing")),
    (
        76,
        "the predicate against a naive one (10,000 times with FIRTH_LONG=1, else 200)",
        Test("granular_chance::words_of_chance_mean_what_they_say"),
    ),
    (
        77,
        "hidden rows change no byte (200 of them, 10,000 with FIRTH_LONG=1): by scopes, care team, Consent and in an emergency; a system is told of each by the same requests",
        Tests(&["interference::what_is_hidden_changes_no_byte", "interference::what_is_hidden_from_people_changes_no_byte"]),
    ),
    (
        78,
        "a narrower scope never adds a row",
        Tests(&["smart::matrix::hidden::a78_a_narrower_scope_never_adds_a_row", "granular_chance::words_of_chance_mean_what_they_say"]),
    ),
];

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

/// Every test of `tests/it` by its path (`smart::launch::a_token_is_renewed`), with its text.
fn tests() -> BTreeMap<String, String> {
    let (mut all, mut folders) = (BTreeMap::new(), vec![tests_folder()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let module = path.strip_prefix(tests_folder()).expect("below").with_extension("");
            let module = module.to_string_lossy().replace('/', "::");
            let text = production(&fs::read_to_string(&path).expect("text"));
            all.extend(tests_of(&module, &text));
        }
    }
    all
}

/// What sends a request, as the tests write it: by itself, or by what the helpers of several files are called.
const REQUESTS: &[&str] = &[
    ".post(",
    ".send(\"",
    ".search(",
    ".delete(",
    ".patch(",
    ".pages(",
    ".launches(",
    ".exchanges(",
    ".exchange(",
    ".asks(",
    ".submit(",
    ".form(",
    ".opens(",
    "door.bearer(",
    "brings(",
    "finds(",
    "refuses(",
    "absent(",
    "ways(",
    "alone_and_bundled(",
    "written(",
    "answered(",
];

/// Who sends a GET of a path that has a name: others have a `get`, too.
const CLIENTS: &[&str] = &[".nobody()", ".ehr()", "client"];

/// Is a GET sent? A map has a `get`, too: what is asked for begins as a path does, or a client asks.
fn gets(body: &str) -> bool {
    body.match_indices(".get(").any(|(at, get)| {
        let (said, what) = (body[..at].rsplit([';', '\n']).next().unwrap_or_default(), &body[at + get.len()..]);
        let path = ["\"/", "&format!(\"/", "&format!(\"{"].iter().any(|begin| what.starts_with(begin));
        path || (!what.starts_with('"') && CLIENTS.iter().any(|client| says(said, client)))
    })
}

/// Does the text of a test send a request, or a function of its own file that it calls?
fn asks(module: &str, body: &str, depth: usize) -> bool {
    if gets(body) || REQUESTS.iter().any(|request| says(body, request)) {
        return true;
    }
    // Each ends with the brace of its own indentation.
    const HEADS: [(&str, &str); 4] =
        [("\nfn ", "\n}\n"), ("\npub fn ", "\n}\n"), ("\n    fn ", "\n    }\n"), ("\n    pub fn ", "\n    }\n")];
    let functions = HEADS.iter().flat_map(|(head, end)| module.split(head).skip(1).map(move |text| text.split(end).next().unwrap_or(text)));
    let mut called = functions.filter_map(|text| Some((text.split(['(', '<']).next()?, text)));
    let calls = |name: &str| says(body, &format!("{name}(")) || says(body, &format!(".{name}("));
    depth > 0 && called.any(|(name, text)| !text.contains("(server) {") && calls(name) && asks(module, text, depth - 1))
}

fn module_of(test: &str) -> String {
    let (module, _) = test.rsplit_once("::").expect("a module");
    production(&fs::read_to_string(tests_folder().join(format!("{}.rs", module.replace("::", "/")))).expect("text"))
}

#[test]
fn every_row_stands_once_and_names_a_test_that_asks_or_a_reason() {
    let tests = tests();
    let numbers: BTreeSet<u16> = REQUIREMENTS.iter().map(|row| row.0).collect();
    assert_eq!((REQUIREMENTS.len(), numbers.len(), numbers.first(), numbers.last()), (172, 172, Some(&14), Some(&436)));
    assert!(MATRIX.iter().map(|row| row.0).eq(1..=78));
    for (number, says, proof) in REQUIREMENTS.iter().chain(MATRIX) {
        for name in proof.tests() {
            let body = tests.get(name).unwrap_or_else(|| panic!("{number} {says}: there is no test {name}"));
            assert!(asks(&module_of(name), body, 2), "{name} sends no request");
        }
        assert!(!matches!(proof, Tests(names) if names.len() < 2), "{number} {says} has one test: write Test");
    }
    assert!(REQUIREMENTS.iter().all(|row| !matches!(row.2, Tests(_))), "a requirement has one test, which prints its number");
}

/// What is asserted of each requirement: its number as it is written, and what must hold.
fn asserted(body: &str) -> impl Iterator<Item = (&str, &str)> {
    body.split("shall(").skip(1).map(|rest| {
        let mut depth = 1;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        rest[..end.unwrap_or(rest.len())].split_once(',').unwrap_or((rest, ""))
    })
}

/// Is the number asserted, each time by something that could be otherwise?
fn asserts(body: &str, number: u16) -> bool {
    let number = number.to_string();
    let mut all = asserted(body).filter(|(asserted, _)| *asserted == number).peekable();
    all.peek().is_some() && all.all(|(_, holds)| could_be_otherwise(holds))
}

/// Does a condition look at anything? `true` and `1 == 1` hold whatever the server answers.
fn could_be_otherwise(holds: &str) -> bool {
    let outside: String = holds.split('"').step_by(2).collect();
    let words = outside.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic())).any(|word| !["true", "false"].contains(&word))
}

#[test]
fn every_requirement_is_asserted_by_its_number() {
    let tests = tests();
    let mut of_test: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, _, proof) in REQUIREMENTS {
        let Some(name) = proof.test() else { continue };
        assert!(asserts(&tests[name], *number), "{name} does not assert {number}");
        *of_test.entry(name).or_default() += 1;
    }
    let busy: Vec<_> = of_test.iter().filter(|(_, rows)| **rows > A_TEST).collect();
    assert!(busy.is_empty(), "{busy:?}");
    let reasons = REQUIREMENTS.iter().filter(|row| matches!(row.2, Reason(_))).count();
    assert!(reasons <= REASONS, "{reasons} requirements have no test");
    // No assertion has a number that the table does not have.
    for (name, body) in tests.iter().filter(|(name, _)| name.starts_with("smart::") && !name.starts_with("smart::requirements")) {
        for (number, holds) in asserted(body) {
            assert!(could_be_otherwise(holds), "{name} asserts {number} by {holds}");
            let listed = REQUIREMENTS.iter().any(|row| row.0.to_string() == number && row.2 == Test(test_name(name)));
            assert!(listed, "{name} asserts {number}, which the table shows by another test");
        }
    }
}

/// The tests of a file, as `tests` finds them.
fn tests_of(module: &str, text: &str) -> Vec<(String, String)> {
    // Of a macro that takes a server, or by itself: each ends with the brace of its own indentation.
    let of_macro = text.split("\n    fn ").skip(1).filter(|after| after.contains("(server")).map(|after| (after, "\n    }\n"));
    let alone = text.split("\n#[test]\nfn ").skip(1).map(|after| (after, "\n}\n"));
    let found = of_macro.chain(alone).map(|(after, end)| {
        let name = after.split('(').next().expect("a name");
        (format!("{module}::{name}"), after.split(end).next().expect("a body").to_owned())
    });
    found.collect()
}

#[test]
fn what_shows_nothing_is_seen() {
    let shows = |body: &str| asks("", body, 0);
    for nothing in [
        "reply.get(\"id\")",
        "map.get(&key)",
        "list.get(14..16)",
        "tx.send(1)",
        "rewritten(x)",
        "told.written(x)",
        "map.get(&format!(\"a{b}\"))",
    ] {
        assert!(!shows(nothing), "{nothing}");
    }
    for request in [
        "token.get(\"/fhir/Patient\")",
        "server.nobody().get(SMART)",
        "who.get(&format!(\"{base}/x\"))",
        "written(&client, \"PUT\", url, None)",
    ] {
        assert!(shows(request), "{request}");
    }
    assert!(asserts("shall(7, reply.status == 200);", 7));
    assert!(asserts("shall(7, waiting);\nshall(8, true);", 7));
    for nothing in [
        "shall(7, true);",
        "shall(7, 1 == 1);",
        "shall(7, !false);",
        "shall(7, \"a\" != \"b\");",
        "shall(77, holds);",
        "shall(7, holds);\nshall(7, true);",
    ] {
        assert!(!asserts(nothing, 7), "{nothing}");
    }
    let commented = "\n#[test]\nfn a() {\n    // shall(7, reply.status == 200); client.get(\"/fhir\")\n    f(); // shall(7, holds)\n}\n";
    let (name, body) = tests_of("x", &production(commented)).pop().expect("a test");
    assert_eq!(name, "x::a");
    assert!(!asserts(&body, 7) && !shows(&body));
    // What the next test of a macro asserts is not this one's.
    let two = "both! {\n    fn a(server) {\n        f();\n    }\n\n    fn b(server) {\n        shall(7, holds);\n    }\n}\n";
    assert_eq!(tests_of("x", two).iter().map(|(_, body)| asserts(body, 7)).collect::<Vec<_>>(), [false, true]);
}

/// The name as it stands in the table.
fn test_name(name: &str) -> &'static str {
    REQUIREMENTS.iter().filter_map(|row| row.2.test()).find(|known| *known == name).unwrap_or("")
}

fn table(rows: &[(u16, &str, Proof)], prefix: &str) -> String {
    let mut text = String::new();
    for (number, says, proof) in rows {
        let shown = match proof {
            Test(name) => format!("`{name}`"),
            Tests(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            Unserved(name) => format!("not served: `{name}`"),
            Partly(names, what, refused) => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("{}; {what} not served: `{refused}`", names.join(", "))
            }
            Reason(why) => (*why).to_owned(),
        };
        let _ = writeln!(text, "| {prefix}{number} | {says} | {shown} |");
    }
    text
}

fn document() -> String {
    let (all, reasons) = (REQUIREMENTS.len(), REQUIREMENTS.iter().filter(|row| matches!(row.2, Reason(_))).count());
    let unserved = MATRIX.iter().filter(|row| matches!(row.2, Unserved(_))).count();
    format!(
        "# What SMART App Launch 2.2 demands, and what shows it\n\n\
         Made from `tests/it/smart/requirements.rs` (`UPDATE=1 cargo test --test it smart::requirements`); a test compares.\n\n\
         ## The {all} requirements on servers\n\n\
         By the numbers of the published list of SMART App Launch 2.2.0, in our words. {} are shown by a test of\n\
         `tests/it`, which prints the number when it has looked; {reasons} have a reason why a server cannot break them.\n\n\
         | no. | demand | shown by |\n|---|---|---|\n{}\n\
         ## What somebody tries\n\n\
         Searches by GET, POST `_search`, in a batch, in a transaction and page by page; reads, histories and writes by\n\
         themselves and in Bundles; tokens by all of these. What is tried at another place (an endpoint of OAuth, an upload, a\n\
         header) is tried there. On both databases. {unserved} are by something that is not served yet: their test sees the\n\
         refusal by name. Where the list of attempts allows several statuses, the first stands, but for\n\
         [these](decisions/0028-first-statuses.md).\n\n\
         | no. | attempt | shown by |\n|---|---|---|\n{}",
        all - reasons,
        table(REQUIREMENTS, ""),
        table(MATRIX, "A"),
    )
}

#[test]
fn the_document_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/smart-requirements.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, document()).expect("docs can be written");
    }
    assert_eq!(document(), fs::read_to_string(&path).unwrap_or_default(), "UPDATE=1 cargo test writes docs/smart-requirements.md");
}
