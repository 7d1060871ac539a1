//! Roles by the operator's hand: what there is.

use super::{noted, text};
use crate::access::{NO_RESEARCHER, Role};
use crate::app::App;
use crate::audit::Entry;
use crate::error::{Error, Kind, Result};
use serde_json::Value;

/// The role of this name, which an account, a client or a token may have.
pub(super) fn named(app: &App, order: &Value) -> Result<Role> {
    let name = text(order, "role").unwrap_or_default();
    if name == "researcher" {
        return Err(Error::new(Kind::Usage, NO_RESEARCHER));
    }
    app.roles.named(&name).ok_or_else(|| {
        let known: Vec<&str> = app.roles.iter().filter(|role| role.is_granted()).map(Role::name).collect();
        Error::new(Kind::Usage, format!("there is no role '{name}'; choose one of {}", known.join(", ")))
    })
}

/// A line a role: name, whose data, scopes, separated by tabs.
pub(super) fn list(app: &App, entry: &Entry) -> Result<String> {
    let line = |role: Role| format!("{}\t{}\t{}\n", role.name(), role.rule().name(), role.scopes());
    let lines = app.roles.iter().map(line).collect();
    noted(app, entry).map(|()| lines)
}
