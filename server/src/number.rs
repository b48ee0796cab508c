//! Numbers as Redis reads and writes them: canonical integers and doubles.

use std::fmt::Write as _;

/// Parses an integer in its canonical form only: no `+`, no leading zero, no spaces, no `-0`.
///
/// What passes prints back to the same bytes, so a string value may be stored as an integer.
#[inline]
pub fn parse_int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match digits {
        [] => return None,
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // 19 digits never overflow u64.
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Parses a float as Valkey's `string2d` does: no spaces around it, no NaN, no hexadecimals, `inf` in
/// its usual spellings, nothing that is too big or too small for a double.
#[inline]
pub fn parse_float(bytes: &[u8]) -> Option<f64> {
    const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;
    match parse_int(bytes) {
        Some(int) if (-EXACT..=EXACT).contains(&int) => Some(int as f64),
        _ => parse_decimal(bytes),
    }
}

fn parse_decimal(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let value = parse_finite(text)?;
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or(unsigned);
    let underflows = value == 0.0 && mantissa.contains(|c: char| matches!(c, '1'..='9'));
    (value.is_finite() && !underflows).then_some(value)
}

/// A number in digits; infinite if it is too big.
fn parse_finite(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok()
}

/// Parses an end of a range of scores as Valkey does: as [`parse_float`], but what is too big is
/// infinite, what is too small is zero, and so is nothing.
pub fn parse_bound(bytes: &[u8]) -> Option<f64> {
    if bytes.is_empty() {
        return Some(0.0);
    }
    parse_float(bytes).or_else(|| parse_finite(std::str::from_utf8(bytes).ok()?))
}

/// As [`parse_float`], and hexadecimal as well, which Redis accepts where it reads a `long double`:
/// `0x1f`, `-0x.8p3`.
pub fn parse_long_double(bytes: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let [b'0', b'x' | b'X', digits @ ..] = unsigned else { return parse_float(bytes) };
    let value = hex_float(std::str::from_utf8(digits).ok()?)?;
    Some(if negative { -value } else { value })
}

/// Digits, a point among them, and a binary exponent.
fn hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let fraction_bits = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let value = value * 2f64.powi(exponent.checked_sub(fraction_bits)?);
    value.is_finite().then_some(value)
}

/// Room for the text of a double.
#[derive(Clone, Copy, Debug)]
pub struct DoubleText {
    bytes: [u8; DoubleText::LONGEST],
    len: usize,
}

impl DoubleText {
    /// `-2.2250738585072014e-308` is the longest.
    const LONGEST: usize = 32;
    /// Whole numbers up to here are printed in digits.
    const LIMIT: f64 = (i64::MAX / 2) as f64;

    /// A double as Valkey prints it: whole numbers in digits, others as [`Self::shortest`].
    pub fn new(value: f64) -> Self {
        let whole = value as i64;
        if value == 0.0 || value.abs() > Self::LIMIT || whole as f64 != value {
            return Self::shortest(value);
        }
        let mut text = Self { bytes: [0; Self::LONGEST], len: 0 };
        text.put(itoa::Buffer::new().format(whole).as_bytes());
        text
    }

    /// A double in the fewest digits that read back to the same value, with an exponent where that is
    /// far off, `5e+9` for one: what Valkey's fpconv makes of it.
    pub fn shortest(value: f64) -> Self {
        let mut text = Self { bytes: [0; Self::LONGEST], len: 0 };
        if value.is_nan() {
            text.put(b"nan");
        } else if value.is_infinite() {
            text.put(if value > 0.0 { &b"inf"[..] } else { b"-inf" });
        } else if value == 0.0 {
            text.put(if value.is_sign_negative() { &b"-0"[..] } else { b"0" });
        } else {
            text.put_fraction(value);
        }
        text
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn put_fraction(&mut self, value: f64) {
        let mut scientific = Self { bytes: [0; Self::LONGEST], len: 0 };
        write!(scientific, "{value:e}").expect("shorter than the room");
        let (mantissa, exponent) = scientific.parts();
        let unsigned = mantissa.strip_prefix(b"-").unwrap_or(mantissa);
        self.put(&mantissa[..mantissa.len() - unsigned.len()]);
        let mut digits = [0; Self::LONGEST];
        let mut len = 0;
        for digit in unsigned.iter().filter(|byte| byte.is_ascii_digit()) {
            digits[len] = *digit;
            len += 1;
        }
        self.put_digits(&digits[..len], exponent);
    }

    /// The parts of `1.25e-7`.
    fn parts(&self) -> (&[u8], i32) {
        let text = self.as_bytes();
        let e = text.iter().position(|&byte| byte == b'e').expect("`{:e}` has an exponent");
        let exponent = parse_int(&text[e + 1..]).expect("`{:e}` prints an integer exponent");
        (&text[..e], exponent as i32)
    }

    /// `exponent` is that of the first digit. The limits are those of the fpconv library.
    fn put_digits(&mut self, digits: &[u8], exponent: i32) {
        let count = digits.len() as i32;
        let last = exponent - count + 1;
        let far = exponent.unsigned_abs() as i32;
        if last >= 0 && far < count + 7 {
            self.put(digits);
            (0..last).for_each(|_| self.put(b"0"));
        } else if last < 0 && (last > -7 || far < 4) {
            let whole = usize::try_from(exponent + 1).unwrap_or(0);
            self.put(if whole == 0 { b"0" } else { &digits[..whole] });
            self.put(b".");
            (exponent + 1..0).for_each(|_| self.put(b"0"));
            self.put(&digits[whole..]);
        } else {
            self.put(&digits[..1]);
            if count > 1 {
                self.put(b".");
                self.put(&digits[1..]);
            }
            self.put(if exponent < 0 { b"e-" } else { b"e+" });
            self.put(itoa::Buffer::new().format(far).as_bytes());
        }
    }
}

impl std::fmt::Write for DoubleText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if text.len() > Self::LONGEST - self.len {
            return Err(std::fmt::Error);
        }
        self.put(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_canonical_form_only() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(parse_int(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn floats_are_read_without_spaces_and_nan() {
        for (text, expected) in [
            ("1.5", Some(1.5)),
            ("-.5", Some(-0.5)),
            ("+2", Some(2.0)),
            ("1e3", Some(1000.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("nan", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("abc", None),
            ("1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
            ("-0", Some(-0.0)),
            ("0x10", None),
            ("9007199254740993", Some(9007199254740992.0)),
        ] {
            assert_eq!(parse_float(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn ends_of_ranges_may_be_out_of_range() {
        for (text, expected) in [
            ("", Some(0.0)),
            ("1.5", Some(1.5)),
            ("-1e400", Some(f64::NEG_INFINITY)),
            ("1e-400", Some(0.0)),
            ("+inf", Some(f64::INFINITY)),
            ("nan", None),
            (" 1", None),
            ("0x10", None),
        ] {
            assert_eq!(parse_bound(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn long_doubles_may_be_hexadecimal() {
        for (text, expected) in [
            ("0x1f", Some(31.0)),
            ("-0X.8p3", Some(-4.0)),
            ("+0x1.8", Some(1.5)),
            ("0x7FFFFFFFFFFFFF", Some(36_028_797_018_963_967.0)),
            ("1.5", Some(1.5)),
            ("0x", None),
            ("0x.", None),
            ("0x1g", None),
            ("0x1p", None),
            ("0x1p99999", None),
            ("x1", None),
        ] {
            assert_eq!(parse_long_double(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn doubles_print_as_valkey_prints_them() {
        // Each was asked of valkey-server 9.1.2.
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1e17, "100000000000000000"),
            (4e18, "4000000000000000000"),
            (5e18, "5e+18"),
            (1e20, "1e+20"),
            (123456789012345680000.0, "123456789012345680000"),
            (1.5e300, "1.5e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-2.2250738585072014e-308, "-2.2250738585072014e-308"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.23e-5, "1.23e-5"),
            (1.5e-7, "1.5e-7"),
            (1e-10, "1e-10"),
            (123456.789e-10, "1.23456789e-5"),
            (9007199254740993.0, "9007199254740992"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(DoubleText::new(value).as_bytes(), expected.as_bytes());
        }
        for (value, expected) in [
            (7.0, "7"),
            (-100.0, "-100"),
            (12_000_000.0, "12000000"),
            (50_000_000.0, "50000000"),
            (5e8, "5e+8"),
            (5e9, "5e+9"),
            (1_234_567_890.0, "1234567890"),
            (-0.25, "-0.25"),
            (-0.0, "-0"),
        ] {
            assert_eq!(DoubleText::shortest(value).as_bytes(), expected.as_bytes());
        }
    }
}
