//! Numbers as their source wrote them: exact, up to 18 significant digits, never a float.
//!
//! FHIR asks that the precision of a decimal is kept (https://hl7.org/fhir/R4/datatypes.html#decimal),
//! so `72.10` is not `72.1` on the way out, although the two are equal.

use std::cmp::Ordering;
use std::fmt;

use super::number::Number;
use crate::error::Kind;

/// The most significant digits a `Decimal` holds.
pub const DIGITS: u32 = 18;
const LIMIT: i128 = 1_000_000_000_000_000_000;

/// `mantissa * 10^-scale`, with |mantissa| < 10^18. Equality and order are numeric: `72 == 72.0`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: i8,
}

impl Decimal {
    /// Reads a JSON number of at most 18 digits; a longer one is `ValueNotANumber`.
    pub fn parse(text: &str) -> Result<Decimal, Kind> {
        match Number::parse(text)? {
            Number::Fits(decimal) => Ok(decimal),
            Number::Wide(_) => Err(Kind::ValueNotANumber),
        }
    }

    /// Are these the same digits, and not only the same value?
    pub fn same_digits(self, other: Decimal) -> bool {
        self.mantissa == other.mantissa && self.scale == other.scale
    }

    /// Moves the decimal point; a result above its own digits is filled with zeros where they fit.
    pub fn times_power_of_ten(self, power: i32) -> Result<Decimal, Kind> {
        let scale = i32::from(self.scale) - power;
        if power > 0 && (-18..0).contains(&scale) {
            let padded = i128::from(self.mantissa) * 10i128.pow(scale.unsigned_abs());
            if padded.abs() < LIMIT {
                return Ok(Decimal { mantissa: padded as i64, scale: 0 });
            }
        }
        let scale = i8::try_from(scale).map_err(|_| Kind::ValueNotANumber)?;
        Ok(Decimal { mantissa: self.mantissa, scale })
    }

    /// The product, see `Number::times`.
    pub fn times(self, factor: Decimal) -> Result<Decimal, Kind> {
        let product = i128::from(self.mantissa) * i128::from(factor.mantissa);
        round(product, i32::from(self.scale) + i32::from(factor.scale))
    }

    /// Without the zeros at the end: `100` is `1e2`.
    pub(super) fn stripped(self) -> Decimal {
        let Decimal { mut mantissa, mut scale } = self;
        while mantissa != 0 && mantissa % 10 == 0 && scale > i8::MIN {
            mantissa /= 10;
            scale -= 1;
        }
        Decimal { mantissa, scale }
    }
}

/// Rounds half to even to 18 digits.
pub(super) fn round(mut value: i128, mut scale: i32) -> Result<Decimal, Kind> {
    let mut sticky = false;
    let mut half = 0;
    while value.abs() >= LIMIT {
        sticky |= half != 0;
        half = (value % 10).abs();
        value /= 10;
        scale -= 1;
    }
    if half > 5 || (half == 5 && (sticky || value % 2 != 0)) {
        value += value.signum();
    }
    if value.abs() >= LIMIT {
        value /= 10;
        scale -= 1;
    }
    let scale = i8::try_from(scale).map_err(|_| Kind::ValueNotANumber)?;
    Ok(Decimal { mantissa: value as i64, scale })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let (a, b) = (i128::from(self.mantissa), i128::from(other.mantissa));
        if self.scale == other.scale || a.signum() != b.signum() || a == 0 {
            return a.cmp(&b);
        }
        // Both have the same sign: first how many digits stand before the point, then the digits.
        let before = |value: i128, scale: i8| value.abs().ilog10() as i32 - i32::from(scale);
        let by_size = before(a, self.scale).cmp(&before(b, other.scale));
        if by_size != Ordering::Equal {
            return if a > 0 { by_size } else { by_size.reverse() };
        }
        let apart = i32::from(self.scale) - i32::from(other.scale); // at most 17 digits apart here
        let shift = 10i128.pow(apart.unsigned_abs());
        if apart > 0 { a.cmp(&(b * shift)) } else { (a * shift).cmp(&b) }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    /// A FHIR decimal with as many digits as were read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Decimal::TEXT_MAX];
        f.write_str(self.write(&mut text))?;
        if (0..=36).contains(&self.scale) { Ok(()) } else { write!(f, "e{}", -i32::from(self.scale)) }
    }
}

impl Decimal {
    const TEXT_MAX: usize = 40;

    /// The digits with their point, from the last to the first. A scale outside 0..=36 needs an exponent after them.
    fn write<'b>(&self, text: &'b mut [u8; Decimal::TEXT_MAX]) -> &'b str {
        let mut rest = self.mantissa.unsigned_abs();
        let point = if (1..=36).contains(&self.scale) { self.scale as usize } else { 0 };
        let (mut at, mut written) = (text.len(), 0);
        while rest > 0 || written <= point {
            if point > 0 && written == point {
                at -= 1;
                text[at] = b'.';
            }
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            written += 1;
        }
        if self.mantissa < 0 {
            at -= 1;
            text[at] = b'-';
        }
        std::str::from_utf8(&text[at..]).unwrap_or_default()
    }

    /// Appends the number as `Display` shows it.
    pub fn push(&self, out: &mut String) {
        if (0..=36).contains(&self.scale) {
            out.push_str(self.write(&mut [0; Decimal::TEXT_MAX]));
        } else {
            out.push_str(&self.to_string());
        }
    }
}
