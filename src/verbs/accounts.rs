//! `firth account ...`: who may sign in.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};

#[derive(Subcommand, Debug)]
pub enum AccountVerb {
    /// Make a login; its first password is printed once, and changed at the first sign-in
    Add {
        /// What the person types to sign in
        name: String,
        /// A role of `firth role list`
        #[arg(long)]
        role: Option<String>,
        /// Whose login it is: Practitioner/ID, PractitionerRole/ID, Patient/ID or RelatedPerson/ID
        #[arg(long, value_name = "TYPE/ID")]
        fhir_user: Option<String>,
        /// Ask for a code of an authenticator app, too; prints the URI to set it up
        #[arg(long)]
        totp: bool,
        /// Take the password from standard input; it need not be changed
        #[arg(long, conflicts_with = "no_password")]
        password_stdin: bool,
        /// Only the provider of [sign_in] lets the person in
        #[arg(long)]
        no_password: bool,
    },
    /// End its sessions and what it granted; nobody signs in with it until `reset`
    Disable { name: String },
    /// Give a new first password; what is disabled is active again
    Reset {
        name: String,
        /// Give a new secret for the authenticator app as well
        #[arg(long, conflicts_with = "no_totp")]
        totp: bool,
        /// Ask for no code any more
        #[arg(long)]
        no_totp: bool,
        /// Take the password from standard input; it need not be changed
        #[arg(long, conflicts_with = "no_password")]
        password_stdin: bool,
        /// No password: only the provider of [sign_in] lets the person in
        #[arg(long)]
        no_password: bool,
    },
    /// Let somebody sign in who is this subject at this OpenID Provider
    Link {
        name: String,
        /// The provider's issuer, as its tokens say it
        #[arg(long)]
        issuer: String,
        /// The person's `sub` there
        #[arg(long)]
        subject: String,
    },
    /// Take that back; its sessions end and what it granted does
    Unlink {
        name: String,
        /// The provider's issuer, as `show` prints it
        #[arg(long)]
        issuer: String,
        /// The person's `sub` there
        #[arg(long)]
        subject: String,
    },
    /// All that is kept of a login, and who is linked to it; never a secret
    Show { name: String },
    /// List logins: id, name, role, fhirUser, how they sign in, state
    List,
}

impl AccountVerb {
    /// For the server that holds the store.
    pub fn order(&self) -> Result<Value> {
        Ok(match self {
            AccountVerb::Add { name, role, fhir_user, totp, password_stdin, no_password } => {
                let password = from_stdin(*password_stdin)?;
                json!({"verb": "account add", "name": name, "role": role, "fhir_user": fhir_user, "totp": totp, "password": password, "no_password": no_password})
            }
            AccountVerb::Disable { name } => json!({"verb": "account disable", "name": name}),
            AccountVerb::Reset { name, totp, no_totp, password_stdin, no_password } => {
                let password = from_stdin(*password_stdin)?;
                json!({"verb": "account reset", "name": name, "totp": totp, "no_totp": no_totp, "password": password, "no_password": no_password})
            }
            AccountVerb::Link { name, issuer, subject } => {
                json!({"verb": "account link", "name": name, "issuer": issuer, "subject": subject})
            }
            AccountVerb::Unlink { name, issuer, subject } => {
                json!({"verb": "account unlink", "name": name, "issuer": issuer, "subject": subject})
            }
            AccountVerb::Show { name } => json!({"verb": "account show", "name": name}),
            AccountVerb::List => json!({"verb": "account list"}),
        })
    }
}

/// One line; a password in an argument would stand in the list of processes.
fn from_stdin(wanted: bool) -> Result<Option<String>> {
    if !wanted {
        return Ok(None);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Error::new(Kind::Usage, format!("standard input cannot be read: {e}")))?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
