//! Numbers as redis.conf writes them: plain, with a unit of memory, in percent, in octal.

/// An amount of memory: digits and an optional unit, `1k` = 1000, `1kb` = 1024, any case. No
/// digits at all mean zero (`--maxmemory "$UNSET"`). Beyond what a `u64` holds it is refused
/// (Redis wraps around).
pub(crate) fn memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = match number {
        b"" => 0,
        digits => std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?,
    };
    number.checked_mul(factor)
}

/// A decimal integer in the one way to write it: no blanks, no plus, no leading zeros.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A decimal integer that may also have a plus or leading zeros: what the directives with a
/// grammar of their own take.
pub(crate) fn loose_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `12%` gives 12.
pub(crate) fn percent(text: &[u8]) -> Option<i64> {
    integer(text.strip_suffix(b"%")?).filter(|percent| *percent >= 0)
}

pub(crate) fn octal(text: &[u8]) -> Option<i64> {
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()
}

/// The shortest exact spelling of an amount of memory, as `CONFIG REWRITE` writes it.
pub(crate) fn format_memory(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units() {
        let check = |text: &str, expected| assert_eq!(memory(text.as_bytes()), expected, "{text}");
        check("0", Some(0));
        check("100", Some(100));
        check("1b", Some(1));
        check("1k", Some(1000));
        check("1Kb", Some(1024));
        check("2m", Some(2_000_000));
        check("2MB", Some(2 << 20));
        check("3g", Some(3_000_000_000));
        check("3gB", Some(3 << 30));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("99999999999gb", None);
        check("", Some(0));
        check("mb", Some(0));
        check("-1", None);
        check("1.5gb", None);
        check("1 gb", None);
        check("1tb", None);
    }

    #[test]
    fn integers_have_one_spelling() {
        let check = |text: &str, expected| assert_eq!(integer(text.as_bytes()), expected, "{text}");
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("01", None);
        check("-0", None);
        check("+1", None);
        check(" 1", None);
        check("1 ", None);
        check("", None);
        check("-", None);
        check("0x1", None);
    }

    #[test]
    fn percents_and_octals() {
        assert_eq!(percent(b"12%"), Some(12));
        assert_eq!(percent(b"-1%"), None);
        assert_eq!(percent(b"%"), None);
        assert_eq!(octal(b"777"), Some(0o777));
        assert_eq!(octal(b"8"), None);
    }

    #[test]
    fn memory_is_written_in_its_largest_exact_unit() {
        for (bytes, text) in [(0, "0"), (1000, "1000"), (1024, "1kb"), (5 << 20, "5mb")] {
            assert_eq!(format_memory(bytes), text);
            assert_eq!(memory(text.as_bytes()), Some(bytes));
        }
    }
}
