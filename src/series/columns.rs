//! Columns of integers: each is written in the shortest of three ways, all variable-length.

/// Why a column could not be read: the bytes are not what this codec writes.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

const RUNS: u8 = 0;
const DELTAS: u8 = 1;
const PLAIN: u8 = 2;

/// Appends `values`: a tag byte, then runs of equal values, differences, or the values themselves.
pub fn put(out: &mut Vec<u8>, values: &[i64]) {
    let mut best = vec![RUNS];
    let mut at = 0;
    while at < values.len() {
        let run = values[at..].iter().take_while(|value| **value == values[at]).count();
        put_signed(&mut best, values[at]);
        put_unsigned(&mut best, run as u64);
        at += run;
    }
    let mut deltas = vec![DELTAS];
    let mut before = 0i64;
    for value in values {
        put_signed(&mut deltas, value.wrapping_sub(before));
        before = *value;
    }
    let mut plain = vec![PLAIN];
    values.iter().for_each(|value| put_signed(&mut plain, *value));
    for other in [deltas, plain] {
        if other.len() < best.len() {
            best = other;
        }
    }
    out.extend_from_slice(&best);
}

/// A column that was read. Most columns of a block hold one value: they stay one value.
#[derive(Debug, PartialEq, Eq)]
pub enum Column {
    Same(i64),
    Each(Vec<i64>),
}

impl Column {
    /// The value of a row; a row beyond the column is 0, which `take` rules out.
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Column::Same(value) => *value,
            Column::Each(values) => values.get(row).copied().unwrap_or_default(),
        }
    }
}

/// Reads a column of `n` values and moves `bytes` past it.
pub fn take(bytes: &mut &[u8], n: usize) -> Result<Column, Damaged> {
    let (tag, rest) = bytes.split_first().ok_or(Damaged)?;
    *bytes = rest;
    if *tag == RUNS {
        return take_runs(bytes, n);
    }
    let mut values = Vec::with_capacity(n.min(bytes.len()));
    let mut before = 0i64;
    for _ in 0..n {
        let value = take_signed(bytes)?;
        before = match *tag {
            DELTAS => before.wrapping_add(value),
            PLAIN => value,
            _ => return Err(Damaged),
        };
        values.push(before);
    }
    Ok(Column::Each(values))
}

fn take_runs(bytes: &mut &[u8], n: usize) -> Result<Column, Damaged> {
    let mut values = Vec::new();
    while values.len() < n {
        let value = take_signed(bytes)?;
        let run = usize::try_from(take_unsigned(bytes)?).map_err(|_| Damaged)?;
        if run == n && values.is_empty() {
            return Ok(Column::Same(value));
        }
        if run == 0 || run > n - values.len() {
            return Err(Damaged);
        }
        values.resize(values.len() + run, value);
    }
    Ok(Column::Each(values))
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn take_signed(bytes: &mut &[u8]) -> Result<i64, Damaged> {
    let raw = take_unsigned(bytes)?;
    Ok(((raw >> 1) as i64) ^ -((raw & 1) as i64))
}

/// LEB128.
pub fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn take_unsigned(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    // Differences and values of samples mostly have one or two bytes.
    match *bytes {
        [a @ 0..0x80, rest @ ..] => {
            *bytes = rest;
            return Ok(u64::from(*a));
        }
        [a, b @ 0..0x80, rest @ ..] => {
            *bytes = rest;
            return Ok(u64::from(a & 0x7f) | u64::from(*b) << 7);
        }
        _ => {}
    }
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(values in prop::collection::vec(any::<i64>(), 0..300)) {
            let mut out = Vec::new();
            put(&mut out, &values);
            let mut bytes = out.as_slice();
            let column = take(&mut bytes, values.len()).unwrap();
            prop_assert_eq!((0..values.len()).map(|row| column.at(row)).collect::<Vec<_>>(), values);
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), n in 0usize..1000) {
            let _ = take(&mut bytes.as_slice(), n);
        }
    }

    #[test]
    fn a_steady_column_takes_a_few_bytes() {
        let mut out = Vec::new();
        put(&mut out, &[7; 2000]);
        assert!(out.len() <= 4);
    }
}
