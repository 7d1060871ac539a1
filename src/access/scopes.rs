//! SMART App Launch 2.2 resource scopes: `context/Type.cruds`. Whole-token match; what cannot be
//! enforced (granular constraints, wildcards in the wrong place) is refused when a token is issued.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// The letters of a v2 scope, in the order in which they must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    Create = 1,
    Read = 2,
    Update = 4,
    Delete = 8,
    Search = 16,
}

impl Interaction {
    const LETTERS: [(char, Interaction); 5] = [
        ('c', Interaction::Create),
        ('r', Interaction::Read),
        ('u', Interaction::Update),
        ('d', Interaction::Delete),
        ('s', Interaction::Search),
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Interaction::Create => "create",
            Interaction::Read => "read",
            Interaction::Update => "update",
            Interaction::Delete => "delete",
            Interaction::Search => "search",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    context: String,
    /// A resource type or `*`.
    resource: String,
    letters: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Scopes separated by one blank.
    pub fn parse(text: &str) -> Result<Scopes> {
        text.split(' ').filter(|scope| !scope.is_empty()).map(Scope::parse).collect::<Result<_>>().map(Scopes)
    }

    /// The first scope whose context (`patient`, `user`, `system`) is none of `role`'s.
    pub fn foreign(&self, role: &Scopes) -> Option<String> {
        let known = |scope: &&Scope| !role.0.iter().any(|of_role| of_role.context == scope.context);
        self.0.iter().find(known).map(|scope| Scopes(vec![scope.clone()]).to_string())
    }

    pub fn allow(&self, resource: &str, interaction: Interaction) -> bool {
        self.0.iter().any(|scope| scope.letters & interaction as u8 != 0 && (scope.resource == "*" || scope.resource == resource))
    }
}

impl Scope {
    fn parse(text: &str) -> Result<Scope> {
        let refused =
            |why: &str| Error::new(Kind::Invalid, format!("scope '{text}' {why}; a scope looks like user/Observation.rs")).at("scope");
        let (context, rest) = text.split_once('/').ok_or_else(|| refused("has no context"))?;
        if !["patient", "user", "system"].contains(&context) {
            return Err(refused("has another context than patient, user or system"));
        }
        let (resource, letters) = rest.split_once('.').ok_or_else(|| refused("has no interactions"))?;
        if resource != "*" && !(resource.starts_with(|c: char| c.is_ascii_uppercase()) && resource.chars().all(|c| c.is_ascii_alphabetic()))
        {
            return Err(refused("names no resource type"));
        }
        let (mut bits, mut last) = (0u8, 0u8);
        for letter in letters.chars() {
            let bit = Interaction::LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit as u8);
            let bit = bit.filter(|bit| *bit > last).ok_or_else(|| refused("has interactions that are not c, r, u, d, s in this order"))?;
            bits |= bit;
            last = bit;
        }
        if bits == 0 {
            return Err(refused("has no interactions"));
        }
        Ok(Scope { context: context.into(), resource: resource.into(), letters: bits })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            let letters: String =
                Interaction::LETTERS.iter().filter(|(_, bit)| scope.letters & *bit as u8 != 0).map(|(letter, _)| letter).collect();
            write!(f, "{}{}/{}.{letters}", if n > 0 { " " } else { "" }, scope.context, scope.resource)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_written() {
        let text = "patient/Observation.rs user/*.cruds system/AuditEvent.r";
        assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        for bad in [
            "Observation.rs",
            "all/Observation.rs",
            "user/Observation",
            "user/Observation.",
            "user/Observation.sr",
            "user/Observation.rr",
            "user/Observation.rs?category=x",
            "user/observation.rs",
            "user/Observation.read",
        ] {
            assert_eq!(Scopes::parse(bad).err().map(|e| e.kind), Some(Kind::Invalid), "{bad}");
        }
    }

    #[test]
    fn a_scope_matches_its_whole_type_only() {
        let scopes = Scopes::parse("user/Observation.r").unwrap();
        assert!(scopes.allow("Observation", Interaction::Read));
        assert!(!scopes.allow("Observation", Interaction::Search));
        assert!(!scopes.allow("ObservationDefinition", Interaction::Read));
    }
}
