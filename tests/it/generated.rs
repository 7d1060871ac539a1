//! Documents that are printed by the binary equal what stands in `docs/`. `UPDATE=1` writes them.

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

#[test]
fn the_schema_in_rust_is_that_of_the_migrations() {
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/schema.rs")).unwrap();
    for folder in ["sqlite", "postgres", "audit"] {
        let sql = fs::read_to_string(format!("{}/migrations/{folder}/0001_spine/up.sql", env!("CARGO_MANIFEST_DIR")))
            .or_else(|_| fs::read_to_string(format!("{}/migrations/{folder}/0001_audit/up.sql", env!("CARGO_MANIFEST_DIR"))))
            .unwrap();
        for table in sql.split("CREATE TABLE ").skip(1) {
            let (name, rest) = table.split_once(" (\n").unwrap();
            let body = rest.split_once("\n)").unwrap().0;
            let declared = schema.split(&format!("    {name} (")).nth(1).unwrap_or_else(|| panic!("schema.rs has no table {name}"));
            let declared = declared.split_once("\n}\n").unwrap().0;
            let columns = body.lines().map(str::trim).filter(|line| !line.starts_with("PRIMARY KEY"));
            for column in columns.map(|line| line.split(' ').next().unwrap()) {
                let found = [format!("  {column} -> "), format!("\"{column}\"]")].iter().any(|text| declared.contains(text.as_str()));
                assert!(found, "{folder}: schema.rs lacks {name}.{column}");
            }
        }
    }
}
