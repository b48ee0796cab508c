//! The client's side of the agent's socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use holdfast_supervisor::control::Line;
use holdfast_supervisor::paths;

use super::{EXIT_NOBODY, print, program};

/// For an answer that takes the agent no time.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Whom to ask.
#[derive(Default)]
pub(super) struct Whom {
    /// Instead of the usual places.
    pub(super) socket: Option<String>,
    /// Over TCP, which answers `status` only.
    pub(super) connect: Option<SocketAddr>,
}

impl Whom {
    /// The answer as it is, to the end of the stream.
    pub(super) fn ask(&self, request: &str) -> io::Result<String> {
        if let Some(address) = self.connect {
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            return exchange(stream, request);
        }
        let stream = self.open()?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        exchange(stream, request)
    }

    /// Passes the answer's lines on as they come; how it ended is the exit status. However long it
    /// takes: the agent bounds what it does, and an agent that ends closes the connection.
    pub(super) fn converse(&self, request: &str) -> ExitCode {
        match self.open_and_say(request) {
            Ok(stream) => pass_on(BufReader::new(stream), |text| {
                print(text);
            }),
            Err(error) => nobody(&error),
        }
    }

    /// As [`Self::converse`], with a file behind the line that names its length.
    pub(super) fn hand_over(&self, request: &str, file: &[u8]) -> ExitCode {
        match self.open_and_say(&format!("{request} {}", file.len())) {
            Ok(mut stream) => {
                // Whoever is refused is told so before all of it is read.
                let _ = stream.write_all(file);
                pass_on(BufReader::new(stream), |text| {
                    print(text);
                })
            }
            Err(error) => nobody(&error),
        }
    }

    /// As [`Self::converse`], but what it was done with comes back instead of being printed.
    pub(super) fn fetch(&self, request: &str) -> Result<String, ExitCode> {
        let stream = self.open_and_say(request).map_err(|error| nobody(&error))?;
        let mut said = String::new();
        match pass_on(BufReader::new(stream), |text| said = text.trim_end().to_owned()) {
            ExitCode::SUCCESS => Ok(said),
            other => Err(other),
        }
    }

    fn open_and_say(&self, request: &str) -> io::Result<UnixStream> {
        let mut stream = self.open()?;
        let _ = stream.write_all(format!("{request}\n").as_bytes());
        Ok(stream)
    }

    fn open(&self) -> io::Result<UnixStream> {
        let known = paths::STATUS_SOCKETS.map(str::to_owned);
        let places = self.socket.as_ref().map_or(&known[..], std::slice::from_ref);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for place in places {
            match UnixStream::connect(place) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = io::Error::new(error.kind(), format!("{place}: {error}")),
            }
        }
        Err(last)
    }
}

pub(super) fn nobody(error: &io::Error) -> ExitCode {
    eprintln!("{}: no agent to ask: {error}", program());
    ExitCode::from(EXIT_NOBODY)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    // Whoever is refused finds the door shut, and the reason before it.
    let _ = stream.write_all(format!("{request}\n").as_bytes());
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.strip_prefix('-') {
        Some(why) => Err(io::Error::other(why.trim_end().to_owned())),
        None => Ok(answer),
    }
}

fn pass_on(answer: impl BufRead, mut out: impl FnMut(&str)) -> ExitCode {
    for line in answer.lines().map_while(Result::ok) {
        match Line::parse(&line) {
            Some(Line::Text(text)) => out(&format!("{text}\n")),
            Some(Line::Done(text)) => {
                if !text.is_empty() {
                    out(&format!("{text}\n"));
                }
                return ExitCode::SUCCESS;
            }
            Some(Line::Failed(why)) => return super::fail(why),
            None => break,
        }
    }
    eprintln!("{}: the agent went away before it was done", program());
    ExitCode::from(EXIT_NOBODY)
}
