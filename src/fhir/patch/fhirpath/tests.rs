//! FHIRPath Patch on resources of R4; the cases follow the groups of its own test set (primitives, nested ones,
//! complex and anonymous types, lists), in our words.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::fhirpath_patch;
use crate::fhir::validate::{Issue, Options, validate};

/// An operation: its parts by name; an object with `parts` is a part with parts, other members are the content itself.
pub(super) fn operation(kind: &str, path: &str, more: Value) -> Value {
    let mut parts = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": path})];
    for (name, content) in more.as_object().unwrap() {
        let mut part = Map::from_iter([("name".to_owned(), json!(name))]);
        match content {
            Value::String(text) => drop(part.insert("valueString".to_owned(), json!(text))),
            Value::Number(number) => drop(part.insert("valueInteger".to_owned(), json!(number))),
            content => part.extend(content.as_object().unwrap().clone()),
        }
        parts.push(Value::Object(part));
    }
    json!({"name": "operation", "part": parts})
}

pub(super) fn add(path: &str, name: &str, value: Value) -> Value {
    operation("add", path, json!({"name": name, "value": value}))
}

pub(super) fn insert(path: &str, index: usize, value: Value) -> Value {
    operation("insert", path, json!({"index": index, "value": value}))
}

pub(super) fn delete(path: &str) -> Value {
    operation("delete", path, json!({}))
}

pub(super) fn swap(path: &str, value: Value) -> Value {
    operation("replace", path, json!({"value": value}))
}

pub(super) fn shift(path: &str, source: usize, destination: usize) -> Value {
    operation("move", path, json!({"source": source, "destination": destination}))
}

pub(super) fn body(operations: &[Value]) -> String {
    json!({"resourceType": "Parameters", "parameter": operations}).to_string()
}

pub(super) fn run(doc: &Value, operations: &[Value]) -> Result<Value, Issue> {
    match fhirpath_patch(&doc.to_string(), body(operations).as_bytes()) {
        Ok(text) => Ok(serde_json::from_str(&text).unwrap()),
        Err(issues) => {
            assert!(issues.iter().all(|it| !it.says.is_empty() && !it.remedy.is_empty()), "{issues:?}");
            Err(issues.into_iter().next().unwrap())
        }
    }
}

/// The outcome is this to the letter, and a resource of R4.
#[track_caller]
fn gives(doc: Value, operations: &[Value], wanted: Value) {
    let found = run(&doc, operations).unwrap_or_else(|issue| panic!("{issue:?}"));
    assert_eq!(found.to_string(), wanted.to_string());
    assert!(validate(found.to_string().as_bytes(), &Options::default()).is_ok(), "{found}");
}

#[track_caller]
pub(super) fn fails(doc: Value, operation: Value, code: &str, says: &str) {
    let issue = run(&doc, &[operation]).expect_err("an issue");
    assert!(issue.code == code && issue.says.contains(says), "{issue:?}");
}

pub(super) fn patient(more: Value) -> Value {
    let mut it = json!({"resourceType": "Patient"});
    it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it
}

#[test]
fn no_operation_changes_nothing() {
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":0.1000}}"#;
    for body in [r#"{"resourceType":"Parameters"}"#, r#"{"resourceType":"Parameters","id":"x","parameter":[]}"#] {
        assert_eq!(fhirpath_patch(text, body.as_bytes()).unwrap(), text);
    }
    let value = r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},
        {"name":"path","valueString":"Observation.value.value"},{"name":"value","valueDecimal":1.50E2}]}]}"#;
    assert_eq!(fhirpath_patch(text, value.as_bytes()).unwrap(), text.replace("0.1000", "1.50E2"));
}

#[test]
fn primitives() {
    let born = || patient(json!({"birthDate": "1920-01-01"}));
    gives(
        patient(json!({})),
        &[add("Patient", "birthDate", json!({"valueDate": "1930-01-01"}))],
        patient(json!({"birthDate": "1930-01-01"})),
    );
    gives(born(), &[swap("Patient.birthDate", json!({"valueDate": "1930-01-01"}))], patient(json!({"birthDate": "1930-01-01"})));
    gives(born(), &[delete("Patient.birthDate")], patient(json!({})));
    gives(patient(json!({"active": true, "gender": "male"})), &[delete("Patient.active")], patient(json!({"gender": "male"})));
    gives(born(), &[delete("Patient.gender")], born());
    fails(born(), add("Patient", "birthDate", json!({"valueDate": "1930"})), "processing", "Patient.birthDate is there already");
    fails(born(), swap("Patient.gender", json!({"valueCode": "male"})), "not-found", "leads to nothing");
    fails(born(), swap("Patient.birthDate", json!({"valueString": "1930"})), "invalid", "Patient.birthDate takes no string");
    fails(born(), add("Patient", "birthdate", json!({"valueDate": "1930"})), "invalid", "\"birthdate\" is no element of Patient");
    fails(born(), swap("Observation.status", json!({"valueCode": "final"})), "invalid", "The resource is of type Patient");
    fails(born(), swap("Patient", json!({"valueCode": "final"})), "processing", "the whole resource");
    fails(born(), delete("Patient"), "processing", "the whole resource");
    fails(born(), delete("Patient.resourceType"), "invalid", "no element");
    // What specialises the type is of it.
    let conforms = json!({"resourceType": "Patient", "implicitRules": "urn:x"});
    gives(patient(json!({})), &[add("DomainResource", "implicitRules", json!({"valueCanonical": "urn:x"}))], conforms);
}

#[test]
fn what_stands_beside_a_primitive_goes_with_it() {
    let hidden = json!({"extension": [{"url": "urn:a", "valueString": "b"}]});
    let both = || patient(json!({"birthDate": "1920", "_birthDate": hidden.clone(), "active": true}));
    gives(both(), &[delete("Patient.birthDate")], patient(json!({"active": true})));
    gives(both(), &[swap("Patient.birthDate", json!({"valueDate": "1930"}))], patient(json!({"birthDate": "1930", "active": true})));
    gives(both(), &[delete("Patient.birthDate.extension('urn:a')")], patient(json!({"birthDate": "1920", "active": true})));
    gives(both(), &[delete("Patient.birthDate.extension('urn:b')")], both());
    gives(patient(json!({"_birthDate": hidden, "active": true})), &[delete("Patient.birthDate")], patient(json!({"active": true})));
    gives(
        patient(json!({"_birthDate": hidden, "active": true})),
        &[delete("Patient.birthDate.extension")],
        patient(json!({"active": true})),
    );
    fails(patient(json!({"_birthDate": hidden})), add("Patient", "birthDate", json!({"valueDate": "1930"})), "processing", "already");
    let url = json!({"part": [{"name": "url", "valueUri": "urn:a"}, {"name": "value", "valueString": "b"}]});
    let one = patient(json!({"birthDate": "1920", "active": true}));
    gives(one, &[add("Patient.birthDate", "extension", url.clone())], both());
    gives(
        patient(json!({"active": true})),
        &[add("Patient", "birthDate", json!({"valueDate": "1920", "_valueDate": hidden}))],
        patient(json!({"active": true, "birthDate": "1920", "_birthDate": hidden})),
    );
    let named = |given: Value, beside: Value| patient(json!({"name": [{"given": given, "_given": beside}]}));
    let names = || named(json!(["a", null, "c"]), json!([null, hidden, null]));
    gives(names(), &[delete("Patient.name.given[0]")], named(json!([null, "c"]), json!([hidden, null])));
    gives(names(), &[delete("Patient.name.given[1]")], patient(json!({"name": [{"given": ["a", "c"]}]})));
    gives(names(), &[delete("Patient.name.given[1].extension")], patient(json!({"name": [{"given": ["a", "c"]}]})));
    gives(names(), &[shift("Patient.name.given", 1, 0)], named(json!([null, "a", "c"]), json!([hidden, null, null])));
    gives(
        names(),
        &[add("Patient.name", "given", json!({"valueString": "d"}))],
        named(json!(["a", null, "c", "d"]), json!([null, hidden, null, null])),
    );
    gives(
        names(),
        &[insert("Patient.name.given", 1, json!({"valueString": "b"}))],
        named(json!(["a", "b", null, "c"]), json!([null, null, hidden, null])),
    );
    gives(
        patient(json!({"name": [{"given": ["a", "b"]}]})),
        &[add("Patient.name.given.where($this = 'b')", "extension", url)],
        named(json!(["a", "b"]), json!([null, hidden])),
    );
}

#[test]
fn nested_primitives() {
    let contact = |more: Value| patient(json!({"contact": [more]}));
    let name = json!({"text": "a"});
    gives(
        contact(json!({"name": name, "gender": "male"})),
        &[swap("Patient.contact[0].gender", json!({"valueCode": "female"}))],
        contact(json!({"name": name, "gender": "female"})),
    );
    gives(contact(json!({"name": name, "gender": "male"})), &[delete("Patient.contact[0].gender")], contact(json!({"name": name})));
    gives(
        contact(json!({"name": name})),
        &[add("Patient.contact[0]", "gender", json!({"valueCode": "male"}))],
        contact(json!({"name": name, "gender": "male"})),
    );
    // Nothing empty is left behind.
    gives(contact(json!({"name": name})), &[delete("Patient.contact.name.text")], patient(json!({})));
    gives(
        patient(json!({"name": [{"family": "a"}, {"given": ["b"]}, {"text": "c"}]})),
        &[delete("Patient.name[1].given.first()")],
        patient(json!({"name": [{"family": "a"}, {"text": "c"}]})),
    );
}

#[test]
fn complex_types() {
    let status = |text: &str| json!({"maritalStatus": {"text": text}});
    let value = |text: &str| json!({"valueCodeableConcept": {"text": text}});
    gives(patient(json!({})), &[add("Patient", "maritalStatus", value("a"))], patient(status("a")));
    gives(patient(status("a")), &[swap("Patient.maritalStatus", value("b"))], patient(status("b")));
    gives(patient(status("a")), &[delete("Patient.maritalStatus")], patient(json!({})));
    let parts = json!({"part": [{"name": "text", "valueString": "a"}, {"name": "coding", "valueCoding": {"code": "x"}}, {"name": "coding", "valueCoding": {"code": "y"}}]});
    let both = patient(json!({"maritalStatus": {"text": "a", "coding": [{"code": "x"}, {"code": "y"}]}}));
    gives(patient(json!({})), &[add("Patient", "maritalStatus", parts)], both);
    fails(patient(json!({})), add("Patient", "maritalStatus", json!({"valueCoding": {"code": "x"}})), "invalid", "takes no Coding");
    let text = json!({"text": {"status": "empty", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}});
    let narrative = json!({"part": [{"name": "status", "valueCode": "empty"}, {"name": "div", "valueString": text["text"]["div"]}]});
    gives(patient(json!({})), &[add("Patient", "text", narrative)], patient(text));
}

#[test]
fn anonymous_types() {
    let part = |parts: Value| json!({"part": parts});
    let name = || json!({"name": "name", "valueHumanName": {"text": "a"}});
    let one = || patient(json!({"contact": [{"name": {"text": "a"}}]}));
    gives(patient(json!({})), &[add("Patient", "contact", part(json!([name()])))], one());
    gives(
        one(),
        &[swap("Patient.contact[0]", part(json!([{"name": "organization", "valueReference": {"reference": "Organization/1"}}])))],
        patient(json!({"contact": [{"organization": {"reference": "Organization/1"}}]})),
    );
    gives(one(), &[delete("Patient.contact[0]")], patient(json!({})));
    gives(
        one(),
        &[insert(
            "Patient.contact",
            0,
            part(
                json!([{"name": "telecom", "valueContactPoint": {"system": "phone", "value": "1"}}, {"name": "telecom", "valueContactPoint": {"system": "phone", "value": "2"}}]),
            ),
        )],
        patient(
            json!({"contact": [{"telecom": [{"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}]}, {"name": {"text": "a"}}]}),
        ),
    );
    for (parts, says) in [
        (json!([name(), name()]), "Patient.contact.name stands twice"),
        (json!([{"name": "nome", "valueString": "a"}]), "\"nome\" is no element of Patient.contact"),
        (json!([{"name": "gender", "valueBoolean": true}]), "Patient.contact.gender takes no boolean"),
        (json!([]), "has no parts"),
    ] {
        fails(
            patient(json!({})),
            add("Patient", "contact", part(parts)),
            if says.contains("twice") { "structure" } else { "invalid" },
            says,
        );
    }
    fails(patient(json!({})), add("Patient", "contact", json!({"valueString": "a"})), "invalid", "takes no string");
    fails(patient(json!({})), add("Patient", "active", part(json!([name()]))), "invalid", "takes no parts");
    // Groups in groups, content that another element describes, and a choice.
    let component = part(json!([
        {"name": "code", "valueCodeableConcept": {"text": "c"}}, {"name": "value", "valueQuantity": {"value": 1}},
        {"name": "referenceRange", "part": [{"name": "low", "valueQuantity": {"value": 0}}, {"name": "text", "valueString": "r"}]},
    ]));
    let wanted = json!({"code": {"text": "c"}, "valueQuantity": {"value": 1}, "referenceRange": [{"low": {"value": 0}, "text": "r"}]});
    gives(observation(json!({})), &[add("Observation", "component", component)], observation(json!({"component": [wanted]})));
}

fn observation(more: Value) -> Value {
    let mut it = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it
}

#[test]
fn choices_have_the_name_of_their_type() {
    let quantity = || observation(json!({"valueQuantity": {"value": 1}, "note": [{"text": "n"}]}));
    for name in ["value", "valueQuantity"] {
        gives(
            observation(json!({})),
            &[add("Observation", name, json!({"valueQuantity": {"value": 1}}))],
            observation(json!({"valueQuantity": {"value": 1}})),
        );
        fails(quantity(), add("Observation", name, json!({"valueQuantity": {"value": 1}})), "processing", "already");
    }
    for path in [
        "Observation.value",
        "value",
        "Observation.value.ofType(Quantity)",
        "Observation.value.as(FHIR.Quantity)",
        "Observation.valueQuantity",
    ] {
        gives(quantity(), &[swap(path, json!({"valueString": "s"}))], observation(json!({"valueString": "s", "note": [{"text": "n"}]})));
        gives(quantity(), &[delete(path)], observation(json!({"note": [{"text": "n"}]})));
    }
    gives(quantity(), &[delete("Observation.value.ofType(string)"), delete("Observation.valueString")], quantity());
    fails(quantity(), swap("Observation.value", json!({"valueMoney": {"value": 1}})), "invalid", "Observation.value[x] takes no Money");
    fails(quantity(), add("Observation", "valueMoney", json!({"valueMoney": {"value": 1}})), "invalid", "\"valueMoney\" is no element");
    fails(observation(json!({})), add("Observation", "valueString", json!({"valueInteger": 1})), "invalid", "takes no integer");
    fails(quantity(), delete("Observation.value.ofType(Nothing)"), "invalid", "\"Nothing\" is no type of R4");
    fails(
        observation(json!({"valueString": "a"})),
        add("Observation", "value", json!({"valueQuantity": {"value": 1}})),
        "processing",
        "already",
    );
}

#[test]
fn lists() {
    let ids = |all: &[&str]| {
        patient(json!({"identifier": all.iter().map(|it| json!({"system": "http://a.b", "value": it})).collect::<Vec<_>>()}))
    };
    let id = |value: &str| json!({"valueIdentifier": {"system": "http://a.b", "value": value}});
    gives(ids(&["1"]), &[add("Patient", "identifier", id("2"))], ids(&["1", "2"]));
    gives(patient(json!({})), &[insert("Patient.identifier", 0, id("1"))], ids(&["1"]));
    for (index, wanted) in [(0, ["0", "1", "2"]), (1, ["1", "0", "2"]), (2, ["1", "2", "0"])] {
        gives(ids(&["1", "2"]), &[insert("Patient.identifier", index, id("0"))], ids(&wanted));
    }
    fails(ids(&["1"]), insert("Patient.identifier", 2, id("2")), "processing", "2 is no place in a list of 1");
    for (from, to, wanted) in [(0, 3, "bcda"), (3, 0, "dabc"), (1, 2, "acbd"), (2, 2, "abcd")] {
        let wanted: Vec<String> = wanted.chars().map(String::from).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        gives(ids(&["a", "b", "c", "d"]), &[shift("Patient.identifier", from, to)], ids(&wanted));
    }
    fails(ids(&["a"]), shift("Patient.identifier", 0, 1), "processing", "1 is no place in a list of 1");
    fails(ids(&["a"]), shift("Patient.identifier[0]", 0, 0), "processing", "does not end with the name");
    fails(ids(&["a"]), insert("Patient.birthDate", 0, json!({"valueDate": "1920"})), "processing", "Patient.birthDate is no list");
    fails(ids(&["a"]), insert("Patient.name.given", 0, json!({"valueString": "a"})), "not-found", "nothing");
    gives(ids(&["a", "b"]), &[delete("Patient.identifier.where(value = 'a' and system = 'http://a.b')")], ids(&["b"]));
    gives(ids(&["a", "b"]), &[delete("Patient.identifier.where(value = 'c')")], ids(&["a", "b"]));
    gives(ids(&["a", "b"]), &[swap("Patient.identifier.last()", id("c")), delete("identifier.first()")], ids(&["c"]));
    fails(ids(&["a", "b"]), delete("Patient.identifier"), "processing", "2 elements");
    fails(ids(&["a", "b"]), swap("Patient.identifier.value", json!({"valueString": "c"})), "processing", "2 elements");
    fails(ids(&["a", "b"]), swap("Patient.identifier[2]", id("c")), "not-found", "nothing");
    gives(
        ids(&["a", "b"]),
        &[delete("Patient.identifier.value[1]")],
        patient(json!({"identifier": [{"system": "http://a.b", "value": "a"}, {"system": "http://a.b"}]})),
    );
}

#[test]
fn conditions_compare_by_kind() {
    let doc = observation(json!({"component": [
        {"code": {"coding": [{"code": "a"}, {"code": "b"}]}, "valueQuantity": {"value": 1.0}}, {"code": {"text": "t"}, "valueBoolean": true}, {"code": {"text": "u"}, "valueString": "1"},
    ]}));
    let left = |path: &str| run(&doc, &[delete(path)]).map(|it| it["component"].as_array().unwrap().len());
    assert_eq!(left("component.where(code.coding[1].code = 'b')"), Ok(2));
    // Two codes do not equal one text.
    assert_eq!(left("component.where(code.coding.code = 'b')"), Ok(3));
    assert_eq!(left("component.where(value.value = 1)"), Ok(2));
    assert_eq!(left("component.where(value.ofType(Quantity).value = 1)"), Ok(2));
    assert_eq!(left("component.where(value = true)"), Ok(2));
    assert_eq!(left("component.where(value = '1')"), Ok(2));
    assert_eq!(left("component.where(value = 'true')"), Ok(3));
}

#[test]
fn resources_in_resources() {
    let organization = json!({"resourceType": "Organization", "id": "o", "name": "a"});
    let refers = json!({"managingOrganization": {"reference": "#o"}});
    let mut whole = patient(refers.clone());
    whole["contained"] = json!([organization]);
    gives(patient(refers), &[add("Patient", "contained", json!({"resource": organization}))], whole.clone());
    let renamed = swap("Patient.contained.ofType(Organization).where(id = 'o').name", json!({"valueString": "b"}));
    let mut wanted = whole.clone();
    wanted["contained"][0]["name"] = json!("b");
    gives(whole.clone(), &[renamed], wanted);
    fails(whole.clone(), swap("Patient.contained[0].status", json!({"valueCode": "x"})), "not-found", "nothing");
    fails(whole, add("Patient", "photo", json!({"resource": {"resourceType": "Binary"}})), "invalid", "takes no resource");
}

fn given() -> impl Strategy<Value = Vec<Option<String>>> {
    prop::collection::vec(prop::option::weighted(0.7, "[a-c]{1,2}"), 1..5)
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), path in r"(Patient)?(\.?(name|given|extension|where|first|[a-z\[\](')=0 ]))(\.(given|id|value|first\(\)|[a-z\[\]()]{0,4})){0,3}", kind in "add|insert|delete|replace|move") {
        let doc = patient(json!({"name": [{"given": ["a", "b"]}], "birthDate": "1920"}));
        prop_assert!(fhirpath_patch(&doc.to_string(), &bytes).is_err());
        let _ = run(&doc, &[operation(&kind, &path, json!({}))]);
        let _ = run(&doc, &[swap(&path, json!({"valueString": "x"})), add(&path, "extension", json!({"part": [{"name": "url", "valueUri": "urn:a"}]})), delete(&path)]);
    }

    /// What has no value has an extension in its place.
    #[test]
    fn a_patch_and_its_inverse_change_nothing(names in given(), at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let hidden = |it: &Option<String>| if it.is_some() { Value::Null } else { json!({"extension": [{"url": "urn:a", "valueString": "b"}]}) };
        let besides: Vec<Value> = names.iter().map(hidden).collect();
        let mut name = Map::from_iter([("family".to_owned(), json!("f"))]);
        if names.iter().any(Option::is_some) {
            name.insert("given".to_owned(), json!(names));
        }
        if besides.iter().any(|it| !it.is_null()) {
            name.insert("_given".to_owned(), json!(besides));
        }
        let doc = patient(json!({"name": [name]}));
        let (at, to) = (at.index(names.len()), to.index(names.len()));
        let list = "Patient.name.given";
        let one = format!("{list}[{at}]");
        prop_assert_eq!(run(&doc, &[shift(list, at, to), shift(list, to, at)]).unwrap(), doc.clone());
        prop_assert_eq!(run(&doc, &[insert(list, at, json!({"valueString": "x"})), delete(&one)]).unwrap(), doc.clone());
        let old = match &names[at] {
            Some(text) => json!({"valueString": text}),
            None => json!({"_valueString": besides[at]}),
        };
        prop_assert_eq!(run(&doc, &[swap(&one, json!({"valueString": "x"})), swap(&one, old.clone())]).unwrap(), doc.clone());
        prop_assert_eq!(run(&doc, &[add("Patient", "active", json!({"valueBoolean": true})), delete("Patient.active")]).unwrap(), doc.clone());
        let taken = run(&doc, &[delete(&one), insert(list, at, old)]).unwrap();
        // Where the last was taken, the members stand in another order after it.
        prop_assert_eq!(&taken["name"][0]["given"], &doc["name"][0]["given"]);
        prop_assert_eq!(&taken["name"][0]["_given"], &doc["name"][0]["_given"]);
    }
}
