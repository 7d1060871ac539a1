//! SMART App Launch 2.2 resource scopes: `context/Type.cruds?param=value`, and those of version 1, `context/Type.read`
//! (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html).
//!
//! `grammar` reads one scope whole or refuses it; `constraint` is what stands behind the `?`; `algebra` narrows and
//! compares sets; `request` reads what an app asks for; `words` says it to the person who is asked. What cannot be
//! enforced is refused when a token is issued.

mod algebra;
mod constraint;
mod grammar;
mod request;
#[cfg(test)]
mod universe;
mod words;

pub use constraint::{By, Constraint, Offer, Offered};
pub use request::{Plain, Requested, Ungranted};
pub use words::Reader;

use std::fmt::{self, Write};
use std::sync::Arc;

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

/// Whose data a scope is about: one patient's, what the user may see, or what the client was registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Patient,
    User,
    System,
}

impl Context {
    const ALL: [Context; 3] = [Context::Patient, Context::User, Context::System];

    pub const fn name(self) -> &'static str {
        match self {
            Context::Patient => "patient",
            Context::User => "user",
            Context::System => "system",
        }
    }

    fn named(name: &str) -> Option<Context> {
        Context::ALL.into_iter().find(|context| context.name() == name)
    }
}

/// The version of SMART in whose words a scope was asked, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V1,
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    context: Context,
    /// A type that is served; None is `*`, which takes in types that are served one day.
    resource: Option<&'static str>,
    letters: u8,
    form: Form,
    /// All of them must hold; none is no limit.
    constraints: Vec<Constraint>,
}

/// A set of scopes: what one of them allows is allowed, and each keeps its own constraints. A copy costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<Vec<Scope>>);

/// Of which resources of a type a set lets one interaction have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed<'a> {
    Everything,
    /// Those that meet all constraints of one of these lists.
    Any(Vec<&'a [Constraint]>),
}

impl Scopes {
    /// Scopes separated by blanks, without constraints.
    pub fn parse(text: &str) -> Result<Scopes> {
        Scopes::granular(text, &|_, _, _| Offered::Nothing)
    }

    /// The same with constraints on what `offer` offers: for what a token carries, that of room `policy`.
    pub fn granular(text: &str, offer: &Offer<'_>) -> Result<Scopes> {
        let read = |word: &str| grammar::read(word).and_then(|written| written.judged(offer)).map_err(|refused| refused.of(word));
        grammar::tokens(text).map(read).collect::<Result<Vec<_>>>().map(|scopes| Scopes(Arc::new(scopes)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first scope whose context (`patient`, `user`, `system`) is none of `role`'s.
    pub fn foreign(&self, role: &Scopes) -> Option<String> {
        let known = |scope: &&Scope| !role.0.iter().any(|of_role| of_role.context == scope.context);
        self.0.iter().find(known).map(ToString::to_string)
    }

    /// The one context of the set, None of an empty one. A patient's scopes beside a user's or a system's are refused: what
    /// is limited to one patient would be reached through the other.
    pub fn of_one_context(&self) -> Result<Option<Context>> {
        let Some(first) = self.0.first() else { return Ok(None) };
        match self.0.iter().find(|scope| scope.context != first.context) {
            Some(other) => Err(Error::new(Kind::Invalid, two_contexts(&first.to_string(), &other.to_string())).at("scope")),
            None => Ok(Some(first.context)),
        }
    }

    /// May every resource of the type be had? A scope with constraints says nothing here: who can hold them asks
    /// `constraints`, so a way that cannot stays shut.
    pub fn allow(&self, resource: &str, interaction: Interaction) -> bool {
        self.0.iter().any(|scope| scope.constraints.is_empty() && scope.permits(resource, interaction))
    }

    /// Which resources of the type may be had; None is none.
    pub fn constraints(&self, resource: &str, interaction: Interaction) -> Option<Allowed<'_>> {
        if self.allow(resource, interaction) {
            return Some(Allowed::Everything);
        }
        let lists: Vec<&[Constraint]> =
            self.0.iter().filter(|scope| scope.permits(resource, interaction)).map(|scope| scope.constraints.as_slice()).collect();
        (!lists.is_empty()).then_some(Allowed::Any(lists))
    }

    /// Those that allow it, to say what a refusal is about.
    pub fn permitting(&self, resource: &str, interaction: Interaction) -> Scopes {
        Scopes(Arc::new(self.0.iter().filter(|scope| scope.permits(resource, interaction)).cloned().collect()))
    }
}

fn two_contexts(first: &str, other: &str) -> String {
    format!("scope '{other}' has another context than '{first}'; ask for those of one context at a time")
}

impl Scope {
    /// The words of version 1 and the letters that they stand for.
    const V1: [(&'static str, u8); 3] = [
        ("read", Interaction::Read as u8 | Interaction::Search as u8),
        ("write", Interaction::Create as u8 | Interaction::Update as u8 | Interaction::Delete as u8),
        ("*", 31),
    ];

    fn permits(&self, resource: &str, interaction: Interaction) -> bool {
        self.letters & interaction as u8 != 0 && self.resource.is_none_or(|own| own == resource)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.", self.context.name(), self.resource.unwrap_or("*"))?;
        // What was narrowed to something that version 1 has no word for is said in letters.
        match Scope::V1.iter().find(|(_, letters)| self.form == Form::V1 && *letters == self.letters) {
            Some((word, _)) => f.write_str(word)?,
            None => {
                for (letter, _) in Interaction::LETTERS.iter().filter(|(_, bit)| self.letters & *bit as u8 != 0) {
                    f.write_char(*letter)?;
                }
            }
        }
        for (n, constraint) in self.constraints.iter().enumerate() {
            write!(f, "{}{constraint}", if n > 0 { "&" } else { "?" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if n > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::universe::offer;
    use super::*;

    fn read(text: &str) -> Scopes {
        Scopes::granular(text, &offer).unwrap()
    }

    #[test]
    fn scopes_read_back_as_written() {
        for text in [
            "patient/Observation.rs user/*.cruds system/AuditEvent.r",
            "patient/Observation.read patient/*.* patient/Device.write",
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory&code=8867-4",
            "patient/Observation.rs?category=http%3A%2f%2Fx%7Claboratory user/*.r?_id=a",
            "",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn a_scope_matches_its_whole_type_only() {
        let scopes = Scopes::parse("user/Observation.r").unwrap();
        assert!(scopes.allow("Observation", Interaction::Read));
        assert!(!scopes.allow("Observation", Interaction::Search));
        assert!(!scopes.allow("ObservationDefinition", Interaction::Read));
    }

    #[test]
    fn search_does_not_read_and_reading_does_not_search() {
        for (letters, granted) in [("r", Interaction::Read), ("s", Interaction::Search)] {
            let scopes = read(&format!("user/Observation.{letters}"));
            for (_, interaction) in Interaction::LETTERS {
                assert_eq!(scopes.allow("Observation", interaction), interaction == granted);
            }
        }
    }

    #[test]
    fn version_1_means_its_letters() {
        for (v1, v2) in [("read", "rs"), ("write", "cud"), ("*", "cruds")] {
            let (old, new) = (read(&format!("patient/Device.{v1}")), read(&format!("patient/Device.{v2}")));
            assert_eq!(old.0[0].letters, new.0[0].letters);
            assert_eq!((old.to_string(), new.to_string()), (format!("patient/Device.{v1}"), format!("patient/Device.{v2}")));
        }
    }

    #[test]
    fn contexts_do_not_mix() {
        assert_eq!(read("").of_one_context().unwrap(), None);
        assert_eq!(read("user/Device.r user/*.s").of_one_context().unwrap(), Some(Context::User));
        for text in ["patient/Device.r system/Device.r", "user/Device.r patient/*.s", "user/Device.r system/Device.r"] {
            let refused = read(text).of_one_context().unwrap_err();
            assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::Invalid, Some("scope")), "{text}");
        }
        assert_eq!(read("user/Device.r system/*.r").foreign(&read("user/*.r")).as_deref(), Some("system/*.r"));
    }

    #[test]
    fn each_scope_keeps_its_own_constraints() {
        let scopes = read("user/Observation.r?category=a&code=b user/Observation.rs?category=c user/Device.s");
        let said = |interaction| match scopes.constraints("Observation", interaction) {
            Some(Allowed::Any(lists)) => lists.iter().map(|list| list.iter().map(ToString::to_string).collect()).collect(),
            Some(Allowed::Everything) => vec![vec!["everything".to_owned()]],
            None => Vec::new(),
        };
        assert_eq!(said(Interaction::Read), [vec!["category=a", "code=b"], vec!["category=c"]]);
        assert_eq!(said(Interaction::Search), [["category=c"]]);
        assert_eq!(said(Interaction::Create), Vec::<Vec<String>>::new());
        assert_eq!(scopes.constraints("Device", Interaction::Search), Some(Allowed::Everything));
    }

    #[test]
    fn a_constraint_opens_nothing_where_nobody_asks_for_it() {
        let scopes = read("user/Observation.rs?category=a");
        assert!(!scopes.allow("Observation", Interaction::Read) && !scopes.allow("Observation", Interaction::Search));
        let beside = read("user/Observation.rs?category=a user/Observation.r");
        assert!(beside.allow("Observation", Interaction::Read) && !beside.allow("Observation", Interaction::Search));
        assert_eq!(beside.constraints("Observation", Interaction::Read), Some(Allowed::Everything));
    }
}
