use super::*;

fn texts(logs: &Logs) -> Vec<String> {
    logs.lines.borrow().iter().map(|line| line.text.clone()).collect()
}

#[test]
fn lines_are_put_together_from_pieces() {
    let logs = Logs::new();
    logs.take(1, "server", 0, b"one\ntw");
    logs.take(0, "agent", 0, b"other\n");
    logs.take(1, "server", 6, b"o\n");
    assert_eq!(texts(&logs), ["one", "other", "two"]);
}

#[test]
fn what_is_missing_is_said_and_what_is_known_is_not_repeated() {
    let logs = Logs::new();
    logs.take(1, "server", 0, b"one\ntw");
    logs.take(1, "server", 0, b"one\ntwo\n");
    logs.take(1, "server", 20, b"four\n");
    assert_eq!(texts(&logs), ["one", "two", "(12 bytes were dropped here)", "four"]);
}

#[test]
fn memory_is_bounded_and_the_oldest_lines_go() {
    let logs = Logs::new();
    let mut at = 0;
    for number in 0..20_000_u32 {
        let line = format!("{number:050}\n");
        logs.take(1, "server", at, line.as_bytes());
        at += line.len() as u64;
    }
    for _ in 0..100 {
        logs.take(1, "server", at, &[b'x'; 1000]);
        at += 1000;
    }
    let held: usize = texts(&logs).iter().map(String::len).sum();
    assert!(held <= MAX_BYTES && held > MAX_BYTES / 2, "{held}");
    let longest = texts(&logs).iter().map(String::len).max();
    assert_eq!(longest, Some(MAX_LINE_BYTES.next_multiple_of(1000)), "an endless line is cut");
}

#[test]
fn a_line_cannot_steer_a_terminal() {
    assert_eq!(printable(b"a\x1b[2Jb\tc\xff"), "a\\u{1b}[2Jb\tc\u{fffd}");
}
