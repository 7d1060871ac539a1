//! Merge of two Patients and its undoing (https://hl7.org/fhir/R5/patient-operation-merge.html). The shelves of the source
//! point to the target from then on: no row moves, and what was stored keeps its `subject`. docs/decisions/0018-merge.md.

use super::documents::instant;
use super::references;
use super::resources::{self, Writer, not_found};
use super::submitted::{self, Submitted};
use crate::access::Interaction;
use crate::error::{Error, Kind, Result};
use crate::fhir::body::Body;
use crate::fhir::patient_link::{self as link, Other};
use crate::fhir::validate::object;
use crate::id::PatientId;
use crate::policy::Visible;
use crate::search::{Criterion, Filter, IndexRow, Query, Token, Type};
use crate::store::keys::Whose;
use crate::store::listing::{self, Look};
use crate::store::merges::{self, Merge};
use crate::store::resources::{Version, version};
use crate::store::{Deadline, Tx, documents, keys};

/// A Patient as the request names it: by its id, by identifiers, or by both.
#[derive(Clone, Debug)]
pub struct Named {
    /// The parameter; that of the identifiers is the same with `-identifier`.
    pub param: &'static str,
    pub id: Option<PatientId>,
    pub identifiers: Vec<Token>,
}

impl Named {
    /// What is wrong with it, at the parameter that named it.
    fn wrong(&self, kind: Kind, says: impl Into<String>) -> Error {
        let at = if self.id.is_some() { self.param.to_owned() } else { format!("{}-identifier", self.param) };
        Error::new(kind, says).at(at)
    }
}

/// What is to be merged.
#[derive(Clone, Debug)]
pub struct Asked {
    pub source: Named,
    pub target: Named,
    /// What the target is to say afterwards.
    pub result: Option<Submitted>,
    /// Changes nothing, and answers as if it had.
    pub preview: bool,
}

/// What came of it: the ids, and the text of the target.
#[derive(Clone, Debug)]
pub struct Done {
    pub source: PatientId,
    pub target: PatientId,
    /// Into whom the target is merged itself.
    pub further: Vec<PatientId>,
    /// None where the caller may not read it.
    pub json: Option<String>,
}

/// Merges the source into the target. `base` is what our own absolute references begin with.
pub fn merge(tx: &mut Tx<'_>, writer: &Writer<'_>, base: &str, asked: &Asked) -> Result<Done> {
    turn(tx, writer)?;
    let (source, target) = (one(tx, writer, &asked.source)?, one(tx, writer, &asked.target)?);
    if source == target {
        return Err(asked.target.wrong(Kind::Unprocessable, format!("source-patient and target-patient are both Patient/{source}")));
    }
    hold(tx, [source, target])?;
    let (of_source, of_target) = (standing(tx, writer, &asked.source, source)?, standing(tx, writer, &asked.target, target)?);
    let retired = edited(link::replaced(&of_source.json, Other { id: target, base })?, base)?;
    let other = Other { id: source, base };
    let text = match &asked.result {
        Some(result) => {
            let text = wanted(asked, (result, target))?;
            result.comes_from(Some(&of_target)).map_err(|e| e.at("result-patient.meta.source"))?;
            references::check(tx, writer, (Type::Patient, &target.to_string()), &result.targets)?;
            link::replacing(&text, other)?
        }
        None => link::identified(&link::replacing(&of_target.json, other)?, &of_source.json)?,
    };
    let stays = edited(text, base)?;
    if asked.preview {
        let visible = writer.policy.visible(Type::Patient, Interaction::Update)?;
        for (id, version) in [(source, &retired), (target, &stays)] {
            writer.within(&visible, Some(Whose::alone(id)), (version, &id.to_string(), tx.committed_at()))?;
        }
        let committed_at = tx.committed_at();
        let json = stays.body.text(&target.to_string(), of_target.version + 1, &instant(committed_at));
        let json = writer.readable(tx, (Type::Patient, of_target.patient), (json, committed_at))?;
        return Ok(Done { source, target, further: Vec::new(), json });
    }
    resources::update(tx, writer, &retired, (&source.to_string(), None))?;
    let written = resources::update(tx, writer, &stays, (&target.to_string(), None))?;
    let family = merges::family(tx, source)?;
    merges::insert(tx, &Merge { source, target, before: (of_source.version, of_target.version) })?;
    merges::point(tx, &family, target)?;
    Ok(Done { source, target, further: Vec::new(), json: written.json })
}

/// Takes a merge back: the source has its shelves again, also those that had come to it by merges before.
pub fn unmerge(tx: &mut Tx<'_>, writer: &Writer<'_>, base: &str, who: (PatientId, PatientId)) -> Result<Done> {
    let (target, source) = who;
    turn(tx, writer)?;
    hold(tx, [source, target])?;
    let of_target = at(tx, writer, target)?.filter(|found| !found.deleted);
    let of_target = of_target.ok_or_else(|| not_found((Type::Patient, &target.to_string())))?;
    let Some(merge) = merges::of(tx, source)?.filter(|merge| merge.target == target) else {
        let says = format!("Patient/{source} is not merged into Patient/{target}");
        return Err(Error::new(Kind::Unprocessable, says).at("source-patient"));
    };
    let gone = || Error::bug("a version of a merged Patient is missing");
    let of_source = at(tx, writer, source)?.ok_or_else(|| not_found((Type::Patient, &source.to_string())))?;
    let before = (was(tx, writer, source, merge.before.0)?, was(tx, writer, target, merge.before.1)?);
    let before = (before.0.ok_or_else(gone)?, before.1.ok_or_else(gone)?);
    let restored = edited(link::restored(&of_source.json, &before.0.json, Other { id: target, base })?, base)?;
    let other = Other { id: source, base };
    let parted = link::parted(&of_target.json, (&before.1.json, &before.0.json), other)?;
    let family = merges::family(tx, source)?;
    merges::delete(tx, source)?;
    merges::point(tx, &family, source)?;
    // The source last: its identifiers lead to one Patient again.
    let written = resources::update(tx, writer, &edited(parted, base)?, (&target.to_string(), None))?;
    let further = further(tx, writer, target, (&before.0.json, other))?;
    resources::update(tx, writer, &restored, (&source.to_string(), None))?;
    Ok(Done { source, target, further, json: written.json })
}

/// A target that is merged itself has passed the identifiers on; they leave those who have them, too.
fn further(tx: &mut Tx<'_>, writer: &Writer<'_>, target: PatientId, from: (&str, Other<'_>)) -> Result<Vec<PatientId>> {
    let ((source, other), mut all, mut last) = (from, Vec::new(), target);
    while let Some(merge) = merges::of(tx, last)? {
        last = merge.target;
        let gone = || Error::bug("a version of a merged Patient is missing");
        let hidden = || {
            let says = format!("Patient/{target} is merged into another itself, which the token may not change");
            Error::new(Kind::Forbidden, says)
        };
        let now = at(tx, writer, last)?.ok_or_else(hidden)?;
        let before = was(tx, writer, last, merge.before.1)?.ok_or_else(gone)?;
        let parted = link::parted(&now.json, (&before.json, source), other)?;
        resources::update(tx, writer, &edited(parted, other.base)?, (&last.to_string(), None))?;
        all.push(last);
    }
    Ok(all)
}

/// Refuses what would make a merged Patient look as if it were not.
pub fn stays(submitted: &Submitted, id: &str) -> Result<()> {
    if link::is_retired(&submitted.body.text(id, 1, ""))? {
        return Ok(());
    }
    let says = "a Patient that was merged keeps active=false and its link replaced-by; take the merge back by $unmerge";
    Err(Error::new(Kind::Unprocessable, says).at("Patient.link"))
}

/// Merges take turns, for each may change what another has asked.
fn turn(tx: &mut Tx<'_>, writer: &Writer<'_>) -> Result<()> {
    documents::hold_criteria(tx, writer.vault.index().hash("merge", &[]))
}

/// Holds both Patients and their shelves until the transaction ends, in the order of all who hold two.
fn hold(tx: &mut Tx<'_>, mut both: [PatientId; 2]) -> Result<()> {
    both.sort_unstable();
    let mut shelves = Vec::new();
    for patient in both {
        documents::directory_hold(tx, Type::Patient, &patient.0, true)?;
        shelves.extend(documents::directory_find(tx, Type::Patient, &patient.0)?);
    }
    shelves.sort_unstable();
    shelves.into_iter().try_for_each(|shelf| keys::shelf_lock(tx, shelf).map(|_| ()))
}

/// The one Patient that is named.
fn one(tx: &mut Tx<'_>, writer: &Writer<'_>, named: &Named) -> Result<PatientId> {
    let found = if named.identifiers.is_empty() { None } else { Some(identified(tx, writer, named)?) };
    match (named.id, found) {
        (Some(id), Some(found)) if id != found => {
            let says = format!("{}-identifier leads to another Patient than {}", named.param, named.param);
            Err(Error::new(Kind::Unprocessable, says).at(format!("{}-identifier", named.param)))
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(Error::bug("a Patient to merge is not named")),
    }
}

/// All identifiers together must lead to one Patient.
fn identified(tx: &mut Tx<'_>, writer: &Writer<'_>, named: &Named) -> Result<PatientId> {
    let mut query = Query { count: 2, ..Query::new(Type::Patient) };
    query.filters = named.identifiers.iter().map(|token| Filter::any("identifier", vec![Criterion::Token(token.clone())])).collect();
    let visible = &writer.policy.both(Type::Patient, (Interaction::Update, Interaction::Search))?;
    let look = Look { query: &query, visible, vault: writer.vault, base: "", after: None, horizon: i64::MAX };
    let _end = Deadline::after(writer.limit);
    let page = listing::page(tx, &look)?;
    let refused = |kind, says: &str| Err(Error::new(kind, says).at(format!("{}-identifier", named.param)));
    match page.items.as_slice() {
        [] => refused(Kind::ReferenceUnknown, "no Patient has these identifiers"),
        [one] => PatientId::parse(object(page.json(one)).as_ref().and_then(|found| found.text("id")).unwrap_or_default()),
        _ => refused(Kind::Unprocessable, "more than one Patient has these identifiers"),
    }
}

fn at(tx: &mut Tx<'_>, writer: &Writer<'_>, patient: PatientId) -> Result<Option<Version>> {
    let visible = writer.policy.visible(Type::Patient, Interaction::Update)?;
    version(tx, writer.reader(&visible), (Type::Patient, &patient.to_string(), None))
}

/// A version before the merge, which is not shown: what it says comes back, and is judged as what is written.
fn was(tx: &mut Tx<'_>, writer: &Writer<'_>, patient: PatientId, which: u32) -> Result<Option<Version>> {
    let all = Visible::everything(Type::Patient);
    version(tx, writer.reader(&all), (Type::Patient, &patient.to_string(), Some(which)))
}

/// A Patient that can take part: it is there, and was not merged into another.
fn standing(tx: &mut Tx<'_>, writer: &Writer<'_>, named: &Named, patient: PatientId) -> Result<Version> {
    let Some(found) = at(tx, writer, patient)? else {
        return Err(named.wrong(Kind::ReferenceUnknown, format!("there is no Patient/{patient}")));
    };
    if found.deleted {
        return Err(named.wrong(Kind::ReferenceUnknown, format!("Patient/{patient} was deleted")));
    }
    if let Some(merge) = merges::of(tx, patient)? {
        let says = match at(tx, writer, merge.target)? {
            Some(_) => format!("Patient/{patient} is merged into Patient/{}; name that", merge.target),
            None => format!("Patient/{patient} is merged into another"),
        };
        return Err(named.wrong(Kind::Unprocessable, says));
    }
    if link::is_replaced(&found.json)? {
        return Err(named.wrong(Kind::Unprocessable, format!("Patient/{patient} has a link replaced-by; use the Patient that it names")));
    }
    Ok(found)
}

/// The text of `result-patient`, when it may be what the target says afterwards.
fn wanted(asked: &Asked, result: (&Submitted, PatientId)) -> Result<String> {
    let (result, target) = result;
    let refused = |says: String| Err(Error::new(Kind::Unprocessable, says).at("result-patient"));
    let id = target.to_string();
    if result.id.as_deref() != Some(&id) {
        return refused(format!("result-patient must have the id of the target, {id}"));
    }
    let lacks = |token: &Token| {
        let known =
            |row: &IndexRow| matches!(row, IndexRow::Token { param: "identifier", system, code } if token.matches(system.as_deref(), code));
        !result.rows.iter().any(known)
    };
    if asked.target.identifiers.iter().any(lacks) {
        return refused("result-patient must have the identifiers of target-patient-identifier".into());
    }
    let text = result.body.text(&id, 1, "");
    if link::is_replaced(&text)? {
        return refused("result-patient has a link replaced-by, but is the Patient that stays".into());
    }
    Ok(text)
}

/// A new version of ours.
fn edited(text: String, base: &str) -> Result<Submitted> {
    let document = object(&text).ok_or_else(|| Error::bug("a Patient is not JSON"))?;
    let rows = submitted::rows(Type::Patient, &document, base);
    Ok(Submitted { of: Type::Patient, id: None, body: Body::of(&text), rows, targets: Vec::new(), source: None })
}
