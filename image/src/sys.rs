//! The one unsafe corner: what a child does between fork and exec.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes `command` lead its own process group, out of the terminal's reach, and die when we do.
///
/// The kernel watches the *thread* that spawns: keep it alive as long as the child is wanted.
pub(crate) fn die_with_parent(command: &mut Command) -> &mut Command {
    let parent = getpid();
    let before_exec = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() == Some(parent) {
            return Ok(());
        }
        // The parent died before the line above could see it.
        Err(io::ErrorKind::BrokenPipe.into())
    };
    command.process_group(0);
    // SAFETY: the closure only makes system calls (prctl, getppid) and builds an allocation-free
    // error, all of which are safe between fork and exec of a threaded program.
    unsafe { command.pre_exec(before_exec) }
}
