//! The FHIR API: one file an interaction.

pub mod conditional;
pub mod cursor;
pub mod history;
pub mod metadata;
pub mod read;
pub mod search;

use std::collections::HashMap;

use crate::access::{Caller, Visible};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::{PatientId, Shelf};
use crate::search::Type;
use crate::store::{Tx, keys};

/// The type in the path; an unknown one is 404.
fn resource(name: &str) -> Result<Type> {
    Type::parse(name).ok_or_else(|| Error::new(Kind::NotFound, format!("this server has no resources of type {name}")))
}

/// Every handler of a route with `Need::Token` has a caller.
fn caller(caller: Option<&Caller>) -> Result<&Caller> {
    caller.ok_or_else(|| Error::new(Kind::Unauthenticated, "no token was sent"))
}

/// Has the caller a shelf of this patient in view? What is nobody's is seen by those who see all.
fn sees(visible: &Visible, patient: Option<PatientId>) -> bool {
    match visible {
        Visible::All => true,
        Visible::Patients(patients) => patient.is_some_and(|patient| patients.contains(&patient)),
    }
}

/// The patients behind shelves, each once.
fn patients(tx: &mut Tx<'_>, owners: &HashMap<Shelf, PatientId>, shelves: impl Iterator<Item = Shelf>) -> Result<Vec<String>> {
    let mut known: Vec<Shelf> = shelves.collect();
    known.sort_unstable();
    known.dedup();
    let mut patients = Vec::new();
    for shelf in known {
        let owner = match owners.get(&shelf) {
            Some(owner) => Some(*owner),
            None => keys::patient_of(tx, shelf)?,
        };
        patients.extend(owner.map(|patient| patient.to_string()));
    }
    patients.sort_unstable();
    patients.dedup();
    Ok(patients)
}

/// The base of every absolute link.
fn base(app: &App) -> String {
    format!("{}/fhir", app.public_url)
}
