//! The part of FHIRPath (<http://hl7.org/fhirpath/N1/>) that a patch may be addressed by: what goes down from the
//! resource and picks among siblings. All else is refused by its name.

use super::literal::{Literal, Scanner};
use crate::fhir::patch::issue;
use crate::fhir::validate::{Issue, quoted};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
    /// All of them hold.
    Where(Vec<Term>),
    First,
    Last,
    Extension(String),
    OfType(String),
}

/// `system = 'phone'`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// Nothing for `$this`.
    pub path: Vec<Step>,
    pub equals: Literal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub text: String,
    /// The type that it starts with.
    pub root: Option<String>,
    pub steps: Vec<Step>,
}

const SUPPORTED: &str = "Use element names, [n], where(child = 'text' and ..), first(), last(), extension('url') and ofType(Type).";

/// Steps of one path; R4 nests nothing so deep.
const STEPS_MAX: usize = 100;

/// Why it was not read: the code, and what is wrong.
pub(super) type Refused = (&'static str, String);

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, Issue> {
        let told = |(code, says): Refused| issue(code, text, says, SUPPORTED);
        let mut scanner = Scanner::new(text);
        let mut path = steps(&mut scanner, Place::Top).map_err(told)?;
        scanner.space();
        if !scanner.rest().is_empty() {
            return Err(told(unsupported(scanner.word())));
        }
        let root = match path.first() {
            Some(Step::Name(name)) if name.starts_with(|c: char| c.is_ascii_uppercase()) => Some(name.clone()),
            _ => None,
        };
        if root.is_some() {
            path.remove(0);
        }
        Ok(Expression { text: text.to_owned(), root, steps: path })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// In the brackets of `where`.
    Term,
}

fn unsupported(part: &str) -> Refused {
    ("not-supported", format!("{} is no part of FHIRPath that this server lets a patch use.", quoted(part)))
}

fn invalid(says: impl Into<String>) -> Refused {
    ("invalid", says.into())
}

fn steps(scanner: &mut Scanner, place: Place) -> Result<Vec<Step>, Refused> {
    let mut found = Vec::new();
    scanner.space();
    // Alone it is what the condition is about; before a dot it changes nothing.
    if place == Place::Term && scanner.take("$this") && !scanner.take(".") {
        return Ok(found);
    }
    loop {
        scanner.space();
        found.push(invocation(scanner, place)?);
        scanner.space();
        while scanner.take("[") {
            let index = scanner.digits().parse().map_err(|_| invalid("An index is a whole number from 0 on: name[0]."))?;
            if !scanner.take("]") {
                return Err(invalid("An index ends with ]: name[0]."));
            }
            found.push(Step::Index(index));
            scanner.space();
        }
        if found.len() > STEPS_MAX {
            return Err(("too-costly", format!("The path has more than {STEPS_MAX} steps.")));
        }
        if !scanner.take(".") {
            return Ok(found);
        }
    }
}

/// An element's name, or a function.
fn invocation(scanner: &mut Scanner, place: Place) -> Result<Step, Refused> {
    if scanner.rest().is_empty() {
        return Err(invalid("The path ends where the name of an element is expected."));
    }
    let quoted_name = scanner.rest().starts_with('`');
    let Some(name) = scanner.identifier()? else {
        return Err(unsupported(scanner.word()));
    };
    if quoted_name || !scanner.take("(") {
        return Ok(Step::Name(name));
    }
    let step = match name.as_str() {
        "first" => Step::First,
        "last" => Step::Last,
        "extension" => match scanner.literal()? {
            Some(Literal::Text(url)) => Step::Extension(url),
            _ => return Err(invalid("extension() takes the url of the extension: extension('http://..').")),
        },
        "ofType" | "as" => Step::OfType(type_name(scanner)?),
        "where" if place == Place::Top => Step::Where(terms(scanner)?),
        _ => return Err(unsupported(&format!("{name}()"))),
    };
    scanner.space();
    if scanner.take(")") { Ok(step) } else { Err(after(scanner, &format!("{name}() does not end where it should."))) }
}

/// `Quantity`, `FHIR.Quantity`
fn type_name(scanner: &mut Scanner) -> Result<String, Refused> {
    scanner.space();
    let _ = scanner.take("FHIR.");
    scanner.identifier()?.ok_or_else(|| invalid("ofType() takes the name of a type: ofType(Quantity)."))
}

fn terms(scanner: &mut Scanner) -> Result<Vec<Term>, Refused> {
    let mut found = Vec::new();
    loop {
        let path = steps(scanner, Place::Term)?;
        scanner.space();
        if !scanner.take("=") {
            return Err(after(scanner, "where() takes comparisons: where(system = 'phone')."));
        }
        let equals = scanner.literal()?.ok_or_else(|| after(scanner, "A text, number, true or false is expected behind =."))?;
        found.push(Term { path, equals });
        scanner.space();
        let ahead = scanner.word();
        if ahead != "and" {
            return Ok(found);
        }
        let _ = scanner.take("and");
    }
}

/// What stands there is named when there is something; else what is missing is said.
fn after(scanner: &Scanner, says: &str) -> Refused {
    match scanner.word() {
        "" | ")" => invalid(says),
        word => unsupported(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(name: &str) -> Step {
        Step::Name(name.to_owned())
    }

    #[test]
    fn paths_are_read() {
        let read = Expression::parse("Patient.name[1].given.last()").unwrap();
        assert_eq!(read.root.as_deref(), Some("Patient"));
        assert_eq!(read.steps, [name("name"), Step::Index(1), name("given"), Step::Last]);
        let read = Expression::parse(" telecom . where( system = 'phone' and period.start='2\\'\\u0030' ) [ 0 ] . `value` ");
        assert!(read.is_err(), "an index has no space in it");
        let read = Expression::parse("telecom . where( system = 'phone' and $this.period.start='2\\'\\u0030' )[0] . `value` ").unwrap();
        let text = |text: &str| Literal::Text(text.to_owned());
        let terms = vec![
            Term { path: vec![name("system")], equals: text("phone") },
            Term { path: vec![name("period"), name("start")], equals: text("2'0") },
        ];
        assert_eq!(read.steps, [name("telecom"), Step::Where(terms), Step::Index(0), name("value")]);
        let read = Expression::parse("Observation.value.ofType(FHIR.Quantity).extension('urn:x').value").unwrap();
        assert_eq!(read.steps[..3], [name("value"), Step::OfType("Quantity".to_owned()), Step::Extension("urn:x".to_owned())]);
        let read = Expression::parse("given.where($this = 'a')").unwrap();
        assert_eq!(read.steps[1], Step::Where(vec![Term { path: vec![], equals: text("a") }]));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (path, part) in [
            ("Patient.name.exists()", "exists()"),
            ("Patient.name | Patient.contact", "|"),
            ("Patient.name.where(use = 'a' or use = 'b')", "or"),
            ("Patient.name.where(use != 'a')", "!="),
            ("Patient.name.where(use.exists())", "exists()"),
            ("Patient.name.where(given.where($this = 'a') = 'b')", "where()"),
            ("Patient.name.where(period.start = @2020)", "@2020"),
            ("Patient.name.where(use = family)", "family"),
            ("%resource.name", "%resource"),
            ("Patient.name.$this", "$this"),
            ("Observation.subject.resolve()", "resolve()"),
            ("Patient.name + 'a'", "+"),
            ("(Patient.name)", "("),
            ("Observation.value as Quantity", "as"),
            ("Patient.name.where((use = 'a'))", "("),
        ] {
            let refused = Expression::parse(path).unwrap_err();
            assert!(refused.says.starts_with(&format!("\"{part}\" is no part")) && refused.code == "not-supported", "{path}: {refused:?}");
            assert_eq!(refused.at, path);
        }
        for path in [
            "",
            "Patient.",
            "a[",
            "a[-1]",
            "a[1",
            "a['b']",
            "a.where(",
            "a.where()",
            "a.where(b",
            "a.where(b = 'c",
            "a.`b",
            "a.extension(b)",
            "a.ofType()",
            "a.first(1)",
            "a.where(b = '\\q')",
            "a..b",
            ".a",
        ] {
            assert!(Expression::parse(path).is_err(), "{path}");
        }
        assert_eq!(Expression::parse(&"a.".repeat(1000)).unwrap_err().code, "too-costly");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", near in r"[a-z.()\[\]'=$` 0-9\\u]{0,40}") {
            let _ = (Expression::parse(&text), Expression::parse(&near));
        }
    }
}
