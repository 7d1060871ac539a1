//! Dates and times as R4 writes them, on days that the calendar has.

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> bool {
    day(text.as_bytes()).is_some_and(<[u8]>::is_empty)
}

/// A date, or a whole date with time and zone.
pub(super) fn date_time(text: &str) -> bool {
    date(text) || instant(text)
}

/// A whole date with time and zone.
pub(crate) fn instant(text: &str) -> bool {
    let Some((date, rest)) = text.as_bytes().split_at_checked(10) else { return false };
    let Some(rest) = rest.strip_prefix(b"T") else { return false };
    day(date).is_some_and(<[u8]>::is_empty) && clock(rest).is_some_and(zone)
}

/// `hh:mm:ss` with an optional fraction.
pub(super) fn time(text: &str) -> bool {
    clock(text.as_bytes()).is_some_and(<[u8]>::is_empty)
}

/// Reads a year, a month and a day, as far as they are there, and gives back the rest.
fn day(text: &[u8]) -> Option<&[u8]> {
    let (year, rest) = number(text, 4)?;
    let Some(rest) = rest.strip_prefix(b"-") else { return (year > 0).then_some(rest) };
    let (month, rest) = number(rest, 2)?;
    let Some(rest) = rest.strip_prefix(b"-") else { return (year > 0 && (1..=12).contains(&month)).then_some(rest) };
    let (day, rest) = number(rest, 2)?;
    (year > 0 && (1..=days_in(year, month)).contains(&day)).then_some(rest)
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// R4 lets the second be 60 in any minute.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = number(rest.strip_prefix(b":")?, 2)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 { None } else { fraction.get(digits..) }
}

fn zone(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"+").or(text.strip_prefix(b"-")) else { return text == b"Z" };
    let hours = number(rest, 2).and_then(|(hours, rest)| Some((hours, number(rest.strip_prefix(b":")?, 2)?)));
    hours.is_some_and(|(hours, (minutes, rest))| rest.is_empty() && minutes <= 59 && hours * 60 + minutes <= 14 * 60)
}

/// So many digits, and what follows them.
fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let add = |value: u32, b: &u8| b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0'));
    Some((digits.iter().try_fold(0, add)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(judge: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        good.iter().for_each(|text| assert!(judge(text), "{text}"));
        bad.iter().for_each(|text| assert!(!judge(text), "{text}"));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let good = ["2026", "2026-02", "2026-02-28", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"];
        let bad = [
            "2026-02-30",
            "2025-02-29",
            "1900-02-29",
            "2026-00",
            "2026-13",
            "2026-04-31",
            "2026-01-00",
            "0000",
            "0000-01-01",
            "10000",
            "2026-",
            "2026-1-1",
            "26",
            "",
            "2026-01-01Z",
            " 2026",
            "2026-01-01T00:00:00Z",
            "２０２６",
        ];
        all(date, &good, &bad);
    }

    #[test]
    fn times_are_those_of_the_day() {
        let good = ["00:00:00", "23:59:59.123456789012", "12:34:60"];
        let bad = ["24:00:00", "12:60:00", "12:00:61", "12:00", "12:00:00.", "12:00:00Z", "1:00:00", "", "12:00:00,5"];
        all(time, &good, &bad);
    }

    #[test]
    fn a_time_of_a_day_has_a_zone() {
        let whole = ["2026-02-24T08:30:00Z", "2026-02-24T08:30:00.5+14:00", "2016-12-31T23:59:60-00:00", "2026-02-24T08:30:00-13:59"];
        let bad = [
            "2026-02-24T08:30:00",
            "2026-02-24T08:30Z",
            "2026-02-30T08:30:00Z",
            "2026-02-24T08:30:00+15:00",
            "2026-02-24T08:30:00+14:01",
            "2026-02-24T08:30:00+1:00",
            "2026-02-24T08:30:00+0100",
            "2026-02-24 08:30:00Z",
            "2026-02-24t08:30:00z",
            "2026-02T08:30:00Z",
            "2026-02-24T24:00:00Z",
            "2026-02-24T08:30:00Z ",
            "2026-02-24T",
        ];
        all(instant, &whole, &bad);
        all(instant, &[], &["2026", "2026-02-24"]);
        all(date_time, &[&whole[..], &["2026", "2026-02", "2026-02-24"]].concat(), &bad);
    }
}
