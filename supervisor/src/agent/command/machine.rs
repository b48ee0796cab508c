//! `reboot`, `poweroff` and `factory-reset`.

use super::Outcome;
use super::ask::Whom;
use super::service::plain;
use super::words::{Words, unknown};

pub(super) fn reboot(words: Words) -> Outcome {
    plain("reboot", words)
}

pub(super) fn poweroff(words: Words) -> Outcome {
    plain("poweroff", words)
}

pub(super) fn factory_reset(mut words: Words) -> Outcome {
    let (mut whom, mut sure) = (Whom::default(), false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            "--yes" => sure = true,
            other => return Err(unknown(other)),
        }
    }
    if !sure {
        return Err(
            "factory-reset deletes all data, certificates and backups: say --yes".to_owned()
        );
    }
    Ok(whom.converse("factory-reset yes"))
}
