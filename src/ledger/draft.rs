//! A measured sample on its way to a row.

use std::borrow::Cow;
use std::collections::HashMap;

use super::same::Held;
use crate::fhir::decimal::Decimal;
use crate::fhir::number::Number;
use crate::mapping::Measured;
use crate::series::Template;

/// A measured sample with its series known.
pub struct Draft<'m> {
    pub of: &'m Measured,
    pub series: u32,
    pub slots: Vec<Option<Decimal>>,
    /// Numbers of more than 18 digits, by slot: such an Observation is a document.
    pub wide: Vec<(usize, String)>,
    pub record_ids: Vec<String>,
    /// The system of the Observation's identifiers, None when it has none.
    pub system: Option<Cow<'static, str>>,
}

/// The id by which a stored row is found: the sample's, or that of a half of a panel that has no id itself.
pub fn id_of(of: &Measured) -> Option<&str> {
    of.record.as_deref().or(of.identifier.as_ref().map(|identifier| identifier.value.as_str()))
}

/// The own id of half a panel that goes by its parent's; the id of an array's sample is not a parent's.
pub fn own_id(of: &Measured) -> Option<&str> {
    let (record, own) = (of.record.as_deref()?, of.identifier.as_ref()?.value.as_str());
    let of_array = |rest: &str| rest.is_empty() || rest.starts_with('#');
    (of.slots.len() > 1 && !record.strip_prefix(own).is_some_and(of_array)).then_some(own)
}

/// A metric and a record id under it.
pub type Key = (String, String);

/// The halves that come with a parent's id, by that: one of them may have come before without it.
pub fn halves<'m>(all: impl Iterator<Item = &'m Measured>) -> HashMap<Key, Vec<Key>> {
    let mut halves: HashMap<Key, Vec<Key>> = HashMap::new();
    for of in all {
        if let (Some(parent), Some(own)) = (&of.record, own_id(of)) {
            let key = |id: &str| (of.metric().to_owned(), id.to_owned());
            halves.entry(key(parent)).or_default().push(key(own));
        }
    }
    halves
}

impl<'m> Draft<'m> {
    pub fn of(of: &'m Measured, series: u32) -> Draft<'m> {
        let mut wide = Vec::new();
        let slots = of.slots.iter().enumerate().map(|(slot, number)| match number {
            Some(Number::Fits(decimal)) => Some(*decimal),
            Some(Number::Wide(text)) => {
                wide.push((slot, text.clone()));
                None
            }
            None => None,
        });
        let slots = slots.collect();
        let mut record_ids: Vec<String> = of.record.iter().cloned().collect();
        record_ids.extend(of.identifier.iter().map(|identifier| identifier.value.clone()).filter(|id| of.record.as_ref() != Some(id)));
        let system = of.identifier.as_ref().map(|identifier| Cow::Borrowed(identifier.system));
        Draft { of, series, slots, wide, record_ids, system }
    }

    /// Is it known by its own id, and brings its parent's?
    pub fn brings_parent(&self, record_ids: &[String]) -> bool {
        own_id(self.of).is_some() && self.of.record.as_ref().is_some_and(|parent| !record_ids.contains(parent))
    }

    /// A half without an id keeps the identifiers of the panel it joins.
    pub fn joins(&mut self, before: &Template) {
        if self.system.is_none() {
            self.system = before.facts.identifier_system.clone().map(Cow::Owned);
        }
    }

    /// A half that moves takes the other with it.
    pub fn keeps(&mut self, held: Held) {
        let (numbers, mut record_ids) = held;
        for (slot, number) in numbers.into_iter().enumerate().take(self.slots.len()) {
            let has = self.slots[slot].is_some() || self.wide.iter().any(|(wide, _)| *wide == slot);
            match number.filter(|_| !has) {
                Some(Number::Fits(decimal)) => self.slots[slot] = Some(decimal),
                Some(Number::Wide(text)) => self.wide.push((slot, text)),
                None => {}
            }
        }
        // In the order they had, so that the same again is the same.
        self.record_ids.retain(|id| !record_ids.contains(id));
        record_ids.append(&mut self.record_ids);
        self.record_ids = record_ids;
    }
}
