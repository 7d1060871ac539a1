//! One upload's samples as plain columns: hot (times, values, template) and cold (source record ids).

use std::cmp::Ordering;

use super::columns::{self, Damaged};
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
    series: Vec<i64>,
    disc: Vec<i64>,
    version: Vec<i64>,
    template: Vec<i64>,
    start: Times,
    /// Milliseconds from start to end; -1 for a moment.
    span: Vec<i64>,
    end: Times,
    first_slot: Vec<usize>,
    mantissa: Vec<i64>,
    scale: Vec<i64>,
}

struct Times {
    ms: Vec<i64>,
    sub: Vec<i64>,
    digits: Vec<i64>,
    offset: Vec<i64>,
}

impl Times {
    fn of(stamps: impl Iterator<Item = Stamp> + Clone) -> Times {
        Times {
            ms: stamps.clone().map(|at| at.ms).collect(),
            sub: stamps.clone().map(|at| i64::from(at.sub_ms_nanos)).collect(),
            digits: stamps.clone().map(|at| i64::from(at.digits)).collect(),
            offset: stamps.map(|at| at.offset.map_or(NO_OFFSET, i64::from)).collect(),
        }
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        [&self.sub, &self.digits, &self.offset].into_iter().for_each(|column| columns::put(out, column));
    }

    fn take_rest(ms: Vec<i64>, bytes: &mut &[u8]) -> Result<Times, Damaged> {
        let n = ms.len();
        Ok(Times { ms, sub: columns::take(bytes, n)?, digits: columns::take(bytes, n)?, offset: columns::take(bytes, n)? })
    }

    fn get(&self, row: usize) -> Stamp {
        Stamp {
            ms: self.ms[row],
            sub_ms_nanos: self.sub[row] as u32,
            digits: self.digits[row] as u8,
            offset: (self.offset[row] != NO_OFFSET).then_some(self.offset[row] as i16),
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
        let start = Times::of(samples.iter().map(|s| s.start));
        columns::put(&mut out, &start.ms);
        start.put_rest(&mut out);
        column(&mut out, |s| s.end.map_or(-1, |end| end.ms - s.start.ms));
        Times::of(samples.iter().map(|s| s.end.unwrap_or(s.start))).put_rest(&mut out);
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
        let ms = columns::take(bytes, n)?;
        let start = Times::take_rest(ms, bytes)?;
        let span = columns::take(bytes, n)?;
        let ends = start.ms.iter().zip(&span).map(|(start, span)| start + span.max(&0)).collect();
        let end = Times::take_rest(ends, bytes)?;
        let counts = columns::take(bytes, n)?;
        let all = usize::try_from(columns::take_unsigned(bytes)?).map_err(|_| Damaged)?;
        let mut first_slot = Vec::with_capacity(n + 1);
        let mut at = 0usize;
        for count in counts {
            first_slot.push(at);
            at = at.checked_add(usize::try_from(count).map_err(|_| Damaged)?).ok_or(Damaged)?;
        }
        first_slot.push(at);
        if at != all || all > 1 << 26 {
            return Err(Damaged);
        }
        Ok(Block {
            series,
            disc,
            version,
            template,
            start,
            span,
            end,
            first_slot,
            mantissa: columns::take(bytes, all)?,
            scale: columns::take(bytes, all)?,
        })
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub fn start_ms(&self, row: usize) -> i64 {
        self.start.ms[row]
    }

    pub fn end_ms(&self, row: usize) -> i64 {
        self.end.ms[row]
    }

    /// (series, disc, version) without building the sample.
    pub fn key(&self, row: usize) -> (u32, u32, u32) {
        (self.series[row] as u32, self.disc[row] as u32, self.version[row] as u32)
    }

    pub fn template(&self, row: usize) -> u32 {
        self.template[row] as u32
    }

    pub fn sample(&self, row: usize) -> Sample {
        let slots = self.first_slot[row]..self.first_slot[row + 1];
        let (series, disc, version) = self.key(row);
        Sample {
            series,
            disc,
            version,
            template: self.template(row),
            start: self.start.get(row),
            end: (self.span[row] >= 0).then(|| self.end.get(row)),
            slots: slots
                .map(|slot| {
                    (self.scale[slot] != NO_NUMBER).then(|| Decimal { mantissa: self.mantissa[slot], scale: self.scale[slot] as i8 })
                })
                .collect(),
        }
    }

    /// The rows that start at exactly this millisecond.
    pub fn rows_at(&self, ms: i64) -> std::ops::Range<usize> {
        let first = self.start.ms.partition_point(|start| *start < ms);
        first..self.start.ms.partition_point(|start| *start <= ms)
    }
}

/// The cold part: for each row the ids of its source records, the identifying one first.
pub struct RecordIds {
    first: Vec<usize>,
    /// Where each id stands: a 16-byte UUID or text, by the length.
    ids: Vec<(bool, usize, usize)>,
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
        let mut first = Vec::with_capacity(rows + 1);
        let mut at = 0usize;
        for count in columns::take(bytes, rows)? {
            first.push(at);
            at = at.checked_add(usize::try_from(count).map_err(|_| Damaged)?).ok_or(Damaged)?;
        }
        first.push(at);
        let (tags, lengths) = (columns::take(bytes, n)?, columns::take(bytes, n)?);
        let mut offset = all.len() - bytes.len();
        let mut ids = Vec::with_capacity(n);
        for (tag, length) in tags.iter().zip(lengths) {
            let length = usize::try_from(length).map_err(|_| Damaged)?;
            ids.push((*tag == UUID, offset, length));
            offset = offset.checked_add(length).ok_or(Damaged)?;
        }
        if offset != all.len() || at != n {
            return Err(Damaged);
        }
        Ok(RecordIds { first, ids, bytes: all })
    }

    pub fn get(&self, row: usize) -> Vec<String> {
        self.ids[self.first[row]..self.first[row + 1]]
            .iter()
            .map(|(uuid, offset, length)| {
                let bytes = &self.bytes[*offset..offset + length];
                match (uuid, <[u8; 16]>::try_from(bytes)) {
                    (true, Ok(bytes)) => uuid::Uuid::from_bytes(bytes).hyphenated().to_string(),
                    _ => String::from_utf8_lossy(bytes).into_owned(),
                }
            })
            .collect()
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
            prop_assert_eq!((0..rows.len()).map(|row| ids.get(row)).collect::<Vec<_>>(), rows);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Block::decode(&bytes);
            let _ = RecordIds::decode(bytes);
        }
    }
}
