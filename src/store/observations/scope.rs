//! Which shelves a search of Observations may touch.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::id::{PatientId, Shelf};
use crate::policy::Visible;
use crate::search::Criterion;
use crate::store::keys::Whose;
use crate::store::listing::Look;
use crate::store::{Tx, keys};

/// Which shelves a search may touch: `None` is every shelf, for callers who may see all.
pub struct Scope {
    pub shelves: Option<Vec<Shelf>>,
    /// Whose they are, where that is known already.
    pub owners: HashMap<Shelf, Whose>,
}

impl Scope {
    /// The patient rule alone.
    pub fn of_visible(tx: &mut Tx<'_>, visible: &Visible) -> Result<Scope> {
        let Some(patients) = visible.rule() else { return Ok(Scope { shelves: None, owners: HashMap::new() }) };
        let owners = shelves(tx, patients)?;
        Ok(Scope { shelves: Some(owners.keys().copied().collect()), owners })
    }

    /// The access predicate and the patient filters together. A patient is the person: whoever is merged with it, too.
    pub fn of(tx: &mut Tx<'_>, look: &Look<'_>) -> Result<Scope> {
        let mut owners: Option<HashMap<Shelf, Whose>> = None;
        let mut named = HashSet::new();
        for filter in look.query.filters_on("patient").chain(look.query.filters_on("subject")) {
            if filter.any.iter().any(|criterion| matches!(criterion, Criterion::Missing(_))) {
                continue;
            }
            let ids: HashSet<PatientId> = filter.any.iter().filter_map(patient).collect();
            // Said twice, it is asked once.
            if owners.is_some() && ids == named {
                continue;
            }
            let theirs = shelves(tx, &ids)?;
            owners = Some(match owners {
                None => theirs,
                Some(owners) => owners.into_iter().filter(|(shelf, _)| theirs.contains_key(shelf)).collect(),
            });
            named = ids;
        }
        let owners = match (look.visible.rule(), owners) {
            (None, None) => return Ok(Scope { shelves: None, owners: HashMap::new() }),
            (None, Some(owners)) => owners,
            (Some(patients), None) => shelves(tx, patients)?,
            (Some(patients), Some(mut owners)) => {
                owners.retain(|_, whose| patients.contains(&whose.now));
                owners
            }
        };
        Ok(Scope { shelves: Some(owners.keys().copied().collect()), owners })
    }
}

/// The Patient that a criterion names.
fn patient(criterion: &Criterion) -> Option<PatientId> {
    match criterion {
        Criterion::Reference(reference) => reference.patient(),
        _ => None,
    }
}

fn shelves<'p>(tx: &mut Tx<'_>, patients: impl IntoIterator<Item = &'p PatientId>) -> Result<HashMap<Shelf, Whose>> {
    let patients: Vec<PatientId> = patients.into_iter().copied().collect();
    let all = match patients.as_slice() {
        // Prepared once for all who ask of one person.
        [one] => keys::person(tx, *one)?,
        many => keys::persons(tx, many)?,
    };
    Ok(all.into_iter().collect())
}
