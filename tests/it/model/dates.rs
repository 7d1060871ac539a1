//! What dates cover, and how R4 compares what is searched with what is there
//! (https://hl7.org/fhir/R4/search.html#prefix). Seconds since 1970, the end excluded.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i64,
    pub until: i64,
}

/// Further than any date the model writes.
pub const NEVER: i64 = i64::MAX / 4;

/// `2026`, `2026-02`, `2026-02-03`, `2026-02-03T10:00:00Z`, `2026-02-03T10:00:00+02:00`.
pub fn span(text: &str) -> Span {
    let number = |from: usize, length: usize| text.get(from..from + length).map(|part| part.parse::<i64>().expect("digits"));
    let (year, month, day) = (number(0, 4).expect("a year"), number(5, 2), number(8, 2));
    let from = 86_400 * days(year, month.unwrap_or(1), day.unwrap_or(1));
    let until = match (month, day) {
        (None, _) => 86_400 * days(year + 1, 1, 1),
        (Some(12), None) => 86_400 * days(year + 1, 1, 1),
        (Some(month), None) => 86_400 * days(year, month + 1, 1),
        _ => from + 86_400,
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 2), number(14, 2), number(17, 2)) else { return Span { from, until } };
    let east = match text.get(19..20) {
        Some("+") => number(20, 2).expect("an offset") * 3_600,
        _ => 0,
    };
    let from = from + hour * 3_600 + minute * 60 + second - east;
    Span { from, until: from + 1 }
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
