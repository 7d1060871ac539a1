//! R4 `date` parameters (https://hl7.org/fhir/R4/search.html#date): every value is a range of time,
//! and a prefix compares the range that is searched with the range of the resource.
//!
//! A value covers the half-open range `[lo, hi)` that its precision says: a year, a month, a day, a
//! minute, a second. A fraction of a second in a resource is a point in time, as long as the shortest
//! time that is told apart, a nanosecond; one that is searched for covers what begins with its digits,
//! but a millisecond at most, for many leave noughts at its end out. Digits after the ninth are cut.
//! A value without zone is UTC. A `+` that arrived as a blank is a `+`.

use jiff::civil::{self, Date};

use crate::clock::Millis;

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub type Nanos = i128;

const EPOCH: Date = civil::date(1970, 1, 1);
const MILLI: Nanos = 1_000_000;
const SECOND: Nanos = 1_000 * MILLI;
const MINUTE: Nanos = 60 * SECOND;
const HOUR: Nanos = 60 * MINUTE;
const DAY: Nanos = 24 * HOUR;

/// A time from `lo` until before `hi`, which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateRange {
    pub lo: Nanos,
    pub hi: Nanos,
}

impl DateRange {
    /// `lo` of a Period without start.
    pub const OPEN_LO: Nanos = Millis::MIN as Nanos * MILLI;
    /// `hi` of a Period without end.
    pub const OPEN_HI: Nanos = Millis::MAX as Nanos * MILLI;

    /// The range of a search value.
    pub fn parse(text: &str) -> Option<DateRange> {
        let Some((date, time)) = text.split_once('T') else {
            return days(text);
        };
        if date.len() != "2026-01-31".len() {
            return None;
        }
        let (time, offset) = zone(time)?;
        let (since_midnight, length) = time_of_day(time)?;
        let lo = days(date)?.lo + since_midnight - offset;
        Some(DateRange { lo, hi: lo + length })
    }

    /// The range of a `date`, `dateTime` or `instant` of a resource.
    pub fn stored(text: &str) -> Option<DateRange> {
        let range = DateRange::parse(text)?;
        Some(if text.contains('.') { DateRange { hi: range.lo + 1, ..range } } else { range })
    }

    /// The point in time that our own stamps are.
    pub fn instant(at: Millis) -> DateRange {
        let lo = Nanos::from(at) * MILLI;
        DateRange { lo, hi: lo + 1 }
    }

    /// What an index knows of it: the first of the milliseconds that it touches, and the one after the last.
    pub fn millis(self) -> (Millis, Millis) {
        (floor(self.lo), ceil(self.hi))
    }

    /// The first whole millisecond that is not before it.
    pub fn first_milli(self) -> Millis {
        ceil(self.lo)
    }

    /// Wider on both sides by a tenth of the distance to `now` (https://hl7.org/fhir/R4/search.html#prefix, `ap`).
    fn about(self, now: Millis) -> DateRange {
        let now = Nanos::from(now) * MILLI;
        let distance = (self.lo - now).max(now - self.hi).max(0) / 10;
        DateRange { lo: self.lo - distance, hi: self.hi + distance }
    }
}

fn floor(at: Nanos) -> Millis {
    Millis::try_from(at.div_euclid(MILLI)).unwrap_or(if at < 0 { Millis::MIN } else { Millis::MAX })
}

fn ceil(at: Nanos) -> Millis {
    floor(at + MILLI - 1)
}

/// How the range of the search and the range of the resource must lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

impl Prefix {
    pub const ALL: &'static [Prefix] =
        &[Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap];

    pub const fn text(self) -> &'static str {
        match self {
            Prefix::Eq => "eq",
            Prefix::Ne => "ne",
            Prefix::Gt => "gt",
            Prefix::Lt => "lt",
            Prefix::Ge => "ge",
            Prefix::Le => "le",
            Prefix::Sa => "sa",
            Prefix::Eb => "eb",
            Prefix::Ap => "ap",
        }
    }

    /// The prefix and the rest; no prefix is `eq`.
    fn split(text: &str) -> Option<(Prefix, &str)> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Some((Prefix::Eq, text));
        }
        Prefix::ALL.iter().find_map(|prefix| Some((*prefix, text.strip_prefix(prefix.text())?)))
    }
}

/// One date that is searched for. `range` of `ap` is already widened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct When {
    pub prefix: Prefix,
    pub range: DateRange,
    /// The value as it was sent, without prefix.
    pub text: String,
}

impl When {
    pub fn parse(text: &str, now: Millis) -> Option<When> {
        let (prefix, text) = Prefix::split(text)?;
        let range = DateRange::parse(text)?;
        let range = if prefix == Prefix::Ap { range.about(now) } else { range };
        Some(When { prefix, range, text: text.replace(' ', "+") })
    }

    pub fn matches(&self, resource: DateRange) -> bool {
        matches(self.prefix, self.range, resource)
    }

    pub fn bounds(&self) -> Bounds {
        bounds(self.prefix, self.range)
    }

    pub(super) fn said(&self) -> String {
        if self.prefix == Prefix::Eq { self.text.clone() } else { format!("{}{}", self.prefix.text(), self.text) }
    }
}

/// The R4 rules: `eq` is "the range of the search value fully contains the range of the target
/// value", `gt` and `lt` ask whether the range above or below the search value touches the target,
/// `sa` and `eb` whether it contains all of it.
pub fn matches(prefix: Prefix, search: DateRange, resource: DateRange) -> bool {
    let within = search.lo <= resource.lo && resource.hi <= search.hi;
    let above = resource.hi > search.hi;
    let below = resource.lo < search.lo;
    match prefix {
        Prefix::Eq => within,
        Prefix::Ne => !within,
        Prefix::Gt => above,
        Prefix::Lt => below,
        Prefix::Ge => above || within,
        Prefix::Le => below || within,
        Prefix::Sa => resource.lo >= search.hi,
        Prefix::Eb => resource.hi <= search.lo,
        Prefix::Ap => resource.lo < search.hi && resource.hi > search.lo,
    }
}

/// What `DateRange::millis` of a matching resource must satisfy, both ends included. Necessary, not
/// sufficient: for an index to narrow with before `matches` decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub lo_min: Option<Millis>,
    pub lo_max: Option<Millis>,
    pub hi_min: Option<Millis>,
    pub hi_max: Option<Millis>,
}

impl Bounds {
    pub fn admits(&self, resource: DateRange) -> bool {
        let (lo, hi) = resource.millis();
        self.lo_min.is_none_or(|min| min <= lo)
            && self.lo_max.is_none_or(|max| lo <= max)
            && self.hi_min.is_none_or(|min| min <= hi)
            && self.hi_max.is_none_or(|max| hi <= max)
    }

    /// Holds where either holds.
    pub fn or(self, other: Bounds) -> Bounds {
        Bounds {
            lo_min: self.lo_min.zip(other.lo_min).map(|(a, b)| a.min(b)),
            lo_max: self.lo_max.zip(other.lo_max).map(|(a, b)| a.max(b)),
            hi_min: self.hi_min.zip(other.hi_min).map(|(a, b)| a.min(b)),
            hi_max: self.hi_max.zip(other.hi_max).map(|(a, b)| a.max(b)),
        }
    }

    /// Holds where both hold.
    pub fn and(self, other: Bounds) -> Bounds {
        let least = |a: Option<Millis>, b: Option<Millis>| a.into_iter().chain(b).min();
        Bounds {
            lo_min: self.lo_min.max(other.lo_min),
            lo_max: least(self.lo_max, other.lo_max),
            hi_min: self.hi_min.max(other.hi_min),
            hi_max: least(self.hi_max, other.hi_max),
        }
    }
}

/// The bounds of one comparison. To be before a time is to end, or begin, a nanosecond earlier at least.
pub fn bounds(prefix: Prefix, search: DateRange) -> Bounds {
    let (lo, hi) = search.millis();
    let (below_lo, below_hi) = (Some(floor(search.lo - 1)), Some(floor(search.hi - 1)));
    let (above_lo, above_hi) = (Some(ceil(search.lo + 1)), Some(ceil(search.hi + 1)));
    let any = Bounds::default();
    match prefix {
        Prefix::Eq => Bounds { lo_min: Some(lo), lo_max: below_hi, hi_min: above_lo, hi_max: Some(hi) },
        Prefix::Ne => any,
        Prefix::Gt => Bounds { hi_min: above_hi, ..any },
        Prefix::Lt => Bounds { lo_max: below_lo, ..any },
        Prefix::Ge => Bounds { hi_min: above_lo, ..any },
        Prefix::Le => Bounds { lo_max: below_hi, ..any },
        Prefix::Sa => Bounds { lo_min: Some(floor(search.hi)), hi_min: above_hi, ..any },
        Prefix::Eb => Bounds { lo_max: below_lo, hi_max: Some(ceil(search.lo)), ..any },
        Prefix::Ap => Bounds { lo_max: below_hi, hi_min: above_lo, ..any },
    }
}

/// `2026`, `2026-01` or `2026-01-31`.
fn days(text: &str) -> Option<DateRange> {
    let mut parts = text.split('-');
    let year = i16::try_from(digits(parts.next()?, 4)?).ok().filter(|year| *year > 0)?;
    let mut two = || parts.next().map(|part| digits(part, 2).and_then(|number| i8::try_from(number).ok()));
    let (month, day) = match (two(), two(), two()) {
        (None, ..) => (None, None),
        (Some(month), None, _) => (Some(month?), None),
        (Some(month), Some(day), None) => (Some(month?), Some(day?)),
        _ => return None,
    };
    let first = Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
    let count: i16 = match (month, day) {
        (None, _) => first.days_in_year(),
        (_, None) => first.days_in_month().into(),
        _ => 1,
    };
    let lo = Nanos::from(first.duration_since(EPOCH).as_secs()) * SECOND;
    Some(DateRange { lo, hi: lo + Nanos::from(count) * DAY })
}

/// Takes the zone off: the rest, and the offset to UTC.
fn zone(time: &str) -> Option<(&str, Nanos)> {
    if let Some(utc) = time.strip_suffix('Z') {
        return Some((utc, 0));
    }
    let Some(at) = time.rfind(['+', '-', ' ']) else {
        return Some((time, 0));
    };
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if minutes > 59 || hours * 60 + minutes > 14 * 60 {
        return None;
    }
    let offset = Nanos::from(hours) * HOUR + Nanos::from(minutes) * MINUTE;
    Some((&time[..at], if time[at..].starts_with('-') { -offset } else { offset }))
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f`: the time since midnight, and how much it covers. R4 knows second 60.
fn time_of_day(text: &str) -> Option<(Nanos, Nanos)> {
    let mut parts = text.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let start = Nanos::from(hour) * HOUR + Nanos::from(minute) * MINUTE;
    let (seconds, None) = (parts.next(), parts.next()) else {
        return None;
    };
    let Some(seconds) = seconds else {
        return Some((start, MINUTE));
    };
    let (whole, fraction) = match seconds.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (seconds, None),
    };
    let start = start + Nanos::from(digits(whole, 2).filter(|second| *second <= 60)?) * SECOND;
    match fraction {
        None => Some((start, SECOND)),
        Some(fraction) => billionths(fraction).map(|(nanos, length)| (start + nanos, length)),
    }
}

/// The digits of a fraction of a second as nanoseconds, and how many begin with them.
fn billionths(fraction: &str) -> Option<(Nanos, Nanos)> {
    let first = fraction.get(..fraction.len().min(9))?;
    if first.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length = first.bytes().fold(SECOND, |length, _| length / 10);
    Some((first.parse::<Nanos>().ok()? * length, length.min(MILLI)))
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}
