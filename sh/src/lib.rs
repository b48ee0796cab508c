//! `sh` of the container image: no shell, but the reader of a closed grammar.
//!
//! Files that people bring say `sh -c '…'`: a health check in shell form, a password out of a secret's
//! file. What they mean is one command of this image's own programs, and that is all that is understood:
//!
//! ```text
//!  sh [-eclu] -c 'COMMAND' [NAME [ARGUMENT …]]
//!  COMMAND      [NAME=word …] [exec] program [word …] [redirection …] [|| exit [N]]
//!  word         plain, 'quoted', "quoted", \x, $NAME, ${NAME}, ${NAME:-word}, ${NAME-word}, $1, $(cat FILE)
//!  redirection  >/dev/null   2>/dev/null   2>&1   1>&2
//! ```
//!
//! Quotes, expansion and the splitting of what was expanded are POSIX'. Everything else is refused with
//! status 126 and a line that names it and what to do instead; nothing is run before all of it was read.
//! `HOLDFAST_SH=off` refuses everything.
//!
//! Reading order: parse, expand, run; a [`stop::Stop`] is why a command is not run. What is absent:
//! pipes, lists, loops, builtins, files as output, patterns, and any way to a program that is not ours.

mod options;
mod parse;

mod expand;

mod program;
mod run;
mod sys;

mod stop;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};

use options::Options;
use stop::{Stop, construct};

/// Says no to everything when it is `off`.
const SWITCH: &str = "HOLDFAST_SH";

/// Runs `sh` with `args`, its name first. The exit status, if no program took its place.
pub fn main(args: &[OsString]) -> u8 {
    match take(args) {
        Ok(status) => status,
        Err(stop) => {
            // Nobody may be there to read it.
            let _ = io::stderr().write_all(&stop.line());
            stop.status
        }
    }
}

/// The words that `text` comes to, assignments first, as `NAME=value`; otherwise the status and the line
/// that refuse it. For the fuzzers of tests/: what variables and files stand for are their own names.
pub fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, (u8, Vec<u8>)> {
    let options = Options { command: text, parameters: &[], is_strict: false, is_main: false };
    let script = parse::parse(options.command);
    let variable = |name: &OsStr| Some(name.to_owned());
    let expand =
        |script| expand::expand(&script, &options, &variable, |file: &[u8]| Ok(file.to_vec()));
    let command = script.and_then(expand).map_err(|stop| (stop.status, stop.line()))?;
    let said = |(name, value): (Vec<u8>, Vec<u8>)| [&name[..], b"=", &value].concat();
    Ok(command.assignments.into_iter().map(said).chain(command.words).collect())
}

fn take(args: &[OsString]) -> Result<u8, Stop> {
    if std::env::var_os(SWITCH).is_some_and(|value| value == OsStr::new("off")) {
        return Err(Stop::refused("sh", construct::OFF));
    }
    let options = Options::of(args)?;
    let script = parse::parse(options.command)?;
    let command = expand::expand(&script, &options, &|name| std::env::var_os(name), expand::read)?;
    run::run(&script, command, options.is_main)
}
