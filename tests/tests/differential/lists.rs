//! Lists, with elements around every limit, so that nodes are made, split and merged.

use super::Corpus;

/// Listpacks of up to 8 KiB, the default.
pub(super) const LISTS: Corpus =
    Corpus { args: &["--enable-debug-command", "yes"], templates: TEMPLATES, pools: POOLS };

pub(super) const LISTS_OF_THREE: Corpus =
    Corpus { args: &["--enable-debug-command", "yes", "--list-max-listpack-size", "3"], ..LISTS };

pub(super) const COMPRESSED_LISTS: Corpus = Corpus {
    args: &[
        "--enable-debug-command",
        "yes",
        "--list-max-listpack-size",
        "3",
        "--list-compress-depth",
        "1",
    ],
    ..LISTS
};

const TEMPLATES: &[&str] = &[
    "RPUSH <key> <element> [ <element> <element> ]",
    "LPUSH <key> <element> [ <element> <element> ]",
    "RPUSH <key> <big> <element> <big> <element> <big>",
    "LPUSH <key> <element> <element> <big> <element> <element> <element> <big>",
    "RPUSHX <key> <element>",
    "LPUSHX <key> <element> <element>",
    "LPOP <key> [ <count> ]",
    "RPOP <key> [ <count> ]",
    "LMPOP <bit> <key> <end> [ COUNT <count> ]",
    "LMPOP 2 <key> <key> <end> [ COUNT <count> ]",
    "LMOVE <key> <key> <end> <end>",
    "RPOPLPUSH <key> <key>",
    "LLEN <key>",
    "LINDEX <key> <index>",
    "LRANGE <key> <index> <index>",
    "LRANGE <key> 0 -1",
    "LSET <key> <index> <element>",
    "LSET <key> <index> <big>",
    "LINSERT <key> <side> <element> <element>",
    "LINSERT <key> <side> <element> <big>",
    "LREM <key> <index> <element>",
    "LTRIM <key> <index> <index>",
    "LTRIM <key> 1 -2",
    "LPOS <key> <element> [ RANK <index> ] [ COUNT <count> ] [ MAXLEN <count> ]",
    "BLPOP <key> <key> 0.001",
    "BRPOP <key> <timeout>",
    "BLMOVE <key> <key> <end> <end> 0.001",
    "BRPOPLPUSH <key> <key> 0.001",
    "BLMPOP 0.001 2 <key> <key> <end> [ COUNT <count> ]",
    "OBJECT ENCODING <key>",
    "DEBUG OBJECT <key>",
    "DEBUG OBJECT <key> FAST",
    "COPY <key> <key> REPLACE",
    "RENAME <key> <key>",
    "SET <key> text",
    "DEL <key>",
    "TYPE <key>",
    "MULTI",
    "EXEC",
    "EXEC",
];

/// A text of nothing but this.
const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("not a text"),
    }
}

const POOLS: &[(&str, &[&str])] = &[
    ("key", &["a", "a", "b", "c"]),
    (
        "element",
        &["a", "b", "", "0", "-1", "127", "128", "-4097", "70000", "9223372036854775807", "007"],
    ),
    (
        "big",
        &[
            text(&[b'x'; 63]),
            text(&[b'x'; 64]),
            text(&[b'x'; 900]),
            text(&[b'x'; 4000]),
            text(&[b'x'; 4096]),
            text(&[b'x'; 8192]),
            text(&[b'x'; 8193]),
        ],
    ),
    ("index", &["0", "1", "-1", "2", "-2", "5", "-7", "20", "-30", "1000", "x"]),
    ("count", &["0", "1", "2", "3", "10", "-1", "x"]),
    ("bit", &["1", "1", "2", "0", "x"]),
    ("end", &["LEFT", "RIGHT", "left", "WHAT"]),
    ("side", &["BEFORE", "AFTER", "after", "WHAT"]),
    ("timeout", &["0.001", "-1", "x"]),
];
