//! `certs`: the agent's certificates, or a bundle that is judged before it is put in place.

use super::Outcome;
use super::ask::Whom;
use super::words::Words;

pub(super) fn main(mut words: Words) -> Outcome {
    let first = words.next();
    if first.as_deref() == Some("check") {
        return crate::certs::check::main(words.rest());
    }
    let (mut whom, mut asked, mut word) = (Whom::default(), vec!["certs".to_owned()], first);
    while let Some(given) = word {
        match given.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            _ => asked.push(given),
        }
        word = words.next();
    }
    Ok(whom.converse(&asked.join(" ")))
}
