//! Reads JSON (RFC 8259), and only that: one object, no name twice in an object, no half of a surrogate pair, nothing
//! behind it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::node::{Node, Object};

/// Objects up to this many members are searched for a repeated name one by one.
const FEW: usize = 12;

/// Why a text cannot be read.
pub(super) struct Fault {
    pub says: String,
    pub remedy: &'static str,
    /// R4 IssueType.
    pub code: &'static str,
    /// Where in the text.
    pub at: usize,
    /// The way to the element, innermost first.
    pub way: Vec<Step>,
}

pub(super) enum Step {
    Name(String),
    Index(usize),
}

type Read<T> = Result<T, Box<Fault>>;

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

pub(super) const GRAMMAR: &str = "Send one well-formed JSON object encoded as UTF-8.";

pub(super) fn read(text: &str, depth: usize) -> Read<Object<'_>> {
    let mut reader = Reader { text, at: 0, depth };
    reader.space();
    if reader.peek() != Some(b'{') {
        return Err(reader.fault("An object is expected."));
    }
    let object = reader.object()?;
    reader.end()?;
    Ok(object)
}

/// The same, for a value of any kind.
pub(super) fn value(text: &str, depth: usize) -> Read<Node<'_>> {
    let mut reader = Reader { text, at: 0, depth };
    reader.space();
    let node = reader.node()?;
    reader.end()?;
    Ok(node)
}

impl<'t> Reader<'t> {
    fn fault(&self, says: &str) -> Box<Fault> {
        Box::new(Fault { says: says.to_owned(), remedy: GRAMMAR, code: "structure", at: self.at, way: Vec::new() })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Read<()> {
        self.space();
        if self.peek().is_some() { Err(self.fault("Nothing may follow it.")) } else { Ok(()) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Steps into an array or object.
    fn open(&mut self) -> Read<()> {
        self.at += 1;
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                self.space();
                Ok(())
            }
            None => {
                let mut fault = self.fault("It is nested too deep.");
                fault.remedy = "Nest at most 64 levels.";
                fault.code = "too-costly";
                Err(fault)
            }
        }
    }

    fn node(&mut self) -> Read<Node<'t>> {
        match self.peek() {
            Some(b'{') => self.object().map(Node::Object),
            Some(b'[') => self.list().map(Node::List),
            Some(b'"') => self.string().map(Node::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Node::Number),
            Some(b't') => self.word("true", Node::Boolean(true)),
            Some(b'f') => self.word("false", Node::Boolean(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => Err(self.fault("A value is expected.")),
        }
    }

    fn word(&mut self, word: &str, node: Node<'t>) -> Read<Node<'t>> {
        match self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            true => {
                self.at += word.len();
                Ok(node)
            }
            false => Err(self.fault("A value is expected.")),
        }
    }

    fn list(&mut self) -> Read<Vec<Node<'t>>> {
        self.open()?;
        let mut nodes = Vec::new();
        if !self.take(b']') {
            loop {
                self.space();
                let node = self.node().map_err(|mut fault| {
                    fault.way.push(Step::Index(nodes.len()));
                    fault
                })?;
                nodes.push(node);
                self.space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fault("A comma or the end of the array is expected."));
                }
            }
        }
        self.depth += 1;
        Ok(nodes)
    }

    fn object(&mut self) -> Read<Object<'t>> {
        self.open()?;
        let mut object = Object::default();
        let mut names = HashSet::new();
        if !self.take(b'}') {
            loop {
                self.space();
                self.member(&mut object, &mut names)?;
                self.space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fault("A comma or the end of the object is expected."));
                }
            }
        }
        self.depth += 1;
        Ok(object)
    }

    fn member(&mut self, object: &mut Object<'t>, names: &mut HashSet<String>) -> Read<()> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.fault("A name in quotes is expected."));
        }
        let name = self.string()?;
        let named = |mut fault: Box<Fault>| {
            fault.way.push(Step::Name(name.to_string()));
            fault
        };
        if twice(object, names, &name) {
            let says = "The name stands twice in one object.".to_owned();
            let fault = Fault { says, remedy: "Send each member once.", code: "structure", at: start, way: Vec::new() };
            return Err(named(Box::new(fault)));
        }
        self.space();
        if !self.take(b':') {
            return Err(named(self.fault("A colon is expected.")));
        }
        self.space();
        let node = self.node().map_err(named)?;
        object.members.push((name, node));
        Ok(())
    }

    fn string(&mut self) -> Read<Cow<'t, str>> {
        self.at += 1;
        let start = self.at;
        let end = start + plain(&self.text.as_bytes()[start..]);
        self.at = end;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = self.text[start..end].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.fault("A control character in a string must be escaped.")),
                None => return Err(self.fault("The string does not end.")),
            }
            let from = self.at;
            self.at += plain(&self.text.as_bytes()[from..]);
            text.push_str(&self.text[from..self.at]);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    fn escape(&mut self) -> Read<char> {
        self.at += 1;
        let found = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.fault("An unknown escape.")),
        };
        self.at += 1;
        Ok(found)
    }

    fn unicode(&mut self) -> Read<char> {
        let half = || "Half of a surrogate pair stands alone.";
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.peek() == Some(b'u')) {
                    return Err(self.fault(half()));
                }
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.fault(half()));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| self.fault(half()))
    }

    /// The four digits behind a `u`.
    fn hex(&mut self) -> Read<u32> {
        let digits = self.text.get(self.at + 1..self.at + 5).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.fault("Four hexadecimal digits are expected."))?;
        self.at += 5;
        Ok(code)
    }

    fn digits(&mut self) -> Read<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err(self.fault("A digit is expected.")) } else { Ok(()) }
    }

    fn number(&mut self) -> Read<&'t str> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }
}

/// How many bytes of a string's text come before a quote, a backslash or a control character.
fn plain(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len())
}

/// Has the object a member of this name?
fn twice(object: &Object, names: &mut HashSet<String>, name: &str) -> bool {
    if object.members.len() < FEW {
        return object.get(name).is_some();
    }
    if names.is_empty() {
        names.extend(object.members.iter().map(|(it, _)| it.to_string()));
    }
    !names.insert(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> (String, usize) {
        let fault = read(text, 64).err().unwrap_or_else(|| panic!("{text} was read"));
        (fault.says, fault.way.len())
    }

    #[test]
    fn values_are_read_as_written() {
        let text = r#" {"a":[1,-0,0.1000,1E5,1e+5],"b\u0041":"x\ud83d\ude00\n\/","c":{},"d":[],"e":null,"f":true,"g":false} "#;
        let object = read(text, 64).ok().unwrap();
        let numbers: Vec<_> = object.get("a").unwrap().all().to_vec();
        assert_eq!(numbers, ["1", "-0", "0.1000", "1E5", "1e+5"].map(Node::Number));
        assert_eq!(object.text("bA"), Some("x\u{1f600}\n/"));
        assert!(object.is_true("f") && !object.is_true("g"));
        let names: Vec<_> = object.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "bA", "c", "d", "e", "f", "g"]);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let wrong = [
            "",
            "[]",
            "1",
            "{",
            "{}{}",
            "{} x",
            "\u{feff}{}",
            "{'a':1}",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":[1,]}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":NaN}",
            "{\"a\":tru}",
            "{\"a\":nul",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\u+123\"}",
            "{\"a\":\"b}",
            "{\"a\":1 /* */}",
            "{\"a\":0x1}",
        ];
        for text in wrong {
            assert!(read(text, 64).is_err(), "{text}");
        }
    }

    #[test]
    fn halves_of_pairs_and_repeated_names_say_where() {
        for half in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\ud800x", r"\ud800\n", r"\ude00\ud83d"] {
            assert_eq!(fault(&format!(r#"{{"a":[1,"{half}"]}}"#)), ("Half of a surrogate pair stands alone.".to_owned(), 2), "{half}");
        }
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), ("The name stands twice in one object.".to_owned(), 1));
        let many = (0..100).map(|n| format!("\"m{n}\":0,")).collect::<String>();
        assert!(read(&format!("{{{many}\"z\":0}}"), 64).is_ok());
        assert_eq!(fault(&format!("{{{many}\"m7\":0}}")).1, 1);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(read(&nested(64), 64).is_ok());
        assert_eq!(fault(&nested(65)).0, "It is nested too deep.");
        assert!(read(&"{\"a\":".repeat(100_000), 64).is_err());
        let wide = format!("{{\"a\":[{}]}}", "[{}],".repeat(200) + "0");
        assert!(read(&wide, 64).is_ok());
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_the_same(text in r#"\{"a":[-0-9eE.+tfn\[\]{}",:\\u]{0,12}\}"#) {
            let ours = read(&text, 64);
            match serde_json::from_str::<serde_json::Value>(&text) {
                // Only the repeated name is worse here than there.
                Ok(_) => if let Err(fault) = ours { prop_assert!(fault.says.contains("twice"), "{}", fault.says) },
                Err(_) => prop_assert!(ours.is_err()),
            }
        }
    }
}
