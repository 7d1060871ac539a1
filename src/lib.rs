//! Firth: a FHIR R4 server for wearable data. The rooms, bottom floor first.

pub mod chance;
pub mod clock;
pub mod error;
pub mod id;

pub mod config;
pub mod outside;
pub mod telemetry;
pub mod vault;

pub mod fhir;
pub mod jose;

pub mod access;
pub mod mapping;
pub mod oidc;
pub mod search;
pub mod series;

pub mod ingest;
pub mod policy;

pub mod store;

pub mod audit;

pub mod ledger;

pub mod app;

pub mod api;
pub mod control;
pub mod jobs;

pub mod bench;
pub mod verbs;
