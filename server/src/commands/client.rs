//! CLIENT

use super::spec::Command;
use crate::error::{Error, Result};

pub(super) const COMMANDS: &[Command] = &[];

/// Names are shown in space-separated lists, so they may hold neither spaces nor line breaks.
pub(super) fn check_name(name: &[u8], what: &str) -> Result {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Error::owned(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}
