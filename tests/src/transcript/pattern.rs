//! Comparing a printed reply with expected lines, and the variables that travel between steps.
//!
//! In an expected line `<any>` stands for any text, `<int>` for an integer, `<5..10>` for an integer
//! in that range, `<name=int>` and `<name=any>` also remember what they matched. In commands and
//! expected lines `%{name}` is what was remembered, `%{now+5}` and `%{now_ms-5}` are Unix time, and
//! `%{x*1000}` is the text x, a thousand times. An expected line `...` stands for all that follows.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `<name=…>` remembered.
pub type Variables = HashMap<String, String>;

/// The line that stands for whatever follows.
const REST: &str = "...";

/// Replaces every `%{…}` in `text`.
pub fn expand(text: &str, variables: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%{") {
        let (name, tail) = after.split_once('}').ok_or("an unclosed %{")?;
        out.push_str(before);
        out.push_str(&value_of(name, variables)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(name: &str, variables: &Variables) -> Result<String, String> {
    if let Some((text, times)) = name.rsplit_once('*') {
        let times: usize = times.parse().map_err(|_| format!("%{{{name}}}: not a count"))?;
        return Ok(text.repeat(times));
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    for (clock, now) in [("now_ms", since_epoch.as_millis()), ("now", since_epoch.as_secs().into())]
    {
        let Some(offset) = name.strip_prefix(clock) else { continue };
        if offset.is_empty() {
            return Ok(now.to_string());
        }
        if let Ok(offset) = offset.parse::<i128>() {
            return Ok((now as i128 + offset).to_string());
        }
    }
    variables.get(name).cloned().ok_or_else(|| format!("%{{{name}}} was never remembered"))
}

/// Whether `actual` is what `expected` (already expanded) describes; remembers on success.
pub fn lines_match(expected: &[String], actual: &[String], variables: &mut Variables) -> bool {
    let (fixed, open_ended) = match expected.split_last() {
        Some((last, before)) if last == REST => (before, true),
        _ => (expected, false),
    };
    let counts_fit =
        if open_ended { actual.len() >= fixed.len() } else { actual.len() == fixed.len() };
    if !counts_fit {
        return false;
    }
    let mut found = Variables::new();
    let all = fixed.iter().zip(actual).all(|(pattern, line)| matches(pattern, line, &mut found));
    if all {
        variables.extend(found);
    }
    all
}

fn matches(pattern: &str, line: &str, found: &mut Variables) -> bool {
    let Some((literal, kind, rest)) = next_wildcard(pattern) else { return pattern == line };
    let Some(line) = line.strip_prefix(literal) else { return false };
    let (name, kind) = kind.split_once('=').map_or((None, kind), |(n, k)| (Some(n), k));
    // Longest first: `<any>` before the end of a line takes the line.
    let ends = (0..=line.len()).rev().filter(|end| line.is_char_boundary(*end));
    for end in ends {
        let (taken, after) = line.split_at(end);
        if fits(kind, taken) && matches(rest, after, found) {
            if let Some(name) = name {
                found.insert(name.to_owned(), taken.to_owned());
            }
            return true;
        }
    }
    false
}

/// The text before the first wildcard, the wildcard's inside, and what follows it.
fn next_wildcard(pattern: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = pattern[from..].find('<').map(|at| at + from) {
        let close = pattern[open..].find('>').map(|at| at + open)?;
        let inside = &pattern[open + 1..close];
        if is_wildcard(inside) {
            return Some((&pattern[..open], inside, &pattern[close + 1..]));
        }
        from = open + 1;
    }
    None
}

fn is_wildcard(inside: &str) -> bool {
    let kind = inside.split_once('=').map_or(inside, |(_, kind)| kind);
    kind == "any" || kind == "int" || range(kind).is_some()
}

fn fits(kind: &str, taken: &str) -> bool {
    match kind {
        "any" => true,
        "int" => taken.parse::<i128>().is_ok(),
        _ => range(kind)
            .zip(taken.parse().ok())
            .is_some_and(|((low, high), n)| (low..=high).contains(&n)),
    }
}

fn range(kind: &str) -> Option<(i128, i128)> {
    let (low, high) = kind.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &[&str], actual: &[&str]) -> bool {
        let own = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        lines_match(&own(expected), &own(actual), &mut Variables::new())
    }

    #[test]
    fn wildcards_take_what_they_say_and_no_more() {
        assert!(check(&["(integer) <5..10>"], &["(integer) 7"]));
        assert!(!check(&["(integer) <5..10>"], &["(integer) 11"]));
        assert!(!check(&["(integer) <int>"], &["(integer) x"]));
        assert!(check(&["id=<int> name=<any> x"], &["id=3 name= x"]));
        assert!(check(&["a < b <any>"], &["a < b c"]));
        assert!(!check(&["\"a\""], &["\"b\""]));
    }

    #[test]
    fn line_counts_must_agree_unless_left_open() {
        assert!(!check(&["a"], &["a", "b"]));
        assert!(!check(&["a", "b"], &["a"]));
        assert!(check(&["a", "..."], &["a", "b", "c"]));
        assert!(check(&["..."], &[]));
    }

    #[test]
    fn remembered_text_comes_back() {
        let mut variables = Variables::new();
        let line = |text: &str| vec![text.to_owned()];
        assert!(lines_match(&line("(integer) <id=int>"), &line("(integer) 42"), &mut variables));
        assert_eq!(
            expand("CLIENT KILL ID %{id} %{ab*2}", &variables).unwrap(),
            "CLIENT KILL ID 42 abab"
        );
        assert!(expand("%{nobody}", &variables).is_err());
    }
}
