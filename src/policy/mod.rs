//! Which resources a caller may have by which interaction: role, scopes with their constraints, patient rule and Consent,
//! compiled to one predicate, `Visible`.
//!
//! A `Visible` is had by naming the interaction, and nothing in `store` shows a resource without one: what is shown
//! carries the proof, `Seen`, that a `Visible` has judged it. So no way to a resource can leave a constraint out. Pure.

mod consent;
mod offer;
mod visible;

pub use offer::{offer, scopes};
use visible::Withheld;
pub use visible::{Certain, Limit, Seen, Visible};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::consent::Withholding;
use crate::access::{Allowed, Caller, Constraint, Interaction, Role, Scopes, Whom};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::PatientId;
use crate::search::{self, Filter, Handling, Terms, Type};

/// What one caller may do, for as long as one request takes.
#[derive(Clone, Debug)]
pub struct Policy {
    role: Role,
    scopes: Scopes,
    whom: Whom,
    /// What an approximate date is near to: a scope means the same as long as its token lives.
    issued_at: Millis,
    /// Whom the caller may see to read alone.
    emergencies: Arc<[PatientId]>,
    /// What patients withhold by Consent.
    withheld: Arc<Withholding>,
    compiled: Arc<Mutex<Compiled>>,
    /// Of one that judges what stands for a Binary: is the Binary to be shown?
    shows: bool,
}

/// Constraints by type and letter, as far as they were compiled.
type Compiled = HashMap<(Type, u8), Vec<Arc<Limit>>>;

impl Policy {
    pub fn of(who: &Caller) -> Policy {
        Policy {
            role: who.role,
            scopes: who.scopes.clone(),
            whom: who.whom.clone(),
            issued_at: who.issued_at,
            emergencies: who.emergencies.iter().map(|one| one.now).collect(),
            withheld: Arc::clone(&who.withheld),
            compiled: Arc::default(),
            shows: false,
        }
    }

    /// May the caller look across patients where only a scan can answer?
    pub fn is_system(&self) -> bool {
        self.role.is_system()
    }

    /// The resources of the type on which the caller may do this; `Kind::Forbidden` when role and scopes together allow it
    /// on none. What a role limits and what the token limits must both be met.
    pub fn visible(&self, of: Type, interaction: Interaction) -> Result<Visible> {
        let limits = self.limited(of, interaction)?;
        Ok(self.seeing((of, interaction), limits, &self.emergencies))
    }

    /// Where a write may look for what its criteria and conditional references mean: what an emergency opens is for whom
    /// reads alone, and a write that finds it or not would tell of it unmarked.
    pub fn sought(&self, of: Type) -> Result<Visible> {
        Ok(self.seeing((of, Interaction::Search), self.limited(of, Interaction::Search)?, &[]))
    }

    /// Is it allowed on any resource of the type?
    pub fn may(&self, of: Type, interaction: Interaction) -> Result<()> {
        self.visible(of, interaction).map(|_| ())
    }

    /// On which both may be done: an interaction that is two at once.
    pub fn both(&self, of: Type, interactions: (Interaction, Interaction)) -> Result<Visible> {
        Ok(self.visible(of, interactions.0)?.narrowed(self.visible(of, interactions.1)?))
    }

    /// To what a resource may point that the caller writes: what may be read, and where the scopes do not open the type at
    /// all, what the patient rule lets through. Else nobody could write who may not read. What an emergency opens is to be
    /// read alone.
    pub fn pointed(&self, of: Type) -> Visible {
        let limits = self.limited(of, Interaction::Read).unwrap_or_default();
        self.seeing((of, Interaction::Read), limits, &[])
    }

    /// By the patient rule and Consent alone: for what is not shown.
    pub fn ruled(&self, of: Type) -> Visible {
        self.seeing((of, Interaction::Read), Vec::new(), &self.emergencies)
    }

    pub fn has_emergencies(&self) -> bool {
        !self.emergencies.is_empty()
    }

    /// Is the patient's data open to read alone?
    pub fn reads_only(&self, patient: PatientId) -> bool {
        self.emergencies.contains(&patient)
    }

    /// An emergency opens one patient's data, whatever the patient rule and Consent say, to read and search alone.
    fn seeing(&self, what: (Type, Interaction), limits: Vec<Arc<Limit>>, emergencies: &[PatientId]) -> Visible {
        let (of, interaction) = what;
        let reads = matches!(interaction, Interaction::Read | Interaction::Search);
        let emergencies = if reads { emergencies } else { &[] };
        let whom = match &self.whom {
            Whom::Patients(patients) if !emergencies.is_empty() => {
                let new = emergencies.iter().filter(|patient| !patients.contains(patient));
                Whom::Patients(patients.iter().chain(new).copied().collect())
            }
            whom => whom.clone(),
        };
        let visible = Visible::compiled(of, whom, limits).behind(self.behind(of, reads));
        // The Consent itself is for those to read who keep to it, and the audit log is nobody's to withhold.
        if self.withheld.is_empty() || matches!(of, Type::Consent | Type::AuditEvent) {
            return visible;
        }
        visible.without(self.withheld.made(of.name(), interaction, |groups| consent::withheld(of, groups)), emergencies.into())
    }

    /// A Binary says nothing by which it could be judged: other resources stand for it, where any may be hidden at all.
    fn behind(&self, of: Type, shows: bool) -> Option<Arc<Policy>> {
        let hidden = |of: &Type| *of != Type::AuditEvent && self.limited(*of, Interaction::Read).map_or(true, |limits| !limits.is_empty());
        let limited = || self.whom != Whom::Everybody || !self.withheld.is_empty() || Type::ALL.iter().any(hidden);
        (of == Type::Binary && limited()).then(|| Arc::new(Policy { shows, ..self.clone() }))
    }

    /// What may stand for a Binary: where it is to be shown, what may be read itself.
    pub fn standing(&self, of: Type) -> Option<Visible> {
        if self.shows { self.visible(of, Interaction::Read).ok() } else { Some(self.pointed(of)) }
    }

    /// Is anything withheld from the caller by Consent?
    pub fn withholds(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// By Consent alone, whoever's it is: None when nothing is withheld. For what points to what is shown.
    pub fn withheld(&self, of: Type) -> Option<Visible> {
        let all = Policy { whom: Whom::Everybody, ..self.clone() };
        let visible = all.seeing((of, Interaction::Read), Vec::new(), &self.emergencies).behind(None);
        visible.by_content().then_some(visible)
    }

    fn limited(&self, of: Type, interaction: Interaction) -> Result<Vec<Arc<Limit>>> {
        let all = self.role.scopes().allow(of.name(), interaction) && self.scopes.allow(of.name(), interaction);
        if all { Ok(Vec::new()) } else { self.limits(of, interaction) }
    }

    fn limits(&self, of: Type, interaction: Interaction) -> Result<Vec<Arc<Limit>>> {
        let key = (of, interaction as u8);
        if let Some(known) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut limits = Vec::new();
        for scopes in [self.role.scopes(), &self.scopes] {
            match scopes.constraints(of.name(), interaction) {
                None => {
                    let says = format!("the token's role and scopes do not allow {} on {}", interaction.word(), of.name());
                    return Err(Error::new(Kind::Forbidden, says));
                }
                Some(Allowed::Everything) => {}
                Some(Allowed::Any(lists)) => {
                    let any = lists.into_iter().map(|list| self.filters(of, list)).collect::<Result<_>>()?;
                    limits.push(Arc::new(Limit { any, said: scopes.permitting(of.name(), interaction).to_string() }));
                }
            }
        }
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert(key, limits.clone());
        Ok(limits)
    }

    /// A scope was judged by `offer` when it was granted, so all of it is a search.
    fn filters(&self, of: Type, constraints: &[Constraint]) -> Result<Vec<Filter>> {
        let pairs: Vec<(String, String)> = constraints.iter().map(|one| (one.param().to_owned(), one.value().to_owned())).collect();
        let query = search::parse(of, &pairs, &Terms { handling: Handling::Strict, base: offer::BASE, now: self.issued_at });
        Ok(query.map_err(Error::bug)?.filters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Named, PatientRule};
    use crate::config::RoleTable;
    use crate::id::GrantId;
    use crate::search::{DateRange, IndexRow, Opened};

    fn caller(role: Role, scopes: &str) -> Caller {
        Caller {
            credential: GrantId::from_random([1; 16]),
            role,
            scopes: super::scopes(scopes).unwrap(),
            user: None,
            whom: if role.rule() == PatientRule::All { Whom::Everybody } else { [PatientId([1; 16])].into_iter().collect() },
            issued_at: 0,
            client: None,
            account: None,
            fhir_user: None,
            auth_time: None,
            context: None,
            jkt: None,
            emergencies: Arc::from([]),
            withheld: Arc::default(),
            until: None,
        }
    }

    /// Is an Observation of this patient with these tokens seen?
    fn sees(visible: &Visible, patient: u8, tokens: &[(&'static str, &str)]) -> bool {
        let token = |(param, code): &(&'static str, &str)| IndexRow::Token { param, system: None, code: (*code).to_owned() };
        let rows: Vec<IndexRow> = tokens.iter().map(token).collect();
        let opened = Opened { id: "x", rows: &rows, last_updated: DateRange::instant(0) };
        visible.judge(Some(PatientId([patient; 16])), &opened).is_some()
    }

    fn role(scopes: &str, patients: &str) -> Role {
        let of = |text: &str| text.to_owned();
        let table =
            RoleTable { named: of("firth.toml: role.it"), name: of("it"), scopes: of(scopes), patients: of(patients), purpose: None };
        let roles = crate::access::Roles::of(&[table], &offer).unwrap();
        roles.named("it").unwrap()
    }

    #[test]
    fn what_role_and_token_limit_must_both_be_met() {
        let nurse = role("user/Observation.rs?category=a,b user/Device.r", "care-team");
        assert!(matches!(nurse, Role::Named(Named { .. })));
        let policy = Policy::of(&caller(nurse, "user/Observation.rs?code=x user/Observation.r?code=y user/Patient.rs"));
        let visible = policy.visible(Type::Observation, Interaction::Read).unwrap();
        assert!(sees(&visible, 1, &[("category", "b"), ("code", "y")]));
        for (patient, category, code) in [(2, "b", "y"), (1, "c", "y"), (1, "b", "z")] {
            assert!(!sees(&visible, patient, &[("category", category), ("code", code)]));
        }
        assert_eq!(visible.said(), "user/Observation.rs?category=a,b, and user/Observation.rs?code=x user/Observation.r?code=y");
        let searched = policy.visible(Type::Observation, Interaction::Search).unwrap();
        assert!(sees(&searched, 1, &[("category", "a"), ("code", "x")]) && !sees(&searched, 1, &[("category", "a"), ("code", "y")]));
        // The role alone, and the token alone, allow nothing.
        for of in [Type::Device, Type::Patient, Type::Encounter] {
            assert_eq!(policy.may(of, Interaction::Read).unwrap_err().kind, Kind::Forbidden, "{of:?}");
        }
    }

    #[test]
    fn two_letters_are_both_needed() {
        let policy = Policy::of(&caller(Role::Clinician, "user/Observation.r?category=a user/Observation.s?code=x user/Device.r"));
        let both = policy.both(Type::Observation, (Interaction::Read, Interaction::Search)).unwrap();
        for (category, code, seen) in [("a", "x", true), ("a", "y", false), ("b", "x", false)] {
            assert_eq!(sees(&both, 1, &[("category", category), ("code", code)]), seen);
        }
        assert!(policy.both(Type::Device, (Interaction::Read, Interaction::Search)).is_err());
    }

    #[test]
    fn without_limits_nothing_is_opened() {
        let policy = Policy::of(&caller(Role::EhrSystem, "system/*.cruds system/Observation.rs?code=x"));
        let visible = policy.visible(Type::Observation, Interaction::Read).unwrap();
        assert!(visible.is_everything() && visible.at_once(None).is_some() && visible.said().is_empty());
        let limited = Policy::of(&caller(Role::EhrSystem, "system/Observation.rs?code=x"));
        let limited = limited.visible(Type::Observation, Interaction::Read).unwrap();
        assert!(!limited.is_everything() && limited.at_once(None).is_none() && limited.chosen_at_once().is_none());
    }

    #[test]
    fn what_is_shared_is_read_by_many_and_written_by_those_who_see_all() {
        let policy = Policy::of(&caller(Role::Clinician, "user/*.rs"));
        let shared = policy.visible(Type::Organization, Interaction::Read).unwrap();
        assert!(shared.reaches(None) && !shared.owns(None) && shared.patients().is_none() && shared.rule().is_some());
        let own = policy.visible(Type::Device, Interaction::Read).unwrap();
        assert!(!own.reaches(None) && own.reaches(Some(PatientId([1; 16]))) && !own.reaches(Some(PatientId([2; 16]))));
    }

    #[test]
    fn a_target_is_what_may_be_read_or_where_nothing_may_what_the_rule_lets_through() {
        let policy = Policy::of(&caller(Role::Clinician, "user/Observation.cr?code=x"));
        assert!(!sees(&policy.pointed(Type::Observation), 1, &[("code", "y")]));
        assert!(sees(&policy.pointed(Type::Device), 1, &[]) && !sees(&policy.pointed(Type::Device), 2, &[]));
    }
}
