//! Search parameters and compartments: <http://hl7.org/fhir/R4/searchparameter-registry.html>,
//! <http://hl7.org/fhir/R4/compartmentdefinition.html>.

use std::sync::LazyLock;

use super::kinds::type_named;
use super::rows::{Grouped, rows, some};

pub(super) const TABLE: &str = include_str!("search_parameters.tsv");
pub(super) const COMPARTMENTS: &str = include_str!("compartments.tsv");

static PARAMETERS: LazyLock<Grouped<SearchParameter>> = LazyLock::new(|| read(TABLE));
static MEMBERS: LazyLock<Grouped<CompartmentMember>> = LazyLock::new(|| read_compartments(COMPARTMENTS));

/// <http://hl7.org/fhir/R4/search.html#ptypes>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

/// A search parameter as one type has it.
#[derive(Debug)]
pub struct SearchParameter {
    /// The type; `Resource` and `DomainResource` for those of many.
    pub base: &'static str,
    /// Its name in a query.
    pub code: &'static str,
    pub of: SearchType,
    /// The FHIRPath expression, as far as it is about `base`. None for `_text`, `_content` and `_query`.
    pub expression: Option<&'static str>,
    /// The canonical URL of its definition.
    pub url: &'static str,
    targets: &'static str,
    modifiers: &'static str,
    comparators: &'static str,
    plain: &'static str,
}

/// A way to the values of a parameter that only goes down, in JSON's names: `component.valueQuantity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainPath {
    /// A last part that ends with `[x]` is a choice of which every type counts.
    pub path: &'static str,
    /// Only References to this type count.
    pub resolves_to: Option<&'static str>,
}

/// A type that can be in a compartment.
#[derive(Debug)]
pub struct CompartmentMember {
    pub resource_type: &'static str,
    parameters: &'static str,
}

impl SearchParameter {
    /// The types that a reference parameter may point to.
    pub fn targets(&self) -> impl Iterator<Item = &'static str> {
        self.targets.split_whitespace()
    }

    /// Modifiers that the definition names; R4's own name none and leave it to the type.
    pub fn modifiers(&self) -> impl Iterator<Item = &'static str> {
        self.modifiers.split_whitespace()
    }

    /// Prefixes that the definition names (dates, numbers and quantities have some).
    pub fn comparators(&self) -> impl Iterator<Item = &'static str> {
        self.comparators.split_whitespace()
    }

    /// The ways to its values, when each part of the expression only goes down; nothing for any other.
    pub fn plain_paths(&self) -> impl Iterator<Item = PlainPath> {
        self.plain.split_whitespace().map(|text| match text.split_once(':') {
            Some((path, to)) => PlainPath { path, resolves_to: Some(to) },
            None => PlainPath { path: text, resolves_to: None },
        })
    }
}

impl CompartmentMember {
    /// The parameters that put a resource of this type in; `{def}` is the compartment's own resource.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.split_whitespace()
    }
}

/// The parameters of this type itself, sorted by name. Those of every resource are under `Resource` and
/// `DomainResource`.
pub fn search_parameters(resource_type: &str) -> &'static [SearchParameter] {
    PARAMETERS.of(resource_type)
}

/// The parameter of this name that a type has, of its own or inherited.
pub fn search_parameter(resource_type: &str, code: &str) -> Option<&'static SearchParameter> {
    let mut lineage = type_named(resource_type)?.lineage();
    lineage.find_map(|it| search_parameters(it.name).iter().find(|parameter| parameter.code == code))
}

/// The types that can be in a compartment, sorted: `compartment("Patient")`. There are those of Device, Encounter,
/// Patient, Practitioner and RelatedPerson. The compartment's own resource is in it without being listed.
pub fn compartment(name: &str) -> &'static [CompartmentMember] {
    MEMBERS.of(name)
}

pub(super) fn read(table: &'static str) -> Grouped<SearchParameter> {
    let row = |[base, code, of, expression, targets, url, modifiers, comparators, plain]: [&'static str; 9]| {
        let (of, expression) = (search_type(of)?, some(expression));
        Some((base, SearchParameter { base, code, of, expression, url, targets, modifiers, comparators, plain }))
    };
    Grouped::new(rows(table).filter_map(row).collect())
}

fn search_type(text: &str) -> Option<SearchType> {
    Some(match text {
        "number" => SearchType::Number,
        "date" => SearchType::Date,
        "string" => SearchType::String,
        "token" => SearchType::Token,
        "reference" => SearchType::Reference,
        "composite" => SearchType::Composite,
        "quantity" => SearchType::Quantity,
        "uri" => SearchType::Uri,
        "special" => SearchType::Special,
        _ => return None,
    })
}

pub(super) fn read_compartments(table: &'static str) -> Grouped<CompartmentMember> {
    Grouped::new(rows(table).map(|[name, resource_type, parameters]| (name, CompartmentMember { resource_type, parameters })).collect())
}
