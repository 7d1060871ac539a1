//! SMART on FHIR: what the specification demands and what an attacker tries, row by row, through HTTP.

mod matrix;
