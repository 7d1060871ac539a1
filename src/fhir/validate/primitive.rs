//! The formats of primitive values: <http://hl7.org/fhir/R4/datatypes.html#primitive>.

use super::moment;
use super::node::Node;
use crate::fhir::number::Number;

/// Characters of a string: <http://hl7.org/fhir/R4/datatypes.html#string>.
const STRING_MAX: usize = 1024 * 1024;
/// Digits that a number may be written with.
const NUMBER_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Boolean,
    Integer,
    UnsignedInt,
    PositiveInt,
    Decimal,
    String,
    Code,
    Id,
    Uri,
    Url,
    Canonical,
    Oid,
    Uuid,
    Date,
    DateTime,
    Instant,
    Time,
    Base64Binary,
    Markdown,
    Xhtml,
}

/// What is wrong with a value, and what to do.
pub(super) struct Wrong {
    pub code: &'static str,
    pub says: String,
    pub remedy: &'static str,
}

fn wrong(says: impl Into<String>, remedy: &'static str) -> Result<(), Wrong> {
    Err(Wrong { code: "value", says: says.into(), remedy })
}

impl Primitive {
    pub fn named(name: &str) -> Option<Primitive> {
        Some(match name {
            "boolean" => Primitive::Boolean,
            "integer" => Primitive::Integer,
            "unsignedInt" => Primitive::UnsignedInt,
            "positiveInt" => Primitive::PositiveInt,
            "decimal" => Primitive::Decimal,
            "string" => Primitive::String,
            "code" => Primitive::Code,
            "id" => Primitive::Id,
            "uri" => Primitive::Uri,
            "url" => Primitive::Url,
            "canonical" => Primitive::Canonical,
            "oid" => Primitive::Oid,
            "uuid" => Primitive::Uuid,
            "date" => Primitive::Date,
            "dateTime" => Primitive::DateTime,
            "instant" => Primitive::Instant,
            "time" => Primitive::Time,
            "base64Binary" => Primitive::Base64Binary,
            "markdown" => Primitive::Markdown,
            "xhtml" => Primitive::Xhtml,
            _ => return None,
        })
    }

    /// May a fragment (`#x`) that names a contained resource stand here?
    pub fn is_link(self) -> bool {
        matches!(self, Primitive::Uri | Primitive::Url | Primitive::Canonical)
    }

    /// Judges a value by its type. What is in XHTML is judged elsewhere.
    pub fn judge(self, node: &Node) -> Result<(), Wrong> {
        match (self, node) {
            (Primitive::Boolean, Node::Boolean(_)) => Ok(()),
            (Primitive::Boolean, _) => shape(node, "true or false without quotes", "Send true or false, without quotes."),
            (Primitive::Integer, Node::Number(text)) => whole(text, i32::MIN),
            (Primitive::UnsignedInt, Node::Number(text)) => whole(text, 0),
            (Primitive::PositiveInt, Node::Number(text)) => whole(text, 1),
            (Primitive::Decimal, Node::Number(text)) => decimal(text),
            (Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt | Primitive::Decimal, _) => {
                shape(node, "a number", "Send a JSON number, without quotes.")
            }
            (_, Node::Text(text)) => self.text(text),
            _ => shape(node, "a string", "Send a JSON string."),
        }
    }

    fn text(self, text: &str) -> Result<(), Wrong> {
        if text.is_empty() {
            return wrong("The string is empty.", "Send a value, or leave the element out.");
        }
        if text.bytes().any(|b| b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r')) {
            return wrong("The string holds a control character.", "Remove control characters other than tab and line breaks.");
        }
        let fine = match self {
            Primitive::Code => code(text),
            Primitive::Id => id(text),
            Primitive::Uri | Primitive::Url => uri(text),
            Primitive::Canonical => uri(text) && (text.starts_with('#') || is_absolute(text)),
            Primitive::Oid => text.strip_prefix("urn:oid:").is_some_and(oid),
            Primitive::Uuid => text.strip_prefix("urn:uuid:").is_some_and(uuid),
            Primitive::Date => moment::date(text),
            Primitive::DateTime => moment::date_time(text),
            Primitive::Instant => moment::instant(text),
            Primitive::Time => moment::time(text),
            Primitive::Base64Binary => base64(text),
            _ => return short(text),
        };
        if fine { Ok(()) } else { wrong(format!("It is not {}.", self.form()), self.remedy()) }
    }

    fn form(self) -> &'static str {
        match self {
            Primitive::Code => "a code",
            Primitive::Id => "an id",
            Primitive::Oid => "an OID",
            Primitive::Uuid => "a UUID",
            Primitive::Date => "a date of the calendar",
            Primitive::DateTime => "a date, or a date and time with zone, of the calendar",
            Primitive::Instant => "an instant of the calendar",
            Primitive::Time => "a time of day",
            Primitive::Base64Binary => "base64",
            Primitive::Canonical => "a canonical URL",
            _ => "a URI",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Primitive::Code => "Send a code without leading, trailing or double spaces.",
            Primitive::Id => "Send 1 to 64 of the characters A-Z, a-z, 0-9, '-' and '.'.",
            Primitive::Oid => "Send urn:oid: and the numbers, for example urn:oid:1.2.3.",
            Primitive::Uuid => "Send urn:uuid: and 32 lower-case hexadecimal digits in groups of 8-4-4-4-12.",
            Primitive::Date => "Send YYYY, YYYY-MM or YYYY-MM-DD.",
            Primitive::DateTime => "Send YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or an offset such as +01:00.",
            Primitive::Instant => "Send YYYY-MM-DDThh:mm:ss with Z or an offset such as +01:00.",
            Primitive::Time => "Send hh:mm:ss, without a zone.",
            Primitive::Base64Binary => "Send base64 (RFC 4648) with its padding.",
            Primitive::Canonical => "Send an absolute URL without spaces, or # and the id of a contained resource.",
            _ => "Send a URI without spaces; urn:uuid: and urn:oid: in full.",
        }
    }
}

fn shape(node: &Node, wanted: &str, remedy: &'static str) -> Result<(), Wrong> {
    Err(Wrong { code: "structure", says: format!("It is {} where {wanted} is expected.", node.kind()), remedy })
}

fn short(text: &str) -> Result<(), Wrong> {
    if text.len() > STRING_MAX && text.chars().count() > STRING_MAX {
        let says = format!("The string has more than {STRING_MAX} characters.");
        return Err(Wrong { code: "too-long", says, remedy: "Shorten it, or keep it as a Binary." });
    }
    Ok(())
}

fn whole(text: &str, least: i32) -> Result<(), Wrong> {
    let Ok(value) = text.parse::<i32>() else {
        return wrong(
            "It is not a whole number of 32 bits.",
            "Send a whole number between -2147483648 and 2147483647, without point or exponent.",
        );
    };
    if value < least { wrong(format!("It is less than {least}."), "Send a number that is not less.") } else { Ok(()) }
}

fn decimal(text: &str) -> Result<(), Wrong> {
    if text.len() > NUMBER_MAX {
        let says = format!("The number is written with more than {NUMBER_MAX} characters.");
        return Err(Wrong { code: "too-long", says, remedy: "Send it with fewer digits." });
    }
    match Number::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => wrong("The number is beyond what can be held.", "Send a finite number with an exponent between -308 and 308."),
    }
}

/// `[^\s]+(\s[^\s]+)*`
fn code(text: &str) -> bool {
    text.split(|c: char| c.is_ascii_whitespace()).all(|word| !word.is_empty())
}

/// <https://hl7.org/fhir/R4/datatypes.html#id>
pub fn id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn uri(text: &str) -> bool {
    let urn = match text.split_at_checked(9) {
        Some(("urn:uuid:", rest)) => uuid(rest),
        _ => text.strip_prefix("urn:oid:").is_none_or(oid),
    };
    urn && !text.contains(|c: char| c.is_whitespace())
}

/// Has the URI a scheme?
pub(super) fn is_absolute(text: &str) -> bool {
    scheme(text).is_some()
}

/// What stands before the first colon, when it can be a scheme (RFC 3986, 3.1).
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()).then_some(scheme)
}

/// `[0-2](\.(0|[1-9][0-9]*))+`
fn oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let first = arcs.next().is_some_and(|arc| matches!(arc, "0" | "1" | "2"));
    let digits = |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    first && text.contains('.') && arcs.all(digits)
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit() && !b.is_ascii_uppercase(),
        })
}

/// Groups of four with padding at the end only. White space may stand between the characters.
fn base64(text: &str) -> bool {
    let (mut data, mut padding) = (0usize, 0usize);
    for b in text.bytes().filter(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
        match b {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => data += 1,
            _ => return false,
        }
    }
    data > 0 && padding <= 2 && (data + padding).is_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(primitive: Primitive, good: &[&str], bad: &[&str]) {
        let judged = |text: &str| primitive.judge(&Node::Text(text.into())).is_ok();
        good.iter().for_each(|text| assert!(judged(text), "{primitive:?} {text:?}"));
        bad.iter().chain(&["", "\0", "a\u{1}b"]).for_each(|text| assert!(!judged(text), "{primitive:?} {text:?}"));
        assert!(primitive.judge(&Node::Boolean(true)).is_err() && primitive.judge(&Node::Number("1")).is_err());
    }

    fn numbers(primitive: Primitive, good: &[&str], bad: &[&str]) {
        let judged = |text| primitive.judge(&Node::Number(text)).is_ok();
        good.iter().for_each(|text| assert!(judged(text), "{primitive:?} {text:?}"));
        bad.iter().for_each(|text| assert!(!judged(text), "{primitive:?} {text:?}"));
        assert!(primitive.judge(&Node::Text("1".into())).is_err());
    }

    #[test]
    fn numbers_are_those_of_r4() {
        numbers(Primitive::Integer, &["0", "-0", "2147483647", "-2147483648"], &["2147483648", "-2147483649", "1.0", "1e2"]);
        numbers(Primitive::UnsignedInt, &["0", "2147483647"], &["-1", "2147483648", "0.0"]);
        numbers(Primitive::PositiveInt, &["1"], &["0", "-1"]);
        let long = "9".repeat(65);
        numbers(Primitive::Decimal, &["0.1000", "-0", "1e308", "1.5E-10", &long[..64]], &["1e400", "1e309", "-1e999999999999", &long]);
        assert!(Primitive::Boolean.judge(&Node::Boolean(false)).is_ok() && Primitive::Boolean.judge(&Node::Text("true".into())).is_err());
    }

    #[test]
    fn texts_are_those_of_r4() {
        texts(Primitive::String, &["a", " a ", "ä\n\t\r", "\u{202e}x", "e\u{301}"], &["\u{b}"]);
        texts(Primitive::Markdown, &["*a*\n"], &[]);
        texts(Primitive::Code, &["a", "a b", "a\tb", "ä"], &[" a", "a ", "a  b", " ", "a\r\nb"]);
        texts(Primitive::Id, &["a", "A-1.b", &"x".repeat(64)], &[&"x".repeat(65), "a_b", "é", "a/b", "a b"]);
        texts(
            Primitive::Uri,
            &["x", "http://a/b", "#a", "urn:oid:1.2", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            &["a b", "\u{a0}"],
        );
        texts(Primitive::Uri, &["urn:ietf:rfc:3986"], &["urn:oid:1..2", "urn:uuid:1"]);
        texts(Primitive::Canonical, &["http://a/b|1.0", "#a", "urn:x:y"], &["Questionnaire/a", "a b", "http:"]);
        texts(Primitive::Oid, &["urn:oid:1.2.0", "urn:oid:2.16.840"], &["1.2", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02", "urn:oid:1."]);
        let uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
        texts(
            Primitive::Uuid,
            &[uuid],
            &["urn:uuid:C757873D-EC9A-4326-A141-556F43239520", &uuid[9..], "urn:uuid:c757873dec9a4326a141556f43239520"],
        );
        texts(Primitive::Base64Binary, &["YQ==", "YWI=", "YWJj", "YW Jj\nYQ=="], &["YQ", "YQ=", "YQ===", "=YQ=", "YQ==YQ==", "a-_b", " "]);
    }

    #[test]
    fn a_string_has_an_end() {
        let long = |n: usize| Primitive::String.judge(&Node::Text("ä".repeat(n).into()));
        assert!(long(STRING_MAX).is_ok());
        assert!(long(STRING_MAX + 1).is_err_and(|wrong| wrong.code == "too-long"));
    }
}
