//! The tables as text, and rows found by a key.

use std::collections::HashMap;
use std::ops::Range;

/// The rows of a table below its line of names. A row of another width is left out; a test counts them.
pub(super) fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().skip(1).filter_map(|line| {
        let mut columns = [""; N];
        let mut found = line.split('\t');
        for column in &mut columns {
            *column = found.next()?;
        }
        found.next().is_none().then_some(columns)
    })
}

/// Empty is none.
pub(super) fn some(text: &'static str) -> Option<&'static str> {
    (!text.is_empty()).then_some(text)
}

/// `y` or empty.
pub(super) fn yes(text: &str) -> bool {
    text == "y"
}

/// Rows side by side with those of the same key, in the order they came.
pub(super) struct Grouped<T> {
    rows: Box<[T]>,
    at: HashMap<&'static str, Range<usize>>,
}

impl<T> Grouped<T> {
    pub(super) fn new(mut rows: Vec<(&'static str, T)>) -> Grouped<T> {
        rows.sort_by_key(|(key, _)| *key);
        let mut at: HashMap<&'static str, Range<usize>> = HashMap::new();
        for (n, (key, _)) in rows.iter().enumerate() {
            at.entry(key).or_insert(n..n).end = n + 1;
        }
        Grouped { rows: rows.into_iter().map(|(_, row)| row).collect(), at }
    }

    /// The rows of this key; none when nobody has it.
    pub(super) fn of(&self, key: &str) -> &[T] {
        self.at.get(key).and_then(|range| self.rows.get(range.clone())).unwrap_or_default()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.at.contains_key(key)
    }

    pub(super) fn all(&self) -> &[T] {
        &self.rows
    }

    pub(super) fn all_mut(&mut self) -> &mut [T] {
        &mut self.rows
    }
}
