//! SMART on FHIR: what the specification demands and what an attacker tries, row by row, through HTTP.

mod discovery;
mod doors;
pub mod flow;
mod launch;
mod matrix;
mod requirements;
mod services;
