//! Attempts by what is not served: each is refused by name, whoever asks and whatever there is.

use super::world::*;

const UNKNOWN: &str = "request.parameter-unknown";

both! {
    fn a17_a_compartment_is_no_path(server) {
        let w = World::new(server);
        for path in [format!("Patient/{}/Observation", w.b.patient), format!("Patient/{}/Observation?patient={}", w.a.patient, w.b.patient)] {
            for client in [w.alice(), w.clinician(), server.ehr()] {
                // In a Bundle it is the entry that is wrong.
                for (way, came) in alone_and_bundled(&client, &path) {
                    let refused = if way == "GET" { (404, "resource.not-found") } else { (400, "request.invalid") };
                    assert_eq!((came.status, came.code.as_str()), refused, "{way} {path}");
                }
            }
        }
    }
}

both! {
    fn a18_reverse_chains_are_not_offered(server) {
        let w = World::new(server);
        for code in ["8867-4", "never-used"] {
            refuses(&w.alice(), &format!("Patient?_has:Observation:patient:code={code}"), 400, UNKNOWN);
        }
    }
}

both! {
    fn a19_no_bit_is_learned_by_bisection(server) {
        let w = World::new(server);
        for n in 0..20 {
            refuses(&w.alice(), &format!("Patient?_has:Observation:patient:value-quantity=gt{}", 40 + 5 * n), 400, UNKNOWN);
        }
    }
}

both! {
    fn a20_a_report_includes_no_result(server) {
        let w = World::new(server);
        refuses(&w.alice(), &format!("DiagnosticReport?_id={}&_include=DiagnosticReport:result", w.ra), 400, "request.parameter");
    }
}

both! {
    fn a21_there_is_no_coverage(server) {
        let w = World::new(server);
        for (way, came) in ways(&w.alice(), "Coverage?_include=Coverage:subscriber") {
            assert_eq!((came.status, came.code.as_str()), (404, "resource.not-found"), "{way}");
        }
    }
}

both! {
    fn a22_nothing_is_included_backwards(server) {
        let w = World::new(server);
        refuses(&w.alice(), &format!("Patient?_id={}&_revinclude=Observation:focus", w.a.patient), 400, UNKNOWN);
    }
}

both! {
    fn a23_an_include_does_not_iterate(server) {
        let w = World::new(server);
        refuses(&w.alice(), "Observation?_include:iterate=Observation:device", 400, UNKNOWN);
    }
}

both! {
    fn a24_nothing_is_included_backwards_again(server) {
        let w = World::new(server);
        refuses(&w.alice(), "Observation?_revinclude:iterate=DiagnosticReport:result", 400, UNKNOWN);
        refuses(&w.alice(), "Observation?_revinclude=*:*", 400, UNKNOWN);
    }
}

both! {
    fn a25_an_include_of_everything_is_not_offered(server) {
        let w = World::new(server);
        for query in ["Observation?_include=*", "DiagnosticReport?_include=*", "Observation?_include=Observation:performer"] {
            refuses(&w.alice(), query, 400, "request.parameter");
        }
    }
}

both! {
    fn a43_a44_a45_a47_operations_that_there_are_not_are_named(server) {
        let w = World::new(server);
        let (a, b) = (&w.a.patient, &w.b.patient);
        for path in [
            format!("Patient/{a}/$everything"), format!("Patient/{b}/$everything"), "Patient/$everything".into(), "Patient/$everything?_type=AuditEvent".into(),
            "Observation/$lastn".into(), format!("Observation/$lastn?patient={b}"), "Observation/$stats".into(),
            "$export".into(), "$export?_type=Patient".into(), "Patient/$export".into(), format!("Group/{}/$export", w.g),
        ] {
            for client in [w.alice(), w.clinician(), server.ehr()] {
                let refused = client.get(&format!("/fhir/{path}")).is(404);
                assert!(refused.text_at("/issue/0/details/text").contains("there is no operation"), "{path}: {}", refused.text());
                for (way, came) in alone_and_bundled(&client, &path) {
                    assert_eq!((came.status, came.code.as_str()), (404, "resource.not-found"), "{way} {path}");
                }
            }
        }
    }
}

both! {
    fn a58_there_are_no_subscriptions(server) {
        let w = World::new(server);
        for criteria in ["Observation?".to_owned(), format!("Observation?patient={}", w.b.patient)] {
            let body = serde_json::json!({"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": criteria,
                "channel": {"type": "rest-hook", "endpoint": "https://app.example/hook"}});
            for client in [w.alice(), w.clinician(), server.ehr()] {
                assert_eq!(client.post("/fhir/Subscription", &body).is(404).code(), "resource.not-found");
                assert_eq!(written(&client, "POST", "Subscription", Some(&body)), [404; 3]);
            }
        }
    }
}
