//! The tables of this binary as Markdown; `docs/` holds the same text, and a test compares.

use clap::ValueEnum;

use crate::api::ROUTES;
use crate::api::capability;
use crate::config::SETTINGS;
use crate::error::{Kind, Result};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Table {
    Settings,
    Errors,
    Routes,
    Capability,
}

pub fn run(table: &Table) -> Result<()> {
    print!("{}", text(*table)?);
    Ok(())
}

/// The table as it stands in `docs/`.
pub fn text(table: Table) -> Result<String> {
    let mut out = String::new();
    match table {
        Table::Settings => {
            out.push_str("# Settings\n\nEnvironment variables; in `firth.toml` the same names in lower case without `FIRTH_`.\nPrinted by `firth print settings`.\n\n| name | default | meaning |\n|---|---|---|\n");
            for setting in SETTINGS {
                out.push_str(&format!("| `{}` | {} | {} |\n", setting.name, code(setting.default), setting.help));
            }
        }
        Table::Errors => {
            out.push_str("# Errors\n\nOne closed table, printed by `firth print errors`. `start.*` are exit codes; the rest are HTTP statuses or,\nfor a record of an upload, the code in its list `refused` or `kept`.\nAn answer that refuses has its code in the header `X-Firth-Error`, too.\n\n| code | status | FHIR issue | what to do |\n|---|---|---|---|\n");
            for kind in Kind::ALL {
                let wire = kind.wire();
                out.push_str(&format!("| `{}` | {} | `{}` | {} |\n", wire.code, wire.status, wire.issue, wire.remedy));
            }
        }
        Table::Routes => {
            out.push_str("# Routes\n\nPrinted by `firth print routes`.\n\n| verb | path | name | needs |\n|---|---|---|---|\n");
            for route in ROUTES {
                out.push_str(&format!("| {} | `{}` | {} | {:?} |\n", route.verb, route.path, route.name, route.need));
            }
        }
        Table::Capability => {
            out.push_str(&capability("https://firth.example/fhir")?);
            out.push('\n');
        }
    }
    Ok(out)
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
