//! The tables `[role.NAME]` of the settings file, as they are written. What they mean `access::Roles` judges.

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleTable {
    /// The file and the key, for a fault.
    pub named: String,
    pub name: String,
    /// SMART scopes, separated by blanks.
    pub scopes: String,
    /// `all`, `care-team`, `self` or `none`.
    pub patients: String,
    /// What its requests are for: a code of v3-ActReason.
    pub purpose: Option<String>,
}

const KEYS: [&str; 2] = ["scopes", "patients"];
const PURPOSE: &str = "purpose";

/// Those tables that are whole; the others are faults.
pub(super) fn read(file: &str, value: toml::Value, faults: &mut Vec<String>) -> Vec<RoleTable> {
    let toml::Value::Table(roles) = value else {
        faults.push(format!("{file}: role must be a table for each role; write [role.NAME], and scopes and patients below it"));
        return Vec::new();
    };
    let mut whole = Vec::new();
    for (name, value) in roles {
        let named = format!("{file}: role.{name}");
        let toml::Value::Table(mut table) = value else {
            faults.push(format!("{named} must be a table; write [role.{name}], and scopes and patients below it"));
            continue;
        };
        let [scopes, patients] = KEYS.map(|key| match table.remove(key) {
            Some(toml::Value::String(text)) => Some(text),
            Some(_) => {
                faults.push(format!("{named}.{key} must be a text; put it in quotation marks"));
                None
            }
            None => {
                faults.push(format!("{named} has no {key}; add {key} = \"...\""));
                None
            }
        });
        let purpose = match table.remove(PURPOSE) {
            Some(toml::Value::String(text)) => Some(text),
            Some(_) => {
                faults.push(format!("{named}.{PURPOSE} must be a text; put it in quotation marks"));
                None
            }
            None => None,
        };
        let known = [KEYS[0], KEYS[1], PURPOSE].join(", ");
        faults.extend(table.keys().map(|key| format!("{named}.{key} is no key of a role; a role has {known}")));
        if let (Some(scopes), Some(patients)) = (scopes, patients) {
            whole.push(RoleTable { named, name, scopes, patients, purpose });
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read(&[], Some(("firth.toml", text)))
    }

    #[test]
    fn tables_of_roles_stand_beside_settings() {
        let config = read("raw_retention_days = 7\n[role.nurse]\nscopes = \"user/*.rs\"\npatients = \"care-team\"").unwrap();
        let nurse = &config.roles[0];
        assert_eq!((config.raw_retention_days, config.roles.len()), (7, 1));
        assert_eq!((&*nurse.name, &*nurse.scopes, &*nurse.patients), ("nurse", "user/*.rs", "care-team"));
        assert_eq!(nurse.named, "firth.toml: role.nurse");
    }

    #[test]
    fn every_fault_of_the_tables_is_told_with_the_others() {
        let text = "datadir = \"x\"\n[role]\na = 1\n[role.b]\nscopes = 2\nscope = \"user/*.rs\"";
        let faults = read(text).unwrap_err();
        for said in [
            "firth.toml: datadir is no setting; did you mean data_dir?",
            "firth.toml: role.a must be a table",
            "firth.toml: role.b.scopes must be a text",
            "firth.toml: role.b has no patients; add patients",
            "firth.toml: role.b.scope is no key of a role; a role has scopes, patients, purpose",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(said)), "{said}: {faults:?}");
        }
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(read("role = 1").unwrap_err()[0].contains("firth.toml: role must be a table for each role"));
    }
}
