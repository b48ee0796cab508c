//! `logs`: what the agent holds of them, and what comes.

use super::Outcome;
use super::ask::Whom;
use super::words::{Words, only};

pub(super) fn main(mut words: Words) -> Outcome {
    let (mut whom, mut service, mut count, mut follow) = (Whom::default(), None, None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            "-n" | "--lines" => count = Some(words.value::<u16>()?),
            "-f" | "--follow" => follow = true,
            other => only(&mut service, other)?,
        }
    }
    let mut request = "logs".to_owned();
    service.iter().for_each(|service: &String| request += &format!(" {service}"));
    count.iter().for_each(|count| request += &format!(" {count}"));
    request += if follow { " follow" } else { "" };
    Ok(whom.converse(&request))
}
