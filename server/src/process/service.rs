//! Being a service without a manager: in the background by itself (`daemonize`).

use std::io;

use super::sys;

/// Goes on in the background: a new session, nothing on the standard streams. Returns in the
/// child; the parent ends. To be called before the runtime has threads.
pub fn to_background() -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    if sys::fork()? {
        std::process::exit(0);
    }
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
