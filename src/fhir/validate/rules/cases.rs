//! For each rule what keeps it and what breaks it, judged as part of a whole resource.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fhir::validate::tests::{judged, observation, with};

type Case = (&'static str, Value, Value);

fn patient(more: Value) -> Value {
    with(json!({"resourceType": "Patient"}), more)
}

/// In an extension, where every datatype may stand.
fn extension(name: &str, value: Value) -> Value {
    patient(json!({"extension": [{"url": "http://a", name: value}]}))
}

fn repeat(repeat: Value) -> Value {
    extension("valueTiming", json!({"repeat": repeat}))
}

fn item(more: Value) -> Value {
    let item = with(json!({"linkId": "1", "type": "string"}), more);
    json!({"resourceType": "Questionnaire", "status": "draft", "item": [item]})
}

fn bundle(kind: &str, more: Value) -> Value {
    with(json!({"resourceType": "Bundle", "type": kind}), more)
}

const UCUM: &str = "http://unitsofmeasure.org";

fn quantities() -> Vec<Case> {
    let (age, count) = (|it| extension("valueAge", it), |it| extension("valueCount", it));
    let (distance, duration) = (|it| extension("valueDistance", it), |it| extension("valueDuration", it));
    let range = |low: &str, high: &str| {
        let text = format!("{{\"low\":{{\"value\":{low}}},\"high\":{{\"value\":{high}}}}}");
        extension("valueRange", serde_json::from_str(&text).unwrap())
    };
    vec![
        ("age-1", age(json!({"value": 1, "code": "a", "system": UCUM})), age(json!({"value": 0, "code": "a", "system": UCUM}))),
        ("age-1", age(json!({"code": "a", "system": UCUM})), age(json!({"value": 1}))),
        ("cnt-3", count(json!({"value": 3, "code": "1", "system": UCUM})), count(json!({"value": 3.5, "code": "1", "system": UCUM}))),
        ("cnt-3", count(json!({"code": "1", "system": UCUM})), count(json!({"code": "2", "system": UCUM}))),
        (
            "dis-1",
            distance(json!({"value": 3, "code": "m", "system": UCUM})),
            distance(json!({"value": 3, "code": "m", "system": "http://a"})),
        ),
        ("drt-1", duration(json!({"value": 3, "code": "s", "system": UCUM})), duration(json!({"code": "s", "system": UCUM}))),
        ("qty-3", extension("valueQuantity", json!({"code": "s", "system": "http://a"})), extension("valueQuantity", json!({"code": "s"}))),
        ("rng-2", range("9.0", "10"), range("10", "9.0")),
        (
            "rat-1",
            extension("valueRatio", json!({"numerator": {"value": 1}, "denominator": {"value": 1}})),
            extension("valueRatio", json!({"numerator": {"value": 1}})),
        ),
        (
            "per-1",
            extension("valuePeriod", json!({"start": "2020", "end": "2020"})),
            extension("valuePeriod", json!({"start": "2021", "end": "2020"})),
        ),
    ]
}

fn datatypes() -> Vec<Case> {
    let photo = |it: Value| patient(json!({"photo": [it]}));
    let telecom = |it: Value| patient(json!({"telecom": [it]}));
    let expression = |it: Value| extension("valueExpression", with(json!({"language": "text/cql"}), it));
    let trigger = |it: Value| extension("valueTriggerDefinition", it);
    let requirement = |name: &str, it: Value| extension("valueDataRequirement", json!({"type": "Patient", name: [it]}));
    vec![
        ("att-1", photo(json!({"contentType": "image/png", "data": "YQ=="})), photo(json!({"data": "YQ=="}))),
        ("cpt-2", telecom(json!({"system": "phone", "value": "1"})), telecom(json!({"value": "1"}))),
        ("exp-1", expression(json!({"expression": "x"})), expression(json!({"description": "x"}))),
        ("ext-1", extension("valueCode", json!("x")), patient(json!({"extension": [{"url": "http://a"}]}))),
        ("drq-1", requirement("codeFilter", json!({"path": "a"})), requirement("codeFilter", json!({"path": "a", "searchParam": "b"}))),
        ("drq-2", requirement("dateFilter", json!({"searchParam": "a"})), requirement("dateFilter", json!({"valueDateTime": "2020"}))),
        (
            "trd-1",
            trigger(json!({"type": "periodic", "timingDate": "2020"})),
            trigger(json!({"type": "periodic", "timingDate": "2020", "data": [{"type": "Patient"}]})),
        ),
        (
            "trd-2",
            trigger(json!({"type": "data-added", "data": [{"type": "Patient"}]})),
            trigger(json!({"type": "named-event", "name": "a", "condition": {"language": "text/cql", "expression": "x"}})),
        ),
        ("trd-3", trigger(json!({"type": "named-event", "name": "a"})), trigger(json!({"type": "data-added", "name": "a"}))),
        ("tim-1", repeat(json!({"duration": 1, "durationUnit": "h"})), repeat(json!({"duration": 1}))),
        ("tim-2", repeat(json!({"period": 1, "periodUnit": "h"})), repeat(json!({"period": 1}))),
        ("tim-4", repeat(json!({"duration": 0, "durationUnit": "h"})), repeat(json!({"duration": -1, "durationUnit": "h"}))),
        ("tim-5", repeat(json!({"period": 0.0, "periodUnit": "h"})), repeat(json!({"period": -0.5, "periodUnit": "h"}))),
        ("tim-6", repeat(json!({"periodMax": 2, "period": 1, "periodUnit": "h"})), repeat(json!({"periodMax": 2}))),
        ("tim-7", repeat(json!({"durationMax": 2, "duration": 1, "durationUnit": "h"})), repeat(json!({"durationMax": 2}))),
        ("tim-8", repeat(json!({"countMax": 2, "count": 1})), repeat(json!({"countMax": 2}))),
        ("tim-9", repeat(json!({"offset": 5, "when": ["AC"]})), repeat(json!({"offset": 5, "when": ["AC", "C"]}))),
        ("tim-10", repeat(json!({"when": ["AC"]})), repeat(json!({"when": ["AC"], "timeOfDay": ["10:00:00"]}))),
    ]
}

fn questionnaires() -> Vec<Case> {
    let nested = |a: &str, b: &str| {
        json!({"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": a, "type": "group", "item": [{"linkId": b, "type": "string"}]}]})
    };
    let when = |operator: &str, more: Value| item(json!({"enableWhen": [with(json!({"question": "2", "operator": operator}), more)]}));
    let twice = json!([{"question": "2", "operator": "exists", "answerBoolean": true}, {"question": "2", "operator": "exists", "answerBoolean": true}]);
    let two = json!([{"valueString": "a"}, {"valueString": "b"}]);
    let answers =
        |more: Value| json!({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [with(json!({"linkId": "1"}), more)]});
    let option = json!([{"valueString": "a"}]);
    vec![
        ("que-1", nested("1", "2"), item(json!({"type": "group"}))),
        ("que-1", item(json!({"type": "display"})), item(json!({"type": "display", "item": [{"linkId": "2", "type": "string"}]}))),
        ("que-2", nested("1", "2"), nested("1", "1")),
        ("que-3", item(json!({"code": [{"code": "a"}]})), item(json!({"type": "display", "code": [{"code": "a"}]}))),
        (
            "que-4",
            item(json!({"type": "choice", "answerOption": option})),
            item(json!({"type": "choice", "answerOption": option, "answerValueSet": "http://a"})),
        ),
        ("que-5", item(json!({"type": "choice", "answerOption": option})), item(json!({"type": "boolean", "answerOption": option}))),
        ("que-6", item(json!({"required": true})), item(json!({"type": "display", "required": true}))),
        ("que-7", when("exists", json!({"answerBoolean": true})), when("exists", json!({"answerString": "a"}))),
        ("que-8", item(json!({"initial": [{"valueString": "a"}]})), item(json!({"type": "display", "initial": [{"valueString": "a"}]}))),
        ("que-9", item(json!({"readOnly": true})), item(json!({"type": "display", "readOnly": true}))),
        ("que-10", item(json!({"maxLength": 5})), item(json!({"type": "date", "maxLength": 5}))),
        ("que-11", item(json!({"answerOption": option})), item(json!({"answerOption": option, "initial": [{"valueString": "a"}]}))),
        ("que-12", item(json!({"enableWhen": twice, "enableBehavior": "all"})), item(json!({"enableWhen": twice}))),
        ("que-13", item(json!({"repeats": true, "initial": two})), item(json!({"initial": two}))),
        (
            "qrs-1",
            answers(json!({"answer": [{"valueString": "a"}]})),
            answers(json!({"answer": [{"valueString": "a"}], "item": [{"linkId": "2"}]})),
        ),
    ]
}

fn bundles() -> Vec<Case> {
    let entry = |more: Value| json!({"entry": [with(json!({"fullUrl": "http://a/Patient/1", "resource": {"resourceType": "Patient", "id": "1"}}), more)]});
    let request = json!({"request": {"method": "PUT", "url": "Patient/1"}});
    let response = json!({"response": {"status": "200"}});
    let first = |name: &str, more: Value| json!({"fullUrl": "http://a/b", "resource": with(json!({"resourceType": name}), more)});
    let composition =
        first("Composition", json!({"status": "final", "type": {"text": "x"}, "date": "2020", "author": [{"display": "x"}], "title": "x"}));
    let header = first("MessageHeader", json!({"eventUri": "http://a", "source": {"endpoint": "http://a"}}));
    let other = first("Patient", json!({"active": true}));
    let named = json!({"identifier": {"system": "http://a", "value": "1"}, "timestamp": "2020-01-01T00:00:00Z", "entry": [composition]});
    let without = |name: &str| {
        let mut some = named.clone();
        some.as_object_mut().unwrap().remove(name);
        bundle("document", some)
    };
    let versions = |a: &str, b: &str| {
        let of = |version: &str| json!({"fullUrl": "http://a/Patient/1", "resource": {"resourceType": "Patient", "id": "1", "meta": {"versionId": version}}});
        bundle("collection", json!({"entry": [of(a), of(b)]}))
    };
    vec![
        ("bdl-1", bundle("searchset", json!({"total": 1})), bundle("collection", json!({"total": 1}))),
        (
            "bdl-2",
            bundle("searchset", entry(json!({"search": {"mode": "match"}}))),
            bundle("collection", entry(json!({"search": {"mode": "match"}}))),
        ),
        ("bdl-3", bundle("transaction", entry(request.clone())), bundle("transaction", entry(json!({})))),
        ("bdl-3", bundle("collection", entry(json!({}))), bundle("collection", entry(request))),
        ("bdl-4", bundle("batch-response", entry(response.clone())), bundle("collection", entry(response))),
        ("bdl-5", bundle("collection", entry(json!({}))), bundle("collection", json!({"entry": [{"fullUrl": "http://a"}]}))),
        ("bdl-7", versions("1", "2"), versions("1", "1")),
        ("bdl-8", bundle("collection", entry(json!({}))), bundle("collection", entry(json!({"fullUrl": "http://a/Patient/1/_history/1"})))),
        ("bdl-9", bundle("document", named.clone()), without("identifier")),
        ("bdl-10", bundle("document", named.clone()), without("timestamp")),
        ("bdl-11", bundle("document", named.clone()), bundle("document", with(named.clone(), json!({"entry": [other]})))),
        ("bdl-12", bundle("message", json!({"entry": [header]})), bundle("message", json!({"entry": [other]}))),
    ]
}

fn care() -> Vec<Case> {
    let of = |name: &str, more: Value| with(json!({"resourceType": name}), more);
    let activity = |it: Value| of("CarePlan", json!({"status": "active", "intent": "plan", "subject": {"display": "x"}, "activity": [it]}));
    let team = |member: &str| {
        of("CareTeam", json!({"participant": [{"member": {"reference": member}, "onBehalfOf": {"reference": "Organization/1"}}]}))
    };
    let consent = |more: Value| of("Consent", with(json!({"status": "active", "category": [{"text": "x"}], "scope": {"text": "x"}}), more));
    let asleep = |code: &str, more: Value| {
        consent(with(json!({"policy": [{"uri": "http://a"}], "scope": {"coding": [{"system": "something", "code": code}]}}), more))
    };
    let anyone = || json!({"patient": {"reference": "Patient/1"}});
    let goal = |target: Value| {
        of("Goal", json!({"lifecycleStatus": "active", "description": {"text": "x"}, "subject": {"display": "x"}, "target": [target]}))
    };
    vec![
        (
            "cpl-3",
            activity(json!({"reference": {"display": "x"}})),
            activity(json!({"reference": {"display": "x"}, "detail": {"status": "completed"}})),
        ),
        ("ctm-1", team("Practitioner/1"), team("Patient/1")),
        ("ppc-1", consent(json!({"policyRule": {"text": "x"}})), consent(json!({}))),
        ("ppc-2", asleep("patient-privacy", anyone()), asleep("patient-privacy", json!({}))),
        ("ppc-3", asleep("research", anyone()), asleep("research", json!({}))),
        ("ppc-4", asleep("adr", anyone()), asleep("adr", json!({}))),
        ("ppc-5", asleep("treatment", anyone()), asleep("treatment", json!({}))),
        ("gol-1", goal(json!({"measure": {"text": "x"}, "detailString": "x"})), goal(json!({"detailString": "x"}))),
    ]
}

fn resources() -> Vec<Case> {
    let of = |name: &str, more: Value| with(json!({"resourceType": name}), more);
    let group = |actual: bool| of("Group", json!({"type": "person", "actual": actual, "member": [{"entity": {"reference": "Patient/1"}}]}));
    let list = |mode: &str, more: Value| of("List", with(json!({"status": "current", "mode": mode}), more));
    let entry = |more: Value| json!({"entry": [with(json!({"item": {"display": "x"}}), more)]});
    let organization = |more: Value| of("Organization", more);
    let parameter = |more: Value| of("Parameters", json!({"parameter": [with(json!({"name": "a"}), more)]}));
    let coded = json!({"coding": [{"system": "http://a", "code": "x"}]});
    let component = |code: Value| json!({"code": coded, "valueString": "x", "component": [{"code": code, "valueString": "y"}]});
    let audit = |more: Value| {
        of(
            "AuditEvent",
            json!({"type": {"code": "a"}, "recorded": "2020-01-01T00:00:00Z", "agent": [{"requestor": true}],
        "source": {"observer": {"display": "x"}}, "entity": [more]}),
        )
    };
    vec![
        ("grp-1", group(true), group(false)),
        (
            "lst-1",
            list("working", json!({"emptyReason": {"text": "x"}})),
            list("working", with(entry(json!({})), json!({"emptyReason": {"text": "x"}}))),
        ),
        ("lst-2", list("changes", entry(json!({"deleted": true}))), list("working", entry(json!({"deleted": true})))),
        ("lst-3", list("working", entry(json!({"date": "2020"}))), list("changes", entry(json!({"date": "2020"})))),
        (
            "obs-3",
            observation(json!({"referenceRange": [{"text": "x"}]})),
            observation(json!({"referenceRange": [{"type": {"text": "x"}}]})),
        ),
        ("obs-6", observation(json!({"valueString": "x"})), observation(json!({"valueString": "x", "dataAbsentReason": {"text": "x"}}))),
        ("obs-7", observation(component(json!({"text": "x"}))), observation(component(coded.clone()))),
        ("org-1", organization(json!({"name": "x"})), organization(json!({"active": true}))),
        (
            "org-2",
            organization(json!({"name": "x", "address": [{"use": "work"}]})),
            organization(json!({"name": "x", "address": [{"use": "home"}]})),
        ),
        (
            "org-3",
            organization(json!({"name": "x", "telecom": [{"use": "work"}]})),
            organization(json!({"name": "x", "telecom": [{"use": "home"}]})),
        ),
        (
            "inv-1",
            parameter(json!({"valueCode": "x"})),
            parameter(json!({"valueCode": "x", "resource": {"resourceType": "Basic", "code": {"text": "x"}}})),
        ),
        ("inv-1", parameter(json!({"part": [{"name": "b", "valueCode": "x"}]})), parameter(json!({}))),
        ("pat-1", patient(json!({"contact": [{"name": {"family": "x"}}]})), patient(json!({"contact": [{"gender": "male"}]}))),
        ("sev-1", audit(json!({"name": "x"})), audit(json!({"name": "x", "query": "YQ=="}))),
    ]
}

#[test]
fn each_rule_lets_the_good_pass_and_tells_the_bad() {
    let all: Vec<Case> = [quantities(), datatypes(), questionnaires(), bundles(), care(), resources()].concat();
    for (key, good, bad) in &all {
        assert_eq!(judged(good), [], "{key}: {good}");
        let told = judged(bad);
        assert!(told.iter().any(|(at, says)| says.starts_with(&format!("{key}: ")) && !at.is_empty()), "{key}: {bad} {told:?}");
    }
    let tried: BTreeSet<&str> = all.iter().map(|(key, ..)| *key).collect();
    let untried: Vec<_> = super::BY_PATH.values().flatten().filter(|rule| !tried.contains(rule.key)).map(|rule| rule.key).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
