//! The predicate: whose data, which of it, and what of it is withheld.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Policy;
use crate::access::Whom;
use crate::id::PatientId;
use crate::search::{CODED, Filter, Opened, Type};

/// The resources of one type that a caller may have by one interaction. Every alias of every query in `store` carries it,
/// and every resource that is opened is judged by it.
#[derive(Clone, Debug)]
pub struct Visible {
    of: Type,
    whom: Whom,
    /// All of them must be met; none is no limit.
    limits: Vec<Arc<Limit>>,
    /// None of them may apply.
    withheld: Vec<Kept>,
    /// Of a Binary, which says nothing itself: with whose eyes the resources are looked at that stand for it.
    behind: Option<Arc<Policy>>,
    /// How many Binaries led here, each standing for the one before.
    depth: u8,
}

/// What a set of scopes limits a type to: any of these lists, of which all filters must hold.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(super) any: Vec<Vec<Filter>>,
    /// The scopes, as the token has them.
    pub(super) said: String,
}

/// All that consents keep from a caller of one type: of which patients, and alternatives of filters that must all hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    rules: Vec<Vec<Filter>>,
    /// By their places.
    of: HashMap<PatientId, Vec<u32>>,
    /// Those of whom everything is withheld, in order.
    whole: Vec<PatientId>,
    /// Does any ask for a coding?
    coded: bool,
}

/// What is withheld, but not of those whom an emergency opens.
#[derive(Clone, Debug)]
struct Kept {
    by: Arc<Withheld>,
    open: Arc<[PatientId]>,
}

/// That a resource was judged and may be shown. Only a `Visible` makes one, and what is answered cannot be made without.
/// It is no copy of another: two resources are not shown by one judgement.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen(());

/// What holds of all resources that share some values: may they be shown? None is that each is to be judged by its own.
/// It is judged once for all of them, so it is asked by who knows that they share these (a house rule lists who).
#[derive(Clone, Copy, Debug)]
pub struct Certain(Option<bool>);

impl Certain {
    /// Of one of them; None when it is to be judged.
    pub fn of_one(self) -> Option<Option<Seen>> {
        self.0.map(|shown| shown.then_some(Seen(())))
    }
}

impl Visible {
    /// With the eyes of the server itself: to find out whether something is there at all, never to show it.
    pub fn everything(of: Type) -> Visible {
        Visible { of, whom: Whom::Everybody, limits: Vec::new(), withheld: Vec::new(), behind: None, depth: 0 }
    }

    /// With the eyes of the server itself: what one patient has.
    pub fn of_patient(of: Type, patient: PatientId) -> Visible {
        Visible { whom: Whom::Patients(Arc::from([patient])), ..Visible::everything(of) }
    }

    pub(super) fn compiled(of: Type, whom: Whom, limits: Vec<Arc<Limit>>) -> Visible {
        Visible { whom, limits, ..Visible::everything(of) }
    }

    /// Less what is withheld of whom no emergency opens.
    pub(super) fn without(mut self, by: Arc<Withheld>, open: Arc<[PatientId]>) -> Visible {
        if !by.rules.is_empty() {
            self.withheld.push(Kept { by, open });
        }
        self
    }

    /// Of a Binary: as far as the resources that stand for it are visible, too.
    pub(super) fn behind(self, behind: Option<Arc<Policy>>) -> Visible {
        Visible { behind, ..self }
    }

    /// What both let through, of one caller and one type.
    pub fn narrowed(mut self, by: Visible) -> Visible {
        let new = by.limits.into_iter().filter(|limit| !self.limits.iter().any(|own| Arc::ptr_eq(own, limit)));
        self.limits.extend(new.collect::<Vec<_>>());
        let same = |own: &Kept, other: &Kept| Arc::ptr_eq(&own.by, &other.by) && own.open == other.open;
        let new = by.withheld.into_iter().filter(|kept| !self.withheld.iter().any(|own| same(own, kept)));
        self.withheld.extend(new.collect::<Vec<_>>());
        self.behind = self.behind.or(by.behind);
        self.whom = match (self.whom, by.whom) {
            (Whom::Everybody, whom) | (whom, Whom::Everybody) => whom,
            (Whom::Patients(own), Whom::Patients(others)) if own == others => Whom::Patients(own),
            (Whom::Patients(own), Whom::Patients(others)) => {
                let others: HashSet<&PatientId> = others.iter().collect();
                own.iter().filter(|patient| others.contains(patient)).copied().collect()
            }
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

    /// Do neither the patient rule nor scopes hide anything of the type? What consents withhold is there all the same.
    pub fn is_unlimited(&self) -> bool {
        self.rule().is_none() && self.limits.is_empty()
    }

    /// Does it depend on what a resource says whether it is visible?
    pub fn by_content(&self) -> bool {
        !self.limits.is_empty() || !self.withheld.is_empty() || self.behind.is_some()
    }

    /// Must it be known whose a resource is, to judge its content?
    pub fn asks_whose(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Must the codings of some resource be known, besides the values that it is searched by?
    pub fn asks_codings(&self) -> bool {
        self.withheld.iter().any(|kept| kept.by.coded)
    }

    /// Must those of a resource of this patient?
    pub fn asks_codings_of(&self, whose: Option<PatientId>) -> bool {
        self.asks_codings() && self.kept(whose).next().is_some()
    }

    /// May labels be taken off a resource of this patient? That is for who sees all of the type, whatever its labels: whom
    /// labels bind, or a patient's care, could else take off what binds him.
    pub fn relabels(&self, whose: Option<PatientId>) -> bool {
        let labelled = |filters: &Vec<Filter>| filters.iter().any(|filter| filter.param == "_security");
        self.is_unlimited() && !self.kept(whose).any(labelled)
    }

    /// With whose eyes is to be judged what stands for a Binary? None is that nothing is hidden from them.
    pub fn stand_in(&self) -> Option<&Policy> {
        self.behind.as_deref()
    }

    /// The same seen through a Binary for which it stands; None when that goes on for too long.
    pub fn through(self, binary: &Visible) -> Option<Visible> {
        const MOST: u8 = 3;
        (binary.depth < MOST).then(|| Visible { depth: binary.depth + 1, ..self })
    }

    /// The rules that withhold something of this patient.
    fn kept(&self, whose: Option<PatientId>) -> impl Iterator<Item = &Vec<Filter>> {
        self.withheld.iter().flat_map(move |kept| whose.into_iter().flat_map(|whose| kept.of(whose)))
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
    #[must_use]
    pub fn judge(&self, whose: Option<PatientId>, opened: &Opened<'_>) -> Option<Seen> {
        if self.reaches(whose) { self.chosen(whose, opened) } else { None }
    }

    /// The judgement of what need not be opened for it; None when it must be, or is not visible.
    #[must_use]
    pub fn at_once(&self, whose: Option<PatientId>) -> Option<Seen> {
        (!self.by_content() && self.reaches(whose)).then_some(Seen(()))
    }

    /// Of a row that SQL has chosen by the patient rule: its content. `whose` counts where `asks_whose`.
    #[must_use]
    pub fn chosen(&self, whose: Option<PatientId>, opened: &Opened<'_>) -> Option<Seen> {
        let answers = |filter: &Filter| opened.answers(filter);
        let met = self.limits.iter().all(|limit| limit.any.iter().any(|all| all.iter().all(answers)));
        (met && !self.kept(whose).any(|filters| filters.iter().all(answers))).then_some(Seen(()))
    }

    /// Of a row that SQL has chosen, when nothing else counts.
    #[must_use]
    pub fn chosen_at_once(&self) -> Option<Seen> {
        (!self.by_content()).then_some(Seen(()))
    }

    /// What is already certain of rows that SQL has chosen and that share some values; `own` are the parameters that they do
    /// not share. `whose` counts where `asks_whose`.
    pub fn certain(&self, whose: Option<PatientId>, shared: &Opened<'_>, own: &[&str]) -> Certain {
        let holds = |filter: &Filter| if own.contains(&filter.param) { None } else { Some(shared.answers(filter)) };
        let met = all(self.limits.iter().map(|limit| any(limit.any.iter().map(|list| all(list.iter().map(holds))))));
        let kept = any(self.kept(whose).map(|filters| all(filters.iter().map(holds))));
        Certain(all([met, kept.map(|kept| !kept)].into_iter()))
    }

    /// For a preselection: of each limit, any of the lists.
    pub fn limits(&self) -> impl Iterator<Item = &[Vec<Filter>]> {
        self.limits.iter().map(|limit| limit.any.as_slice())
    }

    /// For a preselection: whose resources are withheld, whatever they say.
    pub fn withheld_whole(&self) -> impl Iterator<Item = PatientId> {
        self.withheld.iter().flat_map(|kept| kept.by.whole.iter().filter(|patient| !kept.open.contains(patient)).copied())
    }

    /// The scopes that limit it, as the token has them.
    pub fn said(&self) -> String {
        self.limits.iter().map(|limit| limit.said.as_str()).collect::<Vec<_>>().join(", and ")
    }
}

impl Withheld {
    /// Of each group of patients one rule: filters that must all hold.
    pub(super) fn new<'g>(groups: impl Iterator<Item = (&'g [PatientId], Vec<Filter>)>) -> Withheld {
        let mut withheld = Withheld::default();
        for (patients, filters) in groups {
            let place = withheld.rules.len() as u32;
            for patient in patients {
                withheld.of.entry(*patient).or_default().push(place);
            }
            if filters.is_empty() {
                withheld.whole.extend_from_slice(patients);
            }
            withheld.coded |= filters.iter().any(|filter| filter.param == CODED);
            withheld.rules.push(filters);
        }
        withheld.whole.sort_unstable();
        withheld.whole.dedup();
        withheld
    }
}

impl Kept {
    fn of(&self, whose: PatientId) -> impl Iterator<Item = &Vec<Filter>> {
        let places = self.by.of.get(&whose).filter(|_| !self.open.contains(&whose));
        places.into_iter().flatten().filter_map(|place| self.by.rules.get(*place as usize))
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

#[cfg(test)]
mod tests {
    use super::{Limit, Visible, Withheld};
    use crate::access::Whom;
    use crate::id::PatientId;
    use crate::search::{Criterion, DateRange, Filter, IndexRow, Opened, System, Token, Type};
    use proptest::prelude::*;
    use std::sync::Arc;

    const PARAMS: [&str; 4] = ["code", "category", "status", "identifier"];
    const OWN: [&str; 2] = ["status", "identifier"];

    fn filter() -> impl Strategy<Value = Filter> {
        let codes = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..3);
        (prop::sample::select(&PARAMS[..]), codes).prop_map(|(param, codes)| {
            let token = |code: &str| Criterion::Token(Token { system: System::Any, code: Some(code.to_owned()) });
            Filter::any(param, codes.into_iter().map(token).collect())
        })
    }

    fn visible() -> impl Strategy<Value = Visible> {
        let lists = || prop::collection::vec(filter(), 0..3);
        let limit = prop::collection::vec(lists(), 1..3).prop_map(|lists| Arc::new(Limit { any: lists, said: String::new() }));
        let patients = || prop::collection::vec((0..3u8).prop_map(patient), 0..3);
        let withheld = (prop::collection::vec((patients(), lists()), 0..3), patients());
        (prop::collection::vec(limit, 0..3), prop::collection::vec(withheld, 0..3)).prop_map(|(limits, withheld)| {
            let all = Visible::compiled(Type::Observation, Whom::Everybody, limits);
            withheld.into_iter().fold(all, |visible, (groups, open)| {
                let groups = groups.iter().map(|(patients, filters)| (patients.as_slice(), filters.clone()));
                visible.without(Arc::new(Withheld::new(groups)), open.into())
            })
        })
    }

    fn patient(n: u8) -> PatientId {
        PatientId([n; 16])
    }

    fn rows() -> impl Strategy<Value = Vec<IndexRow>> {
        let row = (prop::sample::select(&PARAMS[..]), prop::sample::select(vec!["a", "b", "c"]));
        let token = |(param, code): (&'static str, &str)| IndexRow::Token { param, system: None, code: code.to_owned() };
        prop::collection::vec(row.prop_map(token), 0..5)
    }

    fn opened(rows: &[IndexRow]) -> Opened<'_> {
        Opened { id: "x", rows, last_updated: DateRange::instant(0) }
    }

    /// The same, said with knives.
    fn plainly(visible: &Visible, whose: Option<PatientId>, rows: &[IndexRow]) -> bool {
        let has = |filter: &Filter| {
            filter.any.iter().any(|criterion| match criterion {
                Criterion::Token(Token { code: Some(code), .. }) => {
                    rows.iter().any(|row| matches!(row, IndexRow::Token { param, code: own, .. } if *param == filter.param && own == code))
                }
                _ => false,
            })
        };
        for limit in &visible.limits {
            if !limit.any.iter().any(|all| all.iter().all(has)) {
                return false;
            }
        }
        for kept in &visible.withheld {
            for (patient, places) in &kept.by.of {
                let rules = places.iter().map(|place| &kept.by.rules[*place as usize]);
                if whose == Some(*patient) && !kept.open.contains(patient) && rules.into_iter().any(|filters| filters.iter().all(has)) {
                    return false;
                }
            }
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn a_judgement_is_what_it_says(visible in visible(), rows in rows(), whose in prop::option::of(0..3u8)) {
            let whose = whose.map(patient);
            prop_assert_eq!(visible.judge(whose, &opened(&rows)).is_some(), plainly(&visible, whose, &rows));
            prop_assert!(visible.at_once(whose).is_none_or(|_| plainly(&visible, whose, &rows)));
        }

        #[test]
        fn what_is_certain_of_all_holds_of_each(visible in visible(), rows in rows(), whose in prop::option::of(0..3u8)) {
            let shared: Vec<IndexRow> = rows.iter().filter(|row| !OWN.contains(&row.param())).cloned().collect();
            let seen = plainly(&visible, whose.map(patient), &rows);
            if let Some(shown) = visible.certain(whose.map(patient), &opened(&shared), &OWN).of_one() {
                prop_assert_eq!(shown.is_some(), seen);
            }
        }

        #[test]
        fn narrowing_shows_nothing_more(wide in visible(), by in visible(), rows in rows(), whose in prop::option::of(0..3u8)) {
            let whose = whose.map(patient);
            let narrow = wide.clone().narrowed(by.clone());
            let met = plainly(&wide, whose, &rows) && plainly(&by, whose, &rows);
            prop_assert_eq!(narrow.judge(whose, &opened(&rows)).is_some(), met);
        }
    }
}
