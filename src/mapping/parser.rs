//! Reads the text of one JSON element into the nodes of a `Tree`, and refuses what no element may be.

use super::tree::{DEPTH_MAX, Fault, Known, NODES_MAX, Node, Token, decoded, name_of};
use crate::error::Kind;

/// Up to here names are compared pairwise, above they are sorted first.
const PAIRWISE_MAX: usize = 16;

/// How many bytes at the start of `bytes` stand for themselves inside a JSON string.
pub fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let mut at = 0;
    // Eight at a time: a byte that is a quote, a backslash or below 0x20 sets its high bit.
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(u64::from_ne_bytes) {
        let (quote, slash) = (eight ^ (ONES * 0x22), eight ^ (ONES * 0x5c));
        let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
        let control = eight.wrapping_sub(ONES * 0x20) & !eight & HIGHS;
        if zero(quote) | zero(slash) | control != 0 {
            break;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| **b != b'"' && **b != b'\\' && **b >= 0x20).count()
}

pub(super) struct Parser<'t, 'n, 'k> {
    pub text: &'t str,
    pub bytes: &'t [u8],
    pub at: usize,
    pub nodes: &'n mut Vec<Node>,
    pub known: Option<Known<'k>>,
    /// The first thing that is JSON but refused; the rest is still checked to be JSON.
    pub refused: Option<Kind>,
}

type Name = (u32, u32, bool);

impl Parser<'_, '_, '_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::Syntax(self.at))
    }

    pub fn value(&mut self, name: Name, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Refused(Kind::JsonDepth));
        }
        let (from, me) = (self.at, self.nodes.len());
        if me >= NODES_MAX {
            return Err(Fault::Refused(Kind::FieldTooLong));
        }
        self.nodes.push(Node { token: Token::Null, name: (name.0, name.1), value: (0, 0), next: 0, name_escaped: name.2 });
        let token = match self.peek() {
            b'{' if depth == 2 && self.is_known(name) => Token::Object,
            b'{' => self.object(me, depth)?,
            b'[' => self.array(depth)?,
            b'"' => self.string().map(|_| Token::Text)?,
            b't' => self.word("true", Token::True)?,
            b'f' => self.word("false", Token::False)?,
            b'n' => self.word("null", Token::Null)?,
            _ => self.number()?,
        };
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[me];
        (node.token, node.value, node.next) = (token, (from as u32, self.at as u32), next);
        Ok(())
    }

    /// Skips a member whose text is the one we read before.
    fn is_known(&mut self, name: Name) -> bool {
        let Some(known) = self.known else { return false };
        let same = &self.text[name.0 as usize..name.1 as usize] == known.name && self.bytes[self.at..].starts_with(known.text.as_bytes());
        if same {
            self.at += known.text.len();
        }
        same
    }

    fn object(&mut self, me: usize, depth: usize) -> Result<Token, Fault> {
        self.at += 1;
        self.space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(Token::Object);
        }
        loop {
            let from = self.at + 1;
            let escaped = self.string()?;
            let name = (from as u32, self.at as u32 - 1, escaped);
            self.space();
            if self.peek() != b':' {
                return self.fault();
            }
            self.at += 1;
            self.space();
            self.value(name, depth + 1)?;
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return self.fault(),
            }
            self.space();
        }
        self.at += 1;
        if self.repeats(me) {
            self.refused = self.refused.or(Some(Kind::JsonDuplicateKey));
        }
        Ok(Token::Object)
    }

    fn array(&mut self, depth: usize) -> Result<Token, Fault> {
        self.at += 1;
        self.space();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(Token::Array);
        }
        loop {
            self.value((0, 0, false), depth + 1)?;
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.fault(),
            }
            self.space();
        }
        self.at += 1;
        Ok(Token::Array)
    }

    /// Moves behind the closing quote; true when there was an escape.
    fn string(&mut self) -> Result<bool, Fault> {
        if self.peek() != b'"' {
            return self.fault();
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.peek() {
                b'"' => break,
                b'\\' => escaped = true,
                _ => return self.fault(),
            }
            self.at += 1;
            match self.peek() {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                b'u' => {
                    let Some(hex) = self.bytes.get(self.at + 1..self.at + 5) else { return self.fault() };
                    if !hex.iter().all(u8::is_ascii_hexdigit) {
                        return self.fault();
                    }
                    if hex == b"0000" {
                        self.refused = self.refused.or(Some(Kind::TextNul));
                    }
                    self.at += 5;
                }
                _ => return self.fault(),
            }
        }
        self.at += 1;
        Ok(escaped)
    }

    fn word(&mut self, word: &str, token: Token) -> Result<Token, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fault();
        }
        self.at += word.len();
        Ok(token)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == from { self.fault() } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Token, Fault> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Token::Number)
    }

    /// Does the object at `me` have two members of one name?
    fn repeats(&self, me: usize) -> bool {
        let mut at = me + 1;
        let siblings = std::iter::from_fn(|| {
            let node = self.nodes.get(at)?;
            at = node.next as usize;
            Some(node)
        });
        let members: Vec<&Node> = siblings.collect();
        if members.iter().any(|node| node.name_escaped) {
            return repeated(members.iter().map(|node| decoded(self.text, node)).collect());
        }
        if members.len() > PAIRWISE_MAX {
            return repeated(members.iter().map(|node| name_of(self.text, node)).collect());
        }
        members.iter().enumerate().any(|(n, a)| members[..n].iter().any(|b| name_of(self.text, a) == name_of(self.text, b)))
    }
}

fn repeated<T: Ord>(mut names: Vec<T>) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_finds_the_first_that_is_not(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let slow = bytes.iter().take_while(|b| **b != b'"' && **b != b'\\' && **b >= 0x20).count();
            prop_assert_eq!(plain(&bytes), slow);
        }
    }
}
