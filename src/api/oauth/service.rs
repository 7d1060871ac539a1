//! Backend services (SMART App Launch 2.2 "backend services"): a client's own proof for scopes of `system/`, within its
//! registration and its role.

use super::token::{Asking, Settled};
use crate::access::{Context, Requested, Role, Scopes};
use crate::error::{Error, Kind, Result};
use crate::ledger::clients::Proof;
use crate::ledger::grants::{self, Granted};
use crate::store::Tx;
use crate::vault::Vault;

pub fn granted(tx: &mut Tx<'_>, vault: &Vault, asking: &Asking) -> Result<Settled> {
    let facts = &asking.client.facts;
    if facts.kind != Proof::Keys {
        return Err(Error::new(Kind::ClientUnfit, "client_credentials is for clients that prove who they are by private_key_jwt"));
    }
    let role = facts.role.as_deref().and_then(|role| asking.roles.named(role));
    let role = role.ok_or_else(|| Error::new(Kind::ClientUnfit, "the client has no role; an operator gives it one"))?;
    let scopes = scopes(asking.scopes()?.unwrap_or(&Requested::default()), &facts.scopes, role)?.to_string();
    let granted = Granted { scopes: scopes.clone(), role: role.name().to_owned(), ..Granted::default() };
    let held = grants::service(tx, vault, asking.client.id, &granted)?;
    Ok(Settled { held, scopes, refresh: None, fhir_user: None })
}

/// What is asked, as far as registration and role allow it. A scope of which nothing is left is refused, not passed over.
fn scopes(requested: &Requested, registered: &str, role: Role) -> Result<Scopes> {
    let refused = |says: String| Error::new(Kind::ScopeRefused, says).at("scope");
    if let Some(plain) = requested.plain.first() {
        return Err(refused(format!("'{}' is for apps of people", plain.name())));
    }
    if requested.scopes.of_one_context().map_err(|e| refused(e.says().to_owned()))? != Some(Context::System) {
        return Err(refused("ask for scopes of system/".into()));
    }
    let registered = grants::of_resources(registered)?;
    for one in requested.scopes.to_string().split(' ') {
        let one = grants::of_resources(one)?;
        if one.narrowed(&registered).narrowed(role.scopes()).is_empty() {
            return Err(refused(format!("'{one}' is more than the client is registered for and its role allows")));
        }
    }
    Ok(requested.scopes.narrowed(&registered).narrowed(role.scopes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy;

    #[test]
    fn scopes_are_those_of_registration_and_role() {
        let of = |asked: &str| {
            let asked = Requested::parse(asked, &policy::offer).unwrap();
            scopes(&asked, "system/Patient.rs system/Observation.cruds", Role::EhrSystem).map(|scopes| scopes.to_string())
        };
        for (asked, granted) in [
            ("system/Patient.rs", "system/Patient.rs"),
            ("system/Patient.cruds", "system/Patient.rs"),
            ("system/Observation.read system/Patient.read", "system/Observation.read system/Patient.read"),
            ("system/*.rs", "system/Patient.rs system/Observation.rs"),
        ] {
            assert_eq!(of(asked).unwrap(), granted, "{asked}");
        }
        for refused in [
            "",
            " ",
            "openid system/Patient.rs",
            "system/Device.rs",
            "system/Patient.rs system/Device.rs",
            "system/Patient.d",
            "patient/Patient.rs",
            "user/Patient.rs",
            "system/Immunization.rs",
            "system/AuditEvent.rs",
        ] {
            let refused = of(refused).expect_err(refused);
            assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::ScopeRefused, Some("scope")));
        }
    }
}
