//! Becoming another program, and waiting for one. The standard library can do both, and with all that it
//! can do beside them it is ten times the rest of this crate.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Why `program` did not take this process's place.
pub(crate) fn exec(program: &Path, words: Vec<Vec<u8>>, environment: Vec<Vec<u8>>) -> String {
    let program = CString::new(program.as_os_str().as_bytes());
    let texts = |texts: Vec<Vec<u8>>| -> Result<Vec<CString>, _> {
        texts.into_iter().map(CString::new).collect()
    };
    let (Ok(program), Ok(words), Ok(environment)) = (program, texts(words), texts(environment))
    else {
        return "a word has a NUL".to_owned();
    };
    match nix::unistd::execve(&program, &words, &environment) {
        Ok(never) => match never {},
        Err(why) => why.desc().to_owned(),
    }
}

/// Twice from here on: the child of the first, and the second without one.
pub(crate) fn fork() -> Result<Option<Pid>, String> {
    // SAFETY: there is one thread, so nobody holds a lock that the child would wait for.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Some(child)),
        Ok(ForkResult::Child) => Ok(None),
        Err(why) => Err(why.desc().to_owned()),
    }
}

/// The exit status of `child`. What a signal ended has its number on top of 128, as every shell has it.
pub(crate) fn wait(child: Pid) -> u8 {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return status as u8,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as u8,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}
