//! The house: doors, floors, ceilings and words, checked on the text of `src`.
//!
//! Each rule is a function from sources to faults, so that `every_rule_sees_a_violation` can show it red.

mod building;
mod reads;
mod shown;
pub mod source;

use std::fs;

use building::{
    DOORS, FILE_LINES, FUNCTION_LINES, SAME_FLOOR, bad_names, ceilings, clinical_words, doors, floors, ingest_is_blind, machine_paths,
    panics, undeclared,
};
use reads::{UNBOUND, diesel_reads, disguised_tables, lost_tables, raw_sql, reads, unknown_tables};
use shown::{
    CERTAIN, MAKES_CALLERS, OPENED, OWN_EYES, PROVEN, UNSEALED, api_reads_what_was_judged, callers_are_made_of_credentials, is_certain,
    looks, makes_caller, many_are_proven_by_name, names_are_kept, opened_and_judged, opens, own_eyes, proofs, scopes_are_asked_by_policy,
    unsealed_by_name, unseals,
};
use source::{Exception, Source, doers, files, names, root, sources};

#[track_caller]
fn none(bad: Vec<String>) {
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn foreign_crates_come_in_by_their_door() {
    none(doors(&sources()));
}

#[test]
fn stairs_go_down_only() {
    none(floors(&sources()));
}

#[test]
fn files_and_functions_are_short() {
    none(ceilings(&sources()));
    let clippy = fs::read_to_string(root().join(".clippy.toml")).expect("text");
    assert!(clippy.contains("too-many-arguments-threshold = 5") && clippy.contains("too-many-lines-threshold = 60"));
}

#[test]
fn names_say_something() {
    none(bad_names(&sources()));
}

#[test]
fn production_code_does_not_panic() {
    none(panics(&sources()));
}

#[test]
fn no_path_of_a_machine() {
    none(machine_paths(&sources()));
}

#[test]
fn ingest_names_no_code_unit_or_metric() {
    let words = clinical_words();
    assert!(
        ["heart-rate", "8867-4", "mm[Hg]", "bpm:", "kg"].iter().filter(|word| words.iter().any(|known| known == *word)).count() >= 4,
        "{words:?}"
    );
    none(ingest_is_blind(&sources(), &words));
}

#[test]
fn nothing_in_store_is_searched_without_the_access_predicate() {
    let sources = sources();
    none(raw_sql(&sources));
    none(diesel_reads(&sources));
    none(disguised_tables(&sources));
    none(unknown_tables(&sources));
    none(lost_tables(&sources));
    assert!(
        sources.iter().any(|source| source.room() == "store" && source.production.contains(".visible(\"k\"")),
        "the rule has nothing to see"
    );
}

#[test]
fn nothing_is_shown_that_the_policy_has_not_judged() {
    let sources = sources();
    none(own_eyes(&sources));
    none(callers_are_made_of_credentials(&sources));
    none([opened_and_judged(&sources), unsealed_by_name(&sources)].concat());
    none(names_are_kept(&sources));
    none([proofs(&sources), many_are_proven_by_name(&sources)].concat());
    none(scopes_are_asked_by_policy(&sources));
    none(api_reads_what_was_judged(&sources));
    for (path, head) in PROVEN {
        assert!(sources.iter().any(|source| source.path == *path && source.production.contains(head)), "{path} has no {head}");
    }
}

/// Every exception is of somebody who does what the rule is about.
#[track_caller]
fn needed(sources: &[Source], exceptions: &[Exception], does: impl Fn(&str, &str) -> bool) {
    for (path, name, _) in exceptions {
        let source = sources.iter().find(|source| source.path == *path).unwrap_or_else(|| panic!("{path} is gone"));
        assert!(doers(source, |text| does(path, text)).iter().any(|doer| doer == name), "{path} fn {name} needs no exception");
    }
}

#[test]
fn every_exception_is_still_needed() {
    let sources = sources();
    needed(&sources, OWN_EYES, |_, text| looks(text));
    needed(&sources, MAKES_CALLERS, makes_caller);
    needed(&sources, OPENED, |_, text| opens(text));
    needed(&sources, UNSEALED, |_, text| unseals(text));
    needed(&sources, CERTAIN, |_, text| is_certain(text));
    needed(&sources, UNBOUND, |_, text| reads(text));
    for (room, other, _) in SAME_FLOOR {
        assert!(
            sources.iter().any(|source| source.room() == *room && source.production.contains(&format!("crate::{other}"))),
            "{room} no longer names {other}"
        );
    }
    for (head, _, exceptions) in DOORS {
        for (place, _) in *exceptions {
            assert!(
                sources.iter().any(|source| source.within(&[place]) && names(&source.production, head)),
                "{place} no longer names {head}"
            );
        }
    }
}

#[test]
fn every_rule_sees_a_violation() {
    let one = |path: &str, text: &str| vec![Source::new(path, text)];
    let words = clinical_words();
    let red = |bad: Vec<String>| assert_eq!(bad.len(), 1, "{bad:?}");
    red(doors(&one("src/ledger/x.rs", "use diesel::prelude::*;\n")));
    red(doors(&one("src/api/x.rs", "fn f() { std::env::var(\"X\"); }\n")));
    red(floors(&one("src/store/x.rs", "use crate::api::ROUTES;\n")));
    red(floors(&one("src/mapping/x.rs", "use crate::access::Role;\n")));
    red(floors(&one("src/cellar/x.rs", "")));
    red(ceilings(&one("src/a.rs", &"//\n".repeat(FILE_LINES + 1))));
    red(ceilings(&one("src/a.rs", &format!("    fn long() {{\n{}    }}\n", "        x();\n".repeat(FUNCTION_LINES)))));
    red(bad_names(&one("src/store/utils.rs", "")));
    red(bad_names(&one("src/common/x.rs", "")));
    red(panics(&one("src/a.rs", "fn f() {\n    x.unwrap();\n}\n")));
    red(machine_paths(&one("src/a.rs", "const A: &str = \"/home/me/x\";\n")));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: &str = \"8867-4\";\n"), &words));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: &str = \"heart-rate\";\n"), &words));
    red(ingest_is_blind(&one("src/ingest/a.rs", "const A: char = '\"'; const B: &str = \"kg\";\n"), &words));
    let sql = |body: &str| raw_sql(&one("src/store/a.rs", &format!("fn f(sql: &mut Sql) {{\n    {body}\n}}\n")));
    red(sql("sql.text(\"SELECT 1 FROM document d WHERE d.id = \");"));
    red(sql("sql.visible(\"k\", v); sql.text(\"FROM doc_key k JOIN document d ON d.id = k.id\");"));
    red(sql("sql.visible(\"k\", v); sql.text(\"SELECT t.doc FROM doc_term t WHERE t.hash = \");"));
    red(diesel_reads(&one(
        "src/store/a.rs",
        "pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Row>> {\n    on!(tx, c => block::table.load(*c))\n}\n",
    )));
    red(own_eyes(&one("src/api/fhir/a.rs", "fn f() {\n    let all = Visible::everything(Type::Patient);\n}\n")));
    red(own_eyes(&one("src/ledger/resources.rs", "fn f() {\n    let all = writer.policy.ruled(of);\n}\n")));
    red(own_eyes(&one("src/ledger/a.rs", "static ALL: LazyLock<Visible> = LazyLock::new(|| Visible::everything(Type::Patient));\n")));
    red(opened_and_judged(&one("src/store/a.rs", "fn f() {\n    keys.body.open_packed(body_place(shelf, &id, 1), &body)\n}\n")));
    red(opened_and_judged(&one("src/store/observations/a.rs", "fn f() {\n    rendering.write(&sample, (&id, &ids), &mut json);\n}\n")));
    red(opened_and_judged(&one("src/ledger/a.rs", "fn f() {\n    let (_, json) = super::documents::current(tx, vault, &key)?;\n}\n")));
    red(proofs(&one("src/store/listing.rs", "pub struct Item {\n    pub seen: Seen,\n}\npub fn rendered(&mut self, shelf: Shelf) {\n}\n")));
    red(proofs(&one("src/store/a.rs", "fn f() -> Seen {\n    Seen(())\n}\n")));
    red(proofs(&one("src/policy/visible.rs", "pub struct Seen(pub ());\n")));
    red(scopes_are_asked_by_policy(&one("src/api/a.rs", "fn f() -> bool {\n    who.scopes.allow(\"Patient\", Interaction::Read)\n}\n")));
    red(api_reads_what_was_judged(&one("src/api/fhir/a.rs", "fn f() {\n    documents::version(tx, &key, None);\n}\n")));
}

#[test]
fn every_file_is_a_module() {
    let texts = |folder: &str| -> Vec<(String, String)> {
        let files = files(&root().join(folder), "rs").into_iter();
        files
            .map(|path| {
                (path.strip_prefix(root()).expect("below").to_string_lossy().into_owned(), fs::read_to_string(&path).expect("text"))
            })
            .collect()
    };
    for folder in ["tests/it", "src"] {
        assert_eq!(undeclared(&texts(folder)), Vec::<String>::new());
    }
    let lost = [("tests/it/main.rs".to_owned(), "mod a;\n".to_owned()), ("tests/it/b.rs".to_owned(), String::new())];
    assert_eq!(undeclared(&lost).len(), 1);
}

#[test]
fn tests_are_no_production() {
    let source = Source::new(
        "src/a.rs",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {\n        x.unwrap();\n    }\n}\nfn h() {}\n// y.unwrap()\n",
    );
    assert_eq!(source.production, "fn f() {}\nfn h() {}\n");
    none(panics(&[source]));
    none(raw_sql(&[Source::new(
        "src/store/a.rs",
        "fn f() {\n    sql.visible(\"k\", v); sql.text(\"FROM doc_key k JOIN document d ON d.shelf = k.shelf\");\n}\n",
    )]));
}
