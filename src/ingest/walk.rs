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
    /// A member of the envelope other than `data`, with its text (None: an object, an array, or longer than we keep).
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
/// `data`. Text that is not one JSON value is `Kind::Syntax` wherever it is. What is JSON but may not be an envelope
/// is said when the text was read to its end: `Kind::Syntax` for no object, a member twice or too many levels,
/// `Kind::TextNul`, and `Kind::Envelope` for the rest.
pub fn walk(input: &mut dyn Read, keep: bool, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<bool> {
    let mut walk = Walk { stream: Stream::new(input), keep, fault: None, has_data: false };
    if walk.stream.peek()? == Some(b'{') {
        walk.object("$", &mut |walk, name| walk.top(name, on))?;
    } else {
        walk.stream.value(false)?;
        walk.blame(Kind::Syntax, "$", "the body must be one JSON object");
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
    fn blame(&mut self, kind: Kind, at: &str, what: &str) {
        self.fault.get_or_insert_with(|| Error::new(kind, format!("{at}: {what}")).at(at));
    }

    fn blame_nul(&mut self, nul: bool, at: &str) {
        if nul {
            self.blame(Kind::TextNul, at, "a text or name has a NUL character");
        }
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
                self.blame(Kind::Envelope, at, "too many members");
            } else if !names.insert(name.clone()) {
                self.blame(Kind::Syntax, at, "a member is there twice");
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
        let Value { text, nul } = self.stream.value(true)?;
        let read = text.filter(|text| text.len() <= NAME_MAX).and_then(|text| serde_json::from_str::<String>(text).ok());
        self.blame_nul(nul, at);
        Ok(read.unwrap_or_else(|| {
            self.blame(Kind::Envelope, at, "a member's name is too long or not Unicode");
            String::new()
        }))
    }

    /// Reads an array of the envelope, each element by `element`.
    fn array(&mut self, element: &mut dyn FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        self.stream.expect(b'[', "an array is expected")?;
        if self.stream.take(b']')? {
            return Ok(());
        }
        for index in 0.. {
            element(self, index)?;
            if self.stream.take(b']')? {
                break;
            }
            self.stream.expect(b',', "a comma or ] is expected")?;
        }
        Ok(())
    }

    fn top(&mut self, name: &str, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<()> {
        let first = self.stream.peek()?;
        if name != "data" {
            if matches!(first, Some(b'{' | b'[')) {
                on(Met::Member { name, text: None })?;
                return self.inside(name, 2);
            }
            let Value { text, nul } = self.stream.value(true)?;
            on(Met::Member { name, text })?;
            self.blame_nul(nul, name);
            return Ok(());
        }
        if first != Some(b'{') {
            self.stream.value(false)?;
            self.blame(Kind::Envelope, "data", "must be an object");
            return Ok(());
        }
        self.has_data = true;
        self.object("data", &mut |walk, list| walk.list(list, on))
    }

    /// Reads a value of a member that we have no use for. `level`: on which it would open an object or array.
    fn inside(&mut self, at: &str, level: usize) -> Result<()> {
        let first = self.stream.peek()?.filter(|first| matches!(first, b'{' | b'['));
        match first {
            Some(_) if level > DEPTH_MAX => {
                self.stream.value(false)?;
                self.blame(Kind::Syntax, at, "nests more than 64 levels");
                Ok(())
            }
            Some(b'{') => self.object(at, &mut |walk, _| walk.inside(at, level + 1)),
            Some(_) => self.array(&mut |walk, _| walk.inside(at, level + 1)),
            None => {
                let nul = self.stream.value(false)?.nul;
                self.blame_nul(nul, at);
                Ok(())
            }
        }
    }

    fn list(&mut self, list: &str, on: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<()> {
        if self.stream.peek()? != Some(b'[') {
            let Value { text, .. } = self.stream.value(true)?;
            // A list that is null has no elements; anything else is one record, and a wrong one.
            return if text == Some("null") { Ok(()) } else { on(Met::Element(Element { list, index: 0, loose: true, text })) };
        }
        self.array(&mut |walk, index| {
            let Value { text, .. } = walk.stream.value(walk.keep)?;
            on(Met::Element(Element { list, index, loose: false, text }))
        })
    }
}
