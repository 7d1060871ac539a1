//! Which resources a caller may have by which interaction: role, scopes with their constraints, patient rule and Consent,
//! compiled to one predicate, `Visible`.
//!
//! A `Visible` is had by naming the interaction, and nothing in `store` shows a resource without one: what is shown
//! carries the proof, `Seen`, that a `Visible` has judged it. So no way to a resource can leave a constraint out. Pure.

mod consent;
mod offer;
mod visible;

pub use offer::{offer, scopes};
pub use visible::{Certain, Limit, Seen, Visible, Withheld};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::consent::Withholding;
use crate::access::{Allowed, Caller, Constraint, Interaction, Role, Scopes, Whom};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::PatientId;
use crate::search::{self, Filter, Handling, Terms, Type};

/// What one caller may do, for as long as one request takes.
#[derive(Debug)]
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
    /// Constraints, as far as they were compiled.
    compiled: Mutex<HashMap<(Type, u8), Vec<Arc<Limit>>>>,
}

impl Policy {
    pub fn of(who: &Caller) -> Policy {
        Policy {
            role: who.role,
            scopes: who.scopes.clone(),
            whom: who.whom.clone(),
            issued_at: who.issued_at,
            emergencies: Arc::clone(&who.emergencies),
            withheld: Arc::clone(&who.withheld),
            compiled: Mutex::default(),
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

    /// Is it allowed on any resource of the type?
    pub fn may(&self, of: Type, interaction: Interaction) -> Result<()> {
        self.visible(of, interaction).map(|_| ())
    }

    /// On which both may be done: an interaction that is two at once.
    pub fn both(&self, of: Type, interactions: (Interaction, Interaction)) -> Result<Visible> {
        Ok(self.visible(of, interactions.0)?.narrowed(self.visible(of, interactions.1)?))
    }

    /// To what a resource may point that the caller writes: what may be read, and where the scopes do not open the type at
    /// all, what the patient rule lets through. Else nobody could write who may not read.
    pub fn pointed(&self, of: Type) -> Visible {
        let limits = self.limited(of, Interaction::Read).unwrap_or_default();
        self.seeing((of, Interaction::Read), limits, &[])
    }

    /// By the patient rule and Consent alone: for what is not shown.
    pub fn ruled(&self, of: Type) -> Visible {
        self.seeing((of, Interaction::Read), Vec::new(), &self.emergencies)
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
        // The Consent itself is for those to read who keep to it, and the audit log is nobody's to withhold.
        if matches!(of, Type::Consent | Type::AuditEvent) {
            return Visible::compiled(of, whom, limits, Vec::new());
        }
        let mut withheld = Vec::new();
        for group in self.withheld.on(of.name(), interaction).iter() {
            let patients = match emergencies {
                [] => Arc::clone(&group.patients),
                _ => group.patients.iter().filter(|patient| !emergencies.contains(patient)).copied().collect(),
            };
            withheld.extend(consent::withheld(of, group, &patients).into_iter().map(Arc::new));
        }
        Visible::compiled(of, whom, limits, withheld)
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
