//! Runs a mapping on a record.

use std::borrow::Cow;
use std::sync::Arc;

use super::compile::{Mapping, Measure, Output, Samples, Taken};
use super::path::Path;
use super::record::{Identifier, Measured, Record, Refusal};
use super::tree::Token;
use crate::error::Kind;
use crate::fhir::decimal::Decimal;
use crate::fhir::number::Number;
use crate::fhir::stamp::Stamp;

/// What one reading of one place gave.
enum Read {
    Number(Number),
    /// Nothing there, or null.
    Missing,
    /// The source says that it did not measure.
    Sentinel,
}

/// The place a value is read from: the record itself, or one sample of it.
struct At {
    sample: usize,
    start: Stamp,
    end: Option<Stamp>,
    /// The number of the sample.
    ordinal: Option<usize>,
}

impl Mapping {
    /// What the record becomes: at least one sample, or the reason why it is refused as a whole.
    ///
    /// `FieldMissing` no value, unit or end · `UnitUnknown` · `ValueNotANumber` · `ValueRange` · `ValueUnknown` a word
    /// that is not mapped · `TimeInvalid`, `TimeNoZone`, `TimeReversed` for the times of samples · `JsonShape`.
    pub fn apply(self: &Arc<Mapping>, record: &Record<'_>) -> Result<Vec<Measured>, Refusal> {
        let mut made = Vec::with_capacity(1);
        let mut nothing = None;
        for output in &self.outputs {
            let before = made.len();
            let missing = match &output.each {
                None => {
                    let at = At { sample: 0, start: record.start, end: record.end, ordinal: None };
                    self.one(output, record, &at, &mut made)?
                }
                Some(samples) => self.many(output, samples, record, &mut made)?,
            };
            if let Some(missing) = missing.filter(|_| made.len() == before) {
                if !output.optional && missing.kind == Kind::FieldMissing {
                    return Err(missing);
                }
                nothing.get_or_insert(missing);
            }
        }
        match nothing {
            Some(refusal) if made.is_empty() => Err(refusal),
            _ => Ok(made),
        }
    }

    /// Adds what the samples become; the answer says what was missing when it adds none.
    fn many(
        self: &Arc<Mapping>,
        output: &Output,
        samples: &Samples,
        record: &Record<'_>,
        made: &mut Vec<Measured>,
    ) -> Result<Option<Refusal>, Refusal> {
        let mut missing = Some(absent(&samples.list));
        let Some(list) = samples.list.find(&record.tree, 0) else { return Ok(missing) };
        if record.tree.node(list).token != Token::Array {
            return Err(Refusal::new(Kind::JsonShape, "an array of samples is expected").at(samples.list.text()));
        }
        for (ordinal, sample) in record.tree.children(list).enumerate() {
            let here = |refusal: Refusal| {
                let at = refusal.at.unwrap_or_else(|| "@".into()).replacen('@', &format!("{}[{ordinal}]", samples.list.text()), 1);
                Refusal { at: Some(at), ..refusal }
            };
            let time = |path: &Path| time_of(path, sample, record).map_err(here);
            let start = time(&samples.start)?.ok_or_else(|| here(absent(&samples.start)))?;
            let end = samples.end.as_ref().map(time).transpose()?.flatten();
            if end.is_some_and(|end| end.instant() < start.instant()) {
                return Err(here(Refusal::new(Kind::TimeReversed, "the sample ends before it starts").at("@")));
            }
            let at = At { sample, start, end, ordinal: Some(ordinal) };
            // A sample that was not measured is left out; one that lacks its value is a fault.
            match self.one(output, record, &at, made).map_err(here)? {
                Some(nothing) if nothing.kind == Kind::FieldMissing => return Err(here(nothing)),
                nothing => missing = nothing,
            }
        }
        Ok(missing)
    }

    /// Adds at most one sample; the answer says what was missing when it adds none.
    fn one(
        self: &Arc<Mapping>,
        output: &Output,
        record: &Record<'_>,
        at: &At,
        made: &mut Vec<Measured>,
    ) -> Result<Option<Refusal>, Refusal> {
        let mut variant = output.first;
        let mut slots = Vec::new();
        let mut grouped = false;
        match &output.value {
            Taken::Quantity(measure) => {
                variant += self.types.iter().position(|kind| kind == record.kind).unwrap_or(0);
                match read(measure, record, at.sample)? {
                    Read::Number(number) => slots.push(Some(number)),
                    nothing => return Ok(Some(why_not(&nothing, measure))),
                }
            }
            Taken::Coded { from, words } => {
                let Some(id) = from.find(&record.tree, at.sample) else { return Ok(Some(absent(from))) };
                let word = record.tree.string(id);
                let known = word.and_then(|word| words.iter().position(|known| *known == word));
                variant += known.ok_or_else(|| Refusal::new(Kind::ValueUnknown, "the mapping does not know this word").at(from.text()))?;
            }
            Taken::Panel(components) => {
                let mut nothing = None;
                for (kind, measure) in components {
                    grouped |= kind.is_some();
                    let mine = kind.as_deref().is_none_or(|kind| kind == record.kind);
                    let read = if mine { read(measure, record, at.sample)? } else { Read::Missing };
                    match read {
                        Read::Number(number) => slots.push(Some(number)),
                        missing => {
                            slots.push(None);
                            nothing = mine.then(|| why_not(&missing, measure)).or(nothing);
                        }
                    }
                }
                if slots.iter().all(Option::is_none) {
                    let other = || Refusal::new(Kind::TypeUnmapped, "no component of the panel is of this type");
                    return Ok(Some(nothing.unwrap_or_else(other)));
                }
            }
        }
        let end = if output.period { Some(at.end.ok_or_else(|| Refusal::new(Kind::FieldMissing, "the end is missing"))?) } else { None };
        let own = if grouped { record.parent.as_ref() } else { record.id.as_ref() };
        made.push(Measured {
            mapping: Arc::clone(self),
            variant,
            record: own.map(|id| at.ordinal.map_or_else(|| id.clone(), |ordinal| format!("{id}#{ordinal}"))),
            identifier: record.id.clone().map(|value| Identifier { system: record.system, value }),
            start: at.start,
            end,
            slots,
            source: Arc::clone(&record.source),
        });
        Ok(None)
    }
}

fn absent(path: &Path) -> Refusal {
    Refusal::new(Kind::FieldMissing, "the field is missing or null").at(path.text())
}

fn why_not(read: &Read, measure: &Measure) -> Refusal {
    match read {
        Read::Sentinel => Refusal::new(Kind::ValueRange, "this number means that nothing was measured").at(measure.from.text()),
        _ => absent(&measure.from),
    }
}

fn time_of(path: &Path, sample: usize, record: &Record<'_>) -> Result<Option<Stamp>, Refusal> {
    let Some(id) = path.find(&record.tree, sample) else { return Ok(None) };
    let text = record.tree.string(id).ok_or_else(|| Refusal::new(Kind::TimeInvalid, "a time is a string").at(path.text()))?;
    let stamp = Stamp::parse(&text, record.zone.as_deref());
    stamp.map(Some).map_err(|kind| Refusal::new(kind, kind.wire().remedy).at(path.text()))
}

fn read(measure: &Measure, record: &Record<'_>, sample: usize) -> Result<Read, Refusal> {
    let Some(id) = measure.from.find(&record.tree, sample) else { return Ok(Read::Missing) };
    let refuse = |kind: Kind| Refusal::new(kind, kind.wire().remedy).at(measure.from.text());
    if record.tree.node(id).token != Token::Number {
        return Err(refuse(Kind::ValueNotANumber));
    }
    let number = Number::parse(record.tree.raw(id)).map_err(refuse)?;
    if measure.sentinels.iter().any(|sentinel| Number::Fits(*sentinel) == number) {
        return Ok(Read::Sentinel);
    }
    let number = number.times(factor(measure, record, sample)?).map_err(refuse)?;
    let (low, high) = measure.range;
    if number < Number::Fits(low) || number > Number::Fits(high) {
        let reason = format!("the value must be from {low} to {high} {}", measure.unit);
        return Err(Refusal::new(Kind::ValueRange, reason).at(measure.from.text()));
    }
    Ok(Read::Number(number))
}

fn factor(measure: &Measure, record: &Record<'_>, sample: usize) -> Result<Decimal, Refusal> {
    let id = measure.unit_from.find(&record.tree, sample);
    let given = match id {
        None => Some(Cow::Borrowed("")),
        Some(id) => record.tree.string(id),
    };
    let found = given.and_then(|given| measure.accept.iter().find(|(text, _)| *text == given));
    match (found, id) {
        (Some((_, factor)), _) => Ok(*factor),
        (None, None) => Err(absent(&measure.unit_from)),
        (None, Some(_)) => {
            let known: Vec<&str> = measure.accept.iter().map(|(text, _)| text.as_str()).collect();
            Err(Refusal::new(Kind::UnitUnknown, format!("the unit must be one of: {}", known.join(", "))).at(measure.unit_from.text()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tree::Tree;

    const MANY: &str = "
id: tarn.ring
version: 2.0.1
from: {providers: [google], list: records, types: [TARN_NIGHT], system: 'urn:tarn:types'}
observations:
  - metric: tarn-warmth
    time: instant
    categories: [exam]
    codes: []
    value:
      quantity:
        from: $.night['mean warmth']
        unit_from: $.night.unit
        unit: {code: Cel, unit: °C}
        accept: {C: 1, '': 1}
        range: [-5, 5]
        sentinels: [-1]
  - metric: tarn-beat
    time: period
    aggregation: minute
    optional: true
    each: {list: $.night.samples, start: '@.t', end: '@.u'}
    categories: [exam]
    codes: [{system: 'urn:tarn', code: beat}]
    value:
      quantity:
        unit: {code: /min, unit: beats/minute}
        accept: {'': 1}
        range: [0, 300]
        sentinels: [0, 255]
  - metric: tarn-pair
    time: instant
    optional: true
    categories: [exam]
    codes: [{system: 'urn:tarn', code: pair}]
    value:
      panel:
        - codes: [{system: 'urn:tarn', code: left}]
          reading: {from: $.left, unit: {code: '1', unit: ''}, accept: {'': 1}, range: [0, 9]}
        - codes: [{system: 'urn:tarn', code: right}]
          reading: {from: $.right, unit: {code: '1', unit: ''}, accept: {'': 1}, range: [0, 9]}
";

    fn apply(yaml: &str, record: &str) -> Result<Vec<String>, (Kind, String)> {
        let mapping = Arc::new(Mapping::parse("test.yaml", yaml).unwrap());
        let mut nodes = Vec::new();
        let tree = Tree::parse(record, &mut nodes, None).unwrap();
        let start = Stamp::parse("2026-03-14T06:21:17Z", None).unwrap();
        let record = Record {
            kind: "TARN_NIGHT",
            system: "urn:test",
            id: Some("n-1".into()),
            parent: None,
            start,
            end: None,
            zone: None,
            source: Arc::default(),
            tree,
        };
        let made = mapping.apply(&record).map_err(|refusal| (refusal.kind, refusal.at.unwrap_or_default()))?;
        let shown = |one: &Measured| {
            let slots: Vec<String> = one.slots.iter().map(|slot| slot.as_ref().map_or("-".into(), ToString::to_string)).collect();
            let end = one.end.map_or(String::new(), |end| format!(" to {end}"));
            format!("{} {} {}{end} {}", one.metric(), one.record.as_deref().unwrap_or("-"), one.start, slots.join(" "))
        };
        Ok(made.iter().map(shown).collect())
    }

    #[test]
    fn one_record_becomes_several_observations() {
        let night = r#"{"night":{"mean warmth":-0.40,"unit":"C","samples":[
            {"t":"2026-03-14T01:00:00+01:00","u":"2026-03-14T01:01:00+01:00","value":61.37},
            {"t":"2026-03-14T01:01:00+01:00","u":"2026-03-14T01:02:00+01:00","value":255},
            {"t":"2026-03-14T01:02:00+01:00","u":"2026-03-14T01:03:00+01:00","value":59}]},"right":3}"#;
        assert_eq!(
            apply(MANY, night).unwrap(),
            [
                "tarn-warmth n-1 2026-03-14T06:21:17Z -0.40",
                "tarn-beat n-1#0 2026-03-14T01:00:00+01:00 to 2026-03-14T01:01:00+01:00 61.37",
                "tarn-beat n-1#2 2026-03-14T01:02:00+01:00 to 2026-03-14T01:03:00+01:00 59",
                "tarn-pair n-1 2026-03-14T06:21:17Z - 3",
            ]
        );
        assert_eq!(apply(MANY, r#"{"night":{"mean warmth":1}}"#).unwrap(), ["tarn-warmth n-1 2026-03-14T06:21:17Z 1"]);
    }

    #[test]
    fn a_fault_anywhere_refuses_the_record() {
        let with = |samples: &str| apply(MANY, &format!(r#"{{"night":{{"mean warmth":1,"samples":{samples}}}}}"#)).unwrap_err();
        assert_eq!(with("7"), (Kind::JsonShape, "$.night.samples".into()));
        assert_eq!(with(r#"[{"t":"2026-03-14T01:00:00","value":1}]"#), (Kind::TimeNoZone, "$.night.samples[0].t".into()));
        assert_eq!(with(r#"[{"value":1}]"#), (Kind::FieldMissing, "$.night.samples[0].t".into()));
        assert_eq!(with(r#"[{"t":"2026-03-14T01:00:00Z","value":1}]"#), (Kind::FieldMissing, "$.night.samples[0]".into()));
        assert_eq!(
            with(r#"[{"t":"2026-03-14T01:00:00Z","u":"2026-03-14T00:00:00Z","value":1}]"#),
            (Kind::TimeReversed, "$.night.samples[0]".into())
        );
        assert_eq!(
            with(r#"[{"t":"2026-03-14T01:00:00Z","u":"2026-03-14T02:00:00Z"}]"#),
            (Kind::FieldMissing, "$.night.samples[0].value".into())
        );
        assert_eq!(
            with(r#"[{"t":"2026-03-14T01:00:00Z","u":"2026-03-14T02:00:00Z","value":301}]"#),
            (Kind::ValueRange, "$.night.samples[0].value".into())
        );
        assert_eq!(apply(MANY, "{}").unwrap_err(), (Kind::FieldMissing, "$.night['mean warmth']".into()));
        assert_eq!(apply(MANY, r#"{"night":{"mean warmth":1,"unit":"F"}}"#).unwrap_err(), (Kind::UnitUnknown, "$.night.unit".into()));
    }

    #[test]
    fn what_was_not_measured_is_no_value() {
        let quantity = MANY.split("  - metric: tarn-beat").next().unwrap();
        assert_eq!(apply(quantity, r#"{"night":{"mean warmth":-1.0}}"#).unwrap_err(), (Kind::ValueRange, "$.night['mean warmth']".into()));
        // Another Observation of the record is still made.
        assert_eq!(apply(MANY, r#"{"night":{"mean warmth":-1.0},"left":2}"#).unwrap(), ["tarn-pair n-1 2026-03-14T06:21:17Z 2 -"]);
    }
}
