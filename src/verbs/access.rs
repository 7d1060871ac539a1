//! `firth role ...`: who may do what.

use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand, Debug)]
pub enum RoleVerb {
    /// List the built-in roles and those of firth.toml: name, whose data, scopes
    List,
}

impl RoleVerb {
    /// For the server that holds the store.
    pub fn order(&self) -> Value {
        match self {
            RoleVerb::List => json!({"verb": "role list"}),
        }
    }
}
