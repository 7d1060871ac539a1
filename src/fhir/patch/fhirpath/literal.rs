//! The words of a FHIRPath expression, one after the other.

use super::expression::Refused;

/// What an element is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    /// As written.
    Number(String),
    Boolean(bool),
}

pub(super) struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Scanner<'t> {
        Scanner { rest: text }
    }

    pub fn rest(&self) -> &'t str {
        self.rest
    }

    pub fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    pub fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands ahead, up to the end of a word or of a run of signs.
    pub fn word(&self) -> &'t str {
        let of_word = |c: char| c.is_alphanumeric() || "_-:@$%'".contains(c);
        let end = match self.rest.chars().next() {
            Some(c @ ('(' | ')')) => c.len_utf8(),
            Some(c) if of_word(c) => self.rest.find(|c| !of_word(c)).unwrap_or(self.rest.len()),
            _ => self.rest.find(|c: char| c.is_whitespace() || c == '(' || of_word(c)).unwrap_or(self.rest.len()),
        };
        &self.rest[..end]
    }

    fn split(&mut self, end: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub fn digits(&mut self) -> &'t str {
        self.split(self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len()))
    }

    /// `name`, or any text between backticks; None when there is neither.
    pub fn identifier(&mut self) -> Result<Option<String>, Refused> {
        if self.take("`") {
            return self.until('`').map(Some);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        Ok((end > 0).then(|| self.split(end).to_owned()))
    }

    /// None when there is none, or one of another kind.
    pub fn literal(&mut self) -> Result<Option<Literal>, Refused> {
        self.space();
        if self.take("'") {
            return self.until('\'').map(|text| Some(Literal::Text(text)));
        }
        let word = self.word();
        let found = match word {
            "true" | "false" => Some(Literal::Boolean(word == "true")),
            _ => None,
        };
        if found.is_some() {
            self.split(word.len());
            return Ok(found);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(self.rest.len());
        let number = self.rest.get(..end).filter(|text| is_number(text)).map(|text| Literal::Number(text.to_owned()));
        if number.is_some() {
            self.split(end);
        }
        Ok(number)
    }

    /// The text before the closing sign, and past it: <http://hl7.org/fhirpath/N1/#string>.
    fn until(&mut self, close: char) -> Result<String, Refused> {
        let unknown = || ("invalid", "An unknown escape in a quoted text.".to_owned());
        let mut text = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            match c {
                c if c == close => {
                    self.rest = chars.as_str();
                    return Ok(text);
                }
                '\\' => text.push(match chars.next() {
                    Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => c,
                    Some('f') => '\u{c}',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some('u') => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                        code.and_then(char::from_u32).ok_or_else(unknown)?
                    }
                    _ => return Err(unknown()),
                }),
                c => text.push(c),
            }
        }
        Err(("invalid", "A quoted text does not end.".to_owned()))
    }
}

/// `1`, `-0.50`
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = plain.split_once('.').unwrap_or((plain, "0"));
    digits(whole) && digits(part)
}
