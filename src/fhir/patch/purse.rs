//! What a patch may cost. A body of a few kilobytes can ask for gigabytes by copies of copies, or walk through a long
//! array a thousand times; so each step is paid for, and every text that grows is measured before it does.

use std::borrow::Cow;

use super::{BYTES_MAX, DEPTH_MAX, issue};
use crate::fhir::validate::{Issue, Node};

/// Bytes copied, and members and entries passed: a second or two of a slow machine.
const WORK_MAX: usize = 1 << 27;

pub(super) struct Purse {
    work: usize,
    /// The tree as text has at most so many bytes; what was removed is only subtracted when it matters.
    bytes: usize,
}

#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    /// Arrays and objects in each other.
    depth: usize,
    nodes: usize,
}

impl Purse {
    /// For a resource whose text has so many bytes.
    pub fn new(bytes: usize) -> Purse {
        Purse { work: WORK_MAX, bytes }
    }

    /// With less to spend.
    #[cfg(test)]
    pub fn poor(work: usize) -> Purse {
        Purse { work, bytes: 0 }
    }

    pub fn spend(&mut self, units: usize) -> Result<(), Issue> {
        self.work = self.work.checked_sub(units).ok_or_else(|| {
            let says = "The patch asks for too much work.";
            issue("too-costly", "", says, "Send fewer operations on smaller values, or send the whole resource by PUT.")
        })?;
        Ok(())
    }

    /// Pays for a value that is about to be copied or put below `above` arrays and objects of the tree.
    pub fn grow(&mut self, root: &Node, value: &Node, above: usize) -> Result<(), Issue> {
        let size = self.fits(value, above)?;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > BYTES_MAX {
            let now = measure(root).bytes;
            self.spend(now)?;
            self.bytes = now.saturating_add(size);
        }
        if self.bytes > BYTES_MAX { Err(too_large()) } else { Ok(()) }
    }

    /// Pays for what a copy takes of memory, which for short values is more than their text.
    pub fn copy(&mut self, value: &Node) -> Result<(), Issue> {
        self.spend(measure(value).nodes.saturating_mul(size_of::<(Cow<str>, Node)>()))
    }

    /// Can the value stand so deep? Gives its bytes.
    pub fn fits(&mut self, value: &Node, above: usize) -> Result<usize, Issue> {
        let size = measure(value);
        self.spend(size.bytes)?;
        if above.saturating_add(size.depth) > DEPTH_MAX {
            let says = format!("The outcome would have more than {DEPTH_MAX} levels.");
            return Err(issue("too-costly", "", says, "Nest less."));
        }
        Ok(size.bytes)
    }
}

pub(super) fn too_large() -> Issue {
    let says = format!("The outcome would have more than {BYTES_MAX} bytes.");
    issue("too-costly", "", says, "Add less; large contents go into a Binary each.")
}

/// Escapes are left out: they are counted in the text that comes out.
fn measure(node: &Node) -> Size {
    let one = |bytes: usize| Size { bytes, depth: 0, nodes: 1 };
    let group = Size { bytes: 2, depth: 1, nodes: 1 };
    match node {
        Node::Null | Node::Boolean(_) => one(5),
        Node::Number(text) => one(text.len()),
        Node::Text(text) => one(text.len() + 2),
        Node::List(nodes) => nodes.iter().fold(group, |all, node| all.with(measure(node), 1)),
        Node::Object(it) => it.members().fold(group, |all, (name, node)| all.with(measure(node), name.len() + 4)),
    }
}

impl Size {
    fn with(self, one: Size, more: usize) -> Size {
        Size { bytes: self.bytes + one.bytes + more, depth: self.depth.max(one.depth + 1), nodes: self.nodes + one.nodes }
    }
}
