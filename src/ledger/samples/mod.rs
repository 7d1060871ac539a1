//! Samples: which are new, which are there already, which are newer versions; then one feed row, one block.
//!
//! Identity (docs/architecture.md): patient + metric key + source record id; without one patient +
//! metric key + source key + aggregation level + effective period. A new mapping version, firmware
//! or unit spelling never doubles anything.

mod overridden;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::devices::Owner;
use super::draft::{Draft, Key as RecordKey, halves, id_of, own_id};
use super::existing::{Existing, Stored, series_place};
use super::same::{Fit, Held, fit, is_parentless, merge, same_offset, same_period};
use super::templates::{self, Templates};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{Address, PatientId, Shelf};
use crate::mapping::Measured;
use crate::series::{Block, RecordIds, Sample, Template};
use crate::store::blocks::{self, FeedKind, Header, NewBlock};
use crate::store::{Tx, keys};
use crate::vault::{Place, ShelfKeys, Vault};
use overridden::numbers;

/// What became of one measured sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stored,
    Unchanged,
    Corrected,
    /// Its Observation was edited or deleted through FHIR and is left as it is; the kind says which.
    Kept(Kind, Address),
}

/// A series has at most this many samples at one millisecond, a shelf this many series (see `Address`).
const FULL: &str = "the shelf has no room for another series or sample at this moment";

/// Stores what is new of `measured`; answers the fate of each. A replay is told when its upload was first
/// done (`as_of`): what was stored after that is newer and stays.
pub fn store(tx: &mut Tx<'_>, vault: &Vault, of: (Shelf, PatientId), measured: &[Measured], as_of: Option<Millis>) -> Result<Vec<Fate>> {
    let (shelf, patient) = of;
    let wrapped = keys::shelf_lock(tx, shelf)?;
    let keys = vault.shelf(shelf, &wrapped)?;
    let mut fates = vec![Fate::Unchanged; measured.len()];
    let mut todo: Vec<usize> = (0..measured.len()).collect();
    // A record that stands here twice, with another start or source, moves: that is judged when the first is stored.
    while !todo.is_empty() {
        let mut slice = Slice::open(tx, Owner { vault, shelf, patient }, Arc::clone(&keys), as_of)?;
        let all = || todo.iter().map(|n| &measured[*n]);
        slice.halves = halves(all());
        let ids = all().flat_map(|of| id_of(of).into_iter().chain(own_id(of)).map(move |id| (of, id)));
        let prints: Vec<(u32, &str, &str)> = ids.map(|(of, id)| (blocks::fingerprint(&keys, id), of.metric(), id)).collect();
        let known = slice.existing.by_record(tx, &prints)?;
        let mut later = Vec::new();
        for n in todo {
            if slice.moves(tx, &measured[n])? {
                later.push(n);
            } else {
                fates[n] = slice.place(tx, &measured[n], &known)?;
            }
        }
        slice.write(tx)?;
        todo = later;
    }
    Ok(fates)
}

/// A row that will be written, found again by its record or its place.
struct Row {
    sample: Sample,
    record_ids: Vec<String>,
    template: Arc<Template>,
}

struct Slice<'a> {
    owner: Owner<'a>,
    keys: Arc<ShelfKeys>,
    existing: Existing,
    as_of: Option<Millis>,
    series: HashMap<i64, u32>,
    templates: Templates<'a>,
    rows: Vec<Row>,
    by_record: HashMap<RecordKey, usize>,
    moved: HashSet<RecordKey>,
    halves: HashMap<RecordKey, Vec<RecordKey>>,
    by_place: HashMap<(u32, Millis), Vec<usize>>,
}

/// Where a sample is already.
enum Found {
    /// In a row that this slice will write.
    InSlice(usize),
    Stored(Stored),
}

impl<'a> Slice<'a> {
    fn open(tx: &mut Tx<'_>, owner: Owner<'a>, keys: Arc<ShelfKeys>, as_of: Option<Millis>) -> Result<Slice<'a>> {
        let series = blocks::series_all(tx, owner.shelf)?.into_iter().map(|(no, hash)| (hash, no)).collect();
        let templates = Templates::of(tx, owner, Arc::clone(&keys))?;
        let existing = Existing::of(tx, owner.shelf, Arc::clone(&keys))?;
        Ok(Slice {
            owner,
            keys,
            existing,
            as_of,
            series,
            templates,
            rows: Vec::new(),
            by_record: HashMap::new(),
            moved: HashSet::new(),
            halves: HashMap::new(),
            by_place: HashMap::new(),
        })
    }

    /// Is the record in this slice already, with another start or in another series?
    fn moves(&mut self, tx: &mut Tx<'_>, of: &Measured) -> Result<bool> {
        let Some(key) = id_of(of).map(|id| (of.metric().to_owned(), id.to_owned())) else { return Ok(false) };
        let Some(Found::InSlice(row)) = self.by_id(&key, &HashMap::new()) else { return Ok(self.moved.contains(&key)) };
        let series = self.draft(tx, of)?.series;
        let before = &self.rows[row].sample;
        let moves = self.moved.contains(&key) || before.series != series || before.start.ms != of.start.ms;
        if moves {
            // What comes after it comes after it.
            self.moved.insert(key);
        }
        Ok(moves)
    }

    fn place(&mut self, tx: &mut Tx<'_>, of: &Measured, known: &HashMap<(String, String), Stored>) -> Result<Fate> {
        let draft = self.draft(tx, of)?;
        let key = |id: &str| (of.metric().to_owned(), id.to_owned());
        let by_id = id_of(of).and_then(|id| self.by_id(&key(id), known));
        let found = match (&of.record, by_id) {
            (Some(_), by_id) => by_id,
            // Half a panel without a parent's id: itself first, then the panel that lacks it.
            (None, by_id) => match self.by_moment(tx, &draft)? {
                Some((Fit::Itself, found)) => Some(found),
                other => by_id.or(other.map(|(_, found)| found)),
            },
        };
        // Where half a panel is that comes with its parent now; mostly there, too.
        let own = own_id(of).and_then(|id| self.find(&key(id), known));
        if let Some(kept) = own.iter().chain(&found).find_map(|found| self.kept(found)) {
            return Ok(kept);
        }
        let left = own.zip(found.as_ref()).filter(|(own, found)| place(self.sample(own)) != place(self.sample(found)));
        let left = left.map(|(own, _)| own);
        let fate = match found {
            None => self.new_row(tx, draft),
            Some(Found::InSlice(row)) => self.again(tx, draft, row),
            Some(Found::Stored(stored)) => self.known(tx, draft, stored),
        }?;
        match left {
            Some(left) if fate != Fate::Unchanged && self.withdraw(tx, &left)? => Ok(Fate::Corrected),
            _ => Ok(fate),
        }
    }

    fn sample<'f>(&'f self, found: &'f Found) -> &'f Sample {
        match found {
            Found::InSlice(row) => &self.rows[*row].sample,
            Found::Stored(stored) => &stored.sample,
        }
    }

    fn address(&self, of: &Sample) -> Address {
        Address { shelf: self.owner.shelf, series: of.series, start: of.start.ms, disc: of.disc }
    }

    /// The row of a record.
    fn find(&self, key: &RecordKey, known: &HashMap<RecordKey, Stored>) -> Option<Found> {
        let found = match self.by_record.get(key) {
            Some(row) => Some(Found::InSlice(*row)),
            None => known.get(key).cloned().map(Found::Stored),
        };
        found.filter(|found| !self.existing.withdrawn(place(self.sample(found))))
    }

    /// The row of a record; of a parent that is not known, the row of a half that came before without it.
    fn by_id(&self, key: &RecordKey, known: &HashMap<RecordKey, Stored>) -> Option<Found> {
        let find = |key: &RecordKey| self.find(key, known);
        let parentless = |found: &Found| match found {
            Found::InSlice(row) => is_parentless(&self.rows[*row].sample, &self.rows[*row].record_ids),
            Found::Stored(stored) => is_parentless(&stored.sample, &stored.record_ids),
        };
        find(key).or_else(|| self.halves.get(key)?.iter().filter_map(find).find(parentless))
    }

    fn draft<'m>(&mut self, tx: &mut Tx<'_>, of: &'m Measured) -> Result<Draft<'m>> {
        let identity = format!("{}\u{1e}{}\u{1e}{}", of.metric(), of.source.key(), of.aggregation().unwrap_or(""));
        let hash = self.keys.index.hash("series", &[identity.as_bytes()]);
        let series = match self.series.get(&hash) {
            Some(no) => *no,
            None => {
                let no = self.series.len() as u32;
                if no > Address::SERIES_MAX {
                    return Err(Error::bug(FULL));
                }
                let sealed =
                    self.keys.body.seal(self.owner.vault.chance, series_place(self.owner.shelf, &no.to_be_bytes()), identity.as_bytes())?;
                blocks::series_insert(tx, self.owner.shelf, no, (hash, sealed))?;
                self.series.insert(hash, no);
                no
            }
        };
        Ok(Draft::of(of, series))
    }

    /// The row of a draft that no record identifies. Of several that lack its half the first made is completed, one that
    /// was written through FHIR only when there is no other.
    fn by_moment(&mut self, tx: &mut Tx<'_>, draft: &Draft<'_>) -> Result<Option<(Fit, Found)>> {
        let moment = (draft.series, draft.of.start.ms);
        let stored = self.existing.at(tx, moment.0, moment.1)?;
        let rows = self.by_place.get(&moment).map(Vec::as_slice).unwrap_or_default();
        // What this slice has changed is no longer as it is stored.
        let as_stored = |stored: &Stored| rows.iter().all(|row| self.rows[*row].sample.disc != stored.sample.disc);
        let in_slice = rows.iter().filter_map(|row| {
            let Row { sample, record_ids, .. } = &self.rows[*row];
            Some((fit(sample, record_ids, draft)?, Found::InSlice(*row)))
        });
        let stored = stored.into_iter().filter(as_stored).filter_map(|stored| {
            let fit = fit(&stored.sample, &stored.record_ids, draft)?;
            Some((fit, Found::Stored(stored)))
        });
        let all = in_slice.chain(stored).filter(|(_, found)| !self.existing.withdrawn(place(self.sample(found))));
        Ok(all.min_by_key(|(fit, found)| (*fit, *fit == Fit::OtherHalf && self.kept(found).is_some(), self.sample(found).disc)))
    }

    /// The same record twice in one slice, or the other half of its panel.
    fn again(&mut self, tx: &mut Tx<'_>, mut draft: Draft<'_>, row: usize) -> Result<Fate> {
        draft.joins(&self.rows[row].template);
        let before = self.rows[row].sample.clone();
        let (slots, filled, changed) = merge(&before.slots, &draft.slots);
        let template = self.templates.of_draft(tx, &draft, &slots)?;
        let same_value = template.1.facts.value == self.rows[row].template.facts.value;
        let nothing = !filled && !changed && same_value && same_period(&before, draft.of);
        if nothing && !draft.brings_parent(&self.rows[row].record_ids) {
            return Ok(Fate::Unchanged);
        }
        let sample = &mut self.rows[row].sample;
        sample.slots = slots;
        sample.template = template.0;
        sample.end = draft.of.end;
        self.rows[row].template = template.1;
        for id in draft.record_ids {
            if !self.rows[row].record_ids.contains(&id) {
                self.by_record.insert((draft.of.metric().to_owned(), id.clone()), row);
                self.rows[row].record_ids.push(id);
            }
        }
        Ok(match nothing {
            true => Fate::Unchanged,
            false if changed || !same_value => Fate::Corrected,
            false => Fate::Stored,
        })
    }

    fn new_row(&mut self, tx: &mut Tx<'_>, mut draft: Draft<'_>) -> Result<Fate> {
        let start = draft.of.start.ms;
        let stored = self.existing.at(tx, draft.series, start)?;
        let in_slice = self.by_place.get(&(draft.series, start)).map(Vec::as_slice).unwrap_or_default();
        let taken =
            stored.iter().map(|stored| stored.sample.disc + 1).chain(in_slice.iter().map(|row| self.rows[*row].sample.disc + 1)).max();
        let disc = taken.unwrap_or(0);
        if disc > Address::DISC_MAX {
            return Err(Error::bug(FULL));
        }
        let (template_no, template) = self.templates.of_draft(tx, &draft, &draft.slots)?;
        let sample = Sample {
            series: draft.series,
            disc,
            version: 1,
            template: template_no,
            start: draft.of.start,
            end: draft.of.end,
            slots: draft.slots.clone(),
        };
        if !draft.wide.is_empty() {
            self.replace(tx, &mut draft, (self.address(&sample), 1), Held::default())?;
        }
        self.push(draft, sample, template);
        Ok(Fate::Stored)
    }

    fn push(&mut self, draft: Draft<'_>, sample: Sample, template: Arc<Template>) {
        let row = self.rows.len();
        for id in &draft.record_ids {
            self.by_record.insert((draft.of.metric().to_owned(), id.clone()), row);
        }
        self.by_place.entry((sample.series, sample.start.ms)).or_default().push(row);
        self.rows.push(Row { sample, record_ids: draft.record_ids, template });
    }

    /// The record is stored already: is it the same, a newer version, or has it moved?
    fn known(&mut self, tx: &mut Tx<'_>, mut draft: Draft<'_>, stored: Stored) -> Result<Fate> {
        if self.is_newer(tx, stored.committed_at) {
            return Ok(Fate::Unchanged);
        }
        let before = stored.sample;
        let address = self.address(&before);
        let hidden = self.existing.overrides.contains_key(&place(&before));
        let template_before = self.templates.opened(tx, (before.series, before.template))?;
        draft.joins(&template_before);
        if hidden || before.series != draft.series || before.start.ms != draft.of.start.ms || !draft.wide.is_empty() {
            let fresh: Vec<String> = draft.record_ids.iter().filter(|id| !stored.record_ids.contains(id)).cloned().collect();
            let held = (numbers(&before), stored.record_ids.clone());
            let fate = self.replace(tx, &mut draft, (address, before.version + 1), held)?;
            if fate == Fate::Corrected && !fresh.is_empty() {
                // Documents are not found by record: the row that stands behind this one must know a new parent or half, too.
                self.moved.extend(draft.record_ids.iter().map(|id| (draft.of.metric().to_owned(), id.clone())));
                let record_ids = [fresh, stored.record_ids].concat();
                self.rows.push(Row { sample: Sample { version: before.version + 1, ..before }, record_ids, template: template_before });
            }
            return Ok(fate);
        }
        let (slots, filled, changed) = merge(&before.slots, &draft.slots);
        let (template_no, template) = self.templates.of_draft(tx, &draft, &slots)?;
        let same_value = template.facts.value == template_before.facts.value;
        let news = filled || changed || !same_value || draft.brings_parent(&stored.record_ids);
        if !news && same_period(&before, draft.of) && same_offset(&before, draft.of) {
            return Ok(Fate::Unchanged);
        }
        let sample =
            Sample { version: before.version + 1, template: template_no, slots, start: draft.of.start, end: draft.of.end, ..before };
        for id in stored.record_ids {
            if !draft.record_ids.contains(&id) {
                draft.record_ids.insert(draft.record_ids.len().min(1), id);
            }
        }
        let half = filled && !changed && same_value;
        self.push(draft, sample, template);
        Ok(if half { Fate::Stored } else { Fate::Corrected })
    }

    /// One feed row and one block for everything that is new.
    fn write(mut self, tx: &mut Tx<'_>) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.rows.sort_by(|a, b| a.sample.order(&b.sample));
        let vault = self.owner.vault;
        let bloom = templates::bloom(vault, self.rows.iter().map(|row| &*row.template));
        let mut filter: Vec<u32> = self.rows.iter().flat_map(|row| &row.record_ids).map(|id| blocks::fingerprint(&self.keys, id)).collect();
        filter.sort_unstable();
        let seq = blocks::feed_insert(tx, self.owner.shelf, FeedKind::Samples, bloom)?;
        let (samples, ids): (Vec<Sample>, Vec<Vec<String>>) = self.rows.into_iter().map(|row| (row.sample, row.record_ids)).unzip();
        let header = Header {
            shelf: self.owner.shelf,
            seq,
            committed_at: tx.committed_at(),
            start_lo: samples.first().map_or(0, |sample| sample.start.ms),
            start_hi: samples.last().map_or(0, |sample| sample.start.ms),
            end_hi: samples.iter().map(Sample::end_ms).max().unwrap_or(0),
            bloom,
            superseding: samples.iter().any(|sample| sample.version > 1),
        };
        let seal = |place: Place<'_>, bytes: &[u8]| self.keys.body.seal(vault.chance, place, bytes);
        let hot = seal(blocks::hot_place(self.owner.shelf, &seq.to_be_bytes()), &Block::encode(&samples))?;
        let pieces = ids.chunks(blocks::IDS_A_PIECE).enumerate();
        let ids = pieces
            .map(|(piece, ids)| seal(blocks::ids_place(self.owner.shelf, &blocks::piece_id(seq, piece)), &RecordIds::encode(ids)))
            .collect::<Result<_>>()?;
        blocks::block_insert(tx, NewBlock { header: &header, n: samples.len(), filter: &filter, hot, ids })
    }
}

/// The place of a sample in its shelf.
fn place(of: &Sample) -> (u32, Millis, u32) {
    (of.series, of.start.ms, of.disc)
}
