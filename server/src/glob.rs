//! Glob patterns as `KEYS`, `SCAN MATCH` and `CONFIG GET` match them (Redis' `stringmatchlen`).
//!
//! `*` any run, `?` one byte, `[a-c]` and `[^a]` classes, `\x` the byte itself. No path rules.

/// Runs of `*` in a pattern that are looked at; one with more matches nothing, as in Redis.
const MAX_STARS: usize = 1000;

/// Backtracking happens only to the last `*`, so time is bounded by pattern × text.
pub fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to resume after a failed try: the pattern behind the last `*`, and the text it took.
    let mut star: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                if p == pattern.len() {
                    return true;
                }
                if pattern[p] != b'*' {
                    stars += 1;
                    if stars > MAX_STARS {
                        return false;
                    }
                }
                star = Some((p, t));
                continue;
            }
            Some(_) => text.get(t).and_then(|&byte| one(&pattern[p..], byte, ignore_case)),
            None if t == text.len() => return true,
            None => None,
        };
        match (step, star) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((behind, taken))) if taken < text.len() => {
                star = Some((behind, taken + 1));
                p = behind;
                t = taken + 1;
            }
            _ => return false,
        }
    }
}

/// Matches one byte against the head of the pattern; the length of that head if it does.
fn one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<usize> {
    let same = |a: u8, b: u8| if ignore_case { a.eq_ignore_ascii_case(&b) } else { a == b };
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (hit, used) = class_matches(class, byte, ignore_case);
            hit.then_some(1 + used)
        }
        [b'\\', escaped, ..] => same(*escaped, byte).then_some(2),
        [literal, ..] => same(*literal, byte).then_some(1),
        [] => None,
    }
}

/// `class` starts behind `[`. Returns whether the byte is in it and how long it is with its `]`;
/// an unclosed class reaches to the end of the pattern, as in Redis.
fn class_matches(class: &[u8], byte: u8, ignore_case: bool) -> (bool, usize) {
    let fold = |b: u8| if ignore_case { b.to_ascii_lowercase() } else { b };
    let byte = fold(byte);
    let (negated, mut at) = match class.first() {
        Some(b'^') => (true, 1),
        _ => (false, 0),
    };
    let mut hit = false;
    loop {
        match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                hit |= fold(*escaped) == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (low, high) = (fold(*from).min(fold(*to)), fold(*from).max(fold(*to)));
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                hit |= fold(*literal) == byte;
                at += 1;
            }
        }
    }
    (hit != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a**c", "ac", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a", "ha", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("", "", true),
            ("", "a", false),
            ("foo\\", "foo\\", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                expected,
                "{pattern} on {text}"
            );
        }
        assert!(matches(b"FOO[A-Z]", b"foob", true));
    }

    #[test]
    fn a_pattern_of_too_many_stars_matches_nothing() {
        let text = vec![b'a'; MAX_STARS + 1];
        assert!(matches(&b"*?".repeat(MAX_STARS), &text, false));
        assert!(!matches(&b"*?".repeat(MAX_STARS + 1), &text, false));
        assert!(matches(&b"*".repeat(MAX_STARS + 1), &text, false));
    }

    #[test]
    fn nested_stars_take_bounded_time() {
        let pattern = b"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
        assert!(!matches(pattern, &[b'a'; 4096], false));
    }
}
