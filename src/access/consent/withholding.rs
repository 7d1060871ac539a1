//! What the Consents of many patients withhold from one caller: for each type of resources, groups of patients with what
//! is withheld of theirs, as alternatives of conditions on a resource.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::matching::{CHANGE, Met, SEE, action, actor, class, purpose};
use super::{Coding, Consent, Effect, Provision};
use crate::access::party::Party;
use crate::access::period::{Moment, Period};
use crate::access::scopes::Interaction;
use crate::id::PatientId;

/// Something about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// One of its coded elements has any of these.
    Coded(Vec<Coding>),
    /// Its `meta.security` has any of these.
    Labelled(Vec<Coding>),
    /// Its `meta.security` has a label of any of these systems; None stands for a label of whatever system.
    LabelledBy(Vec<Option<String>>),
    /// Its date lies within: start and end in milliseconds, the end not included.
    Dated(Option<i64>, Option<i64>),
    /// It has one of these ids.
    Is(Vec<String>),
}

/// A condition on a resource that is withheld.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// It may be so: holds also of what does not tell.
    May(Fact),
    /// It is not surely so: holds also of what does not tell.
    Not(Fact),
}

/// Alternatives, of which all conditions must hold. No alternative is nothing; one without conditions is everything.
type Set = Vec<Vec<Literal>>;

/// What is withheld of some patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// In order.
    pub patients: Arc<[PatientId]>,
    pub any: Set,
}

/// Who asks, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub party: &'a Party,
    /// Does the role see everybody, so that it is no person in care?
    pub is_system: bool,
    /// A code of v3-ActReason.
    pub purpose: Option<&'a str>,
}

/// All of it, for as long as the caller is remembered.
#[derive(Debug, Default)]
pub struct Withholding {
    rules: Vec<(PatientId, Rule)>,
    /// What was made of it, by type and whether it is to be changed; made when it is asked for.
    made: Mutex<HashMap<Asked, Arc<dyn Any + Send + Sync>>>,
}

/// A type, and whether it is to be changed.
type Asked = (&'static str, bool);

/// A provision, as far as the request alone decides about it.
#[derive(Debug)]
struct Rule {
    effect: Option<Effect>,
    /// Period, actor and purpose.
    met: Met,
    see: Met,
    change: Met,
    classes: Vec<Coding>,
    facts: Facts,
    nested: Vec<Rule>,
}

/// Its conditions on resources: those that may be met, and those that surely are, None where that cannot be told at all,
/// unless one of others may hold.
#[derive(Debug, Default)]
struct Facts {
    may: Vec<Fact>,
    sure: Option<Vec<Fact>>,
    unless: Vec<Fact>,
}

impl Withholding {
    /// Of whose Consents, who asks, and when; what depends on the time is noted in `moment`.
    pub fn new<'c>(consents: impl Iterator<Item = (PatientId, &'c Consent)>, asker: Asker<'_>, moment: &mut Moment) -> Withholding {
        let rules = consents.filter_map(|(patient, consent)| Some((patient, rule_of(consent, asker, moment)?))).collect();
        Withholding { rules, made: Mutex::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What of this type is withheld when this is done to it, as `make` puts it, once for all requests of the caller. Who
    /// may not see may not change either.
    pub fn made<T>(&self, of: &'static str, interaction: Interaction, make: impl Fn(&[Group]) -> T) -> Arc<T>
    where
        T: Any + Send + Sync,
    {
        let changes = matches!(interaction, Interaction::Create | Interaction::Update | Interaction::Delete);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&(of, changes)).cloned().and_then(|known| known.downcast().ok());
        known.unwrap_or_else(|| {
            let new = Arc::new(make(&self.groups(of, changes)));
            made.insert((of, changes), Arc::clone(&new) as Arc<dyn Any + Send + Sync>);
            new
        })
    }

    fn groups(&self, of: &str, changes: bool) -> Vec<Group> {
        let mut alike: BTreeMap<Set, Vec<PatientId>> = BTreeMap::new();
        for (patient, rule) in &self.rules {
            let mut set = rule.denied(of, false);
            if changes {
                set = union([set, rule.denied(of, true)]);
            }
            if !set.is_empty() {
                alike.entry(set).or_default().push(*patient);
            }
        }
        let group = |(any, mut patients): (Set, Vec<PatientId>)| {
            patients.sort_unstable();
            patients.dedup();
            Group { patients: patients.into(), any }
        };
        alike.into_iter().map(group).collect()
    }
}

/// None when the Consent has nothing to say now.
fn rule_of(consent: &Consent, asker: Asker<'_>, moment: &mut Moment) -> Option<Rule> {
    // R4 has no period of the whole but that of the first provision.
    if consent.root.as_ref().is_some_and(|root| !moment.covered_by(root.period)) {
        return None;
    }
    let nested: Vec<Rule> = consent.root.iter().map(|root| resolved(root, asker, moment)).collect();
    let met = if consent.foreign { Met::Unknown } else { Met::Yes };
    let facts = Facts { sure: Some(Vec::new()), ..Facts::default() };
    Some(Rule { effect: consent.base, met, see: Met::Yes, change: Met::Yes, classes: Vec::new(), facts, nested })
}

fn resolved(provision: &Provision, asker: Asker<'_>, moment: &mut Moment) -> Rule {
    let period = if moment.covered_by(provision.period) { Met::Yes } else { Met::No };
    let foreign = if provision.foreign { Met::Unknown } else { Met::Yes };
    let actors = Met::any(provision.actors.iter().map(|one| actor(one, asker.party, asker.is_system)));
    let purposes = Met::any(provision.purposes.iter().map(|one| purpose(one, asker.purpose)));
    let done = |what: &[&str]| Met::any(provision.actions.iter().map(|one| action(one, what)));
    Rule {
        effect: provision.effect,
        met: period.and(foreign).and(actors).and(purposes),
        see: done(&SEE),
        change: done(&CHANGE),
        classes: provision.classes.clone(),
        facts: facts_of(provision),
        nested: provision.nested.iter().map(|one| resolved(one, asker, moment)).collect(),
    }
}

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// From the lowest up: a label stands for itself and all below it.
const LEVELS: [&str; 6] = ["U", "L", "M", "N", "R", "V"];

fn facts_of(provision: &Provision) -> Facts {
    let (mut may, mut sure, mut unless) = (Vec::new(), Some(Vec::new()), Vec::new());
    if !provision.codes.is_empty() {
        let known: Vec<Coding> = provision.codes.iter().flatten().cloned().collect();
        if provision.codes.iter().all(|concept| !concept.is_empty()) {
            may.push(Fact::Coded(known.clone()));
        }
        let exact: Vec<Coding> = known.into_iter().filter(|coding| coding.system.is_some()).collect();
        narrow(&mut sure, (!exact.is_empty()).then_some(Fact::Coded(exact)));
    }
    if !provision.labels.is_empty() {
        // One label may stand for others of its system, and which is not known here.
        may.push(Fact::LabelledBy(provision.labels.iter().map(|label| label.system.clone()).collect()));
        for label in &provision.labels {
            let (at_most, above) = levels(label);
            narrow(&mut sure, label.system.is_some().then_some(Fact::Labelled(at_most)));
            // The highest label of a resource counts.
            unless.extend(Some(above).filter(|above| !above.is_empty()).map(Fact::Labelled));
        }
    }
    if let Some(Period { start, end }) = provision.data_period {
        may.push(Fact::Dated(start, end));
        narrow(&mut sure, Some(Fact::Dated(start, end)));
    }
    if !provision.data.is_empty() {
        let instance = |datum: &super::Datum| datum.reference.as_ref().filter(|_| datum.instance).map(|(kind, id)| format!("{kind}/{id}"));
        let known: Vec<Option<String>> = provision.data.iter().map(instance).collect();
        let ids: Vec<String> = known.iter().flatten().cloned().collect();
        if known.iter().all(Option::is_some) {
            may.push(Fact::Is(ids.clone()));
        }
        narrow(&mut sure, Some(Fact::Is(ids)));
    }
    Facts { may, sure, unless }
}

fn narrow(sure: &mut Option<Vec<Fact>>, by: Option<Fact>) {
    match (sure.as_mut(), by) {
        (Some(all), Some(fact)) => all.push(fact),
        (_, None) => *sure = None,
        (None, _) => {}
    }
}

/// A label and those that it stands for, and those above it.
fn levels(label: &Coding) -> (Vec<Coding>, Vec<Coding>) {
    let level = LEVELS.iter().position(|level| *level == label.code).filter(|_| label.system.as_deref() == Some(CONFIDENTIALITY));
    let Some(level) = level else { return (vec![label.clone()], Vec::new()) };
    let (at_most, above) = LEVELS.split_at(level + 1);
    let codings = |levels: &[&str]| levels.iter().map(|code| Coding { system: label.system.clone(), code: (*code).into() }).collect();
    (codings(at_most), codings(above))
}

impl Rule {
    fn met(&self, of: &str, changes: bool) -> Met {
        let done = if changes { self.change } else { self.see };
        self.met.and(done).and(Met::any(self.classes.iter().map(|one| class(one, of))))
    }

    /// What may be denied.
    fn denied(&self, of: &str, changes: bool) -> Set {
        if self.met(of, changes) == Met::No {
            return Vec::new();
        }
        let mut all = union(self.nested.iter().map(|rule| rule.denied(of, changes)));
        if self.effect == Some(Effect::Deny) {
            let unless = self.nested.iter().map(|rule| rule.not_permitted(of, changes));
            all = union([all, unless.fold(vec![Vec::new()], meet)]);
        }
        let may: Vec<Literal> = self.facts.may.iter().cloned().map(Literal::May).collect();
        meet(vec![may], all)
    }

    /// What is not surely permitted.
    fn not_permitted(&self, of: &str, changes: bool) -> Set {
        let (Met::Yes, Some(sure)) = (self.met(of, changes), &self.facts.sure) else { return vec![Vec::new()] };
        let not: Set = sure.iter().cloned().map(|fact| vec![Literal::Not(fact)]).collect();
        let unless: Set = self.facts.unless.iter().cloned().map(|fact| vec![Literal::May(fact)]).collect();
        let denied = union(self.nested.iter().map(|rule| rule.denied(of, changes)));
        let rest = match self.effect {
            Some(Effect::Permit) => Vec::new(),
            _ => self.nested.iter().map(|rule| rule.not_permitted(of, changes)).fold(vec![Vec::new()], meet),
        };
        union([not, unless, denied, rest])
    }
}

/// More alternatives than this are not told apart: then more is withheld.
const ALTERNATIVES: usize = 256;

fn union(sets: impl IntoIterator<Item = Set>) -> Set {
    let mut all: Set = sets.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    if all.first().is_some_and(Vec::is_empty) || all.len() > ALTERNATIVES {
        return vec![Vec::new()];
    }
    all
}

/// What is in both; where that is too much to write down, what is in the smaller one.
fn meet(one: Set, other: Set) -> Set {
    if one.len().saturating_mul(other.len()) > ALTERNATIVES {
        return if one.len() < other.len() { one } else { other };
    }
    let both = one.iter().flat_map(|left| other.iter().map(move |right| [left.as_slice(), right.as_slice()].concat()));
    union([both
        .map(|mut all| {
            all.sort_unstable();
            all.dedup();
            all
        })
        .collect::<Set>()])
}
