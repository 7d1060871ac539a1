//! The integration tests: one binary. A test arranges actors, does one thing, and asserts JSON by path.
//!
//! `both!` runs a test against the built binary on SQLite and on PostgreSQL.

#[macro_use]
mod support;

mod audit;
mod authorize;
mod binary;
mod brands;
mod break_glass;
mod bundles;
mod capability;
mod care_team;
mod conformance;
mod consent;
mod consent_actors;
mod cors;
mod crash;
mod crash_transactions;
mod demo;
mod documents;
mod edited;
mod ehr;
mod fhir_search;
mod generated;
mod granular;
mod granular_chance;
mod granular_writes;
mod headers;
mod history;
mod house_rules;
mod identity;
mod interference;
mod interference_asks;
mod interference_system;
mod leak;
mod limits;
mod mappings;
mod merge;
mod migrations;
mod model;
mod negotiation;
mod newest;
mod oauth_asks;
mod oauth_code;
mod oauth_discovery;
mod oauth_ends;
mod oauth_service;
mod pages;
mod races;
mod refusals;
mod roles;
mod roles_file;
mod sdk_clients;
mod sdk_refusals;
mod sdk_upload;
mod sign_in;
mod slow;
mod smart;
mod start;
mod upstream;
mod users;
mod validate;
