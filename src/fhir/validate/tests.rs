//! Whole resources: what R4 lets stand and what not, with the element that is named.

use serde_json::{Value, json};

use super::*;

pub(super) fn judged(value: &Value) -> Vec<(String, String)> {
    let issues = validate(value.to_string().as_bytes(), &Options::default()).err().unwrap_or_default();
    assert!(issues.iter().all(|it| !it.says.is_empty() && !it.remedy.is_empty() && !it.code.is_empty()), "{issues:?}");
    issues.into_iter().map(|it| (it.at, it.says)).collect()
}

#[track_caller]
pub(super) fn fine(value: Value) {
    assert_eq!(judged(&value), [], "{value}");
}

/// Exactly these elements are wrong.
#[track_caller]
pub(super) fn wrong(value: Value, places: &[&str]) {
    let found = judged(&value);
    assert_eq!(found.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), places, "{value} {found:#?}");
}

fn patient(more: Value) -> Value {
    with(json!({"resourceType": "Patient"}), more)
}

pub(super) fn with(mut base: Value, more: Value) -> Value {
    let (base_map, more) = (base.as_object_mut().unwrap(), more.as_object().unwrap());
    base_map.extend(more.clone());
    base
}

pub(super) fn observation(more: Value) -> Value {
    with(json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}}), more)
}

pub(super) fn raw(text: &str) -> Vec<Issue> {
    validate(text.as_bytes(), &Options::default()).err().unwrap_or_default()
}

#[test]
fn text_that_is_no_json_is_one_fatal_issue() {
    for text in
        ["", "{}x", "[]", "{\"a\":1e}", "\u{feff}{}", "{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\"}", "{\"a\":\"\\ud800\"}"]
    {
        assert!(matches!(&raw(text)[..], [issue] if issue.severity == Severity::Fatal), "{text}");
    }
    let at = |text: &str| raw(text).first().map(|it| (it.at.clone(), it.says.clone())).unwrap();
    assert_eq!(at("{\"name\":[{},\n{\"given\":[\"a\",\"\\udead\"]}]}").0, "name[1].given[1]");
    assert!(at("{\"name\":[{},\n{\"given\":[\"a\",tru]}]}").1.ends_with("(line 2, column 15)"));
    assert_eq!(validate(b"{\"a\":\"\xff\"}", &Options::default()).err().map(|it| it.len()), Some(1));
    let small = Options { bytes: 10, ..Options::default() };
    assert!(validate(b"{          }", &small).is_err_and(|it| it[0].code == "too-long"));
    assert!(raw(&"{\"contained\":[".repeat(70_000))[0].says.starts_with("It is nested too deep."));
}

#[test]
fn a_hostile_text_is_told_with_its_element() {
    let first = |text: &str| raw(text).first().map(|it| it.at.clone()).unwrap_or_default();
    let named = |family: &str| format!("{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":{family}}}]}}");
    let nested = "{\"resourceType\":\"Patient\",\"contained\":[".repeat(27_000);
    assert!(nested.len() > 1 << 20 && first(&nested).starts_with("Patient.contained[0].contained[0].contained[0]"), "{}", first(&nested));
    let closed = format!("{nested}{{}}{}", "]}".repeat(27_000));
    assert!(first(&closed).starts_with("Patient.contained[0].contained[0]"), "{}", first(&closed));
    let long = format!("\"{}\"", "x".repeat(10 << 20));
    for family in [&*long, "\"\\ud800\"", "\"\\udc00a\"", "\"a\\u0000\"", "\"a\u{0}\"", "\"\"", "1e400"] {
        assert_eq!(first(&named(family)), "Patient.name[0].family", "{}", &family[..family.len().min(20)]);
    }
    assert_eq!(first(&named("\"a\",\"family\":\"b\"")), "Patient.name[0].family");
    assert_eq!(first(&format!("{{\"resourceType\":\"Patient\",\"id\":\"{}\"}}", "a".repeat(65))), "Patient.id");
}

#[test]
fn the_type_is_one_of_r4_and_the_expected() {
    wrong(json!({}), &["Resource.resourceType"]);
    wrong(json!({"resourceType": 1}), &["Resource.resourceType"]);
    for name in ["__proto__", "patient", "DomainResource", "Quantity", ""] {
        assert_eq!(judged(&json!({"resourceType": name})).len(), 1, "{name}");
    }
    let options = Options { expected: Some("Patient"), ..Options::default() };
    assert!(validate(b"{\"resourceType\":\"Patient\"}", &options).is_ok_and(|it| it.resource_type == "Patient"));
    assert!(validate(b"{\"resourceType\":\"Basic\"}", &options).is_err_and(|it| it.len() == 1 && it[0].code == "invalid"));
}

#[test]
fn members_are_those_of_the_table() {
    fine(patient(json!({"name": [{"given": ["A", "B"]}], "birthDate": "2000", "id": "A-1.b"})));
    wrong(
        patient(json!({"nam": [], "name": [{"givn": ["A"], "use": "usual"}], "a b": 1})),
        &["Patient.nam", "Patient.name[0].givn", "Patient.`a b`"],
    );
    wrong(
        patient(json!({"fhir_comments": ["x"], "_name": [{"id": "a"}], "name": [{"resourceType": "HumanName"}]})),
        &["Patient.fhir_comments", "Patient._name", "Patient.name[0].resourceType"],
    );
    wrong(
        patient(json!({"name": {"family": "x"}, "birthDate": ["2000"], "active": {}})),
        &["Patient.name", "Patient.birthDate", "Patient.active"],
    );
    wrong(
        patient(json!({"name": [], "contact": [{}], "gender": null, "link": [null], "photo": ["x"]})),
        &["Patient.name", "Patient.contact[0]", "Patient.gender", "Patient.link[0]", "Patient.photo[0]"],
    );
    wrong(json!({"resourceType": "Observation"}), &["Observation.status", "Observation.code"]);
    wrong(observation(json!({"component": [{"valueString": "a"}]})), &["Observation.component[0].code"]);
    wrong(observation(json!({"valueString": "a", "valueInteger": 1})), &["Observation.valueInteger"]);
    wrong(observation(json!({"valueMoney": {"value": 1}, "value": 1})), &["Observation.valueMoney", "Observation.value"]);
    wrong(observation(json!({"valueInteger": 1.0})), &["Observation.value"]);
    wrong(
        observation(json!({"referenceRange": [{"low": {"value": 1, "comparator": "<"}}]})),
        &["Observation.referenceRange[0].low.comparator"],
    );
    fine(
        json!({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string"}]}]}),
    );
    wrong(
        json!({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2"}]}]}),
        &["Questionnaire.item[0].item[0].type"],
    );
}

#[test]
fn primitives_have_their_extensions_beside_them() {
    let extension = json!({"extension": [{"url": "http://a", "valueString": "x"}]});
    fine(patient(json!({"_birthDate": extension, "gender": "male", "_gender": {"id": "a"}})));
    fine(patient(json!({"name": [{"given": ["A", null], "_given": [null, extension]}]})));
    fine(patient(json!({"name": [{"_given": [extension]}]})));
    fine(observation(json!({"_valueString": extension})));
    wrong(patient(json!({"name": [{"given": ["A"], "_given": [null, extension]}]})), &["Patient.name[0].given"]);
    wrong(patient(json!({"name": [{"given": [null, "A"], "_given": [null, extension]}]})), &["Patient.name[0].given[0]"]);
    wrong(patient(json!({"name": [{"given": [null]}]})), &["Patient.name[0].given[0]"]);
    wrong(patient(json!({"name": [{"_given": [null]}]})), &["Patient.name[0].given[0]"]);
    wrong(patient(json!({"_birthDate": {"id": "a"}})), &["Patient.birthDate"]);
    wrong(patient(json!({"_birthDate": {}, "birthDate": "2000"})), &["Patient.birthDate"]);
    wrong(patient(json!({"_birthDate": {"value": "2000"}, "birthDate": "2000"})), &["Patient.birthDate.value"]);
    wrong(patient(json!({"_birthDate": [extension], "birthDate": "2000"})), &["Patient.birthDate"]);
    wrong(patient(json!({"_birthDate": "x", "birthDate": "2000"})), &["Patient.birthDate"]);
    wrong(patient(json!({"birthDate": null, "_birthDate": extension})), &["Patient.birthDate"]);
    wrong(patient(json!({"name": [{"id": "a"}]})), &["Patient.name[0]"]);
    wrong(observation(json!({"_valueString": extension, "valueInteger": 1})), &["Observation.valueInteger"]);
}

#[test]
fn values_are_of_their_format() {
    wrong(
        patient(json!({"birthDate": "2026-02-30", "id": "a".repeat(65), "active": "true", "deceasedDateTime": "2026-01-01T10:00:00"})),
        &["Patient.birthDate", "Patient.id", "Patient.active", "Patient.deceased"],
    );
    wrong(
        patient(json!({"name": [{"family": "a\u{0}"}, {"family": "", "given": ["x", 1]}]})),
        &["Patient.name[0].family", "Patient.name[1].family", "Patient.name[1].given[1]"],
    );
    let text = |number: &str| {
        format!(
            "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{{\"text\":\"x\"}},\"valueQuantity\":{{\"value\":{number}}}}}"
        )
    };
    for number in ["0.1000", "-0", "1E5", "12345678901234567890.123456789"] {
        let text = text(number);
        let checked = validate(text.as_bytes(), &Options::default()).unwrap_or_else(|issues| panic!("{issues:?}"));
        assert_eq!(checked.tree.objects("valueQuantity").next().and_then(|it| it.get("value")), Some(&Node::Number(number)));
    }
    assert_eq!(raw(&text("1e400"))[0].at, "Observation.value.value");
    assert_eq!(raw(&text("\"1\""))[0].code, "structure");
    wrong(json!({"resourceType": "Binary", "contentType": "text/plain", "data": "a"}), &["Binary.data"]);
}

#[test]
fn codes_are_from_the_required_set() {
    wrong(patient(json!({"gender": "Male"})), &["Patient.gender"]);
    assert_eq!(raw(&patient(json!({"gender": "m"})).to_string())[0].remedy, "Send one of female, male, other, unknown.");
    fine(patient(json!({"language": "de-AT", "communication": [{"language": {"text": "Viennese"}}]})));
    wrong(patient(json!({"language": "de_AT"})), &["Patient.language"]);
    wrong(patient(json!({"_gender": {"extension": [{"url": "http://a", "valueCode": "x"}]}})), &["Patient.gender"]);
    let issue = |code: Value| json!({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}, "clinicalStatus": code});
    let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    fine(issue(json!({"coding": [{"system": "http://a", "code": "x"}, {"system": system, "code": "active"}]})));
    for bad in [
        json!({"extension": [{"url": "http://a", "valueCode": "x"}]}),
        json!({"text": "active"}),
        json!({"coding": [{"system": system, "code": "x"}]}),
        json!({"coding": [{"code": "active"}]}),
    ] {
        wrong(issue(bad), &["AllergyIntolerance.clinicalStatus"]);
    }
}

#[test]
fn references_point_where_they_may() {
    let subject = |reference: Value| observation(json!({"subject": reference}));
    for text in ["Patient/1", "Patient/1/_history/2", "https://a/Group/1", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "http://a/b"] {
        fine(subject(json!({"reference": text})));
    }
    fine(subject(json!({"reference": "Patient/1", "type": "Patient"})));
    fine(subject(json!({"identifier": {"value": "x"}, "type": "Patient"})));
    fine(subject(json!({"display": "x"})));
    for text in [
        "Practitioner/1",
        "https://a/Practitioner/1",
        "javascript:x",
        "file:///etc",
        "Patient",
        "Patient?identifier=a",
        "#a",
        "#",
        "/Patient/1",
        "Patient/é",
    ] {
        wrong(subject(json!({"reference": text})), &["Observation.subject.reference"]);
    }
    wrong(subject(json!({"reference": "Patient/1", "type": "Group"})), &["Observation.subject.type"]);
    wrong(subject(json!({"display": "x", "type": "Practitioner"})), &["Observation.subject.type"]);
    wrong(subject(json!({"display": "x", "type": "Person1"})), &["Observation.subject.type"]);
    wrong(subject(json!({})), &["Observation.subject"]);
    wrong(subject(json!({"id": "a"})), &["Observation.subject"]);
    let text =
        observation(json!({"subject": {"reference": "Patient/1"}, "performer": [{"display": "x"}, {"reference": "Practitioner/2"}]}))
            .to_string();
    let pointers = validate(text.as_bytes(), &Options::default()).map(|it| it.pointers).unwrap_or_default();
    let found: Vec<_> = pointers.iter().map(|it| (it.at.as_str(), it.to.as_str())).collect();
    assert_eq!(found, [("Observation.subject.reference", "Patient/1"), ("Observation.performer[1].reference", "Practitioner/2")]);
}

#[test]
fn contained_resources_belong_to_their_container() {
    let contained = |id: &str| json!({"resourceType": "Patient", "id": id});
    let base = |contained: Value| observation(json!({"subject": {"reference": "#a"}, "contained": contained}));
    fine(base(json!([contained("a")])));
    fine(base(
        json!([contained("a"), {"resourceType": "Provenance", "id": "b", "target": [{"reference": "#"}], "recorded": "2020-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "#a"}}]}]),
    ));
    fine(json!({"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "#q",
        "contained": [{"resourceType": "Questionnaire", "id": "q", "status": "draft"}]}));
    wrong(base(json!([contained("a"), contained("b")])), &["Observation.contained[1]"]);
    wrong(base(json!([contained("a"), contained("a")])), &["Observation.contained[1].id"]);
    wrong(base(json!([contained("a"), {"resourceType": "Patient"}])), &["Observation.contained[1].id"]);
    wrong(base(json!([{"resourceType": "Practitioner", "id": "a"}])), &["Observation.subject.reference"]);
    wrong(base(json!([contained("b")])), &["Observation.subject.reference", "Observation.contained[0]"]);
    wrong(base(json!([with(contained("a"), json!({"contained": [contained("b")]}))])), &["Observation.contained[0].contained[0]"]);
    wrong(
        base(json!([with(contained("a"), json!({"meta": {"versionId": "1", "tag": [{"code": "x"}], "security": [{"code": "x"}]}}))])),
        &["Observation.contained[0].meta.versionId", "Observation.contained[0].meta.security"],
    );
    wrong(base(json!([with(contained("a"), json!({"gender": "x"}))])), &["Observation.contained[0].gender"]);
}

#[test]
fn extensions_have_a_url_and_one_content() {
    let extension = |it: Value| patient(json!({"extension": [it]}));
    fine(extension(json!({"url": "http://a/b", "valueQuantity": {"value": 1}})));
    fine(extension(json!({"url": "http://a/b", "extension": [{"url": "part", "valueBoolean": true}]})));
    fine(patient(json!({"modifierExtension": [{"url": "http://a", "valueCode": "x"}]})));
    wrong(extension(json!({"valueCode": "x"})), &["Patient.extension[0].url"]);
    wrong(extension(json!({"url": "part", "valueCode": "x"})), &["Patient.extension[0].url"]);
    wrong(extension(json!({"url": "http://a"})), &["Patient.extension[0]"]);
    wrong(
        extension(json!({"url": "http://a", "valueCode": "x", "extension": [{"url": "b", "valueCode": "x"}]})),
        &["Patient.extension[0]"],
    );
    wrong(extension(json!({"url": "http://a", "valuePatient": "x"})), &["Patient.extension[0].valuePatient"]);
    wrong(
        patient(json!({"name": [{"modifierExtension": [{"url": "http://a", "valueCode": "x"}]}]})),
        &["Patient.name[0].modifierExtension"],
    );
}

#[test]
fn a_narrative_is_judged_where_it_stands() {
    let text = |div: &str| patient(json!({"text": {"status": "generated", "div": div}}));
    fine(text("<div xmlns=\"http://www.w3.org/1999/xhtml\"><b>x</b></div>"));
    wrong(text("<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"), &["Patient.text.div"]);
    wrong(text("x"), &["Patient.text.div", "Patient.text.div"]);
}

#[test]
fn hundred_errors_are_enough() {
    let names: Vec<Value> = (0..1000).map(|_| json!({"x": 1})).collect();
    let issues = raw(&patient(json!({"name": names})).to_string());
    assert_eq!(issues.len(), 101);
    assert_eq!(issues[99].at, "Patient.name[99].x");
    assert!(issues[100].says.starts_with("There are more than 100"));
}

#[test]
fn big_and_crowded_resources_are_judged_soon() {
    let deep = format!(
        "{{\"resourceType\":\"Patient\",\"contained\":[{}]}}",
        vec!["{\"resourceType\":\"Patient\",\"contained\":[{}]}"; 30_000].join(",")
    );
    assert_eq!(raw(&deep).len(), 101);
    let members: String = (0..50_000).map(|n| format!(",\"m{n}\":{n}")).collect();
    assert_eq!(raw(&format!("{{\"resourceType\":\"Patient\"{members}}}")).len(), 101);
    let codings: Vec<Value> = (0..20_000).map(|n| json!({"system": "http://a", "code": n.to_string()})).collect();
    let component: Vec<Value> = codings.iter().map(|it| json!({"code": {"coding": [it]}})).collect();
    wrong(observation(json!({"code": {"coding": codings}, "component": component, "valueString": "x"})), &["Observation"]);
    let huge = observation(json!({"valueString": "x".repeat(10 << 20)}));
    wrong(huge, &["Observation.value"]);
}
