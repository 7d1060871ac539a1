//! A mapping file that passed the lint, compiled: selectors to paths, factors to decimals, shapes built once.

use serde_saphyr::Spanned;

use super::grammar::{Category, Code, Component, Each, File, Observation, Reading, Time, Value};
use super::lint::{self, Place};
use super::path::Path;
use crate::error::Result;
use crate::fhir::decimal::Decimal;
use crate::fhir::shape::{self, Coding, Shape, Unit, ValueShape};

pub const LOINC: &str = "http://loinc.org";
pub const PHR: &str = "http://hl7.org/fhir/uv/phr/CodeSystem/observation-pghd-codes";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// One mapping file, ready to run.
#[derive(Debug)]
pub struct Mapping {
    pub id: String,
    pub version: String,
    /// The path of the file, for people.
    pub file: String,
    pub providers: Vec<String>,
    pub list: String,
    /// Empty: every record of the list.
    pub types: Vec<String>,
    pub(super) outputs: Vec<Output>,
    variants: Vec<Variant>,
}

/// One shape, and the output that makes it.
#[derive(Debug)]
struct Variant {
    shape: Shape,
    output: usize,
}

/// One Observation that a record becomes.
#[derive(Debug)]
pub struct Output {
    /// The metric key.
    pub metric: String,
    pub aggregation: Option<String>,
    pub(super) period: bool,
    pub(super) optional: bool,
    pub(super) each: Option<Samples>,
    pub(super) value: Taken,
    /// The first of this output's variants: a quantity has one for each type, a coded value one for each word.
    pub(super) first: usize,
}

#[derive(Debug)]
pub(super) struct Samples {
    pub list: Path,
    pub start: Path,
    pub end: Option<Path>,
}

#[derive(Debug)]
pub(super) enum Taken {
    Quantity(Measure),
    Coded {
        from: Path,
        words: Vec<String>,
    },
    /// Components with the source type that fills each, if it is filled by records of its own.
    Panel(Vec<(Option<String>, Measure)>),
}

#[derive(Debug)]
pub(super) struct Measure {
    pub from: Path,
    pub unit_from: Path,
    pub accept: Vec<(String, Decimal)>,
    pub range: (Decimal, Decimal),
    pub sentinels: Vec<Decimal>,
    pub unit: String,
}

impl Mapping {
    /// Parses, lints and compiles one file. `Kind::MappingInvalid` names file, line, rule and remedy.
    pub fn parse(file: &str, text: &str) -> Result<Mapping> {
        let parsed: File = lint::yaml(file, text)?;
        let place = Place { file };
        lint::check(&place, &parsed)?;
        let mut mapping = Mapping {
            id: parsed.id.value.clone(),
            version: parsed.version.value.clone(),
            file: file.to_owned(),
            providers: values(&parsed.from.providers),
            list: parsed.from.list.value.clone(),
            types: values(&parsed.from.types),
            outputs: Vec::new(),
            variants: Vec::new(),
        };
        for observation in &parsed.observations {
            mapping.add(&place, &parsed, observation)?;
        }
        Ok(mapping)
    }

    /// The constant part of the Observation for one variant.
    pub fn shape(&self, variant: usize) -> &Shape {
        &self.variants[variant].shape
    }

    /// Every shape, in the order of variants.
    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.variants.iter().map(|variant| &variant.shape)
    }

    pub fn output(&self, variant: usize) -> &Output {
        &self.outputs[self.variants[variant].output]
    }

    /// Every shape with its metric key.
    pub fn with_metrics(&self) -> impl Iterator<Item = (&Shape, &str)> {
        self.variants.iter().map(|variant| (&variant.shape, self.outputs[variant.output].metric.as_str()))
    }

    /// The metric keys it makes.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|output| output.metric.as_str())
    }

    fn add(&mut self, place: &Place<'_>, file: &File, observation: &Observation) -> Result<()> {
        let output = self.outputs.len();
        let first = self.variants.len();
        let each = observation.each.as_ref().map(|each| samples(place, each)).transpose()?;
        let inside = each.is_some();
        let base = Shape {
            source: format!("urn:firth:mapping:{}@{}", self.id, self.version),
            profiles: values(&observation.profiles),
            categories: observation.categories.iter().copied().map(category).collect(),
            codes: observation.codes.iter().map(coding).collect(),
            value: ValueShape::Coded(Vec::new()),
        };
        let system = file.from.system.value.as_str();
        let (value, shapes) = match &observation.value.value {
            Value::Quantity(reading) => {
                let value = ValueShape::Quantity(unit(reading));
                (Taken::Quantity(measure(place, reading, inside)?), with_types(&base, &value, system, &self.types))
            }
            Value::Coded(coded) => {
                let words: Vec<String> = coded.map.keys().cloned().collect();
                let shapes = coded.map.iter().map(|(word, codes)| {
                    let own = Coding { system: coded.system.value.clone(), code: word.clone(), display: None };
                    let value = ValueShape::Coded(codes.iter().map(coding).chain([own]).collect());
                    Shape { value, ..base.clone() }
                });
                let from = lint::path(place, &coded.from, inside)?;
                (Taken::Coded { from, words }, shapes.collect())
            }
            Value::Panel(components) => {
                let value = ValueShape::Components(components.iter().map(|one| component(one, system)).collect());
                let taken = components
                    .iter()
                    .map(|one| Ok((one.kind.as_ref().map(|kind| kind.value.clone()), measure(place, &one.reading, inside)?)));
                (Taken::Panel(taken.collect::<Result<_>>()?), vec![Shape { value, ..base }])
            }
        };
        self.variants.extend(shapes.into_iter().map(|shape| Variant { shape, output }));
        self.outputs.push(Output {
            metric: observation.metric.value.clone(),
            aggregation: observation.aggregation.as_ref().map(|level| level.value.clone()),
            period: observation.time == Time::Period,
            optional: observation.optional,
            each,
            value,
            first,
        });
        Ok(())
    }
}

fn values(spanned: &[Spanned<String>]) -> Vec<String> {
    spanned.iter().map(|one| one.value.clone()).collect()
}

/// One shape for each source type, which is the last coding of each; one shape in all where there are no types.
fn with_types(base: &Shape, value: &ValueShape, system: &str, types: &[String]) -> Vec<Shape> {
    let shape = |kind: Option<&String>| {
        let own = kind.map(|kind| Coding { system: system.to_owned(), code: kind.clone(), display: None });
        Shape { codes: base.codes.iter().cloned().chain(own).collect(), value: value.clone(), ..base.clone() }
    };
    if types.is_empty() { vec![shape(None)] } else { types.iter().map(|kind| shape(Some(kind))).collect() }
}

fn samples(place: &Place<'_>, each: &Each) -> Result<Samples> {
    Ok(Samples {
        list: lint::path(place, &each.list, false)?,
        start: lint::path(place, &each.start, true)?,
        end: each.end.as_ref().map(|end| lint::path(place, end, true)).transpose()?,
    })
}

fn measure(place: &Place<'_>, reading: &Reading, inside: bool) -> Result<Measure> {
    let or_default = |given: &Option<Spanned<String>>, name: &str| match given {
        Some(path) => lint::path(place, path, inside),
        None => lint::fixed(if inside { "@" } else { "$" }, name),
    };
    let accept = reading.accept.iter().map(|(text, factor)| Ok((text.clone(), lint::number(place, factor)?)));
    let (low, high) = lint::range(place, &reading.range)?;
    Ok(Measure {
        from: or_default(&reading.from, "value")?,
        unit_from: or_default(&reading.unit_from, "unit")?,
        accept: accept.collect::<Result<_>>()?,
        range: (low, high),
        sentinels: reading.sentinels.iter().map(|one| lint::number(place, one)).collect::<Result<_>>()?,
        unit: reading.unit.code.value.clone(),
    })
}

fn component(component: &Component, system: &str) -> shape::Component {
    let own = component.kind.as_ref().map(|kind| Coding { system: system.to_owned(), code: kind.value.clone(), display: None });
    shape::Component { codes: component.codes.iter().map(coding).chain(own).collect(), unit: unit(&component.reading) }
}

fn unit(reading: &Reading) -> Unit {
    Unit { unit: reading.unit.unit.clone(), code: reading.unit.code.value.clone() }
}

/// The lint has seen that exactly one kind of code is given.
fn coding(code: &Code) -> Coding {
    let (system, value) = match (&code.loinc, &code.phr) {
        (Some(loinc), _) => (LOINC, Some(loinc)),
        (None, Some(phr)) => (PHR, Some(phr)),
        (None, None) => (code.system.as_ref().map_or("", |system| system.value.as_str()), code.code.as_ref()),
    };
    let value = value.map(|value| value.value.clone()).unwrap_or_default();
    Coding { system: system.to_owned(), code: value, display: code.display.clone() }
}

fn category(category: Category) -> Coding {
    let (code, display) = match category {
        Category::SocialHistory => ("social-history", "Social History"),
        Category::VitalSigns => ("vital-signs", "Vital Signs"),
        Category::Imaging => ("imaging", "Imaging"),
        Category::Laboratory => ("laboratory", "Laboratory"),
        Category::Procedure => ("procedure", "Procedure"),
        Category::Survey => ("survey", "Survey"),
        Category::Exam => ("exam", "Exam"),
        Category::Therapy => ("therapy", "Therapy"),
        Category::Activity => ("activity", "Activity"),
    };
    Coding { system: CATEGORY.to_owned(), code: code.to_owned(), display: Some(display.to_owned()) }
}
