//! How long a process waited for a processor: by so much its limits on time are widened on a machine
//! that has other work.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What all its threads waited, since each began, in sum.
pub fn waited(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| waited_by(&task.path())).sum()
}

/// The second number of a thread's `schedstat`, in nanoseconds.
fn waited_by(task: &Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_ascii_whitespace().nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_processor_waits_for_it() {
        let mut spinners: Vec<_> = (0..4).map(|_| spinner()).collect();
        let reached = crate::wait::until(crate::wait::PATIENCE, || {
            spinners.iter().all(|child| waited(child.id()) > Duration::ZERO).then_some(())
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
