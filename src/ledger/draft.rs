//! A measured sample on its way to a row.

use std::borrow::Cow;

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
