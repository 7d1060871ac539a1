//! `firth role ...` and `firth access ...`: who may do what, and who did in an emergency.

use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand, Debug)]
pub enum RoleVerb {
    /// List the built-in roles and those of firth.toml: name, whose data, scopes
    List,
    /// Give an account a role, in the place of the one that it has
    Grant {
        /// The account's name
        account: String,
        role: String,
    },
    /// Take an account's role: it may do nothing then
    Revoke { account: String },
}

impl RoleVerb {
    /// For the server that holds the store.
    pub fn order(&self) -> Value {
        match self {
            RoleVerb::List => json!({"verb": "role list"}),
            RoleVerb::Grant { account, role } => json!({"verb": "role grant", "name": account, "role": role}),
            RoleVerb::Revoke { account } => json!({"verb": "role revoke", "name": account}),
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum AccessVerb {
    /// Who saw a patient by break-glass, why, and what was read; closed one by one
    Review {
        /// The id of one that was looked at
        #[arg(long, requires = "disposition")]
        close: Option<String>,
        /// What was found: "justified: ...", "reported to ..."
        #[arg(long, requires = "close")]
        disposition: Option<String>,
    },
}

impl AccessVerb {
    pub fn order(&self) -> Value {
        match self {
            AccessVerb::Review { close, disposition } => json!({"verb": "access review", "close": close, "disposition": disposition}),
        }
    }
}
