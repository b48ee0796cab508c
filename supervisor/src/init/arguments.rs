//! What the words after `holdfast-init` mean.
//!
//! In a container they are a command, read as the official redis image reads them: options or a
//! configuration file alone mean the server. Under another name init is that tool.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use holdfast_supervisor::paths;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sys::process::keep;

const HELP: &str = "\
holdfast-init: PID 1 of a Holdfast machine or container

As PID 1 of a machine it takes no arguments; the kernel command line is read for
  ip=ADDR::GATEWAY:MASK::DEVICE:off   the address of the first network interface
  holdfast.data=disk|tmpfs            wait for the data partition, or do without
  holdfast.arg=WORD                   one more argument for the server (repeatable)
  holdfast.status_listen=ADDR:PORT    the agent answers `status` over TCP too

As PID 1 of a container:  holdfast-init [redis-server] [CONFIG] [--directive value ...]
  Options or a *.conf file alone mean redis-server; any other command is run as it is,
  redis-cli, redis-check-rdb and redis-check-aof too. `sh -c '...'` is the command that
  the image's own sh reads in it.

Signals:  container  TERM, INT, QUIT, PWR: stop and exit 0    HUP: reload holdfast.toml
          machine    TERM, INT (ctrl-alt-del): reboot    USR2, PWR: power off    HUP: reload
          both       USR1: say the state of every service
Called as `reboot`, `poweroff` or `halt` it asks PID 1 for that.
";

/// The server's program under its other names: they look into files or ask a server, and end.
const TOOLS: [&[u8]; 3] = [b"cli", b"check-rdb", b"check-aof"];

/// What the image's `sh` is told apart by from one that somebody types into.
const SH: &CStr = c"holdfast-sh";

/// `sh -c '…'` of the image's own `sh`, which is the server's program: it takes this process's place,
/// reads the text, and starts init anew with the words that came out. PID 1 itself reads no text, and
/// the server is the same service whoever wrote the words. Returns where that is not what was asked.
pub(crate) fn make_place_for_sh(words: &[&'static CStr]) {
    let Some(program) = words.get(1).and_then(|word| own_sh(word)) else { return };
    let words = [&[SH], &words[2..]].concat();
    // Where it fails, the command is run as any other, which fails and says so.
    let _ = nix::unistd::execv(program, &words);
}

fn own_sh(word: &'static CStr) -> Option<&'static CStr> {
    let is_sh = word.to_bytes().rsplit(|&byte| byte == b'/').next() == Some(b"sh");
    let program = is_sh.then(|| find(word))?;
    let file = std::fs::canonicalize(std::ffi::OsStr::from_bytes(program.to_bytes())).ok()?;
    (file == Path::new(paths::SERVER)).then_some(program)
}

/// A command given to a container.
pub(crate) struct Command {
    pub program: &'static CStr,
    pub words: Vec<&'static CStr>,
    /// It is the server, so the agent probes it; anything else just runs.
    pub is_server: bool,
    /// It is a tool whose standard error is its own: init says nothing there.
    pub is_tool: bool,
}

pub(crate) fn command(words: &[&'static CStr]) -> Option<Command> {
    let given = words.get(1..).filter(|given| !given.is_empty())?;
    let first = given[0].to_bytes();
    if first.starts_with(b"-") || first.ends_with(b".conf") {
        let words = [&[c"redis-server"], given].concat();
        return Some(server(words));
    }
    match by_maker(first) {
        Some(b"server") => Some(server(given.to_vec())),
        name => Some(Command {
            program: find(given[0]),
            words: given.to_vec(),
            is_server: false,
            is_tool: name.is_some_and(|name| TOOLS.contains(&name)),
        }),
    }
}

fn server(words: Vec<&'static CStr>) -> Command {
    let program = keep(paths::SERVER.as_bytes());
    Command { program, words, is_server: true, is_tool: false }
}

/// `cli` of `/usr/local/bin/redis-cli`: what one of the three makers calls his program.
fn by_maker(word: &[u8]) -> Option<&[u8]> {
    let name = word.rsplit(|&byte| byte == b'/').next().unwrap_or(word);
    let makers: [&[u8]; 3] = [b"redis-", b"valkey-", b"holdfast-"];
    makers.into_iter().find_map(|maker| name.strip_prefix(maker))
}

/// As `execvp` would, once, before the heap is sealed. Not found is left to exec, which says so.
fn find(word: &'static CStr) -> &'static CStr {
    if word.to_bytes().contains(&b'/') {
        return word;
    }
    let path = std::env::var_os("PATH");
    let path = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    let name = std::ffi::OsStr::from_bytes(word.to_bytes());
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    found.map_or(word, |file| keep(file.as_os_str().as_bytes()))
}

/// `reboot`, `poweroff`, and `--help` typed at a prompt.
pub(crate) fn other_names(words: &[&'static CStr]) -> Option<i32> {
    let name = Path::new(std::ffi::OsStr::from_bytes(words.first()?.to_bytes())).file_name()?;
    match name.as_bytes() {
        b"reboot" => Some(ask_pid1(Signal::SIGTERM)),
        // The one signal that ends a machine and a container alike.
        b"poweroff" | b"halt" => Some(ask_pid1(Signal::SIGPWR)),
        _ if std::process::id() != 1 => help(words.get(1)?),
        _ => None,
    }
}

fn help(word: &CStr) -> Option<i32> {
    match word.to_bytes() {
        b"--help" | b"-h" => print!("{HELP}"),
        b"--version" | b"-V" => println!("holdfast-init {}", env!("CARGO_PKG_VERSION")),
        _ => return None,
    }
    Some(0)
}

fn ask_pid1(signal: Signal) -> i32 {
    match kill(Pid::from_raw(1), signal) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("holdfast-init: cannot ask PID 1: {}", error.desc());
            1
        }
    }
}

#[cfg(test)]
mod tests;
