//! Running a helper program to its end, with an error that says what was run and what it printed.

use std::process::Command;

/// How much of a failed program's output is shown.
const OUTPUT_LINES_SHOWN: usize = 60;

/// Runs `command`; its standard output, or what went wrong.
pub fn run(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|e| format!("cannot run {shown}: {e}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let all = stdout + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = all.lines().collect();
    let tail = lines[lines.len().saturating_sub(OUTPUT_LINES_SHOWN)..].join("\n");
    Err(format!("{shown} ended with {}\n{tail}", output.status))
}
