//! R4 `string` parameters (https://hl7.org/fhir/R4/search.html#string): a value is found by its
//! start, whatever the case and the accents; `:exact` wants the very text.
//! The store finds those that begin alike; the opened resource decides.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

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

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(value in any::<String>()) {
            prop_assert_eq!(normal(&normal(&value)), normal(&value));
        }
    }
}
