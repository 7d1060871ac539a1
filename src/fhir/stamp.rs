//! A moment as its source wrote it: the instant, the digits of its fraction, and its offset if known.
//!
//! FHIR dateTime (https://hl7.org/fhir/R4/datatypes.html#dateTime), RFC 3339. An offset that the
//! source did not give is not invented: such a stamp is written with `Z`.

use std::fmt;

use crate::error::Kind;
use crate::id::Address;

const DAY_MS: i64 = 86_400_000;
/// 0001-01-01T00:00:00: FHIR has no year 0.
const FIRST_MS: i64 = -62_135_596_800_000;
/// FHIR dateTime ends at +14:00.
const OFFSET_MAX: i16 = 14 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z, rounded down; within 48 signed bits.
    pub ms: i64,
    /// What `ms` leaves over, in nanoseconds: 0..=999_999.
    pub sub_ms_nanos: u32,
    /// How many digits of the second's fraction were written: 0..=9; further ones are cut.
    pub digits: u8,
    /// Minutes east of UTC; None when the source wrote `Z` and gave no zone of its own.
    pub offset: Option<i16>,
}

impl Stamp {
    /// Reads an RFC 3339 date and time (seconds may be left out).
    ///
    /// `zone` is what the source says beside it, for example `+01:00`. It is used when the text ends in `Z`
    /// or in nothing; an offset in the text itself wins. Neither: `TimeNoZone`. Anything else: `TimeInvalid`.
    /// A leap second (23:59:60 UTC) becomes the second before it.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Stamp, Kind> {
        let zone = zone.map(self::zone).transpose()?;
        let mut read = Reader(text.as_bytes());
        let date = read.date()?;
        if !(read.take(b'T') || read.take(b't') || read.take(b' ')) {
            return Err(Kind::TimeInvalid);
        }
        let (hour, minute) = (read.pair()?, {
            read.expect(b':')?;
            read.pair()?
        });
        let second = if read.take(b':') { read.pair()? } else { 0 };
        let (nanos, digits) = read.fraction()?;
        if hour > 23 || minute > 59 || second > 60 {
            return Err(Kind::TimeInvalid);
        }
        let (shift, offset) = match read.zone()? {
            Written::Nothing => zone.map(|zone| (zone, Some(zone))).ok_or(Kind::TimeNoZone)?,
            Written::Utc => (0, zone),
            Written::Offset(minutes) => (minutes, Some(minutes)),
        };
        let minutes = (date * 24 + hour) * 60 + minute - i64::from(shift);
        if second == 60 && minutes.rem_euclid(24 * 60) != 24 * 60 - 1 {
            return Err(Kind::TimeInvalid);
        }
        let ms = (minutes * 60 + second.min(59)) * 1000 + i64::from(nanos / 1_000_000);
        let stamp = Stamp { ms, sub_ms_nanos: nanos % 1_000_000, digits, offset };
        let local = ms + i64::from(offset.unwrap_or(0)) * 60_000;
        if !(Address::START_MIN..=Address::START_MAX).contains(&ms) || local < FIRST_MS || ms < FIRST_MS {
            return Err(Kind::TimeInvalid);
        }
        Ok(stamp)
    }

    /// What stamps are compared by: the instant, whatever its offset.
    pub fn instant(self) -> (i64, u32) {
        (self.ms, self.sub_ms_nanos)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Stamp::TEXT_MAX];
        f.write_str(self.write(&mut text))
    }
}

impl Stamp {
    /// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+HH:MM`
    pub const TEXT_MAX: usize = 35;

    /// Writes the stamp digit by digit: a page of Observations has hundreds of them.
    pub fn write<'b>(&self, text: &'b mut [u8; Stamp::TEXT_MAX]) -> &'b str {
        let local = self.ms + i64::from(self.offset.unwrap_or(0)) * 60_000;
        let (year, month, day) = civil(local.div_euclid(DAY_MS));
        let of_day = local.rem_euclid(DAY_MS);
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
        let mut at = 0;
        for (number, width, after) in
            [(year, 4, b'-'), (month, 2, b'-'), (day, 2, b'T'), (hour, 2, b':'), (minute, 2, b':'), (second, 2, b'.')]
        {
            digits(text, at, (number, width));
            text[at + width] = after;
            at += width + 1;
        }
        if self.digits > 0 {
            let nanos = of_day % 1000 * 1_000_000 + i64::from(self.sub_ms_nanos);
            let width = usize::from(self.digits.min(9));
            digits(text, at, (nanos / 10i64.pow(9 - width as u32), width));
            at += width;
        } else {
            at -= 1;
        }
        match self.offset {
            None => {
                text[at] = b'Z';
                at += 1;
            }
            Some(offset) => {
                let minutes = i64::from(offset.unsigned_abs());
                text[at] = if offset < 0 { b'-' } else { b'+' };
                digits(text, at + 1, (minutes / 60, 2));
                text[at + 3] = b':';
                digits(text, at + 4, (minutes % 60, 2));
                at += 6;
            }
        }
        std::str::from_utf8(&text[..at]).unwrap_or_default()
    }
}

/// Writes a number with this many digits, zeros before it.
fn digits(text: &mut [u8], at: usize, (mut number, width): (i64, usize)) {
    for place in (at..at + width).rev() {
        text[place] = b'0' + number.rem_euclid(10) as u8;
        number = number.div_euclid(10);
    }
}

/// A zone on its own in minutes: `+01:00`, `+0100`, `+01`; `Z` says that the offset is zero, not that it is
/// unknown. Anything else is `TimeInvalid`.
pub fn zone(text: &str) -> Result<i16, Kind> {
    match Reader(text.as_bytes()).zone()? {
        Written::Offset(minutes) => Ok(minutes),
        Written::Utc if text.len() == 1 => Ok(0),
        _ => Err(Kind::TimeInvalid),
    }
}

enum Written {
    Nothing,
    Utc,
    Offset(i16),
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let here = self.0.first() == Some(&byte);
        if here {
            self.0 = &self.0[1..];
        }
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), Kind> {
        if self.take(byte) { Ok(()) } else { Err(Kind::TimeInvalid) }
    }

    /// Two digits.
    fn pair(&mut self) -> Result<i64, Kind> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] = self.0 else { return Err(Kind::TimeInvalid) };
        self.0 = rest;
        Ok(i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    }

    /// `YYYY-MM-DD` as days since 1970-01-01.
    fn date(&mut self) -> Result<i64, Kind> {
        let year = self.pair()? * 100 + self.pair()?;
        self.expect(b'-')?;
        let month = self.pair()?;
        self.expect(b'-')?;
        let day = self.pair()?;
        if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return Err(Kind::TimeInvalid);
        }
        Ok(days(year, month, day))
    }

    fn fraction(&mut self) -> Result<(u32, u8), Kind> {
        if !self.take(b'.') {
            return Ok((0, 0));
        }
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if length == 0 {
            return Err(Kind::TimeInvalid);
        }
        let mut nanos = 0;
        for at in 0..9 {
            nanos = nanos * 10 + if at < length { u32::from(self.0[at] - b'0') } else { 0 };
        }
        self.0 = &self.0[length..];
        Ok((nanos, length.min(9) as u8))
    }

    /// The rest of the text. `-00:00` is RFC 3339's way to say that the local offset is unknown.
    fn zone(&mut self) -> Result<Written, Kind> {
        if self.0.is_empty() {
            return Ok(Written::Nothing);
        }
        if self.take(b'Z') || self.take(b'z') {
            return if self.0.is_empty() { Ok(Written::Utc) } else { Err(Kind::TimeInvalid) };
        }
        let negative = self.take(b'-');
        if !negative {
            self.expect(b'+')?;
        }
        let hours = self.pair()?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.take(b':');
            self.pair()?
        };
        let total = (hours * 60 + minutes) as i16;
        if !self.0.is_empty() || minutes > 59 || total > OFFSET_MAX {
            return Err(Kind::TimeInvalid);
        }
        Ok(if negative && total == 0 { Written::Utc } else { Written::Offset(if negative { -total } else { total }) })
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => {
            if leap {
                29
            } else {
                28
            }
        }
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The other way round: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, zone: Option<&str>) -> String {
        Stamp::parse(text, zone).unwrap().to_string()
    }

    #[test]
    fn a_stamp_is_shown_in_its_own_offset() {
        assert_eq!(shown("2026-02-24T08:30:00Z", Some("+01:00")), "2026-02-24T09:30:00+01:00");
        assert_eq!(shown("2026-02-24T08:30:00Z", None), "2026-02-24T08:30:00Z");
        assert_eq!(shown("2026-02-24T08:30:00Z", Some("Z")), "2026-02-24T08:30:00+00:00");
        assert_eq!(shown("2026-02-24T08:30:00Z", Some("+00:00")), "2026-02-24T08:30:00+00:00");
        assert_eq!(shown("2026-02-24T08:30:00.120-05:30", Some("+01:00")), "2026-02-24T08:30:00.120-05:30");
        assert_eq!(shown("2026-02-24T23:30:00", Some("-0330")), "2026-02-24T23:30:00-03:30");
        assert_eq!(shown("2026-02-24T08:30:00-00:00", None), "2026-02-24T08:30:00Z");
        assert_eq!(shown("2026-02-24t08:30z", None), "2026-02-24T08:30:00Z");
        assert_eq!(shown("2026-02-24T08:30:00.1234567891Z", None), "2026-02-24T08:30:00.123456789Z");
        assert_eq!(shown("2016-12-31T23:59:60Z", None), "2016-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "2026-02-30T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:60:00Z",
            "2026-01-01T10:00:60Z",
            "2026-01-01",
            "2026-01-01T10Z",
            "2026-01-01T10:00:00+15:00",
            "2026-01-01T10:00:00.Z",
            "0000-01-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
            "2026-01-01T10:00:00Zx",
            "",
            "yesterday",
            "1767225600",
            "2026-1-1T10:00:00Z",
        ] {
            assert_eq!(Stamp::parse(text, None), Err(Kind::TimeInvalid), "{text}");
        }
        assert_eq!(Stamp::parse("2026-01-01T10:00:00", None), Err(Kind::TimeNoZone));
        assert_eq!(Stamp::parse("2026-01-01T10:00:00Z", Some("Europe/Vienna")), Err(Kind::TimeInvalid));
        assert_eq!(Stamp::parse("2026-01-01T10:00:00Z", Some("")), Err(Kind::TimeInvalid));
    }

    #[test]
    fn the_calendar_agrees_with_jiff() {
        for day in (-700_000..1_600_000i64).step_by(97) {
            let (year, month, _) = civil(day);
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            assert_eq!((year, month, civil(day).2), (i64::from(date.year()), i64::from(date.month()), i64::from(date.day())));
            assert_eq!(days(year, month, civil(day).2), day);
        }
    }

    proptest! {
        #[test]
        fn shown_and_read_again_is_the_same(ms in FIRST_MS + DAY_MS..Address::START_MAX, digits in 0u8..=9, nanos in 0u32..1_000_000, offset in proptest::option::of(-840i16..=840)) {
            let unit = 10i64.pow(9 - u32::from(digits));
            let fraction = (ms.rem_euclid(1000) * 1_000_000 + i64::from(nanos)) / unit * unit;
            let stamp = Stamp {
                ms: ms.div_euclid(1000) * 1000 + fraction / 1_000_000,
                sub_ms_nanos: (fraction % 1_000_000) as u32,
                digits,
                offset,
            };
            prop_assert_eq!(Stamp::parse(&stamp.to_string(), None), Ok(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", zone in proptest::option::of(".{0,8}")) {
            let _ = Stamp::parse(&text, zone.as_deref());
        }
    }
}
