//! R4 `string` parameters (https://hl7.org/fhir/R4/search.html#string): a value is found by its
//! start, whatever the case and the accents; `:exact` wants the very text.
//!
//! The index holds keyed hashes, which know equality only. So each value is entered with its first
//! 2, 3 and 4 letters and as a whole, a search probes one of them, and the opened resource decides.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The length that stands for the whole text in `prefixes` and `probe`.
pub const WHOLE: u8 = 0;

/// A string that is searched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    pub text: String,
    pub exact: bool,
}

impl Text {
    /// Does a stored value answer? The index only proposes; this decides.
    pub fn matches(&self, value: &str) -> bool {
        if self.exact { value == self.text } else { normal(value).starts_with(&normal(&self.text)) }
    }

    /// The index entry to look up: length and text.
    pub fn probe(&self) -> (u8, String) {
        let normal = normal(&self.text);
        if self.exact {
            return (WHOLE, normal);
        }
        let start: String = normal.chars().take(4).collect();
        (start.chars().count() as u8, start)
    }
}

/// The text without case, accents and superfluous blanks.
pub fn normal(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let letters = text.chars().flat_map(char::to_lowercase).nfkd().filter(|letter| !is_combining_mark(*letter));
    for letter in letters.flat_map(char::to_lowercase) {
        match plain(letter) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(letter),
        }
    }
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Letters that people take for others and Unicode does not decompose.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ð' | 'đ' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ς' => "σ",
        '’' | '‘' | 'ʼ' => "'",
        _ => return None,
    })
}

/// The index entries of a folded value: its first 2, 3 and 4 letters, and all of it as `WHOLE`.
pub fn prefixes(normal: &str) -> Vec<(u8, String)> {
    let mut entries = vec![(WHOLE, normal.to_owned())];
    for length in 2..=4_u8 {
        let start: String = normal.chars().take(length.into()).collect();
        if start.chars().count() == usize::from(length) {
            entries.push((length, start));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folding() {
        for (text, folded) in [
            ("Müller", "muller"),
            ("STRAẞE", "strasse"),
            ("  de   la Cruz ", "de la cruz"),
            ("Łukasz", "lukasz"),
            ("İpek", "ipek"),
            ("O’Brien", "o'brien"),
            ("Ñandú", "nandu"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
            ("ﬁn", "fin"),
        ] {
            assert_eq!(normal(text), folded);
        }
    }

    #[test]
    fn entries_of_short_and_long_names() {
        assert_eq!(prefixes("x"), [(WHOLE, "x".into())]);
        assert_eq!(prefixes("ann"), [(WHOLE, "ann".into()), (2, "an".into()), (3, "ann".into())]);
        assert_eq!(Text { text: "Lovelace".into(), exact: false }.probe(), (4, "love".into()));
        assert_eq!(Text { text: "Lovelace".into(), exact: true }.probe(), (WHOLE, "lovelace".into()));
    }

    proptest! {
        #[test]
        fn what_matches_was_proposed(value in any::<String>(), length in 2..9_usize, exact: bool) {
            let text: String = if exact { value.clone() } else { normal(&value).chars().take(length).collect() };
            let asked = Text { text, exact };
            if asked.matches(&value) && normal(&asked.text).chars().count() > 1 {
                prop_assert!(prefixes(&normal(&value)).contains(&asked.probe()));
            }
        }

        #[test]
        fn folding_twice_changes_nothing(value in any::<String>()) {
            prop_assert_eq!(normal(&normal(&value)), normal(&value));
        }
    }
}
