//! Words of the command line as C reads them: as much of a number as there is, and quotes.

/// `strtoll`: 0 where there is none, the nearest where it does not fit.
pub(crate) fn leading_int(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value: i64 = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let digit = if negative { -digit } else { digit };
        value = value.saturating_mul(10).saturating_add(digit);
    }
    value
}

/// `atoi`, of which only the low bits are kept elsewhere: here the nearest.
pub(crate) fn leading_i32(text: &[u8]) -> i32 {
    leading_int(text).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// `atof`: seconds with decimals; 0 where there are none.
pub(crate) fn leading_float(text: &[u8]) -> f64 {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let text = std::str::from_utf8(&text[..end]).unwrap_or_default();
    (0..=text.len()).rev().find_map(|end| text[..end].parse().ok()).unwrap_or(0.0)
}

/// Quoted as in a prompt, and one word.
pub(crate) fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = crate::inline::split(text)?;
    if words.len() == 1 { words.pop() } else { None }
}
