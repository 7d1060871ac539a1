//! Which resources a caller may have by which interaction: role, scopes with their constraints, patient rule and Consent,
//! compiled to one predicate, `Visible`.
//!
//! A `Visible` is had by naming the interaction, and nothing in `store` shows a resource without one: what is shown
//! carries the proof, `Seen`, that a `Visible` has judged it. So no way to a resource can leave a constraint out. Pure.

mod offer;
mod visible;

pub use offer::{offer, scopes};
pub use visible::{Certain, Limit, Seen, Visible, Withheld};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Allowed, Caller, Constraint, Interaction, Role, Scopes, Whom};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::search::{self, Filter, Handling, Terms, Type};

/// What one caller may do, for as long as one request takes.
#[derive(Debug)]
pub struct Policy {
    role: Role,
    scopes: Scopes,
    whom: Whom,
    /// What an approximate date is near to: a scope means the same as long as its token lives.
    issued_at: Millis,
    withheld: Vec<(Type, Arc<Withheld>)>,
    /// Constraints, as far as they were compiled.
    compiled: Mutex<HashMap<(Type, u8), Vec<Arc<Limit>>>>,
}

impl Policy {
    pub fn of(who: &Caller) -> Policy {
        let (role, scopes, whom) = (who.role, who.scopes.clone(), who.whom());
        Policy { role, scopes, whom, issued_at: who.issued_at, withheld: Vec::new(), compiled: Mutex::default() }
    }

    /// Keeps resources of a type from the caller, whatever the interaction.
    pub fn withholding(mut self, of: Type, withheld: Withheld) -> Policy {
        self.withheld.push((of, Arc::new(withheld)));
        self
    }

    /// May the caller look across patients where only a scan can answer?
    pub fn is_system(&self) -> bool {
        self.role.is_system()
    }

    /// The resources of the type on which the caller may do this; `Kind::Forbidden` when role and scopes together allow it
    /// on none. What a role limits and what the token limits must both be met.
    pub fn visible(&self, of: Type, interaction: Interaction) -> Result<Visible> {
        let all = self.role.scopes().allow(of.name(), interaction) && self.scopes.allow(of.name(), interaction);
        let limits = if all { Vec::new() } else { self.limits(of, interaction)? };
        Ok(self.seeing(of, limits))
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
        self.visible(of, Interaction::Read).unwrap_or_else(|_| self.ruled(of))
    }

    /// By the patient rule and Consent alone: for what is not shown.
    pub fn ruled(&self, of: Type) -> Visible {
        self.seeing(of, Vec::new())
    }

    fn seeing(&self, of: Type, limits: Vec<Arc<Limit>>) -> Visible {
        let withheld = self.withheld.iter().filter(|(kind, _)| *kind == of).map(|(_, withheld)| Arc::clone(withheld));
        Visible::compiled(of, self.whom.clone(), limits, withheld.collect())
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
