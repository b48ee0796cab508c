//! Runs a command: its program takes this one's place, or is waited for where `|| exit` asks about it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::expand;
use crate::parse::{Exit, Script, Stream, Streams, status};
use crate::program;
use crate::stop::{Stop, construct};
use crate::sys;

/// PID 1 of a container, which takes a command as its words.
const INIT: &str = "/usr/bin/holdfast-init";

/// The exit status, if no program took this one's place.
pub(crate) fn run(script: &Script, command: expand::Command, is_main: bool) -> Result<u8, Stop> {
    let expand::Command { assignments, mut words } = command;
    let is_exec = words.first().is_some_and(|word| word == b"exec");
    words.drain(..usize::from(is_exec));
    match words.first().map(Vec::as_slice) {
        None | Some(b"true" | b":") => return Ok(0),
        Some(b"exit") => return words.get(1).map_or(Ok(0), |number| status(number)),
        Some(_) => {}
    }
    let path = assignments.iter().rev().find(|(name, _)| name == b"PATH");
    let path = match path {
        Some((_, path)) => Some(OsString::from_vec(path.clone())),
        None => std::env::var_os("PATH"),
    };
    let program = program::find(&words[0], path)?;
    // What `exec` has started is not there any more to be asked.
    let otherwise = script.otherwise.filter(|_| !is_exec);
    if otherwise.is_some() && is_main && program::is_server(&program) {
        return Err(Stop::refused("||", construct::MAIN));
    }
    let first = words[0].clone();
    let cannot = |why: String| Stop::cannot(&first, &why);
    let environment = environment(assignments);
    direct(script.streams).map_err(|why| cannot(why.to_string()))?;
    let Some(otherwise) = otherwise else {
        // Whoever is the container's own process is run by init; the server has its signals, its probes
        // and its health from there.
        if is_main && program != Path::new(INIT) {
            words.insert(0, INIT.into());
            return Err(cannot(sys::exec(Path::new(INIT), words, environment)));
        }
        return Err(cannot(sys::exec(&program, words, environment)));
    };
    match sys::fork().map_err(cannot)? {
        Some(child) => Ok(outcome(sys::wait(child), otherwise)),
        None => Err(cannot(sys::exec(&program, words, environment))),
    }
}

/// As `NAME=value`: what this process has, under the assignments.
fn environment(assignments: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Vec<u8>> {
    let inherited = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let mut variables: Vec<_> = inherited.collect();
    for (name, value) in assignments {
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
    }
    variables.into_iter().map(|(name, value)| [&name[..], b"=", &value].concat()).collect()
}

/// The command's output and errors, which are this process's from here on.
fn direct(streams: Streams) -> io::Result<()> {
    let (out, err) = (stream(streams.out)?, stream(streams.err)?);
    if streams.out != Stream::Out {
        dup2_stdout(&out)?;
    }
    if streams.err != Stream::Err {
        dup2_stderr(&err)?;
    }
    Ok(())
}

fn stream(stream: Stream) -> io::Result<OwnedFd> {
    match stream {
        Stream::Null => Ok(OpenOptions::new().write(true).open("/dev/null")?.into()),
        Stream::Out => io::stdout().as_fd().try_clone_to_owned(),
        Stream::Err => io::stderr().as_fd().try_clone_to_owned(),
    }
}

/// Of a command that ended, with `|| exit` behind it.
fn outcome(status: u8, otherwise: Exit) -> u8 {
    if status == 0 { 0 } else { otherwise.0.unwrap_or(status) }
}
