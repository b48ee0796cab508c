//! The classes of keyspace events: the letters of `notify-keyspace-events` and their bits.

pub const KEYSPACE: u32 = 1 << 0;
pub const KEYEVENT: u32 = 1 << 1;
pub const GENERIC: u32 = 1 << 2;
pub const STRING: u32 = 1 << 3;
pub const LIST: u32 = 1 << 4;
pub const SET: u32 = 1 << 5;
pub const HASH: u32 = 1 << 6;
pub const ZSET: u32 = 1 << 7;
pub const EXPIRED: u32 = 1 << 8;
pub const EVICTED: u32 = 1 << 9;
pub const STREAM: u32 = 1 << 10;
pub const KEY_MISS: u32 = 1 << 11;
pub const MODULE: u32 = 1 << 13;
pub const NEW: u32 = 1 << 14;

/// The letter `A`: every class that tells of a change to a key that was there.
pub const ALL: u32 =
    GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;

/// Letters in the order Redis prints them; `true` marks what `A` stands for or swallows.
const LETTERS: [(char, u32, bool); 14] = [
    ('g', GENERIC, true),
    ('$', STRING, true),
    ('l', LIST, true),
    ('s', SET, true),
    ('h', HASH, true),
    ('z', ZSET, true),
    ('x', EXPIRED, true),
    ('e', EVICTED, true),
    ('t', STREAM, true),
    ('d', MODULE, true),
    ('n', NEW, true),
    ('K', KEYSPACE, false),
    ('E', KEYEVENT, false),
    ('m', KEY_MISS, false),
];

pub(super) fn parse(letters: &[u8]) -> Option<u32> {
    letters.iter().try_fold(0, |flags, letter| {
        if *letter == b'A' {
            return Some(flags | ALL);
        }
        let (_, flag, _) = LETTERS.iter().find(|(name, ..)| *name == char::from(*letter))?;
        Some(flags | flag)
    })
}

/// As Redis prints it: with `A`, the letter `n` is not shown.
pub(super) fn to_text(flags: u32) -> String {
    let all = flags & ALL == ALL;
    let shown = |(_, flag, in_all): &&(char, u32, bool)| flags & flag != 0 && !(all && *in_all);
    let letters = LETTERS.iter().filter(shown).map(|(letter, ..)| *letter);
    all.then_some('A').into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_redis_order() {
        let check = |given: &str, shown: &str| {
            assert_eq!(parse(given.as_bytes()).map(to_text).as_deref(), Some(shown), "{given}");
        };
        check("", "");
        check("KEA", "AKE");
        check("Kxe", "xeK");
        check("g$lshzxetdKEm", "AKEm");
        check("mKE$", "$KEm");
        check("nA", "A");
        check("nK", "nK");
        assert_eq!(parse(b"KEq"), None);
    }
}
