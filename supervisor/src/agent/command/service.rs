//! `start`, `stop`, `restart` and `reload`.

use super::Outcome;
use super::ask::Whom;
use super::words::{Words, only, unknown};

pub(super) fn start(words: Words) -> Outcome {
    order("start", words)
}

pub(super) fn stop(words: Words) -> Outcome {
    order("stop", words)
}

pub(super) fn restart(words: Words) -> Outcome {
    order("restart", words)
}

fn order(verb: &str, mut words: Words) -> Outcome {
    let (mut whom, mut service, mut seconds) = (Whom::default(), None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            "--timeout" => seconds = Some(words.value::<u32>()?),
            other => only(&mut service, other)?,
        }
    }
    let service = service.ok_or_else(|| format!("{verb} needs the name of a service"))?;
    let seconds = seconds.map(|seconds| format!(" {seconds}")).unwrap_or_default();
    Ok(whom.converse(&format!("{verb} {service}{seconds}")))
}

pub(super) fn reload(words: Words) -> Outcome {
    plain("reload", words)
}

/// A request without anything but the place to ask.
pub(super) fn plain(request: &str, mut words: Words) -> Outcome {
    let mut whom = Whom::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            other => return Err(unknown(other)),
        }
    }
    Ok(whom.converse(request))
}
