//! The FHIR API: one file an interaction.

pub mod batch;
pub mod binary;
pub mod break_glass;
pub mod changes;
pub mod conditional;
pub mod create;
pub mod cursor;
pub mod delete;
pub mod history;
pub mod merge;
pub mod metadata;
pub mod openapi;
pub mod patch;
pub mod read;
pub mod search;
pub mod transaction;
pub mod update;
pub mod validate;
mod write;

use std::collections::HashMap;

use crate::access::{Caller, Interaction};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::Shelf;
use crate::ledger::conditional::Criteria;
use crate::policy::Policy;
use crate::search::{Handling, Terms, Type, parse};
use crate::store::keys::Whose;
use crate::store::{Tx, keys};

/// The type in the path; an unknown one is 404.
fn resource(name: &str) -> Result<Type> {
    Type::parse(name).ok_or_else(|| Error::new(Kind::NotFound, format!("this server has no resources of type {name}")))
}

/// Every handler of a route with `Need::Token` has a caller.
fn caller(caller: Option<&Caller>) -> Result<&Caller> {
    caller.ok_or_else(|| Error::new(Kind::Unauthenticated, "no token was sent"))
}

/// A type that clients may write.
fn document(name: &str) -> Result<Type> {
    let of = resource(name)?;
    if of.is_document() { Ok(of) } else { Err(Error::new(Kind::Forbidden, format!("{name} resources are written by the server only"))) }
}

/// `Kind::Method` of a type whose resources are only read.
fn written(of: Type) -> Result<()> {
    if of.is_document() {
        return Ok(());
    }
    Err(Error::new(Kind::Method, format!("{} resources are written by the server only; they are read with GET and HEAD", of.name())))
}

/// What a conditional interaction looks for, and what it does to what it finds. A create does nothing to it.
fn criteria(app: &App, policy: &Policy, of: (Type, Option<Interaction>), pairs: &[(String, String)]) -> Result<Criteria> {
    let (of, does) = of;
    let searched = policy.sought(of)?;
    let visible = does.map_or(Ok(searched.clone()), |does| Ok(searched.narrowed(policy.visible(of, does)?)))?;
    let query = parse(of, pairs, &Terms { handling: Handling::Strict, base: &base(app), now: app.clock.now() })?;
    if query.filters.is_empty() {
        return Err(Error::new(Kind::NoCriteria, format!("the criteria name no search parameter of {}", of.name())));
    }
    Ok(Criteria { query, visible, system: policy.is_system(), said: String::new(), at: String::new() })
}

/// The patients behind shelves, each once; of those who were merged both ids.
fn patients(tx: &mut Tx<'_>, owners: &HashMap<Shelf, Whose>, shelves: impl Iterator<Item = Shelf>) -> Result<Vec<String>> {
    let mut known: Vec<Shelf> = shelves.collect();
    known.sort_unstable();
    known.dedup();
    let mut patients = Vec::new();
    for shelf in known {
        let owner = match owners.get(&shelf) {
            Some(owner) => Some(*owner),
            None => keys::whose(tx, shelf)?,
        };
        patients.extend(owner.map(Whose::named).unwrap_or_default());
    }
    patients.sort_unstable();
    patients.dedup();
    Ok(patients)
}

/// The base of every absolute link.
fn base(app: &App) -> String {
    format!("{}/fhir", app.public_url)
}
