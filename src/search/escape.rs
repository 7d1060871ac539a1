//! `\,` `\|` `\$` `\\` (https://hl7.org/fhir/R4/search.html#escaping).

/// Cuts at each `separator` that no backslash guards; the escapes stay in the parts.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut guarded) = (0, false);
    for (at, letter) in text.char_indices() {
        if letter == separator && !guarded {
            parts.push(&text[from..at]);
            from = at + letter.len_utf8();
        }
        guarded = letter == '\\' && !guarded;
    }
    parts.push(&text[from..]);
    parts
}

/// `None` when a backslash stands before anything but the four letters it may guard.
pub fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => letters.next().filter(|guarded| matches!(guarded, ',' | '|' | '$' | '\\'))?,
            other => other,
        });
    }
    Some(plain)
}

pub fn escape(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    for letter in plain.chars() {
        if matches!(letter, ',' | '|' | '$' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_guarded_separator_does_not_cut() {
        assert_eq!(split(r"a,b\,c,", ','), ["a", r"b\,c", ""]);
        assert_eq!(split(r"a\\,b", ','), [r"a\\", "b"]);
        assert_eq!(unescape(r"a\"), None);
        assert_eq!(unescape(r"\n"), None);
    }

    proptest! {
        #[test]
        fn escaping_is_undone(plain in any::<String>()) {
            let text = escape(&plain);
            prop_assert_eq!(split(&text, ','), vec![text.as_str()]);
            prop_assert_eq!(unescape(&text), Some(plain));
        }
    }
}
