//! Running other programs so that a failure says which one, with what, and its last words.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a failed program's output that are worth showing.
const LAST_LINES: usize = 15;

/// Says what is being done now. Standard error, so that standard output stays the guest's.
pub(crate) fn say(text: impl AsRef<str>) {
    eprintln!("holdfast: {}", text.as_ref());
}

/// Runs `command` to its end; its standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let out = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let mut text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&out.stderr));
    let last: VecDeque<String> = text.lines().map(str::to_owned).collect();
    bail!("{} failed ({}):\n{}", line(command), out.status, tail(&last))
}

/// Runs `command`, handing each line of its output (both streams) to `each` as it comes.
pub(crate) fn stream(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let stderr = writer.try_clone().context("cannot make a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(stderr)
        .spawn()
        .with_context(|| cannot_start(command))?;
    // The command holds our copies of the pipe's writing end: without this the read never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::new();
    for text in BufReader::new(reader).split(b'\n') {
        let text = text.context("cannot read a program's output")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        each(&text);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text);
    }
    let status = child.wait().context("cannot wait for a program")?;
    if status.success() {
        return Ok(());
    }
    bail!("{} failed ({status}):\n{}", line(command), tail(&last))
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().to_string_lossy())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn tail(lines: &VecDeque<String>) -> String {
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.iter().skip(skip).map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_program_and_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn stream_sees_both_streams_line_by_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2"]);
        let mut seen = Vec::new();
        stream(&mut command, |l| seen.push(l.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two"]);
    }
}
