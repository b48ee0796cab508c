//! A famine: processes that hardly ever get a processor.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Of every 100 ms, this much may be used by all who starve together: the least there is.
const QUOTA_US: u32 = 1_000;
const PERIOD_US: u32 = 100_000;
/// Processes that want all of it.
const SPINNERS: usize = 100;

/// A group of processes that hardly ever get a processor, together with a hundred others.
pub(crate) struct Famine {
    group: PathBuf,
    spinners: Vec<Child>,
}

impl Famine {
    pub(crate) fn begin(pids: &[i32]) -> Self {
        let name = format!("holdfast-test-{}-{}", std::process::id(), pids[0]);
        let group = Self::root().join(name);
        fs::create_dir(&group).expect("a cgroup of our own");
        let mut famine = Self { group, spinners: Vec::new() };
        famine.limit();
        pids.iter().for_each(|pid| famine.take(*pid));
        for _ in 0..SPINNERS {
            let mut spinner = Command::new("sh");
            spinner.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            let spinner = spinner.spawn().expect("a shell");
            famine.take(spinner.id() as i32);
            famine.spinners.push(spinner);
        }
        famine
    }

    /// As [`Famine::begin`], and whoever starves comes after all others: not even a machine with time
    /// to spare lets it run for long.
    pub(crate) fn begin_behind_all(pids: &[i32]) -> Self {
        pids.iter().for_each(|pid| schedule(*pid, "--idle"));
        Self::begin(pids)
    }

    /// The CPU controller, of cgroup version 1 or 2.
    fn root() -> PathBuf {
        let places = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"].map(PathBuf::from);
        let is_there = |place: &PathBuf| place.join("cgroup.procs").exists();
        places.into_iter().find(is_there).expect("the CPU controller of cgroups")
    }

    fn limit(&self) {
        let write = |name: &str, text: String| fs::write(self.group.join(name), text);
        if self.group.join("cpu.cfs_quota_us").exists() {
            write("cpu.cfs_period_us", PERIOD_US.to_string()).expect("a limit");
            write("cpu.cfs_quota_us", QUOTA_US.to_string()).expect("a limit");
        } else {
            write("cpu.max", format!("{QUOTA_US} {PERIOD_US}")).expect("a limit");
        }
    }

    fn take(&self, pid: i32) {
        let taken = fs::write(self.group.join("cgroup.procs"), pid.to_string());
        taken.unwrap_or_else(|why| panic!("process {pid}: {why}"));
    }
}

impl Drop for Famine {
    fn drop(&mut self) {
        for spinner in &mut self.spinners {
            let _ = spinner.kill();
        }
        let procs = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        let root = Self::root().join("cgroup.procs");
        for pid in procs.lines() {
            let _ = fs::write(&root, pid);
            if let Ok(pid) = pid.parse() {
                schedule(pid, "--other");
            }
        }
        for spinner in &mut self.spinners {
            let _ = spinner.wait();
        }
        let _ = fs::remove_dir(&self.group);
    }
}

/// Sets the policy of all threads of a process, which may have ended meanwhile.
fn schedule(pid: i32, policy: &str) {
    let mut chrt = Command::new("chrt");
    chrt.args([policy, "--all-tasks", "--pid", "0"]).arg(pid.to_string());
    chrt.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("chrt of util-linux");
}
