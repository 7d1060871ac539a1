//! What dates cover, and how R4 compares what is searched with what is there
//! (https://hl7.org/fhir/R4/search.html#prefix). Nanoseconds since 1970, the end excluded.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i128,
    pub until: i128,
}

/// Further than any date the model writes.
pub const NEVER: i128 = i128::MAX / 4;

const SECOND: i128 = 1_000_000_000;

/// `2026`, `2026-02`, `2026-02-03`, `2026-02-03T10:00:00Z`, `2026-02-03T10:00:00+02:00`, `2026-02-03T10:00:00.1234Z`, as
/// they are searched for.
pub fn span(text: &str) -> Span {
    let number = |from: usize, length: usize| text.get(from..from + length).map(|part| part.parse::<i64>().expect("digits"));
    let (year, month, day) = (number(0, 4).expect("a year"), number(5, 2), number(8, 2));
    let midnight = |year, month, day| i128::from(86_400 * days(year, month, day)) * SECOND;
    let from = midnight(year, month.unwrap_or(1), day.unwrap_or(1));
    let until = match (month, day) {
        (None, _) => midnight(year + 1, 1, 1),
        (Some(12), None) => midnight(year + 1, 1, 1),
        (Some(month), None) => midnight(year, month + 1, 1),
        _ => from + 86_400 * SECOND,
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 2), number(14, 2), number(17, 2)) else { return Span { from, until } };
    let east = match text.get(19..20) {
        Some("+") => number(20, 2).expect("an offset") * 3_600,
        _ => 0,
    };
    let from = from + i128::from(hour * 3_600 + minute * 60 + second - east) * SECOND;
    let Some((_, fraction)) = text.split_once('.') else { return Span { from, until: from + SECOND } };
    // At least three digits: noughts at the end may be left out.
    let digits = format!("{:0<3}", fraction.trim_end_matches('Z'));
    let step = SECOND / 10_i128.pow(digits.len() as u32);
    let from = from + digits.parse::<i128>().expect("digits") * step;
    Span { from, until: from + step }
}

/// The same of what is there: a fraction of a second is a moment.
pub fn there(text: &str) -> Span {
    let span = span(text);
    if text.contains('.') { Span { until: span.from + 1, ..span } } else { span }
}

/// Days since 1970-01-01, counted year by year: slow and plain.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let of_year = |year: i64| if leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 { (1970..year).map(of_year).sum() } else { -(year..1970).map(of_year).sum::<i64>() };
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + lengths.iter().take(month as usize - 1).sum::<i64>() + day - 1
}

pub const PREFIXES: [&str; 9] = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"];

/// Does what is there answer `ge2026-02`?
pub fn answers(asked: &str, there: Span) -> bool {
    let digits = asked.find(|letter: char| letter.is_ascii_digit()).expect("a date");
    let (prefix, asked) = (&asked[..digits], span(&asked[digits..]));
    let within = asked.from <= there.from && there.until <= asked.until;
    match prefix {
        "" | "eq" => within,
        "ne" => !within,
        "gt" => there.until > asked.until,
        "lt" => there.from < asked.from,
        "ge" => there.until > asked.until || within,
        "le" => there.from < asked.from || within,
        "sa" => there.from >= asked.until,
        "eb" => there.until <= asked.from,
        other => panic!("no prefix: {other}"),
    }
}
