//! transaction (https://hl7.org/fhir/R4/http.html#trules): every entry of a Bundle in one `Tx`, or none of them.
//!
//! What is deleted goes first. Then it is looked up which entries mean resources that are there, and the others get ids,
//! so that every link can be written as it will be kept. Patients are written before what is about them, and what has
//! conditional references after others, for those may mean what the transaction itself has made. Whether all references hold is judged at the end.

use std::borrow::Cow;
use std::collections::HashSet;

use super::conditional::{self, Criteria};
use super::creates::Creates;
use super::patch::{Patch, patched};
use super::references;
use super::resources::{self, Effect, IfMatch, Writer, Written};
use super::submitted::{Submitted, Target, refused};
use crate::access::Interaction;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::interaction::{self, Links, overlap};
use crate::fhir::validate::{object, quoted};
use crate::id::DocumentId;
use crate::search::{self, Type};
use crate::store::Tx;
use crate::store::resources::{Version, version};

/// One entry, and all that is known of it before the transaction begins.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which of the Bundle's it is.
    pub index: usize,
    pub full_url: Option<String>,
    pub of: Type,
    /// The resource that is meant, when the URL names it.
    pub id: Option<String>,
    /// The id that a create without criteria gives: links to it are written before the transaction begins.
    pub new_id: Option<DocumentId>,
    /// What it is found by, when the URL or `ifNoneExist` says so.
    pub criteria: Option<Criteria>,
    pub if_match: Option<IfMatch>,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    Delete,
    Create(Content),
    Update(Content),
    Patch(Patch),
    /// Answered after the commit; what is not there makes all of it fail.
    Read(Option<u32>),
    /// Answered after the commit.
    Other,
}

/// A resource of the Bundle.
#[derive(Clone, Debug)]
pub enum Content {
    /// Its links to other entries are written as they will be kept.
    Ready(Box<Submitted>),
    /// What its links lead to is known within the transaction: its text, and the searches that its references name.
    Linked(String, Vec<Criteria>),
}

/// Does every step. `steps` are in the order of R4; the answers are, too: nothing for what is read.
pub fn run(tx: &mut Tx<'_>, writer: &Writer<'_>, steps: &[Step]) -> Result<Vec<Option<Written>>> {
    let mut run = Run { writer, links: Links::default(), ids: vec![None; steps.len()], done: vec![None; steps.len()], targets: Vec::new() };
    let before = run.before(tx, steps)?;
    for (n, step) in steps.iter().enumerate().filter(|(_, step)| matches!(step.act, Act::Delete)) {
        run.delete(tx, n, step).map_err(|e| placed(e, step))?;
    }
    run.apart(steps, before)?;
    for (n, step) in steps.iter().enumerate() {
        run.identify(tx, n, step).map_err(|e| placed(e, step))?;
    }
    run.disjoint(steps)?;
    let mut order: Vec<(usize, &Step)> = steps.iter().enumerate().collect();
    order.sort_by_key(|(_, step)| step.turn());
    let mut creates = Creates::new(writer);
    for (n, step) in order {
        match run.plain(n, step) {
            Some((submitted, id)) => {
                run.targets.push((n, submitted.targets.clone()));
                creates.add(tx, n, submitted, &id).map_err(|e| placed(e, step))?;
            }
            None => {
                // What waits goes first, for this may mean it, and a history tells the order.
                if matches!(step.act, Act::Create(_) | Act::Update(_) | Act::Patch(_)) {
                    run.made(creates.write(tx)?);
                }
                run.write(tx, n, step).map_err(|e| placed(e, step))?;
            }
        }
    }
    run.made(creates.write(tx)?);
    run.judge(tx, steps)?;
    Ok(run.done)
}

impl Step {
    /// What is about a Patient belongs to that Patient's data, and a Binary to what its securityContext names: those must
    /// be there by then. Within this, what may mean what others make comes last.
    fn turn(&self) -> (bool, bool, bool) {
        (self.of == Type::Binary, self.of != Type::Patient && !self.of.is_shared(), self.is_late())
    }

    /// Has it references that may mean what others make?
    fn is_late(&self) -> bool {
        matches!(&self.act, Act::Create(Content::Linked(_, criteria)) | Act::Update(Content::Linked(_, criteria)) if !criteria.is_empty())
    }
}

struct Run<'a> {
    writer: &'a Writer<'a>,
    links: Links,
    /// The id of each step's resource, and whether it is there already.
    ids: Vec<Option<(String, bool)>>,
    done: Vec<Option<Written>>,
    /// What the resources that were written point to, with the places of their steps.
    targets: Vec<(usize, Vec<Target>)>,
}

impl Run<'_> {
    /// What conditional updates and patches mean before anything is deleted: afterwards they would not find it, and an
    /// update would make it anew. Of several that answer, one may be left by the deletions.
    fn before(&self, tx: &mut Tx<'_>, steps: &[Step]) -> Result<Vec<(usize, String)>> {
        let mut meant = Vec::new();
        if !steps.iter().any(|step| matches!(step.act, Act::Delete)) {
            return Ok(meant);
        }
        for step in steps {
            let (Act::Update(_) | Act::Patch(_), Some(criteria)) = (&step.act, &step.criteria) else { continue };
            match conditional::one(tx, self.writer, criteria) {
                Ok(Some(id)) => meant.push((step.index, format!("{}/{id}", step.of.name()))),
                Ok(None) => {}
                Err(e) if e.kind == Kind::ManyMatch => {}
                Err(e) => return Err(placed(e, step)),
            }
        }
        Ok(meant)
    }

    /// Nothing is deleted that another entry means to change.
    fn apart(&self, steps: &[Step], before: Vec<(usize, String)>) -> Result<()> {
        let deleted = steps.iter().zip(&self.ids).filter_map(|(step, id)| Some((step, &id.as_ref()?.0)));
        let mut changes: Vec<(usize, String)> = deleted.map(|(step, id)| (step.index, format!("{}/{id}", step.of.name()))).collect();
        changes.extend(before);
        let issues = overlap(&changes);
        if issues.is_empty() { Ok(()) } else { Err(refused(issues)) }
    }

    fn delete(&mut self, tx: &mut Tx<'_>, n: usize, step: &Step) -> Result<()> {
        let id = match (&step.id, &step.criteria) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(criteria)) => conditional::one(tx, self.writer, criteria)?,
            (None, None) => None,
        };
        self.done[n] = Some(match &id {
            Some(id) => resources::delete(tx, self.writer, (step.of, id), step.if_match.as_ref())?,
            None => resources::nothing(step.of, ""),
        });
        self.ids[n] = id.map(|id| (id, true));
        Ok(())
    }

    /// Which resource is it, and what are links to the entry from now on?
    fn identify(&mut self, tx: &mut Tx<'_>, n: usize, step: &Step) -> Result<()> {
        if matches!(step.act, Act::Delete | Act::Read(_) | Act::Other) {
            return Ok(());
        }
        let found = match (&step.id, &step.criteria) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(criteria)) => conditional::one(tx, self.writer, criteria)?,
            (None, None) => None,
        };
        let there = found.is_some();
        let id = match (found, said(step)) {
            (Some(found), _) => found,
            (None, Some(said)) if matches!(step.act, Act::Update(_)) => {
                resources::free(tx, self.writer, (step.of, &said))?;
                said
            }
            (None, _) if matches!(step.act, Act::Patch(_)) => return Err(conditional::none(step.of)),
            (None, _) => match step.new_id {
                Some(id) => id,
                None => self.writer.new_id()?,
            }
            .to_string(),
        };
        let now = if there { self.meant(tx, step, &id)? } else { None };
        if let Some(full_url) = &step.full_url {
            let kept = matches!(step.act, Act::Create(_)) && there;
            let current = now.as_ref().map_or(0, |now| now.version);
            self.links.put(full_url.clone(), format!("{}/{id}", step.of.name()), if kept { current } else { current + 1 });
        }
        self.ids[n] = Some((id, there));
        Ok(())
    }

    /// The current version of what a step means, as the step may see it.
    fn meant(&self, tx: &mut Tx<'_>, step: &Step, id: &str) -> Result<Option<Version>> {
        let visible = match (&step.act, &step.criteria) {
            (Act::Create(_), Some(criteria)) => criteria.visible.clone(),
            _ => self.writer.policy.visible(step.of, Interaction::Update)?,
        };
        version(tx, self.writer.reader(&visible), (step.of, id, None))
    }

    /// After the lookup: no resource is changed twice, and no two creates mean the same.
    fn disjoint(&self, steps: &[Step]) -> Result<()> {
        let mut changes: Vec<(usize, String)> = Vec::new();
        for (step, id) in steps.iter().zip(&self.ids) {
            match (&step.act, id, &step.criteria) {
                (Act::Create(_), Some((_, true)), _) | (Act::Read(_) | Act::Other, _, _) | (_, None, _) => {}
                (Act::Create(_) | Act::Update(_), Some((id, false)), Some(criteria)) => {
                    changes.push((step.index, format!("{}/{id}", step.of.name())));
                    changes.push((step.index, format!("{}?{}", step.of.name(), search::criteria(&criteria.query))));
                }
                (_, Some((id, _)), _) => changes.push((step.index, format!("{}/{id}", step.of.name()))),
            }
        }
        let issues = overlap(&changes);
        if issues.is_empty() { Ok(()) } else { Err(refused(issues)) }
    }

    /// The resource and id of a create that can be written with others.
    fn plain<'s>(&self, n: usize, step: &'s Step) -> Option<(&'s Submitted, String)> {
        let Act::Create(Content::Ready(submitted)) = &step.act else { return None };
        let (id, there) = self.ids[n].clone()?;
        (!there && ![Type::Patient, Type::Binary].contains(&step.of)).then_some((&**submitted, id))
    }

    fn made(&mut self, all: Vec<(usize, Written)>) {
        for (n, written) in all {
            self.done[n] = Some(written);
        }
    }

    fn write(&mut self, tx: &mut Tx<'_>, n: usize, step: &Step) -> Result<()> {
        let Some((id, there)) = self.ids[n].clone() else { return Ok(()) };
        let submitted = match &step.act {
            Act::Create(_) if there => {
                let criteria = step.criteria.as_ref().ok_or_else(|| Error::bug("a create found what it did not look for"))?;
                self.done[n] = Some(conditional::existing(tx, self.writer, &criteria.visible, (step.of, &id))?);
                return Ok(());
            }
            Act::Create(content) | Act::Update(content) => self.content(tx, step, content)?,
            Act::Patch(patch) => Cow::Owned(patched(tx, self.writer, (step.of, &id), patch)?),
            Act::Delete | Act::Read(_) | Act::Other => return Ok(()),
        };
        if let (Act::Update(_), Some(said)) = (&step.act, &submitted.id)
            && *said != id
        {
            let says = "the resource has another id than the one that is meant";
            return Err(Error::new(Kind::Invalid, says).at(format!("{}.id", step.of.name())));
        }
        self.targets.push((n, submitted.targets.clone()));
        self.done[n] = Some(match step.act {
            Act::Create(_) => resources::create(tx, self.writer, &submitted, DocumentId::parse(&id)?)?,
            // Nothing answered the criteria, and the id is one of ours.
            Act::Update(_) if !there && submitted.id.is_none() => resources::made(tx, self.writer, &submitted, &id)?,
            _ => resources::update(tx, self.writer, &submitted, (&id, step.if_match.as_ref()))?,
        });
        Ok(())
    }

    /// The resource with its links as they will be kept.
    fn content<'c>(&self, tx: &mut Tx<'_>, step: &Step, content: &'c Content) -> Result<Cow<'c, Submitted>> {
        let (text, searches) = match content {
            Content::Ready(submitted) => return Ok(Cow::Borrowed(&**submitted)),
            Content::Linked(text, searches) => (text, searches),
        };
        let (mut links, mut missing) = (self.links.clone(), Vec::new());
        for criteria in searches {
            let of = criteria.query.resource.name();
            let Some(id) = conditional::one(tx, self.writer, criteria).map_err(|e| e.at(criteria.at.clone()))? else {
                let says = format!("no {of} answers {}; entries that point to each other do so by their fullUrl", quoted(&criteria.said));
                missing.push(Issue::new(says, Some(criteria.at.clone())));
                continue;
            };
            links.put(criteria.said.clone(), format!("{of}/{id}"), 1);
        }
        if !missing.is_empty() {
            return Err(Error { issues: missing, ..Error::new(Kind::ReferenceUnknown, "") });
        }
        let tree = object(text).ok_or_else(|| Error::bug("a resource that was judged is not JSON"))?;
        let text = interaction::rewrite(&tree, &|link| links.resolve(step.full_url.as_deref(), link));
        self.writer.judge(step.of, text.as_bytes()).map(Cow::Owned)
    }

    /// What is read must be there, as the other entries leave it.
    fn read(&self, tx: &mut Tx<'_>, step: &Step) -> Result<()> {
        let (Act::Read(which), Some(id)) = (&step.act, &step.id) else { return Ok(()) };
        let visible = self.writer.policy.visible(step.of, Interaction::Read)?;
        match version(tx, self.writer.reader(&visible), (step.of, id, *which))? {
            Some(read) if !read.deleted => Ok(()),
            Some(_) => Err(resources::gone((step.of, id))),
            None => Err(resources::not_found((step.of, id))),
        }
    }

    /// With everything written: what is pointed to is there, what points is let go, and what is read is there.
    fn judge(&self, tx: &mut Tx<'_>, steps: &[Step]) -> Result<()> {
        for step in steps {
            self.read(tx, step).map_err(|e| placed(e, step))?;
        }
        let mut there: HashSet<(String, String)> = self.done.iter().flatten().filter_map(stays).collect();
        if self.writer.strict {
            let asked = self.targets.iter().flat_map(|(_, targets)| targets);
            let asked = asked.filter(|target| !there.contains(&(target.kind.clone(), target.id.clone())));
            let present = references::present(tx, self.writer, asked)?;
            there.extend(present);
        }
        let deleted = self.done.iter().flatten().filter(|done| done.effect == Effect::Deleted);
        let deleted: HashSet<(String, String)> = deleted.map(|done| (done.of.name().to_owned(), done.id.clone())).collect();
        for (n, targets) in &self.targets {
            let step = &steps[*n];
            let own = self.ids[*n].as_ref().map_or("", |(id, _)| id.as_str());
            let known = |target: &Target| target.version.is_none() && there.contains(&(target.kind.clone(), target.id.clone()));
            let targets: Vec<Target> = targets.iter().filter(|target| !known(target)).cloned().collect();
            let before = (self.done[*n].as_ref().map_or(0, before), &deleted);
            let stay = references::check_written(tx, self.writer, (step.of, own), &targets, before).map_err(|e| placed(e, step))?;
            // What may stay in one resource is for others not there.
            there.extend(targets.into_iter().map(|target| (target.kind, target.id)).filter(|name| !stay.contains(name)));
        }
        for (step, done) in steps.iter().zip(&self.done) {
            if let Some(done) = done.as_ref().filter(|done| done.effect == Effect::Deleted) {
                references::released(tx, self.writer, (step.of, &done.id), done.patient).map_err(|e| placed(e, step))?;
            }
        }
        Ok(())
    }
}

/// What a step wrote, if it is there now.
fn stays(written: &Written) -> Option<(String, String)> {
    let there = !matches!(written.effect, Effect::Deleted | Effect::Nothing);
    there.then(|| (written.of.name().to_owned(), written.id.clone()))
}

/// The version that was there before a step.
fn before(written: &Written) -> u32 {
    if written.effect == Effect::Unchanged { written.version } else { written.version.saturating_sub(1) }
}

/// The id that the resource of an update says.
fn said(step: &Step) -> Option<String> {
    match &step.act {
        Act::Update(Content::Ready(submitted)) => submitted.id.clone(),
        Act::Update(Content::Linked(text, _)) => object(text).and_then(|tree| tree.text("id").map(str::to_owned)),
        _ => None,
    }
}

/// The error with its element as the Bundle has it.
fn placed(mut error: Error, step: &Step) -> Error {
    error.issues = error.issues.into_iter().map(|issue| Issue { at: Some(place(issue.at.as_deref(), step)), ..issue }).collect();
    error
}

fn place(at: Option<&str>, step: &Step) -> String {
    let entry = format!("Bundle.entry[{}]", step.index);
    match at.and_then(|at| at.strip_prefix(step.of.name())) {
        Some(rest) => format!("{entry}.resource{rest}"),
        None => at.filter(|at| at.starts_with("Bundle.")).map_or(entry, str::to_owned),
    }
}
