//! The templates of one upload: known in this slice, known in the shelf, or new.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::devices::{self, Owner};
use super::draft::Draft;
use crate::error::Result;
use crate::fhir::decimal::Decimal;
use crate::mapping::{Mapping, Source};
use crate::series::Template;
use crate::series::template::Particulars;
use crate::store::{Tx, blocks};
use crate::vault::{Place, ShelfKeys, Vault};

/// What decides a template within one upload, without building its text. The pointers are those of the
/// upload's own mappings and sources, which live longer than this.
#[derive(PartialEq, Eq, Hash)]
struct TemplateKey {
    series: u32,
    mapping: *const Mapping,
    variant: usize,
    source: *const Source,
    system: Option<Cow<'static, str>>,
    period: bool,
    offset_unknown: bool,
    present: Vec<bool>,
}

type Devices = (Option<String>, Option<String>);

pub(super) struct Templates<'a> {
    owner: Owner<'a>,
    keys: Arc<ShelfKeys>,
    /// (series, hash of the text) -> number.
    numbers: HashMap<(u32, i64), u32>,
    opened: HashMap<(u32, u32), Arc<Template>>,
    made: HashMap<TemplateKey, (u32, Arc<Template>)>,
    devices: HashMap<*const Source, Devices>,
}

impl<'a> Templates<'a> {
    pub fn of(tx: &mut Tx<'_>, owner: Owner<'a>, keys: Arc<ShelfKeys>) -> Result<Templates<'a>> {
        let numbers = blocks::templates_all(tx, owner.shelf)?.into_iter().map(|(series, no, hash)| ((series, hash), no)).collect();
        Ok(Templates { owner, keys, numbers, opened: HashMap::new(), made: HashMap::new(), devices: HashMap::new() })
    }

    /// The template of a draft whose components have these numbers.
    pub fn of_draft(&mut self, tx: &mut Tx<'_>, draft: &Draft<'_>, slots: &[Option<Decimal>]) -> Result<(u32, Arc<Template>)> {
        let of = draft.of;
        let present = |(slot, number): (usize, &Option<Decimal>)| number.is_some() || draft.wide.iter().any(|(wide, _)| *wide == slot);
        let key = TemplateKey {
            series: draft.series,
            mapping: Arc::as_ptr(&of.mapping),
            variant: of.variant,
            source: Arc::as_ptr(&of.source),
            system: draft.system.clone(),
            period: of.end.is_some(),
            offset_unknown: of.start.offset.is_none(),
            present: slots.iter().enumerate().map(present).collect(),
        };
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let (device, gateway) = self.devices(tx, &of.source)?;
        let particulars = Particulars {
            device,
            gateway,
            identifier_system: key.system.clone().map(Cow::into_owned),
            period: key.period,
            offset_unknown: key.offset_unknown,
            present: key.present.clone(),
        };
        let text = Template::text(of.shape(), &particulars);
        let no = self.number(tx, draft.series, &text)?;
        let made = (no, Arc::new(Template::read(text)?));
        self.made.insert(key, made.clone());
        Ok(made)
    }

    fn devices(&mut self, tx: &mut Tx<'_>, source: &Arc<Source>) -> Result<Devices> {
        let key = Arc::as_ptr(source);
        if let Some(known) = self.devices.get(&key) {
            return Ok(known.clone());
        }
        let made = devices::of_source(tx, self.owner, source)?;
        self.devices.insert(key, made.clone());
        Ok(made)
    }

    /// The number of this text in its series; a new text is sealed and kept.
    fn number(&mut self, tx: &mut Tx<'_>, series: u32, text: &str) -> Result<u32> {
        let hash = self.keys.index.hash("template", &[text.as_bytes()]);
        if let Some(no) = self.numbers.get(&(series, hash)) {
            return Ok(*no);
        }
        let no = self.numbers.keys().filter(|(of, _)| *of == series).count() as u32;
        let place = Place { kind: "template", shelf: self.owner.shelf, id: &blocks::template_id(series, no), version: 1 };
        let sealed = self.keys.body.seal_packed(self.owner.vault.chance, place, text.as_bytes())?;
        blocks::template_insert(tx, self.owner.shelf, (series, no), hash, &sealed)?;
        self.numbers.insert((series, hash), no);
        Ok(no)
    }

    /// A stored template of the shelf.
    pub fn opened(&mut self, tx: &mut Tx<'_>, at: (u32, u32)) -> Result<Arc<Template>> {
        if let Some(template) = self.opened.get(&at) {
            return Ok(Arc::clone(template));
        }
        let template = blocks::template_open(tx, &self.keys, (self.owner.shelf, at.0, at.1))?;
        self.opened.insert(at, Arc::clone(&template));
        Ok(template)
    }
}

/// The bits of the codes and categories of a block's rows.
pub(super) fn bloom<'t>(vault: &Vault, rows: impl Iterator<Item = &'t Template>) -> u64 {
    let (mut bloom, mut seen) = (0, Vec::new());
    for template in rows {
        if !seen.contains(&std::ptr::from_ref(template)) {
            seen.push(std::ptr::from_ref(template));
            let facts = &template.facts;
            bloom |= facts.codes.iter().fold(0, |bits, (system, code)| bits | blocks::bloom(vault, "code", system, code));
            bloom |= facts.categories.iter().fold(0, |bits, (system, code)| bits | blocks::bloom(vault, "category", system, code));
        }
    }
    bloom
}
