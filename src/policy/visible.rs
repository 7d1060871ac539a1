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
    patients: Option<Arc<[PatientId]>>,
    pub(super) filters: Vec<Filter>,
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

    /// Do neither the patient rule nor scopes hide anything of the type? What consents withhold is there all the same.
    pub fn is_unlimited(&self) -> bool {
        self.rule().is_none() && self.limits.is_empty()
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
    pub fn new(patients: Option<Arc<[PatientId]>>, filters: Vec<Filter>) -> Withheld {
        // Who is looked for in a list without order is not found, and what should be withheld would be shown.
        let in_order = |patients: Arc<[PatientId]>| {
            if patients.is_sorted() {
                return patients;
            }
            let mut patients = patients.to_vec();
            patients.sort_unstable();
            patients.into()
        };
        Withheld { patients: patients.map(in_order), filters }
    }

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

#[cfg(test)]
mod tests {
    use super::{Certain, Limit, Visible, Withheld};
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
        let patients = prop::option::of(prop::collection::vec(0..3u8, 0..3).prop_map(|all| all.into_iter().map(patient).collect()));
        let withheld = (patients, lists()).prop_map(|(patients, filters)| Arc::new(Withheld::new(patients, filters)));
        (prop::collection::vec(limit, 0..3), prop::collection::vec(withheld, 0..3))
            .prop_map(|(limits, withheld)| Visible::compiled(Type::Observation, Whom::Everybody, limits, withheld))
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
        for withheld in &visible.withheld {
            let of = match &withheld.patients {
                None => true,
                Some(patients) => whose.is_some_and(|whose| patients.contains(&whose)),
            };
            if of && withheld.filters.iter().all(has) {
                return false;
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
            match visible.certain(&opened(&shared), &OWN) {
                Certain::Shown(_) => prop_assert!(seen),
                Certain::Hidden => prop_assert!(!seen),
                Certain::Open => {}
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
