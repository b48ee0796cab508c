//! How long a process waited for a processor: by so much its limits on time are widened on a machine
//! that has other work, or whose host has.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What all its threads waited, since each began, in sum, what the thread that asks did, and what the
/// host kept of all processors.
pub fn waited(pid: u32) -> Duration {
    queued(pid) + queued_by(Path::new("/proc/thread-self")).unwrap_or_default() + stolen()
}

fn queued(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| queued_by(&task.path())).sum()
}

/// The second number of a thread's `schedstat`, in nanoseconds.
fn queued_by(task: &Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_ascii_whitespace().nth(1)?.parse().ok()?))
}

/// The eighth number after `cpu` in /proc/stat, in hundredths of a second.
fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.split_ascii_whitespace().nth(8).and_then(|ticks| ticks.parse().ok());
    Duration::from_millis(10) * ticks.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_processor_waits_for_it() {
        let mut spinners: Vec<_> = (0..4).map(|_| spinner()).collect();
        let reached = crate::wait::until(crate::wait::PATIENCE, || {
            spinners.iter().all(|child| queued(child.id()) > Duration::ZERO).then_some(())
        });
        for spinner in &mut spinners {
            spinner.kill().and_then(|()| spinner.wait().map(drop)).expect("it ran");
        }
        assert!(reached.is_some(), "the kernel keeps no count");
    }

    /// All on the first processor.
    fn spinner() -> std::process::Child {
        let mut spinner = std::process::Command::new("taskset");
        spinner.args(["-c", "0", "sh", "-c", "while :; do :; done"]);
        spinner.spawn().expect("util-linux")
    }
}
