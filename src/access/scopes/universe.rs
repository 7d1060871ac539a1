//! For the tests of this room: the offer of room `policy`, and a naive reading of scopes over a small world.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::grammar::clip;
use super::{Allowed, Constraint, Interaction, Scopes};
use crate::error::{Kind, Result};
pub use crate::policy::offer;

pub fn parse(text: &str) -> Result<Scopes> {
    Scopes::granular(text, &offer)
}

/// Is it refused by name and with this reason?
#[track_caller]
pub fn refused(text: &str, why: &str) {
    let refused = parse(text).expect_err(text);
    assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::Invalid, Some("scope")), "{text}");
    assert!(refused.says().contains(why) && refused.says().contains(&clip(text)), "{text}: {}", refused.says());
}

/// A resource, with those of the values a, b, c that it has of `code` and of `category`. `Later` is a type that is not
/// served yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    pub resource: &'static str,
    code: &'static str,
    category: &'static str,
}

/// One thing that may be allowed.
pub type Point = (&'static str, char, Thing);

pub const CONTEXTS: [&str; 3] = ["patient", "user", "system"];

pub fn things() -> Vec<Thing> {
    let mut all = Vec::new();
    for code in ["", "a", "b", "ab", "c"] {
        for category in ["", "a", "b", "ab"] {
            all.push(Thing { resource: "Observation", code, category });
            all.push(Thing { resource: "DiagnosticReport", code, category });
        }
    }
    all.push(Thing { resource: "Device", code: "", category: "" });
    all.push(Thing { resource: "Later", code: "", category: "" });
    all
}

/// Does the thing have one of the values, as the text `param=a,b` asks?
fn has(thing: &Thing, param: &str, values: &str) -> bool {
    let own = if param == "code" { thing.code } else { thing.category };
    values.split(',').any(|value| own.contains(value))
}

/// What a text of scopes means, read with knives.
pub fn meaning(text: &str) -> BTreeSet<Point> {
    let mut all = BTreeSet::new();
    for scope in text.split_whitespace() {
        let (head, query) = scope.split_once('?').unwrap_or((scope, ""));
        let (context, rest) = head.split_once('/').unwrap();
        let (resource, letters) = rest.split_once('.').unwrap();
        let letters = match letters {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        let context = CONTEXTS.into_iter().find(|known| *known == context).unwrap();
        for thing in things().into_iter().filter(|thing| resource == "*" || thing.resource == resource) {
            let met = query.split('&').filter(|pair| !pair.is_empty()).all(|pair| {
                let (param, values) = pair.split_once('=').unwrap();
                has(&thing, param, values)
            });
            if met {
                all.extend(letters.chars().map(|letter| (context, letter, thing.clone())));
            }
        }
    }
    all
}

/// The same as the room's own words say it, of a set of one context.
pub fn allowed(context: &'static str, scopes: &Scopes) -> BTreeSet<Point> {
    let mut all = BTreeSet::new();
    for thing in things() {
        for (letter, interaction) in Interaction::LETTERS {
            let holds = |list: &&[Constraint]| list.iter().all(|one| has(&thing, one.param(), one.value()));
            let may = match scopes.constraints(thing.resource, interaction) {
                None => false,
                Some(Allowed::Everything) => true,
                Some(Allowed::Any(lists)) => lists.iter().any(holds),
            };
            if may {
                all.insert((context, letter, thing.clone()));
            }
        }
    }
    all
}

/// Sets of scopes over the world, as text. `contexts` and `constrained` choose how rich they are.
pub fn sets(contexts: &'static [&'static str], constrained: bool) -> impl Strategy<Value = String> {
    let letters =
        prop_oneof![Just("read"), Just("write"), Just("*"), Just("r"), Just("s"), Just("rs"), Just("cu"), Just("cruds"), Just("d")];
    let resource = prop_oneof![4 => Just("Observation"), 2 => Just("DiagnosticReport"), 1 => Just("Device"), 1 => Just("*")];
    let value = prop::sample::select(vec!["a", "b", "c", "a,b", "b,a", "a,b,c"]);
    let pairs = prop::collection::vec((prop::sample::select(vec!["code", "category"]), value), 0..3);
    let scope = (prop::sample::select(contexts), resource, letters, pairs).prop_map(move |(context, resource, letters, pairs)| {
        let plain = !constrained || pairs.is_empty() || ["*", "Device"].contains(&resource) || letters.len() > 2 || letters == "*";
        let query: Vec<String> = pairs.into_iter().map(|(param, value)| format!("{param}={value}")).collect();
        format!("{context}/{resource}.{letters}{}", if plain { String::new() } else { format!("?{}", query.join("&")) })
    });
    prop::collection::vec(scope, 0..5).prop_map(|scopes| scopes.join(" "))
}
