//! Nobody searches the rows of patients without the access predicate.

use super::source::{Exception, Function, Source, functions, imports, literals, not_excepted, outside, says};

/// Tables with rows of patients.
pub const OF_PATIENTS: &[&str] = &[
    "directory",
    "document",
    "doc_key",
    "doc_term",
    "doc_date",
    "series",
    "template",
    "feed",
    "block",
    "block_ids",
    "sample_override",
    "upload",
    "upload_refusal",
    "raw_segment",
    "idempotency",
    "patient_merge",
    "audit_block",
    "audit_index",
];

/// The other tables, and why no predicate bounds their rows. A new table stands in one of the two lists.
const OF_NO_PATIENTS: &[(&str, &str)] = &[
    ("meta", "what the store says of itself"),
    ("store_key", "wrapped keys"),
    ("shelf", "wrapped keys"),
    ("patient_shelf", "whose a shelf is: the predicate itself is made of it"),
    ("job", "numbers of work that waits"),
    ("audit_pending", "numbers of blocks"),
    ("app_user", "who has an account of an app"),
    ("app", "who has an account"),
    ("credential", "who may come in"),
    ("credential_patient", "whom a token is for: the predicate itself is made of it"),
    ("invitation", "who may come in"),
    ("client", "who may come in"),
    ("account", "who may come in"),
    ("account_link", "who may come in"),
    ("sign_in_failure", "who may come in"),
    ("session", "who came in"),
    ("grant_made", "who came in"),
    ("grant_secret", "who came in"),
    ("launch", "what an app is to know of the screen from which it was opened"),
    ("shown_once", "digests of what is good once"),
    ("signing_key", "sealed keys"),
    ("break_glass", "who opened what in an emergency: the predicate itself is made of it"),
];

/// Tables of the schema that neither list names.
pub fn unknown_tables(sources: &[Source]) -> Vec<String> {
    let schema = sources.iter().filter(|source| source.path == SCHEMA);
    let tables = schema.flat_map(|source| source.production.split("diesel::table! {").skip(1));
    let names = tables.filter_map(|table| table.trim_start().split(" (").next());
    let known = |name: &str| OF_PATIENTS.contains(&name) || OF_NO_PATIENTS.iter().any(|(other, _)| *other == name);
    names.filter(|name| !known(name)).map(|name| format!("{name} is a table in no list; are its rows of patients?")).collect()
}

/// Names of the lists that the schema does not have.
pub fn lost_tables(sources: &[Source]) -> Vec<String> {
    let all = OF_PATIENTS.iter().chain(OF_NO_PATIENTS.iter().map(|(name, _)| name));
    let there = |name: &str| sources.iter().any(|source| source.path == SCHEMA && source.production.contains(&format!("\n    {name} (")));
    all.filter(|name| !there(name)).map(|name| format!("{name} is no table any more")).collect()
}

const SCHEMA: &str = "src/store/schema.rs";

/// What in a signature bounds the rows: the access predicate itself, or one shelf that the caller was let to.
const BOUNDS: &[&str] = &["Visible", "Look<", "Ask<", "Scope", "Shelf", "&Key", "Address", "ShelfKeys"];

/// Readers that have neither, and why they may.
pub const UNBOUND: &[Exception] = &[
    ("src/store/documents.rs", "directory_all", "an id to its shelves; `store::resources` asks `Visible` before it opens anything"),
    ("src/store/documents.rs", "live_shelf", "the same of a live document"),
    ("src/store/documents.rs", "live_shelves", "the same of several"),
    ("src/store/documents.rs", "directory_hold", "locks a row of the directory and reads nothing of it"),
    ("src/store/blocks.rs", "feed_newest", "the stamp of the newest commit and nothing else"),
    ("src/store/documents.rs", "indexed", "every document's key, for `ledger::reindex` before anybody is served"),
    ("src/store/document_search.rs", "count_terms", "how many have a term, to choose where to begin; asked only for who sees all"),
    ("src/store/waiting.rs", "count", "how many documents wait for their terms to be written"),
    ("src/store/waiting.rs", "any", "whether one does"),
    ("src/store/waiting.rs", "written", "numbers and terms, from one column into the table"),
    ("src/store/waiting.rs", "of", "numbers and terms; `document_search` takes numbers from it as it does from the table of terms"),
    ("src/store/waiting.rs", "pointing", "terms to keys, the same as `each_referrer` and for it"),
    ("src/store/consents.rs", "restricting", "keys of Consents that withhold, to take away from what is visible; nothing of them is shown"),
    ("src/store/documents.rs", "each_referrer", "terms to keys; who is given one asks `Visible` before it is named"),
    ("src/store/uploads.rs", "get", "one upload by its number; who asks for one is named in `shown::UNSEALED`"),
    ("src/store/uploads.rs", "segment", "the same, sealed"),
    ("src/store/uploads.rs", "refusals_next", "the same, sealed"),
    ("src/store/uploads.rs", "kept", "numbers of uploads, for a replay by the operator"),
    ("src/store/uploads.rs", "progress", "writes how far an upload is and reads nothing of it"),
    ("src/store/uploads.rs", "reset", "forgets what became of an upload; whether its body is kept"),
    ("src/store/uploads.rs", "raw_expire", "numbers of uploads whose bodies are forgotten"),
    ("src/store/idempotency.rs", "find", "a sealed answer by the digest of who asked and what; `ledger::idempotency` judges what it names"),
    ("src/store/merges.rs", "of", "ids to ids; who asks has written or may write the Patients"),
    ("src/store/merges.rs", "family", "the same of all that were merged into one"),
    ("src/store/audit.rs", "index_page", "places of entries; `audit::events` judges each that it opens"),
    ("src/store/audit.rs", "index_insert", "whether a block is in the index already"),
    ("src/store/audit.rs", "blocks", "sealed blocks by their numbers, for the index and for `audit::events`, which judges"),
];

/// The tables that a literal reads, each with its alias: what stands behind FROM, JOIN, USING and TABLE, and behind a comma
/// there. A name that is put together has braces, or is not there at all.
fn aliases(literal: &str) -> Vec<(String, String)> {
    const BEFORE: [&str; 4] = ["FROM", "JOIN", "USING", "TABLE"];
    const AFTER: [&str; 10] = ["WHERE", "ON", "ORDER", "SET", "JOIN", "LEFT", "INNER", "GROUP", "LIMIT", "UNION"];
    let is = |word: &str, of: &[&str]| of.iter().any(|one| one.eq_ignore_ascii_case(word));
    let plain = literal.replace("\\\"", "").replace("\\n", " ").replace("\\\n", " ").replace(',', " , ");
    let mut words =
        plain.split_whitespace().filter(|word| !["AS", "ONLY", "LATERAL"].iter().any(|one| one.eq_ignore_ascii_case(word))).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        // A comma joins tables only behind a FROM; what else it separates is no table of patients.
        if !(is(word, &BEFORE) || word == ",") {
            continue;
        }
        let table = words.peek().copied().unwrap_or("{}");
        if word != "," || (!found.is_empty() && OF_PATIENTS.contains(&table)) {
            let name = table.trim_end_matches([')', ';']).rsplit('.').next().unwrap_or_default().to_lowercase();
            words.next_if(|_| !table.starts_with('('));
            let alias = words.peek().filter(|alias| !is(alias, &AFTER) && !alias.starts_with([',', ')', '(', '{'])).copied();
            found.push((name.clone(), alias.map_or(name, |alias| alias.trim_end_matches([')', ';']).to_owned())));
        }
    }
    found
}

/// Does a function give the alias its predicate? One that writes a part of a statement for functions of its file does when
/// all of them do.
fn carries(all: &[Function<'_>], function: &Function<'_>, alias: &str, depth: u8) -> bool {
    if function.text.contains(&format!(".visible(\"{alias}\"")) {
        return true;
    }
    let call = format!("{}(", function.name);
    let mut callers = all.iter().filter(|other| other.name != function.name && says(&other.text, &call)).peekable();
    depth > 0 && function.is_private() && callers.peek().is_some() && callers.all(|caller| carries(all, caller, alias, depth - 1))
}

/// The aliases of a function that nothing bounds. Each `.visible` is for one alias of one statement.
fn unbounded(all: &[Function<'_>], function: &Function<'_>) -> Vec<String> {
    let (mut bad, mut own) = (Vec::new(), Vec::new());
    for literal in literals(&function.text) {
        for (table, alias) in aliases(&literal) {
            if table.contains('{') {
                bad.push(format!("the name of a table is put together: {}", literal.trim()));
            }
            let ties = |other: &str| {
                ["shelf", "doc"].into_iter().any(|column| {
                    literal.contains(&format!("{alias}.{column} = {other}.{column}"))
                        || literal.contains(&format!("{other}.{column} IN (SELECT {alias}.{column} FROM {table} {alias} "))
                })
            };
            let tied = ('a'..='z').any(|other| {
                let other = other.to_string();
                other != alias && ties(&other) && carries(all, function, &other, 3)
            });
            if OF_PATIENTS.contains(&table.as_str()) && !tied {
                own.push(alias.clone());
                let given = function.text.matches(&format!(".visible(\"{alias}\"")).count();
                if own.iter().filter(|other| **other == alias).count() > given {
                    bad.push(format!("alias {alias} of {table} has no access predicate"));
                }
            }
        }
    }
    bad
}

/// Raw SQL: each alias of a patients' table carries the predicate (`sql.visible("k", ..)`) in the same function, or is tied
/// to an alias that does: by its shelf, or by the number of the document, which is one of one shelf.
pub fn raw_sql(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() == "store") {
        let all = functions(&source.production);
        for function in &all {
            bad.extend(unbounded(&all, function).into_iter().map(|fault| format!("{} fn {}: {fault}", source.path, function.name)));
        }
        let tables = literals(&outside(&source.production)).into_iter().flat_map(|literal| aliases(&literal));
        let found = tables.filter(|(table, _)| OF_PATIENTS.contains(&table.as_str()) || table.contains('{'));
        bad.extend(found.map(|(table, _)| format!("{}: SQL that reads {table} stands outside of a function", source.path)));
    }
    bad
}

/// Does a text read rows of patients by diesel? What is only written is not read, unless it is told.
pub fn reads(text: &str) -> bool {
    OF_PATIENTS.iter().any(|table| {
        let by_macro = [format!("!({table},"), format!("!({table})")].iter().any(|given| text.contains(given));
        by_macro || text.match_indices(&format!("{table}::table")).any(|(at, _)| is_read((&text[..at], &text[at..])))
    })
}

/// Is a table read that is named between these two?
fn is_read((before, after): (&str, &str)) -> bool {
    let before = before.trim_end();
    let foreign = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let changed = ["delete(", "update("].iter().any(|word| before.ends_with(word));
    let told = changed && after.split(';').next().is_some_and(|statement| statement.contains(".returning("));
    !foreign && (told || !(changed || before.ends_with("insert_into(")))
}

/// Is who reads a patients' table bounded, by its signature or as a method of what holds a scope?
fn is_bounded(function: &Function<'_>) -> bool {
    let signature = function.signature();
    // A shelf that is answered bounds nothing.
    let taken = signature.split(") -> ").next().unwrap_or_default();
    BOUNDS.iter().any(|bound| taken.contains(bound)) || (signature.contains("self") && function.text.contains("self.scope."))
}

/// Diesel queries: who reads a patients' table is bounded or has an exception, and nothing reads one outside of a function.
pub fn diesel_reads(sources: &[Source]) -> Vec<String> {
    let unbounded = |text: &str| reads(text) && !functions(text).first().is_some_and(is_bounded);
    let store = sources.iter().filter(|source| source.room() == "store" && source.path != SCHEMA);
    let reading = store.flat_map(|source| not_excepted(source, UNBOUND, unbounded));
    reading.map(|who| format!("{who} reads rows of any patient")).collect()
}

/// A patients' table has one name, by which `diesel_reads` knows it: no other may be given to it.
pub fn disguised_tables(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.room() == "store" && source.path != SCHEMA) {
        let imports = imports(&source.production);
        for table in OF_PATIENTS {
            let anywhere = [format!("{table}::dsl"), format!("dsl::{table}"), format!("alias!({table}")];
            let of_schema = [format!("{table} as"), format!("{table}::*"), format!("{table}::{{")];
            let renames = |import: &String| {
                import.trim_start().starts_with(&format!("use {table}::"))
                    || says(import, &format!("{table}::table"))
                    || (import.contains("schema") && of_schema.iter().any(|name| says(import, name)))
            };
            let disguised = anywhere.iter().any(|name| says(&source.production, name)) || imports.iter().any(renames);
            bad.extend(disguised.then(|| format!("{} reads {table} by another name than {table}::table", source.path)));
        }
    }
    bad
}

#[test]
fn ways_around_the_predicate_are_seen() {
    let one = |text: &str| vec![Source::new("src/store/a.rs", text)];
    let sql = |body: &str| raw_sql(&one(&format!("fn f(sql: &mut Sql) {{\n    {body}\n}}\n")));
    let red = |bad: Vec<String>| assert_eq!(bad.len(), 1, "{bad:?}");
    let none = |bad: Vec<String>| assert!(bad.is_empty(), "{bad:?}");
    red(sql("sql_query(format!(\"SELECT d.body FROM {table} d\"))"));
    red(sql("sql_query(format!(\"SELECT d.body FROM {} d\", table))"));
    red(sql("sql.text(\"SELECT d.body FROM \"); sql.text(table);"));
    red(sql("sql.text(\"select d.body from document d\");"));
    red(sql("sql.text(\"SELECT 1 FROM shelf s, document d WHERE d.shelf = s.shelf\");"));
    red(sql("sql.text(\"SELECT 1 FROM \\\"document\\\" WHERE id = 1\");"));
    red(sql("sql.text(\"SELECT 1 FROM main.document AS d\");"));
    red(raw_sql(&one("const ALL: &str = \"SELECT body FROM document\";\n")));
    // The predicate of another function, and of another statement, is not this one's.
    let bounded = "sql.visible(\"k\", v); sql.text(\"SELECT 1 FROM doc_key k\");";
    none(sql(bounded));
    red(raw_sql(&one(&format!("fn f() {{\n    {bounded}\n}}\nfn g() {{\n    sql.text(\"SELECT 1 FROM doc_key k\");\n}}\n"))));
    red(sql(&format!("{bounded} let mut sql = Sql::new(); sql.text(\"SELECT 1 FROM doc_key k\");")));
    // Who writes a part of a statement is bounded by all for whom it does.
    let part = "(sql: &mut Sql) {\n    sql.text(\"EXISTS (SELECT 1 FROM doc_term t WHERE t.doc = k.doc)\");\n}\n";
    let whole = format!("fn f() {{\n    {bounded}\n    part(&mut sql);\n}}\n");
    none(raw_sql(&one(&format!("{whole}fn part{part}"))));
    red(raw_sql(&one(&format!("{whole}pub fn part{part}"))));
    red(raw_sql(&one(&format!("{whole}fn part{part}fn g() {{\n    part(&mut sql);\n}}\n"))));
    red(raw_sql(&one(&format!("fn part{part}"))));
    for head in ["pub(in crate::app) fn", "pub(super) const fn", "unsafe fn", "pub(super) async fn", "extern \"C\" fn"] {
        red(diesel_reads(&one(&format!("{head} all(tx: &mut Tx<'_>) {{\n    block::table.load(tx)\n}}\n"))));
    }
    red(diesel_reads(&one("static ALL: LazyLock<All> = LazyLock::new(|| document::table.into_boxed());\n")));
    red(diesel_reads(&one("macro_rules! all {\n    () => {\n        document::table\n    };\n}\n")));
    red(diesel_reads(&one("fn all(tx: &mut Tx<'_>) {\n    of_key!(document, key).load(tx)\n}\n")));
    red(diesel_reads(&one("fn all(tx: &mut Tx<'_>) {\n    diesel::delete(document::table).returning(document::body).load(tx);\n}\n")));
    red(diesel_reads(&one("fn all(tx: &mut Tx<'_>, id: u8) -> Result<Vec<Shelf>> {\n    directory::table.load(tx)\n}\n")));
    for table in ["upload", "raw_segment", "block_ids", "audit_index", "patient_merge"] {
        red(diesel_reads(&one(&format!("fn all(tx: &mut Tx<'_>) {{\n    {table}::table.load(tx)\n}}\n"))));
    }
    for import in ["schema::document::dsl", "schema::document as papers", "schema::document::*", "schema::{doc_key, document::{self as d}}"]
    {
        red(disguised_tables(&one(&format!("use super::{import};\n"))));
    }
    red(disguised_tables(&one("fn all() {\n    schema::document::dsl::document.filter(all)\n}\n")));
    none(disguised_tables(&one("use super::schema::{directory, document};\nuse crate::series::{Block, template};\n")));
    let schema = vec![Source::new(SCHEMA, "diesel::table! {\n    diary (id) {\n        id -> BigInt,\n    }\n}\n")];
    red(unknown_tables(&schema));
    assert!(lost_tables(&schema).len() > 30);
}
