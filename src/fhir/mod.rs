//! DOOR fhir_sdk: what we author (OperationOutcome, CapabilityStatement, Patient, Device, AuditEvent),
//! and the numbers, times and shapes that the other rooms speak of. Non-generic functions only:
//! `render::json` is the one place that serialises fhir_sdk's types.

mod audit_action;
pub mod audit_event;
pub mod body;
pub mod brands;
pub mod bundle;
pub mod capability;
pub mod decimal;
pub mod definitions;
pub mod device;
pub mod interaction;
pub mod number;
pub mod outcome;
pub mod patch;
pub mod patient;
pub mod patient_link;
mod render;
pub mod shape;
pub mod stamp;
pub mod validate;
