//! What a shelf already holds of the samples that are about to be stored.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::clock::Millis;
use crate::error::Result;
use crate::id::Shelf;
use crate::series::{Block, Sample};
use crate::store::blocks::{BlockIds, OverrideKind, Overrides};
use crate::store::{Tx, blocks};
use crate::vault::{Place, ShelfKeys};

/// A stored sample and the block that has its newest version.
#[derive(Clone, Debug)]
pub struct Stored {
    pub sample: Sample,
    pub committed_at: Millis,
    pub record_ids: Vec<String>,
}

/// The parts of a shelf that one slice of an upload touches, opened as they are needed.
pub struct Existing {
    shelf: Shelf,
    keys: Arc<ShelfKeys>,
    /// Newest first.
    headers: Vec<blocks::Prints>,
    hot: HashMap<i64, Rc<Block>>,
    ids: HashMap<i64, BlockIds>,
    /// Series number -> metric key.
    metrics: HashMap<u32, String>,
    pub overrides: Overrides,
}

impl Existing {
    pub fn of(tx: &mut Tx<'_>, shelf: Shelf, keys: Arc<ShelfKeys>) -> Result<Existing> {
        let headers = blocks::filters(tx, shelf)?;
        let overrides = blocks::overrides(tx, shelf)?;
        Ok(Existing { shelf, keys, headers, hot: HashMap::new(), ids: HashMap::new(), metrics: HashMap::new(), overrides })
    }

    /// For each source record that is stored under the same metric: the newest version of the row that has its id.
    /// `records` are (fingerprint, metric, record id).
    pub fn by_record(&mut self, tx: &mut Tx<'_>, records: &[(u32, &str, &str)]) -> Result<HashMap<(String, String), Stored>> {
        let mut wanted: HashMap<u32, Vec<(&str, &str)>> = HashMap::new();
        for (print, metric, record) in records {
            wanted.entry(*print).or_default().push((metric, record));
        }
        let mut prints: Vec<u32> = wanted.keys().copied().collect();
        prints.sort_unstable();
        let mut found = HashMap::new();
        for n in 0..self.headers.len() {
            let (seq, committed_at) = (self.headers[n].seq, self.headers[n].committed_at);
            if !meet(&prints, &self.headers[n].prints) {
                continue;
            }
            let hot = self.hot(tx, seq)?;
            for row in 0..hot.len() {
                let (series, disc, _) = hot.key(row);
                if self.withdrawn((series, hot.start_ms(row), disc)) {
                    continue;
                }
                let ids = self.record_ids(tx, seq, row)?;
                for record in &ids {
                    let Some(candidates) = wanted.get(&blocks::fingerprint(&self.keys, record)) else { continue };
                    if !candidates.iter().any(|(_, wanted)| wanted == record) {
                        continue;
                    }
                    let metric = self.metric(tx, series)?;
                    let key = (metric.clone(), record.clone());
                    // Blocks come newest first, so the first version met is the newest.
                    if candidates.contains(&(metric.as_str(), record.as_str())) && !found.contains_key(&key) {
                        found.insert(key, Stored { sample: hot.sample(row), committed_at, record_ids: ids.clone() });
                    }
                }
            }
        }
        Ok(found)
    }

    /// Newest versions of the samples of a series that start at this millisecond, one a discriminator.
    pub fn at(&mut self, tx: &mut Tx<'_>, series: u32, start: Millis) -> Result<Vec<Stored>> {
        let mut found: Vec<Stored> = Vec::new();
        for n in 0..self.headers.len() {
            let header = &self.headers[n];
            if start < header.window.0 || start > header.window.1 {
                continue;
            }
            let (seq, committed_at) = (header.seq, header.committed_at);
            let hot = self.hot(tx, seq)?;
            for row in hot.rows_at(start) {
                let (of, disc, version) = hot.key(row);
                if of != series {
                    continue;
                }
                let record_ids = self.record_ids(tx, seq, row)?;
                let stored = Stored { sample: hot.sample(row), committed_at, record_ids };
                match found.iter_mut().find(|known| known.sample.disc == disc) {
                    Some(known) if known.sample.version < version => *known = stored,
                    Some(_) => {}
                    None => found.push(stored),
                }
            }
        }
        Ok(found)
    }

    /// Does the half that this row had stand in another panel now?
    pub fn withdrawn(&self, place: (u32, i64, u32)) -> bool {
        self.overrides.get(&place) == Some(&OverrideKind::Withdrawn)
    }

    /// The metric key of a series.
    fn metric(&mut self, tx: &mut Tx<'_>, series: u32) -> Result<String> {
        if let Some(metric) = self.metrics.get(&series) {
            return Ok(metric.clone());
        }
        let sealed = blocks::series_sealed(tx, self.shelf, series)?;
        let identity = self.keys.body.open(series_place(self.shelf, &series.to_be_bytes()), &sealed)?;
        let identity = String::from_utf8_lossy(&identity).into_owned();
        let metric = identity.split('\u{1e}').next().unwrap_or_default().to_owned();
        self.metrics.insert(series, metric.clone());
        Ok(metric)
    }

    fn hot(&mut self, tx: &mut Tx<'_>, seq: i64) -> Result<Rc<Block>> {
        if let Some(block) = self.hot.get(&seq) {
            return Ok(Rc::clone(block));
        }
        let block = Rc::new(blocks::hot(tx, &self.keys, self.shelf, seq)?);
        self.hot.insert(seq, Rc::clone(&block));
        Ok(block)
    }

    fn record_ids(&mut self, tx: &mut Tx<'_>, seq: i64, row: usize) -> Result<Vec<String>> {
        let ids = self.ids.entry(seq).or_default().of(tx, &self.keys, (self.shelf, seq), row)?;
        Ok(ids.iter().map(|id| id.read(str::to_owned)).collect())
    }
}

/// The place of a series' identity.
pub fn series_place(shelf: Shelf, series: &[u8; 4]) -> Place<'_> {
    Place { kind: "series", shelf, id: series, version: 1 }
}

/// Do two sorted lists share a value?
fn meet(a: &[u32], b: &[u32]) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}
