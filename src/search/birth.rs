//! Birth dates: a `date` parameter that is answered by tokens, for the database may not hold the
//! date itself and a keyed hash knows equality only.
//!
//! A stored date carries a token for its decade (`198`), year, month and day, as far as it goes, and
//! one more (`=1980`, `=1980-05`) when it stops at the year or month: such a value touches both sides
//! of a day within it, the dates inside do not. Any prefix is then a list of tokens, the coarsest
//! that lie wholly on the right side.

use super::date::{DateRange, Prefix, matches};

/// The decades that can be found: 1850 to 2149.
const DECADES: std::ops::Range<u16> = 185..215;

/// The tokens of a stored birth date; none when it is not an R4 `date`.
pub fn tokens(date: &str) -> Vec<String> {
    if date.contains('T') || DateRange::stored(date).is_none() {
        return Vec::new();
    }
    let mut tokens: Vec<String> = [3, 4, 7, 10].iter().filter_map(|length| date.get(..*length).map(str::to_owned)).collect();
    if date.len() < 10 {
        tokens.push(format!("={date}"));
    }
    tokens
}

/// The tokens of all birth dates from 1850 to 2149 that answer a search: never more than 200.
pub fn birthdate_tokens(prefix: Prefix, search: DateRange) -> Vec<String> {
    let mut found = Vec::new();
    for decade in DECADES {
        cover(&decade.to_string(), prefix, search, &mut found);
    }
    found
}

/// Collects the tokens at or below `token` that answer. A span that holds no end of the search range
/// answers as a whole or not at all, so at most two spans of each size are looked into.
fn cover(token: &str, prefix: Prefix, search: DateRange, found: &mut Vec<String>) {
    let Some(span) = span(token) else { return };
    let answers = matches(prefix, search, span);
    let cut = |end| span.lo < end && end < span.hi;
    let is_day = token.len() == 10;
    if is_day || !(cut(search.lo) || cut(search.hi)) {
        if answers {
            found.push(token.to_owned());
        }
        return;
    }
    if answers && token.len() > 3 {
        found.push(format!("={token}"));
    }
    for inner in inner(token) {
        cover(&inner, prefix, search, found);
    }
}

fn span(token: &str) -> Option<DateRange> {
    if token.len() == 3 {
        let (first, last) = (DateRange::parse(&format!("{token}0"))?, DateRange::parse(&format!("{token}9"))?);
        return Some(DateRange { lo: first.lo, hi: last.hi });
    }
    DateRange::parse(token)
}

/// The years of a decade, the months of a year, or 31 days, of which `span` refuses those that are not.
fn inner(token: &str) -> Vec<String> {
    match token.len() {
        3 => (0..10).map(|year| format!("{token}{year}")).collect(),
        4 => (1..=12).map(|month| format!("{token}-{month:02}")).collect(),
        _ => (1..=31).map(|day| format!("{token}-{day:02}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date() -> impl Strategy<Value = String> {
        (1850..2150, 1..=12, 1..=28, 0..3).prop_map(|(year, month, day, size)| match size {
            0 => format!("{year}"),
            1 => format!("{year}-{month:02}"),
            _ => format!("{year}-{month:02}-{day:02}"),
        })
    }

    fn near() -> impl Strategy<Value = String> {
        prop_oneof![date(), "19(79|80)", "19(79|80)-(01|05|12)", "19(79|80)-(01|05|12)-(01|11|28)"]
    }

    /// Search values, most of them near 1980 so that edges meet; some with a time.
    fn search() -> impl Strategy<Value = String> {
        let time = prop_oneof![Just(""), Just("T00:00Z"), Just("T12:30:00+02:00"), Just("T23:59:59.9999Z"), Just("T23:59:59.999Z")];
        prop_oneof![
            date(),
            (1978..1983, 1..=12, 1..=28, time).prop_map(|(year, month, day, time)| format!("{year}-{month:02}-{day:02}{time}"))
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn tokens_answer_as_ranges_do(stored in near(), search in search(), prefix in prop::sample::select(Prefix::ALL)) {
            let range = DateRange::parse(&search).unwrap();
            let asked = birthdate_tokens(prefix, range);
            prop_assert!(asked.len() <= 200);
            let by_token = tokens(&stored).iter().any(|token| asked.contains(token));
            prop_assert_eq!(by_token, matches(prefix, range, DateRange::stored(&stored).unwrap()));
        }
    }

    #[test]
    fn a_coarse_date_is_told_from_the_dates_in_it() {
        assert_eq!(tokens("1980"), ["198", "1980", "=1980"]);
        assert_eq!(tokens("1980-05-11"), ["198", "1980", "1980-05", "1980-05-11"]);
        assert!(tokens("1980-13").is_empty() && tokens("x").is_empty() && tokens("1980-05-11T10:00Z").is_empty());
        assert_eq!(birthdate_tokens(Prefix::Eq, DateRange::parse("1980-05").unwrap()), ["1980-05"]);
    }
}
