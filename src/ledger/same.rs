//! What is the same sample, and what is new in it.

use serde_json::Value;

use super::draft::Draft;
use crate::fhir::decimal::Decimal;
use crate::fhir::number::Number;
use crate::mapping::Measured;
use crate::series::Sample;

/// Why a draft that is known by its moment belongs to a row; the better reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Itself,
    /// The row is a panel that still lacks what the draft has.
    OtherHalf,
}

/// Does a draft without an identifying record belong to this row of its series? A half of a panel may have an id
/// of its own: then the row that has it. A draft without any id is never one that came with an id.
pub fn fit(sample: &Sample, record_ids: &[String], draft: &Draft<'_>) -> Option<Fit> {
    if !same_period(sample, draft.of) {
        return None;
    }
    let filled = sample.slots.iter().flatten().count();
    let itself = match &draft.of.identifier {
        Some(own) => record_ids.contains(&own.value),
        // With fewer ids than numbers, one of the halves came without an id.
        None => record_ids.is_empty() || record_ids.len() < filled,
    };
    let open = draft.slots.len() > 1 && is_parentless(sample, record_ids);
    let apart = || sample.slots.iter().zip(&draft.slots).all(|(before, after)| before.is_none() || after.is_none());
    if itself { Some(Fit::Itself) } else { (open && apart()).then_some(Fit::OtherHalf) }
}

/// With more ids than numbers, one is a parent's, which knows its halves.
pub fn is_parentless(sample: &Sample, record_ids: &[String]) -> bool {
    record_ids.len() <= sample.slots.iter().flatten().count()
}

/// The numbers of a sample's slots and its record ids.
pub type Held = (Vec<Option<Number>>, Vec<String>);

/// What a sample that became a document holds besides the one number of a quantity.
pub fn held_by(document: &Value) -> Held {
    let all = |member: &str| document[member].as_array().into_iter().flatten();
    let number = |component: &Value| Number::parse(component["valueQuantity"]["value"].as_number()?.as_str()).ok();
    let id = |identifier: &Value| identifier["value"].as_str().map(str::to_owned);
    (all("component").map(number).collect(), all("identifier").filter_map(id).collect())
}

/// Are two resources the same, numbers compared by their value?
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (Number::parse(a.as_str()), Number::parse(b.as_str())) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        _ => a == b,
    }
}

/// Is the effective period the same moment or span?
pub fn same_period(sample: &Sample, of: &Measured) -> bool {
    sample.start.instant() == of.start.instant() && sample.end.map(|end| end.instant()) == of.end.map(|end| end.instant())
}

/// An offset that is filled in later is news; one that is left out later is not.
pub fn same_offset(sample: &Sample, of: &Measured) -> bool {
    of.start.offset.is_none() || sample.start.offset == of.start.offset
}

/// The slots of both; was an empty one filled, was a number changed? Numbers are compared, not texts.
pub fn merge(before: &[Option<Decimal>], after: &[Option<Decimal>]) -> (Vec<Option<Decimal>>, bool, bool) {
    let (mut filled, mut changed) = (false, before.len() != after.len());
    if changed {
        return (after.to_vec(), filled, changed);
    }
    let slots = before.iter().zip(after).map(|(before, after)| match (before, after) {
        (Some(before), Some(after)) if before == after => Some(*before),
        (Some(_), Some(after)) => {
            changed = true;
            Some(*after)
        }
        (None, Some(after)) => {
            filled = true;
            Some(*after)
        }
        (before, None) => *before,
    });
    (slots.collect(), filled, changed)
}
