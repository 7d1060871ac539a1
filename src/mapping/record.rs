//! What goes into a mapping (`Record`) and what comes out (`Measured`, or a `Refusal`).

use std::borrow::Cow;
use std::sync::Arc;

use super::compile::Mapping;
use super::source::Source;
use super::tree::Tree;
use crate::error::Kind;
use crate::fhir::number::Number;
use crate::fhir::shape::Shape;
use crate::fhir::stamp::Stamp;

/// One source record, cut out and framed by `ingest`.
pub struct Record<'a> {
    /// The source type, for example an SDK's `type`; empty where the list has no types.
    pub kind: &'a str,
    /// The system of `id` and `parent`: a URI for each provider.
    pub system: &'static str,
    pub id: Option<String>,
    pub parent: Option<String>,
    pub start: Stamp,
    pub end: Option<Stamp>,
    /// The offset the record gives beside its times.
    pub zone: Option<Cow<'a, str>>,
    pub source: Arc<Source>,
    pub tree: Tree<'a>,
}

/// A FHIR Identifier of a source record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    pub system: &'static str,
    pub value: String,
}

/// One sample, ready for the ledger. Half a panel has only its own slot filled; halves meet in the ledger.
#[derive(Clone, Debug)]
pub struct Measured {
    pub mapping: Arc<Mapping>,
    /// Which of the mapping's shapes this is.
    pub variant: usize,
    /// The source's id of the sample, None when it gave none (then it is known by metric, source and period):
    /// the record's own id, the parent's for half a panel, `id#n` for sample n of an array.
    pub record: Option<String>,
    /// `Observation.identifier`: the source record itself.
    pub identifier: Option<Identifier>,
    pub start: Stamp,
    /// None: the effective time is the instant `start`.
    pub end: Option<Stamp>,
    /// In the unit of the shape: one for a quantity, one for each component of a panel, none for a coded value.
    pub slots: Vec<Option<Number>>,
    pub source: Arc<Source>,
}

impl Measured {
    /// The metric key, a stable part of the sample's identity.
    pub fn metric(&self) -> &str {
        &self.mapping.output(self.variant).metric
    }

    /// For example `daily`, where the value sums up a span of samples.
    pub fn aggregation(&self) -> Option<&str> {
        self.mapping.output(self.variant).aggregation.as_deref()
    }

    pub fn shape(&self) -> &Shape {
        self.mapping.shape(self.variant)
    }
}

/// Why a record was not stored. `reason` names fields and limits, never the value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: Kind,
    pub reason: String,
    /// A selector of the field inside the record, for example `$.startDate`.
    pub at: Option<String>,
}

impl Refusal {
    pub fn new(kind: Kind, reason: impl Into<String>) -> Refusal {
        Refusal { kind, reason: reason.into(), at: None }
    }

    pub fn at(mut self, at: impl Into<String>) -> Refusal {
        self.at = Some(at.into());
        self
    }
}
