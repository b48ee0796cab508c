//! `verify`: a file is read from end to end here, and looked into by the server's own checker.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use holdfast_supervisor::paths;

use super::words::{Words, only};
use super::{Outcome, fail, print};
use crate::backup;

/// How long the checker may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// A child's end with a time limit can only be asked for.
const POLL: Duration = Duration::from_millis(20);
/// What is kept of what it says.
const MAX_SAID_BYTES: u64 = 64 * 1024;

pub(super) fn main(mut words: Words) -> Outcome {
    let mut file = None;
    while let Some(word) = words.next() {
        only(&mut file, &word)?;
    }
    let file = file.ok_or("verify needs a file")?;
    Ok(verify(Path::new(&file)).unwrap_or_else(|why| fail(&why)))
}

fn verify(file: &Path) -> Result<ExitCode, String> {
    let look_into = |file: &Path| match Path::new(paths::SERVER).exists() {
        true => look_into(file).map(|()| true),
        false => Ok(false),
    };
    backup::verify::verify(file, look_into).map(|said| print(&said))
}

/// The server, called by its checker's name.
fn look_into(file: &Path) -> Result<(), String> {
    let mut checker = Command::new(paths::SERVER);
    checker.arg0("redis-check-rdb").arg(file);
    checker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = checker.spawn().map_err(|error| format!("the checker: {error}"))?;
    let output = child.stdout.take().expect("asked for");
    let reader = std::thread::spawn(move || {
        let (mut said, mut output) = (Vec::new(), output);
        let _ = (&mut output).take(MAX_SAID_BYTES).read_to_end(&mut said);
        let _ = std::io::copy(&mut output, &mut std::io::sink());
        String::from_utf8_lossy(&said).into_owned()
    });
    let ended = wait(&mut child);
    let said = reader.join().unwrap_or_default();
    match ended? {
        true => Ok(()),
        false => Err(format!("{} is damaged:\n{}", file.display(), said.trim_end())),
    }
}

/// Asks again and again: std waits for a child for ever or not at all.
fn wait(child: &mut Child) -> Result<bool, String> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                let why = other.err().map_or("it took too long".to_owned(), |e| e.to_string());
                return Err(format!("the checker: {why}"));
            }
        }
    }
}
