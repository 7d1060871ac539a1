//! The predicate: whose data, which of it, and what of it is withheld.

use std::sync::Arc;

use crate::access::Whom;
use crate::id::PatientId;
use crate::search::{Filter, Opened, Type};

/// The resources of one type that a caller may have by one interaction. Every alias of every query in `store` carries it,
/// and every resource that is opened is judged by it.
#[derive(Clone, Debug)]
pub struct Visible {
    of: Type,
    whom: Whom,
    /// All of them must be met; none is no limit.
    limits: Vec<Arc<Limit>>,
    /// None of them may apply.
    withheld: Vec<Arc<Withheld>>,
}

/// What a set of scopes limits a type to: any of these lists, of which all filters must hold.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(super) any: Vec<Vec<Filter>>,
    /// The scopes, as the token has them.
    pub(super) said: String,
}

/// Resources that are kept from the caller: those of these patients, in order (None: of all, and of nobody), that meet all
/// filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    pub patients: Option<Arc<[PatientId]>>,
    pub filters: Vec<Filter>,
}

/// That a resource was judged and may be shown. Only a `Visible` makes one, and what is answered cannot be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(());

/// What holds of all resources that share some values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certain {
    Shown(Seen),
    Hidden,
    /// Each is to be judged by its own values.
    Open,
}

impl Visible {
    /// With the eyes of the server itself: to find out whether something is there at all, never to show it.
    pub fn everything(of: Type) -> Visible {
        Visible { of, whom: Whom::Everybody, limits: Vec::new(), withheld: Vec::new() }
    }

    /// With the eyes of the server itself: what one patient has.
    pub fn of_patient(of: Type, patient: PatientId) -> Visible {
        Visible { whom: Whom::Patients(Arc::from([patient])), ..Visible::everything(of) }
    }

    pub(super) fn compiled(of: Type, whom: Whom, limits: Vec<Arc<Limit>>, withheld: Vec<Arc<Withheld>>) -> Visible {
        Visible { of, whom, limits, withheld }
    }

    /// What both let through, of one caller and one type.
    pub fn narrowed(mut self, by: Visible) -> Visible {
        let new = by.limits.into_iter().filter(|limit| !self.limits.iter().any(|own| Arc::ptr_eq(own, limit)));
        self.limits.extend(new.collect::<Vec<_>>());
        let new = by.withheld.into_iter().filter(|withheld| !self.withheld.contains(withheld));
        self.withheld.extend(new.collect::<Vec<_>>());
        self.whom = match (self.whom, by.whom) {
            (Whom::Everybody, whom) | (whom, Whom::Everybody) => whom,
            (Whom::Patients(own), Whom::Patients(others)) if own == others => Whom::Patients(own),
            (Whom::Patients(own), Whom::Patients(others)) => own.iter().filter(|patient| others.contains(patient)).copied().collect(),
        };
        self
    }

    /// Whose rows of this type there are to be seen; None is everybody's.
    pub fn patients(&self) -> Option<&[PatientId]> {
        if self.of.is_shared() { None } else { self.rule() }
    }

    /// Whose data the caller may have at all, whatever the type; None is everybody's.
    pub fn rule(&self) -> Option<&[PatientId]> {
        match &self.whom {
            Whom::Everybody => None,
            Whom::Patients(patients) => Some(patients),
        }
    }

    /// Is nothing of the type hidden?
    pub fn is_everything(&self) -> bool {
        self.rule().is_none() && !self.by_content()
    }

    /// Does it depend on what a resource says whether it is visible?
    pub fn by_content(&self) -> bool {
        !self.limits.is_empty() || !self.withheld.is_empty()
    }

    /// Must it be known whose a resource is, to judge its content?
    pub fn asks_whose(&self) -> bool {
        self.withheld.iter().any(|withheld| withheld.patients.is_some())
    }

    /// Does the patient rule let it through? What is nobody's is seen by those who see all, and by everybody when its type
    /// is shared.
    pub fn reaches(&self, patient: Option<PatientId>) -> bool {
        self.ruled(patient, self.of.is_shared())
    }

    /// The same to write: what is shared is read by many and written by those who see all.
    pub fn owns(&self, patient: Option<PatientId>) -> bool {
        self.ruled(patient, false)
    }

    fn ruled(&self, patient: Option<PatientId>, shared: bool) -> bool {
        self.rule().is_none_or(|patients| patient.map_or(shared, |patient| patients.contains(&patient)))
    }

    /// The whole judgement. `whose` is the patient on whose shelf it stands.
    pub fn judge(&self, whose: Option<PatientId>, opened: &Opened<'_>) -> Option<Seen> {
        if self.reaches(whose) { self.chosen(whose, opened) } else { None }
    }

    /// The judgement of what need not be opened for it; None when it must be, or is not visible.
    pub fn at_once(&self, whose: Option<PatientId>) -> Option<Seen> {
        (!self.by_content() && self.reaches(whose)).then_some(Seen(()))
    }

    /// Of a row that SQL has chosen by the patient rule: its content. `whose` counts where `asks_whose`.
    pub fn chosen(&self, whose: Option<PatientId>, opened: &Opened<'_>) -> Option<Seen> {
        let answers = |filter: &Filter| opened.answers(filter);
        let met = self.limits.iter().all(|limit| limit.any.iter().any(|all| all.iter().all(answers)));
        let kept = || self.withheld.iter().any(|withheld| withheld.of(whose) && withheld.filters.iter().all(answers));
        (met && !kept()).then_some(Seen(()))
    }

    /// Of a row that SQL has chosen, when nothing else counts.
    pub fn chosen_at_once(&self) -> Option<Seen> {
        (!self.by_content()).then_some(Seen(()))
    }

    /// What is already certain of rows that SQL has chosen and that share some values; `own` are the parameters that they do
    /// not share.
    pub fn certain(&self, shared: &Opened<'_>, own: &[&str]) -> Certain {
        let holds = |filter: &Filter| if own.contains(&filter.param) { None } else { Some(shared.answers(filter)) };
        let met = all(self.limits.iter().map(|limit| any(limit.any.iter().map(|list| all(list.iter().map(holds))))));
        let kept = any(self.withheld.iter().map(|withheld| {
            let whose = if withheld.patients.is_none() { Some(true) } else { None };
            all(std::iter::once(whose).chain(withheld.filters.iter().map(holds)))
        }));
        match all([met, kept.map(|kept| !kept)].into_iter()) {
            Some(true) => Certain::Shown(Seen(())),
            Some(false) => Certain::Hidden,
            None => Certain::Open,
        }
    }

    /// For a preselection: of each limit, any of the lists.
    pub fn limits(&self) -> impl Iterator<Item = &[Vec<Filter>]> {
        self.limits.iter().map(|limit| limit.any.as_slice())
    }

    /// For a preselection: whose resources are withheld, whatever they say. None is of all.
    pub fn withheld_whole(&self) -> impl Iterator<Item = Option<&[PatientId]>> {
        self.withheld.iter().filter(|withheld| withheld.filters.is_empty()).map(|withheld| withheld.patients.as_deref())
    }

    /// The scopes that limit it, as the token has them.
    pub fn said(&self) -> String {
        self.limits.iter().map(|limit| limit.said.as_str()).collect::<Vec<_>>().join(", and ")
    }
}

impl Withheld {
    fn of(&self, whose: Option<PatientId>) -> bool {
        self.patients.as_ref().is_none_or(|patients| whose.is_some_and(|whose| patients.binary_search(&whose).is_ok()))
    }
}

/// Whether all hold, as far as that is known.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

/// Whether any holds, as far as that is known.
fn any(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.map(|part| part.map(|holds| !holds))).map(|none| !none)
}
