//! The same requests by a system, which sees all: each addition is among what it is answered, and by each kind of path
//! that could tell of one it is answered otherwise than before.

use std::collections::BTreeMap;

use crate::interference::{Answers, Hidden, shown, told};
use crate::interference_asks::{Ask, send};
use crate::support::{Bundle, Client};

/// Kinds of paths that can tell of what is not asked for by its id, and those by which a guessed id is asked for.
const TELLING: [&str; 10] =
    ["search", "_search", "total", "count", "include", "next link", "type history", "system history", "history in a bundle", "hidden id"];

/// Nothing is changed by it, whoever asks.
fn reads(ask: &Ask) -> bool {
    let written = |body: &str| ["\"POST\"", "\"PUT\"", "\"PATCH\"", "\"DELETE\""].iter().any(|verb| body.contains(verb));
    match ask.verb {
        "GET" | "HEAD" => true,
        "POST" if ask.url == "/fhir" => ask.body.as_ref().is_some_and(|(_, body)| !written(body)),
        "POST" => ask.url.contains("/_search") || ask.url.contains("$validate"),
        _ => false,
    }
}

/// What a system is answered to all that only reads. Pages of one row are not walked: there are as many as rows.
pub fn answered(system: &Client<'_>, asks: &[Ask]) -> Answers {
    let mut answers = Answers::default();
    for ask in asks.iter().filter(|ask| reads(ask)) {
        let reply = send(system, ask);
        let mut answer = told(&reply, &mut answers.cursors);
        let mut next = serde_json::from_slice(&reply.body).ok().and_then(|body| Bundle(body).next());
        while let Some(url) = next.filter(|_| ask.path != "next link") {
            let reply = system.get(&url).is(200);
            answer.push_str(&told(&reply, &mut answers.cursors));
            next = Bundle(reply.json()).next();
        }
        answers.all.push((ask.clone(), answer));
    }
    answers
}

/// Each addition is in the answers, and most of the requests that can tell of one are answered otherwise.
pub fn meets(before: &Answers, after: &Answers, added: &Hidden) {
    let of = |paths: &[&str]| Answers {
        all: after.all.iter().filter(|(ask, _)| paths.contains(&ask.path)).cloned().collect(),
        ..Answers::default()
    };
    let (found, histories) = (of(&["search", "_search"]), of(&["type history"]));
    let (found, histories) = (shown(&found), shown(&histories));
    for (path, gone) in added.live.iter().map(|path| (path, false)).chain(added.gone.iter().map(|path| (path, true))) {
        let id = path.split_once('/').expect("a path").1;
        assert_eq!((found.contains(id), histories.contains(id)), (!gone, true), "{path} in what a system is answered");
    }
    let mut by_path: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for ((ask, before), (_, after)) in before.all.iter().zip(&after.all) {
        let (all, same) = by_path.entry(ask.path).or_default();
        *all += 1;
        same.extend((before == after).then_some(ask.url.as_str()));
    }
    for path in TELLING {
        let (all, same) = &by_path[path];
        assert!(
            same.len() * if path == "next link" { 3 } else { 6 } <= *all,
            "by {path} a system is not told of what was added: {} of {all}, {same:#?}",
            same.len()
        );
    }
}

/// What writes: a system is answered otherwise than who does not see what was added. It is asked last, for it changes it.
pub fn writes(system: &Client<'_>, asks: &[Ask], callers: &[&Answers]) {
    for path in ["conditional", "hidden id"] {
        let mut of_path = (0, Vec::new());
        for ask in asks.iter().filter(|ask| ask.path == path && !reads(ask)) {
            let answer = told(&send(system, ask), &mut Vec::new());
            let same = callers.iter().any(|caller| caller.all.iter().any(|(asked, said)| same(asked, ask) && *said == answer));
            of_path.0 += 1;
            of_path.1.extend(same.then_some((ask.verb, ask.url.as_str(), answer)));
        }
        assert!(
            of_path.0 > 5 && of_path.1.len() * 3 <= of_path.0,
            "{path}: {} writes, of which a system is answered as others: {:#?}",
            of_path.0,
            of_path.1
        );
    }
}

fn same(one: &Ask, other: &Ask) -> bool {
    (one.verb, &one.url, &one.header, &one.body) == (other.verb, &other.url, &other.header, &other.body)
}

#[test]
fn a_bundle_that_writes_does_not_only_read() {
    let of = |method: &str| Ask {
        path: "batch",
        verb: "POST",
        url: "/fhir".into(),
        header: None,
        body: Some(("application/fhir+json", serde_json::json!({"entry": [{"request": {"method": method}}]}).to_string())),
    };
    assert!(reads(&of("GET")));
    assert!(["POST", "PUT", "PATCH", "DELETE"].iter().all(|method| !reads(&of(method))));
}
