//! What Consents withhold, as filters of search: so it is judged by the same values as everything else.

use super::Withheld;
use crate::access::consent::{Coding, Fact, Group, Literal};
use crate::id::PatientId;
use crate::search::{CODED, Criterion, DateRange, Filter, Nanos, Prefix, System, Token, Type, When};

/// What is withheld of a type, in the words of its search parameters. What a parameter cannot ask counts as so.
pub(super) fn withheld(of: Type, groups: &[Group]) -> Withheld {
    let rules = |group: &'_ Group| group.any.iter().filter_map(|all| filters(of, all)).collect::<Vec<_>>();
    Withheld::new(groups.iter().flat_map(|group| rules(group).into_iter().map(|filters| (&*group.patients as &[PatientId], filters))))
}

/// All of the literals must hold: as filters that must; None when that can never be.
fn filters(of: Type, all: &[Literal]) -> Option<Vec<Filter>> {
    let each = all.iter().map(|literal| match literal {
        Literal::May(fact) => may(of, fact),
        Literal::Not(fact) => Some(not(of, fact)),
    });
    Some(each.collect::<Option<Vec<_>>>()?.concat())
}

/// No filter says nothing, and None is never.
fn may(of: Type, fact: &Fact) -> Option<Vec<Filter>> {
    Some(match fact {
        // What a Binary holds is not told by any element.
        Fact::Coded(_) if of == Type::Binary => Vec::new(),
        Fact::Coded(codings) => vec![Filter::any(CODED, tokens(codings))],
        Fact::Labelled(codings) => vec![Filter::any("_security", tokens(codings))],
        Fact::LabelledBy(systems) => {
            let label = |system: &Option<String>| match system {
                Some(system) => Criterion::Token(Token { system: System::Is(system.clone()), code: None }),
                None => Criterion::Missing(false),
            };
            vec![Filter::any("_security", systems.iter().map(label).collect())]
        }
        Fact::Dated(start, end) => {
            let mut filters = Vec::new();
            if has_date(of) {
                // Its range ends after the start, and begins before the end.
                let after = start.map(|start| (Prefix::Gt, DateRange { lo: nanos(start) - 1, hi: nanos(start) }));
                let before = end.map(|end| (Prefix::Lt, DateRange { lo: nanos(end), hi: nanos(end) + 1 }));
                let either = [after, before].into_iter().flatten();
                filters.extend(either.map(|date| Filter::any("date", vec![Criterion::Missing(true), when(date)])));
            }
            filters
        }
        Fact::Is(names) => vec![Filter::any("_id", Some(ids(of, names)).filter(|ids| !ids.is_empty())?)],
    })
}

fn not(of: Type, fact: &Fact) -> Vec<Filter> {
    let none = |param, any| Filter { param, not: true, any };
    match fact {
        Fact::Coded(_) if of == Type::Binary => Vec::new(),
        Fact::Coded(codings) => vec![none(CODED, tokens(codings))],
        Fact::Labelled(codings) => vec![none("_security", tokens(codings))],
        Fact::LabelledBy(_) => Vec::new(),
        Fact::Dated(start, end) => {
            let range = DateRange { lo: start.map_or(DateRange::OPEN_LO, nanos), hi: end.map_or(DateRange::OPEN_HI, nanos) };
            if has_date(of) { vec![none("date", vec![when((Prefix::Eq, range))])] } else { Vec::new() }
        }
        Fact::Is(names) => {
            let ids = ids(of, names);
            if ids.is_empty() { Vec::new() } else { vec![none("_id", ids)] }
        }
    }
}

fn nanos(at: i64) -> Nanos {
    Nanos::from(at) * 1_000_000
}

fn when((prefix, range): (Prefix, DateRange)) -> Criterion {
    Criterion::Date(When { prefix, range, text: String::new() })
}

fn has_date(of: Type) -> bool {
    of.search().param("date").is_some_and(|param| param.how == crate::search::How::Date)
}

fn tokens(codings: &[Coding]) -> Vec<Criterion> {
    let one = |coding: &Coding| {
        let system = coding.system.clone().map_or(System::Any, System::Is);
        Criterion::Token(Token { system, code: Some(coding.code.clone()) })
    };
    codings.iter().map(one).collect()
}

fn ids(of: Type, names: &[String]) -> Vec<Criterion> {
    let id = |name: &String| name.split_once('/').filter(|(kind, _)| *kind == of.name()).map(|(_, id)| Criterion::Id(id.to_owned()));
    names.iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::consent::{Asker, Consent, Effect, Provision, Withholding};
    use crate::access::{Interaction, Moment, Party, Period};
    use crate::fhir::validate::object;
    use crate::policy::Visible;
    use crate::search::{Opened, codings, index};
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::sync::Arc;

    const NOW: i64 = 1_000_000;
    const SYSTEM: &str = "urn:s";
    const LABELS: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

    /// What a resource says, as far as a Consent may speak of it.
    #[derive(Clone, Debug)]
    struct Told {
        id: &'static str,
        code: &'static str,
        labels: Vec<&'static str>,
        /// Of its date, in hours of one day.
        hour: Option<u32>,
    }

    fn told() -> impl Strategy<Value = Told> {
        let labels = proptest::collection::vec(select(vec!["N", "R", "V"]), 0..3);
        let hour = proptest::option::of(0..24u32);
        (select(vec!["a", "b"]), select(vec!["x", "y"]), labels, hour).prop_map(|(id, code, labels, hour)| Told { id, code, labels, hour })
    }

    fn hour(hour: u32) -> i64 {
        i64::from(hour) * 3_600_000
    }

    const PATIENT: PatientId = PatientId([1; 16]);

    fn judged(told: &Told, withheld: &Arc<Withheld>, of: Type) -> bool {
        let labels: Vec<String> = told.labels.iter().map(|label| format!(r#"{{"system":"{LABELS}","code":"{label}"}}"#)).collect();
        let security = format!(r#""meta":{{"security":[{}]}},"#, labels.join(","));
        let date = told.hour.map(|hour| format!(r#""effectiveDateTime":"1970-01-01T{hour:02}:00:00Z","#));
        let date = date.unwrap_or_default();
        let text = format!(
            r#"{{"resourceType":"Observation","id":"{}",{security}{date}"code":{{"coding":[{{"system":"{SYSTEM}","code":"{}"}}]}}}}"#,
            told.id, told.code
        );
        let document = object(&text).unwrap();
        let mut rows = index(of, &document);
        rows.extend(codings(&document));
        let opened = Opened { id: told.id, rows: &rows, last_updated: DateRange::instant(0) };
        let visible = Visible::everything(of).without(Arc::clone(withheld), Arc::from([]));
        visible.judge(Some(PATIENT), &opened).is_none()
    }

    fn coding(system: &str, code: &str) -> Coding {
        Coding { system: Some(system.into()), code: code.into() }
    }

    /// A provision with few conditions of each kind; some cannot be told.
    fn leaf() -> impl Strategy<Value = Provision> {
        let effect = select(vec![None, Some(Effect::Permit), Some(Effect::Deny)]);
        let codes = proptest::option::of(select(vec!["x", "y", ""]));
        let label = proptest::option::of(select(vec!["N", "R"]));
        let data = proptest::option::of(select(vec![(true, "a"), (true, "b"), (false, "a")]));
        let dates = proptest::option::of((0..24u32, 0..24u32));
        let class = proptest::option::of(select(vec!["Observation", "Goal", "urn:mine"]));
        let period = proptest::option::weighted(0.3, any::<bool>());
        (effect, codes, label, data, dates, class, period).prop_map(|(effect, code, label, data, dates, class, period)| {
            let system = |class: &str| if class.starts_with("urn") { "urn:classes" } else { "http://hl7.org/fhir/resource-types" };
            Provision {
                effect,
                codes: code.iter().map(|code| if code.is_empty() { Vec::new() } else { vec![coding(SYSTEM, code)] }).collect(),
                labels: label.iter().map(|label| coding(LABELS, label)).collect(),
                data: data
                    .iter()
                    .map(|(instance, id)| crate::access::consent::Datum {
                        instance: *instance,
                        reference: Some(("Observation".into(), (*id).into())),
                    })
                    .collect(),
                data_period: dates.map(|(from, to)| Period { start: Some(hour(from)), end: Some(hour(from.max(to) + 1)) }),
                classes: class.iter().map(|class| coding(system(class), class)).collect(),
                period: Period { start: None, end: period.map(|over| if over { NOW - 1 } else { NOW + 1 }) },
                ..Provision::default()
            }
        })
    }

    fn tree() -> impl Strategy<Value = Provision> {
        leaf().prop_recursive(3, 8, 2, |inner| {
            (leaf(), proptest::collection::vec(inner, 0..3)).prop_map(|(leaf, nested)| Provision { nested, ..leaf })
        })
    }

    /// May it be met, and is it surely met? Read off the specification, one resource at a time.
    fn met(provision: &Provision, told: &Told) -> (bool, bool) {
        let (mut may, mut sure) = (true, true);
        let mut and = |it_may: bool, it_is: bool| {
            may &= it_may;
            sure &= it_is;
        };
        if provision.period.end.is_some_and(|end| end <= NOW) {
            and(false, false);
        }
        if let Some(concept) = provision.codes.first() {
            match concept.first() {
                Some(coding) => and(coding.code == told.code, coding.code == told.code),
                None => and(true, false),
            }
        }
        if let Some(label) = provision.labels.first() {
            let level = |code: &str| ["U", "L", "M", "N", "R", "V"].iter().position(|level| *level == code);
            let highest = told.labels.iter().map(|own| level(own)).max();
            and(highest.is_some(), highest.is_some_and(|highest| highest <= level(&label.code)));
        }
        if let Some(datum) = provision.data.first() {
            let same = datum.reference.as_ref().is_some_and(|(_, id)| id == told.id);
            if datum.instance { and(same, same) } else { and(true, false) }
        }
        if let Some(Period { start, end }) = provision.data_period {
            match told.hour.map(hour) {
                // A moment to the second.
                Some(at) => {
                    let (start, end) = (start.unwrap(), end.unwrap());
                    and(at + 1_000 > start && at < end, at >= start && at + 1_000 <= end);
                }
                None => and(true, false),
            }
        }
        if let Some(class) = provision.classes.first() {
            match class.code.as_str() {
                "Observation" => and(true, true),
                "Goal" => and(false, false),
                _ => and(true, false),
            }
        }
        (may, sure)
    }

    fn denied(provision: &Provision, told: &Told) -> bool {
        let permitted_within = provision.nested.iter().any(|nested| permitted(nested, told));
        let own = provision.effect == Some(Effect::Deny) && !permitted_within;
        met(provision, told).0 && (own || provision.nested.iter().any(|nested| denied(nested, told)))
    }

    fn permitted(provision: &Provision, told: &Told) -> bool {
        let within = provision.nested.iter().any(|nested| permitted(nested, told));
        let denied = provision.nested.iter().any(|nested| denied(nested, told));
        met(provision, told).1 && !denied && (provision.effect == Some(Effect::Permit) || within)
    }

    /// The whole, with the policy around the first provision.
    fn naive(consent: &Consent, told: &Told) -> bool {
        let root = consent.root.as_ref().unwrap();
        if root.period.end.is_some_and(|end| end <= NOW) {
            return false;
        }
        denied(root, told) || (consent.base == Some(Effect::Deny) && !permitted(root, told))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn filters_withhold_what_the_specification_does(
            root in tree(),
            base in select(vec![None, Some(Effect::Permit), Some(Effect::Deny)]),
            all in proptest::collection::vec(told(), 1..8),
        ) {
            let consent = Consent { base, root: Some(root), foreign: false };
            let party = Party::default();
            let asker = Asker { party: &party, is_system: true, purpose: Some("TREAT") };
            let withholding = Withholding::new([(PATIENT, &consent)].into_iter(), asker, &mut Moment::new(NOW));
            let withheld = withholding.made("Observation", Interaction::Read, |groups| withheld(Type::Observation, groups));
            for told in &all {
                prop_assert_eq!(judged(told, &withheld, Type::Observation), naive(&consent, told), "{:?} {:?}", told, consent);
            }
        }
    }
}
