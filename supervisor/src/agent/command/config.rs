//! `config`: a machine's own holdfast.toml, shown, put in its place and taken away.

use std::fs::File;
use std::io::{self, Read};

use holdfast_supervisor::control::MAX_CONFIG_BYTES;

use super::ask::Whom;
use super::words::Words;
use super::{Outcome, fail};

pub(super) fn main(mut words: Words) -> Outcome {
    let (mut whom, mut given) = (Whom::default(), Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            _ => given.push(word),
        }
    }
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    Ok(match given[..] {
        [] => whom.converse("config"),
        ["reset"] => whom.converse("config reset"),
        ["put", file] => match read(file) {
            Ok(text) => whom.hand_over("config put", &text),
            Err(error) => fail(&format!("{file}: {error}")),
        },
        _ => return Err("config takes nothing, `put FILE` or `reset`".to_owned()),
    })
}

/// `-` is standard input. What is too long is read so far that it is seen to be.
fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::from(MAX_CONFIG_BYTES) + 1;
    match file {
        "-" => io::stdin().take(most).read_to_end(&mut text)?,
        file => File::open(file)?.take(most).read_to_end(&mut text)?,
    };
    if text.len() as u64 == most {
        return Err(io::Error::other(format!("it is longer than {MAX_CONFIG_BYTES} bytes")));
    }
    Ok(text)
}
