//! A stream of JSON text, read value by value: UTF-8 and RFC 8259 are checked on the way, and of the bytes
//! only those of the value in hand are kept.

use std::io::{ErrorKind, Read};

use super::scan::Scan;
use crate::error::{Error, Kind, Result};

const CHUNK: usize = 64 * 1024;
/// A value longer than this is read and checked but not kept.
pub const VALUE_MAX: usize = 4 * 1024 * 1024;

pub struct Stream<'r> {
    input: &'r mut dyn Read,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were read, and how many of these are whole UTF-8 characters.
    filled: usize,
    whole: usize,
    at: usize,
    /// Where the value in hand begins; None when nothing is kept.
    held: Option<usize>,
    /// Bytes that were dropped from the front of `buffer`.
    gone: u64,
    ended: bool,
}

/// What a value turned out to be.
pub struct Value<'s> {
    /// None when it was longer than `VALUE_MAX`, or was not to be kept.
    pub text: Option<&'s str>,
    /// A string in it holds the NUL character.
    pub nul: bool,
}

impl<'r> Stream<'r> {
    pub fn new(input: &'r mut dyn Read) -> Stream<'r> {
        Stream { input, buffer: vec![0; 2 * CHUNK], filled: 0, whole: 0, at: 0, held: None, gone: 0, ended: false }
    }

    pub fn syntax<T>(&self, what: &str) -> Result<T> {
        Err(Error::new(Kind::Syntax, format!("{what} at byte {}", self.gone + self.at as u64)))
    }

    /// The next byte that is no white space, without taking it; None at the end.
    pub fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            while let Some(byte) = self.buffer[..self.whole].get(self.at) {
                if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                    return Ok(Some(*byte));
                }
                self.at += 1;
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Takes the next byte if it is this one.
    pub fn take(&mut self, byte: u8) -> Result<bool> {
        let here = self.peek()? == Some(byte);
        self.at += usize::from(here);
        Ok(here)
    }

    pub fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.take(byte)? { Ok(()) } else { self.syntax(what) }
    }

    /// Reads one value of any kind. `keep`: the caller wants its text.
    pub fn value(&mut self, keep: bool) -> Result<Value<'_>> {
        if self.peek()?.is_none() {
            return self.syntax("the text ends where a value is expected");
        }
        let mut scan = Scan::default();
        self.held = keep.then_some(self.at);
        loop {
            let mut at = self.at;
            let done = scan.run(&self.buffer[..self.whole], &mut at);
            self.at = at;
            match done {
                Ok(true) => break,
                Ok(false) if self.more()? => {}
                // A number on its own ends where the text ends.
                Ok(false) if scan.may_end() => break,
                Ok(false) => return self.syntax("the text ends inside a value"),
                Err(what) => return self.syntax(what),
            }
        }
        let text = match self.held.take() {
            None => None,
            Some(from) => Some(std::str::from_utf8(&self.buffer[from..self.at]).map_err(Error::bug)?),
        };
        Ok(Value { text, nul: scan.nul })
    }

    /// Reads on; false at the end. Keeps what is held and what was not looked at.
    fn more(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.held.is_some_and(|from| self.at - from > VALUE_MAX) {
            self.held = None;
        }
        let keep = self.held.unwrap_or(self.at);
        if keep > 0 {
            self.buffer.copy_within(keep..self.filled, 0);
        }
        self.gone += keep as u64;
        self.filled -= keep;
        self.whole -= keep;
        self.at -= keep;
        self.held = self.held.map(|_| 0);
        if self.buffer.len() - self.filled < CHUNK {
            self.buffer.resize(self.filled + 2 * CHUNK, 0);
        } else if self.held.is_none() && self.buffer.len() > 4 * CHUNK {
            self.buffer.truncate(self.filled + 2 * CHUNK);
            self.buffer.shrink_to_fit();
        }
        let before = self.whole;
        while self.whole == before {
            let read = match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            self.filled += read;
            self.decode(read == 0)?;
            if read == 0 {
                self.ended = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves `whole` over the complete characters that arrived.
    fn decode(&mut self, last: bool) -> Result<()> {
        match std::str::from_utf8(&self.buffer[self.whole..self.filled]) {
            Ok(_) => self.whole = self.filled,
            Err(error) => {
                self.whole += error.valid_up_to();
                if error.error_len().is_some() || last {
                    let at = self.gone + self.whole as u64;
                    return Err(Error::new(Kind::Syntax, format!("the text is not UTF-8 at byte {at}")));
                }
            }
        }
        Ok(())
    }
}

/// A reader that has its own `Error` inside an io::Error (a size limit, a time limit) is heard;
/// a broken compression or a short body is the sender's fault.
fn unreadable(error: std::io::Error) -> Error {
    let kind = error.kind();
    let text = error.to_string();
    match error.into_inner().map(|inner| inner.downcast::<Error>()) {
        Some(Ok(own)) => *own,
        _ if matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof) => {
            Error::new(Kind::Syntax, "the body cannot be read to its end").because(text)
        }
        _ => Error::bug(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Result<bool, Kind> {
        let mut bytes = text.as_bytes();
        let mut stream = Stream::new(&mut bytes);
        let nul = stream.value(true).map_err(|error| error.kind)?.nul;
        if stream.peek().map_err(|error| error.kind)?.is_some() { Err(Kind::Syntax) } else { Ok(nul) }
    }

    #[test]
    fn json_and_nothing_else() {
        for text in ["1", "-0.5e+3", "\"a\\u00e4\\n\"", "[]", "{}", " [1, {\"a\" : [true,false,null]}] ", "\"ä\""] {
            assert!(scan(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "[1,]",
            "{\"a\":1,}",
            "[1}",
            "{\"a\"]",
            "NaN",
            "[Infinity]",
            "01",
            "1.",
            "1e",
            "-",
            "tru",
            "[1 2]",
            "\"\n\"",
            "1 1",
            "[",
            "\"a",
        ] {
            assert_eq!(scan(text), Err(Kind::Syntax), "{text}");
        }
        let deep = 100_000;
        assert_eq!(scan(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))), Ok(false));
        for (text, nul) in [(r#""\u0000""#, true), (r#"{"\u00000":1}"#, true), (r#"["\\\u0000"]"#, true), (r#""\\u0000 \u0001""#, false)] {
            assert_eq!(scan(text), Ok(nul), "{text}");
        }
    }

    #[test]
    fn text_is_utf8() {
        for bytes in [&b"\"\xff\""[..], b"\"\xc3", b"\"\xed\xa0\x80\""] {
            let mut bytes = bytes;
            assert_eq!(Stream::new(&mut bytes).value(true).err().map(|error| error.kind), Some(Kind::Syntax));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9a\\ube. tnä-]{0,24}"#) {
            let theirs: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&text);
            prop_assert!(theirs.is_ok() == scan(&text).is_ok() || text.contains("\\u"), "{}", text);
        }
    }
}
