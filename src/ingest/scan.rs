//! The grammar of RFC 8259, byte by byte.

use crate::mapping::plain;

/// Follows the grammar of one value over any number of pieces of text.
#[derive(Default)]
pub struct Scan {
    /// One bit for each open level: 1 is an object.
    open: Vec<u64>,
    depth: usize,
    /// An escaped NUL was met in a string.
    pub nul: bool,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    /// Behind a value inside an array or object.
    Behind,
    /// In a string; true: it is a member's name.
    Text(bool),
    Escape(bool),
    /// In the digits of an escaped character: how many were seen, and whether all are 0.
    Hex(bool, u8, bool),
    /// In a word, and how much of it was seen.
    Word(&'static [u8], usize),
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
    Done,
}

impl Scan {
    /// Runs until the value ends (true, `at` is behind it) or the text does.
    pub fn run(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, &'static str> {
        while self.state != State::Done {
            if let State::Text(_) = self.state {
                *at += plain(&bytes[*at..]);
            }
            let Some(byte) = bytes.get(*at) else { return Ok(false) };
            match self.step(*byte)? {
                true => *at += 1,
                // The byte behind a number belongs to what follows.
                false => continue,
            }
        }
        Ok(true)
    }

    /// Is this a number that may be over?
    pub fn may_end(&self) -> bool {
        self.depth == 0 && matches!(self.state, State::Zero | State::Whole | State::Fraction | State::Exponent)
    }

    /// Takes one byte, or leaves it (false) for the state that follows a number.
    fn step(&mut self, byte: u8) -> Result<bool, &'static str> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.state = match self.state {
            State::Value | State::ValueOrEnd | State::KeyOrEnd | State::Key | State::Colon | State::Behind if space => self.state,
            State::ValueOrEnd if byte == b']' => self.close(false)?,
            State::KeyOrEnd if byte == b'}' => self.close(true)?,
            State::Value | State::ValueOrEnd => self.begin(byte)?,
            State::KeyOrEnd | State::Key if byte == b'"' => State::Text(true),
            State::KeyOrEnd | State::Key => return Err("a member's name is expected"),
            State::Colon if byte == b':' => State::Value,
            State::Colon => return Err("a colon is expected"),
            State::Behind => match byte {
                b',' if self.in_object() => State::Key,
                b',' => State::Value,
                b'}' => self.close(true)?,
                b']' => self.close(false)?,
                _ => return Err("a comma or an end is expected"),
            },
            State::Text(_) | State::Escape(_) | State::Hex(..) => self.text(byte)?,
            State::Word(word, seen) if word[seen] != byte => return Err("this is no JSON value"),
            State::Word(word, seen) if seen + 1 == word.len() => self.ended(),
            State::Word(word, seen) => State::Word(word, seen + 1),
            State::Done => return Ok(false),
            _ => match self.number(byte)? {
                Some(state) => state,
                None => {
                    self.state = self.ended();
                    return Ok(false);
                }
            },
        };
        Ok(true)
    }

    fn begin(&mut self, byte: u8) -> Result<State, &'static str> {
        Ok(match byte {
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'"' => State::Text(false),
            b'-' => State::Minus,
            b'0' => State::Zero,
            b'1'..=b'9' => State::Whole,
            b't' => State::Word(b"true", 1),
            b'f' => State::Word(b"false", 1),
            b'n' => State::Word(b"null", 1),
            _ => return Err("this is no JSON value"),
        })
    }

    fn text(&mut self, byte: u8) -> Result<State, &'static str> {
        Ok(match (self.state, byte) {
            (State::Text(true), b'"') => State::Colon,
            (State::Text(false), b'"') => self.ended(),
            (State::Text(name), b'\\') => State::Escape(name),
            (State::Text(name), 0x20..) => State::Text(name),
            (State::Escape(name), b'u') => State::Hex(name, 0, true),
            (State::Escape(name), b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => State::Text(name),
            (State::Hex(name, 3, zero), _) if byte.is_ascii_hexdigit() => {
                self.nul |= zero && byte == b'0';
                State::Text(name)
            }
            (State::Hex(name, seen, zero), _) if byte.is_ascii_hexdigit() => State::Hex(name, seen + 1, zero && byte == b'0'),
            _ => return Err("a string has a control character or a wrong escape"),
        })
    }

    /// The next state of a number, None when it is over.
    fn number(&self, byte: u8) -> Result<Option<State>, &'static str> {
        Ok(Some(match (self.state, byte) {
            (State::Minus, b'0') => State::Zero,
            (State::Minus, b'1'..=b'9') | (State::Whole, b'0'..=b'9') => State::Whole,
            (State::Zero | State::Whole, b'.') => State::Point,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Zero | State::Whole | State::Fraction, b'e' | b'E') => State::E,
            (State::E, b'+' | b'-') => State::ESign,
            (State::E | State::ESign | State::Exponent, b'0'..=b'9') => State::Exponent,
            (State::Zero | State::Whole | State::Fraction | State::Exponent, _) => return Ok(None),
            _ => return Err("this is no JSON number"),
        }))
    }

    fn open(&mut self, object: bool) -> State {
        if self.depth.is_multiple_of(64) {
            self.open.push(0);
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.open[word] |= u64::from(object) << bit;
        self.depth += 1;
        if object { State::KeyOrEnd } else { State::ValueOrEnd }
    }

    fn in_object(&self) -> bool {
        let level = self.depth.saturating_sub(1);
        self.open.get(level / 64).is_some_and(|word| word >> (level % 64) & 1 == 1)
    }

    fn close(&mut self, object: bool) -> Result<State, &'static str> {
        if self.in_object() != object {
            return Err("an object or array is closed by the other's bracket");
        }
        self.depth -= 1;
        self.open[self.depth / 64] &= !(1 << (self.depth % 64));
        if self.depth.is_multiple_of(64) {
            self.open.pop();
        }
        Ok(self.ended())
    }

    fn ended(&self) -> State {
        if self.depth == 0 { State::Done } else { State::Behind }
    }
}
