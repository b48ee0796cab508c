//! The command line: `run` for init, the rest for people, scripts and health checks.

mod healthcheck;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use holdfast_supervisor::paths;

use crate::config::Config;
use crate::run;

const HELP: &str = "\
holdfast-agent: asks and tells about the services of a Holdfast machine or container

  holdfast-agent status [--json] [--ready] [--socket PATH | --connect ADDR:PORT]
      What runs, since when, how often it was restarted and why, and every guarantee
      that this machine cannot give. With --ready nothing is printed: the exit status
      is 0 when the server answers PING, else 1. Nobody to ask: 2.

  holdfast-agent healthcheck [--port N] [--socket PATH] [--timeout-ms N]
      Asks the server itself, needs no running agent. Without an option it finds out
      where the server listens. Exit status 0 when it answers PING, also when it wants a
      password first; else 1 and a sentence.

  holdfast-agent check [FILE]
      Reads a holdfast.toml and reports every mistake as FILE:LINE:COLUMN: TEXT.
      Exit status 0 when there is none, else 78. Default: /etc/holdfast/holdfast.toml

  holdfast-agent certs check DIRECTORY | --cert FILE --key FILE [--ca FILE] [--name NAME]...
      Judges a certificate, its key and its authority as [tls] does before it takes them: server.crt,
      server.key and ca.crt of a directory, or files. Exit status 0 when they are good, else 1 and
      a sentence for each fault.

  holdfast-agent run
      Started by holdfast-init, with its channel as standard input.

  holdfast-agent --version | --help
";

/// EX_USAGE and EX_CONFIG of sysexits.h.
const EXIT_USAGE: u8 = 64;
const EXIT_CONFIG: u8 = 78;
const EXIT_NOBODY: u8 = 2;
const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn main(words: Vec<String>) -> ExitCode {
    let mut words = Words { words: words.into_iter(), given: String::new() };
    let result = match words.next().as_deref() {
        Some("run") => words.finish().map(|()| run::run()),
        Some("status") => status(words),
        Some("healthcheck") => healthcheck::main(words),
        Some("check") => check(words),
        Some("certs") => certs(words),
        Some("--help" | "-h" | "help") => Ok(print(HELP)),
        Some("--version" | "-V") => {
            Ok(print(concat!("holdfast-agent ", env!("CARGO_PKG_VERSION"), "\n")))
        }
        Some(other) => Err(format!("unknown command {other}")),
        None => Err("a command is missing".to_owned()),
    };
    result.unwrap_or_else(|message| {
        eprintln!("holdfast-agent: {message}; see holdfast-agent --help");
        ExitCode::from(EXIT_USAGE)
    })
}

/// A cursor over the words of the command line.
struct Words {
    words: std::vec::IntoIter<String>,
    /// The option whose value is read next, for the message when there is none.
    given: String,
}

impl Words {
    fn next(&mut self) -> Option<String> {
        let word = self.words.next()?;
        self.given.clone_from(&word);
        Some(word)
    }

    fn value<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let option = self.given.clone();
        let value = self.words.next().ok_or_else(|| format!("{option} needs a value"))?;
        value.parse().map_err(|_| format!("{option} {value} is not valid"))
    }

    fn finish(mut self) -> Result<(), String> {
        self.next().map_or(Ok(()), |word| Err(unknown(&word)))
    }
}

fn unknown(word: &str) -> String {
    format!("unknown option {word}")
}

/// A reader that went away is no error of ours.
pub(crate) fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn check(mut words: Words) -> Result<ExitCode, String> {
    let file = words.next().unwrap_or_else(|| paths::CONFIG.to_owned());
    words.finish()?;
    Ok(match Config::load(Path::new(&file)) {
        Ok(Some(_)) => print(&format!("{file}: good\n")),
        Ok(None) => {
            eprintln!("{file}: there is no such file");
            ExitCode::from(EXIT_CONFIG)
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("{file}:{problem}");
            }
            ExitCode::from(EXIT_CONFIG)
        }
    })
}

fn certs(mut words: Words) -> Result<ExitCode, String> {
    match words.next().as_deref() {
        Some("check") => crate::certs::check::main(words.words.collect()),
        _ => Err("certs needs: check".to_owned()),
    }
}

#[derive(Default)]
struct StatusOptions {
    json: bool,
    ready: bool,
    socket: Option<String>,
    connect: Option<SocketAddr>,
}

fn status(mut words: Words) -> Result<ExitCode, String> {
    let mut options = StatusOptions::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--ready" => options.ready = true,
            "--socket" => options.socket = Some(words.value()?),
            "--connect" => options.connect = Some(words.value()?),
            other => return Err(unknown(other)),
        }
    }
    let request = if options.json || options.ready { "status json\n" } else { "status\n" };
    Ok(match ask(&options, request) {
        Ok(answer) if options.ready => exit_ready(&answer),
        Ok(answer) => print(&answer),
        Err(error) => {
            eprintln!("holdfast-agent: no agent to ask: {error}");
            ExitCode::from(EXIT_NOBODY)
        }
    })
}

fn exit_ready(answer: &str) -> ExitCode {
    let report: Option<serde_json::Value> = serde_json::from_str(answer).ok();
    let ready = report.is_some_and(|report| report["ready"] == true);
    if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ask(options: &StatusOptions, request: &str) -> std::io::Result<String> {
    if let Some(address) = options.connect {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        return exchange(stream, request);
    }
    let known = paths::STATUS_SOCKETS.map(str::to_owned);
    let places = options.socket.as_ref().map_or(&known[..], std::slice::from_ref);
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for place in places {
        match UnixStream::connect(place) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                return exchange(stream, request);
            }
            Err(error) => last = std::io::Error::new(error.kind(), format!("{place}: {error}")),
        }
    }
    Err(last)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
