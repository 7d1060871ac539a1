//! Samples: which are new, which are there already, which are newer versions; then one feed row, one block.
//!
//! Identity (docs/architecture.md): patient + metric key + source record id; without one patient +
//! metric key + source key + aggregation level + effective period. A new mapping version, firmware
//! or unit spelling never doubles anything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::devices::Owner;
use super::documents::{Put, current, instant, put_override};
use super::draft::{Draft, Key as RecordKey, halves, id_of, own_id};
use super::existing::{Existing, Stored, series_place};
use super::same::{Fit, Held, fit, held_by, is_parentless, merge, same, same_offset, same_period};
use super::templates::{self, Templates};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::fhir::number::Number;
use crate::fhir::stamp::Stamp;
use crate::id::{Address, PatientId, Shelf};
use crate::mapping::Measured;
use crate::search::Type;
use crate::series::template::Filling;
use crate::series::{Block, RecordId, RecordIds, Sample, Template};
use crate::store::blocks::{self, FeedKind, Header, NewBlock, OverrideKind};
use crate::store::documents::Key;
use crate::store::{Tx, keys};
use crate::vault::{Place, ShelfKeys, Vault};

/// What became of one measured sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stored,
    Unchanged,
    Corrected,
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
    existing: Existing<'a>,
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
        let existing = Existing::of(tx, owner.vault, owner.shelf, Arc::clone(&keys))?;
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
        let key = id_of(of).map(|id| (of.metric().to_owned(), id.to_owned()));
        let by_id = key.and_then(|key| self.by_id(&key, known));
        let found = match (&of.record, by_id) {
            (Some(_), by_id) => by_id,
            // Half a panel without a parent's id: itself first, then the panel that lacks it.
            (None, by_id) => match self.by_moment(tx, &draft)? {
                Some((Fit::Itself, found)) => Some(found),
                other => by_id.or(other.map(|(_, found)| found)),
            },
        };
        match found {
            None => self.new_row(tx, draft),
            Some(Found::InSlice(row)) => self.again(tx, draft, row),
            Some(Found::Stored(stored)) => self.known(tx, draft, stored),
        }
    }

    /// The row of a record; of a parent that is not known, the row of a half that came before without it.
    fn by_id(&self, key: &RecordKey, known: &HashMap<RecordKey, Stored>) -> Option<Found> {
        let find = |key: &RecordKey| match self.by_record.get(key) {
            Some(row) => Some(Found::InSlice(*row)),
            None => known.get(key).cloned().map(Found::Stored),
        };
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

    /// The row of a draft that no record identifies. Of several that lack its half the first made is completed.
    fn by_moment(&mut self, tx: &mut Tx<'_>, draft: &Draft<'_>) -> Result<Option<(Fit, Found)>> {
        let place = (draft.series, draft.of.start.ms);
        let stored = self.existing.at(tx, place.0, place.1)?;
        let rows = self.by_place.get(&place).map(Vec::as_slice).unwrap_or_default();
        // What this slice has changed is no longer as it is stored.
        let as_stored = |stored: &Stored| rows.iter().all(|row| self.rows[*row].sample.disc != stored.sample.disc);
        let in_slice = rows.iter().filter_map(|row| {
            let Row { sample, record_ids, .. } = &self.rows[*row];
            Some(((fit(sample, record_ids, draft)?, sample.disc), Found::InSlice(*row)))
        });
        let stored = stored.into_iter().filter(as_stored).filter_map(|stored| {
            let fit = fit(&stored.sample, &stored.record_ids, draft)?;
            Some(((fit, stored.sample.disc), Found::Stored(stored)))
        });
        Ok(in_slice.chain(stored).min_by_key(|(order, _)| *order).map(|((fit, _), found)| (fit, found)))
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
            let address = Address { shelf: self.owner.shelf, series: draft.series, start, disc };
            self.replace(tx, &mut draft, (address, 1), Held::default())?;
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
        // What this very transaction has stored is no newer than what it stores now.
        if self.as_of.is_some_and(|as_of| stored.committed_at > as_of && stored.committed_at != tx.committed_at()) {
            return Ok(Fate::Unchanged);
        }
        let before = stored.sample;
        let address = Address { shelf: self.owner.shelf, series: before.series, start: before.start.ms, disc: before.disc };
        let hidden = self.existing.overrides.contains(&(before.series, before.start.ms, before.disc));
        let template_before = self.templates.opened(tx, (before.series, before.template))?;
        draft.joins(&template_before);
        if hidden || before.series != draft.series || before.start.ms != draft.of.start.ms || !draft.wide.is_empty() {
            let parent = draft.of.record.clone().filter(|_| draft.brings_parent(&stored.record_ids));
            let held = (before.slots.iter().map(|slot| slot.map(Number::Fits)).collect(), stored.record_ids.clone());
            let fate = self.replace(tx, &mut draft, (address, before.version + 1), held)?;
            if let Some(parent) = parent.filter(|_| fate == Fate::Corrected) {
                // Documents are not found by record: the row that stands behind this one must know the parent, too.
                self.moved.insert((draft.of.metric().to_owned(), parent.clone()));
                let record_ids = [vec![parent], stored.record_ids].concat();
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

    /// The Observation keeps its id and becomes a document. `held`: what it has while there is no document.
    fn replace(&mut self, tx: &mut Tx<'_>, draft: &mut Draft<'_>, at: (Address, u32), held: Held) -> Result<Fate> {
        let (address, version) = at;
        let vault = self.existing.vault();
        let key = Key { shelf: address.shelf, resource: Type::Observation, id: vault.sample_id(address) };
        let document = current(tx, vault, &key)?;
        let document = document.map(|(version, json)| Ok((version, serde_json::from_str::<Value>(&json).map_err(Error::bug)?)));
        let document = document.transpose()?;
        draft.keeps(document.as_ref().map_or(held, |(_, document)| held_by(document)));
        let draft = &*draft;
        let (_, template) = self.templates.of_draft(tx, draft, &draft.slots)?;
        let id = vault.sample_text(address);
        let record_ids: Vec<RecordId<'_>> = draft.record_ids.iter().map(|id| RecordId::Text(id.into())).collect();
        let render = |version: u32, last_updated: &str| {
            let sample = Sample {
                series: draft.series,
                disc: 0,
                version,
                template: 0,
                start: draft.of.start,
                end: draft.of.end,
                slots: draft.slots.clone(),
            };
            template.render(&Filling {
                id: &id,
                patient: &self.owner.patient.to_string(),
                last_updated,
                record_ids: &record_ids,
                sample: &sample,
                wide: &draft.wide,
            })
        };
        let mut next = version;
        if let Some((current, document)) = document {
            if self.as_of.is_some_and(|as_of| last_updated(&document) > as_of && last_updated(&document) != tx.committed_at()) {
                return Ok(Fate::Unchanged);
            }
            let again = render(current, document["meta"]["lastUpdated"].as_str().unwrap_or_default());
            if same(&document, &serde_json::from_str(&again).map_err(Error::bug)?) {
                return Ok(Fate::Unchanged);
            }
            next = current + 1;
        } else {
            blocks::override_insert(tx, address, OverrideKind::Correction)?;
            self.existing.overrides.insert((address.series, address.start, address.disc));
        }
        let json = render(next, &instant(tx.committed_at()));
        put_override(tx, vault, &Put { key, version: next, json: &json })?;
        Ok(Fate::Corrected)
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

fn last_updated(document: &Value) -> Millis {
    let text = document["meta"]["lastUpdated"].as_str().unwrap_or_default();
    Stamp::parse(text, None).map_or(Millis::MIN, |stamp| stamp.ms)
}
