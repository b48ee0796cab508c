//! The check of the data partition before it is mounted.

use std::path::Path;
use std::process::{Child, Command};

use holdfast_supervisor::clock::{Ms, now_ms};

use crate::finish::pause;

const FSCK: &str = "/usr/sbin/e2fsck";
/// e2fsck(8): 1 is "errors corrected", 2 asks for a reboot when the root was checked, which this is
/// not; from 4 on the file system is not sound.
const FIRST_UNSOUND: i32 = 4;
/// A terabyte with many files takes minutes on a slow disk. A check that takes longer hangs.
const BOUND_MS: Ms = 15 * 60_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Sound,
    Repaired,
    /// The image carries no e2fsck; the kernel replays the journal all the same.
    Unchecked,
    Unsound(String),
}

/// `alive` is called while it runs: PID 1 waits, and that is progress.
pub(super) fn check(device: &Path, alive: &mut dyn FnMut()) -> Outcome {
    if !Path::new(FSCK).exists() {
        return Outcome::Unchecked;
    }
    match Command::new(FSCK).arg("-p").arg(device).spawn() {
        Ok(child) => wait(child, alive),
        Err(error) => Outcome::Unsound(format!("cannot run {FSCK}: {error}")),
    }
}

fn wait(mut child: Child, alive: &mut dyn FnMut()) -> Outcome {
    let until = now_ms() + BOUND_MS;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return meaning(status.code()),
            Ok(None) if now_ms() < until => {
                alive();
                pause();
            }
            Ok(None) => {
                let _ = child.kill();
                return Outcome::Unsound("e2fsck did not end within 15 minutes".to_owned());
            }
            Err(error) => return Outcome::Unsound(format!("cannot wait for e2fsck: {error}")),
        }
    }
}

fn meaning(code: Option<i32>) -> Outcome {
    match code {
        Some(0) => Outcome::Sound,
        Some(code) if code > 0 && code < FIRST_UNSOUND => Outcome::Repaired,
        Some(code) => Outcome::Unsound(format!("e2fsck -p ended with {code}")),
        None => Outcome::Unsound("e2fsck was killed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_is_mounted() {
        assert_eq!(meaning(Some(0)), Outcome::Sound);
        for code in 1..4 {
            assert_eq!(meaning(Some(code)), Outcome::Repaired, "{code}");
        }
        for code in [4, 5, 8, 12, 16, 32, 128] {
            assert!(matches!(meaning(Some(code)), Outcome::Unsound(_)), "{code}");
        }
        assert!(matches!(meaning(None), Outcome::Unsound(_)));
    }
}
