//! Where in a resource something stands, as a FHIRPath expression: `Patient.name[1].given[0]`.

use std::fmt;

#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    up: Option<&'a Place<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Place<'a> {
    /// The resource itself.
    pub fn root(name: &'a str) -> Place<'a> {
        Place { up: None, name, index: None }
    }

    pub fn child<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { up: Some(self), name, index: None }
    }

    /// One of several.
    pub fn at(self, index: usize) -> Place<'a> {
        Place { index: Some(index), ..self }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            write!(f, "{up}.")?;
        }
        name(f, self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

/// An identifier of FHIRPath; between backticks when it is none, and cut when it is long.
fn name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if word && !name.is_empty() && name.len() <= 64 {
        return f.write_str(name);
    }
    write!(f, "`{}`", name.chars().take(64).collect::<String>().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path() {
        let (root, name) = (Place::root("Patient"), "given".to_owned());
        let up = root.child("name").at(1);
        assert_eq!(up.child(&name).at(0).to_string(), "Patient.name[1].given[0]");
        assert_eq!(up.child("a b`\n").to_string(), "Patient.name[1].`a b`\\n`");
        assert_eq!(up.child("").to_string(), "Patient.name[1].``");
        assert!(up.child(&"x".repeat(10_000)).to_string().len() < 100);
    }
}
