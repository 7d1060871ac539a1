//! What a FHIRPath Patch may not be.

use serde_json::{Value, json};

use super::tests::{add, body, delete, fails, insert, operation, patient, run, shift, swap};
use super::{Purse, fhirpath_patch, patched};

#[test]
fn what_is_wrong_with_the_body_is_told_at_once() {
    let wrong = [
        json!({"name": "operate", "part": []}),
        json!({"name": "operation"}),
        json!({"name": "operation", "valueString": "a"}),
        operation("upsert", "Patient", json!({})),
        operation("add", "Patient", json!({"name": "active"})),
        operation("delete", "Patient.active", json!({"value": "a"})),
        operation("insert", "Patient.name", json!({"index": -1, "value": "a"})),
        operation("delete", "Patient.name.exists()", json!({})),
        json!({"name": "operation", "part": [{"name": "type", "valueCode": "delete", "valueString": "delete"}]}),
        json!({"name": "operation", "part": [{"name": "type", "valueNothing": 1}]}),
        json!({"name": "operation", "part": {"name": "type"}}),
        json!({"name": "operation", "part": [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "active"}, {"name": "path", "valueString": "active"}]}),
        json!({"name": "operation", "modifierExtension": [{"url": "urn:x", "valueBoolean": true}], "part": []}),
        json!(1),
    ];
    let issues = fhirpath_patch(&patient(json!({})).to_string(), body(&wrong).as_bytes()).unwrap_err();
    assert_eq!(issues.len(), wrong.len(), "{issues:#?}");
    for (n, issue) in issues.iter().enumerate() {
        assert!(issue.says.starts_with(&format!("Operation {n}: ")) && !issue.at.is_empty() && !issue.remedy.is_empty(), "{issue:?}");
    }
    assert_eq!(issues[6].at, "Parameters.parameter[6].part[2]");
    assert_eq!((issues[7].code, issues[7].at.as_str()), ("not-supported", "Patient.name.exists()"));
    for body in [
        "",
        "[]",
        "{}",
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Parameters","parameter":{}}"#,
        "{\"resourceType\":\"Parameters\",\"id\":\"a\",\"id\":\"b\"}",
    ] {
        assert!(fhirpath_patch("{\"resourceType\":\"Patient\"}", body.as_bytes()).is_err(), "{body}");
    }
    let doc = patient(json!({"active": true}));
    let second = run(&doc, &[delete("Patient.name"), swap("Patient.name[3]", json!({"valueHumanName": {"text": "a"}}))]).unwrap_err();
    assert_eq!((second.at.as_str(), second.says.as_str()), ("Patient.name[3]", "Operation 1 (replace): The path leads to nothing."));
    fails(json!({"resourceType": "Nothing"}), delete("active"), "invalid", "\"Nothing\" is no type of resource");
    fails(json!({"a": 1}), delete("active"), "invalid", "no type of resource");
    fails(doc, delete("active.value"), "invalid", "\"value\" is no element of boolean");
}

#[test]
fn much_work_is_refused() {
    assert_eq!(run(&patient(json!({})), &vec![delete("active"); 1001]).unwrap_err().code, "too-costly");
    assert!(run(&patient(json!({})), &vec![delete("active"); 1000]).is_ok());
    let wide = patient(json!({"name": vec![json!({"text": "a"}); 1_000]}));
    let costs = |operation: Value, work: usize| {
        let found = patched(&wide.to_string(), body(&vec![operation; 100]).as_bytes(), Purse::poor(work));
        found.map_or_else(|issues| issues[0].code, |_| "")
    };
    for operation in [delete("Patient.name.where(text = 'b')"), shift("Patient.name", 999, 0), delete("Patient.name[7].text.extension")] {
        assert_eq!((costs(operation.clone(), 1 << 20), costs(operation, 1 << 24)), ("too-costly", ""));
    }
    assert_eq!(costs(add("Patient", "name", json!({"valueHumanName": {"text": "b"}})), 1 << 16), "");
    // Each operation nests further.
    let extension = |path: &str| add(path, "extension", json!({"part": [{"name": "url", "valueUri": "urn:x"}]}));
    let paths: Vec<Value> = (0..40).map(|n| extension(&format!("Patient{}", ".extension".repeat(n)))).collect();
    assert_eq!(run(&patient(json!({})), &paths).unwrap_err().code, "too-costly");
    assert!(run(&patient(json!({})), &paths[..31]).is_ok());
}

#[test]
fn odd_resources_do_not_break_it() {
    let odd = json!({"resourceType": "Patient", "name": {"given": "a"}, "active": [true], "contact": [1, null, []], "_birthDate": 3, "contained": [{}, 1], "photo": []});
    for path in [
        "name",
        "name.given",
        "active",
        "active[0]",
        "contact[0].name",
        "contact[1]",
        "birthDate.extension",
        "birthDate",
        "contained.id",
        "photo",
        "photo[0]",
    ] {
        for operation in [
            delete(path),
            add(path, "id", json!({"valueString": "a"})),
            insert(path, 0, json!({"valueString": "a"})),
            shift(path, 0, 0),
            swap(path, json!({"valueString": "a"})),
        ] {
            let _ = run(&odd, &[operation]);
        }
    }
}
