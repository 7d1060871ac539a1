//! The parameters of each type, from the definitions of R4: those whose expression only goes down.
//!
//! Composites, quantities, chains and expressions with conditions are not here, so they are refused by name and are
//! not in the CapabilityStatement.

use std::sync::LazyLock;

use super::params::{How, Include, Param, Path, Searchable, Type};
use crate::fhir::definitions::{
    self, PlainPath, SearchParameter, SearchType, TypeRef, child, element, search_parameter, search_parameters,
};

static TABLE: LazyLock<Vec<Searchable>> = LazyLock::new(|| Type::ALL.iter().map(|resource| searchable(*resource)).collect());

pub(super) fn of(resource: Type) -> &'static Searchable {
    // `ALL` is in the order of the enum, whose numbers begin at 1.
    &TABLE[resource as usize - 1]
}

/// Those of every resource, and the bits of their presence: a type has fewer than 56 of its own.
const COMMON: [(&str, u32); 6] = [("_id", 63), ("_lastUpdated", 62), ("_profile", 61), ("_security", 60), ("_source", 59), ("_tag", 58)];

/// An AuditEvent is searched in the log and not by paths.
const OF_AUDIT: [&str; 6] = ["action", "agent", "date", "outcome", "patient", "type"];

/// No algorithm is right for the names of everybody.
const NOT_OFFERED: [&str; 1] = ["phonetic"];

const OF_DEVICE: &[Include] = &[Include { text: "Device:patient", param: "patient", target: Type::Patient }];
const OF_OBSERVATION: &[Include] = &[
    Include { text: "Observation:device", param: "device", target: Type::Device },
    Include { text: "Observation:subject", param: "subject", target: Type::Patient },
    Include { text: "Observation:patient", param: "patient", target: Type::Patient },
];

fn searchable(resource: Type) -> Searchable {
    let audit = resource == Type::AuditEvent;
    let common = COMMON.iter().filter(|(name, _)| !audit || ["_id", "_lastUpdated"].contains(name));
    let common = common.filter_map(|(name, bit)| param(resource, search_parameter("Resource", name)?, *bit));
    let own = search_parameters(resource.name()).iter().zip(0..);
    let own = own.filter(|(of, _)| if audit { OF_AUDIT.contains(&of.code) } else { !NOT_OFFERED.contains(&of.code) });
    let own = own.filter_map(|(of, bit)| param(resource, of, bit));
    Searchable {
        resource,
        params: common.chain(own).collect(),
        // An AuditEvent is recorded once and never changed: both keys are the same time.
        sorts: match resource {
            Type::Observation | Type::AuditEvent => &["date", "-date", "_lastUpdated", "-_lastUpdated"],
            _ => &["_lastUpdated", "-_lastUpdated"],
        },
        includes: match resource {
            Type::Device => OF_DEVICE,
            Type::Observation => OF_OBSERVATION,
            _ => &[],
        },
    }
}

fn param(resource: Type, of: &'static SearchParameter, bit: u32) -> Option<Param> {
    let paths: Vec<Path> = of.plain_paths().flat_map(|plain| paths(resource, of, plain)).collect();
    if paths.is_empty() && resource != Type::AuditEvent {
        return None;
    }
    let (how, fhir_type) = match of.of {
        SearchType::Token if of.code == "_id" => (How::Id, "token"),
        SearchType::Token => (How::Token, "token"),
        SearchType::String => (How::Text, "string"),
        SearchType::Uri => (How::Uri, "uri"),
        // A canonical names what it points to by URL.
        SearchType::Reference if !paths.is_empty() && paths.iter().all(|path| path.leaf != "Reference") => (How::Uri, "reference"),
        SearchType::Reference => (How::Reference, "reference"),
        // Dates of a person's life identify the person: they do not stand in an index.
        SearchType::Date if ["birthdate", "death-date"].contains(&of.code) => (How::BirthDate, "date"),
        SearchType::Date => (How::Date, "date"),
        _ => return None,
    };
    let targets: Vec<&'static str> = if how == How::Reference { targets(resource, of, &paths) } else { Vec::new() };
    Some(Param {
        name: of.code,
        how,
        fhir_type,
        definition: of.url,
        doc: doc(of, how),
        modifiers: modifiers(resource, of.code, how, &targets),
        targets,
        paths,
        bit,
    })
}

/// What R4 lists; where only Patients count, Patients.
fn targets(resource: Type, of: &'static SearchParameter, paths: &[Path]) -> Vec<&'static str> {
    let resolved: Vec<&'static str> = paths.iter().filter_map(|path| path.resolves_to).collect();
    match resolved.as_slice() {
        [] if resource == Type::AuditEvent && of.code == "agent" => {
            vec!["Patient", "Device", "Practitioner", "PractitionerRole", "Organization", "RelatedPerson"]
        }
        [] if of.code == "patient" => vec!["Patient"],
        [] => of.targets().collect(),
        _ => resolved,
    }
}

fn modifiers(resource: Type, code: &str, how: How, targets: &[&'static str]) -> Vec<&'static str> {
    if resource == Type::AuditEvent {
        return if code == "agent" { [&["identifier"], targets].concat() } else { Vec::new() };
    }
    match how {
        How::Id => Vec::new(),
        _ if code == "_lastUpdated" => Vec::new(),
        How::Token => vec!["missing", "not"],
        How::Text => vec!["exact", "missing"],
        // With one target the modifier would say nothing.
        How::Reference if targets.len() > 1 => [&["missing"], targets].concat(),
        How::Reference | How::Date | How::BirthDate | How::Uri => vec!["missing"],
    }
}

fn doc(of: &SearchParameter, how: How) -> String {
    let expression = of.expression.unwrap_or(of.code).replace(" | ", ", ");
    match how {
        How::Text => format!("Start of {expression}, whatever the case and the accents."),
        How::BirthDate => format!("{expression}, as a day from 1850 to 2149."),
        How::Date => format!("{expression}; a range must contain all of it."),
        _ => format!("{expression}."),
    }
}

/// A plain path in JSON's names, once for each type of a choice that the parameter's type can read.
fn paths(resource: Type, of: &SearchParameter, plain: PlainPath) -> Vec<Path> {
    let (mut place, mut steps) = (resource.name(), Vec::new());
    let parts: Vec<&str> = plain.path.split('.').collect();
    let Some((last, before)) = parts.split_last() else { return Vec::new() };
    for part in before {
        let Some(member) = child(place, part) else { return Vec::new() };
        let Some(inside) = member.element.inside.or_else(|| member.of.map(TypeRef::shape)) else { return Vec::new() };
        place = inside;
        steps.push((*part).to_owned());
    }
    let path = |name: String, of: &'static TypeRef, system| Path {
        steps: steps.iter().cloned().chain([name]).collect(),
        leaf: of.name,
        resolves_to: plain.resolves_to,
        system,
    };
    match last.strip_suffix("[x]") {
        Some(choice) => {
            let types = element(place, choice).map_or(&[][..], |it| &it.types);
            types.iter().filter(|it| reads(of.of, it.name)).map(|it| path(format!("{choice}{}", capital(it.name)), it, None)).collect()
        }
        None => {
            let member = child(place, last);
            let found = member.and_then(|member| Some(path((*last).to_owned(), member.of?, member.element.binding.and_then(system))));
            found.into_iter().collect()
        }
    }
}

/// Can a parameter of this kind be a value of that type?
fn reads(of: SearchType, leaf: &str) -> bool {
    match of {
        SearchType::Date => ["date", "dateTime", "instant", "Period", "Timing"].contains(&leaf),
        SearchType::Reference => ["Reference", "canonical", "uri"].contains(&leaf),
        _ => true,
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The one code system of a value set; None when there are several, or any.
fn system(value_set: &str) -> Option<&'static str> {
    let set = definitions::value_set(value_set)?;
    let first = set.codes().next()?.system;
    (!set.is_open() && !first.is_empty() && set.codes().all(|code| code.system == first)).then_some(first)
}
