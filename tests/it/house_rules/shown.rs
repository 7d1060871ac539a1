//! Nothing is shown that was not judged.

use super::source::{Exception, OUTSIDE, Source, imports, not_excepted, says, says_any};

// ---- eyes ----

/// Eyes that see without an interaction, or with less than the whole predicate: whether something is there may be asked with
/// them, and nothing of it is shown.
const EYES: [&str; 10] = [
    "Visible::everything",
    "Visible::of_patient",
    ".ruled(",
    ".pointed(",
    ".standing(",
    ".withheld(",
    "Policy::ruled",
    "Policy::pointed",
    "Policy::standing",
    "Policy::withheld",
];

/// Who looks with them, and why.
pub const OWN_EYES: &[Exception] = &[
    ("src/ledger/resources.rs", "of_context", "on which shelf a Binary belongs"),
    ("src/ledger/resources.rs", "taken", "whether an id is free, where only a consent hides"),
    ("src/ledger/merge.rs", "was", "what stood before a merge comes back as what is written, and is judged as that"),
    ("src/ledger/users.rs", "free", "whether an external id is taken"),
    ("src/ledger/panels.rs", "found", "what says whose data a user may see at all; nothing of it is shown"),
    ("src/ledger/devices.rs", "find_or_make", "the Device of an upload, for the upload alone"),
    ("src/ledger/idempotency.rs", "again", "which version was answered before; its text goes through `readable`"),
    ("src/ledger/references.rs", "present", "to what a writer may point; whether it is there, and nothing of it"),
    ("src/ledger/references.rs", "exists", "the same of one"),
    ("src/ledger/references.rs", "released", "who points to what is deleted: named as far as the writer may point there"),
    ("src/ledger/references.rs", "measured", "the same of samples, which are not named"),
    ("src/store/binaries.rs", "stood_for", "what stands for a Binary; nothing of it is shown"),
];

pub fn looks(text: &str) -> bool {
    says_any(text, &EYES)
}

pub fn own_eyes(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| source.room() != "policy");
    let looking = others.flat_map(|source| not_excepted(source, OWN_EYES, looks));
    looking.map(|who| format!("{who} sees with the server's own eyes")).collect()
}

// ---- callers ----

/// Who a caller is decides what is visible: a `Caller` that is made or changed on the way is another predicate.
const CALLERS: [&str; 7] = ["Caller {", "&mut Caller", "mut caller", "mut who", ".whom = ", ".withheld = ", ".emergencies = "];

/// Who makes one, and from what.
pub const MAKES_CALLERS: &[Exception] = &[
    ("src/ledger/callers.rs", "person", "of a session in a browser"),
    ("src/ledger/callers.rs", "whole", "adds what emergencies open and consents withhold"),
    ("src/ledger/credentials.rs", "authenticate", "of a credential"),
    ("src/ledger/access_tokens.rs", "caller", "of a signed token and its grant"),
    ("src/api/gate.rs", "handle", "writes into an audit entry whom an emergency opens"),
    ("src/fhir/audit_event.rs", "user", "a reference of that name, below the floor of callers"),
    ("src/policy/visible.rs", "narrowed", "of a `Visible`, the patients that two have in common"),
];

/// The type, its methods, and a function that answers one are no caller. In the file of the type it is called `Self`, too.
pub fn makes_caller(path: &str, text: &str) -> bool {
    let own = path == "src/access/mod.rs";
    let mut text = text.replace("-> Caller {", "");
    if own {
        text = text.replace("struct Caller {", "").replacen("impl Caller {", "", 1);
    }
    says_any(&text, &CALLERS) || (own && says(&text, "Self {"))
}

pub fn callers_are_made_of_credentials(sources: &[Source]) -> Vec<String> {
    let making = sources.iter().flat_map(|source| not_excepted(source, MAKES_CALLERS, |text| makes_caller(&source.path, text)));
    making.map(|who| format!("{who} makes or changes a Caller")).collect()
}

// ---- openers ----

/// What makes the text of a stored resource: opening a document, filling a template.
const OPENERS: [&str; 8] = [
    "body_place(",
    "kind: \"document\"",
    ".body.open(",
    ".body.open_packed(",
    ".render_to(",
    "rendering.write(",
    "documents::current",
    "current(",
];

/// What judges it: each asks a `Visible`, and answers with a `Seen` or nothing.
const JUDGES: [&str; 4] = ["judged(", ".chosen(", ".at_once(", "of_text("];

/// Who opens without judging, and why.
pub const OPENED: &[Exception] = &[
    ("src/store/documents.rs", "body_place", "the place, not the text"),
    ("src/store/resources.rs", "text", "for `opened` and `judged`, which judge"),
    ("src/store/observations/rows.rs", "render", "a row that `answers` has let through: its Seen goes with it"),
    ("src/store/observations/rows.rs", "write", "the rendering itself, for `render` and `row_told`"),
    ("src/ledger/documents.rs", "sealed", "closes a body"),
    ("src/ledger/documents.rs", "current", "for those below"),
    ("src/ledger/consents.rs", "read", "what a Consent says, to withhold by it; nothing of it is shown"),
    ("src/ledger/reindex.rs", "again", "makes search rows anew before anybody is served"),
    ("src/ledger/users.rs", "amend", "the Patient of a user, for the upload API, which knows users and no scopes"),
    ("src/ledger/users.rs", "read", "the same"),
    ("src/ledger/existing.rs", "metric", "the metric of a series, compared with an upload"),
    ("src/ledger/uploads.rs", "detail", "what an upload says of itself; `sync::read` knows that it is the user's"),
    ("src/ledger/samples/overridden.rs", "document", "what stands before a sample, compared with an upload"),
];

pub fn opens(text: &str) -> bool {
    says_any(text, &OPENERS) && !says_any(text, &JUDGES)
}

/// The rooms from which what is stored can be reached.
const REACHING: [&str; 6] = ["store", "ledger", "audit", "api", "control", "jobs"];

fn reaching(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| REACHING.contains(&source.room()))
}

pub fn opened_and_judged(sources: &[Source]) -> Vec<String> {
    let opening = reaching(sources).flat_map(|source| {
        let named = [OPENED, UNSEALED].concat();
        not_excepted(source, &named, opens)
    });
    opening.map(|who| format!("{who} opens a resource and does not judge it")).collect()
}

/// What opens samples and raw bodies. They are judged only when something is made of them, so no judge near by excuses it.
const UNSEALERS: [&str; 21] = [
    "blocks::hot",
    "hot(",
    "hot_place(",
    "ids_place(",
    "blocks::covering",
    "covering(",
    "Block::decode",
    "RecordIds::decode",
    "BlockIds",
    "template_open(",
    "kind: \"block-hot\"",
    "kind: \"block-ids\"",
    "kind: \"template\"",
    "kind: \"raw\"",
    "uploads::get",
    "uploads::segment",
    "uploads::refusals_next",
    "segment_place(",
    "Segments::of",
    ".example(",
    ".raw.open_packed(",
];

/// Who opens them, and why.
pub const UNSEALED: &[Exception] = &[
    ("src/store/blocks.rs", "hot_place", "the place, not the samples"),
    ("src/store/blocks.rs", "ids_place", "the place, not the ids"),
    ("src/store/blocks.rs", "hot", "for those below"),
    ("src/store/blocks.rs", "of", "the same of record ids"),
    ("src/store/blocks.rs", OUTSIDE, "the type of opened record ids"),
    ("src/store/blocks.rs", "template_open", "what all samples of a template share"),
    ("src/store/blocks.rs", "get", "the same, for who judges by it, and for `references::measured`"),
    ("src/store/blocks.rs", "new", "the values by which samples of a template are judged"),
    ("src/store/observations/blocks.rs", OUTSIDE, "the type of a block that is being read"),
    ("src/store/observations/blocks.rs", "new", "of an opened block"),
    ("src/store/observations/blocks.rs", "open_block", "rows for `next`, which gives none without `answers`"),
    ("src/store/observations/blocks.rs", "superseded", "whether there is a newer version"),
    ("src/store/observations/rows.rs", "versions", "a row for `read` and `by_id`, which judge it"),
    ("src/store/changes.rs", "open_block", "rows for `of_open`, which gives none without `row_told`"),
    ("src/ledger/existing.rs", OUTSIDE, "the type of record ids that are compared"),
    ("src/ledger/existing.rs", "hot", "what is there, compared with an upload; nothing of it is shown"),
    ("src/ledger/samples/mod.rs", "write", "closes a block"),
    ("src/ledger/templates.rs", "number", "closes a template"),
    ("src/ledger/templates.rs", "opened", "what is there, compared with an upload; nothing of it is shown"),
    ("src/ledger/raw.rs", "segment_place", "the place, not the body"),
    ("src/ledger/raw.rs", "add", "closes a segment"),
    ("src/ledger/raw.rs", "next", "opens one, for `process`"),
    ("src/ledger/uploads.rs", "process", "the body becomes samples and documents, which are judged"),
    ("src/ledger/uploads.rs", "notices", "what an uploader is told of the upload; `sync::read` knows that it is the user's"),
    ("src/api/v1/sync.rs", "read", "one upload, of the user for whom the caller may act"),
    ("src/control/mod.rs", "summary", "counts, for the operator"),
    ("src/jobs.rs", "give_up_or_later", "counts, to write them again"),
];

pub fn unseals(text: &str) -> bool {
    says_any(text, &UNSEALERS)
}

pub fn unsealed_by_name(sources: &[Source]) -> Vec<String> {
    let opening = reaching(sources).flat_map(|source| not_excepted(source, UNSEALED, unseals));
    opening.map(|who| format!("{who} opens samples or a raw body, which nobody has judged")).collect()
}

/// By these names the rules know who looks, judges and opens: no other is given to them. (`ledger::uploads` opens nothing
/// itself but by them.)
const KEPT_NAMES: [&str; 22] = [
    "Visible",
    "Policy",
    "Caller",
    "Seen",
    "Certain",
    "Block",
    "RecordIds",
    "BlockIds",
    "Segments",
    "documents",
    "blocks",
    "observations",
    "uploads",
    "body_place",
    "hot_place",
    "ids_place",
    "segment_place",
    "template_open",
    "current",
    "hot",
    "covering",
    "version",
];

pub fn names_are_kept(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources {
        let imports = imports(&source.production);
        let types = source.production.lines().filter(|line| line.trim_start().trim_start_matches("pub ").starts_with("type "));
        let renamed = |name: &&&str| {
            imports
                .iter()
                .filter(|import| !import.starts_with("use crate::ledger::uploads"))
                .any(|import| says(import, &format!("{name} as")) || says(import, &format!("{name}::{{self as")))
                || types.clone().any(|line| line.ends_with(&format!("= {name};")) || line.ends_with(&format!("::{name};")))
        };
        bad.extend(KEPT_NAMES.iter().find(renamed).map(|name| format!("{} gives {name} another name", source.path)));
    }
    bad
}

// ---- proofs ----

/// What an answer is made of carries the proof that it was judged; only `policy` makes one.
pub const PROVEN: &[(&str, &str)] = &[
    ("src/store/resources.rs", "pub struct Version {"),
    ("src/store/listing.rs", "pub struct Item {"),
    ("src/store/listing.rs", "pub fn rendered("),
    ("src/audit/events.rs", "pub struct Single {"),
];

pub fn proofs(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for (path, head) in PROVEN {
        for source in sources.iter().filter(|source| source.path == *path) {
            let at = source.production.find(head).map(|at| &source.production[at..]);
            let proven = at.is_some_and(|text| text[..text.find("}").unwrap_or(text.len())].contains("Seen"));
            bad.extend((!proven).then(|| format!("{path}: {head} is had without a proof that it was judged")));
        }
    }
    for source in sources.iter().filter(|source| source.path != "src/policy/visible.rs" && source.production.contains("Seen(")) {
        bad.push(format!("{} makes a proof of its own", source.path));
    }
    for source in sources.iter().filter(|source| source.production.contains("struct Seen(pub")) {
        bad.push(format!("{}: anybody could make a proof", source.path));
    }
    for source in sources.iter().filter(|source| is_copied(&source.production)) {
        bad.push(format!("{}: one judgement could show two resources", source.path));
    }
    bad
}

/// Is a proof copied, or can it be?
fn is_copied(text: &str) -> bool {
    let derived = text.split("pub struct Seen(").next().filter(|before| before.len() < text.len());
    let attributes = derived.and_then(|before| before.rsplit("\n\n").next()).unwrap_or_default();
    let by_hand = ["Clone for Seen", "Copy for Seen", "Default for Seen"].iter().any(|implements| text.contains(implements));
    by_hand || ["Clone", "Copy", "Default"].iter().any(|derive| says(attributes, derive))
}

/// Who makes many proofs of one judgement, of what is certain of all that share some values.
pub const CERTAIN: &[Exception] = &[("src/store/observations/rows.rs", "seen", "each row has the values of the template that was judged")];

pub fn is_certain(text: &str) -> bool {
    says_any(text, &[".of_one(", "Certain::of_one"])
}

pub fn many_are_proven_by_name(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| source.room() != "policy");
    let proving = others.flat_map(|source| not_excepted(source, CERTAIN, is_certain));
    proving.map(|who| format!("{who} makes many proofs of one judgement")).collect()
}

/// Whether scopes allow something is asked of `policy` alone: who asks the scopes themselves forgets their constraints.
pub fn scopes_are_asked_by_policy(sources: &[Source]) -> Vec<String> {
    let asks = [".allow(", ".constraints(", ".permitting("];
    let others = sources.iter().filter(|source| !["access", "policy"].contains(&source.room()));
    let asking = others.filter(|source| asks.iter().any(|word| source.production.contains(word)));
    asking.map(|source| format!("{} asks scopes what they allow; ask policy::Policy", source.path)).collect()
}

/// Readers that judge nothing, also those that only tell that something is there: they are not for `api`.
const UNJUDGED: &[&str] = &[
    "documents::version",
    "documents::current",
    "documents::any",
    "documents::indexed",
    "documents::is_referred",
    "store::documents",
    "live_shelf(",
    "live_shelves(",
    "directory_find(",
    "directory_all(",
    "each_referrer(",
    "observations::read",
    "blocks::hot",
    "blocks::covering",
    "blocks::overridden",
    "blocks::overrides",
    "blocks::templates_all",
    "blocks::series_all",
];

pub fn api_reads_what_was_judged(sources: &[Source]) -> Vec<String> {
    let mut bad = Vec::new();
    for source in sources.iter().filter(|source| source.within(&["src/api"])) {
        let found = UNJUDGED.iter().find(|reader| says(&source.production, reader));
        bad.extend(found.map(|reader| format!("{} calls {reader} which shows what nobody has judged", source.path)));
    }
    bad
}

#[test]
fn ways_around_the_judge_are_seen() {
    let one = |path: &str, body: &str| vec![Source::new(path, &format!("fn f() {{\n    {body}\n}}\n"))];
    let bare = |path: &str, text: &str| vec![Source::new(path, text)];
    let red = |bad: Vec<String>| assert_eq!(bad.len(), 1, "{bad:?}");
    for eyes in ["writer.policy.pointed(of)", "policy.standing(of)", "policy.withheld(of)", "Policy::ruled(policy, of)"] {
        red(own_eyes(&one("src/api/a.rs", &format!("let visible = {eyes};"))));
        red(own_eyes(&bare("src/api/a.rs", &format!("pub(in crate::api) fn f() {{\n    let visible = {eyes};\n}}\n"))));
    }
    red(own_eyes(&one("src/api/a.rs", "types.iter().copied().map(Visible::everything)")));
    for made in ["Caller { whom: Whom::Everybody, ..who.clone() }", "let mut caller = who.clone();", "other.whom = Whom::Everybody;"] {
        red(callers_are_made_of_credentials(&one("src/api/a.rs", made)));
    }
    red(callers_are_made_of_credentials(&one("src/access/mod.rs", "Self { whom: Whom::Everybody, ..self }")));
    red(callers_are_made_of_credentials(&bare("src/access/mod.rs", "impl From<X> for Caller {\n}\n")));
    assert!(callers_are_made_of_credentials(&bare("src/api/a.rs", "fn f() -> Caller {\n    g()\n}\n")).is_empty());
    for opened in ["current(tx, writer.vault, key)", "super::current(tx, &vault, &key)", "Place { kind: \"document\", shelf, id, version }"]
    {
        red(opened_and_judged(&one("src/ledger/a.rs", opened)));
        red(opened_and_judged(&bare("src/ledger/a.rs", &format!("pub(super) const fn f() {{\n    {opened}\n}}\n"))));
        red(opened_and_judged(&bare("src/ledger/a.rs", &format!("static A: LazyLock<A> = LazyLock::new(|| {opened});\n"))));
    }
    red(opened_and_judged(&one("src/ledger/a.rs", "keys.body.open(place, &sealed)? // judged(")));
    // An exception is of one function, not of all that have its name.
    let twice = "fn read() {\n    current(tx, vault, &key)\n}\n".repeat(2);
    red(opened_and_judged(&bare("src/ledger/consents.rs", &twice)));
}

#[test]
fn ways_around_the_proof_are_seen() {
    let one = |path: &str, body: &str| vec![Source::new(path, &format!("fn f() {{\n    {body}\n}}\n"))];
    let bare = |path: &str, text: &str| vec![Source::new(path, text)];
    let red = |bad: Vec<String>| assert_eq!(bad.len(), 1, "{bad:?}");
    for derives in ["Clone", "Clone, Copy", "Debug, Default"] {
        let seen = format!("pub struct Limit;\n\n#[derive({derives})]\npub struct Seen(());\n");
        red(proofs(&bare("src/policy/visible.rs", &seen)));
    }
    red(proofs(&bare("src/policy/visible.rs", "impl Clone for Seen {\n}\n")));
    red(many_are_proven_by_name(&one("src/ledger/a.rs", "(certain.of_one(), certain.of_one())")));
    for unsealed in ["blocks::hot(tx, &keys, shelf, seq)", "blocks::covering(tx, shelf, start)", "Block::decode(&bytes)"] {
        red(unsealed_by_name(&one("src/ledger/stats.rs", &format!("let mean = {unsealed}; judged(tx);"))));
    }
    for raw in ["uploads::get(tx, id)", "Segments::of(db, &keys, (shelf, id))", "keys.raw.open_packed(place, &sealed)"] {
        red(unsealed_by_name(&one("src/api/a.rs", raw)));
    }
    red(unsealed_by_name(&bare("src/ledger/stats.rs", "pub(super) unsafe fn f() {\n    hot(tx, &keys, shelf, seq)\n}\n")));
    red(names_are_kept(&bare("src/api/a.rs", "use crate::store::{Tx, blocks as rows};\n")));
    red(names_are_kept(&bare("src/api/a.rs", "use crate::store::documents::{self as papers, Key};\n")));
    red(names_are_kept(&bare("src/api/a.rs", "type Asker = crate::access::Caller;\n")));
    for reader in ["live_shelf", "live_shelves", "directory_find", "directory_all", "each_referrer"] {
        red(api_reads_what_was_judged(&one("src/api/fhir/a.rs", &format!("documents::{reader}(tx, of, &id)?;"))));
    }
}
