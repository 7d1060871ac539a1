//! `firth client`: apps and backend services that ask for tokens.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Where, ask};
use crate::error::{Error, Kind, Result};

#[derive(Subcommand, Debug)]
pub enum ClientVerb {
    /// Make a client, approved; its secret is printed once
    Add(Box<Add>),
    /// Approve a client that was registered and waits, or one that was disabled; prints what was approved
    Approve {
        id: String,
        /// The role of a backend service
        #[arg(long)]
        role: Option<String>,
        /// What it may ask for, instead of what it was registered with; may be given more than once
        #[arg(long)]
        scope: Vec<String>,
    },
    /// Give it a new secret, or new keys; the old ones end at once
    Rotate {
        id: String,
        #[command(flatten)]
        keys: Keys,
    },
    /// Refuse it from now on, and end all that it was granted
    Disable { id: String },
    /// List clients
    List,
    /// Show all that was registered of one: look before you approve it
    Show { id: String },
}

#[derive(Args, Debug)]
pub struct Add {
    /// What people read when they are asked
    #[arg(long)]
    name: String,
    /// Where a browser is sent back to; may be given more than once
    #[arg(long)]
    redirect_uri: Vec<String>,
    /// What it may ask for at most; may be given more than once
    #[arg(long)]
    scope: Vec<String>,
    /// Makes it a backend service of this role, for example ehr-system
    #[arg(long)]
    role: Option<String>,
    /// It can keep no secret: an app in a browser or on a phone
    #[arg(long, conflicts_with_all = ["secret", "jwks", "jwks_uri"])]
    public: bool,
    /// It proves who it is by a secret
    #[arg(long, conflicts_with_all = ["jwks", "jwks_uri"])]
    secret: bool,
    #[command(flatten)]
    keys: Keys,
    /// An origin from which a browser may call; may be given more than once
    #[arg(long)]
    origin: Vec<String>,
    /// Where an EHR starts it
    #[arg(long)]
    launch_uri: Option<String>,
    #[arg(long)]
    logo_uri: Option<String>,
    /// Whom to write to; may be given more than once
    #[arg(long)]
    contact: Vec<String>,
    /// Its tokens are bound to a key (DPoP)
    #[arg(long)]
    dpop_bound: bool,
}

/// The public keys of a client that proves who it is by `private_key_jwt`.
#[derive(Args, Debug)]
pub struct Keys {
    /// A JWK Set with its public keys (RS384 or ES384)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// Where its JWK Set is
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// The JWK Set is on this machine or in a private network
    #[arg(long, requires = "jwks_uri")]
    private_jwks_uri: bool,
}

impl Keys {
    fn put(&self, order: &mut Value) -> Result<()> {
        order["jwks"] = json!(self.jwks.as_deref().map(text).transpose()?);
        order["jwks_uri"] = json!(self.jwks_uri);
        order["jwks_private"] = json!(self.private_jwks_uri);
        Ok(())
    }
}

fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| Error::new(Kind::Usage, format!("{} cannot be read: {e}", file.display())))
}

pub fn run(place: &Where, what: &ClientVerb) -> Result<()> {
    let order = match what {
        ClientVerb::Add(add) => {
            let kind = match () {
                () if add.public => "public",
                () if add.secret => "secret",
                () if add.keys.jwks.is_some() || add.keys.jwks_uri.is_some() => "keys",
                () => "",
            };
            let mut order = json!({"verb": "client add", "kind": kind, "name": add.name, "redirect_uris": add.redirect_uri,
                "scopes": add.scope, "role": add.role, "origins": add.origin, "launch_uri": add.launch_uri,
                "logo_uri": add.logo_uri, "contacts": add.contact, "dpop_bound": add.dpop_bound});
            add.keys.put(&mut order)?;
            order
        }
        ClientVerb::Approve { id, role, scope } => json!({"verb": "client approve", "id": id, "role": role, "scopes": scope}),
        ClientVerb::Rotate { id, keys } => {
            let mut order = json!({"verb": "client rotate", "id": id});
            keys.put(&mut order)?;
            order
        }
        ClientVerb::Disable { id } => json!({"verb": "client disable", "id": id}),
        ClientVerb::List => json!({"verb": "client list"}),
        ClientVerb::Show { id } => json!({"verb": "client show", "id": id}),
    };
    ask::tell(place, &order)
}
