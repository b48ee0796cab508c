//! `--pipe`: standard input is sent to the server as it is, and its replies are counted.
//!
//! A second thread sends, so that neither side waits for the other. Behind everything goes an ECHO of
//! chance bytes: its reply is the last one.

use std::io::{self, Read as _, Write as _};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::link::{self, Socket};
use crate::reply::{Failure, Reader, Reply, Source};
use crate::session::{Result, Session, Stop, complain};

const CHUNK: usize = 16 << 10;
const MAGIC_LEN: usize = 20;
/// How often whoever waits for a reply looks whether it was too long.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(session: &mut Session) -> Result<u8> {
    let limit = Duration::from_secs(session.options.pipe_timeout.max(0) as u64);
    let link = session.connected()?;
    link.limit_reads(LOOK).map_err(|error| fail("Error", &error))?;
    let (reading, writing) = (link.socket(), link.socket());
    let all_sent = Arc::new(AtomicBool::new(false));
    let magic = magic()?;
    let patient = patient(reading, Arc::clone(&all_sent), limit);
    let sent = Arc::clone(&all_sent);
    thread::spawn(move || {
        if let Err(stop) = send(writing, magic, &sent) {
            // Nobody is told of replies to what could not be sent.
            process::exit(i32::from(status_of(stop)));
        }
    });
    let (errors, replies) = count(Reader::new(patient), &magic, &all_sent, limit)?;
    session.say(format!("errors: {errors}, replies: {replies}\n").as_bytes())?;
    Ok(u8::from(errors > 0))
}

fn status_of(stop: Stop) -> u8 {
    match stop {
        Stop::Exit(status) => status,
        Stop::Lost => 1,
    }
}

fn magic() -> Result<[u8; MAGIC_LEN]> {
    let mut magic = [0; MAGIC_LEN];
    getrandom::fill(&mut magic).map_err(|_| Stop::Exit(1))?;
    Ok(magic)
}

/// Sends all of standard input, and the ECHO.
fn send(mut socket: Socket, magic: [u8; MAGIC_LEN], all_sent: &AtomicBool) -> Result {
    let mut chunk = vec![0; CHUNK];
    let mut stdin = io::stdin().lock();
    loop {
        let count = match stdin.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail("Error reading from stdin", &error)),
        };
        let sent = socket.write_all(&chunk[..count]);
        sent.map_err(|error| fail("Error writing to the server", &error))?;
    }
    say("All data transferred. Waiting for the last reply...\n");
    all_sent.store(true, Ordering::Release);
    // The first line ends what may be half a command.
    let mut echo = b"\r\n*2\r\n$4\r\nECHO\r\n$20\r\n".to_vec();
    echo.extend(magic);
    echo.extend(b"\r\n");
    socket.write_all(&echo).map_err(|error| fail("Error writing to the server", &error))
}

/// Errors and replies until the last one.
fn count(
    mut reader: Reader,
    magic: &[u8],
    all_sent: &AtomicBool,
    limit: Duration,
) -> Result<(u64, u64)> {
    let (mut errors, mut replies) = (0, 0);
    loop {
        match reader.reply() {
            Ok(Reply::Error(text)) => {
                complain(&String::from_utf8_lossy(&text));
                errors += 1;
                replies += 1;
            }
            Ok(Reply::Bulk(text)) if text == magic && all_sent.load(Ordering::Acquire) => {
                say("Last reply received from server.\n");
                return Ok((errors, replies));
            }
            Ok(_) => replies += 1,
            Err(Failure::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                complain(&format!("No replies for {} seconds: exiting.", limit.as_secs()));
                return Ok((errors + 1, replies));
            }
            Err(failure) => {
                // valkey-cli says nothing of a server that hangs up.
                if matches!(failure, Failure::Protocol(_)) {
                    complain("Error reading replies from server");
                }
                return Err(Stop::Exit(1));
            }
        }
    }
}

/// A socket that is given up once everything was sent and nothing has come for `limit` (0: never).
fn patient(mut socket: Socket, all_sent: Arc<AtomicBool>, limit: Duration) -> Source {
    let mut last = Instant::now();
    Box::new(move |into| {
        loop {
            match socket.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    last = Instant::now();
                    return result;
                }
            }
            let is_due = !limit.is_zero() && last.elapsed() > limit;
            if is_due && all_sent.load(Ordering::Acquire) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    })
}

fn fail(what: &str, error: &io::Error) -> Stop {
    complain(&format!("{what}: {}", link::reason(error)));
    Stop::Exit(1)
}

fn say(text: &str) {
    // Who does not read it does not want it.
    let _ = io::stdout().write_all(text.as_bytes());
}
