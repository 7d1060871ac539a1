//! One upload's samples as plain columns: hot (times, values, template) and cold (source record ids).

use std::borrow::Cow;
use std::cmp::Ordering;

use super::columns::{self, Column, Damaged};
use crate::error::{Error, Kind};
use crate::fhir::decimal::Decimal;
use crate::fhir::stamp::Stamp;

const FORMAT: u8 = 1;
/// An offset nobody can have: the source did not say.
const NO_OFFSET: i64 = 9_999;
/// A scale nobody can have: the slot holds no number.
const NO_NUMBER: i64 = 127;

/// One version of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub series: u32,
    pub disc: u32,
    pub version: u32,
    pub template: u32,
    pub start: Stamp,
    /// `None`: the sample is of a moment.
    pub end: Option<Stamp>,
    /// One a component of the template; `None` where that component has no number.
    pub slots: Vec<Option<Decimal>>,
}

impl Sample {
    /// Numeric equality, not text, decides whether a re-sent sample is the same: `72` is `72.0`.
    pub fn same_content(&self, other: &Sample) -> bool {
        self.template == other.template && self.same_time(other) && self.slots == other.slots
    }

    fn same_time(&self, other: &Sample) -> bool {
        self.start.instant() == other.start.instant()
            && self.start.offset == other.start.offset
            && self.end.map(Stamp::instant) == other.end.map(Stamp::instant)
            && self.end.map(|end| end.offset) == other.end.map(|end| end.offset)
    }

    /// The end of the sample for windows: a moment ends where it starts.
    pub fn end_ms(&self) -> i64 {
        self.end.map_or(self.start.ms, |end| end.ms)
    }

    /// (start, series, disc), then newest version first.
    pub fn order(&self, other: &Sample) -> Ordering {
        (self.start.ms, self.series, self.disc).cmp(&(other.start.ms, other.series, other.disc)).then(other.version.cmp(&self.version))
    }
}

/// The hot columns of a block, readable row by row.
pub struct Block {
    n: usize,
    series: Column,
    disc: Column,
    version: Column,
    template: Column,
    /// Milliseconds, in order: rows are found by it.
    starts: Vec<i64>,
    start: Rest,
    /// Milliseconds from start to end; -1 for a moment.
    span: Column,
    end: Rest,
    slots: Slots,
}

/// What a stamp has besides its milliseconds.
struct Rest {
    sub: Column,
    digits: Column,
    offset: Column,
}

impl Rest {
    fn put(out: &mut Vec<u8>, stamps: &[Stamp]) {
        columns::put(out, &stamps.iter().map(|at| i64::from(at.sub_ms_nanos)).collect::<Vec<_>>());
        columns::put(out, &stamps.iter().map(|at| i64::from(at.digits)).collect::<Vec<_>>());
        columns::put(out, &stamps.iter().map(|at| at.offset.map_or(NO_OFFSET, i64::from)).collect::<Vec<_>>());
    }

    fn take(bytes: &mut &[u8], n: usize) -> Result<Rest, Damaged> {
        Ok(Rest { sub: columns::take(bytes, n)?, digits: columns::take(bytes, n)?, offset: columns::take(bytes, n)? })
    }

    fn stamp(&self, row: usize, ms: i64) -> Stamp {
        let offset = self.offset.at(row);
        Stamp {
            ms,
            sub_ms_nanos: self.sub.at(row) as u32,
            digits: self.digits.at(row) as u8,
            offset: (offset != NO_OFFSET).then_some(offset as i16),
        }
    }
}

/// The numbers of all rows, one after the other.
struct Slots {
    places: Places,
    mantissa: Column,
    scale: Column,
}

/// Where the parts of a row stand in a list of all parts.
enum Places {
    /// Every row has as many.
    Even(usize),
    /// The first part of each row, and the end.
    First(Vec<usize>),
}

impl Places {
    /// Reads the counts of `n` rows; they must add up to `all`.
    fn take(bytes: &mut &[u8], n: usize, all: impl FnOnce(&mut &[u8]) -> Result<usize, Damaged>) -> Result<(Places, usize), Damaged> {
        let places = match columns::take(bytes, n)? {
            Column::Same(each) => Places::Even(usize::try_from(each).map_err(|_| Damaged)?),
            Column::Each(counts) => {
                let mut first = Vec::with_capacity(n + 1);
                let mut at = 0usize;
                for count in counts {
                    first.push(at);
                    at = at.checked_add(usize::try_from(count).map_err(|_| Damaged)?).ok_or(Damaged)?;
                }
                first.push(at);
                Places::First(first)
            }
        };
        let all = all(bytes)?;
        let fits = match &places {
            Places::Even(each) => n.checked_mul(*each) == Some(all),
            Places::First(first) => first.last() == Some(&all),
        };
        if fits && all <= 1 << 26 { Ok((places, all)) } else { Err(Damaged) }
    }

    fn of(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Places::Even(each) => row * each..(row + 1) * each,
            Places::First(first) => first[row]..first[row + 1],
        }
    }
}

impl Block {
    /// The hot bytes of samples that stand in `Sample::order`.
    pub fn encode(samples: &[Sample]) -> Vec<u8> {
        let mut out = vec![FORMAT];
        columns::put_unsigned(&mut out, samples.len() as u64);
        let column = |out: &mut Vec<u8>, of: fn(&Sample) -> i64| columns::put(out, &samples.iter().map(of).collect::<Vec<_>>());
        column(&mut out, |s| i64::from(s.series));
        column(&mut out, |s| i64::from(s.disc));
        column(&mut out, |s| i64::from(s.version));
        column(&mut out, |s| i64::from(s.template));
        column(&mut out, |s| s.start.ms);
        Rest::put(&mut out, &samples.iter().map(|s| s.start).collect::<Vec<_>>());
        column(&mut out, |s| s.end.map_or(-1, |end| end.ms - s.start.ms));
        Rest::put(&mut out, &samples.iter().map(|s| s.end.unwrap_or(s.start)).collect::<Vec<_>>());
        column(&mut out, |s| s.slots.len() as i64);
        let slots: Vec<Option<Decimal>> = samples.iter().flat_map(|s| s.slots.iter().copied()).collect();
        columns::put_unsigned(&mut out, slots.len() as u64);
        columns::put(&mut out, &slots.iter().map(|slot| slot.map_or(0, |d| d.mantissa)).collect::<Vec<_>>());
        columns::put(&mut out, &slots.iter().map(|slot| slot.map_or(NO_NUMBER, |d| i64::from(d.scale))).collect::<Vec<_>>());
        out
    }

    /// Reads what `encode` wrote; anything else is damage inside an authentic ciphertext, a bug of ours.
    pub fn decode(bytes: &[u8]) -> Result<Block, Error> {
        Self::read(bytes).map_err(|Damaged| Error::new(Kind::Sealed, "stored data could not be read").because("a block is damaged"))
    }

    fn read(mut bytes: &[u8]) -> Result<Block, Damaged> {
        let bytes = &mut bytes;
        let (format, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        let n = usize::try_from(columns::take_unsigned(bytes)?).map_err(|_| Damaged)?;
        if *format != FORMAT || n > 1 << 24 {
            return Err(Damaged);
        }
        let (series, disc, version, template) =
            (columns::take(bytes, n)?, columns::take(bytes, n)?, columns::take(bytes, n)?, columns::take(bytes, n)?);
        let starts = match columns::take(bytes, n)? {
            Column::Each(starts) => starts,
            Column::Same(start) => vec![start; n],
        };
        let (start, span, end) = (Rest::take(bytes, n)?, columns::take(bytes, n)?, Rest::take(bytes, n)?);
        let (places, all) = Places::take(bytes, n, |bytes| usize::try_from(columns::take_unsigned(bytes)?).map_err(|_| Damaged))?;
        let slots = Slots { places, mantissa: columns::take(bytes, all)?, scale: columns::take(bytes, all)? };
        Ok(Block { n, series, disc, version, template, starts, start, span, end, slots })
    }

    pub fn len(&self) -> usize {
        self.n
    }

    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    pub fn start_ms(&self, row: usize) -> i64 {
        self.starts[row]
    }

    /// (series, disc, version) without building the sample.
    pub fn key(&self, row: usize) -> (u32, u32, u32) {
        (self.series.at(row) as u32, self.disc.at(row) as u32, self.version.at(row) as u32)
    }

    pub fn template(&self, row: usize) -> u32 {
        self.template.at(row) as u32
    }

    /// Start and, for a period, end.
    pub fn time(&self, row: usize) -> (Stamp, Option<Stamp>) {
        let (start, span) = (self.starts[row], self.span.at(row));
        (self.start.stamp(row, start), (span >= 0).then(|| self.end.stamp(row, start + span)))
    }

    pub fn sample(&self, row: usize) -> Sample {
        let (series, disc, version) = self.key(row);
        let (start, end) = self.time(row);
        let slot = |slot| {
            let scale = self.slots.scale.at(slot);
            (scale != NO_NUMBER).then(|| Decimal { mantissa: self.slots.mantissa.at(slot), scale: scale as i8 })
        };
        Sample { series, disc, version, template: self.template(row), start, end, slots: self.slots.places.of(row).map(slot).collect() }
    }

    /// The rows that start at exactly this millisecond.
    pub fn rows_at(&self, ms: i64) -> std::ops::Range<usize> {
        let first = self.starts.partition_point(|start| *start < ms);
        first..self.starts.partition_point(|start| *start <= ms)
    }
}

/// The cold part: for each row the ids of its source records, the identifying one first.
pub struct RecordIds {
    places: Places,
    tags: Column,
    ids: Places,
    /// Where the ids' bytes begin.
    base: usize,
    bytes: Vec<u8>,
}

const UUID: i64 = 0;
const TEXT: i64 = 1;

impl RecordIds {
    pub fn encode(rows: &[Vec<String>]) -> Vec<u8> {
        let mut out = vec![FORMAT];
        let all: Vec<&String> = rows.iter().flatten().collect();
        columns::put_unsigned(&mut out, rows.len() as u64);
        columns::put_unsigned(&mut out, all.len() as u64);
        columns::put(&mut out, &rows.iter().map(|ids| ids.len() as i64).collect::<Vec<_>>());
        let packed: Vec<Option<[u8; 16]>> = all.iter().map(|id| packed_uuid(id)).collect();
        columns::put(&mut out, &packed.iter().map(|id| if id.is_some() { UUID } else { TEXT }).collect::<Vec<_>>());
        columns::put(
            &mut out,
            &all.iter().zip(&packed).map(|(id, packed)| if packed.is_some() { 16 } else { id.len() as i64 }).collect::<Vec<_>>(),
        );
        for (id, packed) in all.iter().zip(&packed) {
            match packed {
                Some(bytes) => out.extend_from_slice(bytes),
                None => out.extend_from_slice(id.as_bytes()),
            }
        }
        out
    }

    pub fn decode(bytes: Vec<u8>) -> Result<RecordIds, Error> {
        Self::read(bytes).map_err(|Damaged| Error::new(Kind::Sealed, "stored data could not be read").because("record ids are damaged"))
    }

    fn read(all: Vec<u8>) -> Result<RecordIds, Damaged> {
        let mut bytes = all.get(1..).ok_or(Damaged)?;
        let bytes = &mut bytes;
        let rows = usize::try_from(columns::take_unsigned(bytes)?).map_err(|_| Damaged)?;
        let n = usize::try_from(columns::take_unsigned(bytes)?).map_err(|_| Damaged)?;
        if all[0] != FORMAT || rows > 1 << 24 || n > 1 << 26 {
            return Err(Damaged);
        }
        let (places, _) = Places::take(bytes, rows, |_| Ok(n))?;
        let tags = columns::take(bytes, n)?;
        let (ids, _) = Places::take(bytes, n, |bytes| Ok(bytes.len()))?;
        let base = all.len() - bytes.len();
        Ok(RecordIds { places, tags, ids, base, bytes: all })
    }

    /// The ids of a row.
    pub fn of(&self, row: usize) -> impl Iterator<Item = RecordId<'_>> {
        self.places.of(row).map(|id| {
            let place = self.ids.of(id);
            let bytes = &self.bytes[self.base + place.start..self.base + place.end];
            match (self.tags.at(id), <[u8; 16]>::try_from(bytes)) {
                (UUID, Ok(bytes)) => RecordId::Uuid(uuid::Uuid::from_bytes(bytes)),
                _ => RecordId::Text(String::from_utf8_lossy(bytes)),
            }
        })
    }
}

/// One id of a source record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordId<'a> {
    /// In lower case with hyphens.
    Uuid(uuid::Uuid),
    Text(Cow<'a, str>),
}

impl RecordId<'_> {
    /// Gives the text to `to`.
    pub fn read<T>(&self, to: impl FnOnce(&str) -> T) -> T {
        match self {
            RecordId::Uuid(uuid) => to(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
            RecordId::Text(text) => to(text),
        }
    }
}

/// Only the lower-case hyphenated spelling is packed, so that reading gives back what was written.
fn packed_uuid(id: &str) -> Option<[u8; 16]> {
    let uuid = uuid::Uuid::try_parse(id).ok()?;
    let mut buffer = uuid::Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == id).then(|| uuid.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp() -> impl Strategy<Value = Stamp> {
        (-(1i64 << 40)..1i64 << 40, 0u32..1_000_000, 0u8..=9, prop::option::of(-840i16..=840))
            .prop_map(|(ms, sub_ms_nanos, digits, offset)| Stamp { ms, sub_ms_nanos, digits, offset })
    }

    fn sample() -> impl Strategy<Value = Sample> {
        let slot = prop::option::of((any::<i64>(), -20i8..20).prop_map(|(mantissa, scale)| Decimal { mantissa, scale }));
        (
            0u32..1 << 20,
            0u32..1 << 20,
            1u32..9,
            0u32..9,
            stamp(),
            prop::option::of((0i64..1 << 30, stamp())),
            prop::collection::vec(slot, 0..4),
        )
            .prop_map(|(series, disc, version, template, start, end, slots)| Sample {
                series,
                disc,
                version,
                template,
                start,
                end: end.map(|(span, end)| Stamp { ms: start.ms + span, ..end }),
                slots,
            })
    }

    proptest! {
        #[test]
        fn a_block_gives_back_its_samples(samples in prop::collection::vec(sample(), 0..60)) {
            let block = Block::decode(&Block::encode(&samples)).unwrap();
            let read: Vec<Sample> = (0..block.len()).map(|row| block.sample(row)).collect();
            prop_assert_eq!(format!("{read:?}"), format!("{samples:?}"));
        }

        #[test]
        fn record_ids_come_back(rows in prop::collection::vec(prop::collection::vec("[ -~]{0,40}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", 0..3), 0..40)) {
            let ids = RecordIds::decode(RecordIds::encode(&rows)).unwrap();
            prop_assert_eq!((0..rows.len()).map(|row| ids.of(row).map(|id| id.read(str::to_owned)).collect()).collect::<Vec<Vec<String>>>(), rows);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Block::decode(&bytes);
            let _ = RecordIds::decode(bytes);
        }
    }
}
