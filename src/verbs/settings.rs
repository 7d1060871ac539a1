//! From the environment, the file and the flags to one `Config`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Where;
use crate::access::{Context, Role, Roles, Scopes};
use crate::config::{Config, RoleTable};
use crate::error::{Error, Kind, Result};
use crate::policy;

/// All faults are told in one line each; the first line names how many there are.
pub fn read(place: &Where) -> Result<Config> {
    let vars: Vec<(String, String)> = std::env::vars().collect();
    let name = place.config.as_deref().unwrap_or(Path::new("firth.toml"));
    let text = match &place.config {
        Some(path) => Some(
            fs::read_to_string(path)
                .map_err(|e| Error::new(Kind::Setting, format!("{} cannot be read ({e}); correct --config", path.display())))?,
        ),
        None => fs::read_to_string(name).ok(),
    };
    let name = name.to_string_lossy();
    let mut config = Config::judged(&vars, text.as_deref().map(|text| (&*name, text)), roles)
        .map_err(|faults| Error::new(Kind::Setting, faults.join("; ")))?;
    if let Some(dir) = &place.data_dir {
        config.data_dir.clone_from(dir);
    }
    if let Some(file) = &place.root_key {
        config.root_key_file.clone_from(file);
    }
    Ok(config)
}

/// Who runs the verb, for the audit log: whom sudo was called by, else the user that the environment or the kernel names.
/// Nothing proves it: whoever may run a verb may say who it is.
pub fn operator() -> Option<String> {
    let named =
        ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.trim().is_empty());
    named.or_else(|| fs::metadata("/proc/self").ok().map(|own| format!("uid {}", own.uid())))
}

fn roles(config: &Config) -> Vec<String> {
    let mut faults = Roles::faults(&config.roles, &policy::offer);
    let of_people = Role::BUILT_IN.iter().filter(|role| role.is_granted() && role.fits(Context::User)).map(|role| role.name());
    let of_user = |table: &&RoleTable| Scopes::granular(&table.scopes, &policy::offer).is_ok_and(|of| !of.within(Context::User).is_empty());
    let known: Vec<&str> = of_people.chain(config.roles.iter().filter(of_user).map(|table| table.name.as_str())).collect();
    let by_claims = config.sign_in.iter().flat_map(|sign_in| &sign_in.roles).filter(|(_, role)| !known.contains(&role.as_str()));
    faults.extend(by_claims.map(|(claim, role)| {
        format!("sign_in.roles gives {claim} the role '{role}', which people do not have here; choose one of {}", known.join(", "))
    }));
    faults
}
