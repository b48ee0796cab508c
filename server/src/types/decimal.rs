//! Decimal numbers for INCRBYFLOAT and its like: read, added and printed exactly.
//!
//! Redis adds C `long double`s and prints them with 17 places, so its answer depends on the
//! processor (80 bits on x86, 128 on ARM) and shows rounding noise where a number needs more digits
//! than those. Here a sum is exact and then rounded half to even to 17 places: the same answer
//! wherever the `long double` is precise enough, the expected one where it is not. The range is that
//! of the 80-bit format. Not read: hexadecimal floats.

use std::fmt;

/// Places after the point that are kept.
const PLACES: usize = 17;
/// Longest text that Redis reads as a `long double`, in bytes.
const MAX_TEXT_LEN: usize = 5 * 1024 - 1;
/// The power of ten of the biggest and of the smallest 80-bit number.
const MAX_EXPONENT: i64 = 4932;
const MIN_EXPONENT: i64 = -4951;
/// The leading digits of the biggest 80-bit number.
const MAX_DIGITS: &[u8] = &[1, 1, 8, 9, 7, 3, 1, 4, 9, 5, 3, 5, 7, 2, 3, 1, 7, 6, 5, 0];

/// A number as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decimal {
    Finite(Finite),
    Infinite,
}

/// `digits` (0 to 9, neither first nor last one 0; none for zero) times ten to the power of
/// `exponent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finite {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    pub const ZERO: Decimal =
        Decimal::Finite(Finite { negative: false, digits: Vec::new(), exponent: 0 });

    /// Reads what C's `strtold` reads, without spaces, NaN, hexadecimals and what is out of range.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::Infinite);
        }
        let (mantissa, power) = match split(text, |byte| matches!(byte, b'e' | b'E')) {
            Some((mantissa, power)) => (mantissa, parse_power(power)?),
            None => (text, 0),
        };
        let (whole, fraction) = split(mantissa, |byte| byte == b'.').unwrap_or((mantissa, &[]));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let digit = |&byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
        let digits = whole.iter().chain(fraction).map(digit).collect::<Option<Vec<u8>>>()?;
        let exponent = power - fraction.len() as i64;
        let number = Finite { negative, digits, exponent }.trimmed();
        (!number.overflows() && !number.underflows()).then_some(Self::Finite(number))
    }

    /// The sum; `None` if it is infinite or not a number.
    pub fn plus(&self, other: &Self) -> Option<Finite> {
        let (Self::Finite(a), Self::Finite(b)) = (self, other) else { return None };
        Some(a.plus(b)).filter(|sum| !sum.overflows())
    }
}

impl Finite {
    fn plus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.digits_at(exponent), other.digits_at(exponent));
        let width = a.len().max(b.len()) + 1;
        let (a, b) = (widened(a, width), widened(b, width));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, sum(&a, &b))
        } else if a < b {
            (other.negative, difference(&b, &a))
        } else {
            (self.negative, difference(&a, &b))
        };
        Self { negative, digits, exponent }.trimmed()
    }

    /// All digits down to the power `exponent`, which is not above the number's own.
    fn digits_at(&self, exponent: i64) -> Vec<u8> {
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            digits.resize(digits.len() + (self.exponent - exponent) as usize, 0);
        }
        digits
    }

    /// Without zeros in front and at the end.
    fn trimmed(mut self) -> Self {
        let zeros = self.digits.iter().rev().take_while(|&&digit| digit == 0).count();
        self.digits.truncate(self.digits.len() - zeros);
        self.exponent += zeros as i64;
        let zeros = self.digits.iter().take_while(|&&digit| digit == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() { Self::default() } else { self }
    }

    /// Rounded half to even to [`PLACES`].
    fn rounded(&self) -> Self {
        let excess = usize::try_from(-(PLACES as i64) - self.exponent).unwrap_or(0);
        let Some(kept) = self.digits.len().checked_sub(excess) else { return Self::default() };
        let (digits, rest) = self.digits.split_at(kept);
        let odd = digits.last().is_some_and(|digit| digit % 2 == 1);
        let up = match rest {
            [5] => odd,
            [first, ..] => *first >= 5,
            [] => false,
        };
        let digits = widened(digits.to_vec(), kept + 1);
        let one = widened(vec![u8::from(up)], kept + 1);
        let exponent = self.exponent + excess as i64;
        Self { negative: self.negative, digits: sum(&digits, &one), exponent }.trimmed()
    }

    /// The power of ten of the first digit.
    fn top(&self) -> i64 {
        self.exponent + self.digits.len() as i64 - 1
    }

    fn overflows(&self) -> bool {
        let top = self.top();
        top > MAX_EXPONENT || (top == MAX_EXPONENT && *self.digits > *MAX_DIGITS)
    }

    fn underflows(&self) -> bool {
        !self.digits.is_empty() && self.top() < MIN_EXPONENT
    }
}

/// As many places as needed, 17 at most; no exponent and no negative zero.
impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { negative, digits, exponent } = self.rounded();
        let places = usize::try_from(-exponent).unwrap_or(0);
        let trailing_zeros = usize::try_from(exponent).unwrap_or(0);
        // At least one digit before the point.
        let width = (digits.len() + trailing_zeros).max(places + 1);
        let mut text: Vec<u8> = digits.iter().map(|digit| digit + b'0').collect();
        text.resize(text.len() + trailing_zeros, b'0');
        text.splice(..0, std::iter::repeat_n(b'0', width - text.len()));
        if places > 0 {
            text.insert(width - places, b'.');
        }
        let text = std::str::from_utf8(&text).expect("digits and a point");
        write!(f, "{}{text}", if negative { "-" } else { "" })
    }
}

fn split(text: &[u8], at: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| at(byte))?;
    Some((&text[..at], &text[at + 1..]))
}

/// The number behind the `e`. Far beyond the range it need not be exact.
fn parse_power(text: &[u8]) -> Option<i64> {
    const FAR: i64 = 1_000_000;
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut power = 0;
    for byte in digits {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        power = FAR.min(power * 10 + digit);
    }
    Some(sign * power)
}

/// The same number in `width` digits.
fn widened(mut digits: Vec<u8>, width: usize) -> Vec<u8> {
    digits.splice(..0, std::iter::repeat_n(0, width - digits.len()));
    digits
}

/// Adds two numbers of the same width whose sum fits into it.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = a.to_vec();
    let mut carry = 0;
    for (digit, added) in digits.iter_mut().zip(b).rev() {
        let total = *digit + added + carry;
        (carry, *digit) = (total / 10, total % 10);
    }
    digits
}

/// Subtracts from a number another one of the same width that is not greater.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = a.to_vec();
    let mut borrow = 0;
    for (digit, taken) in digits.iter_mut().zip(b).rev() {
        let total = *digit + 10 - taken - borrow;
        (borrow, *digit) = (u8::from(total < 10), total % 10);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, expected: &str) {
        let (a, b) = (Decimal::parse(a.as_bytes()), Decimal::parse(b.as_bytes()));
        let (a, b) = (a.expect("a number"), b.expect("a number"));
        for sum in [a.plus(&b), b.plus(&a)] {
            assert_eq!(sum.map_or("out of range".to_owned(), |sum| sum.to_string()), expected);
        }
    }

    #[test]
    fn sums_are_those_of_redis() {
        // Each was asked of redis-server 7.0.15.
        for (a, b, expected) in [
            ("0", "1.23", "1.23"),
            ("3.0", "1.1", "4.1"),
            ("1", "-1.1", "-0.1"),
            ("1.5", "1.5", "3"),
            ("17179869184", "1.5", "17179869185.5"),
            ("17179869184", "17179869184", "34359738368"),
            ("5.0e3", "200", "5200"),
            ("10.50", "0.1", "10.6"),
            ("0.1", "0.2", "0.3"),
            (".5", "5.", "5.5"),
            ("+1", "1e-3", "1.001"),
            ("99.99", "0.01", "100"),
            ("-9223372036854775808", "-9223372036854775808", "-18446744073709551616"),
            ("0.00000000000000001", "0", "0.00000000000000001"),
            ("1e-18", "0", "0"),
            ("-1e-18", "0", "0"),
            ("6e-18", "0", "0.00000000000000001"),
            ("1", "-1", "0"),
            ("-0", "0", "0"),
            ("0e999999999999999999999", "2", "2"),
            ("1e-400", "1", "1"),
            ("inf", "1", "out of range"),
            ("-Infinity", "inf", "out of range"),
            ("1.1e4932", "1.1e4932", "out of range"),
        ] {
            check(a, b, expected);
        }
    }

    #[test]
    fn sums_are_exact_where_a_long_double_is_not() {
        check("1000.1", "0.1", "1000.2");
        check("1e20", "1", "100000000000000000001");
        check("123456789012345.67", "0.01", "123456789012345.68");
        check("18446744073709551616", "1", "18446744073709551617");
    }

    #[test]
    fn a_half_is_rounded_to_the_even_neighbour() {
        check("0.000000000000000005", "0", "0");
        check("0.000000000000000015", "0", "0.00000000000000002");
        check("0.000000000000000025", "0", "0.00000000000000002");
        check("0.0000000000000000251", "0", "0.00000000000000003");
        check("0.999999999999999999", "0", "1");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "1".repeat(MAX_TEXT_LEN + 1);
        for text in [
            "", "+", "-", ".", "e5", ".e5", "1e", "1e+", "1.2.3", "1 ", " 1", "1\0", "nan", "abc",
            "--1", "1e5.0", "1e5000", "-1e4933", "1.2e4932", "1e-5000", "0x10", &long,
        ] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn agrees_with_integers() {
        for a in [0i128, 1, -1, 9, -10, 99, 12345, i128::from(i64::MIN)] {
            for b in [0i128, 1, -1, 90, -99, 100, 99_999, i128::from(i64::MAX)] {
                check(&a.to_string(), &b.to_string(), &(a + b).to_string());
            }
        }
    }
}
