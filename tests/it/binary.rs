//! A Binary as what it holds: sent natively, read natively, and seen by those who see what its securityContext names.

use serde_json::json;

use crate::consent::consent;
use crate::documents::{created, patient, put, weight};
use crate::granular::scoped;
use crate::support::{Client, Reply};

/// No text, and not UTF-8.
const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff\xfe";

fn upload(client: &Client<'_>, kind: &str, content: &[u8]) -> Reply {
    client.with("content-type", kind).send("POST", "/fhir/Binary", Some(content))
}

both! {
    fn content_is_read_as_it_was_sent(server) {
        let ehr = server.ehr();
        let made = upload(&ehr, "image/png", IMAGE).is(201);
        assert_eq!((made.at("/resourceType"), made.at("/contentType"), made.at("/data")), (json!("Binary"), json!("image/png"), json!("iVBORw0KGgoA//4=")));
        let path = format!("/fhir/Binary/{}", made.text_at("/id"));
        for accept in ["image/png", "application/pdf", "image/*, */*;q=0.8", "image/png, application/fhir+json;q=0.5"] {
            let raw = ehr.with("accept", accept).get(&path).is(200);
            assert_eq!((raw.body.as_slice(), raw.header("content-type"), raw.header("etag")), (IMAGE, Some("image/png"), Some("W/\"1\"")), "{accept}");
        }
        for accept in ["application/fhir+json", "application/json", "*/*", "image/png;q=0.5, application/fhir+json"] {
            assert_eq!(ehr.with("accept", accept).get(&path).is(200).text(), made.text(), "{accept}");
        }
        assert_eq!(ehr.get(&path).is(200).text(), made.text());
        assert_eq!(ehr.with("accept", "image/png").get(&format!("{path}?_format=json")).is(200).text(), made.text());
        for accept in ["application/fhir+xml", "image/png;q=0", "*/*;q=0.0"] {
            ehr.with("accept", accept).get(&path).is(406);
        }
        ehr.get(&format!("{path}?_format=xml")).is(406);
    }
}

both! {
    fn content_is_served_so_that_no_browser_runs_it(server) {
        let ehr = server.ehr();
        let made = upload(&ehr, "text/html; charset=utf-8", b"<script>alert(1)</script>").is(201);
        let raw = ehr.with("accept", "text/html").get(&format!("/fhir/Binary/{}", made.text_at("/id"))).is(200);
        assert_eq!(raw.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(raw.header("x-content-type-options"), Some("nosniff"));
        assert!(raw.header("content-security-policy").is_some_and(|policy| policy.contains("sandbox")));
        assert!(raw.header("content-disposition").is_some_and(|how| how.starts_with("attachment")));
    }
}

both! {
    fn a_content_type_that_no_header_can_hold_is_not_served(server) {
        let ehr = server.ehr();
        for kind in ["text/plain\u{7f}", "größe", "text"] {
            let id = created(&ehr, &json!({"resourceType": "Binary", "contentType": kind, "data": "aGk="}));
            let raw = ehr.with("accept", "text/plain").get(&format!("/fhir/Binary/{id}")).is(200);
            assert_eq!((raw.text().as_str(), raw.header("content-type")), ("hi", Some("application/octet-stream")), "{kind}");
        }
    }
}

both! {
    fn content_is_updated_under_its_id(server) {
        let ehr = server.ehr();
        let send = |kind: &str, content: &[u8]| ehr.with("content-type", kind).send("PUT", "/fhir/Binary/letter", Some(content));
        send("text/plain", b"one").is(201);
        assert_eq!(send("text/plain", b"one").is(200).header("etag"), Some("W/\"1\""));
        let second = send("text/plain", b"two").is(200);
        assert_eq!((second.header("etag"), second.at("/id"), second.at("/data")), (Some("W/\"2\""), json!("letter"), json!("dHdv")));
        let text = ehr.with("accept", "text/plain");
        assert_eq!(text.get("/fhir/Binary/letter").is(200).text(), "two");
        let first = text.get("/fhir/Binary/letter/_history/1").is(200);
        assert_eq!((first.text().as_str(), first.header("etag")), ("one", Some("W/\"1\"")));
        text.with("if-none-match", "W/\"2\"").get("/fhir/Binary/letter").is(304);
        ehr.with("if-match", "W/\"1\"").with("content-type", "text/plain").send("PUT", "/fhir/Binary/letter", Some(b"three")).is(412);
        assert_eq!(send("text/plain", b"").is(200).at("/data"), json!(null));
        assert_eq!(text.get("/fhir/Binary/letter").is(200).body, b"");
        ehr.delete("/fhir/Binary/letter").is(204);
        assert_eq!(text.get("/fhir/Binary/letter").is(410).code(), "resource.deleted");
        assert_eq!(text.get("/fhir/Binary/none").is(404).code(), "resource.not-found");
    }
}

both! {
    fn fhir_is_no_content(server) {
        let ehr = server.ehr();
        for kind in ["application/fhir+xml", "Application/FHIR+Turtle; charset=utf-8"] {
            assert_eq!(upload(&ehr, kind, b"<Binary/>").is(415).code(), "request.media-type", "{kind}");
        }
        upload(&ehr, "application/json", b"{}").is(400);
        upload(&ehr, "nonsense", b"x").is(415);
        ehr.send("POST", "/fhir/Binary", Some(b"x")).is(415);
        upload(&ehr, "application/xml", b"<ClinicalDocument/>").is(201);
    }
}

both! {
    fn the_limit_of_requests_is_that_of_content(server, "FIRTH_MAX_REQUEST_BYTES" = "4096") {
        let ehr = server.ehr();
        let most = vec![0xff; 4096];
        let made = upload(&ehr, "application/octet-stream", &most).is(201);
        assert_eq!(ehr.with("accept", "application/octet-stream").get(&format!("/fhir/Binary/{}", made.text_at("/id"))).is(200).body, most);
        assert_eq!(upload(&ehr, "application/octet-stream", &vec![0xff; 4097]).is(413).code(), "request.too-large");
    }
}

both! {
    fn who_sees_the_security_context_sees_the_content(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let (of_alice, of_bob) = (server.clinician(&[&alice]), server.clinician(&[&bob]));
        let measured = created(&ehr, &weight(&alice.patient, "70"));
        for context in [format!("Patient/{}", alice.patient), format!("{}/fhir/Patient/{}", server.url(), alice.patient), format!("Observation/{measured}")] {
            let made = upload(&ehr.with("x-security-context", &context), "image/png", IMAGE).is(201);
            let (path, local) = (format!("/fhir/Binary/{}", made.text_at("/id")), context.trim_start_matches(&format!("{}/fhir/", server.url())).to_owned());
            assert_eq!(made.at("/securityContext/reference"), json!(local));
            let raw = of_alice.with("accept", "image/png").get(&path).is(200);
            assert_eq!((raw.body.as_slice(), raw.header("x-security-context")), (IMAGE, Some(local.as_str())));
            assert_eq!(of_alice.search(&format!("Binary?_id={}", made.text_at("/id"))).ids().len(), 1);
            of_bob.with("accept", "image/png").get(&path).is(404);
            alice.own().get(&path).is(200);
        }
        assert!(of_bob.search("Binary").ids().is_empty());
    }
}

both! {
    fn a_token_for_binaries_alone_shows_what_no_resource_stands_for(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let weighed = created(&ehr, &weight(&alice.patient, "70.1"));
        let body = json!({
            "resourceType": "Binary", "contentType": "image/png", "data": "aGk=",
            "securityContext": {"reference": format!("Observation/{weighed}")}
        });
        let path = format!("/fhir/Binary/{}", created(&ehr, &body));
        let may = |scope: &str| scoped(server, "ehr-system", &[], scope).get(&path).status;
        // R4: who may not read what the securityContext names may not read the content.
        let scopes = ["system/Binary.rs", "system/Binary.rs system/Observation.c", "system/Binary.rs system/Observation.r"];
        assert_eq!(scopes.map(may), [404, 404, 200]);
        assert_eq!(["user/Binary.rs", "user/Binary.rs user/Observation.rs"].map(|scope| scoped(server, "clinician", &[&alice.patient], scope).get(&path).status), [404, 200]);
    }
}

both! {
    fn content_of_nobody_is_seen_by_systems_only(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let id = upload(&ehr, "image/png", IMAGE).is(201).text_at("/id");
        server.clinician(&[&alice]).get(&format!("/fhir/Binary/{id}")).is(404);
        ehr.get(&format!("/fhir/Binary/{id}")).is(200);
    }
}

both! {
    fn a_security_context_that_leads_nowhere_is_refused(server) {
        let ehr = server.ehr();
        let refused = upload(&ehr.with("x-security-context", "Patient/none"), "image/png", IMAGE).is(422);
        assert_eq!((refused.code().as_str(), refused.at("/issue/0/expression/0")), ("reference.not-found", json!("Binary.securityContext.reference")));
        upload(&ehr.with("x-security-context", "not a reference"), "image/png", IMAGE).is(400);
        let with_resource = ehr.with("x-security-context", "Patient/none").post("/fhir/Binary", &json!({"resourceType": "Binary", "contentType": "a/b"})).is(400);
        assert_eq!(with_resource.at("/issue/0/expression/0"), json!("http.X-Security-Context"));
    }
}

both! {
    fn a_binary_follows_its_security_context(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let binary = |whose: &str| json!({"resourceType": "Binary", "id": "scan", "contentType": "image/png", "securityContext": {"reference": format!("Patient/{whose}")}});
        put(&ehr, "/fhir/Binary/scan", &binary(&alice.patient)).is(201);
        put(&ehr, "/fhir/Binary/scan", &binary(&bob.patient)).is(200);
        server.clinician(&[&alice]).get("/fhir/Binary/scan").is(404);
        server.clinician(&[&bob]).get("/fhir/Binary/scan").is(200);
    }
}

both! {
    fn a_bundle_holds_a_binary_as_a_resource(server) {
        let ehr = server.ehr();
        let id = upload(&ehr, "image/png", IMAGE).is(201).text_at("/id");
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": format!("Binary/{id}")}}]});
        for accept in ["text/html", "*/*", "application/fhir+json"] {
            assert_eq!(ehr.with("accept", accept).post("/fhir", &bundle).is(200).at("/entry/0/resource/contentType"), json!("image/png"), "{accept}");
        }
    }
}

both! {
    fn a_transaction_makes_a_binary_of_the_patient_it_makes(server) {
        let ehr = server.ehr();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": "urn:uuid:6f6b5d1e-9a39-4c2e-8e7f-0d6a7f5b1c11", "resource": {"resourceType": "Binary", "contentType": "image/png",
                "securityContext": {"reference": "urn:uuid:6f6b5d1e-9a39-4c2e-8e7f-0d6a7f5b1c22"}}, "request": {"method": "POST", "url": "Binary"}},
            {"fullUrl": "urn:uuid:6f6b5d1e-9a39-4c2e-8e7f-0d6a7f5b1c22", "resource": patient(), "request": {"method": "POST", "url": "Patient"}}
        ]});
        let done = ehr.post("/fhir", &bundle).is(200);
        let id = |at: usize| done.text_at(&format!("/entry/{at}/response/location")).split('/').nth(1).unwrap().to_owned();
        let own = server.nobody().bearer(&server.token(&["--role", "patient", "--patient", &id(1)]).0);
        own.get(&format!("/fhir/Binary/{}", id(0))).is(200);
    }
}

both! {
    fn content_that_is_sent_again_with_its_key_is_there_once(server) {
        let once = server.ehr().with("idempotency-key", "scan-1");
        let first = upload(&once, "image/png", IMAGE).is(201);
        assert_eq!(upload(&once, "image/png", IMAGE).is(201).header("location"), first.header("location"));
        upload(&once, "image/jpeg", IMAGE).is(422);
    }
}

const KIND: &str = "http://loinc.org";

/// A document about somebody, of a kind, with this content.
fn letter(patient: &str, kind: &str, content: &str) -> serde_json::Value {
    json!({"resourceType": "DocumentReference", "status": "current", "type": {"coding": [{"system": KIND, "code": kind}]},
        "category": [{"coding": [{"system": KIND, "code": kind}]}],
        "subject": {"reference": format!("Patient/{patient}")}, "content": [{"attachment": {"contentType": "image/png", "url": content}}]})
}

/// A Binary, and how many ways show it.
fn ways(client: &Client<'_>, id: &str) -> [bool; 5] {
    let history = client.get("/fhir/Binary/_history").is(200).text();
    let batch =
        json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": format!("Binary/{id}")}}]});
    [
        client.get(&format!("/fhir/Binary/{id}")).status == 200,
        client.get(&format!("/fhir/Binary/{id}/_history/1")).status == 200,
        client.search(&format!("Binary?_id={id}")).ids().len() == 1,
        history.contains(id),
        client.post("/fhir", &batch).is(200).at("/entry/0/response/status").as_str().is_some_and(|status| status.starts_with("200")),
    ]
}

both! {
    fn a_binary_is_as_hidden_as_what_stands_for_it(server) {
        let (ehr, alice) = (server.ehr(), server.person("alice"));
        let of_kind = |kind: &str| created(&ehr, &letter(&alice.patient, kind, "https://elsewhere.example/1"));
        let (plain, secret) = (of_kind("11506-3"), of_kind("47420-5"));
        let content = |of: &str| upload(&ehr.with("x-security-context", format!("DocumentReference/{of}")), "image/png", IMAGE).is(201).text_at("/id");
        let (shown, hidden) = (content(&plain), content(&secret));
        // A Binary that stands for another one.
        let chained = upload(&ehr.with("x-security-context", format!("Binary/{hidden}")), "image/png", IMAGE).is(201).text_at("/id");
        let clinician = server.clinician(&[&alice]);
        for id in [&shown, &hidden, &chained] {
            assert_eq!((ways(&clinician, id), ways(&ehr, id)), ([true; 5], [true; 5]));
        }
        let limited = scoped(server, "clinician", &[&alice.patient], &format!("user/Binary.rs user/DocumentReference.rs?category={KIND}|11506-3"));
        let only_binaries = scoped(server, "clinician", &[&alice.patient], "user/Binary.rs");
        for (id, seen) in [(&shown, true), (&hidden, false), (&chained, false)] {
            assert_eq!((ways(&limited, id), ways(&only_binaries, id)), ([seen; 5], [false; 5]));
        }
        // Data that a consent withholds: the document by its code, and with it what it holds.
        let code = json!([{"coding": [{"system": KIND, "code": "47420-5"}]}]);
        let class = json!([{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]);
        let withheld = created(&ehr, &consent(&alice.patient, json!({"type": "deny", "class": class, "code": code})));
        for client in [server.clinician(&[&alice]), server.ehr()] {
            client.get(&format!("/fhir/DocumentReference/{secret}")).is(404);
            for (id, seen) in [(&shown, true), (&hidden, false), (&chained, false)] {
                assert_eq!(ways(&client, id), [seen; 5]);
            }
        }
        assert_eq!(ways(&alice.own(), &hidden), [true; 5]);
        ehr.delete(&format!("/fhir/Consent/{withheld}")).is(204);
    }
}

both! {
    fn a_binary_is_withheld_with_the_document_that_holds_it(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let (of_nobody, named) = (upload(&ehr, "image/png", IMAGE).is(201).text_at("/id"), upload(&ehr, "image/png", IMAGE).is(201).text_at("/id"));
        let of_alice = upload(&ehr.with("x-security-context", format!("Patient/{}", alice.patient)), "image/png", IMAGE).is(201).text_at("/id");
        let url = format!("{}/fhir/Binary/{of_nobody}/_history/1", server.url());
        for content in [url, format!("Binary/{of_alice}")] {
            created(&ehr, &letter(&alice.patient, "47420-5", &content));
        }
        created(&ehr, &json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "scan"},
            "subject": {"reference": format!("Patient/{}", alice.patient)}, "presentedForm": [{"contentType": "image/png", "url": format!("Binary/{named}")}]}));
        for id in [&of_nobody, &named, &of_alice] {
            assert_eq!(ways(&ehr, id), [true; 5]);
        }
        let class = json!([{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]);
        created(&ehr, &consent(&alice.patient, json!({"type": "deny", "class": class})));
        let client = server.ehr();
        for (id, seen) in [(&of_nobody, false), (&named, true), (&of_alice, false)] {
            assert_eq!(ways(&client, id), [seen; 5]);
        }
        assert_eq!((ways(&alice.own(), &of_alice), ways(&alice.own(), &of_nobody)), ([true; 5], [false; 5]));
        // Whoever knows an id and points to it gets nothing of it.
        let clinician = server.clinician(&[&bob]);
        for id in [&of_nobody, &named, &of_alice] {
            let mut own = weight(&bob.patient, "70");
            own["extension"] = json!([{"url": "urn:x", "valueAttachment": {"contentType": "image/png", "url": format!("Binary/{id}")}}]);
            clinician.post("/fhir/Observation", &own).is(201);
            own["extension"] = json!([{"url": "urn:x", "valueReference": {"reference": format!("Binary/{id}")}}]);
            clinician.post("/fhir/Observation", &own).is(422);
            assert_eq!(ways(&clinician, id), [false; 5]);
        }
        // It is no reference in R4's sense: nobody is kept from deleting what it leads to.
        ehr.delete(&format!("/fhir/Binary/{named}")).is(204);
    }
}

both! {
    fn a_binary_goes_with_what_stands_for_it_when_that_was_filed_wrongly(server) {
        let (ehr, alice, bob) = (server.ehr(), server.person("alice"), server.person("bob"));
        let measured = created(&ehr, &weight(&bob.patient, "70"));
        let scan = upload(&ehr.with("x-security-context", format!("Observation/{measured}")), "image/png", IMAGE).is(201).text_at("/id");
        assert_eq!(ways(&server.clinician(&[&bob]), &scan), [true; 5]);
        let mut moved = weight(&alice.patient, "70");
        moved["id"] = json!(measured);
        put(&ehr, &format!("/fhir/Observation/{measured}"), &moved).is(200);
        assert_eq!((ways(&server.clinician(&[&bob]), &scan), ways(&ehr, &scan)), ([false; 5], [true; 5]));
        // What went away altogether hides nothing.
        let lost = created(&ehr, &weight(&bob.patient, "71"));
        let scan = upload(&ehr.with("x-security-context", format!("Observation/{lost}")), "image/png", IMAGE).is(201).text_at("/id");
        assert_eq!(ways(&server.clinician(&[&bob]), &scan), [true; 5]);
    }
}
