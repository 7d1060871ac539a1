//! The form of a language tag: BCP 47 (RFC 5646, 2.1). Whether each part of it is registered is not known here.

/// What may follow: another part of the language, a script, a region, variants, extensions, words of one's own.
const SCRIPT: u8 = 1;
const REGION: u8 = 2;
const VARIANT: u8 = 3;
const EXTENSION: u8 = 4;
const OWN: u8 = 5;

pub(super) fn well_formed(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    // No tag of four letters or more is registered; i-klingon and its like are old ones, x-.. are anybody's.
    let start = match first.to_ascii_lowercase().as_str() {
        "x" | "i" => Some(OWN),
        _ => (matches!(first.len(), 2 | 3) && letters(first)).then_some(0),
    };
    let end = start.and_then(|start| parts.try_fold(start, |now, part| next(part, now)));
    // A letter alone announces what follows.
    let last = tag.rsplit('-').next().unwrap_or_default();
    end.is_some_and(|end| last.len() > 1 || end == OWN && tag.len() > 1 && !last.eq_ignore_ascii_case("x"))
}

fn letters(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_alphabetic())
}

/// What a part is, after what has been.
fn next(part: &str, now: u8) -> Option<u8> {
    if !(1..=8).contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let digit = part.starts_with(|c: char| c.is_ascii_digit());
    match part.len() {
        _ if now == OWN => Some(OWN),
        1 => Some(if part.eq_ignore_ascii_case("x") { OWN } else { EXTENSION }),
        _ if now == EXTENSION => Some(EXTENSION),
        3 if letters(part) && now == 0 => Some(0),
        4 if letters(part) && now < SCRIPT => Some(SCRIPT),
        2 if letters(part) && now < REGION => Some(REGION),
        3 if part.bytes().all(|b| b.is_ascii_digit()) && now < REGION => Some(REGION),
        5..=8 => Some(VARIANT),
        4 if digit => Some(VARIANT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_the_form_of_bcp_47() {
        for tag in [
            "de",
            "de-AT",
            "DE-at",
            "zh-Hant-TW",
            "es-419",
            "sl-rozaj-biske",
            "de-CH-1996",
            "gsw",
            "zh-yue-HK",
            "de-DE-u-co-phonebk",
            "x-a",
            "en-x-1",
            "i-klingon",
        ] {
            assert!(well_formed(tag), "{tag}");
        }
        for tag in
            ["", "d", "x", "german", "nonsense", "de_AT", "de-", "-de", "de--AT", "de AT", "xx-nothing-at-all", "de-AT-Latn", "de-u", "é"]
        {
            assert!(!well_formed(tag), "{tag}");
        }
    }
}
