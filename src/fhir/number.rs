//! JSON numbers of any length: what a `Decimal` holds, or the text of a longer one.

use std::cmp::Ordering;
use std::fmt;

use super::decimal::{DIGITS, Decimal, round};
use crate::error::Kind;

/// A number is finite when a double could hold it: decimal exponents outside these are refused.
const EXPONENT_MAX: i64 = 308;
/// The longest number text we keep.
const TEXT_MAX: usize = 64;

/// A finite JSON number: one that `Decimal` holds, or the text of one with too many digits.
#[derive(Clone, Debug)]
pub enum Number {
    Fits(Decimal),
    /// A JSON number of more than 18 digits (or a scale beyond a byte), as written.
    Wide(String),
}

impl Number {
    /// Reads a JSON number. `1e999`, a quoted number or anything else is `ValueNotANumber`;
    /// a text of more than 64 bytes is `FieldTooLong`.
    pub fn parse(text: &str) -> Result<Number, Kind> {
        if text.len() > TEXT_MAX {
            return Err(Kind::FieldTooLong);
        }
        let parts = Parts::read(text).ok_or(Kind::ValueNotANumber)?;
        Ok(match parts.decimal() {
            Some(decimal) => Number::Fits(decimal),
            None => Number::Wide(text.to_owned()),
        })
    }

    /// The product, exact while it has at most 18 digits and else rounded half to even to 18 of them
    /// (a double, which is what the sources measured with, has 17).
    /// A factor that is a power of ten only moves the point and is always exact.
    pub fn times(&self, factor: Decimal) -> Result<Number, Kind> {
        let factor = factor.stripped();
        if factor.mantissa == 1 {
            return self.times_power_of_ten(-i32::from(factor.scale));
        }
        let decimal = match self {
            Number::Fits(decimal) => *decimal,
            Number::Wide(text) => Parts::read(text).ok_or(Kind::ValueNotANumber)?.rounded()?,
        };
        decimal.times(factor).map(Number::Fits)
    }

    /// Moves the decimal point: `65750` by -3 is `65.750`.
    pub fn times_power_of_ten(&self, power: i32) -> Result<Number, Kind> {
        match self {
            Number::Fits(decimal) => decimal.times_power_of_ten(power).map(Number::Fits),
            Number::Wide(_) if power == 0 => Ok(self.clone()),
            Number::Wide(text) => {
                let parts = Parts::read(text).ok_or(Kind::ValueNotANumber)?;
                let sign = if parts.negative { "-" } else { "" };
                let exponent = parts.exponent + i64::from(power);
                Number::parse(&format!("{sign}{}e{exponent}", parts.digits))
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Fits(decimal) => decimal.fmt(f),
            Number::Wide(text) => f.write_str(text),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match (self, other) {
            (Number::Fits(a), Number::Fits(b)) => a.cmp(b),
            _ => Parts::of(self).cmp(&Parts::of(other)),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

/// The digits of a JSON number, without leading zeros, and the power of ten of the last one.
struct Parts {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Parts {
    fn of(number: &Number) -> Parts {
        Parts::read(&number.to_string()).unwrap_or(Parts { negative: false, digits: String::new(), exponent: 0 })
    }

    /// None when the text is not a JSON number, or not a finite one.
    fn read(text: &str) -> Option<Parts> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (number, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], power(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, part) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !part.is_none_or(all_digits) {
            return None;
        }
        let part = part.unwrap_or("");
        let exponent = exponent - part.len() as i64;
        let joined = format!("{whole}{part}");
        let digits = joined.trim_start_matches('0').to_owned();
        // A zero of any size is a zero: `0e999` is finite.
        let highest = if digits.is_empty() { 0 } else { exponent + digits.len() as i64 - 1 };
        if highest.abs() > EXPONENT_MAX {
            return None;
        }
        Some(Parts { negative: negative && !digits.is_empty(), digits, exponent })
    }

    fn decimal(&self) -> Option<Decimal> {
        if self.digits.len() > DIGITS as usize {
            return None;
        }
        let value: i64 = if self.digits.is_empty() { 0 } else { self.digits.parse().ok()? };
        let scale = match i8::try_from(-self.exponent) {
            Ok(scale) => scale,
            Err(_) if value == 0 => 0,
            Err(_) => return None,
        };
        Some(Decimal { mantissa: if self.negative { -value } else { value }, scale })
    }

    /// Rounded half to even to 18 digits; 64 bytes of text may hold more digits than an i128.
    fn rounded(&self) -> Result<Decimal, Kind> {
        let kept = self.digits.len().min(37);
        let mut value: i128 = self.digits[..kept].parse().map_err(|_| Kind::ValueNotANumber)?;
        if self.digits[kept..].bytes().any(|b| b != b'0') {
            // What is cut off only matters in that it is not nothing.
            value = value / 10 * 10 + (value % 10).max(1);
        }
        let dropped = (self.digits.len() - kept) as i64;
        let scale = i32::try_from(-self.exponent - dropped).map_err(|_| Kind::ValueNotANumber)?;
        round(if self.negative { -value } else { value }, scale)
    }

    fn cmp(&self, other: &Parts) -> Ordering {
        let rank = |parts: &Parts| match (parts.digits.is_empty(), parts.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = rank(self).cmp(&rank(other));
        if by_sign != Ordering::Equal || self.digits.is_empty() {
            return by_sign;
        }
        let highest = |parts: &Parts| parts.exponent + parts.digits.len() as i64;
        let (a, b) = (self.digits.trim_end_matches('0'), other.digits.trim_end_matches('0'));
        let by_size = highest(self).cmp(&highest(other)).then_with(|| a.cmp(b));
        if self.negative { by_size.reverse() } else { by_size }
    }
}

/// The digits after `e`. An exponent too long to read is out of range, and so not finite.
fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = digits.parse().unwrap_or(i64::from(i32::MAX)).min(i64::from(i32::MAX));
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_come_back_as_written() {
        for text in ["72.10", "0", "0.0", "-3.20", "0.000000000000000001", "999999999999999999", "1e3", "5e-100"] {
            assert_eq!(fits(text).to_string(), text);
        }
        assert_eq!(fits("-0").to_string(), "0");
        assert_eq!(fits("1.50e3").to_string(), "150e1");
        assert_eq!(Number::parse("12345678901234567890.50").unwrap().to_string(), "12345678901234567890.50");
    }

    #[test]
    fn only_finite_json_numbers_are_numbers() {
        for text in ["1e999", "-1e400", "1e99999999999999999999", "\"72\"", "072", ".5", "5.", "+1", "1e", "NaN", "Infinity", "", "-", "1 "]
        {
            assert_eq!(Number::parse(text), Err(Kind::ValueNotANumber), "{text}");
        }
        assert_eq!(Number::parse(&"9".repeat(65)), Err(Kind::FieldTooLong));
        assert!(matches!(Number::parse("1234567890123456789"), Ok(Number::Wide(_))));
        assert!(matches!(Number::parse("1e200"), Ok(Number::Wide(_))));
        assert_eq!(fits("0e999"), fits("0"));
    }

    #[test]
    fn equality_is_numeric() {
        assert_eq!(fits("72"), fits("72.0"));
        assert!(!fits("72").same_digits(fits("72.0")));
        assert!(fits("-2") < fits("-1.5") && fits("-1") < fits("0.1") && fits("9e20") < fits("1e21"));
        let wide = Number::parse("100.0000000000000000001").unwrap();
        assert!(wide > Number::Fits(fits("100")) && wide < Number::Fits(fits("100.1")));
        assert_eq!(Number::parse("1.0000000000000000000000").unwrap(), Number::Fits(fits("1")));
    }

    #[test]
    fn units_convert_in_decimal() {
        let times = |value: &str, factor: &str| Number::parse(value).unwrap().times(fits(factor)).unwrap().to_string();
        assert_eq!(times("65750", "0.001"), "65.750");
        assert_eq!(times("0.97", "100"), "97");
        assert_eq!(times("0.9725", "100"), "97.25");
        assert_eq!(times("1.5", "100"), "150");
        assert_eq!(times("100", "0.45359237"), "45.35923700");
        // 165.34700000000001 lb is 74.999937602...: 18 digits, half to even.
        assert_eq!(times("165.34700000000001", "0.45359237").len(), 19);
        assert_eq!(times("12345678901234567890", "0.001"), "12345678901234567890e-3");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9eE.]{0,24}") {
            if let Ok(number) = Number::parse(&text) {
                let again = Number::parse(&number.to_string()).unwrap();
                prop_assert_eq!(&again, &number);
                prop_assert_eq!(again.to_string(), number.to_string());
            }
        }

        #[test]
        fn order_agrees_with_the_digits(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, s in 0i8..6, t in 0i8..6) {
            let (x, y) = (Decimal { mantissa: a, scale: s }, Decimal { mantissa: b, scale: t });
            let exact = (i128::from(a) * 10i128.pow(t as u32)).cmp(&(i128::from(b) * 10i128.pow(s as u32)));
            prop_assert_eq!(x.cmp(&y), exact);
            prop_assert_eq!(Parts::of(&Number::Fits(x)).cmp(&Parts::of(&Number::Fits(y))), exact);
        }
    }
}
