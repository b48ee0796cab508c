//! `update`: the agent does it, with init.

use std::fs;

use super::ask::Whom;
use super::words::Words;
use super::{Outcome, fail};

pub(super) fn main(mut words: Words) -> Outcome {
    let whom = Whom::default();
    let file = words.next().ok_or("update needs a file, or `key KEY ID`")?;
    if file == "key" {
        let (key, id): (String, String) = (words.value()?, words.value()?);
        words.finish()?;
        return Ok(whom.converse(&format!("update key {key} {id}")));
    }
    words.finish()?;
    Ok(match fs::canonicalize(&file) {
        Ok(path) => whom.converse(&format!("update {}", path.display())),
        Err(error) => fail(&format!("{file}: {error}")),
    })
}
