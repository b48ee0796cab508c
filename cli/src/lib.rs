//! `redis-cli`: a client for terminals and scripts, in the words of redis-cli and valkey-cli.
//!
//! The server's program is it under another name, so that an image without a shell has one. Sockets
//! block, there is one thread (`--pipe` has two), and nothing is known of the server ([`About`]), which
//! also lends its TLS. Reading order: options, session over link and reply, format, then the modes. A
//! crate of its own, because it is compiled for size.
//!
//! What is absent: cluster, replication, scripting, a line editor.

mod options;
mod uri;
mod usage;

mod session;

mod link;
mod reply;
mod tls;

mod format;
pub mod inline;
pub mod quote;

mod password;
mod prompt;

mod pipe;
mod scan;

mod name;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

pub use name::About;
use name::Name;
use options::{End, Input, Mode, Options};
use session::{Result, Session, Stop, complain};
pub use tls::{AskPassword, StartTls, TlsFailure, TlsOptions, TlsSession};

/// Bytes of an argument from standard input: the longest string that Redis takes.
const MAX_ARGUMENT: usize = 512 << 20;
/// What a read asks for.
const CHUNK: usize = 4096;

/// Runs the client with `args`, the program's name first; its exit status.
pub fn main(args: &[OsString], about: &'static About) -> u8 {
    let called = args.first().and_then(|path| Path::new(path).file_name()?.to_str());
    let args: Vec<Vec<u8>> = args.iter().skip(1).map(|arg| arg.as_bytes().to_vec()).collect();
    let mut stdout = io::stdout();
    let on_terminal = stdout.is_terminal() || std::env::var_os("FAKETTY").is_some();
    let (mut options, words) =
        match options::parse(Name::of(called.unwrap_or_default(), about), &args, on_terminal) {
            Ok(parsed) => parsed,
            Err(End::Said(text)) => {
                // A closed pipe is the reader's choice.
                let _ = stdout.write_all(text.as_bytes());
                return 0;
            }
            Err(End::Wrong(text)) => {
                complain(&text);
                return 1;
            }
        };
    options.warnings.iter().for_each(|warning| complain(warning));
    options.take_password(&|name| std::env::var_os(name).map(OsString::into_vec));
    if options.asks_password {
        options.password = password::ask("Please input password: ");
    }
    let mut session = Session::new(options);
    match run(&mut session, words) {
        Ok(status) | Err(Stop::Exit(status)) => status,
        Err(Stop::Lost) => 1,
    }
}

fn run(session: &mut Session, words: &[Vec<u8>]) -> Result<u8> {
    match session.options.mode {
        Mode::Pipe => pipe::run(session),
        Mode::Scan => scan::run(session),
        Mode::Commands if words.is_empty() => prompt::run(session),
        Mode::Commands => command(session, words),
    }
}

/// The one command of the arguments, and what it subscribes to.
fn command(session: &mut Session, words: &[Vec<u8>]) -> Result<u8> {
    // The command connects again where this fails, and says why it could not.
    session.connect(true);
    let Some(mut words) = plain(&session.options, words) else {
        session.say(b"Invalid quoted string\n")?;
        return Ok(1);
    };
    match session.options.input.clone() {
        Input::Commands => {}
        Input::LastArgument => words.push(argument()?),
        Input::Tag(tag) => match words.iter_mut().find(|word| **word == tag) {
            Some(word) => *word = argument()?,
            None => {
                complain("Using -X option but stdin tag not match.");
                return Ok(1);
            }
        },
    }
    let repeat = session.options.repeat;
    prompt::issue(session, &words, repeat)?;
    session.listen()?;
    Ok(0)
}

/// The words without their quotes, if they are to have some.
fn plain(options: &Options, words: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    match options.is_quoted {
        true => words.iter().map(|word| words::unquoted(word)).collect(),
        false => Some(words.to_vec()),
    }
}

/// All of standard input.
fn argument() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; CHUNK];
    let why = loop {
        match io::stdin().read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(_) if bytes.len() > MAX_ARGUMENT => break "longer than 512 MB".to_owned(),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break link::reason(&error),
        }
    };
    complain(&["Reading from standard input: ", &why].concat());
    Err(Stop::Exit(1))
}
