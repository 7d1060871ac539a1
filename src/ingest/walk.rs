//! The outline of an upload: `{..., "data": {"list": [element, ...], ...}, ...}` in any order.
//!
//! What is inside the elements is not looked at here, except that it is JSON.

use std::collections::BTreeSet;
use std::io::Read;

use super::stream::{Stream, Value};
use crate::error::{Error, Kind, Result};
use crate::mapping::tree::DEPTH_MAX;

/// The longest member name, and the most members, of the envelope.
const NAME_MAX: usize = 256;
const MEMBERS_MAX: usize = 1000;

/// One thing met on the way.
pub enum Met<'a> {
    /// A member of the envelope other than `data`, with its text (None: longer than we keep).
    Member {
        name: &'a str,
        text: Option<&'a str>,
    },
    Element(Element<'a>),
}

/// One element of a list in `data`.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub list: &'a str,
    pub index: usize,
    /// The list is not an array but this one value.
    pub loose: bool,
    /// None: longer than we keep.
    pub text: Option<&'a str>,
}

/// Walks over the whole text and hands everything to `on` in the order of the text. Returns whether there was
/// `data`. Text that is not one JSON value is `Kind::Syntax` wherever it is; a wrong envelope is
/// `Kind::Envelope` and said when the text was read to its end.
pub fn walk(input: &mut dyn Read, keep: bool, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<bool> {
    let mut walk = Walk { stream: Stream::new(input), keep, fault: None, has_data: false };
    if walk.stream.peek()? == Some(b'{') {
        walk.object("$", &mut |walk, name| walk.top(name, on))?;
    } else {
        walk.stream.value(false)?;
        walk.blame("$", "the body must be one JSON object");
    }
    if walk.stream.peek()?.is_some() {
        return walk.stream.syntax("there is more behind the JSON object");
    }
    match walk.fault {
        Some(fault) => Err(fault),
        None => Ok(walk.has_data),
    }
}

struct Walk<'r> {
    stream: Stream<'r>,
    keep: bool,
    /// The first thing that is wrong with the envelope.
    fault: Option<Error>,
    has_data: bool,
}

impl<'r> Walk<'r> {
    fn blame(&mut self, at: &str, what: &str) {
        self.fault.get_or_insert_with(|| Error::new(Kind::Envelope, format!("{at}: {what}")).at(at));
    }

    /// Reads an object of the envelope, whose names are all different.
    fn object(&mut self, at: &str, member: &mut dyn FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        let mut names = BTreeSet::new();
        self.stream.expect(b'{', "an object is expected")?;
        if self.stream.take(b'}')? {
            return Ok(());
        }
        loop {
            let name = self.name(at)?;
            self.stream.expect(b':', "a colon is expected")?;
            if names.len() >= MEMBERS_MAX {
                self.blame(at, "too many members");
            } else if !names.insert(name.clone()) {
                self.blame(at, "a member is there twice");
            }
            member(self, &name)?;
            if self.stream.take(b'}')? {
                return Ok(());
            }
            self.stream.expect(b',', "a comma or } is expected")?;
        }
    }

    fn name(&mut self, at: &str) -> Result<String> {
        if self.stream.peek()? != Some(b'"') {
            return self.stream.syntax("a member's name is expected");
        }
        let read =
            self.stream.value(true)?.text.filter(|text| text.len() <= NAME_MAX).map(|text| serde_json::from_str::<String>(text).ok());
        Ok(read.flatten().unwrap_or_else(|| {
            self.blame(at, "a member's name is too long or not Unicode");
            String::new()
        }))
    }

    fn top(&mut self, name: &str, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<()> {
        if name != "data" {
            let Value { text, depth } = self.stream.value(true)?;
            on(Met::Member { name, text })?;
            if depth >= DEPTH_MAX {
                self.blame("$", "a member nests too deep");
            }
            return Ok(());
        }
        if self.stream.peek()? != Some(b'{') {
            self.stream.value(false)?;
            self.blame("data", "must be an object");
            return Ok(());
        }
        self.has_data = true;
        self.object("data", &mut |walk, list| walk.list(list, on))
    }

    fn list(&mut self, list: &str, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<()> {
        if self.stream.peek()? != Some(b'[') {
            let Value { text, .. } = self.stream.value(true)?;
            // A list that is null has no elements; anything else is one record, and a wrong one.
            return if text == Some("null") { Ok(()) } else { on(Met::Element(Element { list, index: 0, loose: true, text })) };
        }
        self.stream.take(b'[')?;
        if self.stream.take(b']')? {
            return Ok(());
        }
        for index in 0.. {
            let Value { text, .. } = self.stream.value(self.keep)?;
            on(Met::Element(Element { list, index, loose: false, text }))?;
            if self.stream.take(b']')? {
                break;
            }
            self.stream.expect(b',', "a comma or ] is expected")?;
        }
        Ok(())
    }
}
