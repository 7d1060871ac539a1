//! FHIRPath Patch: <http://hl7.org/fhir/R4/fhirpatch.html>.
//!
//! A path may have element names (a choice by its own name: `value`, or as JSON has it), `[n]`,
//! `where(child.path = 'text' and ..)` with texts, numbers, true, false and `$this`, `first()`, `last()`,
//! `extension('url')`, `ofType(Type)` or `as(Type)`, and the resource's type before it all. The tables of R4 are asked
//! what an element is, so a name that R4 does not have is an error and not an empty answer.

mod edit;
mod expression;
mod find;
mod literal;
mod parameters;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
mod value;

use std::mem::take;
use std::rc::Rc;

use self::edit::{Pair, change, delete, object, push, put, put_list, rename, take_list};
use self::expression::Expression;
use self::find::{Finder, Hop, ITEM, Item, Spot, named, shadow};
use self::parameters::{Change, Operation, operations};
use self::value::{Part, stands};
use super::purse::Purse;
use super::{issue, of_operation, outcome, resource};
use crate::fhir::definitions::{Element, Member};
use crate::fhir::validate::{Issue, Node, Object};

/// Changes the text of a resource by a Parameters resource in JSON; see the room for what the caller has to judge
/// after it.
///
/// - add: to an element that repeats, at its end; to one that does not, only where there is none.
/// - insert and move: the path is that of the list, without an index.
/// - delete: nothing at the path is no error; what is empty without the element goes with it.
/// - replace: the element with its id and extensions; a choice may get another type.
///
/// An issue's `at` is the path that was sent, or the part of the body that is wrong. All that is wrong with the body is
/// told at once; an operation that cannot be done is the only issue.
pub fn fhirpath_patch(text: &str, patch: &[u8]) -> Result<String, Vec<Issue>> {
    patched(text, patch, Purse::new(text.len()))
}

fn patched(text: &str, patch: &[u8], purse: Purse) -> Result<String, Vec<Issue>> {
    let operations = operations(patch)?;
    let mut patch = Patch { root: resource(text)?, purse };
    for (n, Operation { change, path }) in operations.into_iter().enumerate() {
        let name = change.name();
        patch.run(change, &path).map_err(|it| {
            let at = if it.at.is_empty() { super::shown(&path.text) } else { it.at.clone() };
            vec![of_operation(n, name, Issue { at, ..it })]
        })?;
    }
    outcome(&patch.root, text.len())
}

struct Patch<'t> {
    root: Object<'t>,
    purse: Purse,
}

const LOOK: &str = "Read the resource again, and let the path lead to one element that is there.";

impl<'t> Patch<'t> {
    fn run(&mut self, change: Change<'t>, path: &Expression) -> Result<(), Issue> {
        match change {
            Change::Add(name, part) => self.add(path, &name, part),
            Change::Insert(index, part) => self.insert(path, index, part),
            Change::Delete => self.delete(path),
            Change::Replace(part) => self.replace(path, part),
            Change::Move { source, destination } => self.relocate(path, source, destination),
        }
    }

    fn finder(&mut self) -> Finder<'_, 't> {
        Finder { root: &self.root, purse: &mut self.purse }
    }

    /// Pays for what is about to be put into the object at the end of a way.
    fn pay(&mut self, pair: &Pair<'t>, way: &[Hop], element: &Element) -> Result<(), Issue> {
        let levels = |hop: &Hop| 1 + usize::from(hop.index.is_some());
        let above = 1 + way.iter().map(levels).sum::<usize>() + usize::from(element.repeats());
        let root = Node::Object(take(&mut self.root));
        let paid = pair.nodes().try_for_each(|node| self.purse.grow(&root, node, above));
        if let Node::Object(it) = root {
            self.root = it;
        }
        paid
    }

    /// The object at the end of a way that was found.
    fn object(&mut self, way: &[Hop]) -> Result<&mut Object<'t>, Issue> {
        object(&mut self.root, way).ok_or_else(|| issue("processing", "", "The path leads to what is no object.", LOOK))
    }

    fn add(&mut self, path: &Expression, name: &str, part: Part<'t>) -> Result<(), Issue> {
        let mut finder = self.finder();
        let found = finder.all(path)?;
        let item = single(&found)?;
        let place = finder.place(item)?.ok_or_else(|| issue("processing", "", "The path leads to what has no elements.", LOOK))?;
        let target = named(place, name)?;
        let way = item.way();
        let (name, pair) = part.fit(target)?;
        self.pay(&pair, &way, target.element)?;
        let it = self.object(&way)?;
        if target.element.repeats() {
            let besides = it.get(&shadow(&name)).map_or(0, |node| node.all().len());
            push(it, &name, pair);
            return self.purse.spend(besides.saturating_mul(ITEM));
        }
        if stands(it, target.element) {
            let says = format!("{} is there already, and R4 lets it not repeat.", target.element.path);
            return Err(issue("processing", "", says, "Replace it."));
        }
        put(it, &name, pair);
        Ok(())
    }

    /// Changes all of an element that repeats; whoever found it has paid for each.
    fn list(&mut self, way: &[Hop], name: &str, change: impl FnOnce(&mut Vec<Pair<'t>>)) -> Result<(), Issue> {
        let it = self.object(way)?;
        let mut pairs = take_list(it, name);
        change(&mut pairs);
        put_list(it, name, pairs);
        Ok(())
    }

    /// The way to an element that repeats, and how many there are.
    fn collection(&mut self, path: &Expression) -> Result<(Rc<[Hop]>, Member, usize), Issue> {
        let mut finder = self.finder();
        let (owners, name) = finder.owner(path)?;
        let no_list = |says: String| issue("processing", "", says, "Let the path end with the name of a list, as in Patient.name.");
        let name = name.ok_or_else(|| no_list("The path does not end with the name of an element.".to_owned()))?;
        let owner = single(&owners)?;
        let place = finder.place(owner)?.ok_or_else(|| issue("processing", "", "The path leads to what has no elements.", LOOK))?;
        let target = named(place, &name)?;
        if !target.element.repeats() {
            return Err(no_list(format!("{} is no list.", target.element.path)));
        }
        let found = finder.all(path)?.len();
        Ok((owner.way(), target, found))
    }

    fn insert(&mut self, path: &Expression, index: usize, part: Part<'t>) -> Result<(), Issue> {
        let (way, target, length) = self.collection(path)?;
        if index > length {
            let says = format!("{index} is no place in a list of {length}.");
            return Err(issue("processing", "", says, format!("Send an index from 0 to {length}.")));
        }
        let (name, pair) = part.fit(target)?;
        self.pay(&pair, &way, target.element)?;
        self.list(&way, &name, |pairs| pairs.insert(index.min(pairs.len()), pair))
    }

    fn relocate(&mut self, path: &Expression, source: usize, destination: usize) -> Result<(), Issue> {
        let (way, target, length) = self.collection(path)?;
        if let Some(wrong) = [source, destination].into_iter().find(|index| *index >= length) {
            let says = format!("{wrong} is no place in a list of {length}.");
            return Err(issue("processing", "", says, "Send indexes of elements that are there, counted from 0."));
        }
        self.list(&way, target.element.name, |pairs| {
            if source < pairs.len() && destination < pairs.len() {
                let moved = pairs.remove(source);
                pairs.insert(destination, moved);
            }
        })
    }

    fn delete(&mut self, path: &Expression) -> Result<(), Issue> {
        let found = self.finder().all(path)?;
        let Some(spot) = (if found.is_empty() { None } else { Some(element(single(&found)?)?) }) else {
            return Ok(());
        };
        delete(&mut self.root, &spot.owner, &spot.name, spot.index);
        Ok(())
    }

    fn replace(&mut self, path: &Expression, part: Part<'t>) -> Result<(), Issue> {
        let found = self.finder().all(path)?;
        let spot = element(single(&found)?)?;
        let of = spot.of.filter(|_| !spot.element.choice);
        let (name, pair) = part.fit(Member { element: spot.element, of })?;
        self.pay(&pair, &spot.owner, spot.element)?;
        let it = self.object(&spot.owner)?;
        change(it, &spot.name, spot.index, |old| *old = pair);
        rename(it, &spot.name, &name);
        Ok(())
    }
}

/// The path must lead to exactly one element.
fn single(found: &[Item]) -> Result<&Item, Issue> {
    match found {
        [one] => Ok(one),
        [] => Err(issue("not-found", "", "The path leads to nothing.", LOOK)),
        more => {
            let says = format!("The path leads to {} elements.", more.len());
            Err(issue("processing", "", says, "Pick one of them with an index or where(..)."))
        }
    }
}

fn element(item: &Item) -> Result<&Spot, Issue> {
    match item {
        Item::Element(spot) => Ok(spot),
        Item::Root => {
            let says = "The path leads to the whole resource.";
            Err(issue("processing", "", says, "Send PUT to replace it, or DELETE to delete it."))
        }
    }
}
