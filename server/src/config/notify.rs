//! The classes of keyspace events: the letters of `notify-keyspace-events` and their bits.

use bitflags::bitflags;

bitflags! {
    /// What keyspace events are about, and how they are told.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Class: u32 {
        /// To `__keyspace@<db>__:<key>`.
        const KEYSPACE = 1 << 0;
        /// To `__keyevent@<db>__:<event>`.
        const KEYEVENT = 1 << 1;
        const GENERIC = 1 << 2;
        const STRING = 1 << 3;
        const LIST = 1 << 4;
        const SET = 1 << 5;
        const HASH = 1 << 6;
        const ZSET = 1 << 7;
        const EXPIRED = 1 << 8;
        const EVICTED = 1 << 9;
        const STREAM = 1 << 10;
        const KEY_MISS = 1 << 11;
        const MODULE = 1 << 13;
        const NEW = 1 << 14;
        /// The letter `A`: every class that tells of a change to a key that was there.
        const ALL = Self::GENERIC.bits()
            | Self::STRING.bits()
            | Self::LIST.bits()
            | Self::SET.bits()
            | Self::HASH.bits()
            | Self::ZSET.bits()
            | Self::EXPIRED.bits()
            | Self::EVICTED.bits()
            | Self::STREAM.bits()
            | Self::MODULE.bits();
    }
}

/// Letters in the order Redis prints them; `true` marks what `A` stands for or swallows.
const LETTERS: [(char, Class, bool); 14] = [
    ('g', Class::GENERIC, true),
    ('$', Class::STRING, true),
    ('l', Class::LIST, true),
    ('s', Class::SET, true),
    ('h', Class::HASH, true),
    ('z', Class::ZSET, true),
    ('x', Class::EXPIRED, true),
    ('e', Class::EVICTED, true),
    ('t', Class::STREAM, true),
    ('d', Class::MODULE, true),
    ('n', Class::NEW, true),
    ('K', Class::KEYSPACE, false),
    ('E', Class::KEYEVENT, false),
    ('m', Class::KEY_MISS, false),
];

pub(super) fn parse(letters: &[u8]) -> Option<Class> {
    letters.iter().try_fold(Class::empty(), |classes, letter| {
        if *letter == b'A' {
            return Some(classes | Class::ALL);
        }
        let (_, class, _) = LETTERS.iter().find(|(name, ..)| *name == char::from(*letter))?;
        Some(classes | *class)
    })
}

/// As Redis prints it: with `A`, the letter `n` is not shown.
pub(super) fn to_text(classes: Class) -> String {
    let all = classes.contains(Class::ALL);
    let shown =
        |(_, class, in_all): &&(char, Class, bool)| classes.contains(*class) && !(all && *in_all);
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
