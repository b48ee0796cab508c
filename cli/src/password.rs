//! `--askpass`, and keys that a password protects: it is typed, not shown.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Bytes of a password.
const MAX_PASSWORD: u64 = 64 << 10;
/// What Ctrl-C is while the terminal sends no signals.
const CTRL_C: u8 = 3;

/// A line of standard input; `None` if there is none.
pub(crate) fn ask(prompt: &str) -> Option<Vec<u8>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let before = tcgetattr(&stdin).ok()?;
    let mut silent = before.clone();
    // Without signals nobody leaves the terminal as it is meanwhile.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    // Before the prompt, behind which nothing that is typed gets lost.
    tcsetattr(&stdin, OptionalActions::Flush, &silent).ok()?;
    let mut stdout = io::stdout();
    let _ = stdout.write_all(prompt.as_bytes()).and_then(|()| stdout.flush());
    let typed = line();
    let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    let _ = stdout.write_all(b"\n");
    typed.filter(|typed| !typed.contains(&CTRL_C))
}

/// The same, where there is somebody to answer.
pub(crate) fn ask_at_terminal(prompt: &str) -> Option<Vec<u8>> {
    io::stdin().is_terminal().then(|| ask(prompt)).flatten()
}

fn line() -> Option<Vec<u8>> {
    let mut line = Vec::new();
    io::stdin().lock().take(MAX_PASSWORD).read_until(b'\n', &mut line).ok()?;
    if line.is_empty() {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Some(line)
}
