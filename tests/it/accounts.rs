//! Accounts by the operator's hand.

use crate::sign_in::PASSWORD;

both! {
    fn an_account_whose_record_is_gone_is_changed_all_the_same(server) {
        let practitioner = server.practitioner();
        server.account("ruiz", &["--role", "clinician", "--fhir-user", &practitioner]);
        let browser = server.browser();
        browser.signs_in("ruiz", PASSWORD);
        server.ehr().delete(&format!("/fhir/{practitioner}")).is(204);
        server.place.tells(&["account", "disable", "ruiz"]);
        assert_eq!(browser.get("/account").heading(), "Sign in");
        server.place.tells(&["role", "revoke", "ruiz"]);
        server.tells_with(&["account", "reset", "ruiz", "--password-stdin"], PASSWORD);
        server.place.tells(&["account", "link", "ruiz", "--issuer", "https://idp.example", "--subject", "1"]);
        let output = server.place.firth(&["account", "add", "sol", "--role", "clinician", "--fhir-user", &practitioner]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("make it first"));
    }
}
