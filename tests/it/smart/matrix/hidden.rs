//! Reading: no path tells of another patient.

use std::collections::BTreeSet;

use serde_json::json;

use super::world::*;
use crate::documents::put;
use crate::support::{Bundle, Client};

both! {
    fn a14_a_read_of_somebody_else_is_a_read_of_nobody(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            reads(&client, &format!("Patient/{}", w.a.patient));
            reads(&client, &format!("Observation/{}", w.a1));
            for hidden in [format!("Patient/{}", w.b.patient), format!("Observation/{}", w.b1), format!("Observation/{}", w.b.finds("&code=8867-4").ids()[0])] {
                absent(&client, &hidden);
            }
        }
    }
}

both! {
    fn a15_a_search_by_id_or_identifier_finds_the_own_only(server) {
        let w = World::new(server);
        let (a, b) = (&w.a.patient, &w.b.patient);
        for client in [w.alice(), w.clinician()] {
            finds(&client, &format!("Patient?_id={b}"), &[]);
            finds(&client, &format!("Patient?_id={a},{b}"), &[format!("Patient/{a}")]);
            finds(&client, &format!("Patient?identifier={MRN}|mrn-bobby"), &[]);
            finds(&client, "Patient?identifier=mrn-bobby", &[]);
            finds(&client, &format!("Observation?_id={},{}", w.a1, w.b1), &[format!("Observation/{}", w.a1)]);
            finds(&client, "Observation?identifier=urn:example:obs|same", &[format!("Observation/{}", w.a1)]);
        }
        finds(&server.ehr(), &format!("Patient?identifier={MRN}|mrn-bobby"), &[format!("Patient/{b}")]);
    }
}

both! {
    fn a16_every_spelling_of_another_patient_finds_nothing(server) {
        let w = World::new(server);
        let b = &w.b.patient;
        let spellings = [
            format!("Observation?patient={b}"), format!("Observation?patient=Patient/{b}"), format!("Observation?subject=Patient/{b}"),
            format!("Observation?subject:Patient={b}"), format!("Observation?subject={}/fhir/Patient/{b}", server.url()),
            format!("Observation?patient={}&patient={b}", w.a.patient), format!("Observation?performer=Practitioner/{}&patient={b}", w.by),
        ];
        for client in [w.alice(), w.clinician()] {
            for query in &spellings {
                finds(&client, query, &[]);
            }
            let both = client.search(&format!("Observation?patient={},{b}&_total=accurate", w.a.patient));
            assert_eq!((both.total(), both.matches().len()), (Some(4), 4));
            // A chain and a reference by identifier are not offered, whoever asks and whatever there is.
            for name in ["patient.identifier", "subject:identifier"] {
                let query = format!("Observation?{name}={MRN}|mrn-bobby");
                refuses(&client, &query, 400, "request.parameter-unknown");
                let said = client.get(&format!("/fhir/{}", query.replace('|', "%7C"))).text_at("/issue/0/details/text");
                assert!(said.contains(name), "{said}");
            }
        }
        for query in &spellings[..5] {
            assert_eq!(server.ehr().search(&format!("{query}&_total=accurate&_count=0")).total(), Some(4), "{query}");
        }
    }
}

both! {
    fn a25_included_is_only_what_is_visible_and_the_page_is_full(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            for page in client.pages("Observation?_include=Observation:subject&_include=Observation:device&_include=Observation:patient&_count=2") {
                assert_eq!(page.matches().len(), 2, "a page that hides something is not full");
                for one in page.included() {
                    let own = [one["id"].as_str(), one["patient"]["reference"].as_str().and_then(|to| to.strip_prefix("Patient/"))];
                    assert!(own.contains(&Some(w.a.patient.as_str())), "{one}");
                }
            }
            finds(&client, "DiagnosticReport", &[format!("DiagnosticReport/{}", w.ra)]);
        }
    }
}

both! {
    fn a25_what_is_visible_does_not_lead_to_what_is_not(server) {
        let w = World::new(server);
        let pointing = w.point_to_bobs();
        let query = format!("Observation?_id={}&_include=Observation:device&_include=Observation:subject&_include=Observation:patient", pointing.join(","));
        let shown = |client: &Client<'_>, included: &[String]| {
            let matches = pointing.iter().map(|id| format!("match Observation/{id}"));
            let expected: BTreeSet<String> = matches.chain(included.iter().map(|one| format!("include {one}"))).collect();
            for (way, came) in ways(client, &query) {
                assert_eq!((came.status, came.entries), (200, expected.clone()), "{way}");
            }
        };
        let own = format!("Patient/{}", w.a.patient);
        for client in [w.alice(), w.clinician()] {
            shown(&client, std::slice::from_ref(&own));
        }
        // Who may see both is shown both.
        shown(&server.ehr(), &[own, format!("Device/{}", w.db)]);
    }
}

both! {
    fn a26_a_next_link_is_of_who_was_given_it(server) {
        let w = World::new(server);
        let alice = w.alice();
        let next = alice.search("Observation?_count=1").next().unwrap();
        assert_eq!(Bundle(alice.get(&next).is(200).json()).matches().len(), 1);
        for other in [w.alice(), w.b.own(), w.clinician(), server.ehr(), w.scoped("user/Observation.rs")] {
            assert_eq!(other.get(&next).is(403).code(), "auth.forbidden");
            let bundles = alone_and_bundled(&other, next.split("/fhir/").last().unwrap());
            assert!(bundles.iter().all(|(_, came)| came.status == 403 && came.entries.is_empty()), "{bundles:?}");
        }
        for tampered in [next.replace("_count=1", "_count=2"), next.replace("Observation?", "Patient?"), format!("{next}A"), next.replace("_cursor=", "_cursor=B")] {
            assert_eq!(alice.get(&tampered).is(400).code(), "request.parameter", "{tampered}");
            let bundles = alone_and_bundled(&alice, tampered.split("/fhir/").last().unwrap());
            assert!(bundles.iter().all(|(_, came)| came.status == 400 && came.entries.is_empty()), "{bundles:?}");
        }
    }
}

both! {
    fn a27_what_is_hidden_is_not_counted(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            for query in [format!("Observation?patient={}", w.b.patient), format!("Observation?_id={}", w.b1), "Patient?identifier=mrn-bobby".to_owned()] {
                for counted in ["&_total=accurate", "&_count=0", "&_total=accurate&_count=0"] {
                    for (way, came) in ways(&client, &format!("{query}{counted}")).into_iter().filter(|(way, _)| *way != "next link") {
                        assert_eq!((came.status, came.total, came.entries.len()), (200, Some(0), 0), "{way} {query}{counted}");
                    }
                }
            }
            refuses(&client, &format!("Observation?patient={}&_summary=count", w.b.patient), 400, "request.parameter-unknown");
        }
    }
}

both! {
    fn a28_a_cursor_is_as_long_whatever_is_newer_and_hidden(server) {
        let w = World::new(server);
        let lengths = |query: &str| -> Vec<usize> { w.alice().pages(query).iter().filter_map(Bundle::next).map(|next| next.len()).collect() };
        for query in ["Observation?_sort=-date&_count=1", "Observation?_sort=_lastUpdated&_count=1"] {
            let (before, rows) = (lengths(query), w.alice().pages(query));
            let mut newest = observation(&w.b.patient, "newest");
            newest["effectiveDateTime"] = json!("2030-01-01T00:00:00Z");
            server.ehr().post("/fhir/Observation", &newest).is(201);
            let after = w.alice().pages(query);
            assert_eq!(before, lengths(query), "{query}");
            assert_eq!(rows.iter().map(Bundle::ids).collect::<Vec<_>>(), after.iter().map(Bundle::ids).collect::<Vec<_>>(), "{query}");
        }
        assert_eq!(lengths("Observation?_sort=-date&_count=1").len(), 3);
    }
}

both! {
    fn a32_history_is_of_the_own_only_and_needs_search(server) {
        let w = World::new(server);
        let own = |bundle: &Bundle| {
            let text = bundle.0.to_string();
            assert!(!text.contains(&w.b.patient) && !text.contains(&w.db), "{text}");
            bundle.0["entry"].as_array().map_or(0, Vec::len)
        };
        for client in [w.alice(), w.clinician()] {
            for query in ["Observation/_history?_count=2", "Patient/_history?_count=1", "_history?_count=3"] {
                let pages = client.pages(query);
                assert!(pages.iter().map(own).sum::<usize>() >= 2, "{query}");
                for kind in ["batch", "transaction"] {
                    let reply = bundled(&client, kind, &json!({"method": "GET", "url": query}), None).is(200);
                    assert!(own(&Bundle(reply.at("/entry/0/resource"))) >= 1, "{kind} {query}");
                }
            }
        }
        for (scope, status) in [("user/*.r", 403), ("user/Observation.r", 403), ("user/Observation.s", 200)] {
            let ways = alone_and_bundled(&w.scoped(scope), "Observation/_history");
            assert!(ways.iter().all(|(_, came)| came.status == status), "{scope}: {ways:?}");
        }
        let ways = alone_and_bundled(&w.scoped("user/Observation.r"), "_history");
        assert!(ways.iter().all(|(_, came)| came.status == 403), "{ways:?}");
    }
}

both! {
    fn a33_reading_and_searching_are_two_scopes(server) {
        let w = World::new(server);
        let (r, s) = (w.scoped("user/Observation.r"), w.scoped("user/Observation.s"));
        let path = format!("Observation/{}", w.a1);
        reads(&r, &path);
        refuses(&r, "Observation", 403, "auth.forbidden");
        assert_eq!(s.search("Observation?_count=0").total(), Some(4));
        for more in ["", "/_history/1", "/_history"] {
            assert_eq!(s.get(&format!("/fhir/{path}{more}")).is(403).code(), "auth.forbidden");
        }
        // The answer does not depend on what there is.
        assert_eq!(s.get(&format!("/fhir/Observation/{ABSENT}")).is(403).code(), "auth.forbidden");
        for (client, url) in [(&r, "Observation?_count=1"), (&s, path.as_str())] {
            let batch = bundled(client, "batch", &json!({"method": "GET", "url": url}), None).is(200);
            assert_eq!(batch.at("/entry/0/response/status"), json!("403"));
            bundled(client, "transaction", &json!({"method": "GET", "url": url}), None).is(403);
        }
    }
}

both! {
    fn a50_a_device_is_its_patients(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            reads(&client, &format!("Device/{}", w.da));
            for hidden in [&w.db, &w.d0] {
                absent(&client, &format!("Device/{hidden}"));
            }
            finds(&client, &format!("Device?_id={},{},{}", w.da, w.db, w.d0), &[format!("Device/{}", w.da)]);
        }
    }
}

both! {
    fn a52_who_is_shared_leads_to_nobody_hidden(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            reads(&client, &format!("Practitioner/{}", w.by));
            finds(&client, &format!("Observation?performer=Practitioner/{}", w.by), &[format!("Observation/{}", w.a1)]);
            refuses(&client, &format!("Practitioner?_id={}&_revinclude=Observation:performer", w.by), 400, "request.parameter-unknown");
        }
    }
}

both! {
    fn a53_what_points_to_somebody_else_opens_nothing(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            for own in [format!("DiagnosticReport/{}", w.ra), format!("List/{}", w.la)] {
                reads(&client, &own);
            }
            absent(&client, &format!("Observation/{}", w.b1));
            refuses(&client, "List?_include=List:item", 400, "request.parameter");
            refuses(&client, "DiagnosticReport?_include=DiagnosticReport:result", 400, "request.parameter");
            // What is not served as a resource of its own cannot embed one.
            for kind in ["Composition", "Bundle"] {
                refuses(&client, kind, 404, "resource.not-found");
                assert_eq!(client.get(&format!("/fhir/{kind}/{ABSENT}")).is(404).code(), "resource.not-found");
            }
            finds(&client, &format!("Group?_id={}", w.g), &[]);
            absent(&client, &format!("Group/{}", w.g));
        }
    }
}

both! {
    fn a54_where_data_comes_from_and_who_saw_it_is_not_told(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            finds(&client, &format!("Provenance?target=Observation/{}", w.b1), &[]);
            absent(&client, &format!("Provenance/{}", w.pb));
            for query in [format!("AuditEvent?patient={}", w.b.patient), format!("AuditEvent?patient={}", w.a.patient), "AuditEvent".to_owned()] {
                refuses(&client, &query, 403, "auth.forbidden");
            }
        }
        // Nor an event by its id, by whoever is no auditor; and that there is none is answered alike.
        let seen = server.auditor().search(&format!("AuditEvent?patient={}&_count=1", w.a.patient)).only();
        for client in [w.alice(), w.clinician(), server.ehr()] {
            for id in [seen["id"].as_str().unwrap(), ABSENT] {
                for url in ["", "/_history", "/_history/1"].map(|more| format!("AuditEvent/{id}{more}")).into_iter().chain(["AuditEvent/_history".to_owned()]) {
                    for (way, came) in alone_and_bundled(&client, &url) {
                        assert_eq!((came.status, came.code.as_str(), came.entries.len()), (403, "auth.forbidden", 0), "{way} {url}");
                    }
                }
            }
        }
        server.auditor().get(&format!("/fhir/AuditEvent/{}", seen["id"].as_str().unwrap())).is(200);
    }
}

both! {
    fn a69_nothing_hidden_is_unmodified(server) {
        let w = World::new(server);
        for client in [w.alice(), w.clinician()] {
            for (name, value) in [("if-none-match", "W/\"1\""), ("if-none-match", "*"), ("if-modified-since", "Sun, 06 Nov 2095 08:49:37 GMT")] {
                let asking = client.with(name, value);
                asking.get(&format!("/fhir/Observation/{}", w.b1)).is(404);
                asking.get(&format!("/fhir/Observation/{ABSENT}")).is(404);
                asking.get(&format!("/fhir/Observation/{}", w.a1)).is(304);
            }
            for (kind, id, status) in ["batch", "transaction"].into_iter().flat_map(|kind| [(kind, w.b1.as_str(), 404), (kind, ABSENT, 404), (kind, &w.a1, 304)]) {
                let reply = bundled(&client, kind, &json!({"method": "GET", "url": format!("Observation/{id}"), "ifNoneMatch": "W/\"1\""}), None);
                let came = if reply.status == 200 { reply.text_at("/entry/0/response/status")[..3].parse().unwrap() } else { reply.status };
                assert_eq!(came, status, "{kind} {id}");
            }
        }
    }
}

both! {
    fn a32_a_version_of_when_it_was_ones_own_is_no_longer(server) {
        let w = World::new(server);
        let path = format!("/fhir/Observation/{}", w.a1);
        let mut moved = server.ehr().get(&path).is(200).json();
        moved["subject"] = patient(&w.b.patient);
        put(&server.ehr(), &path, &moved).is(200);
        for client in [w.alice(), w.clinician()] {
            client.get(&path).is(404);
            absent(&client, &format!("Observation/{}", w.a1));
            for version in [1, 2] {
                let ways = alone_and_bundled(&client, &format!("Observation/{}/_history/{version}", w.a1));
                assert!(ways.iter().all(|(_, came)| came.status == 404), "{ways:?}");
            }
            finds(&client, &format!("Observation?_id={}", w.a1), &[]);
            let all: String = client.pages("Observation/_history?_count=2").iter().map(|page| page.0.to_string()).collect();
            assert!(!all.contains(&w.b.patient));
        }
    }
}

both! {
    fn a51_a_binary_is_its_patients(server) {
        let w = World::new(server);
        let of = |patient: &str| crate::documents::created(&server.ehr(), &json!({"resourceType": "Binary", "contentType": "text/plain",
            "securityContext": {"reference": format!("Patient/{patient}")}, "data": "aGVsbG8="}));
        let (own, bobs) = (of(&w.a.patient), of(&w.b.patient));
        // The raw body of an upload is no Binary, whoever asks, and its upload is the SDK's own.
        let upload = w.b.stores(&crate::support::payload::apple(crate::support::payload::hearts("raw", 1))).text_at("/upload_id");
        for client in [w.alice(), w.clinician(), server.ehr(), w.b.own()] {
            absent(&client, &format!("Binary/{upload}"));
            assert_eq!(client.get(&format!("/api/v1/sdk/users/{}/uploads/{upload}", w.b.user)).status, 403);
        }
        for client in [w.alice(), w.clinician()] {
            for accept in ["*/*", "text/plain"] {
                client.with("accept", accept).get(&format!("/fhir/Binary/{bobs}")).is(404);
            }
            assert_eq!(client.with("accept", "text/plain").get(&format!("/fhir/Binary/{own}")).is(200).text(), "hello");
        }
        for client in [w.alice(), w.clinician()] {
            let reads = client.with("accept", "application/fhir+json");
            reads.get(&format!("/fhir/Binary/{own}")).is(200);
            absent(&reads, &format!("Binary/{bobs}"));
        }
    }
}

both! {
    fn a78_a_narrower_scope_never_adds_a_row(server) {
        let w = World::new(server);
        // By every way to search, and by the histories.
        let rows = |scope: &str| -> BTreeSet<String> {
            let client = w.scoped(scope);
            let queries = ["Observation", "Patient", "Device", "DiagnosticReport", "Observation?_include=Observation:subject&_include=Observation:device"];
            let mut found: BTreeSet<String> = queries.iter().flat_map(|query| ways(&client, query))
                .flat_map(|(way, came)| came.entries.into_iter().map(move |entry| format!("{way} {entry}"))).collect();
            for history in ["Observation/_history", "_history"] {
                let reply = client.get(&format!("/fhir/{history}")).json();
                found.extend(reply["entry"].as_array().into_iter().flatten().map(|entry| format!("{history} {}", entry["fullUrl"])));
            }
            found
        };
        let chains = [
            &["user/*.cruds", "user/*.rs", "user/Observation.rs", "user/Observation.s"][..],
            &["user/Observation.rs user/Patient.rs", "user/Patient.rs", "user/Patient.s"],
            &["user/*.rs", "user/Observation.rs user/Device.rs", "user/Device.rs"],
            &["user/Observation.rs", "user/Observation.rs?code=8867-4", "user/Observation.rs?code=8867-4&category=laboratory"],
            &["user/*.rs", "user/Observation.rs?category=vital-signs user/Patient.rs", "user/Observation.rs?category=vital-signs"],
        ];
        for chain in chains {
            let sets: Vec<_> = chain.iter().map(|scope| rows(scope)).collect();
            assert!(!sets[0].is_empty());
            for (wide, narrow) in sets.iter().zip(&sets[1..]) {
                assert!(narrow.is_subset(wide), "{chain:?}: {:?}", narrow.difference(wide));
            }
        }
    }
}
