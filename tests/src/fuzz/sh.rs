//! The container's `sh`: no text makes its reader panic, what it refuses is refused in one line, and the
//! words that it finds are the words that it finds again once they are quoted.

use super::{Random, mutate};

/// What a reader of commands looks like: the words, or the status and the line that refuse them.
pub type Read = fn(&[u8]) -> Result<Vec<Vec<u8>>, (u8, Vec<u8>)>;

/// Checks what `read` says of `text`; what is wrong with it otherwise.
pub fn check(read: Read, text: &[u8]) -> Result<(), String> {
    let words = match read(text) {
        Ok(words) => words,
        Err((1 | 2 | 126, line)) if is_a_line(&line) => return Ok(()),
        Err(refused) => return Err(format!("{refused:?} of {}", text.escape_ascii())),
    };
    let quoted = quoted(&words);
    match read(&quoted) {
        Ok(again) if again == words => Ok(()),
        // What stands for much becomes too long to be said.
        Err((126, _)) if quoted.len() > 64 << 10 || words.len() > 500 => Ok(()),
        other => Err(format!("{words:?} of {} comes back {other:?}", text.escape_ascii())),
    }
}

/// Short, and nothing in it moves a cursor.
fn is_a_line(line: &[u8]) -> bool {
    let Some((b'\n', text)) = line.split_last() else { return false };
    text.len() < 400 && text.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic())
}

fn quoted(words: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for word in words {
        text.push(b'\'');
        for byte in word {
            match byte {
                b'\'' => text.extend(br"'\''"),
                byte => text.push(*byte),
            }
        }
        text.extend(b"' ");
    }
    text
}

const PIECES: [&[u8]; 34] = [
    b"redis-cli ",
    b"exec ",
    b"A=",
    b" ",
    b"\n",
    b"\t",
    b"'",
    b"\"",
    b"\\",
    b"\\\n",
    b"$",
    b"$A",
    b"${A}",
    b"${A:-",
    b"${A-",
    b"}",
    b"$1",
    b"$(cat ",
    b"$(cat /run/secrets/pw)",
    b")",
    b"||",
    b"exit 1",
    b">/dev/null",
    b"2>&1",
    b"1>&2",
    b"2>",
    b"#",
    b";",
    b"|",
    b"&",
    b"`",
    b"*",
    b"~",
    b"if",
];

/// Pieces of commands in a row, or a seed, changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    if !seeds.is_empty() && random.below(3) == 0 {
        text.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(9) {
        text.extend(random.one_of(&PIECES));
    }
    mutate(random, text, &PIECES)
}
