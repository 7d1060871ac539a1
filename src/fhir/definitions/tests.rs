//! The tables hold together, and say what R4 says.

use std::time::Instant;

use super::*;

fn names(element: &Element) -> Vec<&'static str> {
    element.types.iter().map(|it| it.name).collect()
}

fn must(place: &str, name: &str) -> &'static Element {
    element(place, name).unwrap_or_else(|| panic!("{place}.{name}"))
}

#[test]
fn every_row_is_read() {
    let lines = |table: &str| table.lines().count() - 1;
    assert_eq!(all_types().len(), lines(kinds::TABLE));
    assert_eq!(all_elements().len(), lines(elements::TABLE));
    assert_eq!(all_invariants().len(), lines(invariants::TABLE));
    assert_eq!(value_sets::read(value_sets::TABLE).all().len(), lines(value_sets::TABLE));
    assert_eq!(search::read(search::TABLE).all().len(), lines(search::TABLE));
    assert_eq!(search::read_compartments(search::COMPARTMENTS).all().len(), lines(search::COMPARTMENTS));
}

#[test]
fn there_are_as_many_as_r4_has() {
    let of = |kind| all_types().iter().filter(|it| it.kind == kind).count();
    assert_eq!((of(TypeKind::Primitive), of(TypeKind::Complex), of(TypeKind::Resource)), (20, 43, 148));
    assert_eq!(all_types().iter().filter(|it| it.is_concrete_resource()).count(), 146);
    assert_eq!(all_elements().len(), 7460);
    assert_eq!(children("Extension").iter().find(|it| it.choice).map(|it| it.types.len()), Some(50));
}

#[test]
fn every_type_resolves() {
    assert!(all_types().iter().all(|it| it.base.is_none_or(|base| type_named(base).is_some())));
    assert!(all_types().windows(2).all(|pair| pair[0].name < pair[1].name));
    for element in all_elements() {
        assert!(element.choice || element.types.len() <= 1, "{}", element.path);
        assert_eq!(element.types.is_empty(), element.inside.is_some_and(|inside| inside != element.path), "{}", element.path);
        for of in &element.types {
            assert!(type_named(of.name).is_some() && type_named(of.shape()).is_some(), "{}: {of:?}", element.path);
            assert!(element.inside.is_some() || of.name == "Resource" || !children(of.shape()).is_empty(), "{}: {of:?}", element.path);
            let known = |target: &str| type_named(target).is_some_and(|it| it.kind == TypeKind::Resource);
            assert!(of.targets().all(known), "{}: {of:?}", element.path);
        }
    }
}

#[test]
fn every_content_reference_resolves() {
    let references: Vec<&Element> = all_elements().iter().filter(|it| it.types.is_empty()).collect();
    assert_eq!(references.len(), 55);
    assert!(references.iter().all(|it| it.inside.is_some_and(|inside| !children(inside).is_empty())));
}

#[test]
fn every_value_set_of_a_binding_is_there() {
    let bound: Vec<&str> = all_elements().iter().filter_map(|it| it.binding).collect();
    assert!(bound.len() > 500);
    assert!(bound.iter().all(|url| value_set(url).is_some()));
    let mut open: Vec<&str> = bound.into_iter().filter(|url| value_set(url).is_some_and(|set| set.is_open())).collect();
    open.sort_unstable();
    open.dedup();
    let tails: Vec<&str> = open.iter().filter_map(|url| url.rsplit('/').next()).collect();
    assert_eq!(tails, ["all-languages", "currencies", "mimetypes", "ucum-units", "LL379-9", "bcp13.txt"]);
}

#[test]
fn every_plain_path_leads_to_an_element() {
    let mut ways = 0;
    for parameter in all_types().iter().flat_map(|it| search_parameters(it.name)) {
        for way in parameter.plain_paths() {
            let mut places = vec![parameter.base];
            for name in way.path.split('.') {
                places = places.into_iter().flat_map(|place| step(place, name)).collect();
                assert!(!places.is_empty(), "{} {} at {name}", parameter.url, parameter.base);
            }
            ways += 1;
        }
    }
    assert!(ways > 1600, "{ways}");
}

/// Where the members of what has this name stand.
fn step(place: &str, name: &str) -> Vec<&'static str> {
    if let Some(name) = name.strip_suffix("[x]") {
        return element(place, name).into_iter().flat_map(|it| it.types.iter().map(TypeRef::shape)).collect();
    }
    child(place, name).and_then(|it| it.element.inside.or(it.of.map(TypeRef::shape))).into_iter().collect()
}

#[test]
fn every_compartment_parameter_exists() {
    for (name, least) in [("Device", 15), ("Encounter", 25), ("Patient", 65), ("Practitioner", 55), ("RelatedPerson", 20)] {
        assert!(compartment(name).len() >= least, "{name} {}", compartment(name).len());
        for member in compartment(name) {
            for code in member.parameters().filter(|code| *code != "{def}") {
                assert!(search_parameter(member.resource_type, code).is_some(), "{name}: {} {code}", member.resource_type);
            }
        }
    }
    let observation = compartment("Patient").iter().find(|it| it.resource_type == "Observation").expect("Observation");
    assert_eq!(observation.parameters().collect::<Vec<_>>(), ["subject", "performer"]);
}

#[test]
fn elements_are_those_of_r4() {
    let status = must("Observation", "status");
    assert_eq!((status.min, status.max, names(status)), (1, Some(1), vec!["code"]));
    assert_eq!((status.binding, status.modifier, status.summary), (Some("http://hl7.org/fhir/ValueSet/observation-status"), true, true));
    let value = must("Observation", "value");
    let types = "Quantity CodeableConcept string boolean integer Range Ratio SampledData time dateTime Period";
    assert_eq!(names(value), types.split(' ').collect::<Vec<_>>());
    let other = must("Patient.link", "other");
    assert_eq!(other.types.iter().flat_map(TypeRef::targets).collect::<Vec<_>>(), ["Patient", "RelatedPerson"]);
    assert!(other.types[0].may_point_to("Patient") && !other.types[0].may_point_to("Practitioner"));
    assert!(must("Basic", "subject").types[0].may_point_to("Group"));
    assert_eq!(must("Bundle.entry", "link").inside, Some("Bundle.link"));
    assert_eq!(must("Observation", "component").inside, Some("Observation.component"));
    assert_eq!(must("Observation.referenceRange", "low").types[0].shape(), "SimpleQuantity");
    assert_eq!(must("SimpleQuantity", "comparator").max, Some(0));
    assert_eq!(must("Patient", "id").types[0].name, "id");
    assert!(must("Patient", "name").repeats() && !must("Patient", "birthDate").repeats());
    let meta: Vec<&str> = children("Meta").iter().map(|it| it.name).collect();
    assert_eq!(meta, ["id", "extension", "versionId", "lastUpdated", "source", "profile", "security", "tag"]);
    assert_eq!(must("DetectedIssue", "status").binding, status.binding);
    assert!(children("Nothing").is_empty());
}

#[test]
fn a_member_is_found_by_its_name_in_json() {
    let name = |place, name| child(place, name).map(|it| (it.element.path, it.of.map(|of| of.name)));
    assert_eq!(name("Observation", "valueQuantity"), Some(("Observation.value[x]", Some("Quantity"))));
    assert_eq!(name("Observation", "valueDateTime"), Some(("Observation.value[x]", Some("dateTime"))));
    assert_eq!(name("Observation.component", "valueString"), Some(("Observation.component.value[x]", Some("string"))));
    assert_eq!(name("Bundle.entry", "link"), Some(("Bundle.entry.link", None)));
    for wrong in ["value", "value[x]", "valueMoney", "valuequantity", "valuestring", "statu", "statusX", "", "värde"] {
        assert_eq!(name("Observation", wrong), None, "{wrong}");
    }
}

#[test]
fn value_sets_are_those_of_r4() {
    let status = value_set("http://hl7.org/fhir/ValueSet/observation-status").expect("there");
    let codes: Vec<&str> = status.codes().map(|it| it.code).collect();
    assert_eq!(codes, ["amended", "cancelled", "corrected", "entered-in-error", "final", "preliminary", "registered", "unknown"]);
    assert!(status.contains(None, "final") && !status.contains(None, "Final") && !status.contains(None, "*"));
    assert!(status.contains(Some("http://hl7.org/fhir/observation-status"), "final"));
    assert!(!status.contains(Some("http://example.org"), "final") && !status.is_open());
    let languages = value_set("http://hl7.org/fhir/ValueSet/all-languages").expect("there");
    assert!(languages.is_open() && languages.contains(None, "de-AT") && !languages.contains(Some("http://example.org"), "de"));
    assert_eq!(value_set("http://hl7.org/fhir/ValueSet/units-of-time").map(|it| it.codes().count()), Some(7));
    assert!(value_set("http://hl7.org/fhir/ValueSet/nothing").is_none());
}

#[test]
fn search_parameters_are_those_of_r4() {
    let of = |base, code| search_parameter(base, code).unwrap_or_else(|| panic!("{base} {code}"));
    let plain = |base, code| of(base, code).plain_paths().map(|it| it.path).collect::<Vec<_>>();
    assert_eq!(plain("Observation", "combo-code"), ["code", "component.code"]);
    assert_eq!(plain("Observation", "value-string"), ["valueString", "valueCodeableConcept.text"]);
    assert_eq!(plain("Observation", "date"), ["effective[x]"]);
    assert_eq!(plain("Patient", "death-date"), ["deceasedDateTime"]);
    assert_eq!(plain("Organization", "name"), ["name", "alias"]);
    assert!(plain("Patient", "deceased").is_empty() && plain("Observation", "code-value-quantity").is_empty());
    let patient = of("Observation", "patient");
    assert_eq!((patient.of, patient.url), (SearchType::Reference, "http://hl7.org/fhir/SearchParameter/clinical-patient"));
    assert_eq!(patient.expression, Some("Observation.subject.where(resolve() is Patient)"));
    assert_eq!(patient.plain_paths().collect::<Vec<_>>(), [PlainPath { path: "subject", resolves_to: Some("Patient") }]);
    assert_eq!(of("Device", "_lastUpdated").base, "Resource");
    assert!(of("Observation", "subject").targets().eq(["Group", "Device", "Patient", "Location"]));
    assert!(of("Observation", "date").comparators().next().is_some());
    assert!(search_parameter("DetectedIssue", "status").is_none() && search_parameter("Nothing", "code").is_none());
}

#[test]
fn invariants_are_those_of_r4() {
    let keys = |path| invariants(path).iter().map(|it| it.key).collect::<Vec<_>>();
    assert_eq!(keys("Observation"), ["obs-6", "obs-7"]);
    assert_eq!(keys("DomainResource"), ["dom-2", "dom-3", "dom-4", "dom-5"]);
    assert_eq!((keys("Element"), keys("Extension"), keys("Patient.contact")), (vec!["ele-1"], vec!["ext-1"], vec!["pat-1"]));
    assert_eq!(invariants("Patient.contact")[0].human, "SHALL at least contain a contact's details or a reference to an organization");
    let lineage: Vec<&str> = type_named("Age").into_iter().flat_map(Type::lineage).map(|it| it.name).collect();
    assert_eq!(lineage, ["Age", "Quantity", "Element"]);
    for it in all_invariants() {
        let there = type_named(it.path).is_some() || all_elements().iter().any(|element| element.path == it.path);
        assert!(there && !it.human.is_empty(), "{it:?}");
    }
}

#[test]
fn reading_all_tables_takes_milliseconds() {
    let start = Instant::now();
    let rows = kinds::read(kinds::TABLE).len()
        + elements::read(elements::TABLE).all().len()
        + value_sets::read(value_sets::TABLE).all().len()
        + search::read(search::TABLE).all().len()
        + search::read_compartments(search::COMPARTMENTS).all().len()
        + invariants::read(invariants::TABLE).all().len();
    println!("{rows} rows in {:?}", start.elapsed());
    assert!(rows > 10_000);
}
