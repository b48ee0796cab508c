//! What `sh` is called with: its options, the command, and the command's own arguments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::stop::{Stop, construct};

#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub(crate) command: &'a [u8],
    /// `$0` and what follows.
    pub(crate) parameters: &'a [OsString],
    /// `-u`: a variable that is not set is a mistake.
    pub(crate) is_strict: bool,
    /// It is the container's own process, which is init's place.
    pub(crate) is_main: bool,
}

/// What init calls it when init makes place for it.
const OF_INIT: &str = "holdfast-sh";

impl<'a> Options<'a> {
    pub(crate) fn of(args: &'a [OsString]) -> Result<Self, Stop> {
        let (name, mut rest) =
            args.split_first().map_or((None, args), |(name, rest)| (Some(name), rest));
        let (mut has_command, mut is_strict) = (false, false);
        while let Some((word, behind)) = rest.split_first() {
            let word = word.as_bytes();
            if !word.starts_with(b"-") && !word.starts_with(b"+") {
                break;
            }
            rest = behind;
            if matches!(word, b"-" | b"--") {
                break;
            }
            for letter in &word[1..] {
                match letter {
                    // The command ends with its only failure anyway; there is no profile to read.
                    b'e' | b'l' => {}
                    b'c' => has_command = true,
                    b'u' => is_strict = word[0] == b'-',
                    _ => return Err(Stop::refused(word, construct::OPTION)),
                }
            }
        }
        let Some((command, parameters)) = rest.split_first() else {
            return Err(match has_command {
                true => Stop::broken("-c requires an argument"),
                false => Stop::refused("a shell to type into", construct::NO_COMMAND),
            });
        };
        if !has_command {
            return Err(Stop::refused(command.as_bytes(), construct::NO_COMMAND));
        }
        let by_init =
            name.is_some_and(|name| Path::new(name).file_name() == Some(OF_INIT.as_ref()));
        let is_main = by_init || std::process::id() == 1;
        Ok(Self { command: command.as_bytes(), parameters, is_strict, is_main })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Result<(&str, &[&str], bool), u8>) {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let seen = Options::of(&args);
        let parameters: Vec<OsString> = expected
            .map(|(_, words, _)| words.iter().map(OsString::from).collect())
            .unwrap_or_default();
        let seen =
            seen.as_ref().map(|options| (options.command, options.parameters, options.is_strict));
        let expected = expected
            .map(|(command, _, is_strict)| (command.as_bytes(), &parameters[..], is_strict));
        assert_eq!(seen.map_err(|stop| stop.status), expected, "{words:?}");
    }

    #[test]
    fn options_come_before_the_command_and_its_arguments_behind() {
        check(&["sh", "-c", "true"], Ok(("true", &[], false)));
        check(&["sh", "-ec", "true", "name", "-x"], Ok(("true", &["name", "-x"], false)));
        check(&["sh", "-e", "-u", "-c", "--", "-true"], Ok(("-true", &[], true)));
        check(&["sh", "-c", "-e", "+u", "true"], Ok(("true", &[], false)));
    }

    #[test]
    fn a_shell_to_type_into_and_a_script_are_refused() {
        check(&["sh"], Err(126));
        check(&["sh", "-e", "/script"], Err(126));
        check(&["sh", "-xc", "true"], Err(126));
        check(&["sh", "-o", "pipefail", "-c", "true"], Err(126));
        check(&["sh", "-c"], Err(2));
        check(&[], Err(126));
    }
}
