//! Documents that are printed by the binary equal what stands in `docs/`. `UPDATE=1` writes them.

use std::collections::BTreeMap;
use std::fs;

use crate::support::server::Place;

#[test]
fn printed_tables_are_those_of_the_docs() {
    for table in ["settings", "errors", "routes"] {
        let printed = Place::new().tells(&["print", table]);
        let path = format!("{}/docs/{table}.md", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &printed).expect("docs can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(printed, kept, "docs/{table}.md is not what firth print {table} says; UPDATE=1 cargo test writes it");
    }
}

/// The tables that the migrations of a folder leave, each with its columns.
fn migrated(folder: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    let mut steps: Vec<_> = fs::read_dir(format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap().flatten().collect();
    steps.sort_by_key(fs::DirEntry::file_name);
    for sql in steps.iter().map(|step| fs::read_to_string(step.path().join("up.sql")).unwrap()) {
        for statement in sql.split(";\n").map(|text| text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "TABLE", name, ..] => {
                    let lines = statement.lines().skip_while(|line| !line.starts_with("CREATE")).skip(1).map(str::trim);
                    let columns = lines.filter(|line| !line.starts_with("PRIMARY KEY") && !line.starts_with(')'));
                    let columns = columns.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
                    tables.insert((*name).to_owned(), columns);
                }
                ["DROP", "TABLE", name] => assert!(tables.remove(*name).is_some(), "{name}"),
                ["ALTER", "TABLE", name, "RENAME", "TO", other] => {
                    let columns = tables.remove(*name).unwrap();
                    tables.insert((*other).to_owned(), columns);
                }
                ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] => tables.get_mut(*name).unwrap().push((*column).to_owned()),
                _ => {}
            }
        }
    }
    tables
}

#[test]
fn the_schema_in_rust_is_that_of_the_migrations() {
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/schema.rs")).unwrap();
    for folder in ["sqlite", "postgres", "audit"] {
        for (name, columns) in migrated(folder) {
            let declared = schema.split(&format!("    {name} (")).nth(1).unwrap_or_else(|| panic!("schema.rs has no table {name}"));
            let declared = declared.split_once("\n}\n").unwrap().0;
            assert!(!columns.is_empty());
            for column in columns {
                let found = [format!("  {column} -> "), format!("\"{column}\"]")].iter().any(|text| declared.contains(text.as_str()));
                assert!(found, "{folder}: schema.rs lacks {name}.{column}");
            }
        }
    }
}
