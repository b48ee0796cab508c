//! The RESP decoder against a second one that is slow and simple, however the bytes are split.
//!
//! The second decoder sees the whole input at once and knows no state. It shares only the splitting
//! of quoted inline words with the first, which has tables of its own.

use holdfast_server::resp::inline;
use holdfast_server::resp::{Batch, Decoder, Limits, ProtocolError};

use super::{Random, mutate};

/// The limits that inputs are decoded under: small, so that random numbers reach them.
pub const LIMITS: Limits = Limits { max_bulk_len: 1000, authenticated: true };

const MAX_LINE: usize = 64 * 1024;

/// Commands in order, and the error that ended them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub commands: Vec<Vec<Vec<u8>>>,
    pub error: Option<String>,
}

/// Something that decodes an input arriving in pieces of `piece` bytes.
pub type Decode = fn(&[u8], piece: usize) -> Outcome;

/// Whether `decode` agrees with the simple decoder on `input`; what differs otherwise.
pub fn check(decode: Decode, input: &[u8]) -> Result<(), String> {
    let expected = simple(input);
    for piece in [1, 2, 3, 7, 64, input.len().max(1)] {
        let got = decode(input, piece);
        if got != expected {
            let shown = String::from_utf8_lossy(input);
            return Err(format!(
                "{shown:?} in pieces of {piece}:\n  {got:?}\ninstead of\n  {expected:?}"
            ));
        }
    }
    Ok(())
}

/// The decoder under test, driven as a connection drives it.
pub fn holdfast(input: &[u8], piece: usize) -> Outcome {
    let (mut decoder, mut batch, mut buffer) = (Decoder::default(), Batch::default(), Vec::new());
    let mut outcome = Outcome::default();
    for bytes in input.chunks(piece) {
        buffer.extend_from_slice(bytes);
        loop {
            let (consumed, result) = decoder.decode(&buffer, LIMITS, &mut batch);
            assert!(consumed <= buffer.len(), "took {consumed} of {} bytes", buffer.len());
            for index in 0..batch.len() {
                let argv = batch.command(&buffer, index);
                outcome.commands.push(argv.iter().map(<[u8]>::to_vec).collect());
            }
            if let Err(ProtocolError(text)) = result {
                outcome.error = Some(text);
                return outcome;
            }
            buffer.drain(..consumed);
            if consumed == 0 {
                break;
            }
        }
    }
    outcome
}

fn simple(input: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = input;
    loop {
        match simple_command(rest) {
            Ok(Some((command, behind))) => {
                if !command.is_empty() {
                    outcome.commands.push(command);
                }
                rest = behind;
            }
            Ok(None) => return outcome,
            Err(text) => {
                outcome.error = Some(text);
                return outcome;
            }
        }
    }
}

type Parsed<'a, T> = Result<Option<(T, &'a [u8])>, String>;

/// One command, empty for an empty line or array; `None` when bytes are missing.
fn simple_command(input: &[u8]) -> Parsed<'_, Vec<Vec<u8>>> {
    if input.is_empty() {
        return Ok(None);
    }
    if input[0] != b'*' {
        return simple_inline(input);
    }
    let Some((line, mut rest)) = simple_line(input, "too big mbulk count string")? else {
        return Ok(None);
    };
    let count = canonical_number(&line[1..]).filter(|n| *n <= i64::from(i32::MAX));
    let count = count.ok_or("invalid multibulk length")?;
    let mut command = Vec::new();
    for _ in 0..count {
        let Some((line, behind)) = simple_line(rest, "too big bulk count string")? else {
            return Ok(None);
        };
        let first = line.first().copied().unwrap_or(b'\r');
        if first != b'$' {
            let shown = if first == b'\r' || first == b'\n' { ' ' } else { char::from(first) };
            return Err(format!("expected '$', got '{shown}'"));
        }
        let len = canonical_number(&line[1..]).and_then(|n| usize::try_from(n).ok());
        let len = len.filter(|n| *n as u64 <= LIMITS.max_bulk_len).ok_or("invalid bulk length")?;
        if behind.len() < len + 2 {
            return Ok(None);
        }
        if &behind[len..len + 2] != b"\r\n" {
            return Err("invalid CRLF in request".to_owned());
        }
        command.push(behind[..len].to_vec());
        rest = &behind[len + 2..];
    }
    Ok(Some((command, rest)))
}

fn simple_line<'a>(input: &'a [u8], too_big: &str) -> Parsed<'a, &'a [u8]> {
    let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\r') else {
        return if input.len() >= MAX_LINE { Err(too_big.to_owned()) } else { Ok(None) };
    };
    match input.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((&input[..end], &input[end + 2..]))),
        Some(_) => Err("invalid CRLF in request".to_owned()),
    }
}

fn simple_inline(input: &[u8]) -> Parsed<'_, Vec<Vec<u8>>> {
    let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        let too_big = "too big inline request".to_owned();
        return if input.len() >= MAX_LINE { Err(too_big) } else { Ok(None) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let words = inline::split(line).ok_or("unbalanced quotes in request")?;
    Ok(Some((words, &input[end + 1..])))
}

/// An integer as Redis writes it: no plus, no leading zero, no "-0".
fn canonical_number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

const PIECES: [&[u8]; 14] = [
    b"*",
    b"$",
    b"\r\n",
    b"\r",
    b"\n",
    b"-1",
    b"0",
    b"01",
    b"99999999999999999999",
    b"\"",
    b"'",
    b"\0",
    b"*1\r\n$4\r\nPING\r\n",
    b"PING\r\n",
];

/// A pipeline that is right, then changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..random.below(4) {
        match random.below(4) {
            0 if !seeds.is_empty() => input.extend(&seeds[random.below(seeds.len())]),
            1 => input.extend(b"SET key \"value \\x41\"\r\n"),
            _ => input.extend(request(random)),
        }
    }
    mutate(random, input, &PIECES)
}

fn request(random: &mut Random) -> Vec<u8> {
    let args: Vec<Vec<u8>> = (0..1 + random.below(4))
        .map(|_| (0..random.below(12)).map(|_| random.number() as u8).collect())
        .collect();
    crate::resp::encode_command(&args)
}
