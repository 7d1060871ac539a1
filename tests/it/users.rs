//! Users, their Patients, tokens and invitation codes.

use serde_json::json;

use crate::support::payload::*;

both! {
    fn a_user_is_made_read_changed_listed_and_deleted(server) {
        let app = server.backend_of_app();
        let fields = json!({"external_user_id": "mrn-0001", "first_name": "Ines", "last_name": "Ferro", "email": "ines@example.org"});
        let made = app.post("/api/v1/users", &fields).is(201);
        let (id, patient) = (made.text_at("/id"), made.text_at("/patient_id"));
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(made.at(&format!("/{name}")), *value);
        }
        assert_eq!(app.get(&format!("/api/v1/users/{id}")).is(200).json(), made.json());
        let changed = app.patch(&format!("/api/v1/users/{id}"), &json!({"last_name": "Ferrante"})).is(200);
        assert_eq!((changed.text_at("/last_name"), changed.text_at("/first_name"), changed.text_at("/patient_id")), ("Ferrante".into(), "Ines".into(), patient.clone()));
        let resource = server.ehr().get(&format!("/fhir/Patient/{patient}")).is(200);
        assert_eq!((resource.at("/name/0/family"), resource.at("/name/0/given/0"), resource.at("/meta/versionId")), (json!("Ferrante"), json!("Ines"), json!("2")));
        let identifiers = resource.at("/identifier");
        let has = |system: &str, value: &str| identifiers.as_array().unwrap().iter().any(|one| one["system"] == system && one["value"] == value);
        assert!(has("urn:firth:user", &id) && has("urn:firth:external", "mrn-0001"), "{identifiers}");
        assert_eq!(server.ehr().get(&format!("/fhir/Patient/{patient}/_history/1")).is(200).at("/name/0/family"), "Ferro");
        app.post("/api/v1/users", &json!({"external_user_id": "mrn-0002"})).is(201);
        assert_eq!(app.get("/api/v1/users?external_user_id=mrn-0001").is(200).at("/items/0/id"), json!(id));
        assert_eq!(app.get("/api/v1/users?email=INES@example.org").is(200).at("/total"), 1);
        let page = app.get("/api/v1/users?limit=1&page=2&sort_order=asc").is(200);
        assert_eq!((page.at("/total"), page.at("/pages"), page.at("/has_next"), page.at("/has_prev")), (json!(2), json!(2), json!(false), json!(true)));
        assert_eq!(app.get("/api/v1/users?colour=red").is(400).code(), "request.parameter");
        app.delete(&format!("/api/v1/users/{id}")).is(200);
        app.get(&format!("/api/v1/users/{id}")).is(404);
        app.delete(&format!("/api/v1/users/{id}")).is(404);
    }
}

both! {
    fn a_member_that_stands_twice_is_refused_by_its_name(server) {
        let app = server.backend_of_app().with("content-type", "application/json");
        let send = |verb: &str, path: &str, body: &str| app.send(verb, path, Some(body.as_bytes()));
        let alice = server.person("alice");
        let user = format!("/api/v1/users/{}", alice.user);
        let before = app.get(&user).is(200).json();
        let table = [
            ("POST", "/api/v1/users".to_owned(), r#"{"first_name":"a","last_name":"b","first_name":"c"}"#, "first_name"),
            ("POST", "/api/v1/users".to_owned(), r#"{"patient_id":null,"patient_id":null}"#, "patient_id"),
            ("PATCH", user.clone(), r#"{"email":"x@example.org","email":"y@example.org"}"#, "email"),
            ("POST", format!("{user}/token"), r#"{"app_id":"x","app_id":"x"}"#, "app_id"),
            ("POST", "/api/v1/token/refresh".to_owned(), r#"{"refresh_token":"x","refresh_token":"y"}"#, "refresh_token"),
            ("POST", format!("/api/v1/sdk/users/{}/logs", alice.user), r#"{"events":[{"eventType":1,"eventType":2}]}"#, "events[0].eventType"),
        ];
        for (verb, path, body, name) in table {
            let refused = send(verb, &path, body).is(400);
            assert_eq!((refused.code().as_str(), refused.at("/issue/0/at")), ("request.syntax", json!(name)), "{path}");
            assert!(refused.text_at("/detail").starts_with("The name stands twice in one object."), "{}", refused.text());
        }
        assert_eq!(app.get(&user).is(200).json(), before);
        assert_eq!(app.get("/api/v1/users").is(200).at("/total"), json!(1));
    }
}

both! {
    fn an_external_id_belongs_to_one_user(server) {
        let app = server.backend_of_app();
        app.post("/api/v1/users", &json!({"external_user_id": "mrn-1"})).is(201);
        let refused = app.post("/api/v1/users", &json!({"external_user_id": "mrn-1"})).is(409);
        assert_eq!((refused.code().as_str(), refused.at("/issue/0/at")), ("resource.duplicate", json!("external_user_id")));
        let other = app.post("/api/v1/users", &json!({"external_user_id": "mrn-2"})).is(201).text_at("/id");
        app.patch(&format!("/api/v1/users/{other}"), &json!({"external_user_id": "mrn-1"})).is(409);
        app.patch(&format!("/api/v1/users/{other}"), &json!({"external_user_id": "mrn-2"})).is(200);
        let blanks = app.post("/api/v1/users", &json!({"external_user_id": "  mrn-3 ", "first_name": " Ada "})).is(201);
        assert_eq!((blanks.text_at("/external_user_id"), blanks.text_at("/first_name")), ("mrn-3".into(), "Ada".into()));
        app.post("/api/v1/users", &json!({"external_user_id": "mrn-3"})).is(409);
        assert_eq!(server.ehr().search("Patient?identifier=urn:firth:external|mrn-3").matches().len(), 1);
    }
}

both! {
    fn a_patient_that_outlives_its_user_keeps_its_external_id(server) {
        let app = server.backend_of_app();
        let first = app.post("/api/v1/users", &json!({"external_user_id": "mrn-9", "last_name": "Ode"})).is(201);
        app.delete(&format!("/api/v1/users/{}", first.text_at("/id"))).is(200);
        let refused = app.post("/api/v1/users", &json!({"external_user_id": "mrn-9"})).is(409);
        assert!(refused.text().contains(&first.text_at("/patient_id")), "{}", refused.text());
        let again = app.post("/api/v1/users", &json!({"patient_id": first.text_at("/patient_id")})).is(201);
        assert_eq!(again.text_at("/external_user_id"), "mrn-9");
        assert_eq!(app.get("/api/v1/users?external_user_id=mrn-9").is(200).at("/items/0/id"), again.at("/id"));
        app.patch(&format!("/api/v1/users/{}", again.text_at("/id")), &json!({"first_name": "Q"})).is(200);
    }
}

both! {
    fn users_are_searched_and_sorted_by_what_is_sealed(server) {
        let app = server.backend_of_app();
        for (first, last, email) in [("Ines", "Ferro", "z@example.org"), ("Bruno", "Ferraz", "m@example.org"), ("Ada", "Lima", "a@example.org")] {
            app.post("/api/v1/users", &json!({"first_name": first, "last_name": last, "email": email})).is(201);
        }
        let names = |query: &str| -> Vec<String> {
            let page = app.get(&format!("/api/v1/users?{query}")).is(200);
            page.at("/items").as_array().unwrap().iter().map(|one| one["first_name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("search=FERR&sort_order=asc"), ["Ines", "Bruno"]);
        assert_eq!(names("search=example.org&sort_by=email&sort_order=asc"), ["Ada", "Bruno", "Ines"]);
        assert_eq!(names("sort_by=first_name&sort_order=desc&limit=1&page=2"), ["Bruno"]);
        assert!(names("search=nobody").is_empty());
        app.get("/api/v1/users?sort_by=shoe_size").is(400);
    }
}

both! {
    fn a_user_with_data_stays_without_its_tokens(server) {
        let alice = server.person("alice");
        alice.stores(&apple(hearts("r", 2)));
        let path = format!("/api/v1/users/{}", alice.user);
        let code = server.backend_of_app().post(&format!("{path}/invitation-code"), &json!({})).is(201).text_at("/code");
        assert_eq!(server.backend_of_app().delete(&path).is(409).code(), "user.has-data");
        alice.sync(apple(Vec::new()).to_string().as_bytes()).is(401);
        server.nobody().post("/api/v1/invitation-code/redeem", &json!({"code": code})).is(404);
        server.nobody().post("/api/v1/token/refresh", &json!({"refresh_token": alice.refresh})).is(401);
        assert_eq!(alice.finds("").matches().len(), 2, "nothing was erased");
    }
}

both! {
    fn a_user_without_data_goes_with_its_tokens(server) {
        let alice = server.person("alice");
        server.backend_of_app().delete(&format!("/api/v1/users/{}", alice.user)).is(200);
        alice.sync(apple(Vec::new()).to_string().as_bytes()).is(401);
    }
}

both! {
    fn a_patient_that_exists_is_adopted_once(server) {
        let app = server.backend_of_app();
        let first = app.post("/api/v1/users", &json!({"first_name": "Ines", "external_user_id": "mrn-1"})).is(201);
        let patient = first.text_at("/patient_id");
        let adopt = |fields: serde_json::Value| app.post("/api/v1/users", &fields);
        assert_eq!(adopt(json!({"patient_id": patient})).is(409).at("/issue/0/at"), "patient_id");
        app.delete(&format!("/api/v1/users/{}", first.text_at("/id"))).is(200);
        let again = adopt(json!({"patient_id": patient, "external_user_id": "mrn-2"})).is(201);
        assert_eq!((again.text_at("/patient_id"), again.text_at("/first_name")), (patient, "Ines".into()));
        adopt(json!({"patient_id": uuid::Uuid::new_v4().to_string()})).is(404);
        adopt(json!({"patient_id": "x"})).is(422);
    }
}

both! {
    fn malformed_users_are_refused_by_name(server) {
        let app = server.backend_of_app();
        let long = "x".repeat(300);
        for (fields, at) in [
            (json!({"first_name": 7}), "first_name"),
            (json!({"email": "nowhere"}), "email"),
            (json!({"last_name": long}), "last_name"),
            (json!({"external_user_id": ""}), "external_user_id"),
            (json!({"colour": "red"}), "colour"),
        ] {
            let refused = app.post("/api/v1/users", &fields).is(422);
            assert_eq!((refused.code().as_str(), refused.at("/issue/0/at")), ("request.unprocessable", json!(at)), "{fields}");
        }
        app.send("POST", "/api/v1/users", Some(b"{")).is(400);
        app.send("POST", "/api/v1/users", Some(b"[]")).is(422);
    }
}

both! {
    fn a_token_is_issued_for_the_secret_of_an_app_only(server) {
        let alice = server.person("alice");
        let app = server.app().clone();
        let issue = |user: &str, id: &str, secret: &str| server.nobody().post(&format!("/api/v1/users/{user}/token"), &json!({"app_id": id, "app_secret": secret}));
        let pair = issue(&alice.user, &app.id, &app.secret).is(200);
        assert_eq!((pair.at("/token_type"), pair.at("/expires_in")), (json!("bearer"), json!(3600)));
        assert!(pair.text_at("/refresh_token").starts_with("rt-") && pair.at("/access_token").is_string());
        issue(&alice.user, &app.id, "as-wrong").is(401);
        issue(&alice.user, &uuid::Uuid::new_v4().to_string(), &app.secret).is(401);
        issue(&alice.user, "x", &app.secret).is(401);
        issue(&uuid::Uuid::new_v4().to_string(), &app.id, &app.secret).is(404);
        assert_eq!(server.nobody().post(&format!("/api/v1/users/{}/token", alice.user), &json!({"app_id": app.id})).is(422).at("/issue/0/at"), "app_secret");
    }
}

both! {
    fn an_invitation_code_is_good_once(server) {
        let alice = server.person("alice");
        let invited = server.backend_of_app().post(&format!("/api/v1/users/{}/invitation-code", alice.user), &json!({})).is(201);
        let code = invited.text_at("/code");
        assert!(code.len() == 8 && code.bytes().all(|byte| b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789".contains(&byte)), "{code}");
        let redeem = |code: &str| server.nobody().post("/api/v1/invitation-code/redeem", &json!({"code": code}));
        let pair = redeem(&code.to_lowercase()).is(200);
        assert_eq!(pair.at("/user_id"), json!(alice.user));
        let phone = crate::support::Person { access: pair.text_at("/access_token"), ..alice.clone() };
        phone.stores(&apple(hearts("r", 1)));
        redeem(&code).is(404);
        server.backend_of_app().post(&format!("/api/v1/users/{}/invitation-code", uuid::Uuid::new_v4()), &json!({})).is(404);
    }
}

both! {
    fn an_old_code_is_not_valid(server) {
        let alice = server.person("alice");
        let code = server.backend_of_app().post(&format!("/api/v1/users/{}/invitation-code", alice.user), &json!({})).is(201).text_at("/code");
        server.sql(false, "UPDATE invitation SET expires_at = 1").unwrap();
        server.nobody().post("/api/v1/invitation-code/redeem", &json!({"code": code})).is(404);
    }
}

both! {
    fn five_codes_a_minute_may_be_tried(server) {
        let redeem = || server.nobody().post("/api/v1/invitation-code/redeem", &json!({"code": "AAAAAAAA"}));
        for _ in 0..5 {
            redeem().is(404);
        }
        let refused = redeem().is(429);
        assert_eq!(refused.code(), "request.throttled");
        assert!(refused.header("retry-after").is_some());
    }
}
